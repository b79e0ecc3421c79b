"""Leaves, values and slopes of a forest against a loop over its nodes."""

import numpy as np
import pytest
import reference_forest as reference
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from skmerge._ext.tree_growing import NODE, Coordinates
from skmerge._ext.tree_traversal import Forest, Gaps
from skmerge._forest.tree import Trees


def random_tree(rng, d, depth):
    """Nodes of a random tree, children side by side after their parents; its leaves numbered from 0."""
    nodes, open_, n_leaves = [None], [(0, 0)], 0
    while open_:
        i, level = open_.pop(0)
        if level < depth and (level == 0 or rng.random() < 0.7):
            nodes[i] = (rng.normal(), len(nodes), rng.integers(d), 2, rng.integers(2), 1.0)
            open_ += [(len(nodes), level + 1), (len(nodes) + 1, level + 1)]
            nodes += [None, None]
        else:
            nodes[i] = (0.0, n_leaves, -1, 1, 0, 0.0)
            n_leaves += 1
    return np.array(nodes, NODE), n_leaves


@st.composite
def forests(draw):
    """A forest of random numbers, rows and weights of its members."""
    d, m = draw(st.integers(1, 4)), draw(st.integers(1, 3))
    k = draw(st.integers(0, d))
    q = draw(st.integers(0, k))
    p = 1 + k + q * (q + 1) // 2
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    active = rng.permutation(d)[:k].astype(np.intc)
    coordinates = Coordinates(active, rng.normal(size=k), rng.uniform(0.5, 2, k), q)
    members = []
    for _ in range(draw(st.integers(1, 3))):
        trees = []
        for _ in range(draw(st.integers(1, 3))):
            nodes, n_leaves = random_tree(rng, d, draw(st.integers(0, 4)))
            leaves = rng.normal(size=(n_leaves, m if k == 0 else 3 * k + m * (p + 2)))
            if k:
                leaves[:, k : 2 * k], leaves[:, 2 * k : 3 * k] = -1.0, 1.0
                outputs = leaves[:, 3 * k :].reshape(n_leaves, m, p + 2)
                outputs[:, :, p], outputs[:, :, p + 1] = -1.5, 1.5
            trees.append(Trees.single(nodes, leaves, m, coordinates, rng.uniform(0.1, 1)))
        members.append(Trees.one_member(trees))
    X = rng.normal(size=(draw(st.sampled_from([1, 2, 300])), d))
    X[rng.random(X.shape) < 0.1] = np.nan
    return members, X, rng.uniform(size=(len(members), m))


def singles(members):
    """(member, tree's nodes, its leaves, its rate)"""
    for e, trees in enumerate(members):
        for t, rate in enumerate(trees.rate):
            nodes = trees.nodes[trees.start[t] : trees.start[t + 1]].copy()
            nodes["child"][nodes["feature"] >= 0] -= trees.start[t]
            yield e, nodes, trees.leaves, rate


@given(forests(), st.booleans())
def test_forest(case, clip):
    members, X, weight = case
    joined = Trees.join(list(members))
    X_few = X[:5]
    values = np.zeros((len(members), len(X_few), joined.m))
    slopes = np.zeros((len(members), len(X_few), joined.m, X.shape[1]))
    leaves = []
    for e, nodes, table, rate in singles(members):
        leaves.append([reference.leaf_of(nodes, x) for x in X_few])
        for r, x in enumerate(X_few):
            leaf = table[nodes[leaves[-1][r]]["child"]]
            value, slope = reference.leaf_value(leaf, x, joined.m, *joined.coordinates, clip)
            values[e, r] += rate * value
            slopes[e, r] += rate * slope
    assert_array_equal(joined.apply(X)[:5], np.transpose(leaves))
    mean, square = joined.moments(X, weight, clip)
    assert_allclose(mean[:5], np.einsum("em,enm->nm", weight, values), rtol=1e-12, atol=1e-12)
    assert_allclose(square[:5], np.einsum("em,enm->nm", weight, values**2), rtol=1e-12, atol=1e-12)
    assert_allclose(joined.sums(X)[:5], values.sum(axis=0), rtol=1e-12, atol=1e-12) if clip else None
    assert_allclose(joined.slopes(X, weight, clip)[:5], np.einsum("em,enmd->nmd", weight, slopes), rtol=1e-12,
                    atol=1e-12)  # fmt: skip


@given(forests())
def test_no_row_changes_another(case):
    members, X, weight = case
    joined = Trees.join(list(members))
    for method in (joined.sums, joined.slopes):
        assert_array_equal(method(X, weight)[-1:], method(X[-1:].copy(), weight))


def small(**changes):
    """What a Forest of one tree and one member is made of, with changes."""
    nodes = np.array([(0.0, 1, 0, 2, 0, 1.0), (0, 0, -1, 1, 0, 0), (0, 1, -1, 1, 0, 0)], NODE)
    none = {"active": np.empty(0, np.intc), "shift": np.empty(0), "unit": np.empty(0), "n_square": 0}
    own = Coordinates(**{name: changes.pop(name, value) for name, value in none.items()})
    parts = {"nodes": nodes, "start": np.array([0, 3]), "leaves": np.array([[1.0], [2.0]]), "m": 1}
    return parts | {"coordinates": own, "rate": np.ones(1), "member_start": np.array([0, 1])} | changes


ROWS = np.array([[-1.0], [1.0]])
GAPS = Gaps(np.arange(2), ROWS, np.full((2, 1), -2.0), np.full((2, 1), 2.0), np.full((2, 1), 0.3), np.ones((2, 1)))
ONE = np.ones((1, 1))
WALKS = {
    "apply": lambda forest: forest.apply(ROWS),
    "moments": lambda forest: forest.moments(ROWS, True, ONE, True),
    "between": lambda forest: forest.between(GAPS, True, ONE, True, True),
    "beside": lambda forest: forest.beside(ROWS, GAPS.low, GAPS.high, np.full(2, 0.3), True, ONE),
}


@pytest.mark.parametrize("walk", WALKS.values(), ids=WALKS)
def test_damaged_nodes(walk):
    assert walk(Forest(1, **small())) is not None
    for field, node, values in (
        ("feature", 0, [1, 2**31 - 1]),
        ("child", 0, [0, -1, -(2**31), 2, 3, 2**31 - 1]),  # 0: a cycle; 2: its sibling is past the end
        ("child", 1, [2, -1, 2**31 - 1, -(2**31)]),
    ):
        for value in values:
            parts = small()
            parts["nodes"][field][node] = value
            with pytest.raises(ValueError, match="damaged"):
                walk(Forest(1, **parts))


def test_damaged_forest():
    for name, values in (
        ("nodes", [np.empty(0, NODE), small()["nodes"][:2]]),
        ("start", [np.empty(0, np.intp), np.array([0]), np.array([0, 4]), np.array([-1, 3]), np.array([3, 0]),
                   np.array([0, 0, 3])]),
        ("leaves", [np.empty((0, 1)), np.empty((2, 0)), np.ones((2, 2))]),
        ("m", [0, -1, 2]),
        ("active", [np.zeros(1, np.intc)]),
        ("shift", [np.ones(1)]),
        ("n_square", [-1, 1]),
        ("rate", [np.empty(0), np.ones(2)]),
        ("member_start", [np.empty(0, np.intp), np.array([0]), np.array([0, 2]), np.array([-1, 1]),
                          np.array([0, 5, 1])]),
    ):  # fmt: skip
        for value in values:
            with pytest.raises(ValueError, match="damaged"):
                Forest(1, **small(**{name: value}))


def test_weights_of_other_members():
    forest = Forest(1, **small())
    for weight in (np.ones((2, 1)), np.ones((1, 2)), np.ones((0, 1))):
        for ask in (
            lambda weight: forest.moments(ROWS, True, weight, True),
            lambda weight: forest.gradient(ROWS, True, weight, True),
            lambda weight: forest.between(GAPS, True, weight, False, True),
            lambda weight: forest.beside(ROWS, GAPS.low, GAPS.high, np.full(2, 0.3), True, weight),
        ):
            with pytest.raises(ValueError, match=r"member_weight_.*damaged"):
                ask(weight)


def test_rows_of_other_shapes():
    forest = Forest(1, **small())
    with pytest.raises(ValueError, match="2 columns where the forest has 1"):
        forest.apply(np.ones((3, 2)))
    for name in ("low", "high", "near", "steep"):
        with pytest.raises(ValueError, match="same shape"):
            forest.between(GAPS._replace(**{name: np.ones((3, 1))}), True, ONE, False, True)
