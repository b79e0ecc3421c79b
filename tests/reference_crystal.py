"""Slow, obvious NumPy twins of the crystal plasticity: rate equations with whole tensors, and one implicit stage."""

import numpy as np
from scipy.integrate import solve_ivp
from scipy.spatial.transform import Rotation

from skmerge._orientation import AXES
from skmerge.crystal import DIRECTIONS, NORMALS


def systems():
    """Schmid tensors and their antisymmetric counterparts, (12, 3, 3)."""
    L = DIRECTIONS[:, :, None] * NORMALS[:, None, :]
    return (L + np.swapaxes(L, 1, 2)) / 2, (L - np.swapaxes(L, 1, 2)) / 2


def stress_of(crystal, strain):
    """Hooke's law in the lattice, MPa."""
    stress = 2 * crystal.C44 * 1e3 * strain
    for i in range(3):
        stress[i, i] = (crystal.C11 - crystal.C12) * 1e3 * strain[i, i] + crystal.C12 * 1e3 * np.trace(strain)
    return stress


def slip_rates(crystal, stress, forest, strain_rate):
    """Slip of each system per unit of strain."""
    tau = np.einsum("aij,ij->a", systems()[0], stress)
    size = np.where(np.real(tau) < 0, -tau, tau)  # |tau|, also of a complex step
    power = (size / (crystal.tau0 + forest)) ** (crystal.rate_exponent - 1)
    return crystal.slip_rate / strain_rate * power * tau / (crystal.tau0 + forest)


def storage(crystal, forest, slip):
    """Rate of forest stress a G b sqrt(rho) from that of the densities."""
    scale = crystal.forest_coefficient * crystal.shear_modulus * 1e3 * crystal.burgers * 1e-9
    interaction = np.full((12, 12), crystal.latent_hardening)
    np.fill_diagonal(interaction, crystal.self_hardening)
    root = forest / scale
    return scale * (crystal.k1 * root - crystal.k2 * root**2) / (2 * root) * (interaction @ np.abs(slip))


def rates(crystal, strain, Q, forest, sign, loading, axis, strain_rate):
    """Rates, per length of the path, of elastic strain (in the lattice), lattice rotation Q and forest stress."""
    schmid, skew = systems()
    stress = stress_of(crystal, strain)
    slip = slip_rates(crystal, stress, forest, strain_rate)
    Dp, Wp = np.einsum("a,aij->ij", slip, schmid), np.einsum("a,aij->ij", slip, skew)

    def response(D):
        W = np.zeros((3, 3))
        if loading == "uniaxial":  # (D + W) axis is along the axis
            W = np.outer(axis, D @ axis) - np.outer(D @ axis, axis)
        spin = Q.T @ W @ Q - Wp - (strain @ Dp - Dp @ strain)
        rate = Q.T @ D @ Q - Dp
        if loading == "taylor":
            rate = rate - (strain @ Wp - Wp @ strain)
        stress_rate = stress_of(crystal, rate) + spin @ stress - stress @ spin
        return rate, spin, Q @ stress_rate @ Q.T

    D = sign * (1.5 * np.outer(axis, axis) - 0.5 * np.eye(3))
    if loading == "uniaxial":  # six unknowns: the rate along the axis is given, that of all other stresses is zero
        across = np.linalg.svd(axis[None])[2][1:]
        frame = np.vstack([axis, across])
        pairs = [(0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2)]

        def conditions(v):
            D = np.zeros((3, 3))
            for value, (i, j) in zip(v, pairs, strict=True):
                D[i, j] = D[j, i] = value
            D = frame.T @ D @ frame
            change = frame @ response(D)[2] @ frame.T
            return D, np.array([axis @ D @ axis - sign, *(change[i, j] / 1e5 for i, j in pairs[1:])])

        at_zero = conditions(np.zeros(6))[1]
        A = np.transpose([conditions(e)[1] - at_zero for e in np.eye(6)])
        D = conditions(np.linalg.solve(A, -at_zero))[0]
    strain_rate_lattice, spin, _ = response(D)
    return strain_rate_lattice, Q @ spin, storage(crystal, forest, slip)


def simulate(angles, path, crystal, loading="uniaxial", axis="z", strain_rate=1e-3, rho0=1e12, rtol=1e-7):
    """State (n_steps, 6): stress along the axis, mean density, and the rotation as a matrix beside it, (n_steps, 3, 3).

    Each piece of the path between two records is an initial value problem of its own.
    """
    axis = np.array(AXES[axis]) if isinstance(axis, str) else np.asarray(axis) / np.linalg.norm(axis)
    scale = crystal.forest_coefficient * crystal.shear_modulus * 1e3 * crystal.burgers * 1e-9
    y = np.concatenate([np.zeros(9), Rotation.from_euler("ZXZ", angles).as_matrix().ravel(), np.zeros(12)])
    y[18:] = scale * np.sqrt(rho0)
    unit = np.concatenate([np.full(9, 1e-3), np.ones(9), np.full(12, 10.0)])
    records = []
    for last, strain in zip([path[0], *path[:-1]], path, strict=True):
        sign = np.sign(strain - last)

        def slope(_, y, sign=sign):
            parts = rates(crystal, y[:9].reshape(3, 3), y[9:18].reshape(3, 3), y[18:], sign, loading, axis, strain_rate)
            return np.concatenate([np.ravel(part) for part in parts])

        if sign:
            steps = dict(method="LSODA", rtol=rtol, atol=rtol * unit, first_step=1e-7, max_step=1e-4)
            y = solve_ivp(slope, (0.0, abs(strain - last)), y, **steps).y[:, -1]
        Q = y[9:18].reshape(3, 3)
        stress = Q @ stress_of(crystal, y[:9].reshape(3, 3)) @ Q.T
        along = axis @ stress @ axis
        if loading == "taylor":
            along -= (np.trace(stress) - along) / 2
        records.append((along, np.mean((y[18:] / scale) ** 2), Q))
    return tuple(np.array(part) for part in zip(*records, strict=True))


def simulate_any(angles, time, gradients, crystal, rho0=1e12, rtol=1e-8):
    """Stress (n_steps, 3, 3) in the sample, MPa, mean density, sum of slip and rotation under velocity gradients.

    ``gradients`` (n_steps - 1, 3, 3) in 1/s.
    """
    schmid, skew = systems()
    scale = crystal.forest_coefficient * crystal.shear_modulus * 1e3 * crystal.burgers * 1e-9
    y = np.concatenate([np.zeros(9), Rotation.from_euler("ZXZ", angles).as_matrix().ravel(), np.zeros(13)])
    y[18:30] = scale * np.sqrt(rho0)
    unit = np.concatenate([np.full(9, 1e-3), np.ones(9), np.full(12, 10.0), [1.0]])
    records = []
    for t in range(len(time)):
        if t and time[t] > time[t - 1]:
            L = gradients[t - 1]
            D, W = (L + L.T) / 2, (L - L.T) / 2

            def slope(_, y, D=D, W=W):
                strain, Q, forest = y[:9].reshape(3, 3), y[9:18].reshape(3, 3), y[18:30]
                slip = slip_rates(crystal, stress_of(crystal, strain), forest, 1.0)
                Dp, Wp = np.einsum("a,aij->ij", slip, schmid), np.einsum("a,aij->ij", slip, skew)
                spin = Q.T @ W @ Q - Wp - (strain @ Dp - Dp @ strain)
                rate = Q.T @ D @ Q - Dp - (strain @ Wp - Wp @ strain)
                parts = rate, Q @ spin, storage(crystal, forest, slip), np.abs(slip).sum()
                return np.concatenate([np.ravel(part) for part in parts])

            most = 1e-4 / max(np.abs(L).max(), 1e-6)
            steps = dict(method="LSODA", rtol=rtol, atol=rtol * unit, first_step=1e-3 * most, max_step=most)
            y = solve_ivp(slope, (0.0, time[t] - time[t - 1]), y, **steps).y[:, -1]
        Q = y[9:18].reshape(3, 3)
        stress = Q @ stress_of(crystal, y[:9].reshape(3, 3)) @ Q.T
        records.append((stress, np.mean((y[18:30] / scale) ** 2), y[30], Q))
    return tuple(np.array(part) for part in zip(*records, strict=True))


def basis(crystal):
    """Deviators that are orthonormal and diagonal in cubic elasticity, and their elastic constants, MPa."""
    diagonal = [np.diag([1, -1, 0]) / np.sqrt(2), np.diag([-1, -1, 2]) / np.sqrt(6)]
    shear = [
        (np.eye(3)[[i]].T * np.eye(3)[j] + np.eye(3)[[j]].T * np.eye(3)[i]) / np.sqrt(2)
        for i, j in ((1, 2), (0, 2), (0, 1))
    ]
    constants = np.array([crystal.C11 - crystal.C12] * 2 + [2 * crystal.C44] * 3) * 1e3
    return np.array(diagonal + shear), constants


def left_over(crystal, loading, axis, Q, forest, r, h, sign, u, strain_rate):
    """r + h du/de - u of one implicit stage in energy coordinates, u = stress / sqrt(elastic constant)."""
    n = Q.T @ axis
    B, c = basis(crystal)
    schmid = systems()[0]
    if loading == "taylor":
        stress = np.einsum("i,ijk->jk", np.sqrt(c) * u, B)
        D = sign * (1.5 * np.outer(n, n) - 0.5 * np.eye(3))
        slip = slip_rates(crystal, stress, forest, strain_rate)
        flow = D - np.einsum("a,aij->ij", slip, schmid)
        return r + h * np.sqrt(c) * np.einsum("ijk,jk->i", B, flow) - u
    root_E = np.sqrt(crystal.young_modulus(n) * 1e3)
    slip = slip_rates(crystal, root_E * u[0] * np.outer(n, n), forest, strain_rate)
    return r + h * root_E * (sign - np.einsum("a,aij,i,j->", slip, schmid, n, n)) - u
