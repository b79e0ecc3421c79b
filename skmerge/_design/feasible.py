"""Inputs that satisfy bounds, sums, a number of non-zero components, whole numbers and linear constraints."""

from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp

CONSTRAINT_TOLERANCE = 1e-9  # tolerance of a constraint, relative to the size of its terms
CORRECTIONS = 100  # at most, until all rows satisfy the constraints


@dataclass(frozen=True)
class Feasible:
    """A set of inputs."""

    low: np.ndarray  # (d,)
    high: np.ndarray  # (d,)
    integer: np.ndarray  # bool (d,)
    component: np.ndarray  # bool (d,), inputs of which at most ``max_nonzero`` may differ from zero
    max_nonzero: int | None
    matrix: np.ndarray  # (q, d), least <= matrix @ x <= most
    least: np.ndarray  # (q,)
    most: np.ndarray  # (q,)
    words: tuple = ()  # names of the rows of the matrix in messages

    @property
    def width(self):
        return self.high - self.low

    @property
    def optional(self):
        """Components that may be zero."""
        return self.component & (self.low <= 0) & (self.high >= 0)

    def scale(self):
        size = np.maximum(np.abs(self.low), np.abs(self.high))
        return np.maximum(np.abs(self.matrix) @ size, np.finfo(float).tiny)

    # --- existence

    def solve(self, direction=None, relaxed=False):
        """The smallest input along a direction, or None without any; relaxed: integers may be fractions."""
        d = len(self.low)
        cost = np.zeros(d) if direction is None else direction
        bounds, constraints, whole = [self.low, self.high], [], self.integer.astype(int)
        if len(self.matrix):
            unit = self.scale()
            constraints.append([self.matrix / unit[:, None], self.least / unit, self.most / unit])
        if self.max_nonzero is not None:
            at = np.flatnonzero(self.component)
            on, c = np.zeros((len(at), d)), len(at)  # z = 1: the component may differ from zero
            on[np.arange(c), at] = 1.0
            constraints = [[np.hstack([A, np.zeros((len(A), c))]), a, b] for A, a, b in constraints]
            constraints.append([np.hstack([on, -np.diag(self.high[at])]), np.full(c, -np.inf), np.zeros(c)])
            constraints.append([np.hstack([on, -np.diag(self.low[at])]), np.zeros(c), np.full(c, np.inf)])
            constraints.append([np.r_[np.zeros(d), np.ones(c)][None], [0.0], [float(self.max_nonzero)]])
            bounds = [np.r_[self.low, ~self.optional[at]], np.r_[self.high, np.ones(c)]]
            # z opens the range of a component that may be zero; for other components it stays 1.
            cost, whole = np.r_[cost, np.zeros(c)], np.r_[whole, np.ones(c, int)]
        found = milp(
            cost,
            integrality=np.zeros_like(whole) if relaxed else whole,
            bounds=Bounds(*bounds),
            constraints=[LinearConstraint(*rows) for rows in constraints],
        )
        return None if found.x is None else found.x[:d]

    def contradiction(self):
        """Words of each constraint without which there are feasible inputs."""
        fewer = [(replace(self, max_nonzero=None), f"max_nonzero={self.max_nonzero}")] if self.max_nonzero else []
        if self.integer.any():
            fewer.append((replace(self, integer=np.zeros_like(self.integer)), "integer"))
        for i, words in enumerate(self.words):
            rest = np.arange(len(self.words)) != i
            fewer.append((replace(self, matrix=self.matrix[rest], least=self.least[rest], most=self.most[rest]), words))
        return [words for other, words in fewer if other.solve() is not None]

    def tightened(self):
        """The same inputs with the narrowest bounds."""
        low, high = self.low.copy(), self.high.copy()
        if not len(self.matrix):
            return self
        for j in np.flatnonzero(self.width > 0):
            direction = np.zeros(len(low))
            direction[j] = 1.0
            slack = CONSTRAINT_TOLERANCE * self.width[j]
            least, most = self.solve(direction, relaxed=True), self.solve(-direction, relaxed=True)
            if least is not None and least[j] - slack > low[j] + slack:
                low[j] = least[j] - slack
            if most is not None and most[j] + slack < high[j] - slack:
                high[j] = most[j] + slack
        return replace(self, low=low, high=high)

    def around(self, x, share):
        """The inputs near x with the same zeros and whole numbers."""
        low = np.clip(x - share * self.width, self.low, self.high)
        high = np.clip(x + share * self.width, self.low, self.high)
        still = self.integer | (self.component & (x == 0) if self.max_nonzero is not None else False)
        low, high = np.where(still, x, low), np.where(still, x, high)
        return replace(self, low=low, high=high, integer=np.zeros_like(self.integer), max_nonzero=None)

    # --- repair

    def violation(self, X):
        """By how much the rows of X violate the linear constraints, in units of their terms; otherwise 0."""
        if not len(self.matrix):
            return np.zeros(len(X))
        value = X @ self.matrix.T
        gap = np.maximum(self.least - value, value - self.most) / self.scale()
        return np.where(gap > CONSTRAINT_TOLERANCE, gap, 0.0).sum(axis=1)

    def repair(self, X):
        """Inputs nearest to the rows of X in units of the width of bounds, and by how much they violate constraints.

        Bounds, zeros and whole numbers always hold.
        """
        low, high = (np.broadcast_to(bound, X.shape).copy() for bound in (self.low, self.high))
        X = np.clip(X, low, high)
        if self.max_nonzero is not None:
            unit = np.where(self.width > 0, self.width, 1.0)
            size = np.where(self.optional, np.abs(X) / unit, np.inf)
            size[:, ~self.component] = -np.inf
            rank = np.argsort(np.argsort(-size, axis=1, kind="stable"), axis=1)
            drop = (rank >= self.max_nonzero) & self.component
            low[drop], high[drop], X[drop] = 0.0, 0.0, 0.0
        X = self._meet(X, low, high)
        if self.integer.any():
            X = self._rounded(X, low, high)
            low[:, self.integer] = high[:, self.integer] = X[:, self.integer]
            X = self._meet(X, low, high)
        return X, self.violation(X)

    def _meet(self, X, low, high):
        """Correct violated constraints by least squares, until all hold or corrections have no effect."""
        if not len(self.matrix):
            return X
        unit = self.scale()
        matrix, least, most = self.matrix / unit[:, None], self.least / unit, self.most / unit
        weight = np.where(self.width > 0, self.width, 0.0) ** 2
        rows = np.arange(len(X))
        for _ in range(CORRECTIONS):
            value = X[rows] @ matrix.T
            gap = np.clip(value, least, most) - value
            broken = np.abs(gap) > 1e-3 * CONSTRAINT_TOLERANCE
            rows, gap, broken = rows[broken.any(axis=1)], gap[broken.any(axis=1)], broken[broken.any(axis=1)]
            if not len(rows):
                break
            broken |= least == most
            A = np.where(broken[:, :, None], matrix, 0.0)
            free = weight * (high[rows] > low[rows])
            for _ in range(2):  # the second time without the inputs that are at their bounds
                gram = np.einsum("nqd,nd,npd->nqp", A, free, A)
                step = free * np.einsum(
                    "nqd,nq->nd", A, np.einsum("nqp,np->nq", np.linalg.pinv(gram, 1e-10, hermitian=True), gap)
                )
                held = ((X[rows] <= low[rows]) & (step < 0)) | ((X[rows] >= high[rows]) & (step > 0))
                free = np.where(held, 0.0, free)
            moved = np.clip(X[rows] + step, low[rows], high[rows])
            # Inputs whose width is a rounding error cannot be moved; without this check they would cost all rounds.
            helped = (np.abs(moved - X[rows]) > 1e-3 * CONSTRAINT_TOLERANCE * self.width).any(axis=1)
            X[rows] = moved
            rows = rows[helped]
            if not len(rows):
                break
        return X

    def _rounded(self, X, low, high):
        """Rounded whole numbers, moved one by one until sums satisfy the constraints."""
        whole = self.integer
        low, high = np.where(whole, np.ceil(low), low), np.where(whole, np.floor(high), high)
        exact, X = X, np.where(whole, np.clip(np.round(X), low, high), X)
        if not len(self.matrix):
            return X
        # Continuous inputs correct what they can; whole numbers correct the rest.
        for _ in range(2 * np.count_nonzero(whole)):
            filled = self._meet(np.where(whole, X, exact), np.where(whole, X, low), np.where(whole, X, high))
            value = filled @ self.matrix.T
            gap = (np.clip(value, self.least, self.most) - value) / self.scale()
            rows = np.flatnonzero((np.abs(gap) > CONSTRAINT_TOLERANCE).any(axis=1))
            if not len(rows):
                break
            worst = np.abs(gap[rows]).argmax(axis=1)
            sign = np.sign(gap[rows, worst])[:, None] * np.sign(self.matrix[worst])
            moved = X[rows] + sign
            allowed = whole & (sign != 0) & (moved >= low[rows]) & (moved <= high[rows])
            cost = np.where(allowed, np.abs(moved - exact[rows]) - np.abs(X[rows] - exact[rows]), np.inf)
            best = cost.argmin(axis=1)
            found = np.isfinite(cost[np.arange(len(rows)), best])
            X[rows[found], best[found]] = moved[found, best[found]]
            if not found.any():
                break
        return X

    def sample(self, n, rng):
        """Up to n feasible inputs, some with many zeros; at least one if the set is not empty."""
        found = []
        for _ in range(10):
            X = self.low + rng.random((n, len(self.low))) * self.width
            X[self.optional & (rng.random(X.shape) < rng.random((n, 1)))] = 0.0
            X, broken = self.repair(X)
            found.append(X[broken == 0])
            if sum(map(len, found)) >= n:
                break
        else:  # narrow sets: corners, and inputs between two of them
            unit = np.where(self.width > 0, self.width, 1.0)
            corners = [self.solve(rng.normal(size=len(self.low)) / unit) for _ in range(20)]
            corners = np.array([x for x in corners if x is not None])
            if len(corners):
                share = rng.random((n, 1))
                pairs = rng.integers(len(corners), size=(2, n))
                between = share * corners[pairs[0]] + (1 - share) * corners[pairs[1]]
                X, broken = self.repair(np.concatenate([corners, between]))
                found.append(X[broken == 0])
        return np.unique(np.concatenate(found)[:n], axis=0) if found else np.empty((0, len(self.low)))
