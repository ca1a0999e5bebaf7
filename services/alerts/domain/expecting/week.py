"""What each series lets expect of the days of one week, from what lies before them.

Which method speaks depends on the history: Farrington flexible on whole weeks, laid out over the
week's days; ESSENCE's switch or EARS C2 on single days; for rare things the mean of a year and a
fixed count. All of them compare persons per denominator, so that a site more or a test more is no
rise, and days measured by their share of a mean day, so that a Monday is no rise either.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from services.alerts.domain.counting.policy import Detection
from services.alerts.domain.counting.sizes import WEEKDAYS, Learnt, Sizes
from services.alerts.domain.counting.table import summed
from services.alerts.domain.detection.ears import Ears, c2
from services.alerts.domain.detection.essence import Essence, outlook
from services.alerts.domain.detection.flexible import Flexible, flexible
from services.alerts.domain.detection.verdict import BoolArray, Counts, FloatArray, IntArray
from services.alerts.domain.expecting.tail import NORMAL_FREEDOM, Method, Tail

# The days that ESSENCE and EARS see: their baselines, and as long again for the smoothed count.
NEAR_DAYS = 63
BASELINE_DAYS, GUARD_DAYS = 28, 2
HALF_WIDTH_WEEKS, YEAR_WEEKS = 3, 52
DISPERSION_WEEKS = 8
RARE_GUARD_DAYS = 7
# A tenth of a day's denominator is learnt: what is smaller is no history.
EXPOSURE_LEAST = 1e-9


@dataclass(frozen=True)
class Week:
    """`first`: number of the Monday; `length`: days to be judged from `offset` after it. `shares`
    (K, D): each day's share of a mean day; `spoken` (S, D + 1): days with any report before."""

    learnt: Learnt
    sizes: Sizes
    shares: FloatArray
    spoken: IntArray
    policy: Detection
    first: int
    offset: int
    length: int

    @property
    def start(self) -> int:
        return self.first + self.offset

    @property
    def kind(self) -> IntArray:
        return self.learnt.table.series_kind

    def near(self) -> tuple[int, FloatArray, FloatArray]:
        """(first day, persons, denominators): (S, days) of the last weeks, up to the judged ones.
        NaN where too little is known to learn from."""
        begin, end = max(self.first - NEAR_DAYS, 0), self.start + self.length
        persons = summed(self.learnt.table.member, self.learnt.persons[:, begin:end])
        measure = self.learnt.measure[:, begin:end]
        size = self.learnt.denominator(measure, self.sizes.mean)
        size *= self.shares[self.kind, begin:end]
        past = size[:, : max(self.first - begin, 1)]
        usual = past.sum(axis=1) / np.maximum((past > 0).sum(axis=1), 1)
        known = (size > EXPOSURE_LEAST) & (size >= self.policy.known_share * usual[:, None])
        return begin, np.where(known, persons, np.nan), np.where(known, size, np.nan)


def expect(week: Week) -> Tail:
    """(S, length): the most demanding method that each series' history allows."""
    begin, persons, size = week.near()
    tail = Tail.empty((len(persons), week.length))
    judged = np.arange(week.start - begin, week.start - begin + week.length)
    recent = _Recent.of(persons, size, judged, week.first - begin)
    history = week.spoken[:, week.start : week.start + week.length]
    rare = _rare(week, persons, begin)
    fixed_kinds = np.array(
        [week.policy.kinds[kind].always_fixed for kind, _ in week.learnt.table.kinds]
    )[week.kind]
    modelled = ~(rare | fixed_kinds)
    inner = _within_weeks(recent, week.first - begin)
    _counted(tail, recent, inner)
    _by_farrington(tail, week, inner, modelled)
    left = modelled[:, None] & (tail.method == Method.NONE)
    _by_essence(tail, recent, left & (history >= week.policy.essence_days_least))
    left = modelled[:, None] & (tail.method == Method.NONE)
    _by_ears(tail, recent, left)
    _by_number(tail, week, persons, judged, (rare | fixed_kinds)[:, None] & (history > 0))
    return tail


@dataclass(frozen=True, slots=True)
class _Recent:
    """The last weeks (S, days), the columns that are judged, and the counts at the usual size
    `unit` (S,); `cases` and `exposure` (S, judged): sums over the baseline."""

    persons: FloatArray
    size: FloatArray
    judged: IntArray
    unit: FloatArray
    cases: FloatArray
    exposure: FloatArray

    @classmethod
    def of(cls, persons: FloatArray, size: FloatArray, judged: IntArray, monday: int) -> _Recent:
        known = ~np.isnan(size)
        cut = max(monday, 1)
        tail = size[:, max(cut - BASELINE_DAYS, 0) : cut]
        days = (~np.isnan(tail)).sum(axis=1)
        unit = np.where(days > 0, np.nansum(tail, axis=1) / np.maximum(days, 1), np.nan)
        return cls(
            persons,
            size,
            judged,
            unit,
            _before(np.where(known, persons, 0.0), judged),
            _before(np.where(known, size, 0.0), judged),
        )

    def comparable(self, rows: IntArray) -> FloatArray:
        """(rows, days): persons at the usual size."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return self.persons[rows] * self.unit[rows, None] / self.size[rows]


def _before(values: FloatArray, judged: IntArray) -> FloatArray:
    """Sums over the baseline of each judged day."""
    total = np.concatenate([np.zeros((len(values), 1)), np.cumsum(values, axis=1)], axis=1)
    last = np.maximum(judged - GUARD_DAYS, 0)
    return np.asarray(total[:, last] - total[:, np.maximum(last - BASELINE_DAYS, 0)])


def _rare(week: Week, persons: FloatArray, begin: int) -> BoolArray:
    """(S,): too few persons in the last weeks, which were known."""
    days = week.policy.rare_days
    last = persons[:, max(week.first - begin - days, 0) : max(week.first - begin, 0)]
    few = np.nansum(last, axis=1) < week.policy.rare_cases
    begun = week.spoken[:, max(week.first, 0)] >= days
    return np.asarray(few & begun)


def _counted(tail: Tail, recent: _Recent, inner: FloatArray) -> None:
    """What the baseline's persons say by themselves (Jeffreys' prior): the next count is negative
    binomial, scatters as much as days do within their weeks, and knows how little so few tell."""
    with np.errstate(divide="ignore", invalid="ignore"):
        tail.rate[:] = np.where(recent.exposure > 0, (recent.cases + 0.5) / recent.exposure, np.nan)
    tail.spread[:] = inner[:, None]
    tail.growth[:] = 1.0 / (recent.cases + 0.5)
    tail.unit[:] = recent.unit[:, None]


def _by_farrington(tail: Tail, week: Week, inner: FloatArray, rows: BoolArray) -> None:
    """Whole weeks at the size of the last four; the forecast belongs to the whole judged week."""
    policy, weeks = week.policy, week.first // WEEKDAYS
    first_spoken = np.argmax(week.spoken > 0, axis=1) - 1
    spoken = np.where(week.spoken[:, -1] > 0, (week.first - first_spoken) // WEEKDAYS, 0)
    years = np.minimum((spoken - HALF_WIDTH_WEEKS) // YEAR_WEEKS, policy.farrington_years_most)
    chosen = rows & (years >= policy.farrington_years_least)
    if weeks < YEAR_WEEKS * policy.farrington_years_least or not chosen.any():
        return
    long = min(weeks, YEAR_WEEKS * policy.farrington_years_most + HALF_WIDTH_WEEKS + 1)
    persons, size = _weekly(week, long)
    late = size[:, -4:]
    with np.errstate(divide="ignore", invalid="ignore"):
        usual = np.where(late > 0, late, 0.0).sum(axis=1) / (late > 0).sum(axis=1)
    known = size >= np.maximum(policy.known_share * usual, EXPOSURE_LEAST)[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        comparable = np.where(known, persons / size * usual[:, None], np.nan)
    counts = np.concatenate([comparable, np.full((len(size), 1), np.nan)], axis=1)
    for number in np.unique(years[chosen]).tolist():
        here = np.flatnonzero(chosen & (years == number))
        made = flexible(Counts.of(counts[here]), Flexible(years=int(number)), latest=1)
        mean, dispersion = made.verdicts.expected[:, 0], made.dispersion[:, 0]
        sound = np.isfinite(mean) & np.isfinite(dispersion) & (mean > 0)
        here, mean, dispersion = here[sound], mean[sound], dispersion[sound]
        growth = np.maximum(dispersion - inner[here], 0.0) / mean
        tail.method[here] = Method.FARRINGTON
        tail.rate[here] = (mean / usual[here])[:, None]
        tail.spread[here] = np.minimum(inner[here], dispersion)[:, None]
        tail.growth[here] = growth[:, None]


def _weekly(week: Week, count: int) -> tuple[FloatArray, FloatArray]:
    """(S, weeks) persons and denominators of the last `count` whole weeks."""
    begin = week.first - count * WEEKDAYS
    learnt, kind = week.learnt, week.learnt.table.sites.kind
    shape = (-1, count, WEEKDAYS)
    persons = learnt.persons[:, begin : week.first].reshape(shape).sum(axis=2)
    measure = learnt.measure[:, begin : week.first] * week.shares[kind, begin : week.first]
    size = learnt.denominator(measure.reshape(shape).sum(axis=2), week.sizes.mean)
    return summed(learnt.table.member, persons), size


def _within_weeks(recent: _Recent, monday: int) -> FloatArray:
    """(S,): variance over mean of single days within their week, which a whole week's forecast
    does not know; at least 1."""
    weeks = min(monday // WEEKDAYS, DISPERSION_WEEKS)
    begin = monday - weeks * WEEKDAYS
    shape = (len(recent.persons), weeks, WEEKDAYS)
    size = recent.size[:, begin:monday].reshape(shape)
    known = ~np.isnan(size)
    y, x = (
        np.where(known, one, 0.0) for one in (recent.persons[:, begin:monday].reshape(shape), size)
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = x * (y.sum(axis=2) / x.sum(axis=2))[..., None]
        square = np.where(mean > 0, (y - mean) ** 2 / mean, 0.0).sum(axis=(1, 2))
    freedom = np.maximum(known.sum(axis=2) - 1, 0).sum(axis=1)
    return np.asarray(np.maximum(square / np.maximum(freedom, 1), 1.0))


def _by_essence(tail: Tail, recent: _Recent, where: BoolArray) -> None:
    rows = np.flatnonzero(where.any(axis=1))
    if not len(rows):
        return
    latest = len(recent.size[0]) - int(recent.judged[0])
    made = outlook(Counts.of(recent.comparable(rows)), Essence(), latest=latest)
    found = where[rows] & np.isfinite(made.expected) & np.isfinite(made.freedom)
    found &= np.isfinite(made.slope).all(axis=0)
    row, column = np.nonzero(found)
    there = rows[row], column
    tail.method[there] = Method.ESSENCE
    tail.centre[there] = made.expected[found]
    tail.freedom[there] = made.freedom[found]
    tail.level[there] = np.moveaxis(made.level, 0, -1)[found]
    tail.slope[there] = np.moveaxis(made.slope, 0, -1)[found]


def _by_ears(tail: Tail, recent: _Recent, where: BoolArray) -> None:
    rows = np.flatnonzero(where.any(axis=1))
    if not len(rows):
        return
    rule = Ears()
    made = c2(Counts.of(recent.comparable(rows)), rule)
    expected = made.expected[:, recent.judged]
    deviation = (made.limit[:, recent.judged] - expected) / rule.threshold
    found = where[rows] & np.isfinite(deviation) & (deviation > 0)
    row, column = np.nonzero(found)
    there = rows[row], column
    tail.method[there] = Method.EARS_C2
    tail.centre[there] = expected[found]
    tail.freedom[there] = NORMAL_FREEDOM
    tail.level[there] = (-expected / deviation)[found][:, None]
    tail.slope[there] = (1.0 / deviation)[found][:, None]


def _by_number(
    tail: Tail, week: Week, persons: FloatArray, judged: IntArray, where: BoolArray
) -> None:
    """Rare things: the mean of a year, and the number that is an excess whatever the mean."""
    end = max(week.first - RARE_GUARD_DAYS, 0)
    begin = max(end - week.policy.rare_history_days, 0)
    learnt, kind = week.learnt, week.learnt.table.sites.kind
    cases = summed(learnt.table.member, learnt.persons[:, begin:end].sum(axis=1))
    measure = learnt.measure[:, begin:end] * week.shares[kind, begin:end]
    exposure = learnt.denominator(measure.sum(axis=1), week.sizes.mean)
    kinds = [week.policy.kinds[name] for name, _ in week.learnt.table.kinds]
    with np.errstate(divide="ignore", invalid="ignore"):
        rate = np.where(exposure > 0, (cases + 0.5) / exposure, np.nan)
    for number, kind_policy in enumerate(kinds):
        rows = np.flatnonzero((week.kind == number) & where.any(axis=1))
        before = np.zeros((len(rows), week.length))
        for back in range(1, kind_policy.days):
            column = np.maximum(judged - back, 0)
            before += np.where(judged - back >= 0, np.nan_to_num(persons[rows[:, None], column]), 0)
        here = where[rows]
        row, column = np.nonzero(here)
        there = rows[row], column
        tail.method[there] = Method.FIXED
        tail.rate[there] = rate[rows[row]]
        tail.spread[there] = 1.0
        tail.growth[there] = 1.0 / (cases[rows[row]] + 0.5)
        tail.cases[there] = kind_policy.cases - before[here]
