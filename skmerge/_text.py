"""Text in a table, of any container: which columns hold numbers, words, or true and false, and what to say if neither.

One rule for pandas, polars, arrays of objects and lists. A column of text whose cells can all be read as numbers is a
column of numbers; a warning says so. If most of the cells can, or look like a number with a unit or a sign, the column
is a mistake and raises an error.
"""

import re
import sys
import warnings
from numbers import Real

import numpy as np

# What a cell is.
MISSING, BLANK, NUMBER, NUMBER_AS_TEXT, TRUTH, ALMOST, WORD, FOREIGN = range(8)
# A number that float() does not take: 1,234 or 1.234,5; <1, ~3; 5 %, 1.2 GPa; 1.2 +- 0.1, 1.2(3), 200-300.
ONE = r"[+-]?\d[\d.,' ]*(?:[eE][+-]?\d+)?"
ALMOST_NUMBER = re.compile(
    rf"^[<>=~≈≤≥±\s]*{ONE}(?:\(\d+\))?\s*(?:(?:\+/?-|±|-|–|to|\.\.+)\s*{ONE})?(?:%|\s+[^\W\d]\S*|\s*[°µ]\S*)?$"
)
LONGEST_NAME = 60  # characters of a name or a cell in a message
FIRST = 4  # cells that a message shows


def shown(value):
    """repr of a name or a cell, cut where it is too long to read."""
    text = repr(value.item() if isinstance(value, np.generic) else value)
    return text if len(text) <= LONGEST_NAME else f"{text[:LONGEST_NAME]}..."


def printable(text):
    """Text with control characters, such as escape sequences in names, written as Python does."""
    return "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in text)


def listed(values, most=20):
    """Names in a message, the first of them."""
    values = list(values)
    more = f", ... ({len(values)} in all)" if len(values) > most else ""
    return f"[{', '.join(map(shown, values[:most]))}{more}]"


def is_category(X, j):
    """Whether a column of pandas has the type of categories."""
    return hasattr(X, "iloc") and str(X.dtypes.iloc[j]) == "category"


def is_frame(X):
    """A data frame of pandas or polars."""
    return hasattr(X, "columns") and hasattr(X, "shape") and not hasattr(X, "collect")


def column_of(X, j):
    """Column j of a frame or an array."""
    return X.iloc[:, j] if hasattr(X, "iloc") else X[:, j]


def with_columns(X, columns):
    """The frame or array with other columns, ``{number: array}``."""
    if hasattr(X, "iloc"):
        X = X.copy(deep=False)
        for j, values in columns.items():
            X[X.columns[j]] = values
        return X
    if is_frame(X):
        return X.with_columns([type(X[:, j])(X.columns[j], values.tolist()) for j, values in columns.items()])
    X = np.array(X, dtype=object)  # of text, which holds no numbers
    for j, values in columns.items():
        X[:, j] = values
    return X


def _may_hold_text(dtype):
    if hasattr(dtype, "is_numeric"):  # polars
        return not (dtype.is_numeric() or dtype.is_temporal() or dtype.is_nested() or str(dtype) == "Boolean")
    return getattr(dtype, "kind", "f") in "OUST"


def _is_coded(dtype):
    """True and False, or categories, which may be numbers."""
    return getattr(dtype, "kind", "") == "b" or str(dtype) in ("Boolean", "category")


def cells_of(X, coded=False):
    """``{number: cells}`` of the columns that may hold text, arrays of objects, and X to index.

    A list becomes an array of objects if it holds text: NumPy would make text of its numbers. ``coded``: of a frame
    also the columns of True and False and of categories that are numbers.
    """
    if is_frame(X):
        if len(set(X.columns)) < len(X.columns) or len(X.shape) != 2:
            return {}, X
        found = {}
        for j, dtype in enumerate(X.dtypes):
            kept = coded and _is_coded(dtype)
            if kept or _may_hold_text(dtype):
                cells = np.asarray(column_of(X, j), dtype=object)
                if kept or not _is_plain(cells):
                    found[j] = cells
        return found, X
    if isinstance(X, (list, tuple)):
        try:
            flat = np.asarray(X)
            X = np.array(X, dtype=object) if flat.dtype.kind in "OUST" else flat
        except ValueError:  # rows of unequal length: the check of arrays says so
            return {}, X
    dtype = getattr(X, "dtype", None)
    shape = getattr(X, "shape", ())
    if not _may_hold_text(dtype) or len(shape) not in (1, 2) or hasattr(X, "tocsr"):
        return {}, X
    cells = np.asarray(X, dtype=object)
    cells = enumerate(cells.T if len(shape) == 2 else cells[None])
    return {j: column for j, column in cells if not _is_plain(column)}, X


def _is_plain(cells):
    """Numbers and None alone, which NumPy reads: a look at the types is quick."""
    kinds = set(map(type, cells)) - {type(None)}
    return all(issubclass(kind, Real) and not issubclass(kind, (bool, np.bool_)) for kind in kinds)


def kind_of(cell):
    """What a cell is, and its number, NaN if it has none."""
    if cell is None or type(cell).__name__ == "NAType":
        return MISSING, np.nan
    if isinstance(cell, (bool, np.bool_)):
        return TRUTH, float(cell)
    if isinstance(cell, Real):
        return (NUMBER, float(cell)) if cell == cell else (MISSING, np.nan)
    if isinstance(cell, bytes):
        cell = cell.decode(errors="replace")
    if isinstance(cell, str):
        text = cell.strip()
        if not text:
            return BLANK, np.nan
        try:
            value = float(text)
        except ValueError:
            return (ALMOST if ALMOST_NUMBER.match(text) else WORD), np.nan
        return (NUMBER_AS_TEXT, value) if value == value else (MISSING, np.nan)
    try:
        value = float(cell)  # such as Decimal and Fraction
    except (TypeError, ValueError):
        return FOREIGN, np.nan
    return (NUMBER, value) if value == value else (MISSING, np.nan)


class Column:
    """The cells of a column, read.

    Attributes
    ----------
    cells : ndarray of object
    kind : ndarray of int, what each cell is
    value : ndarray of float, NaN where it is no number
    """

    def __init__(self, cells):
        self.cells = cells
        known = {}
        read = []
        for cell in cells:
            try:
                key = type(cell), cell
                if key not in known:
                    known[key] = kind_of(cell)
                read.append(known[key])
            except TypeError:  # not hashable
                read.append(kind_of(cell))
            except OverflowError:  # an integer beyond the range of float: the check of numbers says so
                read.append((FOREIGN, np.nan))
        self.kind = np.array([kind for kind, _ in read], dtype=int)
        self.value = np.array([value for _, value in read], dtype=float)

    def has(self, *kinds):
        return np.isin(self.kind, kinds)

    @property
    def measured(self):
        return ~self.has(MISSING, BLANK)

    @property
    def is_numbers(self):
        """Nothing but numbers and gaps; True and False among them count as 1 and 0."""
        return not self.has(ALMOST, WORD, FOREIGN).any()

    @property
    def different(self):
        """The different cells, in order."""
        cells = set(self.cells[self.measured])
        return sorted(cells, key=lambda cell: (isinstance(cell, str), cell))

    @property
    def is_truth(self):
        """Nothing but True, False and gaps."""
        return bool(self.has(TRUTH).any()) and not self.has(NUMBER, NUMBER_AS_TEXT, ALMOST, WORD, FOREIGN).any()

    @property
    def is_mistake(self):
        """Most cells are numbers or nearly, or most of the different ones, and some do not parse."""
        odd = self.has(ALMOST, WORD)
        if not odd.any() or self.has(FOREIGN).any():
            return False
        near, measured = self.has(NUMBER, NUMBER_AS_TEXT, ALMOST), self.measured
        different = [len(set(map(str, self.cells[rows]))) for rows in (near, measured)]
        return near.sum() > measured.sum() / 2 or (different[0] > 1 and different[0] > different[1] / 2)

    def examples(self, rows):
        """The first cells of some rows, for a message."""
        rows = np.flatnonzero(rows)
        more = ", ..." if len(rows) > FIRST else ""
        return ", ".join(f"row {row} {shown(self.cells[row])}" for row in rows[:FIRST]) + more


def name_of(X, j):
    """How messages call column j."""
    if is_frame(X):
        return f"column {shown(X.columns[j])}"
    return f"column {j}"


def raise_misread(name, column, remedy="", known=True):
    """Raise for a column of numbers some of which do not parse; ``known``: whether NaN may stand for them."""
    odd = column.has(ALMOST, WORD)
    blank = ", or put NaN where there is no number" if known else ""
    raise ValueError(
        f"{name} looks like numbers, but {odd.sum()} of its {column.measured.sum()} cells could not be read as one: "
        f"{column.examples(odd)}. Correct these cells{blank}{remedy}."
    )


def raise_foreign(name, column):
    """Raise what Python says of a cell that is neither number nor text, with its place."""
    row = np.flatnonzero(column.has(FOREIGN))[0]
    try:
        float(column.cells[row])
    except (TypeError, ValueError, OverflowError) as error:
        raise type(error)(f"{name}, row {row} {shown(column.cells[row])}: {error}") from error


def warn(text, category=UserWarning):
    """Warn of the user's data at the user's line: frames of this package and of scikit-learn are passed over."""
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith(("skmerge.", "sklearn.")):
        frame, level = frame.f_back, level + 1
    warnings.warn(text, category, stacklevel=level)


def say(argument, X, columns, kind, what):
    """Warn of cells of a kind, in those of ``{number: Column}`` that hold any."""
    found = {j: column.has(kind) for j, column in columns.items() if column.has(kind).any()}
    if found:
        (j, rows), *others = found.items()
        rest = ", ".join(name_of(X, k) for k, _ in others[:FIRST])
        more = f"; {len(others)} other column(s) too: {rest}{', ...' if len(others) > FIRST else ''}" if others else ""
        warn(f"{argument}: {name_of(X, j)} holds {what}: {rows.sum()} cell(s), {columns[j].examples(rows)}{more}.")


def say_what_was_read(argument, X, columns):
    """Warn of numbers that were written as text, of truth values among numbers, and of blank cells."""
    mixed = {j: column for j, column in columns.items() if column.has(TRUTH).any() and not column.is_truth}
    say(argument, X, mixed, TRUTH, "True and False among numbers, which count as 1 and 0")
    say(argument, X, columns, NUMBER_AS_TEXT, "numbers written as text, which are read as numbers")
    say(argument, X, columns, BLANK, "blank text, which counts as missing")


def as_numbers(argument, X):
    """X with its text read as numbers; raise for words, with the column and the cell."""
    cells, X = cells_of(X)
    columns = {j: Column(one) for j, one in cells.items()}
    for j, column in columns.items():
        # A series is called by its own name; an array, a list or a series without a name is called "the array".
        called = getattr(X, "name", None)
        name = name_of(X, j) if len(X.shape) == 2 else "the array" if called is None else f"column {shown(called)}"
        if column.has(FOREIGN).any():
            raise_foreign(name, column)
        if column.is_mistake:
            raise_misread(name, column, known=argument != "sample_weight")
        odd = column.has(ALMOST, WORD)
        if odd.any():
            raise ValueError(
                f"could not convert the words of {name} to numbers: {column.examples(odd)}; encode text first, for "
                "instance with OneHotEncoder"
            )
    if not columns:
        return X
    say_what_was_read(argument, X, columns)
    if len(X.shape) == 1:
        return columns[0].value
    return with_columns(X, {j: column.value for j, column in columns.items()})
