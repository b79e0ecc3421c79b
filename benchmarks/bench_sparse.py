"""Sparse tables against named peers, each cell predicted from the others of its row, its fold hidden.

    python benchmarks/bench_sparse.py DIRECTORY [--only mpea nickel adrenergic kinase errors]

The directory holds mpea_citrine.csv (multi-principal-element alloys), ni_superalloy_merged_sparse.csv (Conduit et al.
2017, rows of one alloy joined), adrenergic_5assay.csv.gz (Whitehead et al. 2019) and kinase159_* (Martin et al. 2017);
none is part of the package. CatBoost is among the peers where it is installed.
"""

import os

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")

import argparse  # noqa: E402
import time  # noqa: E402
from pathlib import Path  # noqa: E402

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
from figures import HEADER, Figure  # noqa: E402
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor  # noqa: E402
from sklearn.experimental import enable_iterative_imputer  # noqa: E402, F401
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer  # noqa: E402
from sklearn.linear_model import BayesianRidge  # noqa: E402
from sklearn.metrics import average_precision_score  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402

from skmerge import MergedNetImputer  # noqa: E402
from skmerge._table.faults import misfit  # noqa: E402
from skmerge.metrics import confidence_curve  # noqa: E402

try:
    from catboost import CatBoostRegressor
except ImportError:
    CatBoostRegressor = None


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
        "RandomForest": make_pipeline(SimpleImputer(), RandomForestRegressor(**forest)),
        "HistGradientBoosting": HistGradientBoostingRegressor(random_state=0),
    }


def imputers():
    small = RandomForestRegressor(20, random_state=0, min_samples_leaf=2)
    iterated = {"random_state": 0, "n_nearest_features": 20, "keep_empty_features": True}
    return {
        "column mean": SimpleImputer(keep_empty_features=True),
        "KNNImputer": KNNImputer(keep_empty_features=True),
        "IterativeImputer, BayesianRidge": IterativeImputer(BayesianRidge(), max_iter=5, **iterated),
        "IterativeImputer, RandomForest": IterativeImputer(small, max_iter=3, **iterated),
    }


def masked_catboost(X, truth, train, test):
    """All properties at once by the loss that skips what was not measured, in units of their spread."""
    unit, mean = np.nanstd(truth[train], axis=0), np.nanmean(truth[train], axis=0)
    rows = train & ~np.isnan(truth).all(axis=1)
    model = CatBoostRegressor(loss_function="MultiRMSEWithMissingValues", iterations=500, random_seed=0, verbose=0,
                              thread_count=1, allow_writing_files=False)  # fmt: skip
    model.fit(X[rows], (truth[rows] - mean) / unit)
    return model.predict(X[test]) * unit + mean


def compare(table, properties, groups, fold):
    """Truth, predictions {model: (n, properties)}, the imputer's standard deviations, its seconds for one fold."""
    which = [table.columns.get_loc(name) for name in properties]
    truth = table[properties].to_numpy(float)
    dense = numbers(table.drop(columns=properties))
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
        put(OURS, test, slice(None), values[:, which])
        std[test] = spread[:, which]
        if CatBoostRegressor:
            put("CatBoost, masked multi-target", test, slice(None), masked_catboost(dense, truth, train, test))
        whole = np.hstack([dense, truth])
        mean, unit = np.nanmean(whole[train], axis=0), np.nanstd(whole[train], axis=0)
        whole = (whole - mean) / np.where(unit > 0, unit, 1.0)
        fillers = {peer: filler.fit(whole[train]) for peer, filler in imputers().items()}
        for k, name in enumerate(properties):
            alone = table.drop(columns=[other for other in properties if other != name])
            single = MergedNetImputer([name], random_state=0).fit(alone[train], groups=groups[train])
            put(ALONE, test, k, single.predict_entries(alone[test])[:, alone.columns.get_loc(name)])
            known = ~np.isnan(truth[:, k])
            others = np.hstack([dense, np.delete(truth, k, axis=1)])
            for label, X in (("", dense), (" + other properties", others)):
                for peer, regressor in peers().items():
                    fitted = regressor.fit(X[train & known], truth[train & known, k])
                    put(peer + label, test, k, fitted.predict(X[test]))
            hidden, j = whole[test], dense.shape[1] + k
            hidden[:, j] = np.nan
            for peer, filler in fillers.items():
                put(peer, test, k, filler.transform(hidden)[:, j] * unit[j] + mean[j])
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
    for label, width in (("activities", 0), ("with bits", bits.shape[1])):
        start = time.perf_counter()
        table = np.hstack([hidden, bits[:, :width]])
        model = MergedNetImputer(list(range(m)), log=(), random_state=0).fit(table, groups=groups)
        shown = np.hstack([truth, bits[:, :width]])
        for name, cells, wanted, beside in (
            ("a, other test cells shown", shown, 0.52, "pQSAR 2.0 0.463, 20 latent factors 0.455"),
            ("b, all test cells hidden", table, 0.30, "20 latent factors and ridge 0.228"),
        ):
            guess, std = (array[:, :m] for array in model.predict_entries(cells, return_std=True))
            each = [r2(truth[test[:, k], k], guess[test[:, k], k]) for k in range(m)]
            yield Figure("sparse kinase", f"{label}: {name}: median R2", np.median(each), (">=", wanted), beside)
            yield from uncertainty("kinase", f"{label}: {name[0]}: ", truth[test], guess[test], std[test])
            sure = np.argsort(std[test])[: test.sum() // 10]
            surest = r2(truth[test][sure], guess[test][sure])
            target = (">=", 0.9) if name[0] == "a" else None
            yield Figure("sparse kinase", f"{label}: {name[0]}: R2 of the surest tenth", surest, target)
        minutes = (time.perf_counter() - start) / 60
        yield Figure("sparse kinase", f"{label}: minutes to fit and predict", minutes, ("<=", 20.0))
    alone = test.any(axis=1) & np.isnan(hidden).all(axis=1)
    y, cells = truth[alone], test[alone]
    guess = model.predict_entries(table[alone])[:, :m]
    yield Figure("sparse kinase", "with bits: c, whole rows hidden: R2", r2(y[cells], guess[cells]), (">=", -0.09),
                 "RandomForest of the bits -0.09")  # fmt: skip


def uncertainty(name, prefix, truth, guess, std):
    """Coverage of 90 % intervals, and whether the error rises with each tenth of the entries that is less certain."""
    seen = ~np.isnan(truth)
    cover = (np.abs(truth - guess) < 1.645 * std)[seen].mean()
    reach = 3 * np.sqrt(0.09 / seen.sum())
    yield Figure(f"sparse {name}", f"{prefix}distance of coverage from 0.9", abs(cover - 0.9), ("<=", reach),
                 f"{cover:.3f} of {seen.sum()}")  # fmt: skip
    unit = np.nanstd(truth, axis=0)
    rmse = confidence_curve(truth / unit, guess / unit, std / unit, n_points=10)[2]
    yield Figure(f"sparse {name}", f"{prefix}falls of the error among the most certain 10, 20, ... 100 %",
                 (np.diff(rmse) < 0).sum(), ("<=", 0), " ".join(f"{e:.2f}" for e in rmse))  # fmt: skip


KINDS = ("decimal slip", "swapped units", "swapped rows")


def corrupt(table, numeric, kind, rng, share=0.01):
    """A copy with one in a hundred non-zero entries wrong, and which: a factor of ten, of another unit, of a row."""
    values = table[numeric].to_numpy(float, copy=True)
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
    """Average precision with which wrong entries head the list, of all columns and of properties alone."""
    section = f"sparse {name}"
    log = "auto"
    if name == "nickel":  # as published
        log = properties[3:]
        table = table.assign(**{column: 10 ** table[column] for column in properties[3:]})
    numeric = [column for column in table if table[column].dtype.kind in "if"]
    place = [table.columns.get_loc(column) for column in numeric]
    whose = np.isin(numeric, properties)
    clean = MergedNetImputer(properties, log=log, n_estimators=0, random_state=0).fit(table)
    if name == "nickel":  # entries that the published table has wrong
        dirty = table["stress_rupture_stress"].to_numpy()
        seen = np.sort(clean.outlier_scores_[~np.isnan(clean.outlier_scores_)])[::-1]
        own = clean.outlier_scores_[:, [table.columns.get_loc(column) for column in properties]]
        for value in (4998.0, 0.1):
            row = np.nanargmin(np.abs(dirty - value))
            score = clean.outlier_scores_[row, table.columns.get_loc("stress_rupture_stress")]
            rank = np.searchsorted(-seen, -score) + 1
            beside = f"score {score:.1f} of {len(seen)} entries; among properties {(own > score).sum() + 1}"
            yield Figure(section, f"place in the list of a rupture stress of {value:g}", rank, ("<=", 20), beside)
    # A table that is as the model says: what it could find at best.
    rng = np.random.default_rng(1)
    left, std = clean.left_out_[:, place][:, whose], clean.left_out_std_[:, place][:, whose]
    drawn = np.where(table[np.array(numeric)[whose]].isna(), np.nan, left + std * rng.normal(size=left.shape))
    drawn = pd.DataFrame(drawn, columns=np.array(numeric)[whose])
    targets = {"decimal slip": 0.9, "swapped units": 0.7, "mixed": 0.8}
    for kind in (*KINDS, "mixed"):
        broken, wrong = corrupt(drawn, list(drawn), kind, np.random.default_rng(0))
        seen = drawn.notna().to_numpy()
        ceiling = average_precision_score(wrong[seen], misfit(broken.to_numpy(), left, std, False)[seen])
        broken, wrong = corrupt(table, numeric, kind, np.random.default_rng(0))
        model = MergedNetImputer(properties, log=log, n_estimators=0, random_state=0).fit(broken)
        scores = model.outlier_scores_[:, place]
        for label, which in (("all columns", np.ones(len(numeric), bool)), ("properties", whose)):
            seen = ~np.isnan(scores) & (broken[numeric].to_numpy() != 0) & which
            precision = average_precision_score(wrong[seen], scores[seen])
            beside = f"{wrong[seen].sum()} of {seen.sum()}" + (
                f"; ceiling {ceiling:.3f}" if label != "all columns" else ""
            )
            target = (">=", targets[kind]) if kind in targets else None
            yield Figure(section, f"{kind}, {label}: average precision", precision, target, beside)


OURS, ALONE = "MergedNetImputer", "MergedNetImputer, each property alone"
# R2 that random forests reach on each property, of other folds; those of this run are beside.
GIVEN = {
    "mpea": [0.704, 0.713, 0.767, 0.399],
    "nickel": [0.541, 0.792, 0.501, 0.766, 0.343],
}


def table_figures(name, properties, truth, result, std, seconds):
    section = f"sparse {name}"
    columns = range(truth.shape[1])
    score = {model: np.array([r2(truth[:, k], guess[:, k]) for k in columns]) for model, guess in result.items()}
    for k, column in enumerate(properties):
        wanted = (">=", GIVEN[name][k]) if name in GIVEN else None
        peer = {model: values[k] for model, values in score.items() if model not in (OURS, ALONE)}
        best = max(peer, key=peer.get)
        beside = f"alone {score[ALONE][k]:.3f}, RandomForest {peer['RandomForest']:.3f}, best: {best} {peer[best]:.3f}"
        yield Figure(section, f"{column}: R2", score[OURS][k], wanted, beside)
    mean = score[OURS].mean()
    if name in GIVEN:
        yield Figure(section, "mean R2 above that of each property alone", mean - score[ALONE].mean(), (">=", 0.0))
    yield Figure(section, "mean R2", mean, None if name in GIVEN else (">=", 0.72), f"{seconds:.0f} s a fold")
    for model, values in sorted(score.items(), key=lambda item: -item[1].mean()):
        if model != OURS:
            yield Figure(section, f"mean R2, {model}", values.mean(), None, " ".join(f"{v:.3f}" for v in values))
    yield from uncertainty(name, "", truth, result[OURS], std)


TABLES = {
    "mpea": ("mpea_citrine.csv", mpea),
    "nickel": ("ni_superalloy_merged_sparse.csv", nickel),
    "adrenergic": ("adrenergic_5assay.csv.gz", adrenergic),
}


def figures(directory, only=(*TABLES, "errors", "kinase")):
    for name, (file, read) in TABLES.items():
        table, properties, groups = read(Path(directory) / file)
        if name in only:
            fold = groups if name == "adrenergic" else folds_of(groups)
            groups = np.arange(len(table)) if name == "adrenergic" else groups
            yield from table_figures(name, properties, *compare(table, properties, groups, fold))
        if "errors" in only and name in GIVEN:
            yield from error_figures(name, table, properties)
    if "kinase" in only:
        yield from kinase_figures(directory)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path)
    parts = (*TABLES, "errors", "kinase")
    parser.add_argument("--only", nargs="+", choices=parts, default=parts)
    arguments = parser.parse_args()
    print(HEADER)
    for figure in figures(arguments.directory, arguments.only):
        print(figure, flush=True)


if __name__ == "__main__":
    main()
