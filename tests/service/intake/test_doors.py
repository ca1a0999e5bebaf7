"""Reports, encounters, groups and results in JSON: one mechanism, four doors."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio

from shared.events.base import Event
from shared.events.intake import (
    EncounterMeasured,
    MembershipDeclared,
    ReportRecorded,
    ResultReported,
)
from tests.service.intake.window import COUNTY, Intake, fates, somebody

AT = "2021-03-11T18:00:00+08:00"
ROWS: dict[str, dict[str, Any]] = {
    "reports": {"external_id": "1", "occurred_at": AT, "kind": "pharmacy", "person_count": 3},
    "encounters": {
        "external_id": "1",
        "occurred_at": AT,
        "person": somebody("a"),
        "other_person": somebody("b"),
        "duration_seconds": 40,
    },
    "memberships": {
        "external_id": "1",
        "occurred_at": AT,
        "person": somebody("a"),
        "group": {"kind": "household", "code": "幸福路 7 号"},
    },
    "results": {
        "external_id": "1",
        "occurred_at": AT,
        "person": somebody("a"),
        "specimen": "S1",
        "disease": "covid19",
        "outcome": "positive",
        "reported_at": "2021-03-12T09:00:00+08:00",
    },
}
EVENTS: dict[str, type[Event]] = {
    "reports": ReportRecorded,
    "encounters": EncounterMeasured,
    "memberships": MembershipDeclared,
    "results": ResultReported,
}


@pytest_asyncio.fixture
async def point(intake: Intake) -> Intake:
    intake.sender(await intake.add_source("point", "pharmacy"))
    return intake


@pytest.mark.parametrize("door", list(ROWS))
async def test_every_door_stores_repeats_corrects_withdraws_and_balances(
    point: Intake, door: str
) -> None:
    row = ROWS[door]
    assert fates(await point.post(door, [row])) == {"stored": 1}
    assert fates(await point.post(door, row)) == {"duplicate": 1}
    assert fates(await point.post(door, row | {"occurred_at": "2021-03-10T00:00:00Z"})) == {
        "rejected": 1
    }
    assert fates(await point.post(door, row | {"revision": 2, "withdrawn": True})) == {"stored": 1}
    assert fates(await point.post(door, {"external_id": "2"})) == {"rejected": 1}
    first, second = [one.model_dump() for one in await point.said(EVENTS[door])]
    assert first["record_id"] == second["record_id"]
    assert (first["record_version"], second["record_version"]) == (1, 2)
    assert (first["status"], second["status"]) == ("recorded", "withdrawn")
    balance = await point.get("balance")
    assert balance["balanced"]
    (line,) = balance["lines"]
    assert (line["received"], line["stored"], line["duplicate"], line["rejected"]) == (5, 2, 1, 2)


async def test_a_report_is_read_for_fever_by_the_list_in_force(point: Intake) -> None:
    base = ROWS["reports"] | {"person_count": 1}
    rows = [
        base | {"external_id": "told", "fever": True},
        base | {"external_id": "warm", "temperature_c": 38.0},
        base | {"external_id": "words", "symptoms": ["发热两天, 伴咳嗽"]},
        base | {"external_id": "denied", "symptoms": ["无发热"]},
        base | {"external_id": "contrary", "fever": False, "temperature_c": 39.0},
        base | {"external_id": "silent"},
    ]
    await point.post("reports", rows)
    events = await point.said(ReportRecorded)
    assert [event.fever for event in events] == [True, True, True, False, False, False]
    assert [event.reading for event in events] == [
        None,
        "fever@1",
        "fever@1",
        "fever@1",
        None,
        None,
    ]
    assert events[0].syndromes == ("fever",)
    assert {event.place_area_id for event in events} == {COUNTY}
    assert "伴咳嗽" not in await point.dump()


async def test_a_report_from_a_test_source_is_marked(intake: Intake) -> None:
    intake.sender(await intake.add_source("drill", "school", mode="test"))
    await intake.post("reports", ROWS["reports"])
    assert [event.test for event in await intake.said(ReportRecorded)] == [True]


async def test_a_report_that_names_one_person_counts_one(point: Intake) -> None:
    row = ROWS["reports"] | {"person": somebody("a")}
    assert fates(await point.post("reports", row)) == {"rejected": 1}


async def test_nobody_meets_themselves(point: Intake) -> None:
    row = ROWS["encounters"] | {"other_person": somebody("a")}
    (told,) = (await point.post("encounters", row))["rows"]
    assert (told["fate"], told["problems"][0]["field"]) == ("rejected", "other_person")


async def test_a_thousand_encounters_fit_in_one_body(point: Intake) -> None:
    rows = [
        ROWS["encounters"]
        | {"external_id": str(n), "person": somebody(f"a{n % 40}"), "duration_seconds": 20}
        for n in range(1000)
    ]
    assert fates(await point.post("encounters", rows)) == {"stored": 1000}
    assert await point.count("person") == 41


async def test_two_persons_of_one_household_share_a_group_that_tells_no_address(
    point: Intake,
) -> None:
    row = ROWS["memberships"]
    await point.post("memberships", [row, row | {"external_id": "2", "person": somebody("b")}])
    one, other = await point.said(MembershipDeclared)
    assert one.group_id == other.group_id
    assert one.person_id != other.person_id
    assert "幸福路" not in await point.dump()


async def test_a_result_lies_in_the_area_of_its_person(intake: Intake) -> None:
    person_id = await intake.add_person("a")
    intake.sender(await intake.add_source("laboratory", "laboratory", area_id="cn:110101"))
    await intake.post("results", ROWS["results"] | {"onset_date": "2021-03-01"})
    (event,) = await intake.said(ResultReported)
    assert (event.person_id, event.area_id) == (UUID(person_id), COUNTY)
    assert event.onset_date == date(2021, 3, 1)
    assert event.reported_at == datetime(2021, 3, 12, 1, tzinfo=UTC)
