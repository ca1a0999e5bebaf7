"""Walk 2 on the embedded log."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.journey.conftest import MakeOutpost
from tests.journey.end_state import EndState, differences, read_end_state
from tests.journey.harness import Outpost
from tests.journey.messages import folder, segments
from tests.journey.walk_laboratory import (
    BATCH,
    ENHANCED,
    PRESUMPTIVE,
    post_reports,
    register_laboratories,
)

# Rows of ENHANCED: its listed analytes, the control of a good swab, and an unlisted one.
LISTED = ("94307-6", "94308-4", "94309-2")
CONTROL, UNLISTED = "68993-5", "94310-0"

Rows = Callable[[list[str]], list[str] | None]


@pytest.fixture(scope="module")
def files(outside_data: Path) -> dict[str, bytes]:
    found = folder(outside_data, "cdc-elr")
    assert set(found) == {PRESUMPTIVE, BATCH, ENHANCED}
    assert all(b"|T|2." in raw for raw in found.values()), "all three are marked as tests"
    return found


@pytest_asyncio.fixture(scope="module")
async def walked(module_outpost: Outpost, files: dict[str, bytes]) -> Outpost:
    """The three files from laboratories that are registered as test."""
    await register_laboratories(module_outpost)
    await post_reports(module_outpost, files, files)
    return module_outpost


@pytest_asyncio.fixture(scope="module")
async def end_state(walked: Outpost) -> EndState:
    return await read_end_state(walked)


def edited(raw: bytes, edit: Rows) -> bytes:
    """The message with each OBX changed, or left out where `edit` gives None."""
    lines = []
    for fields in segments(raw.decode()):
        changed = edit(list(fields)) if fields[0] == "OBX" else fields
        if changed is not None:
            lines.append("|".join(changed))
    return "\r".join(lines).encode()


def code_of(fields: list[str]) -> str:
    return fields[3].split("^")[0]


def keeping(*codes: str) -> Rows:
    """Of the result rows only those of these analytes; answers to questions stay."""
    return lambda fields: fields if code_of(fields) in codes or fields[-1] == "QST" else None


async def cases_of(outpost: Outpost) -> list[dict[str, Any]]:
    return await outpost.pages("/tracing/cases", "cases")


def test_three_reports_open_three_cases_one_per_specimen(end_state: EndState) -> None:
    cases = end_state["cases"]
    assert len(cases) == 3
    assert all(case["standing"] and case["disease"] == "covid19" for case in cases)
    assert [len(case["evidence"]) for case in cases] == [1, 1, 1]


async def test_the_presumptive_one_is_probable_and_the_others_confirmed(walked: Outpost) -> None:
    by_area = Counter((case["area_id"], case["classification"]) for case in await cases_of(walked))
    assert by_area == {("us:01101", "probable"): 1, ("us:05119", "confirmed"): 2}


async def test_the_onset_answer_becomes_the_onset_date(walked: Outpost) -> None:
    onsets = sorted(str(case["onset_date"]) for case in await cases_of(walked))
    assert onsets == ["2020-02-14", "None", "None"]


async def test_one_identifier_for_two_patients_is_a_finding_and_no_merge(walked: Outpost) -> None:
    findings = await walked.read("/intake/findings", code="identity_conflict")
    assert {finding["field"] for finding in findings} == {"PID-3"}
    assert len({case["person_id"] for case in await cases_of(walked)}) == 3


async def test_posting_all_again_changes_nothing_and_returns_the_stored_replies(
    start_outpost: MakeOutpost, files: dict[str, bytes], end_state: EndState
) -> None:
    outpost = await start_outpost()
    await register_laboratories(outpost)
    first = await post_reports(outpost, files, files)
    assert await post_reports(outpost, files, files) == first
    assert differences(end_state, await read_end_state(outpost)) == []
    balance = await outpost.read("/intake/balance")
    assert balance["balanced"]
    assert sum(line["received"] for line in balance["lines"]) == 6
    assert sum(line["duplicate"] for line in balance["lines"]) == 3


@pytest.mark.parametrize(
    "order", list(itertools.permutations((PRESUMPTIVE, BATCH, ENHANCED)))[1::2]
)
async def test_any_order_of_arrival_gives_the_same_end_state(
    outpost: Outpost, files: dict[str, bytes], end_state: EndState, order: tuple[str, ...]
) -> None:
    await register_laboratories(outpost)
    await post_reports(outpost, files, order)
    assert differences(end_state, await read_end_state(outpost)) == []


async def test_a_test_message_of_a_live_source_has_no_effect_until_it_is_registered_as_test(
    outpost: Outpost, files: dict[str, bytes], end_state: EndState
) -> None:
    await register_laboratories(outpost, mode="live")
    await post_reports(outpost, files, files)
    assert await cases_of(outpost) == []
    kept = await outpost.read("/intake/messages", state="test_without_effect")
    assert len(kept) == 3
    findings = await outpost.read("/intake/findings", code="test_without_effect")
    assert [finding["field"] for finding in findings] == ["MSH-11"] * 3
    await register_laboratories(outpost, mode="test")
    answer = await outpost.ask(
        "POST", "/intake/messages/replay", params={"state": "test_without_effect"}
    )
    assert answer.json() == {"replayed": 3}
    await outpost.settled()
    assert differences(end_state, await read_end_state(outpost)) == []


async def test_reports_of_an_unregistered_laboratory_are_kept_listed_and_replayed(
    outpost: Outpost, files: dict[str, bytes], end_state: EndState
) -> None:
    await post_reports(outpost, files, files)
    assert await cases_of(outpost) == []
    assert len(await outpost.read("/intake/messages", state="waiting_for_registration")) == 3
    await register_laboratories(outpost)
    await outpost.settled()
    assert differences(end_state, await read_end_state(outpost)) == []


@pytest.mark.parametrize("analyte", [CONTROL, UNLISTED])
async def test_a_detected_row_outside_the_list_opens_no_case(
    outpost: Outpost, files: dict[str, bytes], analyte: str
) -> None:
    raw = edited(files[ENHANCED], keeping(analyte))
    assert raw.count(b"|260373001^Detected^SCT|") == 1
    await register_laboratories(outpost)
    await post_reports(outpost, {ENHANCED: raw}, [ENHANCED])
    assert await cases_of(outpost) == []


async def test_any_one_listed_report_row_opens_the_case(
    outpost: Outpost, files: dict[str, bytes]
) -> None:
    raw = edited(files[ENHANCED], keeping("94309-2", CONTROL))
    await register_laboratories(outpost)
    await post_reports(outpost, {ENHANCED: raw}, [ENHANCED])
    assert len(await cases_of(outpost)) == 1


async def test_answers_to_questions_are_no_results(
    outpost: Outpost, files: dict[str, bytes]
) -> None:
    """Every listed row becomes an answer (OBX-29 QST): Detected, but told by the patient."""

    def as_answer(fields: list[str]) -> list[str]:
        return [*fields[:-1], "QST"] if code_of(fields) in LISTED else fields

    await register_laboratories(outpost)
    await post_reports(outpost, {ENHANCED: edited(files[ENHANCED], as_answer)}, [ENHANCED])
    assert await cases_of(outpost) == []


def negative(raw: bytes) -> bytes:
    text = raw.decode().replace("260373001^Detected", "260415000^Not detected")
    text = text.replace("Presumptive POSITIVE for", "Negative for")
    return text.replace("|3915949_M2002000005-01|", "|3915949_M2002000005-02|").encode()


async def test_a_shared_filler_number_with_another_specimen_is_no_correction(
    outpost: Outpost, files: dict[str, bytes]
) -> None:
    other = negative(files[PRESUMPTIVE]).replace(
        b"SPM|1|^M2002000005-01&", b"SPM|1|^M2002000005-99&"
    )
    await register_laboratories(outpost)
    for raw in (files[PRESUMPTIVE], other):
        await post_reports(outpost, {PRESUMPTIVE: raw}, [PRESUMPTIVE])
    (case,) = await cases_of(outpost)
    assert (case["standing"], case["classification"]) == (True, "probable")


async def test_a_correction_of_the_same_specimen_takes_the_case_back(
    outpost: Outpost, files: dict[str, bytes]
) -> None:
    corrected = negative(files[PRESUMPTIVE]).replace(b"||||||F|||2020", b"||||||C|||2020")
    await register_laboratories(outpost)
    for raw in (files[PRESUMPTIVE], corrected):
        await post_reports(outpost, {PRESUMPTIVE: raw}, [PRESUMPTIVE])
    (case,) = await cases_of(outpost)
    assert (case["standing"], case["cause_id"] is not None) == (False, True)
    (signal,) = (await read_end_state(outpost))["signals"]
    assert not signal["standing"]
