"""The contract of the event log (`shared/bus/port.py`) on PostgreSQL and on a real Kafka."""

from __future__ import annotations

import asyncio
import os
import sys
from collections import Counter
from collections.abc import Sequence
from time import monotonic

import pytest

from shared.bus.port import (
    MAX_MESSAGE_BYTES,
    Bus,
    Consumer,
    Delivered,
    Message,
    MessageRefused,
    Partition,
    TopicShape,
)
from shared.errors import ConfigurationError
from tests.contract.bus_harness import (
    SEAT_SECONDS,
    Log,
    first_of,
    following,
    new_group,
    new_topic,
    numbered,
    out_of_order,
    take,
    values,
    work,
)
from tests.eventually import eventually


async def topic_with(bus: Bus, count: int, *, partitions: int = 4) -> str:
    """A new topic that holds the numbers below `count`."""
    shape = new_topic(partitions=partitions)
    await bus.ensure_topics([shape])
    if count:
        publisher = await bus.publisher("test")
        await publisher.publish(numbered(shape.name, range(count), partitions=partitions))
    return shape.name


async def all_assigned(consumers: Sequence[Consumer], partitions: int) -> None:
    """Wait until every member has a share and together they have everything, each once."""

    async def settled() -> bool:
        shares = [len(each.assignment()) for each in consumers]
        for each in consumers:  # rebalances make progress while members poll
            assert await each.poll(max_records=1, wait_seconds=0.02) == []
        return all(shares) and sum(shares) == partitions

    await eventually(settled)


class TestPublishing:
    async def test_a_record_arrives_byte_for_byte(self, bus: Bus) -> None:
        topic = await topic_with(bus, 0)
        headers = (("ce_id", b"\x00\xff"), ("traceparent", b""), ("ce_id", "戊".encode()))
        sent = Message(topic, 2, b"\x00key", bytes(range(256)), headers)
        await (await bus.publisher("test")).publish([sent])
        (record,) = await take(await bus.consumer(new_group(), [topic]), 1)
        assert record == Delivered(topic, 2, 0, sent.key, sent.value, headers)

    async def test_one_partition_keeps_the_order_of_its_publisher(self, bus: Bus) -> None:
        topic = await topic_with(bus, 2500)
        records = await take(await bus.consumer(new_group(), [topic]), 2500)
        assert sorted(values(records)) == list(range(2500))
        for partition in range(4):
            of_partition = [each for each in records if each.partition == partition]
            assert values(of_partition) == list(range(partition, 2500, 4))
            assert [each.offset for each in of_partition] == list(range(625))

    async def test_publishers_at_once_leave_no_gap_and_no_disorder(self, log: Log) -> None:
        processes = [await log.process() for _ in range(3)]
        topic = await topic_with(processes[0], 0)

        async def publish(rank: int) -> None:
            publisher = await processes[rank].publisher(f"test-{rank}")
            for start in range(rank * 1000, rank * 1000 + 300, 20):
                await publisher.publish(numbered(topic, range(start, start + 20)))

        await asyncio.gather(*(publish(rank) for rank in range(3)))
        records = await take(await processes[0].consumer(new_group(), [topic]), 900)
        for partition in range(4):
            of_partition = [each for each in records if each.partition == partition]
            assert [each.offset for each in of_partition] == list(range(225))
            for rank in range(3):
                mine = [number for number in values(of_partition) if number // 1000 == rank]
                assert mine == sorted(mine)

    async def test_what_is_too_large_is_refused_and_nothing_is_sent(self, bus: Bus) -> None:
        topic = await topic_with(bus, 0)
        publisher = await bus.publisher("test")
        large = Message(topic, 0, b"key", bytes(MAX_MESSAGE_BYTES))
        with pytest.raises(MessageRefused):
            await publisher.publish([*numbered(topic, range(4)), large])
        assert await bus.end_offsets(topic) == {0: 0, 1: 0, 2: 0, 3: 0}

    async def test_the_largest_allowed_message_arrives(self, bus: Bus) -> None:
        topic = await topic_with(bus, 0)
        body = os.urandom(MAX_MESSAGE_BYTES - 3)
        await (await bus.publisher("test")).publish([Message(topic, 0, b"key", body)])
        (record,) = await take(await bus.consumer(new_group(), [topic]), 1)
        assert record.value == body

    async def test_a_partition_that_does_not_exist_is_an_error_of_configuration(
        self, bus: Bus
    ) -> None:
        topic = await topic_with(bus, 0)
        publisher = await bus.publisher("test")
        with pytest.raises(ConfigurationError):
            await publisher.publish([Message(topic, 99, b"key", b"value")])
        await publisher.publish(numbered(topic, range(4)))
        assert sum((await bus.end_offsets(topic)).values()) == 4


class TestReading:
    async def test_a_waiting_poll_wakes_when_something_is_published(self, bus: Bus) -> None:
        topic = await topic_with(bus, 0)
        consumer = await bus.consumer(new_group(), [topic])
        assert await consumer.poll(max_records=10, wait_seconds=0.1) == []
        publisher = await bus.publisher("test")
        waiting = asyncio.create_task(consumer.poll(max_records=10, wait_seconds=10.0))
        started = monotonic()
        await publisher.publish(numbered(topic, [7]))
        assert values(await waiting) == [7]
        assert monotonic() - started < 1.0

    async def test_an_idle_poll_returns_empty_after_its_time(self, bus: Bus) -> None:
        consumer = await bus.consumer(new_group(), [await topic_with(bus, 0)])
        started = monotonic()
        assert await consumer.poll(max_records=10, wait_seconds=0.4) == []
        assert 0.35 < monotonic() - started < 2.0

    async def test_poll_gives_at_most_what_was_asked_for(self, bus: Bus) -> None:
        consumer = await bus.consumer(new_group(), [await topic_with(bus, 100)])
        await take(consumer, 1)
        assert 0 < len(await consumer.poll(max_records=7, wait_seconds=5.0)) <= 7

    async def test_groups_do_not_disturb_one_another(self, bus: Bus) -> None:
        topic = await topic_with(bus, 20)
        first, second = new_group(), new_group()
        records = await take(one := await bus.consumer(first, [topic]), 20)
        assert await one.commit(following(records))
        assert len(await take(await bus.consumer(second, [topic]), 20)) == 20
        assert await bus.group_lag(first, [topic]) == 0
        assert await bus.group_lag(second, [topic]) == 20

    async def test_one_member_reads_all_its_topics(self, bus: Bus) -> None:
        topics = [await topic_with(bus, 8), await topic_with(bus, 12)]
        consumer = await bus.consumer(new_group(), topics)
        records = await take(consumer, 20)
        assert Counter(each.topic for each in records) == {topics[0]: 8, topics[1]: 12}
        assert consumer.assignment() == {
            Partition(topic, number) for topic in topics for number in range(4)
        }

    async def test_rewound_records_come_again_and_in_order(self, bus: Bus) -> None:
        consumer = await bus.consumer(new_group(), [await topic_with(bus, 40)])
        first = await take(consumer, 40)
        consumer.rewind(first_of(first))
        again = await take(consumer, 40)
        assert out_of_order(again) == []
        assert set(again) == set(first)

    async def test_a_failing_processor_gets_the_same_records_until_it_succeeds(
        self, bus: Bus
    ) -> None:
        topic, group = await topic_with(bus, 200), new_group()
        seen: list[Delivered] = []
        attempts: Counter[Delivered] = Counter()

        def handle(records: Sequence[Delivered]) -> None:
            attempts.update(records)
            if attempts[records[0]] < 3:
                raise RuntimeError("the database said no")
            seen.extend(records)

        consumer = await bus.consumer(group, [topic])
        working = asyncio.create_task(work(consumer, handle, max_records=30))

        async def done() -> bool:
            return await bus.group_lag(group, [topic]) == 0

        await eventually(done)
        working.cancel()
        assert sorted(values(seen)) == list(range(200))
        assert out_of_order(seen) == []

    async def test_a_tail_reads_from_its_offset_and_follows(self, bus: Bus) -> None:
        topic = await topic_with(bus, 10, partitions=1)
        tail = await bus.tail(topic, from_offset=6)
        seen: list[Delivered] = []

        async def caught_up() -> bool:
            seen.extend(await tail.read(max_records=3, wait_seconds=0.2))
            return len(seen) == 4

        await eventually(caught_up)
        assert [each.offset for each in seen] == [6, 7, 8, 9]
        reading = asyncio.create_task(tail.read(max_records=3, wait_seconds=10.0))
        await (await bus.publisher("test")).publish(numbered(topic, [10], partitions=1))
        assert [each.offset for each in await reading] == [10]
        await tail.close()


class TestPositions:
    async def test_the_next_member_starts_at_the_committed_position(self, log: Log) -> None:
        bus = await log.process()
        topic, group = await topic_with(bus, 40), new_group()
        consumer = await bus.consumer(group, [topic])
        records = await take(consumer, 40)
        kept = [each for each in records if each.offset < 4]
        assert await consumer.commit(following(kept))
        await consumer.close()
        later = await take(await (await log.process()).consumer(group, [topic]), 24)
        assert set(later) == set(records) - set(kept)

    async def test_a_commit_stores_its_own_positions_only(self, bus: Bus) -> None:
        topic, group = await topic_with(bus, 40), new_group()
        consumer = await bus.consumer(group, [topic])
        await take(consumer, 40)
        assert await consumer.commit({Partition(topic, 1): 3})
        lag = await consumer.lag()
        assert {place.number: behind for place, behind in lag.items()} == {
            0: 10,
            1: 7,
            2: 10,
            3: 10,
        }
        assert await bus.group_lag(group, [topic]) == 37

    async def test_a_group_that_nobody_joined_lags_by_everything(self, bus: Bus) -> None:
        topic = await topic_with(bus, 12)
        assert await bus.group_lag(new_group(), [topic]) == 12
        assert await bus.end_offsets(topic) == {0: 3, 1: 3, 2: 3, 3: 3}


class TestMembership:
    async def test_a_dead_members_records_come_to_another(self, log: Log) -> None:
        dying, living = await log.process(), await log.process()
        topic, group = await topic_with(dying, 40), new_group()
        first = await dying.consumer(group, [topic])
        records = await take(first, 40)
        assert await first.commit(following(records[:5]))
        await log.kill(dying)
        second = await living.consumer(group, [topic])
        expected = set(records) - set(records[:5])
        assert set(await take(second, len(expected))) == expected

    async def test_two_members_share_the_partitions(self, log: Log) -> None:
        bus, group = await log.process(), new_group()
        topic = await topic_with(bus, 0)
        first = await bus.consumer(group, [topic])
        joining = asyncio.create_task((await log.process()).consumer(group, [topic]))

        async def joined() -> bool:
            await first.poll(max_records=1, wait_seconds=0.02)
            return joining.done()

        await eventually(joined)
        second = await joining
        await all_assigned([first, second], 4)
        assert not first.assignment() & second.assignment()

    async def test_a_partition_stays_while_its_records_are_in_work(self, log: Log) -> None:
        bus, group = await log.process(), new_group()
        topic = await topic_with(bus, 40)
        first = await bus.consumer(group, [topic])
        records = await take(first, 40)
        async with first.lock:
            kept = first.mine(records)
            joining = asyncio.create_task((await log.process()).consumer(group, [topic]))
            # The newcomer asks for its share meanwhile; nothing may move before we are done.
            await asyncio.wait([joining], timeout=1.0)
            assert first.mine(records) == kept == records
            assert await first.commit(following(kept))
        second = await joining
        await all_assigned([first, second], 4)
        assert await bus.group_lag(group, [topic]) == 0

    async def test_what_was_taken_away_is_neither_mine_nor_committed(self, log: Log) -> None:
        bus, group = await log.process(), new_group()
        topic = await topic_with(bus, 40)
        first = await bus.consumer(group, [topic])
        records = await take(first, 40)
        joining = asyncio.create_task((await log.process()).consumer(group, [topic]))

        async def moved() -> bool:
            return joining.done() and len(joining.result().assignment()) == 2

        await eventually(moved)
        second = await joining
        gone = second.assignment()
        kept = first.mine(records)
        assert all(Partition(each.topic, each.partition) not in gone for each in kept)
        assert not await first.commit(dict.fromkeys(gone, 10))
        again = await take(second, 10 * len(gone))
        assert {each.partition for each in again} == {place.number for place in gone}

    async def test_members_that_come_and_go_lose_nothing(self, log: Log) -> None:
        bus, group, count = await log.process(), new_group(), 6000
        topic = await topic_with(bus, 0)
        seen: list[Delivered] = []
        publisher = await bus.publisher("test")

        async def publish() -> None:
            for start in range(0, count, 100):
                await publisher.publish(numbered(topic, range(start, start + 100)))

        async def live(seconds: float) -> None:
            process = await log.process()
            consumer = await process.consumer(group, [topic])
            working = asyncio.create_task(work(consumer, seen.extend))
            await asyncio.wait([working], timeout=seconds)
            async with consumer.lock:
                working.cancel()
            await asyncio.gather(working, return_exceptions=True)
            await consumer.close()

        publishing = asyncio.create_task(publish())
        await asyncio.gather(live(1.5), live(0.7), live(2.0))
        await publishing
        last = asyncio.create_task(work(await bus.consumer(group, [topic]), seen.extend))

        async def done() -> bool:
            return await bus.group_lag(group, [topic]) == 0

        await eventually(done)
        last.cancel()
        assert set(values(seen)) == set(range(count))
        assert out_of_order(seen) == []

    async def test_a_static_member_has_its_seat_back_at_once(self, log: Log) -> None:
        dying, living = await log.process(), await log.process()
        topic, group = await topic_with(dying, 40), new_group()
        await take(await dying.consumer(group, [topic], member="tracing-0"), 40)
        await log.kill(dying)
        started = monotonic()
        consumer = await living.consumer(group, [topic], member="tracing-0")
        records = await take(consumer, 40)
        assert monotonic() - started < SEAT_SECONDS / 2
        assert await consumer.commit(following(records))

    async def test_after_kill_nine_of_a_process_the_other_sees_everything(self, log: Log) -> None:
        bus, group, count = await log.process(), new_group(), 1500
        topic = await topic_with(bus, 0)
        environment = os.environ | log.address() | {"BUS_GROUP": group, "BUS_TOPIC": topic}
        processes = [await start_process(environment) for _ in range(2)]
        outputs = [asyncio.create_task(read_all(process)) for process in processes]
        publisher = await bus.publisher("test")
        for start in range(0, count, 100):
            await publisher.publish(numbered(topic, range(start, start + 100)))
            if start == count // 3 // 100 * 100:
                processes[0].kill()

        async def done() -> bool:
            return await bus.group_lag(group, [topic]) == 0

        await eventually(done, within_seconds=30.0)
        processes[1].kill()
        seen = [line for output in await asyncio.gather(*outputs) for line in output]
        assert {int(line.split()[1]) for line in seen} == set(range(count))


async def start_process(environment: dict[str, str]) -> asyncio.subprocess.Process:
    """`bus_process.py`, once it has joined."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.contract.bus_process",
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert process.stdout is not None
    async with asyncio.timeout(30.0):
        assert await process.stdout.readline() == b"joined\n"
    return process


async def read_all(process: asyncio.subprocess.Process) -> list[str]:
    """The whole lines that it wrote before it ended."""
    assert process.stdout is not None
    text = (await process.stdout.read()).decode()
    await process.wait()
    return text.split("\n")[:-1]


class TestTopics:
    async def test_ensuring_twice_changes_nothing(self, log: Log) -> None:
        shapes = [new_topic(), new_topic(partitions=1, compacted=True, retention_hours=None)]
        processes = [await log.process() for _ in range(2)]
        await asyncio.gather(*(each.ensure_topics(shapes) for each in processes))
        await (await processes[0].publisher("test")).publish(numbered(shapes[0].name, range(8)))
        await processes[1].ensure_topics(shapes)
        assert sum((await processes[1].end_offsets(shapes[0].name)).values()) == 8
        assert await processes[1].end_offsets(shapes[1].name) == {0: 0}

    @pytest.mark.parametrize(
        "change",
        [
            {"partitions": 6},
            {"retention_hours": 48},
            {"compacted": True, "retention_hours": None},
        ],
        ids=["partitions", "retention", "compaction"],
    )
    async def test_a_topic_of_another_shape_is_an_error(
        self, bus: Bus, change: dict[str, int | None]
    ) -> None:
        shape = new_topic()
        await bus.ensure_topics([shape])
        described = {"partitions": 4, "compacted": False, "retention_hours": 24} | change
        other = TopicShape(shape.name, **described)  # type: ignore[arg-type]
        with pytest.raises(ConfigurationError, match=shape.name):
            await bus.ensure_topics([other])
