"""Counts per site and day, and the series that they add up to: every area above them, by kind.

Shapes: N sites, D days, A areas, K kinds (a point kind with a syndrome), S series (an area with a
kind, wherever a site of the kind lies in the area or below it).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from services.alerts.domain.detection.verdict import BoolArray, FloatArray, IntArray

Numbers = NDArray[np.int32]
# No day: still open, or open before the table begins.
FOR_EVER = 10**9


@dataclass(frozen=True, slots=True)
class Tree:
    """Areas by number; `parent` (A,) is -1 at a root."""

    area_ids: tuple[str, ...]
    parent: IntArray

    def lines(self) -> list[list[int]]:
        """Of each area: itself and everything above it."""
        found = []
        for area in range(len(self.area_ids)):
            line, above = [area], int(self.parent[area])
            while above >= 0 and above not in line:
                line.append(above)
                above = int(self.parent[above])
            found.append(line)
        return found


@dataclass(frozen=True, slots=True)
class Sites:
    """(N,) each: the area (into the tree), the kind (into the table's), the first day on which it
    is open and the first on which it is not any more (numbers of days)."""

    area: IntArray
    kind: IntArray
    opens: IntArray
    closes: IntArray

    @classmethod
    def always_open(cls, area: IntArray, kind: IntArray) -> Sites:
        return cls(area, kind, np.zeros_like(area), np.full_like(area, FOR_EVER))

    def open_on(self, first: int, last: int) -> BoolArray:
        """(N, last - first)."""
        days = np.arange(first, last)
        return (self.opens[:, None] <= days) & (days < self.closes[:, None])


@dataclass(frozen=True, slots=True)
class DayCounts:
    """(N, D) each. `persons`: with the syndrome; `seen`: everybody whom the site told of;
    `reported`: it spoke. Where it did not, the two numbers mean nothing."""

    persons: Numbers
    seen: Numbers
    reported: BoolArray


@dataclass(frozen=True)
class SeriesTable:
    """`counts` is what there is to learn from. `judged`, where given, is what was known when each
    day was judged (`judged_age` days after it); else the days are judged as they stand, `age_of`
    days after, by `last_day`: the day on which the table was read, which is not over.

    `left_out` (N, D): site days in known outbreaks, judged but not learnt from.
    """

    first_day: date
    tree: Tree
    kinds: tuple[tuple[str, str], ...]
    sites: Sites
    counts: DayCounts
    judged: DayCounts | None = None
    judged_age: int = 0
    left_out: BoolArray | None = None
    last_day: date | None = None
    series: IntArray = field(init=False)
    member: csr_array = field(init=False)

    def __post_init__(self) -> None:
        series, member = _series(self.tree, self.sites, len(self.kinds))
        object.__setattr__(self, "series", series)
        object.__setattr__(self, "member", member)

    @property
    def days(self) -> int:
        return int(self.counts.persons.shape[1])

    def day(self, number: int) -> date:
        return self.first_day + timedelta(days=number)

    def number(self, day: date) -> int:
        return (day - self.first_day).days

    def keys(self) -> list[tuple[str, str, str]]:
        """(area, point kind, syndrome) of every series."""
        return [
            (self.tree.area_ids[area], *self.kinds[kind]) for area, kind in self.series.tolist()
        ]

    @property
    def series_kind(self) -> IntArray:
        return self.series[:, 1]


def _series(tree: Tree, sites: Sites, kinds: int) -> tuple[IntArray, csr_array]:
    """The series in order of area and kind, and which sites each adds up."""
    lines = tree.lines()
    area = [above for own in sites.area.tolist() for above in lines[own]]
    site = [n for n, own in enumerate(sites.area.tolist()) for _ in lines[own]]
    code = np.array(area, dtype=np.int64) * kinds + sites.kind[site]
    codes, row = np.unique(code, return_inverse=True)
    shape = (len(codes), len(sites.area))
    ones = np.ones(len(site), dtype=np.float64)
    member = csr_array((ones, (row, np.array(site, dtype=np.int64))), shape=shape)
    return np.stack([codes // kinds, codes % kinds], axis=1), member


def tree_of(parents: Sequence[tuple[str, str | None]]) -> Tree:
    """From (area, parent) in any order; a parent that is not listed is none."""
    number = {area_id: position for position, (area_id, _) in enumerate(parents)}
    parent = [number.get(above, -1) if above else -1 for _, above in parents]
    return Tree(tuple(number), np.array(parent, dtype=np.int64))


def summed(member: csr_array, values: FloatArray) -> FloatArray:
    """(N, …) → (S, …)."""
    return np.asarray(member @ values)
