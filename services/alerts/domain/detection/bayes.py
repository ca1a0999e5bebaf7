"""Bayes 1, 2 and 3: today's count against the negative binomial that past counts predict.

Höhle (2007), "surveillance: An R package for the monitoring of infectious diseases", Comput Stat
22:571-582; Riebler (2004). Poisson counts with Jeffreys' prior: after n references with the sum s
the next count is negative binomial with size s + 1/2 and mean (s + 1/2) / n.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from services.alerts.domain.detection.quantile import at_least, quantile
from services.alerts.domain.detection.verdict import Counts, Verdicts, conclude
from services.alerts.domain.detection.window import SYSTEM_3, PastYears, moments

PRIOR_CASES = 0.5


@dataclass(frozen=True, slots=True)
class Bayes:
    """`references`: SYSTEM_1, _2 or _3 of window.py. `alpha`: upper tail of the limit."""

    references: PastYears = field(default_factory=lambda: SYSTEM_3)
    alpha: float = 0.05


def bayes(counts: Counts, rule: Bayes = Bayes()) -> Verdicts:
    """Alarm above the predictive quantile; p: its upper tail. `statistic`: count over mean."""
    past = moments(rule.references.references(counts.known))
    with np.errstate(divide="ignore", invalid="ignore"):
        expected = past.mean + PRIOR_CASES / past.known
        dispersion = 1.0 + 1.0 / past.known
        limit = quantile(rule.alpha, expected, dispersion)
        alarm = counts.known > limit
        ratio = counts.known / expected
    return conclude(
        counts,
        expected=expected,
        limit=limit,
        p_value=at_least(counts.known, expected, dispersion),
        statistic=ratio,
        alarm=alarm,
    )
