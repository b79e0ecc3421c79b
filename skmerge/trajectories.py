"""Trajectories of other codes, as PlasticityPropagator takes them."""

import os
import re
from collections.abc import Sequence
from os import PathLike
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from skmerge._ext.grain_stepping import gradient_of
from skmerge._orientation import (
    AXES,
    JUMP,
    NORM_TOLERANCE,
    angles_of,
    check_axis,
    quaternion_of,
    unwrapped_angles,
    without_symmetry_jumps,
)
from skmerge._parameters import check_word
from skmerge._text import warn

__all__ = ["read_damask"]

NEEDED = ("F", "P", "O")
RESISTANCES = ("xi_sl", "xi")  # slip resistance, as the laws of DAMASK call it
SAME = 1e-6  # difference of entries of rotation matrices of one orientation; files have 16 digits
DEFORMED = 1e-9  # difference of entries of F from those of a cell without load
# Angle between cells of one grain if every record is deformed; within a grain 0.1 degrees at 0.2 % strain, 2 at 2 %.
ALIKE_CELLS = np.radians(3.0)
MIXED = np.radians(5.0)  # cells that begin so far from their mean belong to several grains
AXIAL = 0.75  # least strain along the loading axis, as a share of the largest principal strain


def read_damask(
    path: str | PathLike[str],
    *,
    axis: ArrayLike = "auto",
    density: str | Sequence[str] = "auto",
    grains: Literal["orientation", "phase", "cell"] = "orientation",
    phases: str | Sequence[str] | None = None,
    loading: Literal["axial", "any"] = "axial",
) -> tuple[NDArray[np.float64], ...]:
    """Read a result file of DAMASK 3 (HDF5).

    Parameters
    ----------
    path : path-like
        Contains ``increment_N/phase/NAME/mechanical`` with F, P, O and densities or slip resistances.
    axis : {"auto", "x", "y", "z"} or array-like of shape (3,), default="auto"
        Loading axis in the sample. "auto": the coordinate axis that the mean of F stretches or shortens most.
    density : "auto", str or sequence of str, default="auto"
        Datasets of dislocation densities in 1/m^2, which are summed, also over slip systems. "auto" takes ``rho_mob``
        and ``rho_dip``, or else all that begin with ``rho_`` (except ``rho_f``, which repeats others). If there is
        none, the square of the slip resistance ``xi_sl`` or ``xi`` (mean over the slip systems, in Pa^2) replaces the
        density, with a warning: flow stress depends on its root as on the root of a density.
    grains : {"orientation", "phase", "cell"}, default="orientation"
        The cells that are averaged as one grain: the cells of a phase that begin with the same orientation (within 3
        degrees and with a warning if the first increment is deformed), all cells of a phase, or each cell.
    phases : str or sequence of str, default=None
        Names of the phases to read. By default all with cells and the needed datasets; a warning names the others.

    loading : {"axial", "any"}, default="axial"
        "any" reads all that ``PlasticityPropagator(loading="any")`` takes, whatever the loading; ``axis`` has no part.

    Returns
    -------
    strain : ndarray of shape (n_grains, n_steps)
        Logarithm of the stretch of a material line along the axis. With "any" the time in s, (n_steps,).
    state : ndarray of shape (n_grains, n_steps, 5) or (n_grains, n_steps, 10)
        sigma (Cauchy stress along the axis, MPa), rho (1/m^2), phi1, Phi, phi2 (rad, crystal to sample, unwrapped).
        With "any" sigma is all of the Cauchy stress: xx, yy, zz, yz, xz, xy.
    velocity_gradient : ndarray of shape (n_grains, n_steps - 1, 3, 3)
        Only with "any": L = dv/dx in 1/s between two increments, from the mean F of a grain, to second order.

    Raises
    ------
    ImportError
        Without h5py.
    ValueError
        If the file has another layout or lacks a dataset, if it was loaded along another axis, or if a mean would mix
        grains. The message says what to do.
    OSError
        If the file does not exist or is not HDF5.

    Warns
    -----
    UserWarning
        If phases or cells are left out, if a slip resistance replaces a density, if a lattice is not cubic, or if the
        orientation of a cell jumps to one that is equal by cubic symmetry, which is undone before averaging.

    Notes
    -----
    P is the first Piola-Kirchhoff stress in Pa, sigma = P F^T / det F. O is a unit quaternion, scalar first, from
    crystal to sample: the rotation part of F_e. Each constituent of a cell of the solver counts as one cell.
    """
    try:
        import h5py
    except ImportError as error:
        raise ImportError("read_damask needs h5py: pip install h5py") from error
    check_word("grains", grains, "orientation", "phase", "cell")
    check_word("loading", loading, "axial", "any")
    density = names_given("density", density, "'auto' or names of datasets, such as ('rho_mob', 'rho_dip')")
    if len(density) > 1 and not {"auto", *RESISTANCES}.isdisjoint(density):
        raise ValueError(
            f"density={density!r}: only densities are summed; give several densities, one slip resistance or 'auto'."
        )
    if phases is not None:
        phases = names_given("phases", phases, "names of phases, or None for all that can be read")
    if axis is None:
        raise ValueError("axis=None is not possible: strain and stress are read along one axis. Give it, or 'auto'.")
    axis = axis if isinstance(axis, str) and axis == "auto" else check_axis(axis)
    try:
        file = h5py.File(os.fspath(path), "r")
    except FileNotFoundError:
        raise
    except OSError as error:
        raise OSError(f"{path} cannot be read as HDF5 ({error}); give the result file of DAMASK 3, *.hdf5.") from error
    with file:
        names = sorted((n for n in file if re.fullmatch(r"increment_\d+", n)), key=lambda name: int(name[10:]))
        if not names:
            raise ValueError(f"{path} has no groups increment_N; give a result file of DAMASK 3.")
        for name in names:
            if "phase" not in file[name]:
                raise ValueError(f"{path}: {name} has no group phase; write results of the phases.")
        steps = [file[name]["phase"] for name in names]
        chosen = datasets_of_phases(path, steps, phases, density)
        if loading == "any":
            axis = np.array([0.0, 0.0, 1.0])
            time = times_of(path, [file[name] for name in names])
        else:
            F = [[group[f"{phase}/mechanical/F"] for phase in chosen] for group in steps]
            axis = axis_of_loading(path, F, axis)
        parts = [grains_of(path, names, steps, phase, chosen[phase], axis, grains) for phase in chosen]
    strain, sigma, rho, both, turn = (np.concatenate(column) for column in zip(*parts, strict=True))
    first = angles_of(turn[:, 0])
    # q and -q are one rotation; signs are chosen so that paths are continuous and begin like ``first``.
    for t in range(1, turn.shape[1]):
        turn[:, t] *= np.where((turn[:, t] * turn[:, t - 1]).sum(axis=1) < 0, -1.0, 1.0)[:, None]
    turn[(turn[:, 0] * quaternion_of(first)).sum(axis=1) < 0] *= -1
    stress = both[..., 9:] if loading == "any" else sigma[..., None]
    state = np.concatenate([stress, rho[..., None], unwrapped_angles(turn, first)], axis=2)
    if loading == "axial":
        return strain, state
    F, n = np.ascontiguousarray(both[..., :9]).reshape(*both.shape[:2], 3, 3), len(both)
    steps = [(F[:, t], F[:, t + 1], np.full(n, dt)) for t, dt in enumerate(np.diff(time))]
    return time, state, np.stack([gradient_of(*map(np.ascontiguousarray, step)) for step in steps], axis=1)


def times_of(path, increments):
    """The times of the increments, (n_steps,)."""
    time = np.array([increment.attrs.get("t/s", np.nan) for increment in increments], dtype=float)
    if not (np.diff(time) > 0).all() or len(time) < 2:
        raise ValueError(
            f'{path}: loading="any" needs two or more increments whose attribute t/s rises; found {time.tolist()}.'
        )
    return time


def names_given(name, value, what):
    """A name, or a sequence of them, as a tuple."""
    given = (value,) if isinstance(value, str) or not hasattr(value, "__iter__") else tuple(value)
    wrong = [each for each in given if not isinstance(each, str)]
    if wrong or not given:
        found = f"contains {wrong[0]!r}, which is no name" if wrong else "is empty"
        raise ValueError(f"{name}={value!r} {found}; give {what}.")
    return given


def datasets_of_phases(path, steps, phases, density):
    """{phase: names of its datasets of densities or slip resistances}, for the phases to read."""
    present = sorted(set().union(*steps))
    unknown = [name for name in phases or () if name not in present]
    if unknown:
        raise ValueError(f"{path} has no phase {', '.join(unknown)}; it has {', '.join(present)}.")
    chosen, lacking = {}, {}
    filled = [p for p in present if any(map(len, steps[0].get(f"{p}/mechanical", {"": [0]}).values()))]
    for phase in phases or present:
        if phase not in filled:  # a phase of material.yaml without cells
            continue
        common = set.intersection(*(set(step.get(f"{phase}/mechanical", {})) for step in steps))
        asked = density_datasets(common) if density == ("auto",) else density
        missing = [key for key in (*NEEDED, *asked) if key not in common]
        if not asked:
            missing.append("density (rho_mob, rho_dip) or slip resistance (xi_sl)")
        if missing:
            lacking[phase] = ", ".join(missing)
        else:
            chosen[phase] = asked
    empty = [phase for phase in phases or () if phase not in filled]
    if empty:
        raise ValueError(
            f"phases={phases!r}: {', '.join(empty)} of {path} has no cells; leave it out. Phases with cells: "
            f"{', '.join(filled)}."
        )
    reasons = "; ".join(f"{phase} lacks {what}" for phase, what in lacking.items())
    if lacking and (phases is not None or not chosen):
        raise ValueError(
            f"{path}: {reasons}. Add these names to output in material.yaml (F, P and O under mechanical, the others "
            "under plastic) and run DAMASK again, or choose other phases."
        )
    if not chosen:
        raise ValueError(f"{path}: none of its phases {', '.join(present)} has cells; give a file with results.")
    resistances = {phase: asked[0] for phase, asked in chosen.items() if asked[0] in RESISTANCES}
    if resistances and len(resistances) < len(chosen):
        raise ValueError(
            f"{path}: {', '.join(resistances)} stores slip resistances, the other phases densities; read one kind at a "
            f"time, for example phases={next(iter(resistances))!r}."
        )
    if lacking:
        warn(f"{path}: {reasons}; left out.")
    if resistances:
        kinds = ", ".join(sorted(set(resistances.values())))
        why = f"{', '.join(resistances)} of {path} stores no density" if density == ("auto",) else f"{path}: as asked"
        warn(f"{why}; the square of the slip resistance {kinds} in Pa^2 replaces the density.")
    for phase in chosen:
        if not is_cubic(steps, phase):
            lattice = lattice_of(steps, phase)
            warn(f"{path}: the lattice of {phase} is {lattice}; PlasticityPropagator reduces orientations as cubic.")
    return chosen


def lattice_of(steps, phase):
    lattice = steps[0][f"{phase}/mechanical/O"].attrs.get("lattice", "")
    return lattice.decode() if isinstance(lattice, bytes) else str(lattice)


def is_cubic(steps, phase):
    """Whether the lattice of a phase is cubic; without a name it is taken as cubic."""
    return lattice_of(steps, phase)[:1] in ("", "c")


def density_datasets(names):
    """Those of the names of datasets that give the density."""
    usual = [name for name in ("rho_mob", "rho_dip") if name in names]
    others = sorted(name for name in names if name.startswith("rho_") and name != "rho_f")
    return tuple(usual or others or [name for name in RESISTANCES if name in names][:1])


def axis_of_loading(path, deformations, axis):
    """The given axis after a check, or the coordinate axis that the mean deformation stretches or shortens most."""
    greatest, F = 0.0, np.eye(3)
    for group in deformations:
        cells = np.concatenate([np.asarray(values, dtype=float).reshape(-1, 3, 3) for values in group])
        cells = cells[np.isfinite(cells).all(axis=(1, 2))]
        mean = cells.mean(axis=0) if len(cells) else np.eye(3)
        size = np.abs(np.log(np.linalg.svd(mean, compute_uv=False))).max()
        if size > greatest:
            greatest, F = size, mean
    along = {name: float(np.log(np.linalg.norm(F @ vector))) for name, vector in AXES.items()}
    strains = ", ".join(f"{name} by {100 * value:.3g} %" for name, value in along.items())
    if not isinstance(axis, str):
        strain = abs(np.log(np.linalg.norm(F @ axis)))
        if strain < AXIAL * greatest:
            raise ValueError(
                f"{path} was not loaded along axis={np.round(axis, 4).tolist()}, where the strain is "
                f"{100 * strain:.3g} %; the mean deformation stretches {strains}. Give the axis of loading, or 'auto'."
            )
        return axis
    first, second = sorted(along, key=lambda name: -abs(along[name]))[:2]
    if abs(along[first]) < AXIAL * greatest or abs(along[second]) > AXIAL * abs(along[first]):
        raise ValueError(
            f"{path} has no single axis of loading: the mean deformation stretches {strains}, and by up to "
            f"{100 * greatest:.3g} % in a direction between them. Give axis if one of them is the loading axis."
        )
    return np.array(AXES[first])


def grains_of(path, names, steps, phase, density, axis, grains):
    """The Cells, arrays of (n_grains, n_steps, ...), that are the means of the grains of one phase."""
    read = [cells_of(step[f"{phase}/mechanical"], density, axis) for step in steps]
    if len({len(step.strain) for step in read}) > 1:
        raise ValueError(f"{path}: the number of cells of {phase} changes between increments; give a complete file.")
    # (n_steps, n_cells)
    good = np.array([np.all([np.isfinite(v).reshape(len(v), -1).all(axis=1) for v in step], axis=0) for step in read])
    whole = good.all(axis=0)
    if not whole.all():
        if not whole.any():
            raise ValueError(
                f"{path}: every cell of {phase} holds NaN or infinity, or an O that is no unit quaternion, in some "
                "increment; leave the phase out."
            )
        t = np.argmin(good.all(axis=1))
        warn(
            f"{path}: {np.count_nonzero(~whole)} of {len(whole)} cells of {phase} hold NaN or infinity, or an O that "
            f"is no unit quaternion, the first in {names[t]}, cell {np.argmin(good[t])}; left out of all increments."
        )
        read = [Cells(*(values[whole] for values in step)) for step in read]
    if is_cubic(steps, phase):
        read = without_jumps(path, names, phase, read)
    F = np.asarray(steps[0][f"{phase}/mechanical/F"], dtype=float).reshape(-1, 3, 3)[whole]
    deformed = np.abs(F - np.eye(3)).max() > DEFORMED
    label = labels_of(path, phase, read[0].turn, grains, names[0] if deformed else None)
    count = np.bincount(label)
    cells = np.split(np.argsort(label, kind="stable"), np.cumsum(count)[:-1])
    *columns, both, turns = zip(*read, strict=True)
    columns = [np.stack([np.bincount(label, values) / count for values in steps], axis=1) for steps in columns]
    turns = [np.array([Rotation.from_quat(turn[c]).mean().as_quat() for c in cells]) for turn in turns]
    both = [np.stack([np.bincount(label, values) / count for values in step.T], axis=1) for step in both]
    return Cells(*columns, np.stack(both, axis=1), np.stack(turns, axis=1))


def without_jumps(path, names, phase, read):
    """Cells without jumps of increments between orientations that are equal by cubic symmetry."""
    turns = np.stack([step.turn for step in read], axis=1)
    n, n_steps = turns.shape[:2]
    cell = np.repeat(np.arange(n), n_steps)
    paths, rows, left = without_symmetry_jumps(turns.reshape(-1, 4), cell)
    undone, lost = rows[left <= JUMP], rows[left > JUMP]
    if len(undone):
        warn(
            f"{path}: in {len(np.unique(cell[undone]))} of {n} cells of {phase} the orientation jumps to one that "
            f"is equal by cubic symmetry, the first time in {names[(undone % n_steps).min() + 1]}; undone."
        )
    if len(lost):
        warn(
            f"{path}: in {len(np.unique(cell[lost]))} of {n} cells of {phase} the lattice turns by up to "
            f"{np.degrees(left.max()):.0f} degrees from one increment to the next, reduced by cubic symmetry; write "
            "more increments."
        )
    turns = paths.reshape(n, n_steps, 4)
    return [step._replace(turn=turns[:, t]) for t, step in enumerate(read)]


def labels_of(path, phase, quaternion, grains, deformed):
    """The grain of each cell, by its first orientation; deformed: name of the first increment if it is deformed."""
    if grains == "cell":
        return np.arange(len(quaternion))
    if grains == "phase":
        turn = Rotation.from_quat(quaternion)
        apart = (turn.mean().inv() * turn).magnitude().max()
        if apart > MIXED:
            matrices = turn.as_matrix().reshape(-1, 9)
            count = len(np.unique((matrices / SAME).round(), axis=0))
            raise ValueError(
                f"{path}: the cells of {phase} begin with {count} different orientations, up to "
                f"{np.degrees(apart):.0f} degrees from their mean: they are several grains. Give grains='orientation'."
            )
        return np.zeros(len(quaternion), int)
    if deformed:
        return near_labels(path, phase, quaternion, deformed)
    matrices = Rotation.from_quat(quaternion).as_matrix().reshape(-1, 9)
    _, first, label = np.unique((matrices / SAME).round(), axis=0, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[label.ravel()]  # in the order of the file


def near_labels(path, phase, quaternion, name):
    """The grain of each cell if the first increment is deformed, when the cells of a grain differ in orientation."""
    tree, label, seeds = cKDTree(quaternion), np.full(len(quaternion), -1), []
    for i, q in enumerate(quaternion):
        if label[i] < 0:
            near = np.concatenate(tree.query_ball_point([q, -q], 2 * np.sin(ALIKE_CELLS / 4))).astype(int)
            label[near[label[near] < 0]] = len(seeds)
            seeds.append(q)
    n, seeds = len(seeds), np.array(seeds)
    distance = cKDTree(np.concatenate([seeds, -seeds])).query(seeds, k=2)[0][:, 1]
    ambiguous = np.count_nonzero(distance < 2 * np.sin(ALIKE_CELLS / 2))
    text = (
        f"{path} begins with {name}, which is deformed: cells of {phase} whose orientations are within "
        f"{np.degrees(ALIKE_CELLS):.0f} degrees there are taken as one grain, {n} grains of {len(label)} cells"
    )
    if ambiguous:
        text += f", but {ambiguous} of these grains are within {2 * np.degrees(ALIKE_CELLS):.0f} degrees of another one"
    if ambiguous > n / 2:
        raise ValueError(f"{text}. Give the file with increment_0, or grains='cell'.")
    warn(f"{text}. In a file with increment_0 first orientations identify grains; grains='cell' keeps cells apart.")
    return label


class Cells(NamedTuple):
    """State of the cells of a phase in one increment."""

    strain: np.ndarray  # (n_cells,)
    sigma: np.ndarray  # (n_cells,)
    rho: np.ndarray  # (n_cells,)
    both: np.ndarray  # (n_cells, 15), F and the Cauchy stress xx, yy, zz, yz, xz, xy in MPa
    turn: np.ndarray  # (n_cells, 4), quaternions


def cells_of(group, density, axis):
    """The Cells of a phase."""
    read = {key: np.asarray(group[key], dtype=float) for key in (*NEEDED, *density)}
    F, P = read["F"].reshape(-1, 3, 3), read["P"].reshape(-1, 3, 3)
    with np.errstate(invalid="ignore", divide="ignore"):  # cells with NaN are left out later, with a warning
        cauchy = P @ F.transpose(0, 2, 1) / np.linalg.det(F)[:, None, None]
        strain = np.log(np.linalg.norm(F @ axis, axis=1))
    sigma = np.einsum("i,nij,j->n", axis, cauchy, axis) / 1e6
    systems = [read[key].reshape(len(F), -1) for key in density]
    if density[0] in RESISTANCES:
        rho = systems[0].mean(axis=1) ** 2
    else:
        # Some densities of blocked dislocations have a sign.
        rho = sum(np.abs(values).sum(axis=1) for values in systems)
    O = read["O"][:, [1, 2, 3, 0]]
    O[np.abs(np.linalg.norm(O, axis=1) - 1) > NORM_TOLERANCE] = np.nan
    components = cauchy[:, [0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]] / 1e6
    return Cells(strain, sigma, rho, np.column_stack([F.reshape(-1, 9), components]), O)
