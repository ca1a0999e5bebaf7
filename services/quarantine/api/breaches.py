"""`/quarantine/breaches`: who was scanned where their order did not allow it."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import Depends

from services.quarantine.api.orders import Limit, RoomOf, ViewerOf
from services.quarantine.repository.breaches import list_breaches
from services.quarantine.schemas.breaches import BreachAnswer, BreachList
from shared.http import Door

door = Door("/quarantine", tag="breaches")


class BreachFilters:
    """Which breaches; `standing=false` shows the withdrawn ones."""

    def __init__(
        self,
        person_id: UUID | None = None,
        order_id: UUID | None = None,
        standing: bool | None = None,
    ) -> None:
        self.values = {"person_id": person_id, "order_id": order_id, "standing": standing}


@door.on("GET", "/breaches", permission="breaches.read", area_scope="viewer")
async def breaches(
    room: RoomOf,
    viewer: ViewerOf,
    filters: Annotated[BreachFilters, Depends()],
    after: UUID | None = None,
    limit: Limit = 100,
) -> BreachList:
    """Breaches at places in the viewer's areas, the latest first."""
    async with room.database.read() as session:
        rows = await list_breaches(
            session, viewer, filters=filters.values, after_id=after, limit=limit
        )
    return BreachList(breaches=tuple(BreachAnswer.of(row) for row in rows))
