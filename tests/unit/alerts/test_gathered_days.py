"""Days taken together: what rises slowly adds up, and a day of which nothing is known stays so."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.alerts.domain.agreement import Streams, agreement_of
from services.alerts.domain.consensus import against_all, gathered
from services.alerts.domain.rules import ConsensusTerms

SCORES = st.lists(st.one_of(st.just(np.nan), st.floats(-5, 5)), min_size=1, max_size=12)


@given(SCORES, st.integers(1, 5))
def test_each_day_is_the_sum_of_its_known_days_over_the_root_of_their_number(
    scores: list[float], days: int
) -> None:
    found = gathered(np.array(scores), days)
    for today, one in enumerate(scores):
        past = [x for x in scores[max(0, today - days + 1) : today + 1] if not np.isnan(x)]
        if np.isnan(one):
            assert np.isnan(found[today])
        else:
            assert found[today] == pytest.approx(sum(past) / np.sqrt(len(past)))


def test_four_days_of_small_agreement_are_lit_together_and_none_alone() -> None:
    values = np.full((2, 1, 10), 0.5)
    values[:, 0, 4:8] = 0.06
    streams = Streams([("pharmacy", "fever"), ("school", "fever")], values, 700_000)

    def lit(days: int) -> list[bool]:
        terms = ConsensusTerms("stouffer", 1e-3, across_areas=False, days=days)
        found: list[bool] = agreement_of(1, terms, streams).lit[0].tolist()
        return found

    assert not any(lit(1))
    assert [day for day, one in enumerate(lit(4)) if one] == [6, 7, 8]


def test_a_wave_over_the_whole_city_lights_no_area_and_an_outbreak_in_it_does() -> None:
    values = np.random.default_rng(1).uniform(0.03, 0.12, (2, 40, 10))
    values[:, 7, 5:] = 1e-4
    streams = Streams([("pharmacy", "fever"), ("school", "fever")], values, 700_000)

    def lit(*, against_city: bool) -> set[int]:
        terms = ConsensusTerms(
            "stouffer", 1e-4, across_areas=False, days=4, against_city=against_city
        )
        return set(np.flatnonzero(agreement_of(1, terms, streams).lit.any(axis=1)).tolist())

    assert len(lit(against_city=False)) > 20
    assert lit(against_city=True) == {7}


def test_too_few_areas_have_no_common_wave() -> None:
    scores = np.full((3, 2), 4.0)
    assert np.array_equal(against_all(scores), scores)
