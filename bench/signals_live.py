"""The alerts service with a stop-watch, in a process of its own: `python -m bench.signals_live`,
told what to do in JSON on stdin, answering in JSON on stdout.

The watch reads the clock where a transaction has just been committed: of a consumer for each
report, of an evaluator for each cell, record and day that it has judged.
"""

from __future__ import annotations

import asyncio
import gc
import json
import random
import sys
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import psutil
import uvloop
from sqlalchemy.ext.asyncio import AsyncEngine

from bench.figures import percentile
from bench.process import ROOT
from bench.signals_load import Load
from bench.signals_town import CITY, COUNTY_TOWNSHIPS, KINDS, ZONE, found_town, township_id
from services.alerts.app import service as alerts
from shared.clock import real_now
from shared.database.work import Actor, Database, Work
from shared.events.intake import ReportRecorded
from shared.log import configure_log
from shared.runtime import Runtime
from shared.service import Evaluator, EventHandler, Service
from shared.settings import Settings
from shared.settled import settled

FITTED_SECONDS = 240.0
BACKLOG_SECONDS = 240.0
PLAIN_SIGNALS, PLAIN_TRANSACTIONS = 500, 200
PLAIN_TABLE = """
    CREATE TABLE bench_plain (kind text, area_id text, persons integer, PRIMARY KEY (kind, area_id))
"""
PLAIN_UPSERT = """
    INSERT INTO bench_plain AS known
    SELECT * FROM unnest($1::text[], $2::text[], $3::integer[])
    ON CONFLICT (kind, area_id) DO UPDATE SET persons = known.persons + excluded.persons
"""
Waiting = dict[str, list[float]]


@dataclass(frozen=True, slots=True)
class Order:
    """The loads, one after the other: rate, seconds, share of them that is lit."""

    folder: str
    townships: int
    loads: Sequence[Sequence[Any]]


@dataclass(slots=True)
class Outcome:
    """Of one load; milliseconds, and microseconds of the processor for each report."""

    rate: int
    lit_share: float
    sent: int
    sent_per_second: float
    counted: list[float] = field(default_factory=list)
    judged: list[float] = field(default_factory=list)
    missing: int = 0
    backlog_seconds: float = 0.0
    python_micros: float = 0.0
    postgresql_micros: float = 0.0
    generator_micros: float = 0.0


@dataclass(frozen=True, slots=True)
class Report:
    """All loads, and the same sums written by one statement for 500 signals, with nothing else."""

    outcomes: list[Outcome]
    plain_micros: float
    plain_p99: float


class Watch:
    """How long after the commit that stored them signals were judged, by what was due."""

    def __init__(self) -> None:
        self.waiting: dict[str, Waiting] = {"count": defaultdict(list), "record": defaultdict(list)}
        self.seconds: dict[str, list[float]] = {"count": [], "record": []}
        self._stored: dict[Any, list[tuple[str, str]]] = {}
        self._taken: dict[Any, tuple[str, list[float]]] = {}

    def watch(self, database: Database) -> None:
        """Look at the clock whenever a transaction of this database has been committed."""
        begin = database.work

        @asynccontextmanager
        async def work(actor: Actor) -> AsyncIterator[Work]:
            async with begin(actor) as one:
                yield one
            self._committed()

        vars(database)["work"] = work

    def _committed(self) -> None:
        now, task = time.perf_counter(), asyncio.current_task()
        for kind, key in self._stored.pop(task, ()):
            self.waiting[kind][key].append(now)
        kind, times = self._taken.pop(task, ("", []))
        if kind:
            self.seconds[kind].extend(now - one for one in times)

    def hears(self, handler: EventHandler) -> EventHandler:
        zone = ZoneInfo(ZONE)

        async def store(work: Work, events: Sequence[ReportRecorded]) -> None:
            await handler(work, events)
            day = events[0].occurred_at.astimezone(zone).date()
            told = [
                ("count", f"{one.kind}|fever|{day}|{one.place_id}|{one.place_area_id}")
                for one in events
            ]
            told += [("record", str(one.record_id)) for one in events if one.fever]
            self._stored[asyncio.current_task()] = told

        return store

    def judges(self, kind: str, evaluator: Evaluator) -> Evaluator:
        async def judge(work: Work, keys: Sequence[str]) -> None:
            # What has come until now: the evaluator reads in statements that begin later.
            waiting = self.waiting[kind]
            taken = [at for key in keys for at in waiting.pop(key, ())]
            self._taken[asyncio.current_task()] = (kind, taken)
            await evaluator.judge(work, keys)

        return replace(evaluator, judge=judge)

    def watched(self, service: Service) -> Service:
        consumers = tuple(
            replace(
                group,
                handlers={
                    event: self.hears(handler) if event is ReportRecorded else handler
                    for event, handler in group.handlers.items()
                },
            )
            for group in service.consumers
        )
        evaluators = {
            kind: self.judges(kind, one) if kind in self.waiting else one
            for kind, one in service.evaluators.items()
        }
        return replace(service, consumers=consumers, evaluators=evaluators)

    def begin(self) -> None:
        for kind in self.waiting:
            self.waiting[kind].clear()
            self.seconds[kind].clear()


async def run(order: Order) -> Report:
    configure_log(level="error", style="console")
    watch = Watch()
    service = watch.watched(alerts)
    settings = Settings(data_dir=Path(order.folder), http_port=0, log_level="error")
    runtime = Runtime([service], settings)
    try:
        await runtime.start(http=False)
        watch.watch(runtime.ground.databases["alerts"])
        database, now = runtime.ground.databases["alerts"], real_now()
        today = now.astimezone(ZoneInfo(ZONE)).date()
        await found_town(database, runtime.ground.admin_engine(), order.townships, today, now)
        await _rest(runtime, FITTED_SECONDS)
        gc.collect()
        gc.freeze()
        gc.set_threshold(20_000, 10, 10)
        outcomes = []
        for number, (rate, seconds, lit_share) in enumerate(order.loads):
            url = runtime.ground.admin_url.render_as_string(hide_password=False)
            load = Load(url, rate, seconds, order.townships, lit_share, number)
            outcomes.append(await _one(runtime, watch, load))
        plain = await _plain(runtime.ground.admin_engine(), order.townships)
        return Report(outcomes, *plain)
    finally:
        await runtime.stop()


async def _one(runtime: Runtime, watch: Watch, load: Load) -> Outcome:
    watch.begin()
    cluster = Path(runtime.settings.data_dir) / "postgresql" / "cluster"
    used = _used(cluster)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.signals_load", cwd=ROOT,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    answer, _ = await process.communicate(json.dumps(asdict(load)).encode())
    sent = json.loads(answer)
    ended = time.perf_counter()
    await _rest(runtime, BACKLOG_SECONDS)
    spent = {kind: total - used[kind] for kind, total in _used(cluster).items()}
    counts = [one * 1000 for one in watch.seconds["count"]]
    return Outcome(
        rate=load.rate,
        lit_share=load.lit_share,
        sent=sent["reports"],
        sent_per_second=sent["reports"] / sent["seconds"],
        counted=[percentile(counts, share) for share in (0.5, 0.99)],
        judged=[percentile([1000 * s for s in watch.seconds["record"]], p) for p in (0.5, 0.99)],
        missing=sent["reports"] - len(counts),
        backlog_seconds=time.perf_counter() - ended,
        python_micros=spent["server"] / sent["reports"] * 1e6,
        postgresql_micros=spent["postgresql"] / sent["reports"] * 1e6,
        generator_micros=sent["processor_seconds"] / sent["reports"] * 1e6,
    )


async def _plain(engine: AsyncEngine, townships: int) -> tuple[float, float]:
    """Microseconds for each signal and the 99th percentile of a transaction in milliseconds."""
    chosen, spent = random.Random(1), []
    async with engine.connect() as connection:
        raw = await connection.get_raw_connection()
        driver: Any = raw.driver_connection
        await driver.execute(PLAIN_TABLE)
        for _ in range(PLAIN_TRANSACTIONS):
            sums: Counter[tuple[str, str]] = Counter()
            for _ in range(PLAIN_SIGNALS):
                number, kind = chosen.randrange(townships), chosen.choice(KINDS)
                for area in (township_id(number), f"bench:c{number // COUNTY_TOWNSHIPS}", CITY):
                    sums[kind, area] += 1
            began = time.perf_counter()
            rows = sorted(sums.items())
            await driver.execute(
                PLAIN_UPSERT,
                [kind for (kind, _), _ in rows],
                [area for (_, area), _ in rows],
                [number for _, number in rows],
            )
            spent.append(time.perf_counter() - began)
    each = sum(spent) / (PLAIN_TRANSACTIONS * PLAIN_SIGNALS)
    return each * 1e6, percentile(spent, 0.99) * 1000


async def _rest(runtime: Runtime, seconds: float) -> None:
    await settled(runtime.services, runtime.ground.databases, runtime.bus, within_seconds=seconds)


def _used(cluster: Path) -> dict[str, float]:
    """Of this process and of PostgreSQL's."""
    own = sum(psutil.Process().cpu_times()[:2])
    # Of connections that have ended the server's first process tells.
    postgres = sum(
        sum(one.cpu_times()[:4])
        for one in psutil.process_iter(["name", "cwd"])
        if str(one.info["name"]).startswith("postgres") and one.info["cwd"] == str(cluster)
    )
    return {"server": own, "postgresql": postgres}


def main() -> None:
    report = asdict(uvloop.run(run(Order(**json.load(sys.stdin)))))
    json.dump({"outcomes": report.pop("outcomes"), "plain": report}, sys.stdout)


if __name__ == "__main__":
    main()
