"""Part 2 of plot_laws.py: formulae of physics, single nodes, and where logarithms fail."""

import matplotlib.pyplot as plt
import numpy as np
from joblib import Parallel, delayed
from scipy.optimize import least_squares

from skmerge import MergedNetRegressor, activation, activation_derivatives
from skmerge.datasets import load_formulae

BLUE, ORANGE, VERMILLION, GREEN, GREY, BLACK = "#0072B2", "#E69F00", "#D55E00", "#009E73", "#888888", "#000000"
ROWS, NOISE = 200, 0.05


def nrmse(predicted, truth):
    return np.sqrt(np.mean((predicted - truth) ** 2)) / np.std(truth)


def save(figure, out, name):
    figure.savefig(out / name, dpi=130)
    plt.close(figure)
    print(f"   figure: {out / name}\n")


def both_nets(formula, noise=NOISE):
    """Additive and blended net on one formula: fitted nets, errors in range and extrapolated."""
    X, y = formula.sample(ROWS, noise=noise, random_state=0)
    inside = formula.sample(1000, random_state=1)
    outside = formula.sample(1000, random_state=2, extrapolate=True)
    nets = [MergedNetRegressor(blend=blend, random_state=0).fit(X, y) for blend in (1.0, "learn")]
    return nets, np.array([[nrmse(net.predict(Z), t) for net in nets] for Z, t in (inside, outside)])


def formulae(out):
    laws = load_formulae()
    results = Parallel(n_jobs=-1)(delayed(both_nets)(law) for law in laws)
    error = np.array([error for _, error in results])  # law, in range or not, net
    print(f"2. {len(laws)} formulae, {ROWS} rows, {NOISE:.0%} noise: root mean squared error / std(y) of noise-free y.")
    print(f"   {'':20s}{'in range':^20s}{'extrapolated':^20s}")
    print(f"   {'':20s}" + f"{'additive':>10s}{'blended':>10s}" * 2 + "   law found by the blended net")
    for law, (nets, e) in zip(laws, results, strict=True):
        text = str(nets[1].formula(law.feature_names))
        text = text if len(text) <= 90 else text[:87] + "..."
        print(f"   {law.name:20s}" + "".join(f"{v:10.4f}" for v in e.ravel()) + f"   {text}")
    print(f"   {'median':20s}" + "".join(f"{v:10.4f}" for v in np.median(error, axis=0).ravel()))
    print("   Tafel's law and creep are exponentials: learned in range, not to be trusted beyond it.")

    order = np.argsort(error[:, 0, 1])
    figure, axes = plt.subplots(1, 2, figsize=(9.6, 5.6), sharex=True, sharey=True, layout="constrained")
    for axis, e, title in zip(axes, error.transpose(1, 0, 2), ("in range", "extrapolated"), strict=True):
        rows = np.arange(len(laws))
        axis.hlines(rows, e[order].min(axis=1), e[order].max(axis=1), color="#cccccc", lw=1.5, zorder=1)
        axis.plot(e[order, 0], rows, "s", color=ORANGE, label="additive net (blend=1)")
        axis.plot(e[order, 1], rows, "o", color=BLUE, label="blended net")
        axis.set(xscale="log", xlabel="root mean squared error / std(y)", title=title, yticks=rows)
        axis.set_yticklabels([laws[i].name for i in order])
        axis.grid(axis="x", color="#eeeeee")
        axis.set_axisbelow(True)
        axis.axvline(NOISE, color=BLACK, lw=1, ls=":", label="noise of the training y")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=3, frameon=False)
    save(figure, out, "formulae.png")


def fit_node(x, y, kind, n_nodes=1, starts=40):
    """Least squares of D + sum_i activation(A_i x + B_i, C_i) with C > 0, best of some starts.

    Both kinds start from the same curves. Returns the curve, the error and the condition number of the Jacobian.
    """

    def curve(p, x):
        A, B, C = p[:-1].reshape(3, n_nodes)
        return p[-1] + activation(A * x[:, None] + B, C, kind=kind).sum(axis=1)

    def jacobian(p):
        A, B, C = p[:-1].reshape(3, n_nodes)
        slope, plateau = activation_derivatives(A * x[:, None] + B, C, kind=kind)
        return np.column_stack([slope * x[:, None], slope, plateau, np.ones(len(x))])

    lowest = np.r_[np.full(2 * n_nodes, -np.inf), np.full(n_nodes, 1e-9), -np.inf]
    fits = []
    for seed in range(starts):
        rng = np.random.default_rng(seed)
        A, B, C = rng.normal(size=n_nodes), rng.normal(size=n_nodes), rng.uniform(0.3, 3, n_nodes)
        unit = C if kind == "outside" else 1.0  # C u / (|u| + C) = C v / (|v| + 1) with v = u / C
        start = np.r_[A / unit, B / unit, C, y.mean()]
        fits.append(least_squares(lambda p: curve(p, x) - y, start, jacobian, bounds=(lowest, np.inf), max_nfev=500))
    lowest_cost = min(fit.cost for fit in fits)
    # a mirror image may fit as well: the best conditioned of the equals
    condition, p = min((np.linalg.cond(fit.jac), tuple(fit.x)) for fit in fits if fit.cost < lowest_cost * (1 + 1e-4))
    p = np.array(p)
    return lambda x: curve(p, x), nrmse(curve(p, x), y), condition


def halves(X):
    """Half sum and half difference, of which x1 x2 = ((x1 + x2) / 2)^2 - ((x1 - x2) / 2)^2."""
    return np.column_stack([X[:, 0] + X[:, 1], X[:, 0] - X[:, 1]]) / 2


def two_node_product(X):
    """x1 x2 as two product nodes in the half sum and the half difference."""
    return MergedNetRegressor(n_nodes=2, blend=0.0, random_state=0).fit(halves(X), X[:, 0] * X[:, 1])


def nodes(out):
    print("3. One additive node on 1 - x + x^2: g(u; C) = C u / (|u| + C), and C u / (|u| + 1) with C outside only.")
    print(f"   {'':24s}{'error / std(y)':^22s}{'condition of the Jacobian':^28s}")
    print(f"   {'':24s}{'g(u; C)':>11s}{'outside':>11s}{'g(u; C)':>14s}{'outside':>12s}")
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.6, 4.1), layout="constrained")
    everywhere = np.linspace(-1, 2, 200)
    left.plot(everywhere, 1 - everywhere + everywhere**2, color=GREY, lw=6, alpha=0.4, label="$1 - x + x^2$")
    cases = (("rising branch [0.5, 2]", 0.5, 1, BLUE), ("all of [-1, 2]", -1, 1, VERMILLION), ("", -1, 2, GREEN))
    for name, low, n_nodes, color in cases:
        x = np.linspace(low, 2, 60)
        name = name or "two nodes, [-1, 2]"
        fits = {kind: fit_node(x, 1 - x + x**2, kind, n_nodes) for kind in ("saturating", "outside")}
        (g, e, c), (older, e_older, c_older) = fits.values()
        print(f"   {name:24s}{e:11.4f}{e_older:11.4f}{c:14.0f}{c_older:12.0f}")
        left.plot(x, g(x), color=color, lw=1.8, label=f"{name}, g(u; C)")
        left.plot(x, older(x), color=BLACK, lw=1.8, ls=(0, (1, 2.5)), label="C outside only" if n_nodes == 2 else None)
    print("   Both forms are the same curves, so one node, which only rises or only falls, fits one branch in either;")
    print(
        "   what C inside changes is how well the parameters are told apart, and so how far two nodes get in 500 steps."
    )
    left.set(xlabel="x", ylabel="y", title="additive nodes on a parabola")
    left.legend(frameon=False, fontsize=8.5)

    X = np.random.default_rng(0).uniform(-1, 1, (200, 2))
    product = two_node_product(X)
    additive = MergedNetRegressor(blend=1.0, random_state=0).fit(X, X[:, 0] * X[:, 1])
    print(f"   two product nodes, u = (x1 + x2)/2, v = (x1 - x2)/2:  {product.formula(['u', 'v'])}")
    x1 = np.linspace(-1.5, 1.5, 121)
    for i, x2 in enumerate((-1.0, -0.5, 0.5, 1.0)):
        Z = np.column_stack([x1, np.full_like(x1, x2)])
        hidden = "" if i == 0 else "_"  # one entry each in the legend
        right.plot(x1, x1 * x2, color=GREY, lw=6, alpha=0.4, label=f"{hidden}$x_1 x_2$")
        right.plot(x1, product.predict(halves(Z)), color=BLUE, lw=1.5, label=f"{hidden}two product nodes")
        right.plot(x1, additive.predict(Z), "--", color=ORANGE, lw=1.5, label=f"{hidden}additive net")
        right.annotate(f"$x_2 = {x2:g}$", (1.5, 1.5 * x2), xytext=(4, -3), textcoords="offset points", fontsize=9)
    right.axvspan(-1, 1, color="#f2f2f2", zorder=0)
    right.set(xlabel="$x_1$ (shaded: trained)", ylabel="y", xlim=(-1.6, 2.3), title="the product of two numbers")
    right.legend(frameon=False, fontsize=8.5, loc="upper center", bbox_to_anchor=(0.41, 1.0))
    save(figure, out, "nodes.png")


def log_log(X, y, Z):
    """One power law by least squares on logarithms of the rows that have some; its prediction at Z."""
    rows = (y > 0) & (X > 0).all(axis=1)
    T = np.column_stack([np.ones(rows.sum()), np.log(X[rows])])
    beta = np.linalg.lstsq(T, np.log(y[rows]), rcond=None)[0]
    return np.exp(beta[0] + np.log(np.maximum(np.abs(Z), 1e-300)) @ beta[1:]), rows.sum()


def logarithms(out):
    laws = {law.name: law for law in load_formulae()}
    titles = ("$x_1 x_2$, both positive", "$I\\,(R_1 + R_2)$", "$x_1 x_2$, both signs")
    print("4. Where logarithms fail: error / std(y) in range.")
    print(f"   {'':20s}{'noise':>7s}{'log-log':>10s}{'additive':>10s}{'blended':>10s}   rows with a logarithm")
    figure, axes = plt.subplots(3, 3, figsize=(8, 7.4), sharex="col", sharey="col", layout="constrained")
    for column, name in enumerate(("product_pos", "series_resistors", "product")):
        Z, truth = laws[name].sample(1000, random_state=1)
        for noise in (0.0, NOISE):
            X, y = laws[name].sample(ROWS, noise=noise, random_state=0)
            by_logs, used = log_log(X, y, Z)
            nets, _ = both_nets(laws[name], noise)
            values = [by_logs, *(net.predict(Z) for net in nets)]
            errors = [nrmse(v, truth) for v in values]
            print(f"   {name:20s}{noise:7.0%}" + "".join(f"{e:10.4f}" for e in errors) + f"{used:8d} of {ROWS}")
        ends = [truth.min(), truth.max()]
        for row, (value, error, color) in enumerate(zip(values, errors, (VERMILLION, ORANGE, BLUE), strict=True)):
            axis = axes[row, column]
            axis.plot(ends, ends, color=BLACK, lw=0.8)
            axis.plot(truth, value, ".", ms=3, color=color, rasterized=True)
            axis.text(0.95, 0.07, f"error {error:.3f}", transform=axis.transAxes, ha="right", fontsize=9)
            axis.locator_params(nbins=5)
            if column == 0:
                axis.set_ylabel(("log-log least squares", "additive net", "blended net")[row] + "\npredicted y")
        axes[0, column].set_title(titles[column], fontsize=11)
        axes[2, column].set_xlabel("true y")
    save(figure, out, "logarithms.png")
