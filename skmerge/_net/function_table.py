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
NEAREST = 60  # homogeneous products near the best one
NEW = 1e-3  # least share of the squares of a column that the other terms do not explain


class Table:
    """Rows and products of one output.

    ``y`` (n,): target, ``root`` (n,): roots of the weights, ``target`` (n,): y root, of unit length; ``log`` (n, d):
    logarithms of sizes. ``A`` (m, d): exponents of the factors P; ``factors`` (n, m): their columns times root, of unit
    length; ``price`` (m,): of their exponents. ``arguments`` (q, d): exponents of the arguments Q. ``most``: with
    dimensions, about how many factors, those with a dimension alone if there are any; MAX_FACTORS if None.
    """

    def __init__(self, objective, candidates, most=None):
        rows = np.arange(0, len(candidates.X), -(-len(candidates.X) // RANKED_ROWS))
        s = objective.scaling
        self.n, self.d, self.admitted = len(rows), objective.d, candidates.admitted
        self.dimensions = objective.dimensions
        self.log, self.sign = candidates.log[rows], candidates.positive[rows]
        self.zeros, self.signed = (candidates.X == 0).any(axis=0), (candidates.X < 0).any(axis=0)
        self.y = candidates.y[rows]
        self.root = candidates.root[rows] / np.linalg.norm(candidates.root[rows])
        target = self.y * self.root
        self.target = target / np.linalg.norm(target)
        A = products.simple_products(objective, candidates)[0]
        A = A[self.is_allowed(A)]
        if most is not None:
            bare = ~A[:, ~self.dimensions.features.any(axis=1)].any(axis=1)  # numbers, such as angles, are arguments
            A = A[bare] if bare.any() else A
            price = products.prices(A).sum(axis=1)
            A = A[price <= np.sort(price)[min(most, len(A)) - 1]] if len(A) else A
        self.products = A
        A, columns = self.columns(A)
        order = np.lexsort([-np.abs(self.target @ columns), products.prices(A).sum(axis=1)])[:MAX_FACTORS]
        constant = np.zeros((int(objective.intercept), self.d))
        self.A, self.factors = self.columns(np.vstack([constant, A[order]]))
        self.price = products.prices(self.A).sum(axis=1)
        # A feature with many zeros may be an argument where it is no factor of a product.
        varied = (s.slope_variance > 1e-20) & ~candidates.excluded
        barred = (s.product == 0) | ~s.dense
        inside = np.flatnonzero(varied & (barred | np.isin(np.arange(self.d), self.admitted)))
        if self.dimensions is None:
            arguments = list(islice(_simple(inside, self.d), 4 * MAX_ARGUMENTS))
        else:
            of_number = self.dimensions.dimensionless
            arguments = of_number.products(inside, lambda A: products.prices(A).sum(axis=1), 4 * MAX_ARGUMENTS)
            arguments = _plain(arguments[arguments.any(axis=1)])
        self.arguments = self._allowed(arguments)[:MAX_ARGUMENTS]
        self.enumerated = self.arguments
        if len(inside) <= MAX_ENUMERATED and self.dimensions is None:
            powers = np.array(list(product((0.0, 1.0, -1.0), repeat=len(inside))))[1:]
            A = np.zeros((len(powers), self.d))
            A[:, inside] = powers
            self.enumerated = self._allowed(A)

    def nearest(self, lines, target, weight):
        """The homogeneous products whose logarithms are nearest to the target, but for a constant, (m, d)."""
        basis = np.linalg.qr(lines * weight[:, None])[0]
        fitted = basis @ (basis.T @ target)
        constant = weight / max(np.linalg.norm(weight), 1e-300)
        far = (self.log @ self.products.T - np.reshape(self.lines[1], (-1, 1))) * weight[:, None] - fitted[:, None]
        far -= np.outer(constant, constant @ far)
        order = np.argsort((far**2).sum(axis=0), kind="stable")[:NEAREST]
        return self.products[order]

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

    @property
    def logarithms(self):
        """Those whose logarithm may be a factor: with dimensions, numbers alone."""
        which = self.with_logarithm
        if self.dimensions is None:
            return which
        return which[self.dimensions.dimensionless.homogeneous(np.eye(self.d)[which])]

    @property
    def lines(self):
        """Logarithms of which that of a product is a sum, a constant first (n, 1 + k), and what is known of it (n,)."""
        which, known, constant = self.with_logarithm, 0.0, np.ones(self.n)
        if self.dimensions is None:
            return np.column_stack([constant, self.log[:, which]]), known
        near = self.products[~(self.products * self.zeros).any(axis=1)]
        if len(near):
            known = self.log @ near[0]
        return np.column_stack([constant, self.log @ self.dimensions.directions(which).T]), known


def _plain(A):
    """Those with powers 1 and 2, and those with 1/2 and 1; all if there are none."""
    size = np.abs(A)
    largest = size.max(axis=1, initial=0.0)
    whole = (np.isin(size, (0.0, 1.0, 2.0)).all(axis=1)) & (largest <= 2.0)
    halves = (np.isin(size, (0.0, 0.5, 1.0)).all(axis=1)) & (largest == 1.0)
    return A[whole | halves] if (whole | halves).any() else A


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
