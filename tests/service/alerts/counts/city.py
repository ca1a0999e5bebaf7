"""A small city that reports day by day, and what it should come to by plain addition."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import numpy as np
from sqlalchemy import select

from services.alerts.app import service
from services.alerts.domain.excess import Excess
from services.alerts.repository.series import excess_of
from services.alerts.tables import series_day
from shared.clock import ManualClock
from shared.delivery.timers import TimerLoop
from shared.events.intake import ReportRecorded
from tests.service.alerts.town import Town, id_of

ZONE = ZoneInfo("Asia/Shanghai")
SITES = {"north": "cn:340102001", "south": "cn:340102001", "east": "cn:340103"}
LINES = {
    "cn:340102001": ("cn:340102001", "cn:340102", "cn:3401", "cn:34"),
    "cn:340103": ("cn:340103", "cn:3401", "cn:34"),
    "cn:441900003": ("cn:441900003", "cn:4419", "cn:34"),
}


@dataclass(frozen=True)
class Told:
    """One version of a report: which site, day, how many persons, with fever or not."""

    code: str
    site: str
    day: date
    persons: int
    fever: bool = True
    version: int = 1
    kind: str = "pharmacy"
    status: str = "recorded"
    area_id: str | None = None
    late_days: int = 0

    @property
    def leaf(self) -> str:
        return self.area_id or SITES[self.site]

    def event(self) -> ReportRecorded:
        at = datetime.combine(self.day, time(10), ZONE)
        return ReportRecorded.model_validate(
            {
                "record_id": id_of("told", self.code),
                "record_version": self.version,
                "occurred_at": at,
                "recorded_at": at + timedelta(days=self.late_days, hours=1),
                "kind": self.kind,
                "place_id": site_id(self.site),
                "place_area_id": self.leaf,
                "person_count": self.persons,
                "fever": self.fever,
                "source_id": id_of("source", self.site),
                "status": self.status,
            }
        )


def site_id(site: str) -> UUID:
    return id_of("place", site)


def added_up(told: Sequence[Told]) -> dict[tuple[str, str, date], tuple[int, int, int, int]]:
    """(area, kind, day) → persons, seen, records, sites: the newest version of each, by hand."""
    newest = {one.code: one for one in sorted(told, key=lambda one: one.version)}
    found: dict[tuple[str, str, date], list[Any]] = {}
    for one in newest.values():
        if one.status != "recorded":
            continue
        for area_id in LINES[one.leaf]:
            total = found.setdefault((area_id, one.kind, one.day), [0, 0, 0, set()])
            total[0] += one.persons if one.fever else 0
            total[1] += one.persons
            total[2] += 1
            total[3].add((one.site, one.leaf))
    return {key: (*total[:3], len(total[3])) for key, total in found.items()}


def usual_days(first: date, days: int, *, seed: int, mean: float = 6.0) -> list[Told]:
    """Every site of the city every day, one number with fever and one without."""
    random = np.random.default_rng(seed)
    return [
        Told(f"{site}-{day}-{fever}", site, first + timedelta(days=day), int(number), fever)
        for day in range(days)
        for site in SITES
        for fever, number in ((True, random.poisson(mean)), (False, random.poisson(20)))
    ]


@dataclass
class City(Town):
    """Drives counting: tells, judges, lets the clock go on."""

    async def tell(self, told: Sequence[Told], *, at_once: int = 500) -> None:
        for start in range(0, len(told), at_once):
            await self.hear(*(one.event() for one in told[start : start + at_once]))

    async def go_to(self, day: date, hour: int = 12) -> None:
        clock = self.database.clock
        assert isinstance(clock, ManualClock)
        clock.move_to(datetime.combine(day, time(hour), ZONE))
        await self.come_to_rest()

    async def come_to_rest(self) -> None:
        """All that is due is judged, all timers that have rung are heard."""
        timers = TimerLoop(self.database, service.timers)
        for _ in range(50):
            await self.settle()
            if not await timers.fire_once():
                return
        raise AssertionError("the timers never came to rest")

    async def counts(self) -> dict[tuple[str, str, date], tuple[int, int, int, int]]:
        async with self.database.read() as session:
            rows = (await session.execute(select(series_day))).all()
        return {
            (row.area_id, row.point_kind, row.day): (row.persons, row.seen, row.records, row.sites)
            for row in rows
            if row.records or row.persons or row.seen or row.sites
        }

    async def judged(self) -> dict[tuple[str, str, date], Excess]:
        """By area, kind and day, in one syndrome."""
        async with self.database.read() as session:
            rows = (await session.execute(select(series_day).where(series_day.c.version > 0))).all()
        return {(row.area_id, row.point_kind, row.day): excess_of(row) for row in rows}
