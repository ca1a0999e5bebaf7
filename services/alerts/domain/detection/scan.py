"""The prospective space-time scan: circles that grow over the map, days that reach until today.

Kulldorff (2001), "Prospective time periodic geographical disease surveillance using a scan
statistic", J R Stat Soc A 164:61-72 (Poisson); Kulldorff, Heffernan, Hartman, Assunção, Mostashari
(2005), PLoS Med 2(3):e59 (space-time permutation, cases only); Neill (2009), Int J Forecast
25:498-517 (expectation-based Poisson).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from services.alerts.domain.detection.verdict import Abstention, BoolArray, FloatArray, IntArray

Model = Literal["permutation", "poisson", "expectation"]
# Simulated maps scanned at once times zones times durations.
BATCH_CELLS = 2_000_000
# Ratios that agree to so many digits are one: sums in another order differ by 1e-16.
TIE_DIGITS = 10


@dataclass(frozen=True, slots=True)
class Scan:
    """`model`: permutation (where and when independent), poisson (cases in proportion to people) or
    expectation (an expected count for every cell). `longest`: periods a cluster may last.
    `cases_least` in a cluster. p from `simulations` random maps; alarm at `alpha`."""

    model: Model = "permutation"
    longest: int = 7
    cases_least: int = 2
    simulations: int = 999
    alpha: float = 0.05


@dataclass(frozen=True, slots=True)
class Cluster:
    """`locations` by index, nearest to the centre first; `since`: index of its first period.
    `ratio`: log likelihood ratio. `limit`: the ratio that the maxima of all but the share `alpha`
    of random maps stay under."""

    locations: tuple[int, ...]
    since: int
    observed: float
    expected: float
    ratio: float
    limit: float
    p_value: float
    alarm: bool


@dataclass(frozen=True, slots=True)
class Scanned:
    """Clusters that share no location, the likeliest first; none where nothing is above what is
    expected. `abstains`: NONE unless counts are unknown or there are too few."""

    clusters: tuple[Cluster, ...]
    abstains: Abstention


def circles(
    distance: FloatArray, weight: FloatArray, *, share_most: float, radius_most: float = np.inf
) -> tuple[tuple[int, ...], ...]:
    """Zones: around every location its neighbours by distance, one more at a time, while they hold
    at most `share_most` of the weight (people, or cases) within `radius_most`. `distance`
    (location, location); each set of locations occurs once."""
    zones: dict[frozenset[int], tuple[int, ...]] = {}
    allowed = share_most * float(weight.sum())
    for centre in range(len(distance)):
        order = np.argsort(distance[centre], kind="stable")
        held = np.cumsum(weight[order])
        for size in range(1, len(order) + 1):
            far = distance[centre, order[size - 1]] > radius_most
            if far or held[size - 1] > allowed * (1.0 + 1e-12):
                break
            members = tuple(order[:size].tolist())
            zones.setdefault(frozenset(members), members)
    # Small ones first: of two zones that hold the same cases the smaller one is named.
    return tuple(sorted(zones.values(), key=len))


def scan(
    counts: FloatArray,
    zones: Sequence[tuple[int, ...]],
    rule: Scan,
    *,
    seed: int,
    weight: FloatArray | None = None,
) -> Scanned:
    """`counts` (location, time), the last period being today. `weight`: people per location for
    poisson, expected counts (location, time) for expectation, nothing for permutation."""
    if np.isnan(counts).any():
        return Scanned((), Abstention.UNKNOWN)
    if counts.sum() < rule.cases_least or counts.shape[1] < rule.longest:
        return Scanned((), Abstention.SHORT_HISTORY)
    mapped = _Map(counts, _members(zones, len(counts)), rule, weight)
    observed = mapped.observed(counts)
    ratios = mapped.ratios(observed[None])[0]
    random = np.random.default_rng(seed)
    maxima = np.sort(mapped.random_maxima(random))
    return Scanned(tuple(mapped.clusters(zones, observed, ratios, maxima)), Abstention.NONE)


def _members(zones: Sequence[tuple[int, ...]], locations: int) -> FloatArray:
    members = np.zeros((len(zones), locations))
    for row, zone in enumerate(zones):
        members[row, list(zone)] = 1.0
    return members


def _recent(counts: FloatArray, longest: int) -> FloatArray:
    """(…, location, time) → (…, location, duration): sums over the last 1, 2, … periods."""
    return np.cumsum(counts[..., ::-1][..., :longest], axis=-1)


class _Map:
    """One study area: what is expected in every zone and duration, and how to make random maps."""

    def __init__(
        self, counts: FloatArray, members: FloatArray, rule: Scan, weight: FloatArray | None
    ) -> None:
        self.counts, self.members, self.rule = counts, members, rule
        self.total = float(counts.sum())
        self.cells = self._cells(weight)
        self.expected = members @ _recent(self.cells, rule.longest)

    def _cells(self, weight: FloatArray | None) -> FloatArray:
        """The expected count of every location and period."""
        if self.rule.model == "permutation":
            return np.outer(self.counts.sum(axis=1), self.counts.sum(axis=0)) / self.total
        if weight is None:
            raise ValueError(f"the model {self.rule.model} needs a weight")
        if self.rule.model == "expectation":
            return weight
        share = np.asarray(weight / weight.sum())[:, None]
        return np.repeat(share * self.total / self.counts.shape[1], self.counts.shape[1], axis=1)

    def observed(self, counts: FloatArray) -> FloatArray:
        return np.asarray(self.members @ _recent(counts, self.rule.longest))

    def ratios(self, observed: FloatArray) -> FloatArray:
        """(map, zone, duration): 0 where no more cases than expected, or too few."""
        c, m = observed, self.expected[None]
        with np.errstate(divide="ignore", invalid="ignore"):
            inside = np.where(c > 0, c * np.log(c / m), 0.0)
            if self.rule.model == "expectation":
                ratio = inside - (c - m)
            else:
                rest, left = self.total - c, self.total - m
                ratio = inside + np.where(rest > 0, rest * np.log(rest / left), 0.0)
        return np.where((c > m) & (c >= self.rule.cases_least), ratio, 0.0)

    def random_maxima(self, random: np.random.Generator) -> FloatArray:
        """The largest ratio of every random map."""
        cells = self.members.shape[0] * self.rule.longest
        step = max(1, BATCH_CELLS // cells)
        maxima = []
        for start in range(0, self.rule.simulations, step):
            maps = min(step, self.rule.simulations - start)
            drawn = np.stack([self._recent_draw(random) for _ in range(maps)])
            maxima.append(self.ratios(self.members @ drawn).max(axis=(1, 2)))
        return np.concatenate(maxima)

    def _recent_draw(self, random: np.random.Generator) -> FloatArray:
        """(location, duration) of one map on which nothing is going on."""
        longest = self.rule.longest
        if self.rule.model == "expectation":
            recent = self.cells[:, -longest:]
            return _recent(random.poisson(recent).astype(np.float64), longest)
        if self.rule.model == "poisson":
            shares = self.cells.ravel() / self.cells.sum()
            drawn = random.multinomial(int(self.total), shares).reshape(self.cells.shape)
            return _recent(drawn.astype(np.float64), longest)
        where, when = self._cases()
        shuffled = random.permutation(when)
        size = self.counts.shape
        flat = np.bincount(where * size[1] + shuffled, minlength=size[0] * size[1])
        return _recent(flat.reshape(size).astype(np.float64), longest)

    def _cases(self) -> tuple[IntArray, IntArray]:
        """One row per case: its location and its period."""
        where, when = np.nonzero(self.counts)
        number = self.counts[where, when].astype(np.int64)
        return np.repeat(where, number), np.repeat(when, number)

    def clusters(
        self,
        zones: Sequence[tuple[int, ...]],
        observed: FloatArray,
        ratios: FloatArray,
        maxima: FloatArray,
    ) -> Iterator[Cluster]:
        """The best zone and duration, then the best that shares no location with those before."""
        free: BoolArray = np.ones(len(zones), dtype=np.bool_)
        simulations = len(maxima)
        # How many random maps may be as extreme for p to be at most alpha.
        spared = int(self.rule.alpha * (1.0 + simulations)) - 1
        limit = float(maxima[-1 - spared]) if spared >= 0 else np.inf
        while free.any():
            open_ = np.where(free[:, None], ratios, 0.0)
            zone, duration = divmod(int(open_.round(TIE_DIGITS).argmax()), open_.shape[1])
            ratio = float(open_[zone, duration])
            if ratio <= 0.0:
                return
            larger = simulations - int(np.searchsorted(maxima, ratio - 1e-9, side="left"))
            p_value = (1.0 + larger) / (1.0 + simulations)
            yield Cluster(
                locations=zones[zone],
                since=self.counts.shape[1] - 1 - duration,
                observed=float(observed[zone, duration]),
                expected=float(self.expected[zone, duration]),
                ratio=ratio,
                limit=limit,
                p_value=p_value,
                alarm=p_value <= self.rule.alpha,
            )
            free &= (self.members @ self.members[zone]) == 0
