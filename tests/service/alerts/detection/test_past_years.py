"""RKI 1 and 3 and Bayes 1, 2 and 3 against R's numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from services.alerts.domain.detection.bayes import Bayes, bayes
from services.alerts.domain.detection.rki import rki
from services.alerts.domain.detection.verdict import Counts
from services.alerts.domain.detection.window import PastYears
from tests.service.alerts.detection.vectors import Vector, difference, same_alarms, vectors


def _references(vector: Vector) -> PastYears:
    told = vector.parameters or {"b": 0, "w": 6, "actY": True}
    return PastYears(
        years=told["b"],
        half_width=told["w"],
        this_year=told["w"] if told["actY"] else 0,
        year_length=vector.series["freq"],
        unknown_most=0,
    )


def test_rki_equals_r(outside_data: Path) -> None:
    seen = 0
    for vector in vectors(outside_data, "rki"):
        got = rki(Counts.of(vector.counts), _references(vector))
        assert same_alarms(got, vector), vector.title
        limit = got.limit[vector.first :]
        assert difference(limit, vector.wants("upperbound")) < 1e-9, vector.title
        seen += 1
    assert seen == 27


def test_bayes_equals_r(outside_data: Path) -> None:
    seen = 0
    for vector in vectors(outside_data, "bayes"):
        got = bayes(Counts.of(vector.counts), Bayes(_references(vector), alpha=0.05))
        assert same_alarms(got, vector), vector.title
        limit = got.limit[..., vector.first :]
        assert np.array_equal(limit, vector.wants("upperbound")), vector.title
        seen += 1
    assert seen == 42
