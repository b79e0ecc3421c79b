"""Formulae learned from 200 rows, with and without noise; the blended net beside the additive one and two peers.

Errors are normalised by the spread of y; test values are exact, extrapolated ones have a variable beyond its range.
"""

import csv
import warnings
from time import perf_counter

import numpy as np
from figures import Figure, NotApplicableError, PowerLaw, mlp, nrmse
from formula_tasks import DATASETS, FEYNMAN, load_tasks, rows
from joblib import Parallel, delayed

from skmerge import MergedNetRegressor

N = 200
NOISE = 0.0, 0.05
GOOD = 0.001**0.5  # NRMSE at R2 = 0.999
OURS, ADDITIVE = "MergedNet", "additive only"
MODELS = {
    OURS: lambda seed: MergedNetRegressor(random_state=seed),
    ADDITIVE: lambda seed: MergedNetRegressor(blend=1.0, random_state=seed),
    "power law": lambda seed: PowerLaw(),
    "MLP": mlp,
}
SETS = {  # name of a set of formulae: which tasks are in it
    "datasets": lambda task: task.group == DATASETS,
    "Feynman": lambda task: task.group == FEYNMAN,
    "single products": lambda task: task.group in (DATASETS, FEYNMAN) and task.product,
    "no products": lambda task: task.group in (DATASETS, FEYNMAN) and not task.product,
    "bonus": lambda task: task.group not in (DATASETS, FEYNMAN),
}
MEDIAN, SHARE, BEYOND = "median NRMSE", "share R2 > 0.999", "median NRMSE extrapolated"
TARGETS = {  # (set, noise, figure)
    ("datasets", 0.05, MEDIAN): ("<=", 0.009),
    ("Feynman", 0.05, MEDIAN): ("<=", 0.014),
    ("Feynman", 0.05, SHARE): (">=", 0.77),
    ("Feynman", 0.05, BEYOND): ("<=", 0.05),
    ("Feynman", 0.0, MEDIAN): ("<=", 4e-4),
    ("Feynman", 0.0, SHARE): (">=", 0.92),
    ("Feynman", 0.0, BEYOND): ("<=", 3e-3),
    ("no products", 0.05, SHARE): (">=", 0.65),
}


def measure(task, noise, seed):
    """[(stream, noise, model, NRMSE, NRMSE extrapolated, seconds)] of one formula; NaN where a model does not apply."""
    train, inside, beyond = rows(task, N, noise, seed)
    results = []
    for name, make in MODELS.items():
        errors, start = [np.nan, np.nan], perf_counter()
        seconds = np.nan
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                model = make(seed).fit(*train)
                seconds = perf_counter() - start
                errors = [np.nan if X is None else nrmse(y, model.predict(X)) for X, y in (inside, beyond)]
            except NotApplicableError:
                pass
        results.append((task.stream, noise, name, *errors, seconds))
    return results


def read_peers(path, seeds):
    """The same list from a CSV with the columns task, n, noise, seed, model, NRMSE, NRMSE_ext and fit_s."""
    with open(path, newline="") as file:
        wanted = [row for row in csv.DictReader(file) if int(row["n"]) == N and int(row["seed"]) in seeds]

    def number(text):
        return float(text) if text else np.nan

    return [
        (row["task"], float(row["noise"]), row["model"], *(number(row[c]) for c in ("NRMSE", "NRMSE_ext", "fit_s")))
        for row in wanted
    ]


def summary(results):
    """{model: {figure: value}} of some results; a model that does not apply misses the share, not the medians."""
    by_model = {}
    for _, _, model, *values in results:
        by_model.setdefault(model, []).append(values)
    out = {}
    for model, values in by_model.items():
        error, beyond, seconds = np.array(values).T
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # nothing but NaN
            medians = {MEDIAN: np.nanmedian(error), BEYOND: np.nanmedian(beyond), "seconds": np.nanmedian(seconds)}
        out[model] = medians | {SHARE: np.mean(error < GOOD)}
    return out


def figures(path=None, peers=None, procs=1, seeds=(0,)):
    """Figures of all sets, with the best peer beside each."""
    tasks = load_tasks(path)
    jobs = (delayed(measure)(task, noise, seed) for noise in NOISE for seed in seeds for task in tasks)
    results = [line for lines in Parallel(procs)(jobs) for line in lines]
    own_streams = {task.stream for task in tasks}
    if peers:
        results += [line for line in read_peers(peers, seeds) if line[0] in own_streams]
    out, seconds = [], []
    for name, contains in SETS.items():
        streams = {task.stream for task in tasks if contains(task)}
        for noise in NOISE:
            chosen = [line for line in results if line[0] in streams and line[1] == noise]
            if chosen:
                out += _set_figures(name, noise, len(streams), summary(chosen))
    for noise in NOISE:
        tafel = {m: 1 - e**2 for s, z, m, e, *_ in results if s == "seed_tafel" and z == noise and np.isfinite(e)}
        own = tafel.pop(OURS)
        tafel.pop(ADDITIVE)
        peer = max(tafel, key=tafel.get)
        target = (">=", max(0.93, tafel[peer])) if noise else None
        out.append(Figure("formulae", f"Tafel's law, noise {noise:g}: R2", own, target, f"{peer} {tafel[peer]:.4g}"))
    seconds = [line[-1] for line in results if line[2] == OURS]
    out.append(Figure("formulae", "seconds to fit a formula, median", np.median(seconds), ("<=", 1.0)))
    return out


def _set_figures(name, noise, count, by_model):
    own = by_model.pop(OURS)
    additive = by_model.pop(ADDITIVE)
    out = []
    for what in (MEDIAN, SHARE, BEYOND):
        best = (max if what == SHARE else min)(by_model, key=lambda model: by_model[model][what])
        beside = f"{best} {by_model[best][what]:.3g}; {ADDITIVE} {additive[what]:.3g}"
        title = f"{name} ({count}), noise {noise:g}: {what}"
        out.append(Figure("formulae", title, own[what], TARGETS.get((name, noise, what)), beside))
    ratio = additive[MEDIAN] / max(own[MEDIAN], 1e-300)
    title = f"{name}, noise {noise:g}: {MEDIAN}, additive only / blended"
    target = (">=", 1.5) if noise else None  # without noise both medians may be rounding
    return [*out, Figure("formulae", title, ratio, target, "expected: about 50 % better")]
