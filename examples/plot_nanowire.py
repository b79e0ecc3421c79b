"""Grains of a wire
================

Grains of a wire that is pulled: what a model learned from a hundred of them makes of grains it has never seen.

The trajectories come from the package's own simulation. Beside the propagator stands what one would try first: a random
forest of the rates of stress, density and Bunge angles as they stand in the record, stepped by explicit Euler.
"""

import argparse
from pathlib import Path
from time import perf_counter

import matplotlib.pyplot as plt
import numpy as np
from common import BLACK, BLUE, FIGURES, ORANGE, save
from scipy.spatial.transform import Rotation
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import RandomForestRegressor
from sklearn.preprocessing import StandardScaler
from triangle import draw, project

from skmerge import PlasticityPropagator, crystal

STRAIN = np.r_[np.linspace(0, 0.002, 21), np.linspace(0.004, 0.2, 99)]  # the knee lies below 0.001
SHOWN = 3


def plain_forest(state):
    """A random forest of the rates from each record to the next, raw angles among the features."""
    forest = RandomForestRegressor(50, random_state=0)
    forest = TransformedTargetRegressor(forest, transformer=StandardScaler(), check_inverse=False)
    rates = np.diff(state, axis=1) / np.diff(STRAIN)[:, None]
    model = PlasticityPropagator(forest, integrator="euler")
    return model.fit(state[:, :-1].reshape(-1, 5), rates.reshape(-1, 5))


def misorientation(state, truth):
    """Degrees between the lattices at the end of paths (n_steps, n_grains, 5)."""
    one, other = (Rotation.from_euler("ZXZ", s[-1, :, 2:]) for s in (state, truth))
    return np.degrees((one.inv() * other).magnitude())


def report(name, state, truth, seconds):
    stress, density = np.sqrt(np.mean((state[-1, :, :2] / truth[-1, :, :2] - 1) ** 2, axis=0))
    turned = misorientation(state, truth)
    print(
        f"   {name:14s} final stress {stress:7.2%}, density {density:7.2%}, lattice {turned.mean():6.3f} degrees "
        f"(worst {turned.max():.2f}), {seconds / (truth[1:, :, 0].size) * 1e6:6.1f} microseconds per grain and step"
    )


def nanowire(out, n_train, n_test):
    angles = Rotation.random(n_train + n_test, random_state=0)
    state = crystal.simulate(angles, STRAIN)
    train, truth = state[:n_train], state[n_train:].transpose(1, 0, 2)
    models = (
        ("random forest", plain_forest(train), ORANGE),
        ("propagator", PlasticityPropagator(orientation="bunge", random_state=0).fit_trajectories(STRAIN, train), BLUE),
    )
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(12.6, 4.2), layout="constrained")
    print(f"Trained on {n_train} grains; {n_test} others, pulled to a strain of {STRAIN[-1]}")
    lines = [("simulation", truth, BLACK, "-", 3.5)]
    for name, model, color in models:
        start = perf_counter()
        found = model.propagate(truth[0], STRAIN)
        report(name, found, truth, perf_counter() - start)
        lines.append((name, found, color, "--" if color == BLUE else "-", 1.6))
    shown = np.argsort(truth[-1, :, 0])[np.linspace(0, n_test - 1, SHOWN).astype(int)]  # from soft to hard
    for name, path, color, style, width in lines:
        alpha = 0.35 if color == BLACK else 1.0
        left.plot(STRAIN, path[:, shown, 0], style, color=color, lw=width, alpha=alpha)
        left.plot([], [], style, color=color, lw=width, alpha=alpha, label=name)
        middle.semilogy(STRAIN, path[:, shown, 1], style, color=color, lw=width, alpha=alpha)
        for trace in project(path[:, :, 2:]).transpose(1, 2, 0):
            right.plot(*trace, style, color=color, lw=width, alpha=alpha)
            right.plot(*trace[:, -1], "o", color=color, ms=2 * width, alpha=alpha, mec="none")
    left.set(xlabel="strain", ylabel="stress, MPa")
    left.set_title(f"{SHOWN} grains that were not trained", fontsize=11)
    left.legend(frameon=False, fontsize=9.5)
    middle.set(xlabel="strain", ylabel="dislocation density, 1/m$^2$")
    middle.set_title("their dislocations", fontsize=11)
    for axes in (left, middle):
        axes.spines[["top", "right"]].set_visible(False)
    draw(right, f"the axis of all {n_test} in the crystal; dots: the end")
    save(figure, out, "nanowire.png")


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=FIGURES, help="directory of the figure")
    parser.add_argument("--train", type=int, default=100, help="grains to learn from")
    parser.add_argument("--test", type=int, default=12, help="others to predict")
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    nanowire(options.out, options.train, options.test)


if __name__ == "__main__":
    main()
