"""MergedNetImputer: fills a sparse table, says how surely, and finds the entries that do not fit."""

import copy
import warnings
from dataclasses import asdict
from numbers import Integral

import numpy as np
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.callback import CallbackSupportMixin, with_callbacks
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted

from skmerge._digest import Digested
from skmerge._documentation import Documented
from skmerge._gaussian import conditional
from skmerge._gaussian.columns import FAR, Columns
from skmerge._gaussian.joint import Joint, cross_fitted, fit_joint, fit_linear
from skmerge._parameters import check_number, column_number, refuse, seed_of
from skmerge._progress import Stages, fitting
from skmerge._table import cells, faults, laws, roles, sources, stack
from skmerge._table.faults import Outlier
from skmerge._validation import excess

__all__ = ["MergedNetImputer", "Outlier"]

BEYOND = 4.0  # standard deviations that a prediction may be off one range beyond the table; a line rises by 3.5
FARTHEST_OUT = 10.0  # ranges beyond which a row is no further out
RARE = 0.25  # the same of a column of nearly one value: an element never seen makes a property as unsure as the column
FARTHEST = 4.0  # standard deviations; a property beyond counts as this far: one wrong entry must not set a covariance


class MergedNetImputer(
    Digested, Documented, CallbackSupportMixin, OneToOneFeatureMixin, TransformerMixin, BaseEstimator
):
    """Fills a sparse table: every column from all the others, never from itself.

    Columns that are mostly observed are descriptors, the sparse ones properties. The properties of a row are jointly
    normal: their means follow the descriptors smoothly (a Gaussian process with one kernel for all of them) and their
    errors are correlated, so each measured property corrects the others. Missing cells start at the mean and are
    iterated to the fixed point at which filling and fitting agree. In tables of up to 100 columns, forests
    (:class:`~skmerge.GradientForestRegressor`) learn each property from descriptors and other properties as well, and
    rows that neither has seen decide how much each of them counts.

    Parameters
    ----------
    properties : "auto" or list of columns, default="auto"
        Columns to learn as properties, by name or number; "auto": those with more than a fifth missing. All others
        are descriptors, whose missing entries are filled linearly from all other columns.
    inputs : dict or None, default=None
        ``{column: [columns]}``: the only columns, derived ones too, that a column may be predicted from.
    derived : dict or None, default=None
        ``{name: function}``: laws. A function of the table (n_samples, n_features) in the order of its columns, NaN
        where missing, returns a further descriptor (n_samples,), NaN where it does not know.
    relations : dict or None, default=None
        ``{column: function}``: laws of which a column is the sum and something to be learned. A function of the table
        (n_samples, n_features), NaN where missing and in the column itself, returns its value (n_samples,).
        Descriptors that are missing are filled first; where it still returns NaN, its mean stands in.
    source : column or None, default=None
        The column that says where a row comes from (simulation, experiment). A source may differ from the others by a
        smooth curve and scatter more, as far as rows left out show; a source of six rows counts as much in that as one
        of a thousand. Up to 50.
    log : "auto" or list of columns, default="auto"
        Positive columns to learn as logarithms; "auto" those over more than two decades, where that is ten times as
        likely.
    categorical : list of columns, default=()
        Columns whose numbers are codes: up to 50, or more whole ones with five cells each. Columns of words, of True
        and False and of pandas' categories need not be listed. A column most of whose cells are numbers and some are
        not is refused unless it is listed.
    bounds : dict or None, default=None
        ``{column: (low, high)}``: between what predictions stay. By default a column that is nowhere negative (or
        positive) keeps its sign, a tenth of its smallest entry being the limit; ``(None, None)`` lifts that.
    n_estimators : int, default=20
        Size of the forests; 0 leaves them out. Below six measured rows of a property it has none.
    damping : float in (0, 1], default=1.0
        Share of each step towards the fixed point that is taken.
    max_iter : int, default=300
    tol : float, default=0.01
        Greatest change of a fill, in standard deviations, at which the iteration ends.
    n_jobs : int or None, default=None
        Threads over forests; the result does not depend on it.
    random_state : int, RandomState instance or None, default=None
    verbose : int, default=0
        1 prints each stage of the fit, and what a long one is at. Scikit-learn's callbacks (``set_callbacks``) are told
        of the stages; a stop that one asks for leaves out the forests.

    Attributes
    ----------
    properties_ : ndarray of int
        Columns learned as properties.
    log_ : bool ndarray of shape (n_features,)
    ignored_ : ndarray of int
        Columns of names of rows: more than half of their words, or more than 50 with fewer than five cells each, are
        different. They are not learned and handed back as they are; a warning says so.
    left_out_, left_out_std_ : ndarray of shape (n_samples, n_features)
        Each cell of the training table predicted without itself (its group's rows are left out as well where it is a
        property), with standard deviation.
    outlier_scores_ : ndarray of shape (n_samples, n_features)
        How little each entry fits; NaN where missing. With d its distance from ``left_out_`` in standard deviations
        and d10 that of the entry with its decimal point one place off, ``max(d / 2, sqrt(d^2 - d10^2))``. Entries of
        columns that are mostly zero are compared with others that are not.
    weight_ : ndarray of shape (n_properties, 4)
        Share in each property of the joint normal distribution about constant means, of that about means that follow
        the descriptors, of forests of means and of mixed forests.
    source_distance_ : float
        How far apart the sources may be: 0.05, nearly one curve; 0.2; 0.8, curves of their own.
    source_noise_ : ndarray of shape (n_sources,)
        By how much each source, in the order of its codes, scatters more, in standard deviations of a property.
    source_scale_ : ndarray of shape (n_sources, n_properties)
        Factor of the standard deviations of each property in rows of each source, by its rows left out: what makes 90 %
        of them lie within 1.645, wider where they are few; one for all properties of a source that has fewer than ten
        cells of the property.
    range_ : ndarray of shape (1 + n_properties, 2, n_features)
        Least and greatest entry of each column, of all rows and of those where each property was measured.
    is_graded_ : bool ndarray of shape (1 + n_properties, n_features)
        Whether more than a tenth of the entries differ from the common one to either side, in the same rows.
    explained_ : ndarray
        Share of the variance of each standardised column that the others explain; beyond the table they may not.
    std_scale_ : ndarray of shape (n_features,)
        Factor that makes 90 % of the training entries lie within 1.645 standard deviations of ``left_out_``; of
        descriptors at least their root mean squared distance.
    n_iter_ : int
    change_ : float
        Change of a fill in the last iteration.
    n_features_in_, feature_names_in_ : as in scikit-learn

    Examples
    --------
    >>> import numpy as np
    >>> from skmerge import MergedNetImputer
    >>> a = np.arange(1.0, 31.0)
    >>> X = np.column_stack([a, 3 * a])
    >>> X[4, 1] = np.nan
    >>> MergedNetImputer([1], random_state=0).fit(X).transform(X)[4].round(1)
    array([ 5., 15.])
    """

    def __init__(
        self,
        properties="auto",
        *,
        inputs=None,
        derived=None,
        relations=None,
        source=None,
        log="auto",
        categorical=(),
        bounds=None,
        n_estimators=20,
        damping=1.0,
        max_iter=300,
        tol=0.01,
        n_jobs=None,
        random_state=None,
        verbose=0,
    ):
        self.properties = properties
        self.inputs = inputs
        self.derived = derived
        self.relations = relations
        self.source = source
        self.log = log
        self.categorical = categorical
        self.bounds = bounds
        self.n_estimators = n_estimators
        self.damping = damping
        self.max_iter = max_iter
        self.tol = tol
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True  # words
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    # --- fitting

    @with_callbacks
    def fit(self, X, y=None, groups=None, error=None):
        """Learn the table.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)
            NaN where missing; words are allowed. Of a data frame, ``groups`` and ``error`` must have the index, and
            ``error`` the columns, if they have any.
        y : ignored
        groups : array-like of shape (n_samples,), default=None
            Rows that belong together, such as those of one composition: errors are judged on groups that are left
            out whole. Without, each distinct row is its own.
        error : array-like of shape (n_features,) or (n_samples, n_features), default=None
            Standard deviations of the measurements in the columns' units, NaN or 0 where unknown. Those of
            descriptors count where others are filled from them, not in the kernel.

        Returns
        -------
        self
        """
        roles.check_parameters(self)
        cells.check_beside(X, groups, error)
        data = {"X": X, "y": y, "metadata": {"groups": groups, "error": error}}
        with fitting(self, data) as task:
            self._fit(X, groups, error, Stages(task))
        return self

    def _fit(self, X, groups, error, stages):
        self.index_ = cells.index_of(X)
        X = cells.check_table(self, X, reset=True)
        n, d = X.shape
        seed = seed_of(self.random_state)
        # Rows in an order of their own: the order given does not matter, and copies are one group.
        row = np.unique(np.where(np.isnan(X), np.inf, X), axis=0, return_inverse=True)[1].ravel()
        order = np.argsort(row, kind="stable")
        groups = row if groups is None else cells.check_groups(groups, n)
        X_given, X, groups = X, X[order], np.unique(groups[order], return_inverse=True)[1]
        error = None if error is None else cells.check_error(error, X_given)[order]
        roles.check_ignored(self)
        roles.check_derived(self)
        codes = roles.codes_of(self, X)
        relations = laws.relations_of(self, self.relations)
        told = laws.related(relations, X)
        for j in relations:
            if j in codes:
                raise ValueError(f"relations[{j}]: the column is categorical; only numbers can follow a law.")
            if np.isnan(X[:, j] - told[:, j]).all():
                raise ValueError(f"relations[{j}] returned NaN in every row where the column is measured.")
        bits = [j for j in codes if cells.is_truth(self.words_.get(self.get_feature_names_out()[j], [None]))]
        columns = Columns(self, X - told, self.log, codes, self.bounds, told, bits)
        self.relation_mean_ = np.nanmean(told, axis=0)
        self.columns_, self.log_ = vars(columns), columns.log
        self.properties_ = roles.properties_of(self, X, columns)
        self.range_, self.is_graded_ = roles.measured_ranges(X, self.properties_)
        z = self._standardise(X)
        if error is not None:
            error = columns.error_units(error, X, z.shape[1])
        stages(f"{n} rows, {len(self.properties_)} properties, {d - len(self.properties_)} descriptors")
        options = {"damping": self.damping, "max_iter": self.max_iter, "tol": self.tol, "progress": stages}
        held = np.clip(z, -FAR, FAR)
        self.linear_ = fit_linear(held, error, **options)
        self.allowed_, self._restricted = roles.allowed(self, columns.owner, z.shape[1])
        numbers = np.flatnonzero(~np.isin(columns.owner, self.properties_))
        self.descriptor_ = np.concatenate([numbers, np.arange(len(columns.owner), z.shape[1])])
        self.feature_linear_ = fit_linear(held[:, self.descriptor_], None, **options)
        self.explained_ = np.zeros(z.shape[1])
        if self.linear_ is not None:
            self.explained_ = np.clip(1.0 - 1.0 / np.diag(np.linalg.inv(self.linear_["covariance"])), 0.0, 1.0)
        stages(f"{z.shape[1]} columns of numbers filled linearly")
        self._fit_properties(z, groups, error, options, seed, stages)
        self._calibrate(X, z, error, stages)
        for name in ("left_out_", "left_out_std_", "outlier_scores_"):
            setattr(self, name, getattr(self, name)[np.argsort(order)])
        self.table_ = X_given

    def _fit_properties(self, z, groups, error, options, seed, stages):
        at, linear = self._at, self.linear_ or {"n_iter": 1, "change": 0.0}
        self.n_iter_, self.change_ = linear["n_iter"], linear["change"]
        self.joints_, self.forests_ = [], []
        self.weight_, self.variance_ = np.empty((0, 4)), np.empty((0, 3))
        self.source_distance_, self.source_noise_, self.source_scale_ = 0.0, np.zeros(0), np.zeros((0, 0))
        self._unseen = None
        if not len(at):
            return
        own = None if error is None else error[:, at]
        near = np.clip(z[:, at], -FARTHEST, FARTHEST)
        fold_of = stack.folds(groups, seed)
        if self.source is None:
            joints = fit_joint(near, self._features(z), groups, None, own, **options)
        else:
            code = self._source_code(z)
            joints, *found = sources.fit(near, lambda d: self._features(z, d), groups, code, own, **options)
            self.source_distance_, self.source_noise_ = found
            own = sources.with_noise(own, self.source_noise_, code, near.shape)
            self.source_scale_ = np.ones((len(self.source_noise_), len(at)))
        features, joint = self._features(z), joints[-1]
        self.n_iter_, self.change_ = joint.n_iter, joint.change
        if not joint.change < self.tol:
            warnings.warn(
                f"the fills still change by {joint.change:.2g} standard deviations after {joint.n_iter} iterations; "
                "raise max_iter, or lower damping if they oscillate.",
                ConvergenceWarning,
                stacklevel=4,
            )
        # Variances by the fit that will predict, so that widths mean the same for new rows: those of the folds are
        # greater, and widths fitted to them too narrow for the former (0.79 to 0.95 times, on alloys).
        flat, scatter = np.zeros(near.shape), self._noise_of(z)
        base = [
            (
                cross_fitted(joint, near, features, groups, fold_of, None, own, stages)[0],
                joint.left_out(near, flat, own)[1] + (0.0 if scatter is None else scatter**2),
            )
            for joint in joints
        ]
        self.joints_ = [asdict(joint) for joint in joints]
        self._restrict(base, *self._linear(z, error, at))
        stages(f"joint distribution after {joint.n_iter} iterations")
        n_estimators = 0 if stages.stopped else self.n_estimators
        stage = stack.fit(z, at, self._inputs_of(at, z.shape[1]), base, fold_of, own, n_estimators, seed, self.n_jobs,
                          stages)  # fmt: skip
        self.forests_, self.weight_, self.variance_, self._unseen = stage
        self.explained_[at] = np.clip(1.0 - np.median(self._unseen[1], axis=0), 0.0, 1.0)

    def _calibrate(self, X, z, error, stages):
        """Left-out predictions of the training table, and the factors that make their intervals hold 90 %."""
        values, std = self._expected(X, z, error, self._unseen, stages)
        self.std_scale_ = faults.std_scale(X, values, std, self.columns_["levels"], self.properties_)
        if self.source is not None and len(self._at):
            ratio = ((X - values) / (std * self.std_scale_))[:, self.properties_]
            self.source_scale_ = sources.scale(ratio, self._source_code(z), len(self.source_noise_))
            values, std = self._expected(X, z, error, self._unseen, stages)
        scale = self.std_scale_ * faults.rarity(X, values, std * self.std_scale_)
        score = faults.scores(X, values, std, scale, self.log_, self.columns_["levels"])
        worst = faults.worst(score, self.columns_["levels"])
        if worst.any():  # the others of its row are not blamed for an entry that is wrong
            without = z.copy()
            owner = self.columns_["owner"]
            without[:, : len(owner)][worst[:, owner]] = np.nan
            codes = score.copy()
            values, std = self._expected(X, without, error, self._unseen, stages)
            score = faults.scores(X, values, std, scale, self.log_, self.columns_["levels"], codes)
        del self._unseen
        std = std * self.std_scale_
        for table in (score, values, std):
            table[:, self.ignored_] = np.nan
        self.outlier_scores_, self.left_out_, self.left_out_std_ = score, values, std

    # --- prediction

    def transform(self, X, return_std=False):
        """Fill the missing cells; what was measured stays.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)
        return_std : bool, default=False

        Returns
        -------
        X : ndarray, or data frame after ``set_output`` or if it has columns of words
            Float32 stays float32.
        std : ndarray or data frame, as X, of shape (n_samples, n_features)
            Only with ``return_std``: of the filled cells, 0 where measured; of a category, the square root of the
            chance that it is another.
        """
        given, X = X, self._check(X)
        missing = np.isnan(X)
        filled, std = X.copy(), np.zeros(X.shape)
        rows = np.flatnonzero(missing.any(axis=1))
        if len(rows):
            values, spread = self._sound(X[rows], missing[rows])
            filled[rows] = np.where(missing[rows], values, X[rows])
            std[rows] = np.where(missing[rows], spread, 0.0)
        if self.words_ or len(self.ignored_):
            filled = cells.with_words(self, given, filled)
        elif getattr(given, "dtype", None) == np.float32:
            filled, std = filled.astype(np.float32), std.astype(np.float32)
        shown = self._in_form(given, std)
        if cells.is_frame(filled):
            if cells.is_frame(shown):  # of pandas where polars was given, or the other way round
                filled = cells.frame_of(type(shown), filled)
            else:
                shown = cells.frame_like(filled, std)
        return (filled, shown) if return_std else filled

    def predict_entries(self, X, return_std=False):
        """Every cell from the other cells of its row, measured or not.

        Rows of the training table have been seen: for these use ``left_out_``.

        Returns
        -------
        expected : ndarray of shape (n_samples, n_features)
            Codes for columns of words.
        std : ndarray of shape (n_samples, n_features)
            Only with ``return_std``.
        """
        X = self._check(X)
        values, std = self._sound(X, True)
        values[:, self.ignored_], std[:, self.ignored_] = np.nan, np.nan
        return (values, std) if return_std else values

    def applicability(self, X):
        """How far each row lies outside what was trained.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)

        Returns
        -------
        distance : ndarray of shape (n_samples,)
            0 inside the range of every column of numbers; otherwise the greatest excess, in units of that column's
            range (of its size if it did not vary). Unknown cells count as inside.
        """
        return self._excess(self._check(X))

    def outliers(self, n_max=20, columns=None):
        """Entries of the training table that fit least, the worst first; of some columns only, by name or number.

        Returns
        -------
        list of Outlier
            ``row``, the position in the table counted from 0, and ``label``, what a data frame's index calls it (the
            position where there is none), column name, value, expected value, its standard deviation, and
            ``outlier_scores_``.
        """
        check_is_fitted(self)
        check_number("n_max", n_max, Integral, 1)
        score = np.nan_to_num(self.outlier_scores_, nan=-1.0)
        if columns is not None:
            if isinstance(columns, str) or not np.iterable(columns):
                refuse("columns", columns, "give a list of columns")
            shown = [column_number(self, column, "columns") for column in columns]
            score[:, np.setdiff1d(np.arange(score.shape[1]), shown)] = -1.0
        names = self.get_feature_names_out()
        found = []
        for place in np.argsort(-score, axis=None, kind="stable")[:n_max]:
            i, j = (int(k) for k in np.unravel_index(place, score.shape))
            if score[i, j] < 0:
                break
            value, expected = (self._word(j, table[i, j]) for table in (self.table_, self.left_out_))
            label = i if self.index_ is None else self.index_[i]
            std = float(self.left_out_std_[i, j])
            found.append(Outlier(i, label, str(names[j]), value, expected, std, float(score[i, j])))
        return found

    def score(self, X, y=None):
        """R2 of the measured properties (of all columns, if there are none), each predicted without itself."""
        from skmerge.metrics import observed_r2_score

        table = self._check(X)
        which = self.properties_ if len(self.properties_) else np.arange(table.shape[1])
        return observed_r2_score(table[:, which], self.predict_entries(X)[:, which])

    # --- helpers

    def _in_form(self, given, values):
        """An array, or the data frame of it that ``set_output`` asks for."""
        form = copy.copy(self)
        form.__class__ = _Form
        return form.transform(given, values)

    def _check(self, X):
        check_is_fitted(self)
        return cells.check_table(self, X, reset=False)

    @property
    def _at(self):
        """Standardised columns of the properties; each has one."""
        owner = self.columns_["owner"]
        return np.flatnonzero(np.isin(owner, self.properties_))

    def _standardise(self, X):
        """Standardised columns, those of a category and derived ones included."""
        relations = laws.relations_of(self, self.relations)
        z = Columns.restored(self.columns_).standardise(X - laws.related(relations, X) if relations else X)
        extra = laws.derived_columns(self.derived, X)
        if not extra.shape[1]:
            return z
        if "derived_" not in self.columns_:
            if np.isnan(extra).all(axis=0).any():
                name = list(self.derived)[np.isnan(extra).all(axis=0).argmax()]
                raise ValueError(f"derived[{name!r}] returned NaN in every row; leave it out or mend the function.")
            center, unit = np.nanmean(extra, axis=0), np.nanstd(extra, axis=0)
            self.columns_ = {**self.columns_, "derived_": np.array([center, np.where(unit > 0, unit, 1.0)])}
        center, unit = self.columns_["derived_"]
        return np.hstack([z, (extra - center) / unit])

    def _source_code(self, z):
        """Number of each row's source, -1 where unknown."""
        block = np.flatnonzero(self.columns_["owner"] == column_number(self, self.source, "source"))
        known = (z[:, block] == 1).any(axis=1)
        return np.where(known, (z[:, block] == 1).argmax(axis=1), -1)

    def _features(self, z, distance=None):
        """Descriptors for the kernel, complete and within five standard deviations."""
        fitted = self.feature_linear_ or {"mean": np.zeros(len(self.descriptor_)), "covariance": np.empty((0, 0))}
        features = conditional.fill(fitted["mean"], fitted["covariance"], np.clip(z[:, self.descriptor_], -FAR, FAR))
        owner = np.concatenate([self.columns_["owner"], np.full(z.shape[1] - len(self.columns_["owner"]), -1)])
        numbers = self.columns_["bits"] | [levels is None for levels in self.columns_["levels"]]
        raw = [numbers[j] if j >= 0 else True for j in owner[self.descriptor_]]
        center, unit = self.columns_["center"], self.columns_["unit"]
        plain = owner[self.descriptor_]
        if np.all(raw) and (plain >= 0).all():  # bits, if they are, in their own units
            bits = features * unit[plain] + center[plain]
            if not self.log_[plain].any() and (np.isclose(bits, 0) | np.isclose(bits, 1)).all():
                return np.round(bits)
        features = np.clip(features, -5.0, 5.0)
        if self.source is not None:
            own = plain == column_number(self, self.source, "source")
            features[:, own] *= self.source_distance_ if distance is None else distance
        return features

    def _noise_of(self, z):
        """Scatter of the rows' sources, (n, n_properties); None without."""
        if self.source is None:
            return None
        return sources.with_noise(None, self.source_noise_, self._source_code(z), (len(z), len(self._at)))

    def _linear(self, z, error, wanted, stages=None):
        """Expectation and variance of standardised columns from all allowed ones."""
        if not len(wanted):
            return np.empty((len(z), 0)), np.empty((len(z), 0))
        if self.linear_ is None:
            return np.zeros((len(z), len(wanted))), np.ones((len(z), len(wanted)))
        near = np.clip(z, -FAR, FAR)
        expected, variance = Joint(**self.linear_).left_out(near, np.zeros(z.shape), error, self.allowed_, stages)
        return expected[:, wanted], variance[:, wanted]

    def _restrict(self, base, linear, variance):
        """Columns with inputs of their own come from the linear fill of these."""
        own = np.isin(self._at, self._restricted)
        for expected, spread in base:
            expected[:, own], spread[:, own] = linear[:, own], variance[:, own]

    def _expected(self, X, z, error=None, unseen=None, stages=None):
        """Each cell without itself, in the table's units, and its uncalibrated standard deviation."""
        columns, at = Columns.restored(self.columns_), self._at
        owner = columns.owner
        expected, variance = self._linear(z, error, np.arange(z.shape[1]), stages)
        if len(at):
            if unseen is None:
                joints, features = [Joint(**arrays) for arrays in self.joints_], self._features(z)
                near = np.clip(z[:, at], -FARTHEST, FARTHEST)
                scatter = self._noise_of(z)
                base = [joint.left_out(near, joint.smooth(features), scatter) for joint in joints]
                if scatter is not None:
                    base = [(expected, variance + scatter**2) for expected, variance in base]
                self._restrict(base, expected[:, at], variance[:, at])
                unseen = stack.predict(self.forests_, self.weight_, self.variance_, z, at,
                                        self._inputs_of(at, z.shape[1]), base)  # fmt: skip
            expected[:, at], variance[:, at] = unseen
            variance[:, at] += self._unsure(z, stages)
        if stages is None:  # what the other cells explain of a column within the table they may not beyond it
            e = self._beyond(X, z.shape[1])
            scale = np.append(self.std_scale_[owner], np.ones(z.shape[1] - len(owner)))  # by which it is multiplied
            variance += (BEYOND * e * (1.0 + e) / scale) ** 2 * self.explained_
        told = self._told_by_relations(X, columns, expected)
        values, std = np.empty(X.shape), np.empty(X.shape)
        for j in range(X.shape[1]):
            block = np.flatnonzero(owner == j)
            values[:, j], std[:, j] = columns.restore(j, expected[:, block], np.sqrt(variance[:, block]), told[:, j])
        if self.source is not None and len(at):
            known = np.vstack([self.source_scale_, np.ones(len(at))])  # -1, an unknown source, is the last
            std[:, self.properties_] *= known[self._source_code(z)]
        return values, np.maximum(std, 1e-12 * np.maximum(1.0, np.abs(columns.center)))

    def _sound(self, X, wanted):
        """Each cell without itself and its standard deviation, numbers where they are wanted."""
        values, std = self._expected(X, self._standardise(X))
        std = std * self.std_scale_
        if not (np.isfinite(values) & np.isfinite(std) | ~np.asarray(wanted)).all():
            raise ValueError("the expected entries are not finite: the imputer is damaged, fit it again.")
        return values, std

    def _unsure(self, z, stages=None):
        """What missing descriptors add to the variance of the properties, (n, n_properties); not to that of bits."""
        joint, near = Joint(**self.joints_[-1]), np.clip(z[:, self._at], -FARTHEST, FARTHEST)
        if not len(joint.weight) or not joint.length or self.feature_linear_ is None:
            return 0.0

        descriptors, covariance = z[:, self.descriptor_], self.feature_linear_["covariance"]
        filled = conditional.fill(self.feature_linear_["mean"], covariance, descriptors)

        def predict(rows, moves):
            whole = z[rows]
            whole[:, self.descriptor_] = filled[rows] + moves
            return joint.left_out(near[rows], joint.smooth(self._features(whole)))[0]

        # Forests are taken to follow descriptors as the kernel does; columns of own inputs have their own variance.
        follows = np.where(np.isin(self._at, self._restricted), 0.0, 1.0 - self.weight_[:, 0])
        return follows**2 * conditional.variance_of(covariance, descriptors, predict, stages)

    def _excess(self, X, p=0, graded=None):
        """As ``applicability``, p: of the ranges of all rows or those of a property; codes have no range."""
        levels = self.columns_["levels"]
        known = np.array([codes is None and j not in self.ignored_ for j, codes in enumerate(levels)])
        known &= True if graded is None else self.is_graded_[p] == graded
        low, high = self.range_[p]
        return excess(X[:, known], low[known], high[known]) if known.any() else np.zeros(len(X))

    def _beyond(self, X, width):
        """How far each row is beyond what each standardised column was learned from, (n, width)."""
        e = [
            np.maximum(np.minimum(self._excess(X, p, True), FARTHEST_OUT), np.minimum(self._excess(X, p, False), RARE))
            for p in range(len(self.range_))
        ]
        e = np.column_stack(e)
        out = np.repeat(e[:, :1], width, axis=1)
        out[:, self._at] = e[:, 1:]
        return out

    def _told_by_relations(self, X, columns, expected):
        """What the relations say, (n, d), with missing descriptors filled; their mean where they do not know."""
        relations = laws.relations_of(self, self.relations)
        if not relations:
            return np.zeros(X.shape)
        filled = X.copy()
        for j in np.flatnonzero(np.isnan(X).any(axis=0)):
            if j not in self.properties_ and j not in relations:
                block = expected[:, np.flatnonzero(columns.owner == j)]
                filled[:, j] = np.where(np.isnan(X[:, j]), columns.restore(j, block, 0.0 * block)[0], X[:, j])
        told = laws.related(relations, filled)
        return np.where(np.isnan(told), self.relation_mean_, told)

    def _word(self, j, code):
        name = str(self.get_feature_names_out()[j])
        return self.words_[name][int(code)] if name in self.words_ else float(code)

    def _inputs_of(self, at, width):
        """Standardised columns that the forest of each property may see."""
        return [np.flatnonzero(self.allowed_[k] & (np.arange(width) != k)) for k in at]


class _Form(MergedNetImputer):
    """Hands on an array, to which scikit-learn then gives the form that ``set_output`` asked for."""

    def transform(self, X, values):
        return values
