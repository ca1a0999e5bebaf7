"""Where people live, and which points of which size tell of them when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from services.alerts.domain.detection.verdict import BoolArray, FloatArray, IntArray
from services.alerts.laboratory.generated.parameters import (
    KINDS,
    SCHOOLS,
    Extent,
    days_between,
    first_day,
    parameters,
)

NEVER = 10**6
# Persons of township t have the numbers from t · PERSONS_MOST on.
PERSONS_MOST = 1_000_000


@dataclass(frozen=True)
class World:
    """T townships, N sites (the sites of one township stand together, by kind), D days.

    `closed_hole` (N, D): the site is not open, or silent for a while. `share` (K, D): the chance to
    be seen on that day rather than the next. `slots` (T, K, 2): first site and how many.
    """

    extent: Extent
    first: date
    county: IntArray
    population: IntArray
    site_kind: IntArray
    site_township: IntArray
    site_weight: FloatArray  # share of its township and kind
    opens: IntArray
    closes: IntArray
    silent: BoolArray
    share: FloatArray
    slots: IntArray

    @property
    def speaks(self) -> BoolArray:
        """(N, D): open and not silent; a school on its days off is closed as well."""
        days = np.arange(self.extent.days)
        is_open = (self.opens[:, None] <= days) & (days < self.closes[:, None])
        at_work = self.share[self.site_kind] > 0
        return is_open & ~self.silent & at_work

    def township_id(self, number: int) -> str:
        return f"lab:c{self.county[number]:02d}t{number:03d}"

    def county_id(self, number: int) -> str:
        return f"lab:c{number:02d}"

    def neighbour(self, township: int) -> int:
        """The next one of the same county, round."""
        size = self.extent.townships_per_county
        county, place = divmod(township, size)
        return county * size + (place + 1) % size


PREFECTURE_ID = "lab:city"


def build(random: np.random.Generator, extent: Extent) -> World:
    places = parameters()["places"]
    townships = extent.townships
    population = places["population_median"] * np.exp(
        random.normal(0.0, places["population_deviation"], townships)
    )
    per_kind = [places["sites"][kind] for kind in KINDS]
    kinds = np.repeat(np.arange(len(KINDS)), per_kind)
    site_kind = np.tile(kinds, townships)
    site_township = np.repeat(np.arange(townships), len(kinds))
    raw = np.exp(random.normal(0.0, places["site_weight_deviation"], len(site_kind)))
    group = site_township * len(KINDS) + site_kind
    weight = raw / np.bincount(group, weights=raw)[group]
    starts = np.concatenate([[0], np.cumsum(per_kind)[:-1]])
    slots = np.stack(
        [
            np.arange(townships)[:, None] * len(kinds) + starts[None, :],
            np.broadcast_to(per_kind, (townships, len(KINDS))),
        ],
        axis=2,
    )
    opens = _moments(random, places["opens_share"], len(site_kind), extent.days, 0)
    closes = _moments(random, places["closes_share"], len(site_kind), extent.days, NEVER)
    return World(
        extent=extent,
        first=first_day(extent),
        county=np.arange(townships) // extent.townships_per_county,
        population=population.astype(np.int64),
        site_kind=site_kind,
        site_township=site_township,
        site_weight=weight,
        opens=opens,
        closes=closes,
        silent=_holes(random, (len(site_kind), extent.days)),
        share=_day_shares(first_day(extent), extent.days),
        slots=slots,
    )


def _moments(
    random: np.random.Generator, share: float, count: int, days: int, otherwise: int
) -> IntArray:
    chosen = random.random(count) < share
    return np.where(chosen, random.integers(0, days, count), otherwise)


def _holes(random: np.random.Generator, shape: tuple[int, int]) -> BoolArray:
    places = parameters()["places"]
    begins = random.random(shape) < places["hole_per_day"]
    lengths = random.geometric(1.0 / places["hole_days"], shape)
    last = np.where(begins, np.arange(shape[1]) + lengths - 1, -1)
    return np.asarray(np.maximum.accumulate(last, axis=1) >= np.arange(shape[1]))


def _day_shares(first: date, days: int) -> FloatArray:
    """(K, D)."""
    content = parameters()
    calendar = content["calendar"]
    off, vacations = days_between(calendar["days_off"]), days_between(calendar["vacations"])
    working = frozenset(calendar["working"])
    new_year = frozenset(
        day + timedelta(days=step) for day in calendar["new_years"] for step in range(-1, 7)
    )
    shares = np.zeros((len(KINDS), days))
    for number in range(days):
        day = first + timedelta(days=number)
        worked = day in working or (day.weekday() < 5 and day not in off)
        for kind, name in enumerate(KINDS):
            if name in SCHOOLS:
                shares[kind, number] = float(worked and day not in vacations)
                continue
            rule = content["days"][name]
            weekday = 0 if day in working else day.weekday()
            share = rule["week"][weekday]
            if day in off:
                share = rule["day_off"]
            shares[kind, number] = rule["new_year"] if day in new_year else share
    return shares
