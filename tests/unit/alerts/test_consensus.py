"""What several streams say together: against scipy, by hand, and on a null that is known."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import combine_pvalues, false_discovery_control, irwinhall, kstest, norm, poisson

from services.alerts.domain.agreement import Streams, agreement_of
from services.alerts.domain.consensus import (
    adjusted,
    calibrated,
    combined,
    mid_p,
    past_windows,
    score,
)
from services.alerts.domain.rules import ConsensusTerms

EVEN = np.ones(3)
TERMS = ConsensusTerms("fisher", 0.05, null_days=100, null_min_days=50, null_gap_days=3)


def test_each_method_is_scipys_where_scipy_has_it() -> None:
    p = np.random.default_rng(1).random((3, 50))
    weights = np.array([1.0, 2.0, 0.5])
    fisher = [combine_pvalues(one, method="fisher").pvalue for one in p.T]
    stouffer = [combine_pvalues(one, method="stouffer", weights=weights).pvalue for one in p.T]
    assert combined(p, "fisher", EVEN) == pytest.approx(fisher)
    assert combined(p, "stouffer", weights) == pytest.approx(stouffer)
    assert combined(p, "edgington", EVEN) == pytest.approx(irwinhall.cdf(p.sum(axis=0), 3))


def test_by_hand() -> None:
    two = np.array([[0.1], [0.2]])
    # Edgington: the square of the sum, halved. Fisher: x (1 - ln x) with x the product.
    assert combined(two, "edgington", EVEN[:2])[0] == pytest.approx(0.3**2 / 2)
    assert combined(two, "fisher", EVEN[:2])[0] == pytest.approx(0.02 * (1 - math.log(0.02)))


@pytest.mark.parametrize("method", ["fisher", "edgington", "stouffer"])
def test_a_stream_that_says_nothing_leaves_the_others_as_they_are(method: str) -> None:
    p = np.array([[0.03, np.nan], [0.4, np.nan], [np.nan, np.nan]])
    answer = combined(p, method, EVEN)  # type: ignore[arg-type]
    assert answer[0] == pytest.approx(combined(p[:2, :1], method, EVEN[:2])[0])  # type: ignore[arg-type]
    assert np.isnan(answer[1])
    assert combined(p[:1, :1], method, EVEN[:1])[0] == pytest.approx(0.03)  # type: ignore[arg-type]


def test_no_p_value_is_too_small_or_too_large() -> None:
    p = np.array([[0.0, 1.0], [0.0, 1.0], [1e-320, 1.0]])
    for method in ("fisher", "edgington", "stouffer"):
        answer = combined(p, method, EVEN)
        assert answer[0] < 1e-100
        assert answer[1] > 0.99


def test_the_mid_p_of_a_count_is_its_tail_less_half_of_its_first_term() -> None:
    counts = np.arange(12.0)
    tail = poisson.sf(counts - 1, 4.0)
    expected = poisson.sf(counts, 4.0) + poisson.pmf(counts, 4.0) / 2
    assert mid_p(tail, counts, np.full(12, 4.0)) == pytest.approx(expected)
    assert mid_p(np.array([0.01]), np.array([3.0]), np.array([np.nan]))[0] == 0.005
    assert np.isnan(mid_p(np.array([np.nan]), np.array([3.0]), np.array([1.0]))[0])


def test_mid_p_takes_from_fisher_what_discreteness_made_of_it() -> None:
    chance = np.random.default_rng(2)
    counts = chance.poisson(1.5, (4, 20_000)).astype(np.float64)
    tail = poisson.sf(counts - 1, 1.5)
    alarms = combined(tail, "fisher", np.ones(4)) <= 0.05
    fair = combined(mid_p(tail, counts, np.full_like(counts, 1.5)), "fisher", np.ones(4)) <= 0.05
    assert alarms.mean() < 0.02
    assert 0.035 < fair.mean() < 0.06


def test_streams_that_move_together_are_calibrated_on_the_areas_own_past() -> None:
    chance = np.random.default_rng(3)
    shared = chance.standard_normal((40, 500))
    streams = 0.8 * shared + 0.6 * chance.standard_normal((4, 40, 500))
    scores = score(combined(norm.sf(streams), "stouffer", np.ones(4)))
    p, known = calibrated(scores, past_windows(scores, TERMS), TERMS)
    late = slice(200, None)
    assert (known[:, late] == 100).all()
    assert (norm.sf(scores[:, late]) <= 0.01).mean() > 0.05
    assert 0.004 < (p[:, late] <= 0.01).mean() < 0.025
    assert kstest(p[:, late].ravel(), "uniform").statistic < 0.03


def test_a_past_that_is_too_short_is_no_null_and_a_day_is_never_its_own() -> None:
    scores = np.arange(60.0)[None]
    windows = past_windows(scores, replace(TERMS, null_days=5))
    assert windows[0, 30].tolist() == [23.0, 24.0, 25.0, 26.0, 27.0]
    p, known = calibrated(scores, past_windows(scores, TERMS), TERMS)
    assert known[0, 51] == 0
    assert p[0, 51] == pytest.approx(norm.sf(51.0))
    assert known[0, 52] == 50
    assert p[0, 52] == pytest.approx(norm.sf((52 - 24.5) / ((0.9 * 49 - 24.5) / norm.ppf(0.9))))


def test_an_outbreak_in_the_past_does_not_make_the_area_deaf() -> None:
    past = np.random.default_rng(4).standard_normal((1, 300))
    hit = past.copy()
    hit[0, 100:120] += 6
    terms = replace(TERMS, null_days=300)
    quiet, _ = calibrated(np.array([4.0]), past, terms)
    after, _ = calibrated(np.array([4.0]), hit, terms)
    assert quiet[0] < 2e-4
    # Less sharp than without, and still an alarm.
    assert after[0] < 5e-3


def test_across_areas_it_is_benjamini_and_hochberg_of_those_that_speak() -> None:
    p = np.array([0.001, 0.02, np.nan, 0.9, 0.03])
    q = adjusted(p)
    assert np.isnan(q[2])
    known = p[~np.isnan(p)]
    assert q[~np.isnan(q)] == pytest.approx(false_discovery_control(known))
    assert q[0] == pytest.approx(0.004)
    assert np.isnan(adjusted(np.array([np.nan]))).all()


def test_of_a_whole_level_one_in_three_hundred_is_found_and_the_others_stay_quiet() -> None:
    chance = np.random.default_rng(5)
    counts = chance.poisson(6.0, (3, 300, 160)).astype(np.float64)
    counts[:, 17, 150] = 18
    tail = poisson.sf(counts - 1, 6.0)
    streams = Streams(
        [("a", "fever"), ("b", "fever"), ("c", "fever")],
        mid_p(tail, counts, np.full_like(counts, 6.0)),
        first_day=700_000,
    )
    found = agreement_of(1, TERMS, streams)
    assert found.lit[17, 150]
    assert found.lit[:, 100:].mean() < 0.001
    consent = found.consent(17, 700_150)
    assert consent is not None
    assert (consent.lit, consent.null_days, consent.streams) == (True, 100, ("a", "b", "c"))
    assert consent.p_value <= consent.q_value <= 0.05
    assert found.consent(17, 700_160) is None
