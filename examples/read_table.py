"""A table of the user's own, read from a CSV file, with one line for each way in which it can be wrong."""

import csv
import io
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd

MIN_ROWS = 5
MISSING = {"", "-", "?", "na", "n/a", "#n/a", "nan", "null", "none"}
DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+([eE][+-]?\d+)?")


class TableError(ValueError):
    """What is wrong with the table and what to do about it, in one line."""


def read_cells(path):
    """Column names, and (line number, cells) of every row that is not blank."""
    try:
        text = Path(path).read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise TableError(f"cannot read {path}: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise TableError(f"{path} is not text in UTF-8; save it as 'CSV UTF-8', not as a workbook or UTF-16.") from None
    if "\0" in text:
        raise TableError(f"{path} is not text; save it as 'CSV UTF-8'.")
    if not text.strip():
        raise TableError(f"{path} is empty; the first line must name the columns, each further line is a row.")
    first = text.lstrip().splitlines()[0]
    if first.startswith(("sep=", "#")):
        raise TableError(f"{path}: the first line is {first[:40]!r}; delete it, the first line must name the columns.")
    separator = max(",;\t|", key=lambda s: len(next(csv.reader([first], delimiter=s))))
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True, strict=True)
    try:
        lines = [(reader.line_num, [cell.strip() for cell in cells]) for cells in reader]
    except csv.Error as error:
        raise TableError(f"{path}, line {reader.line_num}: no CSV ({error}); is a quotation mark astray?") from None
    filled = [(number, cells) for number, cells in lines if any(cells)]
    if not filled:
        raise TableError(f"{path} holds separators only; the first line must name the columns, each further is a row.")
    (_, names), *rows = filled
    if "" in names:
        raise TableError(f"{path}: column {names.index('') + 1} has no name; the first line must name every column.")
    if all(is_number(name) for name in names):
        raise TableError(f"{path}: the first line holds numbers; it must name the columns.")
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        raise TableError(f"{path}: the column name {repeated[0]!r} occurs more than once; rename or delete a column.")
    for number, cells in rows:
        if len(cells) != len(names):
            raise TableError(
                f"{path}, line {number}, has {len(cells)} cells, not {len(names)} (separator {separator!r}); "
                "put text that contains the separator in quotation marks."
            )
    return names, rows


def read_frame(path, wanted):
    """The table as a data frame; TableError if it is none, or has not the columns that are wanted as numbers."""
    names, _ = read_cells(path)
    missing = [plain(name) for name in wanted if name not in names]
    if missing:
        known = ", ".join(map(plain, names))
        raise TableError(f"{path} has no column {', '.join(missing)}; name its own with --properties: {known}.")
    frame = pd.read_csv(path, sep=None, engine="python", skipinitialspace=True, encoding="utf-8-sig")
    words = [plain(name) for name in wanted if not pd.api.types.is_numeric_dtype(frame[name])]
    if words:
        raise TableError(f"{path}: not all cells of {', '.join(words)} are numbers; correct these or name others.")
    return frame


def plain(text):
    """Text for the terminal: what it would obey, such as escape sequences, as Python writes it."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def is_number(cell):
    try:
        float(cell)
    except ValueError:
        return False
    return "_" not in cell  # Python reads 1_000 as a number; no spreadsheet means that


def to_number(cell, decimal, where, remedy):
    if cell.lower() in MISSING:
        raise TableError(f"{where} is missing ({cell!r}); fill it in or delete the row.")
    plain, shown = cell, repr(cell if len(cell) <= 40 else cell[:37] + "...")
    if decimal == ",":
        if "." in cell:
            raise TableError(f"{where} is {shown}, with a point, but --decimal , was given; write every number alike.")
        plain = cell.replace(",", ".")
    elif DECIMAL_COMMA.fullmatch(cell):
        raise TableError(f"{where} is {shown}, with a comma; add --decimal , or, if it parts thousands, delete it.")
    if not is_number(plain):
        raise TableError(f"{where} is not a number ({shown}); {remedy}.")
    if not np.isfinite(float(plain)):
        raise TableError(f"{where} is infinite or too large ({shown}); correct it or delete the row.")
    return float(plain)


def read_table(path, target, drop=(), decimal="."):
    """Names of the features, X, y and the rows' line numbers; TableError if anything is wrong with the file."""
    names, rows = read_cells(path)
    for name in [*drop, target]:
        if name is None:
            raise TableError(f"say which column to predict: --target NAME, one of {', '.join(names)}.")
        if name not in names:
            raise TableError(f"{path} has no column {name!r}; its columns are {', '.join(names)}.")
    if target in drop:
        raise TableError(f"{target!r} is the target and to be dropped; choose one.")
    features = [name for name in names if name != target and name not in drop]
    if not features:
        raise TableError(f"{path} has no column beside the target {target!r}; there is nothing to predict it from.")
    if len(rows) < MIN_ROWS:
        raise TableError(f"{path} has {len(rows)} rows below the names; at least {MIN_ROWS} are needed.")
    kept = [names.index(name) for name in [target, *features]]
    first, second = ([is_number(cells[at].replace(",", ".")) for at in kept] for _, cells in rows[:2])
    units = [rows[0][1][at] for at in kept]
    if not any(first) and any(second) and any(unit.lower() not in MISSING for unit in units):
        raise TableError(
            f"{path}, line {rows[0][0]}, holds no number ({', '.join(units)[:60]}); if it names the units, delete it."
        )
    columns = {}
    for name in [target, *features]:
        remedy = (
            "the target must be numeric"
            if name == target
            else f"correct it or leave the column out with --drop {name!r}"
        )
        at = names.index(name)
        columns[name] = [
            to_number(cells[at], decimal, f"{path}, line {number}, column {name!r}", remedy) for number, cells in rows
        ]
    y, X = np.array(columns[target]), np.column_stack([columns[name] for name in features])
    if np.ptp(y) == 0:
        raise TableError(f"{path}: the target {target!r} is {y[0]:g} in every row; there is nothing to learn.")
    if not np.ptp(X, axis=0).any():
        raise TableError(f"{path}: no column beside the target varies; there is nothing to predict it from.")
    return features, X, y, np.array([number for number, _ in rows])
