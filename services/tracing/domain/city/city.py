"""The city as it stands at one moment, and how the next one is made from it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.tracing.domain.city import kernels
from services.tracing.domain.city.block import (
    Block,
    EncounterBlock,
    Meetings,
    Stays,
    all_stays,
    no_meetings,
    no_stays,
)
from services.tracing.domain.city.numbers import Numbers
from services.tracing.domain.city.segment import Segment, changed_encounters, whole
from services.tracing.domain.city.times import DAY, NEVER, SEGMENT_OFFSET, day_start

Array = NDArray[Any]
# The day of stays that began before the look-back and reached into it, and of memberships.
BEFORE = -(2**31)


@dataclass(slots=True)
class Ids:
    """Numbers shared by a city and all that follow from it; they only grow."""

    persons: Numbers = field(default_factory=Numbers)
    places: Numbers = field(default_factory=Numbers)
    groups: Numbers = field(default_factory=Numbers)
    kinds: list[str] = field(default_factory=list)

    def kind(self, name: str) -> int:
        if name not in self.kinds:
            self.kinds.append(name)
        return self.kinds.index(name)


@dataclass(frozen=True, slots=True)
class Change:
    """What a refresh found: rows to take away and rows to add, numbered already."""

    gone: Stays = field(default_factory=no_stays)
    new: Stays = field(default_factory=no_stays)
    left_groups: Stays = field(default_factory=no_stays)
    joined_groups: Stays = field(default_factory=no_stays)
    gone_encounters: Meetings = field(default_factory=no_meetings)
    new_encounters: Meetings = field(default_factory=no_meetings)
    # Numbers of places or groups with the number of their kind now.
    place_kinds: Mapping[int, int] = field(default_factory=dict)
    group_kinds: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class City:
    """Never changed. `first_day` is the first day of which everything is here."""

    ids: Ids
    persons: int
    segments: Mapping[int, Segment]
    groups: Segment
    encounters: Mapping[int, EncounterBlock]
    kind_of_place: Array
    kind_of_group: Array
    # The longest stay with a known departure, by place: how far back a look must reach.
    reach: Array
    first_day: int

    @property
    def visits(self) -> int:
        return sum(len(segment) for segment in self.segments.values())

    @property
    def bytes(self) -> int:
        """Of all arrays; the visits' share is `visit_bytes`."""
        encounters = sum(block.bytes for block in self.encounters.values())
        return self.visit_bytes + self.groups.bytes + encounters

    @property
    def visit_bytes(self) -> int:
        numbers = (self.ids.persons, self.ids.places)
        tables = sum(one.bytes for one in numbers)
        kept = tables + int(self.kind_of_place.nbytes) + int(self.reach.nbytes)
        return kept + sum(segment.bytes for segment in self.segments.values())

    def covers(self, from_at: int, longest_dwell: int) -> bool:
        """Whether every stay that reaches into a time from then on is here, whoever judges how long
        a stay without a departure lasts."""
        return from_at - longest_dwell >= day_start(self.first_day)

    def blocks(self, until_at: int) -> Iterator[Block]:
        """The blocks of stays that began before then."""
        last_day = (until_at + SEGMENT_OFFSET) // DAY
        for day, segment in self.segments.items():
            if day <= last_day:
                yield from segment

    def with_change(self, change: Change, *, first_day: int) -> City:
        """The city after a refresh; days before `first_day` are let go."""
        persons = self.ids.persons.count
        places, groups = self.ids.places.count, self.ids.groups.count
        kind_of_place = _with_kinds(self.kind_of_place, places, change.place_kinds)
        kind_of_group = _with_kinds(self.kind_of_group, groups, change.group_kinds)
        reach = self.reach
        if len(change.new) or len(reach) < places:
            reach = np.zeros(places, dtype=np.int64)
            reach[: len(self.reach)] = self.reach
            kernels.longest_stays(change.new.place, change.new.arrived, change.new.left, reach)
        segments = dict(self.segments)
        for day, gone, new in _by_day(change.gone, change.new, self.first_day):
            before = segments.get(day)
            if before is None:
                segments[day] = whole(new, persons=persons, places=places)
            else:
                segments[day] = before.changed(
                    gone=gone, new=new, persons=persons, places=places, strict=day != BEFORE
                )
        groups_now = self.groups
        if len(change.left_groups) or len(change.joined_groups):
            groups_now = self.groups.changed(
                gone=change.left_groups,
                new=change.joined_groups,
                persons=persons,
                places=groups,
                strict=True,
            )
        city = replace(
            self,
            persons=persons,
            segments=segments,
            groups=groups_now,
            encounters=self._encounters(change, persons),
            kind_of_place=kind_of_place,
            kind_of_group=kind_of_group,
            reach=reach,
        )
        return city.without_days_before(first_day) if first_day > self.first_day else city

    def _encounters(self, change: Change, persons: int) -> Mapping[int, EncounterBlock]:
        gone, new = change.gone_encounters, change.new_encounters
        if not (len(gone) or len(new)):
            return self.encounters
        blocks = dict(self.encounters)
        gone_days, new_days = _days(gone.started), _days(new.started)
        for day in sorted({*gone_days.tolist(), *new_days.tolist()}):
            if day < self.first_day:
                continue
            blocks[day] = changed_encounters(
                blocks.get(day),
                gone=gone.where(gone_days == day),
                new=new.where(new_days == day),
                persons=persons,
            )
        return blocks

    def without_days_before(self, first_day: int) -> City:
        """Let old days go; stays that reach past them are kept."""
        start = day_start(first_day)
        staying = no_stays()
        kept = {}
        for day, segment in self.segments.items():
            if day >= first_day:
                kept[day] = segment
            else:
                rows = segment.stays()
                staying += rows.where((rows.left > start) & (rows.left != NEVER))
        if len(staying):
            places = len(self.reach)
            kept[BEFORE] = whole(staying, persons=self.persons, places=places)
        encounters = {day: block for day, block in self.encounters.items() if day >= first_day}
        # The smallest day first: readers go through them in this order.
        ordered = dict(sorted(kept.items()))
        return replace(self, segments=ordered, encounters=encounters, first_day=first_day)


def _with_kinds(kinds: Array, size: int, changes: Mapping[int, int]) -> Array:
    if not changes and len(kinds) == size:
        return kinds
    found = np.zeros(size, dtype=np.int32)
    found[: len(kinds)] = kinds
    for number, kind in changes.items():
        found[number] = kind
    return found


def _days(at: Array) -> Array:
    days: Array = (at + SEGMENT_OFFSET) // DAY
    return days


def segment_days(stays: Stays, first_day: int) -> Array:
    """The segment of each stay: the day it began, or `BEFORE` when that is before the look-back."""
    days = _days(stays.arrived)
    days[days < first_day] = BEFORE
    return days


def _by_day(gone: Stays, new: Stays, first_day: int) -> Iterator[tuple[int, Stays, Stays]]:
    gone_days, new_days = segment_days(gone, first_day), segment_days(new, first_day)
    for day in sorted({*gone_days.tolist(), *new_days.tolist()}):
        yield day, gone.where(gone_days == day), new.where(new_days == day)


@dataclass(frozen=True, slots=True)
class CityRows:
    """All rows of a city, numbered. The stays of each segment are let go when it is sorted."""

    stays: dict[int, list[Stays]] = field(default_factory=dict)
    memberships: Stays = field(default_factory=no_stays)
    encounters: Meetings = field(default_factory=no_meetings)
    place_kinds: Mapping[int, int] = field(default_factory=dict)
    group_kinds: Mapping[int, int] = field(default_factory=dict)


def found_city(
    ids: Ids, rows: CityRows, *, first_day: int, each: Callable[..., Iterator[Any]] = map
) -> City:
    """A city from all its rows. `each` maps, by several threads if it likes."""
    persons, places, groups = ids.persons.count, ids.places.count, ids.groups.count

    def sorted_day(day: int) -> tuple[Segment, Array]:
        stays, reach = all_stays(rows.stays.pop(day)), np.zeros(places, dtype=np.int64)
        kernels.longest_stays(stays.place, stays.arrived, stays.left, reach)
        return whole(stays, persons=persons, places=places), reach

    days = sorted(rows.stays)
    segments, reach = {}, np.zeros(places, dtype=np.int64)
    for day, (segment, longest) in zip(days, each(sorted_day, days), strict=True):
        segments[day] = segment
        np.maximum(reach, longest, out=reach)
    nobody = np.zeros(0, dtype=np.int32)
    began_on = _days(rows.encounters.started)
    blocks = {
        int(day): changed_encounters(
            None, gone=no_meetings(), new=rows.encounters.where(began_on == day), persons=persons
        )
        for day in np.unique(began_on)
        if day >= first_day
    }
    return City(
        ids=ids,
        persons=persons,
        segments=segments,
        groups=whole(rows.memberships, persons=persons, places=groups),
        encounters=blocks,
        kind_of_place=_with_kinds(nobody, places, rows.place_kinds),
        kind_of_group=_with_kinds(nobody, groups, rows.group_kinds),
        reach=reach,
        first_day=first_day,
    )
