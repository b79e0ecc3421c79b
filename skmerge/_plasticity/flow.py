"""Plastic flow in trajectories of cubic crystals, and the table of splines that represents it.

The stress of a crystal that flows plastically hardly depends on its history: within 0.1 % of strain it relaxes to the
flow stress S(axis, rho). Density and lattice rotation change with the plastic strain, at rates that are functions of
axis and rho, too. These three functions are smooth, but the recorded rates are not: the slope of stress falls by a
factor of 100 within one step. S and d sqrt(rho) / d eps_p are nearly linear in sqrt(rho) (Taylor, Kocks and Mecking),
so that six splines along it suffice.

Where several sets of slip systems are possible, a crystal keeps its first one, which neither axis nor density show.
With memory, the functions depend on the axis at the start of the path.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import sparse
from scipy.interpolate import NdBSpline, RBFInterpolator
from scipy.linalg import solveh_banded
from scipy.ndimage import binary_dilation
from scipy.spatial import cKDTree
from threadpoolctl import threadpool_limits

from skmerge._orientation import (
    OPERATIONS,
    inverse,
    product,
    quaternion_from,
    quaternion_of,
    reduced_axis,
    rotated,
    rotation_vector,
    turn_pseudovector,
)

SMOOTH = 32, 32, 6  # splines; with 20 along each coordinate of the axis errors of rotation double, 48 are no better
MEMORY = 48, 48, 40  # with memory; 32 and 24 increase the error by a tenth
MARGIN = 0.15  # of the table around the triangle, where the images of its rows by symmetry lie
PENALTY = 1e-7  # on second differences, relative to mean squares; with 1e-6 and 1e-8 errors change by a third at most
ROOT_PENALTY = 30.0  # times PENALTY along sqrt(rho); 0.3 increases errors by a tenth, with 100 crystals by a third
MANY_TRAJECTORIES = 300  # trajectories; fewer are penalised more, which decreases the error of 50 by half
PLASTIC = 0.9  # least plastic share of a step from which flow is learned
SPACING = 0.03  # of steps of a trajectory that are used, in standard deviations of the features
GUESS_WEIGHT = 1e-2  # of the forest's prediction in a cell without rows; a row has 1
KNEE_EXPONENT = 20.0  # exponent of the knee where no step lies in it; flow stress depends on it by 0.05 % at most
# Flow stresses of similar states differ by .01-.05 if 10 to 400 crystals obey one law, by .12-.34 if two rates, two
# materials or inverse orientations are mixed, by .15 among grains of a polycrystal.
MOST_DIFFERENT, NEAR_STATE, N_COMPARED = 0.1, 0.15, 3000
SMALL_STRAIN = 1e-6  # over which rates of angles become rotations, and rotations rates of angles
STIFFER = 10.0  # elastic slope over the first slope, if the record does not resolve the knee


@dataclass(frozen=True)
class Steps:
    """Steps of trajectories, or states with their rates, the axis reduced to one triangle.

    Without an axis, the features are the rotation vector of the orientation, not reduced, and sqrt(rho).
    """

    features: np.ndarray  # (n, 3), b1 / b3, b2 / b3 and sqrt(rho) at the middle of the step
    operation: np.ndarray  # (n, 3, 3), which reduces the axis
    group: np.ndarray  # (n,), the number of the trajectory
    sign: np.ndarray  # (n,), 1 where strain rises, -1 where it falls
    length: np.ndarray  # (n,), |d eps|; 1e-3 of a state
    stress: np.ndarray  # (n,), at the middle
    last_stress: np.ndarray  # (n,), at the end
    slope: np.ndarray  # (n,), d sigma / d eps
    storage: np.ndarray  # (n,), d sqrt(rho) / |d eps|
    spin: np.ndarray  # (n, 3), rotation per d eps, a vector in the reduced frame
    of_states: bool = False  # whether each is a state with its rates, a trajectory of its own

    @property
    def longest(self):
        """Length of the longest step; states do not limit it."""
        return np.inf if self.of_states else float(self.length.max())


def steps_of(strain, state, group, axis, memory=False):
    """Steps of trajectories, whose records (n,), (n, 5) follow one another.

    With ``memory`` the axis among the features, and the operation that reduces it, are those of the first record.
    """
    at = np.flatnonzero(group[1:] == group[:-1])
    h = strain[at + 1] - strain[at]
    quaternion = quaternion_of(state[:, 2:5])
    turn = rotation_vector(product(inverse(quaternion[at]), quaternion[at + 1]))
    middle = product(quaternion[at], quaternion_from(turn / 2))
    root = np.sqrt(state[:, 1])
    rates = (state[at + 1, 0] - state[at, 0]) / h, (root[at + 1] - root[at]) / np.abs(h), turn / h[:, None]
    stress = (state[at, 0] + state[at + 1, 0]) / 2
    if memory:
        middle = quaternion[np.searchsorted(group, group[at])]
    return assemble(middle, (root[at] + root[at + 1]) / 2, stress, state[at + 1, 0], rates, h, group[at], axis)


def states_with_rates(state, rate, axis):
    """Steps of states (n, 5), or (n, 6) with quaternions, and their rates under rising strain."""
    if state.shape[1] == 6:
        quaternion = state[:, 2:]
        spin = 2 * product(inverse(quaternion), rate[:, 2:])[:, :3]
    else:
        quaternion = quaternion_of(state[:, 2:])
        spin = rotation_vector(product(inverse(quaternion), quaternion_of(state[:, 2:] + SMALL_STRAIN * rate[:, 2:])))
        spin = spin / SMALL_STRAIN
    root = np.sqrt(state[:, 1])
    rates = rate[:, 0], rate[:, 1] / (2 * root), spin
    n = len(state)
    return assemble(quaternion, root, state[:, 0], state[:, 0], rates, np.full(n, 1e-3), np.arange(n), axis, True)


def assemble(quaternion, root, stress, last_stress, rates, h, group, axis, of_states=False):
    if axis is None:
        place, operation = rotation_vector(quaternion), np.broadcast_to(np.eye(3), (len(h), 3, 3))
    else:
        reduced, operation = reduced_axis(rotated(inverse(quaternion), np.broadcast_to(axis, (len(h), 3))))
        place = reduced[:, :2] / reduced[:, 2:]
    features = np.column_stack([place, root])
    slope, storage, spin = rates
    return Steps(
        features, operation, group, np.where(h > 0, 1, -1), np.abs(h), stress, last_stress, slope, storage,
        turn_pseudovector(operation, spin), of_states,
    )  # fmt: skip


class Moduli(NamedTuple):
    """Elastic slopes of trajectories."""

    slope: np.ndarray  # (n_trajectories,)
    rows: np.ndarray  # (n_trajectories,), of the elastic steps
    resolved: bool  # whether the record resolves the knee
    of_step: np.ndarray  # (n,), the slope for each step


def moduli(steps):
    """Moduli of Steps.

    The elastic slope is that of the steepest step. Steps that begin with a stress against their direction of straining
    do not count: after a reversal the crystal still flows backwards, and the slope is up to twice the modulus.
    """
    loaded = steps.sign * (2 * steps.stress - steps.last_stress) >= -1e-6 * np.abs(steps.last_stress)
    loaded |= np.bincount(steps.group, loaded)[steps.group] == 0
    order = np.lexsort((-np.where(loaded, steps.slope, -np.inf), steps.group))
    first = np.r_[True, np.diff(steps.group[order]) != 0]
    best = order[first]
    second = np.flatnonzero(first) + 1
    second = second[(second < len(order)) & ~np.r_[first, True][second]]
    # The two steepest steps are elastic if their slopes are nearly equal; otherwise the steepest contains the knee.
    share = steps.slope[order[second]] / steps.slope[order[second - 1]]
    resolved = len(second) > 0 and bool(np.median(share) > 0.5)
    stiff = steps.slope[best] * (STIFFER if len(second) and not resolved else 1.0)
    if not (stiff > 0).all():
        raise ValueError("state has a trajectory whose stress never rises with strain; check columns and signs.")
    if steps.of_states:
        stiff = np.full(len(stiff), steps.slope.max())
    return Moduli(stiff, best, resolved, stiff[np.searchsorted(steps.group[best], steps.group)])


def part_numbers(signs):
    """The part for falling and for rising strain; -1 - part where only the other direction was trained."""
    return np.array([0 if -1 in signs else -1, len(signs) - 1 if 1 in signs else -1], np.int32)


def root_mean_square(values):
    """Root mean square of each column, 1 where it is zero."""
    unit = np.sqrt(np.mean(values**2, axis=0))
    unit[unit == 0] = 1.0
    return unit


def flowing(steps, sign, modulus):
    """Rows of steps with plastic flow in one direction, thinned."""
    plastic = 1.0 - steps.slope / modulus
    rows = np.flatnonzero((steps.sign == sign) & (plastic > PLASTIC) & (sign * steps.stress > 0))
    if len(rows) < 50:
        raise ValueError(
            f"only {len(rows)} steps of {'rising' if sign > 0 else 'falling'} strain are plastic; at least 50 are "
            "needed. Give longer or more trajectories that begin without load (the elastic slope is taken there), with "
            "records in the order of the path."
        )
    return thinned(steps, rows)


def images(features, *pseudovectors):
    """Images of rows under the cubic group that lie within MARGIN of the triangle: row, features and pseudovectors."""
    axis = np.column_stack([features[:, :2], np.ones(len(features))])
    parts = []
    for operation in OPERATIONS:
        b = axis @ operation.T
        with np.errstate(divide="ignore", invalid="ignore"):
            p, q = b[:, 0] / b[:, 2], b[:, 1] / b[:, 2]
        inside = (b[:, 2] > 0) & (p >= -MARGIN) & (q <= 1 + MARGIN) & (p <= q + MARGIN)
        at = np.flatnonzero(inside | (operation == np.eye(3)).all())
        vectors = (each[at] @ operation.T * np.linalg.det(operation) for each in pseudovectors)
        parts.append((at, np.column_stack([p[at], q[at], features[at, 2]]), *vectors))
    return tuple(np.concatenate(part) for part in zip(*parts, strict=True))


def thinned(steps, rows):
    """Rows of steps that are at least SPACING apart along their trajectory."""
    features = steps.features[rows] / np.maximum(steps.features[rows].std(axis=0), 1e-12)
    apart = np.sqrt((np.diff(features, axis=0) ** 2).sum(axis=1))
    same = steps.group[rows][1:] == steps.group[rows][:-1]
    along = np.cumsum(np.r_[0.0, np.where(same, apart, 0.0)])
    start = np.maximum.accumulate(np.where(np.r_[True, ~same], np.arange(len(rows)), 0))
    along = (along - along[start]) // SPACING  # from the start of each trajectory, so that their order has no effect
    return rows[np.r_[True, ~same | (np.diff(along) > 0)]]


def targets(steps, rows, modulus):
    """Flow stress, storage and spin per plastic strain, (n, 5), of flowing steps."""
    plastic = 1.0 - steps.slope[rows] / modulus[rows]
    flow = steps.sign[rows] * steps.stress[rows] / plastic ** (1.0 / KNEE_EXPONENT)
    return np.column_stack([flow, steps.storage[rows] / plastic, steps.spin[rows] / plastic[:, None]])


def path_slopes(steps, rows, values):
    """Changes of the features and of the values from each row to the next of its trajectory.

    NaN at the ends of trajectories and where the reduction of the axis changes, because the spin jumps there.
    """
    direction = np.zeros((len(rows), 3))
    change = np.full(values.shape, np.nan)
    follows = (steps.group[rows][1:] == steps.group[rows][:-1]) & (
        steps.operation[rows][1:] == steps.operation[rows][:-1]
    ).all(axis=(1, 2))
    direction[:-1] = np.where(follows[:, None], np.diff(steps.features[rows], axis=0), 0.0)
    change[:-1] = np.where(follows[:, None], np.diff(values, axis=0), np.nan)
    change[(direction == 0).all(axis=1)] = np.nan
    return direction, change


def problems(steps, elastic):
    """Warnings: reasons why these steps may be unsuitable."""
    found = []
    if not (elastic.resolved or steps.of_states):
        found.append(
            "the first strain step of the trajectories already contains the knee from elastic to plastic: the elastic "
            "slope is unknown and taken as ten times the first; record some steps of 1e-4 strain at the start."
        )
    difference = max(difference_of_neighbours(steps, sign, elastic.of_step) for sign in np.unique(steps.sign))
    if difference > MOST_DIFFERENT:
        found.append(
            f"a quarter of similar states of different trajectories differ by {100 * difference:.0f} % or more in flow "
            "stress, which thus depends on something that is not in the state. Usual causes: several strain rates, "
            "temperatures or materials in one training set; angles from sample to crystal instead of crystal to "
            "sample; another axis of loading; grains that their neighbours constrain."
        )
    return found


def difference_of_neighbours(steps, sign, modulus):
    """Relative difference in flow stress of nearest states of different trajectories, the upper quartile."""
    rows = flowing(steps, sign, modulus)
    rows = rows[:: max(len(rows) // N_COMPARED, 1)]
    stress, group = targets(steps, rows, modulus)[:, 0], steps.group[rows]
    place = steps.features[rows].copy()
    place[:, -1] /= max(np.ptp(steps.features[:, -1]), 1e-300)
    distance, near = cKDTree(place).query(place, k=min(100, len(rows)))
    near = np.where((group[near] != group[:, None]) & (distance < NEAR_STATE), near, -1)
    first = near[np.arange(len(rows)), (near >= 0).argmax(axis=1)]
    pair = first >= 0
    if np.count_nonzero(pair) < 20:
        return 0.0
    one, other = stress[pair], stress[first[pair]]
    return float(np.quantile(np.abs(one - other) / np.maximum(np.abs(one + other) / 2, 1e-300), 0.75))


# --- splines


def root_range(steps):
    """Least and greatest sqrt(rho)."""
    half = steps.storage * steps.length / 2
    ends = np.r_[steps.features[:, -1] - half, steps.features[:, -1] + half]
    ends = ends[ends > 0]  # a given rate may lead below zero
    return ends.min() * (1 - 1e-6), ends.max() * (1 + 1e-6)  # records may be rounded


def grid_of(steps, shape):
    """Low and step of the axis, low and step of sqrt(rho), its least and greatest value; shape: numbers of splines."""
    low, high = root_range(steps)
    spread = max(high - low, 1e-3 * high)
    axis_step = (1 + 2 * MARGIN) / (shape[0] - 3)
    return np.array([-MARGIN, axis_step, low, spread / (shape[2] - 3), low, high])


def design_matrix(points, low, step, shape):
    """Values of tensor products of cubic B-splines at points (n, k), clipped to the grid, as a sparse matrix."""
    knots = tuple(a + h * np.arange(-3, n + 1) for a, h, n in zip(low, step, shape, strict=True))
    inside = [np.clip(x, t[3], np.nextafter(t[n], -np.inf)) for x, t, n in zip(points.T, knots, shape, strict=True)]
    matrix = NdBSpline.design_matrix(np.column_stack(inside), knots, 3).tocsr()
    matrix.resize(len(points), int(np.prod(shape)))  # SciPy 1.17 leaves out last columns that are empty
    return matrix


def basis(features, grid, shape):
    """Splines at rows of features, over the axis alone, or over the axis and sqrt(rho)."""
    at = np.array([0, 0, 2][: len(shape)])
    return design_matrix(features[:, : len(shape)], grid[at], grid[at + 1], shape)


def smooth(matrix, values, weight, shape, penalty_weight=PENALTY):
    """Coefficients of the smoothest splines through weighted rows, by penalised least squares."""
    penalty = 0
    for i, n in enumerate(shape):
        second = sparse.diags([1.0, -2.0, 1.0], [0, 1, 2], shape=(n - 2, n))
        before, after = (sparse.eye(int(np.prod(part))) for part in (shape[:i], shape[i + 1 :]))
        penalty = penalty + (ROOT_PENALTY if i == 2 else 1.0) * sparse.kron(
            before, sparse.kron(second.T @ second, after)
        )
    weight = weight / weight.sum()
    weighted = matrix.multiply(weight[:, None]).tocsr()
    scale = np.sqrt(weight @ values**2)
    scale = np.where(scale > 0, scale, 1.0)
    gram = matrix.T @ weighted + penalty_weight * penalty + 1e-12 * sparse.eye(matrix.shape[1])
    gram = sparse.tril(gram, format="coo")
    band = np.zeros(((gram.row - gram.col).max() + 1, matrix.shape[1]))  # ten times as fast as a sparse solver
    band[gram.row - gram.col, gram.col] = gram.data
    with threadpool_limits(1, user_api="blas"):  # its threads would mostly wait for each other
        found = solveh_banded(band, weighted.T @ (values / scale), lower=True, overwrite_ab=True, check_finite=False)
    return (found * scale).reshape(*shape, -1)


def with_lower_bound(coefficients, least):
    """Coefficients of a flow stress that is at least ``least``: with a negative one a grain would have no next state.

    The splines of the axis are positive weights of curves along sqrt(rho). Where a curve is too low, the coefficients
    that determine it there are raised. Other coefficients may be negative, because six splines represent a steep line.
    """
    n = coefficients.shape[-1]
    splines = design_matrix(np.linspace(0, n - 3, 8 * (n - 3) + 1)[:, None], [0.0], [1.0], [n]).toarray()
    low = (coefficients @ splines.T < least) @ (splines > 0)
    return np.where(low > 0, np.maximum(coefficients, least), coefficients)


def cells_of(features, grid, shape):
    """Indices (n, 3) of the grid cells of rows."""
    low, step = grid[[0, 0, 2]], grid[[1, 1, 3]]
    return np.clip(((features - low) / step).astype(int), 0, np.array(shape) - 4)


def interpolation_matrix(n):
    """Coefficients of n cubic B-splines, (n, n - 2), for given values at the corners of cells; straight at ends."""
    matrix = np.zeros((n, n))
    matrix[0, :3] = matrix[-1, -3:] = 1.0, -2.0, 1.0
    for i in range(n - 2):
        matrix[i + 1, i : i + 3] = 1 / 6, 4 / 6, 1 / 6
    return np.linalg.inv(matrix)[:, 1:-1]


def interpolated(steps, rows, values, grid, shape):
    """Coefficients by interpolation between trajectories, over the axis at their start, at equal density.

    The interpolant is a thin-plate spline. A trajectory that ends at a lower density is extrapolated, S and K linearly,
    W as a constant. At each corner of a cell, values are clipped to the range of the ten nearest trajectories: between
    two sets of slip systems there is a step, not a slope.
    """
    start = np.flatnonzero(np.r_[True, np.diff(steps.group[rows]) != 0])
    axes, label = np.unique(steps.features[rows[start], :2].round(9), axis=0, return_inverse=True)
    x, y, u = (grid[a] + grid[a + 1] * np.arange(n - 2) for a, n in zip((0, 0, 2), shape, strict=True))
    curves = np.zeros((len(axes), len(u), 5))
    for k, part in zip(label.ravel(), np.split(np.arange(len(rows)), start[1:]), strict=True):
        part = part[np.argsort(steps.features[rows[part], 2], kind="stable")]
        root, value = steps.features[rows[part], 2], values[part]
        curve = np.column_stack([np.interp(u, root, column) for column in value.T])
        last = slice(3 * len(part) // 4, None)
        if np.ptp(root[last]) > 0:
            slope = np.polyfit(root[last], value[last, :2], 1)[0]
            curve[:, :2] += np.maximum(u - root[-1], 0.0)[:, None] * slope
        curves[k] += curve / np.count_nonzero(label == k)
    unit = root_mean_square(values)
    nodes = np.stack(np.meshgrid(x, y, indexing="ij"), axis=-1).reshape(-1, 2)
    beyond = 2.5 * grid[1]
    near = (nodes[:, 0] > -beyond) & (nodes[:, 1] < 1 + beyond) & (nodes[:, 0] < nodes[:, 1] + beyond)
    plane = np.linalg.svd(axes - axes.mean(axis=0))[1][-1] > 1e-3 if len(axes) > 3 else False
    kind = {"kernel": "thin_plate_spline"} if plane else {"kernel": "linear", "degree": 0}
    neighbors = None if len(axes) <= 1500 else 200  # all 1500 take half a second
    field = RBFInterpolator(axes, (curves / unit).reshape(len(axes), -1), neighbors, **kind)
    found = field(nodes[near]).reshape(-1, len(u), 5) * unit
    few = curves[cKDTree(axes).query(nodes[near], k=np.arange(1, min(10, len(axes)) + 1))[1]]
    found = np.clip(found, few.min(axis=1), few.max(axis=1))
    found = found[cKDTree(nodes[near]).query(nodes)[1]].reshape(len(x), len(y), len(u), 5)
    return np.einsum("ai,bj,ck,ijkm->abcm", *(interpolation_matrix(n) for n in shape), found, optimize=True)


def nearest_value(steps, rows, values, grid):
    """A quick prediction: a function of features that returns the values of the nearest row."""
    scale = np.array([1.0, 1.0, max(grid[5] - grid[4], 1e-300)])
    tree = cKDTree(steps.features[rows] / scale)
    return lambda features: values[tree.query(features / scale)[1]]


def condense(steps, rows, values, weight, elastic, grid, guess, memory):
    """The table of one direction of straining, as in table_, and its reached cells, as in reached_.

    From flowing steps ``rows``, their targets (n, 5) and weights; ``elastic``, Moduli; and ``guess``, a
    function of features (n, 3) in the triangle that predicts the targets of cells without rows.
    """
    shape = MEMORY if memory else SMOOTH
    index, features, spin = images(steps.features[rows], values[:, 2:])
    visited = np.zeros(np.array(shape) - 3, bool)
    visited[tuple(cells_of(features, grid, shape).T)] = True
    reached = binary_dilation(visited, np.ones((3, 3, 3 if memory else 1), bool), iterations=2 if memory else 1)
    table = np.empty((*shape, 6))
    if memory:
        table[..., :5] = interpolated(steps, rows, values, grid, shape)
    else:
        values, weight = np.column_stack([values[index, :2], spin]), weight[index]
        empty = np.argwhere(~reached)
        if len(empty):
            centres = grid[[0, 0, 2]] + (empty + 0.5) * grid[[1, 1, 3]]
            reduced, operation = reduced_axis(np.column_stack([centres[:, :2], np.ones(len(centres))]))
            guessed = guess(np.column_stack([reduced[:, :2] / reduced[:, 2:], centres[:, 2]]))
            guessed[:, 2:] = turn_pseudovector(operation.transpose(0, 2, 1), guessed[:, 2:])
            features, values = np.concatenate([features, centres]), np.concatenate([values, guessed])
            weight = np.r_[weight, np.full(len(centres), GUESS_WEIGHT)]
        n = len(np.unique(steps.group[rows]))
        penalty = PENALTY * max(1.0, MANY_TRAJECTORIES / n) ** 1.5
        table[..., :5] = smooth(basis(features, grid, shape), values, weight, shape, penalty)
    index, features = images(steps.features[elastic.rows])
    matrix = basis(features, grid, shape[:2])
    stiffness = smooth(matrix, elastic.slope[index][:, None], np.ones(len(index)), shape[:2])
    table[..., 5] = np.maximum(stiffness, elastic.slope.min() / 2)
    return table, reached.astype(np.uint8)


def knee_exponent(steps, modulus, tables, grid):
    """n of p = x^n, x the stress at the end of a step over the flow stress; KNEE_EXPONENT without steps in the knee."""
    plastic = 1.0 - steps.slope / modulus
    rows = np.flatnonzero((plastic > 0.05) & (plastic < 0.95) & (steps.sign * steps.stress > 0))
    if len(rows) < 5:
        return KNEE_EXPONENT
    values = basis(steps.features[rows], grid, next(iter(tables.values())).shape[:3])
    flow = np.zeros(len(rows))
    for sign, table in tables.items():
        flow = np.where(steps.sign[rows] == sign, values @ table[..., 0].ravel(), flow)
    x = steps.sign[rows] * steps.last_stress[rows] / np.where(flow > 0, flow, 1.0)
    usable = (x > 0.3) & (x < 0.995) & (flow > 0)
    if usable.sum() < 5:
        return KNEE_EXPONENT
    return float(np.clip(np.median(np.log(plastic[rows][usable]) / np.log(x[usable])), 3.0, 100.0))
