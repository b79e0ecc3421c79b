"""States without orientation: explicit steps with the rates that a regressor predicts."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from skmerge._ext.crystal_stepping import LONG, OUTSIDE, REVERSED
from skmerge._plasticity.kind import Kind
from skmerge._plasticity.records import MAX_SUBSTEPS, are_long, n_substeps

STEP_TOLERANCE = 1e-4  # of an adaptive step: difference between Heun and Euler over the trained range


@dataclass(frozen=True)
class Rates:
    """States and their rates per strain."""

    state: np.ndarray  # (n, d)
    rate: np.ndarray  # (n,) or (n, m)
    sign: np.ndarray  # (n,), 1 where strain rises, -1 where it falls
    box: np.ndarray  # (2, d), least and greatest recorded state
    longest: float = np.inf  # longest recorded step

    @classmethod
    def of_states(cls, X, y):
        """Given rates, under rising strain."""
        return cls(X, y, np.ones(len(X)), np.stack([X.min(axis=0), X.max(axis=0)]))

    @classmethod
    def of_records(cls, strain, state, group):
        """Rates from each record (n,), (n, d) to the next of its trajectory."""
        at = np.flatnonzero(group[1:] == group[:-1])
        h = strain[at + 1] - strain[at]
        middle, rate = (state[at] + state[at + 1]) / 2, (state[at + 1] - state[at]) / h[:, None]
        return cls(middle, rate, np.sign(h), np.stack([state.min(axis=0), state.max(axis=0)]), float(np.abs(h).max()))


class Plain(Kind):
    """A fitted propagator of states without orientation."""

    NAMES = "estimator_", "part_", "longest_step_", "_box", "_n_outputs"
    FOREST: ClassVar = {"n_estimators": 100}

    @classmethod
    def learn(cls, rates, learner, weight=None, memory=False):
        """From Rates: a regressor of the state and, if both are trained, of the direction of straining."""
        falling, rising = bool((rates.sign < 0).any()), bool((rates.sign > 0).any())
        X = np.column_stack([rates.state, rates.sign]) if falling and rising else rates.state
        return {
            "estimator_": learner(X, rates.rate, weight),
            "part_": np.array([0 if falling else -1, 0 if rising else -1], np.int32),
            "longest_step_": rates.longest,
            "memory_": False,
            "_box": rates.box,
            "_n_outputs": None if rates.rate.ndim == 1 else rates.rate.shape[1],
        }, []

    def rates(self, X, sign=1.0):
        """Rates of states (n, m), the strain rising (sign 1) or falling (-1) where both were trained."""
        if (self.fitted["part_"] == 0).all():
            X = np.column_stack([X, np.broadcast_to(sign, len(X))])
        return self.fitted["estimator_"].predict(X)

    def propagate(self, X, strain, write, flags, n_jobs, reporter):
        """As ``Axial.propagate``, within the trained range widened by half of its width at each end."""
        if self.fitted["_n_outputs"] != X.shape[1]:
            raise ValueError("propagate needs a model of rates; y of fit was not the rates of the columns of X.")
        low, high = self.fitted["_box"]
        width = high - low
        low, high = low - width / 2, high + width / 2

        def advance(state, h):
            rate, sign = self.rates(state, np.sign(h[:, 0])), np.sign(h[:, 0])
            after = np.clip(state + h * rate, low, high)
            if self.integrator == "euler":
                return after, np.zeros(len(state))
            change = h * (self.rates(after, sign) - rate) / 2
            error = np.abs(change / np.where(width > 0, width, 1.0)).max(axis=1)
            return np.clip(state + h * rate + change, low, high), error

        n_steps, longest = strain.shape[1] - 1, self.fitted["longest_step_"]
        out = np.empty((n_steps + 1, *X.shape))
        out[0] = X
        substeps = n_substeps(strain, len(X), longest)
        for t in range(1, n_steps + 1):
            h = np.broadcast_to(strain[:, t] - strain[:, t - 1], len(X))[:, None]
            moved = np.flatnonzero(h[:, 0])
            out[t] = out[t - 1]
            reporter.count(t, n_steps, "strain steps")
            if not len(moved):
                continue
            state, h = out[t][moved], h[moved]
            counts = substeps[moved, t - 1]
            after, error = advance(state, h / counts[:, None])
            if self.integrator == "adaptive":
                counts = np.minimum(counts * np.maximum(np.ceil(np.sqrt(error / STEP_TOLERANCE)), 1), MAX_SUBSTEPS)
            for count in np.unique(counts[counts > 1]):  # each state has its own, so that it does not depend on others
                some = counts == count
                after[some] = state[some]
                for part in range(int(count)):
                    after[some] = advance(after[some], h[some] / count)[0]
                    reporter.say(f"strain step {t} of {n_steps}: part {part + 1} of {count:.0f}", np.inf)
            out[t, moved] = after
            beyond = ((after <= low) | (after >= high)).any(axis=1)
            long = are_long(np.abs(h[:, 0]), longest)
            unseen = self.fitted["part_"][(h[:, 0] > 0).astype(int)] < 0
            flags[moved] |= (OUTSIDE * beyond + REVERSED * unseen + LONG * long).astype(np.uint8)
        write(slice(0, len(X)), out, strain)

    def inside(self, X):
        """Whether states (n, m) lie within the trained range."""
        return (np.clip(X, *self.fitted["_box"]) == X).all(axis=1)
