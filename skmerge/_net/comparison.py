"""How well nets predict rows they have not seen, and which is the simplest that errs no more than the best."""

import numpy as np

from skmerge._net.floats import squarable
from skmerge._net.objective import ROUNDING

RECOMBINED = 1000  # rows at which nets are compared
# A simpler net may have FORGIVEN times the squares of the best, if their differences, row by row, add up to less than
# FORGIVEN_Z times their own spread. With it, none of 60 tables of pure noise (45 rows of 3 columns, 200 of 5) gave
# anything but a constant. With FORGIVEN_Z 1.0, 8 did; with 2.0 none did, but the errors of Feynman formulae with 5 %
# noise were .0106 std(y), not .0082.
FORGIVEN = 4.0
FORGIVEN_Z = 1.5
# Difference of two description lengths, e^3 in likelihood, up to which the law with fewer parameters is taken. Without
# it, of y = 2 a^1.5 + 3 b (40 rows, 5 % noise) 3 of 14 tables had one or two terms more.
EQUAL = 6.0


def cross_validate(search, nets, folds):
    """How well each net predicts rows it has not seen.

    The error of a net is the greatest of three:

    - On the rows left out of each fold.
    - On every row left out alone (`leave_one_out`). The fit without a fold starts from that of all rows and keeps what
      its rows do not determine, so that a term for a single row remains: of 12 tables of x0^2 x1 with 2 % error and 40
      rows, 5 had one such as x0^13.85.
    - The squared distance from the median of the comparably good nets at rows whose features are recombined from
      different rows. A term that no measured row determines is visible only there.

    Returns
    -------
    errors : ndarray of shape (n_nets,), squared, in units of var(y)
    squares : ndarray of shape (n_nets, n_rows)
        Share of every row in the squared error, the greater of the first two.
    """
    objective = search.objective
    task = search.task.begin("cross-validation", len(folds))
    rng = np.random.default_rng(0)
    X, root = search.candidates.X, search.candidates.root
    drawn = rng.choice(len(X), (RECOMBINED, objective.n_given), p=root**2 / (root @ root))
    recombined = objective.completed(np.take_along_axis(X[:, : objective.n_given], drawn, axis=0))
    without_fold = np.zeros((len(nets), objective.n))
    predictions = np.empty((len(nets), len(folds), len(recombined)))
    for f, fold in enumerate(folds):
        rest, part = objective.subset(np.setdiff1d(np.arange(objective.n), fold)), objective.subset(fold)
        one = task.begin("fold")
        for k, net in enumerate(nets):
            fitted = rest.fit(net, search.penalties(net), max_iter=30, tol=1e-6)
            without_fold[k, fold] = objective.weight[fold] * part.squares(fitted)
            predictions[k, f] = squarable(objective.predict(fitted, recombined))
        one.end(f"cross-validation: fold {f + 1} of {len(folds)}", level=2)  # a net needs all folds: a stop is ignored
    task.end()
    alone = np.array([objective.weight * leave_one_out(objective, net) for net in nets])
    errors = np.maximum(without_fold.sum(axis=1), alone.sum(axis=1))
    good, y = errors <= 10 * errors.min() + ROUNDING, objective.y
    if objective.link is not None:  # the distance that counts is that of y
        with np.errstate(over="ignore"):
            predictions, y = (squarable(objective.through_link(u)) / objective.error_unit for u in (predictions, y))
    consensus = np.median(predictions[good], axis=(0, 1))
    distance = predictions - consensus
    if objective.size is not None:
        size = np.abs(y)
        with np.errstate(over="ignore"):
            distance /= np.maximum(np.abs(consensus), size[size > 0].min(initial=1.0)) * objective.error_unit
    distance = (squarable(distance) ** 2).mean(axis=(1, 2))
    return np.minimum(np.maximum(errors, distance), 1e12), np.maximum(without_fold, alone)


def leave_one_out(objective, net):
    """Squared error of every row if the net were fitted without it, by the linear model: (residual / (1 - leverage))^2.

    A row that alone determines a parameter gets the error of the mean: the other rows do not predict it.
    """
    J = objective.jacobian(net)[1][:, net.lower < net.upper]
    if len(objective.functions):
        J = np.column_stack([J, objective.jacobian_of_functions(net)[:, objective.functions.free.ravel()]])
    J = squarable(J)
    length = np.linalg.norm(J, axis=0)
    J = J[:, length > 0] / length[length > 0]
    leverage = np.zeros(objective.n)
    if J.shape[1] and np.isfinite(J).all():
        basis, size, _ = np.linalg.svd(J, full_matrices=False)
        leverage = (basis[:, size > 1e-10 * size[0]] ** 2).sum(axis=1)
    free = 1.0 - leverage
    residual = objective.y - squarable(objective.predict(net))
    mean = objective.y - objective.weight @ objective.y
    return np.where(free > 1e-8, residual / np.maximum(free, 1e-8), mean) ** 2


def no_worse(squares, best, z=FORGIVEN_Z):
    """Whether the errors of a net with these squares of rows are no greater than the best, as far as rows can decide.

    Differences are taken row by row, so that a difference that comes from z^2 rows or fewer does not count.
    """
    difference = squares - best
    total = difference.sum()
    within = total <= z * np.sqrt((difference**2).sum()) and squares.sum() <= FORGIVEN * best.sum()
    return total <= 0.02 * best.sum() + ROUNDING or within


def simplest_of_the_best(nets, errors, squares):
    """Index of the net with fewest free parameters among those no worse than the best."""
    best = int(np.argmin(errors))
    good = [k for k in range(len(nets)) if errors[k] <= 1.02 * errors[best] + ROUNDING]
    if np.isfinite(errors[best]):
        forgiven = errors <= FORGIVEN * errors[best]
        good += [k for k in range(len(nets)) if forgiven[k] and no_worse(squares[k], squares[best])]
    return min(good, key=lambda k: (nets[k].n_free, errors[k]))


def near_zero(X):
    """Features of which new rows may lie anywhere between zero and the smallest measured size, as bool (d,).

    These are the features whose smallest size is at most six steps from zero. A step is the mean distance of the
    sqrt(n) smallest sizes.
    """
    near = np.zeros(X.shape[1], bool)
    for j in range(X.shape[1]):
        size = np.unique(np.abs(X[:, j]))
        k = min(int(np.sqrt(len(X))), len(size) - 1)
        near[j] = k > 0 and size[0] <= 6 * (size[k] - size[0]) / k
    return near


def has_pole(net, near):
    """Whether a node without a plateau has a negative exponent of such a feature."""
    product = np.array([net.kind(i) != "sum" for i in range(net.n_nodes)], bool)
    return bool((net.nodes[product & (net.nodes[:, -2] == 0)][:, :-3][:, near] < 0).any())
