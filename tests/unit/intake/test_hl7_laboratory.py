from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from services.intake.domain.hl7.laboratory import LabReport, ResultRow, read_laboratory
from services.intake.domain.hl7.patient import compare_patients
from services.intake.domain.hl7.specimens import (
    SpecimenAnswer,
    judge_specimen,
    read_analyte_document,
)
from tests.unit.intake.hl7_samples import (
    BATCH,
    EASTERN,
    ENHANCED,
    GLUCOSE,
    PRESUMPTIVE,
    load_preset,
    needs_samples,
    read_one,
    read_sample,
)

ANALYTES = read_analyte_document(load_preset("analytes.yaml"))
HEAD = "MSH|^~\\&|LIS^1^ISO|Lab^2^ISO|||202001050900-0500||ORU^R01^ORU_R01|1|T|2.5.1"
WHO = "PID|1||P1^^^Lab&2&ISO^PI||~^^^^^^S||19800101|F"


def read(name: str) -> tuple[LabReport, ...]:
    return read_laboratory(read_one(read_sample(name)), EASTERN)


def rows_by_specimen(*reports: LabReport) -> dict[str, list[ResultRow]]:
    found: dict[str, list[ResultRow]] = {}
    for report in reports:
        assert report.specimen is not None
        found.setdefault(report.specimen.text, []).extend(report.rows)
    return found


def oru(*lines: str) -> tuple[LabReport, ...]:
    return read_laboratory(read_one("\r".join((HEAD, WHO, *lines)).encode()), EASTERN)


def row(code: str, value: str, *, status: str = "F", number: int = 1) -> str:
    return f"OBX|{number}|CWE|{code}^x^LN||{value}||||||{status}|||202001041200"


DETECTED, ABSENT = "260373001^Detected^SCT", "260415000^Not detected^SCT"
ORDER = "OBR|1||F1^Lab^2^ISO|94306-8^Panel^LN|||202001041200-0500"


def judge(*lines: str) -> tuple[SpecimenAnswer, ...]:
    (report,) = oru(ORDER, *lines)
    return judge_specimen(report.rows, ANALYTES)


@needs_samples
def test_three_reports_open_three_cases_one_per_specimen_never_per_row() -> None:
    specimens = rows_by_specimen(*read(PRESUMPTIVE), *read(BATCH), *read(ENHANCED))
    answers = {
        key.split("^")[0]: judge_specimen(found, ANALYTES) for key, found in specimens.items()
    }
    positive = {
        key: [(one.disease, one.outcome, one.stage) for one in found]
        for key, found in answers.items()
    }
    assert positive == {
        "M2002000005-01": [("covid19", "positive", "preliminary")],
        "1905700000256": [("covid19", "positive", "confirmed")],
        "1905700000256-12": [("covid19", "positive", "confirmed")],
    }


@needs_samples
def test_a_shared_filler_number_with_another_specimen_is_another_report() -> None:
    first, _ = read(BATCH)
    (second,) = read(ENHANCED)
    assert first.filler == second.filler
    assert first.specimen != second.specimen


@needs_samples
def test_one_specimen_spans_both_orders_of_the_batch_file() -> None:
    first, second = read(BATCH)
    assert first.specimen == second.specimen
    assert first.specimen is not None
    assert first.specimen.number == "1905700000256"
    assert [one.filler.number for one in (first, second) if one.filler] == [
        "1905700000256-176",
        "1905700000256-177",
    ]
    assert first.results == ()
    assert len(second.results) == 4


@needs_samples
def test_questions_are_answers_and_the_onset_is_one_of_them() -> None:
    (report,) = read(ENHANCED)
    assert len(report.rows) == 14
    assert len(report.results) == 5
    assert report.onset_date == date(2020, 2, 14)
    assert report.collected_at == datetime(2020, 2, 28, 17, 57, tzinfo=UTC)
    assert report.received_at == datetime(2020, 3, 1, 16, 18, tzinfo=UTC)
    assert report.reported_at == datetime(2020, 4, 2, 13, 21, 43, tzinfo=UTC)


@needs_samples
def test_two_patients_under_one_number_are_an_identity_finding() -> None:
    first, second = read(BATCH)[0].patient, read(ENHANCED)[0].patient
    finding = compare_patients(first, second)
    assert finding is not None
    assert (finding.code, finding.field) == ("identity_conflict", "PID-3")
    assert compare_patients(first, first) is None
    assert compare_patients(first, replace(second, identifiers=())) is None
    assert compare_patients(first, replace(first, birth_date=None, sex="")) is None


@needs_samples
def test_glucose_opens_nothing_and_its_impossible_birth_date_is_told() -> None:
    (report,) = read(GLUCOSE)
    assert judge_specimen(report.rows, ANALYTES) == ()
    assert ("time_unreadable", "PID-7") in [(one.code, one.field) for one in report.findings]


@pytest.mark.parametrize("code", ["68993-5", "94310-0", "1554-5"])
def test_a_control_a_general_target_and_an_unlisted_analyte_open_nothing(code: str) -> None:
    assert judge(row(code, DETECTED)) == ()


def test_all_targets_must_agree_when_there_is_no_report_row() -> None:
    both = judge(row("94307-6", DETECTED), row("94308-4", DETECTED))
    assert [one.outcome for one in both] == ["positive"]
    mixed = judge(row("94307-6", DETECTED), row("94308-4", ABSENT))
    assert [one.outcome for one in mixed] == ["inconclusive"]
    ruled = judge(row("94307-6", DETECTED), row("94308-4", ABSENT), row("94309-2", ABSENT))
    assert [one.outcome for one in ruled] == ["negative"]


@pytest.mark.parametrize(
    ("value", "status", "expected"),
    [
        (DETECTED, "F", [("positive", "confirmed")]),
        (DETECTED, "C", [("positive", "confirmed")]),
        (DETECTED, "P", [("positive", "preliminary")]),
        (DETECTED, "X", []),
        (DETECTED, "W", []),
        (ABSENT, "F", [("negative", "confirmed")]),
        ("419984006^Inconclusive^SCT", "F", [("inconclusive", "confirmed")]),
        ("L1^阳性^L", "F", [("positive", "confirmed")]),
        ("L1^初筛阳性^L^260373001^Detected^SCT", "F", [("positive", "preliminary")]),
        ("L2^not detected^L", "F", [("negative", "confirmed")]),
        ("L3^see comment^L", "F", []),
    ],
)
def test_value_and_status_decide(value: str, status: str, expected: list[tuple[str, str]]) -> None:
    answers = judge(row("94309-2", value, status=status))
    assert [(one.outcome, one.stage) for one in answers] == expected


def test_an_antigen_test_alone_is_preliminary() -> None:
    assert [one.stage for one in judge(row("94558-4", DETECTED))] == ["preliminary"]


def test_the_order_of_rows_does_not_matter() -> None:
    lines = [row("94307-6", ABSENT), row("94309-2", DETECTED), row("94308-4", DETECTED)]
    assert judge(*lines) == judge(*reversed(lines))


def test_without_a_specimen_the_filler_number_stands_in_and_is_told() -> None:
    (report,) = oru(ORDER, row("94309-2", DETECTED))
    assert report.specimen == report.filler
    assert ("specimen_assumed", "SPM-2") in [(one.code, one.field) for one in report.findings]


def test_each_order_keeps_its_own_specimen() -> None:
    second = ORDER.replace("OBR|1", "OBR|2").replace("F1", "F2")
    reports = oru(
        ORDER,
        row("94309-2", DETECTED),
        "SPM|1|P9&Ward^S1&Lab&2&ISO||1^Swab^SCT",
        second,
        row("94309-2", ABSENT),
        "SPM|1|^S2&Lab&2&ISO||1^Swab^SCT",
    )
    assert [one.specimen.number for one in reports if one.specimen] == ["S1", "S2"]


def test_the_placer_number_of_a_specimen_serves_when_the_laboratory_gave_none() -> None:
    (report,) = oru(ORDER, row("94309-2", DETECTED), "SPM|1|P9&Ward||1^Swab^SCT")
    assert report.specimen is not None
    assert report.specimen.number == "P9"


def test_a_result_without_any_number_is_told() -> None:
    (report,) = oru("OBR|1|||94306-8^Panel^LN", row("94309-2", DETECTED))
    assert report.specimen is None
    assert "specimen_unknown" in [one.code for one in report.findings]


def test_a_broken_list_says_what_is_missing() -> None:
    content = load_preset("analytes.yaml")
    del content["outcomes"]
    with pytest.raises(ValueError, match="outcomes"):
        read_analyte_document(content)
