"""A sparse block of columns as one Gaussian: means that follow the descriptors, one covariance between the columns."""

from dataclasses import asdict, dataclass, replace
from typing import NamedTuple

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.spatial.distance import cdist

from skmerge._gaussian.conditional import conditional, each_without_itself, parts, patterns

MAX_LANDMARKS = 2000  # rows whose means follow the descriptors; a factor of their kernel takes n^3 / 3 operations
RIDGES = (1e-3, 0.05, 0.3, 1.5, 8.0)  # ratio of the variance about the smooth mean to that of the mean
LINEAR = 0.3  # share of a linear kernel that is added, which extrapolates; 1 and 0 were worse on alloys
MAX_COLUMNS = 400  # of one covariance; a step takes their cube in time for every pattern of missing cells
LIMIT = 1e4  # standard deviations; with an entry beyond, rounding leaves nothing of its column's covariances
LENGTHS = (0.5, 1.0)  # in median distances; 1 is best for 320 descriptors of molecules, 0.5 for compositions


class Moments(NamedTuple):
    """Expectation and variance of each cell, from the others of its row, (n, m) each."""

    expected: np.ndarray
    variance: np.ndarray


@dataclass(frozen=True)
class Joint:
    """The fitted model: ``z = mean + K(x, landmarks) weight + e``, e normal with the covariance."""

    mean: np.ndarray  # (m,)
    covariance: np.ndarray  # (m, m)
    landmarks: np.ndarray  # (n_landmarks, d)
    weight: np.ndarray  # (n_landmarks, m)
    length: float  # of the Gaussian kernel; 0 for the Tanimoto kernel of bits
    ridge: float
    n_iter: int = 0
    change: float = 0.0  # greatest change of a fill in the last iteration, in standard deviations
    missed: float = 0.0  # mean squared error of cells left out with their group, which decides on length and ridge

    def smooth(self, features):
        """Smooth means of rows, (n, m)."""
        if not len(self.weight):
            return np.zeros((len(features), len(self.mean)))
        return kernel(features, self.landmarks, self.length) @ self.weight

    def left_out(self, z, smooth, error=None, allowed=None, progress=None):
        """Moments of each cell from the other observed cells of its row.

        ``z``, ``smooth``, ``error`` (n, m): cells, NaN where missing, their smooth means and measurement errors;
        ``allowed`` (m, m): whether column i may be predicted from column j.
        """
        expected, variance = np.empty(z.shape), np.empty(z.shape)
        groups = [] if allowed is None else _restricted(allowed)
        precision = np.linalg.inv(self.covariance)
        for seen, rows in patterns(z):
            if progress:
                progress.still("cells from the others of their row")
            noise = None if error is None else error[np.ix_(rows, seen)] ** 2
            residual = z[np.ix_(rows, seen)] - self.mean[seen] - smooth[np.ix_(rows, seen)]
            for part, own in parts(rows, noise):
                each = each_without_itself(self.covariance, seen, residual[part], own, precision)
                expected[rows[part]], variance[rows[part]] = each
            for columns, may in groups:  # columns that may not use all others
                use = np.flatnonzero(may[seen])
                for part, own in parts(rows, None if noise is None else noise[:, use]):
                    gain, left = conditional(self.covariance, seen[use], columns, own, precision)
                    place = np.ix_(rows[part], columns)
                    expected[place], variance[place] = residual[np.ix_(part, use)] @ gain, np.diag(left)
        return Moments(expected + self.mean + smooth, np.maximum(variance, 1e-12))


def _restricted(allowed):
    """(columns, what they may be predicted from) for the columns that may not use all others, equal ones together."""
    may = allowed & ~np.eye(len(allowed), dtype=bool)
    own = np.flatnonzero(~allowed.all(axis=1))
    which = np.unique(np.packbits(may[own], axis=1), axis=0, return_inverse=True)[1].ravel()
    return [(own[which == g], may[own[which == g][0]]) for g in range(len(np.unique(which)))]


def kernel(a, b, length):
    """Similarity of rows: exp(-|a - b|^2 / 2 length^2), or that of Tanimoto for bits (length 0)."""
    if length:
        return np.exp(cdist(a, b, "sqeuclidean") / (-2.0 * length**2)) + LINEAR * (a @ b.T) / a.shape[1]
    common = a @ b.T
    either = a.sum(axis=1)[:, None] + b.sum(axis=1) - common
    return common / np.where(either > 0, either, 1.0)


@dataclass(frozen=True)
class _State:
    """State of the iteration of filling and fitting."""

    covariance: np.ndarray  # (m, m)
    mean: np.ndarray  # (m,)
    smooth: np.ndarray  # (n, m), smooth means of the rows
    unseen: np.ndarray  # (n, m), those without the group of each row
    fills: np.ndarray  # (n, m), the table with its missing cells at their expectation
    n_iter: int = 0
    change: float = np.inf  # greatest change of a fill in the last iteration

    def left_out(self, z, smooth, error):
        """``Joint.left_out`` for the present mean and covariance."""
        return Joint(self.mean, self.covariance, z[:0], z[:0], 0.0, 0.0).left_out(z, smooth, error)


@dataclass(frozen=True)
class _Fitted:
    """A state with the kernel of its smooth means, and ``missed`` as in Joint."""

    state: _State
    length: float
    ridge: float
    smoother: "_Smoother | None"
    missed: float

    def joint(self, landmarks):
        state, where, weight = self.state, landmarks[:0], np.zeros((0, len(self.state.mean)))
        if self.smoother is not None:
            where, weight = landmarks, self.smoother.solve(state.fills - state.mean)
        return Joint(
            state.mean, state.covariance, where, weight, self.length, self.ridge, state.n_iter, state.change,
            self.missed,
        )  # fmt: skip


def fit_linear(z, error=None, damping=1.0, max_iter=100, tol=1e-2, progress=None):
    """One Gaussian of all standardised columns: arrays of a Joint; None for none and for more than 400 columns."""
    if not 0 < z.shape[1] <= MAX_COLUMNS:
        return None
    nothing, rows = np.zeros((len(z), 0)), np.arange(len(z))
    z = np.clip(z, -LIMIT, LIMIT)
    # A weak prior, because columns that sum to 100 determine each other.
    (joint,) = fit_joint(z, nothing, rows, 1.0, error, damping, max_iter, tol, progress, limit=len(z))
    return asdict(joint)


def _prior_rows(m):
    """Rows that the prior unit covariance of m columns counts for."""
    return 0.75 * m + 1.0


def _fullest(count, rows, limit):
    """At most so many of the rows, those with the highest count of cells, in order."""
    return np.sort(rows[np.argsort(-count[rows], kind="stable")][:limit])


def fit_joint(
    z, features, groups, prior=None, error=None, damping=1.0, max_iter=100, tol=1e-2, progress=None,
    limit=MAX_LANDMARKS, share=None,
):  # fmt: skip
    """Fit by expectation and maximisation, which iterates the fills of the missing cells to a fixed point.

    Parameters
    ----------
    z, error : ndarray of shape (n, m)
        Standardised columns, NaN where missing, and standard deviations of the measurements or None.
    features : ndarray of shape (n, d)
        Descriptors of all rows, complete; d may be 0.
    groups : ndarray of shape (n,)
        Rows of one group are left out together where unseen rows are predicted.
    prior : rows that a prior unit covariance counts for; ``_prior_rows`` if None
    damping : share of each step that is taken
    progress : Stages of _progress or None
    limit : greatest number of rows that are used, those with the most cells
    share : weights (n,) of the errors of rows in the choice of length and ridge, or None

    Returns
    -------
    joints : list of Joint
        One of constant means and, if it predicts unseen rows better, one whose means follow the descriptors.
    """
    m = z.shape[1]
    prior = _prior_rows(m) if prior is None else prior
    count = (~np.isnan(z)).sum(axis=1)
    used = _fullest(count, np.flatnonzero(count > 0), limit)
    z, landmarks, groups = z[used], features[used], groups[used]
    error = None if error is None else error[used]
    share = None if share is None else share[used]
    flat = np.zeros(z.shape)
    start = _State(np.full((m, m), 0.5) + 0.5 * np.eye(m), np.zeros(m), flat, flat, z)
    fixed = {"error": error, "prior": prior, "damping": damping, "tol": tol, "progress": progress}
    plain = _iterate(z, None, start, max_iter=max_iter, **fixed)
    best = _Fitted(plain, 0.0, 0.0, None, _left_out_error(z, plain, error, share))
    found = [best]
    if features.shape[1] and len(used) > 5:
        bits = features.shape[1] > 1 and np.isin(features, (0.0, 1.0)).all()
        if not bits:
            distance = cdist(landmarks, landmarks)
            scale = np.median(distance[distance > 0]) if (distance > 0).any() else 1.0
        for length in (0.0,) if bits else tuple(scale * share for share in LENGTHS):
            K = kernel(landmarks, landmarks, length)
            for ridge in RIDGES:
                smoother = _Smoother(K, ridge, groups)
                state = _iterate(z, smoother, replace(plain, smooth=flat), max_iter=6, **fixed)
                now = _left_out_error(z, state, error, share)
                if progress:
                    progress(f"length {length:.3g}, ridge {ridge:g}: left-out error {np.sqrt(now):.4f}")
                if now < best.missed * 0.999:
                    best = _Fitted(state, length, ridge, smoother, now)
        if best.smoother is not None:
            state = _iterate(z, best.smoother, best.state, max_iter=max_iter, **fixed)
            found.append(replace(best, state=state, missed=_left_out_error(z, state, error, share)))
    return [fitted.joint(landmarks) for fitted in found]


def cross_fitted(joint, z, features, groups, fold_of, prior=None, error=None, progress=None, n_iter=10):
    """Moments of each cell by fits that have not seen its fold.

    The fills of a single fit have seen the row that is left out: with half of the cells missing, its 90 % intervals
    contain 79 % of the cells. The fit of each fold starts from that of all rows and keeps its length and ridge.
    """
    m = z.shape[1]
    prior = _prior_rows(m) if prior is None else prior
    expected, variance = np.empty(z.shape), np.empty(z.shape)
    count = (~np.isnan(z)).sum(axis=1)
    for fold in np.unique(fold_of):
        out = np.flatnonzero(fold_of == fold)
        used = _fullest(count, np.flatnonzero((fold_of != fold) & (count > 0)), MAX_LANDMARKS)
        used = used if len(used) else np.flatnonzero(count > 0)[:1]
        smoother = None
        if len(joint.weight):
            landmarks = features[used]
            smoother = _Smoother(kernel(landmarks, landmarks, joint.length), joint.ridge, groups[used])
        own = None if error is None else error[used]
        flat = np.zeros((len(used), m))
        start = _State(joint.covariance, joint.mean, flat, flat, z[used])
        state = _iterate(z[used], smoother, start, own, prior, max_iter=n_iter, tol=0.0, progress=progress)
        smooth = np.zeros((len(out), m))
        if smoother is not None:
            smooth = kernel(features[out], landmarks, joint.length) @ smoother.solve(state.fills - state.mean)
        expected[out], variance[out] = state.left_out(z[out], smooth, None if error is None else error[out])
    return Moments(expected, variance)


class _Smoother:
    """Kernel ridge regression of every column at once, and its predictions for a group that it has not seen."""

    def __init__(self, K, ridge, groups):
        self.factor = cho_factor(K + ridge * np.eye(len(K)))
        self.hat = cho_solve(self.factor, K).T
        order = np.argsort(groups, kind="stable")
        self.blocks = [
            (rows, np.linalg.inv(np.eye(len(rows)) - self.hat[np.ix_(rows, rows)]))
            for rows in np.split(order, np.flatnonzero(np.diff(groups[order])) + 1)
        ]

    def solve(self, y):
        return cho_solve(self.factor, y)

    def left_out(self, y, smooth):
        out = np.empty_like(y)
        for rows, inverse in self.blocks:
            out[rows] = y[rows] - inverse @ (y[rows] - smooth[rows])
        return out


def _iterate(z, smoother, state, error=None, prior=1.0, damping=1.0, max_iter=100, tol=1e-2, progress=None):
    """Filling and fitting from a state on, to the fixed point or for ``max_iter`` iterations."""
    covariance, mean, smooth = state.covariance, state.mean, state.smooth
    n, m = z.shape
    every = np.arange(m)
    groups = [(seen, np.setdiff1d(every, seen), rows) for seen, rows in patterns(z)]
    unseen, before, change, n_iter = smooth, None, np.inf, 0
    while change >= tol and n_iter < max_iter:
        n_iter += 1
        if progress:
            progress.still(f"iteration {n_iter} of filling and fitting, change {change:.2g}")
        fills, left = z.copy(), z - mean - unseen
        total = np.zeros((m, m))
        precision = np.linalg.inv(covariance) if error is None else None
        for seen, hidden, rows in groups:
            wanted = hidden if error is None else every  # the value of a cell measured with an error is unknown, too
            if not len(wanted):
                continue
            for part, own in parts(rows, None if error is None else error[np.ix_(rows, seen)] ** 2):
                place, known = np.ix_(rows[part], wanted), np.ix_(rows[part], seen)
                gain, rest = conditional(covariance, seen, wanted, own, precision)
                observed = z[known] - mean[seen]
                fills[place] = mean[wanted] + smooth[place] + (observed - smooth[known]) @ gain
                left[place] = (observed - unseen[known]) @ gain
                total[np.ix_(wanted, wanted)] += len(part) * rest
        total += left.T @ left
        covariance = (total + prior * np.eye(m)) / (n + prior)
        covariance = (covariance + covariance.T) / 2
        mean = (fills - smooth).sum(axis=0) / (n + 1.0)
        if smoother is not None:
            target = fills - mean
            smooth = smooth + damping * (smoother.hat @ target - smooth)
            unseen = smoother.left_out(target, smooth)
        change = np.inf if before is None else float(np.abs(fills - before).max())
        before = fills
    return _State(covariance, mean, smooth, unseen, fills, n_iter, change)


def _left_out_error(z, state, error, share):
    """Mean squared error of the observed cells, each from the other cells of its row and the rows of other groups."""
    squares = (state.left_out(z, state.unseen, error).expected - z) ** 2
    if share is None:
        return float(np.nanmean(squares))
    return float(np.nansum(squares * share[:, None]) / (share[:, None] * ~np.isnan(z)).sum())
