"""Where standing cases were while they could infect others, in memory: what a new visit is held
against.

`OwnStay.meets` is the first paragraph of the rule of exposure (`domain/exposure.py`) for one pair
of stays. It only finds which (case, place, visit) must be judged; the judging is the SQL's.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

NO_TIME = timedelta()


class Stayed(NamedTuple):
    """A visit of anybody; without a departure the policy's dwell is assumed."""

    id: UUID
    person_id: UUID
    place_id: UUID
    arrived_at: datetime
    left_at: datetime | None


@dataclass(frozen=True, slots=True)
class OwnStay:
    """A stay of a case's own person, cut to the case's window and long enough to count there."""

    case_id: UUID
    person_id: UUID
    place_id: UUID
    from_at: datetime
    until_at: datetime
    minimum: timedelta
    dwell: timedelta

    def meets(self, visit: Stayed) -> bool:
        """Whether the two were here together for long enough."""
        if visit.person_id == self.person_id:
            return False
        left_at = visit.arrived_at + self.dwell if visit.left_at is None else visit.left_at
        together = min(left_at, self.until_at) - max(visit.arrived_at, self.from_at)
        return together > NO_TIME and together >= self.minimum


class WatchedPlaces:
    """The own stays of all standing cases by place, each place's in order of their end.

    A scan of this minute looks only at stays that have not ended: however long the epidemic, these
    are few.
    """

    def __init__(self) -> None:
        self._stays: dict[UUID, list[OwnStay]] = {}
        self._places: dict[UUID, frozenset[UUID]] = {}
        self.count = 0

    @property
    def stays(self) -> list[OwnStay]:
        """All of them, place by place."""
        return [stay for stays in self._stays.values() for stay in stays]

    def replace(self, case_id: UUID, stays: Iterable[OwnStay]) -> None:
        """These are the own stays of a case now, and no others."""
        by_place: dict[UUID, list[OwnStay]] = {}
        for stay in stays:
            by_place.setdefault(stay.place_id, []).append(stay)
        for place_id in self._places.pop(case_id, frozenset()) | by_place.keys():
            before = self._stays.pop(place_id, [])
            after = [stay for stay in before if stay.case_id != case_id]
            after += by_place.get(place_id, [])
            after.sort(key=_end_of)
            self.count += len(after) - len(before)
            if after:
                self._stays[place_id] = after
        if by_place:
            self._places[case_id] = frozenset(by_place)

    def cases_met(self, visit: Stayed) -> set[UUID]:
        """The cases with which this visit shares a place for long enough."""
        stays = self._stays.get(visit.place_id)
        if stays is None:
            return set()
        first = bisect_right(stays, visit.arrived_at, key=_end_of)
        found = (stays[number] for number in range(first, len(stays)))
        return {stay.case_id for stay in found if stay.meets(visit)}


def _end_of(stay: OwnStay) -> datetime:
    return stay.until_at
