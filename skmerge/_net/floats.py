"""Numbers that stay within the range of float: products, and squares."""

import numpy as np

# Squares of numbers between these stay within the range of float, and so do sums of 10^8 of them.
SMALL, HUGE = 1e-150, 1e150


def squarable(x):
    """x, clipped so that its squares and their sums stay within the range of float."""
    return np.clip(x, -HUGE, HUGE)


def within_float(value, *factors):
    """Product, clipped to the range of float."""
    limit = np.finfo(float).max
    with np.errstate(over="ignore"):
        for factor in (1.0, *factors):
            value = np.clip(value * factor, -limit, limit)
    return value
