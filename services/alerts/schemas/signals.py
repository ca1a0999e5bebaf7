"""Signals as they are told over HTTP."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict

from services.alerts.schemas.alerts import RecordView


class SignalList(BaseModel):
    """Newest in event time first."""

    signals: list[RecordView]


class SignalCount(BaseModel):
    """Signals of one kind in one area; `persons` are those known by id."""

    model_config = ConfigDict(from_attributes=True)

    area_id: str | None
    name: str
    name_en: str
    point_kind: str
    signals: int
    points: int
    persons: int
    first_at: datetime
    last_at: datetime


class SignalSummary(BaseModel):
    counts: list[SignalCount]
