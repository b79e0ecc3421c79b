"""Exponents of a homogeneous law that move along dimensionless products: the Reynolds number to the power of 0.8.

A term stays homogeneous if it is multiplied by a power t of a dimensionless product. Such powers are fitted, one after
the other, and kept where the description is shorter with them.
"""

from dataclasses import replace
from itertools import product
from typing import NamedTuple

import numpy as np
from scipy.optimize import least_squares

from skmerge._net import comparison
from skmerge._net.floats import squarable
from skmerge._net.law import Candidate, Law
from skmerge._net.products import prices
from skmerge._net.selection import EXHAUSTED

MAX_GROUPS = 60  # dimensionless products along which exponents are moved, the simplest
MAX_MOVES = 3
FITTED = 3  # moves that are fitted, of those that promise most
LARGEST = 4.0  # power of a dimensionless product
SIMPLE = 2, 3, 4, 5  # denominators of simple powers


class Moves(NamedTuple):
    """Dimensionless products by whose powers terms are multiplied: ``place``, terms each; ``group``, exponents (d,)."""

    place: list
    group: list
    power: list
    free: list  # whether the power is a fitted number


def refined_laws(search, nets, folds):
    """Laws with exponents moved along dimensionless products, and what their choice costs: [(Law, length), ...]."""
    objective, found = search.objective, []
    s, which = objective.scaling, search.candidates.admitted
    which = which[~(s.signed | s.zeros)[which]]
    groups = objective.dimensions.dimensionless.products(which, lambda A: prices(A).sum(axis=1), 4 * MAX_GROUPS)
    groups = groups[groups.any(axis=1)]
    # Constants may not take part: powers of their units would no longer be simple.
    groups = groups[np.abs(groups @ objective.dimensions.features).max(axis=1, initial=0.0) < 1e-9]
    groups = _distinct(groups)[:MAX_GROUPS]
    if not len(groups):
        return []
    for net in nets:
        if not net.n_nodes or net.squares < EXHAUSTED:
            continue
        moves = _moves(objective, net, groups)
        if not moves.place:
            continue
        moved = objective.fit(_moved(net, moves), max_iter=30, tol=1e-10)
        if not np.isfinite(moved.squares):
            continue
        errors, squares = comparison.cross_validate(search, [moved], folds)
        squares = np.maximum(squares[0], objective.weight * _without_each(objective, moved, moves))
        error = max(float(errors[0]), float(squares.sum()))
        n_free = sum(moves.free)
        length = np.log(objective.n) * n_free + len(moves.place) * _choice(net, groups)
        tried = [Candidate(moved, error, objective)]
        found.append((Law(moved, error, squares, search.penalties, tried), length))
    return found


def _distinct(groups):
    """The groups without powers of others."""
    kept = []
    for row in groups:
        unit = row / np.linalg.norm(row)
        if all(abs(unit @ other) < 1 - 1e-9 for _, other in kept):
            kept.append((row, unit))
    return np.array([row for row, _ in kept]).reshape(-1, groups.shape[1])


def _choice(net, groups):
    """Twice the description length of which dimensionless product stands in which terms."""
    return 2 * np.log(len(groups) * (net.n_nodes + 1))


def _moved(net, moves):
    """The net with the powers of the dimensionless products in its exponents, pinned there."""
    net = net.copy()
    for terms, group, power in zip(moves.place, moves.group, moves.power, strict=True):
        net.nodes[terms, : len(group)] += power * group
    for which in ("lower", "upper"):
        net.bound(which)[:, : net.n_features] = net.nodes[:, : net.n_features]
    return net


def _columns(J, net, moves):
    """Derivatives by the powers, from those by all parameters."""
    by_node = J[:, :-1].reshape(len(J), net.n_nodes, -1)
    pairs = zip(moves.place, moves.group, strict=True)
    columns = [by_node[:, terms, : len(group)].sum(axis=1) @ group for terms, group in pairs]
    return np.array(columns).reshape(len(columns), len(J)).T


def _moves(objective, net, groups):
    """The moves that describe y more shortly."""
    n, terms = objective.n, [[i] for i in range(net.n_nodes)]
    terms += [list(range(net.n_nodes))] * (net.n_nodes > 1)
    moves, best, squares = Moves([], [], [], []), net, net.squares
    price = np.log(n) + _choice(net, groups)
    while len(moves.place) < MAX_MOVES and net.n_free + len(moves.place) + 2 < n:
        options = list(product(terms, groups))
        trial = Moves([one for one, _ in options], [group for _, group in options], [], [])
        residual, J = objective.jacobian(best)
        columns = squarable(_columns(J, best, trial))
        known = [J[:, best.lower < best.upper], _columns(J, best, moves)]
        basis = np.linalg.qr(squarable(np.column_stack(known)))[0]
        size = (columns**2).sum(axis=0)
        columns = columns - basis @ (basis.T @ columns)
        left = (columns**2).sum(axis=0)
        gain = np.where(left > 1e-8 * size, (columns.T @ residual) ** 2 / np.maximum(left, 1e-300), 0.0)
        fits = []
        for k in np.argsort(-gain, kind="stable")[:FITTED]:
            if gain[k] > 0:
                longer = Moves(
                    [*moves.place, options[k][0]], [*moves.group, options[k][1]], [*moves.power, 0.0],
                    [*moves.free, True],
                )  # fmt: skip
                fits.append(_fitted(objective, net, longer))
        fits = [one for one in fits if one is not None]
        if not fits:
            break
        found, moved = min(fits, key=lambda one: one[1].squares)
        if not n * np.log(max(moved.squares, EXHAUSTED) / max(squares, EXHAUSTED)) < -price:
            break
        moves, best, squares = found, moved, moved.squares
    return _simplified(objective, net, moves, squares)


def _fitted(objective, net, moves):
    """The free powers fitted with the factors of the terms: Moves and net; None where that fails."""
    free, theta = np.flatnonzero(net.lower < net.upper), np.flatnonzero(moves.free)

    def at(z):
        power = np.array(moves.power, dtype=float)
        power[theta] = z[: len(theta)]
        moved = _moved(net, moves._replace(power=power.tolist()))
        moved.theta[free] = z[len(theta) :]
        return moved

    def residual(z):
        return np.clip(objective.jacobian(at(z))[0], -1e100, 1e100)

    def jacobian(z):
        moved = at(z)
        J = squarable(objective.jacobian(moved)[1])
        by_power = _columns(J, moved, moves)[:, theta]
        return np.column_stack([by_power, J[:, free]])

    start = np.append(np.array(moves.power, dtype=float)[theta], net.theta[free])
    found = least_squares(residual, start, jacobian, method="lm", x_scale="jac", xtol=1e-14, ftol=1e-14, max_nfev=200)
    moved, power = at(found.x), np.array(moves.power, dtype=float)
    power[theta] = found.x[: len(theta)]
    if not np.isfinite(found.cost) or np.abs(power).max(initial=0.0) > LARGEST:
        return None
    return moves._replace(power=power.tolist()), replace(moved, squares=float(2 * found.cost))


def _simplified(objective, net, moves, squares):
    """The moves with powers set to simple fractions while the data do not object."""
    n = objective.n
    for k, power in enumerate(moves.power):
        for value in sorted({round(power * by) / by for by in SIMPLE}, key=lambda one: abs(one - power)):
            trial = moves._replace(
                power=[value if i == k else old for i, old in enumerate(moves.power)],
                free=[i != k and old for i, old in enumerate(moves.free)],
            )
            fitted = _fitted(objective, net, trial)
            if fitted is not None and n * np.log(max(fitted[1].squares, EXHAUSTED) / max(squares, EXHAUSTED)) < np.log(
                n
            ):
                moves, squares = fitted[0], fitted[1].squares
                break
    return moves


def _without_each(objective, net, moves):
    """Squared error of every row if the law were fitted without it, its free powers among what is fitted."""
    residual, J = objective.jacobian(net)
    columns = [J[:, net.lower < net.upper], _columns(J, net, moves)[:, np.flatnonzero(moves.free)]]
    J = squarable(np.column_stack(columns))
    basis, size, _ = np.linalg.svd(J / np.maximum(np.linalg.norm(J, axis=0), 1e-300), full_matrices=False)
    leverage = (basis[:, size > 1e-10 * size[0]] ** 2).sum(axis=1)
    weight = np.maximum(objective.weight, 1e-300)
    return residual**2 / weight / np.maximum(1.0 - leverage, 1e-4) ** 2
