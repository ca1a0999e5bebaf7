"""ESSENCE: daily counts by adaptive regression, by smoothed excess, or by whichever fits.

Burkom, Loschen, Wojcik et al. (2021), "Electronic Surveillance System for the Early Notification of
Community-Based Epidemics (ESSENCE)", JMIR Public Health Surveill 7:e26303; the regression after
Burkom, Murphy, Shmueli (2007), Stat Med 26:4202. What the papers leave open was read off the
numbers of Rnssp 0.3.1 (which equal ours), not off its source.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import stdtr, stdtrit

from services.alerts.domain.detection.verdict import (
    BoolArray,
    Counts,
    FloatArray,
    Verdicts,
    conclude,
)
from services.alerts.domain.detection.window import moments, trailing

WEEK = 7
FLOOR_TAIL = 0.05


@dataclass(frozen=True, slots=True)
class Smoothing:
    """`weight` of today's count. `floor`: added to the deviation of the smoothed count, over
    Student's 95 % quantile, so that a lone case after empty weeks does not alarm: read off Rnssp's
    numbers, no formula is published."""

    weight: float
    floor: float


SLOW = Smoothing(0.4, 0.111928971634)
FAST = Smoothing(0.9, 0.266591765267)


@dataclass(frozen=True, slots=True)
class Essence:
    """`baseline` days end `guard` days before yesterday. `alarm_p` is ESSENCE's red, `warning_p`
    its yellow. Regression is trusted from an adjusted R² of `fit_least` on. The baseline may be as
    short as `regression_days_least` or `smoothing_days_least` known days."""

    baseline: int = 28
    guard: int = 2
    alarm_p: float = 0.01
    warning_p: float = 0.05
    fit_least: float = 0.6
    regression_days_least: int = 11
    smoothing_days_least: int = 7
    smoothings: tuple[Smoothing, ...] = (SLOW, FAST)


@dataclass(frozen=True, slots=True)
class EssenceVerdicts:
    """`warning`: p below the yellow level, alarms among them. `by_regression`: which method spoke.
    `fit`: adjusted R² of the regression, NaN for the smoothing alone."""

    verdicts: Verdicts
    warning: BoolArray
    by_regression: BoolArray
    fit: FloatArray


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a count would be held against, whatever it is: the statistic is the larger of the lines
    `level` + `slope` · count (two of smoothing, or one of the regression beside one at -inf), and p
    its tail by Student with `freedom`. Arrays (..., time), lines (2, ..., time); NaN: no answer."""

    expected: FloatArray
    freedom: FloatArray
    level: FloatArray
    slope: FloatArray
    by_regression: BoolArray


@dataclass(frozen=True, slots=True)
class _Regression:
    """Per period, from its baseline alone; NaN where the baseline does not carry it."""

    expected: FloatArray
    deviation: FloatArray
    freedom: FloatArray
    fit: FloatArray


@dataclass(frozen=True, slots=True)
class _Tested:
    expected: FloatArray
    limit: FloatArray
    statistic: FloatArray
    p_value: FloatArray
    fit: FloatArray


def regression(counts: Counts, rule: Essence = Essence()) -> EssenceVerdicts:
    """Linear in time with a level per weekday; p from Student's t of the prediction error. A count
    below the mean of its last seven days never alarms."""
    tested = _regressed(counts.known, rule)
    return _concluded(counts, tested, np.ones(counts.known.shape, dtype=np.bool_), rule)


def ewma(counts: Counts, rule: Essence = Essence()) -> EssenceVerdicts:
    """The larger of the standardised excesses of two smoothed counts over the baseline's mean."""
    tested = _smoothed(counts.known, rule)
    return _concluded(counts, tested, np.zeros(counts.known.shape, dtype=np.bool_), rule)


def switch(counts: Counts, rule: Essence = Essence()) -> EssenceVerdicts:
    """Regression where it explains the baseline, smoothing elsewhere."""
    by_regression, by_smoothing = _regressed(counts.known, rule), _smoothed(counts.known, rule)
    with np.errstate(invalid="ignore"):
        fits = by_regression.fit >= rule.fit_least
    chosen = _Tested(
        *(
            np.where(fits, getattr(by_regression, name), getattr(by_smoothing, name))
            for name in _Tested.__dataclass_fields__
        )
    )
    return _concluded(counts, chosen, fits, rule)


def outlook(counts: Counts, rule: Essence = Essence(), *, latest: int | None = None) -> Outlook:
    """What `switch` would hold each period's count against: from its past alone, so that a count
    can be judged before it is known, or again when it has changed. `latest`: the last periods only.
    """
    y = counts.known
    first = 0 if latest is None else y.shape[-1] - latest
    near = max(first - rule.baseline - rule.guard, 0)
    line = _regression(y[..., near:], rule)
    expected, deviation, freedom, fit = (
        getattr(line, name)[..., first - near :] for name in _Regression.__dataclass_fields__
    )
    mean, days_less, smoothed = _smoothings(y, rule)
    with np.errstate(divide="ignore", invalid="ignore"):
        fits = fit >= rule.fit_least
        lines = [
            (
                (((1.0 - weight) * before - mean) / spread)[..., first:],
                (weight / spread)[..., first:],
            )
            for weight, before, _, spread in smoothed
        ]
        straight = -expected / deviation, 1.0 / deviation
    nowhere = np.full(fits.shape, -np.inf), np.zeros(fits.shape)
    level, slope = (
        np.stack(
            [
                np.where(fits, of_regression[part], of_smoothing[part])
                for of_regression, of_smoothing in zip((straight, nowhere), lines, strict=True)
            ]
        )
        for part in (0, 1)
    )
    return Outlook(
        expected=np.where(fits, expected, mean[..., first:]),
        freedom=np.where(fits, freedom, days_less[..., first:]),
        level=level,
        slope=slope,
        by_regression=fits,
    )


def _concluded(
    counts: Counts, tested: _Tested, by_regression: BoolArray, rule: Essence
) -> EssenceVerdicts:
    y = counts.known
    week = moments(np.concatenate([trailing(y, WEEK - 1), y[..., None]], axis=-1)).mean
    with np.errstate(invalid="ignore"):
        low = by_regression & (y < week)
        alarm = (tested.p_value < rule.alarm_p) & ~low
        warning = (tested.p_value < rule.warning_p) & ~low
    verdicts = conclude(
        counts,
        expected=tested.expected,
        limit=tested.limit,
        p_value=tested.p_value,
        statistic=tested.statistic,
        alarm=alarm,
    )
    judged = verdicts.abstains == 0
    return EssenceVerdicts(verdicts, warning & judged, by_regression & judged, tested.fit)


def _regressed(y: FloatArray, rule: Essence) -> _Tested:
    made = _regression(y, rule)
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = (y - made.expected) / made.deviation
    limit = made.expected - made.deviation * stdtrit(made.freedom, rule.alarm_p)
    return _Tested(made.expected, limit, statistic, stdtr(made.freedom, -statistic), made.fit)


def _regression(y: FloatArray, rule: Essence) -> _Regression:
    """Days are told apart by their distance from today, which is the same for every day: so each
    baseline has the same design, today stands at time 0 in level 0, and means per weekday and one
    slope within them are the whole solution."""
    lags = np.arange(rule.baseline + rule.guard, rule.guard, -1)
    members = np.eye(WEEK)[lags % WEEK]
    past = trailing(y, rule.baseline, gap=rule.guard)
    known = (~np.isnan(past)).astype(np.float64)
    z = np.nan_to_num(past)
    days = known.sum(axis=-1)
    time = -lags.astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        per_level = known @ members
        level_mean = np.where(per_level > 0, (z @ members) / per_level, 0.0)
        level_time = np.where(per_level > 0, ((known * time) @ members) / per_level, 0.0)
        centred = (time - level_time @ members.T) * known
        apart = (z - level_mean @ members.T) * known
        spread = (centred**2).sum(axis=-1)
        slope = (centred * apart).sum(axis=-1) / spread
        freedom = days - (per_level > 0).sum(axis=-1) - 1.0
        squares = ((apart - slope[..., None] * centred) ** 2).sum(axis=-1)
        mean = (z.sum(axis=-1) / days)[..., None]
        total = (((z - mean) * known) ** 2).sum(axis=-1)
        fit = 1.0 - (squares / freedom) / (total / (days - 1.0))
        # Today's weekday must have been seen.
        seen = (per_level[..., 0] > 0) & (freedom > 0) & (days >= rule.regression_days_least)
        expected = np.maximum(level_mean[..., 0] - slope * level_time[..., 0], 0.0)
        leverage = 1.0 / per_level[..., 0] + level_time[..., 0] ** 2 / spread
        leverage = np.where(_contiguous(known, rule), _whole_weeks(days), leverage)
        deviation = np.sqrt(squares / freedom * (1.0 + leverage))
    expected, fit = np.where(seen, expected, np.nan), np.where(seen, fit, np.nan)
    return _Regression(expected, deviation, np.where(freedom > 0, freedom, np.nan), fit)


def _contiguous(known: FloatArray, rule: Essence) -> BoolArray:
    """No gap from the first known day of the baseline on, and last week's same day not guarded."""
    started = np.maximum.accumulate(known, axis=-1)
    return np.asarray((started == known).all(axis=-1) & (rule.guard < WEEK))


def _whole_weeks(days: FloatArray) -> FloatArray:
    """The forecast's leverage for a gapless baseline of whole weeks: 7/n for the weekday's mean and
    the rest for the slope. Rnssp takes it for the shorter baselines of a series' first weeks too.
    """
    return np.asarray((10.0 * days - 28.0) / (days * (days - 7.0)))


def _smoothed(y: FloatArray, rule: Essence) -> _Tested:
    mean, freedom, smoothed = _smoothings(y, rule)
    best, limit = np.full(y.shape, np.nan), np.full(y.shape, np.nan)
    for weight, before, smooth, deviation in smoothed:
        alarming = mean - stdtrit(freedom, rule.alarm_p) * deviation
        with np.errstate(divide="ignore", invalid="ignore"):
            best = np.fmax(best, (smooth - mean) / deviation)
        needed = (alarming - (1.0 - weight) * before) / weight
        limit = np.fmin(limit, np.maximum(needed, 0.0))
    p_value = stdtr(freedom, -best)
    return _Tested(mean, limit, best, p_value, np.full(y.shape, np.nan))


def _smoothings(
    y: FloatArray, rule: Essence
) -> tuple[FloatArray, FloatArray, list[tuple[float, FloatArray, FloatArray, FloatArray]]]:
    """The baseline's mean and degrees of freedom; and of each smoothing its weight, the smoothed
    count before and after the day, and the deviation of the latter from the mean."""
    past = moments(trailing(y, rule.baseline, gap=rule.guard))
    enough = past.known >= rule.smoothing_days_least
    mean = np.where(enough, past.mean, np.nan)
    freedom = np.where(enough, past.known - 1.0, np.nan)
    found = []
    for smoothing in rule.smoothings:
        deviation = _deviation(past.known, past.deviation, smoothing, rule.guard)
        carried_most = mean + _tabled(freedom, rule.alarm_p) * deviation
        before, smooth = _chain(y, carried_most, smoothing.weight)
        found.append((smoothing.weight, before, smooth, deviation))
    return mean, freedom, found


def _deviation(
    days: FloatArray, deviation: FloatArray, smoothing: Smoothing, guard: int
) -> FloatArray:
    """Of the smoothed count less the baseline's mean, which share the days behind the guard."""
    w, rest = smoothing.weight, 1.0 - smoothing.weight
    with np.errstate(divide="ignore", invalid="ignore"):
        shared = 2.0 * rest ** (guard + 1) * (1.0 - rest**days) / days
        factor = np.sqrt(w / (2.0 - w) + 1.0 / days - shared)
        student = _tabled(np.where(days > 1, days - 1.0, np.nan), FLOOR_TAIL)
        return np.asarray(factor * deviation + smoothing.floor / student)


def _tabled(freedom: FloatArray, tail: float) -> FloatArray:
    """Student's upper quantile as a printed table has it: Rnssp's numbers are made with those."""
    known, place = np.unique(freedom, return_inverse=True)
    return np.asarray(np.round(-stdtrit(known, tail), 5)[place].reshape(freedom.shape))


def _chain(y: FloatArray, carried_most: FloatArray, weight: float) -> tuple[FloatArray, FloatArray]:
    """The smoothed count before and after each day. What alarmed is carried on at the alarm's level
    only, so that one wave does not alarm long after it has gone; an unknown day changes nothing."""
    before, after = np.empty(y.shape), np.empty(y.shape)
    carried = np.full(y.shape[:-1], np.nan)
    for day in range(y.shape[-1]):
        today = y[..., day]
        carried = np.where(np.isnan(carried), today, carried)
        before[..., day] = carried
        mixed = weight * today + (1.0 - weight) * carried
        carried = np.where(np.isnan(mixed), carried, mixed)
        after[..., day] = mixed
        carried = np.fmin(carried, np.where(np.isnan(mixed), np.nan, carried_most[..., day]))
    return before, after
