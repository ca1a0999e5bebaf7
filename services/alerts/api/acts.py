"""What people do to an alert, each with a reason."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import Depends, Path

from services.alerts.domain.life import Act
from services.alerts.handlers.acts import Acting, act_on_alert
from services.alerts.schemas.alerts import ActAnswer, ActRequest
from shared.access import Viewer
from shared.database.work import Actor
from shared.http import Door, room_of, viewer_of
from shared.service import Room

door = Door("/alerts/alerts", tag="alerts")


@door.on("POST", "/{alert_id}/{act}", permission="alerts.write", area_scope="viewer")
async def post_act(
    alert_id: UUID,
    act: Annotated[Act, Path(description="acknowledge, verify, escalate, close or dismiss")],
    request: ActRequest,
    room: Room = Depends(room_of),
    viewer: Viewer = Depends(viewer_of),
) -> ActAnswer:
    """Acknowledge, verify, escalate, close or dismiss; 409 where the alert's state does not allow
    it."""
    async with room.database.work(Actor(viewer.subject)) as work:
        event = await act_on_alert(work, viewer, Acting(alert_id, act, request.reason))
    return ActAnswer(id=event.record_id, record_version=event.record_version, state=event.state)
