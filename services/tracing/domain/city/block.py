"""A block: rows kept by place and then arrival, and by person a pointer to each of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.tracing.domain.city import kernels
from services.tracing.domain.city.times import NEVER

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Stays:
    """Rows on their way into a block, or out of one: dense numbers, microseconds."""

    person: Array
    place: Array
    arrived: Array
    left: Array

    def __len__(self) -> int:
        return len(self.person)

    def __add__(self, other: Stays) -> Stays:
        return all_stays([self, other])

    def where(self, chosen: Array) -> Stays:
        return Stays(
            self.person[chosen], self.place[chosen], self.arrived[chosen], self.left[chosen]
        )


def all_stays(parts: Sequence[Stays]) -> Stays:
    columns = zip(*((one.person, one.place, one.arrived, one.left) for one in parts), strict=True)
    return Stays(*(np.concatenate(column) for column in columns))


def no_stays() -> Stays:
    small, large = np.empty(0, dtype=np.int32), np.empty(0, dtype=np.int64)
    return Stays(small, small, large, large)


@dataclass(frozen=True, slots=True)
class Block:
    """Never changed. Rows are in the order of place and arrival; those of `row_of`, `place_of` and
    `length_of` in the order of person and arrival."""

    place_start: Array
    person: Array
    arrived: Array
    left: Array
    person_start: Array
    row_of: Array
    place_of: Array
    length_of: Array
    first_at: int
    last_at: int
    # The last departure that is known.
    last_left: int

    def __len__(self) -> int:
        return len(self.person)

    @property
    def by_place(self) -> tuple[Array, Array, Array, Array]:
        return self.place_start, self.person, self.arrived, self.left

    @property
    def by_person(self) -> tuple[Array, ...]:
        own = (self.person_start, self.row_of, self.place_of, self.length_of)
        return *own, self.arrived, self.left

    @property
    def bytes(self) -> int:
        arrays = (*self.by_place, self.person_start, self.row_of, self.place_of, self.length_of)
        return sum(int(array.nbytes) for array in arrays)

    def reaches(self, from_at: int, dwell: int) -> bool:
        """Whether any stay may reach past that instant, one without a departure lasting `dwell`."""
        return len(self) > 0 and max(self.last_left, self.last_at + dwell) > from_at

    def stays(self) -> Stays:
        """Its rows again, without those that were ended."""
        counts = np.diff(self.place_start)
        place = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
        all_rows = Stays(self.person, place, self.arrived, self.left)
        alive = self.left > self.arrived
        return all_rows if alive.all() else all_rows.where(alive)

    def without(self, gone: Stays) -> tuple[Block, Array]:
        """The block with these stays ended, and which of them it had."""
        left = self.left.copy()
        rows = (gone.place, gone.person, gone.arrived, gone.left)
        found = kernels.end_stays(self.place_start, self.person, self.arrived, left, rows)
        return (replace(self, left=left) if found.any() else self), found


def build_block(stays: Stays, *, persons: int, places: int) -> Block:
    """Sort rows twice, by counting; persons and places are how many numbers were given."""
    by_time = np.argsort(stays.arrived, kind="stable").astype(np.int32)
    place_start = kernels.starts(stays.place, places)
    order = kernels.ordered_by(stays.place, by_time, place_start)
    position = np.empty(len(order), dtype=np.int32)
    position[order] = np.arange(len(order), dtype=np.int32)
    person_start = kernels.starts(stays.person, persons)
    by_person = kernels.ordered_by(stays.person, by_time, person_start)
    some, known = len(order) > 0, stays.left != NEVER
    return Block(
        place_start=place_start,
        person=stays.person[order],
        arrived=stays.arrived[order],
        left=stays.left[order],
        person_start=person_start,
        row_of=position[by_person],
        place_of=stays.place[by_person],
        length_of=kernels.lengths(stays.arrived, stays.left, by_person),
        first_at=int(stays.arrived.min()) if some else 0,
        last_at=int(stays.arrived.max()) if some else 0,
        last_left=int(stays.left[known].max()) if known.any() else 0,
    )


@dataclass(frozen=True, slots=True)
class Meetings:
    """Measured encounters on their way in or out; every pair stands once."""

    person: Array
    other: Array
    started: Array
    seconds: Array

    def __len__(self) -> int:
        return len(self.person)

    def __add__(self, more: Meetings) -> Meetings:
        return all_meetings([self, more])

    def where(self, chosen: Array) -> Meetings:
        return Meetings(
            self.person[chosen], self.other[chosen], self.started[chosen], self.seconds[chosen]
        )


def all_meetings(parts: Sequence[Meetings]) -> Meetings:
    columns = zip(
        *((one.person, one.other, one.started, one.seconds) for one in parts), strict=True
    )
    return Meetings(*(np.concatenate(column) for column in columns))


def no_meetings() -> Meetings:
    small, large = np.empty(0, dtype=np.int32), np.empty(0, dtype=np.int64)
    return Meetings(small, small, large, large)


@dataclass(frozen=True, slots=True)
class EncounterBlock:
    """Encounters under both of their persons, in the order of person and start."""

    start: Array
    other: Array
    started: Array
    seconds: Array
    # The pairs as they came, to be sorted anew when the block grows.
    pairs: Meetings

    def __len__(self) -> int:
        return len(self.pairs)

    @property
    def by_person(self) -> tuple[Array, Array, Array, Array]:
        return self.start, self.other, self.started, self.seconds

    @property
    def bytes(self) -> int:
        pairs = (self.pairs.person, self.pairs.other, self.pairs.started, self.pairs.seconds)
        return sum(int(array.nbytes) for array in (*self.by_person, *pairs))


def build_encounters(pairs: Meetings, *, persons: int) -> EncounterBlock:
    person = np.concatenate([pairs.person, pairs.other])
    other = np.concatenate([pairs.other, pairs.person])
    started = np.concatenate([pairs.started, pairs.started])
    seconds = np.concatenate([pairs.seconds, pairs.seconds])
    by_time = np.argsort(started, kind="stable").astype(np.int32)
    start = kernels.starts(person, persons)
    order = kernels.ordered_by(person, by_time, start)
    return EncounterBlock(start, other[order], started[order], seconds[order], pairs)
