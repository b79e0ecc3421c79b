"""Compiled loops of g(u; C) = C u / (|u| + C) and of its two derivatives.

Every array is contiguous; C holds as many values as u, or one for all of them. With t = min(|u|, C) / (|u| + C), which
lies in [0, 1/2], |g| = min(|u|, C) (1 - t), and the derivatives are the squares of t and 1 - t: nothing cancels or
overflows, g stays exactly within |u| and C, and NaN, 0 and infinity need no branch, which would keep the loops from
being vectorised.
"""

from cython cimport floating
from libc.float cimport DBL_MAX, FLT_MAX
from libc.math cimport copysign, copysignf, fabs, fabsf

cdef extern from "simd.h" nogil:
    ctypedef void clones "SKMERGE_CLONES void"


cdef inline floating size(floating u) noexcept nogil:
    return fabsf(u) if floating is float else fabs(u)


cdef inline floating signed(floating a, floating u) noexcept nogil:
    return copysignf(a, u) if floating is float else copysign(a, u)


cdef inline floating finite(floating a) noexcept nogil:
    """min(a, the largest number); NaN stays."""
    cdef floating largest = <floating>FLT_MAX if floating is float else <floating>DBL_MAX
    return largest if a > largest else a


cdef inline floating share(floating a, floating C) noexcept nogil:
    """t = min(a, C) / (a + C), taken as 0 for 0 / 0 and inf / inf."""
    cdef floating least = <floating>1e-45 if floating is float else <floating>5e-324
    cdef floating half = 0.5  # keeps the sum finite; costs subnormal a and C their last bit
    cdef floating total = half * a + half * C
    return half * finite(a if a < C else C) / (least if total < least else total)


cdef inline floating g(floating u, floating C) noexcept nogil:
    cdef floating a = size(u), lesser = a if a < C else C
    return signed(lesser - finite(lesser) * share(a, C), u)


cdef inline double g_usual(double u, double C) noexcept nogil:
    """g for 1e-18 < C < 1e18, where a + C fits in single precision.

    Division dominates the time of the loop. In single precision it takes half as long; one Newton step refines the
    reciprocal and another the quotient t.
    """
    cdef double a = fabs(u), lesser = a if a < C else C
    cdef double total = C + (1e37 if a > 1e37 else a)  # beyond, 1 - t rounds to 1
    cdef double x = <float>1 / <float>total, t
    x += x * (1 - total * x)
    t = lesser * x
    t += x * (lesser - total * t)
    return copysign(lesser - lesser * t, u)


cdef inline void slopes(floating u, floating C, floating *dg_du, floating *dg_dC) noexcept nogil:
    cdef floating a = size(u), t = share(a, C), rest = 1 - t
    cdef bint below = a <= C
    cdef floating p = rest if below and C > 0 else t  # C / (a + C)
    cdef floating q = t if below else rest            # a / (a + C)
    dg_du[0] = p * p
    dg_dC[0] = signed(q * q, u)


cdef clones loop(Py_ssize_t n, const floating *u, const floating *C, bint one_C, floating *out) noexcept nogil:
    cdef Py_ssize_t i
    cdef floating c = C[0]
    if not one_C:
        for i in range(n):
            out[i] = g(u[i], C[i])
    elif floating is double and 1e-18 < c < 1e18:
        for i in range(n):
            out[i] = g_usual(u[i], c)
    else:
        for i in range(n):
            out[i] = g(u[i], c)


cdef clones slope_loop(
    Py_ssize_t n, const floating *u, const floating *C, bint one_C, floating *dg_du, floating *dg_dC
) noexcept nogil:
    cdef Py_ssize_t i
    cdef floating c = C[0]
    if one_C:
        for i in range(n):
            slopes(u[i], c, &dg_du[i], &dg_dC[i])
    else:
        for i in range(n):
            slopes(u[i], C[i], &dg_du[i], &dg_dC[i])


def saturating(
    const floating[::1] u,  # IN
    const floating[::1] C,  # IN, one value or as many as u
    floating[::1] out,      # OUT, may be u itself
):
    if u.shape[0]:
        with nogil:
            loop(u.shape[0], &u[0], &C[0], C.shape[0] == 1, &out[0])


def saturating_derivatives(
    const floating[::1] u,  # IN
    const floating[::1] C,  # IN, one value or as many as u
    floating[::1] dg_du,    # OUT
    floating[::1] dg_dC,    # OUT
):
    if u.shape[0]:
        with nogil:
            slope_loop(u.shape[0], &u[0], &C[0], C.shape[0] == 1, &dg_du[0], &dg_dC[0])
