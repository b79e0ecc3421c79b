"""A table in standardised units and back: its columns less their relations, and derived columns."""

from dataclasses import dataclass

import numpy as np

from skmerge._gaussian.columns import Columns
from skmerge._table import laws


@dataclass(frozen=True)
class Units:
    """How a table becomes standardised columns."""

    columns: Columns
    relations: dict  # {number of a column: the law that it follows up to a remainder}
    relation_mean: np.ndarray  # (d,), used where a relation returns NaN
    derived: dict  # {name: law}
    derived_scale: np.ndarray | None  # (2, n_derived), centre and unit; None if no law is derived

    @classmethod
    def learn(cls, names, X, codes, bits, log, bounds, relations, derived):
        """From a table (n, d), NaN where missing.

        ``codes``: numbers of the categorical columns, ``bits``: of those of False and True; ``names``: ColumnNames,
        which translates the keys of ``log`` and ``bounds``.
        """
        law = laws.related(relations, X)
        for j in relations:
            if j in codes:
                raise ValueError(f"relations[{j}]: the column is categorical; only numbers can follow a law.")
            if np.isnan(X[:, j] - law[:, j]).all():
                raise ValueError(f"relations[{j}] returned NaN in every row where the column is measured.")
        columns = Columns(names, X - law, log, codes, bounds, law, bits)
        extra = laws.derived_columns(derived, X)
        for name, values in zip(derived, extra.T, strict=True):
            if np.isnan(values).all():
                raise ValueError(f"derived[{name!r}] returned NaN in every row; leave it out or correct the function.")
        center, unit = np.nanmean(extra, axis=0), np.nanstd(extra, axis=0)
        scale = np.array([center, np.where(unit > 0, unit, 1.0)])
        return cls(columns, relations, np.nanmean(law, axis=0), derived, scale)

    def arrays(self):
        """The stored form of the columns."""
        return vars(self.columns) | ({"derived_": self.derived_scale} if self.derived else {})

    @classmethod
    def restored(cls, arrays, relations, relation_mean, derived):
        columns = Columns.restored({name: value for name, value in arrays.items() if name != "derived_"})
        return cls(columns, relations, relation_mean, derived, arrays.get("derived_"))

    @property
    def width(self):
        """Number of standardised columns."""
        return len(self.columns.owner) + len(self.derived)

    def standardise(self, X):
        """(n, width); derived columns come last."""
        z = self.columns.standardise(X - laws.related(self.relations, X) if self.relations else X)
        if not self.derived:
            return z
        center, unit = self.derived_scale
        return np.hstack([z, (laws.derived_columns(self.derived, X) - center) / unit])

    def error(self, error, X):
        """Standard deviations of measurements (n, d) in standardised units, (n, width)."""
        return self.columns.error_units(error, X, self.width)

    def restore(self, X, expected, variance, properties):
        """Values and standard deviations (n, d) of standardised columns (n, width).

        ``X`` (n, d): the table. Relations are called with it after missing descriptors, not ``properties``, are filled.
        """
        law, spread = self._laws(X, expected, properties), np.sqrt(variance)
        values, std = np.empty(X.shape), np.empty(X.shape)
        for j in range(X.shape[1]):
            values[:, j], std[:, j] = self._restored(j, expected, spread, law[:, j])
        return values, std

    def _restored(self, j, expected, std, law=0.0):
        block = np.flatnonzero(self.columns.owner == j)
        return self.columns.restore(j, expected[:, block], std[:, block], law)

    def _laws(self, X, expected, properties):
        """Values of the relations, (n, d), their mean where they return NaN."""
        if not self.relations:
            return np.zeros(X.shape)
        filled = X.copy()
        for j in np.flatnonzero(np.isnan(X).any(axis=0)):
            if j not in properties and j not in self.relations:
                fills, _ = self._restored(j, expected, np.zeros(expected.shape))
                filled[:, j] = np.where(np.isnan(X[:, j]), fills, X[:, j])
        law = laws.related(self.relations, filled)
        return np.where(np.isnan(law), self.relation_mean, law)
