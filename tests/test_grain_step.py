"""One step of many grains at once: against its NumPy twin, the adaptive method, differences, and itself."""

import numpy as np
import pytest
import reference_crystal
import reference_grain as reference
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.integrate import solve_ivp
from scipy.spatial.transform import Rotation
from sklearn.exceptions import ConvergenceWarning
from test_crystal_any import apart, drawn, matrix, turned

from skmerge._ext.grain_stepping import GrainLaw, gradient_of, most_lanes
from skmerge.crystal import Crystal, simulate

CRYSTAL = Crystal()
VOIGT = [(0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1)]


def start(rotations, rho=1e12, crystal=CRYSTAL, row=12):
    state = np.zeros((len(rotations), row))
    state[:, 11:], state[:, 5:9] = crystal._forest() * np.sqrt(rho), rotations.as_quat()
    return state


def flowing(n, seed=0, crystal=CRYSTAL, law=None, **options):
    """States of n grains after some plastic strain, and their velocity gradients."""
    law = law or crystal._grain_law(**options)
    state = start(Rotation.random(n, random_state=seed), crystal=crystal, row=law.row)
    L = np.stack([drawn(seed + i)[0] for i in range(n)])
    for dt in (0.5, 1.0, 2.0, 4.0):
        law.step(L, np.array([dt]), state)
    return law, state, L


def gradients(seed, n, segments):
    return np.stack([drawn(seed + i, segments) for i in range(n)])


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**30),
    size=st.sampled_from([0.0, 1e-6, 1e-3, 1e-2, 1.0]),
    dt=st.sampled_from([1e-3, 0.1, 4.0]),
    n=st.sampled_from([1.0, 3.5, 20.0, 60.0]),
)
def test_twin(seed, size, dt, n):
    rng = np.random.default_rng(seed)
    crystal = Crystal(rate_exponent=n, tau0=float(rng.uniform(1, 50)), k2=float(rng.uniform(0, 10)))
    state = start(Rotation.random(1, random_state=seed), 10 ** rng.uniform(10, 15), crystal)
    state[0, :5] = rng.normal(size=5) * 0.03
    L = size * drawn(seed)
    dt = min(dt, 0.02 / max(size, 1e-9))
    expected = reference.step(crystal, state[0], L[0], dt)
    _, flags, _ = crystal._grain_law(newton_tol=1e-8).step(L, np.array([dt]), state)
    assert flags[0] == 0
    state[0, 5:9] *= np.sign(state[0, 5:9] @ expected[5:9])
    assert_allclose(state[0, :5], expected[:5], rtol=1e-7, atol=1e-7 * np.abs(expected[:5]).max())
    assert_allclose(state[0, 5:], expected[5:], rtol=1e-7, atol=1e-9)


LATENT = Crystal(latent_hardening=1.4)


@pytest.mark.parametrize("crystal", [CRYSTAL, LATENT], ids=["shared", "each"])
@pytest.mark.parametrize("tol", [np.inf, 3e-3])
@pytest.mark.parametrize("at", ["rest", "knee", "flow", "reversed"])
def test_tangent_by_differences(at, tol, crystal):
    """Also of a step in pieces, where the derivatives of each are chained."""
    shared = crystal is CRYSTAL
    law, state, L = flowing(6, crystal=crystal, shared=shared)
    law = crystal._grain_law(tol, newton_tol=1e-8, shared=shared)
    if at in ("rest", "knee"):
        state = start(Rotation.random(6, random_state=0), row=law.row)
    dt = np.array([{"rest": 1e-3, "knee": 0.6}.get(at, 2.0)])
    L = -L if at == "reversed" else L
    _, flags, tangent = law.step(L, dt, state.copy(), True)
    assert (flags & 3 == 0).all()
    if at in ("knee", "reversed"):
        assert (flags > 0).any() == (tol < 1)
    size, h = np.abs(tangent).max(axis=(1, 2)), 1e-6
    for j, (a, b) in enumerate(VOIGT):
        change = np.zeros((3, 3))
        change[a, b] += 0.5 * h  # engineering shear: 2 D_yz dt
        change[b, a] += 0.5 * h
        more, less = (law.step(L + sign * change / dt, dt, state.copy())[0] for sign in (1, -1))
        off = np.abs(tangent[:, :, j] - (more - less) / (2 * h)).max(axis=1) / size
        assert (off < 2e-3).all(), (j, off)


def test_tangent_at_rest_is_that_of_the_elastic_crystal():
    state, C = start(Rotation.identity(1)), CRYSTAL
    tangent = C._grain_law().step(np.zeros((1, 3, 3)), np.zeros(1), state, True)[2][0]
    expected = np.diag([0.0] * 3 + [C.C44 * 1e3] * 3)
    expected[:3, :3] = C.C12 * 1e3
    expected[range(3), range(3)] = C.C11 * 1e3
    # No time, no strain: the derivative is that of a short step.
    assert_allclose(tangent, expected, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "tol", "most"), [("const", 0.1, 1e-3), ("reversed", 0.03, 2e-3), ("rate drop", 0.03, 2e-3)]
)
def test_adaptive_method(name, tol, most):
    """Final deviator, density and orientation after strain 0.1 in long steps, against the adaptive method."""
    grains = Rotation.random(24, random_state=1)
    L = np.repeat(gradients(5, 24, 1), 30, axis=1)
    time = np.concatenate([[0.0], np.cumsum(np.repeat([0.2, 4.0], [10, 20]))])
    if name != "const":
        L[:, 18:] *= -1 if name == "reversed" else 0.01
        time[19:] = time[18] + np.cumsum(np.repeat([0.2, 4.0], [8, 4])) * (1 if name == "reversed" else 100)
    new, slip = simulate(grains, time, velocity_gradient=L, tol=tol, return_slip=True)
    old, exact = simulate(grains, time, velocity_gradient=L, tol=1e-5, return_slip=True)
    error, size = (np.linalg.norm(matrix(a), axis=(1, 2)) for a in ((new - old)[:, -1, :6], old[:, -1, :6]))
    assert np.sqrt(np.mean((error / size) ** 2)) < most
    assert abs(np.mean(new[:, -1, 6] / old[:, -1, 6] - 1)) < 2e-4
    assert_allclose(slip, exact, rtol=2e-3, atol=3e-5)
    assert max(apart(Rotation.from_euler("ZXZ", a[1:, 7:]), b[1:]) for a, b in zip(new, old, strict=True)) < 2e-3


def test_stress_relaxes_and_nothing_else_happens():
    law, state, L = flowing(9)
    size, rest = [np.linalg.norm(state[:, :5], axis=1)], 0 * L
    for dt in (0.01, 1.0, 100.0, 1e4):
        turn = Rotation.from_quat(state[:, 5:9])
        assert (law.step(rest, np.array([dt]), state)[1] == 0).all()
        size.append(np.linalg.norm(state[:, :5], axis=1))
        assert (Rotation.from_quat(state[:, 5:9]) * turn.inv()).magnitude().max() < 1e-3
    assert (np.diff(size, axis=0) < 0).all() and (size[-1] > 0.3 * size[0]).all()
    before = state.copy()
    stress, flags, _ = law.step(L, np.zeros(1), state)
    assert_allclose(state, before, rtol=1e-12, atol=1e-14)
    assert_allclose(stress, law.stress(before), rtol=1e-11, atol=1e-9)
    assert not flags.any()


def test_unloading_is_elastic():
    law, state, L = flowing(9)
    before, forth, back, dt = law.stress(state), state.copy(), state.copy(), np.array([0.2])
    law.step(L, dt, forth)
    less = law.step(-L, dt, back)[0]
    assert (np.linalg.norm(less, axis=1) < np.linalg.norm(before, axis=1)).all()
    slip, creep = forth[:, 10] - state[:, 10], back[:, 10] - state[:, 10]
    assert (creep < 0.15 * slip).all(), creep / slip
    again = law.step(L, dt, back)[0]
    assert_allclose(again, before, atol=0.03 * np.abs(before).max())


def test_other_axes_and_the_24_equivalents_change_nothing():
    law, state, L = flowing(5)
    Q, dt = Rotation.random(1, random_state=4), np.array([3.0])
    moved = state.copy()
    moved[:, 5:9] = (Q * Rotation.from_quat(state[:, 5:9])).as_quat()
    stress, _, tangent = law.step(L, dt, state, True)
    other, _, _ = law.step(turned(L, Q.as_matrix()), dt, moved, True)
    assert_allclose(matrix(other), turned(matrix(stress), Q.as_matrix()), atol=1e-8 * np.abs(stress).max())
    grain, symmetry = Rotation.random(1, random_state=1), Rotation.create_group("O")
    many = start(grain * symmetry)
    for dt in (0.5, 4.0):
        stress, _, tangent = law.step(L[:1], np.array([dt]), many, True)
    assert_allclose(stress, np.tile(stress[0], (24, 1)), atol=1e-8 * np.abs(stress).max())
    assert_allclose(tangent, np.tile(tangent[0], (24, 1, 1)), atol=1e-5 * np.abs(tangent).max())


def test_a_spin_alone_turns_exactly():
    grains, w = Rotation.random(4, random_state=0), np.array([1e-3, -2e-3, 5e-4])
    W = np.array([[0, -w[2], w[1]], [w[2], 0, -w[0]], [-w[1], w[0], 0]])
    for tol in (1e-3, 0.1):
        state, slip = simulate(grains, [0, 400, 2000], velocity_gradient=W, return_slip=True, tol=tol)
        assert not state[..., :6].any() and not slip.any()
        turn = Rotation.from_euler("ZXZ", state[:, -1, 7:]) * grains.inv()
        expected = Rotation.from_rotvec(2000 * w)
        assert (turn * expected.inv()).magnitude().max() < 1e-10


@pytest.mark.parametrize("kind", ["shared", "each", "back"])
@pytest.mark.parametrize("unit", [0, 2, 4, 8])
def test_neighbours_and_order_change_no_bit(unit, kind):
    """Pieces, different times, all rates; in batches of any size, with a grain that fails beside the others."""
    if unit > most_lanes():
        pytest.skip("this machine has no such vectors")
    rng = np.random.default_rng(0)
    law = back_law(tol=0.01, lanes=unit)
    if kind != "back":
        law = LATENT._grain_law(0.01, lanes=unit, shared=kind == "shared")
    law, state, L = flowing(37, law=law)
    L *= 10.0 ** rng.uniform(-3, 1, (37, 1, 1)) * rng.choice([-1, 1], (37, 1, 1))
    dt = 10.0 ** rng.uniform(-2, 0.5, 37)
    state[11, 3] = np.nan
    whole = state.copy()
    results = law.step(L, dt, whole, True)
    order = rng.permutation(37)
    mixed = state[order]
    again = law.step(L[order], dt[order], mixed, True)
    assert_array_equal(whole[order], mixed)
    for one, other in zip(results, again, strict=True):
        assert_array_equal(one[order], other)
    for i in (0, 11, 20, 36):
        single = state[[i]]
        alone = law.step(L[[i]], dt[[i]], single, True)
        assert_array_equal(single, whole[[i]])
        for one, other in zip(results, alone, strict=True):
            assert_array_equal(one[[i]], other)
    assert results[1][11] == 2 and (results[1] & 3 == 0).sum() == 36 and (results[1] >> 16).any()
    assert_array_equal(whole[11], state[11])


@pytest.mark.parametrize("unit", [2, 4])
def test_vector_units_agree(unit):
    if unit > most_lanes():
        pytest.skip("this machine has no such vectors")
    _, state, L = flowing(17)
    other, dt = state.copy(), np.array([4.0])
    narrow, wide = (
        CRYSTAL._grain_law(lanes=unit).step(L, dt, other, True),
        CRYSTAL._grain_law().step(L, dt, state, True),
    )
    for a, b in zip((*narrow, other), (*wide, state), strict=True):
        assert_allclose(a, b, rtol=1e-6, atol=1e-6 * np.abs(b).max())


def table_of(g, k, first, last, n):
    """A table of two functions that also return their derivatives."""
    s = np.linspace(first, last, n)
    return np.concatenate([[first, s[1] - s[0]], *(np.broadcast_to(a, n) for a in (*g(s), *k(s)))])


def table_law(table, **options):
    a, stiffness = CRYSTAL._arrays(1.0), CRYSTAL._arrays(1.0)["stiffness"] / [1, 1, 9]
    return GrainLaw(a["schmid"], a["spin"], stiffness, a["flow"][:2].copy(), None, table, **options)


def test_a_table_of_the_linear_law_is_the_linear_law():
    tau0, storage, recovery = CRYSTAL._arrays(1.0)["flow"][2:]
    table = table_of(lambda s: (tau0 + s, 1.0), lambda s: (storage - recovery * s, -recovery), 0.0, 200.0, 7)
    law, state, L = flowing(9)
    other, dt = state.copy(), np.array([4.0])
    new = table_law(table).step(L, dt, other, True)
    for a, b in zip((*law.step(L, dt, state, True), state), (*new, other), strict=True):
        assert_allclose(a, b, rtol=1e-7, atol=1e-7 * np.abs(b).max())


def test_a_table_for_each_system():
    """The tables are those of the linear law, and each system has its own s."""
    tau0, storage, recovery = CRYSTAL._arrays(1.0)["flow"][2:]
    table = table_of(lambda s: (tau0 + s, 1.0), lambda s: (storage - recovery * s, -recovery), 0.0, 200.0, 7)
    law, state, L = flowing(5, crystal=LATENT, shared=False)
    other, dt = state.copy(), np.array([4.0])
    new = table_law(table, interaction=LATENT._arrays(1.0)["interaction"]).step(L, dt, other, True)
    for a, b in zip((*law.step(L, dt, state, True), state), (*new, other), strict=True):
        assert_allclose(a, b, rtol=1e-7, atol=1e-7 * np.abs(b).max())


def test_tables_of_density():
    """s is the density itself, in 1e12 / m^2: g and k are curved. Against the linear law in its root."""
    scale, c = 1e6 * CRYSTAL._forest(), CRYSTAL
    table = table_of(
        lambda r: (c.tau0 + scale * np.sqrt(r), 0.5 * scale / np.sqrt(r)),
        lambda r: (c.k1 / 1e6 * np.sqrt(r) - c.k2 * r, 0.5 * c.k1 / 1e6 / np.sqrt(r) - c.k2),
        *(1.0, 1000.0, 4000),
    )
    law = c._grain_law()
    state = start(Rotation.random(9, random_state=0), 4e12)
    other, L = state.copy(), gradients(0, 9, 1)[:, 0]
    other[:, 11] = (state[:, 11] / scale) ** 2
    by_table = table_law(table)
    for dt in (0.2, 0.2, 0.4, 1.0, 2.0, 4.0, 4.0):
        stress = law.step(L, np.array([dt]), state)[0]
        same = by_table.step(L, np.array([dt]), other)[0]
    assert_allclose(other[:, 11], (state[:, 11] / scale) ** 2, rtol=3e-4)
    assert_allclose(same, stress, rtol=1e-3, atol=1e-3 * np.abs(stress).max())
    tangent = table_law(table, newton_tol=1e-8).step(L, np.array([4.0]), other.copy(), True)[2]
    more, less = (by_table.step(L + e * np.diag([1, 0, 0]), np.array([4.0]), other.copy())[0] for e in (1e-6, -1e-6))
    assert_allclose(tangent[:, :, 0], (more - less) / 8e-6, atol=5e-3 * np.abs(tangent).max())


def test_beyond_a_table_nothing_is_lost():
    table = table_of(lambda s: (10 + s, 1.0), lambda s: (5 + 0 * s, 0.0), 0.0, 0.1, 2)
    _, state, _ = flowing(4, law=table_law(table))
    assert_allclose(state[:, 11], start(Rotation.identity(1))[0, 11] + 5 * state[:, 10], rtol=1e-9)


def bcc():
    """The 24 systems {110}<111> and {112}<111> as arrays of a law."""
    systems = []
    for squares in (2, 6):
        for m in np.argwhere(np.ones((5, 5, 5))) - 2.0:
            if m @ m == squares and tuple(m) > (0, 0, 0):
                systems += [(m, s) for s in ([1, 1, 1], [-1, 1, 1], [1, -1, 1], [1, 1, -1]) if abs(m @ s) < 1e-9]
    m, s = (np.array(a, float) for a in zip(*systems, strict=True))
    m, s = m / np.linalg.norm(m, axis=1)[:, None], s / np.linalg.norm(s, axis=1)[:, None]
    A = np.einsum("ai,aj->aij", s, m)
    return A, np.ascontiguousarray(np.cross(s, m).T / 2)


@pytest.mark.parametrize("n_systems", [5, 24, 48])
def test_any_number_of_systems(n_systems):
    """Against equations of whole tensors for 24; 48 equal pairs are 24 at twice the rate; five bear little."""
    A, spin = bcc()
    assert len(A) == 24
    A, spin = (
        (np.concatenate([A, A]), np.hstack([spin, spin])) if n_systems == 48 else (A[:n_systems], spin[:, :n_systems])
    )
    from skmerge._lattice import deviator

    schmid = np.ascontiguousarray(deviator((A + np.swapaxes(A, 1, 2)) / 2))
    stiffness, flow, linear = (
        np.array([1e5, 1.6e5, 1.7e5]),
        np.array([10.0, 1e-3 / (n_systems / 24)]),
        np.array([20.0, 1, 300, 3]),
    )
    law = GrainLaw(schmid, np.ascontiguousarray(spin), stiffness, flow, linear, None)
    L, state = drawn(3, volume=False), start(Rotation.random(1, random_state=0), 0.0)
    n_steps, size = (40, 0.25) if n_systems > 5 else (4, 1e-3)
    for _ in range(n_steps):
        stress, flags, _ = law.step(L, np.array([size]), state)
        assert flags[0] == 0
    if n_systems == 5:
        return

    def slope(_, y):
        Q, E = y[:9].reshape(3, 3), y[9:18].reshape(3, 3)
        S = np.where(np.eye(3), 1e5 * E, 1.6e5 * E)
        g = 20 + y[18]
        slip = flow[1] * np.abs(np.einsum("aij,ij->a", A, S) / g) ** 9 * np.einsum("aij,ij->a", A, S) / g
        P = np.einsum("a,aij->ij", slip, A)
        Dp, Wp = (P + P.T) / 2, (P - P.T) / 2
        D, W = Q.T @ (L[0] + L[0].T) @ Q / 2, Q.T @ (L[0] - L[0].T) @ Q / 2
        turn = Q @ (W - Wp - (E @ Dp - Dp @ E))
        return np.concatenate(
            [turn.ravel(), (D - Dp - (E @ Wp - Wp @ E)).ravel(), [(300 - 3 * y[18]) * np.abs(slip).sum()]]
        )

    y = np.concatenate([Rotation.random(1, random_state=0).as_matrix().ravel(), np.zeros(10)])
    y = solve_ivp(slope, (0, 10), y, method="LSODA", rtol=1e-8, atol=1e-10).y[:, -1]
    Q, E = y[:9].reshape(3, 3), y[9:18].reshape(3, 3)
    expected = Q @ np.where(np.eye(3), 1e5 * E, 1.6e5 * E) @ Q.T
    assert_allclose(matrix(stress[0]), expected, atol=2e-3 * np.abs(expected).max())
    assert_allclose(state[0, 11], y[18], rtol=1e-3)


def back_law(**options):
    a, stiffness = CRYSTAL._arrays(1.0), CRYSTAL._arrays(1.0)["stiffness"] / [1, 1, 9]
    linear, q = np.array([8.0, 1.0, 200.0, 4.0]), 1.0 + 0.4 * (1 - np.eye(12))
    return GrainLaw(
        *(a["schmid"], a["spin"], stiffness, a["flow"][:2].copy(), linear, None, q), **{"back": (900.0, 60.0)} | options
    )


def test_back_stress():
    """Against equations of whole tensors, there and back; without its constants it is the law without it."""
    L, grain, law = drawn(8, volume=False), Rotation.random(1, random_state=3), back_law()
    state = np.zeros((1, law.row))
    assert law.row == 11 + 12 + 12
    state[:, 5:9], state[:, 11:23] = grain.as_quat(), 3.0
    schmid, skew = reference_crystal.systems()

    def slope(_, y, L):
        Q, E, s, chi = y[:9].reshape(3, 3), y[9:18].reshape(3, 3), y[18:30], y[30:]
        x = (np.einsum("aij,ij->a", schmid, reference_crystal.stress_of(CRYSTAL, E)) - chi) / (8 + s)
        slip = 1e-3 * np.abs(x) ** 19 * x
        Dp, Wp = np.einsum("a,aij->ij", slip, schmid), np.einsum("a,aij->ij", slip, skew)
        D, W = Q.T @ (L + L.T) @ Q / 2, Q.T @ (L - L.T) @ Q / 2
        turn, rate = Q @ (W - Wp - (E @ Dp - Dp @ E)), D - Dp - (E @ Wp - Wp @ E)
        storage = (200 - 4 * s) * ((1.0 + 0.4 * (1 - np.eye(12))) @ np.abs(slip))
        return np.concatenate([turn.ravel(), rate.ravel(), storage, 900 * slip - 60 * chi * np.abs(slip)])

    y = np.concatenate([grain.as_matrix().ravel(), np.zeros(9), np.full(12, 3.0), np.zeros(12)])
    for sign in (1, -1):
        for dt in [0.1] * 20 + [1.0] * 20:
            _, flags, _ = law.step(sign * L, np.array([dt]), state)
            assert flags[0] == 0
        y = solve_ivp(slope, (0, 22), y, "LSODA", args=(sign * L[0],), rtol=1e-8, atol=1e-9, max_step=0.1).y[:, -1]
        Q, stress = y[:9].reshape(3, 3), reference_crystal.stress_of(CRYSTAL, y[9:18].reshape(3, 3))
        expected = Q @ stress @ Q.T
        assert_allclose(matrix(law.stress(state)[0]), expected, atol=3e-3 * np.abs(expected).max())
        assert_allclose(state[0, 11:23], y[18:30], rtol=1e-3)
        assert_allclose(state[0, 23:], y[30:], atol=0.02)
        assert np.abs(y[30:]).max() > 5


@pytest.mark.parametrize("tol", [np.inf, 0.01])
def test_tangent_with_back_stress(tol):
    law, state, L = flowing(6, law=back_law())
    law, dt = back_law(newton_tol=1e-8, tol=tol), np.array([1.0])
    _, flags, tangent = law.step(-L, dt, state.copy(), True)
    assert (flags > 0).any() == (tol < 1)
    for j, (a, b) in enumerate(VOIGT):
        change = np.zeros((3, 3))
        change[a, b] += 0.5e-6
        change[b, a] += 0.5e-6
        more, less = (law.step(-L + sign * change, dt, state.copy())[0] for sign in (1, -1))
        assert_allclose(tangent[:, :, j], (more - less) / 2e-6, atol=3e-3 * np.abs(tangent).max())


def test_back_stress_of_nothing_is_none():
    law, other = back_law(back=(0.0, 0.0), newton_tol=1e-8), back_law(back=(0.0, 1.0), newton_tol=1e-8)
    assert law.row == 23 and other.row == 35
    state, full = (start(Rotation.random(7, random_state=0), row=law.row) for law in (law, other))
    full[:, 23:] = 0.0
    for dt in (0.5, 1.0, 4.0):
        stress, _, tangent = law.step(drawn(0), np.array([dt]), state, True)
        same, _, also = other.step(drawn(0), np.array([dt]), full, True)
    assert_allclose(same, stress, rtol=1e-9, atol=1e-9 * np.abs(stress).max())
    assert_allclose(also, tangent, atol=1e-7 * np.abs(tangent).max())
    assert_allclose(full[:, :23], state, rtol=1e-9, atol=1e-12)


def test_gradient_of_two_deformations():
    L, F = drawn(0, 3) * 100, Rotation.random(3, random_state=0).as_matrix() * 1.1
    half = 0.5 * 0.01 * L
    F_new = np.linalg.solve(np.eye(3) - half, (np.eye(3) + half) @ F)
    assert_allclose(gradient_of(F, F_new, np.full(3, 0.01)), L, atol=1e-12)
    with pytest.raises(ValueError, match="F of grain 1"):
        gradient_of(F, F_new, np.array([0.01, 0.0, 0.01]))
    with pytest.raises(ValueError, match=r"must be \(n, 3, 3\)"):
        gradient_of(F, F_new[:2], np.full(3, 0.01))


def test_what_fails_is_told_and_left_as_it_was():
    law, state, L = flowing(4, law=CRYSTAL._grain_law(1e-3, 1))
    before = state.copy()
    L[0, 0, 0] = np.inf
    stress, flags, _ = law.step(L, np.array([10.0, 1e-3, np.nan, 1e6]), state)
    assert_array_equal(flags & 3, [2, 0, 2, 1])
    changed = (state != before).any(axis=1)
    assert_array_equal(changed, [False, True, False, False])
    assert_allclose(stress[0], law.stress(before)[0])


def test_simulate_names_what_fails():
    L = np.stack([np.zeros((3, 3)), np.diag([0.01, -0.01, 0])])[:, None]
    more = {"velocity_gradient": np.repeat(L, 2, axis=1), "tol": 1e-3, "max_substeps": 1}
    with pytest.warns(ConvergenceWarning, match=r"^1 of 2 crystals did not converge: crystal 1 at time 0\.001\. Their"):
        state = simulate(np.tile([0.3, 0.5, 0.7], (2, 1)), [0, 1e-3, 10], **more)
    assert np.isfinite(state[0]).all() and np.isfinite(state[1, :2]).all() and np.isnan(state[1, 2]).all()


def test_threads_and_own_times():
    rng, grains = np.random.default_rng(0), Rotation.random(300, random_state=0)
    L, time = gradients(0, 300, 10), np.cumsum(rng.uniform(1, 5, (300, 11)), axis=1)
    both = simulate(grains, time, velocity_gradient=L, tol=0.03)
    assert_array_equal(both, simulate(grains, time, velocity_gradient=L, tol=0.03, n_jobs=2))
    for i in (0, 299):
        assert_array_equal(both[[i]], simulate(grains[[i]], time[i], velocity_gradient=L[i], tol=0.03))


def test_one_resistance_for_all_and_equal_ones_for_each():
    law, state, L = flowing(9)
    law, dt = CRYSTAL._grain_law(newton_tol=1e-8), np.array([4.0])
    each, full = (
        CRYSTAL._grain_law(newton_tol=1e-8, shared=False),
        np.hstack([state, np.repeat(state[:, 11:], 11, axis=1)]),
    )
    one, other = law.step(L, dt, state, True), each.step(L, dt, full, True)
    for a, b in zip((*one, state), (*other, full[:, :12]), strict=True):
        assert_allclose(a, b, rtol=1e-7, atol=1e-7 * np.abs(b).max())


@pytest.mark.parametrize(
    ("crystal", "own"),
    [
        (LATENT, False),
        (Crystal(self_hardening=1.4, latent_hardening=0.2, rate_exponent=8.0), False),
        (Crystal(self_hardening=2.0, latent_hardening=2.0), False),
        (CRYSTAL, True),
    ],
)
def test_a_density_for_each_system(crystal, own):
    """Against the adaptive method: a reversal."""
    grains, time = Rotation.random(12, random_state=2), np.linspace(0, 80, 33)
    L = np.repeat(gradients(9, 12, 1), 32, axis=1)
    L[:, 16:] *= -1
    rho0 = 10 ** np.random.default_rng(0).uniform(11, 13, (12, 12)) if own else 1e12
    new, old = (simulate(grains, time, velocity_gradient=L, crystal=crystal, rho0=rho0, tol=t) for t in (0.03, 1e-5))
    size = np.linalg.norm(old[:, -1, :6], axis=1)
    assert np.sqrt(np.mean((np.linalg.norm((new - old)[:, -1, :6], axis=1) / size) ** 2)) < 2e-3
    assert_allclose(new[:, -1, 6], old[:, -1, 6], rtol=2e-3)  # creep of the first instants of the reversal is missed


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("schmid", np.zeros((5, 0)), "1 to 48 systems"),
        ("spin", np.zeros((3, 11)), "n_systems"),
        ("flow", np.array([0.5, 1e-3]), "out of range: n"),
        ("flow", np.array([20.0, 0.0]), "out of range: slip_rate"),
        ("schmid", np.full((5, 12), np.nan), "out of range: schmid"),
        ("stiffness", np.array([1e5, 0.0, 1e5]), "out of range: root_c"),
        ("linear", np.array([8.0, np.nan, 0, 0]), "out of range: tau0"),
        ("linear", None, "either"),
        ("interaction", np.ones((12, 11)), "n_systems"),
        ("interaction", np.full((12, 12), np.inf), "out of range: interaction"),
        ("tol", 0.0, "out of range: tol"),
        ("newton_tol", np.nan, "out of range: newton_tol"),
        ("most_halvings", 31, "out of range: most_halvings"),
        ("lanes", 3, "out of range: lanes"),
        ("back", (-1.0, 0.0), "out of range: back_storage"),
        ("back", (1.0, 0.0), "per_system"),
    ],
)
def test_bad_laws(name, value, text):
    a = CRYSTAL._arrays(1.0)
    law = {"schmid": a["schmid"], "spin": a["spin"], "stiffness": a["stiffness"], "flow": a["flow"][:2].copy()}
    law |= {"linear": np.array([8.0, 1.0, 10.0, 1.0]), "table": None}
    GrainLaw(**law)
    with pytest.raises(ValueError, match=text):
        GrainLaw(**law | {name: value})


def test_bad_tables_and_shapes():
    for table in (np.ones(9), np.ones(11)):
        with pytest.raises(ValueError, match="4 n_nodes"):
            table_law(table)
    with pytest.raises(ValueError, match="first or width"):
        table_law(np.array([0.0, -1.0, *np.ones(8)]))
    with pytest.raises(ValueError, match="g, dg, k or dk"):
        table_law(np.array([0.0, 1.0, -1.0, *np.ones(7)]))
    law, state, L = flowing(3)
    for bad in ((L[:2], np.ones(1), state), (L, np.ones(2), state), (L, np.ones(1), state[:, :11].copy())):
        with pytest.raises(ValueError, match="L, dt and state must be"):
            law.step(*bad)
    with pytest.raises(ValueError, match="state must be"):
        law.stress(state[:, :11].copy())
    with pytest.raises(ValueError, match="do not fit together"):
        law.integrate(state, np.zeros((1, 3)), np.zeros((1, 1, 3, 3)), np.zeros(1, np.int32))
    for tol in (0.2, 0.05):
        more = {"velocity_gradient": np.zeros((3, 3))} if tol > 0.1 else {}
        with pytest.raises(ValueError, match="tol"):
            simulate([[0.0, 0.0, 0.0]], [0, 0.1], tol=tol, **more)


def test_no_grains():
    law = CRYSTAL._grain_law()
    stress, flags, tangent = law.step(np.zeros((1, 3, 3)), np.zeros(1), np.zeros((0, 12)), True)
    assert stress.shape == (0, 6) and flags.shape == (0,) and tangent.shape == (0, 6, 6)
    assert law.row == 12
