"""PlasticityPropagator: bad input, units, files, progress, callbacks and Ctrl-C."""

import signal
import subprocess
import sys
import textwrap
import time
import warnings

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
        (lambda e, s: (e[:1], s[:, :1]), "one record, which says nothing of rates"),
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


def test_a_step_far_longer_than_any_trained_one_warns_and_is_parted(old, model):
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
        PlasticityPropagator(**{"orientation": "bunge"} | parameters).fit_trajectories(STRAIN, old)


def test_bad_rates_and_starts(old, model):
    with pytest.raises(ValueError, match="rates must have the shape of state"):
        propagator().fit_trajectories(STRAIN, old, rates=old[:, :3])
    with pytest.raises(ValueError, match="leave them out where strain falls"):
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
    with pytest.raises(ValueError, match="five columns"):
        model.fit(old[0, :, :4], old[0, :, :4])
    with pytest.raises(ValueError, match="trajectories tell too little"):
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
    with pytest.raises(ValueError, match="2 rows name no trajectory, the first is row 7"):
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
                group["O"] = Rotation.from_euler("ZXZ", state[t, 2:]).inv().as_quat()[None, [3, 0, 1, 2]]
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
    told = propagator(memory="auto").set_callbacks(recorder).fit_trajectories(STRAIN, old)
    assert recorder.calls[0] == ("setup", (("fit", 0),)) and recorder.calls[-1] == ("teardown", (("fit", 0),))
    assert recorder.names() == {"fit": 1, "held-out trajectories": 2, "table": 1}
    assert_array_equal(told.table_, propagator(memory="auto").fit_trajectories(STRAIN, old).table_)
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


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_interrupts_leave_within_a_second(n_jobs, tmp_path):
    script = f"""
        import warnings, numpy as np, signal
        from scipy.spatial.transform import Rotation
        from skmerge import PlasticityPropagator, crystal
        warnings.simplefilter("ignore")
        signal.signal(signal.SIGINT, signal.default_int_handler)
        strain = np.r_[np.linspace(0, 2e-3, 11), np.linspace(0.005, 0.03, 11)]
        small = crystal.simulate(Rotation.random(20, random_state=0), strain)
        model = PlasticityPropagator(orientation="bunge", n_jobs={n_jobs}, random_state=0)
        model.fit_trajectories(strain, small)
        fresh = PlasticityPropagator(orientation="bunge", n_jobs={n_jobs}, random_state=0)
        before = dict(vars(model))
        many = np.tile(small, (4000, 1, 1)) * np.array([1, 1, 1, 0, 1]) + np.random.default_rng(0).uniform(
            0, 1, (80_000, 1, 1)) * np.array([0, 0, 0, 1, 0])

        def attempt(work):
            print("running", flush=True)
            try:
                work()
            except KeyboardInterrupt:
                print("interrupted", flush=True)
            else:
                print("finished", flush=True)

        attempt(lambda: fresh.fit_trajectories(strain, many))
        attempt(lambda: model.fit_trajectories(strain, many))
        attempt(lambda: model.propagate(small[:3, 0], np.tile([0.0, 0.001], 10_000_000)))
        attempt(lambda: model.propagate(np.tile(small[:, 0], (200_000, 1)), strain, out=np.memmap(
            "out", float, "w+", shape=(22, 4_000_000, 5))))
        print([name for name in vars(fresh) if name.endswith("_")], all(vars(model)[k] is v for k, v in before.items()))
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=tmp_path)
    try:
        for _ in range(4):
            assert process.stdout.readline() == "running\n"
            time.sleep(0.6)
            process.send_signal(signal.SIGINT)
            begin = time.monotonic()
            assert process.stdout.readline() == "interrupted\n"
            left = time.monotonic() - begin
            print("left after", left)
            assert left < 2  # a second alone; a second more where other processes take the cores
        assert process.stdout.readline() == "[] True\n"
        process.wait(timeout=10)
    finally:
        process.kill()
        process.stdout.close()


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
        with pytest.raises(ValueError, match=r"^(X|state0): Input .* contains NaN"):
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
            with pytest.raises(ValueError, match=r"^(X|state0)\[0\] leads to numbers that are not finite"):
                call()
