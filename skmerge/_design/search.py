"""A search for the best input: differential evolution, which begins at the best inputs seen, then one near its best."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import differential_evolution

from skmerge._design.criterion import WORSE, as_text
from skmerge._design.feasible import Feasible
from skmerge._design.models import Seen
from skmerge._progress import Reporter

SHORTLIST = 400  # of the inputs seen, those whose loss a new search calculates in full
MIN_POPULATION, MAX_POPULATION = 40, 150  # inputs in a generation
PATIENCE, STALLED = (15, 8), 1e-3  # the first, the last search ends if so many generations decrease its loss by less
POLISH = 0.03  # of the width of the bounds: the range of the last search
TRACE = 1e-3  # of its upper bound: a smaller amount of an optional input is left out, as it cannot be weighed
OBJECTION = 1e-3  # increase of the loss, thus a thousandth of the probability, for which traces are kept
BROKEN, TAKEN = 1e15, 1e12  # added to the loss for a broken constraint, and near an earlier proposal
EVOLUTION = {"tol": 1e-6, "atol": 1e-7, "mutation": (0.4, 0.9), "recombination": 0.9, "polish": False}


@dataclass(frozen=True)
class Search:
    """A search for the input of the smallest loss."""

    space: Feasible
    loss: Callable  # (mean, std, rough=False)
    seen: Seen
    taken: np.ndarray  # (n, n_inputs), earlier proposals, from which the input must be ``distance`` away
    distance: float
    rng: np.random.Generator
    max_iter: int
    has_goals: bool  # otherwise the loss of a sure success is 0
    title: str
    reporter: Reporter

    def run(self, polish=True):
        """The best input, or None if all inputs seen are near earlier proposals."""
        best = None
        for stage in range(1 + polish):
            space = self.space if stage == 0 else self.space.around(best, POLISH)
            free = np.flatnonzero(space.width > 0)
            start, value = self.best_seen(len(free)) if stage == 0 else self.random_near(best, space, len(free))
            if not len(start):
                return None
            self.reporter.say(f"{self.title}: begins at {self.in_words(value.min())}")
            if len(free) and len(start) >= 5:
                best = self.evolve(space, free, start, PATIENCE[stage])
            else:
                best = start[value.argmin()]
        return self.without_traces(best) if polish else best

    def value(self, X, broken):
        """Loss of inputs, with broken constraints and earlier proposals nearby."""
        value = np.full(len(X), BROKEN) * (1 + broken)
        fine = broken == 0
        if fine.any():
            value[fine] = self.loss(*self.seen.predict(X[fine]))
        near = self.nearness(X)
        return value + np.where(near > 0, TAKEN * (1 + near), 0.0)

    def nearness(self, X):
        """By how much rows are nearer than ``distance`` to an earlier proposal, otherwise 0."""
        width = np.where(self.space.width > 0, self.space.width, np.inf)
        apart = (np.abs(X[:, None] - self.taken) / width).max(axis=2).min(axis=1, initial=np.inf)
        return np.maximum(self.distance * (1 - 1e-9) - apart, 0.0)

    def best_seen(self, n_free=0):
        """First generation: half of it the best inputs seen, half of it random ones of these; and their losses."""
        size = population_size(n_free)
        X, mean, std = self.seen.rows()
        away = np.flatnonzero(self.nearness(X) == 0)
        if not len(away):
            return X[away], None
        # Independent errors are quick to calculate; the best inputs are then calculated in full.
        rough = self.loss(mean[away], std[away], rough=True)
        away = np.r_[away[np.argsort(rough, kind="stable")[:SHORTLIST]], self.rng.choice(away, min(size, len(away)))]
        away = np.unique(away)
        value = self.loss(mean[away], std[away])
        order = np.argsort(value, kind="stable")
        keep = np.r_[order[: size // 2], self.rng.permutation(order[size // 2 :])[: size - size // 2]]
        return X[away[keep]], value[keep]

    def random_near(self, best, space, n_free):
        """First generation: the best input and random ones in the space around it; and their losses."""
        X = space.low + self.rng.random((population_size(n_free), len(space.low))) * space.width
        X, broken = space.repair(np.vstack([best, X]))
        X[0], broken[0] = best, 0.0
        return X, self.value(X, broken)

    def evolve(self, space, free, start, patience):
        """The best input of differential evolution from a first generation."""
        failure, low, width = [], space.low[free], space.width[free]

        def inputs(U):
            X = np.tile(space.low, (len(U), 1))
            X[:, free] = low + U * width
            return space.repair(X)

        def value(U):
            try:
                return self.value(*inputs(U.T))
            except (ValueError, TypeError) as error:  # SciPy would report it as an error of its own arguments
                failure.append(error)
                raise

        best = [np.inf]

        def is_finished(intermediate_result):
            best.append(intermediate_result.fun)
            self.reporter.count(len(best) - 1, self.max_iter, f"generations of {self.title}, {self.in_words(best[-1])}")
            sure = best[-1] < STALLED and not self.has_goals
            return sure or (len(best) > patience and best[-1] > best[-patience] - STALLED)

        try:
            found = differential_evolution(
                value, [(0.0, 1.0)] * len(free), init=np.clip((start[:, free] - low) / width, 0.0, 1.0), seed=self.rng,
                maxiter=self.max_iter, vectorized=True, updating="deferred", callback=is_finished, **EVOLUTION,
            )  # fmt: skip
        except RuntimeError:
            if failure:
                raise failure[0] from None
            raise
        self.reporter.say(f"{self.title}: {self.in_words(found.fun)} after {found.nit} generations")
        X, broken = inputs(found.x[None])
        # Scaling to [0, 1] and back may have changed the last digits of the first generation.
        X, broken = np.vstack([X, start]), np.r_[broken, np.zeros(len(start))]
        return X[self.value(X, broken).argmin()]

    def without_traces(self, x):
        """The input without amounts too small to be weighed, if constraints and loss allow."""
        space = self.space
        small = np.flatnonzero((space.low == 0) & (x > 0) & (x < TRACE * space.high) & ~space.integer)
        most = self.value(x[None], np.zeros(1))[0] + OBJECTION
        high = space.high.copy()
        for j in small[np.argsort(x[small] / space.high[small], kind="stable")]:
            without = np.where(np.arange(len(x)) == j, 0.0, high)
            # Zeros stay zeros; the other inputs compensate for the one left out.
            X, broken = replace(space, high=np.where(x == 0, np.minimum(0.0, without), without)).repair(x[None])
            if broken[0] == 0 and self.value(X, broken)[0] <= most:
                x, high = X[0], without
        return x

    def in_words(self, loss):
        if loss >= TAKEN:
            return "no input yet that satisfies the constraints"
        if loss >= WORSE:
            return "a target of an exactly known property is missed"
        return f"loss {loss:.4g}" if self.has_goals else f"probability {as_text(np.exp(-loss), 3)}"


def population_size(n_free):
    return int(np.clip(10 * n_free, MIN_POPULATION, MAX_POPULATION))
