"""The crystal plasticity against its twin, closed forms and the facts of textbooks; bad input, threads, Ctrl-C."""

import warnings
from dataclasses import replace

import interrupting
import numpy as np
import pytest
import reference_crystal as reference
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.integrate import solve_ivp
from scipy.spatial.transform import Rotation
from sklearn.exceptions import ConvergenceWarning

from skmerge._ext.crystal_slip import SlipLaw
from skmerge.crystal import DIRECTIONS, NORMALS, Crystal, mean_stress, schmid_factors, simulate

COPPER = Crystal()
STRAIN = np.concatenate([np.linspace(0, 0.002, 21), np.linspace(0.004, 0.2, 99)])  # as solvers record it
FORTH_AND_BACK = np.concatenate([np.linspace(0, 0.02, 11), np.linspace(0.019, -0.01, 30), [0.0, 0.01]])
CUBE, OCTAHEDRON = [0.0, 0.0, 0.0], [0.0, np.arccos(1 / np.sqrt(3)), np.pi / 4]


def random_angles(n, seed=0):
    return np.mod(Rotation.random(n, random_state=seed).as_euler("ZXZ"), 2 * np.pi)


def rotations(state):
    return Rotation.from_euler("ZXZ", state[..., 2:].reshape(-1, 3))


def along(direction):
    """Bunge angles of a crystal whose direction [uvw] points along z."""
    direction = np.asarray(direction, float) / np.linalg.norm(direction)
    return [0.0, np.arccos(direction[2]), np.arctan2(direction[0], direction[1])]


def off(state, direction):
    """Degrees between the z axis and the nearest of the directions <uvw>."""
    family = Rotation.create_group("O").apply(np.asarray(direction, float) / np.linalg.norm(direction))
    family = np.vstack([family, -family])
    axis = rotations(state).inv().apply([0, 0, 1])
    return np.degrees(np.arccos(np.clip((axis @ family.T).max(axis=1), -1, 1)))


# --- geometry and the law


def test_systems():
    assert_allclose((NORMALS * DIRECTIONS).sum(axis=1), 0, atol=1e-15)
    assert_allclose(np.linalg.norm(NORMALS, axis=1), 1)
    assert_allclose(np.linalg.norm(DIRECTIONS, axis=1), 1)
    pairs = {
        (*np.round(abs(n * 2), 3), *np.round(np.outer(n, d), 3).ravel())
        for n, d in zip(NORMALS, DIRECTIONS, strict=True)
    }
    assert len(pairs) == 12


@pytest.mark.parametrize(
    ("direction", "greatest", "count"), [([0, 0, 1], 0.4082, 8), ([0, 1, 1], 0.4082, 4), ([1, 1, 1], 0.2722, 6)]
)
def test_schmid_factors(direction, greatest, count):
    found = abs(schmid_factors([along(direction)]))[0]
    assert_allclose(found.max(), greatest, atol=1e-4)
    assert (found > found.max() - 1e-6).sum() == count


def test_no_schmid_factor_is_above_a_half():
    found = abs(schmid_factors(Rotation.random(2000, random_state=0), axis=[1, 2, 3])).max(axis=1)
    assert found.max() <= 0.5 + 1e-15 and found.max() > 0.499 and found.min() > 0.27
    assert_allclose(abs(schmid_factors([along([-1, 4, 9])])).max(), 0.4999, atol=1e-4)


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1), st.sampled_from(["uniaxial", "taylor"]), st.sampled_from([1.0, 3.5, 20.0, 60.0]))
def test_implicit_stage_and_its_derivative(seed, loading, n):
    rng = np.random.default_rng(seed)
    crystal = replace(COPPER, rate_exponent=n, C44=rng.uniform(20, 100))
    Q, axis = Rotation.random(random_state=seed), Rotation.random(random_state=seed + 1 if seed < 9 else seed - 1)
    axis = axis.as_matrix()[0]
    k = 5 if loading == "taylor" else 1
    forest, r, h = rng.uniform(1, 50, 12), rng.normal(size=k) / 10, 10 ** rng.uniform(-6, -2)
    u, sign = rng.normal(size=k) / 5, rng.choice([-1.0, 1.0])
    law = SlipLaw(**crystal._arrays(0.1), axis=axis, taylor=loading == "taylor")
    rest, J = law.stage(Q.as_quat(), forest, r, h, sign, u)

    def twin(u):
        return reference.left_over(crystal, loading, axis, Q.as_matrix(), forest, r, h, sign, u, 0.1)

    assert_allclose(rest, twin(u), rtol=1e-11, atol=1e-11 * max(1.0, abs(twin(u)).max()))
    exact = np.transpose([np.imag(twin(u + 1e-200j * e)) / 1e-200 for e in np.eye(k)])
    assert_allclose(np.tril(J), np.tril(exact), rtol=1e-10, atol=1e-12 * abs(exact).max())


@pytest.mark.parametrize("loading", ["uniaxial", "taylor"])
@pytest.mark.parametrize(
    ("changes", "axis"),
    [({}, "z"), ({"self_hardening": 1.0, "latent_hardening": 1.4, "rate_exponent": 8.0}, [1, -2, 2])],
)
def test_twin_with_whole_tensors_forth_and_back(loading, changes, axis):
    crystal, angles = replace(COPPER, **changes), [0.4, 0.7, 1.1]
    path = np.array([0.0, 0.0003, 0.001, 0.006, 0.0055, 0.004])
    sigma, rho, Q = reference.simulate(angles, path, crystal, loading, axis)
    state = simulate([angles], path, crystal=crystal, loading=loading, axis=axis, tol=1e-8)[0]
    assert_allclose(state[:, 0], sigma, rtol=1e-5, atol=1e-4)
    assert_allclose(state[:, 1], rho, rtol=1e-5)
    turned = (rotations(state).inv() * Rotation.from_matrix(Q)).magnitude()
    assert turned.max() < 1e-7 and (rotations(state[:1]).inv() * rotations(state[-1:])).magnitude() > 1e-4


@pytest.mark.parametrize(
    ("angles", "M", "N", "E"), [(CUBE, np.sqrt(6), 8, 66.83), (OCTAHEDRON, 1.5 * np.sqrt(6), 6, 192.10)]
)
def test_closed_forms(angles, M, N, E):
    state = simulate([angles], STRAIN)[0]
    elastic = simulate([angles], [0, 1e-5])[0]
    assert_allclose(elastic[1, 0] / 1e-5, E * 1e3, rtol=1e-4)
    assert_allclose(COPPER.young_modulus([0, 0, 1] if angles == CUBE else [1, 1, 1]), E, rtol=1e-4)
    # sigma = M g(Gamma) (M deps / (N gdot0))^(1/n) of the plastic part of the strain, which is all but sigma / E
    Gamma = M * (STRAIN - state[:, 0] / (E * 1e3))
    ratio = COPPER.k1 / COPPER.k2
    root = ratio + (1e6 - ratio) * np.exp(-COPPER.k2 / 2 * Gamma)
    plastic = STRAIN > 0.0015
    assert_allclose(state[plastic, 1], root[plastic] ** 2, rtol=1e-4)
    rate = np.gradient(Gamma[plastic], STRAIN[plastic]) / N
    assert_allclose(state[plastic, 0], M * COPPER.resistance(root[plastic] ** 2) * rate**0.05, rtol=5e-4)

    def slope(_, y):  # of sigma and sqrt(rho), on all N systems alike
        slipped = N * (y[0] / (M * COPPER.resistance(y[1] ** 2))) ** 20
        return [E_exact * (1 - slipped / M), (COPPER.k1 - COPPER.k2 * y[1]) / 2 * slipped]

    E_exact = COPPER.young_modulus([0, 0, 1] if angles == CUBE else [1, 1, 1]) * 1e3
    exact = solve_ivp(slope, (0, 0.2), [0, 1e6], "LSODA", STRAIN, rtol=1e-10, atol=[1e-8, 1e-2]).y
    assert_allclose(state[1:, 0], exact[0, 1:], rtol=1e-4)
    assert_allclose(state[:, 1], exact[1] ** 2, rtol=1e-4)
    assert_allclose(state[:, 2:], np.tile(angles, (len(STRAIN), 1)), atol=1e-9)  # stable by symmetry


def test_density_saturates_and_stays_without_storage():
    state = simulate([CUBE], [0.0, 0.01, 3.0])
    assert_allclose(state[0, -1, 1], (COPPER.k1 / COPPER.k2) ** 2, rtol=1e-2)
    state = simulate([CUBE], [0.0, 0.1], crystal=replace(COPPER, k1=0, k2=0))
    assert_allclose(state[0, :, 1], 1e12, rtol=1e-12)


def test_latent_hardening():
    plain, more, both = (
        simulate([OCTAHEDRON], [0, 0.1], crystal=replace(COPPER, **changes))
        for changes in ({}, {"latent_hardening": 1.4}, {"latent_hardening": 1.4, "self_hardening": 1.4})
    )
    assert plain[0, 1, 0] < more[0, 1, 0] < both[0, 1, 0]


# --- facts


def test_taylor_factor():
    ideal = replace(COPPER, rate_exponent=150.0, k1=0.0, k2=0.0)
    state = simulate(Rotation.random(1500, random_state=1), [0, 0.02], crystal=ideal, loading="taylor")
    assert abs(mean_stress(state)[1] / ideal.resistance(1e12) - 3.06) < 0.03


@pytest.mark.parametrize("loading", ["uniaxial", "taylor"])
def test_ten_times_the_rate(loading):
    ideal = replace(COPPER, k1=0.0, k2=0.0)
    angles = random_angles(5)
    slow, fast = (
        simulate(angles, [0, 0.02, 0.021], crystal=ideal, loading=loading, strain_rate=rate) for rate in (1e-3, 1e-2)
    )
    assert_allclose(fast[:, 1:, 0] / slow[:, 1:, 0], 10 ** (1 / 20), rtol=1e-3)


@pytest.mark.parametrize("loading", ["uniaxial", "taylor"])
def test_symmetry_and_the_choice_of_axes_change_nothing(loading):
    start = Rotation.from_euler("ZXZ", [0.4, 0.7, 1.1])
    state = simulate(start, FORTH_AND_BACK, loading=loading)[0]
    group = Rotation.create_group("O")
    same = simulate(start * group, FORTH_AND_BACK, loading=loading)
    assert_allclose(same[..., :2], np.tile(state[:, :2], (24, 1, 1)), rtol=1e-10, atol=1e-10)
    turned = rotations(same[:, -1]).inv() * (rotations(state[-1:]) * group)
    assert turned.magnitude().max() < 1e-10
    # about the axis, and axis and crystal together
    around = Rotation.from_rotvec(np.linspace(0, 6, 7)[:, None] * [0, 0, 1])
    same = simulate(around * start, FORTH_AND_BACK, loading=loading)
    assert_allclose(same[..., :2], np.tile(state[:, :2], (7, 1, 1)), rtol=1e-10, atol=1e-10)
    assert (rotations(same[:, -1]).inv() * (around * rotations(state[-1:]))).magnitude().max() < 1e-10
    for axis, turn in (("x", [0, np.pi / 2, 0]), ("y", [-np.pi / 2, 0, 0])):
        turn = Rotation.from_rotvec(turn)
        assert_allclose(turn.apply([0, 0, 1]), {"x": [1, 0, 0], "y": [0, 1, 0]}[axis], atol=1e-15)
        same = simulate(turn * start, FORTH_AND_BACK, loading=loading, axis=axis)[0]
        assert_allclose(same[..., :2], state[:, :2], rtol=1e-10, atol=1e-10)
        vector = simulate(turn * start, FORTH_AND_BACK, loading=loading, axis=turn.apply([0, 0, 3]))[0]
        assert_allclose(vector[..., :2], state[:, :2], rtol=1e-10, atol=1e-10)


def test_axes_drift_to_111_and_100():
    state = simulate(Rotation.random(300, random_state=2), [0, 0.1, 0.2], loading="taylor")
    nearest = [np.minimum(off(state[:, t], [1, 1, 1]), off(state[:, t], [0, 0, 1])) for t in (0, 2)]
    assert nearest[1].mean() < nearest[0].mean() - 3
    shares = [np.mean(off(state[:, t], [1, 1, 1]) < 15) for t in (0, 2)]
    assert abs(shares[0] - 0.128) < 0.05 and abs(shares[1] - 0.300) < 0.07
    state = simulate([along([1, 2, 5]), along([0, 1, 2])], STRAIN)
    for t, towards_112, towards_100 in ((0, 14.31, 26.57), (-1, 10.94, 21.49)):
        assert_allclose(off(state[:1, t], [1, 1, 2]), towards_112, atol=0.03)
        assert_allclose(off(state[1:, t], [0, 0, 1]), towards_100, atol=0.03)


@pytest.mark.parametrize("loading", ["uniaxial", "taylor"])
def test_reversed_paths(loading):
    angles = random_angles(6, seed=3)
    path = np.concatenate([np.linspace(0, 0.05, 26), [0.0499, 0.0498, 0.049, 0.02, 0.0]])
    state = simulate(angles, path, loading=loading)
    unloading = (state[:, 26, 0] - state[:, 25, 0]) / -1e-4
    start = simulate(angles, [0, 1e-6], loading=loading)[:, 1, 0] / 1e-6
    assert (state[:, 25, 0] > 0).all() and (state[:, -1, 0] < 0).all()
    assert (np.diff(state[..., 1], axis=1) >= -1e-9 * state[:, 1:, 1]).all()  # slip of either sign stores
    assert (unloading < 1.35 * start).all() and (unloading > 0.65 * start).all()
    # compression is tension with every sign changed, at the first step
    there, back = (simulate(angles, sign * np.array([0, 2e-3]), loading=loading) for sign in (1, -1))
    assert_allclose(there[:, 1, 0], -back[:, 1, 0], rtol=2e-3)


def test_a_path_for_each_crystal_and_finer_records():
    angles = random_angles(3)
    paths = np.array([STRAIN, -STRAIN, STRAIN / 2])
    state = simulate(angles, paths, rho0=[1e12, 2e12, 1e13])
    for r, rho0 in enumerate((1e12, 2e12, 1e13)):
        assert_array_equal(state[r], simulate(angles[r : r + 1], paths[r], rho0=rho0)[0])
    finer = simulate(angles, np.linspace(0, 0.1, 401))
    coarse = simulate(angles, np.linspace(0, 0.1, 3))
    assert_allclose(finer[:, ::200, :2], coarse[..., :2], rtol=1e-4)
    still = simulate(angles, [0, 0.01, 0.01, 0.02])
    assert_array_equal(still[:, 1], still[:, 2])


# --- angles


def test_angles_run_on_from_the_given_ones():
    angles = random_angles(100, seed=5) + np.array([2 * np.pi, 0, -2 * np.pi])
    state = simulate(angles, np.linspace(0, 0.2, 101), loading="taylor")
    usual = angles[:, 1] <= np.pi
    assert_array_equal(state[usual, 0, 2:], angles[usual])
    assert state[..., 3].min() >= 0 and state[..., 3].max() <= np.pi
    jumps = abs(np.diff(state[..., 2:], axis=1)).max(axis=(1, 2))
    far = np.sin(state[..., 3]).min(axis=1) > 0.2
    assert far.sum() > 50 and jumps[far].max() < 0.1
    given_as_rotation = simulate(Rotation.from_euler("ZXZ", angles), np.linspace(0, 0.2, 101), loading="taylor")
    assert (rotations(state).inv() * rotations(given_as_rotation)).magnitude().max() < 1e-8


def test_start_without_tilt():
    # Phi = 0: only phi1 + phi2 is an angle. It turns little, though its parts jump.
    state = simulate([[2.0, 0.0, -1.7], [0.3, 0.0, 0.0]], np.linspace(0, 0.1, 21), axis="x")
    assert np.isfinite(state).all()
    assert_allclose(state[0, 0, 2:], [2.0, 0.0, -1.7])
    assert abs(np.diff(state[..., 2] + state[..., 4], axis=1)).max() < 0.02
    assert_allclose(state[0, :, :2], state[1, :, :2], rtol=1e-9)
    upside = simulate([[0.3, np.pi, 0.1]], np.linspace(0, 0.1, 21), axis="x")
    assert np.isfinite(upside).all() and abs(np.diff(upside[..., 2] - upside[..., 4], axis=1)).max() < 0.02


def test_an_increment_of_rounding_errors_is_a_small_one():
    strain = np.array([0, 0.3, 0.1 + 0.2, 0.31, 0.31 - 1e-15, 0.32])
    state = simulate(random_angles(2), strain)
    assert np.isfinite(state).all()
    assert_allclose(state[:, 1, :2], state[:, 2, :2], rtol=1e-9)
    assert_allclose(state[:, -1], simulate(random_angles(2), strain[[0, 1, 3, 5]])[:, -1], rtol=1e-4)
    assert_allclose(simulate([[0.0, 0.0, 0.0]], [0, 1e-300])[0, 1, 0], 66834e-300, rtol=1e-3)


# --- what goes wrong


def test_a_crystal_that_does_not_converge_is_named_and_the_others_returned():
    angles = random_angles(3)
    paths = np.tile(np.linspace(0, 0.02, 11), (3, 1))
    paths[1, 6:] += 4.9
    with pytest.warns(
        ConvergenceWarning, match=r"1 of 3 crystals did not converge: crystal 1 at strain \d\.\d+\. "
    ) as caught:
        state = simulate(angles, paths, max_substeps=200)
    strain = float(str(caught[0].message).split("strain ")[1].split(". ")[0])
    assert 0.01 < strain < 4.9
    assert np.isfinite(state[1, :6]).all() and np.isnan(state[1, 6:]).all()
    others = simulate(angles[[0, 2]], paths[[0, 2]], max_substeps=200)
    assert_array_equal(state[[0, 2]], others)
    assert_allclose(mean_stress(state), others[:, :, 0].mean(axis=0))
    assert_allclose(mean_stress(state, volume=[1, 5, 3]), [0.25, 0.75] @ others[:, :, 0])
    with pytest.raises(ValueError, match="no complete crystal"):
        mean_stress(state[1:2])


@pytest.mark.parametrize("loading", ["uniaxial", "taylor"])
def test_extreme_laws_converge_or_say_so(loading):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for changes in ({"rate_exponent": 1.0}, {"rate_exponent": 500.0}, {"slip_rate": 1e-12}, {"tau0": 1e-3}):
            state = simulate(random_angles(4), [0, 0.05, -0.05], crystal=replace(COPPER, **changes), loading=loading)
            assert np.isfinite(state).all()
    with pytest.warns(ConvergenceWarning, match="strain"):
        hopeless = simulate(random_angles(2), [0, 3.0], loading=loading, max_substeps=2)
    assert np.isnan(hopeless[:, 1]).all() and np.isfinite(hopeless[:, 0]).all()
    # so steep that numbers overflow: said, not silently NaN
    with pytest.warns(ConvergenceWarning, match="2 of 2 crystals did not converge"):
        simulate(random_angles(2), [0, 0.05], crystal=replace(COPPER, rate_exponent=1e6), loading=loading)


@pytest.mark.parametrize(
    ("arguments", "kind", "text"),
    [
        (dict(orientation=[0.1, 0.2, 0.3]), ValueError, r"orientation must have shape \(n_crystals, 3\)"),
        (dict(orientation=[[0.1, np.nan, 0.3]]), ValueError, "orientation: .*NaN.*Give finite numbers"),
        (dict(orientation=[["a", "b", "c"]]), ValueError, "orientation: .*Give finite numbers"),
        (dict(strain=[[0, 0.1], [0, 0.1]]), ValueError, r"strain must have shape \(n_steps,\), or \(1, n_steps\)"),
        (dict(strain=[0, np.inf]), ValueError, "strain: .*infinity"),
        (dict(strain=[]), ValueError, "strain: .*minimum of"),
        (dict(crystal="copper"), TypeError, "crystal must be a skmerge.crystal.Crystal, got str"),
        (dict(loading="shear"), ValueError, "loading=.shear. is not possible"),
        (dict(axis="w"), ValueError, "axis must be 'x', 'y', 'z' or a vector"),
        (dict(axis=[0, 0, 0]), ValueError, "axis must be a vector of three numbers, not all zero"),
        (dict(strain_rate=-1e-3), ValueError, "strain_rate must be positive"),
        (dict(rho0=-1e12), ValueError, "rho0 must not be negative"),
        (dict(rho0=[1e12, 1e12]), ValueError, "rho0 must be one number or have shape"),
        (dict(tol=0.0), ValueError, "tol=.* is not possible: give a finite number from 1e-12 to 0.01"),
        (dict(max_substeps=0), ValueError, "max_substeps=.* is not possible: give an integer"),
        (dict(n_jobs=0), ValueError, "n_jobs=0 is not possible: give None"),
        (dict(verbose=-1), ValueError, "verbose=.* is not possible: give 0"),
    ],
)
def test_bad_input(arguments, kind, text):
    with pytest.raises(kind, match=text):
        simulate(**({"orientation": [CUBE], "strain": [0, 0.01]} | arguments))


@pytest.mark.parametrize(
    ("constants", "kind", "text"),
    [
        (dict(C44=0.0), ValueError, "C44 must be above zero"),
        (dict(C11=100.0), ValueError, "give C11 > C12"),
        (dict(tau0="8"), TypeError, "tau0 must be a number"),
        (dict(k1=np.nan), ValueError, "k1 must be finite"),
        (dict(k2=-1.0), ValueError, "k2 must not be negative"),
        (dict(rate_exponent=0.5), ValueError, "rate_exponent must be at least 1"),
    ],
)
def test_bad_constants(constants, kind, text):
    with pytest.raises(kind, match=text):
        Crystal(**constants)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (dict(orientation=[[30.0, 45.0, 10.0]]), "looks like degrees"),
        (dict(rho0=1.0), "looks like 1/um"),
        (dict(strain=[0, 10.0]), "looks like percent"),
    ],
)
def test_wrong_units_are_suspected(arguments, text):
    with pytest.warns(UserWarning, match=text):
        simulate(**({"orientation": [CUBE], "strain": [0, 0.01]} | arguments))
    with pytest.warns(UserWarning, match="are in GPa"):
        Crystal(C11=168900.0, C12=121800.0, C44=75800.0)


def test_compiled_code_refuses_arrays_that_do_not_fit():
    schmid, *others = (*COPPER._arrays(1e-3).values(), np.array([0.0, 0.0, 1.0]), True)
    with pytest.raises(ValueError, match="do not fit together"):
        SlipLaw(schmid, *others).stage(np.ones(3), np.ones(12), np.ones(5), 1e-3, 1.0, np.ones(5))
    with pytest.raises(ValueError, match="of the law"):
        SlipLaw(schmid[:, :11].copy(), *others)
    with pytest.raises(ValueError, match="do not fit together"):
        SlipLaw(schmid, *others).integrate(
            np.ones((2, 4)), np.ones((3, 12)), np.ones((1, 5)), 1e-3, 10, np.zeros(1, np.int32)
        )


# --- threads, progress, Ctrl-C


def test_threads_and_progress(capsys):
    angles = random_angles(300)
    path = np.linspace(0, 0.05, 101)
    alone = simulate(angles, path, loading="taylor")
    assert capsys.readouterr().out == ""
    for n_jobs in (1, 2, 3):
        assert_array_equal(simulate(angles, path, loading="taylor", n_jobs=n_jobs, verbose=1), alone)
        lines = capsys.readouterr().out.splitlines()
        assert 2 <= len(lines) <= 10 and lines[-1] == "[simulate] 300 of 300 crystals"
    simulate(angles, path, verbose=2)
    assert len(capsys.readouterr().out.splitlines()) > 5


def long_calls(n_jobs):
    """Calls to interrupt, and the text that runs before them."""
    setup = """
        import numpy as np
        from skmerge.crystal import simulate
        angles = np.random.default_rng(0).uniform(0, 3, (3, 3))
        path = np.tile([0.0, 0.01], 2_000_000)
    """
    return {"simulate": (0.7, f"simulate(angles, path, loading='taylor', n_jobs={n_jobs})")}, setup


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_interrupt_leaves_within_a_second(n_jobs, tmp_path):
    calls, setup = long_calls(n_jobs)
    left, _, rest = interrupting.interrupt(calls, tmp_path, setup)
    interrupting.check(left, rest, n_jobs)
