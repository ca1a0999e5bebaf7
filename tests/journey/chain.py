"""Walk 5: the whole chain, from three sources and a positive result to the withdrawal.

The visit is a NIST A04 whose facility was registered to the county, the result a CDC report whose
patient was registered as a person with scans; the two messages are not edited. The dates of the
rest follow theirs:

    02-13 12:00  ada eats in the canteen with ben and cam; fay passes by, too short to count
    02-13 18:00  dee meets ben at the gym: a contact of a contact; gus met him there before that
    02-14 10:00  cam meets eve at the market
    02-14 11:45  ada's result: a probable case, so ben and cam are under order from then
    02-15        eve is a case too, told by a list: cam is a contact of two cases
    02-16 09:00  ben is scanned at the station: a breach; his scan on 02-14 at 07:00 is none
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.journey.end_state import EndState, read_end_state
from tests.journey.harness import Outpost
from tests.journey.messages import Acknowledgement, folder
from tests.journey.stage import Area, Person, Place, Source, register, speak_as, tell

NOW = datetime(2020, 2, 17, 18, tzinfo=UTC)
CHICAGO = "America/Chicago"
SUFFOLK, MONTGOMERY = "us:25025", "us:01101"

AREAS = (
    Area("us:00", "country", "United States"),
    Area(SUFFOLK, "county", "Suffolk, Massachusetts", "us:00"),
    Area(MONTGOMERY, "county", "Montgomery, Alabama", "us:00", CHICAGO),
)
PLACES = (
    Place("urgent care", "fever_clinic", SUFFOLK),
    Place("corner pharmacy", "pharmacy", SUFFOLK),
    Place("primary school", "school", SUFFOLK),
    Place("laboratory", "hospital", MONTGOMERY),
    Place("canteen", "restaurant", MONTGOMERY),
    Place("gym", "venue", MONTGOMERY),
    Place("market", "market", MONTGOMERY),
    Place("station", "station", MONTGOMERY),
)
CLINIC = Source("urgent care", "fever_clinic", ("BgCtyChldrnUrgntCar", "1231231234"), "urgent care")
LABORATORY = Source(
    "laboratory", "laboratory", ("AL.Montgomery.SPHL", "2.16.840.1.114222.4.1.11476"),
    "laboratory", CHICAGO, "test",
)  # fmt: skip
PHARMACY = Source("pharmacy", "pharmacy", place_code="corner pharmacy")
SCHOOL = Source("school", "school", place_code="primary school")
VENUES = Source("venues", "checkpoint", default_zone=CHICAGO)
STATION = Source("station", "checkpoint", place_code="station", default_zone=CHICAGO)
DESK = Source("epidemic desk", "list", default_zone=CHICAGO)
# They speak by key, and a key is bound to a registered source.
KEYED = (PHARMACY, SCHOOL, VENUES, STATION, DESK)

ADA = Person("ada", MONTGOMERY, "Chemware.AL.Stag&2.16.840.1.114222.4.3.3.2.12.2&ISO^PI", "1040970")
BEN, CAM, DEE, EVE, FAY, GUS = (
    Person(name, MONTGOMERY) for name in ("ben", "cam", "dee", "eve", "fay", "gus")
)
PERSONS = (ADA, BEN, CAM, DEE, EVE, FAY, GUS)

Act = Callable[[Outpost], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that somebody sends."""

    name: str
    act: Act


def first_steps() -> list[Step]:
    """What must be there before anybody can speak: the sources with a key."""
    return [_registration(source) for source in KEYED]


def later_registrations() -> list[Step]:
    """What may be registered at any time, before or after the facts that name it."""
    return [_registration(one) for one in (*AREAS, *PLACES, CLINIC, LABORATORY, *PERSONS)]


def facts(outside_data: Path) -> list[Step]:
    """Everything that is told before anybody decides anything, in the order of its happening."""
    visit = folder(outside_data, "nist-ss")["cb_TestGroup_1_TestCase_1_TestStep_1.hl7"]
    result = folder(outside_data, "cdc-elr")["AL_PHLIP_251_COVID_CDC_conc-Det.hl7"]
    return [
        _report("pharmacy", PHARMACY, "2010-02-19T16:20:00"),
        _report("school", SCHOOL, "2010-02-19T09:00:00"),
        _message("visit", visit),
        _visit("gus at the gym", GUS, "gym", "2020-02-13T08:00:00", "2020-02-13T09:00:00"),
        _visit(
            "ben's morning at the gym", BEN, "gym", "2020-02-13T08:00:00", "2020-02-13T09:00:00"
        ),
        _visit("ada's lunch", ADA, "canteen", "2020-02-13T12:00:00", "2020-02-13T13:00:00"),
        _visit("ben's lunch", BEN, "canteen", "2020-02-13T12:10:00", "2020-02-13T12:50:00"),
        _visit("cam's lunch", CAM, "canteen", "2020-02-13T12:30:00", "2020-02-13T13:10:00"),
        _visit("fay passes", FAY, "canteen", "2020-02-13T12:54:00", "2020-02-13T13:04:00"),
        _visit("ben's evening", BEN, "gym", "2020-02-13T18:00:00", "2020-02-13T19:30:00"),
        _visit("dee's evening", DEE, "gym", "2020-02-13T18:10:00", "2020-02-13T19:00:00"),
        _station_scan("ben before his order", BEN, "2020-02-14T07:00:00"),
        _visit("cam shops", CAM, "market", "2020-02-14T10:00:00", "2020-02-14T10:40:00"),
        _visit("eve shops", EVE, "market", "2020-02-14T09:50:00", "2020-02-14T10:30:00"),
        _message("result", result),
        _case_list("eve is told"),
        _station_scan("ben at the station", BEN, "2020-02-16T09:00:00"),
    ]


async def play(outpost: Outpost, steps: Sequence[Step], *, settle_every: int = 0) -> None:
    """One step after the other; `settle_every` so many, all is heard and judged before the next."""
    for number, step in enumerate(steps, start=1):
        await step.act(outpost)
        if settle_every and number % settle_every == 0:
            await outpost.settled()
    await outpost.settled()


async def play_at_once(outpost: Outpost, steps: Sequence[Step]) -> None:
    """Everything on its way at the same time."""
    await asyncio.gather(*(step.act(outpost) for step in steps))
    await outpost.settled()


async def name_persons(outpost: Outpost) -> None:
    """The walk's names of persons, by id; registering them again changes nothing."""
    await register(outpost, *PERSONS)
    await outpost.settled()


async def discard_first_case(outpost: Outpost) -> None:
    """A tracer says that ada was no case."""
    (case,) = [
        case
        for case in await outpost.pages("/tracing/cases", "cases")
        if outpost.names[case["person_id"]] == "ada"
    ]
    await outpost.send(
        f"/tracing/cases/{case['id']}/discard", {"reason": "the second laboratory found nothing"}
    )
    await outpost.settled()


@dataclass(frozen=True, slots=True)
class BothEnds:
    """What stood before the case was discarded, and what stands after."""

    before: EndState
    after: EndState


async def read_both_ends(outpost: Outpost, *, discard: bool = True) -> BothEnds:
    """The end state, the discard (unless it was done before), the end state."""
    await name_persons(outpost)
    before = await read_end_state(outpost)
    if discard:
        await discard_first_case(outpost)
    return BothEnds(before, await read_end_state(outpost))


def _registration(one: Area | Place | Source | Person) -> Step:
    async def act(outpost: Outpost) -> None:
        await register(outpost, one)
        if isinstance(one, Source) and one in KEYED:
            await speak_as(outpost, one)

    return Step(f"register {one}", act)


def _message(name: str, raw: bytes) -> Step:
    async def act(outpost: Outpost) -> None:
        response = await outpost.hl7(raw)
        assert Acknowledgement.read(response.content).code == "AA", response.text

    return Step(name, act)


def _rows(name: str, source: Source, door: str, row: dict[str, Any]) -> Step:
    async def act(outpost: Outpost) -> None:
        (answer,) = await tell(outpost, source, door, {"external_id": name} | row)
        outpost.verdicts.setdefault(name, answer.get("verdict"))

    return Step(name, act)


def _report(name: str, source: Source, at: str) -> Step:
    told = {"kind": source.kind, "occurred_at": at, "symptoms": ["fever and cough"]}
    return _rows(name, source, "reports", told)


def _visit(name: str, person: Person, place: str, at: str, left_at: str) -> Step:
    return _rows(
        name, VENUES, "scans",
        {
            "occurred_at": at, "left_at": left_at, "place": {"code": place},
            "person": person.reference,
        },
    )  # fmt: skip


def _station_scan(name: str, person: Person, at: str) -> Step:
    told = {"occurred_at": at, "place": {"code": "station"}, "person": person.reference}
    return _rows(name, STATION, "scans", told)


def _case_list(name: str) -> Step:
    async def act(outpost: Outpost) -> None:
        response = await outpost.ask(
            "POST", "/intake/lists", params={"disease": "covid19", "id_scheme": EVE.scheme},
            content=b"id,onset_date,report_date\neve,2020-02-14,2020-02-15\n",
            headers=await speak_as(outpost, DESK) | {"content-type": "text/csv"},
        )  # fmt: skip
        assert response.status_code == 202, response.text

    return Step(name, act)
