"""Takes rows from the outbox to the log: select, send, delete. No cursor, so no slow transaction
is lost.

A crash between send and delete sends again; consumers absorb the repeat. What comes after a full
chunk is a crowd: a log in the same database takes that by itself, one statement a chunk.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import delete, insert, select, text
from sqlalchemy.engine import Row

from shared.bus.headers import unpack_headers
from shared.bus.port import BusUnavailable, Message, MessageRefused, Publisher
from shared.clock import real_now
from shared.database.work import Actor, Database
from shared.delivery.faults import Faults
from shared.delivery.supervision import Backoff, Pace, wait_for_any
from shared.ids import new_id
from shared.log import logger
from shared.metrics import EVENTS_DEAD, EVENTS_RELAYED

LOG = logger("relay")
CHUNK = 1_000
POLL_SECONDS = 0.25
PACE_SECONDS = 0.01


class Relay:
    """The one sender of a service's outbox; `holds_slot` says whether this process is it."""

    def __init__(
        self,
        database: Database,
        publisher: Publisher,
        *,
        holds_slot: Callable[[], bool],
        faults: Faults,
    ) -> None:
        self._database = database
        self._publisher = publisher
        self._holds_slot = holds_slot
        self._faults = faults
        self._backoff = Backoff()
        self._pace = Pace(PACE_SECONDS)
        outbox = database.tables.outbox
        # Built once: the loop asks several times a second, and building costs more than asking.
        self._oldest = select(outbox).order_by(outbox.c.id).limit(CHUNK)
        # One array, not a list of parameters: a statement with a thousand is rendered anew. Not
        # flushed: what a crash brings back is sent again, as after any crash between send and this.
        self._sent = text(
            f"WITH gone AS (DELETE FROM {outbox.fullname}"  # noqa: S608, our own table's name
            " WHERE id = ANY(CAST(:ids AS bigint[])))"
            " SELECT set_config('synchronous_commit', 'off', true)"
        )

    async def run(self) -> None:
        sent = 0
        while True:
            if sent < CHUNK:
                await self._pace.wait()
            crowd, sent = sent == CHUNK, 0
            if self._holds_slot():
                try:
                    sent = (crowd and await self.carry_once()) or await self.drain_once()
                    self._backoff.reset()
                except BusUnavailable as error:
                    LOG.warning("log_unavailable", service=self._database.service, error=str(error))
                    await self._backoff.wait()
                    continue
            if sent < CHUNK:
                self._pace.worked()
                await wait_for_any([self._database.wakeups.outbox], seconds=POLL_SECONDS)

    async def carry_once(self) -> int:
        """Let the log take the next chunk of a crowd by itself; returns how many went."""
        database, outbox = self._database, self._database.tables.outbox.fullname
        sent = await self._publisher.carry(database.move, outbox, most=CHUNK)
        EVENTS_RELAYED.labels(database.service).inc(sent)
        return sent

    async def drain_once(self) -> int:
        """Send one chunk; returns how many went."""
        async with self._database.look() as session:
            rows: Sequence[Row[Any]] = (await session.execute(self._oldest)).all()
        service = self._database.service
        if not rows:
            return 0
        try:
            await self._publisher.publish([_message(row) for row in rows])
        except MessageRefused:
            rows = await self._publish_one_by_one(rows)
        await self._faults.reach("between send and delete")
        await self._database.forget(self._sent, {"ids": [row.id for row in rows]})
        EVENTS_RELAYED.labels(service).inc(len(rows))
        return len(rows)

    async def _publish_one_by_one(self, rows: Sequence[Row[Any]]) -> list[Row[Any]]:
        """What the log takes; what it refuses for good is put aside and stops nobody else."""
        sent = []
        for row in rows:
            try:
                await self._publisher.publish([_message(row)])
                sent.append(row)
            except MessageRefused as error:
                await self._put_aside(row, str(error))
        return sent

    async def _put_aside(self, row: Row[Any], reason: str) -> None:
        service = self._database.service
        outbox, letter = self._database.tables.outbox, self._database.tables.dead_letter
        LOG.error("event_refused", service=service, topic=row.topic, reason=reason)
        EVENTS_DEAD.labels(f"{service}.relay").inc()
        async with self._database.work(Actor("relay")) as work:
            await work.execute(delete(outbox).where(outbox.c.id == row.id))
            await work.execute(
                insert(letter).values(
                    id=new_id(), consumer_group=f"{service}.relay", topic=row.topic,
                    # It never reached the log; its place in the outbox names it.
                    partition=row.partition, record_offset=row.id, key=row.key,
                    headers=row.headers, value=row.value, reason=reason, put_aside_at=real_now(),
                )
            )  # fmt: skip


def _message(row: Row[Any]) -> Message:
    try:
        headers = unpack_headers(row.headers)
    except ValueError as error:
        # One unreadable row must not hold up everything behind it.
        raise MessageRefused("its headers cannot be read") from error
    return Message(row.topic, row.partition, row.key, row.value, headers)
