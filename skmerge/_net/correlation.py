"""Whether y depends on a feature at all, asked without a net: by correlations, whose distribution is known.

A search among many forms fits noise, so that what it finds is held against a constant row by row (``comparison``). That
has little power where two or three rows hold most of the squares, as in tables of six rows, or where y spans decades.
"""

import numpy as np
from scipy.special import stdtr

LEVEL = 0.01  # probability, over all features and tests of each, that noise is called a dependence
RANKED = 8  # rows from which on Student's t holds for ranks: of six, all in order, the probability is 1 in 360


def is_correlated(X, y, weight):
    """Whether a feature and y are correlated: raw, in logarithms where both are positive, or by ranks.

    Parameters
    ----------
    X : ndarray of shape (n, d), distinct rows
    y, weight : ndarray of shape (n,); the weights sum to one
    """
    n, d = X.shape
    if n < 4:
        return False
    y = y / (np.abs(y).max() or 1.0)
    ranks = [_ranks(y, weight)] if n >= RANKED else []
    logs = [np.log(y)] if (y > 0).all() else []
    for x in X.T:
        x = x / (np.abs(x).max() or 1.0)  # so that squares stay within the range of float
        pairs = [(x, y)]
        pairs += [(_ranks(x, weight), r) for r in ranks]
        pairs += [(np.log(x), log) for log in logs if (x > 0).all()]
        if any(_probability(a, b, weight) < LEVEL / (d * len(pairs)) for a, b in pairs):
            return True
    return False


def _ranks(x, weight):
    """Share of the weight below each value, and half of that at it."""
    place = np.unique(x, return_inverse=True)[1]
    at = np.bincount(place, weight)
    return (np.cumsum(at) - at / 2)[place]


def _probability(a, b, weight):
    """That of so large a correlation between independent a and b, by Student's t."""
    a, b = a - weight @ a, b - weight @ b
    size = np.sqrt((weight @ a**2) * (weight @ b**2))
    if not size > 1e-12:
        return 1.0
    r = min(abs(weight @ (a * b)) / size, 1.0)
    free = len(a) - 2
    return 2 * stdtr(free, -r * np.sqrt(free / max(1 - r**2, 1e-30)))
