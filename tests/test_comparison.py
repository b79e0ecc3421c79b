"""How nets are compared on rows they have not seen."""

import warnings
from types import SimpleNamespace

import numpy as np
import pytest

from skmerge import MergedNetRegressor
from skmerge._net import candidates, comparison, training
from skmerge._net.objective import Objective, Scaling


def objective_of(X, y, weight=None):
    weight = np.ones(len(y)) if weight is None else weight
    weight = weight / weight.sum()
    free = np.full(X.shape[1], np.inf)
    return Objective(np.ascontiguousarray(X), y, weight, Scaling.of(X, weight), (-free, free))


def line(objective):
    """The straight line that fits best."""
    lower, upper = objective.node_bounds("sum")
    d = objective.d
    lower[d] = upper[d] = 0.0
    node = np.zeros(d + 3)
    node[-1] = 1.0
    net = objective.constant().with_node(node, lower, upper, np.zeros(d, np.uint8))
    return objective.fit(net, max_iter=200, tol=1e-14)


@pytest.mark.parametrize("weighted", [False, True])
def test_the_error_of_a_row_left_out_is_that_of_a_fit_without_it(weighted):
    rng = np.random.default_rng(0)
    X = rng.uniform(1, 2, (15, 3))
    weight = rng.uniform(0.5, 2, 15) if weighted else np.ones(15)
    objective = objective_of(X, X @ [1.0, 2.0, -1.0] + rng.normal(size=15), weight)
    design = np.column_stack([np.ones(15), X])
    expected = np.empty(15)
    for i in range(15):
        rest = np.delete(np.arange(15), i)
        root = np.sqrt(weight[rest])
        slopes = np.linalg.lstsq(design[rest] * root[:, None], objective.y[rest] * root, rcond=None)[0]
        expected[i] = (objective.y[i] - design[i] @ slopes) ** 2
    np.testing.assert_allclose(comparison.leave_one_out(objective, line(objective)), expected, rtol=1e-6)


def test_a_row_that_alone_holds_a_parameter_errs_by_its_distance_from_the_mean():
    X = np.column_stack([np.linspace(1, 2, 12), np.ones(12)])
    X[3, 1] = 2.0  # nothing else decides the second slope
    objective = objective_of(X, 3 * X[:, 0] + np.random.default_rng(0).normal(size=12))
    found = comparison.leave_one_out(objective, line(objective))[3]
    assert found == pytest.approx((objective.y[3] - objective.y.mean()) ** 2)


def test_a_gain_on_one_or_two_rows_does_not_count_one_on_many_does():
    best = np.full(50, 1.0)
    for rows, forgiven in (1, True), (2, True), (3, False), (25, False):
        squares = best.copy()
        squares[:rows] += 1.0
        assert comparison.no_worse(squares, best) == (forgiven or rows / 50 <= 0.02)
    assert not comparison.no_worse(np.append(best[1:], 1e3), best)  # but not at any price
    assert comparison.no_worse(1.01 * best, best)


def test_the_simplest_of_the_best():
    nets = [SimpleNamespace(n_free=p) for p in (1, 2, 5)]
    squares = np.full((3, 40), 1.0)
    squares[1, 0] = 4.0
    squares[0] = 2.0
    assert comparison.simplest_of_the_best(nets, squares.sum(axis=1), squares) == 1
    errors = np.array([80.0, 500.0, 40.0])  # wild between the rows
    assert comparison.simplest_of_the_best(nets, errors, squares) == 2


def formula_of(X, y, **given):
    return MergedNetRegressor(random_state=0).fit(X, y, **given).formula()


@pytest.mark.parametrize("seed", range(4))
def test_of_noise_a_constant_is_told(seed):
    rng = np.random.default_rng(seed)
    X, y = rng.normal(45, 3, (45, 3)), rng.normal(3, 1, 45)
    model = MergedNetRegressor(random_state=0).fit(X, y)
    assert str(model.formula()) == f"y = {y.mean():.2f}"
    np.testing.assert_allclose(model.predict(X + 100), y.mean())


@pytest.mark.parametrize("seed", range(4))
def test_of_few_noisy_rows_a_constant_is_told(seed):
    rng = np.random.default_rng(seed)
    X, y = rng.uniform(1, 2, (12, 2)), rng.normal(3, 1, 12)
    assert "x" not in str(formula_of(X, y))


@pytest.mark.parametrize("seed", range(1, 8))
def test_a_relative_error_makes_no_terms_of_its_own(seed):
    rng = np.random.default_rng(seed)
    X = np.column_stack([rng.lognormal(0, 0.7, 40), rng.uniform(2, 9, 40)])
    y = X[:, 0] ** 2 * X[:, 1] * (1 + 0.02 * rng.normal(size=40))
    for weight in None, 1 / y**2:
        text = str(formula_of(X, y, sample_weight=weight))
        assert " + " not in text and " - " not in text and "x0^" in text


def test_a_prior_exponent_is_kept_in_noise():
    rng = np.random.default_rng(0)
    X, y = rng.uniform(1, 2, (30, 2)), rng.normal(3, 1, 30)
    model = MergedNetRegressor(exponents={0: -2.0}, random_state=0).fit(X, y)
    assert "x0^-2" in str(model.formula())


def test_of_more_rows_than_are_searched_a_noisy_law_is_told(monkeypatch):
    monkeypatch.setattr(training, "BIG", 300)
    monkeypatch.setattr(candidates, "SEARCH_ROWS", 200)
    rng = np.random.default_rng(0)
    X = rng.uniform(1, 4, (600, 3))
    assert str(formula_of(X, X[:, 0] * X[:, 1] + rng.normal(size=600))).endswith("x0 x1")


@pytest.mark.parametrize("offset", [None, 1])
def test_a_gross_error_is_told(offset):
    rng = np.random.default_rng(0)
    X = rng.uniform(1, 5, (60, 2))
    y = 3 * X[:, 0] + X[:, 1] + 0.1 * rng.normal(size=60)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        MergedNetRegressor(random_state=0, offset=offset).fit(X, y)
    y[3] += 100.0
    shown = y[3] if offset is None else y[3] - X[3, 1]
    with pytest.warns(UserWarning, match=rf"Row 3 with y.*={shown:.6g}: the law of the other rows"):
        MergedNetRegressor(random_state=0, offset=offset).fit(X, y)


def test_a_constant_of_values_of_one_sign_is_not_zero():
    """Galileo's distances with one decimal slip: 0 lies within two standard errors of their mean, and is no answer."""
    y = [800, 1131, 13060, 1340, 1460]
    net = MergedNetRegressor(random_state=0).fit([[300.0], [600], [800], [828], [1000]], y)
    np.testing.assert_allclose(net.predict([[500.0]]), np.mean(y))
