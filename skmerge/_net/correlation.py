"""Whether y depends on a feature at all, without a net: by correlations, whose distribution is known.

A search among many forms fits noise, so that its result is compared with a constant row by row (``comparison``). That
comparison detects little where two or three rows have most of the squares, as in tables of six rows or where y spans
decades.
"""

import numpy as np
from scipy.special import ndtr, stdtr

LEVEL = 0.01  # probability that noise counts as a dependence, over all features and all tests of each
SMOOTH = 0.02  # probability that noise counts as smooth, over all features
FEWEST = 7  # rows for that
RANKED = 8  # least number of rows with which Student's t holds for ranks: six are all in order once in 360 draws


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


def followed(X, y):
    """The feature along which y is smooth: rows that are neighbours in it have y more alike than chance; or None.

    By von Neumann's ratio, the squared differences of neighbours over the squares about the mean. y that rises and
    falls has no correlation, and short laws of few rows may all miss it.
    """
    n, d = X.shape
    squares = ((y - y.mean()) ** 2).sum()
    if n < FEWEST or not squares > 0:
        return None
    spread = np.sqrt(4 * (n - 2) / ((n - 1) * (n + 1)))
    z = np.zeros(d)
    for j, x in enumerate(X.T):
        if len(np.unique(x)) > n / 2:  # else the order of equal values decides
            z[j] = (2 - (np.diff(y[np.argsort(x, kind="stable")]) ** 2).sum() / squares) / spread
    best = int(np.argmax(z))
    return best if ndtr(-z[best]) < SMOOTH / d else None


def _ranks(x, weight):
    """Share of the weight below each value, and half of that at it."""
    place = np.unique(x, return_inverse=True)[1]
    at = np.bincount(place, weight)
    return (np.cumsum(at) - at / 2)[place]


def _probability(a, b, weight):
    """Probability of a correlation as large as that of a and b if they were independent, by Student's t."""
    a, b = a - weight @ a, b - weight @ b
    size = np.sqrt((weight @ a**2) * (weight @ b**2))
    if not size > 1e-12:
        return 1.0
    r = min(abs(weight @ (a * b)) / size, 1.0)
    free = len(a) - 2
    return 2 * stdtr(free, -r * np.sqrt(free / max(1 - r**2, 1e-30)))
