"""Reasons and evidence: parts of events in the process, documents in the tables.

They pass as text, which pydantic reads and writes at a third of what the driver's way through
dictionaries costs: a crowd has ten thousand of each.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import CursorResult, Select, Table, Text, cast, select

from shared.events.base import Evidence
from shared.events.tracing import Reason

DOCUMENTS: dict[str, TypeAdapter[Any]] = {
    "reasons": TypeAdapter(tuple[Reason, ...]),
    "evidence": TypeAdapter(tuple[Evidence, ...]),
}


def select_as_text(table: Table) -> Select[Any]:
    """All columns, the documents among them as text: for `read_rows`."""
    return select(
        *(
            cast(column, Text).label(column.name) if column.name in DOCUMENTS else column
            for column in table.c
        )
    )


def read_rows(found: CursorResult[Any]) -> list[dict[str, Any]]:
    """Rows of `select_as_text` to be changed, with the parts of events in them."""
    names = list(found.keys())
    rows = [dict(zip(names, row, strict=True)) for row in found]
    for name in DOCUMENTS.keys() & set(names):
        read = DOCUMENTS[name].validate_json
        for row in rows:
            row[name] = read(row[name])
    return rows


def written(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same rows as the tables take them."""
    return [
        row
        | {name: DOCUMENTS[name].dump_json(row[name]).decode() for name in DOCUMENTS if name in row}
        for row in rows
    ]
