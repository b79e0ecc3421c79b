"""MergedNetImputer: fills a sparse table with standard deviations, and finds the entries that do not fit."""

import copy
from collections.abc import Callable, Mapping, Sequence
from numbers import Integral, Real
from typing import Any, Literal, Self, TypeAlias, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.callback import CallbackSupportMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from skmerge._digest import Digested
from skmerge._parameters import ColumnNames, check_n_jobs, check_number, check_verbose, raise_invalid, seed_of
from skmerge._progress import Stages, fitting, with_callbacks
from skmerge._table import cells, laws, roles
from skmerge._table.entries import Entries
from skmerge._table.faults import Outlier
from skmerge._table.model import Layout, TableModel
from skmerge._table.ranges import Ranges
from skmerge._table.units import Units
from skmerge._text import cells_of
from skmerge._validation import check_features, check_groups, check_observed, naming
from skmerge.metrics import observed_r2_score

_F8: TypeAlias = NDArray[np.float64]

__all__ = ["MergedNetImputer", "Outlier"]


class MergedNetImputer(Digested, CallbackSupportMixin, OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Fills a sparse table: every column from all the others, never from itself.

    Columns that are mostly observed are descriptors, the sparse ones properties. The properties of a row are jointly
    normal: their means follow the descriptors smoothly (a Gaussian process with one kernel for all of them) and their
    errors are correlated, so each measured property corrects the others. Missing cells start at the mean and are
    iterated to the fixed point at which filling and fitting agree. In tables of up to 100 columns, forests
    (:class:`~skmerge.GradientForestRegressor`) also learn each property from descriptors and other properties. Rows
    that neither has seen decide the weight of each.

    Parameters
    ----------
    properties : "auto" or list of columns, default="auto"
        Columns to learn as properties, by name or number; "auto": those with more than a fifth missing. All others
        are descriptors, whose missing entries are filled linearly from all other columns.
    inputs : dict or None, default=None
        ``{column: [columns]}``: the only columns, derived ones too, that a column may be predicted from.
    derived : dict or None, default=None
        ``{name: function}``: laws. A function of the table (n_samples, n_features) in the order of its columns, NaN
        where missing, returns a further descriptor (n_samples,), NaN where it has no value.
    relations : dict or None, default=None
        ``{column: function}``: laws that a column follows up to a remainder, which is learned. A function of the
        table (n_samples, n_features), NaN where missing and in the column itself, returns its value (n_samples,).
        Missing descriptors are filled first. Where it still returns NaN, the mean of its values replaces it.
    source : column or None, default=None
        The column that says where a row comes from (simulation, experiment). A source may differ from the others by a
        smooth curve and scatter more, as far as rows left out show; a source of six rows counts as much in that as one
        of a thousand. Up to 50.
    log : "auto" or list of columns, default="auto"
        Positive columns to learn as logarithms; "auto" those over more than two decades, where that is ten times as
        likely.
    categorical : list of columns, default=()
        Columns whose numbers are codes: up to 50, or more whole ones with five cells each. Columns of words, of True
        and False and of pandas' categories need not be listed. A column with mostly numbers and some words
        raises an error unless it is listed.
    bounds : dict or None, default=None
        ``{column: (low, high)}``: bounds of predictions. By default a column that is nowhere negative (or positive)
        keeps its sign, and a tenth of its smallest entry is the limit; ``(None, None)`` removes that.
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
        1 prints each stage of the fit, and the progress of a long one. Scikit-learn's callbacks (``set_callbacks``)
        receive the stages as tasks; if one asks to stop, the forests are left out.

    Attributes
    ----------
    properties_ : ndarray of int
        Columns learned as properties.
    log_ : bool ndarray of shape (n_features,)
    ignored_ : ndarray of int
        Columns of names of rows, with more different words than half their cells, or more than 50 with fewer than 20
        cells each. They are not learned and are returned as they are; a warning says so.
    left_out_, left_out_std_ : ndarray of shape (n_samples, n_features)
        Each cell of the training table predicted without itself (its group's rows are left out as well where it is a
        property), with standard deviation.
    outlier_scores_ : ndarray of shape (n_samples, n_features)
        Great where an entry does not fit; NaN where missing. With d its distance from ``left_out_`` in standard
        deviations and d10 that of the entry with its decimal point moved by one place, ``max(d / 2, sqrt(d^2 -
        d10^2))``. Nonzero entries of columns that are mostly zero are compared with each other.
    weight_ : ndarray of shape (n_properties, 4)
        Share in each property of the joint normal distribution about constant means, of that about means that follow
        the descriptors, of forests of means and of mixed forests.
    source_distance_ : float
        How far apart the sources may be: 0.05, nearly one curve; 0.2; 0.8, curves of their own.
    source_noise_ : ndarray of shape (n_sources,)
        Additional scatter of each source, in the order of its codes, in standard deviations of a property.
    source_scale_ : ndarray of shape (n_sources, n_properties)
        Factor of the standard deviations of each property in rows of each source, which makes 90 % of its rows left out
        lie within 1.645; wider where they are few. A source with fewer than ten cells of a property has one factor for
        all properties.
    range_ : ndarray of shape (1 + n_properties, 2, n_features)
        Least and greatest entry of each column, of all rows and of those where each property was measured.
    is_graded_ : bool ndarray of shape (1 + n_properties, n_features)
        Whether more than a tenth of the entries differ from the common one to either side, in the same rows.
    explained_ : ndarray
        Share of the variance of each standardised column that the others explain within the table.
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

    properties_: NDArray[np.intp]
    ignored_: NDArray[np.intp]
    log_: NDArray[np.bool_]
    left_out_: _F8
    left_out_std_: _F8
    outlier_scores_: _F8
    weight_: _F8
    source_distance_: float
    source_noise_: _F8
    source_scale_: _F8
    std_scale_: _F8
    range_: _F8
    is_graded_: NDArray[np.bool_]
    explained_: _F8
    n_iter_: int
    change_: float
    n_features_in_: int
    feature_names_in_: NDArray[np.object_]

    def __init__(
        self,
        properties: Literal["auto"] | Sequence[str | int] = "auto",
        *,
        inputs: Mapping[Any, Sequence[str | int]] | None = None,
        derived: Mapping[str, Callable[[_F8], ArrayLike]] | None = None,
        relations: Mapping[Any, Callable[[_F8], ArrayLike]] | None = None,
        source: str | int | None = None,
        log: Literal["auto"] | Sequence[str | int] = "auto",
        categorical: Sequence[str | int] = (),
        bounds: Mapping[Any, Sequence[float | None]] | None = None,
        n_estimators: int = 20,
        damping: float = 1.0,
        max_iter: int = 300,
        tol: float = 0.01,
        n_jobs: int | None = None,
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
    ) -> None:
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
    def fit(
        self, X: ArrayLike, y: object = None, groups: ArrayLike | None = None, error: ArrayLike | None = None
    ) -> Self:
        """Learn the table.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)
            NaN where missing; words are allowed. If it is a data frame, ``groups`` and ``error`` must have its index,
            and ``error`` its columns, if they have any.
        y : ignored
        groups : array-like of shape (n_samples,), default=None
            Rows that belong together, such as those of one composition: errors are estimated by leaving out whole
            groups. By default each distinct row is a group.
        error : array-like of shape (n_features,) or (n_samples, n_features), default=None
            Standard deviations of the measurements in the columns' units, NaN or 0 where unknown. Those of
            descriptors count where others are filled from them, not in the kernel.

        Returns
        -------
        self
        """
        self._check_parameters()
        cells.check_beside(X, groups, error)
        with fitting(self, {"X": X, "y": y, "metadata": {}}) as task:  # callbacks hand metadata on to scorers
            self._fit(X, groups, error, Stages(task))
        return self

    def _check_parameters(self):
        check_number("n_estimators", self.n_estimators, Integral, 0)
        check_number("max_iter", self.max_iter, Integral, 1)
        check_number("tol", self.tol, Real, 0)
        check_number("damping", self.damping, Real, 1e-3, 1.0)
        for name in ("inputs", "derived", "relations", "bounds"):
            if not (getattr(self, name) is None or isinstance(getattr(self, name), dict)):
                raise_invalid(name, getattr(self, name), "give None or a dict")
        check_n_jobs(self.n_jobs)
        check_verbose(self.verbose)
        lists = {"properties": self.properties, "log": self.log, "categorical": self.categorical}
        lists |= {f"inputs[{column!r}]": names for column, names in (self.inputs or {}).items()}
        for name, value in lists.items():
            auto = name in ("properties", "log") and isinstance(value, str)  # "auto" is checked where it is used
            if not auto and (isinstance(value, str) or not np.iterable(value)):
                raise_invalid(name, value, "give a list of columns")

    def _fit(self, X, groups, error, stages):
        self.index_ = cells.index_of(X)
        X = self._read(X)
        n, d = X.shape
        seed, names = seed_of(self.random_state), ColumnNames.of(self)
        # Rows are sorted, so that the order given does not matter; copies are one group.
        row = np.unique(np.where(np.isnan(X), np.inf, X), axis=0, return_inverse=True)[1].ravel()
        order = np.argsort(row, kind="stable")
        groups = row if groups is None else check_groups(groups, n)
        X_given, X, groups = X, X[order], np.unique(groups[order], return_inverse=True)[1]
        error = None if error is None else cells.check_error(error, X_given)[order]
        units = self._learn_units(names, X)
        columns, properties = units.columns, roles.properties_of(names, self.properties, X, units.columns)
        z = units.standardise(X)
        error = None if error is None else units.error(error, X)
        stages(f"{n} rows, {len(properties)} properties, {d - len(properties)} descriptors")
        options = {"damping": self.damping, "max_iter": self.max_iter, "tol": self.tol, "progress": stages}
        source = None if self.source is None else names.number(self.source, "source")
        layout = Layout.of(columns, z.shape[1], properties, source)
        may = roles.allowed(names, self.inputs or {}, layout.owner, list(self.derived or {}))
        model = TableModel.fit_linear(layout, z, error, *may, options)
        linear, explained, unseen = model.linear or {"n_iter": 1, "change": 0.0}, np.zeros(z.shape[1]), None
        self.n_iter_, self.change_ = linear["n_iter"], linear["change"]
        if model.linear is not None:
            explained = np.clip(1.0 - 1.0 / np.diag(np.linalg.inv(linear["covariance"])), 0.0, 1.0)
        stages(f"{z.shape[1]} columns of numbers filled linearly")
        if len(properties):
            unseen, joint = model.fit_properties(z, groups, error, self.n_estimators, seed, self.n_jobs, options)
            self.n_iter_, self.change_ = joint.n_iter, joint.change
            explained[layout.at] = np.clip(1.0 - np.median(unseen.variance, axis=0), 0.0, 1.0)
        ranges = Ranges.learn(X, properties, self._numbers(columns.levels))
        entries = Entries(units, model, ranges, properties, explained)
        tables = entries.calibrate(X, z, error, unseen, stages)
        for name, table in zip(("left_out_", "left_out_std_", "outlier_scores_"), tables, strict=True):
            table[:, self.ignored_] = np.nan
            setattr(self, name, table[np.argsort(order)])
        self.properties_, self.table_ = properties, X_given
        self._store(entries)

    def _read(self, X):
        """The training table as numbers; the words of its columns and the numbers of those that are names of rows."""
        columns = list(getattr(X, "columns", ()))
        self.words_, ignored = {}, []
        if len(set(columns)) == len(columns):  # else the check below raises
            source = [] if self.source is None else [self.source]
            declared = {name for name in [*self.categorical, *source] if isinstance(name, (str, Integral))}
            with naming("X", give=""):
                X, self.words_, ignored = cells.read_words(X, declared)
        self.ignored_ = np.array(ignored, dtype=int)
        X = check_features(self, X)
        check_observed(self, X)
        return X

    def _learn_units(self, names, X):
        asked = {"properties": self.properties, "log": self.log, "bounds": self.bounds, "relations": self.relations}
        asked |= {"inputs": self.inputs} | {f"inputs[{name!r}]": given for name, given in (self.inputs or {}).items()}
        roles.check_ignored(names, self.ignored_, asked)
        derived = self.derived or {}
        roles.check_derived(names, derived)
        codes = roles.codes_of(names, X, self.categorical, self.source, self.words_)
        bits = [j for j in codes if cells.is_truth(self.words_.get(names[j], [None]))]
        relations = laws.relations_of(names, self.relations)
        return Units.learn(names, X, codes, bits, self.log, self.bounds, relations, derived)

    def _numbers(self, levels):
        """Which columns are numbers, not codes or names of rows."""
        return np.array([codes is None and j not in self.ignored_ for j, codes in enumerate(levels)])

    def _store(self, entries):
        units, ranges = entries.units, entries.ranges
        self.columns_, self.log_, self.relation_mean_ = units.arrays(), units.columns.log, units.relation_mean
        self.range_, self.is_graded_, self.explained_ = ranges.ranges, ranges.graded, entries.explained
        self.std_scale_, self.source_scale_ = entries.std_scale, entries.source_scale
        vars(self).update(entries.model.arrays())

    def _entries(self):
        """What was stored, as one object."""
        names = ColumnNames.of(self)
        relations = laws.relations_of(names, self.relations)
        units = Units.restored(self.columns_, relations, self.relation_mean_, self.derived or {})
        source = None if self.source is None else names.number(self.source, "source")
        layout = Layout.of(units.columns, units.width, self.properties_, source)
        model = TableModel.restored(layout, {name: getattr(self, name) for name in TableModel.ATTRIBUTES})
        ranges = Ranges(self.range_, self.is_graded_, self._numbers(units.columns.levels))
        scales = self.std_scale_, self.source_scale_
        return Entries(units, model, ranges, self.properties_, self.explained_, *scales)

    # --- prediction

    @overload
    def transform(self, X: ArrayLike, return_std: Literal[False] = False) -> Any: ...
    @overload
    def transform(self, X: ArrayLike, return_std: Literal[True]) -> tuple[Any, Any]: ...
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
            probability that it is another.
        """
        given, X = X, self._check(X)
        missing = np.isnan(X)
        filled, std = X.copy(), np.zeros(X.shape)
        rows = np.flatnonzero(missing.any(axis=1))
        if len(rows):
            values, spread = self._predicted(X[rows], missing[rows])
            filled[rows], std[rows] = np.where(missing[rows], values, X[rows]), np.where(missing[rows], spread, 0.0)
        if cells.is_single(given):
            filled, std = filled.astype(np.float32), std.astype(np.float32)
        if self.words_ or len(self.ignored_):
            filled = cells.with_words(given, filled, ColumnNames.of(self), self.words_, self.ignored_)
        frame = self._in_output_form(given, std)
        if cells.is_frame(filled):
            if cells.is_frame(frame):  # of pandas where polars was given, or the other way round
                filled = cells.frame_of(type(frame), filled)
            else:
                frame = cells.frame_like(filled, std)
        return (filled, frame) if return_std else filled

    @overload
    def predict_entries(self, X: ArrayLike, return_std: Literal[False] = False) -> _F8: ...
    @overload
    def predict_entries(self, X: ArrayLike, return_std: Literal[True]) -> tuple[_F8, _F8]: ...
    def predict_entries(self, X, return_std=False):
        """Every cell from the other cells of its row, measured or not.

        For rows of the training table, which the fit has seen, use ``left_out_``.

        Returns
        -------
        expected : ndarray of shape (n_samples, n_features)
            Codes for columns of words.
        std : ndarray of shape (n_samples, n_features)
            Only with ``return_std``.
        """
        X = self._check(X)
        values, std = self._predicted(X, True)
        values[:, self.ignored_], std[:, self.ignored_] = np.nan, np.nan
        return (values, std) if return_std else values

    def applicability(self, X: ArrayLike) -> _F8:
        """How far each row lies outside what was trained.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)

        Returns
        -------
        distance : ndarray of shape (n_samples,)
            0 inside the range of every column of numbers; otherwise the greatest distance to it, in units of that
            column's range (of its size if it did not vary). Missing cells count as inside.
        """
        X, levels = self._check(X), self.columns_["levels"]
        return Ranges(self.range_, self.is_graded_, self._numbers(levels)).distance(X)

    def outliers(self, n_max: int = 20, columns: Sequence[str | int] | None = None) -> list[Outlier]:
        """Entries of the training table that fit least, the worst first; of some columns only, by name or number.

        Returns
        -------
        list of Outlier
            ``row``, the position in the table counted from 0, and ``label``, its name in the index of a data frame (the
            position where there is none), column name, value, expected value, its standard deviation, and
            ``outlier_scores_``.
        """
        check_is_fitted(self)
        check_number("n_max", n_max, Integral, 1)
        score, names = np.nan_to_num(self.outlier_scores_, nan=-1.0), ColumnNames.of(self)
        if columns is not None:
            if isinstance(columns, str) or not np.iterable(columns):
                raise_invalid("columns", columns, "give a list of columns")
            shown = [names.number(column, "columns") for column in columns]
            score[:, np.setdiff1d(np.arange(score.shape[1]), shown)] = -1.0
        found = []
        for place in np.argsort(-score, axis=None, kind="stable")[: min(n_max, np.count_nonzero(score >= 0))]:
            i, j = (int(k) for k in np.unravel_index(place, score.shape))
            label = i if self.index_ is None else self.index_[i]
            value, expected = (
                self.words_[names[j]][int(cell)] if names[j] in self.words_ else float(cell)
                for cell in (self.table_[i, j], self.left_out_[i, j])
            )
            found.append(
                Outlier(i, label, names[j], value, expected, float(self.left_out_std_[i, j]), float(score[i, j]))
            )
        return found

    def score(self, X: ArrayLike, y: object = None) -> float:
        """R2 of the measured properties (of all columns, if there are none), each predicted without itself."""
        table = self._check(X)
        which = self.properties_ if len(self.properties_) else np.arange(table.shape[1])
        return observed_r2_score(table[:, which], self.predict_entries(X)[:, which])

    # --- helpers

    def _in_output_form(self, given, values):
        """An array, or the data frame of it that ``set_output`` asks for."""
        form = copy.copy(self)
        form.__class__ = _OutputForm
        return form.transform(given, values)

    def _check(self, X):
        """A table of finite numbers and NaN, words as codes: (n, d) float64."""
        check_is_fitted(self)
        names = ColumnNames.of(self)
        texts, X = cells_of(X)
        two_dimensional = len(getattr(X, "shape", ())) == 2 and not hasattr(X, "tocsr")
        if two_dimensional and (texts or self.words_ or len(self.ignored_)):
            with naming("X", give="the columns of the table that was fitted"):
                validate_data(self, X, reset=False, skip_check_array=True)
            X = cells.recode_words(X, texts, names, self.words_, self.ignored_)
        X = check_features(self, X, reset=False)
        cells.check_codes(X, self.columns_["levels"], names, self.words_)
        return X

    def _predicted(self, X, wanted):
        """Each cell without itself and its standard deviation, which are finite where they are wanted."""
        values, std = self._entries().predict(X)
        if not (np.isfinite(values) & np.isfinite(std) | ~np.asarray(wanted)).all():
            raise ValueError("the expected entries are not finite: the imputer is damaged, fit it again.")
        return values, std


class _OutputForm(MergedNetImputer):
    """Returns an array, which scikit-learn then converts to the form that ``set_output`` asks for."""

    def transform(self, X, values):
        return values
