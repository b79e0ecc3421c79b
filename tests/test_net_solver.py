import threading
from dataclasses import replace

import numpy as np
import pytest
import reference
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import least_squares

from skmerge._ext import net_kernel, net_solver
from skmerge._net.committee import random_net
from skmerge._net.objective import Cancelled, Network, Objective, Scaling

unhurried = settings(deadline=None, max_examples=40)
inf = np.inf


@st.composite
def problems(draw, blends=(0.0, 0.3, 1.0), min_rows=40, max_rows=300, min_features=1):
    """One node, noisy values of it, and a start nearby; blend None is free. Arguments of net_solver.minimize."""
    n, d = draw(st.integers(min_rows, max_rows)), draw(st.integers(min_features, 3))
    blend, saturating = draw(st.sampled_from(blends)), draw(st.booleans())
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    X = rng.uniform(0.5, 2, (n, d))
    A = draw(st.lists(st.sampled_from([-2.0, -1.0, -0.5, 0.5, 1.0, 1.5]), min_size=d, max_size=d))
    B = draw(st.sampled_from([-2.0, -1.0, 0.7, 1.5]))
    truth = np.array([*A, B, 0.4 if saturating else 0.0, 0.3 if blend is None else blend, draw(st.floats(-1, 1))])
    weight = rng.uniform(0.5, 1.5, n)
    weight /= weight.sum()
    scaling = Scaling.of(X, weight)
    case = {
        "X": X,
        "weight": weight,
        "x_scale": scaling.x_scale,
        "x_mean": scaling.x_mean,
        "product": np.ones(d, np.uint8),
        "sign": np.zeros((1, d), np.uint8),
    }
    f = net_kernel.predict(**case_of_predict(case), theta=truth)
    lower = np.array([-30.0] * d + [-inf, 0.0, 0.0, -inf])
    upper = np.array([30.0] * d + [inf, 1e3 if saturating else 0.0, 1.0, inf])
    if blend is not None:
        lower[d + 2] = upper[d + 2] = blend
    if blend == 1.0:
        lower[d] = upper[d] = truth[d]  # the constant already shifts a sum
    start = np.clip(truth * rng.uniform(0.9, 1.1, len(truth)), lower, upper)
    return case | {
        "y": f + draw(st.sampled_from([0.01, 0.1])) * max(f.std(), 0.1) * rng.normal(size=n),
        "theta0": start,
        "lower": lower,
        "upper": upper,
        "penalty": np.zeros(len(start)),
    }


def minimize(*arrays, **case):
    arrays += tuple(case.pop(name) for name in ("X", "y", "weight", "x_scale", "x_mean", "product") if not arrays)
    return net_solver.minimize(net_solver.Rows(*arrays[:6]), *arrays[6:], **case)


def case_of_predict(case):
    return {name: case[name] for name in ("X", "x_scale", "x_mean", "product", "sign")}


def data_of(case, theta):
    """The arguments of the twins' loss and normal equations."""
    return case_of_predict(case) | {"y": case["y"], "weight": case["weight"], "theta": theta}


def loss_of(case, theta):
    return reference.loss(**data_of(case, theta), penalty=case["penalty"])


def by_scipy(case):
    """Trust-region reflective on the twin's residuals, the penalty as further rows."""
    free = np.flatnonzero(case["lower"] < case["upper"])
    root = np.sqrt(case["penalty"])

    def theta_of(z):
        theta = case["theta0"].copy()
        theta[free] = z
        return theta

    def residual(z):
        theta = theta_of(z)
        return np.append(reference.residual(**data_of(case, theta)), root * theta)

    def jacobian(z):
        return np.vstack([reference.jacobian(**data_of(case, theta_of(z))), np.diag(root)])[:, free]

    bounds = case["lower"][free], case["upper"][free]
    start = case["theta0"][free]
    found = least_squares(
        residual, start, jacobian, bounds, method="trf", x_scale="jac", ftol=1e-12, xtol=1e-12, gtol=1e-14, max_nfev=500
    )
    return theta_of(found.x)


# Where the blend is free, one feature or few rows leave a valley whose lowest point is far away or at infinity.
determined = problems(blends=(None,), min_rows=150, min_features=3)


# --- the minimum


@unhurried
@given(case=problems() | determined)
def test_one_node_reaches_the_minimum_of_scipy(case):
    theta, squares, n_iter, _ = minimize(**case, max_iter=1000, tol=1e-12)
    assert_allclose(loss_of(case, theta), loss_of(case, by_scipy(case)), rtol=1e-4)
    assert_allclose(squares, 2 * loss_of(case, theta), rtol=1e-10)
    assert 0 < n_iter <= 1000


@unhurried
@given(case=problems() | determined, strength=st.sampled_from([1e-8, 1e-6]), data=st.data())  # more: several minima
def test_penalty_is_part_of_what_is_minimised(case, strength, data):
    which = data.draw(st.lists(st.booleans(), min_size=len(case["theta0"]), max_size=len(case["theta0"])))
    case["penalty"] = strength * np.array(which, float)
    theta, squares, _, _ = minimize(**case, max_iter=1000, tol=1e-12)
    assert loss_of(case, theta) <= loss_of(case, by_scipy(case)) * (1 + 1e-4)
    assert_allclose(squares, 2 * reference.loss(**data_of(case, theta)), rtol=1e-10)  # without the penalty


def test_penalised_line_is_ridge_regression():
    rng = np.random.default_rng(0)
    X, y, weight = rng.normal(size=(50, 2)), rng.normal(size=50), rng.uniform(0.1, 1, 50)
    lower = np.array([-inf, -inf, 0.0, 0.0, 1.0, -inf])
    upper = np.array([inf, inf, 0.0, 0.0, 1.0, inf])
    penalty = np.array([2.0, 0.5, 1.0, 1.0, 1.0, 0.0])
    product, sign = np.ones(2, np.uint8), np.zeros((1, 2), np.uint8)
    start = np.array([0.0, 0.0, 0.0, 0.0, 1.0, 0.0])
    theta, squares, _, JTJ = minimize(
        X, y, weight, np.ones(2), np.zeros(2), product, sign, start, lower, upper, penalty, tol=1e-14
    )
    columns = np.column_stack([X, np.ones(50)])
    H = columns.T @ (weight[:, None] * columns)
    ridge = np.linalg.solve(H + np.diag([2.0, 0.5, 0.0]), columns.T @ (weight * y))
    free = [0, 1, 5]
    assert_allclose(theta[free], ridge, rtol=1e-8)
    assert_allclose(squares, weight @ (y - columns @ ridge) ** 2, rtol=1e-10)
    assert_allclose(JTJ[np.ix_(free, free)], H, rtol=1e-12)  # without the penalty


def test_noiseless_law_is_found_exactly():
    rng = np.random.default_rng(1)
    X = rng.uniform(0.5, 2, (100, 2))
    y = 3 * X[:, 0] ** 1.5 / X[:, 1]
    lower, upper = np.array([-30, -30, -inf, 0, 0, -inf]), np.array([30, 30, inf, 0, 0, inf])
    start = np.array([1.0, -0.5, -1.0, 0, 0, 0])
    theta, squares, _, _ = minimize(
        X, y, np.full(100, 0.01), np.ones(2), np.zeros(2), np.ones(2, np.uint8), np.zeros((1, 2), np.uint8),
        start, lower, upper, np.zeros(6),
    )  # fmt: skip
    assert_allclose(theta, [1.5, -1, -3, 0, 0, 0], atol=1e-9)
    assert squares < 1e-20


@unhurried
@given(case=problems() | determined, strength=st.sampled_from([0.0, 1e-3]))
def test_nothing_is_left_to_gain_at_the_minimum(case, strength):
    """A free parameter within its bounds has no slope left, one at a bound is pushed against it."""
    case["penalty"] = np.full(len(case["theta0"]), strength)
    theta, _, n_iter, _ = minimize(**case, max_iter=3000, tol=1e-12)
    H, gradient = reference.normal_equations(**data_of(case, theta), penalty=case["penalty"])
    inside = (theta > case["lower"]) & (theta < case["upper"])
    promised = 0.5 * gradient**2 / np.maximum(np.diag(H), 1e-12)  # decrease along each parameter alone
    assert n_iter == 3000 or (promised[inside] <= 1e-6 * loss_of(case, theta)).all()
    low = (theta == case["lower"]) & (theta < case["upper"])
    high = (theta == case["upper"]) & (theta > case["lower"])
    slack = np.sqrt(2e-6 * loss_of(case, theta) * np.maximum(np.diag(H), 1e-12))
    assert (gradient[low] >= -slack[low]).all() and (gradient[high] <= slack[high]).all()


# --- bounds


@unhurried
@given(case=problems(blends=(0.0, 0.3, 1.0, None)), data=st.data())
def test_bounds_hold_and_fixed_parameters_stay(case, data):
    n = len(case["theta0"])
    width = st.sampled_from([0.0, 1e-3, 0.05, 1.0])
    below, above = (np.array(data.draw(st.lists(width, min_size=n, max_size=n))) for _ in range(2))
    case["lower"] = np.maximum(case["lower"], case["theta0"] - below)
    case["upper"] = np.minimum(case["upper"], case["theta0"] + above)
    theta, squares, _, JTJ = minimize(**case)
    assert (theta >= case["lower"]).all() and (theta <= case["upper"]).all()
    fixed = case["lower"] == case["upper"]
    assert_array_equal(theta[fixed], case["theta0"][fixed])
    assert squares <= 2 * loss_of(case, case["theta0"]) * (1 + 1e-12)
    assert not JTJ[fixed].any() and not JTJ[:, fixed].any()


def test_start_outside_the_bounds_is_moved_into_them():
    X, y = np.linspace(1, 2, 20)[:, None], np.linspace(1, 2, 20) ** 2
    lower, upper = np.array([0.0, -inf, 0, 0, 0]), np.array([1.5, inf, 0, 0, 0])
    theta, _, _, _ = minimize(
        X, y, np.ones(20), np.ones(1), np.zeros(1), np.ones(1, np.uint8), np.zeros((1, 1), np.uint8),
        np.array([9.0, -1.0, 5.0, 5.0, 5.0]), lower, upper, np.zeros(5),
    )  # fmt: skip
    assert theta[0] == 1.5  # the exponent 2 is out of reach
    assert_array_equal(theta[2:], 0)


@unhurried
@given(case=problems())
def test_nothing_free_returns_the_start(case):
    case["lower"] = case["upper"] = case["theta0"]
    theta, squares, n_iter, JTJ = minimize(**case)
    assert_array_equal(theta, case["theta0"])
    assert_allclose(squares, 2 * loss_of(case, theta), rtol=1e-10)
    assert n_iter == 0 and not JTJ.any()


# --- J'J


@unhurried
@given(case=problems(blends=(0.0, 0.3, 1.0, None), max_rows=700), strength=st.sampled_from([0.0, 0.1]))
def test_JTJ_is_that_of_the_returned_parameters(case, strength):
    case["penalty"] = np.full(len(case["theta0"]), strength)
    theta, _, _, JTJ = minimize(**case)
    free = case["lower"] < case["upper"]
    expected, _ = reference.normal_equations(**data_of(case, theta))
    expected[~free] = expected[:, ~free] = 0
    size = np.sqrt(np.diag(expected))
    assert (np.abs(JTJ - expected) <= 1e-10 * np.outer(size, size) + 1e-15 * strength).all()
    assert_array_equal(JTJ, JTJ.T)


# --- L-BFGS


def objective_of(case, x_factor=1.0, y_factor=1.0):
    d = case["X"].shape[1]
    X, y = case["X"] * x_factor, case["y"] * y_factor
    bounds = case["lower"][:d], case["upper"][:d]
    return Objective(X, y, case["weight"], Scaling.of(X, case["weight"]), bounds)


def in_units_of(y_scale, case):
    """A net, its blend 0 or 1, where y is divided by y_scale."""
    d = case["X"].shape[1]
    factor = np.full(d + 4, 1 / y_scale)
    if case["theta0"][d + 2] == 0:
        factor[:d] = 1  # exponents
    factor[d + 1 : d + 3] = y_scale, 1
    return Network(case["theta0"] * factor, case["sign"], case["lower"] * factor, case["upper"] * factor)


@unhurried
@given(case=problems(blends=(0.0, 1.0)), strength=st.sampled_from([0.0, 1e-6]))  # a firm one makes two minima
def test_lbfgs_agrees_with_levenberg_marquardt(case, strength):
    objective = objective_of(case)
    start = in_units_of(objective.y_scale, case)
    penalty = np.full(len(start.theta), strength)
    net = objective.fit(start, penalty, max_iter=1000, tol=1e-12)
    other = objective._fit_lbfgs(start, penalty, max_iter=20000, tol=1e-13)
    for fitted in (net, other):
        assert_allclose(fitted.squares, objective.weight @ objective.squares(fitted), rtol=1e-8)
        assert (fitted.theta >= start.lower).all() and (fitted.theta <= start.upper).all()
        fixed = start.lower == start.upper
        assert_array_equal(fitted.theta[fixed], start.theta[fixed])
    loss, loss_of_other = (fitted.squares + penalty @ fitted.theta**2 for fitted in (net, other))
    assert_allclose(loss_of_other, loss, rtol=1e-4)


def test_lbfgs_follows_a_law_below_the_noise():
    """Its tolerance is relative to the loss, however small that has become."""
    rng = np.random.default_rng(1)
    X = rng.uniform(0.5, 2, (200, 2))
    weight, bounds = np.full(200, 1 / 200), (np.full(2, -30.0), np.full(2, 30.0))
    objective = Objective(X, 3 * X[:, 0] ** 1.5 / X[:, 1], weight, Scaling.of(X, weight), bounds)
    lower, upper = objective.node_bounds("product")
    start = objective.constant().with_node(np.array([1.0, -0.5, -1.0, 0, 0]), lower, upper, np.zeros(2, np.uint8))
    net = objective._fit_lbfgs(start, np.zeros(6), max_iter=500, tol=1e-7)
    assert net.squares < 1e-15
    assert_allclose(net.nodes[0, :2], [1.5, -1.0], atol=1e-7)


# --- dense least squares on the Jacobian itself


def two_products(X, noise, rng):
    """Objective of the sum of two products, a start nearby, and the law."""
    n = len(X)

    def law(X):
        return 3 * X[:, 0] ** 1.5 / X[:, 1] + 2 * X[:, 0] * X[:, 1] ** 2

    y, weight = law(X) + noise * law(X).std() * rng.normal(size=n), np.full(n, 1 / n)
    objective = Objective(X, y, weight, Scaling.of(X, weight), (np.full(2, -30.0), np.full(2, 30.0)))
    net = objective.constant()
    for A in ([1.2, -0.8], [0.8, 1.7]):
        lower, upper = objective.node_bounds("product")
        node = np.array([*A, -2 / objective.y_scale, 0, 0])
        net = net.with_node(node, lower, upper, np.zeros(2, np.uint8))
    return objective, net.pinned(len(net.theta) - 1, 0.0), law


def dense(objective, net):
    """scipy's trust region on J, which does not square its condition number."""
    free, theta = np.flatnonzero(net.lower < net.upper), net.theta.copy()

    def parts(z):
        theta[free] = z
        return objective.jacobian(replace(net, theta=theta))

    found = least_squares(
        lambda z: parts(z)[0], net.theta[free], lambda z: parts(z)[1][:, free], (net.lower[free], net.upper[free]),
        x_scale="jac", ftol=1e-15, xtol=1e-15, gtol=1e-15, max_nfev=2000,
    )  # fmt: skip
    theta[free] = found.x
    condition = np.linalg.cond(found.jac / np.linalg.norm(found.jac, axis=0))
    return replace(net, theta=theta, squares=2 * found.cost), condition


@pytest.mark.parametrize(("width", "condition", "error"), [(1.0, 50, 1e-13), (1e-2, 1e7, 1e-12), (1e-3, 1e10, 1e-6)])
def test_normal_equations_with_unit_columns_lose_nothing_to_dense_least_squares(width, condition, error):
    """Not in what they predict: columns that are nearly alike leave parameters open, not the value."""
    rng = np.random.default_rng(0)
    X, new = (1 + width * rng.uniform(-0.5, 0.5, (n, 2)) for n in (100, 1000))
    objective, start, law = two_products(X, 0.0, rng)
    net = objective.fit(start, max_iter=2000, tol=1e-12)
    peer, found = dense(objective, start)
    assert found > condition
    for fitted in (net, peer):
        off = objective.predict(fitted, new) * objective.y_scale - law(new)
        assert np.sqrt(np.mean(off**2)) < error * law(new).std()


@pytest.mark.parametrize("seed", range(5))
def test_all_ways_agree_on_new_rows_for_several_nodes(seed):
    """Each from the same start; where there are several minima, in what they are worth."""
    rng = np.random.default_rng(seed)
    X, new = (rng.uniform(0.5, 4, (n, 2)) for n in (100, 1000))
    objective, start, law = two_products(X, 0.05, rng)
    errors = []
    for net in (
        objective.fit(start, max_iter=2000, tol=1e-12),
        objective._fit_lbfgs(start, np.zeros(len(start.theta)), max_iter=20000, tol=1e-10),
        dense(objective, start)[0],
    ):
        off = objective.predict(net, new) * objective.y_scale - law(new)
        errors.append(np.sqrt(np.mean(off**2)) / law(new).std())
    assert max(errors) < 0.03  # of 5 % noise, five parameters and 100 rows
    assert_allclose(errors, errors[0], rtol=0.02)


# --- threads


@pytest.mark.parametrize("n", [net_kernel.PART, 2 * net_kernel.PART + 100])
def test_threads_leave_every_bit_of_a_fit_as_it_is(n):
    rng = np.random.default_rng(0)
    X, weight = rng.uniform(0.5, 2, (n, 2)), rng.uniform(0.5, 1.5, n) / n
    y = 2 * X[:, 0] ** 1.5 / X[:, 1] + 0.1 * rng.normal(size=n)
    case = dict(
        X=X, y=y, weight=weight, x_scale=np.ones(2), x_mean=np.zeros(2), product=np.ones(2, np.uint8),
        sign=np.zeros((1, 2), np.uint8), theta0=np.array([1.0, -0.5, -1.0, 0, 0, 0]),
        lower=np.array([-30, -30, -inf, 0, 0, -inf]), upper=np.array([30, 30, inf, 0, 0, inf]),
        penalty=np.full(6, 1e-6),
    )  # fmt: skip
    one = minimize(**case)
    for n_threads in (2, 5):
        for some, other in zip(one, minimize(**case, n_threads=n_threads), strict=True):
            assert_array_equal(other, some)
    theta, squares, _, JTJ = one
    twin = {name: case[name] for name in ("X", "y", "weight", "x_scale", "x_mean", "product", "sign")}
    assert_allclose(theta[:3], [1.5, -1, -2], atol=0.05)
    assert_allclose(squares, 2 * reference.loss(**twin, theta=theta), rtol=1e-10)
    free = [0, 1, 2, 5]
    expected, gradient = reference.normal_equations(**twin, theta=theta, penalty=case["penalty"])
    assert_allclose(JTJ[np.ix_(free, free)], (expected - np.diag(case["penalty"]))[np.ix_(free, free)], rtol=1e-9)
    assert np.abs(gradient[free]).max() < 1e-4


# --- units


@unhurried
@given(case=problems(), data=st.data(), y_exponent=st.integers(-30, 30))
def test_units_of_x_and_y_do_not_matter(case, data, y_exponent):
    d = case["X"].shape[1]
    x_factor = 10.0 ** np.array(data.draw(st.lists(st.integers(-30, 30), min_size=d, max_size=d)))
    y_factor = 10.0**y_exponent
    predictions = []
    for factors in ((1.0, 1.0), (x_factor, y_factor)):
        objective = objective_of(case, *factors)
        net = Network(case["theta0"], case["sign"], case["lower"], case["upper"])
        net = objective.fit(net, max_iter=300, tol=1e-10)
        predictions.append(objective.predict(net) * objective.y_scale)
    assert_allclose(predictions[1] / y_factor, predictions[0], rtol=1e-8, atol=1e-8 * np.std(case["y"]))


# --- what is handed in


WAYS = ["longer", "shorter", "one", "type", "dimension"]


@settings(deadline=None, max_examples=200)
@given(case=problems(max_rows=45, min_features=2), data=st.data(), way=st.sampled_from(WAYS))
def test_wrong_shapes_and_types_raise(case, data, way):
    name = data.draw(st.sampled_from(sorted(case)))
    value = case[name]
    axis = value.ndim - 1  # of X the columns
    if way == "type":
        value = value.astype(np.float32)
    elif way == "dimension":
        value = value[None]
    else:
        shape = list(value.shape)
        shape[axis] = {"longer": shape[axis] + 1, "shorter": shape[axis] - 1, "one": 1}[way]
        value = np.ones(shape, value.dtype)
    with pytest.raises(ValueError):
        minimize(**case | {name: value})


def test_no_rows_raise():
    with pytest.raises(ValueError, match="0 rows"):
        net_solver.Rows(np.zeros((0, 1)), np.zeros(0), np.zeros(0), np.ones(1), np.zeros(1), np.ones(1, np.uint8))


@unhurried
@given(case=problems())
def test_arguments_are_only_read(case):
    expected = minimize(**case)
    before = {name: value.copy() for name, value in case.items()}
    for value in case.values():
        value.flags.writeable = False
    found = minimize(**case)
    for some, other in zip(found, expected, strict=True):
        assert_array_equal(some, other)
    for name, value in case.items():
        assert_array_equal(value, before[name])


# --- watched


def large(n=1500, n_nodes=60):
    rng = np.random.default_rng(0)
    X = rng.uniform(1, 2, (n, 10))
    weight = np.full(n, 1 / n)
    bounds = np.full(10, -30.0), np.full(10, 30.0)
    objective = Objective(X, rng.normal(size=n), weight, Scaling.of(X, weight), bounds, cancelled=threading.Event())
    return objective, random_net(objective, n_nodes, True, rng)


@pytest.mark.parametrize(("n", "n_nodes", "n_threads"), [(1500, 60, 1), (2 * net_kernel.PART + 100, 14, 2)])
def test_slow_iterations_are_watched_and_may_end(n, n_nodes, n_threads):
    objective, net = large(n, n_nodes)
    assert objective.is_slow(net) and not objective.is_slow(objective.constant())
    seen = []
    whole = objective.fit(net, max_iter=6, tol=0.0, report=lambda *given: seen.append(given), n_threads=n_threads)
    assert [iteration for iteration, _ in seen] == list(range(1, 7)) and whole.n_iter == 6
    assert seen[-1][1] == pytest.approx(whole.squares)
    short = objective.fit(net, max_iter=6, tol=0.0, report=lambda iteration, _: iteration == 3, n_threads=n_threads)
    assert short.n_iter == 3 and short.squares == pytest.approx(seen[2][1])
    np.testing.assert_array_equal(short.theta, objective.fit(net, max_iter=3, tol=0.0).theta)


@pytest.mark.parametrize(("n", "n_nodes", "n_threads"), [(1500, 60, 1), (2 * net_kernel.PART + 100, 14, 2)])
def test_a_cancelled_fit_ends_at_its_next_iteration(n, n_nodes, n_threads):
    objective, net = large(n, n_nodes)

    def report(iteration, squares):
        assert iteration == 1
        objective.cancelled.set()

    with pytest.raises(Cancelled):
        objective.fit(net, max_iter=6, tol=0.0, report=report, n_threads=n_threads)
