"""GradientForestRegressor: a forest whose splits and leaves use slopes."""

from itertools import chain
from numbers import Integral, Real
from typing import Literal, Self, TypeAlias, overload

import numpy as np
from joblib import Parallel, delayed, effective_n_jobs
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin
from sklearn.callback import CallbackSupportMixin
from sklearn.utils.validation import check_is_fitted

from skmerge import metrics
from skmerge._digest import Digested
from skmerge._forest import levels, mixture, unknown, widths
from skmerge._forest.grower import ENDLESS, Grown, grow_members, prepare
from skmerge._forest.stored import Forest
from skmerge._parallel import CHUNK_ROWS
from skmerge._parameters import check_flag, check_n_jobs, check_number, check_verbose, check_word, seed_of
from skmerge._progress import Reporter, fitting, with_callbacks
from skmerge._text import warn
from skmerge._validation import check_rows, check_slope_data, distance_beyond

_F8: TypeAlias = NDArray[np.float64]
_I8: TypeAlias = NDArray[np.intp]

__all__ = ["GradientForestRegressor"]

MIN_CHUNK_ROWS = 512  # that one thread predicts at a time, while there are more
SLOW_CHUNK_ROWS = 2048  # at most, where a row may take a millisecond: unknown features, levels of several


class GradientForestRegressor(Digested, CallbackSupportMixin, MultiOutputMixin, RegressorMixin, BaseEstimator):
    """A forest whose splits and leaves use slopes, known or estimated, so that predictions have no steps.

    A leaf holds a mean (order 0), a plane (order 1) or a quadratic (order 2),

    ``f(x) = a + b.(x - c) + (x - c)' H (x - c) / 2``

    that of its parent plus a correction by regularised least squares to what the parent leaves over. Known slopes
    dy/dx are equations of that least squares like the values, and take part in the search for the best split. Between
    and beyond the training rows a leaf is evaluated at x clipped to the box of its own rows, widened by half its width
    to either side, and its output clipped to their range of y, widened by its width: no prediction explodes. Between
    the levels of a feature of few values, such as five temperatures, predictions follow a line from level to level.

    Parameters
    ----------
    n_estimators : int, default=100
        Number of members; "auto" grows at least one of each of its kinds, so that 1 to 5 (slopes: 4) are the same.
    order : {"auto", 0, 1, 2}, default="auto"
        Highest order of a leaf; a leaf whose distinct rows do not support it corrects its parent by less. "auto" mixes
        forests of different orders, single trees and short sequences of small ones, weighted by their predictions of
        the rows they have not seen.
    criterion : {"auto", "value", "plane", "slope"}, default="auto"
        What a split is to explain of what the node's leaf leaves over: values by a constant on each side, values by a
        straight line on each side, or values and known slopes by straight lines. "auto" is "value" for order 0,
        otherwise "slope" where slopes are known and "plane" where not.
    max_depth, max_leaf_nodes : int or None, default=None
        None does not limit them (in "auto", short sequences keep their 64 leaves).
    min_samples_leaf : "auto" or int, default="auto"
        Distinct rows in a leaf; "auto" is 1, 5 or 10 for order 0, 1 or 2.
    max_features : "auto", int or float in (0, 1], default="auto"
        Features tried at a split; "auto" is all of them, or what measured best in a mixture.
    bootstrap : bool, default=True
        Whether each tree draws its rows with replacement; without, errors and weights come from 5-fold
        cross-validation.
    extrapolate : {"clip", "linear"}, default="clip"
        "linear" lets a leaf's polynomial run on.
    n_jobs : int or None, default=None
        Threads over members and rows; the result does not depend on it.
    random_state : int, RandomState instance or None, default=None
    warm_start : bool, default=False
        Whether a second fit with more estimators keeps the members of the first.
    verbose : int, default=0
        1 prints progress.

    Attributes
    ----------
    nodes_ : list of structured ndarray, one for each kind of member
        The nodes of all its trees, tree t being ``nodes_[g][tree_start_[g][t]:tree_start_[g][t + 1]]``.
    tree_start_, leaves_, rate_, member_start_ : list of ndarray
        Where trees begin, what their leaves hold, what share of a tree counts, where members begin.
    member_weight_ : list of ndarray of shape (n_members, n_outputs)
    coordinate_, x_shift_, x_unit_ : ndarray
        Features that leaves use, as ``(x - x_shift_) * x_unit_``.
    oob_prediction_ : ndarray of the shape of y
        Of each training row by the members that have not seen it; NaN where there is none.
    oob_score_ : float
        R2 of these.
    noise_std_ : ndarray of shape (n_outputs,)
        Out-of-bag error that the spread of the members does not explain.
    std_scale_ : ndarray of shape (2, n_outputs)
        What calibrates the standard deviation: factors of noise and spread.
    stand_in_ : ndarray of shape (n_rows, n_features)
        Up to 400 training rows. Those that are most like a row in its known features show what its unknown features
        may be.
    gap_scale_ : ndarray of shape (n_features, n_outputs)
        Factor of the change of the prediction that an unknown feature may cause; less than 1 where the errors of
        training rows without that feature are smaller.
    level_ : ndarray of shape (n_levels, 2)
        Least and greatest value of each level, one feature after the other. A level is one of the few values of a
        feature, or several that are close together.
    level_start_ : ndarray of shape (n_features + 1,)
        The levels of feature j are ``level_[level_start_[j]:level_start_[j + 1]]``.
    level_bend_ : ndarray of shape (n_features,)
        The prediction in the middle between two levels is not the mean of theirs, but closer to that of the lower level
        by this share of their difference for each unit of the distance of the levels.
    level_error_ : ndarray of shape (n_features, n_outputs)
        Standard error in the middle between two levels for each unit of their distance, in units of the spread of y.
    feature_importances_ : ndarray of shape (n_features,)
        Share of the squares taken away by splits on a feature.
    n_features_in_, feature_names_in_ : as in scikit-learn

    Examples
    --------
    >>> import numpy as np
    >>> from skmerge import GradientForestRegressor
    >>> X = np.linspace(0, 3, 20)[:, None]
    >>> forest = GradientForestRegressor(order=2, random_state=0).fit(X, X[:, 0] ** 2, dydx=2 * X)
    >>> forest.predict([[1.25]]).round(2)
    array([1.56])
    """

    nodes_: list[NDArray[np.void]]
    tree_start_: list[_I8]
    leaves_: list[_F8]
    rate_: list[_F8]
    member_start_: list[_I8]
    member_weight_: list[_F8]
    coordinate_: NDArray[np.int32]
    x_shift_: _F8
    x_unit_: _F8
    oob_prediction_: _F8
    oob_score_: float
    noise_std_: _F8
    std_scale_: _F8
    stand_in_: _F8
    gap_scale_: _F8
    level_: _F8
    level_start_: _I8
    level_error_: _F8
    level_bend_: _F8
    n_features_in_: int
    feature_names_in_: NDArray[np.object_]

    def __init__(
        self,
        n_estimators: int = 100,
        *,
        order: Literal["auto", 0, 1, 2] = "auto",
        criterion: Literal["auto", "value", "plane", "slope"] = "auto",
        max_depth: int | None = None,
        max_leaf_nodes: int | None = None,
        min_samples_leaf: int | Literal["auto"] = "auto",
        max_features: float | Literal["auto"] = "auto",
        bootstrap: bool = True,
        extrapolate: Literal["clip", "linear"] = "clip",
        n_jobs: int | None = None,
        random_state: int | np.random.RandomState | None = None,
        warm_start: bool = False,
        verbose: int = 0,
    ) -> None:
        self.n_estimators = n_estimators
        self.order = order
        self.criterion = criterion
        self.max_depth = max_depth
        self.max_leaf_nodes = max_leaf_nodes
        self.min_samples_leaf = min_samples_leaf
        self.max_features = max_features
        self.bootstrap = bootstrap
        self.extrapolate = extrapolate
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        tags.input_tags.allow_nan = True
        return tags

    # --- fitting

    @with_callbacks
    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        dydx: ArrayLike | None = None,
        direction: ArrayLike | None = None,
        slope: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        groups: ArrayLike | None = None,
    ) -> Self:
        """Grow the forest.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            NaN where unknown: such a row goes to the better side of a split.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            NaN where an output was not measured.
        dydx : array-like of shape (n_samples, n_features) or (n_samples, n_outputs, n_features), default=None
            Slopes, in units of y per unit of X as given here (a scaler in front does not rescale them); NaN where
            unknown. An order of 0 has no use for them.
        direction : array-like of shape (n_samples, n_features), default=None
            A direction per row along which the slope is known; need not have length one.
        slope : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            ``direction . dy/dx``.
        sample_weight : array-like of shape (n_samples,), default=None
            A weight of two is exactly a repeated row.
        groups : array-like of shape (n_samples,), default=None
            Labels of rows that belong together, such as those of one specimen: members leave them out whole, so that
            weights of the kinds, out-of-bag errors and intervals are those of a group that was never seen. Fewer than
            ten, or those that are the levels of one feature, change errors and intervals only.

        Returns
        -------
        self
        """
        self._check_parameters()
        given = {"dydx": dydx, "direction": direction, "slope": slope, "sample_weight": sample_weight, "groups": groups}
        # Callbacks hand metadata on to scorers, which take weights alone.
        with fitting(self, {"X": X, "y": y, "metadata": {"sample_weight": sample_weight}}, 1) as task:
            self._fit(X, y, given, task)
        return self

    def _fit(self, X, y, given, task):
        data = check_slope_data(self, X, y, **given)
        self._n_outputs = data.n_outputs
        tree_data, units = prepare(data, task.reporter)
        pairs = mixture.recipes(
            self.order, self.criterion, tree_data.slopes.shape[2] > 0, self.n_estimators, self.bootstrap, self._given()
        )
        kept = self._kept(tree_data, units, pairs)
        if kept is None:
            self._seed = seed_of(self.random_state)
        grown = grow_members(tree_data, pairs, self._seed, effective_n_jobs(self.n_jobs), kept, task)
        self._unseen, self._outside = grown.unseen, grown.outside
        self._store(data, tree_data, units, grown)

    def _kept(self, tree_data, units, pairs):
        """The members that a warm start keeps, None without one."""
        if not self.warm_start or not hasattr(self, "_unseen"):
            return None
        shape = self._unseen[0].shape
        same = shape == (len(pairs), 2, *tree_data.y.shape)
        same = same and all(np.array_equal(array, getattr(self, name)) for name, array in units.items())
        kinds = [trees for trees, _ in self._forest().kinds()] if same else []
        if len(kinds) != len(pairs) or any(
            (len(trees.coordinates.active), trees.coordinates.n_square) != recipe.coordinates(len(tree_data.active))
            for trees, (recipe, _) in zip(kinds, pairs, strict=True)
        ):
            raise ValueError(
                "warm_start=True keeps the members of the last fit, which needs the same training data, order and "
                "bootstrap; set warm_start=False to start anew."
            )
        missing = [wanted - trees.n_members for trees, (_, wanted) in zip(kinds, pairs, strict=True)]
        if min(missing) < 0:
            raise ValueError(
                f"n_estimators={self.n_estimators} is less than what the last fit has; with warm_start=True it "
                "may only grow."
            )
        if not any(missing):
            warn(
                f"warm_start=True with n_estimators={self.n_estimators}, which the last fit has: nothing is grown; "
                "raise n_estimators."
            )
        return Grown(kinds, self._unseen, self._outside)

    def _check_parameters(self):
        check_number("order", self.order, Integral, 0, 2, besides=("auto",))
        check_word("criterion", self.criterion, "auto", "value", "plane", "slope")
        check_word("extrapolate", self.extrapolate, "clip", "linear")
        check_number("n_estimators", self.n_estimators, Integral, 1)
        check_number("max_depth", self.max_depth, Integral, 1, besides=(None,))
        check_number("max_leaf_nodes", self.max_leaf_nodes, Integral, 2, besides=(None,))
        check_number("min_samples_leaf", self.min_samples_leaf, Integral, 1, besides=("auto",))
        if isinstance(self.max_features, Integral):
            check_number("max_features", self.max_features, Integral, 1)
        else:
            give = 'give "auto", an integer of at least 1 or a share in (0, 1]'
            check_number("max_features", self.max_features, Real, np.nextafter(0, 1), 1, besides=("auto",), give=give)
        check_flag("bootstrap", self.bootstrap)
        check_flag("warm_start", self.warm_start)
        check_n_jobs(self.n_jobs)
        check_verbose(self.verbose)

    def _given(self):
        given = {}
        for name, automatic in (("max_depth", None), ("max_leaf_nodes", None), ("min_samples_leaf", "auto")):
            if getattr(self, name) != automatic:
                given[name] = min(int(getattr(self, name)), ENDLESS)
        if self.max_features != "auto":
            share = self.max_features
            if isinstance(share, Integral):
                share = min(share, self.n_features_in_) / self.n_features_in_
            given["max_features"] = float(share)
        return given

    def _store(self, data, tree_data, units, grown):
        sums, count = grown.unseen
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = sums[:, 0] / count[:, :, None]
        weight = mixture.weights(mean, tree_data.y, tree_data.weight)
        level, level_start = levels.find(tree_data)
        forest = Forest(
            self.n_features_in_,
            tree_data.y.shape[1],
            self.extrapolate == "clip",
            **units,
            **Forest.arrays_of(grown.trees, weight),
            x_min_=np.nanmin(tree_data.X, axis=0, initial=np.inf),
            x_max_=np.nanmax(tree_data.X, axis=0, initial=-np.inf),
            level_=level,
            level_start_=level_start,
            stand_in_=unknown.stand_ins(tree_data.X, tree_data.weight),
        )
        prediction, validated = widths.calibrate_forest(forest, tree_data, *grown.outside, weight)
        self._warn_of_few(validated.sum(axis=0), (~np.isnan(tree_data.y)).sum(axis=0))
        vars(self).update((name, getattr(forest, name)) for name in chain(Forest.ARRAYS, *Forest.LATER))
        self.noise_std_ = self.std_scale_[0] * self.y_unit_
        known = ~np.isnan(prediction).any(axis=1) & ~np.isnan(tree_data.y).all(axis=1)
        self.oob_score_ = np.nan
        if known.sum() > 1:
            # In units of y's spread, whose squares do not overflow.
            self.oob_score_ = metrics.observed_r2_score(
                tree_data.y[known], prediction[known], sample_weight=tree_data.weight[known]
            )
        rows = np.full((len(data.row), tree_data.y.shape[1]), np.nan)
        there = data.row >= 0
        rows[there] = (prediction * self.y_unit_ + self.y_shift_)[data.row[there]]
        self.oob_prediction_ = rows[:, 0] if self._n_outputs is None else rows

    def _warn_of_few(self, validated, measured):
        """Warn where few rows are unseen by members of every kind: errors are then hardly known."""
        few = np.flatnonzero((validated < widths.FEW_ERRORS) & (measured > widths.FEW_ERRORS))
        if not len(few):
            return
        k = few[validated[few].argmin()]
        enough = mixture.enough(self.order, self.bootstrap)
        what = "oob_score_, oob_prediction_ and the standard deviations"
        warn(
            f"{what} rest on {validated[k]} of {measured[k]} rows, those that members of every kind have not seen; "
            f"give n_estimators={enough} or more, which leave out every row."
        )

    # --- using the fitted forest

    @property
    def feature_importances_(self) -> _F8:
        """Share of the squares taken away by splits on each feature, (n_features,)."""
        check_is_fitted(self, "nodes_")
        return self._forest().importances()

    def _forest(self):
        """The fitted forest over its arrays."""
        names = chain(Forest.ARRAYS, *(names for names in Forest.LATER if hasattr(self, names[0])))
        n_outputs = 1 if self._n_outputs is None else self._n_outputs
        arrays = {name: getattr(self, name) for name in names}
        return Forest(self.n_features_in_, n_outputs, self.extrapolate == "clip", **arrays)

    def _checked(self, X):
        """The fitted forest, and X as numbers."""
        check_is_fitted(self, "nodes_")
        forest = self._forest()
        forest.check()
        return forest, check_rows(self, X)

    def _over_rows(self, forest, function, X, axis=0):
        # A chunk at a time also lets Ctrl-C through.
        n_jobs = effective_n_jobs(self.n_jobs)
        slow = np.isnan(X).any() or np.count_nonzero(np.diff(forest.level_start_)) > 1
        size = min(SLOW_CHUNK_ROWS if slow else CHUNK_ROWS, max(-(-len(X) // n_jobs), MIN_CHUNK_ROWS))
        chunks = [X[start : start + size] for start in range(0, len(X), size)]
        if len(chunks) == 1:
            return function(X)
        done, reporter = [], Reporter(type(self).__name__, self.verbose)
        parallel = Parallel(n_jobs=n_jobs, require="sharedmem", return_as="generator")
        for part in parallel(delayed(function)(chunk) for chunk in chunks):
            done.append(part)
            reporter.say(f"{min(len(done) * size, len(X))} of {len(X)} rows", np.inf)
        return np.concatenate(done, axis=axis)

    @overload
    def predict(self, X: ArrayLike, return_std: Literal[False] = False) -> _F8: ...
    @overload
    def predict(self, X: ArrayLike, return_std: Literal[True]) -> tuple[_F8, _F8]: ...
    def predict(self, X, return_std=False):
        """Predict the target and, on request, how sure it is.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        return_std : bool, default=False
            Standard deviation of a new measurement: out-of-bag error and spread of the members, calibrated so that
            90 % of the out-of-bag errors lie within 1.645 of them, and what unknown features of the row may change.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        std : ndarray of the same shape
            Only with ``return_std``.
        """
        forest, X = self._checked(X)
        if not return_std:
            values = self._over_rows(forest, forest.values, X)
            return self._shaped(values * self.y_unit_ + self.y_shift_)
        mean, variance = self._over_rows(forest, lambda rows: np.stack(forest.mean_and_variance(rows)), X, axis=1)
        return self._shaped(mean * self.y_unit_ + self.y_shift_), self._shaped(np.sqrt(variance) * self.y_unit_)

    def _shaped(self, values):
        if not np.isfinite(values).all():
            raise ValueError(
                "the prediction is not finite: leaves_, rate_, member_weight_ or the units of y are damaged, fit the "
                "forest again; or rows of X lie so far outside that polynomials overflow, which "
                'extrapolate="clip" prevents.'
            )
        return values[:, 0] if self._n_outputs is None else values

    def predict_gradient(self, X: ArrayLike, *, smooth: bool = False) -> _F8:
        """Derivative of the prediction with respect to the features.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        smooth : bool, default=False
            False: the exact derivative of what ``predict`` returns, 0 where a leaf clips (and wherever all leaves are
            of order 0). True: the slopes of the leaves' polynomials, clipped or not.

        Returns
        -------
        gradient : ndarray of shape (n_samples, n_features) or (n_samples, n_outputs, n_features)
            Units of y per unit of X.
        """
        forest, X = self._checked(X)
        slopes = self._over_rows(forest, lambda rows: forest.slopes(rows, not smooth), X)
        return self._shaped(slopes * self.y_unit_[:, None])

    def apply(self, X: ArrayLike) -> _I8:
        """The leaf of every tree that each row falls into.

        Returns
        -------
        leaves : ndarray of shape (n_samples, n_trees), node numbers counted from each tree's root.
        """
        forest, X = self._checked(X)
        return self._over_rows(forest, forest.apply, X)

    def applicability(self, X: ArrayLike) -> _F8:
        """How far each row lies outside what was trained.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        distance : ndarray of shape (n_samples,)
            0 inside the range of every feature; otherwise the greatest distance to it, in units of that feature's range
            (of its size if it did not vary, of 1 if that is 0). Between the levels of a feature of few values the
            distance to the nearest. Unknown values count as inside.
        """
        forest, X = self._checked(X)
        if np.isnan(self.x_min_).any() or np.isnan(self.x_max_).any():
            raise ValueError("x_min_ or x_max_ is NaN; the forest is damaged, fit it again.")
        return np.maximum(distance_beyond(X, self.x_min_, self.x_max_), forest.distance_to_levels(X))

    score = metrics.score
