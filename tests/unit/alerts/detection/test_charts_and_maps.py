"""CUSUM's limit is the inverse of its sum; ESSENCE on gaps; the space-time scan on planted
clusters."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.alerts.domain.detection import essence
from services.alerts.domain.detection.cusum import Cusum, Form, cusum, past_mean
from services.alerts.domain.detection.scan import Scan, circles, scan
from services.alerts.domain.detection.verdict import Abstention, Counts, FloatArray

FORMS = get_args(Form)


@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 2**31))
def test_a_count_on_the_limit_brings_the_sum_to_the_decision(form: Form, seed: int) -> None:
    values = np.random.default_rng(seed).poisson(4.0, 30).astype(float)
    rule = Cusum(form=form)
    mean = past_mean(Counts.of(values), 20)
    limit = cusum(Counts.of(values), mean, rule).limit[-1]
    values[-1] = limit
    again = cusum(Counts.of(values), mean, rule).statistic[-1]
    assert limit == 0.0 or again == pytest.approx(rule.decision, abs=1e-9)


def test_a_chart_that_restarts_forgets_its_alarm() -> None:
    values = np.array([5.0] * 20 + [30.0] + [5.0] * 6)
    mean = past_mean(Counts.of(values), 20)
    lasting = cusum(Counts.of(values), mean).alarm[20:]
    restarted = cusum(Counts.of(values), mean, Cusum(restart=True)).alarm[20:]
    assert lasting.sum() > 1
    assert restarted.tolist() == [True] + [False] * 6


def test_an_unknown_day_leaves_the_sum_as_it_was() -> None:
    values = np.array([5.0] * 20 + [9.0, np.nan, 9.0])
    got = cusum(Counts.of(values), past_mean(Counts.of(values), 20))
    without = np.delete(values, 21)
    other = cusum(Counts.of(without), past_mean(Counts.of(without), 20))
    assert got.statistic[22] == other.statistic[21]


def _days(length: int) -> FloatArray:
    week = np.array([60.0, 55.0, 50.0, 50.0, 52.0, 20.0, 15.0])
    noise = np.random.default_rng(8).normal(0.0, 2.0, length)
    return np.round(np.tile(week, length // 7 + 1)[:length] + noise)


def test_regression_knows_the_weekday_and_smoothing_takes_over_without_one() -> None:
    weekly = essence.switch(Counts.of(_days(70)))
    assert weekly.by_regression[40:].all()
    level = np.random.default_rng(9).poisson(10.0, 70).astype(float)
    assert not essence.switch(Counts.of(level)).by_regression[40:].all()


def test_regression_over_gaps_is_least_squares_over_what_is_known() -> None:
    values = _days(40)
    values[[15, 22, 30]] = np.nan
    got = essence.regression(Counts.of(values)).verdicts
    day = 39
    past = np.arange(day - 30, day - 2)
    past = past[~np.isnan(values[past])]
    x = np.column_stack([np.eye(7)[past % 7], past])
    today = np.append(np.eye(7)[day % 7], day)
    beta, *_ = np.linalg.lstsq(x, values[past], rcond=None)
    variance = ((values[past] - x @ beta) ** 2).sum() / (len(past) - 8)
    deviation = np.sqrt(variance * (1.0 + today @ np.linalg.inv(x.T @ x) @ today))
    assert got.expected[day] == pytest.approx(today @ beta, rel=1e-9)
    wanted = (values[day] - today @ beta) / deviation
    assert got.statistic[day] == pytest.approx(wanted, rel=1e-9)


def _line(places: int) -> FloatArray:
    at = np.arange(float(places))
    return np.abs(at[:, None] - at[None])


def test_a_planted_cluster_is_found_where_and_since_when_it_is() -> None:
    counts = np.random.default_rng(10).poisson(1.0, (12, 30)).astype(float)
    counts[[4, 5], -3:] += 6.0
    zones = circles(_line(12), counts.sum(axis=1), share_most=0.5)
    got = scan(counts, zones, Scan(simulations=99), seed=1)
    best = got.clusters[0]
    assert set(best.locations) == {4, 5}
    assert best.since == 27
    assert best.alarm
    assert best.p_value == 0.01
    assert best.ratio > best.limit
    held = [one for cluster in got.clusters for one in cluster.locations]
    assert len(held) == len(set(held))


def test_the_same_seed_gives_the_same_p() -> None:
    counts = np.random.default_rng(11).poisson(1.0, (8, 20)).astype(float)
    zones = circles(_line(8), counts.sum(axis=1), share_most=0.5)
    first, again = (scan(counts, zones, Scan(simulations=49), seed=3) for _ in range(2))
    assert first == again


def test_unknown_counts_and_empty_maps_are_not_scanned() -> None:
    zones = circles(_line(3), np.ones(3), share_most=0.5)
    counts = np.zeros((3, 10))
    assert scan(counts, zones, Scan(), seed=1).abstains == Abstention.SHORT_HISTORY
    counts[0, 0] = np.nan
    assert scan(counts, zones, Scan(), seed=1).abstains == Abstention.UNKNOWN


def test_circles_grow_to_their_share_and_each_set_occurs_once() -> None:
    zones = circles(_line(4), np.ones(4), share_most=0.5)
    sets = [frozenset(zone) for zone in zones]
    assert len(sets) == len(set(sets))
    assert set(sets) == set(map(frozenset, [{0}, {1}, {2}, {3}, {0, 1}, {1, 2}, {2, 3}]))
    near = circles(_line(4), np.ones(4), share_most=1.0, radius_most=0.5)
    assert all(len(zone) == 1 for zone in near)
