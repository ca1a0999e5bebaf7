"""A city with its areas, at the beginning of its day."""

from __future__ import annotations

import pytest_asyncio

from shared.database.work import Database
from tests.service.alerts.counts.city import City
from tests.service.alerts.town import areas


@pytest_asyncio.fixture
async def city(database: Database) -> City:
    city = City(database)
    await city.hear(*areas())
    await city.settle()
    return city
