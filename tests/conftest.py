"""Fixtures that every kind of test shares: a real PostgreSQL, fresh databases, the outside data."""

from __future__ import annotations

import gc
import os
import secrets
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import pytest_asyncio
from sqlalchemy import URL, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from shared.database.embedded import EmbeddedServer

ROOT = Path(__file__).parent.parent
SHARED_DATA = ROOT.parent / "shared" / "data"
# Roles belong to the whole server: two tests with two secrets would shut each other out.
SECRET = "the one secret of the tests"


def require_all() -> bool:
    """In CI nothing is skipped."""
    return os.environ.get("REQUIRE_ALL") == "1"


def skip_or_fail(reason: str) -> None:
    """Skip with a reason; where REQUIRE_ALL=1 is set, fail with it."""
    if require_all():
        pytest.fail(f"REQUIRE_ALL=1 and {reason}")
    pytest.skip(reason)


def pytest_collection_finish() -> None:
    """As a live process does once it stands (`shared/runtime.py`): looking through all that was
    imported at every full collection took half of the time of tests with many rows."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 10, 10)


@pytest.fixture(scope="session")
def outside_data() -> Path:
    """`../shared/data`: real messages and lists that are not part of the project."""
    if not SHARED_DATA.is_dir():
        skip_or_fail("the folder ../shared/data with the outside data is absent")
    return SHARED_DATA


@pytest_asyncio.fixture(scope="session")
async def postgres() -> AsyncIterator[URL]:
    """A PostgreSQL of this test process; the administrator's URL of its maintenance database.

    It need not survive a power cut, and copying a database is ten times as fast then. Tests that
    kill a server start their own.
    """
    with tempfile.TemporaryDirectory(prefix="outpost-") as folder:
        server = await EmbeddedServer.start(Path(folder) / "postgresql")
        try:
            for name in ("fsync", "full_page_writes"):
                await execute(server.admin_url, f"ALTER SYSTEM SET {name} = off")
            await execute(server.admin_url, "SELECT pg_reload_conf()")
            yield server.admin_url
        finally:
            await server.stop()


Prepare = Callable[[URL], Awaitable[None]]
MakeDatabase = Callable[..., Awaitable[URL]]


@pytest.fixture(scope="session")
def templates() -> set[str]:
    """The names of the databases on the server of this process that are there to be copied."""
    return set()


@pytest_asyncio.fixture
async def make_database(postgres: URL, templates: set[str]) -> AsyncIterator[MakeDatabase]:
    """Makes databases for one test, and drops them after it: empty ones, or copies of one that
    `prepare` has filled, once in this process and leaving no connection open."""
    made: list[str] = []

    async def make(prepare: Prepare | None = None) -> URL:
        template = "template0"
        if prepare is not None:
            template = f"{prepare.__module__}.{prepare.__qualname__}"
            if template not in templates:
                await copy_database(postgres, template, "template0")
                await prepare(postgres.set(database=template))
                templates.add(template)
        name = f"test_{secrets.token_hex(6)}"
        made.append(name)
        return await copy_database(postgres, name, template)

    yield make
    for name in made:
        await drop_database(postgres, name)


@pytest_asyncio.fixture
async def fresh_database(make_database: MakeDatabase) -> URL:
    """One empty database, as the administrator."""
    return await make_database()


async def copy_database(server: URL, name: str, template: str) -> URL:
    """A new database with everything that the template has; the connect privilege is public."""
    await execute(server, f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY file_copy')
    return server.set(database=name)


async def drop_database(server: URL, name: str) -> None:
    await execute(server, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


async def execute(url: URL, statement: str) -> None:
    """One statement outside of any transaction."""
    engine = create_async_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    try:
        async with engine.connect() as connection:
            await connection.execute(text(statement))
    finally:
        await engine.dispose()
