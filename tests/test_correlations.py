"""Correlations, against scipy and closed forms."""

import numpy as np
import pytest
from scipy import stats

from noiselab.measures.correlations import pearson, spearman

RNG = np.random.default_rng(0)
PAIRS = [
    (RNG.normal(size=200), RNG.normal(size=200)),
    (RNG.integers(0, 4, 300), RNG.integers(0, 3, 300)),  # many ties
    (np.exp(RNG.normal(size=50)), RNG.uniform(0, 5, 50)),
    (np.array([1.0, 2.0]), np.array([4.0, 3.0])),
]


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_they_are_those_of_scipy(first, second):
    for ours, theirs in ((pearson, stats.pearsonr), (spearman, stats.spearmanr)):
        assert ours(first, second) == pytest.approx(theirs(first, second).statistic, abs=1e-12)
        assert ours(first, second) == pytest.approx(ours(second, first), abs=1e-15)


def test_pearson_is_that_of_a_line_and_spearman_of_any_rise():
    x = np.linspace(-1, 4, 60)
    assert pearson(3 - 2 * x, x) == pytest.approx(-1)
    assert spearman(np.exp(2 * x), x) == pytest.approx(1)
    assert pearson(np.exp(2 * x), x) < 0.9


def test_pearson_of_two_normal_variables_is_their_covariance():
    """5 standard errors of a million pairs, (1 - ρ²) / 1,000 each."""
    rng, rho = np.random.default_rng(1), 0.6
    x, other = rng.normal(size=(2, 10**6))
    y = rho * x + np.sqrt(1 - rho**2) * other
    assert pearson(x, y) == pytest.approx(rho, abs=5 * (1 - rho**2) / 1000)
    # Kruskal 1958: of ranks, 6/π asin(ρ/2).
    assert spearman(x, y) == pytest.approx(6 / np.pi * np.arcsin(rho / 2), abs=5e-3)


@pytest.mark.parametrize("scale", [1e-200, 1.0, 1e200])
def test_units_do_not_matter(scale):
    x, y = PAIRS[0]
    assert pearson(scale * x, y) == pytest.approx(pearson(x, y))
    assert spearman(scale * x, y) == pytest.approx(spearman(x, y))


@pytest.mark.parametrize("predicted", [[2.7] * 3, [0.1] * 3, [1, np.nan, 2], [np.inf, 1, 2]])
def test_predictions_without_an_order_count_as_0(predicted):
    true = np.array([1.0, 2.0, 3.0])
    assert pearson(np.array(predicted), true) == spearman(np.array(predicted), true) == 0
