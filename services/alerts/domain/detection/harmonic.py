"""What a season lets expect: a log-linear wave fitted to the past and carried on.

log mean = level (+ slope · time) + sine and cosine of the year, counts Poisson or negative binomial
(variance mean + heterogeneity · mean²), as Höhle & Paul (2008), Comput Stat Data Anal 52:4357, use
it for in-control means.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import digamma

from services.alerts.domain.detection.loglinear import (
    MEAN_LEAST,
    START,
    STEPS_MAX,
    TOLERANCE,
)
from services.alerts.domain.detection.verdict import BoolArray, FloatArray

# Maximum likelihood of the heterogeneity: rounds of mean and heterogeneity in turn, and where it
# is indistinguishable from none.
ROUNDS_MAX = 50
HETEROGENEITY_LEAST = 1e-6
HETEROGENEITY_MOST = 1e6
# A pivot this much smaller than the largest is rounding (R's glm takes the same).
RANK_TOLERANCE = 1e-11


@dataclass(frozen=True, slots=True)
class Season:
    """`waves`: sine and cosine pairs per year of `year_length` periods; `trend`: with a slope."""

    year_length: int = 52
    waves: int = 1
    trend: bool = False

    def design(self, length: int) -> FloatArray:
        """(time, coefficient)."""
        time = np.arange(1, length + 1, dtype=np.float64)
        columns = [np.ones(length)]
        if self.trend:
            # Scaled: the fit is the same, its equations are better conditioned.
            columns.append(time / self.year_length)
        for wave in range(1, self.waves + 1):
            angle = 2.0 * np.pi * wave * time / self.year_length
            columns += [np.sin(angle), np.cos(angle)]
        return np.stack(columns, axis=1)


@dataclass(frozen=True, slots=True)
class InControl:
    """Per series: `mean` (..., time) for the whole series, and the `heterogeneity` (...,)."""

    mean: FloatArray
    heterogeneity: FloatArray


def seasonal_mean(
    values: FloatArray, start: int, season: Season, *, heterogeneous: bool = False
) -> InControl:
    """Fitted to the periods before `start`, NaN where that has no solution; unknown counts weigh
    nothing."""
    length = values.shape[-1]
    flat = values.reshape(math.prod(values.shape[:-1]), length)
    design = season.design(length)
    past, known = np.nan_to_num(flat[:, :start]), ~np.isnan(flat[:, :start])
    none = np.zeros(len(flat))
    coefficients = _coefficients(past, known, design[:start], none)
    spread = none
    if heterogeneous:
        coefficients, spread = _heterogeneous(past, known, design[:start], coefficients)
    with np.errstate(over="ignore"):
        mean = np.maximum(np.exp(coefficients @ design.T), MEAN_LEAST)
    return InControl(mean.reshape(values.shape), spread.reshape(values.shape[:-1]))


def _coefficients(
    y: FloatArray,
    known: BoolArray,
    design: FloatArray,
    heterogeneity: FloatArray,
    start: FloatArray | None = None,
) -> FloatArray:
    """Iterated weighted least squares; (series, coefficient), NaN where it does not settle."""
    alpha = heterogeneity[:, None]
    linear = np.log(y + START) if start is None else start @ design.T
    mean = np.exp(linear)
    deviance = _deviance(y, mean, known, alpha)
    result = np.full((len(y), design.shape[1]), np.nan)
    running = np.arange(len(y))
    for _ in range(STEPS_MAX):
        m = mean[running]
        weight = known[running] * m / (1.0 + alpha[running] * m)
        working = linear[running] + (y[running] - m) / m
        solved = _solutions(design, weight, working)
        linear[running] = np.clip(solved @ design.T, -700.0, 700.0)
        mean[running] = np.exp(linear[running])
        now = _deviance(y[running], mean[running], known[running], alpha[running])
        settled = np.abs(now - deviance[running]) / (np.abs(now) + 0.1) < TOLERANCE
        deviance[running] = now
        result[running[settled]] = solved[settled]
        running = running[~settled & np.isfinite(now)]
        if not len(running):
            break
    return result


def _solutions(design: FloatArray, weight: FloatArray, working: FloatArray) -> FloatArray:
    """Weighted least squares by orthogonal decomposition: a wave over a part of a year is nearly a
    constant, which normal equations would square. NaN for a series without one solution."""
    root = np.sqrt(weight)
    sound = np.asarray(np.isfinite(root + working).all(axis=1))
    answer = np.full((len(weight), design.shape[1]), np.nan)
    if len(design) < design.shape[1]:
        return answer
    rooted = root[sound, :, None] * design
    orthogonal, upper = np.linalg.qr(rooted)
    pivots = np.abs(np.diagonal(upper, axis1=1, axis2=2))
    unique = pivots.min(axis=1) > RANK_TOLERANCE * pivots.max(axis=1)
    sound[sound] = unique
    right = np.einsum("sti,st->si", orthogonal[unique], (root * working)[sound])
    answer[sound] = np.linalg.solve(upper[unique], right[..., None])[..., 0]
    return answer


def _deviance(y: FloatArray, mean: FloatArray, known: BoolArray, alpha: FloatArray) -> FloatArray:
    with np.errstate(over="ignore", invalid="ignore"):
        own = np.where(y > 0, y * np.log(np.maximum(y, 1.0) / mean), 0.0)
        poisson = own - (y - mean)
        safe = np.where(alpha > 0, alpha, 1.0)
        mixed = own - (y + 1.0 / safe) * (np.log1p(safe * y) - np.log1p(safe * mean))
        unit = np.where(alpha > 0, mixed, poisson)
    total: FloatArray = 2.0 * np.where(known, unit, 0.0).sum(axis=1)
    return total


def _heterogeneous(
    y: FloatArray, known: BoolArray, design: FloatArray, coefficients: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Mean and heterogeneity in turn, until neither moves: their joint maximum likelihood."""
    alpha = np.zeros(len(y))
    for _ in range(ROUNDS_MAX):
        before = alpha
        alpha = _likeliest(y, known, np.exp(coefficients @ design.T))
        coefficients = _coefficients(y, known, design, alpha, coefficients)
        if np.all(np.isclose(alpha, before, rtol=1e-9, atol=1e-12) | np.isnan(alpha)):
            break
    return coefficients, alpha


def _likeliest(y: FloatArray, known: BoolArray, mean: FloatArray) -> FloatArray:
    """Heterogeneity by bisection of the score on a log scale; 0 where it is best without any."""
    low = np.full(len(y), np.log(HETEROGENEITY_LEAST))
    high = np.full(len(y), np.log(HETEROGENEITY_MOST))
    none = _score(y, known, mean, np.exp(low)) <= 0
    for _ in range(60):
        middle = (low + high) / 2.0
        rising = _score(y, known, mean, np.exp(middle)) > 0
        low, high = np.where(rising, middle, low), np.where(rising, high, middle)
    return np.where(none, 0.0, np.exp((low + high) / 2.0))


def _score(y: FloatArray, known: BoolArray, mean: FloatArray, alpha: FloatArray) -> FloatArray:
    """Sign of the likelihood's derivative by alpha; size is 1 / alpha."""
    size = (1.0 / alpha)[:, None]
    unit = digamma(y + size) - digamma(size) + np.log(size / (size + mean))
    unit = unit + (mean - y) / (size + mean)
    # d/d(size) is `unit`; alpha falls as size rises.
    return np.asarray(-np.where(known, unit, 0.0).sum(axis=1))
