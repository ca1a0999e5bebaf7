"""The picture of a case's two degrees: days go round like the hours of a clock; inside a dot for
each close contact at the day of its first exposure, outside a bar for the contacts of contacts.

Pure geometry; words and colours are the template's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

SIZE = 440
MIDDLE = SIZE / 2
SECTORS_MOST = 14
# Two halves of a circle say little: an answer of few days is followed by empty ones.
SECTORS_LEAST = 7
# Radii from the case outwards.
DOT_ROWS = (56, 69, 82, 95)
DOT_APART = 13
LABEL_RADIUS = 129
BAR_RADIUS = 154
BAR_LONGEST = 38
BAR_SHORTEST = 4
COUNT_APART = 13
GAP_DEGREES = 2.0


@dataclass(frozen=True, slots=True)
class Point:
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Sector:
    """The days of one sector; `dots` are those of the `close` that have room."""

    first_day: date
    last_day: date
    close: int
    second: int
    dots: tuple[Point, ...]
    label: Point
    bar: str
    count: Point
    edge: tuple[Point, Point]


@dataclass(frozen=True, slots=True)
class Rings:
    """The whole picture; `days_each` is how many days one sector holds."""

    sectors: tuple[Sector, ...]
    days_each: int

    @property
    def size(self) -> int:
        return SIZE

    @property
    def middle(self) -> float:
        return MIDDLE


def rings_of(close: Sequence[date], second: Sequence[date]) -> Rings:
    """From the days of first exposures of both degrees."""
    if not close and not second:
        return Rings((), 1)
    began = min((*close, *second))
    span = (max((*close, *second)) - began).days + 1
    days_each = math.ceil(span / SECTORS_MOST)
    count = max(SECTORS_LEAST, math.ceil(span / days_each))
    inner, outer = [0] * count, [0] * count
    for days, counts in ((close, inner), (second, outer)):
        for day in days:
            counts[(day - began).days // days_each] += 1
    largest = max(outer)
    sectors = []
    for number in range(count):
        first_day = began + timedelta(days=number * days_each)
        share = outer[number] / largest if largest else 0.0
        width = 360 / count
        sectors.append(
            Sector(
                first_day=first_day,
                last_day=first_day + timedelta(days=days_each - 1),
                close=inner[number],
                second=outer[number],
                dots=_dots(inner[number], (number + 0.5) * width, width),
                label=_at(LABEL_RADIUS, (number + 0.5) * width),
                bar=_bar(share, number * width, width),
                count=_at(BAR_RADIUS + _length(share) + COUNT_APART, (number + 0.5) * width),
                edge=(_at(DOT_ROWS[0] - 14, number * width), _at(BAR_RADIUS - 6, number * width)),
            )
        )
    return Rings(tuple(sectors), days_each)


def _at(radius: float, degrees: float) -> Point:
    """Clockwise from the top."""
    angle = math.radians(degrees - 90)
    return Point(
        round(MIDDLE + radius * math.cos(angle), 1), round(MIDDLE + radius * math.sin(angle), 1)
    )


def _dots(count: int, middle: float, width: float) -> tuple[Point, ...]:
    """Rows from the inside outwards, each centred in its sector, as many as have room."""
    dots: list[Point] = []
    for radius in DOT_ROWS:
        apart = math.degrees(DOT_APART / radius)
        room = max(1, int((width - 2 * GAP_DEGREES) / apart))
        here = min(room, count - len(dots))
        first = middle - apart * (here - 1) / 2
        dots += [_at(radius, first + apart * number) for number in range(here)]
    return tuple(dots)


def _length(share: float) -> float:
    return max(BAR_SHORTEST, BAR_LONGEST * share) if share else 0.0


def _bar(share: float, begins: float, width: float) -> str:
    """A piece of a ring as the path of an SVG; empty where there is nothing to show."""
    if not share:
        return ""
    first, last = begins + GAP_DEGREES, begins + width - GAP_DEGREES
    inner, outer = float(BAR_RADIUS), BAR_RADIUS + _length(share)
    large = int(last - first > 180)
    corners = [_at(radius, at) for radius in (inner, outer) for at in (first, last)]
    inner_first, inner_last, outer_first, outer_last = corners
    return (
        f"M{inner_first.x} {inner_first.y}"
        f"A{inner} {inner} 0 {large} 1 {inner_last.x} {inner_last.y}"
        f"L{outer_last.x} {outer_last.y}"
        f"A{outer:.1f} {outer:.1f} 0 {large} 0 {outer_first.x} {outer_first.y}Z"
    )
