"""Judges scans against orders. Both sides store first: a scan and an order that come at the same
moment are judged by whichever evaluation starts after both commits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from services.quarantine.domain.breaches import (
    PERMITTED_JOURNEY,
    SCAN_OF_ANOTHER_PERSON,
    SCAN_WITHDRAWN,
    Breach,
    Judgement,
    breach_id,
    judge_scan,
)
from services.quarantine.domain.facts import ScanFact
from services.quarantine.domain.orders import Order, by_person
from services.quarantine.repository.breaches import (
    load_breaches,
    load_scans,
    persons_concerned,
    save_breaches,
)
from services.quarantine.repository.orders import load_orders
from shared.database.work import AuditDetails, Work
from shared.events.base import Evidence, event_id_of
from shared.events.quarantine import BreachChanged, OrderChanged

OWN_TO_SCANS = frozenset({SCAN_WITHDRAWN, SCAN_OF_ANOTHER_PERSON, PERMITTED_JOURNEY})


async def judge_scanned(work: Work, keys: Sequence[str]) -> None:
    """Dismiss the many scans of persons never under order; judge the others under their lock."""
    person_ids = await persons_concerned(work, [UUID(key) for key in keys])
    if person_ids:
        # The same lock as the evaluator "breaches" holds; statements after it see what it wrote.
        await work.lock(*(f"breaches/{person_id}" for person_id in person_ids))
        await judge_breaches(work, [str(person_id) for person_id in person_ids])


async def judge_breaches(work: Work, keys: Sequence[str]) -> None:
    """Recompute the breaches of these persons; the caller holds `breaches/<person>` for each."""
    person_ids = [UUID(key) for key in keys]
    scans = await load_scans(work, person_ids)
    known = await load_breaches(work, person_ids)
    # Most who come under order or out of it were not seen meanwhile.
    orders = by_person(await load_orders(work, list(scans)))
    written: list[Breach] = []
    for person_id, seen in scans.items():
        own = orders.get(person_id, [])
        for scan in sorted(seen, key=lambda item: (item.occurred_at, item.id)):
            judgement = judge_scan(person_id, scan, own)
            before = known.get(breach_id(person_id, scan.id))
            after = _breach_of(person_id, scan, judgement, before, own)
            if after is None or after == before:
                continue
            written.append(after)
            if before is None or before.version < after.version:
                _announce(work, after, own)
    await save_breaches(work, written, work.now())
    # Scans here may have gone to another person while we judged: look once more after the commit.
    work.due("scanned", (str(one.scan_id) for one in written if one.standing))


def _breach_of(
    person_id: UUID,
    scan: ScanFact,
    judgement: Judgement,
    before: Breach | None,
    orders: Sequence[Order],
) -> Breach | None:
    """The breach as it should stand; None when there is none and never was."""
    order = judgement.order
    if order is None and before is None:
        return None
    if order is not None:
        after = Breach(
            id=breach_id(person_id, scan.id),
            version=before.version if before else 0,
            person_id=person_id,
            order_id=order.id,
            scan_id=scan.id,
            scan_version=scan.version,
            place_id=scan.place_id,
            area_id=scan.area_id or order.content.area_id,
            occurred_at=scan.occurred_at,
            standing=True,
            reason=judgement.reason,
            cause_id=before.cause_id if before else None,
        )
    else:
        assert before is not None  # one of the two is there, see above
        after = replace(before, standing=False, reason=judgement.reason, scan_version=scan.version)
    if before is not None and replace(before, scan_version=scan.version) == after:
        # A correction without effect: remembered, so that it is not named as a later cause.
        return after
    return replace(
        after, version=after.version + 1, cause_id=_cause_of(scan, judgement, before, orders)
    )


def _cause_of(
    scan: ScanFact, judgement: Judgement, before: Breach | None, orders: Sequence[Order]
) -> UUID:
    corrected = before is not None and before.scan_version != scan.version
    if before is None or corrected or judgement.reason in OWN_TO_SCANS:
        return scan.event_id
    wanted = judgement.order.id if judgement.order else before.order_id
    order = next((one for one in orders if one.id == wanted), None)
    return event_id_of(OrderChanged.type, order.id, order.version) if order else scan.event_id


def _announce(work: Work, breach: Breach, orders: Sequence[Order]) -> None:
    order = next((one for one in orders if one.id == breach.order_id), None)
    event = BreachChanged(
        record_id=breach.id,
        record_version=breach.version,
        occurred_at=breach.occurred_at,
        recorded_at=work.now(),
        person_id=breach.person_id,
        order_id=breach.order_id,
        scan_id=breach.scan_id,
        place_id=breach.place_id,
        area_id=breach.area_id,
        standing=breach.standing,
        reason=breach.reason,
        evidence=(
            Evidence(kind="scan", id=breach.scan_id, version=breach.scan_version),
            Evidence(kind="order", id=breach.order_id, version=order.version if order else 1),
        ),
        cause_id=breach.cause_id,
    )
    work.announce(event)
    details = AuditDetails(
        area_id=breach.area_id,
        reason=breach.reason,
        cause_id=breach.cause_id,
        policy=order.content.terms.policy if order else None,
    )
    action = "breach_found" if breach.standing else "breach_withdrawn"
    work.audit(action, "breach", breach.id, version=breach.version, details=details)
