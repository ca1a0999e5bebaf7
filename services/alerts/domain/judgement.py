"""The multi-point trigger (多点触发), judged over every window of event time.

A window is closed at both ends: two signals exactly its length apart stand in one window. It is
judged by the version of the rule in force at its last signal. What lay in windows that hold is
evidence; where the rule has a quiet time, evidence further apart than that belongs to different
alerts. The same functions judge one area live and hundreds over years.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from uuid import UUID

import numpy as np

from services.alerts.domain.columns import (
    MICROSECOND,
    Array,
    Codes,
    Columns,
    Marks,
    SignalLog,
    demands_of,
    instant,
    lit_under,
    told_of,
)
from services.alerts.domain.rules import Rule, quiet_time
from services.alerts.domain.signals import Consent, Point, Signal


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
    in such windows, in order of event time; the first of them ended at `held_at`."""

    rule: Rule
    evidence: tuple[Signal, ...]
    held_at: datetime

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
    def households(self) -> int:
        """Different households of the persons known by id."""
        return len({signal.household for signal in self.evidence if signal.household})

    @property
    def unlinked(self) -> int:
        return unlinked_persons(self.evidence)

    @property
    def consents(self) -> tuple[tuple[Signal, Consent], ...]:
        """The days on which the streams of the area agreed, each once, in order of time."""
        found: dict[datetime, tuple[Signal, Consent]] = {}
        for signal in self.evidence:
            consent = signal.consent_of(self.rule.version)
            if consent and consent.lit and signal.own:
                found.setdefault(signal.occurred_at, (signal, consent))
        return tuple(found.values())

    @property
    def first_at(self) -> datetime:
        return self.evidence[0].occurred_at

    @property
    def last_at(self) -> datetime:
        return self.evidence[-1].occurred_at


@dataclass(frozen=True, slots=True)
class Stretch:
    """One alert of one group, by places in the columns: its evidence, the version of its last
    window, and where its first window ended. Times in microseconds."""

    group: int
    rule: Rule
    places: Array
    held_at: int


def stretches(
    versions: Sequence[Rule], log: SignalLog, columns: Columns, offsets: Array
) -> list[Stretch]:
    """The alerts that groups of signals make under the versions of one rule.

    Group g is [offsets[g], offsets[g + 1]) of `columns`, in order of event time. In order of group
    and time.
    """
    from services.alerts.domain.windows import windows_that_hold

    evidence = np.zeros(len(columns), dtype=np.bool_)
    ended_by = np.full(len(columns), -1, dtype=np.int32)
    for number, rule in enumerate(versions):
        lit = np.flatnonzero(lit_under(rule, columns, log.names))
        if not len(lit):
            continue
        mine = columns.take(lit)
        held, ends = windows_that_hold(
            np.searchsorted(lit, offsets),
            mine.at,
            told_of(versions, rule, log, mine),
            demands_of(rule),
            log.names.sizes,
        )
        evidence[lit[held]] = True
        ended_by[lit[ends]] = number
    return _split(versions, columns.at, offsets, np.flatnonzero(evidence), ended_by)


def _split(
    versions: Sequence[Rule], at: Array, offsets: Array, places: Array, ended_by: Array
) -> list[Stretch]:
    """Evidence of one group that is no further apart than the quiet time is one alert."""
    if not len(places):
        return []
    groups = np.searchsorted(offsets, places, side="right") - 1
    quiet = quiet_time(versions)
    apart = np.diff(groups) != 0
    if quiet is not None:
        apart |= np.diff(at[places]) > quiet // MICROSECOND
    cuts = [0, *(np.flatnonzero(apart) + 1).tolist(), len(places)]
    ends = np.flatnonzero(ended_by >= 0)
    found = []
    for first, after in pairwise(cuts):
        mine = places[first:after]
        low, high = np.searchsorted(ends, (mine[0], mine[-1] + 1))
        last = versions[ended_by[ends[high - 1]]]
        found.append(Stretch(int(groups[first]), last, mine, int(at[ends[low]])))
    return found


def episodes(versions: Sequence[Rule], signals: Iterable[Signal]) -> list[Decision]:
    """The alerts that these standing signals of one area make under one rule, the oldest first.

    `versions` are all versions of the rule; the order of `signals` does not matter. Without a quiet
    time there is at most one.
    """
    known = list(signals)
    if not any(_may_hold(rule, known) for rule in versions):
        return []
    log = SignalLog.of(known)
    whole = np.array([0, len(log.columns)])
    return [
        Decision(
            one.rule,
            tuple(log.signal(row) for row in log.columns.row[one.places]),
            instant(one.held_at),
        )
        for one in stretches(versions, log, log.columns, whole)
    ]


def _may_hold(rule: Rule, signals: Sequence[Signal]) -> bool:
    """Whether all of it in one window would be enough points of enough kinds: of most areas that
    is the whole answer, and it costs a tenth."""
    points = {signal.point for signal in signals if signal.point_kind in rule.point_kinds}
    enough = len(points) >= max(rule.min_points, 1)
    return enough and len({kind for kind, _ in points}) >= rule.min_kinds


class Remainder:
    """Judges what is left of an area's signals without some of them, many times over: their columns
    are made once. Places are in order of event time and id."""

    def __init__(self, versions: Sequence[Rule], signals: Iterable[Signal]) -> None:
        log = SignalLog.of(signals)
        self._sizes = log.names.sizes
        self._asked = []
        for rule in versions:
            lit = np.flatnonzero(lit_under(rule, log.columns, log.names))
            mine = log.columns.take(lit)
            told = told_of(versions, rule, log, mine)
            self._asked.append((lit, mine.at, told, demands_of(rule)))

    def silent(self, kept: Array) -> bool:
        """Whether no window holds with the kept ones alone (a bool per place)."""
        from services.alerts.domain.windows import windows_that_hold

        for lit, at, (codes, marks, unlinked, weight), demands in self._asked:
            mine = np.flatnonzero(kept[lit])
            told = (
                Codes(*(column[mine] for column in codes)),
                Marks(*(column[mine] for column in marks)),
                unlinked[mine],
                weight[mine],
            )
            whole = np.array([0, len(mine)])
            if windows_that_hold(whole, at[mine], told, demands, self._sizes)[0].any():
                return False
        return True


def judge(versions: Sequence[Rule], signals: Iterable[Signal]) -> Decision | None:
    """The newest of the alerts, or None."""
    found = episodes(versions, signals)
    return found[-1] if found else None


def different_persons(signals: Iterable[Signal]) -> frozenset[UUID]:
    return frozenset(signal.person_id for signal in signals if signal.person_id)


def unlinked_persons(signals: Iterable[Signal]) -> int:
    return sum(signal.unlinked_count for signal in signals)
