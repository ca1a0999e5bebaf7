"""Past outbreaks weigh less: a fit, its residuals, and the fit again with weights from them.

Farrington et al. 1996, section 3.5 (residuals above 1) and Noufaily et al. 2013, 3.3 (above 2.58).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from services.alerts.domain.detection.loglinear import Design, Fit, fit
from services.alerts.domain.detection.verdict import FloatArray


@dataclass(frozen=True, slots=True)
class Reweighted:
    """Per series: `pearson`, Pearson's dispersion. `weighted`: the mean square of the working
    residuals under the reweighting weights alone; surveillance's flexible form takes this one for
    standard errors, which moves its limits `delta` and `muan`. So do we, to be comparable."""

    fit: Fit
    pearson: FloatArray
    weighted: FloatArray

    @property
    def dispersion(self) -> FloatArray:
        """Counts are not less dispersed than Poisson's."""
        return np.maximum(self.pearson, 1.0)


def reweighted(counts: FloatArray, design: Design, threshold: float | None) -> Reweighted:
    """`counts` (series, points), NaN where unknown; a `threshold` of None leaves weights equal."""
    equal = np.ones_like(counts)
    plain = fit(counts, equal, design)
    if threshold is None:
        return _with_dispersion(counts, plain, equal)
    weights = _weights(counts, plain, threshold)
    return _with_dispersion(counts, fit(counts, weights, design), weights)


def _with_dispersion(counts: FloatArray, fitted: Fit, weights: FloatArray) -> Reweighted:
    pearson = _mean_square(counts, fitted, fitted.weight)
    return Reweighted(fitted, pearson, _mean_square(counts, fitted, weights))


def _mean_square(counts: FloatArray, fitted: Fit, weights: FloatArray) -> FloatArray:
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        residual = (np.nan_to_num(counts) - fitted.mean) / fitted.mean
        squares = np.where(np.isnan(counts), 0.0, weights * residual**2)
        return np.asarray(squares.sum(axis=1) / fitted.freedom)


def _weights(counts: FloatArray, fitted: Fit, threshold: float) -> FloatArray:
    """Inverse squares of standardised Anscombe residuals above the threshold, 1 below; scaled to
    the number of known points."""
    known = ~np.isnan(counts)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        root = np.cbrt(fitted.mean)
        residual = 1.5 * (np.cbrt(counts) ** 2 - root**2) / np.sqrt(root)
        dispersion = np.maximum(_mean_square(counts, fitted, fitted.weight), 1.0)
        residual /= np.sqrt(dispersion[:, None] * (1.0 - fitted.hat))
        raw = np.where(residual > threshold, residual**-2.0, 1.0)
    raw = np.where(known, raw, 0.0)
    total = raw.sum(axis=1, keepdims=True)
    scale = known.sum(axis=1, keepdims=True) / np.where(total > 0, total, 1.0)
    return np.asarray(raw * scale)
