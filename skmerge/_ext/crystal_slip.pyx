"""Crystal plasticity of FCC single crystals along a strain path: implicit, adaptive, one crystal at a time.

The stress is represented by energy coordinates u, in which both loadings have the same equation (doc/crystal.md):

    du/de = d - P' rate(P u, g),    tau = P u

with one coordinate in uniaxial stress, and five where the whole velocity gradient is given, the deviator in the basis of
the lattice; e is the length of the strain path. Stress is implicit. Orientation and the forest stress f = a G b sqrt(rho) of every system
are not stiff; they are explicit stages of the same Runge-Kutta method.
"""

from collections import namedtuple

import numpy as np

from cpython.exc cimport PyErr_CheckSignals
from libc.math cimport NAN, ceil, fabs, fmax, fmin, isfinite, pow, sqrt
from libc.string cimport memcpy, memset

from skmerge._ext.types cimport clones, skmerge_exp, skmerge_log

# Integrated crystals: stress along the axis, or xx, yy, zz, yz, xz, xy of the deviator in the sample, (n, n_steps, 1 or
# 6), the mean square of forest stress over the systems and the sum of all slip (n, n_steps), orientation
# (n, n_steps, 4), and the strain, or time, (n,) at which a crystal did not converge, NaN if it did.
Paths = namedtuple("Paths", "stress forest_squares slip orientation failed", module=__name__)

cdef enum:
    SYSTEMS = 12
    STAGES = 4
    MOST_ITERATIONS = 30
    SIGNALS = 2000  # sub-steps between checks for Ctrl-C, some 10 ms

cdef struct Law:
    double schmid[5][SYSTEMS]  # deviatoric basis x systems
    double spin[3][SYSTEMS]  # rotation of the lattice per slip
    double interaction[SYSTEMS][SYSTEMS]
    double root_c[5]  # square roots of the elastic constants in that basis
    double hydrostatic  # 3 (C11 + 2 C12)
    double n
    double slip_rate  # gdot0 per unit of strain rate
    double tau0
    double storage, recovery  # df = (storage - recovery f) per slip
    double axis[3]
    double D[9]  # rate of strain and spin vector, in the sample, per length of the path; of any velocity gradient
    double spin_vector[3]
    int k  # coordinates of stress: 1 uniaxial, 5 where the whole velocity gradient is given
    int is_any  # whether it is D and spin_vector, not that of the axis

cdef struct Grain:
    double u[5]
    double f[SYSTEMS]  # forest stress, a G b sqrt(rho)
    double q[4]  # crystal to sample: x, y, z, w
    double slip  # of all systems, so far

cdef struct Frame:
    # Quantities that depend on the orientation.
    double n[3]  # loading axis in the lattice
    double N[5]  # deviator of axis x axis in the lattice
    double P[5][SYSTEMS]
    double d[5]
    double root_E
    double spin[3]  # given spin, in the lattice

cdef struct Rates:
    double slip[SYSTEMS]
    double u[5]  # of what is implicit
    double turned[5]  # of the strain that the plastic spin turns, explicit
    double f[SYSTEMS]
    double q[4]

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


cdef clones slip(const double *tau, const double *f, double tau0, double n, double slip_rate,
                 double *rate, double *slope) noexcept nogil:
    # Slip per unit of strain path and its derivative with respect to tau.
    cdef int a
    cdef double g, ratio, power
    for a in range(SYSTEMS):
        g = tau0 + f[a]
        ratio = fabs(tau[a]) / g
        ratio = ratio if ratio > 1e-300 else 1e-300
        power = (n - 1.0) * skmerge_log(ratio)
        power = power if power > -690.0 else -690.0
        power = power if power < 690.0 else 690.0
        power = slip_rate * skmerge_exp(power) / g
        rate[a] = power * tau[a]
        slope[a] = n * power


cdef clones resolve(int k, const double *P, const double *u, double *tau) noexcept nogil:
    cdef int a, i
    for a in range(SYSTEMS):
        tau[a] = 0.0
    for i in range(k):
        for a in range(SYSTEMS):
            tau[a] += P[i * SYSTEMS + a] * u[i]


cdef clones normal_matrix(int k, const double *P, const double *slope, double h, double *J) noexcept nogil:
    # J = 1 + h P' diag(slope) P, lower triangle of (5, 5).
    cdef int a, i, j
    cdef double[SYSTEMS] scaled
    cdef double[4] part
    cdef const double *row
    for i in range(k):
        row = P + i * SYSTEMS
        for a in range(SYSTEMS):
            scaled[a] = h * slope[a] * row[a]
        for j in range(i + 1):
            row = P + j * SYSTEMS
            for a in range(4):
                part[a] = scaled[a] * row[a] + scaled[a + 4] * row[a + 4] + scaled[a + 8] * row[a + 8]
            J[5 * i + j] = (part[0] + part[1]) + (part[2] + part[3]) + (1.0 if i == j else 0.0)


cdef clones storage(const Law *law, const double *f, const double *rate, double *df) noexcept nogil:
    # df_a = (storage - recovery f_a) sum_b q_ab |rate_b|; q is symmetric.
    cdef int a, b
    cdef double size
    for a in range(SYSTEMS):
        df[a] = 0.0
    for b in range(SYSTEMS):
        size = fabs(rate[b])
        for a in range(SYSTEMS):
            df[a] += law.interaction[b][a] * size
    for a in range(SYSTEMS):
        df[a] *= law.storage - law.recovery * f[a]


cdef inline void subtract_slip(int k, const double *P, const double *rate, double *out) noexcept nogil:
    # out -= P' rate
    cdef int a, i
    cdef double[4] part
    cdef const double *row
    for i in range(k):
        row = P + i * SYSTEMS
        for a in range(4):
            part[a] = row[a] * rate[a] + row[a + 4] * rate[a + 4] + row[a + 8] * rate[a + 8]
        out[i] -= (part[0] + part[1]) + (part[2] + part[3])


cdef inline void factorise(int k, double *J) noexcept nogil:
    # Cholesky, in place; the diagonal holds reciprocals.
    cdef int i, j, l
    cdef double s
    for i in range(k):
        for j in range(i):
            s = J[5 * i + j]
            for l in range(j):
                s -= J[5 * i + l] * J[5 * j + l]
            J[5 * i + j] = s * J[6 * j]
        s = J[6 * i]
        for l in range(i):
            s -= J[5 * i + l] * J[5 * i + l]
        J[6 * i] = 1.0 / sqrt(s)


cdef inline void substitute(int k, const double *J, double *x) noexcept nogil:
    cdef int i, l
    for i in range(k):
        for l in range(i):
            x[i] -= J[5 * i + l] * x[l]
        x[i] *= J[6 * i]
    for i in range(k - 1, -1, -1):
        for l in range(i + 1, k):
            x[i] -= J[5 * l + i] * x[l]
        x[i] *= J[6 * i]


cdef void rotation_of(const double *q, double *R) noexcept nogil:
    # Matrix from crystal to sample.
    cdef double x = q[0], y = q[1], z = q[2], w = q[3]
    cdef double s = 2.0 / (x * x + y * y + z * z + w * w)  # stages change the length
    R[0], R[1], R[2] = 1.0 - s * (y * y + z * z), s * (x * y - z * w), s * (x * z + y * w)
    R[3], R[4], R[5] = s * (x * y + z * w), 1.0 - s * (x * x + z * z), s * (y * z - x * w)
    R[6], R[7], R[8] = s * (x * z - y * w), s * (y * z + x * w), 1.0 - s * (x * x + y * y)


cdef void set_any_frame(const Law *law, const double *q, Frame *frame) noexcept nogil:
    cdef double[9] R
    cdef double[9] half
    cdef double[9] D
    cdef int i, j
    rotation_of(q, R)
    for i in range(3):
        frame.spin[i] = R[i] * law.spin_vector[0] + R[3 + i] * law.spin_vector[1] + R[6 + i] * law.spin_vector[2]
        for j in range(3):
            half[3 * i + j] = law.D[3 * i] * R[j] + law.D[3 * i + 1] * R[3 + j] + law.D[3 * i + 2] * R[6 + j]
    for i in range(3):
        for j in range(3):
            D[3 * i + j] = R[i] * half[j] + R[3 + i] * half[3 + j] + R[6 + i] * half[6 + j]
    frame.d[0] = law.root_c[0] * (D[0] - D[4]) * sqrt(0.5)
    frame.d[1] = law.root_c[1] * (2.0 * D[8] - D[0] - D[4]) / sqrt(6.0)
    frame.d[2] = law.root_c[2] * sqrt(2.0) * D[5]
    frame.d[3] = law.root_c[3] * sqrt(2.0) * D[2]
    frame.d[4] = law.root_c[4] * sqrt(2.0) * D[1]


cdef void set_frame(const Law *law, const double *q, double sign, Frame *frame) noexcept nogil:
    cdef double x = q[0], y = q[1], z = q[2], w = q[3]
    cdef double s = 2.0 / (x * x + y * y + z * z + w * w)  # stages change the length
    cdef const double *a = law.axis
    cdef double n0, n1, n2, compliance
    cdef int i, b
    if law.is_any:
        set_any_frame(law, q, frame)
        return
    n0 = (1.0 - s * (y * y + z * z)) * a[0] + s * (x * y + z * w) * a[1] + s * (x * z - y * w) * a[2]
    n1 = s * (x * y - z * w) * a[0] + (1.0 - s * (x * x + z * z)) * a[1] + s * (y * z + x * w) * a[2]
    n2 = s * (x * z + y * w) * a[0] + s * (y * z - x * w) * a[1] + (1.0 - s * (x * x + y * y)) * a[2]
    frame.n[0], frame.n[1], frame.n[2] = n0, n1, n2
    frame.N[0] = (n0 * n0 - n1 * n1) * sqrt(0.5)
    frame.N[1] = (2.0 * n2 * n2 - n0 * n0 - n1 * n1) / sqrt(6.0)
    frame.N[2] = sqrt(2.0) * n1 * n2
    frame.N[3] = sqrt(2.0) * n0 * n2
    frame.N[4] = sqrt(2.0) * n0 * n1
    if law.k == 5:
        for i in range(5):
            frame.d[i] = sign * 1.5 * law.root_c[i] * frame.N[i]
        return
    compliance = 1.0 / law.hydrostatic
    for i in range(5):
        compliance += frame.N[i] * frame.N[i] / (law.root_c[i] * law.root_c[i])
    frame.root_E = 1.0 / sqrt(compliance)
    frame.d[0] = sign * frame.root_E
    for b in range(SYSTEMS):
        frame.P[0][b] = frame.root_E * (
            frame.N[0] * law.schmid[0][b] + frame.N[1] * law.schmid[1][b] + frame.N[2] * law.schmid[2][b]
            + frame.N[3] * law.schmid[3][b] + frame.N[4] * law.schmid[4][b]
        )


cdef void constant_frame(const Law *law, Frame *frame) noexcept nogil:
    # The part of a frame that does not depend on the orientation.
    cdef int i, b
    memset(frame, 0, sizeof(Frame))
    if law.k == 5:
        for i in range(5):
            for b in range(SYSTEMS):
                frame.P[i][b] = law.root_c[i] * law.schmid[i][b]


cdef void matrix_of(const double *v, double *M) noexcept nogil:
    # The symmetric matrix of a vector in the deviatoric basis.
    M[0] = v[0] * sqrt(0.5) - v[1] / sqrt(6.0)
    M[4] = -v[0] * sqrt(0.5) - v[1] / sqrt(6.0)
    M[8] = 2.0 * v[1] / sqrt(6.0)
    M[5] = M[7] = v[2] * sqrt(0.5)
    M[2] = M[6] = v[3] * sqrt(0.5)
    M[1] = M[3] = v[4] * sqrt(0.5)


cdef void fibre_spin(const Law *law, const Frame *frame, double u, double du, const double *slip_spin,
                     const double *flow, double *w) noexcept nogil:
    # Spin w of the lattice if material lines along the axis keep their direction: D n x n is added to the spin of slip,
    # D being the total rate of strain. Its elastic part depends on the spin, to 1e-3 of it: two rounds suffice.
    cdef const double *n = frame.n
    cdef const double *N = frame.N
    cdef double[3] m
    cdef double[5] dN
    cdef double[5] rate
    cdef double[9] D
    cdef double stress = frame.root_E * u, stress_rate, softening, c
    cdef int i, _round
    memset(dN, 0, sizeof(dN))
    for _round in range(2):
        softening = 0.0  # half the rate of 1 / E
        for i in range(5):
            softening += N[i] * dN[i] / (law.root_c[i] * law.root_c[i])
        stress_rate = frame.root_E * du - frame.root_E * frame.root_E * stress * softening
        for i in range(5):
            c = law.root_c[i] * law.root_c[i]
            rate[i] = flow[i] + (stress_rate * N[i] + stress * dN[i]) / c
        matrix_of(rate, D)
        for i in range(3):
            m[i] = D[3 * i] * n[0] + D[3 * i + 1] * n[1] + D[3 * i + 2] * n[2]
        w[0] = slip_spin[0] + m[1] * n[2] - m[2] * n[1]
        w[1] = slip_spin[1] + m[2] * n[0] - m[0] * n[2]
        w[2] = slip_spin[2] + m[0] * n[1] - m[1] * n[0]
        m[0] = n[1] * w[2] - n[2] * w[1]
        m[1] = n[2] * w[0] - n[0] * w[2]
        m[2] = n[0] * w[1] - n[1] * w[0]
        dN[0] = (n[0] * m[0] - n[1] * m[1]) * sqrt(2.0)
        dN[1] = (2.0 * n[2] * m[2] - n[0] * m[0] - n[1] * m[1]) * 2.0 / sqrt(6.0)
        dN[2] = sqrt(2.0) * (n[1] * m[2] + n[2] * m[1])
        dN[3] = sqrt(2.0) * (n[0] * m[2] + n[2] * m[0])
        dN[4] = sqrt(2.0) * (n[0] * m[1] + n[1] * m[0])


cdef void turned_strain(const Law *law, const double *E, const double *w, double *out) noexcept nogil:
    # Part of du/de from -(E W - W E), W x = w x x being the plastic spin. Its derivative by u is 1e-3 of that of slip.
    cdef double[9] EW
    cdef int i
    for i in range(3):
        EW[3 * i] = E[3 * i + 1] * w[2] - E[3 * i + 2] * w[1]
        EW[3 * i + 1] = E[3 * i + 2] * w[0] - E[3 * i] * w[2]
        EW[3 * i + 2] = E[3 * i] * w[1] - E[3 * i + 1] * w[0]
    # W is skew and E is not: E W - W E = E W + (E W)'.
    out[0] = -law.root_c[0] * 2.0 * (EW[0] - EW[4]) * sqrt(0.5)
    out[1] = -law.root_c[1] * 2.0 * (2.0 * EW[8] - EW[0] - EW[4]) / sqrt(6.0)
    out[2] = -law.root_c[2] * sqrt(2.0) * (EW[5] + EW[7])
    out[3] = -law.root_c[3] * sqrt(2.0) * (EW[2] + EW[6])
    out[4] = -law.root_c[4] * sqrt(2.0) * (EW[1] + EW[3])


cdef void slow_rates(const Law *law, const Frame *frame, const double *u, const double *f, const double *q,
                     Rates *rates) noexcept nogil:
    # Rates of forest stress and orientation, and of u by the plastic spin, from the slip and the rate of u.
    cdef double[3] v
    cdef double[3] w
    cdef double[5] strain
    cdef double[5] flow
    cdef double[9] E
    cdef double[9] D
    cdef int i
    storage(law, f, rates.slip, rates.f)
    memset(v, 0, sizeof(v))
    memset(flow, 0, sizeof(flow))
    subtract_slip(3, &law.spin[0][0], rates.slip, v)
    subtract_slip(5, &law.schmid[0][0], rates.slip, flow)
    for i in range(5):
        flow[i] = -flow[i]
        if law.k == 5:
            strain[i] = u[i] / law.root_c[i]
        else:
            strain[i] = u[0] * frame.root_E * frame.N[i] / (law.root_c[i] * law.root_c[i])
    matrix_of(strain, E)
    memset(rates.turned, 0, sizeof(rates.turned))
    if law.k == 5:
        turned_strain(law, E, v, rates.turned)
    # Plastic spin of the strained lattice, strain x flow - flow x strain: 1e-3 of the slip.
    matrix_of(flow, D)
    v[0] = -v[0] - (E[6] * D[1] + E[7] * D[4] + E[8] * D[7]) + (D[6] * E[1] + D[7] * E[4] + D[8] * E[7])
    v[1] = -v[1] - (E[0] * D[2] + E[1] * D[5] + E[2] * D[8]) + (D[0] * E[2] + D[1] * E[5] + D[2] * E[8])
    v[2] = -v[2] - (E[3] * D[0] + E[4] * D[3] + E[5] * D[6]) + (D[3] * E[0] + D[4] * E[3] + D[5] * E[6])
    if law.is_any:
        for i in range(3):
            w[i] = v[i] + frame.spin[i]
    elif law.k == 5:
        memcpy(w, v, sizeof(w))
    else:
        fibre_spin(law, frame, u[0], rates.u[0], v, flow, w)
    rates.q[0] = 0.5 * (q[3] * w[0] + q[1] * w[2] - q[2] * w[1])
    rates.q[1] = 0.5 * (q[3] * w[1] + q[2] * w[0] - q[0] * w[2])
    rates.q[2] = 0.5 * (q[3] * w[2] + q[0] * w[1] - q[1] * w[0])
    rates.q[3] = -0.5 * (q[0] * w[0] + q[1] * w[1] + q[2] * w[2])


cdef void linearise(const Law *law, const Frame *frame, const double *f, const double *r, double h, const double *u,
                    const double *tau, double *rate, double *residual, double *J) noexcept nogil:
    # residual = r + h (d - P' rate) - u and J = -d residual / du, for tau = P u.
    cdef double[SYSTEMS] slope
    cdef int i
    slip(tau, f, law.tau0, law.n, law.slip_rate, rate, slope)
    normal_matrix(law.k, &frame.P[0][0], slope, h, J)
    memcpy(residual, frame.d, sizeof(frame.d))
    subtract_slip(law.k, &frame.P[0][0], rate, residual)
    for i in range(law.k):
        residual[i] = h * residual[i] + r[i] - u[i]


cdef int solve(const Law *law, const Frame *frame, const double *f, const double *r, double h, double *u, double *rate,
               double *J) noexcept nogil:
    # u = r + h (d - P' rate(P u)) by Newton's method from u; the number of iterations, 0 if it does not converge. The
    # root is the minimum of a strictly convex function, where h sum tau rate <= |b|^2 / 4 with b = r + h d. Hence all
    # tau / g are below a bound there. Steps beyond it are shortened: from there a power law returns by 1 / n a step.
    cdef double[SYSTEMS] tau
    cdef double[SYSTEMS] change
    cdef double[SYSTEMS] slope
    cdef double[5] step
    cdef double squares = 0.0, g = law.tau0 + f[0], limit, most, size, cut
    cdef int i, a, k = law.k, iteration
    for a in range(1, SYSTEMS):
        g = fmin(g, law.tau0 + f[a])
    for i in range(k):
        squares += (r[i] + h * frame.d[i]) * (r[i] + h * frame.d[i])
    limit = 1.01 * pow(squares / (4.0 * h * law.slip_rate * g), 1.0 / (law.n + 1.0)) + 1e-100
    resolve(k, &frame.P[0][0], u, tau)
    most = 0.0
    for a in range(SYSTEMS):
        most = fmax(most, fabs(tau[a]) / (law.tau0 + f[a]))
    if most > limit:
        for i in range(k):
            u[i] *= limit / most
        resolve(k, &frame.P[0][0], u, tau)
    for iteration in range(1, MOST_ITERATIONS + 1):
        linearise(law, frame, f, r, h, u, tau, rate, step, J)
        factorise(k, J)
        substitute(k, J, step)
        resolve(k, &frame.P[0][0], step, change)
        cut, size = 1.0, 0.0
        for a in range(SYSTEMS):
            g = law.tau0 + f[a]
            size = fmax(size, fabs(change[a]) / g)
            most = fmax(limit * g, 1.05 * fabs(tau[a]))  # a stress at the bound still changes
            if fabs(tau[a] + change[a]) > most:
                cut = fmin(cut, ((most if change[a] > 0.0 else -most) - tau[a]) / change[a])
        for i in range(k):
            u[i] += cut * step[i]
        for a in range(SYSTEMS):
            tau[a] += cut * change[a]
        for i in range(k):
            if not isfinite(u[i]):
                return 0
        # Convergence is quadratic: after a change of 1e-6 / n the slip is exact to 1e-12.
        if cut == 1.0 and law.n * size < 1e-6:
            slip(tau, f, law.tau0, law.n, law.slip_rate, rate, slope)
            return iteration
    return 0


cdef double attempt(const Law *law, Grain *grain, double sign, double h, Frame *frame) noexcept nogil:
    # One step of length h, which changes the grain; the error relative to slip resistance and one radian, infinite if
    # Newton's method fails.
    cdef Rates[STAGES] rates
    cdef Grain start = grain[0], at
    cdef double[5] r
    cdef double[5] e
    cdef double[25] J
    cdef double[SYSTEMS] tau
    cdef double[SYSTEMS] slope
    cdef double error = 0.0, weight, part
    cdef int i, j, s, a, k = law.k
    set_frame(law, start.q, sign, frame)
    resolve(k, &frame.P[0][0], start.u, tau)
    slip(tau, start.f, law.tau0, law.n, law.slip_rate, rates[0].slip, slope)
    memcpy(rates[0].u, frame.d, sizeof(frame.d))
    subtract_slip(k, &frame.P[0][0], rates[0].slip, rates[0].u)
    slow_rates(law, frame, start.u, start.f, start.q, &rates[0])
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
    resolve(k, &frame.P[0][0], e, tau)
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


cdef double stress_of(const Law *law, const Grain *grain, Frame *frame) noexcept nogil:
    # Along the axis; of a constrained grain minus the mean across it.
    cdef double s = 0.0
    cdef int i
    set_frame(law, grain.q, 1.0, frame)
    if law.k == 1:
        return frame.root_E * grain.u[0]
    for i in range(5):
        s += 1.5 * frame.N[i] * law.root_c[i] * grain.u[i]
    return s


cdef void deviator_of(const Law *law, const Grain *grain, double *out) noexcept nogil:
    # xx, yy, zz, yz, xz, xy in the sample.
    cdef double[5] s
    cdef double[9] M
    cdef double[9] R
    cdef double[9] half
    cdef int i, j, c
    for i in range(5):
        s[i] = law.root_c[i] * grain.u[i]
    matrix_of(s, M)
    rotation_of(grain.q, R)
    for i in range(3):
        for j in range(3):
            half[3 * i + j] = R[3 * i] * M[j] + R[3 * i + 1] * M[3 + j] + R[3 * i + 2] * M[6 + j]
    for c in range(6):
        i = c if c < 3 else (1 if c == 3 else 0)
        j = c if c < 3 else (2 if c < 5 else 1)
        out[c] = half[3 * i] * R[3 * j] + half[3 * i + 1] * R[3 * j + 1] + half[3 * i + 2] * R[3 * j + 2]


cdef double set_gradient(Law *law, const double *L, double slip_rate) noexcept nogil:
    # D and spin per length of the path, and the length of a second: its greatest rate, so that steps are those of
    # strain, of rotation or, at rest, of relaxation.
    cdef double unit = 0.0, spin = 0.0
    cdef int i, j
    for i in range(3):
        for j in range(3):
            law.D[3 * i + j] = 0.5 * (L[3 * i + j] + L[3 * j + i])
            unit += law.D[3 * i + j] * law.D[3 * i + j]
    law.spin_vector[0], law.spin_vector[1] = 0.5 * (L[7] - L[5]), 0.5 * (L[2] - L[6])
    law.spin_vector[2] = 0.5 * (L[3] - L[1])
    for i in range(3):
        spin += law.spin_vector[i] * law.spin_vector[i]
    unit = fmax(sqrt(fmax(unit, spin)), 1e-3 * slip_rate)
    for i in range(9):
        law.D[i] /= unit
    for i in range(3):
        law.spin_vector[i] /= unit
    law.slip_rate = slip_rate / unit
    return unit


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
        resolve(law.k, &frame.P[0][0], &u[0], tau)
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
