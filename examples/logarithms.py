"""Claim 4: least squares on logarithms fail on sums and on signs, where blended nodes do not."""

import matplotlib.pyplot as plt
import numpy as np
from common import BLACK, BLUE, NOISE, ORANGE, ROWS, VERMILLION, both_nets, nrmse, save

from skmerge.datasets import load_formulae


def log_log(X, y, Z):
    """One power law by least squares on logarithms of the rows that have some; its prediction at Z."""
    rows = (y > 0) & (X > 0).all(axis=1)
    T = np.column_stack([np.ones(rows.sum()), np.log(X[rows])])
    beta = np.linalg.lstsq(T, np.log(y[rows]), rcond=None)[0]
    return np.exp(beta[0] + np.log(np.maximum(np.abs(Z), 1e-300)) @ beta[1:]), rows.sum()


def logarithms(out):
    laws = {law.name: law for law in load_formulae()}
    titles = ("$x_1 x_2$, both positive", "$I\\,(R_1 + R_2)$", "$x_1 x_2$, both signs")
    print("4. Where logarithms fail: error / std(y) in range.")
    print(f"   {'':20s}{'noise':>7s}{'log-log':>10s}{'additive':>10s}{'blended':>10s}   rows with a logarithm")
    figure, axes = plt.subplots(3, 3, figsize=(8, 7.4), sharex="col", sharey="col", layout="constrained")
    for column, name in enumerate(("product_pos", "series_resistors", "product")):
        Z, truth = laws[name].sample(1000, random_state=1)
        for noise in (0.0, NOISE):
            X, y = laws[name].sample(ROWS, noise=noise, random_state=0)
            by_logs, used = log_log(X, y, Z)
            nets, _ = both_nets(laws[name], noise)
            values = [by_logs, *(net.predict(Z) for net in nets)]
            errors = [nrmse(v, truth) for v in values]
            print(f"   {name:20s}{noise:7.0%}" + "".join(f"{e:10.4f}" for e in errors) + f"{used:8d} of {ROWS}")
        ends = [truth.min(), truth.max()]
        for row, (value, error, color) in enumerate(zip(values, errors, (VERMILLION, ORANGE, BLUE), strict=True)):
            axis = axes[row, column]
            axis.plot(ends, ends, color=BLACK, lw=0.8)
            axis.plot(truth, value, ".", ms=3, color=color, rasterized=True)
            axis.text(0.95, 0.07, f"error {error:.3f}", transform=axis.transAxes, ha="right", fontsize=9)
            axis.locator_params(nbins=5)
            if column == 0:
                axis.set_ylabel(("log-log least squares", "additive net", "blended net")[row] + "\npredicted y")
        axes[0, column].set_title(titles[column], fontsize=11)
        axes[2, column].set_xlabel("true y")
    save(figure, out, "logarithms.png")
