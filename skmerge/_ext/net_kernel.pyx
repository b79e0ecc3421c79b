"""Forward pass, gradient and Jacobian of one output of the blended net (see net_kernel.pxd for the layout).

Three values are clamped, so that nothing overflows: |x_j / x_scale_j| under the logarithm to [2.2e-308, 1.7e308], the
exponent sum_j A_ij log|x_j| to [-300, 300] and |u_i| to 1e150. A clamped value has derivative zero. The exception is
df/dx_j of a product near 0, which needs that product without x_j.
"""

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from cpython.exc cimport PyErr_CheckSignals
from libc.math cimport fabs
from scipy.linalg.cython_blas cimport dgemm, dgemv

from skmerge._ext.types cimport clones, skmerge_exp, skmerge_log

cdef double EXPONENT_LIMIT = 300.0
cdef double LINEAR_LIMIT = 1e150


cdef Py_ssize_t scratch_size(Py_ssize_t d, Py_ssize_t n_free) noexcept nogil:
    return BLOCK * (3 * d + 8 + n_free)


# --- loops over the rows of one block; the constant trip count lets them be vectorised without a remainder

cdef clones fill(double value, double *out) noexcept nogil:
    cdef Py_ssize_t r
    for r in range(BLOCK):
        out[r] = value


cdef clones log_abs(const double *x, double *out) noexcept nogil:
    cdef Py_ssize_t r
    cdef double size
    for r in range(BLOCK):
        size = fabs(x[r])
        size = size if size > 2.2250738585072014e-308 else 2.2250738585072014e-308
        size = size if size < 1.7e308 else 1.7e308
        out[r] = skmerge_log(size)


cdef clones sign_of(const double *x, double *out) noexcept nogil:
    cdef Py_ssize_t r
    for r in range(BLOCK):
        out[r] = (1.0 if x[r] > 0 else 0.0) - (1.0 if x[r] < 0 else 0.0)


cdef clones add_scaled(double factor, const double *x, double *out) noexcept nogil:
    cdef Py_ssize_t r
    for r in range(BLOCK):
        out[r] += factor * x[r]


cdef clones add_scaled_pair(double f, const double *x, double g, const double *y, double *out) noexcept nogil:
    cdef Py_ssize_t r
    for r in range(BLOCK):
        out[r] += f * x[r] + g * y[r]


cdef clones multiply(const double *x, double *out) noexcept nogil:
    cdef Py_ssize_t r
    for r in range(BLOCK):
        out[r] *= x[r]


cdef inline double clamp(double z, double limit) noexcept nogil:
    z = z if z < limit else limit
    return z if z > -limit else -limit


cdef clones add_node(double a, double k, double *u, double *out) noexcept nogil:
    # out += a g(u)
    cdef Py_ssize_t r
    cdef double z
    for r in range(BLOCK):
        z = clamp(u[r], LINEAR_LIMIT)
        out[r] += a * z / (1.0 + k * fabs(z))


cdef clones multiply_node(double a, double B, double k, const double *e, const double *s, double *out) noexcept nogil:
    # out -= (1 - a) s g(B exp(e))
    cdef Py_ssize_t r
    cdef double z
    for r in range(BLOCK):
        z = B * skmerge_exp(clamp(e[r], EXPONENT_LIMIT))
        out[r] -= (1.0 - a) * s[r] * z / (1.0 + k * fabs(z))


cdef clones add_node_slopes(double a, double k, const double *u, double *out,
                            double *dA, double *dB, double *dk, double *da) noexcept nogil:
    # The same with derivatives: dA is what (x_j - x_mean_j) is multiplied with.
    cdef Py_ssize_t r
    cdef double z, q, g, slope
    for r in range(BLOCK):
        z = clamp(u[r], LINEAR_LIMIT)
        slope = a if fabs(z) < LINEAR_LIMIT else 0.0
        q = 1.0 / (1.0 + k * fabs(z))
        g = z * q
        out[r] += a * g
        dA[r] = slope * q * q
        dB[r] = slope * q * q
        dk[r] = -a * g * fabs(g)
        da[r] = g


cdef clones multiply_node_slopes(double a, double B, double k, const double *e, const double *s, double *out,
                                 double *dL, double *dB, double *dk, double *da) noexcept nogil:
    # dL is what log|x_j| is multiplied with; dB, dk and da are added to.
    cdef Py_ssize_t r
    cdef double z, p, q, g, t, inside
    for r in range(BLOCK):
        z = clamp(e[r], EXPONENT_LIMIT)
        inside = 1.0 if fabs(z) < EXPONENT_LIMIT else 0.0
        p = skmerge_exp(z)
        z = B * p
        q = 1.0 / (1.0 + k * fabs(z))
        g = z * q
        t = (1.0 - a) * s[r]
        out[r] -= t * g
        dL[r] = -t * inside * q * g
        dB[r] -= t * p * q * q
        dk[r] += t * g * fabs(g)
        da[r] += s[r] * g


cdef clones scaled_column(const double *x, const double *w, double *out) noexcept nogil:
    cdef Py_ssize_t r
    for r in range(BLOCK):
        out[r] = x[r] * w[r]


cdef clones slope_column(const double *dA, const double *x, const double *dL, const double *logx, const double *w,
                         double *out) noexcept nogil:
    cdef Py_ssize_t r
    for r in range(BLOCK):
        out[r] = (dA[r] * x[r] + dL[r] * logx[r]) * w[r]


# --- one block

cdef void load_block(const Data *data, const Net *net, Py_ssize_t start, bint products, double *x, double *logx,
                     double *signs) noexcept nogil:
    # Transposes rows start.. of X into (d, BLOCK): x centred and scaled and, for products, its logarithm and sign.
    cdef Py_ssize_t d = data.d, rows = data.n - start, i, j, r
    cdef const double *row
    cdef double scale, inverse, size
    cdef bint used, inverse_is_usual
    if rows > BLOCK:
        rows = BLOCK
    for j in range(d):
        row = data.X + start * d + j
        scale = data.x_scale[j]
        inverse = 1.0 / scale
        inverse_is_usual = 1e-290 < inverse < 1e290
        for r in range(rows):
            size = row[r * d] * inverse if inverse_is_usual else row[r * d] / scale
            x[j * BLOCK + r] = clamp(size, 1.7e308)
        for r in range(rows, BLOCK):
            x[j * BLOCK + r] = 1.0
        if products and data.product[j]:
            log_abs(x + j * BLOCK, logx + j * BLOCK)
            used = False
            for i in range(net.h):
                used = used or net.sign[i * d + j]
            if used:
                sign_of(x + j * BLOCK, signs + j * BLOCK)
        for r in range(BLOCK):
            x[j * BLOCK + r] -= data.x_mean[j]


cdef void weighted_sum(Py_ssize_t d, const double *A, const unsigned char *product, const double *columns,
                       double *out) noexcept nogil:
    # out += sum_j A_j columns_j over the features with A_j != 0 (and, given product, those it admits), two at a time.
    cdef Py_ssize_t j, waiting = -1
    for j in range(d):
        if A[j] == 0.0 or (product != NULL and not product[j]):
            continue
        if waiting < 0:
            waiting = j
        else:
            add_scaled_pair(A[waiting], columns + waiting * BLOCK, A[j], columns + j * BLOCK, out)
            waiting = -1
    if waiting >= 0:
        add_scaled(A[waiting], columns + waiting * BLOCK, out)


cdef void node_sign(const Data *data, const unsigned char *sign, const double *signs, double *out) noexcept nogil:
    cdef Py_ssize_t j
    fill(1.0, out)
    for j in range(data.d):
        if sign[j] and data.product[j]:
            multiply(signs + j * BLOCK, out)


cdef void node_sums(const Net *net, Py_ssize_t d, double *columns, double keep, double *out) noexcept nogil:
    # out_i = keep out_i + sum_j A_ij columns_j of all nodes; columns that A does not count are zero.
    cdef int rows = BLOCK, n_columns = <int>d, h = <int>net.h, stride = <int>d + 3
    cdef double unit = 1.0
    dgemm("N", "N", &rows, &h, &n_columns, &unit, columns, &rows, <double *>net.theta, &stride, &keep, out, &rows)


cdef void predict_block(const Data *data, const Net *net, Py_ssize_t start, double *scratch,
                        double *out) noexcept nogil:
    cdef Py_ssize_t d = data.d, i
    cdef double *x = scratch
    cdef double *logx = x + d * BLOCK
    cdef double *signs = logx + d * BLOCK
    cdef double *s = signs + d * BLOCK
    cdef double *u = s + BLOCK  # (h, BLOCK)
    cdef const double *node
    cdef bint sums, products
    fill(net.theta[net.h * (d + 3)], out)
    sums = products = False
    for i in range(net.h):
        node = net.theta + i * (d + 3)
        sums = sums or node[d + 2] != 0.0
        products = products or node[d + 2] != 1.0
        fill(node[d], u + i * BLOCK)
    load_block(data, net, start, products, x, logx, signs)
    if sums:
        node_sums(net, d, x, 1.0, u)
        for i in range(net.h):
            node = net.theta + i * (d + 3)
            if node[d + 2] != 0.0:
                add_node(node[d + 2], node[d + 1], u + i * BLOCK, out)
    if products:
        node_sums(net, d, logx, 0.0, u)
        for i in range(net.h):
            node = net.theta + i * (d + 3)
            if node[d + 2] != 1.0:
                node_sign(data, net.sign + i * d, signs, s)
                multiply_node(node[d + 2], node[d], node[d + 1], u + i * BLOCK, s, out)


cdef double residual_block(const Data *data, const Net *net, const int *slot, Py_ssize_t start, double *scratch,
                           double *residual, double *J) noexcept nogil:
    # Weighted residuals f - y of one block and, column slot[p] of J (n_free, BLOCK), their derivatives; slot[p] < 0
    # leaves parameter p out, slot = NULL all. Returns the sum of the squared residuals.
    cdef Py_ssize_t d = data.d, i, j, r, first, rows = data.n - start
    cdef double *x = scratch
    cdef double *logx = x + d * BLOCK
    cdef double *signs = logx + d * BLOCK
    cdef double *u = signs + d * BLOCK
    cdef double *s = u + BLOCK
    cdef double *dA = s + BLOCK
    cdef double *dL = dA + BLOCK
    cdef double *dB = dL + BLOCK
    cdef double *dk = dB + BLOCK
    cdef double *da = dk + BLOCK
    cdef double *w = da + BLOCK
    cdef const double *node
    cdef double total = 0.0
    cdef bint blend_free
    if rows > BLOCK:
        rows = BLOCK
    for r in range(BLOCK):
        w[r] = data.root_weight[start + r] if r < rows else 0.0
    load_block(data, net, start, True, x, logx, signs)
    fill(net.theta[net.h * (d + 3)], residual)
    for i in range(net.h):
        node = net.theta + i * (d + 3)
        first = i * (d + 3)
        blend_free = slot != NULL and slot[first + d + 2] >= 0
        if node[d + 2] != 0.0 or blend_free:
            fill(node[d], u)
            weighted_sum(d, node, NULL, x, u)
            add_node_slopes(node[d + 2], node[d + 1], u, residual, dA, dB, dk, da)
        else:
            fill(0.0, dA)
            fill(0.0, dB)
            fill(0.0, dk)
        if node[d + 2] != 1.0 or blend_free:
            fill(0.0, u)
            weighted_sum(d, node, data.product, logx, u)
            node_sign(data, net.sign + i * d, signs, s)
            multiply_node_slopes(node[d + 2], node[d], node[d + 1], u, s, residual, dL, dB, dk, da)
        else:
            fill(0.0, dL)
        if slot == NULL:
            continue
        for j in range(d):
            if slot[first + j] >= 0:
                if data.product[j]:
                    slope_column(dA, x + j * BLOCK, dL, logx + j * BLOCK, w, J + slot[first + j] * BLOCK)
                else:
                    scaled_column(dA, x + j * BLOCK, J + slot[first + j] * BLOCK)
                    multiply(w, J + slot[first + j] * BLOCK)
        for j in range(3):  # dB, dk and da, one after the other in memory
            if slot[first + d + j] >= 0:
                scaled_column(dB + j * BLOCK, w, J + slot[first + d + j] * BLOCK)
    if slot != NULL and slot[net.h * (d + 3)] >= 0:
        for r in range(BLOCK):
            J[slot[net.h * (d + 3)] * BLOCK + r] = w[r]
    for r in range(rows):
        residual[r] = w[r] * (residual[r] - data.y[start + r])
        total += residual[r] * residual[r]
    for r in range(rows, BLOCK):
        residual[r] = 0.0
    return total


cdef void input_gradient_block(const Data *data, const Net *net, Py_ssize_t start, double *scratch,
                               double *out) noexcept nogil:
    # Adds to out (rows, d), C order.
    cdef Py_ssize_t d = data.d, i, j, l, r, rows = min(BLOCK, data.n - start)
    cdef double *x = scratch
    cdef double *logx = x + d * BLOCK
    cdef double *signs = logx + d * BLOCK
    cdef const double *node
    cdef const double *raw
    cdef double u, e, v, q, s, t
    load_block(data, net, start, True, x, logx, signs)
    for i in range(net.h):
        node = net.theta + i * (d + 3)
        for r in range(rows):
            raw = data.X + (start + r) * d
            u, e = node[d], 0.0
            for j in range(d):
                u += node[j] * x[j * BLOCK + r]
                if data.product[j] and node[j] != 0.0:
                    e += node[j] * logx[j * BLOCK + r]
            q = 1.0 / (1.0 + node[d + 1] * fabs(u))
            t = node[d + 2] * q * q if fabs(u) < LINEAR_LIMIT else 0.0
            v = node[d] * skmerge_exp(clamp(e, EXPONENT_LIMIT))
            q = 1.0 / (1.0 + node[d + 1] * fabs(v))
            q = (1.0 - node[d + 2]) * q * q if e < EXPONENT_LIMIT else 0.0
            for j in range(d):
                if node[j] == 0.0:
                    continue
                out[r * d + j] += t * node[j]
                if not data.product[j] or q == 0.0:
                    continue
                # d(s prod |x|^A)/dx_j = s' A_j |x_j|^(A_j - 1) prod of the rest: finite at x_j = 0 if A_j >= 1
                s = 1.0
                for l in range(d):
                    if net.sign[i * d + l] != (l == j) and data.product[l]:
                        s *= (1.0 if raw[l] > 0 else 0.0) - (1.0 if raw[l] < 0 else 0.0)
                v = node[d] * skmerge_exp(clamp(e - logx[j * BLOCK + r], EXPONENT_LIMIT))
                out[r * d + j] -= q * s * node[j] * v
    for r in range(rows):  # of the sum, not of each node: two that overflow would leave NaN
        for j in range(d):
            out[r * d + j] /= data.x_scale[j]


# --- the whole table

PART = 64 * BLOCK  # rows that a thread takes at a time: a millisecond and more, a thread costs a tenth of one


def in_parts(function, Py_ssize_t n, int n_threads):
    """[function(start, stop)] over n rows by PART, in threads; neither the parts nor their order depends on these."""
    starts = range(0, max(n, 1), PART)
    stops = [min(start + PART, n) for start in starts]
    if n_threads <= 1 or len(starts) == 1:
        done = []
        for start, stop in zip(starts, stops):
            PyErr_CheckSignals()  # compiled code that calls compiled code lets no Ctrl-C through by itself
            done.append(function(start, stop))
        return done
    with ThreadPoolExecutor(min(n_threads, len(starts))) as pool:
        return list(pool.map(function, starts, stops))


cdef Data table(const double[:, ::1] X, const double[::1] x_scale, const double[::1] x_mean,
                const unsigned char[::1] product) except *:
    cdef Data data
    if x_scale.shape[0] != X.shape[1] or x_mean.shape[0] != X.shape[1] or product.shape[0] != X.shape[1]:
        raise ValueError(f"X has {X.shape[1]} columns; x_scale, x_mean and product must have as many entries.")
    data.n, data.d = X.shape[0], X.shape[1]
    data.X = &X[0, 0] if data.n and data.d else NULL
    data.y = data.root_weight = NULL
    data.x_scale = data.x_mean = NULL
    data.product = NULL
    if data.d:
        data.x_scale, data.x_mean, data.product = &x_scale[0], &x_mean[0], &product[0]
    return data


cdef Net network(const double[::1] theta, const unsigned char[:, ::1] sign, Py_ssize_t d) except *:
    cdef Net net
    if sign.shape[1] != d or theta.shape[0] != sign.shape[0] * (d + 3) + 1:
        raise ValueError(f"theta has {theta.shape[0]} entries and sign shape ({sign.shape[0]}, {sign.shape[1]}); "
                         f"n_nodes nodes of {d} features need n_nodes * {d + 3} + 1 and (n_nodes, {d}).")
    net.h = sign.shape[0]
    net.theta = &theta[0]
    net.sign = &sign[0, 0] if net.h else NULL
    return net


cdef void check_length(Py_ssize_t n, const double[::1] y, const double[::1] weight) except *:
    if y.shape[0] != n or weight.shape[0] != n:
        raise ValueError(f"X has {n} rows, y {y.shape[0]} and weight {weight.shape[0]}; they must be equal.")


def predict(const double[:, ::1] X, const double[::1] x_scale, const double[::1] x_mean,
            const unsigned char[::1] product, const double[::1] theta, const unsigned char[:, ::1] sign,
            int n_threads=1):
    """f(x) of every row, scaled units, shape (n,)."""
    cdef double[::1] out = np.empty((X.shape[0] + BLOCK - 1) // BLOCK * BLOCK)  # whole blocks

    def part(Py_ssize_t start, Py_ssize_t stop):
        cdef Data data = table(X[start:stop], x_scale, x_mean, product)
        cdef Net net = network(theta, sign, data.d)
        cdef double[::1] scratch = np.zeros(scratch_size(data.d, net.h))
        cdef Py_ssize_t block
        with nogil:
            for block in range((data.n + BLOCK - 1) // BLOCK):
                predict_block(&data, &net, block * BLOCK, &scratch[0], &out[start + block * BLOCK])

    in_parts(part, X.shape[0], n_threads)
    return np.asarray(out)[:X.shape[0]]


def jacobian(const double[:, ::1] X, const double[::1] y, const double[::1] weight, const double[::1] x_scale,
             const double[::1] x_mean, const unsigned char[::1] product, const double[::1] theta,
             const unsigned char[:, ::1] sign, int n_threads=1):
    """Residuals sqrt(w) (f - y), shape (n,), and their derivatives with respect to theta, shape (n, n_parameters)."""
    cdef double[::1] root = np.sqrt(weight), residual = np.empty(X.shape[0])
    cdef double[:, ::1] J = np.empty((X.shape[0], theta.shape[0]))
    check_length(X.shape[0], y, weight)

    def part(Py_ssize_t start, Py_ssize_t stop):
        cdef Data data = table(X[start:stop], x_scale, x_mean, product)
        cdef Net net = network(theta, sign, data.d)
        cdef Py_ssize_t p = theta.shape[0], first, block, q, r
        cdef int[::1] slot = np.arange(p, dtype=np.intc)
        cdef double[::1] scratch = np.zeros(scratch_size(data.d, 0)), columns = np.empty(p * BLOCK), f = np.empty(BLOCK)
        cdef double[::1] residual_part = residual[start:stop]
        cdef double[:, ::1] J_part = J[start:stop]
        if data.n:
            data.y, data.root_weight = &y[start], &root[start]
        with nogil:
            for block in range((data.n + BLOCK - 1) // BLOCK):
                first = block * BLOCK
                residual_block(&data, &net, &slot[0], first, &scratch[0], &f[0], &columns[0])
                for r in range(min(BLOCK, data.n - first)):
                    residual_part[first + r] = f[r]
                    for q in range(p):
                        J_part[first + r, q] = columns[q * BLOCK + r]

    in_parts(part, X.shape[0], n_threads)
    return np.asarray(residual), np.asarray(J)


def loss_gradient(const double[:, ::1] X, const double[::1] y, const double[::1] weight, const double[::1] x_scale,
                  const double[::1] x_mean, const unsigned char[::1] product, const double[::1] theta,
                  const unsigned char[:, ::1] sign, int n_threads=1):
    """sum w (f - y)^2 / 2 and its derivative with respect to theta, shape (n_parameters,)."""
    cdef double[::1] root = np.sqrt(weight)
    check_length(X.shape[0], y, weight)

    def part(Py_ssize_t start, Py_ssize_t stop):
        cdef Data data = table(X[start:stop], x_scale, x_mean, product)
        cdef Net net = network(theta, sign, data.d)
        cdef double[::1] gradient = np.zeros(theta.shape[0])
        cdef Py_ssize_t p = theta.shape[0], block, work = 0
        cdef int[::1] slot = np.arange(p, dtype=np.intc)
        cdef double[::1] scratch = np.zeros(scratch_size(data.d, 0)), J = np.empty(p * BLOCK), f = np.empty(BLOCK)
        cdef double loss = 0.0, unit = 1.0
        cdef int n_block = BLOCK, n_slots = <int>p, one = 1
        if data.n:
            data.y, data.root_weight = &y[start], &root[start]
        with nogil:
            for block in range((data.n + BLOCK - 1) // BLOCK):
                loss += residual_block(&data, &net, &slot[0], block * BLOCK, &scratch[0], &f[0], &J[0])
                dgemv("T", &n_block, &n_slots, &unit, &J[0], &n_block, &f[0], &one, &unit, &gradient[0], &one)
                work += p + 50
                if work > 1e5:  # 0.02 s or more since the last look for Ctrl-C
                    work = 0
                    with gil:
                        PyErr_CheckSignals()
        return 0.5 * loss, np.asarray(gradient)

    losses, gradients = zip(*in_parts(part, X.shape[0], n_threads), strict=True)
    return sum(losses), sum(gradients)


def input_gradient(const double[:, ::1] X, const double[::1] x_scale, const double[::1] x_mean,
                   const unsigned char[::1] product, const double[::1] theta, const unsigned char[:, ::1] sign,
                   int n_threads=1):
    """df/dx_j of every row, scaled y per raw x, shape (n, d)."""
    cdef double[:, ::1] out = np.zeros((X.shape[0], X.shape[1]))

    def part(Py_ssize_t start, Py_ssize_t stop):
        cdef Data data = table(X[start:stop], x_scale, x_mean, product)
        cdef Net net = network(theta, sign, data.d)
        cdef double[::1] scratch = np.zeros(scratch_size(data.d, 0))
        cdef double[:, ::1] slopes = out[start:stop]
        cdef Py_ssize_t block
        with nogil:
            for block in range((data.n + BLOCK - 1) // BLOCK):
                input_gradient_block(&data, &net, block * BLOCK, &scratch[0], &slopes[block * BLOCK, 0])

    in_parts(part, X.shape[0], n_threads)
    return np.asarray(out)
