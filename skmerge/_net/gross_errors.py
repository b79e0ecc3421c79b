"""Rows with a gross error, such as a decimal slip: y far from the law of all other rows, which they hide.

Squares let one such row decide: of 8 to 19 rows of a law with a y ten times too great three quarters give a constant.
So where the chosen net errs more than a law should, or one row is far from it, rows are looked for without which a
single product, with a constant or without, a line or a power law errs much less (`suspects`). These are tried in closed
form, all products at once. The law is then searched again without them, and they are named if it errs far less than the
net and predicts something else for them.
"""

from typing import NamedTuple

import numpy as np
from scipy.special import stdtrit

from skmerge._net import products
from skmerge._net.candidates import Candidates
from skmerge._net.floats import squarable
from skmerge._net.links import LINKS
from skmerge._net.objective import Objective
from skmerge._text import warn

FEW_ROWS = 20  # with fewer, a share of the error says little
GROSS = 0.75  # share of the squared error that no row of FEW_ROWS or more has with normal noise: of 20 it has 0.2
MANY_ROWS = 60  # with more, the row that a committee misses most is no suspect by that alone: a search takes seconds
LEAST_ROWS, MOST_ROWS = 8, 500  # with fewer no law is left to compare with; with more one row decides little
SIGN = 4.0  # error of a row, over that of the others, from which on a good law is looked at
REDUCED = 4.0  # factor by which the mean square falls without the suspects
# Error of a suspect, over that of the law of the others: at least CLEAR, as of 60 errors distributed as Student's t
# with 5 degrees of freedom the greatest is beyond it once in a hundred tables; more where few rows measure it.
CLEAR = 8.0
LEVEL = 1e-3  # probability of so great an error of any row, if errors are normal
UNLIKE = 5.0  # its share of the prediction, over the median one of the others: errors may be relative
# Least share of the prediction, unless the law of the others is exact. Smooth curves that are no law, without noise,
# have laws of all rows but one that err by 1e-4: without this limit 17 of 100 such tables had a row told, most by
# 1 to 10 %.
SMALLEST = 0.12
RIVAL = 4.0  # squared error, over that of the law, of other candidates whose predictions count as possible
MOST = 3  # rows that are told at most
MISSED = 0.5  # share of what the law of the others misses there that the net must miss, too, on rows left out
UNSURE = 2.0  # times their distance by which a suspect must be farther
FREE = 2  # least rows beyond the parameters of the law of the others
NO_ERROR = 1e-9  # of the greatest |y|: least error of a law
DETERMINED = 0.95  # leverage beyond which a row is not judged, because the others say too little about it


SLIPS = {
    "a decimal point one place too far right": 10.0,
    "a decimal point one place too far left": 0.1,
    "a wrong sign": -1.0,
}
LIKE = 0.2  # relative distance from such a factor


class Heavy(NamedTuple):
    """The row of an output with most of the squared error, and its share."""

    rows: np.ndarray
    values: np.ndarray
    share: float


class GrossErrors(NamedTuple):
    """Rows of an objective, their y and what the law of the others predicts, and the error of that law."""

    rows: np.ndarray
    values: np.ndarray
    predicted: np.ndarray
    error: float


def without(objective, rows):
    """The objective of the other rows, y in units of their own spread."""
    o, keep = objective, np.setdiff1d(np.arange(objective.n), rows)
    size = None if o.size is None else o.size[keep]
    rows = o.X[keep], o.y[keep] * o.y_scale, o.share[keep]
    how = o.scaling, o.exponent_bounds, o.blend, o.cancelled, o.intercept, size
    return Objective(*rows, *how, dimensions=o.dimensions)


def gross_errors(exact, error, squares, is_poor, sign, search):
    """The rows of an output that its other rows contradict: GrossErrors, or None.

    ``error``: squared error of the chosen net, a square of y's unit; ``squares`` (n,): shares of the rows in it, or
    None; ``is_poor``: whether it errs more than a law should; ``sign``: as in Candidates; ``search(objective)``: the
    law of other rows.
    """
    if not LEAST_ROWS <= exact.n <= MOST_ROWS:
        return None
    tried = []
    if squares is not None:
        worst, mean = int(np.argmax(squares)), (squares.sum() - squares.max()) / (exact.n - 1)
        if squares[worst] > SIGN**2 * mean:
            tried += [(worst,)] * (not is_poor or exact.n <= MANY_ROWS)
        elif not is_poor and (exact.n >= FEW_ROWS or error < (NO_ERROR * exact.y_scale) ** 2):
            return None
    tried += [one for one in suspects(exact, sign) if one not in tried]
    best, most = None, min(max(1, exact.n // 10), MOST)
    while tried:
        rows = tried.pop(0)
        one, worst = _judged(exact, error, np.array(rows), search)
        if one and len(one.rows) == len(rows) < most and worst is not None:
            tried.append(tuple(sorted((*rows, worst))))
        if one and (best is None or one.error * 2 ** len(one.rows) < best.error * 2 ** len(best.rows)):
            best = one
    return best


def suspects(objective, sign):
    """Sets of rows, as sorted tuples, without which a simple law errs much less than with them."""
    candidates = Candidates(objective, sign, np.random.default_rng(0))
    A, signs = products.simple_products(objective, candidates)
    root, y, n = candidates.root, candidates.y, objective.n
    most = min(max(1, n // 10), MOST)
    with np.errstate(all="ignore"):
        columns = np.exp(np.clip(candidates.log @ A.T, -300, 300))
    for j in np.flatnonzero(signs.any(axis=0)):
        columns *= np.where(signs[:, j], candidates.positive[:, [j]], 1.0)
    columns /= np.maximum(np.abs(columns).max(axis=0, initial=0.0), 1e-300)
    price, none = products.prices(A).sum(axis=1), np.zeros(1)
    one, found = np.ones((n, 1)), []
    families = [(y, root, np.zeros((n, 0)), columns, price)]
    if objective.intercept:
        families.append((y, root, one, columns, price))
        linear = np.column_stack([one, candidates.centred])[:, : n // 2]
        families.append((y, root, linear[:, :-1], linear[:, -1:], none))
    if (y != 0).all() and len(candidates.admitted):
        logs = np.column_stack([one, candidates.log[:, candidates.admitted]])[:, : n // 2]
        families.append((np.log(np.abs(y)), np.ones(n), logs[:, :-1], logs[:, -1:], none))
    for family in families:
        rows = _without_which(*family, most) if family[3].shape[1] else None
        if rows and rows not in found:
            found.append(rows)
    return found


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


def _judged(exact, error, rows, search):
    """GrossErrors of those of the rows that the law of the others contradicts, and the other row that is far from it.

    Each is None if there is none.
    """
    rest = without(exact, rows)
    law = search(rest)
    free = rest.n - law.net.n_free - (0 if law.objective is None else np.count_nonzero(law.objective.functions.free))
    y, least = exact.y * exact.y_scale, NO_ERROR * np.abs(exact.y).max() * exact.y_scale
    size = np.ones(exact.n) if exact.size is None else exact.size
    least /= np.median(size)
    square = max(law.error * rest.error_unit**2, least**2)
    if free < FREE or not np.isfinite(square):
        return None, None
    limit = max(CLEAR, -stdtrit(free, LEVEL / (2 * exact.n)))
    predicted = predicted_by(law, rest, exact.X)
    possible = np.array([
        exact_of(one, rest, exact.X) for one in law.tried
        if one.link == "identity" and not len(one.objective.functions) and one.error <= RIVAL * law.error
    ] or [predicted])  # fmt: skip
    unsure = squarable(np.abs(possible - predicted).max(axis=0) / size)
    residual = squarable(np.abs(y - predicted) / size)
    if exact.n * error < rest.n * square + MISSED**2 * (residual[rows] ** 2).sum():
        return None, None
    with np.errstate(over="ignore"):
        share = squarable(np.abs(y - predicted) / np.maximum(np.abs(predicted), 1e-300))
    others = np.setdiff1d(np.arange(exact.n), rows)
    clear = residual[rows] > limit * np.sqrt(square) + UNSURE * unsure[rows]
    clear &= share[rows] > UNLIKE * np.median(share[others]) / 0.6745
    clear &= (share[rows] > SMALLEST) | (np.sqrt(square) <= least)
    rows = rows[clear & np.isfinite(predicted[rows])]
    if not len(rows):
        return None, None
    left = residual[others] ** 2
    far = left.max() > SIGN**2 * (left.sum() - left.max()) / (len(left) - 1)
    found = GrossErrors(rows, y[rows], predicted[rows], float(np.sqrt(square)))
    return found, int(others[np.argmax(left)]) if far else None


def heaviest(objective, squares):
    """The row that has most of the error of what was chosen: the others then decide little. None if no row has."""
    known = np.nan_to_num(squares, nan=0.0, posinf=0.0)
    worst = int(np.argmax(known))
    if objective.n < FEW_ROWS or not known[worst] > GROSS * known.sum() > 0:
        return None
    value = objective.y[[worst]] * objective.y_scale
    return Heavy(np.array([worst]), value, float(known[worst] / known.sum()))


def exact_of(one, objective, X):
    """Predictions of a Candidate or Law without a link."""
    return squarable(objective.predict(one.net, X)) * objective.y_scale


def predicted_by(law, objective, X):
    """Predictions of a Law of the objective, in units of y."""
    if law.objective is None:
        return exact_of(law, objective, X)
    u = squarable(law.objective.predict(law.net, law.objective.completed(X))) * law.objective.y_scale
    with np.errstate(all="ignore"):
        return LINKS[law.link].value(u)


def tell(found, row, target, n_outputs):
    """Warn of the rows of a table that were found.

    ``found``: GrossErrors, Heavy or None of each output; ``row`` (n_samples,): the row of the table that each given row
    became.
    """
    for k, one in enumerate(found):
        if one is None:
            continue
        name = target if n_outputs is None else f"{target} (output {k})"
        order = sorted(range(len(one.rows)), key=lambda i: np.flatnonzero(row == one.rows[i])[0])
        parts = {key: value[order] for key, value in one._asdict().items() if isinstance(value, np.ndarray)}
        one = one._replace(**parts)
        places = [", ".join(map(str, np.flatnonzero(row == r))) for r in one.rows]
        which = f"Row{'s' * (len(places) > 1)} {' and '.join(places)}"
        shown = " and ".join(f"{value:.6g}" for value in one.values)
        if isinstance(one, Heavy):
            warn(
                f"{which} with {name}={shown} makes up {one.share:.0%} of the squared error, so that the others decide "
                "little. If it is a gross error, correct it or leave it out; if errors grow with y, give "
                'noise="relative".'
            )
            continue
        law = " and ".join(f"{value:.6g}" for value in one.predicted)
        warn(
            f"{which} with {name}={shown}: the law of the other rows, which errs by {one.error:.2g}, predicts {law}. "
            f"{_advice(one)}Look for a slip in y or X, correct it or leave the row{'s' * (len(places) > 1)} out, and "
            "fit again: this fit takes all rows as they are."
        )


def _advice(one):
    """What kind of slip it looks like; empty if like none."""
    ratio = one.values / np.where(one.predicted != 0, one.predicted, np.nan)
    for kind, factor in SLIPS.items():
        if (np.abs(ratio / factor - 1.0) < LIKE).all():
            return f"That looks like {kind}. "
    return ""
