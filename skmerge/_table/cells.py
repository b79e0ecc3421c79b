"""The cells of a table as the user gives them: words as codes and back, errors of measurements, groups of rows."""

import re

import numpy as np

from skmerge import _text
from skmerge._text import Column, is_frame, listed, shown, warn
from skmerge._validation import check_same_rows, naming

MAX_LEVELS = 50  # of a column of codes; it may have more if there are CELLS_PER_LEVEL cells for each level
CELLS_PER_LEVEL = 5
# A column that is not declared may have more than MAX_LEVELS words if each has at least so many cells on average: 265
# papers of 1,545 alloys would become 265 columns, and take minutes, for words that only name the origin of rows.
MIN_USES = 20
TRUTH = [False, True]


def names_of(X):
    """Names of the columns as scikit-learn shows them."""
    names = list(getattr(X, "columns", ()))
    if names and all(isinstance(name, str) for name in names):
        return names
    return [f"x{j}" for j in range(X.shape[1])]


def read_words(X, declared):
    """The table with codes for words, and ``words`` and ``ignored``.

    ``declared``: names and numbers of the columns that the user calls categorical. ``words``: the words of each column
    that has any, by its name; of a column of truth values False and True. ``ignored``: numbers of the columns of nearly
    all different words, which are 0 in the table.
    """
    cells, X = _text.cells_of(X, coded=True)
    if len(getattr(X, "shape", ())) != 2:
        return X, {}, []
    names, words, ignored, columns, numbers = names_of(X), {}, [], {}, {}
    for j, one in cells.items():
        column, name = Column(one), _text.name_of(X, j)
        if column.has(_text.FOREIGN).any():
            _text.raise_foreign(name, column)
        # Numbers of the type of categories are codes, too.
        coded = bool(declared & {names[j], j}) or (column.has(_text.NUMBER).any() and _text.is_category(X, j))
        if column.is_truth:
            words[names[j]] = TRUTH
        elif coded and column.measured.any():
            words[names[j]] = column.different
        elif column.is_mistake:
            drop = are_names_of_rows(column)
            remedy = "drop the column if all are names of rows" if drop else "list it in categorical if all are names"
            _text.raise_misread(name, column, f", or {remedy}")
        elif column.is_numbers:
            numbers[j] = column
            continue
        elif column.has(_text.NUMBER, _text.TRUTH).any():
            odd = column.has(_text.NUMBER, _text.TRUTH)
            raise ValueError(
                f"{name} holds words, {column.examples(column.measured & ~odd)}, and numbers, {column.examples(odd)}. "
                "Correct these cells, or list the column in categorical if all are names."
            )
        elif are_names_of_rows(column):
            ignored.append(j)
        else:
            words[names[j]] = column.different
        columns[j] = column
    _text.say_what_was_read("X", X, numbers)
    _text.say("X", X, columns, _text.BLANK, "blank text, which counts as missing")
    if ignored:
        called = [names[j] if is_frame(X) else j for j in ignored]
        column, others = columns[ignored[0]], ""
        if len(called) > 1:
            others = f", and so are {len(called) - 1} other column(s), {listed(called[1:])}"
        warn(
            f"X: {_text.name_of(X, ignored[0])} has {len(column.different)} different words in {column.measured.sum()} "
            f"cells ({column.examples(column.measured)}). Such a column looks like a name of each row, from which "
            f"nothing can be predicted: it is left out{others}. If its words are kinds, such as materials, give "
            f"categorical={called[:1]}; if they say which rows belong together, give them as fit(X, groups=...); "
            "otherwise drop the column."
        )
    for j in columns:
        _warn_of_alike(_text.name_of(X, j), words.get(names[j], ()))
    values = {j: column.value for j, column in numbers.items()} | {j: np.zeros(len(X)) for j in ignored}
    values |= {j: codes_of(_text.name_of(X, j), columns[j], words[names[j]]) for j in columns if j not in ignored}
    return (_text.with_columns(X, values) if values else X), words, ignored


def _warn_of_alike(name, words):
    """Warn of words that differ only by blanks, capitals or their type."""
    alike = {}
    for word in words:
        alike.setdefault(str(word).strip().casefold(), []).append(word)
    same = [listed(group) for group in alike.values() if len(group) > 1]
    if same:
        warn(
            f"X: {name} holds words that differ only by blanks, capitals or type: {', '.join(same[: _text.FIRST])}. "
            "They count as different kinds; write them in the same way if they are one."
        )


def is_truth(words):
    """Whether the words of a column are False and True."""
    return all(isinstance(word, bool) for word in words)


def are_names_of_rows(column):
    """Whether a column has nearly as many words as cells, or many with few cells each."""
    n, cells = len(column.different), column.measured.sum()
    return n > max(2, cells / 2) or (n > MAX_LEVELS and cells < MIN_USES * n)


def codes_of(name, column, words):
    """Numbers of the words, NaN where missing; raise for a word that is none of them."""
    number = {word: float(code) for code, word in enumerate(words)}
    new = np.array([cell not in number for cell in column.cells]) & column.measured
    if new.any():
        raise ValueError(
            f"{name} holds what was not seen in fit: {column.examples(new)}; its words are {listed(words)}. Leave the "
            "cell empty where the word is unknown, or fit with rows that have it."
        )
    return np.array([number.get(cell, np.nan) for cell in column.cells])


def recode_words(X, texts, names, words, ignored):
    """The table with the codes that ``read_words`` gave to words; raise for words where there were numbers.

    ``texts``: {number: cells} of the columns that are not numbers, as ``_text.cells_of`` finds them.
    """
    for j, one in texts.items():
        odd = (column := Column(one)).has(_text.ALMOST, _text.WORD)
        if odd.any() and names[j] not in words and j not in ignored:
            raise ValueError(
                f"X: column {shown(names[j])} was numbers in fit, but {column.examples(odd)} could not be read as one. "
                "Correct such cells, or put NaN where there is no number."
            )
    columns = {int(j): np.zeros(len(X)) for j in ignored}
    for j, name in enumerate(names):
        if name in words:
            column = Column(np.asarray(_text.column_of(X, j), dtype=object))
            with naming("X", give=""):
                columns[j] = codes_of(f"column {shown(name)}", column, words[name])
    return _text.with_columns(X, columns) if columns else X


def with_words(given, filled, names, words, ignored):
    """The filled table (n, d) in the form of the given one, codes as words and ignored columns as they were."""
    if isinstance(given, (list, tuple)):
        given = _text.cells_of(given)[1]
    if not is_frame(given) and all(map(is_truth, words.values())) and not len(ignored):
        return filled
    columns = {}
    for j, name in enumerate(names):
        own = words.get(name)
        if own is not None:
            columns[j] = np.array(own, bool if is_truth(own) else object)[filled[:, j].astype(int)]
        elif j not in ignored:
            columns[j] = filled[:, j]
    return _text.with_columns(given, columns)


def is_single(X):
    """Whether all numbers of a table are float32, as those of an array or of a frame's columns."""
    dtypes = list(X.dtypes) if is_frame(X) else [getattr(X, "dtype", None)]
    numbers = [str(dtype).lower() for dtype in dtypes if re.match("u?int|float|double", str(dtype).lower())]
    return bool(numbers) and all(name.startswith("float32") or name == "float[pyarrow]" for name in numbers)


def frame_like(frame, values):
    """A frame of numbers (n, d) with the columns and the index of another."""
    made = type(frame)(dict(zip(frame.columns, values.T, strict=True)))
    if hasattr(frame, "index"):
        made.index = frame.index
    return made


def frame_of(kind, frame):
    """The frame as one of another library."""
    if isinstance(frame, kind):
        return frame
    return kind({name: np.asarray(_text.column_of(frame, j)).tolist() for j, name in enumerate(frame.columns)})


def index_of(X):
    """Labels of a data frame's rows, an array of objects; None for those of polars and for arrays."""
    index = getattr(X, "index", None) if is_frame(X) else None
    if index is None:
        return None
    labels = np.empty(len(index), dtype=object)
    labels[:] = list(index)
    return labels


def check_codes(X, levels, names, words):
    """Raise for codes that the fit did not see, ``levels`` of each column or None."""
    for j in [j for j, codes in enumerate(levels) if codes is not None and names[j] not in words]:
        new = ~np.isnan(X[:, j]) & ~np.isin(X[:, j], levels[j])
        if new.any():
            found = Column(X[:, j]).examples(new)
            raise ValueError(
                f"X: column {shown(names[j])} holds codes that were not seen in fit: {found}; its codes are "
                f"{listed(levels[j])}. Put NaN where the code is unknown, or fit with rows that have it."
            )


def check_error(error, X):
    """Standard deviations of measurements, (n, d), 0 where not given."""
    with naming("error"):
        error = np.asarray(_text.as_numbers("error", error), dtype=float)
    if error.shape not in ((X.shape[1],), X.shape):
        raise ValueError(
            f"error must have shape ({X.shape[1]},), one per column, or {X.shape}, one per entry; got {error.shape}."
        )
    error = np.where(np.isnan(error), 0.0, error)
    if not np.isfinite(error).all() or (error < 0).any():
        raise ValueError("error must be finite and not negative; NaN where unknown.")
    return np.broadcast_to(error, X.shape)


def check_beside(X, groups, error):
    """Raise if the labels of groups or errors of measurements do not match the rows or columns of X."""
    check_same_rows(X, "groups", groups)
    if len(getattr(error, "shape", ())) != 1:
        check_same_rows(X, "error", error, columns=True)
    # A series has one entry for each column, by their names.
    elif hasattr(X, "columns") and hasattr(error, "index") and callable(getattr(error.index, "equals", None)):
        names = list(error.index)
        if names != list(X.columns) and names != list(range(len(names))):
            raise ValueError(
                f"error: its index {listed(names)} is not that of the columns of X, {listed(X.columns)}. Give "
                "error.loc[X.columns], or error.to_numpy() if it is in their order."
            )
