"""The SQL finds exactly whom the brute force finds, in whatever order the facts came."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.oracle import exposure as oracle
from tests.service.tracing.desk import Desk
from tests.service.tracing.town import WINDOW, Size, Town, sizes, who


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


@settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(size=sizes, seed=st.integers(0, 1 << 32))
async def test_sql_and_brute_force_agree_in_any_order_of_arrival(
    desk: Desk, size: Size, seed: int
) -> None:
    await desk.clear()
    town = Town(size, seed)
    order = town.random
    events = [*town.events, *order.sample(town.events, k=len(town.events) // 3)]
    order.shuffle(events)
    while events:
        number = order.randint(1, 12)
        batch, events = events[:number], events[number:]
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
