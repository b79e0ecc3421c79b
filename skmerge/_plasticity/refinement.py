"""The law of slip refined by whole trajectories: constants by least squares through the steps.

Rates read off neighbouring records suffer from noise: 1 % of the stress lowers the exponent by a twentieth, since a
power of what scatters is not the power of its mean. A path from the first record on scatters with the records only.
"""

import numpy as np
from scipy.optimize import least_squares

from skmerge._ext.grain_stepping import GrainLaw
from skmerge._lattice import STEP_TOL, deviator, symmetric, tensors
from skmerge._plasticity.slip_law import SLIP_RATE, state_rows

NODES = 33  # of the tables of g and k
MOST_GRAINS = 60  # trajectories that are stepped, evenly spaced
LOSS = 0.03  # of the stress: a greater error, of grains that pass between two vertices, counts less
ROUNDS = 12
# Median angle in degrees between the plastic strain and that of the law, from which on records count as noisy: without
# noise 0.05 to 0.4, with 1 % of stress or half a degree 2.6 to 5. Without noise rates are the better witness: the
# records of another code, whose kinematics differ, lost a factor of three on paths with reversals.
NOISY = 1.0


def refined(records, systems, found):
    """Found with exponent, resistance and storage for which paths from the first records meet the others best.

    The exponent, and g and k times exp(a + b x), x from -1 to 1 over the trained sqrt(rho), are varied. Found as it is
    where records are not noisy, or fewer than half of the trajectories are whole.
    """
    if found.misfit < NOISY:
        return found
    whole = np.isfinite(records.root).all(axis=1) & np.isfinite(records.stress).all(axis=(1, 2))
    if 2 * whole.sum() < len(whole) or whole.sum() < 2:
        return found
    records = records.part(np.flatnonzero(whole)[:: -(-int(whole.sum()) // MOST_GRAINS)])
    P, spin = tensors(*systems)
    stiffness = np.nan_to_num(found.stiffness, nan=1.0)
    low, high = records.root.min(), records.root.max()
    nodes = np.linspace(low, high, NODES)
    place = 2 * (nodes - low) / (high - low) - 1
    g, k = (np.polynomial.Polynomial.fit(found.root, value, 2)(nodes) for value in (found.resistance, found.storage))
    g = np.maximum(g, 0.1 * found.resistance.min())  # a parabola may leave what it was fitted to
    given = deviator(symmetric(records.stress)).transpose(1, 2, 0)
    size = np.sqrt((given**2).sum(axis=-1)).mean()
    gradient = np.ascontiguousarray(without_volume(records.gradient))
    time = np.ascontiguousarray(records.time)
    start = state_rows(*records.start(np.s_[:, 0]), stiffness)

    def table(p):
        return g * np.exp(p[1] + p[2] * place), k * np.exp(p[3] + p[4] * place)

    def residual(p):
        values = [part for one in table(p) for part in (one, np.gradient(one, nodes))]
        hardening = np.concatenate([[nodes[0], nodes[1] - nodes[0]], *values])
        flow = np.array([found.exponent * np.exp(p[0]), SLIP_RATE])
        state = start.copy()
        law = GrainLaw(P, spin, stiffness, flow, None, hardening, tol=STEP_TOL)
        steps = law.integrate(state, time, gradient, np.zeros(1, np.int32))
        stress = deviator(symmetric(steps.stress)).transpose(1, 2, 0)
        error = np.concatenate([(stress - given) / size, np.log(steps.hardening / records.root[..., None])], axis=-1)
        return np.nan_to_num(error[:, 1:], nan=1.0).ravel()

    how = {"diff_step": 1e-4, "loss": "soft_l1", "f_scale": LOSS, "max_nfev": ROUNDS, "bounds": (-1, 1)}
    best = least_squares(residual, np.zeros(5), **how).x
    x = 2 * (found.root - low) / (high - low) - 1
    return found._replace(
        exponent=float(found.exponent * np.exp(best[0])),
        resistance=found.resistance * np.exp(best[1] + best[2] * x),
        storage=found.storage * np.exp(best[3] + best[4] * x),
    )


def without_volume(gradient):
    """Velocity gradients (..., 3, 3) without change of volume: pressure is no part of slip."""
    return gradient - np.eye(3) * np.trace(gradient, axis1=-2, axis2=-1)[..., None, None] / 3
