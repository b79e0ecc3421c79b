"""The polynomial of a node: its terms, their slopes, its value, and the regularised least squares that fits it."""

import numpy as np

from libc.math cimport isfinite
from scipy.linalg.cython_lapack cimport dposv


cdef int n_terms(int n_linear, int n_square) noexcept nogil:
    return 1 + n_linear + n_square * (n_square + 1) // 2


cdef void value_terms(const double *z, int n_linear, int n_square, double *phi) noexcept nogil:
    cdef int i, j, t = 1 + n_linear
    phi[0] = 1.0
    for i in range(n_linear):
        phi[1 + i] = z[i]
    for i in range(n_square):
        for j in range(i):
            phi[t] = z[i] * z[j]
            t += 1
        phi[t] = 0.5 * z[i] * z[i]
        t += 1


cdef void slope_terms(const double *z, const double *v, int n_linear, int n_square, double *phi) noexcept nogil:
    # Derivative of value_terms along v.
    cdef int i, j, t = 1 + n_linear
    phi[0] = 0.0
    for i in range(n_linear):
        phi[1 + i] = v[i]
    for i in range(n_square):
        for j in range(i):
            phi[t] = z[i] * v[j] + v[i] * z[j]
            t += 1
        phi[t] = z[i] * v[i]
        t += 1


cdef double evaluate(const double *coef, const double *z, int n_linear, int n_square) noexcept nogil:
    cdef int i, j, t = 1 + n_linear
    cdef double total = coef[0], row
    for i in range(n_linear):
        total += coef[1 + i] * z[i]
    for i in range(n_square):
        row = 0.0
        for j in range(i):
            row += coef[t] * z[j]
            t += 1
        total += z[i] * (row + 0.5 * coef[t] * z[i])
        t += 1
    return total


cdef double evaluate_slope(const double *coef, const double *z, int axis, int n_linear, int n_square) noexcept nogil:
    # df / dz_axis
    cdef int i, t
    cdef double total = coef[1 + axis]
    if axis < n_square:
        t = 1 + n_linear + axis * (axis + 1) // 2
        for i in range(axis + 1):
            total += coef[t + i] * z[i]
        for i in range(axis + 1, n_square):
            total += coef[1 + n_linear + i * (i + 1) // 2 + axis] * z[i]
    return total


cdef void recentre(double *coef, const double *shift, int n_linear, int n_square) noexcept nogil:
    # The same polynomial in deviations from a centre moved by shift.
    cdef int i, j, t = 1 + n_linear
    cdef double value = evaluate(coef, shift, n_linear, n_square)
    for i in range(n_square):
        for j in range(i):
            coef[1 + i] += coef[t] * shift[j]
            coef[1 + j] += coef[t] * shift[i]
            t += 1
        coef[1 + i] += coef[t] * shift[i]
        t += 1
    coef[0] = value


cdef int solve(double *G, double *rhs, int p, int n_rhs) noexcept nogil:
    # G x = rhs for a symmetric positive definite G (upper triangle, column major); 0 if it worked.
    cdef int info = 0, i
    dposv("U", &p, &n_rhs, G, &p, rhs, &p, &info)
    if info == 0:
        for i in range(p * n_rhs):
            if not isfinite(rhs[i]):
                return 1
    return info


def polynomial(const double[::1] coef, const double[:, ::1] Z, int n_square):
    """Values (n,) and slopes (n, k) at deviations Z (n, k)."""
    cdef int k = Z.shape[1], i
    cdef Py_ssize_t r
    if not 0 <= n_square <= k or coef.shape[0] != n_terms(k, n_square):
        raise ValueError(f"coef has {coef.shape[0]} entries, {k} coordinates of which {n_square} squared need "
                         f"{n_terms(k, n_square)}.")
    value, slope = np.empty(Z.shape[0]), np.empty((Z.shape[0], k))
    cdef double[::1] out = value
    cdef double[:, ::1] out_slope = slope
    cdef const double *z
    for r in range(Z.shape[0]):
        z = &Z[r, 0] if k else NULL
        out[r] = evaluate(&coef[0], z, k, n_square)
        for i in range(k):
            out_slope[r, i] = evaluate_slope(&coef[0], z, i, k, n_square)
    return value, slope


def recentred(coef, const double[::1] shift, int n_square):
    """Coefficients of the same polynomial about a centre moved by shift."""
    moved = np.array(coef, dtype=float)
    cdef double[::1] view = moved
    if shift.shape[0] < n_square or view.shape[0] != n_terms(shift.shape[0], n_square):
        raise ValueError("coef and shift do not fit together.")
    if shift.shape[0]:
        recentre(&view[0], &shift[0], shift.shape[0], n_square)
    return moved
