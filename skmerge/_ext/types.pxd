# What the compiled modules share: the multiversioned return type and the vectorised exp and log.

cdef extern from "simd.h" nogil:
    # A function declared `cdef clones f(...)` returns nothing and is compiled once per vector unit.
    ctypedef void clones "SKMERGE_CLONES void"
    double skmerge_exp(double x) noexcept
    double skmerge_log(double x) noexcept


cdef packed struct Node:
    # A node of a tree, as stored. A row goes to `child` if its value is at most `threshold`, else to the node after it.
    double threshold
    int child           # of a leaf: its row among the leaves
    int feature         # -1: a leaf
    int n_samples       # distinct rows
    int missing_left    # where a row without a value goes
    double gain
