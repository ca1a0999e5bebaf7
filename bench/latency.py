"""From the accepted event to the alert on the stream, at 200 events a second."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from bench.alert_town import KINDS, ROUND, Report, found, reports
from bench.figures import Baseline, Figure, Goal, percentile
from bench.process import Outpost, processor_seconds, running, wait_quiet
from bench.raw_log import at_rate, publish_to_consume_seconds
from bench.town import issue
from bench.wire import Link
from deploy.kafka.broker import Broker, free_port, missing_tools

PER_SECOND = 200.0
BASELINE_SECONDS = 5.0
# Not counted: a broker that started half a minute ago compiles itself during its first events.
WARM_UP_SECONDS = 5.0
CONNECTIONS = 24
LATE_SECONDS = 15.0
P50_MILLISECONDS = 50.0
P99_MILLISECONDS = 250.0


@dataclass(slots=True)
class Times:
    """Instants of one machine's monotonic clock, in seconds, by county."""

    answered: dict[str, list[float]] = field(default_factory=dict)
    waited: list[float] = field(default_factory=list)
    arrived: dict[str, float] = field(default_factory=dict)
    refused: int = 0
    started: float = 0.0
    ended: float = 0.0

    @property
    def count(self) -> int:
        """Events accepted."""
        return sum(map(len, self.answered.values()))

    def milliseconds(self) -> list[float]:
        """From the answer to the last report that a county's alert needed, to its arrival."""
        return [
            1000 * (at - max(self.answered[county]))
            for county, at in self.arrived.items()
            if len(self.answered.get(county, ())) == len(KINDS)
        ]


@dataclass(frozen=True, slots=True)
class Load:
    """Which counties report, and how many reports go into one request."""

    counties: range
    together: int
    name: str


async def measure_embedded(folder: Path, *, seconds: float) -> list[Figure]:
    """On the log that is kept in PostgreSQL."""
    return await _measure(folder / "embedded", "embedded", seconds=seconds)


async def measure_kafka(folder: Path, *, seconds: float) -> list[Figure]:
    """On a broker of our own; without Java and Maven there is nothing to measure."""
    problem = missing_tools()
    if problem is not None:
        return [Figure("alert latency on Kafka", float("nan"), "ms", note=f"skipped: {problem}")]
    broker = Broker(folder / "kafka", port=free_port())
    await asyncio.to_thread(broker.start)
    try:
        brokers = broker.bootstrap_servers
        return await _measure(folder / "on-kafka", "Kafka", seconds=seconds, brokers=brokers)
    finally:
        await asyncio.to_thread(broker.stop)


async def _measure(
    folder: Path, adapter: str, *, seconds: float, brokers: str = ""
) -> list[Figure]:
    """First one report per request, the goal's own shape; then in tens, as interface engines do."""
    warm, half = _counties(WARM_UP_SECONDS), _counties(seconds)
    figures: list[Figure] = []
    async with running(folder, brokers=brokers) as outpost, outpost.admin() as engine:
        keys = await found(outpost, engine, warm + 2 * half)
        reader = await issue(engine, "bench reader")
        await wait_quiet(engine, within_seconds=120, brokers=brokers)
        await _one_load(outpost, keys | {"reader": reader}, Load(range(warm), 1, "warm-up"))
        loads = [(1, range(warm, warm + half)), (10, range(warm + half, warm + 2 * half))]
        measured = []
        for together, counties in loads:
            await wait_quiet(engine, within_seconds=120, brokers=brokers)
            load = Load(counties, together, f"{adapter}, {together} a request")
            measured.append((load, await _one_load(outpost, keys | {"reader": reader}, load)))
        raw = await publish_to_consume_seconds(
            engine.url, brokers=brokers, per_second=PER_SECOND, seconds=BASELINE_SECONDS
        )
    for load, (times, spent) in measured:
        figures += _figures(load, times, [1000 * one for one in raw])
        figures += [
            Figure(f"processor of {kind}, {load.name}", 1000 * total / times.count, "ms per event")
            for kind, total in spent.items()
        ]
    return figures


def _counties(seconds: float) -> int:
    """As many as report in so many seconds, in whole rounds."""
    return max(1, int(PER_SECOND * seconds / len(KINDS) / ROUND)) * ROUND


async def _one_load(
    outpost: Outpost, keys: dict[str, str], load: Load
) -> tuple[Times, dict[str, float]]:
    """The times of one load, and the processor time spent on it by kind of process."""
    times, used = Times(), processor_seconds(outpost.processes())
    async with _stream(outpost, keys["reader"], times):
        await _send(outpost, keys, times, load)
        await _wait_for_all(times, len(load.counties))
    after = processor_seconds(outpost.processes())
    return times, {kind: total - used[kind] for kind, total in after.items()}


async def _send(outpost: Outpost, keys: dict[str, str], times: Times, load: Load) -> None:
    """On a schedule that does not wait for answers."""
    every, together = list(reports(load.counties)), load.together
    wanted = [every[start : start + together] for start in range(0, len(every), together)]
    links: asyncio.Queue[Link] = asyncio.Queue()
    for _ in range(CONNECTIONS):
        links.put_nowait(await Link.open("127.0.0.1", outpost.port))

    async def post(number: int) -> None:
        sent: list[Report] = wanted[number]
        body = b"[" + b",".join(report.body for report in sent) + b"]"
        link = await links.get()
        sent_at = time.perf_counter()
        answer = await link.post("/intake/reports", body, key=keys[sent[0].kind])
        now = time.perf_counter()
        links.put_nowait(link)
        if answer.status != 202 or f'"stored":{len(sent)}'.encode() not in answer.body:
            times.refused += 1
            return
        times.waited.append(now - sent_at)
        for report in sent:
            times.answered.setdefault(report.county, []).append(now)

    times.started = time.perf_counter()
    await at_rate(post, len(wanted), per_second=PER_SECOND / together)
    times.ended = time.perf_counter()
    while not links.empty():
        links.get_nowait().close()


@asynccontextmanager
async def _stream(outpost: Outpost, key: str, times: Times) -> AsyncIterator[None]:
    """An open alert stream; the first version of each county's alert is noted as it arrives."""
    opened = asyncio.Event()

    async def follow() -> None:
        headers = {"authorization": f"Bearer {key}"}
        async with (
            httpx.AsyncClient(base_url=outpost.base_url, timeout=None) as client,
            client.stream("GET", "/alerts/stream", headers=headers) as response,
        ):
            response.raise_for_status()
            async for line in response.aiter_lines():
                opened.set()
                if line.startswith("data:"):
                    now = time.perf_counter()
                    times.arrived.setdefault(json.loads(line[5:])["area_id"], now)

    task = asyncio.create_task(follow())
    try:
        async with asyncio.timeout(30):
            await opened.wait()
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _wait_for_all(times: Times, counties: int) -> None:
    deadline = time.monotonic() + LATE_SECONDS
    # The stream has its own task; there is nothing else to be told by.
    while len(times.arrived) < counties and time.monotonic() < deadline:  # noqa: ASYNC110
        await asyncio.sleep(0.05)


def _figures(load: Load, times: Times, raw: list[float]) -> list[Figure]:
    found_after = times.milliseconds()
    rate = times.count / (times.ended - times.started)
    note = (
        f"{len(found_after):,} alerts of {len(load.counties):,} expected, {rate:.0f} events/s"
        f" accepted after p50 {1000 * percentile(times.waited, 0.5):.0f}"
        f" / p99 {1000 * percentile(times.waited, 0.99):.0f} ms, refused {times.refused};"
        f" highest {percentile(found_after, 1.0):.0f} ms"
    )
    bounds = (("p50", 0.5, P50_MILLISECONDS), ("p99", 0.99, P99_MILLISECONDS))
    return [
        Figure(
            f"accepted → alert, {name}, {load.name}", percentile(found_after, share), "ms",
            Goal("at most", most), (Baseline("publish → consume", percentile(raw, share)),),
            note if share == 0.5 else "",
        )
        for name, share, most in bounds
    ]  # fmt: skip
