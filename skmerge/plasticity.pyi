from collections.abc import Sequence
from os import PathLike
from typing import Any, Literal, Self, TypeAlias, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin
from sklearn.callback import CallbackSupportMixin

from skmerge._ext.crystal_stepping import Flow

__all__ = ["PlasticityPropagator"]

_F8: TypeAlias = NDArray[np.float64]
_U1: TypeAlias = NDArray[np.uint8]

class PlasticityPropagator(CallbackSupportMixin, MultiOutputMixin, RegressorMixin, BaseEstimator):
    estimator_: Any
    table_: _F8
    reached_: _U1
    grid_: _F8
    part_: NDArray[np.int32]
    exponent_: float
    memory_: bool
    longest_step_: float
    start_: _F8
    std_strain_: _F8
    std_squares_: _F8
    flags_: _U1
    n_features_in_: int
    feature_names_in_: NDArray[np.object_]
    def __init__(
        self,
        estimator: object = None,
        *,
        orientation: Literal["bunge", "quaternion"] | None = None,
        axis: ArrayLike | None = "z",
        integrator: Literal["heun", "euler", "adaptive"] = "heun",
        memory: bool | Literal["auto"] = "auto",
        n_jobs: int | None = None,
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
    ) -> None: ...
    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self: ...
    def fit_trajectories(
        self, strain: ArrayLike, state: ArrayLike, *, rates: ArrayLike | None = None, groups: ArrayLike | None = None
    ) -> Self: ...
    def fit_table(self, table: ArrayLike | str | PathLike[str], *, columns: Sequence[str] | None = None) -> Self: ...
    def predict(self, X: ArrayLike) -> _F8: ...
    @overload
    def propagate(
        self, state0: ArrayLike, strain: ArrayLike, return_std: Literal[False] = False, *, out: _F8 | None = None
    ) -> _F8: ...
    @overload
    def propagate(
        self, state0: ArrayLike, strain: ArrayLike, return_std: Literal[True], *, out: Sequence[_F8] | None = None
    ) -> tuple[_F8, _F8]: ...
    def compiled_step(self) -> Flow: ...
    def compiled_start(self, state0: ArrayLike) -> _F8: ...
    def applicability(self, X: ArrayLike) -> _F8: ...
