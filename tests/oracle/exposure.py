"""Who was exposed to a case, by brute force and by the words of the rule. Imports nothing of ours.

Visits count by overlap at one place, at or over the minimum of its kind; encounters by minutes
summed in any rolling 24 h; groups by membership; dated links by their date; all inside the
infectious window. First exposure is the first meeting in the sum that reached the threshold; a
contact of contact must reach the threshold with the close contact after that moment and before its
isolation.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

Id = str
DAY = timedelta(hours=24)


class Visit(NamedTuple):
    id: Id
    person: Id
    place: Id
    arrived: datetime
    left: datetime | None


class Encounter(NamedTuple):
    id: Id
    one: Id
    other: Id
    start: datetime
    seconds: int


class Membership(NamedTuple):
    id: Id
    person: Id
    group: Id
    kind: str
    since: datetime
    until: datetime | None


class Link(NamedTuple):
    id: Id
    source: Id
    other: Id
    at: datetime | None


@dataclass
class Rules:
    """Minutes. `dwell` is how long somebody stays who was not seen to leave."""

    place_minimum: Mapping[str, float]
    place_dwell: Mapping[str, float]
    other_minimum: float
    other_dwell: float
    group_minimum: Mapping[str, float]
    other_group_minimum: float | None
    encounter_minutes: float


class Meeting(NamedTuple):
    other: Id
    start: datetime
    end: datetime
    evidence: frozenset[Id]


class Found(NamedTuple):
    via: Id
    first: datetime
    last: datetime
    evidence: frozenset[Id]


@dataclass
class World:
    """Everything that happened. `apart` is when persons were isolated."""

    rules: Rules
    place_kinds: Mapping[Id, str]
    visits: Sequence[Visit] = ()
    encounters: Sequence[Encounter] = ()
    memberships: Sequence[Membership] = ()
    links: Sequence[Link] = ()
    apart: Mapping[Id, Sequence[tuple[datetime, datetime]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._near: dict[Id, list[tuple[Id, Encounter]]] = defaultdict(list)
        for item in self.encounters:
            if item.one != item.other:
                self._near[item.one].append((item.other, item))
                self._near[item.other].append((item.one, item))

    def close_contacts(self, case: Id, start: datetime, end: datetime) -> dict[Id, Found]:
        """Everybody exposed to the case inside its window."""
        return _first_through({case: list(self._meetings(case, start, end))})

    def co_locations(
        self, case: Id, start: datetime, end: datetime
    ) -> dict[Id, tuple[Id, datetime, datetime]]:
        """Every visit of another that met the case inside its window: by whom, from when, until
        when."""
        own = {visit.id for visit in self.visits if visit.person == case}
        found: dict[Id, tuple[Id, datetime, datetime]] = {}
        for meeting in self._at_places(case, start, end):
            (visit,) = meeting.evidence - own
            _, first, last = found.get(visit, (meeting.other, meeting.start, meeting.end))
            found[visit] = (meeting.other, min(first, meeting.start), max(last, meeting.end))
        return found

    def contacts_of_contacts(
        self, case: Id, close: Mapping[Id, Found], window_end: datetime
    ) -> dict[Id, Found]:
        """Everybody exposed to a close contact between its first exposure and its isolation."""
        through = {}
        for person, found in close.items():
            end = window_end
            for since, until in self.apart.get(person, ()):
                if until > found.first:
                    end = min(end, since)
            through[person] = [
                meeting
                for meeting in self._meetings(person, found.first, end)
                if meeting.other != case and meeting.other not in close
            ]
        return _first_through(through)

    def _meetings(self, source: Id, start: datetime, end: datetime) -> Iterable[Meeting]:
        if start >= end:
            return
        yield from self._at_places(source, start, end)
        yield from self._in_groups(source, start, end)
        yield from self._encounters(source, start, end)
        for link in self.links:
            if link.source == source != link.other and link.at and start <= link.at < end:
                yield Meeting(link.other, link.at, link.at, frozenset({link.id}))

    def _at_places(self, source: Id, start: datetime, end: datetime) -> Iterable[Meeting]:
        for own in self.visits:
            if own.person != source:
                continue
            for visit in self.visits:
                if visit.place != own.place or visit.person == source:
                    continue
                kind = self.place_kinds[own.place]
                minimum = self.rules.place_minimum.get(kind, self.rules.other_minimum)
                since = max(start, own.arrived, visit.arrived)
                until = min(end, self._left(own), self._left(visit))
                if until > since and until - since >= timedelta(minutes=minimum):
                    yield Meeting(visit.person, since, until, frozenset({own.id, visit.id}))

    def _left(self, visit: Visit) -> datetime:
        if visit.left is not None:
            return visit.left
        kind = self.place_kinds[visit.place]
        dwell = self.rules.place_dwell.get(kind, self.rules.other_dwell)
        return visit.arrived + timedelta(minutes=dwell)

    def _in_groups(self, source: Id, start: datetime, end: datetime) -> Iterable[Meeting]:
        for own in self.memberships:
            for theirs in self.memberships:
                if own.person != source or theirs.person == source or own.group != theirs.group:
                    continue
                minimum = self.rules.group_minimum.get(own.kind, self.rules.other_group_minimum)
                since = max(start, own.since, theirs.since)
                until = min(end, own.until or end, theirs.until or end)
                if minimum is None or until <= since:
                    continue
                if until - since >= timedelta(minutes=minimum):
                    yield Meeting(theirs.person, since, until, frozenset({own.id, theirs.id}))

    def _encounters(self, source: Id, start: datetime, end: datetime) -> Iterable[Meeting]:
        pairs: dict[Id, list[Encounter]] = defaultdict(list)
        for other, item in self._near[source]:
            if start <= item.start < end:
                pairs[other].append(item)
        for other, items in pairs.items():
            items.sort(key=lambda item: item.start)
            for item in _in_a_sum(items, self.rules.encounter_minutes * 60):
                until = item.start + timedelta(seconds=item.seconds)
                yield Meeting(other, item.start, until, frozenset({item.id}))


def _in_a_sum(items: Sequence[Encounter], enough_seconds: float) -> Iterable[Encounter]:
    """Those that are part of some 24 hours in which the pair spent enough time together."""
    counted: set[int] = set()
    oldest, total = 0, 0
    for newest, item in enumerate(items):
        total += item.seconds
        while items[oldest].start < item.start - DAY:
            total -= items[oldest].seconds
            oldest += 1
        after = items[newest + 1] if newest + 1 < len(items) else None
        # Several may begin at the same moment: none of them is later than the others.
        if (after is None or after.start > item.start) and total >= enough_seconds:
            counted.update(range(oldest, newest + 1))
    return [items[index] for index in sorted(counted)]


def _first_through(through: Mapping[Id, Sequence[Meeting]]) -> dict[Id, Found]:
    """Per exposed person: whom it first happened through, and the first and last of all."""
    by_person: dict[Id, list[tuple[datetime, Id, Meeting]]] = defaultdict(list)
    for via, meetings in through.items():
        for meeting in meetings:
            by_person[meeting.other].append((meeting.start, via, meeting))
    found = {}
    for person, candidates in by_person.items():
        first, via, _ = min(candidates, key=lambda item: item[:2])
        found[person] = Found(
            via=via,
            first=first,
            last=max(meeting.end for _, _, meeting in candidates),
            evidence=frozenset().union(*(m.evidence for _, v, m in candidates if v == via)),
        )
    return found
