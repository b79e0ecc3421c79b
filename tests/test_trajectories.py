"""Readers of other codes' results, on small files in their layout. What a file says is checked by physics."""

import warnings

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from skmerge.trajectories import read_damask

h5py = pytest.importorskip("h5py")

C11, C12, C44 = 168.9e9, 121.8e9, 75.8e9  # Pa, copper
STRAINS = (0.0, 5e-4, 1e-3, 2e-3)


def cubic_stress(strain):
    """Of strains (n, 3, 3) in the crystal's frame, by Hooke's law in components."""
    stress = 2 * C44 * strain
    for i in range(3):
        stress[:, i, i] = (C11 - C12) * strain[:, i, i] + C12 * np.trace(strain, axis1=1, axis2=2)
    return stress


def bunge_matrix(phi1, Phi, phi2):
    """From sample to crystal, written out as in Bunge's book."""
    c1, c, c2, s1, s, s2 = *np.cos([phi1, Phi, phi2]), *np.sin([phi1, Phi, phi2])
    return np.array(
        [
            [c1 * c2 - s1 * s2 * c, s1 * c2 + c1 * s2 * c, s2 * s],
            [-c1 * s2 - s1 * c2 * c, -s1 * s2 + c1 * c2 * c, c2 * s],
            [s1 * s, -c1 * s, c],
        ]
    )


def write(path, turn, phases, deformation=None, outputs=("rho_mob", "rho_dip"), spoil=None):
    """Elastic crystals, and what is in the file.

    As in DAMASK, F_e takes vectors of the crystal's frame to the sample: its rotation part, scalar first, is O.

    Parameters
    ----------
    turn : Rotation of every cell, crystal to sample
    phases : dict of the cells of every phase
    deformation : callable of a strain, the strain tensor (3, 3); by default tension along x
    """
    deformation = deformation or (lambda e: np.diag([e, -0.4 * e, -0.4 * e]))
    R, truth = turn.as_matrix(), []
    with h5py.File(path, "w") as file:
        label = [name for name, cells in phases.items() for _ in cells]
        entry = [i for cells in phases.values() for i in range(len(cells))]
        to = np.array(list(zip(np.array(label, "S"), entry, strict=True)), dtype=[("label", "S9"), ("entry", "i8")])
        file["cell_to/phase"] = to[:, None]
        for step, e in enumerate(STRAINS):
            strain = np.broadcast_to(deformation(e), R.shape)
            F = np.eye(3) + strain
            F_e = F @ R
            U, _, V = np.linalg.svd(F_e)
            O = Rotation.from_matrix(U @ V).as_quat()[:, [3, 0, 1, 2]]
            cauchy = R @ cubic_stress(R.transpose(0, 2, 1) @ strain @ R) @ R.transpose(0, 2, 1)
            P = np.linalg.det(F)[:, None, None] * cauchy @ np.linalg.inv(F).transpose(0, 2, 1)
            cells = np.arange(len(R))
            data = {
                "F": F, "P": P, "F_e": F_e, "O": O * np.where(cells % 2, 1, -1)[:, None],
                "rho_mob": 1e12 * (cells[:, None] + np.ones(12)), "rho_dip": np.full((len(R), 12), 1e11 * step),
                "rho_f": np.full((len(R), 12), 1e30), "xi_sl": 1e6 * (30 + cells[:, None] + np.arange(12)),
            }  # fmt: skip
            if spoil:
                spoil(step, data)
            for phase, some in phases.items():
                group = file.create_group(f"increment_{7 * step}/phase/{phase}/mechanical")
                for key in ("F", "P", "F_e", "O", *outputs):
                    group[key] = data[key][some]
                group["O"].attrs["lattice"] = "cF"
            truth.append((strain, cauchy, data))
    return truth


@pytest.fixture
def turn():
    """Three orientations of two cells each, far from each other."""
    return Rotation.random(3, random_state=1)[[0, 1, 0, 2, 2, 1]]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "result.hdf5"


def test_angles_are_those_that_give_the_stress_by_elasticity(path, turn):
    truth = write(path, turn, {"A": [0, 1, 2, 3, 4, 5]})
    strain, state = read_damask(path, grains="cell")
    for step, e in enumerate(STRAINS[1:], 1):
        np.testing.assert_allclose(strain[:, step], np.log1p(e))
        g = np.array([bunge_matrix(*angles) for angles in state[:, step, 2:]])
        stress = g.transpose(0, 2, 1) @ cubic_stress(g @ truth[step][0] @ g.transpose(0, 2, 1)) @ g
        np.testing.assert_allclose(state[:, step, 0], stress[:, 0, 0] / 1e6, rtol=1e-9)
        inverted = g @ cubic_stress(g.transpose(0, 2, 1) @ truth[step][0] @ g) @ g.transpose(0, 2, 1)
        assert np.abs(inverted[:, 0, 0] / 1e6 / state[:, step, 0] - 1).max() > 0.1  # inverse ones tell otherwise
        np.testing.assert_allclose(g.transpose(0, 2, 1), [polar(F_e) for F_e in truth[step][2]["F_e"]], atol=1e-9)


def polar(F):
    U, _, V = np.linalg.svd(F)
    return U @ V


def test_grains_are_the_cells_of_one_orientation(path, turn):
    truth = write(path, turn, {"A": [0, 1, 2, 3, 4, 5]})
    strain, state = read_damask(path)
    assert strain.shape == (3, 4) and state.shape == (3, 4, 5)
    members = [0, 2], [1, 5], [3, 4]  # in the order of the file
    for grain, cells in zip(state, members, strict=True):
        np.testing.assert_allclose(grain[3, 0], truth[3][1][cells, 0, 0].mean() / 1e6, rtol=1e-6)
        np.testing.assert_allclose(grain[:, 1], [12e12 * (np.mean(cells) + 1) + 12e11 * step for step in range(4)])
        np.testing.assert_allclose(bunge_matrix(*grain[0, 2:]).T, turn[cells[0]].as_matrix(), atol=1e-9)
    assert np.abs(np.diff(state[..., 2:], axis=1)).max() < 0.1


def test_a_mean_over_several_orientations_is_refused(path, turn):
    write(path, turn, {"A": [0, 1, 2, 3, 4, 5]})
    with pytest.raises(ValueError, match=r"3 different orientations, up to .* several grains"):
        read_damask(path, grains="phase")
    write(path, turn, {"A": [0, 2], "B": [1, 5], "C": [3, 4]})
    np.testing.assert_allclose(read_damask(path, grains="phase")[1], read_damask(path)[1], atol=1e-9)


def test_axis_is_found_and_another_one_refused(path, turn):
    write(path, turn, {"A": [0, 1, 2]}, lambda e: np.diag([0.5 * e, -e, 0.5 * e]))
    strain, state = read_damask(path)
    np.testing.assert_allclose(strain[:, -1], np.log1p(-STRAINS[-1]))
    np.testing.assert_array_equal(read_damask(path, axis="y")[1], state)
    with pytest.raises(ValueError, match=r"not loaded along axis=\[0\.0, 0\.0, 1\.0\].* y by -0\.2 %"):
        read_damask(path, axis="z")
    write(path, turn, {"A": [0, 1, 2]}, lambda e: np.array([[0, e, 0], [e, 0, 0], [0, 0, 0]]))
    with pytest.raises(ValueError, match="no single axis of loading"):
        read_damask(path)
    write(path, turn, {"A": [0, 1, 2]}, lambda e: np.diag([e, 0, -e]))
    with pytest.raises(ValueError, match="no single axis of loading"):
        read_damask(path)
    assert read_damask(path, axis="z")[0][0, -1] < 0


def test_slip_resistance_takes_the_place_of_a_density_and_that_is_said(path, turn):
    write(path, turn, {"A": [0, 1, 2]}, outputs=("xi_sl",))
    with pytest.warns(UserWarning, match="no density; the square of the slip resistance xi_sl"):
        state = read_damask(path, grains="cell")[1]
    np.testing.assert_allclose(np.sqrt(state[:, :, 1]), 1e6 * (30 + 5.5 + np.arange(3))[:, None] * np.ones(4))


def test_density_may_be_named(path, turn):
    write(path, turn, {"A": [0, 1, 2]})
    alone = read_damask(path, grains="cell", density="rho_mob")[1][:, 0, 1]
    np.testing.assert_allclose(alone, 12e12 * np.arange(1, 4))
    np.testing.assert_array_equal(alone, read_damask(path, grains="cell", density=("rho_mob",))[1][:, 0, 1])
    with pytest.raises(ValueError, match=r"density=\(\) is empty; give \'auto\'"):
        read_damask(path, density=())
    with pytest.raises(ValueError, match="A lacks rho_sgl"):
        read_damask(path, density="rho_sgl")


def test_phases_that_cannot_be_read_are_left_out_and_named(path, turn):
    write(path, turn, {"A": [0, 1], "B": [2, 3, 4], "none": []})
    with h5py.File(path, "a") as file:
        for step in range(4):
            for key in ("rho_mob", "rho_dip"):
                del file[f"increment_{7 * step}/phase/B/mechanical/{key}"]
    with pytest.warns(UserWarning, match="B lacks density .*left out") as caught:
        assert len(read_damask(path, grains="cell")[1]) == 2
    assert len(caught) == 1 and "none" not in str(caught[0].message)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(read_damask(path, grains="cell", phases="A")[1]) == 2
    with pytest.raises(ValueError, match="B lacks density"):
        read_damask(path, phases=["A", "B"])
    with pytest.raises(ValueError, match="no phase C; it has A, B, none"):
        read_damask(path, phases=["C"])


def test_what_is_missing_and_what_to_do_is_said(path, turn):
    write(path, turn, {"A": [0, 1]})
    with h5py.File(path, "a") as file:
        for step in range(4):
            del file[f"increment_{7 * step}/phase/A/mechanical/P"]
    with pytest.raises(ValueError, match=r"A lacks P\. Add these names to output in material\.yaml"):
        read_damask(path)
    with h5py.File(path, "w") as file:
        file["data"] = 1
    with pytest.raises(ValueError, match="increment_N"):
        read_damask(path)
    with pytest.raises(ValueError, match="grains"):
        read_damask(path, grains="voxel")


def test_cells_without_numbers_are_left_out_and_named(path, turn):
    def spoil(step, data):
        if step == 2:
            data["P"][2, 0, 0] = np.nan

    write(path, turn, {"A": [0, 1, 2, 3, 4, 5]}, spoil=spoil)
    with pytest.warns(
        UserWarning, match="1 of 6 cells of A hold NaN or infinity, .* the first in increment_14, cell 2"
    ):
        state = read_damask(path)[1]
    assert np.isfinite(state).all() and state.shape == (3, 4, 5)
    np.testing.assert_allclose(state[0, :, 1], [12e12 + 12e11 * step for step in range(4)])  # of cell 0 alone

    def spoil_all(step, data):
        data["O"][:] = np.nan

    write(path, turn, {"A": [0, 1]}, spoil=spoil_all)
    with pytest.raises(ValueError, match="every cell of A holds NaN"):
        read_damask(path)


def test_lattices_that_are_not_cubic_are_named(path, turn):
    write(path, turn, {"A": [0, 1, 2]})
    with h5py.File(path, "a") as file:
        file["increment_0/phase/A/mechanical/O"].attrs["lattice"] = "hP"
    with pytest.warns(UserWarning, match="lattice of A is hP"):
        read_damask(path)


# --- jumps of symmetry, and files without an increment before load


def test_cells_that_jump_to_an_equivalent_orientation_are_undone_before_their_mean(path, turn):
    """Each cell by itself, to any of the 24 and back, at any increment: a mean over some of both is no orientation."""
    write(path, turn, {"A": [0, 1, 2, 3, 4, 5]})
    exact = read_damask(path)[1]
    group, draw = Rotation.create_group("O"), np.random.default_rng(3)
    group = group[np.argsort(group.magnitude())]  # the first turns nothing

    def spoil(step, data):
        O = Rotation.from_quat(data["O"][:, [1, 2, 3, 0]]) * group[draw.integers(24, size=6) if step else [0] * 6]
        data["O"] = O.as_quat()[:, [3, 0, 1, 2]]

    write(path, turn, {"A": [0, 1, 2, 3, 4, 5]}, spoil=spoil)
    with pytest.warns(UserWarning, match="in 6 of 6 cells of A the orientation jumps .* in increment_7; undone"):
        state = read_damask(path)[1]
    np.testing.assert_allclose(state, exact, rtol=1e-9, atol=1e-9)


def test_cells_whose_lattice_turns_too_far_are_told(path, turn):
    def spoil(step, data):
        if step == 3:
            O = Rotation.from_quat(data["O"][:, [1, 2, 3, 0]]) * Rotation.from_rotvec([0.5, 0.6, 0.4])
            data["O"] = O.as_quat()[:, [3, 0, 1, 2]]

    write(path, turn, {"A": [0, 1, 2, 3, 4, 5]}, spoil=spoil)
    with pytest.warns(UserWarning, match="in 6 of 6 cells of A the lattice turns by up to 50 degrees"):
        read_damask(path)


def scattered(degrees):
    """Cells turned by some degrees each, as they are in a deformed increment."""
    draw = np.random.default_rng(4)

    def spoil(step, data):
        turn = Rotation.from_rotvec(np.radians(degrees) * draw.uniform(-0.5, 0.5, (6, 3)) * bool(step))
        data["O"] = (Rotation.from_quat(data["O"][:, [1, 2, 3, 0]]) * turn).as_quat()[:, [3, 0, 1, 2]]

    return spoil


def test_grains_of_a_file_without_the_increment_before_load_are_cells_near_each_other(path, turn):
    write(path, turn, {"A": [0, 1, 2, 3, 4, 5]}, spoil=scattered(1.0))
    whole = read_damask(path)[1]
    with h5py.File(path, "a") as file:
        del file["increment_0"]
    with pytest.warns(UserWarning, match=r"begins with increment_7, which is deformed: .* 3 grains of 6 cells"):
        state = read_damask(path)[1]
    np.testing.assert_allclose(state[..., :2], whole[:, 1:, :2])
    assert len(read_damask(path, grains="cell")[1]) == 6


def test_grains_that_a_deformed_first_increment_does_not_tell_apart_are_refused(path):
    cells = Rotation.from_euler("ZXZ", [[0, 40 + 4 * i, 0] for i in range(6)], degrees=True)
    write(path, cells, {"A": [0, 1, 2, 3, 4, 5]}, spoil=scattered(0.1))
    assert len(read_damask(path)[1]) == 6
    with h5py.File(path, "a") as file:
        del file["increment_0"]
    with pytest.raises(ValueError, match="6 of these grains are within 6 degrees of another one"):
        read_damask(path)


# --- arguments and files that are none


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"phases": "none"}, r"phases=\('none',\): none of .* has no cells; leave it out. Phases with cells: A"),
        ({"phases": ["A", "none"]}, "none of .* has no cells"),
        ({"phases": ()}, r"phases=\(\) is empty; give names of phases, or None"),
        ({"phases": ["A", 3]}, "phases=.* contains 3, which is no name"),
        ({"density": None}, "density=None contains None, which is no name; give 'auto'"),
        ({"density": ["xi_sl", 3]}, "density=.* contains 3, which is no name"),
        ({"density": ("xi_sl", "rho_mob")}, "only densities are summed"),
        ({"axis": None}, "axis=None is not possible: .* Give it, or 'auto'"),
        ({"grains": ["cell"]}, r"grains=\['cell'\] is not possible"),
    ],
)
def test_arguments_that_are_none_are_named(path, turn, arguments, match):
    write(path, turn, {"A": [0, 1, 2, 3, 4, 5], "none": []}, outputs=("rho_mob", "xi_sl"))
    with pytest.raises(ValueError, match=match):
        read_damask(path, **arguments)


def test_a_file_that_is_not_hdf5_is_named(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("strain,stress\n0,0\n")
    with pytest.raises(OSError, match=r"table\.csv cannot be read as HDF5 .*; give the result file of DAMASK 3"):
        read_damask(path)
    with pytest.raises(FileNotFoundError, match=r"none\.hdf5"):
        read_damask(tmp_path / "none.hdf5")


def test_quaternions_that_are_none_are_left_out_and_named(path, turn):
    def spoil(step, data):
        data["O"][4] *= step != 1

    write(path, turn, {"A": [0, 1, 2, 3, 4, 5]}, spoil=spoil)
    with pytest.warns(UserWarning, match="1 of 6 cells of A .* O that is no unit quaternion, .* increment_7, cell 4"):
        assert len(read_damask(path, grains="cell")[1]) == 5


def test_what_is_said_of_slip_resistances_is_true(path, turn):
    """Where another phase stores a density, and where it was asked for."""
    write(path, turn, {"A": [0, 1], "B": [2, 3, 4]}, outputs=("rho_mob", "xi_sl"))
    with h5py.File(path, "a") as file:
        for step in range(4):
            del file[f"increment_{7 * step}/phase/B/mechanical/rho_mob"]
    with pytest.warns(UserWarning, match=r"^B of .* stores no density; the square of the slip resistance xi_sl"):
        read_damask(path, phases="B")
    with pytest.warns(UserWarning, match="as asked; the square of the slip resistance xi_sl") as caught:
        read_damask(path, density="xi_sl")
    assert len(caught) == 1 and "stores no density" not in str(caught[0].message)


def test_all_stresses_and_the_velocity_gradient_are_read(tmp_path):
    """L leads from one F to the next; the stress is that of the strain by Hooke's law in the lattice."""
    turn, shear = Rotation.random(5, random_state=3), np.array([[0.3, 0.5, 0], [0.5, -0.1, 0.2], [0, 0.2, -0.15]])
    write(tmp_path / "any.hdf5", turn, {"A": range(5)}, deformation=lambda e: e * shear)
    with pytest.raises(ValueError, match="attribute t/s rises"):
        read_damask(tmp_path / "any.hdf5", loading="any")
    with h5py.File(tmp_path / "any.hdf5", "a") as file:
        for step in range(len(STRAINS)):
            file[f"increment_{7 * step}"].attrs["t/s"] = 10.0 * STRAINS[step]
    time, state, L = read_damask(tmp_path / "any.hdf5", loading="any")
    np.testing.assert_allclose(time, 10 * np.array(STRAINS))
    assert state.shape == (5, 4, 10) and L.shape == (5, 3, 3, 3)
    F = np.eye(3)
    for t in range(3):
        half = L[0, t] * (time[t + 1] - time[t]) / 2
        F = np.linalg.solve(np.eye(3) - half, (np.eye(3) + half) @ F)
        np.testing.assert_allclose(F, np.eye(3) + STRAINS[t + 1] * shear, atol=1e-9)
    R = turn.as_matrix()
    given = STRAINS[-1] * shear
    cauchy = R @ cubic_stress(R.transpose(0, 2, 1) @ given @ R) @ R.transpose(0, 2, 1) / 1e6
    order = np.argsort(state[:, -1, 0])
    expected = cauchy[:, [0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]]
    np.testing.assert_allclose(state[order, -1, :6], expected[np.argsort(expected[:, 0])], rtol=1e-9)
