"""Copies of persons, areas, policies and orders, and the judging that a change of them asks for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from services.tracing.repository.facts import store_newer
from services.tracing.repository.policies import WINDOWS
from services.tracing.tables import facts, standard
from shared.areas import store_areas
from shared.database.work import Work
from shared.events.intake import AreaChanged, PersonChanged
from shared.events.policy import PolicyChanged
from shared.events.quarantine import OrderChanged


async def store_persons(work: Work, persons: Sequence[PersonChanged]) -> None:
    """Where a person lives decides which area a case belongs to."""
    stored = await store_newer(
        work,
        facts.person,
        [
            {
                "person_id": item.record_id,
                "version": item.record_version,
                "residence_area_id": item.residence_area_id,
            }
            for item in persons
        ],
    )
    if stored.changed:
        work.due("person", (str(item.record_id) for item in persons))


async def store_area_copies(work: Work, areas: Sequence[AreaChanged]) -> None:
    """An area's zone decides what a day is, its ancestors which policy is the nearest."""
    work.due("area", await store_areas(work, standard, areas))


async def hear_policies(work: Work, policies: Sequence[PolicyChanged]) -> None:
    """Our own policies are in our table already; what they decide must be judged anew."""
    ours = [item for item in policies if item.kind == WINDOWS.name]
    work.due("disease", (item.disease or "*" for item in ours))


async def store_orders(work: Work, orders: Sequence[OrderChanged]) -> None:
    """Only supports that put a close contact apart are kept: they end its second degree."""
    stored = await store_newer(
        work,
        facts.order,
        [
            {
                "id": item.record_id,
                "version": item.record_version,
                "person_id": item.person_id,
                "status": item.status,
                "supports": _apart(item),
            }
            for item in orders
        ],
    )
    if stored.changed:
        work.due("person", (str(item.person_id) for item in orders))


def _apart(order: OrderChanged) -> list[dict[str, Any]]:
    return [
        {"from_at": support.from_at.isoformat(), "until_at": support.until_at.isoformat()}
        for support in order.supports
        if support.kind == "contact" and support.degree == "close_contact"
    ]
