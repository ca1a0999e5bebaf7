"""Signals: the list, and the counts by area and kind."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Query

from services.alerts.repository.rules import AreaLevel
from services.alerts.repository.signals import SignalFilter, list_signals, summarize_signals
from services.alerts.schemas.alerts import RecordView
from services.alerts.schemas.signals import SignalCount, SignalList, SignalSummary
from shared.access import Viewer
from shared.bounds import Moment
from shared.http import Door, room_of, viewer_of
from shared.service import Room

door = Door("/alerts/signals", tag="signals")


def signal_filter(
    area: str | None = None,
    kind: str | None = None,
    since: Moment | None = None,
    until: Moment | None = None,
    standing: bool | None = True,
) -> SignalFilter:
    """`area` includes everything below it; `since` (included) and `until` (not included) are event
    time."""
    return SignalFilter(area, kind, since, until, standing)


@door.on("GET", "", permission="signals.read", area_scope="viewer")
async def get_signals(
    wanted: Annotated[SignalFilter, Depends(signal_filter)],
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
    room: Room = Depends(room_of),
    viewer: Viewer = Depends(viewer_of),
) -> SignalList:
    """Signals in the viewer's areas, newest in event time first."""
    async with room.database.read() as session:
        rows = await list_signals(session, viewer, wanted, limit=limit)
    return SignalList(signals=[RecordView.model_validate(row) for row in rows])


@door.on("GET", "/summary", permission="signals.read", area_scope="viewer")
async def get_summary(
    wanted: Annotated[SignalFilter, Depends(signal_filter)],
    level: AreaLevel | None = None,
    room: Room = Depends(room_of),
    viewer: Viewer = Depends(viewer_of),
) -> SignalSummary:
    """Counts by area and kind; with `level`, added up in the ancestor of that level."""
    async with room.database.read() as session:
        rows = await summarize_signals(session, viewer, wanted, level=level)
    return SignalSummary(counts=[SignalCount.model_validate(row) for row in rows])
