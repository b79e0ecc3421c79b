"""Crystals that fill the table of axial loading where the law of a simulation describes the records.

A law that a few crystals tell is followed to as many simulated ones as the table needs. Tried first: the law itself
stepped in place of the table, which is 5 to 10 times slower under uniaxial stress, where strains across are solved for;
and the law read off rates, as under any loading, for which the full constraint records too few stresses.
"""

import warnings
from typing import NamedTuple

import numpy as np
from scipy.optimize import least_squares
from scipy.spatial.transform import Rotation

from skmerge._orientation import inverse, product, quaternion_of, rotation_vector
from skmerge._plasticity.held_out import ENOUGH_TRAJECTORIES, held_out, plane_of, validate
from skmerge.crystal import Crystal, simulate

FEWEST, MOST_FITTED, MOST_TESTED = 5, 12, 20  # trajectories
AT_REST = 1e-2  # of the greatest stress: a path that begins above has a past that is not recorded
GOOD = 0.03  # errors of stress, over its size, and of the logarithm of the density, that a law may have
GOOD_TURN = 0.1, np.radians(0.1)  # errors of the lattice: share of what it turns, and rad
NOISE = 2.0  # times the turn between two records, which is the scatter of noisy orientations, is allowed as well
ALIKE = 0.2  # in the triangle, about 10 degrees: crystals within it tell nothing of others
MOST_STRANGE = 0.2  # of the trajectories may be left out
CONSTANTS = "C11", "C12", "C44", "rate_exponent", "tau0", "forest_coefficient", "k1", "k2"
# Crystals that fill the table. 400 and 800 of NEML's law, learned from ten, err by 0.84 and 0.24 % of the stress along
# 100 other paths, 1600 as 800 do; long paths take fewer, so that a fit ends.
MOST_CRYSTALS, FEWEST_CRYSTALS, MOST_RECORDS = 800, 100, 100_000
TOL, ROUNDS, LOST = 1e-3, 30, 10.0
DENSITY_WEIGHT = 0.5


class Paths(NamedTuple):
    """Trajectories of one length; the shorter ones stay at their last strain, which takes no time."""

    strain: np.ndarray  # (n, n_steps)
    state: np.ndarray  # (n, n_steps, 5)
    recorded: np.ndarray  # (n, n_steps), of bool

    def part(self, which):
        return Paths(*(one[which] for one in self))


class Law(NamedTuple):
    """A law that describes records."""

    crystal: Crystal
    loading: str  # of `simulate`
    fitted: np.ndarray  # trajectories (n,) of bool that it was fitted to
    error: np.ndarray  # of others: stress over its size, logarithm of density, lattice in rad (root mean squares)
    strange: np.ndarray  # numbers of trajectories that it does not describe, while it does the others

    @property
    def texts(self):
        """g in MPa and drho/dGamma in 1/m^2, as any loading prints them."""
        c = self.crystal
        return (
            f"g = {c.resistance(1.0) - c.tau0:.3g} rho^0.50 + {c.tau0:.3g}",
            f"drho/dGamma = {c.k1:.3g} rho^0.50 - {c.k2:.3g} rho",
        )


def training(records, axis, memory, learner, seed, task):
    """What the table learns from: strain, states and groups; memory; attributes of a PlasticityPropagator; problems.

    ``records``: strain, states and groups as recorded; ``seed``: of the crystals of a law, None for none. A law must
    predict trajectories that it was not fitted to; from ENOUGH_TRAJECTORIES on better than a table of the others does.
    """
    memories, found, problems, least = (False, True) if memory == "auto" else (bool(memory),), {}, [], np.inf
    memory, held = memories[0], np.zeros(records[2][-1] + 1, bool)
    if len(held) >= ENOUGH_TRAJECTORIES:
        held = held_out(*records[1:])
        memory, found, problems, least = validate(*records, axis, memories, learner, task)
    if seed is None:
        return records, memory, found, problems
    stage = task.begin("law of slip")
    law, text = law_of(*records, axis, held)
    stage.end(text)
    if law is None:
        return records, memory, found, problems
    crystals = more_crystals(law, *records, axis, seed)
    memories = memories[:1] if law.loading == "uniaxial" else memories  # without a choice of systems to remember
    tested = held if held.any() else ~law.fitted
    tested[law.strange] = False
    checked = validate(*records, axis, memories, None, task, tested, crystals)
    if checked.score >= least:
        return records, memory, found, problems
    told = list(checked.problems)
    if len(law.strange):
        which = ", ".join(map(str, law.strange[:10]))
        told.append(
            f"trajectories {which} are no part of the law that describes the others (stress within "
            f"{law.error[0]:.1%}): another material or unit, or a wrong orientation? The law was learned without them."
        )
    found = checked.fitted | {"laws_": law.texts, "held_out_error_": float(law.error[0])}
    found["law_constants_"] = {name: float(getattr(law.crystal, name)) for name in CONSTANTS}
    return crystals, checked.memory, found, told


def paths_of(strain, state, group):
    begin = np.append(np.flatnonzero(np.r_[True, group[1:] != group[:-1]]), len(group))
    lengths = np.diff(begin)
    at = begin[:-1, None] + np.minimum(np.arange(lengths.max()), lengths[:, None] - 1)
    return Paths(strain[at], state[at], np.arange(lengths.max()) < lengths[:, None])


def law_of(strain, state, group, axis, held=None):
    """The Law that describes records and a text about it, or None and why not.

    It is fitted to up to half of the trajectories, none of those of ``held`` (n,), and tested on others.
    """
    paths = paths_of(strain, state, group)
    n, stress = len(paths.strain), paths.state[..., 0]
    held = np.zeros(n, bool) if held is None else held
    if n < FEWEST or (np.abs(stress[:, 0]) > AT_REST * np.abs(stress).max()).any():
        return None, "no law of slip sought: too few trajectories, or one begins under stress"
    if spread(paths.state[:, 0], axis) < ALIKE:
        return None, "no law of slip sought: orientations too much alike to tell of others"
    order = np.lexsort(paths.state[:, 0].T)  # not that of the records
    able = order[~held[order]]
    chosen = able[np.unique(np.linspace(0, len(able) - 1, min(MOST_FITTED, (n + 1) // 2, len(able))).astype(int))]
    others = order[~np.isin(order, chosen)]
    others = others[np.unique(np.linspace(0, len(others) - 1, min(MOST_TESTED, len(others))).astype(int))]
    best = None
    for loading in ("uniaxial", "taylor"):
        crystal, cost = fitted_crystal(paths.part(chosen), loading, axis)
        if best is None or cost < best[1]:
            best = crystal, cost, loading
    crystal, _, loading = best
    every = np.r_[chosen, others]
    each = np.array([errors_of(crystal, paths.part([i]), loading, axis)[0] for i in every])
    strange = every[each > GOOD]
    if len(strange) and len(strange) <= MOST_STRANGE * len(every) and np.median(each) < GOOD / 3:
        chosen, others = (part[~np.isin(part, strange)] for part in (chosen, others))
        crystal, _ = fitted_crystal(paths.part(chosen), loading, axis)
    else:
        strange = strange[:0]
    error = errors_of(crystal, paths.part(others), loading, axis)
    turned = turns(paths.state[:, :1], paths.state)[paths.recorded].mean()
    noise = np.median(turns(paths.state[:, :-1], paths.state[:, 1:])[paths.recorded[:, 1:]])
    limits = GOOD, GOOD, max(GOOD_TURN[0] * turned, GOOD_TURN[1], NOISE * noise)
    text = f"stress {error[0]:.2%}, density {error[1]:.2%}, lattice {np.degrees(error[2]):.2g} degrees off"
    if not (error < limits).all():
        allowed = f"{GOOD:.0%} and {np.degrees(limits[2]):.2g} degrees allowed"
        return None, f"no law of slip found: the best is {text}, {allowed}"
    law = Law(crystal, loading, np.isin(np.arange(n), chosen), error, np.sort(strange))
    return law, f"{'; '.join(law.texts)}; {loading}, {text}"


def spread(start, axis):
    """Greatest distance between loading axes in the stereographic triangle, of states (n, 5)."""
    plane = plane_of(start, axis)
    return np.linalg.norm(plane[:, None] - plane, axis=-1).max()


def more_crystals(law, strain, state, group, axis, seed):
    """Strain, states and groups of simulated crystals of random orientation, along the recorded paths in turn."""
    paths = paths_of(strain, state, group)
    n = int(np.clip(MOST_RECORDS // paths.strain.shape[1], FEWEST_CRYSTALS, MOST_CRYSTALS))
    which = np.arange(n) % len(paths.strain)
    angles = Rotation.random(n, random_state=seed).as_euler("ZXZ")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = simulate(
            angles, paths.strain[which], crystal=law.crystal, loading=law.loading, axis=axis,
            rho0=paths.state[which, 0, 1],
        )  # fmt: skip
    kept = paths.recorded[which] & np.isfinite(found).all(axis=(1, 2))[:, None]
    rows, _ = np.nonzero(kept)
    return paths.strain[which][kept], found[kept], np.unique(rows, return_inverse=True)[1]


def follow(crystal, paths, loading, axis):
    with warnings.catch_warnings():  # what a bad guess makes of crystals is in the residuals
        warnings.simplefilter("ignore")
        return simulate(
            paths.state[:, 0, 2:], paths.strain, crystal=crystal, loading=loading, axis=axis,
            rho0=paths.state[:, 0, 1], tol=TOL, max_substeps=200,
        )  # fmt: skip


def fitted_crystal(paths, loading, axis):
    """The Crystal of least squares of stress and density, and their sum."""
    keep = paths.recorded
    stress, density = paths.state[..., 0][keep], np.log(paths.state[..., 1][keep])
    size, range_of_density = np.sqrt(np.mean(stress**2)), max(density.std(), 1e-6)

    def crystal_of(x):
        tau0, forest, k1, k2, n, c, C44 = np.exp(x)
        # Paths along one axis do not tell the bulk modulus: that of an isotropic crystal of Poisson's ratio 0.35.
        C12 = c * 7 / 6
        constants = {"tau0": tau0, "forest_coefficient": forest, "k1": k1, "k2": k2, "rate_exponent": 1 + n}
        return Crystal(C12 + c, C12, C44, **constants)

    def residual(x):
        try:
            found = follow(crystal_of(x), paths, loading, axis)[keep]
        except ValueError:
            return np.full(2 * len(stress), LOST)
        with np.errstate(invalid="ignore", divide="ignore"):
            of_density = (np.log(found[:, 1]) - density) / range_of_density
            left = np.r_[(found[:, 0] - stress) / size, DENSITY_WEIGHT * of_density]
        return np.clip(np.nan_to_num(left, nan=LOST, posinf=LOST, neginf=-LOST), -LOST, LOST)

    x = first_guess(paths, loading, axis, size)
    far = np.log([1e3, 1e3, 1e3, 1e3, 1e3, 5.0, 5.0])  # elastic constants are known to a factor from the first steps
    bounds = x - far, x + far
    bounds[1][4] = np.log(100.0)
    options = {"bounds": bounds, "diff_step": 1e-3, "x_scale": 0.3, "max_nfev": ROUNDS, "ftol": 1e-6, "f_scale": 0.05}
    with warnings.catch_warnings():  # of constants that are tried
        warnings.simplefilter("ignore")
        found = least_squares(residual, x, loss="soft_l1", **options)
        # Trajectories of something else count less and less as the fit to the others gets better.
        found = least_squares(residual, found.x, loss="cauchy", **options)
        return crystal_of(found.x), found.cost


def first_guess(paths, loading, axis, size):
    """Logarithms of the constants of `Crystal`, in the units of the records: stress, modulus and density."""
    usual = Crystal()
    found = np.nan_to_num(follow(usual, paths, loading, axis))
    of_stress = size / np.sqrt(np.mean(found[..., 0][paths.recorded] ** 2))
    of_root = np.sqrt(paths.state[..., 1].max() / max(found[..., 1].max(), 1e-300))
    change = np.diff(paths.strain)
    change = np.where(change == 0, np.inf, change)
    slopes = [np.abs(np.diff(one[..., 0], axis=1) / change).max(axis=1) for one in (paths.state, found)]
    stiff = np.median(slopes[0] / slopes[1])
    values = usual.tau0 * of_stress, usual.forest_coefficient * of_stress / of_root, usual.k1 * of_root, usual.k2
    return np.log([*values, usual.rate_exponent - 1, (usual.C11 - usual.C12) * stiff, usual.C44 * stiff])


def errors_of(crystal, paths, loading, axis):
    """Root mean squares over the records: stress over its size, logarithm of the density, lattice in rad."""
    found, keep = follow(crystal, paths, loading, axis), paths.recorded
    if not np.isfinite(found[keep]).all():
        return np.full(3, np.inf)
    change = (found - paths.state)[..., 0][keep]
    density = np.log(found[..., 1] / paths.state[..., 1])[keep]
    lattice = turns(paths.state, found)[keep]
    size = np.mean(paths.state[..., 0][keep] ** 2)
    return np.sqrt([np.mean(change**2) / size, np.mean(density**2), np.mean(lattice**2)])


def turns(one, other):
    """Angles in rad between the orientations of states (n, n_steps, 5)."""
    one, other = np.broadcast_arrays(one, other)
    first, second = (quaternion_of(part[..., 2:].reshape(-1, 3)) for part in (one, other))
    return np.linalg.norm(rotation_vector(product(inverse(first), second)), axis=1).reshape(one.shape[:-1])
