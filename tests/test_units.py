"""Units of the features and of y: only homogeneous laws."""

import builtins
import pickle
import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline

from skmerge import MergedNetRegressor
from skmerge._net.dimensions import Dimensions
from skmerge._net.given_units import read
from skmerge._net.links import LINKS

kg, m, s = {"kg": 1}, {"m": 1}, {"s": 1}
SPEED, ENERGY = {"m": 1, "s": -1}, {"kg": 1, "m": 2, "s": -2}
ACCELERATION = {"m": 1, "s": -2}


def noisy(y, share, rng):
    return y + share * y.std() * rng.normal(size=len(y))


def energy(n=60, share=0.03, seed=0):
    """Mass, speed and height; kinetic and potential energy."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(1, 5, (n, 3))
    return X, noisy(0.5 * X[:, 0] * X[:, 1] ** 2 + 9.81 * X[:, 0] * X[:, 2], share, rng)


UNITS_OF_ENERGY = dict(units=[kg, SPEED, m], target_unit=ENERGY, constant_units=[ACCELERATION])


def exponents_of(unit, bases):
    return np.array([unit.get(base, 0.0) for base in bases])


def assert_homogeneous(model, units, target, constants=()):
    """Every term of every candidate and of the model has the unit of y, arguments have none; by the stored arrays."""
    bases = sorted({base for unit in (*units, target, *constants) for base in unit}) or ["none"]
    F = np.array([exponents_of(unit, bases) for unit in units])
    allowed = [np.zeros(len(bases))]
    for unit in constants:
        allowed = [old + p * exponents_of(unit, bases) for old in allowed for p in (-2, -1, -0.5, 0, 0.5, 1, 2)]

    def has_unit(A, unit):
        left = A @ F - unit
        return min(np.abs(left - one).max() for one in allowed) < 1e-9

    d = len(units)
    power = LINKS[str(model.link_[0])].power
    u = exponents_of(target, bases) * (0.0 if power is None else power)
    used = np.zeros(model.A_.shape[-1] - d, bool)
    for e in range(len(model.A_)):
        for A, B, blend in zip(model.A_[e, 0], model.B_[e, 0], model.blend_[e, 0], strict=True):
            if B:
                assert blend == 0
                assert has_unit(A[:d], u)
                used |= A[d:] != 0
        if model.D_[e, 0]:
            assert has_unit(np.zeros(d), u)
    for argument in model.functions_["exponent"][used]:
        assert has_unit(argument, 0 * u)


def assert_covariant(make, X, y, units, target, rng):
    """A law without constants that have units is the same law in units of any size."""
    bases = sorted({base for unit in (*units, target) for base in unit})
    size = np.exp(rng.normal(size=len(bases)))
    factor = np.array([np.prod(size ** exponents_of(unit, bases)) for unit in units])
    of_y = np.prod(size ** exponents_of(target, bases))
    model = make().fit(X, y)
    # Predictions of the first law, carried to the other units, are those of its own formula there.
    formula = model.formula([f"v{j}" for j in range(X.shape[1])])
    values = dict(zip(formula.python_names.values(), (X * factor).T, strict=True))
    assert_allclose(eval(formula.python, {"np": np} | values), of_y * model.predict(X), rtol=1e-6)
    other = make().fit(X * factor, of_y * y)
    assert_allclose(other.predict(X * factor), of_y * model.predict(X), rtol=1e-6)
    return model


# --- products


UNIT = st.lists(st.sampled_from([-2.0, -1.0, 0.0, 1.0, 2.0]), min_size=3, max_size=3)


@settings(max_examples=60, deadline=None)
@given(st.lists(UNIT, min_size=1, max_size=5), UNIT, st.lists(UNIT, max_size=2), st.integers(0, 2**31))
def test_enumerated_products_are_homogeneous(features, target, constants, seed):
    F, t, C = np.array(features), np.array(target), np.reshape(constants, (-1, 3))
    dimensions = Dimensions.of(F, t, C)
    which = np.arange(len(F))
    A = dimensions.products(which, lambda A: np.abs(A).sum(axis=1), 500)
    assert dimensions.homogeneous(A).all()
    assert len(np.unique(A, axis=0)) == len(A)
    # Base units of other sizes change a product by the factor of y, and one of those of the constants.
    log_size = np.random.default_rng(seed).normal(size=3)
    powers = (
        np.array(np.meshgrid(*[[-2, -1, -0.5, 0, 0.5, 1, 2]] * len(C))).reshape(len(C), -1).T
        if len(C)
        else np.zeros((1, 0))
    )
    changes = (t + powers @ C) @ log_size
    for row in A:
        assert np.abs(row @ F @ log_size - changes).min() < 1e-9
    if not len(A):
        assert dimensions.missing(which).any() or np.abs(F).sum() > 0
    moves = dimensions.directions(which)
    assert_allclose(moves @ F, 0.0, atol=1e-9)
    assert len(moves) == len(F) - np.linalg.matrix_rank(F)


@settings(max_examples=8, deadline=None)
@given(st.tuples(*[st.sampled_from([-2.0, -1.0, -0.5, 0.5, 1.0, 2.0])] * 3), st.integers(0, 2**31))
def test_one_product_is_found_and_covariant(power, seed):
    rng = np.random.default_rng(seed)
    X = rng.uniform(1, 5, (30, 3))
    y = noisy(3 * np.prod(X ** np.array(power), axis=1), 0.02, rng)
    target = dict(zip(("kg", "m", "s"), power, strict=True))

    def make():
        return MergedNetRegressor(units=[kg, m, s], target_unit=target, random_state=0)

    model = assert_covariant(make, X, y, [kg, m, s], target, rng)
    assert_allclose(model.A_[0, 0], [power])
    assert_homogeneous(model, [kg, m, s], target)


# --- laws


def test_energy():
    X, y = energy()
    model = MergedNetRegressor(random_state=0, **UNITS_OF_ENERGY).fit(X, y)
    terms = {tuple(A) for A in model.A_[0, 0]}
    assert terms == {(1, 2, 0), (1, 0, 1)}
    assert_homogeneous(model, [kg, SPEED, m], ENERGY, [ACCELERATION])
    assert model.D_[0, 0] == 0
    for law in model.laws_:  # the candidates, too
        assert not re.search(r"[-+] [\d.e+-]+$", law["formula"]), law["formula"]


def test_a_constant_column_is_a_constant():
    X, y = energy()
    X = np.column_stack([X, np.full(len(X), 9.81)])
    model = MergedNetRegressor(units=[kg, SPEED, m, ACCELERATION], target_unit=ENERGY, random_state=0).fit(X, y)
    assert {tuple(A) for A in model.A_[0, 0]} == {(1, 2, 0, 0), (1, 0, 1, 0)}


def test_arguments_have_no_dimension():
    rng = np.random.default_rng(0)
    X = rng.uniform([0.1, 1, 1, 0], [1, 4, 4, 9], (150, 4))
    y = noisy(X[:, 0] * np.cos(np.sqrt(X[:, 1] / X[:, 2]) * X[:, 3]), 0.05, rng)
    units, target = [m, {"kg": 1, "s": -2}, kg, s], m
    model = MergedNetRegressor(units=units, target_unit=target, random_state=0).fit(X, y)
    assert_homogeneous(model, units, target)
    assert_allclose(model.functions_["exponent"], [[0, 0.5, -0.5, 1]])
    assert_allclose(model.functions_["factor"] / np.prod(model.x_scale_ ** model.functions_["exponent"]), 1, rtol=0.01)


def test_boltzmann():
    rng = np.random.default_rng(0)
    X = rng.uniform([1, 1, 300], [5, 9, 900], (100, 3))
    y = noisy(X[:, 0] * np.exp(-X[:, 1] / (8.314e-3 * X[:, 2])), 0.02, rng)
    units, gas = [{"s": -1}, ENERGY, {"K": 1}], ENERGY | {"K": -1}
    model = MergedNetRegressor(units=units, target_unit={"s": -1}, constant_units=[gas], random_state=0).fit(X, y)
    assert model.functions_["kind"] == ["exp"]
    assert_homogeneous(model, units, {"s": -1}, [gas])
    # Without the constant no argument of an exponential has no dimension: 1 / s is the prefactor alone.
    with pytest.warns(UserWarning, match="units: the best homogeneous law errs"):
        other = MergedNetRegressor(units=units, target_unit={"s": -1}, random_state=0).fit(X, y)
    assert_homogeneous(other, units, {"s": -1})


@pytest.mark.parametrize(
    ("law", "ranges", "units", "target", "link"),
    [
        (lambda k, m, M: np.sqrt(k / m + k / M), [(1, 5)] * 3, [{"kg": 1, "s": -2}, kg, kg], {"s": -1}, "sqrt"),
        (lambda R, r: 1 / (1 / R + 1 / r), [(1, 5)] * 2, [{"ohm": 1}] * 2, {"ohm": 1}, "reciprocal"),
    ],
)
def test_links(law, ranges, units, target, link):
    rng = np.random.default_rng(0)
    low, high = np.transpose(ranges)
    X = rng.uniform(low, high, (100, len(low)))
    y = noisy(law(*X.T), 0.03, rng)
    given = dict(units=units, target_unit=target, random_state=0)
    model = MergedNetRegressor(functions=(), **given).fit(X, y)
    assert model.link_ == [link]
    assert_homogeneous(model, units, target)
    assert_allclose(model.predict(X), law(*X.T), rtol=0.05)
    assert MergedNetRegressor(link=link, **given).fit(X, y).link_ == [link]


def test_sum_of_all_squares_and_products():
    rng = np.random.default_rng(0)
    X = rng.uniform(1, 5, (200, 4))
    truth = np.hypot(X[:, 0] - X[:, 1], X[:, 2] - X[:, 3])
    y = noisy(truth, 0.05, rng)
    model = MergedNetRegressor(units=[m] * 4, target_unit=m, functions=(), random_state=0).fit(X, y)
    assert np.sqrt(np.mean((model.predict(X) - truth) ** 2)) < 0.02 * truth.std()


def test_exponents_move_along_dimensionless_products():
    rng = np.random.default_rng(0)
    X = rng.uniform(1, 5, (200, 4))
    y = 0.023 * (X[:, 0] * X[:, 1] * X[:, 2] / X[:, 3]) ** 0.8 * (1 + 0.03 * rng.normal(size=200))
    units = [{"kg": 1, "m": -3}, SPEED, m, {"kg": 1, "m": -1, "s": -1}]
    model = MergedNetRegressor(units=units, target_unit="", random_state=0).fit(X, y)
    assert_homogeneous(model, units, {})
    assert_allclose(model.A_[0, 0], [[0.8, 0.8, 0.8, -0.8]], atol=0.02)
    assert model.predict(X, return_std=True)[1].max() < 0.02 * y.mean()


def test_exponents_without_a_choice_have_no_error():
    a = np.array([0.39, 0.72, 1.0, 1.52, 5.2, 9.54])
    y = 365.25 * a**1.5 * np.array([1.003, 0.998, 1.0, 1.001, 0.997, 1.002])
    given = dict(units={"a": "m"}, target_unit="s", constant_units=["s/m^1.5"], random_state=0)
    given |= dict(units={"a": m}, target_unit=s, constant_units=[{"s": 1, "m": -1.5}])
    model = MergedNetRegressor(**given).fit(pd.DataFrame({"a": a}), y)
    assert "a^1.50(by units)" in str(model.formula(standard_errors=True))
    # The constant may also be that of gravitation and a mass.
    given["constant_units"] = [{"m": 3, "kg": -1, "s": -2}, kg]
    other = MergedNetRegressor(**given).fit(pd.DataFrame({"a": a}), y)
    assert_allclose(other.predict(pd.DataFrame({"a": a})), model.predict(pd.DataFrame({"a": a})))


# --- data


def test_data_of_all_kinds():
    X, y = energy(80)
    make = MergedNetRegressor(link="identity", functions=(), random_state=0, **UNITS_OF_ENERGY)
    model = make.fit(X, y)
    expected = model.predict(X)
    again = clone(make).fit(np.vstack([X, X[:20]]), np.append(y, y[:20]))
    weighted = clone(make).fit(X, y, np.r_[np.full(20, 2.0), np.ones(60)])
    assert_allclose(weighted.predict(X), again.predict(X))
    assert_allclose(pickle.loads(pickle.dumps(model)).predict(X), expected)
    assert make.get_params()["units"] == UNITS_OF_ENERGY["units"]
    gaps = X.copy()
    gaps[np.random.default_rng(1).random(X.shape) < 0.1] = np.nan
    filled = clone(make).fit(gaps, y)
    assert_homogeneous(filled, [kg, SPEED, m], ENERGY, [ACCELERATION])
    assert np.isfinite(filled.predict(gaps, return_std=True)).all()
    relative = clone(make).set_params(noise="relative").fit(X, y)
    assert_homogeneous(relative, [kg, SPEED, m], ENERGY, [ACCELERATION])
    assert cross_val_score(make_pipeline(clone(make)), X, y, cv=3).min() > 0.99


def test_several_outputs():
    X, y = energy()
    Y = pd.DataFrame({"E": y, "p": 1.0 * X[:, 0] * X[:, 1]})
    Y.loc[:10, "p"] = np.nan
    given = UNITS_OF_ENERGY | dict(target_unit=[ENERGY, {"kg": 1, "m": 1, "s": -1}])
    model = MergedNetRegressor(random_state=0, **given).fit(X, Y)
    assert {tuple(A) for A in model.A_[0, 1] if A.any()} == {(1, 1, 0)}
    assert_allclose(model.predict(X)[:, 1], X[:, 0] * X[:, 1], rtol=1e-6)
    with pytest.raises(ValueError, match="one unit for 2 outputs"):
        MergedNetRegressor(**UNITS_OF_ENERGY).fit(X, Y)
    with pytest.raises(ValueError, match=r"target_unit has 1 entries for 2"):
        MergedNetRegressor(**UNITS_OF_ENERGY | dict(target_unit=[ENERGY])).fit(X, Y)


@pytest.mark.filterwarnings("ignore:units")
@pytest.mark.parametrize("y", [np.zeros(30), np.full(30, 2.0), "noise"])
def test_where_there_is_no_law(y):
    rng = np.random.default_rng(0)
    X = rng.uniform(1, 5, (30, 2))
    y = rng.normal(size=30) if isinstance(y, str) else y
    for target in (m, {}):
        model = MergedNetRegressor(units=[m, s], target_unit=target, random_state=0).fit(X, y)
        assert np.isfinite(model.predict(X)).all()
        assert_homogeneous(model, [m, s], target)


@pytest.mark.parametrize("n", [2, 3, 5])
def test_few_rows(n):
    X = np.random.default_rng(0).uniform(1, 5, (n, 2))
    model = MergedNetRegressor(units=[m, s], target_unit=SPEED, random_state=0).fit(X, 2 * X[:, 0] / X[:, 1])
    assert_allclose(model.predict(X), 2 * X[:, 0] / X[:, 1])


def test_zeros_and_signs():
    rng = np.random.default_rng(0)
    X = rng.uniform(-3, 3, (80, 2))
    X[:5, 0] = 0.0
    y = noisy(2 * X[:, 0] ** 2 + 3 * X[:, 0] * X[:, 1], 0.03, rng)
    model = MergedNetRegressor(units=[m, m], target_unit={"m": 2}, random_state=0).fit(X, y)
    assert_homogeneous(model, [m, m], {"m": 2})
    assert model.score(X, y) > 0.99


def test_many_rows():
    rng = np.random.default_rng(0)
    X = rng.uniform(1, 5, (20_500, 2))
    y = noisy(X[:, 0] / X[:, 1], 0.05, rng)
    model = MergedNetRegressor(units=[m, s], target_unit=SPEED, random_state=0).fit(X, y)
    assert_allclose(model.predict(X), X[:, 0] / X[:, 1], rtol=0.02)


# --- text


def test_text_is_a_mapping():
    pytest.importorskip("pint")
    X, y = energy()
    text = dict(units={0: "g", 1: "km/h", "x2": "mm"}, target_unit="kJ", constant_units=["m/s^2"])
    plain = dict(link="identity", functions=(), random_state=0)
    by_text = MergedNetRegressor(**plain, **text).fit(X, y)
    by_mapping = MergedNetRegressor(**plain, **UNITS_OF_ENERGY).fit(X, y)
    assert_allclose(by_text.predict(X), by_mapping.predict(X))
    mixed = dict(units=["kg", SPEED, "mm"], target_unit="J", constant_units=["m/s^2"])
    assert_allclose(MergedNetRegressor(**plain, **mixed).fit(X, y).predict(X), by_mapping.predict(X))
    numbers = MergedNetRegressor(**plain, units=["", None, {}], target_unit=" ")
    assert numbers.fit(X, y).score(X, y) > 0.9


@pytest.mark.parametrize(
    ("unit", "words"),
    [
        ("degC", "unit with an offset.*kelvin"),
        ("°C", "unit with an offset.*kelvin"),
        ("dB", "logarithm"),
        ("Np", "logarithm"),
        ("pH", "logarithm"),
        ("m s-1 foobar", "'foobar' is not defined"),
        ("2 m", "without a number"),
        ("furlongs per foo", "pint cannot read"),
        ("m**", "pint cannot read"),
    ],
)
def test_text_that_is_no_unit(unit, words):
    pytest.importorskip("pint")
    X, y = energy()
    with pytest.raises(ValueError, match=rf"units\[1\].*{re.escape(repr(unit))}.*{words}"):
        MergedNetRegressor(**UNITS_OF_ENERGY | dict(units=[kg, unit, m])).fit(X, y)


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("m s-1", SPEED),
        ("m.s-1", SPEED),
        ("m s⁻¹", SPEED),
        ("m s−1", SPEED),  # the minus sign of typesetters
        ("kg m-3", {"kg": 1, "m": -3}),
        ("kg·m/s²", {"kg": 1, "m": 1, "s": -2}),
        ("W m-1 K-1", {"kg": 1, "m": 1, "s": -3, "K": -1}),
        ("MPa m0.5", {"kg": 1, "m": -0.5, "s": -2}),
        ("mmH2O", {"kg": 1, "m": -1, "s": -2}),
        ("m2", {"m": 2}),
        ("µm", m),
        ("Å", m),
        ("at%", {}),
        ("-", {}),
        ("1", {}),
    ],
)
def test_notations_of_tables(text, unit):
    pytest.importorskip("pint")
    assert read(text, "") == read(unit, "")


def test_units_of_pint():
    pint = pytest.importorskip("pint")
    registry = pint.UnitRegistry()
    for own in (registry, pint.get_application_registry()):
        assert read(own.Unit("km/h"), "") == read(own.Quantity(1, "km/h"), "") == read(SPEED, "")
    with pytest.raises(ValueError, match=r"units\[0\] is .*2.*quantity: only its unit counts"):
        read(registry.Quantity(2, "m"), "units[0]")
    with pytest.raises(ValueError, match=r"units\[0\] is 'degree_Celsius'.*add 273.15"):
        read(registry.Unit("degC"), "units[0]")
    X, y = energy()
    by_mapping = MergedNetRegressor(random_state=0, **UNITS_OF_ENERGY).fit(X, y)
    given = dict(units=[pint.Unit("g"), pint.Unit("km/h"), "mm"], target_unit=pint.Unit("kJ"))
    by_unit = MergedNetRegressor(random_state=0, constant_units=[pint.Quantity("1 m/s^2")], **given)
    assert_allclose(pickle.loads(pickle.dumps(clone(by_unit).fit(X, y))).predict(X), by_mapping.predict(X))


def test_word_of_one_feature_is_said():
    X, y = energy()
    wrong = UNITS_OF_ENERGY | dict(units=[kg, {"m": 1, "sec": -1}, m], link="identity", functions=())
    with pytest.warns(UserWarning, match=r"x1 alone has \['sec'\], so that no law can hold x1"):
        MergedNetRegressor(random_state=0, **wrong).fit(X, y)


def test_units_in_a_grid():
    X, y = energy()
    grid = [{"units": [UNITS_OF_ENERGY["units"]], "target_unit": [ENERGY], "constant_units": [[ACCELERATION]]}]
    plain = MergedNetRegressor(link="identity", functions=(), random_state=0)
    search = GridSearchCV(plain, [*grid, {"units": [None]}], cv=2, error_score="raise").fit(X, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def test_text_without_pint(monkeypatch):
    real = builtins.__import__

    def without_pint(name, *args, **kwargs):
        if name == "pint":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_pint)
    X, y = energy()
    with pytest.raises(ImportError, match=r"units\[0\].*pip install pint.*exponents of base dimensions"):
        MergedNetRegressor(**UNITS_OF_ENERGY | dict(units=["kg", SPEED, m])).fit(X, y)


# --- errors


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (dict(units={"x0": kg, "x1": SPEED}), r"the unit of 'x2' is missing.*\"\""),
        (dict(units={"x0": kg, 0: kg, 1: SPEED, 2: m}), "x0 twice"),
        (dict(units={"z": kg}), "no column 'z'"),
        (dict(units=[kg]), "1 entries for 3 features"),
        (dict(units="kg"), "no dict"),
        (dict(units=[kg, 5, m]), r"units\[1\] \(x1\) is 5, which is no unit"),
        (dict(units=[kg, {"m": "1"}, m]), "number as exponent"),
        (dict(units=[kg, {"m": np.inf}, m]), "number as exponent"),
        (dict(units=[kg, {"degC": 1}, m]), "kelvin"),
        (dict(target_unit=None), "target_unit is missing"),
        (dict(target_unit=3), "target_unit is 3"),
        (dict(target_unit={"K": 1}), r"temperature\^1 is missing.*constant_units"),
        (
            dict(target_unit={"N": 1}),
            r"target_unit holds \['N'\], which is in the unit of no feature.*dimension of its own",
        ),
        (dict(constant_units="J/K"), "is no list"),
        (dict(constant_units=[{str(i): 1} for i in range(5)]), "5 units"),
        (dict(units=None), "target_unit needs units"),
        (dict(units=None, target_unit=None), "constant_units needs units"),
        (dict(n_nodes=2), "n_nodes=2.*units"),
        (dict(blend=0.5), "blend=0.5.*units"),
        (dict(exponents={0: 1}), "exponents=.*units"),
        (dict(simplify=False), "simplify=False.*units"),
        (dict(link="exp"), "needs a y without dimension"),
        (dict(offset=2), "offset: x2 has the unit length"),
    ],
)
def test_errors(changes, words):
    X, y = energy()
    with pytest.raises(ValueError, match=words):
        MergedNetRegressor(**UNITS_OF_ENERGY | changes).fit(X, y)


def test_missing_constant_is_said():
    X, y = energy()
    with pytest.warns(UserWarning, match="constant_units"):
        MergedNetRegressor(random_state=0, **UNITS_OF_ENERGY | dict(constant_units=())).fit(X, y)


def test_offset_has_the_unit_of_y():
    X, y = energy()
    known = 9.81 * X[:, 0] * X[:, 2]
    given = dict(units=[kg, SPEED, m, ENERGY], target_unit=ENERGY, offset=3, random_state=0)
    model = MergedNetRegressor(**given).fit(np.column_stack([X, known]), y)
    assert_allclose(model.A_[0, 0], [[1, 2, 0, 0]])
