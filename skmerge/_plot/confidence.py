"""Error of the most certain predictions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Self, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skmerge._parameters import check_word
from skmerge._plot import base
from skmerge.metrics import confidence_curve

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

_F8: TypeAlias = NDArray[np.float64]
_Keywords: TypeAlias = Mapping[str, Any]

SCORE_LABELS = {"rmse": "RMSE", "r2": "R²"}


@dataclass(kw_only=True, eq=False, repr=False)
class ConfidenceCurveDisplay(base.Display):
    """Error, or R2, of the most certain share of the predictions.

    Where standard deviations carry information, the error falls to the left: predictions that are said to be certain
    have smaller errors. Where they carry none, the curve is flat. Use :meth:`from_estimator` or
    :meth:`from_predictions` to make one.

    Parameters
    ----------
    share : ndarray of shape (n_points,)
        Most certain share of the entries, the last one being 1.
    r2, rmse : ndarray of shape (n_points,)
        Scores of these entries.
    name : str, default=None
        For the legend.

    Attributes
    ----------
    line_ : matplotlib Line2D
    baseline_ : matplotlib Line2D
        Score of all entries: the curve of standard deviations without information.
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    See Also
    --------
    skmerge.metrics.confidence_curve : The numbers.

    Examples
    --------
    >>> from skmerge.plot import ConfidenceCurveDisplay
    >>> display = ConfidenceCurveDisplay.from_predictions([0, 1, 2, 3], [0, 1, 2, 5], [1, 1, 1, 9], n_points=2)
    >>> display.rmse
    array([0., 1.])
    """

    share: _F8
    r2: _F8
    rmse: _F8
    name: str | None = None
    line_: Line2D = field(init=False)
    baseline_: Line2D = field(init=False)

    def plot(
        self,
        ax: Axes | None = None,
        *,
        metric: Literal["rmse", "r2"] = "rmse",
        name: str | None = None,
        line_kwargs: _Keywords | None = None,
        baseline_kwargs: _Keywords | None = None,
    ) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None makes a new figure.
        metric : {"rmse", "r2"}, default="rmse"
        name : str, default=None
            For the legend; None is the name of the display.
        line_kwargs, baseline_kwargs : dict, default=None
            Keywords of matplotlib's ``plot``.

        Returns
        -------
        self
        """
        check_word("metric", metric, *SCORE_LABELS)
        ax = base.axes_of(self, ax)
        from matplotlib.lines import Line2D

        score, name = getattr(self, metric), self.name if name is None else name
        line = base.styled("line_kwargs", line_kwargs, Line2D, color=base.BLUE, marker="o", markersize=4, label=name)
        self.line_ = ax.plot(100 * self.share, score, **line)[0]
        baseline = base.styled("baseline_kwargs", baseline_kwargs, Line2D, color=base.GREY, linewidth=0.8, zorder=1)
        self.baseline_ = ax.plot([0, 100], [score[-1]] * 2, **baseline)[0]
        if metric == "rmse":
            ax.set_ylim(bottom=0)
        base.label_axes(ax, xlabel="most certain share of the predictions, %", ylabel=SCORE_LABELS[metric])
        if line["label"]:
            ax.legend(frameon=False, fontsize="small")
        return self

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
    ) -> Self:
        """Predict X with standard deviations and compare with y.

        Parameters
        ----------
        estimator : fitted regressor whose ``predict`` takes ``return_std``, pipeline that ends with one, or \
                MergedNetImputer
        X : array-like of shape (n_samples, n_features)
            Rows that were not trained.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            NaN where unmeasured. None with an imputer: it predicts each entry of X from the others.
        output : int or str, default=None
            Which column of y (of X with an imputer), where there are several: its number, or its name in a data frame.
        return_std : {"auto", True, "value", "measurement"}, default="auto"
            Passed to ``predict``; "auto" is the standard deviation of a measurement where the estimator has it. Not
            used with an imputer.
        n_points, metric, name, ax, line_kwargs, baseline_kwargs :
            As in :meth:`from_predictions` and :meth:`plot`.

        Returns
        -------
        display : ConfidenceCurveDisplay

        Raises
        ------
        ValueError, TypeError
            If the estimator predicts no standard deviations, or an argument does not fit; the message names it.
        """
        base.check_matplotlib(cls, "from_estimator")
        shown = base.predictions(estimator, X, y, output, return_std)
        if shown.std is None:
            raise ValueError(
                f"estimator: {type(estimator).__name__} gives no standard deviations (return_std={return_std!r}); they "
                "order the predictions by certainty. For a search give best_estimator_."
            )
        return cls.from_predictions(
            shown.true, shown.pred, shown.std, n_points=n_points, metric=metric,
            name=shown.name if name is None else name, ax=ax, line_kwargs=line_kwargs, baseline_kwargs=baseline_kwargs,
        )  # fmt: skip

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
    ) -> Self:
        """Compare predictions with measurements.

        Parameters
        ----------
        y_true, y_pred, std : array-like of shape (n_samples,) or (n_samples, n_outputs)
            NaN in y_true where unmeasured.
        output : int or str, default=None
            Which column; None takes all entries together: divide columns of different units by their spread.
        n_points : int, default=20
            Points of the curve.
        metric, name, ax, line_kwargs, baseline_kwargs :
            As in :meth:`plot`.

        Returns
        -------
        display : ConfidenceCurveDisplay
        """
        base.check_matplotlib(cls, "from_predictions")
        check_word("metric", metric, *SCORE_LABELS)
        if std is None:
            raise ValueError("std=None is not possible: std orders the predictions by certainty; give it.")
        if output is None:
            arrays = [base.columns_of(*pair) for pair in (("y_true", y_true), ("y_pred", y_pred), ("std", std))]
        else:
            *arrays, target = base.one_output(y_true, y_pred, std, output)
            name = target if name is None else name
        share, r2, rmse = confidence_curve(*arrays, n_points=n_points)
        return cls(share=share, r2=r2, rmse=rmse, name=name).plot(
            ax, metric=metric, line_kwargs=line_kwargs, baseline_kwargs=baseline_kwargs
        )
