"""MergedNetRegressor: rows with a gross error are named, clean tables are not."""

import re
import warnings

import numpy as np
import pandas as pd
import pytest

from skmerge import MergedNetRegressor
from skmerge._net import gross_errors, suspects
from skmerge._net.levels import tell_isolated
from skmerge._net.objective import Objective, Scaling

LAWS = {
    "product": lambda X: 3 * X[:, 0] ** 1.5 / X[:, 1],
    "line": lambda X: 2 + 3 * X[:, 0],
    "saturating": lambda X: 5 * X[:, 0] / (2 + X[:, 0]),
    "spring": lambda X: X[:, 0] * X[:, 1] ** 2 / 2,
}


def table(law, n, seed=0, noise=0.02):
    rng = np.random.default_rng(seed)
    X = rng.uniform(1, 6, (n, 2 if law in ("product", "spring") else 1))
    y = LAWS[law](X)
    return X, y + noise * y.std() * rng.normal(size=n)


def told(X, y, **parameters):
    """Texts of the warnings of a fit."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        MergedNetRegressor(random_state=0, **parameters).fit(X, y)
    return [str(one.message) for one in caught]


def rows_of(text):
    return sorted(map(int, re.findall(r"\d+", re.match(r"Rows? ([\d, and]+) with", text)[1])))


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize(("n", "slip"), [(8, 10.0), (12, 0.1), (19, -1.0)])
def test_a_slip_is_named(law, n, slip):
    X, y = table(law, n)
    row = int(np.argsort(y)[n // 2])
    right = y[row]
    y[row] *= slip
    (text,) = told(X, y)
    assert rows_of(text) == [row] and f"with y={y[row]:.6g}:" in text
    predicted = float(re.search(r"predicts (-?[\d.e+]+)\.", text)[1])
    assert abs(predicted - right) < 0.15 * y.std()


@pytest.mark.parametrize("law", LAWS)
def test_clean_tables_are_not_told(law):
    for n in (8, 12, 19, 40):
        assert told(*table(law, n)) == []


@pytest.mark.parametrize("law", ["product", "line"])
def test_two_slips_among_forty_are_named_together(law):
    X, y = table(law, 40)
    y[[5, 17]] *= 10
    (text,) = told(X, y)
    assert rows_of(text) == [5, 17] and text.startswith("Rows 5 and 17 with y=") and "one place too far right" in text


def test_a_constant_found_because_of_a_slip_is_not_silent():
    X, y = table("saturating", 12, noise=0.0)
    y[4] *= 10
    with pytest.warns(UserWarning, match="Row 4 with"):
        model = MergedNetRegressor(random_state=0).fit(X, y)
    assert not model.A_.any()


def test_a_repeated_row_is_named_by_all_its_places_and_an_output_by_its_number():
    X, y = table("line", 15)
    y[3] *= 10
    X, y = np.vstack([X, X[[3]]]), np.append(y, y[3])
    (text,) = told(X, np.column_stack([X[:, 0], y]))
    assert rows_of(text.replace("3, 15", "3 and 15")) == [3, 15] and "y (output 1)=" in text


def test_rows_are_counted_by_position_in_a_frame_and_without_unmeasured_ones():
    X, y = table("product", 16)
    y[9] /= 10
    y[2] = np.nan
    (text,) = told(pd.DataFrame(X, index=range(100, 116)), pd.Series(y, index=range(100, 116)))
    assert rows_of(text) == [9]


def test_an_earlier_fit_tells_nothing_twice():
    X, y = table("product", 10)
    y[6] *= 10
    assert [rows_of(text) for text in told(X, y, noise="auto")] == [[6]]


def test_errors_relative_to_y_are_no_gross_errors():
    rng = np.random.default_rng(1)
    for n in (12, 19):
        X = 10 ** rng.uniform(-1, 1, (n, 1))
        y = 2 * X[:, 0] ** 2 * (1 + 0.1 * rng.normal(size=n))
        assert not [text for text in told(X, y) if "the law of the other rows" in text]


@pytest.mark.parametrize(("n", "slip"), [(8, 10.0), (12, 0.1), (19, 10.0)])
@pytest.mark.parametrize("law", ["root", "power"])
def test_a_slip_in_x_is_named_with_the_value_that_would_fit(law, n, slip):
    rng = np.random.default_rng(n)
    X = np.exp(0.6 * rng.normal(size=(n, 1 if law == "root" else 2)))
    y = 2 * X[:, 0] ** 0.7 if law == "root" else 3 * X[:, 0] ** 1.5 / np.sqrt(X[:, 1])
    y *= 1 + 0.02 * rng.normal(size=n)
    row = int(np.argsort(X[:, 0])[n // 2])
    right = X[row, 0]
    X[row, 0] *= slip
    (text,) = told(pd.DataFrame(X, columns=["a", "b"][: X.shape[1]]), y)
    assert rows_of(text) == [row]
    assert f"With a={right:.6g} in place of {X[row, 0]:.6g} the law would fit" in text


def test_a_filled_entry_is_no_slip_of_x():
    fixes = [(0, 12.0, 1.2), (1, 5.0, 50.0)]
    found = gross_errors.GrossErrors(np.array([2]), np.array([7.0]), np.array([1.0]), 0.1, [fixes])
    missing = np.zeros((4, 2), bool)
    missing[2, 0] = True
    with pytest.warns(UserWarning, match="With b=50 in place of 5 the law would fit"):
        gross_errors.tell([found], np.arange(4), "y", None, ["a", "b"], missing, [False])


def test_errors_of_the_logarithm_are_no_gross_errors():
    """A row that is 6.8 times the law of the others: as e^1.9, not beyond the other shares as 5.8 is."""
    rng = np.random.default_rng(9)
    X = rng.uniform(1, 10, (10, 2))
    y = LAWS["spring"](X) * np.exp(0.5 * rng.normal(size=10))
    assert not [text for text in told(X, y) if "the law of the other rows" in text]


@pytest.mark.parametrize("constant", [False, True])
def test_a_repaired_feature_in_closed_form_is_a_fit_to_the_repaired_table(constant):
    X, y = table("product", 12, noise=0.05)
    X[4, 0] *= 10
    weight = np.full(12, 1 / 12)
    free = -np.full(2, 30.0), np.full(2, 30.0)
    objective = Objective(X, y, weight, Scaling.of(X, weight), free)
    simple = suspects.Simple(objective, "auto")
    before, after = simple._with_products(constant)

    def least(X):
        with np.errstate(all="ignore"):
            columns = np.exp(np.log(X) @ simple.A.T)
        columns /= np.abs(columns).max(axis=0)
        target = objective.y - objective.y.mean() * constant
        columns = columns - columns.mean(axis=0) * constant
        squares = target @ target - (target @ columns) ** 2 / (columns**2).sum(axis=0)
        return (squares / 12 * np.exp(simple.price / 12)).min()

    def repaired(row):
        tables = [np.array(X) for _ in range(4)]
        for one, (j, factor) in zip(tables, [(0, 10), (0, 0.1), (1, 10), (1, 0.1)], strict=True):
            one[row, j] *= factor
        return min(map(least, tables))

    np.testing.assert_allclose(before, least(X), rtol=1e-6)
    np.testing.assert_allclose(after, [repaired(row) for row in range(12)], rtol=1e-6)
    assert np.argmin(after) == 4 and (4,) in simple.misread()


def test_a_line_with_a_repaired_row_is_a_fit_to_the_repaired_table():
    rng = np.random.default_rng(0)
    Z, y = np.column_stack([np.ones(10), rng.normal(size=(10, 2))]), rng.normal(size=10)
    added = rng.normal(size=10)
    before, after = suspects._with_changes(y, np.ones(10), Z, [(1, added)])

    def squares(Z):
        return np.linalg.lstsq(Z, y, rcond=None)[1][0]

    changed = [Z + added[i] * np.outer(np.eye(10)[i], [0, 0, 1]) for i in range(10)]
    np.testing.assert_allclose(before, squares(Z), rtol=1e-6)
    np.testing.assert_allclose(after, [squares(one) for one in changed], rtol=1e-6)


def test_suspects_in_closed_form_are_those_of_fits_without_each_row():
    X, y = table("line", 12, noise=0.05)
    y[7] = -y[7]
    design = np.column_stack([np.ones(12), X[:, 0]])

    def squares(keep):
        return np.linalg.lstsq(design[keep], y[keep], rcond=None)[1][0] / len(keep)

    alone = [squares(np.delete(np.arange(12), i)) for i in range(12)]
    assert np.argmin(alone) == 7 and squares(np.arange(12)) > suspects.REDUCED * min(alone)
    weight = np.full(12, 1 / 12)
    free = -np.full(1, 30.0), np.full(1, 30.0)
    objective = Objective(X, y, weight, Scaling.of(X, weight), free).rounded()
    assert (7,) in suspects.Simple(objective, "auto").suspects()


def test_another_unit_and_order_name_the_same_row():
    X, y = table("spring", 14)
    y[11] *= 10
    order = np.random.default_rng(2).permutation(14)
    (text,) = told(X * [1e-9, 1e6], y * 1e12)
    (moved,) = told(X[order], y[order])
    assert rows_of(text) == [11] and [order[i] for i in rows_of(moved)] == [11]


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize("noise", ["absolute", "relative"])
def test_values_over_many_decades_do_not_overflow(noise):
    """Gravitation between bodies: at some rows a wrong law predicts 1e-300 of y or less."""
    rng = np.random.default_rng(0)
    X = 10.0 ** rng.uniform([9, 20, 20], [13, 30, 30], (30, 3))
    y = 6.67e-11 * X[:, 1] * X[:, 2] / X[:, 0] ** 2 * (1 + 0.1 * rng.normal(size=30))
    assert np.isfinite(MergedNetRegressor(noise=noise, random_state=0).fit(X, y).predict(X)).all()


@pytest.mark.parametrize("value, named", [(-999.0, True), (278.0, True), (12.0, False)])
def test_a_row_far_from_all_others_is_named(value, named):
    x = np.linspace(1, 10, 14)
    y = 4 * np.sqrt(x)
    x[6] = value
    rows = np.vstack([x, np.exp(3 * np.random.default_rng(0).normal(size=14))]).T  # sizes over decades are no strangers
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        tell_isolated(rows, np.arange(14), ["v", "w"])
    assert [str(one.message).split(":")[0] for one in told] == [f"Row 6 with v={value:g}"] * named
    twice = np.append(x, value)[:, None]
    with pytest.warns(UserWarning, match="Rows 6, 14 with x0=-999: all others lie between 1 and 10"):
        MergedNetRegressor(n_nodes=1, random_state=0).fit(np.where(twice == value, -999, twice), np.append(y, 3.0))
