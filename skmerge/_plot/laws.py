"""Candidates for a law: error against length."""

from __future__ import annotations

import re
from collections.abc import Mapping
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
    from matplotlib.legend import Legend
    from matplotlib.lines import Line2D

_F8: TypeAlias = NDArray[np.float64]
_Keywords: TypeAlias = Mapping[str, Any]

# The corner of the axes at which the formulae begin, and the distance from it in points.
PLACES = {"below": ((0.0, 0.0), (0, -42)), "right": ((1.0, 1.0), (8, 0))}
LINE = 80  # characters of a formula in one line
DEPTH = r"\\left|\\right|[{}]| [+-] "  # what opens, closes or parts a LaTeX formula


@dataclass(kw_only=True, eq=False, repr=False)
class LawsDisplay(base.Display):
    """The laws among which :class:`~skmerge.MergedNetRegressor` chose: error on rows left out against length.

    A full mark is the law of the model, open ones are the others. The formulae are listed beside their numbers of
    parameters. Use :meth:`from_estimator` to make one.

    Parameters
    ----------
    n_parameters : ndarray of shape (n_laws,)
        Number of estimated parameters, in ascending order.
    validation_error : ndarray of shape (n_laws,)
        Cross-validated root mean squared error; infinite where it is not known.
    is_chosen : bool ndarray of shape (n_laws,)
        Which law is that of the model; none where it is a committee.
    formulae, latex : list of str
        Each law as text and as LaTeX.
    noise : float, default=None
        Estimated standard deviation of a measurement, drawn as a line. A law of about this error misses nothing more.
    committee_error : float, default=None
        Cross-validated error of the committee, where the model is one, drawn as a line.
    is_relative : bool, default=False
        Whether errors are shares of y.

    Attributes
    ----------
    points_ : matplotlib Line2D
    chosen_ : matplotlib Line2D
        Empty where no law is chosen.
    noise_line_, committee_line_ : matplotlib Line2D or None
    list_ : matplotlib Legend or None
        The formulae.
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    See Also
    --------
    skmerge.MergedNetRegressor.laws_ : The same as a list.
    LawDisplay : The exponents of the law that was chosen.

    Examples
    --------
    >>> import numpy as np
    >>> from skmerge import MergedNetRegressor
    >>> from skmerge.plot import LawsDisplay
    >>> rng = np.random.default_rng(0)
    >>> X = rng.uniform(1, 5, (60, 2))
    >>> net = MergedNetRegressor(random_state=0).fit(X, 2 * X[:, 0] ** 2 + 3 * X[:, 1] + rng.normal(size=60))
    >>> display = LawsDisplay.from_estimator(net)
    >>> display.formulae[display.is_chosen.argmax()]
    'y = 1.98 x0^2.00 + 3.06 x1'
    """

    n_parameters: NDArray[np.intp]
    validation_error: _F8
    is_chosen: NDArray[np.bool_]
    formulae: list[str]
    latex: list[str]
    noise: float | None = None
    committee_error: float | None = None
    is_relative: bool = False
    points_: Line2D = field(init=False)
    chosen_: Line2D = field(init=False)
    noise_line_: Line2D | None = field(init=False)
    committee_line_: Line2D | None = field(init=False)
    list_: Legend | None = field(init=False)

    def plot(
        self,
        ax: Axes | None = None,
        *,
        formulae: Literal["below", "right", "none"] = "below",
        line_kwargs: _Keywords | None = None,
    ) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None makes a new figure, large enough for the formulae.
        formulae : {"below", "right", "none"}, default="below"
            Where the formulae are listed.
        line_kwargs : dict, default=None
            Keywords of matplotlib's ``plot`` for the marks.

        Returns
        -------
        self
        """
        check_word("formulae", formulae, *PLACES, "none")
        is_new, ax = ax is None, base.axes_of(self, ax)
        from matplotlib.lines import Line2D
        from matplotlib.ticker import LogFormatter

        style = base.styled(
            "line_kwargs", line_kwargs, Line2D, color=base.BLUE, marker="o", linestyle="none", markersize=8
        )
        hollow = {"markerfacecolor": "white", "markeredgewidth": 1.6}
        error = np.where(np.isfinite(self.validation_error), self.validation_error, np.nan)
        known, chosen = ~np.isnan(error), self.is_chosen
        self.points_ = ax.plot(self.n_parameters[~chosen], error[~chosen], **style | hollow)[0]
        self.chosen_ = ax.plot(self.n_parameters[chosen], error[chosen], **style)[0]
        self.noise_line_ = self._line(ax, self.noise, "noise", ":")
        self.committee_line_ = self._line(ax, self.committee_error, "committee", "--")
        low, high = (error[known].min(), error[known].max()) if known.any() else (0.0, 0.0)
        if high > 3 * low > 0:
            ax.set_yscale("log")
            ax.yaxis.set_major_formatter(LogFormatter())
            ax.yaxis.set_minor_formatter(LogFormatter())
        ax.margins(0.1, 0.15)
        ax.set_xlim(self.n_parameters.min() - 0.7, self.n_parameters.max() + 0.7)
        ax.set_xticks(self.n_parameters)
        unit = ", share of y" if self.is_relative else ""
        base.label_axes(ax, xlabel="parameters", ylabel=f"error of rows left out{unit}")
        self.list_ = None
        if formulae != "none":
            self.list_ = self._listed(ax, style, hollow, *PLACES[formulae])
            if is_new:
                size = self.list_.get_window_extent(self.figure_.canvas.get_renderer()).size / self.figure_.dpi
                width, height = self.figure_.get_size_inches()
                below = formulae == "below"
                more = (max(size[0] + 1.0, width), height + size[1]) if below else (width + size[0], height)
                self.figure_.set_size_inches(*np.maximum(more, (width, 0.0 if below else size[1] + 0.5)))
        return self

    def _line(self, ax, value, label, style):
        """A horizontal line with its label at the right end, or None."""
        if value is None or not np.isfinite(value) or value <= 0:
            return None
        line = ax.axhline(value, color=base.GREY, linestyle=style, linewidth=1.2, zorder=0, label=label)
        ax.annotate(
            f"{label} ", (1.0, value), xycoords=("axes fraction", "data"), xytext=(0, -3), textcoords="offset points",
            ha="right", va="top", fontsize="small", color=base.GREY,
        )  # fmt: skip
        return line

    def _listed(self, ax, style, hollow, corner, distance):
        """The legend of the formulae, each behind its number of parameters."""
        from matplotlib.lines import Line2D
        from matplotlib.transforms import ScaledTranslation

        inches = ScaledTranslation(distance[0] / 72, distance[1] / 72, ax.figure.dpi_scale_trans)
        marks = [Line2D([], [], **style | ({} if chosen else hollow)) for chosen in self.is_chosen]
        labels = [_label(*law) for law in zip(self.n_parameters, self.latex, self.formulae, strict=True)]
        found = ax.legend(
            marks, [text for text, _ in labels], loc="upper left", bbox_to_anchor=corner,
            bbox_transform=ax.transAxes + inches, borderaxespad=0.0, frameon=False, fontsize="small", alignment="left",
            title="parameters: law", title_fontsize="small", labelspacing=0.8,
        )  # fmt: skip
        for text, (_, is_math) in zip(found.get_texts(), labels, strict=True):
            text.set_parse_math(is_math)
        return found

    @classmethod
    def from_estimator(
        cls,
        estimator: object,
        *,
        output: str | int | None = None,
        formulae: Literal["below", "right", "none"] = "below",
        ax: Axes | None = None,
        line_kwargs: _Keywords | None = None,
    ) -> Self:
        """Show ``laws_`` of a fitted net.

        Parameters
        ----------
        estimator : MergedNetRegressor
            Fitted.
        output : int or str, default=None
            Which output, where there are several: its number, or its name in the data frame y.
        formulae, ax, line_kwargs :
            As in :meth:`plot`.

        Returns
        -------
        display : LawsDisplay

        Raises
        ------
        ValueError, TypeError
            If the estimator is not a net, or has searched no law.
        """
        base.check_matplotlib(cls, "from_estimator")
        check_word("formulae", formulae, *PLACES, "none")
        base.check_kind(estimator, MergedNetRegressor)
        laws, targets = estimator.laws_, estimator.target_names_in_
        laws = laws if laws and isinstance(laws[0], list) else [laws]
        k = base.column_of("output", output, len(estimator.y_scale_), None if targets is None else list(targets))
        tried = laws[k]
        if not tried:
            raise ValueError(
                "estimator has no list of laws: a net of more than 10 given nodes is no law, and models that were "
                'stored by an earlier version lack it. Fit with n_nodes="auto".'
            )
        chosen = np.array([law["is_chosen"] for law in tried])
        return cls(
            n_parameters=np.array([law["n_parameters"] for law in tried]),
            validation_error=np.array([law["validation_error"] for law in tried]),
            is_chosen=chosen,
            formulae=[law["formula"] for law in tried],
            latex=[law["latex"] for law in tried],
            noise=float(estimator.noise_std_[k]) if chosen.any() else None,  # a committee's holds errors of its form
            committee_error=None if chosen.any() else float(estimator.validation_error_[k]),
            is_relative=bool(estimator.relative_[k]),
        ).plot(ax, formulae=formulae, line_kwargs=line_kwargs)


def _label(n_parameters, latex, text):
    """A law behind its number of parameters, and whether matplotlib reads it as mathematics.

    Text where matplotlib cannot set the LaTeX, or where that is too long and has no sum that may be broken.
    """
    from matplotlib.mathtext import MathTextParser

    lines = [f"${line}$" for line in _lines(latex.replace(r"\frac", r"\dfrac"))]
    is_math = all(_length(line) <= LINE for line in lines)
    if is_math:
        try:
            for line in lines:
                MathTextParser("path").parse(line)
        except ValueError:
            is_math = False
    if not is_math:
        lines = fill(re.sub(r" (?![+-] )", "\u00a0", text), LINE).splitlines()  # broken before a sign
    return "\n     ".join([f"{n_parameters}: {lines[0]}", *lines[1:]]), is_math


def _length(latex):
    """About how many characters a LaTeX formula shows."""
    return len(re.sub(r"\\(mathrm|left|right|text|,|!|;)|\\|[{}^_$ ]", "", latex))


def _lines(latex):
    """A LaTeX formula in lines, broken before signs that stand in no bracket."""
    parts, depth, start = [], 0, 0
    for found in re.finditer(DEPTH, latex):
        sign = found.group()
        if sign in ("{", "\\left"):
            depth += 1
        elif sign in ("}", "\\right"):
            depth -= 1
        elif not depth:
            parts.append(latex[start : found.start()])
            start = found.start()
    lines = [parts[0] if parts else latex[start:]]
    for part in [*parts[1:], latex[start:]] if parts else []:
        if _length(lines[-1] + part) <= LINE:
            lines[-1] += part
        else:
            lines.append(rf"{part[1]}\,{part[3:]}")  # a sign and what follows it
    return lines
