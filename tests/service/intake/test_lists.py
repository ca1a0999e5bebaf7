"""Imported lists: MERS Korea 2015 unedited, and lists that are not as they should be."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from shared.events.intake import CaseDeclared, LinkDeclared, PersonChanged
from tests.service.intake.window import Intake, fates

QUERY = {"disease": "mers", "id_scheme": "mers-korea-2015"}


@pytest.fixture(scope="module")
def mers(outside_data: Path) -> tuple[bytes, bytes]:
    folder = outside_data / "lists"
    return (
        (folder / "mers_korea_2015_linelist.csv").read_bytes(),
        (folder / "mers_korea_2015_contacts.csv").read_bytes(),
    )


@pytest_asyncio.fixture
async def office(intake: Intake) -> Intake:
    intake.sender(await intake.add_source("office", "health_office", default_zone="Asia/Seoul"))
    return intake


async def send(office: Intake, body: bytes | str, **query: str) -> Any:
    answer = await office.client.post(
        "/intake/lists", content=body, params=QUERY | query, headers={"content-type": "text/csv"}
    )
    assert answer.status_code == 202, answer.text
    return answer.json()


@pytest.mark.parametrize("links_first", [False, True])
async def test_mers_gives_260_verdicts_and_then_nothing_changes(
    office: Intake, mers: tuple[bytes, bytes], links_first: bool
) -> None:
    files = mers[::-1] if links_first else mers
    answers = [await send(office, body) for body in files]
    assert sum(len(answer["rows"]) for answer in answers) == 260
    assert sum((fates(answer) for answer in answers), Counter()) == {"stored": 260}
    said = len(await office.said(CaseDeclared)) + len(await office.said(LinkDeclared))
    assert [await send(office, body) for body in files] == answers
    assert len(await office.said(CaseDeclared)) + len(await office.said(LinkDeclared)) == said
    cases, links = await office.said(CaseDeclared), await office.said(LinkDeclared)
    assert (len(cases), len(links)) == (162, 98)
    assert len({link.other_person_id for link in links}) == 95
    assert [case.onset_date for case in cases].count(None) == 27
    infectees = Counter(link.person_id for link in links)
    assert infectees.most_common(3)[0][1] == 38
    assert {link.person_id for link in links} <= {case.person_id for case in cases}
    assert len(await office.said(PersonChanged)) == 162
    assert {link.setting for link in links} == {
        "emergency_room",
        "hospital_room",
        "hospital",
        "household",
        "health_worker",
    }
    assert (await office.get("balance"))["balanced"]


async def test_reports_dated_before_the_diagnosis_are_warnings(
    office: Intake, mers: tuple[bytes, bytes]
) -> None:
    answer = await send(office, mers[0])
    warned = [row for row in answer["rows"] if "warnings" in row]
    assert warned
    assert {row["fate"] for row in warned} == {"stored"}
    assert "SK_1" in {row["external_id"] for row in warned}
    assert {one["field"] for row in warned for one in row["warnings"]} <= {"dt_report", "dt_onset"}


async def test_a_changed_row_is_the_next_version_and_the_others_are_duplicates(
    office: Intake,
) -> None:
    await send(office, "id,dt_onset\na,2015-05-01\nb,\n")
    answer = await send(office, "id,dt_onset\na,2015-05-01\nb,2015-05-03\n")
    assert [row["fate"] for row in answer["rows"]] == ["duplicate", "stored"]
    *_, last = await office.said(CaseDeclared)
    assert (last.record_version, str(last.onset_date)) == (2, "2015-05-03")
    back = await send(office, "id,dt_onset\nb,\n")
    assert [(row["fate"], row["revision"]) for row in back["rows"]] == [("stored", 3)]


async def test_a_bad_row_is_rejected_alone(office: Intake) -> None:
    answer = await send(
        office,
        "病例编号;发病日期;病例分类\n1;2015/5/1;确诊病例\n2;2015-02-30;\n;2015-05-01;\n"
        "4;昨天;\n5;;没见过\n6;2015年5月2日;疑似病例\n7;2015-05-01;;;\n",
    )
    assert [row["fate"] for row in answer["rows"]] == [
        "stored",
        "rejected",
        "rejected",
        "rejected",
        "rejected",
        "stored",
        "rejected",
    ]
    assert [row["problems"][0]["field"] for row in answer["rows"] if "problems" in row] == [
        "发病日期",
        "病例编号",
        "发病日期",
        "病例分类",
        "row",
    ]
    first, second = await office.said(CaseDeclared)
    assert (first.classification, second.classification) == ("confirmed", "suspected")
    assert (await office.get("balance"))["balanced"]


async def test_free_text_of_an_exposure_is_not_passed_on(office: Intake) -> None:
    answer = await send(office, "from,to,exposure\na,b,dinner with Kim\nb,b,household\n")
    assert [row["fate"] for row in answer["rows"]] == ["stored", "rejected"]
    assert answer["rows"][0]["warnings"][0]["field"] == "exposure"
    (link,) = await office.said(LinkDeclared)
    assert link.setting == "other"
    assert "Kim" not in await office.dump()


async def test_document_numbers_as_case_ids_stay_in_the_vault(office: Intake) -> None:
    number = "340102199001011234"
    await send(office, f"id,dt_onset\n{number},2015-05-01\n,2015-05-01\n")
    assert number not in await office.dump()


async def test_a_list_in_gb18030_is_read(office: Intake) -> None:
    body = "病例编号,发病日期\n甲,2015-05-01\n".encode("gb18030")
    assert fates(await send(office, body)) == {"stored": 1}


async def test_the_same_file_for_another_disease_is_another_list(office: Intake) -> None:
    body = "id,dt_onset\na,2015-05-01\n"
    assert fates(await send(office, body)) == {"stored": 1}
    assert fates(await send(office, body, disease="influenza")) == {"stored": 1}
    assert {case.disease for case in await office.said(CaseDeclared)} == {"mers", "influenza"}


async def test_what_is_no_known_list_is_refused(office: Intake) -> None:
    for body in (b"", b"colour,size\nred,7\n", b"\xff\xfe\xff"):
        answer = await office.client.post("/intake/lists", content=body, params=QUERY)
        assert answer.status_code == 400
        assert "list-columns@1" in answer.json()["advice"]
