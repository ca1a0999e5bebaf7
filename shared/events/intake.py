"""What intake says: who and what there is, and what was seen."""

from __future__ import annotations

from datetime import date
from typing import ClassVar, Literal
from uuid import UUID

from pydantic import Field

from shared.events.base import Event, EventPart, Instant

Status = Literal["recorded", "withdrawn"]


class PersonChanged(Event):
    """A person was registered, met for the first time, or changed. No name, no number: an id and
    codes.
    """

    type: ClassVar[str] = "outpost.intake.person.changed"
    topic: ClassVar[str] = "intake.person.v1"

    person_id: UUID
    residence_area_id: str | None = None
    placeholder: bool = Field(default=False, description="known only by a reference so far")
    merged_into_id: UUID | None = None


class PlaceChanged(Event):
    """A place was registered or changed. `kind` decides the minimum of an overlap there."""

    type: ClassVar[str] = "outpost.intake.place.changed"
    topic: ClassVar[str] = "intake.place.v1"

    kind: str
    area_id: str | None = None
    test: bool = False


class AreaChanged(Event):
    """An area of the tree. Parent, level, zone and validity are data, never read from the code."""

    type: ClassVar[str] = "outpost.intake.area.changed"
    topic: ClassVar[str] = "intake.area.v1"

    area_id: str
    parent_id: str | None = None
    level: str = Field(description="country, province, prefecture, county, township, village, grid")
    name: str = ""
    name_en: str = ""
    zone: str = Field(default="Asia/Shanghai", description="IANA time zone")
    valid_from: date | None = None
    valid_to: date | None = None


class ScanRecorded(Event):
    """A checkpoint or venue scan as its owner knows it; `record_version` is the sender's revision.

    `left_at` where the sender knows it. `permit_id` names a permitted journey (transfer, test) on
    the scan.
    """

    type: ClassVar[str] = "outpost.intake.scan.recorded"
    topic: ClassVar[str] = "intake.scan.v1"

    person_id: UUID | None = None
    place_id: UUID
    place_kind: str = "unknown"
    place_area_id: str | None = None
    residence_area_id: str | None = None
    left_at: Instant | None = None
    temperature_c: float | None = None
    fever: bool = False
    permit: str | None = None
    source_id: UUID
    status: Status = "recorded"


class EncounterMeasured(Event):
    """Two persons were near each other for `minutes` starting at `occurred_at` (measured
    proximity).
    """

    type: ClassVar[str] = "outpost.intake.encounter.measured"
    topic: ClassVar[str] = "intake.encounter.v1"

    person_id: UUID
    other_person_id: UUID
    duration_seconds: int = Field(ge=0)
    area_id: str | None = None
    source_id: UUID
    status: Status = "recorded"


class ReportRecorded(Event):
    """A sentinel report: one visit to a fever clinic, a pharmacy sale, an absence at a school, …

    `fever` and `syndromes` are the intake's reading of it, with the document version that read it
    so.
    `person_count` counts persons behind a report that names none.
    """

    type: ClassVar[str] = "outpost.intake.report.recorded"
    topic: ClassVar[str] = "intake.report.v1"

    kind: str = Field(description="fever_clinic, emergency, inpatient, pharmacy, school, …")
    place_id: UUID | None = None
    place_area_id: str | None = None
    residence_area_id: str | None = None
    person_id: UUID | None = None
    person_count: int = Field(default=1, ge=0)
    until_at: Instant | None = None
    fever: bool = False
    syndromes: tuple[str, ...] = ()
    reading: str | None = Field(default=None, description="syndrome document id and version")
    source_id: UUID
    test: bool = False
    status: Status = "recorded"


class ResultReported(Event):
    """A laboratory result of one specimen and disease; `occurred_at` is when it was collected."""

    type: ClassVar[str] = "outpost.intake.result.reported"
    topic: ClassVar[str] = "intake.result.v1"

    person_id: UUID
    specimen_id: UUID
    disease: str
    outcome: Literal["positive", "negative", "inconclusive", "invalid"]
    stage: Literal["preliminary", "confirmed"] = "confirmed"
    onset_date: date | None = None
    reported_at: Instant
    area_id: str | None = None
    analytes: tuple[str, ...] = ()
    source_id: UUID
    test: bool = Field(default=False, description="marked as a test by a source registered as test")
    status: Status = "recorded"


class Declared(EventPart):
    """Who declared it and in which list."""

    source_id: UUID
    list_id: UUID | None = None


class CaseDeclared(Event):
    """A case told by a list, a report card or a person; `record_id` is the case report."""

    type: ClassVar[str] = "outpost.intake.case.declared"
    topic: ClassVar[str] = "intake.declaration.v1"

    person_id: UUID
    disease: str
    classification: Literal["suspected", "probable", "confirmed", "asymptomatic", "discarded"]
    onset_date: date | None = None
    reported_date: date | None = None
    diagnosed_date: date | None = None
    area_id: str | None = None
    declared: Declared
    status: Status = "recorded"


class LinkDeclared(Event):
    """Somebody says that `person_id` may have infected or exposed `other_person_id`."""

    type: ClassVar[str] = "outpost.intake.link.declared"
    topic: ClassVar[str] = "intake.declaration.v1"

    person_id: UUID
    other_person_id: UUID
    disease: str
    setting: str | None = Field(
        default=None, description="code of the exposure, no free text on persons"
    )
    exposed_at: Instant | None = Field(
        default=None, description="only a dated link makes a contact"
    )
    declared: Declared
    status: Status = "recorded"


class MembershipDeclared(Event):
    """A person belongs to a group (household, carriage, flight, room, class) from `occurred_at`
    on.
    """

    type: ClassVar[str] = "outpost.intake.membership.declared"
    topic: ClassVar[str] = "intake.declaration.v1"

    person_id: UUID
    group_id: UUID
    group_kind: str
    until_at: Instant | None = None
    declared: Declared
    status: Status = "recorded"
