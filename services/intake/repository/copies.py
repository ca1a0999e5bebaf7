"""The copies of orders and cases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import text

from services.intake.domain.verdicts import Restriction
from services.intake.tables import case_copy, order_copy
from shared.database.rows import upsert
from shared.database.work import ReadSession, Work

_RESTRICTIONS = text(
    "SELECT person_id, 'order' AS kind, from_at, until_at, allowed_place_ids"
    " FROM intake.order_copy"
    " WHERE person_id = ANY(CAST(:ids AS uuid[])) AND status <> 'withdrawn'"
    " UNION ALL"
    " SELECT person_id, 'case', from_at, until_at, NULL FROM intake.case_copy"
    " WHERE person_id = ANY(CAST(:ids AS uuid[])) AND standing"
)


async def find_restrictions(
    session: ReadSession, person_ids: Sequence[UUID]
) -> dict[UUID, list[Restriction]]:
    """All periods of order and of being a case, per person; withdrawn ones count for nothing."""
    found: dict[UUID, list[Restriction]] = {}
    if not person_ids:
        return found
    for row in await session.execute(_RESTRICTIONS, {"ids": list(person_ids)}):
        found.setdefault(row.person_id, []).append(
            Restriction(row.kind, row.from_at, row.until_at, frozenset(row.allowed_place_ids or ()))
        )
    return found


async def write_orders(work: Work, rows: Sequence[Mapping[str, Any]]) -> None:
    await upsert(work, order_copy, rows, newer="version")


async def write_cases(work: Work, rows: Sequence[Mapping[str, Any]]) -> None:
    await upsert(work, case_copy, rows, newer="version")
