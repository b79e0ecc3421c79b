"""Predicted against measured, with error bars."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, Literal, Self, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_random_state

from skmerge._parameters import check_number
from skmerge._plot import base
from skmerge._validation import naming
from skmerge.metrics import measured, observed_r2_score, observed_rmse

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import PathCollection
    from matplotlib.container import ErrorbarContainer
    from matplotlib.lines import Line2D

_F8: TypeAlias = NDArray[np.float64]
_Keywords: TypeAlias = Mapping[str, Any]


@dataclass(kw_only=True, eq=False, repr=False)
class ParityDisplay(base.Display):
    """Predicted against measured values, with error bars where standard deviations are known.

    Use :meth:`from_estimator` or :meth:`from_predictions` to make one. All parameters are stored as attributes.
    scikit-learn's ``PredictionErrorDisplay`` also draws residuals, without error bars.

    Parameters
    ----------
    y_true, y_pred : ndarray of shape (n_samples,)
        Measured and predicted values.
    std : ndarray of shape (n_samples,), default=None
        Standard deviations of the predictions.
    r2, rmse : float, default=None
        Scores for the legend, which leaves out None.
    name : str, default=None
        For the legend.

    Attributes
    ----------
    line_ : matplotlib Line2D
        Where measured and predicted values are equal.
    scatter_ : matplotlib PathCollection
    errorbar_ : matplotlib ErrorbarContainer or None
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    See Also
    --------
    ConfidenceCurveDisplay : Whether predictions with smaller standard deviations have smaller errors.

    Examples
    --------
    >>> from skmerge.plot import ParityDisplay
    >>> display = ParityDisplay.from_predictions([1, 2, 3], [1.1, 1.9, 3.2], [0.1, 0.1, 0.2])
    >>> round(display.r2, 3), round(display.rmse, 3)
    (0.97, 0.141)
    """

    y_true: _F8
    y_pred: _F8
    std: _F8 | None = None
    r2: float | None = None
    rmse: float | None = None
    name: str | None = None
    line_: Line2D = field(init=False)
    scatter_: PathCollection = field(init=False)
    errorbar_: ErrorbarContainer | None = field(init=False)

    def plot(
        self,
        ax: Axes | None = None,
        *,
        level: float = 0.9,
        name: str | None = None,
        scatter_kwargs: _Keywords | None = None,
        errorbar_kwargs: _Keywords | None = None,
        line_kwargs: _Keywords | None = None,
    ) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None makes a new figure.
        level : float, default=0.9
            Share of a normal distribution that error bars hold: 0.9 is 1.645 standard deviations to either side.
        name : str, default=None
            For the legend; None is the name of the display.
        scatter_kwargs, errorbar_kwargs, line_kwargs : dict, default=None
            Keywords of matplotlib's ``scatter``, ``errorbar`` and ``plot``.

        Returns
        -------
        self
        """
        ax, width = base.axes_of(self, ax), base.half_width(level)
        from matplotlib.collections import PathCollection
        from matplotlib.lines import Line2D

        ends = [np.min([self.y_true, self.y_pred]), np.max([self.y_true, self.y_pred])]
        line = base.styled("line_kwargs", line_kwargs, Line2D, color=base.BLACK, linewidth=0.8, zorder=1)
        self.line_ = ax.plot(ends, ends, **line)[0]
        style = base.styled(
            "scatter_kwargs", scatter_kwargs, PathCollection,
            s=14, color=base.BLUE, alpha=0.8, linewidth=0, zorder=3, label=self._label(name),
        )  # fmt: skip
        self.scatter_, self.errorbar_ = ax.scatter(self.y_true, self.y_pred, **style), None
        if self.std is not None:
            bars = base.styled(
                "errorbar_kwargs", errorbar_kwargs, Line2D,
                ecolor=style.get("color", base.BLUE), elinewidth=0.8, alpha=0.4, zorder=2,
            )  # fmt: skip
            self.errorbar_ = ax.errorbar(self.y_true, self.y_pred, width * self.std, fmt="none", **bars)
        bars = f", bars hold {100 * level:g} %" if self.std is not None else ""
        base.label_axes(ax, xlabel="measured", ylabel=f"predicted{bars}")
        if style["label"]:
            ax.legend(loc="upper left", framealpha=0.8, edgecolor="none", fontsize="small")
        return self

    def _label(self, name):
        name = self.name if name is None else name
        scores = {"R²": self.r2, "RMSE": self.rmse}
        scores = [f"{text} = {value:.3g}" for text, value in scores.items() if value is not None]
        return ": ".join(part for part in (name and str(name), ", ".join(scores)) if part) or None

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
    ) -> Self:
        """Predict X and compare with y.

        Parameters
        ----------
        estimator : fitted regressor, pipeline that ends with one, or MergedNetImputer
        X : array-like of shape (n_samples, n_features)
            Rows that were not trained, preferably.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            NaN where unmeasured. None with an imputer: it predicts each entry of X from the others. For rows of its
            training table show ``left_out_`` and ``left_out_std_`` by :meth:`from_predictions` instead.
        output : int or str, default=None
            Which column of y (of X with an imputer), where there are several: its number, or its name in a data frame.
        return_std : {"auto", True, False, "value", "measurement"}, default="auto"
            Passed to ``predict``; "auto" is the standard deviation of a measurement where the estimator has it,
            otherwise none. Not used with an imputer.
        subsample, random_state, level, name, ax, scatter_kwargs, errorbar_kwargs, line_kwargs :
            As in :meth:`from_predictions` and :meth:`plot`.

        Returns
        -------
        display : ParityDisplay
        """
        base.check_matplotlib(cls, "from_estimator")
        shown = base.predictions(estimator, X, y, output, return_std)
        return cls.from_predictions(
            shown.true, shown.pred, shown.std, subsample=subsample, random_state=random_state, level=level,
            name=shown.name if name is None else name, ax=ax,
            scatter_kwargs=scatter_kwargs, errorbar_kwargs=errorbar_kwargs, line_kwargs=line_kwargs,
        )  # fmt: skip

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
    ) -> Self:
        """Compare predictions with measurements.

        Parameters
        ----------
        y_true, y_pred : array-like of shape (n_samples,) or (n_samples, n_outputs)
            NaN in y_true where unmeasured.
        std : array-like of the same shape, default=None
            Standard deviations of the predictions.
        output : int or str, default=None
            Which column, where there are several: its number, or its name in a data frame.
        subsample : int, float or None, default=1_000
            The largest number of points to draw, or a share of them; None draws all. Scores are of all.
        random_state : int, RandomState instance or None, default=None
            Which points a subsample holds.
        level, name, ax, scatter_kwargs, errorbar_kwargs, line_kwargs :
            As in :meth:`plot`.

        Returns
        -------
        display : ParityDisplay
        """
        base.check_matplotlib(cls, "from_predictions")
        y_true, y_pred, std, target = base.one_output(y_true, y_pred, std, output)
        known = std is not None
        y_true, y_pred, std = measured(y_true, y_pred, std if known else np.zeros(len(y_true)))
        if not len(y_true):
            raise ValueError("y_true has no measured row (all are NaN); give at least one.")
        scores = {"rmse": observed_rmse(y_true, y_pred)}
        if len(y_true) > 1:
            scores["r2"] = observed_r2_score(y_true, y_pred)
        rows = _drawn(len(y_true), subsample, random_state)
        display = cls(
            y_true=y_true[rows], y_pred=y_pred[rows], std=std[rows] if known else None, **scores,
            name=target if name is None else name,
        )  # fmt: skip
        return display.plot(
            ax, level=level,
            scatter_kwargs=scatter_kwargs, errorbar_kwargs=errorbar_kwargs, line_kwargs=line_kwargs,
        )  # fmt: skip


def _drawn(n, subsample, random_state):
    """Rows of a subsample, in their order."""
    if subsample is None:
        return np.arange(n)
    if isinstance(subsample, Integral):
        check_number("subsample", subsample, Integral, 1)
        size = subsample
    else:
        give = "give a number of points, a share below 1 or None"
        check_number("subsample", subsample, Real, 1e-300, 1 - 1e-16, give=give)
        size = max(1, int(n * subsample))
    if size >= n:
        return np.arange(n)
    with naming("random_state"):
        rng = check_random_state(random_state)
    return np.sort(rng.choice(n, size, replace=False))
