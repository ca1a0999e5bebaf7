"""The simulated series are what their parameters say, and the measures are the published ones."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binomtest

from services.alerts.laboratory import methods, scenarios
from services.alerts.laboratory.benchmark import judge_scenario
from services.alerts.laboratory.measures import measures, ratio, tally, wilson


def test_all_scenarios_are_those_of_the_shared_parameters(outside_data: Path) -> None:
    given = json.loads((outside_data / "detectors" / "benchmark_params.json").read_text())
    weekly = given["weekly_noufaily2013"]["scenarios"]
    assert [str(one["scenario"]) for one in weekly] == scenarios.weekly_names()
    rows = scenarios.parameters()["weekly"]["rows"]
    for one in weekly:
        row = rows[(one["scenario"] - 1) // 6]
        assert (row["theta"], row["phi"]) == (one["theta"], one["phi"])
        assert one["beta"] == (row["beta"] if one["trend"] else 0)
        assert one["gamma1"] == (row["gamma1"] if one["m"] else 0)
    daily = given["daily_noufaily2019"]["signals"]
    assert [one["signal"] for one in daily] == scenarios.daily_names()
    for one, ours in zip(daily, scenarios.parameters()["daily"]["signals"], strict=True):
        assert (one["alpha"], one["phi"], one["beta"]) == (ours["alpha"], ours["phi"], ours["beta"])
        assert [one["gamma1_cos_year"], one["gamma2_sin_year"]] == ours["year"]
        assert one["shift_days"] == ours["shift"]


def test_a_seed_gives_the_same_series_again_and_another_seed_others() -> None:
    first = scenarios.weekly("5", replicates=3, seed=4)
    again = scenarios.weekly("5", replicates=3, seed=4)
    other = scenarios.weekly("5", replicates=3, seed=5)
    assert np.array_equal(first.counts, again.counts)
    assert not np.array_equal(first.counts, other.counts)


def test_counts_have_the_mean_and_the_variance_that_are_asked_for() -> None:
    simulated = scenarios.weekly("25", replicates=400, seed=1)
    before_outbreaks = simulated.baseline[:, :300]
    mean = np.exp(2.5)
    assert before_outbreaks.mean() == pytest.approx(mean, rel=0.02)
    assert before_outbreaks.var() == pytest.approx(3 * mean, rel=0.03)


def test_past_and_current_outbreaks_lie_where_they_belong() -> None:
    simulated = scenarios.weekly("31", replicates=60, seed=1)
    assert not simulated.outbreak[:, :575].any()
    assert (simulated.outbreak.sum(axis=1) > 0).mean() > 0.9
    past = simulated.baseline[:, 312:575].mean() - simulated.baseline[:, :312].mean()
    # Four outbreaks of five deviations each over 263 weeks.
    assert past == pytest.approx(4 * 5 * np.sqrt(1.1 * np.exp(3.75)) / 263, rel=0.35)


def test_closed_days_are_unknown_and_holidays_of_five_day_systems_empty() -> None:
    simulated = scenarios.daily("9", replicates=2, seed=1)
    weekday = np.arange(simulated.baseline.shape[1]) % 7
    assert np.isnan(simulated.baseline[:, weekday >= 5]).all()
    assert not np.isnan(simulated.baseline[:, weekday < 5]).any()
    easter_monday = 91  # 5 April 2010, from 4 January
    assert not simulated.baseline[:, easter_monday].any()
    assert not simulated.outbreak[:, : simulated.first].any()


def test_measures_of_alarms_worked_by_hand() -> None:
    outbreak = np.array([[0, 1, 1, 0], [0, 0, 1, 1], [0, 0, 0, 0]], dtype=bool)
    alarm = np.array([[1, 0, 1, 0], [0, 0, 0, 0], [0, 0, 0, 1]], dtype=bool)
    quiet = np.array([[1, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 1]], dtype=bool)
    found = measures(tally(alarm, quiet, outbreak, np.ones((3, 4), dtype=bool)))
    assert found["FPR"].value == 2 / 12
    assert found["sensitivity"].value == 1 / 4
    assert found["specificity"].value == 6 / 8
    assert found["PPV"].value == 1 / 3
    assert found["POD"].value == 1 / 2
    assert found["POW1wk"].value == 0


@pytest.mark.parametrize("successes", [0, 3, 40])
def test_wilson_is_that_of_scipy(successes: int) -> None:
    ours = wilson(successes, 40)
    theirs = binomtest(successes, 40).proportion_ci(method="wilson")
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


def test_a_bootstrap_interval_covers_what_it_is_of_and_narrows_with_more_series() -> None:
    random = np.random.default_rng(1)
    few, many = random.binomial(49, 0.1, 50), random.binomial(49, 0.1, 2000)
    wide = ratio(few.astype(float), np.full(50, 49.0), seed=1)
    narrow = ratio(many.astype(float), np.full(2000, 49.0), seed=1)
    assert wide.low < wide.value < wide.high
    assert narrow.high - narrow.low < (wide.high - wide.low) / 3


def test_measures_of_r_are_found_again_from_its_alarms(outside_data: Path) -> None:
    """R's own summary of its alarms on the 42 scenarios, by our definitions."""
    content = json.loads((outside_data / "detectors" / "noufaily42.json").read_text())
    outbreak = np.array([one["current"] for one in content["series"]])[:, 575:] > 0
    judged = np.ones(outbreak.shape, dtype=bool)
    for method in ("farrington_flexible", "rki3", "glr_negbin"):
        told = content["alarms"][method]
        alarm, quiet = (
            np.array([[one == 1 for one in row] for row in told[name]])
            for name in ("with_current", "without_current")
        )
        ours = measures(tally(alarm, quiet, outbreak, judged))
        theirs = content["summary"][method]
        assert ours["FPR"].value == pytest.approx(theirs["FPR_without_current_outbreak"])
        assert ours["sensitivity"].value == pytest.approx(theirs["sensitivity_weekly"])
        assert ours["specificity"].value == pytest.approx(theirs["specificity_weekly"])
        for name in ("PPV", "POD", "POW1wk"):
            assert ours[name].value == pytest.approx(theirs[name])


def test_every_method_judges_every_judged_period() -> None:
    judged = judge_scenario("weekly", "13", 2, 1)
    assert list(judged) == [method.name for method in methods.WEEKLY]
    assert {one.points for one in judged.values()} == {2 * 2 * 49}
