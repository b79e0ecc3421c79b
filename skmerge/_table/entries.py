"""Each cell of a table from the others of its row, in the table's units, with calibrated standard deviations."""

import numpy as np

from skmerge._table import faults, sources
from skmerge._table.ranges import INSIDE

BEYOND = 4.0  # standard deviations that a prediction may be off one range beyond the table; a line rises by 3.5


class Entries:
    """A fitted table.

    Parameters
    ----------
    units : Units
    model : TableModel
    ranges : Ranges
    properties : int ndarray
    explained : ndarray of shape (width,)
        Share of the variance of each standardised column that the others explain.
    std_scale : ndarray of shape (d,), default=None
        Factors of the standard deviations; ones until ``calibrate`` finds them.
    source_scale : ndarray of shape (n_sources, n_properties), default=None
        The same for rows of each source.
    """

    def __init__(self, units, model, ranges, properties, explained, std_scale=None, source_scale=None):
        self.units, self.model, self.ranges, self.properties = units, model, ranges, properties
        self.explained, self.std_scale = explained, std_scale
        if source_scale is None:
            source_scale = np.ones((len(model.source_noise), len(model.layout.at)))
        self.source_scale = source_scale

    def predict(self, X):
        """Values and standard deviations (n, d)."""
        z = self.units.standardise(X)
        expected, variance = self.model.expected(z)
        # What the other cells explain of a column within the table they may not beyond it.
        e = self.ranges.beyond(X)
        each = np.repeat(e[:, :1], z.shape[1], axis=1)
        each[:, self.model.layout.at] = e[:, 1:]
        owner = self.model.layout.owner
        scale = np.where(owner >= 0, self.std_scale[owner], 1.0)  # by which it is multiplied
        variance += (BEYOND * each * (1.0 + each) / scale) ** 2 * self.explained
        values, std = self._restored(X, z, expected, variance)
        std = std * self.std_scale
        at, inside, rows = self.ranges.edge(X)
        if len(rows):  # and it may go on as steeply as it left the table
            e = np.minimum(e[rows, :1] * (1.0 + e[rows, :1]), np.finfo(float).max)
            steep = np.abs(self._values(at) - self._values(inside)) / INSIDE * e
            steep[:, [levels is not None for levels in self.units.columns.levels]] = 0.0
            std[rows] = np.maximum(std[rows], steep)
        return values, std

    def _values(self, X):
        z = self.units.standardise(X)
        return self._restored(X, z, *self.model.expected(z))[0]

    def _left_out(self, X, z, error, unseen, progress):
        """Values and uncalibrated standard deviations (n, d) of training rows."""
        return self._restored(X, z, *self.model.expected(z, error, unseen, progress))

    def _restored(self, X, z, expected, variance):
        values, std = self.units.restore(X, expected, variance, self.properties)
        if len(self.source_scale) and len(self.properties):
            known = np.vstack([self.source_scale, np.ones(len(self.properties))])  # -1, an unknown source, is the last
            std[:, self.properties] *= known[self.model.layout.source_code(z)]
        return values, np.maximum(std, 1e-12 * np.maximum(1.0, np.abs(self.units.columns.center)))

    def calibrate(self, X, z, error, unseen, progress):
        """Find the factors that make 90 % of the training cells lie within 1.645 standard deviations.

        Returns
        -------
        values, std, score : ndarray of shape (n, d)
            Each cell of the training table predicted without itself, and how little it fits.
        """
        columns, given = self.units.columns, (error, unseen, progress)
        values, std = self._left_out(X, z, *given)
        self.std_scale = faults.std_scale(X, values, std, columns.levels, self.properties)
        if len(self.source_scale) and len(self.properties):
            ratio = ((X - values) / (std * self.std_scale))[:, self.properties]
            self.source_scale = sources.scale(ratio, self.model.layout.source_code(z), len(self.source_scale))
            values, std = self._left_out(X, z, *given)
        scale = self.std_scale * faults.rarity(X, values, std * self.std_scale)
        score = faults.scores(X, values, std, scale, columns.log, columns.levels)
        worst = faults.worst(score, columns.levels)
        if worst.any():  # the others of its row are not blamed for an entry that is wrong
            without = z.copy()
            without[:, : len(columns.owner)][worst[:, columns.owner]] = np.nan
            codes = score
            values, std = self._left_out(X, without, *given)
            score = faults.scores(X, values, std, scale, columns.log, columns.levels, codes)
        return values, std * self.std_scale, score
