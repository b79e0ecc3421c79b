"""MergedNetRegressor: physical laws from a few dozen rows."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Literal, Self, TypeAlias, overload

import numpy as np
from joblib import Parallel, delayed, effective_n_jobs
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin
from sklearn.callback import CallbackSupportMixin
from sklearn.utils.validation import check_is_fitted

from skmerge import metrics
from skmerge._digest import Digested
from skmerge._net import gross_errors, groups, levels, limits, linked, options, relative, zeros
from skmerge._net.floats import within_float
from skmerge._net.formula import Formula, laws_of
from skmerge._net.functions import Functions
from skmerge._net.given_units import PintUnit
from skmerge._net.incomplete import Inputs
from skmerge._net.notation import names_of
from skmerge._net.objective import Scaling
from skmerge._net.offset import Offset
from skmerge._net.rounds import EARLIER_FITS, Rounds
from skmerge._net.stored import Nets
from skmerge._net.training import Settings
from skmerge._parallel import CHUNK_ROWS, Flag
from skmerge._parameters import ColumnNames, seed_of
from skmerge._progress import fitting, with_callbacks
from skmerge._text import warn
from skmerge._validation import check_rows, check_training_data, distance_beyond

_F8: TypeAlias = NDArray[np.float64]
_B1: TypeAlias = NDArray[np.bool_]
Unit: TypeAlias = str | Mapping[str, float] | PintUnit | None

__all__ = ["MergedNetRegressor"]

MAX_GIVEN = 50_000  # parameters of a net whose nodes are given


class MergedNetRegressor(Digested, CallbackSupportMixin, MultiOutputMixin, RegressorMixin, BaseEstimator):
    """One hidden layer of nodes that blend addition with multiplication, fitted by least squares.

    With ``g(u; C) = C u / (|u| + C)``, abar the mean blend, xbar and ybar the training means,

    ``y = D + abar ybar + sum_i a_i g(A_i.(x - xbar) + B_i; C_i)
    - sum_i (1 - a_i) s_i(x) g(B_i prod_j |x_j|^A_ij; C_i)``

    so that a sum, a power law, a saturating law and a smooth step are each one node. The fit first searches a short
    law: it adds nodes one by one, and fixes parameters at zero and exponents at simple fractions while the data do not
    object. Where no short law explains the data, it trains a committee of wider nets and keeps the better of the two by
    cross-validation.

    Give the features in their own units: a shift, such as standardisation makes, destroys a product. Rescaling a
    column or y changes nothing.

    Parameters
    ----------
    n_nodes : "auto" or int, default="auto"
        Number of hidden nodes. "auto" chooses by cross-validation. Up to 10 given nodes are searched as a law, more
        are trained as a committee.
    blend : "learn" or float in [0, 1], default="learn"
        Share of addition in each node: 1 is an additive net, 0 a sum of products.
    sign : "auto", "all", "none" or list of features, default="auto"
        The features over which the sign ``s_i(x)`` of a product runs: chosen node by node, all of them, none, or those
        listed (names or column numbers).
    penalty : "auto" or float >= 0, default="auto"
        Ridge penalty on slopes and exponents, in units of the features' variance. "auto" is 0 for a law and set by
        the evidence, feature by feature, in a committee.
    exponents : dict or None, default=None
        Prior knowledge: ``{feature: exponent}`` fixes, ``{feature: (low, high)}`` bounds the exponent of a feature
        in every product; None leaves a bound open. All are within 30. A feature with many zeros and fewer than five
        other sizes enters products only if it is given here.
    offset : callable, feature or None, default=None
        A known law: a function of X (n_samples, n_features) that returns (n_samples,) or (n_samples, n_outputs), or
        the column of X that holds its prediction. The net learns y less this offset.
    groups : feature or None, default=None
        The column of X, of numbers or words, that names the group of a row: its alloy, its star, its laboratory. Terms
        and the constant may then have a factor of their own for each group, while all groups share the exponents:
        ``y = D_g + sum_i c_ig P_i(x)``, also through a link. Which of them differ is chosen by the description length.
        There is no committee, and no function beside a link.
    n_estimators : "auto" or int, default="auto"
        Number of nets. "auto" is 1 for a law and up to 20 for a committee: those that get a weight in the stack.
    simplify : bool, default=True
        Whether parameters of a law are fixed at simple values where the data do not object.
    intercept : bool, default=True
        Whether there is a constant D. False finds a sum of products without one, ``blend=0``, and never a committee;
        through a link this is said of u, so that ``exp(u)`` has no prefactor in the unit of y.
    noise : {"absolute", "relative", "auto"}, default="absolute"
        Whether measurement errors have the same size in all rows, or are the same share of y: then a row has the weight
        ``1 / prediction^2``, and y must not be 0. "auto" fits both and keeps, output by output, the one that makes the
        rows left out more likely; where y is 0 or has both signs, errors are absolute.
    link : "auto" or one of the names below, default="auto"
        y as a function of the sum u of the nodes: "identity", y = u; "reciprocal", 1 / u; "sqrt"; "reciprocal_sqrt";
        "square"; "exp". All but the first need positive y. "auto" tries them where the law without a link has more
        than two parameters, and takes one whose law is clearly better on rows left out, for its number of parameters,
        and so good that no committee is needed.
    functions : list of names, default=("exp", "log", "cos", "shifted")
        Functions of a product that may be a factor of the terms of a law, where the law without has more than two
        parameters or misses more than noise: ``exp(c Q)`` and ``exp(c Q) - 1``, ``log Q``, ``cos(c Q + phi)`` or a
        sine, and ``1 + c Q`` ("shifted") to the power of -2, -1, -1/2 or 1/2, Q a product of simple powers of up to
        three features, for exp of all. () tries none, and so does a link by name, or a given ``n_nodes``, ``blend`` or
        ``exponents``.
    units : dict, list or None, default=None
        The unit of each feature, by name or number, or in their order: then only homogeneous laws are found, whose
        terms all have the unit of y and whose functions have arguments without one. A unit is text, such as
        ``"kg m/s^2"`` or ``"kg m s-2"``, which pint reads, a Unit of pint, or a mapping of dimensions to exponents,
        ``{"kg": 1, "m": 1, "s": -2}``; ``""``, None or ``{}`` is a number without dimension. Dimensions alone count:
        numbers are not converted, and columns may be in mm and in m. Temperatures are in kelvin. No committee is
        trained.
    target_unit : unit or list, default=None
        The unit of y, or a list of those of several outputs; needed with ``units``.
    constant_units : list of units, default=()
        Units that fitted factors may carry, such as ``"m^3/(kg s^2)"``, that of the constant of gravitation: a term may
        be off by a product of their powers, whole ones up to 2 or square roots. Up to four.
    n_jobs : int or None, default=None
        Threads over outputs, members and, of more than 16,384, rows; the result does not depend on it.
    random_state : int, RandomState instance or None, default=None
    verbose : int, default=0
        1 prints each stage of the fit, and within a long one what was done last, 2 each restart and slow iterations.
        Scikit-learn's callbacks (``set_callbacks``) receive all of these as tasks. If one asks to stop, the siblings of
        that task are left out.

    Attributes
    ----------
    A_ : ndarray of shape (n_estimators, n_outputs, n_nodes, n_features + n_functions)
        Slopes and exponents, for x in units of ``x_scale_`` and y in units of ``y_scale_`` (so are ``B_``, ``C_``
        and ``D_``). With a link "y" is here the sum u.
    B_, C_, blend_ : ndarray of shape (n_estimators, n_outputs, n_nodes)
        ``C_`` is infinite where a node does not saturate.
    D_ : ndarray of shape (n_estimators, n_outputs)
    sign_ : bool ndarray of shape (n_estimators, n_outputs, n_nodes, n_features + n_functions)
    estimator_weight_ : ndarray of shape (n_estimators, n_outputs)
    x_scale_, x_mean_ : ndarray of shape (n_features,)
    y_scale_, y_mean_ : ndarray of shape (n_outputs,)
    product_ : bool ndarray of shape (n_features,)
        Features that may enter a product. Their sizes other than 0 differ, and one of these holds: at most a tenth of
        the weight is at zero; there are at least five such sizes; they are named in ``exponents``.
    x_min_, x_max_, x_least_ : ndarray of shape (n_features,)
        Least and greatest trained value, and smallest trained size other than 0.
    functions_ : dict of ndarray
        The functions of products in the laws, n_functions of them: ``kind``, ``exponent`` (n_functions, n_features)
        of the product Q of x in units of ``x_scale_``, ``factor`` c and ``phase`` phi of the argument c Q + phi, and
        ``free`` (n_functions, 2), whether these were fitted. ``A_`` and ``sign_`` have a column for each function
        behind those of the features: its power.
    link_ : ndarray of str, of shape (n_outputs,)
    groups_ : ndarray of shape (n_groups,) or None
        The groups: numbers, or words, which count as 1, 2, ... in ``functions_``.
    relative_ : bool ndarray of shape (n_outputs,)
        Whether errors are relative: then the next three are shares of the prediction, otherwise in units of y.
    noise_std_ : ndarray of shape (n_outputs,)
        Standard deviation of a measurement about the law.
    validation_error_ : ndarray of shape (n_outputs,)
        Cross-validated root mean squared error. It may be greater than that of the law in ``laws_``: a constant that
        the fit let be zero counts here as estimated, as absolute errors must not depend on where y is counted from,
        and the search for a function may have been repeated without each fold.
    target_range_ : ndarray of shape (2, n_outputs)
        Within which a committee predicts: the trained range of y, less its offset, widened by its width to either side.
        Infinite for a law.
    form_error_ : ndarray of shape (n_outputs,)
        ``sqrt(max(validation_error_^2 - noise_std_^2, 0))``: by how much new rows are missed beyond the noise.
    form_doubtful_ : bool ndarray of shape (n_outputs,)
        Whether the form of a law is probably wrong: its ``form_error_`` exceeds ``1 + 10 / n`` times ``noise_std_``, n
        the number of rows, and 1 % of the standard deviation of y; or its relative errors are greater than y.
        ``formula`` then says so and shows no standard errors.
    covariance_ : list of ndarray, one for each output
        Of a single net's flat parameters (A, B, 1 / C and blend node after node, then the constant, then c and phi of
        each function), in scaled units;
        empty for an ensemble, and for more than 2000 parameters. A constant that the fit set to zero, and an exponent
        that it set to a simple value, keep the variance of free ones.
    inputs_ : dict of ndarray
        What fills missing features: ``mean`` and ``covariance`` of standardised ones, how they are standardised
        (``center``, ``unit``, ``log``), and the observed range (``low``, ``high``).
    n_features_in_, feature_names_in_ : as in scikit-learn
    target_names_in_ : ndarray of shape (n_outputs,) or None
        Names of a pandas or polars y.

    Examples
    --------
    >>> import numpy as np
    >>> from skmerge import MergedNetRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = rng.uniform(1, 5, (30, 2))
    >>> y = 3.0 * X[:, 0] ** 1.5 / X[:, 1]
    >>> law = MergedNetRegressor(random_state=0).fit(X, y)
    >>> print(law.formula(["a", "M"]))
    y = 3.00 a^1.50 M^-1.00
    """

    A_: _F8
    B_: _F8
    C_: _F8
    blend_: _F8
    D_: _F8
    sign_: _B1
    estimator_weight_: _F8
    functions_: dict[str, NDArray[Any]]
    link_: NDArray[np.str_]
    groups_: NDArray[Any] | None
    relative_: _B1
    x_scale_: _F8
    x_mean_: _F8
    y_scale_: _F8
    y_mean_: _F8
    product_: _B1
    noise_std_: _F8
    validation_error_: _F8
    form_error_: _F8
    form_doubtful_: _B1
    target_range_: _F8
    x_min_: _F8
    x_max_: _F8
    x_least_: _F8
    covariance_: list[_F8]
    inputs_: dict[str, NDArray[Any]]
    n_features_in_: int
    feature_names_in_: NDArray[np.object_]
    target_names_in_: NDArray[np.object_] | None

    def __init__(
        self,
        n_nodes: int | Literal["auto"] = "auto",
        *,
        blend: float | Literal["learn"] = "learn",
        sign: Literal["auto", "all", "none"] | Sequence[str | int] = "auto",
        penalty: float | Literal["auto"] = "auto",
        exponents: Mapping[Any, float | Sequence[float | None]] | None = None,
        offset: Callable[[_F8], ArrayLike] | str | int | None = None,
        groups: str | int | None = None,
        n_estimators: int | Literal["auto"] = "auto",
        simplify: bool = True,
        intercept: bool = True,
        noise: Literal["absolute", "relative", "auto"] = "absolute",
        link: Literal["auto", "identity", "reciprocal", "sqrt", "reciprocal_sqrt", "square", "exp"] = "auto",
        functions: Sequence[Literal["exp", "log", "cos", "shifted"]] = ("exp", "log", "cos", "shifted"),
        units: Mapping[Any, Unit] | Sequence[Unit] | None = None,
        target_unit: Unit | Sequence[Unit] = None,
        constant_units: Sequence[Unit] = (),
        n_jobs: int | None = None,
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
    ) -> None:
        self.n_nodes = n_nodes
        self.blend = blend
        self.sign = sign
        self.penalty = penalty
        self.exponents = exponents
        self.offset = offset
        self.groups = groups
        self.n_estimators = n_estimators
        self.simplify = simplify
        self.intercept = intercept
        self.noise = noise
        self.link = link
        self.functions = functions
        self.units = units
        self.target_unit = target_unit
        self.constant_units = constant_units
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        tags.input_tags.allow_nan = True
        return tags

    # --- fitting

    @with_callbacks
    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Fit the net.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            At least two rows, in the features' own units. NaN where missing: filled linearly from the other features
            of the row. The more a gap adds to the variance of the prediction, the less its row weighs.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            NaN where an output was not measured.
        sample_weight : array-like of shape (n_samples,), default=None
            A weight of two is exactly a repeated row.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If X is infinite or a feature never measured, y infinite or an output never measured, or a parameter out
            of range.
        """
        options.check_parameters(self)
        data = {"X": X, "y": y, "metadata": {"sample_weight": sample_weight}}
        with fitting(self, data, (3 + EARLIER_FITS) * len(options.RELATIVE[self.noise])) as task:
            self._fit(X, y, sample_weight, task)
        return self

    def _fit(self, X, y, sample_weight, task):
        X, self.groups_ = groups.numbered(X, self.groups)
        table, row, n_outputs = check_training_data(self, X, y, sample_weight)
        given, inputs = table.X, Inputs.learn(table.X)
        table = replace(table, X=inputs.fill(given))
        least = np.fmin.reduce(np.where(given == 0, np.nan, np.abs(given)), axis=0, initial=np.inf)
        ranges = {"x_min_": inputs.arrays["low"], "x_max_": inputs.arrays["high"]}
        ranges["x_least_"] = np.where(np.isinf(least), 0.0, least)
        d = self.n_features_in_
        if self.n_nodes != "auto" and self.n_nodes * (d + 3) > MAX_GIVEN:
            raise ValueError(
                f"n_nodes={self.n_nodes} nodes of {d} features have {self.n_nodes * (d + 3)} parameters; give at most "
                f'{MAX_GIVEN // (d + 3)}, or "auto".'
            )
        asked = [ColumnNames.of(self).number(feature, "exponents") for feature in self.exponents or {}]
        scaling = Scaling.of(table.X, table.weight, asked)
        options.check_zeros(self, asked, scaling.zeros)
        offset = Offset.of(self.offset, ColumnNames.of(self))
        if offset.column is not None:
            scaling = scaling.without(offset.column)
        group = None if self.groups is None else ColumnNames.of(self).number(self.groups, "groups")
        if group is not None:
            groups.check(given[:, group], table.y, self._group_name(), self.groups_)
            options.check_group(self, group, asked, offset.column)
            scaling = scaling.without(group)
            self.groups_ = np.unique(given[:, group]) if self.groups_ is None else self.groups_
        blend = "learn" if self.blend == "learn" else float(self.blend)
        rounds = Rounds(
            given=given,
            X=table.X,
            target=table.y - offset(table.X, table.y.shape[1]),
            weight=table.weight,
            inputs=inputs,
            ranges=ranges,
            offset=offset,
            shared={
                "scaling": scaling,
                "exponent_bounds": options.exponent_bounds(self, d),
                # A sum about the mean has a constant; and slopes have several units.
                "blend": blend if self.intercept and self.units is None else 0.0,
                "cancelled": Flag(),
                "intercept": self.intercept,
            },
            settings=Settings(
                options.sign_mask(self, d),
                self.n_nodes,
                self.penalty,
                self.simplify,
                self.n_estimators,
                self.n_jobs,
                *options.links(self),
                group,
            ),
            target_name="y" if self.offset is None else "y less its offset",
            seed=seed_of(self.random_state),
            dimensions=options.dimensions(self, scaling, offset, n_outputs, names_of(y)) or [None] * table.y.shape[1],
        )
        # Not trained; set first, for callbacks that evaluate a net during the fit.
        self.offset_column_, self._n_outputs, self.target_names_in_ = offset.column, n_outputs, names_of(y)
        zero = (table.y == 0).any(axis=0)
        if self.noise == "relative" and zero.any():
            raise ValueError(
                f'noise="relative": y is 0 in {(table.y == 0).any(axis=1).sum()} row(s), where an error cannot be a '
                "share of y; leave those rows out (NaN in one output of several), or put the least value that can be "
                "measured."
            )
        low = (rounds.target <= 0).sum(axis=0).max()
        if low > linked.MAX_NOT_POSITIVE * len(table.y) and self.link not in ("auto", "identity"):
            raise ValueError(
                f'link="{self.link}" needs positive {rounds.target_name}; it is zero or negative in {low} of '
                f"{len(table.y)} rows. Leave them out, fit -y if all are negative, or give another link."
            )
        modes = (False,) if zero.any() else options.RELATIVE[self.noise]
        fits = [rounds.run(is_relative, task) for is_relative in modes]
        # Of y with both signs an error is no share: there "auto" takes the first of its fits.
        signed = (np.nanmin(table.y, axis=0) < 0) & (np.nanmax(table.y, axis=0) > 0)
        pairs = [(some[:1] if both else some) for some, both in zip(zip(*fits, strict=True), signed, strict=True)]
        best = [max(some, key=lambda pair: relative.log_likelihood(*pair)) for some in pairs]
        vars(self).update(rounds.attributes(*zip(*best, strict=True)))
        names, found = ColumnNames.of(self), [trained.gross for trained, _ in best]
        gross_errors.tell(found, row, rounds.target_name, n_outputs, names, np.isnan(given), self.relative_)
        levels.tell_isolated(given, row, names)
        levels.tell(best, names, rounds.target_name, n_outputs, group)
        if self.noise == "absolute":
            which = [trained.gross is None for trained, _ in best]
            relative.tell(self._nets(), table.X, table.y, which, rounds.target_name, n_outputs)
        zeros.tell([trained.barred for trained, _ in best], names)
        if self.link not in ("auto", "identity") and (self.link_ != self.link).any():
            warn(
                f'link="{self.link}" is not used for {np.count_nonzero(self.link_ != self.link)} of {len(self.link_)} '
                "outputs: no law through it was found. One product needs no link but exp; a committee (n_nodes > 10) "
                "and more than 20,000 rows take none."
            )

    # --- using the fitted net

    def _shaped(self, values):
        return values[:, 0] if self._n_outputs is None else values

    @overload
    def predict(self, X: ArrayLike, return_std: Literal[False] = False) -> _F8: ...
    @overload
    def predict(self, X: ArrayLike, return_std: Literal[True, "value", "measurement"]) -> tuple[_F8, _F8]: ...
    def predict(self, X, return_std=False):
        """Predict the target and, on request, its standard deviation.

        Finite for every finite X: the logarithm of a product stays within 300, so that x = 0 under a negative exponent
        gives a huge number (and gradient 0) where the law has a pole, and a warning. A committee has no poles: a
        feature that takes part in its products counts as half its smallest trained size where it is less, and
        predictions stay within ``target_range_``. ``applicability`` says how far a row lies outside what was trained.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            NaN where missing: filled linearly from the other features of the row, within the trained range.
        return_std : bool, "value" or "measurement", default=False
            True or "value": the standard deviation of the noise-free value, from the spread of the ensemble or, for
            a single law, from the covariance sigma^2 (J^T J)^-1 of its parameters. ``form_error_`` is added in squares,
            because that variance assumes that the form of the law is right. "measurement": that of a new measurement,
            which adds the noise. Within the trained range +-1 standard deviation was found to cover the truth in 72 %
            of the points of laws that have no such form (exp, sin, tanh) and in 91 % of those that have; without
            ``form_error_`` in 50 and 70 %. Beyond that range it says nothing about the form. The change of the
            prediction by what missing features may be is added in squares.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        std : ndarray of the same shape
            Only with ``return_std``.
        """
        if np.ndim(return_std) or return_std not in (False, True, "value", "measurement"):
            raise ValueError(f'return_std={return_std!r} is not possible: give False, True, "value" or "measurement".')
        nets, given, X = self._check_rows(X)
        limits.tell_poles(nets, given, ColumnNames.of(self))
        n_threads = effective_n_jobs(self.n_jobs)
        if return_std and not self._display_std:
            raise ValueError(
                "return_std: a single net of so many parameters or rows keeps no covariance; fit with n_estimators=10."
            )
        if not return_std:
            return self._shaped(nets.with_offset(X, n_threads))
        chunks = (X[start : start + CHUNK_ROWS] for start in range(0, len(X), CHUNK_ROWS))
        done = Parallel(n_jobs=n_threads, require="sharedmem")(delayed(nets.moments)(chunk) for chunk in chunks)
        mean, std = (np.concatenate(part) for part in zip(*done, strict=True))
        mean = mean + nets.offset(X, nets.n_outputs)
        with np.errstate(over="ignore"):
            unit = np.where(nets.relative_, np.abs(mean), 1.0)
            parts = [unit * self.form_error_]
            if given is not X:
                predict = partial(nets.with_offset, n_threads=n_threads)
                parts.append(np.sqrt(Inputs(self.inputs_).variance(given, X, predict)))
            if return_std == "measurement":
                parts.append(unit * self.noise_std_)
            for part in parts:
                std = within_float(np.hypot(std, part))
        return self._shaped(mean), self._shaped(std)

    @property
    def _display_std(self):
        """The ``return_std`` that displays ask for, see ``_plot.base``; False where there are too many parameters."""
        return "measurement" if len(self.A_) > 1 or self.covariance_ else False

    def _check_rows(self, X):
        """The fitted nets; X as it is given, and complete: the same array where nothing is missing."""
        nets, known = self._nets(), getattr(self, "groups_", None)
        if known is not None:
            number = ColumnNames.of(self).number(self.groups, "groups")
            X, _ = groups.numbered(X, self.groups if hasattr(X, "columns") else number, known)
        X = check_rows(self, X)
        if known is not None:
            groups.check_known(X[:, number], known, self._group_name())
        return nets, X, Inputs(self.inputs_).fill(X) if np.isnan(X).any() else X

    def _nets(self):
        """The fitted nets, checked; arrays that a model of version 0.1.0 lacks get the values that it stood for."""
        check_is_fitted(self)
        limit, least = getattr(self, "target_range_", None), getattr(self, "x_least_", None)
        if limit is None:
            limit = np.tile([[-np.inf], [np.inf]], np.shape(self.A_)[1:2])
        if least is None:  # known for features of one sign
            ends = np.abs([self.x_min_, self.x_max_])
            least = np.where((self.x_min_ > 0) | (self.x_max_ < 0), ends.min(axis=0), 0.0)
        nets = Nets(
            **{name: getattr(self, name) for name in Nets.ARRAYS},
            target_range_=limit,
            relative_=getattr(self, "relative_", np.zeros(np.shape(self.A_)[1:2], bool)),
            form_doubtful_=getattr(self, "form_doubtful_", np.zeros(np.shape(self.A_)[1:2], bool)),
            functions_=getattr(self, "functions_", Functions.none(self.n_features_in_).arrays),
            link_=getattr(self, "link_", np.full(np.shape(self.A_)[1:2], "identity")),
            groups=getattr(self, "groups_", None), group_name=self._group_name(),
            target_names=getattr(self, "target_names_in_", None),
            x_least_=least, null=self._null, status=self._standing,
            offset=Offset(self.offset, self.offset_column_),
            exponent_bounds=options.exponent_bounds(self, self.n_features_in_),
        )  # fmt: skip
        nets.check(self.n_features_in_)
        return nets

    def _group_name(self):
        """Name of the column of groups, None without one."""
        names = ColumnNames.of(self)
        return None if getattr(self, "groups", None) is None else names[names.number(self.groups, "groups")]

    def predict_gradient(self, X: ArrayLike) -> _F8:
        """Derivative of the prediction with respect to the features.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        gradient : ndarray of shape (n_samples, n_features) or (n_samples, n_outputs, n_features)
            Units of y per unit of x. A callable offset is differentiated by central differences. A missing x is filled
            first.
        """
        nets, _, X = self._check_rows(X)
        out = nets.gradient(X, effective_n_jobs(self.n_jobs))
        nets.offset.add_gradient(out, X, self.x_scale_)
        return self._shaped(out)

    def applicability(self, X: ArrayLike) -> _F8:
        """How far each row lies outside what was trained.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        distance : ndarray of shape (n_samples,)
            0 inside the range of every feature; otherwise the greatest distance to it, in units of that feature's range
            (of its size if it did not vary, of 1 if that is 0). Below the smallest trained size of a feature with
            negative exponents, or of any in the products of a committee, the distance of its logarithm counts where it
            is greater. At least 1 where a law through a link has no value, such as the root of a negative number, or
            where ``1 + c Q`` in a law is not positive. A missing feature counts as inside.
        """
        nets, _, X = self._check_rows(X)
        distance = np.maximum(distance_beyond(X, self.x_min_, self.x_max_), limits.distance_below(nets, X))
        return np.maximum(distance, nets.is_undefined(X))

    score = metrics.score

    @property
    def laws_(self) -> list[dict[str, Any]] | list[list[dict[str, Any]]]:
        """The candidates for a law, the shortest first; for several outputs a list of such lists.

        For each length, ``n_parameters`` estimated numbers without simple exponents, the one with the smallest error on
        rows left out (with ``n_estimators`` the first of the nets):
        ``validation_error`` in units of y (of relative errors, as shares of it). ``formula``, ``latex`` and ``python``
        write it; ``is_chosen`` says which is the model's, ``why`` what decided. Its ``validation_error``, by which it
        was compared, may be less than ``validation_error_``, which says why. It is the shortest whose errors, row by
        row, are not clearly greater than the least, unless simple exponents or a link describe y more shortly (see the
        guide); none where a committee errs less on rows that the search did not see, or where the net is no law.
        """
        nets = self._nets()
        names, tried = ColumnNames.of(self), getattr(self, "_tried", [[]] * nets.n_outputs)
        found = [laws_of(nets, k, candidates, names) for k, candidates in enumerate(tried)]
        return found[0] if self._n_outputs is None else found

    def formula(
        self,
        feature_names: Sequence[str] | None = None,
        *,
        target_names: str | Sequence[str] | None = None,
        standard_errors: bool = False,
    ) -> Formula:
        """The fitted law.

        Parameters
        ----------
        feature_names : list of str, default=None
            ``feature_names_in_`` or x0, x1, ... if None.
        target_names : str or list of str, default=None
            If None ``target_names_in_``, or y, or y0, y1, ...; none that a feature has: target, target_y, ... instead.
        standard_errors : bool, default=False
            Whether every number carries its standard error, from J^T J; a single law only. "(fixed)": given, such as
            ``blend=0.5``; "(fixed as given)": by ``exponents``, and whether the data object by more than three standard
            errors; "(by units)": it follows from ``units``; "(at its bound)": at a bound of ``exponents``;
            "(undetermined)": the data do not determine it, and in brackets which features vary together, or that the
            rows are too few for so many numbers, exponents that the fit chose among them.

        Returns
        -------
        formula : Formula
            ``str(formula)`` in the notation of physics, with as many digits as the prediction needs, ``formula.latex``,
            and ``formula.python``, an expression of ``formula.python_names`` and ``np`` (a list of them for several
            outputs) that evaluates to the prediction.

        Raises
        ------
        TypeError, ValueError
            If the names are no list of strings, or too few, too many or repeated; or if there are no standard errors.
        """
        nets = self._nets()
        feature_names = ColumnNames.of(self) if feature_names is None else feature_names
        return Formula.of(nets, feature_names, target_names, standard_errors)
