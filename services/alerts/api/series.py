"""What was counted and expected: one series, day by day."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Annotated

from fastapi import Depends, Query

from services.alerts.domain.detection.verdict import Abstention
from services.alerts.domain.excess import Excess
from services.alerts.repository.series import SeriesFilter, list_series
from services.alerts.schemas.series import SeriesDayView, SeriesView
from shared.access import Viewer
from shared.errors import InvalidPayload
from shared.http import Door, room_of, viewer_of
from shared.service import Room

DAYS_MOST = 1_100
NOBODY_KNOWS = frozenset({Abstention.SILENT, Abstention.UNKNOWN})
door = Door("/alerts/series", tag="series")


def series_filter(
    area: str,
    kind: str,
    first: Annotated[date, Query(alias="from")],
    until: date,
    syndrome: str = "fever",
) -> SeriesFilter:
    """The days from `from` until `until`, both included, of the area with all below it."""
    if not 0 <= (until - first).days < DAYS_MOST:
        raise InvalidPayload(
            "the days asked for end before they begin, or are too many",
            f"ask for 1 to {DAYS_MOST} days",
        )
    return SeriesFilter(area, kind, syndrome, first, until)


@door.on("GET", "", permission="signals.read", area_scope="viewer")
async def get_series(
    wanted: Annotated[SeriesFilter, Depends(series_filter)],
    room: Room = Depends(room_of),
    viewer: Viewer = Depends(viewer_of),
) -> SeriesView:
    """Observed, expected and limit of every day; of an area outside the viewer's, unknown days."""
    async with room.database.read() as session:
        found = {one.day: one for one in await list_series(session, viewer, wanted)}
    count = (wanted.last_day - wanted.first_day).days + 1
    days = [wanted.first_day + timedelta(days=number) for number in range(count)]
    return SeriesView(
        area_id=wanted.area_id,
        point_kind=wanted.point_kind,
        syndrome=wanted.syndrome,
        days=[_told(day, found.get(day)) for day in days],
    )


def _told(day: date, excess: Excess | None) -> SeriesDayView:
    known = excess is not None and excess.abstains not in NOBODY_KNOWS
    return SeriesDayView(
        day=day,
        observed=excess.observed if excess and known else None,
        expected=excess.expected if excess else None,
        limit=excess.limit if excess else None,
        p_value=excess.p_value if excess else None,
        method=excess.method if excess else "",
        abstains=(excess.abstains if excess else Abstention.UNKNOWN).name.lower(),
        sites=excess.sites if excess else 0,
    )
