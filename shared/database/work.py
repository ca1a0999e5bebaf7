"""The unit of work: one transaction of rows, announcements, due work, timers and audit.

This is the only module that commits.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import Executable, Table, TextClause, text
from sqlalchemy.engine import CursorResult, Row
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from shared.bus.envelope import encode
from shared.bus.headers import pack_headers
from shared.bus.port import Message
from shared.clock import Clock, real_now
from shared.database.tables import StandardTables
from shared.events.base import Event

# A row of due keys is written anew for what is left of it after a batch.
DUE_KEYS_MOST = 500
# From so many rows on, copying them in is cheaper than one more statement.
CROWD = 100

Rows = Mapping[str, Any] | Sequence[Mapping[str, Any]] | None


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts: `staff:<id>`, `client:<id>`, `event:<group>`, `timer:<kind>`, `due:<kind>`,
    `command`.
    """

    name: str


@dataclass(slots=True)
class Wakeups:
    """Set after a commit so that the relay and the evaluators of this process need not poll; of
    what is due, the event of whoever judges that kind."""

    outbox: asyncio.Event = field(default_factory=asyncio.Event)
    due: dict[str, asyncio.Event] = field(default_factory=dict)
    timer: asyncio.Event = field(default_factory=asyncio.Event)


def lock_number(name: str) -> int:
    """A signed 64-bit number for an advisory lock."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), signed=True)


class ReadSession:
    """Reads in one read-only transaction; a type of its own, so that a signature says who may
    write.
    """

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def execute(self, statement: Executable, rows: Rows = None) -> CursorResult[Any]:
        return await self._connection.execute(statement, rows)

    async def copy_out(self, query: str, take: Callable[[bytes], Awaitable[None]]) -> None:
        """The rows of a query in PostgreSQL's binary COPY format, in pieces of any length.

        In the session's own snapshot, and many times faster than rows one by one. The query takes
        no parameters: whatever stands in it is ours.
        """
        # The driver's own connection has no transaction before the first statement.
        await self._connection.execute(text("SELECT 1"))
        raw = await self._connection.get_raw_connection()
        driver: Any = raw.driver_connection
        await driver.copy_from_query(query, output=take, format="binary")


class Work(ReadSession):
    """Writes; handed to handlers by `Database.work`, which commits when the block ends without
    error.
    """

    def __init__(
        self,
        connection: AsyncConnection,
        *,
        tables: StandardTables,
        service: str,
        actor: Actor,
        clock: Clock,
        kept: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(connection)
        # What this process keeps from one transaction to the next; nothing here is rolled back.
        self.kept: dict[str, Any] = {} if kept is None else kept
        self.service = service
        self.actor = actor
        self.clock = clock
        self._tables = tables
        self._events: list[Event] = []
        self._messages: list[Message] = []
        self._due: dict[tuple[str, datetime | None], set[str]] = {}
        self._timers: dict[tuple[str, str], datetime | None] = {}
        self._audit: list[tuple[Any, ...]] = []

    def now(self) -> datetime:
        """Business time."""
        return self.clock.now()

    def announce(self, *events: Event) -> None:
        """Say these, once this transaction has committed."""
        self._events.extend(events)

    def send(self, *messages: Message) -> None:
        """Put finished messages on the log (dead letters, replays); events go by `announce`."""
        self._messages.extend(messages)

    def due(self, kind: str, keys: Iterable[str], *, after_seconds: float = 0.0) -> None:
        """Judge these keys after the commit, or so much real time later."""
        later = real_now() + timedelta(seconds=after_seconds) if after_seconds else None
        if found := set(keys):
            self._due.setdefault((kind, later), set()).update(found)

    def timer(self, kind: str, key: str, due_at: datetime | None) -> None:
        """Fire `kind` for `key` at this business instant; replaces an earlier one, None removes
        it.
        """
        self._timers[(kind, key)] = due_at

    def audit(
        self,
        action: str,
        record_kind: str,
        record_id: object,
        *,
        version: int | None = None,
        details: AuditDetails | None = None,
    ) -> None:
        """One insert-only line, in this transaction."""
        known = details or AuditDetails()
        self._audit.append(
            (
                self.now(),
                self.actor.name,
                action,
                record_kind,
                str(record_id),
                version,
                known.area_id,
                known.reason,
                known.policy,
                known.cause_id,
            )
        )

    async def lock(self, *names: str) -> None:
        """Hold these names until the transaction ends; sorted, so that two workers cannot
        deadlock.
        """
        numbers = sorted({lock_number(f"{self.service}/{name}") for name in names})
        if numbers:
            await self.execute(
                text(
                    "SELECT pg_advisory_xact_lock(n) FROM unnest(CAST(:numbers AS bigint[])) AS n"
                ),
                {"numbers": numbers},
            )

    async def lock_within(self, milliseconds: int) -> None:
        """Wait no longer than this for any lock of this transaction."""
        await self.execute(
            text("SELECT set_config('lock_timeout', :most, true)"), {"most": f"{milliseconds}ms"}
        )

    async def flush(self) -> None:
        """Write what was said."""
        if self._events or self._messages:
            await self._write_outbox()
        if self._due:
            rows = [
                {"kind": kind, "keys": keys, "not_before": later}
                for (kind, later), found in self._due.items()
                for keys in _batches(sorted(found))
            ]
            await self.execute(self._tables.due.insert(), rows)
        if self._timers:
            await self._write_timers()
        if self._audit:
            await self._append(self._tables.audit, AUDIT, self._audit)

    def wake(self, wakeups: Wakeups) -> None:
        """Tell those who go on with what was said; after the commit."""
        if self._events or self._messages:
            wakeups.outbox.set()
        for kind, _ in self._due:
            if kind in wakeups.due:
                wakeups.due[kind].set()
        if self._timers:
            wakeups.timer.set()

    async def _write_outbox(self) -> None:
        messages = [encode(event, source=self.service) for event in self._events]
        messages += self._messages
        now = real_now()
        rows = [
            (topic, partition, key, pack_headers(headers), value, now)
            for topic, partition, key, value, headers in messages
        ]
        await self._append(self._tables.outbox, OUTBOX, rows)

    async def _append(
        self, table: Table, columns: Mapping[str, str], rows: Sequence[tuple[Any, ...]]
    ) -> None:
        """Rows that nobody changes: of one statement, or in the driver's own way where they are
        many. Then an array of each column costs this process three times as much."""
        if len(rows) < CROWD:
            arrays = dict(zip(columns, map(list, zip(*rows, strict=True)), strict=True))
            await self.execute(_insert(table.fullname, tuple(columns.items())), arrays)
            return
        raw = await self._connection.get_raw_connection()
        driver: Any = raw.driver_connection
        if not driver.is_in_transaction():
            # The transaction begins with the first statement, and this is none to SQLAlchemy.
            await self.execute(text("SELECT 1"))
        await driver.copy_records_to_table(
            table.name, schema_name=table.schema, columns=list(columns), records=rows
        )

    async def _write_timers(self) -> None:
        table = self._tables.timer
        kept = [(*pair, due_at) for pair, due_at in sorted(self._timers.items()) if due_at]
        dropped = [pair for pair, due_at in self._timers.items() if due_at is None]
        for kind, key in dropped:
            await self.execute(table.delete().where(table.c.kind == kind, table.c.key == key))
        if kept:
            kinds, keys, times = map(list, zip(*kept, strict=True))
            await self.execute(
                _timer_upsert(table.fullname), {"kinds": kinds, "keys": keys, "times": times}
            )


@dataclass(frozen=True, slots=True)
class AuditDetails:
    """The part of an audit line that not every action has."""

    area_id: str | None = None
    reason: str = ""
    policy: str | None = None
    cause_id: UUID | None = None


def _batches(keys: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(keys), DUE_KEYS_MOST):
        yield keys[start : start + DUE_KEYS_MOST]


OUTBOX = {
    "topic": "text",
    "partition": "smallint",
    "key": "bytea",
    "headers": "text",
    "value": "bytea",
    "written_at": "timestamptz",
}
AUDIT = {
    "at": "timestamptz",
    "actor": "text",
    "action": "text",
    "record_kind": "text",
    "record_id": "text",
    "record_version": "integer",
    "area_id": "text",
    "reason": "text",
    "policy": "text",
    "cause_id": "uuid",
}


@cache
def _insert(table: str, columns: tuple[tuple[str, str], ...]) -> TextClause:
    """One statement and one plan however many rows: five times faster than lists of VALUES."""
    names = ", ".join(name for name, _ in columns)
    arrays = ", ".join(f"CAST(:{name} AS {kind}[])" for name, kind in columns)
    return text(
        f"INSERT INTO {table} ({names}) SELECT {names}"  # noqa: S608, ours
        f" FROM unnest({arrays}) AS row ({names})"
    )


@cache
def _timer_upsert(table: str) -> TextClause:
    return text(
        f"INSERT INTO {table} (kind, key, due_at) SELECT * FROM unnest("  # noqa: S608, ours
        " CAST(:kinds AS text[]), CAST(:keys AS text[]), CAST(:times AS timestamptz[]))"
        " ON CONFLICT (kind, key) DO UPDATE SET due_at = excluded.due_at, attempts = 0"
    )


@asynccontextmanager
async def administration(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """One transaction of a command on tables that no service may write (the credentials)."""
    async with engine.connect() as connection:
        yield connection
        await connection.commit()


class Database:
    """One service's database: its role, its schema, its pool."""

    def __init__(
        self, engine: AsyncEngine, *, service: str, tables: StandardTables, clock: Clock
    ) -> None:
        self.engine = engine
        self._single = engine.execution_options(isolation_level="AUTOCOMMIT")
        self.service = service
        self.tables = tables
        self.clock = clock
        self.kept: dict[str, Any] = {}
        self.wakeups = Wakeups()

    @asynccontextmanager
    async def work(self, actor: Actor) -> AsyncIterator[Work]:
        """One transaction. Committed when the block ends, rolled back when it raises."""
        async with self.engine.connect() as connection:
            work = Work(
                connection,
                tables=self.tables,
                service=self.service,
                actor=actor,
                clock=self.clock,
                kept=self.kept,
            )
            yield work
            await work.flush()
            await connection.commit()
        work.wake(self.wakeups)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[ReadSession]:
        """One read-only transaction with one snapshot for all its statements."""
        async with self.engine.connect() as connection:
            await connection.execution_options(
                isolation_level="REPEATABLE READ", postgresql_readonly=True
            )
            yield ReadSession(connection)

    @asynccontextmanager
    async def look(self) -> AsyncIterator[ReadSession]:
        """For one statement that reads: no transaction around it, a third of the way there."""
        async with self._single.connect() as connection:
            yield ReadSession(connection)

    async def move(self, statement: Executable, rows: Rows = None) -> Sequence[Row[Any]]:
        """One statement that takes rows from one table to another, in a transaction of its own."""
        async with self._single.connect() as connection:
            return (await connection.execute(statement, rows)).all()

    async def forget(self, statement: Executable, rows: Rows = None) -> None:
        """One statement that deletes, in a transaction of its own, on its way to the disk.

        For what does no harm if a crash of PostgreSQL brings it back.
        """
        async with self._single.connect() as connection:
            await connection.execute(statement, rows)
