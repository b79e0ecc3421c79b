"""What the displays show
======================

The law of a molecule's vibration, learned from noisy rows, and the laws among which it was chosen; grains of a wire
that were not trained; what a forest makes of the vibration without noise, and how much more those predictions are
worth of which it is surer; diabetes patients whose records have gaps, and how a forest parts two of their features.
"""

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from common import FIGURES, save
from scipy.spatial.transform import Rotation
from sklearn.datasets import load_diabetes

from skmerge import GradientForestRegressor, MergedNetRegressor, PlasticityPropagator, crystal
from skmerge.datasets import load_formulae
from skmerge.plot import (
    ConfidenceCurveDisplay,
    LawDisplay,
    LawsDisplay,
    MissingnessDisplay,
    ParityDisplay,
    PartitionDisplay,
    TrajectoryDisplay,
)

STRAIN = np.r_[np.linspace(0, 0.002, 21), np.linspace(0.004, 0.1, 49)]


def vibration(law, parity, sure):
    formula = {formula.name: formula for formula in load_formulae()}["diatomic_omega"]
    X, y = formula.sample(200, noise=0.1, random_state=0)
    net = MergedNetRegressor(random_state=0).fit(pd.DataFrame(X, columns=formula.feature_names), y)
    LawDisplay.from_estimator(net, ax=law)
    forest = GradientForestRegressor(random_state=0).fit(*formula.sample(200, random_state=0))
    new = formula.sample(200, random_state=1)
    ParityDisplay.from_estimator(forest, *new, name="forest", ax=parity)
    ConfidenceCurveDisplay.from_estimator(forest, *new, n_points=10, name="forest", ax=sure)
    return LawsDisplay.from_estimator(net).figure_


def grains(axes):
    state = crystal.simulate(Rotation.random(80, random_state=0), STRAIN)
    model = PlasticityPropagator(orientation="bunge", random_state=0).fit_trajectories(STRAIN, state[:50])
    TrajectoryDisplay.from_estimator(model, STRAIN, state[50:], ax=axes)


def patients(gaps, partition):
    X, y = load_diabetes(return_X_y=True, as_frame=True, scaled=False)
    X = X.mask(np.random.default_rng(0).random(X.shape) < np.linspace(0, 0.5, X.shape[1]))
    MissingnessDisplay.from_data(X, sort="rows", ax=gaps)
    two = X[["bmi", "bp"]]
    forest = GradientForestRegressor(5, order=1, max_leaf_nodes=6, random_state=0).fit(two, y)
    PartitionDisplay.from_estimator(forest, two, y.rename("progression"), ax=partition)


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=FIGURES, help="directory of the figure")
    out = parser.parse_args(arguments).out
    out.mkdir(parents=True, exist_ok=True)
    figure, ((law, path, parity), (gaps, partition, sure)) = plt.subplots(2, 3, figsize=(13, 8), layout="constrained")
    laws = vibration(law, parity, sure)
    grains(path)
    patients(gaps, partition)
    for axes in (law, parity, path, sure):
        axes.spines[["top", "right"]].set_visible(False)
    save(figure, out, "displays.png")
    save(laws, out, "law_list.png")


if __name__ == "__main__":
    main()
