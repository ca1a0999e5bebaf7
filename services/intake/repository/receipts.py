"""Receipts, tallies and rejected rows."""

from __future__ import annotations

from collections.abc import Sequence
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

_TALLY = text(
    "INSERT INTO intake.tally (source_id, day, door, received, stored, duplicate, rejected)"
    " VALUES (:source_id, :day, :door, :received, :stored, :duplicate, :rejected)"
)
_RECEIPT_AND_TALLY = text(
    "WITH counted AS ("
    "INSERT INTO intake.tally (source_id, day, door, received, stored, duplicate, rejected)"
    " VALUES (:source_id, :day, :door, :received, :stored, :duplicate, :rejected))"
    " INSERT INTO intake.receipt (sender, door, fingerprint, received, reply, received_at)"
    " VALUES (:sender, :door, :fingerprint, :received, :reply, :received_at)"
    " ON CONFLICT DO NOTHING RETURNING true"
)


@dataclass(frozen=True, slots=True)
class Account:
    """For whom, on which day, at which door something is counted."""

    source_id: UUID | None
    day: date
    door: str


@dataclass(frozen=True, slots=True)
class NewReceipt:
    """The answer to a body; `reply` is deflated and sealed."""

    sender: str
    fingerprint: bytes
    reply: bytes
    received_at: datetime


def _counts(account: Account, tally: Tally) -> dict[str, Any]:
    return {
        "source_id": account.source_id,
        "day": account.day,
        "door": account.door,
        "received": tally.received,
        "stored": tally.stored,
        "duplicate": tally.duplicate,
        "rejected": tally.rejected,
    }


async def add_tally(work: Work, account: Account, tally: Tally) -> None:
    await work.execute(_TALLY, _counts(account, tally))


async def add_receipt(work: Work, account: Account, tally: Tally, new: NewReceipt) -> bool:
    """False when another request with the same body was answered first."""
    row = (
        await work.execute(
            _RECEIPT_AND_TALLY,
            {
                **_counts(account, tally),
                "sender": new.sender,
                "fingerprint": new.fingerprint,
                "reply": new.reply,
                "received_at": new.received_at,
            },
        )
    ).first()
    return row is not None


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
