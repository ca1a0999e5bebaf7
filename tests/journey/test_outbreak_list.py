"""Walk 3 on the embedded log."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest_asyncio

from tests.journey.end_state import differences
from tests.journey.harness import Outpost
from tests.journey.walk_outbreak import FILES, Imported, fates, import_twice, persons_of

LINE_LIST, PAIRS = FILES


@pytest_asyncio.fixture(scope="module")
async def walked(module_outpost: Outpost, outside_data: Path) -> tuple[Outpost, Imported]:
    """The walk is walked once; the tests of this file read what it left."""
    return module_outpost, await import_twice(module_outpost, outside_data)


Walked = tuple[Outpost, Imported]


def lines(outside_data: Path, name: str) -> list[dict[str, str]]:
    """The file as anybody would read it."""
    with (outside_data / "lists" / name).open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_every_row_gets_a_verdict_and_all_are_stored(walked: Walked) -> None:
    replies = [json.loads(first) for first, _ in walked[1].replies.values()]
    assert [len(fates(reply)) for reply in replies] == [162, 98]
    assert Counter(fate for reply in replies for fate in fates(reply)) == {"stored": 260}


def test_the_second_import_is_answered_byte_for_byte_and_changes_nothing(walked: Walked) -> None:
    for first, second in walked[1].replies.values():
        assert first == second
    assert differences(walked[1].first, walked[1].second) == []


async def test_the_balance_counts_the_repeats(walked: Walked) -> None:
    balance = await walked[0].read("/intake/balance")
    assert balance["balanced"]
    sums = Counter[str]()
    for line in balance["lines"]:
        sums.update({name: line[name] for name in ("received", "stored", "duplicate", "rejected")})
    assert sums == {"received": 520, "stored": 260, "duplicate": 260, "rejected": 0}


def test_each_row_of_the_line_list_is_one_case(walked: Walked) -> None:
    cases = walked[1].first["cases"]
    assert len(cases) == 162
    assert {case["classification"] for case in cases} == {"confirmed"}
    assert all(case["standing"] for case in cases)


async def test_onset_dates_are_those_of_the_file_and_blank_ones_stay_blank(
    walked: Walked, outside_data: Path
) -> None:
    outpost = walked[0]
    told = {line["id"]: line["dt_onset"] or None for line in lines(outside_data, LINE_LIST)}
    persons = await persons_of(outpost, told)
    cases = await outpost.pages("/tracing/cases", "cases")
    assert {case["person_id"]: case["onset_date"] for case in cases} == {
        persons[one]: onset for one, onset in told.items()
    }
    assert sum(case["onset_date"] is None for case in cases) == 27


async def test_the_policy_names_the_date_that_a_blank_onset_falls_back_to(walked: Walked) -> None:
    cases = await walked[0].pages("/tracing/cases", "cases")
    bases = Counter(case["window"]["basis"] for case in cases)
    assert bases == {"onset": 135, "diagnosed": 27}
    for case in cases:
        assert case["policy"], "the version that was used is told"
        if case["window"]["basis"] == "diagnosed":
            assert case["window"]["day"] == case["diagnosed_date"]


async def test_all_candidates_of_the_chain_are_kept(walked: Walked, outside_data: Path) -> None:
    (counts,) = await walked[0].read("/tracing/links")
    assert (counts["edges"], counts["infectees"]) == (98, 95)
    for infectee, candidates in (("SK_39", 3), ("SK_107", 2)):
        links = await links_of(walked[0], infectee)
        told = {line["from"] for line in lines(outside_data, PAIRS) if line["to"] == infectee}
        assert len(told) == candidates
        named = await persons_of(walked[0], told)
        assert {link["person_id"] for link in links["infectors"]} == set(named.values())


async def test_the_superspreaders_have_their_infectees(walked: Walked, outside_data: Path) -> None:
    told = Counter(line["from"] for line in lines(outside_data, PAIRS))
    assert told["SK_14"] == 38
    for infector in ("SK_14", "SK_1", "SK_16"):
        assert len((await links_of(walked[0], infector))["infectees"]) == told[infector]
    (counts,) = await walked[0].read("/tracing/links")
    first = counts["top_infectors"][0]
    persons = await persons_of(walked[0], ["SK_14"])
    assert first == {"person_id": persons["SK_14"], "infectees": 38}


def test_reports_dated_before_the_diagnosis_are_warnings(
    walked: Walked, outside_data: Path
) -> None:
    early = {
        line["id"] for line in lines(outside_data, LINE_LIST) if line["dt_report"] < line["dt_diag"]
    }
    assert len(early) == 7
    rows = json.loads(walked[1].replies[LINE_LIST][0])["rows"]
    warned = {
        row["external_id"]
        for row in rows
        if any(warning["field"] in ("dtreport", "dt_report") for warning in row.get("warnings", ()))
    }
    assert warned == early


async def links_of(outpost: Outpost, told_id: str) -> dict[str, Any]:
    persons = await persons_of(outpost, [told_id])
    answer = await outpost.read(f"/tracing/persons/{persons[told_id]}/links")
    assert isinstance(answer, dict)
    return answer
