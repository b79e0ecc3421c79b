"""Second stage of the imputer: forests beside the joint normal distribution, weighted by rows they have not seen."""

import warnings

import numpy as np
from joblib import delayed, effective_n_jobs
from scipy.optimize import nnls

from skmerge._parallel import each
from skmerge.forest import GradientForestRegressor

N_FOLDS = 5
WIDEST = 100  # inputs of a forest; beyond, it takes minutes and loses to the kernel
FEWEST = 6  # measured rows of a property that a forest is grown for; below, n_estimators has no effect on it
POWERS, SHARES = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0), (0.0, 0.5, 2.0)
EQUAL = 20.0  # rows that the prior of equal weights counts for


class Stop:
    """Ends forests that worker threads grow, once asked: of an interrupted fit nobody waits for them."""

    asked = False

    def setup(self, estimator, context):
        pass

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context):
        return self.asked


def folds(groups, seed):
    """A fold from 0 to 4 for every row, the same for the rows of one group."""
    return np.random.default_rng(seed).permutation(groups.max() + 1)[groups] % N_FOLDS


def fit(z, at, inputs, base, fold_of, error, n_estimators, seed, n_jobs, progress):
    """Grow the forests of each property and weigh them.

    Parameters
    ----------
    z : ndarray of shape (n, width)
    at : ndarray of the columns of the properties
    inputs : list of ndarray, the columns each may see
    base : list of (expected, variance), each ndarray of shape (n, n_properties)
        Of the joint distributions, of each cell left out.
    fold_of : ndarray of shape (n,)

    Returns
    -------
    forests : list, for each property the pairs of forests of the folds, or an empty list
    weight : ndarray of shape (n_properties, 4)
    coefficient : ndarray of shape (n_properties, 3)
    unseen : expected and variance with the forests, of rows left out
    """
    tasks = []
    for p, k in enumerate(at):
        seen = ~np.isnan(z[:, k])
        enough = seen.sum() >= FEWEST and len(np.unique(fold_of[seen])) == N_FOLDS
        if n_estimators and enough and 0 < len(inputs[p]) <= WIDEST:
            tasks += [(p, fold) for fold in range(N_FOLDS)]

    forests, stop = [[] for _ in at], Stop()
    if tasks:
        jobs = (
            delayed(_grow)(
                z, np.flatnonzero(~np.isnan(z[:, at[p]]) & (fold_of != fold)), inputs[p], at[p],
                None if error is None else error[:, p], n_estimators, (seed + fold) % 2**31, stop,
            )
            for p, fold in tasks
        )  # fmt: skip
        try:
            with warnings.catch_warnings():  # of out-of-bag figures of few rows, which nobody asks for here
                warnings.filterwarnings("ignore", "oob_score_")
                for i, ((p, _), pair) in enumerate(zip(tasks, each(jobs, effective_n_jobs(n_jobs)), strict=True)):
                    forests[p].append(pair)
                    progress.still(f"{2 * (i + 1)} of {2 * len(tasks)} forests")
        except BaseException:
            stop.asked = True
            raise
        progress(f"{2 * len(tasks)} forests")
    weight = np.zeros((len(at), 4))
    coefficient = np.tile([1.0, 1.0, 0.0], (len(at), 1))
    values, spread = base[-1][0].copy(), base[-1][1].copy()
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
        if len(parts) == 1 or len(target) < FEWEST:
            weight[p, len(base) - 1] = 1.0
            continue
        # Least squares of weights that add to one: a part that is near zero everywhere would cost nothing else.
        noise = np.sqrt(((parts[:, seen] - target) ** 2).mean(axis=1).min())
        one, prior = np.full((1, len(parts)), 1e4), np.sqrt(EQUAL) * noise * np.eye(len(parts))
        wanted = np.concatenate([target, [1e4], prior.sum(axis=1) / len(parts)])
        share = nnls(np.vstack([parts[:, seen].T, one, prior]), wanted)[0]
        weight[p, which] = share / share.sum()
        values[:, p] = weight[p, which] @ parts
        apart = _apart(parts, weight[p, which])
        coefficient[p] = _width(target - values[seen, p], variance[seen], apart[seen])
        spread[:, p] = _spread(coefficient[p], variance, apart)
    return forests, weight, coefficient, (values, spread)


def predict(forests, weight, coefficient, z, at, inputs, base):
    """Expected values and variances (n, n_properties) of rows, their own cells not used."""
    values, spread = base[-1][0].copy(), base[-1][1].copy()
    for p in range(len(at)):
        trees = [[]]
        if forests[p]:
            X = np.ascontiguousarray(z[:, inputs[p]])
            trees = [[forest.predict(X) for forest in pair] for pair in forests[p]]
        which, parts, variance = _parts(base, list(np.mean(trees, axis=0)), p)
        values[:, p] = weight[p, which] @ parts
        # The widths were found with the forests of one fold at a time, which are further apart than their mean.
        apart = np.mean([_apart(_parts(base, pair, p)[1], weight[p, which]) for pair in trees], axis=0)
        spread[:, p] = _spread(coefficient[p], variance, apart)
    return values, spread


def _parts(base, trees, p):
    """Columns of ``weight``, predictions (k, n) of property p by them, variance of the last joint distribution."""
    which = [*range(len(base)), *range(2, 2 + len(trees))]
    return which, np.vstack([expected[:, p] for expected, _ in base] + list(trees)), base[-1][1][:, p]


def _apart(parts, weight):
    """Variance of the parts about their weighted mean."""
    return weight @ (parts - weight @ parts) ** 2


def _spread(coefficient, variance, apart):
    factor, power, share = coefficient
    return np.maximum(factor * (variance + share * apart) ** power, 1e-12)


def _width(error, variance, apart):
    """The coefficients of ``_spread`` under which the errors of rows left out are most likely.

    A joint distribution is too sure where little of a row is known and not sure enough where much is: fills of other
    rows have seen the row that is left out. The power corrects that.
    """
    # A few wrong entries must not set the width of all intervals.
    squares = error**2
    squares = np.maximum(np.minimum(squares, 9.0 * np.quantile(squares, 0.8)), 1e-12)
    best = None
    for power in POWERS:
        for share in SHARES:
            shape = (variance + share * apart) ** power
            factor = np.mean(squares / shape)
            surprise = np.mean(np.log(factor * shape))
            if best is None or surprise < best[0]:
                best = surprise, (factor, power, share)
    return best[1]


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
