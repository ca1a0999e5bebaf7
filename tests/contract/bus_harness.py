"""What the contract of the event log is tested with: logs to break, and a consumer's loop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from time import monotonic
from typing import Protocol
from uuid import uuid4

from sqlalchemy import URL, text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from shared.bus.embedded import EmbeddedBus, EmbeddedOptions
from shared.bus.embedded_group import GroupTimes
from shared.bus.kafka import KafkaBus, KafkaOptions
from shared.bus.kafka_group import KafkaConsumer
from shared.bus.port import (
    Bus,
    BusUnavailable,
    Consumer,
    Delivered,
    Message,
    Partition,
    Publisher,
    TopicShape,
)
from shared.bus.tables import metadata
from tests.eventually import eventually

# How long a dead member keeps its seat in these tests.
SEAT_SECONDS = 3.0


class Log(Protocol):
    """One event log, and processes that use it."""

    async def process(self) -> Bus:
        """A started bus, as another process would have; stopped after the test."""
        ...

    async def kill(self, bus: Bus) -> None:
        """End it as `kill -9` does: nobody is told."""
        ...

    async def close(self) -> None: ...

    def address(self) -> dict[str, str]:
        """For a real process (`bus_process.py`), as environment variables."""
        ...


async def create_log(url: URL) -> None:
    """The tables of an empty event log."""
    engine = create_async_engine(url)
    async with engine.begin() as connection:
        await connection.execute(text("CREATE SCHEMA bus"))
        await connection.run_sync(metadata.create_all)
    await engine.dispose()


def embedded_bus(engine: AsyncEngine) -> EmbeddedBus:
    times = GroupTimes(lease_seconds=SEAT_SECONDS, heartbeat_seconds=0.3)
    return EmbeddedBus(engine, EmbeddedOptions(pulse_seconds=0.05, group=times))


def kafka_bus(brokers: str) -> KafkaBus:
    return KafkaBus(
        KafkaOptions(
            brokers,
            session_timeout_ms=int(SEAT_SECONDS * 1000),
            heartbeat_interval_ms=300,
            rebalance_timeout_ms=10_000,
        )
    )


@dataclass
class EmbeddedLog:
    """The log in a PostgreSQL that the tests started."""

    url: URL
    _running: list[tuple[EmbeddedBus, AsyncEngine]] = field(default_factory=list)

    async def process(self) -> EmbeddedBus:
        engine = create_async_engine(self.url, pool_size=3)
        bus = embedded_bus(engine)
        await bus.start()
        self._running.append((bus, engine))
        return bus

    async def kill(self, bus: Bus) -> None:
        for running, engine in list(self._running):
            if running is bus:
                await running.abandon()
                await engine.dispose()
                self._running.remove((running, engine))

    async def close(self) -> None:
        for bus, engine in self._running:
            await bus.stop()
            await engine.dispose()
        self._running.clear()

    def address(self) -> dict[str, str]:
        return {"BUS_DATABASE": self.url.render_as_string(hide_password=False)}


@dataclass
class KafkaLog:
    """The log on a real Apache Kafka."""

    brokers: str
    _running: list[KafkaBus] = field(default_factory=list)

    async def process(self) -> KafkaBus:
        bus = kafka_bus(self.brokers)
        await bus.start()
        self._running.append(bus)
        return bus

    async def kill(self, bus: Bus) -> None:
        assert isinstance(bus, KafkaBus)
        for each in bus._open:
            if isinstance(each, KafkaConsumer) and each._consumer is not None:
                # Without a generation there is no seat to give back, so it says no goodbye.
                each._consumer._coordinator.generation = -1
        self._running.remove(bus)
        await bus.stop()

    async def close(self) -> None:
        for bus in self._running:
            await bus.stop()
        self._running.clear()

    def address(self) -> dict[str, str]:
        return {"BUS_BROKERS": self.brokers}


def new_topic(
    *, partitions: int = 4, compacted: bool = False, retention_hours: int | None = 24
) -> TopicShape:
    """A topic that no other test uses."""
    return TopicShape(f"test.{uuid4().hex[:12]}.v1", partitions, compacted, retention_hours)


def new_group() -> str:
    return f"test.{uuid4().hex[:12]}"


def numbered(topic: str, numbers: Iterable[int], *, partitions: int = 4) -> list[Message]:
    """Messages whose value is their number; number n goes to partition n mod `partitions`."""
    return [
        Message(topic, number % partitions, b"key-%d" % number, b"%d" % number)
        for number in numbers
    ]


def values(records: Iterable[Delivered]) -> list[int]:
    return [int(record.value) for record in records]


def following(records: Sequence[Delivered]) -> dict[Partition, int]:
    """The positions to commit after these."""
    return {Partition(each.topic, each.partition): each.offset + 1 for each in records}


def first_of(records: Sequence[Delivered]) -> dict[Partition, int]:
    """The positions to rewind to before these."""
    return {Partition(each.topic, each.partition): each.offset for each in reversed(records)}


async def take(consumer: Consumer, count: int, *, seconds: float = 15.0) -> list[Delivered]:
    """Poll until `count` records are here, without committing."""
    deadline = monotonic() + seconds
    taken: list[Delivered] = []
    while len(taken) < count:
        assert monotonic() < deadline, f"{len(taken)} of {count} records after {seconds:.0f} s"
        taken += await consumer.poll(max_records=count - len(taken), wait_seconds=0.2)
    return taken


async def work(
    consumer: Consumer, handle: Callable[[Sequence[Delivered]], None], *, max_records: int = 50
) -> None:
    """The loop of a service: poll, then process and commit under the lock. Until cancelled."""
    while True:
        records = await consumer.poll(max_records=max_records, wait_seconds=0.2)
        async with consumer.lock:
            records = consumer.mine(records)
            if not records:
                continue
            try:
                handle(records)
            except RuntimeError:
                consumer.rewind(first_of(records))
                continue
            await consumer.commit(following(records))
        await asyncio.sleep(0)  # a batch in memory returns at once; let the others run


async def publish_patiently(
    publisher: Publisher,
    messages: list[Message],
    *,
    after: Callable[[], Awaitable[object]] | None = None,
) -> int:
    """As the relay does: the same messages until they are taken. How often the log was away.

    `after` each refusal something is done about it.
    """
    refusals = 0

    async def taken() -> bool:
        nonlocal refusals
        try:
            await publisher.publish(messages)
        except BusUnavailable:
            refusals += 1
            if after is not None:
                await after()
            return False
        return True

    await eventually(taken, within_seconds=60.0)
    return refusals


async def work_patiently(consumer: Consumer, seen: list[Delivered]) -> None:
    """As a service does: go on when the log is back. Until cancelled."""

    async def ended() -> bool:
        with suppress(BusUnavailable):
            records = await consumer.poll(max_records=50, wait_seconds=0.2)
            async with consumer.lock:
                records = consumer.mine(records)
                seen.extend(records)
                try:
                    await consumer.commit(following(records))
                except BusUnavailable:
                    consumer.rewind(first_of(records))
        return False

    await eventually(ended, within_seconds=120.0)


def out_of_order(seen: Iterable[Delivered]) -> list[Delivered]:
    """Records that arrived, for the first time, after a later one of their partition."""
    reached: dict[Partition, int] = {}
    known: set[tuple[str, int, int]] = set()
    wrong = []
    for record in seen:
        place = Partition(record.topic, record.partition)
        identity = (record.topic, record.partition, record.offset)
        if identity not in known and record.offset < reached.get(place, -1):
            wrong.append(record)
        known.add(identity)
        reached[place] = max(record.offset, reached.get(place, -1))
    return wrong
