"""The event door's loop: poll, apply in one transaction, commit the database, then the offset.

Offsets follow a tenth of a second later, for several batches at once: on Kafka a commit costs
as much as a batch, and the next batch need not wait for it. A crash brings that moment again, which
handlers absorb as they absorb any repeat.

Only `InvalidMessage` puts a record aside; any other error rolls back, waits and reads again.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime

from sqlalchemy.dialects.postgresql import insert

from shared.bus.envelope import decode, partition_of
from shared.bus.headers import pack_headers
from shared.bus.port import BusUnavailable, Consumer, Delivered, Message, Partition
from shared.clock import real_now
from shared.database.work import Actor, Database, Work
from shared.delivery.faults import Faults
from shared.delivery.inbox import first_time
from shared.delivery.supervision import Backoff
from shared.errors import InvalidMessage
from shared.events.base import Event
from shared.events.topics import PARTITIONS, dead_letter_topic
from shared.ids import derived_id
from shared.log import logger
from shared.metrics import (
    CONSUMER_FAILURES,
    CONSUMER_LAG,
    EVENT_AGE,
    EVENTS_CONSUMED,
    EVENTS_DEAD,
    EVENTS_SKIPPED,
)
from shared.service import ConsumerGroup, Room, topics_of

LOG = logger("consumer")
WAIT_SECONDS = 1.0
LOOK_SECONDS = 1.0
COMMIT_SECONDS = 0.1
LAST_COMMIT_SECONDS = 2.0
RETRY_SECONDS = 1.0
RATIO_WINDOW = 1000


class TooManyDeadLetters(Exception):
    """Past the ratio, putting records aside would hide a bad deploy: the consumer stops."""


class ConsumerLoop:
    """One member of one consumer group."""

    def __init__(
        self, group: ConsumerGroup, room: Room, *, member: Callable[[], str | None], faults: Faults
    ) -> None:
        self.group = group
        self.name = f"{room.name}.{group.purpose}"
        self._database = room.database
        self._bus = room.bus
        self._settings = room.settings
        self._pressure = room.pressure
        self._member = member
        self._faults = faults
        self._fates: deque[bool] = deque(maxlen=RATIO_WINDOW)
        self._backoff = Backoff()
        self._oldest_at: datetime | None = None
        self._looked_at = 0.0
        # What the database has and the log was not told yet, and when it will be.
        self._applied: dict[Partition, int] = {}
        self._commit_at = 0.0
        EVENT_AGE.labels(self.name).set_function(self._age_seconds)
        self.caught_up_at: float | None = None
        self.polled_at: float | None = None
        self.stopped_by: str | None = None

    async def run(self) -> None:
        """Consume until the slot is lost. Waits while this process holds none of the service."""
        # Slots come and go with a connection; there is no event to await.
        while (member := self._member()) is None:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
        consumer = await self._bus.consumer(self.name, topics_of(self.group), member=member)
        self.polled_at = time.monotonic()
        try:
            # Lost and taken again between two looks, it may be another one: our name is somebody
            # else's then.
            while self._member() == member:
                await self._turn(consumer)
        except TooManyDeadLetters as error:
            self.stopped_by = str(error)
            LOG.error("consumer_stopped", group=self.name, reason=str(error))
            await self._commit(consumer)
            await asyncio.Event().wait()
        finally:
            with suppress(TimeoutError):
                async with asyncio.timeout(LAST_COMMIT_SECONDS):
                    await self._commit(consumer)
            await consumer.close()

    async def _turn(self, consumer: Consumer) -> None:
        if self.group.gives_way_seconds and self._pressure.is_high:
            await self._commit(consumer)
            await self._pressure.give_way(seconds=self.group.gives_way_seconds)
        wait = WAIT_SECONDS
        if self._applied:
            wait = min(max(self._commit_at - time.monotonic(), 0.0), WAIT_SECONDS)
        try:
            records = await consumer.poll(max_records=self.group.batch_max, wait_seconds=wait)
        except BusUnavailable as error:
            LOG.warning("log_unavailable", group=self.name, error=str(error))
            await self._backoff.wait()
            return
        self.polled_at = time.monotonic()
        if records:
            async with consumer.lock:
                mine = consumer.mine(records)
                if mine:
                    await self._apply_or_rewind(consumer, mine)
        if self._applied:
            if time.monotonic() >= self._commit_at:
                await self._commit(consumer)
                await self._look_how_far(consumer, empty=False)
        elif not records:
            await self._look_how_far(consumer, empty=True)

    async def _look_how_far(self, consumer: Consumer, *, empty: bool) -> None:
        """Nothing left, or how much; asked of the log once a second at most: it costs a call."""
        now = time.monotonic()
        if not empty and now - self._looked_at < LOOK_SECONDS:
            return
        self._looked_at = now
        try:
            lag = 0 if empty else sum((await consumer.lag()).values())
        except BusUnavailable:
            return
        CONSUMER_LAG.labels(self.name).set(lag)
        if lag == 0:
            self.caught_up_at = now
            self._oldest_at = None

    def _age_seconds(self) -> float:
        """How long ago the oldest event in hand was recorded by its owner; 0 when none is."""
        if self._oldest_at is None:
            return 0.0
        return (self._database.clock.now() - self._oldest_at).total_seconds()

    async def _apply_or_rewind(self, consumer: Consumer, records: list[Delivered]) -> None:
        try:
            await self._apply(records)
        except TooManyDeadLetters:
            raise
        except Exception:  # the edge: nothing was committed, so read the same records again
            CONSUMER_FAILURES.labels(self.name).inc()
            LOG.exception("batch_failed", group=self.name, records=len(records))
            consumer.rewind(_firsts(records))
            await self._backoff.wait()
            return
        self._backoff.reset()
        if not self._applied:
            self._commit_at = time.monotonic() + COMMIT_SECONDS
        self._applied |= _nexts(records)

    async def _commit(self, consumer: Consumer) -> None:
        """Tell the log how far we are, or try again a moment later."""
        if not self._applied:
            return
        async with consumer.lock:
            applied, self._applied = self._applied, {}
            await self._faults.reach("between database commit and offset commit")
            try:
                await consumer.commit(applied)
            except BusUnavailable as error:
                LOG.warning("offset_not_committed", group=self.name, error=str(error))
                # Nothing further may ever come on these partitions: it is said again.
                self._applied = applied | self._applied
                self._commit_at = time.monotonic() + RETRY_SECONDS

    async def _apply(self, records: Sequence[Delivered]) -> None:
        """One transaction for all; on a record that can never be processed, bisect down to it."""
        good: list[tuple[Delivered, Event]] = []
        for record in records:
            try:
                event = decode(record)
            except InvalidMessage as error:
                await self._put_aside(record, error)
                continue
            if event is None or type(event) not in self.group.handlers:
                EVENTS_SKIPPED.labels(self.name).inc()
                continue
            good.append((record, event))
        if good:
            self._oldest_at = min(event.recorded_at for _, event in good)
        await self._apply_events(good)

    async def _apply_events(self, good: list[tuple[Delivered, Event]]) -> None:
        if not good:
            return
        try:
            async with self._database.work(Actor(f"event:{self.name}")) as work:
                await self._dispatch(work, [event for _, event in good])
        except InvalidMessage as error:
            if len(good) == 1:
                await self._put_aside(good[0][0], error)
                return
            middle = len(good) // 2
            await self._apply_events(good[:middle])
            await self._apply_events(good[middle:])
            return
        self._fates.extend([True] * len(good))

    async def _dispatch(self, work: Work, events: Sequence[Event]) -> None:
        if self.group.once:
            events = await first_time(work, self._database, self.name, events)
        by_type: dict[type[Event], list[Event]] = {}
        for event in events:
            by_type.setdefault(type(event), []).append(event)
        for event_type, batch in by_type.items():
            await self.group.handlers[event_type](work, batch)
            EVENTS_CONSUMED.labels(self.name, event_type.type).inc(len(batch))

    async def _put_aside(self, record: Delivered, error: InvalidMessage) -> None:
        """Keep the record with its reason, in the table and on the dead-letter topic, before going
        on.
        """
        self._fates.append(False)
        dead = self._fates.count(False)
        seen = len(self._fates)
        EVENTS_DEAD.labels(self.name).inc()
        LOG.error(
            "record_put_aside",
            group=self.name,
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            reason=error.detail,
        )
        await store_dead_letter(self._database, self.name, record, error.detail)
        if (
            seen >= self._settings.dead_letter_minimum
            and dead / seen > self._settings.dead_letter_ratio
        ):
            raise TooManyDeadLetters(f"{dead} of the last {seen} records could not be processed")


async def store_dead_letter(database: Database, group: str, record: Delivered, reason: str) -> None:
    """Once per (group, place in the log), however often it is read again."""
    letter_id = derived_id("dead", group, record.topic, record.partition, record.offset)
    async with database.work(Actor(f"event:{group}")) as work:
        table = database.tables.dead_letter
        stored = await work.execute(
            insert(table)
            .values(
                id=letter_id, consumer_group=group, topic=record.topic, partition=record.partition,
                record_offset=record.offset, key=record.key, value=record.value,
                headers=pack_headers(record.headers), reason=reason, put_aside_at=real_now(),
            )
            .on_conflict_do_nothing()
        )  # fmt: skip
        if stored.rowcount:
            work.send(
                Message(
                    dead_letter_topic(group),
                    partition_of(letter_id, PARTITIONS),
                    letter_id.bytes,
                    record.value,
                    (*record.headers, ("outpost_reason", reason.encode())),
                )
            )


def _firsts(records: Sequence[Delivered]) -> dict[Partition, int]:
    # Offsets of a partition come in order: read from the end, what stays is the first.
    return {Partition(record.topic, record.partition): record.offset for record in records[::-1]}


def _nexts(records: Sequence[Delivered]) -> dict[Partition, int]:
    last = {(record.topic, record.partition): record.offset for record in records}
    return {Partition(*place): offset + 1 for place, offset in last.items()}
