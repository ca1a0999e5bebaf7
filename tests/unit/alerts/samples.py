"""Signals and rules of the alerts tests."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

from services.alerts.domain.rules import Rule
from services.alerts.domain.signals import Signal

START = datetime(2020, 2, 15, tzinfo=UTC)
MULTI_POINT = Rule(
    id="multi_point",
    version=1,
    title_zh="多点触发预警",
    title_en="Several points",
    level="yellow",
    point_kinds=frozenset({"fever_clinic", "pharmacy", "school"}),
    min_points=3,
    min_kinds=2,
    min_persons=3,
    count_unlinked=True,
    window=timedelta(hours=72),
)
SINGLE = replace(
    MULTI_POINT,
    id="breach",
    point_kinds=frozenset({"breach"}),
    min_points=1,
    min_kinds=1,
    min_persons=1,
    window=timedelta(),
)


def person(number: int) -> UUID:
    return UUID(int=1000 + number)


def lit(number: int, kind: str, point: str, *, hour: float = 0, by: int | None = -1) -> Signal:
    """Signal `number` at a point, `hour` hours after the start; by a person of its own, a given
    one, or nobody named (None)."""
    person_id = None if by is None else person(number if by == -1 else by)
    at = START + timedelta(hours=hour)
    return Signal(UUID(int=number), kind, point, at, person_id=person_id)
