"""One thread: rows predicted per second, seconds to MLPRegressor's best error, seconds per iteration against rows."""

import warnings
from functools import partial
from time import process_time

import numpy as np
from figures import Figure, nrmse
from scipy.optimize import minimize
from sklearn.neural_network import MLPRegressor
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from skmerge import MergedNetRegressor
from skmerge._ext import net_kernel, net_solver
from skmerge.datasets import load_formulae

NODES = 64


def least_seconds(calls, repeats=7):
    """Least time of every call; they take turns, so that a disturbance meets all of them."""
    best = dict.fromkeys(calls, np.inf)
    for _ in range(repeats):
        for name, call in calls.items():
            start = process_time()
            call()
            best[name] = min(best[name], process_time() - start)
    return best


def net_of(n_nodes, blend, X, y, rng):
    """A fitted MergedNetRegressor whose arrays are replaced by those of a wide net."""
    net = MergedNetRegressor(n_nodes=1, random_state=0).fit(X[:200], y[:200])
    shape = (1, 1, n_nodes)
    net.A_ = rng.normal(0, 0.3, (*shape, X.shape[1]))
    net.B_, net.C_, net.blend_ = rng.normal(size=shape), np.full(shape, 2.0), np.full(shape, blend)
    net.D_, net.estimator_weight_, net.sign_ = np.zeros((1, 1)), np.ones((1, 1)), np.zeros(net.A_.shape, bool)
    net.covariance_ = net._undetermined = []  # those of the law that was fitted
    return net


def predict_figures(n=100_000):
    """Time per row over that of MLPRegressor, both with 64 hidden units."""
    rng = np.random.default_rng(0)
    out = []
    for d in (10, 50):
        X = rng.uniform(0.5, 2.0, (n, d))
        y = X[:, 0] * X[:, 1]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            peer = {
                name: MLPRegressor(hidden_layer_sizes=(NODES,), activation=name, max_iter=1).fit(X[:2000], y[:2000])
                for name in ("tanh", "relu")
            }
        nets = {blend: net_of(NODES, blend, X, y, rng) for blend in (1.0, 0.0, 0.5)}
        seconds = least_seconds({key: partial(model.predict, X) for key, model in (nets | peer).items()})
        for blend in nets:
            title = f"predict, {d} inputs, {NODES} nodes, blend {blend:g}: time / MLPRegressor (tanh)"
            beside = f"{1e9 * seconds[blend] / n:.0f} ns a row; / relu {seconds[blend] / seconds['relu']:.2f}"
            out.append(Figure("speed", title, seconds[blend] / seconds["tanh"], ("<=", 1.0), beside))
    return out


class _Trace:
    """Test error after every epoch or iteration of a net, with the seconds it took."""

    def __init__(self):
        self.seconds, self.errors = [], []

    def add(self, seconds, error):
        self.seconds.append(seconds)
        self.errors.append(error)

    def best(self):
        """The best error, and the seconds until it was reached within 1 %."""
        best = min(self.errors)
        return best, self.seconds[next(i for i, error in enumerate(self.errors) if error <= 1.01 * best)]


def _mlp(**parameters):
    return MLPRegressor(hidden_layer_sizes=(NODES,), activation="tanh", alpha=1e-3, random_state=0, **parameters)


def _adam(X, y, X_test, y_test, epochs=300):
    net, trace, spent = _mlp(), _Trace(), 0.0
    for _ in range(epochs):
        start = process_time()
        net.partial_fit(X, y)
        spent += process_time() - start
        trace.add(spent, nrmse(y_test, net.predict(X_test)))
    return trace.best()


def _lbfgs(X, y, X_test, y_test):
    trace = _Trace()
    for iterations in (10, 25, 50, 100, 200, 400, 800):
        start = process_time()
        net = _mlp(solver="lbfgs", max_iter=iterations, max_fun=30_000).fit(X, y)
        trace.add(process_time() - start, nrmse(y_test, net.predict(X_test)))
    return trace.best()


def _ours(X, y, X_test, y_test):
    """Trace of searches for laws of ever more nodes; the last one chooses their number."""
    trace = _Trace()
    for n_nodes in (1, 2, 3, "auto"):
        start = process_time()
        net = MergedNetRegressor(n_nodes, random_state=0).fit(X, y)
        trace.add(process_time() - start, nrmse(y_test, net.predict(X_test)))
    return trace


def race_figures():
    """Seconds that MLPRegressor takes to its best test error over those of this net, on every other formula."""
    first, whole, lower = [], [], []
    for formula in load_formulae()[::2]:
        train, test = formula.sample(200, noise=0.05, random_state=0), formula.sample(2000, random_state=1)
        trace = _ours(*train, *test)
        scale_X, scale_y = StandardScaler().fit(train[0]), StandardScaler().fit(train[1][:, None])
        standardised = []
        for X, y in (train, test):
            standardised += [scale_X.transform(X), scale_y.transform(y[:, None])[:, 0]]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = [run(*standardised) for run in (_lbfgs, _adam)]
        # the solver that comes lower; where both come as low within a tenth, the quicker one
        lowest = min(best for best, _ in found)
        best, peer = min((item for item in found if item[0] <= 1.1 * lowest), key=lambda item: item[1])
        enough = [t for t, error in zip(trace.seconds, trace.errors, strict=True) if error <= best]
        first.append(peer / min(enough) if enough else 0.0)
        whole.append(peer / trace.seconds[-1] if trace.errors[-1] <= best else 0.0)
        lower.append(best / trace.errors[-1])
    title = "MLPRegressor's time to its best test error / ours to be as good"
    beside = f"as good on {np.count_nonzero(first)} of {len(first)} formulae"
    last = f"as good on {np.count_nonzero(whole)}; MLPRegressor's error / ours {np.median(lower):.1f}"
    return [
        Figure("speed", f"{title}, median", np.median(first), (">=", 5.0), beside),
        Figure("speed", "the same, our default fit to its end", np.median(whole), None, last),
    ]


def iteration_figures(sizes=(1_000, 10_000, 100_000, 1_000_000), d=10, n_nodes=10):
    """Seconds and seconds per row of one iteration; linear if the latter stay alike."""
    rng = np.random.default_rng(0)
    X = rng.uniform(0.5, 2.0, (max(sizes), d))
    y = X[:, 0] * X[:, 1] / X[:, 2] + rng.normal(0, 0.1, len(X))
    sign = np.zeros((n_nodes, d), np.uint8)
    theta = np.append(np.hstack([rng.normal(0, 0.3, (n_nodes, d + 1)), np.full((n_nodes, 2), 0.5)]).ravel(), 0.0)
    geometry = np.ones(d), X.mean(axis=0), np.ones(d, np.uint8)
    bounds = np.full(len(theta), -30.0), np.full(len(theta), 30.0)
    bounds[0][:-1].reshape(n_nodes, -1)[:, -2:], bounds[1][:-1].reshape(n_nodes, -1)[:, -1] = 0.0, 1.0

    def marquardt(n, iterations):
        rows = net_solver.Rows(X[:n], y[:n], np.full(n, 1.0 / n), *geometry)
        *_, count, _ = net_solver.minimize(rows, sign, theta, *bounds, np.zeros(len(theta)), iterations, 0.0)
        return count + 1  # the first evaluation costs as much as an iteration

    def lbfgs(n, iterations):
        weight = np.full(n, 1.0 / n)

        def loss(theta):
            return net_kernel.loss_gradient(X[:n], y[:n], weight, *geometry, theta, sign)

        options = {"maxfun": iterations, "ftol": 0.0, "gtol": 0.0}
        pairs = np.stack(bounds, axis=1)
        return minimize(loss, theta, jac=True, method="L-BFGS-B", bounds=pairs, options=options).nfev

    out = []
    for name, run in (("Levenberg-Marquardt", marquardt), ("L-BFGS", lbfgs)):
        per_row = []
        for n in sizes:
            best = np.inf
            for _ in range(3 if n < 1e6 else 1):
                start = process_time()
                count = run(n, 6 if n >= 1e5 else 20)
                best = min(best, (process_time() - start) / count)
            per_row.append(best / n)
        beside = ", ".join(f"{n:.0e}: {1e9 * t:.0f} ns" for n, t in zip(sizes, per_row, strict=True))
        title = f"{name}, {len(theta)} parameters: time per row, 1e6 / 1e4 rows"
        out.append(Figure("speed", title, per_row[-1] / per_row[1], ("<=", 1.25), beside))
    return out


def figures():
    with threadpool_limits(1):
        return [*predict_figures(), *race_figures(), *iteration_figures()]
