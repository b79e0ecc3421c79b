"""Features of few values, such as five temperatures: where a row lies between two of them, and what that costs.

A threshold between two levels could be anywhere between them: trees that cut at the same middle jump there together.
So a row between two levels goes to both sides, and the leaves count by how near it is: a line from level to level.
"""

import numpy as np

MOST, ROWS = 20, 5  # a feature with at most so many values, of so many rows each on average, has levels
JUDGED = 400  # rows at inner levels that are predicted from the levels beside
HALF_90 = 1.645


def find(ground):
    """Levels of all features, one after the other, and where those of each begin, (d + 1,).

    Features along which slopes are known have none: these tell what happens between.
    """
    n, d = ground.X.shape
    known = set(ground.active[ground.axis]) if ground.slopes.shape[2] == len(ground.axis) else set(range(d))
    found, start = [], np.zeros(d + 1, np.intp)
    for j in range(d):
        values = ground.lower[ground.place[j] : ground.place[j + 1]]
        if j in known or not 2 <= len(values) <= MOST or n < ROWS * len(values):
            values = values[:0]
        found.append(values)
        start[j + 1] = start[j] + len(values)
    return np.concatenate(found), start


def gaps(X, level, start):
    """Rows that lie between levels, the levels below and above each, and in how many features at most.

    Returns
    -------
    at : ndarray of row numbers
    low, high : ndarray of shape (len(at), d), inf and -inf where a row is at a level or the feature has none; or None
    depth : int
    """
    found = []
    for j in np.flatnonzero(start[1:] - start[:-1] > 1):
        values, x = level[start[j] : start[j + 1]], X[:, j]
        above = values.searchsorted(x)  # of NaN the end
        inner = (above > 0) & (above < len(values)) & (values.take(above, mode="clip") != x)
        if inner.any():
            found.append((j, inner, values[above[inner] - 1], values[above[inner]]))
    if not found:
        return np.empty(0, np.intp), None, None, 0
    low, high = np.full(X.shape, np.inf), np.full(X.shape, -np.inf)
    for j, inner, below, above in found:
        low[inner, j], high[inner, j] = below, above
    count = (low < high).sum(axis=1)
    at = np.flatnonzero(count)
    return at, low[at], high[at], int(count.max())


def distance(X, level, start, reach):
    """(n,): how far each row is from the nearest level, at most over its features, in units of ``reach`` (d,)."""
    at, low, high, _ = gaps(X, level, start)
    out = np.zeros(len(X))
    if not len(at):
        return out
    with np.errstate(invalid="ignore"):  # inf - inf where there is no level
        near = np.minimum(X[at] - low, high - X[at]) / reach
    out[at] = np.where(low < high, near, 0.0).max(axis=1, initial=0.0)
    return out


def variance(X, low, high, error):
    """What lying between levels adds to the variance, (n, m); ``error`` (d, m) is that of ``errors``."""
    between = low < high
    width = np.where(between, high - low, 1.0)
    share = np.where(between, X - low, 0.0) / width
    return (4 * share * (1 - share) * width * between) ** 2 @ error**2


def errors(X, y, weight, base2, level, start, predict):
    """Standard error in the middle between two levels for each unit of their distance, (d, m).

    Rows at inner levels are predicted by the line between the two levels beside, their error is 4 u (1 - u) times that
    in the middle. Of two levels only nobody knows: half of what y differs by.

    Parameters
    ----------
    base2 : ndarray of shape (m,), variance of y without all this
    predict : callable, values (n, m) of rows at levels
    """
    d, m = X.shape[1], y.shape[1]
    out = np.zeros((d, m))
    with_levels = np.flatnonzero(np.diff(start) > 1)
    for j in with_levels:
        values = level[start[j] : start[j + 1]]
        place = np.searchsorted(values, X[:, j])
        inner = (place > 0) & (place < len(values) - 1) if len(values) > 2 else place < 2
        rows = np.flatnonzero(inner & ~np.isnan(X[:, j]))
        rows = rows[:: max(1, -(-len(rows) * len(with_levels) // JUDGED))]
        if not len(rows):
            continue
        sides = np.repeat(X[rows][None], 2, axis=0)
        step = 1 if len(values) > 2 else 0
        sides[0, :, j] = values[place[rows] - 1] if step else values[0]
        sides[1, :, j] = values[place[rows] + 1] if step else values[1]
        below, above = predict(sides.reshape(-1, d)).reshape(2, len(rows), m)
        width = sides[1, :, j] - sides[0, :, j]
        share = (X[rows, j] - sides[0, :, j]) / width if step else np.full(len(rows), 0.5)
        target = y[rows] if step else below
        for k in range(m):
            error = target[:, k] - (1 - share) * below[:, k] - share * above[:, k]
            seen = ~np.isnan(error)
            if not seen.any():
                continue
            size = np.sqrt(np.maximum(error[seen] ** 2 - step * base2[k], 0.0))
            size /= (4 * share * (1 - share) * width)[seen]
            order = np.argsort(size, kind="stable")
            reached = np.cumsum(weight[rows][seen][order])
            out[j, k] = size[order][np.searchsorted(reached, 0.9 * reached[-1])] / HALF_90
    return out
