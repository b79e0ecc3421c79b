"""Rows of several sources (simulation, experiment): distances between sources, scatter and intervals of each."""

import numpy as np
from scipy.special import stdtrit

from skmerge._gaussian.joint import fit_joint
from skmerge.metrics import HALF_90, factor_90

DISTANCES = (0.05, 0.2, 0.8)  # of two sources in the kernel: from nearly the same curve to a curve for each
NOISES = (0.3, 1.0)  # standard deviations of a property by which a source may scatter more than the others
SHRINK = 2.0  # cells of the common size that are added to those of a source
MIN_QUANTILE_CELLS = 10  # of a property from which its factor is a quantile
MIN_SOURCE_ROWS = 5  # of a source from which its scatter is estimated; each source takes two fits
NOISE_GAIN = 0.98  # ratio of squared errors below which a source counts as noisier


def fit(z, features_of, groups, code, error, **options):
    """Joint distributions (list of Joint), the distance of the sources, and the extra scatter of each (n_sources,).

    The errors of rows that are left out with their group are averaged over sources, so that a source of few rows counts
    as much as one of many. The distance in the kernel gives each source an offset, which may change with the
    descriptors.

    ``features_of(distance)``: the descriptors (n, d); ``code`` (n,): number of each row's source, -1 where unknown; the
    others as in ``fit_joint``.
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
    for source in np.flatnonzero(rows >= MIN_SOURCE_ROWS):
        for more in NOISES:
            trial = noise.copy()
            trial[source] = more
            again = fitted(distance, trial)
            if again[-1].missed < NOISE_GAIN * joints[-1].missed:
                joints, noise = again, trial
    return joints, distance, noise


def with_noise(error, noise, code, shape):
    """Standard deviations of the measurements (n, m) and of the rows' sources, added in squares; None for none."""
    if noise is None or not noise.any():
        return error
    own = np.append(noise, 0.0)[code][:, None]  # -1, an unknown source, is the last
    return np.broadcast_to(own, shape) if error is None else np.hypot(error, own)


def scale(ratio, code, n_sources):
    """Factors (n_sources, m) of standard deviations, from ``ratio`` (n, m), error by calibrated standard deviation.

    With its factor, 90 % of the cells of a source and a property lie within 1.645 standard deviations. If there are
    fewer than MIN_QUANTILE_CELLS of them, the factor is that of all properties of the source together; if there are
    fewer than MIN_QUANTILE_CELLS of these, too, it is their root mean square. A factor that is less than the common one
    is raised as if there were SHRINK more cells of the common size, so that a small factor needs many cells; a greater
    factor stays as it is. Factors are widened by Student's distribution, because the spread of few cells is uncertain.
    """
    factor = np.empty((n_sources, ratio.shape[1]))
    for source in range(n_sources):
        own = np.abs(ratio[code == source])
        whole, n = _square(own[~np.isnan(own)], 1.0)
        factor[source] = _factor(whole, n)
        for p, cells in enumerate(own.T):
            cells = cells[~np.isnan(cells)]
            if len(cells) >= MIN_QUANTILE_CELLS:
                factor[source, p] = _factor(*_square(cells, whole))
    return factor


def _square(own, common):
    """Squared factor of some cells, and their number; ``common``: the squared factor of the SHRINK cells added."""
    n, square = len(own), common
    if n >= MIN_QUANTILE_CELLS:
        square = factor_90(own) ** 2
    elif n:
        square = np.mean(np.minimum(own, 3.0 * np.quantile(own, 0.8)) ** 2)  # one wrong entry must not determine it
    return (n * square + SHRINK * max(square, common)) / (n + SHRINK), n


def _factor(square, n):
    return np.sqrt(square) * stdtrit(n + SHRINK, 0.95) / HALF_90
