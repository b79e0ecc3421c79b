"""Law or committee: trains every output of the net and keeps the better of the two."""

import numpy as np
from joblib import Parallel, delayed, effective_n_jobs

from skmerge import _committee, _selection

# A law this good (cross-validated squared error in units of the variance), or short and about as good, is not
# challenged by a committee, which takes 20 to 50 times as long: formulae with 5 % noise lie below, real tables above.
GOOD_LAW = 0.001
GOOD_SHORT_LAW = 0.0035
SHORT = 10  # free parameters
FEW_ROWS = 20  # below, a committee has nothing to learn from
FOLDS = 5
BIG = 20_000  # rows above which a law is searched on SEARCH_ROWS of them and then fitted to all
# Squares, in units of var(y), below which a law has no noise to speak of and is fitted on to the last digit (of twelve
# such nets three gain, one a factor of six), and below which the rounding of the data may show in it.
NO_NOISE = 1e-6
EXACT = 1e-12


class Training:
    """How the outputs are trained.

    Parameters
    ----------
    net : MergedNetRegressor, of which n_nodes, penalty, simplify, n_estimators and n_jobs are read.
    sign : "auto" or bool ndarray of shape (n_features,)
    seed : int
    fold_of : ndarray of shape (n_rows,), one permutation of all rows, so that outputs share their folds.
    step : callable(str), told of each stage.
    """

    def __init__(self, net, sign, seed, fold_of, step):
        self.n_nodes, self.n_estimators = net.n_nodes, net.n_estimators
        self.penalty, self.simplify = net.penalty, net.simplify
        self.sign, self.seed, self.fold_of, self.step = sign, seed, fold_of, step
        self.parallel = Parallel(n_jobs=effective_n_jobs(net.n_jobs), prefer="threads", return_as="generator")

    def _threads(self, n_tasks):
        """Threads for each of so many tasks that run at once, where it has rows for them."""
        return max(1, self.parallel.n_jobs // n_tasks)

    def folds(self, rows, n_folds):
        """Folds of an output's rows; fewer than n_folds if there are fewer rows."""
        rank = np.argsort(np.argsort(self.fold_of[rows]))
        return [np.flatnonzero(rank % n_folds == f) for f in range(min(n_folds, len(rank)))]

    def run(self, objectives, rows):
        """Train every output; ``rows[k]``: which rows of the table objective k holds.

        Returns
        -------
        results : list of (members, weights, error, noise)
            Networks, their weights, and squared errors in units of var(y): of new rows, and of that the noise.
        """
        exact, laws = objectives, [None] * len(objectives)
        objectives = [objective.rounded() if objective.n <= BIG else objective for objective in exact]
        if self.n_nodes == "auto" or self.n_nodes <= _selection.MAX_NODES:
            jobs = (
                delayed(_search_law)(
                    objective,
                    self.sign,
                    np.random.SeedSequence([self.seed, k]),
                    None if self.n_nodes == "auto" else self.n_nodes,
                    0.0 if self.penalty == "auto" else float(self.penalty),
                    self.simplify,
                    self.folds(rows[k], FOLDS if objective.n > 2 * FOLDS else objective.n),
                    self.step if self.parallel.n_jobs == 1 else None,
                    self._threads(len(objectives)),
                )
                for k, objective in enumerate(objectives)
            )
            for k, law in enumerate(self.parallel(jobs)):
                laws[k] = law
                error = np.sqrt(law[1])
                self.step(f"output {k}: law of {law[0].n_nodes} nodes, validation error {error:.3g} std(y)")
        results = []
        for k, objective in enumerate(objectives):
            law = laws[k]
            wanted = law is None
            varied = objective.scaling.slope_variance.max(initial=0.0) > 0  # else there is nothing to learn from
            if self.n_nodes == "auto" and objective.n >= FEW_ROWS and varied:
                wanted = law[1] > (GOOD_SHORT_LAW if law[0].n_free <= SHORT else GOOD_LAW)
            if wanted:
                committee = self._train_committee(objective, k, rows[k])
                # The law's own error flatters it: worse than the committee by that, it need not be searched again.
                better = law is None or committee[2] < law[1]
                if better or committee[2] < self._honest_error(objective, k, rows[k], law, committee[2]):
                    results.append(committee)
                    continue
            results.append(self._law_members(objective, exact[k], rows[k], law))
        return results

    def _honest_error(self, objective, k, rows, law, limit):
        """Squared error of the law, in units of var(y), with the whole search repeated without each fold.

        Cross-validation of the one law that all rows chose flatters it: on the qsar_fish table it preferred laws
        (R2 0.56 on new rows) to committees (0.63). Ends early once the error is beyond ``limit``.
        """
        total = 0.0
        parts = self.folds(rows, FOLDS)
        jobs = (
            delayed(_repeat_search)(law[2], objective, fold, np.random.SeedSequence([self.seed, k, f]))
            for f, fold in enumerate(parts)
        )
        for fold, error in zip(parts, self.parallel(jobs), strict=False):
            total += objective.weight[fold].sum() * error
            if total > limit and self.parallel.n_jobs == 1:
                break
        return total

    def _law_members(self, objective, exact, rows, law):
        net, error, search = law
        if net.squares < NO_NOISE:
            net = objective.fit(net, search.penalties(net), max_iter=2000, tol=1e-12)
        if net.squares < EXACT:
            objective = exact
            net = objective.fit(net, search.penalties(net), max_iter=100, tol=1e-12)
        members = [net]
        if self.n_estimators != "auto" and self.n_estimators > 1 and objective.n > 1:
            members = []
            for fold in self.folds(rows, max(self.n_estimators, 2))[: self.n_estimators]:
                rest = objective.subset(np.setdiff1d(np.arange(objective.n), fold))
                members.append(rest.fit(net, search.penalties(net), max_iter=100))
            while len(members) < self.n_estimators:  # fewer rows than members
                members.append(members[len(members) % objective.n])
        noise = net.squares / max(1.0 - net.n_free / objective.n, 0.05)
        return members, np.full(len(members), 1.0 / len(members)), error, noise

    def _train_committee(self, objective, k, rows):
        plan, n_folds = _committee.plan(objective, self.n_estimators, self.n_nodes)
        parts = self.folds(rows, n_folds)
        if len(parts) < n_folds:  # fewer rows than folds
            plan = [(recipe, None if f is None or objective.n == 1 else f % len(parts)) for recipe, f in plan]

        def train(i, recipe, f):
            left_out = None if f is None else parts[f]
            seeds = np.random.SeedSequence([self.seed, k, i])
            return _committee.train_member(objective, recipe, left_out, seeds, self.penalty, self._threads(len(plan)))

        jobs = (delayed(train)(i, recipe, f) for i, (recipe, f) in enumerate(plan))
        trained = []
        for net, weights in self.parallel(jobs):
            trained.append((net, weights))
            self.step(f"output {k}: member {len(trained)} of {len(plan)}, {net.n_nodes} nodes")
        nets = [net for net, _ in trained]
        keep, share, error, noise = _committee.combine(objective, plan, nets, parts, self.n_estimators == 1)
        threads = self._threads(len(keep))
        jobs = (delayed(_committee.refit_member)(objective, *trained[i], threads) for i in keep)
        return list(self.parallel(jobs)), share, error, noise


def _search_law(objective, sign, seeds, n_nodes, penalty, simplify, folds, progress, n_threads=1):
    """The law of one output: (net, cross-validated squared error in units of var(y), search)."""
    rng = np.random.default_rng(seeds)
    sample = objective
    if objective.n > BIG:
        sample = objective.subset(np.sort(rng.choice(objective.n, _selection.SEARCH_ROWS, replace=False))).rounded()
        folds = None
    if folds is None:
        folds = np.array_split(rng.permutation(sample.n), FOLDS)
    search = _selection.LawSearch(sample, sign, rng, n_nodes, penalty, simplify, progress or (lambda text: None))
    nets = search.run()
    errors = np.full(len(nets), np.inf)  # of a single row nothing is known
    if sample.n > 1:
        errors = _selection.cross_validate(search, nets, folds)
    best = _selection.simplest_of_the_best(nets, errors)
    net = nets[best]
    if sample is not objective:
        net = objective.fit(net, search.penalties(net), max_iter=50, tol=1e-8, n_threads=n_threads)
    return net, float(errors[best]), search


def _repeat_search(search, objective, fold, seeds):
    """Squared error on the fold of the law that the other rows choose."""
    rest = objective.subset(np.setdiff1d(np.arange(objective.n), fold))
    net, *_ = _search_law(rest, search.sign, seeds, search.n_nodes, search.penalty, search.simplify, None, None)
    return min(objective.subset(fold).mean_squares(net), 1e6)
