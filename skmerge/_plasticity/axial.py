"""Crystals under loading along one axis: flow as a table of splines over the axis and the density, stepped compiled."""

from dataclasses import dataclass

import numpy as np
from joblib import Parallel, delayed, effective_n_jobs

from skmerge._ext.crystal_stepping import Flow
from skmerge._orientation import inverse, quaternion_of, turned
from skmerge._plasticity import flow
from skmerge._plasticity.flags import ELSEWHERE, OUTSIDE

STEPS = 200_000  # steps of grains by one thread between two lines about progress, some 0.2 s


@dataclass(frozen=True)
class Axial:
    """What was learned.

    Parameters
    ----------
    fitted : dict of the attributes of PlasticityPropagator that are NAMES
    axis : ndarray of shape (3,), in the sample
    heun : bool, two stages or one
    """

    NAMES = "table_", "reached_", "grid_", "part_", "exponent_", "longest_step_", "memory_", "start_"

    fitted: dict
    axis: np.ndarray
    heun: bool = True

    def flow(self):
        """The compiled steps."""
        fitted = self.fitted
        return Flow(
            fitted["table_"], fitted["reached_"], fitted["grid_"], fitted["part_"], fitted["exponent_"], self.axis,
            min(fitted["longest_step_"], 1e300), self.heun, fitted["memory_"],
        )  # fmt: skip

    def starts(self, X):
        """States (n, 9) as the compiled step takes them, where paths begin, of states (n, 5)."""
        return starts(X, self.axis)

    def rates(self, X):
        """S, K, W in the crystal's frame and E of states (n, 5), the strain rising: (n, 6)."""
        y = np.empty((len(X), 6))
        self.flow().rates(self.starts(X), np.ones(len(X), np.int32), y)
        return y

    def propagate(self, X, strain, write, flags, n_jobs, reporter):
        """Step states (n, 5) along strain (1 or n, n_steps).

        ``write(part, block, path)``: called with slices of the grains, their states (n_steps, n_part, 5) and their
        strain; ``flags`` (n,): written; ``reporter``: hears of the grains that are done.
        """
        root = np.sqrt(X[:, 1])
        low, high = self.fitted["start_"]
        flags |= ((root < low) | (root > high)).astype(np.uint8) * ELSEWHERE * self.fitted["memory_"]
        stepper, cancelled, n = self.flow(), np.zeros(1, np.int32), len(X)
        size = int(np.clip(STEPS // strain.shape[1], 64, 8192))

        def run(first):
            part = slice(first, first + size)
            state, path = self.starts(X[part]), strain if len(strain) == 1 else strain[part]
            block = np.empty((strain.shape[1], len(state), 5))
            stepper.propagate(state, X[part, 2:5].copy(), path, block, flags[part], cancelled)
            write(part, block, path)
            return len(state)

        done = 0
        try:
            parallel = Parallel(n_jobs=effective_n_jobs(n_jobs), require="sharedmem", return_as="generator")
            for count in parallel(delayed(run)(first) for first in range(0, n, size)):
                reporter.count(done + count, n, "grains propagated", done)
                done += count
        finally:
            cancelled[0] = 1

    def inside(self, X):
        """Whether states (n, 5) lie where training came."""
        flags, out = np.zeros(len(X), np.uint8), np.empty((2, len(X), 5))
        path = np.array([[0.0, 1e-9]])
        self.flow().propagate(self.starts(X), X[:, 2:5].copy(), path, out, flags, np.zeros(1, np.int32))
        return (flags & OUTSIDE) == 0


def learn(steps, learner, memory, longest=None, weight=None, default=False):
    """Tables of flow.

    Parameters
    ----------
    steps : Steps
    learner : callable(features, targets, **slopes and weights) that returns a fitted regressor; None for a draft
        without one
    memory : bool
    longest : float or None
        None: of the steps; otherwise each step is a state with its rates.
    weight : ndarray of shape (n,) or None
    default : bool
        Whether the regressor is our own forest, which takes slopes and speaks only where no trajectory comes.

    Returns
    -------
    fitted : dict of attributes of a PlasticityPropagator
    doubts : list of str
        What speaks against learning from these steps.
    """
    weight = np.ones(len(steps.slope)) if weight is None else weight
    stiff, best, resolved, modulus = flow.moduli(steps, longest)
    grid = flow.grid_of(steps, flow.MEMORY if memory else flow.SMOOTH)
    signs = np.unique(steps.sign)
    parts = {sign: part_of(steps, sign, best, stiff, modulus, grid, learner, default, memory, weight) for sign in signs}
    tables = {sign: part[0] for sign, part in parts.items()}
    exponent = flow.knee_exponent(steps, modulus, tables, grid) if resolved else flow.KNEE
    both, falling = len(parts) == 2, 0 if -1 in parts else -1
    fitted = {
        "table_": np.stack([parts[sign][0] for sign in signs]),
        "reached_": np.stack([parts[sign][1] for sign in signs]),
        "estimator_": parts[max(parts)][2],
        "exponent_": exponent,
        "grid_": grid,
        "memory_": memory,
        "start_": start_of(steps),
        "part_": np.array([falling, 1 if both else (0 if 1 in parts else -1)], np.int32),
        "longest_step_": float(steps.length.max()) if longest is None else longest,
    }
    return fitted, flow.doubts(steps, modulus, resolved or longest is not None)


def start_of(steps):
    """Range of sqrt(rho) where trajectories begin, widened by a twentieth of that of all."""
    first = np.flatnonzero(np.r_[True, steps.group[1:] != steps.group[:-1]])
    root, margin = steps.features[first, 2], 0.05 * np.ptp(steps.features[:, 2])
    return np.array([root.min() - margin, root.max() + margin])


def part_of(steps, sign, best, stiff, modulus, grid, learner, default, memory, weight):
    """Table, reached cells and estimator of one direction of straining."""
    rows = flow.flowing(steps, sign, modulus)
    values, weight = flow.targets(steps, rows, modulus), weight[rows]
    estimator, guess, least = None, flow.nearest(steps, rows, values, grid), values[:, 0].min() / 2
    # Between trajectories of the default a table with memory is interpolated: nothing is left to a forest.
    if learner is not None and not (memory and default):
        unit, scale = np.sqrt(np.mean(values**2, axis=0)), np.array([1.0, 1.0, grid[5]])
        unit[unit == 0] = 1.0
        more = {} if (weight == weight[0]).all() else {"sample_weight": weight}
        if default:
            direction, slope = flow.path_slopes(steps, rows, values)
            more |= {"direction": direction / scale, "slope": slope / unit}
        estimator = learner(steps.features[rows] / scale, values / unit, **more)

        def guess(features):
            return estimator.predict(features / scale) * unit

        if not default:
            values = guess(steps.features[rows])
    table, reached = flow.condense(steps, rows, values, weight, best, stiff, grid, guess, memory)
    table[..., 0] = flow.lifted(table[..., 0], least)
    return table, reached, estimator


def starts(X, axis):
    """States (n, 9) as the compiled step takes them, where paths begin, of states (n, 5)."""
    quaternion = quaternion_of(X[:, 2:5])
    first = turned(inverse(quaternion), np.broadcast_to(axis, (len(X), 3)))
    return np.concatenate([X[:, :2], quaternion, first], axis=1)
