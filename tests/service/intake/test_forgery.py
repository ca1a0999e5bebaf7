"""Whoever speaks in another's name is answered, kept and without effect."""

from __future__ import annotations

from typing import Any

from sqlalchemy import text

from shared.events.intake import PlaceChanged, ReportRecorded, ScanRecorded
from tests.service.intake.window import COUNTY, Intake, scan, somebody

LIST = "id,onset_date,report_date\n34010219880101777X,2021-03-01,2021-03-02\n"
MESSAGE = (
    "MSH|^~\\&|APP|TRUE^1.2.3^ISO|||20210311100000+0800||ADT^A04^ADT_A01|c1|P|2.5.1\r"
    "EVN||20210311100000+0800\r"
    "PID|1||77^^^H&1.2.9&ISO^PI||Doe\r"
    "PV1|1|E||||||||||||||||v1^^^H&1.2.9&ISO^VN|||||||||||||||||||||||||20210311100000+0800\r"
).replace("PV1|1|E||||||||||||||||v1", "PV1|1|E|||||||||||||||||v1")


async def sources(intake: Intake) -> tuple[Any, Any]:
    """The true sender of the message, and somebody else with a key."""
    await intake.add_areas()
    await intake.told("places", [{"code": "true", "kind": "fever_clinic", "area_id": COUNTY}])
    true = await intake.told(
        "sources",
        {"name": "true", "kind": "fever_clinic", "facility_namespace": "TRUE",
         "facility_universal_id": "1.2.3", "place_code": "true"},
    )  # fmt: skip
    other = await intake.told("sources", {"name": "other", "kind": "fever_clinic"})
    return true["source_id"], other["source_id"]


async def post(intake: Intake, message: str) -> bytes:
    answer = await intake.client.post("/intake/hl7v2", content=message.encode())
    return answer.content


async def states(intake: Intake) -> list[tuple[str, str]]:
    async with intake.engine.connect() as connection:
        rows = await connection.execute(
            text("SELECT sender, state FROM intake.message ORDER BY received_at, message_id")
        )
        return [(row.sender, row.state) for row in rows]


async def test_a_key_of_one_source_cannot_report_as_another(intake: Intake) -> None:
    true, other = await sources(intake)
    intake.sender(other, "client:other")
    assert b"MSA|AA" in await post(intake, MESSAGE)
    assert await states(intake) == [("client:other", "without_effect")]
    assert await intake.said(ReportRecorded) == []

    intake.sender(true, "client:true")
    assert b"MSA|AA" in await post(intake, MESSAGE)
    assert [state for _, state in await states(intake)] == ["without_effect", "applied"]
    (report,) = await intake.said(ReportRecorded)
    assert str(report.source_id) == str(true)


async def test_a_key_of_one_source_cannot_report_from_anothers_place(intake: Intake) -> None:
    _, other = await sources(intake)
    intake.sender(other, "client:other")
    elsewhere = MESSAGE.replace("TRUE^1.2.3", "MINE^9.9").replace(
        "EVN||20210311100000+0800", "EVN||20210311100000+0800|||||TRUE^1.2.3^ISO"
    )
    await post(intake, elsewhere)
    assert await states(intake) == [("client:other", "without_effect")]
    assert await intake.said(ReportRecorded) == []


async def test_a_replay_gives_no_effect_to_what_was_sent_in_anothers_name(intake: Intake) -> None:
    await intake.add_areas()
    other = await intake.told("sources", {"name": "other", "kind": "fever_clinic"})
    intake.sender(other["source_id"], "client:other")
    lost = "00000000-0000-7000-8000-00000000abcd"
    intake.sender(lost, "client:lost")  # a key whose source nobody has registered yet
    await post(intake, MESSAGE)
    intake.staff()
    await sources(intake)
    await intake.client.post("/intake/messages/replay")
    assert await intake.said(ReportRecorded) == []


async def test_staff_write_for_sources_of_their_own_areas_alone(intake: Intake) -> None:
    true, _ = await sources(intake)
    body = "id,onset_date,report_date\n1,2021-03-01,2021-03-02\n"
    query = {"disease": "covid19", "id_scheme": "list", "source": str(true)}
    told = {}
    for areas in ((COUNTY,), ("cn:340103",), ()):
        intake.staff(areas=areas)
        answer = await intake.client.post("/intake/lists", params=query, content=body.encode())
        told[areas] = answer.status_code
    assert told == {(COUNTY,): 202, ("cn:340103",): 403, (): 403}


async def test_the_number_of_a_permit_is_not_told_on(intake: Intake) -> None:
    true, _ = await sources(intake)
    intake.sender(true)
    row = scan("1", person=somebody(), permit="340102198801017770")
    for _ in range(2):
        assert (await intake.client.post("/intake/scans", json=row)).status_code == 202
    (event,) = await intake.said(ScanRecorded)
    assert event.permit is not None
    assert "340102198801017770" not in await intake.dump()


async def test_the_stored_answer_to_a_list_cannot_be_read_and_is_repeated_all_the_same(
    intake: Intake,
) -> None:
    true, _ = await sources(intake)
    intake.sender(true)
    query = {"disease": "covid19", "id_scheme": "cn-resident-id"}
    first, again = [
        await intake.client.post("/intake/lists", params=query, content=LIST.encode())
        for _ in range(2)
    ]
    assert first.content == again.content
    assert b"34010219880101777X" in first.content
    async with intake.engine.connect() as connection:
        rows = await connection.execute(text("SELECT reply FROM intake.receipt"))
        (stored,) = (bytes(row.reply) for row in rows)
    # The key's id, then the nonce: not a deflated stream.
    assert stored[0] == 1
    assert await intake.said(PlaceChanged)
