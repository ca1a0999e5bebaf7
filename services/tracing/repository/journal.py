"""Which transactions wrote movements: how whoever follows the tail finds what is new."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import text

from shared.clock import real_now
from shared.database.work import ReadSession, Work

NOTE = text("""
    INSERT INTO tracing.journal (batch_id, what, transaction_id, written_at)
    VALUES (:batch_id, :what, CAST(CAST(pg_current_xact_id() AS text) AS bigint), :written_at)
""")


async def note_batch(work: Work, batch_id: UUID, what: str) -> None:
    """This transaction wrote rows of that kind under this batch."""
    await work.execute(NOTE, {"batch_id": batch_id, "what": what, "written_at": real_now()})


ROWS = text("SELECT count(*) FROM (SELECT FROM tracing.visit LIMIT :enough) AS looked_at")


async def count_visits(session: ReadSession, *, enough: int) -> int:
    """How many there are, counted no further than `enough`."""
    return int((await session.execute(ROWS, {"enough": enough})).scalar_one())
