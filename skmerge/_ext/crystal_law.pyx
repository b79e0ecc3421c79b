"""The law of a crystal in energy coordinates: slip, storage and spin, and the implicit equation of a stage.

The stress is represented by coordinates u, in which all loadings have the same equation (doc/crystal.md):

    du/de = d - P' rate(P u, g),    tau = P u

with one coordinate in uniaxial stress, and five where the whole velocity gradient is given: the deviator in the basis
of the lattice; e is the length of the strain path.
"""

from libc.math cimport fabs, fmax, fmin, isfinite, pow, sqrt
from libc.string cimport memcpy, memset

from skmerge._ext.types cimport clones, skmerge_exp, skmerge_log

cdef enum:
    MOST_ITERATIONS = 30


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


cdef void substitute(int k, const double *J, double *x) noexcept nogil:
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


# `resolve` for other modules: a function compiled for several vector units is not declared in a pxd.
cdef void resolved(int k, const double *P, const double *u, double *tau) noexcept nogil:
    resolve(k, P, u, tau)


cdef void rates_of(const Law *law, const Frame *frame, const Grain *grain, Rates *rates) noexcept nogil:
    cdef double[SYSTEMS] tau
    cdef double[SYSTEMS] slope
    resolve(law.k, &frame.P[0][0], grain.u, tau)
    slip(tau, grain.f, law.tau0, law.n, law.slip_rate, rates.slip, slope)
    memcpy(rates.u, frame.d, sizeof(frame.d))
    subtract_slip(law.k, &frame.P[0][0], rates.slip, rates.u)
    slow_rates(law, frame, grain.u, grain.f, grain.q, rates)


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
