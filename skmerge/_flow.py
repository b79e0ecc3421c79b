"""What trajectories of cubic crystals say of plastic flow, and the table of splines that holds it.

Where a crystal flows, its stress hardly depends on how it got there: stress relaxes within 0.1 % of strain to the flow
stress S(axis, rho), and density and lattice rotation follow the plastic strain. These three, and not the rates of the
record, are smooth: the slope of stress falls by a factor of 100 within one step, S does not. S and
d sqrt(rho) / d eps_p are nearly linear in sqrt(rho) (Taylor, Kocks and Mecking), hence six splines suffice along it.
"""

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.interpolate import BSpline
from scipy.ndimage import binary_dilation
from scipy.sparse.linalg import splu

from skmerge._orientation import (
    OPERATIONS,
    inverse,
    product,
    quaternion_from,
    quaternion_of,
    reduced_axis,
    rotation_vector,
    turn_pseudovector,
    turned,
)

N_AXIS, N_DENSITY = 32, 6  # splines; 20 along each coordinate of the axis double the error of rotation, 48 gain nothing
MARGIN = 0.15  # the table goes that far beyond the triangle, where mirror images of its rows lie
PENALTY = 1e-7  # of second differences, beside mean squares; 1e-6 and 1e-8 are within a third of the error
FLOWING = 0.9  # least plastic part of a step that tells of flow
THIN = 0.05  # of standard deviations of the features, between steps of a trajectory that are used
PRIOR = 1e-2  # rows that the forest's guess of an unvisited cell counts as
KNEE = 20.0  # exponent of the knee where no step lies in it; flow stress depends on it by 0.05 % at most
STIFFER = 10.0  # elastic over the first slope, where a record does not resolve the knee


@dataclass(frozen=True)
class Steps:
    """Steps of trajectories, or states with their rates, the axis reduced to one triangle.

    Parameters
    ----------
    features : ndarray of shape (n, 3): b1 / b3, b2 / b3 and sqrt(rho) at the middle of the step
    operation : ndarray of shape (n, 3, 3), that reduced the axis
    group : ndarray of shape (n,), which trajectory
    sign : ndarray of shape (n,), 1 where strain rises, -1 where it falls
    length : ndarray of shape (n,), |d eps|
    stress, last_stress : ndarray of shape (n,), at the middle and at the end
    slope : ndarray of shape (n,), d sigma / d eps
    storage : ndarray of shape (n,), d sqrt(rho) / |d eps|
    spin : ndarray of shape (n, 3), rotation per d eps, a vector in the reduced frame
    """

    features: np.ndarray
    operation: np.ndarray
    group: np.ndarray
    sign: np.ndarray
    length: np.ndarray
    stress: np.ndarray
    last_stress: np.ndarray
    slope: np.ndarray
    storage: np.ndarray
    spin: np.ndarray


def steps_of(strain, state, group, axis):
    """Steps of trajectories, whose records (n,), (n, 5) stand one after the other."""
    at = np.flatnonzero(group[1:] == group[:-1])
    h = strain[at + 1] - strain[at]
    quaternion = quaternion_of(state[:, 2:5])
    turn = rotation_vector(product(inverse(quaternion[at]), quaternion[at + 1]))
    middle = product(quaternion[at], quaternion_from(turn / 2))
    root = np.sqrt(state[:, 1])
    rates = (state[at + 1, 0] - state[at, 0]) / h, (root[at + 1] - root[at]) / np.abs(h), turn / h[:, None]
    stress = (state[at, 0] + state[at + 1, 0]) / 2
    return assemble(middle, (root[at] + root[at + 1]) / 2, stress, state[at + 1, 0], rates, h, group[at], axis)


def states_with_rates(state, rate, axis):
    """Steps of no length: states (n, 5) and their rates for rising strain."""
    delta = 1e-6
    quaternion = quaternion_of(state[:, 2:5])
    turn = rotation_vector(product(inverse(quaternion), quaternion_of(state[:, 2:5] + delta * rate[:, 2:5])))
    root = np.sqrt(state[:, 1])
    rates = rate[:, 0], rate[:, 1] / (2 * root), turn / delta
    n = len(state)
    return assemble(quaternion, root, state[:, 0], state[:, 0], rates, np.full(n, 1e-3), np.arange(n), axis)


def assemble(quaternion, root, stress, last_stress, rates, h, group, axis):
    reduced, operation = reduced_axis(turned(inverse(quaternion), np.broadcast_to(axis, (len(h), 3))))
    features = np.column_stack([reduced[:, :2] / reduced[:, 2:], root])
    slope, storage, spin = rates
    return Steps(
        features, operation, group, np.where(h > 0, 1, -1), np.abs(h), stress, last_stress, slope, storage,
        turn_pseudovector(operation, spin),
    )  # fmt: skip


def elastic_slopes(steps):
    """The steepest step of every trajectory: its row, its slope; and whether the record resolves the knee.

    Steps that begin under stress against the direction of straining are left out: right after a reversal the crystal
    still flows backwards, and the slope is up to twice the modulus.
    """
    loaded = steps.sign * (2 * steps.stress - steps.last_stress) >= -1e-6 * np.abs(steps.last_stress)
    loaded |= np.bincount(steps.group, loaded)[steps.group] == 0
    order = np.lexsort((-np.where(loaded, steps.slope, -np.inf), steps.group))
    first = np.r_[True, np.diff(steps.group[order]) != 0]
    best = order[first]
    second = np.flatnonzero(first) + 1
    second = second[(second < len(order)) & ~np.r_[first, True][second]]
    if not len(second):
        return best, steps.slope[best], False
    # Two steps of nearly the same slope are elastic ones; where the second is much less, the first holds the knee.
    resolved = np.median(steps.slope[order[second]] / steps.slope[order[second - 1]]) > 0.5
    return best, steps.slope[best] * (1.0 if resolved else STIFFER), bool(resolved)


def images(features, *pseudovectors):
    """Rows, and their images under the cubic group that lie within MARGIN of the triangle.

    Returns
    -------
    index : which row each is an image of
    features, *pseudovectors : of the images
    """
    axis = np.column_stack([features[:, :2], np.ones(len(features))])
    index, found, turned_vectors = [], [], [[] for _ in pseudovectors]
    for operation in OPERATIONS:
        b = axis @ operation.T
        with np.errstate(divide="ignore", invalid="ignore"):
            p, q = b[:, 0] / b[:, 2], b[:, 1] / b[:, 2]
        inside = (b[:, 2] > 0) & (p >= -MARGIN) & (q <= 1 + MARGIN) & (p <= q + MARGIN)
        if (operation == np.eye(3)).all():
            inside[:] = True
        index.append(np.flatnonzero(inside))
        found.append(np.column_stack([p, q, features[:, 2]])[inside])
        for vectors, out in zip(pseudovectors, turned_vectors, strict=True):
            out.append((vectors @ operation.T * np.linalg.det(operation))[inside])
    return np.concatenate(index), np.concatenate(found), *(np.concatenate(out) for out in turned_vectors)


def thinned(steps, rows):
    """Of some steps, those at least THIN apart along their trajectory."""
    features = steps.features[rows] / np.maximum(steps.features[rows].std(axis=0), 1e-12)
    apart = np.sqrt((np.diff(features, axis=0) ** 2).sum(axis=1))
    same = steps.group[rows][1:] == steps.group[rows][:-1]
    along = np.cumsum(np.r_[0.0, np.where(same, apart, 0.0)]) // THIN
    return rows[np.r_[True, ~same | (np.diff(along) > 0)]]


def targets(steps, rows, modulus):
    """Flow stress, storage and spin per plastic strain, (n, 5), of flowing steps."""
    plastic = 1.0 - steps.slope[rows] / modulus[rows]
    flow = steps.sign[rows] * steps.stress[rows] / plastic ** (1.0 / KNEE)
    return np.column_stack([flow, steps.storage[rows] / plastic, steps.spin[rows] / plastic[:, None]])


def path_slopes(steps, rows, values):
    """Directions of the features from each row to the next of its trajectory, and what the values change: NaN at
    ends, and where the reduction of the axis changes, which a spin jumps with."""
    direction = np.zeros((len(rows), 3))
    change = np.full(values.shape, np.nan)
    follows = (steps.group[rows][1:] == steps.group[rows][:-1]) & (
        steps.operation[rows][1:] == steps.operation[rows][:-1]
    ).all(axis=(1, 2))
    direction[:-1] = np.where(follows[:, None], np.diff(steps.features[rows], axis=0), 0.0)
    change[:-1] = np.where(follows[:, None], np.diff(values, axis=0), np.nan)
    change[(direction == 0).all(axis=1)] = np.nan
    return direction, change


# --- splines


def grid_of(steps):
    """Low and step of the axis, low and step of sqrt(rho), its least and greatest value."""
    half = steps.storage * steps.length / 2
    ends = np.r_[steps.features[:, 2] - half, steps.features[:, 2] + half]
    low, high = ends.min() * (1 - 1e-6), ends.max() * (1 + 1e-6)  # what is recorded may be rounded
    spread = max(high - low, 1e-3 * high)
    axis_step = (1 + 2 * MARGIN) / (N_AXIS - 3)
    return np.array([-MARGIN, axis_step, low, spread / (N_DENSITY - 3), low, high])


def design(x, low, step, n):
    """Values of n cubic B-splines at x, clipped to the grid, as a sparse matrix."""
    knots = low + step * np.arange(-3, n + 1)
    x = np.clip(x, knots[3], knots[n])
    return BSpline.design_matrix(np.minimum(x, np.nextafter(knots[n], -np.inf)), knots, 3).tocsr()


def row_product(a, b):
    """Row by row products of the entries of two sparse matrices with as many entries in every row."""
    n = a.shape[0]
    i, j = a.indices.reshape(n, -1), b.indices.reshape(n, -1)
    index = (i[:, :, None] * b.shape[1] + j[:, None, :]).reshape(n, -1)
    value = (a.data.reshape(n, -1)[:, :, None] * b.data.reshape(n, -1)[:, None, :]).reshape(n, -1)
    start = np.arange(n + 1) * index.shape[1]
    return sparse.csr_matrix((value.ravel(), index.ravel(), start), shape=(n, a.shape[1] * b.shape[1]))


def basis(features, grid, density=True):
    """Tensor product splines at rows of features."""
    out = row_product(*(design(features[:, i], grid[0], grid[1], N_AXIS) for i in (0, 1)))
    return row_product(out, design(features[:, 2], grid[2], grid[3], N_DENSITY)) if density else out


def smooth(matrix, values, weight, density=True):
    """Coefficients of the smoothest splines through weighted rows, by penalised least squares."""

    def curvature(n):
        second = sparse.diags([1.0, -2.0, 1.0], [0, 1, 2], shape=(n - 2, n))
        return second.T @ second

    one, other = sparse.eye(N_AXIS), curvature(N_AXIS)
    penalty = sparse.kron(other, one) + sparse.kron(one, other)
    if density:
        eye = sparse.eye(N_DENSITY)
        along = 0.3 * sparse.kron(sparse.eye(N_AXIS**2), curvature(N_DENSITY))
        penalty = sparse.kron(penalty, eye) + along
    weight = weight / weight.sum()
    weighted = matrix.multiply(weight[:, None]).tocsr()
    scale = np.sqrt(weight @ values**2)
    scale = np.where(scale > 0, scale, 1.0)
    gram = matrix.T @ weighted + PENALTY * penalty + 1e-12 * sparse.eye(matrix.shape[1])
    return splu(gram.tocsc()).solve(weighted.T @ (values / scale)) * scale


def cells_of(features, grid):
    """Number of the grid cell of every row along each coordinate."""
    low, step = grid[[0, 0, 2]], grid[[1, 1, 3]]
    last = np.array([N_AXIS, N_AXIS, N_DENSITY]) - 4
    return np.clip(((features - low) / step).astype(int), 0, last)


def condense(steps, rows, values, modulus_rows, modulus, grid, guess):
    """The table of one direction of straining.

    Parameters
    ----------
    rows, values : flowing steps and their targets (n, 5)
    modulus_rows, modulus : elastic steps and their slopes
    guess : callable of features (n, 3) in the triangle, the forest's targets where no row comes

    Returns
    -------
    table : ndarray of shape (N_AXIS, N_AXIS, N_DENSITY, 6)
    reached : uint8 ndarray of shape (N_AXIS - 3, N_AXIS - 3, N_DENSITY - 3)
    """
    index, features, spin = images(steps.features[rows], values[:, 2:])
    values = np.column_stack([values[index, :2], spin])
    visited = np.zeros((N_AXIS - 3, N_AXIS - 3, N_DENSITY - 3), bool)
    visited[tuple(cells_of(features, grid).T)] = True
    near = np.ones((3, 3, 1), bool)
    reached = binary_dilation(visited, near)
    empty = np.argwhere(~reached)
    centres = grid[[0, 0, 2]] + (empty + 0.5) * grid[[1, 1, 3]]
    reduced, operation = reduced_axis(np.column_stack([centres[:, :2], np.ones(len(centres))]))
    if len(centres):
        guessed = guess(np.column_stack([reduced[:, :2] / reduced[:, 2:], centres[:, 2]]))
        guessed[:, 2:] = turn_pseudovector(operation.transpose(0, 2, 1), guessed[:, 2:])
        features, values = np.concatenate([features, centres]), np.concatenate([values, guessed])
    weight = np.where(np.arange(len(features)) < len(index), 1.0, PRIOR)
    table = np.empty((N_AXIS, N_AXIS, N_DENSITY, 6))
    table[..., :5] = smooth(basis(features, grid), values, weight).reshape(N_AXIS, N_AXIS, N_DENSITY, 5)
    index, features = images(steps.features[modulus_rows])
    matrix = basis(features, grid, density=False)
    stiffness = smooth(matrix, modulus[index][:, None], np.ones(len(index)), density=False)
    table[..., 5] = np.maximum(stiffness, modulus.min() / 2).reshape(N_AXIS, N_AXIS, 1)
    return table, reached.astype(np.uint8)


def knee_exponent(steps, modulus, tables, grid):
    """n of p = x^n, x the stress at the end of a step over the flow stress; KNEE where no step is in it."""
    plastic = 1.0 - steps.slope / modulus
    rows = np.flatnonzero((plastic > 0.05) & (plastic < 0.95) & (steps.sign * steps.stress > 0))
    if len(rows) < 5:
        return KNEE
    values = basis(steps.features[rows], grid)
    flow = np.zeros(len(rows))
    for sign, table in tables.items():
        flow = np.where(steps.sign[rows] == sign, values @ table[..., 0].ravel(), flow)
    x = steps.sign[rows] * steps.last_stress[rows] / np.where(flow > 0, flow, 1.0)
    usable = (x > 0.3) & (x < 0.995) & (flow > 0)
    if usable.sum() < 5:
        return KNEE
    return float(np.clip(np.median(np.log(plastic[rows][usable]) / np.log(x[usable])), 3.0, 100.0))
