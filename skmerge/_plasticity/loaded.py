"""Crystals under any velocity gradient: the law of slip, identified from records, and stepped for many grains at once."""

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import make_smoothing_spline
from scipy.spatial.transform import Rotation

from skmerge._ext.crystal_stepping import LOST, OUTSIDE
from skmerge._ext.grain_stepping import GrainLaw
from skmerge._lattice import deviator, matrix_of, slip_systems, symmetric, tensors
from skmerge._orientation import angles_of, inverse, product, quaternion_of, rotation_vector, unwrapped_angles
from skmerge._parallel import in_blocks
from skmerge._plasticity import forms
from skmerge._plasticity.records import complete, numbers
from skmerge._plasticity.slip_law import SLIP_RATE, Records, identified

STEP_TOL = 0.03  # of a step: .016 % of the final deviator, see doc/crystal.md
CHUNK_GRAIN_STEPS = 200_000  # between two reports of progress
BINS, NODES = 150, 65  # of records in flow from which a law is read; of the tables that are stepped
BEYOND = 0.5  # of the trained range of sqrt(rho), at either end, to which a law found is followed
AS_GOOD, NEGLIGIBLE = 1.5, 2e-3  # times the error of a spline, and share of the mean, that a law may miss
SCATTERED = 0.05  # of the mean: scatter of g among records of like density that is told
WRONG_LATTICE, CLEAR = 3.0, 0.5  # degrees; times the misfit that another lattice has
WRONG_STRESS = 0.1  # error of held-out crystals, over the stress, that is told
ENOUGH_CRYSTALS, HELD_OUT = 10, 5  # from so many on every fifth is held out
STRAIN_BINS = 24
FEWEST_CRYSTALS = 2
MARGIN = 0.02  # of the trained range of sqrt(rho): within it, a state is no stranger
VOLUME = 1e-9  # change of volume of a path below which the bulk modulus does not matter


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
        if isinstance(value, (tuple, list)) and len(value) == 2 and forms.are_rotations(value[1]):
            values, quaternion = check(f"{name}[0]", value[0]), forms.quaternions(name, value[1])
            if values.ndim < 2 or values.shape[-1] != 7 or values.size // 7 != quaternion.size // 4:
                raise ValueError(
                    f"{name} is a pair: its first part needs seven columns, stresses xx, yy, zz, yz, xz, xy and density, "
                    f"its second part one rotation for each row; got {values.shape} and {quaternion.size // 4} rotations."
                )
            return cls(values[..., :6], values[..., 6], quaternion.reshape(*values.shape[:-1], 4), None)
        forms.check_no_other_parts(name, value)
        values, width = check(name, value), 10 if orientation == "bunge" else 11
        if values.ndim < 2 or values.shape[-1] != width:
            last = "phi1, Phi, phi2" if width == 10 else "quaternion x, y, z, w"
            raise ValueError(
                f'{name} must have {width} columns with loading="any" and orientation="{orientation}": stresses xx, yy, '
                f"zz, yz, xz, xy, density, {last}; got shape {values.shape}."
            )
        turn = values[..., 7:]
        if width == 11:
            known = np.isfinite(turn).all(axis=-1)
            quaternion = turn.copy()
            quaternion[known] = forms.unit(name, turn[known])
            return cls(values[..., :6], values[..., 6], quaternion, None)
        quaternion = quaternion_of(turn.reshape(-1, 3)).reshape(*turn.shape[:-1], 4)
        return cls(values[..., :6], values[..., 6], quaternion, turn)


def learn(time, gradient, states, lattice, stiffness, fit_law):
    """Attributes of a PlasticityPropagator, and warnings.

    From times (1 or n, T), velocity gradients (1 or n, T - 1, 3, 3) and States (n, T); ``stiffness``: C11, C12, C44 in
    GPa, or None; ``fit_law(name, X, y, intercept)``: a fitted MergedNetRegressor.
    """
    n, T = states.density.shape
    if n < FEWEST_CRYSTALS:
        raise ValueError(f"state holds {n} trajectory; give {FEWEST_CRYSTALS} or more.")
    records = Records(
        np.broadcast_to(time, (n, T)), np.broadcast_to(gradient, (n, T - 1, 3, 3)), states.stress,
        np.sqrt(states.density), states.quaternion,
    )  # fmt: skip
    systems, known = slip_systems(lattice), None if stiffness is None else in_parts(stiffness)
    fitted, told = law_of(records, systems, known, fit_law)
    told += other_lattices(records, lattice, fitted)
    if n >= ENOUGH_CRYSTALS:
        held = np.zeros(n, bool)
        held[np.lexsort(states.stress[:, -1].T)[:: HELD_OUT]] = True
        trial, _ = law_of(records.part(~held), systems, known, None)
        more, errors = held_out_errors(trial, records.part(held))
        fitted |= errors
        told += more
    return fitted, told


def in_parts(stiffness):
    """C11 - C12, 2 C44 and the bulk modulus in MPa."""
    c = numbers("stiffness", stiffness)
    if c.shape != (3,) or not (c[0] > c[1] and c[2] > 0 and c[0] + 2 * c[1] > 0):
        raise ValueError(f"stiffness must be C11, C12, C44 in GPa with C11 > C12 and C44 > 0, got {stiffness!r}.")
    return 1e3 * np.array([c[0] - c[1], 2 * c[2], (c[0] + 2 * c[1]) / 3])


def law_of(records, systems, stiffness, fit_law):
    """Fitted attributes, and texts about them; without ``fit_law`` by splines, which is quick."""
    found, told = identified(records, systems, stiffness), []
    P, spin = tensors(*systems)
    root, g, k = binned(found.root, found.resistance, found.storage)
    low, high = float(np.nanmin(records.root)), float(np.nanmax(records.root))
    at, (resistance, storage), names = np.array([low, high]), (g, k), ("", "")
    laws = [None, None]
    if fit_law is not None:
        about = ("g", g, True), ("drho_dGamma", 2 * root * k, False)
        laws = [fit_law(name, root[:, None] ** 2, value, intercept) for name, value, intercept in about]
        names = tuple(text_of(law, name) for law, (name, _, _) in zip(laws, about, strict=True))
    curves = [curve(root, value, law, is_storage) for is_storage, (value, law) in enumerate(zip((g, k), laws, strict=True))]
    is_law = [one.is_law for one in curves]
    if fit_law is not None:
        names = tuple(name if yes else f"{name.split(' = ')[0]} = a spline of sqrt(rho)" for name, yes in zip(names, is_law, strict=True))
        for name, yes in zip(("the slip resistance g", "the storage of dislocations"), is_law, strict=True):
            if not yes:
                told.append(f"no short law of the density describes {name}; a spline does, within the trained densities.")
    width = BEYOND * (high - low) if all(is_law) else 0.0
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
            f"at like densities the slip resistance scatters by {100 * spread:.0f} %: it depends on something that is not "
            "in the state, such as densities of single systems or back stress, or the records are noisy."
        )
    return {
        "stiffness_": found.stiffness,
        "exponent_": found.exponent,
        "hardening_": np.concatenate([[nodes[0], nodes[1] - nodes[0]], *table]),
        "grid_": np.array([low, high]),
        "schmid_": P,
        "lattice_spin_": spin,
        "laws_": names,
        "misfit_": found.misfit,
        "part_": np.zeros(2, np.int32),
        "memory_": False,
        "estimator_": None,
    }, told


def binned(root, *values):
    """Medians of at most BINS parts of like density, sorted."""
    order = np.argsort(root, kind="stable")
    parts = np.array_split(order, min(BINS, max(len(order) // 5, 5)))
    return tuple(np.array([np.median(one[part]) for part in parts]) for one in (root, *values))


def text_of(law, name):
    """The printed law, rho being its only feature."""
    return law.formula(["rho"], target_names=name).text.replace("drho_dGamma", "drho/dGamma")


class Curve:
    """g or k = d sqrt(rho) / dGamma as a function of sqrt(rho)."""

    def __init__(self, value, slope, is_law):
        self.value, self.slope, self.is_law = value, slope, is_law

    def at(self, root):
        return self.value(root), self.slope(root)


def curve(root, value, law, is_storage):
    """A Curve: the law where it is one and errs no more than a spline, else the spline."""
    spline = make_smoothing_spline(root / root[-1], value)
    slope = spline.derivative()

    def clipped(x):
        return np.clip(x, root[0], root[-1]) / root[-1]

    smooth = Curve(
        lambda x: spline(clipped(x)), lambda x: np.where((x < root[0]) | (x > root[-1]), 0.0, slope(clipped(x)) / root[-1]),
        law is None,
    )  # fmt: skip
    if law is None or len(law.A_) > 1:
        return smooth

    def by_law(x):
        y = law.predict(x[:, None] ** 2)
        return y / (2 * x) if is_storage else y

    def slope_of_law(x):
        dy = law.predict_gradient(x[:, None] ** 2)[:, 0] * 2 * x
        return dy / (2 * x) - law.predict(x[:, None] ** 2) / (2 * x * x) if is_storage else dy

    error, least = (np.sqrt(np.mean((f(root) - value) ** 2)) for f in (by_law, smooth.value))
    good = error <= AS_GOOD * least + NEGLIGIBLE * np.abs(value).mean()
    return Curve(by_law, slope_of_law, True) if good else smooth


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
    hint = "; ".join(better) or "check the lattice, the order of stresses, and that orientations are crystal to sample"
    return [
        f"the plastic strain of the records is not that of the slip systems: its direction differs by {misfit:.2g} degrees "
        f"(median); {hint}."
    ]


class Loaded:
    """The fitted law, stepped."""

    NAMES = "stiffness_", "exponent_", "hardening_", "grid_", "schmid_", "lattice_spin_"

    def __init__(self, fitted):
        self.fitted = fitted
        stiffness = np.array(fitted["stiffness_"])
        self.keeps_volume = np.isnan(stiffness[2])
        stiffness[2] = 1.0 if self.keeps_volume else stiffness[2]
        self.root_c = np.sqrt(np.repeat(stiffness[:2], [2, 3]))
        table = np.ascontiguousarray(fitted["hardening_"])
        self.law = GrainLaw(
            fitted["schmid_"], fitted["lattice_spin_"], stiffness, np.array([fitted["exponent_"], SLIP_RATE]), None, table,
            tol=STEP_TOL,
        )  # fmt: skip

    def rows(self, states):
        """States (n,) as the compiled step takes them."""
        row, R = np.zeros((len(states.density), self.law.row)), matrix_of(states.quaternion)
        S = symmetric(states.stress)
        row[:, :5] = deviator(np.swapaxes(R, -1, -2) @ S @ R).T / self.root_c
        row[:, 5:9] = states.quaternion / np.linalg.norm(states.quaternion, axis=1, keepdims=True)
        row[:, 9], row[:, 11] = np.trace(S, axis1=-2, axis2=-1) / 3, np.sqrt(states.density)
        return row

    def propagate(self, states, time, gradient, write, flags, n_jobs, reporter):
        """Step States (n,) by times (1 or n, T) and velocity gradients (1 or n, T - 1, 3, 3).

        ``write(part, steps)`` takes a slice of the grains and their Steps; ``flags`` (n,) is written.
        """
        if self.keeps_volume:
            change = np.abs(np.trace(gradient, axis1=-2, axis2=-1) * np.diff(time, axis=1)).max(initial=0.0)
            if change > VOLUME:
                raise ValueError(
                    f"velocity_gradient changes the volume (by up to {change:.2g} in a step), and the training records did "
                    "not, so that the bulk modulus is unknown; fit with stiffness=(C11, C12, C44) in GPa."
                )
        row = self.rows(states)
        low, high = self.fitted["grid_"]
        margin = MARGIN * (high - low)

        def run(part, cancelled):
            own_time, own = (one[part] if len(one) > 1 else one for one in (time, gradient))
            steps = self.law.integrate(row[part], np.ascontiguousarray(own_time), np.ascontiguousarray(own), cancelled)
            root = steps.hardening[..., 0]
            with np.errstate(invalid="ignore"):
                strange = ((root < low - margin) | (root > high + margin)).any(axis=1)
            flags[part] |= (OUTSIDE * strange + LOST * (steps.failed > 0)).astype(np.uint8)
            write(part, steps)

        size = int(np.clip(CHUNK_GRAIN_STEPS // time.shape[1], 128, 8192))
        in_blocks(run, len(row), size, n_jobs, reporter, "grains propagated")

    def inside(self, states):
        """Whether States (n,) lie within the trained states: density, and stress no greater than flow takes."""
        root = np.sqrt(states.density)
        low, high = self.fitted["grid_"]
        margin = MARGIN * (high - low)
        m = (len(self.fitted["hardening_"]) - 2) // 4
        first, width = self.fitted["hardening_"][:2]
        g = np.interp(root, first + width * np.arange(m), self.fitted["hardening_"][2 : 2 + m])
        tau = np.abs((self.rows(states)[:, :5] * self.root_c) @ self.fitted["schmid_"]).max(axis=1)
        return (root >= low - margin) & (root <= high + margin) & (tau <= 2 * g)


def held_out_errors(fitted, records):
    """Warnings, and errors of crystals that were not trained, by the equivalent strain that has passed."""
    loaded, n = Loaded(fitted), len(records.root)
    whole = np.isfinite(records.root).all(axis=1) & np.isfinite(records.stress).all(axis=(1, 2))
    if not whole.any():
        return [], {}
    records, n = records.part(whole), int(whole.sum())
    start = States(records.stress[:, 0], records.root[:, 0] ** 2, records.quaternion[:, 0], None)
    found = []
    gradient = records.gradient - np.eye(3) * np.trace(records.gradient, axis1=-2, axis2=-1)[..., None, None] / 3
    steps = loaded.law.integrate(
        loaded.rows(start), np.ascontiguousarray(records.time), np.ascontiguousarray(gradient), np.zeros(1, np.int32)
    )
    ok = steps.failed == 0
    D = (gradient + np.swapaxes(gradient, -1, -2)) / 2
    rate = np.sqrt(2 / 3 * (D**2).sum(axis=(2, 3)))
    passed = np.concatenate([np.zeros((n, 1)), (rate * np.diff(records.time, axis=1)).cumsum(axis=1)], axis=1)
    given, got = (deviator(symmetric(one)) for one in (records.stress, steps.stress))
    stress = np.sqrt(((got - given) ** 2).sum(axis=0) / 5)  # rms of one of five components
    turn = np.linalg.norm(rotation_vector(product(inverse(records.quaternion), steps.orientation).reshape(-1, 4)), axis=1)
    density = np.log(steps.hardening[..., 0] ** 2 / records.root**2)
    found = np.stack([stress, density, turn.reshape(stress.shape)], axis=-1)[ok]
    share = np.sqrt(np.mean(stress[ok] ** 2) / np.mean((given[:, ok] ** 2).sum(axis=0) / 5)) if ok.any() else np.inf
    at = np.unique(np.quantile(passed[ok], np.linspace(0, 1, STRAIN_BINS))) if ok.any() else np.zeros(2)
    squares = np.zeros((len(at), 3))
    for k in range(3):
        each = [np.interp(at, p, e[:, k] ** 2, right=np.nan) for p, e in zip(passed[ok], found, strict=True)]
        squares[:, k] = np.nanmean(each, axis=0)
    told = []
    if not share <= WRONG_STRESS:
        told.append(
            f"{n} held-out crystals have errors of {100 * share:.0f} % of the stress (root mean squares): do not rely on "
            "this model. Usual causes: a wrong lattice, orientations from sample to crystal, a velocity gradient that is "
            "not that of the records, flow that depends on something that is not in the state."
        )
    return told, {"std_strain_": at, "std_squares_": squares, "held_out_error_": float(share)}


def standard_deviations(at, squares, gradient, time, density):
    """Standard deviations (T, n, 3) of a stress component, density and lattice in rad, by the equivalent strain."""
    D = (gradient + np.swapaxes(gradient, -1, -2)) / 2
    rate = np.sqrt(2 / 3 * (D**2).sum(axis=(2, 3)))
    passed = np.cumsum(rate * np.diff(time, axis=1), axis=1)
    passed = np.concatenate([np.zeros((len(passed), 1)), passed], axis=1)
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


def as_pair(path):
    """Paths (T, n, 11) as a pair: stresses and density (T, n, 7), and a Rotation of n for each step."""
    return path[..., :7].copy(), [Rotation.from_quat(quaternion) for quaternion in path[..., 7:]]
