"""Propagated trajectories against recorded ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, Literal, Self, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skmerge._orientation import inverse, numbers, product, quaternion_of, rotation_vector
from skmerge._parameters import check_number, check_word
from skmerge._plot.base import BLACK, BLUE, Display, axes_of, check_matplotlib, label_axes, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import PolyCollection
    from matplotlib.lines import Line2D

_F8: TypeAlias = NDArray[np.float64]
_Keywords: TypeAlias = Mapping[str, Any]

STATE_LABELS = {
    "stress": "stress, MPa",
    "density": "dislocation density, 1/m$^2$",
    "orientation": "rotation of the lattice, degrees",
}
FAINT = {"alpha": 0.2}
FEW_TRAJECTORIES = 10  # so many are drawn one by one


@dataclass(kw_only=True, eq=False, repr=False)
class TrajectoryDisplay(Display):
    """Trajectories against strain, propagated and recorded.

    Few are drawn one by one, many as the median and a band between two quantiles. Use :meth:`from_estimator` or
    :meth:`from_predictions` to make one.

    Parameters
    ----------
    strain : ndarray of shape (n_steps,) or (n_trajectories, n_steps)
    y_pred : ndarray of shape (n_trajectories, n_steps)
        Propagated.
    y_true : ndarray of shape (n_trajectories, n_steps), default=None
        Recorded; NaN where a simulation did not converge.
    ylabel : str, default=None
    misorientation : float, default=None
        Mean angle between the propagated and the recorded lattice at the end, in degrees, for the legend.
    log : bool, default=False
        Whether the scale is logarithmic.

    Attributes
    ----------
    predicted_, recorded_ : list of matplotlib Line2D
        Trajectories, or their median; ``recorded_`` is empty without records.
    predicted_band_, recorded_band_ : matplotlib PolyCollection or None
        A polygon for each part of the strain path between two reversals.
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Examples
    --------
    >>> import numpy as np
    >>> from skmerge.plot import TrajectoryDisplay
    >>> strain = np.linspace(0, 0.1, 11)
    >>> recorded = np.sqrt(strain) * np.ones((3, 1))
    >>> display = TrajectoryDisplay.from_predictions(strain, recorded, 1.01 * recorded, output=0)
    >>> len(display.predicted_), len(display.recorded_)
    (3, 3)
    """

    strain: _F8
    y_pred: _F8
    y_true: _F8 | None = None
    ylabel: str | None = None
    misorientation: float | None = None
    log: bool = False
    predicted_: list[Line2D] = field(init=False)
    recorded_: list[Line2D] = field(init=False)
    predicted_band_: PolyCollection | None = field(init=False)
    recorded_band_: PolyCollection | None = field(init=False)

    def plot(
        self,
        ax: Axes | None = None,
        *,
        kind: Literal["auto", "individual", "band"] = "auto",
        quantiles: Sequence[float] = (0.1, 0.9),
        predicted_kwargs: _Keywords | None = None,
        recorded_kwargs: _Keywords | None = None,
    ) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None makes a new figure.
        kind : {"auto", "individual", "band"}, default="auto"
            One by one, or median and band; "auto" draws a band for more than ten trajectories without NaN along one
            strain path. A band leaves out trajectories with NaN.
        quantiles : pair of float, default=(0.1, 0.9)
            Limits of the band.
        predicted_kwargs, recorded_kwargs : dict, default=None
            Keywords of matplotlib's ``plot``; bands have the same color.

        Returns
        -------
        self
        """
        check_word("kind", kind, "auto", "individual", "band")
        shared = np.ndim(self.strain) == 1
        if kind == "auto":
            kind = "band" if len(self._whole()) > FEW_TRAJECTORIES and shared else "individual"
        if kind == "band" and not shared:
            raise ValueError("kind='band' needs one path of strain for all trajectories; give 'individual'.")
        pair = np.ndim(quantiles) == 1 and len(quantiles) == 2 and all(isinstance(share, Real) for share in quantiles)
        if not (pair and 0 <= quantiles[0] < quantiles[1] <= 1):
            raise ValueError(f"quantiles={quantiles!r} is not possible: give two rising shares, such as (0.1, 0.9).")
        ax = axes_of(self, ax)
        from matplotlib.lines import Line2D

        end = "" if self.misorientation is None else f", {self.misorientation:.2g}° off at the end"
        predicted = styled(
            "predicted_kwargs", predicted_kwargs, Line2D, color=BLUE, linestyle="--", linewidth=1.6, zorder=3,
            label=f"propagated{end}",
        )  # fmt: skip
        wide = {"linewidth": 1.6} if kind == "band" else {"linewidth": 3.5, "alpha": 0.3}
        recorded = styled("recorded_kwargs", recorded_kwargs, Line2D, color=BLACK, label="recorded", zorder=2, **wide)
        draw = self._band if kind == "band" else self._lines
        self.recorded_, self.recorded_band_, self.predicted_band_ = [], None, None
        if self.y_true is not None:
            self.recorded_, self.recorded_band_ = draw(ax, self.y_true, recorded, quantiles, False)
        self.predicted_, self.predicted_band_ = draw(ax, self.y_pred, predicted, quantiles, True)
        if self.log:
            ax.set_yscale("log")
        label_axes(ax, xlabel="strain", ylabel=self.ylabel)
        if kind == "band":
            low, high = (f"{100 * share:g}" for share in quantiles)
            label = f"{low} to {high} % of {len(self._whole())}"
            ax.fill_between([], [], color=BLACK, linewidth=0, label=label, **FAINT)
        ax.legend(frameon=False, fontsize="small")
        return self

    def _whole(self):
        """Trajectories without NaN."""
        known = ~np.isnan(self.y_pred).any(axis=1)
        return np.flatnonzero(known if self.y_true is None else known & ~np.isnan(self.y_true).any(axis=1))

    def _lines(self, ax, values, style, quantiles, outlined):
        lines = ax.plot(np.broadcast_to(self.strain, values.shape).T, values.T, **style)
        for line in lines[1:]:
            line.set_label(None)  # one entry of the legend
        return lines, None

    def _band(self, ax, values, style, quantiles, outlined):
        from matplotlib.collections import PolyCollection

        rows = self._whole()
        if not len(rows):
            raise ValueError("y_true and y_pred have no trajectory without NaN; a band needs one.")
        low, middle, high = np.quantile(values[rows], [quantiles[0], 0.5, quantiles[1]], axis=0)
        sign = np.sign(np.diff(self.strain))
        turns = np.flatnonzero(sign[1:] * sign[:-1] < 0) + 1
        ends = [0, *turns, len(self.strain) - 1]
        polygons = []
        for start, end in pairwise(ends):
            part = slice(start, end + 1)
            there, back = ([self.strain[part], edge[part]] for edge in (low, high))
            polygons.append(np.concatenate([np.transpose(there), np.transpose(back)[::-1]]))
        color = style.get("color")  # an outline over a filled band: both are visible where they agree
        outline = {"facecolor": "none", "edgecolor": color, "linestyle": ":", "linewidth": 1.2}
        look = outline if outlined else {"color": color, "linewidth": 0, **FAINT}
        band = PolyCollection(polygons, zorder=1 + outlined, **look)
        return ax.plot(self.strain, middle, **style), ax.add_collection(band)

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
    ) -> Self:
        """Propagate from the first records and compare with the recorded trajectories.

        Parameters
        ----------
        estimator : PlasticityPropagator
            Fitted.
        strain : array-like of shape (n_steps,) or (n_trajectories, n_steps)
        state : array-like of shape (n_trajectories, n_steps, n_variables), or (n_trajectories, n_variables)
            Recorded trajectories, preferably not trained; or initial states only.
        output : {"stress", "density", "orientation"} or int, default="stress"
            What to show: a column by its number, or by a word if states have the columns stress, density, phi1, Phi,
            phi2; "orientation" is the rotation of the lattice since the start.
        kind, quantiles, ax, predicted_kwargs, recorded_kwargs :
            As in :meth:`plot`.

        Returns
        -------
        display : TrajectoryDisplay
        """
        check_matplotlib(cls, "from_estimator")
        if not hasattr(estimator, "propagate"):
            raise TypeError(f"estimator is a {type(estimator).__name__}; give a fitted PlasticityPropagator.")
        state = numbers("state", state, ensure_all_finite="allow-nan")
        if state.ndim not in (2, 3):
            raise ValueError(
                "state must have shape (n_trajectories, n_steps, n_variables), or (n_trajectories, n_variables) for "
                f"first states only; got {state.shape}."
            )
        start = state if state.ndim == 2 else state[:, 0]
        _check_output(output, start.shape[1])
        if state.ndim == 3:
            _check_strain(strain, state.shape)
        found = estimator.propagate(start, strain).transpose(1, 0, 2)
        return cls.from_predictions(
            strain, state if state.ndim == 3 else None, found, output=output, kind=kind, quantiles=quantiles, ax=ax,
            predicted_kwargs=predicted_kwargs, recorded_kwargs=recorded_kwargs,
        )  # fmt: skip

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
    ) -> Self:
        """Compare propagated with recorded trajectories.

        Parameters
        ----------
        strain : array-like of shape (n_steps,) or (n_trajectories, n_steps)
        y_true : array-like of shape (n_trajectories, n_steps, n_variables), or (n_trajectories, n_steps), or None
            Recorded, as from :func:`skmerge.crystal.simulate`.
        y_pred : array-like of the same shape
            Propagated; ``propagate`` returns (n_steps, n_trajectories, n_variables), so give
            ``.transpose(1, 0, 2)`` of it.
        output : {"stress", "density", "orientation"} or int, default="stress"
            As in :meth:`from_estimator`.
        kind, quantiles, ax, predicted_kwargs, recorded_kwargs :
            As in :meth:`plot`.

        Returns
        -------
        display : TrajectoryDisplay
        """
        check_matplotlib(cls, "from_predictions")
        states = {"y_pred": y_pred} | ({} if y_true is None else {"y_true": y_true})
        for name, value in states.items():
            array = numbers(name, value, ensure_all_finite="allow-nan")
            if array.ndim not in (2, 3):
                raise ValueError(
                    f"{name} must have shape (n_trajectories, n_steps, n_variables) or (n_trajectories, n_steps), got "
                    f"{array.shape}."
                )
            states[name] = array.reshape(*array.shape[:2], -1)
        shape = states["y_pred"].shape
        if y_true is not None and states["y_true"].shape != shape:
            raise ValueError(
                f"y_true has shape {states['y_true'].shape} and y_pred {shape}; they must be equal. Give "
                ".transpose(1, 0, 2) of what propagate returns."
            )
        _check_output(output, shape[2])
        strain = _check_strain(strain, shape)
        shown = {name: _shown(array, output) for name, array in states.items()}
        misorientation = None
        if output == "orientation" and y_true is not None:
            angle = _degrees(*(quaternion_of(array[:, -1, 2:]) for array in states.values()))
            misorientation = float(np.nanmean(angle)) if not np.isnan(angle).all() else None
        positive = all((array[~np.isnan(array)] > 0).all() for array in shown.values())
        return cls(
            strain=strain, y_pred=shown["y_pred"], y_true=shown.get("y_true"), ylabel=STATE_LABELS.get(output),
            misorientation=misorientation, log=output == "density" and positive,
        ).plot(
            ax, kind=kind, quantiles=quantiles, predicted_kwargs=predicted_kwargs, recorded_kwargs=recorded_kwargs
        )  # fmt: skip


def _check_strain(strain, shape):
    strain = numbers("strain", strain, allow_nd=False)
    if strain.shape not in (shape[1:2], shape[:2]):
        raise ValueError(
            f"strain has shape {strain.shape}; give {shape[1:2]} or {shape[:2]} for {shape[0]} trajectories of "
            f"{shape[1]} records."
        )
    return strain


def _check_output(output, n):
    if isinstance(output, str):
        check_word("output", output, *STATE_LABELS)
        if n != 5:
            raise ValueError(
                f"output={output!r} needs states of five columns (stress, density, phi1, Phi, phi2); these have {n}. "
                "Give the number of a column."
            )
    else:
        give = f"give one of {', '.join(STATE_LABELS)}, or a column from 0 to {n - 1}"
        check_number("output", output, Integral, 0, n - 1, give=give)


def _shown(state, output):
    """The output (n_trajectories, n_steps) of states (n_trajectories, n_steps, n_variables)."""
    if output != "orientation":
        return state[:, :, {"stress": 0, "density": 1}.get(output, output)]
    lattice = quaternion_of(state[:, :, 2:].reshape(-1, 3)).reshape(*state.shape[:2], 4)
    return _degrees(lattice[:, :1], lattice)


def _degrees(one, other):
    """Angles between lattices given as quaternions, without cubic symmetry, because paths are continuous."""
    return np.degrees(np.linalg.norm(rotation_vector(product(inverse(one), other)), axis=-1))
