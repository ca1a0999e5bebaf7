"""Breaches, and the scans from which they follow."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, select, text, tuple_

from services.quarantine.domain.breaches import Breach
from services.quarantine.domain.facts import ScanFact
from services.quarantine.repository.among import among
from services.quarantine.tables import breach, order, scan_copy, standard
from shared.access import Viewer
from shared.areas import visible
from shared.database.rows import upsert
from shared.database.work import Work
from shared.policy import Reader

# Most scans are of persons who were never under order: one statement dismisses them all.
PERSONS_CONCERNED = text(
    """
    SELECT scan.person_id FROM quarantine.scan_copy AS scan
    WHERE scan.id = ANY(CAST(:scan_ids AS uuid[])) AND EXISTS (
        SELECT FROM quarantine.quarantine_order AS known WHERE known.person_id = scan.person_id)
    UNION
    SELECT person_id FROM quarantine.breach WHERE scan_id = ANY(CAST(:scan_ids AS uuid[]))
    """
)


async def persons_concerned(reader: Reader, scan_ids: Sequence[UUID]) -> list[UUID]:
    """Who of these scans' persons has ever been under order, or in breach by one of them.

    The second half finds the person whom a correction of the scan has let go.
    """
    rows = await reader.execute(PERSONS_CONCERNED.bindparams(scan_ids=list(scan_ids)))
    return [row.person_id for row in rows]


async def load_scans(reader: Reader, person_ids: Sequence[UUID]) -> dict[UUID, list[ScanFact]]:
    """For each person: the scans in the period of any order, and those behind known breaches."""
    scan = scan_copy.c
    in_period = (
        select(order.c.person_id.label("judged_id"), scan_copy)
        .join(
            scan_copy,
            (scan.person_id == order.c.person_id)
            & (scan.occurred_at >= order.c.from_at)
            & (scan.occurred_at < order.c.until_at),
        )
        .where(among(order.c.person_id, person_ids), order.c.status != "withdrawn")
    )
    behind = (
        select(breach.c.person_id.label("judged_id"), scan_copy)
        .join(scan_copy, scan.id == breach.c.scan_id)
        .where(among(breach.c.person_id, person_ids))
    )
    found: dict[UUID, dict[UUID, ScanFact]] = {}
    for statement in (in_period, behind):
        for row in await reader.execute(statement):
            content = dict(row._mapping)
            judged_id = content.pop("judged_id")
            found.setdefault(judged_id, {})[row.id] = ScanFact(**content)
    return {person_id: list(scans.values()) for person_id, scans in found.items()}


async def load_breaches(reader: Reader, person_ids: Sequence[UUID]) -> dict[UUID, Breach]:
    """All breaches of these persons, standing or not, by id."""
    rows = await reader.execute(select(breach).where(among(breach.c.person_id, person_ids)))
    return {row.id: breach_of(row) for row in rows}


def breach_of(row: Row[Any]) -> Breach:
    """The domain's breach from a row."""
    content = dict(row._mapping)
    content.pop("changed_at")
    return Breach(**content)


async def save_breaches(work: Work, breaches: Sequence[Breach], changed_at: datetime) -> None:
    """Write these versions."""
    names = [column.name for column in breach.columns if column.name != "changed_at"]
    rows = [
        {name: getattr(one, name) for name in names} | {"changed_at": changed_at}
        for one in breaches
    ]
    await upsert(work, breach, rows)


async def list_breaches(
    reader: Reader, viewer: Viewer, *, filters: dict[str, Any], after_id: UUID | None, limit: int
) -> Sequence[Row[Any]]:
    """Breaches in the viewer's areas, the latest first.

    `filters`: `person_id`, `order_id`, `standing`.
    """
    columns = breach.c
    statement = select(breach).where(visible(standard, viewer, columns.area_id))
    for name in ("person_id", "order_id", "standing"):
        if filters.get(name) is not None:
            statement = statement.where(columns[name] == filters[name])
    if after_id is not None:
        last = select(columns.occurred_at, columns.id).where(columns.id == after_id)
        statement = statement.where(
            tuple_(columns.occurred_at, columns.id) < last.scalar_subquery()
        )
    newest = (columns.occurred_at.desc(), columns.id.desc())
    return (await reader.execute(statement.order_by(*newest).limit(limit))).all()


async def breaches_of_order(reader: Reader, order_id: UUID) -> Sequence[Row[Any]]:
    """All breaches of one order, the earliest first."""
    statement = select(breach).where(breach.c.order_id == order_id).order_by(breach.c.occurred_at)
    return (await reader.execute(statement)).all()
