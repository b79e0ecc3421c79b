"""MergedNetRegressor: laws recovered, invariances, uncertainty and priors."""

import re
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from sklearn.base import clone

from skmerge import MergedNetRegressor
from skmerge._net import comparison
from skmerge._net.objective import Objective, Scaling

RNG = np.random.default_rng(4)
X = RNG.uniform(0.5, 4.0, (40, 2))
BOTH = RNG.uniform(-3.0, 3.0, (40, 2))
POWER = 2 * X[:, 0] ** 1.5 / X[:, 1]
NOISY = POWER + 0.1 * RNG.normal(size=40)
NEW = RNG.uniform(0.2, 8.0, (50, 2))
NEW_BOTH = RNG.uniform(-6.0, 6.0, (50, 2))


def fit(X, y, sample_weight=None, **parameters):
    return MergedNetRegressor(**{"random_state": 0, **parameters}).fit(X, y, sample_weight)


# --- laws

LAWS = {
    "power": (lambda x: 2 * x[:, 0] ** 1.5 / x[:, 1], X, NEW),
    "sum": (lambda x: 2 * x[:, 0] + 3 * x[:, 1] - 4, X, NEW),
    "sum of both signs": (lambda x: 2 * x[:, 0] + 3 * x[:, 1] - 4, BOTH, NEW_BOTH),
    "product of both signs": (lambda x: x[:, 0] * x[:, 1], BOTH, NEW_BOTH),
    "spring": (lambda x: 0.5 * np.abs(x[:, 0]) * x[:, 1] ** 2, BOTH, NEW_BOTH),
    "sum of products": (lambda x: x[:, 0] * x[:, 1] + 3 * x[:, 0] ** -2, X, NEW),
    "saturation": (lambda x: 3 * x[:, 0] / (2 + x[:, 0]), X, NEW),
    "constant": (lambda x: np.full(len(x), 3.25), X, NEW),
    "zero": (lambda x: np.zeros(len(x)), X, NEW),
    "linear": (lambda x: 5 * x[:, 0] - 1, X, NEW),
}


@pytest.mark.parametrize("name", LAWS)
def test_law_is_recovered_and_extrapolates(name):
    law, seen, new = LAWS[name]
    model = fit(seen, law(seen))
    np.testing.assert_allclose(model.predict(new), law(new), rtol=1e-7, atol=1e-7)
    assert len(model.A_) == 1


@given(exponents=st.tuples(*[st.sampled_from([-2, -1, -0.5, 0.5, 1, 1.5, 2])] * 2), factor=st.floats(-1e3, 1e3))
@settings(deadline=None, max_examples=25)
def test_any_power_law(exponents, factor):
    y = factor * X[:, 0] ** exponents[0] * X[:, 1] ** exponents[1]
    truth = factor * NEW[:, 0] ** exponents[0] * NEW[:, 1] ** exponents[1]
    np.testing.assert_allclose(fit(X, y).predict(NEW), truth, rtol=1e-7)


def test_three_rows():
    model = fit(X[:3, :1], X[:3, 0] ** 2)
    np.testing.assert_allclose(model.predict(X[:3, :1]), X[:3, 0] ** 2, rtol=1e-9)
    assert str(model.formula()) == "y = 1.00 x0^2.00"


# --- invariances

ROUTES = [dict(), dict(n_nodes=2), dict(n_nodes=2, n_estimators=3), dict(n_nodes=12, n_estimators=3)]


def table_of(law, seed):
    """60 rows of three features, 5 % noise."""
    rng = np.random.default_rng(seed)
    table = rng.uniform(0.5, 4.0, (60, 3))
    y = law(table)
    return table, y + 0.05 * y.std() * rng.normal(size=60)


UNITS_ROUTES = {
    "one node": (dict(n_nodes=1), lambda x: x[:, 0] ** 1.5 / x[:, 1]),
    "two nodes": (dict(n_nodes=2), lambda x: x[:, 0] ** 1.5 / x[:, 1] + x[:, 1] * x[:, 2]),
    "three nodes": (
        dict(n_nodes=3),
        lambda x: x[:, 0] ** 1.5 / x[:, 1] + x[:, 1] * x[:, 2] - 3 * x[:, 0] / (1 + x[:, 2]),
    ),
    "blends": (dict(n_nodes=2, blend=0.4), lambda x: x[:, 0] * x[:, 1] + x[:, 2]),
    "a committee": (dict(n_nodes=12, n_estimators=3), lambda x: np.sin(2 * x[:, 0]) * x[:, 1] + x[:, 2]),
    "chosen": (dict(functions=("exp",)), lambda x: x[:, 0] ** 1.5 / x[:, 1] + x[:, 1] * x[:, 2]),
}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("route", UNITS_ROUTES)
def test_units_do_not_matter(route, seed):
    parameters, law = UNITS_ROUTES[route]
    table, y = table_of(law, seed)
    plain = fit(table, y, **parameters)
    for units in ((3, 3, 3, 3), (1e30, 1e-30, np.pi, 1e30), (1e-30, 7.3, 1e30, np.pi), (0.11, 3, 1e30, 1e-30)):
        units = np.array(units)
        scaled = fit(table * units[:3], y * units[3], **parameters)
        for rows in (table, 2 * table):
            expected = plain.predict(rows)
            found = scaled.predict(rows * units[:3]) / units[3]
            np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-8 * y.std())
        np.testing.assert_array_equal(scaled.sign_, plain.sign_)


def test_units_do_not_matter_to_a_committee_that_was_chosen():
    table, y = table_of(lambda x: np.sin(2 * x[:, 0]) * x[:, 1] + np.cos(3 * x[:, 2]), 0)
    plain, scaled = fit(table, y, functions=()), fit(table * [3, 1e30, 0.7], y * 1e-30, functions=())
    assert len(plain.A_) > 1
    np.testing.assert_allclose(1e30 * scaled.predict(table * [3, 1e30, 0.7]), plain.predict(table), rtol=1e-8)


@given(weight=st.lists(st.integers(0, 3), min_size=20, max_size=20).filter(lambda w: sum(map(bool, w)) > 3))
@settings(deadline=None, max_examples=8)
def test_weight_is_repetition(weight):
    weight = np.array(weight)
    for parameters in ROUTES[1:]:
        weighted = fit(X[:20], NOISY[:20], weight, **parameters)
        repeated = fit(np.repeat(X[:20], weight, axis=0), np.repeat(NOISY[:20], weight), **parameters)
        np.testing.assert_allclose(weighted.predict(NEW), repeated.predict(NEW), rtol=1e-9, atol=1e-12)
        assert str(weighted.formula()) == str(repeated.formula())


@given(order=st.permutations(range(20)))
@settings(deadline=None, max_examples=10)
def test_order_of_rows_does_not_matter(order):
    for parameters in ROUTES[1:]:
        plain = fit(X[:20], NOISY[:20], **parameters).predict(NEW)
        np.testing.assert_array_equal(fit(X[:20][order], NOISY[:20][order], **parameters).predict(NEW), plain)


@pytest.mark.parametrize("parameters", ROUTES)
def test_n_jobs_does_not_matter(parameters):
    Y = np.column_stack([NOISY, POWER])
    one, two = (fit(X, Y, n_jobs=n_jobs, **parameters) for n_jobs in (1, 2))
    for name in ("A_", "B_", "C_", "D_", "blend_", "sign_", "estimator_weight_", "validation_error_"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))


@pytest.mark.parametrize("parameters", ROUTES[1:])
def test_batch_does_not_matter(parameters):
    model = fit(X, NOISY, **parameters)
    rows = RNG.uniform(0.2, 8.0, (40_001, 2))
    whole, std = model.predict(rows, return_std=True)
    for size in (1, 7, 1000):
        part, part_std = model.predict(rows[-size:], return_std=True)
        np.testing.assert_allclose(part, whole[-size:], rtol=1e-13)
        np.testing.assert_allclose(part_std, std[-size:], rtol=1e-9)
    alone = model.predict(rows)
    np.testing.assert_array_equal(model.predict(rows[-1000:]), alone[-1000:])
    np.testing.assert_array_equal(model.set_params(n_jobs=2).predict(rows), alone)
    np.testing.assert_allclose(alone, whole, rtol=1e-9)


def test_seed_decides():
    for parameters in ROUTES[1:]:
        first, again = (fit(X, NOISY, random_state=7, **parameters).predict(NEW) for _ in range(2))
        np.testing.assert_array_equal(first, again)
    other = fit(X, NOISY, random_state=8, n_nodes=12, n_estimators=3).predict(NEW)
    assert not np.array_equal(first, other)


# --- several outputs


def test_outputs_with_gaps_equal_separate_fits():
    Y = np.column_stack([POWER, X[:, 0] + 2 * X[:, 1], X[:, 0] * X[:, 1] + 1])
    holes = RNG.random(Y.shape) < 0.3
    gappy = np.where(holes, np.nan, Y)
    model = fit(X, gappy)
    assert model.predict(NEW).shape == (50, 3) and model.predict_gradient(NEW).shape == (50, 3, 2)
    for k in range(3):
        alone = fit(X[~holes[:, k]], Y[~holes[:, k], k])
        np.testing.assert_allclose(model.predict(NEW)[:, k], alone.predict(NEW), rtol=1e-8)
        np.testing.assert_allclose(model.predict_gradient(NEW)[:, k], alone.predict_gradient(NEW), rtol=1e-7, atol=1e-9)
    assert model.score(X, gappy) > 1 - 1e-12


def test_first_output_does_not_see_the_second():
    for parameters in ROUTES[1:]:
        alone = fit(X, NOISY, **parameters)
        both = fit(X, np.column_stack([NOISY, POWER]), **parameters)
        np.testing.assert_allclose(both.predict(NEW)[:, 0], alone.predict(NEW), rtol=1e-9)


def test_column_of_y_stays_a_column():
    assert fit(X, POWER[:, None]).predict(NEW).shape == (50, 1)
    assert fit(X, POWER[:, None]).predict_gradient(NEW).shape == (50, 1, 2)
    assert fit(X, POWER).predict(NEW).shape == (50,)


# --- gradient

GRADIENTS = [
    dict(n_nodes=1),
    dict(n_nodes=2, blend=0.4),
    dict(n_nodes=2, n_estimators=3),
    dict(n_nodes=12, n_estimators=3),
    dict(n_nodes=1, offset=1),
    dict(n_nodes=1, offset=lambda x: np.sin(x[:, 0]) * x[:, 1]),
    dict(n_nodes=2, sign="all"),
]


@pytest.mark.parametrize("parameters", GRADIENTS)
@pytest.mark.parametrize("signed", [False, True])
def test_gradient_against_differences(parameters, signed):
    table, y = (BOTH, BOTH[:, 0] * BOTH[:, 1] + 0.1 * NOISY) if signed else (X, NOISY)
    model = fit(table, y, **parameters)
    gradient = model.predict_gradient(table)
    for j in range(2):
        step = np.zeros(2)
        step[j] = 1e-5
        slope = (model.predict(table + step) - model.predict(table - step)) / 2e-5
        np.testing.assert_allclose(gradient[:, j], slope, rtol=2e-4, atol=2e-5)


def test_gradient_keeps_its_sign_at_tiny_values():
    table = np.column_stack([np.concatenate([BOTH[:, 0], [1e-25, -1e-25]]), np.ones(42)])
    model = fit(table, table[:, 0] ** 2)
    np.testing.assert_allclose(model.predict_gradient(table)[:, 0], 2 * table[:, 0], rtol=1e-9)


# --- uncertainty


def test_coverage_of_a_law():
    rng = np.random.default_rng(0)
    inside_value, inside_measurement, noise = [], [], []
    for _ in range(60):
        table = rng.uniform(0.5, 4.0, (30, 2))
        truth = lambda x: 2 * x[:, 0] ** 1.5 / x[:, 1]  # noqa: E731
        model = fit(table, truth(table) + 0.3 * rng.normal(size=30), n_nodes=1, blend=0.0, simplify=False)
        new = rng.uniform(0.5, 4.0, (40, 2))
        mean, value = model.predict(new, return_std=True)
        np.testing.assert_array_equal(value, model.predict(new, return_std="value")[1])
        measurement = model.predict(new, return_std="measurement")[1]
        inside_value.append(np.abs(mean - truth(new)) < 2 * value)
        inside_measurement.append(np.abs(mean - truth(new) - 0.3 * rng.normal(size=40)) < 2 * measurement)
        noise.append(model.noise_std_[0])
        np.testing.assert_allclose(measurement**2 - value**2, model.noise_std_[0] ** 2, rtol=1e-6)
    assert 0.88 < np.mean(inside_value) < 0.99  # 0.954 expected
    assert 0.92 < np.mean(inside_measurement) < 0.98
    assert np.mean(noise) == pytest.approx(0.3, rel=0.08)


def test_coverage_of_a_committee():
    rng = np.random.default_rng(1)
    table = rng.uniform(-2, 2, (150, 2))
    truth = lambda x: np.sin(2 * x[:, 0]) + 0.5 * x[:, 1]  # noqa: E731
    model = fit(table, truth(table) + 0.2 * rng.normal(size=150), n_nodes=15, n_estimators=5)
    new = rng.uniform(-2, 2, (400, 2))
    mean, std = model.predict(new, return_std="measurement")
    assert 0.88 < np.mean(np.abs(mean - truth(new) - 0.2 * rng.normal(size=400)) < 2 * std) < 0.995
    assert model.noise_std_[0] == pytest.approx(0.2, rel=0.3)
    inside = model.predict(new, return_std=True)[1]
    assert np.median(model.predict(5 * new, return_std=True)[1]) > 2 * np.median(inside)


def test_applicability():
    model = fit(X, POWER)
    low, high = X.min(axis=0), X.max(axis=0)
    assert not model.applicability(X).any()
    outside = np.array([[high[0] + 0.5 * (high[0] - low[0]), 1.0], [1.0, low[1] - 2 * (high[1] - low[1])]])
    np.testing.assert_allclose(model.applicability(outside), [0.5, 2.0])
    constant = fit(np.column_stack([X[:, 0], np.full(40, 5.0)]), X[:, 0])
    np.testing.assert_allclose(constant.applicability([[X[0, 0], 5.0], [X[0, 0], 6.0]]), [0.0, 0.2])


# --- priors and parameters


def test_exponents_are_fixed_or_bounded():
    frame = pd.DataFrame(X, columns=["a", "M"])
    fixed = fit(frame, NOISY, n_nodes=1, blend=0.0, exponents={"a": 1.0})
    np.testing.assert_array_equal(fixed.A_[..., 0], 1.0)
    bounded = fit(X, NOISY, n_nodes=2, blend=0.0, exponents={1: (-0.5, 0.5)})
    assert np.abs(bounded.A_[..., 1]).max() <= 0.5
    above = fit(X, NOISY, n_nodes=1, blend=0.0, exponents={0: (1.6, None)})
    assert above.A_[..., 0].min() >= 1.6
    np.testing.assert_array_equal(fit(frame, NOISY, n_nodes=1, blend=0.0, exponents={0: 1}).A_, fixed.A_)
    committee = fit(X, NOISY, n_nodes=12, n_estimators=3, blend=0.0, exponents={0: (0.0, 2.0)})
    assert committee.A_[..., 0].min() >= 0 and committee.A_[..., 0].max() <= 2


def test_offset_column_and_callable():
    known = np.sin(3 * X[:, 0])
    table = np.column_stack([X, known])
    column = fit(pd.DataFrame(table, columns=["a", "M", "known"]), POWER + known, offset="known")
    assert str(column.formula()) == "y = known + 2.00 a^1.50 M^-1.00"
    new = np.column_stack([NEW, np.arange(50.0)])
    frame = pd.DataFrame(new, columns=["a", "M", "known"])
    np.testing.assert_allclose(column.predict(frame), 2 * NEW[:, 0] ** 1.5 / NEW[:, 1] + np.arange(50.0), rtol=1e-9)
    function = fit(X, POWER + known, offset=lambda x: np.sin(3 * x[:, 0]))
    np.testing.assert_allclose(function.predict(NEW), 2 * NEW[:, 0] ** 1.5 / NEW[:, 1] + np.sin(3 * NEW[:, 0]))
    both = fit(X, np.column_stack([POWER + known, POWER]), offset=lambda x: np.sin(3 * x[:, [0]]) * [1, 0])
    np.testing.assert_allclose(both.predict(X), np.column_stack([POWER + known, POWER]), rtol=1e-9)


@pytest.mark.parametrize("blend", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("parameters", [dict(n_nodes=1), dict(n_nodes=2), dict(n_nodes=12, n_estimators=3)])
def test_given_blend_is_kept(blend, parameters):
    np.testing.assert_array_equal(fit(X, NOISY, blend=blend, **parameters).blend_, blend)


@pytest.mark.parametrize("n_nodes", [1, 2, 3, 12])
def test_given_number_of_nodes_and_nets_is_kept(n_nodes):
    for n_estimators in (1, 3):
        model = fit(X, NOISY, n_nodes=n_nodes, n_estimators=n_estimators)
        assert model.A_.shape == (n_estimators, 1, n_nodes, 2)
        assert (np.abs(model.A_).sum(axis=-1) > 0).all()
        np.testing.assert_allclose(model.estimator_weight_.sum(axis=0), 1.0)


def test_penalty_shrinks():
    size = [np.abs(fit(X, NOISY, n_nodes=1, blend=0.0, penalty=p).A_).sum() for p in (0.0, 0.1, 1.0, 100.0)]
    assert size == sorted(size, reverse=True) and size[-1] < 0.5 * size[0]
    slopes = [np.abs(fit(X, X @ [2, 3], n_nodes=1, blend=1.0, penalty=p).A_).sum() for p in (0.0, 1.0)]
    assert slopes[1] < 0.7 * slopes[0]


def test_sign_is_as_given():
    y = BOTH[:, 0] * BOTH[:, 1]
    for sign, expected in (("all", [True, True]), ("none", [False, False]), ([1], [False, True])):
        products = fit(BOTH, y, n_nodes=1, blend=0.0, sign=sign)
        np.testing.assert_array_equal(products.sign_[0, 0, 0], expected)
    chosen = fit(pd.DataFrame(BOTH, columns=["a", "b"]), y, sign=["a", "b"])
    np.testing.assert_allclose(chosen.predict(pd.DataFrame(NEW_BOTH, columns=["a", "b"])), NEW_BOTH.prod(axis=1))


def test_names_of_features():
    for frame in (pd.DataFrame(X, columns=["a", "M"]), pl.DataFrame({"a": X[:, 0], "M": X[:, 1]})):
        model = fit(frame, POWER)
        assert list(model.feature_names_in_) == ["a", "M"] and model.n_features_in_ == 2
        np.testing.assert_allclose(model.predict(frame), POWER, rtol=1e-9)


def test_parameters_survive_clone():
    given_ = dict(n_nodes=3, blend=0.2, sign=[0], penalty=0.1, exponents={0: (0, 2)}, offset=1, n_estimators=2,
                  simplify=False, intercept=False, noise="auto", link="exp", functions=("exp",), n_jobs=2,
                  random_state=5, verbose=1, groups=None, units=["m", ""], target_unit="m",
                  constant_units=["s"])  # fmt: skip
    model = clone(MergedNetRegressor(**given_))
    assert model.get_params() == given_
    assert clone(model.set_params(n_nodes="auto")).n_nodes == "auto"


# --- large nets


def test_a_law_fitted_by_lbfgs_knows_its_std(monkeypatch):
    rng = np.random.default_rng(0)
    X = rng.uniform(1, 5, (200, 2))
    y = X[:, 0] ** 1.5 / X[:, 1] + 0.05 * rng.normal(size=200)
    dense = MergedNetRegressor(1, simplify=False, random_state=0).fit(X, y)
    monkeypatch.setattr("skmerge._net.objective.MAX_NORMAL_EQUATIONS", 100.0)
    large = MergedNetRegressor(1, simplify=False, random_state=0).fit(X, y)
    std, expected = (model.predict(X[:20], return_std=True)[1] for model in (large, dense))
    np.testing.assert_allclose(std, expected, rtol=0.05)


def test_a_net_without_covariance_says_so(monkeypatch):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(30, 2)), rng.normal(size=30)
    monkeypatch.setattr("skmerge._net.objective.MAX_CURVATURE", 10)
    monkeypatch.setattr("skmerge._net.objective.MAX_NORMAL_EQUATIONS", 100.0)
    model = MergedNetRegressor(12, n_estimators=1, random_state=0).fit(X, y)
    assert model.covariance_ == []
    assert np.isfinite(model.predict(X)).all()
    with pytest.raises(ValueError, match="return_std: a single net"):
        model.predict(X, return_std=True)
    with pytest.raises(ValueError, match="standard_errors"):
        model.formula(standard_errors=True)


@pytest.mark.parametrize("seed", [1, 8])
def test_a_noisy_line_of_few_rows_is_a_law(seed):
    rng = np.random.default_rng(seed)
    x = rng.uniform(0, 5, (20, 1))
    y = 2 * x[:, 0] + 1
    model = MergedNetRegressor(random_state=0).fit(x, y + 0.05 * y.std() * rng.normal(size=20))
    assert len(model.A_) == 1
    np.testing.assert_allclose(model.predict(x), y, atol=0.1 * y.std())


def within(model, x, truth, std):
    """Share of points within one standard deviation of the truth."""
    return np.mean(np.abs(model.predict(x) - truth) <= std)


def test_std_knows_the_error_of_the_form():
    # exp is no net's form without links and functions; the covariance of the parameters supposes it was.
    honest, narrow = [], []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        n = 30 + 30 * (seed % 2)
        x, new = rng.uniform(0, 3, (n, 1)), rng.uniform(0, 3, (300, 1))
        y, truth = np.exp(x[:, 0]), np.exp(new[:, 0])
        model = MergedNetRegressor(functions=(), link="identity", random_state=0)
        model.fit(x, y + 0.05 * y.std() * rng.normal(size=n))
        surplus = model.validation_error_**2 - model.noise_std_**2
        np.testing.assert_allclose(model.form_error_**2, np.maximum(surplus, 0), rtol=1e-9)
        _, std = model.predict(new, return_std=True)
        honest.append(within(model, new, truth, std))
        narrow.append(within(model, new, truth, np.sqrt(np.maximum(std**2 - model.form_error_**2, 0))))
    assert 0.55 < np.mean(honest) < 0.85 and np.mean(narrow) < np.mean(honest) - 0.08


@pytest.mark.parametrize("seed", range(4))
def test_a_repeated_column_does_not_hide_a_law(seed):
    rng = np.random.default_rng(seed)
    X = rng.uniform(1, 4, (40, 2))
    X = np.column_stack([X, 2 * X[:, 0]])
    y = 2 * X[:, 0] + 3 * X[:, 1] + 0.01 * rng.normal(size=40)
    net = MergedNetRegressor(random_state=seed).fit(X, y)
    assert len(net.A_) == 1 and net.validation_error_[0] < 0.03


@pytest.mark.parametrize("seed", range(3, 8))
def test_a_noisy_line_beside_an_irrelevant_column_is_a_law(seed):
    rng = np.random.default_rng(seed)
    a = rng.uniform(1, 5, 40)
    X = np.column_stack([a, rng.uniform(1, 5, 40)])
    net = MergedNetRegressor(random_state=0).fit(X, 3 * a + 0.3 * rng.normal(size=40))
    assert len(net.A_) == 1 and np.abs(net.A_).max() < 10
    beyond = net.predict([[10.0, 3.0]])[0]
    assert abs(beyond - 30) < 2


def test_weights_times_a_constant_are_the_same_weights():
    rng = np.random.default_rng(0)
    X, w = rng.uniform(1, 4, (40, 2)), rng.uniform(0.5, 2, 40)
    y = np.sin(X[:, 0]) * X[:, 1] + 0.1 * rng.normal(size=40)
    nets = [MergedNetRegressor(n_nodes=2, random_state=0).fit(X, y, c * w) for c in (1.0, 0.3, 1e7, 1 / 3)]
    for net in nets[1:]:
        np.testing.assert_allclose(net.predict(X), nets[0].predict(X), rtol=1e-7, atol=1e-7)


def test_more_estimators_than_memory_are_refused():
    with pytest.raises(ValueError, match=r"n_estimators=1000000000 is not possible: .* 1 to 1000"):
        MergedNetRegressor(n_estimators=10**9).fit([[1.0], [2.0], [3.0]], [1.0, 2.0, 3.0])


@pytest.mark.parametrize("width", [1e-3, 1e-2])
def test_a_nearly_constant_column_has_no_exponent(width):
    # Any exponent does as well as another: to fix one of them is no simplification.
    for seed in (1, 2, 3):
        rng = np.random.default_rng(seed)
        X = np.column_stack([rng.uniform(1, 5, 40), rng.uniform(1, 1 + width, 40)])
        net = MergedNetRegressor(random_state=0).fit(X, 3 * X[:, 0] + 0.3 * rng.normal(size=40))
        assert not net.A_[..., 1].any()
    strong = MergedNetRegressor(random_state=0).fit(X, X[:, 0] * X[:, 1] ** 2)  # where it does matter it is found
    assert str(strong.formula()) == "y = 1.00 x0 x1^2.00"


def test_no_pole_beside_the_data_where_as_short_a_law_has_none():
    # From 0 to 1 new rows come nearer to zero than any measured one.
    rng = np.random.default_rng(0)
    X, far = rng.uniform(0, 1, (60, 2)), rng.uniform(5, 9, (60, 2))
    assert comparison.near_zero(X).all() and not comparison.near_zero(far).any()
    assert not comparison.near_zero(np.ones((60, 1))).any()
    objective = Objective(X, X[:, 0], np.ones(60), Scaling.of(X, np.ones(60)), (np.full(2, -30.0), np.full(2, 30.0)))
    low, high = objective.regular(np.array([True, False])).exponent_bounds
    assert low.tolist() == [0, -30] and high.tolist() == [30, 30]
    inverse = MergedNetRegressor(random_state=0).fit(X, 1 / X[:, 0])  # a law that has a pole keeps it
    assert str(inverse.formula()) == "y = 1.00 x0^-1.00"


# --- a law without a constant, and the list of candidates


def saturating(seed, n=15):
    rng = np.random.default_rng(seed)
    x = np.linspace(0.2, 6, n)
    return x[:, None], 5 * x / (2 + x) * (1 + 0.02 * rng.normal(size=n))


@pytest.mark.parametrize("seed", range(3))
def test_without_intercept_a_law_passes_the_origin(seed):
    X, y = saturating(seed)
    net = MergedNetRegressor(intercept=False, random_state=0).fit(X, y)
    assert net.D_[0, 0] + net.blend_[0, 0].mean() * net.y_mean_[0] == 0
    assert abs(net.predict([[1e-6]])[0]) < 1e-4
    assert_allclose(net.predict(X), y, rtol=0.1)
    assert not net.covariance_[0][-1].any()


def test_without_intercept_there_are_products_alone():
    X, y = saturating(0)
    for wrong in ({"blend": 1.0}, {"n_nodes": 11}):
        with pytest.raises(ValueError, match="intercept=False"):
            MergedNetRegressor(intercept=False, **wrong).fit(X, y)
    rng = np.random.default_rng(0)
    noisy = MergedNetRegressor(intercept=False, random_state=0).fit(rng.uniform(1, 2, (60, 3)), rng.normal(size=60))
    assert len(noisy.A_) == 1  # no committee


def test_error_of_the_law_and_of_the_list_differ_by_a_constant_alone():
    rng = np.random.default_rng(0)
    X = rng.uniform(1, 5, (40, 2))
    y = 2 * X[:, 0] * X[:, 1] ** 0.5
    y = y + 0.03 * y.std() * rng.normal(size=40)

    def errors(**parameters):
        net = MergedNetRegressor(random_state=0, **parameters).fit(X, y)
        return net.validation_error_[0], next(law["validation_error"] for law in net.laws_ if law["is_chosen"])

    with_constant, listed = errors()
    assert listed < with_constant < 1.1 * listed
    alone, listed = errors(intercept=False)
    assert alone == pytest.approx(listed, rel=1e-12)


@pytest.mark.parametrize(
    ("levels", "parameters", "warned"),
    [
        ((0.0, 1.0, 2.0, 4.0), {"noise": "relative"}, None),
        ((1.0, 2.0, 4.0), {}, "has 3 numbers.* x0 only 3 different values in 15 rows"),
        ((1.0, 2.0, 4.0), {"exponents": {0: 2}}, None),
        ((1.0, 2.0, 3.0, 4.0, 5.0), {}, None),
        ((0.0, 1.0), {}, None),  # a code
    ],
)
def test_few_levels_do_not_test_a_law(levels, parameters, warned):
    x = np.repeat(levels, 5)
    y = (2 + 3 * x**2) * (1 + 0.03 * np.random.default_rng(0).normal(size=len(x)))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        MergedNetRegressor(random_state=0, **parameters).fit(x[:, None], y)
    found = [str(one.message) for one in caught if "different values" in str(one.message)]
    assert len(found) == (warned is not None) and (warned is None or re.search(warned, found[0]))


def test_laws_are_listed_by_length():
    rng = np.random.default_rng(0)
    X = rng.uniform(1, 5, (60, 3))
    y = 2 * X[:, 0] ** 1.5 / X[:, 1] + 0.3 * X[:, 2]
    net = MergedNetRegressor(random_state=0).fit(X, y + 0.05 * y.std() * rng.normal(size=60))
    laws = net.laws_
    lengths = [law["n_parameters"] for law in laws]
    assert lengths == sorted(set(lengths)) and len(laws) > 1
    (chosen,) = (law for law in laws if law["is_chosen"])
    assert chosen["formula"] == str(net.formula()) and chosen["latex"] == net.formula().latex
    assert_allclose(chosen["validation_error"], net.validation_error_[0], rtol=0.3)
    names = dict(zip(("x0", "x1", "x2"), X.T, strict=True))
    for law in laws:  # each is an expression that can be evaluated
        assert np.isfinite(eval(law["python"], {"np": np}, names)).all()
    assert eval(chosen["python"], {"np": np}, names) == pytest.approx(net.predict(X))


def test_no_law_is_chosen_where_a_committee_errs_less():
    rng = np.random.default_rng(0)
    X = rng.uniform(1, 5, (80, 2))
    kinks = np.abs(X[:, 0] - 3) + np.abs(X[:, 1] - 2.5)
    Y = np.column_stack([kinks + 0.05 * rng.normal(size=80), X[:, 1]])
    committee, line = MergedNetRegressor(random_state=0).fit(X, Y).laws_
    assert not any(law["is_chosen"] for law in committee)
    assert [law["formula"] for law in line if law["is_chosen"]] == ["y1 = 1.00 x1"]
