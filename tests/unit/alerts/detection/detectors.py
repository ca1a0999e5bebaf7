"""Every detector of counts, small enough for series of some dozen periods."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from services.alerts.domain.detection import ears, essence
from services.alerts.domain.detection.bayes import Bayes, bayes
from services.alerts.domain.detection.cusum import Cusum, cusum, past_mean
from services.alerts.domain.detection.farrington import Farrington, farrington
from services.alerts.domain.detection.fixed import Fixed, fixed
from services.alerts.domain.detection.flexible import Flexible, flexible
from services.alerts.domain.detection.glr import glr
from services.alerts.domain.detection.harmonic import Season, seasonal_mean
from services.alerts.domain.detection.percentile import Percentile, moving_percentile
from services.alerts.domain.detection.rki import rki
from services.alerts.domain.detection.verdict import Counts, Verdicts
from services.alerts.domain.detection.window import PastYears

YEAR = 13
LENGTH = 60
START = 26
BEFORE = PastYears(years=2, half_width=2, this_year=3, year_length=YEAR)
SMALL = Flexible(years=3, half_width=1, periods=4, left_out=2, year_length=YEAR)


def _smoothed_glr(counts: Counts) -> Verdicts:
    known = seasonal_mean(counts.known, START, Season(year_length=YEAR))
    mean = np.where(np.arange(counts.known.shape[-1]) < START, np.nan, known.mean)
    return glr(counts, mean)


Detector = Callable[[Counts], Verdicts]
# Those whose alarm is a count above (or at) a limit in cases.
BY_LIMIT: dict[str, Detector] = {
    "ears_c1": ears.c1,
    "ears_c2": ears.c2,
    "ears_c3": ears.c3,
    "rki": lambda counts: rki(counts, BEFORE),
    "bayes": lambda counts: bayes(counts, Bayes(BEFORE)),
    "farrington": lambda counts: farrington(
        counts, Farrington(years=3, half_width=1, year_length=YEAR)
    ),
    "flexible_delta": lambda counts: flexible(counts, _limited("delta")).verdicts,
    "flexible_nb": lambda counts: flexible(counts, SMALL).verdicts,
    "flexible_muan": lambda counts: flexible(counts, _limited("muan")).verdicts,
}
DETECTORS: dict[str, Detector] = BY_LIMIT | {
    "cusum": lambda counts: cusum(counts, past_mean(counts, START), Cusum(restart=True)),
    "glr": _smoothed_glr,
    "essence_ewma": lambda counts: essence.ewma(counts).verdicts,
    "essence_regression": lambda counts: essence.regression(counts).verdicts,
    "essence_switch": lambda counts: essence.switch(counts).verdicts,
    "percentile": lambda counts: moving_percentile(counts, Percentile(years=3, year_length=YEAR)),
}
WITH_FIXED: dict[str, Detector] = DETECTORS | {
    "fixed": lambda counts: fixed(counts, Fixed(cases=9, periods=3))
}


def _limited(limit: str) -> Flexible:
    forms = {
        "delta": Flexible(3, 1, 4, 2, YEAR, limit="delta", trend_p=0.05),
        "muan": Flexible(3, 1, 4, 2, YEAR, limit="muan"),
    }
    return forms[limit]
