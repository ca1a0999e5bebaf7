"""How well alarms fit a known truth, with confidence intervals.

Definitions: Noufaily et al. 2019 (Bioinformatics 35:3110) for rates per period and POD; Bédubourg &
Le Strat 2017 (PLoS ONE 12:e0181227) for POW1wk. Intervals: Wilson (1927), J Am Stat Assoc 22:209,
for shares of series; for shares of periods, which hang together within a series, the bootstrap over
series (Efron 1979).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from services.alerts.domain.detection.verdict import BoolArray, FloatArray

Z_95 = 1.959963984540054
DRAWS = 400
NAMES = ("FPR", "sensitivity", "specificity", "PPV", "POD", "POW1wk")


@dataclass(frozen=True, slots=True)
class Estimate:
    """A share with its 95 % interval; NaN where nothing could be counted."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Tally:
    """Per series (series,): periods counted. `quiet`: without the current outbreak at all."""

    quiet_alarms: FloatArray
    quiet_periods: FloatArray
    hits: FloatArray  # alarms in periods of the outbreak
    outbreak_periods: FloatArray
    false_alarms: FloatArray  # beside the outbreak, in the series that has it
    calm_periods: FloatArray
    first_hit: FloatArray  # 1 where the outbreak's first period alarms
    delay: FloatArray  # periods to the first hit, NaN where there is none

    @property
    def struck(self) -> BoolArray:
        """Series whose outbreak has a case in the judged periods."""
        return self.outbreak_periods > 0


def tally(
    alarm: BoolArray, quiet_alarm: BoolArray, outbreak: BoolArray, judged: BoolArray
) -> Tally:
    """All (series, period). Periods that are not `judged` (the source is closed) count nowhere."""
    hit = alarm & outbreak & judged
    started = np.maximum.accumulate(outbreak, axis=1)
    first = outbreak.argmax(axis=1)
    when = hit.argmax(axis=1).astype(np.float64)
    rows = np.arange(len(alarm))
    return Tally(
        quiet_alarms=_counted(quiet_alarm & judged),
        quiet_periods=_counted(judged),
        hits=_counted(hit),
        outbreak_periods=_counted(outbreak & judged),
        false_alarms=_counted(alarm & ~outbreak & judged),
        calm_periods=_counted(~outbreak & judged),
        first_hit=(hit[rows, first] & started[rows, first]).astype(np.float64),
        delay=np.where(hit.any(axis=1), when - first, np.nan),
    )


def joined(tallies: Iterable[Tally]) -> Tally:
    parts = list(tallies)
    fields = Tally.__dataclass_fields__
    return Tally(*(np.concatenate([getattr(part, name) for part in parts]) for name in fields))


def measures(counted: Tally, *, seed: int = 0) -> dict[str, Estimate]:
    """By the names in NAMES."""
    struck = counted.struck
    total = int(struck.sum())
    found = int((~np.isnan(counted.delay[struck])).sum())
    at_once = int(counted.first_hit[struck].sum())
    with_alarm = counted.hits + counted.false_alarms
    calm = counted.calm_periods - counted.false_alarms
    return {
        "FPR": ratio(counted.quiet_alarms, counted.quiet_periods, seed=seed),
        "sensitivity": ratio(counted.hits, counted.outbreak_periods, seed=seed),
        "specificity": ratio(calm, counted.calm_periods, seed=seed),
        "PPV": ratio(counted.hits, with_alarm, seed=seed),
        "POD": wilson(found, total),
        "POW1wk": wilson(at_once, total),
    }


def ratio(part: FloatArray, whole: FloatArray, *, seed: int, draws: int = DRAWS) -> Estimate:
    """Sum over sum, with the percentile interval of a bootstrap over rows."""
    if not whole.sum():
        return Estimate(np.nan, np.nan, np.nan)
    random = np.random.default_rng(seed)
    drawn = np.stack(
        [
            np.bincount(random.integers(len(part), size=len(part)), minlength=len(part))
            for _ in range(draws)
        ]
    ).astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        values = (drawn @ part) / (drawn @ whole)
    low, high = np.nanpercentile(values, [2.5, 97.5])
    return Estimate(float(part.sum() / whole.sum()), float(low), float(high))


def wilson(successes: int, trials: int) -> Estimate:
    """The score interval of a share."""
    if trials == 0:
        return Estimate(np.nan, np.nan, np.nan)
    share, z = successes / trials, Z_95
    centre = (share + z * z / (2 * trials)) / (1 + z * z / trials)
    reach = z * np.sqrt(share * (1 - share) / trials + (z / (2 * trials)) ** 2)
    reach = float(reach) / (1 + z * z / trials)
    return Estimate(share, max(centre - reach, 0.0), min(centre + reach, 1.0))


def _counted(flags: BoolArray) -> FloatArray:
    return np.asarray(flags.sum(axis=1), dtype=np.float64)
