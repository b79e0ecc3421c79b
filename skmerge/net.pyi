from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, Self, TypeAlias, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin
from sklearn.callback import CallbackSupportMixin

from skmerge._net.formula import Formula

__all__ = ["MergedNetRegressor"]

_F8: TypeAlias = NDArray[np.float64]
_B1: TypeAlias = NDArray[np.bool_]

class MergedNetRegressor(CallbackSupportMixin, MultiOutputMixin, RegressorMixin, BaseEstimator):
    A_: _F8
    B_: _F8
    C_: _F8
    blend_: _F8
    D_: _F8
    sign_: _B1
    estimator_weight_: _F8
    x_scale_: _F8
    x_mean_: _F8
    y_scale_: _F8
    y_mean_: _F8
    product_: _B1
    noise_std_: _F8
    validation_error_: _F8
    form_error_: _F8
    target_range_: _F8
    x_min_: _F8
    x_max_: _F8
    x_least_: _F8
    covariance_: list[_F8]
    inputs_: dict[str, NDArray[Any]]
    n_features_in_: int
    feature_names_in_: NDArray[np.object_]
    target_names_in_: NDArray[np.object_] | None
    def __init__(
        self,
        n_nodes: int | Literal["auto"] = "auto",
        *,
        blend: float | Literal["learn"] = "learn",
        sign: Literal["auto", "all", "none"] | Sequence[str | int] = "auto",
        penalty: float | Literal["auto"] = "auto",
        exponents: Mapping[Any, float | Sequence[float | None]] | None = None,
        offset: Callable[[_F8], ArrayLike] | str | int | None = None,
        n_estimators: int | Literal["auto"] = "auto",
        simplify: bool = True,
        n_jobs: int | None = None,
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
    ) -> None: ...
    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self: ...
    @overload
    def predict(self, X: ArrayLike, return_std: Literal[False] = False) -> _F8: ...
    @overload
    def predict(self, X: ArrayLike, return_std: Literal[True, "value", "measurement"]) -> tuple[_F8, _F8]: ...
    def predict_gradient(self, X: ArrayLike) -> _F8: ...
    def applicability(self, X: ArrayLike) -> _F8: ...
    def score(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float: ...
    def formula(
        self,
        feature_names: Sequence[str] | None = None,
        *,
        target_names: str | Sequence[str] | None = None,
        standard_errors: bool = False,
    ) -> Formula: ...
