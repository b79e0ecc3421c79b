"""A law of slip that describes the records along one axis fills the table of the propagator."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.spatial.transform import Rotation

from skmerge import PlasticityPropagator
from skmerge._plasticity.simulated import law_of, paths_of
from skmerge.crystal import Crystal, simulate

STRAIN = np.r_[np.linspace(0, 2e-3, 21), np.linspace(4e-3, 0.06, 29)]
Z = np.array([0.0, 0.0, 1.0])
OTHER = Crystal(190.0, 130.0, 90.0, tau0=25.0, k1=3e8, k2=6.0, rate_exponent=12.0)


def fitted(strain, state, groups=None, **more):
    model = PlasticityPropagator(**{"orientation": "bunge", "random_state": 0} | more)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.fit_trajectories(strain, state, groups=groups)


def error(model, state, strain=STRAIN):
    """Of the stress at the end over its size, and of the lattice in degrees."""
    path = model.propagate(state[:, 0], strain).transpose(1, 0, 2)
    turned = Rotation.from_euler("ZXZ", path[:, -1, 2:]) * Rotation.from_euler("ZXZ", state[:, -1, 2:]).inv()
    return np.sqrt(np.mean((path[:, -1, 0] / state[:, -1, 0] - 1) ** 2)), np.degrees(turned.magnitude()).mean()


def rows(state, strain=STRAIN):
    return np.tile(strain, len(state)), state.reshape(-1, 5), np.repeat(np.arange(len(state)), state.shape[1])


@pytest.mark.parametrize("loading", ["uniaxial", "taylor"])
def test_six_crystals_are_enough(loading):
    """The constants come back, and crystals that were not trained are met, which a table of six cannot do."""
    state = simulate(Rotation.random(26, random_state=0), STRAIN, crystal=OTHER, loading=loading)
    model, table = (fitted(STRAIN, state[:6], law=law) for law in ("auto", False))
    forest = OTHER.resistance(1.0) - OTHER.tau0
    for text, values in zip(model.laws_, [(forest, 25.0), (3e8, 6.0)], strict=True):
        numbers = [float(text.split("= ")[1].split(" ")[0]), float(text.split(" ")[-1 if text[0] == "g" else -2])]
        assert_allclose(numbers, values, rtol=0.02)
    assert model.held_out_error_ < 2e-3 and not hasattr(table, "laws_")
    ours, its = error(model, state[6:]), error(table, state[6:])
    assert ours[0] < 5e-3 and ours[1] < 0.1 and its[0] > 5 * ours[0]
    path, std = model.propagate(state[6:, 0], STRAIN, return_std=True)
    z = np.abs(path[..., 0] - state[6:, :, 0].T)[1:] / std[1:, :, 0]
    assert (z < 2).mean() > 0.85
    with pytest.raises(ValueError, match="return_std needs"):
        table.propagate(state[6:, 0], STRAIN, return_std=True)


def test_another_law_leaves_the_table_as_it_is():
    """Densities of single systems, a wrong axis; paths that do not begin at rest tell none."""
    crystals, own = Rotation.random(10, random_state=0), Crystal(self_hardening=1.0, latent_hardening=0.0, k1=6e8)
    hidden = simulate(crystals, STRAIN, crystal=own, loading="taylor")
    usual = simulate(crystals, STRAIN)
    assert law_of(*rows(usual[:, 25:], STRAIN[25:]), Z)[0] is None
    for strain, state, options in (
        (STRAIN, hidden, {}),
        (STRAIN, usual, {"axis": "x"}),
    ):
        model, table = (fitted(strain, state, law=law, **options) for law in ("auto", False))
        assert not hasattr(model, "laws_")
        assert_array_equal(model.table_, table.table_)


def test_units_noise_reversals_and_paths_of_their_own():
    rng = np.random.default_rng(0)
    turn = np.r_[STRAIN, STRAIN[-1] - STRAIN[1:30]]
    paths = turn * rng.uniform(0.7, 1.0, (10, 1))
    state = simulate(Rotation.random(10, random_state=0), paths, axis="x")
    noisy = state.copy()
    noisy[:, 1:, 0] += 0.01 * np.abs(state[..., 0]).max() * rng.normal(size=noisy[:, 1:, 0].shape)
    scaled = state * [1e-3, 1e-12, 1, 1, 1]
    for given, tolerance in ((state, 2e-3), (noisy, 0.03), (scaled, 2e-3)):
        law, _ = law_of(paths.ravel(), given.reshape(-1, 5), np.repeat(np.arange(10), len(turn)), np.array([1.0, 0, 0]))
        assert law.loading == "uniaxial" and law.error[0] < tolerance
    assert law_of(*rows(simulate(Rotation.random(4, random_state=0), STRAIN)), Z)[0] is None  # too few


def test_order_and_lengths_of_the_records_do_not_matter():
    state = simulate(Rotation.random(12, random_state=0), STRAIN)
    one, other = law_of(*rows(state), Z)[0], law_of(*rows(state[::-1]), Z)[0]
    assert_array_equal(one.fitted, other.fitted[::-1])
    assert_allclose(one.crystal.tau0, other.crystal.tau0, rtol=1e-5)
    strain, flat, group = rows(state)
    kept = ~((group == 3) & (np.tile(np.arange(len(STRAIN)), 12) > 30))
    paths = paths_of(strain[kept], flat[kept], group[kept])
    assert paths.recorded.sum() == kept.sum() and (paths.strain[3, 31:] == STRAIN[30]).all()
    shorter = law_of(strain[kept], flat[kept], group[kept], Z)[0]
    assert_allclose(shorter.crystal.tau0, one.crystal.tau0, rtol=1e-2)
    model = fitted(strain[kept], flat[kept], groups=group[kept])
    assert error(model, simulate(Rotation.random(10, random_state=9), STRAIN))[0] < 5e-3


def test_the_parameter_is_checked():
    state = simulate(Rotation.random(6, random_state=0), STRAIN)
    with pytest.raises(ValueError, match="law='voce' is not possible"):
        fitted(STRAIN, state, law="voce")


@pytest.mark.parametrize("at", [0, 3])
def test_a_trajectory_of_something_else_is_named_and_left_out(at):
    state = simulate(Rotation.random(18, random_state=0), STRAIN)
    wrong = state[:8].copy()
    wrong[at, :, 0] *= 1.3
    model = PlasticityPropagator(orientation="bunge", random_state=0)
    with pytest.warns(UserWarning, match=f"trajectories {at} are no part of the law that describes the others"):
        model.fit_trajectories(STRAIN, wrong)
    assert error(model, state[8:])[0] < 5e-3


def test_crystals_that_are_much_alike_tell_no_law():
    alike = Rotation.from_rotvec(np.random.default_rng(0).normal(size=(8, 3)) * 0.04)
    state = simulate(alike, STRAIN, crystal=Crystal(latent_hardening=1.4))
    assert law_of(*rows(state), Z) == (None, "no law of slip sought: orientations too much alike to tell of others")


def test_noisy_orientations_do_not_hide_a_law():
    rng, state = np.random.default_rng(0), simulate(Rotation.random(20, random_state=0), STRAIN)
    noisy = state[:10].copy()
    noisy[:, 1:, 0] *= 1 + 0.01 * rng.normal(size=noisy[:, 1:, 0].shape)
    turned = Rotation.from_rotvec(np.radians(0.5) / np.sqrt(3) * rng.normal(size=(noisy[..., 0].size, 3)))
    turned = turned * Rotation.from_euler("ZXZ", noisy[..., 2:].reshape(-1, 3))
    noisy[..., 2:] = turned.as_euler("ZXZ").reshape(*noisy.shape[:2], 3)
    model = fitted(STRAIN, noisy)
    assert hasattr(model, "laws_") and error(model, state[10:])[0] < 0.02


def test_a_fit_says_what_came_of_the_law(capsys):
    state = simulate(Rotation.random(8, random_state=0), STRAIN)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        model = PlasticityPropagator(orientation="bunge", random_state=0, verbose=1).fit_trajectories(STRAIN, state)
    assert not [one for one in told if "elastic constants" in str(one.message)]
    assert "g = 3.69e-06 rho^0.50 + 8" in capsys.readouterr().out
    assert_allclose(Crystal(**model.law_constants_).tau0, 8.0, rtol=0.01)
    with pytest.raises(ValueError, match='stiffness and lattice have a part with loading="any" only'):
        fitted(STRAIN, state, lattice="bcc")
