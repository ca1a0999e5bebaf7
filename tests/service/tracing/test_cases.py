"""What makes a case, what takes it away again, and what follows it."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from sqlalchemy import text

from services.tracing.handlers.case_judgement import judge_cases
from services.tracing.repository.cases import case_key
from shared.database.work import Actor
from shared.events.base import Event
from shared.events.intake import ScanRecorded
from shared.events.tracing import CaseChanged, ContactChanged
from tests.service.tracing.desk import (
    DISEASE,
    Desk,
    area,
    declared,
    encounter,
    id_of,
    link,
    membership,
    order,
    person,
    place,
    result,
    scan,
)

ONSET = date(2021, 3, 5)
# Midnight of 3 March in China: two days before the onset.
FROM = datetime(2021, 3, 2, 16, tzinfo=UTC)
UNTIL = datetime(2021, 3, 15, 16, tzinfo=UTC)


def on(day: int, hour: int = 4, minute: int = 0) -> datetime:
    """An instant of March 2021, UTC; by default noon in China."""
    return datetime(2021, 3, day, hour, minute, tzinfo=UTC)


def at_school(*persons: str) -> list[ScanRecorded]:
    """Each of them is at one school for the same two hours of 4 March."""
    return [
        scan(f"scan {name}", name, "school", on(4), left_at=on(4, 6), place_kind="school")
        for name in persons
    ]


async def test_a_positive_result_opens_a_case_with_window_and_contacts(desk: Desk) -> None:
    await desk.tell(*at_school("ill", "near"), result("r", "ill", on(6), onset_date=ONSET))
    case = await desk.case("ill")
    assert case["standing"]
    assert case["classification"] == "confirmed"
    assert (case["infectious_from"], case["infectious_until"]) == (FROM, UNTIL)
    assert (case["window_basis"], case["onset_date"]) == ("onset", ONSET)
    assert case["policy"] == "tracing-windows-covid19@1"
    contact = (await desk.contacts("ill"))[id_of("near")]
    assert contact["degree"] == "close_contact"
    assert contact["minutes"] == 120
    assert (contact["first_exposure_at"], contact["last_exposure_at"]) == (on(4), on(4, 6))
    assert {item["id"] for item in contact["evidence"]} == {
        str(id_of("scan ill")), str(id_of("scan near")),
    }  # fmt: skip
    assert [reason["place_kind"] for reason in contact["reasons"]] == ["school"]


async def test_what_is_told_says_the_same_as_the_tables(desk: Desk) -> None:
    await desk.tell(*at_school("ill", "near"), declared("d", "ill", ONSET))
    (case,) = await desk.said(CaseChanged)
    (contact,) = await desk.said(ContactChanged)
    assert case.record_id == (await desk.case("ill"))["id"]
    assert case.person_id == contact.case_person_id == id_of("ill")
    assert contact.case_id == case.record_id
    assert contact.cause_id == case.event_id
    assert contact.reasons[0].minutes == contact.minutes == 120
    assert case.record_version == contact.record_version == 1
    assert [row["action"] for row in await desk.audit(case.record_id)] == ["case_changed"]
    assert [row["action"] for row in await desk.audit(contact.record_id)] == ["contact_changed"]


async def test_the_same_facts_again_change_nothing(desk: Desk) -> None:
    facts: list[Event] = [*at_school("ill", "near"), declared("d", "ill", ONSET)]
    await desk.tell(*facts)
    before = len(await desk.said(CaseChanged)), len(await desk.said(ContactChanged))
    await desk.tell(*reversed(facts))
    assert (len(await desk.said(CaseChanged)), len(await desk.said(ContactChanged))) == before


async def test_negative_results_open_nothing_and_discard_nothing(desk: Desk) -> None:
    await desk.tell(result("n", "well", on(6), outcome="negative"))
    assert await desk.count("case") == 0
    await desk.tell(result("r", "ill", on(6)), result("m", "ill", on(7), outcome="negative"))
    assert (await desk.case("ill"))["standing"]


async def test_a_result_that_a_test_source_may_send_has_its_whole_effect(desk: Desk) -> None:
    await desk.tell(result("r", "ill", on(6), test=True))
    assert (await desk.case("ill"))["standing"]


async def test_a_preliminary_positive_is_probable_until_it_is_confirmed(desk: Desk) -> None:
    await desk.tell(result("r", "ill", on(6), stage="preliminary"))
    assert (await desk.case("ill"))["classification"] == "probable"
    await desk.tell(result("s", "ill", on(7)))
    case = await desk.case("ill")
    assert case["classification"] == "confirmed"
    assert case["reported_at"] == on(6)


async def test_a_blank_onset_stays_blank_and_the_fallback_is_named(desk: Desk) -> None:
    await desk.tell(
        declared("d", "ill", None, disease="mers", diagnosed_date=date(2021, 3, 8)),
        declared("e", "other", None, disease="mers"),
    )
    case, other = await desk.case("ill", "mers"), await desk.case("other", "mers")
    assert (case["onset_date"], case["window_basis"]) == (None, "diagnosed")
    assert case["window_date"] == date(2021, 3, 8)
    assert (other["onset_date"], other["window_basis"]) == (None, "reported")


async def test_a_case_before_any_policy_stands_without_a_window(desk: Desk) -> None:
    old = date(1998, 5, 1)
    await desk.tell(declared("d", "ill", old, reported_date=old))
    case = await desk.case("ill")
    assert case["standing"]
    assert (case["infectious_from"], case["policy"]) == (None, None)
    assert "no policy" in case["reason"]


async def test_days_are_days_of_the_area_even_if_it_comes_late(desk: Desk) -> None:
    await desk.tell(declared("d", "ill", ONSET))
    assert (await desk.case("ill"))["infectious_from"] == FROM
    await desk.tell(area("Asia/Tokyo"))
    assert (await desk.case("ill"))["infectious_from"] == FROM - timedelta(hours=1)


async def test_a_case_belongs_where_the_person_lives_even_if_that_comes_late(desk: Desk) -> None:
    await desk.tell(declared("d", "ill", ONSET, area_id="cn:330106"))
    assert (await desk.case("ill"))["area_id"] == "cn:330106"
    await desk.tell(person("ill", "cn:340102"))
    assert (await desk.case("ill"))["area_id"] == "cn:340102"


async def test_a_withdrawn_result_takes_case_and_contacts_and_gives_them_back(desk: Desk) -> None:
    positive = result("r", "ill", on(6), onset_date=ONSET)
    await desk.tell(*at_school("ill", "near"), positive)
    withdrawn = positive.model_copy(update={"record_version": 2, "status": "withdrawn"})
    await desk.tell(withdrawn)
    case = await desk.case("ill")
    assert not case["standing"]
    assert case["cause_id"] == withdrawn.event_id
    assert await desk.contacts("ill") == {}
    gone = (await desk.contacts("ill", standing=False))[id_of("near")]
    last_case = (await desk.said(CaseChanged))[-1]
    assert gone["cause_id"] == last_case.event_id
    assert gone["version"] == 2
    await desk.tell(positive.model_copy(update={"record_version": 3}))
    back = (await desk.contacts("ill"))[id_of("near")]
    assert (back["id"], back["version"]) == (gone["id"], 3)


async def test_a_result_corrected_to_negative_takes_the_case_away(desk: Desk) -> None:
    positive = result("r", "ill", on(6))
    await desk.tell(positive)
    corrected = positive.model_copy(update={"record_version": 2, "outcome": "negative"})
    await desk.tell(corrected)
    case = await desk.case("ill")
    assert not case["standing"]
    assert case["cause_id"] == corrected.event_id


async def test_a_case_stands_while_any_evidence_stands(desk: Desk) -> None:
    positive = result("r", "ill", on(6))
    await desk.tell(positive, declared("d", "ill", ONSET, classification="suspected"))
    await desk.tell(positive.model_copy(update={"record_version": 2, "status": "withdrawn"}))
    case = await desk.case("ill")
    assert case["standing"]
    assert case["classification"] == "suspected"


async def test_a_withdrawn_scan_takes_its_contact_and_is_named_as_the_cause(desk: Desk) -> None:
    await desk.tell(*at_school("ill", "near", "far"), declared("d", "ill", ONSET))
    gone = scan("scan near", "near", "school", on(4), version=2, status="withdrawn")
    await desk.tell(gone)
    assert set(await desk.contacts("ill")) == {id_of("far")}
    contact = (await desk.contacts("ill", standing=False))[id_of("near")]
    assert contact["cause_id"] == gone.event_id


async def test_the_cases_own_withdrawn_scan_takes_every_contact(desk: Desk) -> None:
    await desk.tell(*at_school("ill", "near", "far"), declared("d", "ill", ONSET))
    await desk.tell(scan("scan ill", "ill", "school", on(4), version=2, status="withdrawn"))
    assert await desk.contacts("ill") == {}


async def test_a_scan_without_departure_stays_as_long_as_its_kind_of_place(desk: Desk) -> None:
    await desk.tell(
        declared("d", "ill", ONSET),
        scan("s", "ill", "bus", on(4), left_at=on(4, 5), place_kind="bus"),
        scan("t", "near", "bus", on(4), place_kind="bus"),
        scan("u", "late", "bus", on(4, 4, 51), place_kind="bus"),
    )
    contacts = await desk.contacts("ill")
    assert {person_id: row["minutes"] for person_id, row in contacts.items()} == {id_of("near"): 20}


async def test_a_place_whose_kind_comes_late_is_judged_again(desk: Desk) -> None:
    await desk.tell(
        declared("d", "ill", ONSET),
        scan("s", "ill", "flat", on(4), left_at=on(4, 5)),
        scan("t", "near", "flat", on(4), left_at=on(4, 4, 5)),
    )
    assert await desk.contacts("ill") == {}
    await desk.tell(place("flat", "dwelling"))
    assert set(await desk.contacts("ill")) == {id_of("near")}


async def test_first_exposure_is_the_first_encounter_of_the_sum(desk: Desk) -> None:
    await desk.tell(
        declared("d", "ill", ONSET),
        encounter("old", ("ill", "near"), on(3, 2), minutes=5),
        encounter("a", ("ill", "near"), on(4, 4), minutes=5),
        encounter("b", ("near", "ill"), on(4, 8), minutes=5),
        encounter("c", ("ill", "near"), on(5, 4), minutes=5),
        encounter("d", ("ill", "near"), on(5, 5), minutes=4),
    )
    contact = (await desk.contacts("ill"))[id_of("near")]
    assert contact["first_exposure_at"] == on(4, 4)
    assert contact["last_exposure_at"] == on(5, 4, 5)
    assert contact["minutes"] == 15


async def test_contacts_of_contacts_lie_between_first_exposure_and_isolation(desk: Desk) -> None:
    await desk.tell(
        declared("d", "ill", ONSET),
        encounter("a", ("ill", "near"), on(5), minutes=15),
        encounter("before", ("near", "early"), on(4), minutes=30),
        encounter("between", ("near", "mid"), on(6), minutes=30),
        encounter("after", ("near", "late"), on(9), minutes=30),
    )
    assert set(await desk.contacts("ill")) == {id_of(name) for name in ("near", "mid", "late")}
    await desk.tell(order("o", "near", [(on(8), on(20))]))
    contacts = await desk.contacts("ill")
    assert set(contacts) == {id_of("near"), id_of("mid")}
    assert contacts[id_of("mid")]["via_person_id"] == id_of("near")
    await desk.tell(order("o", "near", [(on(8), on(20))], version=2, status="withdrawn"))
    assert id_of("late") in await desk.contacts("ill")


async def test_an_isolation_that_was_over_before_says_nothing(desk: Desk) -> None:
    await desk.tell(
        declared("d", "ill", ONSET),
        encounter("a", ("ill", "near"), on(5), minutes=15),
        encounter("b", ("near", "mid"), on(6), minutes=15),
        order("o", "near", [(on(1), on(2))], status="ended"),
    )
    assert id_of("mid") in await desk.contacts("ill")


async def test_a_contact_who_becomes_a_case_stays_a_contact_and_is_apart_from_then(
    desk: Desk,
) -> None:
    await desk.tell(
        declared("d", "ill", ONSET),
        encounter("a", ("ill", "near"), on(5), minutes=15),
        encounter("b", ("near", "mid"), on(6), minutes=15),
        encounter("c", ("near", "late"), on(9), minutes=15),
    )
    await desk.tell(result("r", "near", on(8)))
    contacts = await desk.contacts("ill")
    assert set(contacts) == {id_of("near"), id_of("mid")}
    assert id_of("late") in await desk.contacts("near")


async def test_households_are_contacts_until_the_membership_ends(desk: Desk) -> None:
    await desk.tell(
        declared("d", "ill", ONSET),
        membership("m", "ill", "home", on(1)),
        membership("n", "wife", "home", on(1)),
        membership("o", "son", "home", on(1), until_at=on(2)),
    )
    assert set(await desk.contacts("ill")) == {id_of("wife")}
    await desk.tell(membership("n", "wife", "home", on(1), version=2, status="withdrawn"))
    assert await desk.contacts("ill") == {}


async def test_only_a_dated_link_of_the_disease_makes_a_contact(desk: Desk) -> None:
    await desk.tell(
        declared("d", "ill", ONSET),
        link("undated", "ill", "one", None),
        link("dated", "ill", "two", on(5)),
        link("before", "ill", "three", on(1)),
        link("elsewhere", "ill", "four", on(5), disease="mers"),
    )
    assert set(await desk.contacts("ill")) == {id_of("two")}
    assert await desk.count("link") == 4


async def test_a_contact_of_two_cases_keeps_the_other_when_one_falls(desk: Desk) -> None:
    one = declared("d", "ill", ONSET)
    await desk.tell(*at_school("ill", "sick", "near"), one, declared("e", "sick", ONSET))
    await desk.tell(one.model_copy(update={"record_version": 2, "status": "withdrawn"}))
    assert await desk.contacts("ill") == {}
    assert id_of("near") in await desk.contacts("sick")


async def test_a_drill_makes_no_real_contact_and_its_case_says_so(desk: Desk) -> None:
    await desk.tell(
        declared("d", "ill", ONSET),
        declared("e", "actor", ONSET, exercise=True),
        scan("s", "ill", "school", on(4), left_at=on(4, 6)),
        scan("t", "near", "school", on(4), left_at=on(4, 6), exercise=True),
    )
    assert await desk.contacts("ill") == {}
    told = {event.person_id: event.exercise for event in await desk.said(CaseChanged)}
    assert told == {id_of("ill"): False, id_of("actor"): True}


async def test_a_scan_stored_while_its_case_is_judged_is_not_missed(desk: Desk) -> None:
    """The evaluator reads before the scan is there, and writes after the scan was judged."""
    await desk.hear(*at_school("ill"), declared("d", "ill", ONSET))
    async with desk.database.work(Actor("due:case")) as slow:
        await judge_cases(slow, [case_key(id_of("ill"), DISEASE)])
        await desk.hear(*at_school("near"))
        async with desk.database.work(Actor("test")) as work:
            # The other process: only the new scan's own due row, the rest the slow one has.
            await work.execute(text("DELETE FROM tracing.due WHERE kind = 'case'"))
        await desk.judge()
        assert await desk.contacts("ill") == {}
    await desk.judge()
    assert set(await desk.contacts("ill")) == {id_of("near")}


async def test_scans_that_touch_nobody_wake_no_case(desk: Desk) -> None:
    await desk.tell(*at_school("ill", "near"), declared("d", "ill", ONSET))
    await desk.hear(
        scan("x", "far", "school", on(4, 8), left_at=on(4, 9), place_kind="school"),
        scan("y", "far", "mall", on(4), left_at=on(4, 6)),
    )
    assert await desk.judge() == 1
