"""What the displays show
======================

The law of a molecule's vibration, learned from noisy rows; grains of a wire that were not trained; and diabetes
patients whose records have gaps: what a forest that learned from others predicts of them, how it parts two of their
features, and how much more the predictions are worth of which it is surer.
"""

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from common import FIGURES, save
from scipy.spatial.transform import Rotation
from sklearn.datasets import load_diabetes
from sklearn.model_selection import train_test_split

from skmerge import GradientForestRegressor, MergedNetRegressor, PlasticityPropagator, crystal
from skmerge.datasets import load_formulae
from skmerge.plot import (
    ConfidenceCurveDisplay,
    LawDisplay,
    MissingnessDisplay,
    ParityDisplay,
    PartitionDisplay,
    TrajectoryDisplay,
)

STRAIN = np.r_[np.linspace(0, 0.002, 21), np.linspace(0.004, 0.1, 49)]


def vibration(axes):
    formula = {formula.name: formula for formula in load_formulae()}["diatomic_omega"]
    X, y = formula.sample(200, noise=0.1, random_state=0)
    net = MergedNetRegressor(random_state=0).fit(X, y)
    LawDisplay.from_estimator(net, feature_names=formula.feature_names, ax=axes)


def grains(axes):
    state = crystal.simulate(Rotation.random(80, random_state=0), STRAIN)
    model = PlasticityPropagator(orientation="bunge", random_state=0).fit_trajectories(STRAIN, state[:50])
    TrajectoryDisplay.from_estimator(model, STRAIN, state[50:], ax=axes)


def patients(gaps, partition, parity, sure):
    X, y = load_diabetes(return_X_y=True, as_frame=True, scaled=False)
    X = X.mask(np.random.default_rng(0).random(X.shape) < np.linspace(0, 0.5, X.shape[1]))
    MissingnessDisplay.from_data(X, sort="rows", ax=gaps)
    train, test, y_train, y_test = train_test_split(X, y, random_state=0)
    two = ["bmi", "bp"]
    forest = GradientForestRegressor(5, order=1, max_leaf_nodes=6, random_state=0).fit(train[two], y_train)
    PartitionDisplay.from_estimator(forest, train[two], y_train, ax=partition)
    forest = GradientForestRegressor(30, random_state=0).fit(train, y_train)
    ParityDisplay.from_estimator(forest, test, y_test, name="patients not trained", ax=parity)
    ConfidenceCurveDisplay.from_estimator(forest, test, y_test, n_points=10, ax=sure)


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=FIGURES, help="directory of the figure")
    out = parser.parse_args(arguments).out
    out.mkdir(parents=True, exist_ok=True)
    figure, ((law, path, parity), (gaps, partition, sure)) = plt.subplots(2, 3, figsize=(13, 8), layout="constrained")
    vibration(law)
    grains(path)
    patients(gaps, partition, parity, sure)
    for axes in (law, parity, path, sure):
        axes.spines[["top", "right"]].set_visible(False)
    save(figure, out, "displays.png")


if __name__ == "__main__":
    main()
