"""Records that have one row, whose newest version takes the place of the last."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Table
from sqlalchemy.dialects.postgresql import insert

from shared.database.work import Work


async def save_versions(work: Work, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    """Write these by id; the caller holds the lock under which their versions were counted."""
    if not rows:
        return
    statement = insert(table)
    await work.execute(
        statement.on_conflict_do_update(
            index_elements=[table.c.id],
            set_={name: statement.excluded[name] for name in rows[0] if name != "id"},
        ),
        rows,
    )
