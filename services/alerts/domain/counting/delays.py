"""How much of a day is known how many days later, from the delays of the past."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from services.alerts.domain.detection.verdict import FloatArray

# Reports of which the delay must be known before it is believed; below, all come at once.
REPORTS_LEAST = 20


@dataclass(frozen=True, slots=True)
class Delays:
    """`known` (K, L): the share of what a day ends up with that is known `age` days after it; the
    last column is 1. A day is not scaled up but expected to be lower: its counts stay counts."""

    known: FloatArray

    @classmethod
    def none(cls, kinds: int) -> Self:
        """Everything is known on its day."""
        return cls(np.ones((kinds, 1)))

    @classmethod
    def of(cls, late: FloatArray) -> Self:
        """`late` (K, L): reports by days from event to recording, of days old enough for the last
        column to have come. What comes later still counts as known by then."""
        total = late.sum(axis=1, keepdims=True)
        share = np.cumsum(late, axis=1) / np.where(total > 0, total, 1.0)
        return cls(np.where(total >= REPORTS_LEAST, share, 1.0))

    def share(
        self, ages: FloatArray | np.ndarray[tuple[int, ...], np.dtype[np.int64]]
    ) -> FloatArray:
        """(K, …) for ages (…,) in days; what has not begun is as a day of age 0."""
        place = np.clip(np.asarray(ages, dtype=np.int64), 0, self.known.shape[1] - 1)
        return np.asarray(self.known[:, place])
