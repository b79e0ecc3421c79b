import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_allclose, assert_array_equal

from skmerge._net.objective import FEW_SIZES, Network, Objective, Scaling, rounded

unhurried = settings(deadline=None, max_examples=60)
inf = np.inf


def even(n):
    return np.full(n, 1 / n)


def scaling_of(*columns):
    X = np.column_stack(columns).astype(float)
    return Scaling.of(X, even(len(X)))


# --- scaling


@unhurried
@given(
    x=hnp.arrays(float, st.integers(2, 30), elements=st.floats(0.01, 100) | st.floats(-100, -0.01) | st.just(0.0)),
    data=st.data(),
)
def test_scale_mean_and_variances_are_those_of_the_definition(x, data):
    weight = data.draw(hnp.arrays(float, len(x), elements=st.floats(0.01, 1)))
    weight /= weight.sum()
    s = Scaling.of(x[:, None], weight)
    nonzero = x != 0
    if nonzero.any():
        mean_log = np.average(np.log(np.abs(x[nonzero])), weights=weight[nonzero])
        variance = np.average((np.log(np.abs(x[nonzero])) - mean_log) ** 2, weights=weight[nonzero])
    else:
        mean_log = variance = 0.0
    assert_allclose(s.x_scale, np.exp(mean_log), rtol=1e-12)
    assert_allclose(s.log_variance, variance, rtol=1e-7, atol=1e-25)
    mean = np.average(x, weights=weight)
    assert_allclose(s.x_mean * s.x_scale, mean, rtol=1e-7, atol=1e-12)
    assert_allclose(s.slope_variance * s.x_scale**2, np.average((x - mean) ** 2, weights=weight), rtol=1e-7, atol=1e-12)
    assert s.zeros[0] == (x == 0).any()


def test_scaling_of_repeated_rows_is_that_of_their_weights():
    rng = np.random.default_rng(0)
    X, count = rng.normal(size=(20, 3)), rng.integers(1, 5, 20)
    once, repeated = Scaling.of(X, count / count.sum()), Scaling.of(np.repeat(X, count, axis=0), even(count.sum()))
    for name in ("x_scale", "x_mean", "slope_variance", "log_variance"):
        assert_allclose(getattr(once, name), getattr(repeated, name), rtol=1e-12, err_msg=name)
    for name in ("product", "zeros", "signed"):
        assert_array_equal(getattr(once, name), getattr(repeated, name), err_msg=name)


@unhurried
@given(data=st.data(), n=st.integers(3, 100))
def test_a_tenth_of_zeros_or_enough_other_sizes_are_admitted_to_products(data, n):
    zeros = data.draw(st.integers(0, n - 2))
    x = np.linspace(1, 2, n)
    x[:zeros] = 0
    s = scaling_of(x)
    assert s.dense[0] == (10 * zeros <= n)
    assert s.product[0] == (10 * zeros <= n or n - zeros >= FEW_SIZES)
    assert s.zeros[0] == (zeros > 0)


def test_zeros_count_by_their_weight():
    x = np.array([0.0, 1.0, 2.0, 3.0])
    assert Scaling.of(x[:, None], np.array([0.05, 0.3, 0.3, 0.35])).product[0] == 1
    assert Scaling.of(x[:, None], np.array([0.25, 0.25, 0.25, 0.25])).product[0] == 1  # seldom zero: three sizes do
    assert Scaling.of(x[:, None], np.array([0.31, 0.23, 0.23, 0.23])).product[0] == 0


@pytest.mark.parametrize(
    "x", [[0, 1, 0, 1], [1, 1, 1, 0], [0, 3e7, 0, 3e7], [-1, 1, 1, -1], [0, 0, 0, 0], [5, 5, 5, 5], [-2, -2, -2, -2]]
)
def test_columns_of_one_size_enter_no_product(x):
    s = scaling_of(x)
    assert s.product[0] == 0 and not s.signed[0]
    assert s.slope_variance[0] == pytest.approx(np.var(x / s.x_scale[0]), abs=1e-25)
    assert s.x_scale[0] == pytest.approx(max(map(abs, x)) or 1.0, rel=1e-13)


def test_signs():
    positive, negative, both = np.array([1.0, 2, 3, 4]), -np.array([1.0, 2, 3, 4]), np.array([-1.0, 2, -3, 4])
    with_zeros = np.r_[np.zeros(4), both]  # too many zeros for a product
    s = scaling_of(positive, negative, both)
    assert_array_equal(s.signed, [False, False, True])
    assert_array_equal(s.product, [1, 1, 1])
    assert not scaling_of(with_zeros).signed[0]


@unhurried
@given(exponent=st.integers(-300, 300), seed=st.integers(0, 1000))
def test_units_change_only_the_scale(exponent, seed):
    rng = np.random.default_rng(seed)
    X = np.column_stack([rng.uniform(0.5, 2, 40), rng.normal(size=40), rng.integers(0, 2, 40), np.ones(40)])
    unit = 10.0**exponent
    s, other = Scaling.of(X, even(40)), Scaling.of(X * unit, even(40))
    assert_allclose(other.x_scale[:2], s.x_scale[:2] * unit, rtol=1e-10)
    for name in ("x_mean", "slope_variance", "log_variance"):
        assert_allclose(getattr(other, name), getattr(s, name), rtol=1e-9, atol=1e-20, err_msg=name)
    for name in ("product", "zeros", "signed"):
        assert_array_equal(getattr(other, name), getattr(s, name), err_msg=name)


def test_without_takes_a_feature_out_of_everything():
    s = scaling_of([-1.0, 2, 3], [4.0, 5, -6], [1.0, 2, 4])
    less = s.without(1)
    assert_array_equal(less.product, [1, 0, 1])
    assert_array_equal(less.signed, [True, False, False])
    assert less.slope_variance[1] == 0 and less.slope_variance[0] == s.slope_variance[0]
    assert_array_equal(s.product, [1, 1, 1])  # the old one as it was
    assert s.slope_variance[1] > 0


@pytest.mark.parametrize("unit", [3, 1e30, 1e-30, np.pi, 1e-250])
def test_rounding_leaves_the_same_numbers_in_any_units(unit):
    """Two of 10^5 numbers may fall on the other side of a step; a seed is chosen where none does."""
    rng = np.random.default_rng(1)
    columns = (
        rng.uniform(1, 5, 200),
        rng.normal(size=200),
        300 + rng.normal(size=200),
        np.full(200, 7.1),
        rng.integers(3, size=200),
    )
    X, y = np.column_stack(columns), 50 + rng.normal(size=200)
    plain, scaled = objective(X, y).rounded(), objective(X * unit, y * unit).rounded()
    assert_array_equal(scaled.X, plain.X)
    assert_array_equal(scaled.y, plain.y)
    for name in ("x_scale", "x_mean", "slope_variance", "log_variance", "product"):
        assert_array_equal(getattr(scaled.scaling, name), getattr(plain.scaling, name), err_msg=name)


@unhurried
@given(
    x=hnp.arrays(float, st.integers(1, 30), elements=st.floats(-1e300, 1e300)),
    spread=st.floats(1e-300, 1e300) | st.just(0.0),
)
def test_rounding_keeps_ten_digits_of_a_number_and_of_the_spread(x, spread):
    found = rounded(x, spread)
    off = np.abs(found - x)
    assert (off <= 2.0**-32 * np.abs(x)).all()
    assert (off <= np.maximum(2.0**-32 * spread if spread else np.inf, 2.0**-48 * np.abs(x))).all()
    assert_array_equal(rounded(found, spread), found)


def test_a_rounded_objective_is_the_same_in_scaled_units():
    rng = np.random.default_rng(0)
    o = objective(rng.uniform(1, 5, (40, 2)) * [1e10, 1e-10], 1e20 * rng.normal(size=40))
    lower, upper = o.node_bounds("product")
    net = o.constant().with_node(np.array([1.5, -0.5, 0.7, 0, 0]), lower, upper, np.zeros(2, np.uint8))
    assert_allclose(o.rounded().predict(net), o.predict(net), rtol=1e-8)
    assert_array_equal(o.rounded().rounded().X, o.rounded().X)


# --- network


@st.composite
def networks(draw):
    d, h = draw(st.integers(1, 4)), draw(st.integers(0, 4))
    p = h * (d + 3) + 1
    theta = draw(hnp.arrays(float, p, elements=st.floats(-5, 5)))
    sign = draw(hnp.arrays(np.uint8, (h, d), elements=st.integers(0, 1)))
    width = draw(hnp.arrays(float, p, elements=st.sampled_from([0.0, 1.0, inf])))
    return Network(theta, sign, theta - width, theta + width, 0.5, np.eye(p))


@st.composite
def nodes(draw, d):
    node = draw(hnp.arrays(float, d + 3, elements=st.floats(-5, 5)))
    return node, node - 1, node + draw(st.floats(0, 2)), draw(hnp.arrays(np.uint8, d, elements=st.integers(0, 1)))


def assert_same(net, other):
    for name in ("theta", "sign", "lower", "upper"):
        assert_array_equal(getattr(net, name), getattr(other, name), err_msg=name)


@unhurried
@given(net=networks(), data=st.data())
def test_a_node_is_added_before_the_constant(net, data):
    node, lower, upper, sign = data.draw(nodes(net.n_features))
    grown = net.with_node(node, lower, upper, sign)
    assert grown.n_nodes == net.n_nodes + 1 and grown.n_features == net.n_features
    assert_array_equal(grown.nodes, np.vstack([net.nodes, node]))
    assert_array_equal(grown.bound("lower"), np.vstack([net.bound("lower"), lower]))
    assert_array_equal(grown.bound("upper"), np.vstack([net.bound("upper"), upper]))
    assert_array_equal(grown.sign, np.vstack([net.sign, sign]))
    assert grown.theta[-1] == net.theta[-1] and grown.lower[-1] == net.lower[-1]
    assert grown.sign.dtype == np.uint8
    assert grown.squares == inf and grown.JTJ is None  # not fitted
    assert grown.n_free == net.n_free + np.count_nonzero(lower < upper)


@unhurried
@given(net=networks(), data=st.data())
def test_a_node_added_and_taken_away_leaves_the_same(net, data):
    assert_same(net.with_node(*data.draw(nodes(net.n_features))).without_node(net.n_nodes), net)


@unhurried
@given(net=networks().filter(lambda net: net.n_nodes), data=st.data())
def test_a_node_is_taken_out(net, data):
    i = data.draw(st.integers(0, net.n_nodes - 1))
    less = net.without_node(i)
    assert_array_equal(less.nodes, np.delete(net.nodes, i, axis=0))
    assert_array_equal(less.bound("upper"), np.delete(net.bound("upper"), i, axis=0))
    assert_array_equal(less.sign, np.delete(net.sign, i, axis=0))
    assert less.theta[-1] == net.theta[-1]
    assert less.squares == inf and less.JTJ is None


@unhurried
@given(net=networks(), data=st.data(), value=st.floats(-9, 9))
def test_a_pinned_parameter_is_fixed_and_the_others_untouched(net, data, value):
    q = data.draw(st.integers(0, len(net.theta) - 1))
    before = net.theta.copy(), net.lower.copy(), net.upper.copy()
    other = np.arange(len(net.theta), dtype=float)
    for start in (None, other):
        pinned = net.pinned(q, value, start)
        assert pinned.theta[q] == pinned.lower[q] == pinned.upper[q] == value
        rest = np.arange(len(net.theta)) != q
        assert_array_equal(pinned.theta[rest], (net.theta if start is None else start)[rest])
        assert_array_equal(pinned.lower[rest], net.lower[rest])
        assert pinned.n_free == net.n_free - (net.lower[q] < net.upper[q])
    for now, then in zip((net.theta, net.lower, net.upper), before, strict=True):
        assert_array_equal(now, then)
    assert_array_equal(other, np.arange(len(net.theta)))


@pytest.mark.parametrize(
    ("low", "high", "kind"), [(0, 0, "product"), (1, 1, "sum"), (0, 1, "blend"), (0.3, 0.3, "blend"), (0, 0.5, "blend")]
)
def test_kind(low, high, kind):
    net = Network(
        np.zeros(5), np.zeros((1, 1), np.uint8), np.array([-1, -1, 0, low, -1.0]), np.array([1, 1, 0, high, 1.0])
    )
    assert net.kind(0) == kind


# --- objective


def objective(X, y, weight=None, **options):
    X = np.asarray(X, float)
    weight = even(len(X)) if weight is None else weight
    d = X.shape[1]
    bounds = options.pop("exponent_bounds", (np.full(d, -30.0), np.full(d, 30.0)))
    return Objective(X, np.asarray(y, float), weight, Scaling.of(X, weight), bounds, **options)


@unhurried
@given(seed=st.integers(0, 1000), factor=st.floats(-1e250, 1e250).filter(lambda f: abs(f) > 1e-250))
def test_y_is_measured_in_its_weighted_standard_deviation(seed, factor):
    rng = np.random.default_rng(seed)
    y, weight = rng.normal(size=30), rng.uniform(0.1, 1, 30)
    o = objective(rng.normal(size=(30, 2)), y * factor, weight / weight.sum())
    std = np.sqrt(np.average((y - np.average(y, weights=weight)) ** 2, weights=weight))
    assert_allclose(o.y_scale, std * abs(factor), rtol=1e-12)
    assert_allclose(o.y, y / std * np.sign(factor), rtol=1e-12)
    assert_allclose(o.constant().squares, 1, rtol=1e-12)
    assert_allclose(o.weight @ o.squares(o.constant()), 1, rtol=1e-12)


@pytest.mark.parametrize("value", [0.0, 3.0, -2e-300, 1e300])
def test_constant_y_is_measured_in_its_size(value):
    o = objective(np.arange(1.0, 5)[:, None], np.full(4, value))
    assert o.y_scale == (abs(value) or 1.0)
    assert o.weight @ o.squares(o.constant()) < 1e-30


def test_subset_keeps_the_scaling_and_renews_the_weights():
    o = objective(np.arange(1.0, 7)[:, None], np.arange(6.0), np.arange(1.0, 7) / 21)
    part = o.subset(np.array([5, 0]))
    assert part.scaling is o.scaling and part.y_scale == o.y_scale
    assert_array_equal(part.X, [[6.0], [1.0]])
    assert_array_equal(part.y, o.y[[5, 0]])
    assert_allclose(part.weight, [6 / 7, 1 / 7])
    assert part.n == 2 and o.n == 6


def test_bounds_of_a_node():
    """Columns: positive, with a zero, zeros and ones, constant."""
    n = 20
    X = np.column_stack([np.linspace(1, 2, n), np.linspace(0, 2, n), np.arange(n) % 2, np.full(n, 7.0)])
    o = objective(X, np.arange(n), exponent_bounds=(np.array([-3.0, -30, -30, -30]), np.array([2.0, 30, 30, 30])))
    low, high = o.node_bounds("product")
    assert_array_equal(low[:4], [-3, 0, 0, 0])  # no negative power of zero
    assert_array_equal(high[:4], [2, 30, 0, 0])
    assert_array_equal(low[5:], [0, 0])
    assert_array_equal(high[5:], [0, 0])
    low, high = o.node_bounds("sum")
    assert_array_equal(low[:4], [-inf, -inf, -inf, 0])
    assert_array_equal(high[:4], [inf, inf, inf, 0])
    assert (low[6], high[6]) == (1, 1)
    low, high = o.node_bounds("blend", saturating=True)
    assert_array_equal(low[:4], [-3, 0, -inf, 0])
    assert (low[6], high[6]) == (0, 1) and low[5] == 0 and high[5] > 0
    o = objective(X, np.arange(n), blend=0.25)
    for kind in ("product", "sum", "blend"):
        assert o.node_bounds(kind)[0][6] == o.node_bounds(kind)[1][6] == 0.25
