"""How large a site is, and what share of a mean day a kind of day brings: learnt from what was told
before a given day, by Gamma distributions, so that a beginning has an answer too.

Both are estimated for one week at a time, from what lies before its Monday: an estimate that moved
every day would measure the days of a baseline by different rules.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from services.alerts.domain.counting.calendar import DAY_TYPES, Calendar, DayType
from services.alerts.domain.counting.policy import Detection
from services.alerts.domain.counting.table import Numbers, SeriesTable, summed
from services.alerts.domain.detection.verdict import BoolArray, FloatArray, IntArray

MILLI = 1000.0
WEEKDAYS = 7
WORKDAYS = 5
# A level is the mean of so many days on both sides: two whole weeks.
AROUND_DAYS = 14
# How much history a day's share is learnt from: three new years.
PROFILE_DAYS = 3 * 364
# Mean days that a weekday's equal share weighs before anything was seen.
WEEKDAY_PRIOR_DAYS = 1.0
OTHER_PRIOR_DAYS = 2.0
SHARE_LEAST = 0.02


@dataclass(frozen=True)
class Learnt:
    """What a table teaches. `said` (N, D): the site spoke and is not left out; `persons` (N, D):
    what it said then, else 0. `measure` (N, D): what a site day counts before the site's size:
    itself, or whom it saw. `by_site`, `by_seen` (K,): how each kind is measured."""

    table: SeriesTable
    said: BoolArray
    persons: FloatArray
    measure: FloatArray
    by_site: BoolArray
    by_seen: BoolArray

    @classmethod
    def of(cls, table: SeriesTable, policy: Detection) -> Learnt:
        said = table.counts.reported
        if table.left_out is not None:
            said = said & ~table.left_out
        denominators = [policy.kinds[kind].denominator for kind, _ in table.kinds]
        by_seen = np.array([name == "seen" for name in denominators], dtype=np.bool_)
        return cls(
            table,
            said,
            np.where(said, table.counts.persons, 0).astype(np.float64),
            measured(table, table.counts.seen, said, by_seen),
            np.array([name == "sites" for name in denominators], dtype=np.bool_),
            by_seen,
        )

    def denominator(self, site_days: FloatArray, sized: FloatArray) -> FloatArray:
        """(S, …) from site days (N, …): each times its size (N,), added up. What is measured
        against nothing is 1 wherever anybody spoke."""
        shape = (-1,) + (1,) * (site_days.ndim - 1)
        total = summed(self.table.member, site_days * sized.reshape(shape)) / MILLI
        measured = (self.by_site | self.by_seen)[self.table.series_kind].reshape(shape)
        return np.where(measured, total, np.minimum(np.ceil(total), 1.0))


def measured(table: SeriesTable, seen: Numbers, said: BoolArray, by_seen: BoolArray) -> FloatArray:
    """(N, …): 1 for each site that spoke, or everybody whom it saw, as its kind is measured."""
    whom = np.where(by_seen[table.sites.kind][:, None], np.where(said, seen, 0), said)
    return np.asarray(whom, dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Sizes:
    """(N,) each, in thousandths and whole, so that sums do not depend on their order: persons on a
    mean day of the site, and the variance of that guess. `new_mean`, `new_doubt` (K,): of a site
    that has never spoken."""

    mean: FloatArray
    doubt: FloatArray
    new_mean: FloatArray
    new_doubt: FloatArray


def sizes(learnt: Learnt, shares: FloatArray, before: int, policy: Detection) -> Sizes:
    """Of every site, from its days before `before`; `shares` (K, D) of the days.

    Of a kind measured by what its sites see, a size is 1: each person seen counts.
    """
    first = max(before - policy.size_days, 0)
    kind = learnt.table.sites.kind
    persons = learnt.persons[:, first:before].sum(axis=1)
    days = weighed_days(learnt, shares, first, before)
    usual = usual_sizes(kind, persons, days, len(learnt.table.kinds))
    shape = policy.size_shape + persons
    mean = shape / (policy.size_shape / usual[kind] + days)
    by_site = learnt.by_site
    return Sizes(
        *_whole(mean, mean**2 / shape, by_site[kind]),
        *_whole(usual, usual**2 / policy.size_shape, by_site),
    )


def _whole(
    mean: FloatArray, doubt: FloatArray, by_site: BoolArray
) -> tuple[FloatArray, FloatArray]:
    return (
        np.where(by_site, np.maximum(np.round(MILLI * mean), 1.0), MILLI),
        np.where(by_site, np.round(MILLI * doubt), 0.0),
    )


def usual_sizes(kind: IntArray, persons: FloatArray, days: FloatArray, kinds: int) -> FloatArray:
    """(K,): what a site of each kind is taken for before it has spoken. One person on one day
    before anything is known at all: then it is only the unit."""
    return np.asarray(
        (np.bincount(kind, persons, kinds) + 1.0) / (np.bincount(kind, days, kinds) + 1.0)
    )


def weighed_days(learnt: Learnt, shares: FloatArray, first: int, last: int) -> FloatArray:
    """(N,): days on which each site spoke, each by its share of a mean day."""
    kind = learnt.table.sites.kind
    found = np.zeros(len(kind))
    for number in range(len(learnt.table.kinds)):
        rows = kind == number
        found[rows] = learnt.said[rows, first:last] @ shares[number, first:last]
    return found


def day_types(table: SeriesTable, policy: Detection, calendar: Calendar) -> IntArray:
    """(K, D): the kind of day, by kind of point."""
    city = calendar.types(table.first_day, table.days, school=False)
    school = calendar.types(table.first_day, table.days, school=True)
    return np.stack([school if policy.kinds[kind].school else city for kind, _ in table.kinds])


def day_shares(
    pooled: FloatArray, sized: FloatArray, types: IntArray, policy: Detection
) -> FloatArray:
    """(K, DAY_TYPES): of a mean day, what each kind of day brings.

    `pooled` (K, days): persons of the whole city; `sized` (K, days): its denominator; `types`
    (K, days): the kinds of these days, all of them past. A share is what
    was seen over what the level of the fortnight around let expect, less and less moved by the
    prior. All sites of a kind share it: single ones see too few.
    """
    plain = types < WEEKDAYS
    told, behind = _around(np.where(plain, pooled, 0.0)), _around(np.where(plain, sized, 0.0))
    due = told / np.maximum(behind, 1e-12) * sized
    days_known = np.maximum((due > 0).sum(axis=1), 1)
    mean_day = np.maximum(due.sum(axis=1) / days_known, 1e-9)
    shares = np.ones((len(pooled), DAY_TYPES))
    for number in range(DAY_TYPES):
        here = types == number
        share, days = _prior(number, shares, policy)
        weight = days * mean_day
        found = (np.where(here, pooled, 0.0).sum(axis=1) + weight * share) / (
            np.where(here, due, 0.0).sum(axis=1) + weight
        )
        shares[:, number] = np.maximum(found, SHARE_LEAST)
    return shares


def _prior(number: int, shares: FloatArray, policy: Detection) -> tuple[FloatArray, float]:
    """A make-up working day starts as a working day of this kind."""
    if number < WEEKDAYS:
        return np.ones(len(shares)), WEEKDAY_PRIOR_DAYS
    given = policy.priors.get(DayType(number))
    days = given.days if given else OTHER_PRIOR_DAYS
    working = shares[:, :WORKDAYS].mean(axis=1)
    if number in (DayType.MAKE_UP, DayType.RETURN):
        return working * (given.share if given else 1.0), days
    return np.full(len(shares), given.share if given else 1.0), days


def _around(values: FloatArray) -> FloatArray:
    """Sums over the days around, fewer at the ends."""
    total = np.concatenate([np.zeros((len(values), 1)), np.cumsum(values, axis=1)], axis=1)
    length = values.shape[1]
    days = np.arange(length)
    upper = np.minimum(days + AROUND_DAYS, length)
    lower = np.maximum(days - AROUND_DAYS, 0)
    return np.asarray(total[:, upper] - total[:, lower])
