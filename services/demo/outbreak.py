"""The week of the outbreak: who sends what when, and what is told of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from random import Random

from services.demo.cast import Cast, choose_cast
from services.demo.exposure import Case, World
from services.demo.figures import Figures
from services.demo.measures import orders_of
from services.demo.plan import (
    Discard,
    Encounter,
    Parcel,
    Plan,
    Report,
    Result,
    Row,
    Scan,
    Town,
    at,
)
from services.demo.story import LINES
from services.demo.told import Facts, take
from services.demo.town import LABORATORY, RESTAURANT, STATION, build_town
from services.demo.week import PLAYGROUND, Habits, classmates_meet, day_of, households, parcels_of

SEED = 20260302
FIRST_ONSET = date(2026, 3, 4)
SECOND_ONSET = date(2026, 3, 5)
FIRST_REPORTED_AT = at(5, 10)
SECOND_REPORTED_AT = at(6, 8, 20)
DISCARDED_AT = at(6, 15)
# (day, hour, minute), source, point kind, place, person or how many, °C or fever, line of the story
Seen = tuple[tuple[int, int, int], str, str, str, str | int, float | bool, str]


def build_plan(figures: Figures, *, seed: int = SEED) -> Plan:
    """The same play from the same seed."""
    random = Random(seed)
    town = build_town(random)
    cast = choose_cast(town, random)
    told = [households(town), *_sentinels(cast), *_zero_reports(), *_playground(town, cast, random)]
    told += [*_results(cast, town), *_station(cast), *_headings()]
    scans = _obedient_week(town, cast, figures, told=told, random=random)
    parcels = sorted([*told, *parcels_of(scans)], key=lambda one: one.sent_at)
    roles = {name: getattr(cast, name) for name in Cast.__slots__}
    return Plan(seed, town, tuple(_with_mistakes(parcels)), roles)


def cases_of(facts: Facts, discarded: frozenset[str]) -> list[Case]:
    """Every person with a positive result whose case nobody has discarded."""
    positive = [one for _, one in facts.results if one.outcome == "positive"]
    return [
        Case(one.person, one.onset_date, one.occurred_at, one.reported_at)
        for one in positive
        if one.person not in discarded
    ]


@dataclass(frozen=True, slots=True)
class _Known:
    town: Town
    figures: Figures
    told: Sequence[Parcel]

    def home_from(self, scans: Sequence[Scan], known_at: datetime) -> Mapping[str, datetime]:
        """Since when whom an order keeps in, by the cases reported until then."""
        _, facts = take([*self.told, *parcels_of(scans)])
        cases = [one for one in cases_of(facts, frozenset()) if one.reported_at <= known_at]
        contacts = World(self.town, facts, self.figures.windows).contacts(cases)
        measures = self.figures.measures
        leaves = {rule["name"] for rule in measures["measures"] if rule["may_leave"]}
        begins: dict[str, datetime] = {}
        for order in orders_of(cases, contacts, measures):
            if order.measure not in leaves:
                known = begins.get(order.person, order.from_at)
                begins[order.person] = min(order.from_at, known)
        return begins


def _obedient_week(
    town: Town, cast: Cast, figures: Figures, *, told: Sequence[Parcel], random: Random
) -> list[Scan]:
    """Six days of scans in which whoever is under order stays in. Only the truth can say who is."""
    absent = {(cast.first, day) for day in (4, 5, 6)} | {(cast.early, 5)}
    habits = Habits(no_market=cast.everybody, absent=frozenset(absent))
    known = _Known(town, figures, told)
    scans = [scan for day in range(1, 6) for scan in day_of(town, day, habits, random)]
    scans = [_half_day(scan, cast) for scan in scans] + _dinner(cast)
    habits.home_from = known.home_from(scans, FIRST_REPORTED_AT)
    scans = [kept for scan in scans if (kept := habits.obey(scan)) is not None]
    scans += day_of(town, 6, habits, random)
    habits.home_from = known.home_from(scans, SECOND_REPORTED_AT)
    return [kept for scan in scans if (kept := habits.obey(scan)) is not None]


def _half_day(scan: Scan, cast: Cast) -> Scan:
    """The first goes home sick at noon of the third day."""
    if scan.person == cast.first and scan.occurred_at.date() == FIRST_ONSET:
        return replace(scan, left_at=at(3, 12, 10))
    return scan


def _dinner(cast: Cast) -> list[Scan]:
    stays = (
        (cast.first, at(2, 18, 30), at(2, 20, 5)),
        (cast.runaway, at(2, 18, 35), at(2, 20, 10)),
        (cast.passer, at(2, 18, 40), at(2, 18, 48)),
    )
    return [
        Scan(f"dinner/{person}", begins, person=person, place=RESTAURANT.code, left_at=ends)
        for person, begins, ends in stays
    ]


def _sentinels(cast: Cast) -> list[Parcel]:
    clinic = ("clinic", "fever_clinic", "YX-CLINIC")
    seen: list[Seen] = [
        ((1, 9, 10), *clinic, cast.traveller, 36.8, ""),
        ((1, 9, 40), *clinic, cast.passer, 38.4, ""),
        ((1, 10, 30), "pharmacy-3", "pharmacy", "YX-PHARMACY-3", 2, True, "noise"),
        ((2, 10, 10), "songling-clinic", "fever_clinic", "SL-CLINIC", 1, 38.1, ""),
        ((2, 15, 20), "songling-pharmacy", "pharmacy", "SL-PHARMACY", 3, True, "neighbour"),
        ((4, 11, 20), *clinic, cast.first, 38.6, "clinic"),
        ((4, 14, 10), *clinic, cast.patient, 37.9, ""),
        ((4, 18, 5), "pharmacy-1", "pharmacy", "YX-PHARMACY-1", 3, True, "pharmacy"),
        ((5, 8, 30), "school", "school", "YX-SCHOOL", 4, True, "school"),
        ((5, 11, 40), *clinic, cast.traveller, 38.2, ""),
    ]
    parcels = []
    for moment, source, kind, place, who, what, line in seen:
        occurred_at = at(*moment)
        report = Report(
            f"{place}/{occurred_at:%m%d-%H%M}", occurred_at, kind=kind, place=place,
            person=who if isinstance(who, str) else None,
            person_count=who if isinstance(who, int) else 1,
            temperature_c=what if not isinstance(what, bool) else None,
            fever=what if isinstance(what, bool) else None,
        )  # fmt: skip
        parcels.append(
            Parcel(occurred_at + timedelta(minutes=5), source, (report,), told=LINES.get(line))
        )
    return parcels


def _zero_reports() -> list[Parcel]:
    """Silence is told, not assumed: who saw nothing says so."""
    nothing = [
        (f"pharmacy-{number}", "pharmacy", f"YX-PHARMACY-{number}", at(day, 20, 30))
        for number in (1, 2, 3)
        for day in range(1, 6)
    ]
    nothing += [("school", "school", "YX-SCHOOL", at(day, 9)) for day in range(1, 5)]
    return [
        Parcel(
            when, source,
            (Report(f"zero/{place}/{when:%m%d}", when, kind=kind, place=place, person_count=0,
                    fever=False),),
        )
        for source, kind, place, when in nothing
    ]  # fmt: skip


def _playground(town: Town, cast: Cast, random: Random) -> list[Parcel]:
    """Breaks on the second day: three pupils add up to a contact, three do not."""
    long, short = classmates_meet(town, cast.child, random)
    rows: list[Row] = []
    for number, other in enumerate([*long, *short]):
        minutes = (8, 7) if other in long else (4, 3)
        for pause, minute in ((9, 50), (14, 20)):
            seconds = minutes[0 if pause == 9 else 1] * 60
            rows.append(
                Encounter(
                    f"band/{other}/{pause}", at(2, pause, minute + number % 5), person=cast.child,
                    other_person=other, seconds=seconds, place=PLAYGROUND,
                )
            )  # fmt: skip
    return [Parcel(at(2, 16), "wristbands", tuple(rows))]


def _results(cast: Cast, town: Town) -> list[Parcel]:
    def result(person: str, collected_at: datetime, reported_at: datetime) -> Result:
        return Result(
            f"result/{person}", collected_at, person=person, specimen=f"specimen/{person}",
            place=LABORATORY.code, reported_at=reported_at,
        )  # fmt: skip

    first = result(cast.first, at(4, 11, 45), FIRST_REPORTED_AT)
    second = result(cast.second, at(5, 16), SECOND_REPORTED_AT)
    relatives = [
        one.code
        for one in town.persons.values()
        if one.household == town.persons[cast.first].household and one.code != cast.first
    ]
    negative = [
        replace(result(one, at(5, 15), SECOND_REPORTED_AT), outcome="negative") for one in relatives
    ]
    return [
        Parcel(
            FIRST_REPORTED_AT, "laboratory", (replace(first, onset_date=FIRST_ONSET),),
            told=LINES["first"],
        ),
        Parcel(
            SECOND_REPORTED_AT, "laboratory",
            (replace(second, onset_date=SECOND_ONSET), *negative), told=LINES["second"],
        ),
        Parcel(
            DISCARDED_AT, "", discard=Discard(cast.first, "specimen of another person"),
            told=LINES["discard"], wait=True,
        ),
    ]  # fmt: skip


def _station(cast: Cast) -> list[Parcel]:
    def scan(person: str, occurred_at: datetime, *, c: float, permit: str | None = None) -> Scan:
        return Scan(
            f"gate/{person}", occurred_at, person=person, place=STATION.code, temperature_c=c,
            permit=permit,
        )  # fmt: skip

    def gate(row: Scan, sent_at: datetime, line: str) -> Parcel:
        return Parcel(sent_at, "station", (row,), told=LINES[line], wait=True)

    feverish = scan(cast.traveller, at(2, 9, 15), c=37.9)
    held = scan(cast.runaway, at(5, 17, 10), c=36.5)
    permitted = scan(cast.permitted, at(5, 17, 25), c=36.6, permit="hospital-transfer")
    early = scan(cast.early, at(5, 9, 20), c=36.4)
    return [
        gate(feverish, at(2, 9, 16), "fever"),
        gate(held, at(5, 17, 11), "held"),
        gate(permitted, at(5, 17, 26), "permitted"),
        gate(early, at(5, 17, 40), "offline"),
    ]


def _headings() -> list[Parcel]:
    return [Parcel(at(day, 0, 1), "", told=LINES[f"day{day}"]) for day in range(1, 7)]


def _with_mistakes(parcels: Sequence[Parcel]) -> list[Parcel]:
    """What happens on lines: a bundle sent twice, a row repeated, a wrong unit, a changed row."""
    bundles = [one for one in parcels if one.source == "venues" and len(one.rows) > 20]
    twice, repeated, spoiled = bundles[1], bundles[3], bundles[5]
    old = repeated.rows[0]
    assert isinstance(old, Scan)
    changed = replace(old, left_at=(old.left_at or old.occurred_at) + timedelta(minutes=1))
    wrong = Scan(
        "thermometer/1", spoiled.sent_at - timedelta(minutes=10), broken=True, person=old.person,
        place=old.place, temperature_c=366.0,
    )  # fmt: skip
    mistakes = {
        id(repeated): replace(repeated, rows=(*repeated.rows, twice.rows[0])),
        id(spoiled): replace(spoiled, rows=(*spoiled.rows, wrong, changed)),
    }
    again = replace(twice, sent_at=twice.sent_at + timedelta(minutes=20), told=LINES["twice"])
    told = [mistakes.get(id(one), one) for one in parcels]
    return sorted([*told, again], key=lambda one: one.sent_at)
