"""Segments: what began on one local day. New rows go beside the old ones until they are many."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from services.tracing.domain.city.block import (
    Block,
    EncounterBlock,
    Meetings,
    Stays,
    build_block,
    build_encounters,
    no_stays,
)

# A delta is merged when it has so many rows, or this share of its base.
DELTA_ROWS = 20_000
DELTA_SHARE = 8


@dataclass(frozen=True, slots=True)
class Segment:
    """The stays that began on one day. Readers go through its blocks."""

    base: Block
    delta: Block

    def __iter__(self) -> Iterator[Block]:
        yield self.base
        if len(self.delta):
            yield self.delta

    def __len__(self) -> int:
        return len(self.base) + len(self.delta)

    @property
    def bytes(self) -> int:
        return self.base.bytes + self.delta.bytes

    def stays(self) -> Stays:
        return self.base.stays() + self.delta.stays()

    def changed(
        self, *, gone: Stays, new: Stays, persons: int, places: int, strict: bool
    ) -> Segment:
        """The segment with some stays taken away and some added. `LookupError` when it is strict
        and never had one of those that go: then it is not what it should be."""
        base, delta = self.base, self.delta
        # A stay of no length never counts: it may be here or not.
        gone = gone.where(gone.left > gone.arrived)
        if len(gone):
            delta, found = delta.without(gone)
            if not found.all():
                base, found = base.without(gone.where(~found))
                if strict and not found.all():
                    raise LookupError("a stay to be taken away is not there")
        rows = delta.stays() + new
        if len(rows) > max(DELTA_ROWS, len(base) // DELTA_SHARE):
            return whole(base.stays() + rows, persons=persons, places=places)
        return Segment(base, build_block(rows, persons=persons, places=places))


def whole(stays: Stays, *, persons: int, places: int) -> Segment:
    """A segment of one base block."""
    return Segment(
        build_block(stays, persons=persons, places=places),
        build_block(no_stays(), persons=0, places=0),
    )


def changed_encounters(
    block: EncounterBlock | None, *, gone: Meetings, new: Meetings, persons: int
) -> EncounterBlock:
    """Encounters are few enough to be sorted anew whenever a day of them changes."""
    if block is None:
        return build_encounters(new, persons=persons)
    pairs = block.pairs
    if len(gone):
        pairs = _without(pairs, gone)
    return build_encounters(pairs + new, persons=persons)


def _without(pairs: Meetings, gone: Meetings) -> Meetings:
    """Each row that goes takes one equal row with it."""
    left = Counter(_key(gone, row) for row in range(len(gone)))
    keep = np.ones(len(pairs), dtype=np.bool_)
    for row in np.flatnonzero(np.isin(pairs.started, gone.started)):
        key = _key(pairs, int(row))
        if left[key]:
            left[key] -= 1
            keep[row] = False
    return pairs.where(keep)


def _key(pairs: Meetings, row: int) -> tuple[int, ...]:
    columns = (pairs.person, pairs.other, pairs.started, pairs.seconds)
    return tuple(int(column[row]) for column in columns)
