"""The loop over all windows of event time, compiled by numba. Imported on first use: numba takes
half a second, and nobody needs it before something is judged.

Plain arrays in, plain arrays out. Signals stand in groups (one area under one rule each), in a
group in order of time; codes are dense, -1 for nobody.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[Any]


def loop(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compiled on first use and kept beside the source or in the user's cache; where neither can be
    written, each process compiles for itself."""
    try:
        return njit(cache=True, nogil=True)(function)
    except RuntimeError:
        return njit(nogil=True)(function)


# What `counted` adds up, by place in the array.
POINTS, KINDS, PERSONS, HOUSEHOLDS, OWN, WEIGHT, UNLINKED, FRESH, CONSENTS = range(9)


@loop
def _move(i: int, step: int, told: Any, tables: Any, counted: Array) -> None:
    """A signal enters (1) or leaves (-1) the window; a thing is there while its count is not 0."""
    codes, marks, unlinked, weight = told
    points, own_points, kinds, persons, households = tables
    point = codes.point[i]
    if step > 0 and points[point] == 0:
        counted[POINTS] += 1
        counted[WEIGHT] += weight[i]
    points[point] += step
    if step < 0 and points[point] == 0:
        counted[POINTS] -= 1
        counted[WEIGHT] -= weight[i]
    if marks.own[i]:
        counted[OWN] += step > 0 and own_points[point] == 0
        own_points[point] += step
        counted[OWN] -= step < 0 and own_points[point] == 0
    kind = codes.kind[i]
    counted[KINDS] += step > 0 and kinds[kind] == 0
    kinds[kind] += step
    counted[KINDS] -= step < 0 and kinds[kind] == 0
    person, household = codes.person[i], codes.household[i]
    if person >= 0:
        counted[PERSONS] += step > 0 and persons[person] == 0
        persons[person] += step
        counted[PERSONS] -= step < 0 and persons[person] == 0
    if household >= 0:
        counted[HOUSEHOLDS] += step > 0 and households[household] == 0
        households[household] += step
        counted[HOUSEHOLDS] -= step < 0 and households[household] == 0
    counted[UNLINKED] += step * unlinked[i]
    counted[FRESH] += step * marks.fresh[i]
    counted[CONSENTS] += step * marks.agreed[i]


@loop
def _holds(counted: Array, demands: Any) -> bool:
    """The rule's sentence."""
    more = counted[UNLINKED] if demands.count_unlinked else 0
    return bool(
        counted[FRESH] > 0
        and counted[POINTS] >= demands.points
        and counted[KINDS] >= demands.kinds
        and counted[PERSONS] + more >= demands.persons
        and counted[HOUSEHOLDS] + more >= demands.households
        and counted[OWN] >= demands.own_points
        and counted[WEIGHT] >= demands.weight
        and counted[CONSENTS] >= demands.consents
    )


@loop
def windows_that_hold(
    offsets: Array, at: Array, told: Any, demands: Any, sizes: tuple[int, int, int, int]
) -> tuple[Array, Array]:
    """(signals that lie in a window that holds, signals at which such a window ends).

    Group g is [offsets[g], offsets[g + 1]); `told` are (codes, marks, unlinked persons, weight);
    `sizes` how many points, kinds, persons and households there are. A window is closed at both
    ends. The condition can only gain by more signals, so the longest window that ends at each
    signal decides for all shorter ones.
    """
    evidence = np.zeros(len(at), dtype=np.bool_)
    ends = np.zeros(len(at), dtype=np.bool_)
    tables = (
        np.zeros(sizes[0], dtype=np.int32),
        np.zeros(sizes[0], dtype=np.int32),
        np.zeros(sizes[1], dtype=np.int32),
        np.zeros(sizes[2], dtype=np.int32),
        np.zeros(sizes[3], dtype=np.int32),
    )
    counted = np.zeros(9, dtype=np.int64)
    for group in range(len(offsets) - 1):
        left = right = done = offsets[group]
        end = offsets[group + 1]
        while right < end:
            ends_at = at[right]
            while right < end and at[right] == ends_at:
                _move(right, 1, told, tables, counted)
                right += 1
            while at[left] < ends_at - demands.window:
                _move(left, -1, told, tables, counted)
                left += 1
            if told[1].in_force[right - 1] and _holds(counted, demands):
                evidence[max(left, done) : right] = True
                ends[right - 1] = True
                done = right
        while left < end:
            _move(left, -1, told, tables, counted)
            left += 1
    return evidence, ends
