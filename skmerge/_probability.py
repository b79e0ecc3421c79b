"""Probability that correlated normal errors leave every property within its limits, many rows at once."""

import numpy as np
from scipy.special import log_ndtr, ndtr, ndtri
from scipy.stats import qmc, rankdata

CHUNK = 2**20  # numbers held at a time
RARE = 1e-8  # probability of the least likely property below which their product stands for the joint one
MIN_COMMON = 10  # rows in which two errors must be known to be called correlated


def log_interval(lower, upper):
    """Logarithm of the probability that a standard normal variable lies between, exact in both tails."""
    right = lower > 0
    a, b = np.where(right, -upper, lower), np.where(right, -lower, upper)
    low, high = log_ndtr(a), log_ndtr(b)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(high == -np.inf, -np.inf, high + np.log(-np.expm1(np.minimum(low - high, 0.0))))


def log_box(lower, upper, factor=None, n_points=128):
    """Logarithm of the probability that normal variables of unit variance lie in a box, row by row.

    Separation of variables (Genz, J. Comput. Graph. Stat. 1, 141, 1992) on the points of a Sobol sequence: the same
    points for every row, so that it is a smooth function of the limits.

    Parameters
    ----------
    lower, upper : ndarray of shape (n, m)
        Limits, possibly infinite.
    factor : ndarray of shape (m, m) or None
        Lower Cholesky factor of the correlations; None: independent, and exact.
    n_points : int
        A power of two. The error of 128 points is some 1e-3 of the probability with five variables.

    Returns
    -------
    log_probability : ndarray of shape (n,)
    """
    product = log_interval(lower, upper)
    worst, out = product.min(axis=1, initial=0.0), product.sum(axis=1)
    m = lower.shape[1]
    if factor is None or m < 2:
        return out
    rows = np.flatnonzero(worst > np.log(RARE))
    out = np.minimum(out, np.where(worst > np.log(RARE), 0.0, np.log(RARE)))
    points = np.clip(qmc.Sobol(m - 1, scramble=False).random(n_points) + 0.5 / n_points, 0.0, 1 - 1e-9)
    for start in range(0, len(rows), max(1, CHUNK // (n_points * m))):
        some = rows[start : start + max(1, CHUNK // (n_points * m))]
        values = np.empty((m - 1, len(some), n_points))
        total = np.ones((len(some), n_points))
        for i in range(m):
            shift = np.tensordot(factor[i, :i], values[:i], axes=1)
            a = ndtr((lower[some, i, None] - shift) / factor[i, i])
            width = ndtr((upper[some, i, None] - shift) / factor[i, i]) - a
            total *= width
            if i < m - 1:
                values[i] = ndtri(np.clip(a + points[:, i] * width, 1e-300, 1 - 1e-16))
        # Beyond the accuracy of the sum a box is not likelier than its likeliest side.
        out[some] = np.log(np.clip(total.mean(axis=1), RARE**2, np.exp(worst[some])))
    return out


def error_correlation(residual):
    """Correlation of errors, from residuals of rows that the models had not seen.

    Rank correlations, turned into those of normal variables by 2 sin(pi r / 6), so that a few gross errors do not
    decide; 0 for pairs that fewer than ten rows have in common; made positive definite.

    Parameters
    ----------
    residual : ndarray of shape (n_samples, m), NaN where unknown

    Returns
    -------
    correlation : ndarray of shape (m, m)
    """
    m = residual.shape[1]
    correlation = np.eye(m)
    for i in range(m):
        for j in range(i):
            both = residual[~np.isnan(residual[:, [i, j]]).any(axis=1)][:, [i, j]]
            if len(both) >= MIN_COMMON and (np.ptp(both, axis=0) > 0).all():
                r = np.corrcoef(rankdata(both, axis=0), rowvar=False)[0, 1]
                correlation[i, j] = correlation[j, i] = 2 * np.sin(np.pi * r / 6)
    value, vector = np.linalg.eigh(correlation)
    correlation = (vector * np.maximum(value, 1e-3)) @ vector.T  # pairs from different rows may contradict each other
    unit = np.sqrt(np.diag(correlation))
    return correlation / unit / unit[:, None]
