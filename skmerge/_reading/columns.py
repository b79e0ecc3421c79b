"""A column of a raw table: what its cells are, together, and what was done to them."""

import re
from collections import Counter
from tokenize import TokenError
from typing import NamedTuple

import numpy as np
import pandas as pd

from skmerge._reading import cells
from skmerge._text import shown

# What pint raises of a text that is no unit, or no unit of that kind: its own errors are among the first two.
NO_UNIT = AssertionError, AttributeError, TypeError, ValueError, ArithmeticError, SyntaxError, TokenError
MOSTLY = 0.5  # of the cells that are there: more numbers than that make a column of numbers, else it is one of words
EXAMPLES, LOOKED_AT = 3, 1000
CODE = re.compile(r"0\d+")  # such as 007: as a number it would lose its zeros
IN_NAME = re.compile(r".*[\[(]\s*([^\])]+?)\s*[\])]\s*$|.*,\s*(\S+)\s*$|.*\s(?:in)\s+(\S+)\s*$")


class Note(NamedTuple):
    """A line of the report.

    Attributes
    ----------
    column : str, or None for the whole table
    what : str, what was done or is doubted
    rows : tuple, the rows that it was done to, by the index of the frame; at most 10
    n_cells : int, how many cells
    remedy : str, what to do if it is wrong
    is_problem : bool, whether something could not be read or is doubted
    """

    column: str | None
    what: str
    rows: tuple = ()
    n_cells: int = 0
    remedy: str = ""
    is_problem: bool = False


class Read(NamedTuple):
    """A column as it was read: values (n,), float64 or object with words and None; error and limit None without any."""

    values: np.ndarray
    error: np.ndarray | None
    limit: np.ndarray | None  # int8, -1 below and 1 above
    unit: str | None
    notes: list


def interpret(name, column, registry, decimal=None, unit=None):
    """Read a column, a Series; ``registry`` makes that of pint, or None; ``decimal``, ``unit`` where they are known."""
    if column.dtype.kind in "fiu" and not isinstance(column.dtype, pd.CategoricalDtype):
        return numbers_as_they_are(name, column, unit)
    if column.dtype.kind == "b":
        return Read(column.to_numpy(float), None, None, None, [Note(name, "true and false are 1 and 0")])
    if column.dtype.kind == "M":
        return of_times(name, column)
    codes, texts = pd.factorize(column.astype(object).map(str, na_action="ignore"))
    texts = np.asarray(texts, object)  # an Index is ten times slower to go through
    found = pd.Series(pd.to_numeric(pd.Series(texts, dtype=object), errors="coerce"), dtype=float).to_numpy(copy=True)
    plain = np.isfinite(found)
    read = [None if is_plain else cells.read(text) for is_plain, text in zip(plain, texts, strict=True)]
    counts = np.bincount(codes[codes >= 0], minlength=len(texts))
    kinds = Counter()
    for is_plain, cell, count in zip(plain, read, counts, strict=True):
        kinds["number" if is_plain else cell.kind] += int(count)
    there = sum(kinds.values()) - kinds["missing"]
    work = Work(name, codes, texts, np.where(plain, found, np.nan), plain, read, registry, [])
    if kinds["missing"]:
        words = listed([text for text, cell in zip(texts, read, strict=True) if cell and cell.kind == "missing"])
        work.say(f"{words} read as not measured", lambda cell: cell.kind == "missing")
    coded = plain & np.array([CODE.fullmatch(text.strip()) is not None for text in texts], bool)
    if coded.any():
        first = texts[np.flatnonzero(coded)[0]]
        work.say(f"codes with leading zeros such as {first!r} are words", coded, "write numbers without them")
        return of_words(work, Counter(), there)
    if not there:
        return Read(np.full(len(column), np.nan), None, None, None, work.notes)
    if kinds["number"] > MOSTLY * there:
        return of_numbers(work, decimal, unit)
    if kinds["date"] > MOSTLY * there:
        return of_dates(work)
    if kinds["truth"] > MOSTLY * there and kinds["truth"] == there:
        work.say("yes and no are 1 and 0", lambda cell: cell.kind == "truth")
        return Read(work.spread([np.nan if c is None else c.value for c in read]), None, None, None, work.notes)
    return of_words(work, kinds, there)


class Work(NamedTuple):
    """Different texts of a column, ``codes`` (n,) of the cells, -1 where blank, and what they were read as."""

    name: str
    codes: np.ndarray
    texts: np.ndarray
    number: np.ndarray
    plain: np.ndarray
    read: list
    registry: object
    notes: list

    def spread(self, of_texts, blank=np.nan):
        """An entry for each text as one for each cell."""
        of_texts = np.asarray(of_texts)
        out = np.full(len(self.codes), blank, of_texts.dtype)
        there = self.codes >= 0
        out[there] = of_texts[self.codes[there]]
        return out

    def say(self, what, which, remedy="", is_problem=False):
        """A note of the cells whose Cell, ``which`` (a function or bool of the texts), it is about."""
        if callable(which):
            which = np.array([cell is not None and which(cell) for cell in self.read], bool)
        rows = np.flatnonzero(self.spread(which, False))
        if len(rows):
            self.notes.append(Note(self.name, what, tuple(rows[:10].tolist()), len(rows), remedy, is_problem))


def listed(texts, most=EXAMPLES):
    return ", ".join(map(shown, texts[:most])) + (f" and {len(texts) - most} more kinds" if len(texts) > most else "")


def numbers_as_they_are(name, column, unit):
    values = column.to_numpy(float, na_value=np.nan).copy()
    notes, infinite = [], np.isinf(values)
    if infinite.any():
        rows = np.flatnonzero(infinite)
        notes.append(Note(name, "infinite, read as not measured", tuple(rows[:10].tolist()), len(rows), "", True))
        values[infinite] = np.nan
    return Read(values, None, None, unit or unit_in(name), notes)


def of_numbers(work, decimal, unit):
    is_number = np.array([cell is not None and cell.kind == "number" for cell in work.read], bool)
    digits = [work.read[i].digits for i in np.flatnonzero(is_number)]
    decimal = decimal or decimal_of(work, digits)
    value, error = work.number.copy(), np.full(len(work.texts), np.nan)
    limit = np.zeros(len(work.texts), np.int8)
    for i in np.flatnonzero(is_number):
        cell = work.read[i]
        value[i] = cell.sign * cells.value_of(cell.digits, decimal, cell.exponent)
        error[i] = cells.value_of(cell.error[0], decimal, cell.error[1]) if cell.error[0] else np.nan
        limit[i] = cell.limit
    if decimal == ",":  # pandas read 1.234 as a number, which is one of thousands here
        pointed = work.plain & np.array(["." in text for text in work.texts], bool)
        for i in np.flatnonzero(pointed):
            text = work.texts[i].strip()
            value[i] = cells.value_of(text.lstrip("+-"), ",") * (-1 if text.startswith("-") else 1)
        if (pointed & np.isfinite(value)).any():
            first = np.flatnonzero(pointed & np.isfinite(value))[0]
            work.say(
                f"a point parts thousands: {work.texts[first]!r} is {value[first]:g}", pointed & np.isfinite(value)
            )
    unit = one_unit(work, value, error, is_number, unit or unit_in(work.name))
    bad = ~np.isfinite(value) & np.array([cell is None or cell.kind != "missing" for cell in work.read], bool)
    value[bad], limit[bad] = np.nan, 0
    if bad.any():
        what = f"{listed(work.texts[bad])} not read, taken as not measured"
        work.say(what, bad, "correct the cells, or say what they mean", True)
    if np.isfinite(error).any():
        work.say("value and error (standard deviation)", np.isfinite(error))
    if limit.any():
        work.say("a limit: the value is below or above it", limit != 0, "see `censored`")
    has_error, has_limit = np.isfinite(error).any(), limit.any()
    return Read(
        work.spread(value), work.spread(error) if has_error else None,
        work.spread(limit, 0) if has_limit else None, unit, work.notes,
    )  # fmt: skip


def decimal_of(work, digits):
    """ "." or ",", as the cells of a column together say."""
    if not any("," in one or one.count(".") > 1 for one in digits):
        return "."
    plain = [text.strip().lstrip("+-") for text in np.asarray(work.texts, object)[work.plain][:LOOKED_AT]]
    every = digits + plain
    comma, point = (  # cells that can be read in one way only
        [one for one in every if np.isfinite(cells.value_of(one, a)) and not np.isfinite(cells.value_of(one, b))]
        for a, b in ((",", "."), (".", ","))
    )
    doubtful = [one for one in digits if "," in one and "." not in one and cells.thousands(one, ",")]
    if len(comma) > len(point):
        work.say("decimal commas", lambda cell: "," in cell.digits)
        return ","
    if doubtful:
        clear = any("," in one and ("." in one or one.count(",") > 1) for one in digits)
        work.say(
            f"a comma parts thousands: {doubtful[0]!r} is {cells.value_of(doubtful[0], '.'):g}",
            lambda cell: "," in cell.digits, "" if clear else "if it is a decimal comma, give decimal=','", not clear,
        )  # fmt: skip
    return "."


def one_unit(work, value, error, is_number, told):
    """The unit that is told, or that of most cells; others are converted in place, or become unreadable."""
    counts = np.bincount(work.codes[work.codes >= 0], minlength=len(work.texts))
    units = Counter()
    for i in np.flatnonzero(is_number):
        if work.read[i].unit:
            units[work.read[i].unit] += int(counts[i])
    if not units:
        return told
    unit = told or units.most_common(1)[0][0]
    for other in units:
        if other == unit:
            continue
        which = np.array([cell is not None and cell.unit == other for cell in work.read], bool)
        factor = conversion(other, unit, work.registry)
        if factor is None:
            value[which] = np.nan
        else:
            value[which], error[which] = factor(value[which]), np.abs(factor(error[which]) - factor(0 * error[which]))
            work.say(f"converted from {other} to {unit}", which)
    bare = np.isfinite(value) & np.array([cell is None or not cell.unit for cell in work.read], bool)
    if bare.any() and unit != told:
        work.say(f"no unit, taken as {unit}", bare, "write the unit", True)
    return unit


def conversion(other, unit, registry):
    """A function from one unit to another, or None."""
    registry = registry()
    if registry is None:
        return None
    try:
        registry.Quantity(1.0, other).to(unit)
    except NO_UNIT:
        return None
    return lambda values: registry.Quantity(np.asarray(values, float), other).to(unit).magnitude


def unit_in(name):
    match = IN_NAME.fullmatch(str(name))
    found = next((group for group in match.groups() if group), None) if match else None
    return found if found and cells.KNOWN.fullmatch(found) else None


def of_dates(work):
    """Dates as days since the first."""
    read = [cell if cell is not None and cell.kind == "date" else None for cell in work.read]
    doubtful = [cell.date for cell in read if cell is not None and cell.date]
    month_first = bool(doubtful) and not any(first > 12 for first, _, _ in doubtful)
    clear = any(max(first, second) > 12 for first, second, _ in doubtful)
    days = np.full(len(read), np.nan)
    for i, cell in enumerate(read):
        if cell is not None:
            first, second, year = cell.date or (0, 0, 0)
            month, day = (first, second) if month_first else (second, first)
            days[i] = cells.days_of(year, month, day) if cell.date else cell.value
    if doubtful and not clear:
        work.say(
            "dates read as month/day/year",
            lambda cell: bool(cell.date),
            "write them as 2024-12-31 if that is wrong",
            True,
        )
    bad = np.isnan(days) & np.array([cell is None or cell.kind != "missing" for cell in work.read], bool)
    work.say("no date, taken as not measured", bad, "correct the cells", True)
    first = np.nanmin(days)
    start = np.datetime64("1970-01-01") + np.timedelta64(int(first), "D")
    work.say(f"dates are days since {start}", ~np.isnan(days))
    return Read(work.spread(days - first), None, None, "d", work.notes)


def of_times(name, column):
    start = column.min()
    days = (column - start) / pd.Timedelta(days=1)
    note = Note(name, f"dates are days since {start.date()}", (), int(column.notna().sum()))
    return Read(days.to_numpy(float), None, None, "d", [note])


def of_words(work, kinds, there):
    """Words, and numbers among them as they are written."""
    missing = [cell is not None and cell.kind == "missing" for cell in work.read]
    words = np.array([text.strip() for text in work.texts], object)
    words[missing] = None
    share = kinds["number"] / there if there else 0.0
    if share > 0.1:
        which = work.plain | np.array([cell is not None and cell.kind == "number" for cell in work.read], bool)
        work.say(
            f"a column of words, of which {share:.0%} are numbers", which,
            "correct the words if it should be one of numbers", True,
        )  # fmt: skip
    return Read(work.spread(words, None), None, None, None, work.notes)
