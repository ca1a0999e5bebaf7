"""The ledger of deliveries: what was sent to whom."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.engine import Row

from services.alerts.tables import alert, delivery, standard
from shared.access import Viewer
from shared.areas import visible
from shared.database.work import Work
from shared.policy import Reader


async def store_deliveries(work: Work, rows: Sequence[dict[str, Any]]) -> None:
    """The first delivery of a version to a subject is the one that counts; a resumed stream repeats
    some."""
    if rows:
        await work.execute(insert(delivery).on_conflict_do_nothing(), rows)


async def list_deliveries(
    reader: Reader, viewer: Viewer, *, alert_id: UUID | None, subject: str | None, limit: int
) -> Sequence[Row[Any]]:
    """The newest first, of alerts in the viewer's areas."""
    conditions: list[ColumnElement[bool]] = [visible(standard, viewer, alert.c.area_id)]
    if alert_id is not None:
        conditions.append(delivery.c.alert_id == alert_id)
    if subject is not None:
        conditions.append(delivery.c.subject == subject)
    return (
        await reader.execute(
            select(delivery)
            .join(alert, alert.c.id == delivery.c.alert_id)
            .where(*conditions)
            .order_by(delivery.c.log_offset.desc(), delivery.c.subject)
            .limit(limit)
        )
    ).all()
