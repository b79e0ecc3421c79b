"""How wide the intervals of a forest are, judged by the members that have not seen a row."""

import numpy as np
from scipy.optimize import nnls
from scipy.special import stdtrit

from skmerge.metrics import HALF_90

FEW = 10  # rows; of fewer the greatest error says little of the next one
LEAST = 0.1  # of the pooled error: where all members agree they may all be wrong
NARROWEST = 0.3  # of what squares say, if nine tenths of the errors are next to nothing


def judged(mean, square, count, weight):
    """Prediction and spread of each row by the members that have not seen it, (n, m) each, and their surplus.

    A row is judged by few members; all together scatter less. By how much, in squares, is the surplus.

    Parameters
    ----------
    mean, square : ndarray of shape (n_recipes, n, m)
        Of these members and of their squares, NaN where there is none.
    count : ndarray of shape (n_recipes, n), how many they are
    weight : (n_members, weights), ndarrays of shape (n_recipes,) and (n_recipes, m)
    """
    n_members, weight = weight
    prediction = np.einsum("gnm,gm->nm", mean, weight)
    total = weight.sum(axis=0)
    few = count[:, :, None]
    with np.errstate(invalid="ignore", divide="ignore"):
        spread = np.sqrt(np.maximum(np.einsum("gnm,gm->nm", square, weight) * total - prediction**2, 0.0))
        scatter = np.maximum(square - mean**2, 0.0) * few / (few - 1.0)
        surplus = np.einsum("gnm,gm->nm", scatter * (1.0 / few - 1.0 / n_members[:, None, None]), weight**2)
    return prediction, spread, np.where(np.isfinite(surplus), surplus, 0.0)


def without_surplus(error, surplus):
    """Errors (n,) as they would be of all members together."""
    if not error.any():
        return error
    return error * np.sqrt(np.clip(1.0 - surplus.mean() / np.mean(error**2), 0.25, 1.0))


def calibrate(error, spread, weight, group=None):
    """Factors of noise and spread, std^2 = noise^2 + factor^2 spread^2, with 90 % of the errors within 1.645 std.

    ``group``: numbers of groups, too few for a share of them to be 90 %: so it is of the group that errs most.
    """
    # Squared errors against squared spread, by least squares on what is not extreme.
    error2, spread2 = error**2, spread**2
    pooled = np.average(error2, weights=weight)
    error2 = np.minimum(error2, np.quantile(error2, 0.99))
    mean_spread = np.average(spread2, weights=weight)
    if mean_spread > 0:
        root = np.sqrt(weight) / (spread2 + mean_spread)  # errors of squares grow with them
        (noise2, factor2), _ = nnls(np.stack([root, root * spread2], axis=1), root * error2)
    else:
        noise2, factor2 = np.average(error2, weights=weight), 0.0
    noise2 = max(noise2, LEAST**2 * np.average(error2, weights=weight))
    std = np.sqrt(noise2 + factor2 * spread2)
    ratio = np.where(std > 0, error / np.where(std > 0, std, 1.0), 0.0)
    parts = [group == g for g in np.unique(group)] if group is not None else [np.ones(len(ratio), bool)]
    at = max(_nine_tenths(ratio[part], weight[part]) for part in parts) / HALF_90
    count = len(error) if group is None else len(parts)
    if count < FEW:
        at *= stdtrit(count - 1, 0.95) / HALF_90
    noise, factor = np.sqrt([noise2, factor2]) * max(at, NARROWEST)
    return np.array([max(noise, LEAST * np.sqrt(pooled)), factor])


def _nine_tenths(ratio, weight):
    """The value that nine tenths do not exceed."""
    order = np.argsort(ratio, kind="stable")
    reached = np.cumsum(weight[order]) / weight.sum()
    return ratio[order][min(np.searchsorted(reached, 0.9), len(order) - 1)]
