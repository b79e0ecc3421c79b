"""Crystals under any velocity gradient."""

import numpy as np
import pytest
import reference_crystal as reference
from numpy.testing import assert_allclose, assert_array_equal
from scipy.integrate import solve_ivp
from scipy.linalg import polar
from scipy.spatial.transform import Rotation
from sklearn.exceptions import ConvergenceWarning

from skmerge.crystal import DIRECTIONS, NORMALS, Crystal, simulate

PLACES = [(0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1)]


def drawn(seed, n_segments=1, size=1e-3, volume=True):
    """Random velocity gradients (n_segments, 3, 3), with a change of volume or without."""
    L = np.random.default_rng(seed).normal(size=(n_segments, 3, 3))
    L -= np.trace(L, axis1=1, axis2=2)[:, None, None] * np.eye(3) * (0.3 if volume else 1 / 3)
    return size * L / np.linalg.norm(L, axis=(1, 2), keepdims=True)


def matrix(six):
    """Symmetric matrices of xx, yy, zz, yz, xz, xy in the last axis."""
    out = np.empty((*six.shape[:-1], 3, 3))
    for value, (i, j) in zip(np.moveaxis(six, -1, 0), PLACES, strict=True):
        out[..., i, j] = out[..., j, i] = value
    return out


def turned(L, Q):
    return Q @ L @ np.swapaxes(Q, -1, -2)


def apart(rotations, states):
    """Greatest angle in rad to the orientations of states (n_steps, 10)."""
    return (rotations * Rotation.from_euler("ZXZ", states[:, 7:]).inv()).magnitude().max()


@pytest.mark.parametrize("changes", [{}, {"latent_hardening": 1.4, "rate_exponent": 8.0}])
def test_twin_with_whole_tensors(changes):
    """Three segments, the second of them back, the third at rest, where the stress relaxes."""
    crystal, angles = Crystal(**changes), [0.4, 0.9, 1.3]
    first, second = drawn(3, 2)
    gradients = np.concatenate([np.repeat([first, -0.5 * first + 0.2 * second], 8, axis=0), np.zeros((3, 3, 3))])
    time = np.concatenate([[0.0, 0.2, 1.0], np.linspace(3, 20, 6), 20 + np.linspace(0.2, 20, 8), [50, 100, 200]])
    state, slip = simulate([angles], time, velocity_gradient=gradients, crystal=crystal, tol=1e-6, return_slip=True)
    stress, rho, gamma, Q = reference.simulate_any(angles, time, gradients, crystal)
    size = np.linalg.norm(stress[-4:], axis=(1, 2)).max()
    assert_allclose(matrix(state[0, :, :6]), stress, atol=2e-5 * size)
    assert_allclose(state[0, :, 6], rho, rtol=2e-5)
    assert_allclose(slip[0], gamma, atol=2e-5 * gamma[-1])
    assert_allclose(Rotation.from_euler("ZXZ", state[0, :, 7:]).as_matrix(), Q, atol=1e-6)


def test_the_full_constraint_along_an_axis_is_one_of_them():
    grains, strain = Rotation.random(5, random_state=0), np.linspace(0, 0.1, 21)
    old, slip = simulate(grains, strain, loading="taylor", return_slip=True)
    gradient = 1e-3 * np.diag([-0.5, -0.5, 1])
    new, same = simulate(grains, strain / 1e-3, velocity_gradient=gradient, return_slip=True)
    along = new[..., 2] - (new[..., 0] + new[..., 1]) / 2
    assert_allclose(along, old[..., 0], rtol=1e-4, atol=1e-3)
    assert_allclose(new[..., 6:], old[..., 1:], rtol=1e-5)
    assert_allclose(same, slip, rtol=1e-5)


def finite_strain(angles, time, L, crystal):
    """Cauchy stress and rotation of a crystal with F = F_e F_p, Hooke's law for Green's strain, and Mandel's stress."""
    S = DIRECTIONS[:, :, None] * NORMALS[:, None, :]
    scale = crystal._forest()

    def split(y):
        F, plastic = y[:9].reshape(3, 3), y[9:18].reshape(3, 3)
        elastic = F @ np.linalg.inv(plastic)
        C = elastic.T @ elastic
        return F, plastic, elastic, C, reference.stress_of(crystal, (C - np.eye(3)) / 2)

    def slope(_, y):
        F, plastic, _, C, kirchhoff = split(y)
        g = crystal.tau0 + y[18:]
        tau = np.einsum("aij,ij->a", S, C @ kirchhoff)
        slip = crystal.slip_rate * np.abs(tau / g) ** (crystal.rate_exponent - 1) * tau / g
        flow = np.einsum("a,aij->ij", slip, S) @ plastic
        return np.concatenate([(L @ F).ravel(), flow.ravel(), reference.storage(crystal, y[18:], slip)])

    y = np.concatenate([Rotation.from_euler("ZXZ", angles).as_matrix().ravel(), np.eye(3).ravel(), np.full(12, 0.0)])
    y[18:] = scale * 1e6
    y = solve_ivp(slope, (0, time), y, method="LSODA", rtol=1e-8, atol=1e-10, max_step=1e-3 * time).y[:, -1]
    _, _, elastic, _, kirchhoff = split(y)
    return elastic @ kirchhoff @ elastic.T / np.linalg.det(elastic), polar(elastic)[0]


def test_against_finite_strain():
    """Elastic strain is small. One of these grains passes between two vertices of the yield surface and is 2 % off."""
    apart, rotated = [], []
    for seed in range(4):
        L = drawn(seed, volume=False)[0]
        stress, Q = finite_strain([0.4, 0.9 + seed, 1.3], 200.0, L, Crystal())
        state = simulate([[0.4, 0.9 + seed, 1.3]], [0, 200], velocity_gradient=L)[0, -1]
        deviator, other = (s - np.trace(s) / 3 * np.eye(3) for s in (stress, matrix(state[:6])))
        apart.append(np.linalg.norm(deviator - other) / np.linalg.norm(deviator))
        rotated.append(np.linalg.norm(Q - Rotation.from_euler("ZXZ", state[7:]).as_matrix()))
    assert np.median(apart) < 4e-4 and max(apart) < 0.03, apart
    assert np.median(rotated) < 4e-4 and max(rotated) < 2e-3, rotated


def test_the_choice_of_axes_and_the_24_equivalents_change_nothing():
    rng, time = np.random.default_rng(1), np.linspace(0, 60, 13)
    L, grain, Q = drawn(2, 12), Rotation.random(1, random_state=1), Rotation.random(1, random_state=2)
    state = simulate(grain, time, velocity_gradient=L)[0]
    moved = simulate(Q * grain, time, velocity_gradient=turned(L, Q.as_matrix()))[0]
    stress = matrix(state[:, :6])
    assert_allclose(matrix(moved[:, :6]), turned(stress, Q.as_matrix()), atol=1e-10 * np.abs(stress).max())
    assert_allclose(moved[:, 6], state[:, 6], rtol=1e-10)
    assert apart(Q * Rotation.from_euler("ZXZ", state[:, 7:]), moved) < 1e-10
    symmetry = Rotation.create_group("O")[rng.permutation(24)]
    equal = simulate(grain * symmetry, time, velocity_gradient=L)
    assert_allclose(equal[..., :6], np.broadcast_to(state[:, :6], (24, 13, 6)), atol=1e-10 * np.abs(stress).max())


def test_a_superposed_spin_turns_everything_along():
    """Objectivity: in a frame that turns the same happens."""
    time, L, w = np.linspace(0, 80, 9), drawn(5, 8, volume=False), np.array([4e-3, -7e-3, 2e-3])
    spin = np.array([[0, -w[2], w[1]], [w[2], 0, -w[0]], [-w[1], w[0], 0]])
    fine = np.linspace(0, 80, 1601)
    R = Rotation.from_rotvec((fine[1:] + fine[:-1])[:, None] / 2 * w).as_matrix()
    grain = Rotation.random(1, random_state=3)
    still = simulate(grain, fine, velocity_gradient=np.repeat(L, 200, axis=0))[0, ::200]
    turning = simulate(grain, fine, velocity_gradient=turned(np.repeat(L, 200, axis=0), R) + spin)[0, ::200]
    R = Rotation.from_rotvec(time[:, None] * w)
    stress = turned(matrix(still[:, :6]), R.as_matrix())
    assert_allclose(matrix(turning[:, :6]), stress, atol=2e-3 * np.abs(stress).max())
    assert apart(R * Rotation.from_euler("ZXZ", still[:, 7:]), turning) < 1e-4
    assert_allclose(turning[:, 6], still[:, 6], rtol=1e-4)


def test_a_spin_alone_turns_the_lattice_and_nothing_else():
    grains, w = Rotation.random(4, random_state=0), np.array([1e-3, -2e-3, 5e-4])
    W = np.array([[0, -w[2], w[1]], [w[2], 0, -w[0]], [-w[1], w[0], 0]])
    state, slip = simulate(grains, [0, 400, 1000], velocity_gradient=W, return_slip=True)
    assert not state[..., :6].any() and not slip.any()
    turn = Rotation.from_euler("ZXZ", state[:, -1, 7:]) * grains.inv()
    assert_allclose(turn.as_rotvec(), np.tile(1000 * w, (4, 1)), atol=1e-5)


def test_pressure_is_elastic_and_stress_relaxes():
    crystal = Crystal()
    state = simulate([[0.1, 0.2, 0.3]], [0, 1, 2], velocity_gradient=[1e-4 * np.eye(3), np.zeros((3, 3))])[0]
    bulk = (crystal.C11 + 2 * crystal.C12) / 3 * 1e3
    assert_allclose(state[1:, :6], np.tile(bulk * 3e-4 * np.array([1, 1, 1, 0, 0, 0]), (2, 1)), atol=1e-8)
    L = np.concatenate([drawn(0, 10, volume=False), np.zeros((10, 3, 3))])
    state, slip = simulate([[0.1, 0.2, 0.3]], np.linspace(0, 200, 21), velocity_gradient=L, return_slip=True)
    size = np.linalg.norm(matrix(state[0, 10:, :6]), axis=(1, 2))
    assert (np.diff(size) < 0).all() and (np.diff(slip[0]) > 0).all()
    gone = matrix(state[0, 10, :6] - state[0, -1, :6])
    assert np.sum(gone * matrix(state[0, 10, :6])) > 0


def test_slip_dissipates_what_is_put_in():
    """The work of a cycle of strain is that of slip, against a resistance from that at the start to that at the end."""
    time, L = np.linspace(0, 400, 4001), np.repeat(drawn(7, 1, volume=False), 4000, axis=0)
    L[1000:3000] *= -1
    state, slip = simulate([[0.3, 0.6, 0.2]], time, velocity_gradient=L, return_slip=True)
    D = (L + np.swapaxes(L, 1, 2)) / 2
    stress = matrix(state[0, :, :6])
    power = ((stress[1:] + stress[:-1]) / 2 * D).sum(axis=(1, 2)) * np.diff(time)
    crystal = Crystal()
    least, most = crystal.resistance([1e12, state[0, -1, 6]])  # at about the rate gdot0
    assert 0.9 * least < power.sum() / slip[0, -1] < 1.1 * most


def test_gradients_and_times_for_each_crystal_and_threads():
    rng, grains = np.random.default_rng(0), Rotation.random(6, random_state=0)
    L = np.stack([drawn(seed, 10) for seed in range(6)])
    time = np.cumsum(rng.uniform(1, 5, (6, 11)), axis=1)
    both = simulate(grains, time, velocity_gradient=L)
    assert_array_equal(both, simulate(grains, time, velocity_gradient=L, n_jobs=2))
    for i in (0, 5):
        assert_array_equal(both[[i]], simulate(grains[[i]], time[i], velocity_gradient=L[i]))
    held = simulate(grains, time, velocity_gradient=L[0, 0])
    assert_array_equal(held, simulate(grains, time, velocity_gradient=np.broadcast_to(L[0, 0], (10, 3, 3))))


def test_a_crystal_that_does_not_converge_is_named():
    L = np.stack([np.zeros((3, 3)), 1e-2 * np.diag([1, -1, 0])])[:, None]
    with pytest.warns(ConvergenceWarning, match="^1 of 2 crystals did not converge: crystal 1 at time 0"):
        state = simulate(np.zeros((2, 3)), [0, 10], velocity_gradient=L, max_substeps=3)
    assert np.isfinite(state[0]).all() and np.isfinite(state[1, 0]).all() and np.isnan(state[1, 1]).all()


@pytest.mark.parametrize(
    ("time", "gradient", "more", "text"),
    [
        ([0, 1, 2], np.zeros((3, 3, 3)), {}, r"^velocity_gradient must have shape .*got \(3, 3, 3\)"),
        ([0, 2, 1], np.zeros((3, 3)), {}, "falls from 2 to 1"),
        ([[0, 1], [0, 1]], np.zeros((3, 3)), {}, r"^With velocity_gradient, strain is the time in s, of shape"),
        ([0, 1], np.full((3, 3), np.nan), {}, "velocity_gradient"),
        ([0, 1], np.zeros((3, 3)), {"loading": "taylor"}, "leave loading, axis and strain_rate out"),
        ([0, 1], np.zeros((3, 3)), {"axis": "x"}, "leave loading, axis and strain_rate out"),
        ([0, 1], np.zeros((3, 3)), {"strain_rate": 1.0}, "leave loading, axis and strain_rate out"),
    ],
)
def test_bad_input(time, gradient, more, text):
    with pytest.raises(ValueError, match=text):
        simulate([[0.0, 0.0, 0.0]], time, velocity_gradient=gradient, **more)


def test_percent_is_suspected():
    with pytest.warns(UserWarning, match="looks like percent"):
        simulate([[0.0, 0.0, 0.0]], [0, 1e-6, 100], velocity_gradient=[np.zeros((3, 3)), np.diag([0, 1.0, -1.0])[::-1]])
