"""Where the trees of a forest split one or two features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Integral
from typing import TYPE_CHECKING, Any, Self, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skmerge._parameters import check_number
from skmerge._plot import base
from skmerge.forest import GradientForestRegressor

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import LineCollection, PathCollection, QuadMesh
    from matplotlib.lines import Line2D

_F8: TypeAlias = NDArray[np.float64]
_Keywords: TypeAlias = Mapping[str, Any]

FEW_SPLITS = 30  # so many lines need not be faint
MOST_EXACT = 2000  # up to so many splits of one feature are predicted at both sides


@dataclass(kw_only=True, eq=False, repr=False)
class PartitionDisplay(base.Display):
    """Prediction of a forest over one or two features, and where its trees split them.

    Other features are held constant; scikit-learn's ``PartialDependenceDisplay`` averages over them. If there are many
    splits, those of the largest gain are drawn. Use :meth:`from_estimator` to make one.

    Parameters
    ----------
    grid : list of one or two ndarray
        Values of the features at which the forest predicts.
    response : ndarray of shape (len(grid[0]),) or (len(grid[1]), len(grid[0]))
        The predictions there.
    splits : ndarray of shape (n_splits,) or (n_splits, 2, 2)
        Positions, or the ends of the lines, (first feature, second feature), the largest gain first.
    feature_names : list of str
    X : ndarray of shape (n_samples, 1 or 2), default=None
        Rows to draw.
    y : ndarray of shape (n_samples,), default=None
        Their values.
    name : str, default=None
        Name of the output.

    Attributes
    ----------
    line_ : matplotlib Line2D or None
        The prediction of one feature.
    surface_ : matplotlib QuadMesh or None
        The prediction of two.
    splits_ : matplotlib LineCollection
    scatter_ : matplotlib PathCollection or None
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Examples
    --------
    >>> import numpy as np
    >>> from skmerge import GradientForestRegressor
    >>> from skmerge.plot import PartitionDisplay
    >>> X = np.linspace(0, 3, 20)[:, None]
    >>> forest = GradientForestRegressor(1, order=1, random_state=0).fit(X, X[:, 0] ** 2)
    >>> display = PartitionDisplay.from_estimator(forest, X, X[:, 0] ** 2)
    >>> display.splits.shape == (sum(nodes["feature"] >= 0 for nodes in forest.nodes_[0]),)
    True
    """

    grid: list[_F8]
    response: _F8
    splits: _F8
    feature_names: list[str]
    X: _F8 | None = None
    y: _F8 | None = None
    name: str | None = None
    line_: Line2D | None = field(init=False)
    surface_: QuadMesh | None = field(init=False)
    splits_: LineCollection = field(init=False)
    scatter_: PathCollection | None = field(init=False)

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
    ) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None makes a new figure.
        max_splits : int, default=100
            The largest number of splits to draw.
        colorbar : bool, default=True
            Whether to draw a colorbar, for two features.
        line_kwargs, surface_kwargs, splits_kwargs, scatter_kwargs : dict, default=None
            Keywords of matplotlib's ``plot`` (one feature), ``pcolormesh`` (two), ``LineCollection`` and ``scatter``.

        Returns
        -------
        self
        """
        ax = base.axes_of(self, ax)
        from matplotlib.collections import LineCollection, PathCollection, QuadMesh
        from matplotlib.lines import Line2D

        self.line_, self.surface_, self.scatter_ = None, None, None
        check_number("max_splits", max_splits, Integral, 0)
        splits = self.splits[:max_splits]
        faint = 1.0 if len(splits) <= FEW_SPLITS else 0.4
        if len(self.grid) == 1:
            style = base.styled("line_kwargs", line_kwargs, Line2D, color=base.BLUE, linewidth=1.8, label="predicted")
            self.line_ = ax.plot(self.grid[0], self.response, **style)[0]
            lines = [[(cut, 0), (cut, 1)] for cut in splits]
            style = {"color": base.VERMILLION, "linewidth": 0.8, "alpha": faint, "zorder": 1}
            transform = {"transform": ax.get_xaxis_transform()}
        else:
            style = base.styled("surface_kwargs", surface_kwargs, QuadMesh, rasterized=True)
            self.surface_ = ax.pcolormesh(*self.grid, self.response, **style)
            if colorbar:
                self.figure_.colorbar(self.surface_, ax=ax, label=self.name or "predicted")
            lines, transform = splits, {}
            style = {"color": "white", "linewidth": 0.8, "alpha": faint}
        style = base.styled("splits_kwargs", splits_kwargs, LineCollection, **style)
        self.splits_ = ax.add_collection(LineCollection(lines, **transform, **style), autolim=False)
        if self.y is not None and len(self.grid) == 2:
            style = base.styled(
                "scatter_kwargs", scatter_kwargs, PathCollection,
                s=14, edgecolor=base.BLACK, linewidth=0.4, zorder=3,
                c=self.y, norm=self.surface_.norm, cmap=self.surface_.cmap,
            )  # fmt: skip
            self.scatter_ = ax.scatter(*self.X.T, **style)
        elif self.y is not None:
            style = base.styled(
                "scatter_kwargs", scatter_kwargs, PathCollection, s=14, color=base.BLACK, zorder=3, label="measured"
            )
            self.scatter_ = ax.scatter(self.X[:, 0], self.y, **style)
        if len(self.grid) == 1:
            ax.set_xlim(self.grid[0][0], self.grid[0][-1])
            base.label_axes(ax, xlabel=self.feature_names[0], ylabel=self.name or "predicted")
            ax.plot([], [], color=base.VERMILLION, linewidth=0.8, label="splits")
            ax.legend(frameon=False, fontsize="small")
        else:
            base.label_axes(ax, xlabel=self.feature_names[0], ylabel=self.feature_names[1])
        return self

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
    ) -> Self:
        """Show a fitted forest.

        Parameters
        ----------
        estimator : GradientForestRegressor
            Fitted.
        X : array-like of shape (n_samples, n_features)
            The plot spans its ranges; other features are held at their medians in X.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            Measured values of these rows, which are also drawn.
        features : one or two of int or str, default=None
            Features to draw, by number or name; None if the forest has at most two.
        output : int or str, default=None
            Which output, where there are several: its number, or its name in the data frame y.
        grid_resolution : int, default=100
            Points along each feature.
        max_splits, ax, colorbar, line_kwargs, surface_kwargs, splits_kwargs, scatter_kwargs :
            As in :meth:`plot`.

        Returns
        -------
        display : PartitionDisplay

        """
        base.check_matplotlib(cls, "from_estimator")
        base.check_kind(estimator, GradientForestRegressor)
        check_number("grid_resolution", grid_resolution, Integral, 2, 10_000)
        known, targets = list(getattr(estimator, "feature_names_in_", [])) or base.names_in(X), base.names_in(y)
        table, d = base.columns_of("X", X), estimator.n_features_in_
        if table.shape[1] != d:
            raise ValueError(f"X has {table.shape[1]} columns; give the {d} that the forest was trained on.")
        if np.isnan(table).all(axis=0).any():
            raise ValueError("X has a column that is missing in every row; there is no range to draw.")
        chosen = _chosen(features, d, known)
        m = len(estimator.y_shift_)
        k = base.column_of("output", output, m, targets)
        held = np.nanmedian(table, axis=0)
        low, high = (end(table[:, chosen], axis=0) for end in (np.nanmin, np.nanmax))
        if not (low < high).all():
            still = chosen[int(np.argmin(low < high))]
            raise ValueError(f"X has a single value of feature {still}; there is no range to draw.")
        splits = _splits(estimator, chosen, held, low, high)
        grid = [np.linspace(*ends, grid_resolution) for ends in zip(low, high, strict=True)]
        if len(chosen) == 1 and len(splits) <= MOST_EXACT:  # so that a jump is drawn upright
            grid = [np.unique(np.concatenate([grid[0], splits, np.nextafter(splits, np.inf)]))]
        points = np.stack(np.meshgrid(*grid), axis=-1).reshape(-1, len(chosen))
        rows = np.tile(held, (len(points), 1))
        rows[:, chosen] = points
        if hasattr(estimator, "feature_names_in_") and hasattr(X, "columns"):
            rows = _like(X, rows)
        response = estimator.predict(rows).reshape(len(points), m)[:, k].reshape([len(axis) for axis in grid[::-1]])
        values = None
        if y is not None:
            values = base.columns_of("y", y)
            if values.shape != (len(table), m):
                raise ValueError(f"y has shape {values.shape}; give {(len(table), m)}, the rows of X and the outputs.")
            values = values[:, k]
        names = known or [f"x{j}" for j in range(d)]
        return cls(
            grid=grid, response=response, splits=splits, feature_names=[str(names[j]) for j in chosen],
            X=None if y is None else table[:, chosen], y=values, name=None if targets is None else targets[k],
        ).plot(
            ax, max_splits=max_splits, colorbar=colorbar, line_kwargs=line_kwargs, surface_kwargs=surface_kwargs,
            splits_kwargs=splits_kwargs, scatter_kwargs=scatter_kwargs,
        )  # fmt: skip


def _like(X, rows):
    """Rows as a data frame like X: a forest fitted with names warns of arrays."""
    return type(X)({name: rows[:, j] for j, name in enumerate(X.columns)})


def _chosen(features, d, names):
    if features is None:
        if d > 2:
            raise ValueError(f"features=None is not possible: the forest has {d} features; give one or two of them.")
        return list(range(d))
    features = list(features) if np.iterable(features) and not isinstance(features, str) else [features]
    chosen = [base.column_of("features", feature, d, names) for feature in features]
    if len(chosen) not in (1, 2) or len(set(chosen)) < len(chosen):
        raise ValueError(f"features={features!r} is not possible: give one feature or two different ones.")
    return chosen


def _splits(forest, chosen, held, low, high):
    """Splits of the chosen features within their ranges, (n_splits,) or (n_splits, 2, 2), the others held."""
    place = {j: axis for axis, j in enumerate(chosen)}
    found, gains = [], []
    for nodes, starts in zip(forest.nodes_, forest.tree_start_, strict=True):
        feature, threshold, child = (nodes[name].tolist() for name in ("feature", "threshold", "child"))
        gain = nodes["gain"].tolist()
        stack = [(int(root), tuple(low), tuple(high)) for root in starts[:-1]]
        while stack:
            i, lower, upper = stack.pop()
            j, cut = feature[i], threshold[i]
            if j < 0:
                continue
            below, above = child[i], child[i] + 1
            if j not in place:
                stack.append((below if held[j] <= cut else above, lower, upper))
                continue
            axis = place[j]
            if cut >= upper[axis] or cut < lower[axis]:
                stack.append((below if cut >= upper[axis] else above, lower, upper))
                continue
            left, right = list(upper), list(lower)
            left[axis] = right[axis] = cut
            found.append(cut if len(chosen) == 1 else (right, left))
            gains.append(gain[i])
            stack += [(below, lower, tuple(left)), (above, tuple(right), upper)]
    found = np.array(found, dtype=float).reshape(-1, *([2, 2] if len(chosen) == 2 else []))
    return found[np.argsort(-np.array(gains), kind="stable")]
