# The best split of a node, by what its model leaves over.

cdef enum:
    MISSING = 65535  # code of an unknown feature value
    MAX_BINS = 256

cdef struct Table:
    # The rows a tree is grown on. Nothing here is owned.
    Py_ssize_t n
    int d                           # features
    int c                           # channels: values, then slopes
    const double *X                 # (n, d), NaN where unknown
    const unsigned short *codes     # (n, d), rank of the value among the feature's distinct ones
    const double *weight            # (n,)
    double *rest                    # (n, c), what the models above leave over; NaN where not measured

cdef struct Split:
    double gain         # weighted squares it takes away
    int feature         # -1: none found
    int code            # codes up to this go left
    int next_code       # the least code on the right
    int missing_left

cdef struct Search:
    # How splits of a node are scored. Nothing here is owned.
    const double *factor        # (c,), by which what is left over of each channel is multiplied
    const double *centre        # (d,), from which positions count
    int linear                  # whether each side is a straight line, not a constant
    double ridge
    Py_ssize_t min_leaf         # rows on each side, at least
    # scratch
    unsigned short *low         # (d,)
    unsigned short *high        # (d,)
    double *histogram           # of histogram_size numbers

cdef Py_ssize_t histogram_size(int n_features, int c) noexcept nogil

cdef void find_split(const Table *table, const Search *search, const int *rows, Py_ssize_t n, const int *features,
                     int n_features, Split *best) noexcept nogil
