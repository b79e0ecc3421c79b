"""Search for sums of products in which a factor is a function: P f(c Q + phi), P and Q products of simple powers.

`function_ranking` proposes functions. Here each is fitted with the sum that suits it, term after term: with c and phi
given the terms are chosen as in `products`, and with the terms given c and phi are fitted, in turn.
"""

from dataclasses import replace
from itertools import combinations, product
from typing import NamedTuple

import numpy as np
from scipy.optimize import least_squares

from skmerge._net import products
from skmerge._net.function_ranking import ONE_SIGN, Choice, Ranking, value_of
from skmerge._net.function_table import NEW, Table, n_simple
from skmerge._net.functions import Functions
from skmerge._net.logarithms import TERM, Fitted, sum_of_logarithms
from skmerge._net.selection import EXHAUSTED

FITTED = 12  # functions of which sums of one and two terms are fitted
GROWN = 4  # of which longer sums are
FEW_FACTORS = 12  # homogeneous products of a second search
TOGETHER = 40  # terms in one sum at first
TAKEN = 3  # of which are cross-validated
MAX_TERMS = 6
ROUNDS = 3  # of choosing terms and fitting the function
PAIRED = 200  # columns of which all pairs are compared
LEAST_ANGLE = 1.0  # range of the argument of a cosine; of a smaller one it is a parabola
LAST_STEPS = 10  # of the last fit
LOGARITHM = 4.0  # twice the description length of which log x_j
FACTORS = 10  # c and powers of a function that are told apart, for the description length of the choice


def function_nets(objective, candidates, kinds):
    """Pairs of an objective with a function among its columns and a net of it, fitted, the best few."""
    is_signed = objective.scaling.signed.any() and not isinstance(candidates.sign, str)
    if not kinds or is_signed or not len(candidates.admitted):
        return []
    with np.errstate(all="ignore"):  # what overflows is far from any law
        found = _best_sums(Table(objective, candidates), kinds)
        if objective.dimensions is not None:  # with many products, the fit of a function stays where others suit it
            found += _best_sums(Table(objective, candidates, FEW_FACTORS), kinds)
            found = sorted(found, key=lambda one: one.score)[:TAKEN]
        return [one.net_of(objective) for one in found]


def _best_sums(table, kinds):
    """The best few sums with a function, each a Fitted."""
    if not len(table.A):
        return []
    fitted = [sum_of_logarithms(table, MAX_TERMS)] * ("log" in kinds)
    if tuple(kinds) != ("log",):
        search, ranking = Search(table), Ranking(table, kinds)
        choices = sorted(ranking.by_sums() + ranking.by_logarithms(), key=lambda choice: choice.score)[:FITTED]
        states = [search.short(choice) for choice in choices]
        states = sorted((one for one in states if one is not None), key=lambda one: one.score)[:GROWN]
        fitted += [search.grown(state) for state in states]
    return sorted((one for one in fitted if one is not None), key=lambda one: one.score)[:TAKEN]


class State(NamedTuple):
    """A function with a sum: ``code`` (n_terms, d + 1) holds exponents and whether the function is a factor."""

    choice: Choice
    code: np.ndarray | None = None
    is_simple: bool = True  # its phase; of a logarithm its factor
    squares: float = np.inf
    score: float = np.inf


class Search:
    """Sums with one function on a Table."""

    def __init__(self, table):
        self.table = table

    def short(self, choice):
        """The function with one or two terms, fitted; None if there is none."""
        found = [self._fitted(State(choice), size) for size in (1, 2)] + [self._beside_constant(choice)]
        return min((one for one in found if one is not None), key=lambda one: one.score, default=None)

    def _beside_constant(self, choice):
        """c f + D, such as 5 - 5 exp(-t / 3): from another factor in exp, two other terms suit y better at first."""
        if self.table.A[0].any() or choice.kind == "log":
            return None
        code = np.zeros((2, self.table.d + 1))
        code[1, -1] = 1.0
        return self._refitted(self._argument(choice), code, State(choice))

    def grown(self, best):
        """The function with the longer sum that suits it; None where no term needs the function."""
        while len(best.code) < min(MAX_TERMS, self.table.n // 4) and best.squares > EXHAUSTED:
            more = self._fitted(best, len(best.code) + 1)
            if more is None or not more.score < best.score - 1e-9:
                break
            best = more
        best = self._thinned(best)
        if self.table.dimensions is not None and len(best.code) > 1:
            other = self._from_all(best)
            best = best if other is None or other.score >= best.score else self._thinned(other)
        if not best.code[:, -1].any():
            return None
        choice = best.choice
        kind, phase = choice.kind, choice.phase
        if kind == "cos" and best.is_simple and phase:  # by -pi / 2
            kind, phase = "sin", 0.0
        if kind == "expm1" and choice.factor < 0:
            kind = "rise"
        free = kind != "log" or not best.is_simple, kind == "cos" and not best.is_simple
        functions = Functions(
            np.array([kind]), choice.argument[None], np.array([choice.factor]), np.array([phase]), np.array([free])
        )
        return Fitted(functions, best.code[:, :-1], best.code[:, -1:] * choice.power, best.score)

    def _from_all(self, state):
        """The function with the sum that is left of all simple homogeneous products; None without one.

        Of a + b + sqrt(a b) cos(c) the terms a^2 / b and b^2 / a would stay, as no single other one is better.
        """
        table, Q = self.table, self._argument(state.choice)
        F = value_of(state.choice, Q)
        with np.errstate(all="ignore"):
            F = F / np.abs(F).max()
            every, columns = self._dictionary(F)
            few = np.argsort(products.prices(every).sum(axis=1), kind="stable")[:TOGETHER]
            unit = np.where(every[few, -1:] > 0, columns[:, few].T * F, columns[:, few].T).T
            unit = unit / np.linalg.norm(unit, axis=0)
        fine = np.isfinite(unit).all(axis=0)
        code, unit = every[few][fine], unit[:, fine]
        sums = products.thinned_sums(unit, table.target, code, min(MAX_TERMS, table.n // 4))
        found = [self._refitted(Q, code[one], state) for one in map(list, sums) if code[one, -1].any()]
        return min(found, key=lambda one: one.score, default=None)

    def _thinned(self, best):
        """The sum without the terms that only corrected an inexact function."""
        Q = self._argument(best.choice)
        while len(best.code) > 1:
            trials = [self._refitted(Q, np.delete(best.code, i, axis=0), best) for i in range(len(best.code))]
            least = min(trials, key=lambda one: one.score)
            if not least.score < best.score:
                break
            best = least
        return best

    def _argument(self, choice):
        return self.table.values(choice.argument[None])[:, 0]

    def _fitted(self, state, size):
        """A sum of so many terms and the function in it, fitted in turn, from ``state`` on; None without one."""
        table, Q, code, every = self.table, self._argument(state.choice), state.code, None
        for turn in range(ROUNDS):
            F = value_of(state.choice, Q)
            with np.errstate(all="ignore"):
                F = F / np.abs(F).max()
            if not np.isfinite(F).all():
                return None
            if every is None:
                every, columns = self._dictionary(F)
            with np.errstate(all="ignore"):
                unit = np.where(every[:, -1:] > 0, columns.T * F, columns.T).T
                unit = unit / np.linalg.norm(unit, axis=0)
            unit[:, ~np.isfinite(unit).all(axis=0)] = 0.0
            places = [] if code is None else [_row_of(every, one) for one in code]
            if size == 2 and not places:
                places = products.best_pair(unit, table.target, every, PAIRED) or []
            while len(places) < size:
                places = products.improved(unit, table.target, every, [*places, None])
                if places is None:
                    return None
            options = [products.improved(unit, table.target, every, places)]
            options += [self._pair_beside(unit, every, places)] * (size == 3 and turn == 0)
            options = [one for one in options if one is not None]
            if not options:
                return None
            terms = min(options, key=lambda one: products.length_of_sum(unit, table.target, every, one))
            before, code = code, every[terms]
            if before is not None and before.shape == code.shape and (before == code).all():
                break
            state = self._refitted(Q, code, state)
        return state

    def _pair_beside(self, unit, every, places):
        """The term with the function and the best pair beside it; None without one."""
        kept = [t for t in places if every[t, -1]]
        if len(kept) != 1:
            return None
        column, target = unit[:, kept[0]], self.table.target
        left = unit - np.outer(column, column @ unit)
        size = np.linalg.norm(left, axis=0)
        left = np.where(size**2 > NEW, left / np.maximum(size, NEW), 0.0)
        pair = products.best_pair(left, target - column * (column @ target), every, PAIRED)
        return None if pair is None else products.improved(unit, target, every, [*kept, *pair])

    def _dictionary(self, F):
        """Products without and with the function: exponents and whether with it (m, d + 1), columns without it."""
        table = self.table
        near, columns = table.columns(self._near(F))
        power = np.r_[np.zeros(len(table.A)), np.ones(len(table.A) + len(near))]
        A = np.vstack([table.A, table.A, near])
        return np.column_stack([A, power]), np.column_stack([table.factors, table.factors, columns])

    def _near(self, F):
        """Exponents near those of the product that is closest to y / F, rounded to halves or homogeneous, (m, d)."""
        table, which = self.table, self.table.with_logarithm
        large = np.abs(F) > 1e-100
        y = np.where(large, table.y / np.where(large, F, 1.0), 0.0)
        positive = np.sign(y @ (F * table.root) ** 2) * y > 0
        squares = (y * F * table.root) ** 2
        if squares @ positive < ONE_SIGN * squares.sum():
            return np.zeros((0, table.d))
        weight = table.root * np.where(positive, np.abs(table.y), 0.0)
        target = np.log(np.where(positive, np.abs(y), 1.0))
        lines, known = table.lines
        if table.dimensions is not None:
            return table.nearest(lines, (target - known) * weight, weight)
        slopes = np.linalg.lstsq(lines * weight[:, None], target * weight, rcond=1e-10)[0][1:]
        base = np.zeros(table.d)
        base[which] = np.clip(np.round(2 * slopes) / 2, -4.0, 4.0)
        found = [base]
        for j in which:
            for step in (-1.0, -0.5, 0.5, 1.0):
                found.append(base.copy())
                found[-1][j] += step
        for i, j in combinations(which[:8], 2):
            for size, sign in product((0.5, 1.0), product((-1.0, 1.0), repeat=2)):
                found.append(base.copy())
                found[-1][[i, j]] += size * np.array(sign)
        found = np.array(found)
        return found[table.is_allowed(found)]

    def _refitted(self, Q, code, state):
        """The function fitted with these terms, by least squares in which the factors of the terms are eliminated."""
        table, choice, n = self.table, state.choice, self.table.n
        P, times = table.values(code[:, :-1]) * table.root[:, None], code[:, -1] > 0
        is_cosine = choice.kind == "cos"

        def residual(z, phase=None):
            phase = choice.phase if not is_cosine else z[1] if phase is None else phase
            trial = choice._replace(factor=z[0] * choice.factor, phase=phase)
            impossible = is_cosine and abs(trial.factor) * np.ptp(Q) < LEAST_ANGLE
            if impossible or (choice.kind == "shifted" and 1.0 + (trial.factor * Q).min() <= 0):
                return 10 * table.target
            with np.errstate(all="ignore"):
                columns = np.where(times[:, None], P.T * value_of(trial, Q), P.T).T
                columns = columns / np.linalg.norm(columns, axis=0)
            if not np.isfinite(columns).all():
                return 10 * table.target
            basis = np.linalg.qr(columns)[0]
            return table.target - basis @ (basis.T @ table.target)

        def loss(squares):
            return n * np.log(max(squares, products.FLOOR))

        how = {"method": "lm", "xtol": 1e-14, "ftol": 1e-14, "gtol": 1e-14, "max_nfev": 60}
        is_simple, n_free, squares = True, 0, float((residual([1.0, choice.phase]) ** 2).sum())
        if times.any() and not is_cosine:
            found = least_squares(residual, [1.0], **how)
            # log(c Q) is log Q and a constant, which another term may hold.
            is_simple = choice.kind == "log" and loss(squares) - loss(2 * found.cost) < np.log(n)
            if not is_simple:
                choice, squares, n_free = choice._replace(factor=found.x[0] * choice.factor), 2 * found.cost, 1
        elif times.any():
            found = least_squares(residual, [1.0, choice.phase], **how)
            quarter = np.round(found.x[1] / (np.pi / 2))
            simple = least_squares(residual, found.x[:1], args=(quarter * np.pi / 2,), **how)
            is_simple = loss(2 * simple.cost) - loss(2 * found.cost) < np.log(n)
            best, n_free = (simple, 1) if is_simple else (found, 2)
            phase = -np.pi / 2 * (quarter % 2) if is_simple else (found.x[1] + np.pi) % (2 * np.pi) - np.pi
            choice, squares = choice._replace(factor=best.x[0] * choice.factor, phase=phase), 2 * best.cost
        score = loss(squares) + products.price_of(code) + np.log(n) * (len(code) + n_free) + TERM * len(code)
        return State(choice, code, bool(is_simple), squares, score + products.prices(choice.argument).sum())


def _row_of(every, one):
    """Which row of ``every`` is ``one``; None if there is none."""
    found = np.flatnonzero((every == one).all(axis=1))
    return int(found[0]) if len(found) else None


def length_of(functions, n):
    """Twice the description length of functions: which of those that are ranked, their arguments, their parameters."""
    plain = (functions.kind == "log") & ~functions.free[:, 0]
    one = 2 * np.log(FACTORS * n_simple(functions.exponent.shape[1]))
    choice = np.where(plain, LOGARITHM, one).sum() + products.prices(functions.exponent).sum()
    return choice + np.log(n) * functions.free.sum()


def refitted(objective, net):
    """The objective and the net, functions and net fitted together to the last digit, by Gauss and Newton."""
    residual, J = objective.jacobian(net)
    squares = residual @ residual
    for _ in range(LAST_STEPS):
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
