"""Slow, obvious NumPy twins of the forest's compiled code: polynomials, the best split, one tree, its traversal."""

import numpy as np

# --- polynomials, [a, b_1..b_k, h_11, h_21, h_22, h_31, ...] ----------------------------------------------------------


def terms(z, n_square):
    second = []
    for i in range(n_square):
        second += [z[i] * z[j] for j in range(i)] + [z[i] ** 2 / 2]
    return np.array([1.0, *z, *second])


def slope_terms(z, v, n_square):
    """Derivative of the terms along v; a complex step takes no difference."""
    return np.imag(terms(z + 1e-200j * v, n_square)) / 1e-200


# --- the best split ---------------------------------------------------------------------------------------------------


def taken_away(x, weight, rest, linear, ridge):
    """Squares that a constant or, x being given from the node's centre, a line takes away from rest (n, c)."""
    if not len(x):
        return 0.0
    x, rest = np.nan_to_num(x), np.nan_to_num(rest)
    W = weight.sum()
    mean = weight @ rest / W
    total = W * (mean**2).sum()
    deviation = x - weight @ x / W
    spread = weight @ deviation**2
    if linear and spread > 1e-12 * (weight @ x**2):
        total += ((weight * deviation) @ rest).dot((weight * deviation) @ rest) / (spread * (1 + ridge / len(x)))
    return total


def gain_of(x, weight, rest, left, linear, ridge):
    sides = [taken_away(x[side], weight[side], rest[side], linear, ridge) for side in (left, ~left, left | ~left)]
    return sides[0] + sides[1] - sides[2]


def all_splits(X, weight, rest, factor, centre, linear, ridge, min_leaf):
    """(gain, feature, greatest value on the left, whether missing goes left, rows on the left) of every split."""
    for f in range(X.shape[1]):
        x, missing = X[:, f], np.isnan(X[:, f])
        values = np.unique(x[~missing])
        for missing_left in (False, True) if missing.any() else (False,):
            for value in values if missing.any() and not missing_left else values[:-1]:
                left = (x <= value) | (missing & missing_left)
                if min(left.sum(), (~left).sum()) >= min_leaf:
                    gain = gain_of(x - centre[f], weight, rest * factor, left, linear, ridge)
                    yield gain, f, value, missing_left, left


def best_split(X, weight, rest, factor, centre, linear=False, ridge=0.0, min_leaf=1):
    best = (0.0, None, None, None, None)
    for found in all_splits(X, weight, rest, factor, centre, linear, ridge, min_leaf):
        if found[0] > best[0] * (1 + 1e-12):
            best = found
    return None if best[1] is None else best


# --- one tree ---------------------------------------------------------------------------------------------------------


class Tree:
    """A tree grown by recursion; a node's model is the sum of its own correction and those of all nodes above.

    ``y`` (n, m); ``slopes`` (n, m, s) along ``directions`` (n, s, k), per unit of the coordinates; the coordinates are
    (X - shift) unit, 0 where unknown.
    """

    def __init__(self, X, y, slopes, directions, n_axes, weight, shift, unit, n_square, linear, ridge, min_leaf,
                 max_depth=99, min_gain=0.0):  # fmt: skip
        self.X, self.y, self.directions, self.n_axes, self.weight = X, y, directions, n_axes, weight
        self.shift, self.unit, self.q = shift, unit, n_square
        self.linear, self.ridge, self.min_leaf, self.max_depth = linear, ridge, min_leaf, max_depth
        self.min_gain = min_gain  # of the mean square that the node leaves over
        self.T = self.coordinates(X)
        self.rest, self.slope_rest = y.copy(), slopes.copy()
        self.n_leaves = 0
        rows = np.flatnonzero(weight > 0)
        self.n = len(rows)
        self.root = self.node(rows, None, [], 0)

    def coordinates(self, X):
        return np.nan_to_num((X[:, : len(self.shift)] - self.shift) * self.unit)

    def fit(self, rows, ratio):
        """Correct the rows' rest by least squares, one output after the other."""
        k, m, s = len(self.shift), self.y.shape[1], self.slope_rest.shape[2]
        weight, T = self.weight[rows], self.T[rows]
        centre = weight @ T / weight.sum()
        variance = weight @ (T - centre) ** 2 / weight.sum()
        width = np.sqrt(np.where(variance > 1e-20, variance, 1.0))
        Z = (T - centre) / width
        scale = np.empty(s)
        for j in range(s):
            scale[j] = np.average(((self.directions[rows, j] * width) ** 2).sum(axis=1), weights=weight)
        ratio = np.tile(scale, (m, 1)) if ratio is None else np.clip(ratio, 0.01 * scale, 1e4 * scale)
        betas, squares = [], 0.0
        for o in range(m):
            A, b, w, plain = [], [], [], []
            for i, row in enumerate(rows):
                if not np.isnan(self.rest[row, o]):
                    A.append(terms(Z[i], self.q)), b.append(self.rest[row, o])
                    w.append(weight[i]), plain.append(weight[i])
                for j in range(s):
                    if not np.isnan(self.slope_rest[row, o, j]):
                        A.append(slope_terms(Z[i], self.directions[row, j] / width, self.q))
                        b.append(self.slope_rest[row, o, j])
                        w.append(weight[i] * ratio[o, j]), plain.append(weight[i])
            p = len(terms(np.zeros(k), self.q))
            for lower in (1 + k, 1):
                if 2 * len(A) + 2 < 3 * p:
                    p = lower
            beta = np.zeros(len(terms(np.zeros(k), self.q)))
            measured = ~np.isnan(self.rest[rows, o])
            if p == 1 and measured.any():
                beta[0] = np.average(self.rest[rows, o][measured], weights=weight[measured])
            elif p > 1:
                A, w = np.array(A)[:, :p], np.array(w)
                G = (A.T * w) @ A + np.diag([0.0] + [self.ridge * np.mean(plain)] * (p - 1))
                if G[0, 0] == 0:
                    G[0, 0] = 1.0
                beta[:p] = np.linalg.solve(G, (A.T * w) @ b)
            for i, row in enumerate(rows):
                self.rest[row, o] -= terms(Z[i], self.q) @ beta
                for j in range(s):
                    self.slope_rest[row, o, j] -= slope_terms(Z[i], self.directions[row, j] / width, self.q) @ beta
            betas.append(beta)
            missed = mean_square(self.rest[rows, o], weight)
            squares += np.nansum(weight * self.rest[rows, o] ** 2)
            for j in range(s):
                missed_slope = mean_square(self.slope_rest[rows, o, j], weight)
                squares += ratio[o, j] * np.nansum(weight * self.slope_rest[rows, o, j] ** 2)
                if missed > 0 and missed_slope > 0:
                    ratio[o, j] = missed / missed_slope
        return (centre, width, np.array(betas)), ratio, squares

    def node(self, rows, ratio, above, depth):
        correction, ratio, squares = self.fit(rows, ratio)
        models = [*above, correction]
        split = None
        if len(rows) >= 2 * self.min_leaf and depth < self.max_depth and squares > 1e-10 * self.n:
            rest = np.concatenate([self.rest[rows], self.slope_rest[rows].reshape(len(rows), -1)], axis=1)
            factor = np.r_[np.ones(self.y.shape[1]), np.sqrt(ratio.ravel())]
            centre = np.zeros(self.X.shape[1])
            centre[: len(self.shift)] = self.shift + correction[0] / self.unit
            split = best_split(
                self.X[rows], self.weight[rows], rest, factor, centre, self.linear, self.ridge, self.min_leaf
            )
        if split is None or split[0] <= self.min_gain * squares / len(rows):
            self.n_leaves += 1
            return {"models": models, "T": self.T[rows], "y": self.y[rows]}
        _, f, value, missing_left, left = split
        beyond = self.X[rows, f][~left]
        beyond = beyond[beyond > value]
        threshold = (value + beyond.min()) / 2 if len(beyond) else np.inf
        if not np.isnan(self.X[rows, f]).any():
            missing_left = 2 * left.sum() >= len(rows)
        return {
            "split": (f, threshold, missing_left),
            "left": self.node(rows[left], ratio, models, depth + 1),
            "right": self.node(rows[~left], ratio, models, depth + 1),
        }

    def predict(self, X):
        return np.array([self.predict_row(x, t) for x, t in zip(X, self.coordinates(X), strict=True)])

    def predict_row(self, x, t):
        node = self.root
        while "split" in node:
            f, threshold, missing_left = node["split"]
            node = node["left"] if (missing_left if np.isnan(x[f]) else x[f] <= threshold) else node["right"]
        if len(t):
            low, high = node["T"].min(axis=0), node["T"].max(axis=0)
            t = np.clip(t, low - (high - low) / 2, high + (high - low) / 2)
        values = sum(betas @ terms((t - centre) / width, self.q) for centre, width, betas in node["models"])
        for o in range(len(values)):
            y = node["y"][:, o][~np.isnan(node["y"][:, o])]
            if len(y) and len(t):
                values[o] = np.clip(values[o], y.min() - np.ptp(y), y.max() + np.ptp(y))
        return values


def mean_square(rest, weight):
    known = ~np.isnan(rest)
    return np.average(rest[known] ** 2, weights=weight[known]) if known.any() else 0.0


# --- traversal --------------------------------------------------------------------------------------------------------


def leaf_of(nodes, x):
    """The leaf of one row in one tree, counted from its root, ``nodes`` being those of that tree alone."""
    i = 0
    while nodes[i]["feature"] >= 0:
        value, child = x[nodes[i]["feature"]], nodes[i]["child"]
        left = nodes[i]["missing_left"] if np.isnan(value) else value <= nodes[i]["threshold"]
        i = child if left else child + 1
    return i


def leaf_value(leaf, x, m, active, shift, unit, n_square, clip):
    """Values (m,) and exact slopes (m, d) of a leaf at one row."""
    k, d = len(active), len(x)
    if k == 0:
        return leaf.copy(), np.zeros((m, d))
    centre, low, high = leaf[:k], leaf[k : 2 * k], leaf[2 * k : 3 * k]
    raw = np.nan_to_num((x[active] - shift) * unit)
    t = np.clip(raw, low, high) if clip else raw
    values, slopes = np.empty(m), np.zeros((m, d))
    for o in range(m):
        *coef, least, greatest = leaf[3 * k :].reshape(m, -1)[o]
        values[o] = terms(t - centre, n_square) @ coef
        for i in range(k):
            slope = slope_terms(t - centre, np.eye(k)[i], n_square) @ coef
            outside = raw[i] != t[i] or not (least <= values[o] <= greatest)
            slopes[o, active[i]] = 0.0 if np.isnan(x[active[i]]) or (clip and outside) else slope * unit[i]
        if clip:
            values[o] = np.clip(values[o], least, greatest)
    return values, slopes
