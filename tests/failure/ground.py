"""The database and the log seen from the test: what is still moving, what stands in the tables."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg
from sqlalchemy import URL, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

import shared.ground
from services.__main__ import SERVICES
from shared.bus.headers import unpack_headers
from shared.bus.port import Bus, BusUnavailable
from shared.clock import ManualClock
from shared.credentials import Grant, issue_key
from shared.database.work import Database
from shared.settings import Settings
from shared.settled import moving
from tests.eventually import eventually
from tests.failure.house import House
from tests.failure.walk import SOURCES
from tests.journey.harness import all_permissions

SETTLE_SECONDS = 90.0


@dataclass(slots=True)
class Ground:
    """Read by the administrator; `databases` by each service's own role."""

    url: URL
    engine: AsyncEngine
    databases: dict[str, Database]
    bus: Bus

    async def rows(self, statement: str) -> Sequence[Any]:
        async with self.engine.connect() as connection:
            return (await connection.execute(text(statement))).all()

    async def unsent_of(self, service: str) -> frozenset[str]:
        """The ids of the events that wait in a service's outbox."""
        rows = await self.rows(f"SELECT headers FROM {service}.outbox ORDER BY id")
        return frozenset(dict(unpack_headers(row[0]))["ce_id"].decode() for row in rows)

    async def settle(self, house: House) -> None:
        """Until nothing moves, twice running; a process that dies meanwhile is followed by one."""
        left: list[str] = ["not looked yet"]
        still = 0

        async def quiet() -> bool:
            nonlocal left, still
            if house.is_dead():
                await house.revive(house.process)
            try:
                left = await moving(SERVICES, self.databases, self.bus)
            except (BusUnavailable, OSError, DBAPIError, asyncpg.PostgresError) as error:
                left = [f"not reachable: {type(error).__name__}"]
            still = 0 if left else still + 1
            return still == 2 and not house.is_dead()

        try:
            await eventually(quiet, within_seconds=SETTLE_SECONDS)
        except AssertionError as error:
            raise AssertionError(f"still moving: {left}\n{house.log()}") from error


@asynccontextmanager
async def open_ground(settings: Settings) -> AsyncIterator[Ground]:
    """On a database that has every schema, and on the log that the settings name."""
    async with AsyncExitStack() as stack:
        assert settings.clock_start_at is not None
        ground = shared.ground.Ground(SERVICES, settings, ManualClock(settings.clock_start_at))
        stack.push_async_callback(ground.close)
        await ground.open()
        bus: Bus
        if settings.kafka_brokers:
            from shared.bus.kafka import KafkaBus, KafkaOptions

            bus = KafkaBus(KafkaOptions(settings.kafka_brokers))
        else:
            from shared.bus.embedded import EmbeddedBus

            bus = EmbeddedBus(ground.engine_for("intake", size=2))
        stack.push_async_callback(bus.stop)
        await bus.start()
        yield Ground(ground.admin_url, ground.admin_engine(), ground.databases, bus)


async def issue_keys(url: URL) -> dict[str, str]:
    """One key for each source, and "" for the one who registers and reads."""
    engine = create_async_engine(url, poolclass=NullPool)
    everything = [*all_permissions(SERVICES), "metrics.read"]
    keys = {"": await issue_key(engine, "walker", Grant(everything, ["*"]))}
    for source in SOURCES:
        grant = Grant(everything, ["*"], source_id=source.id)
        keys[source.name] = await issue_key(engine, source.name, grant)
    await engine.dispose()
    return keys
