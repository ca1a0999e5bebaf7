"""So many cases in so many periods: for what is so rare that no model of the past can say anything.

Reporting norms are of this kind: ten influenza-like illnesses of one school in a week, five of
typhoid (national and provincial norms as they stand in policies, not here).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from services.alerts.domain.detection.verdict import Abstention, Counts, Verdicts
from services.alerts.domain.detection.window import trailing


@dataclass(frozen=True, slots=True)
class Fixed:
    """`cases` within `periods`, the judged one among them."""

    cases: int
    periods: int = 1


def fixed(counts: Counts, rule: Fixed) -> Verdicts:
    """Alarm where the sum reaches the number.

    Cases do not go away: a sum over unknown, silent or unfinished periods that is high enough
    already alarms, and one that is not says nothing. `statistic`: the sum of what is known.
    """
    so_far = np.where(counts.silent, np.nan, counts.reported)
    sums = np.nan_to_num(so_far) + np.nansum(trailing(so_far, rule.periods - 1), axis=-1)
    alarm = sums >= rule.cases
    reasons = np.where(alarm, Abstention.NONE, _gaps(counts, rule.periods)).astype(np.uint8)
    nothing = np.full(sums.shape, np.nan)
    return Verdicts(
        observed=counts.reported,
        expected=nothing,
        limit=np.full(sums.shape, float(rule.cases)),
        p_value=nothing,
        statistic=sums,
        alarm=alarm,
        abstains=reasons,
    )


def _gaps(counts: Counts, periods: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """The reason of the latest period in the window that is not wholly known; before its beginning
    a series is too short."""
    reasons = counts.abstentions.astype(np.float64)
    before = trailing(reasons, periods - 1)
    before = np.where(np.isnan(before), Abstention.SHORT_HISTORY, before)
    found = reasons
    for back in range(periods - 1):
        found = np.where(found == Abstention.NONE, before[..., -1 - back], found)
    return found
