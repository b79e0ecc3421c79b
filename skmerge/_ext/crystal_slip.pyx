"""Crystal plasticity of FCC single crystals along a path: implicit, adaptive, one crystal at a time.

Stress is implicit (`crystal_law`). Orientation and the forest stress f = a G b sqrt(rho) of every system are not stiff;
they are explicit stages of the same Runge-Kutta method.
"""

from collections import namedtuple

import numpy as np

from cpython.exc cimport PyErr_CheckSignals
from libc.math cimport NAN, ceil, fabs, fmax, fmin, isfinite, pow, sqrt
from libc.string cimport memcpy, memset

from skmerge._ext.crystal_law cimport (
    SYSTEMS,
    Frame,
    Grain,
    Law,
    Rates,
    constant_frame,
    deviator_of,
    linearise,
    rates_of,
    resolved,
    set_frame,
    set_gradient,
    slow_rates,
    solve,
    stress_of,
    substitute,
)

# Integrated crystals: stress along the axis, or xx, yy, zz, yz, xz, xy of the deviator in the sample, (n, n_steps, 1 or
# 6), the mean square of forest stress over the systems and the sum of all slip (n, n_steps), orientation
# (n, n_steps, 4), and the strain, or time, (n,) at which a crystal did not converge, NaN if it did.
Paths = namedtuple("Paths", "stress forest_squares slip orientation failed", module=__name__)

cdef enum:
    STAGES = 4
    SIGNALS = 2000  # sub-steps between checks for Ctrl-C, some 10 ms

# ARK3(2)4L[2]SA of C. A. Kennedy and M. H. Carpenter, Appl. Numer. Math. 44, 139 (2003): implicit and explicit parts,
# weights (the last implicit stage) and the difference to those of the embedded method.
cdef double DIAGONAL = 1767732205903.0 / 4055673282236.0
cdef double[4][4] IMPLICIT = [
    [0.0, 0.0, 0.0, 0.0],
    [1767732205903.0 / 4055673282236.0, 1767732205903.0 / 4055673282236.0, 0.0, 0.0],
    [2746238789719.0 / 10658868560708.0, -640167445237.0 / 6845629431997.0, 1767732205903.0 / 4055673282236.0, 0.0],
    [1471266399579.0 / 7840856788654.0, -4482444167858.0 / 7529745528177.0, 11266239266428.0 / 11593286722821.0,
     1767732205903.0 / 4055673282236.0],
]
cdef double[4][4] EXPLICIT = [
    [0.0, 0.0, 0.0, 0.0],
    [1767732205903.0 / 2027836641118.0, 0.0, 0.0, 0.0],
    [5535828885825.0 / 10492691773637.0, 788022342437.0 / 10882634858940.0, 0.0, 0.0],
    [6485989280629.0 / 16251701735622.0, -4246266847089.0 / 9704473918619.0, 10755448449292.0 / 10357097424841.0, 0.0],
]
cdef double[4] EMBEDDED = [
    2756255671327.0 / 12835298489170.0, -10771552573575.0 / 22201958757719.0, 9247589265047.0 / 10645013368117.0,
    2193209047091.0 / 5459859503100.0,
]


cdef double attempt(const Law *law, Grain *grain, double sign, double h, Frame *frame) noexcept nogil:
    # One step of length h, which changes the grain; the error relative to slip resistance and one radian, infinite if
    # Newton's method fails.
    cdef Rates[STAGES] rates
    cdef Grain start = grain[0], at
    cdef double[5] r
    cdef double[5] e
    cdef double[25] J
    cdef double[SYSTEMS] tau
    cdef double error = 0.0, weight, part
    cdef int i, j, s, a, k = law.k
    set_frame(law, start.q, sign, frame)
    rates_of(law, frame, &start, &rates[0])
    at = start
    for s in range(1, STAGES):
        memcpy(r, start.u, sizeof(r))
        memcpy(at.f, start.f, sizeof(at.f))
        memcpy(at.q, start.q, sizeof(at.q))
        for j in range(s):
            weight = h * IMPLICIT[s][j]
            for i in range(k):
                r[i] += weight * rates[j].u[i]
            weight = h * EXPLICIT[s][j]
            for i in range(k):
                r[i] += weight * rates[j].turned[i]
            for a in range(SYSTEMS):
                at.f[a] += weight * rates[j].f[a]
            for i in range(4):
                at.q[i] += weight * rates[j].q[i]
        for a in range(SYSTEMS):
            at.f[a] = fmax(at.f[a], 0.0)
        set_frame(law, at.q, sign, frame)
        if not solve(law, frame, at.f, r, h * DIAGONAL, at.u, rates[s].slip, J):
            return 1e300
        for i in range(k):
            rates[s].u[i] = (at.u[i] - r[i]) / (h * DIAGONAL)
        slow_rates(law, frame, at.u, at.f, at.q, &rates[s])
    memcpy(grain.u, at.u, sizeof(at.u))
    memset(e, 0, sizeof(e))
    for s in range(STAGES):
        weight = h * (IMPLICIT[STAGES - 1][s] - EMBEDDED[s])
        for i in range(k):
            e[i] += weight * (rates[s].u[i] + rates[s].turned[i])
        weight = h * (IMPLICIT[STAGES - 1][s] - EXPLICIT[STAGES - 1][s])
        for i in range(k):
            grain.u[i] += weight * rates[s].turned[i]
        weight = h * IMPLICIT[STAGES - 1][s]
        for a in range(SYSTEMS):
            grain.f[a] += weight * rates[s].f[a]
        for i in range(4):
            grain.q[i] += weight * rates[s].q[i]
        for a in range(SYSTEMS):
            grain.slip += weight * fabs(rates[s].slip[a])
    substitute(k, J, e)  # the stiff part of the error decays at once
    resolved(k, &frame.P[0][0], e, tau)
    for a in range(SYSTEMS):
        part = 0.0
        for s in range(STAGES):
            part += (IMPLICIT[STAGES - 1][s] - EMBEDDED[s]) * rates[s].f[a]
        part = fmax(fabs(h * part), fabs(at.f[a] - grain.f[a]))  # the stress is that of the last stage
        error = fmax(error, fmax(fabs(tau[a]), part) / (law.tau0 + grain.f[a]))
        grain.f[a] = fmax(grain.f[a], 0.0)
    weight = 0.0
    for i in range(4):
        part = 0.0
        for s in range(STAGES):
            part += (IMPLICIT[STAGES - 1][s] - EMBEDDED[s]) * rates[s].q[i]
        error = fmax(error, 2.0 * fmax(fabs(h * part), fabs(at.q[i] - grain.q[i])))
        weight += grain.q[i] * grain.q[i]
    for i in range(4):
        grain.q[i] /= sqrt(weight)
    for a in range(SYSTEMS):  # fmax ignores NaN
        weight += grain.f[a] + fabs(tau[a])
    return error if isfinite(error) and isfinite(weight) else 1e300


cdef double follow(const Law *law, Grain *grain, double length, double sign, double tol, int max_substeps,
                   double *next_h, const int *cancelled, int *since_check) except -1.0 nogil:
    # Steps of the grain over a length of the path; returns what is done, less than the length where a step fails or a
    # stop is asked for.
    cdef Grain trial
    cdef Frame frame
    cdef double done = 0.0, h, error
    cdef int taken = 0
    constant_frame(law, &frame)
    next_h[0] = fmax(next_h[0], 1e-8)  # an increment of rounding errors does not shorten the next
    while done < length:
        if cancelled[0]:
            break
        since_check[0] += 1
        if since_check[0] >= SIGNALS:
            since_check[0] = 0
            with gil:
                PyErr_CheckSignals()
        taken += 1
        # Steps of equal length to the end, so that no short one remains.
        h = (length - done) / ceil((length - done) / next_h[0])
        if taken > max_substeps or not h > fmin(1e-14, 1e-6 * length):
            break
        trial = grain[0]
        error = attempt(law, &trial, sign, h, &frame) / tol
        if error <= 1.0:
            grain[0] = trial
            done = done + h if h < length - done else length
        next_h[0] = h * (fmin(fmax(0.9 * pow(error + 1e-10, -1.0 / 3.0), 0.2), 4.0) if error < 1e290 else 0.25)
    return done


cdef class SlipLaw:
    """Checked constants of a crystal and its loading, which integrate crystals along strain; never stored.

    Parameters
    ----------
    schmid : (5, 12), deviatoric basis x systems
    spin : (3, 12), half of direction x normal
    interaction : (12, 12), storage on system a by slip b
    stiffness : (3,), C11 - C12, 2 C44, 3 (C11 + 2 C12)
    flow : (5,), n, gdot0 / strain rate, tau0, storage and recovery of forest stress per slip
    axis : (3,), of length one, in the sample.
    taylor : whether the whole strain is given, or the strain along the axis alone.
    """

    cdef Law law

    def __init__(self, const double[:, ::1] schmid, const double[:, ::1] spin, const double[:, ::1] interaction,
                 const double[::1] stiffness, const double[::1] flow, const double[::1] axis, bint taylor):
        cdef Law law
        cdef int a, b, i
        if (np.shape(schmid) != (5, SYSTEMS) or np.shape(spin) != (3, SYSTEMS)
                or np.shape(interaction) != (SYSTEMS, SYSTEMS)
                or stiffness.shape[0] != 3 or flow.shape[0] != 5 or axis.shape[0] != 3):
            raise ValueError("the arrays of the law must be (5, 12), (3, 12), (12, 12), (3,), (5,) and (3,).")
        memcpy(law.schmid, &schmid[0, 0], sizeof(law.schmid))
        memcpy(law.spin, &spin[0, 0], sizeof(law.spin))
        memcpy(law.axis, &axis[0], sizeof(law.axis))
        for i in range(5):
            law.root_c[i] = sqrt(stiffness[0] if i < 2 else stiffness[1])
        for a in range(SYSTEMS):
            for b in range(SYSTEMS):
                law.interaction[b][a] = interaction[a, b]
        law.hydrostatic = stiffness[2]
        law.n, law.slip_rate, law.tau0, law.storage, law.recovery = flow[0], flow[1], flow[2], flow[3], flow[4]
        law.k = 5 if taylor else 1
        self.law = law

    def stage(self, const double[::1] quaternion, const double[::1] forest, const double[::1] r, double h, double sign,
              const double[::1] u):
        """Residual of the implicit equation u = r + h du/de at u, and its derivative, (k, k), lower triangle."""
        cdef Law law = self.law
        cdef Frame frame
        cdef double[SYSTEMS] tau
        cdef double[SYSTEMS] rate
        cdef double[5] residual
        cdef double[25] J
        if not (quaternion.shape[0] == 4 and forest.shape[0] == SYSTEMS and r.shape[0] == law.k
                and u.shape[0] == law.k):
            raise ValueError("quaternion, forest, r and u do not fit together.")
        constant_frame(&law, &frame)
        set_frame(&law, &quaternion[0], sign, &frame)
        resolved(law.k, &frame.P[0][0], &u[0], tau)
        memset(J, 0, sizeof(J))
        linearise(&law, &frame, &forest[0], &r[0], h, &u[0], tau, rate, residual, J)
        return ([residual[i] for i in range(law.k)], [[-J[5 * i + j] for j in range(law.k)] for i in range(law.k)])

    def integrate(self, const double[:, ::1] quaternion, const double[:, ::1] forest, const double[:, ::1] strain,
                  double tol, int max_substeps, const int[::1] cancelled):
        """Integrate crystals along their strain paths, without load at the start.

        From quaternions (n, 4), crystal to sample, scalar last, forest stress (n, 12) and strain (n or 1, n_steps); tol
        is the error of a sub-step, max_substeps counts those in one recorded step, cancelled (1,) is not 0 to stop.
        Return Paths.
        """
        return self._integrated(quaternion, forest, strain, None, tol, max_substeps, cancelled)

    def integrate_any(self, const double[:, ::1] quaternion, const double[:, ::1] forest, const double[:, ::1] time,
                      const double[:, :, :, ::1] gradient, double tol, int max_substeps, const int[::1] cancelled):
        """The same under velocity gradients (n or 1, n_steps - 1, 3, 3) in 1/s, between times (n or 1, n_steps) in s.

        The rate of slip in ``flow`` is in 1/s.
        """
        if not (self.law.k == 5 and np.shape(gradient)[1:] == (time.shape[1] - 1, 3, 3)):
            raise ValueError("time and gradient do not fit together.")
        return self._integrated(quaternion, forest, time, gradient, tol, max_substeps, cancelled)

    def _integrated(self, const double[:, ::1] quaternion, const double[:, ::1] forest, const double[:, ::1] path,
                    const double[:, :, :, ::1] gradient, double tol, int max_substeps, const int[::1] cancelled):
        cdef Law law = self.law
        cdef Py_ssize_t n = quaternion.shape[0], n_steps = path.shape[1], r, own, own_gradient = 0, t, i
        cdef Grain grain
        cdef Frame frame
        cdef double length, done, sign, next_h, squares, unit = 1.0
        cdef int since_check = 0, failing
        law.is_any = gradient is not None
        if law.is_any:
            own_gradient = gradient.shape[0]
        if not (quaternion.shape[1] == 4 and forest.shape[0] == n and forest.shape[1] == SYSTEMS
                and path.shape[0] in (1, n) and own_gradient in (0, 1, n) and n_steps and cancelled.shape[0] == 1):
            raise ValueError("quaternion, forest, strain and cancelled do not fit together.")
        cdef double[:, :, ::1] stress = np.empty((n, n_steps, 6 if law.is_any else 1))
        cdef double[:, ::1] forest_squares = np.empty((n, n_steps)), slip_sum = np.empty((n, n_steps))
        cdef double[:, :, ::1] orientation = np.empty((n, n_steps, 4))
        cdef double[::1] failed = np.empty(n)
        with nogil:
            constant_frame(&law, &frame)
            for r in range(n):
                own = r if path.shape[0] > 1 else 0
                memset(&grain, 0, sizeof(Grain))
                memcpy(grain.q, &quaternion[r, 0], sizeof(grain.q))
                memcpy(grain.f, &forest[r, 0], sizeof(grain.f))
                failed[r], failing = NAN, 0
                next_h = 1e-4
                for t in range(n_steps):
                    if t and not failing:
                        length = path[own, t] - path[own, t - 1]
                        sign = 1.0 if length > 0.0 else -1.0
                        length = fabs(length)
                        if law.is_any:
                            unit = set_gradient(&law, &gradient[r if own_gradient > 1 else 0, t - 1, 0, 0],
                                                self.law.slip_rate)
                            length *= unit
                        done = follow(&law, &grain, length, sign, tol, max_substeps, &next_h, &cancelled[0],
                                      &since_check)
                        if done < length and not cancelled[0]:
                            failing = 1
                            failed[r] = path[own, t - 1] + sign * done / unit
                    if cancelled[0]:
                        break
                    squares = 0.0
                    for i in range(SYSTEMS):
                        squares += grain.f[i] * grain.f[i]
                    if law.is_any:
                        deviator_of(&law, &grain, &stress[r, t, 0])
                    else:
                        stress[r, t, 0] = stress_of(&law, &grain, &frame)
                    forest_squares[r, t], slip_sum[r, t] = squares / SYSTEMS, grain.slip
                    for i in range(4):
                        orientation[r, t, i] = grain.q[i]
                    if failing:
                        stress[r, t, :] = NAN
                        forest_squares[r, t] = slip_sum[r, t] = NAN
                        orientation[r, t, :] = NAN
                if cancelled[0]:
                    break
        return Paths(*map(np.asarray, (stress, forest_squares, slip_sum, orientation, failed)))
