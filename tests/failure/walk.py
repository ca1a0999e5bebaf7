"""A small outbreak as requests: every row that senders would send, in an order that a seed decides.

Contents never depend on the seed, only order and cut do: whatever the seed, the end state is one.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.journey.stage import Area, Person, Place, Source

PROVINCE = Area("cn:34", "province", "Anhui", zone="Asia/Shanghai")
CITY = Area("cn:3401", "prefecture", "Hefei", "cn:34", "Asia/Shanghai")
COUNTY = Area("cn:340102", "county", "Yaohai", "cn:3401", "Asia/Shanghai")
OTHER_COUNTY = Area("cn:340103", "county", "Luyang", "cn:3401", "Asia/Shanghai")
AREAS = (PROVINCE, CITY, COUNTY, OTHER_COUNTY)
PLACES = (
    Place("gate", "checkpoint", COUNTY.area_id),
    Place("market", "market", COUNTY.area_id),
    Place("restaurant", "restaurant", COUNTY.area_id),
    Place("station", "station", OTHER_COUNTY.area_id),
    Place("clinic", "fever_clinic", COUNTY.area_id),
    Place("pharmacy", "pharmacy", COUNTY.area_id),
    Place("school", "school", COUNTY.area_id),
)
ZONE = "Asia/Shanghai"
GATE = Source("gate", "checkpoint", place_code="gate", default_zone=ZONE)
CLINIC = Source("clinic", "fever_clinic", ("FeverClinic", "3401"), "clinic", ZONE)
PHARMACY = Source("pharmacy", "pharmacy", place_code="pharmacy", default_zone=ZONE)
SCHOOL = Source("school", "school", place_code="school", default_zone=ZONE)
LABORATORY = Source("laboratory", "laboratory", default_zone=ZONE)
SOURCES = (GATE, CLINIC, PHARMACY, SCHOOL, LABORATORY)
PERSONS = tuple(Person(f"p{number:02}", COUNTY.area_id) for number in range(24))
DAY = datetime(2020, 4, 28, tzinfo=UTC)
ROWS_PER_REQUEST = 4


@dataclass(frozen=True, slots=True)
class Request:
    """One POST. `door` is empty for registrations; `rows` are (external id, revision)."""

    source: Source | None
    path: str
    body: Any = None
    raw: bytes = b""
    rows: tuple[tuple[str, int], ...] = ()

    @property
    def door(self) -> str:
        return self.path.rsplit("/", 1)[1]

    @property
    def counted(self) -> int:
        """How many rows or messages it brings to the balance; registrations bring none."""
        return (1 if self.raw else len(self.rows)) if self.source else 0


@dataclass(frozen=True, slots=True)
class Walk:
    """Three parts. What the facts lead to is waited for before anything is corrected: a contact
    that fell before it was ever judged leaves no trace, and rightly; the end states would differ.
    """

    registrations: Sequence[Request]
    facts: Sequence[Request]
    afterwards: Sequence[Request]


@dataclass(slots=True)
class Rows:
    """Rows by the source that sends them and the door they go to."""

    of: dict[tuple[Source, str], list[dict[str, Any]]] = field(default_factory=dict)

    def add(self, source: Source, door: str, external_id: str, **content: Any) -> None:
        row = {"external_id": external_id, **content}
        self.of.setdefault((source, door), []).append(row)

    def scan(
        self, external_id: str, person: int, place: str, span: tuple[float, float], **more: Any
    ) -> None:
        """`span`: arrival and departure in hours after the start of the first day."""
        self.add(
            GATE, "scans", external_id, person=PERSONS[person].reference, place={"code": place},
            occurred_at=at(span[0]), left_at=at(span[1]), **more,
        )  # fmt: skip


def at(hours: float) -> str:
    return (DAY + timedelta(hours=hours)).isoformat()


def make_walk(seed: int) -> Walk:
    """The same outbreak for every seed, told in another order and in other batches."""
    chance = random.Random(seed)
    first, corrected = _first_rows(), _corrected_rows()
    facts = list(_requests(first, chance)) + [_message(number) for number in range(3)]
    chance.shuffle(facts)
    again = chance.sample(facts, 5)
    # The same rows in other batches than before: duplicates one by one, not as a body.
    again += chance.sample(list(_requests(first, chance)), 4)
    afterwards = [*_requests(corrected, chance), *again]
    chance.shuffle(afterwards)
    return Walk(list(_registrations()), facts, afterwards)


def _registrations() -> Iterator[Request]:
    yield Request(None, "/intake/areas", [area.body() for area in AREAS])
    yield Request(None, "/intake/places", [place.body() for place in PLACES])
    for source in SOURCES:
        yield Request(None, "/intake/sources", source.body())
    yield Request(None, "/intake/persons", [person.body() for person in PERSONS])


def _first_rows() -> Rows:
    rows = Rows()
    # The case and whom it met at the market; p05 only passed by.
    rows.scan("market 0", 0, "market", (10, 12))
    for person in (1, 2, 3, 4):
        rows.scan(f"market {person}", person, "market", (10.5, 11.5))
    rows.scan("market 5", 5, "market", (11.95, 12.5))
    # Contacts of contacts, through p01.
    rows.scan("restaurant 1", 1, "restaurant", (20, 21.5))
    for person in (6, 7):
        rows.scan(f"restaurant {person}", person, "restaurant", (20.25, 21.25))
    # Another case, which the laboratory takes back, and whom it met.
    rows.scan("restaurant 10", 10, "restaurant", (30, 32))
    rows.scan("restaurant 11", 11, "restaurant", (30.5, 31.5))
    # Seen where no order allows: after the case was reported.
    rows.scan("station 1", 1, "station", (58, 58.5))
    rows.scan("station 3", 3, "station", (59, 59.5))
    # Five feverish persons within a day at the gate.
    for person in range(12, 17):
        rows.scan(f"gate {person}", person, "gate", (26 + person / 10, 27 + person / 10),
                  temperature_c=38.4)  # fmt: skip
    # A row that no sender can mean: it is rejected, kept, and the others of its batch are taken.
    rows.scan("backwards", 17, "gate", (40, 39))
    for number, person in enumerate((0, 10)):
        rows.add(
            LABORATORY, "results", f"result {person}", person=PERSONS[person].reference,
            specimen=f"specimen {person}", disease="covid19", outcome="positive",
            occurred_at=at(34 + number), reported_at=at(44 + number), place={"code": "clinic"},
        )  # fmt: skip
    for person in (18, 19):
        rows.add(PHARMACY, "reports", f"purchase {person}", kind="pharmacy", fever=True,
                 person=PERSONS[person].reference, occurred_at=at(28 + person / 10))  # fmt: skip
    for person in (20, 21):
        rows.add(SCHOOL, "reports", f"absence {person}", kind="school", fever=True,
                 person=PERSONS[person].reference, occurred_at=at(29 + person / 10))  # fmt: skip
    return rows


def _corrected_rows() -> Rows:
    rows = Rows()
    # p02 left the market before the case came: no contact, no order.
    rows.scan("market 2", 2, "market", (9, 9.5), revision=2)
    rows.add(
        LABORATORY, "results", "result 10", person=PERSONS[10].reference, revision=2,
        specimen="specimen 10", disease="covid19", outcome="negative",
        occurred_at=at(35), reported_at=at(45), place={"code": "clinic"},
    )  # fmt: skip
    # One of the five at the gate had a broken thermometer.
    rows.scan("gate 16", 16, "gate", (27.6, 28.6), temperature_c=36.6, revision=2)
    return rows


def _requests(rows: Rows, chance: random.Random) -> Iterator[Request]:
    for (source, door), found in rows.of.items():
        shuffled = chance.sample(found, len(found))
        while shuffled:
            size = chance.randint(1, ROWS_PER_REQUEST)
            batch, shuffled = shuffled[:size], shuffled[size:]
            ids = tuple((row["external_id"], row.get("revision", 1)) for row in batch)
            yield Request(source, f"/intake/{door}", batch, rows=ids)


def _message(number: int) -> Request:
    """An emergency visit with fever, as a hospital system tells it."""
    at_minute = f"2020042916{number:02}"
    lines = (
        f"MSH|^~\\&||FeverClinic^3401|||{at_minute}||ADT^A04^ADT_A01|visit-{number}|P|2.5.1",
        f"EVN||{at_minute}",
        f"PID|1||patient-{number}^^^FeverClinic&3401||~^^^^^^S|||M",
        f"PV1|1|O|||||||||||||||||visit-{number}^^^FeverClinic&3401^VN" + "|" * 25 + at_minute,
        "PV2|||^Fever and cough",
    )
    raw = "\r".join(lines).encode() + b"\r"
    return Request(CLINIC, "/intake/hl7v2", raw=raw, rows=((f"visit-{number}", 1),))
