"""Walk 5 on the embedded log: what stands at its end, and that no order of arrival changes it."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

import pytest
import pytest_asyncio

from shared.events.base import EVENT_NAMESPACE
from shared.events.quarantine import OrderChanged
from shared.events.tracing import CaseChanged, ContactChanged
from tests.journey.chain import (
    NOW,
    BothEnds,
    discard_first_case,
    facts,
    first_steps,
    later_registrations,
    name_persons,
    play,
    play_at_once,
    read_both_ends,
)
from tests.journey.conftest import MakeOutpost
from tests.journey.end_state import Record, differences
from tests.journey.harness import Outpost

DISCARDED = ("ben", "cam", "dee", "eve")
PARTS = ("cases", "contacts", "co_locations", "orders", "breaches", "signals", "alerts")


@pytest_asyncio.fixture(scope="module")
async def in_order(make_outpost: MakeOutpost, outside_data: Path) -> tuple[Outpost, BothEnds]:
    """Everything as it happened, the last scan once all before it was heard and judged."""
    outpost = await make_outpost(at=NOW)
    await play(outpost, [*first_steps(), *later_registrations()])
    *before, station = facts(outside_data)
    await play(outpost, before)
    await play(outpost, [station])
    return outpost, await read_both_ends(outpost)


Walked = tuple[Outpost, BothEnds]


def by_person(records: list[Record], **wanted: Any) -> set[str]:
    """The persons of those records that say this."""
    return {
        record["person_id"].strip("<>")
        for record in records
        if all(record[name] == value for name, value in wanted.items())
    }


def test_three_sources_in_one_county_make_one_alert_with_three_reasons(in_order: Walked) -> None:
    (alert,) = [one for one in in_order[1].before["alerts"] if one["rule_id"] == "multi_point"]
    assert (alert["state"], alert["area_id"]) == ("open", "us:25025")
    assert {reason["point_kind"] for reason in alert["reasons"]} == {
        "fever_clinic", "pharmacy", "school",
    }  # fmt: skip
    assert len(alert["reasons"]) == 3
    assert len(alert["records"]) == 3
    assert alert["silent_if"], "it says what would have kept it silent"


def test_the_positive_result_makes_a_case_contacts_and_orders(in_order: Walked) -> None:
    before = in_order[1].before
    assert by_person(before["cases"], standing=True, classification="probable") == {"ada"}
    assert by_person(before["cases"], standing=True, classification="confirmed") == {"eve"}
    of_ada = [one for one in before["contacts"] if one["case_id"] == "<case of ada>"]
    assert by_person(of_ada, degree="close_contact", standing=True) == {"ben", "cam"}
    assert by_person(of_ada, degree="contact_of_contact", standing=True) == {"dee", "eve"}
    for contact in of_ada:
        assert contact["reasons"], "each says why"
        assert len(contact["evidence"]) == 2, "each names both visits"
    assert by_person(before["orders"], kind="quarantine", status="open") == set(DISCARDED)
    assert by_person(before["orders"], kind="isolation", status="open") == {"ada", "eve"}


def test_who_was_where_a_case_was_is_a_signal_that_falls_with_the_case(in_order: Walked) -> None:
    """Fay passed for six minutes, and dee met no case: neither is told."""
    before, after = in_order[1].before, in_order[1].after
    of_ada, of_eve = {"case_id": "<case of ada>"}, {"case_id": "<case of eve>"}
    assert by_person(before["co_locations"], standing=True, **of_ada) == {"ben", "cam"}
    assert by_person(before["co_locations"], standing=True, **of_eve) == {"cam"}
    for one in before["co_locations"]:
        assert len(one["evidence"]) == 2, "each names both visits"
    lit = [one for one in before["signals"] if one["point_kind"] == "co_location"]
    assert [one["standing"] for one in lit] == [True] * 3
    assert {one["area_id"] for one in lit} == {"us:01101"}
    assert by_person(after["co_locations"], standing=False) == {"ben", "cam"}
    of_kind = {"point_kind": "co_location"}
    assert by_person(after["signals"], standing=False, **of_kind) == {"ben", "cam"}
    assert by_person(after["signals"], standing=True, **of_kind) == {"cam"}


def test_the_scan_at_the_station_is_held_and_raises_a_breach_alert(in_order: Walked) -> None:
    outpost, ends = in_order
    assert outpost.verdicts["ben at the station"] == "hold"
    assert outpost.verdicts["ben before his order"] == "pass"
    (breach,) = ends.before["breaches"]
    assert (breach["person_id"], breach["standing"]) == ("<ben>", True)
    assert breach["scan_id"] == "<scans ben at the station>", "the scan before the order is none"
    (alert,) = [one for one in ends.before["alerts"] if one["rule_id"] == "breach"]
    assert (alert["state"], alert["area_id"]) == ("open", "us:01101")


def test_the_discarded_case_takes_contacts_orders_and_alerts_with_it(in_order: Walked) -> None:
    after = in_order[1].after
    assert by_person(after["cases"], standing=True) == {"eve"}
    of_ada = [one for one in after["contacts"] if one["case_id"] == "<case of ada>"]
    assert by_person(of_ada, standing=False) == set(DISCARDED)
    assert by_person(of_ada, standing=True) == set()
    assert by_person(after["orders"], status="withdrawn", kind="isolation") == {"ada"}
    assert by_person(after["orders"], status="withdrawn", kind="quarantine") == {
        "ben",
        "dee",
        "eve",
    }
    assert by_person(after["breaches"], standing=True) == set()
    states = {alert["rule_id"]: alert["state"] for alert in after["alerts"]}
    assert states == {"multi_point": "open", "breach": "withdrawn", "positive_result": "withdrawn"}


def test_a_contact_of_two_cases_keeps_the_order(in_order: Walked) -> None:
    for state, supports in ((in_order[1].before, 2), (in_order[1].after, 1)):
        (order,) = [one for one in state["orders"] if one["person_id"] == "<cam>"]
        assert order["status"] == "open"
        assert len(order["supports"]) == supports
    ids = [one["id"] for one in in_order[1].after["orders"] if one["person_id"] == "<cam>"]
    assert len(ids) == 1, "it is the same order, not a second one"


async def test_the_withdrawal_leaves_a_trail_from_the_alert_back_to_the_discard(
    in_order: Walked,
) -> None:
    """Every withdrawn record names the version of the record that took it down."""
    outpost = in_order[0]
    names = {name: record_id for record_id, name in outpost.names.items()}
    cases = await outpost.pages("/tracing/cases", "cases")
    (case,) = [one for one in cases if one["person_id"] == names["ada"]]
    whole = await outpost.read(f"/tracing/cases/{case['id']}")
    (act,) = [one for one in whole["acts"] if one["action"] == "discard"]
    assert act["author"], "a discard has an author"
    assert act["reason"] == "the second laboratory found nothing"
    assert case["cause_id"] == act["id"]
    contacts = await outpost.pages(f"/tracing/cases/{case['id']}/contacts", "contacts")
    assert {one["cause_id"] for one in contacts} == {
        version_of(CaseChanged, case["id"], case["version"])
    }
    told = {version_of(ContactChanged, one["id"], one["version"]): one for one in contacts}
    orders = await outpost.follow("/quarantine/orders", "orders", status="withdrawn")
    for order in orders:
        detail = await outpost.read(f"/quarantine/orders/{order['id']}")
        assert detail["reason"] == "no_support_left"
        if order["kind"] == "quarantine":
            assert told[detail["cause_id"]]["person_id"] == order["person_id"]
        else:
            assert detail["cause_id"] == version_of(CaseChanged, case["id"], case["version"])
        withdrawals = [line for line in detail["audit"] if line["cause_id"] == detail["cause_id"]]
        assert withdrawals, "the audit names the cause too"
    (breach,) = await outpost.follow("/quarantine/breaches", "breaches", standing="false")
    (order,) = [one for one in orders if one["id"] == breach["order_id"]]
    assert breach["cause_id"] == version_of(OrderChanged, order["id"], order["version"])
    for alert in await outpost.follow("/alerts/alerts", "alerts", cursor="before"):
        trail = (await outpost.read(f"/alerts/alerts/{alert['id']}"))["trail"]
        assert trail[0]["action"].endswith("opened")
        if alert["state"] == "withdrawn":
            assert trail[-1]["action"].endswith("withdrawn")
            assert trail[-1]["cause_id"] is not None


def version_of(event: type[Any], record_id: str, version: int) -> str:
    """The id of one version of a record, as the log carries it."""
    return str(uuid5(UUID(EVENT_NAMESPACE), f"{event.type}/{UUID(record_id)}/{version}"))


def assert_same(in_order: Walked, ends: BothEnds) -> None:
    assert differences(in_order[1].before, ends.before) == []
    assert differences(in_order[1].after, ends.after) == []


@pytest.mark.parametrize("seed", range(1, 5))
async def test_shuffled_it_ends_the_same(
    in_order: Walked, start_outpost: MakeOutpost, outside_data: Path, seed: int
) -> None:
    """Facts and registrations in any order; odd seeds let what came be judged in between."""
    outpost = await start_outpost(at=NOW)
    steps = [*later_registrations(), *facts(outside_data)]
    random.Random(seed).shuffle(steps)
    await play(outpost, first_steps())
    await play(outpost, steps, settle_every=5 * (seed % 2))
    assert_same(in_order, await read_both_ends(outpost))


async def test_twice_it_ends_the_same(
    in_order: Walked, start_outpost: MakeOutpost, outside_data: Path
) -> None:
    outpost = await start_outpost(at=NOW)
    steps = [*first_steps(), *later_registrations(), *facts(outside_data)]
    await play(outpost, [step for step in steps for _ in range(2)])
    await play(outpost, steps)
    assert_same(in_order, await read_both_ends(outpost))
    assert (await outpost.read("/intake/balance"))["balanced"]


async def test_late_it_ends_the_same(
    in_order: Walked, start_outpost: MakeOutpost, outside_data: Path
) -> None:
    """The last comes first; who spoke is told then, and who and where it was at the very end."""
    outpost = await start_outpost(at=NOW)
    await play(outpost, first_steps())
    await play(outpost, list(reversed(facts(outside_data))), settle_every=1)
    registrations = reversed(later_registrations())
    speakers_first = sorted(registrations, key=lambda step: "Source" not in step.name)
    await play(outpost, speakers_first, settle_every=5)
    assert_same(in_order, await read_both_ends(outpost))


async def test_all_at_once_it_ends_the_same(
    in_order: Walked, start_outpost: MakeOutpost, outside_data: Path
) -> None:
    outpost = await start_outpost(at=NOW)
    await play(outpost, first_steps())
    await play_at_once(outpost, [*later_registrations(), *facts(outside_data)])
    assert_same(in_order, await read_both_ends(outpost))


async def test_discarded_in_the_middle_what_stands_at_the_end_is_the_same(
    in_order: Walked, start_outpost: MakeOutpost, outside_data: Path
) -> None:
    """What arrives after the discard raises nothing that would have rested on that case."""
    outpost = await start_outpost(at=NOW)
    steps = facts(outside_data)
    result = next(step for step in steps if step.name == "result")
    await play(outpost, [*first_steps(), *later_registrations(), result])
    await name_persons(outpost)
    await discard_first_case(outpost)
    await play(outpost, [step for step in steps if step is not result], settle_every=4)
    ends = await read_both_ends(outpost, discard=False)
    assert standing(ends.after) == standing(in_order[1].after)


def standing(state: dict[str, list[Record]]) -> dict[str, list[tuple[str, ...]]]:
    """What stands, told shortly: a record that never was needs no withdrawal."""
    live = {"open", "owed", "done", "missed"}
    return {
        part: sorted(
            (str(one["id"]), str(one.get("person_id")), str(one.get("area_id")))
            for one in state[part]
            if one.get("standing", one.get("status", one.get("state"))) in {True, *live}
        )
        for part in PARTS
    }
