"""Constants of a crystal from stresses."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.spatial.transform import Rotation
from test_crystal_any import drawn

from skmerge.crystal import Crystal, calibrate, mean_stress, simulate

TIME = np.concatenate([np.linspace(0, 4, 11), np.linspace(7, 100, 30)])
TENSION = ["xx", "yy", "yz", "xz", "xy"]


def noisy(stress, seed, share=0.01):
    return stress + share * np.abs(stress).max() * np.random.default_rng(seed).normal(size=stress.shape)


def loads(n, seed=0):
    """Velocity gradients whose rate rises tenfold, and that turn back."""
    L = np.stack([np.repeat(drawn(seed + i, 1, volume=False), 40, axis=0) for i in range(n)])
    L[:, 25:33] *= 10
    L[:, 33:] *= -1
    return L


def off(found, true):
    return {name: (value - getattr(true, name)) / found.standard_errors[name] for name, value in found.values.items()}


@pytest.mark.parametrize("seed", range(4))
def test_constants_from_single_crystals_with_noise(seed):
    true, start = Crystal(tau0=12.0, k1=2e8, k2=6.0, rate_exponent=15.0), Crystal(rate_exponent=30.0)
    grains, L = Rotation.random(5, random_state=1), loads(5)
    stress = simulate(grains, TIME, velocity_gradient=L, crystal=true, tol=1e-4)[..., :6]
    stress = noisy(stress, seed)
    stress[0, 5:8], stress[2, :, 3] = np.nan, np.nan  # not measured
    found = calibrate(
        stress, grains, TIME, fit=["tau0", "k1", "k2", "rate_exponent"], crystal=start, velocity_gradient=L
    )
    assert max(map(abs, off(found, true).values())) < 3, off(found, true)
    assert not found.undetermined and found.crystal == replace(start, **found.values)
    assert all(error < 0.1 * found.values[name] for name, error in found.standard_errors.items())
    assert_allclose(np.sqrt(np.diag(found.covariance)), list(found.standard_errors.values()))
    assert_allclose(found.rms, 0.01 * np.nanmax(np.abs(stress)), rtol=0.15)


def test_constants_from_the_curve_of_an_aggregate():
    true = Crystal(hardening="voce", tau0=25.0, tau_saturation=70.0, initial_hardening=300.0)
    start = Crystal(hardening="voce", tau0=10.0, tau_saturation=100.0, initial_hardening=100.0)
    grains, strain = (
        Rotation.random(20, random_state=1),
        np.concatenate([np.linspace(0, 0.004, 9), np.linspace(0.01, 0.3, 30)]),
    )
    curve = noisy(mean_stress(simulate(grains, strain, crystal=true, loading="taylor", tol=1e-3)), 0)
    fit = ["tau0", "tau_saturation", "initial_hardening"]
    found = calibrate(curve, grains, strain, fit=fit, crystal=start, loading="taylor")
    assert max(map(abs, off(found, true).values())) < 3 and not found.undetermined
    assert found.rho0 is None


def test_back_stress_from_a_reversal_in_tension():
    true = Crystal(hardening="voce", tau0=25.0, initial_hardening=0.0, back_storage=800.0, back_recovery=40.0)
    start = replace(true, tau0=40.0, back_storage=300.0, back_recovery=80.0)
    grains = Rotation.random(2, random_state=1)
    pull = np.repeat(1e-3 * np.diag([0, 0, 1.0])[None], 40, axis=0)
    pull[20:] *= -1
    path = {"velocity_gradient": pull, "free": TENSION}
    curve = noisy(simulate(grains, np.linspace(0, 40, 41), crystal=true, tol=1e-2, **path)[..., 2].mean(axis=0), 0)
    fit = ["tau0", "back_storage", "back_recovery"]
    found = calibrate(curve, grains, np.linspace(0, 40, 41), fit=fit, crystal=start, tol=1e-2, **path)
    assert max(map(abs, off(found, true).values())) < 3, off(found, true)


def test_standard_errors_are_those_of_repetition():
    true, grain, strain = Crystal(), [[0.3, 0.6, 0.2]], np.linspace(0, 0.1, 31)
    clean = simulate(grain, strain)[..., 0]
    found = [calibrate(noisy(clean, seed), grain, strain, fit=["tau0", "k1"]) for seed in range(40)]
    scores = np.array([list(off(one, true).values()) for one in found])
    assert_allclose(np.sqrt(np.mean(scores**2, axis=0)), 1, atol=0.3)


def test_what_the_data_do_not_tell_is_said():
    grain, strain = [[0.3, 0.6, 0.2]], np.linspace(0, 0.1, 31)
    stress = simulate(grain, strain)
    with pytest.warns(UserWarning, match="do not tell forest_coefficient and burgers apart"):
        found = calibrate(stress, grain, strain, fit=["tau0", "forest_coefficient", "burgers"])
    assert [set(one) for one in found.undetermined] == [{"forest_coefficient", "burgers"}]
    assert np.isinf(found.standard_errors["burgers"]) and found.standard_errors["tau0"] < 0.1
    assert_allclose(found.values["tau0"], 8.0, rtol=1e-2)
    with pytest.warns(UserWarning, match="do not tell latent_hardening: "):
        found = calibrate([0, 1e-3], grain, [0, 1e-8], fit=["latent_hardening"])
    assert found.undetermined == (("latent_hardening",),)


def test_the_density_at_the_start_and_volumes():
    grains, strain, volume = Rotation.random(3, random_state=0), np.linspace(0, 0.05, 21), [1.0, 0.0, 3.0]
    curve = mean_stress(simulate(grains, strain, rho0=5e12), volume=volume)
    found = calibrate(curve, grains, strain, fit=["rho0", "tau0"], rho0=1e12, volume=volume)
    assert_allclose([found.rho0, found.values["tau0"]], [5e12, 8.0], rtol=1e-3)


def test_mean_of_all_six_and_an_axis():
    true, grains, L = Crystal(tau0=20.0), Rotation.random(3, random_state=0), loads(3)
    state = simulate(grains, TIME, velocity_gradient=L, crystal=true, tol=1e-3)
    for stress, axis in ((state, "z"), (state[..., :6].mean(axis=0), "z"), (state[..., 0].mean(axis=0), "x")):
        found = calibrate(stress, grains, TIME, fit=["tau0"], velocity_gradient=L, axis=axis)
        assert_allclose(found.crystal.tau0, 20.0, rtol=1e-4)


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"fit": "tau0"}, TypeError, "fit must be a list of names"),
        ({"fit": ["tau0", "tau_saturation"]}, ValueError, "fit holds 'tau_saturation'; with hardening='kocks-mecking'"),
        ({"fit": []}, ValueError, "fit is empty"),
        ({"fit": ["k1", "k1"]}, ValueError, "fit names a constant twice"),
        ({"fit": ["back_storage"]}, ValueError, "back_storage = 0.0 cannot be fitted from there"),
        ({"fit": ["rho0"], "rho0": [1e12]}, ValueError, "rho0 must be one number"),
        ({"stress": np.ones((2, 3))}, ValueError, r"stress must be .* shape \(1, 3\), or the mean .* got \(2, 3\)"),
        ({"stress": np.full(3, np.nan)}, ValueError, "stress holds no number"),
        ({"stress": [np.nan, np.nan, 1.0]}, ValueError, "1 numbers for 1 constants"),
        ({"free": ["xx"]}, ValueError, "free needs velocity_gradient"),
        ({"volume": [-1.0]}, ValueError, "volume must be one"),
        ({"crystal": {}}, TypeError, "crystal must be"),
    ],
)
def test_bad_input(change, error, text):
    given = {"stress": np.ones(3), "orientation": [[0.0, 0.0, 0.0]], "strain": [0, 0.1, 0.2], "fit": ["tau0"]}
    with pytest.raises(error, match=text):
        calibrate(**given | change)
