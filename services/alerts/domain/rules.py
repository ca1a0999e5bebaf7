"""A trigger rule: how many different points, kinds, persons and households, how close in time, in
how large an area, and what lights a point."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

Level = Literal["blue", "yellow", "orange", "red"]
AreaOf = Literal["place", "residence"]
LitBy = Literal["event", "excess"]
Reach = Literal["area", "neighbours", "parent"]
Combination = Literal["fisher", "edgington", "stouffer"]


@dataclass(frozen=True, slots=True)
class KindTerms:
    """What one kind of point needs to light up under a rule, and how much it weighs there.

    `lit_by` event: one standing signal. Excess: a day on which its series showed more than
    expected: a p-value of at most `p_below`, or, without `p_below`, a count above the limit of the
    method that judged it. `syndromes` empty: whatever the series counts.
    """

    weight: float = 1.0
    lit_by: LitBy = "event"
    p_below: float | None = None
    syndromes: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class ConsensusTerms:
    """How the p-values of several streams of one area and day are taken together.

    `weights` by kind are Stouffer's; a kind that is not named weighs 1. The combined value is
    calibrated on the area's own `null_days` days that end `null_gap_days` before the day, once
    `null_min_days` of them are known; `null_spread_min` is the least spread of that null, in
    standard deviations. `across_areas`: Benjamini-Hochberg over all areas of the level on the day.
    `days`: so many days up to the day are taken together, which finds what rises slowly.
    `against_city`: the median over all areas of the level is taken off each day, so that a wave
    over the whole city lights no single area.
    """

    method: Combination
    p_below: float
    weights: Mapping[str, float] = field(default_factory=dict)
    across_areas: bool = True
    null_days: int = 365
    null_min_days: int = 56
    null_gap_days: int = 7
    null_spread_min: float = 1.0
    days: int = 1
    against_city: bool = False


@dataclass(frozen=True, slots=True)
class Rule:
    """One version of a rule, in force for event times from `from_at` to before `until_at`.

    A single-event rule is the same rule with one point, one person and a window of zero length.
    `kinds` holds terms of their own; every other kind of `point_kinds` has the default ones. Within
    `reach` lie the points that count; `min_own_points` of them lie in the area itself. `quiet` is
    how long nothing may be seen before an alert ends by itself, at least as long as the window;
    None: only a person ends it.
    """

    id: str
    version: int
    title_zh: str
    title_en: str
    level: Level
    point_kinds: frozenset[str]
    min_points: int
    min_kinds: int
    min_persons: int
    count_unlinked: bool
    window: timedelta
    from_at: datetime | None = None
    until_at: datetime | None = None
    min_households: int = 0
    min_own_points: int = 1
    min_weight: float = 0.0
    kinds: Mapping[str, KindTerms] = field(default_factory=dict)
    reach: Reach = "area"
    quiet: timedelta | None = None
    consensus: ConsensusTerms | None = None

    @property
    def name(self) -> str:
        return f"{self.id}@{self.version}"

    @property
    def single_event(self) -> bool:
        """Whether each signal by itself is enough."""
        return (
            max(self.min_points, self.min_kinds, self.min_persons, self.min_households) <= 1
            and self.min_weight <= 0
            and self.consensus is None
        )

    def terms_of(self, point_kind: str) -> KindTerms:
        return self.kinds.get(point_kind, DEFAULT_TERMS)

    @property
    def excess_kinds(self) -> frozenset[str]:
        """The kinds that light up by excess."""
        return frozenset(k for k in self.point_kinds if self.terms_of(k).lit_by == "excess")

    def covers(self, at: datetime) -> bool:
        after_start = self.from_at is None or self.from_at <= at
        return after_start and (self.until_at is None or at < self.until_at)


DEFAULT_TERMS = KindTerms()


def version_in_force(versions: Sequence[Rule], at: datetime) -> Rule | None:
    """Of the versions whose dates cover `at`, the highest."""
    return max(
        (rule for rule in versions if rule.covers(at)), key=lambda rule: rule.version, default=None
    )


def longest_window(versions: Sequence[Rule]) -> timedelta:
    return max((rule.window for rule in versions), default=timedelta())


def quiet_time(versions: Sequence[Rule]) -> timedelta | None:
    """The quiet time of a rule, which its highest version states for all."""
    newest = max(versions, key=lambda rule: rule.version, default=None)
    return newest.quiet if newest else None
