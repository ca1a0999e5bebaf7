"""Tails and quantiles of the negative binomial, by mean and dispersion, for whole arrays.

`scipy.stats.nbinom.ppf` must not be reached: for the sizes that detectors really produce (3.6e235,
already 1e15) scipy 1.17.1 ends the process or never answers, and no `try` helps. Here a quantile is
a bounded bisection over the distribution function.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import betainc, gammainc, ndtr, ndtri

from services.alerts.domain.detection.verdict import FloatArray

# Closer to 1 than this, the dispersion's excess is rounding: the Poisson distribution it is.
EXCESS_LEAST = 1e-10
# Above this mean a step of one case is below the rounding of the distribution function, so the
# skew-corrected normal quantile (Cornish-Fisher) is as exact as the answer can be.
MEAN_COUNTED = 1e8
BISECTIONS_MAX = 64


def at_least(count: ArrayLike, mean: ArrayLike, dispersion: ArrayLike) -> FloatArray:
    """P(Y >= count), Y with the given mean and variance dispersion · mean; 1 at count 0."""
    y, mu, phi = (np.asarray(one, dtype=np.float64) for one in (count, mean, dispersion))
    return _tail(np.asarray(y - 1.0), mu, phi)


def quantile(upper_tail: float, mean: ArrayLike, dispersion: ArrayLike) -> FloatArray:
    """The smallest whole count that is exceeded with at most the probability `upper_tail`.

    NaN where the mean or the dispersion is; infinite where the mean is.
    """
    mu, phi = np.broadcast_arrays(
        np.asarray(mean, dtype=np.float64), np.asarray(dispersion, dtype=np.float64)
    )
    guess = _cornish_fisher(upper_tail, mu, phi)
    counted = np.isfinite(guess) & (mu <= MEAN_COUNTED)
    answer = guess.copy()
    answer[counted] = _searched(upper_tail, mu[counted], phi[counted], guess[counted])
    return answer


def _searched(tail: float, mu: FloatArray, phi: FloatArray, guess: FloatArray) -> FloatArray:
    """Bisection between a count that is too small (or -1) and one that is large enough."""
    step = np.maximum(1.0, np.ceil(0.1 * np.sqrt(mu * phi)))
    low = np.maximum(guess - step, -1.0)
    high = np.maximum(guess + step, 0.0)
    for _ in range(BISECTIONS_MAX):
        too_high = (low >= 0) & (_tail(low, mu, phi) <= tail)
        too_low = _tail(high, mu, phi) > tail
        if not (too_high.any() or too_low.any()):
            break
        step = 2.0 * step
        low = np.where(too_high, np.maximum(low - step, -1.0), low)
        high = np.where(too_low, high + step, high)
    for _ in range(BISECTIONS_MAX):
        middle = np.floor((low + high) / 2.0)
        if not np.any(high - low > 1.0):
            break
        enough = _tail(middle, mu, phi) <= tail
        open_ = high - low > 1.0
        high = np.where(open_ & enough, middle, high)
        low = np.where(open_ & ~enough, middle, low)
    return high


def _tail(count: FloatArray, mu: FloatArray, phi: FloatArray) -> FloatArray:
    """P(Y > count)."""
    y, mu, phi = np.broadcast_arrays(count, mu, phi)
    excess = phi - 1.0
    poisson = excess < EXCESS_LEAST
    k = np.maximum(np.floor(y), 0.0) + 1.0
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        size = mu / np.where(poisson, 1.0, excess)
        spread = np.where(poisson, np.nan, excess / phi)
        tail = np.where(poisson, gammainc(k, mu), betainc(k, size, spread))
        normal = ndtr((mu - np.floor(y) - 0.5) / (np.sqrt(mu) * np.sqrt(phi)))
    tail = np.where(mu > MEAN_COUNTED, normal, tail)
    tail = np.where(mu == 0, 0.0, tail)
    tail = np.where(y < 0, 1.0, tail)
    return np.where(np.isnan(mu) | np.isnan(phi) | np.isnan(y), np.nan, tail)


def _cornish_fisher(tail: float, mu: FloatArray, phi: FloatArray) -> FloatArray:
    z = float(-ndtri(tail))
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        deviation = np.sqrt(mu) * np.sqrt(phi)
        skewness = np.where(mu > 0, (2.0 * phi - 1.0) / np.where(mu > 0, deviation, 1.0), 0.0)
        corrected = mu + deviation * (z + skewness * (z * z - 1.0) / 6.0)
    return np.where(mu == 0, 0.0, np.maximum(np.round(corrected), 0.0))
