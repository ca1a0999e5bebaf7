"""ESSENCE's three methods against Rnssp's numbers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from services.alerts.domain.detection import essence
from services.alerts.domain.detection.verdict import Counts
from tests.service.alerts.detection.vectors import difference, vectors

METHODS: dict[str, Callable[[Counts], essence.EssenceVerdicts]] = {
    "rnssp_ewma": essence.ewma,
    "rnssp_regression": essence.regression,
    "rnssp_switch": essence.switch,
}


def _colours(got: essence.EssenceVerdicts) -> list[str]:
    """Blue and grey both say that nothing is to be done; Rnssp writes blue over grey for low days
    of the first weeks."""
    chosen = np.select([got.verdicts.alarm, got.warning], ["red", "yellow"], "none")
    return [str(one) for one in chosen]


def test_numbers_and_colours_equal_rnssp(outside_data: Path) -> None:
    seen = 0
    for vector in vectors(outside_data, *METHODS, needs="alert"):
        got = METHODS[vector.name](Counts.of(vector.counts))
        colours = ["none" if one in ("blue", "grey") else one for one in vector.method["alert"]]
        assert _colours(got) == colours, vector.title
        for field, values in (
            ("baseline_expected", got.verdicts.expected),
            ("test_statistic", got.verdicts.statistic),
            ("p.value", got.verdicts.p_value),
        ):
            apart = difference(values, vector.wants(field), floor=1.0)
            assert apart < 1e-9, f"{vector.title} {field} {apart}"
        if "adjusted_r_squared" in vector.method:
            assert difference(got.fit, vector.wants("adjusted_r_squared")) < 1e-9, vector.title
        if "detector" in vector.method:
            regressed = np.array(vector.method["detector"]) == "Adaptive Multiple Regression"
            assert np.array_equal(got.by_regression, regressed), vector.title
        seen += 1
    assert seen == 27
