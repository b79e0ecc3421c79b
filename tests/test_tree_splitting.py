"""The search for the best split against all splits."""

import numpy as np
import pytest
import reference_forest as reference
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from skmerge._ext import tree_splitting
from skmerge._forest.grower import encode


@st.composite
def nodes(draw, linear=None, most=40):
    """Keyword arguments of both searches, apart from the codes."""
    linear = draw(st.booleans()) if linear is None else linear
    most = min(most, 32) if linear else most  # lines have 32 bins: of more values a better split may lie within one
    n, d, c = draw(st.integers(2, most)), draw(st.integers(1, 4)), draw(st.integers(1, 3))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    X = rng.normal(size=(n, d))
    if draw(st.booleans()):
        X = X.round(draw(st.integers(0, 1)))  # repeated values
    if draw(st.booleans()):
        X[rng.random((n, d)) < 0.2] = np.nan
    rest = rng.normal(size=(n, c))
    if draw(st.booleans()):
        rest[rng.random((n, c)) < 0.2] = np.nan
    return {
        "X": X,
        "weight": rng.integers(1, 4, n).astype(float),
        "rest": rest,
        "factor": rng.uniform(0.1, 2, c),
        "centre": rng.normal(size=d),
        "linear": linear,
        "ridge": draw(st.sampled_from([0.0, 1e-6, 1.0, 5.0])),
        "min_leaf": draw(st.integers(1, 5)),
    }


def searched(case):
    return tree_splitting.best_split(codes=encode(case["X"]).codes, **case)


@given(nodes())
def test_the_best_of_all_splits(case):
    found, expected = searched(case), reference.best_split(**case)
    size = np.nansum(case["weight"][:, None] * (case["rest"] * case["factor"]) ** 2)
    if expected is None:
        assert found is None or found.gain < 1e-12 * size
        return
    if found is None:  # a side on which nothing was measured is no split, and a gain of rounding errors is none
        assert np.isfinite(case["rest"]).sum(axis=0).max() < 2 or expected[0] < 1e-12 * size
        return
    assert_allclose(found.gain, expected[0], rtol=1e-9, atol=1e-12 * size)
    # It is what it says, whichever of equally good ones it is.
    gain, f, code, next_code, missing_left, n_left = found
    codes = encode(case["X"]).codes[:, f].astype(int)
    missing = codes == 65535
    left = np.where(missing, missing_left, codes <= code)
    assert left.sum() == n_left and min(n_left, len(left) - n_left) >= case["min_leaf"]
    assert code == codes[left & ~missing].max()
    assert next_code == codes[~left].min()  # 65535 if nothing known is on the right
    rest = case["rest"] * case["factor"]
    x = case["X"][:, f] - case["centre"][f]
    assert_allclose(
        reference.gain_of(x, case["weight"], rest, left, case["linear"], case["ridge"]), gain, rtol=1e-9,
        atol=1e-12 * size,
    )  # fmt: skip


@pytest.mark.parametrize(("linear", "bins"), [(False, 256), (True, 32)])
@pytest.mark.parametrize("seed", range(3))
def test_many_values_are_searched_in_bins(linear, bins, seed):
    rng = np.random.default_rng(seed)
    n = 3000
    X = rng.uniform(size=(n, 2))
    rest = np.where(X[:, :1] < 0.3, 0.0, 1.0) + np.abs(X[:, :1] - 0.3) + 0.1 * rng.normal(size=(n, 1))
    case = dict(X=X, weight=np.ones(n), rest=rest, factor=np.ones(1), centre=np.array([0.5, 0.5]), linear=linear)
    gain, f, code, next_code, _, n_left = searched(case)
    assert f == 0 and next_code == code + 1 == n_left
    assert abs(np.sort(X[:, 0])[code] - 0.3) < 1.5 / bins
    # Rows of up to half a bin are on the wrong side, and x is its bin's mean.
    best = max(reference.gain_of(X[:, 0] - 0.5, case["weight"], rest, X[:, 0] <= v, linear, 0.0)
               for v in np.linspace(0.28, 0.32, 41))  # fmt: skip
    assert (0.7 if linear else 0.8) * best < gain < 1.01 * best


FOUR_ROWS = np.array([0.0, 1.0, 2.0, 3.0])[:, None]


@pytest.mark.parametrize(("linear", "cut", "gain"), [(False, 3, 49 - 26 / 3), (True, 2, 4.0)])
def test_four_points(linear, cut, gain):
    """Squared error cuts the parabola at 2.5 (40.33 against 36.0 at 1.5), what a line leaves over at 1.5."""
    y = FOUR_ROWS**2
    rest = y - np.polyval(np.polyfit(FOUR_ROWS[:, 0], y[:, 0], 1), FOUR_ROWS) if linear else y - y.mean()
    case = dict(X=FOUR_ROWS, weight=np.ones(4), rest=rest, factor=np.ones(1), centre=np.array([1.5]), linear=linear)
    found = searched(case)
    assert found.n_left == cut and found.gain == pytest.approx(gain)
    if not linear:
        assert found.gain == pytest.approx(121 / 3)
        assert searched(case | {"min_leaf": 2}).gain == pytest.approx(36.0)
    else:
        assert found.gain == pytest.approx((rest**2).sum())  # nothing is left over


def test_nothing_to_split():
    one = dict(weight=np.ones(4), factor=np.ones(1), centre=np.zeros(1))
    assert searched(dict(X=np.ones((4, 1)), rest=FOUR_ROWS, **one)) is None
    assert searched(dict(X=FOUR_ROWS, rest=FOUR_ROWS, min_leaf=3, **one)) is None
    assert searched(dict(X=np.full((4, 1), np.nan), rest=FOUR_ROWS, **one)) is None


def test_shapes_that_do_not_fit_are_refused():
    case = dict(X=FOUR_ROWS, codes=encode(FOUR_ROWS).codes, weight=np.ones(4), rest=FOUR_ROWS.copy(), factor=np.ones(1),
                centre=np.zeros(1))  # fmt: skip
    for name, value in (
        ("codes", np.zeros((4, 2), np.uint16)), ("weight", np.ones(3)), ("rest", np.ones((3, 1))),
        ("factor", np.ones(2)), ("centre", np.ones(2)), ("rest", np.ones((4, 0))),
    ):  # fmt: skip
        with pytest.raises(ValueError, match="rest"):
            tree_splitting.best_split(**case | {name: value})
