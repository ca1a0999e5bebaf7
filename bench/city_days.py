"""One day of the made-up city: each person's ways, compiled, since there are millions of them.

A working day: gate, bus, lobby, work, lunch, work, lobby, bus, a venue or two, gate. A free day:
out and in again, with a venue each time. Minutes are drawn as a mean of two dice, so that there is
a rush hour.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from bench.city_dice import Array, roll, set_dice, throw

MINUTE = 60_000_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR
NEVER = 2**63 - 1
ENTRY_ONLY_SHARE = 0.60
# What a person does on a working day.
NOTHING, WORKER, PUPIL, STAFF = 0, 1, 2, 3
LINE_BUSES = 4


class Town(NamedTuple):
    """What does not change from day to day; by person, or a number of a place."""

    role: Array
    district: Array
    home_gate: Array
    workplace: Array
    entrance: Array
    # Crowds of all venues added up, beginning with 0; the venues of a district stand together.
    crowd: Array
    venues_per_district: int
    first_venue: int
    first_bus: int
    lines: int
    first_checkpoint: int
    checkpoints: int
    districts: int


class Rows(NamedTuple):
    """The rows of a day as they come, how many, and the dice of the person whose day it is."""

    person: Array
    place: Array
    arrived: Array
    left: Array
    used: Array
    dice: Array


@njit(cache=True, nogil=True)
def put(rows: Rows, person: int, place: int, arrived: int, left: int) -> None:
    at = rows.used[0]
    rows.person[at] = person
    rows.place[at] = place
    rows.arrived[at] = arrived
    rows.left[at] = left
    rows.used[0] = at + 1


@njit(cache=True, nogil=True)
def minutes(rows: Rows, least: float, most: float) -> int:
    share = (roll(rows.dice) + roll(rows.dice)) / 2
    return int((least + share * (most - least)) * MINUTE)


@njit(cache=True, nogil=True)
def pass_by(rows: Rows, person: int, place: int, at: int) -> int:
    """A gate or a checkpoint: two minutes, more or less."""
    left = at + minutes(rows, 1.0, 3.0)
    put(rows, person, place, at, left)
    return left


@njit(cache=True, nogil=True)
def be_checked(rows: Rows, town: Town, person: int, at: int) -> int:
    """At a checkpoint of the district, mostly."""
    near = town.checkpoints / town.districts
    checkpoint = town.district[person] * near + roll(rows.dice) * near
    if roll(rows.dice) < 0.1:
        checkpoint = roll(rows.dice) * town.checkpoints
    chosen = town.first_checkpoint + min(int(checkpoint), town.checkpoints - 1)
    return pass_by(rows, person, chosen, at)


@njit(cache=True, nogil=True)
def ride(rows: Rows, town: Town, person: int, at: int) -> int:
    """On one of the buses of the neighbourhood's line; now and then on another line."""
    line = person * town.lines // len(town.role)
    if roll(rows.dice) < 0.15:
        line = throw(rows.dice, town.lines)
    bus = town.first_bus + line * LINE_BUSES + throw(rows.dice, LINE_BUSES)
    if roll(rows.dice) < 0.5:
        at = be_checked(rows, town, person, at)
    left = at + minutes(rows, 6.0, 40.0)
    put(rows, person, bus, at, left)
    return left


@njit(cache=True, nogil=True)
def visit_venue(rows: Rows, town: Town, person: int, at: int) -> int:
    """Nine of ten in the own district; crowds draw crowds. Mostly only the entry is scanned."""
    low, high = 0, len(town.crowd) - 1
    if roll(rows.dice) < 0.9:
        low = town.district[person] * town.venues_per_district
        high = low + town.venues_per_district
    drawn = town.crowd[low] + roll(rows.dice) * (town.crowd[high] - town.crowd[low])
    venue = min(int(np.searchsorted(town.crowd, drawn, side="right")), high) - 1
    if roll(rows.dice) < 0.6:
        at = be_checked(rows, town, person, at)
    # Many short stays and a few long ones: 5 minutes to 3 hours, one hour on average.
    share = roll(rows.dice)
    left = at + int((5 + 175 * share * share) * MINUTE)
    entry_only = roll(rows.dice) < ENTRY_ONLY_SHARE
    put(rows, person, town.first_venue + venue, at, NEVER if entry_only else left)
    return left


@njit(cache=True, nogil=True)
def working_day(rows: Rows, town: Town, person: int, midnight: int) -> None:
    home, work, entrance = town.home_gate[person], town.workplace[person], town.entrance[person]
    at = pass_by(rows, person, home, midnight + 7 * HOUR + minutes(rows, 0, 75))
    at = at + minutes(rows, 1, 6)
    at = ride(rows, town, person, at) if roll(rows.dice) < 0.58 else at + minutes(rows, 5, 40)
    at = pass_by(rows, person, entrance, at + minutes(rows, 1, 10))
    noon = midnight + 11 * HOUR + minutes(rows, 30, 75)
    put(rows, person, work, at, noon)
    if roll(rows.dice) < 0.35:
        pass_by(rows, person, entrance, noon + minutes(rows, 0, 3))
        if roll(rows.dice) < 0.9:
            visit_venue(rows, town, person, noon + minutes(rows, 3, 12))
        pass_by(rows, person, entrance, midnight + 13 * HOUR - minutes(rows, 1, 4))
    evening = midnight + 17 * HOUR + minutes(rows, 0, 75)
    put(rows, person, work, midnight + 13 * HOUR + minutes(rows, 0, 30), evening)
    at = pass_by(rows, person, entrance, evening + minutes(rows, 0, 4))
    at = at + minutes(rows, 1, 6)
    at = ride(rows, town, person, at) if roll(rows.dice) < 0.55 else at + minutes(rows, 5, 40)
    if roll(rows.dice) < 0.68:
        at = visit_venue(rows, town, person, at + minutes(rows, 1, 10))
    at = pass_by(rows, person, home, min(at + minutes(rows, 1, 10), midnight + 22 * HOUR))
    if roll(rows.dice) < 0.30:
        at = pass_by(rows, person, home, at + minutes(rows, 5, 30))
        pass_by(rows, person, home, at + minutes(rows, 5, 30))


@njit(cache=True, nogil=True)
def night_shift(rows: Rows, town: Town, person: int, midnight: int) -> None:
    """One stay that ends on the next day."""
    home, work, entrance = town.home_gate[person], town.workplace[person], town.entrance[person]
    at = pass_by(rows, person, home, midnight + 19 * HOUR + minutes(rows, 0, 30))
    at = pass_by(rows, person, entrance, at + minutes(rows, 10, 50))
    put(rows, person, work, at, midnight + 31 * HOUR + minutes(rows, 0, 60))


@njit(cache=True, nogil=True)
def shift_at_venue(rows: Rows, town: Town, person: int, midnight: int) -> None:
    """Among the guests from morning to evening, with a break."""
    home, venue = town.home_gate[person], town.workplace[person]
    at = pass_by(rows, person, home, midnight + 8 * HOUR + minutes(rows, 20, 60))
    break_at = midnight + 14 * HOUR + minutes(rows, 0, 30)
    put(rows, person, venue, at + minutes(rows, 15, 45), break_at)
    evening = midnight + 20 * HOUR + minutes(rows, 0, 60)
    put(rows, person, venue, break_at + minutes(rows, 30, 60), evening)
    pass_by(rows, person, home, evening + minutes(rows, 15, 45))


@njit(cache=True, nogil=True)
def free_day(rows: Rows, town: Town, person: int, midnight: int) -> None:
    """One to three times out of the house."""
    home = town.home_gate[person]
    at = midnight + 8 * HOUR + minutes(rows, 0, 240)
    for turn in range(3):
        if turn and roll(rows.dice) > 0.62:
            return
        at = pass_by(rows, person, home, at) + minutes(rows, 3, 15)
        if roll(rows.dice) < 0.25:
            at = ride(rows, town, person, at) + minutes(rows, 1, 5)
        if roll(rows.dice) < 0.80:
            at = visit_venue(rows, town, person, at) + minutes(rows, 3, 15)
        at = pass_by(rows, person, home, at + minutes(rows, 3, 30)) + minutes(rows, 20, 150)
        # The last way ends hours before midnight: what begins on a day belongs to it.
        if at > midnight + 19 * HOUR:
            return


@njit(cache=True, nogil=True)
def attendance(role: int, workday: bool) -> float:
    if role == WORKER:
        return 0.95 if workday else 0.18
    return 0.97 if role == PUPIL and workday else 0.0


@njit(cache=True, nogil=True)
def make_day(rows: Rows, town: Town, seed: int, day: int, start: int) -> None:
    """Everybody's day, by person; `day` 0 is a Monday."""
    rows.used[0] = 0
    midnight, workday = start + day * DAY, day % 7 < 5
    for person in range(len(town.role)):
        set_dice(rows.dice, person, seed * 1_000 + day)
        role, share = town.role[person], roll(rows.dice)
        if role == STAFF and share < 0.95:
            shift_at_venue(rows, town, person, midnight)
        elif role == WORKER and share < 0.03:
            night_shift(rows, town, person, midnight)
        elif share < attendance(role, workday):
            working_day(rows, town, person, midnight)
        else:
            free_day(rows, town, person, midnight)
