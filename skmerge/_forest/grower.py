"""Grows the members of a forest: prepares the table once, then tree after tree on a share of its rows."""

import warnings
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from joblib import delayed
from threadpoolctl import threadpool_limits

from skmerge._ext.tree_growing import Coordinates, Features, Rules, grow
from skmerge._forest import levels
from skmerge._forest.tree import Trees
from skmerge._parallel import Shared, each
from skmerge._progress import Reporter

MAX_CODES = 65_000  # distinct values of a feature that are distinguished; beyond, neighbours share a code
PARTS = 5  # a member that draws "part" of the rows leaves out one of so many
# Members that only validate, by rows or by groups left out, are numbered from here on.
VALIDATION_BY_ROWS, VALIDATION_BY_GROUPS = 10**9, 2 * 10**9
FEW_GROUPS = 10  # with fewer, members that leave groups out would make the forest worse for the trained groups
UNKNOWN = 65_535  # code of NaN
MAX_LINEAR = 30  # coordinates of a leaf's plane; of more features, those on which y depends most
MAX_SQUARED = 10  # of them, those with second-order terms: 66 terms
ENDLESS = 2**31 - 1


@dataclass(frozen=True)
class Recipe:
    """How the trees of a member grow.

    ``n_stages`` trees follow each other; each is fitted to what remains when the trees before it, times ``rate``, are
    subtracted. ``rows`` are drawn with replacement ("bootstrap"), all of them ("all"), or all but one of five parts
    ("part"). The first ``rounds`` times five members of "bootstrap" draw from all rows but one part. Members of one
    number leave out the same part in all kinds, so that a fifth of the rows is unseen by five members, one of each
    kind; otherwise it would be one row in 500.
    """

    order: int
    criterion: str
    min_samples_leaf: int
    rows: str = "bootstrap"
    max_features: float = 1.0
    max_depth: int = ENDLESS
    max_leaf_nodes: int = ENDLESS
    n_stages: int = 1
    rate: float = 1.0
    ridge: float = 1e-6
    rounds: int = 0
    min_gain: float = 1e-9  # of the mean square that remains in a node; less is rounding

    def coordinates(self, k):
        """How many of k possible coordinates a leaf has, and how many of these have second-order terms."""
        return (k if self.order else 0), (min(k, MAX_SQUARED) if self.order == 2 else 0)

    def rules(self, d):
        """The Rules by which trees of d features grow."""
        return Rules(
            self.criterion != "value", self.criterion == "slope", self.ridge, self.min_gain, self.min_samples_leaf,
            self.max_depth, self.max_leaf_nodes, self.max_leaf_nodes < ENDLESS, max(1, round(self.max_features * d)),
        )  # fmt: skip


@dataclass(frozen=True)
class TreeData(Shared):
    """What every tree of a forest grows on; y and slopes in units of y's spread, coordinates in those of X's.

    Parameters
    ----------
    features : Features of the rows: X (n, d), NaN where unknown, and its codes
    y : ndarray of shape (n, m), NaN where not measured
    slopes : ndarray of shape (n, m, s), per unit of the coordinates, or along ``direction`` (the last), NaN if unknown
    direction : ndarray of shape (n, k) or None
    axis : int32 ndarray, the coordinate of each slope but that along a direction
    active, shift, unit : ndarray of shape (k,), features that are coordinates, ``(x - shift) unit``
    weight : ndarray of shape (n,), summing to one
    group : ndarray of shape (n,), number of each row's group, or None: each its own
    cancelled : int32 ndarray of shape (1,), set to stop
    reporter : Reporter, which counts the trees
    """

    features: Features
    y: np.ndarray
    slopes: np.ndarray
    direction: np.ndarray | None
    axis: np.ndarray
    active: np.ndarray
    shift: np.ndarray
    unit: np.ndarray
    weight: np.ndarray
    group: np.ndarray | None = None
    cancelled: np.ndarray = field(default_factory=lambda: np.zeros(1, np.intc))
    reporter: Reporter = field(default_factory=lambda: Reporter("", 0))

    @property
    def X(self):
        return self.features.X

    @property
    def n_groups(self):
        return 0 if self.group is None else int(self.group.max()) + 1

    @cached_property
    def groups_are_levels(self):
        """Whether the groups are the levels of one feature, so that rows of a new group lie between levels."""
        if not self.n_groups:
            return False
        level, start = levels.find(self)
        found = 0
        for x, (i, j) in zip(self.X.T, pairwise(start), strict=True):
            if j - i == self.n_groups:
                place = level[i:j, 1].searchsorted(x)
                found += len(np.unique(place * self.n_groups + self.group)) == self.n_groups
        return found == 1

    @property
    def validates_by_groups(self):
        """Whether the members that predict draw rows, as without groups, and other members, without a group, validate.

        This is so with few groups, and if they are levels. Measured on curves of specimens, squared error over
        variance: for new specimens 0.85 if members draw groups and 0.72 if they draw rows (6 groups), 0.31 and 0.50
        (12), 0.17 and 0.43 (40); for the trained specimens 0.32 and 0.001 (6), 0.06 and 0.001 (12).
        """
        return 0 < self.n_groups < FEW_GROUPS or self.groups_are_levels

    def rows_of(self, recipe, member, rng, seed):
        """Weights of the rows a member grows on, 0 for those it does not see.

        They depend on the distinct rows and their normalised weights only, so that a weight of two is a repeated row.
        """
        n = len(self.weight)
        weight = self.weight * n
        # All rows of a group are drawn or left out together: units are groups, or else rows.
        group = None if self.validates_by_groups and member < VALIDATION_BY_GROUPS else self.group
        n_units = n if group is None else self.n_groups
        drawn = recipe.rows == "bootstrap"
        omits = recipe.rows == "part" or member >= VALIDATION_BY_GROUPS or (drawn and member < PARTS * recipe.rounds)
        if n_units > 1 and omits:
            # Five members together leave out every row once; the next five divide the rows into other parts.
            order = np.random.default_rng([seed, member // PARTS]).permutation(n_units)
            out = order[member % PARTS :: PARTS]
            weight[out if group is None else np.isin(group, out)] = 0.0
        if not drawn:
            return weight
        if group is None or member >= VALIDATION_BY_GROUPS:
            return rng.multinomial(n, weight / weight.sum()).astype(float)
        there = np.bincount(group, weight > 0, n_units) > 0
        return weight * rng.multinomial(n_units, there / there.sum())[group]

    def grow(self, recipe, member, seed, kind):
        """Grow a member, number ``member`` of its ``kind``.

        Returns
        -------
        trees : Trees
        out : ndarray of rows it has not seen
        values : ndarray of shape (len(out), m), its prediction there
        """
        rng = np.random.default_rng([seed, kind, member])
        weight = self.rows_of(recipe, member, rng, seed)
        out = np.flatnonzero(weight == 0)
        k, n_squared = recipe.coordinates(len(self.active))
        m = self.y.shape[1]
        slopes = self.slopes if k else self.slopes[:, :, :0]
        rest = np.concatenate([self.y, slopes.reshape(len(self.y), -1)], axis=1)
        coordinates = Coordinates(self.active[:k], self.shift[:k], self.unit[:k], n_squared)
        direction = self.direction if slopes.shape[2] > len(self.axis) else None
        rules = recipe.rules(self.X.shape[1])
        trees = []
        for stage in range(recipe.n_stages):
            target = np.ascontiguousarray(rest[:, :m])
            nodes, leaves = grow(
                self.features, weight, target, rest.copy(), direction, self.axis[: slopes.shape[2]], coordinates, rules,
                int(rng.integers(2**63)), self.cancelled,
            )  # fmt: skip
            tree = Trees.single(nodes, leaves, m, coordinates, recipe.rate)
            trees.append(tree)
            self.reporter.beat("trees")
            if stage + 1 < recipe.n_stages:
                rest = self._left_over(rest, tree, slopes.shape[2])
        trees = Trees.one_member(trees)
        return trees, out, trees.sums(self.X[out]) if len(out) else np.empty((0, m))

    def _left_over(self, rest, tree, s):
        """``rest``, values and slopes of every row, less those of a tree."""
        m = self.y.shape[1]
        rest = rest.copy()
        rest[:, :m] -= tree.sums(self.X)
        if s:
            slope = tree.slopes(self.X, exact=False)[:, :, self.active] / self.unit
            known = [slope[:, :, self.axis]]
            if s > len(self.axis):
                known.append(np.einsum("nmk,nk->nm", slope, self.direction)[:, :, None])
            rest[:, m:] -= np.concatenate(known, axis=2).reshape(len(rest), -1)
        return rest


class Grown(NamedTuple):
    """Members, one entry for each recipe, and what they predict of rows they have not seen.

    ``unseen``: sums, over the members that have not seen a row, of their predictions and of the squares of these,
    (n_recipes, 2, n, m), and how many such members there are, (n_recipes, n). ``outside``: the same of members that
    have not seen a row's group, where ``TreeData.validates_by_groups``; otherwise ``unseen`` itself.
    """

    trees: list[Trees]
    unseen: tuple[np.ndarray, np.ndarray]
    outside: tuple[np.ndarray, np.ndarray]


class Job(NamedTuple):
    """A member to grow, number ``member`` of its kind; ``turn``: from 0 to 1, its place among those of its kind."""

    turn: float
    kind: int
    recipe: Recipe
    member: int


def grow_members(tree_data, pairs, seed, n_jobs, kept, task):
    """Grow ``pairs`` of a recipe and its number of members.

    Parameters
    ----------
    kept : Grown or None
        Members of an earlier fit, which are not grown again.
    task : Task

    Returns
    -------
    grown : Grown
    """
    n, m = tree_data.y.shape
    jobs = []
    for kind, (recipe, wanted) in enumerate(pairs):
        mine = [(recipe, e) for e in range(kept.trees[kind].n_members if kept else 0, wanted)]
        validating = replace(recipe, rows="part") if recipe.rows == "all" else recipe
        if recipe.rows == "all" and not kept:
            # Trees that have seen every row cannot be validated. Others, which each leave out a part, are grown for
            # that and not kept.
            mine += [(validating, VALIDATION_BY_ROWS + e) for e in range(PARTS)]
        if tree_data.validates_by_groups and not kept:
            mine += [(validating, VALIDATION_BY_GROUPS + e) for e in range(min(PARTS, tree_data.n_groups))]
        jobs += [Job((i + 0.5) / len(mine), kind, *job) for i, job in enumerate(mine)]
    jobs.sort(key=lambda job: (job.turn, job.kind))  # a stop leaves some of each kind
    groups = [[trees] for trees in kept.trees] if kept else [[] for _ in pairs]
    unseen = tuple(map(np.copy, kept.unseen)) if kept else (np.zeros((len(pairs), 2, n, m)), np.zeros((len(pairs), n)))
    outside = unseen
    if tree_data.validates_by_groups:
        outside = kept.outside if kept else tuple(map(np.zeros_like, unseen))
    members = task.begin("members", len(jobs))
    try:
        with threadpool_limits(1, user_api="blas"):
            tasks = (delayed(TreeData.grow)(tree_data, job.recipe, job.member, seed, job.kind) for job in jobs)
            grown = each(tasks, n_jobs)
            stop = False
            for i, (job, (trees, out, values)) in enumerate(zip(jobs, grown, strict=True)):
                if job.member < VALIDATION_BY_ROWS:
                    groups[job.kind].append(trees)
                sums, count = unseen if job.member < VALIDATION_BY_GROUPS else outside
                sums[job.kind, 0, out] += values
                sums[job.kind, 1, out] += values**2
                count[job.kind, out] += 1
                member = members.begin("member")
                task.reporter.count(i + 1, len(jobs), "members")
                stop |= bool(member.end())
                if stop and all(groups):
                    tree_data.cancelled[0] = 1
                    with warnings.catch_warnings():  # about members that are not used
                        warnings.simplefilter("ignore", UserWarning)
                        grown.close()
                    break
    finally:
        tree_data.cancelled[0] = 1  # threads that a stop or an error left behind end at their next node
    members.end()
    return Grown([Trees.join(group) for group in groups], unseen, outside)


def prepare(data, reporter):
    """What the trees grow on, y and slopes in units of the spreads and features as codes; these units."""
    table = data.table
    y_shift, y_unit = location_and_spread(table.y, table.weight)
    active = choose_coordinates(table.X, table.y, table.weight, data.dydx)
    x_shift, spread = location_and_spread(table.X[:, active], table.weight)
    unit = 1.0 / spread
    y = (table.y - y_shift) / y_unit
    slopes, axis = np.empty((*y.shape, 0)), np.empty(0, np.intc)
    with np.errstate(over="ignore"):
        if data.dydx is not None:
            known = data.dydx[:, :, active] / unit / y_unit[:, None]
            axis = np.flatnonzero(~np.isnan(known).all(axis=(0, 1))).astype(np.intc)
            slopes = known[:, :, axis]
        direction = None
        if data.direction is not None and not np.isnan(data.slope).all():
            direction = data.direction[:, active] / spread
            # To unit length. A direction with a part outside the coordinates is not used: its slope is another one.
            length = np.sqrt((direction**2).sum(axis=1, keepdims=True))
            elsewhere = np.delete(data.direction, active, axis=1).any(axis=1, keepdims=True)
            usable = (length > 0) & ~elsewhere
            direction = np.ascontiguousarray(np.where(usable, direction / np.where(length > 0, length, 1.0), 0.0))
            along = np.where(usable, data.slope / y_unit / np.where(length > 0, length, 1.0), np.nan)
            slopes = np.concatenate([slopes, along[:, :, None]], axis=2)
    units = {"y_shift_": y_shift, "y_unit_": y_unit, "coordinate_": active, "x_shift_": x_shift, "x_unit_": unit}
    return TreeData(
        encode(table.X), y, slopes, direction, axis, active, x_shift, unit, table.weight, data.group, reporter=reporter
    ), units


def encode(X):
    """Features of X: the code of a value is its rank in its column; if there are too many, neighbours share one."""
    n, d = X.shape
    codes = np.empty((n, d), np.uint16)
    lower, upper, place = [], [], np.zeros(d + 1, np.intp)
    for j in range(d):
        seen = ~np.isnan(X[:, j])
        values, code = np.unique(X[seen, j], return_inverse=True)
        first = last = slice(None)
        if len(values) > MAX_CODES:
            group = np.arange(len(values)) * MAX_CODES // len(values)
            begins = np.r_[True, group[1:] > group[:-1]]
            code, first, last = group[code], begins, np.r_[begins[1:], True]
        codes[:, j] = UNKNOWN
        codes[seen, j] = code
        lower.append(values[first])
        upper.append(values[last])
        place[j + 1] = place[j] + len(lower[-1])
    return Features(X, codes, np.concatenate(lower), np.concatenate(upper), place)


def location_and_spread(x, weight):
    """Weighted mean and standard deviation of what is known in each column; a spread of 0 becomes 1."""
    mean, spread = np.zeros(x.shape[1]), np.ones(x.shape[1])
    for j in range(x.shape[1]):  # one by one: of a million rows, each temporary of all would be as large as X
        known = ~np.isnan(x[:, j])
        z, share = x[known, j], weight[known]
        if not len(z):
            continue
        size = max(np.abs(z).max(), np.finfo(float).tiny)  # squares of 1e200 overflow
        z /= size
        share = share / share.sum()
        centre = (share * z).sum()
        mean[j] = centre * size
        width = np.sqrt((share * (z - centre) ** 2).sum())
        if width > 1e-13:
            spread[j] = max(width * size, 1e-300)
    return mean, spread


def choose_coordinates(X, y, weight, dydx=None):
    """The features that a leaf's plane may use; if there are too many, those on which y depends most, in this order.

    How much y depends on a feature is measured by their correlation and, where slopes are known, by the change of y
    over the spread of the feature: x^2 about 0 has no correlation with x.
    """
    d = X.shape[1]
    if d <= MAX_SQUARED:
        return np.arange(d, dtype=np.intc)
    (x_mean, x_spread), (y_mean, y_spread) = location_and_spread(X, weight), location_and_spread(y, weight)
    z, v = np.nan_to_num((X - x_mean) / x_spread), np.nan_to_num((y - y_mean) / y_spread)
    score = np.abs(np.einsum("n,nd,nm->dm", weight, z, v)).max(axis=1)
    if dydx is not None:
        steepness = np.where(np.isnan(dydx), 0.0, dydx * (x_spread / y_spread[:, None]))
        score = np.maximum(score, np.sqrt(np.einsum("n,nmd->dm", weight, np.minimum(steepness**2, 1e9))).max(axis=1))
    return np.argsort(-score.round(9), kind="stable")[:MAX_LINEAR].astype(np.intc)
