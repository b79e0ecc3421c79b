"""Laws of groups of rows: exponents that all groups share, and constants of their own where that pays.

y = D_g + sum_i c_ig P_i(x): a term, or the constant, is shared, or has a number for each group g. In the net such a
term is one product for each group, times a column that is 1 in the group and 0 elsewhere (the function "group").
"""

import numpy as np

from skmerge._net import products
from skmerge._net.candidates import Candidates
from skmerge._net.comparison import EQUAL
from skmerge._net.functions import SAME, Functions
from skmerge._net.group_search import Fitter, Proposals
from skmerge._net.law import Candidate, Law
from skmerge._net.levels import wanders
from skmerge._net.linked import CONVERGED, LEAST_UNIT, PASSES, has_pole, linearised
from skmerge._net.links import LINKS
from skmerge._net.logarithms import TERM, with_product
from skmerge._net.selection import EXHAUSTED, Ridge
from skmerge._net.stored import numbers_of
from skmerge._text import BLANK, MISSING, cells_of, is_frame, kind_of, listed, shown, warn, with_columns

MAX_GROUPS = 500
FEW_ROWS = 3  # of a group, below one more than the constants that may differ
APART = 1e-6  # least relative difference of the numbers of two groups
OF_LINK = 2  # sums of which the exponents are fitted through a link


def numbered(X, column, known=None):
    """X with the words of the column of groups as 1, 2, ..., and the different words; None if it holds numbers.

    ``column``: its name or number; ``known``: the words, or numbers, of the fit.
    """
    if column is None or not hasattr(X, "__len__") or (known is not None and known.dtype.kind != "U"):
        return X, None
    cells, X = cells_of(X)
    names = list(X.columns) if is_frame(X) else None
    if isinstance(column, str) and names is not None and column not in names:
        raise ValueError(f"groups: no column {shown(column)}; the columns are {listed(names)}.")
    j = names.index(column) if names is not None and column in names else column
    if j not in cells:
        return X, None
    words = np.array(
        ["" if kind_of(cell)[0] in (MISSING, BLANK) else str(cell).strip() for cell in cells[j]], dtype=str
    )
    labels = np.unique(words[words != ""]) if known is None else known
    unknown = np.flatnonzero(~np.isin(words, labels) & (words != ""))
    if len(unknown):
        raise_unknown(unknown[0], column, shown(words[unknown[0]]), labels)
    return with_columns(X, {j: np.where(words == "", np.nan, 1.0 + np.searchsorted(labels, words))}), labels


def check(column, y, name, words):
    """Raise ValueError if a column cannot number groups, or if an output (n, m) of y was not measured in a group.

    ``words``: those that count as 1, 2, ..., or None.
    """

    def called(number):
        return f"{name}=" + (f"{number:g}" if words is None else shown(words[int(number) - 1]))

    if np.isnan(column).any():
        raise ValueError(f"groups: {name} is missing in {np.isnan(column).sum()} row(s); name the group of every row.")
    labels, count = np.unique(column, return_counts=True)
    if not 2 <= len(labels) <= MAX_GROUPS or count.max() < 2:
        raise ValueError(
            f"groups: {name} has {len(labels)} different values in {len(column)} rows; give a column that names 2 to "
            f"{MAX_GROUPS} groups of several rows."
        )
    least, smallest = int(count.min()), called(labels[np.argmin(count)])
    if least == 1:
        raise ValueError(
            f"groups: {np.count_nonzero(count == 1)} of {len(labels)} groups have one row, the first {smallest}, and "
            "no other row tests what is fitted to it; leave these rows out, or join groups."
        )
    if least <= FEW_ROWS:
        warn(
            f"groups: the group {smallest} has {least} rows, so that {least - 1} constant(s) at most may differ "
            "between the groups; leave out small groups for more."
        )
    size = np.maximum(np.abs(labels[1:]), np.abs(labels[:-1]))
    close = np.flatnonzero(np.diff(labels) < APART * size)
    if len(close):
        pair = listed(labels[close[0] : close[0] + 2])
        raise ValueError(f"groups: {name} has the values {pair}, which are too near to tell apart; number from 1 on.")
    for k, measured in enumerate(~np.isnan(y).T):
        lost = np.setdiff1d(labels, column[measured])
        if len(lost):
            raise ValueError(
                f"groups: output {k} of y was not measured in the group {called(lost[0])}, so that its constants are "
                "unknown; leave out the group, or fit this output alone."
            )


def check_known(column, labels, name):
    """Raise ValueError if a row is of no trained group; ``labels``: the numbers, or words that count from 1 on."""
    with np.errstate(invalid="ignore"):
        distance = np.abs(column[:, None] - numbers_of(labels)).min(axis=1)
    unknown = np.flatnonzero(~(distance <= SAME * np.abs(column)))
    if len(unknown):
        raise_unknown(unknown[0], name, f"{column[unknown[0]]:g}", labels)


def raise_unknown(row, name, value, labels):
    raise ValueError(
        f"groups: row {row} has {name}={value}, a group that was not trained; known are {listed(labels.tolist())}. The "
        "constants of a new group come from rows of it: fit again with them."
    )


def indicators(labels, j, d):
    """The Functions that are 1 in a group; ``labels`` in units of feature j of d."""
    n = len(labels)
    smallest = np.abs(labels[labels != 0]).min()
    factor = np.where(labels == 0, 1.0 / smallest, 1.0 / np.where(labels == 0, 1.0, labels))
    exponent = np.zeros((n, d))
    exponent[:, j] = 1.0
    phase = np.where(labels == 0, 0.0, -1.0)
    return Functions(np.full(n, "group"), exponent, factor, phase, np.zeros((n, 2), bool))


def _with_net(exact, objective, fit, column):
    """``exact`` and objective with the columns of the groups, and the net, its factors fitted."""

    def with_groups(one):
        labels = np.unique(one.X[:, column]) / one.scaling.x_scale[column]
        return one.with_functions(indicators(labels, column, one.n_given))

    whole, few = exact, objective
    if fit.terms.own.any():
        whole, few = with_groups(exact), with_groups(objective)
    net, n_groups = few.constant(), few.d - few.n_given
    net = net.pinned(-1, 0.0)
    for A, sign, own in zip(fit.terms.A, fit.terms.sign, fit.terms.own, strict=True):
        if not own and not A.any():
            net = few.with_free_constant(net)
            continue
        for g in np.eye(n_groups) if own else np.zeros((1, n_groups)):
            net = with_product(few, net, np.append(A, g))
            net.sign[-1, : few.n_given] = sign
    return whole, few, few.fit(net, max_iter=30, tol=1e-10)


def law_of_groups(exact, objective, law, settings, seeds, task):
    """The law with the shortest description: ``law``, the same for all groups, or one with constants of their own."""
    length = products.price_of(law.net.nodes[:, : objective.n_given]) + TERM * law.net.n_nodes
    best, least, tried = law, _score(law.error, law.net.n_free, length, objective.n), list(law.tried)
    good = [(law, least)]
    names = settings.links if settings.asks_for_link else [n for n in LINKS if n in settings.links or n == "identity"]
    for name in names:
        one = task.begin("groups", None, aside=True)
        found, text = _of_link(name, exact, settings, seeds), "none"
        if found is not None:
            other, score = found
            tried += other.tried
            text = f"{other.net.n_nodes} terms, validation error {np.sqrt(other.error):.3g} std(y)"
            good.append(found)
            if score < least or settings.asks_for_link:
                best, least = other, score
        if one.end(f"groups, link {name}: {text}", level=2) or best.error < EXHAUSTED:
            break
    if not settings.asks_for_link:
        best, _ = min((one for one in good if one[1] <= least + EQUAL), key=lambda one: (one[0].net.n_free, one[1]))
    return best._replace(tried=tried)


def _of_link(name, exact, settings, seeds):
    """A law with own constants through a link, its errors in units of var(y), and its score; None if there is none."""
    link, column, n = LINKS[name], settings.group, exact.n
    if exact.dimensions is not None and exact.dimensions.through(link) is None:
        return None
    target = exact if name == "identity" else linearised(link, exact, exact.y)
    if target is None:
        return None
    objective = target.rounded()
    candidates = Candidates(objective, settings.sign, np.random.default_rng(seeds))
    proposed = Proposals(objective, candidates, column).best()[: None if name == "identity" else OF_LINK]
    fitter = Fitter(objective, column)
    fits = [fitter.refined(terms) for terms in proposed]
    if not fits:
        return None
    fit = fitter.plainer(min(fits, key=lambda one: one.score))
    for _ in range(PASSES if name != "identity" else 0):
        _, few, net = _with_net(target, objective, fit, column)
        after = linearised(link, exact, target.through_link(few.predict(net)))
        if after is None:
            return None
        moved = np.abs(after.y * after.y_scale - target.y * target.y_scale).max()
        target, objective = after, after.rounded()
        fitter = Fitter(objective, column)
        fit = fitter.with_errors(fitter.fitted(fit.terms))
        if moved <= CONVERGED * np.abs(target.y * target.y_scale).max():
            break
    terms, n_free = fit.terms, fitter.n_free(fit.terms)
    needs_no_link = len(terms.A) == 1 and name not in ("identity", "exp")  # a power
    if needs_no_link or not np.isfinite(fit.error + fit.score):
        return None
    whole, few, net = _with_net(target, objective, fit, column)
    if has_pole(link, few, few.X[:, : few.n_given], net) or wanders(few, net, column):
        return None
    penalties, unit = Ridge(few.scaling, 0.0, 0.0), 1.0
    if name != "identity":
        whole, net = whole.in_units(exact.y_scale, net)
        if not LEAST_UNIT < whole.y_scale < 1.0 / LEAST_UNIT:
            return None
        unit = (whole.error_unit / exact.error_unit) ** 2
    candidate = Candidate(net, fit.error, whole, name)
    law = Law(net, fit.error * unit, fit.alone * unit, penalties, [candidate], name, whole)
    # Not the error on rows left out: in groups of two rows one of them may make up most of it.
    error = fit.squares * unit / (1.0 - n_free / n) ** 2
    return law, _score(error, n_free, fitter.length(terms) + 2 * np.log(len(LINKS)), n)


def _score(error, n_free, length, n):
    """Twice the description length, as in `linked`."""
    return n * np.log(max(error, EXHAUSTED)) + np.log(n) * n_free + length
