"""statsmodels on the fits behind Farrington flexible: its model, its solver, our numbers.

R, and so we, take standard errors, hat values and dispersion one step before the last: they differ
in the fifth digit. What the forecast is does not.
"""

from __future__ import annotations

import numpy as np
import pytest
from statsmodels.genmod.families import Poisson
from statsmodels.genmod.generalized_linear_model import GLM

from services.alerts.domain.detection.flexible import Flexible, flexible
from services.alerts.domain.detection.loglinear import Design, fit
from services.alerts.domain.detection.references import Seasons, layouts
from services.alerts.domain.detection.reweighting import reweighted
from services.alerts.domain.detection.verdict import Counts, FloatArray
from services.alerts.laboratory.scenarios import weekly

SEASONS = Seasons(years=5, half_width=3, periods=10, left_out=26, year_length=52)
# A busy trend with seasons, an overdispersed one, and a rare disease.
SCENARIOS = ("18", "23", "35")


def _past(name: str) -> tuple[FloatArray, Design]:
    """The references of the last week of one series."""
    counts = weekly(name, replicates=1, seed=3).counts[0]
    layout = next(iter(layouts(SEASONS, len(counts), None)))
    return counts[len(counts) - 1 + np.array(layout.offsets)], layout.design(trend=True)


def _theirs(counts: FloatArray, weights: FloatArray, design: Design) -> GLM:
    columns = np.column_stack([design.members, design.time])
    return GLM(counts, columns, family=Poisson(), var_weights=weights)


@pytest.mark.parametrize("name", SCENARIOS)
def test_forecast_slope_and_dispersion_of_a_weighted_fit_are_those_of_statsmodels(
    name: str,
) -> None:
    counts, design = _past(name)
    weights = np.random.default_rng(1).uniform(0.2, 1.5, len(counts))
    ours = fit(counts[None], weights[None], design)
    theirs = _theirs(counts, weights, design).fit(tol=1e-12)
    assert ours.converged.all()
    # The judged week stands at time 0 in level 0: its log mean is that level's coefficient.
    assert ours.forecast[0] == pytest.approx(theirs.params[0], rel=1e-6, abs=1e-8)
    assert ours.slope[0] == pytest.approx(theirs.params[-1], abs=1e-8)
    deviation = float(np.sqrt(ours.forecast_variance[0] * theirs.scale))
    assert deviation == pytest.approx(float(np.sqrt(theirs.cov_params()[0, 0])), rel=1e-3)


@pytest.mark.parametrize("name", SCENARIOS)
def test_reweighted_fits_end_at_the_same_forecast_and_dispersion(name: str) -> None:
    """Our weights from our first fit, the second fit by statsmodels."""
    counts, design = _past(name)
    ours = reweighted(counts[None], design, 2.58)
    anscombe = _anscombe_weights(counts, design)
    theirs = _theirs(counts, anscombe, design).fit(tol=1e-12, scale="X2")
    assert ours.fit.forecast[0] == pytest.approx(theirs.params[0], rel=1e-5, abs=1e-6)
    assert ours.pearson[0] == pytest.approx(theirs.scale, rel=1e-4)


def _anscombe_weights(counts: FloatArray, design: Design) -> FloatArray:
    """Farrington's weights from statsmodels' own first fit, residuals and hat values."""
    first = _theirs(counts, np.ones(len(counts)), design).fit(tol=1e-12, scale="X2")
    mean = first.fittedvalues
    hat = first.get_hat_matrix_diag()
    residual = 1.5 * (counts ** (2 / 3) - mean ** (2 / 3)) / mean ** (1 / 6)
    residual /= np.sqrt(max(first.scale, 1.0) * (1.0 - hat))
    raw = np.where(residual > 2.58, residual**-2.0, 1.0)
    return np.asarray(raw * len(counts) / raw.sum())


def test_the_expected_count_of_the_whole_detector_is_the_forecast_of_statsmodels() -> None:
    counts = weekly("18", replicates=1, seed=3).counts
    verdicts = flexible(Counts.of(counts), Flexible(), latest=1).verdicts
    past, design = _past("18")
    theirs = _theirs(past, _anscombe_weights(past, design), design).fit(tol=1e-12)
    assert verdicts.expected[0, 0] == pytest.approx(float(np.exp(theirs.params[0])), rel=1e-5)
