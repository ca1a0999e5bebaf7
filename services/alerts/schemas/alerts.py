"""Alerts as they are told over HTTP. Times are UTC instants."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from services.alerts.domain.life import State
from services.alerts.domain.rules import Level
from shared.bounds import PlainText


class AlertView(BaseModel):
    """An alert as it stands; `persons` are known by id, `unlinked_persons` were only counted."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    record_version: int
    rule_id: str
    rule_version: int
    title_zh: str
    title_en: str
    area_id: str
    area_name: str
    area_name_en: str
    level: Level
    state: State
    first_at: datetime
    last_at: datetime
    points: int
    persons: int
    unlinked_persons: int
    reasons: list[dict[str, Any]]
    silent_if: list[str]
    silent_if_text_zh: str
    silent_if_text_en: str
    reason: str
    opened_at: datetime
    changed_at: datetime
    households: int
    consents: list[dict[str, Any]]
    held_at: datetime | None
    quiet_at: datetime | None


class AlertList(BaseModel):
    """The youngest first. A stream opened with `Last-Event-ID: stream_offset` misses nothing after
    it."""

    alerts: list[AlertView]
    stream_offset: int


class RecordView(BaseModel):
    """A signal that the alert rests on, and the record behind it."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID = Field(description="the signal")
    record_version: int
    record_kind: str
    record_id: UUID
    fact_version: int
    occurred_at: datetime
    point_kind: str
    point_id: str
    person_id: UUID | None
    person_count: int
    place_id: UUID | None
    area_id: str | None
    standing: bool
    test: bool
    reason: str


class TrailLine(BaseModel):
    """What was done to the alert, by whom or what, why, and the record version that caused it."""

    model_config = ConfigDict(from_attributes=True)

    at: datetime
    actor: str
    action: str
    record_version: int | None
    reason: str
    policy: str | None
    cause_id: UUID | None


class AlertDetail(AlertView):
    """Everything about one alert; `records` are at most 2,000, in order of event time."""

    records: list[RecordView]
    trail: list[TrailLine]


class ActRequest(BaseModel):
    """Why a person does it; stays in the trail, is never announced."""

    model_config = ConfigDict(extra="forbid")

    reason: PlainText = Field(min_length=1, max_length=1000)


class ActAnswer(BaseModel):
    """The alert after the act."""

    id: UUID
    record_version: int
    state: State
