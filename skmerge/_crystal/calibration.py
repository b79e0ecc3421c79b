"""Constants of a crystal by least squares, and what the data say about them."""

import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field, fields, replace
from numbers import Real

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares
from sklearn.exceptions import ConvergenceWarning

from skmerge._crystal.constants import Crystal
from skmerge._orientation import numbers
from skmerge._text import warn

FLOORS = {"rate_exponent": lambda v: 1.0, "tau_saturation": lambda v: v["tau0"], "C11": lambda v: v["C12"]}
STEP = 1e-2  # of a logarithm, in differences: far above the error of a simulation
FARTHEST = np.log(1e3)  # that a constant goes from where it starts
OWN_ERROR = 1e-4  # of a simulation, over the stress: data that are not noisy do not tell more than that
UNTOLD = 0.5  # standard error of a logarithm, along a direction of constants, that tells nothing
PART = 0.2  # least share of a constant in a direction that is named
RATES = "slip_rate", "activation_energy", "temperature", "reference_temperature"
VOCE, DENSITY = ("tau_saturation", "initial_hardening"), ("forest_coefficient", "shear_modulus", "burgers", "k1", "k2")


@dataclass(frozen=True)
class Calibration:
    """Constants that `calibrate` found.

    Parameters
    ----------
    crystal : Crystal
        With the constants that were fitted.
    rho0 : float or None
        Density at the start, 1/m^2, if it was fitted.
    values, standard_errors : dict
        Of each constant that was fitted, in its unit. The standard error is infinite where the data do not tell it.
    undetermined : tuple of tuple of str
        Sets of constants of which the data do not tell one, or only a combination such as a product or a ratio; empty
        if they tell all.
    covariance : ndarray of shape (n_constants, n_constants)
        Of the values, in their order, without what is undetermined.
    rms : float
        Root mean square of what is left of the stress, MPa.
    """

    crystal: Crystal
    rho0: float | None
    values: dict[str, float]
    standard_errors: dict[str, float]
    undetermined: tuple[tuple[str, ...], ...]
    covariance: NDArray[np.float64] = field(repr=False, compare=False)
    rms: float


def check_fit(fit, crystal, rho0):
    """Names of the constants, in their order, and the values with which they start."""
    if isinstance(fit, str) or not isinstance(fit, Iterable):
        raise TypeError(f"fit must be a list of names of constants, got {fit!r}; one constant is fit=[name].")
    names = tuple(fit)
    of_density = crystal.hardening == "kocks-mecking"
    known = [f.name for f in fields(Crystal) if f.name not in ("lattice", "hardening")]
    known = [name for name in known if name not in (VOCE if of_density else DENSITY)] + ["rho0"] * of_density
    wrong = [name for name in names if name not in known]
    if wrong or not names or len(set(names)) < len(names):
        found = f"holds {wrong[0]!r}" if wrong else "is empty" if not names else "names a constant twice"
        raise ValueError(f"fit {found}; with hardening={crystal.hardening!r} give names of {', '.join(known)}.")
    if "rho0" in names and not isinstance(rho0, Real):
        raise ValueError("rho0 must be one number where it is fitted; leave it out of fit, or give its start.")
    rates = [name for name in names if name in RATES]
    if len(rates) > 1:
        raise ValueError(
            f"fit holds {' and '.join(rates)}, of which stresses at one temperature tell one: the slip rate at it. Fit "
            "one of them."
        )
    values = {name: float(rho0 if name == "rho0" else getattr(crystal, name)) for name in names}
    small = [name for name in names if values[name] <= FLOORS.get(name, lambda v: 0.0)(vars(crystal))]
    if small:
        raise ValueError(f"{small[0]} = {values[small[0]]} cannot be fitted from there; give a start above it.")
    return names, values


def check_target(stress, n, n_steps, n_stress):
    """What was measured, NaN where it was not: (n, n_steps, n_stress), or of the mean (n_steps, 1 or n_stress)."""
    given = numbers("stress", stress, ensure_all_finite="allow-nan")
    shape = given.shape
    if given.ndim == 3 and shape[:2] == (n, n_steps) and shape[2] in (n_stress, n_stress + 4):
        given = given[..., :n_stress]
    elif n_stress == 1 and shape == (n, n_steps):
        given = given[..., None]
    elif shape == (n_steps,):
        given = given[:, None]
    elif not (n_stress == 6 and shape == (n_steps, 6)):
        one = f"({n}, {n_steps}, 6), their mean ({n_steps}, 6)" if n_stress == 6 else f"({n}, {n_steps})"
        raise ValueError(
            f"stress must be that of each crystal, of shape {one}, or the mean along the axis, ({n_steps},), for {n} "
            f"crystals and {n_steps} records; got {shape}."
        )
    if not np.isfinite(given).any():
        raise ValueError("stress holds no number; give NaN only where it was not measured.")
    return given


def fit_constants(predict, target, names, start, crystal, rho0):
    """A Calibration. ``predict(crystal, rho0)`` is a stress of the shape of the target."""
    known = np.isfinite(target)
    scale = np.sqrt(np.mean(target[known] ** 2)) or 1.0
    free = len(np.flatnonzero(known)) - len(names)
    if free < 1:
        raise ValueError(f"stress has {known.sum()} numbers for {len(names)} constants; give more, or fit fewer.")
    last = vars(crystal) | start
    first = np.array([np.log(start[name] - floor(name, last)) for name in names])

    def values_of(p):
        found = vars(crystal) | {"rho0": rho0}
        for name in sorted(names, key=lambda name: name in FLOORS):  # floors are known before
            found[name] = float(np.exp(p[names.index(name)]) + floor(name, found))
        return {name: found[name] for name in names}

    def crystal_of(values):
        return replace(crystal, **{name: value for name, value in values.items() if name != "rho0"})

    def residual(p):
        values = values_of(p)
        try:
            changed = crystal_of(values)
        except ValueError:  # constants that are not physical together
            return np.full(known.sum(), 1e3)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # lost crystals count as far off
            made = predict(changed, values.get("rho0", rho0))
        return np.nan_to_num((made - target)[known] / scale, nan=1e3)

    def jacobian(p):
        steps = STEP * np.eye(len(p))
        return np.stack([(residual(p + step) - residual(p - step)) / (2 * STEP) for step in steps], axis=1)

    bounds = first - FARTHEST, first + FARTHEST
    found = least_squares(residual, first, jacobian, bounds, x_scale=1.0, xtol=1e-7, ftol=1e-9, gtol=1e-10)
    if not found.success:
        warn(
            f"calibrate stopped after {found.nfev} evaluations; start nearer, or fit fewer constants.",
            ConvergenceWarning,
        )
    values = values_of(found.x)
    rms = np.sqrt(np.mean(found.fun**2))
    error = max(np.sqrt(2 * found.cost / free), OWN_ERROR)
    null, covariance = directions(found.jac, error)
    sets = (tuple(name for name, part in zip(names, way, strict=True) if abs(part) > PART) for way in null)
    sets = tuple(dict.fromkeys(sets))
    by = np.stack([difference(values_of, found.x, names, j) for j in range(len(names))], axis=1)
    covariance = by @ covariance @ by.T
    untold = {name for one in sets for name in one}
    errors = {name: np.inf if name in untold else float(np.sqrt(covariance[i, i])) for i, name in enumerate(names)}
    if sets:
        texts = [one[0] if len(one) == 1 else f"{' and '.join(one)} apart" for one in sets]
        warn(
            f"The data do not tell {'; nor '.join(texts)}: their standard errors are infinite. Leave "
            f"{'one of them' if max(map(len, sets)) > 1 else 'them'} out of fit, or give data of more rates or strains."
        )
    return Calibration(crystal_of(values), values.get("rho0"), values, errors, sets, covariance, float(rms * scale))


def floor(name, values):
    """What a constant must be above."""
    return FLOORS[name](values) if name in FLOORS else 0.0


def directions(J, error):
    """Directions of logarithms that the data do not tell, (n_null, n_constants), and the covariance of the others."""
    _, size, ways = np.linalg.svd(J, full_matrices=False)
    told = size * UNTOLD > error
    told &= size > 1e-6 * max(size.max(), 1e-300)
    kept = ways[told] / size[told, None]
    return ways[~told], error**2 * kept.T @ kept


def difference(values_of, p, names, j):
    """Derivatives of all values by one logarithm."""
    step = np.zeros(len(p))
    step[j] = 1e-6
    more, less = values_of(p + step), values_of(p - step)
    return np.array([(more[name] - less[name]) / 2e-6 for name in names])
