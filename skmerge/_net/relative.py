"""Errors that grow with y: the error of a row is a share of its size, and its weight is 1 / size^2.

The size is first |y|, then the prediction of the net that was fitted before. Weights 1 / y^2 favour rows whose
measured y is too small: with 30 % noise a factor is then found at 0.885 of its value, 4 standard errors off.
"""

import numpy as np
from scipy.stats import spearmanr

from skmerge._text import warn

TREND = 0.3  # of the trend, the least first size: else a row with y near zero, by its error, would decide alone
LEAST_SIZE = 0.1  # of |y|: else a row whose prediction is near zero would decide alone
DECADES = 1.0  # of |y| between the tenths of the rows with the least and greatest, where it matters how errors grow
MOST_ROWS = 10_000  # that are looked at
NO_NOISE = 1e-6  # of the greatest y: errors of the form, or of rounding
GROWTH, SURE = 0.5, 1e-3  # rank correlation of the errors with |y|, and its significance, that are told


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


def tell(nets, X, target, which, name, n_outputs):
    """Warn of nets fitted with equal errors whose errors grow with y over several decades.

    ``nets``: Nets that predict ``target`` (n, m), called ``name``, from X; ``which`` (m,): the outputs to look at.
    """
    few = slice(None, None, -(-len(X) // MOST_ROWS))
    predicted = nets.with_offset(np.ascontiguousarray(X[few]), n_threads=1)
    for k in np.flatnonzero(which):
        known = ~np.isnan(target[few, k])
        y, f = target[few, k][known], predicted[known, k]
        low, high = np.quantile(np.abs(f), [0.1, 0.9])
        error = np.abs(y - f)
        if y.min() < 0 < y.max() or not high / 10**DECADES > low or error.max() < NO_NOISE * high:
            continue
        growth, chance = spearmanr(np.abs(f), error)
        if growth > GROWTH and chance < SURE:
            what = name if n_outputs is None else f"{name} (output {k})"
            warn(
                f"The errors of {what} grow with its size: the largest values decide almost alone. If errors "
                'are shares of the value, give noise="relative"; noise="auto" tries both.'
            )
