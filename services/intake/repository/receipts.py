"""Receipts, tallies and rejected rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select, text

from services.intake.domain.rows import Tally
from services.intake.tables import receipt, rejected_row, standard
from shared.access import Viewer
from shared.areas import visible
from shared.database.work import ReadSession, Work

_TALLIES = text(
    "INSERT INTO intake.tally (source_id, day, door, received, stored, duplicate, rejected)"
    " SELECT * FROM unnest(CAST(:source_ids AS uuid[]), CAST(:days AS date[]),"
    " CAST(:doors AS text[]), CAST(:received AS integer[]), CAST(:stored AS integer[]),"
    " CAST(:duplicate AS integer[]), CAST(:rejected AS integer[]))"
)
_RECEIPTS = text(
    "INSERT INTO intake.receipt (sender, door, fingerprint, received, reply, received_at)"
    " SELECT sender, :door, fingerprint, received, reply, received_at"
    " FROM unnest(CAST(:senders AS text[]), CAST(:fingerprints AS bytea[]),"
    " CAST(:received AS integer[]), CAST(:replies AS bytea[]),"
    " CAST(:received_at AS timestamptz[]))"
    " AS new (sender, fingerprint, received, reply, received_at)"
    " ON CONFLICT DO NOTHING RETURNING sender, fingerprint"
)


@dataclass(frozen=True, slots=True)
class Account:
    """For whom, on which day, at which door something is counted."""

    source_id: UUID | None
    day: date
    door: str


@dataclass(frozen=True, slots=True)
class NewReceipt:
    """The answer to a body with so many rows or messages; `reply` is deflated and sealed."""

    sender: str
    fingerprint: bytes
    reply: bytes
    received: int
    received_at: datetime


async def add_tallies(work: Work, sums: Mapping[Account, Tally]) -> None:
    accounts, tallies = list(sums), list(sums.values())
    await work.execute(
        _TALLIES,
        {
            "source_ids": [one.source_id for one in accounts],
            "days": [one.day for one in accounts],
            "doors": [one.door for one in accounts],
            "received": [one.received for one in tallies],
            "stored": [one.stored for one in tallies],
            "duplicate": [one.duplicate for one in tallies],
            "rejected": [one.rejected for one in tallies],
        },
    )


async def add_receipts(work: Work, door: str, new: Sequence[NewReceipt]) -> set[tuple[str, bytes]]:
    """(sender, fingerprint) of those that were not answered by somebody else first."""
    if not new:
        return set()
    # Sorted: two transactions with the same bodies wait in line, not for each other.
    new = sorted(new, key=lambda one: (one.sender, one.fingerprint))
    rows = await work.execute(
        _RECEIPTS,
        {
            "door": door,
            "senders": [one.sender for one in new],
            "fingerprints": [one.fingerprint for one in new],
            "received": [one.received for one in new],
            "replies": [one.reply for one in new],
            "received_at": [one.received_at for one in new],
        },
    )
    return {(row.sender, bytes(row.fingerprint)) for row in rows}


async def find_reply(
    session: ReadSession, sender: str, door: str, fingerprint: bytes
) -> tuple[int, bytes] | None:
    """(rows or messages received, sealed reply) of a body that came before."""
    row = (
        await session.execute(
            select(receipt.c.received, receipt.c.reply).where(
                receipt.c.sender == sender,
                receipt.c.door == door,
                receipt.c.fingerprint == fingerprint,
            )
        )
    ).first()
    return (row.received, bytes(row.reply)) if row else None


async def add_rejected_rows(work: Work, rows: Sequence[dict[str, Any]]) -> None:
    await work.execute(rejected_row.insert(), rows)


async def list_rejected_rows(session: ReadSession, viewer: Viewer, *, limit: int) -> list[Any]:
    columns = [column for column in rejected_row.columns if column.name != "sealed_body"]
    query = (
        select(*columns)
        .where(visible(standard, viewer, rejected_row.c.area_id))
        .order_by(rejected_row.c.rejection_id.desc())
        .limit(limit)
    )
    return list((await session.execute(query)).all())
