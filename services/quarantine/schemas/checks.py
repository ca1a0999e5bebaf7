"""Check-ins as they are sent and answered."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints
from sqlalchemy import Row

from services.quarantine.domain.checks import Check

SymptomCode = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z_]{1,63}$")]


class CheckInBody(BaseModel):
    """One check-in by the person, the household head or the grid worker.

    `done_at` is when it was made (now, if left out), not when it is sent.
    """

    model_config = ConfigDict(extra="forbid")

    done_at: AwareDatetime | None = None
    temperature_c: float | None = Field(default=None, ge=30, le=45)
    symptoms: tuple[SymptomCode, ...] = Field(default=(), max_length=30)


class CheckAnswer(BaseModel):
    """One check-in that is owed, done, missed (late: with `done_at`) or withdrawn."""

    id: UUID
    version: int
    order_id: UUID
    person_id: UUID
    due_at: AwareDatetime
    deadline_at: AwareDatetime
    status: Literal["owed", "done", "missed", "withdrawn"]
    done_at: AwareDatetime | None
    symptomatic: bool

    @classmethod
    def of(cls, check: Check | Row[Any]) -> Self:
        """The answer that tells this check."""
        return cls(**{name: getattr(check, name) for name in cls.model_fields})


class CheckList(BaseModel):
    """A page of check-ins, the latest due first."""

    checks: tuple[CheckAnswer, ...]
