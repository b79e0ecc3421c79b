"""Law or committee: trains every output of the net and keeps the better of the two."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from joblib import delayed, effective_n_jobs

from skmerge._net import comparison, gross_errors, uncertainty, zeros
from skmerge._net.committee import Recipe, combine, plan_committee, train_member
from skmerge._net.floats import HUGE
from skmerge._net.groups import law_of_groups
from skmerge._net.homogeneous import homogeneous_law, warn_of_units
from skmerge._net.law import BIG, FOLDS, Candidate, Law, search_law
from skmerge._net.linked import best_linked, search_without_fold
from skmerge._net.selection import MAX_NODES
from skmerge._parallel import Flag, each
from skmerge._progress import SILENCE, Task, refine, rms

# A law with a cross-validated squared error below this, in units of the variance, is kept, and no committee is trained,
# which takes 20 to 50 times as long. For a short law a greater error suffices. Laws of formulae with 5 % noise have
# errors below, those of real tables above.
GOOD_LAW = 0.001
GOOD_SHORT_LAW = 0.0035
SHORT_LAW = 10  # free parameters of a short law
# The limit for a law with so few parameters is raised by the scatter of the error, sqrt(2 / n). Without that,
# committees that were no better were trained for 2 of 12 lines with 5 % noise and 20 rows, and for 6 of 12 lines
# with an irrelevant column and 40 rows. For longer laws it is not raised: some that would then be kept have poles.
SHORTEST_LAW = 4
# Squared error up to which a law may have products of features that are often zero. Beyond, in tables without a law,
# such a product fits the few rows where it is not zero: in steel_yield (Ti zero in 39 %) one new row made R2 -351.
SPARSE_LAW = 0.05
SPARSE_START = 0.1  # the same, of the law without a link or a function, from which these are looked for
# Spread of the differences, row by row, that a law of up to NESTED_FREE parameters is forgiven if it is searched again
# without each fold: the law of fewer rows is another one now and then, and the committee's weights have seen all rows.
# With 4 parameters, laws of real tables (steel, toxicity to fish) were kept that err more than the committee.
NESTED_Z, NESTED_FREE = 2.5, 2
# Times its squared error that a long law with a link or functions, which no search without a fold tests, must be
# better than a committee: in steel_yield laws of 10 and 12 numbers had .79 of the committee's squares, and R2 -.12 on
# new rows.
UNTESTED = 2.0
SURE_ROWS = 100  # for each number of a law
FEW_ROWS = 20  # with fewer, no committee is trained beside a law
# Squares, in units of var(y), below which a law counts as free of noise and is fitted further, to the last digit (of
# twelve such nets three improve, one by a factor of six), and below which the rounding of the data may be visible.
NO_NOISE = 1e-6
EXACT_FIT = 1e-12


class Settings(NamedTuple):
    """Parameters of MergedNetRegressor, as it describes them; ``sign`` is "auto" or a bool ndarray (n_features,).

    ``links``: names of the links that are tried, and "functions"; ``functions``: kinds of these; ``asks_for_link``:
    whether a link is taken whatever its error; ``group``: number of the feature that names the group of a row.
    """

    sign: object
    n_nodes: object
    penalty: object
    simplify: bool
    n_estimators: object
    n_jobs: int | None
    links: tuple = ()
    asks_for_link: bool = False
    functions: tuple = ()
    group: int | None = None


class Trained(NamedTuple):
    """What was trained for one output: networks, their weights, the squared error for new rows, and its part by noise.

    ``tried``: candidates for a law; that of the chosen one is the net before the last fit. ``link``: the name of the
    function of the nets' output that is y; ``gross``: what ``gross_errors`` finds, its rows those of the table;
    ``barred``: what ``zeros`` finds.
    """

    members: list
    weight: np.ndarray
    error: float
    noise: float
    is_law: bool
    tried: Sequence[Candidate] = ()
    link: str = "identity"
    gross: object = None
    barred: Sequence = ()


@dataclass(frozen=True)
class Training:
    """How the outputs are trained."""

    settings: Settings
    is_last: bool  # not an earlier fit: looks for gross errors
    seed: int
    fold_of: np.ndarray  # (n_rows,), one permutation of all rows, so that outputs share their folds
    task: Task  # the parent of the stages

    @cached_property
    def n_jobs(self):
        return effective_n_jobs(self.settings.n_jobs)

    @cached_property
    def _again(self):
        """The stage of searches without rows that may be wrong, begun with the first."""
        return self.task.begin("laws of other rows", None, aside=True)

    def _seeds(self, *which):
        return np.random.SeedSequence([self.seed, *which])

    def _threads(self, n_tasks):
        """Threads for each of so many tasks that run at once."""
        return max(1, self.n_jobs // n_tasks)

    def folds(self, rows, n_folds):
        """Folds of an output's rows; fewer than n_folds if there are fewer rows."""
        rank = np.argsort(np.argsort(self.fold_of[rows]))
        return [np.flatnonzero(rank % n_folds == f) for f in range(min(n_folds, len(rank)))]

    def run(self, objectives, rows):
        """Train every output; ``rows[k]``: which rows of the table objective k holds.

        Returns a pair of Trained and Objective for each. With a link, the objective is that of the link.
        """
        given, exact, laws, stop = objectives, list(objectives), [None] * len(objectives), False
        objectives = [objective.rounded() if objective.n <= BIG else objective for objective in exact]
        if self.settings.n_nodes == "auto" or self.settings.n_nodes <= MAX_NODES:
            stage, n_threads = self.task.begin("laws", len(objectives), ordered=False), self._threads(len(objectives))
            jobs = []
            for k, objective in enumerate(objectives):
                folds = self.folds(rows[k], FOLDS if objective.n > 2 * FOLDS else objective.n)
                both = exact[k], objective
                jobs.append(delayed(_law_of_output)(*both, k, folds, self._seeds(k), self.settings, stage, n_threads))
            laws = list(each(jobs, self.n_jobs))
            stop = stage.end()
        poor = [False if stop else self._is_poor(*case) for case in zip(objectives, laws, strict=True)]
        stage = self.task.begin("committees", sum(poor), ordered=False) if any(poor) else SILENCE
        results = []
        for k, (objective, law) in enumerate(zip(objectives, laws, strict=True)):
            committee, squares = None, None if law is None else law.squares
            if objective.dimensions is not None and self.settings.links:  # not in an earlier fit, which tries no links
                folds = self.folds(rows[k], FOLDS if objective.n > 2 * FOLDS else objective.n)
                warn_of_units(objective, law, self.settings, self._seeds(k), folds)
            if poor[k]:
                if law is not None and law.error > SPARSE_LAW:
                    objective = objective.of_dense()
                law, committee, squares = self._choose(objective, k, rows[k], law, stage.begin("output", None, index=k))
            tried = [] if law is None else law.tried
            tried = [one._replace(is_chosen=not committee and one.net is law.net) for one in tried]
            if committee is None and law.objective is not None:  # errors are in units of its target from here on
                unit = (exact[k].error_unit / law.objective.error_unit) ** 2
                law, exact[k] = law._replace(error=law.error * unit), law.objective
                objective = exact[k].rounded()
            trained = committee or self._law_members(objective, exact[k], rows[k], law)
            unit = float(np.clip(exact[k].error_unit, 1.0 / HUGE, HUGE))
            error, gross, barred = trained.error * unit**2, None, []
            # Of y beyond that range squares are not finite, and rows are not judged.
            if self.is_last and not stop and 1.0 / HUGE < given[k].y_scale < HUGE:
                if self.settings.n_nodes == "auto" and (poor[k] or zeros.evades(exact[k])):
                    most = (1.0 if committee else 1.0 / zeros.GAIN) if poor[k] else zeros.AS_GOOD
                    barred = zeros.barred(given[k], self.settings.sign, most * error)
                if not barred:
                    gross = self._gross_errors(given[k], k, rows[k], error, squares, poor[k])
            results.append((trained._replace(tried=tried, gross=gross, barred=barred), exact[k]))
        stage.end()
        if "_again" in vars(self):
            self._again.end()
        return results

    def _is_poor(self, objective, law):
        """Whether the law is compared with a committee and with a constant."""
        if law is None:
            return True
        has_no_committee = objective.dimensions is not None or self.settings.group is not None
        if has_no_committee or (law.link != "identity" and self.settings.asks_for_link):
            return False
        varied = objective.scaling.slope_variance.max(initial=0.0) > 0  # else there is nothing to learn from
        if self.settings.n_nodes != "auto" or objective.n == 1 or not varied or not objective.intercept:
            return False
        return law.error > good_enough(law.net.n_free, objective.n)

    def _choose(self, objective, k, rows, law, output):
        """The simplest of constant, law and committee whose error is no greater: (law, committee or None)."""
        committee, squares, keep_law = None, None, False
        if law is None or objective.n >= FEW_ROWS:
            committee, squares = self._train_committee(objective, k, rows, output)
        if law is not None and (committee is None or _is_preferred(objective, law, squares)):
            limit = np.inf if committee is None or law.net.n_free <= SHORTEST_LAW else committee.error
            # For a link it would be no test: a search without a fold would start from predictions that have seen it.
            is_linked = law.link != "identity" or (law.objective is not None and len(law.objective.functions))
            # Nor is one needed by a law of a number or two that many rows tell apart from all the others.
            is_sure = objective.n >= SURE_ROWS * law.net.n_free <= SURE_ROWS * NESTED_FREE
            is_sure = is_sure and law.squares is not None and committee is not None and law.error <= committee.error
            is_known = is_linked or is_sure
            nested = law.squares if is_known else self._nested_squares(objective, k, rows, limit, output)
            nested_law = law._replace(squares=nested, error=mean_of(objective, nested))
            z = NESTED_Z if law.net.n_free <= NESTED_FREE else comparison.FORGIVEN_Z
            keep_law = committee is None or _is_preferred(objective, nested_law, squares, z)
            if is_linked and committee is not None and law.net.n_free > SHORTEST_LAW:
                keep_law = UNTESTED * law.error <= committee.error
            squares = nested if keep_law else squares
        if self.settings.n_nodes == "auto" and not objective.asks_for_product and objective.n > 1:
            net = objective.constant()
            alone = objective.weight * comparison.leave_one_out(objective, net)
            constant = Law(net, float(alone.sum()), alone, law.penalties)
            constant = constant._replace(tried=[*law.tried, Candidate(net, constant.error, objective)])
            error = min(mean_of(objective, squares), law.error if keep_law else np.inf)
            depends = objective.is_correlated and error < constant.error
            if not depends and _is_preferred(objective, constant, squares):
                law, keep_law, squares = constant, True, alone
        chosen = "law" if keep_law else f"committee of {len(committee.members)} nets"
        more = "" if committee is None else f"; committee's validation error {np.sqrt(committee.error):.3g} std(y)"
        output.end(f"{chosen} kept{more}")
        return law, None if keep_law else committee, squares

    def _gross_errors(self, objective, k, rows, error, squares, is_poor):
        """Rows of the table that the other rows contradict, or None."""
        settings, found = self.settings, None

        def search(rest):
            stage = self._again.begin("law", None, ordered=False)
            n_folds = FOLDS if rest.n > 2 * FOLDS else rest.n
            folds = [np.arange(f, rest.n, n_folds) for f in range(n_folds)]
            law = _law_of_output(rest, rest.rounded(), k, folds, self._seeds(k), settings, stage, self.n_jobs)
            stage.end()
            return law

        if settings.n_nodes == "auto" or settings.n_nodes <= MAX_NODES:
            known = None if squares is None else np.nan_to_num(squares, nan=0.0, posinf=0.0)
            found = gross_errors.gross_errors(objective, error, known, is_poor, settings.sign, search)
        if found is None and squares is not None and is_poor:
            found = gross_errors.heaviest(objective, squares)
        return found and found._replace(rows=np.arange(len(self.fold_of))[rows][found.rows])

    def _nested_squares(self, objective, k, rows, limit, output):
        """Share of every row in the squared error of the law, by nested cross-validation: a search without each fold.

        Cross-validation of the one law that was found from all rows underestimates its error: for the qsar_fish table
        it preferred laws (R2 0.56 for new rows) to committees (0.63). It ends early, with infinite squares, as soon as
        the error is greater than ``limit``.
        """
        squares = np.full(objective.n, np.nan)
        parts = self.folds(rows, FOLDS)
        stage = output.begin("search repeated", len(parts), ordered=False, aside=True)
        jobs = (
            delayed(search_without_fold)(objective, fold, self._seeds(k, f), self.settings, stage, f)
            for f, fold in enumerate(parts)
        )
        for fold, (errors, stop) in zip(parts, each(jobs, self.n_jobs), strict=False):
            squares[fold] = np.inf if stop else objective.weight[fold] * errors  # stopped: the committee is kept
            if np.nansum(squares) > limit and self.n_jobs == 1:
                squares[:] = np.inf
                break
        stage.end()
        return squares

    def _law_members(self, objective, exact, rows, law):
        net, error, penalties = law.net, law.error, law.penalties
        if net.squares < NO_NOISE:
            net = objective.fit(net, penalties(net, last=True), max_iter=2000, tol=1e-12)
        if net.squares < EXACT_FIT:
            objective = exact
            net = objective.fit(net, penalties(net, last=True), max_iter=100, tol=1e-12)
        members = [net]
        if self.settings.n_estimators != "auto" and self.settings.n_estimators > 1 and objective.n > 1:
            members = []
            for fold in self.folds(rows, max(self.settings.n_estimators, 2))[: self.settings.n_estimators]:
                rest = objective.subset(np.setdiff1d(np.arange(objective.n), fold))
                members.append(rest.fit(net, penalties(net), max_iter=100))
            while len(members) < self.settings.n_estimators:  # fewer rows than members
                members.append(members[len(members) % objective.n])
        # A constant that was fixed at zero because the data did not object gets the error of a free one: errors must
        # not depend on the origin of y. Where they are shares of y, its zero is known.
        noisy = net
        has_groups = (objective.functions.kind == "group").any()  # their errors are known, and no constant is missing
        if objective.intercept and objective.size is None and net.lower[-1] == net.upper[-1] and not has_groups:
            freed = objective.with_free_constant(net)
            noisy = objective.fit(freed, penalties(net)) if freed.n_free < objective.n else net
            error = max(error, float(objective.weight @ comparison.leave_one_out(objective, noisy)))
        n_free = uncertainty.n_estimated(objective, uncertainty.with_free_exponents(objective, noisy))
        n_free += np.count_nonzero(objective.functions.free)
        noise = noisy.squares / max(1.0 - n_free / objective.n, 0.05)
        return Trained(members, np.full(len(members), 1.0 / len(members)), error, noise, True, link=law.link)

    def _train_committee(self, objective, k, rows, output):
        """A committee, and the share of every row in its squared error on rows left out."""
        # Without poles at zero of features of which new rows may be nearer to zero than any trained row.
        objective = objective.regular(comparison.near_zero(objective.X))
        plan, n_folds = plan_committee(objective, self.settings.n_estimators, self.settings.n_nodes)
        parts = self.folds(rows, n_folds)
        if len(parts) < n_folds:  # fewer rows than folds
            plan = [(recipe, None if f is None or objective.n == 1 else f % len(parts)) for recipe, f in plan]

        stage = output.begin("members", len(plan), ordered=False)
        stop, least = Flag(), 2 if self.settings.n_estimators == 1 else 1  # the second measures how good the first is
        jobs = (
            delayed(_train)(
                objective, _Member(recipe, None if f is None else parts[f], self._seeds(k, i), i, len(plan)),
                self.settings.penalty, stage, self._threads(len(plan)), Flag() if i < least else stop, stop,
            )
            for i, (recipe, f) in enumerate(plan)
        )  # fmt: skip
        trained = [(member, *found) for member, found in zip(plan, each(jobs, self.n_jobs), strict=True) if found]
        members, nets, weights = zip(*trained, strict=True)
        stage.end()
        stacked = combine(objective, members, nets, parts, self.settings.n_estimators == 1)
        stage, n_threads = output.begin("refits", len(stacked.keep), ordered=False), self._threads(len(stacked.keep))
        jobs = (delayed(_refit)(objective, nets[i], weights[i], stage, int(i), n_threads) for i in stacked.keep)
        nets_of_all = list(each(jobs, self.n_jobs))
        stage.end()
        error = mean_of(objective, stacked.squares)
        return Trained(nets_of_all, stacked.weight, error, stacked.noise, False), stacked.squares


def good_enough(n_free, n):
    """Squared error, in units of var(y), below which a law of n rows is kept without training a committee."""
    if n_free > SHORT_LAW:
        return GOOD_LAW
    # The relative standard deviation of a mean square of n rows.
    scatter = np.sqrt(2.0 / n) if n_free <= SHORTEST_LAW else 0.0
    return GOOD_SHORT_LAW * (1.0 + scatter)


def mean_of(objective, squares):
    """Squared error in units of var(y) from its shares of rows, NaN where it is not known."""
    known = ~np.isnan(squares)
    return float(squares[known].sum() / objective.weight[known].sum()) if known.any() else np.inf


def _is_preferred(objective, law, best, z=comparison.FORGIVEN_Z):
    """Whether a law is kept beside an alternative that is less simple and whose rows have the squares ``best``.

    ``z``: of a short law, see ``no_worse``.
    """
    if best is None:
        return True
    if law.net.n_free > SHORTEST_LAW:
        return law.error <= mean_of(objective, best)
    if law.squares is None:  # known only for a sample of rows, whose error scatters
        return law.error <= comparison.FORGIVEN * mean_of(objective, best)
    known = ~np.isnan(best) & ~np.isnan(law.squares)
    return comparison.no_worse(law.squares[known], best[known], z)


def _law_of_output(exact, objective, k, folds, seeds, settings, stage, n_threads):
    output = stage.begin("output", None, index=k)

    def search(objective):
        if objective.dimensions is not None:
            return homogeneous_law(exact, objective, settings, seeds, folds, output, n_threads)
        return search_law(objective, settings, seeds, folds, output, n_threads)

    def linked(exact, objective, law):
        if not settings.links or objective.n > BIG or objective.dimensions is not None:
            return law
        # Of groups, links come with the constants of their own, and functions of all rows alone are seldom right.
        links = settings.links if settings.group is None else ("identity",)
        return best_linked(links, exact, objective, law, settings, seeds, folds, output)

    law, s = search(objective), objective.scaling
    sparse = ((s.product > 0) & ~s.dense).any()
    if not sparse or law.error <= SPARSE_START:
        law = linked(exact, objective, law)
        sparse = law.error > SPARSE_LAW and _has_sparse(law, objective)
    if settings.group is not None:  # what one law of all rows misses by may be the constants of groups, not zeros
        law = law_of_groups(exact, objective, law, settings, seeds, output)
        sparse = sparse and law.error > SPARSE_LAW
    if sparse:
        exact, objective = exact.of_dense(), objective.of_dense()
        law = linked(exact, objective, search(objective))
        if settings.group is not None:
            law = law_of_groups(exact, objective, law, settings, seeds, output)
    text = f"law of {law.net.n_nodes} nodes, validation error {np.sqrt(law.error):.3g} std(y)"
    output.end(text, net=law.net if law.objective is None else None)
    return law


def _has_sparse(law, objective):
    """Whether a product of the law has a feature that is often zero."""
    d, net, s = objective.d, law.net, objective.scaling
    sparse = (s.product > 0) & ~s.dense
    used = np.array([net.kind(i) != "sum" for i in range(net.n_nodes)], bool)
    return bool((net.nodes[used, :d][:, sparse] != 0).any())


class _Member(NamedTuple):
    """A member of a committee that is to be trained: number ``i`` of ``of``; ``left_out``: rows or None."""

    recipe: Recipe
    left_out: np.ndarray | None
    seeds: np.random.SeedSequence
    i: int
    of: int


def _train(objective, member, penalty, stage, n_threads, before, stop):
    """A net and its penalties; sets ``stop`` if a callback asks to stop. Returns None if ``before`` is set."""
    if before.is_set():
        return None
    task = stage.begin("member", member.recipe.rounds + 1, index=member.i)
    net, weights = train_member(objective, member.recipe, member.left_out, member.seeds, penalty, task, n_threads)
    if task.end(f"{member.i + 1} of {member.of}, {net.n_nodes} nodes, {rms(net.squares)}", net=net):
        stop.set()
    return net, weights


def _refit(objective, net, weights, stage, i, n_threads):
    task = stage.begin("refit", 1, index=i)
    net, _ = refine(task, "refit", objective, net, weights, 60, 1e-5, n_threads)
    task.end(f"on all rows, {rms(net.squares)}", level=2)
    return net
