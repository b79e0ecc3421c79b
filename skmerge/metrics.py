"""Scores that skip unmeasured targets (NaN)."""

from collections.abc import Sequence
from numbers import Integral
from typing import Literal, TypeAlias, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm
from sklearn.metrics import make_scorer, r2_score

from skmerge._validation import check_same_rows

HALF_90 = 1.645  # standard deviations to either side that hold 90 % of a normal distribution
_F8: TypeAlias = NDArray[np.float64]
_Mean: TypeAlias = Literal["columns", "pooled"]

__all__ = [
    "confidence_curve",
    "interval_coverage",
    "observed_mae",
    "observed_mae_scorer",
    "observed_r2_score",
    "observed_r2_scorer",
    "observed_rmse",
    "observed_rmse_scorer",
]


@overload
def observed_r2_score(
    y_true: ArrayLike, y_pred: ArrayLike, *, sample_weight: ArrayLike | None = None, average: _Mean = "columns"
) -> float: ...
@overload
def observed_r2_score(
    y_true: ArrayLike, y_pred: ArrayLike, *, sample_weight: ArrayLike | None = None, average: None
) -> _F8: ...
def observed_r2_score(y_true, y_pred, *, sample_weight=None, average="columns"):
    """Coefficient of determination of each output over the rows where it was measured, averaged over the outputs.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,) or (n_samples, n_outputs)
        NaN where unmeasured.
    y_pred : array-like of the same shape
    sample_weight : array-like of shape (n_samples,), default=None
    average : {"columns", "pooled"} or None, default="columns"
        Mean over the outputs; of all measured entries at once, against their common mean; or one score for each
        output, NaN for fewer than two measured rows.

    Returns
    -------
    float or ndarray of shape (n_outputs,)
        Outputs with fewer than two measured rows are left out of the mean.

    Raises
    ------
    ValueError
        If no output has two measured rows.

    Examples
    --------
    >>> from skmerge.metrics import observed_r2_score
    >>> observed_r2_score([1.0, 2.0, float("nan"), 4.0], [1.0, 2.0, 9.0, 4.0])
    1.0
    """
    return _averaged(y_true, y_pred, sample_weight, average, 2, r2_score)


def score(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
    """Coefficient of determination over what was measured; see ``skmerge.metrics.observed_r2_score``."""
    check_same_rows(X, "y", y)
    check_same_rows(X, "sample_weight", sample_weight)
    return observed_r2_score(y, self.predict(X), sample_weight=sample_weight)


@overload
def observed_rmse(
    y_true: ArrayLike, y_pred: ArrayLike, *, sample_weight: ArrayLike | None = None, average: _Mean = "columns"
) -> float: ...
@overload
def observed_rmse(
    y_true: ArrayLike, y_pred: ArrayLike, *, sample_weight: ArrayLike | None = None, average: None
) -> _F8: ...
def observed_rmse(y_true, y_pred, *, sample_weight=None, average="columns"):
    """Root mean squared error over the measured entries, per column or pooled.

    Parameters and errors are those of :func:`~skmerge.metrics.observed_r2_score`; one measured row of an output is
    enough.

    Examples
    --------
    >>> from skmerge.metrics import observed_rmse
    >>> observed_rmse([1.0, 2.0, float("nan")], [1.0, 4.0, 9.0]) ** 2
    2.0000000000000004
    """
    return _averaged(
        y_true, y_pred, sample_weight, average, 1,
        lambda y, p, sample_weight: np.sqrt(np.average((y - p) ** 2, weights=sample_weight)),
    )  # fmt: skip


@overload
def observed_mae(
    y_true: ArrayLike, y_pred: ArrayLike, *, sample_weight: ArrayLike | None = None, average: _Mean = "columns"
) -> float: ...
@overload
def observed_mae(
    y_true: ArrayLike, y_pred: ArrayLike, *, sample_weight: ArrayLike | None = None, average: None
) -> _F8: ...
def observed_mae(y_true, y_pred, *, sample_weight=None, average="columns"):
    """Mean absolute error over the measured entries, per column or pooled, as :func:`~skmerge.metrics.observed_rmse`.

    Examples
    --------
    >>> from skmerge.metrics import observed_mae
    >>> observed_mae([1.0, 2.0, float("nan")], [1.0, 4.0, 9.0])
    1.0
    """
    return _averaged(
        y_true, y_pred, sample_weight, average, 1,
        lambda y, p, sample_weight: np.average(np.abs(y - p), weights=sample_weight),
    )  # fmt: skip


def confidence_curve(
    y_true: ArrayLike, y_pred: ArrayLike, std: ArrayLike, *, n_points: int = 20
) -> tuple[_F8, _F8, _F8]:
    """R2 and RMSE of the most certain share of the measured entries, pooled.

    Parameters
    ----------
    y_true, y_pred, std : array-like of one shape
        NaN in y_true where unmeasured. Give columns of different units in units of their spread.
    n_points : int, default=20

    Returns
    -------
    share : ndarray of shape (n_points,)
        1 / n_points, ..., 1.
    r2 : ndarray of shape (n_points,)
        Against the variance of the same entries.
    rmse : ndarray of shape (n_points,)

    Examples
    --------
    >>> from skmerge.metrics import confidence_curve
    >>> share, r2, rmse = confidence_curve([0, 1, 2, 3], [0, 1, 2, 5], [1, 1, 1, 9], n_points=2)
    >>> share, rmse
    (array([0.5, 1. ]), array([0., 1.]))
    """
    y, p, s = measured(y_true, y_pred, std)
    if not isinstance(n_points, Integral) or n_points < 1 or len(y) < 2:
        raise ValueError(f"found {len(y)} measured entries and n_points={n_points!r}; at least 2 and an integer of "
                         "at least 1 are needed.")  # fmt: skip
    share = np.arange(1, n_points + 1) / n_points
    order, power = np.argsort(s, kind="stable"), _power_of_two(y, p)
    y, p = np.ldexp(y, -power), np.ldexp(p, -power)
    r2, rmse = np.empty(n_points), np.empty(n_points)
    for i, part in enumerate(share):
        rows = order[: max(2, round(part * len(y)))]
        rmse[i] = np.sqrt(np.mean((y[rows] - p[rows]) ** 2))
        r2[i] = r2_score(y[rows], p[rows])
    return share, r2, np.ldexp(rmse, power)


def interval_coverage(
    y_true: ArrayLike, y_pred: ArrayLike, std: ArrayLike, *, levels: Sequence[float] = (0.5, 0.68, 0.9, 0.95)
) -> _F8:
    """Share of the measured entries within the normal intervals of the given levels: the calibration of std.

    Returns
    -------
    coverage : ndarray of shape (n_levels,)
        Equal to the levels if std is calibrated and the errors are normal.

    Examples
    --------
    >>> from skmerge.metrics import interval_coverage
    >>> interval_coverage([0.0, 0.0, 0.0, 3.0], [0.1, 0.2, 1.0, 0.0], [1.0, 1.0, 1.0, 1.0], levels=[0.9])
    array([0.75])
    """
    y, p, s = measured(y_true, y_pred, std)
    levels = np.asarray(levels, dtype=float)
    if not len(y) or ((levels <= 0) | (levels >= 1)).any():
        raise ValueError(f"found {len(y)} measured entries and levels {levels.tolist()}; levels are between 0 and 1.")
    return (np.abs(y - p) <= norm.ppf(0.5 + levels[:, None] / 2) * s).mean(axis=1)


def factor_90(ratio, weight=None):
    """Factor of standard deviations that lets 90 % of the errors lie within HALF_90 of them.

    ``ratio`` (n,): sizes of the errors over their standard deviations. Without weights, interpolated between two rows.
    """
    if weight is None:
        return np.quantile(ratio, 0.9) / HALF_90
    order = np.argsort(ratio, kind="stable")
    reached = np.cumsum(weight[order]) / weight.sum()
    return ratio[order][min(np.searchsorted(reached, 0.9), len(order) - 1)] / HALF_90


def measured(*arrays):
    """y_true, y_pred and std, flat, where the first one is not NaN."""
    arrays = [np.asarray(array, dtype=float) for array in arrays]
    if len({array.shape for array in arrays}) > 1:
        raise ValueError(f"y_true, y_pred and std must be of one shape, got {[array.shape for array in arrays]}.")
    arrays = [array[~np.isnan(arrays[0])] for array in arrays]
    for name, array in zip(("y_true", "y_pred", "std"), arrays, strict=True):
        _check_finite(name, array)
    if (arrays[2] < 0).any():
        raise ValueError(f"std is {arrays[2].min():g} for a measured entry; standard deviations are not negative.")
    return arrays


def _check_finite(name, array):
    bad = array[~np.isfinite(array)]
    if len(bad):
        raise ValueError(f"{name} is {bad[0]} for a measured entry; only NaN in y_true marks entries to skip.")


def _power_of_two(*arrays):
    """Exponent of a power of two above all entries: in this unit no digit changes and no square leaves the range."""
    return np.frexp(max(np.abs(array).max(initial=0.0) for array in arrays))[1]


def _averaged(y_true, y_pred, sample_weight, average, fewest, score):
    y_true, y_pred = np.asarray(y_true, dtype=float), np.asarray(y_pred, dtype=float)
    if y_true.shape != y_pred.shape:
        raise ValueError(f"y_true has shape {y_true.shape} and y_pred {y_pred.shape}; they must be equal.")
    if not y_true.size:
        raise ValueError("y_true is empty; a score needs measured rows.")
    if average not in ("columns", "pooled", None):
        raise ValueError(f'average={average!r} is not possible: give "columns", "pooled" or None.')
    y_true, y_pred = np.atleast_1d(y_true), np.atleast_1d(y_pred)
    y_true, y_pred = y_true.reshape(len(y_true), -1), y_pred.reshape(len(y_pred), -1)
    for name, array in (("y_true", y_true), ("y_pred", y_pred)):
        _check_finite(name, array[~np.isnan(y_true)])
    weight = None if sample_weight is None else np.asarray(sample_weight, dtype=float)
    if weight is not None and not (weight.shape == y_true.shape[:1] and np.isfinite(weight).all() and min(weight) >= 0):
        raise ValueError(f"sample_weight must be {len(y_true)} finite numbers, one for each row, none negative.")
    if average == "pooled":
        weight = None if weight is None else np.repeat(weight, y_true.shape[1])
        y_true, y_pred = y_true.reshape(-1, 1), y_pred.reshape(-1, 1)
    scores = np.full(y_true.shape[1], np.nan)
    for k, (truth, prediction) in enumerate(zip(y_true.T, y_pred.T, strict=True)):
        seen = ~np.isnan(truth) & (True if weight is None else weight > 0)  # a weight of 0 is an absent row
        if np.count_nonzero(seen) >= fewest:
            y, p, own = truth[seen], prediction[seen], None if weight is None else weight[seen]
            power = _power_of_two(y, p)
            value = score(np.ldexp(y, -power), np.ldexp(p, -power), sample_weight=own)
            scores[k] = value if score is r2_score else np.ldexp(value, power)
    if np.isnan(scores).all():
        rows = {1: "one measured row; a score needs one", 2: "two measured rows; a score needs at least two"}[fewest]
        raise ValueError(f"y_true has no output with {rows}.")
    return scores if average is None else float(np.nanmean(scores))


observed_r2_scorer = make_scorer(observed_r2_score)
observed_rmse_scorer = make_scorer(observed_rmse, greater_is_better=False)
observed_mae_scorer = make_scorer(observed_mae, greater_is_better=False)
