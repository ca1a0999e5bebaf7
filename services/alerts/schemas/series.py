"""A series as it is told over HTTP, day by day."""

from __future__ import annotations

from datetime import date

from pydantic import BaseModel


class SeriesDayView(BaseModel):
    """`observed` is null where nobody knows it (silent, unknown); so are `expected`, `limit` and
    `p_value` where the method has none. `abstains` is `none` where the day was judged."""

    day: date
    observed: int | None
    expected: float | None
    limit: float | None
    p_value: float | None
    method: str
    abstains: str
    sites: int


class SeriesView(BaseModel):
    """Every day that was asked for; one of which nothing is known is `unknown`."""

    area_id: str
    point_kind: str
    syndrome: str
    days: list[SeriesDayView]
