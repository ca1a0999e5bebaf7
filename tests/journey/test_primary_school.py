"""Every child of a real primary school tried as the case: SQL, brute force and the city in memory
name the same contacts.

The file holds 125,773 measurements of two days in a French school: who faced whom, 20 seconds each.
We read a row as 20 seconds of contact that end at `Time`. Time 0 is placed at midnight of 1 October
2009 in Paris, the onset on that day: the window of the policy (two days before, ten after) holds
both days of the file.
"""

from __future__ import annotations

import csv
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
import pytest_asyncio
from sqlalchemy import URL, text

from services.tracing.domain.exposure import Exposed, Source
from services.tracing.handlers.case_judgement import Judged, assess, find_contacts
from services.tracing.handlers.city import keeper_of
from services.tracing.handlers.questions import Asked, answer, everybody, usable_city
from services.tracing.repository.asked import ExposedPerson
from shared.database.work import Actor, ReadSession
from shared.events.intake import CaseDeclared, EncounterMeasured
from shared.service import Room
from tests.oracle import exposure as oracle
from tests.service.tracing import desk as tell
from tests.service.tracing.desk import Desk, id_of
from tests.service.tracing.process import room_of

ZONE = ZoneInfo("Europe/Paris")
TIME_0 = datetime(2009, 10, 1, tzinfo=ZONE).astimezone(UTC)
ONSET = date(2009, 10, 1)
WINDOW = (datetime(2009, 9, 29, tzinfo=ZONE), datetime(2009, 10, 12, tzinfo=ZONE))
STEP = timedelta(seconds=20)
BATCH = 5_000
ENOUGH_MINUTES = 15.0
# Telling and reading evidence back costs several times what finding does.
EVIDENCE_OF_EVERY = 4

# No visits here: of the oracle's figures only the minutes in 24 hours matter.
RULES = oracle.Rules({}, {}, 15, 60, {}, None, ENOUGH_MINUTES)


def read_school(path: Path) -> list[oracle.Encounter]:
    with path.open(encoding="utf-8", newline="") as file:
        return [
            oracle.Encounter(
                str(id_of(f"row {number}")), str(id_of(row["id1"])), str(id_of(row["id2"])),
                TIME_0 + timedelta(seconds=int(row["Time"])) - STEP, 20,
            )
            for number, row in enumerate(csv.DictReader(file, delimiter="\t"))
        ]  # fmt: skip


def as_event(item: oracle.Encounter) -> EncounterMeasured:
    return EncounterMeasured(
        record_id=UUID(item.id),
        record_version=1,
        occurred_at=item.start,
        recorded_at=item.start,
        person_id=UUID(item.one),
        other_person_id=UUID(item.other),
        duration_seconds=item.seconds,
        source_id=tell.SOURCE,
    )


def declared(child: str) -> CaseDeclared:
    event = tell.declared(f"case of {child}", child, ONSET)
    return event.model_copy(update={"person_id": UUID(child)})


@pytest.fixture(scope="module")
def school(outside_data: Path) -> oracle.World:
    encounters = read_school(outside_data / "encounters" / "primaryschool.csv")
    assert len(encounters) == 125_773
    return oracle.World(rules=RULES, place_kinds={}, encounters=encounters)


@pytest_asyncio.fixture
async def desk(fresh_database: URL, school: oracle.World) -> AsyncIterator[Desk]:
    """Tracing, told of the whole school."""
    made = Desk(fresh_database)
    await made.prepare()
    events = [as_event(item) for item in school.encounters]
    for start in range(0, len(events), BATCH):
        await made.hear(*events[start : start + BATCH])
    await made.tell(tell.area("Europe/Paris"))
    async with made.database.work(Actor("test")) as work:
        await work.execute(text("ANALYZE tracing.encounter"))
    yield made
    await made.engine.dispose()


def found_by_oracle(school: oracle.World, child: str) -> tuple[object, object]:
    close = school.close_contacts(child, *WINDOW)
    second = school.contacts_of_contacts(child, close, WINDOW[1])
    return (
        {UUID(name): (item.first, item.last) for name, item in close.items()},
        {UUID(name): (UUID(item.via), item.first, item.last) for name, item in second.items()},
    )


def found_by_sql(close: list[Exposed], second: list[Exposed]) -> tuple[object, object]:
    return (
        {item.person_id: (item.first_at, item.last_at) for item in close},
        {item.person_id: (item.via_person_id, item.first_at, item.last_at) for item in second},
    )


@pytest.mark.slow
async def test_every_child_as_the_case_has_the_contacts_of_the_brute_force(
    desk: Desk, school: oracle.World
) -> None:
    children = sorted({item.one for item in school.encounters} | {
        item.other for item in school.encounters
    })  # fmt: skip
    assert len(children) == 242
    await _judged_as_the_service_does(desk, school, children[0])
    # The others are declared and not judged: a child must not be apart because it is a case itself.
    await desk.hear(*(declared(child) for child in children))
    degrees = [0, 0]
    room = room_of(desk, tracing_city_days=10_000)
    await keeper_of(room).step()
    async with desk.database.read() as session:
        for number, child in enumerate(children):
            judged = await assess(session, UUID(child), tell.DISEASE)
            assert judged is not None
            assert judged.window is not None
            assert (judged.window.from_at, judged.window.until_at) == WINDOW
            close, second, _ = await find_contacts(session, judged)
            assert found_by_sql(close, second) == found_by_oracle(school, child), child
            degrees_by_sql = [sorted(degree, key=in_order) for degree in (close, second)]
            whole = number % EVIDENCE_OF_EVERY == 0
            assert await found_by_city(room, session, judged, whole=whole) == (
                degrees_by_sql if whole else [list(map(person_of, each)) for each in degrees_by_sql]
            )
            degrees[0] += len(close)
            degrees[1] += len(second)
    assert min(degrees) > len(children), "the comparison would prove little"


def in_order(one: Exposed | ExposedPerson) -> tuple[datetime, UUID]:
    return one.first_at, one.person_id


def person_of(found: Exposed) -> ExposedPerson:
    return ExposedPerson(found.person_id, found.first_at, found.last_at)


async def found_by_city(
    room: Room, session: ReadSession, judged: Judged, *, whole: bool
) -> list[list[Exposed]] | list[list[ExposedPerson]]:
    """Both degrees; the `whole` of it is every reason and every row of evidence, too."""
    assert judged.window is not None
    assert judged.policy is not None
    case = Source(judged.person_id, judged.window.from_at, judged.window.until_at)
    asked = Asked([case], judged.policy.document.exposure, judged.disease, engine="city", size=1000)
    persons = await everybody(session, asked, usable_city(room, asked))
    between = [Source(one.person_id, one.first_at, case.until_at) for one in persons]
    known = [judged.person_id, *(one.person_id for one in persons)]
    second = replace(asked, sources=between, leave_out=known)
    if not whole:
        others = await everybody(session, second, usable_city(room, second))
        return [sorted(each, key=in_order) for each in (persons, others)]
    return [
        list((await answer(session, degree, usable_city(room, degree))).exposed)
        for degree in (asked, second)
    ]


async def _judged_as_the_service_does(desk: Desk, school: oracle.World, child: str) -> None:
    """One of them through evaluator and tables, not by the primitive alone."""
    await desk.tell(declared(child))
    contacts = await desk.contacts_of(UUID(child))
    close = {
        person: (row["first_exposure_at"], row["last_exposure_at"])
        for person, row in contacts.items()
        if row["degree"] == "close_contact"
    }
    second = {
        person: (row["via_person_id"], row["first_exposure_at"], row["last_exposure_at"])
        for person, row in contacts.items()
        if row["degree"] == "contact_of_contact"
    }
    assert (close, second) == found_by_oracle(school, child)
