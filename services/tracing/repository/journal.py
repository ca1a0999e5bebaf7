"""Which transactions wrote movements: how whoever follows the tail finds what is new."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text

from shared.clock import real_now
from shared.database.work import ReadSession, Work

# How long rows of a tail are kept. Who was away for half of that begins anew (both in real time).
TAIL_HOURS = 6
AWAY_SECONDS = TAIL_HOURS * 3600 / 2


@dataclass(frozen=True, slots=True)
class Head:
    """Where a snapshot stands: its oldest running and its next transaction, and which table the
    journal is (a restore makes another one)."""

    oldest: int
    newest: int
    journal: int

    def follows(self, before: Head) -> bool:
        """Whether this is the same database, later."""
        return self.journal == before.journal and self.newest >= before.newest


def head_sql(table: str) -> str:
    """The columns of a `Head`, for the tail that stands in this table."""
    return f"""
        CAST(CAST(pg_snapshot_xmin(pg_current_snapshot()) AS text) AS bigint) AS oldest,
        CAST(CAST(pg_snapshot_xmax(pg_current_snapshot()) AS text) AS bigint) AS newest,
        CAST(CAST('{table}' AS regclass) AS oid) AS journal
    """


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
