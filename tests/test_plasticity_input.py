"""PlasticityPropagator: bad input, units, files, progress, callbacks and Ctrl-C."""

import warnings

import interrupting
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.spatial.transform import Rotation
from sklearn.callback import ProgressBar
from sklearn.linear_model import LinearRegression
from sklearn.neighbors import KNeighborsRegressor
from test_progress import Recorder

from skmerge import PlasticityPropagator, crystal
from skmerge._plasticity.free import Free
from skmerge._plasticity.plain import Plain
from skmerge.trajectories import read_damask

STRAIN = np.r_[np.linspace(0, 2e-3, 21), np.linspace(0.005, 0.03, 9)]
COLUMNS = ["sigma", "rho", "phi1", "Phi", "phi2"]


def angles(n, seed):
    return Rotation.random(n, random_state=np.random.default_rng(seed)).as_euler("ZXZ")


def propagator(**parameters):
    """Of nearest neighbours, which is fast: what is tested here does not depend on what learns."""
    given = {"estimator": KNeighborsRegressor(3, weights="distance"), "orientation": "bunge", "memory": False}
    return PlasticityPropagator(**given | parameters)


@pytest.fixture(scope="module")
def old():
    return crystal.simulate(angles(20, 0), STRAIN)


@pytest.fixture(scope="module")
def model(old):
    return propagator().fit_trajectories(STRAIN, old)


def changed(old, index, value):
    state = old.copy()
    state[index] = value
    return state


# --- trajectories


@pytest.mark.parametrize("orientation", ["bunge", None])
@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda e, s: (np.r_[e[:9], e[8], e[10:]], s), "strain repeats 0.0008 from one record to the next of tr"),
        (lambda e, s: (e[:1], s[:, :1]), "one record, but rates need two"),
        (lambda e, s: (e, changed(s, (3, 7, 0), np.nan)), r"state: Input state contains NaN.*is state\[3, 7, 0\]"),
        (lambda e, s: (e, changed(s, (3, 7, 2), np.inf)), "state: Input state contains infinity"),
        (lambda e, s: (changed(e, 3, np.nan), s), "strain: Input strain contains NaN"),
        (lambda e, s: (e[None, :4], s), "state must have shape"),
        (lambda e, s: (e, s[0]), "state must have shape"),
        (lambda e, s: ([], s[:0]), "strain"),
    ],
)
def test_broken_trajectories(old, orientation, change, match):
    with pytest.raises(ValueError, match=match):
        PlasticityPropagator(LinearRegression(), orientation=orientation).fit_trajectories(*change(STRAIN, old))


def test_groups(old, model):
    n, lengths = len(old), [30 - i % 5 for i in range(20)]
    strain = np.concatenate([STRAIN[:k] for k in lengths])
    state = np.concatenate([old[i, :k] for i, k in enumerate(lengths)])
    groups = np.repeat([f"crystal {i}" for i in range(n)], lengths)
    uneven = propagator().fit_trajectories(strain, state, groups=groups)
    assert uneven.table_.shape == model.table_.shape and np.isfinite(uneven.table_).all()
    even = propagator().fit_trajectories(np.tile(STRAIN, n), old.reshape(-1, 5), groups=np.repeat(np.arange(n), 30))
    assert_array_equal(even.table_, model.table_)
    paths = np.tile(STRAIN, (n, 1))
    assert_array_equal(propagator().fit_trajectories(paths, old).table_, model.table_)
    one = np.append(groups, "crystal 99")
    with pytest.raises(ValueError, match="trajectory crystal 99 has one record"):
        propagator().fit_trajectories(np.r_[strain, 0], np.r_[state, state[:1]], groups=one)
    with pytest.raises(ValueError, match="must stand together"):
        propagator().fit_trajectories(strain, state, groups=np.roll(groups, -1))


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda e, s: (e, s * [1, 1e-12, 1, 1, 1]), r"1/um\^2; give 1/m\^2, 1e12 times"),
        (
            lambda e, s: (e, s * np.where(np.arange(20) < 5, 1e-12, 1)[:, None, None] ** (np.arange(5) == 1)),
            "mixes dens",
        ),
        (lambda e, s: (e, s * np.r_[1, 1, np.full(3, 180 / np.pi)]), "looks like degrees; give rad"),
        (lambda e, s: (e * 1000, s), "looks like percent"),
        (lambda e, s: (e, s * [1e6, 1, 1, 1, 1]), "looks like Pa; give MPa"),
    ],
)
def test_units_are_doubted_in_training_and_at_the_start(old, model, change, match):
    strain, state = change(STRAIN, old)
    with pytest.warns(UserWarning, match=match):
        propagator(memory=False).fit_trajectories(strain, state)
    with pytest.warns(UserWarning, match=match):
        model.propagate(state[:, 9] if "Pa" in match else state[:, 0], strain)


def test_a_start_outside_the_training_is_flagged(old, model):
    start = old[:4, 0] * np.array([[1, 1, 1, 1, 1], [1, 1e3, 1, 1, 1], [1, 1e-3, 1, 1, 1], [1, 1, 1, 1, 1]])
    with pytest.warns(UserWarning, match="2 of 4 grains left the states of the training"):
        out = model.propagate(start, STRAIN)
    assert_array_equal(model.flags_ & 1, [0, 1, 1, 0])
    assert np.isfinite(out).all() and (out[..., 1] > 0).all()
    assert_array_equal(model.applicability(start), [0, 1, 1, 0])


def test_a_step_far_longer_than_any_trained_one_warns_and_is_divided(old, model):
    with pytest.warns(UserWarning, match="20 of 20 grains were strained by longer steps"):
        far = model.propagate(old[:, 0], [0.0, 0.03])
    assert (model.flags_ & 4).all()
    near = model.propagate(old[:, 0], np.linspace(0, 0.03, 13))
    assert_allclose(far[-1, :, 0], near[-1, :, 0], rtol=0.02)


@pytest.mark.parametrize(
    ("parameters", "error", "match"),
    [
        (dict(memory="yes"), ValueError, "memory='yes' is not possible"),
        (dict(memory=1), ValueError, "memory=1 is not possible"),
        (dict(n_jobs=0), ValueError, "n_jobs=0 is not possible"),
        (dict(estimator="forest"), TypeError, "estimator is a str"),
        (dict(verbose="loud"), ValueError, "verbose='loud' is not possible"),
        (dict(axis=[0, 0, 0]), ValueError, "axis must be a vector"),
        (dict(random_state="a"), ValueError, "random_state"),
    ],
)
def test_bad_parameters(old, parameters, error, match):
    with pytest.raises(error, match=match):
        PlasticityPropagator(**{"orientation": "bunge", "law": False} | parameters).fit_trajectories(STRAIN, old)


def test_bad_rates_and_starts(old, model):
    with pytest.raises(ValueError, match="rates must have the shape of state"):
        propagator().fit_trajectories(STRAIN, old, rates=old[:, :3])
    with pytest.raises(ValueError, match="but strain falls; leave rates out"):
        propagator().fit_trajectories(STRAIN[::-1], old, rates=old)
    for strain, match in (
        ([[[0.0]]], "strain must have shape"),
        ([0, np.nan], "contains NaN"),
        ("up", "strain is the"),
    ):
        with pytest.raises((ValueError, TypeError), match=match):
            model.propagate(old[:2, 0], strain)
    with pytest.raises(ValueError, match="a density of -1e"):
        model.propagate(-old[:2, 0], STRAIN)
    with pytest.raises(ValueError, match="two arrays with return_std"):
        model.propagate(old[:2, 0], STRAIN, return_std=True, out=np.empty((30, 2, 5)))
    with pytest.raises(ValueError, match=r"state and out are \(n, 9\)"):
        model.compiled_step().step(np.ones((1, 6)), np.ones(1), np.ones((1, 6)), np.ones(1))


def test_a_failed_refit_leaves_the_old_model_whole(old):
    model = propagator().fit_trajectories(STRAIN, old)
    before = vars(model).copy()
    with pytest.raises(ValueError, match="contains NaN"):
        model.fit_trajectories(STRAIN, np.full_like(old, np.nan))
    with pytest.raises(ValueError, match="must have 5 columns"):
        model.fit(old[0, :, :4], old[0, :, :4])
    with pytest.raises(ValueError, match="trajectories are too few"):
        model.fit_trajectories(STRAIN, old[:2])
    assert vars(model).keys() == before.keys()
    assert all(vars(model)[name] is before[name] for name in before)


# --- files


def long_table(old):
    frames = [pd.DataFrame(s, columns=COLUMNS).assign(trajectory=i, strain=STRAIN) for i, s in enumerate(old)]
    return pd.concat(frames, ignore_index=True)


def test_tables(old, model, tmp_path, monkeypatch):
    table = long_table(old)
    assert_array_equal(propagator().fit_table(table).table_, model.table_)
    # trajectories may be mixed, each in its order
    mixed = table.iloc[np.argsort(np.arange(len(table)) % 30, kind="stable")]
    assert_array_equal(propagator().fit_table(mixed).table_, model.table_)
    table.to_csv(tmp_path / "old.csv", index=False)
    assert_allclose(propagator().fit_table(tmp_path / "old.csv").table_, model.table_, rtol=1e-6)
    with pytest.raises(TypeError, match="table is a list"):
        propagator().fit_table([1, 2])
    with pytest.raises(FileNotFoundError):
        propagator().fit_table(tmp_path / "none.csv")
    with pytest.raises(ValueError, match="2 rows have no trajectory, the first is row 7"):
        propagator().fit_table(table.assign(trajectory=table["trajectory"].where(~table.index.isin([7, 40]))))
    with pytest.raises(ValueError, match="could not convert"):
        propagator().fit_table(table.astype({"rho": object}).replace({"rho": {table["rho"][0]: "many"}}))


def test_parquet(old, model, tmp_path, monkeypatch):
    """Read where pyarrow is there; where it is missing the error says what to install."""
    table, path = long_table(old), tmp_path / "old.parquet"
    read = []
    try:
        table.to_parquet(path)
    except ImportError:  # written by nobody, read by a stand-in for pyarrow
        monkeypatch.setattr(pd, "read_parquet", lambda name: read.append(name) or table)
    assert_allclose(propagator().fit_table(path).table_, model.table_, rtol=1e-12)
    assert not read or read == [str(path)]

    def missing(name):
        raise ImportError("Unable to find a usable engine")

    monkeypatch.setattr(pd, "read_parquet", missing)
    with pytest.raises(ImportError, match="pip install pyarrow, or give a CSV"):
        propagator().fit_table(path)


def test_damask_results_go_straight_into_the_fit(old, model, tmp_path):
    h5py = pytest.importorskip("h5py")
    path = tmp_path / "result.hdf5"
    with h5py.File(path, "w") as file:
        for t, strain in enumerate(STRAIN):
            F = np.diag(np.exp([-strain / 2, -strain / 2, strain]))
            for i, state in enumerate(old):
                group = file.create_group(f"increment_{t}/phase/grain_{i:02d}/mechanical")
                P = np.zeros((1, 3, 3))
                P[0, 2, 2] = 1e6 * state[t, 0] * np.linalg.det(F) / F[2, 2]
                group["F"], group["P"] = F[None], P
                group["O"] = Rotation.from_euler("ZXZ", state[t, 2:]).as_quat()[None, [3, 0, 1, 2]]
                group["rho_mob"] = np.full((1, 12), state[t, 1] / 24)
                group["rho_dip"] = np.full((1, 12), state[t, 1] / 24)
    read = propagator().fit_trajectories(*read_damask(path))
    assert_allclose(read.table_, model.table_, rtol=1e-6, atol=1e-6 * np.abs(model.table_).max())


# --- progress


def test_verbose(old, model, capsys):
    silent = propagator().fit_trajectories(STRAIN, old)
    silent.propagate(old[:, 0], STRAIN)
    assert capsys.readouterr().out == ""
    loud = propagator(verbose=1).fit_trajectories(STRAIN, old)
    lines = capsys.readouterr().out.splitlines()
    assert all(line.startswith("[PlasticityPropagator] ") for line in lines)
    assert any("without memory: error" in line for line in lines) and any(
        "exponent of the knee" in line for line in lines
    )
    loud.propagate(np.tile(old[:, 0], (2000, 1)), STRAIN)
    lines = capsys.readouterr().out.splitlines()
    assert 2 <= len(lines) <= 10 and lines[-1].endswith("40000 of 40000 grains propagated")
    assert_array_equal(loud.table_, silent.table_)


def test_callbacks(old, model, capsys):
    recorder = Recorder()
    reported = propagator(memory="auto").set_callbacks(recorder).fit_trajectories(STRAIN, old)
    assert recorder.calls[0] == ("setup", (("fit", 0),)) and recorder.calls[-1] == ("teardown", (("fit", 0),))
    assert recorder.names() == {"fit": 1, "held-out trajectories": 2, "table": 1}
    assert_array_equal(reported.table_, propagator(memory="auto").fit_trajectories(STRAIN, old).table_)
    stopped = Recorder("held-out trajectories")
    propagator(memory="auto").set_callbacks(stopped).fit_trajectories(STRAIN, old)
    assert stopped.names()["held-out trajectories"] == 1
    failing = Recorder()
    with pytest.raises(ValueError, match="NaN"):
        propagator().set_callbacks(failing).fit_trajectories(STRAIN, old * np.nan)
    assert failing.calls[-1][0] == "teardown"
    pytest.importorskip("rich")
    propagator().set_callbacks(ProgressBar()).fit_trajectories(STRAIN, old)
    assert "PlasticityPropagator - fit" in capsys.readouterr().out


def long_calls(n_jobs):
    """Calls to interrupt, and the text that runs before them."""
    setup = f"""
        import warnings, numpy as np
        from scipy.spatial.transform import Rotation
        from skmerge import PlasticityPropagator, crystal
        warnings.simplefilter("ignore")
        strain = np.r_[np.linspace(0, 2e-3, 11), np.linspace(0.005, 0.03, 11)]
        small = crystal.simulate(Rotation.random(20, random_state=0), strain)
        model = PlasticityPropagator(orientation="bunge", law=False, n_jobs={n_jobs}, random_state=0)
        model.fit_trajectories(strain, small)
        fresh = PlasticityPropagator(orientation="bunge", law=False, n_jobs={n_jobs}, random_state=0)
        before = dict(vars(model))
        many = np.tile(small, (4000, 1, 1)) * np.array([1, 1, 1, 0, 1]) + np.random.default_rng(0).uniform(
            0, 1, (80_000, 1, 1)) * np.array([0, 0, 0, 1, 0])
        long, starts = np.tile([0.0, 0.001], 10_000_000), np.tile(small[:, 0], (200_000, 1))
        out = np.memmap("out", float, "w+", shape=(22, 4_000_000, 5))
    """
    calls = {
        "fit": (0.6, "fresh.fit_trajectories(strain, many)"),
        "refit": (0.6, "model.fit_trajectories(strain, many)"),
        "many steps": (0.6, "model.propagate(small[:3, 0], long)"),
        "many grains": (0.6, "model.propagate(starts, strain, out=out)"),
    }
    return calls, setup


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_interrupts_leave_within_a_second(n_jobs, tmp_path):
    calls, setup = long_calls(n_jobs)
    fitted = "[name for name in vars(fresh) if name.endswith('_')]"
    whole = "[vars(model)[name] is before[name] for name in before]"
    left, (fitted, whole), rest = interrupting.interrupt(calls, tmp_path, setup, f"[{fitted}, {whole}]")
    assert not fitted and whole and all(whole)
    interrupting.check(left, rest, n_jobs)


def test_a_propagation_changes_nothing_but_the_flags(old, model):
    before = vars(model).copy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.propagate(old[:, 0], STRAIN)
    assert {name for name in vars(model) if vars(model)[name] is not before.get(name)} <= {"flags_"}


def test_masked_states_and_times_are_not_read_as_numbers(model, old):
    start = old[:, 0]
    masked = np.ma.masked_array(start, mask=np.arange(start.size).reshape(start.shape) == 0)
    calls = (model.predict, model.applicability, lambda X: model.propagate(X, [0.0, 0.01]))
    for call in calls:
        with pytest.raises(ValueError, match=r"^(X|state0).* contains NaN"):
            call(masked)
        with pytest.raises(TypeError, match=r"^(X|state0) holds times"):
            call(start.astype("datetime64[s]"))
    with pytest.raises(ValueError, match="contains NaN"):
        propagator().fit(masked, start)
    with pytest.raises(ValueError, match="contains NaN"):
        propagator().fit(start, masked)


def test_states_beyond_all_reason_are_no_numbers_but_an_error(model, old):
    calls = [
        lambda: model.predict(old[:, 9] * [1e300, 1, 1, 1, 1]),
        lambda: model.propagate(old[:, 9] * [1e300, 1, 1, 1, 1], [0.0, 1e-3]),
        lambda: model.propagate(old[:, 0], [0.0, 1e300]),
    ]
    for call in calls:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            with pytest.raises(ValueError, match=r"^(X\[0\]|state0) leads to (rates|numbers) that are not finite"):
                call()


# --- what real records hold


def warned(call):
    """What a call gives, and its warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        given = call()
    return given, [str(each.message) for each in caught]


def test_records_of_a_restart_are_left_out_and_named(old, model):
    order = np.r_[0:12, 11, 12 : len(STRAIN)]
    strain, state = STRAIN[order], old[:, order].copy()
    strain[12] += 1e-11  # would be a modulus of 1e8 MPa with the last digits of the stress
    state[:, 12, 0] *= 1 + 1e-6
    again, texts = warned(lambda: propagator().fit_trajectories(strain, state))
    assert "20 records repeat the one before them and are left out, the first of trajectory 0 at strain" in texts[0]
    assert_array_equal(again.table_, model.table_)
    state[7, 12, 0] *= 1.01
    with pytest.raises(
        ValueError, match=r"strain repeats 0.0011 .* trajectory 7 \(rows 228 and 229.* but the state changes"
    ):
        propagator().fit_trajectories(strain, state)


@pytest.mark.parametrize("apart", [5e-8, 1e-7, 1e-6])
@pytest.mark.parametrize("place", [1, 10, 25, len(STRAIN)])
def test_rounded_records_close_to_the_one_before_make_no_modulus(old, model, apart, place):
    """Stress to 0.1 MPa, as printed by many programs, and a strain step too small for that."""
    strain = np.insert(STRAIN, place, STRAIN[place - 1] + apart)
    state = np.insert(old, place, old[:, place - 1], axis=1)
    state[:, place, 0] += np.random.default_rng(0).choice([-0.1, 0.3], len(old))
    again, texts = warned(lambda: propagator().fit_trajectories(strain, state))
    assert len(texts) == 1
    assert "20 records are so close to the one before that their rates are rounding errors" in texts[0]
    assert f"trajectory 0 at strain {strain[place]:g}" in texts[0]
    assert_array_equal(again.table_, model.table_)
    _, texts = warned(lambda: propagator(orientation=None).fit_trajectories(strain, state))
    assert "20 records are so close" in texts[0]


def test_several_rounded_records_in_a_row_make_no_modulus(old, model):
    """At a reversal too, where slopes are up to twice the modulus."""
    place, draw = [25, 25, 25], np.random.default_rng(0)
    strain = np.insert(STRAIN, place, STRAIN[24] + 5e-8 * np.arange(1, 4))
    state = np.insert(old, place, old[:, [24]], axis=1)
    state[:, 25:28, 0] += draw.normal(0, 0.1, (20, 3))
    again, texts = warned(lambda: fitted(state, strain))
    assert "records are so close to the one before" in texts[0]
    assert again.table_[..., 5].max() < 1.05 * model.table_[..., 5].max()
    wave = np.r_[STRAIN, STRAIN[-1] - np.linspace(0, 4e-3, 15)[1:], STRAIN[-1] - np.linspace(4e-3, 0, 15)[1:]]
    turned = crystal.simulate(angles(20, 0), wave)
    clean, texts = warned(lambda: fitted(turned, wave))
    assert not texts
    for apart in 1e-7, -1e-7:
        strain, state = np.insert(wave, 30, wave[29] + apart), np.insert(turned, 30, turned[:, 29], axis=1)
        state[:, 30, 0] += draw.normal(0, 0.1, 20)
        again, texts = warned(lambda e=strain, s=state: fitted(s, e))
        assert "records are so close to the one before" in texts[0]
        assert again.table_[..., 5].max() < 1.05 * clean.table_[..., 5].max()


def test_exact_records_close_to_the_one_before_are_kept(old):
    """As programs write that find the length of their steps: nothing is left out, there is no warning."""
    close = np.array([STRAIN[0] + 1e-7, STRAIN[10] + 1e-7, STRAIN[25] + 1e-7])
    strain = np.sort(np.r_[STRAIN, close])
    exact = crystal.simulate(angles(20, 0), strain)
    again, texts = warned(lambda: propagator().fit_trajectories(strain, exact))
    assert not texts
    assert again.table_[..., 5].max() < 1.001 * fitted(old).table_[..., 5].max()
    # and where one step holds the knee, such a record alone shows the elastic slope
    coarse = np.r_[0, 1e-5, STRAIN[21:]]
    again, texts = warned(lambda: fitted(crystal.simulate(angles(20, 0), coarse), coarse, axis=None))
    assert not [text for text in texts if "records follow" in text]


def test_rates_follow_their_records_where_some_are_left_out(old):
    rates = np.gradient(old, STRAIN, axis=1)
    order = np.r_[0:12, 11, 12 : len(STRAIN)]
    expected = propagator().fit_trajectories(STRAIN, old, rates=rates)
    again, texts = warned(lambda: propagator().fit_trajectories(STRAIN[order], old[:, order], rates=rates[:, order]))
    assert "repeat" in texts[0]
    assert_array_equal(again.table_, expected.table_)


def test_jumps_to_an_equivalent_orientation_are_undone(old, model):
    """Any record may hold any of the 24 orientations that are one to a cubic crystal."""
    group = Rotation.create_group("O")
    turned = Rotation.from_euler("ZXZ", old[..., 2:].reshape(-1, 3))
    turned = turned * group[np.random.default_rng(1).integers(24, size=len(turned))]
    state = old.copy()
    state[..., 2:] = turned.as_euler("ZXZ").reshape(*old.shape[:2], 3)
    again, texts = warned(lambda: propagator().fit_trajectories(STRAIN, state))
    assert "in 20 of 20 trajectories the orientation jumps to one that is equal by cubic symmetry" in texts[0]
    assert_allclose(again.table_, model.table_, rtol=1e-7, atol=1e-7 * np.abs(model.table_).max())
    state[3, 9, 2:] += [0.0, 0.9, 0.0]
    with pytest.raises(ValueError, match=r"the lattice of trajectory 3 turns by .* degrees from strain"):
        propagator().fit_trajectories(STRAIN, state)


def test_a_density_that_only_fills_its_column_is_told(old):
    hardening, ideal = old.copy(), crystal.simulate(angles(20, 0), STRAIN, crystal=crystal.Crystal(k1=0.0, k2=0.0))
    hardening[..., 1] = 1e12
    assert any("density is constant at 1e+12" in text for text in warned(lambda: fitted(hardening))[1])
    assert not any("density is constant" in text for text in warned(lambda: fitted(ideal))[1])


def fitted(state, strain=STRAIN, **parameters):
    return propagator(**parameters).fit_trajectories(strain, state)


def test_like_states_of_unlike_rates_are_told(old):
    slow = crystal.simulate(angles(20, 1), STRAIN)
    for other in (
        crystal.simulate(angles(20, 2), STRAIN, strain_rate=1.0),
        crystal.simulate(angles(20, 3), STRAIN, crystal=crystal.Crystal(tau0=16.0)),
    ):
        model, texts = warned(lambda state=other: fitted(np.concatenate([old, state])))
        assert any("similar states of different trajectories differ by" in text for text in texts)
        # down to -17 MPa where splines may fall where they like
        assert flow_stress(model, 20_000).min() > 0.4 * flow_stress(fitted(old), 20_000).min() > 0
    assert not warned(lambda: fitted(np.concatenate([old, slow])))[1]


def flow_stress(model, n):
    """Of n random states within the trained densities."""
    rng = np.random.default_rng(0)
    root = rng.uniform(*model.grid_[4:], n)
    states = np.column_stack([np.zeros(n), root**2, Rotation.random(n, random_state=rng).as_euler("ZXZ")])
    rates = np.empty((n, 6))
    model.compiled_step().rates(model.compiled_start(states), np.ones(n, np.int32), rates)
    return rates[:, 0]


def test_held_out_trajectories_that_are_far_off_are_told(old):
    across = crystal.simulate(angles(40, 0), STRAIN, axis="x")
    with pytest.warns(UserWarning, match="8 held-out trajectories have errors of .* do not rely on this model"):
        fitted(across)
    assert not warned(lambda: fitted(across, axis="x"))[1]


def test_a_lost_grain_loses_no_other(model, old):
    start = old[:6, 9].copy()
    start[2, 0] = 1e300
    with np.errstate(all="ignore"):
        path, texts = warned(lambda: model.propagate(start, [0.0, 1e-3, 2e-3]))
    assert any("1 of 6 grains reached states that are not finite" in text for text in texts)
    assert_array_equal(model.flags_ & 16, [0, 0, 16, 0, 0, 0])
    assert np.isnan(path[1:, 2]).all() and np.isfinite(np.delete(path, 2, axis=1)).all()
    assert_array_equal(
        np.delete(path, 2, axis=1), warned(lambda: model.propagate(np.delete(start, 2, axis=0), [0.0, 1e-3, 2e-3]))[0]
    )


# --- quaternions and Rotations


def with_quaternions(state):
    turned = Rotation.from_euler("ZXZ", state[..., 2:].reshape(-1, 3)).as_quat().reshape(*state.shape[:-1], 4)
    return np.concatenate([state[..., :2], turned], axis=-1)


def as_pair(state):
    return state[..., :2], Rotation.from_euler("ZXZ", state[..., 2:].reshape(-1, 3))


def test_quaternions_and_rotations_are_taken_and_given_back(old, model):
    six = with_quaternions(old)
    quaternions = fitted(six, orientation="quaternion")
    assert quaternions.n_features_in_ == 6
    for other in quaternions, fitted(as_pair(old)), fitted(as_pair(old), orientation="quaternion"):
        assert_allclose(other.table_, model.table_, rtol=1e-7, atol=1e-7 * np.abs(model.table_).max())
    expected = warned(lambda: model.propagate(old[:, 0], STRAIN))[0]
    path = warned(lambda: quaternions.propagate(six[:, 0], STRAIN))[0]
    assert_array_equal(path[0], six[:, 0])
    assert_allclose(path[..., :2], expected[..., :2], rtol=1e-6)
    assert apart(path[..., 2:], expected[..., 2:]).max() < 1e-6
    assert (
        np.linalg.norm(np.diff(path[..., 2:], axis=0), axis=-1).max() < 0.1
    )  # continuous, though q and -q are the same
    for each in model, quaternions:
        values, turned = warned(lambda m=each: m.propagate(as_pair(old[:, 0]), STRAIN))[0]
        assert_allclose(values, expected[..., :2], rtol=1e-6)
        assert len(turned) == len(STRAIN) and all(len(step) == len(old) for step in turned)
        assert apart(np.array([step.as_quat() for step in turned]), expected[..., 2:]).max() < 1e-6
    assert_array_equal(quaternions.applicability(six[:, 9]), model.applicability(old[:, 9]))
    assert_allclose(quaternions.compiled_start(six[:, 0])[:, 6:], model.compiled_start(old[:, 0])[:, 6:], atol=1e-12)


def apart(quaternion, bunge):
    """Angles in rad between orientations (..., 4) and (..., 3)."""
    one, other = Rotation.from_quat(quaternion.reshape(-1, 4)), Rotation.from_euler("ZXZ", bunge.reshape(-1, 3))
    return (one.inv() * other).magnitude()


def rates_of_quaternions(states, rates, six):
    """Those of angles, by central differences."""
    h = 1e-6
    ends = [Rotation.from_euler("ZXZ", states[:, 2:] + d * rates[:, 2:]).as_quat() for d in (h, -h)]
    ends = [end * np.where((end * six[:, 2:]).sum(axis=1) < 0, -1.0, 1.0)[:, None] for end in ends]
    return np.concatenate([rates[:, :2], (ends[0] - ends[1]) / (2 * h)], axis=1)


def test_rates_of_quaternions_are_those_of_angles(old, model):
    states, six = old.reshape(-1, 5), with_quaternions(old).reshape(-1, 6)
    expected = rates_of_quaternions(states, model.predict(states), six)
    found = fitted(with_quaternions(old), orientation="quaternion").predict(six)
    assert_allclose(found, expected, rtol=1e-5, atol=1e-6 * np.abs(expected[:, 2:]).max())
    rates = np.gradient(old, STRAIN, axis=1).reshape(-1, 5)
    again = propagator(orientation="quaternion").fit(six, rates_of_quaternions(states, rates, six))
    other = propagator().fit(states, rates)
    assert_allclose(again.table_, other.table_, rtol=1e-4, atol=1e-5 * np.abs(other.table_).max())


def test_standard_deviations_of_quaternions(old):
    """The lattice's, turned into those of its four numbers by drawing rotations."""
    six = with_quaternions(old)
    model = fitted(six, orientation="quaternion")
    start, path = six[:3, 0], [0.0, 0.01, 0.02]
    (out, std), _ = warned(lambda: model.propagate(start, path, return_std=True))
    (_, three), _ = warned(
        lambda: model.propagate((start[:, :2], Rotation.from_quat(start[:, 2:])), path, return_std=True)
    )
    assert std.shape == (3, 3, 6) and three.shape == (3, 3, 3)
    assert_allclose(std[..., :2], three[..., :2], rtol=1e-9)
    q = out[2, 1, 2:]
    drawn = np.random.default_rng(0).normal(0, three[2, 1, 2] / np.sqrt(3), (100_000, 3))
    moved = (Rotation.from_quat(q) * Rotation.from_rotvec(drawn)).as_quat()
    moved *= np.where(moved @ q < 0, -1.0, 1.0)[:, None]
    assert_allclose(std[2, 1, 2:], moved.std(axis=0), rtol=0.02)


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda m, s: m.propagate((s[:, 0, :3], Rotation.identity(20)), STRAIN), "two columns, stress and density"),
        (
            lambda m, s: m.propagate((s[:, 0, :2], Rotation.identity(3)), STRAIN),
            "one rotation for each.*and 3 rotations",
        ),
        (lambda m, s: fitted(s, orientation="quaternion"), "must have 6 columns.*quaternion x, y, z, w"),
        (
            lambda m, s: fitted(with_quaternions(s) * [1, 1, 2, 2, 2, 2], orientation="quaternion"),
            r"state\[0\] holds a quaternion of norm 2; give unit",
        ),
        (
            lambda m, s: m.propagate((s[:, 0, :2], Rotation.identity(20)), STRAIN, out=np.empty((30, 20, 6))),
            "out takes no Rotation",
        ),
    ],
)
def test_bad_quaternions_and_rotations(model, old, call, match):
    with pytest.raises(ValueError, match=match):
        call(model, old)


def test_a_rotation_without_orientation():
    with pytest.raises(TypeError, match='state holds a Rotation, but orientation=None; give orientation="bunge"'):
        PlasticityPropagator().fit_trajectories([0.0, 0.1], (np.ones((1, 2, 2)), Rotation.identity(2)))


def test_lists_of_rotations_are_taken(old, model):
    """One for each trajectory, or for each grain; what `propagate` gives goes back in, by trajectory."""
    values, turned = as_pair(old)
    each = [turned[30 * i : 30 * i + 30] for i in range(20)]
    assert_allclose(fitted((values, each)).table_, model.table_, rtol=1e-7, atol=1e-7 * np.abs(model.table_).max())
    start = old[:, 0]
    one_by_one = list(as_pair(start)[1])
    path, steps = warned(lambda: model.propagate((start[:, :2], one_by_one), STRAIN))[0]
    expected, _ = warned(lambda: model.propagate(as_pair(start), STRAIN))[0]
    assert_array_equal(path, expected)
    by_step = np.array([step.as_quat() for step in steps])
    back = path.swapaxes(0, 1), [Rotation.from_quat(q) for q in by_step.swapaxes(0, 1)]
    assert np.isfinite(warned(lambda: fitted(back))[0].table_).all()
    with pytest.raises(ValueError, match=r"of \(20, 30\) rows and rotations of \(30, 20\).*np.swapaxes"):
        fitted((path.swapaxes(0, 1), steps))
    with pytest.raises(ValueError, match="different numbers of rotations"):
        fitted((values, [*each[:-1], each[-1][:-1]]))


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda s, r: (r, s), "not as the second of two parts .it comes first.*give the pair"),
        (lambda s, r: r, "is a Rotation without stress and density"),
        (lambda s, r: [r[:3], r[3:]], "is a Rotation without stress and density"),
        (lambda s, r: (s, r, s), "not as the second of two parts .there are 3 parts"),
        (lambda s, r: (s, r.as_quat().reshape(*s.shape[:-1], 4)), r"no Rotation, but an array with 4.*from_quat"),
        (lambda s, r: (s, r.as_euler("ZXZ").reshape(*s.shape[:-1], 3).tolist()), r"array with 3.*from_euler\('ZXZ'"),
    ],
)
def test_what_is_no_pair_of_stress_density_and_rotation_is_named(model, old, change, match):
    with pytest.raises(TypeError, match=f"state .*{match}"):
        fitted(change(*as_pair(old)))
    for call in model.predict, model.applicability, model.compiled_start, lambda s: model.propagate(s, STRAIN):
        with pytest.raises(TypeError, match=match):
            call(change(*as_pair(old[:, 0])))


def test_a_pair_for_a_model_without_orientation_is_told_so(old):
    plain = propagator(orientation=None).fit_trajectories(STRAIN, old[..., :2])
    with pytest.raises(TypeError, match="state0 holds a Rotation, but orientation=None"):
        plain.propagate(as_pair(old[:, 0]), STRAIN)


# --- steps far longer than any trained


@pytest.mark.parametrize("parameters", [{"orientation": None}, {"axis": None}])
def test_steps_in_percent_are_told_before_they_are_made(old, parameters, monkeypatch):
    model = warned(lambda: fitted(old, estimator=LinearRegression(), **parameters))[0]
    seen = []

    def asked(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(Plain, "rates", asked)
    monkeypatch.setattr(Free, "step", asked)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = lambda message, *_: seen.append(str(message))
        with pytest.raises(KeyboardInterrupt):
            model.propagate(old[:, 0], np.linspace(0, 4.0, 5))
    assert any("times the longest trained one" in text and "in the unit of the trajectories" in text for text in seen)


@pytest.mark.parametrize("parameters", [{"orientation": None}, {"axis": None}])
def test_many_grains_in_steps_that_are_divided_are_announced_before_they_are_stepped(old, parameters, monkeypatch):
    """600 parts would be no matter for ten grains; for 500 they are 300,000 predictions of rates."""
    model = warned(lambda: fitted(old, estimator=LinearRegression(), **parameters))[0]

    def asked(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(Plain, "rates", asked)
    monkeypatch.setattr(Free, "step", asked)
    monkeypatch.setattr(Free, "_overloaded", lambda self, stress, *_: np.zeros(len(stress), bool))
    strain = np.r_[0, 0.9, 1.8] * model.longest_step_ / 0.003

    def texts(n):
        with warnings.catch_warnings(record=True) as seen, pytest.raises(KeyboardInterrupt):
            warnings.simplefilter("always")
            model.propagate(np.repeat(old[:1, 0], n, axis=0), strain)
        return [str(each.message) for each in seen if "unit of the trajectories" in str(each.message)]

    assert not texts(10)
    assert "they are 600 steps of a regressor instead of 2, for 500 grains 300000 predictions" in texts(500)[0]


@pytest.mark.parametrize(("parameters", "of"), [({"orientation": None}, ""), ({"axis": None}, ", 14 of 20 grains")])
def test_parts_of_a_step_are_reported(old, parameters, of, monkeypatch, capsys):
    from skmerge._plasticity import free

    model = warned(lambda: fitted(old, estimator=LinearRegression(), verbose=1, **parameters))[0]
    strain = [0.0, 10 * model.longest_step_]
    expected = warned(lambda: model.propagate(old[:, 0], strain))[0]
    monkeypatch.setattr("skmerge._progress.QUIET", 0.0)
    monkeypatch.setattr(free, "GRAINS", 7)
    capsys.readouterr()
    assert_array_equal(warned(lambda: model.propagate(old[:, 0], strain))[0], expected)  # blocks have no effect
    lines = capsys.readouterr().out.splitlines()
    assert f"[PlasticityPropagator] strain step 1 of 1: part 4 of 10{of}" in lines


# --- densities that scatter, fall or stand still

DENSITIES = {
    "scatter": lambda rho: rho * np.exp(0.05 * np.random.default_rng(0).normal(size=rho.shape)),
    "half stand still": lambda rho: np.where(np.arange(len(rho))[:, None] % 2, rho, 1e12),
    "fall": lambda rho: rho[:, ::-1],
    "two sets": lambda rho: rho * np.where(np.arange(len(rho))[:, None] % 2, 1, 1e4),
}


@pytest.mark.parametrize("kind", DENSITIES)
@pytest.mark.parametrize("parameters", [{}, {"memory": True}, {"axis": None}])
@pytest.mark.filterwarnings("ignore::UserWarning", "error::RuntimeWarning")
def test_densities_stay_positive_and_standard_deviations_finite(old, kind, parameters):
    state = old.copy()
    state[..., 1] = DENSITIES[kind](old[..., 1])
    model = propagator(**parameters).fit_trajectories(STRAIN, state)
    start = state[:, 0] * [1, 0.5, 1, 1, 1]
    out = model.propagate(start, STRAIN)
    assert (out[..., 1] > 0.2 * state[..., 1].min()).all()  # half the least sqrt(rho), or more
    if model.axis is not None:
        assert np.isfinite(model.std_squares_).all()
        assert np.isfinite(model.propagate(start, STRAIN, return_std=True)[1]).all()
