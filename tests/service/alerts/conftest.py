"""The alerts service on a real PostgreSQL: its tables, its rules, three counties and a clock."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio
from sqlalchemy import URL, text
from sqlalchemy.ext.asyncio import create_async_engine

from services.alerts import app
from services.alerts.tables import metadata, standard
from shared.clock import ManualClock
from shared.database.work import Actor, Database
from shared.policy import read_presets, store_policy
from tests.service.alerts.town import Town, areas
from tests.unit.alerts.samples import START


@pytest_asyncio.fixture
async def database(fresh_database: URL) -> AsyncIterator[Database]:
    """Tables and preset rules, no area yet."""
    engine = create_async_engine(fresh_database, pool_size=6)
    async with engine.begin() as connection:
        await connection.execute(text("CREATE SCHEMA alerts"))
        await connection.run_sync(metadata.create_all)
    clock = ManualClock(START)
    database = Database(engine, service="alerts", tables=standard, clock=clock)
    async with database.work(Actor("command")) as work:
        for file in read_presets(Path(app.__file__).parent / "presets", app.service.policies):
            await store_policy(work, standard, file, state="active")
    yield database
    await engine.dispose()


@pytest_asyncio.fixture
async def town(database: Database) -> Town:
    """With its areas."""
    town = Town(database)
    await town.hear(*areas())
    await town.settle()
    return town
