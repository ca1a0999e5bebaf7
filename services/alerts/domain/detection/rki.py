"""RKI 1, 2 and 3: the mean of past weeks plus two deviations, or Poisson's limit where counts are
small.

The Robert Koch Institute's system as described by Höhle (2007), "surveillance: An R package for the
monitoring of infectious diseases", Comput Stat 22:571-582; small counts by the confidence limits of
Crow & Gardner (1959), "Confidence intervals for the expectation of a Poisson variable", Biometrika
46:441-453.
"""

from __future__ import annotations

import numpy as np
from scipy.special import gammainc, ndtr

from services.alerts.domain.detection.verdict import Counts, FloatArray, Verdicts, conclude
from services.alerts.domain.detection.window import SYSTEM_3, PastYears, moments

# Table 1 of Crow & Gardner: the upper 95 % limit for 0, 1, … 20 observed cases.
CROW_GARDNER_UPPER_95 = np.array(
    [
        3.285, 5.323, 6.686, 8.102, 9.598, 11.177, 12.817, 13.765, 14.921, 16.768, 17.633,
        19.050, 20.335, 21.364, 22.945, 23.762, 25.400, 26.306, 27.735, 28.966, 30.017,
    ]
)  # fmt: skip
NORMAL_ABOVE = 20.0


def rki(counts: Counts, references: PastYears = SYSTEM_3) -> Verdicts:
    """Alarm above the limit. `statistic`: deviations above the mean, NaN without spread.

    p: upper normal tail where the mean is above 20; below, Poisson's at the mean, and none at a
    mean of 0. The method itself has only the limit.
    """
    past = moments(references.references(counts.known))
    mean, deviation = past.mean, past.deviation
    limit = np.where(mean > NORMAL_ABOVE, mean + 2.0 * deviation, _small(mean))
    with np.errstate(divide="ignore", invalid="ignore"):
        score = (counts.known - mean) / deviation
        tail = np.where(counts.known > 0, gammainc(np.maximum(counts.known, 1.0), mean), 1.0)
        alarm = counts.known > limit
    return conclude(
        counts,
        expected=mean,
        limit=limit,
        p_value=np.where(mean > NORMAL_ABOVE, ndtr(-score), np.where(mean > 0, tail, np.nan)),
        statistic=np.where(deviation > 0, score, np.nan),
        alarm=alarm,
    )


def _small(mean: FloatArray) -> FloatArray:
    """The table's limit for the whole part of the mean."""
    row = np.clip(np.nan_to_num(mean), 0.0, NORMAL_ABOVE).astype(np.int64)
    return np.where(np.isnan(mean), np.nan, CROW_GARDNER_UPPER_95[row])
