"""How likely at least so many persons are, as a function of the count that needs no history.

A day's expectation is fitted once; from then on every new person is only a comparison.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Self

import numpy as np
from scipy.special import stdtr, stdtrit

from services.alerts.domain.detection.quantile import at_least, quantile
from services.alerts.domain.detection.verdict import CodeArray, FloatArray

# Student's distribution with so many degrees of freedom is the normal one.
NORMAL_FREEDOM = 1e12


class Method(IntEnum):
    """Which detector judges. Stored as numbers, read as names."""

    NONE = 0
    FARRINGTON = 1
    ESSENCE = 2
    EARS_C2 = 3
    FIXED = 4


METHOD_NAMES = {
    Method.NONE: "none",
    Method.FARRINGTON: "farrington_flexible",
    Method.ESSENCE: "essence_switch",
    Method.EARS_C2: "ears_c2",
    Method.FIXED: "fixed",
}


@dataclass(frozen=True, slots=True)
class Tail:
    """Arrays of one shape, one entry for each series and day; `size` below is the day's denominator
    (how many mean site days, or persons seen, times the day's share), `doubt` its variance.

    Two distributions stand side by side and the larger probability counts. One is negative
    binomial: mean `rate` · size, dispersion `spread` + `growth` · mean + `rate` · doubt / size. It
    knows small counts and a denominator that changed. The other is Student's, `freedom` NaN where
    there is none: the larger of two lines (last axis) in the count measured at the usual size
    `unit`. It knows how much this series varies by itself. `centre`: what is expected at the unit.

    `cases`: of rare things, the number that is an excess, less those of the days before; else NaN.
    """

    method: CodeArray
    rate: FloatArray
    spread: FloatArray
    growth: FloatArray
    unit: FloatArray
    centre: FloatArray
    freedom: FloatArray
    level: FloatArray
    slope: FloatArray
    cases: FloatArray

    @classmethod
    def empty(cls, shape: tuple[int, ...]) -> Self:
        def unknown(*more: int) -> FloatArray:
            return np.full((*shape, *more), np.nan)

        return cls(
            np.zeros(shape, dtype=np.uint8),
            unknown(),
            np.ones(shape),
            np.zeros(shape),
            unknown(),
            unknown(),
            unknown(),
            unknown(2),
            unknown(2),
            unknown(),
        )

    def packed(self) -> FloatArray:
        """(..., numbers): everything but the method, to be kept and read back by `unpacked`."""
        plain = [getattr(self, name)[..., None] for name in PLAIN]
        return np.concatenate([*plain, self.level, self.slope], axis=-1)

    @classmethod
    def unpacked(cls, method: CodeArray, packed: FloatArray) -> Self:
        plain = {name: packed[..., number] for number, name in enumerate(PLAIN)}
        first = len(PLAIN)
        level, slope = packed[..., first : first + 2], packed[..., first + 2 : first + 4]
        return cls(method=method, level=level, slope=slope, **plain)

    def expected(self, size: FloatArray) -> FloatArray:
        with np.errstate(invalid="ignore", divide="ignore"):
            by_centre = self.centre * size / self.unit
        return np.where(np.isnan(self.centre), self.rate * size, by_centre)

    def p_value(self, count: FloatArray, size: FloatArray, doubt: FloatArray) -> FloatArray:
        """P(at least `count`) when nothing is wrong; NaN without a size or a method."""
        mean, dispersion = self._moments(size, doubt)
        counted = at_least(count, mean, dispersion)
        with np.errstate(invalid="ignore", divide="ignore"):
            usual = count * self.unit / size
            score = (self.level + self.slope * usual[..., None]).max(axis=-1)
            own = stdtr(self.freedom, -score)
        return np.where(np.isnan(self.freedom), counted, np.fmax(counted, own))

    def limit(self, size: FloatArray, doubt: FloatArray, alpha: float) -> FloatArray:
        """The count that has to be exceeded: by chance that happens with at most `alpha`."""
        mean, dispersion = self._moments(size, doubt)
        counted = quantile(alpha, mean, dispersion)
        with np.errstate(invalid="ignore", divide="ignore"):
            needed = (-stdtrit(self.freedom, alpha)[..., None] - self.level) / self.slope
            usual = np.where(self.slope > 0, needed, np.inf).min(axis=-1)
            own = np.floor(np.maximum(usual, 0.0) * size / self.unit)
        limit = np.where(np.isnan(self.freedom), counted, np.fmax(counted, own))
        return np.where(np.isnan(self.cases), limit, np.maximum(self.cases, 1.0) - 1.0)

    def _moments(self, size: FloatArray, doubt: FloatArray) -> tuple[FloatArray, FloatArray]:
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = np.where(size > 0, self.rate * size, np.nan)
            unsure = np.where(size > 0, self.rate * doubt / size, 0.0)
        return mean, self.spread + self.growth * mean + unsure


PLAIN = tuple(
    name for name in Tail.__dataclass_fields__ if name not in ("method", "level", "slope")
)


def joined(tails: Sequence[Tail]) -> Tail:
    """Days after days."""
    return Tail(
        *(
            np.concatenate([getattr(one, name) for one in tails], axis=1)
            for name in Tail.__dataclass_fields__
        )
    )
