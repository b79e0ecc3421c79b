"""The law of one output with units: sums of homogeneous products, through functions and links."""

import numpy as np

from skmerge._net import candidates, comparison
from skmerge._net.law import BIG, FOLDS, Candidate, Law, search_law
from skmerge._net.linked import best_linked, simple_law
from skmerge._net.selection import LawSearch
from skmerge._progress import SILENCE, refine
from skmerge._text import warn

GOOD = 0.0035  # squared error, in units of var(y), of a law that is not compared with one without units
CLEAR = 4.0  # times the squares of a law without units, for a warning


def homogeneous_law(exact, objective, settings, seeds, folds, task, n_threads=1):
    """The law of one output; ``exact``: its Objective, ``objective``: that rounded, both with dimensions."""
    if objective.n > BIG:
        rng = np.random.default_rng(seeds)
        rows = np.sort(rng.choice(objective.n, candidates.SEARCH_ROWS, replace=False))
        sample = objective.subset(rows)
        folds = np.array_split(rng.permutation(sample.n), FOLDS)
        law = _plain(sample.rounded(), settings, seeds, folds, task)
        net, _ = refine(task, "fit to all rows", objective, law.net, law.penalties(law.net), 50, 1e-8, n_threads)
        tried = [one._replace(net=net) if one.net is law.net else one for one in law.tried]
        return law._replace(net=net, squares=None, tried=tried)
    law = _plain(objective, settings, seeds, folds, task)
    links = [name for name in settings.links if name != "identity"]
    if links and objective.n > 1 and law.net.n_nodes:
        law = best_linked(links, exact, objective, law, settings, seeds, folds, task)
    return law


def _plain(objective, settings, seeds, folds, task):
    """The best sum of homogeneous products; a constant, or 0, where there is none."""
    search = LawSearch(objective, settings, np.random.default_rng(seeds), task)
    law = simple_law(search, folds) if objective.n > 1 and objective.y.any() else None
    if law is not None:
        return law
    net = objective.constant()
    if objective.n == 1:
        return Law(net, np.inf, None, search.penalties, [Candidate(net, np.inf, objective)])
    squares = objective.weight * comparison.leave_one_out(objective, net)
    error = float(squares.sum())
    return Law(net, error, squares, search.penalties, [Candidate(net, error, objective)])


def warn_of_units(objective, law, settings, seeds, folds):
    """Warn if a law without units errs clearly less than this one of an objective with dimensions."""
    if law.error <= GOOD or law.squares is None:
        return
    free = objective._with(dimensions=None, intercept=True, blend="learn")
    other = search_law(free, settings, seeds, folds, SILENCE)
    if law.error > CLEAR * other.error and not comparison.no_worse(law.squares, other.squares):
        ratio = np.sqrt(law.error / max(other.error, 1e-30))
        warn(
            f"units: the best homogeneous law errs by {np.sqrt(law.error):.2g} of the spread of y, "
            f"{min(ratio, 1e6):.2g} times as much as a law without units. Either a unit is wrong, or a constant of the "
            "law has a unit: give that in constant_units."
        )
