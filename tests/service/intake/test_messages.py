"""HL7 messages that nobody here wrote: NIST's syndromic set, CDC's reports, and refusals."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import text

from shared.clock import ManualClock
from shared.events.intake import PersonChanged, ReportRecorded, ResultReported
from tests.conftest import MakeDatabase
from tests.service.intake.window import NOON, Intake, prepare_intake

BATCH = "COVID-Test_Full_Batch_Headers_One_Message_v2_5_1.hl7"
PRESUMPTIVE = "AL_PHLIP_251_COVID_CDC_conc-Det.hl7"
ENHANCED = "EnhancedELR_COVID19_Example.hl7"


@pytest.fixture(scope="module")
def nist(outside_data: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(outside_data.glob("hl7/nist-ss/*"))}


@pytest.fixture(scope="module")
def phdi(outside_data: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(outside_data.glob("hl7/cdc-phdi/*"))}


@pytest.fixture(scope="module")
def cdc(outside_data: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(outside_data.glob("hl7/cdc-elr/*"))}


@pytest_asyncio.fixture
async def clinic(intake: Intake) -> Intake:
    """A client whose key belongs to a fever clinic in the county."""
    source = await intake.add_source("clinic", "fever_clinic", default_zone="America/Chicago")
    intake.sender(source)
    return intake


@pytest_asyncio.fixture
async def laboratory(intake: Intake) -> Intake:
    """A client whose key belongs to a laboratory that is registered as test."""
    intake.sender(await intake.add_source("laboratory", "laboratory", mode="test"))
    return intake


def code_of(reply: bytes) -> str:
    return next(line.split("|")[1] for line in reply.decode().split("\r") if line.startswith("MSA"))


async def end_state(intake: Intake) -> Any:
    """What a consumer ends with, without ids, versions and recorded times."""
    persons = {event.person_id for event in await intake.said(PersonChanged)}
    reports = (await intake.newest(ReportRecorded)).values()
    assert {report.person_id for report in reports} == persons
    hidden = {"record_version", "recorded_at", "person_id", "source_id"}
    return sorted(str(report.model_dump(exclude=hidden)) for report in reports), len(persons)


async def test_nists_messages_make_four_encounters_and_one_fever(
    clinic: Intake, nist: dict[str, bytes]
) -> None:
    replies = {name: await clinic.hl7(body) for name, body in nist.items()}
    codes = Counter(code_of(reply) for reply in replies.values())
    assert codes == {"AA": 19, "AR": 4}
    assert all(name.endswith("_ACK.hl7") for name, one in replies.items() if code_of(one) == "AR")
    assert await clinic.count("clinic_encounter") == 4
    reports = (await clinic.newest(ReportRecorded)).values()
    assert len(reports) == 4
    assert [report.fever for report in reports].count(True) == 1
    assert {report.kind for report in reports} == {"fever_clinic"}
    assert len(await clinic.get("findings", code="control_id_reused")) == 8
    assert Counter(one["state"] for one in await clinic.get("messages")) == {
        "applied": 19,
        "refused": 4,
    }
    again = {name: await clinic.hl7(body) for name, body in nist.items()}
    assert again == replies
    assert await clinic.count("message") == 23
    balance = await clinic.get("balance")
    assert balance["balanced"]
    (line,) = balance["lines"]
    assert (line["stored"], line["duplicate"], line["rejected"]) == (19, 23, 4)


async def test_visits_end_the_same_in_any_order(
    make_database: MakeDatabase, nist: dict[str, bytes]
) -> None:
    ends = []
    for seed in range(4):
        intake = Intake(await make_database(prepare_intake), ManualClock(NOON))
        await intake.add_areas()
        zone = {"default_zone": "America/Chicago"}
        intake.sender(await intake.add_source("clinic", "fever_clinic", **zone))
        names = sorted(nist)
        if seed:
            names *= 2
            random.Random(seed).shuffle(names)
        for name in names:
            await intake.hl7(nist[name])
        ends.append(await end_state(intake))
        await intake.close()
    assert ends == [ends[0]] * 4
    told, persons = ends[0]
    assert (len(told), persons) == (4, 4)
    assert sum("'fever': True" in one for one in told) == 1


async def test_all_at_once_from_several_senders_is_the_same(
    clinic: Intake, nist: dict[str, bytes]
) -> None:
    bodies = [body for body in nist.values() for _ in range(2)]
    replies = await asyncio.gather(*(clinic.hl7(body) for body in bodies))
    assert [replies[n] for n in range(0, len(bodies), 2)] == replies[1::2]
    assert await clinic.count("clinic_encounter") == 4
    assert (await clinic.get("balance"))["balanced"]


async def test_an_older_event_never_overwrites_a_newer_one(
    clinic: Intake, nist: dict[str, bytes]
) -> None:
    stories = [name for name in sorted(nist) if name.startswith("cb_TestGroup_3")]
    for name in reversed(stories):
        await clinic.hl7(nist[name])
    async with clinic.engine.connect() as connection:
        row = (await connection.execute(text("SELECT * FROM intake.clinic_encounter"))).one()
    assert row.messages == 4
    assert row.event_at.isoformat().startswith("2010-02-01T14:35")


async def test_every_field_of_an_a04_broken_in_turn_is_accepted_and_listed(
    clinic: Intake, nist: dict[str, bytes]
) -> None:
    body = nist["cb_TestGroup_1_TestCase_1_TestStep_1.hl7"].decode("utf-8-sig")
    lines = body.replace("\r\n", "\r").replace("\n", "\r").strip("\r").split("\r")
    required = [("MSH", 4), ("MSH", 7), ("EVN", 2), ("PID", 3), ("PV1", 19), ("PV1", 44)]
    for number, (name, place) in enumerate(required):
        broken = [
            _replace_field(line, place, "") if line.startswith(name) else line for line in lines
        ]
        broken[0] = _replace_field(broken[0], 10, f"broken-{number}")
        reply = await clinic.hl7("\r".join(broken).encode())
        assert code_of(reply) == "AA"
        (newest, *_) = await clinic.get("messages")
        findings = await clinic.get("findings", message_id=newest["message_id"])
        fields = {one["field"] for one in findings}
        assert f"{name}-{place}" in fields


def _replace_field(line: str, number: int, value: str) -> str:
    fields = line.split("|")
    fields[number - 1 if line.startswith("MSH") else number] = value
    return "|".join(fields)


async def test_only_header_faults_refuse(clinic: Intake, phdi: dict[str, bytes]) -> None:
    replies = {name: await clinic.hl7(body) for name, body in phdi.items()}
    no_header = replies["fhir-converter__tests__test_files__FileSingleMessageInvalidSegments.hl7"]
    assert len(replies) == 12
    assert "MSA|AR\r" in no_header.decode()
    refused = [one for one in replies.values() if code_of(one) == "AR"]
    assert refused
    assert await clinic.newest(ResultReported) == {}


async def test_a_test_message_has_effect_only_from_a_test_source(
    clinic: Intake, cdc: dict[str, bytes]
) -> None:
    replies = [await clinic.hl7(body) for body in cdc.values()]
    assert b"MSA|AA" in replies[0]
    assert await clinic.newest(ResultReported) == {}
    assert {one["state"] for one in await clinic.get("messages")} == {"test_without_effect"}
    assert len(await clinic.get("findings", code="test_without_effect")) == 3


async def test_cdcs_reports_give_one_result_per_specimen(
    laboratory: Intake, cdc: dict[str, bytes]
) -> None:
    replies = {name: await laboratory.hl7(body) for name, body in cdc.items()}
    assert replies[BATCH].startswith(b"FHS|")
    results = list((await laboratory.newest(ResultReported)).values())
    assert len(results) == 3
    assert {result.outcome for result in results} == {"positive"}
    assert Counter(result.stage for result in results) == {"confirmed": 2, "preliminary": 1}
    assert all(result.test for result in results)
    assert [one.onset_date for one in results if one.onset_date] != []
    assert len({result.person_id for result in results}) == 3
    assert len(await laboratory.get("findings", code="identity_conflict")) == 1
    again = {name: await laboratory.hl7(body) for name, body in cdc.items()}
    assert again == replies
    assert len(await laboratory.said(ResultReported)) == 3
    assert (await laboratory.get("balance"))["balanced"]


async def test_a_registered_patient_is_found_by_the_number_in_the_message(
    laboratory: Intake, cdc: dict[str, bytes]
) -> None:
    scheme = "STARLIMS.AR.STAG&2.16.840.1.114222.4.3.3.2.5.2&ISO^PI"
    (told,) = await laboratory.told(
        "persons",
        {
            "identifiers": [{"scheme": scheme, "value": "PID13295037"}],
            "birth_date": "1934-07-26",
            "sex": "F",
        },
    )
    for name in (BATCH, ENHANCED):
        await laboratory.hl7(cdc[name])
    results = (await laboratory.newest(ResultReported)).values()
    mine = [one for one in results if str(one.person_id) == told["person_id"]]
    assert [one.occurred_at.date() for one in mine] == [date(2020, 2, 28)]


async def test_the_human_control_alone_opens_nothing(
    laboratory: Intake, cdc: dict[str, bytes]
) -> None:
    body = cdc[BATCH].decode().replace("94307-6", "68993-5").replace("94308-4", "68993-5")
    await laboratory.hl7(body.replace("94309-2^SARS", "68993-5^Human").encode())
    assert await laboratory.newest(ResultReported) == {}


async def test_a_correction_replaces_and_another_specimen_does_not(
    laboratory: Intake, cdc: dict[str, bytes]
) -> None:
    original = cdc[PRESUMPTIVE].decode("utf-8-sig")
    await laboratory.hl7(original.encode())
    later = original.replace("202002141145-0600", "202002151145-0600")
    negative = later.replace("260373001", "260415000").replace("10828004", "260385009")
    await laboratory.hl7(negative.encode())
    (result,) = (await laboratory.newest(ResultReported)).values()
    assert (result.outcome, result.record_version) == ("negative", 2)
    # The first report comes once more in other words: it is older and changes nothing.
    await laboratory.hl7(original.replace("3915949_", "3915950_").encode())
    (result,) = (await laboratory.newest(ResultReported)).values()
    assert result.outcome == "negative"
    other = original.replace("SPM|1|^M2002000005-01", "SPM|1|^M2002000005-02")
    await laboratory.hl7(other.encode())
    assert len(await laboratory.newest(ResultReported)) == 2


async def test_an_unregistered_sender_is_kept_and_replayed_at_registration(
    intake: Intake, nist: dict[str, bytes]
) -> None:
    intake.sender(None)
    bodies = [body for name, body in nist.items() if name.startswith("cb_TestGroup_3")]
    replies = [await intake.hl7(body) for body in bodies]
    assert {code_of(reply) for reply in replies} == {"AA"}
    waiting = await intake.get("messages", state="waiting_for_registration")
    assert len(waiting) == 4
    assert await intake.said(ReportRecorded) == []
    facility = {
        "facility_namespace": "SthrnMdwstMedCntr",
        "facility_universal_id": "1231231236",
    }
    await intake.add_source("other", "hospital", **(facility | {"facility_namespace": "Another"}))
    assert await intake.said(ReportRecorded) == []
    await intake.add_source("hospital", "hospital", **facility)
    assert await intake.get("messages", state="waiting_for_registration") == []
    (report,) = (await intake.newest(ReportRecorded)).values()
    assert report.kind == "hospital"
    assert [await intake.hl7(body) for body in bodies] == replies
    assert (await intake.get("balance"))["balanced"]


async def test_a_message_that_was_without_effect_is_replayed_by_command(
    intake: Intake, cdc: dict[str, bytes]
) -> None:
    source = {"name": "laboratory", "kind": "laboratory"}
    told = await intake.told("sources", source)
    intake.sender(told["source_id"])
    await intake.hl7(cdc[PRESUMPTIVE])
    await intake.told("sources", source | {"mode": "test"})
    answer = await intake.client.post(
        "/intake/messages/replay", params={"state": "test_without_effect"}
    )
    assert answer.json() == {"replayed": 1}
    assert len(await intake.newest(ResultReported)) == 1


async def test_any_bytes_are_answered(clinic: Intake) -> None:
    for body in (b"", b"\x00\xff", b"MSH", b"MSH|^~\\&|||||||||||", "发热".encode("gb18030")):
        assert b"MSA|AR" in await clinic.hl7(body)
    assert {one["state"] for one in await clinic.get("messages")} == {"refused"}
    assert (await clinic.get("balance"))["balanced"]


async def test_a_message_shows_its_text_only_to_who_may_read_names(
    clinic: Intake, nist: dict[str, bytes]
) -> None:
    await clinic.hl7(nist["cb_TestGroup_1_TestCase_1_TestStep_1.hl7"])
    (row,) = await clinic.get("messages")
    path = f"messages/{row['message_id']}"
    clinic.staff()
    assert "body" not in await clinic.get(path)
    clinic.staff("persons.read_names")
    assert "BgCtyChldrnUrgntCar" in (await clinic.get(path))["body"]
    clinic.staff(areas=("cn:999999",))
    assert (await clinic.client.get(f"/intake/{path}")).status_code == 404
    assert await clinic.get("messages") == []
    assert await clinic.get("findings") == []


async def test_paging_by_the_last_id_shows_every_message_and_finding_once(
    clinic: Intake, nist: dict[str, bytes]
) -> None:
    # The clock of the tests stands still: all have the same instant.
    for body in nist.values():
        await clinic.hl7(body)
    for listing, name in (("messages", "message_id"), ("findings", "finding_id")):
        seen: list[str] = []
        more: dict[str, str] = {}
        while page := await clinic.get(listing, limit="7", **more):
            seen += [one[name] for one in page]
            more = {"before_id": str(seen[-1])}
        assert len(seen) == len(set(seen)) == len(await clinic.get(listing, limit="500"))
