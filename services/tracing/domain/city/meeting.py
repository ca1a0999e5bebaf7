"""The innermost loops of a question: whom the sources' stays met, and what is kept of it.

As in `kernels`: plain arrays in, plain arrays out, compiled on first use, without the GIL.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from services.tracing.domain.city.times import NEVER

Array = NDArray[Any]
Columns = tuple[Array, ...]
# Instead of a source: not touched yet, and touched but not asked about.
NOBODY, LEFT_OUT = -1, -2


@njit(cache=True, nogil=True)
def _comes_before(one: int, other: int, high: Array, low: Array) -> Any:
    """The order of ids."""
    if high[one] != high[other]:
        return high[one] < high[other]
    return low[one] < low[other]


# As in `kernels`, and not taken from there: the compiler keeps what it made of this file until this
# file changes, and would keep a function of another file with it.
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
def note(meeting: tuple[int, int, int, int], found: Columns, count: int) -> int:
    """One meeting (other person, began, ended, source): the first source counts, of two at once the
    smaller id. found: first and last time and source by person, who was touched, and the ids."""
    other, began, ended, source = meeting
    first, last, via, touched, high, low = found
    if via[other] < 0:
        touched[count] = other
        first[other] = began
        last[other] = ended
        via[other] = source
        return count + 1
    if began < first[other]:
        first[other] = began
        via[other] = source
    elif began == first[other] and _comes_before(source, via[other], high, low):
        via[other] = source
    last[other] = max(last[other], ended)
    return count


@njit(cache=True, nogil=True, inline="always")
def _held_against(
    they: tuple[int, int, int, int], low: int, high: int, since: Array, until: Array, person: Array
) -> tuple[int, int, int]:
    """How many of these own stays somebody's stay meets, and the first and last instant. Without a
    branch, so that several are looked at at once."""
    came, went, other, least = they
    met, first, last = 0, NEVER, -NEVER
    for i in range(low, high):
        began, ended = max(came, since[i]), min(went, until[i])
        counts = (ended - began >= least) & (person[i] != other)
        met += counts
        first = min(first, began if counts else NEVER)
        last = max(last, ended if counts else -NEVER)
    return met, first, last


@njit(cache=True, nogil=True, inline="always")
def _source_of(
    they: tuple[int, int, int, int],
    first: int,
    own: Columns,
    part: tuple[int, int],
    known: int,
    ids: Columns,
) -> int:
    """Of the sources they met at that first instant, and the one known, the smallest id."""
    came, went, other, least = they
    since, until, person = own
    high, low = ids
    for i in range(part[0], part[1]):
        if since[i] > first:
            break
        if person[i] == other or max(came, since[i]) != first:
            continue
        enough = min(went, until[i]) - first >= least
        if enough and (known < 0 or _comes_before(person[i], known, high, low)):
            known = person[i]
    return known


@njit(cache=True, nogil=True)
def meet(
    own: Columns, block: Columns, span: tuple[int, int], rule: Columns, found: Columns, count: int
) -> tuple[int, int, int]:
    """Everybody who met these own stays in a block.

    own: the places, where the stays at each begin, and of each stay from, until, person of the
    source; in the order of place and from. block: starts by place, person, arrived, left.
    span: first and last arrival in the block. rule: kind and longest stay by place; minimum and
    dwell by kind. Returns (persons touched, pairs that count, pairs looked at).

    The rows of a place are gone through once, each of them held against all own stays there: what
    is found of it is written down once and not for every pair.
    """
    place_of, own_start, own_from, own_until, own_person = own
    start, person, arrived, left = block
    kind, reach, minimum, dwell = rule
    first_at, last_at, via, touched, id_high, id_low = found
    pairs = looked = 0
    for at in range(len(place_of)):
        place = place_of[at]
        if place >= len(start) - 1 or start[place] == start[place + 1]:
            continue
        stay, least = dwell[kind[place]], max(minimum[kind[place]], 1)
        longest = max(reach[place], stay)
        low, high, last_own = own_start[at], own_start[at], own_start[at + 1]
        row, last_row = start[place], start[place + 1]
        while row < last_row:
            came = arrived[row]
            while low < last_own and own_until[low] <= came:
                low += 1
            if low == last_own:
                break
            # Who came so early is gone before the next own stay begins, and so are all before it.
            since = own_from[low] - longest if longest != NEVER else -NEVER
            if came <= since:
                if since >= span[1]:
                    break
                row = _first_at_least(arrived, row, last_row, since + 1)
                continue
            went = left[row]
            if went == NEVER and stay != NEVER:
                went = came + stay
            other = person[row]
            row += 1
            if went != NEVER and went - came < least:
                continue
            high = max(low, high)
            while high < last_own and own_from[high] < went:
                high += 1
            while high > low and own_from[high - 1] >= went:
                high -= 1
            they = (came, went, other, least)
            met, first, last = _held_against(they, low, high, own_from, own_until, own_person)
            looked += high - low
            if not met:
                continue
            pairs += met
            known = via[other]
            if known < 0:
                touched[count] = other
                count += 1
                first_at[other], last_at[other] = NEVER, last
            last_at[other] = max(last_at[other], last)
            if first > first_at[other]:
                continue
            if first < first_at[other]:
                first_at[other], known = first, NOBODY
            here = (own_from, own_until, own_person)
            via[other] = _source_of(they, first, here, (low, high), known, (id_high, id_low))
    return count, pairs, looked


@njit(cache=True, nogil=True)
def note_all(meetings: Columns, found: Columns, count: int) -> int:
    """Meetings found elsewhere (encounters, links): other person, began, ended, source."""
    other, began, ended, source = meetings
    for i in range(len(other)):
        count = note((other[i], began[i], ended[i], source[i]), found, count)
    return count


@njit(cache=True, nogil=True)
def take_out(found: Columns, count: int, leave_out: Array) -> Columns:
    """The touched persons with what was found of them, but for those left out; the accumulators
    are clean afterwards."""
    first, last, via, touched, _, _ = found
    left = 0
    for who in leave_out:
        if who >= 0 and via[who] >= 0:
            via[who] = LEFT_OUT
            left += 1
    size = count - left
    person, source = np.empty(size, dtype=np.int32), np.empty(size, dtype=np.int32)
    began, ended = np.empty(size, dtype=np.int64), np.empty(size, dtype=np.int64)
    at = 0
    for i in range(count):
        other = touched[i]
        if via[other] != LEFT_OUT:
            person[at] = other
            began[at] = first[other]
            ended[at] = last[other]
            source[at] = via[other]
            at += 1
        via[other] = NOBODY
    return person, began, ended, source
