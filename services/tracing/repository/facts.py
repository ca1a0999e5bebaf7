"""Storing what others said: the highest version of each record, and what a revision overwrote."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Executable,
    Table,
    Text,
    bindparam,
    cast,
    column,
    func,
    literal_column,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, insert

from shared.database.work import Work

REPLACED = "replaced_"


@dataclass(frozen=True, slots=True)
class Stored:
    """`changed`: the rows that are new or newer. `replaced`: the old values of those that were
    revised, by the name of their column."""

    changed: int
    replaced: tuple[Mapping[str, Any], ...]


async def store_newer(work: Work, table: Table, rows: Sequence[Mapping[str, Any]]) -> Stored:
    """Insert these, or overwrite an older version, in one statement however many they are.

    Rows name every column but the `replaced_*` ones, which the statement fills itself from the row
    it overwrites: only there is the old value certain while others write too.
    """
    key = next(iter(table.primary_key.columns))
    newest: dict[Any, Mapping[str, Any]] = {}
    for row in rows:
        known = newest.get(row[key.name])
        if known is None or known["version"] < row["version"]:
            newest[row[key.name]] = row
    if not newest:
        return Stored(0, ())
    # Two processes lock shared rows in one order and so cannot deadlock.
    ordered = [newest[record_id] for record_id in sorted(newest)]
    names = tuple(ordered[0])
    columns = {name: _array(table.c[name], [row[name] for row in ordered]) for name in names}
    remembered = _remembered(table)
    written = (await work.execute(_upsert(table, names), columns)).all()
    revised = [row._mapping for row in written if remembered and any(row)]
    return Stored(
        changed=len(written),
        replaced=tuple(
            {name.removeprefix(REPLACED): row[name] for name in remembered} for row in revised
        ),
    )


def _remembered(table: Table) -> list[str]:
    return [item.name for item in table.c if item.name.startswith(REPLACED)]


@cache
def _upsert(table: Table, names: tuple[str, ...]) -> Executable:
    """Built once per table: building it costs as much as a hundred rows."""
    key = next(iter(table.primary_key.columns))
    incoming = (
        func.unnest(*[_parameter(table.c[name]) for name in names])
        .table_valued(*[column(name) for name in names])
        .render_derived("incoming")
    )
    statement = insert(table).from_select(
        names, select(*[_parsed(table.c[name], incoming.c[name]) for name in names])
    )
    remembered = _remembered(table)
    returned: list[ColumnElement[Any]] = [table.c[name] for name in remembered]
    return statement.on_conflict_do_update(
        index_elements=[key],
        set_={name: statement.excluded[name] for name in names if name != key.name}
        | {name: table.c[name.removeprefix(REPLACED)] for name in remembered},
        where=table.c.version < statement.excluded.version,
    ).returning(*(returned or [literal_column("1")]))


def _parameter(target: Column[Any]) -> ColumnElement[Any]:
    """JSON travels as text: an array of documents has no type of its own in the driver."""
    kind = ARRAY(Text if isinstance(target.type, JSONB) else target.type)
    return cast(bindparam(target.name, type_=kind), kind)


def _array(target: Column[Any], values: list[Any]) -> list[Any]:
    return [json.dumps(value) for value in values] if isinstance(target.type, JSONB) else values


def _parsed(target: Column[Any], incoming: ColumnElement[Any]) -> ColumnElement[Any]:
    return cast(incoming, JSONB) if isinstance(target.type, JSONB) else incoming
