"""The only door for training data: checks, then one canonical order in which repetition and weights are the same."""

import re
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from sklearn.utils.validation import check_array, check_consistent_length, validate_data


@dataclass(frozen=True)
class Table:
    """Distinct training rows in canonical order.

    ``X`` (n, d) float64 in C order; ``y`` (n, m) with NaN where unmeasured; ``weight`` (n,) summing to one.
    """

    X: np.ndarray
    y: np.ndarray
    weight: np.ndarray


def check_training_data(estimator, X, y, sample_weight=None):
    """Validate X, y and weights; merge identical rows, drop those of weight zero and sort.

    Returns
    -------
    table : Table
    n_outputs : int or None
        None when y was one-dimensional.
    """
    with naming("X"):
        X = validate_data(estimator, X, dtype=np.float64, order="C", ensure_min_samples=2)
    if y is None:
        raise ValueError(f"{type(estimator).__name__} requires y to be passed, but the target y is None.")
    with naming("y"):
        y = check_array(y, dtype=np.float64, ensure_2d=False, ensure_all_finite="allow-nan", input_name="y")
        check_consistent_length(X, y)
    n_outputs = None if y.ndim == 1 else y.shape[1]
    y = y.reshape(len(X), -1)
    weight = check_weight(sample_weight, len(X))
    table = canonical(X, y, weight)
    unmeasured = np.flatnonzero(np.isnan(table.y).all(axis=0))
    if len(unmeasured):
        raise ValueError(
            f"y has nothing observed in column(s) {unmeasured.tolist()} (all NaN); drop those columns or measure "
            "at least one row."
        )
    if len(table.X) < 2 and len(X) > 1 and np.count_nonzero(weight) < 2:
        raise ValueError("Found 1 sample with a positive sample_weight while a minimum of 2 is required.")
    return table, n_outputs


def check_weight(sample_weight, n):
    """Weights of n rows, non-negative and not all zero; None is one each."""
    if sample_weight is None:
        return np.ones(n)
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


def canonical(X, y, weight):
    """Merge identical rows of (X, y), adding their weights; drop zero weights; sort. Depends on no row's position."""
    keep = weight > 0
    if not keep.all():
        X, y, weight = X[keep], y[keep], weight[keep]
    # Rank by one column after the other until every row is alone; measured y first, it repeats least.
    key = np.zeros(len(X), dtype=np.int64)
    columns = [y[:, k] for k in range(y.shape[1])] + [X[:, j] for j in range(X.shape[1])]
    n_keys = 1
    for column in columns:
        _, rank = np.unique(column, return_inverse=True, equal_nan=True)
        _, key = np.unique(key * (rank.max() + 1) + rank, return_inverse=True)
        n_keys = key.max() + 1
        if n_keys == len(X):
            break
    first = np.full(n_keys, len(X))
    np.minimum.at(first, key, np.arange(len(X)))
    total = np.bincount(key, weights=weight, minlength=n_keys)
    return Table(np.ascontiguousarray(X[first]), y[first], total / total.sum())


def check_rows(estimator, X):
    """X for prediction: finite float64 in C order with the fitted columns."""
    with naming("X"):
        return validate_data(estimator, X, dtype=np.float64, order="C", reset=False)


@contextmanager
def naming(argument):
    """Errors of scikit-learn's checks that do not say which argument is meant get its name in front."""
    try:
        yield
    except (ValueError, TypeError, OverflowError) as error:
        text = str(error)
        if re.search(rf"\b{argument}\b", text):
            raise
        if "could not convert string" in text:
            text += "; it must hold numbers: encode text and categories first."
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{argument}: {text}") from error
