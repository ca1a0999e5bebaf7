"""The multi-point trigger against cases worked by hand and against a brute force over all
windows."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.alerts.domain.judgement import judge
from services.alerts.domain.rules import Rule
from services.alerts.domain.signals import Signal
from services.alerts.domain.silence import Silence, explain, person_of, point_of
from tests.unit.alerts.samples import MULTI_POINT, SINGLE, START, lit

CLINIC = lit(1, "fever_clinic", "clinic")
PHARMACY = lit(2, "pharmacy", "pharmacy", hour=10)
SCHOOL = lit(3, "school", "school", hour=20)


def test_three_points_of_three_persons_light_up() -> None:
    decision = judge([MULTI_POINT], [SCHOOL, CLINIC, PHARMACY])
    assert decision is not None
    assert decision.evidence == (CLINIC, PHARMACY, SCHOOL)
    assert [reason.point for reason in decision.reasons] == sorted(
        [CLINIC.point, PHARMACY.point, SCHOOL.point]
    )
    assert (decision.persons, decision.unlinked) == (3, 0)
    assert (decision.first_at, decision.last_at) == (CLINIC.occurred_at, SCHOOL.occurred_at)


def test_one_sick_child_at_three_points_is_one() -> None:
    child = [
        lit(1, "fever_clinic", "clinic", by=7),
        lit(2, "pharmacy", "pharmacy", by=7),
        lit(3, "school", "school", by=7),
    ]
    assert judge([MULTI_POINT], child) is None


def test_three_points_of_one_kind_stay_silent() -> None:
    schools = [lit(number, "school", f"school {number}") for number in range(5)]
    assert judge([MULTI_POINT], schools) is None


def test_a_window_is_closed_at_both_ends() -> None:
    late = replace(SCHOOL, occurred_at=START + timedelta(hours=72))
    assert judge([MULTI_POINT], [CLINIC, PHARMACY, late]) is not None
    later = replace(SCHOOL, occurred_at=START + timedelta(hours=72, microseconds=1))
    assert judge([MULTI_POINT], [CLINIC, PHARMACY, later]) is None


def test_unnamed_persons_are_shown_apart_and_count_only_where_the_rule_says_so() -> None:
    nameless = replace(lit(3, "school", "school", by=None), person_count=4)
    decision = judge([MULTI_POINT], [CLINIC, PHARMACY, nameless])
    assert decision is not None
    assert (decision.persons, decision.unlinked) == (2, 4)
    strict = replace(MULTI_POINT, count_unlinked=False)
    assert judge([strict], [CLINIC, PHARMACY, nameless]) is None


def test_spent_signals_alone_are_silent_and_light_again_with_a_new_one() -> None:
    spent = [replace(signal, spent=True) for signal in (CLINIC, PHARMACY, SCHOOL)]
    assert judge([MULTI_POINT], spent) is None
    new = lit(4, "school", "school", hour=30)
    decision = judge([MULTI_POINT], [*spent, new])
    assert decision is not None
    assert set(decision.evidence) == {*spent, new}


def test_a_single_event_takes_no_spent_neighbour_along() -> None:
    old = replace(lit(1, "breach", "mall"), spent=True)
    new = lit(2, "breach", "mall", hour=1)
    decision = judge([SINGLE], [old, new])
    assert decision is not None
    assert decision.evidence == (new,)


def test_a_window_is_judged_by_the_version_in_force_at_its_last_signal() -> None:
    change_at = START + timedelta(hours=15)
    first = replace(MULTI_POINT, until_at=change_at)
    second = replace(MULTI_POINT, version=2, from_at=change_at, min_points=2, min_persons=2)
    assert judge([first, second], [CLINIC, PHARMACY]) is None
    decision = judge([first, second], [CLINIC, PHARMACY, SCHOOL])
    assert decision is not None
    assert decision.rule.version == 2


def test_the_higher_of_two_versions_in_force_counts() -> None:
    stricter = replace(MULTI_POINT, version=2, min_points=4)
    assert judge([MULTI_POINT, stricter], [CLINIC, PHARMACY, SCHOOL]) is None


def test_a_kind_that_the_rule_does_not_name_is_no_evidence() -> None:
    other = lit(9, "breach", "mall")
    decision = judge([MULTI_POINT], [CLINIC, PHARMACY, SCHOOL, other])
    assert decision is not None
    assert other not in decision.evidence


def test_one_point_of_three_is_the_nearest_change() -> None:
    decision = judge([MULTI_POINT], [CLINIC, PHARMACY, SCHOOL])
    assert decision is not None
    silence = explain([MULTI_POINT], decision)
    assert len(silence.removed) == 1
    assert silence.removed[0] in {point_of(one) for one in decision.evidence}
    assert silence.text_en.startswith("Silent without 1 point of 3: ")
    assert "3个监测点中少了以下1个" in silence.text_zh


def test_leaving_out_one_of_two_persons_is_nearer_than_three_of_four_points() -> None:
    rule = replace(MULTI_POINT, min_points=2, min_kinds=1, min_persons=2)
    signals = [
        lit(10 * number + by, "pharmacy", f"pharmacy {number}", by=by)
        for number in range(4)
        for by in (1, 2)
    ]
    decision = judge([rule], signals)
    assert decision is not None
    silence = explain([rule], decision)
    assert silence.of == "person"
    assert len(silence.removed) == 1


@st.composite
def some_signals(draw: st.DrawFn) -> list[Signal]:
    count = draw(st.integers(0, 14))
    found = []
    for number in range(count):
        signal = lit(
            number,
            draw(st.sampled_from(["fever_clinic", "pharmacy", "school", "breach"])),
            draw(st.sampled_from("abc")),
            hour=draw(st.integers(0, 30)),
            by=draw(st.sampled_from([None, 1, 2, 3, 4])),
        )
        spent, persons = draw(st.booleans()), draw(st.integers(0, 3))
        found.append(replace(signal, spent=spent, person_count=persons))
    return found


@st.composite
def some_versions(draw: st.DrawFn) -> list[Rule]:
    change_at = START + timedelta(hours=draw(st.integers(0, 30)))
    one = replace(
        MULTI_POINT,
        min_points=draw(st.integers(1, 4)),
        min_kinds=draw(st.integers(1, 3)),
        min_persons=draw(st.integers(0, 4)),
        count_unlinked=draw(st.booleans()),
        window=timedelta(hours=draw(st.integers(0, 12))),
        until_at=draw(st.sampled_from([None, change_at])),
    )
    two = replace(
        one,
        version=2,
        from_at=change_at,
        until_at=None,
        min_points=draw(st.integers(1, 4)),
        window=timedelta(hours=draw(st.integers(0, 12))),
    )
    return draw(st.permutations([one, two]))


def holds(rule: Rule, window: list[Signal]) -> bool:
    """The rule's sentence, word for word."""
    named = {signal.person_id for signal in window if signal.person_id}
    unnamed = sum(signal.person_count for signal in window if not signal.person_id)
    return (
        any(not signal.spent for signal in window)
        and len({signal.point for signal in window}) >= rule.min_points
        and len({signal.point_kind for signal in window}) >= rule.min_kinds
        and len(named) + (unnamed if rule.count_unlinked else 0) >= rule.min_persons
    )


def brute_force(versions: list[Rule], signals: list[Signal]) -> set[Signal]:
    """Every window that starts or ends at a quarter of an hour, of every version."""
    found: set[Signal] = set()
    starts = [START + timedelta(minutes=15 * step) for step in range(-12 * 4, 31 * 4)]
    for rule in versions:
        mine = [signal for signal in signals if signal.point_kind in rule.point_kinds]
        for start_at in starts:
            window = [s for s in mine if start_at <= s.occurred_at <= start_at + rule.window]
            if not window:
                continue
            last_at = max(signal.occurred_at for signal in window)
            newest = max(
                (one for one in versions if one.covers(last_at)),
                key=lambda one: one.version,
                default=None,
            )
            if newest is rule and holds(rule, window):
                found.update(window)
    return found


@given(some_versions(), some_signals())
def test_judging_equals_a_brute_force_over_all_windows(
    versions: list[Rule], signals: list[Signal]
) -> None:
    decision = judge(versions, signals)
    assert set(decision.evidence if decision else ()) == brute_force(versions, signals)


@given(some_versions(), some_signals(), st.randoms(use_true_random=False))
def test_the_order_of_arrival_does_not_matter(
    versions: list[Rule], signals: list[Signal], random: object
) -> None:
    shuffled = list(signals)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert judge(versions, shuffled) == judge(versions, signals)


@given(some_versions(), some_signals())
def test_the_explained_change_makes_it_silent_and_no_part_of_it_does(
    versions: list[Rule], signals: list[Signal]
) -> None:
    decision = judge(versions, signals)
    if decision is None:
        return
    silence = explain(versions, decision)
    assert judge(versions, remaining(signals, silence)) is None
    if not decision.rule.single_event:
        for kept in silence.removed:
            fewer = replace(
                silence, removed=tuple(unit for unit in silence.removed if unit != kept)
            )
            assert judge(versions, remaining(signals, fewer)) is not None


def remaining(signals: list[Signal], silence: Silence) -> list[Signal]:
    unit_of = point_of if silence.of == "point" else person_of
    return [signal for signal in signals if unit_of(signal) not in silence.removed]


@pytest.mark.parametrize("hours", [0, 1, 72])
def test_evidence_is_in_order_of_event_time(hours: int) -> None:
    rule = replace(MULTI_POINT, min_points=1, min_kinds=1, window=timedelta(hours=hours))
    rule = replace(rule, min_persons=1)
    decision = judge([rule], [SCHOOL, PHARMACY, CLINIC])
    assert decision is not None
    assert all(one.occurred_at <= two.occurred_at for one, two in pairwise(decision.evidence))
