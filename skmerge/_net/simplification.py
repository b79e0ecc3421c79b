"""Simplification of nets: it drops nodes and fixes parameters at simple values while the data do not object.

The criterion is n log(residual) + log(n) n_parameters n / (n - n_parameters), Schwarz's with the small-sample factor.
Here n is the number of distinct rows: weights say how exact rows are, not how many. The residual is that of the fitted
rows, hence the small-sample factor. ``linked`` compares laws by their error on rows left out, without that factor, and
adds a price for exponents that are fixed.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from skmerge._net.comparison import leave_one_out, no_worse
from skmerge._net.floats import SMALL
from skmerge._net.objective import ROUNDING, Objective
from skmerge._progress import SILENCE, refine

# Simple values of an exponent: zero, thirds and halves up to 3, then whole numbers.
SIMPLE = np.unique(np.outer([-1, 1], [0, 1 / 3, 1 / 2, 2 / 3, 1, 3 / 2, 2, 5 / 2, 3, 4, 5, 6]))


def criterion(objective, net):
    n, p = objective.n, net.n_free
    if p >= n:
        return np.inf
    return n * np.log(max(net.squares, ROUNDING)) + np.log(n) * p * n / (n - p)


@dataclass(frozen=True)
class Simplifier:
    """Simplifies nets of one output."""

    objective: Objective
    penalties: Callable  # (net) -> ridge penalty of every parameter
    n_nodes: int | None  # the number that the user asked for: no node is dropped then
    active: bool  # whether parameters are fixed

    @property
    def keeps_last(self):
        """Whether a product keeps its last exponent: a node that was asked for, and where no constant is wanted."""
        return self.n_nodes is not None or not self.objective.intercept

    def fit(self, net, max_iter=60, tol=1e-7):
        return self.objective.fit(net, self.penalties(net), max_iter, tol)

    def refined(self, parent, name, net, max_iter, tol):
        """The fitted net, reported as a subtask, and whether a callback asks to stop."""
        return refine(parent, name, self.objective, net, self.penalties(net), max_iter, tol)

    def thinned(self, net):
        """The net without the nodes that can be dropped, one by one, while the criterion falls."""
        best = criterion(self.objective, net)
        while net.n_nodes > 1:
            trials = [self.fit(net.without_node(i), max_iter=40, tol=1e-5) for i in range(net.n_nodes)]
            values = [criterion(self.objective, trial) for trial in trials]
            k = int(np.argmin(values))
            if not values[k] < best:
                break
            best, net = values[k], trials[k]
        return net

    def simplified(self, net, task):
        """The net with parameters fixed at zero or simple exponents, the cheapest first, while the criterion falls."""
        if not self.active or self.objective.n == 1:
            return self.fit(net, max_iter=300, tol=1e-12)
        best = criterion(self.objective, net)

        def better(trial):
            nonlocal best
            score = criterion(self.objective, trial)
            accepted = score < best or (not np.isfinite(best) and trial.squares <= 1e-12)
            best = score if accepted else best
            return accepted

        net = self._pinned(net, better, lambda: np.isfinite(best), task)
        net = self._mirrored(net, better)
        if self.objective.dimensions is None:  # a product without an exponent has another unit
            net = self._without_undecided(net)
        return self.fit(self._joined(self._without_empty(net)), max_iter=300, tol=1e-12)

    def _pinned(self, net, accepts, is_limited, task):
        """The net with parameters fixed at simple values one by one, the cheapest first, that ``accepts`` allows."""
        tried, accepted = set(), True
        while accepted:
            accepted = False
            free = np.flatnonzero(net.lower < net.upper)
            if not len(free) or net.JTJ is None:
                break
            H = net.JTJ[np.ix_(free, free)]
            if not np.isfinite(H).all():  # features that span 150 decades
                break
            unit, cosines = _cosines(H)
            covariance = np.linalg.pinv(cosines, rcond=1e-12, hermitian=True)
            # A parameter without effect costs nothing.
            variance = np.where(np.diag(H) > 0, np.maximum(np.diag(covariance) / unit**2, 1e-300), np.inf)
            with np.errstate(over="ignore"):
                options = [
                    ((net.theta[f] - value) ** 2 / variance[k], int(f), float(value))
                    for k, f in enumerate(free)
                    for value in self._simple_values(net, f)
                    if (f, value) not in tried
                ]
            limit = max(60.0, 6 * np.log(self.objective.n)) * max(net.squares, 1e-16)
            for cost, f, value in sorted(options):
                if cost > limit / self.objective.n and is_limited():
                    break
                tried.add((f, value))
                # The minimum over the other parameters when this one moves, by the quadratic model.
                k = np.searchsorted(free, f)
                theta = net.theta.copy()
                with np.errstate(over="ignore", invalid="ignore"):
                    ratio = covariance[:, k] / max(covariance[k, k], 1e-300) * (unit[k] / unit)
                    moved = theta[free] + ratio * (value - theta[f])
                theta[free] = np.where(np.isfinite(moved), moved, theta[free])
                trial, stop = self.refined(task, "trial", net.pinned(f, value, theta), max_iter=30, tol=1e-6)
                if accepts(trial):
                    net, accepted = trial, not stop
                    break
                if stop:
                    break
        return net

    def _mirrored(self, net, better):
        """Saturating products g(B p; C) as the equal C sign B - g(C^2 / (B p); C), if that saves a constant or a pole.

        Exponents are simple by then. For 5 x / (2 + x) the search finds 5 - g(10 / x; 5) in every third table, but
        g(2.5 x; 5) has one parameter less.
        """
        d, last = self.objective.d, len(net.theta) - 1
        low, high = (bound[:d] for bound in self.objective.node_bounds("product"))
        for i in range(net.n_nodes):
            A, (B, curvature) = 0.0 - net.nodes[i, :d], net.nodes[i, d : d + 2]
            simple = A.any() and np.array_equal(*(net.bound(which)[i, :d] for which in ("lower", "upper")))
            within = np.array_equal(A, np.clip(A, low, high)) and net.lower[last] < net.upper[last]
            # A plateau far beyond the data would be the difference of two large numbers.
            if net.kind(i) != "product" or net.sign[i].any() or not (simple and within) or abs(B) * curvature < 1e-3:
                continue
            other = net.copy()
            other.nodes[i, :d], other.nodes[i, d] = A, -1.0 / (B * curvature**2)
            other.theta[last] -= np.sign(B) / curvature
            other.bound("lower")[i, :d] = other.bound("upper")[i, :d] = A
            if all(net.kind(j) == "product" for j in range(net.n_nodes)):
                bare = self.fit(other.pinned(last, 0.0), max_iter=30, tol=1e-6)
                if better(bare):
                    net = bare
                    continue
            if (A >= 0).all():
                other = self.fit(other)
                net = other if better(other) or other.squares <= net.squares * 1.0001 + ROUNDING else net
        return net

    def plainer(self, net):
        """The net without the nodes and exponents that a comparison of errors row by row does not support.

        The criterion assumes that all rows are equally exact. If a few are much less exact, such as the greatest values
        where errors are relative, the search adds terms for these rows alone.
        """
        if not self.active or self.objective.n <= net.n_free + 1:
            return net
        weight = self.objective.weight
        best = weight * leave_one_out(self.objective, net)

        def accepts(trial):
            return no_worse(weight * leave_one_out(self.objective, trial), best)

        least = 0 if self.objective.may_be_constant else 1
        for i in reversed(range(net.n_nodes if self.n_nodes is None else 0)):
            trial = self.fit(net.without_node(i), max_iter=40, tol=1e-5)
            if trial.n_nodes >= least and accepts(trial):
                net = trial
        net = self._pinned(net, accepts, lambda: True, SILENCE)
        return self.fit(self._joined(self._without_empty(net)), max_iter=300, tol=1e-12)

    def _without_undecided(self, net):
        """The net without those simple exponents that improve it less than a free one has to, the cheapest first.

        A simple value that fits no better than its neighbours was chosen among many, and is no simpler than a free one:
        of lines in 40 rows with another column that is within 1 % of 1, two in three had an exponent up to 6 of it.
        """
        d, (low, high) = self.objective.d, self.objective.exponent_bounds
        may = (low < high) & (low <= 0) & (high >= 0)
        while np.isfinite(criterion(self.objective, net)):
            fixed = net.bound("lower")[:, :d] == net.bound("upper")[:, :d]
            product = np.array([[net.kind(i) == "product"] for i in range(net.n_nodes)], bool).reshape(-1, 1)
            simple = fixed & product & may & (net.nodes[:, :d] != 0)
            if self.keeps_last:
                simple &= np.count_nonzero(net.nodes[:, :d], axis=1)[:, None] > 1
            rows, columns = np.nonzero(simple)
            candidates = rows * (d + 3) + columns
            worth = self._worth(net, candidates) * self.objective.n
            n, p = self.objective.n, net.n_free + 1
            price = np.log(n) * (p * n / (n - p) - (p - 1) * n / (n - p + 1)) if p < n else np.inf
            limit = max(60.0, 6 * np.log(n)) * max(net.squares, 1e-16)
            for f in candidates[np.argsort(worth, kind="stable")][: np.count_nonzero(worth <= limit)]:
                trial = self.fit(net.pinned(f, 0.0), max_iter=30, tol=1e-6)
                if criterion(self.objective, trial) < criterion(self.objective, net) + price:
                    net = trial
                    break
            else:
                break
        return net

    def _worth(self, net, fixed):
        """Increase of the squares when each of these parameters becomes zero, by the quadratic model."""
        freed = net.copy()
        free = np.flatnonzero(freed.lower < freed.upper)
        freed.lower[fixed], freed.upper[fixed] = -np.inf, np.inf
        H = self.objective.curvature(freed) if len(fixed) else None
        if H is None or not np.isfinite(H).all():
            return np.full(len(fixed), np.inf)
        unit, cosines = _cosines(H)
        inverse = np.linalg.pinv(cosines[np.ix_(free, free)], rcond=1e-12, hermitian=True)
        beside = cosines[np.ix_(fixed, free)]
        left = np.maximum(1.0 - np.einsum("fp,pq,fq->f", beside, inverse, beside), 0.0)
        with np.errstate(over="ignore"):
            return (net.theta[fixed] * unit[fixed]) ** 2 * left

    def _simple_values(self, net, f):
        d = self.objective.d
        low, high = net.lower[f], net.upper[f]
        i, j = divmod(f, d + 3)
        if f == len(net.theta) - 1:
            only_products = all(net.kind(i) == "product" for i in range(net.n_nodes))
            # That y is 0 everywhere is no law of values of one sign, however much they scatter.
            may_be_zero = net.n_nodes or not (self.objective.y.min() > 0 or self.objective.y.max() < 0)
            values = [0.0] if only_products and may_be_zero else []
        elif j < d:
            last = self.keeps_last and not np.delete(net.nodes[i, :d], j).any()
            values = [] if last else [0.0]
            if net.kind(i) == "product":
                values += [v for v in SIMPLE[np.argsort(np.abs(SIMPLE - net.theta[f]))[:2]] if v or not last]
        elif j == d:
            values = [0.0] if net.kind(i) == "sum" else []
        else:
            values = [0.0] if j == d + 1 else [0.0, 1.0]
        return sorted({v for v in values if low <= v <= high})

    def _without_empty(self, net):
        """The net without nodes that have become constant, where the constant is free to take their value."""
        d, constant_is_free = self.objective.d, net.lower[-1] < net.upper[-1]
        for i in reversed(range(net.n_nodes if self.n_nodes is None and constant_is_free else 0)):
            if net.n_nodes > 1 and not net.nodes[i, :d].any() and not net.sign[i].any():
                net = net.without_node(i)
        return net

    def _joined(self, net):
        """The net with products of the same exponents joined, which the ridge of collinear columns keeps apart."""
        d = self.objective.d
        for i in reversed(range(net.n_nodes if self.n_nodes is None else 0)):
            for other in range(i):
                pair, sign, upper = net.nodes[[other, i]], net.sign[[other, i]], net.bound("upper")[[other, i]]
                same = (pair[0, :d] == pair[1, :d]).all() and (sign[0] == sign[1]).all()
                if same and not upper[:, d + 1 :].any():  # neither blends nor saturates
                    net = net.without_node(i)
                    net.nodes[other, d] = pair[:, d].sum()
                    break
        return net


def _cosines(H):
    """Lengths of the columns of J and the cosines between them, from H = J'J."""
    unit = np.sqrt(np.diag(H)) + SMALL
    with np.errstate(over="ignore"):
        return unit, np.clip(H / unit[:, None] / unit, -1.0, 1.0)
