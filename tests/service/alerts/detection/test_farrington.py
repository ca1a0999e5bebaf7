"""Farrington's first form against R's numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from services.alerts.domain.detection.farrington import Farrington, farrington
from services.alerts.domain.detection.verdict import Abstention, Counts
from tests.service.alerts.detection.vectors import (
    Vector,
    dates_of,
    difference,
    same_alarms,
    vectors,
)


def _rule(vector: Vector) -> Farrington:
    told = vector.parameters
    return Farrington(
        years=told["b"],
        half_width=told["w"],
        year_length=vector.series["freq"],
        alpha=told.get("alpha", 0.05),
        weights_above=1.0 if told.get("reweight", True) else None,
    )


def test_single_series_equal_r(outside_data: Path) -> None:
    seen = 0
    for vector in vectors(outside_data, "farrington_"):
        got = farrington(Counts.of(vector.counts), _rule(vector), dates=dates_of(vector))
        assert same_alarms(got, vector), vector.title
        here = np.s_[vector.first :]
        few = got.abstains == Abstention.FEW_CASES
        # R writes 0 where it does not ask.
        limit = np.where(few, 0.0, got.limit)[here]
        assert difference(limit, vector.wants("upperbound")) < 1e-8, vector.title
        assert difference(got.expected[here], vector.wants("predmedian")) < 1e-8, vector.title
        below = 1.0 - got.p_value[here]
        # Absolute: means of 1e-58 after years without a case leave 9e-9 between two arithmetics.
        assert np.abs(below - vector.wants("predquantile")).max() < 1e-8, vector.title
        seen += 1
    assert seen == 54
