"""Scans over HTTP in batches of 100, with everything that follows from them in the same process."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import httpx

from bench.figures import Baseline, Figure, Goal, percentile
from bench.plain_sql import copy_rows_per_second
from bench.process import ROOT, Outpost, child_json, counts, processor_seconds, running, wait_quiet
from bench.scan_load import BATCH, Batches, Order, Outcome
from bench.town import Town, found
from deploy.kafka.broker import free_port

CONNECTIONS = 16
BASELINE_SECONDS = 5.0
QUIET_SECONDS = 300.0
RESTRICTED = """
    SELECT 'orders', count(*) FROM intake.order_copy
    UNION ALL SELECT 'cases', count(*) FROM intake.case_copy
"""


async def measure(folder: Path, *, seconds: float, profile: Path | None = None) -> list[Figure]:
    """All figures of this part; `folder` must be fresh."""
    town = Town()
    async with running(folder / "scans", profile=profile) as outpost, outpost.admin() as engine:
        keys = await found(outpost, engine, town)
        await wait_quiet(engine, within_seconds=60)
        known = await counts(engine, RESTRICTED)
        order = Order(
            outpost.port, "/intake/scans", seconds, CONNECTIONS, town.stations, town.persons, keys
        )
        warm = Order(**asdict(order) | {"seconds": 2.0, "run": "warm"})
        await _load(warm)
        await wait_quiet(engine, within_seconds=60)
        started, used = time.perf_counter(), processor_seconds(outpost.processes())
        outcome = await _load(order)
        loaded_seconds = time.perf_counter() - started
        backlog_seconds, seen = await wait_quiet(engine, within_seconds=QUIET_SECONDS)
        spent = {
            kind: total - used.get(kind, 0.0)
            for kind, total in processor_seconds(outpost.processes()).items()
        }
        sample = await _answer_of(outpost, order)
        plain = await copy_rows_per_second(engine, seconds=BASELINE_SECONDS)
    noop = await _noop(order, sample)
    _explain(known, seen)
    figures = _figures(
        outcome, _Beside(noop, plain), backlog_seconds=backlog_seconds, loaded=loaded_seconds
    )
    return figures + [
        Figure(f"processor time of {kind}", total / outcome.rows * 1e6, "µs per scan, end to end")
        for kind, total in spent.items()
    ]


class _Beside:
    """What the same machine did without our work."""

    def __init__(self, noop: Outcome, plain_rows_per_second: float) -> None:
        self.noop_rate = len(noop.batch_seconds) * BATCH / noop.seconds
        self.noop_p50 = percentile(noop.batch_seconds, 0.5) * 1000
        self.noop_p99 = percentile(noop.batch_seconds, 0.99) * 1000
        self.plain_rate = plain_rows_per_second


def _figures(
    outcome: Outcome, beside: _Beside, *, backlog_seconds: float, loaded: float
) -> list[Figure]:
    rate = outcome.rows / outcome.seconds
    verdicts = ", ".join(f"{name} {count:,}" for name, count in outcome.verdicts.items())
    rates = (
        Baseline("no-op endpoint", beside.noop_rate), Baseline("COPY alone", beside.plain_rate),
    )  # fmt: skip
    milliseconds = [1000 * one for one in outcome.batch_seconds]
    return [
        Figure(
            "scans accepted", rate, "/s", Goal("at least", 5000), rates,
            f"{outcome.rows:,} in {outcome.seconds:.0f} s over {CONNECTIONS} connections;"
            f" verdicts: {verdicts}; batches refused: {outcome.refused} {outcome.sample}",
        ),
        Figure(
            "batch of 100, p50", percentile(milliseconds, 0.5), "ms", None,
            (Baseline("no-op endpoint", beside.noop_p50),),
        ),
        Figure(
            "batch of 100, p99", percentile(milliseconds, 0.99), "ms", None,
            (Baseline("no-op endpoint", beside.noop_p99),),
        ),
        Figure("scans end to end", outcome.rows / (loaded + backlog_seconds), "/s", None, rates),
        Figure(
            "backlog gone after", backlog_seconds, "s", Goal("at most", 120),
            (Baseline("length of the load", outcome.seconds),),
        ),
    ]  # fmt: skip


async def _load(order: Order) -> Outcome:
    told = json.dumps(asdict(order))
    return Outcome(**await asyncio.to_thread(child_json, "bench.scan_load", told))


async def _answer_of(outpost: Outpost, order: Order) -> bytes:
    """A real answer, for the endpoint that does nothing."""
    key, body = Batches(Order(**asdict(order) | {"run": "sample"})).next()
    async with httpx.AsyncClient(base_url=outpost.base_url) as client:
        answer = await client.post(
            order.path, content=body,
            headers={"authorization": f"Bearer {key}", "content-type": "application/json"},
        )  # fmt: skip
    return answer.content


async def _noop(order: Order, answer: bytes) -> Outcome:
    port = free_port()
    with _noop_server(port, answer):
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            for _ in range(500):
                try:
                    await client.post(order.path, content=b"[]")
                    break
                except httpx.TransportError:
                    await asyncio.sleep(0.02)
        told = asdict(order) | {"port": port, "seconds": BASELINE_SECONDS, "run": "noop"}
        return await _load(Order(**told))


@contextmanager
def _noop_server(port: int, answer: bytes) -> Iterator[None]:
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.noop", str(port)], cwd=ROOT, stdin=subprocess.PIPE
    )
    assert process.stdin is not None
    process.stdin.write(answer)
    process.stdin.close()
    try:
        yield
    finally:
        process.terminate()
        process.wait()


def _explain(known: dict[str, int], seen: list[dict[str, int]]) -> None:
    print(f"scans: known to intake before: {known}")
    step = max(1, len(seen) // 8)
    for number in range(0, len(seen), step):
        print(f"scans: {number / 2:.0f} s after the load: {seen[number]}")
