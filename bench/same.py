"""Twenty thousand reports through doors and log in order of their recording, some corrected, some
twice: are the alerts that stand in the end those of the back-test, word for word?"""

from __future__ import annotations

import random
import time
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from bench.figures import Figure, Goal
from bench.process import Outpost, running, wait_quiet
from bench.town import CHUNK, issue, send
from services.alerts.domain.evaluation import evaluate
from services.alerts.handlers.telling import content_of
from services.alerts.laboratory.generated.city import City, generate
from services.alerts.laboratory.generated.parameters import KINDS, LABORATORY, Extent
from services.alerts.laboratory.generated.reports import areas, places, reports
from services.alerts.laboratory.recorded import recorded_trial, rules_in_force
from services.alerts.repository.rules import book_of
from services.alerts.tables import alert, standard
from shared.clock import SystemClock, real_now
from shared.database.work import Actor, Database
from shared.ids import derived_id
from shared.policy import PolicyFile, store_policy

SEED = 101
EXTENT = Extent(counties=4, townships_per_county=12, history_days=35, judged_days=70)
DAYS = 14
REPORTS_LEAST = 20_000
TWICE = 500
QUIET_SECONDS = 900.0
BURST: dict[str, Any] = {
    "title_zh": "测量", "title_en": "Measured", "level": "blue",
    "point_kinds": ["pharmacy", "school", "kindergarten", "outpatient", "emergency"],
    "count_unlinked": True, "area_of": "place",
}  # fmt: skip
RULES: dict[str, dict[str, Any]] = {
    "burst": {**BURST, "min_points": 5, "min_kinds": 3, "min_persons": 14, "window_hours": 2,
              "quiet_hours": 3, "area_level": "township"},
    "named": {**BURST, "min_points": 8, "min_kinds": 4, "min_persons": 120, "window_hours": 3,
              "quiet_hours": 4, "area_level": "county", "count_unlinked": False},
    "excess": {**BURST, "min_points": 2, "min_kinds": 2, "min_persons": 2, "window_hours": 24,
               "quiet_hours": 24, "area_level": "township", "lit_by": "excess", "p_below": 0.2},
}  # fmt: skip


async def measure(folder: Path) -> list[Figure]:
    """All services in one process, PostgreSQL and log embedded."""
    begun = EXTENT.history_days - DAYS
    city = generate(SEED, EXTENT, facts_from=begun)
    facts = city.facts[city.facts["at"] < EXTENT.history_days]
    city = City(city.seed, city.world, city.outbreaks, city.counts, facts, begun)
    first_at = real_now().replace(hour=16, minute=0, second=0, microsecond=0)
    first_at -= timedelta(days=DAYS + 2)
    rows = list(reports(city, first_at))
    async with running(folder) as outpost, outpost.admin() as engine:
        keys = await _found(outpost, engine, city)
        await _add_rules(engine)
        started = time.perf_counter()
        await _send(outpost, keys, rows)
        waited, _ = await wait_quiet(engine, within_seconds=QUIET_SECONDS)
        spent = time.perf_counter() - started
        live, expected, signals = await _both(engine, first_at.date())
    same = sum(expected.get(key) == content for key, content in live.items())
    differing = len(live.keys() ^ expected.keys()) + len(live.keys() & expected.keys()) - same
    note = f"{signals:,} standing signals; quiet {waited:.0f} s after the last report"
    return [
        Figure("reports", len(rows), "", Goal("at least", REPORTS_LEAST), note=note),
        Figure("sent and judged", spent, "s"),
        Figure("alerts equal with their explanations", same, ""),
        Figure("alerts that differ", differing, "", Goal("at most", 0)),
        *(
            Figure(f"of rule {name}", sum(key[0] == name for key in live), "")
            for name in sorted({key[0] for key in live})
        ),
    ]


async def _found(outpost: Outpost, engine: AsyncEngine, city: City) -> dict[str, str]:
    """Areas, places, and a source per kind; the sources' keys."""
    operator = await issue(engine, "bench operator")
    headers = {"authorization": f"Bearer {operator}"}
    keys = {}
    async with httpx.AsyncClient(base_url=outpost.base_url, timeout=60.0) as client:
        await send(client, "/intake/areas", areas(city), key=operator)
        await send(client, "/intake/places", places(city), key=operator)
        for kind in KINDS:
            if kind != LABORATORY:
                source_id = derived_id("bench city source", kind)
                source = {"source_id": str(source_id), "name": f"city {kind}", "kind": kind}
                answer = await client.post("/intake/sources", json=source, headers=headers)
                answer.raise_for_status()
                keys[kind] = await issue(engine, f"city {kind}", source_id)
    return keys


async def _add_rules(engine: AsyncEngine) -> None:
    async with _alerts(engine).work(Actor("command")) as work:
        for name, document in RULES.items():
            file = PolicyFile(
                id=name, version=1, kind="alerts.rule", valid_from=date(2009, 1, 1),
                source="bench", author="bench", document=document,
            )  # fmt: skip
            await store_policy(work, standard, file, state="active")


async def _send(
    outpost: Outpost, keys: dict[str, str], rows: list[tuple[str, dict[str, Any]]]
) -> None:
    """In chunks as they were recorded; some are sent again at the end."""
    again = random.Random(SEED).sample(rows, TWICE)
    async with httpx.AsyncClient(base_url=outpost.base_url, timeout=120.0) as client:
        for part in (rows, again):
            for start in range(0, len(part), CHUNK):
                chunk = part[start : start + CHUNK]
                for kind in sorted({kind for kind, _ in chunk}):
                    mine = [row for of_kind, row in chunk if of_kind == kind]
                    await send(client, "/intake/reports", mine, key=keys[kind])


Alerts = dict[tuple[Any, ...], dict[str, Any]]


async def _both(engine: AsyncEngine, first: date) -> tuple[Alerts, Alerts, int]:
    """What stands, what the back-test finds, and how many signals stand."""
    async with _alerts(engine).read() as session:
        last = first + timedelta(days=DAYS + 3)
        trial = await recorded_trial(session, first - timedelta(days=1), last)
        rules = await rules_in_force(session)
        rows = (await session.execute(select(alert).where(alert.c.state != "withdrawn"))).all()
        counted = await session.execute(text("SELECT count(*) FROM alerts.signal WHERE standing"))
        signals = int(counted.scalar_one())
    expected: Alerts = {}
    for versions in rules.rules:
        for found in evaluate(book_of(versions), trial.city, trial.tree):
            content = content_of(found.decision) | {
                "silent_if": list(found.silence.removed),
                "silent_if_text_en": found.silence.text_en,
                "silent_if_text_zh": found.silence.text_zh,
            }
            expected[versions[0].id, found.area_id, content["first_at"]] = content
    names = next(iter(expected.values())).keys()
    live = {
        (row.rule_id, row.area_id, row.first_at): {name: row._mapping[name] for name in names}
        for row in rows
    }
    return live, expected, signals


def _alerts(engine: AsyncEngine) -> Database:
    return Database(engine, service="alerts", tables=standard, clock=SystemClock())
