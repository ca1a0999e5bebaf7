"""Members of Kafka consumer groups, and readers without a group."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from time import monotonic
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import CommitFailedError, IllegalStateError

from shared.bus.kafka_client import (
    KafkaOptions,
    answering,
    end_client,
    start_client,
    wait_until_read,
)
from shared.bus.kafka_topics import KafkaInspector
from shared.bus.port import BusUnavailable, Delivered, Partition

logger = logging.getLogger(__name__)

# A broker has not answered so soon.
AT_ONCE_SECONDS = 0.001
SECOND_LOOK_MS = 8


class Seat(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka ships no types
    """What one aiokafka consumer holds. Every rebuilt consumer gets a new one.

    aiokafka itself goes on naming the old assignment until the new one is there; we stop at the
    moment of revocation, which waits for the lock: then nothing of ours is half done.
    """

    def __init__(self, lock: asyncio.Lock) -> None:
        self._lock = lock
        self.held: frozenset[TopicPartition] = frozenset()
        # Assigned, and nothing handed out since: records of an earlier assignment are not ours.
        self.untouched: set[TopicPartition] = set()
        self.unassigned_since: float | None = monotonic()

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        del revoked  # always all of them
        async with self._lock:
            self.leave()

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        self.held = frozenset(assigned)
        self.untouched = set(self.held)
        self.unassigned_since = None

    def leave(self) -> None:
        self.held = frozenset()
        self.untouched = set()
        self.unassigned_since = monotonic()

    def holds(self, place: TopicPartition) -> bool:
        return place in self.held and place not in self.untouched


class KafkaConsumer:
    """One member of a group; builds its aiokafka consumer anew when that stops working."""

    def __init__(
        self,
        options: KafkaOptions,
        inspector: KafkaInspector,
        *,
        group: str,
        topics: Sequence[str],
        member: str | None,
    ) -> None:
        self.lock = asyncio.Lock()
        self._options = options
        self._inspector = inspector
        self._group = group
        self._topics = tuple(topics)
        self._member = member
        self._seat = Seat(self.lock)
        self._consumer: Any = None
        # The one that got no answer to a commit.
        self._unanswered: Any = None
        self._heard_at = monotonic()
        self._closed = False

    async def join(self) -> None:
        """Enter the group and wait for the first assignment."""
        self._consumer = await start_client(
            self._make,
            seconds=self._options.start_seconds,
            purpose=f"join the group {self._group}",
        )
        wait_until_read(self._consumer)
        self._heard_at = monotonic()

    def _make(self) -> AIOKafkaConsumer:
        self._seat = Seat(self.lock)
        consumer = AIOKafkaConsumer(
            group_id=self._group,
            group_instance_id=self._member,
            session_timeout_ms=self._options.session_timeout_ms,
            heartbeat_interval_ms=self._options.heartbeat_interval_ms,
            rebalance_timeout_ms=self._options.rebalance_timeout_ms,
            max_poll_interval_ms=300_000,
            # Not the sticky one: its state lives on the class, shared by all groups of a process.
            partition_assignment_strategy=(RangePartitionAssignor,),
            **self._options.reading(),
        )
        consumer.subscribe(topics=self._topics, listener=self._seat)
        return consumer

    async def poll(self, *, max_records: int, wait_seconds: float) -> list[Delivered]:
        if self._consumer is not None and self._consumer is self._unanswered:
            logger.error("group %s: a commit got no answer; joining again", self._group)
            await self._discard(self._consumer)
            self._unanswered = None
        if self._consumer is None:
            if self._closed:
                raise BusUnavailable("this consumer is closed")
            await self.join()
        consumer, seat = self._consumer, self._seat
        try:
            async with answering(wait_seconds + self._options.answer_seconds, "read records"):
                batches = await self._fetch(consumer, seat, max_records, wait_seconds)
        except BusUnavailable as error:
            # A broker that is away is silence here; an exception means that the consumer is broken.
            logger.warning("group %s: %s; joining again", self._group, error)
            await self._discard(consumer)
            raise
        records: list[Delivered] = []
        for place, batch in batches.items():
            if place not in seat.held:
                _seek(consumer, place, batch[0].offset)  # assigned, but we were not told yet
                continue
            seat.untouched.discard(place)
            records.extend(map(_delivered, batch))
        if records:
            self._heard_at = monotonic()
        else:
            await self._watch(consumer, seat)
        return records

    async def _fetch(
        self, consumer: Any, seat: Seat, max_records: int, wait_seconds: float
    ) -> dict[TopicPartition, list[Any]]:
        batches: dict[TopicPartition, list[Any]] = {}
        began = monotonic()
        try:
            async with asyncio.timeout(wait_seconds + 0.5):
                batches = await consumer.getmany(
                    timeout_ms=int(wait_seconds * 1000), max_records=max_records
                )
                rest = max_records - sum(map(len, batches.values()))
                if batches and rest > 0 and monotonic() - began < AT_ONCE_SECONDS:
                    # They lay ready since we were busy; what came after them was not asked for.
                    held = seat.held
                    more: dict[TopicPartition, list[Any]] = await consumer.getmany(
                        timeout_ms=SECOND_LOOK_MS, max_records=rest
                    )
                    if seat.held is not held:
                        return more  # assigned anew: the others come again
                    for place, records in more.items():
                        batches.setdefault(place, []).extend(records)
        except TimeoutError:  # aiokafka waits for the end of a rebalance, however long
            pass
        return batches

    async def _watch(self, consumer: Any, seat: Seat) -> None:
        """The watchdog: aiokafka tells nobody that it has stopped working."""
        patience = self._options.watchdog_seconds
        now = monotonic()
        homeless = seat.unassigned_since is not None and now - seat.unassigned_since > patience
        stalled = False
        if not homeless and now - self._heard_at > patience:
            self._heard_at = now  # ask once per period, not at every poll
            stalled = await self._is_stalled(consumer, seat)
        if homeless or stalled:
            reason = "has no assignment" if homeless else "is behind and receives nothing"
            logger.error("group %s: this member %s; joining again", self._group, reason)
            await self._discard(consumer)
            raise BusUnavailable(f"a member of {self._group} {reason}")

    async def _is_stalled(self, consumer: Any, seat: Seat) -> bool:
        """Whether there are records behind our position although none arrived for so long."""
        places = list(seat.held)
        if not places:
            return False
        try:
            ends = await self._inspector.ends([_partition(place) for place in places])
        except BusUnavailable:
            return False  # the brokers are away: waiting is right
        try:
            async with answering(self._options.answer_seconds, "read our position"):
                for place in places:
                    if await consumer.position(place) < ends[_partition(place)]:
                        return True
        except BusUnavailable:
            return True
        return False

    async def _discard(self, consumer: Any) -> None:
        async with self.lock:
            self._seat.leave()
            if self._consumer is consumer:
                self._consumer = None
        await end_client(consumer)

    def mine(self, records: Sequence[Delivered]) -> list[Delivered]:
        seat = self._seat
        return [
            record
            for record in records
            if seat.holds(TopicPartition(record.topic, record.partition))
        ]

    async def commit(self, positions: Mapping[Partition, int]) -> bool:
        consumer, seat = self._consumer, self._seat
        held = {
            place: offset
            for partition, offset in positions.items()
            if seat.holds(place := TopicPartition(partition.topic, partition.number))
        }
        if consumer is None or not held:
            return not positions
        try:
            async with answering(self._options.answer_seconds, "commit positions"):
                try:
                    await consumer.commit(held)
                except (CommitFailedError, IllegalStateError) as error:
                    logger.info("group %s moved on: %s", self._group, type(error).__name__)
                    return False
        except BusUnavailable:
            # In an outage aiokafka's task for metadata may end without a word; whoever looks for
            # the coordinator then waits for ever, after the broker's return too. Our caller holds
            # the lock, so it is the next poll that builds the consumer anew.
            self._unanswered = consumer
            raise
        return len(held) == len(positions)

    def rewind(self, positions: Mapping[Partition, int]) -> None:
        for partition, offset in positions.items():
            place = TopicPartition(partition.topic, partition.number)
            # A fresh assignment starts at the committed offset, which is not behind this one.
            if self._consumer is not None and self._seat.holds(place):
                _seek(self._consumer, place, offset)

    def assignment(self) -> frozenset[Partition]:
        return frozenset(map(_partition, self._seat.held))

    async def lag(self) -> dict[Partition, int]:
        return await self._inspector.lag(self._group, sorted(self.assignment(), key=_order))

    async def close(self) -> None:
        """Leave the group; a static member keeps its seat for the session timeout."""
        self._closed = True
        consumer, self._consumer = self._consumer, None
        self._seat.leave()
        if consumer is not None:
            await end_client(consumer)


class KafkaTail:
    """Follows partition 0 of a topic on its own."""

    def __init__(self, options: KafkaOptions, topic: str, *, from_offset: int) -> None:
        self._options = options
        self._place = TopicPartition(topic, 0)
        self._next_offset = from_offset
        self._consumer: Any = None

    async def open(self) -> None:
        """Connect and go to the offset; if that is gone Kafka starts at the oldest kept record."""

        def make() -> AIOKafkaConsumer:
            consumer = AIOKafkaConsumer(group_id=None, **self._options.reading())
            consumer.assign([self._place])
            return consumer

        self._consumer = await start_client(
            make, seconds=self._options.start_seconds, purpose=f"read {self._place.topic}"
        )
        wait_until_read(self._consumer)
        _seek(self._consumer, self._place, self._next_offset)

    async def read(self, *, max_records: int, wait_seconds: float) -> list[Delivered]:
        if self._consumer is None:
            await self.open()
        try:
            async with answering(wait_seconds + self._options.answer_seconds, "read records"):
                batches = await self._consumer.getmany(
                    timeout_ms=int(wait_seconds * 1000), max_records=max_records
                )
        except BusUnavailable:
            await self.close()
            raise
        records = [_delivered(each) for batch in batches.values() for each in batch]
        if records:
            self._next_offset = records[-1].offset + 1
        return records

    async def close(self) -> None:
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            await end_client(consumer)


def _seek(consumer: Any, place: TopicPartition, offset: int) -> None:
    try:
        consumer.seek(place, offset)
    except (IllegalStateError, AssertionError):
        logger.info("partition %s-%s went before it was rewound", place.topic, place.partition)


def _delivered(record: Any) -> Delivered:
    return Delivered(
        record.topic,
        record.partition,
        record.offset,
        record.key or b"",
        record.value or b"",
        tuple(record.headers),
    )


def _partition(place: TopicPartition) -> Partition:
    return Partition(place.topic, place.partition)


def _order(partition: Partition) -> tuple[str, int]:
    return partition.topic, partition.number
