"""Dense numbers for ids: a person, a place or a group is a row of an array here.

The numbers given when the city was built stand in a hash table that is not changed any more; those
given later stand in a dictionary beside it. A number once given stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from services.tracing.domain.city import kernels

Array = NDArray[Any]
ID = np.dtype([("high", "<u8"), ("low", "<u8")])


def ids_from_bytes(raw: Array) -> Array:
    """Ids as two words each, in the order of UUIDs, from an array of 16 bytes each."""
    words = np.ascontiguousarray(raw).view(">u8").reshape(-1, 2)
    found = np.empty(len(words), dtype=ID)
    found["high"], found["low"] = words[:, 0], words[:, 1]
    return found


def ids_of(ids: Sequence[UUID]) -> Array:
    raw = np.frombuffer(b"".join(one.bytes for one in ids), dtype=np.uint8)
    return ids_from_bytes(raw.reshape(-1, 16)) if len(ids) else np.empty(0, dtype=ID)


def _words(ids: Array) -> tuple[Array, Array]:
    return np.ascontiguousarray(ids["high"]), np.ascontiguousarray(ids["low"])


class Numbers:
    """From id to number and back. Only the one who refreshes the city gives new numbers."""

    def __init__(self) -> None:
        self._slots = np.full(16, -1, dtype=np.int32)
        self._later: dict[tuple[int, int], int] = {}
        self._high = np.empty(0, dtype=np.uint64)
        self._low = np.empty(0, dtype=np.uint64)
        self.count = 0

    @property
    def high(self) -> Array:
        return self._high[: self.count]

    @property
    def low(self) -> Array:
        return self._low[: self.count]

    @property
    def bytes(self) -> int:
        # A later id costs about as much as its entry in the dictionary: key, number and slot.
        tables = (self._slots, self._high, self._low)
        return sum(int(table.nbytes) for table in tables) + 200 * len(self._later)

    def first(self, ids: Array) -> Array:
        """Numbers for the ids of a build, new ones given as they come; call it before `add`."""
        need = self.count + len(ids)
        self._reserve(need)
        # Twice as many slots as there may be ids: a table more than half full is slow.
        while len(self._slots) < 2 * need:
            self._slots = kernels.grown(self._slots, self._high, self._low, self.count)
        numbers = np.empty(len(ids), dtype=np.int32)
        self.count = int(
            kernels.number_all(
                self._slots, (self._high, self._low), self.count, _words(ids), numbers
            )
        )
        return numbers

    def settle(self) -> None:
        """After a build: give back what was reserved for more."""
        spare = kernels.slots_for(self.count)
        if len(self._slots) > spare:
            self._slots = kernels.rehashed(spare, self._high, self._low, self.count)
        self._high, self._low = self._high[: self.count].copy(), self._low[: self.count].copy()

    def add(self, ids: Array) -> Array:
        """Numbers for a few more ids, after the build."""
        numbers = self.find(ids)
        for place in np.flatnonzero(numbers < 0):
            key = (int(ids["high"][place]), int(ids["low"][place]))
            number = self._later.get(key)
            if number is None:
                number = self.count
                self._reserve(number + 1)
                self._high[number], self._low[number] = key
                self._later[key] = number
                self.count += 1
            numbers[place] = number
        return numbers

    def find(self, ids: Array) -> Array:
        """Their numbers; -1 where an id is not known."""
        numbers = np.empty(len(ids), dtype=np.int32)
        kernels.find_all(self._slots, (self._high, self._low), _words(ids), numbers)
        if self._later:
            for place in np.flatnonzero(numbers < 0):
                key = (int(ids["high"][place]), int(ids["low"][place]))
                numbers[place] = self._later.get(key, -1)
        return numbers

    def id_of(self, number: int) -> UUID:
        return UUID(int=(int(self._high[number]) << 64) | int(self._low[number]))

    def _reserve(self, need: int) -> None:
        """Arrays are replaced by longer ones, never moved under who reads the old ones."""
        if need > len(self._high):
            size = max(need, len(self._high) * 5 // 4, 1024)
            high, low = np.zeros(size, dtype=np.uint64), np.zeros(size, dtype=np.uint64)
            high[: self.count], low[: self.count] = self.high, self.low
            self._high, self._low = high, low
