"""Tails and quantiles of the negative binomial, against scipy where scipy is safe."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import nbinom, poisson

from services.alerts.domain import detection
from services.alerts.domain.detection.quantile import at_least, quantile

means = st.floats(1e-6, 1e5)
dispersions = st.floats(1.0, 500.0)
tails = st.sampled_from([0.1, 0.05, 0.01, 0.001])


@settings(max_examples=150, deadline=None)
@given(tail=tails, mean=means, dispersion=dispersions)
def test_the_quantile_is_the_first_count_with_so_small_a_tail(
    tail: float, mean: float, dispersion: float
) -> None:
    limit = float(quantile(tail, mean, dispersion))
    assert limit == int(limit) >= 0
    assert at_least(limit + 1, mean, dispersion) <= tail
    assert limit == 0 or at_least(limit, mean, dispersion) > tail


def test_tails_equal_scipy() -> None:
    random = np.random.default_rng(4)
    mean = np.exp(random.uniform(-6, 8, 500))
    dispersion = 1.0 + np.exp(random.uniform(-6, 4, 500))
    count = random.poisson(mean)
    want = nbinom.sf(count - 1, mean / (dispersion - 1), 1 / dispersion)
    np.testing.assert_allclose(at_least(count, mean, dispersion), want, rtol=1e-9, atol=1e-14)
    np.testing.assert_allclose(
        at_least(count, mean, 1.0), poisson.sf(count - 1, mean), rtol=1e-9, atol=1e-14
    )


@pytest.mark.parametrize(
    ("mean", "dispersion"),
    [(3.6e235, 2.0), (1e300, 1.5), (1e15, 1.0 + 1e-12), (1e16, 10.0), (5.0, 1.0 + 1e-15)],
)
def test_sizes_that_end_scipy_have_an_answer(mean: float, dispersion: float) -> None:
    limit = float(quantile(0.1, mean, dispersion))
    assert np.isfinite(limit)
    assert limit >= mean or mean < 10
    assert 0 <= float(at_least(limit, mean, dispersion)) <= 1


def test_the_unknown_has_no_quantile_and_nothing_has_zero() -> None:
    assert np.isnan(quantile(0.05, np.nan, 1.0))
    assert np.isnan(quantile(0.05, 1.0, np.nan))
    assert quantile(0.05, 0.0, 1.0) == 0
    assert at_least(0, 3.0, 2.0) == 1


def test_no_path_reaches_the_quantile_that_ends_the_process() -> None:
    folder = Path(next(iter(detection.__path__)))
    texts = {path.name: path.read_text("utf-8") for path in folder.glob("*.py")}
    code = {name: re.sub(r'""".*?"""', "", text, flags=re.DOTALL) for name, text in texts.items()}
    assert [
        name for name, text in code.items() if re.search(r"nbinom|\.ppf|scipy\.stats", text)
    ] == []
