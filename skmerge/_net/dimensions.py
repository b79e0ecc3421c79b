"""Dimensions of features and of y: which products of powers are homogeneous, and all simple ones that are.

A unit is a row of exponents of base dimensions. A product of powers is homogeneous if its unit is that of y, up to the
units that fitted factors may carry.
"""

from dataclasses import dataclass, replace
from itertools import combinations, product

import numpy as np

EXPONENTS = np.array([-3.0, -2.0, -1.0, -0.5, 0.5, 1.0, 2.0, 3.0])  # of features that are free to choose
MORE_EXPONENTS = np.array([-5.0, -4.0, -1.5, 1.5, 4.0, 5.0])  # of one or two of them
# Exponents that follow from those: thirds and halves up to 3, then halves, whole numbers.
SOLVED = np.unique(np.outer([-1, 1], [0, 1 / 3, 1 / 2, 2 / 3, 1, 4 / 3, 3 / 2, 5 / 3, 2, 5 / 2, 3, 7 / 2, 4, 5, 6]))
CONSTANT_POWERS = 0.0, 1.0, -1.0, 2.0, -2.0, 0.5, -0.5  # of the unit of a constant in the factor of a term
MAX_CONSTANTS = 4  # units of constants: more allow almost every product
MAX_EXPONENT = 30.0  # where no exponents are simple
MAX_TRIED = 100_000  # choices of free exponents, those of few features first
LEAST_TRIED = 2000  # for each unit that a factor may carry
DIGITS = 6  # to which exponents of units are compared


@dataclass(frozen=True)
class Dimensions:
    """Units of one output: ``features`` (d, b), ``target`` (b,); ``constants`` (q, b): what factors may carry, 0 first.

    ``target`` is the unit of the sum u, which is that of y without a link.
    """

    features: np.ndarray
    target: np.ndarray
    constants: np.ndarray

    @classmethod
    def of(cls, features, target, constants):
        """``constants`` (k, b): units of which factors carry products of powers."""
        n = len(constants)
        powers = np.array(list(product(CONSTANT_POWERS, repeat=n))).reshape(len(CONSTANT_POWERS) ** n, n)
        _, first = np.unique(np.round(powers @ constants, DIGITS), axis=0, return_index=True)
        return cls(features, target, (powers @ constants)[np.sort(first)])

    def through(self, link):
        """That of u in y = h(u); None where y cannot be h of a sum."""
        if link.power is None:  # y = exp(u): a factor exp(D) carries what the unit of a constant allows
            return replace(self, target=np.zeros_like(self.target)) if self.allows_constant else None
        return replace(self, target=self.target * link.power)

    @property
    def allows_constant(self):
        """Whether the sum may hold a constant."""
        return bool(self.homogeneous(np.zeros((1, len(self.features))))[0])

    @property
    def dimensionless(self):
        """The same, with a number as target: for the arguments of functions."""
        return replace(self, target=np.zeros_like(self.target))

    def homogeneous(self, A):
        """Which products with exponents A (m, d) have the unit of the target: bool (m,)."""
        left = np.round(A @ self.features - self.target, DIGITS) + 0.0
        allowed = {tuple(row) for row in np.round(self.constants, DIGITS) + 0.0}
        return np.array([tuple(row) in allowed for row in left], bool)

    def missing(self, which):
        """What no product of powers of the features ``which`` gives: the part of the target beyond them, (b,)."""
        basis = np.vstack([self.features[which], self.constants])
        size, rows = np.linalg.svd(basis, full_matrices=False)[1:]
        rows = rows[size > 1e-9]
        left = self.target - (self.target @ rows.T) @ rows
        return np.where(np.abs(left) > 1e-6, left, 0.0)

    def directions(self, which):
        """Orthogonal directions in which exponents of the features ``which`` may move, (k, d)."""
        out = np.zeros((0, len(self.features)))
        if len(which):
            _, size, rows = np.linalg.svd(self.features[which].T)
            rows = rows[np.count_nonzero(size > 1e-9) :]
            out = np.zeros((len(rows), len(self.features)))
            out[:, which] = rows
        return out

    def products(self, which, price, most):
        """Homogeneous products of the features ``which``, the cheapest by ``price(A)``: exponents (m, d).

        The exponents of as many features as the units have dimensions follow from those of the others, so that
        products of many features are found, too.
        """
        which, d = np.asarray(which, dtype=int), len(self.features)
        pivots = _independent(self.features[which])
        solved, free = which[pivots], np.delete(which, pivots)
        inverse = np.linalg.pinv(self.features[solved])
        powers = _choices(len(free), max(MAX_TRIED // len(self.constants), LEAST_TRIED))
        found, others = [np.zeros((0, d))], [np.zeros((0, d))]
        for unit in self.target + self.constants:
            left = unit - powers @ self.features[free]
            rest = left @ inverse
            exact = np.abs(left - rest @ self.features[solved]).max(axis=1, initial=0.0) < 1e-9
            nearest = SOLVED[np.searchsorted((SOLVED[1:] + SOLVED[:-1]) / 2, rest)]
            simple = np.abs(rest - nearest).max(axis=1, initial=0.0) < 1e-9
            for rows, values, out in ((exact & simple, nearest, found), (exact & ~simple, rest, others)):
                A = np.zeros((np.count_nonzero(rows), d))
                A[:, free], A[:, solved] = powers[rows], values[rows]
                out.append(A)
        A = np.vstack(found)
        if not len(A):  # a unit such as m^1.37 leaves no choice
            A = np.vstack(others)
            A = A[np.abs(A).max(axis=1, initial=0.0) <= MAX_EXPONENT]
        numbers = ~self.features.any(axis=1)  # whose power no unit demands
        A = A[np.isin(np.abs(A[:, numbers]), np.append(EXPONENTS, 0.0)).all(axis=1)]
        A = np.unique(A, axis=0) + 0.0
        return A[np.lexsort([np.count_nonzero(A, axis=1), price(A)])][:most]


def _independent(units):
    """Numbers of features, the last first, whose units are independent and of which the others are products."""
    chosen, rank = [], 0
    for j in reversed(range(len(units))):
        if np.linalg.matrix_rank(units[[*chosen, j]], tol=1e-9) > rank:
            chosen, rank = [*chosen, j], rank + 1
    return chosen


def _choices(n, most):
    """Exponents (m, n) of free features, those of few features first, about ``most`` of them."""
    rows, count = [np.zeros((1, n))], 1
    for size in range(1, n + 1):
        sets = list(combinations(range(n), size))
        exponents = np.append(EXPONENTS, MORE_EXPONENTS) if size <= 2 else EXPONENTS
        count += len(sets) * len(exponents) ** size
        if count > most and size > 1:
            break
        powers = np.array(list(product(exponents, repeat=size)))
        for some in sets:
            part = np.zeros((len(powers), n))
            part[:, some] = powers
            rows.append(part)
    return np.vstack(rows)
