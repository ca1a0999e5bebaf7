"""Intake on a database of its own; the clock stands at noon of 11 March 2021 (UTC)."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from shared.clock import ManualClock
from tests.conftest import MakeDatabase
from tests.service.intake.window import NOON, Intake, prepare_intake


@pytest_asyncio.fixture
async def bare_intake(make_database: MakeDatabase) -> AsyncIterator[Intake]:
    made = Intake(await make_database(prepare_intake), ManualClock(NOON))
    yield made
    await made.close()


@pytest_asyncio.fixture
async def intake(bare_intake: Intake) -> Intake:
    """With a county and its city."""
    await bare_intake.add_areas()
    return bare_intake
