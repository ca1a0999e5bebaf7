"""Cases worked by hand: EARS, RKI, Bayes, the moving percentile of CIDARS, the rule of Nyss, fixed
counts."""

from __future__ import annotations

import numpy as np
import pytest

from services.alerts.domain.detection import ears
from services.alerts.domain.detection.bayes import Bayes, bayes
from services.alerts.domain.detection.fixed import Fixed, fixed
from services.alerts.domain.detection.percentile import Percentile, moving_percentile
from services.alerts.domain.detection.proximity import Proximity, groups
from services.alerts.domain.detection.rki import rki
from services.alerts.domain.detection.verdict import Abstention, Counts
from services.alerts.domain.detection.window import PastYears

# Mean 3, deviation 1.
WEEK = [2.0, 4.0, 3.0, 2.0, 4.0, 3.0, 3.0]
DEVIATION = np.sqrt(4.0 / 6.0)
KILOMETRE = 1.0 / 111.195  # degrees of latitude


def test_c1_compares_with_the_seven_days_before() -> None:
    got = ears.c1(Counts.of([*WEEK, 5.0, 6.0]))
    assert got.expected[7] == pytest.approx(3.0)
    assert got.limit[7] == pytest.approx(3.0 + 3.0 * DEVIATION)
    assert got.statistic[7] == pytest.approx(2.0 / DEVIATION)
    # Seven days without spread: the floor of half a case is the deviation.
    quiet = ears.c1(Counts.of([0.0] * 7 + [1.0, 2.0]))
    assert (quiet.limit[7], quiet.alarm[7]) == (1.5, False)
    assert ears.c1(Counts.of([0.0] * 7 + [2.0])).alarm[7]


def test_c2_leaves_two_days_out_between() -> None:
    got = ears.c2(Counts.of([*WEEK, 50.0, 60.0, 7.0]))
    assert got.expected[9] == pytest.approx(3.0)
    assert got.alarm[9]
    assert not ears.c1(Counts.of([*WEEK, 50.0, 60.0, 7.0])).alarm[9]


def test_c3_sums_three_days_and_todays_excess_counts_today() -> None:
    """Floor 0.5: excesses (count - 0) / 0.5 - 1 of the last three days."""
    quiet = [0.0] * 9
    got = ears.c3(Counts.of([*quiet, 0.0, 0.0, 2.0, 1.0, 0.0]))
    assert got.statistic[11] == pytest.approx(3.0)
    assert got.alarm[11]
    assert got.statistic[12] == pytest.approx(4.0)
    # The two days before are above 2 already: any count at all alarms, even none.
    assert got.alarm[13]
    assert got.limit[13] < 0


def test_a_week_with_three_unknown_days_is_no_baseline() -> None:
    gaps = np.array([*WEEK, 9.0])
    gaps[[1, 3]] = np.nan
    assert ears.c1(Counts.of(gaps)).abstains[7] == Abstention.NONE
    gaps[5] = np.nan
    assert ears.c1(Counts.of(gaps)).abstains[7] == Abstention.SHORT_HISTORY


def test_rki_takes_the_table_for_small_means_and_two_deviations_for_large() -> None:
    before = PastYears(years=0, half_width=0, this_year=4)
    small = rki(Counts.of([0.0, 1.0, 2.0, 4.0, 5.0]), before)
    assert small.expected[4] == 1.75
    assert small.limit[4] == 5.323  # Crow & Gardner's for one case
    large = rki(Counts.of([28.0, 30.0, 30.0, 32.0, 33.0]), before)
    assert large.limit[4] == pytest.approx(30.0 + 2.0 * np.sqrt(8.0 / 3.0))
    assert not large.alarm[4]


def test_bayes_after_four_weeks_of_five_cases_in_all() -> None:
    """Size 5.5, mean 5.5/4: P(Y > 4) = 2.6 %, P(Y > 3) = 7.0 %."""
    rule = Bayes(PastYears(years=0, half_width=0, this_year=4), alpha=0.05)
    got = bayes(Counts.of([1.0, 1.0, 1.0, 2.0, 4.0]), rule)
    assert got.expected[4] == pytest.approx(5.5 / 4)
    assert got.limit[4] == 4.0
    assert not got.alarm[4]
    assert got.p_value[4] == pytest.approx(0.0702, abs=1e-4)


def test_the_moving_percentile_of_cidars() -> None:
    """Five years of 52 weeks; around week 30 stand 1 to 25 in any order: P80 lies a fifth of the
    way between the 20th and the 21st, at 20.2; the median is 13."""
    weeks = np.zeros(5 * 52 + 31)
    values = iter(np.random.default_rng(5).permutation(np.arange(1.0, 26.0)))
    for year in range(5):
        for week in range(28, 33):
            weeks[year * 52 + week] = next(values)
    weeks[-1] = 20.0
    assert not moving_percentile(Counts.of(weeks)).alarm[-1]
    weeks[-1] = 21.0
    got = moving_percentile(Counts.of(weeks))
    assert got.expected[-1] == 13.0
    assert got.limit[-1] == pytest.approx(20.2)
    assert got.alarm[-1]
    # 21 to 25 are as high: five of 25, and the week itself.
    assert got.p_value[-1] == pytest.approx(6 / 26)


def test_p50_of_cidars_is_the_median_and_reaching_it_is_enough() -> None:
    weeks = np.tile(np.arange(52.0), 6)
    got = moving_percentile(Counts.of(weeks), Percentile(percent=50.0))
    assert got.limit[5 * 52 + 30] == 30.0
    assert got.alarm[5 * 52 + 30]


def test_a_week_of_no_cases_never_reaches_a_percentile_of_nothing() -> None:
    got = moving_percentile(Counts.of(np.zeros(6 * 52)))
    assert got.limit[-1] == 0.0
    assert not got.alarm.any()


def test_nyss_groups_reports_within_days_and_twice_the_kilometres() -> None:
    """Radius 1 km, 7 days. A-B 1.9 km and 1 day; B-C 1.9 km and 6 days; C-D 2.1 km; A-E 8 days."""
    latitude = np.array([0.0, 1.9, 3.8, 5.9, 0.0]) * KILOMETRE
    days = np.array([10.0, 11.0, 17.0, 17.0, 2.0])
    got = groups(days, latitude, np.zeros(5), Proximity(count=3, days=7, kilometres=1.0))
    assert got.size.tolist() == [3, 3, 3, 1, 1]
    assert got.alarm.tolist() == [True, True, True, False, False]
    assert len({*got.group[:3].tolist()}) == 1


def test_nyss_takes_exactly_so_many_days_as_apart() -> None:
    here = np.zeros(2)
    rule = Proximity(count=2, days=7, kilometres=1.0)
    assert not groups(np.array([0.0, 7.0]), here, here, rule).alarm.any()
    assert groups(np.array([0.0, 6.99]), here, here, rule).alarm.all()


def test_nyss_alerts_on_every_report_when_one_is_enough() -> None:
    rule = Proximity(count=1, days=7, kilometres=1.0)
    got = groups(np.array([0.0, np.nan]), np.array([0.0, 0.0]), np.array([0.0, 0.0]), rule)
    assert got.alarm.all()
    assert got.size.tolist() == [1, 1]


def test_fixed_counts_reach_their_number_within_the_window() -> None:
    got = fixed(Counts.of([1.0, 0.0, 2.0, 2.0, 0.0]), Fixed(cases=4, periods=3))
    assert got.alarm.tolist() == [False, False, False, True, True]
    assert got.abstains.tolist()[:2] == [Abstention.SHORT_HISTORY] * 2
    assert got.abstains.tolist()[2:] == [Abstention.NONE] * 3


def test_fixed_counts_that_are_reached_on_a_part_of_a_day_are_reached() -> None:
    partial = [False, False, True]
    rule = Fixed(cases=3)
    assert fixed(Counts.of([0.0, 0.0, 3.0], partial=partial), rule).alarm[2]
    not_yet = fixed(Counts.of([0.0, 0.0, 2.0], partial=partial), rule)
    assert not_yet.abstains[2] == Abstention.PART_DAY
    unknown = fixed(Counts.of([np.nan, 2.0, 1.0]), Fixed(cases=3, periods=3))
    assert unknown.alarm[2]
    too_few = fixed(Counts.of([np.nan, 2.0, 0.0]), Fixed(cases=3, periods=3))
    assert too_few.abstains[2] == Abstention.UNKNOWN
