"""Features that zeros keep out of a product or from a negative exponent, where one would describe y far better.

At zero |x|^A is 0 or infinite, whatever the other factors are. A feature with many zeros and few other sizes could be
an indicator, and one with zeros has no negative exponent. Both are told only where a single product that breaks the
rule errs much less than those that do not, so that nothing is said of a table of counts without a law.
"""

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from skmerge._net import products
from skmerge._net.candidates import Candidates, values_of
from skmerge._text import warn

GAIN = 4.0  # factor by which the squares of the best product must fall
LAW = 0.1  # greatest share of var(y) that it may leave
AS_GOOD = 2.0  # squares of such a product, over those of a law that reaches the feature through a function
ROWS = 500  # on which products are compared
MOST_FEATURES = 10  # with so many zeros; a table with more is one of counts or fingerprints
LEAST_ROWS = 8  # without a zero, from which on a negative exponent can be judged


class Barred(NamedTuple):
    """A feature, whether a negative exponent is what it lacks, and its zeros: how many of how many rows."""

    feature: int
    negative: bool
    n_zeros: int
    n: int


def barred(objective, sign, most):
    """Features whose zeros bar a product that errs far less than the others, and less than ``most``: a list of Barred.

    ``most``: a square of y's unit; of a committee its squared error, of a law less.
    """
    s, found = objective.scaling, []
    X = objective.X
    some = np.flatnonzero(s.zeros & (s.slope_variance > 1e-20) & (s.log_variance > 1e-20))
    if len(some) > MOST_FEATURES:
        return found
    part = objective.subset(np.arange(0, objective.n, -(-objective.n // ROWS)))
    for j in some:
        mine, all_but = np.arange(objective.d) == j, X[:, j] != 0
        admitted = np.where(mine, 1, s.product).astype(np.uint8)
        for negative, o in (False, part), (True, part.subset(np.flatnonzero(part.X[:, j] != 0))):
            if (not negative and s.product[j]) or o.n < LEAST_ROWS:
                continue
            free = replace(s, product=admitted, zeros=s.zeros & ~mine if negative else s.zeros)
            free = replace(free, signed=s.signed | (mine & (X < 0).any(axis=0) & (X > 0).any(axis=0)))
            least, spread = _least(o._with(scaling=free), sign, negative * mine)
            limit = min(_least(o, sign)[0] / GAIN, LAW * spread, most / objective.error_unit**2)
            if least < limit:
                found.append(Barred(int(j), negative, int(np.count_nonzero(~all_but)), objective.n))
                break
    return found


def evades(objective):
    """Whether functions of a law contain a feature that no product may: their terms nearly cancel, and are one."""
    return bool(objective.functions.exponent[:, objective.scaling.product[: objective.n_given] == 0].any())


def _least(objective, sign, negative=None):
    """Least squares of one product with or without a constant, and of none, in units of var(y).

    ``negative``: bool (d,), the features of which only negative exponents count, if any.
    """
    candidates = Candidates(objective, sign, np.random.default_rng(0))
    A, signs = products.simple_products(objective, candidates)
    if negative is not None and np.any(negative):
        some = (A[:, negative] < 0).all(axis=1)
        A, signs = A[some], signs[some]
    root, y = candidates.root, candidates.y * candidates.root
    spread = float(y @ y - (root @ y) ** 2) if objective.intercept else float(y @ y)
    if not len(A):
        return spread, spread
    columns = values_of(candidates.log, candidates.positive, A, signs)
    columns /= np.maximum(np.abs(columns).max(axis=0), 1e-300)
    columns *= root[:, None]
    least = spread
    for constant in (False, True)[: 1 + objective.intercept]:
        unit = root * constant
        C, e = columns - np.outer(unit, unit @ columns), y - unit * (unit @ y)
        size = (C**2).sum(axis=0)
        own = size > products.NEW * (columns**2).sum(axis=0)
        if own.any():
            gain = (e @ C[:, own]) ** 2 / size[own]
            least = min(least, float(e @ e - gain.max()))
    return max(least, 0.0), spread


def tell(found, names):
    """Warn of each feature once. ``found``: lists of Barred, one for each output; ``names``: of the features."""
    for one in {one.feature: one for several in reversed(found) for one in several}.values():
        name = names[one.feature]
        where = f"{name} is 0 in {one.n_zeros} of {one.n} rows"
        if one.negative:
            warn(
                f"{where}, so that it may have no negative exponent, though in the other rows a product with one errs "
                "far less than others. If 0 stands for what was not measured, give NaN; if for less than can be "
                "measured, give that least value or leave these rows out."
            )
        else:
            warn(
                f"{where} and has few other sizes, so that it enters no product, though one with it errs far less than "
                f"others. If it is a quantity and no code, admit it: exponents={{{name!r}: (0, 3)}}."
            )
