"""A series as a small picture: what was seen day by day, what was to be expected, and the limit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from math import floor, log10

# So many days stand before and after those that lit a point.
DAYS_BEFORE = 41
DAYS_AFTER = 6
# Figures on one card; the others are in the table.
FIGURES_MOST = 6
WIDTH, HEIGHT = 640.0, 150.0
LEFT, RIGHT, TOP, BOTTOM = 34.0, 16.0, 8.0, 20.0
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class SeriesDay:
    """One day of a series; `observed` None: nobody knows (a silent source). `lit`: it stands in the
    alert."""

    day: date
    observed: int | None
    expected: float | None
    limit: float | None
    p_value: float | None
    lit: bool = False

    @property
    def over(self) -> bool:
        return self.observed is not None and self.limit is not None and self.observed > self.limit


@dataclass(frozen=True, slots=True)
class SeriesName:
    """Which series: a kind of point, what is counted, in an area."""

    area_id: str
    point_kind: str
    syndrome: str


@dataclass(frozen=True, slots=True)
class Bar:
    """A day's count in the picture's units; `state` lit, over, usual, or silent."""

    x: float
    y: float
    width: float
    height: float
    state: str
    day: SeriesDay


@dataclass(frozen=True, slots=True)
class Tick:
    """A line with a number or a day at its end."""

    at: float
    label: str


@dataclass(frozen=True, slots=True)
class Figure:
    """Everything that the picture draws; the lines are `points` of SVG polylines, one for each
    stretch without a gap."""

    name: SeriesName
    bars: tuple[Bar, ...]
    expected: tuple[str, ...]
    limit: tuple[str, ...]
    counts: tuple[Tick, ...]
    days: tuple[Tick, ...]
    lit: tuple[SeriesDay, ...]
    width: float = WIDTH
    height: float = HEIGHT
    left: float = LEFT
    floor: float = HEIGHT - BOTTOM
    right: float = WIDTH - RIGHT


def figure_of(name: SeriesName, days: Sequence[SeriesDay]) -> Figure:
    """The picture of these days, at least one, in any order; days between that are not told are
    gaps."""
    known = {one.day: one for one in days}
    first, last = min(known), max(known)
    every = [first + DAY * number for number in range((last - first).days + 1)]
    row = [known.get(day, SeriesDay(day, None, None, None, None)) for day in every]
    top = _round_up(max(_highest(one) for one in row))
    step = (WIDTH - LEFT - RIGHT) / len(row)

    def height(value: float) -> float:
        return round(value / top * (HEIGHT - TOP - BOTTOM), 1)

    bars = []
    for number, one in enumerate(row):
        tall = height(one.observed) if one.observed is not None else HEIGHT - TOP - BOTTOM
        bars.append(
            Bar(
                round(LEFT + number * step + step * 0.1, 1),
                round(HEIGHT - BOTTOM - tall, 1),
                round(step * 0.8, 1),
                tall,
                _state(one),
                one,
            )
        )

    def line(values: Sequence[float | None]) -> tuple[str, ...]:
        stretches: list[list[str]] = [[]]
        for number, value in enumerate(values):
            if value is None:
                stretches.append([])
                continue
            y = round(HEIGHT - BOTTOM - height(value), 1)
            # A day's value holds for the whole of the day.
            for x in (LEFT + number * step, LEFT + (number + 1) * step):
                stretches[-1].append(f"{x:.1f},{y}")
        return tuple(" ".join(one) for one in stretches if one)

    middle = [number for number in range(len(row)) if every[number].weekday() == 0]
    return Figure(
        name,
        tuple(bars),
        line([one.expected for one in row]),
        line([one.limit for one in row]),
        tuple(
            Tick(round(HEIGHT - BOTTOM - height(value), 1), f"{value:g}")
            for value in (0.0, top / 2, top)
        ),
        tuple(
            Tick(round(LEFT + (number + 0.5) * step, 1), f"{every[number]:%m-%d}")
            for number in middle
        ),
        tuple(one for one in row if one.lit),
    )


def _highest(one: SeriesDay) -> float:
    return max(one.observed or 0, one.expected or 0, one.limit or 0, 1)


def _state(one: SeriesDay) -> str:
    if one.observed is None:
        return "silent"
    if one.lit:
        return "lit"
    return "over" if one.over else "usual"


def _round_up(value: float) -> float:
    """The next number that halves to a plain one."""
    for top in (2, 4, 6, 8, 10):
        if value <= top:
            return float(top)
    scale = 10 ** floor(log10(value))
    return float(next(step * scale for step in (1, 2, 3, 4, 5, 6, 8, 10) if value <= step * scale))
