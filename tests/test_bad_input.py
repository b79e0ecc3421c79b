"""Whatever is given: the right answer, or an error that names the argument and the remedy."""

import re
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st

from skmerge import GradientForestRegressor, MergedNetImputer, MergedNetRegressor

RNG = np.random.default_rng(2)
X = RNG.uniform(0.5, 4.0, (30, 2))
Y = 2 * X[:, 0] ** 1.5 / X[:, 1]


def changed(array, index, value):
    array = array.copy()
    array[index] = value
    return array


def fit(X=X, y=Y, sample_weight=None, **parameters):
    return MergedNetRegressor(random_state=0, **parameters).fit(X, y, sample_weight)


FRAME, DATES = pd.DataFrame(X, columns=["a", "M"]), pd.date_range("2020-01-01", periods=30)
AGES = DATES - DATES[0]
NAN, INF, W = np.nan, np.inf, np.ones(30)
REFUSED = {
    "empty": (dict(X=np.zeros((0, 2)), y=[]), "X", "minimum of 2"),
    "no column": (dict(X=np.zeros((30, 0))), "X", "minimum of 1"),
    "one row": (dict(X=X[:1], y=Y[:1]), "X", "minimum of 2"),
    "flat X": (dict(X=X[:, 0]), "X", "Reshape"),
    "cube": (dict(X=X[None]), "X", "rows and columns"),
    "infinite X": (dict(X=changed(X, (3, 1), INF)), "X", "finite numbers"),
    "text": (dict(X=np.full((30, 2), "iron")), "X", "Encode"),
    "text in frame": (dict(X=pd.DataFrame({"metal": ["iron"] * 30})), "X", "Encode"),
    "categories": (dict(X=pd.DataFrame({"metal": pd.Categorical(["Fe", "Ni"] * 15)})), "X", "Encode"),
    "repeated names": (dict(X=pd.DataFrame(X, columns=["a", "a"])), "X", "own"),
    "mixed names": (dict(X=pd.DataFrame({"a": X[:, 0], 1: X[:, 1]})), "X", "convert"),
    "complex X": (dict(X=X + 1j), "X", "parts"),
    "sparse X": (dict(X=scipy.sparse.csr_array(X)), "X", "toarray"),
    "sparse X that is a mapping": (dict(X=scipy.sparse.dok_array(X)), "X", "toarray"),
    "dictionaries": (dict(X=np.array([[{}, {}]] * 30, dtype=object)), "X", "number"),
    "no X": (dict(X=None), "X", "give a table"),
    "huge integers": (dict(X=[[10**400]] * len(Y)), "X", "finite numbers"),
    "text as offset": (dict(offset=lambda X: ["a"] * len(X)), "offset", "one number per row"),
    "ragged": (dict(X=[[1.0, 2.0]] * 29 + [[1.0]]), "X", "rows and columns"),
    "no y": (dict(y=None), "y", "one value per row"),
    "short y": (dict(y=Y[:-1]), "y", "one value per row"),
    "infinite y": (dict(y=changed(Y, 3, -INF)), "y", "finite numbers"),
    "all y unmeasured": (dict(y=np.full(30, NAN)), "y", "measure"),
    "an output unmeasured": (dict(y=np.column_stack([Y, np.full(30, NAN)])), "y", "drop"),
    "text y": (dict(y=["iron"] * 30), "y", "Encode"),
    "complex y": (dict(y=Y + 1j), "y", "parts"),
    "sparse y": (dict(y=scipy.sparse.csr_array(Y[:, None])), "y", "toarray"),
    "cube y": (dict(y=np.zeros((30, 1, 1))), "y", "one value per row"),
    "no output": (dict(y=np.zeros((30, 0))), "y", "one value per row"),
    "measured where weightless": (dict(y=changed(Y, slice(1, 30), NAN), sample_weight=changed(W, 0, 0.0)), "y", "meas"),
    "short weight": (dict(sample_weight=W[1:]), "sample_weight", "one entry per row"),
    "one weight": (dict(sample_weight=2.0), "sample_weight", "one non-negative number per row"),
    "weight table": (dict(sample_weight=W[:, None]), "sample_weight", "one entry per row"),
    "negative weight": (dict(sample_weight=-W), "sample_weight", "must not be negative"),
    "no weight": (dict(sample_weight=0 * W), "sample_weight", "positive"),
    "one weighted row": (dict(sample_weight=changed(0 * W, 0, 1.0)), "sample_weight", "minimum of 2"),
    "NaN weight": (dict(sample_weight=changed(W, 0, NAN)), "sample_weight", "one non-negative number per row"),
    "text weight": (dict(sample_weight=["heavy"] * 30), "sample_weight", "one non-negative number per row"),
    "balanced": (dict(sample_weight="balanced"), "sample_weight", "one non-negative number per row"),
    "class weights": (dict(sample_weight={0: 1.0, 1: 2.0}), "sample_weight", "one non-negative number per row"),
    "infinite weight": (dict(sample_weight=changed(W, 0, INF)), "sample_weight", "one non-negative number per row"),
    "gaps in weights": (
        dict(sample_weight=pd.array([1, None] * 15, dtype="Int64")),
        "sample_weight",
        "one non-negative number per row",
    ),
    "masked weight": (
        dict(sample_weight=np.ma.masked_array(W, mask=Y > 3)),
        "sample_weight",
        "one non-negative number per row",
    ),
    "weights of a generator": (dict(sample_weight=(w for w in W)), "sample_weight", "array, a list"),
    "weights of days": (dict(sample_weight=AGES), "sample_weight", "give numbers"),
    "lazy X": (dict(X=pl.LazyFrame({"a": X[:, 0]})), "X", r"X\.collect\(\)"),
    "lazy y": (dict(y=pl.LazyFrame({"y": Y})), "y", r"y\.collect\(\)"),
    "dates": (dict(X=np.array(DATES)[:, None]), "X", "give numbers"),
    "column of dates": (dict(X=FRAME.assign(day=DATES)), "X", "column 'day'.*give numbers"),
    "column of dates of a zone": (dict(X=FRAME.assign(day=DATES.tz_localize("UTC"))), "X", "'day'.*give numbers"),
    "column of durations": (dict(X=FRAME.assign(age=AGES)), "X", "column 'age'.*give numbers"),
    "periods": (dict(X=FRAME.assign(day=DATES.to_period("D"))), "X", "column 'day'.*give numbers"),
    "date objects": (dict(X=pd.DataFrame({"day": [d.date() for d in DATES]})), "X", "number"),
    "polars dates": (dict(X=pl.DataFrame({"a": X[:, 0], "day": list(DATES)})), "X", "column 'day'.*give numbers"),
    "polars durations": (dict(X=pl.DataFrame({"age": list(AGES.to_pytimedelta())})), "X", "column 'age'.*give numbers"),
    "dates as y": (dict(y=DATES), "y", "give numbers"),
    "list of dates as y": (dict(y=list(np.array(DATES))), "y", "give numbers"),
    "durations as y": (dict(y=pd.Series(DATES - DATES[0])), "y", "give numbers"),
    "polars categories": (dict(X=pl.DataFrame({"m": pl.Series(["a", "b"] * 15, dtype=pl.Categorical)})), "X", "encode"),
    "categories as y": (dict(y=pd.Series(["Fe", "Ni"] * 15, dtype="category")), "y", "encode"),
    "matrix": (dict(X=np.asmatrix(X)), "X", "np.asarray"),
    "matrix as y": (dict(y=np.asmatrix(Y).T), "y", "np.asarray"),
    "generator": (dict(X=(row for row in X)), "X", "array, a list"),
    "generator as y": (dict(y=(value for value in Y)), "y", "array, a list"),
    "dictionary": (dict(X={"a": X[:, 0]}), "X", "data frame of rows and columns"),
    "set": (dict(y=set(Y)), "y", "one value per row"),
    "name of a file": (dict(X="table.csv"), "X", "data frame of rows and columns"),
    "name of a column": (dict(y="T"), "y", "one value per row"),
    "fields": (dict(X=np.zeros(30, dtype=[("a", float), ("b", float)])), "X", "structured_to_unstructured"),
    "series": (dict(X=FRAME["a"]), "X", "DataFrame"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case):
    arguments, argument, remedy = REFUSED[case]
    with pytest.raises((ValueError, TypeError)) as error:
        fit(**arguments)
    assert type(error.value) in (ValueError, TypeError)
    assert re.search(rf"\b{argument}\b", str(error.value)) and re.search(remedy, str(error.value))


PARAMETERS = {
    "n_nodes": [0, -1, 1.5, "many", None, True, [1, 2], np.array([1, 2])],
    "blend": [-0.1, 1.1, NAN, "mix", None, [0.5], np.array([0.5, 0.5])],
    "sign": ["some", [2], [-1], ["a"], [1.5], [True, False], 3, None, {"a": 1}],
    "penalty": [-1, INF, NAN, "ridge", None, [1.0]],
    "exponents": [
        3,
        [1, 2],
        {2: 1},
        {"a": 1},
        {0: "x"},
        {0: (2, 1)},
        {0: (1, 2, 3)},
        {0: 100},
        {0: NAN},
        {0: [None]},
        {0: "2"},
        {0: True},
    ],
    "offset": [2, -1, 1.5, "a", True, lambda X: X, lambda X: X[:, 0] * NAN, lambda X: 3.0, lambda X: "text"],
    "n_estimators": [0, 2.5, "several", None, False],
    "simplify": ["no", None, 1],
    "n_jobs": [0, "all", 1.5],
    "random_state": ["dice", -1, 1.5, [1, 2], np.random.default_rng(0)],
    "verbose": [-1, "a", None, 1.5, [1]],
}


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameters_refused(name):
    for value in PARAMETERS[name]:
        with pytest.raises((ValueError, TypeError)) as error:
            MergedNetRegressor(**{name: value}).fit(X, Y)
        text = str(error.value)
        assert re.search(rf"\b{name}\b", text) and re.search("[Gg]ive|must|called with", text), (value, text)


def test_names_in_priors_are_checked():
    frame = pd.DataFrame(X, columns=["a", "M"])
    for parameters in ({"exponents": {"b": 1}}, {"offset": "b"}, {"sign": ["b"]}):
        with pytest.raises(ValueError, match=r"'b'.*the columns are \['a', 'M'\]"):
            fit(X=frame, **parameters)


def test_refused_at_predict():
    model = fit(X=pd.DataFrame(X, columns=["a", "M"]))
    for bad, words in (
        (X[:, :1], "X has 1 features"),
        (pd.DataFrame(X, columns=["M", "a"]), "names"),
        (changed(X, (0, 0), INF), "infinity"),
        (X[0], "Reshape"),
        (np.zeros((0, 2)), "minimum of 1"),
    ):
        for method in (model.predict, model.predict_gradient, model.applicability):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # an array where a frame was fitted
                with pytest.raises(ValueError, match=words):
                    method(bad)
    with pytest.raises(ValueError, match="return_std"):
        model.predict(pd.DataFrame(X, columns=["a", "M"]), return_std="std")
    with pytest.raises(ValueError, match="return_std"):
        model.predict(pd.DataFrame(X, columns=["a", "M"]), return_std=np.array([True, False]))


READ_ONLY = X.copy()
READ_ONLY.flags.writeable = False
SAME = {
    "read-only": READ_ONLY,
    "Fortran order": np.asfortranarray(X),
    "strided": np.repeat(X, 2, axis=1)[:, ::2],
    "reversed": X[::-1][::-1],
    "list": X.tolist(),
    "object": X.astype(object),
    "longdouble": X.astype(np.longdouble),
    "pandas": pd.DataFrame(X, columns=["a", "M"]),
    "nullable pandas": pd.DataFrame(X, columns=["a", "M"]).astype("Float64"),
    "polars": pl.DataFrame({"a": X[:, 0], "M": X[:, 1]}),
    "masked": np.ma.masked_array(X, mask=False),
    "frame with numbered columns": pd.DataFrame(X),
    "texts of numbers": X.astype(str),
}


@pytest.mark.parametrize("container", SAME)
def test_containers_are_the_same_table(container):
    model = fit(X=SAME[container])
    np.testing.assert_array_equal(model.predict(SAME[container]), fit().predict(X))
    names = ["a", "M"] if "pandas" in container or container == "polars" else None
    assert list(getattr(model, "feature_names_in_", [])) == (names or [])
    assert str(model.formula()) == ("y = 2.00 a^1.50 M^-1.00" if names else "y = 2.00 x0^1.50 x1^-1.00")


@pytest.mark.parametrize(
    "y", [Y.tolist(), pd.Series(Y), pl.Series(Y), Y.astype(object), np.repeat(Y, 2)[::2], tuple(Y)]
)
def test_containers_of_y(y):
    np.testing.assert_array_equal(fit(y=y).predict(X), fit().predict(X))


def test_columns_of_true_and_false_and_of_numeric_categories_are_numbers():
    frame = FRAME.assign(hot=[True, False] * 15, kind=pd.Categorical([1, 2] * 15))
    plain = FRAME.assign(hot=[1.0, 0.0] * 15, kind=[1.0, 2.0] * 15)
    np.testing.assert_array_equal(fit(X=frame).predict(frame), fit(X=plain).predict(plain))


GAP = np.arange(30) == 3


@pytest.mark.parametrize(
    "y",
    [
        pd.Series(Y, dtype="Float64").mask(GAP),
        pd.Series(np.where(GAP, pd.NA, Y.astype(object))),
        np.where(GAP, pd.NA, Y.astype(object)).tolist(),
        np.where(GAP, None, Y.astype(object)),
        pd.DataFrame({"y": pd.Series(Y, dtype="Float64").mask(GAP)}),
        pl.Series(np.where(GAP, None, Y.astype(object)).tolist()),
        np.ma.masked_array(changed(Y, 3, -7.0), mask=GAP),
    ],
)
def test_what_was_not_measured_is_said_in_many_ways(y):
    np.testing.assert_array_equal(fit(y=y).predict(X).ravel(), fit(y=changed(Y, 3, NAN)).predict(X))


def test_frame_of_outputs():
    predicted = fit(y=pd.DataFrame({"p": Y, "q": 2 * Y})).predict(X)
    np.testing.assert_allclose(predicted, np.column_stack([Y, 2 * Y]), rtol=1e-9)


@pytest.mark.parametrize("extra", [np.ones(30), np.zeros(30), X[:, 0], -X[:, 1], np.arange(30) % 2, X[:, 0] * 1e30])
def test_idle_columns_do_no_harm(extra):
    table = np.column_stack([X, extra])
    np.testing.assert_allclose(fit(X=table).predict(table), Y, rtol=1e-7)


@pytest.mark.parametrize("x_unit", [1e-300, 1e-30, 1e30, 1e300])
@pytest.mark.parametrize("y_unit", [1e-300, 1e-30, 1e30, 1e300])
def test_units(x_unit, y_unit):
    model = fit(X=X * x_unit, y=Y * y_unit)
    np.testing.assert_allclose(model.predict(X * x_unit) / y_unit, Y, rtol=1e-8)
    value = eval(model.formula().python, {"np": np, "x0": X[:, 0] * x_unit, "x1": X[:, 1] * x_unit})
    np.testing.assert_allclose(value / y_unit, Y, rtol=1e-8)


def test_negative_features():
    np.testing.assert_allclose(fit(X=-X).predict(-X), Y, rtol=1e-9)


def test_partial_y_and_rows_without_any():
    y = np.column_stack([Y, 3 * Y])
    y[::3, 0] = np.nan
    y[:4] = np.nan
    np.testing.assert_allclose(fit(y=y).predict(X), np.column_stack([Y, 3 * Y]), rtol=1e-9)


def test_one_measurement_of_an_output_is_its_prediction():
    y = np.column_stack([Y, changed(np.full(30, NAN), 7, 4.25)])
    np.testing.assert_allclose(fit(y=y).predict(X)[:, 1], 4.25, rtol=1e-12)


def test_contradicting_rows_are_averaged():
    np.testing.assert_allclose(fit(X=[[1.0], [1.0]], y=[1.0, 2.0]).predict([[1.0], [5.0]]), 1.5, rtol=1e-12)


def test_one_distinct_row():
    for parameters in ({}, {"n_nodes": 12}, {"n_estimators": 3}, {"n_nodes": 12, "n_estimators": 3}):
        np.testing.assert_allclose(fit(X=np.ones((5, 1)), y=np.full(5, 3.0), **parameters).predict([[1.0]]), 3.0)


def test_infinite_extrapolation_is_held():
    model = fit()
    far = np.array([[1e300, 1e-300], [1e-300, 1e300], [0.0, 0.0], [-1e308, 1e308]])
    mean, std = model.predict(far, return_std="measurement")
    assert np.isfinite(mean).all() and np.isfinite(std).all() and np.isfinite(model.predict_gradient(far)).all()
    assert not np.isnan(model.applicability(far)).any()


# --- tables drawn

UNITS = st.sampled_from([1.0, 1.0, 1e-30, 1e30, -1.0, 1e-300, 1e290])


@st.composite
def columns(draw, n):
    kind = draw(st.sampled_from(["any", "positive", "constant", "zero", "some zeros", "whole", "binary", "decades"]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    x = rng.normal(size=n)
    x = {
        "any": x,
        "positive": np.abs(x),
        "constant": np.full(n, x[0]),
        "zero": np.zeros(n),
        "some zeros": x * (rng.random(n) < 0.7),
        "whole": np.round(x),
        "binary": (x > 0) * 1.0,
        "decades": np.exp(np.clip(100 * x, -200, 200)),
    }[kind]
    with np.errstate(over="ignore"):
        return np.clip(x * draw(UNITS), -1.7e308, 1.7e308)


@st.composite
def tables(draw):
    n = draw(st.integers(2, 18))
    X = np.column_stack([draw(columns(n)) for _ in range(draw(st.integers(1, 4)))])
    if draw(st.booleans()):
        X[:, -1] = X[:, 0]
    return X, draw(columns(n))


@given(
    table=tables(),
    weighted=st.booleans(),
    parameters=st.fixed_dictionaries(
        {},
        optional={
            "n_nodes": st.sampled_from([1, 2, 12]),
            "blend": st.sampled_from([0.0, 0.3, 1.0]),
            "n_estimators": st.sampled_from([1, 2, 3]),
            "penalty": st.sampled_from([0.0, 0.1, 10.0]),
            "sign": st.sampled_from(["all", "none", [0]]),
            "simplify": st.booleans(),
        },
    ),
)
@settings(max_examples=30)
def test_any_table(table, weighted, parameters):
    X, y = table
    weight = np.arange(len(y)) % 3 if weighted and len(y) > 2 else None
    model = fit(X, y, weight, **parameters)
    for rows in (X, X[::-1] / 3, np.zeros_like(X)):
        mean, std = model.predict(rows, return_std="measurement")
        assert np.isfinite(mean).all() and np.isfinite(std).all()
        assert np.isfinite(model.predict_gradient(rows)).all() and not np.isnan(model.applicability(rows)).any()
    assert str(model.formula()).startswith("y") and model.formula().latex and model.formula().python


@pytest.mark.parametrize("Estimator", [MergedNetRegressor, GradientForestRegressor, MergedNetImputer])
def test_an_infinite_cell_is_named_with_its_column_and_row(Estimator):
    table = pd.DataFrame({"a": np.arange(30.0), "hardness": np.arange(30.0) ** 2})
    table.loc[7, "hardness"] = np.inf
    with pytest.raises(ValueError, match=r"The first infinite cell is in column .hardness., row 7: inf\. Give"):
        Estimator().fit(table, np.arange(30.0))
    with pytest.raises(ValueError, match=r"The first infinite cell is in column 1, row 7: inf"):
        Estimator().fit(table.to_numpy(), np.arange(30.0))
    if Estimator is not MergedNetImputer:
        with pytest.raises(ValueError, match=r"y: .*The first infinite cell is in row 3: -inf"):
            Estimator().fit(np.arange(60.0).reshape(30, 2), [1.0, 2, 3, -np.inf] + [0.0] * 26)


def test_complex_columns_do_not_print_the_table():
    table = pd.DataFrame({"a": np.arange(30.0), "b": np.arange(30) * 1j})
    with pytest.raises(ValueError, match=r"Complex data not supported.*separate columns") as error:
        GradientForestRegressor().fit(table, table.a)
    assert len(str(error.value)) < 200


def test_a_table_of_arrow_is_told_how_to_become_a_frame():
    class Arrow:
        column_names = ("a",)

        def to_pandas(self):
            return pd.DataFrame({"a": [1.0, 2.0]})

    for Estimator in (MergedNetRegressor, GradientForestRegressor):
        with pytest.raises(TypeError, match=r"X is a Arrow of Arrow; give X\.to_pandas\(\)"):
            Estimator().fit(Arrow(), [1.0, 2.0])
    with pytest.raises(TypeError, match=r"give X\.to_pandas\(\)"):
        MergedNetImputer().fit(Arrow())


def test_series_in_another_order_are_refused_where_a_model_is_judged():
    X = pd.DataFrame(np.random.default_rng(0).uniform(size=(40, 2)), columns=list("ab"))
    groups = pd.Series(np.arange(40) // 4)
    for model in (GradientForestRegressor(5), MergedNetRegressor(1)):
        model.fit(X, X.a)
        for data in ({"y": X.a[::-1]}, {"y": X.a, "sample_weight": X.b[::-1]}):
            with pytest.raises(ValueError, match=rf"{list(data)[-1]}: its index is not that of X"):
                model.score(X, **data)
    with pytest.raises(ValueError, match="groups: its index is not that of X"):
        GradientForestRegressor(5).fit(X, X.a, groups=groups[::-1])
    with pytest.raises(TypeError, match="groups has labels of several types"):
        MergedNetImputer().fit(X, groups=pd.Series([None] + ["a", "b", "c"] * 13))
