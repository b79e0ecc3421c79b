"""Sums of products times logarithms: a + b log x, n log sigma - Q / T."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from skmerge._net import products
from skmerge._net.function_table import NEW
from skmerge._net.functions import Functions

TERM = 8.0  # twice the description length of which product a term is, beside its exponents


class Fitted(NamedTuple):
    """A sum of products times functions: exponents A (n_terms, d), ``power`` (n_terms, m) of the functions."""

    functions: Functions
    A: np.ndarray
    power: np.ndarray
    score: float

    def net_of(self, objective):
        """The objective with the columns of the functions, and the net, fitted."""
        objective = objective.with_functions(self.functions)
        net = objective.constant().pinned(-1, 0.0)
        for A, power in zip(self.A, self.power, strict=True):
            if A.any() or power.any():
                net = with_product(objective, net, np.append(A, power))
            else:
                net = objective.with_free_constant(net)
        return objective, objective.fit(net, max_iter=30, tol=1e-10)


def with_product(objective, net, exponents):
    """The net and one product more, its factor free."""
    # An odd power has the sign of its base: of a function too, on the other side of its zero.
    has_sign = objective.scaling.signed | (np.arange(objective.d) >= objective.n_given)
    sign = (has_sign & (exponents % 2 == 1)).astype(np.uint8)
    return net.with_node(*products.product_node(objective, exponents, sign))


def sum_of_logarithms(table, max_terms):
    """The sum of products P, or of P log x_j and P, that describes y best; None where none has a logarithm.

    P comes with P log x_j because the latter depends on the unit of x_j; where it is not needed it is dropped later.
    """
    which = table.logarithms[(table.sign[:, table.logarithms] > 0).all(axis=0)]
    columns = np.stack([table.factors] + [table.factors * table.log[:, [j]] for j in which])
    with np.errstate(all="ignore"):
        columns /= np.linalg.norm(columns, axis=1, keepdims=True)
    columns = np.where(np.isfinite(columns).all(axis=1, keepdims=True), columns, 0.0)
    price = table.price + np.where(np.arange(len(columns)) > 0, 1.0 + np.log(table.n), 0.0)[:, None]
    groups, least = [], np.inf
    while len(groups) < min(max_terms, table.n // 4):
        more, length = _better(table, columns, price, groups)
        for _ in range(products.SWEEPS):
            trials = [_better(table, columns, price, more[:i] + more[i + 1 :]) for i in range(len(more))]
            trial = min(trials, key=lambda one: one[1])
            if not trial[1] < length - 1e-9:
                break
            more, length = trial
        if not length < least - 1e-9:
            break
        groups, least = more, length
    used = sorted({j for j, _ in groups if j})
    if not used:
        return None
    code = {(*table.A[t], *np.zeros(len(used))) for _, t in groups}
    code |= {(*table.A[t], *(np.array(used) == j)) for j, t in groups if j}
    code, m = np.array(sorted(code, reverse=True), dtype=float), len(used)
    exponent = np.eye(table.d)[which[np.array(used) - 1]]
    functions = Functions(np.full(m, "log"), exponent, np.ones(m), np.zeros(m), np.zeros((m, 2), bool))
    return Fitted(functions, code[:, : table.d], code[:, table.d :], least)


def _better(table, columns, price, groups):
    """The groups and the one that describes y best beside them, (j, t): factor t, with its product with log j if j > 0.

    Also their description length. ``columns`` (1 + n_logarithms, n, m) are of unit length.
    """
    target = table.target
    B = np.zeros((table.n, 0))
    if groups:
        B = np.linalg.qr(np.concatenate([columns[sorted({0, j}), :, t] for j, t in groups]).T)[0]
    r = target - B @ (B.T @ target)
    left = columns - np.einsum("nb,jbt->jnt", B, np.einsum("nb,jnt->jbt", B, columns))
    size = (left[0] ** 2).sum(axis=0)
    own = np.where(size > NEW, left[0] / np.sqrt(np.maximum(size, NEW)), 0.0)
    left = left[1:] - own * (own * left[1:]).sum(axis=1, keepdims=True)
    size = (left**2).sum(axis=1)
    gain = np.where(size > NEW, (left * r[:, None]).sum(axis=1) ** 2 / np.maximum(size, NEW), 0.0)
    gain = np.vstack([np.zeros(gain.shape[1]), gain]) + (own * r[:, None]).sum(axis=0) ** 2
    length = table.n * np.log(np.maximum(r @ r - gain, products.FLOOR)) + price
    j, t = np.unravel_index(np.argmin(length), length.shape)
    of_groups = sum(price[one] for one in groups) + (TERM + np.log(table.n)) * (len(groups) + 1)
    return [*groups, (int(j), int(t))], float(length[j, t] + of_groups)


def with_plain_logarithms(exact, objective, net):
    """``exact``, objective and net with log Q instead of log(Q / Q0), Q0 in units of the features.

    P log(Q / Q0) is P log Q and a multiple of P.
    """
    functions = objective.functions
    plain = (functions.kind == "log") & ~functions.free[:, 0]
    if plain.any():
        unit = np.exp(functions.exponent @ np.log(exact.scaling.x_scale[: exact.n_given]))
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
