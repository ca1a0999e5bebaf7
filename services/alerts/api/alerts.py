"""Alerts: the list and the whole of one."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import Depends, Query

from services.alerts.domain.life import State
from services.alerts.domain.rules import Level
from services.alerts.errors import AlertNotFound
from services.alerts.handlers.stream import ring_of
from services.alerts.repository.alerts import (
    AlertFilter,
    find_alert,
    list_alerts,
    records_of,
    trail_of,
)
from services.alerts.schemas.alerts import (
    AlertDetail,
    AlertList,
    AlertView,
    RecordView,
    TrailLine,
)
from shared.access import Viewer
from shared.http import Door, room_of, viewer_of
from shared.service import Room

RECORDS_MOST = 2000
door = Door("/alerts/alerts", tag="alerts")


def alert_filter(
    state: Annotated[list[State], Query()] = [],  # noqa: B006 - FastAPI reads it once
    level: Annotated[list[Level], Query()] = [],  # noqa: B006
    area: str | None = None,
    rule: str | None = None,
    before: UUID | None = None,
) -> AlertFilter:
    """`area` includes everything below it; `before` is the last id of the page before."""
    return AlertFilter(state, area, level, rule, before)


@door.on("GET", "", permission="alerts.read", area_scope="viewer")
async def get_alerts(
    wanted: Annotated[AlertFilter, Depends(alert_filter)],
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
    room: Room = Depends(room_of),
    viewer: Viewer = Depends(viewer_of),
) -> AlertList:
    """Alerts in the viewer's areas, the youngest first."""
    # Taken before the rows: the stream may repeat an alert of this list, but never leaves one out.
    stream_offset = ring_of(room).next_offset - 1
    async with room.database.read() as session:
        rows = await list_alerts(session, viewer, wanted, limit=limit)
    return AlertList(
        alerts=[AlertView.model_validate(row) for row in rows], stream_offset=stream_offset
    )


@door.on("GET", "/{alert_id}", permission="alerts.read", area_scope="viewer")
async def get_alert(
    alert_id: UUID, room: Room = Depends(room_of), viewer: Viewer = Depends(viewer_of)
) -> AlertDetail:
    """One alert with its points, records, rule version, what would have kept it silent, and its
    trail."""
    async with room.database.read() as session:
        row = await find_alert(session, viewer, alert_id)
        if row is None:
            raise AlertNotFound("there is no such alert in your areas")
        records = await records_of(session, alert_id, limit=RECORDS_MOST)
        trail = await trail_of(session, alert_id)
    return AlertDetail(
        **AlertView.model_validate(row).model_dump(),
        records=[RecordView.model_validate(record) for record in records],
        trail=[TrailLine.model_validate(line) for line in trail],
    )
