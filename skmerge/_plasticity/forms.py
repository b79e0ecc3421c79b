"""Forms of a state: columns with Bunge angles or quaternions, or a pair of two columns and a scipy Rotation.

Inside a propagator a state has five columns, stress, density and Bunge angles. This module converts user states to that
form and results back to the form of the user.
"""

import numpy as np
from scipy.spatial.transform import Rotation

from skmerge._orientation import NORM_TOLERANCE, angles_of, product, quaternion_from, quaternion_of, unwrapped_angles
from skmerge._plasticity.flow import SMALL_STRAIN
from skmerge._plasticity.records import check_states, numbers

WIDTH = {"bunge": 5, "quaternion": 6}
STATE_NAMES = {"bunge": "stress, density, phi1, Phi, phi2", "quaternion": "stress, density, quaternion x, y, z, w"}


def are_rotations(value):
    """Whether a value is a Rotation, or a list of them."""
    listed = isinstance(value, (tuple, list)) and len(value) > 0
    return isinstance(value, Rotation) or (listed and all(isinstance(each, Rotation) for each in value))


def is_pair(value):
    """Whether a state is a pair: stress and density, and a Rotation or a list of them."""
    two = isinstance(value, (tuple, list)) and len(value) == 2
    return two and are_rotations(value[1]) and not are_rotations(value[0])


def is_rotation_pair(value):
    """Whether a value is a pair whose second part is a Rotation or a list of them."""
    return isinstance(value, (tuple, list)) and len(value) == 2 and are_rotations(value[1])


def in_columns(name, value, orientation):
    """A pair as one array with the orientation in columns; other states unchanged."""
    if not is_pair(value):
        check_no_other_parts(name, value)
        return value
    if orientation is None:
        raise TypeError(f'{name} holds a Rotation, but orientation=None; give orientation="bunge" or "quaternion".')
    values, quaternion = numbers(f"{name}[0]", value[0]), quaternions(name, value[1])
    if values.ndim < 2 or values.shape[-1] != 2 or values.size // 2 != quaternion.size // 4:
        raise ValueError(
            f"{name} is a pair: its first part needs two columns, stress and density, its second part one rotation for "
            f"each row; got {values.shape} and {quaternion.size // 4} rotations."
        )
    if quaternion.ndim > 2 and quaternion.shape[:-1] != values.shape[:-1]:
        raise ValueError(
            f"{name} is a pair of stress and density of {values.shape[:-1]} rows and rotations of "
            f"{quaternion.shape[:-1]}; give both in one order. np.swapaxes(q, 0, 1) turns quaternions q by steps into "
            "quaternions by trajectories."
        )
    quaternion = quaternion.reshape(*values.shape[:-1], 4)
    return np.concatenate([values, quaternion if orientation == "quaternion" else angles(quaternion)], axis=-1)


def quaternions(name, turn):
    """Quaternions (..., 4) of a Rotation or a list of them."""
    if isinstance(turn, Rotation):
        return turn.as_quat()
    parts = [each.as_quat() for each in turn]
    if len({part.shape for part in parts}) > 1:
        raise ValueError(
            f"{name} is a pair with different numbers of rotations, {parts[0].size // 4} and others; give records of "
            "trajectories of different length below each other, with groups, and one Rotation of all."
        )
    return np.array(parts)


def check_no_other_parts(name, value):
    """Raise where a state looks like a pair, but is none."""
    pair = "give the pair (stress_and_density, rotation), or one array with the orientation in its columns"
    if are_rotations(value):
        raise TypeError(f"{name} is a Rotation without stress and density; {pair}.")
    if not isinstance(value, (tuple, list)):
        return
    if any(are_rotations(part) for part in value):
        what = "it comes first" if len(value) == 2 else f"there are {len(value)} parts"
        raise TypeError(f"{name} holds a Rotation, but not as the second of two parts ({what}); {pair}.")
    if len(value) == 2 and n_columns(value[0]) == 2 and n_columns(value[1]) in (3, 4):
        kind = "from_euler('ZXZ', angles)" if n_columns(value[1]) == 3 else "from_quat(quaternions)"
        raise TypeError(
            f"{name} is a pair whose second part is no Rotation, but an array with {n_columns(value[1])} columns; give "
            f"Rotation.{kind}, or one array with the orientation in its columns."
        )


def n_columns(value):
    """Length of the last axis of an array, None for other values."""
    try:
        return np.shape(value)[-1]
    except (ValueError, IndexError, TypeError):
        return None


def angles(quaternion):
    """Bunge angles of quaternions of any shape (..., 4)."""
    return angles_of(quaternion.reshape(-1, 4)).reshape(*quaternion.shape[:-1], 3)


def unit(name, quaternion):
    """Normalised quaternions (..., 4); raise where one is far from unit length."""
    norm = np.linalg.norm(quaternion, axis=-1, keepdims=True)
    wrong = np.argwhere(np.abs(norm[..., 0] - 1) > NORM_TOLERANCE)
    if len(wrong):
        place = ", ".join(map(str, wrong[0]))
        size = norm[tuple(wrong[0])][0]
        raise ValueError(f"{name}[{place}] holds a quaternion of norm {size:.4g}; give unit quaternions x, y, z, w.")
    return quaternion / norm


def with_angles(name, state, orientation):
    """States (..., 5) with Bunge angles; without orientation unchanged."""
    if orientation is None:
        return state
    if state.shape[-1] != WIDTH[orientation]:
        raise ValueError(
            f'{name} must have {WIDTH[orientation]} columns with orientation="{orientation}" '
            f"({STATE_NAMES[orientation]}), got {state.shape[-1]}."
        )
    if orientation == "bunge":
        return state
    return np.ascontiguousarray(np.concatenate([state[..., :2], angles(unit(name, state[..., 2:]))], axis=-1))


def checked(name, given, orientation):
    """States as the kinds take them: with orientation (n, 5), checked."""
    states = with_angles(name, given, orientation)
    if orientation is not None:
        check_states(states, name)
    return states


def read_start(state0, orientation):
    """States (n, m) at the start of paths."""
    return numbers("state0", in_columns("state0", state0, orientation), ensure_2d=True, allow_nd=False, order="C")


def like_start(path, start, orientation):
    """Paths (n_steps, n, 5) in the form of their starts (n, m); the quaternions begin with those of the starts."""
    if orientation != "quaternion":
        return path
    n_steps, n = path.shape[:2]
    quaternion = quaternion_of(path[..., 2:].reshape(-1, 3)).reshape(n_steps, n, 4)
    # q and -q are one rotation.
    quaternion = quaternion * np.where((quaternion[0] * start[:, 2:]).sum(axis=-1) < 0, -1.0, 1.0)[:, None]
    quaternion[0] = start[:, 2:]
    return np.concatenate([path[..., :2], quaternion], axis=-1)


def rates_of_columns(flow, X, given, exponent, orientation):
    """Rates per strain of all columns.

    From S, K, W, E (n, 6) of states X (n, 5), ``given`` as (n, 5) or with quaternions; ``exponent`` of the knee.
    """
    x, root = X[:, 0] / flow[:, 0], np.sqrt(X[:, 1])
    plastic = np.abs(x) ** exponent
    slope, spin = flow[:, 5] * (1.0 - np.sign(x) * plastic), plastic[:, None] * flow[:, 2:5]
    if orientation == "quaternion":
        turning = product(given[:, 2:], np.column_stack([spin / 2, np.zeros(len(X))]))
    else:
        quaternion = quaternion_of(X[:, 2:5])
        later = product(quaternion, quaternion_from(SMALL_STRAIN * spin))
        both = unwrapped_angles(np.stack([quaternion, later], axis=1), X[:, 2:5])
        turning = (both[:, 1] - both[:, 0]) / SMALL_STRAIN
    rates = np.column_stack([slope, 2 * root * plastic * flow[:, 1], turning])
    lost = np.flatnonzero(~np.isfinite(rates).all(axis=1))
    if len(lost):
        raise ValueError(f"X[{lost[0]}] leads to rates that are not finite: it is far beyond the training.")
    return rates


def std_of_columns(std, path, orientation):
    """Standard deviations of all columns, from those of stress, density and lattice in rad (n_steps, n, 3)."""
    turn = std[..., 2] / np.sqrt(3.0)
    if orientation == "quaternion":
        # A small rotation w changes q by q w / 2, which is perpendicular to q.
        columns = turn[..., None] / 2 * np.sqrt(np.maximum(1 - path[..., 2:] ** 2, 0.0))
        return np.concatenate([std[..., :2], columns], axis=-1)
    # phi1 and phi2 change by 1 / sin(Phi) times the rotation; the limit is the std of a uniformly distributed angle.
    steep = np.minimum(turn / np.maximum(np.abs(np.sin(path[..., 3])), 1e-9), np.pi / np.sqrt(3.0))
    return np.stack([std[..., 0], std[..., 1], steep, turn, steep], axis=-1)


def as_pair(path):
    """Paths (n_steps, n, 6) as a pair: stress and density (n_steps, n, 2), and a Rotation of n for each step."""
    return path[..., :2].copy(), [Rotation.from_quat(quaternion) for quaternion in path[..., 2:]]
