"""What only the embedded log must prove itself, because Kafka is known to do it."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from shared.bus.embedded import PUBLISH, EmbeddedBus, EmbeddedOptions
from shared.bus.embedded_group import GroupMember, GroupTimes, assign_ranges
from shared.bus.embedded_store import encode_headers, real_instant
from shared.bus.port import BusUnavailable, Delivered, Message, Partition, TopicShape
from shared.bus.tables import group_member, partition_head, record
from shared.database.embedded import EmbeddedServer
from shared.ids import new_id
from tests.contract.bus_harness import (
    EmbeddedLog,
    create_log,
    following,
    new_group,
    new_topic,
    numbered,
    publish_patiently,
    take,
    values,
    work_patiently,
)
from tests.eventually import eventually


@pytest_asyncio.fixture
async def engine(embedded_log: EmbeddedLog) -> AsyncIterator[AsyncEngine]:
    """A connection pool of the test's own, to look behind the log."""
    engine = create_async_engine(embedded_log.url, pool_size=2)
    yield engine
    await engine.dispose()


async def count_records(engine: AsyncEngine, topic: str) -> int:
    query = (
        select(func.count())
        .select_from(record.join(partition_head, record.c.partition_id == partition_head.c.id))
        .where(partition_head.c.topic == topic)
    )
    async with engine.connect() as connection:
        return int((await connection.execute(query)).scalar_one())


async def age_records(engine: AsyncEngine, topic: str, *, below_offset: int, hours: int) -> None:
    """Make the first records of each partition look old."""
    ids = select(partition_head.c.id).where(partition_head.c.topic == topic)
    async with engine.begin() as connection:
        await connection.execute(
            update(record)
            .where(record.c.partition_id.in_(ids), record.c.record_offset < below_offset)
            .values(written_at=real_instant() - timedelta(hours=hours))
        )


async def test_a_slow_transaction_cannot_slip_a_record_in_behind_the_reader(
    embedded_log: EmbeddedLog, engine: AsyncEngine
) -> None:
    bus = await embedded_log.process()
    shape = new_topic(partitions=1)
    await bus.ensure_topics([shape])
    consumer = await bus.consumer(new_group(), [shape.name])
    publisher = await bus.publisher("test")
    ids = await bus._heads.ids([Partition(shape.name, 0)])
    slow = {
        "ids": list(ids.values()),
        "counts": [1],
        "partition_ids": list(ids.values()),
        "ranks": [0],
        "keys": [b"slow"],
        "bodies": [b"0"],
        "headers": [encode_headers(())],
        "written_at": real_instant(),
    }
    async with engine.connect() as connection:
        await connection.execute(PUBLISH, slow)  # its offset is taken, its commit is not there
        fast = asyncio.create_task(publisher.publish(numbered(shape.name, [1], partitions=1)))
        assert await consumer.poll(max_records=10, wait_seconds=0.5) == []
        assert not fast.done()
        await connection.commit()
    await fast
    assert values(await take(consumer, 2)) == [0, 1]


async def test_compaction_keeps_the_last_record_of_every_key_and_all_offsets(
    embedded_log: EmbeddedLog, engine: AsyncEngine
) -> None:
    bus = EmbeddedBus(engine, EmbeddedOptions(compact_after_records=1, maintain_batch=7))
    await bus.start()
    topic = f"state.{new_group()}"
    await bus.ensure_topics([TopicShape(topic, 2, True, None)])
    publisher = await bus.publisher("test")
    for version in range(5):
        await publisher.publish(
            [Message(topic, key % 2, b"%d" % key, b"%d" % version) for key in range(10)]
        )
    assert await bus.maintain() == 40
    records = await take(await bus.consumer(new_group(), [topic]), 10)
    assert {(each.key, each.value) for each in records} == {(b"%d" % k, b"4") for k in range(10)}
    assert sorted(each.offset for each in records if each.partition == 0) == list(range(20, 25))
    await publisher.publish([Message(topic, 0, b"0", b"5")])
    assert await bus.maintain() == 1
    assert await count_records(engine, topic) == 10
    await bus.stop()


async def test_retention_deletes_by_real_age_and_a_late_group_is_not_behind_what_is_gone(
    embedded_log: EmbeddedLog, engine: AsyncEngine
) -> None:
    bus = EmbeddedBus(engine, EmbeddedOptions(maintain_batch=3))
    await bus.start()
    topic, group = new_topic(retention_hours=24), new_group()
    await bus.ensure_topics([topic])
    await (await bus.publisher("test")).publish(numbered(topic.name, range(40)))
    await age_records(engine, topic.name, below_offset=8, hours=25)
    assert await bus.maintain() == 32
    assert await bus.group_lag(group, [topic.name]) == 8
    consumer = await bus.consumer(group, [topic.name])
    records = await take(consumer, 8)
    assert {each.offset for each in records} == {8, 9}
    await age_records(engine, topic.name, below_offset=10, hours=25)
    assert await bus.maintain() == 8
    assert await bus.group_lag(group, [topic.name]) == 0
    assert await consumer.poll(max_records=10, wait_seconds=0.1) == []
    await (await bus.publisher("test")).publish(numbered(topic.name, range(40, 44)))
    assert sorted(values(await take(consumer, 4))) == [40, 41, 42, 43]
    await bus.stop()


async def test_two_processes_under_one_static_name_do_not_both_read(
    embedded_log: EmbeddedLog,
) -> None:
    bus, twin = await embedded_log.process(), await embedded_log.process()
    topic, group = new_topic(), new_group()
    await bus.ensure_topics([topic])
    await (await bus.publisher("test")).publish(numbered(topic.name, range(8)))
    first = await bus.consumer(group, [topic.name], member="intake-0")
    records = await take(first, 8)
    second = await twin.consumer(group, [topic.name], member="intake-0")
    assert not await first.commit(following(records))
    assert set(await take(second, 8)) == set(records)

    async def noticed() -> bool:
        return not first.assignment()

    await eventually(noticed)
    assert first.mine(records) == []
    assert await second.commit(following(records))


async def test_a_member_whose_lease_ended_joins_again(
    embedded_log: EmbeddedLog, engine: AsyncEngine
) -> None:
    bus, group = await embedded_log.process(), new_group()
    topic = new_topic()
    await bus.ensure_topics([topic])
    consumer = await bus.consumer(group, [topic.name])
    async with engine.begin() as connection:  # as others do when we were suspended for too long
        await connection.execute(
            group_member.delete().where(group_member.c.incarnation == consumer.incarnation)
        )
    await (await bus.publisher("test")).publish(numbered(topic.name, range(8)))

    async def back() -> bool:
        records = await consumer.poll(max_records=10, wait_seconds=0.05)
        async with consumer.lock:
            records = consumer.mine(records)
            await consumer.commit(following(records))
        return await bus.group_lag(group, [topic.name]) == 0

    await eventually(back)


async def test_a_member_that_stopped_polling_gives_its_partitions_away(
    embedded_log: EmbeddedLog, engine: AsyncEngine
) -> None:
    times = GroupTimes(lease_seconds=0.5, heartbeat_seconds=0.1, poll_seconds=0.3)
    stuck = EmbeddedBus(engine, EmbeddedOptions(pulse_seconds=0.05, group=times))
    await stuck.start()
    bus, topic, group = await embedded_log.process(), new_topic(), new_group()
    await bus.ensure_topics([topic])
    await (await bus.publisher("test")).publish(numbered(topic.name, range(8)))
    first = await stuck.consumer(group, [topic.name])
    records = await take(first, 8)
    second = await bus.consumer(group, [topic.name])

    async def taken_over() -> bool:
        await second.poll(max_records=10, wait_seconds=0.02)
        return len(second.assignment()) == 4

    await eventually(taken_over)
    assert not await first.commit(following(records))
    await stuck.stop()


async def test_an_absent_database_is_bus_unavailable(embedded_log: EmbeddedLog) -> None:
    nowhere = create_async_engine(embedded_log.url.set(database="nowhere"))
    bus = EmbeddedBus(nowhere, EmbeddedOptions(start_seconds=0.3))
    with pytest.raises(BusUnavailable):
        await bus.start()
    await nowhere.dispose()


async def test_a_database_killed_under_publisher_and_consumer_loses_nothing(
    tmp_path: Path,
) -> None:
    server = await EmbeddedServer.start(tmp_path / "postgresql")
    await create_log(server.admin_url)
    log = EmbeddedLog(server.admin_url)
    bus, topic, group, count = await log.process(), new_topic(), new_group(), 3000
    await bus.ensure_topics([topic])
    publisher, seen = await bus.publisher("test"), list[Delivered]()
    working = asyncio.create_task(work_patiently(await bus.consumer(group, [topic.name]), seen))
    refusals = 0
    for start in range(0, count, 20):
        if start in {1000, 2000}:
            os.kill(server.process_ids()[0], signal.SIGKILL)
        refusals += await publish_patiently(
            publisher, numbered(topic.name, range(start, start + 20)), after=server.restart_if_dead
        )

    async def done() -> bool:
        return await bus.group_lag(group, [topic.name]) == 0

    await eventually(done, within_seconds=30.0)
    working.cancel()
    await asyncio.gather(working, return_exceptions=True)
    await log.close()
    await server.stop()
    assert refusals > 0
    assert set(values(seen)) == set(range(count))
    for partition in range(4):
        numbers = values(each for each in seen if each.partition == partition)
        assert list(dict.fromkeys(numbers)) == list(range(partition, count, 4))


def test_ranges_are_even_and_the_same_partition_numbers_go_together() -> None:
    members = [GroupMember(name, new_id(), frozenset({"a", "b"})) for name in ("y", "x", "z")]
    partitions = {"a": list(range(12)), "b": list(range(100, 108))}
    assigned = assign_ranges(partitions, members)
    by_name = {member.name: assigned[member.incarnation] for member in members}
    assert by_name["x"] == {0, 1, 2, 3, 100, 101, 102}
    assert by_name["y"] == {4, 5, 6, 7, 103, 104, 105}
    assert by_name["z"] == {8, 9, 10, 11, 106, 107}


def test_a_member_gets_no_partition_of_a_topic_that_it_does_not_read() -> None:
    old = GroupMember("old", new_id(), frozenset({"a"}))
    new = GroupMember("new", new_id(), frozenset({"a", "b"}))
    assigned = assign_ranges({"a": [1, 2], "b": [3, 4]}, [old, new])
    assert assigned == {new.incarnation: {1, 3, 4}, old.incarnation: {2}}
