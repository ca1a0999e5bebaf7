"""Which events a consumer has applied: for effects that leave no versioned row of their own.

Where the effect *is* a row with a version, that row absorbs a repeat and no inbox row is written:
at
thousands of scans a second it would double the writes for nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import delete
from sqlalchemy.dialects.postgresql import insert

from shared.clock import real_now
from shared.database.work import Actor, Database, Work
from shared.events.base import Event
from shared.events.topics import FACT_RETENTION_HOURS

# An event that the log no longer keeps cannot come again.
KEPT = timedelta(hours=FACT_RETENTION_HOURS + 24)


async def first_time(
    work: Work, database: Database, consumer: str, events: Sequence[Event]
) -> list[Event]:
    """Those that `consumer` has not applied yet, each once; noted in the same transaction."""
    by_id = {event.event_id: event for event in events}
    inbox = database.tables.inbox
    noted = await work.execute(
        insert(inbox)
        .values(
            [
                {"consumer": consumer, "event_id": event_id, "applied_at": real_now()}
                for event_id in sorted(by_id)
            ]
        )
        .on_conflict_do_nothing()
        .returning(inbox.c.event_id)
    )
    fresh = {row.event_id for row in noted}
    return [event for event_id, event in by_id.items() if event_id in fresh]


async def forget_old(database: Database) -> None:
    """Drop what is older than the log's retention."""
    inbox = database.tables.inbox
    async with database.work(Actor("maintenance")) as work:
        await work.execute(delete(inbox).where(inbox.c.applied_at < real_now() - KEPT))
