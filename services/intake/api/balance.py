"""The counts that must add up, and the rows that were rejected."""

from __future__ import annotations

from datetime import date
from typing import Any

from fastapi import Request

from services.intake.api.body import Limit, desk_of
from services.intake.handlers.balance import tell_balance
from services.intake.repository.receipts import list_rejected_rows
from services.intake.settings import PAGE_ROWS
from shared.http import Door, viewer_of

door = Door("/intake", tag="balance")


@door.on("GET", "/balance", permission="balance.read", area_scope="viewer")
async def get_balance(request: Request, since: date = date.min) -> dict[str, Any]:
    """received = stored + duplicate + rejected per source, day and door, beside the actual rows."""
    return await tell_balance(desk_of(request).database, viewer_of(request), since)


@door.on("GET", "/rejections", permission="rejections.read", area_scope="viewer")
async def get_rejections(request: Request, limit: Limit = PAGE_ROWS) -> list[dict[str, Any]]:
    """Rejected rows with their reasons, newest first; what they held stays sealed."""
    async with desk_of(request).database.read() as session:
        rows = await list_rejected_rows(session, viewer_of(request), limit=limit)
    return [row._asdict() for row in rows]
