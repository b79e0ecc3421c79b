"""Wrong entries of a database
===========================

The entries far from what the rest of the table says of them.

Twelve entries of a table of alloys are spoiled: decimal slips, ksi for MPa, values of another row. The table is fitted
with them in it, each entry predicted without itself, and the list is headed by the entries furthest off in units of
their standard deviation. Without --table the alloys are made up (alloys.py); with it nothing is spoiled::

    python examples/plot_database_errors.py --table FILE.csv --properties yield UTS hardness
"""

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from alloys import PROPERTIES, make_alloys
from common import BLACK, BLUE, FIGURES, GREY, VERMILLION, save
from read_table import TableError, plain, read_frame
from sklearn.metrics import average_precision_score

from skmerge import MergedNetImputer

KINDS = ("decimal slip", "wrong unit", "other row")


def spoil(table, names, n=12, seed=3):
    """The table with n wrong entries, and {(row, column): what was done}."""
    rng = np.random.default_rng(seed)
    table, done = table.copy(), {}
    places = np.argwhere(table[names].notna().to_numpy())
    for number, (i, k) in enumerate(places[rng.choice(len(places), n, replace=False)]):
        name, kind = names[k], KINDS[number % 3]
        value = table.loc[i, name]
        if kind == "decimal slip":
            table.loc[i, name] = value * rng.choice([0.1, 10.0])
        elif kind == "wrong unit":  # ksi instead of MPa, or the reverse
            table.loc[i, name] = value * rng.choice([6.895, 1 / 6.895])
        else:
            table.loc[i, name] = rng.choice(table[name].dropna())
        done[int(i), name] = kind
    return table, done


def draw(listed, score, wrong, out):
    figure, (rank, values) = plt.subplots(1, 2, figsize=(11.5, 4.8), layout="constrained", width_ratios=[1, 1.3])
    order = np.argsort(-score)
    place = np.arange(1, len(order) + 1)
    rank.loglog(place, score[order], ".", color=GREY, ms=4, label="entry")
    rank.loglog(place[wrong[order]], score[order][wrong[order]], "o", color=VERMILLION, ms=6, label="spoiled")
    rank.set(xlabel="place in the list", ylabel="score")
    rank.set_title("entries by how little they fit", fontsize=11)
    rank.legend(frameon=False)
    at = np.arange(len(listed))[::-1]
    scale = np.array([abs(entry.expected) for entry, _ in listed])
    expected = np.array([entry.expected for entry, _ in listed]) / scale
    width = 1.645 * np.array([entry.std for entry, _ in listed]) / scale
    values.errorbar(expected, at, xerr=width, fmt="|", color=BLUE, ms=9, label="expected, 90 %")
    found = np.array([entry.value for entry, _ in listed]) / scale
    for spoiled, colour in ((True, VERMILLION), (False, BLACK)):
        rows = np.array([(kind != "") == spoiled for _, kind in listed])
        if rows.any():
            values.plot(found[rows], at[rows], "o", color=colour, label="spoiled" if spoiled else "entry")
    labels = [f"row {entry.row}, {entry.column}" + (f": {kind}" if kind else "") for entry, kind in listed]
    values.set_yticks(at, labels, fontsize=8)
    values.set(xlabel="value / size of the expected value", xscale="symlog")
    values.set_title("the head of the list", fontsize=11)
    figure.legend(
        *values.get_legend_handles_labels(), frameon=False, fontsize=8.5, loc="outside lower right", ncols=3
    )
    for axes in (rank, values):
        axes.spines[["top", "right"]].set_visible(False)
    save(figure, out, "database_errors.png")


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=FIGURES, help="directory of the figure")
    parser.add_argument("--table", type=Path, help="CSV file of your own")
    parser.add_argument("--properties", nargs="+", default=PROPERTIES, help="its sparse columns")
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    try:
        table = read_frame(options.table, options.properties) if options.table else make_alloys()[0]
    except TableError as error:
        raise SystemExit(str(error)) from None
    table, done = (table, {}) if options.table else spoil(table, PROPERTIES)
    model = MergedNetImputer(options.properties, n_estimators=0, random_state=0).fit(table)
    listed = [(entry, done.get((entry.row, entry.column), "")) for entry in model.outliers(15)]
    for entry, kind in listed:
        print(f"row {entry.row:4d} {plain(entry.column):15} {entry.value:9.4g}, expected {entry.expected:8.4g} "
              f"+- {entry.std:7.2g}: {entry.score:5.1f} {kind}")  # fmt: skip
    score = model.outlier_scores_
    wrong = np.zeros(score.shape, bool)
    for i, name in done:
        wrong[i, table.columns.get_loc(name)] = True
    seen = ~np.isnan(score)
    if done:
        print(f"average precision {average_precision_score(wrong[seen], score[seen]):.3f}, {len(done)} spoiled")
    draw(listed, score[seen], wrong[seen], options.out)


if __name__ == "__main__":
    main()
