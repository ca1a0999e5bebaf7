"""Deliveries that arrive together share a commit, and nothing else."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from uuid import UUID

from sqlalchemy import text

from services.intake.api.body import desk_of_room
from services.intake.domain.references import PersonReference
from services.intake.handlers.batches import Delivery
from services.intake.handlers.gathering import ROWS_MOST, Gathering
from services.intake.handlers.references import resolve_persons
from services.intake.handlers.reports import ReportDoor
from services.intake.schemas.rows import READ_REPORTS
from shared.database.work import Actor
from shared.errors import AppError
from shared.ids import new_id
from tests.service.intake.window import Intake

AT = "2021-03-11T18:00:00+08:00"
# So far apart that everything below arrives between two turns.
LONG_TURN_SECONDS = 0.5


def door_of(intake: Intake) -> Gathering:
    return Gathering(desk_of_room(intake.room), ReportDoor(), turn_seconds=LONG_TURN_SECONDS)


def delivery(source_id: str, *external_ids: str, **facts: Any) -> Delivery:
    rows = [
        {"external_id": one, "occurred_at": AT, "kind": "pharmacy", "fever": True, **facts}
        for one in external_ids
    ]
    body = json.dumps(rows).encode()
    return Delivery(UUID(source_id), "client:1", body, READ_REPORTS(body))


async def take_all(door: Gathering, *deliveries: Delivery) -> list[Any]:
    """Answers or errors, after a first delivery has opened the turn."""
    answers = await asyncio.gather(*map(door.take, deliveries), return_exceptions=True)
    return [
        answer if isinstance(answer, BaseException) else json.loads(answer) for answer in answers
    ]


async def commits(intake: Intake) -> int:
    """How many transactions wrote reports."""
    async with intake.engine.connect() as connection:
        rows = await connection.execute(text("SELECT DISTINCT xmin::text FROM intake.report"))
        return len(rows.all())


async def test_what_arrives_between_two_turns_shares_a_commit_and_keeps_its_own_account(
    intake: Intake,
) -> None:
    sources = [await intake.add_source(f"pharmacy {number}", "pharmacy") for number in range(3)]
    door = door_of(intake)
    first, *others = await take_all(
        door,
        delivery(sources[0], "opens the turn"),
        *(delivery(source, f"{number}", f"{number}b") for number, source in enumerate(sources)),
    )
    assert first["stored"] == 1
    assert [other["stored"] for other in others] == [2, 2, 2]
    assert [row["external_id"] for row in others[2]["rows"]] == ["2", "2b"]
    assert await commits(intake) == 2
    balance = await intake.get("balance")
    assert balance["balanced"]
    assert sorted(line["stored"] for line in balance["lines"]) == [2, 2, 3]


async def test_a_lone_delivery_waits_for_no_turn(intake: Intake) -> None:
    source = await intake.add_source("pharmacy", "pharmacy")
    door = Gathering(desk_of_room(intake.room), ReportDoor(), turn_seconds=3600)
    async with asyncio.timeout(30):
        assert json.loads(await door.take(delivery(source, "alone")))["stored"] == 1


async def test_a_full_load_waits_for_no_turn(intake: Intake) -> None:
    source = await intake.add_source("pharmacy", "pharmacy")
    door = Gathering(desk_of_room(intake.room), ReportDoor(), turn_seconds=3600)
    many = [delivery(source, *(f"{part}/{row}" for row in range(ROWS_MOST))) for part in range(3)]
    async with asyncio.timeout(60):
        answers = await take_all(door, *many)
    assert [answer["stored"] for answer in answers] == [ROWS_MOST] * 3


async def test_the_same_body_at_once_is_stored_once_and_answered_byte_for_byte(
    intake: Intake,
) -> None:
    source = await intake.add_source("pharmacy", "pharmacy")
    door = door_of(intake)
    twin = delivery(source, "twin")
    replies = await asyncio.gather(*(door.take(twin) for _ in range(4)))
    assert len(set(replies)) == 1
    (line,) = (await intake.get("balance"))["lines"]
    assert (line["received"], line["stored"], line["duplicate"]) == (4, 1, 3)


async def test_one_row_told_in_two_ways_at_once_is_stored_once_and_once_refused(
    intake: Intake,
) -> None:
    source = await intake.add_source("pharmacy", "pharmacy")
    door = door_of(intake)
    _, one, other = await take_all(
        door,
        delivery(source, "opens the turn"),
        delivery(source, "same", person_count=3),
        delivery(source, "same", person_count=4),
    )
    assert await commits(intake) == 2
    assert (one["stored"], other["rejected"]) == (1, 1)
    assert other["rows"][0]["problems"][0]["field"] == "revision"


async def test_a_delivery_that_cannot_be_taken_takes_no_other_with_it(intake: Intake) -> None:
    source = await intake.add_source("pharmacy", "pharmacy")
    door = door_of(intake)
    opening, good, stranger, later = await take_all(
        door,
        delivery(source, "opens the turn"),
        delivery(source, "good"),
        delivery(str(new_id()), "of a source that nobody registered"),
        delivery(source, "later"),
    )
    assert [one["stored"] for one in (opening, good, later)] == [1, 1, 1]
    assert isinstance(stranger, AppError)
    assert await intake.count("report") == 3


async def test_who_hangs_up_leaves_the_others_their_answers(intake: Intake) -> None:
    source = await intake.add_source("pharmacy", "pharmacy")
    door = door_of(intake)
    tasks = [
        asyncio.create_task(door.take(delivery(source, name)))
        for name in ("opens the turn", "hangs up", "stays")
    ]
    await asyncio.sleep(0)  # all three stand at the door now
    tasks[1].cancel()
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(answers[1], asyncio.CancelledError)
    assert isinstance(answers[2], bytes)
    # It was at the door, so it is in the house: sending it again is answered as a duplicate.
    assert await intake.count("report") == 3


async def test_a_repeat_is_judged_by_what_is_stored_not_by_its_neighbour(intake: Intake) -> None:
    source = await intake.add_source("pharmacy", "pharmacy")
    door = door_of(intake)
    await door.take(delivery(source, "known", person_count=3))
    _, conflict, repeat = await take_all(
        door,
        delivery(source, "opens the turn"),
        delivery(source, "known", person_count=4),
        # Another body with the very row that is stored.
        delivery(source, "known", "new", person_count=3),
    )
    assert conflict["rejected"] == 1
    assert [row["fate"] for row in repeat["rows"]] == ["duplicate", "stored"]


async def test_who_waits_for_somebody_elses_import_waits_alone(intake: Intake) -> None:
    source = await intake.add_source("clinic", "fever_clinic")
    door = door_of(intake)
    person = {"scheme": "id", "value": "in a long import"}
    reference = PersonReference(scheme="id", value=person["value"])
    importing = intake.database.work(Actor("import"))
    work = await importing.__aenter__()
    await resolve_persons(work, intake.vault, [reference])
    opening = asyncio.create_task(door.take(delivery(source, "opens the turn")))
    held = asyncio.create_task(door.take(delivery(source, "held", person=person)))
    # Its sender has lost patience and sends it again.
    again = asyncio.create_task(door.take(delivery(source, "held", person=person)))
    free = asyncio.create_task(door.take(delivery(source, "free")))
    async with asyncio.timeout(20):
        await asyncio.gather(opening, free)
    assert not held.done()
    later = asyncio.create_task(door.take(delivery(source, "later")))
    async with asyncio.timeout(20):
        await later
    assert not held.done()
    await importing.__aexit__(None, None, None)
    async with asyncio.timeout(20):
        assert json.loads(await held)["stored"] == 1
        assert await again == await held
    assert await intake.count("person") == 1
