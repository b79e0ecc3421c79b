"""Sparse tables against named peers, each cell predicted from the others of its row, its fold hidden.

    python benchmarks/bench_sparse.py [--nickel FILE.csv] [--mpea FILE.csv] [--adrenergic FILE.csv.gz]
                                      [--kinase DIRECTORY] [--errors]

The files are those of Conduit et al. (2017) with rows of one alloy joined, of the Citrine table of multi-principal-
element alloys, of Whitehead et al. (2019) and of Martin et al. (2017); none is part of the package.
"""

import os

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")

import argparse  # noqa: E402
import time  # noqa: E402
from pathlib import Path  # noqa: E402

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor  # noqa: E402
from sklearn.experimental import enable_iterative_imputer  # noqa: E402, F401
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer  # noqa: E402
from sklearn.metrics import average_precision_score  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402

from skmerge import MergedNetImputer  # noqa: E402


def nickel(path):
    """Table, its properties, and the folds' groups: one composition each."""
    table = pd.read_csv(path)
    properties = ["yield_strength", "ultimate_tensile_strength", "elongation", "stress_rupture_stress",
                  "stress_rupture_time"]  # fmt: skip
    for name in properties[3:]:
        table[name] = np.log10(table[name])
    return table, properties, composition(table, "wt_")


def mpea(path):
    table = pd.read_csv(path)
    properties = ["ys_mpa", "uts_mpa", "hv", "elongation"]
    given = ["test_temperature_circ_c", "grain_size_um", "calculated_density_g_cm3", "calculated_young_modulus_gpa",
             "bcc_fcc_other", "processing_method", "type_of_test"]  # fmt: skip
    elements = [name for name in table if name.startswith("at_")]
    return table[elements + given + properties], properties, composition(table, "at_")


def adrenergic(path):
    table = pd.read_csv(path)
    fold = pd.factorize(table.pop("cv_fold"))[0]
    return table, [name for name in table if name.startswith("act")], fold


def composition(table, prefix):
    elements = table[[name for name in table if name.startswith(prefix)]].round(3)
    return pd.factorize(elements.astype(str).agg("|".join, axis=1))[0]


def folds_of(groups, n_folds=5, seed=0):
    return np.random.default_rng(seed).permutation(groups.max() + 1)[groups] % n_folds


def r2(truth, guess):
    seen = ~np.isnan(truth)
    return 1 - ((truth - guess)[seen] ** 2).sum() / ((truth[seen] - truth[seen].mean()) ** 2).sum()


def numbers(table):
    """Words as bits, for the peers."""
    return pd.get_dummies(table, dtype=float).to_numpy(float)


def peers():
    forest = {"random_state": 0, "n_estimators": 100}
    return {
        "forest": make_pipeline(SimpleImputer(), RandomForestRegressor(**forest)),
        "boosting": HistGradientBoostingRegressor(random_state=0),
    }


def imputers():
    small = RandomForestRegressor(20, random_state=0, min_samples_leaf=2)
    return {
        "mean": SimpleImputer(),
        "knn": KNNImputer(),
        "ridge, iterated": IterativeImputer(random_state=0, max_iter=5, n_nearest_features=20),
        "forest, iterated": IterativeImputer(small, random_state=0, max_iter=3, n_nearest_features=20),
    }


def compare(table, properties, groups, fold, with_imputers=False):
    """Predictions {model: (n, properties)}, the imputer's standard deviations and its time for one fold."""
    which = [table.columns.get_loc(name) for name in properties]
    truth = table[properties].to_numpy(float)
    dense, rest = numbers(table.drop(columns=properties)), {}
    result = {}

    def put(name, rows, k, values):
        result.setdefault(name, np.full(truth.shape, np.nan))[rows, k] = values

    std = np.full(truth.shape, np.nan)
    seconds = 0.0
    for f in range(fold.max() + 1):
        train, test = fold != f, fold == f
        start = time.perf_counter()
        model = MergedNetImputer(properties, random_state=0).fit(table[train], groups=groups[train])
        values, spread = model.predict_entries(table[test], return_std=True)
        seconds += time.perf_counter() - start
        put("imputer", test, slice(None), values[:, which])
        std[test] = spread[:, which]
        for k, name in enumerate(properties):
            alone = table.drop(columns=[other for other in properties if other != name])
            single = MergedNetImputer([name], random_state=0).fit(alone[train], groups=groups[train])
            put("imputer, alone", test, k, single.predict_entries(alone[test])[:, alone.columns.get_loc(name)])
            known = ~np.isnan(truth[:, k])
            others = np.hstack([dense, np.delete(truth, k, axis=1)])
            for label, X in (("", dense), (" + others", others)):
                for peer, regressor in peers().items():
                    fitted = regressor.fit(X[train & known], truth[train & known, k])
                    put(peer + label, test, k, fitted.predict(X[test]))
            if with_imputers:
                for peer, filler in imputers().items():
                    hidden = truth.copy()
                    hidden[test, k] = np.nan
                    whole = np.hstack([dense, hidden])
                    filled = rest[peer] if peer in rest else filler.fit(whole[train]).transform(whole[test])
                    put(peer, test, k, filled[:, dense.shape[1] + k])
    return truth, result, std, seconds / (fold.max() + 1)


def kinase(directory):
    """Activities (n, 159), which cells are for testing, bits (n, 1024)."""
    long = pd.read_csv(Path(directory) / "kinase159_long.csv.gz")
    compounds, row = np.unique(long.compound_id.astype(str), return_inverse=True)
    column = np.unique(long.assay_id, return_inverse=True)[1]
    truth = np.full((len(compounds), column.max() + 1), np.nan)
    truth[row, column] = long.pic50
    test = np.zeros(truth.shape, bool)
    test[row, column] = long.split_realistic == "test"
    packed = np.load(Path(directory) / "kinase159_morgan2_1024.npz", allow_pickle=True)  # its ids are Python's strings
    place = {name: i for i, name in enumerate(packed["ids"].astype(str))}
    bits = np.unpackbits(packed["packed"], axis=1)[[place[name] for name in compounds]]
    return truth, test, bits.astype(float)


def clusters(bits, shown, similar=0.35):
    """Groups of similar compounds among those with activities: the first one left takes all that resemble it."""
    groups = np.arange(len(bits))
    left = np.argsort(-shown, kind="stable")[: np.count_nonzero(shown > 1)]
    while len(left):
        common = bits[left] @ bits[left[0]]
        like = common > similar * (bits[left].sum(axis=1) + bits[left[0]].sum() - common)
        groups[left[like]] = left[0]
        left = left[~like]
    return groups


def kinase_figures(directory):
    truth, test, bits = kinase(directory)
    m = truth.shape[1]
    hidden = np.where(test, np.nan, truth)
    groups = clusters(bits, (~np.isnan(hidden)).sum(axis=1))
    for label, width in (("activities only", 0), ("with bits", bits.shape[1])):
        start = time.perf_counter()
        table = np.hstack([hidden, bits[:, :width]])
        model = MergedNetImputer(list(range(m)), log=(), random_state=0).fit(table, groups=groups)
        fitted = time.perf_counter() - start
        shown = np.hstack([truth, bits[:, :width]])
        for name, cells in (("b: all test cells hidden", table), ("a: other test cells shown", shown)):
            guess, std = (array[:, :m] for array in model.predict_entries(cells, return_std=True))
            each = [r2(truth[test[:, k], k], guess[test[:, k], k]) for k in range(m)]
            y, p, s = truth[test], guess[test], std[test]
            sure = np.argsort(s)[: len(s) // 10]
            yield (
                f"kinase     {label:15} {name:26} median R2 {np.median(each):.3f}, pooled {r2(y, p):.3f}, surest tenth "
                f"{r2(y[sure], p[sure]):.3f}, cover {(np.abs(y - p) < 1.645 * s).mean():.3f}"
            )
        seconds = time.perf_counter() - start
        yield f"kinase     {label:15} fit {fitted:.0f} s, with predictions {seconds:.0f} s, {model.n_iter_} iterations"
    alone = test.any(axis=1) & np.isnan(table[:, :m]).all(axis=1)
    y, cells = truth[alone], test[alone]
    guess = model.predict_entries(table[alone])[:, :m]
    yield f"kinase     with bits       c: whole rows hidden, pooled R2 {r2(y[cells], guess[cells]):.3f}"


KINDS = ("decimal slip", "swapped units", "swapped rows")


def corrupt(table, numeric, kind, rng, share=0.01):
    """A copy with one in a hundred non-zero entries wrong, and which: a factor of ten, of another unit, of a row."""
    values = table[numeric].to_numpy(float)
    places = np.argwhere(~np.isnan(values) & (values != 0))
    places = places[rng.choice(len(places), max(1, round(share * len(places))), replace=False)]
    wrong, before = np.zeros(values.shape, bool), values.copy()
    for number, (i, j) in enumerate(places):
        how = KINDS[number % 3] if kind == "mixed" else kind
        if how == "decimal slip":
            values[i, j] *= rng.choice([0.1, 10.0])
        elif how == "swapped units":  # ksi and MPa, degrees Fahrenheit and Celsius
            values[i, j] = values[i, j] * rng.choice([6.895, 1 / 6.895])
        else:
            other = rng.choice(np.flatnonzero(~np.isnan(before[:, j])))
            values[i, j] = before[other, j]
        wrong[i, j] = values[i, j] != before[i, j]
    copy = table.copy()
    copy[numeric] = values
    return copy, wrong


def error_figures(name, table, properties):
    """Average precision with which wrong entries head the list, all columns and properties alone."""
    numeric = [column for column in table if table[column].dtype.kind in "if"]
    place = [table.columns.get_loc(column) for column in numeric]
    whose = np.isin(numeric, properties)
    for kind in (*KINDS, "mixed"):
        broken, wrong = corrupt(table, numeric, kind, np.random.default_rng(0))
        model = MergedNetImputer(properties, n_estimators=0, random_state=0).fit(broken)
        scores = model.outlier_scores_[:, place]
        for label, which in (("all columns", np.ones(len(numeric), bool)), ("properties", whose)):
            seen = ~np.isnan(scores) & (broken[numeric].to_numpy() != 0) & which
            precision = average_precision_score(wrong[seen], scores[seen])
            yield f"{name:10} {kind:14} {label:12} average precision {precision:.3f} of {wrong[seen].sum()} wrong"


def report(name, truth, result, std, seconds):
    for model, guess in result.items():
        scores = [r2(truth[:, k], guess[:, k]) for k in range(truth.shape[1])]
        yield f"{name:10} {model:20} " + " ".join(f"{s:6.3f}" for s in scores) + f"   mean {np.mean(scores):.3f}"
    seen = ~np.isnan(truth)
    off = np.abs(truth - result["imputer"]) / std
    yield f"{name:10} 90 % intervals cover {(off[seen] < 1.645).mean():.3f} of {seen.sum()}; {seconds:.1f} s a fold"


def figures(nickel_path=None, mpea_path=None, adrenergic_path=None, with_imputers=False, errors=False):
    for name, path, read in (("nickel", nickel_path, nickel), ("mpea", mpea_path, mpea)):
        if path:
            table, properties, groups = read(path)
            if errors:
                yield from error_figures(name, table, properties)
                continue
            yield from report(name, *compare(table, properties, groups, folds_of(groups), with_imputers))
    if adrenergic_path:
        table, properties, fold = adrenergic(adrenergic_path)
        yield from report("adrenergic", *compare(table, properties, np.arange(len(table)), fold))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("nickel", "mpea", "adrenergic"):
        parser.add_argument(f"--{name}", metavar="FILE", type=Path)
    parser.add_argument("--imputers", action="store_true", help="whole-table imputers among the peers: slow")
    parser.add_argument("--errors", action="store_true", help="wrong entries instead of hidden ones, in alloys")
    parser.add_argument("--kinase", metavar="DIRECTORY", type=Path)
    arguments = parser.parse_args()
    for line in figures(arguments.nickel, arguments.mpea, arguments.adrenergic, arguments.imputers, arguments.errors):
        print(line, flush=True)
    if arguments.kinase:
        for line in kinase_figures(arguments.kinase):
            print(line, flush=True)


if __name__ == "__main__":
    main()
