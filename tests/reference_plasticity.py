"""Slow, obvious twins of the compiled step of crystals."""

import numpy as np
from scipy.interpolate import BSpline
from scipy.optimize import brentq
from scipy.spatial.transform import Rotation


def splines(x, low, step, n):
    """Values of n cubic B-splines of a regular grid at x, clipped to it."""
    x = np.clip(x, low, low + (n - 3) * step)
    knots = low + step * np.arange(-3, n + 1)
    x = min(x, knots[n] - 1e-9 * step)
    return np.array([BSpline.basis_element(knots[i : i + 5], extrapolate=False)(x) for i in range(n)])


def rates(table, grid, a, root):
    """S, K, W in the crystal's frame and E of an axis of loading in the crystal and a density."""
    order = np.argsort(np.abs(a), kind="stable")
    S = np.zeros((3, 3))
    for i, j in enumerate(order):
        S[i, j] = 1.0 if a[j] >= 0 else -1.0
    b = S @ a
    values = table
    for x, low, step in (
        (b[0] / b[2], grid[0], grid[1]),
        (b[1] / b[2], grid[0], grid[1]),
        (root, grid[2], grid[3]),
    ):
        weight = np.nan_to_num(splines(x, low, step, values.shape[0]))
        values = np.tensordot(weight, values, axes=(0, 0))
    values = values.copy()
    values[2:5] = np.linalg.det(S) * S.T @ values[2:5]
    return values


def stress_after(before, S, E, h, n):
    """d sigma' of one step, and its plastic part."""

    def excess(x):
        return S * x + E * h * np.sign(x) * abs(x) ** n - before - E * h

    bound = 2 + abs(before + E * h) / S
    x = brentq(excess, -bound, bound, xtol=1e-14, rtol=1e-15)
    return S * x, max(1 - (S * x - before) / (E * h), 0.0)


def step(table, grid, axis, exponent, state, d_eps, heun, first=None):
    """New state (stress, density, quaternion) after one strain step; with memory, of the axis that was the first."""
    stress, density, quaternion = state[0], state[1], state[2:]
    rotation, root = Rotation.from_quat(quaternion), np.sqrt(density)
    d, h = np.sign(d_eps), abs(d_eps)
    margin = 0.1 * (grid[5] - grid[4])

    def bounded(u):
        return np.clip(u, max(grid[4] - margin, grid[4] / 2), grid[5] + margin)

    def crystal_axis(rotation):
        return rotation.inv().apply(axis) if first is None else first

    y = rates(table, grid, crystal_axis(rotation), root)
    after, p = stress_after(d * stress, y[0], y[5], h, exponent)
    if heun:
        turned = rotation * Rotation.from_rotvec(d * h * p * y[2:5])
        z = rates(table, grid, crystal_axis(turned), bounded(root + h * p * y[1]))
        y = np.r_[z[0], (y[1:] + z[1:]) / 2]
        after, p = stress_after(d * stress, y[0], y[5], h, exponent)
    turned = rotation * Rotation.from_rotvec(d * h * p * y[2:5])
    return np.r_[d * after, bounded(root + h * p * y[1]) ** 2, turned.as_quat()]
