"""GradientForestRegressor: seconds, peak memory (Linux) and bytes, on Friedman's first function of ten variables."""

import importlib.util
import os
import subprocess
import sys
from time import perf_counter, process_time

import numpy as np
from bench_memory import status
from figures import Figure
from sklearn.datasets import make_friedman1
from sklearn.ensemble import ExtraTreesRegressor, RandomForestRegressor
from sklearn.metrics import r2_score

from skmerge import GradientForestRegressor

SECTION = "forest_speed"
COLUMNS = 10
SIZES = 1_000, 10_000, 100_000, 1_000_000


def best_of(call, clock, repeats=3):
    best = np.inf
    for _ in range(repeats):
        start = clock()
        result = call()
        best = min(best, clock() - start)
    return best, result


def timed(model, train, test, clock=process_time):
    """(seconds to fit, seconds to predict, R2); the least of three, and processor time by default."""
    fit, model = best_of(lambda: model.fit(*train), clock)
    predict, values = best_of(lambda: model.predict(test[0]), clock)
    return fit, predict, r2_score(test[1], values)


def against_peers(rows=10_000):
    """100 trees on one thread; order 0 and 1 beside other forests, in this run."""
    X, y = make_friedman1(2 * rows, n_features=COLUMNS, noise=0.0, random_state=0)
    train, test = (X[:rows], y[:rows]), (X[rows:], y[rows:])
    models = {order: GradientForestRegressor(order=order, random_state=0) for order in (0, 1, "auto")}
    models |= {"RandomForest": RandomForestRegressor(random_state=0), "ExtraTrees": ExtraTreesRegressor(random_state=0)}
    if importlib.util.find_spec("lightgbm"):
        from lightgbm import LGBMRegressor

        models["LightGBM linear_tree"] = LGBMRegressor(linear_tree=True, n_jobs=1, random_state=0, verbose=-1)
    else:
        print(f"{SECTION}: left out, not installed: lightgbm")
    found = {name: timed(model, train, test) for name, model in models.items()}
    fit, predict, r2 = ({name: line[i] for name, line in found.items()} for i in range(3))

    def beside(seconds, order):
        others = ", ".join(f"{name} {seconds[name]:.3g}" for name in models if isinstance(name, str) and name != "auto")
        return f"{seconds[order]:.3g} s; {others}"

    for order, least_fit, least_predict in ((0, 5.0, 2.0), (1, 3.0, 1.0), ("auto", None, None)):
        for what, seconds, least in (("fit", fit, least_fit), ("predict", predict, least_predict)):
            title = f"RandomForest's time to {what} / ours, order {order}"
            value = seconds["RandomForest"] / seconds[order]
            yield Figure(SECTION, title, value, least and (">=", least), beside(seconds, order))
    linear = r2.get("LightGBM linear_tree")
    for order in (0, 1, "auto"):
        target = (">=", linear) if order == 1 and linear else None
        others = ", ".join(f"{name} {value:.4f}" for name, value in r2.items() if isinstance(name, str))
        yield Figure(SECTION, f"R2, order {order}", r2[order], target, others)
    for order in (0, 1, "auto"):
        one, two = (
            timed(GradientForestRegressor(order=order, n_jobs=n, random_state=0), train, test, perf_counter)
            for n in (1, 2)
        )
        note = f"fit {one[0]:.2f} s on one; predict {one[1] / two[1]:.2f}"
        yield Figure(SECTION, f"fit by two threads, times faster, order {order}", one[0] / two[0], (">=", 1.8), note)
    forest = models[1]
    row = X[:1]
    seconds, _ = best_of(lambda: [forest.predict(row) for _ in range(200)], process_time)
    yield Figure(SECTION, "one row through predict, order 1, microseconds", 5e3 * seconds, ("<=", 100.0))
    trees, weight = next(iter(forest._forest().kinds()))
    seconds, _ = best_of(lambda: [trees.sums(row, weight) for _ in range(200)], process_time)
    yield Figure(SECTION, "one row through the compiled walk, 100 trees, microseconds", 5e3 * seconds, ("<=", 5.0))


def fit_and_report(n, order, n_estimators):
    """Print processor seconds, the peak beyond what was there before the fit, bytes of the forest and its nodes."""
    rng = np.random.default_rng(0)
    X = rng.uniform(size=(n, COLUMNS))
    y = 20 * (X[:, 2] - 0.5) ** 2 + 10 * X[:, 3] + 5 * X[:, 4]
    for start in range(0, n, 10_000):  # no copy of X before the fit is measured
        part = slice(start, start + 10_000)
        y[part] += 10 * np.sin(np.pi * X[part, 0] * X[part, 1])
    order = order if order == "auto" else int(order)
    forest = GradientForestRegressor(n_estimators, order=order, random_state=0)
    forest.fit(X[:50], y[:50])  # whatever is imported at the first fit
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")  # the peak is measured from here on
    before, start = status("VmRSS"), process_time()
    forest.fit(X, y)
    seconds = process_time() - start
    peak = status("VmHWM") - before
    groups = [forest.nodes_, forest.leaves_, forest.tree_start_, forest.rate_, forest.member_start_]
    size = sum(array.nbytes for arrays in groups for array in arrays)
    print(seconds, peak, size, sum(map(len, forest.nodes_)))


def against_rows(orders=(0, 1), n_estimators=10):
    """Ten trees of 10^3 to 10^6 rows: time for each row and doubling, peak memory, bytes of the forest."""
    for order in orders:
        per, last = [], None
        for n in SIZES:
            command = [sys.executable, os.path.abspath(__file__), *map(str, (n, order, n_estimators))]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            seconds, peak, size, n_nodes = map(float, done.stdout.split())
            per.append(seconds / (n * np.log2(n)))
            last = seconds, peak, size, n_nodes, 8 * n * COLUMNS
            if n >= 100_000:
                title = f"peak beyond X and forest / X, {n:.0e} rows, order {order}"
                beside = f"X {last[4] / 1e6:.0f} MB, forest {size / 1e6:.0f} MB, peak {peak / 1e6:.0f} MB"
                yield Figure(SECTION, title, (peak - size) / last[4], ("<=", 2.0), beside)
        beside = ", ".join(f"{1e9 * value:.1f}" for value in per) + f" ns n log2 n; {last[0]:.1f} s at {SIZES[-1]:.0e}"
        title = f"fit time / (n log n), 10^6 rows over 10^4, order {order}"
        yield Figure(SECTION, title, per[-1] / per[1], ("<=", 1.2), beside)
        beside = f"{last[2] / 1e6:.0f} MB in all: {n_estimators} trees, {last[3]:.3g} nodes"
        yield Figure(SECTION, f"bytes for each node with its leaf, order {order}", last[2] / last[3], None, beside)


def speed():
    """Times beside other forests, then against rows."""
    yield from against_peers()
    yield from against_rows()


if __name__ == "__main__":
    fit_and_report(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
