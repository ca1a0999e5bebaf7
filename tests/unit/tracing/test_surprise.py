"""Surprise: a place counts for less the more people pass it."""

from __future__ import annotations

from math import comb, log10

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.tracing.domain.surprise import surprise


@given(st.integers(1, 12), st.integers(1, 60), st.integers(12, 80), st.data())
def test_it_is_the_tail_of_the_hypergeometric(
    cases: int, visitors: int, persons: int, data: st.DataObject
) -> None:
    visitors = min(visitors, persons)
    here = data.draw(st.integers(1, min(cases, visitors)))
    chance = sum(
        comb(visitors, k) * comb(persons - visitors, cases - k)
        for k in range(here, min(cases, visitors) + 1)
    ) / comb(persons, cases)
    found = surprise(here, cases=cases, visitors=visitors, persons=persons)
    assert found == pytest.approx(-log10(chance) if chance else 300, abs=1e-6)


def test_a_small_place_says_more_than_one_that_everybody_visits() -> None:
    small = surprise(5, cases=10, visitors=40, persons=100_000)
    large = surprise(5, cases=10, visitors=60_000, persons=100_000)
    assert small > 10
    assert large < 1
    assert surprise(3, cases=3, visitors=500, persons=500) == 0.0
