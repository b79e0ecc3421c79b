"""Levenberg-Marquardt with bounds for one output of the blended net, on blocked normal equations.

scipy.optimize.least_squares solves the same problem on J itself. At 200 rows and 15 parameters its overhead is many
times the work of an iteration here, and the search for a law is a thousand such fits. J'J squares the condition number
of
J, but damping is relative to each column, and each iteration corrects the rounding errors of the last. For two products
of nearly constant features, condition numbers 70 to 7e15, both predict equally well (tests/test_net_solver.py).
"""

import numpy as np

from cpython.exc cimport PyErr_CheckSignals
from libc.math cimport fabs, isfinite
from libc.string cimport memcpy, memset
from scipy.linalg.cython_blas cimport dgemv, dsyrk
from scipy.linalg.cython_lapack cimport dpotrf, dpotrs

from skmerge._ext.net_kernel import PART, in_parts

from skmerge._ext.net_kernel cimport BLOCK, Data, Net, network, residual_block, scratch_size, table

# Squared parameters times blocks of rows that take about 0.1 s.
cdef double WATCH_WORK = 3e6


cdef double iteration_work(Py_ssize_t n, int m) noexcept nogil:
    return (m + 50.0) * (m + 50.0) * ((n + BLOCK - 1) // BLOCK) + m / 800.0 * m * m


def is_slow(Py_ssize_t n, int m):
    """Whether an iteration on n rows and m free parameters takes some 0.1 s or more."""
    return iteration_work(n, m) > WATCH_WORK


cdef double normal_equations(const Data *data, const Net *net, const int *slot, int m, double *scratch,
                             double *residual, double *J, double *H, double *gradient, double *work) except -1.0 nogil:
    # H = J'J (upper triangle, column major), gradient = J'r, block by block; returns the sum of squares.
    cdef double total = 0.0, unit = 1.0
    cdef int rows = BLOCK, one = 1
    cdef Py_ssize_t start, block_index
    memset(H, 0, m * m * sizeof(double))
    memset(gradient, 0, m * sizeof(double))
    for block_index in range((data.n + BLOCK - 1) // BLOCK):
        start = block_index * BLOCK
        total += residual_block(data, net, slot, start, scratch, residual, J)
        if m:
            dsyrk("U", "T", &m, &rows, &unit, J, &rows, &unit, H, &m)
            dgemv("T", &rows, &m, &unit, J, &rows, residual, &one, &unit, gradient, &one)
        work[0] += (m + 50.0) * (m + 50.0)
        if work[0] > WATCH_WORK:  # since the last look for Ctrl-C
            work[0] = 0.0
            with gil:
                PyErr_CheckSignals()
    return total


cdef class Rows:
    """The rows of one output and the units of its features as in net_kernel.pxd, checked; never stored.

    X (n, d) is in raw units, y (n,) in scaled ones; weight (n,).
    """

    cdef Data data
    cdef const double[:, ::1] X
    cdef const double[::1] y, root, x_scale, x_mean
    cdef const unsigned char[::1] product

    def __init__(self, const double[:, ::1] X, const double[::1] y, const double[::1] weight,
                 const double[::1] x_scale, const double[::1] x_mean, const unsigned char[::1] product):
        self.data = table(X, x_scale, x_mean, product)
        if y.shape[0] != self.data.n or weight.shape[0] != self.data.n or not self.data.n:
            raise ValueError(f"X has {self.data.n} rows, y {y.shape[0]} and weight {weight.shape[0]}; "
                             "they must be equal, not 0.")
        self.X, self.y, self.root = X, y, np.sqrt(weight)
        self.x_scale, self.x_mean, self.product = x_scale, x_mean, product
        self.data.y, self.data.root_weight = &self.y[0], &self.root[0]


def equations_of(Rows rows, const double[::1] theta, const unsigned char[:, ::1] sign, const int[::1] slot, int m):
    """function(start, stop): sum of squares, J'J and J'r of these rows, at the present content of theta."""
    def part(Py_ssize_t start, Py_ssize_t stop):
        cdef Data data = table(rows.X[start:stop], rows.x_scale, rows.x_mean, rows.product)
        cdef Net net = network(theta, sign, data.d)
        cdef double[::1] scratch = np.zeros(scratch_size(data.d, 0)), residual = np.empty(BLOCK)
        cdef double[::1] J = np.empty(m * BLOCK + 1), H = np.empty(m * m + 1), g = np.empty(m + 1)
        cdef double squares, work = 0.0
        data.y, data.root_weight = &rows.y[start], &rows.root[start]
        with nogil:
            squares = normal_equations(&data, &net, &slot[0], m, &scratch[0], &residual[0], &J[0], &H[0], &g[0], &work)
        return squares, np.asarray(H), np.asarray(g)

    return part


cdef double sum_of_parts(equations, Py_ssize_t n, int n_threads, int m, double *H, double *gradient) except -1.0:
    cdef double total = 0.0
    cdef const double[::1] more_H, more_g
    cdef Py_ssize_t q
    memset(H, 0, m * m * sizeof(double))
    memset(gradient, 0, m * sizeof(double))
    for squares, more_H, more_g in in_parts(equations, n, n_threads):
        total += squares
        for q in range(m * m):
            H[q] += more_H[q]
        for q in range(m):
            gradient[q] += more_g[q]
    return total


cdef double add_penalty(Py_ssize_t p, const int *slot, int m, const double *theta, const double *penalty,
                        double *H, double *gradient) noexcept nogil:
    cdef Py_ssize_t q
    cdef double total = 0.0
    for q in range(p):
        if penalty[q] == 0.0:
            continue
        total += penalty[q] * theta[q] * theta[q]
        if slot[q] >= 0:
            H[slot[q] * (m + 1)] += penalty[q]
            gradient[slot[q]] += penalty[q] * theta[q]
    return total


def minimize(Rows rows, const unsigned char[:, ::1] sign, const double[::1] theta0, const double[::1] lower,
             const double[::1] upper, const double[::1] penalty, int max_iter=200, double tol=1e-9, watch=None,
             int n_threads=1):
    """Minimise [sum w (f - y)^2 + sum penalty theta^2] / 2 for lower <= theta <= upper.

    Parameters with ``lower == upper`` stay fixed. Returns theta, twice the loss without the penalty, the number of
    iterations, and J'J over all parameters (zero rows where fixed). ``watch(iteration, squares)`` is called between
    iterations whenever some 0.1 s have passed; if it returns True the search ends there.
    """
    cdef Data data = rows.data
    cdef Py_ssize_t p = theta0.shape[0], q, l
    if lower.shape[0] != p or upper.shape[0] != p or penalty.shape[0] != p:
        raise ValueError(f"theta0 has {p} entries, lower {lower.shape[0]}, upper {upper.shape[0]} and penalty "
                         f"{penalty.shape[0]}; they must be equal.")
    cdef double[::1] theta = np.clip(theta0, lower, upper), trial = np.array(theta)
    cdef Net net = network(trial, sign, data.d)
    cdef int[::1] slot = np.full(p, -1, dtype=np.intc)
    cdef int m = 0, n_active, info, one = 1, it = 0, small = 0
    for q in range(p):
        if lower[q] < upper[q]:
            slot[q] = m
            m += 1
    cdef double[::1] scratch = np.zeros(scratch_size(data.d, 0)), residual = np.empty(BLOCK)
    cdef double[::1] J = np.empty(max(m, 1) * BLOCK), M = np.empty(max(m * m, 1)), step = np.empty(max(m, 1))
    cdef double[::1] H = np.empty(max(m * m, 1)), H_trial = np.empty(max(m * m, 1))
    cdef double[::1] g = np.empty(max(m, 1)), g_trial = np.empty(max(m, 1)), scale = np.zeros(max(m, 1))
    cdef int[::1] index = np.empty(max(m, 1), dtype=np.intc), active = np.empty(max(m, 1), dtype=np.intc)
    cdef double squares, squares_trial, loss, loss_trial, mu = 1e-3, nu = 2.0, predicted, gain, biggest, work = 0.0, s
    cdef double unwatched = 0.0, each = iteration_work(data.n, m)
    cdef bint watched = watch is not None, stop = False
    for q in range(p):
        if slot[q] >= 0:
            index[slot[q]] = <int>q
    cdef bint parts = data.n > PART
    equations = equations_of(rows, trial, sign, slot, m) if parts else None
    with nogil:
        if parts:
            with gil:
                squares = sum_of_parts(equations, data.n, n_threads, m, &H[0], &g[0])
        else:
            squares = normal_equations(&data, &net, &slot[0], m, &scratch[0], &residual[0], &J[0], &H[0], &g[0], &work)
        loss = squares + add_penalty(p, &slot[0], m, &theta[0], &penalty[0], &H[0], &g[0])
        while it < max_iter and m and mu < 1e16 and loss > 0.0:
            it += 1
            # A parameter that is pushed against its bound stays fixed in this iteration.
            n_active = 0
            for q in range(m):
                scale[q] = max(scale[q], H[q * (m + 1)])
                s = theta[index[q]]
                if not ((s <= lower[index[q]] and g[q] > 0.0) or (s >= upper[index[q]] and g[q] < 0.0)):
                    active[n_active] = <int>q
                    n_active += 1
            if n_active == 0:
                break
            biggest = 0.0
            for q in range(n_active):
                biggest = max(biggest, H[active[q] * (m + 1)])
            for q in range(n_active):
                for l in range(q + 1):
                    M[q * n_active + l] = H[active[q] * m + active[l]]
                M[q * (n_active + 1)] += mu * max(H[active[q] * (m + 1)], 1e-14 * biggest) + 1e-300
                step[q] = -g[active[q]]
            dpotrf("U", &n_active, &M[0], &n_active, &info)
            if info == 0:
                dpotrs("U", &n_active, &one, &M[0], &n_active, &step[0], &n_active, &info)
            if info != 0:
                mu *= nu
                nu *= 2.0
                continue
            memcpy(&trial[0], &theta[0], p * sizeof(double))
            for q in range(n_active):
                l = index[active[q]]
                trial[l] = min(max(theta[l] + step[q], lower[l]), upper[l])
                step[q] = trial[l] - theta[l]
            # Predicted decrease, by the quadratic model for the clipped step.
            predicted = 0.0
            for q in range(n_active):
                s = 0.0
                for l in range(n_active):
                    s += step[l] * (H[active[q] * m + active[l]] if l <= q else H[active[l] * m + active[q]])
                predicted -= step[q] * (2.0 * g[active[q]] + s)
            if parts:
                with gil:
                    squares_trial = sum_of_parts(equations, data.n, n_threads, m, &H_trial[0], &g_trial[0])
            else:
                squares_trial = normal_equations(&data, &net, &slot[0], m, &scratch[0], &residual[0], &J[0],
                                                 &H_trial[0], &g_trial[0], &work)
            loss_trial = squares_trial + add_penalty(p, &slot[0], m, &trial[0], &penalty[0],
                                                     &H_trial[0], &g_trial[0])
            unwatched += each
            if watched and unwatched > WATCH_WORK:
                unwatched = 0.0
                with gil:
                    stop = watch(it, min(squares, squares_trial))
            if loss_trial < loss and isfinite(loss_trial):
                gain = (loss - loss_trial) / predicted if predicted > 0.0 else 0.0
                small = small + 1 if loss - loss_trial <= tol * loss else 0
                loss, squares = loss_trial, squares_trial
                memcpy(&theta[0], &trial[0], p * sizeof(double))
                memcpy(&H[0], &H_trial[0], m * m * sizeof(double))
                memcpy(&g[0], &g_trial[0], m * sizeof(double))
                s = 2.0 * gain - 1.0
                mu *= max(0.2, 1.0 - s * s * s)
                mu = max(mu, 1e-15)
                nu = 2.0
                if small >= 2 or stop:
                    break
            else:
                if fabs(predicted) <= 1e-3 * tol * loss or stop:
                    break
                mu *= nu
                nu *= 2.0
    cdef double[:, ::1] JTJ = np.zeros((p, p))
    for q in range(m):
        for l in range(q + 1):  # the upper triangle of a column-major matrix
            s = H[q * m + l] - (penalty[index[q]] if l == q else 0.0)
            JTJ[index[q], index[l]] = JTJ[index[l], index[q]] = s
    return np.asarray(theta), squares, it, np.asarray(JTJ)
