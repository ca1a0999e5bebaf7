"""Scans against orders, in whatever order they come."""

from __future__ import annotations

from services.quarantine.handlers.breaches import judge_scanned
from services.quarantine.handlers.orders import judge_persons
from services.quarantine.tables import standard
from shared.database.work import Actor
from shared.events.quarantine import BreachChanged, OrderChanged
from tests.service.quarantine.ward import COUNTY, STATION, Town, Ward, on


async def test_a_scan_under_order_is_a_breach_with_its_evidence(ward: Ward, town: Town) -> None:
    await ward.tell(town.case("a"), town.contact("a"))
    scan = town.scan("s", on(11))
    await ward.tell(scan)
    [told] = await ward.said(BreachChanged)
    [order] = await ward.orders(town.person_id)
    assert (told.order_id, told.scan_id) == (order["id"], scan.record_id)
    assert (told.place_id, told.area_id, told.occurred_at) == (STATION, COUNTY, on(11))
    assert told.standing
    assert told.cause_id == scan.event_id
    assert {item.kind for item in told.evidence} == {"scan", "order"}


async def test_a_scan_before_the_order_is_never_a_breach_even_if_it_comes_late(
    ward: Ward, town: Town
) -> None:
    await ward.tell(town.case("a"), town.contact("a"))
    await ward.tell(town.scan("s", on(10, 11)))
    assert await ward.said(BreachChanged) == []


async def test_a_permitted_journey_is_never_a_breach(ward: Ward, town: Town) -> None:
    await ward.tell(town.case("a"), town.contact("a"))
    await ward.tell(town.scan("s", on(11), permit="transfer"))
    assert await ward.said(BreachChanged) == []


async def test_a_late_order_judges_the_scans_that_came_before_it(ward: Ward, town: Town) -> None:
    await ward.tell(town.scan("before", on(9)), town.scan("after", on(11)))
    assert await ward.said(BreachChanged) == []
    await ward.tell(town.case("a"), town.contact("a"))
    [told] = await ward.said(BreachChanged)
    assert told.scan_id == town.scan("after", on(11)).record_id


async def test_a_corrected_or_withdrawn_scan_withdraws_its_breach(ward: Ward, town: Town) -> None:
    await ward.tell(town.case("a"), town.contact("a"))
    await ward.tell(town.scan("s", on(11)), town.scan("t", on(11)))
    moved = town.scan("s", on(9), version=2)
    removed = town.scan("t", on(11), version=2, status="withdrawn")
    await ward.tell(moved, removed)
    breaches = await ward.breaches(town.person_id)
    assert {one["reason"] for one in breaches} == {"no_order_at_that_time", "scan_withdrawn"}
    assert not any(one["standing"] for one in breaches)
    assert {one["cause_id"] for one in breaches} == {moved.event_id, removed.event_id}
    await ward.tell(town.scan("s", on(11), version=3))
    told = [one for one in await ward.said(BreachChanged) if one.scan_id == moved.record_id]
    assert [one.standing for one in told] == [True, False, True]
    assert len({one.record_id for one in told}) == 1


async def test_a_scan_that_goes_to_another_person_takes_its_breach_along(
    ward: Ward, town: Town
) -> None:
    other = Town.new()
    for one in (town, other):
        await ward.tell(one.case("a"), one.contact("a"))
    await ward.tell(town.scan("s", on(11)))
    await ward.tell(town.scan("s", on(11), version=2, person_id=other.person_id))
    [old] = await ward.breaches(town.person_id)
    [new] = await ward.breaches(other.person_id)
    assert (old["standing"], old["reason"]) == (False, "scan_of_another_person")
    assert new["standing"]


async def test_a_withdrawn_order_withdraws_its_breaches_and_names_the_cause(
    ward: Ward, town: Town
) -> None:
    await ward.tell(town.case("a"), town.contact("a"), town.scan("s", on(11)))
    await ward.tell(town.contact("a", version=2, standing=False))
    found, withdrawn = await ward.said(BreachChanged)
    order = (await ward.said(OrderChanged, town.person_id))[-1]
    assert (found.standing, withdrawn.standing) == (True, False)
    assert withdrawn.cause_id == order.event_id
    trail = await ward.audit(withdrawn.record_id)
    assert [line["action"] for line in trail] == ["breach_found", "breach_withdrawn"]


async def test_a_correction_without_effect_says_nothing(ward: Ward, town: Town) -> None:
    await ward.tell(town.case("a"), town.contact("a"), town.scan("s", on(11)))
    await ward.tell(town.scan("s", on(11), version=2, temperature_c=37.0))
    assert len(await ward.said(BreachChanged)) == 1
    [breach] = await ward.breaches(town.person_id)
    assert (breach["version"], breach["scan_version"]) == (1, 2)


async def test_scans_of_strangers_are_dismissed(ward: Ward) -> None:
    await ward.tell(*(Town.new().scan("s", on(11)) for _ in range(300)))
    assert await ward.said(BreachChanged) == []


async def forget_due(ward: Ward) -> None:
    """All has been judged that others wrote: only the open transaction may bring a second look."""
    async with ward.database.work(Actor("test")) as work:
        await work.execute(standard.due.delete())


async def test_a_scan_stored_while_an_order_is_being_written_is_judged(
    ward: Ward, second: Ward, town: Town
) -> None:
    await ward.hear(town.case("a"), town.contact("a"))
    async with ward.database.work(Actor("due:person")) as work:
        await judge_persons(work, [str(town.person_id)])
        # The order is not committed: this process finds nobody under order and dismisses the scan.
        await second.hear(town.scan("s", on(11)))
        async with second.database.work(Actor("due:scanned")) as other:
            await judge_scanned(other, [str(town.scan("s", on(11)).record_id)])
        assert await second.breaches(town.person_id) == []
        await forget_due(second)
    await ward.judge()
    [breach] = await ward.breaches(town.person_id)
    assert breach["standing"]


async def test_a_scan_corrected_while_its_breach_is_being_written_is_judged_again(
    ward: Ward, second: Ward, town: Town
) -> None:
    await ward.tell(town.case("a"), town.contact("a"))
    scan = town.scan("s", on(11))
    await ward.hear(scan)
    async with ward.database.work(Actor("due:breaches")) as work:
        await judge_scanned(work, [str(scan.record_id)])
        # The breach is not committed: whoever looks for the scan's new person finds only them.
        await second.hear(town.scan("s", on(11), version=2, person_id=Town.new().person_id))
        async with second.database.work(Actor("due:scanned")) as other:
            await judge_scanned(other, [str(scan.record_id)])
        await forget_due(second)
    await ward.judge()
    [breach] = await ward.breaches(town.person_id)
    assert (breach["standing"], breach["reason"]) == (False, "scan_of_another_person")
