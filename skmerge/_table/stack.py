"""Second stage of the imputer: forests beside the joint normal distribution, weighted by rows left out."""

import warnings
from itertools import product
from typing import NamedTuple

import numpy as np
from joblib import delayed, effective_n_jobs
from scipy.optimize import nnls

from skmerge._gaussian.joint import Moments
from skmerge._parallel import each
from skmerge.forest import GradientForestRegressor

N_FOLDS = 5
MAX_INPUTS = 100  # of a forest; with more it takes minutes, and its errors are greater than those of the kernel
MIN_MEASURED = 6  # measured rows of a property with forests; with fewer, n_estimators has no effect on it
POWERS, SHARES = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0), (0.0, 0.5, 2.0)
PRIOR_ROWS = 20.0  # rows that the prior of equal weights counts for


class Stop:
    """A callback that ends forests in worker threads once ``asked``: an interrupted fit does not wait for them."""

    asked = False

    def setup(self, estimator, context):
        pass

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context):
        return self.asked


class Stack(NamedTuple):
    """The second stage as fitted.

    ``forests``: for each property the pairs of forests of the folds, or an empty list; ``weight`` (n_properties, 4), of
    each part, and ``coefficient`` (n_properties, 3), of their variance.
    """

    forests: list
    weight: np.ndarray
    coefficient: np.ndarray


def folds(groups, seed):
    """A fold from 0 to 4 for every row, the same for the rows of one group."""
    return np.random.default_rng(seed).permutation(groups.max() + 1)[groups] % N_FOLDS


def fit(z, at, inputs, base, fold_of, error, n_estimators, seed, n_jobs, progress):
    """Grow the forests of each property and weigh them.

    ``z`` (n, width): the table; ``at``: columns of the properties; ``inputs``: for each, the columns that may predict
    it; ``base``: for each joint distribution, the Moments (n, n_properties) of each cell left out.

    Returns
    -------
    stack : Stack
    unseen : Moments with the forests, of rows left out
    """
    forests = _grow_all(z, at, inputs, fold_of, error, n_estimators, seed, n_jobs, progress)
    weight = np.zeros((len(at), 4))
    coefficient = np.tile([1.0, 1.0, 0.0], (len(at), 1))
    values, spread = base[-1].expected.copy(), base[-1].variance.copy()
    for p, k in enumerate(at):
        trees = []
        if forests[p]:
            trees = np.empty((2, len(z)))
            for fold, pair in enumerate(forests[p]):
                rows = np.flatnonzero(fold_of == fold)
                for part, forest in zip(trees, pair, strict=True):
                    if len(rows):
                        part[rows] = forest.predict(z[np.ix_(rows, inputs[p])])
        which, parts, variance = _parts(base, trees, p)
        seen = ~np.isnan(z[:, k])
        target = z[seen, k]
        if len(parts) == 1 or len(target) < MIN_MEASURED:
            weight[p, len(base) - 1] = 1.0
            continue
        # Least squares with weights that add to one; else a part that is near zero everywhere could have any weight.
        noise = np.sqrt(((parts[:, seen] - target) ** 2).mean(axis=1).min())
        one, prior = np.full((1, len(parts)), 1e4), np.sqrt(PRIOR_ROWS) * noise * np.eye(len(parts))
        wanted = np.concatenate([target, [1e4], prior.sum(axis=1) / len(parts)])
        share = nnls(np.vstack([parts[:, seen].T, one, prior]), wanted)[0]
        weight[p, which] = share / share.sum()
        values[:, p] = weight[p, which] @ parts
        apart = _apart(parts, weight[p, which])
        coefficient[p] = _width(target - values[seen, p], variance[seen], apart[seen])
        spread[:, p] = _spread(coefficient[p], variance, apart)
    return Stack(forests, weight, coefficient), Moments(values, spread)


def predict(stack, z, at, inputs, base):
    """Moments (n, n_properties) of rows, their own cells not used."""
    values, spread = base[-1].expected.copy(), base[-1].variance.copy()
    for p in range(len(at)):
        trees = [[]]
        if stack.forests[p]:
            X = np.ascontiguousarray(z[:, inputs[p]])
            trees = [[forest.predict(X) for forest in pair] for pair in stack.forests[p]]
        which, parts, variance = _parts(base, list(np.mean(trees, axis=0)), p)
        values[:, p] = stack.weight[p, which] @ parts
        # The widths were fitted with the forests of one fold at a time. These are farther from the other parts than the
        # mean of all forests is.
        apart = np.mean([_apart(_parts(base, pair, p)[1], stack.weight[p, which]) for pair in trees], axis=0)
        spread[:, p] = _spread(stack.coefficient[p], variance, apart)
    return Moments(values, spread)


def _parts(base, trees, p):
    """Columns of ``weight``, predictions (k, n) of property p by them, variance of the last joint distribution."""
    which = [*range(len(base)), *range(2, 2 + len(trees))]
    return which, np.vstack([expected[:, p] for expected, _ in base] + list(trees)), base[-1].variance[:, p]


def _apart(parts, weight):
    """Variance of the parts about their weighted mean."""
    return weight @ (parts - weight @ parts) ** 2


def _spread(coefficient, variance, apart):
    factor, power, share = coefficient
    return np.maximum(factor * (variance + share * apart) ** power, 1e-12)


def _width(error, variance, apart):
    """The coefficients of ``_spread`` with which the errors of rows left out are most likely.

    The variance of a joint distribution is too small for rows with few known cells and too large for rows with many,
    because the fills of other rows have seen the row that is left out. The power corrects that.
    """
    # A few wrong entries must not determine the width of all intervals.
    squares = error**2
    squares = np.maximum(np.minimum(squares, 9.0 * np.quantile(squares, 0.8)), 1e-12)
    found = []
    for power, share in product(POWERS, SHARES):
        shape = (variance + share * apart) ** power
        factor = np.mean(squares / shape)
        found.append((np.mean(np.log(factor * shape)), (factor, power, share)))
    return min(found, key=lambda one: one[0])[1]


def _grow_all(z, at, inputs, fold_of, error, n_estimators, seed, n_jobs, progress):
    """The forests of ``fit``, without each fold in turn."""
    jobs, owner, forests, stop = [], [], [[] for _ in at], Stop()
    for p, k in enumerate(at):
        seen = ~np.isnan(z[:, k])
        enough = seen.sum() >= MIN_MEASURED and len(np.unique(fold_of[seen])) == N_FOLDS
        if n_estimators and enough and 0 < len(inputs[p]) <= MAX_INPUTS:
            own = None if error is None else error[:, p]
            for fold in range(N_FOLDS):
                rows, own_seed = np.flatnonzero(seen & (fold_of != fold)), (seed + fold) % 2**31
                jobs.append(delayed(_grow)(z, rows, inputs[p], k, own, n_estimators, own_seed, stop))
                owner.append(p)
    if not jobs:
        return forests
    try:
        with warnings.catch_warnings():  # about out-of-bag scores of few rows, which are not used here
            warnings.filterwarnings("ignore", "oob_score_")
            for i, (p, pair) in enumerate(zip(owner, each(jobs, effective_n_jobs(n_jobs)), strict=True)):
                forests[p].append(pair)
                progress.still(f"{2 * (i + 1)} of {2 * len(jobs)} forests")
    except BaseException:
        stop.asked = True
        raise
    progress(f"{2 * len(jobs)} forests")
    return forests


def _grow(z, rows, inputs, output, error, n_estimators, seed, stop):
    """Two forests of one column from others, on some rows of the table z."""
    weight = None if error is None else 1.0 / (0.1 + error[rows] ** 2)
    X, y = z[np.ix_(rows, inputs)], z[rows, output]
    options = {"random_state": seed, "n_jobs": 1}
    return [
        forest.set_callbacks(stop).fit(X, y, sample_weight=weight).set_callbacks()
        for forest in (
            GradientForestRegressor(5 * n_estimators, order=0, **options),
            GradientForestRegressor(n_estimators, **options),
        )
    ]
