"""Grains at the integration points of a finite-element program."""

from numbers import Integral, Real
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.transform import Rotation

from skmerge._crystal.arguments import check_density, check_orientation
from skmerge._lattice import symmetric
from skmerge._orientation import angles_of, numbers, product, quaternion_of
from skmerge._parallel import in_blocks
from skmerge._parameters import check_n_jobs, check_number
from skmerge._progress import Reporter

_F8: TypeAlias = NDArray[np.float64]

BLOCK_GRAINS = 4096  # that one thread steps between two looks at Ctrl-C, some 4 ms
FAILED = 3  # the flags of grain_step.h that say so
PLACE = np.array([[0, 5, 4], [5, 1, 3], [4, 3, 2]])  # of the entries of a symmetric matrix in VOIGT
MOST_STRETCH = 0.5  # of one step, logarithmic; a step of a solver has some 0.01


class Response(NamedTuple):
    """What the points answer to a step.

    Attributes
    ----------
    stress : ndarray of shape (n_points, 3, 3)
        Mean Cauchy stress of the grains at the end of the step, MPa.
    piola : ndarray of shape (n_points, 3, 3)
        First Piola-Kirchhoff stress, P = J stress F^-T, MPa.
    tangent : ndarray of shape (n_points, 3, 3, 3, 3) or None
        dP_ij / dF_kl, MPa.
    failed : ndarray of bool of shape (n_points,)
        Points at which a grain did not converge, or which turn inside out or stretch by more than a logarithmic
        strain of 0.5: repeat the step in halves.
    """

    stress: _F8
    piola: _F8
    tangent: _F8 | None
    failed: NDArray[np.bool_]


class Polycrystal:
    """Grains at the integration points of a finite-element program written in Python.

    All grains of a point have the deformation of the point, as Taylor assumed, and its stress is their mean. A solver
    tries steps until its forces balance, and then accepts one.

    Parameters
    ----------
    law : Crystal or PlasticityPropagator
        The constants of a simulation, or what was learned from records (fitted with ``loading="any"``).
    orientation : array-like of shape (n_points * n_grains, 3) or scipy.spatial.transform.Rotation
        Bunge angles phi1, Phi, phi2 in rad, or rotations from crystal to sample; the grains of the first point, then
        those of the next.
    n_grains : int, default=1
        Grains at each point, of equal volume.
    rho0 : float or array-like of shape (n_points * n_grains,), default=1e12
        Density of dislocations at the start, 1/m^2. Not with ``hardening="voce"``.
    tol : float, default=None
        Tolerance of a step, relative to the slip resistance, and in rad: a step that errs more is cut. None is 0.03.
    n_jobs : int or None, default=None
        Threads over points. The result does not depend on it.

    Attributes
    ----------
    deformation_gradient : ndarray of shape (n_points, 3, 3)
        F at the end of the last accepted step; the unit matrix at the start.
    stress : ndarray of shape (n_points, n_grains, 6)
        Cauchy stress of each grain, xx, yy, zz, yz, xz, xy, MPa.
    density : ndarray of shape (n_points, n_grains)
        Density of dislocations, 1/m^2; the slip resistance in MPa with ``hardening="voce"``.
    orientation : ndarray of shape (n_points, n_grains, 3)
        Bunge angles in rad.
    slip : ndarray of shape (n_points, n_grains)
        Sum of all slip so far, no unit.

    Notes
    -----
    The step from F to F' is a stretch, then a rotation: F' F^-1 = R U. Grains are stretched by the constant velocity
    gradient log(U) / dt and then turned by R: a rotation of the whole turns everything and changes nothing else.
    The tangent follows from that of the grains, C = d stress / d(D dt) at the same spin, with dF F^-1 = d + w::

        d tau / J = C : d + tr(d) stress + w stress - stress w,   dP = (d tau - tau (d + w)^T) F^-T

    An object holds plain arrays and pickles.

    Examples
    --------
    Forty grains in tension, at a rate of 1e-3 per second:

    >>> import numpy as np
    >>> from scipy.spatial.transform import Rotation
    >>> from skmerge.crystal import Crystal, Polycrystal
    >>> grains = Polycrystal(Crystal(), Rotation.random(40, random_state=0), n_grains=40)
    >>> for strain in np.linspace(0, 0.05, 26)[1:]:
    ...     F = np.diag(np.exp([-strain / 2, -strain / 2, strain]))[None]
    ...     response = grains.step(F, dt=2.0)
    ...     grains.accept()
    >>> response.tangent.shape, round(float(response.stress[0, 2, 2] - response.stress[0, 0, 0]))  # MPa
    ((1, 3, 3, 3, 3), 127)
    """

    deformation_gradient: _F8

    def __init__(
        self,
        law: Any,
        orientation: ArrayLike | Rotation,
        n_grains: int = 1,
        *,
        rho0: ArrayLike = 1e12,
        tol: float | None = None,
        n_jobs: int | None = None,
    ) -> None:
        if isinstance(law, type) or not hasattr(law, "_at_points"):
            raise TypeError(f"law must be a Crystal or a fitted PlasticityPropagator, got {type(law).__name__}.")
        if tol is not None:
            check_number("tol", tol, Real, 1e-6, 1)
        check_number("n_grains", n_grains, Integral, 1)
        check_n_jobs(n_jobs)
        self.law, self.n_grains, self.tol, self.n_jobs = law, int(n_grains), tol, n_jobs
        quaternion = quaternion_of(check_orientation(orientation))
        if len(quaternion) % self.n_grains or not len(quaternion):
            raise ValueError(f"orientation must hold n_grains = {n_grains} for each point; got {len(quaternion)}.")
        at = law._at_points(tol)
        if np.ndim(rho0) > 1:
            raise ValueError(f"rho0 must be one number or have shape ({len(quaternion)},), got {np.shape(rho0)}.")
        rho = check_density(rho0, len(quaternion), given=at.has_density)[:, :1]
        rows = np.zeros((len(quaternion), at.law.row))
        rows[:, 5:9], rows[:, 11 : 11 + at.n_hardening] = quaternion, at.hardening_of(rho)
        self._state = rows.reshape(-1, self.n_grains, at.law.row)
        self.deformation_gradient = np.tile(np.eye(3), (len(self._state), 1, 1))
        self._trial = None

    def step(self, deformation_gradient: ArrayLike, dt: float, *, return_tangent: bool = True) -> Response:
        """Try a step from the last accepted state.

        Parameters
        ----------
        deformation_gradient : array-like of shape (n_points, 3, 3)
            F at the end of the step, of positive determinant.
        dt : float
            Time of the step, s, above 0.
        return_tangent : bool, default=True
            Whether the tangent is computed: a third more with many grains at a point, three times as long with one.

        Returns
        -------
        Response
            Stresses, tangent and which points failed: what these have means nothing.

        Raises
        ------
        ValueError
            If the shape is another, or numbers are not finite.
        """
        F = np.array(numbers("deformation_gradient", deformation_gradient))  # a copy: solvers use their arrays again
        n = len(self._state)
        if F.shape != (n, 3, 3):
            raise ValueError(f"deformation_gradient must have shape ({n}, 3, 3), got {F.shape}.")
        check_number("dt", dt, Real, np.nextafter(0, 1))
        rotation, stretch, too_far = self._increment(F)
        at, own = self.law._at_points(self.tol), self.n_grains
        gradient, rows = np.ascontiguousarray(stretch / dt), self._state.copy()
        stress, failed = np.empty((n, 6)), np.empty(n, bool)
        C = np.empty((n, 6, 6)) if return_tangent else None

        def run(part, cancelled):
            own_rows = rows[part].reshape(-1, rows.shape[2])
            shared = np.repeat(gradient[part], own, axis=0)
            of_grains, flags, tangents = at.law.step(shared, np.array([float(dt)]), own_rows, return_tangent)
            stress[part] = of_grains.reshape(-1, own, 6).mean(axis=1)
            failed[part] = (flags.reshape(-1, own) & FAILED).any(axis=1)
            if return_tangent:
                C[part] = tangents.reshape(-1, own, 6, 6).mean(axis=1)
            turn = np.repeat(Rotation.from_matrix(rotation[part]).as_quat(), own, axis=0)
            own_rows[:, 5:9] = product(turn, own_rows[:, 5:9])

        in_blocks(run, n, max(1, BLOCK_GRAINS // own), self.n_jobs, Reporter("Polycrystal", 0), "points")
        failed |= too_far
        self._trial = F, rows, failed
        sigma = rotation @ symmetric(stress) @ np.swapaxes(rotation, 1, 2)
        F = np.where(too_far[:, None, None], self.deformation_gradient, F)
        J, inverse = np.linalg.det(F), np.linalg.inv(F)
        piola = J[:, None, None] * sigma @ np.swapaxes(inverse, 1, 2)
        return Response(sigma, piola, None if C is None else tangent_of(C, rotation, sigma, J, inverse), failed)

    def accept(self) -> None:
        """Make the step that was tried last the state from which the next one starts.

        Raises
        ------
        ValueError
            If none was tried since the last, or it failed somewhere.
        """
        if self._trial is None:
            raise ValueError("there is no step to accept; call step first.")
        F, rows, failed = self._trial
        if failed.any():
            raise ValueError(f"the step failed at {failed.sum()} points, first at {failed.argmax()}; try half of it.")
        self.deformation_gradient, self._state, self._trial = F, rows, None

    def _increment(self, F):
        """Rotations R and logarithms of stretches U, (n, 3, 3) each, of F F_0^-1 = R U, and which are too long."""
        with np.errstate(all="ignore"):
            A = F @ np.linalg.inv(self.deformation_gradient)
            squares = np.swapaxes(A, 1, 2) @ A
            wild = ~np.isfinite(squares).all(axis=(1, 2))
            squares[wild] = np.eye(3)
            squares, axes = np.linalg.eigh(squares)
            logs = np.log(np.maximum(squares, 1e-300)) / 2
        A[wild] = np.eye(3)
        bad = wild | (np.linalg.det(A) <= 0) | (np.abs(logs).max(axis=1) > MOST_STRETCH)
        A[bad], axes[bad], logs[bad] = np.eye(3), np.eye(3), 0.0
        back = np.swapaxes(axes, 1, 2)
        return A @ (axes * np.exp(-logs)[:, None]) @ back, (axes * logs[:, None]) @ back, bad

    @property
    def stress(self) -> _F8:
        law = self.law._at_points(self.tol).law
        return law.stress(self._state.reshape(-1, law.row)).reshape(*self._state.shape[:2], 6)

    @property
    def density(self) -> _F8:
        at = self.law._at_points(self.tol)
        return at.density_of(self._state[..., 11 : 11 + at.n_hardening])

    @property
    def orientation(self) -> _F8:
        return angles_of(self._state[..., 5:9].reshape(-1, 4)).reshape(*self._state.shape[:2], 3)

    @property
    def slip(self) -> _F8:
        return self._state[..., 10].copy()


def tangent_of(C, R, sigma, J, inverse):
    """dP/dF (n, 3, 3, 3, 3) from the tangent of Cauchy stress (n, 6, 6) before the rotation R."""
    one = np.eye(3)
    C = C[:, PLACE[:, :, None, None], PLACE[None, None]]
    C = np.einsum("nabcd,nia,njb,nkc,nld->nijkl", C, R, R, R, R, optimize=True)
    a = C + np.einsum("nij,kl->nijkl", sigma, one)
    # w stress - stress d, with d and w the parts of the gradient
    a += 0.5 * (np.einsum("ik,nlj->nijkl", one, sigma) - np.einsum("il,nkj->nijkl", one, sigma))
    a -= 0.5 * (np.einsum("nik,jl->nijkl", sigma, one) + np.einsum("nil,jk->nijkl", sigma, one))
    return np.einsum("n,nijkl,npj,nql->nipkq", J, a, inverse, inverse, optimize=True)
