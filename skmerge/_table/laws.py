"""Laws that the user gives for a table: derived columns, and relations that columns follow up to a remainder."""

import numpy as np

from skmerge._parameters import raise_invalid
from skmerge._validation import naming


def evaluated(name, law, X):
    """law(X), checked: one number or NaN per row."""
    try:
        value = law(X.copy())
    except Exception as error:
        raise ValueError(
            f"{name} raised {error!r}; it is called with the table as an array of shape {X.shape}, columns by number, "
            "NaN where missing."
        ) from error
    with naming(name):
        value = np.asarray(value, dtype=float)
    if value.shape != (len(X),) or np.isinf(value).any():
        raise ValueError(
            f"{name} returned shape {value.shape} for X of shape {X.shape}; give one number or NaN per row, none "
            "infinite."
        )
    return value


def derived_columns(derived, X):
    """Values (n, n_derived) of the derived columns."""
    columns = [evaluated(f"derived[{name!r}]", law, X) for name, law in derived.items()]
    return np.column_stack(columns) if columns else np.empty((len(X), 0))


def relations_of(names, relations):
    """``{column number: function}``; ``names``: ColumnNames."""
    for feature, law in (relations or {}).items():
        if not callable(law):
            raise_invalid(f"relations[{feature!r}]", law, "give a function of the table")
    return {names.number(feature, "relations"): law for feature, law in (relations or {}).items()}


def related(laws, X):
    """Values of the relations, (n, d): 0 for columns without one, NaN where a relation returns NaN."""
    values = np.zeros(X.shape)
    for j, law in laws.items():
        without = X.copy()
        without[:, j] = np.nan  # never from itself
        values[:, j] = evaluated(f"relations[{j}]", law, without)
    return values
