"""The area tree."""

from __future__ import annotations

from typing import Any

from fastapi import Request

from services.intake.api.body import Limit, desk_of
from services.intake.handlers.areas import register_areas
from services.intake.repository.areas import list_areas
from services.intake.schemas.registry import AreaIn
from services.intake.settings import PAGE_ROWS, ROWS_MAX
from shared.database.work import Actor
from shared.errors import TooLarge
from shared.http import Door, viewer_of

door = Door("/intake", tag="areas")


@door.on("POST", "/areas", permission="areas.write", area_scope="everywhere")
async def post_areas(request: Request, areas: list[AreaIn]) -> dict[str, int]:
    """Register or change areas; a parent may come later than its children."""
    if len(areas) > ROWS_MAX:
        raise TooLarge("too many areas in one body", f"send at most {ROWS_MAX} at once")
    return await register_areas(
        desk_of(request).database,
        [area.read() for area in areas],
        actor=Actor(viewer_of(request).subject),
    )


@door.on("GET", "/areas", permission="areas.read", area_scope="viewer")
async def get_areas(
    request: Request, parent_id: str | None = None, limit: Limit = PAGE_ROWS
) -> list[dict[str, Any]]:
    """Areas below a parent, within the viewer's."""
    async with desk_of(request).database.read() as session:
        rows = await list_areas(session, viewer_of(request), parent_id=parent_id, limit=limit)
    return [row._asdict() for row in rows]
