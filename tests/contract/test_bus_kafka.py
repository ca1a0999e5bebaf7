"""What only a real broker can show: it is killed, and nothing is lost."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path
from time import monotonic

import pytest

from deploy.kafka.broker import Broker
from shared.bus.kafka import KafkaBus, KafkaOptions
from shared.bus.port import BusUnavailable, Delivered, Partition
from tests.contract.bus_harness import (
    kafka_bus,
    new_group,
    new_topic,
    numbered,
    publish_patiently,
    values,
    work_patiently,
)
from tests.eventually import eventually

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.xdist_group("kafka")]


def impatient_bus(brokers: str) -> KafkaBus:
    """Gives up on a batch before the broker is back, which is what poisons a producer."""
    return KafkaBus(
        KafkaOptions(
            brokers,
            answer_seconds=2.5,
            request_timeout_ms=2_000,
            session_timeout_ms=6_000,
            heartbeat_interval_ms=500,
            rebalance_timeout_ms=10_000,
        )
    )


async def test_a_broker_killed_under_publisher_and_consumer_loses_nothing(
    own_broker: Broker,
) -> None:
    bus = impatient_bus(own_broker.bootstrap_servers)
    await bus.start()
    topic, group, count = new_topic(), new_group(), 1200
    await bus.ensure_topics([topic])
    publisher = await bus.publisher("test")
    seen: list[Delivered] = []
    working = asyncio.create_task(
        work_patiently(await bus.consumer(group, [topic.name], member="test-0"), seen)
    )
    refusals, restarting = 0, None
    for start in range(0, count, 40):
        if start in {400, 800}:
            await asyncio.to_thread(own_broker.kill)
            restarting = asyncio.create_task(asyncio.to_thread(own_broker.restart))
        refusals += await publish_patiently(
            publisher, numbered(topic.name, range(start, start + 40))
        )
    assert restarting is not None
    await restarting

    async def done() -> bool:
        try:
            return await bus.group_lag(group, [topic.name]) == 0
        except BusUnavailable:
            return False

    await eventually(done, within_seconds=60.0)
    working.cancel()
    await asyncio.gather(working, return_exceptions=True)
    assert refusals > 0  # the outage was noticed, so the producer was built anew
    assert set(values(seen)) == set(range(count))
    for partition in range(4):
        numbers = values(each for each in seen if each.partition == partition)
        assert list(dict.fromkeys(numbers)) == list(range(partition, count, 4))
    await bus.stop()


async def test_a_consumer_that_an_outage_left_mute_is_followed_by_a_new_one(
    own_broker: Broker,
) -> None:
    """aiokafka's task for metadata may end without a word while the broker is away; whoever looks
    for the coordinator then waits for ever, commits included."""
    bus = impatient_bus(own_broker.bootstrap_servers)
    await bus.start()
    topic, group = new_topic(), new_group()
    await bus.ensure_topics([topic])
    await (await bus.publisher("test")).publish(numbered(topic.name, range(8)))
    consumer = await bus.consumer(group, [topic.name], member="test-0")
    seen: list[Delivered] = []

    async def read() -> None:
        with suppress(BusUnavailable):
            seen.extend(await consumer.poll(max_records=10, wait_seconds=0.2))

    async def all_in() -> bool:
        await read()
        return len(seen) == 8

    async def told() -> bool:
        await read()
        try:
            await consumer.commit(_after(seen))
            return await bus.group_lag(group, [topic.name]) == 0
        except BusUnavailable:
            return False

    await eventually(all_in)
    consumer._consumer._client._sync_task.cancel()
    await asyncio.to_thread(own_broker.kill)
    with pytest.raises(BusUnavailable):
        await consumer.commit(_after(seen))
    await asyncio.to_thread(own_broker.restart)
    await eventually(told, within_seconds=60.0)
    assert sorted(values(seen)) == sorted([*range(8), *range(8)]), "read again by the new member"
    await bus.stop()


def _after(seen: list[Delivered]) -> dict[Partition, int]:
    return {Partition(one.topic, one.partition): one.offset + 1 for one in seen}


async def test_an_absent_broker_is_bus_unavailable_at_start() -> None:
    bus = KafkaBus(KafkaOptions("127.0.0.1:9", start_seconds=1.0))
    with pytest.raises(BusUnavailable):
        await bus.start()
    await bus.stop()


async def test_what_was_published_survives_the_broker_and_a_new_process(
    own_broker: Broker, tmp_path: Path
) -> None:
    first = kafka_bus(own_broker.bootstrap_servers)
    await first.start()
    topic = new_topic(partitions=1)
    await first.ensure_topics([topic])
    await (await first.publisher("test")).publish(numbered(topic.name, range(10), partitions=1))
    await asyncio.to_thread(own_broker.kill)
    await first.stop()
    await asyncio.to_thread(own_broker.restart)
    second = kafka_bus(own_broker.bootstrap_servers)
    await second.start()
    tail = await second.tail(topic.name, from_offset=4)
    seen: list[Delivered] = []

    async def caught_up() -> bool:
        seen.extend(await tail.read(max_records=10, wait_seconds=0.2))
        return len(seen) == 6

    await eventually(caught_up)
    assert values(seen) == [4, 5, 6, 7, 8, 9]
    await second.stop()


async def test_news_of_a_slow_consumer_do_not_wait_as_long_as_an_empty_fetch(
    kafka_brokers: str,
) -> None:
    """aiokafka asks for the partitions of which it has nothing when what it has lies unread."""
    bus = KafkaBus(KafkaOptions(kafka_brokers, fetch_max_wait_ms=20_000))
    await bus.start()
    topic, other = new_topic(partitions=2), new_topic(partitions=2)
    await bus.ensure_topics([topic, other])
    publisher = await bus.publisher("test")
    consumer = await bus.consumer(new_group(), [topic.name], member="test-0")
    seen: list[Delivered] = []

    async def read(number: int) -> None:
        async def all_in() -> bool:
            seen.extend(await consumer.poll(max_records=10, wait_seconds=0.2))
            return len(seen) == number

        await eventually(all_in, within_seconds=10.0)

    async def lies_unread() -> bool:
        return bool(consumer._consumer._fetcher._records)

    async def long_since() -> bool:
        # More than a tenth of a second: the time after which aiokafka reads on.
        await publisher.publish(numbered(other.name, range(1), partitions=1))
        return monotonic() > unread_since + 0.3

    await publisher.publish(numbered(topic.name, [0], partitions=1))
    await read(1)
    await publisher.publish(numbered(topic.name, [1], partitions=1))
    await eventually(lies_unread)
    unread_since = monotonic()
    await eventually(long_since)
    await publisher.publish(numbered(topic.name, [2], partitions=1))
    await read(3)
    assert values(seen) == [0, 1, 2]
    await bus.stop()
