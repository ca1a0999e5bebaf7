"""The loops, compiled by numba on first use and kept in its cache; none of them holds the GIL.

Plain arrays in, plain arrays out. Numbers of persons, places and kinds are dense; times are
microseconds; `NEVER` is a departure nobody saw, or no end.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from services.tracing.domain.city.times import NEVER

Array = NDArray[Any]
Columns = tuple[Array, ...]
DAY, MINUTE = np.int64(86_400_000_000), np.int64(60_000_000)
# The length of a stay in minutes, rounded up; LONG: so many or more, or nobody knows.
LONG = 255


# ── ids ──


@njit(cache=True, nogil=True)
def _slot(high: int, low: int, mask: int) -> int:
    mixed = (np.uint64(high) ^ (np.uint64(low) * np.uint64(0x9E3779B97F4A7C15))) * np.uint64(
        0xBF58476D1CE4E5B9
    )
    return np.int64((mixed ^ (mixed >> np.uint64(31))) & np.uint64(mask))  # type: ignore[return-value]


@njit(cache=True, nogil=True)
def number_all(slots: Array, known: Columns, count: int, ids: Columns, numbers: Array) -> int:
    """Give every id its number, new ids the next ones; returns how many there are now."""
    highs, lows = known
    high, low = ids
    mask = len(slots) - 1
    for i in range(len(high)):
        at = _slot(high[i], low[i], mask)
        while True:
            number = slots[at]
            if number < 0:
                number = np.int32(count)
                slots[at] = number
                highs[count] = high[i]
                lows[count] = low[i]
                count += 1
                break
            if highs[number] == high[i] and lows[number] == low[i]:
                break
            at = (at + 1) & mask
        numbers[i] = number
    return count


@njit(cache=True, nogil=True)
def find_all(slots: Array, known: Columns, ids: Columns, numbers: Array) -> None:
    """The number of each id; -1 where it is not known."""
    highs, lows = known
    high, low = ids
    mask = len(slots) - 1
    for i in range(len(high)):
        at = _slot(high[i], low[i], mask)
        while True:
            number = slots[at]
            if number < 0 or (highs[number] == high[i] and lows[number] == low[i]):
                break
            at = (at + 1) & mask
        numbers[i] = number


@njit(cache=True, nogil=True)
def rehashed(size: int, highs: Array, lows: Array, count: int) -> Array:
    slots = np.full(size, -1, dtype=np.int32)
    mask = size - 1
    for number in range(count):
        at = _slot(highs[number], lows[number], mask)
        while slots[at] >= 0:
            at = (at + 1) & mask
        slots[at] = number
    return slots


def slots_for(count: int) -> int:
    """A power of two, at least twice as many as ids."""
    return 1 << max(4, (2 * count).bit_length())


def grown(slots: Array, highs: Array, lows: Array, count: int) -> Array:
    return rehashed(2 * len(slots), highs, lows, count)


# ── blocks ──


@njit(cache=True, nogil=True)
def starts(keys: Array, size: int) -> Array:
    """Where the rows of each key begin once they are sorted by key; one more entry for the end."""
    found = np.zeros(size + 1, dtype=np.int32)
    for key in keys:
        found[key + 1] += 1
    for key in range(size):
        found[key + 1] += found[key]
    return found


@njit(cache=True, nogil=True)
def ordered_by(keys: Array, order: Array, start: Array) -> Array:
    """`order` (rows in order of time) made into the order of key, and of time within a key."""
    at = start[:-1].copy()
    found = np.empty(len(order), dtype=np.int32)
    for row in order:
        key = keys[row]
        found[at[key]] = row
        at[key] += 1
    return found


@njit(cache=True, nogil=True)
def longest_stays(place: Array, arrived: Array, left: Array, reach: Array) -> None:
    """Raise each place's longest stay with a known departure to that of these rows."""
    for row in range(len(place)):
        if left[row] != NEVER:
            seconds = left[row] - arrived[row]
            reach[place[row]] = max(reach[place[row]], seconds)


@njit(cache=True, nogil=True)
def lengths(arrived: Array, left: Array, order: Array) -> Array:
    """The lengths of the stays in this order."""
    found = np.empty(len(order), dtype=np.uint8)
    for i in range(len(order)):
        row = order[i]
        known = left[row] != NEVER and left[row] - arrived[row] < (LONG - 1) * MINUTE
        # Without a branch nothing is saved: memory is what is waited for.
        found[i] = -((arrived[row] - left[row]) // MINUTE) if known else LONG
    return found


@njit(cache=True, nogil=True)
def end_stays(
    start: Array,
    person: Array,
    arrived: Array,
    left: Array,
    gone: Columns,
) -> Array:
    """Make a stay of no length of one row for each of these; says which were found."""
    place, who, came, went = gone
    found = np.zeros(len(place), dtype=np.bool_)
    for i in range(len(place)):
        if place[i] >= len(start) - 1:
            continue
        for row in range(start[place[i]], start[place[i] + 1]):
            if person[row] == who[i] and arrived[row] == came[i] and left[row] == went[i]:
                left[row] = arrived[row]
                found[i] = True
                break
    return found


# ── the question ──


@njit(cache=True, nogil=True)
def _ends(arrived: int, left: int, dwell: int) -> int:
    if left != NEVER:
        return left
    return NEVER if dwell == NEVER else arrived + dwell


@njit(cache=True, nogil=True)
def own_stays(
    block: Columns,
    sources: Columns,
    rule: Columns,
    out: Columns,
) -> int:
    """The sources' stays in a block, cut to their times and long enough to count.

    block: starts by person; row, place and length by person; arrivals and departures by row.
    out: place, from, until, number of the source, the stay's own arrival and departure by row.
    Returns how many there are; those that do not fit are not written.
    """
    start, row_of, place_of, length_of, arrived, left = block
    person, from_at, until_at = sources
    kind, minimum, dwell = rule
    out_place, out_from, out_until, out_source, out_row = out
    count = 0
    for source in range(len(person)):
        who = person[source]
        if who < 0 or who >= len(start) - 1:
            continue
        for i in range(start[who], start[who + 1]):
            what = kind[place_of[i]]
            # Most stays are too short, and their rows lie far from one another.
            if length_of[i] < LONG and length_of[i] * MINUTE < minimum[what]:
                continue
            row = row_of[i]
            if arrived[row] >= until_at[source]:
                break
            began = max(arrived[row], from_at[source])
            ended = min(_ends(arrived[row], left[row], dwell[what]), until_at[source])
            if ended > began and ended - began >= minimum[what]:
                if count < len(out_place):
                    out_place[count] = place_of[i]
                    out_from[count] = began
                    out_until[count] = ended
                    out_source[count] = source
                    out_row[count] = row
                count += 1
    return count


@njit(cache=True, nogil=True)
def _first_at_least(arrived: Array, low: int, high: int, wanted: int) -> int:
    while low < high:
        middle = (low + high) >> 1
        if arrived[middle] < wanted:
            low = middle + 1
        else:
            high = middle
    return low


@njit(cache=True, nogil=True)
def tell(
    own: Columns,
    block: Columns,
    span: tuple[int, int],
    rule: Columns,
    via: Array,
    out: Columns,
) -> int:
    """The single meetings of some persons with the source named for each (`via`, else -1).

    out: number of the own stay, row in the block, other person, began, ended. Returns how many
    there are; those that do not fit are not written.
    """
    own_place, own_from, own_until, own_person = own
    start, person, arrived, left = block
    kind, reach, minimum, dwell = rule
    out_own, out_row, out_other, out_began, out_ended = out
    count = 0
    for i in range(len(own_place)):
        place = own_place[i]
        if own_until[i] <= span[0] or place >= len(start) - 1:
            continue
        what = kind[place]
        longest = max(reach[place], dwell[what])
        since = own_from[i] - longest if longest != NEVER else -NEVER
        if since >= span[1]:
            continue
        high = start[place + 1]
        row = _first_at_least(arrived, start[place], high, since + 1)
        while row < high and arrived[row] < own_until[i]:
            other = person[row]
            if via[other] == own_person[i] and other != own_person[i]:
                began = max(arrived[row], own_from[i])
                ended = min(_ends(arrived[row], left[row], dwell[what]), own_until[i])
                if ended > began and ended - began >= minimum[what]:
                    if count < len(out_own):
                        out_own[count] = i
                        out_row[count] = row
                        out_other[count] = other
                        out_began[count] = began
                        out_ended[count] = ended
                    count += 1
            row += 1
    return count


# ── encounters ──


@njit(cache=True, nogil=True)
def own_encounters(
    block: Columns,
    sources: Columns,
    out: Columns,
) -> int:
    """The sources' encounters that began in their times: source, other, started, seconds."""
    start, other, started, seconds = block
    person, from_at, until_at = sources
    out_source, out_other, out_started, out_seconds = out
    count = 0
    for source in range(len(person)):
        who = person[source]
        if who < 0 or who >= len(start) - 1:
            continue
        row = _first_at_least(started, start[who], start[who + 1], from_at[source])
        while row < start[who + 1] and started[row] < until_at[source]:
            if other[row] != who and seconds[row] >= 0:
                if count < len(out_source):
                    out_source[count] = source
                    out_other[count] = other[row]
                    out_started[count] = started[row]
                    out_seconds[count] = seconds[row]
                count += 1
            row += 1
    return count


@njit(cache=True, nogil=True)
def in_a_sum(source: Array, other: Array, started: Array, seconds: Array, enough: float) -> Array:
    """Which encounters (sorted by source, other, start) lie in 24 hours that add up to enough."""
    counts = np.zeros(len(source), dtype=np.bool_)
    begin = 0
    while begin < len(source):
        end = begin
        while end < len(source) and source[end] == source[begin] and other[end] == other[begin]:
            end += 1
        oldest = begin
        total = np.int64(0)
        for newest in range(begin, end):
            total += seconds[newest]
            while started[oldest] < started[newest] - DAY:
                total -= seconds[oldest]
                oldest += 1
            # Several may begin at the same moment: the sum is that of the last of them.
            if newest + 1 == end or started[newest + 1] > started[newest]:
                if total >= enough:
                    row = newest
                    while row >= oldest and not counts[row]:
                        counts[row] = True
                        row -= 1
        begin = end
    return counts
