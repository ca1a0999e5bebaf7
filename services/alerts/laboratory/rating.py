"""How well a set of rules did: outbreaks found, false alerts, days to detection.

An alert is one of an outbreak when it opens in one of its areas, for its syndrome (or for any),
from its first onset to some days after its last. What opened before was false, and while it lasts
nothing new is found: one alert is open per rule and area.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from services.alerts.domain.detection.verdict import BoolArray, FloatArray
from services.alerts.laboratory.measures import DRAWS, Estimate, ratio, wilson
from services.alerts.laboratory.trial import Trial, Truth


@dataclass(frozen=True, slots=True)
class Alarm:
    """An alert of a rule. `day`: ordinal of the day on which it is known, reporting age included;
    `until`: the last one on which it is open. `syndromes` empty: any."""

    rule: str
    area_id: str
    syndromes: frozenset[str]
    day: int
    until: int


@dataclass(frozen=True, slots=True)
class Rating:
    """Per outbreak: `delays`, days from first onset to first alert, NaN where missed; `hits` and
    `ill_days`, its days with an open alert and all of them. Per county, and last of what lies
    above counties: `false_alarms`; `of_outbreak`, alerts that were one of an outbreak; `weeks`."""

    truths: tuple[Truth, ...]
    delays: FloatArray
    hits: FloatArray
    ill_days: FloatArray
    false_alarms: FloatArray
    of_outbreak: FloatArray
    weeks: FloatArray

    @property
    def found(self) -> BoolArray:
        return ~np.isnan(self.delays)

    @property
    def found_share(self) -> Estimate:
        return wilson(int(self.found.sum()), len(self.truths))

    @property
    def daily_share(self) -> Estimate:
        return ratio(self.hits, self.ill_days, seed=0)

    @property
    def predictive_value(self) -> Estimate:
        return ratio(self.of_outbreak, self.of_outbreak + self.false_alarms, seed=0)

    @property
    def false_rate(self) -> Estimate:
        """False alerts per county and week."""
        return ratio(self.false_alarms, self.weeks, seed=0)

    def delay_quantile(self, share: float) -> float:
        """Of all outbreaks, a miss later than everything: infinite where more are missed; NaN where
        there was none."""
        if not self.truths:
            return np.nan
        ordered = np.sort(np.where(self.found, self.delays, np.inf))
        return float(ordered[min(int(len(ordered) * share), len(ordered) - 1)])


def rate(trial: Trial, alarms: Iterable[Alarm]) -> Rating:
    scored = [one for one in alarms if trial.first_day <= one.day <= trial.last_day + trial.age]
    by_area: dict[str, list[int]] = {}
    for number, truth in enumerate(trial.truths):
        for area_id in truth.areas:
            by_area.setdefault(area_id, []).append(number)
    delays = np.full(len(trial.truths), np.nan)
    counties = {area_id: place for place, area_id in enumerate(trial.counties)}
    false, true = np.zeros(len(counties) + 1), np.zeros(len(counties) + 1)
    days: list[set[int]] = [set() for _ in trial.truths]
    for alarm in scored:
        line = trial.tree.lines[alarm.area_id].at_level("county")
        county = counties.get(line.area_id if line else "", len(counties))
        met = [
            number
            for number in by_area.get(alarm.area_id, ())
            if _is_of(alarm, trial.truths[number])
        ]
        true[county] += bool(met)
        false[county] += not met
        for number in met:
            truth = trial.truths[number]
            delays[number] = np.nanmin([delays[number], alarm.day - truth.first_day])
            last = min(alarm.until, truth.last_day)
            days[number].update(range(alarm.day, last + 1))
    lengths = [one.last_day - one.first_day + 1 for one in trial.truths]
    return Rating(
        truths=trial.truths,
        delays=delays,
        hits=np.array([len(one) for one in days], dtype=np.float64),
        ill_days=np.array(lengths, dtype=np.float64),
        false_alarms=false,
        of_outbreak=true,
        weeks=np.append(np.full(len(counties), trial.weeks), 0.0),
    )


def _is_of(alarm: Alarm, truth: Truth) -> bool:
    right = not alarm.syndromes or not truth.syndrome or truth.syndrome in alarm.syndromes
    return right and truth.first_day <= alarm.day <= truth.last_day


def together(ratings: Sequence[Rating]) -> Rating:
    """Of several trials: counties of different cities are different ones."""
    return Rating(
        truths=tuple(one for rating in ratings for one in rating.truths),
        delays=np.concatenate([one.delays for one in ratings]),
        hits=np.concatenate([one.hits for one in ratings]),
        ill_days=np.concatenate([one.ill_days for one in ratings]),
        false_alarms=np.concatenate([one.false_alarms for one in ratings]),
        of_outbreak=np.concatenate([one.of_outbreak for one in ratings]),
        weeks=np.concatenate([one.weeks for one in ratings]),
    )


def lead_days(ours: Rating, theirs: Rating, *, misses: bool) -> tuple[Estimate, int]:
    """Median of their delay less ours over the outbreaks that we found, with a bootstrap interval,
    and how many. `misses`: those that they missed count as infinitely late; else they are left out.
    """
    both = ours.found & (np.ones_like(ours.found) if misses else theirs.found)
    theirs_when = np.where(theirs.found, theirs.delays, np.inf)
    lead = (theirs_when - ours.delays)[both]
    if not len(lead):
        return Estimate(np.nan, np.nan, np.nan), 0
    random = np.random.default_rng(0)
    drawn = [_median(lead[random.integers(len(lead), size=len(lead))]) for _ in range(DRAWS)]
    low, high = np.sort(drawn)[[int(0.025 * DRAWS), int(0.975 * DRAWS)]]
    return Estimate(_median(lead), float(low), float(high)), len(lead)


def _median(values: FloatArray) -> float:
    """The lower one of an even number: infinite values have no middle."""
    return float(np.sort(values)[(len(values) - 1) // 2])
