"""Recall: a case with ten thousand contacts is discarded; how long until all of it has fallen.

A venue's keeper is the case, its visitors the contacts. One visitor is the contact of a second case
as well: that order must stay. Some visitors are seen outside while they are under order: their
breaches make an alert, which must fall with the orders.
"""

from __future__ import annotations

import asyncio
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from bench.figures import Figure, Goal
from bench.process import running, wait_quiet
from bench.town import SCOPES, area, send
from shared.clock import real_now
from shared.credentials import Grant, issue_key
from shared.ids import derived_id

CONTACTS = 10_000
# Far in time from the visitor who meets the second case.
OUTSIDE = range(701, 721)
SECONDS = 5.0
OPENED_WITHIN_SECONDS = 300.0
COUNTY, PREFECTURE = "bench:recall", "bench:recalls"
STANDING = text("""
    SELECT (SELECT count(*) FROM tracing.contact WHERE standing) AS contacts,
        (SELECT count(*) FROM quarantine.quarantine_order WHERE status = 'open') AS orders,
        (SELECT count(*) FROM alerts.alert WHERE state NOT IN ('withdrawn', 'closed')) AS alerts,
        (SELECT count(*) FROM intake.order_copy WHERE status = 'open') AS "orders known at gates",
        (SELECT count(*) FROM alerts.signal WHERE standing) AS signals,
        (SELECT count(*) FROM tracing.co_location WHERE standing) AS "co-locations"
""")
# The goal's own three. Of a crowd, signals that no alert rests on and co-locations fall later.
IN_TIME = ("contacts", "orders", "alerts")


async def measure(folder: Path) -> list[Figure]:
    """Embedded, everything in one process."""
    async with running(folder) as outpost, outpost.admin() as engine:
        grant = Grant([*SCOPES, "cases.read", "cases.write", "persons.write"], ["*"])
        operator = await issue_key(engine, "bench operator", grant)
        source_id = derived_id("bench recall source")
        sender = await issue_key(engine, "bench gate", Grant(SCOPES, ["*"], source_id=source_id))
        headers = {"authorization": f"Bearer {operator}"}
        async with httpx.AsyncClient(
            base_url=outpost.base_url, timeout=120.0, headers=headers
        ) as client:
            await _fill(client, sender, source_id, operator)
            await wait_quiet(engine, within_seconds=120)
            started = time.perf_counter()
            case_id = await _open(client, person(-1))
            await _open(client, person(-2))
            await wait_quiet(engine, within_seconds=OPENED_WITHIN_SECONDS)
            opened = time.perf_counter() - started
            now = real_now()
            seen = [_scan(f"outside {n}", n, "inn", now, minutes=1) for n in OUTSIDE]
            await send(client, "/intake/scans", seen, key=sender)
            await wait_quiet(engine, within_seconds=60)
            before = await _standing(engine)
            fell, after = await _discard(client, engine, case_id)
        return _figures(opened, fell, before, after)


def person(number: int) -> UUID:
    """-1 keeps the venue, -2 meets visitor 0 elsewhere; the others visit."""
    return derived_id("bench recall", number)


async def _fill(client: httpx.AsyncClient, sender: str, source_id: UUID, operator: str) -> None:
    areas = [area(PREFECTURE, "prefecture"), area(COUNTY, "county", PREFECTURE)]
    await send(client, "/intake/areas", areas, key=operator)
    places = [{"code": code, "kind": "venue", "area_id": COUNTY} for code in ("hall", "inn")]
    await send(client, "/intake/places", places, key=operator)
    source = {"source_id": str(source_id), "name": "bench recall", "kind": "checkpoint"}
    (await client.post("/intake/sources", json=source)).raise_for_status()
    midnight = real_now().replace(hour=0, minute=0, second=0, microsecond=0)
    first = midnight - timedelta(days=8)
    scans = [
        _scan(f"keeper {day}", -1, "hall", first + timedelta(days=day), minutes=12 * 60)
        for day in range(7)
    ]
    for number in range(CONTACTS):
        at = first + timedelta(days=number % 7, minutes=(number // 7) % 690)
        scans.append(_scan(f"visitor {number}", number, "hall", at, minutes=20))
    scans += [_scan(f"inn {number}", number, "inn", first, minutes=30) for number in (0, -2)]
    await send(client, "/intake/scans", scans, key=sender)


def _scan(name: str, number: int, where: str, at: datetime, *, minutes: int) -> dict[str, Any]:
    return {
        "external_id": name,
        "occurred_at": at.isoformat(),
        "left_at": (at + timedelta(minutes=minutes)).isoformat(),
        "place": {"code": where},
        "person": {"person_id": str(person(number))},
    }


async def _open(client: httpx.AsyncClient, who: UUID) -> UUID:
    body = {
        "person_id": str(who),
        "disease": "covid19",
        "classification": "confirmed",
        "onset_date": (real_now() - timedelta(days=6)).date().isoformat(),
        "area_id": COUNTY,
        "reason": "bench",
    }
    answer = await client.post("/tracing/cases", json=body)
    answer.raise_for_status()
    return UUID(answer.json()["case_id"])


async def _standing(engine: AsyncEngine) -> dict[str, int]:
    async with engine.connect() as connection:
        return dict((await connection.execute(STANDING)).one()._mapping)


async def _discard(
    client: httpx.AsyncClient, engine: AsyncEngine, case_id: UUID
) -> tuple[dict[str, float], dict[str, int]]:
    """Seconds until each kind stood no more than it will in the end, and what stands then."""
    started = time.perf_counter()
    answer = await client.post(f"/tracing/cases/{case_id}/discard", json={"reason": "bench"})
    answer.raise_for_status()
    last: dict[str, float] = {}
    seen: dict[str, int] = {}
    quiet = asyncio.create_task(wait_quiet(engine, within_seconds=OPENED_WITHIN_SECONDS))
    while not quiet.done():
        now = await _standing(engine)
        for name, count in now.items():
            if seen.get(name) != count:
                seen[name], last[name] = count, time.perf_counter() - started
        await asyncio.sleep(0.1)
    return last, seen


def _figures(
    opened: float, fell: dict[str, float], before: dict[str, int], after: dict[str, int]
) -> list[Figure]:
    stays = ", ".join(f"{count:,} {name}" for name, count in after.items())
    stood = ", ".join(f"{count:,} {name}" for name, count in before.items())
    figures = [
        Figure("case opened until all orders stand", opened, "s", note=f"then stood: {stood}"),
        Figure(
            "discard until contacts, orders and alerts fell",
            max(fell[name] for name in IN_TIME), "s",
            Goal("at most", SECONDS), note=f"still stands, on the other case: {stays}",
        ),
    ]  # fmt: skip
    return figures + [Figure(f"  of it {name}", when, "s") for name, when in fell.items()]
