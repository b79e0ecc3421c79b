# One output of the blended net, evaluated block by block.
#
# The flat vector theta holds node after node A_i1..A_id, B_i, k_i, a_i, and last the constant c:
#     f(x) = c + sum_i a_i g(u_i; k_i) - sum_i (1 - a_i) s_i(x) g(v_i; k_i),    g(u; k) = u / (1 + k |u|)
#     u_i = A_i.(x - x_mean) + B_i,    v_i = B_i prod_j |x_j|^A_ij,    s_i(x) = prod_(j in sign_i and product) sign(x_j)
# with x already divided by x_scale.

cdef enum:
    BLOCK = 256  # rows evaluated together; a short block is padded, so a row's value never depends on its neighbours

cdef struct Data:
    Py_ssize_t n
    Py_ssize_t d
    const double *X             # (n, d), C order, raw units
    const double *y             # (n,), scaled units, or NULL
    const double *root_weight   # (n,), square roots of the weights, or NULL
    const double *x_scale       # (d,)
    const double *x_mean        # (d,), scaled units
    const unsigned char *product    # (d,), whether the feature may enter a product

cdef struct Net:
    Py_ssize_t h
    const double *theta         # (h * (d + 3) + 1,)
    const unsigned char *sign   # (h, d)

cdef Py_ssize_t scratch_size(Py_ssize_t d, Py_ssize_t n_free) noexcept nogil

cdef void predict_block(const Data *data, const Net *net, Py_ssize_t start, double *scratch, double *out) noexcept nogil

cdef double residual_block(const Data *data, const Net *net, const int *slot, Py_ssize_t start, double *scratch,
                           double *residual, double *J) noexcept nogil

cdef Data table(const double[:, ::1] X, const double[::1] x_scale, const double[::1] x_mean,
                const unsigned char[::1] product) except *

cdef Net network(const double[::1] theta, const unsigned char[:, ::1] sign, Py_ssize_t d) except *
