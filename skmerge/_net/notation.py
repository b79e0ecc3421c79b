"""Notation of the names and numbers of a formula."""

import keyword
import unicodedata
from typing import NamedTuple

import numpy as np

from skmerge._text import printable

MOST_DIGITS = 14  # beyond the usual three significant; then repr


class Term(NamedTuple):
    """A term of a law: its kind ("product", "linear" or "sum", which saturates), text and exponents.

    ``exponent`` (n_features,) is NaN for features that take no part, and everywhere for a sum; ``std`` (n_features,)
    holds the standard errors, 0 where an exponent is fixed, NaN where it is undetermined or errors were not requested.
    """

    kind: str
    text: str
    exponent: np.ndarray
    std: np.ndarray


def names_of(y):
    """Names of the columns of y, an object array, or None where it has none."""
    columns = getattr(y, "columns", None)
    names = [getattr(y, "name", None)] if columns is None else list(columns)
    if not names or not all(isinstance(name, str) and name for name in names):
        return None
    return np.array(names, dtype=object)


def given_names(names, argument, size, expected):
    if isinstance(names, (str, bytes)) or not np.iterable(names):
        raise TypeError(f"{argument}={names!r} is no list of names; give {expected}.")
    names = list(names)
    wrong = [name for name in names if not isinstance(name, str)]
    if wrong:
        raise TypeError(f"{argument} holds {wrong[0]!r}, which is no string; give {expected}.")
    if len(names) != size:
        raise ValueError(f"{argument} must be {expected}; got {len(names)}: {names}.")
    return [str(name) for name in names]


def offset_name(offset):
    """The name of a callable offset in a formula."""
    name = getattr(offset, "__name__", "offset")
    return name if name.isidentifier() and not keyword.iskeyword(name) else "offset"


def as_identifiers(names, offset):
    """A Python identifier for each feature; see ``Formula.python_names``."""
    taken = {"np", "X", "__debug__", offset}  # __debug__ is True to Python, whatever is passed
    free = [n for n in names if n.isidentifier() and not keyword.iskeyword(n) and n not in taken
            and n == unicodedata.normalize("NFKC", n)]  # fmt: skip
    used, found = taken | set(free), []
    for name in names:
        identifier = name
        if name not in free:
            # Python reads identifiers in this normal form.
            letters = (c if f"a{c}".isidentifier() else "_" for c in unicodedata.normalize("NFKC", name))
            identifier = "_".join(part for part in "".join(letters).split("_") if part)
            if not identifier.isidentifier():
                identifier = f"_{identifier}"
            while identifier in used or keyword.iskeyword(identifier):
                identifier += "_"
            used.add(identifier)
        found.append(identifier)
    return found


def joined(parts):
    """The sum of terms; a term that begins with a minus is subtracted."""
    text = parts[0]
    for part in parts[1:]:
        text += f" - {part[1:]}" if part.startswith("-") else f" + {part}"
    return text


def power_of_ten(size):
    return 10.0 ** np.clip(np.round(np.log10(size)), -307, 308)


def written(value, digits=0):
    if digits >= MOST_DIGITS:
        return repr(float(value))
    return f"{value:.{2 + digits}f}" if 0.09999 <= abs(value) < 1000 else f"{value:.{3 + digits}g}"


def latex_number(value):
    return latex_power(written(value))


def latex_power(text):
    if "e" in text:
        mantissa, power = text.split("e")
        lead = "" if float(mantissa) == 1 and "." not in mantissa else rf"{mantissa} \cdot "
        return rf"{lead}10^{{{int(power)}}}"
    return text


def latex_note(note):
    """A standard error or a word behind a number."""
    if note.startswith("(±"):
        return rf"\,(\pm {latex_power(note[2:-1])})"
    return rf"\,\text{{{note}}}" if note else ""


def latex_name(name):
    head, _, tail = (name, "", "") if name.endswith("_") else name.partition("_")
    if len(name) == 1 and name.isalnum():
        return name
    return rf"\mathrm{{{_escaped(head)}}}" + (rf"_{{\mathrm{{{_escaped(tail)}}}}}" if tail else "")


def _escaped(name):
    special = {"\\": r"\backslash{}", "^": r"\hat{}", "~": r"\sim{}", " ": r"\ "} | {c: "\\" + c for c in "_{}%$&#"}
    return "".join(special.get(c, c) for c in printable(name))
