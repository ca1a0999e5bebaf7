"""Persons, places, areas, sources: registration, scope, and the audited look."""

from __future__ import annotations

import json
from pathlib import Path
from uuid import UUID

from sqlalchemy import text

from services.intake.domain.areas import read_area_file
from services.intake.handlers.areas import register_areas
from shared.database.work import Actor
from shared.events.intake import AreaChanged, PersonChanged, PlaceChanged
from tests.service.intake.window import CITY, COUNTY, Intake, scan, somebody

NUMBER, NAME = "340102199001011234", "张三丰"


async def test_registration_completes_who_was_a_placeholder(intake: Intake) -> None:
    intake.sender(await intake.add_source("gate"))
    await intake.post("scans", scan("1", person=somebody(NUMBER)))
    (placeholder,) = await intake.said(PersonChanged)
    person_id = await intake.add_person(NUMBER, name=NAME)
    assert UUID(person_id) == placeholder.person_id
    known = (await intake.newest(PersonChanged))[placeholder.person_id]
    assert (known.placeholder, known.residence_area_id, known.record_version) == (False, COUNTY, 2)
    await intake.add_person(NUMBER, name=NAME)
    assert len(await intake.said(PersonChanged)) == 2


async def test_no_name_and_no_number_stands_in_any_table_in_plain(intake: Intake) -> None:
    await intake.add_person(NUMBER, name=NAME, phone="13800138000", birth_date="1990-01-01")
    dump = await intake.dump()
    for secret in (NUMBER, NAME, "13800138000", "1990-01-01"):
        assert secret not in dump


async def test_names_need_a_permission_and_every_look_is_on_record(intake: Intake) -> None:
    person_id = await intake.add_person(NUMBER, name=NAME)
    intake.staff("persons.read")
    assert NAME not in json.dumps(await intake.get(f"persons/{person_id}"), ensure_ascii=False)
    intake.staff("persons.read", "persons.read_names")
    told = await intake.get(f"persons/{person_id}")
    assert told["fields"]["name"] == NAME
    assert told["identifiers"] == [{"scheme": "id", "value": NUMBER}]
    async with intake.engine.connect() as connection:
        looks = await connection.execute(
            text("SELECT actor, record_id FROM intake.audit WHERE action = 'person_looked_at'")
        )
    assert [tuple(row) for row in looks] == [("staff:1", person_id)]


async def test_what_lies_outside_ones_areas_is_not_there(intake: Intake) -> None:
    person_id = await intake.add_person("1")
    await intake.add_source("gate")
    intake.staff("persons.read", areas=(CITY,))
    assert (await intake.get(f"persons/{person_id}"))["residence_area_id"] == COUNTY
    assert [one["name"] for one in await intake.get("sources")] == ["gate"]
    assert {one["area_id"] for one in await intake.get("areas")} == {CITY, COUNTY}
    intake.staff("persons.read", areas=("cn:110101",))
    assert (await intake.client.get(f"/intake/persons/{person_id}")).status_code == 404
    for path in ("sources", "areas", "places"):
        assert await intake.get(path) == []
    assert await intake.get("balance") == {"balanced": True, "lines": []}


async def test_identifiers_of_two_persons_are_a_conflict(intake: Intake) -> None:
    await intake.add_person("1")
    await intake.add_person("2")
    both = {"identifiers": [{"scheme": "id", "value": "1"}, {"scheme": "id", "value": "2"}]}
    answer = await intake.client.post("/intake/persons", json=both)
    assert answer.status_code == 409
    assert answer.headers["content-type"] == "application/problem+json"


async def test_registering_the_same_again_says_nothing_new(intake: Intake) -> None:
    place = {"code": "school", "kind": "school", "area_id": COUNTY}
    for _ in range(2):
        await intake.told("places", place)
        await intake.add_areas()
    await intake.told("places", place | {"kind": "university"})
    assert [event.record_version for event in await intake.said(PlaceChanged)] == [1, 2]
    assert [event.record_version for event in await intake.said(AreaChanged)] == [1, 1]


async def test_a_facility_belongs_to_one_source_by_name_and_id_together(intake: Intake) -> None:
    facility = {"facility_namespace": "A", "facility_universal_id": "1"}
    await intake.add_source("one", **facility)
    await intake.add_source("two", **(facility | {"facility_namespace": "B"}))
    answer = await intake.client.post(
        "/intake/sources", json={"name": "three", "kind": "hospital", **facility}
    )
    assert answer.status_code == 409


async def test_wrong_registrations_name_the_field(intake: Intake) -> None:
    for path, content, field in (
        (
            "sources",
            {"name": "x", "kind": "hospital", "default_zone": "Mars/Olympus"},
            "default_zone",
        ),
        ("areas", [{"area_id": "340102", "level": "county", "name": "x"}], "area_id"),
        ("areas", [{"area_id": "cn:1", "level": "galaxy", "name": "x"}], "level"),
    ):
        answer = await intake.client.post(f"/intake/{path}", json=content)
        assert answer.status_code == 422
        assert any(field in one["field"] for one in answer.json()["problems"])


async def test_the_tree_of_china_loads_and_loads_again(
    bare_intake: Intake, outside_data: Path
) -> None:
    content = json.loads((outside_data / "china" / "divisions_v1.json").read_text("utf-8"))
    areas = read_area_file(content)
    told = await register_areas(bare_intake.database, areas, actor=Actor("command"))
    assert told == {"received": len(areas), "changed": len(areas)}
    again = await register_areas(bare_intake.database, areas, actor=Actor("command"))
    assert again["changed"] == 0
    async with bare_intake.engine.connect() as connection:
        row = (
            await connection.execute(text("SELECT * FROM intake.area WHERE area_id = 'cn:340102'"))
        ).one()
    assert list(row.ancestors) == ["cn:340102", "cn:340100", "cn:340000", "cn:000000"]
    assert len(await bare_intake.said(AreaChanged)) == len(areas)
