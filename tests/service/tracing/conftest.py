"""A desk on a database of its own; the clock stands at noon of 11 March 2021 (UTC)."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio
from sqlalchemy import URL

from tests.conftest import MakeDatabase
from tests.service.tracing.desk import Desk


async def _prepare(url: URL) -> None:
    made = Desk(url)
    await made.prepare()
    await made.engine.dispose()


@pytest_asyncio.fixture
async def desk(make_database: MakeDatabase) -> AsyncIterator[Desk]:
    made = Desk(await make_database(_prepare))
    yield made
    await made.engine.dispose()
