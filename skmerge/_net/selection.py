"""Search for a law: it adds nodes one by one, then simplifies the nets.

Cross-validation decides between the few numbers of nodes that are best by the criterion of simplification.
"""

from dataclasses import dataclass

import numpy as np

from skmerge._net.candidates import N_CANDIDATES, Candidates
from skmerge._net.objective import MAX_EXPONENT, ROUNDING, Scaling
from skmerge._net.simplification import Simplifier, criterion
from skmerge._progress import rms

EXHAUSTED = 1e-17  # squares that a law without noise leaves, because the data are rounded to 1e-10
MAX_NODES = 10  # of a law; 6 leave 17 % of the Feynman formulae above R2 = 0.999 unexplained, 10 leave 15 %
BEAM = 2
# Ridge where columns are collinear. Without it, each fold divides a slope among them in another way: a line in 40 rows
# with one column twice had a validation error of 0.4 to 1.8 std(y), with 1e-6 of 0.07, with 1e-5 of 0.003, its noise.
TIE_BREAKER = 1e-5


@dataclass(frozen=True)
class Ridge:
    """Ridge penalty of every parameter of a net; the last fit is without the tie breaker."""

    scaling: Scaling
    given: float
    tie_breaker: float

    def __call__(self, net, last=False):
        penalty = np.zeros(len(net.theta))
        strength = self.given if last else max(self.given, self.tie_breaker)
        if strength:
            s = self.scaling
            for i, row in enumerate(penalty[:-1].reshape(net.n_nodes, net.n_features + 3)):
                product = net.kind(i) != "sum"
                row[:-3] = strength * np.where(s.product & product, s.log_variance, s.slope_variance)
                row[-3] = strength
        return penalty


class LawSearch:
    """The search of one output.

    ``settings``: Settings of ``training``; ``task``: the parent of its tasks; ``max_nodes``: if "auto" chooses.
    """

    def __init__(self, objective, settings, rng, task, max_nodes=MAX_NODES):
        self.objective, self.task, self.max_nodes = objective, task, max_nodes
        self.n_nodes = None if settings.n_nodes == "auto" else settings.n_nodes  # None: the search chooses
        penalty = 0.0 if settings.penalty == "auto" else float(settings.penalty)
        self.candidates = Candidates(objective, settings.sign, rng)
        self.penalties = Ridge(objective.scaling, penalty, TIE_BREAKER if self.candidates.tied() else 0.0)
        self.simplifier = Simplifier(objective, self.penalties, self.n_nodes, settings.simplify)

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
        # For laws that saturate, g(u) with finite C, or blend: the small nets with all parameters free.
        if path[-1].squares > ROUNDING:
            chosen += [self._relaxed(net) for net in path[1:4]] + self._saturated()
        # A constant and one node, in case the longer nets fit a few rows only.
        chosen += [path[h] for h in range(first, min(2, len(path))) if h not in order]
        found = self._all_simplified(chosen, thin=True)
        # As many parameters as rows fit any rows; cross-validation, which starts from that fit, does not detect it.
        return [net for net in found if np.isfinite(criterion(objective, net))] or found

    def _grow(self):
        objective, fit = self.objective, self.simplifier.fit
        beam = [objective.constant()]
        path = [beam[0]]
        limit = self.n_nodes or self.max_nodes
        while len(path) <= limit:
            starts = [net.with_node(*node) for net in beam for node in self.candidates.after(net)]
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
            best, count = beam[0], f"{len(path) - 1} node{'s' if len(path) > 2 else ''}"
            tried = f"{N_CANDIDATES} drawn, " * bool(len(self.candidates.admitted)) + f"{len(grown)} refined"
            if stage.end(f"{count}: best {rms(best.squares)}; {tried}", net=best):
                break
            if self.n_nodes is None:
                exhausted, crowded = best.squares < EXHAUSTED, best.n_free - best.n_nodes > objective.n
                patience = 3 if best.n_free < 60 else 2  # nodes without improvement before the search ends
                values = [criterion(objective, net) for net in path]
                stalled = len(path) > patience + 2 and (
                    min(values[-patience:]) > min(values[:-patience]) + 6 * np.log(objective.n)
                )
                if exhausted or crowded or stalled:
                    break
        return path

    def _relaxed(self, net):
        """The same nodes with C free and, unless it is prescribed, the blend free."""
        d, excluded, relaxed = self.objective.d, self.candidates.excluded, net.copy()
        for i, node in enumerate(relaxed.nodes):
            # A free blend needs the slopes of a sum within the bounds of exponents.
            free = self.objective.blend == "learn" and np.abs(node[:d]).max(initial=0) < MAX_EXPONENT
            low, high = self.objective.node_bounds("blend" if free else net.kind(i), saturating=True)
            low[:d][excluded] = high[:d][excluded] = node[:d][excluded]
            relaxed.bound("lower")[i], relaxed.bound("upper")[i] = low, high
            node[d + 1] = max(node[d + 1], 0.1)
        return self.simplifier.fit(relaxed, max_iter=200, tol=1e-6)

    def _saturated(self):
        """The best of the products that saturate, as a list of one net, or none."""
        constant = self.objective.constant()
        nets = [self.simplifier.fit(constant.with_node(*node), 100, 1e-6) for node in self.candidates.saturated()]
        return sorted(nets, key=lambda net: net.squares)[:1]

    def _all_simplified(self, nets, thin=False):
        task = self.task.begin("simplification", len(nets))
        done = []
        for i, net in enumerate(nets):
            one = task.begin("net", None)
            net = self.simplifier.simplified(self.simplifier.thinned(net) if thin else net, one)
            done.append(net)
            text = f"net {i + 1} of {len(nets)} simplified: {net.n_free} parameters, {rms(net.squares)}"
            if one.end(text, level=2, net=net):
                break
        task.end()
        return done
