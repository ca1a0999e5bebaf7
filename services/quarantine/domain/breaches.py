"""Whether a scan of a person under order is a breach, judged at the scan's event time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from services.quarantine.domain.facts import ScanFact
from services.quarantine.domain.orders import Order
from shared.ids import derived_id

OUTSIDE_ORDER = "scanned_outside_order"
SCAN_WITHDRAWN = "scan_withdrawn"
SCAN_OF_ANOTHER_PERSON = "scan_of_another_person"
PERMITTED_JOURNEY = "permitted_journey"
NO_ORDER_AT_THAT_TIME = "no_order_at_that_time"
PLACE_ALLOWED = "place_allowed"


@dataclass(frozen=True, slots=True)
class Judgement:
    """The order that a scan breaks, or None with the reason why it breaks none."""

    order: Order | None
    reason: str


@dataclass(frozen=True, slots=True)
class Breach:
    """A stored breach."""

    id: UUID
    version: int
    person_id: UUID
    order_id: UUID
    scan_id: UUID
    scan_version: int
    place_id: UUID
    area_id: str | None
    occurred_at: datetime
    standing: bool
    reason: str
    cause_id: UUID | None


def breach_id(person_id: UUID, scan_id: UUID) -> UUID:
    """One per person and scan: a second order on the same person makes no second breach."""
    return derived_id("breach", person_id, scan_id)


def judge_scan(person_id: UUID, scan: ScanFact, orders: Sequence[Order]) -> Judgement:
    """A breach is a recorded scan, without a permit, where some order then in force forbids it.

    An offline scan from before the order is none, a permitted journey is none, and neither is
    leaving where the measure allows it (health monitoring). Late orders judge earlier scans.
    """
    if not scan.recorded:
        return Judgement(None, SCAN_WITHDRAWN)
    if scan.person_id != person_id:
        return Judgement(None, SCAN_OF_ANOTHER_PERSON)
    if scan.permitted:
        return Judgement(None, PERMITTED_JOURNEY)
    in_force = [
        order
        for order in orders
        if order.content.status != "withdrawn"
        and order.content.from_at <= scan.occurred_at < order.content.until_at
    ]
    if not in_force:
        return Judgement(None, NO_ORDER_AT_THAT_TIME)
    broken = [order for order in in_force if not _allows(order, scan)]
    if not broken:
        return Judgement(None, PLACE_ALLOWED)
    strictest = max(broken, key=lambda order: (order.content.terms.rule.strictness, order.kind))
    return Judgement(strictest, OUTSIDE_ORDER)


def _allows(order: Order, scan: ScanFact) -> bool:
    rule = order.content.terms.rule
    return (
        rule.may_leave
        or scan.place_id in order.allowed_place_ids
        or scan.place_kind in rule.allowed_place_kinds
    )
