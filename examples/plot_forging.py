"""A forged polycrystal
====================

A polycrystal that is forged in uneven blows, pulled in between: mean stress and texture.

The propagator learns from single crystals, each on a path of its own with reversals, and then steps the grains of an
aggregate (all share the strain, as in `crystal.mean_stress`) along a path that none of them took.
"""

import argparse
from itertools import pairwise
from pathlib import Path
from time import perf_counter

import matplotlib.pyplot as plt
import numpy as np
from common import BLACK, BLUE, FIGURES, GREY, save
from scipy.spatial.transform import Rotation
from triangle import draw, project

from skmerge import PlasticityPropagator, crystal

TURNS = 0, -0.06, -0.03, -0.16, -0.15, -0.2, -0.13, -0.34, -0.33, -0.4  # strains at which the path turns
SHOWN = 300


def path_through(turns, step=2e-3, fine=1e-4):
    """Strains from turn to turn, each way beginning with 20 fine steps: the knee of every reversal is recorded."""
    path = [np.zeros(1)]
    for start, end in pairwise(turns):
        sign, length = np.sign(end - start), abs(end - start)
        path.append(start + sign * fine * np.arange(1, 21))
        path.append(start + sign * np.linspace(20 * fine, length, int(np.ceil((length - 20 * fine) / step)) + 1)[1:])
    return np.concatenate(path)


def training_paths(n, rng, n_turns=8):
    """Paths of single crystals: down to some -0.45 in steps back and forth, no two alike."""
    for _ in range(n):
        down, up = rng.uniform(0.03, 0.15, n_turns), rng.uniform(0.01, 0.08, n_turns)
        turns = np.cumsum(np.column_stack([-down, up]).ravel())
        yield path_through([0.0, *(turns if rng.random() < 0.7 else -0.3 * turns)])


def learn(n, rng):
    strain, state, group = [], [], []
    for i, path in enumerate(training_paths(n, rng)):
        strain.append(path)
        state.append(crystal.simulate(Rotation.random(1, random_state=i), path)[0])
        group.append(np.full(len(path), i))
    strain, state, group = map(np.concatenate, (strain, state, group))
    print(f"Trained on {n} crystals, {len(strain)} records")
    model = PlasticityPropagator(orientation="bunge", random_state=0)
    return model.fit_trajectories(strain, state, groups=group)


def forging(out, n_train, n_grains):
    model = learn(n_train, np.random.default_rng(0))
    strain = path_through(TURNS, 1.9e-3)  # no step longer than those trained
    grains = Rotation.random(n_grains, random_state=10**6)
    start = perf_counter()
    truth = crystal.simulate(grains, strain)
    between = perf_counter()
    found = model.propagate(truth[:, 0], strain).transpose(1, 0, 2)
    seconds = np.array([between - start, perf_counter() - between]) / (n_grains * (len(strain) - 1))
    stress = [crystal.mean_stress(s) for s in (truth, found)]
    error = np.sqrt(np.mean((stress[1] - stress[0]) ** 2)) / np.std(stress[0])
    one, other = (Rotation.from_euler("ZXZ", s[:, -1, 2:]) for s in (truth, found))
    turned = np.degrees((one.inv() * other).magnitude())
    print(f"   mean stress of {n_grains} grains on {len(strain)} records: error {error:.2%} of its spread")
    print(f"   lattice at the end: {turned.mean():.3f} degrees (worst {turned.max():.2f})")
    print(f"   microseconds per grain and step: simulation {1e6 * seconds[0]:.1f}, propagator {1e6 * seconds[1]:.2f}")
    figure, (left, before, after) = plt.subplots(1, 3, figsize=(12.6, 4.2), layout="constrained")
    left.plot(strain, stress[0], color=BLACK, lw=3.5, alpha=0.35, label="simulation")
    left.plot(strain, stress[1], "--", color=BLUE, lw=1.6, label="propagator")
    left.axhline(0, color=GREY, lw=0.6)
    left.set(xlabel="strain", ylabel="mean stress, MPa", xticks=np.arange(-0.4, 0.05, 0.1))
    left.set_title(f"{n_grains} grains, {len(TURNS) - 2} reversals", fontsize=11)
    left.legend(frameon=False, fontsize=9.5)
    left.spines[["top", "right"]].set_visible(False)
    for axes, step in ((before, 0), (after, -1)):
        axes.plot(*project(truth[:SHOWN, step, 2:]).T, "o", color=BLACK, ms=4, alpha=0.35, mec="none")
    after.plot(*project(found[:SHOWN, -1, 2:]).T, "o", mfc="none", mec=BLUE, ms=5, mew=0.7)
    draw(before, "the axis in the crystals: before")
    draw(after, "after; circles: propagator")
    save(figure, out, "forging.png")


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=FIGURES, help="directory of the figure")
    parser.add_argument("--train", type=int, default=150, help="crystals to learn from")
    parser.add_argument("--grains", type=int, default=1000, help="grains of the polycrystal")
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    forging(options.out, options.train, options.grains)


if __name__ == "__main__":
    main()
