"""Check-ins: owed by the clock, done by people, missed by the clock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from services.quarantine.domain.checks import (
    Check,
    check_id,
    is_symptomatic,
    new_check,
    settle_checks,
    slot_of,
)
from services.quarantine.domain.orders import Order
from services.quarantine.errors import CheckInOutsideOrder, OrderNotFound, OrderWithdrawn
from services.quarantine.repository.checks import (
    add_check_in,
    load_check_ins,
    load_checks,
    save_checks,
)
from services.quarantine.repository.orders import (
    find_order,
    lock_orders,
    lock_orders_with_checks,
    save_checks_after,
)
from shared.access import Viewer
from shared.database.work import AuditDetails, Work
from shared.errors import FieldProblem
from shared.events.quarantine import CheckChanged
from shared.ids import derived_id

# How far a phone's clock may run ahead before we call the instant it sends wrong.
CLOCK_AHEAD_MOST = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class CheckInCommand:
    """One check-in as it was made; `temperature_c` in °C, `symptoms` as codes."""

    order_id: UUID
    done_at: datetime
    temperature_c: float | None
    symptoms: tuple[str, ...]
    author: str


async def fire_checks(work: Work, keys: Sequence[str]) -> None:
    """A check-in fell due or its deadline passed. Nothing is decided here: the timer's row is
    locked, and an order's row must be locked before a timer's, never after."""
    work.due("checks", keys)


async def fire_order_end(work: Work, keys: Sequence[str]) -> None:
    """The period of an order may be over: the person is judged again from the facts."""
    work.due("person", keys)


async def judge_checks(work: Work, keys: Sequence[str]) -> None:
    """Bring the check-ins of these orders to what they should be at this instant."""
    await _settle(work, await lock_orders_with_checks(work, [UUID(key) for key in keys]), {})


async def record_check_in(work: Work, viewer: Viewer, command: CheckInCommand) -> Check:
    """Store a check-in and answer what it counts for. Sent twice, it is stored once."""
    if await find_order(work, viewer, command.order_id) is None:
        raise OrderNotFound(command.order_id)
    [order] = await lock_orders(work, [command.order_id])
    _refuse_outside(order, command.done_at, now=work.now())
    known = (await load_checks(work, [order.id])).get(order.id, [])
    due_at = slot_of(order, command.done_at, {check.due_at for check in known})
    counted_id = check_id(order.id, due_at)
    symptomatic = is_symptomatic(
        order.content.terms, symptoms=command.symptoms, temperature_c=command.temperature_c
    )
    measured = (command.temperature_c, ",".join(sorted(command.symptoms)), command.author)
    row = {
        "id": derived_id("check_in", counted_id, command.done_at.isoformat(), *measured),
        "check_id": counted_id,
        "order_id": order.id,
        "done_at": command.done_at,
        "temperature_c": command.temperature_c,
        "symptoms": sorted(command.symptoms),
        "symptomatic": symptomatic,
        "author": command.author,
        "recorded_at": work.now(),
    }
    if await add_check_in(work, row):
        details = AuditDetails(area_id=order.content.area_id, reason="checked_in")
        work.audit("check_in_recorded", "check", counted_id, details=details)
    settled = await _settle(work, [order], {order.id: new_check(order, due_at)})
    return settled[counted_id]


def _refuse_outside(order: Order, done_at: datetime, *, now: datetime) -> None:
    content = order.content
    if content.status == "withdrawn":
        raise OrderWithdrawn(order.id)
    latest_at = min(content.until_at, now + CLOCK_AHEAD_MOST)
    if not content.from_at <= done_at < latest_at:
        expected = f"an instant from {content.from_at.isoformat()} to {latest_at.isoformat()}"
        raise CheckInOutsideOrder(
            "this check-in lies outside the order's period or in the future",
            "send the instant at which it was made",
            [FieldProblem("done_at", "outside the order's period or in the future", expected)],
        )


async def _settle(
    work: Work, orders: Sequence[Order], announced: dict[UUID, Check]
) -> dict[UUID, Check]:
    """Settle these locked orders; `announced` are checks for which somebody came early or unasked.

    Returns every check of the orders as it is now.
    """
    order_ids = [order.id for order in orders]
    checks = await load_checks(work, order_ids)
    check_ins = await load_check_ins(work, order_ids)
    written: list[Check] = []
    moved: list[tuple[UUID, datetime]] = []
    now_known = {check.id: check for own in checks.values() for check in own}
    for order in orders:
        own = checks[order.id]
        early = announced.get(order.id)
        if early is not None and early.id not in now_known:
            own = [*own, early]
        settlement = settle_checks(order, own, check_ins[order.id], now=work.now())
        for check in settlement.changed:
            after = replace(check, version=check.version + 1)
            _announce(work, after, order)
            written.append(after)
        if settlement.checks_after_at != order.checks_after_at:
            moved.append((order.id, settlement.checks_after_at))
        _watch(work, order.id, "check", settlement.next_check_at)
        _watch(work, order.id, "check_deadline", settlement.next_deadline_at)
    await save_checks(work, written)
    await save_checks_after(work, moved)
    return now_known | {check.id: check for check in written}


def _watch(work: Work, order_id: UUID, kind: str, due_at: datetime | None) -> None:
    # A timer that is no longer needed stays and does nothing when it fires.
    if due_at is not None:
        work.timer(kind, str(order_id), due_at)


def _announce(work: Work, check: Check, order: Order) -> None:
    event = CheckChanged(
        record_id=check.id,
        record_version=check.version,
        occurred_at=check.due_at,
        recorded_at=work.now(),
        order_id=check.order_id,
        person_id=check.person_id,
        due_at=check.due_at,
        done_at=check.done_at,
        status=check.status,
        symptomatic=check.symptomatic,
        area_id=order.content.area_id,
    )
    work.announce(event)
    details = AuditDetails(
        area_id=order.content.area_id, reason=check.status, policy=order.content.terms.policy
    )
    work.audit(f"check_{check.status}", "check", check.id, version=check.version, details=details)
