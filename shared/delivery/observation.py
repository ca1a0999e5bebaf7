"""Looks at queues every few seconds, so that the gauges tell the truth also while loops hang."""

from __future__ import annotations

import asyncio

from sqlalchemy import func, select

from shared.clock import real_now
from shared.database.work import Database
from shared.metrics import DUE_WAITING, OUTBOX_OLDEST

LOOK_SECONDS = 10.0


async def observe(database: Database) -> None:
    """For ever: the age of the oldest unsent event, and how much is due, of one service."""
    outbox, due = database.tables.outbox, database.tables.due
    while True:
        async with database.read() as session:
            oldest = (await session.execute(select(func.min(outbox.c.written_at)))).scalar_one()
            waiting = (await session.execute(select(func.count()).select_from(due))).scalar_one()
        age_seconds = (real_now() - oldest).total_seconds() if oldest else 0.0
        OUTBOX_OLDEST.labels(database.service).set(age_seconds)
        DUE_WAITING.labels(database.service).set(waiting)
        await asyncio.sleep(LOOK_SECONDS)
