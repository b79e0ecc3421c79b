"""The rows on which functions of products are looked for, and the products: factors P and arguments Q."""

from itertools import combinations, islice, product
from math import comb

import numpy as np

from skmerge._net import products

RANKED_ROWS = 250  # among which functions are ranked
MAX_ARGUMENTS = 400  # those of fewest features first
MAX_ENUMERATED = 7  # features of which all products of powers -1, 0 and 1 are arguments
MAX_FACTORS = 250  # the simplest
LARGE = 300.0  # logarithm beyond which a product is clipped
NEW = 1e-3  # least share of the squares of a column that the other terms do not explain


class Table:
    """Rows and products of one output.

    ``y`` (n,): target, ``root`` (n,): roots of the weights, ``target`` (n,): y root, of unit length; ``log`` (n, d):
    logarithms of sizes. ``A`` (m, d): exponents of the factors P; ``factors`` (n, m): their columns times root, of unit
    length; ``price`` (m,): of their exponents. ``arguments`` (q, d): exponents of the arguments Q.
    """

    def __init__(self, objective, candidates):
        rows = np.arange(0, len(candidates.X), -(-len(candidates.X) // RANKED_ROWS))
        s = objective.scaling
        self.n, self.d, self.admitted = len(rows), objective.d, candidates.admitted
        self.log, self.sign = candidates.log[rows], candidates.positive[rows]
        self.zeros, self.signed = (candidates.X == 0).any(axis=0), (candidates.X < 0).any(axis=0)
        self.y = candidates.y[rows]
        self.root = candidates.root[rows] / np.linalg.norm(candidates.root[rows])
        target = self.y * self.root
        self.target = target / np.linalg.norm(target)
        A = products.simple_products(objective, candidates)[0]
        A, columns = self.columns(A[self.is_allowed(A)])
        order = np.lexsort([-np.abs(self.target @ columns), products.prices(A).sum(axis=1)])[:MAX_FACTORS]
        constant = np.zeros((int(objective.intercept), self.d))
        self.A, self.factors = self.columns(np.vstack([constant, A[order]]))
        self.price = products.prices(self.A).sum(axis=1)
        # A feature with many zeros may be an argument where it is no factor of a product.
        varied = (s.slope_variance > 1e-20) & ~candidates.excluded
        barred = (s.product == 0) | ~s.dense
        inside = np.flatnonzero(varied & (barred | np.isin(np.arange(self.d), self.admitted)))
        self.arguments = self._allowed(list(islice(_simple(inside, self.d), 4 * MAX_ARGUMENTS)))[:MAX_ARGUMENTS]
        self.enumerated = self.arguments
        if len(inside) <= MAX_ENUMERATED:
            powers = np.array(list(product((0.0, 1.0, -1.0), repeat=len(inside))))[1:]
            A = np.zeros((len(powers), self.d))
            A[:, inside] = powers
            self.enumerated = self._allowed(A)

    def is_allowed(self, A):
        """Which products are finite and real: no negative power of a zero, no root of a negative number."""
        return ~((self.zeros & (A < 0)) | (self.signed & (np.round(A) != A))).any(axis=1)

    def _allowed(self, A):
        A = np.reshape(A, (-1, self.d))
        return A[self.is_allowed(A)]

    def values(self, A):
        """Products of exponents A (m, d), (n, m)."""
        out = np.exp(np.clip(self.log @ A.T, -LARGE, LARGE))
        for j in np.flatnonzero(self.signed):
            out *= np.where(A[:, j] % 2 == 1, self.sign[:, [j]], 1.0)
        return out

    def columns(self, A):
        """Exponents and columns, of unit length, of those products that are finite and not zero."""
        columns = self.values(A) * self.root[:, None]
        with np.errstate(all="ignore"):
            columns /= np.linalg.norm(columns, axis=0)
        fine = np.isfinite(columns).all(axis=0)
        return A[fine], columns[:, fine]

    @property
    def with_logarithm(self):
        """Features whose logarithm is a column: admitted to products and nowhere zero."""
        return self.admitted[~self.zeros[self.admitted]]


def n_simple(d):
    """Number of the simple products of d features that are ranked as arguments."""
    return min(MAX_ARGUMENTS, sum(len(_shapes(size)) * comb(d, size) for size in (1, 2, 3)))


def _shapes(size):
    """Exponents of a simple product of so many features."""
    shapes = [np.array(shape) for shape in product((1.0, -1.0), repeat=size)]
    if size < 3:
        return shapes + [2 * shape for shape in shapes]
    return shapes + [np.roll([-2 * side, side, side], k) for side in (1.0, -1.0) for k in range(3)]


def _simple(features, d):
    """Exponents of simple products, those of one feature first: powers of 1 and 2, u v, u / v, u^2 / v^2, u v / w^2."""
    for size in (1, 2, 3):
        for some in combinations(features, size):
            for shape in _shapes(size):
                row = np.zeros(d)
                row[list(some)] = shape
                yield row
