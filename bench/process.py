"""An Outpost as a user starts it: `python -m services` in a child, on a folder of its own."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any

import httpx
import psutil
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from deploy.kafka.broker import free_port
from services.__main__ import SERVICES
from shared.bus.kafka import KafkaBus, KafkaOptions
from shared.clock import SystemClock
from shared.ground import Ground
from shared.service import ConsumerGroup, Service, topics_of
from shared.settings import Settings

ROOT = Path(__file__).parent.parent
READY_SECONDS = 90.0
STOP_SECONDS = 40.0
NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(slots=True)
class Outpost:
    """A running server with all services, and how long its start took, from `exec` to ready."""

    folder: Path
    port: int
    brokers: str
    ready_seconds: float
    process: subprocess.Popen[bytes]

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def processes(self) -> list[psutil.Process]:
        """The server and everything it started, PostgreSQL's processes included."""
        own = psutil.Process(self.process.pid)
        found = {one.pid: one for one in (own, *own.children(recursive=True))}
        cluster = self.folder / "postgresql" / "cluster"
        for one in psutil.process_iter(["name"]):
            if str(one.info["name"]).startswith("postgres"):
                with suppress(psutil.Error, OSError):
                    if Path(one.cwd()) == cluster:
                        found[one.pid] = one
        return list(found.values())

    @asynccontextmanager
    async def admin(self) -> AsyncIterator[AsyncEngine]:
        """The administrator's engine on the server's database."""
        settings = Settings(data_dir=self.folder, kafka_brokers=self.brokers)
        ground = Ground([], settings, SystemClock())
        try:
            await ground.open()
            yield ground.admin_engine()
        finally:
            await ground.close()

    def vault_key(self) -> str:
        """What the server seals and indexes with, so that persons can be put in at once."""
        return Ground([], Settings(data_dir=self.folder), SystemClock()).secrets.vault_key


def launch(
    folder: Path,
    port: int,
    *,
    brokers: str = "",
    profile: Path | None = None,
    settings: Mapping[str, str] = NOTHING,
) -> subprocess.Popen[bytes]:
    """Start the child; its log goes to `server.log` in the folder. `settings` are further ones."""
    folder.mkdir(parents=True, exist_ok=True)
    own = {
        "OUTPOST_DATA_DIR": str(folder),
        "OUTPOST_HTTP_PORT": str(port),
        "OUTPOST_KAFKA_BROKERS": brokers,
        "OUTPOST_LOG_LEVEL": "warning",
    }
    command = [sys.executable, "-m", "services"]
    if profile is not None:
        command = [sys.executable, "-m", "bench.profiled", str(profile)]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("OUTPOST_")}
    log: IO[bytes] = (folder / "server.log").open("ab")
    with log:
        return subprocess.Popen(
            command,
            cwd=ROOT,
            env={**clean, **own, **settings},
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
        )


@asynccontextmanager
async def running(
    folder: Path,
    *,
    brokers: str = "",
    profile: Path | None = None,
    settings: Mapping[str, str] = NOTHING,
) -> AsyncIterator[Outpost]:
    """Up and ready; stopped in order at the end."""
    port = free_port()
    started = time.perf_counter()
    process = launch(folder, port, brokers=brokers, profile=profile, settings=settings)
    try:
        await _wait_ready(process, port, folder)
        yield Outpost(folder, port, brokers, time.perf_counter() - started, process)
    finally:
        process.terminate()
        try:
            await asyncio.to_thread(process.wait, STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


async def _wait_ready(process: subprocess.Popen[bytes], port: int, folder: Path) -> None:
    deadline = time.monotonic() + READY_SECONDS
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=5.0) as client:
        while time.monotonic() < deadline:
            if process.poll() is not None:
                tail = (folder / "server.log").read_text(errors="replace")[-2000:]
                raise RuntimeError(f"the server ended while starting:\n{tail}")
            with suppress(httpx.TransportError):
                if (await client.get("/readyz")).status_code == 200:
                    return
            await asyncio.sleep(0.02)
    raise TimeoutError(f"the server was not ready within {READY_SECONDS:.0f} s")


async def counts(engine: AsyncEngine, statement: str) -> dict[str, int]:
    """A query of (word, number) rows."""
    async with engine.connect() as connection:
        return {row[0]: int(row[1]) for row in await connection.execute(text(statement))}


LEFT_TO_DO = " UNION ALL ".join(
    f"SELECT '{service} {table}', count(*) FROM {service}.{table}"  # noqa: S608, our own names
    for service in ("intake", "tracing", "quarantine", "alerts", "console")
    for table in ("outbox", "due")
)
LAG = """
    SELECT stored.group_name, sum(greatest(head.next_offset - coalesce(stored.position, 0), 0))
    FROM bus.group_position AS stored
    JOIN bus.partition_head AS head ON head.id = stored.partition_id GROUP BY 1
"""


async def left_to_do(engine: AsyncEngine, *, embedded_log: bool = True) -> dict[str, int]:
    """Everything that is still on its way, by name: outboxes, due work, the groups' lag."""
    found = await counts(engine, LEFT_TO_DO)
    if embedded_log:
        found |= await counts(engine, LAG)
    return {name: count for name, count in found.items() if count}


async def wait_quiet(
    engine: AsyncEngine, *, within_seconds: float, brokers: str = ""
) -> tuple[float, list[dict[str, int]]]:
    """Seconds until nothing was left, and what was left at each look; inf when that never came."""
    started = time.perf_counter()
    seen: list[dict[str, int]] = []
    while (passed := time.perf_counter() - started) < within_seconds:
        left = await left_to_do(engine, embedded_log=not brokers)
        if brokers and not left:
            left = await kafka_lag(brokers)
        if not left:
            return passed, seen
        seen.append(left)
        await asyncio.sleep(0.5)
    return float("inf"), seen


async def kafka_lag(brokers: str) -> dict[str, int]:
    """Records that a group has not committed, by group; those without any are left out."""
    bus = KafkaBus(KafkaOptions(brokers))
    await bus.start()
    try:
        return {
            name: lag
            for service in SERVICES
            for group in service.consumers
            if (lag := await bus.group_lag(name := group_name(service, group), topics_of(group)))
        }
    finally:
        await bus.stop()


def group_name(service: Service, group: ConsumerGroup) -> str:
    return f"{service.name}.{group.purpose}"


def child_json(module: str, told: str, *arguments: str) -> Any:
    """Run a module of ours in a process of its own, with `told` on its stdin; its JSON answer."""
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT, input=told.encode(), stdout=subprocess.PIPE, check=True,
    )  # fmt: skip
    return json.loads(done.stdout)


def processor_seconds(processes: Sequence[psutil.Process]) -> dict[str, float]:
    """Processor time used so far, by kind of process; ended ones count for their parent."""
    found: dict[str, float] = {}
    for one in processes:
        with suppress(psutil.Error):
            kind = "postgresql" if one.name().startswith("postgres") else "server"
            found[kind] = found.get(kind, 0.0) + sum(one.cpu_times()[:2])
    return found


def memory_bytes(processes: Sequence[psutil.Process]) -> dict[str, int]:
    """Proportional set size by kind of process: shared pages are counted once."""
    found: dict[str, int] = {}
    for one in processes:
        with suppress(psutil.Error):
            name = one.name()
            found[name] = found.get(name, 0) + one.memory_full_info().pss
    return found
