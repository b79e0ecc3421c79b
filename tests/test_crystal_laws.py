"""Crystals of other lattices and other laws of hardening: Voce's, and with a back stress."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.spatial.transform import Rotation
from test_crystal_any import drawn

from skmerge.crystal import DIRECTIONS, NORMALS, Crystal, calibrate, simulate, slip_systems

ALONG = 1e-3 * np.diag([-0.5, -0.5, 1.0])
BCC = tuple(part[:12] for part in slip_systems("bcc"))  # {110}<111> alone
VOCE = {"hardening": "voce", "tau0": 20.0, "tau_saturation": 60.0, "initial_hardening": 3000.0}
BACK = {"back_storage": 2000.0, "back_recovery": 100.0}


@pytest.mark.parametrize(("lattice", "factor"), [("fcc", 3.06), ("bcc", 2.77), (BCC, 3.06)])
def test_taylor_factors_of_a_random_texture(lattice, factor):
    """The work of slip, M = sum of all slip over strain, before the texture changes."""
    crystal = Crystal(lattice=lattice, rate_exponent=100.0, k1=0.0, k2=0.0)
    grains = Rotation.random(1000, random_state=0)
    state, slip = simulate(
        grains, np.linspace(0, 12, 7), velocity_gradient=ALONG, crystal=crystal, tol=0.03, return_slip=True
    )
    assert_allclose((slip[:, -1] - slip[:, -2]).mean() / 2e-3, factor, rtol=0.012)
    sigma = (state[:, -1, 2] - (state[:, -1, 0] + state[:, -1, 1]) / 2).mean()
    assert_allclose(sigma / crystal.resistance(1e12), factor, rtol=0.025)  # (rate of slip / gdot0)^(1/n) is near one


@pytest.mark.parametrize("changes", [{"lattice": "bcc"}, VOCE, VOCE | BACK, {"lattice": "bcc", **BACK}])
def test_the_24_equivalents_are_equal(changes):
    grain, time, L = Rotation.random(1, random_state=1), np.linspace(0, 40, 9), drawn(2, 8)
    grains = grain * Rotation.create_group("O")
    state, slip = simulate(grains, time, velocity_gradient=L, crystal=Crystal(**changes), tol=1e-3, return_slip=True)
    size = np.abs(state[..., :6]).max()
    assert_allclose(state[..., :6], np.broadcast_to(state[0, :, :6], (24, 9, 6)), atol=1e-10 * size)
    assert_allclose(state[..., 6], np.broadcast_to(state[0, :, 6], (24, 9)), rtol=1e-10)
    assert_allclose(slip, np.broadcast_to(slip[0], (24, 9)), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("loading", ["uniaxial", "taylor"])
def test_a_lattice_of_the_same_systems_as_the_adaptive_method(loading):
    """Also along another axis, and back."""
    strain = np.concatenate([np.linspace(0, 0.002, 11), np.linspace(0.003, 0.05, 30), np.linspace(0.0495, 0.04, 20)])
    grains, axis = Rotation.random(8, random_state=0), [1.0, -2.0, 0.5]
    old, slip = simulate(grains, strain, loading=loading, axis=axis, return_slip=True)
    same = Crystal(lattice=(NORMALS, DIRECTIONS))
    new, own = simulate(grains, strain, loading=loading, axis=axis, crystal=same, tol=1e-4, return_slip=True)
    assert np.sqrt(np.mean((new - old)[..., 0] ** 2) / np.mean(old[..., 0] ** 2)) < 4e-3
    assert_allclose(new[:, -1, 1], old[:, -1, 1], rtol=2e-3)
    assert_allclose(own[:, -1], slip[:, -1], rtol=2e-3)
    ends = (Rotation.from_euler("ZXZ", part[:, -1, 2:]) for part in (old, new))
    assert (next(ends) * next(ends).inv()).magnitude().max() < 1e-3


def test_the_axis_may_be_minus_z():
    grain, crystal, strain = [[0.3, 0.7, 0.2]], Crystal(lattice="bcc"), np.linspace(0, 0.02, 11)
    up, down = (simulate(grain, strain, axis=[0, 0, z], crystal=crystal) for z in (1, -1))
    assert_allclose(down, up, rtol=1e-6, atol=1e-6)


def test_voce_saturates():
    """[001] under the full constraint: eight systems slip at the same rate; sigma is known."""
    crystal = Crystal(**VOCE)
    state = simulate([[0.0, 0.0, 0.0]], np.linspace(0, 300, 61), velocity_gradient=ALONG, crystal=crystal, tol=0.01)[0]
    rate = (np.sqrt(6) / 8) ** (1 / crystal.rate_exponent)  # of each system, over gdot0
    sigma = state[:, 2] - (state[:, 0] + state[:, 1]) / 2
    assert_allclose(sigma[-1], np.sqrt(6) * 60.0 * rate, rtol=1e-5)
    assert_allclose(state[[0, -1], 6], [20.0, 60.0], rtol=1e-6)  # the column of the density


def test_voce_is_an_exponential_of_the_slip():
    crystal = Crystal(latent_hardening=1.0, **VOCE)
    state, slip = simulate(
        Rotation.random(5, random_state=0),
        np.linspace(0, 20, 41),
        velocity_gradient=drawn(0)[0],
        crystal=crystal,
        return_slip=True,
    )
    assert_allclose(state[..., 6], 60 - 40 * np.exp(-3000 / 40 * slip), rtol=1e-9)


def test_a_reversal_finds_the_back_stress():
    """Bauschinger: |sigma| after the same strain back is lower than before the reversal, and the same without."""
    strain = np.concatenate([np.linspace(0, 0.02, 41), 0.02 - np.linspace(0, 0.004, 41)[1:]])
    grains, found = Rotation.random(20, random_state=0), []
    for changes in ({}, BACK):
        crystal = Crystal(hardening="voce", tau0=20.0, initial_hardening=0.0, **changes)
        sigma = simulate(grains, strain, crystal=crystal, loading="taylor", tol=1e-3)[..., 0].mean(axis=0)
        found.append((sigma[40], -sigma[60], sigma[40] - sigma[20]))
    (ahead, behind, _), (ahead_back, behind_back, rise) = found
    assert_allclose(behind, ahead, rtol=0.03)
    assert behind_back < 0.75 * ahead_back and ahead_back > ahead + 20 and rise > 0
    assert behind_back < behind


def test_small_tolerances_are_the_reference():
    grains, L, time = Rotation.random(4, random_state=0), drawn(1, 10), np.linspace(0, 20, 11)
    crystal = Crystal(lattice="bcc", **BACK)
    fine, default, coarse = (
        simulate(grains, time, velocity_gradient=L, crystal=crystal, tol=tol, max_substeps=10**6)[:, -1, :6]
        for tol in (3e-6, 3e-5, 1e-2)
    )
    size = np.linalg.norm(fine, axis=1).max()
    assert np.abs(default - fine).max() < 2e-4 * size and np.abs(coarse - fine).max() < 1e-2 * size


def test_crystals_are_values():
    crystal = Crystal(lattice=BCC, **VOCE, **BACK)
    assert crystal == Crystal(lattice=[part * 2 for part in BCC], **VOCE, **BACK) and len({crystal, crystal}) == 1
    assert pickle.loads(pickle.dumps(crystal)) == crystal != Crystal()


@pytest.mark.parametrize(
    ("changes", "error", "text"),
    [
        ({"lattice": "hcp"}, ValueError, "lattice must be"),
        ({"lattice": 3}, ValueError, "lattice must be"),
        ({"hardening": "Voce"}, ValueError, "hardening='Voce' is not possible: give one of"),
        ({"hardening": "voce", "tau0": 70.0}, ValueError, "tau_saturation must be above tau0"),
        ({"back_storage": -1.0}, ValueError, "back_storage must not be negative"),
        ({"back_recovery": np.inf}, ValueError, "back_recovery must be finite"),
        ({"initial_hardening": "1"}, TypeError, "initial_hardening must be a number"),
    ],
)
def test_bad_constants(changes, error, text):
    with pytest.raises(error, match=text):
        Crystal(**changes)


def test_voce_has_no_density():
    crystal = Crystal(hardening="voce")
    with pytest.raises(ValueError, match="leave rho0 out"):
        simulate([[0.0, 0.0, 0.0]], [0, 0.1], crystal=crystal, rho0=1e13)
    with pytest.raises(ValueError, match="has no density"):
        crystal.resistance(1e12)
    with pytest.raises(ValueError, match=r"or \(1, 24\)"):
        simulate([[0.0, 0.0, 0.0]], [0, 0.1], crystal=Crystal(lattice="bcc"), rho0=np.full((1, 12), 1e12))


def test_temperature_and_rate_are_exchanged_by_arrhenius():
    """A crystal at T and rate e is one at T0 and rate e exp(Q/R (1/T - 1/T0)): Zener and Hollomon's parameter."""
    Q, hot, strain = 200.0, 400.0, np.linspace(0, 0.05, 26)
    factor = np.exp(Q / 8.314462618e-3 * (1 / hot - 1 / 293.15))
    warm = simulate([[0.3, 0.5, 0.7]], strain, crystal=Crystal(activation_energy=Q, temperature=hot), strain_rate=1e-3)
    slow = simulate([[0.3, 0.5, 0.7]], strain, strain_rate=1e-3 * factor)
    cold = simulate([[0.3, 0.5, 0.7]], strain)
    assert_allclose(warm, slow, rtol=1e-6)
    assert warm[0, -1, 0] < 0.6 * cold[0, -1, 0]
    assert_allclose(simulate([[0.3, 0.5, 0.7]], strain, crystal=Crystal(temperature=hot)), cold)  # without Q
    with pytest.warns(UserWarning, match="temperature is 20.0 K; give K, not degrees Celsius"):
        Crystal(temperature=20.0)
    with pytest.raises(ValueError, match="temperature must be above zero"):
        Crystal(temperature=0.0)
    with pytest.raises(ValueError, match=r"activation_energy = 200000.0 kJ/mol makes the slip rate"):
        Crystal(activation_energy=2e5, temperature=hot)


def test_calibrate_finds_an_activation_energy():
    strain = np.linspace(0, 0.05, 26)
    hot = Crystal(activation_energy=150.0, temperature=350.0)
    measured = simulate([[0.3, 0.5, 0.7], [1.0, 0.4, 0.2]], strain, crystal=hot)
    start = Crystal(activation_energy=100.0, temperature=350.0)
    found = calibrate(measured, [[0.3, 0.5, 0.7], [1.0, 0.4, 0.2]], strain, fit=["activation_energy"], crystal=start)
    assert_allclose(found.values["activation_energy"], 150.0, rtol=1e-3)
    with pytest.raises(
        ValueError, match="fit holds slip_rate and activation_energy, of which stresses at one temperature"
    ):
        calibrate(
            measured, [[0.3, 0.5, 0.7], [1.0, 0.4, 0.2]], strain, fit=["slip_rate", "activation_energy"], crystal=start
        )
