"""Predictions of each cell from the others of its row, in the table's units, with calibrated standard deviations."""

from dataclasses import dataclass

import numpy as np

from skmerge._table import faults, sources
from skmerge._table.model import TableModel
from skmerge._table.ranges import EDGE_STEP, Ranges
from skmerge._table.units import Units

BEYOND = 4.0  # standard deviations of a prediction one range beyond the table; a straight line changes by 3.5


@dataclass
class Entries:
    """A fitted table; ``calibrate`` finds the scales, factors of standard deviations."""

    units: Units
    model: TableModel
    ranges: Ranges
    properties: np.ndarray
    explained: np.ndarray  # (width,), share of the variance of each standardised column that the others explain
    std_scale: np.ndarray | None = None  # (d,)
    source_scale: np.ndarray | None = None  # (n_sources, n_properties), for rows of each source

    def __post_init__(self):
        if self.source_scale is None:
            self.source_scale = np.ones((len(self.model.source_noise), len(self.model.layout.at)))

    def predict(self, X):
        """Values and standard deviations (n, d)."""
        z = self.units.standardise(X)
        expected, variance = self.model.expected(z)
        # Beyond the table, relations between columns that hold within it may no longer hold.
        distance, owner = self.ranges.beyond(X), self.model.layout.owner
        each = np.repeat(distance[:, :1], z.shape[1], axis=1)
        each[:, self.model.layout.at] = distance[:, 1:]
        scale = np.where(owner >= 0, self.std_scale[owner], 1.0)  # which multiplies the standard deviation below
        variance += (BEYOND * each * (1.0 + each) / scale) ** 2 * self.explained
        values, std = self._restored(X, z, expected, variance)
        std = std * self.std_scale
        at, inside, rows = self.ranges.edge(X)
        if len(rows):  # the prediction may continue with the slope at the edge of the table
            out = np.minimum(distance[rows, :1] * (1.0 + distance[rows, :1]), np.finfo(float).max)
            change = np.abs(self._values(at) - self._values(inside)) / EDGE_STEP * out
            change[:, [levels is not None for levels in self.units.columns.levels]] = 0.0
            std[rows] = np.maximum(std[rows], change)
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
            scale = np.vstack([self.source_scale, np.ones(len(self.properties))])  # -1, an unknown source, is the last
            std[:, self.properties] *= scale[self.model.layout.source_code(z)]
        return values, np.maximum(std, 1e-12 * np.maximum(1.0, np.abs(self.units.columns.center)))

    def calibrate(self, X, z, error, unseen, progress):
        """Find the factors that make 90 % of the training cells lie within 1.645 standard deviations.

        Returns value, standard deviation and score of a fault (n, d) of each training cell predicted without itself.
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
        if worst.any():  # a wrong entry must not increase the scores of the other entries of its row
            without = z.copy()
            without[:, : len(columns.owner)][worst[:, columns.owner]] = np.nan
            values, std = self._left_out(X, without, *given)
            score = faults.scores(X, values, std, scale, columns.log, columns.levels, score)
        return values, std * self.std_scale, score
