"""Errors that grow with y: the error of a row is a share of its size, and its weight is 1 / size^2.

The size is first |y|, then the prediction of the net that was fitted before. Weights 1 / y^2 favour rows whose
measured y is too small: with 30 % noise a factor is then found at 0.885 of its value, 4 standard errors off.
"""

import numpy as np

TREND = 0.3  # of the trend, the least first size: else a row with y near zero, by its error, would decide alone
LEAST_SIZE = 0.1  # of |y|: else a row whose prediction is near zero would decide alone


def sizes(target, prediction):
    """What the errors of the rows are relative to, (n, m); positive."""
    size = np.hypot(prediction, LEAST_SIZE * np.nan_to_num(target))
    least = np.where(size > 0, size, np.inf).min(axis=0)
    return np.maximum(size, np.where(np.isfinite(least), least, 1.0))


def first_sizes(X, target):
    """Sizes before any net is fitted: |y|, at least TREND times the trend, which is a power law fitted to log |y|."""
    with np.errstate(divide="ignore"):
        logs = np.log(np.abs(X))
    columns = np.where(np.isfinite(logs).all(axis=0), logs, X / np.maximum(np.abs(X).max(axis=0), 1e-300))
    columns = columns - columns.mean(axis=0)
    spread = columns.std(axis=0)
    columns /= np.where(spread > 1e-12, spread, np.inf)
    columns = np.column_stack([np.ones(len(X)), columns])
    ridge = 1e-3 * len(X) * np.eye(columns.shape[1])
    trend = np.zeros(target.shape)
    for k, y in enumerate(target.T):
        known = np.abs(np.nan_to_num(y)) > 0
        if known.any():
            A, log = columns[known], np.log(np.abs(y[known]))
            trend[:, k] = np.exp(np.clip(columns @ np.linalg.solve(A.T @ A + ridge, A.T @ log), -700, 700))
    return sizes(target, np.maximum(np.abs(np.nan_to_num(target)), TREND * trend))


def log_likelihood(trained, objective):
    """Log-likelihood of a row from its cross-validation error, the mean over the rows, up to a constant."""
    size = objective.size
    log_size = 0.0 if size is None else objective.share @ np.log(size)
    return -(0.5 * np.log(max(trained.error, 1e-30)) + np.log(objective.error_unit) + log_size)
