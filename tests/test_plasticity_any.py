"""PlasticityPropagator under any velocity gradient: the law of slip read off records, and stepped."""

import pickle
import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.spatial.transform import Rotation
from sklearn.base import clone

from skmerge import PlasticityPropagator
from skmerge._lattice import matrices, matrix_of, slip_systems, symmetric, tensors
from skmerge._orientation import PROPER_QUATERNIONS, product, quaternion_of
from skmerge._plasticity.loaded import without_jumps
from skmerge._plasticity.slip_law import Records, identified
from skmerge.crystal import simulate

STRAIN = np.r_[np.linspace(0, 1.5e-3, 16), np.linspace(4e-3, 0.08, 20)]
SAME = 1e-3 * np.array([[1.0, 0.5, 0], [0, -0.4, 0], [0.2, 0, -0.6]])


def gradients(n, seed=0, volume=0.0):
    """Random velocity gradients (n, n_steps - 1, 3, 3) of equivalent strain rate 1e-3 / s, constant in time."""
    rng = np.random.default_rng(seed)
    L = rng.normal(size=(n, 3, 3))
    L -= np.trace(L, axis1=1, axis2=2)[:, None, None] * np.eye(3) / 3
    D = (L + np.swapaxes(L, 1, 2)) / 2
    L *= 1e-3 / np.sqrt(2 / 3 * (D**2).sum(axis=(1, 2)))[:, None, None]
    return np.repeat((L + volume * np.eye(3))[:, None], len(STRAIN) - 1, axis=1)


def made(n, seed=0, **options):
    """Time, velocity gradients and states of simulated crystals."""
    L = gradients(n, seed, options.pop("volume", 0.0))
    time = STRAIN * 1e3
    grains = Rotation.random(n, random_state=seed)
    return time, L, simulate(grains, time, velocity_gradient=L, tol=1e-2, **options)


@pytest.fixture(scope="module")
def trained():
    time, L, state = made(25, volume=1e-5)
    model = PlasticityPropagator(orientation="bunge", loading="any", random_state=0)
    return model.fit_trajectories(time, state, velocity_gradient=L)


def test_the_law_is_that_of_the_simulation(trained):
    """g = 8 + 0.3 G b sqrt(rho) MPa, drho/dGamma = k1 sqrt(rho) - k2 rho, n = 20, Crystal's elastic constants."""
    assert trained.laws_[0].startswith("g = 3.69e-06 rho^0.50 + 8.0")
    assert trained.laws_[1].startswith("drho/dGamma = 1.3e+08 rho^0.50 - 4.1")
    assert_allclose(trained.exponent_, 20, rtol=0.005)
    assert_allclose(trained.stiffness_, [47.1e3, 151.6e3, 137.5e3], rtol=0.005)
    assert trained.misfit_ < 0.1 and trained.held_out_error_ < 0.01


def test_jumps_to_equivalent_orientations_are_undone(trained):
    """Any record may hold any of the 24 orientations that are one to a cubic crystal; systems of one plane not."""
    time, L, state = made(25, volume=1e-5)
    state[3, 30:] = np.nan
    turned = Rotation.from_euler("ZXZ", np.nan_to_num(state[..., 7:]).reshape(-1, 3))
    turned = turned * Rotation.create_group("O")[np.random.default_rng(1).integers(24, size=len(turned))]
    jumping = state.copy()
    jumping[..., 7:] = turned.as_euler("ZXZ").reshape(*state.shape[:2], 3)
    expected, model = (PlasticityPropagator(orientation="bunge", loading="any", random_state=0) for _ in range(2))
    expected.fit_trajectories(time, state, velocity_gradient=L)
    with pytest.warns(UserWarning, match="in 25 of 25 trajectories the orientation jumps to one that is"):
        model.fit_trajectories(time, jumping, velocity_gradient=L)
    assert_allclose(model.hardening_, expected.hardening_, rtol=1e-4)
    assert_allclose(model.exponent_, expected.exponent_, rtol=1e-6)
    jumping[3, 9, 7:] += [0.0, 0.9, 0.0]
    with pytest.raises(ValueError, match=r"the lattice of trajectory 3 turns by .* degrees from record 8 to the next"):
        model.fit_trajectories(time, jumping, velocity_gradient=L)
    normals, directions = (part[:3] for part in slip_systems("fcc"))
    assert without_jumps(quaternion_of(jumping[0, :, 7:])[None], (normals, directions))[1] is None


def test_crystals_that_were_not_trained_go_where_the_simulation_does(trained):
    time, L, state = made(40, seed=1)
    path = trained.propagate(state[:, 0], time, velocity_gradient=L)
    given, got = state[:, -1], path[-1]
    deviator = [one[:, :6] - one[:, :3].mean(axis=1, keepdims=True) * [1, 1, 1, 0, 0, 0] for one in (given, got)]
    error = np.linalg.norm(deviator[1] - deviator[0], axis=1) / np.linalg.norm(deviator[0], axis=1)
    assert np.median(error) < 1e-3 and np.sqrt(np.mean(error**2)) < 3e-3
    assert_allclose(got[:, 6], given[:, 6], rtol=3e-3)
    turn = Rotation.from_euler("ZXZ", given[:, 7:]) * Rotation.from_euler("ZXZ", got[:, 7:]).inv()
    assert np.degrees(turn.magnitude()).max() < 0.03
    assert trained.flags_.mean() < 0.1 and (trained.applicability(given) == trained.flags_).all()


def test_equivalent_orientations_and_turned_samples_give_the_same(trained):
    quaternion, n = quaternion_of(np.array([[0.3, 0.7, 1.1]])), len(PROPER_QUATERNIONS)
    every = product(np.repeat(quaternion, n, axis=0), PROPER_QUATERNIONS)
    model = clone(trained).set_params(orientation="quaternion")
    vars(model).update({name: value for name, value in vars(trained).items() if name.endswith("_")}, n_features_in_=11)
    start = np.concatenate([np.zeros((n, 6)), np.full((n, 1), 1e12), every], axis=1)
    time = STRAIN * 1e3
    path = model.propagate(start, time, velocity_gradient=SAME)
    assert_allclose(path[:, :, :7], path[:, :1, :7] + 0 * path[:, :, :7], rtol=1e-9, atol=1e-9)
    turn = Rotation.from_rotvec([0.4, -0.2, 0.9])
    Q = turn.as_matrix()
    other = start[:1].copy()
    other[:, 7:] = (turn * Rotation.from_quat(every[:1])).as_quat()
    turned = model.propagate(other, time, velocity_gradient=Q @ SAME @ Q.T)
    assert_allclose(symmetric(turned[:, 0, :6]), Q @ symmetric(path[:, 0, :6]) @ Q.T, rtol=1e-9, atol=1e-8)


def test_a_spin_turns_stress_and_lattice_together(trained):
    state = made(3, seed=2)[2]
    W = 1e-2 * np.array([[0, -1, 0.5], [1, 0, 0.2], [-0.5, -0.2, 0]])
    path = trained.propagate(state[:, -1], [0.0, 1e-6], velocity_gradient=1e6 * W)
    R = Rotation.from_rotvec([-0.2e-2, 0.5e-2, 1e-2]).as_matrix()
    assert_allclose(symmetric(path[1, :, :6]), R @ symmetric(path[0, :, :6]) @ R.T, rtol=1e-3, atol=0.01)


def test_plastic_work_is_not_negative(trained):
    time, L, state = made(10, seed=4)
    path = trained.propagate(state[:, 0], time, velocity_gradient=L)
    stress, last = symmetric(path[-1, :, :6]), L[:, -1]
    assert (np.einsum("nij,nij->n", stress, (last + np.swapaxes(last, 1, 2)) / 2) > 0).all()


def test_standard_deviations_cover_what_was_not_trained(trained):
    time, L, state = made(60, seed=5)
    path, std = trained.propagate(state[:, 0], time, True, velocity_gradient=L)
    assert path.shape == std.shape == (len(time), 60, 10)
    within = np.abs(path - state.transpose(1, 0, 2))[20:, :, :6] < 2 * std[20:, :, :6]
    assert within.mean() > 0.9


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_forms_of_states_threads_and_copies(trained, n_jobs):
    time, L, state = made(12, seed=6)
    model = pickle.loads(pickle.dumps(trained)).set_params(n_jobs=n_jobs)
    path = model.propagate(state[:, 0], time, velocity_gradient=L)
    turn = Rotation.from_euler("ZXZ", state[:, 0, 7:])
    values, turns = model.propagate((state[:, 0, :7], turn), time, velocity_gradient=L)
    assert_allclose(values, path[..., :7], rtol=1e-12, atol=1e-9)
    off = turns[-1] * Rotation.from_euler("ZXZ", path[-1, :, 7:]).inv()
    assert off.magnitude().max() < 1e-7
    out = np.empty_like(path)
    assert model.propagate(state[:, 0], time, velocity_gradient=L, out=out) is out
    assert (out == path).all()
    one = model.propagate(state[3:4, 0], time, velocity_gradient=L[3])
    assert (one[:, 0] == path[:, 3]).all()


def test_a_pair_and_unfinished_trajectories_are_read():
    time, L, state = made(12)
    turn = Rotation.from_euler("ZXZ", state[..., 7:].reshape(-1, 3))
    model = PlasticityPropagator(orientation="quaternion", loading="any", random_state=0)
    whole = clone(model).fit_trajectories(time, (state[..., :7], turn), velocity_gradient=L)
    broken = state.copy()
    broken[2, 25:] = np.nan
    part = clone(model).set_params(orientation="bunge").fit_trajectories(time, broken, velocity_gradient=L)
    assert_allclose(part.exponent_, whole.exponent_, rtol=0.01)
    assert whole.laws_[0][:20] == part.laws_[0][:20]


def test_a_wrong_lattice_is_named():
    time, L, state = made(12)
    model = PlasticityPropagator(orientation="bunge", loading="any", lattice="bcc", random_state=0)
    with pytest.warns(UserWarning, match='slip systems.*lattice="fcc" misses it by'):
        model.fit_trajectories(time, state, velocity_gradient=L)


def test_records_without_a_knee_need_elastic_constants():
    time, L, state = made(12)
    late = slice(18, None)
    model = PlasticityPropagator(orientation="bunge", loading="any", random_state=0)
    given = clone(model).set_params(stiffness=(168.9, 121.8, 75.8))
    given.fit_trajectories(time[late], state[:, late], velocity_gradient=L[:, late][:, : len(time[late]) - 1])
    assert_allclose(given.exponent_, 20, rtol=0.02)
    assert_allclose(given.stiffness_, [47.1e3, 151.6e3, 137.5e3], rtol=1e-6)


def test_what_does_not_fit_is_said(trained):
    time, L, state = made(6)
    with pytest.raises(ValueError, match='loading="any" needs velocity_gradient'):
        clone(trained).fit_trajectories(time, state)
    with pytest.raises(ValueError, match="10 columns"):
        clone(trained).fit_trajectories(time, state[..., :9], velocity_gradient=L)
    with pytest.raises(ValueError, match="needs orientation"):
        PlasticityPropagator(loading="any").fit_trajectories(time, state, velocity_gradient=L)
    with pytest.raises(ValueError, match='needs loading="any"'):
        PlasticityPropagator(orientation="bunge").fit_trajectories(time, state, velocity_gradient=L)
    idle = clone(trained).set_params(integrator="euler", axis=None)
    with pytest.raises(ValueError, match='axis and integrator have no part in loading="any"; leave them out'):
        idle.fit_trajectories(time, state, velocity_gradient=L)
    changed = pickle.loads(pickle.dumps(trained)).set_params(loading="axial")
    with pytest.raises(ValueError, match="loading are no longer those of the fit: set them back, or fit again"):
        changed.propagate(state[:, 0], time)
    with pytest.raises(ValueError, match="does not lie in the plane"):
        clone(trained).set_params(lattice=([[1, 1, 1]], [[1, 1, 0]])).fit_trajectories(time, state, velocity_gradient=L)
    with pytest.raises(ValueError, match="predict needs"):
        trained.predict(state[:, 0])
    kept = PlasticityPropagator(orientation="bunge", loading="any", random_state=0)
    kept.fit_trajectories(time, state, velocity_gradient=L)
    assert np.isnan(kept.stiffness_[2])
    with pytest.raises(ValueError, match="bulk modulus is unknown"):
        kept.propagate(state[:, 0], time, velocity_gradient=L + 1e-4 * np.eye(3))
    rounded = kept.propagate(state[:, 0], time, velocity_gradient=L.astype(np.float32))  # its trace is not quite 0
    assert_allclose(rounded, kept.propagate(state[:, 0], time, velocity_gradient=L), rtol=1e-4, atol=1e-2)
    with pytest.raises(ValueError, match="return_std needs"):
        kept.propagate(state[:, 0], time, True, velocity_gradient=L)
    broken = pickle.loads(pickle.dumps(trained))
    broken.hardening_ = broken.hardening_[:7]
    with pytest.raises(ValueError):
        broken.propagate(state[:, 0], time, velocity_gradient=L)


def test_a_reversal_and_other_rates_were_not_trained_but_follow(trained):
    """The law is one of slip: paths that turn round and other rates need no training."""
    time = np.r_[0:40:21j, 41:80:20j]
    L = np.concatenate([np.repeat([2 * SAME], 20, axis=0), np.repeat([-SAME], 20, axis=0)])
    state = simulate(Rotation.random(8, random_state=3), time, velocity_gradient=L, tol=1e-2)
    path = trained.propagate(state[:, 0], time, velocity_gradient=L)
    assert_allclose(path[-1, :, :6], state[:, -1, :6], rtol=0.01, atol=0.3)


def test_noise_in_records_is_borne():
    """1 % of stress and half a degree of orientation: rates alone would give n = 17."""
    rng = np.random.default_rng(0)
    time, L, state = made(30, seed=7)
    state[..., :6] *= 1 + 0.01 * rng.normal(size=state[..., :6].shape)
    turn = Rotation.from_euler("ZXZ", state[..., 7:].reshape(-1, 3))
    turn = Rotation.from_rotvec(np.radians(0.5) / np.sqrt(3) * rng.normal(size=(len(turn), 3))) * turn
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = PlasticityPropagator(orientation="quaternion", loading="any", random_state=0)
        model.fit_trajectories(time, (state[..., :7], turn), velocity_gradient=L)
    assert 19 < model.exponent_ < 21
    time, L, clean = made(20, seed=8)
    start = clean[:, 0, :7], Rotation.from_euler("ZXZ", clean[:, 0, 7:])
    path, _ = model.propagate(start, time, velocity_gradient=L)
    error = np.linalg.norm(path[-1, :, :6] - clean[:, -1, :6], axis=1) / np.linalg.norm(clean[:, -1, :6], axis=1)
    assert np.median(error) < 0.01


def test_flow_of_a_known_law_is_read_exactly():
    """Rates that the law itself gives at random stresses: n, g and slip come back."""
    from skmerge._plasticity.slip_law import of_flow

    rng = np.random.default_rng(0)
    for lattice, n in (("fcc", 12.0), ("bcc", 35.0)):
        P, _ = tensors(*slip_systems(lattice))
        stress = rng.normal(size=(200, 5))
        tau = stress @ P
        g = 20.0
        stress *= (g / np.abs(tau).max(axis=1))[:, None]
        rate = 1e-3 * np.sign(stress @ P) * np.abs(stress @ P / g) ** n
        found, resistance, slip, misfit = of_flow(stress, rate @ P.T, P)
        assert_allclose(found, n, rtol=1e-4)
        assert_allclose(resistance, g, rtol=1e-4)
        assert_allclose(slip, np.abs(rate).sum(axis=1), rtol=1e-3)
        assert misfit < 0.01


def test_bases_of_the_lattice_agree():
    rng = np.random.default_rng(0)
    from skmerge._lattice import deviator

    v = rng.normal(size=(4, 5))
    assert_allclose(deviator(matrices(v)).T, v, atol=1e-14)
    q = Rotation.random(5, random_state=0)
    assert_allclose(matrix_of(q.as_quat()), q.as_matrix(), atol=1e-14)
    for name, number in (("fcc", 12), ("bcc", 24)):
        m, s = slip_systems(name)
        assert len(m) == number and np.abs((m * s).sum(axis=1)).max() < 1e-14
        planes = np.einsum("ai,aj->aij", m, s).reshape(number, 9).round(9)
        planes *= np.sign(planes[np.arange(number), np.argmax(planes != 0, axis=1)])[:, None]
        assert len(np.unique(planes, axis=0)) == number


def test_too_few_records_in_flow_are_told():
    time, L, state = made(3)
    few = Records(np.tile(time[:10], (3, 1)), L[:, :9], state[:, :10, :6], np.sqrt(state[:, :10, 6]),
                  quaternion_of(state[:, :10, 7:].reshape(-1, 3)).reshape(3, 10, 4))  # fmt: skip
    with pytest.raises(ValueError, match="lie in plastic flow"):
        identified(few, slip_systems("fcc"))


def test_records_that_do_not_tell_are_named():
    time, L, state = made(6)
    model = PlasticityPropagator(orientation="bunge", loading="any", random_state=0)
    flat = state.copy()
    flat[..., 6] = 1e12
    with pytest.raises(ValueError, match="density is constant"):
        clone(model).fit_trajectories(time, flat, velocity_gradient=L)
    gap = state.copy()
    gap[2, 5] = np.nan
    with pytest.raises(ValueError, match="trajectory 2 has NaN before its end"):
        clone(model).fit_trajectories(time, gap, velocity_gradient=L)
    lost = L.copy()
    lost[1, -1] = np.nan
    with pytest.raises(ValueError, match="velocity_gradient holds NaN"):
        clone(model).fit_trajectories(time, state, velocity_gradient=lost)
    with pytest.warns(UserWarning, match="elastic constants are in GPa"):
        clone(model).set_params(stiffness=(168.9e3, 121.8e3, 75.8e3)).fit_trajectories(time, state, velocity_gradient=L)


def test_errors_of_trajectories_that_end_early_count():
    time, L, state = made(12)
    state[::2, 28:] = np.nan
    model = PlasticityPropagator(orientation="bunge", loading="any", random_state=0)
    model.fit_trajectories(time, state, velocity_gradient=L)
    assert np.isfinite(model.std_squares_).all() and model.held_out_error_ < 0.06
    out = np.empty((len(time), 12, 10)), np.empty((len(time), 12, 10))
    path, std = model.propagate(state[:, 0], time, True, velocity_gradient=L, out=out)
    assert path is out[0] and std is out[1] and np.isfinite(std).all()
