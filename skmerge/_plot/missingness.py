"""Which entries of a table are measured."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from numbers import Integral
from typing import TYPE_CHECKING, Any, Literal, Self, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import issparse

from skmerge._parameters import check_number, check_word
from skmerge._plot.base import BLUE, Display, axes_of, check_matplotlib, label_axes, names_in, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage

_F8: TypeAlias = NDArray[np.float64]
_Keywords: TypeAlias = Mapping[str, Any]

LETTER = 9.0  # width of a vertical name in points


@dataclass(kw_only=True, eq=False, repr=False)
class MissingnessDisplay(Display):
    """Which entries of a table are measured.

    Rows of long tables are binned: the darkness of a cell is then the measured share of its rows. Use
    :meth:`from_data` to make one.

    Parameters
    ----------
    share : ndarray of shape (n_bins, n_columns)
        Measured share of the rows of each bin, from top to bottom.
    n_samples : int
        Rows of the table.
    columns : list of str
        Names of the columns.
    measured : float
        Measured share of the whole table, per cent.
    sort : str or None, default=None
        The sorted axes.

    Attributes
    ----------
    im_ : matplotlib AxesImage
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Examples
    --------
    >>> import numpy as np
    >>> from skmerge.plot import MissingnessDisplay
    >>> table = np.array([[1.0, np.nan], [2.0, 3.0]])
    >>> MissingnessDisplay.from_data(table).measured
    75.0
    """

    share: _F8
    n_samples: int
    columns: list[str]
    measured: float
    sort: str | None = None
    im_: AxesImage = field(init=False)

    def plot(self, ax: Axes | None = None, *, colorbar: bool | None = None, im_kwargs: _Keywords | None = None) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None makes a new figure.
        colorbar : bool or None, default=None
            None draws one where rows are binned.
        im_kwargs : dict, default=None
            Keywords of matplotlib's ``imshow``.

        Returns
        -------
        self
        """
        ax = axes_of(self, ax)
        from matplotlib.colors import LinearSegmentedColormap
        from matplotlib.image import AxesImage
        from matplotlib.ticker import MaxNLocator

        n_columns = self.share.shape[1]
        style = styled(
            "im_kwargs", im_kwargs, AxesImage,
            aspect="auto", interpolation="nearest", vmin=0, vmax=1, origin="upper",
            extent=(-0.5, n_columns - 0.5, self.n_samples - 0.5, -0.5),
            cmap=LinearSegmentedColormap.from_list("measured", ["white", BLUE]),
        )  # fmt: skip
        self.im_ = ax.imshow(self.share, **style)
        if colorbar or (colorbar is None and len(self.share) < self.n_samples):
            bins = self.figure_.colorbar(self.im_, ax=ax, format=lambda share, _: f"{100 * share:g} %")
            bins.set_label("measured")
        room = ax.get_window_extent().width / self.figure_.dpi * 72 / LETTER
        every = max(1, int(np.ceil(n_columns / max(room, 1))))
        ax.set_xticks(range(0, n_columns, every), self.columns[::every], rotation=90, fontsize="small")
        ax.yaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        rows = {"rows": "rows, the fullest first", "both": "rows, the fullest first"}.get(self.sort, "row")
        label_axes(ax, ylabel=rows, title=f"{self.measured:.3g} % measured".replace("100 %", "all"))
        return self

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
    ) -> Self:
        """Show a table.

        Parameters
        ----------
        X : data frame or array-like of shape (n_samples, n_features)
            Numbers, words or both. Entries that are NaN, None, ``pandas.NA``, ``pandas.NaT`` or masked are missing.
        sort : {None, "rows", "columns", "both"}, default=None
            Sort rows, columns or both by the number of measured entries, the fullest first.
        max_rows : int, default=500
            Rows to draw; neighbouring rows of a longer table are binned.
        ax, colorbar, im_kwargs :
            As in :meth:`plot`.

        Returns
        -------
        display : MissingnessDisplay
        """
        check_matplotlib(cls, "from_data")
        if sort is not None:
            check_word("sort", sort, "rows", "columns", "both")
        check_number("max_rows", max_rows, Integral, 1)
        seen = ~_missing(X)
        names = np.array(names_in(X) or [str(j) for j in range(seen.shape[1])], dtype=object)
        if sort in ("rows", "both"):
            seen = seen[np.argsort(-seen.sum(axis=1), kind="stable")]
        if sort in ("columns", "both"):
            order = np.argsort(-seen.sum(axis=0), kind="stable")
            seen, names = seen[:, order], names[order]
        start = np.unique(np.linspace(0, len(seen), min(max_rows, len(seen)) + 1).astype(int))
        share = np.add.reduceat(seen.astype(float), start[:-1], axis=0) / np.diff(start)[:, None]
        return cls(
            share=share, n_samples=len(seen), columns=list(names), measured=float(100 * seen.mean()), sort=sort
        ).plot(ax, colorbar=colorbar, im_kwargs=im_kwargs)  # fmt: skip


def _missing(X):
    """Boolean (n_samples, n_features)."""
    if X is None or issparse(X) or isinstance(X, (str, bytes)):
        found = "sparse" if issparse(X) else type(X).__name__
        raise TypeError(f"X is {found}; give a data frame or an array of rows and columns.")
    if hasattr(X, "collect"):
        raise TypeError(f"X is a {type(X).__name__}, not yet computed; give X.collect().")
    if hasattr(X, "isna"):
        missing = np.asarray(X.isna())
    elif isinstance(X, np.ma.MaskedArray):
        missing = np.ma.getmaskarray(X) | _missing(X.data)
    else:
        if not hasattr(X, "dtype") and not hasattr(X, "columns"):  # an array of objects keeps ragged lists
            X = np.array(X, dtype=object)
        X = np.asarray(X)
        if X.dtype.kind in "fc":
            missing = np.isnan(X)
        elif X.dtype.kind == "O":
            missing = np.frompyfunc(_is_missing, 1, 1)(X).astype(bool)
        else:
            missing = np.isnat(X) if X.dtype.kind in "mM" else np.zeros(X.shape, bool)
    if missing.ndim != 2 or not missing.size:
        raise ValueError(f"X has shape {missing.shape}; give a table of rows and columns, at least one of each.")
    return missing


def _is_missing(entry):
    if isinstance(entry, (float, np.floating)):
        return math.isnan(entry)  # entry != entry makes NumPy warn of NaN from Python 3.12 on
    return entry is None or type(entry).__name__ in ("NAType", "NaTType")
