"""Whatever is given to the forest: the right answer, or an error that names the argument and the remedy."""

import re

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse

from skmerge import GradientForestRegressor

RNG = np.random.default_rng(2)
X = RNG.uniform(0.5, 4.0, (30, 2))
Y = 2 * X[:, 0] ** 1.5 / X[:, 1]
Y2 = np.column_stack([Y, X[:, 0]])
DYDX = RNG.normal(size=(30, 2))
NAN, INF, W = np.nan, np.inf, np.ones(30)


def changed(array, index, value):
    array = array.copy()
    array[index] = value
    return array


def fit(X=X, y=Y, dydx=None, direction=None, slope=None, sample_weight=None, **parameters):
    forest = GradientForestRegressor(**{"n_estimators": 4, "random_state": 0, **parameters})
    return forest.fit(X, y, dydx, direction, slope, sample_weight)


REFUSED = {
    "empty": (dict(X=np.zeros((0, 2)), y=[]), "X", "minimum of 2"),
    "no column": (dict(X=np.zeros((30, 0))), "X", "minimum of 1"),
    "one row": (dict(X=X[:1], y=Y[:1]), "X", "minimum of 2"),
    "flat X": (dict(X=X[:, 0]), "X", "Reshape"),
    "cube": (dict(X=X[None]), "X", "rows and columns"),
    "infinite X": (dict(X=changed(X, (3, 1), INF)), "X", "finite numbers"),
    "text": (dict(X=np.full((30, 2), "iron")), "X", "encode"),
    "sparse X": (dict(X=scipy.sparse.csr_array(X)), "X", "toarray"),
    "sparse mapping": (dict(X=scipy.sparse.dok_array(X)), "X", "toarray"),
    "complex X": (dict(X=X + 1j), "X", "parts"),
    "repeated names": (dict(X=pd.DataFrame(X, columns=["a", "a"])), "X", "own"),
    "no y": (dict(y=None), "y", "one value per row"),
    "short y": (dict(y=Y[:-1]), "y", "one value per row"),
    "infinite y": (dict(y=changed(Y, 3, -INF)), "y", "finite numbers"),
    "all y unmeasured": (dict(y=np.full(30, NAN)), "y", "measure"),
    "an output unmeasured": (dict(y=np.column_stack([Y, np.full(30, NAN)])), "y", "drop"),
    "cube y": (dict(y=np.zeros((30, 1, 1))), "y", "one value per row"),
    "flat dydx": (dict(dydx=DYDX[:, 0]), "dydx", r"\(30, 2\)"),
    "short dydx": (dict(dydx=DYDX[1:]), "dydx", r"\(30, 2\)"),
    "narrow dydx": (dict(dydx=DYDX[:, :1]), "dydx", "one slope per feature"),
    "dydx of one output": (dict(y=Y2, dydx=DYDX), "dydx", r"\(30, 2, 2\)"),
    "transposed dydx": (dict(y=Y2, dydx=RNG.normal(size=(2, 30, 2))), "dydx", r"\(30, 2, 2\)"),
    "dydx of two outputs": (dict(dydx=RNG.normal(size=(30, 2, 2))), "dydx", r"\(30, 1, 2\)"),
    "infinite dydx": (dict(dydx=changed(DYDX, (0, 0), INF)), "dydx", "one slope"),
    "text dydx": (dict(dydx=np.full((30, 2), "steep")), "dydx", "encode"),
    "a word for dydx": (dict(dydx="auto"), "dydx", "give an array"),
    "sparse dydx": (dict(dydx=scipy.sparse.csr_array(DYDX)), "dydx", "toarray"),
    "direction alone": (dict(direction=DYDX), "direction", "without slope"),
    "slope alone": (dict(slope=Y), "slope", "without direction"),
    "short direction": (dict(direction=DYDX[1:], slope=Y), "direction", r"\(30, 2\)"),
    "flat direction": (dict(direction=DYDX[:, 0], slope=Y), "direction", r"\(30, 2\)"),
    "infinite direction": (dict(direction=changed(DYDX, (1, 1), INF), slope=Y), "direction", "one direction"),
    "short slope": (dict(direction=DYDX, slope=Y[1:]), "slope", r"\(30,\)"),
    "slope of one output": (dict(y=Y2, direction=DYDX, slope=Y), "slope", r"\(30, 2\)"),
    "infinite slope": (dict(direction=DYDX, slope=changed(Y, 0, INF)), "slope", "one slope"),
    "short weight": (dict(sample_weight=W[1:]), "sample_weight", "one entry per row"),
    "negative weight": (dict(sample_weight=-W), "sample_weight", "must not be negative"),
    "no weight": (dict(sample_weight=0 * W), "sample_weight", "positive"),
    "NaN weight": (dict(sample_weight=changed(W, 0, NAN)), "sample_weight", "one non-negative"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case):
    arguments, argument, remedy = REFUSED[case]
    with pytest.raises((ValueError, TypeError)) as error:
        fit(**arguments)
    assert type(error.value) in (ValueError, TypeError)
    assert re.search(rf"\b{argument}\b", str(error.value)) and re.search(remedy, str(error.value)), error.value


PARAMETERS = {
    "n_estimators": [0, -1, 2.5, "several", None, True],
    "order": [3, -1, "2", 1.5, None, True, [1], np.array([1, 2])],
    "criterion": ["squared_error", 0, None, ["value"], np.array(["value"])],
    "max_depth": [0, -1, 1.5, "deep", True],
    "max_leaf_nodes": [0, 1, 2.5, "many", True],
    "min_samples_leaf": [0, -1, 0.5, "few", None, True],
    "max_features": [0, 0.0, -1, 1.5, "sqrt", None, True, NAN],
    "bootstrap": [0, 1, "yes", None],
    "extrapolate": ["constant", None, True, 1],
    "n_jobs": [0, 1.5, "all"],
    "random_state": ["dice", -1, 1.5],
    "warm_start": [0, "yes", None],
    "verbose": [-1, "loud", None, 0.5],
}


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameters_refused(name):
    assert set(PARAMETERS) == set(GradientForestRegressor().get_params())
    for value in PARAMETERS[name]:
        with pytest.raises((ValueError, TypeError)) as error:
            fit(**{name: value})
        text = str(error.value)
        assert name in text and re.search("[Gg]ive", text), (value, text)


@pytest.mark.parametrize("parameters", [
    dict(order=np.int64(1)), dict(max_features=np.float64(0.5)), dict(max_features=99), dict(min_samples_leaf=1000),
    dict(bootstrap=np.bool_(False)), dict(max_depth=10**12), dict(max_leaf_nodes=10**12), dict(min_samples_leaf=10**12),
    dict(random_state=np.random.RandomState(0)), dict(verbose=False), dict(n_jobs=-1),
])  # fmt: skip
def test_parameters_accepted(parameters):
    assert np.isfinite(fit(**parameters).predict(X)).all()


@pytest.mark.parametrize("criterion", ["value", "plane", "slope"])
@pytest.mark.parametrize("order", ["auto", 0, 1, 2])
def test_every_criterion_with_every_order(criterion, order):
    for slopes in (None, DYDX):
        assert np.isfinite(fit(dydx=slopes, order=order, criterion=criterion).predict(X)).all()


def test_refused_at_predict():
    model = fit(X=pd.DataFrame(X, columns=["a", "M"]))
    for bad, words in (
        (pd.DataFrame(X, columns=["M", "a"]), "names"),
        (pd.DataFrame(X[:, :1], columns=["a"]), "names|features"),
        (pd.DataFrame(changed(X, (0, 0), INF), columns=["a", "M"]), "infinity"),
        (pd.DataFrame(X[:0], columns=["a", "M"]), "minimum of 1"),
    ):
        for method in (model.predict, model.predict_gradient, model.applicability, model.apply):
            with pytest.raises(ValueError, match=words):
                method(bad)


SAME = {
    "Fortran order": np.asfortranarray(X),
    "strided": np.repeat(X, 2, axis=1)[:, ::2],
    "list": X.tolist(),
    "object": X.astype(object),
    "frame": pd.DataFrame(X, columns=["a", "b"]),
    "polars": pl.DataFrame(X, schema=["a", "b"]),
}


@pytest.mark.parametrize("case", SAME)
def test_containers_do_not_matter(case):
    expected = fit(dydx=X).predict(X)
    np.testing.assert_array_equal(fit(X=SAME[case], dydx=SAME[case]).predict(SAME[case]), expected)


def test_slopes_too_large_for_floats_do_no_harm():
    model = fit(X=X * 1e300, dydx=np.full((30, 2), 1e300), order=2)
    assert np.isfinite(model.predict(X * 1e300)).all()


def test_what_is_given_stays_as_it_was():
    given = [X.copy(), Y.copy(), DYDX.copy(), X.copy(), Y.copy(), W.copy()]
    for array in given:
        array.flags.writeable = False
    model = fit(*given)
    model.predict(given[0]), model.predict_gradient(given[0])
    for array, before in zip(given, [X, Y, DYDX, X, Y, W], strict=True):
        np.testing.assert_array_equal(array, before)


@pytest.mark.parametrize("name, value", [("order", 1.0), ("order", [1]), ("min_samples_leaf", np.array([1, 2]))])
def test_parameters_of_a_wrong_kind_are_named(name, value):
    with pytest.raises(ValueError, match=f"{name}=.* is not possible"):
        fit(**{name: value})


@pytest.mark.parametrize("name, words", [("dydx", "one slope per row and column"), ("slope", "one slope per row")])
def test_slopes_that_are_text_are_told_what_to_be(name, words):
    given = {"dydx": {"dydx": "x"}, "slope": {"direction": X, "slope": "x"}}[name]
    with pytest.raises(TypeError, match=f"^{name} is the text 'x'.*{words}"):
        fit(**given)


def test_the_score_of_huge_y_does_not_overflow(recwarn):
    huge = fit(y=Y * 2.0**990, n_estimators=30)
    assert not recwarn.list
    np.testing.assert_allclose(huge.oob_score_, fit(n_estimators=30).oob_score_, rtol=1e-12)


def test_frames_of_slopes_in_another_order_are_refused():
    """Names and index say which row and column a slope belongs to; by position they would be taken in silence."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(30, 2)), columns=["a", "b"], index=np.arange(30) + 5)
    y, dydx = X["a"] * X["b"], X[["b", "a"]].set_axis(["a", "b"], axis=1)
    forest = GradientForestRegressor(5, random_state=0)
    same = forest.fit(X, y, dydx=dydx).predict(X)
    np.testing.assert_array_equal(forest.fit(X, y.to_numpy(), dydx=dydx.to_numpy()).predict(X), same)
    slope = y
    for wrong, match in (
        (dict(y=y, dydx=dydx[["b", "a"]]), r"dydx: its columns .*column 0 is 'b', of X 'a'"),
        (dict(y=y, dydx=dydx.iloc[::-1]), r"dydx: its index .*row 0 is 34, of X 5"),
        (dict(y=y, dydx=dydx.reset_index(drop=True)), r"dydx: its index .*row 0 is 0, of X 5.*to_numpy"),
        (dict(y=y, direction=dydx[["b", "a"]], slope=slope), "direction: its columns"),
        (dict(y=y, direction=dydx, slope=slope.iloc[::-1]), "slope: its index"),
        (dict(y=y.iloc[::-1]), "y: its index"),
        (dict(y=y, sample_weight=y.abs().iloc[::-1]), "sample_weight: its index"),
    ):
        with pytest.raises(ValueError, match=match):
            forest.fit(X, **wrong)
    forest.fit(X, y.reset_index(drop=True))  # other labels say nothing of the rows of X
