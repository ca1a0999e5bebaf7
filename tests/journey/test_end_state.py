"""The judge of the walks: it sees what is lost, changed or too much, and knows history from it."""

from __future__ import annotations

import pytest

from tests.journey.end_state import EndState, Names, Record, differences

CONTACT: Record = {"id": "<contact>", "standing": True, "minutes": 30.0}


@pytest.mark.parametrize(
    "other",
    [[], [CONTACT, CONTACT], [CONTACT | {"minutes": 15.0}], [CONTACT | {"standing": False}]],
)
def test_a_lost_doubled_changed_or_withdrawn_record_is_a_difference(other: list[Record]) -> None:
    state: EndState = {"contacts": [CONTACT]}
    assert differences(state, {"contacts": other})
    assert differences({"contacts": other}, state)


def test_a_conclusion_that_was_taken_back_on_the_way_is_none() -> None:
    fallen = CONTACT | {"id": "<another>", "standing": False}
    with_history: EndState = {"contacts": [CONTACT, fallen]}
    assert differences({"contacts": [CONTACT]}, with_history) == []
    assert differences(with_history, {"contacts": [CONTACT]}), "but a withdrawal may not be lost"


def test_ids_become_names_and_versions_go() -> None:
    names = Names({"6f757470-6f73-7400-8000-000000000001": "ada"})
    record = {
        "person_id": "6f757470-6f73-7400-8000-000000000001",
        "text": "point:school:6f757470-6f73-7400-8000-000000000001, 监测点6f757470",
        "version": 7,
        "cause_id": None,
    }
    assert names.plain(record) == {
        "person_id": "<ada>",
        "text": "point:school:<ada>, 监测点<ada>",
        "cause_id": False,
    }
