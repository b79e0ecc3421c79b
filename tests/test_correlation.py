"""Whether y depends on a feature at all: against scipy.stats, and how often noise is taken for a dependence."""

import numpy as np
import pytest
import scipy.stats
from numpy.testing import assert_allclose

from skmerge import MergedNetRegressor
from skmerge._net.correlation import LEVEL, _probability, _ranks, followed, is_correlated


def equal(n):
    return np.full(n, 1 / n)


@pytest.mark.parametrize("n", [5, 12, 60])
def test_probability_is_that_of_scipy(n):
    rng = np.random.default_rng(n)
    x = rng.normal(size=n)
    y = 0.5 * x + rng.normal(size=n)
    assert_allclose(_probability(x, y, equal(n)), scipy.stats.pearsonr(x, y).pvalue, rtol=1e-9)
    ties = np.round(x)
    ranks = _probability(_ranks(ties, equal(n)), _ranks(y, equal(n)), equal(n))
    assert_allclose(ranks, scipy.stats.spearmanr(ties, y).pvalue, rtol=1e-9)


def test_noise_is_rarely_a_dependence():
    rng = np.random.default_rng(0)
    for n, d in ((6, 2), (45, 3), (200, 5)):
        found = [is_correlated(rng.uniform(1, 5, (n, d)), rng.normal(size=n), equal(n)) for _ in range(500)]
        assert np.mean(found) < 2 * LEVEL


def test_a_curve_over_decades_is_a_dependence():
    rng = np.random.default_rng(0)
    x = np.exp(2.5 * rng.normal(size=60))
    y = 2 * x**0.75 * np.exp(0.5 * rng.normal(size=60))
    assert is_correlated(x[:, None], y, equal(60))
    assert is_correlated(np.column_stack([np.ones(60), x]) * 1e200, y * 1e200, equal(60))
    assert not is_correlated(np.ones((60, 1)), y, equal(60))
    assert not is_correlated(x[:3, None], y[:3], equal(3))


def line(rng, r2):
    """Six rows with exactly this R2 about a line."""
    x, e = rng.uniform(1, 5, 6), rng.normal(size=6)
    basis = np.linalg.qr(np.column_stack([np.ones(6), x]))[0]
    e -= basis @ (basis.T @ e)
    return x[:, None], 2 + x + e / e.std() * x.std() * np.sqrt((1 - r2) / r2)


@pytest.mark.parametrize("seed", range(3))
def test_a_strong_line_of_six_rows_is_no_constant(seed):
    """Before, a constant in 17 of 40 tables with R2 = 0.90: two of six rows made up most of the squares."""
    X, y = line(np.random.default_rng(seed), 0.9)
    assert MergedNetRegressor(random_state=0).fit(X, y).A_.any()


@pytest.mark.parametrize("seed", range(2))
def test_a_power_over_decades_is_no_constant(seed):
    """Before, always a constant: the greatest two of 60 rows made up most of the squares."""
    rng = np.random.default_rng(seed)
    x = np.exp(2.5 * rng.normal(size=60))
    y = 2 * x**0.75 * np.exp(0.5 * rng.normal(size=60))
    net = MergedNetRegressor(random_state=0, noise="auto").fit(x[:, None], y)
    assert net.relative_[0] and len(net.A_) == 1
    (term,) = net.formula().terms
    assert abs(term.exponent[0] - 0.75) < 0.15


def test_a_bell_of_few_rows_is_no_silent_constant():
    x = np.array([4, 5, 5.5, 6.5, 7, 7.5, 8.5, 10])
    bell, rng = 10 * np.exp(-((x - 7) ** 2) / 2), np.random.default_rng(0)
    assert followed(x[:, None], bell) == 0
    fine = np.linspace(4, 10, 14)
    assert followed(np.column_stack([rng.normal(size=14), fine]), 10 * np.exp(-((fine - 7) ** 2) / 2)) == 1
    assert followed(x[:6, None], bell[:6]) is None and followed(x[:, None], np.ones(8)) is None
    told = [followed(rng.normal(size=(12, 2)), rng.normal(size=12)) is not None for _ in range(2000)]
    assert 0.005 < np.mean(told) < 0.04
    with pytest.warns(UserWarning, match="is a constant, and yet rows that are neighbours in x0"):
        MergedNetRegressor(random_state=0).fit(x[:, None], bell)
