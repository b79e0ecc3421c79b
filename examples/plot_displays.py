"""The displays on real data and a simulation: law, parity, certainty, trajectories, a forest's partition, gaps.

Above: what orbits the Sun, Jupiter and Saturn tells of the moons of Uranus; the law behind it, of which exponents are
estimated; and grains of a wire that were not trained. Below: diabetes patients whose records have gaps.
"""

import argparse
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from common import save
from scipy.spatial.transform import Rotation
from sklearn.datasets import load_diabetes
from sklearn.model_selection import train_test_split

from skmerge import GradientForestRegressor, MergedNetRegressor, PlasticityPropagator, crystal
from skmerge.datasets import load_orbits
from skmerge.plot import (
    ConfidenceCurveDisplay,
    LawDisplay,
    MissingnessDisplay,
    ParityDisplay,
    PartitionDisplay,
    TrajectoryDisplay,
)

STRAIN = np.r_[np.linspace(0, 0.002, 21), np.linspace(0.004, 0.1, 49)]


def orbits(law, parity):
    data = load_orbits(as_frame=True)
    trained = data.central_bodies != "Uranus"
    net = MergedNetRegressor(simplify=False, random_state=0).fit(data.data[trained], data.target[trained])
    LawDisplay.from_estimator(net, ax=law)
    ParityDisplay.from_estimator(net, data.data[~trained], data.target[~trained], ax=parity, name="moons of Uranus")
    parity.set(xscale="log", yscale="log", xlabel="measured period, days", ylabel="predicted, bars hold 90 %")


def grains(axes):
    state = crystal.simulate(Rotation.random(80, random_state=0), STRAIN)
    model = PlasticityPropagator(orientation="bunge", random_state=0).fit_trajectories(STRAIN, state[:50])
    TrajectoryDisplay.from_estimator(model, STRAIN, state[50:], ax=axes)


def patients(gaps, partition, sure):
    X, y = load_diabetes(return_X_y=True, as_frame=True, scaled=False)
    X = X.mask(np.random.default_rng(0).random(X.shape) < np.linspace(0, 0.5, X.shape[1]))
    MissingnessDisplay.from_data(X, sort="rows", ax=gaps)
    train, test, y_train, y_test = train_test_split(X, y, random_state=0)
    two = ["bmi", "bp"]
    forest = GradientForestRegressor(5, order=1, max_leaf_nodes=6, random_state=0).fit(train[two], y_train)
    PartitionDisplay.from_estimator(forest, train[two], y_train, ax=partition)
    forest = GradientForestRegressor(random_state=0).fit(train, y_train)
    ConfidenceCurveDisplay.from_estimator(forest, test, y_test, n_points=10, ax=sure, name="patients not trained")


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "figures", help="directory of the figure")
    out = parser.parse_args(arguments).out
    out.mkdir(parents=True, exist_ok=True)
    figure, ((law, parity, path), (gaps, partition, sure)) = plt.subplots(2, 3, figsize=(13, 8), layout="constrained")
    orbits(law, parity)
    grains(path)
    patients(gaps, partition, sure)
    for axes in (law, parity, path, sure):
        axes.spines[["top", "right"]].set_visible(False)
    save(figure, out, "displays.png")


if __name__ == "__main__":
    main()
