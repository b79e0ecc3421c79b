"""The ranges of the columns of a table, and how far rows are beyond them."""

from dataclasses import dataclass

import numpy as np

from skmerge._validation import distance_beyond

MAX_BEYOND = 10.0  # ranges; the greatest distance of a row beyond the table
EDGE_STEP = 0.1  # ranges over which a slope at the edge of the table is measured
# As MAX_BEYOND, for a column with nearly one value; it widens an interval to about the spread of the property.
MAX_BEYOND_RARE = 0.25


@dataclass(frozen=True)
class Ranges:
    """Ranges of all rows and of those where each property was measured.

    ``graded``: whether a column has more than one value in the middle eight tenths of these rows. The
    range of an element that few alloys contain says little.
    """

    ranges: np.ndarray  # (1 + n_properties, 2, d), least and greatest entry; infinite without entries
    graded: np.ndarray  # (1 + n_properties, d), bool
    is_number: np.ndarray  # (d,), bool; codes and names have no range

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

    def distance(self, X, p=0, graded=None):
        """Greatest distance of each row to the ranges p, in units of them; over graded columns, others or all."""
        known = self.is_number & (True if graded is None else self.graded[p] == graded)
        low, high = self.ranges[p]
        return distance_beyond(X[:, known], low[known], high[known]) if known.any() else np.zeros(len(X))

    def edge(self, X):
        """The points where rows leave the table, points one EDGE_STEP inside, and the numbers of these rows.

        The step goes back in the direction from which a row left, in ranges of the columns, and is EDGE_STEP for the
        column that is farthest out.
        """
        low, high = self.ranges[0]
        at = np.where(self.is_number, np.clip(X, low, high), X)
        width = np.where(self.is_number & np.isfinite(low) & (high > low), high - low, 1.0)
        out = np.nan_to_num(np.where(self.is_number, (X - at) / width, 0.0))
        out = np.clip(out, *(np.where(self.graded[0], MAX_BEYOND, MAX_BEYOND_RARE) * np.array([[-1.0], [1.0]])))
        farthest = np.abs(out).max(axis=1, initial=0.0)
        rows = np.flatnonzero(farthest > 0)
        step = EDGE_STEP * out[rows] / farthest[rows, None] * width
        limits = np.where(self.is_number, low, -np.inf), np.where(self.is_number, high, np.inf)
        return at[rows], np.clip(at[rows] - step, *limits), rows

    def beyond(self, X):
        """Distances to the ranges of all rows and of those of each property, limited, (n, 1 + n_properties)."""
        limited = []
        for p in range(len(self.ranges)):
            graded, rare = self.distance(X, p, True), self.distance(X, p, False)
            limited.append(np.maximum(np.minimum(graded, MAX_BEYOND), np.minimum(rare, MAX_BEYOND_RARE)))
        return np.column_stack(limited)
