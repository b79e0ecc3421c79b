"""Scores that skip unmeasured targets (NaN)."""

import numpy as np
from sklearn.metrics import r2_score


def observed_r2_score(y_true, y_pred, *, sample_weight=None):
    """Coefficient of determination of each output over the rows where it was measured, averaged over the outputs.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,) or (n_samples, n_outputs)
        NaN where unmeasured.
    y_pred : array-like of the same shape
    sample_weight : array-like of shape (n_samples,), default=None

    Returns
    -------
    float
        Outputs with fewer than two measured rows are left out.

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
    y_true, y_pred = np.asarray(y_true, dtype=float), np.asarray(y_pred, dtype=float)
    if y_true.shape != y_pred.shape:
        raise ValueError(f"y_true has shape {y_true.shape} and y_pred {y_pred.shape}; they must be equal.")
    y_true, y_pred = y_true.reshape(len(y_true), -1), y_pred.reshape(len(y_pred), -1)
    scores = []
    for truth, prediction in zip(y_true.T, y_pred.T, strict=True):
        seen = ~np.isnan(truth)
        if np.count_nonzero(seen) >= 2:
            weight = None if sample_weight is None else np.asarray(sample_weight)[seen]
            scores.append(r2_score(truth[seen], prediction[seen], sample_weight=weight))
    if not scores:
        raise ValueError("y_true has no output with two measured rows; a score needs at least two.")
    return float(np.mean(scores))
