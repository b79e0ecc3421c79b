"""What rows do not test: laws of as many numbers as features have values, and constants where y is smooth."""

from itertools import pairwise

import numpy as np

from skmerge._net import uncertainty
from skmerge._net.correlation import followed
from skmerge._text import warn

FEW = 2  # values of a code, between which no form is asked for
MANY = 12  # values of a feature, between which the rows leave little room
BETWEEN = np.linspace(0.1, 0.9, 9)  # of the way from a value to the next
FAR, MOST_ISOLATED, FEWEST_OTHERS = 10.0, 2, 5  # ranges of the others, rows, and different values of the others
CLEAR = 3.0  # standard deviations of the noise


def tell(best, names, target, n_outputs, group=None):
    """Warn of laws that other laws of as many numbers equal at all measured values, and of constants that are none.

    ``best``: a pair of Trained and Objective of each output; ``names``: of the features; ``target``: what is predicted;
    ``group``: number of the feature that names groups.
    """
    for k, (trained, objective) in enumerate(best):
        net = trained.members[0]
        what = target if n_outputs is None else f"{target} (output {k})"
        if trained.is_law and not net.n_nodes:
            along = followed(objective.X[:, : objective.n_given], objective.y)
            if along is not None:
                warn(
                    f"The law of {what} is a constant, and yet rows that are neighbours in {names[along]} have {what} "
                    f"more alike than chance: it probably depends on {names[along]}, in a way that no short law of so "
                    "few rows describes. Measure more rows, or give what is known (exponents, a link, an offset)."
                )
        if not trained.is_law or not net.n_nodes:
            continue
        used = used_features(objective, net)
        values, used = objective.X[:, used], used[used != group]
        n_rows, n_values = len(values), len(np.unique(values, axis=0))
        n_numbers = uncertainty.n_numbers(objective, net)
        is_design = n_values < n_rows and any(len(np.unique(objective.X[:, j])) > FEW for j in used)
        if is_design and n_values <= n_numbers:
            which = " and ".join(names[j] for j in used)
            warn(
                f"The law of {what} has {n_numbers} numbers, exponents among them, and {which} only {n_values} "
                f"different values in {n_rows} rows: other laws of so many numbers fit these as well, and nothing "
                "tests what it says between and beyond them. Measure at more values, or give what is known "
                "(exponents, units)."
            )


def tell_isolated(X, row, names):
    """Warn of a row or two whose feature lies far from that of all others, such as -999 for a missing value.

    ``X`` (n, d): the rows as given, NaN where missing, the same rows as one; ``row``: which of them each given row is.
    """
    for j, x in enumerate(X.T):
        known = np.flatnonzero(np.isfinite(x))
        order = known[np.argsort(x[known], kind="stable")]
        cuts = [(part, rest) for k in range(1, MOST_ISOLATED + 1) for part, rest in _ends(order, k)]
        for some, others in cuts:
            if len(others) < FEWEST_OTHERS or not _is_far(x[some], x[others]):
                continue
            if len(np.unique(x[others])) < FEWEST_OTHERS:
                continue
            places = ", ".join(str(r) for r in np.flatnonzero(np.isin(row, some)))
            values = " and ".join(f"{value:g}" for value in np.unique(x[some]))
            low, high = x[others].min(), x[others].max()
            warn(
                f"Row{'s' * (', ' in places)} {places} with {names[j]}={values}: all others lie between {low:g} and "
                f"{high:g}. A code for a missing value (give NaN), another unit, a slip? If it is right, the law rests "
                "on it."
            )
            break


def _ends(order, k):
    """The first and the last k, each with the rest."""
    return (order[:k], order[k:]), (order[len(order) - k :], order[: len(order) - k])


def _is_far(some, others):
    """Whether values lie farther from others than FAR ranges of these, and than their range in logarithms."""
    unit = max(np.abs(some).max(), np.abs(others).max())  # so that sums stay within the range of float
    if unit == 0:
        return False
    some, others = some / unit, others / unit
    low, high = others.min(), others.max()
    gap = np.where(some > high, some - high, low - some)
    if not (gap > FAR * (high - low)).all():
        return False
    if low <= 0 or some.min() <= 0:
        return True
    some, low, high = np.log(some), np.log(low), np.log(high)
    return bool((np.abs(some - np.where(some > high, high, low)) > high - low).all())


def wanders(objective, net, column):
    """Whether u leaves, between the few values of a feature, what it is at the two beside by more than they differ.

    No row tests such a law there: of the trees of one table, measured at seven ages, it is met with at all seven and
    says that they shrink to a fifth between the first two. Rows are taken as they are, for each feature in turn but
    ``column``, that of the groups.
    """
    X, u = objective.X, objective.predict(net)
    weight = np.maximum(objective.weight, 1e-300)
    noise = np.sqrt(objective.weight @ (objective.y - u) ** 2 / (weight * objective.n))
    for j in used_features(objective, net):
        values = np.unique(X[:, j])
        if j == column or not FEW < len(values) <= MANY:
            continue
        for low, high in pairwise(values):
            at = np.flatnonzero(np.isin(X[:, j], (low, high)))
            part = np.repeat(X[at, : objective.n_given], len(BETWEEN) + 2, axis=0)
            part[:, j] = np.tile([low, *(low + BETWEEN * (high - low)), high], len(at))
            path = objective.predict(net, objective.completed(part)).reshape(len(at), -1)
            ends, inner = path[:, [0, -1]], path[:, 1:-1]
            beyond = np.maximum(inner.max(axis=1) - ends.max(axis=1), ends.min(axis=1) - inner.min(axis=1))
            if (beyond > np.maximum(CLEAR * noise[at], np.abs(ends[:, 1] - ends[:, 0]))).any():
                return True
    return False


def used_features(objective, net):
    """Numbers of the features that take part in a net, in its functions too."""
    d = objective.n_given
    used = (net.nodes[:, : net.n_features] != 0).any(axis=0) | (net.sign != 0).any(axis=0)
    of_functions = (objective.functions.exponent[used[d:]] != 0).any(axis=0)
    return np.flatnonzero(used[:d] | of_functions)
