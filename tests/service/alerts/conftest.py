"""The alerts service on a real PostgreSQL: its tables, its rules, three counties and a clock."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio
from sqlalchemy import URL, text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from services.alerts import app
from services.alerts.tables import metadata, standard
from shared.clock import ManualClock
from shared.database.work import Actor, Database
from shared.policy import read_presets, store_policy
from tests.conftest import MakeDatabase
from tests.service.alerts.town import Town, areas
from tests.unit.alerts.samples import START


def _database(engine: AsyncEngine) -> Database:
    return Database(engine, service="alerts", tables=standard, clock=ManualClock(START))


async def _prepare(url: URL) -> None:
    engine = create_async_engine(url)
    async with engine.begin() as connection:
        await connection.execute(text("CREATE SCHEMA alerts"))
        await connection.run_sync(metadata.create_all)
    async with _database(engine).work(Actor("command")) as work:
        for file in read_presets(Path(app.__file__).parent / "presets", app.service.policies):
            await store_policy(work, standard, file, state="active")
    await engine.dispose()


@pytest_asyncio.fixture
async def database(make_database: MakeDatabase) -> AsyncIterator[Database]:
    """Tables and preset rules, no area yet."""
    engine = create_async_engine(await make_database(_prepare), pool_size=6)
    yield _database(engine)
    await engine.dispose()


@pytest_asyncio.fixture
async def town(database: Database) -> Town:
    """With its areas."""
    town = Town(database)
    await town.hear(*areas())
    await town.settle()
    return town
