"""Mixed conditions: part of the velocity gradient is given, and where it is not no stress acts."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import fsolve
from scipy.spatial.transform import Rotation
from sklearn.exceptions import ConvergenceWarning
from test_crystal_any import drawn

from skmerge.crystal import DIRECTIONS, NORMALS, Crystal, simulate

TENSION, SHEET = ["xx", "yy", "yz", "xz", "xy"], ["zz", "yz", "xz"]
PULL = 1e-3 * np.diag([0, 0, 1.0])
VOCE = {"hardening": "voce", "tau0": 20.0}
GRIPS = np.array([[1, 1, 0], [1, 1, 0], [1, 1, 0]], dtype=bool)
PLACE = {"xx": 0, "yy": 1, "zz": 2, "yz": 3, "xz": 4, "xy": 5}


def flow(state):
    return np.linalg.norm(state[:, -1, :6], axis=1).min()


@pytest.mark.parametrize(
    "crystal",
    [Crystal(), Crystal(lattice="bcc", **VOCE, back_storage=500.0, back_recovery=10.0), Crystal(rate_exponent=100.0)],
    ids=["fcc", "bcc, Voce, back stress", "n = 100"],
)
@pytest.mark.parametrize("free", [TENSION, SHEET, ["xx"], GRIPS], ids=["tension", "sheet", "one", "grips"])
@pytest.mark.parametrize("tol", [1e-3, 1e-1])
def test_no_stress_acts_where_it_is_free(crystal, free, tol):
    """From rest, along, back, at rest and with a hundred times the rate; in the first record beyond the knee."""
    L = np.concatenate([np.repeat([PULL, -PULL], 12, axis=0), 0 * drawn(0, 2), 100 * np.repeat([PULL], 4, axis=0)])
    L[:, 0, 0] -= L[:, 2, 2] / 2
    L[:, 1, 1] -= L[:, 2, 2] / 2
    time = np.concatenate([[0], np.cumsum([2.0] * 26 + [0.02] * 4)])
    grains = Rotation.random(10, random_state=0)
    state = simulate(grains, time, velocity_gradient=L, free=free, crystal=crystal, tol=tol)
    places = [0, 1, 3, 4, 5] if free is GRIPS else [PLACE[name] for name in free]
    assert np.isfinite(state).all()
    assert np.abs(state[..., places]).max() < 1e-6 * flow(state)
    assert np.abs(state[:, 12, :3]).max(axis=1).min() > 2 * crystal.tau0


@pytest.mark.parametrize("grain", ["001", "111", "any"])
def test_tension_against_the_adaptive_method(grain):
    """[001] and [111] do not turn; with lines along the axis that stay there any crystal does as between grips."""
    to_z = {"001": [1.0, 0, 0], "111": [1.0, 1.0, 1.0], "any": [0.2, 0.5, 0.8]}[grain]
    angles = Rotation.align_vectors([[0, 0, 1.0]], [to_z])[0].as_euler("ZXZ")[None]
    strain = np.concatenate([np.linspace(0, 0.002, 21), np.linspace(0.003, 0.05, 60), np.linspace(0.0499, 0.046, 40)])
    change = np.diff(strain)
    time = np.concatenate([[0], np.cumsum(np.abs(change)) / 1e-3])
    L = np.sign(change)[:, None, None] * PULL
    old = simulate(angles, strain, tol=1e-6)[0]
    for free in [GRIPS] if grain == "any" else [GRIPS, TENSION]:
        new = simulate(angles, time, velocity_gradient=L, free=free, tol=1e-4)[0]
        assert np.sqrt(np.mean((new[:, 2] - old[:, 0]) ** 2)) < 3e-3 * old[:, 0].max()
        assert_allclose(new[:, 6], old[:, 1], rtol=3e-3)
        ends = (Rotation.from_euler("ZXZ", part) for part in (old[-1, 2:], new[-1, 7:]))
        assert (next(ends) * next(ends).inv()).magnitude() < 1e-3


def test_plane_strain_compression_against_an_independent_solution():
    """Rigid and viscous at the end: D_yz and so on with stresses that vanish, and the power law's own stress."""
    crystal = Crystal(k1=0.0, k2=0.0)
    angles, time = [[0.3, 0.6, 0.2]], np.concatenate([np.linspace(0, 2, 11), np.linspace(2.5, 12, 20)])
    L = 1e-3 * np.diag([1.0, 0.0, -1.0])
    free = ["xx", "xz", "xy", "yz"]
    state, slip = simulate(angles, time, velocity_gradient=L, free=free, crystal=crystal, tol=1e-3, return_slip=True)
    Q = Rotation.from_euler("ZXZ", state[0, -1, 7:]).as_matrix()
    P = np.einsum("ij,aj,kl,al->aik", Q, DIRECTIONS, Q, NORMALS)
    P = (P + np.swapaxes(P, 1, 2)) / 2
    g = crystal.resistance(1e12)

    def rates(s):
        x = np.einsum("aij,ij->a", P, np.diag([0.0, *s])) / g
        return np.abs(x) ** 20 * np.sign(x) * 1e-3

    def left(s):
        D = np.einsum("a,aij->ij", rates(s), P)
        return [(D[1, 1]) / 1e-3, D[2, 2] / 1e-3 + 1]

    root = fsolve(left, state[0, -1, 1:3] * 1.02, xtol=1e-10)
    assert_allclose(
        state[0, -1, 1:3], root, atol=2e-3 * np.abs(root).max()
    )  # the elastic strain still changes, as the lattice turns
    assert_allclose((slip[0, -1] - slip[0, -2]) / 0.5, np.abs(rates(root)).sum(), rtol=5e-3)
    assert np.abs(state[..., [0, 3, 4, 5]]).max() < 1e-6 * np.abs(root).max()


def test_rates_that_jump_by_decades():
    """Where steps are cut for their error, the stress is not continuous in the strain."""
    rng, grains = np.random.default_rng(0), Rotation.random(16, random_state=2)
    L = rng.normal(size=(16, 8, 3, 3)) * 10 ** rng.uniform(-5, 0, (16, 8, 1, 1))
    dt = 10 ** rng.uniform(-4, -1.3, (16, 8)) / np.linalg.norm(L, axis=(2, 3))
    time = np.concatenate([np.zeros((16, 1)), np.cumsum(dt, axis=1)], axis=1)
    state = simulate(grains, time, velocity_gradient=L, free=["yy", "xz", "yz"], crystal=Crystal(**VOCE), tol=1e-2)
    assert np.abs(state[..., [1, 3, 4]]).max() < 1e-6 * VOCE["tau0"] * 3


def test_free_names_and_entries_are_the_same():
    grains, time, L = Rotation.random(4, random_state=0), np.linspace(0, 20, 11), drawn(3, 10)
    named = simulate(grains, time, velocity_gradient=L, free=SHEET, tol=1e-3)
    mask = np.zeros((3, 3), dtype=bool)
    mask[2] = mask[:, 2] = True
    assert_array_equal(simulate(grains, time, velocity_gradient=L, free=mask, tol=1e-3), named)
    other = L.copy()  # neither size nor symmetric part counts in free entries
    other[:, 2, 2], other[:, 1, 2], other[:, 2, 1] = 0.7, L[:, 1, 2] + 5e-3, L[:, 2, 1] + 5e-3
    assert_allclose(simulate(grains, time, velocity_gradient=other, free=SHEET, tol=1e-3), named, rtol=1e-5, atol=1e-5)
    none = simulate(grains, time, velocity_gradient=L, free=np.zeros((3, 3), bool), tol=1e-3)
    assert_array_equal(none, simulate(grains, time, velocity_gradient=L, tol=1e-3))


def test_all_free_is_a_spin():
    state = simulate(
        Rotation.random(3, random_state=0), [0, 10, 20], velocity_gradient=drawn(0)[0], free=np.ones((3, 3), bool)
    )
    assert np.abs(state[..., :6]).max() < 1e-5


def test_each_crystal_its_own_path_and_threads():
    grains, L = Rotation.random(300, random_state=0), np.stack([drawn(i, 4) for i in range(300)])
    time = np.cumsum(np.random.default_rng(0).uniform(0, 3, (300, 5)), axis=1)
    time[:, 2] = time[:, 1]  # an instant
    both = simulate(grains, time, velocity_gradient=L, free=TENSION, tol=0.03)
    assert_array_equal(both, simulate(grains, time, velocity_gradient=L, free=TENSION, tol=0.03, n_jobs=2))
    assert_array_equal(both[:, 2], both[:, 1])
    for i in (0, 170):
        one = simulate(grains[[i]], time[i], velocity_gradient=L[i], free=TENSION, tol=0.03)
        assert_allclose(one, both[[i]], rtol=1e-9, atol=1e-9)


def test_a_crystal_that_fails_is_named():
    L = np.stack([np.zeros((3, 3)), 4.0 * np.diag([1.0, 0, 0])])[:, None]
    with pytest.warns(ConvergenceWarning, match="^1 of 2 crystals did not converge: crystal 1 at time 0"):
        state = simulate([[0.3, 0.6, 0.2]] * 2, [0, 10], velocity_gradient=L, free=SHEET, max_substeps=1, tol=1e-3)
    assert np.isfinite(state[0]).all() and np.isfinite(state[1, 0]).all() and np.isnan(state[1, 1]).all()


@pytest.mark.parametrize(
    ("free", "error", "text"),
    [
        ("xx", TypeError, "free must be a list of names .*got the text"),
        (["xx", "zy"], ValueError, "free holds 'zy'; give a list of names, of xx, yy, zz, yz, xz, xy"),
        (np.zeros((2, 3), bool), ValueError, r"of shape \(3, 3\); got \(2, 3\)"),
        ([["xx"]], ValueError, "free has shape"),
        ([0, 1], ValueError, "free holds 0"),
    ],
)
def test_bad_free(free, error, text):
    with pytest.raises(error, match=text):
        simulate([[0.0, 0.0, 0.0]], [0, 1], velocity_gradient=PULL, free=free)


def test_free_needs_a_velocity_gradient():
    with pytest.raises(ValueError, match="free needs velocity_gradient"):
        simulate([[0.0, 0.0, 0.0]], [0, 0.1], free=["xx"])
