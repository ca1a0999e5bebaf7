"""Breaches as they are answered."""

from __future__ import annotations

from typing import Any, Self
from uuid import UUID

from pydantic import AwareDatetime, BaseModel
from sqlalchemy import Row


class BreachAnswer(BaseModel):
    """One scan where the order did not allow it; `occurred_at` is the scan's event time."""

    id: UUID
    version: int
    person_id: UUID
    order_id: UUID
    scan_id: UUID
    scan_version: int
    place_id: UUID
    area_id: str | None
    occurred_at: AwareDatetime
    standing: bool
    reason: str
    cause_id: UUID | None

    @classmethod
    def of(cls, row: Row[Any]) -> Self:
        """The answer that tells this breach."""
        return cls(**{name: row._mapping[name] for name in cls.model_fields})


class BreachList(BaseModel):
    """A page of breaches, the latest first."""

    breaches: tuple[BreachAnswer, ...]
