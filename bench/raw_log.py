"""The event log alone: how long a message takes from `publish` to a consumer of a group."""

from __future__ import annotations

import asyncio
import struct
import time
from collections.abc import Callable, Coroutine

from sqlalchemy import URL
from sqlalchemy.ext.asyncio import create_async_engine

from shared.bus.embedded import EmbeddedBus
from shared.bus.kafka import KafkaBus, KafkaOptions
from shared.bus.port import Bus, Message, TopicShape

TOPIC = "bench.raw.v1"
WAIT_SECONDS = 0.5
LATE_SECONDS = 20.0
# About what an alert weighs.
PADDING = b"x" * 1500


async def publish_to_consume_seconds(
    database: URL, *, brokers: str, per_second: float, seconds: float
) -> list[float]:
    """One figure per message, at the rate and on the adapter of the measurement beside it."""
    engine = create_async_engine(database)
    bus: Bus = KafkaBus(KafkaOptions(brokers)) if brokers else EmbeddedBus(engine)
    await bus.start()
    try:
        await bus.ensure_topics([TopicShape(TOPIC, 1, False, 1)])
        return await _measure(bus, per_second=per_second, seconds=seconds)
    finally:
        await bus.stop()
        await engine.dispose()


async def _measure(bus: Bus, *, per_second: float, seconds: float) -> list[float]:
    publisher = await bus.publisher("bench")
    consumer = await bus.consumer("bench.raw", [TOPIC])
    taken: list[float] = []
    count = int(per_second * seconds)

    async def publish(number: int) -> None:
        value = struct.pack("d", time.perf_counter()) + PADDING
        await publisher.publish([Message(TOPIC, 0, str(number).encode(), value)])

    sending = asyncio.create_task(at_rate(publish, count, per_second=per_second))
    deadline = time.monotonic() + seconds + LATE_SECONDS
    try:
        while len(taken) < count and time.monotonic() < deadline:
            records = await consumer.poll(max_records=500, wait_seconds=WAIT_SECONDS)
            now = time.perf_counter()
            taken += [now - struct.unpack("d", record.value[:8])[0] for record in records]
    finally:
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        await consumer.close()
        await publisher.close()
    return taken


async def at_rate(
    act: Callable[[int], Coroutine[None, None, None]], count: int, *, per_second: float
) -> None:
    """Start `act` `count` times on a fixed schedule, whether or not the last ones are done."""
    started = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for number in range(count):
            wait = started + number / per_second - time.perf_counter()
            if wait > 0:
                await asyncio.sleep(wait)
            group.create_task(act(number))
