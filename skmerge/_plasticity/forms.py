"""Orientations as states hold them: Bunge angles, quaternions, or a scipy Rotation beside the other two columns.

Inside a propagator a state has five columns, stress, density and Bunge angles; here it is brought into that form and
given back in the one that it came in.
"""

import numpy as np
from scipy.spatial.transform import Rotation

from skmerge._orientation import angles_of, quaternion_of
from skmerge._plasticity.records import numbers

WIDTH = {"bunge": 5, "quaternion": 6}
NAMES = {"bunge": "stress, density, phi1, Phi, phi2", "quaternion": "stress, density, quaternion x, y, z, w"}
UNIT = 1e-3  # how far the norm of a quaternion may be from one; rounded to four digits they are within 1e-4


def are_rotations(value):
    """Whether it is a Rotation, or a list of them."""
    return isinstance(value, Rotation) or (
        isinstance(value, (tuple, list)) and len(value) > 0 and all(isinstance(each, Rotation) for each in value)
    )


def is_pair(value):
    """Whether a state is given as two parts: stress and density, and a Rotation or a list of them."""
    return (
        isinstance(value, (tuple, list)) and len(value) == 2 and are_rotations(value[1]) and not are_rotations(value[0])
    )


def joined(name, value, orientation):
    """A state with its orientation in columns, if it is a pair; otherwise as it is."""
    if not is_pair(value):
        refuse_other_parts(name, value)
        return value
    if orientation is None:
        raise TypeError(f'{name} holds a Rotation, but orientation=None; give orientation="bunge" or "quaternion".')
    values, quaternion = numbers(f"{name}[0]", value[0]), quaternions(name, value[1])
    if values.ndim < 2 or values.shape[-1] != 2 or values.size // 2 != quaternion.size // 4:
        raise ValueError(
            f"{name} is a pair: the first needs two columns, stress and density, the second one rotation for each of "
            f"its rows; got {values.shape} and {quaternion.size // 4} rotations."
        )
    if quaternion.ndim > 2 and quaternion.shape[:-1] != values.shape[:-1]:
        raise ValueError(
            f"{name} is a pair of stress and density of {values.shape[:-1]} rows and rotations of "
            f"{quaternion.shape[:-1]}; give both in one order. Quaternions q that came step by step become those of "
            "trajectories by np.swapaxes(q, 0, 1)."
        )
    quaternion = quaternion.reshape(*values.shape[:-1], 4)
    return np.concatenate([values, quaternion if orientation == "quaternion" else angles(quaternion)], axis=-1)


def quaternions(name, turn):
    """Of a Rotation or a list of them, (..., 4)."""
    if isinstance(turn, Rotation):
        return turn.as_quat()
    parts = [each.as_quat() for each in turn]
    if len({part.shape for part in parts}) > 1:
        raise ValueError(
            f"{name} is a pair whose rotations are of unlike number, {parts[0].size // 4} and others; give records of "
            "trajectories of unlike length below each other, with groups, and one Rotation of all."
        )
    return np.array(parts)


def refuse_other_parts(name, value):
    """Raise where a state holds a Rotation, or orientations, in another form than a pair."""
    pair = "give the pair (stress_and_density, rotation), or one array with the orientation in its columns"
    if are_rotations(value):
        raise TypeError(f"{name} is a Rotation without stress and density; {pair}.")
    if not isinstance(value, (tuple, list)):
        return
    if any(are_rotations(part) for part in value):
        what = "it comes first" if len(value) == 2 else f"there are {len(value)} parts"
        raise TypeError(f"{name} holds a Rotation, but not as the second of two parts ({what}); {pair}.")
    if len(value) == 2 and last_of(value[0]) == 2 and last_of(value[1]) in (3, 4):
        kind = "from_euler('ZXZ', angles)" if last_of(value[1]) == 3 else "from_quat(quaternions)"
        raise TypeError(
            f"{name} is a pair whose second part is no Rotation, but an array with {last_of(value[1])} columns; give "
            f"Rotation.{kind}, or one array with the orientation in its columns."
        )


def last_of(value):
    """The last of the lengths of an array, None where it is none."""
    try:
        return np.shape(value)[-1]
    except (ValueError, IndexError, TypeError):
        return None


def angles(quaternion):
    """Bunge angles of quaternions of any shape (..., 4)."""
    return angles_of(quaternion.reshape(-1, 4)).reshape(*quaternion.shape[:-1], 3)


def check_width(name, state, orientation):
    if state.shape[-1] != WIDTH[orientation]:
        raise ValueError(
            f'{name} must have {WIDTH[orientation]} columns with orientation="{orientation}" ({NAMES[orientation]}), '
            f"got {state.shape[-1]}."
        )


def unit(name, quaternion):
    """Quaternions (..., 4), each divided by its norm."""
    norm = np.linalg.norm(quaternion, axis=-1, keepdims=True)
    wrong = np.argwhere(np.abs(norm[..., 0] - 1) > UNIT)
    if len(wrong):
        place = ", ".join(map(str, wrong[0]))
        size = norm[tuple(wrong[0])][0]
        raise ValueError(f"{name}[{place}] holds a quaternion of norm {size:.4g}; give unit quaternions x, y, z, w.")
    return quaternion / norm


def inner(name, state, orientation):
    """States (..., 5) with Bunge angles."""
    if orientation is None:
        return state
    check_width(name, state, orientation)
    if orientation == "bunge":
        return state
    return np.ascontiguousarray(np.concatenate([state[..., :2], angles(unit(name, state[..., 2:]))], axis=-1))


def given_back(path, start, orientation):
    """Paths (n_steps, n, 5) in the form of their starts (n, m)."""
    if orientation == "bunge":
        return path
    quaternion = continued(path, start)
    quaternion[0] = start[:, 2:]
    return np.concatenate([path[..., :2], quaternion], axis=-1)


def continued(path, start):
    """Quaternions along paths, continuous from those of the starts (n, 6) on: q and -q are one rotation."""
    n_steps, n = path.shape[:2]
    quaternion = quaternion_of(path[..., 2:].reshape(-1, 3)).reshape(n_steps, n, 4)
    return quaternion * np.where((quaternion[0] * start[:, 2:]).sum(axis=-1) < 0, -1.0, 1.0)[:, None]


def spread(std, path, orientation):
    """Standard deviations of the columns of states, of those (n_steps, n, 3) of stress, density and lattice in rad."""
    turn = std[..., 2] / np.sqrt(3.0)
    if orientation == "quaternion":
        # A small rotation w changes q by q w / 2, and that is perpendicular to q.
        columns = turn[..., None] / 2 * np.sqrt(np.maximum(1 - path[..., 2:] ** 2, 0.0))
        return np.concatenate([std[..., :2], columns], axis=-1)
    # phi1 and phi2 turn by 1 / sin(Phi) of the lattice's turn, at most by any angle
    steep = turn / np.maximum(np.abs(np.sin(path[..., 3])), 1e-9)
    steep = np.minimum(steep, np.pi / np.sqrt(3.0))
    return np.stack([std[..., 0], std[..., 1], steep, turn, steep], axis=-1)


def parted(path):
    """Paths (n_steps, n, 6) as pairs: stress and density (n_steps, n, 2), and a Rotation of n for each step."""
    return path[..., :2].copy(), [Rotation.from_quat(quaternion) for quaternion in path[..., 2:]]
