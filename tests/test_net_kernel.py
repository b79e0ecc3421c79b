import threading

import numpy as np
import pytest
import reference
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_allclose, assert_array_equal, assert_array_max_ulp

from skmerge._ext import net_kernel

unhurried = settings(deadline=None, max_examples=60)  # a busy machine is no failure
BLOCK = 256
MINUS_PRODUCT = [-1.0, 0.0, 0.0, 0.0]  # B, k, a of a node and the constant: f = + prod |x_j|^A_j


def flags(*shape):
    return hnp.arrays(np.uint8, shape, elements=st.integers(0, 1))


def floats(shape, low, high):
    return hnp.arrays(float, shape, elements=st.floats(low, high))


@st.composite
def tables(draw, max_rows=600):
    """Keyword arguments of net_kernel.jacobian; rows of both signs over six decades, parameters drawn one by one."""
    n, d, h = draw(st.integers(1, max_rows)), draw(st.integers(1, 5)), draw(st.integers(0, 3))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    x_scale = draw(hnp.arrays(float, d, elements=st.sampled_from([1e-30, 1e-3, 0.7, 1.0, 50.0, 1e30])))
    X = rng.choice([-1.0, 1.0], (n, d)) * 10 ** rng.uniform(-2, 2, (n, d)) * x_scale
    nodes = draw(floats((h, d + 3), -3, 3))
    nodes[:, d + 1] = draw(hnp.arrays(float, h, elements=st.sampled_from([0.0, 0.01, 0.3, 1.0, 10.0])))
    nodes[:, d + 2] = draw(hnp.arrays(float, h, elements=st.sampled_from([0.0, 0.2, 0.5, 1.0])))
    return {
        "X": X,
        "y": rng.normal(size=n),
        "weight": rng.uniform(0, 1, n),
        "x_scale": x_scale,
        "x_mean": draw(floats(d, -3, 3)),
        "product": draw(flags(d)),
        "theta": np.append(nodes, draw(st.floats(-3, 3))),
        "sign": draw(flags(h, d)),
    }


def without(case, *names):
    return {name: value for name, value in case.items() if name not in names}


def forward(case):
    return without(case, "y", "weight")


def magnitude(case):
    """Size of what is summed to f, to which rounding errors are proportional, shape (n,)."""
    A, B, k, a, constant = reference.unpack(case["theta"], case["X"].shape[1])
    x = case["X"] / case["x_scale"]
    _, multiplicative = reference.halves(x, A, B, k, a, case["x_mean"], case["product"], case["sign"])
    linear = (np.abs(x) + np.abs(case["x_mean"])) @ np.abs(A).T + np.abs(B)
    return np.abs(constant) + (a * linear).sum(axis=1) + np.abs(multiplicative).sum(axis=1)


def one_product(A, X, sign=0, B=-1.0, k=0.0):
    """Arguments of a net that is the product of the columns of X to the powers A."""
    d = len(A)
    return {
        "X": np.array(X, float),
        "x_scale": np.ones(d),
        "x_mean": np.zeros(d),
        "product": np.ones(d, np.uint8),
        "theta": np.array([*A, B, k, 0.0, 0.0]),
        "sign": np.full((1, d), sign, np.uint8),
    }


# --- against the twin


@unhurried
@given(case=tables())
def test_prediction_equals_the_formula(case):
    value = net_kernel.predict(**forward(case))
    assert value.shape == (len(case["X"]),)
    expected = reference.net(**forward(case))
    assert (np.abs(value - expected) <= 1e-12 * magnitude(case)).all()


@unhurried
@given(data=st.data(), case=tables(max_rows=40), D=st.floats(-3, 3), y_mean=st.floats(-3, 3))
def test_prediction_equals_the_formula_in_its_own_terms(data, case, D, y_mean):
    """C in place of k, D and the mean of y in place of the constant."""
    d = case["X"].shape[1]
    A, B, _, a, _ = reference.unpack(case["theta"], d)
    C = data.draw(hnp.arrays(float, len(A), elements=st.floats(0.1, 100)))
    nodes = np.column_stack([A, B, 1 / C, a])
    constant = D + (a.mean() if len(a) else 0.0) * y_mean
    case["theta"] = np.append(nodes, constant)
    expected = reference.blended(
        case["X"] / case["x_scale"], A, B, 1 / C, a, D, y_mean, case["x_mean"], case["product"], case["sign"]
    )
    assert (np.abs(net_kernel.predict(**forward(case)) - expected) <= 1e-12 * magnitude(case)).all()


@unhurried
@given(u=floats(20, -1e6, 1e6), C=st.floats(1e-3, 1e3))
def test_twin_in_k_equals_the_activation_in_C(u, C):
    assert_allclose(reference.saturating(u, 1 / C), reference.activation(u, C), rtol=1e-14, atol=1e-300)


@unhurried
@given(case=tables(max_rows=300))
def test_jacobian_equals_the_complex_step(case):
    residual, J = net_kernel.jacobian(**case)
    root = np.sqrt(case["weight"])
    assert (np.abs(residual - reference.residual(**case)) <= 1e-12 * root * (magnitude(case) + np.abs(case["y"]))).all()
    d, theta = case["X"].shape[1], case["theta"]
    expected = reference.jacobian(**case)
    # The halves apart tell how much cancels between them.
    scale = np.zeros_like(J)
    x = case["X"] / case["x_scale"]
    for q in range(len(theta)):
        step = np.zeros(len(theta), complex)
        step[q] = 1e-200j
        A, B, k, a, _ = reference.unpack(theta + step, d)
        for half in reference.halves(x, A, B, k, a, case["x_mean"], case["product"], case["sign"]):
            scale[:, q] += root * np.abs(np.imag(half) / 1e-200).sum(axis=1)
    assert (np.abs(J - expected) <= 1e-9 * (scale + root[:, None])).all()


@unhurried
@given(case=tables())
def test_loss_gradient_is_the_sum_over_rows(case):
    value, gradient = net_kernel.loss_gradient(**case)
    residual, J = net_kernel.jacobian(**case)
    assert_allclose(value, 0.5 * np.sum(residual**2), rtol=1e-12)
    scale = np.abs(J).T @ np.abs(residual)
    assert (np.abs(gradient - J.T @ residual) <= 1e-12 * scale).all()


@unhurried
@given(case=tables(max_rows=40), B=st.floats(0.1, 3), k=st.floats(0.5, 5))
def test_loss_and_its_gradient_equal_the_twin(case, B, k):
    """Saturating nodes keep the loss moderate, so that the twin's own rounding does not matter."""
    d = case["X"].shape[1]
    nodes = case["theta"][:-1].reshape(-1, d + 3)
    nodes[:, d], nodes[:, d + 1] = B, k
    value, gradient = net_kernel.loss_gradient(**case)
    expected_J, expected = reference.normal_equations(**case)
    assert_allclose(value, reference.loss(**case), rtol=1e-11)
    assert_allclose(gradient, expected, rtol=1e-8, atol=1e-8 * (1 + np.sqrt(expected_J.max() * 2 * value)))


@unhurried
@given(case=tables(max_rows=300))
def test_input_gradient_equals_the_complex_step(case):
    value = net_kernel.input_gradient(**forward(case))
    assert value.shape == case["X"].shape
    expected = reference.input_gradient(**forward(case))
    d, x = case["X"].shape[1], case["X"] / case["x_scale"]
    parameters = reference.unpack(case["theta"], d)[:4]
    for j in range(d):
        step = 1e-200j * (np.arange(d) == j)
        halves = reference.halves(x + step, *parameters, case["x_mean"], case["product"], case["sign"])
        scale = sum(np.abs(np.imag(half) / 1e-200).sum(axis=1) for half in halves) + 1 + 1 / np.abs(x[:, j])
        assert (np.abs(value - expected)[:, j] * case["x_scale"][j] <= 1e-10 * scale).all()


def test_derivatives_equal_differences_of_the_function_itself():
    rng = np.random.default_rng(0)
    X = rng.choice([-1.0, 1.0], (30, 3)) * rng.uniform(0.5, 2, (30, 3))
    case = {
        "X": X,
        "y": rng.normal(size=30),
        "weight": rng.uniform(0.1, 1, 30),
        "x_scale": np.array([0.5, 1.0, 3.0]),
        "x_mean": np.array([0.1, -0.4, 0.2]),
        "product": np.array([1, 1, 0], np.uint8),
        "theta": np.array([0.7, -1.2, 0.4, 0.9, 0.5, 0.3, 1.5, 0.8, -0.6, -0.5, 0.2, 0.8, 0.1]),
        "sign": np.array([[1, 0, 0], [0, 1, 1]], np.uint8),
    }
    h = 1e-6
    _, J = net_kernel.jacobian(**case)
    loss, gradient = net_kernel.loss_gradient(**case)
    for q in range(len(case["theta"])):
        step = np.zeros(len(case["theta"]))
        step[q] = h
        above, below = case | {"theta": case["theta"] + step}, case | {"theta": case["theta"] - step}
        difference = (net_kernel.predict(**forward(above)) - net_kernel.predict(**forward(below))) / (2 * h)
        assert_allclose(J[:, q], np.sqrt(case["weight"]) * difference, rtol=1e-7, atol=1e-8)
        difference = (net_kernel.loss_gradient(**above)[0] - net_kernel.loss_gradient(**below)[0]) / (2 * h)
        assert_allclose(gradient[q], difference, rtol=1e-6, atol=1e-8 * loss)
    slopes = net_kernel.input_gradient(**forward(case))
    for j in range(3):
        step = h * (np.arange(3) == j)
        above, below = forward(case | {"X": X + step}), forward(case | {"X": X - step})
        difference = (net_kernel.predict(**above) - net_kernel.predict(**below)) / (2 * h)
        assert_allclose(slopes[:, j], difference, rtol=1e-7, atol=1e-8)


# --- limits of DESIGN 2.2


@unhurried
@given(data=st.data(), n=st.integers(1, 300), d=st.integers(1, 4), h=st.integers(1, 3))
def test_blend_one_without_saturation_is_addition(data, n, d, h):
    """Whole numbers: every sum is exact, so equality is."""
    whole = st.integers(-1000, 1000).map(float)
    X = np.random.default_rng(data.draw(st.integers(0, 1000))).integers(-1000, 1000, (n, d)).astype(float)
    A, x_mean = data.draw(hnp.arrays(float, (h, d), elements=whole)), data.draw(hnp.arrays(float, d, elements=whole))
    B, D, y_mean = data.draw(hnp.arrays(float, h, elements=whole)), data.draw(whole), data.draw(whole)
    theta = np.append(np.column_stack([A, B, np.zeros(h), np.ones(h)]), D + y_mean)
    value = net_kernel.predict(X, np.ones(d), x_mean, data.draw(flags(d)), theta, data.draw(flags(h, d)))
    assert_array_equal(value, D + y_mean + ((X - x_mean) @ A.T + B).sum(axis=1))


@unhurried
@given(data=st.data(), n=st.integers(1, 300), d=st.integers(1, 4), h=st.integers(1, 3))
def test_blend_zero_without_saturation_is_multiplication(data, n, d, h):
    X = 10 ** np.random.default_rng(data.draw(st.integers(0, 1000))).uniform(-2, 2, (n, d))
    A, B, D = data.draw(floats((h, d), -3, 3)), data.draw(floats(h, -3, 3)), data.draw(st.floats(-3, 3))
    x_mean = data.draw(floats(d, -3, 3))  # must not matter
    theta = np.append(np.column_stack([A, B, np.zeros(h), np.zeros(h)]), D)
    sign = data.draw(flags(h, d))  # nor this: x >= 0
    value = net_kernel.predict(X, np.ones(d), x_mean, np.ones(d, np.uint8), theta, sign)
    terms = B * np.prod(X[:, None, :] ** A, axis=2)
    assert (np.abs(value - (D - terms.sum(axis=1))) <= 1e-13 * (abs(D) + np.abs(terms).sum(axis=1))).all()


@unhurried
@given(case=tables(max_rows=40), blend=st.sampled_from([0.0, 1.0]), exponent=st.integers(-12, -1))
def test_small_saturation_approaches_the_limits(case, blend, exponent):
    """|u_i| << C_i: g departs from the identity by less than k u^2."""
    d = case["X"].shape[1]
    nodes = case["theta"][:-1].reshape(-1, d + 3)
    nodes[:, d + 1], nodes[:, d + 2] = 0.0, blend
    limit = net_kernel.predict(**forward(case))
    A, B, k, a, _ = reference.unpack(case["theta"], d)
    x = case["X"] / case["x_scale"]
    additive, multiplicative = reference.halves(x, A, B, k, a, case["x_mean"], case["product"], case["sign"])
    u = additive if blend else multiplicative
    k = 10.0**exponent
    nodes[:, d + 1] = k
    departure = np.abs(net_kernel.predict(**forward(case)) - limit)
    assert (departure <= k * (u**2).sum(axis=1) * (1 + 1e-9) + 1e-11 * magnitude(case)).all()


# --- signs


@unhurried
@given(data=st.data(), d=st.integers(1, 5), n=st.integers(1, 300))
def test_sign_runs_over_the_chosen_features_that_may_enter_a_product(data, d, n):
    rng = np.random.default_rng(data.draw(st.integers(0, 1000)))
    X = rng.choice([-1.0, 0.0, 1.0], (n, d), p=[0.45, 0.1, 0.45]) * rng.uniform(0.5, 2, (n, d))
    product, sign = data.draw(flags(d)), data.draw(flags(1, d))
    case = one_product(np.zeros(d), X) | {"product": product, "sign": sign}  # f = s(x)
    chosen = (product & sign[0]) > 0
    assert_array_equal(net_kernel.predict(**case), np.prod(np.sign(X[:, chosen]), axis=1))


@unhurried
@given(data=st.data(), case=tables(max_rows=40))
def test_features_outside_products_only_add(data, case):
    """Their exponents and signs do not reach the product."""
    d = case["X"].shape[1]
    case["theta"][:-1].reshape(-1, d + 3)[:, d + 2] = 0.0
    value = net_kernel.predict(**forward(case))
    outside = case["product"] == 0
    case["X"] = np.where(outside, data.draw(floats(case["X"].shape, -1e300, 1e300)), case["X"])
    assert_array_equal(net_kernel.predict(**forward(case)), value)
    assert not net_kernel.input_gradient(**forward(case))[:, outside].any()


# --- exp and log


@unhurried
@given(x=hnp.arrays(float, st.integers(1, 600), elements=st.floats(2.2250738585072014e-308, 1.7e308)))
def test_log_is_accurate(x):
    # With A = 0, B = -1 the derivative with respect to A is log x.
    case = one_product([0.0], x[:, None]) | {"y": np.zeros(len(x)), "weight": np.ones(len(x))}
    assert_array_max_ulp(net_kernel.jacobian(**case)[1][:, 0], np.log(x), maxulp=3)


def test_log_is_accurate_where_its_exponent_changes():
    powers = 2.0 ** np.arange(-1022, 1024)
    x = np.concatenate([powers * m for m in (1, 1 + 2**-52, 1.41421356237309, 2**0.5, 1.41421356237310, 2 - 2**-52)])
    x = np.append(x[x < 1.7e308], 1 + np.arange(-100, 100) * 1e-5)
    case = one_product([0.0], x[:, None]) | {"y": np.zeros(len(x)), "weight": np.ones(len(x))}
    assert_array_max_ulp(net_kernel.jacobian(**case)[1][:, 0], np.log(x), maxulp=3)


@unhurried
@given(A=floats(st.integers(1, 10), -430, 430))
def test_exp_is_accurate(A):
    for exponent in A:  # 2^A = exp(A log 2)
        value = net_kernel.predict(**one_product([exponent], [[2.0]]))
        assert_array_max_ulp(value, np.exp(np.atleast_1d(exponent * np.log(2.0))), maxulp=2)


# --- the ends of the range


finite = st.floats(allow_nan=False, allow_infinity=False)


@settings(deadline=None, max_examples=200)
@given(data=st.data(), n=st.integers(1, 5), d=st.integers(1, 3), h=st.integers(1, 2))
def test_nothing_overflows(data, n, d, h):
    """Any finite X and slopes; zeros and denormals among them."""
    A = data.draw(hnp.arrays(float, (h, d), elements=finite))
    B, a = data.draw(floats(h, -1e15, 1e15)), data.draw(floats(h, 0, 1))
    k = data.draw(hnp.arrays(float, h, elements=st.just(0.0) | st.floats(0, 1e6)))
    case = {
        "X": data.draw(hnp.arrays(float, (n, d), elements=finite | st.sampled_from([0.0, -0.0, 5e-324, 1e-310]))),
        "y": data.draw(floats(n, -1e15, 1e15)),
        "weight": data.draw(floats(n, 0, 1)),
        "x_scale": data.draw(floats(d, 5e-324, 1e308)),
        "x_mean": data.draw(floats(d, -1e15, 1e15)),
        "product": data.draw(flags(d)),
        "theta": np.append(np.column_stack([A, B, k, a]), data.draw(st.floats(-1e15, 1e15))),
        "sign": data.draw(flags(h, d)),
    }
    assert np.isfinite(net_kernel.predict(**forward(case))).all()
    residual, J = net_kernel.jacobian(**case)
    assert np.isfinite(residual).all() and np.isfinite(J).all()
    # A slope in raw units is A / x_scale, which must itself be a number.
    case["theta"][:-1].reshape(h, -1)[:, :d] = np.clip(A, -1e30, 1e30)
    case["x_scale"] = np.maximum(case["x_scale"], 1e-100)
    assert np.isfinite(net_kernel.input_gradient(**forward(case))).all()


@pytest.mark.parametrize(
    ("A", "x", "limit"), [(50.0, 1e10, 300), (-50.0, 1e10, -300), (2.0, 0.0, -300), (-2.0, 0.0, 300)]
)
def test_exponent_is_held_at_300(A, x, limit):
    case = one_product([A], [[x]]) | {"y": np.zeros(1), "weight": np.ones(1)}
    value, J = net_kernel.jacobian(**case)
    assert_allclose(value, np.exp(limit), rtol=1e-14)
    assert J[0, 0] == 0  # held: no change with A
    assert_allclose(J[0, 1], -np.exp(limit), rtol=1e-14)  # but with B


@pytest.mark.parametrize("x", [1e200, -1e200])
def test_sum_is_held_at_1e150(x):
    theta = np.array([2.0, 0.5, 0.0, 1.0, 0.0])
    case = one_product([2.0], [[x]]) | {"theta": theta, "y": np.zeros(1), "weight": np.ones(1)}
    value, J = net_kernel.jacobian(**case)
    assert value[0] == np.copysign(1e150, x)
    assert J[0, 0] == 0 and J[0, 1] == 0
    assert net_kernel.input_gradient(**forward(case))[0, 0] == 0
    case["theta"] = np.array([2.0, 0.5, 4.0, 1.0, 0.0])
    assert_allclose(net_kernel.predict(**forward(case)), np.copysign(0.25, x), rtol=1e-15)


def test_slopes_beyond_all_numbers_add_up():
    theta = np.array([1e10, 0.0, 0.0, 1.0, -2e10, 0.0, 0.0, 1.0, 0.0])
    case = one_product([0.0], [[1e-308]]) | {"theta": theta, "sign": np.zeros((2, 1), np.uint8)}
    case["x_scale"] = np.array([1e-305])
    assert net_kernel.input_gradient(**forward(case))[0, 0] == -np.inf


@pytest.mark.parametrize("tiny", [0.0, -0.0, 5e-324, 1e-310, -1e-310])
def test_logarithm_is_held_at_the_smallest_normal_number(tiny):
    case = one_product([0.1], [[tiny]])
    assert_allclose(net_kernel.predict(**case), 2.2250738585072014e-308**0.1, rtol=1e-13)


def test_law_is_zero_at_zero_and_its_slope_there_the_other_factor():
    X = np.array([[0.0, 3.0], [0.0, -3.0], [-0.0, 0.5]])
    case = one_product([1.0, 2.0], X, sign=1)
    assert_array_equal(net_kernel.predict(**case), 0)
    # s(x) = sign(x_1) sign(x_2): d/dx_1 = sign(x_2) x_2^2 on both sides of zero
    assert_allclose(net_kernel.input_gradient(**case), [[9.0, 0.0], [-9.0, 0.0], [0.25, 0.0]], rtol=1e-14, atol=1e-100)
    # without signs |x_1| has a kink, its slope there is 0; x_1^2 has none
    assert_array_equal(net_kernel.input_gradient(**one_product([1.0, 2.0], X))[:, 0], 0)
    assert_allclose(net_kernel.input_gradient(**one_product([2.0, 1.0], X, sign=1))[:, 0], 0, atol=1e-100)


@unhurried
@given(x=st.floats(1e-100, 1e-3), other=st.floats(0.1, 10), A=st.floats(1, 3))
def test_slope_is_continuous_towards_zero(x, other, A):
    near = net_kernel.input_gradient(**one_product([A, 1.0], [[x, other], [-x, other]], sign=1))[:, 0]
    assert_allclose(near, A * x ** (A - 1) * other, rtol=1e-12, atol=1e-125)


# --- blocks


@unhurried
@given(data=st.data(), case=tables(max_rows=1100))
def test_a_row_does_not_depend_on_its_batch(data, case):
    n = len(case["X"])
    rows = np.random.default_rng(data.draw(st.integers(0, 1000))).permutation(n)[: data.draw(st.integers(1, n))]
    part = case | {name: np.ascontiguousarray(case[name][rows]) for name in ("X", "y", "weight")}
    assert_array_equal(net_kernel.predict(**forward(part)), net_kernel.predict(**forward(case))[rows])
    assert_array_equal(net_kernel.input_gradient(**forward(part)), net_kernel.input_gradient(**forward(case))[rows])
    for some, whole in zip(net_kernel.jacobian(**part), net_kernel.jacobian(**case), strict=True):
        assert_array_equal(some, whole[rows])


@pytest.mark.parametrize("n", [1, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, 3 * BLOCK + 7])
def test_every_row_is_visited_once(n):
    X = np.arange(1.0, n + 1)[:, None]
    case = one_product([1.0], X) | {"y": np.zeros(n), "weight": np.ones(n)}
    assert_allclose(net_kernel.predict(**forward(case)), X[:, 0], rtol=1e-13)
    assert_allclose(net_kernel.loss_gradient(**case)[0], 0.5 * np.sum(X**2), rtol=1e-12)
    assert_allclose(net_kernel.jacobian(**case)[1][:, 1], -X[:, 0], rtol=1e-13)
    assert_allclose(net_kernel.input_gradient(**forward(case)), 1.0, rtol=1e-12)


PART = net_kernel.PART


@pytest.fixture(scope="module")
def long_table():
    """Rows of three parts and a bit."""
    rng = np.random.default_rng(0)
    n = 3 * PART + 700
    return {
        "X": rng.choice([-1.0, 1.0], (n, 3)) * rng.uniform(0.5, 2, (n, 3)),
        "y": rng.normal(size=n),
        "weight": rng.uniform(0, 1, n),
        "x_scale": np.array([0.5, 1.0, 3.0]),
        "x_mean": np.array([0.1, -0.4, 0.2]),
        "product": np.array([1, 1, 0], np.uint8),
        "theta": np.array([0.7, -1.2, 0.4, 0.9, 0.5, 0.3, 1.5, 0.8, -0.6, -0.5, 0.2, 0.8, 0.1]),
        "sign": np.array([[1, 0, 0], [0, 1, 1]], np.uint8),
    }


def test_long_tables_equal_the_twin(long_table):
    value = net_kernel.predict(**forward(long_table), n_threads=2)
    assert_allclose(value, reference.net(**forward(long_table)), rtol=1e-11, atol=1e-12)
    residual, J = net_kernel.jacobian(**long_table, n_threads=2)
    assert_allclose(residual, reference.residual(**long_table), rtol=1e-11, atol=1e-12)
    expected = reference.jacobian(**long_table)
    assert_allclose(J, expected, rtol=1e-9, atol=1e-11)
    loss, gradient = net_kernel.loss_gradient(**long_table, n_threads=2)
    assert_allclose(loss, reference.loss(**long_table), rtol=1e-12)
    assert_allclose(gradient, expected.T @ reference.residual(**long_table), rtol=1e-9)
    slopes = net_kernel.input_gradient(**forward(long_table), n_threads=2)
    assert_allclose(slopes, reference.input_gradient(**forward(long_table)), rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("n_threads", [0, 2, 3, 8])
@pytest.mark.parametrize("n", [1, PART - 1, PART, PART + 1, 3 * PART + 700])
def test_threads_leave_every_bit_as_it_is(long_table, n, n_threads):
    case = long_table | {name: long_table[name][:n] for name in ("X", "y", "weight")}
    for function, arguments in (
        (net_kernel.predict, forward(case)),
        (net_kernel.input_gradient, forward(case)),
        (net_kernel.jacobian, case),
        (net_kernel.loss_gradient, case),
    ):
        one, many = function(**arguments), function(**arguments, n_threads=n_threads)
        for some, other in zip(one, many, strict=True) if isinstance(one, tuple) else [(one, many)]:
            assert_array_equal(other, some)


def test_parts_cover_the_rows_in_order_and_in_threads():
    seen, names = [], set()
    together = threading.Barrier(2, timeout=600)  # reached by a deadlock only

    def part(start, stop):
        seen.append((start, stop))
        names.add(threading.get_ident())
        together.wait()  # returns only where two parts run at once
        return start, stop

    found = net_kernel.in_parts(part, 4 * PART, 2)
    assert found == [(start, start + PART) for start in range(0, 4 * PART, PART)]
    assert sorted(seen) == found and len(names) == 2


def test_an_error_in_a_thread_is_raised(long_table):
    def part(start, stop):
        raise RuntimeError(f"rows from {start}")

    with pytest.raises(RuntimeError, match="rows from 0"):
        net_kernel.in_parts(part, 3 * PART, 2)
    short = long_table["y"][: 2 * PART]
    with pytest.raises(ValueError, match="must be equal"):
        net_kernel.loss_gradient(**long_table | {"y": short}, n_threads=2)
    with pytest.raises(ValueError, match="columns"):
        net_kernel.predict(**forward(long_table) | {"x_mean": np.zeros(2)}, n_threads=2)


def test_no_rows_give_no_values():
    case = one_product([1.0, 2.0], np.zeros((0, 2))) | {"y": np.zeros(0), "weight": np.zeros(0)}
    assert net_kernel.predict(**forward(case)).shape == (0,)
    assert net_kernel.input_gradient(**forward(case)).shape == (0, 2)
    residual, J = net_kernel.jacobian(**case)
    assert residual.shape == (0,) and J.shape == (0, 6)
    assert net_kernel.loss_gradient(**case)[0] == 0


# --- what is handed in


@unhurried
@given(case=tables(max_rows=300))
def test_arguments_are_only_read(case):
    before = {name: value.copy() for name, value in case.items()}
    expected = net_kernel.predict(**forward(case)), *net_kernel.jacobian(**case), net_kernel.loss_gradient(**case)[1]
    for name, value in case.items():
        assert_array_equal(value, before[name])
        value.flags.writeable = False
    found = net_kernel.predict(**forward(case)), *net_kernel.jacobian(**case), net_kernel.loss_gradient(**case)[1]
    for some, other in zip(found, expected, strict=True):
        assert_array_equal(some, other)


def test_memory_maps_are_read(tmp_path):
    X = np.random.default_rng(0).uniform(0.5, 2, (700, 2))
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    case = one_product([1.5, -2.0], X)
    expected = net_kernel.predict(**case), net_kernel.input_gradient(**case)
    case["X"] = mapped
    assert_array_equal(net_kernel.predict(**case), expected[0])
    assert_array_equal(net_kernel.input_gradient(**case), expected[1])


@st.composite
def spoiled(draw):
    """A table one of whose arrays has a wrong length, dimension, type or order, and the name of that array."""
    case = draw(tables(max_rows=20))
    name = draw(st.sampled_from(sorted(case)))
    value = case[name]
    ways = ["dtype", "more", "less", "dimension"] + (["order"] if value.ndim == 2 and min(value.shape) > 1 else [])
    way = draw(st.sampled_from(ways))
    if way == "dtype":
        with np.errstate(invalid="ignore", over="ignore"):
            value = value.astype(draw(st.sampled_from(["f4", ">f8", "i8", "c16", "O"])))
    elif way == "dimension":
        value = value[None]
    elif way == "order":
        value = np.asfortranarray(value)
    else:
        shape = list(value.shape)
        axis = 1 if name == "X" else draw(st.integers(0, value.ndim - 1))  # rows of X are free as far as predict goes
        shape[axis] += -1 if way == "less" and shape[axis] else draw(st.integers(1, 4))
        value = np.ones(shape, value.dtype)
    return case | {name: value}, name


@settings(deadline=None, max_examples=200)
@given(spoilt=spoiled())
def test_wrong_shapes_types_and_orders_raise(spoilt):
    case, name = spoilt
    with pytest.raises(ValueError):
        net_kernel.jacobian(**case)
    with pytest.raises(ValueError):
        net_kernel.loss_gradient(**case)
    if name not in ("y", "weight"):
        with pytest.raises(ValueError):
            net_kernel.predict(**forward(case))
        with pytest.raises(ValueError):
            net_kernel.input_gradient(**forward(case))
