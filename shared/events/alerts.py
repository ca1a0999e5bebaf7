"""What alerts says: a point lit up, and people must act."""

from __future__ import annotations

from datetime import date
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


class ExcessDay(EventPart):
    """A day of a series that lit a point: what was seen in the area, what was to be expected, the
    count that had to be exceeded, and the probability of so many when nothing is wrong."""

    area_id: str
    syndrome: str
    day: date
    observed: int
    expected: float | None = None
    limit: float | None = None
    p_value: float | None = None
    method: str = Field(default="", description="the detector and its settings' version")
    sites: int = Field(default=0, description="sites that reported on that day")


class ConsentDay(EventPart):
    """A day on which all streams of the alert's area agreed: `p_value` against the area's own past,
    `q_value` across the areas of its level, which the rule's limit holds for."""

    day: date
    p_value: float
    q_value: float
    limit: float
    null_days: int = Field(default=0, description="days of the area's past; 0: not calibrated")
    streams: tuple[str, ...] = ()


class AlertReason(EventPart):
    """One point of an alert: how often it lit, between when, on how many persons.

    A point lit by excess is a kind in an area (`point_id`); `days` are its days.
    """

    point_kind: str
    point_id: str
    place_id: UUID | None = None
    area_id: str | None = None
    signal_count: int
    person_count: int
    first_at: Instant
    last_at: Instant
    signal_ids: tuple[UUID, ...] = ()
    lit_by: Literal["event", "excess"] = "event"
    days: tuple[ExcessDay, ...] = ()


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
        description="the nearest change that would have kept it silent: points, persons, counts",
    )
    silent_if_text_zh: str = ""
    silent_if_text_en: str = ""
    reason: str = ""
    cause_id: UUID | None = None
    households: int = Field(default=0, description="told where the rule counts them")
    consents: tuple[ConsentDay, ...] = ()
    held_at: Instant | None = Field(
        default=None, description="event time at which the rule first held"
    )
