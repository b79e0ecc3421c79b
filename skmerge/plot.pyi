from collections.abc import Mapping, Sequence
from typing import Any, Literal, Self, TypeAlias

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PathCollection, PolyCollection, QuadMesh
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "ConfidenceCurveDisplay",
    "LawDisplay",
    "MissingnessDisplay",
    "ParityDisplay",
    "PartitionDisplay",
    "TrajectoryDisplay",
]

_F8: TypeAlias = NDArray[np.float64]
_Keywords: TypeAlias = Mapping[str, Any]

class ConfidenceCurveDisplay:
    share: _F8
    r2: _F8
    rmse: _F8
    name: str | None
    line_: Line2D
    baseline_: Line2D
    ax_: Axes
    figure_: Figure
    def __init__(
        self,
        *,
        share: ArrayLike,
        r2: ArrayLike,
        rmse: ArrayLike,
        name: str | None = None,
    ) -> None: ...
    def plot(
        self,
        ax: Axes | None = None,
        *,
        metric: Literal["rmse", "r2"] = "rmse",
        name: str | None = None,
        line_kwargs: _Keywords | None = None,
        baseline_kwargs: _Keywords | None = None,
    ) -> Self: ...
    @classmethod
    def from_estimator(
        cls,
        estimator: object,
        X: ArrayLike,
        y: ArrayLike | None = None,
        *,
        output: str | int | None = None,
        return_std: bool | Literal["auto", "value", "measurement"] = "auto",
        n_points: int = 20,
        metric: Literal["rmse", "r2"] = "rmse",
        name: str | None = None,
        ax: Axes | None = None,
        line_kwargs: _Keywords | None = None,
        baseline_kwargs: _Keywords | None = None,
    ) -> Self: ...
    @classmethod
    def from_predictions(
        cls,
        y_true: ArrayLike,
        y_pred: ArrayLike,
        std: ArrayLike,
        *,
        output: str | int | None = None,
        n_points: int = 20,
        metric: Literal["rmse", "r2"] = "rmse",
        name: str | None = None,
        ax: Axes | None = None,
        line_kwargs: _Keywords | None = None,
        baseline_kwargs: _Keywords | None = None,
    ) -> Self: ...

class LawDisplay:
    exponent: _F8
    std: _F8
    feature_names: list[str]
    term_names: list[str]
    known: bool
    law: str | None
    points_: list[ErrorbarContainer]
    fixed_: list[Line2D]
    undecided_: list[Line2D]
    ax_: Axes
    figure_: Figure
    def __init__(
        self,
        *,
        exponent: ArrayLike,
        std: ArrayLike,
        feature_names: Sequence[str],
        term_names: Sequence[str],
        known: bool = True,
        law: str | None = None,
    ) -> None: ...
    def plot(
        self,
        ax: Axes | None = None,
        *,
        level: float = 0.9,
        errorbar_kwargs: _Keywords | None = None,
    ) -> Self: ...
    @classmethod
    def from_estimator(
        cls,
        estimator: object,
        *,
        output: str | int | None = None,
        feature_names: Sequence[str] | None = None,
        features: Literal["used", "all"] = "used",
        level: float = 0.9,
        ax: Axes | None = None,
        errorbar_kwargs: _Keywords | None = None,
    ) -> Self: ...

class MissingnessDisplay:
    share: _F8
    n_samples: int
    columns: list[str]
    measured: float
    sort: str | None
    im_: AxesImage
    ax_: Axes
    figure_: Figure
    def __init__(
        self,
        *,
        share: ArrayLike,
        n_samples: int,
        columns: Sequence[str],
        measured: float,
        sort: str | None = None,
    ) -> None: ...
    def plot(
        self,
        ax: Axes | None = None,
        *,
        colorbar: bool | None = None,
        im_kwargs: _Keywords | None = None,
    ) -> Self: ...
    @classmethod
    def from_data(
        cls,
        X: ArrayLike,
        *,
        sort: Literal["rows", "columns", "both"] | None = None,
        max_rows: int = 500,
        ax: Axes | None = None,
        colorbar: bool | None = None,
        im_kwargs: _Keywords | None = None,
    ) -> Self: ...

class ParityDisplay:
    y_true: _F8
    y_pred: _F8
    std: _F8 | None
    r2: float | None
    rmse: float | None
    name: str | None
    line_: Line2D
    scatter_: PathCollection
    errorbar_: ErrorbarContainer | None
    ax_: Axes
    figure_: Figure
    def __init__(
        self,
        *,
        y_true: ArrayLike,
        y_pred: ArrayLike,
        std: ArrayLike | None = None,
        r2: float | None = None,
        rmse: float | None = None,
        name: str | None = None,
    ) -> None: ...
    def plot(
        self,
        ax: Axes | None = None,
        *,
        level: float = 0.9,
        name: str | None = None,
        scatter_kwargs: _Keywords | None = None,
        errorbar_kwargs: _Keywords | None = None,
        line_kwargs: _Keywords | None = None,
    ) -> Self: ...
    @classmethod
    def from_estimator(
        cls,
        estimator: object,
        X: ArrayLike,
        y: ArrayLike | None = None,
        *,
        output: str | int | None = None,
        return_std: bool | Literal["auto", "value", "measurement"] = "auto",
        subsample: float | None = 1000,
        random_state: int | np.random.RandomState | None = None,
        level: float = 0.9,
        name: str | None = None,
        ax: Axes | None = None,
        scatter_kwargs: _Keywords | None = None,
        errorbar_kwargs: _Keywords | None = None,
        line_kwargs: _Keywords | None = None,
    ) -> Self: ...
    @classmethod
    def from_predictions(
        cls,
        y_true: ArrayLike,
        y_pred: ArrayLike,
        std: ArrayLike | None = None,
        *,
        output: str | int | None = None,
        subsample: float | None = 1000,
        random_state: int | np.random.RandomState | None = None,
        level: float = 0.9,
        name: str | None = None,
        ax: Axes | None = None,
        scatter_kwargs: _Keywords | None = None,
        errorbar_kwargs: _Keywords | None = None,
        line_kwargs: _Keywords | None = None,
    ) -> Self: ...

class PartitionDisplay:
    grid: list[_F8]
    response: _F8
    splits: _F8
    feature_names: list[str]
    X: _F8 | None
    y: _F8 | None
    name: str | None
    line_: Line2D | None
    surface_: QuadMesh | None
    splits_: LineCollection
    scatter_: PathCollection | None
    ax_: Axes
    figure_: Figure
    def __init__(
        self,
        *,
        grid: Sequence[ArrayLike],
        response: ArrayLike,
        splits: ArrayLike,
        feature_names: Sequence[str],
        X: ArrayLike | None = None,
        y: ArrayLike | None = None,
        name: str | None = None,
    ) -> None: ...
    def plot(
        self,
        ax: Axes | None = None,
        *,
        max_splits: int = 100,
        colorbar: bool = True,
        line_kwargs: _Keywords | None = None,
        surface_kwargs: _Keywords | None = None,
        splits_kwargs: _Keywords | None = None,
        scatter_kwargs: _Keywords | None = None,
    ) -> Self: ...
    @classmethod
    def from_estimator(
        cls,
        estimator: object,
        X: ArrayLike,
        y: ArrayLike | None = None,
        *,
        features: Sequence[str | int] | str | int | None = None,
        output: str | int | None = None,
        grid_resolution: int = 100,
        max_splits: int = 100,
        ax: Axes | None = None,
        colorbar: bool = True,
        line_kwargs: _Keywords | None = None,
        surface_kwargs: _Keywords | None = None,
        splits_kwargs: _Keywords | None = None,
        scatter_kwargs: _Keywords | None = None,
    ) -> Self: ...

class TrajectoryDisplay:
    strain: _F8
    y_pred: _F8
    y_true: _F8 | None
    ylabel: str | None
    misorientation: float | None
    log: bool
    predicted_: list[Line2D]
    recorded_: list[Line2D]
    predicted_band_: PolyCollection | None
    recorded_band_: PolyCollection | None
    ax_: Axes
    figure_: Figure
    def __init__(
        self,
        *,
        strain: ArrayLike,
        y_pred: ArrayLike,
        y_true: ArrayLike | None = None,
        ylabel: str | None = None,
        misorientation: float | None = None,
        log: bool = False,
    ) -> None: ...
    def plot(
        self,
        ax: Axes | None = None,
        *,
        kind: Literal["auto", "individual", "band"] = "auto",
        quantiles: Sequence[float] = (0.1, 0.9),
        predicted_kwargs: _Keywords | None = None,
        recorded_kwargs: _Keywords | None = None,
    ) -> Self: ...
    @classmethod
    def from_estimator(
        cls,
        estimator: object,
        strain: ArrayLike,
        state: ArrayLike,
        *,
        output: str | int = "stress",
        kind: Literal["auto", "individual", "band"] = "auto",
        quantiles: Sequence[float] = (0.1, 0.9),
        ax: Axes | None = None,
        predicted_kwargs: _Keywords | None = None,
        recorded_kwargs: _Keywords | None = None,
    ) -> Self: ...
    @classmethod
    def from_predictions(
        cls,
        strain: ArrayLike,
        y_true: ArrayLike,
        y_pred: ArrayLike,
        *,
        output: str | int = "stress",
        kind: Literal["auto", "individual", "band"] = "auto",
        quantiles: Sequence[float] = (0.1, 0.9),
        ax: Axes | None = None,
        predicted_kwargs: _Keywords | None = None,
        recorded_kwargs: _Keywords | None = None,
    ) -> Self: ...
