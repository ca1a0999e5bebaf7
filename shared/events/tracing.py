"""What tracing says: who is a case, who was exposed to it, and who was where it was."""

from __future__ import annotations

from datetime import date
from typing import ClassVar, Literal
from uuid import UUID

from pydantic import Field

from shared.events.base import Event, EventPart, Evidence, Instant

Classification = Literal["suspected", "probable", "confirmed", "asymptomatic", "discarded"]


class Reason(EventPart):
    """Why a contact stands: one line a person can be told, as a code with its figures."""

    code: Literal["visit", "encounter", "membership", "link"]
    place_id: UUID | None = None
    place_kind: str | None = None
    minutes: float = Field(ge=0)
    first_at: Instant
    last_at: Instant


class CaseChanged(Event):
    """A case as tracing knows it; `occurred_at` is the earliest date that made it one."""

    type: ClassVar[str] = "outpost.tracing.case.changed"
    topic: ClassVar[str] = "tracing.case.v1"

    person_id: UUID
    disease: str
    classification: Classification
    standing: bool = Field(description="False once discarded or withdrawn")
    onset_date: date | None = None
    specimen_collected_at: Instant | None = None
    reported_at: Instant | None = None
    infectious_from: Instant | None = None
    infectious_until: Instant | None = None
    area_id: str | None = None
    reason: str
    cause_id: UUID | None = None
    evidence: tuple[Evidence, ...] = ()
    set_aside: tuple[Evidence, ...] = Field(
        default=(), description="what a person's discard covers; newer evidence is not in it"
    )
    policy: str | None = None


class ContactChanged(Event):
    """One person's exposure to one case; `occurred_at` is the first exposure."""

    type: ClassVar[str] = "outpost.tracing.contact.changed"
    topic: ClassVar[str] = "tracing.contact.v1"

    case_id: UUID
    case_person_id: UUID
    person_id: UUID
    via_person_id: UUID | None = Field(
        default=None, description="the close contact between, if any"
    )
    degree: Literal["close_contact", "contact_of_contact"]
    disease: str
    first_exposure_at: Instant
    last_exposure_at: Instant
    minutes: float
    reasons: tuple[Reason, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    standing: bool = True
    reason: str
    cause_id: UUID | None = None
    policy: str | None = None


class CoLocationChanged(Event):
    """One visit of a person to a place while a case was there, for as long as counts at that kind
    of place; `occurred_at` is when the two began to be there together."""

    type: ClassVar[str] = "outpost.tracing.co_location.changed"
    topic: ClassVar[str] = "tracing.co_location.v1"

    case_id: UUID
    case_person_id: UUID
    person_id: UUID
    visit_id: UUID = Field(description="the scan's record")
    place_id: UUID
    place_kind: str | None = None
    area_id: str | None = Field(default=None, description="of the place, where it is registered")
    disease: str
    from_at: Instant
    until_at: Instant
    minutes: float
    evidence: tuple[Evidence, ...] = ()
    standing: bool = True
    reason: str
    cause_id: UUID | None = None
    policy: str | None = None
