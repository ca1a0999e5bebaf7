"""The rows that our own JSON doors take, as facts.

Instants may lack an offset; the source's default zone is put in when the row is judged.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Literal
from uuid import UUID

from services.intake.domain.references import PersonReference, PlaceReference

Outcome = Literal["positive", "negative", "inconclusive", "invalid"]
Stage = Literal["preliminary", "confirmed"]
Classification = Literal["suspected", "probable", "confirmed", "asymptomatic", "discarded"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RowHead:
    """The sender's own id of the row, its revision, and when it happened."""

    external_id: str
    revision: int = 1
    occurred_at: datetime
    withdrawn: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan(RowHead):
    """A scan at a checkpoint or a venue; temperature in °C."""

    place: PlaceReference
    person: PersonReference | None = None
    left_at: datetime | None = None
    temperature_c: float | None = None
    permit: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SentinelReport(RowHead):
    """A visit, a sale, an absence. `fever` None: to be read from temperature and symptoms."""

    kind: str
    place: PlaceReference | None = None
    person: PersonReference | None = None
    person_count: int = 1
    until_at: datetime | None = None
    temperature_c: float | None = None
    symptoms: tuple[str, ...] = field(default=(), repr=False)
    fever: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Proximity(RowHead):
    """Two persons near each other for some seconds from `occurred_at` on."""

    person: PersonReference
    other_person: PersonReference
    duration_seconds: int
    place: PlaceReference | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership(RowHead):
    """A person belongs to a group (household, carriage, class) from `occurred_at` on."""

    person: PersonReference
    group_kind: str
    group_code: str = field(repr=False)
    until_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LabResult(RowHead):
    """One result of one specimen and disease; `occurred_at` is when it was collected."""

    person: PersonReference
    specimen: str
    disease: str
    outcome: Outcome
    stage: Stage = "confirmed"
    reported_at: datetime
    onset_date: date | None = None
    analytes: tuple[str, ...] = ()
    place: PlaceReference | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclaredCase(RowHead):
    """One row of a line list; a blank date stays blank."""

    person: PersonReference
    disease: str
    classification: Classification
    onset_date: date | None = None
    reported_date: date | None = None
    diagnosed_date: date | None = None
    area_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclaredLink(RowHead):
    """One edge of a who-infected-whom list. `setting` is a code of the list's preset."""

    person: PersonReference
    other_person: PersonReference
    disease: str
    setting: str | None = None
    exposed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class PlaceFacts:
    """A place as it is registered."""

    code: str
    kind: str
    area_id: str | None = None
    name_zh: str = ""
    name_en: str = ""
    test: bool = False


@dataclass(frozen=True, slots=True)
class SourceFacts:
    """A source as it is registered. A facility is told by its name and its universal id together:
    two hospitals of NIST's messages share one universal id under two names."""

    name: str
    kind: str
    source_id: UUID | None = None
    facility_namespace: str = ""
    facility_universal_id: str = ""
    place_id: UUID | None = None
    default_zone: str = "Asia/Shanghai"
    encoding: str | None = None
    mode: Literal["live", "test"] = "live"


@dataclass(frozen=True, slots=True)
class PersonFacts:
    """A person as registered; everything but the area goes into the vault."""

    person_id: UUID | None = None
    residence_area_id: str | None = None
    identifiers: tuple[PersonReference, ...] = ()
    fields: tuple[tuple[str, str], ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class AreaFacts:
    """One area of the tree; the parent may arrive later."""

    area_id: str
    level: str
    name: str
    parent_id: str | None = None
    name_en: str = ""
    zone: str = "Asia/Shanghai"
    valid_from: date | None = None
    valid_to: date | None = None
