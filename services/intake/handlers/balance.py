"""received = stored + duplicate + rejected, and the rows that are really there."""

from __future__ import annotations

from datetime import date
from typing import Any

from services.intake.repository.balance import read_balance
from shared.access import Viewer
from shared.database.work import Database


async def tell_balance(database: Database, viewer: Viewer, since: date) -> dict[str, Any]:
    """Per source, day and door, within the viewer's areas. `balanced` says that the counts add up
    and that as many rows stand in the tables as were said to be stored or rejected."""
    async with database.read() as session:
        rows = await read_balance(session, viewer, since)
    lines = [{**row._asdict(), "balanced": _adds_up(row)} for row in rows]
    for line in lines:
        line.pop("area_id")
    return {"balanced": all(line["balanced"] for line in lines), "lines": lines}


def _adds_up(row: Any) -> bool:
    told = row.received == row.stored + row.duplicate + row.rejected
    return bool(told and row.stored == row.stored_rows and row.rejected == row.rejected_rows)
