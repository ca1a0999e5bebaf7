"""The periods that a count is compared with, cut out of its series."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from services.alerts.domain.detection.verdict import FloatArray


def trailing(values: FloatArray, length: int, *, gap: int = 0) -> FloatArray:
    """For every period the `length` periods that end `gap` periods before the one just before it.

    (..., time) → (..., time, length), oldest first; NaN before the series begins.
    """
    lead = np.full((*values.shape[:-1], length + gap), np.nan)
    padded = np.concatenate([lead, values], axis=-1)
    windows = np.lib.stride_tricks.sliding_window_view(padded, length, axis=-1)
    return windows[..., : values.shape[-1], :]


def around_past_years(
    values: FloatArray, *, years: int, half_width: int, year_length: int, this_year: int = 0
) -> FloatArray:
    """The last `this_year` periods, and 2·half_width + 1 periods around the same one of past years.

    (..., time) → (..., time, this_year + years·(2·half_width + 1)); NaN before the series begins.
    """
    offsets = [-back for back in range(this_year, 0, -1)]
    for year in range(years, 0, -1):
        offsets += [shift - year * year_length for shift in range(-half_width, half_width + 1)]
    steps = np.array(offsets, dtype=np.int64)
    if np.any(steps >= 0):
        raise ValueError("a window reaches into the present: half_width >= year_length")
    places = np.arange(values.shape[-1])[:, None] + steps
    taken = values[..., np.maximum(places, 0)]
    return np.where(places < 0, np.nan, taken)


@dataclass(frozen=True, slots=True)
class PastYears:
    """References: `this_year` periods just before, and in each of `years` past years the same
    period with `half_width` on both sides. `unknown_most`: unknown periods among them (ours)."""

    years: int
    half_width: int
    this_year: int
    year_length: int = 52
    unknown_most: int = 2

    def references(self, values: FloatArray) -> FloatArray:
        """(..., time) → (..., time, reference); all NaN where too many are unknown."""
        past = around_past_years(
            values,
            years=self.years,
            half_width=self.half_width,
            year_length=self.year_length,
            this_year=self.this_year,
        )
        enough = np.isnan(past).sum(axis=-1, keepdims=True) <= self.unknown_most
        return np.where(enough, past, np.nan)


# The three systems that both the RKI's and the Bayesian method come in.
SYSTEM_1 = PastYears(years=0, half_width=6, this_year=6)
SYSTEM_2 = PastYears(years=1, half_width=6, this_year=6)
SYSTEM_3 = PastYears(years=2, half_width=4, this_year=0)


@dataclass(frozen=True, slots=True)
class Moments:
    """Of the known values along the last axis: how many, their mean, their sample deviation."""

    known: FloatArray
    mean: FloatArray
    deviation: FloatArray


def moments(values: FloatArray) -> Moments:
    """NaN for a mean of nothing and for a deviation of fewer than two values."""
    is_known = ~np.isnan(values)
    known = is_known.sum(axis=-1).astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.where(is_known, values, 0.0).sum(axis=-1) / known
        apart = np.where(is_known, values - mean[..., None], 0.0)
        deviation = np.sqrt((apart**2).sum(axis=-1) / np.where(known > 1, known - 1, np.nan))
    return Moments(known, mean, deviation)
