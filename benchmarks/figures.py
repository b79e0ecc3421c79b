"""Figures and how they are printed; errors; the models that are measured."""

import operator
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.compose import TransformedTargetRegressor
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

COMPARE: dict[str, Callable] = {"<=": operator.le, ">=": operator.ge}


@dataclass(frozen=True)
class Figure:
    """One line of the table: what was measured, and the target as ("<=" or ">=", number) or none."""

    section: str
    what: str
    value: float
    target: tuple[str, float] | None = None
    beside: str = ""

    def __str__(self):
        wanted, met = "", ""
        if self.target is not None:
            relation, limit = self.target
            wanted = f"{relation} {limit:g}"
            met = "yes" if COMPARE[relation](self.value, limit) else "NO"
        return f"{self.section:13} {self.what:66} {self.value:10.4g} {wanted:>10} {met:>4}  {self.beside}"


HEADER = f"{'section':13} {'figure':66} {'value':>10} {'target':>10} {'met':>4}  beside it"


def nrmse(y, prediction):
    """Root mean squared error in standard deviations of y; infinite if the prediction is not finite."""
    if not np.isfinite(prediction).all():
        return np.inf
    with np.errstate(over="ignore"):
        return float(np.sqrt(np.mean(((y - prediction) / np.std(y)) ** 2)))


def mlp(seed=0, **parameters):
    """MLPRegressor with 64 tanh nodes on standardised features and target."""
    chosen = {"solver": "lbfgs", "alpha": 1e-3, "max_iter": 2000, "max_fun": 30_000} | parameters
    net = MLPRegressor(hidden_layer_sizes=(64,), activation="tanh", random_state=seed, **chosen)
    return TransformedTargetRegressor(make_pipeline(StandardScaler(), net), transformer=StandardScaler())


class NotApplicableError(ValueError):
    """The model cannot be fitted to these values at all."""


class PowerLaw(RegressorMixin, BaseEstimator):
    """One product of powers: least squares of the logarithms, then of y itself by Gauss-Newton steps."""

    def fit(self, X, y):
        sign = 1.0 if np.mean(y > 0) >= 0.5 else -1.0
        rows = sign * y > 0
        if (X <= 0).any() or rows.mean() < 0.6:
            raise NotApplicableError("logarithms need positive values")
        self.center_ = np.log(X).mean(axis=0)
        Z = self._columns(X)
        c = np.linalg.lstsq(Z[rows], np.log(sign * y[rows]))[0]

        def squares(c):
            return np.sum((np.exp(np.clip(Z @ c, -60, 60)) - sign * y) ** 2)

        for _ in range(50):
            value = np.exp(np.clip(Z @ c, -60, 60))
            step = np.linalg.lstsq(Z * value[:, None], sign * y - value)[0]
            while squares(c + step) > squares(c) and np.abs(step).max() > 1e-12:
                step = step / 2
            c = c + step
            if np.abs(step).max() < 1e-12:
                break
        self.coef_, self.sign_ = c, sign
        return self

    def predict(self, X):
        if (X <= 0).any():
            raise NotApplicableError("logarithms need positive values")
        return self.sign_ * np.exp(np.clip(self._columns(X) @ self.coef_, -700, 700))

    def _columns(self, X):
        return np.column_stack([np.ones(len(X)), np.log(X) - self.center_])
