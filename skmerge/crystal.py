"""Crystal plasticity of FCC single crystals: stress, dislocation density and lattice rotation along a path."""

from dataclasses import dataclass, fields
from numbers import Integral, Real
from typing import Any, Literal, TypeAlias, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.transform import Rotation
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_consistent_length

from skmerge._ext.crystal_slip import SlipLaw
from skmerge._ext.grain_stepping import GrainLaw
from skmerge._lattice import DIRECTIONS, NORMALS, deviator, slip_systems, tensors
from skmerge._orientation import angles_of, check_axis, numbers, quaternion_of, unit_vector, unwrapped_angles
from skmerge._parallel import in_blocks
from skmerge._parameters import check_n_jobs, check_number, check_verbose, check_word
from skmerge._progress import Reporter
from skmerge._text import warn
from skmerge._validation import naming

_F8: TypeAlias = NDArray[np.float64]

__all__ = ["DIRECTIONS", "NORMALS", "Crystal", "mean_stress", "schmid_factors", "simulate", "slip_systems"]

CHUNK_STEPS = 4096  # recorded steps between two reports of progress, some 50 ms
CHUNK_FAST_STEPS = 65536
MOST_ADAPTIVE_TOL, LEAST_STEP_TOL, MOST_TOL = 1e-2, 1e-3, 1e-1


@dataclass(frozen=True)
class Crystal:
    """Constants of an FCC crystal; the defaults are the elasticity of copper and a textbook-sized hardening.

    Parameters
    ----------
    C11, C12, C44 : float
        Elastic constants, GPa.
    slip_rate : float
        Slip rate gdot0 at a resolved shear stress equal to the slip resistance, 1/s.
    rate_exponent : float
        Exponent n >= 1 of the power law, no unit.
    tau0 : float
        Slip resistance without dislocations, MPa; above zero.
    forest_coefficient : float
        Coefficient a of Taylor's law, no unit.
    shear_modulus : float
        G of Taylor's law, GPa.
    burgers : float
        Length of the Burgers vector, nm.
    k1 : float
        Storage of dislocations, 1/m.
    k2 : float
        Recovery of dislocations, no unit.
    self_hardening, latent_hardening : float
        Factors by which slip on a system changes the density of the system itself and of the others. With both equal,
        all systems have the same density, and the law is that of one density and the slip of all systems.

    Raises
    ------
    ValueError, TypeError
        If a constant is not a finite number or not physical.

    Notes
    -----
    Slip on system a, with its density rho_a and the interaction q of self (on the diagonal) and latent hardening::

        gdot_a = gdot0 |tau_a / g_a|^n sign(tau_a),   g_a = tau0 + a G b sqrt(rho_a),
        d rho_a = (k1 sqrt(rho_a) - k2 rho_a) sum_b q_ab |gdot_b| dt

    This is the power law of Hutchinson [1]_, the storage and recovery of Kocks and Mecking [2]_ and the latent
    hardening of Peirce, Asaro and Needleman [3]_. The density saturates at (k1 / k2)^2.

    References
    ----------
    .. [1] J. W. Hutchinson, Proc. R. Soc. Lond. A 348, 101 (1976).
    .. [2] H. Mecking, U. F. Kocks, Acta Metall. 29, 1865 (1981).
    .. [3] D. Peirce, R. J. Asaro, A. Needleman, Acta Metall. 30, 1087 (1982).

    Examples
    --------
    >>> from skmerge.crystal import Crystal
    >>> copper = Crystal()
    >>> round(copper.young_modulus([0, 0, 1]), 2), round(copper.young_modulus([1, 1, 1]), 2)
    (66.83, 192.1)
    """

    C11: float = 168.9
    C12: float = 121.8
    C44: float = 75.8
    slip_rate: float = 1e-3
    rate_exponent: float = 20.0
    tau0: float = 8.0
    forest_coefficient: float = 0.3
    shear_modulus: float = 48.0
    burgers: float = 0.256
    k1: float = 1.30208e8
    k2: float = 4.11755
    self_hardening: float = 1.0
    latent_hardening: float = 1.0

    def __post_init__(self) -> None:
        positive = ("C44", "slip_rate", "tau0", "forest_coefficient", "shear_modulus", "burgers")
        for field in fields(self):
            value = getattr(self, field.name)
            if not isinstance(value, Real) or isinstance(value, bool):
                raise TypeError(f"{field.name} must be a number, got {value!r}; its unit is in the documentation.")
            if not np.isfinite(value):
                raise ValueError(f"{field.name} must be finite, got {value}.")
            if value < 0 and field.name != "C12":
                raise ValueError(f"{field.name} must not be negative, got {value}.")
            if value == 0 and field.name in positive:
                raise ValueError(f"{field.name} must be above zero, got {value}.")
        if not (self.C11 > self.C12 and self.C11 + 2 * self.C12 > 0):
            raise ValueError(
                f"C11 = {self.C11} and C12 = {self.C12} are unstable; give C11 > C12 and C11 + 2 C12 > 0, in GPa."
            )
        if self.rate_exponent < 1:
            raise ValueError(f"rate_exponent must be at least 1, got {self.rate_exponent}; metals have 10 and more.")
        if self.C11 > 5000:
            warn(f"C11 = {self.C11} GPa is beyond any crystal; elastic constants are in GPa.")

    def resistance(self, rho: ArrayLike) -> Any:
        """Slip resistance tau0 + a G b sqrt(rho) in MPa, at densities rho of any shape in 1/m^2."""
        return self.tau0 + self._forest() * np.sqrt(rho)

    def young_modulus(self, direction: ArrayLike) -> float:
        """Young's modulus in GPa along a direction [uvw] of the crystal, array-like of shape (3,)."""
        n = unit_vector("direction", direction)
        N = deviator(np.outer(n, n))
        stiffness = np.repeat([self.C11 - self.C12, 2 * self.C44], [2, 3])
        return float(1 / (np.sum(N**2 / stiffness) + 1 / (3 * (self.C11 + 2 * self.C12))))

    def _forest(self):
        """a G b in MPa m."""
        return self.forest_coefficient * self.shear_modulus * 1e3 * self.burgers * 1e-9

    def _arrays(self, strain_rate):
        """The arrays that `SlipLaw` takes, by name: per unit of strain, stresses in MPa."""
        schmid, spin = tensors(NORMALS, DIRECTIONS)
        interaction = np.full((12, 12), float(self.latent_hardening))
        np.fill_diagonal(interaction, self.self_hardening)
        stiffness = np.array([self.C11 - self.C12, 2 * self.C44, 3 * (self.C11 + 2 * self.C12)]) * 1e3
        storage, recovery = self._forest() * self.k1 / 2, self.k2 / 2
        flow = np.array([self.rate_exponent, self.slip_rate / strain_rate, self.tau0, storage, recovery], float)
        arrays = {"schmid": schmid, "spin": spin, "interaction": interaction}
        return arrays | {"stiffness": stiffness, "flow": flow}

    def _grain_law(self, tol=np.inf, max_substeps=2**20, newton_tol=1e-2, lanes=0, shared=True):
        """The law of `grain_stepping`, its variable s being the forest stress: of all systems, or of each."""
        arrays = self._arrays(1.0)
        flow, stiffness, q = arrays["flow"], arrays["stiffness"] / [1, 1, 9], arrays["interaction"]
        linear = np.array([flow[2], 1.0, *((self.self_hardening if shared else 1.0) * flow[3:])])
        halvings = min(int(np.log2(max_substeps)), 20)
        args = arrays["schmid"], arrays["spin"], stiffness, flow[:2].copy(), linear, None, None if shared else q
        return GrainLaw(*args, tol, newton_tol, halvings, lanes)


def schmid_factors(orientation: ArrayLike | Rotation, *, axis: ArrayLike = "z") -> _F8:
    """Schmid factors of the 12 slip systems for stress along an axis.

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
    """Deform FCC single crystals along a strain path, or under any velocity gradient.

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
    rho0 : float or array-like of shape (n_crystals,) or (n_crystals, 12), default=1e12
        Density of dislocations on every slip system at the start, 1/m^2.
    tol : float, default=3e-5
        Tolerance of one step of the integration, relative to the slip resistance, and in rad; at most 1e-2, or 1e-1
        with ``velocity_gradient``. There 1e-3 and more takes many crystals at once from record to record, ten to
        twenty times as fast: steps that err more are cut.
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
        (mean of the 12 systems), phi1, Phi, phi2 in rad, unwrapped along the path from the given angles. With
        ``velocity_gradient`` sigma is the whole Cauchy stress in the sample: xx, yy, zz, yz, xz, xy. A crystal has NaN
        from where it did not converge.
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
    once are integrated by a diagonally implicit method of second order.

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
    forest = crystal._forest() * np.sqrt(check_density(rho0, n))
    n_steps, n_stress = path.shape[-1], 6 if is_any else 1
    most = min(int(max_substeps), 2**31 - 1)
    state, slip, failed = np.empty((n, n_steps, n_stress + 4)), np.empty((n, n_steps)), np.empty(n)
    reporter = Reporter("simulate", verbose)
    if is_any and tol >= LEAST_STEP_TOL:
        shared = crystal.self_hardening == crystal.latent_hardening and (forest == forest[:, :1]).all()
        steps = crystal._grain_law(tol, most, shared=shared)

        def run_steps(part, cancelled):
            start = np.zeros((len(quaternion[part]), steps.row))
            start[:, 11:], start[:, 5:9] = forest[part, : steps.row - 11], quaternion[part]
            times, own = (a[part] if len(a) > 1 else a for a in (path, gradient))
            found = steps.integrate(start, times, own, cancelled)
            state[part, :, :6] = found.stress
            state[part, :, 7:] = unwrapped_angles(found.orientation, angles[part])
            state[part, :, 6] = np.mean((found.hardening / crystal._forest()) ** 2, axis=2)
            before = np.broadcast_to(times, (len(start), n_steps))[np.arange(len(start)), found.failed - 1]
            slip[part], failed[part] = found.slip, np.where(found.failed > 0, before, np.nan)

        in_blocks(run_steps, n, max(128, CHUNK_FAST_STEPS // n_steps), n_jobs, reporter, "crystals")
        warn_of_lost(failed, "time")
        return (state, slip) if return_slip else state
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


def check_density(rho0, n):
    """Density on every system, (n, 12)."""
    rho = numbers("rho0", np.atleast_1d(rho0))
    if rho.shape not in ((1,), (n,), (n, 12)):
        raise ValueError(f"rho0 must be one number or have shape ({n},) or ({n}, 12); got {rho.shape}.")
    if (rho < 0).any():
        raise ValueError(f"rho0 must not be negative; the smallest entry is {rho.min():g}.")
    if 0 < rho.max() < 1e7:
        warn(f"rho0 is {rho.max():g} 1/m^2 at most, which looks like 1/um^2; give 1/m^2, which is 1e12 times that.")
    return np.array(np.broadcast_to(rho if rho.ndim == 2 else rho[:, None], (n, 12)))
