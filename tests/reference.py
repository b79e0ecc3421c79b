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
