"""Nets made simple: nodes dropped and parameters fixed at simple values while the data do not object.

The criterion is n log(residual) + log(n) n_parameters n / (n - n_parameters), Schwarz's with the small-sample factor,
n being the number of distinct rows (weights say how exact they are, not how many).
"""

from dataclasses import replace

import numpy as np

from skmerge._net.comparison import leave_one_out, no_worse
from skmerge._net.objective import ROUNDING
from skmerge._progress import SILENCE, refine

# Values an exponent is offered: zero, thirds and halves up to 3, then whole numbers.
SIMPLE = np.unique(np.outer([-1, 1], [0, 1 / 3, 1 / 2, 2 / 3, 1, 3 / 2, 2, 5 / 2, 3, 4, 5, 6]))


def criterion(objective, net):
    n, p = objective.n, net.n_free
    if p >= n:
        return np.inf
    return n * np.log(max(net.squares, ROUNDING)) + np.log(n) * p * n / (n - p)


class Simplifier:
    """Simplifies nets of one output.

    Parameters
    ----------
    objective : Objective
    penalties : callable(net) -> ndarray, the ridge penalty of every parameter
    n_nodes : int or None
        Nodes that were asked for, which stay.
    active : bool
        Whether parameters are fixed.
    """

    def __init__(self, objective, penalties, n_nodes, active):
        self.objective, self.penalties, self.n_nodes, self.active = objective, penalties, n_nodes, active

    def fit(self, net, max_iter=60, tol=1e-7):
        return self.objective.fit(net, self.penalties(net), max_iter, tol)

    def refined(self, parent, name, net, max_iter, tol):
        """The fitted net, told as a subtask, and whether a callback asks for no more."""
        return refine(parent, name, self.objective, net, self.penalties(net), max_iter, tol)

    def thinned(self, net):
        """Nodes dropped one by one while the criterion falls."""
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
        """Parameters fixed at zero or at a simple exponent, the least missed first, while the criterion falls."""
        if not self.active or self.objective.n == 1:
            return self.fit(net, max_iter=300, tol=1e-12)
        best = criterion(self.objective, net)

        def better(trial):
            nonlocal best
            score = criterion(self.objective, trial)
            if not (score < best or (not np.isfinite(best) and trial.squares <= 1e-12)):
                return False
            best = score
            return True

        net = self._pinned(net, better, lambda: np.isfinite(best), task)
        net = self._mirrored(net, better)
        net = self._without_undecided(net)
        return self.fit(self._joined(self._without_empty(net)), max_iter=300, tol=1e-12)

    def _pinned(self, net, accepts, is_limited, task):
        """Parameters fixed at simple values one by one, those the squares miss least first, while ``accepts`` them."""
        tried = set()
        accepted = True
        while accepted:
            accepted = False
            free = np.flatnonzero(net.lower < net.upper)
            if not len(free) or net.JTJ is None:
                break
            H = net.JTJ[np.ix_(free, free)]
            unit = np.sqrt(np.diag(H)) + 1e-150
            if not np.isfinite(H).all():  # features over 150 decades
                break
            with np.errstate(over="ignore"):
                cosines = np.clip(H / unit[:, None] / unit, -1.0, 1.0)
            covariance = np.linalg.pinv(cosines, rcond=1e-12, hermitian=True)
            # a parameter without effect costs nothing
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
                # where the others go when this one moves, by the quadratic model
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
        """Saturating products g(B p; C) as C sign B - g(C^2 / (B p); C): the same, if it saves the constant or poles.

        Exponents are simple by then. Of 5 x / (2 + x) the search finds 5 - g(10 / x; 5) in every third table;
        g(2.5 x; 5) has a parameter less.
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
            other = replace(net, theta=net.theta.copy(), lower=net.lower.copy(), upper=net.upper.copy(), JTJ=None)
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
        """Nodes and exponents left out as long as the rows cannot tell.

        The criterion takes every row for as exact as the others. Where a few are far less so, as the greatest are of
        values with a relative error, they buy terms of their own; rows taken as pairs do not bear these out.
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
        """Simple exponents become zero, the least missed first, unless they gain as much as a free one has to.

        A value that the data do not tell from its neighbours is drawn from many, and is no simpler than a free one: of
        lines in 40 rows beside a column within 1 % of 1, two in three had it with an exponent up to 6.
        """
        d, (low, high) = self.objective.d, self.objective.exponent_bounds
        may = (low < high) & (low <= 0) & (high >= 0)
        while np.isfinite(criterion(self.objective, net)):
            fixed = net.bound("lower")[:, :d] == net.bound("upper")[:, :d]
            product = np.array([[net.kind(i) == "product"] for i in range(net.n_nodes)], bool).reshape(-1, 1)
            simple = fixed & product & may & (net.nodes[:, :d] != 0)
            if self.n_nodes is not None:  # a node that was asked for keeps its last
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
        """By how much the squares grow when each of these parameters becomes zero, by the quadratic model."""
        lower, upper = net.lower.copy(), net.upper.copy()
        free = np.flatnonzero(lower < upper)
        lower[fixed], upper[fixed] = -np.inf, np.inf
        H = self.objective.curvature(replace(net, lower=lower, upper=upper, JTJ=None)) if len(fixed) else None
        if H is None or not np.isfinite(H).all():
            return np.full(len(fixed), np.inf)
        unit = np.sqrt(np.diag(H)) + 1e-150
        cosines = np.clip(H / unit[:, None] / unit, -1.0, 1.0)
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
            values = [0.0] if all(net.kind(i) == "product" for i in range(net.n_nodes)) else []
        elif j < d:
            last = self.n_nodes is not None and not np.delete(net.nodes[i, :d], j).any()  # of a node that was asked for
            values = [] if last else [0.0]
            if net.kind(i) == "product":
                values += [v for v in SIMPLE[np.argsort(np.abs(SIMPLE - net.theta[f]))[:2]] if v or not last]
        elif j == d:
            values = [0.0] if net.kind(i) == "sum" else []
        else:
            values = [0.0] if j == d + 1 else [0.0, 1.0]
        return sorted({v for v in values if low <= v <= high})

    def _without_empty(self, net):
        """Nodes that have become constant by fixing leave their value to the constant."""
        d = self.objective.d
        for i in reversed(range(net.n_nodes)):
            if self.n_nodes is None and net.n_nodes > 1 and not net.nodes[i, :d].any() and not net.sign[i].any():
                constant_free = net.lower[-1] < net.upper[-1]
                if constant_free:
                    net = net.without_node(i)
        return net

    def _joined(self, net):
        """Products that simple exponents have made the same are one; the tie breaker favours many small ones."""
        d = self.objective.d
        for i in reversed(range(net.n_nodes if self.n_nodes is None else 0)):
            for other in range(i):
                pair, ceiling = net.nodes[[other, i]], net.bound("upper")[[other, i]]
                if (
                    not ceiling[:, d + 1 :].any()  # neither blends nor saturates
                    and np.array_equal(pair[0, :d], pair[1, :d])
                    and np.array_equal(net.sign[other], net.sign[i])
                ):
                    factor = pair[:, d].sum()
                    net = net.without_node(i)
                    net.nodes[other, d] = factor
                    break
        return net
