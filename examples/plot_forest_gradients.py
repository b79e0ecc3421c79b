"""A forest with slopes
====================

A forest whose leaves have slopes follows a curve that ordinary forests climb in stairs.

Figure 1: four points of a parabola with their slopes. Figure 2 (partition.py): a plane cut into sixteen leaves of
order 0, 1 and 2.
"""

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from common import BLACK, BLUE, FIGURES, GREEN, ORANGE, VERMILLION, nrmse, save
from partition import partition
from sklearn.ensemble import RandomForestRegressor

from skmerge import GradientForestRegressor, MergedNetRegressor


def forest(order, **parameters):
    return GradientForestRegressor(10, order=order, bootstrap=False, random_state=0, **parameters)


def parabola(out):
    X = np.arange(4.0)[:, None]
    y, dydx = X[:, 0] ** 2, 2 * X
    constants, lines = forest(0, max_leaf_nodes=2).fit(X, y), forest(1, min_samples_leaf=2).fit(X, y)
    models = (
        ("random forest", RandomForestRegressor(random_state=0).fit(X, y), ORANGE, "-"),
        ("net of one node", MergedNetRegressor(1, simplify=False, random_state=0).fit(X, y), GREEN, "-"),
        ("gradient forest, slopes estimated", lines, VERMILLION, "--"),
        ("gradient forest, slopes known", forest(2).fit(X, y, dydx), BLUE, "-"),
    )
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.6, 4.2), sharey=True, layout="constrained")
    print("1. The parabola at x = 0, 1, 2, 3")
    for name, model, color, line, height in (
        ("squared error", constants, ORANGE, "-", 7.2),
        ("a line on either side", lines, VERMILLION, "--", 4.2),
    ):
        cut = model.nodes_[0]["threshold"][0]
        left_over = np.sum((model.predict(X) - y) ** 2)
        print(f"   {name:22s} cuts at {cut}, squares left over {left_over:.1f} of {np.sum((y - y.mean()) ** 2):.0f}")
        for x in (np.linspace(-0.2, cut - 1e-9, 50), np.linspace(cut + 1e-9, 3.2, 50)):
            left.plot(x, model.predict(x[:, None]), line, color=color, lw=2)
        left.axvline(cut, color=color, lw=1, ls=":")
        words = f"{name}\ncuts at {cut},\n{left_over:.1f} left over"
        left.text(cut - 0.07, height, words, color=color, ha="right", fontsize=10)
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


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=FIGURES, help="directory of the figures")
    out = parser.parse_args(arguments).out
    out.mkdir(parents=True, exist_ok=True)
    parabola(out)
    partition(out)


if __name__ == "__main__":
    main()
