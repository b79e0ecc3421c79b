"""Exponents of a learned law."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from textwrap import fill
from typing import TYPE_CHECKING, Any, Literal, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from skmerge._parameters import check_word
from skmerge._plot import base
from skmerge.net import MergedNetRegressor

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.container import ErrorbarContainer
    from matplotlib.lines import Line2D

_F8: TypeAlias = NDArray[np.float64]
_Keywords: TypeAlias = Mapping[str, Any]

COLORS = base.BLUE, base.VERMILLION, base.GREEN, base.ORANGE, "#CC79A7", "#56B4E9"
MARKERS = "osD^v<>P"
MAX_TITLE = 96  # characters of a law that fits above a plot


@dataclass(kw_only=True, eq=False, repr=False)
class LawDisplay(base.Display):
    """Exponents of the terms of a law that :class:`~skmerge.MergedNetRegressor` learned, with standard errors.

    Full marks are estimated exponents, with bars where their standard errors are known. Open marks are fixed exponents:
    at a simple value that agrees with the data, as given by ``exponents``, or at a bound; a linear term has the
    exponent 1. Crosses are exponents that the data do not determine. Use :meth:`from_estimator` to make one.

    Parameters
    ----------
    exponent, std : ndarray of shape (n_terms, n_features)
        NaN where a term does not contain a feature. Standard errors are 0 where an exponent is fixed, and NaN where the
        data do not determine it or the standard error is not known.
    feature_names : list of str
    term_names : list of str
        For the legend.
    known : bool, default=True
        Whether standard errors are known; otherwise every exponent is drawn as an estimated one.
    law : str, default=None
        The title.

    Attributes
    ----------
    points_ : list of matplotlib ErrorbarContainer
        The estimated exponents of each term; empty for a term without any.
    fixed_, undecided_ : list of matplotlib Line2D
        The fixed exponents of each term, and those that the data do not determine.
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    See Also
    --------
    skmerge.MergedNetRegressor.formula : The law with all its numbers.

    Examples
    --------
    >>> import numpy as np
    >>> from skmerge import MergedNetRegressor
    >>> from skmerge.plot import LawDisplay
    >>> X = np.random.default_rng(0).uniform(1, 5, (30, 2))
    >>> net = MergedNetRegressor(random_state=0).fit(X, 3.0 * X[:, 0] ** 1.5 / X[:, 1])
    >>> LawDisplay.from_estimator(net).exponent
    array([[ 1.5, -1. ]])
    """

    exponent: _F8
    std: _F8
    feature_names: list[str]
    term_names: list[str]
    known: bool = True
    law: str | None = None
    points_: list[ErrorbarContainer] = field(init=False)
    fixed_: list[Line2D] = field(init=False)
    undecided_: list[Line2D] = field(init=False)

    def plot(self, ax: Axes | None = None, *, level: float = 0.9, errorbar_kwargs: _Keywords | None = None) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None makes a new figure.
        level : float, default=0.9
            Share of a normal distribution that error bars hold: 0.9 is 1.645 standard errors to either side.
        errorbar_kwargs : dict, default=None
            Keywords of matplotlib's ``errorbar``, for all terms.

        Returns
        -------
        self
        """
        ax, width = base.axes_of(self, ax), base.half_width(level)
        from matplotlib.lines import Line2D

        n_terms, n_features = self.exponent.shape
        self.points_, self.fixed_, self.undecided_ = [], [], []
        ax.axhline(0, color=base.GREY, linewidth=0.8, zorder=0)
        free = ~np.isnan(self.exponent) & (self.std != 0)
        unknown = free & np.isnan(self.std) & self.known
        shift = 0.8 / max(n_terms, 3)  # terms stand side by side
        for t in range(n_terms):
            at = np.arange(n_features) + (t - (n_terms - 1) / 2) * shift
            style = base.styled(
                "errorbar_kwargs", errorbar_kwargs, Line2D, color=COLORS[t % len(COLORS)],
                marker=MARKERS[t % len(MARKERS)], linestyle="none", markersize=7, capsize=3,
            )  # fmt: skip
            rows = free[t] & ~unknown[t]
            bars = width * np.nan_to_num(self.std[t, rows])
            self.points_.append(ax.errorbar(at[rows], self.exponent[t, rows], bars, **style))
            plain = {key: style[key] for key in ("color", "marker", "linestyle", "markersize") if key in style}
            rows = ~np.isnan(self.exponent[t]) & (self.std[t] == 0)
            hollow = plain | {"markerfacecolor": "white", "markeredgewidth": 1.6}
            self.fixed_ += ax.plot(at[rows], self.exponent[t, rows], **hollow)
            crossed = plain | {"marker": "x", "markeredgewidth": 1.6}
            self.undecided_ += ax.plot(at[unknown[t]], self.exponent[t, unknown[t]], **crossed)
            for j in np.flatnonzero(~np.isnan(self.exponent[t])):
                ax.annotate(
                    f"{self.exponent[t, j]:.2f}", (at[j], self.exponent[t, j]), xytext=(0, 6),
                    textcoords="offset points", ha="center", fontsize="small", color=plain.get("color"),
                )  # fmt: skip
            ax.plot([], [], label=self.term_names[t], **plain)
        for rows, label, mark in (
            (self.std == 0, "fixed", {"marker": "o", "markerfacecolor": "white"}),
            (unknown, "undetermined", {"marker": "x"}),
        ):
            if rows.any():
                ax.plot(
                    [], [], color=base.GREY, linestyle="none", markersize=7, markeredgewidth=1.6, label=label, **mark
                )
        ax.set_xticks(range(n_features), self.feature_names)
        ax.set_xlim(-0.6, n_features - 0.4)
        ax.margins(y=0.15)
        bars = f", bars hold {100 * level:g} %" if (free & ~np.isnan(self.std)).any() else ""
        base.label_axes(ax, ylabel=f"exponent{bars}")
        # A term with two names of one dollar sign each would be read as mathematics between the two signs.
        math = not any(str(name).count("$") % 2 for name in self.feature_names)
        if self.law and not ax.get_title():
            law = fill(re.sub(r" (?![+-] )", "\u00a0", self.law), 48)  # broken before a sign
            ax.set_title(law, fontsize="small", parse_math=math)
        for text in ax.legend(frameon=False, fontsize="small").get_texts():
            text.set_parse_math(math)
        return self

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
    ) -> Self:
        """Show the law of a fitted net.

        Parameters
        ----------
        estimator : MergedNetRegressor
            Fitted; its model must be a law, a single net that is short enough to be written.
        output : int or str, default=None
            Which output, where there are several: its number, or its name in the data frame y.
        feature_names : list of str, default=None
            Names of the columns of X; None are those of the fit, or x0, x1, ...
        features : {"used", "all"}, default="used"
            "used" leaves out features that no term contains.
        level, ax, errorbar_kwargs :
            As in :meth:`plot`.

        Returns
        -------
        display : LawDisplay

        Raises
        ------
        ValueError, TypeError
            If the estimator is not a net, or has learned no law or a law without powers.
        """
        base.check_matplotlib(cls, "from_estimator")
        check_word("features", features, "used", "all")
        base.check_kind(estimator, MergedNetRegressor)
        formula = estimator.formula(feature_names)
        several = len(estimator.y_scale_) > 1
        targets = estimator.target_names_in_
        k = base.column_of("output", output, len(estimator.y_scale_), None if targets is None else list(targets))
        known = bool(estimator.covariance_)
        terms = formula.terms[k] if several else formula.terms
        law = str(formula).splitlines()[k]
        if not terms and len(estimator.A_) > 1:
            raise ValueError(
                f"estimator: {law}. Their exponents are no law; use PartialDependenceDisplay of sklearn.inspection to "
                "show such a model."
            )
        powers = [t for t, term in enumerate(terms) if term.kind != "sum"]
        exponent = np.array([terms[t].exponent for t in powers]).reshape(-1, estimator.n_features_in_)
        shown = ~np.isnan(exponent).all(axis=0)
        if not powers or not (features == "all" or shown.any()):  # a sum, or only signs
            raise ValueError(f"estimator has learned a law without powers, {law}; there is nothing to show.")
        shown |= features == "all"
        if known:
            with_errors = estimator.formula(feature_names, standard_errors=True).terms
            std = np.array([(with_errors[k] if several else with_errors)[t].std for t in powers])
        else:
            std = np.full(exponent.shape, np.nan)
        names = np.array(list(formula.python_names), dtype=object)
        return cls(
            exponent=exponent[:, shown], std=std[:, shown], feature_names=list(names[shown]),
            term_names=[terms[t].text for t in powers], known=known, law=law if len(law) <= MAX_TITLE else None,
        ).plot(ax, level=level, errorbar_kwargs=errorbar_kwargs)  # fmt: skip
