"""Claim 3: one node fits one branch of a parabola in either form of the activation; two product nodes multiply."""

import matplotlib.pyplot as plt
import numpy as np
from common import BLACK, BLUE, GREEN, GREY, ORANGE, VERMILLION, nrmse, save
from scipy.optimize import least_squares

from skmerge import MergedNetRegressor, activation, activation_derivatives


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
