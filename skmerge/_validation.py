"""The only door for training data: checks, then one canonical order in which repetition and weights are the same."""

import re
from collections.abc import Iterator, Mapping, Set
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from scipy.sparse import issparse
from sklearn.utils.validation import check_array, check_consistent_length, validate_data

# What to do about scikit-learn's complaints that do not say it themselves.
REMEDIES = {
    "infinity": "Remove those rows or put finite numbers.",
    "contains NaN": "Remove those rows or fill the gaps.",
    "at least 1 dim": "Give one entry per row of X.",
    "could not convert": "It must hold numbers: encode text and categories first, for instance with OneHotEncoder.",
    "NAType": "Remove those rows or fill the gaps.",
    "string or a real number": "Give one number per entry.",
    "Complex data": "Give the real and imaginary parts as separate columns.",
    "inconsistent numbers": "Give one entry per row of X.",
    "minimum of": "Give more of them.",
    "inhomogeneous": "Give rows of equal length.",
    "setting an array element": "Give rows of equal length, one number per entry.",
    "dim 3": "Give a table of rows and columns.",
    "to seed": "Give None, a whole number from 0 to 2**32 - 1 or a numpy.random.RandomState.",
    "Seed must": "Give None, a whole number in that range or a numpy.random.RandomState.",
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


@contextmanager
def naming(argument):
    """Errors of scikit-learn's checks that also name the argument and the remedy; its sums may overflow in silence."""
    try:
        with np.errstate(over="ignore", invalid="ignore"):
            yield
    except (ValueError, TypeError, OverflowError) as error:
        text = re.split(r"\n\[|\n\w+ does not accept", str(error))[0].rstrip(".")  # without the data themselves
        remedy = next((f" {remedy}" for words, remedy in REMEDIES.items() if words in text), "")
        if argument == "sample_weight" and "could not convert" in text:
            remedy = " Give one non-negative number per row of X."
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{argument}: {text}.{remedy}") from error


def plain(argument, value):
    """The value as scikit-learn's checks read it rightly; raise for what they would misread."""
    if issparse(value):  # of which one kind is a mapping
        return value
    if isinstance(value, (str, bytes, Mapping, Set, Iterator)):
        found = f"the text {value!r}" if isinstance(value, (str, bytes)) else f"a {type(value).__name__}"
        give = {"X": "rows and columns", "y": "one value per row of X"}
        give = give.get(argument, "one non-negative number per row of X (a regression knows no class weights)")
        raise TypeError(f"{argument} is {found}; give an array, a list or a data frame of {give}.")
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
        column = f" in column {value.columns[j]!r}" if hasattr(value, "columns") else ""
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
    if argument == "y" and object in dtypes:  # pandas.NA, which is no float: not measured
        value = np.asarray(value)
        value = np.where(np.frompyfunc(lambda entry: type(entry).__name__ == "NAType", 1, 1)(value), np.nan, value)
    return value


def check_features(estimator, X, **options):
    """X as finite float64 in C order."""
    X = plain("X", X)
    names = getattr(X, "columns", None)
    if names is not None and len(set(names)) < len(names):
        raise ValueError(f"X has repeated column names {list(names)}; give each column its own.")
    with naming("X"):
        return validate_data(estimator, X, dtype=np.float64, order="C", **options)


def check_training_data(estimator, X, y, sample_weight=None):
    """Validate X, y and weights; merge identical rows, drop those of weight zero and sort.

    Returns
    -------
    table : Table
    n_outputs : int or None
        None when y was one-dimensional.
    """
    X = check_features(estimator, X, ensure_min_samples=2)
    if y is None:
        name = type(estimator).__name__
        raise ValueError(f"{name} requires y to be passed, but the target y is None; give one value per row.")
    y = plain("y", y)
    with naming("y"):
        y = check_array(y, dtype=np.float64, ensure_2d=False, ensure_all_finite="allow-nan", input_name="y")
        check_consistent_length(X, y)
    if y.ndim > 2 or (y.ndim == 2 and not y.shape[1]):
        raise ValueError(f"y must have shape (n_samples,) or (n_samples, n_outputs), got {y.shape}.")
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
        raise ValueError(
            "sample_weight: found 1 sample with a positive weight while a minimum of 2 is required; weights below "
            "1e-308 of the greatest count as zero."
        )
    return table, n_outputs


def check_weight(sample_weight, n):
    """Weights of n rows, non-negative and not all zero; None is one each."""
    if sample_weight is None:
        return np.ones(n)
    sample_weight = plain("sample_weight", sample_weight)
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
        rank = np.unique(column, return_inverse=True, equal_nan=True)[1]
        key = np.unique(key * (rank.max() + 1) + rank, return_inverse=True)[1]
        n_keys = key.max() + 1
        if n_keys == len(X):
            break
    first = np.full(n_keys, len(X))
    np.minimum.at(first, key, np.arange(len(X)))
    total = np.bincount(key, weights=weight, minlength=n_keys)
    del keep, weight, rank, key  # of many rows each takes as much as a column of X
    return Table(np.ascontiguousarray(X[first]), y[first], total / total.sum())


def check_rows(estimator, X):
    """X for prediction: finite float64 in C order with the fitted columns."""
    return check_features(estimator, X, reset=False)


POSITIVE = ("C_", "blend_", "estimator_weight_", "x_scale_", "y_scale_", "noise_std_", "form_error_")


def check_fitted(model):
    """Raise ValueError or AttributeError if an array is not what a fit leaves: a damaged file must not predict."""
    n_estimators, m, h, d = model.A_.shape if np.ndim(model.A_) == 4 else (0, 0, 0, 0)
    if not n_estimators * m * h * d or d != model.n_features_in_:
        raise ValueError(f"A_ has shape {np.shape(model.A_)}; the model is damaged, fit it again.")
    shapes = {
        "A_": (n_estimators, m, h, d),
        "B_": (n_estimators, m, h),
        "C_": (n_estimators, m, h),
        "blend_": (n_estimators, m, h),
        "D_": (n_estimators, m),
        "estimator_weight_": (n_estimators, m),
        "sign_": (n_estimators, m, h, d),
        "x_scale_": (d,),
        "x_mean_": (d,),
        "x_min_": (d,),
        "x_max_": (d,),
        "product_": (d,),
        "y_scale_": (m,),
        "y_mean_": (m,),
        "noise_std_": (m,),
        "form_error_": (m,),
    }
    for name, shape in shapes.items():
        array = getattr(model, name)
        dtype = np.dtype(bool) if name in ("sign_", "product_") else np.dtype(float)
        if not isinstance(array, np.ndarray) or array.shape != shape or array.dtype != dtype:
            found = f"{array.dtype} of shape {array.shape}" if isinstance(array, np.ndarray) else f"{type(array)}"
            expected = f"{dtype} of shape {shape} is expected beside A_ of shape {model.A_.shape}"
            raise ValueError(f"{name} is {found} where {expected}; fit the model again.")
        if dtype.kind == "f":
            low = 0.0 if name in POSITIVE else -np.inf
            bad = np.isnan(array) if name == "C_" else ~np.isfinite(array)
            if bad.any() or array.min() < low or (name in ("C_", "x_scale_", "y_scale_") and not array.min() > 0):
                raise ValueError(f"{name} has entries that no fit leaves; fit the model again.")
    parameters = h * (d + 3) + 1
    covariance = model.covariance_
    if len(covariance) not in ((0, m) if n_estimators == 1 else (0,)) or not all(
        isinstance(c, np.ndarray) and c.shape == (parameters, parameters) and c.dtype == float and np.isfinite(c).all()
        for c in covariance
    ):
        raise ValueError("covariance_ is not what a fit leaves; fit the model again.")
