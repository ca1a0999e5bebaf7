"""Facts become signals: stored now, judged after the commit."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from services.alerts.domain.readings import (
    Reading,
    read_breach,
    read_co_location,
    read_report,
    read_result,
    read_scan,
)
from services.alerts.handlers.counts import count_reports, count_results, count_scans
from services.alerts.repository.signals import (
    record_ids_where,
    standing_of_records,
    store_readings,
)
from shared.database.work import Work
from shared.events.base import Event
from shared.events.intake import ReportRecorded, ResultReported, ScanRecorded
from shared.events.quarantine import BreachChanged
from shared.events.tracing import CoLocationChanged

Fact = TypeVar("Fact", bound=Event)


async def store_reports(work: Work, events: Sequence[ReportRecorded]) -> None:
    await _store(work, events, read_report)
    await count_reports(work, events)


async def store_scans(work: Work, events: Sequence[ScanRecorded]) -> None:
    # Of 5,000 scans a second nearly all are first versions without fever: they are only counted.
    await _store(
        work, [scan for scan in events if scan.fever or scan.record_version > 1], read_scan
    )
    await count_scans(work, events)


async def store_results(work: Work, events: Sequence[ResultReported]) -> None:
    await _store(work, events, read_result)
    await count_results(work, events)


async def store_breaches(work: Work, events: Sequence[BreachChanged]) -> None:
    await _store(work, events, read_breach)


async def store_co_locations(work: Work, events: Sequence[CoLocationChanged]) -> None:
    await _store(work, events, read_co_location)


async def _store(
    work: Work, events: Iterable[Fact], read: Callable[[Fact], Reading | None]
) -> None:
    readings = [reading for event in events if (reading := read(event)) is not None]
    await store_readings(work, readings)
    work.due("record", {str(reading.record_id) for reading in readings if reading.lit})
    # Thousands of co-locations say that they fall after their case has said so of all of them.
    dark = [reading.record_id for reading in readings if not reading.lit]
    if dark:
        standing = await record_ids_where(work, standing_of_records(dark))
        work.due("record", map(str, standing))
