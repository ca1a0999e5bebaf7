"""Check-ins owed by the clock. Central quarantine: 08:00 and 16:00 in Shanghai, 4 h of grace."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import datetime, timedelta
from uuid import UUID

import pytest

from services.quarantine.domain.checks import Check
from services.quarantine.errors import CheckInOutsideOrder, OrderWithdrawn
from services.quarantine.handlers.checks import CheckInCommand, record_check_in
from shared.access import EVERYWHERE, Viewer
from shared.database.work import Actor
from shared.events.quarantine import CheckChanged
from tests.service.quarantine.ward import Town, Ward, on

VIEWER = Viewer("staff:1", frozenset({"checks.write"}), (EVERYWHERE,))
MORNING, AFTERNOON = on(12, 0), on(12, 8)


async def under_order(ward: Ward, town: Town) -> UUID:
    await ward.tell(town.case("a"), town.contact("a"))
    [order] = await ward.orders(town.person_id)
    order_id: UUID = order["id"]
    return order_id


async def check_in(ward: Ward, order_id: UUID, at: datetime, **content: object) -> Check:
    known: dict[str, object] = {"temperature_c": 36.5, "symptoms": ()}
    command = CheckInCommand(
        order_id=order_id,
        done_at=at,
        author=VIEWER.subject,
        **(known | content),  # type: ignore[arg-type]
    )
    async with ward.database.work(Actor(VIEWER.subject)) as work:
        return await record_check_in(work, VIEWER, command)


async def statuses(ward: Ward, town: Town) -> list[str]:
    return [one["status"] for one in await ward.checks(town.person_id)]


async def test_a_check_is_owed_at_its_time_and_missed_at_its_deadline(
    ward: Ward, town: Town
) -> None:
    await under_order(ward, town)
    assert await statuses(ward, town) == []
    await ward.move_to(MORNING)
    assert await statuses(ward, town) == ["owed"]
    await ward.move_to(MORNING + timedelta(hours=4))
    assert await statuses(ward, town) == ["missed"]
    told = await ward.said(CheckChanged)
    assert [(one.record_version, one.status, one.due_at) for one in told] == [
        (1, "owed", MORNING),
        (2, "missed", MORNING),
    ]
    assert len({one.record_id for one in told}) == 1


async def test_a_clock_that_jumps_over_the_whole_order_misses_each_check_once(
    ward: Ward, second: Ward, town: Town
) -> None:
    await under_order(ward, town)
    await ward.move_to(on(28))
    await second.judge()
    # From the morning of the 12th to the afternoon of the 22nd, announced once and as missed.
    assert Counter(await statuses(ward, town)) == {"missed": 22}
    assert Counter(one.status for one in await ward.said(CheckChanged)) == {"missed": 22}
    [order] = await ward.orders(town.person_id)
    assert order["status"] == "ended"


async def test_a_check_in_in_time_is_done_and_stored_once(ward: Ward, town: Town) -> None:
    order_id = await under_order(ward, town)
    await ward.move_to(MORNING + timedelta(hours=1))
    first = await check_in(ward, order_id, MORNING + timedelta(minutes=30))
    again = await check_in(ward, order_id, MORNING + timedelta(minutes=30))
    assert (first.status, first.due_at) == ("done", MORNING)
    assert again == first
    await ward.move_to(MORNING + timedelta(hours=5))
    assert await statuses(ward, town) == ["done"]


async def test_an_early_check_in_keeps_the_timer_from_owing_it(ward: Ward, town: Town) -> None:
    order_id = await under_order(ward, town)
    await ward.move_to(MORNING - timedelta(hours=1))
    assert (await check_in(ward, order_id, MORNING - timedelta(hours=1))).due_at == MORNING
    await ward.move_to(MORNING + timedelta(hours=5))
    assert await statuses(ward, town) == ["done"]
    assert len(await ward.said(CheckChanged)) == 1


async def test_an_offline_check_in_turns_a_missed_check_into_a_done_one(
    ward: Ward, town: Town
) -> None:
    order_id = await under_order(ward, town)
    await ward.move_to(MORNING)
    await ward.move_to(MORNING + timedelta(hours=6))
    done = await check_in(ward, order_id, MORNING + timedelta(hours=1))
    assert done.status == "done"
    told = [one.status for one in await ward.said(CheckChanged)]
    assert told == ["owed", "missed", "done"]


async def test_a_fever_or_a_symptom_is_told(ward: Ward, town: Town) -> None:
    order_id = await under_order(ward, town)
    await ward.move_to(AFTERNOON + timedelta(hours=1))
    await check_in(ward, order_id, MORNING + timedelta(hours=1), temperature_c=37.3)
    await check_in(ward, order_id, AFTERNOON, symptoms=("cough",))
    assert [one["symptomatic"] for one in await ward.checks(town.person_id)] == [True, True]


async def test_a_withdrawn_order_withdraws_what_it_owed_and_takes_no_check_in(
    ward: Ward, town: Town
) -> None:
    order_id = await under_order(ward, town)
    await ward.move_to(MORNING)
    await ward.tell(town.contact("a", version=2, standing=False))
    assert await statuses(ward, town) == ["withdrawn"]
    with pytest.raises(OrderWithdrawn):
        await check_in(ward, order_id, MORNING)
    await ward.move_to(on(14))
    assert await statuses(ward, town) == ["withdrawn"]


async def test_an_order_that_comes_back_owes_nothing_from_the_time_between(
    ward: Ward, town: Town
) -> None:
    await under_order(ward, town)
    await ward.tell(town.contact("a", version=2, standing=False))
    await ward.move_to(on(14, 1))
    await ward.tell(town.contact("a", version=3))
    await ward.move_to(on(14, 9))
    assert [one["due_at"] for one in await ward.checks(town.person_id)] == [on(14, 8)]


async def test_a_check_in_outside_the_period_or_in_the_future_is_refused(
    ward: Ward, town: Town
) -> None:
    order_id = await under_order(ward, town)
    for at in (on(10, 11), on(11, 13)):
        with pytest.raises(CheckInOutsideOrder) as refused:
            await check_in(ward, order_id, at)
        assert refused.value.problems[0].field == "done_at"


async def test_two_processes_and_a_grid_worker_at_once_keep_one_check(
    ward: Ward, second: Ward, town: Town
) -> None:
    order_id = await under_order(ward, town)
    ward.clock.move_to(MORNING + timedelta(hours=1))
    await asyncio.gather(
        ward.judge(), second.judge(), check_in(second, order_id, MORNING + timedelta(minutes=5))
    )
    await ward.judge()
    assert await statuses(ward, town) == ["done"]
