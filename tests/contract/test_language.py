"""The language between the services may only grow, and its document says what the models say."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from cloudevents.core.bindings.kafka import KafkaMessage, from_kafka_event  # oracle only

from shared.bus.asyncapi import asyncapi_document, schema_of
from shared.bus.envelope import EVENT_TYPES, decode, encode, event_type_of
from shared.bus.port import Message
from shared.errors import InvalidMessage
from shared.events.intake import PlaceChanged
from shared.events.topics import TOPICS

SCHEMAS = Path(__file__).parent / "schemas"
DOCUMENT = Path(__file__).parents[2] / "docs" / "asyncapi.json"
AT = datetime(2020, 2, 14, 11, 51, tzinfo=UTC)
PLACE = PlaceChanged(
    record_id=UUID(int=7), record_version=3, occurred_at=AT, recorded_at=AT, kind="station"
)


def broken_promises(frozen: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """What a reader of the frozen schema could rely on and can no more."""
    found = []
    for name, shape in frozen.get("properties", {}).items():
        if name not in now.get("properties", {}):
            found.append(f"{name} is gone")
            continue
        new = now["properties"][name]
        kept = ("type", "format", "$ref", "anyOf", "items", "const")
        found += [f"{name} changed its {key}" for key in kept if shape.get(key) != new.get(key)]
        if "enum" in shape and not set(shape["enum"]) <= set(new.get("enum", [])):
            found.append(f"{name} lost a value")
    added = set(now.get("required", [])) - set(frozen.get("required", []))
    found += [f"{name} became required" for name in added]
    for part, shape in frozen.get("$defs", {}).items():
        found += [f"{part}.{item}" for item in broken_promises(shape, now["$defs"].get(part, {}))]
    return found


@pytest.mark.parametrize("name", sorted(EVENT_TYPES))
def test_a_type_only_grows_by_optional_fields(name: str) -> None:
    path = SCHEMAS / f"{name}.json"
    assert path.is_file(), f"freeze {name}: python -m services language freeze"
    assert broken_promises(json.loads(path.read_text("utf-8")), schema_of(EVENT_TYPES[name])) == []


def test_the_check_of_growth_sees_what_breaks_a_reader() -> None:
    frozen = schema_of(PlaceChanged)
    shrunk = json.loads(json.dumps(frozen))
    del shrunk["properties"]["area_id"]
    shrunk["required"].append("test")
    assert broken_promises(frozen, shrunk) == ["area_id is gone", "test became required"]


def test_no_frozen_type_has_vanished() -> None:
    assert {path.stem for path in SCHEMAS.glob("*.json")} == set(EVENT_TYPES)


def test_the_document_is_made_from_the_models() -> None:
    assert json.loads(DOCUMENT.read_text("utf-8")) == json.loads(json.dumps(asyncapi_document()))


def test_every_topic_has_a_message_and_every_type_a_topic() -> None:
    channels = asyncapi_document()["channels"]
    assert set(channels) == set(TOPICS)
    assert all(channel["messages"] for channel in channels.values())
    said = {name for channel in channels.values() for name in channel["messages"]}
    assert said == set(EVENT_TYPES)


def test_an_event_survives_the_log() -> None:
    assert decode(encode(PLACE, source="intake")) == PLACE


def test_a_reader_ignores_fields_it_does_not_know() -> None:
    message = encode(PLACE, source="intake")
    grown = json.loads(message.value) | {"new_in_version_2": 1}
    again = Message(
        message.topic, message.partition, message.key, json.dumps(grown).encode(), message.headers
    )
    assert decode(again) == PLACE


def test_an_unknown_type_is_skipped_and_a_broken_body_refused_without_its_values() -> None:
    message = encode(PLACE, source="intake")
    strange = Message("t", 0, b"", b"{}", (("ce_type", b"outpost.from.the.future"),))
    assert decode(strange) is None
    broken = Message(message.topic, 0, b"", b'{"kind": {"name": "Zhang San"}}', message.headers)
    with pytest.raises(InvalidMessage) as refused:
        decode(broken)
    assert "Zhang" not in str(refused.value)
    with pytest.raises(InvalidMessage):
        decode(Message("t", 0, b"", b"{}", ()))


def test_the_same_record_version_is_the_same_event_wherever_it_is_said() -> None:
    again = PLACE.model_copy(update={"recorded_at": datetime(2021, 1, 1, tzinfo=UTC)})
    assert again.event_id == PLACE.event_id
    assert PLACE.model_copy(update={"record_version": 4}).event_id != PLACE.event_id


def test_the_cloudevents_library_reads_our_envelope() -> None:
    message = encode(PLACE, source="intake")
    event = from_kafka_event(
        KafkaMessage(headers=dict(message.headers), key=message.key, value=message.value)
    )
    assert event.get_type() == event_type_of(message)
    assert event.get_source() == "/outpost/intake"
    assert event.get_time() == AT
