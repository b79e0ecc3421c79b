"""A committee of wider nets for data that no short law explains.

Each member leaves one fold out, so that the committee measures its own error. The evidence determines the penalties
(MacKay, Neural Computation 4, 415, 1992): for each group of parameters, sigma^2 gamma / sum(theta^2), where gamma is
the number of them that the data determine.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from scipy.optimize import nnls

from skmerge._net.objective import MAX_NORMAL_EQUATIONS
from skmerge._progress import SILENCE, refine

START_ROWS = 4000  # a member is first trained on no more rows than these
MANY_FEATURES = 100
MAX_EVIDENCE_PARAMETERS = 1200  # of a member whose penalties the evidence sets; above, they stay as given


@dataclass(frozen=True)
class Recipe:
    """How the members of a committee are made.

    ``products``: every other node is a product of the features of one sign; ``penalty``: initial penalty of the slopes,
    a tenth of that of the curvatures if it is below 1e-4; ``rounds`` of the evidence.
    """

    n_nodes: int
    products: bool
    penalty: float
    rounds: int


# Chosen among some twenty on seven tables: their stack has a mean rank of 3.4 among 15 models, the best of them 4.1.
RECIPES = (
    Recipe(20, False, 1e-3, 12),
    Recipe(40, True, 1e-3, 12),
    Recipe(40, True, 1e-5, 6),
    Recipe(40, False, 1e-5, 6),
)


def random_net(objective, n_nodes, products, rng):
    """Nodes with random directions through random rows, a third of a standard deviation high."""
    net, d, s, blend, amplitude = objective.constant(), objective.d, objective.scaling, objective.blend, 0.3
    low, high = objective.exponent_bounds
    one_sign = (s.product > 0) & s.dense & ~s.signed & (high > low)
    for i, row in enumerate(rng.integers(objective.n, size=n_nodes)):
        x = objective.X[row] / s.x_scale
        direction, side, node = rng.normal(size=d), rng.choice([-1.0, 1.0]), np.zeros(d + 3)
        product = blend == 0.0 or (blend != 1.0 and products and i % 2 == 1 and one_sign.any())
        if product and blend == "learn":
            # B prod x^A / (1 + k B prod x^A) is the logistic function of A.log x + log(k B), over k.
            A = np.where(one_sign, direction / np.sqrt(s.log_variance + 1e-30), 0.0) * 1.5 / np.sqrt(one_sign.sum())
            A = np.clip(A, np.maximum(low, -20), np.minimum(high, 20))
            level = A[one_sign] @ np.log(np.abs(x[one_sign]) + 1e-300)
            node[:d], node[d] = np.where(one_sign, A, 0.0), side * amplitude * np.exp(np.clip(-level, -50, 50))
            lower, upper = objective.node_bounds("product", saturating=True)
            lower[:d][~one_sign] = upper[:d][~one_sign] = 0.0
            lower[d + 1] = 0.05  # bounded: at most 20 standard deviations
        else:
            spread = np.sqrt(s.slope_variance)
            A = np.where(spread > 1e-12, direction / np.maximum(spread, 1e-12), 0.0) * side * amplitude / np.sqrt(d)
            kind = "sum" if blend == "learn" else "blend"
            lower, upper = objective.node_bounds(kind, saturating=True)
            node[:d] = np.clip(A, lower[:d], upper[:d])
            node[d] = -(node[:d] @ (x - s.x_mean))
        node[d + 1] = 1.0 / amplitude
        node[d + 2] = lower[d + 2]
        net = net.with_node(np.clip(node, lower, upper), lower, upper, np.zeros(d, np.uint8))
    return net


def penalty_groups(objective, net):
    """Group of each parameter, -1 for none, and the variance that is the unit of its square."""
    d, s = objective.d, objective.scaling
    group, unit = np.full(len(net.theta), -1), np.ones(len(net.theta))
    groups, units = group[:-1].reshape(-1, d + 3), unit[:-1].reshape(-1, d + 3)
    for i in range(net.n_nodes):
        product = net.kind(i) == "product"
        groups[i, :d] = np.arange(d) + (d if product else 0)
        units[i, :d] = (s.log_variance if product else s.slope_variance) + 1e-12
        groups[i, d], groups[i, d + 1] = 2 * d + product, 2 * d + 2 + product
    return group, unit


def plan_committee(objective, n_estimators, n_nodes):
    """Members to train, [(recipe, fold to leave out or None)], and the number of folds."""
    recipes = [affordable(objective, recipe) for recipe in RECIPES]
    if n_nodes != "auto":
        recipes = [replace(recipe, n_nodes=n_nodes) for recipe in recipes]
    if n_estimators == "auto":
        n_folds = 5
        if objective.n > START_ROWS:  # with so many rows a small committee is enough
            n_folds, recipes = 2, recipes[1:3]
        elif objective.d > MANY_FEATURES:  # then two nodes are affordable at most, and only penalties by evidence help
            recipes = recipes[:1]
        return [(recipe, fold) for recipe in recipes for fold in range(n_folds)], n_folds
    if n_estimators == 1:  # one net of all rows, and three that measure how good it is
        return [(recipes[0], None)] + [(recipes[0], fold) for fold in range(3)], 3
    if n_estimators < 2 * len(recipes):
        return [(recipes[0], fold) for fold in range(n_estimators)], n_estimators
    n_folds = n_estimators // len(recipes)
    return [(recipes[i % len(recipes)], i // len(recipes) % n_folds) for i in range(n_estimators)], n_folds


def train_member(objective, recipe, fold, seeds, penalty, task=SILENCE, n_threads=1):
    """One net of the rows outside ``fold`` and its penalties; ``penalty``: "auto" (evidence) or that of all slopes."""
    rng = np.random.default_rng(seeds)
    if fold is not None:
        objective = objective.subset(np.setdiff1d(np.arange(objective.n), fold))
    start = objective
    if objective.n > START_ROWS:
        start = objective.subset(np.sort(rng.choice(objective.n, START_ROWS, replace=False))).rounded()
    net = random_net(start, recipe.n_nodes, recipe.products, rng)
    group, unit = penalty_groups(start, net)
    strength = np.full(group.max() + 1, recipe.penalty if penalty == "auto" else float(penalty))
    if recipe.penalty < 1e-4:
        strength[2 * objective.d + 2 :] *= 10.0  # curvatures
    if penalty != "auto" or net.n_free > MAX_EVIDENCE_PARAMETERS:
        net, _ = refine(task, "fit", start, net, ridge(group, unit, strength), max_iter=200, tol=1e-5)
    else:
        for round_ in range(recipe.rounds):
            first = round_ == 0 and recipe.penalty < 1e-4
            max_iter, weight = 100 if first else 180 // recipe.rounds, ridge(group, unit, strength)
            net, stop = refine(task, "round of the evidence", start, net, weight, max_iter, tol=1e-4)
            if net.JTJ is None or stop:
                break
            update = evidence(start, net, group, unit, strength)
            strength = np.sqrt(strength * update) if round_ < 2 else update
    weight = ridge(group, unit, strength)
    if start is not objective:
        net, _ = refine(task, "fit to all rows", objective, net, weight, max_iter=30, tol=1e-4, n_threads=n_threads)
    return net, weight


def ridge(group, unit, strength):
    """Penalty of each parameter from those of the groups."""
    return np.where(group >= 0, strength[np.maximum(group, 0)] * unit, 0.0)


def evidence(objective, net, group, unit, strength):
    """Penalties for which the evidence is stationary, given the present ones."""
    free = np.flatnonzero((net.lower < net.upper) & (net.theta > net.lower) & (net.theta < net.upper))
    weight, H = ridge(group, unit, strength)[free], net.JTJ[np.ix_(free, free)]
    try:
        covariance = np.linalg.inv(H + np.diag(weight + 1e-12 * H.diagonal().max()))
    except np.linalg.LinAlgError:  # columns whose numbers are 1e150 apart
        return strength.copy()
    determined = 1.0 - np.diag(covariance) * weight  # 1 where the data determine the parameter
    n, update = objective.n, strength.copy()
    variance = net.squares / max(1.0 - determined.sum() / n, 0.05)
    for g in range(len(strength)):
        members = np.flatnonzero(group[free] == g)
        if len(members):
            size = float(unit[free][members] @ net.theta[free][members] ** 2)
            update[g] = np.clip(variance / n * max(determined[members].sum(), 1e-3) / max(size, 1e-12), 1e-9, 1e3)
    return update


def affordable(objective, recipe):
    """The recipe, limited to 1.5 parameters a row and MAX_NORMAL_EQUATIONS / 10 an iteration, but with two nodes."""
    rows = min(objective.n, START_ROWS)
    most = int(min(np.sqrt(MAX_NORMAL_EQUATIONS / 10 / rows), 1.5 * rows) / (objective.d + 3))
    return replace(recipe, n_nodes=max(2, min(recipe.n_nodes, most)))


class Stacked(NamedTuple):
    """The nets of a committee that have a weight."""

    keep: np.ndarray  # their indices
    weight: np.ndarray
    squares: np.ndarray  # (n,), share of every row in the squared error on rows left out, NaN where there is none
    noise: float  # the part of that error that is noise, in units of var(y)


def combine(objective, members, nets, folds, single):
    """Stack the recipes on the rows that their members left out: a Stacked."""
    recipes = list(dict.fromkeys(recipe for recipe, _ in members))
    residual, count = np.zeros((2, objective.n, len(recipes)))
    for (recipe, f), net in zip(members, nets, strict=True):
        if f is not None:
            part = objective.subset(folds[f])
            residual[folds[f], recipes.index(recipe)] += part.y - part.predict(net)
            count[folds[f], recipes.index(recipe)] += 1
    residual = residual / np.maximum(count, 1) * np.sqrt(objective.weight)[:, None]
    # Where a callback stopped the training, rows that every recipe left out stand for all.
    seen = (count > 0).all(axis=1)
    residual = np.where(seen[:, None] | ~seen.any(), residual, 0.0)
    # Least squares with weights >= 0; an additional row with a large weight makes them sum to one.
    heavy = max(1e3 * np.abs(residual).sum(), 1e-6)
    share, _ = nnls(np.vstack([residual, np.full((1, len(recipes)), heavy)]), np.append(np.zeros(objective.n), heavy))
    share /= share.sum()
    squares = np.where(seen, (residual @ share) ** 2, np.nan)
    error = np.nansum(squares) / objective.weight[seen].sum() if seen.any() else 0.0
    if single:
        return Stacked(np.zeros(1, int), np.ones(1), squares, float(error))
    size = [sum(recipe == other for other, _ in members) for recipe in recipes]
    weight = np.array([share[recipes.index(recipe)] / size[recipes.index(recipe)] for recipe, _ in members])
    keep = np.flatnonzero(weight)
    values = np.array([objective.predict(nets[i]) for i in keep])
    mean = weight[keep] @ values
    spread = float(objective.weight @ (weight[keep] @ (values - mean) ** 2))
    return Stacked(keep, weight[keep], squares, max(error - spread, 0.1 * error))
