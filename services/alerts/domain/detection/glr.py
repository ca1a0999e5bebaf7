"""GLR: how much likelier a lasting rise since some past period is than no change at all.

Höhle & Paul (2008), "Count data regression charts for the monitoring of surveillance time series",
Comput Stat Data Anal 52:4357-4368. Counts are Poisson or negative binomial (variance = mean +
heterogeneity · mean²) around a known in-control mean; the rise multiplies it by exp(kappa), kappa
above 0. Known kappa: the likelihood ratio CUSUM; unknown: the generalised one, maximal over kappa.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from services.alerts.domain.detection.verdict import Counts, FloatArray, Verdicts, conclude

NEWTON_STEPS_MAX = 60
NEWTON_TOLERANCE = 1e-12


@dataclass(frozen=True, slots=True)
class Glr:
    """`decision`: log likelihood ratio that alarms (c.ARL). `rise`: the log of the factor that is
    looked for, None for any. `window`: how many periods back a rise may have begun, None for all
    since the last restart. The chart begins anew after an alarm."""

    decision: float = 5.0
    rise: float | None = None
    window: int | None = None


def glr(
    counts: Counts,
    in_control: FloatArray,
    rule: Glr = Glr(),
    *,
    heterogeneity: FloatArray | float = 0.0,
) -> Verdicts:
    """Alarm when the ratio reaches the decision value; the chart begins where `in_control` (...,
    time) is first known. `heterogeneity` (...,): 0 is Poisson.

    `statistic`: the log likelihood ratio; `limit` is the decision value, in the ratio's units and
    not in cases: which count alarms depends on all periods before. No p-value. An unknown count is
    left out of the sums.
    """
    y = counts.known
    length = y.shape[-1]
    series = math.prod(y.shape[:-1])
    flat = y.reshape(series, length)
    mean = np.broadcast_to(in_control, y.shape).reshape(series, length)
    alpha = np.broadcast_to(np.asarray(heterogeneity, dtype=np.float64), y.shape[:-1])
    charts = np.empty((series, length))
    for row, its_alpha in enumerate(alpha.reshape(series)):
        charts[row] = _chart(flat[row], mean[row], its_alpha, rule)
    ratio: FloatArray = charts.reshape(y.shape)
    with np.errstate(invalid="ignore"):
        alarm = ratio >= rule.decision
    limit = np.where(np.isnan(np.broadcast_to(in_control, y.shape)), np.nan, rule.decision)
    return conclude(
        counts,
        expected=np.array(np.broadcast_to(in_control, y.shape)),
        limit=limit,
        p_value=np.full(y.shape, np.nan),
        statistic=ratio,
        alarm=alarm,
    )


def _chart(y: FloatArray, mean: FloatArray, alpha: float, rule: Glr) -> FloatArray:
    """One series. An unknown period keeps its place with count and mean of 0: no evidence."""
    ratio = np.full(len(y), np.nan)
    heard = ~np.isnan(y) & ~np.isnan(mean)
    seen, expected = np.where(heard, y, 0.0), np.where(heard, mean, 0.0)
    begun = 0
    for now in range(len(y)):
        if np.isnan(mean[now]):
            begun = now + 1
            continue
        since = begun if rule.window is None else max(begun, now + 1 - rule.window)
        ratio[now] = _ratio(seen[since : now + 1], expected[since : now + 1], alpha, rule.rise)
        if ratio[now] >= rule.decision and heard[now]:
            begun = now + 1
    return ratio


def _ratio(y: FloatArray, mean: FloatArray, alpha: float, rise: float | None) -> float:
    """The largest log likelihood ratio over all beginnings of the rise in this stretch."""
    if rise is not None:
        steps = _log_ratio(y, mean, alpha, np.array([rise]))[0]
        return max(float(steps[::-1].cumsum().max()), 0.0)
    if alpha <= 0:
        return _poisson(y[::-1].cumsum(), mean[::-1].cumsum())
    return _negative_binomial(y, mean, alpha)


def _poisson(cases: FloatArray, expected: FloatArray) -> float:
    """The best factor is cases over expected, where that is a rise."""
    rising = cases > expected
    if not rising.any():
        return 0.0
    s, m = cases[rising], expected[rising]
    return float((s * np.log(s / m) - (s - m)).max())


def _log_ratio(y: FloatArray, mean: FloatArray, alpha: float, kappa: FloatArray) -> FloatArray:
    """(kappa, period): log likelihood under the risen mean less that under the mean."""
    factor = np.exp(kappa)[:, None]
    if alpha <= 0:
        return np.asarray(y * kappa[:, None] - mean * (factor - 1.0))
    size = y + 1.0 / alpha
    return np.asarray(
        y * kappa[:, None] - size * (np.log1p(alpha * mean * factor) - np.log1p(alpha * mean))
    )


def _negative_binomial(y: FloatArray, mean: FloatArray, alpha: float) -> float:
    """Newton's method for every beginning at once; the likelihood is concave in kappa."""
    length = len(y)
    counted = np.triu(np.ones((length, length)))  # row: beginning; column: period
    size = (y + 1.0 / alpha) * (mean > 0)
    cases = counted @ y
    rising = cases > counted @ (size * alpha * mean / (1.0 + alpha * mean))
    if not rising.any():
        return 0.0
    counted, cases = counted[rising], cases[rising]
    kappa = np.log(cases / (counted @ mean))
    kappa = np.maximum(kappa, 0.0)
    for _ in range(NEWTON_STEPS_MAX):
        risen = alpha * mean * np.exp(kappa)[:, None]
        share = risen / (1.0 + risen)
        slope = cases - (counted * size * share).sum(axis=1)
        curve = (counted * size * share / (1.0 + risen)).sum(axis=1)
        step = np.clip(slope / curve, -1.0, 1.0)
        kappa = np.maximum(kappa + step, 0.0)
        if np.abs(step).max() < NEWTON_TOLERANCE:
            break
    return max(float((counted * _log_ratio(y, mean, alpha, kappa)).sum(axis=1).max()), 0.0)
