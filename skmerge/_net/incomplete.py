"""Missing inputs of the net: what fills them, what that leaves unsure, and how far incomplete rows are trusted."""

import numpy as np

from skmerge._gaussian import conditional
from skmerge._gaussian.columns import Columns
from skmerge._gaussian.joint import fit_linear

INPUTS = 100  # features of a regressor; beyond, a missing one is its mean: a step of the covariance takes their cube
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
            fitted = fit_linear(columns.standardise(X[rows]))
            mean, covariance = fitted["mean"], fitted["covariance"]
        names = ("center", "unit", "log")
        arrays = {name: getattr(columns, name) for name in names}
        return cls({**arrays, "mean": mean, "covariance": covariance, "low": low, "high": high})

    def fill(self, X):
        """X complete: each missing entry at its expectation given the others of its row."""
        rows = np.flatnonzero(np.isnan(X).any(axis=1))
        if not len(rows):
            return X
        z = conditional.fill(self.arrays["mean"], self.arrays["covariance"], self.columns.standardise(X[rows]))
        filled = X.copy()
        filled[rows] = self._with_fills(X[rows], z)
        return filled

    def variance(self, X, filled, predict):
        """What the missing entries add to the variance of ``predict(filled)``, (n, m)."""
        missing = np.isnan(X)
        z = self.columns.standardise(filled)

        def moved(rows, moves):
            return predict(self._with_fills(X[rows], z[rows] + moves) if moves.any() else filled[rows])

        return conditional.variance_of(self.arrays["covariance"], np.where(missing, np.nan, z), moved)

    def _with_fills(self, X, z):
        """X with its missing entries from standardised ones, within the range that was observed."""
        return np.where(np.isnan(X), np.clip(self.columns.numbers(z), self.arrays["low"], self.arrays["high"]), X)


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
