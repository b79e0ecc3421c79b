"""The law of slip in a file, loaded by C; the UMAT against the propagator; examples in C and Fortran."""

import ctypes
import os
import re
import shutil
import struct
import subprocess
import sys
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.linalg import expm, polar
from scipy.spatial.transform import Rotation

import skmerge
from skmerge import PlasticityPropagator, crystal

sys.path.insert(0, str(Path(__file__).parent))
from finite_element import ORDER, Point, tensor

SOURCES, EXAMPLES = Path(skmerge.get_include()), Path(__file__).parents[1] / "examples"
needs_c = pytest.mark.skipif(shutil.which("cc") is None or os.name == "nt", reason="no C compiler named cc")
needs_fortran = pytest.mark.skipif(shutil.which("gfortran") is None, reason="no gfortran")
CODES = {"foreign": 1, "version": 2, "size": 3, "checksum": 4, "content": 5, "alignment": 6, "unreadable": 7}
SHEAR = np.array([[0, 1e-3, 0], [0, 0, 0], [0, 0, 0]])


@pytest.fixture(scope="module")
def model():
    rng = np.random.default_rng(0)
    time = np.r_[np.linspace(0, 2, 11), np.linspace(4, 60, 29)]
    L = rng.normal(size=(9, 3, 3))
    L -= np.eye(3) * np.trace(L, axis1=1, axis2=2)[:, None, None] / 3
    L *= (1e-3 / np.linalg.norm(L, axis=(1, 2)))[:, None, None]
    L = np.repeat(L[:, None], len(time) - 1, 1)
    state = crystal.simulate(rng.uniform([0, 0.2, 0], [6, 1.3, 6], (9, 3)), time, velocity_gradient=L, tol=1e-2)
    model = PlasticityPropagator(orientation="bunge", loading="any", stiffness=(168.9, 121.8, 75.8), random_state=0)
    return model.fit_trajectories(time, state, velocity_gradient=L)


@pytest.fixture(scope="module")
def law_file(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("law") / "copper.grain"
    model.save_grain_law(path)
    return path


@pytest.fixture(scope="module")
def objects(tmp_path_factory):
    """The one object that holds everything, and a directory."""
    place = tmp_path_factory.mktemp("built")
    flags = ["-O1", "-std=c11", "-fno-math-errno", "-fno-trapping-math", "-fPIC"]
    subprocess.run(["cc", *flags, "-c", SOURCES / "grain_umat.c", "-o", place / "grain_umat.o"], check=True)
    return place


@pytest.fixture(scope="module")
def library(objects, law_file):
    subprocess.run(["cc", "-shared", objects / "grain_umat.o", "-lm", "-o", objects / "umat.so"], check=True)
    library = ctypes.CDLL(str(objects / "umat.so"))
    library.skmerge_grain_open.restype = library.skmerge_grain_problem.restype = ctypes.c_void_p
    library.skmerge_grain_open.argtypes = ctypes.c_char_p, ctypes.POINTER(ctypes.c_int)
    library.skmerge_grain_load.argtypes = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p
    library.skmerge_grain_time_factor.restype = ctypes.c_double
    library.umat_.restype = None
    assert library.skmerge_umat_load(str(law_file).encode()) == 0
    return library


class Bytes:
    """Bytes of a file at an address that a multiple of 8 begins, and memory for the law."""

    def __init__(self, library, content, offset=0):
        self.memory = np.zeros(len(content) // 8 + 3)
        self.view = self.memory.view(np.uint8)[offset : offset + len(content)]
        self.view[:] = np.frombuffer(content, np.uint8)
        self.library, self.law = library, np.zeros(1 << 13)

    def load(self, size=None):
        size = len(self.view) if size is None else size
        return self.library.skmerge_grain_load(self.view.ctypes.data, size, self.law.ctypes.data)

    def step(self, n=3):
        """Flags of grains that are stepped by the law."""
        state, stress, dt = np.zeros((n, 12)), np.zeros((n, 6)), np.ones(1)
        state[:, 8], state[:, 11] = 1, [1e6, 1e3, 1e9]
        flags, out = np.zeros(n, np.int32), [ctypes.c_void_p(a.ctypes.data) for a in (SHEAR, dt, state, stress)]
        size = ctypes.c_ssize_t
        self.library.skmerge_grain_steps(
            ctypes.c_void_p(self.law.ctypes.data), size(n), out[0], size(0), out[1], size(0), out[2], out[3], size(6),
            None, ctypes.c_void_p(flags.ctypes.data),
        )  # fmt: skip
        return stress, flags & 0xFFFF


def test_layout_of_the_file(model, law_file):
    content = law_file.read_bytes()
    assert content[:8] == b"SKMGRAIN"
    version, checksum, size, systems, nodes = struct.unpack_from("<IIQII", content, 8)
    assert (version, size, systems, checksum) == (1, len(content), 12, zlib.crc32(content[16:]))
    numbers = np.frombuffer(content, "<f8", offset=32)
    assert_array_equal(numbers[2:5], model.stiffness_)
    assert_array_equal(numbers[12:72].reshape(5, 12), model.schmid_)
    assert_array_equal(numbers[-4 * nodes :], model.hardening_[2:])


def test_a_file_is_replaced_as_a_whole(model, law_file, tmp_path):
    path = tmp_path / "law"
    path.write_text("old")
    model.save_grain_law(str(path))
    assert path.read_bytes() == law_file.read_bytes()
    (tmp_path / "place").mkdir()
    with pytest.raises(OSError):
        model.save_grain_law(tmp_path / "place")
    assert sorted(one.name for one in tmp_path.iterdir()) == ["law", "place"]


def test_what_has_no_such_law_says_so(model, tmp_path):
    strain = np.r_[np.linspace(0, 2e-3, 21), np.linspace(4e-3, 0.02, 9)]
    old = crystal.simulate([[0.1 * k, 0.5, 0.2] for k in range(6)], strain)
    axial = PlasticityPropagator(orientation="bunge", memory=False, law=False, random_state=0).fit_trajectories(
        strain, old
    )
    with pytest.raises(ValueError, match="loading"):
        axial.save_grain_law(tmp_path / "law")
    unknown = PlasticityPropagator(orientation="bunge", loading="any")
    vars(unknown).update(vars(model) | {"stiffness_": np.array([4.7e4, 1.5e5, np.nan])})
    with pytest.raises(ValueError, match="bulk modulus"):
        unknown.save_grain_law(tmp_path / "law")
    assert not list(tmp_path.iterdir())


@needs_c
def test_a_damaged_file_is_an_error_and_never_a_crash(library, law_file):
    content = law_file.read_bytes()
    good = Bytes(library, content)
    assert good.load() == 0
    assert not good.step()[1].any() and good.step()[0].any()
    for at in range(len(content)):
        for change in (1 << at % 8, 255):
            good.view[at] ^= change
            code = good.load()
            assert code == (CODES["foreign"] if at < 8 else CODES["version"] if at < 12 else code) and 0 < code <= 5
            good.view[at] ^= change
    for size in range(len(content)):
        assert good.load(size) == CODES["foreign" if size < 8 else "size"]
    assert Bytes(library, content + b"\0").load() == CODES["size"]
    assert Bytes(library, content, offset=4).load() == CODES["alignment"]
    assert good.load() == 0


@needs_c
def test_a_forged_file_with_a_right_checksum_does_not_crash(library, law_file):
    content, rng, codes = law_file.read_bytes(), np.random.default_rng(0), []
    values = [np.nan, np.inf, -np.inf, 0.0, -1.0, 1e308, 1e-308, 1e30, -1e30, 1e-30]
    for case in range(200):
        forged = bytearray(content)
        if case % 5 == 0:
            struct.pack_into(
                "<I", forged, int(rng.choice([24, 28])), int(rng.choice([0, 1, 2, 13, 48, 49, 2**31, 2**32 - 1]))
            )
        head = case % 2
        for at in rng.integers(4, 16 if head else len(content) // 8, rng.integers(1, 4)):
            struct.pack_into("<d", forged, 8 * int(at), values[rng.integers(len(values))])
        struct.pack_into("<I", forged, 12, zlib.crc32(bytes(forged[16:])))
        one = Bytes(library, bytes(forged))
        codes.append(one.load())
        if codes[-1] == 0:
            stress, flags = one.step()
            assert (np.isfinite(stress).all(axis=1) | (flags != 0)).all()
    assert set(codes) <= {0, CODES["size"], CODES["content"]} and len(set(codes)) == 3


@needs_c
def test_files_that_cannot_be_read(library, tmp_path, law_file):
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "text").write_text("a,b\n1,2\n" * 9)
    problem = ctypes.c_int()
    for name, code in (("none", "unreadable"), (".", "unreadable"), ("empty", "foreign"), ("text", "foreign")):
        assert library.skmerge_grain_open(str(tmp_path / name).encode(), ctypes.byref(problem)) is None
        assert problem.value == CODES[code]
    assert library.skmerge_grain_open(str(law_file).encode(), None)
    words = {ctypes.string_at(library.skmerge_grain_problem(code)) for code in range(-1, 10)}
    assert len(words) == 10


@needs_c
def test_time_factor(library):
    def factor(*flags):
        array = np.array(flags, np.int32)
        return library.skmerge_grain_time_factor(ctypes.c_ssize_t(len(array)), ctypes.c_void_p(array.ctypes.data))

    assert factor(0, 1 << 16) == 1.5 and factor(0, 3 << 16) == 1 and factor(31 << 16) == 0.5
    assert factor(0, 1) == factor(2, 0) == factor(32767 << 16) == 0.25


@needs_c
def test_starts_and_gradients(library):
    rng = np.random.default_rng(0)
    angles, state = rng.uniform(-6, 6, (50, 3)), np.full((50, 12), np.nan)
    at = [ctypes.c_void_p(array.ctypes.data) for array in (angles, state)]
    library.skmerge_grain_start(ctypes.c_ssize_t(50), at[0], ctypes.c_double(4e12), at[1])
    turn = Rotation.from_euler("ZXZ", angles)
    assert (turn.inv() * Rotation.from_quat(state[:, 5:9])).magnitude().max() < 1e-12
    assert_array_equal(state[:, 11], 2e6)
    assert_array_equal(state[:, [0, 1, 2, 3, 4, 9, 10]], 0)
    for size in (1e-6, 1e-3, 0.1):
        L, F, found = size * rng.normal(size=(3, 3)), np.eye(3) + 0.2 * rng.normal(size=(3, 3)), np.zeros((3, 3))
        new = np.ascontiguousarray(expm(2.0 * L) @ F)
        at = [ctypes.c_void_p(array.ctypes.data) for array in (F, new, found)]
        assert library.skmerge_grain_gradient(at[0], at[1], ctypes.c_double(2.0), at[2]) == 0
        assert_allclose(found, L, rtol=1e-9, atol=1e-14)
        assert library.skmerge_grain_gradient(at[0], at[1], ctypes.c_double(0.0), at[2]) == 1


def propagated(model, point, density, time, L):
    """Mean stresses that the package gives for the grains of a point, in Abaqus' order, (n_steps + 1, 6)."""
    start = np.zeros((len(point.state) // 12, 7))
    start[:, 6] = density
    turns = Rotation.from_quat(point.state.reshape(-1, 12)[:, 5:9])
    path, _ = model.propagate((start, turns), time, velocity_gradient=L)
    return path[:, :, :6].mean(axis=1)[:, ORDER]


def stretched_then_turned(time, Fs):
    """Times and velocity gradients of what the UMAT does: each increment is a stretch, then a rotation in no time."""
    times, L, none = [0.0], [], 1e-9
    for old, new, dt in zip(Fs, Fs[1:], np.diff(time), strict=False):
        R, U = polar(new @ np.linalg.inv(old))
        times += [times[-1] + dt, times[-1] + dt + none]
        stretch, along = np.linalg.eigh(U)
        x, y, z = Rotation.from_matrix(R).as_rotvec()
        L.append(along * np.log(stretch) @ along.T / dt)
        L.append(np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]]) / none)
    return np.array(times), np.array(L)


PATHS = {
    "tension": [np.diag([1.0, -0.5, -0.5])] * 40,
    "shear": [1e3 * SHEAR] * 40,
    "reversal": [1e3 * SHEAR] * 20 + [-1e3 * SHEAR] * 20,
    "turned": [np.diag([1.0, 0, -1]) + np.array([[0, -30, 0], [30, 0, 0], [0, 0, 0]])] * 40,
    "volume": [np.diag([0.02, 0.01, 0.01])] * 10,
}


@needs_c
@pytest.mark.parametrize("path", PATHS)
def test_umat_against_the_propagator(library, model, path):
    point, stress, time, Fs = Point(library, 10), [np.zeros(6)], [0.0], [np.eye(3)]
    start = point.call(np.eye(3), 1.0)[2]  # orientations are drawn
    for one in 1e-3 * np.array(PATHS[path]):
        stress.append(point.step(expm(one) @ point.F, 1.0)[0])
        Fs.append(point.F)
        time.append(time[-1] + 1)
    point.state = start
    expected = propagated(model, point, 1e12, *stretched_then_turned(time, Fs))[::2]
    assert np.abs(expected[-1]).max() > 5
    assert_allclose(stress, expected, atol=1e-6 * np.abs(expected).max())
    if path != "turned":  # strain and rotation at once, 3e-2 rad of that in an increment, are something else
        expected = propagated(model, point, 1e12, np.array(time), 1e-3 * np.array(PATHS[path]))
        assert_allclose(stress, expected, atol=1e-4 * np.abs(expected).max())


@needs_c
def test_tension_with_free_sides(library, model):
    """Newton's method by the tangent meets equilibrium in a few rounds; the propagator agrees along those strains."""
    point = Point(library, 10)
    point.state = point.call(np.eye(3), 1e-9)[2]
    start, Fs, stress, rounds, times = point.state.copy(), [np.eye(3)], [np.zeros(6)], [], [0.0]
    for increment in [2e-4] * 10 + [2e-3] * 6 + [-2e-4] * 8:
        times.append(times[-1] + 1e3 * abs(increment))
        rounds.append(point.stretch(increment, times[-1] - times[-2]))
        Fs.append(point.F)
        stress.append(point.stress)
    assert max(rounds) <= 8
    assert stress[16][0] > 40 and stress[-1][0] < -20
    point.state = start
    expected = propagated(model, point, 1e12, *stretched_then_turned(times, Fs))[::2]
    assert_allclose(stress, expected, atol=1e-6 * np.abs(expected).max())


@needs_c
@pytest.mark.parametrize("angle", [0.01, 0.3, 2.0, np.pi])
def test_a_rotation_turns_the_stress_and_no_more(library, angle):
    point = Point(library, 10)
    for _ in range(20):
        point.step(expm(SHEAR) @ point.F, 1.0)
    before, R = tensor(point.stress), Rotation.from_rotvec(angle * np.array([2, 3, 6]) / 7).as_matrix()
    # In no time nothing flows, so that only the rotation shows.
    stress, _, state, factor = point.call(R @ point.F, 1e-12)
    assert factor == point.pnewdt
    assert_allclose(tensor(stress), R @ before @ R.T, atol=1e-6 * np.abs(before).max())
    assert_allclose(state.reshape(-1, 12)[:, 11], point.state.reshape(-1, 12)[:, 11], rtol=1e-9)


@needs_c
def test_a_turned_observer_sees_the_turned_stress(library):
    """The whole path, each increment of which turns, too; orientations are given in STATEV."""
    spin = np.array([[0, -0.02, 0.01], [0.02, 0, -0.03], [-0.01, 0.03, 0]])
    still, turned = Point(library, 4), Point(library, 4)
    still.state.reshape(-1, 12)[:, 5:9] = turned.state.reshape(-1, 12)[:, 5:9] = np.random.default_rng(0).normal(
        size=(4, 4)
    )
    for t in range(1, 41):
        F, R = expm(t * SHEAR), expm(t * spin)
        still.step(F, 1.0)
        turned.step(R @ F, 1.0)
    expected = R @ tensor(still.stress) @ R.T
    assert_allclose(tensor(turned.stress), expected, atol=1e-10 * np.abs(expected).max())


@needs_c
@pytest.mark.parametrize("turned", [0, 1, 2], ids=["fixed", "corotational", "Truesdell"])
@pytest.mark.parametrize("spin", [0.0, 0.5])
@pytest.mark.parametrize("size", [1e-4, 1e-2])
def test_tangent_by_differences(library, size, spin, turned):
    """(1/J) d(J sigma) by a strain of the end without spin, as Abaqus defines DDSDDE; CalculiX wants d sigma.

    Until 2.21 it wants the derivative of the second Piola-Kirchhoff stress, pushed forward.
    """
    point = Point(library, 10, turned=turned)
    for _ in range(10):
        point.step(expm(SHEAR) @ point.F, 1.0)
    rate = np.array([[1, 0.3, 0.2], [0.3, -0.4, 0.5], [0.2, 0.5, -0.6]]) * size
    F = expm(rate + spin * np.array([[0, -1, 0], [1, 0, 0], [0, 0, 0]])) @ point.F
    dt, h = 1e3 * size, 1e-8
    middle, tangent, _, _ = point.call(F, dt)

    def axes(F):
        return polar(F)[0] if turned else np.eye(3)

    R, found = axes(F), np.zeros((6, 6))
    for c, unit in enumerate(np.eye(6)):
        # Strain along the axes in which stresses are told.
        e, sides = R @ tensor(unit * [1, 1, 1, 0.5, 0.5, 0.5]) @ R.T, []
        for change in (h, -h):
            A = expm(change * e)
            Q = R.T @ axes(A @ F)  # these have turned a little, too
            s = Q @ tensor(point.call(A @ F, dt)[0]) @ Q.T * (1 if turned == 1 else np.linalg.det(A))
            if turned == 2:
                back = R.T @ np.linalg.inv(A) @ R
                s = back @ s @ back.T
            sides.append((s[[0, 1, 2, 0, 0, 1], [0, 1, 2, 1, 2, 2]] - middle) / change)
        # Where a grain takes one piece more or less between the two, stress jumps by 0.01 MPa: the side without it.
        found[:, c] = min(sides, key=lambda side: np.linalg.norm(side - tangent[:, c]))
    assert np.linalg.norm(tangent - found) < 2e-3 * np.linalg.norm(found)


@needs_c
def test_corotational_stress(library):
    fixed, turned = Point(library, 5), Point(library, 5, turned=True)
    for _ in range(10):
        F = expm(SHEAR * 20 + 0.05 * np.array([[0, -1, 0], [1, 0, 0], [0, 0, 0]])) @ fixed.F
        (stress, _), (other, _) = fixed.step(F, 20.0), turned.step(F, 20.0)
    u, _, v = np.linalg.svd(F)
    assert_allclose(tensor(other), (u @ v).T @ tensor(stress) @ (u @ v), atol=1e-9)
    assert_array_equal(fixed.state, turned.state)


@needs_c
def test_what_a_point_starts_with(library):
    one, more, other = Point(library, 3), Point(library, 40), Point(library, 3, point=2)
    states = [point.call(np.eye(3), 1.0)[2].reshape(-1, 12) for point in (one, more, other)]
    assert_array_equal(states[0], states[1][:3])
    assert (np.abs(states[0][:, 5:9] - states[2][:, 5:9]).max(axis=1) > 1e-3).all()
    assert_allclose(np.linalg.norm(states[1][:, 5:9], axis=1), 1)
    assert_array_equal(states[1][:, 11], 1e6)
    many = Point(library, 3000).call(np.eye(3), 1.0)[2].reshape(-1, 12)[:, 5:9]
    assert_allclose((many[:, :, None] * many[:, None]).mean(axis=0), np.eye(4) / 4, atol=0.02)
    one.state.reshape(-1, 12)[0, 5:9], one.state[11] = [0, 0, 0, 2], 3e6
    state = one.call(np.eye(3), 1.0)[2].reshape(-1, 12)
    assert_array_equal(state[0, 5:9], [0, 0, 0, 1])
    assert state[0, 11] == 3e6 and state[1, 11] == 1e6


@needs_c
@pytest.mark.parametrize("turned", [0, 1])
@pytest.mark.parametrize("F", [np.diag([-1.0, 1, 1]), np.eye(3) * np.nan, np.diag([20.0, 1, 1]), np.eye(3) * 1e200])
def test_an_increment_that_fails_asks_for_a_shorter_one(library, F, turned):
    point = Point(library, 5, turned=turned)
    stress, tangent, _, factor = point.call(F, 1.0)
    assert factor == 0.25
    assert_array_equal(stress, 0)
    assert np.linalg.eigvalsh(tangent).min() > 0


WRONG = """
import ctypes, sys
import numpy as np
sys.path.insert(0, sys.argv[1])
from finite_element import Point
point = Point(ctypes.CDLL(sys.argv[2]), 5, turned=int(sys.argv[3]))
point.pnewdt, point.nlgeom, point.strain = -1.0, int(sys.argv[4]), float(sys.argv[5])
stress, tangent, state, factor = point.call(np.eye(3) * 1.1, 1.0)
print(abs(stress).max(), np.linalg.eigvalsh((tangent + tangent.T) / 2).min() > 0)
"""


@needs_c
@pytest.mark.parametrize(
    ("mode", "nlgeom", "strain", "said"),
    [
        (0, 1, 0.0, "skmerge UMAT: CalculiX needs PROPS(4), 1 or 2"),
        (1, 0, 0.1, "skmerge UMAT: ask for a geometrically nonlinear step (NLGEOM)"),
        (1, 0, 0.0, None),  # a first stiffness, for which nodes that are told to have moved
    ],
)
def test_wrong_cards_of_calculix_end_the_job(objects, library, law_file, mode, nlgeom, strain, said):
    run = [sys.executable, "-c", WRONG, Path(__file__).parent, objects / "umat.so", *map(str, (mode, nlgeom, strain))]
    env = os.environ | {"SKMERGE_GRAIN_MODEL": str(law_file)}
    found = subprocess.run(run, env=env, capture_output=True, text=True)
    if said is None:
        assert found.returncode == 0 and found.stdout == "0.0 True\n", found.stderr
    else:
        assert found.returncode == 1 and said in found.stderr


@needs_c
def test_plane_strain_and_no_time(library):
    solid, plane = Point(library, 5), Point(library, 5, size=4)
    F = np.eye(3) + SHEAR
    stress, tangent = solid.step(F, 0.0)
    other, part = plane.step(F, 0.0)
    assert_array_equal(stress[:4], other)
    assert_array_equal(tangent[:4, :4], part)
    assert_allclose(tangent, tangent.T, atol=1e-3 * tangent.max())  # elastic


@needs_c
def test_threads(library):
    def run(seed):
        point = Point(library, 8, seed=seed)
        for _ in range(10):
            point.step(expm(SHEAR) @ point.F, 1.0)
        return point.state

    with ThreadPoolExecutor(4) as pool:
        for alone, shared in zip(map(run, range(8)), pool.map(run, range(8)), strict=True):
            assert_array_equal(alone, shared)


CALLER = """
program caller
  implicit none
  double precision :: stress(6) = 0, statev(120) = 0, ddsdde(6, 6), x(100) = 0, props(3) = [10d0, 1d12, 1d0]
  double precision :: pnewdt = 1, F0(3, 3) = 0, F1(3, 3) = 0
  character(80) :: cmname = "GRAINS"
  integer :: i, step
  do i = 1, 3
    F0(i, i) = 1
  end do
  F1 = F0
  do step = 1, 40
    F1(1, 2) = F0(1, 2) + 1d-3
    call umat(stress, statev, ddsdde, x, x, x, x, x, x, x, x, x, x, [1d0], x, x, x, x, cmname, 3, 3, 6, 120, props, 3, &
      x, x, pnewdt, x, F0, F1, 1, 1, 1, 1, 1, step)
    F0 = F1
  end do
  print "(7es25.17)", stress, pnewdt
end program
"""


@needs_c
@needs_fortran
def test_umat_called_from_fortran(objects, library, law_file, tmp_path):
    (tmp_path / "caller.f90").write_text(CALLER)
    subprocess.run(["gfortran", "caller.f90", objects / "grain_umat.o", "-o", "caller"], cwd=tmp_path, check=True)
    run = [tmp_path / "caller"]
    env = os.environ | {"SKMERGE_GRAIN_MODEL": str(law_file)}
    numbers = subprocess.run(run, env=env, check=True, capture_output=True, text=True).stdout.split()
    point = Point(library, 10)
    for _ in range(40):
        point.step((np.eye(3) + SHEAR) @ point.F, 1.0)
    assert_allclose(np.array(numbers, float), [*point.stress, 1], rtol=1e-10, atol=1e-8)
    for name in ("", str(tmp_path / "caller.f90")):
        failed = subprocess.run(run, env=env | {"SKMERGE_GRAIN_MODEL": name}, capture_output=True, text=True)
        assert failed.returncode == 1 and re.match("skmerge UMAT: .*SKMERGE_GRAIN_MODEL", failed.stderr)


@needs_c
@pytest.mark.parametrize("language", ["c", pytest.param("f90", marks=needs_fortran)])
def test_examples(objects, library, model, law_file, tmp_path, language):
    if language == "c":
        command = ["cc", f"-I{SOURCES}", EXAMPLES / "grains.c"]
    else:
        command = ["gfortran", SOURCES / "grain_fortran.f90", EXAMPLES / "grains.f90"]
    subprocess.run([*command, objects / "grain_umat.o", "-lm", "-o", "grains"], cwd=tmp_path, check=True)
    run = subprocess.run([tmp_path / "grains", law_file], check=True, capture_output=True, text=True)
    numbers = np.array(run.stdout.split(), float).reshape(25, 3)
    start = Point(library, 100)
    size = ctypes.c_ssize_t(100)
    out = ctypes.c_void_p(start.state.ctypes.data)
    library.skmerge_grain_random(ctypes.c_ulonglong(1), size, ctypes.c_double(1e12), out)
    expected = propagated(model, start, 1e12, 2.0 * np.arange(26), np.array([SHEAR] * 25))[1:, 3]
    assert_allclose(numbers[:, 1], expected, rtol=1e-6)
    assert_allclose(numbers[:, 0], 2e-3 * np.arange(1, 26))
    assert np.isin(numbers[:, 2], [1, 1.5]).all()
    assert subprocess.run([tmp_path / "grains", tmp_path], capture_output=True).returncode == 1
