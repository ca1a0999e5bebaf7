"""The ledger of the stream: what was sent to whom, written in batches behind the stream's back."""

from __future__ import annotations

import asyncio
from typing import Any, cast
from uuid import UUID

from sqlalchemy.exc import DBAPIError

from services.alerts.repository.deliveries import store_deliveries
from shared.database.work import Actor
from shared.log import logger
from shared.service import Room

LOG = logger("deliveries")
BATCH_SECONDS = 0.25
BATCH_MOST = 500
# With the database away the ledger waits in memory; past this the streams end rather than go
# unrecorded.
WAITING_MOST = 50_000


class Ledger:
    """Deliveries that are not in the database yet."""

    def __init__(self) -> None:
        self._waiting: list[dict[str, Any]] = []
        self.news = asyncio.Event()

    @property
    def full(self) -> bool:
        return len(self._waiting) >= WAITING_MOST

    def record(self, row: dict[str, Any]) -> None:
        self._waiting.append(row)
        self.news.set()

    async def flush(self, room: Room) -> None:
        """Write what waits; it waits on where that fails."""
        while self._waiting:
            batch = self._waiting[:BATCH_MOST]
            async with room.database.work(Actor("stream")) as work:
                await store_deliveries(work, batch)
            del self._waiting[: len(batch)]


def ledger_of(room: Room) -> Ledger:
    """This process's ledger; made when first asked for."""
    return cast(Ledger, room.extras.setdefault("ledger", Ledger()))


def delivery_row(
    room: Room, *, alert_id: UUID, version: int, subject: str, offset: int
) -> dict[str, Any]:
    """One line of the ledger; delivered now, in business time."""
    return {
        "alert_id": alert_id,
        "alert_version": version,
        "subject": subject,
        "channel": "stream",
        "log_offset": offset,
        "delivered_at": room.clock.now(),
    }


async def write_deliveries(room: Room) -> None:
    """Background task: writes the ledger a few times a second, and once more when the process
    stops."""
    ledger = ledger_of(room)
    try:
        while True:
            await ledger.news.wait()
            await asyncio.sleep(BATCH_SECONDS)
            ledger.news.clear()
            try:
                await ledger.flush(room)
            except (DBAPIError, OSError):
                ledger.news.set()
                raise
    except asyncio.CancelledError:
        try:
            await ledger.flush(room)
        except (DBAPIError, OSError) as error:
            LOG.warning("deliveries_not_recorded", error=type(error).__name__)
        raise
