"""A law through a link: y = h(u), u a sum of nodes that the usual search finds.

Near a prediction f, y is linear in u: y = f + h'(u0) (u - u0) with u0 = T(f), where T is the inverse of h. Therefore
the search learns the target u0 + (y - f) / h'(u0) with the weight h'(u0)^2 of each row. The fit is repeated, with its
own predictions as f, until nothing changes; then it is the least-squares fit of y itself. With T(y) as the target the
noise would cause a bias: the mean of 1 / y is greater than 1 / f.
"""

import numpy as np

from skmerge._net import comparison
from skmerge._net.candidates import Candidates
from skmerge._net.function_search import function_nets, length_of, refitted
from skmerge._net.law import FOLDS, Candidate, Law, best_law, search_law
from skmerge._net.links import LINKS
from skmerge._net.logarithms import with_plain_logarithms
from skmerge._net.products import price_of, simple_nets
from skmerge._net.refinement import refined_laws
from skmerge._net.selection import EXHAUSTED, LawSearch
from skmerge._progress import SILENCE

NO_LINK_NEEDED = 2  # a single node with no more parameters than these, and no constant, needs no link
SURE = 40.0  # if the description is shorter by so much, the search for a function is not repeated without each fold
FORGIVEN = 1.2  # times the squares of the other law that its repetition may have
OF_LINK = {"exp": "log", "reciprocal": "exp"}  # functions that are looked for through a link, of log y and 1 / y
MIN_CLEAR = 4  # rows farther from the mean than the law errs, for a search for a function
GOOD_PRODUCT = 0.0035  # squared error, in units of var(y), of one product that needs no function
NO_NOISE = 1e-6  # squares below which functions are fitted to the last digit
POOR = 0.1  # squared error, in units of var(y), from which on the predictions of a law are no start
# Squared errors, in units of var(y), between which the predictions of a law are f at first; else y itself is.
EXACT, CLOSE = 1e-4, 0.01
MAX_NOT_POSITIVE = 0.1  # greatest share of y, and of predictions, that may be zero or negative
LEAST_NOISY = 0.2  # of the 5 % quantile of |y|: the least f if errors are large
LEAST_EXACT = 1e-9  # of that quantile: the least f without errors
FEW_ROWS = 8  # with 12 a sum of three terms passes through a slip that is otherwise named
ROWS_A_NUMBER = 3  # at least, in a law with noise that has a link or functions
MAX_FREE = 6  # parameters of a law through a link; one with more is an approximation, not a law
MAX_REFINED = 2  # terms of a law whose exponents move
MAX_LINKED_NODES = 4  # longer sums were no better with a link than without
PASSES, CONVERGED = 20, 1e-10
LEAST_UNIT = 1e-100  # unit of u, which is y^2, 1/y, ... and must be within the range of float with room for its powers


def may_have_link(objective, law):
    """Whether a search for a link may find a better law; with collinear features, exponents are not determined."""
    if objective.dimensions is not None:  # a sum without a link may miss all of the law
        return law.error > EXHAUSTED and (_is_long(law.net) or law.error > GOOD_PRODUCT)
    enough = objective.n > 2 * law.net.n_free and not law.penalties.tie_breaker
    return enough and EXHAUSTED < law.error < POOR and _is_long(law.net)


def _may_be_simple(objective, law):
    """Whether a sum of products with simple exponents is looked for in few rows, beside a law of many numbers."""
    return objective.n <= FEW_ROWS and law.error > EXHAUSTED and _is_long(law.net)


def may_have_functions(objective, law):
    """Whether a search for functions may find a better law."""
    clear = np.abs(objective.y - objective.weight @ objective.y) > np.sqrt(law.error)
    enough = np.count_nonzero(clear) >= MIN_CLEAR and not law.penalties.tie_breaker
    return enough and law.error > EXHAUSTED and (_is_long(law.net) or law.error > GOOD_PRODUCT)


def _is_long(net):
    """Whether it is more than one term: `c P^a + d` follows exp(-P) within 2 % where P varies by a factor of five."""
    return net.n_free > NO_LINK_NEEDED or net.n_nodes > 1 or net.lower[-1] < net.upper[-1]


def simple_law(search, folds):
    """The best sum of products with simple exponents; None if there is none. ``search``: a LawSearch."""
    nets = simple_nets(search.objective, search.candidates) if search.simplifier.active else []
    if not nets:
        return None
    errors, squares = comparison.cross_validate(search, nets, folds)
    scores = np.array([_score(*pair, search.objective.n) for pair in zip(nets, errors, strict=True)])
    best = min(np.flatnonzero(scores <= scores.min() + comparison.EQUAL), key=lambda k: (nets[k].n_free, scores[k]))
    net, error = nets[best], float(errors[best])
    tried = [Candidate(*pair, search.objective) for pair in zip(nets, errors.tolist(), strict=True)]
    law = Law(net, error, squares[best], search.penalties, tried)
    if search.objective.dimensions is None:
        return law
    starts = [one for one in nets if one is net or one.n_nodes == 1]
    starts = [one for one in starts if one.n_nodes <= MAX_REFINED]
    moved = refined_laws(search, starts, folds)
    best, least, tried = law, _score(net, error, search.objective.n), list(law.tried)
    for other, more in moved:
        tried += other.tried
        score = _score(other.net, other.error, search.objective.n, more)
        if score < least:
            best, least = other, score
    return best._replace(tried=tried)


def search_without_fold(objective, fold, seeds, settings, stage, f):
    """Squared errors, on the fold, of the law that is found from the other rows; whether a callback asks to stop."""
    task = stage.begin("without fold", None, index=f)
    rest = objective.subset(np.setdiff1d(np.arange(objective.n), fold))
    law = search_law(rest, settings, seeds, None, task)
    if "identity" in settings.links and may_have_link(rest, law):
        search = LawSearch(rest, settings, np.random.default_rng(seeds), SILENCE)
        folds = np.array_split(np.random.default_rng(seeds).permutation(rest.n), FOLDS)
        law = min((law, simple_law(search, folds) or law), key=lambda one: _score(one.net, one.error, rest.n))
    squares = np.minimum(objective.subset(fold).squares(law.net), 1e6)
    return squares, task.end(f"law of {law.net.n_nodes} nodes, error on the fold {np.sqrt(squares.mean()):.3g} std(y)")


def law_of_functions(exact, search, settings, seeds, folds):
    """The law with the best function among its factors, fitted to ``exact``; None if there is none."""
    if not search.simplifier.active:
        return None
    best, least, tried = None, np.inf, []
    for objective, net in function_nets(search.objective, search.candidates, settings.functions):
        whole, objective, net = with_plain_logarithms(exact, objective, net)
        own = LawSearch(objective, settings, np.random.default_rng(seeds), SILENCE)
        net = own.simplifier.thinned(net)
        errors, squares = comparison.cross_validate(own, [net], folds)
        error = float(errors[0])
        if not net.nodes[:, whole.n_given : whole.d].any():
            continue
        if net.squares < NO_NOISE:
            whole, net = refitted(whole, net)
        tried.append(Candidate(net, error, whole))
        score = _score_of(tried[-1], exact.n)
        if score < least:
            best, least = Law(net, error, squares[0], own.penalties, tried, "identity", whole), score
    return best


def with_nested_error(law, objective, settings, seeds, folds):
    """The law with the errors of rows left out of the search for a function, too.

    Among some million functions and terms one may suit noise.
    """
    squares = np.zeros(objective.n)
    for fold in folds:
        rest, part = objective.subset(np.setdiff1d(np.arange(objective.n), fold)), objective.subset(fold)
        candidates = Candidates(rest, settings.sign, np.random.default_rng(seeds))
        found = function_nets(rest, candidates, settings.functions)
        if not found:
            return law._replace(error=np.inf)
        learned, net = found[0]
        squares[fold] = objective.weight[fold] * part.with_functions(learned.functions).squares(net)
    squares = np.maximum(squares, law.squares)
    return law._replace(error=float(squares.sum()), squares=squares)


def law_of_link(name, exact, objective, law, settings, seeds, folds, task, least=0.0):
    """The law of a link, its errors in units of var(y); None if there is none.

    The search starts from the predictions of ``law``, the law of ``objective``, which is ``exact`` rounded. A function
    is looked for where no law without errs less than ``least``, a squared error.
    """
    link = LINKS[name]
    f = objective.predict(law.net) if EXACT < law.error < CLOSE else exact.y  # in units of std(y)
    linked = linearised(link, exact, f)
    if linked is None:
        return None

    def search_of(objective, *max_nodes):
        return LawSearch(objective.rounded(), settings, np.random.default_rng(seeds), task, *max_nodes)

    search = search_of(linked, MAX_LINKED_NODES)
    drawn = [best_law(search, folds)] if linked.dimensions is None else []
    tried = [one for found in (*drawn, simple_law(search, folds)) if found for one in found.tried]
    plain = min(tried, key=lambda one: _score_of(one, exact.n), default=None)
    found = None
    if plain is not None:
        found = _settled(name, exact, plain._replace(objective=linked), search_of, settings, folds, task)
    kinds = [kind for kind in settings.functions if kind == OF_LINK.get(name)]
    if not kinds or (found is not None and found.error <= least):
        return found
    # Where y is small the predictions of a law of another form are far off, and y itself is nearer.
    laws, starts = [found], [linked] if f is exact.y else [linked, linearised(link, exact, exact.y)]
    for start in starts:
        if start is not None:
            own = settings._replace(functions=kinds)
            of_start = law_of_functions(start, search_of(start), own, seeds, folds)
            if of_start is not None:
                laws.append(_settled(name, exact, of_start, search_of, settings, folds, task))
    return min((one for one in laws if one is not None), key=lambda one: _score_of(one, exact.n), default=None)


def _settled(name, exact, law, search_of, settings, folds, task):
    """The law of a link, fitted again with its own predictions until they do not change; None if it is none."""
    link, net, linked, functions = LINKS[name], law.net, law.objective, law.objective.functions
    search, f = search_of(linked), np.full(exact.n, np.inf)
    for _ in range(PASSES):
        before, f = f, linked.through_link(search.objective.predict(net))
        if np.abs(f - before).max() <= CONVERGED * np.abs(f).max():
            break
        linked = linearised(link, exact, f)
        if linked is None:
            return None
        if len(functions):
            linked, net = refitted(linked.with_functions(functions), net)
            functions = linked.functions
        search = search_of(linked)
        net = search.objective.fit(net, search.penalties(net), 60, 1e-10)
    if settings.n_nodes == "auto":  # drop terms that only corrected the first, inexact target
        one = task.begin("net", None)
        net = search.simplifier.simplified(search.simplifier.thinned(net), one)
        one.end()
    errors, squares = comparison.cross_validate(search, [net], folds)
    pole = not settings.asks_for_link and has_pole(link, search.objective, search.candidates.X, net)
    if not np.isfinite(errors[0]) or _is_power(link, net) or pole:
        return None
    linked, net = linked.in_units(exact.y_scale, net)
    if not LEAST_UNIT < linked.y_scale < 1.0 / LEAST_UNIT:
        return None
    unit = (linked.error_unit / exact.error_unit) ** 2
    candidate = Candidate(net, float(errors[0]), linked, name)
    return Law(net, float(errors[0] * unit), squares[0] * unit, search.penalties, [candidate], name, linked)


def linearised(link, exact, f):
    """The objective of the link near predictions f, in units of std(y); None if the link cannot give them."""
    f = np.clip(f, -1e100, 1e100)
    small, error = np.quantile(np.abs(exact.y), 0.05), np.sqrt(np.mean((exact.y - f) ** 2))
    least = min(LEAST_NOISY * small, 2 * error) + LEAST_EXACT * small
    if exact.size is not None:  # the least y are as exact as the others
        least = LEAST_NOISY * np.abs(exact.y[exact.y != 0]).min(initial=small)
    if not least > 0 or not np.isfinite(f).all() or max((f <= 0).mean(), (exact.y <= 0).mean()) > MAX_NOT_POSITIVE:
        return None
    f = np.maximum(f, least)
    with np.errstate(all="ignore"):
        u = link.inverse(f)
        slope = link.slope(u)
        target, unit = u + (exact.y - f) / slope, 1.0 / np.abs(slope)
        possible = np.isfinite(target).all() and np.isfinite(unit**2).all() and (unit**2 > 0).all()
    return exact.with_target(target, unit, link) if possible else None


def _score(net, error, n, more=0.0):
    """Twice the description length of y and of the net: the error on rows left out, free parameters, exponents.

    An exponent that occurs in several terms counts once: terms of a law share factors. ``more``: for the link. Unlike
    the criterion of ``simplification``, which compares fits to the same rows, it needs no small-sample factor and
    distinguishes errors down to the rounding of a law without noise.
    """
    return n * np.log(max(error, EXHAUSTED)) + _length(net, n) + more


def _length(net, n):
    d = net.n_features
    nodes, fixed = net.nodes[:, :d], net.bound("lower")[:, :d] == net.bound("upper")[:, :d]
    return price_of_numbers(net.n_free, n) + price_of(np.where(fixed, nodes, 0.0))


def price_of_numbers(n_free, n):
    """Twice the description length of free parameters, with the factor of small samples.

    Without it, and without sums in few rows, NIST's DanWood (6 rows) is told with four numbers instead of two.
    """
    return np.log(n) * n_free * n / max(n - n_free, 0.1)


def _is_power(link, net):
    """Whether the law is one product, which needs no link, or a constant."""
    alone = net.n_nodes == 1 and net.kind(0) == "product" and not net.nodes[0, -2] and not net.theta[-1]
    return not net.n_nodes or (alone and link.power is not None)


def has_pole(link, objective, X, net):
    """Whether h has a pole at points whose features have values of different rows of X."""
    if link.power is None or link.power > 0.0:
        return False
    rng = np.random.default_rng(0)
    recombined = rng.permuted(np.repeat(X, max(1, comparison.RECOMBINED // len(X)), axis=0), axis=0)
    recombined = objective.completed(np.ascontiguousarray(recombined[:, : objective.n_given]))
    u = objective.predict(net, recombined) * objective.y_scale
    return bool((u <= 0).any())


def _score_of(one, n, more=0.0):
    """That of a Candidate or Law, its functions included."""
    functions = () if one.objective is None else one.objective.functions
    if len(functions):
        both, n_inner = _n_free(one), int(functions.free.sum())
        more += length_of(functions, n) - np.log(n) * n_inner
        more += price_of_numbers(both, n) - price_of_numbers(one.net.n_free, n)
    return _score(one.net, one.error, n, more)


def _is_plain(law, other):
    """Whether a law with functions has an error as small as noise and no more parameters than the other law."""
    return _n_free(law) <= other.net.n_free and law.error < GOOD_PRODUCT


def best_linked(names, exact, objective, law, settings, seeds, folds, task):
    """The law with the shortest description: this one, one with simple exponents ("identity"), or one through a link.

    The description of a link includes which of them it is. If the user asks for a link, its law is taken if there is
    one.
    """
    best, tried = law, list(law.tried)
    least = np.inf if settings.asks_for_link else _score(law.net, law.error, exact.n)
    good = [(law, least)]
    if objective.dimensions is not None:
        names = [name for name in names if name == "functions" or objective.dimensions.through(LINKS[name])]
    may = {name: may_have_link(objective, law) for name in LINKS} | {"functions": may_have_functions(objective, law)}
    may["identity"] |= _may_be_simple(objective, law)
    for name in names:
        found_function = best.objective is not None and len(best.objective.functions)
        if not (may[name] or settings.asks_for_link) or (found_function and best.net.n_nodes == 1):
            continue
        one = task.begin("link", None, aside=True)
        more, most = 0.0, np.inf
        if name == "functions":
            search = LawSearch(objective, settings, np.random.default_rng(seeds), one)
            found = law_of_functions(exact, search, settings, seeds, folds)
        elif name == "identity":
            search = LawSearch(objective, settings, np.random.default_rng(seeds), one)
            found = simple_law(search, folds)
        else:
            found = law_of_link(name, exact, objective, law, settings, seeds, folds, one, best.error)
            more = 2 * np.log(len(LINKS))
            # With more parameters than the law without a link it must have less than half of its squared error.
            most = MAX_FREE if found is None or 2 * found.error < law.error else min(MAX_FREE, law.net.n_free)
            most = np.inf if settings.asks_for_link else most
        what = name if name == "functions" else f"link {name}"
        text = f"{what}: none"
        if found is not None:
            tried += found.tried
            text = f"{what}: {found.net.n_free} parameters, validation error {np.sqrt(found.error):.3g} std(y)"
            score = _score_of(found, exact.n, more)
            if name == "functions" and -comparison.EQUAL < least - score < SURE and not _is_plain(found, best):
                found = with_nested_error(found, objective, settings, seeds, folds)
                score = score if found.error <= FORGIVEN * best.error else np.inf
            # Of thousands of functions and sums through links some fit six rows as well as a line.
            too_many = name != "identity" and found.error > NO_NOISE and ROWS_A_NUMBER * _n_free(found) > exact.n
            if found.net.n_free <= most and (not too_many or settings.asks_for_link):
                good.append((found, score))
                if score < least:
                    best, least = found, score
        if one.end(text, level=2) or best.error < EXHAUSTED:
            break
    good = [one for one in good if one[1] <= least + comparison.EQUAL]
    best, _ = min(good, key=lambda one: (_n_free(one[0]), one[1]))
    return best._replace(tried=tried)


def _n_free(law):
    return law.net.n_free + (0 if law.objective is None else np.count_nonzero(law.objective.functions.free))
