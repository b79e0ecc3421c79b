"""Missing cells of a table from the other cells of their row: the fixed point of filling and fitting."""

from dataclasses import asdict

import numpy as np

from skmerge._gaussian.joint import Joint, fit_joint, patterns

WIDEST = 400  # columns of one covariance; a step takes their cube for every pattern of missing cells
FARTHEST = 1e4  # spreads; entries farther out leave no digits of their column's covariance with the others
AXES = 10**6  # numbers of the axes of a block of rows


def fit_fill(z, error=None, damping=1.0, max_iter=100, tol=1e-2, told=None):
    """One Gaussian of all standardised columns: plain arrays; None for none and for more than 400 columns."""
    if not 0 < z.shape[1] <= WIDEST:
        return None
    nothing, rows = np.zeros((len(z), 0)), np.arange(len(z))
    z = np.clip(z, -FARTHEST, FARTHEST)
    # The prior is weak: columns that add to 100 determine each other.
    (joint,) = fit_joint(z, nothing, rows, 1.0, error, damping, max_iter, tol, told, limit=len(z))
    return asdict(joint)


def left_out(fitted, z, error=None, allowed=None, told=None):
    """Expectation and variance of each cell from the other observed ones of its row."""
    if fitted is None:
        return np.zeros(z.shape), np.ones(z.shape)
    return Joint(**fitted).left_out(z, np.zeros(z.shape), error, allowed, told)


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


def unsure(fitted, z, predict, told=None):
    """What missing cells add to the variance of ``predict(filled rows, their numbers)``, (n, m), as Inputs.variance."""
    rows = np.flatnonzero(np.isnan(z).any(axis=1))
    if not len(rows):
        return 0.0
    total, S = None, fitted["covariance"]
    size = max(1, AXES // len(S) ** 2)
    for part in np.split(rows, np.arange(size, len(rows), size)):
        filled = fill(fitted, np.clip(z[part], -FARTHEST, FARTHEST))
        start = predict(filled, part)
        total = np.zeros((len(z), start.shape[1])) if total is None else total
        axes = np.zeros((len(part), len(S), len(S)))
        for seen, some in patterns(z[part]):
            hidden = np.setdiff1d(np.arange(len(S)), seen)
            left = S[np.ix_(hidden, hidden)]
            if len(seen):
                left = left - S[np.ix_(hidden, seen)] @ np.linalg.solve(S[np.ix_(seen, seen)], S[np.ix_(seen, hidden)])
            value, vector = np.linalg.eigh(left)
            axes[np.ix_(some, np.arange(len(hidden)), hidden)] = (vector * np.sqrt(np.maximum(value, 0.0))).T
        for i, step in enumerate(axes.transpose(1, 0, 2)):
            if told:
                told.still(f"what missing descriptors may be: axis {i + 1} of {len(S)}")
            moves = np.flatnonzero(step.any(axis=1))
            for sign in (1.0, -1.0) if len(moves) else ():
                moved = predict(filled[moves] + sign * step[moves], part[moves])
                total[part[moves]] += (moved - start[moves]) ** 2 / 2
    return total
