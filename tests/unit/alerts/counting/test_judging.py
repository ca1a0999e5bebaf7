"""What alarms and what does not: each test changes one thing of a city whose truth is known."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.alerts.domain.counting.delays import Delays
from services.alerts.domain.counting.table import DayCounts, Sites, tree_of
from services.alerts.domain.detection.verdict import Abstention
from services.alerts.domain.expecting.judging import Judged
from services.alerts.domain.expecting.tail import Method, Tail
from tests.unit.alerts.counting.city import CALENDAR, FIRST, POLICY, WEEK, Made, number

WEEKS_8 = 56


def alarms(judged: Judged) -> int:
    return int(((judged.observed > judged.limit) & (judged.abstains == 0)).sum())


def alarm_share(judged: Judged) -> float:
    spoke = judged.abstains == Abstention.NONE
    return float((judged.p_value[spoke] < 0.01).mean())


@pytest.mark.parametrize(
    ("days", "method"),
    [
        (12, Method.EARS_C2),
        (41, Method.EARS_C2),
        (70, Method.ESSENCE),
        (3 * 364 + 60, Method.FARRINGTON),
    ],
)
def test_the_history_chooses_the_method(days: int, method: Method) -> None:
    judged = Made.usual(days + 1).judge([days])
    assert judged.method.tolist() == [[method], [method]]
    assert judged.excesses()[0].method.endswith("(detection@1)")


def test_without_a_history_nothing_is_said() -> None:
    judged = Made.usual(5).judge(range(5))
    assert (judged.abstains == Abstention.SHORT_HISTORY).all()
    assert np.isnan(judged.p_value).all()


@pytest.mark.parametrize("days", [WEEKS_8, 3 * 364 + 60], ids=["essence", "farrington"])
def test_a_rise_alarms_and_usual_days_do_not(days: int) -> None:
    usual = Made.usual(days + 28, seed=3)
    assert alarm_share(usual.judge(range(days, days + 28))) <= 0.04
    risen = usual.risen(slice(days, days + 2), 2.0)
    assert alarms(risen.judge(range(days, days + 2))) == 4, "town and county, both days"


@pytest.mark.parametrize("days", [WEEKS_8, 3 * 364 + 60], ids=["essence", "farrington"])
def test_sites_that_open_do_not_alarm(days: int) -> None:
    """Two of six begin to report, in an area where four did."""
    made = Made.usual(days + 21, sites=6, seed=4)
    made.reported[4:, :days] = False
    judged = made.judge(range(days, days + 21))
    assert alarm_share(judged) <= 0.05
    assert judged.sites[0].tolist() == [6] * 21
    # The same persons at the four sites of before are a rise.
    crowd = made.risen(slice(days, None), 2.0)
    crowd.reported[4:] = False
    assert alarms(crowd.judge(range(days, days + 5))) >= 8


def test_a_large_site_that_opens_does_not_alarm() -> None:
    """Three times as large as any other: how large a new site is, nobody knows."""
    made = Made.usual(WEEKS_8 + 14, sites=5, seed=5)
    made.persons[4] = np.random.default_rng(2).poisson(18.0, made.persons[4].shape)
    made.reported[4, :WEEKS_8] = False
    assert alarms(made.judge(range(WEEKS_8, WEEKS_8 + 14))) <= 2, "one day of town and county"


def test_a_site_that_is_silent_lowers_what_is_expected_and_hides_no_rise() -> None:
    made = Made.usual(WEEKS_8 + 7, sites=4, seed=6)
    made.persons[3] = np.random.default_rng(3).poisson(20.0, made.persons[3].shape)
    made.reported[3, WEEKS_8:] = False
    judged = made.judge(range(WEEKS_8, WEEKS_8 + 7))
    assert (judged.sites == 3).all()
    assert judged.expected[0].mean() == pytest.approx(18.0, rel=0.15), "of the three small ones"
    assert alarms(made.risen(slice(WEEKS_8, None), 2.0).judge(range(WEEKS_8, WEEKS_8 + 7))) >= 8


def test_nobody_speaking_is_silence_and_a_closed_site_is_not_missed() -> None:
    made = Made.usual(WEEKS_8 + 3, sites=2)
    made.reported[:, WEEKS_8 + 1] = False
    days = range(WEEKS_8, WEEKS_8 + 3)
    judged = made.judge(days)
    assert judged.abstains[0].tolist() == [0, Abstention.SILENT, 0]
    assert np.isnan(judged.observed[0, 1])
    assert judged.excesses()[1].p_value is None
    area = np.ones(2, dtype=np.int64)
    closed = Sites(area, 0 * area, 0 * area, np.full(2, WEEKS_8 + 1))
    assert made.judge(days, sites=closed).abstains[0, 1] == Abstention.UNKNOWN


@pytest.mark.parametrize("days", [WEEKS_8, 3 * 364 + 60], ids=["essence", "farrington"])
def test_twice_as_many_tests_with_the_same_share_of_positives_do_not_alarm(days: int) -> None:
    draw = np.random.default_rng(7)
    tests = draw.poisson(200.0, (2, days + 14))
    tests[:, days:] *= 2
    positive = draw.binomial(tests, 0.03)
    said = np.ones(tests.shape, dtype=np.bool_)
    made = Made(positive, tests, said, kind="positive_result", syndrome="covid19")
    judged = made.judge(range(days, days + 14))
    assert alarm_share(judged) <= 0.04
    assert judged.expected[0, -1] == pytest.approx(0.03 * tests[:, -1].sum(), rel=0.25)
    positive = made.persons.copy()
    positive[:, days:] = np.round(0.06 * tests[:, days:]).astype(np.int64)
    assert alarms(replace(made, persons=positive).judge(range(days, days + 3))) == 6


def holidays(first: date, last: date, share: float, made: Made) -> Made:
    """As many persons less on the days off of these years' calendar."""
    persons = made.persons.copy()
    draw = np.random.default_rng(8)
    for day in range(number(first), number(last)):
        if CALENDAR.type_of(made.table().day(day), school=False) in (8, 9):
            persons[:, day] = draw.poisson(6.0 * share, len(persons))
    return replace(made, persons=persons)


def test_a_holiday_week_neither_alarms_nor_hides_an_outbreak() -> None:
    """National Day 2024 after three such weeks: expected low, and judged by that."""
    days = number(date(2024, 10, 20))
    made = holidays(FIRST, date(2024, 10, 20), 0.4, Made.usual(days, seed=10))
    week = range(number(date(2024, 10, 1)), number(date(2024, 10, 8)))
    judged = made.judge(week)
    assert alarms(judged) == 0
    assert judged.expected[0].mean() == pytest.approx(4 * 6.0 * 0.4, rel=0.25)
    after = made.judge(range(number(date(2024, 10, 8)), days))
    assert alarms(after) <= 1, "nor do the days after it"
    hidden = made.persons.copy()
    hidden[:, week[1] : week[3]] = 6  # as many as on common days: two and a half times too many
    assert alarms(replace(made, persons=hidden).judge(week)) >= 4


def test_a_make_up_working_day_is_a_working_day() -> None:
    """Closed Sundays are no sign on 29 September 2024, when people worked."""
    days = number(date(2024, 10, 1))
    made = Made.usual(days, seed=11)
    weekday = (FIRST.weekday() + np.arange(days)) % 7
    persons = made.persons.copy()
    draw = np.random.default_rng(12)
    persons[:, weekday == 6] = draw.poisson(0.6, persons[:, weekday == 6].shape)
    for day in CALENDAR.working:
        if FIRST <= day < made.table().day(days):
            persons[:, number(day)] = [6, 7, 5, 6]
    worked = number(date(2024, 9, 29))
    judged = replace(made, persons=persons).judge([worked, worked])
    assert alarms(judged) == 0
    assert judged.expected[0, 0] == pytest.approx(24.0, rel=0.3)


def test_what_is_rare_has_a_fixed_number_and_the_p_of_a_year() -> None:
    made = Made.usual(400, mean=0.02, sites=2, seed=13, kind="fever_clinic")
    persons = made.persons.copy()
    persons[:, 390:] = 0
    persons[0, 391], persons[1, 392] = 1, 2
    judged = replace(made, persons=persons).judge(range(390, 394))
    assert (judged.method[0] == Method.FIXED).all()
    assert judged.limit[0].tolist() == [2, 2, 1, 0], "three persons in three days"
    assert (judged.observed[0] > judged.limit[0]).tolist() == [False, False, True, False]
    assert judged.p_value[0, 2] < 0.01
    assert judged.p_value[0, 0] == 1.0


def test_a_known_outbreak_is_judged_and_not_learnt_from() -> None:
    made = Made.usual(WEEKS_8 + 30, seed=14)
    wave = made.risen(slice(WEEKS_8, WEEKS_8 + 20), 3.0)
    out = np.zeros(wave.persons.shape, dtype=np.bool_)
    out[:, WEEKS_8 : WEEKS_8 + 20] = True
    days = range(WEEKS_8 + 10, WEEKS_8 + 26)
    learnt, known = wave.judge(days), wave.judge(days, left_out=out)
    assert known.expected[0, 0] == pytest.approx(24, rel=0.35)
    assert learnt.expected[0, 0] > 1.5 * known.expected[0, 0]
    assert ((known.observed > known.limit)[0, :10]).all(), "its own days still alarm"
    assert not (known.observed > known.limit)[0, 10:].any()


def test_a_day_of_which_half_is_known_is_expected_half() -> None:
    made = Made.usual(WEEKS_8 + 1, seed=15)
    draw = np.random.default_rng(16)
    early = draw.binomial(made.persons, 0.5).astype(np.int32)
    counts = DayCounts(early, made.seen.astype(np.int32), made.reported)
    late = np.array([[500.0, 300.0, 200.0]])
    judged = made.judge([WEEKS_8], judged=counts, judged_age=0, delays=Delays.of(late))
    whole = made.judge([WEEKS_8])
    assert judged.expected[0, 0] == pytest.approx(0.5 * whole.expected[0, 0])
    assert judged.p_value[0, 0] > 0.01
    assert Delays.of(late).share(np.array([0, 1, 2, 9])).tolist() == [[0.5, 0.8, 1.0, 1.0]]


def test_today_is_not_over_unless_it_is_high_already() -> None:
    made = Made.usual(WEEKS_8 + 1, seed=17)
    today = made.table().day(WEEKS_8)
    made.persons[:, WEEKS_8] = 1
    assert made.judge([WEEKS_8], last_day=today).abstains[0, 0] == Abstention.PART_DAY
    made.persons[:, WEEKS_8] = 20
    assert made.judge([WEEKS_8], last_day=today).abstains[0, 0] == Abstention.NONE


def test_sums_of_areas_are_tested_and_not_their_alarms() -> None:
    """A rise too small for each of eight towns is one for their county."""
    days, towns = 3 * 364 + 60, 8
    made = Made.usual(days + 1, sites=towns, mean=4.0, seed=18)
    made.persons[:, days] = 6
    tree = tree_of([("county", None), *((f"town{n}", "county") for n in range(towns))])
    area = np.arange(1, towns + 1)
    judged = made.judge([days], tree=tree, sites=Sites.always_open(area, 0 * area))
    assert [key[0] for key in judged.table.keys()][0] == "county"  # noqa: RUF015, SIM118
    high = judged.observed > judged.limit
    assert high[0, 0]
    assert high[1:].sum() <= 1


def test_what_comes_later_changes_nothing() -> None:
    made = Made.usual(WEEKS_8 + 40, seed=19)
    end = WEEKS_8 + 10
    days = range(WEEKS_8, end)
    before = Made(made.persons[:, :end], made.seen[:, :end], made.reported[:, :end])
    for name in ("p_value", "limit", "expected"):
        np.testing.assert_array_equal(
            getattr(made.judge(days), name), getattr(before.judge(days), name)
        )


@settings(max_examples=15, deadline=None)
@given(first=st.integers(50, 70), length=st.integers(1, 12), earlier=st.integers(0, 9))
def test_a_day_is_judged_alike_in_every_run_of_days(first: int, length: int, earlier: int) -> None:
    made = Made.usual(90, sites=2, seed=20)
    whole = made.judge(range(45, 90))
    part = made.judge(range(first, first + length))
    at = slice(first - 45, first - 45 + length)
    np.testing.assert_array_equal(whole.p_value[:, at], part.p_value)
    np.testing.assert_array_equal(whole.limit[:, at], part.limit)


@settings(max_examples=40, deadline=None)
@given(
    rate=st.floats(0.01, 50.0),
    growth=st.floats(0.0, 1.0),
    size=st.floats(0.1, 5.0),
    freedom=st.one_of(st.just(np.nan), st.floats(3.0, 40.0)),
    slope=st.floats(0.01, 2.0),
)
def test_the_limit_is_the_last_count_that_chance_explains(
    rate: float, growth: float, size: float, freedom: float, slope: float
) -> None:
    tail = Tail.empty((1,))
    tail.rate[:], tail.growth[:], tail.unit[:], tail.freedom[:] = rate, growth, 1.0, freedom
    tail.level[:], tail.slope[:] = [[-slope * rate, -np.inf]], [[slope, 0.0]]
    sizes, doubt = np.array([size]), np.array([0.0])
    limit = tail.limit(sizes, doubt, 0.01)
    assert tail.p_value(limit + 1, sizes, doubt)[0] <= 0.01 + 1e-12
    assert tail.p_value(limit, sizes, doubt)[0] > 0.01 - 1e-12 or limit[0] == 0
    back = Tail.unpacked(tail.method, tail.packed())
    np.testing.assert_array_equal(back.limit(sizes, doubt, 0.01), limit)


@pytest.mark.parametrize("spread", [1.0, 3.0], ids=["poisson", "overdispersed"])
def test_p_values_claim_no_more_than_they_hold(spread: float) -> None:
    """Of 200 series on usual days, at most as many are below p as p says, some more where counts
    scatter more than chance."""
    draw = np.random.default_rng(21)
    level = 8.0 * WEEK[(FIRST.weekday() + np.arange(120)) % 7]
    size = level / max(spread - 1.0, 1e-9)
    persons = (
        draw.poisson(level * np.ones((200, 1)))
        if spread == 1.0
        else draw.negative_binomial(size, 1.0 / spread, (200, 120))
    )
    tree = tree_of([(f"town{n}", None) for n in range(200)])
    area = np.arange(200)
    made = Made(persons, persons, np.ones(persons.shape, dtype=np.bool_))
    judged = made.judge(range(70, 120), tree=tree, sites=Sites.always_open(area, 0 * area))
    p = judged.p_value[judged.abstains == 0]
    assert p.size == 200 * 50
    assert (p < 0.01).mean() <= 0.02
    assert (p < 0.05).mean() <= 0.07
    assert (p < 0.2).mean() >= 0.1, "and not much less"


def test_an_unknown_kind_of_the_policy_is_an_error_of_the_caller() -> None:
    with pytest.raises(KeyError):
        replace(Made.usual(60), kind="telepathy").judge([59])


def test_the_policy_of_this_release_counts_what_it_says() -> None:
    assert POLICY.kinds["positive_result"].denominator == "seen"
    assert POLICY.kinds["school"].school
