"""Farrington's method as first published: past weeks around this one, one level, maybe a trend.

Farrington, Andrews, Beale, Catchpole (1996), "A statistical algorithm for the early detection of
outbreaks of infectious disease", J R Stat Soc A 159:547-563.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date

import numpy as np
from scipy.special import ndtri

from services.alerts.domain.detection.forecast import (
    FewCases,
    Model,
    explained,
    forecast,
    from_first,
    power_limit,
)
from services.alerts.domain.detection.references import Seasons
from services.alerts.domain.detection.verdict import Counts, Verdicts, conclude


@dataclass(frozen=True, slots=True)
class Farrington:
    """The paper's settings. The limit is that of a two-sided interval: `alpha` / 2 lies above it
    (the flexible form is one-sided). `weights_above`: None for equal weights."""

    years: int = 5
    half_width: int = 3
    year_length: int = 52
    alpha: float = 0.05
    weights_above: float | None = 1.0
    trend_p: float = 0.05
    trend_years_least: int = 3
    few: FewCases = field(default_factory=FewCases)
    known_least: float = 0.5

    @property
    def model(self) -> Model:
        seasons = Seasons(self.years, self.half_width, 1, self.half_width, self.year_length)
        return Model(
            seasons=seasons,
            weights_above=self.weights_above,
            trend_p=self.trend_p,
            trend_years_least=self.trend_years_least,
            errors="pearson",
            known_least=self.known_least,
        )


def farrington(
    counts: Counts,
    rule: Farrington = Farrington(),
    *,
    dates: Sequence[date] | None = None,
    latest: int | None = None,
) -> Verdicts:
    """Alarm above the limit; p is the upper tail. `statistic`: 0 as expected, 1 at the limit.
    `latest`: judge the last periods only, and return only those."""
    values = counts.known
    first = 0 if latest is None else values.shape[-1] - latest
    made = forecast(values, rule.model, dates=dates, first=first)
    judged = from_first(counts, first)
    mean = made.mean
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        variance = made.dispersion * mean + (mean * made.log_deviation) ** 2
        limit, p_value = power_limit(judged.known, mean, variance, float(-ndtri(rule.alpha / 2)))
        score = (judged.known - mean) / (limit - mean)
        alarm = judged.known > limit
    verdicts = conclude(
        judged, expected=mean, limit=limit, p_value=p_value, statistic=score, alarm=alarm
    )
    return explained(verdicts, made, rule.few.holds(values, first))
