"""Judges the orders of persons from all that is known of them, and writes the difference."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import get_args
from uuid import UUID

from services.quarantine.domain.facts import CaseFact, ContactFact, OrderKind, PersonFacts
from services.quarantine.domain.orders import (
    Decision,
    Order,
    Rulebook,
    Support,
    by_person,
    decide_orders,
    support_of_case,
    support_of_contact,
)
from services.quarantine.errors import OrderNotFound, OrderWithdrawn
from services.quarantine.repository.copies import load_persons, load_zones
from services.quarantine.repository.orders import (
    find_order,
    lock_orders,
    lock_orders_of_persons,
    save_orders,
)
from services.quarantine.repository.policies import PolicyBook
from shared.access import Viewer
from shared.database.work import AuditDetails, Work
from shared.events.quarantine import OrderChanged
from shared.events.quarantine import Support as ToldSupport
from shared.ids import new_id

# What of a person's facts gives which kind of order.
KINDS: tuple[OrderKind, ...] = get_args(OrderKind)
SUPPORT_KINDS = {"quarantine": "contact", "isolation": "case"}


async def judge_persons(work: Work, keys: Sequence[str]) -> None:
    """Recompute every order of these persons. Breaches and check-ins are due after the commit:
    judged here, a scan stored at the same moment would be seen by neither side."""
    person_ids = [UUID(key) for key in keys]
    stored = by_person(await lock_orders_of_persons(work, person_ids))
    facts = await load_persons(work, person_ids)
    supports = await _find_supports(work, facts)
    written: list[tuple[Order, UUID | None]] = []
    for person_id, person in facts.items():
        own = stored.get(person_id, [])
        changed = _decide(work, person, stored=own, supports=supports[person_id])
        written += changed
        newest = {order.id: order for order in own} | {order.id: order for order, _ in changed}
        _watch_end(work, person_id, newest.values())
    await save_orders(work, written, work.now())
    work.due("breaches", {str(order.person_id) for order, _ in written})
    work.due("checks", {str(order.id) for order, _ in written})


def _decide(
    work: Work, person: PersonFacts, *, stored: Sequence[Order], supports: Sequence[Support]
) -> list[tuple[Order, UUID | None]]:
    giving = {support.id for support in supports}
    known: list[ContactFact | CaseFact] = [*person.contacts, *person.cases]
    lost = {fact.id: fact.event_id for fact in known if fact.id not in giving}
    written = []
    for kind in KINDS:
        decisions = decide_orders(
            [support for support in supports if support.kind == SUPPORT_KINDS[kind]],
            [order for order in stored if order.kind == kind],
            residence_area_id=person.residence_area_id,
            lost=lost,
            now=work.now(),
        )
        for decision in decisions:
            order = _order_of(person.person_id, kind, decision, now=work.now())
            announce_order(work, order, cause_id=decision.cause_id)
            _record(work, order, decision)
            written.append((order, decision.cause_id))
    return written


def _order_of(person_id: UUID, kind: OrderKind, decision: Decision, *, now: datetime) -> Order:
    own = frozenset(line.id for line in decision.content.supports)
    before = decision.stored
    if before is None:
        return Order(
            id=new_id(),
            version=1,
            person_id=person_id,
            kind=kind,
            content=decision.content,
            support_ids=own,
            allowed_place_ids=(),
            checks_after_at=now,
        )
    return replace(
        before,
        version=before.version + 1,
        content=decision.content,
        support_ids=before.support_ids | own,
        checks_after_at=now if decision.opens else before.checks_after_at,
    )


def announce_order(work: Work, order: Order, *, cause_id: UUID | None) -> None:
    """Say this version of the order."""
    content = order.content
    event = OrderChanged(
        record_id=order.id,
        record_version=order.version,
        occurred_at=content.from_at,
        recorded_at=work.now(),
        person_id=order.person_id,
        kind=order.kind,
        measure=content.terms.rule.name,
        status=content.status,
        from_at=content.from_at,
        until_at=content.until_at,
        area_id=content.area_id,
        allowed_place_ids=order.allowed_place_ids,
        supports=tuple(
            ToldSupport(
                kind=line.kind,
                id=line.id,
                degree=line.degree,
                from_at=line.from_at,
                until_at=line.until_at,
            )
            for line in content.supports
        ),
        reason=content.reason,
        cause_id=cause_id,
        policy=content.terms.policy,
    )
    work.announce(event)


def _record(work: Work, order: Order, decision: Decision) -> None:
    status = decision.content.status
    action = "order_opened" if decision.opens else f"order_{status}"
    if status == "open" and not decision.opens:
        action = "order_changed"
    content = decision.content
    details = AuditDetails(
        area_id=content.area_id,
        reason=content.reason,
        policy=content.terms.policy,
        cause_id=decision.cause_id,
    )
    work.audit(action, "order", order.id, version=order.version, details=details)


def _watch_end(work: Work, person_id: UUID, orders: Iterable[Order]) -> None:
    ends = [order.content.until_at for order in orders if order.content.status == "open"]
    if ends:
        work.timer("order_end", str(person_id), min(ends))


async def _find_supports(work: Work, facts: dict[UUID, PersonFacts]) -> dict[UUID, list[Support]]:
    book = PolicyBook(work)
    zones = await load_zones(work, _areas_of(facts.values()))
    found: dict[UUID, list[Support]] = {}
    for person_id, person in facts.items():
        own = found.setdefault(person_id, [])
        for contact in person.contacts:
            if contact.standing and contact.case is not None:
                rulebook = await _rulebook(
                    work, book, zones, case=contact.case, residence=person.residence_area_id
                )
                if rulebook and (support := support_of_contact(contact, rulebook)):
                    own.append(support)
        for case in person.cases:
            if case.standing:
                rulebook = await _rulebook(
                    work, book, zones, case=case, residence=person.residence_area_id
                )
                if rulebook and (from_case := support_of_case(case, rulebook)):
                    own.append(from_case)
    return found


async def _rulebook(
    work: Work,
    book: PolicyBook,
    zones: dict[str, str],
    *,
    case: CaseFact,
    residence: str | None,
) -> Rulebook | None:
    """The policy at the report of the case, in the area of the order. Without one nothing can be
    ordered: that stands in the audit, and a policy that comes later judges the person again."""
    area_id = residence or case.area_id
    policy = await book.measures(at=case.reported_at, disease=case.disease, area_id=area_id)
    if policy is None:
        details = AuditDetails(area_id=area_id, reason="no_policy_in_force", cause_id=case.event_id)
        work.audit("order_undecided", "case", case.id, version=case.version, details=details)
        return None
    return Rulebook(policy.document, policy.name, zones.get(area_id) if area_id else None)


def _areas_of(persons: Iterable[PersonFacts]) -> set[str]:
    found: set[str | None] = set()
    for person in persons:
        found.add(person.residence_area_id)
        found |= {case.area_id for case in person.cases}
        found |= {contact.case.area_id for contact in person.contacts if contact.case}
    return {area_id for area_id in found if area_id is not None}


async def allow_place(
    work: Work, viewer: Viewer, *, order_id: UUID, place_id: UUID, reason: str
) -> Order:
    """Let an order's person be at a place (their site, their dialysis clinic). No favours: who
    allowed it and why stands in the audit. Scans there are judged again."""
    if await find_order(work, viewer, order_id) is None:
        raise OrderNotFound(order_id)
    [order] = await lock_orders(work, [order_id])
    if order.content.status == "withdrawn":
        raise OrderWithdrawn(order_id)
    if place_id in order.allowed_place_ids:
        return order
    places = tuple(sorted({*order.allowed_place_ids, place_id}))
    changed = replace(order, version=order.version + 1, allowed_place_ids=places)
    await save_orders(work, [(changed, None)], work.now())
    announce_order(work, changed, cause_id=None)
    details = AuditDetails(area_id=order.content.area_id, reason=reason)
    work.audit("order_place_allowed", "order", order_id, version=changed.version, details=details)
    work.due("breaches", [str(order.person_id)])
    return changed
