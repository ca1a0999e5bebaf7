"""What quarantine says: who must stay where until when, and who did not."""

from __future__ import annotations

from typing import ClassVar, Literal
from uuid import UUID

from pydantic import Field

from shared.events.base import Event, EventPart, Evidence, Instant


class Support(EventPart):
    """One contact (or case) that an order rests on, with the period which that one alone would
    give.
    """

    kind: Literal["contact", "case"]
    id: UUID
    degree: str
    from_at: Instant
    until_at: Instant


class OrderChanged(Event):
    """An order of one person; stands while any support stands. `occurred_at` = `from_at`."""

    type: ClassVar[str] = "outpost.quarantine.order.changed"
    topic: ClassVar[str] = "quarantine.order.v1"

    person_id: UUID
    kind: Literal["quarantine", "isolation"]
    measure: str = Field(description="central, home, health_monitoring, hospital")
    status: Literal["open", "ended", "withdrawn"]
    from_at: Instant
    until_at: Instant
    area_id: str | None = None
    allowed_place_ids: tuple[UUID, ...] = ()
    supports: tuple[Support, ...] = ()
    reason: str
    cause_id: UUID | None = None
    policy: str | None = None


class CheckChanged(Event):
    """One daily check-in that is owed; `occurred_at` is when it was due."""

    type: ClassVar[str] = "outpost.quarantine.check.changed"
    topic: ClassVar[str] = "quarantine.check.v1"

    order_id: UUID
    person_id: UUID
    due_at: Instant
    done_at: Instant | None = None
    status: Literal["owed", "done", "missed", "withdrawn"]
    symptomatic: bool = False
    area_id: str | None = None


class BreachChanged(Event):
    """A person under order was scanned where the order does not allow; judged at the scan's event
    time.
    """

    type: ClassVar[str] = "outpost.quarantine.breach.changed"
    topic: ClassVar[str] = "quarantine.breach.v1"

    person_id: UUID
    order_id: UUID
    scan_id: UUID
    place_id: UUID
    area_id: str | None = None
    standing: bool = True
    reason: str
    evidence: tuple[Evidence, ...] = ()
    cause_id: UUID | None = None
