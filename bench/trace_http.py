"""Questions by HTTP, and how soon a scan is part of their answers."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import numpy as np

from bench.process import Outpost
from bench.town import SCOPES, issue, send
from shared.credentials import Grant, issue_key
from shared.ids import derived_id, new_id

ASKED = 15
SCANS_PER_SECOND, SCAN_SECONDS, BATCH = 2_000, 30, 100
# One alone waits for its answers and sends no more than the answers let it.
SENDERS = 8
SEEN_WITHIN_SECONDS = 20.0
GATE = "bench-trace-gate"


async def measure_http(
    outpost: Outpost, staff: Sequence[UUID], window: tuple[datetime, datetime]
) -> dict[str, float]:
    """Milliseconds of a first page with reasons; seconds until a scan is seen."""
    async with outpost.admin() as engine:
        grant = Grant([*SCOPES, "cases.read"], ["*"])
        key = await issue_key(engine, "bench tracer", grant)
        source_id = derived_id("bench trace source")
        sender = await issue(engine, "bench scanner", source_id)
    headers = {"authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(
        base_url=outpost.base_url, timeout=120.0, headers=headers
    ) as client:
        await _wait_for_city(client)
        found = await _first_pages(client, staff, window)
        await _register(client, source_id, key)
        found |= await _seen_after(client, sender, window)
    return found


async def _wait_for_city(client: httpx.AsyncClient) -> None:
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        ready = (await client.get("/readyz")).json()
        if "memory" in ready["notes"].get("tracing questions", ""):
            return
        await asyncio.sleep(0.25)
    raise TimeoutError("the server built no city")


async def _first_pages(
    client: httpx.AsyncClient, staff: Sequence[UUID], window: tuple[datetime, datetime]
) -> dict[str, float]:
    times: list[float] = []
    total = 0
    for number in range(ASKED):
        person = staff[number % len(staff)]
        started = time.perf_counter()
        page = await _ask(client, person, window)
        times.append(1000 * (time.perf_counter() - started))
        total = max(total, page["total"])
    return {
        "HTTP first page with reasons, venue staff, median ms": statistics.median(times),
        "HTTP first page with reasons, venue staff, most ms": max(times[2:]),
        "persons in that answer": float(total),
    }


async def _ask(
    client: httpx.AsyncClient, person: UUID, window: tuple[datetime, datetime]
) -> dict[str, Any]:
    answer = await client.get(
        f"/tracing/persons/{person}/exposures",
        params={
            "disease": "covid19",
            "from_at": window[0].isoformat(),
            "until_at": window[1].isoformat(),
            "engine": "city",
        },
    )
    answer.raise_for_status()
    found: dict[str, Any] = answer.json()
    return found


async def _register(client: httpx.AsyncClient, source_id: UUID, key: str) -> None:
    places = [{"code": GATE, "kind": "work"}]
    await send(client, "/intake/places", places, key=key)
    source = {"source_id": str(source_id), "name": "bench trace", "kind": "checkpoint"}
    (await client.post("/intake/sources", json=source)).raise_for_status()


async def _seen_after(
    client: httpx.AsyncClient, sender: str, window: tuple[datetime, datetime]
) -> dict[str, float]:
    """Under a load of scans, two persons meet now and then: seconds until the answer has it."""
    headers = {"authorization": f"Bearer {sender}"}
    at = window[0] + timedelta(days=5)
    stop = asyncio.Event()
    sent = 0

    async def load() -> None:
        nonlocal sent
        while not stop.is_set():
            if sent / SCANS_PER_SECOND > time.perf_counter() - began:
                await asyncio.sleep(0.005)
                continue
            # Counted before it is sent: no other sender sends this batch too.
            sent += BATCH
            rows = [_scan(new_id(), at + timedelta(seconds=sent % 3600)) for _ in range(BATCH)]
            (await client.post("/intake/scans", json=rows, headers=headers)).raise_for_status()

    began = time.perf_counter()
    loads = [asyncio.create_task(load()) for _ in range(SENDERS)]
    waits = []
    while time.perf_counter() - began < SCAN_SECONDS:
        one, other = new_id(), new_id()
        rows = [_scan(person, at, hours=1) for person in (one, other)]
        (await client.post("/intake/scans", json=rows, headers=headers)).raise_for_status()
        waits.append(await _until_seen(client, one, window))
        await asyncio.sleep(0.5)
    stop.set()
    await asyncio.gather(*loads)
    seconds = time.perf_counter() - began
    return {
        "scans/s accepted beside it": sent / seconds,
        "scan visible to questions, median s": statistics.median(waits),
        "scan visible to questions, most s": max(waits),
    }


async def _until_seen(
    client: httpx.AsyncClient, person: UUID, window: tuple[datetime, datetime]
) -> float:
    started = time.perf_counter()
    while time.perf_counter() - started < SEEN_WITHIN_SECONDS:
        if (await _ask(client, person, window))["total"] > 0:
            return time.perf_counter() - started
        await asyncio.sleep(0.1)
    return float(np.inf)


def _scan(person: UUID, at: datetime, *, hours: int = 0) -> dict[str, Any]:
    row: dict[str, Any] = {
        "external_id": str(new_id()),
        "occurred_at": at.isoformat(),
        "place": {"code": GATE},
        "person": {"person_id": str(person)},
    }
    if hours:
        row["left_at"] = (at + timedelta(hours=hours)).isoformat()
    return row
