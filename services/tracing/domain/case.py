"""What makes a person a case of a disease, from all evidence there is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Literal
from uuid import UUID
from zoneinfo import ZoneInfo

from shared.events.base import event_id_of
from shared.events.intake import CaseDeclared, ResultReported
from shared.events.tracing import Classification

EvidenceKind = Literal["result", "declaration", "opening"]

# The strongest evidence names the case. An asymptomatic infection was proved by a test, so it
# outranks a probable case, which was not.
STRENGTH: dict[Classification, int] = {
    "discarded": 0,
    "suspected": 1,
    "probable": 2,
    "asymptomatic": 3,
    "confirmed": 4,
}
EVENT_TYPES: dict[EvidenceKind, str] = {
    "result": ResultReported.type,
    "declaration": CaseDeclared.type,
}


@dataclass(frozen=True, slots=True)
class CaseEvidence:
    """One thing that says "this person has this disease". Dates are days in the area's zone."""

    kind: EvidenceKind
    id: UUID
    version: int
    standing: bool
    classification: Classification
    occurred_at: datetime
    recorded_at: datetime
    reported_at: datetime | None = None
    reported_date: date | None = None
    diagnosed_date: date | None = None
    onset_date: date | None = None
    specimen_collected_at: datetime | None = None
    area_id: str | None = None
    exercise: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """A person discarded or reopened the case. A discard covers the evidence known then, by id."""

    id: UUID
    action: Literal["discard", "reopen"]
    author: str
    at: datetime
    covered: frozenset[UUID] = frozenset()


@dataclass(frozen=True, slots=True)
class CaseAssessment:
    """What the evidence makes of a case; `occurred_at` is the earliest date that made it one."""

    classification: Classification
    standing: bool
    occurred_at: datetime
    reported_at: datetime
    onset_date: date | None
    specimen_collected_at: datetime | None
    diagnosed_date: date | None
    reason: str
    cause_id: UUID | None
    evidence: tuple[CaseEvidence, ...]
    set_aside: tuple[CaseEvidence, ...]
    exercise: bool


def assess_case(
    evidence: Sequence[CaseEvidence], verdicts: Sequence[Verdict], zone: ZoneInfo
) -> CaseAssessment | None:
    """The case that all this evidence makes, or None when there is none.

    A case stands while any of its evidence stands, unless a person discarded it; a negative result
    is no evidence and so discards nothing. A discard covers what was known when it was spoken: a
    new positive specimen afterwards makes the case stand again, on that specimen alone. Its
    classification is the strongest of its evidence, its dates are the earliest of theirs. What no
    longer stands keeps the dates it had.
    """
    last = max(verdicts, key=lambda verdict: (verdict.at, verdict.id), default=None)
    discard = last if last is not None and last.action == "discard" else None
    covered = discard.covered if discard is not None else frozenset()
    standing = [item for item in evidence if item.standing]
    counting = [item for item in standing if item.id not in covered]
    basis = sorted(counting or standing or evidence, key=lambda item: (item.kind, item.id))
    if not basis:
        return None
    stands = bool(counting)
    if stands:
        discard = None
    strongest = max((item.classification for item in basis), key=STRENGTH.__getitem__)
    return CaseAssessment(
        classification=strongest if stands else "discarded",
        standing=stands,
        occurred_at=min(_made_at(item, zone) for item in basis),
        reported_at=min(_reported_at(item, zone) for item in basis),
        onset_date=_earliest([item.onset_date for item in basis]),
        specimen_collected_at=min(
            (item.specimen_collected_at for item in basis if item.specimen_collected_at),
            default=None,
        ),
        diagnosed_date=_earliest([item.diagnosed_date for item in basis]),
        reason=_reason(basis, stands=stands, discarded_by=discard.author if discard else ""),
        cause_id=None if stands else _cause(evidence, discard),
        evidence=tuple(basis),
        set_aside=tuple(
            sorted(
                (item for item in evidence if item.id in covered),
                key=lambda item: (item.kind, item.id),
            )
        ),
        exercise=all(item.exercise for item in basis),
    )


def area_of_case(evidence: Sequence[CaseEvidence], residence_area_id: str | None) -> str | None:
    """Where the case belongs: where the person lives, else where the first evidence came from."""
    if residence_area_id is not None:
        return residence_area_id
    known = [item for item in evidence if item.area_id is not None]
    known.sort(key=lambda item: (not item.standing, item.occurred_at, item.id))
    return known[0].area_id if known else None


def start_of_day(day: date, zone: ZoneInfo) -> datetime:
    """The instant (UTC) at which a day begins in a zone."""
    return datetime.combine(day, time.min, tzinfo=zone).astimezone(UTC)


def _reported_at(item: CaseEvidence, zone: ZoneInfo) -> datetime:
    """An instant where there is one; of a mere date, its first moment."""
    if item.reported_at is not None:
        return item.reported_at
    day = item.reported_date or item.diagnosed_date
    return start_of_day(day, zone) if day else item.occurred_at


def _made_at(item: CaseEvidence, zone: ZoneInfo) -> datetime:
    if item.specimen_collected_at is not None:
        return item.specimen_collected_at
    day = _earliest([item.diagnosed_date, item.reported_date])
    return start_of_day(day, zone) if day else _reported_at(item, zone)


def _earliest(days: Sequence[date | None]) -> date | None:
    return min((day for day in days if day is not None), default=None)


def _reason(basis: Sequence[CaseEvidence], *, stands: bool, discarded_by: str) -> str:
    if discarded_by:
        return f"discarded by {discarded_by}"
    if not stands:
        return "all its evidence was withdrawn"
    words = {
        "result": "positive laboratory result",
        "declaration": "declared case",
        "opening": "opened by hand",
    }
    counts = {kind: sum(item.kind == kind for item in basis) for kind in words}
    return ", ".join(
        words[kind] if count == 1 else f"{words[kind]} ({count})"
        for kind, count in counts.items()
        if count
    )


def _cause(evidence: Sequence[CaseEvidence], discard: Verdict | None) -> UUID | None:
    if discard is not None:
        return discard.id
    withdrawn = [item for item in evidence if not item.standing]
    last = max(withdrawn, key=lambda item: (item.recorded_at, item.id), default=None)
    if last is None:
        return None
    return event_id_of(EVENT_TYPES[last.kind], last.id, last.version)
