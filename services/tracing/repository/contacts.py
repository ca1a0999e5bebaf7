"""Contacts as they were last decided."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Row, Uuid, cast, func, select
from sqlalchemy.dialects.postgresql import ARRAY

from services.tracing.repository.documents import read_rows, select_as_text, written
from services.tracing.tables import decisions
from shared.database.rows import update, upsert
from shared.database.work import Work
from shared.ids import derived_id
from shared.policy import Reader

# What a withdrawal changes, apart from what it changes alike in all.
WITHDRAWN = ("id", "version", "reason", "cause_id", "recorded_at")


def contact_id_of(case_id: UUID, person_id: UUID) -> UUID:
    """One contact per case and person, whatever its degree; it comes back under the same id."""
    return derived_id("contact", case_id, person_id)


async def stored_digests(
    reader: Reader, case_id: UUID, *, only_standing: bool
) -> dict[UUID, Row[Any]]:
    """By person: version, standing and digest of every contact the case has, or ever had."""
    table = decisions.contact
    wanted = select(table.c.person_id, table.c.version, table.c.standing, table.c.digest).where(
        table.c.case_id == case_id
    )
    if only_standing:
        wanted = wanted.where(table.c.standing)
    return {row.person_id: row for row in await reader.execute(wanted)}


async def load_contacts(
    reader: Reader, case_id: UUID, person_ids: Sequence[UUID]
) -> list[dict[str, Any]]:
    table = decisions.contact
    found = await reader.execute(
        select_as_text(table)
        .where(
            table.c.case_id == case_id,
            table.c.person_id == func.any(cast(list(person_ids), ARRAY(Uuid))),
        )
        .order_by(table.c.person_id)
    )
    return read_rows(found)


async def save_contacts(work: Work, rows: Sequence[dict[str, Any]]) -> None:
    """New versions in place of the last."""
    await upsert(work, decisions.contact, written(rows))


async def withdraw_contacts(work: Work, rows: Sequence[dict[str, Any]]) -> None:
    """Versions that do not stand, of rows that say the rest already."""
    told = [{name: row[name] for name in WITHDRAWN} for row in rows]
    await update(work, decisions.contact, told, standing=False, digest="")
