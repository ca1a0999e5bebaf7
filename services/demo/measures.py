"""Who must stay where, and who did not: the truth about orders and breaches."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any

from services.demo.exposure import Case, Contact
from services.demo.plan import ZONE, Scan, Town
from services.demo.told import Facts


@dataclass(frozen=True, slots=True)
class Support:
    """A contact (`rests_on` its case's person) or a case of the person's own."""

    rests_on: str
    degree: str
    measure: str
    from_at: datetime
    until_at: datetime


@dataclass(frozen=True, slots=True)
class Order:
    """All that keeps one person in, of one kind."""

    person: str
    kind: str
    measure: str
    from_at: datetime
    until_at: datetime
    supports: tuple[Support, ...]


@dataclass(frozen=True, slots=True)
class Breach:
    person: str
    scan: str
    place: str
    occurred_at: datetime


def orders_of(
    cases: Sequence[Case], contacts: Sequence[Contact], measures: dict[str, Any]
) -> list[Order]:
    """One order per person and kind, from everything that stands."""
    reported = {case.person: case.reported_at for case in cases}
    exposed = {rule["degree"]: rule for rule in measures["exposed"]}
    supports: dict[tuple[str, str], list[Support]] = defaultdict(list)
    for contact in contacts:
        rule, from_at = exposed[contact.degree], reported[contact.case]
        until_at = _end_of_day(contact.last_at, days=rule["days"])
        if until_at > from_at:
            supports[contact.person, "quarantine"].append(
                Support(contact.case, contact.degree, rule["measure"], from_at, until_at)
            )
    for case in cases:
        rule = measures["isolated"]
        until_at = _end_of_day(case.reported_at, days=rule["days"])
        supports[case.person, "isolation"].append(
            Support(case.person, "confirmed", rule["measure"], case.reported_at, until_at)
        )
    strictness = {rule["name"]: rule["strictness"] for rule in measures["measures"]}
    return [
        Order(
            person, kind,
            measure=max((one.measure for one in rests_on), key=strictness.__getitem__),
            from_at=min(one.from_at for one in rests_on),
            until_at=max(one.until_at for one in rests_on),
            supports=tuple(sorted(rests_on, key=lambda one: (one.rests_on, one.degree))),
        )
        for (person, kind), rests_on in sorted(supports.items())
    ]  # fmt: skip


def breaches_of(
    orders: Sequence[Order], facts: Facts, town: Town, measures: dict[str, Any]
) -> list[Breach]:
    """Scans where the person's order does not allow them, judged at the scan's own time."""
    rules = {rule["name"]: rule for rule in measures["measures"]}
    own: dict[str, list[Order]] = defaultdict(list)
    for order in orders:
        own[order.person].append(order)

    def forbids(order: Order, scan: Scan) -> bool:
        rule = rules[order.measure]
        in_force = order.from_at <= scan.occurred_at < order.until_at
        allowed = town.places[scan.place].kind in rule["allowed_place_kinds"]
        return in_force and not rule["may_leave"] and not allowed

    return [
        Breach(scan.person, scan.external_id, scan.place, scan.occurred_at)
        for scan in facts.scans
        if scan.permit is None and any(forbids(order, scan) for order in own[scan.person])
    ]


def _end_of_day(start_at: datetime, *, days: int) -> datetime:
    """Local midnight after so many whole days; the day of `start_at` itself is day 0."""
    day = start_at.astimezone(ZONE).date() + timedelta(days=days + 1)
    return datetime.combine(day, time(), tzinfo=ZONE)
