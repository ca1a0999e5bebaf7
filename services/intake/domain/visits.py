"""A clinic visit as all its messages together tell it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from uuid import UUID

from services.intake.domain.hl7.admission import ClinicEncounter

_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class VisitPart:
    """One message of a visit with what its receipt says about it."""

    encounter: ClinicEncounter
    fingerprint: bytes
    received_at: datetime
    source_id: UUID
    sender: str

    @property
    def event_at(self) -> datetime:
        return self.encounter.event_at or self.received_at


@dataclass(frozen=True, slots=True)
class Visit:
    """The newest message's whole record, with every complaint that was ever told."""

    encounter: ClinicEncounter
    occurred_at: datetime
    event_at: datetime
    newest: VisitPart


def fold_visit(parts: Sequence[VisitPart]) -> Visit:
    """The newest whole record wins; a complaint is never lost (PHIN guide, SS-005).

    Newest by event time, then sent time, then content: the same for every order of arrival.
    """
    ordered = sorted(
        parts,
        key=lambda part: (part.event_at, part.encounter.sent_at or _NEVER, part.fingerprint),
    )
    newest = ordered[-1]
    identified = next(
        (part for part in reversed(ordered) if part.encounter.patient.identifiers), newest
    )
    encounter = replace(
        newest.encounter,
        patient=identified.encounter.patient,
        chief_complaints=_unite(part.encounter.chief_complaints for part in ordered),
        triage_notes=_unite(part.encounter.triage_notes for part in ordered),
        findings=(),
    )
    occurred_at = encounter.admitted_at or ordered[0].event_at
    return Visit(encounter, occurred_at, newest.event_at, newest)


def _unite(groups: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(text for group in groups for text in group))
