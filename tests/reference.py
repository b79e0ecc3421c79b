"""Slow, obvious NumPy twins of the compiled code: each transcribes its formula term by term.

They take complex numbers as well, |u| being sign(Re u) u, so a complex step differentiates them to the last digit.
"""

import numpy as np

# --- activation ------------------------------------------------------------------------------------------------------


def size(u):
    return np.where(np.real(u) < 0, -u, u)


def activation(u, C=1.0, kind="saturating"):
    if kind == "tanh":
        return C * np.tanh(u)
    return C * u / (size(u) + (C if kind == "saturating" else 1))


def complex_step(f, x, h=1e-200):
    """Derivative of f at real x: no difference is taken, so none cancels."""
    return np.imag(f(x + 1j * h)) / h


# --- blended net ------------------------------------------------------------------------------------------------------


def saturating(u, k):
    """g in its smooth parameter k = 1 / C, so that k = 0 is C = inf."""
    return u / (1 + k * size(u))


def halves(x, A, B, k, a, x_mean, product, sign):
    """The two sums over nodes before they are summed, each (n, n_nodes); x (n, d) already divided by its scale.

    A, sign (n_nodes, d), B, k, a (n_nodes,); product (d,): the features that may enter a product.
    """
    n, d = x.shape
    additive, multiplicative = [], []
    for i in range(len(A)):
        u = B[i]
        p = B[i]
        s = 1.0
        for j in range(d):
            u = u + A[i, j] * (x[:, j] - x_mean[j])
            if product[j]:
                p = p * size(x[:, j]) ** A[i, j]
                if sign[i, j]:
                    s = s * np.sign(np.real(x[:, j]))
        additive.append(np.zeros(n) + a[i] * saturating(u, k[i]))
        multiplicative.append(np.zeros(n) + (1 - a[i]) * s * saturating(p, k[i]))
    return np.reshape(additive, (len(A), n)).T, np.reshape(multiplicative, (len(A), n)).T


def blended(x, A, B, k, a, D, y_mean, x_mean, product, sign):
    """D + abar ybar + sum_i a_i g(A_i.(x - xbar) + B_i; C_i) - s(x) sum_i (1 - a_i) g(B_i prod_j |x_j|^A_ij; C_i)."""
    abar = np.sum(a) / len(a) if len(a) else 0.0
    additive, multiplicative = halves(x, A, B, k, a, x_mean, product, sign)
    return D + abar * y_mean + additive.sum(axis=1) - multiplicative.sum(axis=1)


def unpack(theta, d):
    """A, B, k, a and the constant of a flat vector."""
    nodes = theta[:-1].reshape(-1, d + 3)
    return nodes[:, :d], nodes[:, d], nodes[:, d + 1], nodes[:, d + 2], theta[-1]


def net(X, x_scale, x_mean, product, theta, sign):
    """The arguments of kernel.predict."""
    A, B, k, a, constant = unpack(theta, X.shape[1])
    return blended(X / x_scale, A, B, k, a, constant, 0.0, x_mean, product, sign)


def residual(X, y, weight, x_scale, x_mean, product, theta, sign):
    return np.sqrt(weight) * (net(X, x_scale, x_mean, product, theta, sign) - y)


def jacobian(X, y, weight, x_scale, x_mean, product, theta, sign):
    """Derivative of residual with respect to theta, one complex step a column, shape (n, n_parameters)."""
    columns = []
    for q in range(len(theta)):
        step = np.zeros(len(theta), complex)
        step[q] = 1e-200j
        columns.append(np.imag(residual(X, y, weight, x_scale, x_mean, product, theta + step, sign)) / 1e-200)
    return np.stack(columns, axis=1)


def input_gradient(X, x_scale, x_mean, product, theta, sign):
    """df/dx_j in raw units, shape (n, d); x_j must not be 0."""
    columns = []
    for j in range(X.shape[1]):
        step = np.zeros(X.shape, complex)
        step[:, j] = 1e-200j
        columns.append(np.imag(net(X + step, x_scale, x_mean, product, theta, sign)) / 1e-200)
    return np.stack(columns, axis=1)


def loss(X, y, weight, x_scale, x_mean, product, theta, sign, penalty=0.0):
    """[sum w (f - y)^2 + sum penalty theta^2] / 2."""
    f = net(X, x_scale, x_mean, product, theta, sign)
    return 0.5 * np.sum(weight * (f - y) ** 2) + 0.5 * np.sum(penalty * theta**2)


def normal_equations(X, y, weight, x_scale, x_mean, product, theta, sign, penalty=0.0):
    """J'J with the penalty on its diagonal, and the derivative of the loss."""
    J = jacobian(X, y, weight, x_scale, x_mean, product, theta, sign)
    r = residual(X, y, weight, x_scale, x_mean, product, theta, sign)
    return J.T @ J + np.diag(penalty + np.zeros(len(theta))), J.T @ r + penalty * theta
