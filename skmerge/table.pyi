from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, Self, TypeAlias, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.callback import CallbackSupportMixin

__all__ = ["MergedNetImputer", "Outlier"]

_F8: TypeAlias = NDArray[np.float64]

class Outlier(NamedTuple):
    row: int
    label: object
    column: str
    value: object
    expected: object
    std: float
    score: float

class MergedNetImputer(CallbackSupportMixin, OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    properties_: NDArray[np.intp]
    ignored_: NDArray[np.intp]
    log_: NDArray[np.bool_]
    left_out_: _F8
    left_out_std_: _F8
    outlier_scores_: _F8
    weight_: _F8
    source_distance_: float
    source_noise_: _F8
    source_scale_: _F8
    std_scale_: _F8
    range_: _F8
    is_graded_: NDArray[np.bool_]
    explained_: _F8
    n_iter_: int
    change_: float
    n_features_in_: int
    feature_names_in_: NDArray[np.object_]
    def __init__(
        self,
        properties: Literal["auto"] | Sequence[str | int] = "auto",
        *,
        inputs: Mapping[Any, Sequence[str | int]] | None = None,
        derived: Mapping[str, Callable[[_F8], ArrayLike]] | None = None,
        relations: Mapping[Any, Callable[[_F8], ArrayLike]] | None = None,
        source: str | int | None = None,
        log: Literal["auto"] | Sequence[str | int] = "auto",
        categorical: Sequence[str | int] = (),
        bounds: Mapping[Any, Sequence[float | None]] | None = None,
        n_estimators: int = 20,
        damping: float = 1.0,
        max_iter: int = 300,
        tol: float = 0.01,
        n_jobs: int | None = None,
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
    ) -> None: ...
    def fit(
        self, X: ArrayLike, y: object = None, groups: ArrayLike | None = None, error: ArrayLike | None = None
    ) -> Self: ...
    @overload  # Any: an array, or what set_output asks for
    def transform(self, X: ArrayLike, return_std: Literal[False] = False) -> Any: ...
    @overload
    def transform(self, X: ArrayLike, return_std: Literal[True]) -> tuple[Any, Any]: ...
    @overload
    def predict_entries(self, X: ArrayLike, return_std: Literal[False] = False) -> _F8: ...
    @overload
    def predict_entries(self, X: ArrayLike, return_std: Literal[True]) -> tuple[_F8, _F8]: ...
    def applicability(self, X: ArrayLike) -> _F8: ...
    def outliers(self, n_max: int = 20, columns: Sequence[str | int] | None = None) -> list[Outlier]: ...
    def score(self, X: ArrayLike, y: object = None) -> float: ...
