"""Rows that may have a gross error: those without which simple laws err much less, or with a feature repaired.

In closed form, for all products with simple exponents at once: without a row the squares are total - e^2 / (1 -
leverage), and if it changes in a feature, so do two sums of each product. A wrong x may be far from all others; the
fit then passes through that row, and what is left without it says nothing.
"""

from functools import cached_property

import numpy as np

from skmerge._net import products
from skmerge._net.candidates import MAX_LAW_FEATURES, Candidates, values_of

MOST = 3  # rows that are told at most
REDUCED = 4.0  # factor by which the mean square falls without the suspects, or with one feature repaired
DETERMINED = 0.95  # leverage beyond which a row is not left out, because the others say too little about it
REPAIRED = 200_000  # rows times products, the simplest ones, in which features are repaired: half a second of ten
RIDGE = 1e-10  # of columns of unit length, beside which collinear ones do no harm
FACTORS = (10.0, 0.1, -1.0)  # of a slip: a decimal point too far right or left, a wrong sign


class Simple:
    """The simple laws of an objective: single products, lines, a power law; ``sign``: as in Candidates."""

    def __init__(self, objective, sign):
        self.objective = objective
        self.candidates = candidates = Candidates(objective, sign, np.random.default_rng(0))
        self.A, self.signs = A, signs = products.simple_products(objective, candidates)
        columns = values_of(candidates.log, candidates.positive, A, signs)
        self.columns = columns / np.maximum(np.abs(columns).max(axis=0, initial=0.0), 1e-300)
        self.price = products.prices(A).sum(axis=1)

    @cached_property
    def line(self):
        """The constant and the features, as columns, at most half as many as rows."""
        n = self.objective.n
        return np.column_stack([np.ones(n), self.candidates.centred])[:, : n // 2]

    @cached_property
    def power_law(self):
        """log |y|, and the constant and logarithms of features as columns; None if there is none."""
        c, n = self.candidates, self.objective.n
        if not (c.y != 0).all() or not len(c.admitted):
            return None
        return np.log(np.abs(c.y)), np.column_stack([np.ones(n), c.log[:, c.admitted]])[:, : n // 2]

    def suspects(self):
        """Sets of rows, as sorted tuples, without which a law errs much less than with them."""
        y, root, n = self.candidates.y, self.candidates.root, self.objective.n
        families = [(y, root, np.zeros((n, 0)), self.columns, self.price)]
        if self.objective.intercept:
            families.append((y, root, np.ones((n, 1)), self.columns, self.price))
            families.append((y, root, self.line[:, :-1], self.line[:, -1:], np.zeros(1)))
        if self.power_law is not None:
            logs, columns = self.power_law
            families.append((logs, np.ones(n), columns[:, :-1], columns[:, -1:], np.zeros(1)))
        most, found = min(max(1, n // 10), MOST), []
        for family in families:
            rows = _without_which(*family, most) if family[3].shape[1] else None
            if rows and rows not in found:
                found.append(rows)
        return found

    def misread(self):
        """Rows, as tuples of one, with which a law errs much less once one of their features is repaired."""
        o, n, found = self.objective, self.objective.n, []
        tried = [self._with_products(constant) for constant in ((False, True) if o.intercept else (False,))]
        if o.d <= MAX_LAW_FEATURES:
            if o.intercept:
                size = o.X / o.scaling.x_scale
                changes = [(j, (f - 1.0) * size[:, j]) for j in range(self.line.shape[1] - 1) for f in factors(o, j)]
                tried.append(_with_changes(self.candidates.y, self.candidates.root, self.line, changes))
            if self.power_law is not None:
                logs, columns = self.power_law
                changes = [(j, np.full(n, np.log(f))) for j in range(columns.shape[1] - 1) for f in FACTORS[:2]]
                tried.append(_with_changes(logs, np.ones(n), columns, changes))
        for before, after in tried:
            row = int(np.argmin(after))
            if before > REDUCED * after[row] and (row,) not in found:
                found.append((row,))
        return found

    def _with_products(self, constant):
        """Least squares of all products, times exp(price / n): as the rows are, and with each repaired (n,)."""
        o, c, n = self.objective, self.candidates, self.objective.n
        few = np.argsort(self.price, kind="stable")[: max(1, REPAIRED // n)]
        A, signs, C = self.A[few], self.signs[few], self.columns[:, few]
        if not len(few):
            return 0.0, np.ones(n)
        w, price = (c.root**2)[:, None], np.exp(self.price[few] / n)
        y = (c.y - c.root**2 @ c.y if constant else c.y)[:, None]
        level, floor = (w * y**2).sum(), products.FLOOR * (w * y**2).sum()

        def least_squares(mean, product, size):
            left = size - mean**2 if constant else size
            gain = np.where(left > products.NEW * size, product**2 / np.maximum(left, 1e-300), 0.0)
            return (np.maximum(level - gain, floor) * price).min(axis=-1)

        sums = (w * C).sum(axis=0), (w * y * C).sum(axis=0), (w * C**2).sum(axis=0)
        least = np.full(n, np.inf)
        for j in c.admitted:
            for f in factors(o, j):
                factor = np.abs(f) ** A[:, j] * np.where(signs[:, j], np.sign(f), 1.0)
                more = w * C * (factor - 1.0)
                changed = sums[0] + more, sums[1] + y * more, sums[2] + w * C**2 * (factor**2 - 1.0)
                least = np.minimum(least, least_squares(*changed))
        return least_squares(*sums), least


def factors(objective, j):
    """By which a slip may have multiplied feature j."""
    return FACTORS if objective.scaling.signed[j] else FACTORS[:2]


def _with_changes(y, root, columns, changes):
    """Squares of a linear fit, and the least (n,) of those in which one row is changed.

    ``changes``: pairs of the number of a column, the constant not counted, and what is added to it in each row.
    """
    Z, e = columns * root[:, None], y * root
    length = np.maximum(np.linalg.norm(Z, axis=0), 1e-300)
    Z, level = Z / length, e @ e
    G, b, least, one = Z.T @ Z, Z.T @ e, np.full(len(y), np.inf), np.eye(Z.shape[1])

    def squares(G, b):
        explained = (b * np.linalg.solve(G + RIDGE * one, b[..., None])[..., 0]).sum(axis=-1)
        return np.maximum(level - explained, RIDGE * level)

    for j, added in changes:
        delta, unit = added * root / length[j + 1], one[j + 1]
        cross = delta[:, None, None] * Z[:, :, None] * unit
        changed = G + cross + cross.transpose(0, 2, 1) + (delta**2)[:, None, None] * np.outer(unit, unit)
        least = np.minimum(least, squares(changed, b + (delta * e)[:, None] * unit))
    return float(squares(G, b)), least


def _without_which(y, root, common, columns, price, most):
    """The rows, up to ``most``, without which the squares of the best fit are far less; None if there are none.

    Each fit has the columns ``common`` and one of ``columns``. What one row takes away is known in closed form,
    e^2 / (1 - leverage).
    """
    keep, removed, squares = np.arange(len(y)), [], []
    for k in range(most + 1):
        w = root[keep]
        Q = np.linalg.qr(common[keep] * w[:, None])[0]
        C, e = columns[keep] * w[:, None], y[keep] * w
        size = (C**2).sum(axis=0)
        C, e = C - Q @ (Q.T @ C), e - Q @ (Q.T @ e)
        left = (C**2).sum(axis=0)
        C = C / np.sqrt(np.where(left > products.NEW * size, left, np.inf))
        residual = e[:, None] - C * (e @ C)
        total = (residual**2).sum(axis=0)
        leverage = (Q**2).sum(axis=1)[:, None] + C**2
        gain = np.where(leverage < DETERMINED, residual**2 / np.maximum(1.0 - leverage, 1.0 - DETERMINED), 0.0)
        n, least = len(keep), products.FLOOR * (e @ e)
        if k == 0:
            squares.append(np.maximum(total, least)[np.argmin(n * np.log(np.maximum(total, least)) + price)] / n)
        if k == most:
            break
        remaining = np.maximum(total - gain, least)
        row, t = np.unravel_index(np.argmin((n - 1) * np.log(remaining) + price), remaining.shape)
        squares.append(remaining[row, t] / (n - 1))
        removed.append(int(keep[row]))
        keep = np.delete(keep, row)
    falls = np.array(squares[:-1]) / np.maximum(squares[1:], 1e-300)
    last = int(np.argmax(falls)) + 1  # two rows that are equally wrong: without the second the squares fall most
    return tuple(sorted(removed[:last])) if squares[0] > REDUCED * squares[last] else None
