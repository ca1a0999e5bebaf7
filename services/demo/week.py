"""What happens on any day: people go to work, to school, to the market, to the train."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from random import Random

from services.demo.plan import Membership, Parcel, Person, Row, Scan, Town, at
from services.demo.town import MARKET, SCHOOL, STATION

SATURDAY = 6
# Rows leave the devices with the full hour, five minutes later.
SENDING_DELAY = timedelta(minutes=5)


@dataclass(slots=True)
class Habits:
    """Who keeps away from what: persons of the story, whose ways are told elsewhere."""

    no_market: frozenset[str] = frozenset()
    # (person, day): absent from work or school that day.
    absent: frozenset[tuple[str, int]] = frozenset()
    # Under order from this moment: nothing begins after it.
    home_from: Mapping[str, datetime] = field(default_factory=dict)

    def fit(self, scan: Scan, day: int) -> Scan | None:
        """The scan as the person's circumstances leave it; None when it does not happen."""
        elsewhere = scan.place in (MARKET.code, STATION.code) and scan.person in self.no_market
        if elsewhere or (scan.person, day) in self.absent:
            return None
        return self.obey(scan)

    def obey(self, scan: Scan) -> Scan | None:
        """The scan as an order leaves it."""
        begins = self.home_from.get(scan.person)
        if begins is None:
            return scan
        if scan.occurred_at >= begins:
            return None
        if scan.left_at is None or scan.left_at <= begins:
            return scan
        # Fetched from work or school when the order came.
        return replace(scan, left_at=begins + timedelta(minutes=20))


def day_of(town: Town, day: int, habits: Habits, random: Random) -> list[Scan]:
    """Every venue and station scan of one day, in no order."""
    scans: list[Scan] = []
    for person in town.persons.values():
        scans += _daily(person, day, random)
        scans += _market(person, day, random)
    scans += _travellers(town, day, random)
    return [fitted for scan in scans if (fitted := habits.fit(scan, day)) is not None]


def _daily(person: Person, day: int, random: Random) -> list[Scan]:
    arrives = at(day, 7, 40) + timedelta(minutes=random.randrange(35))
    pupil = person.role == "pupil"
    leaves = at(day, 15 if pupil else 17, 30) + timedelta(minutes=random.randrange(25))
    present = random.random() < 0.96
    if person.daily is None or day == SATURDAY or not present:
        return []
    return [
        Scan(
            f"{person.daily}/{person.code}/{day}", arrives, person=person.code,
            place=person.daily, left_at=leaves,
        )
    ]  # fmt: skip


def _market(person: Person, day: int, random: Random) -> list[Scan]:
    arrives = at(day, random.randrange(7, 17), random.randrange(60))
    stay = timedelta(minutes=random.randrange(8, 40))
    chance, seen_to_leave = random.random(), random.random() < 0.8
    goes = {"adult": 0.12, "elder": 0.2, "worker": 0.15 if day == SATURDAY else 0.0}
    if chance >= goes.get(person.role, 0.0):
        return []
    return [
        Scan(
            f"{MARKET.code}/{person.code}/{day}", arrives, person=person.code,
            place=MARKET.code, left_at=arrives + stay if seen_to_leave else None,
        )
    ]  # fmt: skip


def _travellers(town: Town, day: int, random: Random) -> list[Scan]:
    grown = [one.code for one in town.persons.values() if one.role in ("adult", "elder")]
    scans = []
    for person in random.sample(grown, 7):
        moment = at(day, random.randrange(6, 21), random.randrange(60))
        warmth = random.randrange(361, 370) / 10
        scans.append(
            Scan(
                f"{STATION.code}/{person}/{day}", moment, person=person, place=STATION.code,
                temperature_c=warmth,
            )
        )  # fmt: skip
    return scans


def households(town: Town) -> Parcel:
    """The register of households, sent before anything else."""
    since = at(-30, 0)
    rows = tuple(
        Membership(
            f"{one.household}/{one.code}", since, person=one.code, group_kind="household",
            group=one.household,
        )
        for one in town.persons.values()
    )  # fmt: skip
    return Parcel(at(1, 6), "registry", rows)


def parcels_of(scans: Iterable[Scan]) -> list[Parcel]:
    """Scans bundled by device and hour, as they become known."""
    bundles: dict[tuple[datetime, str], list[Row]] = defaultdict(list)
    for scan in sorted(scans, key=lambda one: (one.occurred_at, one.external_id)):
        known_at = scan.left_at or scan.occurred_at
        full_hour = known_at.replace(minute=0) + timedelta(hours=1)
        source = "station" if scan.place == STATION.code else "venues"
        bundles[full_hour + SENDING_DELAY, source].append(scan)
    return [
        Parcel(sent_at, source, tuple(rows))
        for (sent_at, source), rows in sorted(bundles.items(), key=lambda item: item[0])
    ]


def classmates_meet(town: Town, child: str, random: Random) -> tuple[list[str], list[str]]:
    """Pupils of other classes: some who will play long with the child, some only in passing."""
    own = town.persons[child]
    others = [
        one.code
        for one in town.persons.values()
        if one.role == "pupil" and one.daily != own.daily and one.household != own.household
    ]
    chosen = random.sample(others, 6)
    return chosen[:3], chosen[3:]


PLAYGROUND = SCHOOL.code
