"""Signals as columns: what a sweep over millions of them reads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from services.alerts.domain.rules import Rule, version_in_force
from services.alerts.domain.signals import Signal

Array = NDArray[Any]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
MILLIONTHS = 1_000_000


def micros(at: datetime) -> int:
    """Whole microseconds since 1970 UTC, the precision of the tables."""
    return (at - EPOCH) // MICROSECOND


def instant(at: int) -> datetime:
    return EPOCH + int(at) * MICROSECOND


class Demands(NamedTuple):
    """What a window must hold; times in microseconds, weights in millionths."""

    window: int
    points: int
    kinds: int
    persons: int
    households: int
    own_points: int
    weight: int
    consents: int
    count_unlinked: int


class Marks(NamedTuple):
    """Per signal: the version is in force then, no ended alert used it up, it lies in the area
    itself, and its area's streams agree on its day."""

    in_force: Array
    fresh: Array
    own: Array
    agreed: Array


class Codes(NamedTuple):
    """Per signal, dense numbers of its point, kind, person and household."""

    point: Array
    kind: Array
    person: Array
    household: Array


@dataclass(frozen=True, slots=True)
class Names:
    """What the codes stand for, and how many of each there are."""

    kinds: Sequence[str]
    syndromes: Sequence[str]
    points: int
    persons: int
    households: int

    @property
    def sizes(self) -> tuple[int, int, int, int]:
        return (self.points, len(self.kinds), self.persons, self.households)


@dataclass(frozen=True, slots=True)
class Columns:
    """One value per signal, all arrays of one length.

    `at` microseconds; `point`, `kind`, `person`, `household`, `syndrome` codes of `Names` (-1:
    none; a person without a household has a code of its own there); `unlinked` persons who are not
    named. `excess`: a day of a series, with its `p` (NaN: none) and whether its count is `over` the
    limit. `row` is the number under which its signal is made.
    """

    at: Array
    point: Array
    kind: Array
    person: Array
    household: Array
    syndrome: Array
    unlinked: Array
    excess: Array
    p: Array
    over: Array
    own: Array
    fresh: Array
    row: Array

    def take(self, index: Array) -> Columns:
        return Columns(*(getattr(self, one.name)[index] for one in fields(self)))

    def __len__(self) -> int:
        return len(self.at)


@dataclass(frozen=True, slots=True)
class SignalLog:
    """Columns in order of event time, their names, and how a row's signal is made.

    `agreed` says of each row whether the streams of its area agree on its day under a version.
    """

    columns: Columns
    names: Names
    signal: Callable[[int], Signal]
    agreed: Callable[[Rule, Array], Array]

    @classmethod
    def of(cls, signals: Iterable[Signal]) -> Self:
        """The columns of these signals; their order does not matter."""
        ordered = sorted(signals, key=lambda signal: (signal.occurred_at, signal.id))
        columns, names = _columns_of(ordered)

        def agreed(rule: Rule, rows: Array) -> Array:
            found = (ordered[row].consent_of(rule.version) for row in rows)
            return np.array([bool(one and one.lit) for one in found], dtype=np.bool_)

        return cls(columns, names, ordered.__getitem__, agreed)


def _columns_of(ordered: Sequence[Signal]) -> tuple[Columns, Names]:
    points, kinds, persons, households, syndromes = Coder(), Coder(), Coder(), Coder(), Coder()
    excesses = [signal.excess for signal in ordered]
    columns = Columns(
        at=np.array([micros(one.occurred_at) for one in ordered], dtype=np.int64),
        point=points.codes(one.point for one in ordered),
        kind=kinds.codes(one.point_kind for one in ordered),
        person=persons.codes(one.person_id for one in ordered),
        household=households.codes(one.household for one in ordered),
        syndrome=syndromes.codes(one.syndrome if one else None for one in excesses),
        unlinked=np.array([one.unlinked_count for one in ordered], dtype=np.int64),
        excess=np.array([one is not None for one in excesses], dtype=np.bool_),
        p=np.array(
            [np.nan if one is None or one.p is None else one.p for one in excesses],
            dtype=np.float64,
        ),
        over=np.array([one is not None and one.over for one in excesses], dtype=np.bool_),
        own=np.array([one.own for one in ordered], dtype=np.bool_),
        fresh=np.array([not one.spent for one in ordered], dtype=np.bool_),
        row=np.arange(len(ordered)),
    )
    names = Names(kinds.names, syndromes.names, len(points), len(persons), len(households))
    return columns, names


def nobody_agrees(_rule: Rule, rows: Array) -> Array:
    """Where no streams are looked at together."""
    return np.zeros(len(rows), dtype=np.bool_)


class Coder:
    """Gives things dense numbers in order of their coming; None has none (-1)."""

    def __init__(self) -> None:
        self._codes: dict[Any, int] = {}

    def codes(self, things: Iterable[Any]) -> Array:
        known = self._codes
        return np.array(
            [-1 if thing is None else known.setdefault(thing, len(known)) for thing in things],
            dtype=np.int32,
        )

    def code(self, thing: Any) -> int:
        return self._codes.setdefault(thing, len(self._codes))

    @property
    def names(self) -> list[Any]:
        return list(self._codes)

    def __len__(self) -> int:
        return len(self._codes)


def lit_under(rule: Rule, columns: Columns, names: Names) -> Array:
    """Which of these signals light a point under a version of a rule."""
    by_event = np.array(
        [kind in rule.point_kinds - rule.excess_kinds for kind in names.kinds], dtype=np.bool_
    )
    lit = ~columns.excess & by_event[columns.kind]
    if columns.excess.any():
        asked = [rule.terms_of(kind).p_below for kind in names.kinds]
        ask = np.array([np.nan if one is None else one for one in asked])[columns.kind]
        # A method without a p-value (a fixed count) has its limit.
        by_limit = np.isnan(ask) | np.isnan(columns.p)
        enough = np.where(by_limit, columns.over, columns.p <= ask)
        lit |= columns.excess & enough & counted_by(rule, columns, names)
    return lit


def counted_by(rule: Rule, columns: Columns, names: Names) -> Array:
    """Which rows are days of series that the rule looks at, whatever they show."""
    wanted = np.zeros((len(names.kinds), len(names.syndromes) + 1), dtype=np.bool_)
    for code, kind in enumerate(names.kinds):
        asked = rule.terms_of(kind).syndromes
        if kind in rule.excess_kinds:
            wanted[code, :-1] = [not asked or name in asked for name in names.syndromes]
    return np.asarray(wanted[columns.kind, columns.syndrome])


def in_force(versions: Sequence[Rule], rule: Rule, at: Array) -> Array:
    """Whether this very version is the one in force at each instant."""
    if len(versions) == 1 and rule.from_at is None and rule.until_at is None:
        return np.ones(len(at), dtype=np.bool_)
    turns = sorted(
        {
            micros(turn)
            for version in versions
            for turn in (version.from_at, version.until_at)
            if turn is not None
        }
    )
    # Between two turns one version is in force: ask at the first instant of each stretch.
    starts = [-(2**62), *turns]
    holding = np.array([version_in_force(versions, _at(start)) is rule for start in starts])
    return np.asarray(holding[np.searchsorted(np.array(starts), at, side="right") - 1])


def _at(start: int) -> datetime:
    return datetime.min.replace(tzinfo=UTC) if start < -(2**61) else instant(start)


def demands_of(rule: Rule) -> Demands:
    return Demands(
        window=rule.window // MICROSECOND,
        points=rule.min_points,
        kinds=rule.min_kinds,
        persons=rule.min_persons,
        households=rule.min_households,
        own_points=rule.min_own_points,
        weight=round(rule.min_weight * MILLIONTHS),
        consents=int(rule.consensus is not None),
        count_unlinked=int(rule.count_unlinked),
    )


def told_of(
    versions: Sequence[Rule], rule: Rule, log: SignalLog, columns: Columns
) -> tuple[Codes, Marks, Array, Array]:
    """What the loop over windows asks of each signal under a version."""
    weights = np.array(
        [round(rule.terms_of(kind).weight * MILLIONTHS) for kind in log.names.kinds],
        dtype=np.int64,
    )
    agreed = (
        np.zeros(len(columns), dtype=np.bool_)
        if rule.consensus is None
        else log.agreed(rule, columns.row) & columns.own
    )
    return (
        Codes(columns.point, columns.kind, columns.person, columns.household),
        Marks(in_force(versions, rule, columns.at), columns.fresh, columns.own, agreed),
        columns.unlinked,
        weights[columns.kind] if len(weights) else np.zeros(0, dtype=np.int64),
    )
