"""Farrington flexible against R's numbers, at every point of every file that has them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from services.alerts.domain.detection.flexible import Flexible, FlexibleVerdicts, flexible
from services.alerts.domain.detection.verdict import Abstention, Counts, FloatArray, Verdicts
from tests.service.alerts.detection.vectors import (
    Vector,
    dates_of,
    difference,
    same_alarms,
    vectors,
)

FIELDS = {
    "b": "years",
    "w": "half_width",
    "noPeriods": "periods",
    "pastWeeksNotIncluded": "left_out",
    "thresholdMethod": "limit",
    "weightsThreshold": "weights_above",
    "pThresholdTrend": "trend_p",
    "alpha": "alpha",
}
# R's own defaults, where Noufaily's are ours.
R_DEFAULTS: dict[str, Any] = {
    "noPeriods": 1,
    "thresholdMethod": "delta",
    "weightsThreshold": 2.58,
    "pThresholdTrend": 0.05,
    "alpha": 0.05,
}
TOLD_IN_THE_CALL: dict[str, dict[str, Any]] = {
    "ff_p10_delta_b4": {"b": 4, "noPeriods": 10},
    "ff_p10_delta_b5": {"b": 5, "noPeriods": 10},
    "ff_p10_nbPlugin_b4": {"b": 4, "noPeriods": 10, "thresholdMethod": "nbPlugin"},
    "ff_p10_nbPlugin_b5": {"b": 5, "noPeriods": 10, "thresholdMethod": "nbPlugin"},
    "ff_daily_p10_nb": {"b": 5, "noPeriods": 10, "thresholdMethod": "nbPlugin", "alpha": 0.01},
}


def _rule(vector: Vector) -> Flexible:
    told = {"w": 3, **R_DEFAULTS, **(vector.parameters or TOLD_IN_THE_CALL[vector.name])}
    told.setdefault("pastWeeksNotIncluded", told["w"])
    fields = {ours: told[theirs] for theirs, ours in FIELDS.items()}
    return Flexible(year_length=vector.series["freq"], **fields)


def _judged(vector: Vector) -> FlexibleVerdicts:
    got = flexible(Counts.of(vector.counts), _rule(vector), dates=dates_of(vector))
    assert same_alarms(got.verdicts, vector), vector.title
    return got


def unless_few(got: Verdicts, values: FloatArray) -> FloatArray:
    """R gives no bound and no expected count where fewer than five cases came in four periods;
    the points without a finite limit are among them."""
    few = np.isin(got.abstains, [Abstention.FEW_CASES, Abstention.NO_FIT])
    return np.where(few, np.nan, values)


def _sane(score: FloatArray) -> FloatArray:
    """A limit on its centre (0 cases, a log mean of 0) divides by rounding: one point has that."""
    return np.where(np.abs(score) < 1e6, score, np.nan)


def _check(vector: Vector, tolerance: float) -> None:
    model = _judged(vector)
    got = model.verdicts
    here = np.s_[..., vector.first :]
    limit = unless_few(got, got.limit)[here]
    exact = _rule(vector).limit != "delta"
    # Quantiles are whole; the muan bounds of 1e235 are whole only in name.
    sane = np.where(limit < 1e8, limit, np.nan)
    wanted = vector.wants("upperbound")
    compared = {
        "upperbound": (limit, 1e-8),
        "pvalue": (got.p_value[here], tolerance),
        "score": (_sane(got.statistic[here]), 1e-8),
        "phi": (model.dispersion[here], 1e-9),
        "expected": (unless_few(got, got.expected)[here], 1e-8),
        "trend_coef": (model.slope[here], 1e-8),
    }
    if exact:
        small = wanted < 1e8
        assert np.array_equal(sane[small], wanted[small]), vector.title
    for field, (values, within) in compared.items():
        if field in vector.method:
            wants = vector.wants(field)
            apart = difference(values, _sane(wants) if field == "score" else wants)
            assert apart < within, f"{vector.title} {field} {apart}"
    if "trend" in vector.method:
        trend = ~np.isnan(model.slope[here])
        assert np.array_equal(trend, vector.wants("trend") > 0), vector.title


def test_single_series_equal_r(outside_data: Path) -> None:
    seen = 0
    for vector in vectors(outside_data, "ff_default", "ff_p10_delta", "ff_p10_nb", "ff_noufaily"):
        if not vector.file.startswith("multi"):
            _check(vector, 1e-8)
            seen += 1
    assert seen == 90


def test_many_areas_at_once_equal_r(outside_data: Path) -> None:
    seen = 0
    for vector in vectors(outside_data, "ff_"):
        if vector.file.startswith("multi"):
            _check(vector, 1e-8)
            seen += 1
    assert seen == 4


def test_daily_series_equal_r(outside_data: Path) -> None:
    seen = 0
    for vector in vectors(outside_data, "ff_daily"):
        _check(vector, 1e-8)
        seen += 1
    assert seen == 2
