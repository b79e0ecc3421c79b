"""What the user asks of the imputer's columns: which are properties, codes and laws, and which tell which."""

from numbers import Integral, Real

import numpy as np

from skmerge._gaussian.columns import observed
from skmerge._gaussian.joint import WIDEST
from skmerge._parameters import check_n_jobs, check_number, check_verbose, column_names, column_number, refuse
from skmerge._table.cells import FEWEST, LEVELS
from skmerge._text import listed, shown

SPARSE = 0.2  # share of missing cells above which a column is a property, unless said


def check_parameters(model):
    """Raise for parameters of the imputer that no table could make possible."""
    check_number("n_estimators", model.n_estimators, Integral, 0)
    check_number("max_iter", model.max_iter, Integral, 1)
    check_number("tol", model.tol, Real, 0)
    check_number("damping", model.damping, Real, 1e-3, 1.0)
    for name in ("inputs", "derived", "relations", "bounds"):
        if not (getattr(model, name) is None or isinstance(getattr(model, name), dict)):
            refuse(name, getattr(model, name), "give None or a dict")
    check_n_jobs(model.n_jobs)
    check_verbose(model.verbose)
    lists = {"properties": model.properties, "log": model.log, "categorical": model.categorical}
    lists |= {f"inputs[{column!r}]": names for column, names in (model.inputs or {}).items()}
    for name, value in lists.items():
        auto = name in ("properties", "log") and isinstance(value, str)  # "auto" is checked where it is used
        if not auto and (isinstance(value, str) or not np.iterable(value)):
            refuse(name, value, "give a list of columns")


def check_ignored(model):
    """Raise for a column that is asked for and left out."""
    asked = {"properties": model.properties, "log": model.log, "bounds": model.bounds, "relations": model.relations}
    asked |= {"inputs": model.inputs} | {f"inputs[{name!r}]": given for name, given in (model.inputs or {}).items()}
    for name, columns in asked.items():
        for feature in () if isinstance(columns, str) else columns or ():
            if column_number(model, feature, name) in model.ignored_:
                refuse(name, feature, "nearly each of its cells is a word of its own: names of rows are left out")


def check_derived(model):
    """Raise for a derived column that is called as one of the table."""
    names = model.get_feature_names_out()
    for name in model.derived or {}:
        if (isinstance(name, Integral) and 0 <= name < len(names)) or (isinstance(name, str) and name in names):
            raise ValueError(
                f"derived: the table already has a column {name!r}; give the law a name of its own, or relations= if "
                "that column follows it."
            )


def codes_of(model, X):
    """Columns whose numbers are codes, by number; raise for those that look like measurements or names of rows."""
    given = {column_number(model, feature, "categorical"): ("categorical", feature) for feature in model.categorical}
    if model.source is not None:
        given[column_number(model, model.source, "source")] = "source", model.source
    for j, (name, feature) in given.items():
        cells = observed(X, j)
        levels = np.unique(cells)
        if len(levels) <= LEVELS:
            continue
        found = f"{name}: column {shown(feature)} has {len(levels)} different values in {len(cells)} cells"
        if (levels != np.round(levels)).any():
            odd = levels[levels != np.round(levels)][0]
            raise ValueError(
                f"{found}, fractions among them such as {odd:g}: not codes but numbers. Leave it out of {name}."
            )
        if name == "source":
            raise ValueError(
                f"{found}; a source is one of few, {LEVELS} at most, such as simulation and experiment. Join them into "
                "fewer, or give rows that belong together as fit(X, groups=...)."
            )
        if len(cells) < FEWEST * len(levels):
            raise ValueError(
                f"{found}, fewer than {FEWEST} for each: too few to learn what each code means. Names or numbers of "
                "rows are no codes: drop the column, and give rows that belong together as fit(X, groups=...); or join "
                "rare codes into one."
            )
    return sorted({*given, *(column_number(model, name, "categorical") for name in model.words_)})


def properties_of(model, X, columns):
    """Numbers of the columns that are learned as properties."""
    if isinstance(model.properties, str):
        if model.properties != "auto":
            refuse("properties", model.properties, 'give "auto" or a list of columns')
        sparse = np.isnan(X).mean(axis=0) > SPARSE
        return np.flatnonzero([s and c is None for s, c in zip(sparse, columns.levels, strict=True)])
    chosen = np.unique([column_number(model, name, "properties") for name in model.properties]).astype(int)
    words = [j for j in chosen if columns.levels[j] is not None]
    if words:
        called = listed([column_names(model)[j] for j in words])
        raise ValueError(
            f"properties: column(s) {called} are categorical; only numbers can be properties. A category is filled as "
            "well, from all other columns."
        )
    return chosen


def measured_ranges(X, properties):
    """What each column spans in all rows and in those where each property was measured.

    Returns
    -------
    ranges : ndarray of shape (1 + n_properties, 2, d)
        Least and greatest entry; infinite where nothing is known.
    graded : bool ndarray of shape (1 + n_properties, d)
        Whether a column takes more than one value in the middle eight tenths of these rows: of an element that few
        alloys hold, the range says little.
    """
    ranges, graded = np.empty((1 + len(properties), 2, X.shape[1])), np.zeros((1 + len(properties), X.shape[1]), bool)
    for p, seen in enumerate([np.ones(len(X), bool), *(~np.isnan(X[:, j]) for j in properties)]):
        for j, column in enumerate(X[seen].T):
            known = column[~np.isnan(column)]
            ranges[p, :, j] = -np.inf, np.inf
            if len(known):
                ranges[p, :, j] = known.min(), known.max()
                low, high = np.quantile(known, [0.1, 0.9])
                graded[p, j] = high > low
    return ranges, graded


def allowed(model, owner, width):
    """Which standardised column may be predicted from which, and the numbers of those that were told so.

    ``owner``: the column of the table of each standardised one; those of ``width`` beyond are derived. None is
    predicted from other levels of its own column.
    """
    full = np.concatenate([owner, np.full(width - len(owner), -1)])
    may = np.ones((width, width), bool)
    for j in np.flatnonzero(np.bincount(owner) > 1):
        may[np.ix_(full == j, full == j)] = False
    restricted = np.empty(0, int)
    derived = list(model.derived or {})
    for feature, names in (model.inputs or {}).items():
        j = column_number(model, feature, "inputs")
        if model.linear_ is None:
            raise ValueError(f"inputs: {width} columns are too many to restrict; {WIDEST} at most.")
        use = np.zeros(width, bool)
        for name in names:
            if name in derived:
                use[len(owner) + derived.index(name)] = True
            else:
                use |= full == column_number(model, name, f"inputs[{feature!r}]")
        use[full == j] = False
        may[full == j] = use
        restricted = np.append(restricted, np.flatnonzero(full == j))
    return may, restricted
