"""Tables of measurements: 5-fold R2 on every CSV of a directory (last column the target), beside peers.

The peers are scikit-learn's in the same run, or those of a CSV with the columns task, seed (the fold), model and R2.
"""

import csv
from pathlib import Path
from time import perf_counter

import numpy as np
from figures import Figure
from joblib import Parallel, delayed
from scipy.stats import rankdata
from sklearn.ensemble import ExtraTreesRegressor, HistGradientBoostingRegressor
from sklearn.metrics import r2_score
from sklearn.model_selection import KFold

from skmerge import MergedNetRegressor

OURS = "MergedNet"
PEERS = {
    "ExtraTrees": lambda: ExtraTreesRegressor(500, random_state=0),
    "HistGradientBoosting": lambda: HistGradientBoostingRegressor(random_state=0),
}


def kept(path, fold):
    """X, y and the rows of a fold to train on and to test on."""
    table = np.genfromtxt(path, delimiter=",", skip_header=1)
    X, y = table[:, :-1], table[:, -1]
    return X, y, *list(KFold(5, shuffle=True, random_state=0).split(X))[fold]


def measure(path, fold, models):
    """[(table, model, R2, seconds to fit)] of one fold; R2 is at least -1."""
    X, y, train, test = kept(path, fold)
    results = []
    for name, make in models.items():
        start = perf_counter()
        model = make().fit(X[train], y[train])
        seconds = perf_counter() - start
        results.append((path.stem, name, max(-1.0, r2_score(y[test], model.predict(X[test]))), seconds))
    return results


def read_peers(path, tables):
    with open(path, newline="") as file:
        return [
            (row["task"], row["model"], float(row["R2"]), float(row["fit_s"]))
            for row in csv.DictReader(file)
            if row["task"] in tables and row["R2"]
        ]


def figures(directory, peers=None, procs=1):
    """Mean rank over the tables and the R2 of each."""
    paths = sorted(Path(directory).glob("*.csv"), key=lambda path: -path.stat().st_size)
    if not paths:
        raise FileNotFoundError(f"--tables {directory}: no CSV file in there.")
    models = {OURS: lambda: MergedNetRegressor(random_state=0)} | ({} if peers else PEERS)
    jobs = (delayed(measure)(path, fold, models) for path in paths for fold in range(5))
    results = [line for lines in Parallel(procs)(jobs) for line in lines]
    tables = [path.stem for path in paths]
    if peers:
        results += read_peers(peers, tables)
    return compare("tables", OURS, results, tables, ("<=", 4.0) if peers else None)


def compare(section, ours, results, tables, target):
    """Mean rank over the tables and the R2 of each, from lines (table, model, R2, seconds to fit) of every fold."""
    r2 = {}
    for table, model, value, _ in results:
        r2.setdefault(model, {}).setdefault(table, []).append(value)
    names = [model for model in r2 if len(r2[model]) == len(tables)]  # those missing on a table are left out
    r2 = {model: [np.mean(r2[model][table]) for table in tables] for model in names}
    ranks = rankdata(-np.array([r2[name] for name in names]), axis=0).mean(axis=1)
    order = sorted(zip(ranks, names, strict=True))
    beside = ", ".join(f"{name} {rank:.1f}" for rank, name in order if name != ours)
    own_rank = dict((name, rank) for rank, name in order)[ours]
    out = [Figure(section, f"mean rank of {len(names)} models on {len(tables)} tables", own_rank, target, beside)]
    for i, table in enumerate(tables):
        best = max((name for name in names if name != ours), key=lambda name: r2[name][i])
        seconds = np.median([s for t, model, _, s in results if t == table and model == ours])
        beside = f"{best} {r2[best][i]:.4f}; {seconds:.1f} s a fit"
        out.append(Figure(section, f"{table}: mean 5-fold R2", r2[ours][i], None, beside))
    return out
