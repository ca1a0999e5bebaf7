"""A trigger rule: how many different points, kinds and persons, how close in time, in how large an
area."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

Level = Literal["blue", "yellow", "orange", "red"]
AreaOf = Literal["place", "residence"]


@dataclass(frozen=True, slots=True)
class Rule:
    """One version of a rule, in force for event times from `from_at` to before `until_at`.

    A single-event rule is the same rule with one point, one person and a window of zero length.
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

    @property
    def name(self) -> str:
        return f"{self.id}@{self.version}"

    @property
    def single_event(self) -> bool:
        """Whether each signal by itself is enough."""
        return self.min_points <= 1 and self.min_kinds <= 1 and self.min_persons <= 1

    def covers(self, at: datetime) -> bool:
        after_start = self.from_at is None or self.from_at <= at
        return after_start and (self.until_at is None or at < self.until_at)


def version_in_force(versions: Sequence[Rule], at: datetime) -> Rule | None:
    """Of the versions whose dates cover `at`, the highest."""
    return max(
        (rule for rule in versions if rule.covers(at)), key=lambda rule: rule.version, default=None
    )


def longest_window(versions: Sequence[Rule]) -> timedelta:
    return max((rule.window for rule in versions), default=timedelta())
