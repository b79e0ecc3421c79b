"""Features of few values, such as five temperatures: predictions between two values, and their errors.

A level is one value, or several values that are close together compared with the gap to the next: temperatures are
read, converted and rounded.

A threshold between two levels could be anywhere between them. All trees split in the middle, so that the prediction
would jump there. Therefore a row between two levels goes to both sides of such splits, and the leaves are weighted by
its distance to the levels: the prediction is a line from level to level. Rows at inner levels are predicted from the
two levels beside them; if their errors show that the function is curved in the same way everywhere, the lines are bent.
"""

import numpy as np

from skmerge._ext.tree_traversal import Gaps
from skmerge.metrics import HALF_90

MAX_LEVELS_PER_FEATURE, ROWS_PER_LEVEL = 20, 5  # a feature has at most so many levels, of so many rows each on average
GAP_RATIO = 10  # a gap between levels is so many times as wide as any within
ROUNDING_RATIO = 1e4  # so many times as wide: what lies within is rounding
DECADES = 100  # of positive values with such a ratio of the greatest to the least, logarithms are compared first
BEND_GAIN = 0.95  # a line is bent if less than this share of the absolute errors is left
MAX_BEND = 0.2  # of the difference of two levels
ALIKE_ERRORS = 0.1  # errors of neighbouring levels are alike from this product of their means on, in mean squares
MAX_INNER_ROWS = 400  # rows at inner levels that are predicted from the levels beside


def find(tree_data):
    """Levels of all features, one after the other, and where those of each begin, (d + 1,).

    Each level is stored as its least and its greatest value. Features along which slopes are known have no levels: the
    slopes say what happens between the values.
    """
    features = tree_data.features
    d = features.X.shape[1]
    known = set(tree_data.active[tree_data.axis]) if tree_data.slopes.shape[2] == len(tree_data.axis) else set(range(d))
    found, start = [], np.zeros(d + 1, np.intp)
    for j in range(d):
        own = slice(features.place[j], features.place[j + 1])
        low, high, begin = features.lower[own], features.upper[own], np.empty(0, np.intp)
        if j not in known:
            codes = features.codes[:, j]
            begin = starts_of_levels(low, np.bincount(codes[codes < len(low)], minlength=len(low)))
        found.append(np.column_stack([low[begin], high[np.r_[begin[1:], len(low)] - 1] if len(begin) else low[begin]]))
        start[j + 1] = start[j] + len(begin)
    return np.concatenate(found), start


def starts_of_levels(values, count):
    """Places (k,) at which the levels of a feature begin among its sorted values; ``count`` (n,): rows of each value.

    If there are few values, each is a level. But if they form three groups or more, each group is a level, provided
    that each has several values or that the differences within groups are so small that they are rounding. Many
    values have levels only if they form groups.
    """
    few = 2 <= len(values) <= MAX_LEVELS_PER_FEATURE and count.sum() >= ROWS_PER_LEVEL * len(values)
    scales = [values]
    if len(values) and values[0] > 0 and values[-1] / DECADES > values[0]:
        scales.insert(0, np.log(values))
    for x in scales[:1] if few else scales:
        begin, ratio = gathered(x, count)
        several = len(begin) > 2 and (ratio > ROUNDING_RATIO or (np.diff(begin, append=len(values)) > 1).all())
        if len(begin) and (several or not few):
            return begin
    return np.arange(len(values) if few else 0)


def gathered(x, count):
    """Where groups of sorted values begin, and how many times the gaps between them are as wide as those within.

    Empty and 0 if no gaps are much wider than the others, or if the groups other than the largest have too few rows:
    the outermost rows of a long tail are no levels.
    """
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        gap = np.diff(x)
        order = np.argsort(-gap, kind="stable")[:MAX_LEVELS_PER_FEATURE]
        ratio = gap[order[:-1]] / gap[order[1:]]
    for last in np.argsort(-ratio, kind="stable"):
        if not ratio[last] >= GAP_RATIO:
            break
        begin = np.r_[0, np.sort(order[: last + 1]) + 1]
        rows = np.add.reduceat(count, begin)
        if rows.sum() - rows.max() >= ROWS_PER_LEVEL * (last + 1):
            return begin, ratio[last]
    return np.empty(0, np.intp), 0.0


def gaps(X, level, start, bend):
    """Gaps: the rows of X that lie between levels, the two levels, and the weight of the upper one."""
    beside = {}
    for j in np.flatnonzero(start[1:] - start[:-1] > 1):
        (first, last), x = level[start[j] : start[j + 1]].T, X[:, j]
        above = last.searchsorted(x)  # for NaN the end
        inner = (above > 0) & (above < len(last)) & (first.take(above, mode="clip") > x)
        if inner.any():
            beside[j] = inner, last[above[inner] - 1], first[above[inner]]
    if not beside:
        return Gaps(np.empty(0, np.intp), *[np.empty((0, X.shape[1]))] * 5)
    low, high = np.full(X.shape, np.inf), np.full(X.shape, -np.inf)
    for j, (inner, below, above) in beside.items():
        low[inner, j], high[inner, j] = below, above
    at = np.flatnonzero((low < high).any(axis=1))
    X, low, high = X[at], low[at], high[at]
    width, share = _width_and_share(X, low, high)
    bend = np.clip(bend * width, -MAX_BEND, MAX_BEND)  # for a smooth function it grows with the distance
    near = share - 4 * bend * share * (1 - share)
    return Gaps(at, X, low, high, near, (1 - 4 * bend * (1 - 2 * share)) / width)


def _width_and_share(X, low, high):
    """Distance of the two levels beside each row, 1 without any, and the share of the way at which the row lies."""
    inside = low < high
    width = np.where(inside, high - low, 1.0)
    return width, np.where(inside, X - low, 0.0) / width


def distance(X, level, start, reach):
    """Distances (n,) of rows to the nearest level, the greatest over their features, in units of ``reach`` (d,)."""
    between = gaps(X, level, start, 0.0)
    out = np.zeros(len(X))
    with np.errstate(invalid="ignore"):  # inf - inf where there is no level
        near = np.minimum(between.X - between.low, between.high - between.X) / reach
    out[between.at] = np.where(between.low < between.high, near, 0.0).max(axis=1, initial=0.0)
    return out


def variance(between, error):
    """What is added to the variance of rows between levels, Gaps, (n, m); ``error``: of ``bends_and_errors``."""
    width, share = _width_and_share(between.X, between.low, between.high)
    return (4 * share * (1 - share) * width * (between.low < between.high)) ** 2 @ error**2


def bends_and_errors(X, y, weight, base2, level, start, predict):
    """How the lines between levels bend, (d,), and their standard error in the middle, (d, m), per unit of distance.

    Rows at inner levels are predicted by the line between the two levels beside them. At a share u of the way between
    these, the error is 4 u (1 - u) times that in the middle. If the errors of rows at two or more inner levels are
    explained by a fixed share of the difference of the two levels, the lines are bent by that share, the one with the
    least absolute errors. Between neighbouring levels the gap is half as wide as between the two levels: along a smooth
    curve the error is at most half as large, where y jumps it is as large. With two levels only, nothing is known about
    what lies between: the error is half of the difference of y.

    Parameters
    ----------
    base2 : ndarray of shape (m,), variance of y without all this
    predict : callable, values (n, m) of rows at levels
    """
    d, m = X.shape[1], y.shape[1]
    bend, out = np.zeros(d), np.zeros((d, m))
    with_levels = np.flatnonzero(np.diff(start) > 1)
    for j in with_levels:
        first, last = level[start[j] : start[j + 1]].T
        place = last.searchsorted(X[:, j])
        step = int(len(last) > 2)
        inner = (place > 0) & (place < len(last) - 1) if step else place < 2
        rows = np.flatnonzero(inner & ~np.isnan(X[:, j]))
        rows = rows[:: max(1, -(-len(rows) * len(with_levels) // MAX_INNER_ROWS))]
        if not len(rows):
            continue
        sides = np.repeat(X[rows][None], 2, axis=0)
        sides[0, :, j] = last[place[rows] - 1] if step else last[0]
        sides[1, :, j] = first[place[rows] + 1] if step else first[1]
        below, above = predict(sides.reshape(-1, d)).reshape(2, len(rows), m)
        width = (sides[1, :, j] - sides[0, :, j])[:, None]
        share = (X[rows, j] - sides[0, :, j])[:, None] / width if step else 0.5
        middle = 4 * share * (1 - share) * width
        error = (y[rows] if step else below) - (1 - share) * below - share * above
        straight = error
        seen, own = ~np.isnan(error), np.broadcast_to(weight[rows][:, None], error.shape)
        if len(last) > 3:
            fall = middle * (below - above)
            if changes_at_two_levels(np.abs(fall).sum(axis=1) * weight[rows], place[rows]):
                bend[j] = best_bend(error[seen], fall[seen], own[seen])
            error = error - bend[j] * fall
        size = np.sqrt(np.maximum(error**2 - step * base2, 0.0)) / middle
        for k in np.flatnonzero(seen.any(axis=0)):
            at = seen[:, k]
            x, w, at_level, each = size[at, k], own[at, k], place[rows[at]], middle[at, 0]
            out[j, k] = quantile(x, w, 0.9) / HALF_90
            if step and jumps(straight[at, k] / each, base2[k] / each**2, at_level, w):
                alike = at_level == np.unique(at_level)[:, None]
                # The tested line spans two gaps. A jump has the same error within one gap, so twice that per distance.
                out[j, k] = 2 * max(quantile(x[rows_of], w[rows_of], 0.9) for rows_of in alike) / HALF_90
    return bend, out


def jumps(error, noise2, level, weight):
    """Whether errors, beyond their noise, differ from one inner level to the next as if y jumped between them.

    Along a smooth curve the errors at neighbouring levels are alike: the product of their means is near the mean
    square. Where y jumps, only the two levels beside the jump have errors, and these have opposite signs. A single
    inner level cannot distinguish the two cases, and counts as a jump.
    """
    if np.average(error**2, weights=weight) < 2 * np.average(noise2, weights=weight):
        return False
    place = np.unique(level, return_inverse=True)[1]
    total = np.bincount(place, weight)
    mean, square = (np.bincount(place, weight * e) / total for e in (error, error**2 - noise2))
    return len(mean) < 2 or np.mean(mean[1:] * mean[:-1]) < ALIKE_ERRORS * square.mean()


def changes_at_two_levels(fall, level):
    """Whether y changes at two inner levels at least; a single one, beside a jump, must not bend all lines."""
    size = np.sort(np.bincount(level, np.nan_to_num(fall)))
    return size[-2] > MAX_BEND * size[-1]


def best_bend(error, fall, weight):
    """The multiple of ``fall`` with which the sum of absolute errors is least; 0 if it decreases the sum by little."""
    size = weight * np.abs(fall)
    if not size.any():
        return 0.0
    at = size > 0
    best = quantile(error[at] / fall[at], size[at], 0.5)
    left = np.abs(error - best * fall) @ weight
    return best if left < BEND_GAIN * (np.abs(error) @ weight) else 0.0


def quantile(x, weight, share):
    """The least x such that the weights up to it sum to at least this share of all."""
    order = np.argsort(x, kind="stable")
    reached = np.cumsum(weight[order])
    return x[order][np.searchsorted(reached, share * reached[-1])]
