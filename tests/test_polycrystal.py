"""Grains at the points of a finite-element program."""

import pickle

import numpy as np
import pytest
import reference_crystal as reference
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.linalg import expm
from scipy.spatial.transform import Rotation

from skmerge import PlasticityPropagator
from skmerge.crystal import Crystal, Polycrystal, simulate

MANY = {"fcc": Crystal(), "bcc": Crystal(231.0, 135.0, 116.0, lattice="bcc", tau0=20.0)}
MANY["voce"] = Crystal(hardening="voce", latent_hardening=1.4)
MANY["back"] = Crystal(back_storage=500.0, back_recovery=20.0)


def gradients(n, seed=0, size=2e-3):
    """Velocity gradients (n, 3, 3) that keep the volume, 1/s."""
    L = np.random.default_rng(seed).normal(size=(n, 3, 3))
    L -= np.trace(L, axis1=1, axis2=2)[:, None, None] * np.eye(3) / 3
    return size * L / np.linalg.norm(L, axis=(1, 2), keepdims=True)


def deformed(grains, L, n_steps=15):
    """Deformation gradients after accepted steps of a second each."""
    F = grains.deformation_gradient
    for _ in range(n_steps):
        F = np.array([expm(one) for one in L]) @ F
        response = grains.step(F, 1.0)
        assert not response.failed.any()
        grains.accept()
    return F


@pytest.mark.parametrize("name", MANY)
def test_grains_go_the_way_of_the_simulation(name):
    """The other integrator, which turns and strains at once; a spin of .001 a step makes 1e-4 of the stress."""
    crystal, L, turns = MANY[name], gradients(3), Rotation.random(12, random_state=1)
    grains = Polycrystal(crystal, turns, 4, tol=1e-3)
    deformed(grains, L)
    each = np.repeat(L, 4, axis=0)[:, None].repeat(15, axis=1)
    state, slip = simulate(turns, np.arange(16.0), velocity_gradient=each, crystal=crystal, return_slip=True)
    size = np.abs(state[:, -1, :6]).max()
    assert_allclose(grains.stress.reshape(12, 6), state[:, -1, :6], atol=2e-3 * size)
    assert_allclose(grains.density.ravel(), state[:, -1, 6], rtol=2e-3)
    assert_allclose(grains.slip.ravel(), slip[:, -1], rtol=2e-3)
    one, other = (Rotation.from_euler("ZXZ", a) for a in (grains.orientation.reshape(-1, 3), state[:, -1, 7:]))
    assert (one * other.inv()).magnitude().max() < 2e-4


def test_twin_with_whole_tensors():
    """A deformation gradient of the outside, in small steps, against a twin that integrates nothing but tensors."""
    L, angles = gradients(1, 3), [0.4, 0.9, 1.3]
    grains = Polycrystal(Crystal(), [angles], tol=1e-4)
    deformed(grains, L / 5, 50)
    stress, rho, _, _ = reference.simulate_any(angles, np.array([0.0, 50.0]), L / 5, Crystal())
    xx, yy, zz, yz, xz, xy = grains.stress[0, 0]
    assert_allclose([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]], stress[-1], atol=5e-4 * np.abs(stress[-1]).max())
    assert_allclose(grains.density[0, 0], rho[-1], rtol=5e-4)


@settings(max_examples=15, deadline=None)
@given(st.sampled_from(sorted(MANY)), st.integers(0, 10**6), st.sampled_from([0.0, 0.02, 1.0]))
def test_tangent_by_differences(name, seed, share):
    """A step between rest and flow; exact but for how log(U) follows U, a share of the strain."""
    grains = Polycrystal(MANY[name], Rotation.random(8, random_state=seed), 4)
    L = gradients(2, seed)
    F = deformed(grains, L, 8)
    F = np.array([expm(share * one) for one in L]) @ F
    tangent, found, h = grains.step(F, 1.0).tangent, np.empty((2, 3, 3, 3, 3)), 1e-7
    for i in range(3):
        for j in range(3):
            change = np.zeros((3, 3))
            change[i, j] = h
            up, down = (grains.step(F + sign * change, 1.0, return_tangent=False).piola for sign in (1, -1))
            found[..., i, j] = (up - down) / (2 * h)
    assert_allclose(tangent, found, atol=5e-3 * np.abs(found).max())


def test_rotation_of_the_whole_turns_the_stress():
    grains = Polycrystal(Crystal(), Rotation.random(8, random_state=0), 4)
    F = deformed(grains, gradients(2), 5)
    Q = Rotation.from_rotvec([0.3, -0.8, 0.5]).as_matrix()
    before = grains.step(F, 1.0).stress
    response = grains.step(Q @ F, 1.0)
    assert_allclose(response.stress, Q @ before @ Q.T, atol=1e-9 * np.abs(before).max())
    grains.accept()
    six = grains.stress.mean(axis=1)[0]
    assert_allclose(six, response.stress[0][[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]], atol=1e-9 * np.abs(six).max())


def test_a_trial_leaves_no_trace_and_threads_and_other_points_change_nothing():
    L, turns = gradients(30), Rotation.random(300, random_state=0)
    one, two = (Polycrystal(Crystal(), turns, 10, n_jobs=n_jobs) for n_jobs in (None, 2))
    part = Polycrystal(Crystal(), turns[70:80], 10)
    for way in (one, two, part):
        F = deformed(way, L if way is not part else L[7:8], 3)
        way.step(1.01 * F, 1.0)
    two = pickle.loads(pickle.dumps(two))
    answers = [way.step(way.deformation_gradient, 0.5) for way in (one, two, part)]
    for first, second in zip(answers[0], answers[1], strict=True):
        assert_array_equal(first, second)
    assert_array_equal(one.stress[7], part.stress[0])
    assert_allclose(answers[0].tangent[7], answers[2].tangent[0], rtol=1e-9, atol=1e-3)


def test_what_a_propagator_learned():
    crystal, time = Crystal(), np.concatenate([np.linspace(0, 1, 31), np.linspace(1.5, 40, 78)])
    L = gradients(20)[:, None].repeat(len(time) - 1, axis=1)
    state = simulate(Rotation.random(20, random_state=0), time, velocity_gradient=L, crystal=crystal)
    options = {"orientation": "bunge", "loading": "any", "random_state": 0}
    model = PlasticityPropagator(**options, stiffness=(168.9, 121.8, 75.8))
    model.fit_trajectories(time, state, velocity_gradient=L)
    pair = [Polycrystal(law, Rotation.random(40, random_state=3), 20) for law in (crystal, model)]
    F = [deformed(way, gradients(2, 5), 20) for way in pair]
    true, found = (way.step(f, 1e-9).stress for way, f in zip(pair, F, strict=True))
    assert_allclose(found, true, atol=3e-3 * np.abs(true).max())
    assert_allclose(pair[1].density, pair[0].density, rtol=5e-3)
    blind = PlasticityPropagator(**options).fit_trajectories(time, state, velocity_gradient=L)
    with pytest.raises(ValueError, match="bulk modulus is unknown"):
        Polycrystal(blind, Rotation.random(2, random_state=0))
    axial = PlasticityPropagator(orientation="bunge", law=False).fit_trajectories(
        np.linspace(0, 0.1, 60), simulate(Rotation.random(5, random_state=0), np.linspace(0, 0.1, 60))
    )
    with pytest.raises(ValueError, match='Polycrystal needs loading="any"'):
        Polycrystal(axial, Rotation.random(2, random_state=0))


def test_bad_input():
    turns = Rotation.random(6, random_state=0)
    with pytest.raises(TypeError, match="law must be a Crystal or a fitted PlasticityPropagator, got str"):
        Polycrystal("copper", turns)
    with pytest.raises(ValueError, match="orientation must hold n_grains = 4 for each point; got 6"):
        Polycrystal(Crystal(), turns, 4)
    with pytest.raises(ValueError, match="tol=0 is not possible"):
        Polycrystal(Crystal(), turns, tol=0)
    with pytest.raises(ValueError, match="rho0 must be one number"):
        Polycrystal(Crystal(), turns, rho0=[1e12, 1e12])
    grains = Polycrystal(Crystal(), turns, 3)
    with pytest.raises(ValueError, match=r"deformation_gradient must have shape \(2, 3, 3\), got \(3, 3\)"):
        grains.step(np.eye(3), 1.0)
    with pytest.raises(ValueError, match="dt=0 is not possible"):
        grains.step(np.tile(np.eye(3), (2, 1, 1)), 0)
    with pytest.raises(ValueError, match=r"deformation_gradient contains NaN|NaN"):
        grains.step(np.full((2, 3, 3), np.nan), 1.0)
    with pytest.raises(ValueError, match="no step to accept"):
        grains.accept()
    with pytest.raises(TypeError, match="got type"):
        Polycrystal(Crystal, turns)
    with pytest.raises(ValueError, match=r"rho0 must be one number or have shape \(6,\), got \(6, 12\)"):
        Polycrystal(Crystal(latent_hardening=1.4), turns, rho0=np.full((6, 12), 1e12))


@pytest.mark.parametrize("far", [-np.eye(3), 2 * np.eye(3), 1e300 * np.eye(3), np.zeros((3, 3))])
def test_a_step_that_is_too_long_fails_where_it_is(far):
    grains = Polycrystal(Crystal(), Rotation.random(6, random_state=0), 3)
    response = grains.step(np.array([np.eye(3), far]), 1.0)
    assert response.failed.tolist() == [False, True]
    assert np.isfinite(response.piola).all() and np.isfinite(response.tangent).all()
    with pytest.raises(ValueError, match="the step failed at 1 points, first at 1"):
        grains.accept()
    assert_array_equal(grains.deformation_gradient, np.tile(np.eye(3), (2, 1, 1)))


def test_an_array_that_is_used_again_changes_nothing():
    grains, F = Polycrystal(Crystal(), Rotation.random(3, random_state=0), 3), np.eye(3)[None].copy()
    for _ in range(5):
        F[0, 0, 1] += 2e-3
        stress = grains.step(F, 2.0).stress
        F *= 1
        grains.accept()
    F[:] = 99
    assert_allclose(grains.deformation_gradient[0, 0, 1], 0.01)
    assert np.abs(stress).max() > 20
