"""A running toy service on the embedded log."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest_asyncio
from pydantic import SecretStr
from sqlalchemy import URL
from sqlalchemy.ext.asyncio import create_async_engine

import shared.access
import shared.bus.tables
from shared.clock import ManualClock
from shared.database.bootstrap import bootstrap
from shared.log import configure_log
from shared.runtime import Runtime
from shared.settings import Settings
from tests.conftest import SECRET, MakeDatabase
from tests.service.delivery import toy

NOW = datetime(2020, 2, 15, 12, tzinfo=UTC)


def settings_for(url: URL) -> Settings:
    """Settings of a test process on one database, without migrations (the toy has none)."""
    return Settings(
        database_url=SecretStr(url.render_as_string(hide_password=False)),
        database_secret=SecretStr(SECRET),
        session_secret=SecretStr(SECRET),
        vault_key=SecretStr("A" * 43 + "="),
        migrate_at_start=False,
        http_port=0,
        dead_letter_minimum=4,
        dead_letter_ratio=0.5,
    )


async def _prepare(url: URL) -> None:
    await bootstrap(url, ["toy"], secret=SECRET, embedded_log=True)
    engine = create_async_engine(url)
    async with engine.begin() as connection:
        for metadata in (toy.metadata, shared.bus.tables.metadata, shared.access.metadata):
            await connection.run_sync(metadata.create_all)
    await engine.dispose()


@pytest_asyncio.fixture
async def toy_database(make_database: MakeDatabase) -> URL:
    """The toy's tables, made from its metadata."""
    return await make_database(_prepare)


@pytest_asyncio.fixture
async def running(toy_database: URL) -> AsyncIterator[Runtime]:
    """One process of it."""
    with tempfile.TemporaryDirectory() as folder:
        settings = settings_for(toy_database).model_copy(update={"data_dir": Path(folder)})
        runtime = Runtime([toy.service], settings, clock=ManualClock(NOW))
        configure_log(level="critical", style="json")
        await runtime.start()
        yield runtime
        await runtime.stop()
