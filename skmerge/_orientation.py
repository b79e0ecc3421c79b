"""Orientations of cubic crystals: Bunge angles, quaternions (scalar last, crystal to sample), axes and symmetry."""

import itertools

import numpy as np
from scipy.spatial.transform import Rotation
from sklearn.utils.validation import check_array

from skmerge._validation import naming

AXES = {"x": (1.0, 0.0, 0.0), "y": (0.0, 1.0, 0.0), "z": (0.0, 0.0, 1.0)}
# The 48 operations of the cubic group: signed permutations of the crystal's axes.
OPERATIONS = np.array(
    [
        np.diag(signs)[list(order)]
        for order in itertools.permutations(range(3))
        for signs in itertools.product((1.0, -1.0), repeat=3)
    ]
)

PROPER = OPERATIONS[np.linalg.det(OPERATIONS) > 0]  # (24, 3, 3), the rotations
PROPER_QUATERNIONS = Rotation.from_matrix(PROPER).as_quat()  # (24, 4)
NORM_TOLERANCE = 1e-3  # largest difference of the norm of a quaternion from one; rounding to four digits makes 1e-4
JUMP = np.radians(45.0)  # no lattice rotates so far between records; the least rotation of cubic symmetry is 90 degrees


def check_axis(axis):
    """A unit vector in the sample frame, from a name or a vector."""
    if isinstance(axis, str):
        if axis not in AXES:
            raise ValueError(f"axis must be 'x', 'y', 'z' or a vector of three numbers, got {axis!r}.")
        return np.array(AXES[axis])
    return unit_vector("axis", axis)


def numbers(name, value, **options):
    """An argument as a finite float64 array of any shape."""
    with naming(name):
        return check_array(value, dtype=float, input_name=name, **{"ensure_2d": False, "allow_nd": True} | options)


def unit_vector(name, value):
    vector = numbers(name, value)
    if vector.shape != (3,) or not vector.any():
        raise ValueError(f"{name} must be a vector of three numbers, not all zero; got {np.asarray(value).tolist()}.")
    vector = vector / np.abs(vector).max()
    return vector / np.linalg.norm(vector)


def quaternion_of(angles):
    """Quaternions (n, 4), scalar last, of Bunge angles (n, 3)."""
    half_sum, half_difference = (angles[:, 0] + angles[:, 2]) / 2, (angles[:, 0] - angles[:, 2]) / 2
    s, c = np.sin(angles[:, 1] / 2), np.cos(angles[:, 1] / 2)
    parts = [s * np.cos(half_difference), s * np.sin(half_difference), c * np.sin(half_sum), c * np.cos(half_sum)]
    return np.stack(parts, axis=1)


def angles_of(quaternion):
    """Bunge angles of quaternions (n, 4): phi1 and phi2 in [0, 2 pi), Phi in [0, pi]; phi2 = 0 where Phi is 0 or pi."""
    x, y, z, w = quaternion.T
    half_sum, half_difference = np.arctan2(z, w), np.arctan2(y, x)
    half_difference = np.where(np.hypot(x, y) < 1e-12, half_sum, half_difference)
    half_sum = np.where(np.hypot(z, w) < 1e-12, half_difference, half_sum)
    tilt = 2 * np.arctan2(np.hypot(x, y), np.hypot(z, w))
    turn = 2 * np.pi
    return np.stack([(half_sum + half_difference) % turn, tilt, (half_sum - half_difference) % turn], axis=1)


def unwrapped_angles(quaternion, first):
    """Bunge angles (n, n_steps, 3) of continuous paths of quaternions (n, n_steps, 4) that begin at given angles.

    Half the sum and half the difference of phi1 and phi2 are the phases of (w, z) and (x, y). If Phi is 0 or pi, one of
    them is undetermined and keeps its value.
    """
    x, y, z, w = np.moveaxis(quaternion, -1, 0)
    angles = np.empty((*x.shape, 3))
    angles[..., 1] = 2 * np.arctan2(np.hypot(x, y), np.hypot(z, w))
    half_sum = continuous(w, z, (first[:, 0] + first[:, 2]) / 2)
    half_difference = continuous(x, y, (first[:, 0] - first[:, 2]) / 2)
    angles[..., 0], angles[..., 2] = half_sum + half_difference, half_sum - half_difference
    angles[:, 0] = first
    return angles


def continuous(x, y, first):
    """Phase of (x, y) along the second axis without jumps from the first one; it keeps its value where undetermined."""
    phase = np.where(np.hypot(x, y) < 1e-12, np.nan, np.arctan2(y, x))
    phase[:, 0] = first
    last_known = np.maximum.accumulate(np.where(np.isnan(phase), 0, np.arange(phase.shape[1])), axis=1)
    whole = np.unwrap(np.take_along_axis(phase, last_known, axis=1), axis=1)
    return np.where(np.isnan(x), np.nan, whole)


def product(p, q):
    """Quaternions of the rotation q followed by p."""
    vector = p[..., 3:] * q[..., :3] + q[..., 3:] * p[..., :3] + np.cross(p[..., :3], q[..., :3])
    scalar = p[..., 3] * q[..., 3] - (p[..., :3] * q[..., :3]).sum(axis=-1)
    return np.concatenate([vector, scalar[..., None]], axis=-1)


def inverse(q):
    return q * np.array([-1.0, -1.0, -1.0, 1.0])


def rotated(q, vector):
    """Vectors rotated by quaternions q."""
    t = 2.0 * np.cross(q[..., :3], vector)
    return vector + q[..., 3:] * t + np.cross(q[..., :3], t)


def without_symmetry_jumps(quaternion, group):
    """Paths without jumps between orientations that are equal by cubic symmetry.

    From quaternions (n, 4), one record a row, and ascending numbers (n,) of paths. Return the quaternions, the rows of
    the last records before the jumps, and the remaining angles of the jumps in rad: above JUMP symmetry does not
    explain a jump.
    """
    same = np.flatnonzero(group[1:] == group[:-1])
    between = product(inverse(quaternion[same]), quaternion[same + 1])
    far = np.linalg.norm(rotation_vector(between), axis=1) > JUMP
    rows = same[far]
    if not len(rows):
        return quaternion, rows, np.zeros(0)
    between = between[far]
    cubic = PROPER_QUATERNIONS
    best = np.abs(between @ inverse(cubic).T).argmax(axis=1)  # the cosine of half the angle; the least angle is best
    left = np.linalg.norm(rotation_vector(product(between, cubic[best])), axis=1)
    # An operation T undoes one jump between recorded orientations; after an earlier jump undone by S, T S does.
    times = np.abs(product(cubic[:, None], cubic) @ cubic.T).argmax(axis=2).tolist()
    total = best.tolist()
    for j in (np.flatnonzero(group[rows[1:]] == group[rows[:-1]]) + 1).tolist():
        total[j] = times[total[j]][total[j - 1]]
    total = cubic[total]
    last = np.searchsorted(rows, np.arange(len(group))) - 1
    after = np.flatnonzero((last >= 0) & (group[rows[last]] == group))
    quaternion = quaternion.copy()
    quaternion[after] = product(quaternion[after], total[last[after]])
    return quaternion, rows, left


def rotation_vector(q):
    """Axis times angle, in [0, pi], of quaternions."""
    q = np.where(q[..., 3:] < 0, -q, q)
    size = np.linalg.norm(q[..., :3], axis=-1, keepdims=True)
    angle = 2.0 * np.arctan2(size, q[..., 3:])
    return q[..., :3] * np.where(size > 1e-12, angle / np.where(size > 1e-12, size, 1.0), 2.0)


def quaternion_from(vector):
    """Quaternions of rotation vectors (n, 3)."""
    angle = np.linalg.norm(vector, axis=-1, keepdims=True)
    return np.concatenate([vector * 0.5 * np.sinc(angle / (2 * np.pi)), np.cos(angle / 2)], axis=-1)


def reduced_axis(axis):
    """Axes b (n, 3) of a cubic crystal in one stereographic triangle, 0 <= b1 <= b2 <= b3, from axes (n, 3).

    Also the signed permutations (n, 3, 3) with ``b = operation @ axis``. A pseudovector of the crystal, for example its
    rate of rotation, transforms with ``det(operation) operation``.
    """
    n = len(axis)
    order = np.argsort(np.abs(axis), axis=1, kind="stable")
    rows = np.arange(n)[:, None]
    operation = np.zeros((n, 3, 3))
    operation[rows, np.arange(3), order] = np.where(axis < 0, -1.0, 1.0)[rows, order]
    return np.einsum("nij,nj->ni", operation, axis), operation


def turn_pseudovector(operation, vector):
    """det(S) S w, for operations (n, 3, 3) and vectors (n, 3)."""
    return np.linalg.det(operation)[:, None] * np.einsum("nij,nj->ni", operation, vector)
