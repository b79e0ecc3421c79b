"""PlasticityPropagator under any velocity gradient: crystals that were not trained, against the code that made them.

Figures of the final deviator are relative to its size in each crystal; NEML's records took one step to each record.
"""

import warnings
from pathlib import Path
from time import perf_counter

import numpy as np
from figures import Figure
from scipy.spatial.transform import Rotation

from skmerge import PlasticityPropagator, crystal

N_TRAIN = 50
SETS = {"neml_any_const_km": "fcc", "neml_any_paths_km": "fcc", "neml_any_const_bcc24": "bcc"}
TARGETS = {
    "final deviator, median": 0.002,
    "final deviator, rms": 0.008,
    "density, rms": 0.002,
    "lattice, mean, degrees": 0.03,
    "lattice, greatest, degrees": 0.15,
}


def load(directory, name):
    """Time (n, T), velocity gradients (n, T - 1, 3, 3) and states (n, T, 11)."""
    data = np.load(Path(directory) / f"{name}.npz")
    time, L, stress, rho, turn = (data[key].astype(float) for key in ("time", "L", "stress", "rho", "quaternion"))
    return time, L, np.concatenate([stress, rho[..., None], turn], axis=-1)


def deviators(stress):
    return stress - stress[..., :3].mean(axis=-1, keepdims=True) * np.array([1, 1, 1, 0, 0, 0.0])


def size(stress):
    return np.sqrt((stress**2 * np.array([1, 1, 1, 2, 2, 2.0])).sum(axis=-1))


def errors(found, truth):
    """The figures of TARGETS for final states (n, 11)."""
    given, got = deviators(truth[:, :6]), deviators(found[:, :6])
    error = size(got - given) / size(given)
    turn = np.degrees((Rotation.from_quat(found[:, 7:]) * Rotation.from_quat(truth[:, 7:]).inv()).magnitude())
    density = found[:, 6] / truth[:, 6] - 1
    values = np.median(error), np.sqrt(np.mean(error**2)), np.sqrt(np.mean(density**2)), turn.mean(), turn.max()
    return dict(zip(TARGETS, values, strict=True))


def fitted(time, L, state, lattice="fcc", **parameters):
    model = PlasticityPropagator(orientation="quaternion", loading="any", lattice=lattice, random_state=0, **parameters)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.fit_trajectories(time, state, velocity_gradient=L)


def disturbed(state, stress, degrees, seed=0):
    """States with relative errors of stress and errors of orientation."""
    rng, state = np.random.default_rng(seed), state.copy()
    state[..., :6] *= 1 + stress * rng.normal(size=state[..., :6].shape)
    turn = Rotation.from_rotvec(np.radians(degrees) / np.sqrt(3) * rng.normal(size=(state[..., 0].size, 3)))
    state[..., 7:] = (turn * Rotation.from_quat(state[..., 7:].reshape(-1, 4))).as_quat().reshape(state[..., 7:].shape)
    return state


def figures(directory=None):
    """All figures."""
    section = "loading"
    if directory is None:
        return
    for name, lattice in SETS.items():
        time, L, state = load(directory, name)
        train, test = slice(0, N_TRAIN), slice(N_TRAIN, None)
        start = perf_counter()
        model = fitted(time[train], L[train], state[train], lattice)
        seconds = perf_counter() - start
        path = model.propagate(state[test, 0], time[test], velocity_gradient=L[test])
        words = f"{model.laws_[0]}; {model.laws_[1]}; n = {model.exponent_:.2f}"
        for what, value in errors(path[-1], state[test, -1]).items():
            yield Figure(section, f"{name}: {what}", value, ("<=", TARGETS[what]), words)
        yield Figure(section, f"{name}: seconds to fit {N_TRAIN} crystals", seconds, None, "")
        for text, given in {
            "stress 1 %": disturbed(state[train], 0.01, 0.0),
            "orientation .5 degrees": disturbed(state[train], 0.0, 0.5),
        }.items():
            noisy = fitted(time[train], L[train], given, lattice)
            found = errors(noisy.propagate(state[test, 0], time[test], velocity_gradient=L[test])[-1], state[test, -1])
            median, n = found["final deviator, median"], noisy.exponent_
            yield Figure(section, f"{name}, records with {text}: final deviator, median", median, None, f"n = {n:.2f}")
        few = fitted(time[:10], L[:10], state[:10], lattice)
        found = errors(few.propagate(state[test, 0], time[test], velocity_gradient=L[test])[-1], state[test, -1])
        median = found["final deviator, median"]
        yield Figure(section, f"{name}, 10 crystals: final deviator, median", median, None, "")
    yield from own(directory)
    yield from speed(directory)


def own(directory):
    """Against the converged simulation of the same material."""
    time, L, _ = load(directory, "neml_any_const_km")
    grains = Rotation.random(len(time), random_state=0)
    state = crystal.simulate(grains, time, velocity_gradient=L, tol=1e-6)
    turn = Rotation.from_euler("ZXZ", state[..., 7:].reshape(-1, 3)).as_quat().reshape(*state.shape[:2], 4)
    state = np.concatenate([state[..., :7], turn], axis=-1)
    model = fitted(time[:N_TRAIN], L[:N_TRAIN], state[:N_TRAIN])
    path = model.propagate(state[N_TRAIN:, 0], time[N_TRAIN:], velocity_gradient=L[N_TRAIN:])
    rms = errors(path[-1], state[N_TRAIN:, -1])["final deviator, rms"]
    yield Figure("loading", "own converged simulation: final deviator, rms", rms, ("<=", 0.002), "")


def speed(directory, n=100_000):
    time, L, state = load(directory, "neml_any_const_km")
    model = fitted(time[:N_TRAIN], L[:N_TRAIN], state[:N_TRAIN])
    which = np.arange(n) % len(time)
    start, few = state[which, 40], slice(40, 45)
    best = np.inf
    for _ in range(3):
        begin = perf_counter()
        model.propagate(start, time[0, few], velocity_gradient=L[which][:, 40:44])
        best = min(best, perf_counter() - begin)
    step = 1e6 * best / n / 4
    yield Figure("loading", "microseconds per grain and step, 10^5 grains in flow, one thread", step, ("<=", 1.2), "")
