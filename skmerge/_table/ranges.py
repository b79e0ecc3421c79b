"""What the columns of a table span, and how far rows are beyond it."""

import numpy as np

from skmerge._validation import excess

FARTHEST_OUT = 10.0  # ranges beyond which a row is no further out
INSIDE = 0.1  # ranges over which a slope at the edge of the table is measured
RARE = 0.25  # the same of a column of nearly one value: an element never seen makes a property as unsure as the column


class Ranges:
    """Ranges of all rows and of those where each property was measured.

    Parameters
    ----------
    ranges : ndarray of shape (1 + n_properties, 2, d)
        Least and greatest entry; infinite where nothing is known.
    graded : bool ndarray of shape (1 + n_properties, d)
        Whether a column takes more than one value in the middle eight tenths of these rows: of an element that few
        alloys hold, the range says little.
    is_number : bool ndarray of shape (d,)
        Codes and names have no range.
    """

    def __init__(self, ranges, graded, is_number):
        self.ranges, self.graded, self.is_number = ranges, graded, is_number

    @classmethod
    def learn(cls, X, properties, is_number):
        ranges = np.empty((1 + len(properties), 2, X.shape[1]))
        graded = np.zeros((1 + len(properties), X.shape[1]), bool)
        for p, seen in enumerate([np.ones(len(X), bool), *(~np.isnan(X[:, j]) for j in properties)]):
            for j, column in enumerate(X[seen].T):
                known = column[~np.isnan(column)]
                ranges[p, :, j] = -np.inf, np.inf
                if len(known):
                    ranges[p, :, j] = known.min(), known.max()
                    low, high = np.quantile(known, [0.1, 0.9])
                    graded[p, j] = high > low
        return cls(ranges, graded, is_number)

    def excess(self, X, p=0, graded=None):
        """Greatest excess of each row over the ranges p, in units of them; of graded columns, of others or of all."""
        known = self.is_number & (True if graded is None else self.graded[p] == graded)
        low, high = self.ranges[p]
        return excess(X[:, known], low[known], high[known]) if known.any() else np.zeros(len(X))

    def edge(self, X):
        """Rows where they leave the table, rows a tenth of the way back inside, and which rows leave it.

        The way back has the direction in which a row left, in ranges of the columns, and the length of INSIDE for the
        column that is farthest out.
        """
        low, high = self.ranges[0]
        at = np.where(self.is_number, np.clip(X, low, high), X)
        width = np.where(self.is_number & np.isfinite(low) & (high > low), high - low, 1.0)
        out = np.nan_to_num(np.where(self.is_number, (X - at) / width, 0.0))
        out = np.clip(out, *(np.where(self.graded[0], FARTHEST_OUT, RARE) * np.array([[-1.0], [1.0]])))
        farthest = np.abs(out).max(axis=1, initial=0.0)
        rows = np.flatnonzero(farthest > 0)
        back = INSIDE * out[rows] / farthest[rows, None] * width
        return at[rows], np.clip(at[rows] - back, np.where(self.is_number, low, -np.inf),
                                 np.where(self.is_number, high, np.inf)), rows  # fmt: skip

    def beyond(self, X):
        """How far rows are beyond all rows and beyond those of each property, (n, 1 + n_properties)."""
        return np.column_stack([
            np.maximum(np.minimum(self.excess(X, p, True), FARTHEST_OUT), np.minimum(self.excess(X, p, False), RARE))
            for p in range(len(self.ranges))
        ])  # fmt: skip
