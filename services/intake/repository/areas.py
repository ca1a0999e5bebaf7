"""The area tree."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select

from services.intake.tables import standard
from shared.access import Viewer
from shared.areas import visible
from shared.database.work import ReadSession

area = standard.area


async def read_areas(session: ReadSession, ids: Sequence[str]) -> dict[str, Any]:
    query = select(area).where(area.c.area_id.in_(ids))
    return {row.area_id: row for row in await session.execute(query)}


async def list_areas(
    session: ReadSession, viewer: Viewer, *, parent_id: str | None, limit: int
) -> list[Any]:
    query = select(area).where(visible(standard, viewer, area.c.area_id))
    if parent_id is not None:
        query = query.where(area.c.parent_id == parent_id)
    return list((await session.execute(query.order_by(area.c.area_id).limit(limit))).all())
