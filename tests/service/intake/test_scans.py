"""Scans over HTTP: fates, verdicts, repeats, corrections."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest_asyncio

from shared.events.intake import PersonChanged, ScanRecorded
from shared.events.quarantine import OrderChanged
from shared.events.tracing import CaseChanged
from shared.ids import new_id
from tests.service.intake.window import COUNTY, NOON, Intake, fates, scan, somebody


@pytest_asyncio.fixture
async def gate(intake: Intake) -> Intake:
    """A checkpoint whose key is in use, and the place `gate` in the county."""
    await intake.told("places", {"code": "gate", "kind": "station", "area_id": COUNTY})
    intake.sender(await intake.add_source("station"))
    return intake


def order(person_id: str, version: int = 1, **facts: Any) -> OrderChanged:
    return OrderChanged(
        **{
            "record_id": new_id(),
            "record_version": version,
            "occurred_at": NOON,
            "recorded_at": NOON,
            "person_id": UUID(person_id),
            "kind": "quarantine",
            "measure": "home",
            "status": "open",
            "from_at": NOON - timedelta(days=1),
            "until_at": NOON + timedelta(days=13),
            "reason": "contact",
            **facts,
        }
    )


def case(person_id: str, **facts: Any) -> CaseChanged:
    return CaseChanged(
        **{
            "record_id": new_id(),
            "record_version": 1,
            "occurred_at": NOON,
            "recorded_at": NOON,
            "person_id": UUID(person_id),
            "disease": "covid19",
            "classification": "confirmed",
            "standing": True,
            "reported_at": NOON - timedelta(days=1),
            "reason": "result",
            **facts,
        }
    )


async def verdict(intake: Intake, external_id: str, **facts: Any) -> tuple[str, str]:
    (row,) = (await intake.post("scans", scan(external_id, **facts)))["rows"]
    return row["verdict"], row["reason"]["code"]


async def test_a_known_person_passes_and_the_scan_is_announced(gate: Intake) -> None:
    person_id = await gate.add_person("340102199001011234")
    assert await verdict(gate, "1", person=somebody("340102199001011234")) == ("pass", "clear")
    (event,) = await gate.said(ScanRecorded)
    assert event.person_id == UUID(person_id)
    assert (event.place_kind, event.place_area_id) == ("station", COUNTY)
    assert event.residence_area_id == COUNTY
    assert event.occurred_at == datetime(2021, 3, 11, 10, tzinfo=UTC)


async def test_a_reason_is_told_in_two_languages_and_names_no_disease(gate: Intake) -> None:
    person_id = await gate.add_person("1")
    await gate.hear(case(person_id))
    (row,) = (await gate.post("scans", scan("1", person={"person_id": person_id})))["rows"]
    assert (row["verdict"], row["reason"]["code"]) == ("hold", "case")
    assert row["reason"]["zh"]
    assert row["reason"]["en"]
    assert "covid" not in json.dumps(row).lower()


async def test_an_order_holds_only_while_it_is_in_force(gate: Intake) -> None:
    person_id = await gate.add_person("1")
    person = {"person_id": person_id}
    standing = order(person_id)
    await gate.hear(standing)
    before = (standing.from_at - timedelta(minutes=1)).isoformat()
    after = (standing.until_at + timedelta(minutes=1)).isoformat()
    assert await verdict(gate, "1", person=person) == ("hold", "order")
    assert await verdict(gate, "2", person=person, occurred_at=before) == ("pass", "clear")
    assert await verdict(gate, "3", person=person, occurred_at=after) == ("pass", "clear")
    withdrawn = standing.model_copy(update={"record_version": 2, "status": "withdrawn"})
    await gate.hear(withdrawn, standing)
    assert await verdict(gate, "4", person=person) == ("pass", "clear")


async def test_an_allowed_place_passes_and_a_permit_is_looked_at(gate: Intake) -> None:
    person_id = await gate.add_person("1")
    (place,) = await gate.told("places", {"code": "clinic", "kind": "clinic"})
    await gate.hear(order(person_id, allowed_place_ids=(UUID(place["place_id"]),)))
    person = {"person_id": person_id}
    assert await verdict(gate, "1", person=person, place={"code": "clinic"}) == ("pass", "clear")
    assert await verdict(gate, "2", person=person, permit="transfer-7") == ("check", "permit")


async def test_a_fever_is_held_from_the_policys_temperature_on(gate: Intake) -> None:
    person = {"person_id": await gate.add_person("1")}
    assert await verdict(gate, "1", person=person, temperature_c=37.2) == ("pass", "clear")
    assert await verdict(gate, "2", person=person, temperature_c=37.3) == ("hold", "fever")
    cool, warm = await gate.said(ScanRecorded)
    assert (cool.fever, warm.fever) == (False, True)


async def test_before_any_policy_a_temperature_cannot_be_judged(gate: Intake) -> None:
    row = scan("1", temperature_c=39, occurred_at="2001-01-01T00:00:00Z")
    (told,) = (await gate.post("scans", row))["rows"]
    assert (told["fate"], told["problems"][0]["field"]) == ("rejected", "occurred_at")


async def test_strangers_nobodies_and_stale_copies_are_checked(gate: Intake) -> None:
    known = await gate.add_person("1")
    assert await verdict(gate, "1", person=somebody("new")) == ("check", "unknown_person")
    assert await verdict(gate, "2") == ("check", "no_person")
    gate.watch.seconds = 31
    assert await verdict(gate, "3", person={"person_id": known}) == ("check", "stale_copy")
    await gate.hear(order(known))
    assert await verdict(gate, "4", person={"person_id": known}) == ("hold", "order")


async def test_an_unknown_reference_makes_one_person_however_often_it_comes(gate: Intake) -> None:
    rows = [scan(str(number), person=somebody("X 1")) for number in range(5)]
    stranger = str(new_id())
    rows.append(scan("6", person={"person_id": stranger}))
    assert fates(await gate.post("scans", rows)) == {"stored": 6}
    persons = [event for event in await gate.said(PersonChanged) if event.placeholder]
    assert len(persons) == 2
    assert {event.person_id for event in await gate.said(ScanRecorded)} == {
        event.person_id for event in persons
    }
    assert UUID(stranger) in {event.person_id for event in persons}


async def test_racing_batches_end_with_one_person_per_reference(gate: Intake) -> None:
    async def send(start: int) -> Any:
        order_of_persons = range(20) if start % 2 else reversed(range(20))
        rows = [scan(f"{start}-{one}", person=somebody(f"p{one}")) for one in order_of_persons]
        return await gate.post("scans", rows)

    answers = await asyncio.gather(*(send(start) for start in range(6)))
    assert [fates(answer)["stored"] for answer in answers] == [20] * 6
    assert await gate.count("person") == 20
    assert len({event.person_id for event in await gate.said(ScanRecorded)}) == 20


async def test_a_repeated_body_is_answered_byte_for_byte_and_stored_once(gate: Intake) -> None:
    body = json.dumps([scan(str(number)) for number in range(3)])
    answers = [(await gate.client.post("/intake/scans", content=body)).content for _ in range(3)]
    assert len(set(answers)) == 1
    assert len(await gate.said(ScanRecorded)) == 3
    balance = await gate.get("balance")
    assert balance["balanced"]
    (line,) = balance["lines"]
    assert (line["received"], line["stored"], line["duplicate"]) == (9, 3, 6)


async def test_the_same_body_racing_with_itself_is_stored_once(gate: Intake) -> None:
    body = json.dumps([scan(str(number), person=somebody("1")) for number in range(10)])
    answers = await asyncio.gather(
        *(gate.client.post("/intake/scans", content=body) for _ in range(5))
    )
    assert len({answer.content for answer in answers}) == 1
    assert len(await gate.said(ScanRecorded)) == 10
    balance = await gate.get("balance")
    assert balance["balanced"]
    assert balance["lines"][0]["stored"] == 10


async def test_the_same_rows_racing_in_another_order_are_stored_once(gate: Intake) -> None:
    rows = [scan(str(number)) for number in range(50)]
    answers = await asyncio.gather(
        *(gate.post("scans", rows[start:] + rows[:start]) for start in range(0, 50, 10))
    )
    assert sum(fates(answer)["stored"] for answer in answers) == 50
    assert sum(fates(answer)["duplicate"] for answer in answers) == 200
    assert (await gate.get("balance"))["balanced"]


async def test_a_row_in_another_body_is_a_duplicate_with_its_first_verdict(gate: Intake) -> None:
    person_id = await gate.add_person("1")
    first = scan("1", person={"person_id": person_id})
    assert await verdict(gate, "1", person={"person_id": person_id}) == ("pass", "clear")
    await gate.hear(order(person_id))
    answer = await gate.post("scans", [scan("2"), first])
    assert [row["fate"] for row in answer["rows"]] == ["stored", "duplicate"]
    assert answer["rows"][1]["verdict"] == "pass"


async def test_another_content_under_a_used_id_is_a_conflict_kept_and_told(gate: Intake) -> None:
    await gate.post("scans", scan("1"))
    (row,) = (await gate.post("scans", scan("1", permit="other")))["rows"]
    assert (row["fate"], row["problems"][0]["field"]) == ("rejected", "revision")
    assert len(await gate.said(ScanRecorded)) == 1
    (kept,) = await gate.get("rejections")
    assert (kept["door"], kept["external_id"]) == ("scans", "1")
    assert (await gate.get("balance"))["balanced"]


async def test_within_a_batch_the_first_row_of_an_id_counts(gate: Intake) -> None:
    rows = [scan("1"), scan("1"), scan("1", permit="other")]
    answer = await gate.post("scans", rows)
    assert [row["fate"] for row in answer["rows"]] == ["stored", "duplicate", "rejected"]
    assert (answer["received"], answer["stored"]) == (3, 1)


async def test_a_higher_revision_corrects_and_a_late_lower_one_changes_nothing(
    gate: Intake,
) -> None:
    await gate.post("scans", scan("1", revision=3, temperature_c=36.5))
    assert fates(await gate.post("scans", scan("1", revision=2, temperature_c=39))) == {"stored": 1}
    await gate.post("scans", [scan("1", revision=5, withdrawn=True), scan("1", revision=4)])
    events = await gate.said(ScanRecorded)
    assert [(event.record_version, event.status) for event in events] == [
        (3, "recorded"),
        (5, "withdrawn"),
    ]
    assert len({event.record_id for event in events}) == 1


async def test_a_bad_row_is_rejected_alone_and_kept_sealed(gate: Intake) -> None:
    broken = scan("2", temperature_c=99, person=somebody("340102199001011234"))
    answer = await gate.post("scans", [scan("1"), broken, {"external_id": "3"}, 7, scan("4")])
    assert [row["fate"] for row in answer["rows"]] == [
        "stored",
        "rejected",
        "rejected",
        "rejected",
        "stored",
    ]
    assert answer["rows"][1]["problems"][0]["field"] == "temperature_c"
    assert {problem["field"] for problem in answer["rows"][2]["problems"]} == {
        "occurred_at",
        "place",
    }
    kept = await gate.get("rejections")
    assert [row["position"] for row in kept] == [3, 2, 1]
    assert "340102199001011234" not in await gate.dump()
    assert (await gate.get("balance"))["balanced"]


async def test_a_missing_offset_takes_the_sources_zone_and_is_flagged(gate: Intake) -> None:
    sent = scan("1", occurred_at="2021-03-11T18:00:00")
    (row,) = (await gate.post("scans", sent))["rows"]
    assert [warning["field"] for warning in row["warnings"]] == ["occurred_at"]
    (event,) = await gate.said(ScanRecorded)
    assert event.occurred_at == datetime(2021, 3, 11, 10, tzinfo=UTC)


async def test_an_unknown_place_is_no_lost_visit(gate: Intake) -> None:
    (row,) = (await gate.post("scans", scan("1", place={"code": "nobody-knows"})))["rows"]
    assert [warning["field"] for warning in row["warnings"]] == ["place"]
    (event,) = await gate.said(ScanRecorded)
    assert (event.place_kind, event.place_area_id) == ("unknown", None)
    (place,) = await gate.told("places", {"code": "nobody-knows", "kind": "market"})
    assert UUID(place["place_id"]) == event.place_id


async def test_what_is_no_json_or_too_much_is_refused_as_a_whole(gate: Intake) -> None:
    for body, status in (
        (b"{", 400),
        (b'"text"', 400),
        (json.dumps([scan(str(n)) for n in range(1001)]).encode(), 413),
        (b" " * 1_100_000, 413),
    ):
        answer = await gate.client.post("/intake/scans", content=body)
        assert answer.status_code == status
        assert answer.headers["content-type"] == "application/problem+json"
    assert await gate.count("tally") == 0


async def test_hostile_values_spoil_one_row_only(gate: Intake) -> None:
    rows = [
        scan("a\x00b"),
        scan("2", occurred_at="0001-01-01T00:00:00+08:00"),
        scan("3", revision=0),
        scan("4", person={"scheme": "id"}),
        scan("5", surprise=1),
        scan("6", left_at="2021-03-11T08:00:00Z"),
        scan("7"),
    ]
    answer = await gate.post("scans", rows)
    assert [row["fate"] for row in answer["rows"]] == ["rejected"] * 6 + ["stored"]
    assert (await gate.get("balance"))["balanced"]


async def test_a_key_without_a_source_is_refused(intake: Intake) -> None:
    intake.sender(None)
    answer = await intake.client.post("/intake/scans", json=scan("1"))
    assert answer.status_code == 403
    assert "source" in answer.json()["advice"]


async def test_a_lie_in_the_tables_shows_in_the_balance(gate: Intake) -> None:
    from sqlalchemy import text

    await gate.post("scans", [scan("1"), scan("2")])
    assert (await gate.get("balance"))["balanced"]
    assert len((await gate.get("balance", since="2021-03-11"))["lines"]) == 1
    assert (await gate.get("balance", since="2021-03-12"))["lines"] == []
    async with gate.engine.begin() as connection:
        await connection.execute(text("DELETE FROM intake.scan WHERE external_id = '1'"))
    assert not (await gate.get("balance"))["balanced"]
