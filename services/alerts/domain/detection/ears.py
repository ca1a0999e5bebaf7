"""EARS C1, C2 and C3: today's count against the mean and spread of the last days.

Hutwagner, Thompson, Seeman, Treadwell (2003), "The bioterrorism preparedness and response Early
Aberration Reporting System (EARS)", J Urban Health 80:i89-i96; the floor under the deviation and
the thresholds 3 and 2 as CDC ran them (Hutwagner et al. 2005, Emerg Infect Dis 11:314).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from services.alerts.domain.detection.verdict import (
    Counts,
    FloatArray,
    Verdicts,
    conclude,
)
from services.alerts.domain.detection.window import moments, trailing

C2_GAP = 2
C3_DAYS = 3


@dataclass(frozen=True, slots=True)
class Ears:
    """`baseline`: periods compared with. `threshold`: deviations above the mean. `deviation_least`:
    floor under the sample deviation, in cases: without it one case after seven empty days alarms.
    `unknown_most`: unknown periods a baseline may hold (ours: no paper speaks of gaps).
    """

    baseline: int = 7
    threshold: float = 3.0
    deviation_least: float = 0.5
    unknown_most: int = 2


# C3 sums what C2 had above 1 over three days and alarms above 2.
C3 = Ears(threshold=2.0)


def c1(counts: Counts, rule: Ears = Ears()) -> Verdicts:
    """Baseline up to yesterday; alarm above mean + threshold · deviation. p: upper normal tail."""
    return _shewhart(counts, rule, gap=0)


def c2(counts: Counts, rule: Ears = Ears()) -> Verdicts:
    """As C1 with two days between baseline and today, so that a slow rise does not hide itself."""
    return _shewhart(counts, rule, gap=C2_GAP)


def c3(counts: Counts, rule: Ears = C3) -> Verdicts:
    """Sum over today and two days before of max(0, C2 - 1); alarm above the threshold.

    Today's excess counts today. R's `earsC` (surveillance 1.20.3 and 1.26.0) leaves it out and
    alarms a day late; that form is kept in a test only. The sum has no published distribution, so
    there is no p-value.
    """
    expected, deviation = _baseline(counts.known, rule, gap=C2_GAP)
    excess = np.maximum(_standardised(counts.known, expected, deviation) - 1.0, 0.0)
    before = trailing(excess, C3_DAYS - 1).sum(axis=-1)
    total = before + excess
    # What today's C2 has to exceed: nothing below 1 adds to the sum.
    needed = np.where(before > rule.threshold, -np.inf, 1.0 + rule.threshold - before)
    with np.errstate(invalid="ignore"):
        limit = np.where(np.isneginf(needed), -1.0, expected + needed * deviation)
        limit = np.where(np.isnan(before + expected), np.nan, limit)
        alarm = total > rule.threshold
    return conclude(
        counts,
        expected=expected,
        limit=limit,
        p_value=np.full_like(expected, np.nan),
        statistic=total,
        alarm=alarm,
    )


def _shewhart(counts: Counts, rule: Ears, *, gap: int) -> Verdicts:
    expected, deviation = _baseline(counts.known, rule, gap=gap)
    limit = expected + rule.threshold * deviation
    score = _standardised(counts.known, expected, deviation)
    with np.errstate(invalid="ignore"):
        alarm = counts.known > limit
    return conclude(
        counts,
        expected=expected,
        limit=limit,
        p_value=ndtr(-score),
        statistic=score,
        alarm=alarm,
    )


def _baseline(values: FloatArray, rule: Ears, *, gap: int) -> tuple[FloatArray, FloatArray]:
    """Mean and floored deviation; NaN where too much of the baseline is unknown."""
    past = moments(trailing(values, rule.baseline, gap=gap))
    enough = past.known >= max(rule.baseline - rule.unknown_most, 2)
    expected = np.where(enough, past.mean, np.nan)
    deviation = np.where(enough, np.maximum(past.deviation, rule.deviation_least), np.nan)
    return expected, deviation


def _standardised(values: FloatArray, expected: FloatArray, deviation: FloatArray) -> FloatArray:
    """With no floor and no spread, a count off the mean is infinitely far and one on it unknown."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return (values - expected) / deviation
