"""Checks of trajectories and states: shapes, order, repeated strains, probable units; tables and files."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from sklearn.utils.validation import check_array

from skmerge import _orientation
from skmerge._orientation import JUMP, quaternion_of, unwrapped_angles, without_symmetry_jumps
from skmerge._text import warn
from skmerge._validation import check_container, naming

REPEATED = 1e-5  # of the median strain step of a trajectory; smaller steps come from restarts and rounding
SHORT_STEP, AROUND = 0.02, 3  # rates of a step below 0.02 of the three steps before and after are rounding errors
STEEPER = 0.2  # of the range of the slopes of longer steps; a short step so far beyond is rounding, not elastic
# An elastic step may be so many times as steep as a step that contains the whole knee. Rates of the lattice and of
# other variables differ by as much between the elastic range and later.
KNEE_STEEPNESS = 50.0
ALIKE = 1e-4  # of the greatest value of a column: the change of a state between repeated records
MAX_SUBSTEPS = 10_000  # substeps of a step
ROUNDED = 1e-6  # of the longest trained step; what is longer by less is rounding
MANY_CALLS = 1_000  # calls of a regressor that take some seconds
MANY_STATES = 100_000  # predicted states that take some seconds
HARDENED = 1.03  # of the stress; rotation of lattices alone hardens less, in the median
COLUMNS = ("trajectory", "strain", "sigma", "rho", "phi1", "Phi", "phi2")


def numbers(name, value, **options):
    """As `_orientation.numbers`, but text is read as numbers."""
    return _orientation.numbers(name, check_container(name, value), **options)


def complete(name, value):
    """As `numbers`; the message says where the first missing number is."""
    try:
        return numbers(name, value)
    except ValueError as error:
        bad = np.argwhere(~np.isfinite(numbers(name, value, ensure_all_finite=False)))
        if not len(bad):
            raise
        raise ValueError(f"{error} The first is {name}[{', '.join(map(str, bad[0]))}].") from None


class Records(NamedTuple):
    """Records, one row each."""

    strain: np.ndarray  # (n,)
    state: np.ndarray  # (n, m)
    group: np.ndarray  # (n,), ascending
    rates: np.ndarray | None  # (n, m)


def check_records(strain, state, groups, rates=None):
    """Records, checked, of what is given to ``fit_trajectories``."""
    strain, state = complete("strain", strain), complete("state", state)
    if rates is not None:
        rates = numbers("rates", rates)
        if rates.size != state.size:
            raise ValueError(f"rates must have the shape of state, got {rates.shape}.")
    if groups is None:
        if state.ndim != 3 or strain.shape not in (state.shape[1:2], state.shape[:2]):
            raise ValueError(
                "state must have shape (n_trajectories, n_steps, n_variables) and strain (n_steps,) or "
                f"(n_trajectories, n_steps), or give groups; got {state.shape} and {strain.shape}."
            )
        n, n_steps = state.shape[:2]
        groups = np.repeat(np.arange(n), n_steps)
        group, strain = groups, np.broadcast_to(strain, (n, n_steps)).ravel()
        state = state.reshape(n * n_steps, -1)
    else:
        with naming("groups"):
            groups = check_array(groups, dtype=None, ensure_2d=False, input_name="groups")
        if state.ndim != 2 or strain.shape != (len(state),) or groups.shape != (len(state),):
            raise ValueError(
                "with groups, strain, groups and state must have the same number of rows; got "
                f"{strain.shape}, {groups.shape} and {state.shape}."
            )
        group = np.r_[0, np.cumsum(groups[1:] != groups[:-1])]
        if group[-1] + 1 != len(np.unique(groups)):
            raise ValueError("groups: the records of a trajectory must stand together; sort them by trajectory.")
    if rates is not None:
        rates = rates.reshape(state.shape)
    for check in (not_repeated, not_too_close) if rates is None else (not_repeated,):
        kept = check(strain, state, group, groups)
        if not kept.all():
            strain, state, group, groups = strain[kept], state[kept], group[kept], groups[kept]
            rates = None if rates is None else rates[kept]
    counts = np.bincount(group)
    if counts.min() < 2:
        alone = groups[group == counts.argmin()][0]
        raise ValueError(f"trajectory {alone} has one record, but rates need two; leave it out.")
    return Records(strain, state, group, rates)


def not_repeated(strain, state, group, groups):
    """Which records to keep: not those that repeat the one before, which restarts write."""
    same = group[1:] == group[:-1]
    size = np.abs(np.diff(strain))
    usual = np.array([np.median(part) if len(part) else 0.0 for part in np.split(size, np.flatnonzero(~same) + 1)])
    at = np.flatnonzero(same & (size <= REPEATED * usual[group[1:]]))
    if not len(at):
        return np.ones(len(strain), bool)
    scale = np.abs(state).max(axis=0)
    moved = at[(np.abs(state[at + 1] - state[at]) > ALIKE * scale).any(axis=1)]
    if len(moved):
        i = moved[0]
        raise ValueError(
            f"strain repeats {strain[i]:g} from one record to the next of trajectory {groups[i]} (rows {i} and {i + 1} "
            f"of all records, {size[i]:.3g} apart), but the state changes; leave one of them out."
        )
    kept = np.ones(len(strain), bool)
    kept[at + 1] = False
    i = at[0]
    warn(
        f"{len(at)} records repeat the one before them and are left out, the first of trajectory {groups[i]} at strain "
        f"{strain[i]:g}."
    )
    return kept


def not_too_close(strain, state, group, groups):
    """Which records to keep: not those so close to the one before that their rates are rounding errors."""
    rows = np.arange(len(strain))
    while (bad := too_close(strain[rows], state[rows], group[rows])).any():
        rows = rows[~bad]
    kept = np.zeros(len(strain), bool)
    kept[rows] = True
    left_out = np.flatnonzero(~kept)
    if len(left_out):
        i = left_out[0]
        warn(
            f"{len(left_out)} records are so close to the one before that their rates are rounding errors; they are "
            f"left out, the first of trajectory {groups[i]} at strain {strain[i]:g}, "
            f"{abs(strain[i] - strain[i - 1]):.2g} from the one before."
        )
    return kept


def too_close(strain, state, group):
    """Which records end a step that is much shorter than the steps around it and has rates far beyond theirs.

    A stress rounded to 0.1 MPa gives a slope of 10^6 MPa over a strain of 1e-7. Real slopes are at most elastic. Only
    the first step of a trajectory may be steeper than all longer ones, if the whole knee is within one of these.
    """
    bad, at = np.zeros(len(strain), bool), np.flatnonzero(group[1:] == group[:-1])
    if not len(at):
        return bad
    change = np.diff(strain)[at]
    size, owner = np.abs(change), group[at]
    before, after = np.zeros(len(at)), np.zeros(len(at))
    for k in range(1, AROUND + 1):
        near = owner[k:] == owner[:-k]
        before[k:] = np.maximum(before[k:], np.where(near, size[:-k], 0.0))
        after[:-k] = np.maximum(after[:-k], np.where(near, size[k:], 0.0))
    around = np.where((before > 0) & (after > 0), np.minimum(before, after), np.maximum(before, after))
    short = size < SHORT_STEP * around
    turning = np.r_[False, (change[1:] * change[:-1] < 0) & (owner[1:] == owner[:-1])]  # slopes up to twice the modulus
    for g in np.unique(owner[short]):
        part = slice(*np.searchsorted(owner, [g, g + 1]))
        rate = (state[at[part] + 1] - state[at[part]]) / change[part, None]
        longer = np.sort(np.concatenate([rate[~short[part] & ~turning[part]], np.zeros((2, rate.shape[1]))]), axis=0)
        span = longer[-1] - longer[0]
        share = np.ones(rate.shape)
        share[np.r_[True, turning[part][1:]]], share[:, 0] = KNEE_STEEPNESS, STEEPER
        for each, most, second in ((rate, longer[-1], longer[-2]), (-rate, -longer[0], -longer[1])):
            usual = np.where(second > most - span / 2, most, np.clip(each[0], most, most + KNEE_STEEPNESS * span))
            bad[at[part][short[part] & (each > usual + share * span).any(axis=1)] + 1] = True
    return bad


def of_crystals(strain, state, group):
    """States (n, 5) of records, checked and without jumps to equivalent orientations."""
    check_states(state, "state")
    check_strain_unit(strain)
    check_density_moves(state, group)
    return without_jumps(strain, state, group)


def without_jumps(strain, state, group):
    """States (n, 5) without jumps of records between orientations that are equal by cubic symmetry."""
    quaternion, jumps, left = without_symmetry_jumps(quaternion_of(state[:, 2:5]), group)
    if not len(jumps):
        return state
    if left.max() > JUMP:
        i = jumps[np.argmax(left > JUMP)]
        raise ValueError(
            f"the lattice of trajectory {group[i]} turns by {np.degrees(left[left > JUMP][0]):.0f} degrees from strain "
            f"{strain[i]:g} to {strain[i + 1]:g}, reduced by cubic symmetry. Check the columns and units of the "
            "orientation, or record more steps."
        )
    state, undone = state.copy(), np.unique(group[jumps])
    for g in undone:
        part = slice(np.searchsorted(group, g), np.searchsorted(group, g, side="right"))
        path = quaternion[part]
        path *= np.where(np.r_[1.0, (path[1:] * path[:-1]).sum(axis=1)] < 0, -1.0, 1.0).cumprod()[:, None]
        path *= -1.0 if path[0] @ quaternion_of(state[part][:1, 2:5])[0] < 0 else 1.0
        state[part, 2:5] = unwrapped_angles(path[None], state[part][:1, 2:5])[0]
    warn(
        f"in {len(undone)} of {group[-1] + 1} trajectories the orientation jumps to one that is equal by cubic "
        f"symmetry, the first time at strain {strain[jumps[0] + 1]:g}; the jumps were undone."
    )
    return state


def check_density_moves(state, group):
    """Warn where the density is constant although the stress rises."""
    start = np.flatnonzero(np.r_[True, group[1:] != group[:-1]])
    density = state[:, 1]
    if (np.maximum.reduceat(density, start) > (1 + 1e-6) * np.minimum.reduceat(density, start)).any():
        return
    half = np.concatenate([[i + (j - i) // 2, j - 1] for i, j in zip(start, np.r_[start[1:], len(state)], strict=True)])
    middle, last = np.abs(state[half.reshape(-1, 2), 0]).T
    rise = np.median(last / np.where(middle > 0, middle, np.inf))
    if rise > HARDENED:
        warn(
            f"the density is constant at {density[0]:.4g} while the stress rises by {100 * (rise - 1):.0f} % over the "
            "second half of a trajectory. If it only fills the column, give a quantity that hardens the crystal "
            "instead, for example the square of the slip resistance."
        )


def check_path(strain, n):
    """Strain to propagate n grains along, (1, n_steps) or (n, n_steps)."""
    strain = numbers("strain", strain)
    if strain.ndim not in (1, 2) or (strain.ndim == 2 and len(strain) != n):
        raise ValueError(f"strain must have shape (n_steps,) or ({n}, n_steps), got {strain.shape}.")
    return np.ascontiguousarray(np.atleast_2d(strain))


def check_out(out, shape):
    """The array for a result, a new one if none is given."""
    if out is None:
        return np.empty(shape)
    if not isinstance(out, np.ndarray) or out.shape != shape or out.dtype != float or not out.flags.c_contiguous:
        raise ValueError(f"out must be a float64 array of shape {shape} in C order, got {np.shape(out)}.")
    return out


def check_outs(out, return_std, shape, std_shape):
    """The arrays for states and standard deviations; the second is None without ``return_std``."""
    outs = out if return_std and out is not None else (out, None)
    if not isinstance(outs, (tuple, list)) or len(outs) != 2:
        raise ValueError("out must be two arrays with return_std, for states and standard deviations.")
    return check_out(outs[0], shape), check_out(outs[1], std_shape) if return_std else None


def are_long(size, longest):
    """Whether steps of these sizes are longer than any trained one."""
    return size > longest * (1 + ROUNDED)


def n_substeps(strain, n, longest):
    """Into how many substeps steps longer than any trained one are divided, (n, n_steps - 1).

    ``strain``: (1 or n, n_steps). Warn if this takes long: each substep calls a regressor for every grain.
    """
    size = np.abs(np.diff(strain, axis=1))
    counts = np.broadcast_to(np.clip(np.ceil(size / longest - ROUNDED), 1, MAX_SUBSTEPS), (n, size.shape[1]))
    calls, states = (int(counts.max(axis=0).sum()), int(counts.sum())) if counts.size else (0, 0)
    if calls > 10 * size.shape[1] and (calls > MANY_CALLS or states > MANY_STATES):
        warn(
            f"strain steps are up to {size.max() / longest:.3g} times the longest trained one ({longest:.3g}); "
            f"divided, they are {calls} steps of a regressor instead of {size.shape[1]}, for {n} grains {states} "
            "predictions of rates, which takes long. Is strain in the unit of the trajectories (0.1 for 10 %)?"
        )
    return counts


def check_strain_unit(strain):
    if np.abs(strain).max() > 5:
        warn(f"strain reaches {np.abs(strain).max():.4g}, which looks like percent; give true strain, 0.1 for 10 %.")


def check_states(state, name):
    """Raise for densities that are not positive; warn if states (n, 5) seem to have other units."""
    density, most = state[:, 1], np.abs(state).max(axis=0)
    if (density <= 0).any():
        raise ValueError(f"{name} holds a density of {density.min():g}; the second column must be positive, in 1/m^2.")
    if density.max() < 1e7:
        warn(f"{name} holds densities of {density.max():g} at most, which looks like 1/um^2; give 1/m^2, 1e12 times.")
    elif density.min() < 1e7:
        warn(
            f"{name} mixes densities of {density.min():g} and {density.max():g}; the small ones look like 1/um^2. Give "
            "1/m^2 everywhere."
        )
    if most[2:].max() > 8 * np.pi:
        warn(f"{name} holds angles up to {most[2:].max():.4g}, which looks like degrees; give rad.")
    if most[0] > 1e5:
        warn(f"{name} holds stresses up to {most[0]:.4g}, which looks like Pa; give MPa, 1e-6 times that.")


def read_table(table, columns):
    """Strain (n,), state (n, m) and labels (n,) of a long table, sorted by trajectory."""
    if isinstance(table, (str, Path)):
        import pandas as pd

        path = str(table)
        try:
            table = (pd.read_parquet if path.endswith((".parquet", ".pq")) else pd.read_csv)(path)
        except ImportError as error:
            raise ImportError(
                f"{path}: pandas needs pyarrow to read Parquet: pip install pyarrow, or give a CSV file or a DataFrame."
            ) from error
    if not hasattr(table, "columns"):
        raise TypeError(f"table is a {type(table).__name__}; give a DataFrame, or the path of a CSV or Parquet file.")
    columns = list(columns or COLUMNS)
    missing = [name for name in columns if name not in list(table.columns)]
    if missing or len(columns) < 3:
        raise ValueError(
            f"table has no column {', '.join(map(repr, missing)) or 'of a variable'}; its columns are "
            f"{', '.join(map(str, table.columns))}. Give columns=(trajectory, strain, *variables)."
        )
    with naming("table"):
        values = np.column_stack([np.asarray(table[name], dtype=float) for name in columns[1:]])
    unnamed = np.flatnonzero(table[columns[0]].isna()) if hasattr(table[columns[0]], "isna") else []
    if len(unnamed):
        raise ValueError(f"table: {len(unnamed)} rows have no {columns[0]}, the first is row {unnamed[0]}; give it.")
    labels = np.unique(np.asarray(table[columns[0]]), return_inverse=True)[1]
    order = np.argsort(labels, kind="stable")
    return values[order, 0], values[order, 1:], labels[order]
