"""Search for a law: nodes added one by one, then simplified.

Between the best few numbers of nodes, by the criterion of simplification, cross-validation decides.
"""

from dataclasses import dataclass

import numpy as np

from skmerge._net.candidates import N_CANDIDATES, Candidates
from skmerge._net.objective import MAX_EXPONENT, ROUNDING, Network, Scaling
from skmerge._net.simplification import Simplifier, criterion
from skmerge._progress import SILENCE, rms

EXHAUSTED = 1e-17  # of a law without noise this is left: the data are rounded to 1e-10
MAX_NODES = 10  # of a law; 6 leave 17 % of the Feynman formulae above R2 = 0.999 unexplained, 10 leave 15 %
BEAM = 2
# Ridge where columns are collinear. Without, each fold shares a slope among them in its own way: a line in 40 rows with
# one column twice had a validation error of 0.4 to 1.8 std(y), with 1e-6 of 0.07, with 1e-5 of 0.003, its noise.
TIE_BREAKER = 1e-5


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
        self.objective, self.n_nodes, self.task = objective, n_nodes, task
        self.candidates = Candidates(objective, sign, rng)
        self.penalties = Ridge(objective.scaling, penalty, TIE_BREAKER if self.candidates.tied() else 0.0)
        self.simplifier = Simplifier(objective, self.penalties, n_nodes, simplify)

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

    def _grow(self):
        objective, fit = self.objective, self.simplifier.fit
        beam = [objective.constant()]
        path = [beam[0]]
        limit = self.n_nodes or MAX_NODES
        while len(path) <= limit:
            starts = [net.with_node(*start) for net in beam for start in self.candidates.after(net)]
            if not starts:
                break
            stage = self.task.begin(f"node {len(path)}", len(starts))
            grown = []
            for start in starts:
                net, stop = self.simplifier.refined(stage, "candidate", start, max_iter=40, tol=1e-4)
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
            beam = sorted((fit(net, max_iter=100, tol=1e-6) for net in beam), key=lambda net: net.squares)
            path.append(beam[0])
            tried = f"{N_CANDIDATES} drawn, " * bool(len(self.candidates.admitted)) + f"{len(grown)} refined"
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

    def _relaxed(self, net):
        """The same nodes with C free and, unless it is prescribed, the blend free."""
        d = self.objective.d
        theta, lower, upper = net.theta.copy(), net.lower.copy(), net.upper.copy()
        nodes, out = theta[:-1].reshape(-1, d + 3), self.candidates.left_out
        for i in range(net.n_nodes):
            rows = slice(i * (d + 3), (i + 1) * (d + 3))
            # A free blend needs the slopes of a sum within the bounds of exponents.
            free = self.objective.blend == "learn" and np.abs(nodes[i, :d]).max(initial=0) < MAX_EXPONENT
            low, high = self.objective.node_bounds("blend" if free else net.kind(i), saturating=True)
            low[:d][out] = high[:d][out] = nodes[i, :d][out]
            lower[rows], upper[rows] = low, high
            nodes[i, d + 1] = max(nodes[i, d + 1], 0.1)
        return self.simplifier.fit(Network(theta, net.sign, lower, upper), max_iter=200, tol=1e-6)

    def _saturated(self):
        """The one product that saturates and fits best, as a list of one net, or none."""
        constant = self.objective.constant()
        nets = [self.simplifier.fit(constant.with_node(*start), 100, 1e-6) for start in self.candidates.saturated()]
        return [min(nets, key=lambda net: net.squares)] if nets else []

    def _all_simplified(self, nets, thin=False):
        task = self.task.begin("simplification", len(nets))
        done = []
        for i, net in enumerate(nets):
            one = task.begin("net", None)
            net = self.simplifier.simplified(self.simplifier.thinned(net) if thin else net, one)
            done.append(net)
            told = f"net {i + 1} of {len(nets)} simplified: {net.n_free} parameters, {rms(net.squares)}"
            if one.end(told, level=2, net=net):
                break
        task.end()
        return done


def _nodes(count):
    return f"{count} node" if count == 1 else f"{count} nodes"
