"""From cases and contacts to orders, and back."""

from __future__ import annotations

from shared.events.policy import PolicyChanged
from shared.events.quarantine import OrderChanged
from shared.events.tracing import CaseChanged, ContactChanged
from tests.service.quarantine.ward import COUNTY, Town, Ward, area, on


async def test_a_contact_gets_an_order_with_reason_policy_and_support(
    ward: Ward, town: Town
) -> None:
    contact = town.contact("a")
    await ward.tell(town.case("a"), contact)
    [told] = await ward.said(OrderChanged, town.person_id)
    assert (told.kind, told.measure, told.status) == ("quarantine", "central", "open")
    assert (told.from_at, told.until_at) == (on(10), on(22, 16))
    assert [support.id for support in told.supports] == [contact.record_id]
    assert told.policy == "quarantine.measures.covid19@1"
    assert told.cause_id == contact.event_id
    assert told.area_id == COUNTY


async def test_a_contact_waits_for_its_case(ward: Ward, town: Town) -> None:
    await ward.tell(town.contact("a"))
    assert await ward.orders(town.person_id) == []
    await ward.tell(town.case("a"))
    [order] = await ward.orders(town.person_id)
    assert order["from_at"] == on(10)


async def test_a_contact_of_two_cases_keeps_its_order_when_one_case_is_discarded(
    ward: Ward, town: Town
) -> None:
    later = town.contact("b", last_exposure_at=on(9), degree="contact_of_contact")
    await ward.tell(town.case("a"), town.case("b"), town.contact("a"), later)
    [before] = await ward.orders(town.person_id)
    gone = town.contact("a", version=2, standing=False, reason="case_discarded")
    await ward.tell(town.case("a", version=2, standing=False), gone)
    [after] = await ward.orders(town.person_id)
    assert after["id"] == before["id"]
    assert (before["until_at"], after["until_at"]) == (on(23, 16), on(23, 16))
    assert after["status"] == "open"
    assert [line["id"] for line in after["supports"]] == [str(later.record_id)]
    measures = [told.measure for told in await ward.said(OrderChanged, town.person_id)]
    assert measures == ["central", "home"]


async def test_a_case_wakes_its_contacts_only_with_what_their_orders_rest_on(
    ward: Ward, town: Town
) -> None:
    await ward.tell(town.case("a"), town.contact("a"))
    await ward.hear(town.case("a", version=2, standing=False))
    assert await ward.due_kinds() == ["person"]
    await ward.judge()
    later = town.case("a", version=3, reported_at=on(9))
    await ward.hear(later)
    assert await ward.due_kinds() == ["case"]
    await ward.judge()
    [order] = await ward.orders(town.person_id)
    assert (order["status"], order["from_at"]) == ("open", on(9))


async def test_a_withdrawal_leaves_a_trail_and_the_order_comes_back_under_its_id(
    ward: Ward, town: Town
) -> None:
    gone = town.contact("a", version=2, standing=False)
    await ward.tell(town.case("a"), town.contact("a"))
    await ward.tell(gone)
    await ward.tell(town.contact("a", version=3))
    [order] = await ward.orders(town.person_id)
    assert (order["status"], order["version"]) == ("open", 3)
    told = await ward.said(OrderChanged, town.person_id)
    assert [one.record_id for one in told] == [order["id"]] * 3
    assert [one.status for one in told] == ["open", "withdrawn", "open"]
    assert told[1].reason == "no_support_left"
    assert told[1].cause_id == gone.event_id
    trail = await ward.audit(order["id"])
    assert [line["action"] for line in trail] == [
        "order_opened",
        "order_withdrawn",
        "order_opened",
    ]
    assert [line["cause_id"] for line in trail] == [one.cause_id for one in told]
    assert {line["actor"] for line in trail} == {"due:person"}


async def test_a_case_is_isolated_beside_its_quarantine(ward: Ward, town: Town) -> None:
    await ward.tell(town.case("a"), town.contact("a"), town.case("self"))
    orders = await ward.orders(town.person_id)
    assert {(order["kind"], order["terms"]["rule"]["name"]) for order in orders} == {
        ("quarantine", "central"),
        ("isolation", "hospital"),
    }


async def test_a_newer_report_of_the_case_dates_the_order_anew(ward: Ward, town: Town) -> None:
    await ward.tell(town.case("a"), town.contact("a"))
    await ward.tell(town.case("a", version=2, reported_at=on(9)))
    [order] = await ward.orders(town.person_id)
    assert (order["from_at"], order["version"]) == (on(9), 2)


async def test_what_is_told_again_changes_nothing(ward: Ward, town: Town) -> None:
    events: tuple[CaseChanged | ContactChanged, ...] = (town.case("a"), town.contact("a"))
    await ward.tell(*events)
    await ward.tell(*events, *events)
    assert len(await ward.said(OrderChanged, town.person_id)) == 1


async def test_the_residence_and_its_zone_count_whenever_they_come(ward: Ward, town: Town) -> None:
    await ward.tell(town.case("a"), town.contact("a"))
    await ward.tell(town.residence("kr:1"))
    await ward.tell(area("kr:1", "Asia/Seoul"))
    [order] = await ward.orders(town.person_id)
    assert order["area_id"] == "kr:1"
    assert order["until_at"] == on(22, 15)


async def test_an_exercise_orders_nobody(ward: Ward, town: Town) -> None:
    drill = town.contact("a").model_copy(update={"exercise": True})
    await ward.tell(town.case("a"), drill)
    assert await ward.orders(town.person_id) == []


async def test_a_day_without_a_policy_is_a_finding(ward: Ward, town: Town) -> None:
    before = on(10).replace(year=2003)
    case = town.case("a", reported_at=before)
    await ward.tell(case, town.contact("a", last_exposure_at=before))
    assert await ward.orders(town.person_id) == []
    trail = await ward.audit(case.record_id)
    assert {line["reason"] for line in trail} == {"no_policy_in_force"}


async def test_a_policy_that_comes_last_judges_who_waited_for_it(
    bare_ward: Ward, town: Town
) -> None:
    await bare_ward.tell(town.case("a"), town.contact("a"), town.scan("s", on(11)))
    assert await bare_ward.orders(town.person_id) == []
    await bare_ward.store_presets()
    await bare_ward.tell(*await bare_ward.said(PolicyChanged))
    [order] = await bare_ward.orders(town.person_id)
    assert order["status"] == "open"
    assert len(await bare_ward.breaches(town.person_id)) == 1


async def test_the_clock_ends_the_order(ward: Ward, town: Town) -> None:
    await ward.tell(town.case("a"), town.contact("a"))
    await ward.move_to(on(22, 16))
    told = await ward.said(OrderChanged, town.person_id)
    assert [(one.status, one.reason) for one in told] == [
        ("open", "close_contact"),
        ("ended", "period_over"),
    ]


async def test_the_timer_of_a_withdrawn_order_does_nothing(ward: Ward, town: Town) -> None:
    await ward.tell(town.case("a"), town.contact("a"))
    await ward.tell(town.contact("a", version=2, standing=False))
    await ward.move_to(on(23))
    told = await ward.said(OrderChanged, town.person_id)
    assert [one.status for one in told] == ["open", "withdrawn"]
    assert await ward.checks(town.person_id) == []
