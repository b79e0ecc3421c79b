import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import BaseEstimator

from skmerge._validation import canonical, check_rows, check_training_data, check_weight

unhurried = settings(deadline=None, max_examples=60)
nan, inf = np.nan, np.inf
few = st.sampled_from([-1.0, 0.0, 0.5, 2.0])  # so few values that rows repeat
few_or_nan = st.sampled_from([-1.0, 0.0, nan, 2.0])


class Anything(BaseEstimator):
    def fit(self, X, y, sample_weight=None):
        self.table_, _, self.n_outputs_ = check_training_data(self, X, y, sample_weight)
        return self


@st.composite
def rows(draw):
    n, d, m = draw(st.integers(1, 12)), draw(st.integers(1, 3)), draw(st.integers(1, 2))
    X = draw(hnp.arrays(float, (n, d), elements=few))
    y = draw(hnp.arrays(float, (n, m), elements=few_or_nan))
    count = draw(hnp.arrays(int, n, elements=st.integers(0, 4)))
    assume(count.any())
    return X, y, count


def assert_same(table, other):
    assert_array_equal(table.X, other.X)
    assert_array_equal(table.y, other.y)
    assert_array_equal(table.weight, other.weight)


# --- canonical


@unhurried
@given(case=rows())
def test_weights_equal_repetition_to_the_last_digit(case):
    X, y, count = case
    repeated = canonical(np.repeat(X, count, axis=0), np.repeat(y, count, axis=0), np.ones(count.sum()))
    assert_same(canonical(X, y, check_weight(count, len(X))), repeated)


@unhurried
@given(case=rows(), data=st.data())
def test_order_of_the_rows_does_not_matter(case, data):
    X, y, count = case
    order = np.array(data.draw(st.permutations(range(len(X)))))
    assert_same(canonical(X[order], y[order], count[order].astype(float)), canonical(X, y, count.astype(float)))


@unhurried
@given(case=rows(), factor=st.floats(1e-300, 1e300))
def test_a_factor_in_the_weights_does_not_matter(case, factor):
    X, y, count = case
    table, scaled = (canonical(X, y, check_weight(count * f, len(X))) for f in (1.0, factor))
    assert_array_equal(scaled.X, table.X)
    assert_array_equal(scaled.y, table.y)
    assert_allclose(scaled.weight, table.weight, rtol=1e-14)


@unhurried
@given(case=rows())
def test_every_distinct_row_stands_once_with_all_its_weight(case):
    X, y, count = case
    table = canonical(X, y, count.astype(float))
    # NaN is not equal to itself; as text it is
    expected = {}
    for row, target, c in zip(X, y, count, strict=True):
        key = str([*(row + 0.0), *(target + 0.0)])
        expected[key] = expected.get(key, 0) + c
    found = [str([*(row + 0.0), *(target + 0.0)]) for row, target in zip(table.X, table.y, strict=True)]
    assert len(set(found)) == len(found)
    assert set(found) == {key for key, c in expected.items() if c}
    assert_allclose(table.weight, [expected[key] / count.sum() for key in found], rtol=1e-15)
    assert_allclose(table.weight.sum(), 1, rtol=1e-14)
    assert table.X.flags.c_contiguous and (table.weight > 0).all()


@unhurried
@given(case=rows(), data=st.data())
def test_rows_of_weight_zero_leave_no_trace(case, data):
    X, y, count = case
    at = data.draw(st.integers(0, len(X)))
    strange = data.draw(st.floats(allow_nan=False, allow_infinity=False))
    more = [np.insert(a, at, value, axis=0) for a, value in ((X, strange), (y, nan), (count.astype(float), 0.0))]
    assert_same(canonical(*more), canonical(X, y, count.astype(float)))


def test_rows_that_differ_only_in_what_was_measured_stay_apart():
    X = np.ones((4, 1))
    y = np.array([[1.0, nan], [1.0, 2.0], [1.0, nan], [nan, 2.0]])
    table = canonical(X, y, np.ones(4))
    assert_array_equal(table.y, [[1.0, 2.0], [1.0, nan], [nan, 2.0]])
    assert_allclose(table.weight, [0.25, 0.5, 0.25])


def test_canonical_leaves_its_arguments_alone():
    X, y, weight = np.array([[2.0], [1.0], [2.0]]), np.array([[1.0], [nan], [1.0]]), np.array([1.0, 0.0, 3.0])
    before = X.copy(), y.copy(), weight.copy()
    for a in (X, y, weight):
        a.flags.writeable = False
    canonical(X, y, weight)
    for a, b in zip((X, y, weight), before, strict=True):
        assert_array_equal(a, b)


# --- the door

X3, Y3 = np.arange(6.0).reshape(3, 2), np.arange(3.0)


@pytest.mark.parametrize(
    "X",
    [
        X3,
        X3.astype(np.float32),
        X3.astype(int),
        np.asfortranarray(X3),
        X3.tolist(),
        pd.DataFrame(X3, columns=["a", "b"]),
        pl.DataFrame(X3, schema=["a", "b"]),
        X3.astype(">f8"),
        X3.astype(object),
    ],
    ids=["array", "float32", "int", "fortran", "list", "pandas", "polars", "big endian", "object"],
)
@pytest.mark.parametrize("y", [Y3, Y3.tolist(), pd.Series(Y3), pl.Series(Y3), Y3.astype(int)])
def test_any_table_of_numbers_is_accepted(X, y):
    fitted = Anything().fit(X, y)
    assert fitted.table_.X.dtype == fitted.table_.y.dtype == np.float64
    assert_array_equal(fitted.table_.X, X3)
    assert_array_equal(fitted.table_.y, Y3[:, None])
    assert_array_equal(fitted.table_.weight, np.full(3, 1 / 3))
    assert fitted.n_outputs_ is None
    names = getattr(fitted, "feature_names_in_", None)
    assert (names is None) != (hasattr(X, "columns"))


def test_number_of_outputs():
    assert Anything().fit(X3, Y3).n_outputs_ is None
    assert Anything().fit(X3, Y3[:, None]).n_outputs_ == 1
    assert Anything().fit(X3, np.column_stack([Y3, [nan, 1, nan]])).n_outputs_ == 2


BAD_X = {
    "no rows": (X3[:0], "X.*0 sample"),
    "one row": (X3[:1], "X.*1 sample"),
    "no columns": (X3[:, :0], "X.*0 feature"),
    "NaN column": (X3 * [1, nan], r"X has nothing observed in column\(s\) \[1\]"),
    "None": (np.full(X3.shape, None), r"X has nothing observed in column\(s\) \[0, 1\]"),
    "polars null": (
        pl.DataFrame({"a": [1.0, 2.0, 3.0], "b": pl.Series([None] * 3, dtype=float)}),
        "X has nothing.*'b'",
    ),
    "infinity": (np.where(X3 == 2, -inf, X3), "X contains infinity"),
    "too large": (np.where(X3 == 2, 10**400, X3.astype(object)), "X.*too large"),
    "1-D": (Y3, "X.*Reshape"),
    "3-D": (np.ones((3, 2, 2)), "X.*dim 3"),
    "text": (np.array([["a", "b"]] * 3), "X.*encode text"),
    "mixed": ([["a", 1], [2, 3], [3, 4]], "X: column 0 .* 1 of its 3 cells .* row 0 'a'.*or put NaN"),
    "pandas text": (pd.DataFrame({"c": ["x", "y", "z"]}), "X.*encode text"),
    "complex": (X3 + 1j, "X.*Complex"),
    "ragged": ([[1], [2, 3], [3, 4]], "X.*inhomogeneous"),
    "sparse": (sp.csr_array(X3), "X.*toarray"),
    "dict": ({"a": 1}, "X.*dict"),
    "None alone": (None, "X is None"),
}


@pytest.mark.parametrize(("X", "message"), BAD_X.values(), ids=BAD_X)
def test_bad_X_is_named(X, message):
    n = X.shape[0] if hasattr(X, "shape") else 3
    with pytest.raises((ValueError, TypeError), match=f"(?s)\\b{message}"):
        Anything().fit(X, Y3[:n])


BAD_Y = {
    "None": (None, "y"),
    "infinity": ([0, inf, 1], "y contains infinity"),
    "text": (["a", "b", "c"], "y.*encode text"),
    "complex": (Y3 + 1j, "y.*Complex"),
    "3-D": (np.ones((3, 2, 2)), "y.*dim 3"),
    "no outputs": (np.ones((3, 0)), "y.*0 feature"),
    "short": (Y3[:2], r"y.*\[3, 2\]"),
    "long": (np.ones(4), r"y.*\[3, 4\]"),
    "scalar": (1.0, "y.*scalar"),
    "sparse": (sp.csr_array(X3), "y.*toarray"),
    "nothing observed": ([nan] * 3, r"y has nothing observed in column\(s\) \[0\]"),
    "one column unobserved": (np.column_stack([Y3, [nan] * 3]), r"y has nothing observed in column\(s\) \[1\]"),
}


@pytest.mark.parametrize(("y", "message"), BAD_Y.values(), ids=BAD_Y)
def test_bad_y_is_named(y, message):
    with pytest.raises((ValueError, TypeError), match=f"(?s)\\b{message}"):
        Anything().fit(X3, y)


BAD_WEIGHT = {
    "short": (np.ones(2), "must have shape"),
    "2-D": (np.ones((3, 1)), "must have shape"),
    "scalar": (2.0, "scalar"),
    "negative": ([1, -1, 1], "must not be negative"),
    "all zero": (np.zeros(3), "zero for every row"),
    "all but one zero": ([0, 1, 0], "minimum of 2"),
    "NaN": ([1, nan, 1], "contains NaN"),
    "infinity": ([1, inf, 1], "contains infinity"),
    "text": (["a", "b", "c"], "one non-negative number"),
    "complex": (np.ones(3) + 1j, "Complex"),
}


@pytest.mark.parametrize(("weight", "message"), BAD_WEIGHT.values(), ids=BAD_WEIGHT)
def test_bad_weights_are_named(weight, message):
    with pytest.raises((ValueError, TypeError), match="sample_weight") as error:
        Anything().fit(X3, Y3, weight)
    assert message in str(error.value)


def test_a_column_measured_only_at_weight_zero_is_unmeasured():
    with pytest.raises(ValueError, match=r"y has nothing observed in column\(s\) \[1\]"):
        Anything().fit(X3, np.column_stack([Y3, [nan, nan, 1.0]]), [1, 1, 0])


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (X3[:, :1], "X has 1 features"),
        (np.where(X3 == 2, inf, X3), "X contains infinity"),
        (Y3, "X.*Reshape"),
        (np.array([["a", "b"]]), "X.*encode text"),
        (X3[:0], "X.*0 sample"),
    ],
)
def test_bad_rows_to_predict_are_named(X, message):
    with pytest.raises((ValueError, TypeError), match=f"(?s)\\b{message}"):
        check_rows(Anything().fit(X3, Y3), X)


def test_columns_in_another_order_are_refused():
    fitted = Anything().fit(pd.DataFrame(X3, columns=["a", "b"]), Y3)
    with pytest.raises(ValueError, match="X: The feature names should match"):
        check_rows(fitted, pd.DataFrame(X3, columns=["b", "a"]))
    assert_array_equal(check_rows(fitted, pd.DataFrame(X3[:1], columns=["a", "b"])), X3[:1])
