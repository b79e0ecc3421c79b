# What the compiled modules share: the multiversioned return type and the vectorised exp and log.

cdef extern from "simd.h" nogil:
    # A function declared `cdef clones f(...)` returns nothing and is compiled once per vector unit.
    ctypedef void clones "SKMERGE_CLONES void"
    double skmerge_exp(double x) noexcept
    double skmerge_log(double x) noexcept
