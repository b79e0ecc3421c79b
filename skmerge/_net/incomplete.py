"""Missing inputs of the net: how they are filled, what that adds to a variance, and the weight of incomplete rows."""

import numpy as np

from skmerge._gaussian import conditional
from skmerge._gaussian.columns import Columns
from skmerge._gaussian.joint import fit_linear

MAX_COVARIANCE_FEATURES = 100  # beyond, a missing feature is its mean: a step of the covariance takes their cube
COVARIANCE_ROWS = 20_000  # from which the covariance is estimated
MIN_WEIGHT = 0.02  # an incomplete row with less is left out; a complete one has 1


class Inputs:
    """How missing inputs of a regressor are filled, and what they add to the variance of a prediction.

    Attributes
    ----------
    arrays : dict of plain arrays
        ``center``, ``unit``, ``log``: how a feature becomes a standardised number; ``mean``, ``covariance`` of these
        (the latter empty for more than 100 features); ``low``, ``high``: the observed range, which no fill leaves.
    """

    def __init__(self, arrays):
        self.arrays = arrays
        self.columns = Columns.of(arrays["center"], arrays["unit"], arrays["log"])

    @classmethod
    def learn(cls, X):
        """From rows (n, d) with at least one entry in each column; the fixed point of filling and fitting."""
        rows = np.arange(0, len(X), -(-len(X) // COVARIANCE_ROWS))
        if len(rows) < len(X):  # at least one entry of each feature
            rows = np.union1d(rows, (~np.isnan(X)).argmax(axis=0))
        columns = Columns(None, X[rows], "auto", (), None)
        arrays = {"center": columns.center, "unit": columns.unit, "log": columns.log}
        d = X.shape[1]
        arrays |= {"mean": np.zeros(d), "covariance": np.empty((0, 0))}
        if d <= MAX_COVARIANCE_FEATURES:
            fitted = fit_linear(columns.standardise(X[rows]))
            arrays |= {name: fitted[name] for name in ("mean", "covariance")}
        return cls({**arrays, "low": np.nanmin(X, axis=0), "high": np.nanmax(X, axis=0)})

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
        """X with its missing entries from standardised ones, within the observed range."""
        return np.where(np.isnan(X), np.clip(self.columns.numbers(z), self.arrays["low"], self.arrays["high"]), X)


def initial_weights(X, target):
    """The first weights (n, m) of the rows for each output: only complete rows count if they are enough."""
    complete, measured = ~np.isnan(X).any(axis=1), ~np.isnan(target)
    enough = (measured & complete[:, None]).sum(axis=0) >= max(20, 3 * X.shape[1])
    return np.where(complete[:, None] | ~enough, 1.0, 0.0)


def row_weights(error, added, before):
    """Weights (n, m) of rows by the variance that their gaps add to the noise: 1 / (1 + added / noise)."""
    weight = np.where(np.isnan(error), 0.0, before)
    with np.errstate(over="ignore", invalid="ignore"):
        noise = np.maximum((weight * np.nan_to_num(error) ** 2).sum(axis=0) / weight.sum(axis=0), 1e-300)
        share = np.where(np.isnan(error), 0.0, 1.0 / (1.0 + added / noise))
    return share / np.maximum(share.max(axis=0), 1e-300)
