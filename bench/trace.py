"""`make bench-trace`: the city in memory beside tuned SQL and the plain self-join, on one database.

Engines take turns case by case in one process, on warm caches; every answer is compared by its
count and by its first and last instants. `SIZES=1,10` or `1,10,50` (million visits).
"""

from __future__ import annotations

import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import click
import numpy as np
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from bench.city import City as MadeCity
from bench.city import make_city
from bench.city_tables import load_city
from bench.figures import RESULTS, Baseline, Figure, Goal
from bench.process import running
from bench.trace_http import measure_http
from bench.trace_plot import plot
from services.tracing.app import service
from services.tracing.domain.exposure import ExposureRule, Source
from services.tracing.handlers.city import CityKeeper
from services.tracing.handlers.questions import Asked, find_in_city
from services.tracing.repository.asked import exposed_page
from services.tracing.repository.policies import WindowsDocument
from services.tracing.tables import standard
from shared.clock import ManualClock
from shared.database.work import Database, ReadSession
from shared.policy import read_presets
from shared.service import Room
from shared.settings import Settings

PERSONS_A_MILLION = 8_140
NOW = datetime(2021, 3, 15, 4, tzinfo=UTC)
# An onset on the tenth day, two days before and all that is known after it.
WINDOW = (datetime(2021, 3, 7, 16, tzinfo=UTC), datetime(2021, 3, 14, 16, tzinfo=UTC))
DISEASE = "covid19"


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is asked: the plain self-join by `plain` cases, each stopped at a limit."""

    cases: int = 15
    staff: int = 2
    many: int = 1_000
    plain: int = 2
    plain_seconds: int = 30
    http: bool = True


WHOLE = Plan()
# In `make bench`: enough visits for the ratios to mean something, and under two minutes.
SMALL, SMALL_MILLIONS = Plan(cases=5, staff=1, many=200, plain=1, http=False), 0.5

# What a user writes first: an overlap, at least the minimum long, no bound on how far back.
PLAIN = """
    WITH stay AS (
        SELECT visit.person_id, visit.place_id, visit.arrived_at, coalesce(
            visit.left_at, visit.arrived_at + make_interval(secs => coalesce(rule.dwell, 3600))
        ) AS left_at, coalesce(rule.minimum, 900) AS minimum
        FROM tracing.visit JOIN tracing.place USING (place_id)
        LEFT JOIN unnest(CAST(:kinds AS text[]), CAST(:minimums AS float[]),
            CAST(:dwells AS float[])) AS rule (kind, minimum, dwell) ON rule.kind = place.kind
        WHERE visit.standing
    ), source AS (
        SELECT * FROM unnest(CAST(:person_ids AS uuid[]), CAST(:from_ats AS timestamptz[]))
            AS source (person_id, from_at)
    )
    SELECT count(DISTINCT theirs.person_id)
    FROM source JOIN stay AS own ON own.person_id = source.person_id
    JOIN stay AS theirs ON theirs.place_id = own.place_id AND theirs.person_id <> own.person_id
    WHERE least(own.left_at, theirs.left_at, CAST(:until_at AS timestamptz))
        - greatest(own.arrived_at, theirs.arrived_at, source.from_at)
        >= greatest(make_interval(secs => own.minimum), interval '1 microsecond')
"""


@dataclass(slots=True)
class Measured:
    """Milliseconds by engine, and what there was to find."""

    name: str
    city: list[float] = field(default_factory=list)
    sql: list[float] = field(default_factory=list)
    plain: list[float] = field(default_factory=list)
    plain_stopped: int = 0
    found: list[int] = field(default_factory=list)
    pairs: list[int] = field(default_factory=list)

    def ratios(self) -> list[float]:
        return [sql / city for sql, city in zip(self.sql, self.city, strict=True)]

    def summary(self) -> dict[str, Any]:
        ratios = self.ratios()
        told = {
            "city_ms_median": statistics.median(self.city),
            "city_ms_most": max(self.city),
            "sql_ms_median": statistics.median(self.sql),
            "sql_over_city_median": statistics.median(ratios),
            "sql_over_city_least": min(ratios),
            "found_median": statistics.median(self.found),
            "pairs_median": statistics.median(self.pairs),
        }
        if self.plain:
            over = [one / two for one, two in zip(self.plain, self.city, strict=False)]
            told["plain_over_city_at_least"] = statistics.median(over)
            told["plain_stopped"] = self.plain_stopped
        return told


@dataclass(slots=True)
class Size:
    """Everything measured at one size."""

    millions: float
    visits: int
    load_seconds: float = 0.0
    build_seconds: float = 0.0
    bytes_a_visit: float = 0.0
    measured: list[Measured] = field(default_factory=list)
    http: dict[str, float] = field(default_factory=dict)


def preset() -> ExposureRule:
    files = read_presets(service.folder / "presets", service.policies)
    file = next(file for file in files if file.disease == DISEASE)
    return WindowsDocument.model_validate(file.document).exposure


class Bench:
    """One database, one city in memory, one rule."""

    def __init__(self, engine: AsyncEngine, folder: Path, plan: Plan) -> None:
        self.rule = preset()
        self.plan = plan
        database = Database(engine, service="tracing", tables=standard, clock=ManualClock(NOW))
        settings = Settings(data_dir=folder, tracing_city_mb=16_000, tracing_city_from_visits=0)
        absent = cast("Any", None)
        self.room = Room("tracing", database, absent, database.clock, settings, absent)
        self.keeper = CityKeeper(self.room)

    async def build(self, size: Size) -> None:
        # Compiling the loops is no part of building: they are cached from the first start on.
        await self.keeper.step()
        self.keeper = CityKeeper(self.room)
        started = time.perf_counter()
        await self.keeper.step()
        size.build_seconds = time.perf_counter() - started
        assert self.keeper.city is not None
        size.bytes_a_visit = self.keeper.city.visit_bytes / self.keeper.city.visits

    async def close(self, person: UUID) -> list[Source]:
        """The sources of the second degree."""
        asked = Asked([Source(person, *WINDOW)], self.rule, DISEASE)
        async with self.room.database.read() as session:
            page = await exposed_page(session, asked.as_sql(), skipped=0, size=None)
        return [Source(one.person_id, one.first_at, WINDOW[1]) for one in page.persons]

    async def compare(self, measured: Measured, asked: Asked, *, plain: bool) -> None:
        """One question to each engine, first unmeasured, then measured."""
        async with self.room.database.read() as session:
            for timed in (False, True):
                city_ms, found = await _timed(lambda: self._by_city(session, asked))
                sql_ms, page = await _timed(
                    lambda: exposed_page(session, asked.as_sql(), skipped=0, size=asked.size)
                )
                if (page.total, page.pairs) != (len(found), found.pairs):
                    raise AssertionError(f"{measured.name}: the engines disagree")
                first = [(one.person_id, one.first_at, one.last_at) for one in page.persons]
                if first != _first_page(found, asked.size):
                    raise AssertionError(f"{measured.name}: the first pages differ")
                if timed:
                    measured.city.append(city_ms)
                    measured.sql.append(sql_ms)
                    measured.found.append(page.total)
                    measured.pairs.append(page.pairs)
        if plain:
            await self._plain(measured, asked)

    async def _by_city(self, session: ReadSession, asked: Asked) -> Any:
        """Counts and the order of the first page: what `exposed_page` gives."""
        assert self.keeper.city is not None
        found = await find_in_city(session, self.keeper.city, asked)
        found.in_order(0, asked.size)
        return found

    async def _plain(self, measured: Measured, asked: Asked) -> None:
        rules = self.rule.place_kinds
        parameters = {
            "kinds": list(rules),
            "minimums": [stay.minimum_seconds for stay in rules.values()],
            "dwells": [stay.dwell_seconds for stay in rules.values()],
            "person_ids": [source.person_id for source in asked.sources],
            "from_ats": [source.from_at for source in asked.sources],
            "until_at": WINDOW[1],
        }
        started = time.perf_counter()
        try:
            async with self.room.database.read() as session:
                await session.execute(
                    text("SELECT set_config('statement_timeout', :most, true)"),
                    {"most": f"{self.plan.plain_seconds}s"},
                )
                await session.execute(text(PLAIN), parameters)
        except DBAPIError:
            measured.plain_stopped += 1
        measured.plain.append(1000 * (time.perf_counter() - started))


async def _timed(ask: Callable[[], Awaitable[Any]]) -> tuple[float, Any]:
    started = time.perf_counter()
    found = await ask()
    return 1000 * (time.perf_counter() - started), found


def _first_page(found: Any, size: int) -> list[tuple[UUID, datetime, datetime]]:
    from services.tracing.domain.city.times import instant

    rows = found.in_order(0, size)
    ids = found.city.ids.persons
    return [
        (ids.id_of(found.person[row]), instant(found.first_at[row]), instant(found.last_at[row]))
        for row in rows
    ]


async def measure(millions: float, folder: Path, plan: Plan = WHOLE) -> Size:
    made = make_city(round(millions * PERSONS_A_MILLION))
    size = Size(millions, len(made.visits))
    settings = {
        "OUTPOST_CLOCK_START_AT": NOW.isoformat(),
        "OUTPOST_TRACING_CITY_MB": "16000",
        "OUTPOST_TRACING_CITY_FROM_VISITS": "1",
    }
    without = settings | {"OUTPOST_TRACING_CITY_MB": "0"}
    async with running(folder, settings=without) as outpost, outpost.admin() as engine:
        started = time.perf_counter()
        await load_city(engine, made)
        size.load_seconds = time.perf_counter() - started
        bench = Bench(engine, folder, plan)
        await bench.build(size)
        await _questions(bench, made, size)
    if not plan.http:
        return size
    # The same questions by HTTP, of a process that builds its own city at start.
    async with running(folder, settings=settings) as outpost:
        staff = _staff(made, plan)
        size.http = await measure_http(outpost, staff, WINDOW)
    return size


async def _questions(bench: Bench, made: MadeCity, size: Size) -> None:
    dice, plan = np.random.default_rng(7), bench.plan
    numbers = dice.choice(made.persons, plan.many, replace=False)
    persons = [person_id(made, number) for number in numbers]
    first = Measured("close contacts, random case")
    second = Measured("contacts of contacts, random case")
    super_first = Measured("close contacts, venue staff")
    super_second = Measured("contacts of contacts, venue staff")
    many = Measured(f"{plan.many:,} cases at once")
    size.measured = [first, second, super_first, super_second, many]
    for number, person in enumerate(persons[: plan.cases]):
        await _both(bench, person, first, second, plain=number < plan.plain)
        click.echo(
            f"  case {number + 1} of {plan.cases}: {second.city[-1]:.0f} ms city,"
            f" {second.sql[-1]:.0f} ms SQL, {second.found[-1]:,} persons"
        )
    for person in _staff(made, plan):
        await _both(bench, person, super_first, super_second, plain=False)
    everybody = [Source(person, *WINDOW) for person in persons]
    for _ in range(3):
        await bench.compare(many, Asked(everybody, bench.rule, DISEASE), plain=False)


async def _both(
    bench: Bench, person: UUID, first: Measured, second: Measured, *, plain: bool
) -> None:
    case = Source(person, *WINDOW)
    await bench.compare(first, Asked([case], bench.rule, DISEASE), plain=plain)
    close = await bench.close(person)
    left_out = [person, *(source.person_id for source in close)]
    asked = Asked(close, bench.rule, DISEASE, left_out)
    await bench.compare(second, asked, plain=plain)


def _staff(made: MadeCity, plan: Plan) -> list[UUID]:
    return [person_id(made, int(number)) for number in made.venue_staff[: plan.staff]]


def person_id(made: MadeCity, number: int) -> UUID:
    return UUID(bytes=bytes(made.person_ids[number]))


async def measure_small(folder: Path) -> list[Figure]:
    """The ratios in a small city, for `make bench`; the goals are for fifty million visits."""
    size = await measure(SMALL_MILLIONS, folder, SMALL)
    figures = [
        Figure("city built", size.build_seconds, "s", note=f"{size.visits:,} visits"),
        Figure("memory a visit", size.bytes_a_visit, "bytes", Goal("at most", 32)),
    ]
    for one in size.measured:
        told = one.summary()
        note = f"tuned SQL {told['sql_over_city_median']:,.1f} x the city, case by case"
        note += f"; {told['found_median']:,.0f} persons of {told['pairs_median']:,.0f} pairs"
        if "plain_over_city_at_least" in told:
            sign = "more than " if told["plain_stopped"] else ""
            note += f"; plain self-join {sign}{told['plain_over_city_at_least']:,.0f} x"
        tuned = Baseline("tuned SQL", told["sql_ms_median"])
        figures.append(Figure(one.name, told["city_ms_median"], "ms", None, (tuned,), note))
    return figures


def show(size: Size) -> None:
    click.echo(
        f"\n{size.visits:,} visits: loaded in {size.load_seconds:.0f} s, city built in"
        f" {size.build_seconds:.1f} s, {size.bytes_a_visit:.1f} bytes a visit"
    )
    for one in size.measured:
        told = one.summary()
        plain = ""
        if "plain_over_city_at_least" in told:
            sign = "more than " if told["plain_stopped"] else ""
            plain = f"; plain self-join {sign}{told['plain_over_city_at_least']:,.0f} x"
        click.echo(
            f"  {one.name}: city {told['city_ms_median']:.2f} ms (most {told['city_ms_most']:.0f}),"
            f" SQL {told['sql_ms_median']:.0f} ms = {told['sql_over_city_median']:.1f} x"
            f" (least {told['sql_over_city_least']:.1f} x){plain};"
            f" {told['found_median']:,.0f} persons of {told['pairs_median']:,.0f} pairs"
        )
    for name, value in size.http.items():
        click.echo(f"  {name}: {value:.1f}")


@click.command()
@click.option("--sizes", default="1,10,50", show_default=True, help="million visits, with commas")
def main(sizes: str) -> None:
    """Measure, print, plot, and keep the figures in var/bench."""
    found = []
    for millions in map(float, sizes.split(",")):
        with tempfile.TemporaryDirectory(prefix="outpost-trace-") as folder:
            click.echo(f"{millions:g} million visits …")
            size = asyncio.run(measure(millions, Path(folder)))
        show(size)
        found.append(size)
        RESULTS.mkdir(parents=True, exist_ok=True)
        told = [asdict(one) | {"summary": [m.summary() for m in one.measured]} for one in found]
        (RESULTS / "trace.json").write_text(json.dumps(told, indent=1))
    if len(found) > 1:
        plot(found, RESULTS / "trace.png")


if __name__ == "__main__":
    main()
