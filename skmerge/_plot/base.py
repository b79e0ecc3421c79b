"""Common parts of the displays: axes, styles, one output of several, predictions with standard deviations."""

from __future__ import annotations

from collections.abc import Mapping
from inspect import signature
from numbers import Integral, Real
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.stats import norm
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_array, check_is_fitted

from skmerge._parameters import check_number
from skmerge._validation import check_container, naming

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, ORANGE, VERMILLION, GREEN, GREY, BLACK = "#0072B2", "#E69F00", "#D55E00", "#009E73", "#888888", "#000000"


class Display:
    """Attributes of a display after it is drawn."""

    ax_: Axes
    figure_: Figure


def check_matplotlib(display, method):
    """Raise ImportError if nothing can be drawn, before anything is computed."""
    try:
        import matplotlib.pyplot  # noqa: F401
    except ImportError as error:
        caller = f"{display.__name__}.{method}"
        message = f"{caller} requires matplotlib. You can install matplotlib with `pip install matplotlib`."
        raise ImportError(message) from error


def axes_of(display, ax):
    """The axes to draw on, None for those of a new figure; the display stores them and their figure."""
    check_matplotlib(type(display), "plot")
    import matplotlib.pyplot as plt
    from matplotlib.axes import Axes

    if ax is None:
        ax = plt.subplots(layout="constrained")[1]
    if not isinstance(ax, Axes):
        raise TypeError(f"ax is a {type(ax).__name__}; give the matplotlib axes of one plot, or None for a new figure.")
    display.ax_, display.figure_ = ax, ax.figure
    return ax


def styled(name, given, artist, **defaults):
    """Keywords of an artist: the defaults, replaced by those given, which may use matplotlib's aliases."""
    from matplotlib.cbook import normalize_kwargs

    if given is not None and not isinstance(given, Mapping):
        raise TypeError(f"{name}={given!r} is not possible: give a dict of matplotlib's keywords, or None.")
    try:
        given = normalize_kwargs(given, artist)
    except TypeError as error:
        raise TypeError(f"{name}: {error}.") from error
    if "c" in given:  # a scatter plot takes either c or color
        defaults.pop("color", None)
    return normalize_kwargs(defaults, artist) | given


def label_axes(ax, **labels):
    """Set labels where the axes have none; the caller's own labels stay."""
    ax.set(**{name: text for name, text in labels.items() if text and not getattr(ax, f"get_{name}")()})


def half_width(level):
    """Half the width, in standard deviations, of the central interval that holds a share of a normal distribution."""
    check_number("level", level, Real, 1e-9, 1 - 1e-9, give="give a share between 0 and 1, such as 0.9")
    return norm.ppf(0.5 + level / 2)


def check_kind(estimator, kind):
    """Raise unless the estimator is a fitted one of the kind that a display shows."""
    if not isinstance(estimator, kind):
        raise TypeError(
            f"estimator is a {type(estimator).__name__}; give a fitted {kind.__name__}: of a pipeline its last step, "
            "of a search best_estimator_."
        )
    check_is_fitted(estimator)


def names_in(table):
    """Names of the columns of a data frame, the name of a Series, or None."""
    columns = getattr(table, "columns", None)
    if columns is None and isinstance(getattr(table, "name", None), str):
        columns = [table.name] if table.name else None
    return None if columns is None else [str(name) for name in columns]


def columns_of(name, value):
    """An argument as numbers (n, m), NaN where unmeasured."""
    value = check_container(name, value)
    with naming(name):
        array = check_array(value, dtype=np.float64, ensure_2d=False, ensure_all_finite="allow-nan", input_name=name)
    if array.ndim > 2:
        raise ValueError(f"{name} must have shape (n_samples,) or (n_samples, n_outputs), got {array.shape}.")
    return array.reshape(len(array), -1)


def column_of(argument, given, n, names=None):
    """Number of one of n columns, given by number or name; None is possible where there is one column."""
    known = f"{n} of them" + (f": {', '.join(names)}" if names is not None and n <= 20 else "")
    if given is None:
        if n == 1:
            return 0
        raise ValueError(f"{argument}=None is not possible: there are {known}; give one, by number or name.")
    if isinstance(given, str):
        if names is None or given not in names:
            known = "columns have no names; give a number" if names is None else f"there are {known}"
            raise ValueError(f"{argument}={given!r} is not possible: {known}.")
        return list(names).index(given)
    check_number(argument, given, Integral, 0, n - 1, give=f"give a number from 0 to {n - 1}, or a name")
    return int(given)


class OneOutput(NamedTuple):
    """One output of several: what was measured, what is predicted, and its standard deviation, (n,) each; its name."""

    true: np.ndarray
    pred: np.ndarray
    std: np.ndarray | None
    name: str | None


def one_output(y_true, y_pred, std, output):
    """The OneOutput of a number or name ``output``."""
    names = names_in(y_true) or names_in(y_pred)
    given = {"y_true": y_true, "y_pred": y_pred, "std": std}
    arrays = {name: columns_of(name, value) for name, value in given.items() if value is not None or name != "std"}
    shape = arrays["y_true"].shape
    for name, array in arrays.items():
        if array.shape != shape:
            raise ValueError(f"{name} has shape {array.shape} and y_true {shape}; they must be equal.")
    k = column_of("output", output, shape[1], names)
    true, pred, *more = (array[:, k] for array in arrays.values())
    return OneOutput(true, pred, more[0] if more else None, None if names is None else names[k])


def predictions(estimator, X, y, output, return_std):
    """As `one_output`, with the predictions of a fitted estimator.

    Without y, the estimator predicts the entries of X itself (:class:`~skmerge.MergedNetImputer`).
    """
    if isinstance(estimator, type):
        raise TypeError(f"estimator is the class {estimator.__name__}; give a fitted object of this class.")
    if y is None:
        return _predicted_entries(estimator, X, output)
    if not hasattr(estimator, "predict"):
        raise TypeError(f"estimator is a {type(estimator).__name__}, which has no predict; give a fitted regressor.")
    return_std = _resolved(estimator, return_std)
    y_pred, std = estimator.predict(X, return_std=return_std) if return_std else (estimator.predict(X), None)
    names = names_in(y)
    if names is None and getattr(estimator, "target_names_in_", None) is not None:
        names = list(estimator.target_names_in_)
    y_pred = np.asarray(y_pred, dtype=float).reshape(len(y_pred), -1)
    y_true = columns_of("y", y)
    if y_true.shape != y_pred.shape:
        raise ValueError(f"y has shape {y_true.shape}, the predictions for X {y_pred.shape}; they must be equal.")
    k = column_of("output", output, y_true.shape[1], names)
    std = None if std is None else np.asarray(std, dtype=float).reshape(y_pred.shape)[:, k]
    return OneOutput(y_true[:, k], y_pred[:, k], std, None if names is None else str(names[k]))


def _resolved(estimator, return_std):
    """The return_std that predict takes; "auto": the standard deviation of a measurement, if the model has one.

    An estimator whose predict knows several kinds of them says by ``_display_std`` which one that is, False for none.
    """
    last = estimator[-1] if isinstance(estimator, Pipeline) else estimator
    takes = "return_std" in signature(last.predict).parameters
    if isinstance(return_std, str) and return_std == "auto":
        return getattr(last, "_display_std", takes)
    if return_std and not takes:
        name = type(last).__name__
        raise ValueError(f"return_std={return_std!r} is not possible: {name} predicts no standard deviations.")
    return return_std


def _predicted_entries(estimator, X, output):
    if not hasattr(estimator, "predict_entries"):
        remedy = "give its last step and the X that reaches it" if isinstance(estimator, Pipeline) else "give y"
        name = type(estimator).__name__
        raise ValueError(f"y=None is not possible: {name} does not predict entries of X; {remedy}.")
    expected, std = estimator.predict_entries(X, return_std=True)
    names = [str(name) for name in estimator.get_feature_names_out()]
    k = column_of("output", output, len(names), names)
    column = X[X.columns[k]] if hasattr(X, "columns") else np.asarray(X)[:, k]
    return OneOutput(columns_of("X", column)[:, 0], expected[:, k], std[:, k], names[k])
