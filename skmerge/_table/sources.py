"""Rows of several sources (simulation, experiment): how far to trust each where another is predicted."""

import numpy as np

from skmerge._joint import fit_joint

DISTANCES = (0.05, 0.2, 0.8)  # of two sources in the kernel: from nearly the same curve to curves of their own
NOISES = (0.3, 1.0)  # standard deviations of a property by which a source may scatter more than the others
SHRINK, FARTHEST = 2.0, 10.0  # cells; standard deviations that one of them counts at most
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
    for source in range(len(noise)):
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
    """Factors (n_sources,) of standard deviations: root mean square of ``ratio``, error by standard deviation (n, m).

    Few experiments are further off than many simulations; SHRINK cells at the common size stand beside a source's own.
    """
    with np.errstate(invalid="ignore"):
        squares = np.minimum(ratio**2, FARTHEST**2)
    common = np.nanmean(squares)
    if not common > 0:
        return np.ones(n_sources)
    own = [squares[code == source] for source in range(n_sources)]
    found = [(np.nansum(s) + SHRINK * common) / ((~np.isnan(s)).sum() + SHRINK) for s in own]
    return np.sqrt(np.array(found) / common)
