"""The event log kept in PostgreSQL: the same contract as Kafka, for runs without one.

Publishing is one statement in one transaction: it locks the heads of the partitions concerned in
ascending order, moves them, and inserts the records. The lock is held until the commit, so a
reader that sees offset n has seen every offset below it, and a slow transaction cannot slip a
record in behind a reader's back.

The engine is handed in. No connection is held while idle; one small query per pulse and process
(about ten a second) finds what other processes have published and who joined a group.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from time import monotonic

from sqlalchemy import TextClause, text
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.bus.embedded_group import (
    UNFLUSHED,
    EmbeddedConsumer,
    GroupTimes,
    Seat,
    read_lag,
)
from shared.bus.embedded_store import Heads, LogDatabase, encode_headers, real_instant
from shared.bus.headers import SEPARATOR
from shared.bus.port import (
    MAX_MESSAGE_BYTES,
    BusUnavailable,
    Delivered,
    Message,
    Move,
    Partition,
    TopicShape,
    refuse_large,
)
from shared.errors import ConfigurationError
from shared.ids import new_id

logger = logging.getLogger(__name__)

PUBLISH_CHUNK = 1000

PUBLISH = text("""
    WITH wanted AS (
        SELECT * FROM unnest(CAST(:ids AS integer[]), CAST(:counts AS integer[])) AS w(id, amount)
    ), locked AS MATERIALIZED (
        SELECT id FROM bus.partition_head
        WHERE id = ANY(CAST(:ids AS integer[])) ORDER BY id FOR UPDATE
    ), moved AS (
        UPDATE bus.partition_head AS head SET next_offset = head.next_offset + wanted.amount
        FROM wanted JOIN locked ON locked.id = wanted.id WHERE head.id = wanted.id
        RETURNING head.id, head.next_offset, head.next_offset - wanted.amount AS first_new
    ), written AS (
        INSERT INTO bus.record (partition_id, record_offset, key, value, headers, written_at)
        SELECT moved.id, moved.first_new + sent.rank, sent.key, sent.value, sent.headers,
            CAST(:written_at AS timestamptz)
        FROM unnest(CAST(:partition_ids AS integer[]), CAST(:ranks AS integer[]),
            CAST(:keys AS bytea[]), CAST(:bodies AS bytea[]), CAST(:headers AS bytea[]))
            AS sent(partition_id, rank, key, value, headers)
        JOIN moved ON moved.id = sent.partition_id
    )
    SELECT id, next_offset FROM moved
""")
# The same for rows that stand in a table of this database: they go from one to the other, and none
# of them passes through the process. Where one is too large, unreadable or for a partition that is
# not there, none goes.
# No join of rows with rows: the plan is made while the tables are empty and kept for good.
CARRY = """
    WITH oldest AS MATERIALIZED (
        SELECT id, (topic, partition) IN (SELECT topic, partition FROM bus.partition_head)
            AND left(headers, 1) = '{separator}'
            AND length(key) + length(value) + octet_length(headers) <= :bytes_most AS sound
        FROM (SELECT * FROM {outbox} ORDER BY id LIMIT CAST(:most AS integer)) AS outbox
    ), gone AS (
        DELETE FROM {outbox} WHERE id <= (SELECT max(id) FROM oldest)
            AND (SELECT bool_and(sound) FROM oldest)
        RETURNING id, topic, partition, key, value, headers
    ), wanted AS (
        SELECT head.id, sums.amount
        FROM (SELECT topic, partition, count(*) AS amount FROM gone GROUP BY 1, 2) AS sums
        JOIN bus.partition_head AS head USING (topic, partition)
    ), locked AS MATERIALIZED (
        SELECT id FROM bus.partition_head
        WHERE id IN (SELECT id FROM wanted) ORDER BY id FOR UPDATE
    ), moved AS (
        UPDATE bus.partition_head AS head SET next_offset = head.next_offset + wanted.amount
        FROM wanted JOIN locked ON locked.id = wanted.id WHERE head.id = wanted.id
        RETURNING head.id, head.topic, head.partition, head.next_offset, wanted.amount
    ), written AS (
        INSERT INTO bus.record (partition_id, record_offset, key, value, headers, written_at)
        SELECT moved.id, moved.next_offset - moved.amount - 1
                + row_number() OVER (PARTITION BY moved.id ORDER BY gone.id),
            gone.key, gone.value, convert_to(gone.headers, 'UTF8'), CAST(:written_at AS timestamptz)
        FROM gone JOIN moved USING (topic, partition)
    )
    SELECT id, next_offset, amount FROM moved
"""
PULSE = text("""
    SELECT CAST((SELECT coalesce(sum(next_offset), 0) FROM bus.partition_head) AS bigint),
           CAST((SELECT coalesce(sum(generation), 0) FROM bus.consumer_group) AS bigint)
""")
RENEW = text(f"""
    UPDATE bus.group_member SET lease_until = CAST(:lease_until AS timestamptz)
    WHERE incarnation = ANY(CAST(:incarnations AS uuid[]))
    RETURNING incarnation, {UNFLUSHED}
""")  # noqa: S608 - the inserted text is a constant of ours
EVICT_EXPIRED = text("""
    WITH gone AS (
        DELETE FROM bus.group_member
        WHERE group_name = ANY(CAST(:groups AS text[])) AND lease_until <= CAST(:now AS timestamptz)
        RETURNING group_name
    )
    UPDATE bus.consumer_group SET generation = generation + 1
    WHERE name IN (SELECT group_name FROM gone)
""")
CREATE_TOPIC = text("""
    INSERT INTO bus.topic (name, partitions, compacted, retention_hours)
    VALUES (:name, :partitions, :compacted, :retention_hours) ON CONFLICT DO NOTHING
""")
CREATE_PARTITIONS = text("""
    INSERT INTO bus.partition_head (topic, partition)
    SELECT :name, number FROM generate_series(0, CAST(:partitions AS integer) - 1) AS number
    ON CONFLICT DO NOTHING
""")
READ_TOPIC = text(
    "SELECT name, partitions, compacted, retention_hours FROM bus.topic WHERE name = :name"
)
READ_ENDS = text("SELECT partition, next_offset FROM bus.partition_head WHERE topic = :topic")

READ_MAINTAINED = text("""
    SELECT head.id, head.next_offset, head.compacted_offset, topic.compacted, topic.retention_hours
    FROM bus.partition_head AS head JOIN bus.topic AS topic ON topic.name = head.topic
    WHERE head.next_offset > head.first_offset ORDER BY head.id
""")
EXPIRE = text("""
    WITH oldest AS (
        SELECT record_offset, written_at FROM bus.record
        WHERE partition_id = :id ORDER BY record_offset LIMIT CAST(:batch AS integer)
    ), gone AS (
        DELETE FROM bus.record USING oldest
        WHERE partition_id = :id AND record.record_offset = oldest.record_offset
          AND oldest.written_at < CAST(:before AS timestamptz)
        RETURNING record.record_offset
    ), moved AS (
        UPDATE bus.partition_head
        SET first_offset = (SELECT max(record_offset) + 1 FROM gone)
        WHERE id = :id AND EXISTS (SELECT 1 FROM gone)
    )
    SELECT count(*) FROM gone
""")
COMPACT = text("""
    WITH newest AS (
        SELECT key, max(record_offset) AS last FROM bus.record
        WHERE partition_id = :id AND record_offset >= :from_offset AND record_offset < :to_offset
        GROUP BY key
    ), gone AS (
        DELETE FROM bus.record USING newest
        WHERE partition_id = :id AND record.key = newest.key
          AND record.record_offset < newest.last
        RETURNING 1
    ), moved AS (
        UPDATE bus.partition_head SET compacted_offset = :to_offset WHERE id = :id
    )
    SELECT count(*) FROM gone
""")


@cache
def _carry(outbox: str) -> TextClause:
    return text(CARRY.format(outbox=outbox, separator=SEPARATOR))


@dataclass(frozen=True, slots=True)
class EmbeddedOptions:
    """Seconds of real time; the defaults suit one machine, tests shorten them."""

    pulse_seconds: float = 0.1
    start_seconds: float = 30.0
    answer_seconds: float = 10.0
    group: GroupTimes = field(default_factory=GroupTimes)
    # Compaction of a partition waits until so many records have come since the last one.
    compact_after_records: int = 1000
    maintain_batch: int = 5000


class EmbeddedPublisher:
    """Appends to the log; safe to share between tasks."""

    def __init__(self, database: LogDatabase, heads: Heads) -> None:
        self._database = database
        self._heads = heads

    async def publish(self, messages: Sequence[Message]) -> None:
        for message in messages:
            refuse_large(message)
        for start in range(0, len(messages), PUBLISH_CHUNK):
            await self._append(messages[start : start + PUBLISH_CHUNK])

    async def carry(self, move: Move, outbox: str, *, most: int) -> int:
        told = {"most": most, "bytes_most": MAX_MESSAGE_BYTES, "written_at": real_instant()}
        moved = await move(_carry(outbox), told)
        await self._heads.hear({row.id: row.next_offset for row in moved})
        return sum(row.amount for row in moved)

    async def close(self) -> None:
        """Nothing is held open."""

    async def _append(self, messages: Sequence[Message]) -> None:
        places = {Partition(message.topic, message.partition) for message in messages}
        ids = await self._heads.ids(places)
        counts: defaultdict[int, int] = defaultdict(int)
        partition_ids, ranks = [], []
        for message in messages:
            partition_id = ids[Partition(message.topic, message.partition)]
            partition_ids.append(partition_id)
            ranks.append(counts[partition_id])
            counts[partition_id] += 1
        parameters = {
            "ids": list(counts),
            "counts": list(counts.values()),
            "partition_ids": partition_ids,
            "ranks": ranks,
            "keys": [message.key for message in messages],
            "bodies": [message.value for message in messages],
            "headers": [encode_headers(message.headers) for message in messages],
            "written_at": real_instant(),
        }
        async with self._database.asked_to("append to the log") as connection:
            moved = (await connection.execute(PUBLISH, parameters)).all()
        for partition_id, next_offset in moved:
            self._heads.advance(partition_id, next_offset)


class EmbeddedTail:
    """Reads a single-partition topic on its own, without a group."""

    def __init__(self, heads: Heads, partition_id: int, *, topic: str, from_offset: int) -> None:
        self._heads = heads
        self._partition_id = partition_id
        self._position = from_offset
        self._watch = heads.watch([topic])

    async def read(self, *, max_records: int, wait_seconds: float) -> list[Delivered]:
        deadline = monotonic() + wait_seconds
        while True:
            self._watch.moved.clear()
            end = self._heads.next_offset(self._partition_id)
            if end > self._position:
                found = await self._heads.read_records(
                    {self._partition_id: self._position}, max_records=max_records
                )
                records = found.get(self._partition_id, [])
                self._position = records[-1].offset + 1 if records else end
                if records:
                    return records
            remaining = deadline - monotonic()
            if remaining <= 0:
                return []
            await self._watch.wait(remaining)

    async def close(self) -> None:
        self._heads.unwatch(self._watch)


class EmbeddedBus:
    """The log in the database behind `engine`; one object per process."""

    def __init__(self, engine: AsyncEngine, options: EmbeddedOptions | None = None) -> None:
        self._options = options or EmbeddedOptions()
        self._database = LogDatabase(engine, answer_seconds=self._options.answer_seconds)
        self._heads = Heads(self._database)
        self._consumers: list[EmbeddedConsumer] = []
        self._pulse: asyncio.Task[None] | None = None
        self._nudge = asyncio.Event()
        self._generations = -1
        self._renewed_at = monotonic()

    async def start(self) -> None:
        deadline = monotonic() + self._options.start_seconds
        while True:
            try:
                await self._heads.load()
                break
            except ProgrammingError as error:
                raise ConfigurationError(
                    "the database has no event log (schema bus)",
                    advice="Run the migrations before the services.",
                ) from error
            except BusUnavailable:
                if monotonic() > deadline:
                    raise
                await asyncio.sleep(0.2)
        self._pulse = asyncio.create_task(self._keep_pulse(), name="bus pulse")

    async def stop(self) -> None:
        if self._pulse is not None:
            self._pulse.cancel()
            await asyncio.gather(self._pulse, return_exceptions=True)
            self._pulse = None
        for consumer in list(self._consumers):
            await consumer.close()
        self._consumers.clear()

    async def abandon(self) -> None:
        """End all work without leaving any group: what a killed process looks like to others."""
        if self._pulse is not None:
            self._pulse.cancel()
            await asyncio.gather(self._pulse, return_exceptions=True)
            self._pulse = None
        for consumer in self._consumers:
            await consumer.abandon()
        self._consumers.clear()

    async def ensure_topics(self, shapes: Sequence[TopicShape]) -> None:
        for shape in shapes:
            async with self._database.told_to("create topics") as connection:
                wanted = {
                    "name": shape.name,
                    "partitions": shape.partitions,
                    "compacted": shape.compacted,
                    "retention_hours": shape.retention_hours,
                }
                await connection.execute(CREATE_TOPIC, wanted)
                row = (await connection.execute(READ_TOPIC, {"name": shape.name})).one()
                stored = TopicShape(*row)
                if stored != shape:
                    raise ConfigurationError(
                        f"topic {shape.name} is {stored}, it should be {shape}",
                        advice="Change it deliberately: an ordered topic keeps its partitions.",
                    )
                await connection.execute(CREATE_PARTITIONS, wanted)
        await self._heads.load()

    async def publisher(self, name: str) -> EmbeddedPublisher:
        logger.debug("publisher %s", name)
        return EmbeddedPublisher(self._database, self._heads)

    async def consumer(
        self, group: str, topics: Sequence[str], *, member: str | None = None
    ) -> EmbeddedConsumer:
        await self._heads.of_topics(topics)
        seat = Seat(group, member or str(new_id()), tuple(topics))
        consumer = EmbeddedConsumer(self._database, self._heads, seat, times=self._options.group)
        await consumer.join()
        self._consumers.append(consumer)
        self._nudge.set()
        return consumer

    async def tail(self, topic: str, *, from_offset: int) -> EmbeddedTail:
        place = Partition(topic, 0)
        ids = await self._heads.ids([place])
        return EmbeddedTail(self._heads, ids[place], topic=topic, from_offset=from_offset)

    async def end_offsets(self, topic: str) -> dict[int, int]:
        async with self._database.asked_to("read the ends of the log") as connection:
            rows = await connection.execute(READ_ENDS, {"topic": topic})
            return {row[0]: row[1] for row in rows}

    async def group_lag(self, group: str, topics: Sequence[str]) -> int:
        behind = await read_lag(self._database, group, topics)
        return sum(behind.values())

    async def maintain(self) -> int:
        """Delete what retention and compaction no longer keep; the number of records deleted."""
        async with self._database.asked_to("read the log's partitions") as connection:
            partitions = (await connection.execute(READ_MAINTAINED)).all()
        deleted = 0
        for partition_id, next_offset, compacted_offset, compacted, retention_hours in partitions:
            if retention_hours is not None:
                deleted += await self._expire(partition_id, retention_hours)
            if compacted and next_offset - compacted_offset >= self._options.compact_after_records:
                for start, end in self._slices(compacted_offset, next_offset):
                    parameters = {"id": partition_id, "from_offset": start, "to_offset": end}
                    deleted += await self._delete(COMPACT, parameters)
        return deleted

    def _slices(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        step = self._options.maintain_batch
        for at in range(start, end, step):
            yield at, min(at + step, end)

    async def _expire(self, partition_id: int, retention_hours: int) -> int:
        batch = self._options.maintain_batch
        before = real_instant() - timedelta(hours=retention_hours)
        parameters = {"id": partition_id, "batch": batch, "before": before}
        deleted = 0
        while True:
            gone = await self._delete(EXPIRE, parameters)
            deleted += gone
            if gone < batch:
                return deleted

    async def _delete(self, statement: TextClause, parameters: Mapping[str, object]) -> int:
        async with self._database.asked_to("clean the log") as connection:
            return int((await connection.execute(statement, parameters)).scalar_one())

    # -- the pulse -----------------------------------------------------------------------------

    async def _keep_pulse(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._options.pulse_seconds):
                    await self._nudge.wait()
            self._nudge.clear()
            try:
                await self._beat()
            except BusUnavailable as error:
                logger.warning("the log does not answer: %s", error)
                await asyncio.sleep(0.5)
            except Exception:  # the edge: without a pulse this process would hear nothing any more
                logger.exception("the pulse failed")
                await asyncio.sleep(0.5)

    async def _beat(self) -> None:
        if monotonic() - self._renewed_at >= self._options.group.heartbeat_seconds:
            await self._renew_leases()
            self._renewed_at = monotonic()
        async with self._database.asked_to("read the pulse") as connection:
            total, generations = (await connection.execute(PULSE)).one()
        if total != self._heads.total():
            await self._heads.load()
        for consumer in self._consumers:
            if generations != self._generations or consumer.waiting:
                consumer.request_refresh()
        self._generations = generations

    async def _renew_leases(self) -> None:
        lives = {each.incarnation: each for each in self._consumers if each.alive()}
        if not lives:
            return
        lease_seconds = self._options.group.lease_seconds
        renewal = {
            "incarnations": list(lives),
            "lease_until": real_instant(after_seconds=lease_seconds),
        }
        eviction = {"groups": [each.group for each in self._consumers], "now": real_instant()}
        async with self._database.asked_to("renew the leases") as connection:
            renewed = {row[0] for row in await connection.execute(RENEW, renewal)}
            await connection.execute(EVICT_EXPIRED, eviction)
        for incarnation in lives.keys() - renewed:
            lives[incarnation].request_refresh()
