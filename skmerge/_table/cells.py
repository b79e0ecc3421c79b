"""The cells of a table as they come in: words as codes, finite numbers, errors of measurements, groups of rows."""

import numpy as np

from skmerge._validation import check_features, check_observed, naming


def read_words(X, categories, fitting):
    """A pandas table with its columns of words as codes, and ``{column name: words}``; arrays pass through."""
    if not (hasattr(X, "columns") and hasattr(X, "iloc")):
        return X, {}
    found = {}
    for name in X.columns:
        column = X[name]
        words = categories.get(name)
        if fitting and column.dtype.kind not in "biufcmM" and not getattr(column.dtype, "_is_numeric", False):
            values = column.dropna()
            if not all(isinstance(value, str) for value in values):
                continue  # left to the check of numbers, which names what it cannot read
            words = sorted(set(values))
        if words is None:
            continue
        strange = sorted({str(value) for value in column.dropna()} - set(words))
        if strange:
            raise ValueError(f"column {name!r} holds {strange[:5]}, not seen in fit; its words are {words[:20]}.")
        found[name] = words
    if found:
        X = X.assign(
            **{
                name: X[name].map({word: float(i) for i, word in enumerate(words)}).astype(float)
                for name, words in found.items()
            }
        )
    return X, found


def check_table(estimator, X, reset):
    """A table of finite numbers and NaN, words as codes: (n, d) float64."""
    names = getattr(X, "columns", None)
    if names is None or len(set(names)) == len(names):  # else the check below says so
        X, words = read_words(X, {} if reset else estimator.words_, reset)
    X = check_features(estimator, X, reset=reset, ensure_all_finite="allow-nan")
    if not reset:
        return X
    estimator.words_ = words
    check_observed(estimator, X)
    return X


def check_error(error, X):
    """Standard deviations of measurements, (n, d), 0 where not given."""
    with naming("error"):
        error = np.asarray(error, dtype=float)
    if error.shape not in ((X.shape[1],), X.shape):
        raise ValueError(f"error must have shape ({X.shape[1]},) or {X.shape}, got {error.shape}.")
    error = np.where(np.isnan(error), 0.0, error)
    if not np.isfinite(error).all() or (error < 0).any():
        raise ValueError("error must be finite and not negative; NaN where unknown.")
    return np.broadcast_to(error, X.shape)


def check_groups(groups, n):
    """Numbers from 0 of the groups of n rows."""
    groups = np.unique(np.asarray(groups), return_inverse=True)[1].ravel()
    if len(groups) != n:
        raise ValueError(f"groups must have one entry per row of X, {n}; got {len(groups)}.")
    return groups
