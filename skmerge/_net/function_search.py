"""Search for sums of products in which one factor is a function: P f(c Q + phi), P and Q products of simple powers.

Two scans rank some ten thousand functions at once. One takes y as a sum, of up to two products and one P f for each of a
few hundred P. The other takes log y as a line in the logarithms of the features and of f, so that P is any product. The
best functions are then fitted with the sums that suit them.
"""

from dataclasses import replace
from itertools import combinations, product
from typing import NamedTuple

import numpy as np
from scipy.optimize import least_squares

from skmerge._net import products
from skmerge._net.functions import KINDS, Functions
from skmerge._net.selection import EXHAUSTED

RANKED_ROWS = 250  # on which functions are ranked
MAX_ARGUMENTS = 400  # products Q, those of fewest features first
MAX_SIGNED = 7  # features of which all products of powers -1, 0 and 1 are arguments of exp
FACTORS = 250  # the simplest products P, beside which functions are ranked
SPREADS = 0.3, 1.0, 3.0  # of the argument of exp, standard deviations
MEDIANS = 0.2, 1.0, 5.0  # of c Q in 1 + c Q
LARGEST = 0.98, 0.9, 0.7, 0.4  # of -c Q in it
POWERS = -2.0, -1.0, -0.5, 0.5  # of 1 + c Q
FIRST_ANGLE, ANGLE_STEP, MOST_ANGLE = 1.4, 0.7, 60.0
LEAST_ANGLE = 1.0  # of a fitted cosine; of a shorter range it is a parabola
ANGLE_OF_ROW = 1.0  # most angle for each row
MAX_COSINES = 15_000  # in the scan; where there are many arguments angles end earlier
TERM = 8.0  # twice the description length of which product a term is, beside its exponents  # range of c Q in a cosine; of a longer step peaks would be missed
SIZE = 4000  # functions ranked together; bounds the memory
OF_EACH = 5  # functions of each kind and scan that are fitted
FITTED = 12  # of all of which sums of one and two terms are fitted
GROWN = 4  # of which sums of more than two terms are looked for
TAKEN = 3  # of which are cross-validated
MAX_TERMS = 6
STEPS = 10  # of the last fit
CHOICE, LOGARITHM = 20.0, 4.0  # twice the description length of one of some thousand functions, of log x_j
ROUNDS = 3  # of choosing terms and fitting the function
NEIGHBOURS = 0.5, 0.7, 1.0, 1.4, 2.0  # of the factor of one product, for pairs
POSITIVE = 0.9  # least share of the squares of y that are of one sign, for its logarithm
HALVINGS = 5  # of the step between factors
FEW = 20  # products of which pairs rank the factors of a function
PAIRED = 200  # columns of which all pairs are compared
NEW = 1e-3  # least squared share of a column that the other terms do not explain


class Choice(NamedTuple):
    """A function to be fitted: its kind, exponents (d,) of Q, c, phi, its power, and what ranked it."""

    kind: str
    argument: np.ndarray
    factor: float
    phase: float
    power: float
    score: float


def function_nets(objective, candidates, kinds):
    """Pairs of an objective with a function among its columns and a net of it, fitted, the best few."""
    if not kinds or not len(candidates.admitted) or objective.scaling.zeros.any() or objective.scaling.signed.any():
        return []
    table = Table(objective, candidates)
    choices = [] if tuple(kinds) == ("log",) else table.by_sums(kinds) + table.by_logarithms(kinds)
    choices = sorted(choices, key=lambda choice: choice.score)[:FITTED]
    states = [table.of_pairs(choice) for choice in choices]
    states = sorted((one for one in states if one is not None), key=lambda one: one.score)[:GROWN]
    fitted = [table.grown(state) for state in states]
    fitted += [table.of_logarithms()] * ("log" in kinds)
    fitted = sorted((one for one in fitted if one is not None), key=lambda one: one.score)[:TAKEN]
    return [one.net_of(objective) for one in fitted]


class Fitted(NamedTuple):
    """A sum of products, some times a function: exponents (n_terms, d), power (n_terms, m) of the functions."""

    functions: Functions
    A: np.ndarray
    power: np.ndarray
    score: float

    def net_of(self, objective):
        objective = objective.with_functions(self.functions)
        net = objective.constant().pinned(-1, 0.0)
        for A, power in zip(self.A, self.power, strict=True):
            if not A.any() and not power.any():
                net.lower[-1], net.upper[-1] = -np.inf, np.inf
                continue
            net = with_product(objective, net, np.append(A, power))
        return objective, objective.fit(net, max_iter=30, tol=1e-10)


def with_product(objective, net, exponents):
    """The net and one product more, its factor free; an odd power of a function has its sign."""
    sign = (np.arange(objective.d) >= objective.n_given) & (exponents % 2 == 1)
    return net.with_node(*products.product_node(objective, exponents, sign.astype(np.uint8)))


class _State(NamedTuple):
    """A function with a sum: ``code`` (n_terms, d + 1) holds exponents and whether the function is a factor."""

    choice: Choice
    factor: float
    phase: float
    code: np.ndarray | None = None
    is_simple: bool = True  # its phase
    squares: float = np.inf
    score: float = np.inf


class Table:
    """The rows on which functions are ranked, and the products P and arguments Q."""

    def __init__(self, objective, candidates):
        self.rows = np.arange(0, len(candidates.X), -(-len(candidates.X) // RANKED_ROWS))
        self.root = candidates.root[self.rows]
        self.root = self.root / np.linalg.norm(self.root)
        self.log = candidates.log[self.rows]
        self.which, self.n, self.d = candidates.admitted, len(self.rows), objective.d
        self.plain_y = candidates.y[self.rows]
        self.y = self.plain_y * self.root
        self.y = self.y / np.linalg.norm(self.y)
        A, sign = products.simple_products(objective, candidates)
        A = A[~sign.any(axis=1)]
        self.products, self.P = self._columns(A)
        own = products.prices(self.products).sum(axis=1)
        order = np.lexsort([-np.abs(self.y @ self.P), own])[:FACTORS]
        A = self.products[order]
        if objective.intercept:
            A = np.vstack([np.zeros(self.d), A])
        self.A, self.factors = self._columns(A)
        self.price = products.prices(self.A).sum(axis=1)
        by_fit = np.argsort(-np.abs(self.y @ self.factors), kind="stable")[:FEW]
        self.few = np.unique(np.append(np.arange(min(FEW, len(self.A))), by_fit))  # simple and good ones
        code = np.vstack([self.A[self.few], self.A[self.few]])
        code = np.column_stack([code, np.repeat([0.0, 1.0], len(self.few))])
        own = products.prices(code)
        self.price_of_pairs = own.sum(axis=1)[:, None] + own.sum(axis=1)
        for j in range(self.d + 1):
            self.price_of_pairs -= np.where(code[:, None, j] == code[:, j], own[:, j], 0.0)
        np.fill_diagonal(self.price_of_pairs, own.sum(axis=1) - np.log(self.n))
        self.arguments = self._arguments(candidates.admitted)

    def _columns(self, A):
        """Products of exponents A as columns of unit length, those that are finite."""
        columns = np.exp(np.clip(self.log @ A.T, -300, 300)) * self.root[:, None]
        with np.errstate(all="ignore"):
            columns /= np.linalg.norm(columns, axis=0)
        fine = np.isfinite(columns).all(axis=0)
        return A[fine], columns[:, fine]

    def _arguments(self, which):
        found = []
        for size in (1, 2, 3):
            shapes = [np.array(s) for s in product((1.0, -1.0), repeat=size)]
            if size < 3:
                shapes += [2 * s for s in shapes]
            else:
                shapes += [np.roll([-2 * s, s, s], k) for s in (1.0, -1.0) for k in range(3)]
            for features in combinations(which, size):
                for shape in shapes:
                    row = np.zeros(self.d)
                    row[list(features)] = shape
                    found.append(row)
        return np.array(found[:MAX_ARGUMENTS])

    def _pool(self, kinds):
        """Functions of a kind to rank: lists of (argument, c, phi, power)."""
        Q = np.exp(np.clip(self.log @ self.arguments.T, -300, 300))
        pool = {kind: [] for kind in kinds}
        n_simple = np.count_nonzero(np.abs(self.arguments).max(axis=1) == 1)
        most_angle = min(MOST_ANGLE, MAX_COSINES / 2 / n_simple * ANGLE_STEP, ANGLE_OF_ROW * self.n)
        for q, (A, x) in enumerate(zip(self.arguments, Q.T, strict=True)):
            low, high, spread = x.min(), x.max(), x.std()
            if not spread > 1e-9 * high:
                continue
            simple = np.abs(A).max() == 1
            if "cos" in pool and simple:
                for c in np.arange(FIRST_ANGLE, most_angle, ANGLE_STEP) / (high - low):
                    pool["cos"] += [(q, c, 0.0, 1.0), (q, c, -np.pi / 2, 1.0)]
            if "exp" in pool and simple:
                pool["exp"] += [(q, side * t / spread, 0.0, 1.0) for t in SPREADS for side in (-1, 1)]
            if "shifted" in pool:
                c = [t / np.median(x) for t in MEDIANS] + [-t / high for t in LARGEST]
                pool["shifted"] += [(q, one, 0.0, power) for one in c for power in POWERS]
            first = A[np.flatnonzero(A)[0]]
            if "log" in pool and first == 1 and (np.abs(A).sum() == 1 or (np.abs(A).sum() == 2 and not A.sum())):
                pool["log"].append((q, 1.0, 0.0, 1.0))
        return Q, pool

    def by_sums(self, kinds):
        """The functions of each kind that describe y best as a sum of up to two products and one P f."""
        Q, pool = self._pool(kinds)
        y, P, n = self.y.astype(np.float32), self.factors.astype(np.float32), self.n
        squares = P**2
        found = []
        contexts = self._contexts()
        for kind, members in pool.items():
            best = {}
            for start in range(0, len(members), SIZE):
                some = members[start : start + SIZE]
                which, c, phi, power = (np.array(part) for part in zip(*some, strict=True))
                with np.errstate(all="ignore"):
                    F = KINDS[kind].value(c * Q[:, which] + phi) ** power
                    F = (F / np.abs(F).max(axis=0)).T.astype(np.float32)
                F[~np.isfinite(F).all(axis=1)] = 0.0
                own = products.prices(self.arguments[which]).sum(axis=1)
                whole = (F**2) @ squares
                score = np.full(len(F), np.inf)
                for terms in contexts:
                    B = np.linalg.qr(P[:, terms])[0]
                    r = y - B @ (B.T @ y)
                    left = whole.copy()
                    for b in B.T:
                        left -= ((F * b) @ P) ** 2
                    gain = np.where(left > NEW * whole, ((F * r) @ P) ** 2 / np.maximum(left, 1e-30), 0.0)
                    rest = np.maximum(r @ r - gain, 1e-7)
                    value = n * np.log(rest) + self.price + np.log(n) * len(terms) + self.price[terms].sum()
                    score = np.minimum(score, value.min(axis=1) + own)
                for i in np.argsort(score)[: 20 * OF_EACH]:
                    key = which[i], power[i]
                    if score[i] < best.get(key, (np.inf,))[0]:
                        best[key] = score[i], c[i], phi[i]
            order = sorted(best.items(), key=lambda item: item[1][0])[: 2 * OF_EACH]
            grid = {key: [] for key, _ in order}
            for q, c, phi, power in members:
                if (q, power) in grid:
                    grid[q, power].append((c, phi))
            of_kind = [self._by_pairs(kind, self.arguments[q], power, Q[:, q], of_key) for (q, power), of_key in grid.items()]
            found += sorted(of_kind, key=lambda choice: choice.score)[:OF_EACH]
        return found

    def _by_pairs(self, kind, argument, power, Q, grid):
        """The best factor and phase of a function, by the best pair of terms, on the grid and then between its points.

        The function fitted with the terms that suit a factor next to the right one would stay there.
        """
        best = Choice(kind, argument, *grid[0], power, np.inf)
        factors = np.unique([c for c, _ in grid])
        gaps = np.diff(factors) / 2
        for c, phi in grid:
            best = self._better_pair(best, Q, c, phi)
        if kind != "log":
            i = np.searchsorted(factors, best.factor)
            step = gaps[min(i, len(gaps) - 1)]
            for _ in range(HALVINGS):
                for side in (-step, step):
                    best = self._better_pair(best, Q, best.factor + side, best.phase)
                step /= 2
        return best._replace(score=best.score + products.prices(argument).sum())

    def _better_pair(self, best, Q, c, phi):
        P = self.factors[:, self.few]
        with np.errstate(all="ignore"):
            unit = P * (KINDS[best.kind].value(c * Q + phi) ** best.power)[:, None]
            unit /= np.linalg.norm(unit, axis=0)
        if not np.isfinite(unit).all():
            return best
        columns = np.column_stack([P, unit])
        a, G = self.y @ columns, columns.T @ columns
        left = 1.0 - G**2
        gain = (a[:, None] ** 2 + a**2 - 2 * a[:, None] * a * G) / np.where(left > NEW, left, np.inf)
        rest = np.maximum(1.0 - np.maximum(gain, a**2), products.FLOOR)
        score = (self.n * np.log(rest) + self.price_of_pairs).min()
        return best._replace(factor=c, phase=phi, score=score) if score < best.score else best

    def _contexts(self):
        """Terms beside which functions are ranked, as lists of columns of ``factors``."""
        P = self.factors
        a, G = self.y @ P, P.T @ P
        left = 1.0 - G**2
        gain = (a[:, None] ** 2 + a**2 - 2 * a[:, None] * a * G) / np.where(left > NEW, left, np.inf)
        pair = np.unravel_index(np.argmax(gain), gain.shape)
        found = [[], [int(np.argmax(np.abs(a)))], [int(t) for t in pair]]
        return found + [[0]] * (not self.A[0].any() and found[1] != [0])

    def by_logarithms(self, kinds):
        """The functions with which log y is best described as a line in the logarithms of the features."""
        y = self.plain_y
        sign = np.sign(y @ self.root**2)
        positive = sign * y > 0
        if (y**2 * positive) @ self.root**2 < POSITIVE * (y**2 @ self.root**2):
            return []
        y = np.where(positive, sign * y, 1.0)
        weight = self.root * np.where(positive, y, 0.0)
        basis = np.linalg.qr(np.column_stack([np.ones(self.n), self.log[:, self.which]]) * weight[:, None])[0]
        target = np.log(y) * weight
        target = target - basis @ (basis.T @ target)
        found = []
        for kind in ("exp", "shifted"):
            if kind not in kinds:
                continue
            A = self._signed() if kind == "exp" else self.arguments
            Q = np.exp(np.clip(self.log @ A.T, -300, 300))
            if kind == "exp":
                c = np.ones((1, len(A)))
            else:
                c = np.vstack([t / np.median(Q, axis=0) for t in MEDIANS] + [-t / Q.max(axis=0) for t in LARGEST])
            best = []
            for one in c:
                column = (Q if kind == "exp" else np.log1p(one * Q)) * weight[:, None]
                whole = (column**2).sum(axis=0)
                column = column - basis @ (basis.T @ column)
                left = (column**2).sum(axis=0)
                with np.errstate(all="ignore"):
                    slope = np.where(left > 1e-6 * whole, (target @ column) / left, 0.0)
                rest = np.maximum(target @ target - slope**2 * left, 1e-14 * (target @ target))
                best.append((self.n * np.log(rest) + products.prices(A).sum(axis=1), slope))
            score, slope = (np.array(part) for part in zip(*best, strict=True))
            chosen, of_kind, of_pair = np.argmin(score, axis=0), [], []
            for q in np.argsort(score.min(axis=0), kind="stable")[: 4 * OF_EACH]:
                one, power = c[chosen[q], q], slope[chosen[q], q]
                if not power:
                    continue
                if kind == "exp":
                    one, power = power, 1.0
                else:
                    power = min(POWERS, key=lambda p: abs(p - power))
                choice = Choice(kind, A[q], float(one), 0.0, float(power), float(score[chosen[q], q]))
                of_kind.append(self._of_one_product(choice))
                if kind == "exp":
                    grid = [(of_kind[-1].factor * step, 0.0) for step in NEIGHBOURS]
                    of_pair.append(self._by_pairs(kind, A[q], power, Q[:, q], grid))
            found += sorted(of_kind, key=lambda choice: choice.score)[:OF_EACH]
            found += sorted(of_pair, key=lambda choice: choice.score)[:OF_EACH]
        return found

    def of_logarithms(self):
        """The sum of products P, or of P log x_j and P, that describes y best; None where none has a logarithm.

        P comes with P log x_j because the latter depends on the unit of x_j; where it is not needed it goes later.
        """
        logs, m = self.log[:, self.which], len(self.which)
        columns = np.stack([self.factors] + [self.factors * log[:, None] for log in logs.T])
        with np.errstate(all="ignore"):
            columns /= np.linalg.norm(columns, axis=1, keepdims=True)
        columns[~np.isfinite(columns).all(axis=1)[:, None, :].repeat(self.n, axis=1)] = 0.0
        price = self.price + np.where(np.arange(m + 1) > 0, 1.0 + np.log(self.n), 0.0)[:, None]

        def basis_of(groups):
            chosen = [columns[:, :, t][sorted({0, j})] for j, t in groups]
            return np.linalg.qr(np.concatenate(chosen).T)[0] if chosen else np.zeros((self.n, 0))

        def better(groups, place):
            others = [one for k, one in enumerate(groups) if k != place]
            B = basis_of(others)
            r = self.y - B @ (B.T @ self.y)
            left = columns - np.einsum("nb,jbt->jnt", B, np.einsum("nb,jnt->jbt", B, columns))
            size = (left[0] ** 2).sum(axis=0)
            own = np.where(size > NEW, 1.0 / np.sqrt(np.maximum(size, NEW)), 0.0) * left[0]
            left[1:] -= own * (own * left[1:]).sum(axis=1, keepdims=True)
            size = (left[1:] ** 2).sum(axis=1)
            gain = np.where(size > NEW, (left[1:] * r[:, None]).sum(axis=1) ** 2 / np.maximum(size, NEW), 0.0)
            gain = np.vstack([np.zeros(gain.shape[1]), gain]) + (own * r[:, None]).sum(axis=0) ** 2
            length = self.n * np.log(np.maximum(r @ r - gain, products.FLOOR)) + price
            j, t = np.unravel_index(np.argmin(length), length.shape)
            rest = sum(price[one] for one in others) + (TERM + np.log(self.n)) * (len(others) + 1)
            return [*others, (int(j), int(t))], float(length[j, t] + rest)

        best, least = [], np.inf
        while len(best) < min(MAX_TERMS, self.n // 4):
            groups, length = better(best, None)
            for _ in range(products.SWEEPS):
                trials = [better(groups, place) for place in range(len(groups))]
                trial = min(trials, key=lambda one: one[1])
                if not trial[1] < length - 1e-9:
                    break
                groups, length = trial
            if not length < least - 1e-9:
                break
            best, least = groups, length
        used = sorted({j for j, _ in best if j})
        if not used:
            return None
        code = {(*self.A[t], *np.zeros(len(used))) for _, t in best}
        code |= {(*self.A[t], *(np.array(used) == j)) for j, t in best if j}
        code = np.array(sorted(code, reverse=True), dtype=float)
        m = len(used)
        exponent = np.eye(self.d)[self.which[np.array(used) - 1]]
        functions = Functions(np.full(m, "log"), exponent, np.ones(m), np.zeros(m), np.zeros((m, 2), bool))
        return Fitted(functions, code[:, : self.d], code[:, self.d :], least)

    def _of_one_product(self, choice):
        """The choice fitted as one product with the function, by least squares of y with free exponents.

        The logarithm of y is biased by its noise where y is small.
        """
        Q = np.exp(np.clip(self.log @ choice.argument, -300, 300))
        kind, lines = KINDS[choice.kind], np.column_stack([np.ones(self.n), self.log[:, self.which]])

        def value(z):
            with np.errstate(all="ignore"):
                F = kind.value(z[-1] * Q) ** choice.power
                return np.exp(np.clip(lines @ z[:-1], -300, 300)) * F

        def residual(z):
            f = value(z)
            return (y - f) * self.root if np.isfinite(f).all() and np.abs(f).max() < 1e100 else 1e3 * y * self.root

        sign = np.sign(self.plain_y @ self.root**2)
        y = sign * self.plain_y
        weight = self.root * np.maximum(y, 0.0)
        with np.errstate(all="ignore"):
            target = np.log(np.where(y > 0, y, 1.0)) - choice.power * np.log(kind.value(choice.factor * Q))
        start = np.linalg.lstsq(lines * weight[:, None], target * weight, rcond=1e-10)[0]
        found = least_squares(residual, np.append(start, choice.factor), method="lm", x_scale="jac", max_nfev=300)
        squares = 2 * found.cost / (y @ (y * self.root**2))
        score = self.n * np.log(max(squares, products.FLOOR)) + products.prices(choice.argument).sum()
        return choice._replace(factor=float(found.x[-1]), score=float(score))

    def _signed(self):
        """All products of powers -1, 0 and 1."""
        if len(self.which) > MAX_SIGNED:
            return self.arguments
        powers = np.array(list(product((0.0, 1.0, -1.0), repeat=len(self.which))))[1:]
        A = np.zeros((len(powers), self.d))
        A[:, self.which] = powers
        return A

    def of_pairs(self, choice):
        """The function with one or two terms, fitted; None if there is none."""
        first = _State(choice, choice.factor, choice.phase)
        found = [self._grown(first, size) for size in (1, 2)]
        return min((one for one in found if one is not None), key=lambda one: one.score, default=None)

    def grown(self, best):
        """The function with the sum of more terms that suits it; None where no term needs the function."""
        while len(best.code) < min(MAX_TERMS, self.n // 4) and best.squares > EXHAUSTED:
            more = self._grown(best, len(best.code) + 1)
            if more is None or not more.score < best.score - 1e-9:
                break
            best = more
        best = self._thinned(best)
        if not best.code[:, -1].any():
            return None
        choice = best.choice
        kind, phase = choice.kind, best.phase
        if kind == "cos" and best.is_simple and phase:  # by -pi / 2
            kind, phase = "sin", 0.0
        free = kind != "log" or not best.is_simple, kind == "cos" and not best.is_simple
        functions = Functions(
            np.array([kind]), choice.argument[None], np.array([best.factor]), np.array([phase]), np.array([free])
        )
        return Fitted(functions, best.code[:, :-1], best.code[:, -1:] * choice.power, best.score)

    def _thinned(self, best):
        """The sum without the terms that only made up for an inexact function."""
        Q = np.exp(np.clip(self.log @ best.choice.argument, -300, 300))
        while len(best.code) > 1:
            trials = [self._refit(Q, np.delete(best.code, i, axis=0), best) for i in range(len(best.code))]
            least = min(trials, key=lambda one: one.score)
            if not least.score < best.score:
                break
            best = least
        return best

    def _grown(self, state, size):
        """A sum of so many terms and the function in it, fitted in turn, from ``state`` on; None without one."""
        choice = state.choice
        Q = np.exp(np.clip(self.log @ choice.argument, -300, 300))
        code, every = state.code, None
        for _ in range(ROUNDS):
            with np.errstate(all="ignore"):
                F = KINDS[choice.kind].value(state.factor * Q + state.phase) ** choice.power
                F = F / np.abs(F).max()
            if not np.isfinite(F).all():
                return None
            if every is None:
                A, power, columns = self._dictionary(F)
                every = np.column_stack([A, power])
            with np.errstate(all="ignore"):
                unit = np.where(power[:, None] > 0, columns.T * F, columns.T).T
                unit /= np.linalg.norm(unit, axis=0)
            unit[:, ~np.isfinite(unit).all(axis=0)] = 0.0
            places = [] if code is None else [_place(every, one) for one in code]
            if size == 2 and not places:
                places = products.best_pair(unit, self.y, every, PAIRED) or []
            while len(places) < size:
                places = products.improved(unit, self.y, every, [*places, None])
                if places is None:
                    return None
            options = [products.improved(unit, self.y, every, places)]
            if size == 3 and code is state.code:
                options.append(self._pair_beside(unit, every, places))
            options = [one for one in options if one is not None]
            if not options:
                return None
            terms = min(options, key=lambda one: products.length_of_sum(unit, self.y, every, one))
            before, code = code, every[terms]
            if before is not None and before.shape == code.shape and (before == code).all():
                break
            state = self._refit(Q, code, state)
        return state

    def _pair_beside(self, unit, every, places):
        """The terms with the function and the best pair beside them; None without one."""
        kept = [t for t in places if every[t, -1]]
        if len(kept) != 1:
            return None
        basis = np.linalg.qr(unit[:, kept])[0]
        left = unit - basis @ (basis.T @ unit)
        size = np.linalg.norm(left, axis=0)
        left = np.where(size**2 > NEW, left / np.maximum(size, NEW), 0.0)
        pair = products.best_pair(left, self.y - basis @ (basis.T @ self.y), every, PAIRED)
        return None if pair is None else products.improved(unit, self.y, every, [*kept, *pair])

    def _dictionary(self, F):
        """Products without and with the function: exponents, whether with it (0, 1), columns without it."""
        A, columns = self.A, self.factors
        near, more = self._columns(self._near(F))
        power = np.r_[np.zeros(len(A)), np.ones(len(A) + len(near))]
        return np.vstack([A, A, near]), power, np.column_stack([columns, columns, more])

    def _near(self, F):
        """Exponents near those of the product that is closest to y / F, rounded to halves."""
        y = self.plain_y / np.where(F == 0, 1.0, F)
        positive = np.sign(y @ F**2) * y * (F != 0) > 0
        if (y**2 * positive) @ (self.root * F) ** 2 < POSITIVE * ((y * F) ** 2 @ self.root**2):
            return np.zeros((0, self.d))
        weight = self.root * np.where(positive, np.abs(self.plain_y), 0.0)
        target = np.log(np.where(positive, np.abs(y), 1.0))
        lines = np.column_stack([np.ones(self.n), self.log[:, self.which]])
        slopes = np.linalg.lstsq(lines * weight[:, None], target * weight, rcond=1e-10)[0][1:]
        base = np.zeros(self.d)
        base[self.which] = np.clip(np.round(2 * slopes) / 2, -4.0, 4.0)
        found = [base]
        for j in self.which:
            for step in (-1.0, -0.5, 0.5, 1.0):
                found.append(base.copy())
                found[-1][j] += step
        for i, j in combinations(self.which, 2):
            for step in product((-1.0, -0.5, 0.5, 1.0), repeat=2):
                found.append(base.copy())
                found[-1][[i, j]] += step
        return np.array(found)

    def _refit(self, Q, code, state):
        """The function fitted with these terms, rows of exponents and whether it is a factor."""
        choice = state.choice
        A, power = code[:, :-1], code[:, -1]
        P = np.exp(np.clip(self.log @ A.T, -300, 300)) * self.root[:, None]
        kind, is_cosine, n = KINDS[choice.kind], choice.kind == "cos", self.n

        def residual(z, phase=None):
            if is_cosine and abs(z[0] * state.factor) * np.ptp(Q) < LEAST_ANGLE:
                return 10 * self.y
            u = z[0] * state.factor * Q + (state.phase if not is_cosine else z[1] if phase is None else phase)
            F = kind.value(u)
            if choice.kind == "shifted" and F.min() <= 0:
                return 10 * self.y
            with np.errstate(all="ignore"):
                columns = np.where(power[:, None] > 0, P.T * F**choice.power, P.T).T
                columns = columns / np.linalg.norm(columns, axis=0)
            if not np.isfinite(columns).all():
                return 10 * self.y
            basis = np.linalg.qr(columns)[0]
            return self.y - basis @ (basis.T @ self.y)

        how = {"method": "lm", "xtol": 1e-14, "ftol": 1e-14, "gtol": 1e-14, "max_nfev": 60}
        factor, phase, is_simple, n_free = state.factor, state.phase, True, 1
        if not power.any():
            squares, n_free = float((residual([1.0, phase]) ** 2).sum()), 0
        elif not is_cosine:
            found = least_squares(residual, [1.0], **how)
            squares, is_simple = 2 * found.cost, False
            if choice.kind == "log":  # log(c Q) is log Q and a constant, which another term may hold
                simple = float((residual([1.0]) ** 2).sum())
                gain = n * np.log(max(simple, products.FLOOR) / max(squares, products.FLOOR))
                is_simple, n_free = bool(gain < np.log(n)), int(gain >= np.log(n))
            if is_simple:
                squares = simple
            else:
                factor = found.x[0] * factor
        else:
            found = least_squares(residual, [1.0, phase], **how)
            quarter = np.round(found.x[1] / (np.pi / 2))
            simple = least_squares(residual, found.x[:1], args=(quarter * np.pi / 2,), **how)
            gain = n * np.log(max(2 * simple.cost, products.FLOOR) / max(2 * found.cost, products.FLOOR))
            is_simple = bool(gain < np.log(n))
            if is_simple:
                factor, phase, squares = simple.x[0] * factor, -np.pi / 2 * (quarter % 2), 2 * simple.cost
            else:
                factor, phase, squares = found.x[0] * factor, found.x[1], 2 * found.cost
                phase, n_free = (phase + np.pi) % (2 * np.pi) - np.pi, 2
        score = n * np.log(max(squares, products.FLOOR)) + products.price_of(code)
        score += np.log(n) * (len(code) + n_free) + TERM * len(code) + products.prices(choice.argument).sum()
        return _State(choice, factor, phase, code, is_simple, squares, score)


def _place(every, one):
    """Which row of ``every`` is ``one``; None if there is none."""
    found = np.flatnonzero((every == one).all(axis=1))
    return int(found[0]) if len(found) else None


def length_of(functions, n):
    """Twice the description length of functions: which of some thousand, their arguments, their parameters."""
    plain = (functions.kind == "log") & ~functions.free[:, 0]
    return np.where(plain, LOGARITHM, CHOICE).sum() + products.prices(functions.exponent).sum() + np.log(n) * functions.free.sum()


def with_plain_logarithms(exact, objective, net):
    """Objective and net with log Q instead of log(Q / Q0), Q0 in units of the features, and ``exact`` with the same.

    P log(Q / Q0) is P log Q and a multiple of P.
    """
    functions = objective.functions
    plain = (functions.kind == "log") & ~functions.free[:, 0]
    if plain.any():
        unit = np.exp(functions.exponent @ np.log(exact.scaling.x_scale))
        functions = replace(functions, factor=np.where(plain, unit, functions.factor))
        objective = objective.with_functions(functions)
        codes = net.nodes[:, : objective.d]
        for code in codes:
            if code[objective.n_given :][plain].any():
                alone = np.where(np.arange(objective.d) < objective.n_given, code, 0.0)
                if not alone.any():
                    net = objective.with_free_constant(net)
                elif not (codes == alone).all(axis=1).any():
                    net = with_product(objective, net, alone)
        net = objective.fit(net, max_iter=30, tol=1e-10)
    return exact.with_functions(functions), objective, net


def refitted(objective, net):
    """The objective and the net, functions and net fitted together to the last digit, by Gauss and Newton."""
    residual, J = objective.jacobian(net)
    squares = residual @ residual
    for _ in range(STEPS):
        free = np.flatnonzero(net.lower < net.upper)
        inner = objective.functions.free.ravel()
        J = np.column_stack([J[:, free], objective.jacobian_of_functions(net)[:, inner]])
        size = np.linalg.norm(J, axis=0)
        if not np.isfinite(size).all() or not size.all():
            break
        step = -np.linalg.lstsq(J / size, residual, rcond=1e-12)[0] / size
        flat, moved = objective.functions.parameters, net.copy()
        flat[inner] += step[len(free) :]
        moved.theta[free] += step[: len(free)]
        other = objective.with_functions(objective.functions.with_parameters(flat))
        residual, J = other.jacobian(moved)
        if not residual @ residual < squares:
            break
        squares = residual @ residual
        objective, net = other, replace(moved, squares=float(squares))
    return objective, net
