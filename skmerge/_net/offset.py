"""The known part of y, which the net does not learn: a function of X, a column of it, or nothing."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from skmerge._net.notation import offset_name
from skmerge._validation import naming

DIFFERENCE_STEP = 6e-6  # of a central difference, relative to x: the cube root of the rounding error


@dataclass(frozen=True)
class Offset:
    """``given``: the parameter ``offset``; ``column``: its number if it is a column of X."""

    given: Callable | str | int | None
    column: int | None

    @classmethod
    def of(cls, given, names):
        """``names``: ColumnNames."""
        return cls(given, None if given is None or callable(given) else names.number(given, "offset"))

    @property
    def name(self):
        """How a formula calls a function; None of others."""
        return None if self.given is None or self.column is not None else offset_name(self.given)

    def __call__(self, X, n_outputs):
        """Values (n, n_outputs) or (n, 1), or a scalar 0."""
        if self.given is None:
            return 0.0
        if self.column is not None:
            return X[:, [self.column]]
        try:
            value = self.given(X)
        except Exception as error:
            raise ValueError(
                f"offset raised {error!r}; it is called with X as an array of shape {X.shape}, columns by number."
            ) from error
        with naming("offset"):
            value = np.asarray(value, dtype=float)
        if value.shape not in ((len(X),), (len(X), n_outputs)):
            raise ValueError(
                f"offset returned shape {value.shape} for X of shape {X.shape}; give one value for each row."
            )
        if not np.isfinite(value).all():
            raise ValueError("offset returned NaN or infinity; it must be finite wherever the net is used.")
        return value.reshape(len(X), -1)

    def add_gradient(self, gradient, X, x_scale):
        """Add its slopes, those of a function by central differences, to those of the net (n, m, d)."""
        if self.column is not None:
            gradient[:, :, self.column] += 1.0
        elif self.given is not None:
            for j in range(X.shape[1]):
                step = DIFFERENCE_STEP * np.maximum(np.abs(X[:, j]), x_scale[j])
                above, below = X.copy(), X.copy()
                above[:, j] += step
                below[:, j] -= step
                rise = self(above, gradient.shape[1]) - self(below, gradient.shape[1])
                gradient[:, :, j] += rise / (above[:, j] - below[:, j])[:, None]
