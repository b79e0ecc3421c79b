"""The conditional normal distribution of some columns of a row given others."""

import numpy as np

MAX_AXES_NUMBERS = 10**6  # of the principal axes of a block of rows; bounds the memory


def patterns(z):
    """(columns seen, rows) for every pattern of missing cells: rows of one pattern share their matrices."""
    seen = ~np.isnan(z)
    packed = np.packbits(seen, axis=1)
    which = np.unique(packed, axis=0, return_inverse=True)[1].ravel()
    order = np.argsort(which, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(which[order])) + 1):
        yield np.flatnonzero(seen[rows[0]]), rows


def parts(rows, noise):
    """Positions of rows of one pattern that share their measurement variances, and these."""
    if noise is None:
        yield np.arange(len(rows)), 0.0
        return
    for own in np.unique(noise, axis=0):
        yield np.flatnonzero((noise == own).all(axis=1)), own


def conditional(S, seen, wanted, noise=0.0, precision=None):
    """Distribution of wanted columns given seen ones: gain (s, w), and conditional covariance (w, w).

    The wanted columns are expected at ``mean[wanted] + (z[seen] - mean[seen]) @ gain``.

    Parameters
    ----------
    S : ndarray of shape (m, m), the covariance of all columns
    seen, wanted : numbers of columns, (s,) and (w,); without noise none of the wanted ones is seen
    noise : 0.0 or variances (s,) of the measurements
    precision : the inverse of S, or None
        With it, the block of the unseen columns is inverted where these are fewer than the seen ones: with 60 of 300
        columns unseen that is a tenth of the work.
    """
    if _few_hidden(S, seen, noise, precision):
        hidden = np.setdiff1d(np.arange(len(S)), seen)
        left = np.linalg.inv(precision[np.ix_(hidden, hidden)])
        place = np.searchsorted(hidden, wanted)
        return -(precision[np.ix_(seen, hidden)] @ left[:, place]), left[np.ix_(place, place)]
    gain = np.linalg.solve(_noisy(S, seen, noise), S[np.ix_(seen, wanted)])
    return gain, S[np.ix_(wanted, wanted)] - S[np.ix_(wanted, seen)] @ gain


def each_without_itself(S, seen, residual, noise=0.0, precision=None):
    """Expectation (n, m) and variance (m,) of every column from the seen ones; of a seen one from the other seen ones.

    ``residual`` (n, s): the seen columns less their means; the others as in ``conditional``.
    """
    hidden = np.setdiff1d(np.arange(len(S)), seen)
    gain, left = conditional(S, seen, hidden, noise, precision)
    if _few_hidden(S, seen, noise, precision):
        inverse = precision[np.ix_(seen, seen)] + gain @ precision[np.ix_(hidden, seen)]
    else:
        inverse = np.linalg.inv(_noisy(S, seen, noise))
    own = np.diag(inverse)
    expected, variance = np.empty((len(residual), len(S))), np.empty(len(S))
    expected[:, hidden], variance[hidden] = residual @ gain, np.diag(left)
    expected[:, seen], variance[seen] = residual - residual @ inverse / own, 1.0 / own - noise
    return expected, variance


def _few_hidden(S, seen, noise, precision):
    return precision is not None and np.ndim(noise) == 0 and len(S) < 2 * len(seen)


def _noisy(S, seen, noise):
    return S[np.ix_(seen, seen)] + np.diag(np.broadcast_to(noise, len(seen)))


def fill(mean, S, z):
    """z with its missing cells at their expectation given the others of their row; no row depends on the other rows.

    An empty S stands for independent columns.
    """
    missing = np.isnan(z)
    rows = np.flatnonzero(missing.any(axis=1))
    if not len(rows):
        return z
    filled = z.copy()
    for seen, some in patterns(z[rows]):
        some, hidden = rows[some], np.flatnonzero(missing[rows[some[0]]])
        expected = np.tile(mean[hidden], (len(some), 1))
        if len(S):
            gain, _ = conditional(S, seen, hidden)
            for j, row in zip(seen, gain, strict=True):  # not BLAS, whose sums depend on the number of rows
                expected += (z[some, j] - mean[j])[:, None] * row
        filled[np.ix_(some, hidden)] = expected
    return filled


def variance_of(S, z, predict, progress=None):
    """What missing cells add to the variance of a prediction, (n, m); 0.0 where nothing is missing.

    A row's missing cells are moved by one standard deviation to either side along each principal axis of their
    conditional covariance, and the mean squared changes of the prediction are summed over the axes. For a linear
    prediction this is linear error propagation; for others it is not zero where their slope is.

    Parameters
    ----------
    S : covariance of the columns (d, d); an empty one stands for independent columns
    z : ndarray of shape (n, d), NaN where missing
    predict : callable(rows, moves) -> ndarray of shape (len(rows), m)
        Predictions for rows of z, by number, filled and then moved by ``moves`` (len(rows), d).
    progress : Stages of _progress or None
    """
    incomplete = np.flatnonzero(np.isnan(z).any(axis=1))
    if not len(incomplete):
        return 0.0
    total, d = None, z.shape[1]
    n_axes = np.isnan(z).sum(axis=1).max()
    size, n_moves = max(1, MAX_AXES_NUMBERS // (n_axes * d)), max(1, MAX_AXES_NUMBERS // d)
    for part in np.split(incomplete, np.arange(size, len(incomplete), size)):
        start = predict(part, np.zeros((len(part), d)))
        total = np.zeros((len(z), *start.shape[1:])) if total is None else total
        axes = np.zeros((len(part), n_axes, d))
        for seen, some in patterns(z[part]):
            hidden = np.setdiff1d(np.arange(d), seen)
            left = conditional(S, seen, hidden)[1] if len(S) else np.eye(len(hidden))
            value, vector = np.linalg.eigh(left)
            axes[np.ix_(some, np.arange(len(hidden)), hidden)] = (vector * np.sqrt(np.maximum(value, 0.0))).T
        row, axis = np.nonzero(axes.any(axis=2))
        # Axes of several rows at once: one call for each would be thousands of calls for 20 rows of 1,000 columns.
        for some in np.split(np.arange(len(row)), np.arange(n_moves, len(row), n_moves)):
            if progress:
                progress.still(f"variance by missing descriptors: axis {some[0] + 1} of {len(row)}")
            for sign in (1.0, -1.0) if len(some) else ():
                changed = predict(part[row[some]], sign * axes[row[some], axis[some]])
                np.add.at(total, part[row[some]], (changed - start[row[some]]) ** 2 / 2)
    return total
