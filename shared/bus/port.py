"""The contract of the event log, in words; `kafka.py` and `embedded.py` keep it.

The log is topics of partitions of records. A record, once `publish` has returned, is durable and
has an offset in its partition; offsets only grow. What one publisher sends to one partition keeps
its order.

Consumers of one group share the partitions. Delivery is at least once: whatever was handed out and
not committed is handed out again, to this or to another member. A committed offset is the offset of
the *next* record to read. Nobody may rely on an order between partitions.

Everything here raises `BusUnavailable` (and only that) when the log cannot be reached or did not
answer in time. The caller backs off and tries again with the same arguments; repeats are the
inbox's business.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from shared.bus.headers import Headers, size_of


class BusUnavailable(Exception):
    """The log is away or too slow; try again with the same arguments."""


class MessageRefused(Exception):
    """The log will never take this message, however often it is sent: for the dead letters."""


# Kafka's own limit is 1 MiB for a record with its headers and framing.
MAX_MESSAGE_BYTES = 900_000


class Partition(NamedTuple):
    """One partition of one topic."""

    topic: str
    number: int


class Message(NamedTuple):
    """What is published: the sender chooses `partition`; compaction keeps the last of each `key`.

    `timestamp_ms` on the wire is real time, never event time (with event time, retention would
    delete a case of 2015); adapters set it.
    """

    topic: str
    partition: int
    key: bytes
    value: bytes
    headers: Headers = ()


def refuse_large(message: Message) -> None:
    """Raise `MessageRefused` for what some adapter could not carry."""
    size = len(message.key) + len(message.value) + size_of(message.headers)
    if size > MAX_MESSAGE_BYTES:
        raise MessageRefused(
            f"a message for {message.topic} has {size} bytes, at most {MAX_MESSAGE_BYTES} are sent"
        )


class Delivered(NamedTuple):
    """A message with its place in the log."""

    topic: str
    partition: int
    offset: int
    key: bytes
    value: bytes
    headers: Headers = ()


@dataclass(frozen=True, slots=True)
class TopicShape:
    """How a topic must look; checked at start, a difference is an error and not a surprise."""

    name: str
    partitions: int
    compacted: bool
    retention_hours: int | None  # None: for ever (compacted topics)


# Runs one statement on the database of an outbox, in a transaction of its own: the rows.
Move = Callable[[Any, Mapping[str, Any]], Awaitable[Sequence[Any]]]


class Publisher(Protocol):
    """Sends; safe to share between tasks of one loop."""

    async def publish(self, messages: Sequence[Message]) -> None:
        """Return when every message is durable. On `BusUnavailable` some may be: send all again.

        `MessageRefused`: one of them is too large and nothing was sent.
        """
        ...

    async def carry(self, move: Move, outbox: str, *, most: int) -> int:
        """Send and delete the oldest rows of this table in one step, where the log can: how many.
        0: there are none, or one of them has to be looked at, or it cannot."""
        ...

    async def close(self) -> None: ...


class Consumer(Protocol):
    """One member of a group.

    `lock` guards "process" and "commit". The adapter takes the same lock when partitions are
    taken away, so a partition never moves in the middle of either; positions that were not
    committed until then are not ours to commit any more: their records come again to who is next.
    After taking the lock call `mine` to drop records of partitions that went meanwhile.
    Never call `poll` while holding it: the adapter may need it there to hand partitions over.
    """

    lock: asyncio.Lock

    async def poll(self, *, max_records: int, wait_seconds: float) -> list[Delivered]:
        """Up to `max_records`, in offset order within a partition; empty after `wait_seconds`."""
        ...

    def mine(self, records: Sequence[Delivered]) -> list[Delivered]:
        """Those of `records` whose partition is still assigned to this member."""
        ...

    async def commit(self, positions: Mapping[Partition, int]) -> bool:
        """Store the next offsets. False when the group moved on: normal, the inbox absorbs it."""
        ...

    def rewind(self, positions: Mapping[Partition, int]) -> None:
        """Read these partitions again from here; owed after every failed transaction."""
        ...

    def assignment(self) -> frozenset[Partition]: ...

    async def lag(self) -> dict[Partition, int]:
        """Records behind the end per assigned partition, counted from the committed position."""
        ...

    async def close(self) -> None: ...


class Tail(Protocol):
    """Reads one single-partition topic without a group, from a given offset on."""

    async def read(self, *, max_records: int, wait_seconds: float) -> list[Delivered]: ...

    async def close(self) -> None: ...


class Bus(Protocol):
    """Makes publishers, consumers and tails. One per process."""

    async def start(self) -> None:
        """Connect (retrying inside the adapter's start deadline)."""
        ...

    async def stop(self) -> None: ...

    async def ensure_topics(self, shapes: Sequence[TopicShape]) -> None:
        """Create what is missing; `ConfigurationError` where an existing topic differs."""
        ...

    async def publisher(self, name: str) -> Publisher: ...

    async def consumer(
        self, group: str, topics: Sequence[str], *, member: str | None = None
    ) -> Consumer:
        """Join `group`. `member` is this slot's static member id (`<service>-<slot>`), or None.

        A group that has never committed starts at the beginning of each topic.
        """
        ...

    async def tail(self, topic: str, *, from_offset: int) -> Tail:
        """From `from_offset` (inclusive), or from the oldest kept record if that is gone."""
        ...

    async def end_offsets(self, topic: str) -> dict[int, int]:
        """The next offset to be written, per partition number."""
        ...

    async def group_lag(self, group: str, topics: Sequence[str]) -> int:
        """Records that `group` has not committed in any partition of `topics`, joined or not."""
        ...

    async def maintain(self) -> int:
        """Delete what retention and compaction no longer keep; call it now and then.

        Returns the number of records deleted. Kafka does this by itself: nothing, 0.
        """
        ...
