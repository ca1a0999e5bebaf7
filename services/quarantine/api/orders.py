"""`/quarantine/orders`: who is under order, and the whole explanation of one."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from fastapi import Depends, Query

from services.quarantine.errors import OrderNotFound
from services.quarantine.handlers.orders import allow_place
from services.quarantine.repository.breaches import breaches_of_order
from services.quarantine.repository.checks import audit_trail, checks_of_order
from services.quarantine.repository.orders import find_order, list_orders, order_of
from services.quarantine.schemas.orders import OrderAnswer, OrderDetail, OrderList, PlaceAllowed
from shared.access import Viewer
from shared.database.work import Actor, AuditDetails
from shared.http import Door, room_of, viewer_of
from shared.service import Room

door = Door("/quarantine", tag="orders")

Limit = Annotated[int, Query(ge=1, le=500)]
RoomOf = Annotated[Room, Depends(room_of)]
ViewerOf = Annotated[Viewer, Depends(viewer_of)]


class OrderFilters:
    """Which orders; `area_id` takes in the areas below it."""

    def __init__(
        self,
        area_id: str | None = None,
        status: Literal["open", "ended", "withdrawn"] | None = None,
        person_id: UUID | None = None,
        kind: Literal["quarantine", "isolation"] | None = None,
    ) -> None:
        self.values = {
            "area_id": area_id,
            "status": status,
            "person_id": person_id,
            "kind": kind,
        }


@door.on("GET", "/orders", permission="orders.read", area_scope="viewer")
async def orders(
    room: RoomOf,
    viewer: ViewerOf,
    filters: Annotated[OrderFilters, Depends()],
    after: UUID | None = None,
    limit: Limit = 100,
) -> OrderList:
    """Orders in the viewer's areas, in the order in which they were first made."""
    async with room.database.read() as session:
        rows = await list_orders(
            session, viewer, filters=filters.values, after_id=after, limit=limit
        )
    return OrderList(orders=tuple(OrderAnswer.of(order_of(row)) for row in rows))


@door.on("GET", "/orders/{order_id}", permission="orders.read", area_scope="viewer")
async def order(room: RoomOf, viewer: ViewerOf, order_id: UUID) -> OrderDetail:
    """One order: supports, reason, policy version, breaches, check-ins, audit trail.

    The look itself is written into the audit before the answer goes out.
    """
    async with room.database.work(Actor(viewer.subject)) as work:
        row = await find_order(work, viewer, order_id)
        if row is None:
            raise OrderNotFound(order_id)
        found = await breaches_of_order(work, order_id)
        owed = await checks_of_order(work, order_id)
        records = [order_id, *(one.id for one in found), *(one.id for one in owed)]
        trail = await audit_trail(work, records)
        work.audit(
            "order_looked_at",
            "order",
            order_id,
            version=row.version,
            details=AuditDetails(area_id=row.area_id),
        )
    return OrderDetail.told(order_of(row), row=row, breaches=found, checks=owed, audit=trail)


@door.on("POST", "/orders/{order_id}/places", permission="orders.write", area_scope="viewer")
async def allow(room: RoomOf, viewer: ViewerOf, order_id: UUID, body: PlaceAllowed) -> OrderAnswer:
    """Allow the order's person to be at a place; scans there are no breach, nor were they."""
    async with room.database.work(Actor(viewer.subject)) as work:
        changed = await allow_place(
            work, viewer, order_id=order_id, place_id=body.place_id, reason=body.reason
        )
    return OrderAnswer.of(changed)
