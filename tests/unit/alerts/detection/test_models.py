"""The regressions behind the detectors, against solutions that are found in another way."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from services.alerts.domain.detection.flexible import Flexible, flexible
from services.alerts.domain.detection.glr import Glr, glr
from services.alerts.domain.detection.harmonic import Season, seasonal_mean
from services.alerts.domain.detection.loglinear import Design, fit
from services.alerts.domain.detection.references import Seasons, layouts
from services.alerts.domain.detection.verdict import Abstention, Counts, FloatArray

seeds = st.integers(0, 2**31)
few = settings(max_examples=8, deadline=None)
TIME = np.arange(-30.0, 0.0)
LEVEL = np.arange(30) % 3


def _plain_regression(y: FloatArray, weights: FloatArray, x: FloatArray) -> FloatArray:
    """Poisson regression by Newton's method on the whole design."""
    beta = np.zeros(x.shape[1])
    beta[: len(beta) - 1] = np.log(y.mean() + 0.1)
    for _ in range(60):
        mean = np.exp(x @ beta)
        gradient = x.T @ (weights * (y - mean))
        beta = beta + np.linalg.solve((x.T * (weights * mean)) @ x, gradient)
    return beta


@few
@given(seed=seeds)
def test_the_closed_form_is_the_regression(seed: int) -> None:
    random = np.random.default_rng(seed)
    y = 1.0 + random.poisson(np.exp(1.5 + 0.02 * TIME + 0.3 * LEVEL)).astype(np.float64)
    weights = random.uniform(0.2, 1.0, 30)
    x = np.column_stack([np.eye(3)[LEVEL], TIME])
    beta = _plain_regression(y, weights, x)
    got = fit(y[None], weights[None], Design(TIME, LEVEL, True))
    assert got.converged[0]
    assert got.forecast[0] == pytest.approx(beta[0], abs=1e-5)
    assert got.slope[0] == pytest.approx(beta[3], abs=1e-6)
    covariance = np.linalg.inv((x.T * got.weight[0]) @ x)
    assert got.forecast_variance[0] == pytest.approx(covariance[0, 0], rel=1e-9)
    assert got.slope_variance[0] == pytest.approx(covariance[3, 3], rel=1e-9)
    hat = got.weight[0] * np.einsum("ij,jk,ik->i", x, covariance, x)
    np.testing.assert_allclose(got.hat[0], hat, rtol=1e-9)


@few
@given(seed=seeds)
def test_an_unknown_point_is_no_point(seed: int) -> None:
    random = np.random.default_rng(seed)
    y = random.poisson(8.0, 30).astype(float)
    gone = random.choice(30, 6, replace=False)
    kept = np.setdiff1d(np.arange(30), gone)
    with_gaps = np.where(np.isin(np.arange(30), gone), np.nan, y)
    one = fit(with_gaps[None], np.ones((1, 30)), Design(TIME, LEVEL, True))
    other = fit(y[None, kept], np.ones((1, 24)), Design(TIME[kept], LEVEL[kept], True))
    assert one.freedom == other.freedom
    assert one.forecast == pytest.approx(other.forecast, rel=1e-12)


def test_a_season_that_is_all_zero_still_has_a_forecast() -> None:
    y = np.where(LEVEL == 1, 0.0, 5.0)
    got = fit(y[None], np.ones((1, 30)), Design(TIME, LEVEL, False))
    assert got.converged[0]
    assert np.exp(got.forecast[0]) == pytest.approx(5.0)


def test_a_year_is_a_calendar_year_at_the_same_weekday() -> None:
    """Five years are 261 weeks rather than 260, and never is a week more than three days off."""
    seasons = Seasons(years=5, half_width=0, periods=1, left_out=0, year_length=52)
    weeks = [date(2010, 1, 4) + timedelta(weeks=week) for week in range(400)]
    seen = set()
    for layout, times in layouts(seasons, len(weeks), weeks).items():
        for now in times:
            for back, offset in zip(range(5, 0, -1), layout.offsets, strict=True):
                years_ago = weeks[now] - timedelta(days=round(365.25 * back))
                assert abs((weeks[now + offset] - years_ago).days) <= 4
        seen.add(layout.offsets[0])
    assert seen == {-261}


def test_seasons_share_what_is_left_over_from_the_first_on() -> None:
    seasons = Seasons(years=1, half_width=1, periods=4, left_out=1, year_length=14)
    layout = next(iter(layouts(seasons, 20, None)))
    assert layout.offsets == tuple(range(-15, -1))
    assert layout.levels == (0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3)


def test_latest_is_the_end_of_the_whole() -> None:
    values = np.random.default_rng(6).poisson(6.0, (4, 320)).astype(float)
    whole = flexible(Counts.of(values))
    last = flexible(Counts.of(values), latest=3)
    assert last.verdicts.alarm.shape == (4, 3)
    np.testing.assert_array_equal(whole.verdicts.limit[:, -3:], last.verdicts.limit)
    np.testing.assert_array_equal(whole.dispersion[:, -3:], last.dispersion)


def test_few_cases_are_not_judged_by_a_model() -> None:
    values = np.random.default_rng(7).poisson(6.0, 320).astype(float)
    values[-4:] = [0.0, 0.0, 0.0, 4.0]
    got = flexible(Counts.of(values), Flexible(), latest=1).verdicts
    assert got.abstains[0] == Abstention.FEW_CASES
    assert not got.alarm[0]
    assert np.isfinite(got.limit[0])


def test_a_past_that_is_mostly_unknown_is_a_short_one() -> None:
    values = np.random.default_rng(7).poisson(6.0, 320).astype(float)
    values[60:200] = np.nan
    got = flexible(Counts.of(values), latest=1).verdicts
    assert got.abstains[0] == Abstention.SHORT_HISTORY
    values[60:130] = 6.0
    assert flexible(Counts.of(values), latest=1).verdicts.abstains[0] == Abstention.NONE


@few
@given(seed=seeds)
def test_the_heterogeneity_is_the_likeliest(seed: int) -> None:
    random = np.random.default_rng(seed)
    y = random.negative_binomial(2.0, 2.0 / (2.0 + 8.0), 60).astype(float)
    got = seasonal_mean(y, 60, Season(year_length=12, waves=0), heterogeneous=True)

    def less_likely(parameters: FloatArray) -> float:
        from scipy.special import gammaln

        mean, size = np.exp(parameters)
        terms = gammaln(y + size) - gammaln(size) + size * np.log(size / (size + mean))
        return -float((terms + y * np.log(mean / (size + mean))).sum())

    best = minimize(less_likely, [2.0, 0.5], method="Nelder-Mead", options={"xatol": 1e-8})
    assert float(got.heterogeneity) == pytest.approx(np.exp(-best.x[1]), rel=1e-3)
    assert got.mean[0] == pytest.approx(y.mean(), rel=1e-6)


@few
@given(seed=seeds, alpha=st.sampled_from([0.0, 0.1, 1.0]))
def test_the_likelihood_ratio_is_the_largest_over_beginnings_and_rises(
    seed: int, alpha: float
) -> None:
    random = np.random.default_rng(seed)
    y = random.poisson(6.0, 8).astype(float)
    mean = np.full(8, 4.0)
    got = glr(Counts.of(y), mean, Glr(decision=1e9), heterogeneity=alpha)
    rises = np.linspace(0.0, 3.0, 3001)[:, None]
    factor = np.exp(rises)
    if alpha:
        size = y + 1.0 / alpha
        terms = y * rises - size * np.log((1 + alpha * mean * factor) / (1 + alpha * mean))
    else:
        terms = y * rises - mean * (factor - 1.0)
    best = max(terms[:, since:].sum(axis=1).max() for since in range(8))
    assert got.statistic[-1] == pytest.approx(max(best, 0.0), abs=1e-4)
    assert got.statistic[-1] >= best - 1e-12
