"""Slip systems of cubic lattices, the basis of deviators in which cubic elasticity is diagonal, and steps of a law."""

import itertools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skmerge._ext.grain_stepping import GrainLaw
from skmerge._orientation import numbers

MOST_SYSTEMS = 48
PERPENDICULAR = 1e-6  # greatest cosine between a direction and its plane's normal
STEP_TOL = 0.03  # of a step: .016 % of the final deviator, see doc/crystal.md

# The 12 systems {111}<110>: unit normals of the planes, three times each, and slip directions.
NORMALS = np.repeat([[1, 1, 1], [-1, 1, 1], [1, -1, 1], [1, 1, -1]], 3, axis=0) / np.sqrt(3)
DIRECTIONS = np.array(
    [
        *([0, 1, -1], [1, 0, -1], [1, -1, 0], [0, 1, -1], [1, 0, 1], [1, 1, 0]),
        *([0, 1, 1], [1, 0, -1], [1, 1, 0], [0, 1, 1], [1, 0, 1], [1, -1, 0]),
    ]
) / np.sqrt(2)
BCC = ((1, 1, 0), (1, 1, 1)), ((1, 1, 2), (1, 1, 1))  # families of planes and directions


def slip_systems(lattice: str | Sequence[ArrayLike]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Unit normals and directions of the slip systems of a lattice.

    Parameters
    ----------
    lattice : {"fcc", "bcc"} or pair of array-like of shape (n_systems, 3)
        "fcc": the 12 systems {111}<110>; "bcc": the 24 systems {110}<111> and {112}<111>; or Miller indices, or vectors
        of any length, of the planes' normals and the directions of up to 48 systems.

    Returns
    -------
    normals, directions : ndarray of shape (n_systems, 3)
        In crystal axes, of length one.

    Raises
    ------
    ValueError
        If a direction does not lie in its plane, or the lattice is not known.

    Examples
    --------
    >>> from skmerge.crystal import slip_systems
    >>> normals, directions = slip_systems("bcc")
    >>> normals.shape
    (24, 3)
    """
    if isinstance(lattice, str):
        if lattice not in ("fcc", "bcc"):
            raise ValueError(f'lattice must be "fcc", "bcc" or a pair (normals, directions), got {lattice!r}.')
        if lattice == "fcc":
            return NORMALS.copy(), DIRECTIONS.copy()
        lattice = tuple(np.concatenate(part) for part in zip(*(family(*both) for both in BCC), strict=True))
    if not isinstance(lattice, (tuple, list)) or len(lattice) != 2:
        raise ValueError('lattice must be "fcc", "bcc" or a pair (normals, directions) of shape (n_systems, 3).')
    both = [numbers(f"lattice[{i}]", part) for i, part in enumerate(lattice)]
    shape = both[0].shape
    if both[1].shape != shape or len(shape) != 2 or shape[1] != 3 or not 1 <= shape[0] <= MOST_SYSTEMS:
        raise ValueError(
            f"lattice: normals and directions must both have shape (n_systems, 3) with 1 to {MOST_SYSTEMS} systems; "
            f"got {shape} and {both[1].shape}."
        )
    length = [np.linalg.norm(part, axis=1) for part in both]
    if min(part.min() for part in length) == 0:
        raise ValueError("lattice holds a normal or direction of length zero.")
    normals, directions = (part / size[:, None] for part, size in zip(both, length, strict=True))
    wrong = np.flatnonzero(np.abs((normals * directions).sum(axis=1)) > PERPENDICULAR)
    if len(wrong):
        raise ValueError(
            f"lattice: direction {both[1][wrong[0]].tolist()} of system {wrong[0]} does not lie in the plane with the "
            f"normal {both[0][wrong[0]].tolist()}; give normals first."
        )
    return normals, directions


def family(plane, direction):
    """All pairs of equivalents of a plane and a direction in it, each sense once, (n, 3) and (n, 3)."""
    pairs = [(m, s) for m in equivalents(plane) for s in equivalents(direction) if np.dot(m, s) == 0]
    return tuple(np.array(part, dtype=float) for part in zip(*pairs, strict=True))


def equivalents(indices):
    signed = {
        tuple(np.multiply(order, signs).tolist())
        for order in itertools.permutations(indices)
        for signs in itertools.product((1, -1), repeat=3)
    }
    return sorted(one for one in signed if one > tuple(-x for x in one))


def tensors(normals, directions):
    """Schmid tensors in the basis of deviators, (5, n_systems), and spins of the lattice per slip, (3, n_systems)."""
    s, m = directions, normals
    schmid = deviator((s[:, :, None] * m[:, None, :] + m[:, :, None] * s[:, None, :]) / 2)
    return np.ascontiguousarray(schmid), np.ascontiguousarray(np.cross(s, m).T / 2)


def deviator(A):
    """Symmetric matrices (..., 3, 3) in the orthonormal basis of deviators in which cubic elasticity is diagonal."""
    root = np.sqrt(2)
    return np.array(
        [
            (A[..., 0, 0] - A[..., 1, 1]) / root,
            (2 * A[..., 2, 2] - A[..., 0, 0] - A[..., 1, 1]) / np.sqrt(6),
            *(root * A[..., i, j] for i, j in ((1, 2), (0, 2), (0, 1))),
        ]
    )


def symmetric(v):
    """Matrices (..., 3, 3) of components xx, yy, zz, yz, xz, xy (..., 6)."""
    order = [[0, 5, 4], [5, 1, 3], [4, 3, 2]]
    return v[..., order]


def matrices(v):
    """Matrices (..., 3, 3) of vectors (..., 5) in the basis of deviators."""
    a, b = v[..., 0] / np.sqrt(2), v[..., 1] / np.sqrt(6)
    shear = v[..., 2:] / np.sqrt(2)
    return symmetric(np.stack([a - b, -a - b, 2 * b, *np.moveaxis(shear, -1, 0)], axis=-1))


def matrix_of(quaternion):
    """Matrices (..., 3, 3) from crystal to sample of quaternions (..., 4); NaN where these are."""
    q = quaternion / np.linalg.norm(quaternion, axis=-1, keepdims=True)
    x, y, z, w = np.moveaxis(q, -1, 0)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


class AtPoints(NamedTuple):
    """A law as `Polycrystal` steps it; of Crystal and of what PlasticityPropagator learned."""

    law: GrainLaw
    n_hardening: int  # numbers of its hardening variable in a state
    hardening_of: Callable[[np.ndarray], np.ndarray]  # of densities (n, 1)
    density_of: Callable[[np.ndarray], np.ndarray]  # of hardening variables (..., n_hardening)
    has_density: bool = True
