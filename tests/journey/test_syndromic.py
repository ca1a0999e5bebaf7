"""Walk 1 on the embedded log."""

from __future__ import annotations

import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.journey.conftest import MakeOutpost
from tests.journey.end_state import differences, read_end_state, read_signals
from tests.journey.harness import Outpost
from tests.journey.messages import (
    Acknowledgement,
    broken_messages,
    control_id,
    folder,
    with_field,
    without_segment,
)
from tests.journey.stage import Source, register
from tests.journey.walk_syndromic import post_files, read_visits, register_senders

A04 = "cb_TestGroup_1_TestCase_1_TestStep_1.hl7"
REFUSING = ("MSH-9", "MSH-11", "MSH-12")
# Without a sender nobody answers for the message, without a number there is no visit: both kept.
STATES = dict.fromkeys(REFUSING, "refused") | {
    "MSH-4": "waiting_for_registration", "PV1-19": "without_effect",
}  # fmt: skip


def is_ack_file(name: str) -> bool:
    return name.endswith("_ACK.hl7")


@pytest.fixture(scope="module")
def files(outside_data: Path) -> dict[str, bytes]:
    found = folder(outside_data, "nist-ss")
    assert Counter(map(is_ack_file, found)) == {False: 19, True: 4}
    return found


Walked = tuple[Outpost, dict[str, bytes]]


@pytest_asyncio.fixture(scope="module")
async def walked(module_outpost: Outpost, files: dict[str, bytes]) -> Walked:
    """All 23 files posted in name order, once; the tests of this file read what that left."""
    await register_senders(module_outpost)
    return module_outpost, dict((await post_files(module_outpost, files, files)).replies)


def test_every_adt_is_accepted_and_every_ack_refused(
    walked: Walked, files: dict[str, bytes]
) -> None:
    for name, reply in walked[1].items():
        acknowledgement = Acknowledgement.read(reply)
        assert acknowledgement.code == ("AR" if is_ack_file(name) else "AA"), name
        assert acknowledgement.control_id == control_id(files[name])
        assert ("MSH-9" in acknowledgement.text) == is_ack_file(name)


async def test_refused_files_are_kept(walked: Walked, files: dict[str, bytes]) -> None:
    refused = await walked[0].read("/intake/messages", state="refused")
    assert len(refused) == 4
    bodies = [
        (await walked[0].read(f"/intake/messages/{one['message_id']}"))["body"] for one in refused
    ]
    assert sorted(bodies) == sorted(
        raw.decode() for name, raw in files.items() if is_ack_file(name)
    )


async def test_there_are_exactly_four_encounters_and_the_newest_event_tells_each(
    walked: Walked,
) -> None:
    visits = await read_visits(walked[0])
    told = {
        code: (visit["event_at"], visit["occurred_at"], visit["discharged_at"], visit["died"])
        for code, visit in visits.items()
    }
    assert told == {
        # Discharged at 17:00; the A04 that follows in name order is older and changes nothing.
        "urgent care": (at(2010, 2, 20, 23), at(2010, 2, 20, 13, 30), at(2010, 2, 20, 22), False),
        "western": (at(2012, 7, 17, 23), at(2012, 7, 17, 22), at(2012, 7, 17, 23), True),
        # Discharged from the emergency room at 08:25 and admitted at 08:35: the admission is newer.
        "southern": (at(2010, 2, 1, 14, 35), at(2010, 2, 1, 13, 30), None, False),
        "mountainview": (at(2015, 8, 18, 5), at(2015, 8, 17, 11), at(2015, 8, 18, 16), False),
    }
    assert {code: visit["messages"] for code, visit in visits.items()} == {
        "urgent care": 6, "western": 5, "southern": 4, "mountainview": 4,
    }  # fmt: skip


async def test_eight_findings_say_that_a_control_id_was_used_again(walked: Walked) -> None:
    findings = await walked[0].read("/intake/findings", code="control_id_reused")
    assert [finding["text"] for finding in findings] == [
        "control id used again with another body"
    ] * 8


async def test_exactly_one_encounter_is_a_fever_signal(walked: Walked) -> None:
    fevers = [code for code, visit in (await read_visits(walked[0])).items() if visit["fever"]]
    assert fevers == ["urgent care"]
    (signal,) = await read_signals(walked[0])
    assert signal["standing"]
    assert signal["area_id"] == "us:25025"


async def test_posting_all_again_changes_nothing_and_returns_the_stored_replies(
    start_outpost: MakeOutpost, files: dict[str, bytes]
) -> None:
    outpost = await start_outpost()
    await register_senders(outpost)
    first = await post_files(outpost, files, files)
    before = await read_end_state(outpost), await read_visits(outpost), await tables(outpost)
    second = await post_files(outpost, files, files)
    assert second.replies == first.replies
    after = await read_end_state(outpost), await read_visits(outpost), await tables(outpost)
    assert differences(before[0], after[0]) == []
    assert before[1:] == after[1:]
    balance = await outpost.read("/intake/balance")
    assert balance["balanced"]
    sums = Counter[str]()
    for line in balance["lines"]:
        sums.update({name: line[name] for name in ("received", "stored", "duplicate", "rejected")})
    # A refused file is kept; sent again it is refused with the stored reply, and is no news.
    assert sums["received"] == 46
    assert sums["stored"] == 19
    assert sums["duplicate"] + sums["rejected"] == 27


async def tables(outpost: Outpost) -> dict[str, Any]:
    """Kept messages and findings, as they are listed."""
    return {
        "messages": await outpost.read("/intake/messages"),
        "findings": await outpost.read("/intake/findings"),
    }


@pytest.mark.parametrize("seed", [1, 2])
async def test_any_order_of_arrival_gives_the_same_four_encounters(
    walked: Walked, start_outpost: MakeOutpost, files: dict[str, bytes], seed: int
) -> None:
    outpost = await start_outpost()
    order = list(files)
    random.Random(seed).shuffle(order)
    await register_senders(outpost)
    replies = (await post_files(outpost, files, order)).replies
    assert {
        Acknowledgement.read(replies[name]).code for name in order if not is_ack_file(name)
    } == {"AA"}
    assert await read_visits(outpost) == await read_visits(walked[0])
    assert differences(await read_end_state(walked[0]), await read_end_state(outpost)) == []


async def test_messages_of_an_unregistered_sender_are_kept_and_replayed_after_registration(
    walked: Walked, start_outpost: MakeOutpost, files: dict[str, bytes]
) -> None:
    outpost = await start_outpost()
    replies = (await post_files(outpost, files, files)).replies
    assert Acknowledgement.read(replies[A04]).code == "AA"
    waiting = await outpost.read("/intake/messages", state="waiting_for_registration")
    assert len(waiting) == 19
    assert await read_visits(outpost) == {}
    await register_senders(outpost)
    await outpost.settled()
    assert await outpost.read("/intake/messages", state="waiting_for_registration") == []
    assert await read_visits(outpost) == await read_visits(walked[0])
    assert differences(await read_end_state(walked[0]), await read_end_state(outpost)) == []


async def test_each_broken_field_is_a_stored_and_listed_warning_that_names_it(
    outpost: Outpost, files: dict[str, bytes]
) -> None:
    await register_senders(outpost)
    answered = {}
    for place, how, raw in broken_messages(files[A04]):
        outpost.clock.move_to(outpost.clock.now() + timedelta(seconds=1))
        response = await outpost.hl7(raw)
        assert response.status_code == 200, (place, how)
        acknowledgement = Acknowledgement.read(response.content)
        refused = place in REFUSING
        assert acknowledgement.code == ("AR" if refused else "AA"), (place, how)
        assert place in acknowledgement.text or not refused
        if (place, how) == ("MSH-10", "emptied"):
            assert acknowledgement.control_id == "", "there is no id to answer"
        answered[outpost.clock.now()] = (place, how)
    listed = await outpost.read("/intake/messages")
    assert len(listed) == len(answered) > 100
    silent = []
    for message in listed:
        place, how = answered[datetime.fromisoformat(message["received_at"])]
        assert message["state"] == STATES.get(place, "applied"), (place, how)
        findings = await outpost.read("/intake/findings", message_id=message["message_id"])
        if not any(found["field"] == place and place in found["text"] for found in findings):
            silent.append((place, how))
    assert silent == []


async def test_without_msh_a_message_is_refused_with_an_empty_msa_2_and_kept(
    outpost: Outpost, files: dict[str, bytes]
) -> None:
    for raw in (without_segment(files[A04], "MSH"), b"", b"hello", b"\xff\xfe\x00", b"MSA|AA|1\r"):
        acknowledgement, message = await post_and_look(outpost, raw)
        assert (acknowledgement.code, acknowledgement.control_id) == ("AR", ""), raw
        assert message["state"] == "refused"


@pytest.mark.parametrize(
    ("segment", "number", "value"),
    [("MSH", 9, "ORM^O01^ORM_O01"), ("MSH", 11, "X"), ("MSH", 12, "3.0")],
)
async def test_unsupported_type_processing_and_version_are_refused_by_name(
    outpost: Outpost, files: dict[str, bytes], segment: str, number: int, value: str
) -> None:
    await register_senders(outpost)
    raw = with_field(files[A04], segment, number, value)
    acknowledgement, _ = await post_and_look(outpost, raw)
    assert (acknowledgement.code, acknowledgement.control_id) == ("AR", "NIST-SS-001.11")
    assert f"{segment}-{number}" in acknowledgement.text
    assert await read_visits(outpost) == {}


async def test_cdc_phdi_messages_get_their_verdicts(outpost: Outpost, outside_data: Path) -> None:
    await register(
        outpost,
        Source("WIR", "immunization", ("WIR", "")),
        Source("good health", "inpatient", ("GOOD HEALTH HOSPITAL", "")),
        Source("lab", "laboratory", ("ELAB-3", "")),
    )
    bodies = set()
    for name, raw in folder(outside_data, "cdc-phdi").items():
        response = await outpost.hl7(raw)
        assert response.status_code == 200
        acknowledgement = Acknowledgement.read(response.content)
        header = raw.decode().lstrip().split("\n", 1)[0]
        if not header.startswith("MSH"):
            assert (acknowledgement.code, acknowledgement.control_id) == ("AR", ""), name
        elif "|VXU^V04|" in header or "|ADT^A31|" in header:
            assert acknowledgement.code == "AR", name
            assert "MSH-9" in acknowledgement.text, name
        else:
            assert "|ADT^A01" in header or "|ORU^R01|" in header
            assert acknowledgement.code == "AA", name
        bodies.add(raw)
    await outpost.settled()
    assert (await outpost.read("/tracing/cases"))["total"] == 0
    fields = {
        finding["field"]
        for finding in await outpost.read("/intake/findings")
        if finding["code"].startswith("time_")
    }
    assert fields >= {"MSH-7", "PID-7"}, "24 digits, and the 52nd day of March"


async def post_and_look(outpost: Outpost, raw: bytes) -> tuple[Acknowledgement, dict[str, Any]]:
    """The acknowledgement and the message as it is listed; each post has a moment of its own."""
    outpost.clock.move_to(outpost.clock.now() + timedelta(seconds=1))
    response = await outpost.hl7(raw)
    assert response.status_code == 200, (raw, response.text)
    newest = (await outpost.read("/intake/messages"))[0]
    assert datetime.fromisoformat(newest["received_at"]) == outpost.clock.now()
    return Acknowledgement.read(response.content), newest


def at(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc, arg-type]
