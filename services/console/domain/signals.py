"""Signals by area, as a table with bars."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

AREAS_MOST = 30


@dataclass(frozen=True, slots=True)
class SignalCount:
    """Standing signals of one kind of point in one area."""

    area_id: str | None
    point_kind: str
    signals: int
    points: int
    persons: int
    last_at: datetime | None


@dataclass(frozen=True, slots=True)
class AreaSignals:
    """One area and its signals, the largest kind first; `share` of the largest area, 0 to 1."""

    area_id: str | None
    signals: int
    points: int
    share: float
    kinds: tuple[SignalCount, ...]


def signals_by_area(counts: Iterable[SignalCount]) -> Sequence[AreaSignals]:
    """The areas with most signals first, at most `AREAS_MOST`."""
    areas: dict[str | None, list[SignalCount]] = {}
    for one in counts:
        areas.setdefault(one.area_id, []).append(one)
    totals = {area_id: sum(one.signals for one in kinds) for area_id, kinds in areas.items()}
    largest = max(totals.values(), default=0)
    ordered = sorted(areas, key=lambda area_id: (-totals[area_id], area_id or ""))
    return [
        AreaSignals(
            area_id=area_id,
            signals=totals[area_id],
            points=sum(one.points for one in areas[area_id]),
            share=totals[area_id] / largest if largest else 0.0,
            kinds=tuple(sorted(areas[area_id], key=lambda one: (-one.signals, one.point_kind))),
        )
        for area_id in ordered[:AREAS_MOST]
    ]
