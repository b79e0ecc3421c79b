"""The polynomial of a leaf against its twin."""

import numpy as np
import pytest
import reference_forest as reference
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from skmerge._ext import tree_leaf


@st.composite
def polynomials(draw):
    k = draw(st.integers(0, 6))
    q = draw(st.integers(0, k))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    size = draw(st.sampled_from([1e-3, 1.0, 1e3]))
    coef = rng.normal(size=1 + k + q * (q + 1) // 2)
    return coef, size * rng.normal(size=(draw(st.integers(1, 4)), k)), q


@given(polynomials())
def test_value_and_slope(case):
    coef, Z, q = case
    value, slope = tree_leaf.polynomial(coef, Z, q)
    for r, z in enumerate(Z):
        size = np.abs(coef) @ np.abs(reference.terms(z, q))
        assert_allclose(value[r], coef @ reference.terms(z, q), rtol=0, atol=1e-14 * size)
        for i in range(Z.shape[1]):
            phi = reference.slope_terms(z, np.eye(Z.shape[1])[i], q)
            assert_allclose(slope[r, i], coef @ phi, rtol=0, atol=1e-13 * (np.abs(coef) @ np.abs(phi)))


@given(polynomials(), st.integers(0, 2**32 - 1))
def test_recentred(case, seed):
    coef, Z, q = case
    shift = np.random.default_rng(seed).normal(size=Z.shape[1])
    moved = tree_leaf.recentred(coef, shift, q)
    before, after = tree_leaf.polynomial(coef, Z, q), tree_leaf.polynomial(moved, Z - shift, q)
    size = np.abs(coef).sum() * (1 + np.abs(Z).max(initial=0) + np.abs(shift).max(initial=0)) ** 2
    for x, y in zip(before, after, strict=True):
        assert_allclose(y, x, rtol=0, atol=1e-13 * size)


def test_shapes_that_do_not_fit_are_refused():
    for coef, k, q in ((np.ones(3), 1, 0), (np.ones(2), 1, 1), (np.ones(2), 1, -1), (np.ones(5), 1, 2)):
        with pytest.raises(ValueError, match="coef"):
            tree_leaf.polynomial(coef, np.zeros((1, k)), q)
    with pytest.raises(ValueError, match="coef and shift"):
        tree_leaf.recentred(np.ones(3), np.zeros(1), 0)
