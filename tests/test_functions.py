"""Laws with functions of products as factors: exp, log, cos and powers of 1 + c Q."""

import copy
import pickle
import re
from itertools import combinations
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from skmerge import MergedNetRegressor
from skmerge._net import products
from skmerge._net.function_ranking import Choice, Ranking
from skmerge._net.functions import KINDS, Functions

RNG = np.random.default_rng(0)

# Formulae of physics that are no sums of products, nor these through a link, with the ranges of their features.
FORMULAE = {
    "diffraction": (lambda I, J, d: I + J + 2 * np.sqrt(I * J) * np.cos(d), [(1, 5), (1, 5), (1, 5)]),
    "torque": (lambda m, r, a: m * r * np.sin(a), [(1, 5), (1, 5), (1, 5)]),
    "Arrhenius": (lambda k, E, T: k * np.exp(-E / T), [(1, 5), (1, 5), (1, 4)]),
    "barometer": (lambda n, m, h, T: n * np.exp(-m * h / T), [(1, 5), (1, 2), (1, 3), (1, 4)]),
    "velocities": (lambda u, v, c: (u + v) / (1 + u * v / c**2), [(1, 5), (1, 5), (1, 5)]),
    "distance": (lambda q, x, y: q * np.sqrt(x**2 + y**2), [(1, 5), (1, 5), (1, 5)]),
    "creep": (lambda n, s, A, T: n * np.log(s) + np.log(A) - 3 / T, [(1, 5), (1, 5), (1, 5), (0.2, 2)]),
}


def drawn(name, n=120, noise=0.0, rng=None):
    law, ranges = FORMULAE[name]
    rng = rng or np.random.default_rng(len(name))
    X = rng.uniform(*np.transpose(ranges), (n, len(ranges)))
    y = law(*X.T)
    return X, y + noise * y.std() * rng.normal(size=n)


def names_of(name):
    return [f"x{j}" for j in range(len(FORMULAE[name][1]))]


def some_functions(kind, exponent, factor, phase):
    return Functions(
        np.array([kind, "exp"]), np.array([exponent, [1.0, 0.0]]), np.array([factor, 0.3]), np.array([phase, 0.0]),
        np.ones((2, 2), bool),
    )  # fmt: skip


def price_of(A):
    """As `products.price_of`, exponent by exponent."""
    simple = {0.0: 0, 1.0: 1, 2.0: 2, 0.5: 2, 3.0: 3, 1.5: 3, 4.0: 3}
    return sum(simple.get(abs(power), 4) for column in np.transpose(A) for power in set(column))


@given(st.integers(1, 6), st.integers(1, 4), st.integers(0, 2**31))
def test_the_price_of_exponents(n_terms, d, seed):
    rng = np.random.default_rng(seed)
    powers = [0.0, -0.0, 0.5, -0.5, 1.0, -1.0, 1.5, 2.0, -2.0, 2.5, 3.0, -4.0, 4.5, 30.0, 1 / 3, 3.9]
    A = rng.choice(powers, (n_terms, d))
    assert products.price_of(A) == price_of(A)


@given(st.integers(5, 40), st.integers(1, 8), st.integers(0, 2**31))
def test_description_lengths_of_functions(n, m, seed):
    """All functions at once, and each with every pair of terms by least squares."""
    rng = np.random.default_rng(seed)
    A = np.unique(rng.choice([-1.0, 0.0, 0.5, 1.0], (m, 2)), axis=0)
    X, Q = rng.uniform(1, 5, (n, 2)), rng.uniform(1, 5, n)
    factors = np.exp(np.log(X) @ A.T)
    factors /= np.linalg.norm(factors, axis=0)
    target = rng.normal(size=n)
    target /= np.linalg.norm(target)
    table = SimpleNamespace(n=n, d=2, A=A, factors=factors, target=target, price=np.zeros(len(A)))
    trials = [Choice("exp", np.ones(2), c, 0.0, 1.0, np.inf) for c in (-1.0, 0.3)]
    trials.append(Choice("shifted", np.ones(2), -1.0, 0.0, -0.5, np.inf))
    found = Ranking(table, ("exp", "shifted"))._lengths(trials, Q)
    assert np.isinf(found[-1]).all()  # the root of a negative number
    for trial, (one, pair) in zip(trials[:2], found[:2], strict=True):
        times = factors * np.exp(trial.factor * Q)[:, None]
        terms = [(column / np.linalg.norm(column), [*a, 1.0]) for column, a in zip(times.T, A, strict=True)]
        ones = [n * np.log(1 - (target @ column) ** 2) + price_of([code]) - np.log(n) for column, code in terms]
        pairs = []
        plain = [(column, [*a, 0.0]) for column, a in zip(factors.T, A, strict=True)]
        for (first, code), (second, other) in combinations(terms + plain, 2):
            if code[-1]:  # of two terms without the function nothing is said
                left = 1 - (first @ second) ** 2
                squares = np.linalg.lstsq(np.column_stack([first, second]), target)[1][0] if left > 1e-3 else 1.0
                pairs.append(n * np.log(squares) + price_of([code, other]))
        assert_allclose([one, pair], [min(ones), min(ones + pairs)], rtol=1e-6, atol=1e-6)


@given(
    st.sampled_from(list(KINDS)), st.tuples(st.sampled_from([-2.0, -1.0, 0.5, 1.0, 2.0]), st.sampled_from([-1.0, 1.0])),
    st.floats(-2, 2).filter(lambda c: abs(c) > 1e-3), st.floats(-1, 1), st.integers(0, 2**31),
)  # fmt: skip
def test_derivatives_of_a_function(kind, exponent, factor, phase, seed):
    functions = some_functions(kind, list(exponent), factor, phase)
    Z = np.random.default_rng(seed).uniform(0.5, 2.0, (5, 2))
    step = 1e-6
    if kind == "log":  # away from its pole
        u = factor * functions.product(0, Z) + phase
        Z = Z[np.abs(u) > 0.1]
    for j in range(2):
        change = step * (np.arange(2) == j)
        slope = (functions.columns(Z + change) - functions.columns(Z - change)) / (2 * step)
        assert_allclose(functions.by_features(Z)[:, :, j], slope, rtol=1e-4, atol=1e-6)
    flat = functions.parameters
    for p in range(4):
        change = step * (np.arange(4) == p)
        above, below = (functions.with_parameters(flat + side * change).columns(Z) for side in (1, -1))
        assert_allclose(functions.by_parameters(Z).reshape(len(Z), 4)[:, p], ((above - below) / (2 * step))[:, p // 2],
                        rtol=1e-4, atol=1e-6)  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_a_function_is_finite_everywhere(kind):
    x = np.array([-1e308, -1e200, -1.0, -1e-308, 0.0, 1e-308, 1.0, 1e200, 1e308])
    for e in (-2.0, -1.0, -0.5, 0.5, 1.0, 3.0):
        functions = some_functions(kind, [e, 1.0], 1.3, 0.1)
        Z = np.column_stack([x, x[::-1]])
        for values in (functions.columns(Z), functions.by_features(Z), functions.by_parameters(Z)):
            assert np.isfinite(values).all()


@pytest.mark.parametrize("name", FORMULAE)
def test_a_law_without_noise_is_exact_beyond_the_data(name):
    X, y = drawn(name)
    model = MergedNetRegressor(random_state=0).fit(X, y)
    law, ranges = FORMULAE[name]
    low, high = np.transpose(ranges)
    new = np.random.default_rng(1).uniform(high, 1.5 * high, (50, len(low)))
    if name == "distance":  # not of powers alone
        assert len(model.functions_["kind"]) or model.link_ == ["sqrt"]
    else:
        assert len(model.functions_["kind"])
    assert_allclose(model.predict(new), law(*new.T), rtol=1e-7, atol=1e-7 * np.abs(y).max())
    assert_allclose(eval(model.formula().python, {"np": np, **dict(zip(names_of(name), new.T, strict=True))}),
                    model.predict(new), rtol=1e-9, atol=1e-12)  # fmt: skip


@pytest.mark.parametrize("name", ["diffraction", "barometer", "velocities"])
def test_slopes_are_those_of_the_prediction(name):
    X, y = drawn(name, noise=0.03)
    model = MergedNetRegressor(random_state=0).fit(X, y)
    assert len(model.functions_["kind"])
    for j in range(X.shape[1]):
        step = 1e-5 * (np.arange(X.shape[1]) == j)
        slope = (model.predict(X + step) - model.predict(X - step)) / 2e-5
        assert_allclose(model.predict_gradient(X)[:, j], slope, rtol=1e-5, atol=1e-6 * np.abs(y).max())


def test_a_law_is_written_as_a_physicist_would():
    X, y = drawn("torque")
    formula = MergedNetRegressor(random_state=0).fit(X, y).formula(["m", "r", "a"])
    assert str(formula) == "y = 1.00 m r sin(1.00 a)"
    assert formula.latex == r"y = 1.00\,m\,r\,\sin\!\left(1.00\,a\right)"
    assert formula.terms[0].exponent.tolist()[:2] == [1.0, 1.0]
    X, y = drawn("velocities")
    text = str(MergedNetRegressor(random_state=0).fit(X, y).formula(["u", "v", "c"]))
    assert "(1 + 1.00 u v c^-2.00)^-1.00" in text


def test_the_same_law_in_units_far_from_one():
    X, y = drawn("Arrhenius", noise=0.02)
    model, unit = MergedNetRegressor(random_state=0).fit(X, y), np.array([1e30, 1e-4, 1e-25])
    other = MergedNetRegressor(random_state=0).fit(X * unit, y * 1e-20)
    assert_allclose(other.predict(X * unit), 1e-20 * model.predict(X), rtol=1e-7)
    value = eval(other.formula().python, {"np": np, **dict(zip(names_of("Arrhenius"), (X * unit).T, strict=True))})
    assert_allclose(value, other.predict(X * unit), rtol=1e-7)


def test_standard_errors_of_what_is_in_a_function():
    """The factor of the argument of a cosine, over draws of the noise."""
    X, _ = drawn("torque", 60)
    off = []
    for seed in range(5):
        y = 2 * X[:, 0] * np.cos(1.3 * X[:, 2])
        y = y + 0.1 * y.std() * np.random.default_rng(seed).normal(size=len(y))
        model = MergedNetRegressor(functions=["cos"], link="identity", random_state=0).fit(X, y)
        if model.functions_["kind"].tolist() == ["cos"] and not model.functions_["phase"].any():
            c = model.functions_["factor"][0] / model.x_scale_[2]
            error = np.sqrt(model.covariance_[0][-2, -2]) / model.x_scale_[2]
            off.append((c - 1.3) / error)
    assert len(off) > 3
    # Well below 1: the data chose the simple phase, and its error counts, as that of such an exponent.
    assert 0.1 < np.sqrt(np.mean(np.square(off))) < 1.3
    assert re.search(r"cos\(1\.3\d\(±", str(model.formula(standard_errors=True)))


def test_return_std_covers_the_truth():
    inside = []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        X, y = drawn("Arrhenius", 60, 0.05, rng)
        model = MergedNetRegressor(random_state=0).fit(X, y)
        new = drawn("Arrhenius", 300, rng=rng)[0]
        value, std = model.predict(new, return_std=True)
        inside.append(np.mean(np.abs(value - FORMULAE["Arrhenius"][0](*new.T)) <= 2 * std))
    assert np.mean(inside) > 0.9


def test_features_that_are_zero_or_negative_are_arguments():
    """An oscillation from t = 0 on, a decay from t = 0 on, an angle of both signs."""
    t = np.linspace(0.0, 6.0, 80)
    noise = 0.02 * RNG.normal(size=80)
    for y in (3 * np.cos(2.5 * t) + 1, 2 + 5 * np.exp(-0.7 * t)):
        model = MergedNetRegressor(random_state=0).fit(t[:, None], y + noise)
        assert len(model.functions_["kind"])
        assert np.sqrt(np.mean((model.predict(t[:, None]) - y) ** 2)) < 0.02
    angle, r = RNG.uniform(-3, 3, 80), RNG.uniform(1, 3, 80)
    X = np.column_stack([r, angle])
    model = MergedNetRegressor(random_state=0).fit(X, r * np.sin(angle))
    assert_allclose(model.predict(-X + [4, 0]), (4 - r) * np.sin(-angle), rtol=1e-7, atol=1e-9)


def test_a_cycle_of_many_periods_is_found():
    """Twenty years of months in noise as large as the cycle; NIST's ENSO is such a table, and gave a constant."""
    rng = np.random.default_rng(3)
    month = np.arange(1.0, 241.0)
    y = 10 + 3 * np.cos(2 * np.pi * month / 12 + 0.4) + 3 * rng.normal(size=240)
    model = MergedNetRegressor(random_state=0).fit(month[:, None], y)
    (factor,) = model.functions_["factor"] / model.x_scale_
    error = np.sqrt(model.covariance_[0][-2, -2]) / model.x_scale_[0]  # that of a free phase, even where it is simple
    assert factor == pytest.approx(2 * np.pi / 12, abs=3 * error) and error < 0.01


def test_noise_has_no_function():
    for seed in range(4):
        rng = np.random.default_rng(seed)
        model = MergedNetRegressor(random_state=0).fit(rng.uniform(1, 5, (45, 3)), rng.normal(size=45))
        assert not len(model.functions_["kind"])


def test_no_functions_where_none_are_wanted():
    X, y = drawn("torque", noise=0.02)
    model = MergedNetRegressor(functions=(), random_state=0).fit(X, y)
    assert not len(model.functions_["kind"]) and model.A_.shape[-1] == 3
    only = MergedNetRegressor(functions=["exp"], random_state=0).fit(X, y)
    assert set(only.functions_["kind"]) <= {"exp", "expm1", "rise"}
    for wrong in ("exp", ["tan"], 3):
        with pytest.raises((TypeError, ValueError), match="functions"):
            MergedNetRegressor(functions=wrong).fit(X, y)


@pytest.mark.parametrize(
    "law, text",
    [
        (lambda t, T: 5 * T * (1 - np.exp(-t / 3)), r"5.0\d T .1 - exp.-0.3\d+ t.."),
        (lambda t, T: t**3 / (np.exp(1.2 * t / T) - 1), r"1.0\d t.3.00 .exp.1.2\d+ t T.-1.00. - 1..-1.00"),
    ],
)
def test_what_charges_and_what_radiates_is_told(law, text):
    rng = np.random.default_rng(3)
    X = rng.uniform(0.5, [9, 5], (60, 2))
    y = law(*X.T) * (1 + 0.02 * rng.normal(size=60))
    model = MergedNetRegressor(noise="relative", random_state=0).fit(X, y)
    assert re.fullmatch(f"y = {text}", str(model.formula(["t", "T"]))), model.formula(["t", "T"])
    assert_allclose(model.predict(2 * X), law(*(2 * X).T), rtol=0.1)


def test_outputs_have_functions_of_their_own():
    X, _ = drawn("torque", 100)
    y = np.column_stack([X[:, 0] * np.cos(X[:, 2]), X[:, 0] * X[:, 1], X[:, 1] * np.exp(-X[:, 2])])
    y[:3, 0] = np.nan
    model = MergedNetRegressor(random_state=0).fit(X, y)
    assert sorted(model.functions_["kind"]) == ["cos", "exp"]
    new = X[::-1] * 1.2
    truth = np.column_stack([new[:, 0] * np.cos(new[:, 2]), new[:, 0] * new[:, 1], new[:, 1] * np.exp(-new[:, 2])])
    assert_allclose(model.predict(new), truth, rtol=1e-7, atol=1e-9)
    assert model.predict_gradient(new).shape == (100, 3, 3)
    assert len(str(model.formula(standard_errors=True)).splitlines()) == 3
    chosen = [one for laws in model.laws_ for one in laws if one["is_chosen"]]
    assert len(chosen) == 3
    for k, one in enumerate(chosen):
        value = eval(one["python"], {"np": np, **dict(zip(["x0", "x1", "x2"], new.T, strict=True))})
        assert_allclose(value, truth[:, k], rtol=1e-7, atol=1e-9)


def test_weights_are_repetitions_and_the_order_of_rows_is_none():
    X, y = drawn("diffraction", 60, 0.03)
    weight = np.random.default_rng(2).integers(1, 4, 60)
    first = MergedNetRegressor(random_state=0).fit(X, y, sample_weight=weight)
    again = MergedNetRegressor(random_state=0).fit(np.repeat(X, weight, axis=0)[::-1], np.repeat(y, weight)[::-1])
    assert len(first.functions_["kind"])
    assert_array_equal(first.predict(X), again.predict(X))


def test_beyond_a_root_a_law_is_said_not_to_apply():
    rng = np.random.default_rng(0)
    X = rng.uniform([1, 1, 3], [5, 2, 10], (100, 3))
    model = MergedNetRegressor(link="identity", random_state=0).fit(
        X, X[:, 0] / np.sqrt(1 - X[:, 1] ** 2 / X[:, 2] ** 2)
    )
    assert model.functions_["kind"].tolist() == ["shifted"]
    inside, beyond = model.applicability([[3, 1.5, 5], [3, 4.0, 3.5]])
    assert inside == 0 and beyond >= 1


def test_a_pickled_model_predicts_the_same_and_a_damaged_one_raises():
    X, y = drawn("velocities", noise=0.02)
    model = MergedNetRegressor(random_state=0).fit(X, y)
    assert_array_equal(pickle.loads(pickle.dumps(model)).predict(X), model.predict(X))
    for name, value in (
        ("kind", np.array(["tan"])), ("factor", np.array([np.nan])), ("exponent", np.zeros((2, 3))), ("free", None),
    ):  # fmt: skip
        damaged = copy.deepcopy(model)
        damaged.functions_[name] = value
        with pytest.raises(ValueError, match="functions_"):
            damaged.predict(X)
