"""EARS against R's numbers; C3 against the published definition."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from scipy.stats import norm

from services.alerts.domain.detection import ears
from services.alerts.domain.detection.verdict import Counts, FloatArray
from tests.service.alerts.detection.vectors import Vector, difference, same_alarms, vectors

FORMS = {"C1": ears.c1, "C2": ears.c2}


def _parameters(vector: Vector) -> tuple[str, ears.Ears]:
    """Some files give the parameters apart, some only as the call."""
    call = vector.method["call"]
    told = vector.parameters
    form = re.search(r'method ?= ?"(C\d)"', call)
    assert form is not None
    alpha = re.search(r"alpha ?= ?([0-9.e-]+)", call)
    default = 0.025 if form[1] == "C3" else 0.001
    if alpha is None and "pnorm(3" in call:
        level = float(norm.sf(3))
    else:
        level = float(alpha[1]) if alpha else default
    floor = 0.5 if "minSigma" in call else 0.0
    # R takes the quantile of 1 - alpha; its rounding decides counts that lie on the limit.
    threshold = float(norm.ppf(1 - level))
    return form[1], ears.Ears(
        baseline=told.get("baseline", 7), threshold=threshold, deviation_least=floor
    )


def test_c1_and_c2_equal_r(outside_data: Path) -> None:
    seen = 0
    for vector in vectors(outside_data, "ears_c1", "ears_c2"):
        form, rule = _parameters(vector)
        got = FORMS[form](Counts.of(vector.counts), rule)
        assert same_alarms(got, vector), vector.title
        limit = got.limit[..., vector.first :]
        assert difference(limit, vector.wants("upperbound")) < 1e-9, vector.title
        if "statistic" in vector.method:
            statistic = got.statistic[..., vector.first :]
            assert difference(statistic, vector.wants("statistic")) < 1e-9, vector.title
        seen += 1
    assert seen == 122


def test_c3_equals_its_definition(outside_data: Path) -> None:
    seen = 0
    for vector in vectors(outside_data, "ears_c3_definition"):
        got = ears.c3(Counts.of(vector.counts))
        assert same_alarms(got, vector), vector.title
        statistic = got.statistic[..., vector.first :]
        assert difference(statistic, vector.wants("statistic")) < 1e-9, vector.title
        over = got.observed > got.limit
        assert (over == got.alarm)[..., vector.first :].all(), vector.title
        seen += 1
    assert seen == 14


def r_form_of_c3(counts: FloatArray, rule: ears.Ears) -> FloatArray:
    """The bound of R's `earsC(method="C3")`, which is not C3: today's count plus deviations times
    (threshold - what the two days before had above 1). Today's own excess never enters."""
    c2 = ears.c2(Counts.of(counts), rule)
    deviation = (c2.limit - c2.expected) / rule.threshold
    excess = np.maximum(c2.statistic - 1.0, 0.0)
    lagged = np.full_like(counts, np.nan)
    lagged[..., 2:] = excess[..., 1:-1] + excess[..., :-2]
    with np.errstate(invalid="ignore"):
        return np.maximum(counts + deviation * (rule.threshold - lagged), 0.0)


def test_r_form_of_c3_is_known_and_not_shipped(outside_data: Path) -> None:
    for vector in vectors(outside_data, "ears_c3_default", "ears_c3_cdc"):
        _, rule = _parameters(vector)
        bound = r_form_of_c3(vector.counts, rule)[..., vector.first :]
        assert difference(bound, vector.wants("upperbound")) < 1e-9, vector.title
