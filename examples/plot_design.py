"""Which mixture to make next
==========================

The alloy most likely to be strong, tough and light all at once.

Strength and elongation of a made-up alloy of three elements are learned from 60 noisy measurements by forests, whose
errors go against each other; density follows from composition exactly. Left: where each target is likely to hold.
Right: where all hold, and five proposals.
"""

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from common import BLACK, BLUE, FIGURES, GREEN, GREY, ORANGE, VERMILLION, save

from skmerge import Designer, GradientForestRegressor

ELEMENTS = ["Al", "Ti", "Nb"]
TARGETS = {"strength": (980, None), "elongation": (17, None), "density": (None, 4.9)}
UNITS = {"strength": "MPa", "elongation": "%", "density": "g/cm3"}


def density(X):
    """Of a mixture of weight per cent, g/cm3."""
    return 100 / (X @ [1 / 2.70, 1 / 4.51, 1 / 8.57])


def truth(X):
    """Strength and elongation, which the forests do not know."""
    al, ti, nb = X.T / 100
    return np.column_stack([400 + 1800 * al * ti + 1600 * ti * nb + 500 * nb,
                            4 + 40 * ti * nb + 20 * (1 - al) * ti - 12 * al])  # fmt: skip


def measure(n, rng):
    """Compositions in weight per cent; strength and elongation, whose errors are correlated by -0.7."""
    X = 100 * rng.dirichlet([1, 2, 1], n)
    return X, truth(X) + rng.multivariate_normal([0, 0], [[1, -0.7], [-0.7, 1]], n) * [40, 1.0]


def corners(X):
    """Compositions as points of a triangle."""
    return X @ np.array([[0, 0], [1, 0], [0.5, np.sqrt(3) / 2]]) / 100


def draw(designer, models, designs, X, out, parts):
    grid = np.array([[a, t, parts - a - t] for a in range(parts + 1) for t in range(parts + 1 - a)]) * (100 / parts)
    at, probability = corners(grid), designer.probability(grid)
    figure, (left, right) = plt.subplots(1, 2, figsize=(10.4, 4.6), layout="constrained")
    for (name, (low, high)), color in zip(TARGETS.items(), (BLUE, ORANGE, GREEN), strict=True):
        one = Designer(models, {name: (low, high)}, inputs=ELEMENTS, bounds=[(0, 100)] * 3, total=100)
        # Density is exact and jumps from 0 to 1, which a grid would draw as stairs: its own contour is smooth.
        certain = 0.5 + high - density(grid) if name == "density" else one.probability(grid)
        left.tricontourf(*at.T, certain, [0.5, 10], colors=[color], alpha=0.35)
        words = f"at least {low:g}" if high is None else f"at most {high:g}"
        left.plot([], [], "s", ms=11, color=color, alpha=0.5, label=f"{name} {words} {UNITS[name]}")
    filled = right.tricontourf(*at.T, probability, np.linspace(0, max(probability.max(), 0.1), 11), cmap="Blues")
    figure.colorbar(filled, ax=right, label="probability that all targets hold", format="%.2f", shrink=0.8)
    right.plot(*corners(X).T, ".", color=GREY, ms=5, label="measured")
    right.plot(*corners(designs.X).T, "o", ms=9, mfc="none", mec=VERMILLION, mew=1.8, label="proposed")
    best = corners(designs.X[0])
    right.annotate("1", best, xytext=(-15, -11), textcoords="offset points", color=VERMILLION, weight="bold")
    for axes, title in ((left, "each target holds with probability above 0.5"), (right, "all targets")):
        axes.plot(*corners(100 * np.eye(3)[[0, 1, 2, 0]]).T, color=BLACK, lw=1)
        for name, (x, y), shift in zip(ELEMENTS, corners(100 * np.eye(3)), ((-12, -6), (12, -6), (0, 8)), strict=True):
            axes.annotate(name, (x, y), xytext=shift, textcoords="offset points", ha="center", fontsize=11)
        axes.set_title(title, fontsize=11, pad=14)
        axes.set(aspect="equal", xlim=(-0.08, 1.08), ylim=(-0.06, 0.95))
        axes.axis("off")
        axes.legend(frameon=False, fontsize=9, loc="upper left", bbox_to_anchor=(-0.08, 1.0))
    save(figure, out, "design.png")


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=FIGURES, help="where figures go")
    parser.add_argument("--parts", type=int, default=200, help="of an edge of the triangle, for the figure")
    options = parser.parse_args(arguments)
    out = options.out
    out.mkdir(parents=True, exist_ok=True)
    X, y = measure(60, np.random.default_rng(0))
    models = {
        "strength": GradientForestRegressor(random_state=0).fit(X, y[:, 0]),
        "elongation": GradientForestRegressor(random_state=0).fit(X, y[:, 1]),
        "density": density,
    }
    designer = Designer(
        models, TARGETS, inputs=ELEMENTS, bounds=[(0, 100)] * 3, total=100,
        y=np.column_stack([y, density(X)]), distance=0.05, random_state=0,
    )  # fmt: skip
    print(f"errors of strength and elongation correlate by {designer.correlation_[0, 1]:.2f}\n")
    designs = designer.suggest(5)
    print(designs)
    print("true strength and elongation of proposal 1:", *truth(designs.X)[0].round(1))
    draw(designer, models, designs, X, out, options.parts)


if __name__ == "__main__":
    main()
