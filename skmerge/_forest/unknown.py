"""What an unknown feature may be: its values in the training rows that are most like a row in its known features.

Two alternatives were measured on y = 3 x0 + x1 + noise with x0 unknown (error 1.2). To follow both sides of a split,
weighted by their rows, ignores that the trees of a sequence vary together (std 0.7). A normal distribution of all
features takes time that grows with the cube of their number.
"""

import numpy as np

from skmerge._forest.grower import location_and_spread

MAX_STAND_INS, NEAREST = 400, 20  # rows kept; of them, those that stand in for the unknown features of a row
GOLDEN = (5**0.5 - 1) / 2
MAX_INCOMPLETE_ROWS = 100  # training rows with unknown features whose errors are compared with what stand-ins change
# From so many training rows without a feature on, their errors say what its absence adds to the variance.
MIN_UNKNOWN = 20
MAX_FILLED_NUMBERS = 10**6  # held at a time


def stand_ins(X, weight):
    """MAX_STAND_INS rows or fewer, each as often as its weight says; for every k the first k are spread over all."""
    count = min(MAX_STAND_INS, len(X))
    place = np.searchsorted(np.cumsum(weight), (np.arange(count) + 0.5) / count * weight.sum())
    order = np.argsort(np.arange(count) * GOLDEN % 1.0, kind="stable")
    return X[np.minimum(place, len(X) - 1)[order]]


def squares(X, rows, predict, m):
    """Mean squared change of ``predict`` (n, m) when stand-ins, ``rows``, fill the unknown features of X; 0 for none.

    A stand-in in which the feature is unknown, too, changes nothing: where a feature is often missing, the forest has
    learned from rows without it.
    """
    out = np.zeros((len(X), m))
    at = np.flatnonzero(np.isnan(X).any(axis=1))
    if not len(at) or not len(rows):
        return out
    unit, d = location_and_spread(rows, np.ones(len(rows)))[1], X.shape[1]
    size = max(1, MAX_FILLED_NUMBERS // (len(rows) * d))
    for part in np.split(at, np.arange(size, len(at), size)):
        known = X[part][:, None]
        with np.errstate(over="ignore", invalid="ignore"):
            apart = ((known - rows) / unit) ** 2
        both = ~np.isnan(apart)
        distance = np.where(both, apart, 0.0).sum(axis=2) / np.maximum(both.sum(axis=2), 1)
        near = np.argsort(distance, axis=1, kind="stable")[:, :NEAREST]
        filled = np.where(np.isnan(known), rows[near], known)
        values = predict(filled.reshape(-1, d)).reshape(*near.shape, m)
        change = (values - predict(np.ascontiguousarray(X[part]))[:, None]) ** 2
        out[part] = change.sum(axis=1) / near.shape[1]
    return out


def factors(error2, base2, gap2, unknown, weight):
    """Factors (d,) of the change by an unknown feature, such that it explains the errors of rows; 1 for too few rows.

    Parameters
    ----------
    error2, base2, gap2, weight : ndarray of shape (n,), squared errors, variances without the gap, ``squares``
    unknown : bool ndarray of shape (n, d)
    """
    out = np.ones(unknown.shape[1])
    for j in np.flatnonzero(unknown.sum(axis=0) >= MIN_UNKNOWN):
        rows = unknown[:, j]
        change = np.average(gap2[rows], weights=weight[rows])
        if change > 0:
            more = np.average(error2[rows] - base2[rows], weights=weight[rows]) / change
            out[j] = np.sqrt(np.clip(more, 0.0, 1.0))
    return out
