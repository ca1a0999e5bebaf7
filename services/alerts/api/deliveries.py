"""The ledger of deliveries."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import Depends, Query

from services.alerts.repository.deliveries import list_deliveries
from services.alerts.schemas.deliveries import DeliveryList, DeliveryView
from shared.access import Viewer
from shared.http import Door, room_of, viewer_of
from shared.service import Room

door = Door("/alerts/deliveries", tag="deliveries")


@door.on("GET", "", permission="deliveries.read", area_scope="viewer")
async def get_deliveries(
    alert_id: UUID | None = None,
    subject: str | None = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
    room: Room = Depends(room_of),
    viewer: Viewer = Depends(viewer_of),
) -> DeliveryList:
    """Which version of which alert was sent to whom and when, the newest first."""
    async with room.database.read() as session:
        rows = await list_deliveries(
            session, viewer, alert_id=alert_id, subject=subject, limit=limit
        )
    return DeliveryList(deliveries=[DeliveryView.model_validate(row) for row in rows])
