"""The moving percentile of CIDARS: this week against the same weeks of past years.

Yang, Li, Lan et al. (2011), "A nationwide web-based automated system for early outbreak detection
and rapid response in China", Western Pac Surveill Response J 2(1):10; Wang, Jiang, Michael, Zhao
(2017), BMC Public Health 17:570: Px = percentile(moving window [5 weeks × 5 years], x), with x of
75 for chickenpox, influenza and hand-foot-mouth disease, 80 for mumps and scarlet fever, 45 for
rubella.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from services.alerts.domain.detection.verdict import Counts, FloatArray, Verdicts, conclude
from services.alerts.domain.detection.window import around_past_years


@dataclass(frozen=True, slots=True)
class Percentile:
    """`years` past years of 2·`half_width` + 1 periods each. `percent`: P80. `cases_least`: fewer
    cases never alarm, whatever the percentile (0 of 25 weeks is P100 of nothing). `unknown_most`:
    unknown periods among the references (ours)."""

    years: int = 5
    half_width: int = 2
    year_length: int = 52
    percent: float = 80.0
    cases_least: int = 1
    unknown_most: int = 5


def moving_percentile(counts: Counts, rule: Percentile = Percentile()) -> Verdicts:
    """Alarm where the count reaches the percentile (interpolated as a spreadsheet does).

    For daily use each period is the sum of the seven days up to that day. `expected`: the median of
    the references. p: the share of references at least as high, the count itself counted among
    them, which is what a rank can say. `statistic`: the count's own percentile.
    """
    past = around_past_years(
        counts.known,
        years=rule.years,
        half_width=rule.half_width,
        year_length=rule.year_length,
    )
    limit = percentile(past, rule.percent, rule.unknown_most)
    known = ~np.isnan(past)
    total = known.sum(axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        as_high = (known & (past >= counts.known[..., None])).sum(axis=-1)
        below = (known & (past < counts.known[..., None])).sum(axis=-1)
        alarm = (counts.known >= limit) & (counts.known >= rule.cases_least)
        rank = 100.0 * below / total
    return conclude(
        counts,
        expected=percentile(past, 50.0, rule.unknown_most),
        limit=limit,
        p_value=(1.0 + as_high) / (1.0 + total),
        statistic=rank,
        alarm=alarm,
    )


def percentile(values: FloatArray, percent: float, unknown_most: int) -> FloatArray:
    """Along the last axis, of what is known, between the two nearest ranks in proportion; NaN with
    more unknown values than allowed."""
    ordered = np.sort(values, axis=-1)  # NaN last
    known = (~np.isnan(values)).sum(axis=-1)
    place = (known - 1) * percent / 100.0
    low = np.maximum(np.floor(place), 0.0).astype(np.int64)
    high = np.minimum(low + 1, np.maximum(known - 1, 0))
    first = np.take_along_axis(ordered, low[..., None], axis=-1)[..., 0]
    second = np.take_along_axis(ordered, high[..., None], axis=-1)[..., 0]
    between = first + (place - low) * (second - first)
    enough = (values.shape[-1] - known <= unknown_most) & (known > 0)
    return np.where(enough, between, np.nan)
