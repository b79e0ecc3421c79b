"""Search for a sum of products in which some constants have a number of their own for each group of rows.

Own constants are eliminated within each group. What is left of the other products is compared as in `products`, and
exponents, which all groups share, are then fitted and simplified.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from scipy.optimize import least_squares

from skmerge._net import products
from skmerge._net.candidates import values_of
from skmerge._net.comparison import EQUAL, no_worse
from skmerge._net.logarithms import TERM
from skmerge._net.products import FLOOR, NEW
from skmerge._net.simplification import SIMPLE

COMPARED_ROWS = 500  # on which products are compared
MAX_OWN, MAX_SHARED = 2, 2  # terms of either kind
KEPT = 5  # sums of which the exponents are fitted
LEAST_EXPONENT = 0.3  # of a free one beside other terms, with which a smaller one stands for a logarithm


class Terms(NamedTuple):
    """A sum: exponents A (t, d), zeros for the constant, signs (t, d), ``own`` (t,) and which exponents are free."""

    A: np.ndarray
    sign: np.ndarray
    own: np.ndarray
    free: np.ndarray

    def without(self, i):
        return Terms(*(np.delete(part, i, axis=0) for part in self))


class Fit(NamedTuple):
    """Terms fitted: squares of the residuals over those of y, twice the description length, that of rows left out."""

    terms: Terms
    squares: float
    score: float
    error: float = np.inf
    alone: np.ndarray | None = None


@dataclass(frozen=True)
class Rows:
    """Rows sorted by group: logarithms of sizes and signs (n, d), y and roots of the weights (n,), starts of groups."""

    log: np.ndarray
    positive: np.ndarray
    y: np.ndarray
    root: np.ndarray
    ends: np.ndarray

    @classmethod
    def of(cls, objective, column, most=None):
        """``column``: that of the groups; ``most``: so many rows at most, or none at all are left out."""
        group = objective.X[:, column]
        order = np.argsort(group, kind="stable")
        if most is not None:
            order = order[:: -(-len(order) // most)]
        X, root = objective.X[order], np.sqrt(objective.weight[order])
        with np.errstate(divide="ignore", over="ignore"):
            log = np.maximum(np.log(np.abs(X / objective.scaling.x_scale)), -708.0)
        first = np.unique(group[order], return_index=True)[1]
        return cls(log, np.sign(X), objective.y[order] * root, root, np.append(first, len(order)))

    @property
    def n(self):
        return len(self.y)

    @cached_property
    def parts(self):
        return [slice(*pair) for pair in zip(self.ends[:-1], self.ends[1:], strict=True)]

    @property
    def n_groups(self):
        return len(self.ends) - 1

    def columns(self, A, sign):
        """Products times the roots of the weights, (n, t)."""
        return values_of(self.log, self.positive, A, sign) * self.root[:, None]

    def without_own(self, own, *others):
        """The other columns (n, m) without what the own ones (n, k) explain within each group, and their bases."""
        others, bases = [np.array(one, dtype=float) for one in others], []
        for part in self.parts:
            Q, R = np.linalg.qr(own[part])
            Q = Q[:, np.abs(np.diag(R)) > 1e-9 * np.abs(np.diag(R)).max(initial=0.0)] if own.shape[1] else Q
            bases.append(Q)
            for one in others:
                one[part] -= Q @ (Q.T @ one[part])
        return others, bases

    def n_constants(self, own):
        return int(np.where(own, self.n_groups, 1).sum())

    def most_own(self):
        """Constants of its own that the smallest group can have."""
        return max(1, int(np.diff(self.ends).min()) - 1)


class Proposals:
    """Sums whose exponents are simple, some of the constants of their own for each group."""

    def __init__(self, objective, candidates, column):
        self.objective = objective
        self.few = Rows.of(objective, column, COMPARED_ROWS)
        A, sign = products.simple_products(objective, candidates)
        columns = self.few.columns(A, sign)
        with np.errstate(all="ignore"):
            columns = columns / np.linalg.norm(columns, axis=0)
        fine = np.isfinite(columns).all(axis=0)
        none = np.zeros((int(objective.intercept), objective.d))
        self.A, self.sign = np.vstack([none, A[fine]]), np.vstack([none, sign[fine]]).astype(np.uint8)
        self.columns = np.column_stack([self.few.root[:, None][:, : len(none)], columns[:, fine]])
        self.columns /= np.linalg.norm(self.columns, axis=0)
        self.price = products.prices(self.A).sum(axis=1)

    def best(self):
        """The best few, each as Terms."""
        found, n = {}, self.few.n
        for own in self._own_sets():
            (y, columns), _ = self.few.without_own(self.columns[:, own], self.few.y[:, None], self.columns)
            y, length = y[:, 0], np.linalg.norm(columns, axis=0)
            columns = np.where(length**2 > NEW, columns / np.maximum(length, NEW), 0.0)
            shared = []
            for _ in range(MAX_SHARED + 1):
                rest = y
                if shared:
                    Q = np.linalg.qr(columns[:, shared])[0]
                    rest = y - Q @ (Q.T @ y)
                squares = max(rest @ rest, FLOOR * (self.few.y @ self.few.y))
                chosen = [*own, *shared]
                p = len(own) * self.few.n_groups + len(shared)
                price = products.price_of(self.A[chosen])
                key = tuple(sorted(own)), tuple(sorted(shared))
                found[key] = n * np.log(squares) + price + np.log(n) * p * n / max(n - p, 0.1), own, list(shared)
                more = products.improved(columns, y, self.A, [*shared, None]) if p < n - 2 else None
                if more is None:
                    break
                shared = more
        best = sorted(found.values(), key=lambda one: one[0])[:KEPT]
        return [self._terms(own, shared) for _, own, shared in best]

    def _own_sets(self):
        """Numbers of the products that have own constants: greedily the best ones, with and without the constant."""
        most = min(MAX_OWN + int(self.objective.intercept), self.few.most_own())
        sets = []
        for constant in ([], [0]) if self.objective.intercept else ([],):
            own = constant
            while True:
                sets += [own] * bool(own)
                if len(own) >= min(most, MAX_OWN + len(constant)):
                    break
                best = self._next_own(own)
                if best is None:
                    break
                own = [*own, best]
                for k in range(len(constant), len(own)):  # each replaced by a better one
                    others = own[:k] + own[k + 1 :]
                    better = self._next_own(others)
                    own = own if better is None else [*own[:k], better, *own[k + 1 :]]
        return sets

    def _next_own(self, own):
        """The product that explains most, with own constants beside the others; None if there is none."""
        rows, gain = self.few, np.zeros(len(self.A))
        (y, left), _ = rows.without_own(self.columns[:, own], rows.y[:, None], self.columns)
        for part in rows.parts:
            size, before = (left[part] ** 2).sum(axis=0), (self.columns[part] ** 2).sum(axis=0)
            new = size > NEW * np.maximum(before, 1e-300)
            gain += np.where(new, (y[part, 0] @ left[part]) ** 2 / np.where(new, size, 1.0), 0.0)
        gain[: int(self.objective.intercept)] = 0.0  # the constant comes first or not at all
        gain[own] = 0.0
        if not gain.any():
            return None
        squares = np.maximum((y[:, 0] @ y[:, 0]) - gain, FLOOR * (rows.y @ rows.y))
        return int(np.argmin(rows.n * np.log(squares) + self.price))

    def _terms(self, own, shared):
        chosen = [*own, *shared]
        is_own = np.arange(len(chosen)) < len(own)
        return Terms(self.A[chosen], self.sign[chosen], is_own, np.zeros((len(chosen), self.A.shape[1]), bool))


def _plainer(terms):
    """Terms without one of them, or with the constants of one shared, a list."""
    several = [terms.without(i) for i in range(len(terms.A))] if len(terms.A) > 1 else []
    for i in np.flatnonzero(terms.own):
        own = terms.own.copy()
        own[i] = False
        several.append(terms._replace(own=own))
    return several


class Fitter:
    """Fits Terms to all rows of an objective, and simplifies them."""

    def __init__(self, objective, column):
        self.all = Rows.of(objective, column)
        self.order = np.argsort(objective.X[:, column], kind="stable")
        self.may_move = objective.dimensions is None  # exponents; they would not stay homogeneous
        self.low, self.high = objective.exponent_bounds
        self.low = np.where(objective.scaling.zeros, np.maximum(self.low, 0.0), self.low)

    def fitted(self, terms):
        """A Fit: exponents that are free by Gauss and Newton, constants eliminated."""
        rows, A = self.all, terms.A.copy()
        places = np.nonzero(terms.free)

        def residual(z):
            A[places] = z
            return self._residual(A, terms)

        def slope(z):
            A[places] = z
            return -self._by_exponents(terms._replace(A=A))[0]

        start = A[places]
        if len(start):
            bounds = np.minimum(self.low[places[1]], start), np.maximum(self.high[places[1]], start)
            how = {"xtol": 1e-10, "ftol": 1e-12, "gtol": 1e-12, "max_nfev": 30}
            A[places] = least_squares(residual, start, slope, bounds=bounds, **how).x
        r = self._residual(A, terms)
        squares = max(float(r @ r), FLOOR * float(rows.y @ rows.y))
        return Fit(terms._replace(A=A), squares, self._score(terms, squares))

    def _residual(self, A, terms):
        columns = self.all.columns(A, terms.sign)
        with np.errstate(all="ignore"):
            columns = columns / np.linalg.norm(columns, axis=0)
        if not np.isfinite(columns).all():
            return 10 * self.all.y
        (y, shared), _ = self.all.without_own(columns[:, terms.own], self.all.y[:, None], columns[:, ~terms.own])
        Q = np.linalg.qr(shared)[0]
        return y[:, 0] - Q @ (Q.T @ y[:, 0])

    def n_free(self, terms):
        """Number of constants and free exponents."""
        return self.all.n_constants(terms.own) + int(terms.free.sum())

    def _score(self, terms, squares):
        n, p = self.all.n, self.n_free(terms)
        is_logarithm = len(terms.A) > 1 and (terms.free & (np.abs(terms.A) < LEAST_EXPONENT)).any()
        if p >= n - 1 or is_logarithm:
            return np.inf
        return n * np.log(squares) + self.length(terms) + np.log(n) * p * n / (n - p)

    def length(self, terms):
        """Twice the description length of the terms without their numbers."""
        return products.price_of(np.where(terms.free, 0.0, terms.A)) + TERM * len(terms.A)

    def refined(self, terms):
        """The Fit with exponents freed, terms dropped and constants shared as long as the description gets shorter."""
        best = self._freed(self.fitted(terms))
        least = best.score
        while True:
            trials = [self.fitted(one) for one in _plainer(best.terms)]
            found = min(trials, key=lambda one: one.score, default=None)
            if found is None or not found.score <= least + EQUAL:
                break
            best, least = found, min(least, found.score)
        best = self.with_errors(best)
        # The score supposes equal errors; a term for one or two rows that are less exact does not pass row by row.
        plain, found = best, True
        while found:
            trials = [self.with_errors(self.fitted(one)) for one in _plainer(plain.terms)]
            trials = [one for one in trials if no_worse(one.alone, best.alone)]
            found = min(trials, key=lambda one: (self.n_free(one.terms), one.error), default=None)
            plain = found or plain
        return plain

    def plainer(self, fit):
        """Without a term that only corrects an exponent of another, which is not quite simple."""
        trials = [self._freed(self.fitted(one)) for one in _plainer(fit.terms)]
        good = [self.with_errors(one) for one in trials if one.score <= fit.score + EQUAL]
        return min(good, key=lambda one: (self.n_free(one.terms), one.score), default=fit)

    def _freed(self, fit):
        """With those exponents freed that make the description shorter."""
        may = (fit.terms.A != 0) & (self.low < self.high) & self.may_move
        if not may.any() or fit.squares <= FLOOR * 10 * (self.all.y @ self.all.y):
            return fit
        freed = self._simplified(self.fitted(fit.terms._replace(free=may)))
        return min(fit, freed, key=lambda one: one.score)

    def _simplified(self, fit):
        """Free exponents set to simple values, one by one."""
        tried = True
        while tried:
            tried = False
            for i, j in zip(*np.nonzero(fit.terms.free), strict=True):
                A, free = fit.terms.A.copy(), fit.terms.free.copy()
                A[i, j], free[i, j] = SIMPLE[np.argmin(np.abs(SIMPLE - A[i, j]))], False
                trial = self.fitted(fit.terms._replace(A=A, free=free))
                if trial.score < fit.score:
                    fit, tried = trial, True
        return fit

    def _by_exponents(self, terms):
        """Columns of the free exponents and of shared constants, without what own constants explain, and their bases.

        Of the derivatives by the exponents, constants eliminated, that is Kaufman's approximation.
        """
        rows, columns = self.all, self.all.columns(terms.A, terms.sign)
        with np.errstate(all="ignore"):
            columns /= np.linalg.norm(columns, axis=0)
        if not np.isfinite(columns).all():
            return np.zeros((rows.n, int(terms.free.sum()))), columns[:, :0], []
        value = self._values(terms, columns)
        slopes = [value[:, i] * rows.log[:, j] for i, j in zip(*np.nonzero(terms.free), strict=True)]
        slopes = np.column_stack(slopes) if slopes else np.zeros((rows.n, 0))
        (slopes, shared), bases = rows.without_own(columns[:, terms.own], slopes, columns[:, ~terms.own])
        Q = np.linalg.qr(shared)[0]
        return slopes - Q @ (Q.T @ slopes), Q, bases

    def with_errors(self, fit):
        """With the squared errors of rows left out, one by one: (residual / (1 - leverage))^2.

        A row that alone determines a constant gets the mean error of the others.
        """
        rows = self.all
        slopes, Q, bases = self._by_exponents(fit.terms)
        length = np.linalg.norm(slopes, axis=0)
        basis, size, _ = np.linalg.svd(slopes[:, length > 0] / length[length > 0], full_matrices=False)
        basis = basis[:, size > 1e-10 * size.max(initial=0.0)]
        leverage = sum((one**2).sum(axis=1) for one in (Q, basis))
        for part, own in zip(rows.parts, bases, strict=True):
            leverage[part] += (own**2).sum(axis=1)
        residual = self._residual(fit.terms.A, fit.terms)
        free, alone = 1.0 - leverage, np.empty(rows.n)
        seen = free > 1e-8
        squares = (residual / np.maximum(free, 1e-8)) ** 2
        alone[self.order] = np.where(seen, squares, squares[seen].mean() if seen.any() else np.inf)
        return fit._replace(error=float(alone.sum()), alone=alone)

    def _values(self, terms, columns):
        """The terms at the rows, times the roots of the weights, (n, t); ``columns`` of unit length."""
        rows, value = self.all, np.zeros(columns.shape)
        (y, shared), _ = rows.without_own(columns[:, terms.own], rows.y[:, None], columns[:, ~terms.own])
        factor = np.linalg.lstsq(shared, y[:, 0], rcond=1e-12)[0]
        value[:, ~terms.own] = columns[:, ~terms.own] * factor
        rest = rows.y - value.sum(axis=1)
        for part in rows.parts:
            own = columns[part][:, terms.own]
            value[part, terms.own] = own * np.linalg.lstsq(own, rest[part], rcond=1e-12)[0]
        return value
