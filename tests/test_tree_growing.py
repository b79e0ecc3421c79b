"""One tree against its recursive twin."""

from itertools import pairwise

import numpy as np
import pytest
import reference_forest as reference
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from skmerge._ext.tree_growing import Coordinates, Rules, grow
from skmerge._forest.grower import ENDLESS, choose_coordinates, encode
from skmerge._forest.tree import Trees

NONE = np.empty(0)
# Not 0: where a node's model meets the mean of every value of a feature, rounding alone decides whether a split gains.
MIN_GAINS = st.sampled_from([1e-9, 0.5, 3.0])


@st.composite
def tables(draw, order=None, missing=True):
    """Keyword arguments of the twin."""
    n, d, m = draw(st.integers(2, 50)), draw(st.integers(1, 3)), draw(st.integers(1, 2))
    order = draw(st.integers(0, 2)) if order is None else order
    k = 0 if order == 0 else draw(st.integers(1, d))
    kind = draw(st.sampled_from(["none", "axes", "direction", "both"])) if k else "none"
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    min_leaf = draw(st.integers(3, 8) if order else st.integers(1, 5))
    # A node of n rows has max(4, n) bins, up to 32, and two leaves' rows at least: of more values some may share a bin,
    # where the twin tries them all.
    X = rng.choice(rng.normal(size=min(8, max(4, 2 * min_leaf))), size=(n, d))
    if missing and draw(st.booleans()):
        X[rng.random((n, d)) < 0.1] = np.nan
    y = np.nan_to_num(X) @ rng.normal(size=(d, m)) + np.nan_to_num(X[:, :1]) ** 2 + 0.3 * rng.normal(size=(n, m))
    if draw(st.booleans()):
        y[rng.random((n, m)) < 0.2] = np.nan
    axes = list(range(k)) if kind in ("axes", "both") else []
    directions = np.zeros((n, len(axes) + (kind in ("direction", "both")), k))
    for j, axis in enumerate(axes):
        directions[:, j, axis] = 1.0
    if kind in ("direction", "both"):
        directions[:, -1] = rng.normal(size=(n, k))
    slopes = rng.normal(size=(n, m, directions.shape[1]))
    if draw(st.booleans()):
        slopes[rng.random(slopes.shape) < 0.3] = np.nan
    return {
        "X": X,
        "y": y,
        "slopes": slopes,
        "directions": directions,
        "n_axes": len(axes),
        "weight": rng.uniform(0.5, 3, n) * ((rng.random(n) < 0.8) | (np.arange(n) < 2)),
        "shift": rng.normal(size=k) / 10,
        "unit": rng.uniform(0.5, 2, k),
        "n_square": draw(st.integers(1, k)) if order == 2 else 0,
        "linear": bool(order),
        "ridge": draw(st.sampled_from([1e-6, 1e-3, 1.0, 5.0])),
        "min_leaf": min_leaf,
        "max_depth": draw(st.sampled_from([1, 2, 99])),
    }


def grown(case, max_leaves=ENDLESS, best_first=False, min_gain=0.0, max_features=None, cancelled=0):
    X, y, s = case["X"], case["y"], case["slopes"].shape[2]
    axis = np.arange(case["n_axes"], dtype=np.intc)
    direction = np.ascontiguousarray(case["directions"][:, -1]) if s > len(axis) else None
    active = np.arange(len(case["shift"]), dtype=np.intc)
    coordinates = Coordinates(active, case["shift"], case["unit"], case["n_square"])
    rest = np.concatenate([y, case["slopes"].reshape(len(y), -1)], axis=1)
    rules = Rules(
        case["linear"], True, case["ridge"], min_gain, case["min_leaf"], case["max_depth"], max_leaves, best_first,
        max_features or X.shape[1],
    )  # fmt: skip
    nodes, leaves = grow(
        encode(X), case["weight"], y, rest, direction, axis, coordinates, rules, 0, np.array([cancelled], np.intc)
    )
    return Trees.single(nodes, leaves, y.shape[1], coordinates, 1.0)


@given(tables(), MIN_GAINS)
@settings(max_examples=150)
def test_predictions(case, min_gain):
    twin, tree = reference.Tree(**case, min_gain=min_gain), grown(case, min_gain=min_gain)
    rows = case["X"][case["weight"] > 0]  # elsewhere equally good splits may differ
    assert len(tree.leaves) == twin.n_leaves
    assert_allclose(tree.sums(rows), twin.predict(rows), rtol=1e-8, atol=1e-8)


@given(tables(order=2, missing=False), MIN_GAINS, st.integers(0, 2**32 - 1))
def test_far_from_the_rows(case, min_gain, seed):
    twin, tree = reference.Tree(**case, min_gain=min_gain), grown(case, min_gain=min_gain)
    rows = case["X"] + 3 * np.random.default_rng(seed).normal(size=case["X"].shape)
    assert_allclose(tree.sums(rows), twin.predict(rows), rtol=1e-7, atol=1e-7)


@given(tables(), st.integers(2, 12), st.booleans())
def test_limits_and_layout(case, max_leaves, best_first):
    tree = grown(case, max_leaves=max_leaves, best_first=best_first)
    nodes, inner = tree.nodes, np.flatnonzero(tree.nodes["feature"] >= 0)
    leaf = nodes["feature"] < 0
    assert len(tree.leaves) <= max_leaves
    assert sorted(nodes["child"][leaf]) == list(range(len(tree.leaves)))
    children = nodes["child"][inner]
    assert (children > inner).all()
    assert sorted([*children, *(children + 1)]) == list(range(1, len(nodes)))
    assert (nodes["n_samples"][children] + nodes["n_samples"][children + 1] == nodes["n_samples"][inner]).all()
    assert (nodes["gain"][inner] > 0).all()
    assert nodes["n_samples"][0] == np.count_nonzero(case["weight"])
    if len(inner):
        assert nodes["n_samples"][1:].min() >= case["min_leaf"]
    assert np.isfinite(tree.leaves).all()


@given(tables(order=0))
def test_the_best_are_split_first(case):
    """A tree of l leaves and one of l + 1 differ by one split, the best of those possible."""
    case["max_depth"] = 99
    gains = []
    for max_leaves in range(2, 8):
        inner = grown(case, max_leaves=max_leaves, best_first=True).nodes
        gains.append(sorted(inner["gain"][inner["feature"] >= 0]))
    for fewer, more in pairwise(gains):
        assert len(more) - len(fewer) in (0, 1)
        assert set(fewer) <= set(more)
    first = grown(case, max_leaves=3, best_first=True).nodes
    if (first["feature"] >= 0).sum() == 2:
        full = grown(case).nodes
        siblings = full["child"][0] + np.arange(2)
        possible = full["gain"][siblings][full["feature"][siblings] >= 0]
        assert gains[1] == sorted([full["gain"][0], possible.max()])


def test_a_gain_within_the_noise_is_no_split():
    rng = np.random.default_rng(0)
    n = 50
    case = dict(X=rng.normal(size=(n, 2)), y=rng.normal(size=(n, 1)), slopes=np.empty((n, 1, 0)),
                directions=np.empty((n, 0, 0)), n_axes=0, weight=np.ones(n), shift=NONE, unit=NONE, n_square=0,
                linear=False, ridge=1e-6, min_leaf=5, max_depth=99)  # fmt: skip
    assert len(grown(case).leaves) > 5
    assert len(grown(case, min_gain=15.0).leaves) == 1
    case["y"] = np.where(case["X"][:, :1] > 0, 1.0, 0.0) + 0.1 * case["y"]
    assert len(grown(case, min_gain=15.0).leaves) == 2


def test_a_feature_is_tried_if_those_drawn_have_no_split():
    X = np.column_stack([np.arange(8.0), *np.zeros((9, 8))])
    case = dict(X=X, y=X[:, :1].copy(), slopes=np.empty((8, 1, 0)), directions=np.empty((8, 0, 0)), n_axes=0,
                weight=np.ones(8), shift=NONE, unit=NONE, n_square=0, linear=False, ridge=1e-6, min_leaf=1,
                max_depth=99)  # fmt: skip
    tree = grown(case, max_features=1)
    assert_allclose(tree.sums(X), case["y"], rtol=1e-14)


def test_a_cancelled_tree_stops():
    rng = np.random.default_rng(0)
    n = 200_000
    case = dict(X=rng.normal(size=(n, 20)), y=rng.normal(size=(n, 1)), slopes=np.empty((n, 1, 0)),
                directions=np.empty((n, 0, 0)), n_axes=0, weight=np.ones(n), shift=NONE, unit=NONE, n_square=0,
                linear=False, ridge=1e-6, min_leaf=1000, max_depth=99)  # fmt: skip
    with pytest.raises(KeyboardInterrupt):
        grown(case, cancelled=1)


def test_known_slopes_choose_the_coordinates():
    """Of 40 features x0 is uncorrelated with y = x0^2, but y is steep along it."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(150, 40))
    y = X[:, :1] ** 2 + X[:, 1:2]
    dydx = np.zeros((150, 1, 40))
    dydx[:, 0, 0], dydx[:, 0, 1] = 2 * X[:, 0], 1.0
    weight = np.full(150, 1 / 150)
    assert set(choose_coordinates(X, y, weight, dydx)[:2]) == {0, 1}
    dydx[::2] = np.nan
    assert set(choose_coordinates(X, y, weight, dydx)[:2]) == {0, 1}
