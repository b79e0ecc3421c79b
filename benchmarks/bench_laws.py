"""Does MergedNetRegressor find the law? Beside symbolic regression, on the Feynman formulae and on historical data.

Peers: Operon (`pip install pyoperon`) and gplearn (`pip install gplearn`), as symbolic_peers.py sets them up. Neither
is needed: one that is not installed, and of which no results are stored, is printed as such. Errors are in std(y), test
values exact; extrapolated rows have a variable beyond its range. A printed law contains the true one if its numbers,
fitted again to exact values, let it err by rounding only (law_check.py). Times are of the processor.
"""

from time import process_time

import numpy as np
from figures import Figure
from formula_tasks import FEYNMAN, load_tasks
from historical_laws import historical_figures
from joblib import Parallel, delayed
from law_runs import ADDITIVE, OURS, PLAIN, Store, ours
from symbolic_peers import GPLEARN, OPERON, OPERON_BIC, PACKAGES, installed

from skmerge import MergedNetRegressor

GOOD = 0.001**0.5  # error at R2 = 0.999
SEED = 0
MEDIAN, SHARE, BEYOND = "median error", "share R2 > 0.999", "median error extrapolated"
NEAR, EXACT = "share extrapolated < 0.05", "share exact to 1e-8"
CONTAINS = "share whose printed law contains the true one"
TIMES = "median fit time", "greatest fit time"
TARGETS = {  # (5 % noise or none, figure), 200 rows
    (0.05, MEDIAN): ("<=", 0.0065),
    (0.05, SHARE): (">=", 0.90),
    (0.05, BEYOND): ("<=", 0.010),
    (0.05, NEAR): (">=", 0.85),
    (0.05, CONTAINS): (">=", 0.65),
    (0.0, SHARE): (">=", 0.97),
    (0.0, EXACT): (">=", 0.75),
    (0.0, BEYOND): ("<=", 1e-6),
}
TIME_TARGET = ("<=", 0.2)  # of Operon's
CURVE_NOISE, CURVE_ROWS, CURVE_STEP = (0.01, 0.05, 0.1, 0.2), (30, 60, 200), 7  # of every seventh formula
GROWTH_ROWS, GROWTH_FEATURES = (60, 200, 800, 3200, 6400), (5, 10, 20, 50)


def feynman(path):
    """The Feynman formulae of a file, or those of skmerge.datasets without one."""
    tasks = load_tasks(path)
    return [task for task in tasks if task.group == FEYNMAN] or tasks


def summary(results):
    """{figure: value} of the results of one program."""
    error, beyond, seconds, found = np.array([[r.NRMSE, r.NRMSE_ext, r.fit_s, r.contains] for r in results]).T
    beyond = beyond[~np.isnan(beyond)]  # without rows beyond the range
    return {
        MEDIAN: np.median(error),
        SHARE: np.mean(error < GOOD),
        BEYOND: np.median(beyond),
        NEAR: np.mean(beyond < 0.05),
        CONTAINS: np.mean(found),
        EXACT: np.mean(error < 1e-8),
        TIMES[0]: np.median(seconds),
        TIMES[1]: np.max(seconds),
    }


def measure(tasks, n, noise, store, peers, procs, models=(OURS,)):
    """{program: [Result of each task]}; a peer that is not there has no list."""
    jobs = [delayed(ours)(model, task, n, noise, SEED) for model in models for task in tasks]
    own = Parallel(procs)(jobs)
    out = {model: [result for result in own if result.model == model] for model in models}
    for peer in peers:
        for task in tasks:
            for model, result in store.run(peer, task, n, noise, SEED).items():
                out.setdefault(model, []).append(result)
    return out


def absent(store, section):
    """A line for each peer that is neither installed nor stored."""
    for peer, package in PACKAGES.items():
        if not installed(peer) and not store.has(peer):
            yield f"{section}: {peer} left out, not installed (pip install {package})"


def figures(path=None, peers=None, procs=1, rows=200, noise=(0.05, 0.0)):
    """Figures of all formulae for each noise, those of the peers beside."""
    tasks, store = feynman(path), Store(peers)
    yield from absent(store, "laws")
    for share in noise:
        results = measure(tasks, rows, share, store, (OPERON, GPLEARN) if share else (OPERON,), procs)
        yield from _compared(f"{len(tasks)} formulae, {rows} rows, noise {share:g}", share, rows, results)
        if OPERON in results:
            yield from _lists("laws", results)


def _compared(title, noise, rows, results):
    tables = {model: summary(lines) for model, lines in results.items()}
    own = tables.pop(OURS)
    for what in (MEDIAN, SHARE, BEYOND, NEAR, CONTAINS, *(() if noise else (EXACT,))):
        beside = "; ".join(f"{model} {table[what]:.3g}" for model, table in tables.items())
        target = TARGETS.get((noise, what)) if rows == 200 else None
        yield Figure("laws", f"{title}: {what}", own[what], target, beside)
    for what in TIMES:
        beside = "; ".join(f"{model} {table[what]:.2g} s" for model, table in tables.items() if model != OPERON_BIC)
        if OPERON in tables:
            value, target, name = own[what] / tables[OPERON][what], TIME_TARGET, f"{what} / Operon's"
        else:
            value, target, name = own[what], None, f"{what}, s"
        yield Figure("laws", f"{title}: {name}", value, target, f"{own[what]:.2g} s" + f"; {beside}" * bool(beside))


def _lists(section, results):
    """Which formulae one of the two finds and the other does not, with both laws."""
    pairs = list(zip(results[OURS], results[OPERON], strict=True))
    for winner, ahead in (("Operon alone", False), (f"{OURS} alone", True)):
        names = [a.task for a, b in pairs if a.contains != b.contains and a.contains == ahead]
        yield f"{section}: found by {winner} ({len(names)}): {', '.join(names) or 'none'}"
    for a, b in pairs:
        if b.contains and not a.contains:
            yield f"  {a.task}\n    {OURS}: {a.law}\n    Operon: {b.law}"


def curves(path=None, peers=None, procs=1):
    """Share of printed laws that contain the true one, by noise and rows, on every seventh formula and one seed."""
    tasks, store = feynman(path)[::CURVE_STEP], Store(peers)
    yield from absent(store, "laws_curves")
    for n in CURVE_ROWS:
        for noise in CURVE_NOISE:
            results = measure(tasks, n, noise, store, (OPERON,), procs)
            own = summary(results.pop(OURS))
            tables = {model: summary(lines) for model, lines in results.items()}
            beside = "; ".join(f"{model} {table[CONTAINS]:.2f}" for model, table in tables.items())
            errors = ", ".join(f"{value:.3g}" for value in [own[MEDIAN], *(t[MEDIAN] for t in tables.values())])
            title = f"{len(tasks)} formulae, {n} rows, noise {noise:g}: contains the law"
            yield Figure("laws_curves", title, own[CONTAINS], None, f"{beside}; median errors {errors}")


def ablation(path=None, procs=1, rows=200, noise=(0.05, 0.0)):
    """Without products, without functions and links, and all of them."""
    tasks = feynman(path)
    for share in noise:
        results = measure(tasks, rows, share, Store(), (), procs, (ADDITIVE, PLAIN, OURS))
        for model, lines in results.items():
            table = summary(lines)
            beside = ", ".join(f"{what} {table[what]:.3g}" for what in (MEDIAN, SHARE, BEYOND, NEAR))
            title = f"{len(tasks)} formulae, noise {share:g}, {'all' if model == OURS else model}: contains the law"
            yield Figure("laws_ablation", title, table[CONTAINS], None, f"{beside}, {table[TIMES[0]]:.2g} s")


def history(directory):
    """Historical laws found; see historical_laws.py."""
    yield from historical_figures(directory)


def growth():
    """Time of a fit by rows and by features, relative to the smallest; a law of three features, 5 % noise."""

    def seconds(n, n_features):
        rng = np.random.default_rng(0)
        X = rng.uniform(1, 5, (n, n_features))
        y = 3 * X[:, 0] * X[:, 1] ** 2 + 40 / X[:, 2]
        y = y + 0.05 * y.std() * rng.normal(size=n)
        start = process_time()
        MergedNetRegressor(random_state=0).fit(X, y)
        return process_time() - start

    for name, values, arguments in (
        ("rows, 5 features", GROWTH_ROWS, lambda value: (value, 5)),
        ("features, 60 rows", GROWTH_FEATURES, lambda value: (60, value)),
    ):
        first = None
        for value in values:
            taken = seconds(*arguments(value))
            first = first or taken
            title = f"fit time, {value} {name}, over that of {values[0]}"
            yield Figure("laws_growth", title, taken / first, None, f"{taken:.2f} s")
