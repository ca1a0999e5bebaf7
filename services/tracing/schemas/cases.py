"""Cases, contacts and co-locations as the HTTP door takes and shows them."""

from __future__ import annotations

from datetime import date
from typing import Any, Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from shared.bounds import CalendarDay, Moment, PlainText


class OpenCaseRequest(BaseModel):
    """A case opened by hand. `reason` is kept with the author and goes to no other service."""

    model_config = ConfigDict(extra="forbid")

    person_id: UUID
    disease: str = Field(min_length=1, max_length=64, pattern=r"^[a-z0-9][a-z0-9._-]*$")
    classification: Literal["suspected", "probable", "confirmed", "asymptomatic"]
    onset_date: CalendarDay | None = None
    reported_at: Moment | None = Field(default=None, description="empty: now")
    area_id: PlainText | None = Field(
        default=None,
        max_length=64,
        description="counts where nobody knows yet where the person lives",
    )
    reason: PlainText = Field(min_length=1, max_length=2000)


class DecideRequest(BaseModel):
    """Why a case is discarded or opened again."""

    model_config = ConfigDict(extra="forbid")

    reason: PlainText = Field(min_length=1, max_length=2000)


class CaseAccepted(BaseModel):
    """Stored; the case is judged right after, so it may take a moment to show."""

    case_id: UUID


class EvidenceShown(BaseModel):
    kind: str
    id: UUID
    version: int


class WindowShown(BaseModel):
    """`basis` names the date that days are counted from: onset, or the policy's fallback."""

    from_at: AwareDatetime
    until_at: AwareDatetime
    basis: str
    day: date


class ActShown(BaseModel):
    """What a person decided, with author and reason."""

    id: UUID
    action: str
    author: str
    reason: str
    at: AwareDatetime


class CaseShown(BaseModel):
    id: UUID
    version: int
    person_id: UUID
    disease: str
    classification: str
    standing: bool
    onset_date: date | None
    diagnosed_date: date | None
    specimen_collected_at: AwareDatetime | None
    reported_at: AwareDatetime | None
    occurred_at: AwareDatetime
    window: WindowShown | None
    area_id: str | None
    reason: str
    cause_id: UUID | None
    policy: str | None
    exercise: bool
    evidence: list[EvidenceShown]
    recorded_at: AwareDatetime


class CaseWithActs(CaseShown):
    acts: list[ActShown]
    contacts: dict[str, int]


class CasesShown(BaseModel):
    total: int
    page: int
    page_size: int
    cases: list[CaseShown]


class ReasonShown(BaseModel):
    code: str
    place_id: UUID | None
    place_kind: str | None
    minutes: float
    first_at: AwareDatetime
    last_at: AwareDatetime


class ContactShown(BaseModel):
    id: UUID
    version: int
    person_id: UUID
    via_person_id: UUID | None
    degree: str
    first_exposure_at: AwareDatetime
    last_exposure_at: AwareDatetime
    minutes: float
    reasons: list[ReasonShown]
    evidence: list[EvidenceShown]
    standing: bool
    reason: str
    cause_id: UUID | None
    policy: str | None
    recorded_at: AwareDatetime


class ContactsShown(BaseModel):
    """`counts` are of all standing contacts by degree, whatever was asked for."""

    total: int
    page: int
    page_size: int
    counts: dict[str, int]
    contacts: list[ContactShown]


class CoLocationShown(BaseModel):
    """A visit of a person to a place while the case was there; `visit_id` is the scan's record."""

    id: UUID
    version: int
    person_id: UUID
    place_id: UUID
    place_kind: str | None
    visit_id: UUID
    from_at: AwareDatetime
    until_at: AwareDatetime
    minutes: float
    evidence: list[EvidenceShown]
    standing: bool
    reason: str
    cause_id: UUID | None
    policy: str | None
    recorded_at: AwareDatetime


class CoLocationsShown(BaseModel):
    total: int
    page: int
    page_size: int
    co_locations: list[CoLocationShown]


class LinkShown(BaseModel):
    id: UUID
    version: int
    person_id: UUID
    disease: str
    setting: str | None
    exposed_at: AwareDatetime | None


class LinksShown(BaseModel):
    """All candidates: who may have infected this person, and whom this person may have infected."""

    person_id: UUID
    infectors: list[LinkShown]
    infectees: list[LinkShown]


class LinkCounts(BaseModel):
    disease: str
    edges: int
    infectors: int
    infectees: int
    dated: int
    top_infectors: list[dict[str, Any]]


def show_case(row: Any) -> dict[str, Any]:
    """The fields of `CaseShown` from a row."""
    values = dict(row._mapping)
    window = None
    if row.infectious_from is not None:
        window = {
            "from_at": row.infectious_from,
            "until_at": row.infectious_until,
            "basis": row.window_basis,
            "day": row.window_date,
        }
    return {name: values[name] for name in CaseShown.model_fields if name in values} | {
        "window": window
    }


def show_contact(row: Any) -> ContactShown:
    values = row._mapping
    return ContactShown(**{name: values[name] for name in ContactShown.model_fields})


def show_co_location(row: Any) -> CoLocationShown:
    values = row._mapping
    return CoLocationShown(**{name: values[name] for name in CoLocationShown.model_fields})


def show_link(row: Any, person_id: UUID) -> LinkShown:
    """A link as seen from one of its persons: `person_id` is the other one."""
    other = row.other_person_id if row.person_id == person_id else row.person_id
    return LinkShown(
        id=row.id,
        version=row.version,
        person_id=other,
        disease=row.disease,
        setting=row.setting,
        exposed_at=row.exposed_at,
    )
