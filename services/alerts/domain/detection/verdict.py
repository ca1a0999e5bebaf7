"""What every detector is given and what every detector answers.

Arrays have the shape (..., time): time is the last axis, the others are series (areas × sources),
and a batch gives each series what it would get alone. NaN is an unknown count, never a zero.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]
CodeArray = NDArray[np.uint8]


class Abstention(IntEnum):
    """Why a detector says nothing about a period. Stored as numbers, read as names."""

    NONE = 0
    UNKNOWN = 1  # nobody knows this count
    SILENT = 2  # the source reported nothing at all, which is no zero
    PART_DAY = 3  # the period is not over
    SHORT_HISTORY = 4  # too few known periods to compare with
    FEW_CASES = 5  # too few recent cases for this method to be asked
    NO_FIT = 6  # the model of the past has no solution


@dataclass(frozen=True, slots=True)
class Counts:
    """Counts per period, with what is known about how they came to be.

    `reported` (..., time): cases per period, NaN where unknown. `silent`: the source did not
    report, so whatever stands there is unknown. `partial`: the period is not over.
    """

    reported: FloatArray
    silent: BoolArray
    partial: BoolArray

    @classmethod
    def of(
        cls,
        reported: ArrayLike,
        *,
        silent: ArrayLike | None = None,
        partial: ArrayLike | None = None,
    ) -> Self:
        values = np.asarray(reported, dtype=np.float64)
        return cls(values, _flags(silent, values), _flags(partial, values))

    @property
    def known(self) -> FloatArray:
        """What a detector may compare and learn from: whole periods of sources that spoke."""
        return np.where(self.silent | self.partial, np.nan, self.reported)

    @property
    def abstentions(self) -> CodeArray:
        """Why a period cannot be judged whatever its history says."""
        codes = np.where(np.isnan(self.reported), Abstention.UNKNOWN, Abstention.NONE)
        codes = np.where(self.partial, Abstention.PART_DAY, codes)
        return np.where(self.silent, Abstention.SILENT, codes).astype(np.uint8)


def _flags(given: ArrayLike | None, values: FloatArray) -> BoolArray:
    if given is None:
        return np.zeros(values.shape, dtype=np.bool_)
    return np.array(np.broadcast_to(np.asarray(given, dtype=np.bool_), values.shape))


@dataclass(frozen=True, slots=True)
class Verdicts:
    """The answer per series and period; every array has the shape of the counts.

    `limit` is the count that has to be exceeded (or reached, where a method says so), `p_value` the
    probability of at least this count when nothing is wrong, NaN where the method has none.
    `statistic` is the method's own measure. Where `abstains` is not NONE, `alarm` is False; the
    expected count and the limit are given all the same when the history allows them.
    """

    observed: FloatArray
    expected: FloatArray
    limit: FloatArray
    p_value: FloatArray
    statistic: FloatArray
    alarm: BoolArray
    abstains: CodeArray

    def withheld(self, where: BoolArray, reason: Abstention) -> Self:
        """The same verdicts, silent where a better reason is not given already."""
        hit = where & (self.abstains == Abstention.NONE)
        codes = np.where(hit, reason, self.abstains).astype(np.uint8)
        return replace(self, abstains=codes, alarm=self.alarm & ~hit)

    def replaced(self, where: BoolArray, reason: Abstention) -> Self:
        """The same verdicts with another reason; for those that abstain already."""
        codes = np.where(where, reason, self.abstains).astype(np.uint8)
        return replace(self, abstains=codes, alarm=self.alarm & ~where)


def conclude(
    counts: Counts,
    *,
    expected: FloatArray,
    limit: FloatArray,
    p_value: FloatArray,
    statistic: FloatArray,
    alarm: BoolArray,
) -> Verdicts:
    """Verdicts that abstain where the count cannot be judged or has no limit to be held against."""
    codes = counts.abstentions
    codes = np.where((codes == 0) & np.isnan(limit), Abstention.SHORT_HISTORY, codes)
    judged = codes == Abstention.NONE
    return Verdicts(
        observed=counts.reported,
        expected=expected,
        limit=limit,
        p_value=np.where(judged, p_value, np.nan),
        statistic=np.where(judged, statistic, np.nan),
        alarm=alarm & judged,
        abstains=codes.astype(np.uint8),
    )
