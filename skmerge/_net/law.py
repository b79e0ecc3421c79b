"""The law of one output: searched, cross-validated, chosen."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from skmerge._net import candidates, comparison
from skmerge._net.objective import MAX_EXPONENT, Network, Objective
from skmerge._net.selection import LawSearch
from skmerge._progress import refine

FOLDS = 5
LEAST_VARIED = 0.01  # scatter of the logarithm of a product, below which it is a constant in effect
BIG = 20_000  # with more rows, a law is searched on SEARCH_ROWS of them and then fitted to all
# New rows may lie arbitrarily near to a pole at zero. The squared error of a law with such a pole must be less by this
# factor than that of a law without one that has no more parameters. Feynman II.11.28, 200 rows: errors of 7e-6 std(y)
# with, 0.012 without.
POLE_GAIN = 2.0


class Candidate(NamedTuple):
    """A candidate for a law; ``error``: cross-validated squared error in the units of its objective."""

    net: Network
    error: float
    objective: Objective
    link: str = "identity"  # for another link, the objective has a target of its own
    is_chosen: bool = False


class Law(NamedTuple):
    """The law of one output.

    ``error``: cross-validated squared error in units of var(y); ``squares`` (n,): shares of the rows in it, None if
    they were too many to search on all; ``penalties(net)``: those of its fit; ``tried``: the candidates among which it
    was chosen; ``link``, ``objective``: see Candidate.
    """

    net: Network
    error: float
    squares: np.ndarray | None
    penalties: Callable
    tried: Sequence[Candidate] = ()
    link: str = "identity"
    objective: Objective | None = None  # that of the link


def search_law(objective, settings, seeds, folds, task, n_threads=1):
    """The law of one output."""
    rng = np.random.default_rng(seeds)
    sample = objective
    if objective.n > BIG:
        sample = objective.subset(np.sort(rng.choice(objective.n, candidates.SEARCH_ROWS, replace=False))).rounded()
    if sample is not objective or folds is None:
        folds = np.array_split(rng.permutation(sample.n), FOLDS)
    law = best_law(LawSearch(sample, settings, rng, task), folds)
    near = comparison.near_zero(sample.X)
    if sample.n > 1 and comparison.has_pole(law.net, near):
        regular = best_law(LawSearch(sample.regular(near), settings, rng, task), folds)
        tried = [*law.tried, *regular.tried]
        if regular.error <= POLE_GAIN * law.error and regular.net.n_free <= law.net.n_free:
            law = regular
        law = law._replace(tried=tried)
    if sample is objective:
        return law
    net, _ = refine(task, "fit to all rows", objective, law.net, law.penalties(law.net), 50, 1e-8, n_threads)
    tried = [one._replace(net=net) if one.net is law.net else one for one in law.tried]
    return law._replace(net=net, squares=None, tried=tried)


def best_law(search, folds):
    nets = search.run()
    if search.objective.n == 1:  # its error is unknown
        return Law(nets[0], np.inf, None, search.penalties)
    errors, squares = comparison.cross_validate(search, nets, folds)
    unfit = _has_extreme_exponent, partial(_hides_constant, search.objective), partial(_is_zero, search.objective)
    extreme = np.array([any(check(net) for check in unfit) for net in nets])
    if not extreme.all():  # all: the user asks for nothing else
        errors[extreme] = np.inf
    best = comparison.simplest_of_the_best(nets, errors, squares)
    net, error, rows = nets[best], errors[best], squares[best]
    plain = search.simplifier.plainer(net)
    tried = [Candidate(*pair, search.objective) for pair in zip(nets, errors.tolist(), strict=True)]
    if plain.n_free < net.n_free and not _is_zero(search.objective, plain):
        net, rows = plain, search.objective.weight * comparison.leave_one_out(search.objective, plain)
        error = max(error, rows.sum())
        tried.append(Candidate(net, float(error), search.objective))
    return Law(net, float(error), rows, search.penalties, tried)


def _has_extreme_exponent(net):
    """Whether an exponent is at the limit: such a term fits only the outermost rows, and is huge beyond them."""
    products = [i for i in range(net.n_nodes) if net.kind(i) != "sum"]
    return bool((np.abs(net.nodes[products, : net.n_features]) >= MAX_EXPONENT).any())


def _is_zero(objective, net):
    """Whether it says that y is 0 everywhere, and y has one sign."""
    is_zero = not net.n_nodes and net.lower[-1] == net.upper[-1] and net.theta[-1] == 0
    return bool(is_zero and (objective.y.min() > 0 or objective.y.max() < 0))


def _hides_constant(objective, net):
    """Whether a product hardly varies, such as x^-1e-16, where there may be no constant."""
    if objective.intercept:
        return False
    products = [i for i in range(net.n_nodes) if net.kind(i) == "product" and not net.sign[i].any()]
    size = np.abs(net.nodes[products, : net.n_features]) @ np.sqrt(objective.scaling.log_variance)
    return bool((size < LEAST_VARIED).any())
