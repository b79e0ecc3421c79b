"""Crystals under loading along one axis: flow as a table of splines over the axis and the density, stepped compiled."""

from typing import ClassVar, NamedTuple

import numpy as np

from skmerge._ext.crystal_stepping import ELSEWHERE, OUTSIDE, Flow
from skmerge._orientation import inverse, quaternion_of, rotated
from skmerge._parallel import in_blocks
from skmerge._plasticity import flow
from skmerge._plasticity.kind import Kind

CHUNK_GRAIN_STEPS = 200_000  # steps of grains that a thread makes between two reports of progress, some 0.2 s


class Part(NamedTuple):
    """What is learned of one direction of straining."""

    table: np.ndarray  # (n_axis, n_axis, n_density, 6)
    reached: np.ndarray  # (n_axis - 3, n_axis - 3, n_density - 3), cells with trained states
    estimator: object  # None where the table needs none


class Axial(Kind):
    """A fitted propagator of crystals that are loaded along one axis."""

    NAMES = "table_", "reached_", "grid_", "part_", "exponent_", "longest_step_", "memory_", "start_"
    # A leaf of fewer than 200 rows would fit a single trajectory and not describe what is between two.
    FOREST: ClassVar = {"n_estimators": 10, "order": 2, "min_samples_leaf": 200}

    @classmethod
    def learn(cls, steps, learner, weight=None, memory=False):
        """From Steps: a table of splines for each direction of straining; without ``learner`` quick and less exact."""
        weight = np.ones(len(steps.slope)) if weight is None else weight
        elastic = flow.moduli(steps)
        grid = flow.grid_of(steps, flow.MEMORY if memory else flow.SMOOTH)
        signs = np.unique(steps.sign)
        parts = {sign: part_of(steps, sign, elastic, grid, learner, memory, weight) for sign in signs}
        tables, exponent = {sign: part.table for sign, part in parts.items()}, flow.KNEE_EXPONENT
        if elastic.resolved:
            exponent = flow.knee_exponent(steps, elastic.of_step, tables, grid)
        fitted = {
            "table_": np.stack(list(tables.values())),
            "reached_": np.stack([part.reached for part in parts.values()]),
            "estimator_": parts[max(parts)].estimator,
            "exponent_": exponent,
            "grid_": grid,
            "memory_": memory,
            "start_": start_of(steps),
            "part_": flow.part_numbers(signs),
            "longest_step_": steps.longest,
        }
        return fitted, flow.problems(steps, elastic)

    def flow(self):
        """The compiled steps."""
        own = self.fitted
        return Flow(
            own["table_"], own["reached_"], own["grid_"], own["part_"], own["exponent_"], self.axis,
            min(own["longest_step_"], 1e300), self.heun, own["memory_"],
        )  # fmt: skip

    def rates(self, X):
        """S, K, W in the frame of the crystal and E of states (n, 5) under rising strain: (n, 6)."""
        y = np.empty((len(X), 6))
        self.flow().rates(starts(X, self.axis), np.ones(len(X), np.int32), y)
        return y

    def propagate(self, X, strain, write, flags, n_jobs, reporter):
        """Step states (n, 5) along strain (1 or n, n_steps).

        ``write(part, block, path)`` takes a slice of the grains, their states (n_steps, n_part, 5) and their strain;
        ``flags`` (n,) is written; ``reporter`` counts the finished grains.
        """
        root = np.sqrt(X[:, 1])
        low, high = self.fitted["start_"]
        flags |= ((root < low) | (root > high)).astype(np.uint8) * ELSEWHERE * self.fitted["memory_"]
        stepper = self.flow()

        def run(part, cancelled):
            state, path = starts(X[part], self.axis), strain if len(strain) == 1 else strain[part]
            block = np.empty((strain.shape[1], len(state), 5))
            stepper.propagate(state, X[part, 2:5].copy(), path, block, flags[part], cancelled)
            write(part, block, path)

        size = int(np.clip(CHUNK_GRAIN_STEPS // strain.shape[1], 64, 8192))
        in_blocks(run, len(X), size, n_jobs, reporter, "grains propagated")

    def inside(self, X):
        """Whether states (n, 5) lie within the trained states."""
        flags, out = np.zeros(len(X), np.uint8), np.empty((2, len(X), 5))
        path = np.array([[0.0, 1e-9]])
        self.flow().propagate(starts(X, self.axis), X[:, 2:5].copy(), path, out, flags, np.zeros(1, np.int32))
        return (flags & OUTSIDE) == 0


def start_of(steps):
    """Range of sqrt(rho) where trajectories begin, widened by a twentieth of the range of all steps."""
    first = np.flatnonzero(np.r_[True, steps.group[1:] != steps.group[:-1]])
    root, margin = steps.features[first, 2], 0.05 * np.ptp(steps.features[:, 2])
    return np.array([root.min() - margin, root.max() + margin])


def part_of(steps, sign, elastic, grid, learner, memory, weight):
    """The Part of one direction of straining; ``elastic``: Moduli."""
    rows = flow.flowing(steps, sign, elastic.of_step)
    values, weight = flow.targets(steps, rows, elastic.of_step), weight[rows]
    estimator, guess, least = None, flow.nearest_value(steps, rows, values, grid), values[:, 0].min() / 2
    # The default table with memory is interpolated between trajectories everywhere, without a forest.
    if learner is not None and not (memory and learner.is_default):
        unit, scale = flow.root_mean_square(values), np.array([1.0, 1.0, grid[5]])
        slopes = {}
        if learner.is_default:
            direction, slope = flow.path_slopes(steps, rows, values)
            slopes = {"direction": direction / scale, "slope": slope / unit}
        given = None if (weight == weight[0]).all() else weight
        estimator = learner(steps.features[rows] / scale, values / unit, given, **slopes)

        def guess(features):
            return estimator.predict(features / scale) * unit

        if not learner.is_default:
            values = guess(steps.features[rows])
    table, reached = flow.condense(steps, rows, values, weight, elastic, grid, guess, memory)
    table[..., 0] = flow.with_lower_bound(table[..., 0], least)
    return Part(table, reached, estimator)


def starts(X, axis):
    """States (n, 9) as the compiled steps take them, at the start of paths, of states (n, 5)."""
    quaternion = quaternion_of(X[:, 2:5])
    first = rotated(inverse(quaternion), np.broadcast_to(axis, (len(X), 3)))
    return np.concatenate([X[:, :2], quaternion, first], axis=1)
