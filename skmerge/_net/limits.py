"""The limits of a committee's predictions: unlike a law, it contains nothing about what is beyond the trained rows.

Its products are steep near zero, whatever their exponents: x^0.05 falls from 0.82 at x = 0.02, the smallest trained
value, to 0 at x = 0. Therefore a feature that may enter products counts as half its smallest trained size where it is
less, and predictions are kept within the trained range of y, widened by its width to either side.
"""

import numpy as np

from skmerge._text import warn


def widened(y):
    """The range of y, widened by its width to either side."""
    low, high = y.min(), y.max()
    return np.array([2 * low - high, 2 * high - low])


def is_committee(nets):
    """Which outputs are a committee's, (m,)."""
    return np.isfinite(nets.target_range_).all(axis=0)


def limited(nets, X, k):
    """X within the limits for output k, and the least and greatest value of its predictions."""
    if not is_committee(nets)[k]:
        return X, -np.inf, np.inf
    return np.clip(X, *feature_limits(nets)), *nets.target_range_[:, k]


def feature_limits(nets):
    """Least and greatest value that each feature counts as in a committee."""
    low, high = nets.x_min_, nets.x_max_
    least = np.where(nets.product_ & (low > 0), low / 2, -np.inf)
    return least, np.where(nets.product_ & (high < 0), high / 2, np.inf)


def distance_below(nets, X):
    """How far sizes are below the trained ones, in units of the range of their logarithms, where that matters, (n,).

    In a law it matters for features with negative exponents. In a committee it matters for features of one sign in any
    product, down to half the smallest trained size.
    """
    A = nets.A_[..., : len(nets.x_scale_)]
    power = (A != 0) & (nets.B_ != 0)[..., None] & (nets.blend_ < 1)[..., None]
    committee = is_committee(nets)
    pole = (power & (A < 0))[:, ~committee].any(axis=(0, 1, 2))
    one_sign = (nets.x_min_ > 0) | (nets.x_max_ < 0)
    power = pole | (power[:, committee].any(axis=(0, 1, 2)) & one_sign)
    low, high = nets.x_least_, np.abs([nets.x_min_, nets.x_max_]).max(axis=0)
    distance = np.zeros(len(X))
    for j in np.flatnonzero(power & nets.product_ & (low > 0)):
        near = np.log(low[j] / np.maximum(np.abs(X[:, j]), np.finfo(float).tiny if pole[j] else low[j] / 2))
        distance = np.maximum(distance, near / (np.log(high[j] / low[j]) if high[j] > low[j] else 1.0))
    return distance


def tell_poles(nets, X, names):
    """Warn of rows where a law divides by a feature that is zero: it says nothing there.

    ``X``: as given; ``names``: those of its features.
    """
    law = ~is_committee(nets)
    A = nets.A_[:, law]
    power = (A < 0) & (nets.B_ != 0)[:, law, :, None] & (nets.blend_ < 1)[:, law, :, None]
    pole = power.any(axis=(0, 1, 2))[: X.shape[1]]
    used = A[..., X.shape[1] :].any(axis=(0, 1, 2))
    pole |= (nets.functions_["exponent"][used] < 0).any(axis=0)
    for j in np.flatnonzero(pole):
        n_zero = np.count_nonzero(X[:, j] == 0)
        if n_zero:
            warn(
                f"{names[j]} is 0 in {n_zero} of {len(X)} row(s), and the law divides by a power of it: it says "
                "nothing there, and what predict returns is no estimate. If 0 stands for not measured, give NaN."
            )
