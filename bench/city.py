"""A made-up city of any size, two weeks of it: who was where, and when.

It becomes larger, never denser: the same crowds at twice as many places. So what a question about
one person costs may be compared between sizes. Everything follows from the seed.

    city = make_city(81_400)        # ten million visits; 8_140 one million, 407_000 fifty millions
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from uuid import UUID
from zoneinfo import ZoneInfo

import numpy as np

from bench.city_days import (
    DAY,
    HOUR,
    LINE_BUSES,
    NEVER,
    NOTHING,
    PUPIL,
    STAFF,
    WORKER,
    Rows,
    Town,
    make_day,
)
from bench.city_dice import Array, below, mixed, shares, shuffled

DAYS = 14
# A Monday.
START = datetime(2021, 3, 1, tzinfo=ZoneInfo("Asia/Shanghai"))
PERSONS_FOR = {"1M": 8_140, "10M": 81_400, "50M": 407_000, "140M": 1_140_000}

PLACE_KINDS = (
    "gate", "checkpoint", "work", "school", "bus",
    "venue", "shop", "restaurant", "market", "clinic", "pharmacy",
)  # fmt: skip
# Of the venues, the kinds from `venue` on.
VENUE_SHARES = (0.40, 0.25, 0.20, 0.10, 0.02, 0.03)
GROUP_KINDS = ("household", "carriage")

DISTRICT_PERSONS = 20_350
COMPOUND_PERSONS = 1_500
LINE_PERSONS = 4_000
CHECKPOINT_PERSONS = 1_500
VENUE_PERSONS = 45
LOBBY_WORKERS = 800
CLASS_PUPILS = 40
UNIT_WORKERS_LEAST, UNIT_WORKERS_MOST = 8, 300
# One venue in so many has staff that is seen coming and going: the busiest ones.
STAFFED_VENUES = 30
VENUE_STAFF = 4
# The crowd of a venue is Pareto(1.3); one venue cannot hold more than this many small ones.
CROWD_MOST = 80.0
CARRIAGE_SEATS = 60
CARRIAGE_TRIPS = 0.06
MOVED_SHARE = 0.01
HOUSEHOLD_SHARES = (0.20, 0.28, 0.25, 0.17, 0.07, 0.03)
ROWS_PER_PERSON_DAY = 32


@dataclass(frozen=True)
class Visits:
    """In the order of arrival. `left` is NEVER where nobody saw the person leave."""

    person: Array
    place: Array
    arrived: Array
    left: Array

    def __len__(self) -> int:
        return len(self.person)


@dataclass(frozen=True)
class Memberships:
    """`kind` counts in GROUP_KINDS; `until_at` is NEVER where no end is known."""

    person: Array
    group: Array
    kind: Array
    from_at: Array
    until_at: Array

    def __len__(self) -> int:
        return len(self.person)


@dataclass(frozen=True)
class Encounters:
    """What two telephones measured of each other, in whole seconds."""

    person: Array
    other_person: Array
    started: Array
    seconds: Array

    def __len__(self) -> int:
        return len(self.person)


@dataclass(frozen=True)
class City:
    """Persons, places and groups are numbers from 0; times whole microseconds since 1970, UTC."""

    seed: int
    persons: int
    start: int
    days: int
    visits: Visits
    memberships: Memberships
    # By place number, counting in PLACE_KINDS.
    place_kind: Array
    groups: int
    household: Array
    # Persons who stay at a busy venue all their shift, those of the busiest first.
    venue_staff: Array

    @property
    def end(self) -> int:
        return self.start + self.days * DAY

    @property
    def places(self) -> int:
        return len(self.place_kind)

    @property
    def super_spreaders(self) -> Array:
        """The staff of the busiest venue."""
        return self.venue_staff[:VENUE_STAFF]

    @cached_property
    def person_ids(self) -> Array:
        return uuid_bytes("person", np.arange(self.persons))

    @cached_property
    def place_ids(self) -> Array:
        return uuid_bytes("place", np.arange(self.places))

    @cached_property
    def group_ids(self) -> Array:
        return uuid_bytes("group", np.arange(self.groups))

    def person_id(self, person: int) -> UUID:
        return UUID(bytes=self.person_ids[person].tobytes())

    def place_id(self, place: int) -> UUID:
        return UUID(bytes=self.place_ids[place].tobytes())

    def longest_stays(self) -> Array:
        """By place number: microseconds of the longest stay whose end is known."""
        known = np.flatnonzero(self.visits.left != NEVER)
        longest = np.zeros(self.places, dtype=np.int64)
        stays = self.visits.left[known] - self.visits.arrived[known]
        np.maximum.at(longest, self.visits.place[known], stays)
        return longest


def uuid_bytes(kind: str, numbers: Array) -> Array:
    """16 bytes for each number, in an order that is not theirs; no two are equal."""
    high = shuffled(numbers, kind)
    low = mixed(high + numbers.astype(np.uint64))
    words = np.empty((len(numbers), 2), dtype=">u8")
    # Version 8, "as the maker likes", and the variant of RFC 9562.
    words[:, 0] = high & ~np.uint64(0xF000) | np.uint64(0x8000)
    words[:, 1] = low >> np.uint64(2) | np.uint64(1 << 63)
    return words.view(np.uint8)


def make_city(
    persons: int,
    *,
    seed: int = 2021,
    days: int = DAYS,
    on_day: Callable[[int], object] | None = None,
) -> City:
    """About 8.8 visits a person and day. `on_day` is told each day that is ready."""
    start = int(START.timestamp()) * 1_000_000
    town, place_kind, staff = _make_town(persons, seed)
    capacity = persons * ROWS_PER_PERSON_DAY
    rows = Rows(
        np.empty(capacity, np.int32), np.empty(capacity, np.int32), np.empty(capacity, np.int64),
        np.empty(capacity, np.int64), np.zeros(1, np.int64), np.zeros(1, np.uint64),
    )  # fmt: skip
    kept: list[tuple[Array, ...]] = []
    for day in range(days):
        make_day(rows, town, seed, day, start)
        count = int(rows.used[0])
        # A stable order: which of two simultaneous rows comes first must not depend on the machine.
        order = np.argsort(rows.arrived[:count], kind="stable")
        kept.append((rows.person[order], rows.place[order], rows.arrived[order], rows.left[order]))
        if on_day is not None:
            on_day(day)
    del rows
    # Column by column, so that never more than one of them is held twice.
    columns = [list(column) for column in zip(*kept, strict=True)]
    kept.clear()
    person, place, arrived, left = (np.concatenate(columns.pop(0)) for _ in range(4))
    household, households = _households(persons, seed)
    memberships, groups = _memberships(household, households, start, days, seed)
    visits = Visits(person, place, arrived, left)
    return City(
        seed, persons, start, days, visits, memberships, place_kind, groups, household, staff
    )


def encounters(city: City, count: int, *, seed: int = 7) -> Encounters:
    """Measured encounters in the order of their beginning: mostly few pairs, again and again."""
    each = np.arange(count)
    # Each pair meets about five times, within two days, so that durations add up.
    pair = below(each, f"pair {seed}", max(1, count // 5))
    person = below(pair, f"person {seed}", city.persons)
    near = (person + 1 + below(pair, f"near {seed}", 12)) % city.persons
    anybody = (person + 1 + below(pair, f"anybody {seed}", city.persons - 1)) % city.persons
    other = np.where(shares(pair, f"who {seed}") < 0.8, near, anybody)
    first = below(pair, f"first {seed}", max(1, (city.days - 2) * DAY))
    started = city.start + first + below(each, f"later {seed}", 2 * DAY)
    seconds = 30 + below(each, f"seconds {seed}", 30 * 60)
    order = np.argsort(started, kind="stable")
    return Encounters(
        person[order].astype(np.int32), other[order].astype(np.int32), started[order],
        seconds[order],
    )  # fmt: skip


def _make_town(persons: int, seed: int) -> tuple[Town, Array, Array]:
    """Who lives and works where; the kind of every place; the venue staff."""
    number = np.arange(persons)
    districts = max(1, round(persons / DISTRICT_PERSONS))
    district = number * districts // persons
    per_district = max(5, round(persons / districts / VENUE_PERSONS))
    crowd = shares(np.arange(districts * per_district), f"crowd {seed}")
    crowd = np.minimum((1.0 - crowd) ** (-1 / 1.3), CROWD_MOST)
    part = shares(number, f"part {seed}")
    workers = np.flatnonzero((part >= 0.17) & (part < 0.73))
    pupils = np.flatnonzero(part < 0.17)
    unit, lobby = _units(workers, district, districts, seed)
    school_class, school = _classes(pupils, seed)

    counts = {
        "home gate": (0, -(-persons // COMPOUND_PERSONS)),
        "lobby": (0, int(lobby.max(initial=-1)) + 1),
        "school gate": (0, int(school.max(initial=-1)) + 1),
        "checkpoint": (1, max(2, persons // CHECKPOINT_PERSONS)),
        "unit": (2, int(unit.max(initial=-1)) + 1),
        "class": (3, int(school_class.max(initial=-1)) + 1),
        "bus": (4, -(-persons // LINE_PERSONS) * LINE_BUSES),
        "venue": (5, len(crowd)),
    }
    first = dict(zip(counts, np.cumsum([0] + [n for _, n in counts.values()]), strict=False))
    kinds = np.repeat([kind for kind, _ in counts.values()], [n for _, n in counts.values()])
    steps = np.cumsum(VENUE_SHARES)[:-1]
    kinds[first["venue"] :] += np.searchsorted(
        steps, shares(np.arange(len(crowd)), f"kind {seed}"), side="right"
    )

    workplace, entrance = np.full(persons, -1), np.full(persons, -1)
    workplace[workers], entrance[workers] = first["unit"] + unit, first["lobby"] + lobby
    workplace[pupils] = first["class"] + school_class
    entrance[pupils] = first["school gate"] + school
    staff, at = _venue_staff(workers, crowd, per_district)
    workplace[staff] = first["venue"] + at
    role = np.select([part < 0.17, part < 0.73], [PUPIL, WORKER], NOTHING)
    role[staff] = STAFF
    town = Town(
        role.astype(np.int8), district.astype(np.int32),
        (first["home gate"] + number // COMPOUND_PERSONS).astype(np.int32),
        workplace.astype(np.int32), entrance.astype(np.int32),
        np.concatenate([[0.0], np.cumsum(crowd)]), per_district,
        int(first["venue"]), int(first["bus"]), counts["bus"][1] // LINE_BUSES,
        int(first["checkpoint"]), counts["checkpoint"][1], districts,
    )  # fmt: skip
    return town, kinds.astype(np.int8), staff


def _units(workers: Array, district: Array, districts: int, seed: int) -> tuple[Array, Array]:
    """Work unit and lobby of each worker; four of five work in their own district."""
    anywhere = below(workers, f"where {seed}", districts)
    where = np.where(shares(workers, f"own {seed}") < 0.8, district[workers], anywhere)
    order = np.lexsort((shuffled(workers, f"unit {seed}"), where))
    sizes = 1.0 - shares(np.arange(len(workers)), f"size {seed}")
    sizes = np.minimum(UNIT_WORKERS_LEAST * sizes ** (-1 / 1.6), UNIT_WORKERS_MOST)
    unit, lobby = np.empty(len(workers), np.int64), np.empty(len(workers), np.int64)
    place_in_line = np.arange(len(workers))
    unit[order] = np.searchsorted(np.cumsum(sizes.astype(np.int64)), place_in_line, side="right")
    lobby[order] = place_in_line // LOBBY_WORKERS
    return unit, lobby


def _classes(pupils: Array, seed: int) -> tuple[Array, Array]:
    """Class and school gate of each pupil; children of one neighbourhood go to one school."""
    order = np.lexsort((shuffled(pupils, f"class {seed}"), pupils // LINE_PERSONS))
    school_class, school = np.empty(len(pupils), np.int64), np.empty(len(pupils), np.int64)
    school_class[order] = np.arange(len(pupils)) // CLASS_PUPILS
    school[order] = np.arange(len(pupils)) // (20 * CLASS_PUPILS)
    return school_class, school


def _venue_staff(workers: Array, crowd: Array, per_district: int) -> tuple[Array, Array]:
    """Workers at the busiest venues instead of in a unit, and which venue; busiest first."""
    # Guests are mostly of the district: a venue's part of the district's crowd is what it gets.
    part = crowd.reshape(-1, per_district) / crowd.reshape(-1, per_district).sum(1, keepdims=True)
    venues = np.argsort(-part.ravel(), kind="stable")[: max(1, len(crowd) // STAFFED_VENUES)]
    at = np.repeat(venues, VENUE_STAFF)
    # Of the venue's own district: workers stand in the order of districts.
    districts = len(crowd) // per_district
    near = (at // per_district) * len(workers) // districts
    nth = np.arange(len(at)) * 7
    staff = workers[(near + nth % max(1, len(workers) // districts)) % len(workers)]
    _, kept = np.unique(staff, return_index=True)
    kept.sort()
    return staff[kept], at[kept]


def _households(persons: int, seed: int) -> tuple[Array, int]:
    """The household of each person, and how many there are."""
    steps = np.cumsum(HOUSEHOLD_SHARES)[:-1]
    sizes = 1 + np.searchsorted(
        steps, shares(np.arange(persons), f"household {seed}"), side="right"
    )
    last = np.cumsum(sizes)
    household = np.searchsorted(last, np.arange(persons), side="right")
    return household.astype(np.int32), int(household[-1]) + 1


def _memberships(
    household: Array, households: int, start: int, days: int, seed: int
) -> tuple[Memberships, int]:
    """Who lives with whom, some of whom moved, and who sat in which carriage of a train."""
    persons = len(household)
    size = np.bincount(household)
    living = np.flatnonzero(size[household] > 1)
    moved = living[shares(living, f"moved {seed}") < MOVED_SHARE]
    moved_at = start + below(moved, f"moved at {seed}", days * DAY)
    until_at = np.full(persons, NEVER)
    until_at[moved] = moved_at
    new_home = household[below(moved, f"new home {seed}", persons)]

    trips = np.arange(round(persons * CARRIAGE_TRIPS))
    runs = -(-len(trips) // CARRIAGE_SEATS)
    run = trips // CARRIAGE_SEATS
    traveller = below(trips, f"traveller {seed}", persons)
    departed = start + below(run, f"departed {seed}", days * DAY - 6 * HOUR)
    lasted = HOUR + below(run, f"lasted {seed}", 4 * HOUR)
    boarded = (shares(trips, f"boarded {seed}") * 0.3 * lasted).astype(np.int64)
    seated = ((0.6 + 0.4 * shares(trips, f"seated {seed}")) * lasted).astype(np.int64)
    kinds = np.repeat([0, 1], [len(living) + len(moved), len(trips)]).astype(np.int8)
    # Registered some time in the 400 days before.
    since = start - HOUR - below(living, f"since {seed}", 400 * DAY)
    memberships = Memberships(
        np.concatenate([living, moved, traveller]).astype(np.int32),
        np.concatenate([household[living], new_home, households + run]).astype(np.int32),
        kinds,
        np.concatenate([since, moved_at, departed + boarded]),
        np.concatenate([until_at[living], np.full(len(moved), NEVER), departed + seated]),
    )
    return memberships, households + runs
