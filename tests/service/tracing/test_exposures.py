"""The SQL finds exactly whom the brute force finds, in whatever order the facts came."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from tests.oracle import exposure as oracle
from tests.service.tracing.desk import Desk
from tests.service.tracing.town import WINDOW, Size, Town, of_any_town, told_in_any_order, who


def expected(world: oracle.World, case: str) -> dict[Any, Any]:
    close = world.close_contacts(who(case), *WINDOW)
    second = world.contacts_of_contacts(who(case), close, WINDOW[1])
    found = {}
    for degree, people in (("contact_of_contact", second), ("close_contact", close)):
        for person, item in people.items():
            via = UUID(item.via) if degree == "contact_of_contact" else None
            evidence = sorted(item.evidence)
            found[UUID(person)] = (degree, via, item.first, item.last, evidence)
    return found


async def decided(desk: Desk, case: str) -> dict[Any, Any]:
    return {
        person: (
            row["degree"], row["via_person_id"], row["first_exposure_at"],
            row["last_exposure_at"], sorted(item["id"] for item in row["evidence"]),
        )
        for person, row in (await desk.contacts(case)).items()
    }  # fmt: skip


@of_any_town(examples=20)
async def test_sql_and_brute_force_agree_in_any_order_of_arrival(
    desk: Desk, size: Size, seed: int
) -> None:
    await desk.clear()
    town = Town(size, seed)
    order = town.random
    for batch in told_in_any_order(town):
        await desk.hear(*batch)
        if order.random() < 0.5:
            await desk.judge()
    await desk.judge()
    assert await decided(desk, "a") == expected(town.world, "a")


def test_generated_towns_have_both_degrees() -> None:
    size = Size(visits=20, encounters=70, memberships=1, links=1, orders=1, second_case=True)
    degrees = [
        degree
        for seed in range(40)
        for degree, *_ in expected(Town(size, seed).world, "a").values()
    ]
    assert degrees.count("close_contact") > 40
    assert degrees.count("contact_of_contact") > 20
