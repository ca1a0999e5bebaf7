"""Fixtures that every kind of test shares: a real PostgreSQL, fresh databases, the outside data."""

from __future__ import annotations

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


@pytest.fixture(scope="session")
def outside_data() -> Path:
    """`../shared/data`: real messages and lists that are not part of the project."""
    if not SHARED_DATA.is_dir():
        skip_or_fail("the folder ../shared/data with the outside data is absent")
    return SHARED_DATA


@pytest_asyncio.fixture(scope="session")
async def postgres() -> AsyncIterator[URL]:
    """A PostgreSQL of this test process; the administrator's URL of its maintenance database."""
    with tempfile.TemporaryDirectory(prefix="outpost-") as folder:
        server = await EmbeddedServer.start(Path(folder) / "postgresql")
        try:
            yield server.admin_url
        finally:
            await server.stop()


MakeDatabase = Callable[[], Awaitable[URL]]


@pytest_asyncio.fixture
async def make_database(postgres: URL) -> AsyncIterator[MakeDatabase]:
    """Makes empty databases for one test, and drops them after it."""
    made: list[str] = []

    async def make() -> URL:
        name = f"test_{secrets.token_hex(6)}"
        await _run(postgres, f'CREATE DATABASE "{name}" TEMPLATE template0')
        made.append(name)
        return postgres.set(database=name)

    yield make
    for name in made:
        await _run(postgres, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


@pytest_asyncio.fixture
async def fresh_database(make_database: MakeDatabase) -> URL:
    """One empty database, as the administrator."""
    return await make_database()


async def _run(url: URL, statement: str) -> None:
    engine = create_async_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    try:
        async with engine.connect() as connection:
            await connection.execute(text(statement))
    finally:
        await engine.dispose()
