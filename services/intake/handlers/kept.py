"""Looking at kept messages."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from services.intake.errors import not_found
from services.intake.handlers.desk import Desk
from services.intake.handlers.visits import BODY_COLUMN
from services.intake.repository.messages import MessageFilter, list_findings, read_message
from services.intake.settings import PAGE_ROWS
from shared.access import Viewer
from shared.database.work import Actor, AuditDetails

_SEALED = ("sealed_body", "reply", "fingerprint")


async def look_at_message(desk: Desk, message_id: UUID, viewer: Viewer) -> dict[str, Any]:
    """A kept message with its findings and its answer. What it says needs `persons.read_names`,
    and the look is on record before the answer leaves."""
    async with desk.database.work(Actor(viewer.subject)) as work:
        row = await read_message(work, viewer, message_id)
        if row is None:
            raise not_found("message")
        wanted = MessageFilter(message_id=message_id)
        findings = await list_findings(work, viewer, wanted, limit=PAGE_ROWS)
        told = {name: value for name, value in row._asdict().items() if name not in _SEALED}
        told["reply"] = bytes(row.reply).decode(errors="replace")
        told["findings"] = [
            {"code": one.code, "field": one.field, "text": one.text} for one in findings
        ]
        if viewer.may("persons.read_names"):
            work.audit(
                "message_looked_at",
                "message",
                message_id,
                details=AuditDetails(area_id=row.area_id),
            )
            body = desk.vault.open(BODY_COLUMN, str(message_id), bytes(row.sealed_body))
            told["body"] = body.decode(errors="replace")
    return told
