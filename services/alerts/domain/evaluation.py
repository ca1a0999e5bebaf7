"""The rules over a whole city: which alerts its signals make, area by area, over any stretch of
time.

Live judges one area around what has changed, the back-test and the tester everything at once; both
end in `judgement.stretches`, so they find the same alerts with the same explanations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property, partial

import numpy as np

from services.alerts.domain.agreement import Agreement, Streams, agreement_of
from services.alerts.domain.areas import AreaTree, Line, stands_in
from services.alerts.domain.city_log import CityLog
from services.alerts.domain.columns import (
    Array,
    Coder,
    Columns,
    SignalLog,
    counted_by,
    instant,
    lit_under,
)
from services.alerts.domain.excess import Excess
from services.alerts.domain.judgement import Decision, Stretch, stretches
from services.alerts.domain.rules import AreaOf, Reach, Rule, quiet_time
from services.alerts.domain.signals import Consent
from services.alerts.domain.silence import Silence, explain

# Rows of one pass over windows: enough to make the calls cheap, few enough for any memory.
ROWS_MOST = 2_000_000


@dataclass(frozen=True, slots=True)
class RuleBook:
    """All versions of one rule. `area_level` and `area_of` hold for all of them; `versions` are
    those that apply in an area (its line), with their days in its zone: the same tuple for areas
    with the same ones."""

    id: str
    area_level: str
    area_of: AreaOf
    versions: Callable[[Line], tuple[Rule, ...]]


@dataclass(frozen=True)
class Found:
    """An alert that a rule's versions make in an area, with its life in event time.

    `held_at`: its first window ended, so that is when it opens. `closed_at`: nothing more was seen
    for the rule's quiet time; None where only a person ends it. The decision with its records and
    the nearest change are made when they are asked for.
    """

    area_id: str
    versions: tuple[Rule, ...]
    rule: Rule
    held_at: datetime
    first_at: datetime
    last_at: datetime
    closed_at: datetime | None
    make: Callable[[], Decision]

    @cached_property
    def decision(self) -> Decision:
        return self.make()

    @cached_property
    def silence(self) -> Silence:
        return explain(self.versions, self.decision)


@dataclass(frozen=True, slots=True)
class Within:
    """The rows that count for one area: which of them lie in it, and which are sums of its
    parent."""

    area_id: str
    rows: Array
    own: Array
    of_parent: Array


def evaluate(book: RuleBook, city: CityLog, tree: AreaTree) -> Iterator[Found]:
    """Every alert of a rule over all areas of its level; per area in order of time."""
    counted = _counted(book, city, tree)
    by_versions: dict[tuple[int, ...], tuple[tuple[Rule, ...], list[str]]] = {}
    for area_id in counted.areas:
        versions = book.versions(tree.lines[area_id])
        if versions:
            key = tuple(id(rule) for rule in versions)
            by_versions.setdefault(key, (versions, []))[1].append(area_id)
    agreements = _agreements(by_versions.values(), city, counted)
    judging = Judging(city, tree, counted, agreements)
    for versions, area_ids in by_versions.values():
        batch: list[Within] = []
        waiting = 0
        for within in _within(versions, judging, sorted(area_ids)):
            batch.append(within)
            waiting += len(within.rows)
            if waiting >= ROWS_MOST:
                yield from _judge(versions, judging, batch)
                batch, waiting = [], 0
        if batch:
            yield from _judge(versions, judging, batch)


@dataclass(frozen=True, slots=True)
class Counted:
    """Where rows count at the level of a rule: `area` numbers `areas`, -1 for nowhere."""

    area: Array
    areas: Sequence[str]
    told_area: Array


def _counted(book: RuleBook, city: CityLog, tree: AreaTree) -> Counted:
    """Sums count where they are sums of that level: those of a village are no sums of its
    county."""
    children = tree.child_levels()
    coder = Coder()
    events = np.full(len(city.areas) + 1, -1, dtype=np.int32)
    sums = np.full(len(city.areas) + 1, -1, dtype=np.int32)
    for code, area_id in enumerate(city.areas):
        line = tree.lines.get(area_id)
        above = line.at_level(book.area_level) if line else None
        if line is None or above is None:
            continue
        events[code] = coder.code(above.area_id)
        if stands_in(line.level, book.area_level, children.get(area_id, ())):
            sums[code] = coder.code(area_id)
    told = city.place_area if book.area_of == "place" else city.home_area
    area = np.where(city.log.columns.excess, sums[told], events[told])
    return Counted(area, coder.names, told)


@dataclass(frozen=True, slots=True)
class Judging:
    """What one rule is judged by; `agreements` by version."""

    city: CityLog
    tree: AreaTree
    counted: Counted
    agreements: Mapping[int, Agreement]

    def agreed(self, rule: Rule, rows: Array) -> Array:
        """Whether the streams of the row's own area agree on its day."""
        one, days = self.agreements[rule.version], self.city.day[rows]
        found = np.zeros(len(rows), dtype=np.bool_)
        sums = days >= 0
        found[sums] = one.lit[self.counted.area[rows[sums]], days[sums] - one.told.first_day]
        return found

    def consents(self, excess: Excess, row: int) -> tuple[Consent, ...]:
        """What the area's streams say on the day of a series."""
        area = int(self.counted.area[row])
        told = (one.consent(area, excess.day) for _, one in sorted(self.agreements.items()))
        return tuple(one for one in told if one is not None)


def _agreements(
    groups: Iterable[tuple[tuple[Rule, ...], list[str]]], city: CityLog, counted: Counted
) -> dict[int, Agreement]:
    """Of each version with a consensus, over all areas in which it applies."""
    applies: dict[int, tuple[Rule, set[str]]] = {}
    for versions, area_ids in groups:
        for rule in versions:
            if rule.consensus is not None:
                applies.setdefault(rule.version, (rule, set()))[1].update(area_ids)
    found = {}
    for version, (rule, where) in applies.items():
        assert rule.consensus is not None
        streams = _streams(rule, where, city, counted)
        found[version] = agreement_of(version, rule.consensus, streams)
    return found


def _streams(rule: Rule, area_ids: Set[str], city: CityLog, counted: Counted) -> Streams:
    columns, names = city.log.columns, city.log.names
    applies = np.array([area_id in area_ids for area_id in counted.areas] + [False])
    mine = columns.excess & applies[counted.area] & counted_by(rule, columns, names)
    rows = np.flatnonzero(mine & ~np.isnan(columns.p))
    days = city.day[city.log.columns.excess]
    first_day = int(days.min(initial=10**7))
    width = max(int(days.max(initial=0)) - first_day + 1, 0)
    stream = columns.kind[rows] * len(names.syndromes) + columns.syndrome[rows]
    known, place = np.unique(stream, return_inverse=True)
    told = [divmod(int(one), len(names.syndromes)) for one in known]
    named = [(names.kinds[kind], names.syndromes[syndrome]) for kind, syndrome in told]
    # In the order of their names, as live reads them: sums of floats are the same to the last bit.
    order = sorted(range(len(named)), key=named.__getitem__)
    values = np.full((len(named), len(counted.areas), width), np.nan)
    at = np.argsort(np.array(order, dtype=np.int64))[place] if named else place
    values[at, counted.area[rows], city.day[rows] - first_day] = city.mid[rows]
    return Streams([named[one] for one in order], values, first_day)


def _within(
    versions: Sequence[Rule], judging: Judging, area_ids: Sequence[str]
) -> Iterator[Within]:
    """Of each area, the rows in reach that light a point under some version."""
    city, tree, counted = judging.city, judging.tree, judging.counted
    columns = city.log.columns
    lit = np.zeros(len(columns), dtype=np.bool_)
    for rule in versions:
        lit |= lit_under(rule, columns, city.log.names)
    rows = np.flatnonzero(lit & (counted.area >= 0))
    rows = rows[np.argsort(counted.area[rows], kind="stable")]
    bounds = np.searchsorted(counted.area[rows], np.arange(len(counted.areas) + 1))
    own_rows = {
        area_id: rows[bounds[code] : bounds[code + 1]] for code, area_id in enumerate(counted.areas)
    }
    reach = reach_of(versions)
    below = _Below(city, tree, np.flatnonzero(lit), counted.told_area)
    for area_id in area_ids:
        own = own_rows[area_id]
        if not len(own):
            continue
        others = np.zeros(0, dtype=own.dtype)
        parent_id = tree.lines[area_id].parent_id
        if reach == "neighbours":
            near = sorted(tree.neighbours.get(area_id, ()))
            others = np.concatenate([others, *(own_rows[one] for one in near if one in own_rows)])
        elif reach == "parent" and parent_id is not None:
            others = np.setdiff1d(below.rows_of(parent_id), own, assume_unique=True)
        # Rows are in order of time, so their numbers are too.
        all_rows = np.sort(np.concatenate([own, others]))
        of_parent = np.zeros(len(all_rows), dtype=np.bool_)
        if reach == "parent":
            of_parent = columns.excess[all_rows] & ~np.isin(all_rows, own)
        yield Within(area_id, all_rows, np.isin(all_rows, own), of_parent)


class _Below:
    """The rows of a parent: events anywhere below it, and its own sums, not those of its
    children."""

    def __init__(self, city: CityLog, tree: AreaTree, rows: Array, told_area: Array) -> None:
        self._city, self._tree, self._rows, self._told = city, tree, rows, told_area
        self._found: dict[str, Array] = {}

    def rows_of(self, parent_id: str) -> Array:
        if parent_id not in self._found:
            lines = [self._tree.lines.get(area_id) for area_id in self._city.areas]
            inside = np.array([line is not None and parent_id in line.area_ids for line in lines])
            itself = np.array([area_id == parent_id for area_id in self._city.areas])
            told = self._told[self._rows]
            excess = self._city.log.columns.excess[self._rows]
            mine = np.where(excess, itself[told], inside[told]) & (told >= 0)
            self._found[parent_id] = self._rows[mine]
        return self._found[parent_id]


def reach_of(versions: Sequence[Rule]) -> Reach:
    """How far a rule looks, which its highest version states for all."""
    return max(versions, key=lambda rule: rule.version).reach


def _judge(
    versions: tuple[Rule, ...], judging: Judging, batch: Sequence[Within]
) -> Iterator[Found]:
    log = replace(judging.city.log, agreed=judging.agreed)
    columns = log.columns.take(np.concatenate([one.rows for one in batch]))
    own = np.concatenate([one.own for one in batch])
    offsets = np.cumsum([0, *(len(one.rows) for one in batch)])
    columns = replace(columns, own=own)
    columns, log = _as_one_point(columns, log, batch, offsets)
    quiet = quiet_time(versions)
    for one in stretches(versions, log, columns, offsets):
        within = batch[one.group]
        first_at, last_at = (
            instant(columns.at[place]) for place in (one.places[0], one.places[-1])
        )
        yield Found(
            within.area_id,
            versions,
            one.rule,
            instant(one.held_at),
            first_at,
            last_at,
            last_at + quiet if quiet is not None else None,
            partial(_decision, judging, one, within, (columns.row[one.places], own[one.places])),
        )


def _as_one_point(
    columns: Columns, log: SignalLog, batch: Sequence[Within], offsets: Array
) -> tuple[Columns, SignalLog]:
    """The parent's sums hold the area's own persons: of one kind they are one point of the
    area."""
    if not any(one.of_parent.any() for one in batch):
        return columns, log
    point = columns.point.copy()
    kinds = len(log.names.kinds)
    of_parent = np.concatenate([one.of_parent for one in batch])
    group = np.repeat(np.arange(len(batch)), np.diff(offsets))
    folded = of_parent | (columns.excess & columns.own)
    point[folded] = log.names.points + group[folded] * kinds + columns.kind[folded]
    names = replace(log.names, points=log.names.points + len(batch) * kinds)
    return replace(columns, point=point), replace(log, names=names)


def _decision(
    judging: Judging, stretch: Stretch, within: Within, told: tuple[Array, Array]
) -> Decision:
    """The records of an alert; `told` are its rows and which of them lie in the area itself."""
    signals = []
    for row, own in zip(told[0].tolist(), told[1].tolist(), strict=True):
        signal = judging.city.log.signal(row)
        if not own:
            parent = signal.excess is not None and within.of_parent.any()
            point_id = within.area_id if parent else signal.point_id
            signal = replace(signal, own=False, point_id=point_id)
        elif judging.agreements and signal.excess is not None:
            signal = replace(signal, consents=judging.consents(signal.excess, row))
        signals.append(signal)
    signals.sort(key=lambda signal: (signal.occurred_at, signal.id))
    return Decision(stretch.rule, tuple(signals), instant(stretch.held_at))
