"""Missing cells of a table from the other cells of their row: the fixed point of filling and fitting."""

from dataclasses import asdict

import numpy as np

from skmerge._joint import Joint, fit_joint

WIDEST = 400  # columns of one covariance; a step takes their cube for every pattern of missing cells


def fit_fill(z, error=None, damping=1.0, max_iter=100, tol=1e-2):
    """One Gaussian of all standardised columns: plain arrays; None for none and for more than 400 columns."""
    if not 0 < z.shape[1] <= WIDEST:
        return None
    nothing, rows = np.zeros((len(z), 0)), np.arange(len(z))
    # The prior is weak: columns that add to 100 determine each other.
    (joint,) = fit_joint(z, nothing, rows, 1.0, error, damping, max_iter, tol, limit=len(z))
    return {**asdict(joint), "unseen": np.zeros((0, z.shape[1]))}


def left_out(fitted, z, error=None, allowed=None):
    """Expectation and variance of each cell from the other observed ones of its row."""
    if fitted is None:
        return np.zeros(z.shape), np.ones(z.shape)
    return Joint(**fitted).left_out(z, np.zeros(z.shape), error, allowed)


def fill(fitted, z):
    """z with its missing cells at the fixed point; a row's do not depend on the other rows."""
    missing = np.isnan(z)
    rows = np.flatnonzero(missing.any(axis=1))
    if not len(rows):
        return z
    z = z.copy()
    expected, _ = left_out(fitted, z[rows])
    z[rows] = np.where(missing[rows], expected, z[rows])
    return z
