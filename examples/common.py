"""What the parts of plot_laws.py share."""

from os.path import relpath
from pathlib import Path

import matplotlib
import numpy as np

from skmerge import MergedNetRegressor

matplotlib.use("Agg")  # figures go to files
BLUE, ORANGE, VERMILLION, GREEN, GREY, BLACK = "#0072B2", "#E69F00", "#D55E00", "#009E73", "#888888", "#000000"
ROWS, NOISE = 200, 0.05
FIGURES = Path(__file__).parent / "figures"


def nrmse(predicted, truth):
    return np.sqrt(np.mean((predicted - truth) ** 2)) / np.std(truth)


def save(figure, out, name):
    figure.savefig(out / name, dpi=130)  # left open: the gallery of the documentation shows it
    print(f"   figure: {relpath(out / name)}\n")


def both_nets(formula, noise=NOISE):
    """Additive and blended net on one formula: fitted nets, errors in range and extrapolated."""
    X, y = formula.sample(ROWS, noise=noise, random_state=0)
    inside = formula.sample(1000, random_state=1)
    outside = formula.sample(1000, random_state=2, extrapolate=True)
    nets = [MergedNetRegressor(blend=blend, random_state=0).fit(X, y) for blend in (1.0, "learn")]
    return nets, np.array([[nrmse(net.predict(Z), t) for net in nets] for Z, t in (inside, outside)])
