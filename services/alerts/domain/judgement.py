"""The multi-point trigger (多点触发), judged over every window of event time.

A window is closed at both ends: two signals exactly its length apart stand in one window. It is
judged by the version of the rule in force at its last signal. The condition can only gain by more
signals, so the longest window that ends at each signal decides for all shorter ones.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from services.alerts.domain.rules import Rule, version_in_force
from services.alerts.domain.signals import Point, Signal

Key = TypeVar("Key")


@dataclass(frozen=True, slots=True)
class PointReason:
    """One point of an alert and what was seen there; `persons` are different persons, named or
    not."""

    point: Point
    signals: tuple[Signal, ...]

    @property
    def person_count(self) -> int:
        return len(different_persons(self.signals)) + unlinked_persons(self.signals)

    @property
    def first_at(self) -> datetime:
        return self.signals[0].occurred_at

    @property
    def last_at(self) -> datetime:
        return self.signals[-1].occurred_at


@dataclass(frozen=True, slots=True)
class Decision:
    """People must act: `rule` is the version of the last window that held, `evidence` all that lay
    in such windows."""

    rule: Rule
    evidence: tuple[Signal, ...]

    @property
    def reasons(self) -> tuple[PointReason, ...]:
        """Per point, in order of the points' names."""
        points: dict[Point, list[Signal]] = {}
        for signal in self.evidence:
            points.setdefault(signal.point, []).append(signal)
        return tuple(PointReason(point, tuple(points[point])) for point in sorted(points))

    @property
    def persons(self) -> int:
        """Different persons known by id; the others are shown apart."""
        return len(different_persons(self.evidence))

    @property
    def unlinked(self) -> int:
        return unlinked_persons(self.evidence)

    @property
    def first_at(self) -> datetime:
        return self.evidence[0].occurred_at

    @property
    def last_at(self) -> datetime:
        return self.evidence[-1].occurred_at


class Tally:
    """What stands in the window at the moment; signals enter and leave in order of time."""

    def __init__(self, rule: Rule) -> None:
        self._rule = rule
        self._points: Counter[Point] = Counter()
        self._kinds: Counter[str] = Counter()
        self._persons: Counter[UUID] = Counter()
        self._unlinked = 0
        self._fresh = 0

    def add(self, signal: Signal) -> None:
        self._move(signal, 1)

    def drop(self, signal: Signal) -> None:
        self._move(signal, -1)

    def _move(self, signal: Signal, step: int) -> None:
        _count(self._points, signal.point, step)
        _count(self._kinds, signal.point_kind, step)
        if signal.person_id:
            _count(self._persons, signal.person_id, step)
        self._unlinked += step * signal.unlinked_count
        self._fresh += step * (not signal.spent)

    def holds(self) -> bool:
        """Enough different points, kinds and persons, and something that no closed alert has used
        up."""
        rule = self._rule
        persons = len(self._persons) + (self._unlinked if rule.count_unlinked else 0)
        return (
            self._fresh > 0
            and len(self._points) >= rule.min_points
            and len(self._kinds) >= rule.min_kinds
            and persons >= rule.min_persons
        )


def judge(versions: Sequence[Rule], signals: Iterable[Signal]) -> Decision | None:
    """The alert that these standing signals of one area make under one rule, or None.

    `versions` are all versions of the rule; the order of `signals` does not matter.
    """
    known = sorted(signals, key=lambda signal: (signal.occurred_at, signal.id))
    evidence: dict[UUID, Signal] = {}
    last: tuple[datetime, Rule] | None = None
    for rule in versions:
        mine = [signal for signal in known if signal.point_kind in rule.point_kinds]
        done = 0
        for left, right in _windows_that_hold(versions, rule, mine):
            for signal in mine[max(left, done) : right]:
                evidence[signal.id] = signal
            done = right
            ended_at = mine[right - 1].occurred_at
            if last is None or ended_at > last[0]:
                last = (ended_at, rule)
    if last is None:
        return None
    ordered = sorted(evidence.values(), key=lambda signal: (signal.occurred_at, signal.id))
    return Decision(last[1], tuple(ordered))


def _windows_that_hold(
    versions: Sequence[Rule], rule: Rule, ordered: Sequence[Signal]
) -> Iterator[tuple[int, int]]:
    """Index ranges [left, right) of the windows in which `rule` is in force and its condition
    holds."""
    tally = Tally(rule)
    left = right = 0
    while right < len(ordered):
        ends_at = ordered[right].occurred_at
        while right < len(ordered) and ordered[right].occurred_at == ends_at:
            tally.add(ordered[right])
            right += 1
        while ordered[left].occurred_at < ends_at - rule.window:
            tally.drop(ordered[left])
            left += 1
        if tally.holds() and version_in_force(versions, ends_at) is rule:
            yield left, right


def different_persons(signals: Iterable[Signal]) -> frozenset[UUID]:
    return frozenset(signal.person_id for signal in signals if signal.person_id)


def unlinked_persons(signals: Iterable[Signal]) -> int:
    return sum(signal.unlinked_count for signal in signals)


def _count(counter: Counter[Key], key: Key, step: int) -> None:
    counter[key] += step
    if not counter[key]:
        del counter[key]
