"""Errors that grow with y."""

import re
import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose

from skmerge import MergedNetRegressor
from skmerge._net.relative import first_sizes, sizes


def fit(X, y, **parameters):
    return MergedNetRegressor(**{"random_state": 0, "noise": "relative"} | parameters).fit(X, y)


def decades(seed, noise, n=60):
    rng = np.random.default_rng(seed)
    x = np.exp(rng.uniform(0, 6, (n, 1)))
    f = 3 * x[:, 0] ** 1.5
    return x, f * (1 + noise * rng.normal(size=n)), f


def test_sizes_are_positive_and_near_y():
    x, y, f = decades(0, 0.1)
    y[3] = 0.0  # such as one that is missing
    for size in (first_sizes(x, y[:, None]), sizes(y[:, None], f[:, None])):
        assert (size > 0).all()
        assert_allclose(np.delete(size[:, 0], 3), np.delete(f, 3), rtol=0.5)
    assert (sizes(np.full((2, 1), np.nan), np.zeros((2, 1))) > 0).all()


def test_a_factor_is_not_biased_by_large_errors():
    """Weights 1 / y^2 put it at 0.885 of its value at 30 % noise. 10 tables of 60 rows: its standard error is 0.012."""
    factor = []
    for seed in range(10):
        x, y, _ = decades(seed, 0.3)
        net = fit(x, y, n_nodes=1, blend=0.0, exponents={0: 1.5}, intercept=False)
        factor.append(net.predict([[1.0]])[0] / 3)
    assert abs(np.mean(factor) - 1) < 0.04
    x, y, _ = decades(0, 0.3)
    assert fit(x, y).noise_std_[0] == pytest.approx(0.3, abs=0.08)


def test_standard_deviations_are_shares_of_the_prediction():
    x, y, f = decades(1, 0.1, 200)
    mean, std = fit(x, y).predict(x, return_std="measurement")
    assert_allclose(std / mean, 0.1, atol=0.03)
    inside = np.abs(y - mean) < 2 * std
    assert inside.mean() > 0.9 and inside[f < np.median(f)].mean() > 0.88


def test_auto_asks_each_output():
    rng = np.random.default_rng(0)
    X = rng.uniform(1, 9, (50, 2))
    f = 2 * X[:, 0] ** 2 / X[:, 1]
    Y = np.column_stack([f * (1 + 0.15 * rng.normal(size=50)), f + 0.05 * f.std() * rng.normal(size=50)])
    net = fit(X, Y, noise="auto", n_nodes=1)
    assert net.relative_.tolist() == [True, False]
    assert_allclose(net.noise_std_, [0.15, 0.05 * f.std()], rtol=0.35)


def test_other_units_and_order_change_nothing():
    x, y, _ = decades(2, 0.2, 25)
    whole = fit(x, y).predict(x)
    assert_allclose(fit(x * 1e-9, y * 1e12).predict(x * 1e-9), whole * 1e12, rtol=1e-8)
    order = np.random.default_rng(0).permutation(len(y))
    assert_allclose(fit(x[order], y[order]).predict(x), whole, rtol=1e-12)


def test_seventeen_decades():
    """Newton's law between bodies from kilograms to suns; 10 % error. Before: y = 0."""
    rng = np.random.default_rng(0)
    r, m1, m2 = (10 ** rng.uniform(*ends, 40) for ends in ((9, 13), (15, 30), (15, 30)))
    F = 6.674e-11 * m1 * m2 / r**2
    net = fit(np.column_stack([r, m1, m2]), F * (1 + 0.1 * rng.normal(size=40)), intercept=False)
    (term,) = net.formula().terms
    assert_allclose(term.exponent, [-2, 1, 1], atol=0.02)


def test_gaps_and_relative_errors_together():
    rng = np.random.default_rng(0)
    X = np.exp(rng.uniform(0, 3, (120, 2)))
    y = X[:, 0] ** 1.5 / X[:, 1] * (1 + 0.05 * rng.normal(size=120))
    gaps = X.copy()
    gaps[rng.random(X.shape) < 0.1] = np.nan
    (term,) = fit(gaps, y).formula().terms
    assert_allclose(term.exponent, [1.5, -1], atol=0.1)


def test_zeros_are_no_relative_errors():
    x, y, _ = decades(0, 0.1)
    y[3] = 0.0
    with pytest.raises(ValueError, match=r'noise="relative": y is 0 in 1 row\(s\)'):
        fit(x, y)
    with pytest.raises(ValueError, match="y is 0 in 60 row"):
        fit(x, 0 * y)
    assert not fit(x, y, noise="auto").relative_[0]


def test_errors_are_shares_of_y_with_an_offset_too():
    rng = np.random.default_rng(3)
    X = rng.uniform(1, 10, (40, 1))
    f = 100 * X[:, 0] + 3 * X[:, 0] ** 2
    net = fit(X, f * (1 + 0.01 * rng.normal(size=40)), offset=lambda X: 100 * X[:, 0])
    assert_allclose(net.noise_std_, 0.01, rtol=0.4)
    mean, std = net.predict(X, return_std="measurement")
    assert_allclose(std / mean, 0.01, rtol=0.6)


def test_three_rows_do_not_make_a_law_exact():
    rng = np.random.default_rng(0)
    x = rng.uniform(1, 10, 8)[:, None]
    y = 2 * x[:, 0] ** 1.8 * (1 + 0.05 * rng.normal(size=8))
    net = fit(x[:3], y[:3])
    assert net.noise_std_[0] > 1e-3


@pytest.mark.parametrize("seed", [2, 4])
def test_a_short_law_is_told_where_longer_ones_err_as_much(seed):
    """Of these tables a committee and a third term were told as long as the least error alone decided."""
    rng = np.random.default_rng(seed)
    a, b = rng.uniform(1, 10, 40), rng.uniform(1, 10, 40)
    net = fit(np.column_stack([a, b]), (2 * a**1.5 + 3 * b) * (1 + 0.05 * rng.normal(size=40)))
    assert re.fullmatch(r"y = [12]\.\d\d x0\^1\.50 \+ [23]\.\d\d x1", str(net.formula())), str(net.formula())


@pytest.mark.parametrize(("noise", "seed"), [("relative", 2), ("absolute", 3)])
def test_an_exponential_is_told_where_a_root_follows_it(noise, seed):
    """c (T / E)^(1/2) - d is 4 % from exp(-E / (R T)) here, and has no more parameters."""
    rng = np.random.default_rng(seed)
    T, E = rng.uniform(300, 900, 60), rng.uniform(5e3, 9e3, 60)
    y = 300 * np.exp(-E / (8.314 * T)) * (1 + 0.02 * rng.normal(size=60))
    text = str(fit(np.column_stack([E, T]), y, noise=noise).formula())
    assert re.search(r"exp\(-0\.12 x0 x1\^-1\.00", text), text


@pytest.mark.parametrize("noise", ["relative", "auto"])
def test_a_law_without_a_constant_is_not_doubted_for_the_constant(noise):
    """Metabolic rate, W, by mass, kg. A constant has no place where errors are shares of y, whose zero is known."""
    mass = [
        0.021,
        0.282,
        0.41,
        2.98,
        1.52,
        2.46,
        3.57,
        4.33,
        5.33,
        6.5,
        11.1,
        15.5,
        45.6,
        57.2,
        46.8,
        54.8,
        6.8,
        388,
        342,
        600,
    ]
    rate = [0.17, 1.53, 1.8, 8, 4.5, 5.8, 7.9, 10.2, 12.5, 14.5, 21, 24.2, 54.6, 60.3, 61, 66, 18, 336, 301, 411]
    net = fit(np.array(mass)[:, None], rate, noise=noise)
    assert re.fullmatch(r"y = 3\.\d\d\(±0\.\d+\) x0\^0\.75\d*\(±0\.01\)", str(net.formula(standard_errors=True)))
    assert net.relative_[0] and net.validation_error_[0] < 0.13
    (why,) = (one["why"] for one in net.laws_ if one["is_chosen"])
    assert why.startswith("1 number(s) fewer") or why.startswith("least error")


def test_errors_that_grow_with_y_are_told_where_they_are_taken_as_equal():
    x, y, f = decades(0, 0.1)
    fixed = {"n_nodes": 1, "blend": 0.0, "exponents": {0: 1.5}, "intercept": False}
    with pytest.warns(UserWarning, match='The errors of y grow with its size.*give noise="relative"'):
        fit(x, y, noise="absolute", **fixed)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit(x, y, **fixed)
        fit(x, f, noise="absolute", **fixed)
        fit(x, f + 10 * np.random.default_rng(0).normal(size=len(f)), noise="absolute", **fixed)
