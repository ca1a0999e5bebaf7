"""What several streams of one area say together on one day.

One p-value per stream and day comes in; the combined p-value goes out, calibrated on the area's own
past and adjusted across areas. Sources: Burkom et al. 2005 (consensus of streams: Fisher and
Edgington), Stouffer's weighted sum of normal scores, Lancaster 1961 (mid-p: the p-values of counts
are discrete and Fisher's sum of them is conservative), Efron 2004 (empirical null), Benjamini and
Hochberg 1995.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from scipy.stats import chi2, false_discovery_control, norm, poisson

from services.alerts.domain.rules import Combination, ConsensusTerms

Array = NDArray[Any]
# A p-value of 0 or 1 has no normal score.
LEAST_P = 1e-300
MOST_P = 1 - 1e-15
# The upper half of the null is what false alarms come from; an outbreak in the past fills at most
# its last tenth.
UPPER = 0.9
# Fewer areas have no median that an outbreak in one or two of them leaves alone.
AREAS_LEAST = 10
SIGMAS_TO_UPPER = float(norm.ppf(UPPER))


def mid_p(p_value: Array, observed: Array, expected: Array) -> Array:
    """P(more) + P(equal) / 2 from p = P(at least so many).

    How much of the tail is its first term is taken from a Poisson count with this mean: the
    detectors do not tell their whole distribution. Without an expected count, half of it.
    """
    mean = np.maximum(expected, 1e-9)
    first, tail = poisson.pmf(observed, mean), poisson.sf(observed - 1, mean)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(tail > 0, first / tail, 1.0)
    share = np.where(np.isnan(expected), 1.0, np.clip(share, 0.0, 1.0))
    return np.asarray(p_value * (1 - share / 2))


def combined(p_values: Array, method: Combination, weights: Array) -> Array:
    """The combined p-value over the first axis; NaN is a stream that says nothing, and NaN comes
    out where none says anything."""
    known = ~np.isnan(p_values)
    streams = known.sum(axis=0)
    p = np.clip(p_values, LEAST_P, MOST_P)
    if method == "fisher":
        statistic = -2 * np.where(known, np.log(np.where(known, p, 1.0)), 0.0).sum(axis=0)
        answer = chi2.sf(statistic, 2 * np.maximum(streams, 1))
    elif method == "edgington":
        answer = sum_of_uniforms(np.where(known, p, 0.0).sum(axis=0), streams)
    else:
        spread = weights.reshape(-1, *([1] * (p_values.ndim - 1)))
        scores = np.where(known, norm.isf(np.where(known, p, 0.5)), 0.0)
        length = np.sqrt(np.where(known, spread**2, 0.0).sum(axis=0))
        answer = norm.sf((spread * scores).sum(axis=0) / np.where(length > 0, length, 1.0))
    return np.where(streams > 0, answer, np.nan)


def sum_of_uniforms(total: Array, streams: Array) -> Array:
    """P(sum of so many uniform numbers <= total), Irwin and Hall; Edgington's combined p-value."""
    most = int(streams.max(initial=0))
    total = np.minimum(total, streams)
    answer = np.zeros(total.shape)
    for count in range(1, most + 1):
        term = np.ones(total.shape)
        value = np.zeros(total.shape)
        for step in range(count + 1):
            value += np.where(total > step, term * (total - step) ** count, 0.0)
            # (-1)^k C(n, k), from one to the next.
            term = term * -(count - step) / (step + 1)
        value /= float(np.prod(np.arange(1, count + 1, dtype=np.float64)))
        answer = np.where(streams == count, value, answer)
    return np.clip(answer, 0.0, 1.0)


def score(p_value: Array) -> Array:
    """The normal score, large for a small p-value."""
    return np.asarray(norm.isf(np.clip(p_value, LEAST_P, MOST_P)))


def against_all(scores: Array) -> Array:
    """(area, day) less the median over the areas of the day; too few of them have none to take."""
    known = (~np.isnan(scores)).sum(axis=0)
    enough = known >= AREAS_LEAST
    median = np.zeros(scores.shape[1])
    if enough.any():
        median[enough] = np.nanmedian(scores[:, enough], axis=0)
    return np.asarray(scores - median)


def gathered(scores: Array, days: int) -> Array:
    """The scores of so many days up to each day (the last axis) taken together, as Stouffer takes
    streams together; NaN where the day itself is unknown."""
    if days == 1:
        return scores
    known = ~np.isnan(scores)
    lead = [(0, 0)] * (scores.ndim - 1) + [(days - 1, 0)]
    windows = sliding_window_view(np.pad(np.where(known, scores, 0.0), lead), days, axis=-1)
    counted = sliding_window_view(np.pad(known, lead), days, axis=-1).sum(axis=-1)
    return np.where(known, windows.sum(axis=-1) / np.sqrt(np.maximum(counted, 1)), np.nan)


def calibrated(scores: Array, past: Array, terms: ConsensusTerms) -> tuple[Array, Array]:
    """(p-value, known days of the past) for a score against the area's own past scores.

    `past` has one axis more than `scores`, the last: days, NaN unknown. The null is normal with
    their median and the spread of their upper half; too few of them: the standard normal.
    """
    ordered = np.sort(past, axis=-1)
    known = (~np.isnan(past)).sum(axis=-1)
    middle = _quantile(ordered, known, 0.5)
    spread = (_quantile(ordered, known, UPPER) - middle) / SIGMAS_TO_UPPER
    enough = known >= terms.null_min_days
    middle = np.where(enough, middle, 0.0)
    spread = np.where(enough, np.maximum(spread, terms.null_spread_min), 1.0)
    return norm.sf((scores - middle) / spread), np.where(enough, known, 0)


def _quantile(ordered: Array, known: Array, share: float) -> Array:
    """Linear between the order statistics of the known ones, which stand first."""
    place = np.maximum(known - 1, 0) * share
    low = np.floor(place).astype(np.int64)
    high = np.minimum(low + 1, np.maximum(known - 1, 0))
    below = np.take_along_axis(ordered, low[..., None], axis=-1)[..., 0]
    above = np.take_along_axis(ordered, high[..., None], axis=-1)[..., 0]
    return np.asarray(below + (above - below) * (place - low))


def adjusted(p_values: Array) -> Array:
    """Benjamini-Hochberg over areas (the first axis) for one day; NaN stays NaN."""
    known = ~np.isnan(p_values)
    answer = np.full(p_values.shape, np.nan)
    if known.any():
        answer[known] = false_discovery_control(p_values[known], method="bh")
    return answer


def past_windows(scores: Array, terms: ConsensusTerms) -> Array:
    """For every day (the last axis) the null days before it, as one axis more."""
    reach = terms.null_days + terms.null_gap_days - 1
    lead = np.full((*scores.shape[:-1], reach), np.nan)
    padded = np.concatenate([lead, scores], axis=-1)
    return sliding_window_view(padded, terms.null_days, axis=-1)[..., : scores.shape[-1], :]
