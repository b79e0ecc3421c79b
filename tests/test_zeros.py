"""MergedNetRegressor: features that are zero in many rows."""

import warnings

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from skmerge import MergedNetRegressor
from skmerge._net.objective import FEW_SIZES, Scaling


def table(shares, n=60, seed=5, low=1.0):
    """Columns of which a share is zero each, and new rows, a quarter of which is zero there."""
    rng = np.random.default_rng(seed)
    X, new = rng.uniform(low, 6, (n, len(shares))), rng.uniform(low, 6, (80, len(shares)))
    for j, share in enumerate(shares):
        X[rng.permutation(n)[: int(share * n)], j] = 0.0
        if share:
            new[:20, j] = 0.0
    return X, new


LAWS = {
    "I2R, fifth": (lambda X: X[:, 0] ** 2 * X[:, 1], (0.2, 0.0)),
    "I2R, half": (lambda X: X[:, 0] ** 2 * X[:, 1], (0.5, 0.0)),
    "x y, both": (lambda X: X[:, 0] * X[:, 1], (0.3, 0.5)),
    "root": (lambda X: X[:, 0] ** 1.5 / X[:, 1], (0.3, 0.0)),
    "sum": (lambda X: 2 * X[:, 0] * X[:, 1] + 3 * X[:, 2] ** 2, (0.3, 0.0, 0.3)),
    "saturating": (lambda X: 5 * X[:, 0] / (2 + X[:, 0]), (0.3,)),
    "exp": (lambda X: X[:, 1] * np.exp(-X[:, 0] / 2), (0.3, 0.0)),
}


@pytest.mark.parametrize("name", LAWS)
def test_laws_with_many_zeros_are_exact(name):
    law, shares = LAWS[name]
    X, new = table(shares)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = MergedNetRegressor(random_state=0).fit(X, law(X))
    assert model.product_.all()
    assert_allclose(model.predict(new), law(new), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(("power", "text"), [(1, "x0 x1"), (2, "x0^2.00 x1")])
def test_a_feature_of_both_signs_with_zeros(power, text):
    X, _ = table((0.0, 0.0), low=-6.0)
    X[:, 1] = np.abs(X[:, 1]) + 1
    X[::3, 0] = 0.0
    y = X[:, 0] ** power * X[:, 1]
    y = y + 0.02 * y.std() * np.random.default_rng(0).normal(size=60)
    assert str(MergedNetRegressor(random_state=0).fit(X, y).formula()).endswith(text)


def test_weights_are_repeated_rows_also_where_they_are_zero():
    X, new = table((0.3, 0.0), n=40)
    rng = np.random.default_rng(1)
    y = X[:, 0] ** 2 * X[:, 1] + 0.5 * rng.normal(size=40)
    count = rng.integers(1, 4, 40)
    weighted = MergedNetRegressor(random_state=0).fit(X, y, count)
    repeated = MergedNetRegressor(random_state=0).fit(np.repeat(X, count, axis=0), np.repeat(y, count))
    assert_allclose(weighted.predict(new), repeated.predict(new), rtol=1e-8)


def test_each_output_has_its_own_law():
    X, new = table((0.3, 0.0))
    Y = np.column_stack([X[:, 0] ** 2 * X[:, 1], 2 + 3 * X[:, 1]])
    model = MergedNetRegressor(random_state=0).fit(X, Y)
    assert_allclose(model.predict(new)[:, 0], new[:, 0] ** 2 * new[:, 1], rtol=1e-8, atol=1e-8)
    assert_allclose(model.predict(new)[:, 1], 2 + 3 * new[:, 1], rtol=1e-8)


def test_a_product_is_zero_with_a_slope_at_zero():
    X, _ = table((0.3, 0.0))
    X[1::2, 0] *= -1
    model = MergedNetRegressor(random_state=0).fit(X, X[:, 0] * X[:, 1])
    at = np.array([[0.0, 2.0], [0.0, 5.0]])
    assert_allclose(model.predict(at), 0.0, atol=1e-12)
    assert_allclose(model.predict_gradient(at), [[2, 0], [5, 0]], atol=1e-9)
    assert_allclose(model.applicability(at), 0.0)


def test_which_features_enter_products():
    n = 40
    few = np.repeat([0.0] * 20 + list(range(1, FEW_SIZES)) * 5, 1)
    X = np.column_stack([np.arange(n) % 2, few, np.where(np.arange(n) < 20, 0, np.arange(n)), np.arange(1, n + 1)])
    s = Scaling.of(X, np.full(n, 1 / n))
    assert s.product.tolist() == [0, 0, 1, 1] and s.dense.tolist() == [False, False, False, True]
    assert Scaling.of(X, np.full(n, 1 / n), [0, 1]).product.tolist() == [0, 1, 1, 1]  # exponents are given


def test_an_indicator_enters_sums_in_silence():
    X, _ = table((0.0, 0.0))
    X[:, 0] = np.arange(60) % 2
    y = 2 + X[:, 1] + 3 * X[:, 0] + 0.05 * np.random.default_rng(0).normal(size=60)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = MergedNetRegressor(random_state=0).fit(X, y)
    assert model.product_.tolist() == [False, True]
    assert_allclose(model.predict([[1.0, 3.0]]), 8, atol=0.1)


def few_currents():
    X, _ = table((0.0, 0.0))
    X[:, 0] = np.random.default_rng(0).choice([0, 0, 0, 1, 2, 4], 60)
    y = X[:, 0] ** 2 * X[:, 1]
    return pd.DataFrame(X, columns=["I", "R"]), y + 0.02 * y.std() * np.random.default_rng(0).normal(size=60)


def test_a_barred_feature_is_named_with_its_remedy():
    X, y = few_currents()
    with pytest.warns(UserWarning, match=r"I is 0 in \d+ of 60 rows and has few other sizes") as caught:
        MergedNetRegressor(random_state=0, functions=(), link="identity").fit(X, y)
    assert len(caught) == 1 and "exponents={'I': (0, 3)}" in str(caught[0].message)
    text = str(MergedNetRegressor(random_state=0, exponents={"I": (0, 3)}).fit(X, y).formula())
    assert text.endswith("I^2.00 R")


def test_zeros_that_stand_for_something_else_are_told():
    X, _ = table((0.0, 0.0))
    y = X[:, 1] / X[:, 0]
    y = y + 0.02 * y.std() * np.random.default_rng(0).normal(size=60)
    X[:15, 0] = 0.0
    with pytest.warns(
        UserWarning, match="x0 is 0 in 15 of 60 rows, so that it may have no negative exponent"
    ) as caught:
        MergedNetRegressor(random_state=0).fit(X, y)
    assert len(caught) == 1 and "give NaN" in str(caught[0].message)


def test_a_table_of_counts_is_not_told():
    rng = np.random.default_rng(0)
    X = rng.integers(0, 4, (60, 12)) * (rng.random((60, 12)) < 0.3)
    y = X[:, 0] - X[:, 1] + 2 * X[:, 2] + 1.5 * rng.normal(size=60)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        MergedNetRegressor(random_state=0).fit(X, y)


def test_a_negative_exponent_of_a_feature_with_zeros_is_an_error():
    rng = np.random.default_rng(0)
    X = np.column_stack([np.append(np.zeros(10), rng.uniform(1, 5, 20)), rng.uniform(1, 5, 30)])
    with pytest.raises(ValueError, match=r"^exponents: x0 is 0 in some rows, where a negative power is infinite"):
        MergedNetRegressor(exponents={0: -1}).fit(X, X[:, 1])


@pytest.mark.parametrize("noise", [0.0, 0.02])
def test_a_bar_that_nearly_cancelling_functions_evade_is_told(noise):
    """Of 2 x^2 z with four levels of x the law is c z exp(x / 2) - c z, which errs as little, between the levels."""
    x, z = np.repeat([0, 0, 1.0, 2, 4], 4), np.random.default_rng(1).uniform(1, 20, 20)
    y = 2 * x**2 * z * (1 + noise * np.random.default_rng(2).normal(size=20))
    with pytest.warns(
        UserWarning, match=r"^x0 is 0 in 8 of 20 rows and has few other sizes.*exponents=\{'x0': \(0, 3\)\}"
    ):
        MergedNetRegressor(random_state=0).fit(np.column_stack([x, z]), y)
