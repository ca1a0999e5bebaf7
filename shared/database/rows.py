"""Many rows in one statement: one round trip and one plan however many there are.

A crowd (ten thousand contacts of one case) writes the same few tables again and again; row by row,
the driver and the planner cost several times what the rows do.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import Column, Table, TextClause, Uuid, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from shared.database.work import Work

DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]
# From so many rows on it is worth looking for what they have in common.
CROWD = 100


async def upsert(
    work: Work, table: Table, rows: Sequence[Mapping[str, Any]], *, newer: str | None = None
) -> None:
    """Insert these rows, or put them in place of those with the same primary key, in this order.

    All rows name the same columns; no key comes twice. A JSON column takes a document or its text.
    `newer` names the column of versions: a stored row whose version is not lower stays.
    """
    if not rows:
        return
    names = tuple(rows[0])
    sent = {name: _sent(table.c[name], [row[name] for row in rows]) for name in names}
    same = _alike(sent) if len(rows) >= CROWD else frozenset[str]()
    columns = {name: values[0] if name in same else values for name, values in sent.items()}
    await work.execute(_upsert(table, names, newer, same), columns)


async def update(work: Work, table: Table, rows: Sequence[Mapping[str, Any]], **same: Any) -> None:
    """Give the rows with these primary keys these values; `same` are the values of all of them."""
    if not rows:
        return
    names = tuple(rows[0])
    columns = {name: _sent(table.c[name], [row[name] for row in rows]) for name in names}
    alike = {name: _sent(table.c[name], [value])[0] for name, value in same.items()}
    await work.execute(_update(table, names, tuple(same)), columns | alike)


def _alike(sent: Mapping[str, list[Any]]) -> frozenset[str]:
    """The columns that say the same in every row: of a crowd that rests on one case, half of them.
    The driver looks at every element of an array several times, at a single value once."""
    return frozenset(
        name
        for name, values in sent.items()
        if all(value is values[0] or value == values[0] for value in values)
    )


@cache
def _upsert(
    table: Table, names: tuple[str, ...], newer: str | None, same: frozenset[str]
) -> TextClause:
    keys = [column.name for column in table.primary_key.columns]
    own = tuple(name for name in names if name not in same)
    changed = ", ".join(f"{name} = excluded.{name}" for name in names if name not in keys)
    condition = f"WHERE known.{newer} < excluded.{newer}" if newer else ""
    read = ", ".join(
        _single(table.c[name]) if name in same else _read(table.c[name]) for name in names
    )
    return text(
        f"INSERT INTO {_name(table)} AS known ({', '.join(names)})"  # noqa: S608, our own names
        f" SELECT {read} FROM {_incoming(table, own)}"
        f" ON CONFLICT ({', '.join(keys)}) DO UPDATE SET {changed} {condition}"
    )


@cache
def _update(table: Table, names: tuple[str, ...], same: tuple[str, ...]) -> TextClause:
    keys = [column.name for column in table.primary_key.columns]
    changed = [f"{name} = {_read(table.c[name])}" for name in names if name not in keys]
    changed += [f"{name} = {_single(table.c[name])}" for name in same]
    found = " AND ".join(f"known.{name} = incoming.{name}" for name in keys)
    return text(
        f"UPDATE {_name(table)} AS known SET {', '.join(changed)}"  # noqa: S608, our own names
        f" FROM {_incoming(table, names)} WHERE {found}"
    )


def _name(table: Table) -> str:
    return DIALECT.identifier_preparer.format_table(table)


def _type(column: Column[Any]) -> str:
    return column.type.compile(dialect=DIALECT)


def _as_text(column: Column[Any]) -> bool:
    """Documents have no array in the driver, and arrays of several lengths make no array."""
    return isinstance(column.type, JSONB | ARRAY)


def _incoming(table: Table, names: tuple[str, ...]) -> str:
    arrays = ", ".join(
        f"CAST(:{name} AS {'text' if _as_text(table.c[name]) else _type(table.c[name])}[])"
        for name in names
    )
    return f"unnest({arrays}) AS incoming ({', '.join(names)})"


def _single(column: Column[Any]) -> str:
    """A document and an array of ids come as text here, too."""
    sent = f"CAST(:{column.name} AS text)" if _as_text(column) else f":{column.name}"
    return f"CAST({sent} AS {_type(column)})"


def _read(column: Column[Any]) -> str:
    name = f"incoming.{column.name}"
    return f"CAST({name} AS {_type(column)})" if _as_text(column) else name


def _sent(column: Column[Any], values: list[Any]) -> list[Any]:
    if isinstance(column.type, JSONB):
        return [value if isinstance(value, str) else json.dumps(value) for value in values]
    if isinstance(column.type, ARRAY):
        # Of ids alone: their text needs no quotes within the braces.
        if not isinstance(column.type.item_type, Uuid):
            raise TypeError(f"an array of {column.type.item_type!r} is not written here")
        return [f"{{{','.join(map(str, value))}}}" for value in values]
    return values
