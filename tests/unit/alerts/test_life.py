"""How an alert lives, and which facts light up."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, get_args
from uuid import UUID

import pytest

from services.alerts.domain.life import Act, State, state_after, state_after_step, step_of
from services.alerts.domain.readings import (
    KeptSignal,
    read_breach,
    read_co_location,
    read_report,
    read_result,
    read_scan,
    standing_of,
)
from services.alerts.errors import ActNotAllowed
from shared.events.intake import ReportRecorded, ResultReported, ScanRecorded
from shared.events.quarantine import BreachChanged
from shared.events.tracing import CoLocationChanged
from shared.ids import derived_id
from tests.unit.alerts.samples import START

ONE, TWO = UUID(int=1), UUID(int=2)
NOTHING: frozenset[UUID] = frozenset()


def test_people_lead_an_alert_to_its_end() -> None:
    state: State = "open"
    for act in ("acknowledge", "verify", "escalate", "close"):
        state = state_after(state, act)
    assert state == "closed"


@pytest.mark.parametrize("state", ["closed", "dismissed", "withdrawn"])
@pytest.mark.parametrize("act", get_args(Act))
def test_what_has_ended_takes_no_act(state: State, act: Act) -> None:
    with pytest.raises(ActNotAllowed, match=state):
        state_after(state, act)


@pytest.mark.parametrize(
    ("state", "before", "after", "step"),
    [
        (None, NOTHING, NOTHING, None),
        (None, NOTHING, {ONE}, "opened"),
        ("open", {ONE}, {ONE, TWO}, "joined"),
        ("open", {ONE, TWO}, {ONE}, "revised"),
        ("acknowledged", {ONE}, NOTHING, "withdrawn"),
        ("withdrawn", {ONE}, NOTHING, None),
        ("withdrawn", {ONE}, {TWO}, "returned"),
    ],
)
def test_evidence_moves_an_alert(
    state: State | None, before: set[UUID], after: set[UUID], step: str | None
) -> None:
    assert step_of(state, before=frozenset(before), after=frozenset(after)) == step


def test_joining_evidence_leaves_alone_what_people_began_and_a_return_asks_them_anew() -> None:
    assert state_after_step("verifying", "joined") == "verifying"
    assert state_after_step("withdrawn", "returned") == "open"


def report(**changes: Any) -> ReportRecorded:
    known: dict[str, Any] = {
        "record_id": ONE,
        "record_version": 1,
        "occurred_at": START,
        "recorded_at": START + timedelta(hours=1),
        "kind": "pharmacy",
        "source_id": TWO,
        "fever": True,
    }
    return ReportRecorded(**(known | changes))


def test_a_fever_report_lights_its_place_or_else_its_source() -> None:
    reading = read_report(report(place_id=ONE))
    assert reading is not None
    assert (reading.point_kind, reading.point_id, reading.lit) == ("pharmacy", str(ONE), True)
    assert reading.id == derived_id("signal", ONE, "pharmacy")
    elsewhere = read_report(report())
    assert elsewhere is not None
    assert elsewhere.point_id == str(TWO)


def test_a_report_without_fever_is_kept_only_as_a_correction() -> None:
    assert read_report(report(fever=False)) is None
    corrected = read_report(report(fever=False, record_version=2))
    assert corrected is not None
    assert not corrected.lit


def test_a_drill_lights_nothing_and_a_test_report_is_marked() -> None:
    assert read_report(report(exercise=True)) is None
    reading = read_report(report(test=True))
    assert reading is not None
    assert reading.lit
    assert reading.test


def test_scans_results_and_breaches_light_their_points() -> None:
    told: dict[str, Any] = {
        "record_id": ONE,
        "record_version": 1,
        "occurred_at": START,
        "recorded_at": START,
    }
    scan = ScanRecorded(**told, place_id=TWO, source_id=TWO, fever=True)
    result = ResultReported(
        **told, person_id=TWO, specimen_id=ONE, disease="covid19", outcome="positive",
        reported_at=START, source_id=TWO,
    )  # fmt: skip
    breach = BreachChanged(
        **told, person_id=TWO, order_id=ONE, scan_id=ONE, place_id=TWO, reason="seen"
    )
    readings = [read_scan(scan), read_result(result), read_breach(breach)]
    assert [one.point_kind for one in readings if one and one.lit] == [
        "checkpoint_fever",
        "positive_result",
        "breach",
    ]
    found = readings[1]
    assert found is not None
    assert found.case_id == derived_id("case", TWO, "covid19")


def together(**changes: Any) -> CoLocationChanged:
    known: dict[str, Any] = {
        "record_id": ONE, "record_version": 1, "occurred_at": START, "recorded_at": START,
        "case_id": TWO, "case_person_id": TWO, "person_id": ONE, "visit_id": ONE, "place_id": TWO,
        "area_id": "cn:1", "disease": "covid19", "from_at": START,
        "until_at": START + timedelta(minutes=20), "minutes": 20, "reason": "together",
    }  # fmt: skip
    return CoLocationChanged(**(known | changes))


def test_a_co_location_lights_its_place_and_names_its_case() -> None:
    reading = read_co_location(together())
    assert reading is not None
    assert (reading.point_kind, reading.point_id) == ("co_location", str(TWO))
    assert (reading.person_id, reading.case_id, reading.lit) == (ONE, TWO, True)
    assert reading.where.place_area_id == "cn:1"
    gone = read_co_location(together(standing=False, record_version=2))
    assert gone is not None
    assert not gone.lit


def test_a_co_location_with_a_drills_case_lights_nothing() -> None:
    assert read_co_location(together(exercise=True)) is None


def kept(**changes: Any) -> KeptSignal:
    known: dict[str, Any] = {
        "id": ONE,
        "record_id": ONE,
        "fact_version": 1,
        "lit": True,
        "place_area_id": "cn:1",
        "residence_area_id": None,
        "known_place_area_id": None,
        "known_residence_area_id": None,
        "of_the_person": False,
        "case_fallen": False,
    }
    return KeptSignal(**(known | changes))


def test_a_signal_falls_with_its_case_and_with_a_newer_version_of_its_record() -> None:
    assert standing_of(kept(), 1).standing
    assert not standing_of(kept(case_fallen=True), 1).standing
    assert not standing_of(kept(), 2).standing


def test_the_place_as_registered_now_knows_its_area_best() -> None:
    assert standing_of(kept(), 1).area_id == "cn:1"
    assert standing_of(kept(known_place_area_id="cn:2"), 1).area_id == "cn:2"


def test_a_result_counts_where_its_person_lives_even_if_that_is_registered_later() -> None:
    result = kept(of_the_person=True, known_residence_area_id="cn:3")
    assert standing_of(result, 1).area_id == "cn:3"
    assert standing_of(kept(of_the_person=True), 1).area_id == "cn:1"
    # A report counts at its place all the same.
    assert standing_of(kept(known_residence_area_id="cn:3"), 1).area_id == "cn:1"


def test_a_residence_is_the_one_that_the_fact_told_or_else_the_one_registered_later() -> None:
    later = kept(known_residence_area_id="cn:3")
    assert standing_of(later, 1).residence_area_id == "cn:3"
    moved = kept(residence_area_id="cn:2", known_residence_area_id="cn:3")
    assert standing_of(moved, 1).residence_area_id == "cn:2"
