"""Fill a sparse table
===================

Fill a sparse table of alloys and say how surely: one measured property tells about the others.

A fifth of what was measured is hidden and predicted from the rest of the table. Without --table the alloys are made up
(alloys.py); with it, name the columns to learn as properties::

    python examples/plot_sparse_alloys.py --table FILE.csv --properties yield UTS hardness
"""

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from alloys import PROPERTIES, make_alloys
from common import BLUE, FIGURES, GREY, ORANGE, VERMILLION, save
from read_table import TableError, plain, read_frame
from sklearn.ensemble import RandomForestRegressor

from skmerge import MergedNetImputer
from skmerge.metrics import interval_coverage, observed_r2_score
from skmerge.plot import ConfidenceCurveDisplay, MissingnessDisplay, ParityDisplay


def by_forest(train, truth, properties):
    """Each property from the numeric descriptors alone, as is usually done."""
    X = train.drop(columns=properties).select_dtypes("number")
    X = X.fillna(X.mean())
    guess = np.full(truth.shape, np.nan)
    for k, name in enumerate(properties):
        seen = train[name].notna()
        guess[:, k] = RandomForestRegressor(random_state=0).fit(X[seen], train.loc[seen, name]).predict(X)
    return guess


def draw(table, properties, truth, guess, std, out):
    figure, (gaps, parity, sure) = plt.subplots(1, 3, figsize=(13.2, 4.3), layout="constrained")
    figure.get_layout_engine().set(wspace=0.05)
    MissingnessDisplay.from_data(table, ax=gaps)
    gaps.set(ylabel="alloy")
    colours = BLUE, VERMILLION, ORANGE, "#009E73", "#CC79A7", GREY
    for k, name in enumerate(properties):
        colour = {"color": colours[k % 6]}
        ParityDisplay.from_predictions(truth[:, k], guess[:, k], std[:, k], name=name, ax=parity, scatter_kwargs=colour)
    parity.set(xlabel="measured (hidden), in standard deviations", ylabel="predicted, bars hold 90 %")
    parity.set_title("hidden entries", fontsize=11)
    parity.legend(frameon=False, fontsize=7.5, loc="upper left", borderaxespad=0, handletextpad=0)
    error = ConfidenceCurveDisplay.from_predictions(truth, guess, std, n_points=10, ax=sure).rmse
    sure.set(xlabel="most certain share of the entries, %", ylabel="error, in standard deviations")
    sure.set_title("it knows what it knows", fontsize=11)
    for axes in (parity, sure):
        axes.spines[["top", "right"]].set_visible(False)
    save(figure, out, "sparse_alloys.png")
    return error


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=FIGURES, help="directory of the figure")
    parser.add_argument("--table", type=Path, help="CSV file of your own")
    parser.add_argument("--properties", nargs="+", default=PROPERTIES, help="its columns to predict")
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    names = options.properties
    try:
        table = make_alloys()[0] if options.table is None else read_frame(options.table, names)
    except TableError as error:
        raise SystemExit(str(error)) from None
    truth = table[names].to_numpy(float)
    hidden = ~np.isnan(truth) & (np.random.default_rng(1).random(truth.shape) < 0.2)
    train = table.copy()
    train[names] = table[names].mask(hidden)
    model = MergedNetImputer(names, random_state=0).fit(train)
    filled, std = model.transform(train, return_std=True)
    place = [table.columns.get_loc(name) for name in names]
    unit, mean = np.nanstd(truth, axis=0), np.nanmean(truth, axis=0)
    truth = np.where(hidden, (truth - mean) / unit, np.nan)
    guess, std = (np.asarray(part)[:, place].astype(float) for part in (filled, std))
    guess, std = (guess - mean) / unit, std / unit
    forest = (by_forest(train, truth, names) - mean) / unit
    for k, name in enumerate(names):
        ours, peer = (observed_r2_score(truth[:, k], array[:, k]) for array in (guess, forest))
        print(f"{plain(name):16} {hidden[:, k].sum():4d} hidden: R2 {ours:.3f}, forest on descriptors {peer:.3f}")
    cover = interval_coverage(truth, guess, std, levels=[0.9])[0]
    error = draw(table, names, truth, guess, std, options.out)
    print(f"90 % intervals hold {cover:.0%}; error of the surest tenth {error[0]:.2f}, of all {error[-1]:.2f}")


if __name__ == "__main__":
    main()
