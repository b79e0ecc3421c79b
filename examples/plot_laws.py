"""Laws found in measurements
==========================

Laws found in measurements, and where other models stop.

Part 1 (orbits.py) learns how long an orbit takes from what goes around the Sun, Jupiter and Saturn, and predicts the
moons of Uranus, a central body the model has not seen. Parts 2 to 4 (formulae.py, nodes.py, logarithms.py) take
formulae of physics with 5 % noise, single nodes, and laws that logarithms cannot fit. Part 5 (history.py) takes tables
from the history of physics and chemistry. With --csv it fits a table of your own instead (own_table.py).
"""

import argparse
import sys
from pathlib import Path

from common import FIGURES
from formulae import formulae
from history import history
from logarithms import logarithms
from nodes import nodes
from orbits import orbits
from own_table import report
from read_table import TableError, plain


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=FIGURES, help="directory of the figures")
    parser.add_argument("--csv", metavar="FILE", help="fit this table instead; column names in its first line")
    parser.add_argument("--target", metavar="NAME", help="the column of FILE to predict from the others")
    parser.add_argument("--drop", metavar="NAME", action="append", default=[], help="a column of FILE to leave out")
    parser.add_argument("--decimal", choices=".,", default=".", help="decimal sign of FILE")
    options = parser.parse_args(arguments)
    if options.csv is None and (options.target or options.drop):
        parser.error("--target and --drop need --csv FILE")
    try:
        if options.csv is not None:
            report(options.csv, options.target, options.drop, options.decimal)
            return 0
        options.out.mkdir(parents=True, exist_ok=True)
    except (TableError, OSError) as error:
        print(f"plot_laws: {plain(str(error))}", file=sys.stderr)
        return 2
    for part in (orbits, formulae, nodes, logarithms, history):
        part(options.out)
    return 0


if __name__ == "__main__" and (status := main()):
    sys.exit(status)
