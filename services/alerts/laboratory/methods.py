"""Every shipped detector of counts, at the settings that the published comparisons ran.

Weekly: alpha 0.01, Bayes 0.05, rare diseases judged too, as in the measurement with R. A method is
a function from counts (series, period) and the first judged period to alarms of the judged ones.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import ndtri

from services.alerts.domain.detection import ears, essence, window
from services.alerts.domain.detection.bayes import Bayes, bayes
from services.alerts.domain.detection.cusum import Cusum, Form, cusum, past_mean
from services.alerts.domain.detection.farrington import Farrington, farrington
from services.alerts.domain.detection.fixed import Fixed, fixed
from services.alerts.domain.detection.flexible import Flexible, Limit, flexible
from services.alerts.domain.detection.forecast import FewCases
from services.alerts.domain.detection.glr import Glr, glr
from services.alerts.domain.detection.harmonic import Season, seasonal_mean
from services.alerts.domain.detection.percentile import moving_percentile
from services.alerts.domain.detection.rki import rki
from services.alerts.domain.detection.verdict import BoolArray, Counts, FloatArray, Verdicts

Judge = Callable[[FloatArray, int], BoolArray]
Pace = Literal["weekly", "daily"]
WEEK = 7
YEAR_DAYS = 364
ALL = FewCases(cases=0)
EARS_WEEKLY = ears.Ears(threshold=float(-ndtri(0.01)), deviation_least=0.0)


@dataclass(frozen=True, slots=True)
class Method:
    """`replicates_most`: a method that costs much is judged on fewer replicates, and the table says
    on how many series."""

    name: str
    judge: Judge
    replicates_most: int | None = None


def methods(pace: Pace) -> list[Method]:
    return WEEKLY if pace == "weekly" else DAILY


def _whole(judge: Callable[[Counts], Verdicts]) -> Judge:
    """A method that judges all periods of a series at once."""
    return lambda y, first: judge(Counts.of(y)).alarm[:, first:]


def _cusum(form: Form) -> Judge:
    def judge(y: FloatArray, first: int) -> BoolArray:
        counts = Counts.of(y)
        return cusum(counts, past_mean(counts, first), Cusum(form=form)).alarm[:, first:]

    return judge


def _seasonal_cusum(y: FloatArray, first: int) -> BoolArray:
    mean = _carried(seasonal_mean(y, first, Season()).mean, first)
    return cusum(Counts.of(y), mean, Cusum()).alarm[:, first:]


def _glr(*, heterogeneous: bool, rise: float | None = None) -> Judge:
    def judge(y: FloatArray, first: int) -> BoolArray:
        known = seasonal_mean(y, first, Season(trend=True), heterogeneous=heterogeneous)
        # The chart is empty before the first judged period: it need not be walked through.
        counts, mean = Counts.of(y[:, first:]), known.mean[:, first:]
        return glr(counts, mean, Glr(rise=rise), heterogeneity=known.heterogeneity).alarm

    return judge


def _carried(mean: FloatArray, first: int) -> FloatArray:
    return np.where(np.arange(mean.shape[-1]) < first, np.nan, mean)


def _flexible(limit: Limit) -> Judge:
    rule = Flexible(limit=limit, few=ALL)
    return lambda y, first: flexible(Counts.of(y), rule, latest=y.shape[1] - first).verdicts.alarm


def _farrington(y: FloatArray, first: int) -> BoolArray:
    rule = Farrington(alpha=0.01, few=ALL)
    return farrington(Counts.of(y), rule, latest=y.shape[1] - first).alarm


def _flexible_days(y: FloatArray, first: int) -> BoolArray:
    rule = Flexible(half_width=3, left_out=26, year_length=YEAR_DAYS, few=ALL)
    return flexible(Counts.of(y), rule, latest=y.shape[1] - first).verdicts.alarm


def _flexible_sums(y: FloatArray, first: int) -> BoolArray:
    """Each day ends a week; seven series of weeks, one per weekday, and no weekday to model."""
    judged = y.shape[1] - first
    alarm = np.zeros((len(y), judged), dtype=np.bool_)
    sums = np.nan_to_num(y).cumsum(axis=1)
    sums[:, WEEK:] -= sums[:, :-WEEK].copy()
    for shift in range(WEEK):
        ends = np.arange((y.shape[1] - 1 - shift) % WEEK, y.shape[1], WEEK)
        ends = ends[ends >= WEEK - 1]
        latest = int((ends >= first).sum())
        found = flexible(Counts.of(sums[:, ends]), Flexible(few=ALL), latest=latest)
        alarm[:, ends[-latest:] - first] = found.verdicts.alarm
    return np.asarray(alarm & ~np.isnan(y[:, first:]))


WEEKLY = [
    Method("farrington_flexible", _flexible("nbPlugin")),
    Method("farrington_flexible_delta", _flexible("delta")),
    Method("farrington_flexible_muan", _flexible("muan")),
    Method("farrington", _farrington),
    Method("glr_negative_binomial", _glr(heterogeneous=True)),
    Method("glr_poisson", _glr(heterogeneous=False)),
    Method("lr_cusum_doubling", _glr(heterogeneous=False, rise=float(np.log(2.0)))),
    Method("rki_1", _whole(lambda counts: rki(counts, window.SYSTEM_1))),
    Method("rki_2", _whole(lambda counts: rki(counts, window.SYSTEM_2))),
    Method("rki_3", _whole(lambda counts: rki(counts, window.SYSTEM_3))),
    Method("bayes_1", _whole(lambda counts: bayes(counts, Bayes(window.SYSTEM_1)))),
    Method("bayes_2", _whole(lambda counts: bayes(counts, Bayes(window.SYSTEM_2)))),
    Method("bayes_3", _whole(lambda counts: bayes(counts, Bayes(window.SYSTEM_3)))),
    Method("ears_c1", _whole(lambda counts: ears.c1(counts, EARS_WEEKLY))),
    Method("ears_c2", _whole(lambda counts: ears.c2(counts, EARS_WEEKLY))),
    Method("ears_c3", _whole(ears.c3)),
    Method("cusum_rossi", _cusum("rossi")),
    Method("cusum_rossi_seasonal", _seasonal_cusum),
    Method("cusum_standard", _cusum("standard")),
    Method("cusum_anscombe", _cusum("anscombe")),
    Method("cusum_negative_binomial", _cusum("pearson_negative_binomial")),
    Method("moving_percentile_80", _whole(moving_percentile)),
    Method("fixed_5_in_4_weeks", _whole(lambda counts: fixed(counts, Fixed(5, 4)))),
]
DAILY = [
    Method("farrington_flexible_week_sums", _flexible_sums),
    Method("farrington_flexible_days", _flexible_days, replicates_most=4),
    Method("essence_switch", _whole(lambda counts: essence.switch(counts).verdicts)),
    Method("essence_regression", _whole(lambda counts: essence.regression(counts).verdicts)),
    Method("essence_ewma", _whole(lambda counts: essence.ewma(counts).verdicts)),
    Method("ears_c1", _whole(ears.c1)),
    Method("ears_c2", _whole(ears.c2)),
    Method("ears_c3", _whole(ears.c3)),
    Method("cusum_rossi", _cusum("rossi")),
]
