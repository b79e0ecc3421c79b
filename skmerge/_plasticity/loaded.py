"""Crystals under any velocity gradient: the law of slip, read off records and stepped for many grains at once."""

import warnings
from dataclasses import dataclass

import numpy as np
from scipy.interpolate import make_smoothing_spline
from scipy.spatial.transform import Rotation

from skmerge._ext.crystal_stepping import LOST, OUTSIDE
from skmerge._ext.grain_stepping import GrainLaw
from skmerge._lattice import STEP_TOL, AtPoints, deviator, slip_systems, symmetric, tensors
from skmerge._orientation import (
    JUMP,
    PROPER,
    angles_of,
    inverse,
    product,
    quaternion_of,
    unwrapped_angles,
    without_symmetry_jumps,
)
from skmerge._parallel import in_blocks
from skmerge._plasticity import forms, grain_file
from skmerge._plasticity.records import check_outs, complete, numbers
from skmerge._plasticity.refinement import NOISY, refined, without_volume
from skmerge._plasticity.slip_law import SLIP_RATE, Records, identified, state_rows
from skmerge._text import warn
from skmerge.crystal import check_gradients
from skmerge.net import MergedNetRegressor

# Attributes of this kind alone, which a fit of another one does not keep.
ALONE = "laws_", "law_constants_", "misfit_", "held_out_error_", "hardening_", "stiffness_", "schmid_", "lattice_spin_"
CHUNK_GRAIN_STEPS = 200_000  # between two reports of progress
SAME_DENSITY, FEWEST_DENSITIES = 1e-6, 5  # relative difference of sqrt(rho) that counts; different ones in flow
BINS, NODES = 150, 65  # of records in flow from which a law is read; of the tables that are stepped
BEYOND = 0.5  # of the trained range of sqrt(rho), at either end, to which a law found is followed
LAW_TERMS = 1, 2  # more follow the small errors of rates at the edges of the records
AS_GOOD, NEGLIGIBLE = 1.5, 2e-3  # times the error of a spline, and share of the mean, that a law may miss
SCATTERED = 0.05  # of the mean: scatter of g among records of like density that is told
NO_LATTICE = 10.0  # degrees that 1 % of noise in stress and half a degree in orientation do not make
WRONG_LATTICE, CLEAR = 3.0, 0.5  # degrees; times the misfit that another lattice has
WRONG_STRESS = 0.1  # error of held-out crystals, over the stress, that is told
ENOUGH_CRYSTALS, FOLDS = 10, 5  # from so many on they are held out, a fifth at a time
STRAIN_BINS, SMOOTHED = 24, 3  # of the table of errors; bins at either side that are averaged
FEWEST_CRYSTALS, FEWEST_RECORDS = 2, 3
WIDTH = {"bunge": 10, "quaternion": 11}
SAME_SYSTEM = 1e-6  # of the product of two Schmid tensors, which is 1 or -1 for the same system
OVERLOAD = 1.5  # resolved stress over g, beyond which a state is no trained one
MARGIN = 0.1  # of the trained range of sqrt(rho): within it, a state is no stranger
MOST_STIFF = 5000.0  # GPa
VOLUME = 1e-6  # change of volume of a path, 0.1 MPa of pressure in copper: less is rounding, as of single precision


@dataclass(frozen=True)
class States:
    """States of any shape (...,): stress (..., 6) in MPa, density (...), quaternions (..., 4), and their form."""

    stress: np.ndarray
    density: np.ndarray
    quaternion: np.ndarray
    angles: np.ndarray | None  # (..., 3), where they were given

    @classmethod
    def read(cls, name, value, orientation, allow_nan=False):
        """From columns of six stresses, density and Bunge angles or a quaternion, or from a pair with a Rotation."""
        check = (lambda n, v: numbers(n, v, ensure_all_finite="allow-nan")) if allow_nan else complete
        if forms.is_rotation_pair(value):
            values, quaternion = check(f"{name}[0]", value[0]), forms.quaternions(name, value[1])
            if values.ndim < 2 or values.shape[-1] != 7 or values.size // 7 != quaternion.size // 4:
                raise ValueError(
                    f"{name} is a pair: its first part needs seven columns, stresses xx, yy, zz, yz, xz, xy and "
                    f"density, its second part one rotation for each row; got {values.shape} and "
                    f"{quaternion.size // 4} rotations."
                )
            return cls(values[..., :6], values[..., 6], quaternion.reshape(*values.shape[:-1], 4), None)
        forms.check_no_other_parts(name, value)
        values, width = check(name, value), WIDTH[orientation]
        if values.ndim < 2 or values.shape[-1] != width:
            last = "phi1, Phi, phi2" if width == 10 else "quaternion x, y, z, w"
            raise ValueError(
                f'{name} must have {width} columns with loading="any" and orientation="{orientation}": stresses xx, '
                f"yy, zz, yz, xz, xy, density, {last}; got shape {values.shape}."
            )
        turn = values[..., 7:]
        if width == 11:
            known = np.isfinite(turn).all(axis=-1)
            quaternion = turn.copy()
            quaternion[known] = forms.unit(name, turn[known])
            return cls(values[..., :6], values[..., 6], quaternion, None)
        quaternion = quaternion_of(turn.reshape(-1, 3)).reshape(*turn.shape[:-1], 4)
        return cls(values[..., :6], values[..., 6], quaternion, turn)

    def part(self, which):
        angles = None if self.angles is None else self.angles[which]
        return States(self.stress[which], self.density[which], self.quaternion[which], angles)


def check_units(states):
    """Raise for densities that are not positive; warn if units seem to be others."""
    density = states.density[np.isfinite(states.density)]
    if not len(density) or density.min() <= 0:
        raise ValueError(f"densities must be positive, in 1/m^2; got {density.min(initial=np.inf):g}.")
    if density.max() < 1e7:
        warn(f"densities are {density.max():g} at most, which looks like 1/um^2; give 1/m^2, 1e12 times that.")
    if np.nanmax(np.abs(states.stress)) > 1e5:
        warn(f"stresses reach {np.nanmax(np.abs(states.stress)):.4g}, which looks like Pa; give MPa, 1e-6 times that.")
    if states.angles is not None and np.nanmax(np.abs(states.angles)) > 8 * np.pi:
        warn(f"angles reach {np.nanmax(np.abs(states.angles)):.4g}, which looks like degrees; give rad.")


def check_ends(states):
    """Raise for trajectories with NaN before their end, or of fewer than three records."""
    good = np.isfinite(states.stress).all(axis=-1) & np.isfinite(states.density)
    good &= np.isfinite(states.quaternion).all(axis=-1)
    bad = np.flatnonzero(
        (good[:, 1:] > good[:, :-1]).any(axis=1) | (good[:, :FEWEST_RECORDS].sum(axis=1) < FEWEST_RECORDS)
    )
    if len(bad):
        raise ValueError(
            f"state: trajectory {bad[0]} has NaN before its end, or fewer than {FEWEST_RECORDS} records; leave it out."
        )


def check_load(time, velocity_gradient, n, n_steps):
    """Times (1 or n, T) and velocity gradients (1 or n, T - 1, 3, 3); ``n_steps``: T where it is known."""
    if velocity_gradient is None:
        raise ValueError('loading="any" needs velocity_gradient, L = dv/dx in 1/s between the records.')
    for name, value in {"strain": time, "velocity_gradient": velocity_gradient}.items():
        if not np.isfinite(numbers(name, value, ensure_all_finite=False)).all():
            raise ValueError(f"{name} holds NaN or infinity; give finite numbers, after the end of a trajectory too.")
    time, gradient = check_gradients(time, velocity_gradient, n)
    if n_steps is not None and time.shape[1] != n_steps:
        raise ValueError(f"strain, the time, has {time.shape[1]} records, and state {n_steps}; give one for each.")
    return time, gradient


def learn(time, velocity_gradient, state, orientation, lattice, stiffness, seed):
    """Attributes of a PlasticityPropagator, and warnings.

    ``seed``: of the search for laws; the others as `fit_trajectories` and the parameters have them.
    """
    states = States.read("state", state, orientation, allow_nan=True)
    if states.density.ndim != 2:
        raise ValueError(f"state must have shape (n_trajectories, n_steps, n_variables), got {states.stress.shape}.")
    n, T = states.density.shape
    if n < FEWEST_CRYSTALS:
        raise ValueError(f"state holds {n} trajectory; give {FEWEST_CRYSTALS} or more.")
    check_units(states)
    time, gradient = check_load(time, velocity_gradient, n, T)
    check_ends(states)
    systems, told = slip_systems(lattice), []
    ended = np.isnan(states.density)[..., None]
    quaternion, jumped = without_jumps(np.where(ended, np.nan, states.quaternion), systems)
    if jumped:
        told.append(jumped)
    records = Records(
        np.broadcast_to(time, (n, T)), np.broadcast_to(gradient, (n, T - 1, 3, 3)), states.stress,
        np.sqrt(states.density), quaternion,
    )  # fmt: skip
    if np.nanmax(records.root) <= (1 + SAME_DENSITY) * np.nanmin(records.root):
        raise ValueError(
            f"state: the density is constant at {np.nanmax(states.density):.4g}. If it only fills the column, give a "
            "quantity that hardens the crystal instead, for example the square of the slip resistance."
        )
    known = None if stiffness is None else in_parts(stiffness)
    fitted, more = law_of(records, systems, known, seed)
    fitted["n_features_in_"] = WIDTH[orientation]
    told += more + other_lattices(records, lattice, fitted)
    if n >= ENOUGH_CRYSTALS:
        more, errors = cross_validated(records, systems, known)
        fitted |= errors
        told += more
    return fitted, told


def without_jumps(quaternion, systems):
    """Orientations (n, T, 4) without jumps to equivalent ones, and a text about them or None.

    Slip systems of the user's own may lack the cubic symmetry; then no orientations are equivalent.
    """
    schmid = np.einsum("ai,aj->aij", systems[1], systems[0])
    turned = PROPER[:, None] @ schmid @ np.swapaxes(PROPER, 1, 2)[:, None]
    if np.abs(np.einsum("paij,bij->pab", turned, schmid)).max(axis=2).min() < 1 - SAME_SYSTEM:
        return quaternion, None
    n, T = quaternion.shape[:2]
    rows = np.flatnonzero(np.isfinite(quaternion).all(axis=2).ravel())
    group = rows // T
    paths, jumps, left = without_symmetry_jumps(quaternion.reshape(-1, 4)[rows], group)
    if not len(jumps):
        return quaternion, None
    if left.max() > JUMP:
        i = rows[jumps[np.argmax(left > JUMP)]]
        raise ValueError(
            f"state: the lattice of trajectory {i // T} turns by {np.degrees(left[left > JUMP][0]):.0f} degrees from "
            f"record {i % T} to the next, reduced by cubic symmetry. Check the columns and units of the orientation, "
            "or record more steps."
        )
    whole = quaternion.reshape(-1, 4).copy()
    whole[rows] = paths
    first = rows[jumps[0]]
    return whole.reshape(quaternion.shape), (
        f"in {len(np.unique(group[jumps]))} of {n} trajectories the orientation jumps to one that is equal by cubic "
        f"symmetry, the first time from record {first % T} to the next of trajectory {first // T}; the jumps were "
        "undone."
    )


def in_parts(stiffness):
    """C11 - C12, 2 C44 and the bulk modulus in MPa."""
    c = numbers("stiffness", stiffness)
    if c.shape != (3,) or not (c[0] > c[1] and c[2] > 0 and c[0] + 2 * c[1] > 0):
        raise ValueError(
            f"stiffness must be C11, C12, C44 in GPa with C11 > C12, C11 + 2 C12 > 0 and C44 > 0, got {stiffness!r}."
        )
    if c[0] > MOST_STIFF:
        warn(f"stiffness: C11 = {c[0]:g} GPa is beyond any crystal; elastic constants are in GPa.")
    return 1e3 * np.array([c[0] - c[1], 2 * c[2], (c[0] + 2 * c[1]) / 3])


def law_of(records, systems, stiffness, seed):
    """Fitted attributes, and texts about them; without ``seed`` by splines, which is quick."""
    first, told = identified(records, systems, stiffness), []
    found = refined(records, systems, first)
    if found is first and first.misfit >= NOISY:
        told.append(
            "the records seem to be noisy, and fewer than half of the trajectories are whole, so that the law rests on "
            "rates alone: the exponent may be too low."
        )
    P, spin = tensors(*systems)
    root, g, k = binned(found.root, found.resistance, found.storage)
    low, high = float(np.nanmin(records.root)), float(np.nanmax(records.root))
    about = ("g", "the slip resistance g", True), ("drho/dGamma", "the storage of dislocations", False)
    curves, texts = [], []
    for is_storage, (value, (name, words, intercept)) in enumerate(zip((g, k), about, strict=True)):
        one, law = curve(root, value, seed, intercept, is_storage)
        curves.append(one)
        texts.append(f"{name} = a spline of sqrt(rho)" if law is None else text_of(law, name))
        if law is None and seed is not None:
            told.append(f"no short law of the density describes {words}; a spline does, within the trained densities.")
    width = BEYOND * (high - low) if all(one.is_law for one in curves) else 0.0
    nodes = np.linspace(max(low - width, 0.05 * low), high + width, NODES)
    table = [part for one in curves for part in one.at(nodes)]
    if table[0].min() <= 0:
        nodes = np.linspace(low, high, NODES)
        table = [part for one in curves for part in one.at(nodes)]
    if not (np.isfinite(table).all() and table[0].min() > 0):
        raise ValueError(
            "state: the slip resistance read off the records is not positive at all trained densities; check the units "
            "of stress (MPa) and density (1/m^2), the lattice, and the orientations (crystal to sample)."
        )
    spread = np.std(found.resistance - curves[0].at(found.root)[0]) / found.resistance.mean()
    if spread > SCATTERED:
        told.append(
            f"at like densities the slip resistance scatters by {100 * spread:.0f} %: it depends on something that is "
            "not in the state, such as densities of single systems or back stress, or the records are noisy."
        )
    return {
        "stiffness_": found.stiffness,
        "exponent_": found.exponent,
        "hardening_": np.concatenate([[nodes[0], nodes[1] - nodes[0]], *table]),
        "grid_": np.array([low, high]),
        "schmid_": P,
        "lattice_spin_": spin,
        "laws_": tuple(texts),
        "misfit_": found.misfit,
        "part_": np.zeros(2, np.int32),
        "memory_": False,
        "estimator_": None,
    }, told


def binned(root, *values):
    """Medians of at most BINS parts of like density, sorted."""
    order = np.argsort(root, kind="stable")
    parts = np.array_split(order, min(BINS, max(len(order) // 5, 5)))
    x, *found = (np.array([np.median(one[part]) for part in parts]) for one in (root, *values))
    place = np.unique(np.floor((x - x[0]) / (SAME_DENSITY * x[-1])), return_inverse=True)[1]
    count = np.bincount(place)
    if len(count) < FEWEST_DENSITIES:
        raise ValueError(
            f"state: the records in flow have {len(count)} different densities; the laws of the density need "
            f"{FEWEST_DENSITIES} or more. Give records in which the density changes, with all its digits."
        )
    return tuple(np.bincount(place, one) / count for one in (x, *found))


def text_of(law, name):
    """The printed law, rho being its only feature."""
    return law.formula(["rho"], target_names="g").text.replace("g =", f"{name} =")


class Curve:
    """g or k = d sqrt(rho) / dGamma as a function of sqrt(rho)."""

    def __init__(self, value, slope, is_law):
        self.value, self.slope, self.is_law = value, slope, is_law

    def at(self, root):
        return self.value(root), self.slope(root)


def curve(root, value, seed, intercept, is_storage):
    """A Curve of values at sqrt(rho), and the law behind it: the shortest that errs no more than a spline, or None."""
    unit = root[-1]
    spline = make_smoothing_spline(root / unit, value)
    slope = spline.derivative()

    def within(x):
        return np.clip(x, root[0], root[-1])

    smooth = Curve(
        lambda x: spline(within(x) / unit),
        lambda x: np.where(within(x) == x, slope(within(x) / unit) / unit, 0.0),
        False,
    )
    target = 2 * root * value if is_storage else value  # drho / dGamma
    for n_nodes in LAW_TERMS if seed is not None else ():
        law = fitted_law(root[:, None] ** 2, target, intercept, n_nodes, seed)
        one = curve_of_law(law, is_storage)
        error, least = (np.sqrt(np.mean((f(root) - value) ** 2)) for f in (one.value, smooth.value))
        if len(law.A_) == 1 and error <= AS_GOOD * least + NEGLIGIBLE * np.abs(value).mean():
            return one, law
    return smooth, None


def fitted_law(X, y, intercept, n_nodes, seed):
    """A MergedNetRegressor; what it warns of is of no interest, since a law that is no good is not used."""
    net = MergedNetRegressor(n_nodes=n_nodes, intercept=intercept, functions=(), link="identity", random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return net.fit(X, y)


def curve_of_law(law, is_storage):
    """That of a fitted net of rho: g, or drho / dGamma = 2 sqrt(rho) k."""

    def value(x):
        y = law.predict(x[:, None] ** 2)
        return y / (2 * x) if is_storage else y

    def slope(x):
        by_rho = law.predict_gradient(x[:, None] ** 2)[:, 0]
        return by_rho - law.predict(x[:, None] ** 2) / (2 * x * x) if is_storage else 2 * x * by_rho

    return Curve(value, slope, True)


def other_lattices(records, lattice, fitted):
    """A warning if the plastic strain is not what the systems can do, with the lattice that fits better."""
    misfit = fitted["misfit_"]
    if misfit <= WRONG_LATTICE:
        return []
    better = []
    for name in ("fcc", "bcc"):
        if name != lattice:
            try:
                other = identified(records, slip_systems(name), fitted["stiffness_"])
            except ValueError:  # its records in flow may be too few
                continue
            better += [f'lattice="{name}" misses it by {other.misfit:.2g}'] * (other.misfit < CLEAR * misfit)
    if not better and misfit < NO_LATTICE:  # noise does that
        return []
    hint = (
        "; ".join(better)
        or "check the lattice, the order of stresses, noise, and that orientations are crystal to sample"
    )
    return [
        f"the plastic strain of the records is not that of the slip systems: its direction differs by {misfit:.2g} "
        f"degrees (median); {hint}."
    ]


class Loaded:
    """The fitted law, stepped."""

    NAMES = "stiffness_", "exponent_", "hardening_", "grid_", "schmid_", "lattice_spin_"

    def __init__(self, fitted, tol=None):
        self.fitted = fitted
        stiffness = np.array(fitted["stiffness_"])
        self.keeps_volume = np.isnan(stiffness[2])
        stiffness[2] = 1.0 if self.keeps_volume else stiffness[2]
        self.root_c = np.sqrt(np.repeat(stiffness[:2], [2, 3]))
        table = np.ascontiguousarray(fitted["hardening_"])
        self.law = GrainLaw(
            fitted["schmid_"], fitted["lattice_spin_"], stiffness, np.array([fitted["exponent_"], SLIP_RATE]), None,
            table, tol=STEP_TOL if tol is None else tol,
        )  # fmt: skip

    def rows(self, states):
        """States (n,) as the compiled step takes them."""
        root = np.sqrt(states.density)
        return state_rows(states.stress, root, states.quaternion, self.fitted["stiffness_"])

    def propagate(self, state0, time, velocity_gradient, orientation, errors, out, n_jobs, reporter):
        """Paths, their standard deviations if ``errors`` are given, strain and squares, and flags of the grains.

        ``out``: an array for the paths, or None; the others as `PlasticityPropagator.propagate` has them.
        """
        if errors is not None and errors[1] is None:
            raise ValueError(
                f"return_std needs {ENOUGH_CRYSTALS} or more training trajectories, which are held out in turn."
            )
        states, pair = States.read("state0", state0, orientation), forms.is_rotation_pair(state0)
        if states.density.ndim != 1:
            raise ValueError(f"state0 must have shape (n_grains, n_variables), got {states.stress.shape[:-1]}.")
        check_units(states)
        n, form = len(states.density), "quaternion" if pair else orientation
        time, gradient = check_load(time, velocity_gradient, n, None)
        if pair and out is not None:
            raise ValueError("out takes no Rotation; give state0 as an array, with orientation in its columns.")
        if self.keeps_volume:
            change = np.abs(np.trace(gradient, axis1=-2, axis2=-1) * np.diff(time, axis=1)).sum(axis=1).max(initial=0.0)
            if change > VOLUME:
                raise ValueError(
                    f"velocity_gradient changes the volume (by up to {change:.2g} in all), and the training records "
                    "did not, so that the bulk modulus is unknown; fit with stiffness=(C11, C12, C44) in GPa."
                )
        shape = time.shape[1], n, WIDTH[form]
        out, std = check_outs(out, errors is not None, shape, (*shape[:2], 3) if pair else shape)
        flags = (OUTSIDE * ~self.inside(states)).astype(np.uint8)
        row, (low, high) = self.rows(states), self.trained

        def run(part, cancelled):
            own_time, own = (one[part] if len(one) > 1 else one for one in (time, gradient))
            steps = self.law.integrate(row[part], np.ascontiguousarray(own_time), np.ascontiguousarray(own), cancelled)
            root = steps.hardening[..., 0]
            with np.errstate(invalid="ignore"):
                strange = ((root < low) | (root > high)).any(axis=1)
            flags[part] |= (OUTSIDE * strange + LOST * (steps.failed > 0)).astype(np.uint8)
            out[:, part] = columns_of(steps, states.part(part), form)
            if errors is not None:
                three = standard_deviations(*errors, own, own_time, out[:, part, 6])
                std[:, part] = three if pair else std_of_columns(three, out[:, part], form)

        size = int(np.clip(CHUNK_GRAIN_STEPS // time.shape[1], 128, 8192))
        in_blocks(run, n, size, n_jobs, reporter, "grains propagated")
        if n and (flags & LOST).all():
            raise ValueError(
                "no step of any grain converged: state0 or velocity_gradient (1/s) are far beyond any crystal; check "
                "units, and shorten the steps of strain, the time (s)."
            )
        return (as_pair(out) if pair else out), std, flags

    def check_bulk(self):
        if self.keeps_volume:
            raise ValueError(
                "the training records keep the volume, so that the bulk modulus is unknown, which a finite-element "
                "program needs; fit with stiffness=(C11, C12, C44) in GPa."
            )

    def at_points(self):
        """The law as `Polycrystal` takes it."""
        self.check_bulk()
        return AtPoints(self.law, 1, np.sqrt, lambda root: root[..., 0] ** 2)

    def file_content(self):
        """The law as bytes for C programs."""
        self.check_bulk()
        fitted = self.fitted
        return grain_file.bytes_of(
            fitted["schmid_"], fitted["lattice_spin_"], fitted["stiffness_"], fitted["exponent_"], SLIP_RATE,
            fitted["hardening_"], fitted["grid_"], STEP_TOL,
        )  # fmt: skip

    @property
    def trained(self):
        """Range of sqrt(rho) within which a state is no stranger."""
        low, high = self.fitted["grid_"]
        return low - MARGIN * (high - low), high + MARGIN * (high - low)

    def inside(self, states):
        """Whether States (n,) lie within the trained states: density, and stress no greater than flow takes."""
        root, (low, high) = np.sqrt(states.density), self.trained
        m = (len(self.fitted["hardening_"]) - 2) // 4
        first, width = self.fitted["hardening_"][:2]
        g = np.interp(root, first + width * np.arange(m), self.fitted["hardening_"][2 : 2 + m])
        tau = np.abs((self.rows(states)[:, :5] * self.root_c) @ self.fitted["schmid_"]).max(axis=1)
        return (root >= low) & (root <= high) & (tau <= OVERLOAD * g)


def cross_validated(records, systems, stiffness):
    """Warnings, and errors of crystals that were not trained, by the equivalent strain that has passed."""
    n = len(records.root)
    # Not the order of the crystals but what they are decides which are together.
    place = np.argsort(np.argsort(records.quaternion[:, 0, 0], kind="stable"))
    found = []
    for fold in range(FOLDS):
        held = place % FOLDS == fold
        fitted, _ = law_of(records.part(~held), systems, stiffness, None)
        found.append(errors_of(Loaded(fitted), records.part(held)))
    passed, error, size = (np.concatenate(part) for part in zip(*found, strict=True))
    recorded, stepped = np.isfinite(size), np.isfinite(error).all(axis=-1)
    lost = (recorded & ~stepped).any(axis=1)
    if lost.all():
        return ["no held-out crystal could be stepped to its end: do not rely on this model."], {}
    passed, error, size, recorded = (part[~lost] for part in (passed, error, size, recorded))
    at = np.unique(np.quantile(passed[recorded], np.linspace(0, 0.98, STRAIN_BINS)))
    each = [
        [np.interp(at, p[r], e[r, k] ** 2, right=np.nan) for k in range(3)]
        for p, e, r in zip(passed, error, recorded, strict=True)
    ]
    squares = np.nanmean(each, axis=0).T
    # A grain errs while it passes between two vertices of the yield surface: soon or late, which is chance.
    smooth = [squares[max(i - SMOOTHED, 0) : i + SMOOTHED + 1].mean(axis=0) for i in range(len(at))]
    share = float(np.sqrt(np.mean(error[recorded, 0] ** 2) / np.mean(size[recorded] ** 2)))
    told = [f"{lost.sum()} of {n} held-out crystals could not be stepped to their end."] * bool(lost.any())
    if not share <= WRONG_STRESS:
        told.append(
            f"held-out crystals have errors of {100 * share:.0f} % of the stress (root mean squares, {n} crystals in "
            f"{FOLDS} folds): do not rely on this model. Usual causes: a wrong lattice, orientations from sample to "
            "crystal, a velocity gradient that is not that of the records, flow that depends on something that is not "
            "in the state."
        )
    return told, {"std_strain_": at, "std_squares_": np.array(smooth), "held_out_error_": share}


def errors_of(loaded, records):
    """Equivalent strain passed (n, T), errors (n, T, 3) of a stress component, of the logarithm of density and of the
    lattice in rad, and the size of a stress component (n, T); NaN after the end of a trajectory."""
    start = States(records.stress[:, 0], records.root[:, 0] ** 2, records.quaternion[:, 0], None)
    gradient, time = np.ascontiguousarray(without_volume(records.gradient)), np.ascontiguousarray(records.time)
    steps = loaded.law.integrate(loaded.rows(start), time, gradient, np.zeros(1, np.int32))
    passed = strain_passed(gradient, time)
    given, got = (deviator(symmetric(one)) for one in (records.stress, steps.stress))
    turn = product(inverse(records.quaternion), steps.orientation)
    error = [
        np.sqrt(((got - given) ** 2).sum(axis=0) / 5),
        np.log(steps.hardening[..., 0] ** 2 / records.root**2),
        2 * np.arcsin(np.minimum(np.linalg.norm(turn[..., :3], axis=-1), 1.0)),
    ]
    return passed, np.stack(error, axis=-1), np.sqrt((given**2).sum(axis=0) / 5)


def strain_passed(gradient, time):
    """Equivalent strain sqrt(2/3 D:D) of the deviator of D, added up, (n, T)."""
    L = without_volume(gradient)
    D = (L + np.swapaxes(L, -1, -2)) / 2
    steps = np.sqrt(2 / 3 * (D**2).sum(axis=(2, 3))) * np.diff(time, axis=1)
    return np.concatenate([np.zeros((len(steps), 1)), steps.cumsum(axis=1)], axis=1)


def standard_deviations(at, squares, gradient, time, density):
    """Standard deviations (T, n, 3) of a stress component, density and lattice in rad, by the equivalent strain."""
    passed = strain_passed(gradient, time)
    variance = np.stack([np.interp(passed, at, squares[:, k]) for k in range(3)], axis=-1)
    variance *= np.maximum(passed / max(at[-1], 1e-300), 1.0)[..., None] ** 2
    std = np.broadcast_to(np.sqrt(variance), (density.shape[1], *variance.shape[1:])).transpose(1, 0, 2).copy()
    std[..., 1] *= density
    return std


def columns_of(steps, start, orientation):
    """Steps as states (T, n, 10 or 11), their angles continuous from those of the start."""
    if orientation == "quaternion":
        turn = steps.orientation
    else:
        first = start.angles if start.angles is not None else angles_of(start.quaternion)
        turn = unwrapped_angles(steps.orientation, first)
    density = steps.hardening[..., :1] ** 2
    return np.concatenate([steps.stress, density, turn], axis=-1).transpose(1, 0, 2)


def std_of_columns(std, path, orientation):
    """Standard deviations of all columns from those of a stress, density and lattice (T, n, 3)."""
    five = forms.std_of_columns(std, path[..., 5:], orientation)
    # Errors in all five directions alike: of a normal component 2/3 of their variance, of a shear stress 1/2.
    stress = std[..., :1] * np.sqrt([2 / 3] * 3 + [1 / 2] * 3)
    return np.concatenate([stress, five[..., 1:]], axis=-1)


def as_pair(path):
    """Paths (T, n, 11) as a pair: stresses and density (T, n, 7), and a Rotation of n for each step."""
    return path[..., :7].copy(), [Rotation.from_quat(quaternion) for quaternion in path[..., 7:]]
