"""GradientForestRegressor: how wide intervals are where little is known, and on what that rests."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_iris, make_friedman1
from sklearn.exceptions import NotFittedError

from skmerge import GradientForestRegressor

NAN = np.nan


def forest(n_estimators=100, **parameters):
    return GradientForestRegressor(n_estimators, random_state=0, **parameters)


def inside(model, X, y):
    predicted, std = model.predict(X, return_std=True)
    return (np.abs(predicted - y) < 1.645 * std).mean(axis=0)


# --- unknown features

RNG = np.random.default_rng(0)


def table(n, correlation=0.0):
    """Two outputs of four features: the first with noise, the second without; x1 may tell of x0."""
    X = RNG.normal(size=(n, 4))
    X[:, 1] = correlation * X[:, 0] + np.sqrt(1 - correlation**2) * X[:, 1]
    noise = 0.1 * RNG.normal(size=n)
    return X, np.column_stack([X[:, 0] + 0.3 * np.sin(2 * X[:, 1]) + noise, X[:, 0] - X[:, 2]])


def without(X, columns):
    X = X.copy()
    X[:, columns] = NAN
    return X


@pytest.mark.parametrize("order", ["auto", 0, 1])
@pytest.mark.parametrize("correlation", [0.0, 0.9])
def test_std_tells_of_unknown_features(order, correlation):
    """Before: 12 and 1 % inside without the decisive feature, 16 and 1 % without any, the second std .015."""
    (X, Y), (new, truth) = table(400, correlation), table(1000, correlation)
    model = forest(40, order=order).fit(X, Y)
    for columns in ([0], [0, 1, 2, 3], [0, 3]):
        covered = inside(model, without(new, columns), truth)
        assert (covered > 0.8).all(), (columns, covered)
    without_any = model.predict([[NAN] * 4], return_std=True)[1]
    assert (without_any > 0.5 * Y.std(axis=0)).all()  # nothing is known of the row, whatever the noise
    complete, unneeded = (model.predict(rows, return_std=True)[1] for rows in (new, without(new, [3])))
    assert (unneeded.mean(axis=0) < 1.5 * complete.mean(axis=0)).all()  # x3 tells nothing


def test_what_is_known_narrows_what_an_unknown_feature_may_be():
    widths = []
    for correlation in (0.0, 0.99):
        X, Y = table(400, correlation)
        widths.append(forest(40).fit(X, Y[:, 0]).predict(without(X, [0]), return_std=True)[1].mean())
    assert widths[1] < 0.6 * widths[0]


def test_gaps_in_training_set_the_width_of_gaps():
    """Unknown at random, as costly; where unknown tells of a value, the errors of training rows say not so."""
    (X, Y), (new, truth) = table(600), table(600)
    gappy = X.copy()
    gappy[RNG.random(600) < 0.3, 0] = NAN
    model = forest(40).fit(gappy, Y)
    assert (inside(model, without(new, [0]), truth) > 0.75).all()
    assert (inside(model, new, truth) < 0.99).all()  # before: complete rows paid for the others, 1.0
    telling = np.where(X[:, 0] > 0, NAN, X[:, 0])
    model = forest(40).fit(np.column_stack([telling, X[:, 1:]]), np.where(X[:, 0] > 0, 3.0, X[:, 0]))
    predicted, std = model.predict([[NAN, 0.1, 0.1, 0.1], [-1.0, 0.1, 0.1, 0.1]], return_std=True)
    assert abs(predicted[0] - 3) < 0.3 and std[0] < 0.3


def test_widths_of_gaps_depend_on_no_order_unit_batch_or_thread():
    X, Y = table(300, 0.5)
    X[RNG.random(X.shape) < 0.1] = NAN
    new = np.where(RNG.random(X.shape) < 0.3, NAN, X)
    model = forest(10).fit(X, Y)
    expected = model.predict(new, return_std=True)[1]
    assert_array_equal(np.vstack([model.predict(row[None], return_std=True)[1] for row in new]), expected)
    order = RNG.permutation(300)
    assert_array_equal(forest(10, n_jobs=2).fit(X[order], Y[order]).predict(new, return_std=True)[1], expected)
    weight = RNG.integers(1, 4, 300)
    repeated = np.repeat(np.arange(300), weight)
    assert_array_equal(forest(10).fit(X, Y, sample_weight=weight).predict(new, return_std=True)[1],
                       forest(10).fit(X[repeated], Y[repeated]).predict(new, return_std=True)[1])  # fmt: skip
    unit = np.array([1e-6, 1.0, 1e9, 7.0])
    assert_allclose(forest(10).fit(X * unit, Y).predict(new * unit, return_std=True)[1], expected, rtol=1e-6)


# --- few members


@pytest.mark.parametrize("n", [75, 300])
@pytest.mark.parametrize("n_estimators", [1, 5, 10])
def test_few_members_are_evaluated_by_a_fifth_of_the_rows_or_more(n, n_estimators):
    """Before, with five members: 3 of 300 rows and 1 of 75, coverage .74 and .12 at worst, scores NaN."""
    covered = []
    for seed in range(3):
        X, y = make_friedman1(n + 1000, noise=1, random_state=seed)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            model = forest(n_estimators).fit(X[:n], y[:n])
        assert np.count_nonzero(~np.isnan(model.oob_prediction_)) >= n // 5
        assert abs(model.oob_score_ - model.score(X[n:], y[n:])) < 0.35
        covered.append(inside(model, X[n:], y[n:]))
    assert np.mean(covered) > 0.82


@pytest.mark.parametrize("parameters", [dict(n_estimators=3), dict(n_estimators=1, order=1)])
def test_errors_known_of_few_rows_are_told_with_their_number(parameters):
    X, y = make_friedman1(20, random_state=0)
    with pytest.warns(UserWarning, match=r"rest on (\d+) of 20 rows.*n_estimators=(\d+)") as caught:
        model = forest(**parameters).fit(X, y)
    assert caught[0].filename == __file__
    text = str(caught[0].message)
    assert f"rest on {np.count_nonzero(~np.isnan(model.oob_prediction_))} of" in text
    enough = int(text.split("n_estimators=")[1].split()[0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        more = forest(**parameters | {"n_estimators": enough}).fit(X, y)
    assert np.isfinite(more.oob_prediction_).mean() > 0.9


def test_one_to_five_members_are_one_model():
    X, y = make_friedman1(60, random_state=0)
    one = forest(1).fit(X, y)
    assert sum(map(len, one.member_weight_)) == 5
    assert_array_equal(one.predict(X), forest(5).fit(X, y).predict(X))


def test_pure_leaves_are_not_sure():
    """Classes as numbers: leaves of one value, and nine tenths of the out-of-bag errors next to nothing."""
    X, y = load_iris(return_X_y=True)
    model = forest(order=0).fit(X[::2], y[::2].astype(float))
    predicted, std = model.predict(X[1::2], return_std=True)
    error = np.sqrt(np.nanmean((model.oob_prediction_ - y[::2]) ** 2))
    assert std.min() > 0.09 * error
    assert (np.abs(predicted - y[1::2]) < 8 * std).all()  # before: 15 std


def test_importances_before_a_fit_are_not_fitted():
    with pytest.raises(NotFittedError, match="not fitted"):
        _ = forest().feature_importances_
    assert not hasattr(forest(), "feature_importances_")
