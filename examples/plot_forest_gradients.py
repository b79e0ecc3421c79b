"""A forest whose leaves have slopes follows a curve that ordinary forests climb in stairs.

Figure 1: the talk's four points of a parabola. Figure 2: a plane cut into sixteen leaves of order 0, 1 and 2.
"""

import argparse
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from common import BLACK, BLUE, GREEN, ORANGE, nrmse, save
from sklearn.ensemble import RandomForestRegressor

from skmerge import GradientForestRegressor, MergedNetRegressor


def tree(order, **parameters):
    return GradientForestRegressor(1, order=order, bootstrap=False, random_state=0, **parameters)


def parabola(out):
    X = np.arange(4.0)[:, None]
    y, dydx = X[:, 0] ** 2, 2 * X
    constants, lines = tree(0, max_leaf_nodes=2).fit(X, y), tree(1, min_samples_leaf=2).fit(X, y)
    models = (
        ("random forest", RandomForestRegressor(random_state=0).fit(X, y), ORANGE, "-"),
        ("net", MergedNetRegressor(2, simplify=False, random_state=0).fit(X, y), GREEN, "-"),
        ("gradient tree, slopes estimated", lines, BLUE, "--"),
        ("gradient tree, slopes known", tree(2).fit(X, y, dydx), BLUE, "-"),
    )
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.6, 4.2), sharey=True, layout="constrained")
    print("1. The parabola at x = 0, 1, 2, 3")
    for name, model, color, line, where in (
        ("squared error", constants, ORANGE, "-", (2.42, 6.6, "right")),
        ("lines on either side", lines, BLUE, "--", (1.42, 4.6, "right")),
    ):
        cut = model.nodes_[0]["threshold"][0]
        left_over = np.sum((model.predict(X) - y) ** 2)
        print(f"   {name:22s} cuts at {cut}, squares left over {left_over:.1f} of {np.sum((y - y.mean()) ** 2):.0f}")
        for x in (np.linspace(-0.2, cut - 1e-9, 50), np.linspace(cut + 1e-9, 3.2, 50)):
            left.plot(x, model.predict(x[:, None]), line, color=color, lw=2)
        left.axvline(cut, color=color, lw=1, ls=":")
        text = f"{name}:\ncut at {cut}, {left_over:.1f} left over"
        box = {"facecolor": "white", "edgecolor": "none", "pad": 1}
        left.text(*where[:2], text, color=color, ha=where[2], fontsize=10, bbox=box)
    x = np.linspace(-0.3, 3.3, 721)
    for name, model, color, line in models:
        right.plot(x, model.predict(x[:, None]), line, color=color, lw=2, label=name)
        print(f"   {name:33s} error between the points {nrmse(model.predict(x[:, None]), x**2):7.1%}")
    for axes, title in ((left, "where the first cut falls"), (right, "what is predicted in between")):
        axes.plot(X[:, 0], y, "o", color=BLACK, ms=7, zorder=3, label="training points")
        axes.set(xlabel="x", xticks=range(4), xlim=(-0.3, 3.3), ylim=(-1.2, 11.2))
        axes.set_title(title, fontsize=11)
        axes.spines[["top", "right"]].set_visible(False)
    left.set_ylabel("y")
    right.legend(frameon=False, fontsize=9.5)
    save(figure, out, "forest_parabola.png")


def cells(nodes, axes, box):
    """Draw the leaves of a tree of two features; box is ((low, high), (low, high))."""
    for side in recurse(nodes, 0, box):
        (left, right), (bottom, top) = side
        axes.plot([left, right, right, left, left], [bottom, bottom, top, top, bottom], color="white", lw=0.9)


def recurse(nodes, i, box):
    if nodes["feature"][i] < 0:
        return [box]
    j, cut, child = nodes["feature"][i], nodes["threshold"][i], nodes["child"][i]
    sides = [list(box), list(box)]
    sides[0][j], sides[1][j] = (box[j][0], cut), (cut, box[j][1])
    return recurse(nodes, child, sides[0]) + recurse(nodes, child + 1, sides[1])


def plane(out, n_leaves=16):
    X = np.random.default_rng(0).uniform(0, 1, (400, 2))

    def wave(X):
        return np.sin(2 * np.pi * X[:, 0] * (0.4 + X[:, 1])) + X[:, 1]

    c = 2 * np.pi * np.cos(2 * np.pi * X[:, 0] * (0.4 + X[:, 1]))
    dydx = np.column_stack([c * (0.4 + X[:, 1]), c * X[:, 0] + 1])
    grid = np.linspace(0, 1, 241)
    Z = np.stack(np.meshgrid(grid, grid), axis=2).reshape(-1, 2)
    truth = wave(Z)
    shown = [("truth", None, truth)]
    for order, words in ((0, "means"), (1, "planes"), (2, "quadratics")):
        model = tree(order, max_leaf_nodes=n_leaves, min_samples_leaf=5).fit(X, wave(X), dydx)
        shown.append((f"order {order}: {words}", model.nodes_[0], model.predict(Z)))
    figure, axes = plt.subplots(1, 4, figsize=(11.5, 3.5), sharex=True, sharey=True, layout="constrained")
    print(f"2. {n_leaves} leaves, 400 rows with their slopes")
    for part, (name, nodes, values) in zip(axes, shown, strict=True):
        limits = {"vmin": truth.min(), "vmax": truth.max()}
        image = part.pcolormesh(grid, grid, values.reshape(241, 241), **limits, rasterized=True)
        if nodes is not None:
            cells(nodes, part, ((0, 1), (0, 1)))
            print(f"   {name:22s} error {nrmse(values, truth):6.1%}")
            name += f"\nerror {nrmse(values, truth):.1%}"
        part.set(xlabel="$x_1$", aspect="equal", xticks=(0, 0.5, 1), yticks=(0, 0.5, 1), xlim=(0, 1), ylim=(0, 1))
        part.set_title(name, fontsize=11)
    axes[0].plot(*X.T, ".", color="white", ms=2, alpha=0.6)
    axes[0].set_ylabel("$x_2$")
    figure.colorbar(image, ax=axes, label="y", shrink=0.85)
    save(figure, out, "forest_partition.png")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "figures", help="directory of the figures")
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    parabola(out)
    plane(out)
