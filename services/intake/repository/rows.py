"""Rows of every door: one way in, whatever the table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import Table, TextClause, text
from sqlalchemy.dialects import postgresql

from shared.database.work import ReadSession, Work

RowKey = tuple[UUID, int]


@dataclass(frozen=True, slots=True)
class StoredRow:
    """What is known of a row that came before."""

    fingerprint: bytes
    verdict: str | None
    reason: str | None


async def insert_rows(
    work: Work, table: Table, rows: Sequence[Mapping[str, Any]]
) -> dict[RowKey, bool]:
    """Insert what is new; for each (record, revision) that went in: does a higher one stand?

    One statement and one plan however many rows; the rows' columns are the table's.
    """
    columns = {column.name: [row[column.name] for row in rows] for column in table.columns}
    found = await work.execute(_insertion(table), columns)
    return {(row.record_id, row.revision): row.superseded for row in found}


@cache
def _insertion(table: Table) -> TextClause:
    names = ", ".join(column.name for column in table.columns)
    arrays = ", ".join(
        f"CAST(:{column.name} AS {column.type.compile(postgresql.dialect())}[])"  # type: ignore[no-untyped-call]
        for column in table.columns
    )
    name = f"{table.schema}.{table.name}"
    return text(f"""
        WITH fresh AS (
            INSERT INTO {name} ({names}) SELECT {names} FROM unnest({arrays}) AS arrived ({names})
            ON CONFLICT (record_id, revision) DO NOTHING RETURNING record_id, revision
        )
        SELECT record_id, revision, EXISTS (
            SELECT FROM {name} AS other
            WHERE other.record_id = fresh.record_id AND other.revision > fresh.revision
        ) AS superseded FROM fresh
    """)  # noqa: S608 - names of our own tables and columns


async def find_rows(
    session: ReadSession, table: Table, ids: Sequence[UUID]
) -> dict[RowKey, StoredRow]:
    """Every stored revision of these records."""
    judged = "verdict" in table.columns
    told = "verdict, reason" if judged else "NULL AS verdict, NULL AS reason"
    rows = await session.execute(
        text(f"""
            SELECT record_id, revision, fingerprint, {told} FROM {table.schema}.{table.name}
            WHERE record_id = ANY(CAST(:ids AS uuid[]))
        """),  # noqa: S608 - names of our own tables and columns
        {"ids": list(ids)},
    )
    return {
        (row.record_id, row.revision): StoredRow(bytes(row.fingerprint), row.verdict, row.reason)
        for row in rows
    }
