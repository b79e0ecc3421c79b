"""Features of few values, such as five temperatures: where a row lies between two of them, and what that costs.

A threshold between two levels could be anywhere between them: trees that cut at the same middle jump there together.
So a row between two levels goes to both sides, and the leaves count by how near it is: a line from level to level, bent
where rows at inner levels, predicted from the levels beside, tell that all of it bends alike.
"""

import numpy as np

MOST, ROWS = 20, 5  # a feature with at most so many values, of so many rows each on average, has levels
GAIN, BENT = 0.95, 0.2  # absolute errors left over, of what was, for which a line is bent; by how much at most
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


def gaps(X, level, start, bend):
    """Rows that lie between levels, the levels below and above each, by what share it belongs to that above, and more.

    Returns
    -------
    at : ndarray of row numbers
    low, high : ndarray of shape (len(at), d), inf and -inf where a row is at a level or the feature has none; or None
    near, steep : ndarray of shape (len(at), d), the share and its slope; or None
    depth : int, in how many features a row lies between levels at most
    """
    found = []
    for j in np.flatnonzero(start[1:] - start[:-1] > 1):
        values, x = level[start[j] : start[j + 1]], X[:, j]
        above = values.searchsorted(x)  # of NaN the end
        inner = (above > 0) & (above < len(values)) & (values.take(above, mode="clip") != x)
        if inner.any():
            found.append((j, inner, values[above[inner] - 1], values[above[inner]]))
    if not found:
        return np.empty(0, np.intp), None, None, None, None, 0
    low, high = np.full(X.shape, np.inf), np.full(X.shape, -np.inf)
    for j, inner, below, above in found:
        low[inner, j], high[inner, j] = below, above
    count = (low < high).sum(axis=1)
    at = np.flatnonzero(count)
    low, high = low[at], high[at]
    inside = low < high
    width = np.where(inside, high - low, 1.0)
    share = np.where(inside, X[at] - low, 0.0) / width
    bend = np.clip(bend * width, -BENT, BENT)  # of a smooth function it grows with the distance
    near = share - 4 * bend * share * (1 - share)
    return at, low, high, near, (1 - 4 * bend * (1 - 2 * share)) / width, int(count.max())


def distance(X, level, start, reach):
    """(n,): how far each row is from the nearest level, at most over its features, in units of ``reach`` (d,)."""
    at, low, high, *_ = gaps(X, level, start, 0.0)
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


def judge(X, y, weight, base2, level, start, predict):
    """How the lines between levels bend, (d,), and their standard error in the middle, (d, m), per unit of distance.

    Rows at inner levels are predicted by the line between the two levels beside; its error is 4 u (1 - u) times that
    in the middle. If a share of the fall from level to level explains it, the least absolute errors decide which, and
    two or more inner levels. Of two levels only nobody knows: half of what y differs by.

    Parameters
    ----------
    base2 : ndarray of shape (m,), variance of y without all this
    predict : callable, values (n, m) of rows at levels
    """
    d, m = X.shape[1], y.shape[1]
    bend, out = np.zeros(d), np.zeros((d, m))
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
        width = (sides[1, :, j] - sides[0, :, j])[:, None]
        share = (X[rows, j] - sides[0, :, j])[:, None] / width if step else 0.5
        middle = 4 * share * (1 - share) * width
        error = (y[rows] if step else below) - (1 - share) * below - share * above
        seen, own = ~np.isnan(error), np.broadcast_to(weight[rows][:, None], error.shape)
        if len(values) > 3:
            fall = middle * (below - above)
            bend[j] = bent(error[seen], fall[seen], own[seen])
            error = error - bend[j] * fall
        size = np.sqrt(np.maximum(error**2 - step * base2, 0.0)) / middle
        for k in np.flatnonzero(seen.any(axis=0)):
            out[j, k] = quantile(size[seen[:, k], k], own[seen[:, k], k], 0.9) / HALF_90
    return bend, out


def bent(error, fall, weight):
    """The multiple of ``fall`` that leaves the least absolute errors, 0 if it helps little."""
    size = weight * np.abs(fall)
    if not size.any():
        return 0.0
    at = size > 0
    best = quantile(error[at] / fall[at], size[at], 0.5)
    left = np.abs(error - best * fall) @ weight
    return best if left < GAIN * (np.abs(error) @ weight) else 0.0


def quantile(x, weight, share):
    order = np.argsort(x, kind="stable")
    reached = np.cumsum(weight[order])
    return x[order][np.searchsorted(reached, share * reached[-1])]
