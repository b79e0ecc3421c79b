"""Functions of products, which a law takes as factors beside the powers of the features.

A column f(u), u = c P + phi with P = prod_j z_j^e_j, z in units of the features: exp(-Q / (R T)), cos(omega t + phi),
log(a / b), 1 - exp(-t / tau) and 1 / (exp(h nu / (k T)) - 1), and 1 + c P, whose powers are the roots and the ratios of
sums: m (1 - v^2 / c^2)^-0.5.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from skmerge._net.floats import squarable

LARGEST = 700.0  # exp of more is near the end of the range of float
MAX_ANGLE = 1e15  # the cosine of a greater one is rounding error
TINY = 1e-300  # least size of the argument of a logarithm
MAX_COLUMN = 1e300  # size of a column and of its slopes
SAME = 1e-7  # relative difference of the numbers of one group, which are rounded differently in a search and after it


@dataclass(frozen=True)
class Kind:
    """f and its derivative; how it is written, with its argument in the place of the braces."""

    value: Callable
    slope: Callable
    text: str
    latex: str
    python: str
    is_power: bool = False  # whether it is 1 + u, which has other powers than the first


KINDS = {
    "exp": Kind(
        lambda u: np.exp(np.clip(u, -LARGEST, LARGEST)),
        lambda u: np.where(np.abs(u) < LARGEST, np.exp(np.clip(u, -LARGEST, LARGEST)), 0.0),
        "exp({})", r"\exp\!\left({}\right)", "np.exp({})",
    ),
    "expm1": Kind(
        lambda u: np.expm1(np.clip(u, -LARGEST, LARGEST)),
        lambda u: np.where(np.abs(u) < LARGEST, np.exp(np.clip(u, -LARGEST, LARGEST)), 0.0),
        "(exp({}) - 1)", r"\left(\exp\!\left({}\right) - 1\right)", "np.expm1({})",
    ),
    "rise": Kind(  # expm1 of a negative argument, with the sign that people write
        lambda u: -np.expm1(np.clip(u, -LARGEST, LARGEST)),
        lambda u: np.where(np.abs(u) < LARGEST, -np.exp(np.clip(u, -LARGEST, LARGEST)), 0.0),
        "(1 - exp({}))", r"\left(1 - \exp\!\left({}\right)\right)", "(-np.expm1({}))",
    ),
    "cos": Kind(
        lambda u: np.cos(np.clip(u, -MAX_ANGLE, MAX_ANGLE)), lambda u: -np.sin(np.clip(u, -MAX_ANGLE, MAX_ANGLE)),
        "cos({})", r"\cos\!\left({}\right)", "np.cos({})",
    ),
    "sin": Kind(
        lambda u: np.sin(np.clip(u, -MAX_ANGLE, MAX_ANGLE)), lambda u: np.cos(np.clip(u, -MAX_ANGLE, MAX_ANGLE)),
        "sin({})", r"\sin\!\left({}\right)", "np.sin({})",
    ),
    "log": Kind(
        lambda u: np.log(np.maximum(np.abs(u), TINY)), lambda u: 1.0 / np.where(np.abs(u) < TINY, TINY, u),
        "log({})", r"\log\!\left({}\right)", "np.log({})",
    ),
    "shifted": Kind(
        lambda u: 1.0 + u, np.ones_like, "({})", r"\left({}\right)", "({})", is_power=True,
    ),
    "group": Kind(  # 1 for the rows of a group, whose u is 0; see ``groups``
        lambda u: (np.abs(u) < SAME).astype(float), np.zeros_like,
        "[{} = 0]", r"\left[{} = 0\right]", f"(np.abs({{}}) < {SAME})",
    ),
}  # fmt: skip


def power(z, e):
    """z^e for a whole number e, |z|^e otherwise; finite."""
    with np.errstate(all="ignore"):
        value = np.abs(z) ** e
        if e == np.round(e) and e % 2:
            value = np.copysign(value, z)
    return squarable(np.nan_to_num(value, nan=0.0))


@dataclass(frozen=True)
class Functions:
    """Columns of functions: ``kind`` (m,) of KINDS, ``exponent`` (m, d), ``factor``, ``phase`` (m,), ``free`` (m, 2).

    ``free``: whether the factor and the phase are fitted numbers.
    """

    kind: np.ndarray
    exponent: np.ndarray
    factor: np.ndarray
    phase: np.ndarray
    free: np.ndarray

    @classmethod
    def none(cls, d):
        return cls(np.zeros(0, "U7"), np.zeros((0, d)), np.zeros(0), np.zeros(0), np.zeros((0, 2), bool))

    @classmethod
    def joined(cls, several, d):
        """One after the other."""
        parts = [cls.none(d), *several]
        return cls(*(np.concatenate([getattr(one, name) for one in parts]) for name in cls.__dataclass_fields__))

    @property
    def arrays(self):
        """What is stored, by name."""
        return dict(vars(self))

    def __len__(self):
        return len(self.kind)

    @property
    def parameters(self):
        """Factor and phase, one function after the other, (2 m,)."""
        return np.column_stack([self.factor, self.phase]).ravel()

    @property
    def uncertain(self):
        """Which factors and phases have an error, (m, 2): those fitted, and a phase that is simple.

        The data chose the simple phase, so that it is as uncertain as a fitted one. Where a phase of 0.4 was set to 0,
        in 20 years of months, the frequency was up to 2.7 standard errors off as long as the phase counted as known.
        """
        return self.free | np.column_stack([np.zeros(len(self), bool), np.isin(self.kind, ("cos", "sin"))])

    def with_parameters(self, flat):
        """The same with these factors and phases, (2 m,)."""
        factor, phase = np.reshape(flat, (-1, 2)).T
        return replace(self, factor=factor, phase=phase)

    def product(self, q, Z):
        """The product P of function q, (n,)."""
        P = np.ones(len(Z))
        for j in np.flatnonzero(self.exponent[q]):
            P = P * power(Z[:, j], self.exponent[q, j])
        return squarable(P)

    def columns(self, Z):
        """Values (n, m) at features Z (n, d) in their units."""
        out = np.empty((len(Z), len(self)))
        for q, kind in enumerate(self.kind):
            out[:, q] = KINDS[str(kind)].value(self.factor[q] * self.product(q, Z) + self.phase[q])
        return np.clip(out, -MAX_COLUMN, MAX_COLUMN)

    def by_parameters(self, Z):
        """Derivatives of the columns by factor and phase, (n, m, 2)."""
        out = np.empty((len(Z), len(self), 2))
        for q, kind in enumerate(self.kind):
            P = self.product(q, Z)
            out[:, q, 1] = KINDS[str(kind)].slope(self.factor[q] * P + self.phase[q])
            out[:, q, 0] = np.clip(out[:, q, 1] * P, -MAX_COLUMN, MAX_COLUMN)
        return out

    def by_features(self, Z):
        """Derivatives of the columns by the features, (n, m, d)."""
        out = np.zeros((len(Z), *self.exponent.shape))
        for q, kind in enumerate(self.kind):
            slope = KINDS[str(kind)].slope(self.factor[q] * self.product(q, Z) + self.phase[q]) * self.factor[q]
            for j in np.flatnonzero(self.exponent[q]):
                e, rest = self.exponent[q, j], replace(self, exponent=self.exponent.copy())
                rest.exponent[q, j] = 0.0
                own = e * power(Z[:, j], e - 1.0)
                if e != np.round(e):
                    own = np.copysign(own, Z[:, j] * own)
                with np.errstate(over="ignore"):
                    out[:, q, j] = np.clip(slope * rest.product(q, Z) * own, -MAX_COLUMN, MAX_COLUMN)
        return out

    def is_undefined(self, Z):
        """Where a root of 1 + c P has no value or its reciprocal a pole, (n,)."""
        shifted = self.kind == "shifted"
        return (self.columns(Z)[:, shifted] <= 0).any(axis=1)
