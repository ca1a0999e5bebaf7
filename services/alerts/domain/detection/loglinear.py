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

from services.alerts.domain.detection.verdict import BoolArray, FloatArray, IntArray

STEPS_MAX = 25
TOLERANCE = 1e-8
MEAN_LEAST = float(np.finfo(np.float64).eps)
LINEAR_LEAST = float(np.log(MEAN_LEAST))
LINEAR_MOST = 700.0
START = 0.1


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
class _Basis:
    """What a design contributes to every step: sums over levels are products with `sums`."""

    design: Design
    members: FloatArray  # (points, levels), 1 where a point is in a level
    sums: FloatArray  # (points, 3 · levels): members, and members times time and its square

    @classmethod
    def of(cls, design: Design) -> _Basis:
        members = design.members
        time = design.time[:, None]
        return cls(design, members, np.hstack([members, members * time, members * time**2]))


@dataclass(frozen=True, slots=True)
class _Step:
    """One weighted least squares solution: (series, points) first, then (series, levels)."""

    linear: FloatArray
    weight: FloatArray
    level_weight: FloatArray
    level_time: FloatArray
    time_spread: FloatArray  # (series,), within levels
    slope: FloatArray
    forecast: FloatArray


def fit(counts: FloatArray, weights: FloatArray, design: Design) -> Fit:
    """`counts` (series, points), NaN where unknown; `weights` of the same shape."""
    known = ~np.isnan(counts)
    y = np.where(known, counts, 0.0)
    prior = np.where(known, weights, 0.0)
    basis = _Basis.of(design)
    mean = y + START
    linear = np.log(mean)
    saturated = (prior * (y * np.log(np.where(y > 0, y, 1.0)) - y)).sum(axis=1)
    deviance = _deviance(y, mean, linear, prior, saturated)
    whole = _solve(y, mean, linear, prior, basis)
    state = whole
    converged = np.zeros(len(y), dtype=np.bool_)
    running = np.arange(len(y))
    for number in range(STEPS_MAX):
        here = running if len(running) < len(y) else np.s_[:]
        if number:
            state = _solve(y[here], mean[here], linear[here], prior[here], basis)
            _place(whole, state, running)
        # R's log link does not let a mean fall below the rounding of 1.
        linear[here] = np.clip(state.linear, LINEAR_LEAST, LINEAR_MOST)
        mean[here] = np.exp(linear[here])
        now = _deviance(y[here], mean[here], linear[here], prior[here], saturated[here])
        done = np.abs(now - deviance[here]) / (np.abs(now) + 0.1) < TOLERANCE
        deviance[here] = now
        converged[running[done]] = True
        running = running[~done & np.isfinite(now)]
        if not len(running):
            break
    return _result(whole, mean, known, converged, basis)


def _place(whole: _Step, part: _Step, rows: IntArray) -> None:
    for name in _Step.__dataclass_fields__:
        getattr(whole, name)[rows] = getattr(part, name)


def _deviance(
    y: FloatArray,
    mean: FloatArray,
    linear: FloatArray,
    prior: FloatArray,
    saturated: FloatArray,
) -> FloatArray:
    """Twice the likelihood that is missing; `saturated` is the part without the mean."""
    fitted = np.einsum("sp,sp->s", prior, y * linear - mean)
    return np.asarray(2.0 * (saturated - fitted))


def _solve(
    y: FloatArray, mean: FloatArray, linear: FloatArray, prior: FloatArray, basis: _Basis
) -> _Step:
    weight = prior * mean
    levels = basis.members.shape[1]
    sums = weight @ basis.sums
    level_weight = sums[:, :levels]
    # Weight times the working response linear + (y - mean) / mean.
    working = (weight * linear + prior * (y - mean)) @ basis.sums[:, : 2 * levels]
    with np.errstate(divide="ignore", invalid="ignore"):
        inverse = np.where(level_weight > 0, 1.0 / level_weight, 0.0)
    level_mean = working[:, :levels] * inverse
    level_time = sums[:, levels : 2 * levels] * inverse
    squares = sums[:, 2 * levels :] - level_time * sums[:, levels : 2 * levels]
    spread = squares.sum(axis=1)
    slope = np.zeros(len(y))
    if basis.design.trend:
        apart = working[:, levels:] - level_time * working[:, :levels]
        with np.errstate(divide="ignore", invalid="ignore"):
            slope = apart.sum(axis=1) / spread
    start = level_mean - slope[:, None] * level_time
    fitted = start @ basis.members.T + slope[:, None] * basis.design.time
    forecast = np.where(level_weight[:, 0] > 0, start[:, 0], np.nan)
    return _Step(fitted, weight, level_weight, level_time, spread, slope, forecast)


def _result(
    step: _Step, mean: FloatArray, known: BoolArray, converged: BoolArray, basis: _Basis
) -> Fit:
    design = basis.design
    with np.errstate(divide="ignore", invalid="ignore"):
        slope_variance = 1.0 / step.time_spread if design.trend else np.zeros(len(mean))
        inverse = np.where(step.level_weight > 0, 1.0 / step.level_weight, 0.0)
        forecast_variance = 1.0 / step.level_weight[:, 0]
        forecast_variance = forecast_variance + step.level_time[:, 0] ** 2 * slope_variance
        centred = design.time - step.level_time @ basis.members.T
        share = inverse @ basis.members.T
        hat = step.weight * (share + centred**2 * slope_variance[:, None])
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
