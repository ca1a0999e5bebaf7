from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import hl7
import pytest

from services.intake.domain.hl7.acknowledgement import (
    Signature,
    build_acknowledgement,
    build_batch_acknowledgement,
    derive_control_id,
)
from services.intake.domain.hl7.patient import Authority
from services.intake.domain.hl7.reader import read_interchange
from services.intake.domain.hl7.verdict import judge_message
from tests.unit.intake.hl7_samples import A04, needs_samples, read_one, read_sample, sample_names

SIGNATURE = Signature(
    "ACK1", datetime(2020, 1, 2, 3, 4, 5, tzinfo=UTC), facility=Authority("Outpost", "9", "ISO")
)
HEAD = "MSH|^~\\&|HIS|H^1^NPI|CDC|West^2^ISO|202001020800||{kind}|{control}|{mode}|{version}\r"


def message(
    kind: str = "ADT^A04^ADT_A01", control: str = "7", mode: str = "P", version: str = "2.5.1"
) -> bytes:
    return HEAD.format(kind=kind, control=control, mode=mode, version=version).encode()


def refused(body: bytes) -> list[str]:
    return [finding.field for finding in judge_message(read_one(body)).refusals]


@pytest.mark.parametrize("kind", ["ADT^A01", "ADT^A03", "ADT^A04^ADT_A04", "ADT^A08", "ORU^R01"])
def test_supported_messages_are_accepted(kind: str) -> None:
    assert refused(message(kind)) == []


@pytest.mark.parametrize("kind", ["VXU^V04", "ADT^A31", "ACK^A04^ACK", "ADT", "", "ORU^A04"])
def test_other_messages_are_refused_by_msh_9(kind: str) -> None:
    assert refused(message(kind)) == ["MSH-9"]


@pytest.mark.parametrize("mode", ["P", "T", "D", "P^A"])
def test_known_processing_ids_are_accepted(mode: str) -> None:
    assert refused(message(mode=mode)) == []


@pytest.mark.parametrize("mode", ["", "X", "p", "PT"])
def test_other_processing_ids_are_refused_by_msh_11(mode: str) -> None:
    assert refused(message(mode=mode)) == ["MSH-11"]


@pytest.mark.parametrize("version", ["2.3", "2.3.1", "2.4", "2.5.1^USA", "2.8", "2.9"])
def test_known_versions_are_accepted(version: str) -> None:
    assert refused(message(version=version)) == []


@pytest.mark.parametrize("version", ["", "2.2", "2.10", "3.0", "2", "two"])
def test_other_versions_are_refused_by_msh_12(version: str) -> None:
    assert refused(message(version=version)) == ["MSH-12"]


def test_every_refusing_field_is_named() -> None:
    assert refused(message("X", mode="X", version="X")) == ["MSH-9", "MSH-11", "MSH-12"]


def test_a_missing_control_id_does_not_refuse() -> None:
    verdict = judge_message(read_one(message(control="")))
    assert verdict.code == "AA"
    assert b"\rMSA|AA\r" in build_acknowledgement(verdict, SIGNATURE)


def test_a_wrong_structure_is_a_finding() -> None:
    verdict = judge_message(read_one(message("ADT^A04^ADT_A04")))
    assert [one.code for one in verdict.findings] == ["structure_unexpected"]


def test_the_sender_is_application_and_facility_with_their_whole_authority() -> None:
    header = judge_message(read_one(message(mode="T"))).header
    assert header is not None
    assert header.sender == "HIS&&|H&1&NPI"
    assert header.is_test


def test_the_answer_swaps_sender_and_receiver_and_is_byte_stable() -> None:
    verdict = judge_message(read_one(message()))
    answer = build_acknowledgement(verdict, SIGNATURE)
    assert answer == (
        b"MSH|^~\\&|CDC|West^2^ISO|HIS|H^1^NPI|20200102030405+0000||ACK^A04^ACK|ACK1|P|2.5.1\r"
        b"MSA|AA|7\r"
    )
    assert answer == build_acknowledgement(verdict, SIGNATURE)


def test_a_refusal_names_the_field_in_err() -> None:
    verdict = judge_message(read_one(message("VXU^V04", mode="X")))
    lines = build_acknowledgement(verdict, SIGNATURE).decode().split("\r")
    assert lines[0].split("|")[8:12] == ["ACK^V04^ACK", "ACK1", "P", "2.5.1"]
    assert lines[1] == "MSA|AR|7"
    assert lines[2].startswith("ERR||MSH^1^9|200^Unsupported message type^HL70357|E||||MSH-9: ")
    assert lines[3].startswith("ERR||MSH^1^11|202^Unsupported processing id^HL70357|E||||MSH-11: ")


def test_without_msh_the_answer_has_no_id_and_our_own_name() -> None:
    lines = build_acknowledgement(judge_message(read_one(b"AAA|x")), SIGNATURE).split(b"\r")
    assert lines[0].startswith(
        b"MSH|^~\\&|OUTPOST|Outpost^9^ISO|||20200102030405+0000||ACK|ACK1|P|"
    )
    assert lines[1] == b"MSA|AR"
    assert lines[2].startswith(b"ERR||MSH|100^")


def test_a_message_that_could_not_be_kept_is_told_to_come_again() -> None:
    verdict = judge_message(read_one(message()))
    lines = build_acknowledgement(verdict, SIGNATURE, code="AE").split(b"\r")
    assert lines[1] == b"MSA|AE|7"
    assert b"207^" in lines[2]


def test_echoed_values_cannot_break_the_answer() -> None:
    verdict = judge_message(read_one(message(control="a\\F\\b\\X0D\\MSA")))
    answer = read_one(build_acknowledgement(verdict, SIGNATURE))
    assert [segment.name for segment in answer.segments] == ["MSH", "MSA"]
    assert answer.segments[1].text(2) == "a|bMSA"


@pytest.mark.parametrize(
    ("codec", "charset"), [("gb18030", "GB 18030-2000"), ("utf-8", "UNICODE UTF-8")]
)
def test_the_answer_is_written_in_the_characters_of_the_question(codec: str, charset: str) -> None:
    interchange = read_interchange(message().decode().replace("H^1", "医院^1").encode(codec))
    verdict = judge_message(interchange.messages[0])
    answer = build_acknowledgement(verdict, SIGNATURE, codec=interchange.codec)
    assert answer.decode(codec).split("\r")[0].split("|")[5] == "医院^1^NPI"
    assert answer.decode(codec).split("\r")[0].split("|")[17] == charset


def test_a_control_id_follows_from_the_receipt_and_fits_msh_10() -> None:
    first = derive_control_id(UUID("01890000-0000-7000-8000-000000000001"))
    assert first == derive_control_id(UUID("01890000-0000-7000-8000-000000000001"))
    assert first != derive_control_id(UUID("01890000-0000-7000-8000-000000000002"))
    assert len(first) == 20


def test_a_batch_is_answered_in_its_own_envelope() -> None:
    body = b"FHS|^~\\&|A|B|C|D|2020|||||F1\rBHS|^~\\&|A|B|C|D|2020||||B1\r" + message() * 2
    interchange = read_interchange(body + b"BTS|2\rFTS|1\r")
    answers = [build_acknowledgement(judge_message(one), SIGNATURE) for one in interchange.messages]
    reply = build_batch_acknowledgement(interchange, answers, SIGNATURE)
    read = read_interchange(reply)
    assert len(read.messages) == 2
    assert read.findings == ()
    assert read.batch_header is not None
    assert [read.batch_header.text(number) for number in (3, 4, 5, 6, 12)] == [
        "C",
        "D",
        "A",
        "B",
        "B1",
    ]


@needs_samples
@pytest.mark.parametrize("name", sample_names())
def test_real_messages_get_the_verdict_that_the_issue_states(name: str) -> None:
    verdict = judge_message(read_one(read_sample(name)))
    refused_fields = [finding.field for finding in verdict.refusals]
    if "InvalidSegments" in name:
        assert refused_fields == ["MSH"]
    elif name.endswith("_ACK.hl7") or "FileSingle" in name or "sample_request" in name:
        assert refused_fields == ["MSH-9"]
    else:
        assert refused_fields == []


@needs_samples
def test_a_long_date_in_a_refused_message_is_told() -> None:
    name = "cdc-phdi/harmonization__FileSingleMessageLongDate.hl7"
    verdict = judge_message(read_one(read_sample(name)))
    assert {("time_overlong", "MSH-7"), ("time_overlong", "PID-7")} <= {
        (one.code, one.field) for one in verdict.findings
    }


@needs_samples
def test_python_hl7_reads_our_answer() -> None:
    verdict = judge_message(read_one(read_sample(A04)))
    answer = hl7.parse(build_acknowledgement(verdict, SIGNATURE).decode())
    assert str(answer.segment("MSA")[1]) == "AA"
    assert str(answer.segment("MSA")[2]) == "NIST-SS-001.11"
