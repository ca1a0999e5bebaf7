"""What every event is made of."""

from __future__ import annotations

from typing import Annotated, ClassVar
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from shared.ids import named_id

EVENT_NAMESPACE = "6f757470-6f73-7400-8000-000000000001"

Instant = Annotated[AwareDatetime, Field(description="UTC instant, ISO 8601 with offset")]


def event_id_of(event_type: str, record_id: UUID, version: int) -> UUID:
    """The id of one version of a record, as its event carries it: what a `cause_id` names."""
    return named_id(EVENT_NAMESPACE, f"{event_type}/{record_id}/{version}")


class EventPart(BaseModel):
    """A piece of an event. Readers ignore unknown fields; writers are held to the model."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Evidence(EventPart):
    """One record that something rests on; it stands while any of its evidence stands."""

    kind: str = Field(
        description="scan, visit, encounter, membership, link, result, contact, report …"
    )
    id: UUID
    version: int = 1


class Event(EventPart):
    """A record as its owner knows it at `record_version`; consumers apply only a higher version.

    `occurred_at` is event time (when it happened in the world), `recorded_at` is when the owner
    stored this version. The event id is derived from record and version: a republished event is
    the same event.
    """

    type: ClassVar[str]
    topic: ClassVar[str]

    record_id: UUID
    record_version: int = Field(ge=1)
    occurred_at: Instant
    recorded_at: Instant
    exercise: bool = Field(default=False, description="a drill: never enters real counts or orders")

    @property
    def event_id(self) -> UUID:
        return event_id_of(self.type, self.record_id, self.record_version)

    @property
    def ordering_id(self) -> UUID:
        """What the partition is chosen by: the person where there is one, else the record."""
        person_id: UUID | None = getattr(self, "person_id", None)
        return person_id or self.record_id

    @property
    def log_topic(self) -> str:
        """The topic it is written to; a policy goes to its owner's."""
        return self.topic
