"""Sums of products with simple exponents: the best of some thousand products, by least squares.

The search of `selection` draws exponents and then fits them, so that it may find two terms with fitted exponents where
three simple ones are right. Here all products of a few features with simple exponents are compared at once, and only
their factors are fitted.
"""

from itertools import combinations

import numpy as np

from skmerge._net.candidates import values_of
from skmerge._net.objective import NewNode
from skmerge._net.selection import EXHAUSTED

EXPONENTS = np.array([-3.0, -2.0, -1.0, -0.5, 0.5, 1.0, 2.0, 3.0])
# Of products of one feature or two in sums: Kepler, Child and Bloch have 3/2. Not in functions, whose search takes one
# function after the other: with these n log(s) + log(A) - 3 / T was found as a sum of twelve products.
MORE_EXPONENTS = np.sort(np.append(EXPONENTS, [-1.5, 1.5]))
MAX_PRODUCTS = 8_000  # of a few features, that are compared
PAIRED = 1200  # products of which all pairs are compared
MAX_PAIRED = 14  # features of which the exponents of pairs are changed in the best product
TRIPLED = 150  # of the simplest products, of which all triples are compared
COMPARED_ROWS = 500  # on which they are compared
MAX_TERMS = 6
FLOOR = 1e-14  # share of the squares of y below which residuals are rounding
PRICES = np.array([0.0, 2.0, 1.0, 3.0, 2.0, 4.0, 3.0, 4.0, 3.0, 4.0])  # of the exponents 0, 1/2, ... 4; any other: 4
MAX_SIMPLEST = 60  # homogeneous products of which sums are formed beside those of all
MAX_TOGETHER = 20  # that are in one sum at first
SWEEPS = 3  # passes in which each term may be replaced by a better one
NEW = 1e-4  # least share of the squares of a column that is not explained by the other terms


def simple_nets(objective, candidates):
    """The best sums of one product, of two, ... that an objective allows, fitted; ``candidates``: its Candidates."""
    A, sign = simple_products(objective, candidates, MORE_EXPONENTS)
    if not len(A):
        return []
    rows = np.arange(0, len(candidates.X), -(-len(candidates.X) // COMPARED_ROWS))
    root = candidates.root[rows]
    columns = values_of(candidates.log[rows], candidates.positive[rows], A, sign)
    with np.errstate(all="ignore"):
        columns *= root[:, None]
        columns /= np.linalg.norm(columns, axis=0)
    fine = np.isfinite(columns).all(axis=0)
    A, sign, columns = A[fine], sign[fine], np.asfortranarray(columns[:, fine])
    y, found = candidates.y[rows] * root, []
    for constant in (False, True) if objective.intercept else (False,):
        free = objective.constant()
        if not constant:
            free = free.pinned(len(free.theta) - 1, 0.0)
        else:  # beside which the products are compared
            unit = root / np.linalg.norm(root)
            y, columns = y - unit * (unit @ y), columns - np.outer(unit, unit @ columns)
            length = np.linalg.norm(columns, axis=0)
            new = length**2 > NEW
            A, sign, columns = A[new], sign[new], columns[:, new] / length[new]
        least = 0 if objective.dimensions is None else 1  # there is no other search then
        most = max(len(rows) // 4, least)
        for some, sums in _dictionaries(A, objective.dimensions):
            for chosen in sums(columns[:, some], y, A[some], min(MAX_TERMS, len(some), most)):
                net = free
                for t in sorted(some[chosen], key=lambda t: tuple(-A[t])):
                    net = net.with_node(*product_node(objective, A[t], sign[t]))
                found.append(objective.fit(net, max_iter=30, tol=1e-10))
                if found[-1].squares < EXHAUSTED:
                    break
    return found


def _dictionaries(A, dimensions):
    """Numbers of the products of which sums are formed, and how: of all, and of the simplest homogeneous ones alone.

    (x - y)^2 + (z - w)^2 is such a sum of the squares and products of four lengths, in place of which other products
    are better as long as not all of its terms are there.
    """
    every = np.arange(len(A))
    if dimensions is None:
        return [(every, _best_sums)]
    price = prices(A).sum(axis=1)
    order = np.argsort(price, kind="stable")
    most = [price[order[size]] for size in (MAX_SIMPLEST, MAX_TOGETHER) if size < len(A)]
    few = [order[: np.count_nonzero(price < one)] for one in most]
    return [(every, _best_sums), *zip(few, (_best_sums, thinned_sums), strict=False)]


def thinned_sums(columns, y, A, most):
    """Numbers of the columns of sums that all columns make and that lose one after the other."""
    chosen = list(range(columns.shape[1]))
    if len(chosen) >= len(y) // 2:
        return
    while chosen:
        if len(chosen) <= most:
            yield list(chosen)
        inverse = np.linalg.pinv(columns[:, chosen], rcond=1e-10)
        factors = inverse @ y
        loss = factors**2 / np.maximum((inverse**2).sum(axis=1), 1e-300)
        chosen.pop(int(np.argmin(loss)))


def _best_sums(columns, y, A, most):
    """Numbers of the columns, of unit length, whose sum describes y best: one column, two, ... up to ``most``."""
    chosen = []
    while chosen is not None and len(chosen) < most:
        if len(chosen) == 1:
            options = [best_pair(columns, y, A)]
        else:
            options = [_extended(columns, y, A, chosen)]
            options += [_best_triple(columns, y, A)] if len(chosen) == 2 else []
        options = [one for one in options if one is not None]
        chosen = min(options, key=lambda one: length_of_sum(columns, y, A, one), default=None)
        if chosen is not None:
            yield chosen


def simple_products(objective, candidates, few=EXPONENTS):
    """Exponents (n, d) and signs of the products that are compared: those homogeneous, where dimensions are given.

    ``few``: exponents of products of one feature or two.
    """
    d, scaling = objective.d, objective.scaling
    low, high = objective.exponent_bounds
    low = np.where(scaling.zeros, np.maximum(low, 0.0), low)
    which, base, dimensions = candidates.admitted, candidates.prior, objective.dimensions
    rows, most = [base], 1
    if dimensions is not None:
        rows.append(dimensions.products(which, lambda A: prices(A).sum(axis=1), MAX_PRODUCTS))
    for size in range(1, min(len(which), 4) + 1) if dimensions is None else ():
        sets, exponents = list(combinations(which, size)), few if size <= 2 else EXPONENTS
        if most + len(sets) * len(exponents) ** size > MAX_PRODUCTS:
            break
        most += len(sets) * len(exponents) ** size
        powers = np.stack(np.meshgrid(*[exponents] * size, indexing="ij"), axis=-1).reshape(-1, size)
        for features in sets:
            part = np.tile(base, (len(powers), 1))
            part[:, features] = powers
            rows.append(part)
    rows += _near(candidates) if dimensions is None else []
    A = np.unique(np.vstack(rows[1:]), axis=0) if len(rows) > 1 else np.zeros((0, d))
    A = A[A.any(axis=1)]  # without the constant
    A = A[((low <= A) & (high >= A)).all(axis=1)]
    # No law has the root of a feature of both signs.
    whole = np.where(scaling.signed, np.round(A) == A, True).all(axis=1)
    A = A[whole]
    if isinstance(candidates.sign, str):
        sign = (scaling.signed & (A % 2 == 1)).astype(np.uint8)
    else:
        sign = np.tile(candidates.sign & (scaling.product > 0), (len(A), 1)).astype(np.uint8)
    return A, sign


def _near(candidates):
    """Exponents that differ from the rounded ones of the best product in one or two features; a list of arrays.

    Terms of a law share factors, so that not all products of many features are needed.
    """
    which, y = candidates.admitted, candidates.y
    logs = candidates.log[:, which]
    with np.errstate(divide="ignore"):
        target = np.log(np.abs(y))
    if not np.isfinite(target).all() or not np.isfinite(logs).all():
        return []
    weight = (candidates.root * np.abs(y))[:, None]
    columns = np.column_stack([np.ones(len(y)), logs])
    power = np.linalg.lstsq(columns * weight, target * weight[:, 0], rcond=1e-10)[0][1:]
    base = candidates.prior.copy()
    base[which] = np.clip(np.round(2 * power) / 2, -3.0, 3.0)
    found = [base[None]]
    if len(which) > MAX_PAIRED:  # the pairs of all features would be too many
        which = np.sort(which[np.argsort(-np.abs(power), kind="stable")[:MAX_PAIRED]])
    for size in (1, 2):
        powers = np.stack(np.meshgrid(*[np.append(EXPONENTS, 0.0)] * size, indexing="ij"), axis=-1).reshape(-1, size)
        for features in combinations(which, size):
            part = np.tile(base, (len(powers), 1))
            part[:, features] = powers
            found.append(part)
    return found


def _extended(columns, y, A, chosen):
    """The chosen columns and one more, improved; None if there is none."""
    return improved(columns, y, A, [*chosen, None])


def improved(columns, y, A, chosen):
    """Columns, each replaced by a better one while there is any; the last may be None. None if there is none.

    A column is better if the description is shorter with it: of two sums that fit equally, that whose terms share
    exponents.
    """
    chosen, least = list(chosen), np.inf
    own = prices(A)
    for _ in range(SWEEPS):
        before = least
        for place in reversed(range(len(chosen))):
            others = [t for k, t in enumerate(chosen) if k != place and t is not None]
            Q = np.linalg.qr(columns[:, others])[0]
            residual = y - Q @ (Q.T @ y)
            left = 1.0 - ((Q.T @ columns) ** 2).sum(axis=0)
            gain = np.where(left > NEW, (residual @ columns) ** 2 / np.maximum(left, NEW), 0.0)
            shared = (A[:, None] == A[others]).any(axis=1)
            squares = np.maximum(residual @ residual - gain, FLOOR * (y @ y))
            score = len(y) * np.log(squares) + np.where(shared, 0.0, own).sum(axis=1) + price_of(A[others])
            score[left <= NEW] = np.inf
            best = int(np.argmin(score))
            if not np.isfinite(score[best]):
                return None
            if score[best] < least - 1e-9:
                chosen[place], least = best, score[best]
        if not least < before - 1e-9:
            break
    return chosen


def best_pair(columns, y, A, most=PAIRED):
    """The two columns with the shortest description together, among the ``most`` that explain most alone.

    A search term by term does not find them: for q / (4 pi epsilon r (1 - v / c)) through a reciprocal, the best single
    product contains (v / c)^-0.5, and neither of the two right ones is good beside it.
    """
    alone = y @ columns
    order = np.argsort(-np.abs(alone), kind="stable")[:most]
    some, g, a = columns[:, order], A[order], alone[order]
    cosine, own = some.T @ some, prices(g).astype(np.intp)
    left = 1.0 - cosine**2
    gain = (a[:, None] ** 2 + a**2 - 2 * a[:, None] * a * cosine) / np.where(left > NEW, left, np.inf)
    price = own.sum(axis=1)[:, None] + own.sum(axis=1)
    for j in range(A.shape[1]):
        price -= np.where(g[:, None, j] == g[:, j], own[:, j], 0)
    # The least squares exp(price / n) is the least n log(squares) + price, without a logarithm for each pair.
    squares = np.maximum(y @ y - gain, FLOOR * (y @ y))
    score = np.where(left > NEW, squares * np.exp(np.arange(price.max() + 1) / len(y))[price], np.inf)
    pair = np.unravel_index(np.argmin(score), score.shape)
    return [int(t) for t in order[list(pair)]] if np.isfinite(score[pair]) else None


def _best_triple(columns, y, A):
    """The best three of the simplest products, of one or two features with small exponents; None if there are none.

    x^2 + y^2 + z^2 is not found from its best pair, nor if one term after the other is replaced.
    """
    used = np.count_nonzero(A, axis=1)
    simple = np.flatnonzero((used <= 2) & (np.abs(A).max(axis=1) <= 2))
    order = np.lexsort([-np.abs(y @ columns[:, simple]), used[simple] > 1])  # those of one feature first
    which = simple[order][:TRIPLED]
    if len(which) < 3:
        return None
    some = columns[:, which]
    cosine, a, g, n = some.T @ some, y @ some, A[which], len(which)
    i, j = np.triu_indices(n, 1)
    c = cosine[i, j]
    left = 1.0 - c**2
    i, j, c, left = (part[left > NEW] for part in (i, j, c, left))
    if not len(i):
        return None
    first, second = (a[i] - c * a[j]) / left, (a[j] - c * a[i]) / left
    ci, cj = cosine[i], cosine[j]  # of each pair with every third
    rest = 1.0 - (ci**2 + cj**2 - 2 * c[:, None] * ci * cj) / left[:, None]
    beside = a - first[:, None] * ci - second[:, None] * cj
    pair = first * a[i] + second * a[j]
    gain = np.where(rest > NEW, pair[:, None] + beside**2 / np.maximum(rest, NEW), 0.0)
    squares = np.maximum(y @ y - gain, FLOOR * (y @ y))
    own = np.exp(prices(g).sum(axis=1) / len(y))
    score = squares * (own[i] * own[j])[:, None] * own  # of the same order as n log(squares) + price
    best = np.argpartition(score, min(50, score.size - 1), axis=None)[:50]
    triples = [(which[i[p]], which[j[p]], which[k]) for p, k in zip(*np.unravel_index(best, score.shape), strict=True)]
    triples = [[int(t) for t in one] for one in triples if len(set(one)) == 3]
    return min(triples, key=lambda one: length_of_sum(columns, y, A, one), default=None)


def length_of_sum(columns, y, A, chosen):
    """Twice the description length of y and of the exponents, for comparisons of sums of equally many terms.

    ``linked`` adds log(n) for each parameter, and takes the error on rows left out.
    """
    Q = np.linalg.qr(columns[:, chosen])[0]
    residual = y - Q @ (Q.T @ y)
    return len(y) * np.log(max(residual @ residual, FLOOR * (y @ y))) + price_of(A[chosen])


def price_of(A):
    """Price of the exponents of a sum, A (n_terms, n_features): an exponent in several terms counts once, 0 is free."""
    A = np.asarray(A)
    earlier = np.tri(len(A), k=-1, dtype=bool)[:, :, None]
    return prices(A)[~((A[:, None] == A) & earlier).any(axis=1)].sum()


def prices(exponents):
    halves = 2.0 * np.abs(exponents)
    place = np.minimum(halves, len(PRICES) - 1).astype(np.intp)
    return np.where(halves == place, PRICES[place], PRICES[-1])


def product_node(objective, A, sign):
    """A NewNode: the product with these exponents, its factor free."""
    lower, upper = objective.node_bounds("product")
    lower[: len(A)] = upper[: len(A)] = A
    return NewNode(np.concatenate([A, [-1.0, 0.0, 0.0]]), lower, upper, sign)
