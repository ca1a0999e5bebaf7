from __future__ import annotations

from collections import defaultdict

import pytest

from services.intake.domain.hl7.admission import read_admission
from services.intake.domain.hl7.syndromes import (
    SyndromeReading,
    find_terms,
    read_syndrome,
    read_syndrome_document,
)
from tests.unit.intake.hl7_samples import (
    EASTERN,
    load_preset,
    needs_samples,
    read_one,
    read_sample,
    sample_names,
)

FEVER = read_syndrome_document(load_preset("syndromes.yaml"))


def read(*lines: str) -> SyndromeReading:
    head = "MSH|^~\\&||H^1^NPI|||202001020800||ADT^A04^ADT_A01|1|P|2.5.1"
    message = read_one("\r".join((head, *lines)).encode())
    return read_syndrome(read_admission(message, EASTERN), FEVER)


@needs_samples
def test_exactly_one_of_the_four_visits_is_a_fever_signal() -> None:
    found = defaultdict(set)
    for name in sample_names("nist-ss"):
        if not name.endswith("_ACK.hl7"):
            encounter = read_admission(read_one(read_sample(name)), EASTERN)
            assert encounter.visit_key is not None
            found[encounter.visit_key.number, encounter.visit_key.authority.namespace].add(
                read_syndrome(encounter, FEVER).is_signal
            )
    assert len(found) == 4
    assert [key for key, values in found.items() if values == {True}] == [
        ("1111_001", "BgCtyChldrnUrgntCar")
    ]
    assert all(len(values) == 1 for values in found.values())


@pytest.mark.parametrize(
    "text",
    [
        "Fever, cough, earache",
        "FEVER 38.5 since Monday",
        "no cough, fever for two days",
        "denies pain but has fever",
        "Patient not improving, fever",
        "fever of no known cause",
        "feverish",
        "发热3天",
        "无咳嗽，发热3天",
        "无明显诱因发热2天",
        "无咳嗽伴发热",
        "发烧，否认接触史",
        "不明原因发热",
        "发热门诊：发热待查",
        "全身不适伴发热",
        "發燒",
    ],
)
def test_an_affirmed_fever_is_one(text: str) -> None:
    assert find_terms(text, FEVER)


@pytest.mark.parametrize(
    "text",
    [
        "no fever",
        "Denies fever, chills or cough",
        "denies cough or fever",
        "cough without fever",
        "afebrile",
        "negative for fever",
        "hay fever",
        "yellow fever vaccination",
        "sent to fever clinic for swab",
        "A headache, nausea, and dizziness",
        "无发热",
        "否认发热、咳嗽",
        "无咳嗽、发热",
        "无咳嗽，乏力或发热",
        "咳嗽3天，不发热",
        "未出现发热",
        "未见发热",
        "咳嗽不伴发热",
        "没有发烧",
        "发热门诊就诊，咽痛",
        "",
    ],
)
def test_a_denied_or_another_fever_is_none(text: str) -> None:
    assert find_terms(text, FEVER) == ()


@pytest.mark.parametrize(
    ("line", "is_signal"),
    [
        ("DG1|1||R509^Fever, unspecified^I10C|||F", True),
        ("DG1|1||R50.9^x^ICD-10|||F", True),
        ("DG1|1||780.60^x^I9CDX|||F", True),
        ("DG1|1||386661006^Fever^SCT|||F", True),
        ("DG1|1||3866610061^x^SCT|||F", False),
        ("DG1|1||^发热待查|||F", True),
        ("DG1|1||R509^x^OTHER|||F", False),
        ("DG1|1||4871^Influenza^I9CDX|||F", False),
        ("OBX|1|NM|11289-6^T^LN||100.1|[degF]^F^UCUM|||||F", True),
        ("OBX|1|NM|8310-5^T^LN||37.3|Cel^C^UCUM|||||F", True),
        ("OBX|1|NM|8310-5^T^LN||37.2|Cel^C^UCUM|||||F", False),
        ("OBX|1|TX|54094-8^Triage^LN||has fever||||||F", True),
        ("PV2|||^Fever", True),
    ],
)
def test_code_temperature_and_reason_each_suffice(line: str, is_signal: bool) -> None:
    reading = read(line)
    assert reading.is_signal is is_signal
    assert len(reading.reasons) == (1 if is_signal else 0)


def test_reasons_name_the_field_and_the_list_never_the_words_of_the_patient() -> None:
    reading = read("OBX|1|TX|8661-1^CC^LN||Mrs Li has a fever||||||F")
    assert [(one.kind, one.field, one.matched) for one in reading.reasons] == [
        ("term", "OBX 8661-1", "fever")
    ]
    assert reading.document == "fever@1"


def test_a_broken_list_says_what_is_missing() -> None:
    content = load_preset("syndromes.yaml")
    del content["terms"]
    with pytest.raises(ValueError, match="terms"):
        read_syndrome_document(content)
