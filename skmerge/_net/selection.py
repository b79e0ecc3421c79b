"""Search for a law: nodes added one by one, then parameters fixed at simple values while the data do not object.

The criterion is n log(residual) + log(n) n_parameters n / (n - n_parameters), Schwarz's with the small-sample factor,
n being the number of distinct rows (weights say how exact they are, not how many); between its best few numbers of
nodes cross-validation decides.
"""

from dataclasses import dataclass, replace

import numpy as np

from skmerge._net.comparison import left_out, no_worse
from skmerge._net.objective import MAX_EXPONENT, ROUNDING, Network, Scaling, collinear
from skmerge._progress import SILENCE, refine, rms

EXHAUSTED = 1e-17  # of a law without noise this is left: the data are rounded to 1e-10
# Values an exponent is offered: zero, thirds and halves up to 3, then whole numbers.
SIMPLE = np.unique(np.outer([-1, 1], [0, 1 / 3, 1 / 2, 2 / 3, 1, 3 / 2, 2, 5 / 2, 3, 4, 5, 6]))
START_EXPONENTS = np.array([-3, -2, -1.5, -1, -0.5, 0.5, 1, 1.5, 2, 3])
MAX_NODES = 10  # of a law; 6 leave 17 % of the Feynman formulae above R2 = 0.999 unexplained, 10 leave 15 %
N_CANDIDATES = 300
BEAM = 2
# Ridge where columns are collinear. Without, each fold shares a slope among them in its own way: a line in 40 rows with
# one column twice had a validation error of 0.4 to 1.8 std(y), with 1e-6 of 0.07, with 1e-5 of 0.003, its noise.
TIE_BREAKER = 1e-5
MAX_FEATURES = 25  # that a law is searched in; a committee takes all
SEARCH_ROWS = 2000  # candidates are ranked on no more rows than these
RANK_VALUES = 100_000  # rows times candidates ranked together; bounds the memory


def _nodes(count):
    return f"{count} node" if count == 1 else f"{count} nodes"


def criterion(objective, net):
    n, p = objective.n, net.n_free
    if p >= n:
        return np.inf
    return n * np.log(max(net.squares, ROUNDING)) + np.log(n) * p * n / (n - p)


@dataclass(frozen=True)
class Ridge:
    """Ridge penalty of every parameter of a net; in the last fit, which keeps a choice between ties, only the given."""

    scaling: Scaling
    given: float
    tie_breaker: float

    def __call__(self, net, last=False):
        penalty = np.zeros(len(net.theta))
        strength = self.given if last else max(self.given, self.tie_breaker)
        if strength:
            s = self.scaling
            rows = penalty[:-1].reshape(net.n_nodes, net.n_features + 3)
            for i in range(net.n_nodes):
                product = net.kind(i) != "sum"
                spread = np.where(s.product & product, s.log_variance, s.slope_variance)
                rows[i, :-3] = strength * spread
                rows[i, -3] = strength
        return penalty


class LawSearch:
    """One output's search.

    Parameters
    ----------
    objective : Objective
    sign : "auto", or bool ndarray of shape (d,): the features over which the sign of every product runs.
    rng : numpy Generator
    n_nodes : int or None
        None chooses.
    penalty : float
    simplify : bool
    task : Task of _progress, of which the search's own are subtasks.
    """

    def __init__(self, objective, sign, rng, n_nodes=None, penalty=0.0, simplify=True, task=SILENCE):
        self.objective = objective
        self.sign = sign
        self.rng = rng
        self.n_nodes = n_nodes
        self.simplify = simplify
        self.task = task
        s = objective.scaling
        low, high = objective.exponent_bounds
        self.left_out = self._screen()
        self.admitted = np.flatnonzero((s.product > 0) & (high > low) & ~self.left_out)
        self.prior = np.clip(0.0, low, high) * (s.product > 0)  # the exponent of a feature that is not drawn
        rows = np.arange(objective.n)
        if objective.n > SEARCH_ROWS:
            rows = np.sort(rng.choice(objective.n, SEARCH_ROWS, replace=False))
        self.X, self.y = objective.X[rows], objective.y[rows]
        self.root = np.sqrt(objective.weight[rows] / objective.weight[rows].sum())
        with np.errstate(over="ignore"):
            scaled = np.clip(self.X / s.x_scale, -1e150, 1e150)  # squares stay within the range of float
        self.centred = scaled - s.x_mean
        with np.errstate(divide="ignore"):
            self.log = np.where(scaled == 0, -708.0, np.log(np.abs(scaled)))
        self.positive = np.sign(self.X)
        tied = collinear(self.centred, self.root) or collinear(self.log[:, self.admitted], self.root)
        self.penalties = Ridge(s, penalty, TIE_BREAKER if tied else 0.0)

    def _screen(self):
        """Of many features, those that take no part in the search: least correlated with y, raw or in logarithms."""
        o, s = self.objective, self.objective.scaling
        left_out = np.zeros(o.d, bool)
        if o.d > MAX_FEATURES:
            y = (o.y - o.weight @ o.y) * o.weight
            strength = np.empty(o.d)
            for j in range(o.d):
                with np.errstate(over="ignore"):
                    x = np.clip(o.X[:, j] / s.x_scale[j], -1e150, 1e150)
                with np.errstate(divide="ignore"):
                    log = np.log(np.abs(x)) if s.product[j] and not s.zeros[j] else x
                raw, relative = (abs(y @ z) / (np.sqrt(o.weight @ (z - o.weight @ z) ** 2) + 1e-150) for z in (x, log))
                strength[j] = max(raw, relative)
            left_out[np.argsort(-strength, kind="stable")[MAX_FEATURES:]] = True
        return left_out

    def run(self):
        """Networks worth a cross-validation, each simplified; at least one."""
        objective = self.objective
        path = self._grow()
        if self.n_nodes is not None:
            chosen = [path[-1]] + ([self._relaxed(path[-1])] if path[-1].squares > ROUNDING else [])
            return self._all_simplified(chosen)
        first = 0 if objective.may_be_constant or len(path) == 1 else 1
        order = sorted(range(first, len(path)), key=lambda h: criterion(objective, path[h]))[:3]
        chosen = [path[h] for h in order]
        # A law that saturates, g(u) with finite C, and blends: the small nets with everything free.
        if path[-1].squares > ROUNDING:
            chosen += [self._relaxed(net) for net in path[1:4]] + self._saturated()
        # A constant and one node, should the longer be made for a few rows.
        chosen += [path[h] for h in range(first, min(2, len(path))) if h not in order]
        found = self._all_simplified(chosen, thin=True)
        # As many parameters as rows fit any rows: cross-validation, which starts from there, cannot tell.
        return [net for net in found if np.isfinite(criterion(objective, net))] or found

    def fit(self, net, max_iter=60, tol=1e-7):
        return self.objective.fit(net, self.penalties(net), max_iter, tol)

    def _refined(self, parent, name, net, max_iter, tol):
        return refine(parent, name, self.objective, net, self.penalties(net), max_iter, tol)

    # --- growing

    def _grow(self):
        objective = self.objective
        beam = [objective.constant()]
        path = [beam[0]]
        limit = self.n_nodes or MAX_NODES
        while len(path) <= limit:
            starts = [net.with_node(*start) for net in beam for start in self._candidates(net)]
            if not starts:
                break
            stage = self.task.begin(f"node {len(path)}", len(starts))
            grown = []
            for start in starts:
                net, stop = self._refined(stage, "candidate", start, max_iter=40, tol=1e-4)
                grown.append(net)
                if stop:
                    break
            grown.sort(key=lambda net: net.squares)
            beam = []
            for net in grown:
                if all(abs(net.squares - other.squares) > 1e-6 * other.squares for other in beam):
                    beam.append(net)
                if len(beam) == BEAM:
                    break
            beam = sorted((self.fit(net, max_iter=100, tol=1e-6) for net in beam), key=lambda net: net.squares)
            path.append(beam[0])
            tried = f"{N_CANDIDATES} drawn, {len(grown)} refined" if len(self.admitted) else f"{len(grown)} refined"
            stop = stage.end(f"{_nodes(len(path) - 1)}: best {rms(beam[0].squares)}; {tried}", net=beam[0])
            if stop:
                break
            if self.n_nodes is None:
                enough = beam[0].squares < EXHAUSTED
                crowded = (beam[0].n_free - beam[0].n_nodes) > objective.n
                patience = 3 if beam[0].n_free < 60 else 2  # nodes that may bring nothing before the search ends
                stalled = len(path) > patience + 2 and min(criterion(objective, net) for net in path[-patience:]) > min(
                    criterion(objective, net) for net in path[:-patience]
                ) + 6 * np.log(objective.n)
                if enough or crowded or stalled:
                    break
        return path

    def _candidates(self, net):
        """Start values (node, lower, upper, sign) of the nodes that would explain most of what net leaves over."""
        outputs = np.column_stack([np.ones(len(self.y))] + [self._output(net, i) for i in range(net.n_nodes)])
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
        if blend == 1.0:  # nothing else bends; beside products these were found to crowd out the law
            A, middle, height, columns = self._saturating()
            for t, factor in self._rank(columns, residual, basis)[:4]:
                start = self._node("sum", A[t], np.zeros(len(A[t]), np.uint8), factor, saturating=True)
                start[0][-3:-1] = -factor * middle[t], 1.0 / max(abs(factor) * height[t], 1e-12)
                found.append(start)
        return found

    def _output(self, net, i):
        # Node i's output with every other parameter as it is: what a change of its amplitude adds.
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
            # Laws share factors: of a node that is there, one to three exponents change.
            kept = rng.random((N_CANDIDATES, 1)) < (0.6 if old else 0.0)
            if old:
                A = np.where(kept, np.array(old)[rng.integers(len(old), size=N_CANDIDATES)], A)
            most = np.where(kept, min(3, len(admitted)), min(12, len(admitted)))
            size = rng.integers(1, most + 1)
            # The largest of log p + Gumbel numbers are a draw without replacement.
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
        columns = self.log @ A.T
        np.exp(np.clip(columns, -300, 300, out=columns), out=columns)
        for j in np.flatnonzero(sign.any(axis=0)):
            columns *= np.where(sign[:, j], self.positive[:, [j]], 1.0)
        return A, sign, columns

    def _relevance(self, net):
        # Many features: draw those oftener whose logarithm goes with what is left over.
        left = self.y - self.objective.predict(net, self.X)
        logs = self.log[:, self.admitted]
        logs = logs - logs.mean(axis=0)
        strength = np.abs(left @ logs) / (np.linalg.norm(logs, axis=0) * np.linalg.norm(left) + 1e-300)
        weight = strength**2 + max(strength.max() ** 2, 1e-12) * 0.3
        return weight / weight.sum()

    def _sums(self, net, residual):
        """The linear node that fits best, if there is none yet, as (A, sign, columns)."""
        d = self.objective.d
        linear = [i for i in range(net.n_nodes) if net.kind(i) == "sum" and net.nodes[i, d + 1] == 0]
        A = np.zeros((0 if linear else 1, d))
        if not linear:
            A[0] = np.linalg.lstsq(self.centred * (self.root[:, None] * ~self.left_out), residual, rcond=1e-10)[0]
            A[0, (self.objective.scaling.slope_variance < 1e-24) | self.left_out] = 0.0
        return A, np.zeros(A.shape, np.uint8), self.centred @ A.T

    def _saturating(self):
        """Sums in random directions that saturate about random rows: (A, middle, height, columns)."""
        rng, d, s = self.rng, self.objective.d, self.objective.scaling
        size = N_CANDIDATES // 3
        spread = np.sqrt(s.slope_variance)
        A = rng.normal(size=(size, d)) * (rng.random((size, d)) < rng.uniform(0.2, 1, (size, 1)))
        A = np.where((spread > 1e-12) & ~self.left_out, A / np.maximum(spread, 1e-12), 0.0)
        u = self.centred @ A.T
        middle = u[rng.integers(len(u), size=size), np.arange(size)]
        height = u.std(axis=0) * np.exp(rng.normal(size=size)) + 1e-12
        u = u - middle
        return A, middle, height, u / (1 + np.abs(u) / height)

    def _rank(self, columns, residual, basis, additive=None):
        """The columns that explain most of the residual beside the present nodes: [(index, factor), ...], best first.

        With ``additive`` the nodes blend: their sums come as they are, only B times the products has a free factor.
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
        """Start values and bounds of a node of a kind whose column was given a factor."""
        d = self.objective.d
        lower, upper = self.objective.node_bounds(kind, saturating)
        lower[:d][self.left_out] = upper[:d][self.left_out] = np.clip(0.0, lower[:d], upper[:d])[self.left_out]
        node = np.zeros(d + 3)
        node[d + 2] = {"product": 0.0, "sum": 1.0}.get(kind, self.objective.blend)
        if kind == "sum":
            node[:d] = A * factor
            if not saturating:
                lower[d] = upper[d] = 0.0  # the constant already shifts a linear node
        else:
            node[:d] = A
            node[d] = factor if kind == "blend" else -factor
        return node, lower, upper, sign

    def _relaxed(self, net):
        """The same nodes with C free and, unless it is prescribed, the blend free."""
        d = self.objective.d
        theta, lower, upper = net.theta.copy(), net.lower.copy(), net.upper.copy()
        nodes = theta[:-1].reshape(-1, d + 3)
        for i in range(net.n_nodes):
            rows = slice(i * (d + 3), (i + 1) * (d + 3))
            # A free blend needs the slopes of a sum within the bounds of exponents.
            free = self.objective.blend == "learn" and np.abs(nodes[i, :d]).max(initial=0) < MAX_EXPONENT
            low, high = self.objective.node_bounds("blend" if free else net.kind(i), saturating=True)
            low[:d][self.left_out] = high[:d][self.left_out] = nodes[i, :d][self.left_out]
            lower[rows], upper[rows] = low, high
            nodes[i, d + 1] = max(nodes[i, d + 1], 0.1)
        return self.fit(Network(theta, net.sign, lower, upper), max_iter=200, tol=1e-6)

    def _saturated(self):
        """The one product that saturates and fits best, as a list of one net, or none.

        Drawn as such: the single power closest to 5 x / (2 + x) may be x^0.001 of a huge factor, no start for it.
        """
        if self.objective.blend not in ("learn", 0.0) or not len(self.admitted):
            return []
        constant = self.objective.constant()
        A, sign, columns = self._products(constant)
        height = np.exp(1.5 * self.rng.normal(size=len(A)))  # of the plateau, over the product at the features' units
        columns = columns / (1.0 + np.abs(columns) / height)
        residual = (self.y - self.root**2 @ self.y) * self.root
        nets = []
        for t, factor in self._rank(columns, residual, self.root[:, None])[:3]:
            start = self._node("product", A[t], sign[t], factor, saturating=True)
            start[0][-2] = 1.0 / max(abs(factor) * height[t], 1e-6)
            nets.append(self.fit(constant.with_node(*start), max_iter=100, tol=1e-6))
        return [min(nets, key=lambda net: net.squares)] if nets else []

    # --- simplifying

    def _thinned(self, net):
        """Nodes dropped one by one while the criterion falls."""
        best = criterion(self.objective, net)
        while net.n_nodes > 1:
            trials = [self.fit(net.without_node(i), max_iter=40, tol=1e-5) for i in range(net.n_nodes)]
            values = [criterion(self.objective, trial) for trial in trials]
            k = int(np.argmin(values))
            if not values[k] < best:
                break
            best, net = values[k], trials[k]
        return net

    def _all_simplified(self, nets, thin=False):
        task = self.task.begin("simplification", len(nets))
        done = []
        for i, net in enumerate(nets):
            one = task.begin("net", None)
            net = self._simplified(self._thinned(net) if thin else net, one)
            done.append(net)
            told = f"net {i + 1} of {len(nets)} simplified: {net.n_free} parameters, {rms(net.squares)}"
            if one.end(told, level=2, net=net):
                break
        task.end()
        return done

    def _simplified(self, net, task=SILENCE):
        """Parameters fixed at zero or at a simple exponent, the least missed first, while the criterion falls."""
        if not self.simplify or self.objective.n == 1:
            return self.fit(net, max_iter=300, tol=1e-12)
        best = criterion(self.objective, net)

        def better(trial):
            nonlocal best
            score = criterion(self.objective, trial)
            if not (score < best or (not np.isfinite(best) and trial.squares <= 1e-12)):
                return False
            best = score
            return True

        net = self._pinned(net, better, lambda: np.isfinite(best), task)
        net = self._mirrored(net, better)
        net = self._without_undecided(net)
        return self.fit(self._joined(self._without_empty(net)), max_iter=300, tol=1e-12)

    def _pinned(self, net, accepts, is_limited, task):
        """Parameters fixed at simple values one by one, those the squares miss least first, while ``accepts`` them."""
        tried = set()
        accepted = True
        while accepted:
            accepted = False
            free = np.flatnonzero(net.lower < net.upper)
            if not len(free) or net.JTJ is None:
                break
            H = net.JTJ[np.ix_(free, free)]
            unit = np.sqrt(np.diag(H)) + 1e-150
            if not np.isfinite(H).all():  # features over 150 decades
                break
            with np.errstate(over="ignore"):
                cosines = np.clip(H / unit[:, None] / unit, -1.0, 1.0)
            covariance = np.linalg.pinv(cosines, rcond=1e-12, hermitian=True)
            # a parameter without effect costs nothing
            variance = np.where(np.diag(H) > 0, np.maximum(np.diag(covariance) / unit**2, 1e-300), np.inf)
            with np.errstate(over="ignore"):
                options = [
                    ((net.theta[f] - value) ** 2 / variance[k], int(f), float(value))
                    for k, f in enumerate(free)
                    for value in self._simple_values(net, f)
                    if (f, value) not in tried
                ]
            limit = max(60.0, 6 * np.log(self.objective.n)) * max(net.squares, 1e-16)
            for cost, f, value in sorted(options):
                if cost > limit / self.objective.n and is_limited():
                    break
                tried.add((f, value))
                # where the others go when this one moves, by the quadratic model
                k = np.searchsorted(free, f)
                theta = net.theta.copy()
                with np.errstate(over="ignore", invalid="ignore"):
                    ratio = covariance[:, k] / max(covariance[k, k], 1e-300) * (unit[k] / unit)
                    moved = theta[free] + ratio * (value - theta[f])
                theta[free] = np.where(np.isfinite(moved), moved, theta[free])
                trial, stop = self._refined(task, "trial", net.pinned(f, value, theta), max_iter=30, tol=1e-6)
                if accepts(trial):
                    net, accepted = trial, not stop
                    break
                if stop:
                    break
        return net

    def _mirrored(self, net, better):
        """Saturating products g(B p; C) as C sign B - g(C^2 / (B p); C): the same, if it saves the constant or poles.

        Exponents are simple by then. Of 5 x / (2 + x) the search finds 5 - g(10 / x; 5) in every third table;
        g(2.5 x; 5) has a parameter less.
        """
        d, last = self.objective.d, len(net.theta) - 1
        low, high = (bound[:d] for bound in self.objective.node_bounds("product"))
        for i in range(net.n_nodes):
            A, (B, curvature) = 0.0 - net.nodes[i, :d], net.nodes[i, d : d + 2]
            simple = A.any() and np.array_equal(*(net.bound(which)[i, :d] for which in ("lower", "upper")))
            within = np.array_equal(A, np.clip(A, low, high)) and net.lower[last] < net.upper[last]
            # A plateau far beyond the data would be the difference of two large numbers.
            if net.kind(i) != "product" or net.sign[i].any() or not (simple and within) or abs(B) * curvature < 1e-3:
                continue
            other = replace(net, theta=net.theta.copy(), lower=net.lower.copy(), upper=net.upper.copy(), JTJ=None)
            other.nodes[i, :d], other.nodes[i, d] = A, -1.0 / (B * curvature**2)
            other.theta[last] -= np.sign(B) / curvature
            other.bound("lower")[i, :d] = other.bound("upper")[i, :d] = A
            if all(net.kind(j) == "product" for j in range(net.n_nodes)):
                bare = self.fit(other.pinned(last, 0.0), max_iter=30, tol=1e-6)
                if better(bare):
                    net = bare
                    continue
            if (A >= 0).all():
                other = self.fit(other)
                net = other if better(other) or other.squares <= net.squares * 1.0001 + ROUNDING else net
        return net

    def plainer(self, net):
        """Nodes and exponents left out as long as the rows cannot tell.

        The criterion takes every row for as exact as the others. Where a few are far less so, as the greatest are of
        values with a relative error, they buy terms of their own; rows taken as pairs do not bear these out.
        """
        if not self.simplify or self.objective.n <= net.n_free + 1:
            return net
        weight = self.objective.weight
        best = weight * left_out(self.objective, net)

        def accepts(trial):
            return no_worse(weight * left_out(self.objective, trial), best)

        least = 0 if self.objective.may_be_constant else 1
        for i in reversed(range(net.n_nodes if self.n_nodes is None else 0)):
            trial = self.fit(net.without_node(i), max_iter=40, tol=1e-5)
            if trial.n_nodes >= least and accepts(trial):
                net = trial
        net = self._pinned(net, accepts, lambda: True, SILENCE)
        return self.fit(self._joined(self._without_empty(net)), max_iter=300, tol=1e-12)

    def _without_undecided(self, net):
        """Simple exponents become zero, the least missed first, unless they gain as much as a free one has to.

        A value that the data do not tell from its neighbours is drawn from many, and is no simpler than a free one: of
        lines in 40 rows beside a column within 1 % of 1, two in three had it with an exponent up to 6.
        """
        d, (low, high) = self.objective.d, self.objective.exponent_bounds
        may = (low < high) & (low <= 0) & (high >= 0)
        while np.isfinite(criterion(self.objective, net)):
            fixed = net.bound("lower")[:, :d] == net.bound("upper")[:, :d]
            product = np.array([[net.kind(i) == "product"] for i in range(net.n_nodes)], bool).reshape(-1, 1)
            simple = fixed & product & may & (net.nodes[:, :d] != 0)
            if self.n_nodes is not None:  # a node that was asked for keeps its last
                simple &= np.count_nonzero(net.nodes[:, :d], axis=1)[:, None] > 1
            rows, columns = np.nonzero(simple)
            candidates = rows * (d + 3) + columns
            worth = self._worth(net, candidates) * self.objective.n
            n, p = self.objective.n, net.n_free + 1
            price = np.log(n) * (p * n / (n - p) - (p - 1) * n / (n - p + 1)) if p < n else np.inf
            limit = max(60.0, 6 * np.log(n)) * max(net.squares, 1e-16)
            for f in candidates[np.argsort(worth, kind="stable")][: np.count_nonzero(worth <= limit)]:
                trial = self.fit(net.pinned(f, 0.0), max_iter=30, tol=1e-6)
                if criterion(self.objective, trial) < criterion(self.objective, net) + price:
                    net = trial
                    break
            else:
                break
        return net

    def _worth(self, net, fixed):
        """By how much the squares grow when each of these parameters becomes zero, by the quadratic model."""
        lower, upper = net.lower.copy(), net.upper.copy()
        free = np.flatnonzero(lower < upper)
        lower[fixed], upper[fixed] = -np.inf, np.inf
        H = self.objective.curvature(replace(net, lower=lower, upper=upper, JTJ=None)) if len(fixed) else None
        if H is None or not np.isfinite(H).all():
            return np.full(len(fixed), np.inf)
        unit = np.sqrt(np.diag(H)) + 1e-150
        cosines = np.clip(H / unit[:, None] / unit, -1.0, 1.0)
        inverse = np.linalg.pinv(cosines[np.ix_(free, free)], rcond=1e-12, hermitian=True)
        beside = cosines[np.ix_(fixed, free)]
        left = np.maximum(1.0 - np.einsum("fp,pq,fq->f", beside, inverse, beside), 0.0)
        with np.errstate(over="ignore"):
            return (net.theta[fixed] * unit[fixed]) ** 2 * left

    def _simple_values(self, net, f):
        d = self.objective.d
        low, high = net.lower[f], net.upper[f]
        i, j = divmod(f, d + 3)
        if f == len(net.theta) - 1:
            values = [0.0] if all(net.kind(i) == "product" for i in range(net.n_nodes)) else []
        elif j < d:
            last = self.n_nodes is not None and not np.delete(net.nodes[i, :d], j).any()  # of a node that was asked for
            values = [] if last else [0.0]
            if net.kind(i) == "product":
                values += [v for v in SIMPLE[np.argsort(np.abs(SIMPLE - net.theta[f]))[:2]] if v or not last]
        elif j == d:
            values = [0.0] if net.kind(i) == "sum" else []
        else:
            values = [0.0] if j == d + 1 else [0.0, 1.0]
        return sorted({v for v in values if low <= v <= high})

    def _without_empty(self, net):
        """Nodes that have become constant by fixing leave their value to the constant."""
        d = self.objective.d
        for i in reversed(range(net.n_nodes)):
            if self.n_nodes is None and net.n_nodes > 1 and not net.nodes[i, :d].any() and not net.sign[i].any():
                constant_free = net.lower[-1] < net.upper[-1]
                if constant_free:
                    net = net.without_node(i)
        return net

    def _joined(self, net):
        """Products that simple exponents have made the same are one; the tie breaker favours many small ones."""
        d = self.objective.d
        for i in reversed(range(net.n_nodes if self.n_nodes is None else 0)):
            for other in range(i):
                pair, ceiling = net.nodes[[other, i]], net.bound("upper")[[other, i]]
                if (
                    not ceiling[:, d + 1 :].any()  # neither blends nor saturates
                    and np.array_equal(pair[0, :d], pair[1, :d])
                    and np.array_equal(net.sign[other], net.sign[i])
                ):
                    factor = pair[:, d].sum()
                    net = net.without_node(i)
                    net.nodes[other, d] = factor
                    break
        return net
