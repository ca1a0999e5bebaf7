"""Points lit by excess, households, weights and neighbours: against a brute force over all windows,
and what the explanation claims against judging again."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from services.alerts.domain.detection.verdict import Abstention
from services.alerts.domain.excess import Excess
from services.alerts.domain.judgement import Decision, episodes, judge
from services.alerts.domain.rules import ConsensusTerms, KindTerms, Rule
from services.alerts.domain.signals import Consent, Signal, signal_of_excess
from services.alerts.domain.silence import Silence, explain, lowered, person_of, point_of
from tests.unit.alerts.samples import MULTI_POINT, START, lit, person

DAY = date(2020, 2, 15)
EXCESS = KindTerms(lit_by="excess")
BY_LIMIT = replace(
    MULTI_POINT,
    kinds={"pharmacy": EXCESS, "school": EXCESS},
    min_points=2,
    min_kinds=2,
    min_persons=2,
)


def high(
    kind: str, number: int = 0, *, observed: int = 12, area_id: str = "a", p: float | None = 0.01,
    own: bool = True,
) -> Signal:  # fmt: skip
    """A day on which five were expected and nine are no excess."""
    day = DAY + timedelta(days=number)
    excess = Excess(area_id, kind, "fever", day, observed, 5.0, 9.0, p, "test@1")
    return signal_of_excess(excess, "Asia/Shanghai", point_area_id=area_id, own=own)


def test_a_day_counts_at_its_last_instant_in_its_own_zone() -> None:
    assert high("school").occurred_at == START + timedelta(hours=16, microseconds=-1)


def test_what_lay_above_the_expected_count_are_its_persons() -> None:
    decision = judge([BY_LIMIT], [high("pharmacy"), high("school", observed=20)])
    assert decision is not None
    assert (decision.persons, decision.unlinked) == (0, 7 + 15)
    assert [reason.point for reason in decision.reasons] == [("pharmacy", "a"), ("school", "a")]


def test_a_single_event_does_not_light_a_kind_that_needs_excess_nor_the_other_way_round() -> None:
    assert judge([BY_LIMIT], [high("pharmacy"), lit(1, "school", "school")]) is None
    assert judge([MULTI_POINT], [high("pharmacy"), high("school"), lit(1, "school", "s")]) is None


def test_a_method_that_abstains_lights_nothing_whatever_its_numbers_are() -> None:
    silent = high("pharmacy")
    assert silent.excess is not None
    silent = replace(silent, excess=replace(silent.excess, abstains=Abstention.SILENT))
    assert judge([BY_LIMIT], [silent, high("school")]) is None
    strict = replace(BY_LIMIT, kinds={k: replace(EXCESS, p_below=1.0) for k in BY_LIMIT.kinds})
    assert judge([strict], [silent, high("school")]) is None


def test_where_a_method_has_no_p_value_its_limit_counts() -> None:
    strict = replace(BY_LIMIT, kinds={k: replace(EXCESS, p_below=0.001) for k in BY_LIMIT.kinds})
    assert judge([strict], [high("pharmacy"), high("school")]) is None
    fixed = [high("pharmacy", p=None), high("school", p=0.0005)]
    assert judge([strict], fixed) is not None


def test_a_rule_may_ask_what_the_series_counts() -> None:
    rashes = replace(EXCESS, syndromes=frozenset({"rash"}))
    rule = replace(BY_LIMIT, kinds={"pharmacy": EXCESS, "school": rashes})
    assert judge([rule], [high("pharmacy"), high("school")]) is None


def test_one_sick_child_at_three_points_is_one_person_and_its_family_one_household() -> None:
    child = [lit(n, kind, kind, by=1) for n, kind in enumerate(sorted(MULTI_POINT.point_kinds))]
    assert judge([MULTI_POINT], child) is None
    family = [
        replace(lit(n, kind, kind), household_id=person(99))
        for n, kind in enumerate(sorted(MULTI_POINT.point_kinds))
    ]
    assert judge([MULTI_POINT], family) is not None
    assert judge([replace(MULTI_POINT, min_households=2)], family) is None
    guest = lit(9, "school", "school")
    assert judge([replace(MULTI_POINT, min_households=2)], [*family, guest]) is not None


def test_the_weight_of_a_point_counts_once_however_often_it_lights() -> None:
    rule = replace(
        MULTI_POINT, min_points=1, min_kinds=1, min_persons=1, min_weight=2.5,
        kinds={"fever_clinic": KindTerms(weight=1.5)},
    )  # fmt: skip
    clinic, again = lit(1, "fever_clinic", "c"), lit(2, "fever_clinic", "c")
    assert judge([rule], [clinic, again]) is None
    assert judge([rule], [clinic, again, lit(3, "school", "s")]) is not None


def test_neighbours_alone_make_no_alert_of_an_area() -> None:
    others = [high("pharmacy", area_id="b", own=False), high("school", area_id="b", own=False)]
    assert judge([BY_LIMIT], others) is None
    assert judge([BY_LIMIT], [*others, high("school")]) is not None


def test_a_consensus_is_one_more_demand() -> None:
    rule = replace(BY_LIMIT, consensus=ConsensusTerms("fisher", 0.05))
    days = [high("pharmacy"), high("school", 1)]
    assert judge([rule], days) is None
    agreed = replace(days[0], consents=(Consent(1, 0.001, 0.02, True, 300, ("pharmacy",)),))
    decision = judge([rule], [agreed, days[1]])
    assert decision is not None
    assert [(signal.id, consent.q_value) for signal, consent in decision.consents] == [
        (agreed.id, 0.02)
    ]
    other_version = replace(agreed, consents=(replace(agreed.consents[0], version=2),))
    assert judge([rule], [other_version, days[1]]) is None


def test_a_quiet_time_divides_what_lies_further_apart() -> None:
    rule = replace(BY_LIMIT, quiet=timedelta(days=4))
    days = [high(kind, number) for number in (0, 4, 9) for kind in ("pharmacy", "school")]
    found = episodes([rule], days)
    assert [len(one.evidence) for one in found] == [4, 2]
    assert [one.held_at for one in found] == [days[0].occurred_at, days[4].occurred_at]


@st.composite
def some_signals(draw: st.DrawFn) -> list[Signal]:
    found = []
    for number in range(draw(st.integers(0, 10))):
        kind = draw(st.sampled_from(["fever_clinic", "pharmacy", "school"]))
        if kind != "fever_clinic" and draw(st.booleans()):
            day = draw(st.integers(0, 6))
            area_id = draw(st.sampled_from(["a", "b"]))
            signal = high(
                kind, day, observed=draw(st.integers(5, 14)), area_id=area_id, own=area_id == "a",
                p=draw(st.sampled_from([None, 0.01, 0.2])),
            )  # fmt: skip
        else:
            by = draw(st.sampled_from([None, 1, 2, 3]))
            point = draw(st.sampled_from("abc"))
            signal = lit(number, kind, point, hour=6 * draw(st.integers(0, 28)), by=by)
            home = draw(st.sampled_from([None, person(50)]))
            own = point != "c"
            signal = replace(signal, household_id=home if by else None, own=own)
        found.append(replace(signal, spent=draw(st.integers(0, 3)) == 0))
    return list({signal.id: signal for signal in found}.values())


@st.composite
def some_rule(draw: st.DrawFn) -> Rule:
    terms = st.builds(
        KindTerms,
        weight=st.sampled_from([0.5, 1.0, 2.0]),
        lit_by=st.sampled_from(["event", "excess"]),
        p_below=st.sampled_from([None, 0.05]),
    )
    return replace(
        MULTI_POINT,
        min_points=draw(st.integers(1, 3)),
        min_kinds=draw(st.integers(1, 2)),
        min_persons=draw(st.integers(0, 3)),
        min_households=draw(st.integers(0, 2)),
        min_own_points=draw(st.integers(1, 2)),
        min_weight=draw(st.sampled_from([0.0, 1.5])),
        count_unlinked=draw(st.booleans()),
        window=timedelta(hours=draw(st.sampled_from([0, 24, 48]))),
        quiet=draw(st.sampled_from([None, timedelta(hours=48)])),
        kinds={kind: draw(terms) for kind in ("pharmacy", "school")},
    )


def lights(rule: Rule, signal: Signal) -> bool:
    terms, excess = rule.terms_of(signal.point_kind), signal.excess
    if excess is None:
        return terms.lit_by == "event"
    if terms.lit_by == "event":
        return False
    if terms.p_below is None or excess.p_value is None:
        return excess.observed > 9
    return excess.p_value <= terms.p_below


def holds(rule: Rule, window: list[Signal]) -> bool:
    """The rule's sentence, word for word."""
    points = {signal.point for signal in window}
    unnamed = sum(signal.person_count for signal in window if not signal.person_id)
    more = unnamed if rule.count_unlinked else 0
    homes = {signal.household_id or signal.person_id for signal in window if signal.person_id}
    return (
        any(not signal.spent for signal in window)
        and len(points) >= rule.min_points
        and len({kind for kind, _ in points}) >= rule.min_kinds
        and len({signal.person_id for signal in window} - {None}) + more >= rule.min_persons
        and len(homes) + more >= rule.min_households
        and len({signal.point for signal in window if signal.own}) >= rule.min_own_points
        and sum(rule.terms_of(kind).weight for kind, _ in points) >= rule.min_weight
    )


def brute_force(rule: Rule, signals: list[Signal]) -> list[list[Signal]]:
    """Every window between two signals; then the gaps."""
    mine = sorted(
        (one for one in signals if lights(rule, one)), key=lambda one: (one.occurred_at, one.id)
    )
    evidence = [
        one
        for one in mine
        if any(
            first.occurred_at <= one.occurred_at <= last.occurred_at
            and holds(
                rule, [w for w in mine if first.occurred_at <= w.occurred_at <= last.occurred_at]
            )
            for first in mine
            for last in mine
            if timedelta() <= last.occurred_at - first.occurred_at <= rule.window
        )
    ]
    if not evidence:
        return []
    found = [[evidence[0]]]
    for before, after in pairwise(evidence):
        if rule.quiet is not None and after.occurred_at - before.occurred_at > rule.quiet:
            found.append([])
        found[-1].append(after)
    return found


@given(some_rule(), some_signals())
def test_every_demand_of_a_rule_is_judged_as_it_reads(rule: Rule, signals: list[Signal]) -> None:
    found = episodes([rule], signals)
    assert [list(one.evidence) for one in found] == brute_force(rule, signals)


def changed(decision: Decision, silence: Silence, *, one_more: str | None = None) -> list[Signal]:
    """The evidence with the explained change made; with `one_more`, the count of that day is one
    higher than the change allows."""
    counts = {change.excess: change.count for change in silence.counts}
    entries = {change.excess: change.entry for change in silence.counts}
    unit_of = point_of if silence.of == "point" else person_of
    left = []
    for signal in decision.evidence:
        if signal.excess is not None and signal.excess in counts:
            more = entries[signal.excess] == one_more
            left.append(lowered(signal, counts[signal.excess] + more))
        elif unit_of(signal) not in silence.removed:
            left.append(signal)
    return left


@settings(max_examples=200)
@given(some_rule(), some_signals())
def test_the_explained_change_is_silent_and_a_smaller_one_is_not(
    rule: Rule, signals: list[Signal]
) -> None:
    for decision in episodes([rule], signals):
        silence = explain([rule], decision)
        assert episodes([rule], changed(decision, silence)) == []
        if decision.rule.single_event:
            continue
        for change in silence.counts:
            assert change.count < change.excess.observed
            assert episodes([rule], changed(decision, silence, one_more=change.entry)) != []
        for kept in silence.removed:
            if not kept.startswith("count:"):
                fewer = replace(silence, removed=tuple(set(silence.removed) - {kept}))
                assert episodes([rule], changed(decision, fewer)) != []
