"""What this service has been told, as the rules read it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal
from uuid import UUID

from shared.events.base import event_id_of
from shared.events.intake import ScanRecorded
from shared.events.tracing import CaseChanged, ContactChanged


@dataclass(frozen=True, slots=True)
class CaseFact:
    """A case. `reported_at` falls back to the case's earliest date where no report is dated."""

    id: UUID
    version: int
    person_id: UUID
    disease: str
    classification: str
    standing: bool
    reported_at: datetime
    area_id: str | None

    @property
    def event_id(self) -> UUID:
        return event_id_of(CaseChanged.type, self.id, self.version)


@dataclass(frozen=True, slots=True)
class ContactFact:
    """A contact; `case` is None as long as the case itself has not been heard of."""

    id: UUID
    version: int
    person_id: UUID
    case_id: UUID
    degree: str
    disease: str
    last_exposure_at: datetime
    standing: bool
    case: CaseFact | None

    @property
    def event_id(self) -> UUID:
        return event_id_of(ContactChanged.type, self.id, self.version)


@dataclass(frozen=True, slots=True)
class ScanFact:
    """One scan at its newest version; `permitted` when it carries a permit of the journey."""

    id: UUID
    version: int
    person_id: UUID | None
    place_id: UUID
    place_kind: str
    area_id: str | None
    occurred_at: datetime
    permitted: bool
    recorded: bool

    @property
    def event_id(self) -> UUID:
        return event_id_of(ScanRecorded.type, self.id, self.version)


@dataclass(slots=True)
class PersonFacts:
    """Everything from which the orders of one person follow."""

    person_id: UUID
    residence_area_id: str | None = None
    contacts: list[ContactFact] = field(default_factory=list)
    cases: list[CaseFact] = field(default_factory=list)


OrderKind = Literal["quarantine", "isolation"]
OrderStatus = Literal["open", "ended", "withdrawn"]
