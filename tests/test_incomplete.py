"""Missing inputs of MergedNetRegressor: what fills them, what that leaves unsure, and what a fit makes of such rows."""

import numpy as np
import pandas as pd
import pytest

from skmerge import MergedNetRegressor
from skmerge._net.incomplete import COVARIANCE_ROWS, Inputs, row_weights


def gappy(n=300, missing=0.2, seed=0):
    """Features of which the second half follows the first, a law of them, and the same with gaps."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(1, 5, (n, 3))
    X[:, 1] = 0.8 * X[:, 0] + 0.2 * X[:, 1]
    y = X[:, 0] ** 1.5 * X[:, 1] / X[:, 2] + 0.02 * rng.normal(size=n)
    holes = X.copy()
    holes[rng.random(X.shape) < missing] = np.nan
    return X, holes, y


@pytest.fixture(scope="module")
def fitted():
    X, holes, y = gappy()
    return MergedNetRegressor(random_state=0).fit(holes[:150], y[:150]), X, holes, y


def test_a_law_is_found_among_gaps(fitted):
    model, X, _, y = fitted
    assert str(model.formula(["a", "b", "c"])) == "y = 1.00 a^1.50 b c^-1.00"
    assert model.score(X[150:], y[150:]) > 0.999


def test_no_complete_row_at_all():
    rng = np.random.default_rng(0)
    X = rng.uniform(1, 5, (200, 2))
    y = 2 * X[:, 0] + 0.3 * X[:, 1]
    X[np.arange(200), rng.integers(0, 2, 200)] = np.nan
    model = MergedNetRegressor(1, random_state=0).fit(X, y)
    assert np.isfinite(model.predict(X)).all()
    assert model.score(X, y) > 0.4


def test_a_fill_is_the_normal_conditional(fitted):
    model, _, holes, _ = fitted
    inputs = model.inputs_
    z = (holes - inputs["center"]) / inputs["unit"]
    filled = Inputs(inputs).fill(holes)
    for row, given, full in zip(z[:40], holes, filled, strict=False):
        seen, S = ~np.isnan(row), inputs["covariance"]
        gain = S[~seen][:, seen] @ np.linalg.inv(S[np.ix_(seen, seen)]) if seen.any() else np.zeros((3, 0))
        fill = inputs["mean"][~seen] + gain @ (row[seen] - inputs["mean"][seen])
        fill = inputs["center"][~seen] + inputs["unit"][~seen] * fill
        np.testing.assert_allclose(full[~seen], np.clip(fill, inputs["low"][~seen], inputs["high"][~seen]))
        np.testing.assert_array_equal(full[seen], given[seen])


def test_a_plane_propagates_errors_exactly():
    _, holes, _ = gappy()
    inputs = Inputs.learn(holes)
    slope, S = np.array([2.0, -1.0, 0.5]), inputs.arrays["covariance"]
    inputs.arrays["low"], inputs.arrays["high"] = np.full(3, -1e9), np.full(3, 1e9)
    filled = inputs.fill(holes)
    found = inputs.variance(holes, filled, lambda X: X @ slope[:, None])[:, 0]
    g = slope * inputs.arrays["unit"]
    for row, variance in zip(holes[:60], found, strict=False):
        s, h = ~np.isnan(row), np.isnan(row)
        left = S[np.ix_(h, h)] - S[np.ix_(h, s)] @ np.linalg.inv(S[np.ix_(s, s)]) @ S[np.ix_(s, h)]
        assert variance == pytest.approx(g[h] @ left @ g[h], abs=1e-12)


def test_std_grows_with_what_is_missing_and_covers(fitted):
    model, X, holes, y = fitted
    _, sure = model.predict(X[150:], return_std=True)
    prediction, std = model.predict(holes[150:], return_std="measurement")
    incomplete = np.isnan(holes[150:]).any(axis=1)
    assert (std[incomplete] > 2 * sure[incomplete]).all()
    assert 0.8 < (np.abs(y[150:] - prediction) < 1.645 * std)[incomplete].mean() < 1.0
    # What follows from another feature is missed less.
    row = np.tile([3.0, 3.0, 2.0], (2, 1))
    row[0, 1] = row[1, 2] = np.nan
    _, std = model.predict(row, return_std=True)
    assert std[0] < std[1]


def test_an_even_function_of_a_missing_input_is_not_sure():
    x = np.linspace(-1, 1, 41)
    model = MergedNetRegressor(random_state=0).fit(x[:, None], x**2)
    _, std = model.predict([[np.nan]], return_std=True)
    assert std[0] > 0.1


def test_a_row_does_not_depend_on_the_batch(fitted):
    model, _, holes, _ = fitted
    whole = [*model.predict(holes, return_std=True), model.predict_gradient(holes), model.applicability(holes)]
    for i in range(0, 60, 3):
        part = holes[i : i + 1]
        one = [*model.predict(part, return_std=True), model.predict_gradient(part), model.applicability(part)]
        np.testing.assert_array_equal(one[0], whole[0][i : i + 1])
        for a, b in zip(one[1:], whole[1:], strict=True):
            np.testing.assert_allclose(a, b[i : i + 1], rtol=1e-12)


def test_an_empty_row_is_the_mean_and_says_how_little_that_is(fitted):
    model, _, _, y = fitted
    prediction, std = model.predict(np.full((1, 3), np.nan), return_std=True)
    assert abs(prediction[0] - y.mean()) < y.std()
    assert 0.5 * y.std() < std[0] < 3 * y.std()
    assert model.applicability(np.full((1, 3), np.nan))[0] == 0
    assert np.isfinite(model.predict_gradient(np.full((1, 3), np.nan))).all()


def test_gaps_that_training_did_not_have():
    X, holes, y = gappy()
    model = MergedNetRegressor(random_state=0).fit(X[:100], y[:100])
    assert model.score(holes[100:], y[100:]) > 0.6
    assert "1.50" in str(model.formula())


def test_a_column_with_nothing_observed_is_named():
    with pytest.raises(ValueError, match=r"X has nothing observed in column\(s\) \['b'\]"):
        MergedNetRegressor().fit(pd.DataFrame({"a": [1.0, 2.0, 3.0], "b": [np.nan] * 3}), [1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match=r"nothing observed in column\(s\) \[1\]"):
        MergedNetRegressor().fit([[1, np.nan], [2, np.nan], [3, 1.0]], [1, 2, 3], sample_weight=[1, 1, 0])


def test_weights_are_repetition_with_gaps():
    _, holes, y = gappy(60)
    count = np.random.default_rng(1).integers(0, 3, 60)
    again = MergedNetRegressor(2, random_state=0).fit(np.repeat(holes, count, axis=0), np.repeat(y, count))
    model = MergedNetRegressor(2, random_state=0).fit(holes, y, sample_weight=count)
    np.testing.assert_array_equal(model.predict(holes), again.predict(holes))


def test_units_change_nothing(fitted):
    model, _, holes, y = fitted
    unit = np.array([1e3, 1e-6, 7.0])
    other = MergedNetRegressor(random_state=0).fit(holes[:150] * unit, y[:150] * 5)
    np.testing.assert_allclose(other.predict(holes * unit) / 5, model.predict(holes), rtol=1e-8)


def test_several_outputs_with_gaps_on_both_sides():
    X, holes, y = gappy()
    Y = np.column_stack([y, X[:, 0] + X[:, 2]])
    Y[::3, 1] = np.nan
    model = MergedNetRegressor(random_state=0).fit(holes[:150], Y[:150])
    assert (model.predict(X[150:]).std(axis=0) > 0).all()
    assert model.score(X[150:], Y[150:]) > 0.99
    assert model.predict(holes, return_std=True)[1].shape == (300, 2)


def test_offset_sees_complete_rows():
    X, holes, y = gappy()
    model = MergedNetRegressor(offset=lambda table: table[:, 0] / table[:, 2], random_state=0).fit(holes[:150], y[:150])
    assert np.isfinite(model.predict(holes, return_std=True)).all()
    assert model.score(X, y) > 0.9


def test_wide_tables_take_means():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(30, 120))
    X[rng.random(X.shape) < 0.05] = np.nan
    inputs = Inputs.learn(X)
    assert inputs.arrays["covariance"].size == 0
    missing = np.isnan(X)
    center = inputs.arrays["center"]
    np.testing.assert_allclose(center, np.nanmean(X, axis=0), atol=0.1)  # less what is far
    np.testing.assert_allclose(inputs.fill(X)[missing], np.broadcast_to(center, X.shape)[missing])
    some = X[:3]
    total = inputs.variance(some, inputs.fill(some), lambda X: X.sum(axis=1, keepdims=True))[:, 0]
    np.testing.assert_allclose(total, (missing[:3] * inputs.arrays["unit"] ** 2).sum(axis=1), rtol=0.1)


def test_of_many_rows_a_column_that_is_measured_once_is_kept():
    X = np.full((2 * COVARIANCE_ROWS, 2), np.nan)
    X[:, 0] = np.arange(2 * COVARIANCE_ROWS)
    X[7, 1] = 3.0
    assert Inputs.learn(X).fill(X)[1, 1] == 3.0


def test_the_weight_of_a_row_compares_its_gaps_with_the_noise():
    error = np.array([[1.0], [-1.0], [5.0], [np.nan]])
    added = np.array([[0.0], [0.0], [3.0], [0.0]])
    before = np.array([[1.0], [1.0], [0.0], [1.0]])
    np.testing.assert_allclose(row_weights(error, added, before)[:, 0], [1.0, 1.0, 0.25, 0.0])


def test_extremes_with_gaps_are_finite():
    for size in (1e-300, 1e-150, 1e150, 1e300):
        X, holes, y = gappy(40)
        model = MergedNetRegressor(1, random_state=0).fit(holes * size, y)
        assert np.isfinite(model.predict(holes * size, return_std=True)).all()
        assert model.score(X * size, y) > 0.5
