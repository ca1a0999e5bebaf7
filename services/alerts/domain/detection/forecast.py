"""What the past lets expect: one log-linear forecast per series and period, many at once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

import numpy as np
from scipy.special import ndtr, stdtr

from services.alerts.domain.detection.references import Layout, Seasons, layouts
from services.alerts.domain.detection.reweighting import Reweighted, reweighted
from services.alerts.domain.detection.verdict import (
    Abstention,
    BoolArray,
    Counts,
    FloatArray,
    IntArray,
    Verdicts,
)
from services.alerts.domain.detection.window import trailing

# Points fitted at once times reference points each: what a processor's cache holds.
BATCH_CELLS = 50_000


@dataclass(frozen=True, slots=True)
class Model:
    """`weights_above`: residuals above it weigh less, None for equal weights. A slope is kept when
    its p-value is below `trend_p`, there are `trend_years_least` years, and the forecast is not
    above the largest reference. `errors`: which dispersion stands behind standard errors and the
    trend's test: Pearson's (Farrington 1996), or the one that surveillance's flexible form takes
    (see reweighting.py). `known_least`: the share of the references that must be known (ours)."""

    seasons: Seasons
    weights_above: float | None
    trend_p: float
    trend_years_least: int
    errors: Literal["pearson", "reweighting"]
    known_least: float


@dataclass(frozen=True, slots=True)
class Forecast:
    """Per series and period. `slope` is NaN where no trend is kept; `tried`: there was enough
    history to fit anything."""

    log_mean: FloatArray
    log_deviation: FloatArray
    dispersion: FloatArray
    slope: FloatArray
    tried: BoolArray

    @property
    def mean(self) -> FloatArray:
        with np.errstate(over="ignore"):
            return np.exp(self.log_mean)


def forecast(
    values: FloatArray, model: Model, *, dates: Sequence[date] | None, first: int
) -> Forecast:
    """(..., time) → forecasts for the periods from `first` on, each from its own past alone."""
    length = values.shape[-1]
    flat = values.reshape(math.prod(values.shape[:-1]), length)
    whole = _blank(flat.shape)
    for layout, times in layouts(model.seasons, length, dates).items():
        _fill(whole, flat, layout, times[times >= first], model)
    shape = (*values.shape[:-1], length - first)
    return Forecast(**{name: getattr(whole, name)[:, first:].reshape(shape) for name in _FIELDS})


def _blank(shape: tuple[int, ...]) -> Forecast:
    def unknown() -> FloatArray:
        return np.full(shape, np.nan)

    return Forecast(unknown(), unknown(), unknown(), unknown(), np.zeros(shape, dtype=np.bool_))


def _fill(whole: Forecast, flat: FloatArray, layout: Layout, times: IntArray, model: Model) -> None:
    """Forecast every series at these times, some thousand points at once."""
    offsets = np.array(layout.offsets)
    rows = np.repeat(np.arange(len(flat)), len(times))
    columns = np.tile(times, len(flat))
    step = max(1, BATCH_CELLS // len(offsets))
    for start in range(0, len(rows), step):
        row, column = rows[start : start + step], columns[start : start + step]
        past = flat[row[:, None], column[:, None] + offsets]
        enough = (~np.isnan(past)).mean(axis=1) >= model.known_least
        if not enough.any():
            continue
        part = _fitted(past[enough], layout, model)
        for name in _FIELDS:
            getattr(whole, name)[row[enough], column[enough]] = getattr(part, name)


def _fitted(past: FloatArray, layout: Layout, model: Model) -> Forecast:
    """`past` (point, reference). With a trend where it is kept, without one elsewhere."""
    if model.seasons.years < model.trend_years_least:
        level = reweighted(past, layout.design(trend=False), model.weights_above)
        return _described(level, model)
    sloping = reweighted(past, layout.design(trend=True), model.weights_above)
    kept = _trend_kept(sloping, past, model)
    answer = _described(sloping, model)
    if not kept.all():
        level = reweighted(past[~kept], layout.design(trend=False), model.weights_above)
        flat = _described(level, model)
        for name in _FIELDS:
            getattr(answer, name)[~kept] = getattr(flat, name)
    return answer


def _trend_kept(sloping: Reweighted, past: FloatArray, model: Model) -> BoolArray:
    """Fitted, significant, and no forecast above everything that was ever seen."""
    fit = sloping.fit
    dispersion = sloping.pearson if model.errors == "pearson" else sloping.weighted
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        t = fit.slope / np.sqrt(dispersion * fit.slope_variance)
        significant = 2.0 * stdtr(fit.freedom, -np.abs(t)) < model.trend_p
        plausible = np.exp(fit.forecast) <= np.where(np.isnan(past), 0.0, past).max(axis=1)
    return np.asarray(fit.converged & significant & plausible)


def _described(model: Reweighted, rule: Model) -> Forecast:
    fit = model.fit
    dispersion = model.dispersion if rule.errors == "pearson" else model.weighted
    with np.errstate(invalid="ignore"):
        deviation = np.sqrt(dispersion * fit.forecast_variance)

    def if_converged(values: FloatArray) -> FloatArray:
        return np.where(fit.converged, values, np.nan)

    return Forecast(
        log_mean=if_converged(fit.forecast),
        log_deviation=if_converged(deviation),
        dispersion=if_converged(model.dispersion),
        slope=if_converged(fit.slope) if fit.trend else np.full(len(deviation), np.nan),
        tried=np.ones(len(deviation), dtype=np.bool_),
    )


_FIELDS = tuple(Forecast.__dataclass_fields__)


def power_limit(
    counts: FloatArray, mean: FloatArray, variance: FloatArray, z: float
) -> tuple[FloatArray, FloatArray]:
    """Upper limit and p-value where count^(2/3) is nearly normal (Farrington et al. 1996, 3.6);
    `variance` of the count less its forecast, `z` the normal deviate of the limit."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        relative = np.sqrt(variance) / mean
        limit = mean * (1.0 + 2.0 / 3.0 * z * relative) ** 1.5
        deviate = 1.5 * ((counts / mean) ** (2.0 / 3.0) - 1.0) / relative
    return limit, ndtr(-deviate)


@dataclass(frozen=True, slots=True)
class FewCases:
    """Fewer than `cases` in the last `periods`, the judged one among them: no alarm is looked for.
    It blinds a method to rare diseases; fixed.py is for those."""

    cases: int = 5
    periods: int = 4

    def holds(self, values: FloatArray, first: int) -> BoolArray:
        """For the periods from `first` on."""
        begin = max(first - self.periods + 1, 0)
        near = values[..., begin:]
        before = np.nansum(trailing(near, self.periods - 1), axis=-1)
        few = before + np.nan_to_num(near) < self.cases
        return np.asarray(few[..., first - begin :])


def from_first(counts: Counts, first: int) -> Counts:
    return Counts(
        counts.reported[..., first:], counts.silent[..., first:], counts.partial[..., first:]
    )


def explained(verdicts: Verdicts, made: Forecast, few: BoolArray) -> Verdicts:
    """Few cases before all else; a history that has no fit is not a short one."""
    no_fit = made.tried & (verdicts.abstains == Abstention.SHORT_HISTORY)
    verdicts = verdicts.replaced(no_fit, Abstention.NO_FIT)
    return verdicts.withheld(few, Abstention.FEW_CASES)
