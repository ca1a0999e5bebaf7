"""Orders: the rows behind the domain's `Order`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

from pydantic import TypeAdapter
from sqlalchemy import Row, Text, cast, select
from sqlalchemy.dialects.postgresql import JSONB

from services.quarantine.domain.measures import Terms
from services.quarantine.domain.orders import Order, OrderContent, SupportLine
from services.quarantine.repository.among import among
from services.quarantine.tables import check, standard
from services.quarantine.tables import order as order_table
from shared.access import Viewer
from shared.areas import visible
from shared.database.rows import update, upsert
from shared.database.work import Work
from shared.policy import Reader

COLUMNS = order_table.c
# Documents as text. Ten thousand orders of one outbreak have the same terms, which are read once;
# supports are read without dictionaries between.
ORDERS = select(
    *(
        cast(column, Text).label(column.name) if isinstance(column.type, JSONB) else column
        for column in COLUMNS
    )
)
SUPPORTS = TypeAdapter(tuple[SupportLine, ...])
TERMS_REMEMBERED = 500


async def lock_orders_of_persons(work: Work, person_ids: Sequence[UUID]) -> list[Order]:
    """All orders of these persons, locked in the order of ids until the transaction ends."""
    return await _locked(work, among(COLUMNS.person_id, person_ids))


async def lock_orders(work: Work, order_ids: Sequence[UUID]) -> list[Order]:
    """These orders, locked likewise."""
    return await _locked(work, among(COLUMNS.id, order_ids))


async def lock_orders_with_checks(work: Work, order_ids: Sequence[UUID]) -> list[Order]:
    """Those of these orders that owe a check-in, may come to owe one, or ever did."""
    owed = select(check.c.id).where(check.c.order_id == COLUMNS.id).exists()
    return await _locked(
        work, among(COLUMNS.id, order_ids) & ((COLUMNS.status != "withdrawn") | owed)
    )


async def _locked(work: Work, condition: Any) -> list[Order]:
    # No key update: a breach that refers to the order need not wait for it.
    statement = ORDERS.where(condition).order_by(COLUMNS.id)
    statement = statement.with_for_update(key_share=True)
    return [order_of(row) for row in await work.execute(statement)]


async def load_orders(reader: Reader, person_ids: Sequence[UUID]) -> list[Order]:
    """All orders of these persons, whatever their status."""
    statement = ORDERS.where(among(COLUMNS.person_id, person_ids)).order_by(COLUMNS.id)
    return [order_of(row) for row in await reader.execute(statement)]


async def save_orders(
    work: Work, orders: Sequence[tuple[Order, UUID | None]], changed_at: datetime
) -> None:
    """Write these versions with their causes, one after the other in the order given.

    What closes must be written before what opens: the unique index allows one open order.
    """
    rows = [
        {**_row(order), "cause_id": cause_id, "changed_at": changed_at}
        for order, cause_id in orders
    ]
    await upsert(work, order_table, rows)


async def save_checks_after(work: Work, moved: Sequence[tuple[UUID, datetime]]) -> None:
    """How far the check-ins of these orders are settled; no new version of the order."""
    rows = [{"id": order_id, "checks_after_at": after_at} for order_id, after_at in moved]
    await update(work, order_table, rows)


async def find_order(reader: Reader, viewer: Viewer, order_id: UUID) -> Row[Any] | None:
    """The row of one order, or None when it is absent or outside the viewer's areas."""
    statement = ORDERS.where(COLUMNS.id == order_id, visible(standard, viewer, COLUMNS.area_id))
    return (await reader.execute(statement)).first()


async def list_orders(
    reader: Reader, viewer: Viewer, *, filters: dict[str, Any], after_id: UUID | None, limit: int
) -> Sequence[Row[Any]]:
    """Orders in the viewer's areas by id, thus by when they were first made.

    `filters`: `status`, `person_id`, `kind`, and `area_id`, which takes in the areas below it.
    """
    statement = ORDERS.where(visible(standard, viewer, COLUMNS.area_id))
    for name in ("status", "person_id", "kind"):
        if filters.get(name) is not None:
            statement = statement.where(COLUMNS[name] == filters[name])
    if (area_id := filters.get("area_id")) is not None:
        area = standard.area
        inside = select(area.c.area_id).where(area.c.ancestors.contains([area_id]))
        statement = statement.where((COLUMNS.area_id == area_id) | COLUMNS.area_id.in_(inside))
    if after_id is not None:
        statement = statement.where(COLUMNS.id > after_id)
    return (await reader.execute(statement.order_by(COLUMNS.id).limit(limit))).all()


@lru_cache(TERMS_REMEMBERED)
def _terms_of(text: str) -> Terms:
    return Terms.model_validate_json(text)


@lru_cache(TERMS_REMEMBERED)
def _written(terms: Terms) -> str:
    return terms.model_dump_json()


def order_of(row: Row[Any]) -> Order:
    """The domain's order from a row of `ORDERS`."""
    content = OrderContent(
        status=row.status,
        from_at=row.from_at,
        until_at=row.until_at,
        terms=_terms_of(row.terms),
        area_id=row.area_id,
        supports=SUPPORTS.validate_json(row.supports),
        reason=row.reason,
    )
    return Order(
        id=row.id,
        version=row.version,
        person_id=row.person_id,
        kind=row.kind,
        content=content,
        support_ids=frozenset(row.support_ids),
        allowed_place_ids=tuple(row.allowed_place_ids),
        checks_after_at=row.checks_after_at,
    )


def _row(order: Order) -> dict[str, Any]:
    content = order.content
    return {
        "id": order.id,
        "version": order.version,
        "person_id": order.person_id,
        "kind": order.kind,
        "status": content.status,
        "from_at": content.from_at,
        "until_at": content.until_at,
        "terms": _written(content.terms),
        "area_id": content.area_id,
        "supports": SUPPORTS.dump_json(content.supports).decode(),
        "support_ids": sorted(order.support_ids),
        "allowed_place_ids": list(order.allowed_place_ids),
        "reason": content.reason,
        "checks_after_at": order.checks_after_at,
    }
