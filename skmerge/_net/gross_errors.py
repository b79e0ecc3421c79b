"""Rows with a gross error, such as a decimal slip: y far from the law of all other rows, which they hide.

Squares let one such row decide: of 8 to 19 rows of a law with a y ten times too great three quarters give a constant.
So where the chosen net errs more than a law should, or one row is far from it, rows are looked for without which, or
with another x in which, a single product, with a constant or without, a line or a power law errs much less
(`suspects`). The law is then searched again without them, and they are named if it errs far less than the net and
predicts something else for them.
"""

from typing import NamedTuple

import numpy as np
from scipy.special import stdtrit

from skmerge._net.floats import squarable
from skmerge._net.links import LINKS
from skmerge._net.objective import Objective
from skmerge._net.suspects import FACTORS, MOST, Simple, factors
from skmerge._text import warn

FEW_ROWS = 20  # with fewer, a share of the error says little
GROSS = 0.75  # share of the squared error that no row of FEW_ROWS or more has with normal noise: of 20 it has 0.2
MANY_ROWS = 60  # with more, the row that a committee misses most is no suspect by that alone: a search takes seconds
LEAST_ROWS, MOST_ROWS = 8, 500  # with fewer no law is left to compare with; with more one row decides little
SIGN = 4.0  # error of a row, over that of the others, from which on a good law is looked at
# Error of a suspect, over that of the law of the others: at least CLEAR, as of 60 errors distributed as Student's t
# with 5 degrees of freedom the greatest is beyond it once in a hundred tables; more where few rows measure it. As far
# must its share of the prediction, or of the logarithm, be beyond the typical one of the others, as errors may be
# relative: 94 slips with noise of 2 or 5 % were at 9.7 times that or more, and of five rows told beside errors of 30 or
# 50 % in all rows three below 6.
CLEAR = 8.0
LEVEL = 1e-3  # probability of so great an error of any row, if errors are normal
# Least share of the prediction, unless the law of the others is exact. Smooth curves that are no law, without noise,
# have laws of all rows but one that err by 1e-4: without this limit 17 of 100 such tables had a row told, most by
# 1 to 10 %.
SMALLEST = 0.12
RIVAL = 4.0  # squared error, over that of the law, of other candidates whose predictions count as possible
MISSED = 0.5  # share of what the law of the others misses there that the net must miss, too, on rows left out
UNSURE = 2.0  # times their distance by which a suspect must be farther
EXPLAINED = 3.0  # errors within which a row is explained once one of its features is repaired
GAIN = 1.25  # by which the law of the others errs less, in squares, than a net that passes through a row of a wrong x
QUANTILES = 0.6745, 1.1503  # median and upper quartile of |errors|, over the standard deviation of normal ones
FREE = 2  # least rows beyond the parameters of the law of the others
NO_ERROR = 1e-9  # of the greatest |y|: least error of a law

KINDS = "a decimal point one place too far right", "a decimal point one place too far left", "a wrong sign"
LIKE = 0.2  # relative distance from such a factor


class Heavy(NamedTuple):
    """The row of an output with most of the squared error, and its share."""

    rows: np.ndarray
    values: np.ndarray
    share: float


class GrossErrors(NamedTuple):
    """Rows of an objective, their y and what the law of the others predicts, and the error of that law.

    ``repairs``: of each row a list of triples, see ``_repairs``.
    """

    rows: np.ndarray
    values: np.ndarray
    predicted: np.ndarray
    error: float
    repairs: list


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
    simple = Simple(exact, sign)
    for one in simple.suspects() + simple.misread():
        if one not in tried:
            tried.append(one)
    best, most = None, min(max(1, exact.n // 10), MOST)
    while tried:
        rows = tried.pop(0)
        one, worst = _judged(exact, error, np.array(rows), search)
        if one and len(one.rows) == len(rows) < most and worst is not None:
            tried.append(tuple(sorted((*rows, worst))))
        if one and (best is None or one.error * 2 ** len(one.rows) < best.error * 2 ** len(best.rows)):
            best = one
    return best


def _judged(exact, error, rows, search):
    """GrossErrors of those of the rows that the law of the others contradicts, and the other row that is far from it.

    Each is None if there is none. A wrong x may be so far from all others that the net passes through it; it is told if
    the law of the others, and its rivals, explain the row with another x, and if they err clearly less than the net.
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
    possible = _possible(law, rest, exact.X)
    predicted = possible[0]
    unsure = squarable(np.abs(possible - predicted).max(axis=0) / size)
    residual = squarable(np.abs(y - predicted) / size)
    share, others = share_of(y, predicted), np.setdiff1d(np.arange(exact.n), rows)
    typical = _typical_share(law, rest, predicted[others], size[others], share[others])
    repairs = [_repairs(exact, row, law, rest, np.sqrt(square) * size[row], typical) for row in rows]
    is_missed = exact.n * error >= rest.n * square + MISSED**2 * (residual[rows] ** 2).sum()
    can_be_repaired = np.array([bool(one) for one in repairs]) & (exact.n * error > GAIN * rest.n * square)
    sure = is_missed & (residual[rows] > limit * np.sqrt(square) + UNSURE * unsure[rows])
    sure |= can_be_repaired & (residual[rows] > limit * np.sqrt(square))
    clear = sure & (share[rows] > limit * typical)
    clear &= (share[rows] > SMALLEST) | (np.sqrt(square) <= least)
    kept = clear & np.isfinite(predicted[rows])
    rows, repairs = rows[kept], [one for one, keep in zip(repairs, kept, strict=True) if keep]
    if not len(rows):
        return None, None
    left = residual[others] ** 2
    far = left.max() > SIGN**2 * (left.sum() - left.max()) / (len(left) - 1)
    found = GrossErrors(rows, y[rows], predicted[rows], float(np.sqrt(square)), repairs)
    return found, int(others[np.argmax(left)]) if far else None


def share_of(y, predicted):
    """By how much y differs, over the prediction, or by the logarithm of their ratio where that is less."""
    with np.errstate(all="ignore"):
        share = squarable(np.abs(y - predicted) / np.maximum(np.abs(predicted), 1e-300))
        ratio = y / predicted
        return np.where(ratio > 1.0, np.minimum(share, np.log(np.maximum(ratio, 1.0))), share)


def _typical_share(law, rest, predicted, size, share):
    """Standard deviation of normal shares with the median and upper quartile that those of the other rows have.

    On rows left out, where these errors are known: three parameters of eight rows hide most of theirs.
    """
    if law.squares is not None and np.isfinite(law.squares).any():
        with np.errstate(all="ignore"):
            alone = np.sqrt(law.squares / rest.share) * rest.error_unit * size
            share = np.where(np.isfinite(alone), squarable(alone / np.maximum(np.abs(predicted), 1e-300)), np.nan)
    known = share[np.isfinite(share)]
    return max(np.quantile(known, (0.5, 0.75)) / QUANTILES) if len(known) else np.inf


def _possible(law, rest, X):
    """Predictions (k, n) of the law, then of candidates without a link that describe the other rows nearly as well."""
    rivals = [
        exact_of(one, rest, X) for one in law.tried
        if one.link == "identity" and not len(one.objective.functions) and one.error <= RIVAL * law.error
    ]  # fmt: skip
    return np.array([predicted_by(law, rest, X), *rivals])


def _repairs(exact, row, law, rest, allowed, typical):
    """Triples of a feature, its value and another one with which alone the law and its rivals explain y of a row.

    ``allowed``: an error in units of y, which counts as well as the typical share.
    """
    varied = np.flatnonzero(exact.scaling.slope_variance > 0)
    cases = [(j, f) for j in varied for f in factors(exact, j) if exact.X[row, j] != 0]
    if not cases:
        return []
    feature, factor = np.array(cases).T
    X, feature, places = np.repeat(exact.X[[row]], len(cases), axis=0), feature.astype(int), np.arange(len(cases))
    X[places, feature] /= factor
    possible = _possible(law, rest, X)
    far = np.abs(possible - exact.y[row] * exact.y_scale)
    fits = (far <= EXPLAINED * np.maximum(allowed, typical * np.abs(possible))).all(axis=0)
    return [(int(j), float(exact.X[row, j]), float(x[j])) for j, x in zip(feature[fits], X[fits], strict=True)]


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


def tell(found, row, target, n_outputs, names, missing, relative):
    """Warn of the rows of a table that were found.

    ``found``: GrossErrors, Heavy or None of each output; ``row`` (n_samples,): the row of the table that each given row
    became; ``names``: of the features; ``missing``: whether an entry of a row of that table was filled; ``relative``:
    whether errors of an output are shares of it.
    """
    for k, one in enumerate(found):
        if one is None:
            continue
        name = target if n_outputs is None else f"{target} (output {k})"
        order = sorted(range(len(one.rows)), key=lambda i: np.flatnonzero(row == one.rows[i])[0])
        parts = {key: value[order] for key, value in one._asdict().items() if isinstance(value, np.ndarray)}
        if isinstance(one, GrossErrors):
            parts["repairs"] = [[fix for fix in one.repairs[i] if not missing[one.rows[i], fix[0]]] for i in order]
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
        error = f"{one.error:.2g}" if not relative[k] else f"{one.error:.2g} times the value"
        law, plural = " and ".join(f"{value:.6g}" for value in one.predicted), "s" * (len(places) > 1)
        warn(
            f"{which} with {name}={shown}: the law of the other rows, which errs by {error}, predicts {law}. "
            f"{_advice(one, names)}Look for a slip in y or X, correct it or leave the row{plural} out, and fit again: "
            "this fit takes all rows as they are."
        )


def _advice(one, names):
    """What kind of slip it looks like; empty if like none."""
    ratio = one.values / np.where(one.predicted != 0, one.predicted, np.nan)
    kinds = [kind for kind, factor in zip(KINDS, FACTORS, strict=True) if (np.abs(ratio / factor - 1.0) < LIKE).all()]
    text = f"That looks like {kinds[0]}. " if kinds else ""
    if all(len(fixes) == 1 for fixes in one.repairs):
        fits = [f"{names[j]}={right:.6g} in place of {given:.6g}" for ((j, given, right),) in one.repairs]
        text += f"With {' and '.join(fits)} the law would fit{', too' * bool(kinds)}. "
    return text
