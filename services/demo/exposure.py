"""Who was exposed to whom: the rule of exposure by brute force, for the truth alone.

Written from the words of the rule, looking at every row for every question. Slow, short, and
independent of the services: the town is small.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

from services.demo.plan import ZONE, Encounter, Membership, Scan, Town
from services.demo.told import Facts

Times = Mapping[str, list[tuple[datetime, datetime]]]
FOR_EVER = datetime(9999, 1, 1, tzinfo=ZONE)
ROLLING = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Case:
    """A case of the disease, as its positive result tells it."""

    person: str
    onset: date | None
    collected_at: datetime
    reported_at: datetime


@dataclass(frozen=True, slots=True)
class Meeting:
    other: str
    via: str
    code: str
    from_at: datetime
    until_at: datetime


@dataclass(frozen=True, slots=True)
class Contact:
    """One person's exposure to one case."""

    case: str
    person: str
    degree: str
    via: str | None
    first_at: datetime
    last_at: datetime
    codes: frozenset[str]


@dataclass(frozen=True, slots=True)
class Together:
    """One visit of a person to a place while a case was there, from when both were."""

    case: str
    person: str
    place: str
    number: int
    from_at: datetime


@dataclass(frozen=True, slots=True)
class Stay:
    from_at: datetime
    until_at: datetime
    kind: str


def window_of(case: Case, windows: Mapping[str, Any]) -> tuple[datetime, datetime]:
    """The infectious window: whole local days around the onset, or the first fallback known."""
    basis = {
        "specimen_collected": case.collected_at.astimezone(ZONE).date(),
        "reported": case.reported_at.astimezone(ZONE).date(),
    }
    fallbacks = [basis[name] for name in windows["onset_fallbacks"] if name in basis]
    day = case.onset or fallbacks[0]
    return (
        _midnight(day - timedelta(days=windows["days_before_onset"])),
        _midnight(day + timedelta(days=windows["days_after_onset"] + 1)),
    )


class World:
    """Everything that is known of who was where with whom."""

    def __init__(self, town: Town, facts: Facts, windows: Mapping[str, Any]) -> None:
        self._town = town
        self._windows = windows
        self._close = windows["close"]
        self._visits: dict[str, list[tuple[str, Stay]]] = defaultdict(list)
        self._groups: dict[str, list[tuple[str, Stay]]] = defaultdict(list)
        self._encounters = facts.encounters
        for scan in facts.scans:
            if scan.person:
                self._visits[scan.place].append((scan.person, self._visit(scan)))
        for one in facts.memberships:
            self._groups[one.group].append((one.person, _membership(one)))

    def contacts(self, cases: Sequence[Case]) -> list[Contact]:
        """All contacts of all these standing cases, both degrees.

        Close contacts first: an order on a close contact of any case ends the time in which that
        person makes contacts of contacts.
        """
        close = {case.person: self._close_contacts(case) for case in cases}
        apart = self._apart(cases, close)
        found: list[Contact] = []
        for case in cases:
            found += close[case.person]
            found += self._second(case, close[case.person], apart)
        return found

    def together(self, cases: Sequence[Case]) -> list[Together]:
        """Every visit of somebody else that met one of these cases by the rule of visits."""
        found: list[Together] = []
        for case in cases:
            times = window_of(case, self._windows)
            for place, stays in self._visits.items():
                own = [(who, stay) for who, stay in stays if who == case.person]
                for number, (other, theirs) in enumerate(stays):
                    pair = {place: [*own, (other, theirs)]}
                    met = list(_overlaps(case.person, *times, "visit", pair, self._least))
                    if own and other != case.person and met:
                        from_at = min(meeting.from_at for meeting in met)
                        found.append(Together(case.person, other, place, number, from_at))
        return found

    def _least(self, kind: str) -> timedelta | None:
        return _minimum(self._close["place_kinds"].get(kind, self._close["other_places"]))

    def _close_contacts(self, case: Case) -> list[Contact]:
        from_at, until_at = window_of(case, self._windows)
        met = self._met(case.person, from_at, until_at)
        return _by_person(case.person, "close_contact", met, self._town)

    def _second(self, case: Case, close: Sequence[Contact], apart: Times) -> list[Contact]:
        rule = self._windows["contact_of_contact"]
        if not rule["sought"]:
            return []
        last = window_of(case, self._windows)[1] + timedelta(days=rule["days_after_window"])
        known = {case.person, *(contact.person for contact in close)}
        met: list[Meeting] = []
        for contact in close:
            ends = [
                begins for begins, over in apart.get(contact.person, ()) if over > contact.first_at
            ]
            met += self._met(contact.person, contact.first_at, min([last, *ends]))
        met = [meeting for meeting in met if meeting.other not in known]
        return _by_person(case.person, "contact_of_contact", met, self._town)

    def _apart(self, cases: Sequence[Case], close: Mapping[str, list[Contact]]) -> Times:
        """When persons were kept from others: as close contacts under order, and as cases."""
        apart: dict[str, list[tuple[datetime, datetime]]] = defaultdict(list)
        for case in cases:
            apart[case.person].append((case.reported_at, window_of(case, self._windows)[1]))
            for contact in close[case.person]:
                apart[contact.person].append((case.reported_at, FOR_EVER))
        return apart

    def _met(self, person: str, from_at: datetime, until_at: datetime) -> list[Meeting]:
        if until_at <= from_at:
            return []
        groups = self._close["group_kinds"]
        met = list(_overlaps(person, from_at, until_at, "visit", self._visits, self._least))
        met += _overlaps(
            person, from_at, until_at, "membership", self._groups,
            lambda kind: _minimum(groups.get(kind, self._close["other_groups"])),
        )  # fmt: skip
        return met + list(self._played(person, from_at, until_at))

    def _played(self, person: str, from_at: datetime, until_at: datetime) -> Iterator[Meeting]:
        """Encounters whose durations over the 24 hours up to one of them add up to the minutes."""
        pairs: dict[str, list[Encounter]] = defaultdict(list)
        for one in self._encounters:
            if person in (one.person, one.other_person) and from_at <= one.occurred_at < until_at:
                pairs[one.other_person if one.person == person else one.person].append(one)
        needed = self._close["encounter_minutes_in_24h"] * 60
        for other, encounters in pairs.items():
            counting: set[str] = set()
            for last in encounters:
                summed = [
                    one for one in encounters
                    if last.occurred_at - ROLLING <= one.occurred_at <= last.occurred_at
                ]  # fmt: skip
                if sum(one.seconds for one in summed) >= needed:
                    counting |= {one.external_id for one in summed}
            for one in encounters:
                if one.external_id in counting:
                    over = one.occurred_at + timedelta(seconds=one.seconds)
                    yield Meeting(other, person, "encounter", one.occurred_at, over)

    def _visit(self, scan: Scan) -> Stay:
        kind = self._town.places[scan.place].kind
        rule = self._close["place_kinds"].get(kind, self._close["other_places"])
        dwell = timedelta(minutes=rule["default_dwell_minutes"])
        return Stay(scan.occurred_at, scan.left_at or scan.occurred_at + dwell, kind)


def _overlaps(
    person: str, from_at: datetime, until_at: datetime, code: str,
    stays: Mapping[str, list[tuple[str, Stay]]], minimum: Callable[[str], timedelta | None],
) -> Iterator[Meeting]:  # fmt: skip
    for together in stays.values():
        for who, own in together:
            if who != person:
                continue
            least = minimum(own.kind)
            for other, theirs in together:
                begins = max(own.from_at, theirs.from_at, from_at)
                ends = min(own.until_at, theirs.until_at, until_at)
                long_enough = least is not None and ends - begins >= least
                if other != person and ends > begins and long_enough:
                    yield Meeting(other, person, code, begins, ends)


def _by_person(case: str, degree: str, met: Sequence[Meeting], town: Town) -> list[Contact]:
    """One contact per person; of several close contacts between, the one that exposed first."""
    persons: dict[str, list[Meeting]] = defaultdict(list)
    for meeting in met:
        persons[meeting.other].append(meeting)
    found = []
    for person, meetings in sorted(persons.items()):
        first = min(meetings, key=lambda one: (one.from_at, town.persons[one.via].id))
        via = None if degree == "close_contact" else first.via
        found.append(
            Contact(
                case, person, degree, via,
                first_at=first.from_at,
                last_at=max(one.until_at for one in meetings),
                codes=frozenset(one.code for one in meetings if one.via == first.via),
            )
        )  # fmt: skip
    return found


def _membership(one: Membership) -> Stay:
    return Stay(one.occurred_at, FOR_EVER, one.group_kind)


def _minimum(rule: Mapping[str, Any] | None) -> timedelta | None:
    return None if rule is None else timedelta(minutes=rule["minimum_minutes"])


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), tzinfo=ZONE)
