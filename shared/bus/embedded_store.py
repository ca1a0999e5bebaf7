"""What this process knows of the log's partitions, and the statements on them.

`Heads` is fed from two sides: by this process's own publishers at once, by the pulse of
`EmbeddedBus` for what others publish. Consumers and tails ask the database for records only when a
head has moved past their position, so an idle group costs nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from shared.bus.headers import Headers, pack_headers, unpack_headers
from shared.bus.port import BusUnavailable, Delivered, Partition
from shared.clock import real_now
from shared.database.absence import AWAY, MISTAKES
from shared.errors import ConfigurationError

READ_HEADS = text("SELECT id, topic, partition, next_offset FROM bus.partition_head")
READ_RECORDS = text("""
    SELECT found.partition_id, found.record_offset, found.key, found.value, found.headers
    FROM unnest(CAST(:ids AS integer[]), CAST(:positions AS bigint[])) AS wanted(id, position)
    CROSS JOIN LATERAL (
        SELECT partition_id, record_offset, key, value, headers
        FROM bus.record
        WHERE partition_id = wanted.id AND record_offset >= wanted.position
        ORDER BY record_offset
        LIMIT CAST(:max_records AS integer)
    ) AS found
    LIMIT CAST(:max_records AS integer)
""")


def real_instant(*, after_seconds: float = 0.0) -> datetime:
    """Leases and record times are real time, whatever the business clock shows."""
    return real_now() + timedelta(seconds=after_seconds)


class LogDatabase:
    """The database behind the log: short conversations, each with a bound.

    Whatever means that it is away or too slow is raised as `BusUnavailable`.
    """

    def __init__(self, engine: AsyncEngine, *, answer_seconds: float) -> None:
        self._engine = engine
        self._single = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._answer_seconds = answer_seconds

    @asynccontextmanager
    async def asked_to(self, purpose: str) -> AsyncIterator[AsyncConnection]:
        """Every statement is a transaction of its own: one round trip."""
        async with self._answering(purpose), self._single.connect() as connection:
            yield connection

    @asynccontextmanager
    async def told_to(self, purpose: str) -> AsyncIterator[AsyncConnection]:
        """All statements in one transaction, committed at the end."""
        async with self._answering(purpose), self._engine.begin() as connection:
            yield connection

    @asynccontextmanager
    async def _answering(self, purpose: str) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self._answer_seconds):
                yield
        except MISTAKES:
            raise
        except AWAY as error:
            raise BusUnavailable(f"could not {purpose}: {type(error).__name__}") from error


def encode_headers(headers: Headers) -> bytes:
    return pack_headers(headers).encode()


def decode_headers(stored: bytes) -> Headers:
    return unpack_headers(stored.decode())


@dataclass(slots=True)
class Head:
    """One partition and the offset that its next record will get."""

    id: int
    place: Partition
    next_offset: int


class Watch:
    """Set whenever one of `topics` has grown, or when the holder asks for it."""

    def __init__(self, topics: Iterable[str]) -> None:
        self.topics = frozenset(topics)
        self.moved = asyncio.Event()

    async def wait(self, seconds: float) -> None:
        """Return when something moved, or after `seconds`."""
        try:
            async with asyncio.timeout(seconds):
                await self.moved.wait()
        except TimeoutError:
            return


class Heads:
    """The ends of all partitions, as far as this process has heard; they only grow."""

    def __init__(self, database: LogDatabase) -> None:
        self._database = database
        self._by_id: dict[int, Head] = {}
        self._by_place: dict[Partition, Head] = {}
        self._watches: set[Watch] = set()

    def total(self) -> int:
        return sum(head.next_offset for head in self._by_id.values())

    def next_offset(self, partition_id: int) -> int:
        return self._by_id[partition_id].next_offset

    def place(self, partition_id: int) -> Partition:
        return self._by_id[partition_id].place

    def known_id(self, place: Partition) -> int | None:
        head = self._by_place.get(place)
        return None if head is None else head.id

    async def load(self) -> None:
        async with self._database.asked_to("read the ends of the log") as connection:
            rows = (await connection.execute(READ_HEADS)).all()
        for partition_id, topic, number, next_offset in rows:
            if partition_id not in self._by_id:
                head = Head(partition_id, Partition(topic, number), 0)
                self._by_id[partition_id] = self._by_place[head.place] = head
            self.advance(partition_id, next_offset)

    def advance(self, partition_id: int, next_offset: int) -> None:
        head = self._by_id[partition_id]
        if next_offset <= head.next_offset:
            return
        head.next_offset = next_offset
        for watch in self._watches:
            if head.place.topic in watch.topics:
                watch.moved.set()

    async def hear(self, ends: Mapping[int, int]) -> None:
        """Of partitions that may not be known yet, by row id."""
        if ends.keys() - self._by_id.keys():
            await self.load()
        for partition_id, next_offset in ends.items():
            self.advance(partition_id, next_offset)

    def watch(self, topics: Iterable[str]) -> Watch:
        watch = Watch(topics)
        self._watches.add(watch)
        return watch

    def unwatch(self, watch: Watch) -> None:
        self._watches.discard(watch)

    async def ids(self, places: Iterable[Partition]) -> dict[Partition, int]:
        """The row ids of these partitions; asks the database about those not known yet."""
        wanted = list(places)
        if any(place not in self._by_place for place in wanted):
            await self.load()
        found = {}
        for place in wanted:
            head = self._by_place.get(place)
            if head is None:
                raise ConfigurationError(
                    f"topic {place.topic} has no partition {place.number}",
                    advice="Create topics with ensure_topics before they are used.",
                )
            found[place] = head.id
        return found

    async def of_topics(self, topics: Sequence[str]) -> dict[str, list[int]]:
        """Ids of all partitions per topic, in partition order; unknown topics are refused."""
        missing = set(topics) - {place.topic for place in self._by_place}
        if missing:
            await self.ids(Partition(topic, 0) for topic in missing)
        return {
            topic: [
                head.id
                for head in sorted(self._by_id.values(), key=lambda each: each.place.number)
                if head.place.topic == topic
            ]
            for topic in topics
        }

    async def read_records(
        self, positions: Mapping[int, int], *, max_records: int
    ) -> dict[int, list[Delivered]]:
        """Records at or after each position. A partition that is absent has none of them yet.

        The answer is cut at `max_records`; only an uncut answer proves a partition empty.
        """
        parameters = {
            "ids": list(positions),
            "positions": list(positions.values()),
            "max_records": max_records,
        }
        async with self._database.asked_to("read records") as connection:
            rows = (await connection.execute(READ_RECORDS, parameters)).all()
        found: dict[int, list[Delivered]] = {}
        for partition_id, offset, key, value, headers in rows:
            place = self._by_id[partition_id].place
            found.setdefault(partition_id, []).append(
                Delivered(place.topic, place.number, offset, key, value, decode_headers(headers))
            )
        for records in found.values():
            records.sort(key=lambda record: record.offset)
        return found
