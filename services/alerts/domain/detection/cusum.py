"""CUSUM: excesses add up, so that a small lasting rise is seen as well as a large sudden one.

Rossi, Lampugnani, Marchi (1999), "An approximate CUSUM procedure for surveillance of health
events", Stat Med 18:2111-2122; the transformations as Höhle (2007) lists them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from services.alerts.domain.detection.verdict import (
    BoolArray,
    Counts,
    FloatArray,
    Verdicts,
    conclude,
)
from services.alerts.domain.detection.window import moments

Form = Literal["standard", "rossi", "anscombe", "pearson_negative_binomial"]


@dataclass(frozen=True, slots=True)
class Cusum:
    """`slack` (k) is taken off every standardised excess, the sum alarms at `decision` (h): Rossi's
    pair for an average of 500 periods between false alarms. `heterogeneity`: of the negative
    binomial, variance = mean + heterogeneity · mean². `restart`: begin anew after an alarm; R
    (surveillance 1.20.3) never does, and then one wave alarms until the sum has come down."""

    slack: float = 1.04
    decision: float = 2.26
    form: Form = "rossi"
    heterogeneity: float = 0.1
    restart: bool = False


def past_mean(counts: Counts, start: int) -> FloatArray:
    """The mean of what is known before `start`, for every period from there on, NaN before."""
    known = counts.known
    mean = moments(known[..., :start]).mean[..., None]
    return np.where(np.arange(known.shape[-1]) < start, np.nan, mean)


def cusum(counts: Counts, in_control: FloatArray, rule: Cusum = Cusum()) -> Verdicts:
    """Alarm when the sum reaches the decision value; the sum begins where `in_control`, the mean
    expected when nothing is wrong (..., time), is first known.

    `statistic`: the sum. `limit`: the count that would have reached it. No p-value: a sum has none
    for one period. An unknown count leaves the sum as it was.
    """
    y = counts.known
    mean = np.broadcast_to(in_control, y.shape)
    deviate = _deviate(y, mean, rule)
    total = np.zeros(y.shape[:-1])
    sums, room = np.empty(y.shape), np.empty(y.shape)
    for now in range(y.shape[-1]):
        room[..., now] = rule.decision + rule.slack - total
        step = np.nan_to_num(deviate[..., now] - rule.slack)
        grown = np.where(np.isnan(deviate[..., now]), total, np.maximum(total + step, 0.0))
        sums[..., now] = grown
        total = np.where(grown >= rule.decision, 0.0, grown) if rule.restart else grown
    alarm: BoolArray = sums >= rule.decision
    return conclude(
        counts,
        expected=np.array(mean),
        limit=_count_at(room, mean, rule),
        p_value=np.full(y.shape, np.nan),
        statistic=sums,
        alarm=alarm,
    )


def _deviate(y: FloatArray, m: FloatArray, rule: Cusum) -> FloatArray:
    """The count as a nearly standard normal deviate."""
    with np.errstate(divide="ignore", invalid="ignore"):
        if rule.form == "standard":
            return (y - m) / np.sqrt(m)
        if rule.form == "rossi":
            return (y - 3.0 * m + 2.0 * np.sqrt(m * y)) / (2.0 * np.sqrt(m))
        if rule.form == "anscombe":
            return 1.5 * (y ** (2.0 / 3.0) - m ** (2.0 / 3.0)) / m ** (1.0 / 6.0)
        return (y - m) / np.sqrt(m + rule.heterogeneity * m**2)


def _count_at(deviate: FloatArray, m: FloatArray, rule: Cusum) -> FloatArray:
    """The count that has this deviate; 0 where any count is above it."""
    with np.errstate(divide="ignore", invalid="ignore"):
        if rule.form == "standard":
            count = m + deviate * np.sqrt(m)
        elif rule.form == "rossi":
            root = np.sqrt(np.maximum(4.0 * m + 2.0 * deviate * np.sqrt(m), 0.0)) - np.sqrt(m)
            count = np.where(root > 0, root, 0.0) ** 2
        elif rule.form == "anscombe":
            power = m ** (2.0 / 3.0) + deviate * m ** (1.0 / 6.0) / 1.5
            count = np.maximum(power, 0.0) ** 1.5
        else:
            count = m + deviate * np.sqrt(m + rule.heterogeneity * m**2)
    return np.where(np.isnan(m), np.nan, np.maximum(count, 0.0))
