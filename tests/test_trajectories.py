"""Readers of other codes' results, on small files in their layout."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from skmerge.trajectories import read_damask

h5py = pytest.importorskip("h5py")


def apart(state, quaternion):
    """Angles in rad between orientations."""
    return (Rotation.from_euler("ZXZ", state[:, 2:]).inv() * Rotation.from_quat(quaternion)).magnitude()


@pytest.fixture
def written(tmp_path):
    """Two phases, of one and of two cells, and what is in them."""
    rng = np.random.default_rng(0)
    start = Rotation.random(3, random_state=rng)
    path = tmp_path / "result.hdf5"
    truth = []
    with h5py.File(path, "w") as file:
        to = np.array([(b"A", 0), (b"B", 0), (b"B", 1)], dtype=[("label", "S1"), ("entry", "i8")])
        file["cell_to/phase"] = to[:, None]
        for step, strain in enumerate((0.0, 0.001, 0.01, 0.02)):
            turn = start * Rotation.from_rotvec(np.array([[0.3, -0.2, 0.5]]) * strain * 10)
            F = np.diag(np.exp([-strain / 2, -strain / 2, strain]))
            cauchy = np.array([50.0, 60.0, 80.0]) * (1 + strain)
            P = np.zeros((3, 3, 3))
            P[:, 2, 2] = 1e6 * cauchy * np.linalg.det(F) / F[2, 2]
            quaternion = turn.inv().as_quat()[:, [3, 0, 1, 2]] * rng.choice([-1, 1], (3, 1))
            mobile = rng.uniform(1e12, 2e12, (3, 12))
            for phase, cells in (("A", [0]), ("B", [1, 2])):
                group = file.create_group(f"increment_{7 * step}/phase/{phase}/mechanical")
                group["F"], group["P"] = np.repeat(F[None], len(cells), axis=0), P[cells]
                group["O"], group["rho_mob"], group["rho_dip"] = quaternion[cells], mobile[cells], mobile[cells] / 2
            truth.append((strain, cauchy, 1.5 * mobile.sum(axis=1), turn.as_quat()))
    return path, truth


def test_cells(written):
    path, truth = written
    strain, state = read_damask(path, grains="cell")
    assert strain.shape == (3, 4) and state.shape == (3, 4, 5)
    for step, (e, sigma, rho, turn) in enumerate(truth):
        np.testing.assert_allclose(strain[:, step], e, atol=1e-12)
        np.testing.assert_allclose(state[:, step, 0], sigma, rtol=1e-12)
        np.testing.assert_allclose(state[:, step, 1], rho, rtol=1e-12)
        assert apart(state[:, step], turn).max() < 1e-9
    assert np.abs(np.diff(state[..., 2:], axis=1)).max() < 1


def test_phases_are_means(written):
    path, truth = written
    state = read_damask(path)[1]
    assert state.shape == (2, 4, 5)
    np.testing.assert_allclose(state[:, 2, 0], [truth[2][1][0], truth[2][1][1:].mean()])
    mean = Rotation.from_quat(truth[2][3][1:]).mean().as_quat()
    assert apart(state[1:, 2], mean[None]).max() < 1e-9


def test_what_is_missing_is_named(written, tmp_path):
    with pytest.raises(ValueError, match="xi_sl"):
        read_damask(written[0], density=("xi_sl",))
    with h5py.File(tmp_path / "other.hdf5", "w") as file:
        file["data"] = 1
    with pytest.raises(ValueError, match="increment_N"):
        read_damask(tmp_path / "other.hdf5")
    with pytest.raises(ValueError, match="grains"):
        read_damask(written[0], grains="voxel")
