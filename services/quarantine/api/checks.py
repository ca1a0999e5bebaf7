"""`/quarantine/checks`: check-ins owed, and `/quarantine/orders/{id}/checks`: doing one."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from fastapi import Depends

from services.quarantine.api.orders import Limit, RoomOf, ViewerOf
from services.quarantine.handlers.checks import CheckInCommand, record_check_in
from services.quarantine.repository.checks import list_checks
from services.quarantine.schemas.checks import CheckAnswer, CheckInBody, CheckList
from shared.database.work import Actor
from shared.http import Door

door = Door("/quarantine", tag="checks")


class CheckFilters:
    """Which check-ins."""

    def __init__(
        self,
        status: Literal["owed", "done", "missed", "withdrawn"] | None = None,
        person_id: UUID | None = None,
        order_id: UUID | None = None,
        symptomatic: bool | None = None,
    ) -> None:
        self.values = {
            "status": status,
            "person_id": person_id,
            "order_id": order_id,
            "symptomatic": symptomatic,
        }


@door.on("GET", "/checks", permission="checks.read", area_scope="viewer")
async def checks(
    room: RoomOf,
    viewer: ViewerOf,
    filters: Annotated[CheckFilters, Depends()],
    after: UUID | None = None,
    limit: Limit = 100,
) -> CheckList:
    """Check-ins of orders in the viewer's areas, the latest due first."""
    async with room.database.read() as session:
        rows = await list_checks(
            session, viewer, filters=filters.values, after_id=after, limit=limit
        )
    return CheckList(checks=tuple(CheckAnswer.of(row) for row in rows))


@door.on("POST", "/orders/{order_id}/checks", permission="checks.write", area_scope="viewer")
async def check_in(
    room: RoomOf, viewer: ViewerOf, order_id: UUID, body: CheckInBody
) -> CheckAnswer:
    """Record a check-in; the answer is the check-in owed for which it counts."""
    async with room.database.work(Actor(viewer.subject)) as work:
        command = CheckInCommand(
            order_id=order_id,
            done_at=body.done_at or work.now(),
            temperature_c=body.temperature_c,
            symptoms=body.symptoms,
            author=viewer.subject,
        )
        counted = await record_check_in(work, viewer, command)
    return CheckAnswer.of(counted)
