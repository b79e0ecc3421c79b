"""Claim: with as many leaves, planes and quadratics follow a function of two features that means cannot."""

import matplotlib.pyplot as plt
import numpy as np
from common import nrmse, save

from skmerge import GradientForestRegressor
from skmerge.plot import PartitionDisplay


def partition(out):
    X = np.random.default_rng(0).uniform(0, 1, (400, 2))
    (x1, x2), grid = X.T, np.linspace(0, 1, 201)
    Z = np.stack(np.meshgrid(grid, grid), axis=2)
    y, truth = (np.sin(2 * np.pi * x[..., 0] * (0.4 + x[..., 1])) + x[..., 1] for x in (X, Z))
    cosine = 2 * np.pi * np.cos(2 * np.pi * x1 * (0.4 + x2))
    dydx = np.column_stack([cosine * (0.4 + x2), cosine * x1 + 1])
    figure, axes = plt.subplots(1, 4, figsize=(11.5, 3.2), sharex=True, sharey=True, layout="constrained")
    color = {"vmin": truth.min(), "vmax": truth.max(), "rasterized": True}
    image = axes[0].pcolormesh(grid, grid, truth, **color)
    axes[0].plot(x1, x2, ".", color="white", ms=2.5, alpha=0.7)
    axes[0].set(title="truth and 400 rows")
    print("2. Sixteen leaves, 400 rows with their slopes")
    for order, part in enumerate(axes[1:]):
        model = GradientForestRegressor(
            1, order=order, bootstrap=False, max_leaf_nodes=16, min_samples_leaf=5, random_state=0
        ).fit(X, y, dydx)
        values = PartitionDisplay.from_estimator(
            model, [[0, 0], [1, 1]], grid_resolution=len(grid), ax=part, colorbar=False, surface_kwargs=color
        ).response
        name = ("means", "planes", "quadratics")[order]
        print(f"   {name:22s} error {nrmse(values, truth):6.1%}")
        part.set_title(f"{name}: error {nrmse(values, truth):.1%}")
    for part in axes:
        part.set(xlabel="$x_1$", ylabel="", aspect="equal", xticks=(0, 0.5, 1), yticks=(0, 0.5, 1))
    axes[0].set_ylabel("$x_2$")
    figure.colorbar(image, ax=axes, label="y", shrink=0.85)
    save(figure, out, "forest_partition.png")
