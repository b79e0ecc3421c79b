"""Fits of all outputs, repeated where the weights of rows come from an earlier fit: missing inputs, relative errors."""

from dataclasses import dataclass
from functools import partial

import numpy as np
from threadpoolctl import ThreadpoolController

from skmerge._net import incomplete, relative
from skmerge._net.incomplete import Inputs
from skmerge._net.objective import Objective
from skmerge._net.offset import Offset
from skmerge._net.selection import MAX_NODES
from skmerge._net.stored import Nets, arrays_of
from skmerge._net.training import Settings, Trained, Training

EARLIER_FITS = 2  # fits before the last one
THREADPOOLS = ThreadpoolController()  # made once: looking for libraries takes a tenth of a short fit


@dataclass(frozen=True)
class Rounds:
    """What all fits of a table have in common."""

    given: np.ndarray  # (n, d), NaN where missing
    X: np.ndarray  # (n, d), complete
    target: np.ndarray  # (n, m), NaN where not measured
    weight: np.ndarray  # (n,)
    inputs: Inputs  # which filled X
    ranges: dict  # the arrays of the trained range
    offset: Offset
    shared: dict  # arguments of every Objective
    settings: Settings
    target_name: str  # what a warning calls the predicted quantity
    seed: int
    dimensions: list  # of each output: its Dimensions, or None

    def attributes(self, results, objectives):
        """What a fit stores, by a list of Trained and the Objective of each."""
        return arrays_of(results, objectives) | self.ranges | {"inputs_": self.inputs.arrays}

    def run(self, is_relative, task):
        """A pair of Trained and Objective for each output; ``is_relative``: whether errors are shares of y."""
        # One partition of all rows, so that outputs share their folds.
        fold_of = np.random.default_rng(self.seed).permutation(len(self.X))
        has_gaps = np.isnan(self.given).any()
        share = incomplete.initial_weights(self.given, self.target)
        known = self.offset(self.X, self.target.shape[1])
        size = relative.first_sizes(self.X, self.target + known) if is_relative else None
        for left in range(EARLIER_FITS if has_gaps or is_relative else 0, -1, -1):
            used = ~np.isnan(self.target) & (share > incomplete.MIN_WEIGHT)
            rows = [slice(None) if column.all() else np.flatnonzero(column) for column in used.T]
            objectives = [self._objective(r, k, share, size) for k, r in enumerate(rows)]
            stage = task.begin("earlier fit", 2, aside=True) if left else task
            if not left and len(objectives) == 1:
                stage.attributes = partial(self._attributes_of, objectives[0])
            settings = self.settings  # an earlier fit only predicts, for which a link is not worth its time
            if left and not settings.asks_for_link:
                settings = settings._replace(links=())
            training = Training(settings, not left, self.seed, fold_of, stage)
            try:
                # Many small factorisations: with a BLAS thread per core each takes 3 to 10 times as long.
                with THREADPOOLS.limit(limits=1, user_api="blas"):
                    found = training.run(objectives, rows)
            except BaseException:
                self.shared["cancelled"].set()  # worker threads stop at their next call
                raise
            if left:
                stop = stage.end()
                nets = Nets(**arrays_of(*zip(*found, strict=True)), **self.ranges, offset=self.offset)
                predicted = nets.predict(self.X, training.n_jobs)
                if has_gaps:
                    unit = size if is_relative else 1.0
                    predict = partial(nets.with_offset, n_threads=training.n_jobs)
                    unsure = self.inputs.variance(self.given, self.X, predict) / unit**2
                    share = incomplete.row_weights((self.target - predicted) / unit, unsure, share)
                if is_relative:
                    size = relative.sizes(self.target + known, predicted + known)
                if stop:
                    break
        return found

    def _attributes_of(self, objective, net):
        alone = Trained([net], np.ones(1), net.squares, net.squares, net.n_nodes <= MAX_NODES)
        return self.attributes([alone], [objective])

    def _objective(self, r, k, share, size):
        size = None if size is None else size[r, k]
        others = self.shared | {"size": size, "dimensions": self.dimensions[k]}
        return Objective(self.X[r], self.target[r, k], self.weight[r] * share[r, k], **others)
