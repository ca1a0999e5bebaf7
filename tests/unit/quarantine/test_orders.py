"""An order is a function of its supports."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.quarantine.domain.orders import (
    JOINED_ANOTHER_ORDER,
    NO_SUPPORT_LEFT,
    PERIOD_OVER,
    Rulebook,
    decide_orders,
    episodes_of,
    support_of_case,
    support_of_contact,
)
from tests.unit.quarantine.facts import (
    COVID,
    COVID_BOOK,
    GENERAL,
    a_case,
    a_contact,
    a_support,
    decide,
    on,
    stored_as,
)


def test_a_contact_is_under_order_from_the_report_of_its_case() -> None:
    support = support_of_contact(a_contact(), COVID_BOOK)
    assert support is not None
    assert (support.from_at, support.until_at) == (on(10), on(22, 16))
    assert support.terms.rule.name == "central"


def test_degree_and_disease_choose_the_measure() -> None:
    second = a_contact(degree="contact_of_contact")
    general = Rulebook(GENERAL, "quarantine.measures.general@1", None)
    names = []
    for book in (COVID_BOOK, general):
        support = support_of_contact(second, book)
        assert support is not None
        names.append(support.terms.rule.name)
    assert names == ["home", "health_monitoring"]


def test_no_support_comes_of_what_does_not_stand_or_is_not_known() -> None:
    contact = a_contact()
    assert support_of_contact(replace(contact, case=None), COVID_BOOK) is None
    assert support_of_contact(replace(contact, standing=False), COVID_BOOK) is None
    late = a_contact(a_case(on(25)), last_exposure_at=on(8))
    assert support_of_contact(late, COVID_BOOK) is None


def test_a_case_is_isolated_unless_it_is_discarded() -> None:
    case = a_case()
    support = support_of_case(case, COVID_BOOK)
    assert support is not None
    assert (support.terms.rule.name, support.until_at) == ("hospital", on(24, 16))
    assert support_of_case(replace(case, classification="discarded"), COVID_BOOK) is None
    assert support_of_case(replace(case, standing=False), COVID_BOOK) is None


def test_an_unknown_zone_falls_back_on_the_policys() -> None:
    assert Rulebook(COVID, "x@1", "Mars/Olympus").zone == "Asia/Shanghai"


def test_an_order_reaches_over_all_supports_under_the_strictest_measure() -> None:
    home = a_support(on(5), on(20), "home")
    central = a_support(on(8), on(18), "central")
    [decision] = decide([central, home], [])
    content = decision.content
    assert (content.from_at, content.until_at) == (on(5), on(20))
    assert content.terms.rule.name == "central"
    assert {line.id for line in content.supports} == {home.id, central.id}


def test_losing_one_support_recalculates_and_losing_all_withdraws() -> None:
    home, central = a_support(on(5), on(20), "home"), a_support(on(8), on(18), "central")
    order = stored_as(decide([central, home], [])[0])
    [kept] = decide([home], [order])
    assert kept.stored == order
    assert kept.content.status == "open"
    assert kept.content.terms.rule.name == "home"
    assert kept.cause_id is not None
    [gone] = decide([], [stored_as(kept)])
    assert (gone.content.status, gone.content.reason) == ("withdrawn", NO_SUPPORT_LEFT)
    assert gone.content.supports == ()
    assert gone.cause_id is not None


def test_a_support_that_stands_again_brings_the_same_order_back() -> None:
    support = a_support(on(5), on(20))
    order = stored_as(decide([support], [])[0])
    withdrawn = stored_as(decide([], [order])[0])
    [back] = decide([support], [withdrawn])
    assert back.stored is not None
    assert back.stored.id == order.id
    assert back.opens
    assert stored_as(back).version == 3


def test_nothing_is_decided_when_nothing_changed() -> None:
    support = a_support(on(5), on(20))
    order = stored_as(decide([support], [])[0])
    assert decide([support], [order]) == []
    assert decide([], [stored_as(decide([], [order])[0])]) == []


def test_the_clock_ends_an_order_and_a_slower_clock_does_not_open_it_again() -> None:
    support = a_support(on(5), on(20))
    order = stored_as(decide([support], [])[0])
    [ended] = decide([support], [order], now=on(20))
    assert (ended.content.status, ended.content.reason) == ("ended", PERIOD_OVER)
    assert decide([support], [stored_as(ended)], now=on(19)) == []


def test_an_exposure_after_a_gap_is_another_order() -> None:
    spring, summer = a_support(on(1), on(10)), a_support(on(1, month=6), on(10, month=6))
    first, second = decide([summer, spring], [], now=on(5, month=6))
    assert (first.content.status, second.content.status) == ("ended", "open")
    assert second.content.from_at == on(1, month=6)


def test_at_most_one_order_is_open() -> None:
    now_on, later = a_support(on(1), on(20)), a_support(on(1, month=6), on(10, month=6))
    [only] = decide([later, now_on], [])
    assert only.content.from_at == on(1)


def test_a_support_that_bridges_two_orders_makes_them_one() -> None:
    early, late = a_support(on(1), on(5)), a_support(on(9), on(20))
    orders = [stored_as(one) for one in decide([early, late], [])]
    bridge = a_support(on(4), on(10))
    decisions = decide([early, bridge, late], orders)
    assert [one.content.status for one in decisions] == ["withdrawn", "open"]
    assert decisions[0].content.reason == JOINED_ANOTHER_ORDER
    assert decisions[1].content.from_at == on(1)


PERIODS = st.lists(
    st.tuples(st.integers(1, 28), st.integers(1, 10), st.sampled_from(["home", "central"])),
    min_size=1,
    max_size=6,
)


@given(PERIODS, st.randoms(use_true_random=False))
def test_episodes_neither_meet_nor_depend_on_the_order_of_supports(
    periods: list[tuple[int, int, str]], random: Random
) -> None:
    supports = [
        a_support(on(day), on(day) + (on(1 + days) - on(1)), measure)
        for day, days, measure in periods
    ]
    shuffled = list(supports)
    random.shuffle(shuffled)
    episodes = episodes_of(supports)
    assert episodes == episodes_of(shuffled)
    assert sum(map(len, episodes)) == len(supports)
    for before, after in pairwise(episodes):
        assert max(one.until_at for one in before) < min(one.from_at for one in after)


@pytest.mark.parametrize("residence", [None, "cn:9"])
def test_the_area_is_the_residence_else_the_cases(residence: str | None) -> None:
    [decision] = decide_orders(
        [a_support(on(5), on(20))], [], residence_area_id=residence, lost={}, now=on(11)
    )
    assert decision.content.area_id == (residence or "cn:1")
