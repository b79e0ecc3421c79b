"""Paths of many grains by the implicit step of many grains."""

import numpy as np

from skmerge._crystal.mixed import integrate_free
from skmerge._orientation import inverse, product, unwrapped_angles
from skmerge._parallel import in_blocks

CHUNK_FAST_STEPS = 65536  # recorded steps between two reports of progress
LEAST_BLOCK = 128
MOST_CUTS = 10
NEWTON_TOL_FREE = 1e-5  # a stage must be smoother than the stress that is to vanish
ALONG_Z = np.diag([-0.5, -0.5, 1.0])
GRIPS = np.array([[1, 1, 0], [1, 1, 0], [1, 1, 0]], dtype=bool)  # free but for zz; lines along z stay along z


def step_grains(crystal, angles, quaternion, forest, time, gradient, free, options, n_jobs, reporter, back=None):
    """State (n, n_steps, 10), slip, the time at which each failed or NaN, and the velocity gradients if some are free.

    ``free`` is None or (3, 3) of bool, ``options`` tolerance and most pieces of a step, ``back`` (1, 4) or None a
    rotation of the sample before orientations are recorded.
    """
    n, n_steps = len(quaternion), time.shape[1]
    state, slip, failed = np.empty((n, n_steps, 10)), np.empty((n, n_steps)), np.empty(n)
    solved = None if free is None else np.empty((n, n_steps - 1, 3, 3))
    shared = crystal.self_hardening == crystal.latent_hardening and (forest == forest[:, :1]).all()
    more = {} if free is None else {"newton_tol": NEWTON_TOL_FREE}
    law = crystal._grain_law(*options, shared=shared, **more)
    smooth = None if free is None else crystal._grain_law(np.inf, options[1], shared=shared, **more)
    own = crystal._n_systems if law.row > 12 else 1

    def run(part, cancelled):
        start = np.zeros((len(quaternion[part]), law.row))
        start[:, 11 : 11 + own], start[:, 5:9] = forest[part, :own], quaternion[part]
        times, own_gradient = (a[part] if len(a) > 1 else a for a in (time, gradient))
        if free is None:
            found = law.integrate(start, times, own_gradient, cancelled)
        else:
            given = start, times, own_gradient, free, crystal.tau0, min(int(np.log2(options[1])), MOST_CUTS), cancelled
            found, solved[part] = integrate_free((law, smooth), *given)
        state[part, :, :6] = found.stress
        turned = found.orientation if back is None else product(back, found.orientation)
        state[part, :, 7:] = unwrapped_angles(turned, angles[part])
        state[part, :, 6] = crystal._column_of(found.hardening[..., :own])
        before = np.broadcast_to(times, (len(start), n_steps))[np.arange(len(start)), found.failed - 1]
        slip[part], failed[part] = found.slip, np.where(found.failed > 0, before, np.nan)

    in_blocks(run, n, max(LEAST_BLOCK, CHUNK_FAST_STEPS // n_steps), n_jobs, reporter, "crystals")
    return state, slip, failed, solved


def step_along(crystal, angles, quaternion, forest, strain, axis, strain_rate, taylor, options, n_jobs, reporter):
    """The same for crystals along a strain path: state (n, n_steps, 5), slip, the strain at which each failed.

    In a frame whose z is the axis; the orientations that come back are those of the sample.
    """
    change = np.diff(strain, axis=1)
    time = np.concatenate([np.zeros((len(strain), 1)), np.cumsum(np.abs(change), axis=1)], axis=1) / strain_rate
    gradient = np.ascontiguousarray(strain_rate * np.sign(change)[..., None, None] * ALONG_Z)
    turn = np.array([[*np.cross(axis, [0.0, 0.0, 1.0]), 1.0 + axis[2]]])  # axis to z
    turn = np.array([[1.0, 0, 0, 0]]) if axis[2] < 1e-12 - 1 else turn / np.linalg.norm(turn)
    free = None if taylor else GRIPS
    given = crystal, angles, product(turn, quaternion), forest, time, gradient, free, options
    state, slip, failed, _ = step_grains(*given, n_jobs, reporter, back=inverse(turn))
    along = state[..., 2] - (state[..., 0] + state[..., 1]) / 2 if taylor else state[..., 2]
    at = np.broadcast_to(time, slip.shape)
    rows = np.flatnonzero(~np.isnan(failed))
    for i in rows:
        step = np.searchsorted(at[i], failed[i], side="right") - 1
        failed[i] = np.broadcast_to(strain, slip.shape)[i, step]
    return np.concatenate([along[..., None], state[..., 6:]], axis=2), slip, failed
