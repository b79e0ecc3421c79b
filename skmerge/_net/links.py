"""Links: y = h(u), where u is the sum that the net computes.

The root, reciprocal or exponential of a sum of products is not such a sum: m / sqrt(1 - v^2 / c^2), a b / (a + b).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from skmerge._net.floats import HUGE, squarable

TINY = np.finfo(float).tiny
MAX_LOG = 709.0  # exp of more is beyond the range of float
NEAREST_POLE = 1e-100  # distance from a pole; a slope is not steeper than there


@dataclass(frozen=True)
class Link:
    """h, which is finite for every finite u, its derivative, its inverse for y > 0, and how it is written.

    ``power``: if y is divided by s, u is divided by s^power; if None, log(s) is subtracted from u.
    """

    value: Callable
    slope: Callable
    inverse: Callable
    power: float | None
    positive: bool  # whether u > 0 is needed
    text: str
    latex: str
    python: str

    def is_undefined(self, u):
        """Where h has no value, or its value has another sign than all the data."""
        return (u <= 0) & self.positive


def _positive(u, least=TINY):
    return np.clip(u, least, HUGE)


def _nonzero(u, least=TINY):
    return np.where(u < 0, -1.0, 1.0) * _positive(np.abs(u), least)


def _root(u):
    return np.sqrt(np.maximum(u, 0.0))


def _slope_of_root(u):
    return np.where(u > 0, 0.5 / np.sqrt(_positive(u)), 0.0)


def _reciprocal_root(u):
    return 1.0 / np.sqrt(_positive(u))


def _reciprocal(u):
    return 1.0 / _nonzero(u)


def _exp(u):
    return np.exp(np.clip(u, -MAX_LOG, MAX_LOG))


LINKS = {
    "identity": Link(lambda u: u, np.ones_like, lambda y: y, 1.0, False, "{}", "{}", "{}"),
    "reciprocal": Link(
        _reciprocal, lambda u: -1.0 / _nonzero(u, NEAREST_POLE) ** 2, _reciprocal, -1.0, True,
        "1 / ({})", r"\frac{{1}}{{{}}}", "1.0 / ({})",
    ),
    "sqrt": Link(
        _root, _slope_of_root, np.square, 2.0, True,
        "sqrt({})", r"\sqrt{{{}}}", "np.sqrt(np.maximum({}, 0.0))",
    ),
    "reciprocal_sqrt": Link(
        _reciprocal_root, lambda u: -0.5 * _positive(u, NEAREST_POLE) ** -1.5, lambda y: _reciprocal(y) ** 2, -2.0,
        True,
        "1 / sqrt({})", r"\frac{{1}}{{\sqrt{{{}}}}}", "1.0 / np.sqrt(np.maximum({}, np.finfo(float).tiny))",
    ),
    "square": Link(
        lambda u: np.square(squarable(u)), lambda u: 2.0 * squarable(u), np.sqrt, 0.5, False,
        "({})^2", r"\left({}\right)^2", "np.square({})",
    ),
    "exp": Link(
        _exp, lambda u: np.where(np.abs(u) < MAX_LOG, _exp(u), 0.0), np.log, None, False,
        "exp({})", r"\exp\!\left({}\right)", "np.exp({})",
    ),
}  # fmt: skip
