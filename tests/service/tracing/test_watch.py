"""The stays of cases in memory are those of the table, after any order of changes; and what follows
from them is what brute force finds."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import select

from services.tracing.domain.watched import Stayed
from services.tracing.handlers.watch import meetings_of, watch_of
from services.tracing.repository.watched import all_own_stays, met_in_tables
from services.tracing.tables import facts
from shared.database.work import Actor
from tests.service.tracing.desk import Desk, id_of
from tests.service.tracing.town import WINDOW, Size, Town, of_any_town, told_in_any_order, who


async def check_memory(desk: Desk) -> None:
    """The memory holds what the table holds, and finds of every visit what SQL finds."""
    rows = await desk.rows(select(facts.visit))
    visits = [Stayed(*(row[name] for name in Stayed._fields)) for row in rows if row["standing"]]
    batches = sorted({row["batch_id"] for row in rows})
    async with desk.database.work(Actor("test")) as work:
        watched = await watch_of(work).current(work)
        assert watched is not None
        table = await all_own_stays(work, most=10_000)
        stays = [stay for of_case in table.values() for stay in of_case]
        assert sorted(map(repr, watched.stays)) == sorted(map(repr, stays))
        assert watched.count == len(stays)
        met = {
            (case_id, visit.place_id, visit.id)
            for visit in visits
            for case_id in watched.cases_met(visit)
        }
        assert met == await met_in_tables(work, batches, [])
        for batch_id in batches:
            wanted = await met_in_tables(work, [batch_id], [batch_id])
            # What is still at hand may have been written over: that is more, and does no harm.
            assert await meetings_of(work, [batch_id]) >= wanted
            assert await meetings_of(work, [batch_id]) == wanted


def by_force(town: Town, name: str) -> dict[UUID, tuple[UUID, datetime, datetime]]:
    return {
        UUID(visit): (UUID(person), first, last)
        for visit, (person, first, last) in town.world.co_locations(who(name), *WINDOW).items()
    }


@of_any_town(examples=12)
async def test_memory_is_the_table_and_the_end_is_what_brute_force_finds_in_any_order(
    desk: Desk, size: Size, seed: int
) -> None:
    await desk.clear()
    town = Town(size, seed)
    order = town.random
    for batch in told_in_any_order(town):
        await desk.hear(*batch)
        for _ in range(order.randint(0, 6)):
            await desk.due.judge_once()
        if order.random() < 0.5:
            await check_memory(desk)
    await desk.judge()
    await check_memory(desk)
    cases = ["a", "b"] if size.second_case else ["a"]
    for name in cases:
        found = await desk.co_locations(name)
        told = {
            visit_id: (row["person_id"], row["from_at"], row["until_at"])
            for visit_id, row in found.items()
        }
        assert told == by_force(town, name), id_of(name)
