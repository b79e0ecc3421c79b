"""Grains under mixed conditions: part of the velocity gradient is given, and where it is not no stress acts."""

import numpy as np

from skmerge._ext.grain_stepping import Steps

VOIGT = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))  # the order of stresses and tangents
FREE_TOL = 1e-7  # greatest stress where none acts, over the size of the deviator
MOST_ROUNDS, EIGHTHS = 40, 3
OVERSHOT = 0.5  # work along the line, over that at its start with the other sign, that calls for a shorter change


def integrate_free(laws, state, time, gradient, free, scale, cuts, cancelled):
    """As `GrainLaw.integrate`, with entries of the velocity gradient that are solved for, ``free`` (3, 3) of bool.

    Also the velocity gradients (n, n_steps - 1, 3, 3) of the steps. ``scale``: a stress in MPa below which accuracy
    does not matter; ``cuts``: how often a step may be halved. Entries of ``gradient`` count where
    they are not free; where both of a pair are, their difference. ``laws``: two, of which the second, without a
    tolerance, takes eighths of a step and less: pieces of the first make the stress jump where their number changes.
    """
    law = laws[0]
    n, n_steps, own = len(state), time.shape[1], law.row - 11
    found = Steps(
        *(np.full((n, n_steps, width), np.nan) for width in (6, own)),
        np.full((n, n_steps), np.nan),
        np.full((n, n_steps, 4), np.nan),
        *np.zeros((2, n), np.int32),
    )
    known, parts, places = unknowns(gradient, free)
    solved = np.full((n, n_steps - 1, 3, 3), np.nan)
    rows, stress, last, rate = np.arange(n), law.stress(state), None, None
    for t in range(n_steps):
        if cancelled[0]:
            break
        if t:
            dt = np.ascontiguousarray(np.broadcast_to(time[:, t] - time[:, t - 1], n)[rows])
            base = np.broadcast_to(known[:, t - 1], (n, 3, 3))[rows]
            start = first_guess(base, last, rate, parts)
            after, stress, rate, good = advance(laws, state, dt, base, start, parts, places, scale, stress, cuts)
            found.failed[rows[~good]] = t
            rows, state, stress, rate, last = (part[good] for part in (rows, after, stress, rate, base))
            solved[rows, t - 1] = base[good] + np.einsum("nk,kij->nij", rate, parts)
        found.stress[rows, t], found.hardening[rows, t], found.slip[rows, t] = stress, state[:, 11:], state[:, 10]
        found.orientation[rows, t] = state[:, 5:9]
    return found, solved


def unknowns(gradient, free):
    """Velocity gradients without what is solved for, matrices (k, 3, 3) of the k unknowns, and their places in VOIGT.

    An unknown is a rate of D, for shear 2 D_ij; of two entries of which one is free, the other keeps its value.
    """
    known, parts, places = gradient.copy(), [], []
    for c, (i, j) in enumerate(VOIGT):
        if not (free[i, j] or free[j, i]):
            continue
        part = np.zeros((3, 3))
        if i == j:
            known[..., i, i], part[i, i] = 0.0, 1.0
        elif free[i, j] and free[j, i]:
            half = (gradient[..., i, j] - gradient[..., j, i]) / 2
            known[..., i, j], known[..., j, i], part[i, j], part[j, i] = half, -half, 0.5, 0.5
        else:
            a, b = (i, j) if free[i, j] else (j, i)
            known[..., a, b], part[a, b] = -gradient[..., b, a], 1.0
        parts.append(part)
        places.append(c)
    return known, np.array(parts), np.array(places)


def first_guess(base, last, rate, parts):
    """Unknown rates (n, k): those of the step before, in proportion to what is given, or of no change of volume."""
    D = base + np.swapaxes(base, 1, 2)
    normal = np.array([np.trace(part) for part in parts])
    guess = -np.trace(base, axis1=1, axis2=2)[:, None] * normal / max(normal.sum(), 1.0)
    if last is None:
        return guess
    before = last + np.swapaxes(last, 1, 2)
    square = (before**2).sum(axis=(1, 2))
    share = (before * D).sum(axis=(1, 2)) / np.where(square > 0, square, 1.0)
    return np.where((square > 0)[:, None], share[:, None] * rate, guess)


def advance(laws, state, dt, base, rate, parts, places, scale, stress, cuts, depth=0):
    """Step grains, in halves where no root is found. State, stress, rates and whether each has one."""
    law = laws[depth >= EIGHTHS]
    after, new, found, good = solve(law, state, dt, base, rate, parts, places, scale)
    still = dt == 0
    after[still], new[still], found[still], good[still] = state[still], stress[still], rate[still], True
    rest = np.flatnonzero(~good)
    for _ in range(2 if len(rest) and cuts else 0):
        first = not good[rest].any()
        from_state, from_rate = (state, rate) if first else (after, found)
        given = (a[rest] for a in (from_state, dt / 2, base, from_rate))
        part = advance(laws, *given, parts, places, scale, stress[rest], cuts - 1, depth + 1)
        for whole, half in zip((after, new, found, good), part, strict=True):
            whole[rest] = half
        if first:
            rest = rest[good[rest]]
            if not len(rest):
                break
    return after, new, found, good


def solve(law, state, dt, base, rate, parts, places, scale):
    """One step whose stress is zero at ``places``, by Newton's method on the unknown strains.

    The step is nearly the derivative of a convex function of the strain: changes are cut where the work of the free
    stresses along them has changed its sign, as it does far beyond a power law's root.
    """
    n, k = rate.shape
    time = np.where(dt > 0, dt, 1.0)[:, None]
    after, stress, good = state.copy(), np.zeros((n, 6)), np.zeros(n, bool)
    e, way, far, reach = rate * time, np.zeros((n, k)), np.full(n, np.inf), np.ones(n)  # e + reach way is tried
    low, work_low, work_0 = np.zeros(n), np.zeros(n), np.full(n, -np.inf)
    rows = np.flatnonzero(dt > 0)
    for _ in range(MOST_ROUNDS):
        tried = e[rows] + reach[rows, None] * way[rows]
        L = base[rows] + np.einsum("nk,kij->nij", tried / time[rows], parts)
        new = state[rows].copy()
        s, flags, tangent = law.step(np.ascontiguousarray(L), dt[rows], new, True)
        left = s[:, places]
        failed = (flags & 3) > 0
        deviator = s - np.array([1.0, 1, 1, 0, 0, 0]) * s[:, :3].mean(axis=1, keepdims=True)
        size = np.maximum(np.sqrt((deviator**2 * [1, 1, 1, 2, 2, 2]).sum(axis=1)), scale)
        done = ~failed & (np.abs(left).max(axis=1) <= FREE_TOL * size)
        now = rows[done]
        after[now], stress[now], e[now], good[now] = new[done], s[done], tried[done], True
        work = np.where(failed, np.inf, (left * way[rows]).sum(axis=1))
        beyond = ~done & (work > OVERSHOT * np.abs(work_0[rows]))
        b, w = rows[beyond], work[beyond]
        far[b] = reach[b]
        share = np.where(np.isfinite(w), np.clip(-work_low[b] / (w - work_low[b]), 0.1, 0.9), 0.3)
        reach[b] = low[b] + share * (far[b] - low[b])
        near = ~done & ~beyond & ~failed
        a = rows[near]
        e[a] = tried[near]
        matrix = tangent[near][:, places[:, None], places]
        try:
            way[a] = -np.linalg.solve(matrix, left[near][..., None])[..., 0]
        except np.linalg.LinAlgError:
            way[a] = -np.einsum("nij,nj->ni", np.linalg.pinv(matrix), left[near])
        low[a], reach[a], far[a] = 0.0, 1.0, np.inf
        work_low[a] = work_0[a] = (left[near] * way[a]).sum(axis=1)
        rows = rows[~done & (near | (reach[rows] > 1e-12))]
        if not len(rows):
            break
    return after, stress, e / time, good
