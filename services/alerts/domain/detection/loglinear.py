"""Quasi-Poisson regression of many short series at once: log mean = level + slope · time.

Points in one period of the year share a level; the slope is common. This is an analysis of
covariance, so a weighted least squares step has a closed form (means per level, and one slope from
what varies within the levels), and a batch needs no linear solver. Iterated as `glm` of R does it
(McCullagh & Nelder 1989, 2.5): start at count + 0.1, at most 25 steps, until the deviance changes
by less than 1e-8 of itself. Keeping to those numbers keeps to R's to 1e-9 where means are near 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.alerts.domain.detection.verdict import BoolArray, FloatArray

STEPS_MAX = 25
TOLERANCE = 1e-8
MEAN_LEAST = float(np.finfo(np.float64).eps)
START = 0.1
IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Design:
    """Where the points stand: `time` (points,) from the forecast at time 0; `level` (points,), the
    forecast being in level 0; `trend`: with or without a slope."""

    time: FloatArray
    level: IntArray
    trend: bool

    @property
    def members(self) -> FloatArray:
        """(points, levels), 1 where a point is in a level."""
        return np.eye(int(self.level.max()) + 1)[self.level]


@dataclass(frozen=True, slots=True)
class Fit:
    """Per series (series,), and per point (series, points). Unknown points have the weight 0."""

    mean: FloatArray
    weight: FloatArray  # of the last least squares step, that is at the mean before it
    hat: FloatArray
    freedom: FloatArray  # degrees of freedom that are left
    forecast: FloatArray  # log mean at time 0 in level 0
    slope: FloatArray
    forecast_variance: FloatArray  # of the log mean, before dispersion
    slope_variance: FloatArray  # before dispersion
    converged: BoolArray
    trend: bool


@dataclass(frozen=True, slots=True)
class _Step:
    """One weighted least squares solution."""

    linear: FloatArray  # (series, points)
    weight: FloatArray
    centred: FloatArray  # time from its mean in the level
    level_weight: FloatArray  # (series, levels)
    level_time: FloatArray
    time_spread: FloatArray  # (series,)
    slope: FloatArray
    forecast: FloatArray


def fit(counts: FloatArray, weights: FloatArray, design: Design) -> Fit:
    """`counts` (series, points), NaN where unknown; `weights` of the same shape."""
    known = ~np.isnan(counts)
    y = np.where(known, counts, 0.0)
    prior = np.where(known, weights, 0.0)
    members = design.members
    mean = y + START
    linear = np.log(mean)
    deviance = _deviance(y, mean, prior)
    state = _solve(y, mean, linear, prior, (design, members))
    converged = np.zeros(len(y), dtype=np.bool_)
    running = np.arange(len(y))
    whole = state
    for number in range(STEPS_MAX):
        if number:
            state = _solve(
                y[running], mean[running], whole.linear[running], prior[running], (design, members)
            )
            whole = _placed(whole, state, running)
        mean[running] = np.maximum(np.exp(np.minimum(state.linear, 700.0)), MEAN_LEAST)
        now = _deviance(y[running], mean[running], prior[running])
        done = np.abs(now - deviance[running]) / (np.abs(now) + 0.1) < TOLERANCE
        deviance[running] = now
        converged[running[done]] = True
        running = running[~done & np.isfinite(now)]
        if not len(running):
            break
    return _result(whole, mean, known, converged, design)


def _placed(whole: _Step, part: _Step, rows: IntArray) -> _Step:
    for name in _Step.__dataclass_fields__:
        getattr(whole, name)[rows] = getattr(part, name)
    return whole


def _deviance(y: FloatArray, mean: FloatArray, prior: FloatArray) -> FloatArray:
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        unit = np.where(y > 0, y * np.log(np.where(y > 0, y, 1.0) / mean), 0.0) - (y - mean)
    total: FloatArray = 2.0 * (prior * unit).sum(axis=1)
    return total


def _solve(
    y: FloatArray,
    mean: FloatArray,
    linear: FloatArray,
    prior: FloatArray,
    layout: tuple[Design, FloatArray],
) -> _Step:
    design, members = layout
    weight = prior * mean
    working = linear + (y - mean) / mean
    level_weight = weight @ members
    with np.errstate(divide="ignore", invalid="ignore"):
        level_mean = (weight * working) @ members / level_weight
        level_time = (weight * design.time) @ members / level_weight
    centred = design.time - level_time[:, design.level]
    centred = np.where(weight > 0, centred, 0.0)
    spread = (weight * centred**2).sum(axis=1)
    slope = np.zeros(len(y))
    if design.trend:
        with np.errstate(divide="ignore", invalid="ignore"):
            slope = (weight * centred * np.where(weight > 0, working, 0.0)).sum(axis=1) / spread
    fitted = np.where(weight > 0, level_mean[:, design.level], 0.0) + slope[:, None] * centred
    forecast = level_mean[:, 0] - slope * level_time[:, 0]
    return _Step(fitted, weight, centred, level_weight, level_time, spread, slope, forecast)


def _result(
    step: _Step, mean: FloatArray, known: BoolArray, converged: BoolArray, design: Design
) -> Fit:
    with np.errstate(divide="ignore", invalid="ignore"):
        slope_variance = 1.0 / step.time_spread if design.trend else np.zeros(len(mean))
        forecast_variance = 1.0 / step.level_weight[:, 0]
        forecast_variance = forecast_variance + step.level_time[:, 0] ** 2 * slope_variance
        share = 1.0 / step.level_weight[:, design.level]
        hat = step.weight * (share + step.centred**2 * slope_variance[:, None])
    levels = (step.level_weight > 0).sum(axis=1)
    freedom = known.sum(axis=1) - levels - (1 if design.trend else 0)
    sound = converged & np.isfinite(step.forecast) & np.isfinite(forecast_variance) & (freedom > 0)
    return Fit(
        mean=mean,
        weight=step.weight,
        hat=np.where(known, hat, 0.0),
        freedom=freedom.astype(np.float64),
        forecast=step.forecast,
        slope=step.slope,
        forecast_variance=forecast_variance,
        slope_variance=slope_variance,
        converged=sound,
        trend=design.trend,
    )
