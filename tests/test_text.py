"""Text in a table, one rule for every container: numbers, words, names of rows, or a mistake that is named."""

import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest

from skmerge import GradientForestRegressor, MergedNetImputer, MergedNetRegressor
from skmerge._text import ALMOST, MISSING, NUMBER_AS_TEXT, WORD, kind_of

ROWS = 40
RNG = np.random.default_rng(0)
A = RNG.uniform(1, 2, ROWS)
B = 3 * A + 0.01 * RNG.normal(size=ROWS)


def cells(*odd):
    """Column b as text, with some cells that are no number."""
    text = [f"{b:.4f}" for b in B]
    text[: len(odd)] = odd
    return text


FRAMES = {
    "object": lambda a, b: pd.DataFrame({"a": a, "b": pd.Series(b, dtype=object)}),
    "str": lambda a, b: pd.DataFrame({"a": a, "b": pd.Series(b, dtype="str")}),
    "category": lambda a, b: pd.DataFrame({"a": a, "b": pd.Categorical(b)}),
    "polars": lambda a, b: pl.DataFrame({"a": a, "b": b}),
    "polars categories": lambda a, b: pl.DataFrame({"a": a, "b": pl.Series(b, dtype=pl.Categorical)}),
    "array of objects": lambda a, b: np.column_stack([np.array(a, object), np.array(b, object)]),
    "list": lambda a, b: [list(row) for row in zip(a, b, strict=True)],
}
MODELS = {
    "imputer": lambda X: MergedNetImputer(n_estimators=0).fit(X),
    "forest": lambda X: GradientForestRegressor(5).fit(X, B),
    "net": lambda X: MergedNetRegressor(n_nodes=1).fit(X, B),
}


def test_what_a_cell_is():
    for text in ("1.5", " -2e3 ", "+.5", "1e-3"):
        assert kind_of(text)[0] == NUMBER_AS_TEXT
    for text in ("1,234", "1.234,5", "<1", "> 2.5", "~3", "5 %", "5%", "1.2 GPa", "1.2±0.1", "1.2(3)", "200-300"):
        assert kind_of(text)[0] == ALMOST, text
    for text in ("n.d.", "iron", "Mol12", "316L", "FCC", "10.1016/j.x", "-", "C1CCO"):
        assert kind_of(text)[0] == WORD, text
    for cell in (None, np.nan, pd.NA, "nan", "NaN"):
        assert kind_of(cell)[0] == MISSING


@pytest.mark.parametrize("odd", [("<1",), ("n.d.",), ("1,234", "5"), ("1.2 GPa",)])
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("container", FRAMES)
def test_a_column_of_numbers_of_which_some_do_not_parse_is_named(container, model, odd):
    name = "column 1" if container in ("array of objects", "list") else "column 'b'"
    with pytest.raises(ValueError, match=rf"^X: {name} looks like numbers, but 1 of its 40 .*row 0 '{odd[0]}'.*NaN"):
        MODELS[model](FRAMES[container](A, cells(*odd)))


@pytest.mark.parametrize("container", FRAMES)
def test_numbers_written_as_text_are_numbers_and_it_is_said(container):
    plain = MergedNetImputer(n_estimators=0).fit(np.column_stack([A, np.round(B, 4)]))
    with pytest.warns(UserWarning, match="holds numbers written as text.*40 cell"):
        model = MergedNetImputer(n_estimators=0).fit(FRAMES[container](A, cells()))
    np.testing.assert_array_equal(model.table_, plain.table_)
    with pytest.warns(UserWarning, match="blank text, which counts as missing: 1 cell.*row 0 ''"):
        gap = MergedNetImputer(n_estimators=0).fit(FRAMES[container](A, cells("")))
    assert np.isnan(gap.table_[0, 1])


@pytest.mark.parametrize("container", FRAMES)
def test_numbers_mostly_missing_by_a_word_are_no_words(container):
    """Six in ten say n.d.; of the different cells nearly all are numbers."""
    with pytest.raises(ValueError, match=r"looks like numbers, but 24 of its 40 cells.*row 3 'n\.d\.', \.\.\."):
        MODELS["imputer"](FRAMES[container](A, cells(*["n.d."] * 24)))


@pytest.mark.parametrize("container", FRAMES)
def test_names_of_rows_are_left_out_and_it_is_said(container):
    names = [f"alloy {i}" for i in range(ROWS)]
    X = FRAMES[container](A, names)
    said = r"40 different words in 40 cells \(row 0 'alloy 0'.*is left out.*categorical=.*groups"
    with pytest.warns(UserWarning, match=said):
        model = MergedNetImputer(n_estimators=0).fit(X)
    assert list(model.ignored_) == [1] and len(model.columns_["owner"]) == 2
    assert np.isnan(model.outlier_scores_[:, 1]).all() and np.isnan(model.predict_entries(X)[:, 1]).all()
    filled = model.transform(FRAMES[container](A, ["other"] * ROWS))
    last = np.asarray(filled, dtype=object)[:, 1]
    assert list(last) == ["other"] * ROWS
    at = 1 if container in ("array of objects", "list") else "b"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        with pytest.raises(ValueError, match=r"properties=.*different words: names of rows"):
            MergedNetImputer([at]).fit(X)


@pytest.mark.parametrize("container", FRAMES)
def test_words_are_codes_in_every_container(container):
    kind = RNG.choice(["cast", "forged"], ROWS).astype(object)
    a = np.where(kind == "cast", 1.0, 2.0) + 0.01 * A
    X = FRAMES[container](a, kind.tolist())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = MergedNetImputer(n_estimators=0).fit(X)
        filled, std = model.transform(FRAMES[container]([1.01, 2.01], [None, None]), return_std=True)
    assert type(filled) is (np.ndarray if container == "list" else type(X))
    assert np.asarray(filled, dtype=object)[:, 1].tolist() == ["cast", "forged"]
    assert np.shape(std) == (2, 2)
    with pytest.raises(ValueError, match=r"X: column .* not seen in fit: row 0 'welded'; its words are \['cast', 'fo"):
        model.transform(FRAMES[container]([1.0], ["welded"]))


def test_an_array_after_a_frame_with_words():
    frame = pd.DataFrame({"a": A, "b": RNG.choice(["cast", "forged"], ROWS)})
    model = MergedNetImputer(n_estimators=0).fit(frame)
    rows = frame.to_numpy(object)[:3].copy()
    rows[1, 0] = rows[2, 1] = None
    with pytest.warns(UserWarning, match="feature names"):
        filled = model.transform(rows)
    assert filled.dtype == object and isinstance(filled[1, 0], float) and filled[2, 1] in ("cast", "forged")
    odd = pytest.raises(ValueError, match=r"'b' .*row 0 1\.0, row 1 1\.0; its words")
    with pytest.warns(UserWarning, match="feature names"), odd:
        model.transform(np.ones((2, 2)))


def test_words_and_numbers_in_one_column():
    frame = pd.DataFrame({"a": A, "route": ["718", "X750", "Waspaloy", "X751"] * 10})
    assert MergedNetImputer(n_estimators=0).fit(frame).words_["route"] == ["718", "Waspaloy", "X750", "X751"]
    frame["route"] = pd.Series([718, "X750", "Waspaloy", "X751"] * 10, dtype=object)
    with pytest.raises(ValueError, match=r"'route' holds words, row 1 'X750'.*and numbers, row 0 718.*categorical"):
        MergedNetImputer(n_estimators=0).fit(frame)
    frame["route"] = pd.Series([718, "X750", 304, 316] * 10, dtype=object)
    with pytest.raises(ValueError, match=r"looks like numbers, but 10 of its 40.*or list it in categorical"):
        MergedNetImputer(n_estimators=0).fit(frame)
    model = MergedNetImputer(categorical=["route"], n_estimators=0).fit(frame)
    assert model.words_["route"] == [304, 316, 718, "X750"]
    assert model.transform(frame)["route"].tolist() == frame["route"].tolist()


def test_a_raw_table_of_words_takes_seconds():
    """60 x 15 with six columns of words, all different, of which each is used twice or three times: few steps, no hang.

    The work is counted in columns, not by the clock: names of rows are left out; the others are codes.
    """
    for times, left_out in ((1, 6), (2, 6), (3, 0)):
        rng = np.random.default_rng(times)
        table = pd.DataFrame({f"n{j}": rng.normal(size=60) for j in range(9)})
        for j in range(6):
            table[f"w{j}"] = rng.permutation([f"word {i // times}" for i in range(60)])
        table = table.mask(rng.random(table.shape) < 0.2)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            model = MergedNetImputer(n_estimators=0).fit(table)
        assert len(model.ignored_) == left_out
        assert len(model.columns_["owner"]) <= 15 + 6 * 20
        assert model.n_iter_ < 100


def test_true_and_false_are_filled_as_such():
    for made in (pd.DataFrame, pl.DataFrame):
        hot = A > 1.5
        model = MergedNetImputer(n_estimators=0).fit(made({"a": A, "b": B, "hot": hot}))
        ask = made({"a": [1.1, 1.9], "b": [3.3, 5.7], "hot": [None, None]})
        filled, std = model.transform(ask, return_std=True)
        assert list(filled["hot"]) == [False, True]
        assert (np.asarray(std)[:, 2] < 0.71).all()
        assert len(model.columns_["owner"]) == 3  # one chance, not two levels
        left = model.left_out_[:, 2]
        assert np.isin(left, [0, 1]).all() and np.mean(left == hot) > 0.9
    objects = np.column_stack([np.array(A, object), np.array(B, object), np.where(np.arange(ROWS) % 5, hot, None)])
    filled = MergedNetImputer(n_estimators=0).fit(objects).transform(objects)
    assert filled.dtype == float and np.isin(filled[:, 2], [0, 1]).all()


def test_codes_that_were_not_seen_are_refused():
    route = np.arange(60.0) % 3
    X = np.column_stack([A.repeat(2)[:60], route, route + 0.01 * RNG.normal(size=60)])
    for options in ({"categorical": [1]}, {"source": 1}):
        frame = pd.DataFrame(X, columns=["a", "route", "q"])
        model = MergedNetImputer([2], n_estimators=0, **options).fit(frame)
        for code in (1.5, 7.0, -3.0):
            ask = pd.DataFrame({"a": [1.0, 1.0], "route": [0.0, code], "q": [np.nan, np.nan]})
            for use in (model.transform, model.predict_entries):
                with pytest.raises(ValueError, match=rf"^X: column 'route' .*seen in fit: row 1 {code}; .*\[0\.0, 1"):
                    use(ask)
        assert np.isfinite(model.transform(ask.assign(route=[2.0, np.nan]))).all()


def test_messages_name_columns_and_cut_long_names():
    words = pd.DataFrame({"a": A, "route": ["cast", "forged"] * 20})
    with pytest.raises(ValueError, match=r"^properties: column\(s\) \['route'\] are categorical"):
        MergedNetImputer(["route"]).fit(words)
    for model in MODELS.values():
        with pytest.raises(ValueError, match=r"^X: column 'a' looks like numbers, .*row 0 '1,0'.*NaN"):
            model(pd.DataFrame({"a": ["1,0", "1,1", "1,2", "1,3"] * 10, "b": B}))
    long = "n" * 10_000
    frame = pd.DataFrame({long: A, "b": B})
    model = MergedNetImputer(n_estimators=0).fit(frame)
    asked = (
        lambda: model.transform(frame.rename(columns={long: "m" * 10_000})),
        lambda: model.outliers(columns=["m" * 10_000]),
        lambda: MergedNetImputer([long[1:]]).fit(frame),
        lambda: MergedNetImputer().fit(frame.assign(**{long: ["x", "y", *A[2:]]})),
        lambda: MergedNetImputer().fit(pd.DataFrame(np.ones((3, 2)), columns=[long, long])),
        lambda: MergedNetImputer().fit(frame.assign(**{long: np.nan})),
        lambda: GradientForestRegressor(5).fit(frame, B).predict(frame.rename(columns={long: "m" * 10_000})),
    )
    for ask in asked:
        with pytest.raises(ValueError, match=r"nnn|mmm") as error:
            ask()
        assert len(str(error.value)) < 2500


@pytest.mark.parametrize("container", FRAMES)
def test_words_in_transform_where_there_were_numbers(container):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of numbers as text
        model = MergedNetImputer(n_estimators=0).fit(FRAMES[container](A, cells()))
    with pytest.raises(ValueError, match=r"^X: column .* was numbers in fit, but row 1 'n\.d\.' could .*put NaN"):
        model.transform(FRAMES[container]([1.0, 1.0], ["3.0", "n.d."]))


def test_names_in_messages_and_formulae_hold_nothing_that_a_terminal_obeys():
    a = np.linspace(1.0, 2.0, 20)
    frame = pd.DataFrame({"a\x1b[31m": a, "b": a[::-1] ** 2})
    model = MergedNetRegressor(n_nodes=1, random_state=0).fit(frame, a)
    with pytest.raises(ValueError, match="seen at fit time") as error:
        model.predict(frame.rename(columns={"a\x1b[31m": "c\x07"}))
    for text in (str(error.value), str(model.formula())):
        assert all(line.isprintable() for line in text.split("\n")) and r"a\x1b[31m" in text
    assert r"c\x07" in str(error.value)
