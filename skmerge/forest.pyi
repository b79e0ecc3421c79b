from typing import Literal, Self, TypeAlias, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin
from sklearn.callback import CallbackSupportMixin

__all__ = ["GradientForestRegressor"]

_F8: TypeAlias = NDArray[np.float64]
_I8: TypeAlias = NDArray[np.intp]

class GradientForestRegressor(CallbackSupportMixin, MultiOutputMixin, RegressorMixin, BaseEstimator):
    nodes_: list[NDArray[np.void]]
    tree_start_: list[_I8]
    leaves_: list[_F8]
    rate_: list[_F8]
    member_start_: list[_I8]
    member_weight_: list[_F8]
    coordinate_: NDArray[np.int32]
    x_shift_: _F8
    x_unit_: _F8
    oob_prediction_: _F8
    oob_score_: float
    noise_std_: _F8
    std_scale_: _F8
    stand_in_: _F8
    gap_scale_: _F8
    level_: _F8
    level_start_: _I8
    level_error_: _F8
    level_bend_: _F8
    n_features_in_: int
    feature_names_in_: NDArray[np.object_]
    def __init__(
        self,
        n_estimators: int = 100,
        *,
        order: Literal["auto", 0, 1, 2] = "auto",
        criterion: Literal["auto", "value", "plane", "slope"] = "auto",
        max_depth: int | None = None,
        max_leaf_nodes: int | None = None,
        min_samples_leaf: int | Literal["auto"] = "auto",
        max_features: float | Literal["auto"] = "auto",
        bootstrap: bool = True,
        extrapolate: Literal["clip", "linear"] = "clip",
        n_jobs: int | None = None,
        random_state: int | np.random.RandomState | None = None,
        warm_start: bool = False,
        verbose: int = 0,
    ) -> None: ...
    @property
    def feature_importances_(self) -> _F8: ...
    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        dydx: ArrayLike | None = None,
        direction: ArrayLike | None = None,
        slope: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        groups: ArrayLike | None = None,
    ) -> Self: ...
    @overload
    def predict(self, X: ArrayLike, return_std: Literal[False] = False) -> _F8: ...
    @overload
    def predict(self, X: ArrayLike, return_std: Literal[True]) -> tuple[_F8, _F8]: ...
    def predict_gradient(self, X: ArrayLike, *, smooth: bool = False) -> _F8: ...
    def apply(self, X: ArrayLike) -> _I8: ...
    def applicability(self, X: ArrayLike) -> _F8: ...
    def score(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float: ...
