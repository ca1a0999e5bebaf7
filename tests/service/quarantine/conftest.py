"""A ward on a database of its own; the clock stands at noon of 11 March 2021 (UTC)."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from sqlalchemy import URL

from shared.clock import ManualClock
from tests.conftest import MakeDatabase
from tests.service.quarantine.ward import Town, Ward, on


async def _prepare(url: URL) -> None:
    made = Ward(url, ManualClock(on(11)))
    await made.prepare()
    await made.engine.dispose()


@pytest_asyncio.fixture
async def bare_ward(make_database: MakeDatabase) -> AsyncIterator[Ward]:
    made = Ward(await make_database(_prepare), ManualClock(on(11)))
    yield made
    await made.engine.dispose()


@pytest_asyncio.fixture
async def ward(bare_ward: Ward) -> Ward:
    """With its policies."""
    await bare_ward.store_presets()
    return bare_ward


@pytest_asyncio.fixture
async def second(ward: Ward) -> AsyncIterator[Ward]:
    """Another process of the same service, on connections of its own."""
    made = Ward(ward.url, ward.clock)
    yield made
    await made.engine.dispose()


@pytest.fixture
def town() -> Town:
    return Town.new()
