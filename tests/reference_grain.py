"""A slow, obvious NumPy twin of one step of many grains (grain_step.h): one grain, whole tensors, nested solvers."""

import numpy as np
import reference_crystal as reference
from scipy.spatial.transform import Rotation

GAMMA = 1 - 1 / np.sqrt(2)


def stage(crystal, b, before, f0, dt, v):
    """Root of b - u - GAMMA dt P' slip(P u, g) = 0, with g of all slip so far; u, slip rates and slip so far.

    For a given g it is the minimum of a convex function, which Newton's method with halved steps finds; g is iterated.
    """
    B, c = reference.basis(crystal)
    P = np.einsum("aij,kij->ak", reference.systems()[0], B) * np.sqrt(c)
    n, storage, recovery = crystal.rate_exponent, crystal._forest() * crystal.k1 / 2, crystal.k2 / 2
    u, total = v * (crystal.tau0 + f0), before
    for _ in range(200):
        decay = np.exp(-recovery * total)
        f = f0 * decay + (storage / recovery * (1 - decay) if recovery else storage * total)
        g = crystal.tau0 + f
        weight = GAMMA * dt * crystal.slip_rate

        def rates(u, g=g):
            return crystal.slip_rate * np.abs(P @ u / g) ** (n - 1) * (P @ u) / g

        def energy(u, g=g, weight=weight):
            with np.errstate(over="ignore"):
                return ((u - b) ** 2).sum() / 2 + weight * g / (n + 1) * (np.abs(P @ u / g) ** (n + 1)).sum()

        if energy(0 * u) < energy(u):
            u = 0 * u
        for _ in range(500):
            left = b - u - GAMMA * dt * P.T @ rates(u)
            slope = weight * n / g * np.abs(P @ u / g) ** (n - 1)
            step, part = np.linalg.solve(np.eye(5) + P.T @ (slope[:, None] * P), left), 1.0
            while energy(u + part * step) > energy(u) and part > 1e-12:
                part /= 2
            u = u + part * step
            if np.abs(P @ step).max() < 1e-12 * g:
                break
        new = before + GAMMA * dt * np.abs(rates(u)).sum()
        if abs(new - total) < 1e-14 * (1 + new):
            return u, rates(u), new, f, g
        total = new
    raise RuntimeError("the twin of a stage did not converge")


def skew(w):
    return np.array([[0, -w[2], w[1]], [w[2], 0, -w[0]], [-w[1], w[0], 0]])


def vector(A):
    return np.array([A[2, 1], A[0, 2], A[1, 0]])


def step(crystal, state, L, dt):
    """State (12,) after a step."""
    B, c = reference.basis(crystal)
    schmid, antisymmetric = reference.systems()
    P = np.einsum("aij,kij->ak", schmid, B) * np.sqrt(c)
    D, spin = (L + L.T) / 2, Rotation.from_rotvec
    W = vector((L - L.T) / 2)
    u0, q0, f0 = state[:5], Rotation.from_quat(state[5:9]), state[11]

    def strain(q):
        R = q.as_matrix()
        return np.sqrt(c) * np.einsum("kij,ij->k", B, R.T @ D @ R)

    def spins(u, slip):
        """Turn of the lattice per time, and what the plastic spin does to u."""
        E = np.einsum("k,kij->ij", u / np.sqrt(c), B)
        Dp, Wp = np.einsum("a,aij->ij", slip, schmid), np.einsum("a,aij->ij", slip, antisymmetric)
        return vector(-Wp - (E @ Dp - Dp @ E)), -np.sqrt(c) * np.einsum("kij,ij->k", B, E @ Wp - Wp @ E)

    # Slip at the start: of a stress that the first stage may have, and the part of it that the strain asks for.
    g = crystal.tau0 + f0
    b = u0 + GAMMA * dt * strain(q0)
    n, size = crystal.rate_exponent, np.linalg.norm(b)
    slip = GAMMA * dt * crystal.slip_rate
    widest = np.sqrt(12 / np.linalg.eigvalsh(P.T @ P).min())
    limits = (size**2 / (4 * g * slip)) ** (1 / (n + 1)), (widest * size / slip) ** (1 / n)
    x, v = P @ u0 / g, u0 / g
    limit = 1.02 * min(limits)
    shorter = min(1.0, limit / max(np.abs(x).max(), 1e-300))
    x, v = x * shorter, v * shorter
    slip = crystal.slip_rate * np.abs(x) ** (n - 1) * x
    w, turned = spins(u0, slip)
    plastic, whole = P.T @ slip / np.sqrt(c), strain(q0) / np.sqrt(c)
    part = np.clip(plastic @ whole / max(plastic @ plastic, 1e-280), 0, 1)

    q = spin(GAMMA * dt * W) * q0 * spin(GAMMA * dt * part * w)
    d1 = strain(q)
    b = u0 + GAMMA * dt * (d1 + part * turned)
    u1, slip1, _, _, _ = stage(crystal, b, 0.0, f0, dt, v)
    w1, turned = spins(u1, slip1)
    q = spin(dt * W) * q0 * spin(dt * w1)
    b = u0 + (1 - GAMMA) * dt * (d1 - P.T @ slip1) + GAMMA * dt * strain(q) + dt * turned
    u2, slip2, total, f, _ = stage(crystal, b, (1 - GAMMA) * dt * np.abs(slip1).sum(), f0, dt, v)
    w2, _ = spins(u2, slip2)
    q = spin(dt * W) * q0 * spin(dt * ((1 - GAMMA) * w1 + GAMMA * w2))
    bulk = (crystal.C11 + 2 * crystal.C12) / 3 * 1e3
    return np.concatenate([u2, q.as_quat(), [state[9] + bulk * np.trace(L) * dt, state[10] + total, f]])
