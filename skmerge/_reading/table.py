"""A whole table: columns read one by one, then what only rows together tell."""

from functools import cache

import numpy as np

from skmerge._reading.columns import Note, interpret
from skmerge._reading.source import load, units_row


def read(source, decimal, sheet, pd):
    """Frame, errors, censored, units and notes of a raw table."""
    raw, notes = load(source, sheet)
    if not raw.shape[1] or not len(raw):
        raise ValueError("the table has no cells below the names of its columns.")
    below = units_row(raw)
    if below:
        said = ", ".join(f"{name} in {unit}" for name, unit in below.items())
        notes.append(Note(None, f"the first row holds units: {said}", (0,), len(below), "", False))
        raw = raw.iloc[1:]
    values, errors, limits, units = {}, {}, {}, dict(below or {})
    for name in raw.columns:
        column = interpret(name, raw[name], registry_of, decimal, units.get(name))
        values[name] = pd.Series(column.values, index=raw.index, dtype=column.values.dtype)  # words stay objects
        errors[name] = np.nan if column.error is None else column.error
        limits[name] = np.int8(0) if column.limit is None else column.limit
        if column.unit and name not in units:
            units[name] = column.unit
        notes += [note._replace(rows=tuple(raw.index[list(note.rows)].tolist())) for note in column.notes]
    frame = pd.DataFrame(values)
    repeated = np.flatnonzero(frame.duplicated().to_numpy())
    if len(repeated):
        what = "rows repeat an earlier row, and are kept"
        rows = tuple(raw.index[repeated[:10]].tolist())
        notes.append(Note(None, what, rows, len(repeated), "drop_duplicates() drops them", True))
    errors = pd.DataFrame(errors, index=raw.index, columns=list(raw.columns), dtype=float)
    limits = pd.DataFrame(limits, index=raw.index, columns=list(raw.columns)).astype(np.int8)
    return frame, errors, limits, units, tuple(notes)


@cache
def registry_of():
    """Of pint, whose import takes a second, or None."""
    try:
        import pint
    except ImportError:
        return None
    return pint.get_application_registry()
