"""Crystals under loading without a symmetry axis: orientation is reduced by cubic symmetry alone.

S, K, W and E (see flow) are then functions of the whole orientation, which regressors predict at every step.
"""

from typing import ClassVar

import numpy as np

from skmerge._ext.crystal_stepping import LONG, OUTSIDE, OVERLOAD, REVERSED, knee, root_limits
from skmerge._orientation import (
    PROPER,
    PROPER_QUATERNIONS,
    product,
    quaternion_from,
    quaternion_of,
    rotation_vector,
    unwrapped_angles,
)
from skmerge._plasticity import flow
from skmerge._plasticity.kind import Kind
from skmerge._plasticity.records import are_long, n_substeps

GRAINS = 20_000  # grains between two reports of progress, some seconds
# Equivalent orientations whose scalar part is at most that much below the greatest are trained as well.
EQUIVALENT_MARGIN = 0.03


class Free(Kind):
    """A fitted propagator of crystals without a loading axis."""

    NAMES = "estimators_", "unit_", "modulus_", "least_", "grid_", "exponent_", "part_", "longest_step_"
    FOREST: ClassVar = {"n_estimators": 20}

    @classmethod
    def learn(cls, steps, learner, weight=None, memory=False):
        """From Steps: regressors of S, K, W for each direction of straining, and of E."""
        elastic = flow.moduli(steps)
        stiff, best = elastic.slope, elastic.rows
        least, most = flow.root_range(steps)
        signs = np.unique(steps.sign)
        estimators, units, least_flow = [], [], []
        for sign in signs:
            rows = flow.flowing(steps, sign, elastic.of_step)
            values = flow.targets(steps, rows, elastic.of_step)
            index, vector, spin = images(quaternion_from(steps.features[rows, :3]), values[:, 2:])
            values = np.column_stack([values[index, :2], spin])
            unit = flow.root_mean_square(values)
            least_flow.append(values[:, 0].min() / 2)
            features = np.column_stack([vector, steps.features[rows, 3][index] / most])
            estimators.append(learner(features, values / unit, None if weight is None else weight[rows][index]))
            units.append(unit)
        index, vector = images(quaternion_from(steps.features[best, :3]))
        given = None if weight is None else weight[best][index]
        estimators.append(learner(vector, stiff[index] / stiff.mean(), given))
        return {
            "estimator_": estimators[-2],
            "estimators_": estimators,
            "unit_": np.array(units),
            "modulus_": float(stiff.mean()),
            "least_": np.array([*least_flow, stiff.min() / 2]),  # of S in each direction and of E
            "grid_": np.array([least, most]),
            "exponent_": flow.KNEE_EXPONENT,
            "memory_": False,
            "part_": flow.part_numbers(signs),
            "longest_step_": steps.longest,
        }, flow.problems(steps, elastic)

    def rates(self, X):
        """S, K, W in the frame of the crystal and E of states (n, 5) under rising strain: (n, 6)."""
        return self._rates(quaternion_of(X[:, 2:5]), np.sqrt(X[:, 1]), True)

    def _rates(self, quaternion, root, rising):
        fitted = self.fitted
        part = fitted["part_"][int(rising)]
        part = part if part >= 0 else -1 - part
        vector, operation = reduced(quaternion)
        y = np.empty((len(root), 6))
        features = np.column_stack([vector, np.clip(root, *fitted["grid_"]) / fitted["grid_"][1]])
        y[:, :5] = fitted["estimators_"][part].predict(features) * fitted["unit_"][part]
        y[:, 2:5] = np.einsum("nij,ni->nj", operation, y[:, 2:5])
        y[:, 5] = fitted["estimators_"][-1].predict(vector) * fitted["modulus_"]
        y[:, 0], y[:, 5] = np.maximum(y[:, 0], fitted["least_"][part]), np.maximum(y[:, 5], fitted["least_"][-1])
        return y

    def step(self, stress, root, quaternion, d_eps):
        """Stress, sqrt(rho) and quaternions after a strain step of one sign (n,)."""
        h, d = np.abs(d_eps), np.sign(d_eps[0])
        limits, n = root_limits(*self.fitted["grid_"]), self.fitted["exponent_"]

        def moved(y, p):
            after = product(quaternion, quaternion_from((d * h * p)[:, None] * y[:, 2:5]))
            return np.clip(root + h * p * y[:, 1], *limits), after

        y = self._rates(quaternion, root, d > 0)
        after, p = knee(d * stress, y[:, 0].copy(), y[:, 5] * h, n)
        if self.heun:
            later, turned = moved(y, p)
            z = self._rates(turned, later, d > 0)
            y = np.column_stack([z[:, 0], (y[:, 1:] + z[:, 1:]) / 2])
            after, p = knee(d * stress, y[:, 0].copy(), y[:, 5] * h, n)
        return d * after, *moved(y, p)

    def propagate(self, X, strain, write, flags, n_jobs, reporter):
        """As ``Axial.propagate``; the regressors use threads of their own."""
        n, n_steps = len(X), strain.shape[1] - 1
        stress, root, angles = X[:, 0].copy(), np.sqrt(X[:, 1]), X[:, 2:].copy()
        quaternion, out = quaternion_of(angles), np.empty((n_steps + 1, n, 5))
        out[0] = X
        flags |= (OUTSIDE * self._overloaded(stress, quaternion, root)).astype(np.uint8)
        longest = self.fitted["longest_step_"]
        substeps = n_substeps(strain, n, longest)
        for t in range(1, n_steps + 1):
            h = np.broadcast_to(strain[:, t] - strain[:, t - 1], n)
            counts = substeps[:, t - 1] * np.sign(h)  # negative where strain falls
            flags |= (LONG * are_long(np.abs(h), longest)).astype(np.uint8)
            first = quaternion.copy()
            for count in np.unique(counts[counts != 0]):
                some = np.flatnonzero(counts == count)
                if self.fitted["part_"][int(count > 0)] < 0:
                    flags[some] |= REVERSED
                for part in range(int(abs(count))):
                    for begin in range(0, len(some), GRAINS):
                        block = some[begin : begin + GRAINS]
                        stress[block], root[block], quaternion[block] = self.step(
                            stress[block], root[block], quaternion[block], h[block] / abs(count)
                        )
                        done = begin + len(block)
                        grains = f", {done} of {n} grains" if done < len(some) else ""
                        substep = f"part {part + 1} of {abs(count):.0f}{grains}"
                        reporter.say(f"strain step {t} of {n_steps}: {substep}", np.inf)
            quaternion /= np.linalg.norm(quaternion, axis=1, keepdims=True)
            angles = unwrapped_angles(np.stack([first, quaternion], axis=1), angles)[:, 1]
            flags |= (OUTSIDE * ~self._trained(root)).astype(np.uint8)
            out[t] = np.column_stack([stress, root**2, angles])
            reporter.count(t, n_steps, "strain steps")
        if not n_steps:
            flags |= (OUTSIDE * ~self._trained(root)).astype(np.uint8)
        write(slice(0, n), out, strain)

    def inside(self, X):
        """Whether states (n, 5) lie within the trained states."""
        root = np.sqrt(X[:, 1])
        return self._trained(root) & ~self._overloaded(X[:, 0], quaternion_of(X[:, 2:5]), root)

    def _trained(self, root):
        least, most = self.fitted["grid_"]
        return (root >= least) & (root <= most)

    def _overloaded(self, stress, quaternion, root):
        """Whether the stress of a start is more than OVERLOAD times the flow stress."""
        return np.abs(stress) > OVERLOAD * self._rates(quaternion, root, True)[:, 0]


def reduced(quaternion):
    """Rotation vectors (n, 3) of the equivalents with the least angle, and operations (n, 3, 3) on crystal vectors."""
    every = product(quaternion[:, None], PROPER_QUATERNIONS)
    # The first of equal angles; without rounding the last digit would decide.
    best = np.argmax(np.abs(every[..., 3]).round(12), axis=1)
    return rotation_vector(every[np.arange(len(every)), best]), PROPER[best].transpose(0, 2, 1)


def images(quaternion, *vectors):
    """Equivalents that are nearly reduced: their rows, rotation vectors, and crystal vectors in their frames."""
    every = product(quaternion[:, None], PROPER_QUATERNIONS)
    scalar = np.abs(every[..., 3])
    index, which = np.nonzero(scalar >= scalar.max(axis=1, keepdims=True) - EQUIVALENT_MARGIN)
    turned = (np.einsum("nji,nj->ni", PROPER[which], vector[index]) for vector in vectors)
    return index, rotation_vector(every[index, which]), *turned
