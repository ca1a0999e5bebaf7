"""Orders and cases as heard, for the checkpoint."""

from __future__ import annotations

from collections.abc import Sequence

from services.intake.repository.copies import write_cases, write_orders
from shared.database.work import Work
from shared.events.quarantine import OrderChanged
from shared.events.tracing import CaseChanged


async def copy_orders(work: Work, events: Sequence[OrderChanged]) -> None:
    """The newest version of each; an order that ended keeps its period, for late scans."""
    newest = {
        event.record_id: event for event in sorted(events, key=lambda one: one.record_version)
    }
    await write_orders(
        work,
        [
            {
                "order_id": event.record_id,
                "version": event.record_version,
                "person_id": event.person_id,
                "kind": event.kind,
                "status": event.status,
                "from_at": event.from_at,
                "until_at": event.until_at,
                "allowed_place_ids": list(event.allowed_place_ids),
            }
            for event in newest.values()
        ],
    )


async def copy_cases(work: Work, events: Sequence[CaseChanged]) -> None:
    """A person is a case to a checkpoint from the report on: before it nobody could know."""
    newest = {
        event.record_id: event for event in sorted(events, key=lambda one: one.record_version)
    }
    await write_cases(
        work,
        [
            {
                "case_id": event.record_id,
                "version": event.record_version,
                "person_id": event.person_id,
                "standing": event.standing and event.classification != "discarded",
                "from_at": event.reported_at or event.occurred_at,
                "until_at": event.infectious_until,
            }
            for event in newest.values()
        ],
    )
