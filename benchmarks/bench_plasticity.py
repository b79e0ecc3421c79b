"""PlasticityPropagator: whole crystals that were not trained, peers, time of a step, rows and memory.

Every crystal is stepped from its first record to its last; no error is one of a single step.
"""

import ctypes
import os
import subprocess
import sys
import tempfile
import threading
import warnings
from pathlib import Path
from time import perf_counter, process_time

import joblib
import numpy as np
from bench_crystal import NEML, STRAIN, relative_rms
from bench_memory import status
from figures import Figure, mlp
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import RandomForestRegressor
from sklearn.preprocessing import StandardScaler

from skmerge import GradientForestRegressor, MergedNetRegressor, PlasticityPropagator, crystal
from skmerge._orientation import reduced_axis, turn_pseudovector
from skmerge._plasticity.flow import steps_of

TARGETS = {  # of held-out crystals
    "final stress, relative rms": ("<=", 0.005),
    "stress along the path, rms / spread": ("<=", 0.01),
    "log density along the path, rms / spread": ("<=", 0.01),
    "lattice at the end, degrees, mean": ("<=", 0.05),
    "lattice at the end, degrees, greatest": ("<=", 1.0),
}
RECORDED = {  # seconds per grain and step of other codes on one core, measured apart
    "NEML, single crystals": NEML["uniaxial"],
    "DAMASK, full field, 20 grains": 0.14,
    "DAMASK, wire, 10 grains": 1.26,
}
SIZES = 10_000, 100_000, 1_000_000
UNKNOWN = "the record's state does not fix its rate: see doc/plasticity.md"


def load(directory, name):
    data = np.load(Path(directory) / f"{name}.npz")
    return data["strain"].astype(float), data["state"].astype(float)


def split(state, n_train, seed, n_test=100):
    order = np.random.default_rng(seed).permutation(len(state))
    return state[order[n_test : n_test + n_train]], state[order[:n_test]]


def errors(found, truth):
    """The five figures of TARGETS for paths (n, n_steps, 5); infinite where a path is not finite."""
    if not np.isfinite(found).all():
        return np.full(5, np.inf)
    one, other = (Rotation.from_euler("ZXZ", state[:, -1, 2:]) for state in (found, truth))
    turned = np.degrees((one.inv() * other).magnitude())
    path = [np.sqrt(np.mean((a - b) ** 2)) / np.std(b) for a, b in zip(columns(found), columns(truth), strict=True)]
    return np.array([relative_rms(found[:, -1, 0], truth[:, -1, 0]), *path, turned.mean(), turned.max()])


def columns(state):
    return state[:, :, 0], np.log(np.maximum(state[:, :, 1], 1e6))


def propagator(estimator=None):
    memory = "auto" if estimator is None else False
    return PlasticityPropagator(estimator, orientation="bunge", memory=memory, law=False, random_state=0)


def learned(strain, train, estimator=None):
    """A propagator and the seconds it took."""
    start = process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a record that does not resolve the knee; the text says so
        model = propagator(estimator).fit_trajectories(strain, train)
    return model, process_time() - start


def follow(model, start, strain):
    """Paths (n, n_steps, 5)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # grains that leave the trained states count with their errors
        return model.propagate(start, strain).transpose(1, 0, 2)


def within(model, test, strain):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        out, std = model.propagate(test[:, 0], strain, return_std=True)
    off = np.abs(out - test.transpose(1, 0, 2))[1:, :, 0]
    return np.mean(off <= 2 * std[1:, :, 0])


def halved(strain):
    return np.sort(np.r_[strain, (strain[1:] + strain[:-1]) / 2])


def default_figures(section, name, strain, state, n_splits, n_train=300, reason=""):
    found, seconds, changes, inside = [], [], [], []
    for seed in range(n_splits):
        train, test = split(state, n_train, seed)
        model, time = learned(strain, train)
        path = follow(model, test[:, 0], strain)
        finer = follow(model, test[:, 0], halved(strain))
        found.append(errors(path, test))
        inside.append(within(model, test, strain))
        changes.append(relative_rms(finer[:, -1, 0], path[:, -1, 0]))
        seconds.append(time)
    found = np.array(found)
    words = f"{n_splits} splits, {n_train} crystals to learn from, fit {np.mean(seconds):.1f} s"
    for i, (what, target) in enumerate(TARGETS.items()):
        value = found[:, i].max() if what.endswith("greatest") else found[:, i].mean()
        beside = f"worst split {found[:, i].max():.4g}; {reason or words}"
        yield Figure(section, f"{name}: {what}", value, target, beside)
    title = f"{name}: share of stresses within two standard deviations of return_std"
    beside = ", ".join(f"{value:.3f}" for value in inside)
    yield Figure(section, title, np.mean(inside), (">=", 0.9), f"splits {beside}; memory_ {model.memory_}")
    title = f"{name}: final stress changed by halved steps, relative rms"
    yield Figure(section, title, np.max(changes), ("<=", 0.002), "worst split")


def raw_forest(train, strain):
    """A random forest of the rates of raw angles."""
    forest = RandomForestRegressor(50, random_state=0)
    forest = TransformedTargetRegressor(forest, transformer=StandardScaler(), check_inverse=False)
    rates = np.diff(train, axis=1) / np.diff(strain)[:, None]
    model = PlasticityPropagator(forest, integrator="euler")
    return model.fit(train[:, :-1].reshape(-1, 5), rates.reshape(-1, 5))


def euler_on_records(train, strain, start):
    """Explicit Euler on the record's strains."""
    return follow(raw_forest(train, strain), start, strain)


def peers():
    """What is learned from the record: (train, strain, start) -> paths."""

    def by(estimator):
        return lambda train, strain, start: follow(learned(strain, train, estimator)[0], start, strain)

    net = MergedNetRegressor(4, simplify=False, n_estimators=1, random_state=0)
    return {
        "default": by(None),
        "RandomForest, raw angles, Euler": euler_on_records,
        "GradientForest, order 0": by(GradientForestRegressor(50, order=0, random_state=0)),
        "MergedNet, 4 nodes": by(net),
        "MLP": by(mlp(max_iter=150)),
    }


def accuracy(directory=None, sizes=(50, 100, 200, 300, 400)):
    """Held-out crystals of two other solvers; peers by number of crystals, of our own simulation where NEML's end."""
    section = "plasticity_accuracy"
    if not directory:
        print(f"{section}: left out, no --plasticity DIRECTORY given")
        return
    strain, state = load(directory, "neml_uniaxial_km")
    yield from default_figures(section, "NEML", strain, state, 4)
    other, twin = load(directory, "damask_taylor_dislotwin")
    yield from default_figures(section, "DAMASK", other, twin, 2, reason=UNKNOWN)
    yield from nearest(section, "NEML", strain, state)
    yield from nearest(section, "DAMASK", other, twin)
    for n_train in sizes:
        enough = n_train + 100 <= len(state)
        train, test = split(state if enough else own_crystals(n_train + 100), n_train, 0)
        whose = "NEML" if enough else "our simulation"
        for name, run in peers().items():
            start = process_time()
            found = errors(run(train, strain, test[:, 0]), test)
            beside = "path {:.2g}, log density {:.2g}, lattice {:.2g} (greatest {:.2g}) degrees".format(*found[1:])
            title = f"{whose}, {n_train} crystals, {name}: final stress, relative rms"
            yield Figure(section, title, found[0], None, f"{beside}; {process_time() - start:.0f} s")


def nearest(section, name, strain, state):
    """What no model can know: how steps differ that begin in nearly the same state. And what the whole path knows."""
    n, n_steps = state.shape[:2]
    group = np.repeat(np.arange(n), n_steps)
    steps = steps_of(np.tile(strain, n), state.reshape(-1, 5), group, np.array([0.0, 0.0, 1.0]))
    axis = np.column_stack([steps.features[:, :2], np.ones(len(steps.slope))])
    axis /= np.linalg.norm(axis, axis=1)[:, None]
    root = steps.features[:, 2:] / steps.features[:, 2].max()
    late = np.flatnonzero(root[:, 0] > 0.2)
    for degrees in (0.4, 0.2):
        within = degrees * np.array([np.pi / 180, 0.025])  # of axis; of sqrt(rho) over its greatest
        tree = cKDTree(np.column_stack([axis / within[0], root / within[1]])[late])
        one, other = late[tree.query_pairs(1.0, output_type="ndarray").T]
        apart = steps.group[one] != steps.group[other]
        differs = np.linalg.norm(steps.spin[one] - steps.spin[other], axis=1)[apart]
        share = np.mean(differs > 0.5 * np.sqrt(np.mean((steps.spin[late] ** 2).sum(axis=1))))
        title = f"{name}: share of equal states that turn differently by half"
        beside = f"{apart.sum()} pairs within {degrees} degrees of axis, {0.025 * degrees:.3f} of sqrt(rho)"
        yield Figure(section, title, share, None, beside)
    first, last = (Rotation.from_euler("ZXZ", state[:, t, 2:]) for t in (0, -1))
    axis, operation = reduced_axis(first.inv().apply([0, 0, 1]))
    turn = turn_pseudovector(operation, (first.inv() * last).as_rotvec(degrees=True))
    apart = np.arccos(np.clip(axis @ axis.T, -1, 1))
    np.fill_diagonal(apart, np.inf)
    near = apart.argmin(axis=1)
    differs = np.linalg.norm(turn - turn[near], axis=1)
    beside = f"median {np.median(differs):.2g}; first axes {np.degrees(apart.min(axis=1)).mean():.2f} degrees apart"
    title = f"{name}: whole turn taken from the crystal of nearest first axis, degrees"
    yield Figure(section, title, differs.mean(), None, beside)


# --- time


def own_crystals(n=300):
    """Trajectories of our own simulation on the strains of the reference."""
    return crystal.simulate(Rotation.random(n, random_state=0), STRAIN)


def trained():
    """The default model, as in the section on accuracy."""
    return learned(STRAIN, own_crystals())[0]


def starts(n):
    angles = Rotation.random(n, random_state=1).as_euler("ZXZ")
    return np.column_stack([np.zeros(n), np.full(n, 1.001e12), angles])


def least(call, repeats=3):
    best = np.inf
    for _ in range(repeats):
        start = process_time()
        call()
        best = min(best, process_time() - start)
    return best


def speed():
    """Microseconds per grain and step, on one thread."""
    section = "plasticity_speed"
    model, n = trained(), 100_000
    path = np.r_[STRAIN[:21:2], STRAIN[21:31]]  # ten steps in the knee, ten beyond
    start = starts(n)
    out = np.empty((len(path), n, 5))
    steps = n * (len(path) - 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        step = least(lambda: model.propagate(start, path, out=out)) / steps
        few = least(lambda: [model.propagate(start[:10], path) for _ in range(20)]) / (200 * (len(path) - 1))
        model.integrator = "euler"
        euler = least(lambda: model.propagate(start, path, out=out)) / steps
        model.integrator = "heun"
    load_average = os.getloadavg()[0]
    words = f"heun; euler {1e6 * euler:.2f}; load of the machine {load_average:.1f}"
    yield Figure(section, "microseconds per grain and step, 10^5 grains", 1e6 * step, ("<=", 1.2), words)
    yield Figure(section, "one grain through the C function, microseconds", *single(model))
    forest, rows = raw_forest(own_crystals(), STRAIN), out[-1]
    trees = least(lambda: forest.predict(rows), 1) / len(rows)
    yield Figure(section, "RandomForest.predict of 50 trees / ours, per grain and step", trees / step, None,
                 f"{1e6 * trees:.0f} microseconds")  # fmt: skip
    some = Rotation.random(200, random_state=2)
    ours = least(lambda: crystal.simulate(some, STRAIN)) / (200 * (len(STRAIN) - 1))
    yield Figure(section, "crystal.simulate / propagator, per grain and step", ours / step, None,
                 f"{1e6 * ours:.1f} microseconds")  # fmt: skip
    for name, seconds in RECORDED.items():
        target = (">=", 1e6) if "wire" in name else None
        title = f"{name}, / propagator, per grain and step, 10^5 grains"
        yield Figure(section, title, seconds / step, target, f"{seconds:g} s, recorded")
    wire = RECORDED["DAMASK, wire, 10 grains"]
    title = "the same wire / propagator with ten grains only"
    yield Figure(section, title, wire / few, None, f"{1e6 * few:.1f} microseconds per grain and step")


def single(model):
    """(microseconds, target, beside) of one grain, called from Python by ctypes as a program calls it from C."""
    flow = model.compiled_step()
    double = ctypes.POINTER(ctypes.c_double)
    kind = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, double, ctypes.c_double, double, double)
    function = kind(flow.function)
    state = model.compiled_start([[0.0, 1.001e12, *Rotation.random(random_state=3).as_euler("ZXZ")]])
    out, tangent = np.empty_like(state), np.empty(1)
    pointers = [a.ctypes.data_as(double) for a in (state, out, tangent)]
    n = 5000

    def run(last):
        for i in range(n):
            function(flow.address, pointers[0], 1e-4 if i % 2 else 1e-3, pointers[1], last)

    with_tangent, without = (1e6 * least(lambda last=last: run(last)) / n for last in (pointers[2], None))
    return with_tangent, ("<=", 20.0), f"with its tangent; without {without:.1f}; both with the call by ctypes"


# --- rows and memory


def propagate_and_report(model, n):
    """Print seconds and the peak of memory of this process that no file backs, beyond what was there before."""
    start = starts(n)
    path = np.r_[STRAIN[:21:4], STRAIN[21:24]]
    with tempfile.TemporaryDirectory() as directory, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        out = np.memmap(Path(directory) / "out", float, "w+", shape=(len(path), n, 5))
        model.propagate(start[:10], path)
        before, peak, ended = status("RssAnon"), [0], threading.Event()

        def watch():
            while not ended.wait(0.002):
                peak[0] = max(peak[0], status("RssAnon") - before)

        watcher = threading.Thread(target=watch)
        watcher.start()
        seconds = process_time()
        wall = perf_counter()
        model.propagate(start, path, out=out)
        seconds, wall = process_time() - seconds, perf_counter() - wall
        ended.set()
        watcher.join()
        print(seconds / (n * (len(path) - 1)), peak[0], out.nbytes, wall)


def scaling():
    """Grains 10^4 to 10^6 into a memory map, each size in a process of its own (Linux)."""
    section = "plasticity_scaling"
    with tempfile.TemporaryDirectory() as directory:
        file = os.path.join(directory, "model.joblib")
        joblib.dump(trained(), file)
        lines = []
        for n in SIZES:
            command = [sys.executable, os.path.abspath(__file__), file, str(n)]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            lines.append([float(word) for word in done.stdout.split()])
    step, peak, size, wall = np.array(lines).T
    beside = ", ".join(f"{1e6 * value:.2f}" for value in step) + f" microseconds; {wall[-1]:.0f} s at 10^6"
    title = "time per grain and step, 10^6 grains over 10^4"
    yield Figure(section, title, step[-1] / step[0], ("<=", 1.2), beside)
    beside = ", ".join(f"{value / 1e6:.1f}" for value in peak) + f" MB; the map at 10^6 {size[-1] / 1e6:.0f} MB"
    yield Figure(section, "memory beyond the start and the map, MB, 10^6 grains", peak[-1] / 1e6, ("<=", 50.0), beside)


if __name__ == "__main__":
    propagate_and_report(joblib.load(sys.argv[1]), int(sys.argv[2]))
