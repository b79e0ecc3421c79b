# The polynomial of a node of a tree, in deviations z from a centre:
#     f(z) = a + sum_i b_i z_i + sum_i h_ii z_i^2 / 2 + sum_(j < i) h_ij z_i z_j
# stored as one vector [a, b_1..b_k, h_11, h_21, h_22, h_31, ...]; only the first n_square coordinates have h.

cdef int n_terms(int n_linear, int n_square) noexcept nogil

cdef void value_terms(const double *z, int n_linear, int n_square, double *phi) noexcept nogil

cdef void slope_terms(const double *z, const double *v, int n_linear, int n_square, double *phi) noexcept nogil

cdef double evaluate(const double *coef, const double *z, int n_linear, int n_square) noexcept nogil

cdef double evaluate_slope(const double *coef, const double *z, int axis, int n_linear, int n_square) noexcept nogil

cdef void recentre(double *coef, const double *shift, int n_linear, int n_square) noexcept nogil

cdef int solve(double *G, double *rhs, int p, int n_rhs) noexcept nogil
