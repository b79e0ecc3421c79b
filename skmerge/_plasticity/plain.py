"""States without orientation: explicit steps by the rates that a regressor predicts."""

from dataclasses import dataclass

import numpy as np

from skmerge._plasticity.flags import LONG, OUTSIDE, REVERSED
from skmerge._plasticity.records import MOST, parts_of

TOLERANCE = 1e-4  # of an adaptive step: difference of Heun and Euler over the trained range


@dataclass(frozen=True)
class Plain:
    """What was learned.

    Parameters
    ----------
    fitted : dict of the attributes of PlasticityPropagator that are NAMES
    integrator : {"heun", "euler", "adaptive"}
    """

    NAMES = "estimator_", "part_", "longest_step_", "_box", "_n_outputs"

    fitted: dict
    integrator: str = "heun"

    def rates(self, X, sign=1.0):
        """Rates of states (n, m); of both directions of straining, sign tells which."""
        if (self.fitted["part_"] == 0).all():
            X = np.column_stack([X, np.broadcast_to(sign, len(X))])
        return self.fitted["estimator_"].predict(X)

    def propagate(self, X, strain, write, flags, n_jobs, reporter):
        """As ``Axial.propagate``, within the trained range widened by half."""
        if self.fitted["_n_outputs"] != X.shape[1]:
            raise ValueError("y was not the rates of the columns of X; only then states can be propagated.")
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
        parts = parts_of(strain, len(X), longest)
        for t in range(1, n_steps + 1):
            h = np.broadcast_to(strain[:, t] - strain[:, t - 1], len(X))[:, None]
            moved = np.flatnonzero(h[:, 0])
            out[t] = out[t - 1]
            reporter.count(t, n_steps, "strain steps")
            if not len(moved):
                continue
            state, h = out[t][moved], h[moved]
            pieces = parts[moved, t - 1]
            after, error = advance(state, h / pieces[:, None])
            if self.integrator == "adaptive":
                pieces = np.minimum(pieces * np.maximum(np.ceil(np.sqrt(error / TOLERANCE)), 1), MOST)
            for count in np.unique(pieces[pieces > 1]):  # each state by itself: a batch changes no result
                some = pieces == count
                after[some] = state[some]
                for part in range(int(count)):
                    after[some] = advance(after[some], h[some] / count)[0]
                    reporter.part(t, n_steps, part + 1, count)
            out[t, moved] = after
            beyond = ((after <= low) | (after >= high)).any(axis=1)
            long = np.abs(h[:, 0]) > longest * (1 + 1e-6)
            unseen = self.fitted["part_"][(h[:, 0] > 0).astype(int)] < 0
            flags[moved] |= (OUTSIDE * beyond + REVERSED * unseen + LONG * long).astype(np.uint8)
        write(slice(0, len(X)), out, strain)

    def inside(self, X):
        """Whether states (n, m) lie within the trained range."""
        return (np.clip(X, *self.fitted["_box"]) == X).all(axis=1)
