"""MergedNetImputer: fills, intervals, restrictions, sources, wrong entries."""

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.pipeline import make_pipeline

from skmerge import MergedNetImputer, MergedNetRegressor
from skmerge._gaussian.columns import is_better_as_logarithm
from skmerge._table import sources
from skmerge.metrics import interval_coverage


def sparse_table(n=150, missing=0.5, noise=0.05, seed=0):
    """Two descriptors and three properties that share an error."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(0, 2, (n, 2))
    shared = rng.normal(0, 0.5, n)
    f = np.sin(2 * X[:, 0]) + X[:, 1]
    Y = np.column_stack([f + shared, 2 * f + shared, X[:, 0] - shared]) + noise * rng.normal(size=(n, 3))
    whole = np.hstack([X, Y])
    table = whole.copy()
    table[:, 2:][rng.random(Y.shape) < missing] = np.nan
    return table, whole


@pytest.fixture(scope="module")
def fitted():
    table, whole = sparse_table()
    return MergedNetImputer(n_estimators=4, random_state=0).fit(table), table, whole


def test_other_properties_inform(fitted):
    """Half the variance about the smooth mean is shared: it is taken from the other properties of the row."""
    model, table, whole = fitted
    filled, std = model.transform(table, return_std=True)
    hidden = np.isnan(table)
    np.testing.assert_array_equal(filled[~hidden], table[~hidden])
    assert (std[~hidden] == 0).all()
    assert (std[hidden] > 0).all()
    some = hidden & (~np.isnan(table[:, 2:])).any(axis=1)[:, None]
    assert np.sqrt(np.mean((filled - whole)[some] ** 2)) < 0.32  # 0.5 is what the descriptors leave over
    cover = interval_coverage(whole[hidden], filled[hidden], std[hidden], levels=[0.9])
    assert 0.82 < cover[0] < 0.97, cover


def test_intervals_hold_what_they_claim():
    """Hidden cells and new rows of four tables, some 1,800: 90 %, within three binomial standard deviations."""
    inside, far, sure = [], [], []
    for seed in range(4):
        table, whole = sparse_table(seed=seed)
        new, truth = sparse_table(seed=seed + 100)
        model = MergedNetImputer(n_estimators=4, random_state=0).fit(table)
        for rows, full in ((table, whole), (new, truth)):
            filled, std = model.transform(rows, return_std=True)
            hidden = np.isnan(rows)
            far.append(np.abs(full - filled)[hidden])
            sure.append(std[hidden])
            inside.append(far[-1] < 1.645 * sure[-1])
    inside, far, sure = map(np.concatenate, (inside, far, sure))
    assert abs(inside.mean() - 0.9) < 3 * np.sqrt(0.09 / len(inside)), inside.mean()
    by_std = [np.sqrt(np.mean(part**2)) for part in np.array_split(far[np.argsort(sure)], 4)]
    assert (np.diff(by_std) > 0).all(), by_std


def test_never_from_itself(fitted):
    model, table, _ = fitted
    i, j = np.argwhere(~np.isnan(table[:, 2:]))[0] + (0, 2)
    changed = table[[i]].copy()
    changed[0, j] += 3.0
    before, after = model.predict_entries(table[[i]]), model.predict_entries(changed)
    assert after[0, j] == pytest.approx(before[0, j], abs=1e-9)
    assert np.abs(np.delete(after - before, j)).max() > 1e-3


def test_a_row_does_not_depend_on_the_batch(fitted):
    model, table, _ = fitted
    one_by_one = np.vstack([model.transform(row[None]) for row in table[:20]])
    np.testing.assert_allclose(one_by_one, model.transform(table)[:20], rtol=1e-9)


def test_order_of_rows_and_threads_change_nothing(fitted):
    model, table, _ = fitted
    mixed = np.random.default_rng(1).permutation(len(table))
    again = clone(model).set_params(n_jobs=2).fit(table[mixed])
    np.testing.assert_array_equal(again.transform(table), model.transform(table))
    np.testing.assert_array_equal(again.left_out_, model.left_out_[mixed])


def test_pickle(fitted):
    model, table, _ = fitted
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).transform(table), model.transform(table))


def test_a_damaged_width_raises(fitted):
    model, table, _ = fitted
    damaged = pickle.loads(pickle.dumps(model))
    damaged.std_scale_ = np.full(5, np.nan)
    for use in (damaged.transform, damaged.predict_entries):
        with pytest.raises(ValueError, match="imputer is damaged"):
            use(table)


def test_data_frames_words_categories_and_bounds():
    rng = np.random.default_rng(0)
    kind = rng.choice(["cast", "forged", "printed"], 90)
    base = np.array([{"cast": 1.0, "forged": 2.0, "printed": 3.0}[k] for k in kind])
    table = pd.DataFrame({"kind": kind, "a": base + 0.05 * rng.normal(size=90), "share": rng.uniform(0, 1, 90)})
    table.loc[:9, "kind"] = None
    table.loc[10:50, "share"] = np.nan
    model = MergedNetImputer(bounds={"share": (0, 1)}, n_estimators=0).fit(table)
    filled = model.transform(table)
    assert list(filled.columns) == list(table.columns)
    assert list(filled["kind"][:10]) == list(kind[:10])
    assert filled["share"].between(0, 1).all()
    with pytest.raises(ValueError, match=r"'kind' holds what was not seen in fit: row 0 'welded'.*forged.*have it\.$"):
        model.transform(table.assign(kind="welded"))
    numbers = table.drop(columns="kind")
    frame = MergedNetImputer(n_estimators=0).set_output(transform="pandas").fit_transform(numbers)
    assert list(frame.columns) == ["a", "share"]
    assert frame.notna().all().all()


def test_logarithms_are_chosen_by_the_data():
    rng = np.random.default_rng(0)
    assert is_better_as_logarithm(np.exp(3 * rng.normal(size=100)))
    assert not is_better_as_logarithm(rng.uniform(1, 2, 100))
    assert not is_better_as_logarithm(rng.normal(size=100))
    X = np.column_stack([rng.normal(size=100), np.exp(3 * rng.normal(size=100))])
    X[::3, 1] = np.nan
    assert MergedNetImputer(n_estimators=0).fit(X).log_.tolist() == [False, True]
    assert (MergedNetImputer(n_estimators=0).fit(X).transform(X)[:, 1] > 0).all()


def test_inputs_restrict():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 100))
    X = np.column_stack([a, b, a + b])
    X[::2, 2] = np.nan
    model = MergedNetImputer(inputs={2: [0]}).fit(X)
    moved = X.copy()
    moved[:, 1] += 1.0
    np.testing.assert_array_equal(model.predict_entries(X)[:, 2], model.predict_entries(moved)[:, 2])
    assert model.score(X) < 0.9
    assert MergedNetImputer().fit(X).score(X) > 0.95


def test_a_law_is_a_derived_column():
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (60, 3))
    X[:, 2] = np.sin(8 * X[:, 0]) * X[:, 1]
    truth = X[:, 2].copy()
    X[12:, 2] = np.nan
    law = {"law": lambda table: np.sin(8 * table[:, 0]) * table[:, 1]}
    left = [
        np.mean((MergedNetImputer(derived=given, random_state=0).fit(X).transform(X)[12:, 2] - truth[12:]) ** 2)
        for given in (None, law)
    ]
    assert left[1] < 0.3 * left[0]
    with pytest.raises(ValueError, match=r"derived\['law'\] returned shape"):
        MergedNetImputer(derived={"law": lambda table: table}).fit(X)


def test_a_relation_of_columns_leaves_a_remainder_to_learn():
    """Twelve measurements of a quick wave with a slow drift: the law gives the wave, the rest is learned."""
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (60, 3))
    X[:, 2] = 5 + np.sin(20 * X[:, 0]) + 0.3 * X[:, 1]
    truth = X[:, 2].copy()
    X[12:, 2] = np.nan
    X[50:, 1] = np.nan
    left = {}
    for given in (None, {2: lambda table: np.sin(20 * table[:, 0])}):
        filled, std = MergedNetImputer(relations=given, n_estimators=0).fit(X).transform(X, return_std=True)
        left[given is None] = np.sqrt(np.mean((filled[12:50, 2] - truth[12:50]) ** 2))
        assert (std[12:, 2] > 0).all()
    assert left[False] < 0.1 * left[True]
    product = {"product": lambda table: table[:, 0] * table[:, 1]}
    both = MergedNetImputer(relations=given, derived=product, n_estimators=0).fit(X).transform(X)
    np.testing.assert_allclose(both[12:50, 2], truth[12:50], atol=0.3)
    # Where the law does not know, its mean stands in; it never sees the column itself.
    gaps = {2: lambda table: np.where(table[:, 0] > 0, np.sin(20 * table[:, 0]) + 0 * table[:, 1], np.nan)}
    assert np.isfinite(MergedNetImputer(relations=gaps, n_estimators=0).fit(X).transform(X)).all()
    model = MergedNetImputer(relations={2: lambda table: table[:, 2]}, n_estimators=0)
    with pytest.raises(ValueError, match=r"relations\[2\] returned NaN in every row"):
        model.fit(X)
    for bad, match in (
        ({2: 1.0}, "give a function"),
        ({2: lambda table: 1 / 0}, "raised ZeroDivisionError"),
        ({7: np.sum}, "7 is no column"),
        ({2: np.sum}, "returned shape"),
        ([2], "give None or a dict"),
    ):
        with pytest.raises(ValueError, match=match):
            MergedNetImputer(relations=bad).fit(X)


def test_a_source_that_scatters_is_trusted_less():
    """Two sources on one curve, of which one scatters by half its spread: only that one is called noisy."""
    rng = np.random.default_rng(0)
    x, noisy = rng.uniform(0, 3, 120), np.arange(120) % 2
    y = np.sin(2 * x) + np.where(noisy, 0.7, 0.02) * rng.normal(size=120)
    table = np.column_stack([x, noisy, y])
    model = MergedNetImputer([2], source=1, n_estimators=0).fit(table)
    assert model.source_noise_[0] == 0 < model.source_noise_[1]
    ask = np.column_stack([np.full(2, 1.0), [0, 1], np.full(2, np.nan)])
    std = model.transform(ask, return_std=True)[1][:, 2]
    assert std[1] > 1.5 * std[0]


def test_a_source_with_an_offset_helps():
    """Six experiments and 126 simulations that lie 0.5 too high: better than without simulations or sources."""
    rng = np.random.default_rng(0)
    x = rng.uniform(0, 3, 132)
    real = np.arange(132) < 6
    y = np.sin(2 * x) + np.where(real, 0.0, 0.5) + 0.02 * rng.normal(size=132)
    ask = np.linspace(0.2, 2.8, 40)

    def off(rows, columns, **options):
        table = np.column_stack([x, ~real, y])[rows][:, columns]
        query = np.column_stack([ask, np.zeros(40), np.full(40, np.nan)])[:, columns]
        model = MergedNetImputer([len(columns) - 1], n_estimators=0, **options).fit(table)
        return np.sqrt(np.mean((model.transform(query)[:, -1] - np.sin(2 * ask)) ** 2))

    with_source = off(slice(None), [0, 1, 2], source=1)
    print(with_source, off(slice(None), [0, 2]), off(real, [0, 2]))
    assert with_source < 0.5 * off(slice(None), [0, 2])
    assert with_source < off(real, [0, 2])


def test_intervals_of_few_experiments_are_their_own():
    """Simulations that scatter little must not say how surely an experiment is predicted whose law differs."""
    held, T = [], np.linspace(0.2, 2.8, 40)
    for seed in range(4):
        rng = np.random.default_rng(seed)
        real = np.arange(106) < 6
        x, other = np.append(np.linspace(0.1, 2.9, 6), rng.uniform(0, 3, 100)), rng.normal(size=106)
        y = np.sin(2 * x) + np.where(real, 1 + 0.7 * other, 0.02 * rng.normal(size=106))
        model = MergedNetImputer([2], source=1, n_estimators=0, random_state=0).fit(np.column_stack([x, ~real, y]))
        filled, std = model.transform(np.column_stack([T, 0 * T, np.full(40, np.nan)]), return_std=True)
        new = np.sin(2 * T) + 1 + 0.7 * rng.normal(size=40)
        held.append(np.mean(np.abs(filled[:, 2] - new) < 1.645 * std[:, 2]))
        left = np.abs(model.left_out_ - model.table_)[:, 2] < 1.645 * model.left_out_std_[:, 2]
        assert 0.84 < left[~real].mean() < 0.96
    assert np.mean(held) > 0.7  # 0.59 with one factor of all rows; 0.82 and 0.65 in twelve tables


def test_scale_of_sources():
    """Of many cells the ninth tenth decides; few are believed to be less sure, hardly to be surer."""
    rng = np.random.default_rng(0)
    ratio = np.append(rng.normal(size=3000) * 0.5, [0.01] * 3 + [30.0, -30, 30, -30, 30, -30])[:, None]
    code = np.repeat([0, 1, 2], [3000, 3, 6])
    scale = sources.scale(ratio, code, 4)[:, 0]
    assert scale[0] == pytest.approx(0.5, rel=0.1)
    assert 0.6 < scale[1] < 1.0
    assert scale[2] == pytest.approx(30 * 1.86 / 1.645, rel=1e-3)  # Student's distribution of 6 + 2 degrees
    assert scale[3] > 1


def test_known_errors_count():
    """Half of the entries are off by 1 and say so: the other column then tells more."""
    rng = np.random.default_rng(0)
    truth = rng.normal(size=200)
    bad = np.arange(200) % 2 == 0
    X = np.column_stack([truth + bad * rng.normal(size=200), truth + 0.1 * rng.normal(size=200)])
    X[rng.random(200) < 0.3, 1] = np.nan
    error = np.column_stack([np.where(bad, 1.0, 0.01), np.full(200, 0.1)])
    with_errors = MergedNetImputer([0, 1], n_estimators=0).fit(X, error=error)
    plain = MergedNetImputer([0, 1], n_estimators=0).fit(X)
    good = ~bad & ~np.isnan(X[:, 1])
    assert np.std((with_errors.left_out_[:, 1] - truth)[good]) < np.std((plain.left_out_[:, 1] - truth)[good])


def test_wrong_entries_head_the_list():
    table, _ = sparse_table(seed=3)
    names = ["x1", "x2", "p", "q", "r"]
    i = np.flatnonzero(~np.isnan(table[:, 2]) & ~np.isnan(table[:, 3]))[0]
    table[i, 3] *= -10
    model = MergedNetImputer(n_estimators=3, random_state=0).fit(pd.DataFrame(table, columns=names))
    worst = model.outliers(3)[0]
    assert (worst.row, worst.column, worst.value) == (i, "q", table[i, 3])
    assert worst.score > 5
    assert abs(worst.expected - table[i, 3] / -10) < 3 * worst.std
    assert np.isnan(model.outlier_scores_[np.isnan(table)]).all()
    assert {entry.column for entry in model.outliers(30, columns=["x1", 2])} == {"x1", "p"}
    with pytest.raises(ValueError, match="columns: no column 's'"):
        model.outliers(columns=["s"])
    with pytest.raises(ValueError, match="columns='x1' is not possible"):
        model.outliers(columns="x1")


def test_far_entries_hardly_widen_intervals():
    """Two entries of a property are ten times too great: the others stay within a factor of 2.5 as sure."""
    table, _ = sparse_table(seed=4)
    table[:, 2:] += 6.0
    spoiled = table.copy()
    places = np.flatnonzero(~np.isnan(table[:, 2]))[5::40]
    spoiled[places, 2] *= 10
    plain, model = (MergedNetImputer(n_estimators=0, random_state=0).fit(rows) for rows in (table, spoiled))
    kept = np.setdiff1d(np.flatnonzero(~np.isnan(table[:, 2])), places)
    wider = np.median(model.left_out_std_[kept, 2] / plain.left_out_std_[kept, 2])
    assert 0.7 < wider < 2.5, wider
    assert {entry.row for entry in model.outliers(len(places))} == set(places)


def test_a_rare_element_is_no_error_but_a_slip_of_it_is():
    """Three rows in a hundred hold an element, one of them ten times what the others do."""
    table, _ = sparse_table(seed=5)
    rare = np.zeros(150)
    rare[[3, 40, 77, 110]] = 2.0, 2.1, 1.9, 20.0
    model = MergedNetImputer(n_estimators=0).fit(np.column_stack([table, rare]))
    score = model.outlier_scores_[:, 5]
    assert score[[3, 40, 77]].max() < 1 < score[110]


def test_in_a_pipeline():
    table, whole = sparse_table(60)
    model = make_pipeline(MergedNetImputer(n_estimators=0), MergedNetRegressor(n_nodes=1, random_state=0))
    assert model.fit(table[:, :4], whole[:, 1]).score(table[:, :4], whole[:, 1]) > 0.99


@pytest.mark.parametrize(
    ("rows", "match"),
    [
        ([[1.0, np.inf, 1, 1, 1]], "^X: Input X contains infinity"),
        ([["a", 1, 1, 1, 1]], "^X: column 'x0' was numbers in fit, but row 0 'a'"),
        ([[1.0, 2.0]], "2 features"),
    ],
)
def test_bad_rows_to_fill(fitted, rows, match):
    for method in (fitted[0].transform, fitted[0].predict_entries):
        with pytest.raises(ValueError, match=match):
            method(rows)


def test_a_column_that_was_never_missing(fitted):
    model, table, _ = fitted
    hidden = table.copy()
    hidden[:, 0] = np.nan
    assert np.isfinite(model.transform(hidden)).all()
    filled, std = model.transform(np.full((1, 5), np.nan), return_std=True)
    assert np.isfinite(filled).all() and (std > 0).all()


@pytest.mark.parametrize("share", [0.0, 0.15])
def test_a_missing_descriptor_widens_the_interval(share):
    rng = np.random.default_rng(2)
    x = rng.uniform(300, 1300, 500)
    p = np.sin(x / 300)
    table = np.column_stack([x, p + 0.05 * rng.normal(size=500), 2 * p + 0.1 * rng.normal(size=500)])
    truth, train, ask = table[200:, 1], table[:200].copy(), table[200:].copy()
    train[::2, 1] = train[1::3, 2] = ask[:, 1:] = np.nan
    train[rng.random(200) < share, 0] = np.nan
    model = MergedNetImputer([1, 2], n_estimators=0, random_state=0).fit(train)
    _, known = model.transform(ask, return_std=True)
    ask[:, 0] = np.nan
    filled, std = model.transform(ask, return_std=True)
    assert std[:, 1].min() > 3 * known[:, 1].max()
    held = np.mean(np.abs(filled[:, 1] - truth) < 1.645 * std[:, 1])
    assert 0.7 < held < 0.98  # 0.1 to 0.2 with the fill taken for the truth


def test_a_column_of_one_sign_keeps_it():
    """Times of treatment fall towards zero, a line goes on below; so do energies that are all negative."""
    rng = np.random.default_rng(0)
    x = rng.uniform(0, 1, 60)
    hours = np.maximum(0.0, 2 - 2.5 * x)
    table = np.column_stack([x, hours, -0.1 - hours, hours - 0.5])
    ask = np.column_stack([np.linspace(0.7, 3, 20), *np.full((3, 20), np.nan)])
    filled = MergedNetImputer([1, 2, 3], n_estimators=0).fit(table).transform(ask)
    assert filled[:, 1].min() == 0.0 and filled[:, 2].max() <= -0.01 and filled[:, 3].min() < -0.4
    free = {1: (None, None)}
    assert MergedNetImputer([1, 2, 3], n_estimators=0, bounds=free).fit(table).transform(ask)[:, 1].min() < 0


def test_an_outlier_has_a_position_and_a_label():
    table, _ = sparse_table(60)
    table[7, 2] = 50.0
    frame = pd.DataFrame(table, columns=list("abpqr"), index=[f"alloy {i}" for i in range(60)])
    worst = MergedNetImputer(n_estimators=0).fit(frame).outliers(1)[0]
    assert (worst.row, worst.label, worst.column) == (7, "alloy 7", "p")
    worst = MergedNetImputer(n_estimators=0).fit(table).outliers(1)[0]
    assert worst.row == worst.label == 7


class Recorder:
    """Counts the tasks of a fit; asks to stop after the first of that name."""

    def __init__(self, stop_after=None):
        self.names, self.stop_after = [], stop_after

    def setup(self, estimator, context):
        self.names.append("setup")

    def teardown(self, estimator, context):
        self.names.append("teardown")

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context, **data):
        self.names.append(context.task_name)
        return context.task_name == self.stop_after


def test_callbacks_are_told_of_the_stages_and_a_stop_leaves_out_the_forests():
    table, _ = sparse_table(120)
    plain = MergedNetImputer(n_estimators=2, random_state=0).fit(table)
    recorder = Recorder()
    model = MergedNetImputer(n_estimators=2, random_state=0).set_callbacks(recorder).fit(table)
    np.testing.assert_array_equal(model.transform(table), plain.transform(table))
    assert recorder.names[0] == "setup" and recorder.names[-2:] == ["fit", "teardown"]
    assert recorder.names.count("stage") > 5 and any(map(len, model.forests_))
    model = MergedNetImputer(n_estimators=2, random_state=0).set_callbacks(Recorder("stage")).fit(table)
    assert not any(map(len, model.forests_)) and np.isfinite(model.transform(table)).all()
    assert model.__sklearn_tags__().input_tags.categorical


def test_long_stages_show_signs_of_life(monkeypatch, capsys):
    """Each iteration, each fold and each pattern looks whether it is time for one; here it always is."""
    monkeypatch.setattr("skmerge._progress.QUIET", 0.0)
    table, _ = sparse_table(120)
    table[::7, 0] = np.nan
    MergedNetImputer(n_estimators=2, random_state=0, verbose=1).fit(table)
    said = capsys.readouterr().out
    for words in ("iteration 3 of filling", "cells from the others", "of 30 forests", "by missing descriptors: axis 1"):
        assert words in said
    assert all(line.startswith("[MergedNetImputer] ") for line in said.splitlines())
    MergedNetImputer(n_estimators=2, random_state=0).fit(table)
    assert not capsys.readouterr().out


def test_each_property_of_a_source_has_a_width_of_its_own():
    """An experiment scatters ten times as much as the simulation in one property, as little in the other."""
    held = []
    for seed in range(2):
        rng = np.random.default_rng(seed)
        x, real = rng.uniform(0, 3, 200), np.arange(200) < 60
        noise = np.column_stack([np.where(real, 0.5, 0.05), np.full(200, 0.05)])
        y = np.column_stack([np.sin(2 * x), np.cos(2 * x)]) + noise * rng.normal(size=(200, 2))
        table = np.column_stack([x, real, y])
        model = MergedNetImputer([2, 3], source=1, n_estimators=0, random_state=0).fit(table)
        assert model.source_scale_.shape == (2, 2)
        inside = np.abs(model.left_out_ - table) < 1.645 * model.left_out_std_
        held.append([inside[part][:, 2:].mean(axis=0) for part in (~real, real)])
    held = np.mean(held, axis=0)
    assert (held > 0.82).all() and (held < 0.97).all(), held


SMOOTH = {
    "wave": lambda x: np.sin(3 * x[:, 0]),
    "square": lambda x: x[:, 0] ** 2,
    "cube": lambda x: x[:, 0] ** 3,
    "exponential": lambda x: np.exp(x[:, 0]),
    "logarithm": lambda x: np.log(x[:, 0]),
    "product": lambda x: x[:, 0] * x[:, 1],
    "ratio": lambda x: x[:, 0] / x[:, 1],
    "plane": lambda x: 2 * x[:, 0] + x[:, 1],
}


@pytest.mark.parametrize("name", SMOOTH)
def test_intervals_widen_beyond_the_data(name):
    """Trained on 1 to 2, asked up to half a range beyond: 90 % intervals hold 75 %; 1 to 30 % with those of within."""
    held, wider = [], []
    for seed, noise in ((0, 0.0), (1, 0.1)):
        rng = np.random.default_rng(seed)
        x = rng.uniform(1, 2, (60, 2))
        size = noise * SMOOTH[name](x).std()
        table = np.column_stack([x, SMOOTH[name](x) + size * rng.normal(size=60)])
        table[::2, 2] = np.nan
        model = MergedNetImputer([2], n_estimators=2, random_state=0).fit(table)
        ask = rng.uniform(1, 2, (200, 2))
        ask[:100, 0] = rng.uniform(2, 2.5, 100)
        truth = SMOOTH[name](ask) + size * rng.normal(size=200)
        rows = np.column_stack([ask, np.full(200, np.nan)])
        filled, std = model.transform(rows, return_std=True)
        held.append(np.mean(np.abs(filled[:100, 2] - truth[:100]) < 1.645 * std[:100, 2]))
        wider.append(np.median(std[:100, 2]) / np.median(std[100:, 2]))
        beyond = model.applicability(rows)
        width = np.ptp(x[:, 0])
        np.testing.assert_allclose(beyond[:100], (ask[:100, 0] - x[:, 0].max()) / width, atol=0.05)
        assert (beyond[100:] < 0.06).all() and (model.applicability(table) == 0).all()
        far = np.column_stack([[4.0], [1.5], [np.nan]])
        assert model.transform(far, return_std=True)[1][0, 2] > 2 * std[:100, 2].max()
    assert min(held) > 0.75, held
    assert min(wider) > 1.5, wider


def test_forests_are_grown_for_a_few_rows():
    """28 measured rows of a step: the forest sees it; of five measured rows there is none."""
    rng = np.random.default_rng(0)
    x = rng.uniform(0, 1, (44, 3))
    y = np.where(x[:, 0] > 0.5, 1.0, 0.0) + 0.02 * rng.normal(size=44)
    off, row = [], np.arange(44)
    table = np.column_stack([x, np.where(row < 28, y, np.nan), np.where(row < 5, y, np.nan)])
    for n_estimators in (0, 20):
        model = MergedNetImputer([3, 4], n_estimators=n_estimators, random_state=0).fit(table)
        rows = np.column_stack([x[28:], np.full((16, 2), np.nan)])
        off.append(np.mean((model.transform(rows)[:, 3] - y[28:]) ** 2))
        assert list(map(len, model.forests_)) == ([5, 0] if n_estimators else [0, 0])
    assert off[1] < 0.8 * off[0], off


def test_intervals_follow_the_slope_with_which_a_row_leaves_the_table():
    """A cubic, flat in the table and steep at its ends: 34 to 40 % were inside."""
    inside = []
    for seed in range(2):
        rng = np.random.default_rng(seed)
        X = rng.uniform(1, 2, (60, 2))

        def cubic(X):
            return 20 * (X[:, 0] - 1.5) ** 3 + X[:, 1]

        model = MergedNetImputer([2], n_estimators=0, random_state=0).fit(np.column_stack([X, cubic(X)]))
        for low, high in ((2.0, 2.5), (0.5, 1.0)):
            rows = np.column_stack([np.linspace(low, high, 40), np.full(40, 1.5)])
            value, std = model.predict_entries(np.column_stack([rows, np.full(40, np.nan)]), return_std=True)
            inside.append(np.mean(np.abs(value[:, 2] - cubic(rows)) < 1.645 * std[:, 2]))
    assert np.mean(inside) > 0.75


def test_a_missing_bit_of_one_row_changes_no_other_row():
    """The rows of a call, not the fit, decided whether descriptors are bits: one gap changed all other predictions."""
    rng = np.random.default_rng(0)
    bits = (rng.random((80, 12)) < 0.4).astype(float)
    table = np.column_stack([bits, bits @ rng.normal(size=12) + 0.05 * rng.normal(size=80)])
    table[::3, -1] = np.nan
    model = MergedNetImputer([12], n_estimators=0, random_state=0).fit(table)
    assert not model.joints_[-1]["length"] and len(model.joints_[-1]["weight"])  # Tanimoto's kernel
    gap = table[:20].copy()
    gap[5, 3] = np.nan
    found = model.predict_entries(gap)
    np.testing.assert_allclose(np.delete(found, 5, axis=0), np.delete(model.predict_entries(table[:20]), 5, axis=0))
    assert np.isfinite(found).all()
