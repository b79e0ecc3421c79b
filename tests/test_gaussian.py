"""Columns as one Gaussian: the conditional beside its textbook form, filling and fitting, smooth means."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skmerge._gaussian.conditional import conditional, each_without_itself, fill, variance_of
from skmerge._gaussian.joint import Joint, _iterate, _Smoother, _State, fit_joint, kernel


def covariance(rng, m):
    A = rng.normal(size=(m, m))
    return A @ A.T + np.eye(m)


def textbook(S, seen, wanted, noise):
    """Gain and what is left, by the inverse of the covariance of what was seen."""
    inverse = np.linalg.inv(S[np.ix_(seen, seen)] + np.diag(np.broadcast_to(noise, len(seen))))
    gain = inverse @ S[np.ix_(seen, wanted)]
    return gain, S[np.ix_(wanted, wanted)] - S[np.ix_(wanted, seen)] @ gain


@given(st.integers(1, 8), st.data(), st.integers(0, 1000))
def test_both_ways_are_the_textbook_conditional(m, data, seed):
    rng = np.random.default_rng(seed)
    S = covariance(rng, m)
    seen = np.sort(data.draw(st.lists(st.integers(0, m - 1), unique=True))).astype(int)
    hidden = np.setdiff1d(np.arange(m), seen)
    wanted = hidden[: data.draw(st.integers(0, len(hidden)))]
    for noise in (0.0, rng.uniform(0, 1, len(seen))):
        expected = textbook(S, seen, wanted, noise)
        for precision in (None, np.linalg.inv(S)):
            for found, value in zip(conditional(S, seen, wanted, noise, precision), expected, strict=True):
                np.testing.assert_allclose(found, value, atol=1e-8)
    # With noise, what was measured is unknown, too.
    noise = rng.uniform(0.1, 1, len(seen))
    found = conditional(S, seen, np.arange(m), noise)
    np.testing.assert_allclose(found[1], textbook(S, seen, np.arange(m), noise)[1], atol=1e-8)


@given(st.integers(1, 7), st.data(), st.integers(0, 1000))
def test_each_without_itself_is_the_conditional_of_one(m, data, seed):
    rng = np.random.default_rng(seed)
    S = covariance(rng, m)
    seen = np.sort(data.draw(st.lists(st.integers(0, m - 1), unique=True))).astype(int)
    residual = rng.normal(size=(3, len(seen)))
    for noise, precision in ((0.0, None), (0.0, np.linalg.inv(S)), (rng.uniform(0, 1, len(seen)), None)):
        expected, variance = each_without_itself(S, seen, residual, noise, precision)
        for j in range(m):
            use = np.flatnonzero(seen != j)
            gain, left = textbook(S, seen[use], [j], np.broadcast_to(noise, len(seen))[use])
            np.testing.assert_allclose(expected[:, j], (residual[:, use] @ gain)[:, 0], atol=1e-7)
            np.testing.assert_allclose(variance[j], left[0, 0], atol=1e-7)


def test_a_fill_does_not_depend_on_the_batch():
    rng = np.random.default_rng(0)
    mean, S, z = rng.normal(size=5), covariance(rng, 5), rng.normal(size=(40, 5))
    z[rng.random(z.shape) < 0.4] = np.nan
    filled = fill(mean, S, z)
    for i, row in enumerate(z):
        np.testing.assert_array_equal(fill(mean, S, z[i : i + 1])[0], filled[i])
        seen, hidden = np.flatnonzero(~np.isnan(row)), np.flatnonzero(np.isnan(row))
        expected = mean[hidden] + (row[seen] - mean[seen]) @ textbook(S, seen, hidden, 0.0)[0]
        np.testing.assert_allclose(filled[i, hidden], expected)
    np.testing.assert_array_equal(fill(mean, S[:0, :0], z), np.where(np.isnan(z), mean, z))


def test_missing_cells_add_what_a_plane_makes_of_their_covariance():
    rng = np.random.default_rng(4)
    S = covariance(rng, 3)
    z, slope = rng.normal(size=(6, 3)), rng.normal(size=(3, 2))
    z[0, 1], z[1, [0, 2]], z[2] = np.nan, np.nan, np.nan
    filled = fill(np.zeros(3), S, z)
    added = variance_of(S, z, lambda rows, moves: (filled[rows] + moves) @ slope)
    expected = np.zeros((6, 2))
    for i in range(3):
        seen, hidden = np.flatnonzero(~np.isnan(z[i])), np.flatnonzero(np.isnan(z[i]))
        left = textbook(S, seen, hidden, 0.0)[1]
        expected[i] = np.diag(slope[hidden].T @ left @ slope[hidden])
    np.testing.assert_allclose(added, expected, atol=1e-12)
    np.testing.assert_array_equal(variance_of(S, z[3:], None), 0.0)


def test_left_out_is_the_normal_conditional():
    rng = np.random.default_rng(0)
    A = rng.normal(size=(4, 4))
    S = A @ A.T + np.eye(4)
    z = rng.normal(size=(6, 4))
    z[rng.random(z.shape) < 0.3] = np.nan
    error = rng.uniform(0, 1, z.shape)
    joint = Joint(rng.normal(size=4), S, np.zeros((0, 0)), np.zeros((0, 4)), 0.0, 0.0)
    smooth = rng.normal(size=z.shape)
    expected, variance = joint.left_out(z, smooth, error)
    for i, j in np.ndindex(*z.shape):
        use = [k for k in range(4) if k != j and not np.isnan(z[i, k])]
        mean = joint.mean + smooth[i]
        inverse = np.linalg.inv(S[np.ix_(use, use)] + np.diag(error[i, use] ** 2)) if use else np.zeros((0, 0))
        assert expected[i, j] == pytest.approx(mean[j] + S[j, use] @ inverse @ (z[i, use] - mean[use]))
        assert variance[i, j] == pytest.approx(S[j, j] - S[j, use] @ inverse @ S[use, j])


def test_damping_reaches_the_same_fixed_point():
    rng = np.random.default_rng(0)
    X = rng.uniform(0.5, 4.0, (60, 2))
    z = np.column_stack([X[:, 0] * X[:, 1], X.sum(axis=1), X[:, 0] - X[:, 1]]) - [4.0, 4.0, 0.0]
    z[rng.random(z.shape) < 0.4] = np.nan
    smoother = _Smoother(kernel(X, X, 1.0), 0.5, np.arange(60))
    flat = np.zeros(z.shape)
    start = _State(np.eye(3), np.zeros(3), flat, flat, z)
    plain, damped = (_iterate(z, smoother, start, None, 3.0, damping, 2000, 1e-9) for damping in (1.0, 0.5))
    assert plain.change < 1e-9
    assert plain.n_iter < damped.n_iter < 2000
    np.testing.assert_allclose(plain.fills, damped.fills, atol=1e-6)


def test_smooth_means_of_groups_left_out_are_refits_without_them():
    """The block formula is exact: fill targets given, the group's rows removed, the ridge solved again."""
    rng = np.random.default_rng(0)
    X, y, groups = rng.normal(size=(20, 2)), rng.normal(size=(20, 3)), np.repeat(np.arange(5), 4)
    K = kernel(X, X, 1.0)
    smoother = _Smoother(K, 0.3, groups)
    left = smoother.left_out(y, smoother.hat @ y)
    for g in range(5):
        out = groups == g
        weight = np.linalg.solve(K[np.ix_(~out, ~out)] + 0.3 * np.eye(16), y[~out])
        np.testing.assert_allclose(left[out], K[np.ix_(out, ~out)] @ weight, atol=1e-9)


def test_expectation_maximisation_raises_the_likelihood():
    """Without a prior the fixed point of a complete table is its covariance."""
    z = np.random.default_rng(0).normal(size=(500, 3)) @ np.array([[1, 0.5, 0], [0, 1, 0.3], [0, 0, 1]])
    (joint,) = fit_joint(z, np.zeros((500, 0)), np.arange(500), prior=1e-9, tol=1e-9, max_iter=500)
    np.testing.assert_allclose(joint.covariance, np.cov(z.T, bias=True), atol=0.01)
