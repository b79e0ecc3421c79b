"""Which trees a forest is made of, and what weight each kind gets by its out-of-bag predictions."""

import numpy as np
from scipy.optimize import nnls

from skmerge._forest.grower import ENDLESS, PARTS, Recipe

# Chosen on the tables and functions of benchmarks/: the mean rank among 15 models is 2.7, that of the best recipe alone
# 3.1, that of a forest of order 0 8.6. Sequences of weak trees find what one deep tree misses.
SHORT_STEPS = {"rows": "part", "max_features": 0.5, "max_leaf_nodes": 64}
VALUES = (
    (Recipe(0, "value", 1, max_features=0.5, rounds=1), 0.4),
    (Recipe(2, "plane", 10, ridge=1.0, rounds=1), 0.35),
    (Recipe(2, "plane", 10, rounds=1), 0.05),
    (Recipe(0, "value", 3, n_stages=60, rate=0.15, **SHORT_STEPS), 0.1),
    (Recipe(1, "plane", 5, n_stages=40, rate=0.12, ridge=5.0, **SHORT_STEPS), 0.1),
)
# With slopes a leaf of order 2 is exact for smooth functions; larger leaves and a least gain of splits reduce noise.
SLOPES = (
    (Recipe(2, "slope", 10, rounds=1), 0.4),
    (Recipe(2, "slope", 20, min_gain=5.0, rounds=1), 0.3),
    (Recipe(2, "slope", 5, max_features=0.5, rounds=1), 0.2),
    (Recipe(1, "slope", 5, n_stages=20, rate=0.2, **SHORT_STEPS), 0.1),
)
MIN_SAMPLES_LEAF = (1, 5, 10)  # of a plain forest, by order


def recipes(order, criterion, has_slopes, n_estimators, bootstrap, given):
    """(recipe, number of members) pairs; ``given`` holds what the user prescribed for every tree."""
    if order == "auto":
        chosen = SLOPES if has_slopes else VALUES
        # Members are added one by one, two of each kind first. With more members no kind has fewer: a warm start
        # needs that.
        counts = [1] * len(chosen)
        while sum(counts) < n_estimators:
            claims = [(count < 2, share / (2 * count + 1)) for (_, share), count in zip(chosen, counts, strict=True)]
            counts[claims.index(max(claims))] += 1
        # Members that each leave out a part come in rounds of PARTS, so that every row is left out equally often.
        for i, (recipe, _) in enumerate(chosen):
            if recipe.rows == "part" and n_estimators >= 10 * PARTS:
                counts[i] = max(PARTS, counts[i] // PARTS * PARTS)
        pairs = [(recipe, count) for (recipe, _), count in zip(chosen, counts, strict=True)]
    else:
        automatic = "value" if order == 0 else "slope" if has_slopes else "plane"
        pairs = [(Recipe(order, automatic, MIN_SAMPLES_LEAF[order]), n_estimators)]
    found = []
    for recipe, count in pairs:
        changes = dict(given)
        if criterion != "auto":
            changes["criterion"] = criterion
        if not bootstrap:
            changes["rows"] = "all"
        if order != "auto" and "max_leaf_nodes" not in given:
            changes["max_leaf_nodes"] = ENDLESS
        found.append((Recipe(**{**vars(recipe), **changes}), count))
    return found


def enough(order, bootstrap):
    """How many members it takes for each kind to leave out every row; ten bootstraps leave out 99 % of the rows."""
    least = PARTS if order == "auto" else 2 * PARTS
    pairs = ((n, recipes(order, "auto", False, n, bootstrap, {})) for n in range(1, 1000))
    return next(n for n, kinds in pairs if min(count for _, count in kinds) >= least)


def weights(predictions, y, row_weight):
    """Non-negative weight of each recipe, from the predictions of rows it has not seen.

    Parameters
    ----------
    predictions : ndarray of shape (n_recipes, n, m), NaN where a row was seen by all members
    y : ndarray of shape (n, m), NaN where not measured
    row_weight : ndarray of shape (n,)

    Returns
    -------
    weights : ndarray of shape (n_recipes, m)
    """
    n_recipes, _, m = predictions.shape
    out = np.full((n_recipes, m), 1.0 / n_recipes)
    if n_recipes == 1:
        return out
    for k in range(m):
        known = ~np.isnan(predictions[:, :, k]).any(axis=0) & ~np.isnan(y[:, k])
        root = np.sqrt(row_weight[known])
        # Enough rows for the weights; more where only few rows are left out, or else 15 rows would set five weights.
        most = np.count_nonzero(~np.isnan(y[:, k]))
        if np.count_nonzero(known) < min(max(most, 3 * n_recipes), 10 * n_recipes):
            continue
        share, _ = nnls(predictions[:, known, k].T * root[:, None], y[known, k] * root)
        # The weights need not sum to one: those of a forest that has learned nothing are small, and its prediction is
        # then near the mean of y, as it should be.
        if share.any():
            out[:, k] = share
    return out
