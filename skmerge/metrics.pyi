from collections.abc import Sequence
from typing import Any, Literal, TypeAlias, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "confidence_curve",
    "interval_coverage",
    "observed_mae",
    "observed_mae_scorer",
    "observed_r2_score",
    "observed_r2_scorer",
    "observed_rmse",
    "observed_rmse_scorer",
]

_F8: TypeAlias = NDArray[np.float64]
_Mean: TypeAlias = Literal["columns", "pooled"]

@overload
def observed_r2_score(
    y_true: ArrayLike, y_pred: ArrayLike, *, sample_weight: ArrayLike | None = None, average: _Mean = "columns"
) -> float: ...
@overload
def observed_r2_score(
    y_true: ArrayLike, y_pred: ArrayLike, *, sample_weight: ArrayLike | None = None, average: None
) -> _F8: ...
@overload
def observed_rmse(
    y_true: ArrayLike, y_pred: ArrayLike, *, sample_weight: ArrayLike | None = None, average: _Mean = "columns"
) -> float: ...
@overload
def observed_rmse(
    y_true: ArrayLike, y_pred: ArrayLike, *, sample_weight: ArrayLike | None = None, average: None
) -> _F8: ...
@overload
def observed_mae(
    y_true: ArrayLike, y_pred: ArrayLike, *, sample_weight: ArrayLike | None = None, average: _Mean = "columns"
) -> float: ...
@overload
def observed_mae(
    y_true: ArrayLike, y_pred: ArrayLike, *, sample_weight: ArrayLike | None = None, average: None
) -> _F8: ...
def confidence_curve(
    y_true: ArrayLike, y_pred: ArrayLike, std: ArrayLike, *, n_points: int = 20
) -> tuple[_F8, _F8, _F8]: ...
def interval_coverage(
    y_true: ArrayLike, y_pred: ArrayLike, std: ArrayLike, *, levels: Sequence[float] = (0.5, 0.68, 0.9, 0.95)
) -> _F8: ...

observed_r2_scorer: Any
observed_rmse_scorer: Any
observed_mae_scorer: Any
