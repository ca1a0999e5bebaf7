"""From commit to effect: nothing lost, nothing twice, a bad record alone set aside."""

from __future__ import annotations

import asyncio
from uuid import UUID

import httpx
import pytest
from sqlalchemy import func, select

from shared.database.work import Actor
from shared.events.intake import PlaceChanged
from shared.ids import new_id
from shared.runtime import Runtime
from shared.settled import moving, settled
from tests.eventually import eventually
from tests.service.delivery import toy
from tests.service.delivery.conftest import NOW


def place(kind: str, record_id: UUID | None = None) -> PlaceChanged:
    return PlaceChanged(
        record_id=record_id or new_id(),
        record_version=1,
        occurred_at=NOW,
        recorded_at=NOW,
        kind=kind,
    )


async def announce(runtime: Runtime, *events: PlaceChanged) -> None:
    async with runtime.ground.databases["toy"].work(Actor("test")) as work:
        work.announce(*events)


async def all_settled(runtime: Runtime) -> None:
    await settled(runtime.services, runtime.ground.databases, runtime.bus, within_seconds=20)


async def tally_of(runtime: Runtime, kind: str) -> tuple[int, int]:
    async with runtime.ground.databases["toy"].read() as session:
        row = (
            await session.execute(select(toy.tally).where(toy.tally.c.kind == kind))
        ).one_or_none()
    return (row.facts, row.alarms) if row else (0, 0)


async def test_an_announced_event_reaches_its_evaluator_and_its_timer(running: Runtime) -> None:
    await announce(running, *(place("school") for _ in range(3)))
    await all_settled(running)
    assert await tally_of(running, "school") == (3, 11)


async def test_the_same_event_twice_has_one_effect(running: Runtime) -> None:
    same = place("clinic")
    await announce(running, same)
    await announce(running, same)
    await all_settled(running)
    assert await tally_of(running, "clinic") == (1, 0)


async def test_nothing_is_announced_by_a_transaction_that_fails(running: Runtime) -> None:
    async def fail() -> None:
        async with running.ground.databases["toy"].work(Actor("test")) as work:
            work.announce(place("never"))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await fail()
    await all_settled(running)
    assert await tally_of(running, "never") == (0, 0)


async def test_a_commit_wakes_whoever_judges_that_kind_and_nobody_else(running: Runtime) -> None:
    database = running.ground.databases["toy"]
    mine, other = asyncio.Event(), asyncio.Event()
    database.wakeups.due |= {"mine": mine, "other": other}
    async with database.work(Actor("test")) as work:
        work.due("mine", ["key"])
        work.due("of a later version", ["key"])
        assert not mine.is_set()
    assert (mine.is_set(), other.is_set()) == (True, False)


async def test_a_poisoned_record_is_kept_with_its_reason_and_the_others_go_on(
    running: Runtime,
) -> None:
    await announce(running, *(place("station") for _ in range(20)), place(toy.POISON))
    await all_settled(running)
    assert (await tally_of(running, "station"))[0] == 20
    letter = running.services[0].tables.dead_letter
    async with running.ground.databases["toy"].read() as session:
        rows = (await session.execute(select(letter))).all()
    assert [row.reason for row in rows] == ["poison"]


async def test_too_many_bad_records_stop_the_consumer_and_readiness_says_so(
    running: Runtime,
) -> None:
    await announce(running, *(place(toy.POISON) for _ in range(30)))
    async with httpx.AsyncClient(base_url=running.base_url) as client:

        async def stopped() -> bool:
            answer = await client.get("/readyz")
            return answer.status_code == 503 and "stopped" in answer.text

        await eventually(stopped)
    letter = running.services[0].tables.dead_letter
    async with running.ground.databases["toy"].read() as session:
        kept = (await session.execute(select(func.count()).select_from(letter))).scalar_one()
    assert kept < 30


async def test_a_key_that_always_fails_stops_only_itself(running: Runtime) -> None:
    await announce(running, place(toy.FAULTY), *(place("market") for _ in range(3)))

    async def counted() -> bool:
        return (await tally_of(running, "market"))[0] == 3

    await eventually(counted)
    left = await moving(running.services, running.ground.databases, running.bus)
    assert any("due" in item for item in left)


async def test_every_route_but_health_refuses_without_a_credential(running: Runtime) -> None:
    async with httpx.AsyncClient(base_url=running.base_url) as client:
        assert (await client.get("/livez")).status_code == 200

        async def ready() -> bool:
            return (await client.get("/readyz")).status_code == 200

        await eventually(ready)
        assert (await client.get("/metrics")).status_code == 401
        refused = await client.get("/toy/openapi.json")
    assert refused.status_code == 401
    assert refused.headers["content-type"] == "application/problem+json"


async def test_an_event_too_large_for_the_log_is_put_aside_and_stops_nobody(
    running: Runtime,
) -> None:
    await announce(running, place("x" * 1_000_000), place("gate"))
    await all_settled(running)
    assert (await tally_of(running, "gate"))[0] == 1
    letter = running.services[0].tables.dead_letter
    async with running.ground.databases["toy"].read() as session:
        rows = (await session.execute(select(letter.c.consumer_group))).all()
    assert [row.consumer_group for row in rows] == ["toy.relay"]


async def test_an_effect_without_a_row_of_its_own_happens_once_by_the_inbox(
    running: Runtime,
) -> None:
    same = place("bell")
    await announce(running, same, place("bell"))
    await announce(running, same)
    await all_settled(running)
    async with running.ground.databases["toy"].read() as session:
        times = (await session.execute(select(toy.heard.c.times))).scalar_one()
    assert times == 2
