"""The event log on Apache Kafka, through plain aiokafka."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

from aiokafka import AIOKafkaProducer

from shared.bus.kafka_client import KafkaOptions, answering, end_client, start_client
from shared.bus.kafka_group import KafkaConsumer, KafkaTail
from shared.bus.kafka_topics import KafkaInspector
from shared.bus.port import (
    BusUnavailable,
    Message,
    Move,
    Partition,
    TopicShape,
    refuse_large,
)
from shared.errors import ConfigurationError

__all__ = ["KafkaBus", "KafkaOptions", "KafkaPublisher"]

logger = logging.getLogger(__name__)

PUBLISH_CHUNK = 500


class KafkaPublisher:
    """Sends in chunks and waits for every answer; a producer that failed once is not used again.

    aiokafka's idempotent producer can poison itself for good: a batch that expires while its
    partition has no leader has used up sequence numbers, and every later batch is refused
    (aio-libs/aiokafka #1017). So after any failure or overdue answer the producer is ended, and
    only then a new one is built, which the caller's next attempt uses.
    """

    def __init__(self, options: KafkaOptions, name: str) -> None:
        self._options = options
        self._name = name
        self._producer: Any = None
        self._building = asyncio.Lock()
        self._closed = False

    async def open(self) -> None:
        """Connect, trying for `start_seconds`."""
        await self._live()

    async def publish(self, messages: Sequence[Message]) -> None:
        for message in messages:
            refuse_large(message)
        for start in range(0, len(messages), PUBLISH_CHUNK):
            await self._publish_chunk(messages[start : start + PUBLISH_CHUNK])

    async def carry(self, move: Move, outbox: str, *, most: int) -> int:
        """The rows are not where this log is."""
        del move, outbox, most
        return 0

    async def close(self) -> None:
        self._closed = True
        async with self._building:
            producer, self._producer = self._producer, None
            if producer is not None:
                await end_client(producer)

    async def _publish_chunk(self, messages: Sequence[Message]) -> None:
        producer = await self._live()
        try:
            async with answering(self._options.answer_seconds, "publish"):
                await _check_partitions(producer, messages)
                await _send_all(producer, messages)
        except (BusUnavailable, asyncio.CancelledError):
            await self._discard(producer)
            raise

    async def _live(self) -> Any:
        async with self._building:
            if self._closed:
                raise BusUnavailable(f"the publisher {self._name} is closed")
            if self._producer is None:
                self._producer = await start_client(
                    self._make,
                    seconds=self._options.start_seconds,
                    purpose=f"start the publisher {self._name}",
                )
            return self._producer

    def _make(self) -> AIOKafkaProducer:
        connection = self._options.connection()
        return AIOKafkaProducer(
            **connection | {"client_id": f"{self._options.client_id}-{self._name}"},
            acks="all",
            enable_idempotence=True,
            linger_ms=0,
            max_batch_size=131_072,
            compression_type="zstd",
            request_timeout_ms=self._options.request_timeout_ms,
        )

    async def _discard(self, producer: Any) -> None:
        async with self._building:
            if self._producer is not producer:
                return  # somebody else has seen to it
            logger.warning("the producer of %s failed and is built anew", self._name)
            self._producer = None
            # Ended before the next one is made: its batches must not come in among newer ones.
            await end_client(producer)


async def _check_partitions(producer: Any, messages: Sequence[Message]) -> None:
    for topic in {message.topic for message in messages}:
        known = await producer.partitions_for(topic)
        for message in messages:
            if message.topic == topic and message.partition not in known:
                raise ConfigurationError(
                    f"topic {topic} has no partition {message.partition}",
                    advice="Create topics with ensure_topics before they are used.",
                )


async def _send_all(producer: Any, messages: Sequence[Message]) -> None:
    answers: list[asyncio.Future[Any]] = []
    try:
        for message in messages:
            answers.append(  # noqa: PERF401 - what was sent must be known if a later one fails
                await producer.send(
                    message.topic,
                    message.value,
                    key=message.key,
                    partition=message.partition,
                    headers=list(message.headers),
                )
            )
        outcomes = await asyncio.gather(*answers, return_exceptions=True)
    except BaseException:
        for answer in answers:
            answer.add_done_callback(_take_notice)
        raise
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome


def _take_notice(answer: asyncio.Future[Any]) -> None:
    """Nobody waits for this answer any more; the interpreter need not complain about it."""
    if not answer.cancelled():
        answer.exception()


class KafkaBus:
    """A Kafka cluster; one object per process."""

    def __init__(self, options: KafkaOptions) -> None:
        self._options = options
        self._inspector = KafkaInspector(options)
        self._open: list[KafkaPublisher | KafkaConsumer | KafkaTail] = []

    async def start(self) -> None:
        await self._inspector.start()

    async def stop(self) -> None:
        opened, self._open = self._open, []
        for each in opened:
            await each.close()
        await self._inspector.close()

    async def ensure_topics(self, shapes: Sequence[TopicShape]) -> None:
        await self._inspector.ensure(shapes)

    async def publisher(self, name: str) -> KafkaPublisher:
        publisher = KafkaPublisher(self._options, name)
        await publisher.open()
        self._open.append(publisher)
        return publisher

    async def consumer(
        self, group: str, topics: Sequence[str], *, member: str | None = None
    ) -> KafkaConsumer:
        consumer = KafkaConsumer(
            self._options, self._inspector, group=group, topics=topics, member=member
        )
        await consumer.join()
        self._open.append(consumer)
        return consumer

    async def tail(self, topic: str, *, from_offset: int) -> KafkaTail:
        tail = KafkaTail(self._options, topic, from_offset=from_offset)
        await tail.open()
        self._open.append(tail)
        return tail

    async def end_offsets(self, topic: str) -> dict[int, int]:
        ends = await self._inspector.ends(await self._partitions([topic]))
        return {place.number: end for place, end in ends.items()}

    async def group_lag(self, group: str, topics: Sequence[str]) -> int:
        behind = await self._inspector.lag(group, await self._partitions(topics))
        return sum(behind.values())

    async def maintain(self) -> int:
        """Kafka keeps its retention and compaction by itself."""
        return 0

    async def _partitions(self, topics: Sequence[str]) -> list[Partition]:
        counts = await self._inspector.partitions_of(topics)
        return [Partition(topic, number) for topic in topics for number in range(counts[topic])]
