"""Which functions f(c Q + phi) suit the data: two scans of some ten thousand functions at once.

One takes y as the sum of up to two products and one P f, for each of a few hundred P. The other takes log y as linear
in the logarithms of the features and of f, so that P is any product.
"""

from typing import NamedTuple

import numpy as np
from scipy.optimize import least_squares

from skmerge._net import products
from skmerge._net.function_table import NEW
from skmerge._net.functions import KINDS

SPREADS = 0.3, 1.0, 3.0  # sizes of c Q in exp(c Q), standard deviations
MEANS = 0.2, 1.0, 5.0  # of c Q in 1 + c Q
NEAR_POLE = 0.98, 0.9, 0.7, 0.4  # greatest values of -c Q in it
POWERS = -2.0, -1.0, -0.5, 0.5  # of 1 + c Q
# Ranges of c Q in a cosine: the least; their step, less than between two peaks of the fit; the greatest for each row.
FIRST_ANGLE, ANGLE_STEP, ANGLE_OF_ROW = 1.4, 0.7, 1.0
# The greatest of a product, and of a single feature, such as time over many periods (NIST's ENSO: 88 in 14 years).
MOST_ANGLE, MOST_ANGLE_ALONE = 60.0, 200.0
MAX_COSINES = 15_000  # of many arguments the greatest angles are left out
TOGETHER = 4000  # functions ranked at a time; bounds the memory
OF_EACH = 5  # functions that each scan proposes of a kind
FEW_ARGUMENTS = 60
HALVINGS = 5  # of the step between two factors c
STEPS = 0.5, 0.7, 1.0, 1.4, 2.0  # around the factor of a single product
FEW = 20  # products of which all pairs are compared
ONE_SIGN = 0.9  # least share of the squares of y that are of one sign, for a scan of its logarithm


class Choice(NamedTuple):
    """A function: its kind, exponents (d,) of Q, c, phi, the power of f, and the description length that ranked it."""

    kind: str
    argument: np.ndarray
    factor: float
    phase: float
    power: float
    score: float


def value_of(choice, Q):
    """f^power, (n,); may be infinite."""
    with np.errstate(all="ignore"):
        return KINDS[choice.kind].value(choice.factor * Q + choice.phase) ** choice.power


class Ranking:
    """Both scans of a Table, for ``kinds``, a subset of "exp", "cos", "log" and "shifted"; exp brings exp - 1."""

    def __init__(self, table, kinds):
        self.table, self.kinds = table, (*kinds, *["expm1"] * ("exp" in kinds))
        by_fit = np.argsort(-np.abs(table.target @ table.factors), kind="stable")[:FEW]
        few = np.unique(np.append(np.arange(min(FEW, len(table.A))), by_fit))  # the simplest and the best
        self.few = table.factors[:, few]
        code = np.column_stack([np.vstack([table.A[few]] * 2), np.repeat([0.0, 1.0], len(few))])
        own, m = products.prices(code), len(few)
        price = own.sum(axis=1)[:, None] + own.sum(axis=1)
        for j in range(table.d + 1):  # an exponent that stands in both counts once
            price -= np.where(code[:, None, j] == code[:, j], own[:, j], 0.0)
        self.price_of_one = own.sum(axis=1)[m:] - np.log(table.n)
        # Pairs of a term with the function and one without (m, m), and of two with it.
        self.price_of_mixed, self.first, self.second = price[m:, :m], *np.triu_indices(m, 1)
        self.price_of_pair = price[m:, m:][self.first, self.second]
        both = np.triu_indices(m)  # products of two terms; that of terms i and j is column place[i, j]
        self.squares = self.few[:, both[0]] * self.few[:, both[1]]
        self.place = np.empty((m, m), np.intp)
        self.place[both] = self.place[both[::-1]] = np.arange(len(both[0]))
        self.contexts = self._contexts()

    # --- y as a sum

    def by_sums(self):
        """The functions of each kind that describe y best beside up to two products."""
        table, found = self.table, []
        Q, pool = self._pool()
        for kind, members in pool.items():
            best = self._ranked(kind, Q, members) if members else {}
            grid = {key: [] for key in sorted(best, key=best.get)[: 2 * OF_EACH]}
            for q, c, phi, power in members:
                if (q, power) in grid:
                    grid[q, power].append((c, phi))
            of_kind = []
            for (q, power), points in grid.items():
                choice = Choice(kind, table.arguments[q], *points[0], power, np.inf)
                of_kind.append(self.refined(choice, Q[:, q], points))
            for some in zip(*of_kind, strict=True):
                found += sorted(some, key=lambda choice: choice.score)[:OF_EACH]
        return found

    def _pool(self):
        """Values of the arguments (n, q), and for each kind a list of (argument, c, phi, power)."""
        table = self.table
        Q, pool = table.values(table.arguments), {kind: [] for kind in self.kinds}
        simple = np.abs(table.arguments).max(axis=1, initial=0.0) == 1
        if table.dimensions is not None and len(simple) <= FEW_ARGUMENTS:  # of so few all powers may be an argument
            simple[:] = True
        of_rows, of_pool = ANGLE_OF_ROW * table.n, MAX_COSINES / 2 / max(simple.sum(), 1) * ANGLE_STEP
        for q, (A, x) in enumerate(zip(table.arguments, Q.T, strict=True)):
            low, high, spread = x.min(), x.max(), x.std()
            if not spread > 1e-9 * np.abs(x).max():
                continue
            if "cos" in pool and simple[q]:
                most = MOST_ANGLE_ALONE if A.sum() == np.abs(A).sum() == 1 else min(MOST_ANGLE, of_pool)
                for c in np.arange(FIRST_ANGLE, min(most, of_rows), ANGLE_STEP) / (high - low):
                    pool["cos"] += [(q, c, 0.0, 1.0), (q, c, -np.pi / 2, 1.0)]
            if "exp" in pool and simple[q]:
                pool["exp"] += [(q, side * size / spread, 0.0, 1.0) for size in SPREADS for side in (-1, 1)]
                powers = (1.0, -1.0)[: int(low >= 0) + int(low > 0)]
                pool["expm1"] += [(q, c, 0.0, power) for c in _rates(low, high, x) for power in powers]
            if "shifted" in pool:
                pool["shifted"] += [(q, c, 0.0, power) for c in _shifts(low, high, x) for power in POWERS]
            sizes = np.abs(A).sum(), A.sum()
            is_ratio = sizes in ((1, 1), (2, 0)) if table.dimensions is None else len(simple) <= FEW_ARGUMENTS
            if "log" in pool and A[np.flatnonzero(A)[0]] == 1 and is_ratio and low > 0:
                pool["log"].append((q, 1.0, 0.0, 1.0))
        return Q, pool

    def _ranked(self, kind, Q, members):
        """For each argument and power the least description length of the functions."""
        table, best = self.table, {}
        target, P = table.target.astype(np.float32), table.factors.astype(np.float32)
        scale = np.exp(table.price / table.n).astype(np.float32)
        for start in range(0, len(members), TOGETHER):
            some = members[start : start + TOGETHER]
            which, c, phi, power = (np.array(part) for part in zip(*some, strict=True))
            with np.errstate(all="ignore"):
                F = KINDS[kind].value(c * Q[:, which] + phi) ** power
                F = (F / np.abs(F).max(axis=0)).T.astype(np.float32)
            F[~np.isfinite(F).all(axis=1)] = 0.0
            whole, score = (F**2) @ P**2, np.full(len(F), np.inf)
            for terms in self.contexts:
                B = np.linalg.qr(P[:, terms])[0]
                r, left = target - B @ (B.T @ target), whole.copy()
                for b in B.T:
                    left -= ((F * b) @ P) ** 2
                gain = np.where(left > NEW * whole, ((F * r) @ P) ** 2 / np.maximum(left, 1e-30), 0.0)
                length = table.n * np.log((np.maximum(r @ r - gain, 1e-7) * scale).min(axis=1))
                length += np.log(table.n) * len(terms) + table.price[terms].sum()
                score = np.minimum(score, length)
            score = score + products.prices(table.arguments[which]).sum(axis=1)
            for key, one in zip(zip(which.tolist(), power.tolist(), strict=True), score.tolist(), strict=True):
                best[key] = min(one, best.get(key, np.inf))
        return best

    def _contexts(self):
        """Terms beside which functions are ranked, lists of factors: none, the best, the best pair, a constant."""
        table = self.table
        a, G = table.target @ table.factors, table.factors.T @ table.factors
        gain = _gains(a[:, None], a, G)
        pair = np.unravel_index(np.argmax(gain), gain.shape)
        found = [[], [int(np.argmax(np.abs(a)))], [int(t) for t in pair]]
        return found + [[0]] * (not table.A[0].any() and found[1] != [0])

    def refined(self, choice, Q, grid):
        """The choice with the best factor and phase on ``grid`` and between: by the best term, and by the best pair.

        Fitted with the terms that suit a factor beside the right one, a function would stay there.
        """
        trials = [choice._replace(factor=float(c), phase=phi) for c, phi in grid]
        lengths = self._lengths(trials, Q)
        factors, found = np.unique([c for c, _ in grid]), []
        gaps = np.diff(factors) / 2
        for size in (0, 1):
            first = int(np.argmin(lengths[:, size]))
            best = trials[first]._replace(score=float(lengths[first, size]))
            step = gaps[min(np.searchsorted(factors, best.factor), len(gaps) - 1)] if len(gaps) else 0.0
            for _ in range(HALVINGS if step else 0):
                sides = [best._replace(factor=best.factor + side) for side in (-step, step)]
                for trial, length in zip(sides, self._lengths(sides, Q)[:, size].tolist(), strict=True):
                    best = trial._replace(score=length) if length < best.score else best
                step /= 2
            found.append(best._replace(score=best.score + products.prices(choice.argument).sum()))
        return found

    def _lengths(self, trials, Q):
        """Description length of y by the best term with each function, and by the best pair, (n_trials, 2)."""
        table, out = self.table, np.full((len(trials), 2), np.inf)
        with np.errstate(all="ignore"):
            F = np.array([value_of(trial, Q) for trial in trials])
            F = F / np.abs(F).max(axis=1, keepdims=True)
        fine = np.flatnonzero(np.isfinite(F).all(axis=1))
        if not len(fine):
            return out
        F = F[fine]
        single, double = F @ self.squares, F**2 @ self.squares  # of two terms with F once, and twice
        norm = np.sqrt(np.maximum(double[:, np.diag(self.place)], 1e-300))
        y_alone, y_times = table.target @ self.few, (F * table.target) @ self.few / norm
        mixed = single[:, self.place] / norm[:, :, None]
        i, j = self.first, self.second
        pair = double[:, self.place[i, j]] / (norm[:, i] * norm[:, j])
        least = np.stack(
            [
                self._least(y_times**2, self.price_of_one),
                self._least(_gains(y_times[:, :, None], y_alone, mixed), self.price_of_mixed),
                self._least(_gains(y_times[:, i], y_times[:, j], pair), self.price_of_pair),
            ],
            axis=1,
        )
        out[fine] = np.column_stack([least[:, 0], least.min(axis=1)])
        return out

    def _least(self, gain, price):
        """Least description length of terms that explain the squares ``gain`` (n_trials, ...) of y."""
        # The logarithm of the least product is that of the least sum, and one logarithm instead of some thousand.
        n = self.table.n
        scaled = np.maximum(1.0 - gain, products.FLOOR) * np.exp(price / n)
        return n * np.log(scaled.reshape(len(gain), -1).min(axis=1, initial=np.inf))

    # --- log y as a line

    def by_logarithms(self):
        """The functions with which y is best described as one product; for exp also as a pair of terms."""
        table, found = self.table, []
        sign = np.sign(table.y @ table.root**2)
        positive, squares = sign * table.y > 0, (table.y * table.root) ** 2
        if squares @ positive < ONE_SIGN * squares.sum() or not len(table.arguments):
            return []
        y = np.where(positive, sign * table.y, 1.0)
        weight = np.where(positive, table.root * y, 0.0)
        lines, known = table.lines
        basis = np.linalg.qr(lines * weight[:, None])[0]
        target = (np.log(y) - known) * weight
        target = target - basis @ (basis.T @ target)
        for kind in [kind for kind in ("exp", "shifted", "expm1") if kind in self.kinds]:
            A = table.enumerated if kind == "exp" else table.arguments
            Q, of_kind, of_pair = table.values(A), [], []
            for choice, q in self._lines(kind, A, Q, weight, basis, target):
                of_kind.append(self._of_one_product(choice, Q[:, q], lines, known))
                if kind == "exp":
                    grid = [(of_kind[-1].factor * step, 0.0) for step in STEPS]
                    of_pair.append(self.refined(of_kind[-1], Q[:, q], grid)[1])
            for some in (of_kind, of_pair):
                found += sorted(some, key=lambda choice: choice.score)[:OF_EACH]
        return found

    def _lines(self, kind, A, Q, weight, basis, target):
        """The best choices of a kind and the columns of their arguments, by least squares of log y."""
        table = self.table
        if kind == "exp":  # log f is Q itself, its slope c
            log_f = Q[None]
        else:
            of_one = _shifts if kind == "shifted" else _rates
            shifts = np.array([of_one(x.min(), x.max(), x) for x in Q.T]).T
            with np.errstate(all="ignore"):
                log_f = np.log(np.abs(KINDS[kind].value(shifts[:, None] * Q)))
        column = np.nan_to_num(log_f, nan=0.0, posinf=0.0, neginf=0.0) * weight[:, None]
        whole = (column**2).sum(axis=1)
        column = column - basis @ (basis.T @ column)
        left = (column**2).sum(axis=1)
        slope = np.where(left > 1e-6 * whole, (target @ column) / np.where(left > 0, left, 1.0), 0.0)
        rest = np.maximum(target @ target - slope**2 * left, products.FLOOR * (target @ target))
        score = table.n * np.log(np.maximum(rest, 1e-300)) + products.prices(A).sum(axis=1)
        best = np.argmin(score, axis=0)
        for q in np.argsort(score.min(axis=0), kind="stable")[: 4 * OF_EACH]:
            power = slope[best[q], q]
            if not power:
                continue
            length = float(score[best[q], q])
            if kind == "exp":
                yield Choice(kind, A[q], float(power), 0.0, 1.0, length), q
            else:
                power = min(POWERS if kind == "shifted" else (-1.0, 1.0), key=lambda one: abs(one - power))
                yield Choice(kind, A[q], float(shifts[best[q], q]), 0.0, power, length), q

    def _of_one_product(self, choice, Q, lines, known):
        """The choice fitted as one product with the function, by least squares of y with free exponents.

        The logarithm of y is biased by its noise where y is small.
        """
        table, value = self.table, KINDS[choice.kind].value
        size = value if choice.kind != "expm1" else lambda u: np.abs(value(u))
        y = np.sign(table.y @ table.root**2) * table.y
        weight = table.root * np.maximum(y, 0.0)

        def residual(z):
            with np.errstate(all="ignore"):
                f = np.exp(np.clip(lines @ z[:-1] + known, -300, 300)) * size(z[-1] * Q) ** choice.power
            if not np.isfinite(f).all() or np.abs(f).max() > 1e100:
                return 1e3 * y * table.root
            return (y - f) * table.root

        with np.errstate(all="ignore"):
            log_f = choice.power * np.log(size(choice.factor * Q + choice.phase))
        log_f = np.nan_to_num(log_f, nan=0.0, posinf=0.0, neginf=0.0)
        target = np.log(np.where(y > 0, y, 1.0)) - log_f - known
        start = np.linalg.lstsq(lines * weight[:, None], target * weight, rcond=1e-10)[0]
        z = np.append(start, choice.factor)
        if len(z) <= table.n:
            found = least_squares(residual, z, method="lm", x_scale="jac", max_nfev=300)
            z, squares = found.x, 2 * found.cost
        else:
            squares = residual(z) @ residual(z)
        squares /= y @ (y * table.root**2)
        score = table.n * np.log(max(squares, products.FLOOR)) + products.prices(choice.argument).sum()
        return choice._replace(factor=float(z[-1]), score=float(score))


def _shifts(low, high, x):
    """Factors c for which 1 + c Q is positive, Q from ``low`` to ``high``, as many for every Q."""
    rising = [size / -low for size in NEAR_POLE[: len(MEANS)]] if low < 0 else [t / np.mean(x) for t in MEANS]
    falling = [-size / high for size in NEAR_POLE] if high > 0 else [size / low for size in NEAR_POLE]
    return [*rising, *falling]


def _rates(low, high, x):
    """Factors c of exp(c Q) - 1, as many for every Q."""
    spread = max(float(x.std()), 1e-300)
    return [side * size / spread for size in SPREADS for side in (-1, 1)]


def _gains(a, b, cosine):
    """Squares of y that pairs of columns explain; a, b: of each with y."""
    left = 1.0 - cosine**2
    return (a**2 + b**2 - 2 * a * b * cosine) / np.where(left > NEW, left, np.inf)
