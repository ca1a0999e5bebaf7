"""Which facts are counted, in which series, and as what: with the syndrome, or as somebody seen.

Reports without fever, scans without fever and negative results count too: they are what the others
are measured against, and they prove that a site spoke.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from services.alerts.domain.counting.policy import Detection, KindPolicy
from services.alerts.domain.readings import CHECKPOINT_FEVER, POSITIVE_RESULT
from shared.events.base import Event
from shared.events.intake import ReportRecorded, ResultReported, ScanRecorded

FEVER = "fever"
# A code that others sent and that names a series: keys are put together of them.
CODE = re.compile(r"[\w:.+-]{1,80}")
# A result that says neither is no test done.
TELLING = frozenset({"positive", "negative"})


@dataclass(frozen=True, slots=True)
class CountedFact:
    """One version of a record. It stands in the series of all its `syndromes` (none: it does not
    count, and puts out what an earlier version did), with `persons` seen, and as a case in those of
    `hits`. `site_id` is the place, or the source where there is none. `lag`: days from event to
    recording."""

    record_id: UUID
    version: int
    point_kind: str
    site_id: UUID
    area_id: str
    day: date
    lag: int
    syndromes: tuple[str, ...]
    hits: tuple[str, ...]
    persons: int
    person_id: UUID | None = None


def count_report(event: ReportRecorded, policy: Detection, zone: ZoneInfo) -> CountedFact | None:
    """A sentinel report, with or without fever; None where its kind is not counted."""
    kind = policy.kinds.get(event.kind)
    if kind is None:
        return None
    told = set(event.syndromes) | ({FEVER} if event.fever else set())
    counts = event.status == "recorded" and not event.exercise and not event.test
    day, lag = _when(event, event.occurred_at, policy, zone)
    return CountedFact(
        record_id=event.record_id,
        version=event.record_version,
        point_kind=event.kind,
        site_id=event.place_id or event.source_id,
        area_id=_area(event.place_area_id),
        day=day,
        lag=lag,
        syndromes=kind.syndromes if counts else (),
        hits=_hits(kind, told) if counts else (),
        persons=event.person_count,
    )


def count_scan(event: ScanRecorded, policy: Detection, zone: ZoneInfo) -> CountedFact | None:
    """A scan is one person seen at a checkpoint."""
    kind = policy.kinds.get(CHECKPOINT_FEVER)
    if kind is None:
        return None
    counts = event.status == "recorded" and not event.exercise
    day, lag = _when(event, event.occurred_at, policy, zone)
    return CountedFact(
        record_id=event.record_id,
        version=event.record_version,
        point_kind=CHECKPOINT_FEVER,
        site_id=event.place_id,
        area_id=_area(event.place_area_id),
        day=day,
        lag=lag,
        syndromes=kind.syndromes if counts else (),
        hits=_hits(kind, {FEVER}) if counts and event.fever else (),
        persons=1,
    )


def count_result(event: ResultReported, policy: Detection, zone: ZoneInfo) -> CountedFact | None:
    """A test done, in the series of its disease; it counts where the person lives."""
    kind = policy.kinds.get(POSITIVE_RESULT)
    if kind is None or (kind.syndromes and event.disease not in kind.syndromes):
        return None
    if not CODE.fullmatch(event.disease):
        return None
    counts = event.status == "recorded" and not event.exercise and not event.test
    counts = counts and event.outcome in TELLING
    day, lag = _when(event, event.occurred_at, policy, zone)
    return CountedFact(
        record_id=event.record_id,
        version=event.record_version,
        point_kind=POSITIVE_RESULT,
        site_id=event.source_id,
        area_id=_area(event.area_id),
        day=day,
        lag=lag,
        syndromes=(event.disease,) if counts else (),
        hits=(event.disease,) if counts and event.outcome == "positive" else (),
        persons=1,
        person_id=event.person_id,
    )


def _area(area_id: str | None) -> str:
    """What is no code of an area is none that is known."""
    return area_id if area_id and CODE.fullmatch(area_id) else ""


def local_day(at: datetime, zone: ZoneInfo) -> date:
    return at.astimezone(zone).date()


def _when(event: Event, at: datetime, policy: Detection, zone: ZoneInfo) -> tuple[date, int]:
    day = local_day(at, zone)
    days = (local_day(event.recorded_at, zone) - day).days
    return day, min(max(days, 0), policy.delay_days_most)


def _hits(kind: KindPolicy, told: set[str]) -> tuple[str, ...]:
    return tuple(syndrome for syndrome in kind.syndromes if syndrome in told)
