import doctest
import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from skmerge import datasets
from skmerge.datasets import Formula, Variable, load_formulae, load_orbits

ORBITS = load_orbits()
FORMULAE = load_formulae()
G = 6.6743e-11  # m^3 / (kg s^2)
NAMESPACE = {name: getattr(np, name) for name in ("exp", "log", "log10", "sqrt")}

each_formula = pytest.mark.parametrize("formula", FORMULAE, ids=lambda f: f.name)
both_ranges = pytest.mark.parametrize("extrapolate", [False, True])
unhurried = settings(deadline=None)  # a busy machine is no failure
seeds = st.integers(0, 2**32 - 1)


def departure_from_kepler():
    a, M, _ = ORBITS.data.T
    seconds = 2 * np.pi * np.sqrt((a * 1e3) ** 3 / (G * M))
    return ORBITS.target * 86400 / seconds - 1


@pytest.mark.parametrize("row", range(len(ORBITS.target)), ids=ORBITS.body_names)
def test_every_orbit_obeys_keplers_third_law(row):
    assert abs(departure_from_kepler()[row]) < 0.01


def test_orbits_beyond_half_a_percent_are_those_the_description_names():
    beyond = np.abs(departure_from_kepler()) > 0.005
    assert set(ORBITS.body_names[beyond]) == {"Ananke", "Skathi", "Ymir"}
    assert all(name in ORBITS.DESCR for name in ORBITS.body_names[beyond])


def test_shapes_names_and_central_bodies():
    n = len(ORBITS.target)
    assert ORBITS.data.shape == (n, 3) and ORBITS.frame is None
    assert ORBITS.feature_names == ["a", "M", "e"] and ORBITS.target_name == "T"
    assert len(set(ORBITS.body_names)) == n
    centers, counts = np.unique(ORBITS.central_bodies, return_counts=True)
    counts = dict(zip(centers.tolist(), counts.tolist(), strict=True))
    assert counts == {"Sun": 13, "Jupiter": 16, "Saturn": 16, "Uranus": 15}
    assert f":Number of rows: {n} (" in ORBITS.DESCR
    assert all(f"{center} {count}" in ORBITS.DESCR for center, count in counts.items())
    for center in centers:  # one mass for each central body
        assert len(set(ORBITS.data[ORBITS.central_bodies == center, 1])) == 1


def test_orbits_are_bound_and_positive():
    a, M, e = ORBITS.data.T
    assert np.isfinite(ORBITS.data).all() and ORBITS.data.dtype == ORBITS.target.dtype == np.float64
    assert (a > 0).all() and (M > 0).all() and (ORBITS.target > 0).all()
    assert ((e >= 0) & (e < 1)).all()


def test_frame_holds_the_same_values():
    framed = load_orbits(as_frame=True)
    assert isinstance(framed.data, pd.DataFrame) and isinstance(framed.target, pd.Series)
    assert list(framed.frame) == ["a", "M", "e", "T"] and framed.target.name == "T"
    assert_array_equal(framed.data, ORBITS.data)
    assert_array_equal(framed.target, ORBITS.target)
    assert_array_equal(framed.frame, np.column_stack([ORBITS.data, ORBITS.target]))


def test_what_is_loaded_can_be_changed_without_harm():
    orbits = load_orbits()
    orbits.data[:] = orbits.target[:] = 0
    assert_array_equal(load_orbits().data, ORBITS.data)
    load_formulae().clear()
    assert len(load_formulae()) == 21


def test_formulae_are_distinct_and_described():
    assert len(FORMULAE) == len({f.name for f in FORMULAE}) == 21
    assert all(f.description and f.variables for f in FORMULAE)


@each_formula
@unhurried
@given(seed=seeds, extrapolate=st.booleans())
def test_formula_equals_its_expression(formula, seed, extrapolate):
    X, y = formula.sample(30, random_state=seed, extrapolate=extrapolate)
    values = dict(zip(formula.feature_names, X.T, strict=True))
    expected = eval(formula.expression, {"__builtins__": {}}, NAMESPACE | values)
    assert y.shape == (30,) and np.isfinite(y).all()
    assert_allclose(y, expected, rtol=1e-12, atol=1e-12)
    assert_array_equal(formula(X), y)


@pytest.mark.parametrize(
    ("name", "row", "value"),
    [
        ("weld_mu", [150, 100], 0.5),
        ("spring_signed", [10, -2], 20),
        ("flexure", [100, 100, 10, 5], 60),
        ("ideal_gas", [1, 273.15, 22.414], 101.325),  # one mole fills 22.414 litres at 0 degrees Celsius
        ("london", [1, 1, 1], 168.07),
        ("diatomic_omega", [100, 2, 2], 10),
        ("tafel", [0.5, 0.5, 1, 0, 300], 0.5),
        ("creep", [1, 2, 4, 0.024 * 8.314462 * 1000, 1000], 16),
        ("parabola", [0.5], 0.75),
    ],
)
def test_known_values(name, row, value):
    formula = {f.name: f for f in FORMULAE}[name]
    assert_allclose(formula([row]), [value], rtol=2e-5)


@each_formula
@both_ranges
def test_samples_fill_their_ranges(formula, extrapolate):
    X, _ = formula.sample(3000, random_state=0, extrapolate=extrapolate)
    for x, v in zip(X.T, formula.variables, strict=True):
        top = v.top if extrapolate else v.high
        assert v.low <= x.min() and x.max() <= top
        if v.sampling == "int":
            assert set(x) == set(range(v.low, int(top) + 1))
        else:
            scale = np.log if v.sampling == "loguniform" else np.asarray
            low, high, drawn = scale(v.low), scale(top), scale(x)
            lowest = scale(v.high) if extrapolate and len(formula.variables) == 1 else low
            assert drawn.min() < lowest + 0.02 * (high - low) and drawn.max() > high - 0.02 * (high - low)
            if not extrapolate:  # uniform on its scale: the mean is the middle, 6 standard errors
                assert abs(drawn.mean() - (low + high) / 2) < 6 * (high - low) / np.sqrt(12 * 3000)


@each_formula
@unhurried
@given(seed=seeds)
def test_extrapolation_leaves_the_training_range_in_every_row(formula, seed):
    X, _ = formula.sample(20, random_state=seed, extrapolate=True)
    highs = np.array([v.high for v in formula.variables])
    assert (highs < X).any(axis=1).all()


@pytest.mark.parametrize(
    ("variable", "top"),
    [
        (Variable("x", 2, 10), 15),
        (Variable("x", -1, 2, "uniform"), 3.5),
        (Variable("x", 1, 3, "int"), 5),
        (Variable("x", 1, 2, "int"), 3),
    ],
)
def test_top_of_the_extrapolation(variable, top):
    assert variable.top == top


@both_ranges
def test_seeds_are_reproducible_and_rows_nested(extrapolate):
    formula = FORMULAE[0]
    X, y = formula.sample(50, noise=0.1, random_state=3, extrapolate=extrapolate)
    again, y_again = formula.sample(50, noise=0.1, random_state=3, extrapolate=extrapolate)
    assert_array_equal(X, again)
    assert_array_equal(y, y_again)
    assert_array_equal(formula.sample(7, random_state=3, extrapolate=extrapolate)[0], X[:7])
    assert not np.array_equal(formula.sample(50, random_state=4, extrapolate=extrapolate)[0], X)


@each_formula
def test_noise_is_a_share_of_the_spread_and_leaves_X_alone(formula):
    X, y = formula.sample(4000, random_state=0)
    X_noisy, y_noisy = formula.sample(4000, noise=0.05, random_state=0)
    assert_array_equal(X, X_noisy)
    residual = (y_noisy - y) / np.std(y)
    assert abs(np.std(residual) / 0.05 - 1) < 6 / np.sqrt(2 * 4000)
    assert abs(np.mean(residual)) < 6 * 0.05 / np.sqrt(4000)


@each_formula
def test_formula_survives_pickling_and_cannot_be_changed(formula):
    assert pickle.loads(pickle.dumps(formula)) == formula
    with pytest.raises(AttributeError):
        formula.name = "other"


def test_formula_takes_frames_and_carries_nan():
    ohm = {f.name: f for f in FORMULAE}["ohm"]
    assert isinstance(ohm, Formula)
    assert_array_equal(ohm(pd.DataFrame({"I": [1, 2.0], "R": [3.0, np.nan]})), [3, np.nan])


@pytest.mark.parametrize(
    ("arguments", "error", "named"),
    [
        ({"n": 0}, ValueError, "n == 0"),
        ({"n": 2.5}, TypeError, "n must be"),
        ({"n": 5, "noise": -1}, ValueError, "noise"),
        ({"n": 5, "noise": "much"}, TypeError, "noise"),
        ({"n": 5, "noise": np.nan}, ValueError, "noise"),
        ({"n": 5, "noise": np.inf}, ValueError, "noise"),
        ({"n": 5, "extrapolate": 2}, TypeError, "extrapolate"),
        ({"n": 5, "random_state": "seed"}, ValueError, "seed"),
    ],
)
def test_wrong_arguments_of_sample_are_named(arguments, error, named):
    with pytest.raises(error, match=named):
        FORMULAE[0].sample(**arguments)


def test_other_wrong_arguments_are_named():
    with pytest.raises(ValueError, match="X has 3 columns, but weld_mu takes 2: tau, sigma_y"):
        FORMULAE[0](np.ones((4, 3)))
    with pytest.raises(ValueError, match="2D array"):
        FORMULAE[0]([1.0, 2.0])
    with pytest.raises(TypeError, match="as_frame"):
        load_orbits(as_frame="yes")
    with pytest.raises(ValueError, match="sampling"):
        Variable("x", 0, 1, "normal")


def test_examples_in_the_docstrings():
    result = doctest.testmod(datasets)
    assert result.attempted > 8 and result.failed == 0
