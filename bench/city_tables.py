"""A made-up city in tracing's own tables, as if its fortnight had been heard.

    async with running(folder) as outpost, outpost.admin() as engine:
        loaded = await load_city(engine, make_city(81_400))

Rows go in by binary COPY, while their table has no indexes; these are made again from their own
definitions in the catalogue. One transaction per table, so a failure leaves it as it was. A table
that was empty is written without a log (`wal_level = minimal`) and with its rows frozen, so that
nothing is left to do for a vacuum. No message is sent, nothing becomes due, and no journal row is
written: a city index that has been built before must be built anew.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

import asyncpg
import numpy as np
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from sqlalchemy.ext.asyncio import AsyncEngine

from bench import binary_copy
from bench.binary_copy import Cells
from bench.city import GROUP_KINDS, PLACE_KINDS, City, Encounters, uuid_bytes
from bench.city_days import NEVER
from bench.city_dice import Array

SCHEMA = "tracing"
# The rows of one batch, and few enough to stay in the cache while they are packed.
CHUNK_ROWS = 20_000

COLUMNS = """
    SELECT attname AS name, attnotnull AND NOT atthasdef AND attidentity = '' AS demanded
    FROM pg_attribute
    WHERE attrelid = $1::text::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = ''
    ORDER BY attnum
"""
# An index that a constraint stands on goes and comes with the constraint.
INDEXES = """
    SELECT format('%I.%I', $2::text, index_class.relname) AS index_name,
        quote_ident(conname) AS constraint_name, pg_get_indexdef(index_class.oid) AS index_text,
        pg_get_constraintdef(pg_constraint.oid) AS constraint_text
    FROM pg_index
    JOIN pg_class AS index_class ON index_class.oid = pg_index.indexrelid
    LEFT JOIN pg_constraint ON conindid = pg_index.indexrelid AND contype IN ('p', 'u', 'x')
    WHERE indrelid = $1::text::regclass
    ORDER BY index_class.oid
"""

Rows = Callable[[slice], Mapping[str, Cells]]


@dataclass(frozen=True)
class Loaded:
    """What became of one table, and what it took."""

    table: str
    rows: int
    copy_seconds: float
    index_seconds: Mapping[str, float]
    vacuum_seconds: float

    @property
    def seconds(self) -> float:
        return self.copy_seconds + sum(self.index_seconds.values()) + self.vacuum_seconds

    @property
    def rows_per_second(self) -> float:
        """From the first row to the end of the vacuum."""
        return self.rows / self.seconds if self.seconds else 0.0


async def load_city(
    engine: AsyncEngine,
    city: City,
    *,
    met: Encounters | None = None,
    memory: str = "1GB",
    workers: int = 1,
    show: bool = True,
) -> list[Loaded]:
    """Put it in beside what is there. `engine`: the administrator's; `memory` and `workers`: what
    making an index may use."""
    parts: list[tuple[str, int, Rows]] = [
        ("place", city.places, place_rows(city)),
        ("membership", len(city.memberships), membership_rows(city)),
    ]
    if met is not None:
        parts.append(("encounter", len(met), encounter_rows(city, met)))
    parts.append(("visit", len(city.visits), visit_rows(city)))
    async with engine.connect() as connection:
        driver = (await connection.get_raw_connection()).driver_connection
        assert isinstance(driver, asyncpg.Connection)
        await driver.execute(
            "SELECT set_config('maintenance_work_mem', $1, false),"
            " set_config('max_parallel_maintenance_workers', $2, false)",
            memory, str(workers),
        )  # fmt: skip
        with _progress(show=show) as progress:
            return [
                await _load(driver, table, count, rows, progress) for table, count, rows in parts
            ]


def place_rows(city: City) -> Rows:
    longest = city.longest_stays()

    def rows(part: slice) -> dict[str, Cells]:
        return {
            "place_id": binary_copy.uuids(city.place_ids[part]),
            "version": binary_copy.one_integer(1),
            "kind": binary_copy.words(city.place_kind[part], PLACE_KINDS),
            "longest_seconds": binary_copy.floats(longest[part] / 1e6),
            "batch_id": _batch("place", part),
        }

    return rows


def visit_rows(city: City) -> Rows:
    visits = city.visits

    def rows(part: slice) -> dict[str, Cells]:
        return _fact("visit", part, visits.arrived) | {
            "person_id": binary_copy.uuids(city.person_ids[visits.person[part]]),
            "place_id": binary_copy.uuids(city.place_ids[visits.place[part]]),
            "arrived_at": binary_copy.instants(visits.arrived[part]),
            "left_at": binary_copy.instants(visits.left[part], never=NEVER),
        }

    return rows


def membership_rows(city: City) -> Rows:
    memberships = city.memberships

    def rows(part: slice) -> dict[str, Cells]:
        return _fact("membership", part, memberships.from_at) | {
            "person_id": binary_copy.uuids(city.person_ids[memberships.person[part]]),
            "group_id": binary_copy.uuids(city.group_ids[memberships.group[part]]),
            "group_kind": binary_copy.words(memberships.kind[part], GROUP_KINDS),
            "from_at": binary_copy.instants(memberships.from_at[part]),
            "until_at": binary_copy.instants(memberships.until_at[part], never=NEVER),
        }

    return rows


def encounter_rows(city: City, met: Encounters) -> Rows:
    def rows(part: slice) -> dict[str, Cells]:
        return _fact("encounter", part, met.started) | {
            "person_id": binary_copy.uuids(city.person_ids[met.person[part]]),
            "other_person_id": binary_copy.uuids(city.person_ids[met.other_person[part]]),
            "started_at": binary_copy.instants(met.started[part]),
            "seconds": binary_copy.long_integers(met.seconds[part]),
        }

    return rows


def row_id(table: str, row: int) -> UUID:
    """The id of a row by its number in the city's arrays."""
    return UUID(bytes=uuid_bytes(table, np.array([row])).tobytes())


def _fact(table: str, part: slice, began: Array) -> dict[str, Cells]:
    """What every fact has: heard once, at the instant at which it began."""
    return {
        "id": binary_copy.uuids(uuid_bytes(table, np.arange(part.start, part.stop))),
        "version": binary_copy.one_integer(1),
        "standing": binary_copy.one_boolean(value=True),
        "recorded_at": binary_copy.instants(began[part]),
        "batch_id": _batch(table, part),
    }


def _batch(table: str, part: slice) -> Cells:
    return binary_copy.one_uuid(row_id(f"b {table}", part.start))


async def _load(
    driver: asyncpg.Connection[asyncpg.Record],
    table: str,
    count: int,
    rows: Rows,
    progress: Progress,
) -> Loaded:
    name = f"{SCHEMA}.{table}"
    bar = progress.add_task(table, total=count)
    begun = time.perf_counter()
    async with driver.transaction():
        columns = await _columns(driver, name, rows(slice(0, 1)))
        indexes = await driver.fetch(INDEXES, name, SCHEMA)
        for index in indexes:
            await driver.execute(_without(name, index))
        empty = not await driver.fetchval(f"SELECT EXISTS (SELECT FROM {name})")  # noqa: S608
        if empty:
            # Only what was truncated in this transaction may be written frozen and without a log.
            await driver.execute(f"TRUNCATE {name}")
        await driver.copy_to_table(
            table, schema_name=SCHEMA, columns=columns, format="binary", freeze=empty,
            source=_packed(columns, count, rows, lambda done: progress.update(bar, completed=done)),
        )  # fmt: skip
        copied = time.perf_counter()
        seconds: dict[str, float] = {}
        for index in indexes:
            progress.update(bar, description=f"{table}: {index['index_name']}")
            started = time.perf_counter()
            await driver.execute(_again(name, index))
            seconds[str(index["index_name"])] = time.perf_counter() - started
    # Ends after the transaction has: what was not logged is flushed to the disk there.
    progress.update(bar, description=f"{table}: vacuum")
    committed = time.perf_counter()
    await driver.execute(f"VACUUM (ANALYZE) {name}")
    progress.update(bar, description=table)
    flushed = committed - copied - sum(seconds.values())
    return Loaded(
        name, count, copied - begun, seconds | {"commit": flushed}, time.perf_counter() - committed
    )


async def _columns(
    driver: asyncpg.Connection[asyncpg.Record], name: str, known: Mapping[str, Cells]
) -> list[str]:
    """The columns of the table that are filled: those demanded must be among them."""
    listed = await driver.fetch(COLUMNS, name)
    missing = [one["name"] for one in listed if one["demanded"] and one["name"] not in known]
    if missing:
        raise LookupError(f"{name} demands columns that the city does not know: {missing}")
    return [one["name"] for one in listed if one["name"] in known]


def _without(name: str, index: asyncpg.Record) -> str:
    if index["constraint_name"] is not None:
        return f"ALTER TABLE {name} DROP CONSTRAINT {index['constraint_name']}"
    return f"DROP INDEX {index['index_name']}"


def _again(name: str, index: asyncpg.Record) -> str:
    if index["constraint_name"] is not None:
        named = f"{index['constraint_name']} {index['constraint_text']}"
        return f"ALTER TABLE {name} ADD CONSTRAINT {named}"
    return str(index["index_text"])


async def _packed(
    columns: Sequence[str], count: int, rows: Rows, on_rows: Callable[[int], None]
) -> AsyncIterator[bytes]:
    """The table's COPY stream; the next chunk is made while this one is sent."""

    def made(start: int) -> bytes:
        part = slice(start, min(start + CHUNK_ROWS, count))
        cells = rows(part)
        return binary_copy.pack([cells[name] for name in columns], part.stop - part.start)

    yield binary_copy.HEADER
    ahead = asyncio.create_task(asyncio.to_thread(made, 0))
    for start in range(0, count, CHUNK_ROWS):
        chunk = await ahead
        following = start + CHUNK_ROWS
        if following < count:
            ahead = asyncio.create_task(asyncio.to_thread(made, following))
        yield chunk
        on_rows(min(following, count))
    yield binary_copy.TRAILER


def _progress(*, show: bool) -> Progress:
    return Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
        disable=not show,
    )  # fmt: skip
