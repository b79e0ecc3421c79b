"""GradientForestRegressor: a forest whose splits and leaves use slopes."""

import warnings
from dataclasses import replace
from numbers import Integral, Real
from typing import Literal, Self, TypeAlias, overload

import numpy as np
from joblib import Parallel, delayed, effective_n_jobs
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin
from sklearn.callback import CallbackSupportMixin
from sklearn.utils.validation import check_is_fitted
from threadpoolctl import threadpool_limits

from skmerge._digest import Digested
from skmerge._forest import levels, mixture, unknown, widths
from skmerge._forest.grower import ENDLESS, GROUPED, JUDGES, PARTS, TreeData, prepare
from skmerge._forest.tree import Trees, check_forest
from skmerge._parallel import each
from skmerge._parameters import check_flag, check_n_jobs, check_number, check_verbose, check_word, seed_of
from skmerge._progress import Reporter, fitting, with_callbacks
from skmerge._text import warn
from skmerge._validation import check_rows, check_same_rows, check_slope_data, excess
from skmerge.metrics import observed_r2_score

_F8: TypeAlias = NDArray[np.float64]
_I8: TypeAlias = NDArray[np.intp]

__all__ = ["GradientForestRegressor"]

CHUNK, MIN_CHUNK = 16384, 512  # rows predicted at a time by one thread, at most and, while there are more, at least
SLOW_CHUNK = 2048  # at most, where a row may take a millisecond: unknown features, levels of several


class GradientForestRegressor(Digested, CallbackSupportMixin, MultiOutputMixin, RegressorMixin, BaseEstimator):
    """A forest whose splits and leaves use slopes, known or estimated: no staircase.

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
        Up to 400 training rows; those most like a row in what is known say what its unknown features may be.
    gap_scale_ : ndarray of shape (n_features, n_outputs)
        Factor of what they then change; less than 1 where errors of training rows without the feature say so.
    level_, level_start_, level_bend_, level_error_ : ndarray
        Least and greatest value of each level of features that have some, (n_levels, 2), those of feature j from
        ``level_start_[j]`` on; by what share of the difference of two levels the value in their middle is nearer to
        the lower level's, (n_features,), and the standard error there, (n_features, n_outputs), both for each unit of
        their distance.
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
        warm = self._warm(tree_data, units, pairs)
        vars(self).update(units)
        if not warm:
            self._seed = seed_of(self.random_state)
        kinds, self._unseen, self._outside = self._grow(tree_data, pairs, warm, task)
        self._store(data, tree_data, kinds)

    def _warm(self, tree_data, units, pairs):
        """Members that a warm start keeps, group by group; none if there is nothing to keep."""
        if not self.warm_start or not hasattr(self, "_unseen"):
            return None
        shape = self._unseen[0].shape
        same = all(np.array_equal(array, getattr(self, name)) for name, array in units.items())
        groups = list(self._groups()) if same else []
        if (
            shape != (len(pairs), 2, *tree_data.y.shape)
            or len(groups) != len(pairs)
            or any(
                (len(trees.active), trees.n_squared) != recipe.coordinates(len(tree_data.active))
                for (trees, _), (recipe, _) in zip(groups, pairs, strict=True)
            )
        ):
            raise ValueError(
                "warm_start=True keeps the members of the last fit, which needs the same training data, order and "
                "bootstrap; set warm_start=False to start anew."
            )
        if all(trees.n_members == wanted for (trees, _), (_, wanted) in zip(groups, pairs, strict=True)):
            warn(
                f"warm_start=True with n_estimators={self.n_estimators}, which the last fit has: nothing is grown; "
                "raise n_estimators."
            )
        for (trees, _), (_, wanted) in zip(groups, pairs, strict=True):
            if trees.n_members > wanted:
                raise ValueError(
                    f"n_estimators={self.n_estimators} is less than what the last fit has; with warm_start=True it "
                    "may only grow."
                )
        return [trees for trees, _ in groups]

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

    def _grow(self, tree_data, pairs, warm, task):
        """Grow what is not there yet.

        Returns
        -------
        groups : list of Trees, one for each recipe
        unseen : sums, over the members that have not seen a row, of their predictions and of the squares of these,
            (n_recipes, 2, n, m), and how many such members there are, (n_recipes, n)
        outside : the same of members that have not seen a row's group, where such judge; otherwise ``unseen``
        """
        n, m = tree_data.y.shape
        groups = [[] for _ in pairs] if warm is None else [[trees] for trees in warm]
        unseen = np.zeros((len(pairs), 2, n, m)), np.zeros((len(pairs), n))
        outside = tuple(np.zeros_like(array) for array in unseen) if tree_data.groups_judge else unseen
        if warm is not None:
            unseen = tuple(array.copy() for array in self._unseen)
            outside = self._outside if tree_data.groups_judge else unseen
        jobs = []
        for g, (recipe, wanted) in enumerate(pairs):
            mine = [(g, recipe, e) for e in range(warm[g].n_members if warm else 0, wanted)]
            if recipe.rows == "all" and not warm:
                # Trees that have seen every row cannot be judged: others, soon forgotten, each miss one part.
                mine += [(g, replace(recipe, rows="part"), JUDGES + e) for e in range(PARTS)]
            if tree_data.groups_judge and not warm:
                judge = replace(recipe, rows="part") if recipe.rows == "all" else recipe
                mine += [(g, judge, GROUPED + e) for e in range(min(PARTS, tree_data.n_groups))]
            jobs += [((i + 0.5) / len(mine), *job) for i, job in enumerate(mine)]
        jobs = [job[1:] for job in sorted(jobs, key=lambda job: job[:2])]  # in turn: a stop leaves some of each kind
        members = task.begin("members", len(jobs))
        try:
            with threadpool_limits(1, user_api="blas"):
                tasks = (delayed(TreeData.grow)(tree_data, recipe, e, self._seed, g) for g, recipe, e in jobs)
                grown = each(tasks, effective_n_jobs(self.n_jobs))
                stop = False
                for i, ((g, _, e), (trees, out, values)) in enumerate(zip(jobs, grown, strict=True)):
                    if e < JUDGES:
                        groups[g].append(trees)
                    sums, count = unseen if e < GROUPED else outside
                    sums[g, 0, out] += values
                    sums[g, 1, out] += values**2
                    count[g, out] += 1
                    member = members.begin("member")
                    task.reporter.count(i + 1, len(jobs), "members")
                    stop |= bool(member.end())
                    if stop and all(groups):
                        tree_data.cancelled[0] = 1
                        with warnings.catch_warnings():  # of members that were grown in vain
                            warnings.simplefilter("ignore", UserWarning)
                            grown.close()
                        break
        finally:
            tree_data.cancelled[0] = 1  # threads that a stop or an error left behind end at their next node
        members.end()
        return [Trees.join(group) for group in groups], unseen, outside

    def _store(self, data, tree_data, groups):
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = self._unseen[0][:, 0] / self._unseen[1][:, :, None]
        weight = mixture.weights(mean, tree_data.y, tree_data.weight)
        self.member_weight_ = [
            np.repeat(weight[None, g] / trees.n_members, trees.n_members, axis=0) for g, trees in enumerate(groups)
        ]
        self.nodes_ = [trees.nodes for trees in groups]
        self.tree_start_ = [trees.start for trees in groups]
        self.leaves_ = [trees.leaves for trees in groups]
        self.rate_ = [trees.rate for trees in groups]
        self.member_start_ = [trees.member_start for trees in groups]
        self.n_squared_ = [trees.n_squared for trees in groups]
        self.n_coordinates_ = [len(trees.active) for trees in groups]
        self.x_min_ = np.nanmin(tree_data.X, axis=0, initial=np.inf)
        self.x_max_ = np.nanmax(tree_data.X, axis=0, initial=-np.inf)
        self.level_, self.level_start_ = levels.find(tree_data)
        self.level_bend_ = np.zeros(self.n_features_in_)
        self._judge(data, tree_data, weight)

    def _judge(self, data, tree_data, weight):
        """Out-of-bag prediction and score, and the calibration of the standard deviation."""
        sums, count = self._outside
        with np.errstate(invalid="ignore", divide="ignore"):
            mean, square = (sums / count[:, None, :, None]).transpose(1, 0, 2, 3)
        n_members = np.array([len(part) for part in self.member_weight_])
        prediction, spread, surplus = widths.judged(mean, square, count, (n_members, weight))
        few = tree_data.groups_judge and not tree_data.groups_are_levels
        if tree_data.groups_judge:  # one judge of each kind: their spread is not that of the members
            spread, surplus = np.zeros_like(spread), np.zeros_like(surplus)
        m, seen = prediction.shape[1], ~np.isnan(tree_data.y)
        known = ~np.isnan(prediction) & seen
        self._warn_of_few(known.sum(axis=0), seen.sum(axis=0))
        unsure, change = self._unknown(tree_data, known.any(axis=1))
        self.noise_std_, self.std_scale_ = np.zeros(m), np.zeros((2, m))
        self.gap_scale_ = np.ones((self.n_features_in_, m))
        for k in range(m):
            at = known[:, k]
            if at.sum() < 2:  # nothing to judge by: as uncertain as y spreads
                self.std_scale_[0, k] = 1.0
                continue
            error = np.full(len(at), np.nan)
            error[at] = widths.without_surplus(np.abs(prediction - tree_data.y)[at, k], surplus[at, k])
            complete = at & ~np.isnan(tree_data.X).any(axis=1)
            sure = complete if complete.sum() >= max(widths.FEW, at.sum() / 2) else at
            self.std_scale_[:, k] = widths.calibrate(
                error[sure], spread[sure, k], tree_data.weight[sure], tree_data.group[sure] if few else None
            )
            at = unsure[at[unsure]]
            base2 = self.std_scale_[0, k] ** 2 + (self.std_scale_[1, k] * spread[at, k]) ** 2
            self.gap_scale_[:, k] = unknown.factors(
                error[at] ** 2, base2, change[at, k], np.isnan(tree_data.X[at]), tree_data.weight[at]
            )
        self.level_bend_, self.level_error_ = levels.judge(
            tree_data.X,
            tree_data.y,
            tree_data.weight,
            self.std_scale_[0] ** 2,
            self.level_,
            self.level_start_,
            self._values,
        )
        self.noise_std_ = self.std_scale_[0] * self.y_unit_
        values = prediction * self.y_unit_ + self.y_shift_
        self.oob_score_ = np.nan
        known = ~np.isnan(values).any(axis=1) & ~np.isnan(data.table.y).all(axis=1)
        if known.sum() > 1:
            # In units of y's spread, whose squares do not overflow.
            self.oob_score_ = observed_r2_score(
                tree_data.y[known], prediction[known], sample_weight=tree_data.weight[known]
            )
        rows = np.full((len(data.row), m), np.nan)
        rows[data.row >= 0] = values[data.row[data.row >= 0]]
        self.oob_prediction_ = rows[:, 0] if self._n_outputs is None else rows

    def _warn_of_few(self, judged, measured):
        """Tell where so few rows are unseen by members of every kind that what is said of errors is worth little."""
        few = np.flatnonzero((judged < widths.FEW) & (measured > widths.FEW))
        if not len(few):
            return
        k = few[judged[few].argmin()]
        enough = mixture.enough(self.order, self.bootstrap)
        what = "oob_score_, oob_prediction_ and the standard deviations"
        warn(
            f"{what} rest on {judged[k]} of {measured[k]} rows, those that members of every kind have not seen; give "
            f"n_estimators={enough} or more, which leave out every row."
        )

    def _unknown(self, tree_data, judged):
        """What stands in for unknown features; training rows with some, and what the prediction then changes (n, m)."""
        self.stand_in_ = unknown.stand_ins(tree_data.X, tree_data.weight)
        change = np.zeros(tree_data.y.shape)
        rows = np.flatnonzero(judged & np.isnan(tree_data.X).any(axis=1))
        rows = rows[:: max(1, -(-len(rows) // unknown.JUDGED))]
        change[rows] = self._gaps(tree_data.X[rows])
        return rows, change

    def _gaps(self, X):
        """Mean squared change of the prediction, in units of y, where stand-ins fill unknown features."""
        return unknown.squares(X, self.stand_in_, self._values, len(self.y_shift_))

    def _values(self, X):
        return self._moments(X, squares=False)[0]

    # --- using the fitted forest

    @property
    def feature_importances_(self) -> _F8:
        """Share of the squares taken away by splits on each feature, (n_features,)."""
        check_is_fitted(self, "nodes_")
        gain = np.zeros(self.n_features_in_)
        for nodes in self.nodes_:
            inner = nodes[nodes["feature"] >= 0]
            gain += np.bincount(inner["feature"], inner["gain"], minlength=len(gain))
        return gain / gain.sum() if gain.sum() > 0 else gain

    def _groups(self):
        """(trees, member weights) of every kind of member."""
        m = len(self.y_shift_)
        for g, nodes in enumerate(self.nodes_):
            k = self.n_coordinates_[g]
            trees = Trees(
                nodes, self.tree_start_[g], self.leaves_[g], m, self.coordinate_[:k], self.x_shift_[:k],
                self.x_unit_[:k], self.n_squared_[g], self.rate_[g], self.member_start_[g],
            )  # fmt: skip
            yield trees, self.member_weight_[g]

    def _check_rows(self, X):
        check_is_fitted(self, "nodes_")
        check_forest(self)
        return check_rows(self, X, allow_nan=True)

    def _over_rows(self, function, X, axis=0):
        # A chunk at a time also lets Ctrl-C through.
        n_jobs = effective_n_jobs(self.n_jobs)
        slow = np.isnan(X).any() or np.count_nonzero(np.diff(getattr(self, "level_start_", [0]))) > 1
        size = min(SLOW_CHUNK if slow else CHUNK, max(-(-len(X) // n_jobs), MIN_CHUNK))
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
        X = self._check_rows(X)
        if not return_std:
            values = self._over_rows(self._values, X)
            return self._shaped(values * self.y_unit_ + self.y_shift_)
        mean, variance = self._over_rows(lambda rows: np.stack(self._mean_and_variance(rows)), X, axis=1)
        return self._shaped(mean * self.y_unit_ + self.y_shift_), self._shaped(np.sqrt(variance) * self.y_unit_)

    def _moments(self, X, squares=True):
        """Weighted sums of the members and of their squares, (n, m) each, in units of y; rows between levels."""
        clip = self.extrapolate == "clip"
        at, *gaps = self._between(X)
        plain = np.delete(X, at, axis=0) if len(at) else X
        parts = [trees.moments(plain, weight, clip, squares) for trees, weight in self._groups()]
        mean, square = sum(part[0] for part in parts), sum(part[1] for part in parts) if squares else None
        if len(at):
            parts = [trees.between(X[at], gaps, weight, clip) for trees, weight in self._groups()]
            rows = np.concatenate([np.delete(np.arange(len(X)), at), at]).argsort()
            mean = np.concatenate([mean, sum(part[0] for part in parts)])[rows]
            if squares:
                square = np.concatenate([square, sum(part[1] for part in parts)])[rows]
        return mean, square, (at, *gaps)

    def _mean_and_variance(self, X):
        mean, square, (at, low, high, *_) = self._moments(X)
        total = sum(weight.sum(axis=0) for _, weight in self._groups())
        spread2 = np.maximum(square * total - mean**2, 0.0)
        variance = self.std_scale_[0] ** 2 + self.std_scale_[1] ** 2 * spread2
        if len(at):
            variance[at] += levels.variance(X[at], low, high, self.level_error_)
        if hasattr(self, "stand_in_") and np.isnan(X).any():  # which forests of version 0.1 do not have
            scale = np.where(np.isnan(X)[:, :, None], self.gap_scale_, 0.0).max(axis=1)
            variance += scale**2 * self._gaps(X)
        return mean, variance

    def _between(self, X):
        """What ``levels.gaps`` says; nothing of a forest of version 0.1, which knows no levels."""
        start = getattr(self, "level_start_", np.zeros(X.shape[1] + 1, np.intp))
        return levels.gaps(X, *((self.level_, start, self.level_bend_) if start[-1] else (None, start, None)))

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
        X = self._check_rows(X)
        clip = self.extrapolate == "clip"

        def slopes(rows):
            found = sum(trees.slopes(rows, weight, clip, not smooth) for trees, weight in self._groups())
            at, *gaps = self._between(rows)
            if len(at):
                parts = [trees.between(rows[at], gaps, w, clip, True, not smooth) for trees, w in self._groups()]
                found[at] = sum(part[2] for part in parts)
            return found

        return self._shaped(self._over_rows(slopes, X) * self.y_unit_[:, None])

    def apply(self, X: ArrayLike) -> _I8:
        """The leaf of every tree that each row falls into.

        Returns
        -------
        leaves : ndarray of shape (n_samples, n_trees), node numbers counted from each tree's root.
        """
        X = self._check_rows(X)

        def leaves(rows):
            return np.concatenate([trees.apply(rows) for trees, _ in self._groups()], axis=1)

        return self._over_rows(leaves, X)

    def applicability(self, X: ArrayLike) -> _F8:
        """How far each row lies outside what was trained.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        distance : ndarray of shape (n_samples,)
            0 inside the range of every feature; otherwise the greatest excess, in units of that feature's range (of
            its size if it did not vary, of 1 if that is 0). Between the levels of a feature of few values the distance
            to the nearest. Unknown values count as inside.
        """
        X = self._check_rows(X)
        if np.isnan(self.x_min_).any() or np.isnan(self.x_max_).any():
            raise ValueError("x_min_ or x_max_ is NaN; the forest is damaged, fit it again.")
        beyond = excess(X, self.x_min_, self.x_max_)
        if not hasattr(self, "level_"):
            return beyond
        with np.errstate(over="ignore"):
            reach = np.maximum(self.x_max_ / 4 - self.x_min_ / 4, np.finfo(float).tiny) * 4
        return np.maximum(beyond, levels.distance(X, self.level_, self.level_start_, reach))

    def score(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Coefficient of determination over what was measured; see ``skmerge.metrics.observed_r2_score``."""
        check_same_rows(X, "y", y)
        check_same_rows(X, "sample_weight", sample_weight)
        return observed_r2_score(y, self.predict(X), sample_weight=sample_weight)
