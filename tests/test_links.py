"""Laws through a link: y = h(u), u a sum of nodes."""

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from skmerge import MergedNetRegressor
from skmerge._net.links import LINKS

RNG = np.random.default_rng(0)

# Formulae of physics that are no sums of products, with the ranges of their features.
FORMULAE = {
    "sqrt": (lambda k, m, M: np.sqrt(k * (m + M) / (m * M)), [(1, 5)] * 3),  # frequency of a diatomic molecule
    "reciprocal": (lambda R, r, s: 1 / (1 / R + 1 / r + 1 / s), [(1, 5)] * 3),  # parallel resistances
    "reciprocal_sqrt": (lambda m, v, c: m / np.sqrt(1 - v**2 / c**2), [(1, 5), (1, 2), (3, 10)]),  # relativistic mass
    "exp": (lambda A, B, T: np.exp(A - B / T), [(1, 3), (1, 5), (1, 4)]),  # vapour pressure
}


def drawn(name, n=100, noise=0.0):
    law, ranges = FORMULAE[name]
    low, high = np.transpose(ranges)
    X = RNG.uniform(low, high, (n, len(low)))
    y = law(*X.T)
    return X, y + noise * y.std() * RNG.normal(size=n)


@given(st.sampled_from(list(LINKS)), st.floats(1e-3, 1e3))
def test_derivative_and_inverse_of_a_link(name, u):
    link, step = LINKS[name], 1e-6 * u
    if name == "exp":
        u = np.log(u)
    u = np.array([u])
    slope = (link.value(u + step) - link.value(u - step)) / (2 * step)
    assert_allclose(link.slope(u), slope, rtol=1e-6)
    assert_allclose(link.inverse(link.value(u)), u, rtol=1e-9, atol=1e-12)
    if link.power is not None:
        assert_allclose(link.value(u * 7**link.power), 7 * link.value(u), rtol=1e-12)
    else:
        assert_allclose(link.value(u + np.log(7)), 7 * link.value(u), rtol=1e-12)


@pytest.mark.parametrize("name", LINKS)
def test_a_link_is_finite_everywhere(name):
    u = np.array([-1e308, -1e200, -1.0, -1e-308, 0.0, 1e-308, 1.0, 1e200, 1e308])
    assert np.isfinite(LINKS[name].value(u)).all()
    assert np.isfinite(LINKS[name].slope(u)).all()


@pytest.mark.parametrize("name", FORMULAE)
def test_a_law_without_noise_is_exact_beyond_the_data(name):
    X, y = drawn(name)
    model = MergedNetRegressor(functions=(), random_state=0).fit(X, y)
    assert model.link_ == [name]
    law, ranges = FORMULAE[name]
    low, high = np.transpose(ranges)
    beyond = RNG.uniform(low, high + 0.3 * (high - low), (200, 3))
    assert_allclose(model.predict(beyond), law(*beyond.T), rtol=1e-8)
    # The formula, the slopes and the standard deviations go through the link too.
    formula = model.formula(["a", "b", "c"])
    assert_allclose(eval(formula.python, {"np": np} | dict(zip("abc", beyond.T, strict=True))), model.predict(beyond))
    slopes = model.predict_gradient(beyond)
    for j in range(3):
        step = 1e-5 * np.eye(3)[j]
        rise = (law(*(beyond + step).T) - law(*(beyond - step).T)) / 2e-5
        assert_allclose(slopes[:, j], rise, rtol=1e-5, atol=1e-6 * np.abs(rise).max() + 1e-7)
    assert str(formula).startswith({"sqrt": "y = sqrt(", "exp": "y = exp("}.get(name, "y = 1 / "))
    assert (r"\sqrt" in formula.latex) == ("sqrt" in name)


def test_noise_does_not_hide_a_root():
    X, y = drawn("sqrt", 200, 0.05)
    model = MergedNetRegressor(functions=(), random_state=0).fit(X, y)
    assert model.link_ == ["sqrt"]
    new, truth = drawn("sqrt", 500)
    error = model.predict(new) - truth
    assert np.sqrt(np.mean(error**2)) < 0.02 * truth.std()
    # Errors are those of y: the noise, and standard deviations that hold the curve.
    assert_allclose(model.noise_std_, 0.05 * y.std(), rtol=0.2)
    std = model.predict(new, return_std=True)[1]
    assert 0.1 < np.sqrt(np.mean((error / std) ** 2)) < 1.5  # exponents that the data chose count as fitted
    for law in model.laws_:
        assert law["validation_error"] > 0.03 * y.std()
    assert sum(law["is_chosen"] for law in model.laws_) == 1


@pytest.mark.parametrize("name", ["sqrt", "exp"])
def test_other_units_change_nothing(name):
    X, y = drawn(name, 60, 0.02)
    one = MergedNetRegressor(link=name, random_state=0).fit(X, y)
    other = MergedNetRegressor(link=name, random_state=0).fit(X * [1e3, 1.0, 1e-3], 1e6 * y)
    assert one.link_ == other.link_ == [name]
    assert_allclose(other.predict(X * [1e3, 1.0, 1e-3]), 1e6 * one.predict(X), rtol=1e-6)
    assert_allclose(other.noise_std_, 1e6 * one.noise_std_, rtol=1e-6)


def test_weights_are_repetition():
    X, y = drawn("reciprocal", 60, 0.03)
    weight = np.r_[np.full(20, 2.0), np.ones(40)]
    twice = MergedNetRegressor(link="reciprocal", random_state=0).fit(np.r_[X, X[:20]], np.r_[y, y[:20]])
    weighted = MergedNetRegressor(link="reciprocal", random_state=0).fit(X, y, sample_weight=weight)
    assert_array_equal(weighted.predict(X), twice.predict(X))


def test_a_link_that_is_asked_for_is_taken_for_each_output():
    X, y = drawn("exp", 60)
    both = MergedNetRegressor(link="exp", random_state=0).fit(X, np.column_stack([y, 3 * y**2]))
    assert_array_equal(both.link_, ["exp", "exp"])
    assert_allclose(both.predict(X), np.column_stack([y, 3 * y**2]), rtol=1e-8)
    loaded = pickle.loads(pickle.dumps(both))
    assert_array_equal(loaded.predict(X), both.predict(X))
    loaded.link_ = np.array(["exp", "tan"])
    with pytest.raises(ValueError, match="link_"):
        loaded.predict(X)


def test_a_link_needs_positive_y():
    X, y = drawn("exp", 40)
    with pytest.raises(ValueError, match=r'link="exp" needs positive y.*40 of 40'):
        MergedNetRegressor(link="exp", random_state=0).fit(X, -y)
    with pytest.raises(ValueError, match="link='tan' is not possible"):
        MergedNetRegressor(link="tan").fit(X, y)
    assert MergedNetRegressor(random_state=0).fit(X, -y).link_ == ["identity"]


def test_errors_are_relative_through_a_link_too():
    X, y = drawn("exp", 120)
    y = y * np.exp(0.05 * RNG.normal(size=len(y)))
    model = MergedNetRegressor(link="exp", noise="relative", random_state=0).fit(X, y)
    assert_allclose(model.noise_std_, 0.05, rtol=0.3)
    truth = FORMULAE["exp"][0](*X.T)
    assert np.median(np.abs(model.predict(X) / truth - 1)) < 0.03


def test_gaps_and_an_offset():
    X, y = drawn("reciprocal", 100)
    gaps = X.copy()
    gaps[:20, 1] = np.nan
    model = MergedNetRegressor(link="reciprocal", offset=lambda X: 2.0 * np.nan_to_num(X[:, 0]), random_state=0)
    model.fit(gaps, y + 2.0 * X[:, 0])
    assert_allclose(model.predict(X), y + 2.0 * X[:, 0], rtol=5e-3)  # rows with gaps take part with little weight
    assert str(model.formula()).startswith("y = offset(X) + 1 / (")


def test_a_link_is_kept_where_noise_is_large():
    """Errors above those of a law that needs no comparison with a committee: the law without a link was kept."""
    rng = np.random.default_rng(5)
    X = rng.uniform(1, 10, (25, 2))
    truth = X[:, 0] * X[:, 1] / X.sum(axis=1)
    model = MergedNetRegressor(functions=(), random_state=0).fit(X, truth * (1 + 0.05 * rng.normal(size=25)))
    assert model.link_ == ["reciprocal"]
    assert np.sqrt(np.mean((model.predict(X) - truth) ** 2)) < 0.06
    (chosen,) = (law for law in model.laws_ if law["is_chosen"])
    assert chosen["n_parameters"] == 2 and chosen["validation_error"] < 1.05 * min(
        law["validation_error"] for law in model.laws_
    )


def test_three_simple_terms_are_found_together():
    X = np.random.default_rng(0).uniform(1, 5, (60, 3))
    y = (X**2).sum(axis=1)
    assert (
        str(MergedNetRegressor(random_state=0).fit(X, y).formula()) == "y = 1.00 x0^2.00 + 1.00 x1^2.00 + 1.00 x2^2.00"
    )
    length = MergedNetRegressor(random_state=0).fit(X, np.sqrt(y))
    assert str(length.formula()) == "y = sqrt(1.00 x0^2.00 + 1.00 x1^2.00 + 1.00 x2^2.00)"


def test_no_constant_comes_back_as_a_product():
    rng = np.random.default_rng(0)
    X = rng.uniform(1, 5, (60, 2))
    y = 3 + 0.3 * X[:, 0] * X[:, 1]
    model = MergedNetRegressor(intercept=False, random_state=0).fit(X, y + 0.03 * y.std() * rng.normal(size=60))
    assert (model.A_ != 0).any(axis=-1)[model.B_ != 0].all() and not model.D_.any()


def test_without_intercept_an_exponential_has_no_prefactor():
    rng = np.random.default_rng(1)
    X = rng.uniform(0.5, 2, (40, 2))
    y = np.exp(2 * X[:, 0])
    given = dict(link="exp", intercept=False, random_state=0)
    model = MergedNetRegressor(**given).fit(X, y)
    assert str(model.formula()) == "y = exp(2.00 x0)"
    assert_allclose(model.predict(X), y, rtol=1e-12)
    noisy = y * (1 + 0.02 * rng.normal(size=40))
    model = MergedNetRegressor(**given).fit(X, noisy)
    assert model.validation_error_[0] < 1.2 * np.std(noisy - y)  # in units of y
    assert_allclose(model.predict(X), y, rtol=0.01)
    # A prefactor is no part of what is asked for, not even as a power of about zero.
    model = MergedNetRegressor(**given).fit(X, 5 * y)
    assert not model.D_.any()
    assert not np.isclose(np.abs(model.A_[0, 0]).sum(axis=1), 0, atol=0.02)[model.B_[0, 0] != 0].any()
    assert 1e-9 < np.abs(model.predict(X) / (5 * y) - 1).max() < 0.1
    assert MergedNetRegressor(link="exp", random_state=0).fit(X, 5 * y).predict(X) == pytest.approx(5 * y)


def test_without_intercept_groups_share_an_exponential_without_prefactor():
    rng = np.random.default_rng(1)
    X = np.column_stack([rng.uniform(0.5, 2, 40), np.repeat([1.0, 2.0], 20)])
    model = MergedNetRegressor(link="exp", groups=1, intercept=False, random_state=0).fit(X, np.exp(X[:, 0] * X[:, 1]))
    assert str(model.formula()) == "y = exp(1.00 x0)  [x1 = 1]\ny = exp(2.00 x0)  [x1 = 2]"


def test_beyond_the_edge_of_a_root_nothing_is_certain():
    rng = np.random.default_rng(0)
    X = rng.uniform(1, 5, (60, 2))
    truth = np.sqrt(30 * X[:, 0] - X[:, 1] ** 2)
    model = MergedNetRegressor(link="sqrt", random_state=0).fit(X, truth + 0.03 * truth.std() * rng.normal(size=60))
    rows = [[0.83, 5.0], [0.8, 5.0], [0.5, 5.0]]
    mean, std = model.predict(rows, return_std=True)
    assert mean[1] == mean[2] == 0 and 0.1 < std[1] < std[2]
    assert model.applicability(rows)[0] < 1 <= model.applicability(rows)[2]


def test_a_link_that_is_not_used_is_said():
    X, y = drawn("sqrt", 60)
    with pytest.warns(UserWarning, match='link="sqrt" is not used'):
        model = MergedNetRegressor(12, link="sqrt", n_estimators=1, random_state=0).fit(X, y)
    assert model.link_ == ["identity"]
