"""Two processes of the same services on one database: one sends, both read, either may die."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest_asyncio
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import text

from services.__main__ import SERVICES
from shared.database.work import lock_number
from tests.eventually import eventually
from tests.failure.conftest import SetStage, Stage
from tests.failure.house import House
from tests.failure.judgement import event_ids, read_log
from tests.failure.ledger import Sender
from tests.failure.walk import make_walk
from tests.journey.end_state import EndState

# The keepalive of the slots is one second, the lease of a dead member's partitions ten.
TAKE_OVER_SECONDS = 20.0
NAMES = [service.name for service in SERVICES]


@dataclass(slots=True)
class Pair:
    """`stage.house` is the first process; the second has a sender with the same ledger."""

    stage: Stage
    second: House
    sender: Sender

    async def settle(self, house: House) -> None:
        await self.stage.ground.settle(house)


@pytest_asyncio.fixture
async def pair(set_stage: SetStage) -> AsyncIterator[Pair]:
    """Both start at the same moment, and race for every slot."""
    stage = await set_stage(started=False)
    folder = stage.house.folder / "second"
    folder.mkdir()
    second = House(stage.house.environment, folder)
    sender = Sender(second, stage.sender.keys, stage.sender.ledger)
    await asyncio.gather(stage.house.start(), second.start())
    yield Pair(stage, second, sender)
    await sender.client.aclose()
    await second.close()


async def test_one_of_two_processes_sends_and_the_other_takes_over_when_it_dies(
    pair: Pair, reference: EndState
) -> None:
    walk, stage = make_walk(11), pair.stage
    await stage.sender.deliver(walk.registrations)
    half = len(walk.facts) // 2
    await asyncio.gather(
        stage.sender.deliver(walk.facts[:half]), pair.sender.deliver(walk.facts[half:])
    )
    await pair.settle(stage.house)
    assert await members(stage) == dict.fromkeys(groups(), 2)
    holders = await relay_holders(stage)
    assert holders.keys() == set(NAMES), "every service has its relay"
    by_process = [await relayed(stage.sender), await relayed(pair.sender)]
    for name in NAMES:
        assert min(sent[name] for sent in by_process) == 0, f"both processes sent for {name}"
    records = event_ids(await read_log(stage.ground.bus))
    assert sum(sent.total() for sent in by_process) == records.total()
    assert set(records.values()) == {1}, "nobody died, so nothing was sent twice"

    await kill_the_sender(pair, by_process)
    survivor, house = pair.sender, pair.second

    async def taken_over() -> bool:
        now = await relay_holders(stage)
        return now.keys() == set(NAMES) and not set(now.values()) & set(holders.values())

    await eventually(taken_over, within_seconds=TAKE_OVER_SECONDS)
    await survivor.deliver(walk.afterwards)
    await asyncio.wait_for(pair.settle(house), TAKE_OVER_SECONDS)
    stage.sender, stage.house = survivor, house
    await stage.judge(reference)


async def test_a_lost_lock_connection_ends_in_one_sender_again(
    pair: Pair, reference: EndState
) -> None:
    walk, stage = make_walk(12), pair.stage
    await stage.sender.deliver(walk.registrations)
    before = await relay_holders(stage)
    sending = asyncio.create_task(stage.sender.deliver(walk.facts))
    for process_id in set(before.values()):
        await stage.ground.rows(f"SELECT pg_terminate_backend({process_id})")
    await sending

    async def held_again() -> bool:
        now = await relay_holders(stage)
        return now.keys() == set(NAMES) and not set(now.values()) & set(before.values())

    await eventually(held_again, within_seconds=TAKE_OVER_SECONDS)
    await pair.settle(stage.house)
    # Two members each, under two names, as before.
    await eventually(lambda: _two_members(stage), within_seconds=TAKE_OVER_SECONDS)
    await pair.sender.deliver(walk.afterwards)
    await pair.settle(stage.house)
    await stage.judge(reference)
    assert await stage.house.end() == 0
    assert await pair.second.end() == 0


async def kill_the_sender(pair: Pair, by_process: list[Counter[str]]) -> None:
    """kill -9 to the one that has sent most; afterwards `pair.second` is the one that lives."""
    if by_process[1].total() > by_process[0].total():
        pair.stage.house, pair.second = pair.second, pair.stage.house
        pair.stage.sender, pair.sender = pair.sender, pair.stage.sender
    await pair.stage.house.kill()


def groups() -> list[str]:
    return [f"{one.name}.{group.purpose}" for one in SERVICES for group in one.consumers]


async def members(stage: Stage) -> dict[str, int]:
    """How many members, under names of their own, each group has."""
    rows = await stage.ground.rows(
        "SELECT group_name, count(DISTINCT member) FROM bus.group_member"
        " WHERE member LIKE split_part(group_name, '.', 1) || '-%' GROUP BY group_name"
    )
    return {row[0]: row[1] for row in rows}


async def _two_members(stage: Stage) -> bool:
    return await members(stage) == dict.fromkeys(groups(), 2)


async def relay_holders(stage: Stage) -> dict[str, int]:
    """Which connection of PostgreSQL holds each service's relay lock: one, or none."""
    names = {lock_number(f"relay/{name}"): name for name in NAMES}
    async with stage.ground.engine.connect() as connection:
        rows = await connection.execute(
            text(
                "SELECT (classid::bigint << 32) | objid::bigint AS number, pid FROM pg_locks"
                " WHERE locktype = 'advisory' AND granted AND objsubid = 1"
                " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
            )
        )
        return {names[row[0]]: row[1] for row in rows if row[0] in names}


async def relayed(sender: Sender) -> Counter[str]:
    """How many events this process has sent, by service."""
    response = await sender.client.get("/metrics", headers=sender.headers())
    assert response.status_code == 200, response.text
    return Counter(
        {
            sample.labels["service"]: int(sample.value)
            for family in text_string_to_metric_families(response.text)
            for sample in family.samples
            if sample.name == "outpost_events_relayed_total"
        }
    )
