"""skmerge.crystal: time of a recorded step, threads, and trajectories of another solver (NEML) of the same law.

The other solver's steps are backward Euler, one for each record to strain 0.002 and two from there on; the same steps
taken here show how much of the difference is theirs.
"""

from pathlib import Path
from time import perf_counter, process_time

import numpy as np
from figures import Figure
from scipy.spatial.transform import Rotation

from skmerge._ext.grain_stepping import most_lanes
from skmerge._lattice import deviator
from skmerge.crystal import DIRECTIONS, NORMALS, Crystal, simulate

SECTION = "crystal"
STRAIN = np.concatenate([np.linspace(0, 0.002, 21), np.linspace(0.004, 0.2, 99)])
NEML = {"uniaxial": 0.84e-3, "taylor": 0.40e-3}  # seconds per crystal and step, on one core


def relative_rms(value, reference):
    return float(np.sqrt(np.mean((value / reference - 1) ** 2)))


def misorientation(state, angles):
    turned = Rotation.from_euler("ZXZ", state[:, -1, 2:]).inv() * Rotation.from_euler("ZXZ", angles)
    return np.degrees(turned.magnitude())


def backward_euler(start, strain, loading, crystal, strain_rate=1e-3):
    """(sigma, rho) of crystals (n, n_steps): steps as the other solver takes them, rotation after each."""
    rotation = Rotation.from_euler("ZXZ", start)
    n, gdot = crystal.rate_exponent, crystal.slip_rate / strain_rate
    scale = crystal.resistance(1.0) - crystal.tau0
    storage, recovery = scale * crystal.k1 / 2, crystal.k2 / 2
    schmid = deviator((DIRECTIONS[:, :, None] * NORMALS[:, None] + NORMALS[:, :, None] * DIRECTIONS[:, None]) / 2)
    c = np.array([crystal.C11 - crystal.C12] * 2 + [2 * crystal.C44] * 3) * 1e3
    k = 5 if loading == "taylor" else 1
    u, f = np.zeros((len(start), k)), np.full(len(start), scale * 1e6)
    sigma, rho = [np.zeros(len(start))], [np.full(len(start), 1e12)]
    for t in range(1, len(strain)):
        pieces = 2 if strain[t] - strain[t - 1] > 1e-3 else 1
        h = (strain[t] - strain[t - 1]) / pieces
        for _ in range(pieces):
            axis = rotation.as_matrix()[:, 2]
            N = deviator(axis[:, :, None] * axis[:, None]).T
            if loading == "taylor":
                P, d = np.broadcast_to(np.sqrt(c)[:, None] * schmid, (len(u), 5, 12)), 1.5 * np.sqrt(c) * N
                readout = 1.5 * np.sqrt(c) * N
            else:
                stiff = crystal.C11 + 2 * crystal.C12
                readout = 1 / np.sqrt(np.sum(N**2 / c, axis=1) + 1 / (3e3 * stiff))[:, None]
                P, d = readout[:, :, None] * (N @ schmid)[:, None], readout
            before, forest = u, f
            for _ in range(500):
                tau = np.einsum("nia,ni->na", P, u)
                g = (crystal.tau0 + f)[:, None]
                slope = gdot * n * (np.abs(tau) / g) ** (n - 1) / g
                slip, side = slope * tau / n, np.sign(tau)
                total, source = np.abs(slip).sum(axis=1), storage - recovery * f
                rest = np.concatenate(
                    [
                        before + h * (d - np.einsum("nia,na->ni", P, slip)) - u,
                        (forest + h * source * total - f)[:, None],
                    ],
                    1,
                )
                J = np.zeros((len(u), k + 1, k + 1))
                J[:, :k, :k] = np.eye(k) + h * np.einsum("nia,na,nja->nij", P, slope, P)
                J[:, :k, k] = -h * np.einsum("nia,na->ni", P, n * slip / g)
                J[:, k, :k] = -h * source[:, None] * np.einsum("nia,na->ni", P, slope * side)
                J[:, k, k] = 1 + h * recovery * total + h * source * (n * np.abs(slip) / g).sum(axis=1)
                step = np.linalg.solve(J, rest[..., None])[..., 0]
                far = (
                    np.abs(np.einsum("nia,ni->na", P, u + step[:, :k]))
                    / (crystal.tau0 + np.minimum(f, f + step[:, k]))[:, None]
                )
                cut = np.minimum(1, np.maximum(1.1, 1.05 * (np.abs(tau) / g).max(axis=1)) / far.max(axis=1).clip(1e-9))
                u, f = u + cut[:, None] * step[:, :k], f + cut * step[:, k]
                if np.abs(step).max() < 1e-10:
                    break
            else:
                raise RuntimeError(f"backward Euler did not converge at strain {strain[t]}")
            spin = h * slip @ np.cross(DIRECTIONS, NORMALS) / 2
            if loading == "uniaxial":  # material lines along the axis stay there
                flow = np.einsum("na,ai,aj->nij", h * slip, DIRECTIONS, NORMALS)
                pull = np.einsum("nij,nj->ni", (flow + np.swapaxes(flow, 1, 2)) / 2, axis)
                spin = spin + np.cross(pull, axis)
            rotation = rotation * Rotation.from_rotvec(spin)
        sigma.append((readout * u).sum(axis=1))
        rho.append((f / scale) ** 2)
    return np.array(sigma).T, np.array(rho).T


def speed():
    crystals = Rotation.random(200, random_state=0)
    for loading, other in NEML.items():
        simulate(crystals[:10], STRAIN, loading=loading)
        best = np.inf
        for _ in range(3):
            start = process_time()
            state = simulate(crystals, STRAIN, loading=loading)
            best = min(best, process_time() - start)
        step = best / len(crystals) / (len(STRAIN) - 1)
        exact = simulate(crystals, STRAIN, loading=loading, tol=1e-8)
        beside = f"NEML {1e6 * other:.0f}, {other / step:.0f} times as long"
        yield Figure(SECTION, f"{loading}: microseconds per crystal and step", 1e6 * step, ("<=", 1e5 * other), beside)
        error = relative_rms(state[:, 1:, :2], exact[:, 1:, :2])
        beside = f"greatest {np.abs(state[:, 1:, :2] / exact[:, 1:, :2] - 1).max():.1e}, in the knee"
        yield Figure(SECTION, f"{loading}: stress and density against tol=1e-8, rms", error, ("<=", 1e-3), beside)
    seconds = []
    for n_jobs in (1, 2):
        start = perf_counter()
        simulate(Rotation.random(1000, random_state=0), STRAIN, loading="taylor", n_jobs=n_jobs)
        seconds.append(perf_counter() - start)
    yield Figure(SECTION, "two threads, times faster", seconds[0] / seconds[1], (">=", 1.6))


def against_solver(directory):
    for loading in NEML:
        data = np.load(Path(directory) / f"neml_{loading}_km.npz")
        strain, given = data["strain"].astype(float), data["state"].astype(float)
        state = simulate(given[:, 0, 2:], strain, loading=loading)
        plastic = strain >= 0.001
        for i, name in enumerate(("stress", "density")):
            value, reference = state[:, 1:, i], given[:, 1:, i]
            whole = float(np.sqrt(np.mean((value - reference) ** 2) / np.mean(reference**2)))
            final = relative_rms(value[:, -1], reference[:, -1])
            beside = f"final {final:.5f}, of every record {relative_rms(value, reference):.5f}"
            yield Figure(SECTION, f"{loading}: {name}, rms difference / rms", whole, ("<=", 0.003), beside)
            later = relative_rms(state[:, plastic, i], given[:, plastic, i])
            title = f"{loading}: {name}, relative rms beyond the knee (strain 0.001)"
            yield Figure(SECTION, title, later, ("<=", 0.003))
        turned = misorientation(state, given[:, -1, 2:])
        yield Figure(
            SECTION,
            f"{loading}: final orientation, degrees",
            turned.mean(),
            ("<=", 0.02),
            f"greatest {turned.max():.4f}",
        )
        some = slice(0, 100)
        same_steps = backward_euler(given[some, 0, 2:], strain, loading, Crystal())
        for i, name in enumerate(("stress", "density")):
            value = relative_rms(same_steps[i][:, 1:], given[some, 1:, i])
            title = f"{loading}: {name}, every record, with that solver's own steps"
            yield Figure(SECTION, title, value, ("<=", 0.003))


def any_against_solver(directory):
    """Under random velocity gradients, one a crystal or three in turn; the other solver carries elastic strain by W."""
    for name in ("const", "paths"):
        data = np.load(Path(directory) / f"neml_any_{name}_km.npz")
        start = Rotation.from_quat(data["quaternion"][:, 0])
        began = process_time()
        state = simulate(start, data["time"], velocity_gradient=data["L"].astype(float))
        step = (process_time() - began) / state[:, 1:, 0].size
        deviators = []
        for stress in (state[:, -1, :6], data["stress"][:, -1].astype(float)):
            mean = stress[:, :3].mean(axis=1, keepdims=True)
            deviators.append(np.hstack([stress[:, :3] - mean, np.sqrt(2) * stress[:, 3:]]))
        apart = np.linalg.norm(deviators[0] - deviators[1], axis=1) / np.linalg.norm(deviators[1], axis=1)
        rms = np.sqrt(np.mean(apart**2))
        beside = f"rms {rms:.5f}, greatest {apart.max():.4f}; {1e6 * step:.3g} microseconds a step"
        yield Figure(SECTION, f"any L, {name}: final deviator, median", np.median(apart), ("<=", 0.002), beside)
        density = relative_rms(state[:, -1, 6], data["rho"][:, -1])
        yield Figure(SECTION, f"any L, {name}: final density, relative rms", density, ("<=", 0.002))
        turned = Rotation.from_euler("ZXZ", state[:, -1, 7:]).inv() * Rotation.from_quat(data["quaternion"][:, -1])
        degrees = np.degrees(turned.magnitude())
        beside = f"greatest {degrees.max():.4f}"
        yield Figure(SECTION, f"any L, {name}: final orientation, degrees", degrees.mean(), ("<=", 0.03), beside)


def grain_steps():
    """The step of many grains alone: from rest through the knee, and in full flow by strain 0.004, one core."""
    n, crystal, rng = 100_000, Crystal(), np.random.default_rng(0)
    L = rng.normal(size=(n, 3, 3))
    L -= np.trace(L, axis1=1, axis2=2)[:, None, None] * np.eye(3) / 3
    L *= 1e-3 / (np.sqrt(2 / 3) * np.linalg.norm((L + np.swapaxes(L, 1, 2)) / 2, axis=(1, 2), keepdims=True))
    start = np.zeros((n, 12))
    start[:, 5:9], start[:, 11] = Rotation.random(n, random_state=0).as_quat(), crystal._forest() * 1e6
    target = {8: 1.0, 4: 1.5, 2: 4.5}
    for lanes, unit in ((8, "AVX-512"), (4, "AVX2"), (2, "baseline")):
        if lanes > most_lanes():
            continue
        found = {}
        for with_tangent in (False, True):
            law, state, taken = crystal._grain_law(0.1, lanes=lanes), start.copy(), []
            for dt in [0.1] * 20 + [4.0] * 8:
                began = process_time()
                law.step(L, np.array([dt]), state, with_tangent)
                taken.append(1e6 * (process_time() - began) / n)
            found[with_tangent] = np.mean(taken[:20]), np.median(taken[20:])
        beside = f"in the knee {found[False][0]:.2f}; with tangent {found[True][1]:.2f} and {found[True][0]:.2f}"
        title = f"step of many grains, {unit}: microseconds per grain"
        yield Figure(SECTION, title, found[False][1], ("<=", target[lanes]), beside)


def deviator_of(stress):
    """Components of the deviators of stresses (n, 6) whose squares add up to theirs."""
    return np.hstack([stress[:, :3] - stress[:, :3].mean(axis=1, keepdims=True), np.sqrt(2) * stress[:, 3:]])


def grain_steps_against_adaptive(directory):
    """One step for each record against the converged adaptive method, by the tolerance that cuts steps."""
    for name, wanted in (("const", 1e-4), ("paths", 1.1e-3)):
        data = np.load(Path(directory) / f"neml_any_{name}_km.npz")
        given = (Rotation.from_quat(data["quaternion"][:, 0]), data["time"])
        options = {"velocity_gradient": data["L"].astype(float)}
        exact = simulate(*given, tol=1e-7, **options)
        size = np.linalg.norm(deviator_of(exact[:, -1, :6]), axis=1)
        for tol in (3e-5, 1e-3, 1e-2, 3e-2, 1e-1):
            began = process_time()
            state = simulate(*given, tol=tol, **options)
            step = 1e6 * (process_time() - began) / state[:, 1:, 0].size
            apart = np.linalg.norm(deviator_of(state[:, -1, :6] - exact[:, -1, :6]), axis=1) / size
            density = state[:, -1, 6] / exact[:, -1, 6] - 1
            turned = misorientation(state[..., 5:], exact[:, -1, 7:])
            beside = (
                f"median {np.median(apart):.1e}, greatest {apart.max():.1e}; density, mean {density.mean():.1e}; "
                f"{turned.mean():.1e} degrees; {step:.2g} microseconds a step"
            )
            target = ("<=", wanted) if tol >= 1e-2 else None
            title, rms = f"any L, {name}, tol={tol:g}: final deviator, rms", np.sqrt(np.mean(apart**2))
            yield Figure(SECTION, title, rms, target, beside)


def figures(directory=None):
    """Speed; with a directory also the comparison."""
    yield from speed()
    yield from grain_steps()
    if directory:
        yield from against_solver(directory)
        yield from any_against_solver(directory)
        yield from grain_steps_against_adaptive(directory)
    else:
        print(f"{SECTION}: comparison left out, no --plasticity DIRECTORY given")
