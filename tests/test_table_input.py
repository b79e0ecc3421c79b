"""MergedNetImputer: the tables, parameters and errors that it accepts or refuses, and the form of what it returns."""

import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone
from test_table import sparse_table

from skmerge import MergedNetImputer


def test_columns_of_arrays_have_the_names_that_are_shown():
    table, _ = sparse_table(60)
    model = MergedNetImputer(["x3", "x4"], n_estimators=0).fit(table)
    assert list(model.properties_) == [3, 4]
    found = model.outliers(5)
    assert {entry.column for entry in model.outliers(5, columns=[found[0].column])} == {found[0].column}
    with pytest.raises(ValueError, match=r"no column 'x5'; the columns are .*x4"):
        model.outliers(5, columns=["x5"])


@pytest.mark.parametrize(
    ("name", "column", "match"),
    [
        ("categorical", np.linspace(0, 1, 120), "120 different values in 120 cells, fractions among them"),
        ("source", np.linspace(0, 1, 120), "source: .*fractions among them"),
        ("categorical", np.arange(120.0), "120 different values in 120 cells, fewer than 5 for each"),
        ("categorical", np.arange(120.0) // 2, "60 different values in 120 cells, fewer than 5"),
        ("source", np.arange(120.0) // 2, "60 different values .*50 at most"),
    ],
)
def test_measurements_and_names_of_rows_are_no_codes(name, column, match):
    table = np.column_stack([np.arange(120.0), column])
    given = {name: [1] if name == "categorical" else 1, "n_estimators": 0}
    with pytest.raises(ValueError, match=match):
        MergedNetImputer(**given).fit(table)
    table[:, 1] = np.arange(120) % 40 / 2
    assert (MergedNetImputer(categorical=[1], n_estimators=0).fit(table).transform(table) == table).all()


@pytest.mark.parametrize(
    ("X", "match"),
    [
        ([[1.0, np.nan], [2.0, np.nan]], "nothing observed in column"),
        ([[1.0, np.inf], [2.0, 1.0]], "X: .*infinity"),
        (np.full((5, 2), np.nan), r"nothing observed in column\(s\) \[0, 1\]"),
        (np.zeros((0, 3)), "minimum of 1"),
        (pd.DataFrame(np.ones((3, 2)), columns=["a", "a"]), "repeated column names"),
        (pd.DataFrame({"a": [None] * 4, "b": range(4)}), r"nothing observed in column\(s\) \['a'\]"),
        (pd.DataFrame({"a": ["x", 1.0, "y", None], "b": range(4)}), r"'a' holds words.*'x'.*and numbers, row 1 1\.0"),
    ],
)
def test_bad_tables(X, match):
    with pytest.raises(ValueError, match=match):
        MergedNetImputer().fit(X)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"properties": ["a"]}, "no column 'a'"),
        ({"properties": "a"}, "properties='a' is not possible"),
        ({"bounds": {0: (1, 0)}}, "low must be below high"),
        ({"log": [0]}, "not positive"),
        ({"inputs": {5: [0]}}, "inputs: 5 is no column"),
        ({"damping": 0}, "damping=0 is not possible"),
        ({"n_estimators": -1}, "n_estimators=-1"),
        ({"n_jobs": 0}, "n_jobs=0 is not possible"),
        ({"properties": None}, "properties=None is not possible"),
        ({"log": True}, "log=True is not possible"),
        ({"categorical": "a"}, "categorical='a' is not possible"),
        ({"inputs": {1: 0}}, r"inputs\[1\]=0 is not possible"),
        ({"bounds": {0: ("a", 1)}}, r"bounds\[0\]: could not convert"),
        ({"bounds": {0: (5, 9)}}, "it runs from 0 to 2"),
        ({"source": "s"}, "source: no column 's'"),
        ({"source": 1, "properties": [1]}, "only numbers can be properties"),
        ({"derived": {"law": lambda table: table[:, 0] * np.nan}}, r"derived\['law'\] returned NaN in every row"),
        ({"derived": {"law": lambda table: ["a"] * 3}}, r"derived\['law'\]: could not convert"),
        ({"derived": {"law": 3}}, r"derived\['law'\] raised TypeError"),
        ({"derived": {"x1": lambda table: table[:, 0]}}, "already has a column 'x1'"),
        ({"derived": {1: lambda table: table[:, 0]}}, "already has a column 1"),
        ({"random_state": "a"}, "random_state: 'a' cannot be used"),
    ],
)
def test_bad_parameters(options, match):
    with pytest.raises(ValueError, match=match):
        MergedNetImputer(**options).fit([[0.0, 1.0], [1.0, np.nan], [2.0, 2.0]])


@pytest.mark.parametrize("error", [[-1.0, 0.0], [1.0], [[np.inf, 1.0]] * 3])
def test_bad_errors(error):
    with pytest.raises(ValueError, match="error must"):
        MergedNetImputer().fit([[0.0, 1.0], [1.0, np.nan], [2.0, 2.0]], error=error)


@pytest.mark.parametrize(
    "X",
    [
        np.array([[1.0], [2.0], [np.nan]]),
        np.array([[1.0, 2.0], [2.0, 3.0], [np.nan, np.nan]]),
        np.array([[1.0, 5.0], [2.0, 5.0], [4.0, np.nan]]),
        np.array([[1.0, 2.0]] * 4 + [[1.0, np.nan]]),
        np.full((1, 3), 2.0),
        np.arange(40.0).reshape(20, 2) ** 2,
        np.array([[1.0, 1.0], [2.0, 2.0], [3.0, np.nan], [5.0, 5.0]])[:, [0, 1, 1]],
        np.array([[1e300, 2e300], [2e300, 5e300], [3e300, np.nan]]),
    ],
    ids=["one column", "an empty row", "a constant column", "copies", "one row", "full", "copied columns", "huge"],
)
def test_corners_are_filled(X):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        filled = MergedNetImputer().fit(X).transform(X)
    assert np.isfinite(filled).all()
    np.testing.assert_array_equal(filled[~np.isnan(X)], X[~np.isnan(X)])


def test_errors_and_groups_of_other_rows_or_columns_are_refused():
    table = pd.DataFrame({"a": np.arange(30.0), "b": np.arange(30.0) ** 2}, index=[f"row {i}" for i in range(30)])
    error = pd.DataFrame(0.1, index=table.index, columns=["a", "b"])
    model = MergedNetImputer(n_estimators=0)
    given = model.fit(table, error=error).left_out_
    np.testing.assert_array_equal(model.fit(table, error=error.to_numpy()).left_out_, given)
    np.testing.assert_array_equal(model.fit(table, error=pd.Series({"a": 0.1, "b": 0.1})).left_out_, given)
    groups = pd.Series(np.arange(30) // 2, index=table.index)
    for wrong, match in (
        ({"error": error[["b", "a"]]}, r"error: its columns .*column 0 is 'b', of X 'a'. Give error\[list"),
        ({"error": error[["a"]]}, r"error: its columns .*column 1 is missing, of X 'b'"),
        ({"error": error.iloc[::-1]}, r"error: its index .*row 0 is 'row 29', of X 'row 0'. Give error\.loc"),
        ({"error": pd.Series({"b": 0.1, "a": 0.1})}, r"error: its index \['b', 'a'\]"),
        ({"groups": groups.iloc[::-1]}, r"groups: its index"),
    ):
        with pytest.raises(ValueError, match=match):
            model.fit(table, **wrong)
    model.fit(table, groups=groups.reset_index(drop=True))  # other labels say nothing of the rows of X


def test_set_output_gives_frames_of_values_and_of_standard_deviations():
    table, _ = sparse_table(60)
    frame = pd.DataFrame(table, columns=list("abpqr"), index=np.arange(60)[::-1])
    model = MergedNetImputer(n_estimators=0, random_state=0).fit(frame)
    plain = model.transform(frame, return_std=True)
    assert all(type(part) is np.ndarray for part in plain)
    for kind, library in (("pandas", pd), ("polars", pl)):
        shown = clone(model).set_output(transform=kind).fit(frame).transform(frame, return_std=True)
        for part, values in zip(shown, plain, strict=True):
            assert type(part) is library.DataFrame and list(part.columns) == list("abpqr")
            np.testing.assert_array_equal(part.to_numpy(), values)
            assert kind == "polars" or part.index.equals(frame.index)
    words = frame.assign(kind=["cast", "forged"] * 30)
    filled, std = MergedNetImputer(n_estimators=0).fit(words).transform(words, return_std=True)
    assert type(filled) is type(std) is pd.DataFrame and std.index.equals(words.index)
    as_polars = pl.DataFrame({name: words[name].to_numpy() for name in words})
    for asked, library in (("pandas", pd), ("polars", pl), ("default", None)):
        for given in (words, as_polars):
            model = MergedNetImputer(n_estimators=0).set_output(transform=asked).fit(given)
            wanted = library.DataFrame if library else type(given)
            assert [type(part) for part in model.transform(given, return_std=True)] == [wanted] * 2
            assert list(model.transform(given)["kind"])[:2] == ["cast", "forged"]


def test_single_precision_stays():
    table, _ = sparse_table(60)
    single = table.astype(np.float32)
    model = MergedNetImputer(n_estimators=0).fit(single)
    filled, std = model.transform(single, return_std=True)
    assert filled.dtype == std.dtype == np.float32
    assert model.transform(table).dtype == float
    seen = ~np.isnan(single)
    np.testing.assert_array_equal(filled[seen], single[seen])


def test_a_source_of_nearly_as_many_names_as_rows_is_refused():
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"T": rng.uniform(300, 900, 40), "lab": [f"lab {i}" for i in range(40)]})
    table["ys"] = 100 + 0.3 * table["T"]
    table.loc[::2, "ys"] = np.nan
    with pytest.raises(ValueError, match=r"source: column 'lab' has 40 different values in 40 cells; a source is one"):
        MergedNetImputer(["ys"], source="lab").fit(table)
    for argument in ({"source": "T"}, {"categorical": ["T"]}):
        with pytest.raises(ValueError, match=r"column 'T' has 40 different values.*not codes but numbers"):
            MergedNetImputer(["ys"], **argument).fit(table.drop(columns="lab"))


@pytest.mark.parametrize("words", [False, True])
def test_frames_of_float32_stay_float32(words):
    table = pd.DataFrame(np.random.default_rng(0).uniform(1, 2, (60, 3)).astype("f"), columns=list("abc"))
    table.loc[::2, "c"] = np.nan
    if words:
        table["route"] = np.where(table.a > 1.5, "cast", "rolled")
    for form in ("default", "pandas"):
        model = MergedNetImputer(n_estimators=0).set_output(transform=form).fit(table)
        filled, std = model.transform(table, return_std=True)
        kinds = [filled.dtype] if form == "default" and not words else list(filled.dtypes[:3])
        assert set(kinds) == {np.dtype(np.float32)}
        assert np.asarray(std, float).shape == table.shape


def test_words_that_differ_only_by_blanks_or_capitals_give_a_warning():
    table = pd.DataFrame({"route": ["cast", "cast ", "Cast", "rolled"] * 10, "a": np.arange(40.0)})
    with pytest.warns(UserWarning, match=r"differ only by blanks, capitals or type: \['Cast', 'cast', 'cast '\]"):
        MergedNetImputer(n_estimators=0).fit(table)
    table["route"] = [1, "1", 2, "2"] * 10
    with pytest.warns(UserWarning, match=r"\[1, '1'\], \[2, '2'\]"):
        MergedNetImputer(n_estimators=0, categorical=["route"]).fit(table)


def test_few_numbers_among_many_signs_of_nothing_are_a_mistake():
    table = pd.DataFrame({"c": ["ND"] * 21 + ["0.5", "1.0"] * 9 + ["0.5"], "a": np.arange(40.0)})
    with pytest.raises(ValueError, match=r"'c' looks like numbers, but 21 of its 40 cells.*'ND'"):
        MergedNetImputer(n_estimators=0).fit(table)
    table["c"] = [True, 2.0] * 20
    with pytest.warns(UserWarning, match="True and False among numbers, which count as 1 and 0: 20 cell"):
        MergedNetImputer(n_estimators=0).fit(table)
