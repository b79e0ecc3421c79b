"""GradientForestRegressor: what its splits, leaves and predictions promise."""

import warnings
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from skmerge import GradientForestRegressor, MergedNetRegressor
from skmerge._forest.mixture import recipes

RNG = np.random.default_rng(7)
X = RNG.uniform(-1, 1, (120, 3))
Y = X[:, 0] * X[:, 1] + np.sin(2 * X[:, 2])
DYDX = np.column_stack([X[:, 1], X[:, 0], 2 * np.cos(2 * X[:, 2])])
NEW = RNG.uniform(-1, 1, (200, 3))
TRUTH = NEW[:, 0] * NEW[:, 1] + np.sin(2 * NEW[:, 2])
KINDS = {
    "auto": dict(n_estimators=10),
    "constants": dict(n_estimators=5, order=0),
    "planes": dict(n_estimators=5, order=1),
    "quadratics": dict(n_estimators=5, order=2),
    "all rows": dict(n_estimators=4, order=1, bootstrap=False),
    "mixture of all rows": dict(n_estimators=10, bootstrap=False),
}


def forest(**parameters):
    return GradientForestRegressor(**{"n_estimators": 10, "random_state": 0, **parameters})


def rmse(model, X=NEW, truth=TRUTH):
    return np.sqrt(np.mean((model.predict(X) - truth) ** 2))


# --- splits and leaves

FOUR_ROWS = np.array([0.0, 1.0, 2.0, 3.0])[:, None]


def test_four_points():
    """Squared error cuts the parabola at 2.5, gaining 40.33 (36.0 at 1.5); planes cut at 1.5 and leave nothing over."""
    single = dict(n_estimators=1, bootstrap=False)
    constants = forest(order=0, max_leaf_nodes=2, **single).fit(FOUR_ROWS, FOUR_ROWS[:, 0] ** 2)
    assert constants.nodes_[0]["threshold"][0] == 2.5
    assert constants.nodes_[0]["gain"][0] * constants.y_unit_[0] ** 2 == pytest.approx(121 / 3)
    halves = forest(order=0, min_samples_leaf=2, **single).fit(FOUR_ROWS, FOUR_ROWS[:, 0] ** 2)
    assert halves.nodes_[0]["threshold"][0] == 1.5
    assert halves.nodes_[0]["gain"][0] * halves.y_unit_[0] ** 2 == pytest.approx(36.0)
    assert_allclose(halves.predict(FOUR_ROWS), [0.5, 0.5, 6.5, 6.5])
    planes = forest(order=1, min_samples_leaf=2, **single).fit(FOUR_ROWS, FOUR_ROWS[:, 0] ** 2)
    assert planes.nodes_[0]["threshold"][0] == 1.5
    assert planes.nodes_[0]["gain"][0] * planes.y_unit_[0] ** 2 == pytest.approx(4.0, rel=1e-5)
    assert_allclose(planes.predict(FOUR_ROWS), FOUR_ROWS[:, 0] ** 2, atol=1e-5)
    assert_allclose(planes.predict([[0.5], [2.5]]), [0.5, 6.5], atol=1e-5)


def test_quadratics_with_slopes_are_exact():
    y = 1 + X @ [1.0, -2.0, 0.5] + X[:, 0] * X[:, 1] - 2 * X[:, 2] ** 2
    dydx = np.column_stack([1 + X[:, 1], -2 + X[:, 0], 0.5 - 4 * X[:, 2]])
    model = forest(order=2).fit(X, y, dydx)
    truth = 1 + NEW @ [1.0, -2.0, 0.5] + NEW[:, 0] * NEW[:, 1] - 2 * NEW[:, 2] ** 2
    assert rmse(model, truth=truth) < 1e-5 * y.std()
    assert_allclose(model.predict_gradient(X), dydx, atol=1e-3)


def test_slopes_improve():
    """Ordinary forest 0.25, planes and quadratics better, with slopes better by far (measured)."""
    ordinary = rmse(forest(order=0).fit(X, Y))
    assert rmse(forest(order=1).fit(X, Y)) < 0.7 * ordinary
    assert rmse(forest(n_estimators=40).fit(X, Y)) < 0.5 * ordinary
    assert rmse(forest(order=1).fit(X, Y, DYDX)) < 0.8 * rmse(forest(order=1).fit(X, Y))
    assert rmse(forest(order=2).fit(X, Y, DYDX)) < 0.1 * ordinary


@pytest.mark.parametrize("order", ["auto", 1, 2])
def test_a_direction_along_an_axis_is_a_column_of_slopes(order):
    dydx = np.full_like(DYDX, np.nan)
    dydx[:, 1] = DYDX[:, 1]
    direction = np.zeros_like(X)
    direction[:, 1] = 1.0
    column = forest(order=order).fit(X, Y, dydx)
    along = forest(order=order).fit(X, Y, direction=direction, slope=DYDX[:, 1])
    # "auto" finds the quadratic in the values, to 0.2 %
    assert rmse(column) < (0.03 if order == "auto" else 0.97 * rmse(forest(order=order).fit(X, Y)))
    assert_allclose(along.predict(NEW), column.predict(NEW), rtol=1e-6, atol=1e-8)


def test_the_length_of_a_direction_does_not_matter():
    direction = RNG.normal(size=X.shape)
    slope = np.einsum("nd,nd->n", direction, DYDX)
    model = forest(order=1, n_estimators=1, bootstrap=False).fit(X, Y, direction=direction, slope=slope)
    other = forest(order=1, n_estimators=1, bootstrap=False).fit(X, Y, direction=3 * direction, slope=3 * slope)
    assert rmse(model) < 0.9 * rmse(forest(order=1, n_estimators=1, bootstrap=False).fit(X, Y))
    assert_allclose(other.predict(NEW), model.predict(NEW), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("kind", KINDS)
def test_unknown_slopes_are_none(kind):
    model = forest(**KINDS[kind])
    expected = model.fit(X, Y).predict(NEW)
    nan = np.full_like(X, np.nan)
    assert_array_equal(model.fit(X, Y, nan).predict(NEW), expected)
    assert_array_equal(model.fit(X, Y, direction=nan, slope=Y).predict(NEW), expected)
    assert_array_equal(model.fit(X, Y, direction=X, slope=nan[:, 0]).predict(NEW), expected)


def test_an_order_of_zero_has_no_use_for_slopes():
    assert_array_equal(forest(order=0).fit(X, Y, DYDX).predict(NEW), forest(order=0).fit(X, Y).predict(NEW))


def test_some_slopes_unknown():
    dydx = np.where(RNG.random(DYDX.shape) < 0.5, np.nan, DYDX)
    known, some, none = (rmse(forest(order=1).fit(X, Y, slopes)) for slopes in (DYDX, dydx, None))
    assert known < some < none


# --- outputs and gaps


@pytest.mark.parametrize("kind", KINDS)
def test_outputs_partly_measured(kind):
    Y2 = np.column_stack([Y, X[:, 0]])
    Y2[::3, 0] = Y2[1::4, 1] = np.nan
    dydx = np.stack([DYDX, np.tile([1.0, 0, 0], (120, 1))], axis=1)
    model = forest(**KINDS[kind]).fit(X, Y2, dydx)
    predicted, std = model.predict(NEW, return_std=True)
    assert predicted.shape == std.shape == (200, 2) and np.isfinite(predicted).all() and (std[:, 0] > 0).all()
    assert (std >= 0).all()  # the second output is a plane
    assert model.predict_gradient(NEW).shape == (200, 2, 3)
    assert model.oob_prediction_.shape == (120, 2)
    for k, truth in enumerate([TRUTH, NEW[:, 0]]):
        assert np.mean((predicted[:, k] - truth) ** 2) < 0.5 * truth.var()


def test_a_column_of_outputs_keeps_its_axis():
    model = forest(order=1)
    flat, column = model.fit(X, Y).predict(NEW), model.fit(X, Y[:, None]).predict(NEW)
    assert flat.shape == (200,) and column.shape == (200, 1)
    assert_array_equal(column[:, 0], flat)


@pytest.mark.parametrize("kind", KINDS)
def test_unknown_features_go_to_the_better_side(kind):
    gaps = X.copy()
    gaps[X[:, 0] > 0.5, 0] = np.nan  # unknown tells of a large value
    y = np.where(X[:, 0] > 0.5, 5.0, X[:, 0])
    model = forest(**KINDS[kind], min_samples_leaf=1).fit(gaps, y)
    predicted = model.predict(np.column_stack([[np.nan, 0.4, -0.5], np.zeros((3, 2))]))
    assert predicted[0] > 4 and predicted[1] < 1.5 and predicted[2] < 1.5
    assert np.isfinite(model.predict_gradient(gaps)).all()


def test_values_beyond_the_known_do_not_count_as_unknown():
    gaps = np.r_[np.linspace(0, 1, 20), np.full(20, np.nan)][:, None]
    y = np.r_[np.zeros(20), np.ones(20)]
    model = forest(order=0, bootstrap=False, n_estimators=1).fit(gaps, y)
    assert_allclose(model.predict([[-5.0], [0.5], [5.0], [np.nan]]), [0.0, 0.0, 0.0, 1.0], atol=1e-12)


# --- what must not matter


@pytest.mark.parametrize("with_slopes", [False, True])
@pytest.mark.parametrize("kind", KINDS)
@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=3)
def test_weight_is_repetition_and_order_does_not_matter(kind, with_slopes, seed):
    rng = np.random.default_rng(seed)
    n = rng.integers(3, 60)
    weight = rng.integers(0, 4, n)
    weight[:2] += 1
    repeated = rng.permutation(np.repeat(np.arange(n), weight))
    slopes = DYDX[:n] if with_slopes else None
    weighted = forest(**KINDS[kind]).fit(X[:n], Y[:n], slopes, sample_weight=weight)
    copies = forest(**KINDS[kind]).fit(X[repeated], Y[repeated], None if slopes is None else slopes[repeated])
    assert_array_equal(weighted.predict(NEW), copies.predict(NEW))
    assert_array_equal(weighted.predict(NEW, return_std=True)[1], copies.predict(NEW, return_std=True)[1])
    assert_array_equal(weighted.feature_importances_, copies.feature_importances_)
    assert_array_equal(weighted.oob_prediction_[repeated], copies.oob_prediction_)
    assert np.isnan(weighted.oob_prediction_[weight == 0]).all()
    thrice = forest(**KINDS[kind]).fit(X[:n], Y[:n], slopes, sample_weight=3.0 * weight)
    assert_allclose(thrice.predict(NEW), weighted.predict(NEW), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_threads_and_batches_do_not_matter(kind):
    one, two = (forest(**KINDS[kind], n_jobs=n_jobs).fit(X, Y, DYDX) for n_jobs in (1, 2))
    rows = RNG.uniform(-1, 1, (5000, 3))
    for first, second in ((one, two), (two, one)):
        together = first.predict(rows, return_std=True)
        for apart in (second.predict(rows, return_std=True), np.hstack([second.predict(r, return_std=True)
                      for r in np.array_split(rows, 7)])):  # fmt: skip
            assert_array_equal(together, apart)
    assert_array_equal(one.predict_gradient(rows)[123:124], two.predict_gradient(rows[123:124]))
    for a, b in zip(one.nodes_, two.nodes_, strict=True):
        assert a.tobytes() == b.tobytes()
    assert one.oob_score_ == two.oob_score_


@pytest.mark.parametrize("kind", KINDS)
def test_warm_start_equals_cold(kind):
    cold = forest(**KINDS[kind] | {"n_estimators": 23}).fit(X, Y)
    warm = forest(**KINDS[kind] | {"n_estimators": 7}, warm_start=True).fit(X, Y)
    warm.set_params(n_estimators=23).fit(X, Y)
    assert_array_equal(warm.predict(NEW, return_std=True), cold.predict(NEW, return_std=True))
    assert_array_equal(warm.oob_prediction_, cold.oob_prediction_)
    with pytest.raises(ValueError, match="n_estimators=3 is less"):
        warm.set_params(n_estimators=3).fit(X, Y)
    for changed in (dict(order=2 if KINDS[kind].get("order") != 2 else 1), dict(n_estimators=30)):
        same = "n_estimators" in changed
        with pytest.raises(ValueError, match="warm_start=True keeps"):
            warm.set_params(**{"n_estimators": 30, **changed}).fit(X, Y if not same else Y + X[:, 0])
        warm.set_params(**{"n_estimators": 23, "order": KINDS[kind].get("order", "auto")})
    assert_array_equal(warm.predict(NEW), cold.predict(NEW))  # what failed left it whole


def test_more_estimators_never_mean_fewer_members_of_a_kind():
    for slopes in (False, True):
        before = [0] * len(recipes("auto", "auto", slopes, 1, True, {}))
        for n in range(1, 300):
            counts = [count for _, count in recipes("auto", "auto", slopes, n, True, {})]
            assert all(now >= then for now, then in zip(counts, before, strict=True))
            assert sum(counts) <= max(n, len(counts))
            before = counts


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("x_unit", "y_unit"), [(1e30, 1.0), (1e-30, 1.0), (1.0, 1e30), (1e-30, 1e-30), (1e30, 1e30)])
def test_units_do_not_matter(kind, x_unit, y_unit):
    expected = forest(**KINDS[kind]).fit(X, Y, DYDX)
    model = forest(**KINDS[kind]).fit(X * x_unit, Y * y_unit, DYDX * (y_unit / x_unit))
    assert_allclose(model.predict(NEW * x_unit) / y_unit, expected.predict(NEW), rtol=1e-8, atol=1e-8)
    assert_allclose(model.predict_gradient(NEW * x_unit) / (y_unit / x_unit), expected.predict_gradient(NEW),
                    rtol=1e-6, atol=1e-6)  # fmt: skip


# --- predictions


@pytest.mark.parametrize("kind", ["constants", "planes", "quadratics", "all rows"])
def test_predictions_are_bounded(kind):
    far = np.vstack([1e6 * NEW, 1e300 * NEW, 3 * NEW])
    for slopes in (None, DYDX):
        model = forest(**KINDS[kind]).fit(X, Y, slopes)
        predicted = model.predict(far)
        assert predicted.min() >= Y.min() - np.ptp(Y) and predicted.max() <= Y.max() + np.ptp(Y)


@pytest.mark.parametrize("kind", ["auto", "mixture of all rows"])
def test_mixtures_are_finite_and_tame(kind):
    model = forest(**KINDS[kind]).fit(X, Y)
    predicted, std = model.predict(np.vstack([1e6 * NEW, 1e300 * NEW]), return_std=True)
    assert np.abs(predicted - Y.mean()).max() < 3 * np.ptp(Y) and np.isfinite(std).all()


def test_linear_extrapolation():
    y = X @ [1.0, 2.0, 3.0]
    model = forest(order=1, n_estimators=1, bootstrap=False, extrapolate="linear").fit(X, y)
    assert_allclose(model.predict(10 * NEW), 10 * NEW @ [1.0, 2.0, 3.0], rtol=1e-4, atol=1e-3)
    assert_allclose(model.predict_gradient(10 * NEW), np.tile([1.0, 2, 3], (200, 1)), rtol=1e-3)
    clipped = forest(order=1, n_estimators=1, bootstrap=False).fit(X, y)
    assert np.abs(clipped.predict(10 * NEW)).max() < 3 * np.abs(y).max()


def test_polynomials_that_overflow_are_no_nan():
    model = forest(order=2, n_estimators=1, bootstrap=False).fit(X, X[:, 0] ** 2 - X[:, 1] ** 2)
    assert np.isfinite(model.predict([[1e200, 1e200, 0.0]])).all()
    with pytest.raises(ValueError, match=r'overflow.*extrapolate="clip"'):
        model.set_params(extrapolate="linear").predict([[1e200, 1e200, 0.0]])


@pytest.mark.parametrize("slopes", [None, DYDX])
@pytest.mark.parametrize("extrapolate", ["clip", "linear"])
@pytest.mark.parametrize("kind", KINDS)
def test_gradient_is_that_of_the_prediction(kind, extrapolate, slopes):
    model = forest(**KINDS[kind], extrapolate=extrapolate).fit(X, Y, slopes)
    rows = np.vstack([NEW, 3 * NEW])
    gradient, h = model.predict_gradient(rows), 1e-6
    leaves = model.apply(rows)
    checked = 0
    for j in range(3):
        low, high = rows.copy(), rows.copy()
        low[:, j] -= h
        high[:, j] += h
        difference = (model.predict(high) - model.predict(low)) / (2 * h)
        near = (model.predict(high) - model.predict(rows)) / h, (model.predict(rows) - model.predict(low)) / h
        away = (model.apply(low) == leaves).all(axis=1) & (model.apply(high) == leaves).all(axis=1)
        away &= np.abs(near[0] - near[1]) < 1e-3 * (1 + np.abs(difference))  # no clip begins in between
        checked += away.mean() / 3
        assert_allclose(gradient[away, j], difference[away], rtol=1e-4, atol=1e-5)
    assert checked > 0.9
    assert np.abs(gradient).max() > 0 or kind == "constants"


def test_smooth_gradient_knows_no_clipping():
    model = forest(order=2).fit(X, Y, DYDX)
    assert np.abs(model.predict_gradient(1e6 * NEW)).max() == 0
    smooth = model.predict_gradient(3 * NEW, smooth=True)
    assert (np.abs(smooth).max(axis=1) > 0.1).all()
    inside = np.abs(NEW).max(axis=1) < 0.5
    error = model.predict_gradient(NEW, smooth=True) - np.column_stack(
        [NEW[:, 1], NEW[:, 0], 2 * np.cos(2 * NEW[:, 2])])  # fmt: skip
    assert np.abs(error[inside]).max() < 0.3


def test_apply_and_importances():
    model = forest(order=0, n_estimators=3).fit(X, Y)
    leaves = model.apply(X)
    assert leaves.shape == (120, 3)
    nodes, start = model.nodes_[0], model.tree_start_[0]
    for t in range(3):
        assert (nodes["feature"][start[t] + leaves[:, t]] == -1).all()
    gain = np.zeros(3)
    np.add.at(gain, nodes["feature"][nodes["feature"] >= 0], nodes["gain"][nodes["feature"] >= 0])
    assert_allclose(model.feature_importances_, gain / gain.sum(), rtol=1e-12)
    only = forest(order=1).fit(X, np.abs(X[:, 1])).feature_importances_
    assert only[1] > 0.95 and only.sum() == pytest.approx(1)
    assert forest().fit(X, np.ones(120)).feature_importances_.sum() == 0


def test_applicability():
    gaps = X.copy()
    gaps[0, 0] = np.nan
    model = forest(n_estimators=4).fit(gaps, Y)
    low, high = np.nanmin(gaps, axis=0), np.nanmax(gaps, axis=0)
    rows = np.array([low, high, X[5], high + 2 * (high - low), low - [0, 0, 1] * (high - low), [np.nan] * 3])
    assert_allclose(model.applicability(rows), [0, 0, 0, 2, 1, 0], atol=1e-12)


def test_applicability_of_a_constant_feature_is_that_of_the_net():
    """In units of its size, of 1 where that is 0; before, 1 away from a column of zeros was 1e307 in the forest."""
    rows = np.column_stack([X[:, 0], np.zeros(120), np.full(120, 5.0)])
    models = forest(n_estimators=4).fit(rows, Y), MergedNetRegressor(1, random_state=0).fit(rows, rows[:, 0])
    new = [[X[0, 0], 1.0, 5.0], [X[0, 0], 0.0, 6.0], [X[0, 0], 1e308, 5.0], [X[0, 0], 0.0, -1e308]]
    for model in models:
        assert_allclose(model.applicability(new), [1.0, 0.2, 1e308, 2e307])
        assert np.isfinite(model.applicability(np.full((1, 3), 1.7e308))).all()


def test_a_score_of_huge_targets_is_finite():
    model = forest(order=1).fit(X, Y * 1e300)
    assert model.score(X, Y * 1e300) == pytest.approx(forest(order=1).fit(X, Y).score(X, Y), abs=1e-6)
    assert np.isfinite(forest(order=1).fit(X, Y).score(X, Y * 1e300))


def test_a_warm_start_that_grows_nothing_says_so():
    model = forest(warm_start=True).fit(X, Y)
    with pytest.warns(UserWarning, match="n_estimators=10, which the last fit has: nothing is grown") as caught:
        model.fit(X, Y)
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.set_params(n_estimators=12).fit(X, Y)


# --- errors that are known


@pytest.mark.parametrize("kind", ["auto", "planes", "mixture of all rows"])
def test_std_covers(kind):
    """About 90 % of new measurements within 1.645 std, noise and lack of rows together."""
    rng = np.random.default_rng(3)
    rows, new = rng.uniform(-1, 1, (400, 3)), rng.uniform(-1, 1, (2000, 3))
    f = lambda x: x[:, 0] * x[:, 1] + np.sin(2 * x[:, 2])  # noqa: E731
    model = forest(**KINDS[kind] | {"n_estimators": 40}).fit(rows, f(rows) + 0.3 * rng.normal(size=400))
    predicted, std = model.predict(new, return_std=True)
    measured = f(new) + 0.3 * rng.normal(size=2000)
    assert 0.86 < np.mean(np.abs(predicted - measured) < 1.645 * std) < 0.94
    assert 0.2 < model.noise_std_[0] < 0.45


def test_out_of_bag_predictions_are_those_of_the_members_that_have_not_seen_a_row():
    model = forest(order=1, n_estimators=60).fit(X, Y)
    assert model.oob_score_ == pytest.approx(1 - np.mean((model.oob_prediction_ - Y) ** 2) / Y.var(), rel=1e-9)
    seen, unseen = rmse(model, X, Y), np.sqrt(np.mean((model.oob_prediction_ - Y) ** 2))
    assert seen < unseen and 0.7 < unseen / rmse(model) < 1.4
    alone = forest(order=1, n_estimators=1).fit(X, Y)
    assert 0.25 < np.isnan(alone.oob_prediction_).mean() < 0.8


def test_too_few_rows_to_evaluate_are_as_uncertain_as_y():
    std = forest(order=0, n_estimators=1).fit(X[:2], [1.0, 3.0]).predict(NEW, return_std=True)[1]
    assert (std >= 0.9).all()


# --- limits


@pytest.mark.parametrize("order", [0, 1, 2])
@given(leaf=st.integers(1, 30), depth=st.integers(1, 6), leaves=st.integers(2, 20), features=st.integers(1, 3))
@settings(max_examples=10)
def test_limits_are_respected(order, leaf, depth, leaves, features):
    model = forest(order=order, n_estimators=3, min_samples_leaf=leaf, max_depth=depth, max_leaf_nodes=leaves,
                   max_features=features).fit(X, Y)  # fmt: skip
    nodes, start = model.nodes_[0], model.tree_start_[0]
    for begin, end in pairwise(start):
        tree = nodes[begin:end]
        levels = np.zeros(len(tree), int)
        for i, node in enumerate(tree):
            if node["feature"] >= 0:
                levels[node["child"] - begin : node["child"] - begin + 2] = levels[i] + 1
        assert levels.max() <= depth
        assert (tree["feature"] < 0).sum() <= leaves
        assert len(tree) == 1 or tree["n_samples"].min() >= leaf


def test_max_features_tries_fewer():
    y = X[:, 0]
    roots = lambda share: {int(model.nodes_[0]["feature"][s]) for s in model.tree_start_[0][:-1]} if (  # noqa: E731
        model := forest(order=0, n_estimators=20, max_features=share).fit(X, y)) else None  # fmt: skip
    assert roots(1.0) == roots(3) == {0}
    assert roots(1) == roots(1 / 3) == {0, 1, 2}


# --- corners


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("case", ["2 rows", "3 rows", "5 rows", "equal rows", "constant X", "constant y", "1 column",
                                  "all unknown", "300 columns"])  # fmt: skip
def test_corners(kind, case):
    n = int(case[0]) if case[1:] == " rows" else 40
    rows, y = X[:n], Y[:n]
    if case == "equal rows":
        rows, y = np.tile(X[:1], (4, 1)), np.full(4, 2.5)
    if case == "constant X":
        rows = np.ones((40, 3))
    if case == "constant y":
        y = np.full(40, 2.5)
    if case == "1 column":
        rows = rows[:, :1]
    if case == "all unknown":
        rows = np.column_stack([rows, np.full(40, np.nan)])
    if case == "300 columns":
        rows = RNG.normal(size=(40, 300))
        y = rows[:, 77]
    for slopes in (None, np.zeros_like(rows)):
        model = forest(**KINDS[kind]).fit(rows, y, slopes)
        predicted, std = model.predict(rows, return_std=True)
        assert np.isfinite(predicted).all() and np.isfinite(std).all()
        assert predicted.min() >= y.min() - 2 * np.ptp(y) - 1e-9 and predicted.max() <= y.max() + 2 * np.ptp(y) + 1e-9
        assert np.isfinite(model.predict_gradient(rows)).all() and np.isfinite(model.applicability(rows)).all()
        if case in ("equal rows", "constant y"):
            assert_allclose(predicted, 2.5, rtol=1e-12)
        if case == "constant X":
            assert_allclose(predicted, y.mean(), atol=0.5 * y.std())
        if case == "300 columns" and slopes is None:
            assert np.corrcoef(predicted, y)[0, 1] > 0.3


def test_what_a_split_explains_decides():
    """Known slopes tell most about where to cut, values by a constant least; leaves use the slopes in any case."""
    rng = np.random.default_rng(0)
    X, new = rng.uniform(size=(300, 3)), rng.uniform(size=(1000, 3))
    dydx = np.column_stack([6 * np.cos(6 * X[:, 0]) * X[:, 1], np.sin(6 * X[:, 0]), np.zeros(300)])

    def error(criterion):
        model = forest(order=2, criterion=criterion).fit(X, np.sin(6 * X[:, 0]) * X[:, 1], dydx)
        return np.sqrt(np.mean((model.predict(new) - np.sin(6 * new[:, 0]) * new[:, 1]) ** 2))

    assert error("slope") < 0.5 * error("plane") and error("plane") < 0.7 * error("value")
    assert error("auto") == error("slope")


def test_what_only_rounding_gains_is_no_split():
    """A feature on which the mean of y does not depend: its two sums differ by the order of their terms."""
    for seed in range(20):
        v = np.random.default_rng(seed).normal(size=8)
        X, y = np.r_[np.zeros(8), np.ones(8)][:, None], np.r_[v, v[::-1]]
        model = GradientForestRegressor(1, order=0, bootstrap=False, min_samples_leaf=1, random_state=0).fit(X, y)
        assert len(model.nodes_[0]) == 1
