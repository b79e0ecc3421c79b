"""Checks of trajectories and states: shapes, order, repeated strains, units by their magnitude; tables and files."""

import warnings
from pathlib import Path

import numpy as np
from sklearn.utils.validation import check_array

from skmerge._validation import naming, readable

COLUMNS = ("trajectory", "strain", "sigma", "rho", "phi1", "Phi", "phi2")


def numbers(name, value, **options):
    """A finite float64 array of any shape."""
    value = readable(name, value)
    with naming(name):
        return check_array(value, dtype=float, input_name=name, **{"ensure_2d": False, "allow_nd": True} | options)


def complete(name, value):
    """Numbers; where one is missing the message says which."""
    try:
        return numbers(name, value)
    except ValueError as error:
        bad = np.argwhere(~np.isfinite(numbers(name, value, ensure_all_finite=False)))
        if not len(bad):
            raise
        raise ValueError(f"{error} The first is {name}[{', '.join(map(str, bad[0]))}].") from None


def check_records(strain, state, groups, oriented):
    """Strain (n,), state (n, m) and group (n,), ascending, of records below each other."""
    strain, state = complete("strain", strain), complete("state", state)
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
                "with groups, strain, groups and the rows of state must be as many; got "
                f"{strain.shape}, {groups.shape} and {state.shape}."
            )
        group = np.r_[0, np.cumsum(groups[1:] != groups[:-1])]
        if group[-1] + 1 != len(np.unique(groups)):
            raise ValueError("groups: the records of a trajectory must stand together; sort them by trajectory.")
    counts = np.bincount(group)
    if counts.min() < 2:
        alone = groups[group == counts.argmin()][0]
        raise ValueError(f"trajectory {alone} has one record, which says nothing of rates; leave it out.")
    repeated = np.flatnonzero((group[1:] == group[:-1]) & (strain[1:] == strain[:-1]))
    if len(repeated):
        raise ValueError(
            f"strain repeats {strain[repeated[0]]:g} from one record to the next of trajectory {groups[repeated[0]]}; "
            "leave one out."
        )
    if oriented:
        check_states(state, "state")
        check_strain_unit(strain)
    return strain, state, group


def check_path(strain, n):
    """Strain to propagate n grains along, (1, n_steps) or (n, n_steps)."""
    strain = numbers("strain", strain)
    if strain.ndim not in (1, 2) or (strain.ndim == 2 and len(strain) != n):
        raise ValueError(f"strain must have shape (n_steps,) or ({n}, n_steps), got {strain.shape}.")
    return np.ascontiguousarray(np.atleast_2d(strain))


def check_strain_unit(strain):
    if np.abs(strain).max() > 5:
        warn(f"strain reaches {np.abs(strain).max():.4g}, which looks like percent; give true strain, 0.1 for 10 %.")


def check_states(state, name):
    """Raise where states (n, 5) are none; warn where their magnitude is that of other units."""
    if state.shape[1] != 5:
        raise ValueError(f"{name} must have five columns (stress, density, phi1, Phi, phi2), got {state.shape[1]}.")
    density = state[:, 1]
    if (density <= 0).any():
        raise ValueError(
            f"{name} holds a density of {density.min():g}; the second column must be above zero, in 1/m^2."
        )
    if density.max() < 1e7:
        warn(f"{name} holds densities of {density.max():g} at most, which looks like 1/um^2; give 1/m^2, 1e12 times.")
    elif density.min() < 1e7:
        warn(
            f"{name} mixes densities of {density.min():g} and {density.max():g}, the former of which look like 1/um^2; "
            "give 1/m^2 everywhere."
        )
    largest = np.abs(state[:, 2:5]).max()
    if largest > 8 * np.pi:
        warn(f"{name} holds angles up to {largest:.4g}, which looks like degrees; give rad.")
    stress = np.abs(state[:, 0]).max()
    if stress > 1e5:
        warn(f"{name} holds stresses up to {stress:.4g}, which looks like Pa; give MPa, 1e-6 times that.")


def read_table(table, columns):
    """Strain (n,), state (n, m) and labels (n,) of a long table, the rows of a trajectory below each other."""
    if isinstance(table, (str, Path)):
        import pandas as pd

        path = str(table)
        if path.endswith((".parquet", ".pq")):
            try:
                table = pd.read_parquet(path)
            except ImportError as error:
                raise ImportError(
                    f"{path}: pandas reads Parquet by pyarrow, which is missing: pip install pyarrow, or give a CSV "
                    "file or a DataFrame."
                ) from error
        else:
            table = pd.read_csv(path)
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
        raise ValueError(f"table: {len(unnamed)} rows name no {columns[0]}, the first is row {unnamed[0]}; name it.")
    labels = np.unique(np.asarray(table[columns[0]]), return_inverse=True)[1]
    order = np.argsort(labels, kind="stable")
    return values[order, 0], values[order, 1:], labels[order]


def warn(text):
    warnings.warn(text, UserWarning, stacklevel=5)
