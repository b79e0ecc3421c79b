"""GradientForestRegressor: errors with and without slopes, tables, and (bench_forest_speed.py) times and memory.

Peers that cannot be imported are left out with a word: smt and jenn learn slopes, lightgbm, cubist, lineartree and
adaXT grow trees.
"""

import importlib
import importlib.util
import warnings
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from time import process_time

import numpy as np
from bench_forest_speed import speed  # noqa: F401, one of the sections
from bench_tables import PEERS as SKLEARN
from bench_tables import compare, kept, read_peers
from bench_tables import measure as measure_table
from figures import Figure, NotApplicableError, nrmse
from joblib import Parallel, delayed
from scipy.stats import gmean
from sklearn.ensemble import RandomForestRegressor
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel
from sklearn.linear_model import LinearRegression
from sklearn.metrics import r2_score
from sklearn.preprocessing import StandardScaler

from skmerge import GradientForestRegressor

ROWS, TEST_ROWS = 400, 4000
CAP = 1000.0  # ratios above it say only that a function is a quadratic, which some leaves hold exactly


def borehole(X):
    """Flow of water through a borehole, eight variables from [0, 1] (Harper and Gupta, 1983)."""
    low = np.array([0.05, 100, 63070, 990, 63.1, 700, 1120, 9855])
    rw, r, Tu, Hu, Tl, Hl, L, Kw = (low + X * np.array([0.1, 49900, 52530, 120, 52.9, 120, 560, 2190])).T
    log = np.log(r / rw)
    return 2 * np.pi * Tu * (Hu - Hl) / (log * (1 + 2 * L * Tu / (log * rw**2 * Kw) + Tu / Tl))


def friedman(X):
    """Friedman's first function, of the first five variables."""
    return 10 * np.sin(np.pi * X[:, 0] * X[:, 1]) + 20 * (X[:, 2] - 0.5) ** 2 + 10 * X[:, 3] + 5 * X[:, 4]


FUNCTIONS = {  # name: (number of variables, function, range of each)
    "x^2": (1, lambda X: X[:, 0] ** 2, (-1, 1)),
    "sin 2 pi x + x": (1, lambda X: np.sin(2 * np.pi * X[:, 0]) + X[:, 0], (0, 1)),
    "x1 x2": (2, lambda X: X[:, 0] * X[:, 1], (0, 1)),
    "squares": (3, lambda X: (X**2).sum(axis=1), (-1, 1)),
    "quotient": (3, lambda X: (X[:, 0] + 0.2) * (X[:, 1] + 0.2) / (X[:, 2] + 0.5), (0, 1)),
    "Friedman 1": (5, friedman, (0, 1)),
    "bell": (6, lambda X: np.exp(-2 * ((X - 0.5) ** 2).sum(axis=1)) + X[:, 0], (0, 1)),
    "borehole": (8, borehole, (0, 1)),
}
QUADRATIC = "x^2", "x1 x2", "squares"


def task(name, noise, rows=ROWS, seed=0):
    """Training X, y, slopes; test X, y without noise. Noise in standard deviations of y and of each slope."""
    d, function, bounds = FUNCTIONS[name]
    rng = np.random.default_rng(seed)
    X, Z = rng.uniform(*bounds, (rows, d)), rng.uniform(*bounds, (TEST_ROWS, d))
    y = function(X)
    dydx = np.stack([function(X + 1e-30j * step).imag / 1e-30 for step in np.eye(d)], axis=1)
    y, dydx = (a + noise * a.std(axis=0) * rng.standard_normal(a.shape) for a in (y, dydx))
    return X, y, dydx, Z, function(Z)


# --- the peers: (X, y, dydx, Z) -> prediction of Z


def scaled(learn):
    """A peer on standardised X and y, its slopes scaled with them."""

    def run(X, y, dydx, Z):
        scale, unit = StandardScaler().fit(X), np.std(y)
        z = learn(scale.transform(X), (y - y.mean()) / unit, dydx * scale.scale_ / unit, scale.transform(Z))
        return np.ravel(z) * unit + y.mean()

    return run


def kriging_model(d, **parameters):
    kernel = ConstantKernel(1.0, (1e-3, 1e5)) * RBF(np.ones(d), (1e-2, 1e4)) + WhiteKernel(1e-3, (1e-10, 1e1))
    return GaussianProcessRegressor(kernel, random_state=0, **parameters)


@scaled
def kriging(X, y, dydx, Z):
    return kriging_model(X.shape[1]).fit(X, y).predict(Z)


@scaled
def smt_krg(X, y, dydx, Z):
    from smt.surrogate_models import KRG

    model = KRG(print_global=False, eval_noise=True, n_start=1)
    model.set_training_values(X, y)
    model.train()
    return model.predict_values(Z)


@scaled
def smt_gekpls(X, y, dydx, Z):
    from smt.surrogate_models import GEKPLS

    if X.shape[1] == 1:
        raise NotApplicableError("it perturbs two variables at least")
    bounds = np.stack([X.min(axis=0), X.max(axis=0)], axis=1)
    n_comp = min(2, X.shape[1])
    model = GEKPLS(print_global=False, n_comp=n_comp, extra_points=n_comp - 1, xlimits=bounds, eval_noise=True)
    model.set_training_values(X, y)
    for j in range(X.shape[1]):
        model.set_training_derivatives(X, dydx[:, [j]], j)
    model.train()
    return model.predict_values(Z)


@scaled
def jenn_net(X, y, dydx, Z):
    from jenn import NeuralNet

    net = NeuralNet([X.shape[1], 12, 12, 1])
    net.fit(X.T, y[None], dydx.T[None], lambd=1e-4, max_iter=3000, random_state=0)
    return net.predict(Z.T)


@scaled
def lightgbm_linear(X, y, dydx, Z):
    from lightgbm import LGBMRegressor

    model = LGBMRegressor(linear_tree=True, linear_lambda=0.01, random_state=0, n_jobs=1, verbose=-1)
    return model.fit(X, y).predict(Z)


@scaled
def cubist(X, y, dydx, Z):
    import pandas as pd
    from cubist import Cubist

    names = [f"x{j}" for j in range(X.shape[1])]
    model = Cubist(n_committees=10, random_state=0).fit(pd.DataFrame(X, columns=names), 100 * y)
    return model.predict(pd.DataFrame(Z, columns=names)) / 100


@scaled
def linear_forest(X, y, dydx, Z):
    import lineartree._classes
    from sklearn.utils.validation import validate_data

    def validate(self, X, y="no_validation", force_all_finite=True, **parameters):
        return validate_data(self, X, y, ensure_all_finite=force_all_finite, **parameters)

    for parent in vars(lineartree._classes).values():  # it calls a method that scikit-learn no longer has
        if isinstance(parent, type) and parent.__module__.startswith("lineartree"):
            parent._validate_data = validate
    from lineartree import LinearForestRegressor

    return LinearForestRegressor(LinearRegression(), max_features=1.0, random_state=0).fit(X, y).predict(Z)


@scaled
def adaxt(X, y, dydx, Z):
    from adaXT.criteria import PartialQuadratic
    from adaXT.random_forest import RandomForest

    model = RandomForest("Gradient", n_estimators=100, criteria=PartialQuadratic, min_samples_leaf=10, seed=0)
    model.fit(X, y)
    return model.predict(Z, order=0)


def random_forest(X, y, dydx, Z):
    return RandomForestRegressor(random_state=0).fit(X, y).predict(Z)


def with_slopes(X, y, dydx, Z):
    return GradientForestRegressor(random_state=0).fit(X, y, dydx).predict(Z)


def without_slopes(X, y, dydx, Z):
    return GradientForestRegressor(random_state=0).fit(X, y).predict(Z)


PEERS = {  # of slopes (True) or values: name, what it is imported from, how it is run
    True: (
        ("kriging, values only", "sklearn", kriging),
        ("kriging of SMT, values only", "smt", smt_krg),
        ("GEKPLS of SMT", "smt", smt_gekpls),
        ("JENN", "jenn", jenn_net),
    ),
    False: (
        ("LightGBM linear_tree", "lightgbm", lightgbm_linear),
        ("Cubist", "cubist", cubist),
        ("LinearForest", "lineartree", linear_forest),
        ("adaXT", "adaXT", adaxt),
        ("kriging", "sklearn", kriging),
    ),
}


def measure(run, noise, name):
    """(normalised RMSE, processor seconds) of one model on one function; NaN if it does not apply."""
    *train, truth = task(name, noise)
    start = process_time()
    with warnings.catch_warnings(), redirect_stdout(StringIO()):
        warnings.simplefilter("ignore")  # of peers, about their bounds and iterations; some print matrices
        try:
            prediction = run(*train)
        except NotApplicableError:
            return np.nan, np.nan
    return nrmse(truth, prediction), process_time() - start


def errors(slopes, noise, procs):
    """{model: [(normalised RMSE, seconds) of every function]}"""
    runs = {"ours": with_slopes if slopes else without_slopes, "RandomForest": random_forest}
    runs |= {name: run for name, module, run in PEERS[slopes] if importlib.util.find_spec(module)}
    jobs = [delayed(measure)(run, noise, name) for run in runs.values() for name in FUNCTIONS]
    found = iter(Parallel(procs)(jobs))
    return {name: np.array([next(found) for _ in FUNCTIONS]) for name in runs}


def function_figures(section, slopes, noise, target, procs):
    found = errors(slopes, noise, procs)
    error = {name: lines[:, 0] for name, lines in found.items()}
    ratio = error["RandomForest"] / error["ours"]
    title = f"RandomForest's error / ours, {ROWS} rows{', 10 % noise' if noise else ''}"
    curved = np.array([name not in QUADRATIC for name in FUNCTIONS])
    beside = ", ".join(f"{name} {value:.1e}" for name, value in zip(FUNCTIONS, error["ours"], strict=True))
    out = [
        Figure(section, f"{title}: geometric mean", gmean(ratio), target and (">=", target), beside),
        Figure(section, f"{title}, each at most {CAP:g}", gmean(np.minimum(ratio, CAP))),
        Figure(section, f"{title}, not quadratic", gmean(ratio[curved]), None, f"least {ratio.min():.1f}"),
    ]
    for name in list(error)[2:]:
        against = error["ours"] / error[name]
        wanted = ("<=", 1.0) if (not slopes and "kriging" not in name) or (name == "JENN" and not noise) else None
        done = ~np.isnan(against)
        time = found[name][done, 1].mean()
        beside = f"{gmean(against[done & curved]):.3g} where not quadratic; it takes {time:.1f} s, "
        beside += f"ours {found['ours'][:, 1].mean():.1f} s; ours lower on {np.sum(against < 1)} of {done.sum()}"
        title = f"our error / that of {name}{', 10 % noise' if noise else ''}"
        out.append(Figure(section, title, gmean(against[done]), wanted, beside))
    if slopes and noise:
        best = np.nanmin(list(error.values())[2:], axis=0)
        title = "our error / the best peer's on each function, 10 % noise"
        out.append(Figure(section, title, gmean(error["ours"] / best), ("<=", 1.5)))
    return out


def left_out(section, slopes):
    missing = sorted({module for _, module, _ in PEERS[slopes] if not importlib.util.find_spec(module)})
    if missing:
        print(f"{section}: left out, not installed: {', '.join(missing)}")


def slopes(procs=1):
    """Errors where slopes are given, and seconds to fit beside kriging."""
    section = "forest_slopes"
    left_out(section, True)
    for noise, target in ((0.0, 20.0), (0.1, 7.0)):
        yield from function_figures(section, True, noise, target, procs)
    yield from kriging_figures(section)


def kriging_figures(section, rows=4000, few=1000):
    """Processor seconds to fit; kriging's at ``rows`` from those of one likelihood, as often as fewer rows take."""
    plain = GaussianProcessRegressor.log_marginal_likelihood

    class Counted(GaussianProcessRegressor):
        def log_marginal_likelihood(self, *args, **parameters):
            calls.append(1)
            return plain(self, *args, **parameters)

    for noise in (0.0, 0.1):
        X, y, dydx, _, _ = task("Friedman 1", noise, rows)
        seconds = {}
        for name, given in (("values", None), ("slopes", dydx)):
            start = process_time()
            GradientForestRegressor(random_state=0).fit(X, y, given)
            seconds[name] = process_time() - start
        X, model = StandardScaler().fit_transform(X), kriging_model(X.shape[1], normalize_y=True)
        calls = []
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fitted = Counted(**model.get_params(deep=False)).fit(X[:few], y[:few])
        single = model.set_params(kernel=fitted.kernel_, optimizer=None).fit(X, y)
        start = process_time()
        single.log_marginal_likelihood(single.kernel_.theta, eval_gradient=True)
        one = process_time() - start
        for name, value in seconds.items():
            beside = f"ours {value:.1f} s; {len(calls)} likelihoods (as at {few} rows) of {one:.1f} s each"
            title = f"kriging's time to fit {rows} rows / ours, {name}{', 10 % noise' if noise else ''}"
            yield Figure(section, title, len(calls) * one / value, (">=", 50.0), beside)


def values(procs=1):
    """Errors on the same functions without slopes."""
    left_out("forest_values", False)
    for noise, target in ((0.0, 3.0), (0.1, None)):
        yield from function_figures("forest_values", False, noise, target, procs)


def table_fold(path, fold):
    """(table, name, R2, seconds) of one fold, and whether each held-out value lies in its 90 % interval."""
    X, y, train, test = kept(path, fold)
    start = process_time()
    forest = GradientForestRegressor(random_state=0).fit(X[train], y[train])
    seconds = process_time() - start
    prediction, std = forest.predict(X[test], return_std=True)
    inside = np.abs(prediction - y[test]) <= 1.645 * std
    return (path.stem, "GradientForest", max(-1.0, r2_score(y[test], prediction)), seconds), inside


def tables(directory, peers=None, procs=1):
    """Mean rank and R2 on tables, as bench_tables.py; coverage of intervals."""
    section = "forest_tables"
    paths = sorted(Path(directory).glob("*.csv"), key=lambda path: -path.stat().st_size)
    if not paths:
        raise FileNotFoundError(f"--tables {directory}: no CSV file in there.")
    found = Parallel(procs)(delayed(table_fold)(path, fold) for path in paths for fold in range(5))
    names = [path.stem for path in paths]
    results = [line for line, _ in found]
    if peers:
        results += read_peers(peers, names)
    else:
        jobs = (delayed(measure_table)(path, fold, SKLEARN) for path in paths for fold in range(5))
        results += [line for lines in Parallel(procs)(jobs) for line in lines]
    yield from compare(section, "GradientForest", results, names, None)
    inside = {name: np.concatenate([i for (table, *_), i in found if table == name]) for name in names}
    pooled = np.concatenate(list(inside.values()))
    yield Figure(section, "held-out rows in their 90 % interval", pooled.mean(), (">=", 0.88), f"{len(pooled)} rows")
    yield Figure(section, "the same, upper limit", pooled.mean(), ("<=", 0.92))
    deviation = {name: (i.mean() - 0.9) / np.sqrt(0.09 / len(i)) for name, i in inside.items()}
    beside = ", ".join(f"{name} {inside[name].mean():.3f} ({z:+.1f})" for name, z in deviation.items())
    title = "farthest table from 90 %, in binomial standard deviations"
    yield Figure(section, title, max(map(abs, deviation.values())), ("<=", 3.0), beside)
