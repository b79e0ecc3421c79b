"""The roles of columns, as the user gives them: properties, codes and laws, and which column may predict which."""

from numbers import Integral

import numpy as np

from skmerge._gaussian.columns import observed
from skmerge._gaussian.joint import MAX_COLUMNS
from skmerge._parameters import raise_invalid
from skmerge._table.cells import CELLS_PER_LEVEL, MAX_LEVELS
from skmerge._text import listed, shown

SPARSE = 0.2  # share of missing cells above which a column is a property by default


def check_ignored(names, ignored, asked):
    """Raise if a parameter names a column that is left out; ``asked``: {parameter: columns}."""
    for argument, columns in asked.items():
        for column in () if isinstance(columns, str) else columns or ():
            if names.number(column, argument) in ignored:
                raise_invalid(argument, column, "nearly all its cells are different words: names of rows are left out")


def check_derived(names, derived):
    """Raise for a derived column with the name of one of the table."""
    for name in derived:
        if (isinstance(name, Integral) and 0 <= name < len(names)) or (isinstance(name, str) and name in names):
            raise ValueError(
                f"derived: the table already has a column {name!r}; give the law a name of its own, or relations= if "
                "that column follows it."
            )


def codes_of(names, X, categorical, source, words):
    """Columns whose numbers are codes, by number; raise for those that look like measurements or names of rows."""
    given = {names.number(feature, "categorical"): ("categorical", feature) for feature in categorical}
    if source is not None:
        given[names.number(source, "source")] = "source", source
    for j, (name, feature) in given.items():
        cells = observed(X, j)
        levels = np.unique(cells)
        fractions = levels[levels != np.round(levels)]
        names_rows = len(levels) > max(CELLS_PER_LEVEL, len(cells) / 2)
        if len(levels) <= MAX_LEVELS and not (names_rows and (len(fractions) or name == "source")):
            continue
        found = f"{name}: column {shown(feature)} has {len(levels)} different values in {len(cells)} cells"
        if len(fractions):
            odd = f"fractions among them such as {fractions[0]:g}"
            raise ValueError(f"{found}, {odd}: not codes but numbers. Leave it out of {name}.")
        if name == "source":
            raise ValueError(
                f"{found}; a source is one of few, {MAX_LEVELS} at most, such as simulation and experiment. Join them "
                "into fewer, or give rows that belong together as fit(X, groups=...)."
            )
        if len(cells) < CELLS_PER_LEVEL * len(levels):
            raise ValueError(
                f"{found}, fewer than {CELLS_PER_LEVEL} for each: too few to learn what each code means. Names or "
                "numbers of rows are no codes: drop the column, and give rows that belong together as "
                "fit(X, groups=...); or join rare codes into one."
            )
    return sorted({*given, *(names.index(name) for name in words)})


def properties_of(names, properties, X, columns):
    """Numbers of the columns that are learned as properties."""
    if isinstance(properties, str):
        if properties != "auto":
            raise_invalid("properties", properties, 'give "auto" or a list of columns')
        sparse = np.isnan(X).mean(axis=0) > SPARSE
        return np.flatnonzero([s and c is None for s, c in zip(sparse, columns.levels, strict=True)])
    chosen = np.unique([names.number(name, "properties") for name in properties]).astype(int)
    words = [j for j in chosen if columns.levels[j] is not None]
    if words:
        called = listed([names[j] for j in words])
        raise ValueError(
            f"properties: column(s) {called} are categorical; only numbers can be properties. A category is filled as "
            "well, from all other columns."
        )
    return chosen


def allowed(names, inputs, owner, derived):
    """Which standardised column may be predicted from which, and the numbers of those with ``inputs`` of their own.

    ``inputs``: {column: columns}; ``owner``: the column of the table of each standardised one, -1 for the ``derived``
    ones. No column is predicted from other levels of itself.
    """
    width = len(owner)
    may = np.ones((width, width), bool)
    for j in np.flatnonzero(np.bincount(owner[owner >= 0]) > 1):
        may[np.ix_(owner == j, owner == j)] = False
    restricted = np.empty(0, int)
    for feature, given in inputs.items():
        j = names.number(feature, "inputs")
        if width > MAX_COLUMNS:
            raise ValueError(f"inputs: {width} columns are too many to restrict; {MAX_COLUMNS} at most.")
        use = np.zeros(width, bool)
        for name in given:
            if name in derived:
                use[width - len(derived) + derived.index(name)] = True
            else:
                use |= owner == names.number(name, f"inputs[{feature!r}]")
        use[owner == j] = False
        may[owner == j] = use
        restricted = np.append(restricted, np.flatnonzero(owner == j))
    return may, restricted
