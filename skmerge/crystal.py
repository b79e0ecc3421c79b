"""Crystal plasticity of cubic single crystals: stress, dislocation density and lattice rotation along a path."""

from collections.abc import Sequence
from numbers import Integral, Real
from typing import Literal, TypeAlias, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.transform import Rotation
from sklearn.utils.validation import check_consistent_length

from skmerge._crystal.arguments import (
    check_density,
    check_free,
    check_gradients,
    check_orientation,
    check_strain,
    warn_of_lost,
)
from skmerge._crystal.calibration import Calibration, check_fit, check_target, fit_constants
from skmerge._crystal.constants import Crystal
from skmerge._crystal.polycrystal import Polycrystal, Response
from skmerge._crystal.steps import step_along, step_grains
from skmerge._ext.crystal_slip import SlipLaw
from skmerge._lattice import DIRECTIONS, NORMALS, slip_systems, symmetric
from skmerge._orientation import check_axis, numbers, quaternion_of, unwrapped_angles
from skmerge._parallel import in_blocks
from skmerge._parameters import check_n_jobs, check_number, check_verbose, check_word
from skmerge._progress import Reporter
from skmerge._validation import naming

_F8: TypeAlias = NDArray[np.float64]

__all__ = [
    "DIRECTIONS",
    "NORMALS",
    "Calibration",
    "Crystal",
    "Polycrystal",
    "Response",
    "calibrate",
    "mean_stress",
    "schmid_factors",
    "simulate",
    "slip_systems",
]

CHUNK_STEPS = 4096  # recorded steps between two reports of progress, some 50 ms
MOST_ADAPTIVE_TOL, LEAST_STEP_TOL, MOST_TOL = 1e-2, 1e-3, 1e-1


def schmid_factors(orientation: ArrayLike | Rotation, *, axis: ArrayLike = "z") -> _F8:
    """Schmid factors of the 12 slip systems of FCC for stress along an axis.

    Parameters
    ----------
    orientation : array-like of shape (n_crystals, 3) or scipy.spatial.transform.Rotation
        Bunge angles phi1, Phi, phi2 in rad, or rotations from crystal to sample.
    axis : {"x", "y", "z"} or array-like of shape (3,), default="z"

    Returns
    -------
    ndarray of shape (n_crystals, 12)
        With their signs, in the order of `NORMALS` and `DIRECTIONS`.

    Examples
    --------
    >>> from skmerge.crystal import schmid_factors
    >>> cube = schmid_factors([[0.0, 0.0, 0.0]])
    >>> int((abs(cube) > 0.4).sum()), float(abs(cube).max().round(4))
    (8, 0.4082)
    """
    rotation = Rotation.from_quat(quaternion_of(check_orientation(orientation)))
    n = rotation.inv().apply(check_axis(axis))
    return (n @ NORMALS.T) * (n @ DIRECTIONS.T)


@overload
def simulate(
    orientation: ArrayLike | Rotation,
    strain: ArrayLike,
    *,
    velocity_gradient: ArrayLike | None = None,
    free: ArrayLike | None = None,
    crystal: Crystal | None = None,
    loading: Literal["uniaxial", "taylor"] = "uniaxial",
    axis: ArrayLike = "z",
    strain_rate: float = 0.001,
    rho0: ArrayLike = 1e12,
    tol: float = 3e-05,
    max_substeps: int = 10000,
    n_jobs: int | None = None,
    verbose: int = 0,
    return_slip: Literal[False] = False,
) -> _F8: ...
@overload
def simulate(
    orientation: ArrayLike | Rotation,
    strain: ArrayLike,
    *,
    velocity_gradient: ArrayLike | None = None,
    free: ArrayLike | None = None,
    crystal: Crystal | None = None,
    loading: Literal["uniaxial", "taylor"] = "uniaxial",
    axis: ArrayLike = "z",
    strain_rate: float = 0.001,
    rho0: ArrayLike = 1e12,
    tol: float = 3e-05,
    max_substeps: int = 10000,
    n_jobs: int | None = None,
    verbose: int = 0,
    return_slip: Literal[True],
) -> tuple[_F8, _F8]: ...
def simulate(
    orientation,
    strain,
    *,
    velocity_gradient=None,
    free=None,
    crystal=None,
    loading="uniaxial",
    axis="z",
    strain_rate=0.001,
    rho0=1e12,
    tol=3e-05,
    max_substeps=10000,
    n_jobs=None,
    verbose=0,
    return_slip=False,
):
    """Deform cubic single crystals along a strain path, or under any velocity gradient.

    Crystals begin without load. All have the same strain along the axis, as the grains of a wire or of a polycrystal;
    or the velocity gradient is given, for all or for each.

    Parameters
    ----------
    orientation : array-like of shape (n_crystals, 3) or scipy.spatial.transform.Rotation
        Bunge angles phi1, Phi, phi2 (intrinsic ZXZ) in rad, or rotations from crystal to sample.
    strain : array-like of shape (n_steps,) or (n_crystals, n_steps)
        True strain along the axis at every recorded step, for all crystals or for each; it may reverse. At the first
        entry the crystals are without load. An increment of 0 takes no time. With ``velocity_gradient`` it is the time
        in s, which does not fall.
    velocity_gradient : array-like of shape ([n_crystals,] n_steps - 1, 3, 3) or (3, 3), default=None
        L = dv/dx in the sample, 1/s, between two times, for all crystals or for each; one matrix is held all the time.
        Its symmetric part strains the crystals, its skew part turns them.
    free : sequence of {"xx", "yy", "zz", "yz", "xz", "xy"} or array-like of bool of shape (3, 3), default=None
        Components of D that are not given but such that the stress there is zero, for every crystal; or entries of L.
        Of a name both entries are free, and the spin W about the third axis stays as given; of two entries L_ij, L_ji
        of which one is free the other keeps its value. What ``velocity_gradient`` holds in free entries does not count
        but for that spin. ``["xx", "yy", "yz", "xz", "xy"]`` is tension along z, ``["zz", "yz", "xz"]`` a sheet in the
        plane xy. Only with ``velocity_gradient``.
    crystal : Crystal, default=None
        Constants; None is ``Crystal()``.
    loading : {"uniaxial", "taylor"}, default="uniaxial"
        "uniaxial": the only stress is along the axis, and material lines along the axis keep their direction (grips).
        "taylor": the whole velocity gradient is given, diag(-1/2, -1/2, 1) for the z axis. Not with
        ``velocity_gradient``.
    axis : {"x", "y", "z"} or array-like of shape (3,), default="z"
        Loading axis in the sample. Not with ``velocity_gradient``.
    strain_rate : float, default=1e-3
        Magnitude of the true strain rate, 1/s. Not with ``velocity_gradient``.
    rho0 : float or array-like of shape (n_crystals,) or (n_crystals, n_systems), default=1e12
        Density of dislocations on every slip system at the start, 1/m^2. Not with ``hardening="voce"``.
    tol : float, default=3e-5
        Tolerance of one step of the integration, relative to the slip resistance, and in rad; at most 1e-2, or 1e-1
        with ``velocity_gradient``. There 1e-3 and more takes many crystals at once from record to record, ten to
        twenty times as fast: steps that err more are cut. So it does at every ``tol`` for what the adaptive method,
        the reference, does not know: ``free``, and crystals with another ``lattice`` than "fcc", another ``hardening``
        than "kocks-mecking", or a back stress. There the reference is the same with a smaller ``tol``.
    max_substeps : int, default=10_000
        Largest number of integration steps in one recorded step; beyond it a crystal counts as not converged.
    n_jobs : int or None, default=None
        Threads over crystals; None is 1, -1 all cores. The result does not depend on it.
    verbose : int, default=0
        1 prints progress, at most ten times; 2 prints more often.
    return_slip : bool, default=False
        Whether the slip is returned, too.

    Returns
    -------
    state : ndarray of shape (n_crystals, n_steps, 5) or (n_crystals, n_steps, 10)
        sigma in MPa (Cauchy stress along the axis; for "taylor" less the mean of the stresses across it), rho in 1/m^2
        (mean of all systems; with ``hardening="voce"`` instead the mean slip resistance in MPa), phi1, Phi, phi2 in
        rad, unwrapped along the path from the given angles. With ``velocity_gradient`` sigma is the whole Cauchy stress
        in the sample: xx, yy, zz, yz, xz, xy. A crystal has NaN from where it did not converge.
    slip : ndarray of shape (n_crystals, n_steps)
        Only with ``return_slip``: the integral of sum |gdot_a| over time, no unit.

    Warns
    -----
    sklearn.exceptions.ConvergenceWarning
        If crystals did not converge: which, and at which strain or time.
    UserWarning
        If angles seem to be in degrees, densities in 1/um^2 or strains in percent.

    Notes
    -----
    The mathematics is in the guide (doc/crystal.md). Stress is integrated implicitly, density and orientation by the
    explicit stages of the same additive Runge-Kutta method of third order [1]_ with adaptive steps. Many crystals at
    once are integrated by a diagonally implicit method of second order. Free components are found by Newton's method
    with the tangent of a step, to 1e-7 of the stress.

    References
    ----------
    .. [1] C. A. Kennedy, M. H. Carpenter, Appl. Numer. Math. 44, 139 (2003).

    Examples
    --------
    >>> import numpy as np
    >>> from skmerge.crystal import simulate
    >>> state = simulate([[0.0, 0.0, 0.0]], np.linspace(0, 0.1, 51))
    >>> state.shape
    (1, 51, 5)
    >>> float(state[0, -1, 0].round(1))  # MPa
    128.6

    Simple shear of 0.1 in 100 s:

    >>> shear = [[0, 1e-3, 0], [0, 0, 0], [0, 0, 0]]
    >>> state = simulate([[0.3, 0.5, 0.7]], np.linspace(0, 100, 51), velocity_gradient=shear)
    >>> state.shape, float(state[0, -1, 5].round(1))  # the shear stress xy, MPa
    ((1, 51, 10), 51.1)

    A sheet that is stretched along x and narrows as it likes:

    >>> stretch = 1e-3 * np.diag([1.0, 0, 0])
    >>> free = ["yy", "zz", "yz", "xz", "xy"]
    >>> state = simulate([[0.3, 0.5, 0.7]], np.linspace(0, 100, 51), velocity_gradient=stretch, free=free)
    >>> bool(abs(state[0, :, 1:6]).max() < 1e-4)  # MPa
    True
    """
    if crystal is None:
        crystal = Crystal()
    if not isinstance(crystal, Crystal):
        raise TypeError(f"crystal must be a skmerge.crystal.Crystal, got {type(crystal).__name__}.")
    check_word("loading", loading, "uniaxial", "taylor")
    if not isinstance(strain_rate, Real) or not 0 < strain_rate < np.inf:
        raise ValueError(f"strain_rate must be positive and finite (1/s), got {strain_rate!r}; strain has the sign.")
    is_any = velocity_gradient is not None
    check_number("tol", tol, Real, 1e-12, MOST_TOL if is_any else MOST_ADAPTIVE_TOL)
    check_number("max_substeps", max_substeps, Integral, 1)
    check_verbose(verbose)
    check_n_jobs(n_jobs)
    angles = check_orientation(orientation)
    quaternion, n = quaternion_of(angles), len(angles)
    if is_any:
        if loading != "uniaxial" or strain_rate != 0.001 or not isinstance(axis, str) or axis != "z":
            raise ValueError("velocity_gradient says the whole loading: leave loading, axis and strain_rate out.")
        path, gradient = check_gradients(strain, velocity_gradient, n)
        axis, strain_rate = np.array([0.0, 0.0, 1.0]), 1.0  # rates per second, not per strain
    else:
        axis, path, gradient = check_axis(axis), check_strain(strain, n), None
    free = check_free(free, is_any)
    rho = check_density(rho0, n, crystal._n_systems, given=crystal.hardening != "voce")
    forest = crystal._forest_of(rho)
    most = min(int(max_substeps), 2**31 - 1)
    reporter = Reporter("simulate", verbose)
    common, threads = (crystal, angles, quaternion, forest, path), (n_jobs, reporter)
    if is_any and (tol >= LEAST_STEP_TOL or free is not None or not crystal._is_adaptive):
        state, slip, failed, _ = step_grains(*common, gradient, free, (tol, most), *threads)
        warn_of_lost(failed, "time")
        return (state, slip) if return_slip else state
    if not crystal._is_adaptive:
        state, slip, failed = step_along(*common, axis, strain_rate, loading == "taylor", (tol, most), *threads)
        warn_of_lost(failed, "strain")
        return (state, slip) if return_slip else state
    n_steps, n_stress = path.shape[-1], 6 if is_any else 1
    state, slip, failed = np.empty((n, n_steps, n_stress + 4)), np.empty((n, n_steps)), np.empty(n)
    law = SlipLaw(**crystal._arrays(float(strain_rate)), axis=axis, taylor=is_any or loading == "taylor")

    def run(part, cancelled):
        paths = path[part] if len(path) > 1 else path
        if is_any:
            own = gradient[part] if len(gradient) > 1 else gradient
            found = law.integrate_any(quaternion[part], forest[part], paths, own, tol, most, cancelled)
        else:
            found = law.integrate(quaternion[part], forest[part], paths, tol, most, cancelled)
        state[part, :, :n_stress] = found.stress
        state[part, :, n_stress + 1 :] = unwrapped_angles(found.orientation, angles[part])
        state[part, :, n_stress] = found.forest_squares / crystal._forest() ** 2
        slip[part], failed[part] = found.slip, found.failed

    in_blocks(run, n, max(1, CHUNK_STEPS // n_steps), n_jobs, reporter, "crystals")
    if is_any:  # the pressure is elastic
        volume = np.cumsum(np.trace(gradient, axis1=2, axis2=3) * np.diff(path), axis=1)
        bulk = (crystal.C11 + 2 * crystal.C12) / 3 * 1e3
        state[:, 1:, :3] += bulk * volume[..., None]
    warn_of_lost(failed, "time" if is_any else "strain")
    return (state, slip) if return_slip else state


def mean_stress(state: ArrayLike, *, volume: ArrayLike | None = None) -> _F8:
    """Stress of an aggregate of grains with the same strain: a wire of "uniaxial" grains, or a Taylor polycrystal.

    Parameters
    ----------
    state : array-like of shape (n_crystals, n_steps, n_variables)
        As from `simulate`; the first column is averaged, without crystals that did not converge.
    volume : array-like of shape (n_crystals,), default=None
        Volumes of the grains, in any unit; None for equal volumes.

    Returns
    -------
    ndarray of shape (n_steps,)
        In the unit of the first column.

    Raises
    ------
    ValueError, TypeError
        If the shapes do not match, no crystal is complete, or a volume is negative.
    """
    state = numbers("state", state, ensure_all_finite="allow-nan")
    if state.ndim != 3:
        raise ValueError(f"state must have shape (n_crystals, n_steps, n_variables), got {state.shape}.")
    volume = numbers("volume", np.ones(len(state)) if volume is None else volume, allow_nd=False)
    with naming("volume"):
        check_consistent_length(state, volume)
    if volume.ndim != 1 or (volume < 0).any():
        raise ValueError(f"volume must be one non-negative number per crystal, got shape {volume.shape}.")
    sigma = state[:, :, 0]
    whole = ~np.isnan(sigma).any(axis=1)
    volume = np.where(whole, volume, 0.0)
    if not volume.any():
        raise ValueError("state has no complete crystal with a positive volume; there is nothing to average.")
    return volume[whole] @ sigma[whole] / volume.sum()


def calibrate(
    stress: ArrayLike,
    orientation: ArrayLike | Rotation,
    strain: ArrayLike,
    *,
    fit: Sequence[str],
    crystal: Crystal | None = None,
    velocity_gradient: ArrayLike | None = None,
    free: ArrayLike | None = None,
    loading: Literal["uniaxial", "taylor"] = "uniaxial",
    axis: ArrayLike = "z",
    strain_rate: float = 0.001,
    rho0: ArrayLike = 1e12,
    volume: ArrayLike | None = None,
    tol: float | None = None,
    max_substeps: int = 10000,
    n_jobs: int | None = None,
) -> Calibration:
    """Fit constants of a crystal to measured or simulated stresses, and say which of them the data tell.

    Parameters
    ----------
    stress : array-like
        MPa; NaN where it was not measured. Of each crystal: (n_crystals, n_steps), along the axis, or with
        ``velocity_gradient`` (n_crystals, n_steps, 6): xx, yy, zz, yz, xz, xy; or states as from `simulate`, of which
        the stresses are read. Or the mean stress of the crystals: (n_steps,), along the axis, or with
        ``velocity_gradient`` also (n_steps, 6). With ``loading="taylor"`` less the mean across the axis.
    orientation, strain, velocity_gradient, free, loading, strain_rate
        As for `simulate`: how the crystals were deformed.
    fit : sequence of str
        Names of the constants that are fitted: of numbers that `Crystal` takes, and "rho0". All are positive.
    crystal : Crystal, default=None
        Lattice, law and the other constants; those of ``fit`` start from its values, which must be above zero and
        within a factor of 1000. None is ``Crystal()``.
    axis : {"x", "y", "z"} or array-like of shape (3,), default="z"
        Loading axis; with ``velocity_gradient`` that of a stress of shape (n_steps,).
    rho0 : float or array-like of shape (n_crystals,) or (n_crystals, n_systems), default=1e12
        Density at the start, 1/m^2; one number, at which it starts, where "rho0" is fitted.
    volume : array-like of shape (n_crystals,), default=None
        Volumes of the crystals for their mean, in any unit; None for equal volumes.
    tol : float, default=None
        As for `simulate`; None is 1e-3 where that takes many crystals at once, 3e-5 with the adaptive method.
    max_substeps, n_jobs
        As for `simulate`.

    Returns
    -------
    Calibration
        Its ``crystal`` has the fitted constants; ``standard_errors`` and ``undetermined`` say what they are worth.

    Raises
    ------
    ValueError, TypeError
        If shapes do not match, a name is not a constant of the law, or a start is not above zero.

    Warns
    -----
    UserWarning
        If the data do not tell some constants, alone or apart.
    sklearn.exceptions.ConvergenceWarning
        If the search did not end.

    Notes
    -----
    Least squares over the logarithms of the constants (of ``tau_saturation`` - ``tau0``, ``rate_exponent`` - 1 and
    ``C11`` - ``C12``), all stresses with equal weight. Standard errors take the errors of the stress as independent of
    each other: they are too small where a whole curve is off. They come from derivatives by differences of 1 %, and
    no data count as better than 1e-4 of their stress.

    Examples
    --------
    >>> import numpy as np
    >>> from skmerge.crystal import Crystal, calibrate, simulate
    >>> strain = np.linspace(0, 0.1, 41)
    >>> measured = simulate([[0.3, 0.5, 0.7]], strain, crystal=Crystal(tau0=11.0, k2=6.0))
    >>> found = calibrate(measured, [[0.3, 0.5, 0.7]], strain, fit=["tau0", "k2"])
    >>> {name: round(value, 2) for name, value in found.values.items()}
    {'tau0': 11.0, 'k2': 6.0}
    """
    crystal = Crystal() if crystal is None else crystal
    if not isinstance(crystal, Crystal):
        raise TypeError(f"crystal must be a skmerge.crystal.Crystal, got {type(crystal).__name__}.")
    names, start = check_fit(fit, crystal, rho0)
    is_any = velocity_gradient is not None
    if is_any and (loading != "uniaxial" or strain_rate != 0.001):
        raise ValueError("velocity_gradient says the whole loading: leave loading and strain_rate out.")
    if np.ndim(strain) not in (1, 2):
        raise ValueError(f"strain must have shape (n_steps,) or (n_crystals, n_steps), got {np.shape(strain)}.")
    n, along = len(check_orientation(orientation)), check_axis(axis)
    target = check_target(stress, n, np.shape(strain)[-1], 6 if is_any else 1)
    volume = numbers("volume", np.ones(n) if volume is None else volume)
    if volume.shape != (n,) or (volume < 0).any() or not volume.any():
        raise ValueError(f"volume must be one non-negative number per crystal, not all zero; got {volume.shape}.")
    tol = (LEAST_STEP_TOL if is_any or not crystal._is_adaptive else 3e-5) if tol is None else tol
    options = {"velocity_gradient": velocity_gradient, "free": free, "tol": tol, "max_substeps": max_substeps}
    if not is_any:
        options |= {"loading": loading, "axis": axis, "strain_rate": strain_rate}

    def predict(changed, density):
        state = simulate(orientation, strain, crystal=changed, rho0=density, n_jobs=n_jobs, **options)
        found = state[..., : 6 if is_any else 1]
        if target.ndim == 3:
            return found
        found = np.tensordot(volume / volume.sum(), found, axes=1)
        six = is_any and target.shape[1] == 1
        return np.einsum("tij,i,j->t", symmetric(found), along, along)[:, None] if six else found

    return fit_constants(predict, target, names, start, crystal, rho0)
