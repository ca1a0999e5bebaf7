"""A desk on a database of its own; the clock stands at noon of 11 March 2021 (UTC)."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio
from sqlalchemy import URL

from tests.service.tracing.desk import Desk


@pytest_asyncio.fixture
async def desk(fresh_database: URL) -> AsyncIterator[Desk]:
    made = Desk(fresh_database)
    await made.prepare()
    yield made
    await made.engine.dispose()
