"""What holds for every detector: a batch is its series, the future is unknown, and what nobody
counted is not zero."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from services.alerts.domain.detection.verdict import Abstention, Counts, FloatArray, Verdicts
from tests.unit.alerts.detection.detectors import BY_LIMIT, DETECTORS, LENGTH, WITH_FIXED

SERIES = 3
FIELDS = ("observed", "expected", "limit", "p_value", "statistic", "alarm", "abstains")
counts_or_unknown = st.one_of(
    st.integers(0, 30).map(float), st.integers(0, 3).map(float), st.just(float("nan"))
)
batches = arrays(np.float64, (SERIES, LENGTH), elements=counts_or_unknown, fill=st.just(1.0))
few = settings(max_examples=5, deadline=None)


def _same(one: Verdicts, other: Verdicts) -> None:
    for field in FIELDS:
        np.testing.assert_allclose(
            getattr(one, field), getattr(other, field), rtol=1e-9, atol=1e-9, err_msg=field
        )


def _row(verdicts: Verdicts, row: int) -> Verdicts:
    return Verdicts(**{field: getattr(verdicts, field)[row] for field in FIELDS})


def _until(verdicts: Verdicts, end: int) -> Verdicts:
    return Verdicts(**{field: getattr(verdicts, field)[..., :end] for field in FIELDS})


@pytest.mark.parametrize("name", sorted(WITH_FIXED))
@few
@given(values=batches)
def test_a_batch_is_its_series_one_by_one(name: str, values: FloatArray) -> None:
    together = WITH_FIXED[name](Counts.of(values))
    for row in range(SERIES):
        _same(_row(together, row), WITH_FIXED[name](Counts.of(values[row])))


@pytest.mark.parametrize("name", sorted(WITH_FIXED))
@few
@given(values=batches, end=st.integers(40, LENGTH - 1))
def test_the_future_changes_nothing(name: str, values: FloatArray, end: int) -> None:
    detector = WITH_FIXED[name]
    _same(
        _until(detector(Counts.of(values)), end),
        _until(detector(Counts.of(values[..., :end])), end),
    )


@pytest.mark.parametrize("name", sorted(DETECTORS))
@few
@given(values=batches, gaps=st.integers(0, 2**LENGTH - 1))
def test_who_cannot_know_says_why_and_alarms_not(name: str, values: FloatArray, gaps: int) -> None:
    silent = np.array([gaps >> place & 1 for place in range(LENGTH)], dtype=bool)
    partial = np.zeros(LENGTH, dtype=bool)
    partial[-1] = True
    got = DETECTORS[name](Counts.of(values, silent=silent, partial=partial))
    assert not got.alarm[got.abstains != Abstention.NONE].any()
    assert (got.abstains[:, silent] == Abstention.SILENT).all()
    assert (got.abstains[:, ~silent & partial] == Abstention.PART_DAY).all()
    unknown = np.isnan(values) & ~silent & ~partial
    assert (got.abstains[unknown] == Abstention.UNKNOWN).all()
    assert np.isnan(got.p_value[got.abstains == Abstention.UNKNOWN]).all()
    probable = got.p_value[~np.isnan(got.p_value)]
    assert ((probable >= 0) & (probable <= 1 + 1e-12)).all()


@pytest.mark.parametrize("name", sorted(DETECTORS))
def test_what_a_silent_source_said_is_not_learnt_from(name: str) -> None:
    values = np.random.default_rng(1).poisson(5.0, (SERIES, LENGTH)).astype(float)
    silent = np.zeros(LENGTH, dtype=bool)
    silent[[20, 33, 45]] = True
    loud = np.where(silent, 1000.0, values)
    quiet = np.where(silent, np.nan, values)
    one = DETECTORS[name](Counts.of(loud, silent=silent))
    other = DETECTORS[name](Counts.of(quiet, silent=silent))
    for field in ("expected", "limit", "alarm", "abstains"):
        np.testing.assert_allclose(getattr(one, field), getattr(other, field))


@pytest.mark.parametrize("name", sorted(BY_LIMIT))
@few
@given(values=batches)
def test_an_alarm_is_a_count_above_the_limit(name: str, values: FloatArray) -> None:
    got = BY_LIMIT[name](Counts.of(values))
    judged = got.abstains == Abstention.NONE
    # C3 sums before it compares, so a count on its limit may round to either side.
    clear = judged & (np.abs(got.observed - got.limit) > 1e-9)
    over = got.observed > got.limit
    assert (over == got.alarm)[clear].all()


@pytest.mark.parametrize("name", sorted(DETECTORS))
def test_a_short_series_is_too_short(name: str) -> None:
    got = DETECTORS[name](Counts.of(np.ones((2, 3))))
    assert (got.abstains == Abstention.SHORT_HISTORY).all()
    assert not got.alarm.any()


@pytest.mark.parametrize("name", sorted(DETECTORS))
def test_a_flood_after_quiet_years_alarms(name: str) -> None:
    values = np.random.default_rng(2).poisson(5.0, (SERIES, LENGTH)).astype(float)
    values[:, -1] = 60.0
    assert DETECTORS[name](Counts.of(values)).alarm[:, -1].all()


@pytest.mark.parametrize("name", sorted(WITH_FIXED))
@pytest.mark.parametrize("shape", [(0, LENGTH), (2, 1), (2, 0)])
def test_of_nothing_comes_nothing(name: str, shape: tuple[int, int]) -> None:
    got = WITH_FIXED[name](Counts.of(np.zeros(shape)))
    assert got.alarm.shape == shape
    assert not got.alarm.any()


@pytest.mark.parametrize("name", sorted(DETECTORS))
@pytest.mark.parametrize("level", [0.0, 1e6])
def test_the_same_for_ever_is_no_alarm(name: str, level: float) -> None:
    got = DETECTORS[name](Counts.of(np.full((2, LENGTH), level)))
    if name != "percentile":  # reaches its own percentile, as CIDARS means it
        assert not got.alarm.any()


def test_leading_axes_are_kept() -> None:
    values = np.random.default_rng(3).poisson(3.0, (2, 3, LENGTH)).astype(float)
    for name, detector in WITH_FIXED.items():
        got = detector(Counts.of(values))
        assert got.alarm.shape == got.limit.shape == values.shape, name
