"""All that was seen in a city, as columns: single signals and the days of series, with the areas
in which they count."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields, replace
from datetime import date
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from services.alerts.domain.areas import AreaTree
from services.alerts.domain.columns import (
    Coder,
    Columns,
    Names,
    SignalLog,
    instant,
    micros,
    nobody_agrees,
)
from services.alerts.domain.consensus import mid_p
from services.alerts.domain.excess import Excess
from services.alerts.domain.signals import Signal, last_instant_of, signal_of_excess, surplus

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class EventArrays:
    """Single signals, one value each per signal, in any order.

    `at` microseconds since 1970 UTC; `kind`, `point`, `area`, `home` numbers in the lists of the
    city (`home` -1: unknown); `person` and `household` numbers (-1: nobody named, none known);
    `persons` counts where nobody is named. `ids` makes the signal's id of its number here,
    `person_ids` and `household_ids` those of the persons and households.
    """

    at: Array
    kind: Array
    point: Array
    area: Array
    home: Array
    person: Array
    household: Array
    persons: Array
    ids: Callable[[int], UUID]
    person_ids: Callable[[int], UUID]
    household_ids: Callable[[int], UUID]


@dataclass(frozen=True, slots=True)
class CityLog:
    """All signals of a city in order of event time.

    `place_area` and `home_area` are, per row, the number in `areas` of the area that counts (-1:
    unknown); `day` (ordinal) and `mid` (mid-p) are those of a series' day, elsewhere -1 and NaN.
    """

    log: SignalLog
    place_area: Array
    home_area: Array
    areas: Sequence[str]
    day: Array
    mid: Array

    @classmethod
    def of(cls, signals: Iterable[tuple[Signal, str | None]]) -> CityLog:
        """Signals, each with the area of its person's residence; their order does not matter."""
        ordered = sorted(signals, key=lambda one: (one[0].occurred_at, one[0].id))
        areas = Coder()
        place_area = areas.codes(signal.area_id for signal, _ in ordered)
        home_area = areas.codes(
            signal.area_id if signal.excess else home for signal, home in ordered
        )
        log = SignalLog.of([signal for signal, _ in ordered])
        excesses = [signal.excess for signal, _ in ordered]
        return cls(log, place_area, home_area, areas.names, _days(excesses), _mid(excesses, log))


def _days(excesses: Sequence[Excess | None]) -> Array:
    return np.array([one.day.toordinal() if one else -1 for one in excesses], dtype=np.int32)


def _mid(excesses: Sequence[Excess | None], log: SignalLog) -> Array:
    observed = np.array([one.observed if one else 0 for one in excesses], dtype=np.float64)
    expected = np.array(
        [one.expected if one and one.expected is not None else np.nan for one in excesses],
        dtype=np.float64,
    )
    return mid_p(log.columns.p, observed, expected)


def city_log(
    events: EventArrays,
    lists: tuple[Sequence[str], Sequence[str], Sequence[str]],
    excesses: Sequence[Excess],
    tree: AreaTree,
) -> CityLog:
    """A city's log from arrays; `lists` are the names of kinds, points and areas.

    The days of all series belong here, whatever their p-value: consensus looks at the quiet ones
    too.
    """
    kinds, points, areas = lists
    kind_codes, area_codes, syndromes = Coder(), Coder(), Coder()
    kind_codes.codes(kinds)
    area_codes.codes(areas)
    event_points = len(kinds) * len(points)
    sums = _SumRows(excesses, tree, (kind_codes, area_codes, syndromes), event_points)
    of_events = _event_columns(events, len(points))
    columns = Columns(
        *(
            np.concatenate([getattr(of_events, one.name), getattr(sums.columns, one.name)])
            for one in fields(Columns)
        )
    )
    order = np.argsort(columns.at, kind="stable")
    columns = replace(columns.take(order), row=np.arange(len(columns)))
    persons = int(events.person.max(initial=-1)) + 1
    households = int(columns.household.max(initial=-1)) + 1
    count_of_points = event_points + sums.points
    names = Names(kind_codes.names, syndromes.names, count_of_points, persons, households)
    count = len(events.at)

    def signal(row: int) -> Signal:
        place = int(order[row])
        if place >= count:
            return sums.signal(place - count)
        return _event_signal(events, lists, place)

    excess_area = sums.area
    log = SignalLog(columns, names, signal, nobody_agrees)
    return CityLog(
        log,
        np.concatenate([events.area, excess_area])[order],
        np.concatenate([events.home, excess_area])[order],
        area_codes.names,
        np.concatenate([np.full(count, -1, dtype=np.int32), sums.day])[order],
        np.concatenate([np.full(count, np.nan), sums.mid])[order],
    )


def _event_columns(events: EventArrays, points: int) -> Columns:
    count = len(events.at)
    most = int(events.household.max(initial=-1)) + 1
    named = events.person >= 0
    # A person of no known household is one alone.
    alone = np.where(named, most + events.person, -1)
    nothing = np.zeros(count, dtype=np.bool_)
    return Columns(
        at=events.at.astype(np.int64),
        # One door of two kinds is two points.
        point=(events.kind * points + events.point).astype(np.int32),
        kind=events.kind.astype(np.int32),
        person=events.person.astype(np.int32),
        household=np.where(events.household >= 0, events.household, alone).astype(np.int32),
        syndrome=np.full(count, -1, dtype=np.int32),
        unlinked=np.where(named, 0, events.persons).astype(np.int64),
        excess=nothing,
        p=np.full(count, np.nan),
        over=nothing,
        own=~nothing,
        fresh=~nothing,
        row=np.arange(count),
    )


def _event_signal(
    events: EventArrays,
    lists: tuple[Sequence[str], Sequence[str], Sequence[str]],
    place: int,
) -> Signal:
    kinds, points, areas = lists
    person, household = int(events.person[place]), int(events.household[place])
    return Signal(
        events.ids(place),
        kinds[events.kind[place]],
        points[events.point[place]],
        instant(events.at[place]),
        events.person_ids(person) if person >= 0 else None,
        int(events.persons[place]),
        area_id=areas[events.area[place]] if events.area[place] >= 0 else None,
        household_id=events.household_ids(household) if household >= 0 else None,
    )


class _SumRows:
    """The days of series as rows."""

    def __init__(
        self,
        excesses: Sequence[Excess],
        tree: AreaTree,
        coders: tuple[Coder, Coder, Coder],
        points_before: int,
    ) -> None:
        kinds, areas, syndromes = coders
        count = len(excesses)
        self._excesses = excesses
        self._zones = {
            area_id: tree.lines[area_id].zone if area_id in tree.lines else "UTC"
            for area_id in {one.area_id for one in excesses}
        }
        self.area = areas.codes(one.area_id for one in excesses)
        self.day = np.array([one.day.toordinal() for one in excesses], dtype=np.int32)
        points = Coder()
        point = points.codes((one.point_kind, one.area_id) for one in excesses)
        self.points = len(points)
        observed = np.array([one.observed for one in excesses], dtype=np.float64)
        expected = _floats(one.expected for one in excesses)
        p = _floats(one.p for one in excesses)
        self.mid = mid_p(p, observed, expected)
        nobody = np.full(count, -1, dtype=np.int32)
        every = np.ones(count, dtype=np.bool_)
        self.columns = Columns(
            at=self._instants(),
            point=(point + points_before).astype(np.int32),
            kind=kinds.codes(one.point_kind for one in excesses),
            person=nobody,
            household=nobody,
            syndrome=syndromes.codes(one.syndrome for one in excesses),
            unlinked=np.array(
                [surplus(one.observed, one.expected) for one in excesses], dtype=np.int64
            ),
            excess=every,
            p=p,
            over=np.array([one.over for one in excesses], dtype=np.bool_),
            own=every,
            fresh=every,
            row=np.arange(count),
        )

    def _instants(self) -> Array:
        known: dict[tuple[date, str], int] = {}
        found = np.zeros(len(self._excesses), dtype=np.int64)
        for place, one in enumerate(self._excesses):
            key = (one.day, self._zones[one.area_id])
            if key not in known:
                known[key] = micros(last_instant_of(*key))
            found[place] = known[key]
        return found

    def signal(self, place: int) -> Signal:
        excess = self._excesses[place]
        return signal_of_excess(excess, self._zones[excess.area_id], point_area_id=excess.area_id)


def _floats(values: Iterable[float | None]) -> Array:
    return np.array([np.nan if one is None else one for one in values], dtype=np.float64)
