"""Many rows at once are written as few are: all or nothing, in order, whatever their columns."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio
from sqlalchemy import URL, Column, MetaData, Table, Text, Uuid, func, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import create_async_engine

from shared.clock import ManualClock
from shared.database.rows import update, upsert
from shared.database.work import DUE_KEYS_MOST, Actor, Database
from shared.events.intake import PlaceChanged
from shared.ids import derived_id, new_id
from tests.service.delivery import toy
from tests.service.delivery.conftest import NOW

FEW, MANY = 3, 250
TEXTS = ARRAY(Text)


@pytest_asyncio.fixture
async def database(toy_database: URL) -> AsyncIterator[Database]:
    engine = create_async_engine(toy_database)
    clock = ManualClock(NOW)
    yield Database(engine, service="toy", tables=toy.standard, clock=clock)
    await engine.dispose()


def entry(number: int, **changes: Any) -> dict[str, Any]:
    row: dict[str, Any] = {
        "id": derived_id("entry", number),
        "version": 1,
        "owner": None if number % 2 else f"owner {number}",
        "open": False,
        "document": [{"quote": '"{}, \\', "number": number}],
        "others": [derived_id("other", n) for n in range(number % 3)],
    }
    return row | changes


async def stored(database: Database) -> dict[UUID, dict[str, Any]]:
    async with database.read() as session:
        rows = await session.execute(select(toy.entry))
        return {row.id: dict(row._mapping) for row in rows}


async def waiting(database: Database) -> tuple[int, int, int]:
    """Rows of outbox and audit, and the most keys of one row of due work."""
    tables = database.tables
    most = func.coalesce(func.max(func.cardinality(tables.due.c["keys"])), 0)
    async with database.read() as session:
        counts = [
            (await session.execute(select(func.count()).select_from(table))).scalar_one()
            for table in (tables.outbox, tables.audit)
        ]
        return counts[0], counts[1], (await session.execute(select(most))).scalar_one()


@pytest.mark.parametrize("count", [FEW, MANY])
async def test_rows_come_back_as_they_were_written(database: Database, count: int) -> None:
    rows = [entry(number) for number in range(count)]
    async with database.work(Actor("test")) as work:
        await upsert(work, toy.entry, rows)
    assert await stored(database) == {row["id"]: row for row in rows}


@pytest.mark.parametrize("count", [FEW, MANY])
async def test_a_version_that_is_not_newer_changes_nothing(database: Database, count: int) -> None:
    async with database.work(Actor("test")) as work:
        await upsert(work, toy.entry, [entry(0, version=2, owner="newest")], newer="version")
        later = [entry(number, owner="told again") for number in range(count)]
        await upsert(work, toy.entry, later, newer="version")
    found = await stored(database)
    assert found[derived_id("entry", 0)]["owner"] == "newest"
    assert len([row for row in found.values() if row["owner"] == "told again"]) == count - 1


@pytest.mark.parametrize("count", [FEW, MANY])
async def test_what_closes_may_stand_before_what_opens(database: Database, count: int) -> None:
    mine = {"owner": "one", "document": {}, "others": []}
    old, new = entry(0, open=True, **mine), entry(1, open=True, **mine)
    rest = [entry(number, document={}, others=[]) for number in range(2, count)]
    async with database.work(Actor("test")) as work:
        await upsert(work, toy.entry, [old])
        await upsert(work, toy.entry, [old | {"open": False}, new, *rest])
    found = await stored(database)
    assert (found[old["id"]]["open"], found[new["id"]]["open"]) == (False, True)


async def test_arrays_of_texts_are_refused_for_a_comma_would_divide_them(
    database: Database,
) -> None:
    named = Table("named", MetaData(), Column("id", Uuid, primary_key=True), Column("of", TEXTS))
    async with database.work(Actor("test")) as work:
        with pytest.raises(TypeError, match="array"):
            await upsert(work, named, [{"id": new_id(), "of": ["a,b"]}])


async def test_an_update_writes_what_is_named_and_nothing_else(database: Database) -> None:
    async with database.work(Actor("test")) as work:
        await upsert(work, toy.entry, [entry(number, open=True) for number in range(FEW)])
        told = [{"id": derived_id("entry", number), "version": 7 + number} for number in (0, 1)]
        await update(work, toy.entry, told, open=False, document=[], others=[])
    rows = (await stored(database)).values()
    assert sorted((row["version"], row["open"]) for row in rows) == [
        (1, True), (7, False), (8, False),
    ]  # fmt: skip


@pytest.mark.parametrize("count", [FEW, MANY])
async def test_what_a_crowd_says_is_written_with_its_transaction_or_not_at_all(
    database: Database, count: int
) -> None:
    """Also where nothing else was asked of the database before."""
    events = [
        PlaceChanged(
            record_id=new_id(), record_version=1, occurred_at=NOW, recorded_at=NOW, kind="school"
        )
        for _ in range(count)
    ]
    for fails in (True, False):
        try:
            async with database.work(Actor("test")) as work:
                work.announce(*events)
                for event in events:
                    work.audit("told", "place", event.record_id)
                work.due("tally", map(str, range(4 * count)))
                if fails:
                    await work.flush()
                    raise LookupError
        except LookupError:
            assert await waiting(database) == (0, 0, 0)
    assert await waiting(database) == (count, count, min(4 * count, DUE_KEYS_MOST))
