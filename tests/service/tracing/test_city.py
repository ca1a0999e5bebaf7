"""The city in memory answers row for row what the SQL answers, and what the brute force finds."""

from __future__ import annotations

import asyncio
import dataclasses
from datetime import datetime, timedelta
from typing import Any, cast
from uuid import UUID

import pytest

from services.tracing.app import service
from services.tracing.domain.exposure import Exposed, Source, StayRule
from services.tracing.errors import EngineAway
from services.tracing.handlers.city import KEEPER, CityKeeper, keeper_of
from services.tracing.handlers.questions import Answer, Asked, answer, everybody, usable_city
from services.tracing.repository.exposures import exposures
from services.tracing.repository.policies import WindowsDocument
from shared.database.work import Actor
from shared.events.intake import ScanRecorded
from shared.policy import read_presets
from shared.service import Room
from shared.settings import Settings
from tests.eventually import eventually
from tests.oracle import exposure as oracle
from tests.service.tracing import desk as tell
from tests.service.tracing.desk import DISEASE, Desk, id_of
from tests.service.tracing.process import fresh, room_of
from tests.service.tracing.town import (
    PERSONS,
    START,
    WINDOW,
    Size,
    Town,
    of_any_town,
    told_in_any_order,
    who,
)

FILES = read_presets(service.folder / "presets", service.policies)
PRESET = WindowsDocument.model_validate(
    next(file for file in FILES if file.disease == DISEASE).document
).exposure
RULES = {
    "the preset": PRESET,
    "everything counts": dataclasses.replace(
        PRESET,
        place_kinds={
            kind: StayRule(0, stay.dwell_seconds) for kind, stay in PRESET.place_kinds.items()
        },
        other_places=StayRule(0, 3600.5),
        encounter_seconds=1,
    ),
    "little counts": dataclasses.replace(
        PRESET,
        other_places=StayRule(3600, 60),
        group_kinds={},
        other_groups=None,
        encounter_seconds=1800,
        links_count=False,
    ),
}


async def ask(desk: Desk, room: Room, asked: Asked) -> Answer:
    async with desk.database.read() as session:
        return await answer(session, asked, usable_city(room, asked))


async def whole(desk: Desk, asked: Asked) -> list[Exposed]:
    """What the evaluator of a case would be told."""
    async with desk.database.read() as session:
        found = await exposures(session, asked.as_sql())
    return sorted(found, key=lambda one: (one.first_at, one.person_id))


def found_by(world: oracle.World, name: str, window: tuple[datetime, datetime]) -> dict[Any, Any]:
    return {
        UUID(person): (item.first, item.last, item.evidence)
        for person, item in world.close_contacts(who(name), *window).items()
    }


def questions(town: Town) -> list[Asked]:
    """One case, several at once, one of them twice, with and without persons left out."""
    late = (START + timedelta(days=1, hours=10), START + timedelta(days=3))
    source = {name: Source(id_of(name), *WINDOW) for name in PERSONS}
    asked = []
    for rule in RULES.values():
        asked += [
            Asked([source["a"]], rule, DISEASE, size=1000),
            Asked([source["b"]], rule, DISEASE, size=1000, backward=True),
            Asked(list(source.values())[:5], rule, DISEASE, [id_of("b"), id_of("h")], size=1000),
            Asked(
                [source["c"], Source(id_of("c"), *late), Source(id_of("d"), *late)],
                rule, DISEASE, size=1000,
            ),
            Asked([Source(id_of("nobody"), *WINDOW), source["e"]], rule, DISEASE, size=1000),
        ]  # fmt: skip
    town.random.shuffle(asked)
    return asked


@of_any_town(examples=8)
async def test_a_city_grown_from_the_tail_in_any_order_answers_as_the_sql_does(
    desk: Desk, size: Size, seed: int
) -> None:
    await desk.clear()
    town = Town(size, seed)
    grown = await fresh(desk)
    order = town.random
    for batch in told_in_any_order(town):
        await desk.hear(*batch)
        if order.random() < 0.5:
            await keeper_of(grown).step()
    await keeper_of(grown).step()
    new = await fresh(desk)
    for asked in questions(town):
        wanted = await whole(desk, asked)
        by_sql = await ask(desk, grown, dataclasses.replace(asked, engine="sql"))
        by_grown = await ask(desk, grown, dataclasses.replace(asked, engine="city"))
        by_new = await ask(desk, new, dataclasses.replace(asked, engine="city"))
        assert list(by_sql.exposed) == wanted
        assert list(by_grown.exposed) == wanted
        assert list(by_new.exposed) == wanted
        assert by_sql.total == by_grown.total == by_new.total == len(wanted)
        assert by_sql.pairs == by_grown.pairs == by_new.pairs
    by_force = found_by(town.world, "a", WINDOW)
    told = await ask(desk, grown, Asked([Source(id_of("a"), *WINDOW)], PRESET, DISEASE, size=1000))
    assert {
        one.person_id: (one.first_at, one.last_at, frozenset(str(item.id) for item in one.evidence))
        for one in told.exposed
    } == by_force


async def test_pages_join_to_the_whole_in_order_of_first_exposure(desk: Desk) -> None:
    town = Town(Size(30, 60, 3, 3, 0, second_case=False), 7)
    await desk.hear(*town.events)
    room = await fresh(desk)
    everyone = Asked([Source(id_of(name), *WINDOW) for name in "abc"], PRESET, DISEASE, size=1000)
    for engine in ("sql", "city"):
        asked = dataclasses.replace(everyone, engine=cast("Any", engine))
        all_of_them = await ask(desk, room, asked)
        assert all_of_them.total > 3
        pages: list[Exposed] = []
        for skipped in range(0, all_of_them.total + 2, 2):
            page = await ask(desk, room, dataclasses.replace(asked, skipped=skipped, size=2))
            assert page.total == all_of_them.total
            pages += page.exposed
        assert pages == list(all_of_them.exposed)
        async with desk.database.read() as session:
            persons = await everybody(session, asked, usable_city(room, asked))
        assert {one.person_id for one in persons} == {one.person_id for one in pages}


async def test_a_slow_transaction_is_not_lost_and_a_finished_one_not_counted_twice(
    desk: Desk,
) -> None:
    at = START + timedelta(days=2)
    until = at + timedelta(hours=1)
    await desk.hear(tell.place("school", "school"))
    # A stay as long as any was seen there before: nobody waits for the place's own row.
    await desk.hear(tell.scan("earlier", "c", "school", at - timedelta(days=1), left_at=until))
    asked = Asked([Source(id_of("a"), *WINDOW)], PRESET, DISEASE, engine="city")
    store = tell.HANDLERS[ScanRecorded]
    slow = desk.database.work(Actor("event:slow"))
    work = await slow.__aenter__()
    await store(work, [tell.scan("slow", "b", "school", at, left_at=until)])
    # Begun later, committed earlier: what is built now must have one and await the other.
    await desk.hear(tell.scan("quick", "a", "school", at, left_at=until))
    room = await fresh(desk)
    await keeper_of(room).step()
    assert [one.person_id for one in (await ask(desk, room, asked)).exposed] == [id_of("c")]
    await slow.__aexit__(None, None, None)
    await keeper_of(room).step()
    await keeper_of(room).step()
    found = await ask(desk, room, asked)
    assert [one.person_id for one in found.exposed] == sorted([id_of("b"), id_of("c")])
    assert found.pairs == 2
    city = keeper_of(room).city
    assert city is not None
    assert city.visits == 3


async def test_old_days_are_let_go_and_stays_that_reach_past_them_are_kept(desk: Desk) -> None:
    first = START + timedelta(hours=9)
    late = first + timedelta(days=8)
    await desk.hear(
        tell.place("flat", "dwelling"),
        tell.scan("long", "a", "flat", first, left_at=first + timedelta(days=9)),
        tell.scan("gone", "c", "flat", first, left_at=first + timedelta(hours=1)),
        tell.scan("late", "b", "flat", late, left_at=late + timedelta(hours=2)),
    )
    room = room_of(desk, tracing_city_days=12)
    keeper = keeper_of(room)
    await keeper.step()
    assert keeper.city is not None
    assert keeper.city.visits == 3
    desk.clock.move_to(desk.clock.now() + timedelta(days=5))
    await keeper.step()
    assert keeper.city is not None
    assert keeper.city.visits == 2
    recent = (START + timedelta(days=7), START + timedelta(days=14))
    asked = Asked([Source(id_of("b"), *recent)], PRESET, DISEASE)
    found = await ask(desk, room, asked)
    assert (found.engine, [one.person_id for one in found.exposed]) == ("city", [id_of("a")])
    # A withdrawal of what was carried over reaches it there.
    await desk.hear(
        tell.scan("long", "a", "flat", first, left_at=first, version=2, status="withdrawn")
    )
    await keeper.step()
    assert (await ask(desk, room, asked)).total == 0
    # What reaches before the look-back is asked of SQL, and a city demanded there is refused.
    older = Asked([Source(id_of("c"), START, START + timedelta(days=2))], PRESET, DISEASE)
    assert (await ask(desk, room, older)).engine == "sql"
    with pytest.raises(EngineAway):
        await ask(desk, room, dataclasses.replace(older, engine="city"))


async def test_what_was_known_then_is_told_apart_from_what_was_true_then(desk: Desk) -> None:
    at, until = START + timedelta(days=2), START + timedelta(days=2, hours=1)
    told = {"recorded_at": tell.NOW - timedelta(days=3)}
    corrected = {"recorded_at": tell.NOW - timedelta(days=1)}

    def known(event: Any, when: dict[str, Any]) -> Any:
        return event.model_copy(update=when)

    await desk.hear(tell.place("school", "school"))
    await desk.hear(known(tell.scan("own", "a", "school", at, left_at=until), told))
    await desk.hear(known(tell.scan("met", "b", "school", at, left_at=until), told))
    await desk.hear(known(tell.scan("met", "c", "school", at, left_at=until, version=2), corrected))
    room = await fresh(desk)
    asked = Asked([Source(id_of("a"), *WINDOW)], PRESET, DISEASE)
    days = {0: ["c"], 2: ["b"], 4: []}
    for ago, names in days.items():
        then = tell.NOW - timedelta(days=ago)
        found = await ask(desk, room, dataclasses.replace(asked, known_at=then))
        assert [one.person_id for one in found.exposed] == [id_of(name) for name in names]
        assert found.engine == "sql"
    now = await ask(desk, room, asked)
    assert (now.engine, [one.person_id for one in now.exposed]) == ("city", [id_of("c")])


async def test_a_stay_of_no_length_may_be_corrected_without_costing_the_city(desk: Desk) -> None:
    at = START + timedelta(days=2)
    room = await fresh(desk)
    keeper = keeper_of(room)
    await desk.hear(
        tell.place("school", "school"), tell.scan("none", "a", "school", at, left_at=at)
    )
    await keeper.step()
    await desk.hear(tell.scan("met", "b", "school", at, left_at=at + timedelta(hours=1)))
    await keeper.step()
    longer = at + timedelta(hours=1)
    await desk.hear(tell.scan("none", "a", "school", at, left_at=longer, version=2))
    await keeper.step()
    assert keeper.city is not None
    found = await ask(desk, room, Asked([Source(id_of("a"), *WINDOW)], PRESET, DISEASE))
    assert (found.engine, found.total) == ("city", 1)


async def test_a_city_over_its_memory_limit_is_let_go_and_sql_answers(desk: Desk) -> None:
    await desk.hear(tell.place("school", "school"))
    at, until = START + timedelta(days=2), START + timedelta(days=2, hours=1)
    await desk.hear(
        tell.scan("own", "a", "school", at, left_at=until),
        tell.scan("met", "b", "school", at, left_at=until),
    )
    room = room_of(desk)
    keeper = CityKeeper(room, limit_bytes=1)
    room.extras[KEEPER] = keeper
    await keeper.step()
    assert keeper.city is None
    assert "over" in keeper.fallback
    assert room.notes["tracing questions"].startswith("answered by SQL")
    found = await ask(desk, room, Asked([Source(id_of("a"), *WINDOW)], PRESET, DISEASE))
    assert (found.engine, found.total) == ("sql", 1)


async def test_with_few_visits_nothing_is_read_and_readiness_says_so(desk: Desk) -> None:
    room = Room(
        "tracing", desk.database, cast("Any", None), desk.clock, Settings(), cast("Any", None)
    )
    keeper = keeper_of(room)
    await keeper.open()
    assert room.waiting_for == {}
    await keeper.step()
    assert keeper.city is None
    assert "fewer than" in room.notes["tracing questions"]


class _Broken(CityKeeper):
    """Reads no city: as with a compiler that is not there."""

    async def _build(self) -> None:
        self.tried.set()
        raise RuntimeError("no compiler")

    def __init__(self, room: Room) -> None:
        super().__init__(room)
        self.tried = asyncio.Event()


async def test_nobody_waits_for_a_city_that_cannot_be_read(desk: Desk) -> None:
    room = room_of(desk)
    keeper = _Broken(room)
    await keeper.open()
    assert room.waiting_for
    following = asyncio.create_task(keeper.follow())
    async with asyncio.timeout(30):
        await keeper.tried.wait()

        async def is_ready() -> bool:
            return not room.waiting_for

        await eventually(is_ready)
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
    assert "failed" in room.notes["tracing questions"]
