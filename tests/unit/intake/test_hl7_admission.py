from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.intake.domain.hl7.admission import ClinicEncounter, read_admission
from services.intake.domain.hl7.findings import Finding, collect_findings
from services.intake.domain.hl7.profile import READ_FIELDS
from services.intake.domain.hl7.reader import read_interchange
from services.intake.domain.hl7.verdict import judge_message
from tests.unit.intake.hl7_samples import (
    A04,
    EASTERN,
    needs_samples,
    read_one,
    read_sample,
    sample_names,
)

ADT = [name for name in sample_names("nist-ss") if not name.endswith("_ACK.hl7")]
REFUSING = {"MSH-9", "MSH-11", "MSH-12"}


def read(body: bytes) -> ClinicEncounter:
    message = read_one(body)
    assert judge_message(message).kind == "admission"
    return read_admission(message, EASTERN)


def clinic(*observations: str, visit: str = "V1^^^H&1&NPI^VN", extra: str = "") -> bytes:
    lines = [
        "MSH|^~\\&||H^1^NPI|||202001020800||ADT^A04^ADT_A01|1|P|2.5.1",
        "EVN||202001020700|||||Ward^2^NPI",
        "PID|1||P1^^^H&1&NPI^MR||~^^^^^^S||19800102|F",
        f"PV1|1|E{'|' * 17}{visit}{'|' * 25}202001020630",
        *(f"OBX|{number}|{one}||||||F" for number, one in enumerate(observations, 1)),
        extra,
    ]
    return "\r".join(lines).encode()


@needs_samples
def test_the_19_messages_are_four_visits_by_number_and_whole_authority() -> None:
    visits = defaultdict(list)
    for name in ADT:
        encounter = read(read_sample(name))
        assert encounter.visit_key is not None
        visits[encounter.visit_key.text].append(encounter)
    assert len(ADT) == 19
    assert set(visits) == {
        "1111_001^BgCtyChldrnUrgntCar&1231231234&NPI",
        "20120709_0064^WstrnRgnlMedCntr&1231231235&NPI",
        "3333_001^SthrnMdwstMedCntr&1231231236&NPI",
        "3333_001^MountainviewGeneral&1231231236&NPI",
    }
    assert sum(len(found) for found in visits.values()) == 19


@needs_samples
def test_the_first_story_is_read_as_told() -> None:
    encounter = read(read_sample(A04))
    assert encounter.event == "registered"
    assert encounter.event_at == datetime(2010, 2, 20, 14, tzinfo=UTC)
    assert encounter.sent_at == datetime(2010, 2, 20, 15, tzinfo=UTC)
    assert encounter.admitted_at == datetime(2010, 2, 20, 13, 30, tzinfo=UTC)
    assert encounter.treating_facility.namespace == "BgCtyChldrnUrgntCar"
    assert encounter.age_years == 0.5
    assert encounter.visit_type == "261QU0200X"
    assert encounter.chief_complaints == (
        "Mother states that patient has fever, cough, and earache",
    )
    assert encounter.admit_reason == "Fever, cough, earache"
    assert [(one.code, one.kind) for one in encounter.diagnoses] == [("4871", "W"), ("38053", "W")]
    assert encounter.residence_code == "25025"
    assert encounter.patient.identifiers[0].type_code == "MR"
    assert encounter.patient.sex == "M"
    assert not encounter.died
    assert [finding.code for finding in encounter.findings] == ["zone_assumed"]


@needs_samples
def test_death_is_read_from_the_discharge() -> None:
    encounter = read(read_sample("nist-ss/cb_TestGroup_2_TestCase_1_TestStep_3.hl7"))
    assert encounter.died
    assert encounter.event == "discharged"
    assert encounter.discharged_at == datetime(2012, 7, 17, 23, tzinfo=UTC)


@pytest.mark.parametrize(
    ("observations", "celsius"),
    [
        (("NM|11289-6^T^LN||100.1|[degF]^F^UCUM",), 37.83),
        (("NM|8310-5^T^LN||38.2|Cel^C^UCUM", "NM|11289-6^T^LN||39|Cel^C^UCUM"), 39.0),
        (("NM|8310-5^T^LN||38.2|Cel^C^UCUM",), 38.2),
        (("SN|8310-5^T^LN||^38.2|Cel^C^UCUM",), 38.2),
        (("NM|8310-5^T^LN||38.2|",), 38.2),
        (("NM|8310-5^T^LN||101|",), 38.33),
        (("NM|8310-5^T^LN||382|Cel^C^UCUM",), None),
        (("NM|8310-5^T^LN||warm|Cel^C^UCUM",), None),
        ((), None),
    ],
)
def test_temperature_is_celsius_whatever_was_sent(
    observations: tuple[str, ...], celsius: float | None
) -> None:
    assert read(clinic(*observations)).temperature_c == celsius


def test_a_temperature_of_the_wrong_patient_is_not_read() -> None:
    body = clinic(extra="OBX|1|NM|8310-5^T^LN||39|Cel^C^UCUM|||||W")
    assert read(body).temperature_c is None


def test_onset_is_a_date_or_an_instant_as_told() -> None:
    as_date = read(clinic("TS|11368-8^Onset^LN||20200101"))
    assert (str(as_date.onset_date), as_date.onset_at) == ("2020-01-01", None)
    as_time = read(clinic("TS|11368-8^Onset^LN||202001012230"))
    assert as_time.onset_at == datetime(2020, 1, 2, 3, 30, tzinfo=UTC)
    assert str(as_time.onset_date) == "2020-01-01"


def test_age_is_taken_from_the_birth_date_when_no_age_is_told() -> None:
    assert read(clinic()).age_years == 40.0


def test_two_hospitals_never_share_a_visit_number() -> None:
    encounter = read(clinic(visit="V1"))
    assert encounter.visit_key is not None
    assert encounter.visit_key.text == "V1^H&1&NPI"
    assert ("authority_assumed", "PV1-19") in [(one.code, one.field) for one in encounter.findings]


def test_the_facility_and_time_of_the_event_fall_back_to_the_header() -> None:
    encounter = read(clinic().replace(b"EVN||202001020700|||||Ward^2^NPI\r", b""))
    assert encounter.treating_facility.namespace == "H"
    assert encounter.event_at == encounter.sent_at
    assert {"EVN", "EVN-2", "EVN-7"} <= {finding.field for finding in encounter.findings}


def test_times_that_disagree_are_findings() -> None:
    encounter = read(clinic().replace(b"EVN||202001020700", b"EVN||202001030700"))
    assert ("times_disagree", "EVN-2") in [(one.code, one.field) for one in encounter.findings]


def test_an_encounter_does_not_print_what_a_person_said() -> None:
    shown = repr(read(clinic("TX|8661-1^CC^LN||secret words")))
    assert "secret words" not in shown
    assert "P1" not in shown


def break_field(body: bytes, place: str, occurrence: int, value: bytes) -> bytes:
    name, number = place.split("-")
    lines = body.split(b"\n")
    index = [at for at, line in enumerate(lines) if line.startswith(name.encode())][occurrence]
    if place == "MSH-1":
        lines[index] = b"MSH" + value + lines[index][4:]
        return b"\n".join(lines)
    fields = lines[index].split(b"|")
    fields[int(number) - (1 if name == "MSH" else 0)] = value
    lines[index] = b"|".join(fields)
    return b"\n".join(lines)


def present_fields(body: bytes) -> list[tuple[str, int]]:
    """Every field of the message that has content, by place and occurrence of its segment."""
    seen: dict[str, int] = defaultdict(int)
    found = []
    for line in body.split(b"\n"):
        name, fields = line[:3].decode(), line.split(b"|")
        for at, field in enumerate(fields[1:], 1):
            if field:
                found.append((f"{name}-{at + (1 if name == 'MSH' else 0)}", seen[name]))
        seen[name] += 1
    return [("MSH-1", 0), *found]


def answer(body: bytes) -> tuple[str, tuple[Finding, ...]]:
    message = read_one(body)
    verdict = judge_message(message)
    if not verdict.is_accepted:
        return verdict.code, verdict.refusals
    return verdict.code, collect_findings(
        verdict.findings, read_admission(message, EASTERN).findings
    )


@needs_samples
@pytest.mark.parametrize("value", [b"", b"\x01@@", b"\x00" * 5, b'""', b"?", b"\xff\xfe", b"\xe5"])
def test_every_field_of_an_a04_broken_in_turn_gives_a_warning_that_names_it(value: bytes) -> None:
    body = read_sample(A04)
    places = present_fields(body)
    assert {place for place, _ in places} <= set(READ_FIELDS)
    for place, occurrence in places:
        code, findings = answer(break_field(body, place, occurrence, value))
        assert code == ("AR" if place in REFUSING else "AA"), place
        assert place in {finding.field for finding in findings}, (place, occurrence)


@needs_samples
@pytest.mark.parametrize(
    "place",
    [
        "MSH-4",
        "MSH-7",
        "MSH-15",
        "MSH-16",
        "MSH-21",
        "EVN-2",
        "EVN-7",
        "PID-1",
        "PID-3",
        "PID-8",
        "PID-10",
        "PID-11",
        "PID-22",
        "PV1-1",
        "PV1-2",
        "PV1-19",
        "PV1-44",
        "PV2-3",
        "OBX-1",
        "OBX-2",
        "OBX-3",
        "OBX-11",
        "DG1-1",
        "DG1-3",
        "DG1-6",
    ],
)
def test_a_readable_word_in_the_wrong_place_is_told_too(place: str) -> None:
    code, findings = answer(break_field(read_sample(A04), place, 0, b"garbage"))
    assert code == "AA"
    assert place in {finding.field for finding in findings}


@needs_samples
@pytest.mark.parametrize("number", [0, 1, 2, 3, 5, 6, 7])
def test_a_missing_segment_never_refuses(number: int) -> None:
    lines = read_sample(A04).split(b"\n")
    code, findings = answer(b"\n".join(lines[: number + 1]))
    assert code == "AA"
    names = {finding.field for finding in findings}
    assert names >= {"EVN", "PID", "PV1"} - {line[:3].decode() for line in lines[: number + 1]}


@needs_samples
def test_no_finding_quotes_the_message() -> None:
    body = read_sample(A04)
    for place, occurrence in present_fields(body):
        if place not in ("MSH-1", "MSH-2"):
            _, findings = answer(break_field(body, place, occurrence, b"Zaphod"))
            assert not [one for one in findings if "Zaphod" in one.text]


@needs_samples
@settings(max_examples=400, deadline=None)
@given(data=st.data())
def test_any_bytes_in_any_field_never_crash_and_never_refuse(data: st.DataObject) -> None:
    body = read_sample(A04)
    place, occurrence = data.draw(st.sampled_from(present_fields(body)))
    alphabet = st.sampled_from(
        [b"\\", b"^", b"&", b"~", b"1", b"X", b"\x00", b"\xe5", b"\x81", b"."]
    )
    value = b"".join(data.draw(st.lists(alphabet, max_size=12)))
    if place in ("MSH-1", "MSH-2") or place in REFUSING:
        read_interchange(break_field(body, place, occurrence, value))
        return
    code, _ = answer(break_field(body, place, occurrence, value))
    assert code == "AA"
