"""Steps of crystals along strain with rates from a table.

The table holds coefficients of cubic B-splines on a regular grid of two coordinates of the loading axis, b_1 / b_3 and
b_2 / b_3 with |a| sorted as b_1 <= b_2 <= b_3 in crystal coordinates, and of u = sqrt(rho): flow stress S, storage
K = du / d eps_p, rotation W per plastic strain (a vector in the frame of the crystal), elastic modulus E. In a step
h = |d eps| of sign d the stress follows from

    d sigma' - d sigma = E h (1 - sgn(x) |x|^n),   d sigma' = S x,

implicitly, because the stress relaxes within 0.1 % of strain; the plastic part of the step, p h with
p = 1 - (d sigma' - d sigma) / (E h), drives density and rotation.
"""

import numpy as np

from cpython.exc cimport PyErr_CheckSignals
from libc.math cimport atan2, ceil, cos, fabs, fmax, fmin, hypot, isfinite, NAN, pow, round, sin, sqrt
from libc.string cimport memcpy

from skmerge._ext.types cimport clones

cdef enum:
    OUT = 6         # S, K, W (3), E
    STATE = 9       # sigma, rho, quaternion x, y, z, w, axis of loading in the crystal at the start of the path
    FIRST = 6       # of the axis at the start
    BLOCK = 64      # grains stepped side by side: the output of a step is contiguous
    SIGNALS = 100000  # substeps between checks for Ctrl-C, 0.1 s

cpdef enum:  # flags of a grain, which add up
    OUTSIDE = 1     # left the states of the training
    REVERSED = 2    # strained in an untrained direction
    LONG = 4        # a step longer than any trained one
    ELSEWHERE = 8   # started at an untrained density, for the caller to find
    LOST = 16       # the state after the step is not finite

cdef double PI = 3.141592653589793
cdef double MOST_STRESS = 1.5  # times the flow stress; crystals of three records bear up to 1.06 of the learned one
OVERLOAD = MOST_STRESS

cdef struct Table:
    const double *table             # (parts, n_axis, n_axis, n_density, OUT)
    const unsigned char *reached    # (parts, n_axis - 3, n_axis - 3, n_density - 3)
    Py_ssize_t n_axis, n_density
    int part[2]                     # of falling and of rising strain
    int trained[2]
    double low, step, u_low, u_step, u_least, u_most
    double exponent, longest
    double axis[3]
    int heun, memory


cdef inline double weights(double t, Py_ssize_t n, double *w, Py_ssize_t *first) noexcept nogil:
    # Weights of the four B-splines that reach t, in units of the grid; returns t within the grid.
    cdef Py_ssize_t i
    cdef double f, g
    t = fmin(fmax(t, 0.0), n - 3.0)
    i = <Py_ssize_t>t
    i = min(i, n - 4)
    f = t - i
    g = 1.0 - f
    w[0] = g * g * g / 6.0
    w[1] = (3.0 * f * f * f - 6.0 * f * f + 4.0) / 6.0
    w[2] = (3.0 * g * g * g - 6.0 * g * g + 4.0) / 6.0
    w[3] = f * f * f / 6.0
    first[0] = i
    return t


cdef clones rates(const Table *m, const double *q, const double *first, double u, int rising, double *y,
                  int *flags) noexcept nogil:
    # y: S, K, W in the frame of the crystal, E. Flags states outside the training.
    cdef double a[3]
    cdef double t[3]
    cdef double wp[4]
    cdef double wq[4]
    cdef double wu[4]
    cdef double sums[4 * OUT]
    cdef double reduced[3]
    cdef int order[3]
    cdef int i, j, k, parity = 1
    cdef double w, det
    cdef Py_ssize_t ip, iq, iu, part = m.part[rising]
    cdef const double *c
    if m.memory:
        a[0], a[1], a[2] = first[0], first[1], first[2]
    else:  # the axis in crystal coordinates: turned by the inverse of q
        for i in range(3):
            j, k = (i + 1) % 3, (i + 2) % 3
            t[i] = 2.0 * (m.axis[j] * q[k] - m.axis[k] * q[j])
        for i in range(3):
            j, k = (i + 1) % 3, (i + 2) % 3
            a[i] = m.axis[i] + q[3] * t[i] + t[j] * q[k] - t[k] * q[j]
    order[0], order[1], order[2] = 0, 1, 2
    for k in range(3):  # two neighbours at a time: 0 and 1, 1 and 2, 0 and 1
        i = k % 2
        if fabs(a[order[i]]) > fabs(a[order[i + 1]]):
            j = order[i]
            order[i] = order[i + 1]
            order[i + 1] = j
            parity = -parity
    det = parity
    for i in range(3):
        if a[i] < 0:
            det = -det
    w = 1.0 / fabs(a[order[2]])
    weights((fabs(a[order[0]]) * w - m.low) / m.step, m.n_axis, wp, &ip)
    weights((fabs(a[order[1]]) * w - m.low) / m.step, m.n_axis, wq, &iq)
    weights((u - m.u_low) / m.u_step, m.n_density, wu, &iu)
    for k in range(4 * OUT):
        sums[k] = 0.0
    for i in range(4):
        for j in range(4):
            w = wp[i] * wq[j]
            c = m.table + (((part * m.n_axis + ip + i) * m.n_axis + iq + j) * m.n_density + iu) * OUT
            for k in range(4 * OUT):
                sums[k] += w * c[k]
    for k in range(OUT):
        y[k] = wu[0] * sums[k] + wu[1] * sums[OUT + k] + wu[2] * sums[2 * OUT + k] + wu[3] * sums[3 * OUT + k]
    for i in range(3):
        reduced[i] = y[2 + i]
    for i in range(3):
        y[2 + order[i]] = det * reduced[i] if a[order[i]] >= 0 else -det * reduced[i]
    ip = ((part * (m.n_axis - 3) + ip) * (m.n_axis - 3) + iq) * (m.n_density - 3) + iu
    if not m.reached[ip] or u < m.u_least or u > m.u_most:
        flags[0] |= OUTSIDE


cdef inline double relative_stress(double before, double S, double H, double n) noexcept nogil:
    # x of S x + H sgn(x) |x|^n = before + H. Both sides are odd, and the left one is convex for x > 0: Newton's method
    # converges from above.
    cdef double b = fabs(before + H), x, power, change
    cdef int _i
    x = b / S
    if x > 1.0 and H > 0:
        x = fmin(x, pow(b / H, 1.0 / n))
    for _i in range(60):
        power = H * pow(x, n - 1.0)
        change = (S * x + power * x - b) / (S + n * power)
        x -= change
        if fabs(change) <= 1e-9 * x:  # the next change would be 1e-17
            break
    return x if before + H >= 0 else -x


cdef inline void turn(const double *q, double wx, double wy, double wz, double *out) noexcept nogil:
    # q times the rotation by the vector w, in the frame of the crystal.
    cdef double angle = sqrt(wx * wx + wy * wy + wz * wz), s, c, norm
    cdef int i
    if angle < 1e-4:
        s, c = 0.5 - angle * angle / 48.0, 1.0 - angle * angle / 8.0
    else:
        s, c = sin(0.5 * angle) / angle, cos(0.5 * angle)
    wx, wy, wz = s * wx, s * wy, s * wz
    out[0], out[1], out[2], out[3] = (
        q[3] * wx + q[0] * c + q[1] * wz - q[2] * wy,
        q[3] * wy - q[0] * wz + q[1] * c + q[2] * wx,
        q[3] * wz + q[0] * wy - q[1] * wx + q[2] * c,
        q[3] * c - q[0] * wx - q[1] * wy - q[2] * wz,
    )
    norm = 1.0 / sqrt(out[0] * out[0] + out[1] * out[1] + out[2] * out[2] + out[3] * out[3])
    for i in range(4):
        out[i] *= norm


cdef inline double plastic_part(double before, double S, double H, double n, double *stress) noexcept nogil:
    stress[0] = S * relative_stress(before, S, H, n)
    return fmax(1.0 - (stress[0] - before) / H, 0.0)


def knee(const double[::1] before, const double[::1] S, const double[::1] H, double n):
    """Stress after steps of elastic increment H in the direction of loading, and the plastic part of each, (m,)."""
    cdef double[::1] stress = np.empty(before.shape[0]), part = np.empty(before.shape[0])
    cdef Py_ssize_t i
    if S.shape[0] != before.shape[0] or H.shape[0] != before.shape[0]:
        raise ValueError("before, S and H must have the same length.")
    for i in range(before.shape[0]):
        part[i] = plastic_part(before[i], S[i], H[i], n, &stress[i])
    return np.asarray(stress), np.asarray(part)


cdef inline (double, double) limits(double least, double most) noexcept nogil:
    cdef double margin = 0.1 * (most - least)
    return fmax(least - margin, 0.5 * least), most + margin


def root_limits(double least, double most):
    """Limits of sqrt(rho) in steps: the trained range, widened by a tenth; at least half of ``least``, which is > 0."""
    return limits(least, most)


cdef inline double bounded(const Table *m, double u) noexcept nogil:
    cdef (double, double) low_high = limits(m.u_least, m.u_most)
    return fmin(fmax(u, low_high[0]), low_high[1])


cdef int one_step(const Table *m, const double *state, double d_eps, double *out) noexcept nogil:
    # Returns flags.
    cdef double y[OUT]
    cdef double z[OUT]
    cdef double q[4]
    cdef double h = fabs(d_eps), d = 1.0 if d_eps >= 0 else -1.0, u = sqrt(state[1]), p, stress, f
    cdef int i, flags, rising = d_eps >= 0
    memcpy(out + FIRST, state + FIRST, (STATE - FIRST) * sizeof(double))
    if h == 0.0:
        memcpy(out, state, FIRST * sizeof(double))
        return 0
    flags = 0 if m.trained[rising] else REVERSED
    rates(m, state + 2, state + FIRST, u, rising, y, &flags)
    if fabs(state[0]) > MOST_STRESS * y[0]:
        flags |= OUTSIDE
    p = plastic_part(d * state[0], y[0], y[5] * h, m.exponent, &stress)
    if m.heun:
        f = d * h * p
        turn(state + 2, f * y[2], f * y[3], f * y[4], q)
        rates(m, q, state + FIRST, bounded(m, u + h * p * y[1]), rising, z, &flags)
        for i in range(1, OUT):
            y[i] = 0.5 * (y[i] + z[i])
        y[0] = z[0]
        p = plastic_part(d * state[0], y[0], y[5] * h, m.exponent, &stress)
    f = d * h * p
    turn(state + 2, f * y[2], f * y[3], f * y[4], out + 2)
    u = bounded(m, u + h * p * y[1])
    out[0], out[1] = d * stress, u * u
    return flags


cdef int step(const Table *m, const double *state, double d_eps, double substeps, double *out) noexcept nogil:
    cdef double now[STATE]
    cdef Py_ssize_t _k
    cdef int i, flags = 0
    memcpy(now, state, sizeof(now))
    for _k in range(<Py_ssize_t>substeps):
        flags |= one_step(m, now, d_eps / substeps, out)
        memcpy(now, out, sizeof(now))
    for i in range(FIRST):
        if not isfinite(out[i]):
            flags |= LOST
    if flags & LOST:
        for i in range(FIRST):
            out[i] = NAN
    return flags


cdef inline double n_substeps(const Table *m, double d_eps) noexcept nogil:
    # fmax ignores NaN.
    return fmax(fmin(ceil(fabs(d_eps) / m.longest - 1e-6), 1e4), 1.0)


cdef int step_with_tangent(const void *model, const double *state, double d_eps, double *out,
                           double *tangent) noexcept nogil:
    # The C function for finite-element programs: new state, d sigma / d eps by a central difference; returns flags.
    cdef const Table *m = <const Table *>model
    cdef double more[STATE]
    cdef double less[STATE]
    cdef double start[STATE]
    cdef double delta = 1e-4 * fmax(fabs(d_eps), 1e-6), substeps = n_substeps(m, d_eps)
    cdef int flags
    memcpy(start, state, sizeof(start))  # out may be the same memory
    flags = step(m, start, d_eps, substeps, out) | (LONG if substeps > 1.0 else 0)
    if tangent != NULL:
        if d_eps == 0.0:  # one-sided, for rising strain
            step(m, start, delta, 1.0, more)
            tangent[0] = (more[0] - start[0]) / delta
        else:
            step(m, start, d_eps + delta, substeps, more)
            step(m, start, d_eps - delta, substeps, less)
            tangent[0] = (more[0] - less[0]) / (2.0 * delta)
    return flags


cdef inline void write_angles(const double *q, double *angles) noexcept nogil:
    # Bunge angles of q, continuous with those in ``angles``. Half the sum and half the difference of phi1 and phi2 are
    # the phases of (w, z) and (x, y); if Phi is 0 or pi, one of them is undetermined and keeps its value.
    cdef double s = hypot(q[0], q[1]), c = hypot(q[2], q[3])
    cdef double half_sum = 0.5 * (angles[0] + angles[2]), half_difference = 0.5 * (angles[0] - angles[2]), new
    if not isfinite(s + c):  # a lost grain
        angles[0] = angles[1] = angles[2] = NAN
        return
    if c > 1e-12:
        new = atan2(q[2], q[3])
        half_sum = new + 2.0 * PI * round((half_sum - new) / (2.0 * PI))
    if s > 1e-12:
        new = atan2(q[1], q[0])
        half_difference = new + 2.0 * PI * round((half_difference - new) / (2.0 * PI))
    angles[0], angles[1], angles[2] = half_sum + half_difference, 2.0 * atan2(s, c), half_sum - half_difference


cdef class Flow:
    """A checked table, which steps crystals; keeps its arrays alive.

    Parameters
    ----------
    table : (parts, n_axis, n_axis, n_density, 6)
    reached : uint8 (parts, n_axis - 3, n_axis - 3, n_density - 3), cells with trained states
    grid : (6,), low and step of the axis, low and step of sqrt(rho), its least and greatest trained value
    part : int32 (2,), the part for falling and rising strain, -1 - part if it was trained on the other direction only
    exponent, axis, longest : of the knee, of the loading in the sample, of the trained strain steps
    heun : two stages, or one
    memory : whether rates depend on the axis at the start of a path, not on the current one
    """

    cdef Table model
    cdef object arrays

    def __init__(self, const double[:, :, :, :, ::1] table, const unsigned char[:, :, :, ::1] reached,
                 const double[::1] grid, const int[::1] part, double exponent, const double[::1] axis, double longest,
                 bint heun, bint memory=False):
        cdef Py_ssize_t n = table.shape[1], k = table.shape[3], i
        if (n < 4 or k < 4 or table.shape[0] < 1 or np.shape(table) != (table.shape[0], n, n, k, OUT)
                or np.shape(reached) != (table.shape[0], n - 3, n - 3, k - 3)
                or grid.shape[0] != 6 or part.shape[0] != 2 or axis.shape[0] != 3):
            raise ValueError("table_, reached_, grid_ and part_ do not fit together; the propagator is damaged, fit it "
                             "again.")
        for i in range(2):
            self.model.trained[i] = part[i] >= 0
            self.model.part[i] = part[i] if part[i] >= 0 else -1 - part[i]
            if self.model.part[i] >= table.shape[0]:
                raise ValueError("part_ names a part that table_ does not have; the propagator is damaged, fit it "
                                 "again.")
        if not (grid[1] > 0 and grid[3] > 0 and exponent >= 1 and longest > 0):
            raise ValueError("grid_, exponent_ or longest_step_ hold impossible numbers; the propagator is damaged, "
                             "fit it again.")
        self.arrays = (table, reached)
        self.model.table, self.model.reached = &table[0, 0, 0, 0, 0], &reached[0, 0, 0, 0]
        self.model.n_axis, self.model.n_density = n, k
        self.model.low, self.model.step, self.model.u_low, self.model.u_step = grid[0], grid[1], grid[2], grid[3]
        self.model.u_least, self.model.u_most = grid[4], grid[5]
        self.model.exponent, self.model.longest = exponent, longest
        self.model.heun, self.model.memory = heun, memory
        for i in range(3):
            self.model.axis[i] = axis[i]

    @property
    def address(self):
        """Address of the model, the first argument of the function."""
        return <size_t>&self.model

    @property
    def function(self):
        """Address of ``int step(const void *model, const double state[9], double d_eps, double new_state[9], double
        *tangent)``."""
        return <size_t>&step_with_tangent

    def rates(self, const double[:, ::1] state, const int[::1] rising, double[:, ::1] out):
        """S, K, W, E of states (n, 9) for falling (0) or rising (1) strain: out (n, 6)."""
        cdef Py_ssize_t i
        cdef int flags
        for i in range(state.shape[0]):
            rates(&self.model, &state[i, 2], &state[i, FIRST], sqrt(state[i, 1]), rising[i] > 0, &out[i, 0], &flags)

    def step(self, const double[:, ::1] state, const double[::1] d_eps, double[:, ::1] out, double[::1] tangent):
        """One step of every state (n, 9), as the C function does it."""
        cdef Py_ssize_t i, n = state.shape[0]
        if (state.shape[1] != STATE or d_eps.shape[0] != n or out.shape[0] != n or out.shape[1] != STATE
                or tangent.shape[0] != n):
            raise ValueError("state and out are (n, 9), d_eps and tangent (n,); see compiled_start.")
        for i in range(n):
            step_with_tangent(&self.model, &state[i, 0], d_eps[i], &out[i, 0], &tangent[i])

    def propagate(self, double[:, ::1] state, double[:, ::1] angles, const double[:, ::1] strain, double[:, :, ::1] out,
                  unsigned char[::1] flags, const int[::1] cancelled):
        """Step grains (n, 9) in place along strain (1 or n, n_steps); out (n_steps, n, 5) but for its first row."""
        cdef Py_ssize_t n = state.shape[0], n_steps = strain.shape[1], block, start, t, g
        cdef int per_grain = strain.shape[0] > 1
        cdef double next_state[STATE]
        cdef double d_eps, substeps, work = 0.0
        if (state.shape[1] != STATE or angles.shape[0] != n or angles.shape[1] != 3 or out.shape[0] != n_steps
                or out.shape[1] != n or out.shape[2] != 5 or flags.shape[0] != n
                or (per_grain and strain.shape[0] != n)):
            raise ValueError("state, angles, strain, out and flags do not fit together.")
        with nogil:
            for block in range((n + BLOCK - 1) // BLOCK):
                start = block * BLOCK
                if cancelled[0]:
                    break
                for t in range(n_steps):
                    if cancelled[0]:
                        break
                    for g in range(start, min(start + <Py_ssize_t>BLOCK, n)):
                        if t > 0:
                            d_eps = strain[g * per_grain, t] - strain[g * per_grain, t - 1]
                            substeps = n_substeps(&self.model, d_eps)
                            work += substeps
                            if work >= SIGNALS:
                                work = 0.0
                                with gil:
                                    PyErr_CheckSignals()
                                if cancelled[0]:
                                    break
                            flags[g] |= step(&self.model, &state[g, 0], d_eps, substeps, next_state)
                            flags[g] |= LONG if substeps > 1.0 else 0
                            memcpy(&state[g, 0], next_state, sizeof(next_state))
                            write_angles(&state[g, 2], &angles[g, 0])
                        out[t, g, 0], out[t, g, 1] = state[g, 0], state[g, 1]
                        out[t, g, 2], out[t, g, 3], out[t, g, 4] = angles[g, 0], angles[g, 1], angles[g, 2]
