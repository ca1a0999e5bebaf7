"""Two processes at once, and facts in any order, repeated and cut into any batches."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.events.base import Event
from shared.events.quarantine import BreachChanged, OrderChanged
from tests.service.quarantine.ward import Town, Ward, area, on

PERSONS = 25


async def test_two_processes_on_the_same_persons_make_one_order_and_one_breach_each(
    ward: Ward, second: Ward
) -> None:
    towns = [Town.new() for _ in range(PERSONS)]

    async def facts() -> None:
        for town in towns:
            await ward.hear(town.contact("a"), town.contact("b"))
            await ward.hear(town.case("a"), town.case("b"))

    async def scans() -> None:
        for town in towns:
            await second.hear(town.scan("s", on(11)))

    telling = asyncio.gather(facts(), scans())
    while not telling.done():
        await asyncio.gather(ward.judge(), second.judge())
    await telling
    await asyncio.gather(ward.judge(), second.judge())
    await ward.judge()
    for town in towns:
        [order] = await ward.orders(town.person_id)
        assert len(order["supports"]) == 2
        [breach] = await ward.breaches(town.person_id)
        assert breach["standing"]
        assert breach["order_id"] == order["id"]
    told = [(one.record_id, one.record_version) for one in await ward.said(OrderChanged)]
    assert len(told) == len(set(told))
    assert len(await ward.said(BreachChanged)) == PERSONS


def story(town: Town) -> list[Event]:
    """Two cases, one discarded; scans before, during, permitted, corrected; a late residence."""
    return [
        town.case("a"),
        town.case("a", version=2, standing=False, classification="discarded"),
        town.contact("a"),
        town.contact("a", version=2, standing=False, reason="case_discarded"),
        town.case("b", reported_at=on(10, 18)),
        town.contact("b", degree="contact_of_contact"),
        town.contact("b", version=2, degree="contact_of_contact", last_exposure_at=on(9)),
        town.case("self", reported_at=on(11, 6), classification="probable"),
        town.residence(f"kr:{town.person_id}"),
        area(f"kr:{town.person_id}", "Asia/Seoul"),
        town.scan("between", on(10, 15)),
        town.scan("during", on(10, 20)),
        town.scan("permitted", on(10, 21), permit="test"),
        town.scan("corrected", on(10, 22)),
        town.scan("corrected", on(9), version=2),
        town.scan("moved in", on(9)),
        town.scan("moved in", on(10, 23), version=2),
        town.scan("withdrawn", on(11)),
        town.scan("withdrawn", on(11), version=2, status="withdrawn"),
    ]


async def end_state(ward: Ward, town: Town) -> dict[str, Any]:
    """What stands in the end, without ids of orders and versions."""
    kinds: dict[UUID, str] = {}
    orders = []
    for order in await ward.orders(town.person_id):
        kinds[order["id"]] = order["kind"]
        if order["status"] != "withdrawn":
            names = ("kind", "status", "from_at", "until_at", "area_id", "supports", "reason")
            orders.append({name: order[name] for name in names} | {"terms": order["terms"]})
    told = ("scan_id", "occurred_at", "area_id", "reason")
    breaches = [
        {name: one[name] for name in told} | {"order": kinds[one["order_id"]]}
        for one in await ward.breaches(town.person_id)
        if one["standing"]
    ]
    return {"orders": sorted(orders, key=lambda one: one["kind"]), "breaches": breaches}


async def expected_state(ward: Ward, town: Town) -> dict[str, Any]:
    """The same story told in order, to the same ward, for a town with other ids."""
    await ward.tell(*story(town))
    return await end_state(ward, town)


def without_ids(state: dict[str, Any], town: Town) -> str:
    """Comparable between towns: each derived id by the name of its event."""
    said = str(state).replace(str(town.person_id), "person")
    for event in story(town):
        name = f"{event.type}/{event.occurred_at.isoformat()}"
        if event.record_version == 1:
            said = said.replace(str(event.record_id), name)
    return said


async def test_the_story_ends_as_a_reader_expects(ward: Ward, town: Town) -> None:
    state = await expected_state(ward, town)
    isolation, quarantine = state["orders"]
    assert quarantine["terms"]["rule"]["name"] == "home"
    assert (quarantine["from_at"], quarantine["until_at"]) == (on(10, 18), on(23, 15))
    assert (isolation["from_at"], isolation["until_at"]) == (on(11, 6), on(25, 15))
    assert [one["occurred_at"] for one in state["breaches"]] == [on(10, 20), on(10, 23)]


LENGTH = len(story(Town.new()))


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    order=st.permutations(range(LENGTH)),
    again=st.lists(st.integers(0, LENGTH - 1), max_size=5),
    judged_after=st.sets(st.integers(0, LENGTH - 1)),
)
async def test_the_end_does_not_depend_on_the_order_of_arrival(
    ward: Ward, order: Sequence[int], again: list[int], judged_after: set[int]
) -> None:
    model, town = Town.new(), Town.new()
    expected = without_ids(await expected_state(ward, model), model)
    events = story(town)
    for position, index in enumerate([*order, *again]):
        await ward.hear(events[index])
        if position in judged_after:
            await ward.judge()
    await ward.judge()
    assert without_ids(await end_state(ward, town), town) == expected
