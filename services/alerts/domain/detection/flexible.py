"""Farrington flexible: a count against what a log-linear model of past years forecasts.

Noufaily, Enki, Farrington, Garthwaite, Andrews, Charlett (2013), "An improved algorithm for
outbreak detection in multiple surveillance systems", Stat Med 32:1206-1222; the base is Farrington,
Andrews, Beale, Catchpole (1996), J R Stat Soc A 159:547-563. Interval `muan` after Salmon,
Schumacher, Höhle (2016), J Stat Softw 70(10).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Literal

import numpy as np
from scipy.special import ndtri

from services.alerts.domain.detection.forecast import (
    FewCases,
    Forecast,
    Model,
    explained,
    forecast,
    from_first,
    power_limit,
)
from services.alerts.domain.detection.quantile import at_least, quantile
from services.alerts.domain.detection.references import Seasons
from services.alerts.domain.detection.verdict import Counts, FloatArray, Verdicts, conclude

Limit = Literal["delta", "nbPlugin", "muan"]


@dataclass(frozen=True, slots=True)
class Flexible:
    """The defaults are Noufaily et al.'s for England.

    `limit`: delta (normal on the 2/3 power scale), nbPlugin (negative binomial at the forecast) or
    muan (at the forecast's upper confidence limit), each one-sided at `alpha`. The other names are
    those of references.py and forecast.py.
    """

    years: int = 5
    half_width: int = 3
    periods: int = 10
    left_out: int = 26
    year_length: int = 52
    alpha: float = 0.01
    limit: Limit = "nbPlugin"
    weights_above: float | None = 2.58
    trend_p: float = 1.0
    trend_years_least: int = 3
    few: FewCases = field(default_factory=FewCases)
    known_least: float = 0.5

    @property
    def model(self) -> Model:
        seasons = Seasons(
            self.years, self.half_width, self.periods, self.left_out, self.year_length
        )
        return Model(
            seasons=seasons,
            weights_above=self.weights_above,
            trend_p=self.trend_p,
            trend_years_least=self.trend_years_least,
            errors="reweighting",
            known_least=self.known_least,
        )


@dataclass(frozen=True, slots=True)
class FlexibleVerdicts:
    """`verdicts.statistic` is 1 at the limit, as R scores it. `dispersion`: variance over mean, at
    least 1; `slope`: of the log mean per period, NaN where no trend is kept."""

    verdicts: Verdicts
    dispersion: FloatArray
    slope: FloatArray


def flexible(
    counts: Counts,
    rule: Flexible = Flexible(),
    *,
    dates: Sequence[date] | None = None,
    latest: int | None = None,
) -> FlexibleVerdicts:
    """Alarm above the limit. `latest`: judge the last periods only, and return only those.

    p is that of the limit's own distribution: normal for delta, negative binomial otherwise.
    """
    values = counts.known
    first = 0 if latest is None else values.shape[-1] - latest
    made = forecast(values, rule.model, dates=dates, first=first)
    judged = from_first(counts, first)
    limit, p_value = _limit(judged.known, made, rule)
    centre = made.mean if rule.limit == "delta" else made.log_mean
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        # The log of the mean beside counts is R's doing; it changes no alarm.
        score = (judged.known - centre) / (limit - centre)
        alarm = (judged.known > limit) & (judged.known > 0)
    verdicts = conclude(
        judged, expected=made.mean, limit=limit, p_value=p_value, statistic=score, alarm=alarm
    )
    few = rule.few.holds(values, first)
    return FlexibleVerdicts(explained(verdicts, made, few), made.dispersion, made.slope)


def _limit(counts: FloatArray, made: Forecast, rule: Flexible) -> tuple[FloatArray, FloatArray]:
    z = float(-ndtri(rule.alpha))
    mean, phi = made.mean, made.dispersion
    with np.errstate(over="ignore"):
        if rule.limit == "delta":
            variance = phi * mean + (mean * made.log_deviation) ** 2
            return power_limit(counts, mean, variance, z)
        shifted = np.exp(made.log_mean + z * made.log_deviation)
    planned = mean if rule.limit == "nbPlugin" else shifted
    # A forecast that could be anything limits nothing; the verdict then says that nothing fits.
    planned = np.where(np.isfinite(planned), planned, np.nan)
    return quantile(rule.alpha, planned, phi), at_least(counts, planned, phi)
