"""CloudEvents 1.0, Kafka binding, binary mode: attributes in headers, the record as JSON value."""

from __future__ import annotations

import zlib
from functools import cache
from uuid import UUID

from pydantic import ValidationError

from shared.bus.headers import SEPARATOR, PackedHeaders, pack_headers, value_of
from shared.bus.port import Delivered, Message
from shared.errors import InvalidMessage
from shared.events import alerts, intake, policy, quarantine, tracing
from shared.events.base import Event
from shared.events.topics import TOPICS

EVENT_TYPES: dict[str, type[Event]] = {
    event.type: event
    for event in (
        intake.PersonChanged,
        intake.PlaceChanged,
        intake.AreaChanged,
        intake.ScanRecorded,
        intake.EncounterMeasured,
        intake.ReportRecorded,
        intake.ResultReported,
        intake.CaseDeclared,
        intake.LinkDeclared,
        intake.MembershipDeclared,
        tracing.CaseChanged,
        tracing.ContactChanged,
        tracing.CoLocationChanged,
        quarantine.OrderChanged,
        quarantine.CheckChanged,
        quarantine.BreachChanged,
        alerts.SignalChanged,
        alerts.AlertChanged,
        policy.PolicyChanged,
    )
}


def partition_of(ordering_id: UUID, partitions: int) -> int:
    """The partition of an ordering id; stable for ever, or order per person would break."""
    return zlib.crc32(ordering_id.bytes) % partitions


def encode(event: Event, *, source: str) -> Message:
    """The message that carries `event`; `source` is the service that says it."""
    topic = TOPICS[event.log_topic]
    record = str(event.record_id)
    own = (
        _fixed_headers(source, event.type),
        "ce_id",
        str(event.event_id),
        "ce_time",
        event.occurred_at.isoformat(),
        "ce_subject",
        record,
    )
    return Message(
        topic=topic.name,
        partition=partition_of(event.ordering_id, topic.partitions),
        key=event.record_id.bytes,
        # What `model_dump_json` does, without its way from bytes to text and back.
        value=event.__pydantic_serializer__.to_json(event, exclude_defaults=True),
        headers=PackedHeaders(SEPARATOR.join(own)),
    )


@cache
def _fixed_headers(source: str, type_name: str) -> str:
    """What all events of a type have in common; the type comes early, readers look for it first."""
    return pack_headers(
        (
            ("ce_type", type_name.encode()),
            ("ce_specversion", b"1.0"),
            ("ce_source", f"/outpost/{source}".encode()),
            ("ce_dataschema", f"urn:outpost:schema:{type_name}:1".encode()),
            ("content-type", b"application/json"),
        )
    )


def event_type_of(message: Delivered | Message) -> str | None:
    """The type in the header, or None where a stranger wrote the record."""
    return value_of(message.headers, "ce_type")


def decode(message: Delivered | Message) -> Event | None:
    """The event, or None for a type we do not know (to be skipped and counted).

    Raises `InvalidMessage` for a known type whose body breaks its model, or for a record without
    a type.
    """
    type_name = event_type_of(message)
    if type_name is None:
        raise InvalidMessage(f"a record of {message.topic} carries no ce_type header")
    model = EVENT_TYPES.get(type_name)
    if model is None:
        return None
    try:
        return model.model_validate_json(message.value)
    except ValidationError as error:
        # Only the places of the errors: the values could name a person.
        places = ", ".join(".".join(map(str, item["loc"])) for item in error.errors())
        raise InvalidMessage(f"{type_name}: wrong or missing {places}") from error
