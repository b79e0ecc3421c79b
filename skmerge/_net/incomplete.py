"""Missing inputs of the net: what fills them, what that leaves unsure, and how far incomplete rows are trusted."""

import numpy as np

from skmerge._gaussian.columns import Columns
from skmerge._gaussian.filling import AXES, fit_fill
from skmerge._gaussian.joint import patterns

INPUTS = 100  # features of a regressor; beyond, a missing one is its mean: the step above is taken in every fit
ROWS = 20_000  # that tell how a regressor's features hang together
DISTRUST = 0.02  # weight, of 1, below which an incomplete row is left out


class Inputs:
    """What fills the missing inputs of a regressor, and how unsure that leaves them.

    Attributes
    ----------
    arrays : dict of plain arrays
        ``center``, ``unit``, ``log``: how a feature becomes a standardised number; ``mean``, ``covariance`` of these
        (the latter empty for more than 100 features); ``low``, ``high``: the range that was observed, which no fill
        leaves.
    """

    def __init__(self, arrays):
        self.arrays = arrays
        self.columns = Columns.of(arrays["center"], arrays["unit"], arrays["log"])

    @classmethod
    def learn(cls, X):
        """From rows (n, d) with at least one entry in each column; the fixed point of filling and fitting."""
        low, high = np.nanmin(X, axis=0), np.nanmax(X, axis=0)
        rows = np.arange(0, len(X), -(-len(X) // ROWS))
        if len(rows) < len(X):  # something of each feature
            rows = np.union1d(rows, (~np.isnan(X)).argmax(axis=0))
        columns = Columns(None, X[rows], "auto", (), None)
        d = X.shape[1]
        mean, covariance = np.zeros(d), np.empty((0, 0))
        if d <= INPUTS:
            fitted = fit_fill(columns.standardise(X[rows]))
            mean, covariance = fitted["mean"], fitted["covariance"]
        names = ("center", "unit", "log")
        arrays = {name: getattr(columns, name) for name in names}
        return cls({**arrays, "mean": mean, "covariance": covariance, "low": low, "high": high})

    def fill(self, X):
        """X complete: each missing entry at its expectation given the others of its row."""
        missing = np.isnan(X)
        rows = np.flatnonzero(missing.any(axis=1))
        if not len(rows):
            return X
        z = self.columns.standardise(X[rows])
        for seen, some in patterns(z):
            gain, *_ = self._conditional(seen)
            expected = np.tile(self.arrays["mean"], (len(some), 1))
            for j, row in zip(seen, gain, strict=len(gain) > 0):  # not BLAS, whose sums depend on the number of rows
                expected += (z[some, j] - self.arrays["mean"][j])[:, None] * row
            z[some] = expected
        X = X.copy()
        columns = np.flatnonzero(missing.any(axis=0))
        found = self._restored(z[:, columns], columns)
        X[np.ix_(rows, columns)] = np.where(missing[np.ix_(rows, columns)], found, X[np.ix_(rows, columns)])
        return X

    def variance(self, X, filled, predict):
        """What the missing entries add to the variance of ``predict(filled)``, (n, m).

        Sum over the principal axes of what is unknown of a row of the mean squared change of the prediction, one
        standard deviation to either side: the linear law of error propagation where the prediction is a plane, and
        not zero where its slope is.
        """
        incomplete = np.flatnonzero(np.isnan(X).any(axis=1))
        if not len(incomplete):
            return 0.0
        total, d = None, X.shape[1]
        size = max(1, AXES // d**2)
        for part in np.split(incomplete, np.arange(size, len(incomplete), size)):
            start, z = predict(filled[part]), self.columns.standardise(filled[part])
            total = np.zeros((len(X), *start.shape[1:])) if total is None else total
            axes = np.zeros((len(part), np.isnan(X[part]).sum(axis=1).max(), d))
            for seen, some in patterns(np.where(np.isnan(X[part]), np.nan, z)):
                _, hidden, left = self._conditional(seen)
                value, vector = np.linalg.eigh(left)
                axes[np.ix_(some, np.arange(len(hidden)), hidden)] = (vector * np.sqrt(np.maximum(value, 0.0))).T
            for step in axes.transpose(1, 0, 2):
                moves = np.flatnonzero(step.any(axis=1))
                for sign in (1.0, -1.0) if len(moves) else ():
                    rows = part[moves]
                    columns = np.flatnonzero(step[moves].any(axis=0))
                    moved = filled[rows]
                    found = self._restored((z[moves] + sign * step[moves])[:, columns], columns)
                    moved[:, columns] = np.where(np.isnan(X[np.ix_(rows, columns)]), found, moved[:, columns])
                    total[part[moves]] += (predict(moved) - start[moves]) ** 2 / 2
        return total

    def _conditional(self, seen):
        """Gain (seen, d) from the seen columns, the hidden columns, and the covariance that is left of these."""
        d = len(self.arrays["mean"])
        hidden = np.setdiff1d(np.arange(d), seen)
        S = self.arrays["covariance"]
        if not len(S):
            return np.zeros((0, d)), hidden, np.eye(len(hidden))
        gain = np.linalg.solve(S[np.ix_(seen, seen)], S[seen])
        return gain, hidden, S[np.ix_(hidden, hidden)] - S[np.ix_(hidden, seen)] @ gain[:, hidden]

    def _restored(self, z, columns):
        nothing = np.zeros((len(z), 1))
        X = np.column_stack([self.columns.restore(j, z[:, [i]], nothing)[0] for i, j in enumerate(columns)])
        return np.clip(X, self.arrays["low"][columns], self.arrays["high"][columns])


def first_trust(X, target):
    """Weights (n, m) of the rows for each output at first: the complete ones alone where they are enough."""
    whole, measured = ~np.isnan(X).any(axis=1), ~np.isnan(target)
    enough = (measured & whole[:, None]).sum(axis=0) >= max(20, 3 * X.shape[1])
    return np.where(whole[:, None] | ~enough, 1.0, 0.0)


def trust(error, unsure, before):
    """Weights (n, m) of rows by how much their gaps add to the noise: 1 / (1 + unsure / noise)."""
    weight = np.where(np.isnan(error), 0.0, before)
    with np.errstate(over="ignore", invalid="ignore"):
        noise = np.maximum((weight * np.nan_to_num(error) ** 2).sum(axis=0) / weight.sum(axis=0), 1e-300)
        share = np.where(np.isnan(error), 0.0, 1.0 / (1.0 + unsure / noise))
    return share / np.maximum(share.max(axis=0), 1e-300)
