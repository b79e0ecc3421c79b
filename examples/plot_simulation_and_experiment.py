"""Simulations, experiments and a law
==================================

Many cheap simulations, six experiments and one law: what each adds.

The strength of a nickel alloy over temperature. Experiments are few, of samples of different grain sizes. Simulations
are of single crystals, so without grain boundaries; they lie too low, by more when hot, and scatter. The law is
Hall-Petch: boundaries add 800 MPa / sqrt(grain size in micrometres). Asked for is the strength at grains of 20.
"""

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from common import BLACK, BLUE, FIGURES, GREY, VERMILLION, save

from skmerge import MergedNetImputer

N_SIMULATIONS, GRAIN = 150, 20.0


def crystal_strength(T):
    """Without boundaries: rises to a peak near 700 C, as that of gamma prime does, then falls."""
    return 600 + 250 * np.exp(-(((T - 700) / 130) ** 2)) - 0.15 * T - 500 / (1 + np.exp((950 - T) / 30))


def boundaries(table):
    """Hall-Petch, from the columns by number: T, grain, simulated, strength. Simulated crystals have none."""
    return np.where(table[:, 2] == 1, 0.0, 800 / np.sqrt(table[:, 1]))


def make(seed=2):
    rng = np.random.default_rng(seed)
    T = np.append([50, 250, 480, 650, 800, 980.0], rng.uniform(20, 1050, N_SIMULATIONS))
    simulated = np.arange(len(T)) >= 6
    grain = np.where(simulated, np.nan, np.resize([60, 6, 150, 12, 40, 9.0], len(T)))
    table = pd.DataFrame({"T": T, "grain": grain, "simulated": simulated.astype(float)})
    truth = crystal_strength(T) + boundaries(table.to_numpy())
    table["strength"] = np.where(simulated, 0.9 * truth - 40 - 0.04 * T + 15 * rng.normal(size=len(T)),
                                 truth + 5 * rng.normal(size=len(T)))  # fmt: skip
    return table


def ways(table):
    """(what is known, rows, options of the imputer)."""
    experiments, law = table[table.simulated == 0], {"strength": boundaries}
    return [
        ("six experiments", experiments, {}),
        ("experiments and law", experiments, {"relations": law}),
        ("simulations", table[table.simulated == 1].assign(grain=GRAIN), {}),
        ("simulations taken for experiments", table, {"relations": law}),
        ("experiments and simulations", table, {"source": "simulated"}),
        ("all three", table, {"source": "simulated", "relations": law}),
    ]


def predict(rows, given, T):
    """Strength at the temperatures T and half the width of the intervals that should hold 90 %."""
    ask = pd.DataFrame({"T": T, "grain": GRAIN, "simulated": float(rows.simulated.min()), "strength": np.nan})
    model = MergedNetImputer(["strength"], n_estimators=0, random_state=0, **given).fit(rows)
    filled, std = model.transform(ask, return_std=True)
    return np.asarray(filled)[:, 3], 1.645 * std[:, 3]


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=FIGURES, help="directory of the figure")
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    table, T = make(), np.linspace(30, 1040, 102)
    truth = crystal_strength(T) + 800 / np.sqrt(GRAIN)
    figure, panels = plt.subplots(2, 3, figsize=(12.6, 6.9), layout="constrained", sharex=True, sharey=True,
                                  subplot_kw={"ylim": (0, 1250)})  # fmt: skip
    for axes, (name, rows, given) in zip(panels.ravel(), ways(table), strict=True):
        value, width = predict(rows, given, T)
        error, held = np.sqrt(np.mean((value - truth) ** 2)), np.mean(np.abs(value - truth) < width)
        print(f"{name:40} error {error:5.1f} MPa, 90 % intervals +- {width.mean():5.1f} hold {held:.0%}")
        for source, colour, label in ((1, GREY, "simulations"), (0, VERMILLION, "experiments, other grains")):
            known = rows[rows.simulated == source]
            axes.plot(known["T"], known.strength, "o", color=colour, ms=3 if source else 6, label=label)
        axes.fill_between(T, value - width, value + width, color=BLUE, alpha=0.2, lw=0)
        axes.plot(T, value, color=BLUE, lw=1.8, label="predicted at 20 um, 90 %")
        axes.plot(T, truth, "--", color=BLACK, lw=1, label="truth at 20 um")
        axes.set_title(f"{name}: off by {error:.0f} MPa", fontsize=10.5)
        axes.spines[["top", "right"]].set_visible(False)
    figure.legend(*panels[1, 2].get_legend_handles_labels(), loc="outside upper center", ncols=4, frameon=False)
    figure.supxlabel("temperature, C")
    figure.supylabel("strength, MPa")
    save(figure, options.out, "simulation_and_experiment.png")
    for kind in zip(*(ways(make(seed))[4:] for seed in range(5)), strict=True):
        found = [predict(rows, given, T) for _, rows, given in kind]
        held = np.mean([np.abs(value - truth) < width for value, width in found])
        print(f"{kind[0][0]}: 90 % intervals hold {held:.0%} in five tables")


if __name__ == "__main__":
    main()
