"""Faults: entries of a table that are far from their predictions. Scale of standard deviations, and scores."""

from typing import NamedTuple

import numpy as np

from skmerge.metrics import factor_90

WRONG = 8.0  # an entry with a greater score, the worst of its row, is not used to predict the others


class Outlier(NamedTuple):
    """An entry that does not fit: its place, its value and the value that the rest of the table predicts.

    ``row`` is a position counted from 0, ``label`` the row's name in the index of the data frame.
    """

    row: int
    label: object
    column: str
    value: object
    expected: object
    std: float
    score: float


def std_scale(X, values, std, levels, properties):
    """Factors (d,) of standard deviations that let 90 % of the entries lie within 1.645 of them.

    ``X``, ``values``, ``std`` (n, d): entries, NaN where missing, their expected values and standard deviations;
    ``levels``: of each column, None for numbers; ``properties``: numbers of columns.
    """
    factor = np.ones(X.shape[1])
    for j in np.flatnonzero([codes is None for codes in levels]):
        rows = ~np.isnan(X[:, j])
        ratio = np.abs(X[rows, j] - values[rows, j]) / std[rows, j]
        if len(ratio) >= 10 and (own := factor_90(ratio)) > 0:
            factor[j] = own
        if len(ratio) and j not in properties:
            # If few alloys contain an element, nine tenths of its entries are zero and predicted as zero.
            factor[j] = max(factor[j], np.sqrt(np.mean(ratio**2)))
    return factor


def scores(X, values, std, scale, log, levels, before=None):
    """Scores (n, d): ``misfit`` of numbers; 1 / std of codes that are not the expected one.

    ``before``: earlier scores, of which those of codes are kept.
    """
    score = misfit(X, values, std * scale, log)
    for j in np.flatnonzero([codes is not None for codes in levels]):
        rows = ~np.isnan(X[:, j])
        wrong = np.where(values[rows, j] == X[rows, j], 0.0, 1.0)
        score[:, j] = np.nan
        score[rows, j] = wrong / std[rows, j].clip(0.05) if before is None else before[rows, j]
    return score


def worst(score, levels):
    """Which entries are almost certainly wrong: the numbers with the highest score of their row, above WRONG."""
    plain = np.where(np.isnan(score) | [codes is not None for codes in levels], 0.0, score)
    return (plain > WRONG) & (plain == plain.max(axis=1, keepdims=True))


def rarity(X, values, std):
    """Factors (n, d) of standard deviations: in columns that are mostly zero, those of other entries, by their errors.

    An alloy with an element that few alloys contain is rare, not wrong; but the amount of the element may be wrong.
    """
    factor = np.ones(X.shape)
    for j in np.flatnonzero((X == 0).sum(axis=0) > (~np.isnan(X)).sum(axis=0) / 2):
        rows = ~np.isnan(X[:, j]) & (X[:, j] != 0)
        if rows.any():
            ratio = np.abs(X[rows, j] - values[rows, j]) / std[rows, j]
            ratio = np.minimum(ratio, 3.0 * np.quantile(ratio, 0.8))  # wrong entries must not determine it
            factor[rows, j] = max(0.1, np.sqrt(np.mean(ratio**2)))
    return factor


def misfit(X, values, std, log):
    """Score of numbers, (n, d): sqrt(d^2 - d10^2), or d / 2 if that is more.

    d is the distance in standard deviations on the scale on which a column was learned, d10 that of the entry with its
    decimal point moved by one place: a misplaced decimal point makes an error more likely.
    """

    def distance(X):
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            far = np.abs(np.log(X / values)) / np.arcsinh(std / np.abs(values))
            return np.minimum(np.where(log & (X > 0), far, np.abs(X - values) / std), 1e3)

    with np.errstate(over="ignore"):
        own, slipped = distance(X), np.minimum(distance(X * 10), distance(X / 10))
    return np.maximum(np.sqrt(np.maximum(own**2 - slipped**2, 0.0)), own / 2)
