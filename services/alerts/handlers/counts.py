"""Counts facts, carries the sums up the area tree, and judges what changed.

A consumer stores its facts with what they change in the sums of their site and day, and makes those
due. The evaluator carries the difference between a sum as it stands and as it was carried last into
every series above it, so that it does not matter how often or in which order it is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

from services.alerts.domain.counting.facts import (
    CountedFact,
    count_report,
    count_result,
    count_scan,
    local_day,
)
from services.alerts.domain.counting.policy import Detection
from services.alerts.domain.counting.sizes import MILLI
from services.alerts.handlers.verdicts import judge_series
from services.alerts.repository.counts import (
    Carry,
    Cell,
    cells_at,
    cells_in,
    counted_of_persons,
    move_home,
    read_cells,
    store_counted,
    write_cells,
    zones_of,
)
from services.alerts.repository.detection import Counting, counting_in_force, counting_versions
from services.alerts.repository.fits import StoredFit, Topic, fit_ids, read_fit
from services.alerts.repository.series import (
    SeriesKey,
    SeriesRow,
    read_series_at,
    write_series,
)
from shared.database.work import Work
from shared.events.base import Event
from shared.events.intake import ReportRecorded, ResultReported, ScanRecorded

Fact = TypeVar("Fact", bound=Event)
Reader = Callable[[Any, Detection, ZoneInfo], CountedFact | None]
KEPT = "alerts.counting"
FITS_KEPT_MOST = 500


@dataclass
class Kept:
    """What this process keeps from one batch to the next; each piece is asked for its version
    before it is used."""

    versions: object = None
    counting: Counting | None = None
    zones: dict[str, ZoneInfo] = field(default_factory=dict)
    fits: dict[tuple[Topic, date], StoredFit] = field(default_factory=dict)


async def count_reports(work: Work, events: Sequence[ReportRecorded]) -> None:
    await _count(work, events, count_report, lambda event: event.place_area_id)


async def count_scans(work: Work, events: Sequence[ScanRecorded]) -> None:
    await _count(work, events, count_scan, lambda event: event.place_area_id)


async def count_results(work: Work, events: Sequence[ResultReported]) -> None:
    await _count(work, events, count_result, lambda event: event.area_id)
    # Where the person is registered is read after the commit: that may be told at the same moment.
    work.due("residence", {str(event.record_id) for event in events})


async def _count(
    work: Work, events: Sequence[Fact], read: Reader, area_of: Callable[[Fact], str | None]
) -> None:
    counting = await counting_now(work)
    if counting is None or not events:
        return
    areas = {area_id for event in events if (area_id := area_of(event))}
    zones = await _zones(work, areas)
    usual = ZoneInfo(counting.document.zone)
    facts = [
        read(event, counting.policy, zones.get(area_of(event) or "", usual)) for event in events
    ]
    _due(work, await store_counted(work, [fact for fact in facts if fact is not None]))


async def place_results(work: Work, keys: Sequence[str]) -> None:
    """Evaluator of `residence`: results count where their persons live."""
    _due(work, await move_home(work, [UUID(key) for key in keys]))


async def count_again_at(work: Work, place_ids: Sequence[UUID]) -> None:
    """A place is registered elsewhere: what it told counts there."""
    _due(work, await cells_at(work, place_ids))


async def count_again_of(work: Work, person_ids: Sequence[UUID]) -> None:
    record_ids = await counted_of_persons(work, person_ids)
    work.due("residence", {str(record_id) for record_id in record_ids})


async def count_again_in(work: Work, area_ids: Sequence[str]) -> None:
    """The tree has changed above these areas."""
    _due(work, await cells_in(work, area_ids))


def _due(work: Work, cells: Iterable[Cell]) -> None:
    work.due("count", {cell.key for cell in cells})


async def carry_counts(work: Work, keys: Sequence[str]) -> None:
    """Evaluator of `count`; the keys are cells. One process at a time carries a topic."""
    counting = await counting_now(work)
    if counting is None:
        return
    cells = {Cell.of_key(key) for key in keys}
    topics = {Topic(cell.point_kind, cell.syndrome) for cell in cells}
    await work.lock(*(topic_lock(topic) for topic in topics))
    days = {(Topic(cell.point_kind, cell.syndrome), cell.day) for cell in cells}
    fits = await current_fits(work, days)
    sums: dict[SeriesKey, list[int]] = {}
    carried = []
    for one in await read_cells(work, cells):
        stored = fits.get((Topic(one.cell.point_kind, one.cell.syndrome), one.cell.day))
        size, doubt = _size(one, counting.policy, stored)
        if _differs(one, size, doubt):
            carried.append((one, size, doubt))
            _add_up(sums, one, size, doubt)
    if carried:
        await write_cells(work, carried)
        rows = await _added_up(work, sums)
        judged = await judge_series(work, counting, rows, fits, today_in(work, counting))
        await write_series(work, list({one.series: one for one in [*rows, *judged]}.values()))
    _fit_again(work, counting, days, {one.cell for one, _, _ in carried}, fits)


async def _added_up(work: Work, sums: dict[SeriesKey, list[int]]) -> list[SeriesRow]:
    """The rows as they are with these differences added."""
    stored = await read_series_at(work, list(sums))
    found = []
    for key, by in sums.items():
        row = stored.get(key) or SeriesRow(*key)
        counts = [old + more for old, more in zip(row[4:10], by, strict=True)]
        found.append(SeriesRow._make([*key, *counts, *row[10:]]))
    return found


def topic_lock(topic: Topic) -> str:
    return f"counts/{topic.point_kind}/{topic.syndrome}"


def _size(one: Carry, policy: Detection, stored: StoredFit | None) -> tuple[int, int]:
    """What a site that spoke weighs in the denominator; nothing before its kind was ever fitted,
    which the first fit makes good."""
    kind = policy.kinds.get(one.cell.point_kind)
    if one.records <= 0 or kind is None:
        return 0, 0
    if kind.denominator == "seen":
        return int(MILLI) * one.seen, 0
    if kind.denominator == "none":
        return int(MILLI), 0
    return stored.size_of(one.cell.site_id, one.cell.area_id) if stored else (0, 0)


def _differs(one: Carry, size: int, doubt: int) -> bool:
    if one.before is None:
        return one.records != 0
    return one.before != (one.line, one.persons, one.seen, one.records, size, doubt)


def _add_up(sums: dict[SeriesKey, list[int]], one: Carry, size: int, doubt: int) -> None:
    """Take away what was carried where it was carried; add what stands where it belongs."""
    cell, before = one.cell, one.before
    now = [one.persons, one.seen, one.records, int(one.records > 0), size, doubt]
    if before is not None:
        line, persons, seen, records, old_size, old_doubt = before
        was = [persons, seen, records, int(records > 0), old_size, old_doubt]
        if line == one.line:
            now = [new - old for new, old in zip(now, was, strict=True)]
        else:
            _move(sums, cell, line, [-number for number in was])
    _move(sums, cell, one.line, now)


def _move(sums: dict[SeriesKey, list[int]], cell: Cell, line: Iterable[str], by: list[int]) -> None:
    for area_id in line:
        key = SeriesKey(area_id, cell.point_kind, cell.syndrome, cell.day)
        total = sums.get(key)
        sums[key] = (
            list(by) if total is None else [old + new for old, new in zip(total, by, strict=True)]
        )


def _fit_again(
    work: Work,
    counting: Counting,
    days: Iterable[tuple[Topic, date]],
    changed: Iterable[Cell],
    fits: Mapping[tuple[Topic, date], StoredFit],
) -> None:
    """A day without a fit gets one at once. Days before today that changed are history: what comes
    after them is fitted again, a few minutes' changes at once."""
    today = today_in(work, counting)
    oldest = today - timedelta(days=counting.document.rejudge_days)
    for topic, day in days:
        if (topic, day) not in fits and oldest <= day <= today:
            work.due("refit", [refit_key(topic, day)])
    minutes = counting.document.refit_minutes
    for cell in changed:
        if cell.day < today:
            key = refit_key(Topic(cell.point_kind, cell.syndrome), max(cell.day, oldest))
            work.timer("refit", key, _next(work.now(), minutes))


def _next(now: datetime, minutes: int) -> datetime:
    """The next full step of the clock: however often it is set, it comes."""
    start = datetime.combine(now.date(), time(), now.tzinfo)
    step = timedelta(minutes=minutes)
    return start + ((now - start) // step + 1) * step


def refit_key(topic: Topic, day: date | str) -> str:
    return f"{topic.point_kind}|{topic.syndrome}|{day}"


def today_in(work: Work, counting: Counting) -> date:
    return local_day(work.now(), ZoneInfo(counting.document.zone))


def kept_of(work: Work) -> Kept:
    found = work.kept.setdefault(KEPT, Kept())
    assert isinstance(found, Kept)
    return found


async def counting_now(work: Work) -> Counting | None:
    """The policies as they stand; parsed again only when one has changed."""
    kept = kept_of(work)
    versions = await counting_versions(work)
    if versions != kept.versions:
        kept.counting = await counting_in_force(work)
        kept.versions = versions
    return kept.counting


async def current_fits(
    work: Work, wanted: Iterable[tuple[Topic, date]]
) -> dict[tuple[Topic, date], StoredFit]:
    """Those that there are; read again where another process or a correction made a new one."""
    kept = kept_of(work).fits
    found: dict[tuple[Topic, date], StoredFit] = {}
    for key, fit_id in (await fit_ids(work, sorted(wanted))).items():
        stored = kept.get(key)
        if stored is None or stored.fit.fit_id != fit_id:
            kept.pop(key, None)
            stored = kept[key] = await read_fit(work, *key)
            if len(kept) > FITS_KEPT_MOST:
                kept.pop(next(iter(kept)))
        found[key] = stored
    return found


async def _zones(work: Work, area_ids: set[str]) -> Mapping[str, ZoneInfo]:
    """An area keeps its zone; one that is not known yet is asked for again."""
    kept = kept_of(work).zones
    unknown = area_ids - kept.keys()
    if unknown:
        found = await zones_of(work, unknown)
        kept.update({area_id: ZoneInfo(zone) for area_id, zone in found.items()})
    return kept
