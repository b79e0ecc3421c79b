"""Rows of several sources (simulation, experiment): how far to trust each where another is predicted."""

import numpy as np
from scipy.special import stdtrit

from skmerge._gaussian.joint import fit_joint
from skmerge.metrics import HALF_90

DISTANCES = (0.05, 0.2, 0.8)  # of two sources in the kernel: from nearly the same curve to curves of their own
NOISES = (0.3, 1.0)  # standard deviations of a property by which a source may scatter more than the others
SHRINK, FEW = 2.0, 10  # cells
ENOUGH = 5  # rows of a source from which its scatter can be judged; each takes two fits
GAIN = 0.98  # squared error left over, of what was, for which a source is called noisier


def fit(z, features_of, groups, code, error, **options):
    """Joint distributions, the distance of the sources and the extra scatter of each.

    A source of few rows counts as much as one of many: rows left out with their group are judged by the mean over
    sources. An offset of a source, or one that changes with the descriptors, is what its distance in the kernel lets it
    have.

    Parameters
    ----------
    z : ndarray of shape (n, m)
    features_of : callable(distance) -> ndarray of shape (n, d)
    code : ndarray of shape (n,)
        Number of each row's source, -1 where unknown.
    error : ndarray of shape (n, m) or None
    options : of ``fit_joint``

    Returns
    -------
    joints : list of Joint
    distance : float
    noise : ndarray of shape (n_sources,)
    """
    cells = (~np.isnan(z)).sum(axis=1)
    total = np.bincount(code + 1, weights=cells)
    share = 1.0 / np.maximum(total, 1.0)[code + 1]
    noise = np.zeros(code.max() + 1)

    def fitted(distance, noise):
        own = with_noise(error, noise, code, z.shape)
        return fit_joint(z, features_of(distance), groups, None, own, share=share, **options)

    found = [(fitted(distance, noise), distance) for distance in DISTANCES]
    joints, distance = min(found, key=lambda one: one[0][-1].missed)
    rows = np.bincount(code[cells > 0] + 1, minlength=len(noise) + 1)[1:]
    for source in np.flatnonzero(rows >= ENOUGH):
        for more in NOISES:
            trial = noise.copy()
            trial[source] = more
            again = fitted(distance, trial)
            if again[-1].missed < GAIN * joints[-1].missed:
                joints, noise = again, trial
    return joints, distance, noise


def with_noise(error, noise, code, shape):
    """Standard deviations of the measurements (n, m), those of the rows' sources added in squares; None for none."""
    if noise is None or not noise.any():
        return error
    own = np.append(noise, 0.0)[code][:, None]  # -1, an unknown source, is the last
    return np.broadcast_to(own, shape) if error is None else np.hypot(error, own)


def scale(ratio, code, n_sources):
    """Factors (n_sources, m) of standard deviations, from ``ratio`` (n, m), error by calibrated standard deviation.

    What lets 90 % of a source's own cells of a property lie within 1.645 of them; where a source has fewer than FEW of
    the property, of those of all its properties, and where it has fewer than FEW of these, their root mean square. As
    many as SHRINK cells of the common size stand beside it where it is smaller: that a source is surer than the others
    takes many cells, that it is less sure does not. Few cells know their own spread badly, so that their intervals are
    those of Student's distribution.
    """
    factor = np.empty((n_sources, ratio.shape[1]))
    for source in range(n_sources):
        own = np.abs(ratio[code == source])
        whole, n = _square(own[~np.isnan(own)], 1.0)
        factor[source] = _factor(whole, n)
        for p, cells in enumerate(own.T):
            cells = cells[~np.isnan(cells)]
            if len(cells) >= FEW:
                factor[source, p] = _factor(*_square(cells, whole))
    return factor


def _square(own, common):
    """Squared factor of some cells, and their number; ``common``: of the cells that stand beside them."""
    n, square = len(own), common
    if n >= FEW:
        square = (np.quantile(own, 0.9) / HALF_90) ** 2
    elif n:
        square = np.mean(np.minimum(own, 3.0 * np.quantile(own, 0.8)) ** 2)  # one wrong entry must not set it
    return (n * square + SHRINK * max(square, common)) / (n + SHRINK), n


def _factor(square, n):
    return np.sqrt(square) * stdtrit(n + SHRINK, 0.95) / HALF_90
