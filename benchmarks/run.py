"""All benchmarks: one table of figures, each a ratio to a named peer or a score, against its target.

    python benchmarks/run.py [--formulae FILE.json] [--peers-formulae FILE.csv]
                             [--tables DIRECTORY] [--peers-tables FILE.csv] [--plasticity DIRECTORY]
                             [--sparse DIRECTORY] [--nickel FILE.csv] [--peers-laws FILE.csv] [--laws DIRECTORY]
                             [--rows 200] [--noise 0.05 0] [--only SECTION ...] [--procs 2]

Without --formulae only the formulae of skmerge.datasets are learned; without --tables that section is left out, without
--plasticity the comparisons with crystals of other solvers, without --sparse the sparse tables, without --nickel that
design, without --laws the historical laws. laws_curves takes long beside Operon and runs only where --only names it.
Times are compared within this run and on one thread: leave the machine to it.
"""

import os

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"

import argparse  # noqa: E402
import importlib  # noqa: E402
import time  # noqa: E402

from figures import HEADER  # noqa: E402

SECTIONS = (
    *("activation", "speed", "memory", "orthogonal", "formulae", "tables"),
    *("forest_slopes", "forest_values", "forest_tables", "forest_speed", "crystal"),
    *("plasticity_accuracy", "plasticity_speed", "plasticity_scaling", "loading"),
    *("sparse", "design", "interrupts"),
    *("laws", "laws_ablation", "laws_history", "laws_growth", "laws_curves"),
)
SLOW = ("laws_curves",)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--formulae", metavar="FILE.json", help="formulae to learn (see formula_tasks.py)")
    parser.add_argument("--peers-formulae", metavar="FILE.csv", help="what other models score on them")
    parser.add_argument("--tables", metavar="DIRECTORY", help="CSV files, the last column of each the target")
    parser.add_argument("--peers-tables", metavar="FILE.csv", help="what other models score on them")
    parser.add_argument("--plasticity", metavar="DIRECTORY", help="neml_*_km.npz, damask_taylor_dislotwin.npz")
    parser.add_argument("--nickel", metavar="FILE.csv", help="nickel superalloys, weight per cent to properties")
    parser.add_argument("--sparse", metavar="DIRECTORY", help="the sparse tables that bench_sparse.py names")
    parser.add_argument("--peers-laws", metavar="FILE.csv", help="laws of peers: read, and what is missing added")
    parser.add_argument("--laws", metavar="DIRECTORY", help="the tables that historical_laws.py names")
    parser.add_argument("--rows", type=int, default=200, help="rows of the section laws")
    parser.add_argument("--noise", type=float, nargs="+", default=(0.05, 0.0), help="noise of the section laws")
    default = [section for section in SECTIONS if section not in SLOW]
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=default)
    parser.add_argument("--procs", type=int, default=1, help="processes for formulae, tables and errors of forests")
    arguments = parser.parse_args()
    given = {
        "formulae": (arguments.formulae, arguments.peers_formulae, arguments.procs),
        "tables": (arguments.tables, arguments.peers_tables, arguments.procs),
        "forest_tables": (arguments.tables, arguments.peers_tables, arguments.procs),
        "forest_slopes": (arguments.procs,),
        "forest_values": (arguments.procs,),
        "crystal": (arguments.plasticity,),
        "plasticity_accuracy": (arguments.plasticity,),
        "loading": (arguments.plasticity,),
        "design": (arguments.nickel,),
        "sparse": (arguments.sparse,),
        "laws": (arguments.formulae, arguments.peers_laws, arguments.procs, arguments.rows, arguments.noise),
        "laws_curves": (arguments.formulae, arguments.peers_laws, arguments.procs),
        "laws_ablation": (arguments.formulae, arguments.procs, arguments.rows, arguments.noise),
        "laws_history": (arguments.laws,),
    }
    print(HEADER)
    for section in arguments.only:
        if section.endswith("tables") and not arguments.tables:
            print(f"{section}: left out, no --tables DIRECTORY given")
            continue
        if section == "sparse" and not arguments.sparse:
            print("sparse: left out, no --sparse DIRECTORY given")
            continue
        if section == "laws_history" and not arguments.laws:
            print("laws_history: left out, no --laws DIRECTORY given")
            continue
        start = time.perf_counter()
        module, _, part = section.partition("_")
        for figure in getattr(importlib.import_module(f"bench_{module}"), part or "figures")(*given.get(section, ())):
            print(figure, flush=True)
        print(f"{section:13} took {time.perf_counter() - start:.0f} s", flush=True)


if __name__ == "__main__":
    main()
