"""Checks of training data of net and forest, then one canonical order in which repetition and weights are the same."""

import re
from collections.abc import Iterator, Mapping, Set
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from scipy.sparse import issparse
from sklearn.utils.validation import check_array, check_consistent_length, validate_data

from skmerge._text import as_numbers, column_of, is_frame, listed, name_of, printable, shown

# What each argument takes; the others take finite numbers.
GIVE = {
    "X": "rows and columns of finite numbers",
    "y": "one value per row of X, finite numbers",
    "dydx": "one slope per row and column of X",
    "direction": "one direction per row of X",
    "slope": "one slope per row of X",
    "sample_weight": "one non-negative number per row of X (not one per class: there are no classes in a regression)",
    "random_state": "None, a whole number from 0 to 2**32 - 1 or a numpy.random.RandomState",
    "offset": "one number per row of X",
}
# Types of columns that NumPy would turn into numbers of nanoseconds or days without a word.
TIME = re.compile(r"(date|time|duration|period|interval)", re.IGNORECASE)


@dataclass(frozen=True)
class Table:
    """Distinct training rows in canonical order.

    ``X`` (n, d) float64 in C order; ``y`` (n, m) with NaN where unmeasured; ``weight`` (n,) summing to one.
    """

    X: np.ndarray
    y: np.ndarray
    weight: np.ndarray


@dataclass(frozen=True)
class SlopeData:
    """A table with slopes: ``dydx`` (n, m, d) or None, ``direction`` (n, d) and ``slope`` (n, m) or None.

    ``row`` (n_given,): which row of the table a given row became, -1 if its weight is zero; ``n_outputs`` None for a
    one-dimensional y; ``group`` (n,): number of the group of each row of the table, or None.
    """

    table: Table
    dydx: np.ndarray | None
    direction: np.ndarray | None
    slope: np.ndarray | None
    row: np.ndarray
    n_outputs: int | None
    group: np.ndarray | None = None


LONGEST_LINE = 1000  # characters of a line of a message: scikit-learn's repeat names of columns whole


@contextmanager
def naming(argument, value=None, give=None):
    """Errors of scikit-learn's checks that also name the argument and what to give; overflow in its sums does not warn.

    ``value``: what is checked, for the place of an infinite cell; ``give``: instead of what GIVE says, "" where the
    errors say it themselves.
    """
    try:
        with np.errstate(over="ignore", invalid="ignore"):
            yield
    except (ValueError, TypeError, OverflowError) as error:
        lines = [line for line in str(error).split("\n") if not line.lstrip().startswith("[")]  # not the data
        lines = [line if len(line) <= LONGEST_LINE else f"{line[:LONGEST_LINE]}..." for line in lines]
        text = printable("\n".join(lines).rstrip("., \n"))
        place = "" if value is None else _infinite(value)
        give = GIVE.get(argument, "finite numbers") if give is None else give
        remedy = f" Give {give}." if give else ""
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{argument}: {text}.{place}{remedy}") from error


def check_container(argument, value):
    """The value, its text as numbers; raise for containers that scikit-learn's checks would misread."""
    if issparse(value):  # of which one kind is a mapping
        return value
    if isinstance(value, (str, bytes, Mapping, Set, Iterator)):
        found = f"the text {shown(value)}" if isinstance(value, (str, bytes)) else f"a {type(value).__name__}"
        give = GIVE.get(argument, "finite numbers")
        raise TypeError(f"{argument} is {found}; give an array, a list or a data frame of {give}.")
    if hasattr(value, "column_names") and hasattr(value, "to_pandas"):
        raise TypeError(f"{argument} is a {type(value).__name__} of Arrow; give {argument}.to_pandas().")
    if hasattr(value, "collect"):
        raise TypeError(f"{argument} is a {type(value).__name__}, not yet computed; give {argument}.collect().")
    if isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value):
        with naming(argument):
            value = value.astype(float).filled(np.nan)
    with naming(argument):
        dtypes = np.asarray(value).dtype if isinstance(value, (list, tuple)) else getattr(value, "dtype", None)
    dtypes = getattr(value, "dtypes", dtypes)
    dtypes = list(dtypes) if np.iterable(dtypes) else [dtypes]
    for j, dtype in enumerate(dtypes):
        column = f" in column {shown(value.columns[j])}" if hasattr(value, "columns") else ""
        if TIME.match(str(dtype)):
            raise TypeError(
                f"{argument} holds times{column} ({dtype}); give numbers of a unit of your choice, for instance days "
                "since the first."
            )
        if getattr(dtype, "names", None):
            raise TypeError(
                f"{argument} is a structured array with the fields {list(dtype.names)}; give a table of rows and "
                "columns, for instance by numpy.lib.recfunctions.structured_to_unstructured."
            )
        if getattr(dtype, "kind", "") == "c":
            raise ValueError(
                f"{argument}: Complex data not supported{column}; give the real and imaginary parts as separate "
                "columns."
            )
    with naming(argument):
        return as_numbers(argument, value)


def check_same_rows(X, name, value, columns=False):
    """Raise if a frame or series beside the frame X has other rows, or other columns where it should have the same.

    The labels of a frame say which row and column each entry belongs to. Read by position, a frame in another order
    would give wrong results without a message. A series whose labels are not those of X is read by position, as
    scikit-learn does: its labels say nothing about X.
    """
    if not is_frame(X) or value is None:
        return
    index, other = getattr(X, "index", None), getattr(value, "index", None)
    known = index is not None and hasattr(other, "equals") and len(index) == len(other) and not index.equals(other)
    if known and (is_frame(value) or set(index) == set(other)):
        row = int(np.argmax([a != b for a, b in zip(index, other, strict=True)]))
        raise ValueError(
            f"{name}: its index is not that of X: row {row} is {shown(other[row])}, of X {shown(index[row])}. Give "
            f"{name}.loc[X.index], or {name}.to_numpy() if its rows are in the order of X."
        )
    if columns and is_frame(value) and list(value.columns) != list(X.columns):
        pairs = enumerate(zip(value.columns, X.columns, strict=False))
        j = next((j for j, (a, b) in pairs if a != b), min(len(value.columns), len(X.columns)))
        own, of_X = (shown(t.columns[j]) if j < len(t.columns) else "missing" for t in (value, X))
        raise ValueError(
            f"{name}: its columns are not those of X: column {j} is {own}, of X {of_X}. Give {name}[list(X.columns)], "
            f"or {name}.to_numpy() if its columns are in the order of X."
        )


def check_features(estimator, X, allow_nan=True, **options):
    """X as float64 in C order, finite but for NaN where that is allowed."""
    if X is None:
        raise ValueError("X is None; give a table of rows and columns.")
    X = check_container("X", X)
    names = getattr(X, "columns", None)
    if names is not None and len(set(names)) < len(names):
        raise ValueError(f"X has repeated column names {listed(names)}; give each column its own.")
    with naming("X", X):
        table = validate_data(estimator, X, dtype=np.float64, order="C", ensure_all_finite="allow-nan", **options)
    if not allow_nan and np.isnan(table).any():
        row, j = np.argwhere(np.isnan(table))[0]
        raise ValueError(
            f"X contains NaN, the first in {name_of(X, j)}, row {row}; remove those rows or fill the gaps."
        )
    return table


def _infinite(value):
    """Where the first infinite cell is, for a message; empty if there is none."""
    if issparse(value):
        return ""
    columns = range(value.shape[1]) if len(getattr(value, "shape", ())) == 2 else [None]
    for j in columns:
        try:
            column = np.asarray(value if j is None else column_of(value, j), float)
        except (TypeError, ValueError, OverflowError):
            continue
        if column.ndim == 1 and np.isinf(column).any():
            row = np.flatnonzero(np.isinf(column))[0]
            place = "" if j is None else f"{name_of(value, j)}, "
            return f" The first infinite cell is in {place}row {row}: {column[row]:g}."
    return ""


def check_training_data(estimator, X, y, sample_weight=None):
    """Validate X, y and weights; merge identical rows, drop those of weight zero and sort.

    Returns
    -------
    table : Table
    row : ndarray of shape (n_samples,)
        Which row of the table each given row became, -1 for those of weight zero.
    n_outputs : int or None
        None when y was one-dimensional.
    """
    check_same_rows(X, "y", y)
    check_same_rows(X, "sample_weight", sample_weight)
    X = check_features(estimator, X, ensure_min_samples=2)
    y, n_outputs = check_targets(estimator, X, y)
    weight = check_weight(sample_weight, len(X))
    table, row = canonical(X, y, weight, with_rows=True)
    check_observed(estimator, table.X)
    check_enough(table, X, weight)
    return table, row, n_outputs


def check_observed(estimator, X):
    """Raise if nothing is observed of a column of X."""
    empty = np.flatnonzero(np.isnan(X).all(axis=0))
    if len(empty):
        names = getattr(estimator, "feature_names_in_", None)
        which = listed(empty if names is None else names[empty])
        raise ValueError(f"X has nothing observed in column(s) {which} (all NaN); drop them or measure one entry.")


def check_targets(estimator, X, y):
    """y as float64 of shape (n, m), and its number of outputs, None when it was one-dimensional."""
    if y is None:
        name = type(estimator).__name__
        raise ValueError(f"{name} requires y to be passed, but the target y is None; give one value per row.")
    y = check_container("y", y)
    with naming("y", y if hasattr(y, "shape") else np.asarray(y)):
        y = check_array(y, dtype=np.float64, ensure_2d=False, ensure_all_finite="allow-nan", input_name="y")
        check_consistent_length(X, y)
    if y.ndim > 2 or (y.ndim == 2 and not y.shape[1]):
        raise ValueError(f"y must have shape (n_samples,) or (n_samples, n_outputs), got {y.shape}.")
    return y.reshape(len(X), -1), None if y.ndim == 1 else y.shape[1]


def check_enough(table, X, weight):
    """Raise if an output was never measured, or the weights leave one row."""
    unmeasured = np.flatnonzero(np.isnan(table.y).all(axis=0))
    if len(unmeasured):
        raise ValueError(
            f"y has nothing observed in column(s) {unmeasured.tolist()} (all NaN); drop those columns or measure "
            "at least one row."
        )
    if len(table.X) < 2 and len(X) > 1 and np.count_nonzero(weight) < 2:
        raise ValueError(
            "sample_weight: found 1 sample with a positive weight while a minimum of 2 is required; weights below "
            "1e-308 of the greatest count as zero."
        )


def check_slope_data(estimator, X, y, dydx=None, direction=None, slope=None, sample_weight=None, groups=None):
    """Validate X (NaN allowed), y, slopes, weights and groups; merge identical rows of a group and sort.

    Returns
    -------
    data : SlopeData
    """
    for name, value in (("y", y), ("slope", slope), ("sample_weight", sample_weight), ("groups", groups)):
        check_same_rows(X, name, value)
    for name, value in (("dydx", dydx), ("direction", direction)):
        check_same_rows(X, name, value, columns=True)
    X = check_features(estimator, X, ensure_min_samples=2)
    y, n_outputs = check_targets(estimator, X, y)
    (n, d), m = X.shape, y.shape[1]
    parts = [y]
    if dydx is not None:
        dydx = check_slopes("dydx", dydx)
        if dydx.shape not in ([(n, d), (n, m, d)] if m == 1 else [(n, m, d)]):
            shapes = f"({n}, {d}) or ({n}, 1, {d})" if m == 1 else f"({n}, {m}, {d})"
            raise ValueError(f"dydx must have shape {shapes}, one slope per feature; got {dydx.shape}.")
        parts.append(dydx.reshape(n, m * d))
    if (direction is None) != (slope is None):
        given, missing = ("slope", "direction") if direction is None else ("direction", "slope")
        raise ValueError(f"{given} is given without {missing}; a slope along a direction needs both.")
    if direction is not None:
        direction, slope = check_slopes("direction", direction), check_slopes("slope", slope)
        if direction.shape != (n, d):
            raise ValueError(f"direction must have shape ({n}, {d}), one per row of X; got {direction.shape}.")
        if slope.shape not in ([(n,), (n, 1)] if m == 1 else [(n, m)]):
            raise ValueError(f"slope must have the shape of y, {(n, m) if m > 1 else (n,)}; got {slope.shape}.")
        slope = np.where(np.isnan(direction).any(axis=1)[:, None], np.nan, slope.reshape(n, m))
        parts += [np.where(np.isnan(slope).all(axis=1)[:, None], 0.0, direction), slope]
    weight = check_weight(sample_weight, n)
    if groups is not None:
        parts.append(check_groups(groups, n)[:, None].astype(float))
    table, row = canonical(X, np.hstack(parts), weight, with_rows=True)
    ends = np.cumsum([part.shape[1] for part in parts])
    columns = iter(np.split(table.y, ends[:-1], axis=1)[1:])
    dydx = None if dydx is None else next(columns).reshape(-1, m, d)
    direction, slope = (None, None) if direction is None else (next(columns), next(columns))
    group = None if groups is None else np.unique(next(columns), return_inverse=True)[1].ravel()
    if group is not None and group.max() == 0:
        raise ValueError("groups: all rows are of one group; give two or more, one of which can be left out, or None.")
    table = Table(table.X, np.ascontiguousarray(table.y[:, :m]), table.weight)
    check_enough(table, X, weight)
    return SlopeData(table, dydx, direction, slope, row, n_outputs, group)


def check_groups(groups, n):
    """Numbers from 0 of the groups of n rows: equal labels, numbers or words, are one group."""
    groups = np.asarray(groups)
    if groups.shape != (n,):
        raise ValueError(f"groups must have shape ({n},), one label per row of X; got {groups.shape}.")
    if groups.dtype.kind in "fc" and np.isnan(groups).any():
        raise ValueError("groups has NaN; give every row the label of its group.")
    try:
        return np.unique(groups, return_inverse=True)[1].ravel()
    except TypeError as error:
        raise TypeError("groups has labels of several types; give numbers or words.") from error


def check_slopes(name, value):
    """An array of finite numbers or NaN."""
    value = check_container(name, value)
    with naming(name):
        return check_array(
            value, dtype=np.float64, ensure_2d=False, allow_nd=True, ensure_all_finite="allow-nan", input_name=name
        )


def check_weight(sample_weight, n):
    """Weights of n rows, non-negative and not all zero; None is one each."""
    if sample_weight is None:
        return np.ones(n)
    sample_weight = check_container("sample_weight", sample_weight)
    with naming("sample_weight"):
        weight = check_array(sample_weight, dtype=np.float64, ensure_2d=False, input_name="sample_weight")
    if weight.shape != (n,):
        raise ValueError(f"sample_weight must have shape ({n},), one entry per row of X; got {weight.shape}.")
    if (weight < 0).any():
        raise ValueError(f"sample_weight must not be negative; the smallest entry is {weight.min():g}.")
    if not weight.any():
        raise ValueError("sample_weight is zero for every row; at least two rows must have a positive weight.")
    # A power of two divides exactly: sums of whole weights stay equal to repetition to the last digit.
    return np.ldexp(weight, -np.frexp(weight.max())[1])


def canonical(X, y, weight, with_rows=False):
    """Merge identical rows of (X, y), adding their weights; drop zero weights; sort. Depends on no row's position.

    ``with_rows``: return also which row of the table each given row became, -1 for those of zero weight.
    """
    keep = weight > 0
    kept = np.flatnonzero(keep) if with_rows else None
    n_given = len(X)
    if not keep.all():
        X, y, weight = X[keep], y[keep], weight[keep]
    # Rank by one column after the other until every row is alone; measured y first, it repeats least.
    key = np.zeros(len(X), dtype=np.int64)
    columns = [y[:, k] for k in range(y.shape[1])] + [X[:, j] for j in range(X.shape[1])]
    n_keys = 1
    for column in columns:
        rank = np.unique(column, return_inverse=True, equal_nan=True)[1]
        key = np.unique(key * (rank.max() + 1) + rank, return_inverse=True)[1]
        n_keys = key.max() + 1
        if n_keys == len(X):
            break
    first = np.full(n_keys, len(X))
    np.minimum.at(first, key, np.arange(len(X)))
    total = np.bincount(key, weights=weight, minlength=n_keys)
    row = None
    if with_rows:
        row = np.full(n_given, -1)
        row[kept] = key
    del keep, weight, rank, key  # of many rows each takes as much as a column of X
    table = Table(np.ascontiguousarray(X[first]), y[first], total / total.sum())
    return (table, row) if with_rows else table


def check_rows(estimator, X):
    """X for prediction: float64 in C order with the fitted columns, finite or NaN."""
    if (
        type(X) is np.ndarray
        and X.dtype == np.float64
        and X.flags.c_contiguous
        and X.shape[1:] == (estimator.n_features_in_,)
        and len(X)
        and not hasattr(estimator, "feature_names_in_")
        and not np.isinf(X).any()
    ):
        return X  # what the checks below would say, which take ten times as long as a row's prediction
    return check_features(estimator, X, reset=False)


def distance_beyond(X, low, high):
    """How far beyond low..high each row lies, at most over its features, in units of a feature's range.

    The unit is its size where it did not vary, 1 where that is 0. 0 inside; a missing entry counts as inside.
    """
    low, high, X = low / 4, high / 4, X / 4  # differences stay within the range of float
    size = np.abs(high)
    width = np.where(high > low, high - low, np.where(size > 0, size, 0.25))
    with np.errstate(over="ignore", invalid="ignore"):
        beyond = np.fmax(np.maximum(low - X, X - high) / np.maximum(width, np.finfo(float).tiny), 0.0).max(axis=1)
    return np.minimum(beyond, np.finfo(float).max)
