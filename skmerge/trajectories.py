"""Trajectories of other codes, as PlasticityPropagator takes them."""

import re

import numpy as np
from scipy.spatial.transform import Rotation

from skmerge._orientation import check_axis, quaternion_of, unwrapped_angles

__all__ = ["read_damask"]


def read_damask(path, *, axis="z", density=("rho_mob", "rho_dip"), grains="phase"):
    """Read a result file of DAMASK 3 (HDF5).

    Parameters
    ----------
    path : path-like
        Holds ``increment_N/phase/NAME/mechanical`` with F, P, O and the densities, and ``cell_to/phase``.
    axis : {"x", "y", "z"} or array-like of shape (3,), default="z"
        Of loading, in the sample.
    density : sequence of str, default=("rho_mob", "rho_dip")
        Datasets of dislocation densities in 1/m^2, added up with their slip systems.
    grains : {"phase", "cell"}, default="phase"
        Whether each phase is a grain, averaged over its cells, or each cell.

    Returns
    -------
    strain : ndarray of shape (n_grains, n_steps)
        Logarithm of the stretch of a material line along the axis.
    state : ndarray of shape (n_grains, n_steps, 5)
        sigma (Cauchy stress along the axis, MPa), rho (1/m^2), phi1, Phi, phi2 (rad, unwrapped).

    Raises
    ------
    ImportError
        Without h5py.
    ValueError
        If the file has another layout; the message says what is missing.

    Notes
    -----
    P is the first Piola-Kirchhoff stress in Pa, sigma = P F^T / det F. O is the unit quaternion, scalar first, of the
    passive rotation from sample to crystal: the inverse of the rotation that takes crystal to sample.
    """
    try:
        import h5py
    except ImportError as error:
        raise ImportError("read_damask needs h5py: pip install h5py") from error
    if grains not in ("phase", "cell"):
        raise ValueError(f"grains={grains!r} is not possible: give 'phase' or 'cell'.")
    axis = check_axis(axis)
    steps = []
    with h5py.File(path, "r") as file:
        names = sorted((n for n in file if re.fullmatch(r"increment_\d+", n)), key=lambda name: int(name[10:]))
        if not names:
            raise ValueError(f"{path} has no groups increment_N; it is no result file of DAMASK 3.")
        for name in names:
            parts = []
            if "phase" not in file[name]:
                raise ValueError(f"{path}: {name} has no group phase; write results of the phases.")
            for phase in sorted(file[name]["phase"]):
                group = file[name]["phase"][phase].get("mechanical", {})
                missing = [key for key in ("F", "P", "O", *density) if key not in group]
                if missing:
                    raise ValueError(f"{path}: {name}/phase/{phase}/mechanical has no {missing}; write them as output.")
                read = {key: np.asarray(group[key], dtype=float) for key in ("F", "P", "O", *density)}
                parts.append(read_cells(read, axis, density, grains == "phase"))
            steps.append([np.concatenate(column) for column in zip(*parts, strict=True)])
    if len({len(step[0]) for step in steps}) > 1:
        raise ValueError(f"{path}: the number of cells changes between increments.")
    strain, sigma, rho, turn = (np.stack(column, axis=1) for column in zip(*steps, strict=True))
    first = Rotation.from_quat(turn[:, 0]).as_euler("ZXZ", suppress_warnings=True)
    # A quaternion and its negative are one rotation; the path of either is continuous.
    for t in range(1, turn.shape[1]):
        turn[:, t] *= np.where((turn[:, t] * turn[:, t - 1]).sum(axis=1) < 0, -1.0, 1.0)[:, None]
    same = (turn[:, 0] * quaternion_of(first)).sum(axis=1) < 0
    turn[same] *= -1
    return strain, np.concatenate([sigma[..., None], rho[..., None], unwrapped_angles(turn, first)], axis=2)


def read_cells(read, axis, density, averaged):
    """Strain, stress, density and orientation of the cells of a phase, or their means."""
    F, P = read["F"].reshape(-1, 3, 3), read["P"].reshape(-1, 3, 3)
    cauchy = P @ F.transpose(0, 2, 1) / np.linalg.det(F)[:, None, None]
    strain = np.log(np.linalg.norm(F @ axis, axis=1))
    sigma = np.einsum("i,nij,j->n", axis, cauchy, axis) / 1e6
    rho = sum(read[key].reshape(len(F), -1).sum(axis=1) for key in density)
    turn = Rotation.from_quat(read["O"][:, [1, 2, 3, 0]]).inv()
    if averaged:
        return strain.mean()[None], sigma.mean()[None], rho.mean()[None], turn.mean().as_quat()[None]
    return strain, sigma, rho, turn.as_quat()
