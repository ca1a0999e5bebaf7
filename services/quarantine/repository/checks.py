"""Check-ins: what is owed, what was done, and the audit lines of an order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Row, select, tuple_
from sqlalchemy.dialects.postgresql import insert

from services.quarantine.domain.checks import Check, CheckIn
from services.quarantine.repository.among import among
from services.quarantine.tables import check, check_in, order, standard
from shared.access import Viewer
from shared.areas import visible
from shared.database.rows import upsert
from shared.database.work import Work
from shared.policy import Reader


async def load_checks(reader: Reader, order_ids: Sequence[UUID]) -> dict[UUID, list[Check]]:
    """All check-ins of these orders, by order."""
    found: dict[UUID, list[Check]] = {order_id: [] for order_id in order_ids}
    for row in await reader.execute(select(check).where(among(check.c.order_id, order_ids))):
        found[row.order_id].append(Check(**row._mapping))
    return found


async def load_check_ins(reader: Reader, order_ids: Sequence[UUID]) -> dict[UUID, list[CheckIn]]:
    """All that was done for these orders, by order."""
    found: dict[UUID, list[CheckIn]] = {order_id: [] for order_id in order_ids}
    for row in await reader.execute(select(check_in).where(among(check_in.c.order_id, order_ids))):
        found[row.order_id].append(CheckIn(row.check_id, row.done_at, row.symptomatic))
    return found


async def save_checks(work: Work, checks: Sequence[Check]) -> None:
    """Write these versions."""
    rows = [{column.name: getattr(one, column.name) for column in check.columns} for one in checks]
    await upsert(work, check, rows)


async def add_check_in(work: Work, row: Mapping[str, Any]) -> bool:
    """Insert once; False when exactly this check-in is known."""
    stored = await work.execute(insert(check_in).values(**row).on_conflict_do_nothing())
    return stored.rowcount > 0


async def list_checks(
    reader: Reader, viewer: Viewer, *, filters: dict[str, Any], after_id: UUID | None, limit: int
) -> Sequence[Row[Any]]:
    """Check-ins of orders in the viewer's areas, the latest due first.

    `filters`: `status`, `person_id`, `order_id`, `symptomatic`.
    """
    columns = check.c
    statement = (
        select(check, order.c.area_id)
        .join(order, order.c.id == columns.order_id)
        .where(visible(standard, viewer, order.c.area_id))
    )
    for name in ("status", "person_id", "order_id", "symptomatic"):
        if filters.get(name) is not None:
            statement = statement.where(columns[name] == filters[name])
    if after_id is not None:
        last = select(columns.due_at, columns.id).where(columns.id == after_id)
        statement = statement.where(tuple_(columns.due_at, columns.id) < last.scalar_subquery())
    newest = (columns.due_at.desc(), columns.id.desc())
    return (await reader.execute(statement.order_by(*newest).limit(limit))).all()


async def checks_of_order(reader: Reader, order_id: UUID) -> Sequence[Row[Any]]:
    """All check-ins of one order, the earliest first."""
    statement = select(check).where(check.c.order_id == order_id).order_by(check.c.due_at)
    return (await reader.execute(statement)).all()


async def audit_trail(reader: Reader, record_ids: Sequence[UUID]) -> Sequence[Row[Any]]:
    """The audit lines of these records, in the order in which they were written."""
    audit = standard.audit
    wanted = [str(one) for one in record_ids]
    statement = select(audit).where(audit.c.record_id.in_(wanted)).order_by(audit.c.id)
    return (await reader.execute(statement)).all()
