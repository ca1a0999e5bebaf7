"""All 14 methods on the 42 scenarios of Noufaily et al. 2013, with and without the outbreak that
is going on: R's alarms, week by week."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import norm

from services.alerts.domain.detection import ears, window
from services.alerts.domain.detection.bayes import Bayes, bayes
from services.alerts.domain.detection.cusum import Cusum, cusum, past_mean
from services.alerts.domain.detection.farrington import Farrington, farrington
from services.alerts.domain.detection.flexible import Flexible, flexible
from services.alerts.domain.detection.forecast import FewCases
from services.alerts.domain.detection.glr import glr
from services.alerts.domain.detection.harmonic import Season, seasonal_mean
from services.alerts.domain.detection.rki import rki
from services.alerts.domain.detection.verdict import BoolArray, Counts, FloatArray
from tests.service.alerts.detection.test_ears import r_form_of_c3
from tests.service.alerts.detection.vectors import load, numbers

FIRST = 575
WEEKS = 49
THRESHOLD = float(norm.ppf(0.99))
EARS = ears.Ears(threshold=THRESHOLD, deviation_least=0.0)
# R was told limit54=c(0, 4): rare diseases are judged too.
FIRST_FORM = Farrington(alpha=0.01, few=FewCases(cases=0))
IMPROVED = Flexible(few=FewCases(cases=0))
Judge = Callable[[FloatArray], BoolArray]


def _c3_of_r(y: FloatArray) -> BoolArray:
    with np.errstate(invalid="ignore"):
        return y > r_form_of_c3(y, EARS)


def _seasonal(y: FloatArray, *, trend: bool, heterogeneous: bool = False) -> BoolArray:
    known = seasonal_mean(y, FIRST, Season(trend=trend), heterogeneous=heterogeneous)
    mean = np.where(np.arange(y.shape[-1]) < FIRST, np.nan, known.mean)
    if heterogeneous or trend:
        return glr(Counts.of(y), mean, heterogeneity=known.heterogeneity).alarm
    return cusum(Counts.of(y), mean, Cusum()).alarm


METHODS: dict[str, Judge] = {
    "ears_c1": lambda y: ears.c1(Counts.of(y), EARS).alarm,
    "ears_c2": lambda y: ears.c2(Counts.of(y), EARS).alarm,
    "ears_c3": _c3_of_r,
    "bayes1": lambda y: bayes(Counts.of(y), Bayes(window.SYSTEM_1)).alarm,
    "bayes2": lambda y: bayes(Counts.of(y), Bayes(window.SYSTEM_2)).alarm,
    "bayes3": lambda y: bayes(Counts.of(y), Bayes(window.SYSTEM_3)).alarm,
    "rki1": lambda y: rki(Counts.of(y), window.SYSTEM_1).alarm,
    "rki3": lambda y: rki(Counts.of(y), window.SYSTEM_3).alarm,
    "cusum_rossi": lambda y: cusum(Counts.of(y), past_mean(Counts.of(y), FIRST)).alarm,
    "cusum_glm_rossi": lambda y: _seasonal(y, trend=False),
    "farrington": lambda y: farrington(Counts.of(y), FIRST_FORM, latest=WEEKS).alarm,
    "farrington_flexible": lambda y: flexible(Counts.of(y), IMPROVED, latest=WEEKS).verdicts.alarm,
    "glr_poisson": lambda y: _seasonal(y, trend=True),
    "glr_negbin": lambda y: _seasonal(y, trend=True, heterogeneous=True),
}


def counts_of(series: list[dict[str, Any]], *, with_current: bool) -> FloatArray:
    parts = ("noise", "past", "current") if with_current else ("noise", "past")
    return np.array([np.sum([one[part] for part in parts], axis=0) for one in series], float)


@pytest.mark.parametrize("current", ["with_current", "without_current"])
@pytest.mark.parametrize("method", sorted(METHODS))
def test_alarms_equal_r(method: str, current: str, outside_data: Path) -> None:
    content = load(outside_data, "noufaily42")
    counts = counts_of(content["series"], with_current=current == "with_current")
    alarms = METHODS[method](counts)[:, -WEEKS:]
    rows = [numbers(row) for row in content["alarms"][method][current]]
    wanted = np.nan_to_num(np.array(rows)) > 0
    assert alarms.shape == wanted.shape == (210, WEEKS)
    assert np.argwhere(alarms != wanted).tolist() == []
