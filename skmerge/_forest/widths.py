"""The widths of a forest's intervals, calibrated by the errors for rows that members have not seen."""

import numpy as np
from scipy.optimize import nnls
from scipy.special import stdtrit

from skmerge._forest import levels, unknown
from skmerge.metrics import HALF_90, factor_90

FEW_ERRORS = 10  # the greatest of fewer errors says little about the next one
LEAST_NOISE = 0.1  # of the pooled error: members that agree may all be wrong
NARROWEST = 0.3  # of the least-squares estimate, where nine tenths of the errors are almost zero


def calibrate_forest(forest, tree_data, sums, count, weight):
    """Give a forest ``std_scale_``, ``gap_scale_``, ``level_bend_`` and ``level_error_`` by rows left out.

    Parameters
    ----------
    forest : Forest, complete but for these
    tree_data : TreeData
    sums, count : what ``Grown.outside`` holds
    weight : ndarray of shape (n_recipes, m), of each kind of member

    Returns
    -------
    prediction : ndarray of shape (n, m), of each row by the members that have not seen it, in units of y's spread
    validated : bool ndarray of shape (n, m), whether there is one and y was measured
    """
    X, y, own = tree_data.X, tree_data.y, tree_data.weight
    d, m = forest.n_features, forest.n_outputs
    with np.errstate(invalid="ignore", divide="ignore"):
        mean, square = (sums / count[:, None, :, None]).transpose(1, 0, 2, 3)
    n_members = np.array([len(part) for part in forest.member_weight_])
    prediction, spread, surplus = out_of_bag(mean, square, count, n_members, weight)
    if tree_data.validates_by_groups:  # one member of each kind: their spread is not that of all
        spread, surplus = np.zeros_like(spread), np.zeros_like(surplus)
    group = tree_data.group if tree_data.validates_by_groups and not tree_data.groups_are_levels else None
    validated = ~np.isnan(prediction) & ~np.isnan(y)
    with_gaps = np.flatnonzero(validated.any(axis=1) & np.isnan(X).any(axis=1))
    with_gaps = with_gaps[:: max(1, -(-len(with_gaps) // unknown.MAX_INCOMPLETE_ROWS))]
    change = forest.change_by_gaps(X[with_gaps])
    forest.std_scale_, forest.gap_scale_ = np.zeros((2, m)), np.ones((d, m))
    for k in range(m):
        at = validated[:, k]
        if at.sum() < 2:  # nothing to validate by: as uncertain as y spreads
            forest.std_scale_[0, k] = 1.0
            continue
        error = np.full(len(at), np.nan)
        error[at] = without_surplus(np.abs(prediction - y)[at, k], surplus[at, k])
        complete = at & ~np.isnan(X).any(axis=1)
        sure = complete if complete.sum() >= max(FEW_ERRORS, at.sum() / 2) else at
        forest.std_scale_[:, k] = calibrate(
            error[sure], spread[sure, k], own[sure], None if group is None else group[sure]
        )
        rows, here = with_gaps[at[with_gaps]], change[at[with_gaps], k]
        variance = forest.std_scale_[0, k] ** 2 + (forest.std_scale_[1, k] * spread[rows, k]) ** 2
        forest.gap_scale_[:, k] = unknown.factors(error[rows] ** 2, variance, here, np.isnan(X[rows]), own[rows])
    forest.level_bend_, forest.level_error_ = levels.bends_and_errors(
        X, y, own, forest.std_scale_[0] ** 2, forest.level_, forest.level_start_, forest.values
    )
    return prediction, validated


def out_of_bag(mean, square, count, n_members, weight):
    """Prediction and spread of rows by the members that have not seen them, and the surplus of errors, (n, m) each.

    Only few members have not seen a row, and their mean scatters more than that of all members. The surplus is the
    difference of the two variances.

    Parameters
    ----------
    mean, square : ndarray of shape (n_recipes, n, m)
        Means of the predictions of these members and of their squares, NaN where there is none.
    count : ndarray of shape (n_recipes, n), how many they are
    n_members : ndarray of shape (n_recipes,)
    weight : ndarray of shape (n_recipes, m)
    """
    prediction = np.einsum("gnm,gm->nm", mean, weight)
    total = weight.sum(axis=0)
    few = count[:, :, None]
    with np.errstate(invalid="ignore", divide="ignore"):
        spread = np.sqrt(np.maximum(np.einsum("gnm,gm->nm", square, weight) * total - prediction**2, 0.0))
        scatter = np.maximum(square - mean**2, 0.0) * few / (few - 1.0)
        surplus = np.einsum("gnm,gm->nm", scatter * (1.0 / few - 1.0 / n_members[:, None, None]), weight**2)
    return prediction, spread, np.where(np.isfinite(surplus), surplus, 0.0)


def without_surplus(error, surplus):
    """Errors (n,), reduced to the size that they would have for the mean of all members."""
    if not error.any():
        return error
    return error * np.sqrt(np.clip(1.0 - surplus.mean() / np.mean(error**2), 0.25, 1.0))


def calibrate(error, spread, weight, group=None):
    """Factors of noise and spread, std^2 = noise^2 + factor^2 spread^2, with 90 % of the errors within 1.645 std.

    ``group``: numbers of groups. They are too few to count 90 % of them, so that 90 % of the errors of each group are
    within, also of the one with the largest errors.
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
    noise2 = max(noise2, LEAST_NOISE**2 * np.average(error2, weights=weight))
    std = np.sqrt(noise2 + factor2 * spread2)
    ratio = np.where(std > 0, error / np.where(std > 0, std, 1.0), 0.0)
    parts = [group == g for g in np.unique(group)] if group is not None else [np.ones(len(ratio), bool)]
    at = max(factor_90(ratio[part], weight[part]) for part in parts)
    count = len(error) if group is None else len(parts)
    if count < FEW_ERRORS:
        at *= stdtrit(count - 1, 0.95) / HALF_90
    noise, factor = np.sqrt([noise2, factor2]) * max(at, NARROWEST)
    return np.array([max(noise, LEAST_NOISE * np.sqrt(pooled)), factor])
