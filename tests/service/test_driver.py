"""What the driver takes for an array, after our change to it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio
from asyncpg.protocol import protocol
from sqlalchemy import URL, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from shared.database.driver import take_lists_for_arrays

ARRAYS: dict[str, list[Any]] = {
    "uuid": [uuid4(), None],
    "text": ["[1, 2]", "{}", ",", "", None],
    "bytea": [b"\x00\xff", b"", None],
    "timestamptz": [datetime(2026, 1, 1, tzinfo=UTC), None],
    "boolean": [True, False, None],
    "double precision": [0.5, None],
    "integer": [],
}


@pytest_asyncio.fixture
async def engine(fresh_database: URL) -> Any:
    take_lists_for_arrays()
    made = create_async_engine(fresh_database)
    yield made
    await made.dispose()


def test_the_driver_still_has_the_name_that_we_change() -> None:
    take_lists_for_arrays()
    assert vars(protocol)["IterableABC"] == (list, tuple)


async def test_arrays_come_back_as_they_went(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        for kind, values in ARRAYS.items():
            for given in (values, tuple(values)):
                statement = text(f"SELECT CAST(:given AS {kind}[])")
                assert (await connection.execute(statement, {"given": given})).scalar() == values


async def test_arrays_in_arrays_are_arrays_too(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        statement = text("SELECT CAST(:given AS integer[])")
        nested = [[1, 2], [3, 4]]
        assert (await connection.execute(statement, {"given": nested})).scalar() == nested


async def test_what_is_no_list_is_refused_aloud(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        with pytest.raises(DBAPIError, match="sized iterable container expected"):
            await connection.execute(text("SELECT CAST(:given AS integer[])"), {"given": {1, 2}})
