"""Start values of nodes: drawn at random, ranked by how much of the residual of a net they explain."""

from typing import NamedTuple

import numpy as np

from skmerge._net.floats import SMALL, squarable
from skmerge._net.objective import Network, NewNode, collinear

START_EXPONENTS = np.array([-3, -2, -1.5, -1, -0.5, 0.5, 1, 1.5, 2, 3])
N_CANDIDATES = 300
MAX_LAW_FEATURES = 25  # that the search for a law considers; a committee takes all
SEARCH_ROWS = 2000  # at most, on which candidates are ranked
RANK_VALUES = 100_000  # rows times candidates ranked together; bounds the memory


def values_of(log, positive, A, sign):
    """Products of powers A (t, d) of features, (n, t), within the range of float.

    ``log``, ``positive`` (n, d): logarithms of the sizes of features, and their signs, which count where ``sign``
    (t, d) says so.
    """
    with np.errstate(all="ignore"):
        values = log @ A.T
        np.exp(np.clip(values, -300, 300, out=values), out=values)
    for j in np.flatnonzero(sign.any(axis=0)):
        values *= np.where(sign[:, j], positive[:, [j]], 1.0)
    return values


class SaturatingSums(NamedTuple):
    """Drawn sums that saturate: slopes, where each is steepest, its plateau, and its value in each row."""

    A: np.ndarray  # (n, d)
    middle: np.ndarray  # (n,)
    height: np.ndarray  # (n,)
    columns: np.ndarray  # (n_rows, n)


class Candidates:
    """Draws nodes of one output; ``sign``: "auto", or bool (d,), the features over which the sign of a product runs.

    ``X``, ``y``, ``root``: the rows on which candidates are ranked, and the roots of their weights; ``excluded``, bool
    (d,): features that take no part; ``admitted``: numbers of the features whose exponents are drawn.
    """

    def __init__(self, objective, sign, rng):
        self.objective, self.sign, self.rng = objective, sign, rng
        s = objective.scaling
        low, high = objective.exponent_bounds
        self.excluded = self._weakest()
        self.admitted = np.flatnonzero((s.product > 0) & (high > low) & ~self.excluded)
        self.prior = np.clip(0.0, low, high) * (s.product > 0)  # the exponent of a feature that is not drawn
        rows = np.arange(objective.n)
        if objective.n > SEARCH_ROWS:
            rows = np.sort(rng.choice(objective.n, SEARCH_ROWS, replace=False))
        self.X, self.y = objective.X[rows], objective.y[rows]
        self.root = np.sqrt(objective.weight[rows] / objective.weight[rows].sum())
        with np.errstate(over="ignore"):
            scaled = squarable(self.X / s.x_scale)
        self.centred = scaled - s.x_mean
        with np.errstate(divide="ignore"):
            self.log = np.where(scaled == 0, -708.0, np.log(np.abs(scaled)))
        self.positive = np.sign(self.X)

    def tied(self):
        """Whether columns, or their logarithms, are collinear."""
        return collinear(self.centred, self.root) or collinear(self.log[:, self.admitted], self.root)

    def _weakest(self):
        """Beyond MAX_LAW_FEATURES, the features least correlated with y, raw or in logarithms, as bool (d,)."""
        o, s = self.objective, self.objective.scaling
        excluded = np.zeros(o.d, bool)
        if o.d > MAX_LAW_FEATURES:
            y = (o.y - o.weight @ o.y) * o.weight
            strength = np.empty(o.d)
            for j in range(o.d):
                with np.errstate(over="ignore", divide="ignore"):
                    x = squarable(o.X[:, j] / s.x_scale[j])
                    log = np.log(np.abs(x)) if s.product[j] and not s.zeros[j] else x
                strength[j] = max(abs(y @ z) / (np.sqrt(o.weight @ (z - o.weight @ z) ** 2) + SMALL) for z in (x, log))
            excluded[np.argsort(-strength, kind="stable")[MAX_LAW_FEATURES:]] = True
        return excluded

    def after(self, net):
        """Each NewNode that would explain most of the residual of the net."""
        constant = np.ones((len(self.y), int(self.objective.intercept)))
        outputs = np.column_stack([constant] + [self._output(net, i) for i in range(net.n_nodes)])
        basis, _ = np.linalg.qr(outputs * self.root[:, None])
        residual = (self.y - self.objective.predict(net, self.X)) * self.root
        residual = residual - basis @ (basis.T @ residual)
        blend = self.objective.blend
        kinds = {"learn": ("product", "sum"), 0.0: ("product",), 1.0: ("sum",)}.get(blend, ("blend",))
        found = []
        for kind in kinds:
            A, sign, columns = self._sums(net, residual) if kind == "sum" else self._products(net)
            for t, factor in self._rank(columns, residual, basis, additive=A if kind == "blend" else None)[:5]:
                found.append(self._node(kind, A[t], sign[t], factor))
        if blend == 1.0:  # without products only these are curved; beside products they were found to replace the law
            drawn = self._saturating()
            for t, factor in self._rank(drawn.columns, residual, basis)[:4]:
                node = self._node("sum", drawn.A[t], np.zeros(self.objective.d, np.uint8), factor, saturating=True)
                node.start[-3:-1] = -factor * drawn.middle[t], 1.0 / max(abs(factor) * drawn.height[t], 1e-12)
                found.append(node)
        return found

    def _output(self, net, i):
        """Output of node i, which a change of its amplitude multiplies."""
        m = net.n_features + 3
        theta = np.append(net.theta[i * m : (i + 1) * m], 0.0)
        alone = Network(theta, net.sign[i : i + 1], theta, theta)
        return self.objective.predict(alone, self.X)

    def _products(self, net):
        """Drawn exponents and signs, and the product of each row: (A, sign, columns)."""
        rng, admitted = self.rng, self.admitted
        may = self.objective.scaling.product > 0
        A = np.tile(self.prior, (N_CANDIDATES, 1))
        old = [net.nodes[i, : self.objective.d] * may for i in range(net.n_nodes) if net.kind(i) != "sum"]
        if len(admitted):
            # Terms of a law share factors: of a node that is there already, one to three exponents are changed.
            kept = rng.random((N_CANDIDATES, 1)) < (0.6 if old else 0.0)
            if old:
                A = np.where(kept, np.array(old)[rng.integers(len(old), size=N_CANDIDATES)], A)
            most = np.where(kept, min(3, len(admitted)), min(12, len(admitted)))
            size = rng.integers(1, most + 1)
            # The features with the largest log p + Gumbel number are drawn without replacement, with probabilities p.
            key = rng.gumbel(size=(N_CANDIDATES, len(admitted)))
            key += np.where(kept, 0.0, np.log(self._relevance(net)))
            drawn = np.argsort(np.argsort(-key, axis=1), axis=1) < size
            value = START_EXPONENTS[rng.integers(len(START_EXPONENTS), size=key.shape)]
            now = A[:, admitted]
            changed = np.where(rng.random(key.shape) < 0.7, now + value, 0.0)
            A[:, admitted] = np.where(drawn, np.where(kept, changed, value), now)
        low, high = self.objective.exponent_bounds
        A = np.clip(A, np.maximum(low, -8.0), np.maximum(np.minimum(high, 8.0), low))
        A[:, self.objective.scaling.product == 0] = 0.0
        sign = np.zeros(A.shape, np.uint8)
        signed = np.flatnonzero(self.objective.scaling.signed)
        if isinstance(self.sign, str):
            sign[:, signed] = rng.random((len(A), len(signed))) < 0.5
            sign[A == 0] = 0
        else:
            sign[:] = self.sign & (self.objective.scaling.product > 0)
        return A, sign, values_of(self.log, self.positive, A, sign)

    def _relevance(self, net):
        """Probabilities of the admitted features: greater where the logarithm is correlated with the residual."""
        residual = self.y - self.objective.predict(net, self.X)
        logs = self.log[:, self.admitted]
        logs = logs - logs.mean(axis=0)
        strength = np.abs(residual @ logs) / (np.linalg.norm(logs, axis=0) * np.linalg.norm(residual) + 1e-300)
        weight = strength**2 + max(strength.max() ** 2, 1e-12) * 0.3
        return weight / weight.sum()

    def _sums(self, net, residual):
        """The linear node that fits best, if there is none yet, as (A, sign, columns)."""
        d = self.objective.d
        linear = [i for i in range(net.n_nodes) if net.kind(i) == "sum" and net.nodes[i, d + 1] == 0]
        A = np.zeros((0 if linear else 1, d))
        if not linear:
            A[0] = np.linalg.lstsq(self.centred * (self.root[:, None] * ~self.excluded), residual, rcond=1e-10)[0]
            A[0, (self.objective.scaling.slope_variance < 1e-24) | self.excluded] = 0.0
        return A, np.zeros(A.shape, np.uint8), self.centred @ A.T

    def _saturating(self):
        """SaturatingSums in random directions about random rows."""
        rng, d, s = self.rng, self.objective.d, self.objective.scaling
        size = N_CANDIDATES // 3
        spread = np.sqrt(s.slope_variance)
        A = rng.normal(size=(size, d)) * (rng.random((size, d)) < rng.uniform(0.2, 1, (size, 1)))
        A = np.where((spread > 1e-12) & ~self.excluded, A / np.maximum(spread, 1e-12), 0.0)
        u = self.centred @ A.T
        middle = u[rng.integers(len(u), size=size), np.arange(size)]
        height = u.std(axis=0) * np.exp(rng.normal(size=size)) + 1e-12
        u = u - middle
        return SaturatingSums(A, middle, height, u / (1 + np.abs(u) / height))

    def _rank(self, columns, residual, basis, additive=None):
        """The columns that explain most of the residual beside the present nodes: [(index, factor), ...], best first.

        With ``additive`` the nodes blend: their sums have no free factor, only the products have one, B.
        """
        if not columns.shape[1]:
            return []
        gain, factor, size = np.empty((3, columns.shape[1]))
        step = max(1, RANK_VALUES // len(residual))
        for part in (slice(start, start + step) for start in range(0, columns.shape[1], step)):
            some = None if additive is None else additive[part]
            gain[part], factor[part], size[part] = self._gain(columns[:, part], residual, basis, some)
        worth = np.isfinite(gain) & np.isfinite(factor) & (size > 1e-6) & ((gain > 0) | (additive is not None))
        order = np.argsort(np.where(worth, -gain, np.inf), kind="stable")
        return [(int(t), factor[t]) for t in order[: np.count_nonzero(worth)]]

    def _gain(self, columns, residual, basis, additive):
        """Squares that each column explains beside the present nodes, its factor, and how much of it is new."""
        target = residual[:, None]
        if additive is not None:
            a = self.objective.blend
            added = a * (self.centred @ additive.T) * self.root[:, None]
            target = target - (added - basis @ (basis.T @ added))
            columns = a - (1.0 - a) * columns
        with np.errstate(all="ignore"):
            columns = columns * self.root[:, None]
            norm = np.linalg.norm(columns, axis=0)
            columns = columns / norm
            left = columns - basis @ (basis.T @ columns)
            size = (left**2).sum(axis=0)
            amplitude = (target * left).sum(axis=0) / size
            gain = (residual**2).sum() - (target**2).sum(axis=0) + amplitude**2 * size
            return gain, amplitude / norm, size

    def _node(self, kind, A, sign, factor, saturating=False):
        """A NewNode of a kind, from the factor of its column."""
        d = self.objective.d
        lower, upper = self.objective.node_bounds(kind, saturating)
        lower[:d][self.excluded] = upper[:d][self.excluded] = np.clip(0.0, lower[:d], upper[:d])[self.excluded]
        start = np.zeros(d + 3)
        start[d + 2] = {"product": 0.0, "sum": 1.0}.get(kind, self.objective.blend)
        if kind == "sum":
            start[:d] = A * factor
            if not saturating:
                lower[d] = upper[d] = 0.0  # the constant already shifts a linear node
        else:
            start[:d] = A
            start[d] = factor if kind == "blend" else -factor
        return NewNode(start, lower, upper, sign)

    def saturated(self):
        """Each NewNode, a product that saturates, that would explain most beside a constant.

        They are drawn as such, because the best product that does not saturate may be no start: that for 5 x / (2 + x)
        may be x^0.001 times a huge factor.
        """
        if self.objective.blend not in ("learn", 0.0) or not len(self.admitted):
            return []
        A, sign, columns = self._products(self.objective.constant())
        height = np.exp(1.5 * self.rng.normal(size=len(A)))  # of the plateau, over the product at the features' units
        columns = columns / (1.0 + np.abs(columns) / height)
        residual = (self.y - self.objective.constant().theta) * self.root
        found = []
        for t, factor in self._rank(columns, residual, self.root[:, None])[:3]:
            node = self._node("product", A[t], sign[t], factor, saturating=True)
            node.start[-2] = 1.0 / max(abs(factor) * height[t], 1e-6)
            found.append(node)
        return found
