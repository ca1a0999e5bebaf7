"""Takes rows from the outbox to the log: select, send, delete. No cursor, so no slow transaction
is lost.

A crash between send and delete sends again; consumers absorb the repeat.
"""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import delete, select

from shared.bus.port import BusUnavailable, Message, Publisher
from shared.database.work import Actor, Database, unpack_headers
from shared.delivery.faults import Faults
from shared.delivery.supervision import Backoff, wait_for_any
from shared.log import logger
from shared.metrics import EVENTS_RELAYED

LOG = logger("relay")
CHUNK = 500
POLL_SECONDS = 0.25


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

    async def run(self) -> None:
        while True:
            sent = 0
            if self._holds_slot():
                try:
                    sent = await self.drain_once()
                    self._backoff.reset()
                except BusUnavailable as error:
                    LOG.warning("log_unavailable", service=self._database.service, error=str(error))
                    await self._backoff.wait()
                    continue
            if sent < CHUNK:
                await wait_for_any([self._database.wakeups.outbox], seconds=POLL_SECONDS)

    async def drain_once(self) -> int:
        """Send one chunk; returns how many went."""
        outbox = self._database.tables.outbox
        async with self._database.read() as session:
            rows = (await session.execute(select(outbox).order_by(outbox.c.id).limit(CHUNK))).all()
        service = self._database.service
        if not rows:
            return 0
        await self._publisher.publish(
            [
                Message(row.topic, row.partition, row.key, row.value, unpack_headers(row.headers))
                for row in rows
            ]
        )
        await self._faults.reach("between send and delete")
        async with self._database.work(Actor("relay")) as work:
            await work.execute(delete(outbox).where(outbox.c.id.in_([row.id for row in rows])))
        EVENTS_RELAYED.labels(service).inc(len(rows))
        return len(rows)
