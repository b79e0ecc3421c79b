"""States without orientation: explicit steps by the rates that a regressor predicts."""

import numpy as np

from skmerge._plasticity.flags import LONG, OUTSIDE, REVERSED
from skmerge._plasticity.records import MOST, parts_of

TOLERANCE = 1e-4  # of an adaptive step: difference of Heun and Euler over the trained range


def rates(model, X, sign):
    """Rates of states (n, m); of both directions of straining, sign tells which."""
    if (model.part_ == 0).all():
        X = np.column_stack([X, np.broadcast_to(sign, len(X))])
    return model.estimator_.predict(X)


def propagate(model, state0, strain, out, flags, tell):
    """Step states (n, m) along strain (1 or n, n_steps) into out, within the trained range widened by half."""
    if model._n_outputs != state0.shape[1]:
        raise ValueError("y was not the rates of the columns of X; only then states can be propagated.")
    low, high = model._box
    width = high - low
    low, high = low - width / 2, high + width / 2

    def advance(state, h):
        rate, sign = rates(model, state, np.sign(h[:, 0])), np.sign(h[:, 0])
        after = np.clip(state + h * rate, low, high)
        if model.integrator == "euler":
            return after, np.zeros(len(state))
        change = h * (rates(model, after, sign) - rate) / 2
        error = np.abs(change / np.where(width > 0, width, 1.0)).max(axis=1)
        return np.clip(state + h * rate + change, low, high), error

    out[0] = state0
    parts = parts_of(strain, len(state0), model.longest_step_)
    for t in range(1, strain.shape[1]):
        h = np.broadcast_to(strain[:, t] - strain[:, t - 1], len(state0))[:, None]
        moved = np.flatnonzero(h[:, 0])
        out[t] = out[t - 1]
        tell(t)
        if not len(moved):
            continue
        state, h = out[t][moved], h[moved]
        pieces = parts[moved, t - 1]
        after, error = advance(state, h / pieces[:, None])
        if model.integrator == "adaptive":
            pieces = np.minimum(pieces * np.maximum(np.ceil(np.sqrt(error / TOLERANCE)), 1), MOST)
        for count in np.unique(pieces[pieces > 1]):  # each state by itself: a batch changes no result
            some = pieces == count
            after[some] = state[some]
            for part in range(int(count)):
                after[some] = advance(after[some], h[some] / count)[0]
                tell(t, part + 1, count)
        out[t, moved] = after
        beyond = ((after <= low) | (after >= high)).any(axis=1)
        long = np.abs(h[:, 0]) > model.longest_step_ * (1 + 1e-6)
        unseen = model.part_[(h[:, 0] > 0).astype(int)] < 0
        flags[moved] |= (OUTSIDE * beyond + REVERSED * unseen + LONG * long).astype(np.uint8)
