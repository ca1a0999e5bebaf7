"""A running Outpost for one walk, reached through its doors alone.

Embedded: all services in this process. On Kafka: two real processes of each service. Both stand at
one business instant; both are waited for with `settled()`, never with a pause.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
from fastapi.routing import APIRoute
from pydantic import SecretStr
from sqlalchemy import URL, select
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from shared.bus.port import Bus
from shared.clock import ManualClock
from shared.credentials import Grant, issue_key
from shared.database.work import Database
from shared.ground import Ground
from shared.log import configure_log
from shared.runtime import Runtime
from shared.service import Service
from shared.settings import Settings
from shared.settled import settled
from tests.conftest import SECRET

ROOT = Path(__file__).parent.parent.parent
READY_SECONDS = 60.0
PAGES_MOST = 200


@dataclass(slots=True)
class Outpost:
    """What a walk holds: a client per service and process, and the way to wait."""

    services: Sequence[Service]
    databases: dict[str, Database]
    bus: Bus
    admin_url: URL
    clients: Mapping[str, Iterator[httpx.AsyncClient]]
    clock: ManualClock
    on_kafka: bool = False
    # What the walk calls a record, by the record's id.
    names: dict[str, str] = field(default_factory=dict)
    # The key of each source, and what the doors told about each scan when it first came.
    keys: dict[str, str] = field(default_factory=dict)
    verdicts: dict[str, str | None] = field(default_factory=dict)

    async def settled(self, *, within_seconds: float = 60.0) -> None:
        """Nothing moves any more, and nothing was given up on the way."""
        await settled(self.services, self.databases, self.bus, within_seconds=within_seconds)
        for name, database in self.databases.items():
            letter = database.tables.dead_letter
            async with database.read() as session:
                reasons = (await session.execute(select(letter.c.reason))).scalars().all()
            assert not reasons, f"{name} gave up on {len(reasons)} records: {reasons[0]}"

    async def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        """To the service that the path names; its processes take turns."""
        client = next(self.clients[path.split("/")[1]])
        return await client.request(method, path, **options)

    async def send(self, path: str, body: Any = None, *, method: str = "POST") -> Any:
        """Post JSON that must be taken; the answer's JSON."""
        response = await self.ask(method, path, json=body)
        assert response.is_success, f"{method} {path}: {response.status_code} {response.text}"
        return response.json() if response.content else None

    async def read(self, path: str, **query: Any) -> Any:
        """One answer of a read route."""
        response = await self.ask("GET", path, params=query)
        assert response.is_success, f"GET {path}: {response.status_code} {response.text}"
        return response.json()

    async def pages(self, path: str, key: str, **query: Any) -> list[dict[str, Any]]:
        """Everything of a listing with numbered pages."""
        found: list[dict[str, Any]] = []
        for page in range(1, PAGES_MOST):
            answer = await self.read(path, **query, page=page, page_size=1000)
            found.extend(answer[key])
            if len(found) >= answer["total"]:
                return found
        raise AssertionError(f"GET {path} has more than {PAGES_MOST} pages")

    async def follow(
        self, path: str, key: str, *, cursor: str = "after", **query: Any
    ) -> list[dict[str, Any]]:
        """Everything of a listing that goes on after (or before) the last id."""
        found: list[dict[str, Any]] = []
        position: dict[str, Any] = {}
        for _ in range(PAGES_MOST):
            rows = (await self.read(path, limit=500, **query, **position))[key]
            found.extend(rows)
            if len(rows) < 500:
                return found
            position = {cursor: rows[-1]["id"]}
        raise AssertionError(f"GET {path} has more than {PAGES_MOST} pages")

    async def hl7(self, raw: bytes) -> httpx.Response:
        """Post one HL7 v2 message or batch as it is."""
        headers = {"content-type": "x-application/hl7-v2+er7"}
        return await self.ask("POST", "/intake/hl7v2", content=raw, headers=headers)


def all_permissions(services: Sequence[Service]) -> list[str]:
    """Every permission that some route asks for: the walks' client may do everything."""
    routes = (
        route for service in services for router in service.routers for route in router.routes
    )
    asked = {
        (route.openapi_extra or {}).get("x-permission")
        for route in routes
        if isinstance(route, APIRoute)
    }
    # Names and bodies come with a permission that no route demands.
    return sorted(permission for permission in asked | {"persons.read_names"} if permission)


def journey_settings(url: URL, folder: Path, *, at: datetime, brokers: str = "") -> Settings:
    return Settings(
        database_url=SecretStr(url.render_as_string(hide_password=False)),
        database_secret=SecretStr(SECRET),
        session_secret=SecretStr(SECRET),
        vault_key=SecretStr("A" * 43 + "="),
        migrate_at_start=False,
        kafka_brokers=brokers,
        data_dir=folder,
        clock_start_at=at,
        http_port=0,
    )


async def issue(url: URL, services: Sequence[Service], *, name: str = "walker") -> str:
    """The key of a client that may do everything everywhere."""
    engine = create_async_engine(url, poolclass=NullPool)
    try:
        return await issue_key(engine, name, Grant(all_permissions(services), ["*"]))
    finally:
        await engine.dispose()


@asynccontextmanager
async def embedded_outpost(
    url: URL, services: Sequence[Service], *, at: datetime
) -> AsyncIterator[Outpost]:
    """All services in this process, on the embedded log."""
    configure_log(level="error", style="console")
    key = await issue(url, services)
    with tempfile.TemporaryDirectory(prefix="outpost-") as folder:
        clock = ManualClock(at)
        runtime = Runtime(services, journey_settings(url, Path(folder), at=at), clock=clock)
        try:
            await runtime.start()
            async with _client(runtime.base_url, key) as client:
                yield Outpost(
                    services,
                    runtime.ground.databases,
                    runtime.bus,
                    url,
                    {service.name: itertools.repeat(client) for service in services},
                    clock,
                )
        finally:
            await runtime.stop()


@asynccontextmanager
async def kafka_outpost(
    url: URL,
    services: Sequence[Service],
    *,
    at: datetime,
    brokers: str,
    groups: Sequence[Sequence[str]],
) -> AsyncIterator[Outpost]:
    """Two processes of every group of services (a group: the names that share a process)."""
    from shared.bus.kafka import KafkaBus, KafkaOptions

    key = await issue(url, services)
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="outpost-")))
        settings = journey_settings(url, folder, at=at, brokers=brokers)
        wanted = [group for group in groups for _ in range(2)]
        addresses = await stack.enter_async_context(_processes(wanted, settings))
        clients: dict[str, list[httpx.AsyncClient]] = {}
        for group, address in zip(wanted, addresses, strict=True):
            client = await stack.enter_async_context(_client(address, key))
            for name in group:
                clients.setdefault(name, []).append(client)
        clock = ManualClock(at)
        ground = Ground(services, settings, clock)
        stack.push_async_callback(ground.close)
        await ground.open()
        bus = KafkaBus(KafkaOptions(brokers))
        stack.push_async_callback(bus.stop)
        await bus.start()
        turns = {name: itertools.cycle(found) for name, found in clients.items()}
        yield Outpost(services, ground.databases, bus, url, turns, clock, on_kafka=True)


def _client(address: str, key: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        base_url=address, headers={"authorization": f"Bearer {key}"}, timeout=60.0
    )


@asynccontextmanager
async def _processes(
    groups: Sequence[Sequence[str]], settings: Settings
) -> AsyncIterator[list[str]]:
    """One process per group; their addresses once all are ready. They end when stdin is closed."""
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.journey.process", *map(",".join, groups),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        cwd=ROOT, env=os.environ | _environment(settings), start_new_session=True,
    )  # fmt: skip
    assert parent.stdin is not None
    assert parent.stdout is not None
    told: dict[int, str] = {}
    try:
        async with asyncio.timeout(READY_SECONDS):
            while len(told) < len(groups):
                line = await parent.stdout.readline()
                assert line, f"only {len(told)} of {len(groups)} processes became ready"
                number, address = line.decode().split()
                told[int(number)] = address
        yield [told[number] for number in range(len(groups))]
    finally:
        parent.stdin.close()
        try:
            async with asyncio.timeout(20):
                await parent.wait()
        except TimeoutError:
            os.killpg(parent.pid, signal.SIGKILL)
            await parent.wait()


def _environment(settings: Settings) -> Mapping[str, str]:
    """What `Settings.load()` of the child must read to have the same settings."""
    told: dict[str, str] = {}
    for name in (
        "database_url", "database_secret", "session_secret", "vault_key", "migrate_at_start",
        "kafka_brokers", "data_dir", "http_port",
    ):  # fmt: skip
        value = getattr(settings, name)
        plain = value.get_secret_value() if isinstance(value, SecretStr) else str(value)
        told[f"OUTPOST_{name.upper()}"] = plain
    assert settings.clock_start_at is not None
    told["OUTPOST_CLOCK_START_AT"] = settings.clock_start_at.isoformat()
    return told
