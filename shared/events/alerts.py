"""What alerts says: a point lit up, and people must act."""

from __future__ import annotations

from typing import ClassVar, Literal
from uuid import UUID

from pydantic import Field

from shared.events.base import Event, EventPart, Evidence, Instant

Level = Literal["blue", "yellow", "orange", "red"]


class SignalChanged(Event):
    """One point lit up: `point_kind` at `point_id` in an area; `occurred_at` is event time."""

    type: ClassVar[str] = "outpost.alerts.signal.changed"
    topic: ClassVar[str] = "alerts.signal.v1"

    point_kind: str
    point_id: str = Field(description="the place, source or person-free subject that lit up")
    area_id: str | None = None
    person_id: UUID | None = None
    person_count: int = 1
    standing: bool = True
    reason: str
    evidence: tuple[Evidence, ...] = ()


class AlertReason(EventPart):
    """One point of an alert: how often it lit, between when, on how many persons."""

    point_kind: str
    point_id: str
    place_id: UUID | None = None
    area_id: str | None = None
    signal_count: int
    person_count: int
    first_at: Instant
    last_at: Instant
    signal_ids: tuple[UUID, ...] = ()


class AlertChanged(Event):
    """An alert as it stands; the whole explanation travels with it."""

    type: ClassVar[str] = "outpost.alerts.alert.changed"
    topic: ClassVar[str] = "alerts.alert.v1"

    rule_id: str
    rule_version: int
    title_zh: str = ""
    title_en: str = ""
    area_id: str | None = None
    level: Level
    state: Literal[
        "open", "acknowledged", "verifying", "escalated", "closed", "dismissed", "withdrawn"
    ]
    first_at: Instant
    last_at: Instant
    points: int
    persons: int
    unlinked_persons: int = 0
    reasons: tuple[AlertReason, ...] = ()
    silent_if: tuple[str, ...] = Field(
        default=(),
        description="the nearest change that would have kept it silent, as points or persons",
    )
    silent_if_text_zh: str = ""
    silent_if_text_en: str = ""
    reason: str = ""
    cause_id: UUID | None = None
