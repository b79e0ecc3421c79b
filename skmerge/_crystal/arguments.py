"""Arguments of `simulate`, checked: orientations, paths, velocity gradients, densities; crystals that failed."""

import numpy as np
from scipy.spatial.transform import Rotation
from sklearn.exceptions import ConvergenceWarning

from skmerge._crystal.mixed import VOIGT
from skmerge._orientation import angles_of, numbers, quaternion_of
from skmerge._text import warn


def warn_of_lost(failed, where):
    """Name the crystals that did not converge, by the strain or time of each, NaN for the others."""
    lost = np.flatnonzero(~np.isnan(failed))
    if len(lost):
        which = ", ".join(f"crystal {i} at {where} {failed[i]:.6g}" for i in lost[:5])
        more = f" and {len(lost) - 5} others" if len(lost) > 5 else ""
        warn(
            f"{len(lost)} of {len(failed)} crystals did not converge: {which}{more}. Their states are NaN from there "
            "on, the others are complete; record more states in between, or raise max_substeps.",
            ConvergenceWarning,
        )


def check_orientation(orientation):
    """Bunge angles (n, 3); given angles are kept where Phi lies in [0, pi]."""
    if isinstance(orientation, Rotation):
        return angles_of(np.atleast_2d(orientation.as_quat()))
    given = numbers("orientation", orientation)
    if given.ndim != 2 or given.shape[1] != 3:
        raise ValueError(
            f"orientation must have shape (n_crystals, 3), Bunge angles phi1, Phi, phi2 in rad; got {given.shape}."
        )
    if np.abs(given).max() > 4 * np.pi:
        warn(
            f"orientation holds angles up to {np.abs(given).max():.4g} rad, which looks like degrees; give rad, for "
            "instance by numpy.deg2rad."
        )
    usual = (given[:, 1] >= 0) & (given[:, 1] <= np.pi)
    return np.where(usual[:, None], given, angles_of(quaternion_of(given)))


def check_strain(strain, n):
    """Strain paths, (1, n_steps) or (n, n_steps)."""
    path = numbers("strain", strain)
    if path.ndim not in (1, 2) or (path.ndim == 2 and len(path) != n):
        raise ValueError(f"strain must have shape (n_steps,), or ({n}, n_steps) for {n} crystals; got {path.shape}.")
    if np.abs(path).max() > 5:
        warn(f"strain reaches {np.abs(path).max():.4g}, which looks like percent; true strain 0.1 is 10 percent.")
    return np.ascontiguousarray(np.atleast_2d(path))


def check_gradients(time, velocity_gradient, n):
    """Times (1 or n, n_steps) and velocity gradients (1 or n, n_steps - 1, 3, 3)."""
    time = numbers("strain", time)
    if time.ndim not in (1, 2) or (time.ndim == 2 and len(time) != n):
        raise ValueError(
            f"With velocity_gradient, strain is the time in s, of shape (n_steps,), or ({n}, n_steps) for {n} "
            f"crystals; got {time.shape}."
        )
    time = np.ascontiguousarray(np.atleast_2d(time))
    if (np.diff(time) < 0).any():
        i, t = np.argwhere(np.diff(time) < 0)[0]
        raise ValueError(
            "With velocity_gradient, strain is the time in s, which does not fall; that of crystal "
            f"{i} falls from {time[i, t]:.6g} to {time[i, t + 1]:.6g}."
        )
    gradient, between = numbers("velocity_gradient", velocity_gradient), time.shape[1] - 1
    if gradient.shape == (3, 3):
        gradient = np.broadcast_to(gradient, (between, 3, 3))
    if gradient.shape not in ((between, 3, 3), (n, between, 3, 3)):
        raise ValueError(
            f"velocity_gradient must have shape (3, 3), ({between}, 3, 3) or ({n}, {between}, 3, 3) for {n} crystals "
            f"and {time.shape[1]} times; got {np.shape(velocity_gradient)}."
        )
    gradient = gradient if gradient.ndim == 4 else gradient[None]
    most = (np.abs(gradient).max(axis=(2, 3), initial=0.0) * np.diff(time)).sum(axis=1).max(initial=0.0)
    if most > 50:
        warn(f"velocity_gradient adds up to a deformation of {most:.4g}, which looks like percent; give 1/s, and s.")
    return time, np.ascontiguousarray(gradient)


NAMES = {"xyz"[i] + "xyz"[j]: (i, j) for i, j in VOIGT}


def check_free(free, is_any):
    """Free entries of the velocity gradient, (3, 3) of bool, or None if there are none."""
    if free is None:
        return None
    if not is_any:
        raise ValueError("free needs velocity_gradient, of which it says what is not given; leave it out.")
    names = ", ".join(NAMES)
    if isinstance(free, str):
        raise TypeError(f"free must be a list of names ({names}) or bool of shape (3, 3), got the text {free!r}.")
    given = np.asarray(free)
    if given.dtype != bool:
        wrong = [part for part in given.ravel().tolist() if part not in NAMES]
        if wrong or given.ndim != 1:
            found = f"holds {wrong[0]!r}" if wrong else f"has shape {given.shape}"
            raise ValueError(f"free {found}; give a list of names, of {names}, or bool of shape (3, 3).")
        mask = np.zeros((3, 3), dtype=bool)
        for i, j in (NAMES[name] for name in given.tolist()):
            mask[i, j] = mask[j, i] = True
        given = mask
    if given.shape != (3, 3):
        raise ValueError(f"free must be a list of names, of {names}, or bool of shape (3, 3); got {given.shape}.")
    return given if given.any() else None


def check_density(rho0, n, n_systems=12, given=True):
    """Density on every system, (n, n_systems)."""
    if not given:
        if not np.array_equal(rho0, 1e12):
            raise ValueError('rho0: hardening="voce" has no density; leave rho0 out and give Crystal(tau0=...).')
        rho0 = 0.0
    rho = numbers("rho0", np.atleast_1d(rho0))
    if rho.shape not in ((1,), (n,), (n, n_systems)):
        raise ValueError(f"rho0 must be one number or have shape ({n},) or ({n}, {n_systems}); got {rho.shape}.")
    if (rho < 0).any():
        raise ValueError(f"rho0 must not be negative; the smallest entry is {rho.min():g}.")
    if 0 < rho.max() < 1e7:
        warn(f"rho0 is {rho.max():g} 1/m^2 at most, which looks like 1/um^2; give 1/m^2, which is 1e12 times that.")
    return np.array(np.broadcast_to(rho if rho.ndim == 2 else rho[:, None], (n, n_systems)))
