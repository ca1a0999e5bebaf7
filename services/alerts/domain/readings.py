"""Which facts light up a point. A fact that no longer does is kept too, so that its first version,
arriving late, does not light up what its second has put out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from shared.events.base import Event
from shared.events.intake import ReportRecorded, ResultReported, ScanRecorded
from shared.events.quarantine import BreachChanged
from shared.events.tracing import CoLocationChanged
from shared.ids import derived_id

CHECKPOINT_FEVER = "checkpoint_fever"
POSITIVE_RESULT = "positive_result"
BREACH = "breach"
CO_LOCATION = "co_location"

# Where they count is where the person lives, as it is with the case they make.
OF_THE_PERSON = frozenset({"result"})
# They rest on a case that others make: without it they fall, whatever it was made of.
OF_THE_CASE = frozenset({"co_location"})


@dataclass(frozen=True, slots=True)
class Where:
    """Areas as the fact tells them: of the place, and of the person's residence."""

    place_id: UUID | None
    place_area_id: str | None
    residence_area_id: str | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """One version of a fact, read as a signal; `lit` False: this version lights nothing."""

    record_kind: str
    record_id: UUID
    fact_version: int
    fact_event_id: UUID
    occurred_at: datetime
    point_kind: str
    point_id: str
    lit: bool
    person_id: UUID | None
    person_count: int
    where: Where
    reason: str
    case_id: UUID | None = None
    test: bool = False

    @property
    def id(self) -> UUID:
        return derived_id("signal", self.record_id, self.point_kind)


def worth_keeping(event: Event, *, lit: bool) -> bool:
    """What lights, and what may have lit in an earlier version. Drills never light anything."""
    return lit or event.record_version > 1


def read_report(event: ReportRecorded) -> Reading | None:
    """A sentinel report that tells of fever lights its point: the place, or the source where no
    place is known.

    Reports of a source registered as test light up too and are marked.
    """
    lit = event.fever and event.status == "recorded" and not event.exercise
    if not worth_keeping(event, lit=lit):
        return None
    return Reading(
        record_kind="report",
        record_id=event.record_id,
        fact_version=event.record_version,
        fact_event_id=event.event_id,
        occurred_at=event.occurred_at,
        point_kind=event.kind,
        point_id=str(event.place_id or event.source_id),
        lit=lit,
        person_id=event.person_id,
        person_count=event.person_count,
        where=Where(event.place_id, event.place_area_id, event.residence_area_id),
        reason=f"fever reported ({event.reading or event.kind})",
        test=event.test,
    )


def read_scan(event: ScanRecorded) -> Reading | None:
    """A scan with fever lights its checkpoint."""
    lit = event.fever and event.status == "recorded" and not event.exercise
    if not worth_keeping(event, lit=lit):
        return None
    return Reading(
        record_kind="scan",
        record_id=event.record_id,
        fact_version=event.record_version,
        fact_event_id=event.event_id,
        occurred_at=event.occurred_at,
        point_kind=CHECKPOINT_FEVER,
        point_id=str(event.place_id),
        lit=lit,
        person_id=event.person_id,
        person_count=1,
        where=Where(event.place_id, event.place_area_id, event.residence_area_id),
        reason="fever at a checkpoint",
    )


def read_result(event: ResultReported) -> Reading | None:
    """A positive result lights its laboratory; it falls with the case that a person discards."""
    lit = event.outcome == "positive" and event.status == "recorded" and not event.exercise
    if not worth_keeping(event, lit=lit):
        return None
    return Reading(
        record_kind="result",
        record_id=event.record_id,
        fact_version=event.record_version,
        fact_event_id=event.event_id,
        occurred_at=event.occurred_at,
        point_kind=POSITIVE_RESULT,
        point_id=str(event.source_id),
        lit=lit,
        person_id=event.person_id,
        person_count=1,
        where=Where(None, event.area_id),
        reason=f"positive result for {event.disease} ({event.stage})",
        case_id=derived_id("case", event.person_id, event.disease),
        test=event.test,
    )


def read_breach(event: BreachChanged) -> Reading | None:
    """A breach of an order lights the place where the person was seen."""
    lit = event.standing and not event.exercise
    if not worth_keeping(event, lit=lit):
        return None
    return Reading(
        record_kind="breach",
        record_id=event.record_id,
        fact_version=event.record_version,
        fact_event_id=event.event_id,
        occurred_at=event.occurred_at,
        point_kind=BREACH,
        point_id=str(event.place_id),
        lit=lit,
        person_id=event.person_id,
        person_count=1,
        where=Where(event.place_id, event.area_id),
        reason=event.reason,
    )


def read_co_location(event: CoLocationChanged) -> Reading | None:
    """A visit to a place while a case was there lights the place; it falls with the case."""
    lit = event.standing and not event.exercise
    if not worth_keeping(event, lit=lit):
        return None
    return Reading(
        record_kind="co_location",
        record_id=event.record_id,
        fact_version=event.record_version,
        fact_event_id=event.event_id,
        occurred_at=event.occurred_at,
        point_kind=CO_LOCATION,
        point_id=str(event.place_id),
        lit=lit,
        person_id=event.person_id,
        person_count=1,
        where=Where(event.place_id, event.area_id),
        reason=event.reason,
        case_id=event.case_id,
    )


@dataclass(frozen=True, slots=True)
class KeptSignal:
    """A stored signal with what the copies say: the newest version of its fact, and what was last
    judged."""

    id: UUID
    record_id: UUID
    fact_version: int
    lit: bool
    place_area_id: str | None
    residence_area_id: str | None
    known_place_area_id: str | None
    known_residence_area_id: str | None
    of_the_person: bool
    case_fallen: bool


@dataclass(frozen=True, slots=True)
class Standing:
    """What a signal amounts to: whether it stands, and in which areas."""

    standing: bool
    area_id: str | None
    residence_area_id: str | None


def standing_of(signal: KeptSignal, newest_version: int) -> Standing:
    """Stands while the newest version of its record lights this very point and its case has not
    fallen.

    `newest_version` is the highest among all signals of the record: a report whose kind was
    corrected lights another point, and puts this one out. The place as registered now knows its
    area better than the fact did then. A residence that the fact told stays, for people move; one
    that was not known then is the one registered later.
    """
    registered = signal.known_residence_area_id if signal.of_the_person else None
    return Standing(
        signal.lit and signal.fact_version == newest_version and not signal.case_fallen,
        registered or signal.known_place_area_id or signal.place_area_id,
        signal.residence_area_id or signal.known_residence_area_id,
    )
