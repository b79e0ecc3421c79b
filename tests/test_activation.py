from fractions import Fraction

import numpy as np
import pytest
import reference
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_allclose, assert_array_equal

from skmerge.activation import activation, activation_derivatives

KINDS = ["saturating", "outside", "tanh"]
inf, nan = np.inf, np.nan

unhurried = settings(deadline=None)  # a busy machine is no failure
shapes = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=20)
moderate = st.floats(-1e6, 1e6)
plateaus = st.floats(1e-6, 1e6)
pairs = hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=3, max_side=20, min_dims=0)


def ulps(u, C):
    """Greatest error of g in units in the last place, against exact fractions."""
    value, C = activation(u, C), Fraction(float(C))
    exact = [C * x / (abs(x) + C) for x in map(Fraction, u.tolist())]
    errors = [float(Fraction(v) - e) for v, e in zip(value.tolist(), exact, strict=True)]
    return np.max(np.abs(errors) / np.spacing(np.abs(exact).astype(u.dtype)))


@pytest.mark.parametrize("kind", KINDS)
@unhurried
@given(data=st.data())
def test_equals_the_formula_for_any_shapes(kind, data):
    shape_u, shape_C = data.draw(pairs).input_shapes
    u = data.draw(hnp.arrays(float, shape_u, elements=moderate))
    C = data.draw(hnp.arrays(float, shape_C, elements=plateaus))
    value = activation(u, C, kind=kind)
    assert np.shape(value) == np.broadcast_shapes(shape_u, shape_C)
    assert_allclose(value, reference.activation(u, C, kind), rtol=1e-14, atol=1e-300)


@pytest.mark.parametrize("kind", KINDS)
@unhurried
@given(data=st.data())
def test_derivatives_equal_the_complex_step(kind, data):
    shape_u, shape_C = data.draw(pairs).input_shapes
    u = data.draw(hnp.arrays(float, shape_u, elements=st.floats(-300, 300)))
    C = data.draw(hnp.arrays(float, shape_C, elements=st.floats(1e-3, 1e3)))
    dg_du, dg_dC = activation_derivatives(u, C, kind=kind)
    zero = np.zeros(np.broadcast_shapes(shape_u, shape_C))
    expected = reference.complex_step(lambda u: reference.activation(u + zero, C, kind), u)
    # The complex step of a quotient or of tanh cancels where the derivative is small; digits there are tested below.
    assert_allclose(dg_du, expected, rtol=1e-13, atol=1e-12)
    expected = reference.complex_step(lambda C: reference.activation(u, C + zero, kind), C)
    assert_allclose(dg_dC, expected, rtol=1e-13, atol=1e-12)


def test_derivatives_equal_differences_of_the_function_itself():
    u, C, h = np.array([-7.0, -0.3, 0.4, 5.0]), np.array([0.2, 3.0, 0.7, 40.0]), 1e-5
    for kind in KINDS:
        dg_du, dg_dC = activation_derivatives(u, C, kind=kind)
        along_u = (activation(u + h, C, kind=kind) - activation(u - h, C, kind=kind)) / (2 * h)
        along_C = (activation(u, C + h, kind=kind) - activation(u, C - h, kind=kind)) / (2 * h)
        assert_allclose(dg_du, along_u, rtol=1e-5, atol=1e-9)
        assert_allclose(dg_dC, along_C, rtol=1e-5, atol=1e-9)


def test_slope_of_tanh_keeps_its_digits_far_out():
    assert_allclose(activation_derivatives([20.0, 300.0], kind="tanh")[0], 4 * np.exp([-40.0, -600.0]), rtol=1e-14)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("C", [1.0, 1.9, 0.37, 3e-3, 49.0, 1e-17, 1e-25, 1e17, 1e25])
def test_error_is_two_ulp(dtype, C):
    rng = np.random.default_rng(0)
    C = dtype(C)
    around = C * rng.uniform(0.5, 2, 3000)  # where the error is largest
    wide = C * 10.0 ** rng.uniform(-8, 8, 3000)
    u = (np.concatenate([around, wide]) * rng.choice([-1, 1], 6000)).astype(dtype)
    assert ulps(u, C) < 2.1  # 1.8 where there is a fused multiply-add
    assert_allclose(activation(u, np.full_like(u, C)), activation(u, C), rtol=4 * np.finfo(dtype).eps)


@unhurried
@given(u=st.floats(allow_nan=False), C=st.floats(0, inf))
def test_never_beyond_u_or_the_plateau(u, C):
    for plateau in C, np.array([C]):  # one plateau for all and one for each are different loops
        value = np.ravel(activation(u, plateau))[0]
        assert abs(value) <= min(abs(u), C)
        assert abs(value) >= min(abs(u), C) / 2 - 1e-323
        assert np.signbit(value) == np.signbit(u)
        dg_du, dg_dC = (np.ravel(d)[0] for d in activation_derivatives(u, plateau))
        assert 0 <= dg_du <= 1
        assert 0 <= abs(dg_dC) <= 1
        assert np.signbit(dg_dC) == np.signbit(u)


@pytest.mark.parametrize(("dtype", "decades"), [(np.float32, 8), (np.float64, 70)])
def test_derivatives_keep_their_digits_far_out(dtype, decades):
    rng = np.random.default_rng(0)
    u = (10.0 ** rng.uniform(-decades, decades, 3000) * rng.choice([-1, 1], 3000)).astype(dtype)
    for C in dtype(0.7), dtype(1e7):
        exact_u, exact_C, plateau = u.tolist(), Fraction(float(C)), np.full_like(u, C)
        total = [(abs(Fraction(x)) + exact_C) ** 2 for x in exact_u]
        dg_du = np.array([float(exact_C**2 / d) for d in total])
        dg_dC = np.array([float(Fraction(x) * abs(Fraction(x)) / d) for x, d in zip(exact_u, total, strict=True)])
        for given_C in C, plateau:
            got = activation_derivatives(u, given_C)
            assert_allclose(got, [dg_du, dg_dC], rtol=5 * np.finfo(dtype).eps, atol=np.finfo(dtype).tiny)


LIMITS = [  # u, C, g, dg/du, dg/dC
    (0.0, 1.0, 0.0, 1.0, 0.0),
    (inf, 0.7, 0.7, 0.0, 1.0),
    (-inf, 0.7, -0.7, 0.0, -1.0),
    (inf, 49.0, 49.0, 0.0, 1.0),
    (inf, 1.7e308, 1.7e308, 0.0, 1.0),
    (1.7e308, 1.7e308, 0.85e308, 0.25, 0.25),
    (-3.0, inf, -3.0, 1.0, 0.0),
    (1.7e308, inf, 1.7e308, 1.0, 0.0),
    (inf, inf, inf, 1.0, 0.0),
    (-inf, inf, -inf, 1.0, 0.0),
    (3.0, 0.0, 0.0, 0.0, 1.0),
    (-3.0, 0.0, 0.0, 0.0, -1.0),
    (0.0, 0.0, 0.0, 0.0, 0.0),
    (-inf, 0.0, 0.0, 0.0, -1.0),
    (0.0, inf, 0.0, 1.0, 0.0),
    (1e300, 1e-300, 1e-300, 0.0, 1.0),
    (1e-300, 1e300, 1e-300, 1.0, 0.0),
    (1e300, 1.0, 1.0, 0.0, 1.0),
    (2e-308, 2e-308, 1e-308, 0.25, 0.25),
    (nan, 1.0, nan, nan, nan),
    (nan, 0.0, nan, nan, nan),
    (nan, inf, nan, nan, nan),
    (1.0, nan, nan, nan, nan),
    (0.0, nan, nan, nan, nan),
    (inf, nan, nan, nan, nan),
]


@pytest.mark.parametrize(("u", "C", "g", "dg_du", "dg_dC"), LIMITS)
def test_limits(u, C, g, dg_du, dg_dC):
    many = np.full(37, u)  # long enough for the vectorised part and its remainder
    for plateau in C, np.full(37, C):
        assert_array_equal(activation(many, plateau), np.full(37, g))
        assert_allclose(activation_derivatives(many, plateau), [[dg_du] * 37, [dg_dC] * 37], rtol=1e-15, atol=0)


def test_limits_of_the_older_forms():
    for kind in "outside", "tanh":
        assert_array_equal(activation([-inf, -0.0, inf, nan], -3.0, kind=kind), [3.0, 0.0, -3.0, nan])
        dg_du, dg_dC = activation_derivatives([-inf, 0.0, inf, nan], -3.0, kind=kind)
        assert_array_equal(dg_du, [0.0, -3.0, 0.0, nan])
        assert_array_equal(dg_dC, [-1.0, 0.0, 1.0, nan])
    assert_allclose(activation_derivatives(1e200, 1e300, kind="outside")[0], 1e-100)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("given_dtype", "dtype"),
    [("f2", "f4"), ("f4", "f4"), ("f8", "f8"), (">f8", "f8"), (">f4", "f4"), ("i4", "f8"), ("u1", "f8"), ("?", "f8")],
)
def test_precision_follows_u(kind, given_dtype, dtype):
    u = np.array([0, 1, 1, 0]).astype(given_dtype)
    for C in 2, np.full(4, 2.0), np.full(4, 2, "f4"):
        for value in (activation(u, C, kind=kind), *activation_derivatives(u, C, kind=kind)):
            assert value.dtype == np.dtype(dtype)
            assert value.dtype.isnative
    assert_allclose(activation(u, 2, kind=kind), reference.activation(u.astype(float), 2.0, kind), rtol=1e-6)


def test_a_plateau_beyond_float32_is_infinite_there():
    assert_array_equal(activation(np.float32([-2, 5]), 1e300), np.float32([-2, 5]))


@pytest.mark.parametrize("kind", KINDS)
@unhurried
@given(data=st.data())
def test_memory_layout_does_not_matter(kind, data):
    shape = data.draw(shapes)
    rng = np.random.default_rng(0)
    u = rng.normal(size=shape)
    expected, slopes = activation(u, 0.3, kind=kind), activation_derivatives(u, 0.3, kind=kind)
    strided = np.repeat(u[..., None], 2, axis=-1)[..., 0]
    unaligned = np.frombuffer(b"x" + u.tobytes(), np.uint8)[1:].view(float).reshape(shape)  # read-only as well
    for other in np.asfortranarray(u), strided, unaligned, u.T.copy().T, u.tolist():
        got = np.reshape(activation(other, 0.3, kind=kind), shape)
        assert_allclose(got, expected, rtol=1e-15)
        assert_allclose(np.reshape(activation_derivatives(other, 0.3, kind=kind), (2, *shape)), slopes, rtol=1e-15)
    for target in np.empty(shape), np.empty(shape, order="F"), np.empty((*shape, 2))[..., 0]:
        assert activation(u, 0.3, kind=kind, out=target) is target
        assert_allclose(target, expected, rtol=1e-15)


@pytest.mark.parametrize("kind", KINDS)
def test_out_may_overlap_the_input(kind):
    rng = np.random.default_rng(0)
    for view in (lambda a: a, lambda a: a[::2], lambda a: a.reshape(50, 60).T, lambda a: a.reshape(50, 60)[:, 1:7]):
        u = rng.normal(size=3000)
        expected = activation(view(u), 0.3, kind=kind)
        same = view(u)
        assert activation(same, 0.3, kind=kind, out=same) is same
        assert_array_equal(same, expected)
    for read, written in ((slice(None, -1), slice(1, None)), (slice(1, None), slice(None, -1))):
        u = rng.normal(size=30_001)
        expected = activation(u[read], 0.3, kind=kind)
        activation(u[read], 0.3, kind=kind, out=u[written])
        assert_array_equal(u[written], expected)
    C = rng.uniform(1, 2, 30_000)
    expected = activation(0.7, C, kind=kind)
    activation(0.7, C, kind=kind, out=C)
    assert_array_equal(C, expected)


def test_input_is_left_alone():
    u, C = np.linspace(-3, 3, 50), np.linspace(1, 2, 50)
    u.flags.writeable = C.flags.writeable = False
    for kind in KINDS:
        activation(u, C, kind=kind)
        activation_derivatives(u, C, kind=kind)
        activation(u, 1.0, kind=kind)
    assert_array_equal(u, np.linspace(-3, 3, 50))
    assert_array_equal(C, np.linspace(1, 2, 50))


def test_a_number_gives_a_number():
    for kind in KINDS:
        assert isinstance(activation(1, kind=kind), np.float64)
        assert isinstance(activation(np.float32(1), 2.0, kind=kind), np.float32)
        assert all(isinstance(d, np.float64) for d in activation_derivatives(1, 2, kind=kind))
    cell = np.empty(())
    assert activation(1, out=cell) is cell
    assert cell == 0.5


@pytest.mark.parametrize("f", [activation, activation_derivatives])
@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (dict(u=1.0, C=-1e-9), ValueError, "C must not be negative"),
        (dict(u=1.0, C=[1.0, nan, -inf]), ValueError, "C must not be negative.*-inf"),
        (dict(u=1.0, C=inf, kind="outside"), ValueError, "C must be finite"),
        (dict(u=1.0, C=[0.0, -inf], kind="tanh"), ValueError, "C must be finite"),
        (dict(u=1.0, kind="relu"), ValueError, "kind must be one of.*'relu'"),
        (dict(u=[1.0, 2.0], C=[1.0, 2.0, 3.0]), ValueError, r"u of shape \(2,\) and C of shape \(3,\)"),
        (dict(u=[1j]), TypeError, "u must hold real numbers, got dtype complex"),
        (dict(u=["1"]), TypeError, "u must hold real numbers, got dtype <U1"),
        (dict(u=[None]), TypeError, "u must hold real numbers, got dtype object"),
        (dict(u=np.longdouble(1)), TypeError, "u must hold real numbers, got dtype"),
        (dict(u=1.0, C="a"), TypeError, "C must hold real numbers, got dtype <U1"),
        (dict(u=1.0, C=1j), TypeError, "C must hold real numbers, got dtype complex"),
    ],
)
def test_bad_arguments_are_named(f, arguments, error, message):
    with pytest.raises(error, match=message):
        f(**arguments)


@pytest.mark.parametrize("kind", KINDS)
def test_bad_out_is_named(kind):
    u = np.zeros((2, 3))
    frozen = np.zeros((2, 3))
    frozen.flags.writeable = False
    for out, error, message in [
        ([0.0], TypeError, "out must be a NumPy array, got list"),
        (np.zeros((2, 3), "f4"), TypeError, "out must have the result's dtype float64, got float32"),
        (np.zeros((3, 2)), ValueError, r"out must have the result's shape \(2, 3\), got \(3, 2\)"),
        (frozen, ValueError, "out must be writeable"),
    ]:
        with pytest.raises(error, match=message):
            activation(u, kind=kind, out=out)
    with pytest.raises(ValueError, match="out must have the result's shape"):
        activation(u, np.ones((4, 1, 1)), kind=kind, out=u)
