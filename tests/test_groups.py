"""Laws of groups: constants of their own, exponents that all groups share."""

import pickle
import re

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.model_selection import cross_val_score

from skmerge import MergedNetRegressor
from skmerge._net.group_search import Fitter, Terms
from skmerge._net.objective import Objective, Scaling
from skmerge.datasets import load_orbits

OWN = np.array([1.0, 2.0, 3.5, 5.0])
SHIFT = np.array([3.0, 1.0, 0.0, 8.0])
WORDS = np.array(["Al", "Cu", "Fe", "Ni"])


def table(n=60, noise=0.02, power=0.71, seed=0):
    rng = np.random.default_rng(seed)
    g, x = rng.integers(0, 4, n), rng.uniform(1, 5, (n, 2))
    y = OWN[g] * x[:, 0] ** power / x[:, 1] + SHIFT[g]
    return g, x, y + noise * y.std() * rng.normal(size=n)


def fit(X, y, groups=0, **parameters):
    return MergedNetRegressor(groups=groups, random_state=0, **parameters).fit(X, y)


@pytest.fixture(scope="module")
def named():
    g, x, y = table()
    X = pd.DataFrame({"alloy": WORDS[g], "d": x[:, 0], "T": x[:, 1]})
    return X, pd.Series(y, name="s"), fit(X, pd.Series(y, name="s"), "alloy")


def test_constants_are_those_of_the_groups_and_exponents_are_shared(named):
    _, _, net = named
    formula = net.formula(standard_errors=True)
    assert list(formula.groups) == list(WORDS)
    lines = str(formula).split("\n")
    assert [line.split("  [")[1] for line in lines] == [f"alloy = {word}]" for word in WORDS]
    exponents = np.array([one.terms[0].exponent for one in formula.groups.values()])
    assert np.ptp(exponents[:, 1:], axis=0).max() == 0
    assert abs(exponents[0, 1] - 0.71) < 3 * formula.groups["Al"].terms[0].std[1] < 0.1
    assert exponents[0, 2] == -1
    factors = [float(one.terms[0].text.split("(")[0]) for one in formula.groups.values()]
    np.testing.assert_allclose(factors, OWN, rtol=0.1)
    assert net.covariance_ and not net.form_doubtful_[0]


def test_constants_that_do_not_differ_are_shared():
    g, x, _ = table(80)
    same = fit(np.column_stack([g, x]), 3 * x[:, 0] ** 1.5 / x[:, 1])
    assert str(same.formula()) == "y = 3.00 x1^1.50 x2^-1.00" and same.formula().groups == {}
    net = fit(np.column_stack([g, x]), 3 * x[:, 0] ** 0.5 + SHIFT[g])
    assert {one.text.split(" + ")[0] for one in net.formula().groups.values()} == {"y = 3.00 x1^0.50"}


def test_orbits_about_several_bodies_weigh_them():
    """Kepler: T = c a^1.5, c of each body as M^-0.5, which is measured independently."""
    orbits = load_orbits(as_frame=True)
    body = np.asarray(orbits.central_bodies)
    X = pd.DataFrame({"a": orbits.data["a"], "body": body})
    net = fit(X, orbits.target, "body", noise="relative", intercept=False)
    mass = orbits.data["M"].groupby(body).first()
    for one in net.formula().groups.values():
        assert len(one.terms) == 1 and abs(one.terms[0].exponent[0] - 1.5) < 2e-3
    at = pd.DataFrame({"a": 1e6, "body": mass.index})
    ratio = net.predict(at) * np.sqrt(mass.to_numpy())
    np.testing.assert_allclose(ratio, ratio[0], rtol=0.01)


def test_arrhenius_has_its_constants_through_a_link():
    rng = np.random.default_rng(1)
    g, T = rng.integers(0, 3, 60), rng.uniform(300, 900, 60)
    y = np.array([1e3, 5e4, 2e3])[g] * np.exp(-np.array([2000.0, 4000.0, 3000.0])[g] / T)
    net = fit(np.column_stack([g, T]), y * (1 + 0.02 * rng.normal(size=60)), noise="relative", functions=())
    assert net.link_[0] == "exp"
    texts = [one.text for one in net.formula().groups.values()]
    assert all("x1^-1.00" in text for text in texts)
    np.testing.assert_allclose([float(t.split("exp(")[1].split()[0]) for t in texts], [-2000, -4000, -3000], rtol=0.1)


def test_any_numbers_and_words_and_frames_name_the_groups(named):
    X, y, net = named
    g = np.searchsorted(WORDS, X["alloy"])
    expected = net.predict(X)
    others = {
        "numbers": np.column_stack([np.array([7075.0, 0.0, -2.0, 6061.0])[g], X[["d", "T"]]]),
        "objects": X.to_numpy(dtype=object),
        "categories": X.astype({"alloy": "category"}),
        "polars": pl.DataFrame({name: X[name].tolist() for name in X}),
    }
    for name, other in others.items():
        column = "alloy" if hasattr(other, "columns") else 0
        np.testing.assert_allclose(fit(other, y, column).predict(other), expected, rtol=1e-6, err_msg=name)


def test_python_gradient_and_persistence(named):
    X, _, net = named
    g = np.searchsorted(WORDS, X["alloy"])
    formula, expected = net.formula(), net.predict(X)
    known = dict(zip(formula.python_names.values(), [g + 1.0, X["d"].to_numpy(), X["T"].to_numpy()], strict=True))
    np.testing.assert_allclose(eval(formula.python, {"np": np, **known}), expected, rtol=1e-12)
    for word, one in formula.groups.items():
        np.testing.assert_allclose(
            eval(one.python, {"np": np, **known})[X["alloy"] == word], expected[X["alloy"] == word]
        )
    slope, step = net.predict_gradient(X), 1e-5
    assert not slope[:, 0].any()
    rise = net.predict(X.assign(d=X["d"] + step)) - net.predict(X.assign(d=X["d"] - step))
    np.testing.assert_allclose(slope[:, 1], rise / (2 * step), rtol=1e-6)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(net)).predict(X), expected)
    assert not net.applicability(X).any()


def test_two_standard_deviations_hold_the_curve():
    inside = []
    for seed in range(8):
        g, x, y = table(48, 0.05, 1.0, seed)
        net = fit(np.column_stack([g, x]), y, functions=(), link="identity")
        mean, std = net.predict(np.column_stack([g, x]), return_std=True)
        inside.append(np.mean(np.abs(mean - (OWN[g] * x[:, 0] / x[:, 1] + SHIFT[g])) < 2 * std))
    assert 0.85 < np.mean(inside) <= 1.0


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1000), st.integers(2, 5), st.booleans())
def test_constants_are_those_of_least_squares_with_indicators(seed, n_groups, is_own):
    """The elimination within groups against one dense least-squares problem with a column for each group."""
    rng = np.random.default_rng(seed)
    g = np.append(np.repeat(np.arange(n_groups), 2), rng.integers(0, n_groups, 25)) + 1.0
    X = np.column_stack([g, rng.uniform(1, 3, (len(g), 2))])
    y, weight = rng.normal(size=len(g)), rng.uniform(0.5, 2, len(g))
    weight = weight / weight.sum()
    scaling = Scaling.of(X, weight).without(0)
    objective = Objective(X, y, weight, scaling, (np.full(3, -30.0), np.full(3, 30.0)))
    A = np.array([[0.0, 0.0, 0.0], [0.0, 1.0, -0.5], [0.0, 0.5, 2.0]])
    own = np.array([True, is_own, False])
    fitter = Fitter(objective, 0)
    found = fitter.with_errors(fitter.fitted(Terms(A, np.zeros((3, 3), np.uint8), own, np.zeros((3, 3), bool))))
    member = g[:, None] == np.unique(g)
    columns = [np.prod(X**a, axis=1)[:, None] * (member if o else 1.0) for a, o in zip(A, own, strict=True)]
    root = np.sqrt(objective.weight)[:, None]
    design, target = np.hstack(columns) * root, objective.y * root[:, 0]
    residual = target - design @ np.linalg.lstsq(design, target, rcond=None)[0]
    assert found.squares == pytest.approx(residual @ residual, rel=1e-6)
    leverage = np.sum(np.linalg.qr(design)[0] ** 2, axis=1)
    seen = leverage < 1 - 1e-8
    np.testing.assert_allclose(found.alone[seen], ((residual / (1 - leverage)) ** 2)[seen], rtol=1e-5, atol=1e-12)


@pytest.mark.parametrize("signed", [False, True])
def test_exponents_move_down_the_slope_that_is_given(signed):
    """Kaufman's approximation leads to the minimum that differences find."""
    g, x, y = table(40, 0.05, 0.71)
    X = np.column_stack([g + 1.0, x * np.where(signed, np.sign(x[:, :1] - 3), 1.0)])
    weight = np.full(40, 1 / 40)
    objective = Objective(X, y, weight, Scaling.of(X, weight).without(0), (np.full(3, -30.0), np.full(3, 30.0)))
    fitter, A = Fitter(objective, 0), np.array([[0.0, 0.5, -1.0], [0.0, 0.0, 0.0]])
    free = A != 0
    best = fitter.fitted(Terms(A, np.zeros((2, 3), np.uint8), np.array([True, True]), free))
    for i, j in zip(*np.nonzero(free), strict=True):
        for step in (-1e-3, 1e-3):
            moved = best.terms.A.copy()
            moved[i, j] += step
            assert fitter.fitted(best.terms._replace(A=moved, free=np.zeros_like(free))).squares > best.squares


def test_several_outputs_gaps_weights_and_cross_validation(named):
    X, y, _ = named
    g = np.searchsorted(WORDS, X["alloy"]) + 1.0
    Z = np.column_stack([g, X[["d", "T"]]])
    Y = np.column_stack([y, 2 * Z[:, 1]])
    Y[3, 1] = np.nan
    net = fit(Z, Y)
    assert list(net.formula().groups[0]) == [1.0, 2.0, 3.0, 4.0] and net.formula().groups[1] == {}
    weight = np.ones(60)
    weight[:30] = 2.0
    twice = fit(np.vstack([Z, Z[:30]]), np.append(y, y[:30]))
    np.testing.assert_allclose(fit_weighted(Z, y, weight).predict(Z), twice.predict(Z), rtol=1e-8)
    Z[5, 1] = np.nan
    assert np.isfinite(fit(Z, y).predict(Z)).all()
    assert cross_val_score(clone(net), Z[6:], y[6:], cv=3).min() > 0.9


def fit_weighted(X, y, weight):
    return MergedNetRegressor(groups=0, random_state=0).fit(X, y, sample_weight=weight)


def test_errors_name_the_group(named):
    X, y, net = named
    with pytest.raises(ValueError, match=r"^groups: row 0 has alloy='Zn', a group that was not trained; known are"):
        net.predict(X.assign(alloy="Zn"))
    with pytest.raises(ValueError, match=r"^groups: alloy is missing in 1 row\(s\); name the group"):
        fit(X.assign(alloy=["Al", "Cu", None, *["Fe"] * 57]), y, "alloy")
    with pytest.raises(ValueError, match=r"^groups: d has 60 different values in 60 rows; give a column that names 2"):
        fit(X[["d", "T"]], y, "d")
    with pytest.raises(ValueError, match=r"^groups: no column 'metal'"):
        fit(X[["d", "T"]], y, "metal")
    with pytest.raises(ValueError, match=r"^groups='alloy' is not possible: a law of groups is a sum of products"):
        fit(X, y, "alloy", n_nodes=3)
    gaps = np.column_stack([y, np.where(X["alloy"] == "Cu", np.nan, y)])
    with pytest.raises(ValueError, match=r"^groups: output 1 of y was not measured in the group alloy='Cu'"):
        fit(X, gaps, "alloy")
    near = np.column_stack([1e9 + np.arange(60) % 3, X["d"]])
    with pytest.raises(
        ValueError, match=r"^groups: x0 has the values \[1000000000.0, 1000000001.0\], which are too near"
    ):
        fit(near, y, 0)
    numbers = np.column_stack([np.arange(60) % 3, X["d"]])
    with pytest.raises(ValueError, match=r"^groups: row 1 has x0=1.5, a group that was not trained"):
        fit(numbers, y, 0).predict([[1.0, 2.0], [1.5, 2.0]])
    with pytest.raises(ValueError, match=r"^groups: 1 of 5 groups have one row, the first alloy='Zn'"):
        fit(X.assign(alloy=["Zn", *X["alloy"][1:]]), y, "alloy")
    with pytest.warns(UserWarning, match=r"^groups: the group alloy='Zn' has 3 rows, so that 2 constant"):
        fit(X.assign(alloy=[*["Zn"] * 3, *X["alloy"][3:]]), y, "alloy")
    for wrong in (["alloy"], {"a": 1}, np.arange(60)):
        with pytest.raises(ValueError, match=r"^groups=.* give the name or number of one column of X"):
            fit(X, y, wrong)
    with pytest.raises(ValueError, match=r"^groups: no column 'metal'; the columns are"):
        fit(X, y, "metal")
    for other in ({"exponents": {"alloy": 1}}, {"offset": "alloy"}, {"sign": ["alloy"]}):
        with pytest.raises(ValueError, match=rf"^{next(iter(other))} names alloy, the column of groups"):
            fit(X, y, "alloy", **other)


def test_rows_without_names_belong_to_the_same_groups(named):
    X, _, net = named
    with pytest.warns(UserWarning, match="X does not have valid feature names"):
        values = net.predict(X.to_numpy(dtype=object))
    np.testing.assert_array_equal(values, net.predict(X))


def test_a_constant_of_a_group_has_as_many_digits_as_other_numbers():
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"g": np.repeat(["a", "b"], 10)})
    y = np.repeat([30.0, 140.0], 10) + rng.normal(size=20)
    law = MergedNetRegressor(groups="g", link="exp", random_state=0).fit(X, y).formula()
    assert re.fullmatch(r"y = exp\(\d\.\d\d\d?\)  \[g = a\]\ny = exp\(\d\.\d\d\d?\)  \[g = b\]", str(law))
    assert np.exp(float(re.search(r"exp\((.*?)\)", str(law)).group(1))) == pytest.approx(y[:10].mean(), rel=0.01)


def test_many_groups_say_why_there_are_no_standard_errors():
    rng = np.random.default_rng(0)
    g = np.repeat(np.arange(1.0, 49.0), 3)
    X = np.column_stack([rng.uniform(1, 5, len(g)), g])
    with pytest.warns(UserWarning, match="has 3 rows"):
        law = MergedNetRegressor(groups=1, link="identity", random_state=0).fit(X, g * X[:, 0])
    with pytest.raises(ValueError, match=r"for each of 48 groups .* at most 2000 .* some of the groups at a time"):
        law.formula(standard_errors=True)
    with pytest.raises(ValueError, match="ensemble of 2 nets"):
        MergedNetRegressor(n_estimators=2).fit(X[:30, :1], X[:30, 0]).formula(standard_errors=True)


def test_whole_numbers_are_printed_as_such():
    g, x, y = table()
    assert list(fit(np.column_stack([g + 1, x]), y).formula().groups) == [1, 2, 3, 4]
    assert "[x0 = 1]" in str(fit(np.column_stack([g + 1, x]), y).formula())


def test_a_damaged_model_raises(named):
    X, _, net = named
    damaged = pickle.loads(pickle.dumps(net))
    damaged.groups_ = None
    with pytest.raises(ValueError, match=r"functions_ has another form|could not convert the words"):
        damaged.predict(X)
    with pytest.raises(ValueError, match=r"^functions_ has another form than a fit stores"):
        damaged.formula()


def test_a_law_does_not_leave_the_values_between_the_ages_that_were_measured():
    """Girth of five orange trees in mm (N. R. Draper, H. Smith, Applied Regression Analysis): they do not shrink."""
    age = np.array([118.0, 484, 664, 1004, 1231, 1372, 1582])
    girth = [30, 58, 87, 115, 120, 142, 145, 33, 69, 111, 156, 172, 203, 203, 30, 51, 75, 108, 115, 139, 140]
    girth += [32, 62, 112, 167, 179, 209, 214, 30, 49, 81, 125, 142, 174, 177]
    X = np.column_stack([np.repeat(np.arange(1.0, 6.0), 7), np.tile(age, 5)])
    net = fit(X, np.array(girth, dtype=float), noise="relative", functions=())
    between = net.predict(np.column_stack([np.ones(50), np.linspace(118, 484, 50)]))
    assert between.min() > 25 and net.formula().groups


@pytest.mark.parametrize("seed", range(3))
def test_groups_that_begin_at_zero(seed):
    """Each alloy is measured from zero strain on; the law of all rows errs by the groups, not by the zeros."""
    group, x = np.repeat([0.0, 1, 2], 6), np.tile([0, 1, 2, 4, 8, 16.0], 3)
    y = np.array([2.0, 5, 9])[group.astype(int)] * np.sqrt(x) * (1 + 0.03 * np.random.default_rng(seed).normal(size=18))
    net = MergedNetRegressor(groups="g", intercept=False, random_state=0)
    net.fit(pd.DataFrame({"g": group, "x": x}), y)
    numbers = [float(number) for number in re.findall(r"= (\d\S*) x\^0\.(?:5\d|49)", str(net.formula().text))]
    np.testing.assert_allclose(numbers, [2, 5, 9], rtol=0.1)
