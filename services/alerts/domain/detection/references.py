"""Which past periods a count is compared with, and which of them share a season.

Around the same time in each of the last years lies a window; what is between two windows is cut
into equally long seasons (Noufaily et al. 2013, Stat Med 32:1206, section 3.2).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise

import numpy as np

from services.alerts.domain.detection.loglinear import Design
from services.alerts.domain.detection.verdict import IntArray

WEEK_DAYS = 7


@dataclass(frozen=True, slots=True)
class Seasons:
    """`years` of history; windows of 2·`half_width` + 1 periods; `periods` levels of the season, 1
    for the windows alone; `left_out`: periods before the judged one that are not learnt from (an
    outbreak that has begun must not hide itself); `year_length` in periods."""

    years: int
    half_width: int
    periods: int
    left_out: int
    year_length: int


@dataclass(frozen=True, slots=True)
class Layout:
    """Reference points relative to the judged period, oldest first, and the season of each."""

    offsets: tuple[int, ...]
    levels: tuple[int, ...]

    def design(self, *, trend: bool) -> Design:
        return Design(
            time=np.array(self.offsets, dtype=np.float64),
            level=np.array(self.levels, dtype=np.int64),
            trend=trend,
        )


def layouts(seasons: Seasons, length: int, dates: Sequence[date] | None) -> dict[Layout, IntArray]:
    """Every layout that occurs in a series of this length, with the periods that have it.

    Periods without the full history are in none. Without dates a year is `year_length` periods;
    with dates (a day or a week apart) it is a calendar year, moved to the nearest same weekday, so
    that a year of 53 weeks is not compared with its neighbour's week.
    """
    if dates is None:
        years = [-year * seasons.year_length for year in range(seasons.years, -1, -1)]
        layout = _layout(seasons, years)
        return {layout: np.arange(-layout.offsets[0], length)}
    if len(dates) != length:
        raise ValueError(f"{len(dates)} dates for {length} periods")
    found: dict[Layout, list[int]] = {}
    known: dict[tuple[int, ...], Layout] = {}
    for now in range(length):
        years = [
            _index(dates, _anniversary(dates[now], back)) - now
            for back in range(seasons.years, -1, -1)
        ]
        layout = known.setdefault(tuple(years), _layout(seasons, years))
        if now + layout.offsets[0] >= 0:
            found.setdefault(layout, []).append(now)
    return {layout: np.array(times) for layout, times in found.items()}


def _layout(seasons: Seasons, years: Sequence[int]) -> Layout:
    """`years`: where the judged period and its anniversaries lie, oldest first, the last one 0."""
    width = seasons.half_width
    level_of = {year + step: 0 for year in years for step in range(-width, width + 1)}
    if seasons.periods > 1:
        for left, right in pairwise(years):
            between = range(left + width + 1, right - width)
            level_of |= _cut(between, seasons.periods - 1)
    offsets = sorted(one for one in level_of if one < -seasons.left_out)
    return Layout(tuple(offsets), tuple(level_of[one] for one in offsets))


def _cut(between: range, pieces: int) -> dict[int, int]:
    """Levels 1, 2, … of equal length; what is left over lengthens the first ones by one."""
    short, longer = divmod(len(between), pieces)
    lengths = [short + 1] * longer + [short] * (pieces - longer)
    levels = np.repeat(np.arange(1, pieces + 1), lengths)
    return dict(zip(between, levels.tolist(), strict=True))


def _anniversary(day: date, years_back: int) -> date:
    try:
        then = day.replace(year=day.year - years_back)
    except ValueError:  # 29 February
        then = date(day.year - years_back, 3, 1)
    ahead = (day.weekday() - then.weekday()) % WEEK_DAYS
    return then + timedelta(days=ahead if ahead <= WEEK_DAYS // 2 else ahead - WEEK_DAYS)


def _index(dates: Sequence[date], day: date) -> int:
    """Where a day stands in a series of days or weeks; negative before its beginning."""
    step = (dates[1] - dates[0]).days
    return (day - dates[0]).days // step
