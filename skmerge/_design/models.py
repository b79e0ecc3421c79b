"""The function that a Designer optimises: fitted models, imputers and plain functions of the same inputs."""

import importlib
from dataclasses import dataclass, replace

import numpy as np
from joblib import Parallel, delayed, effective_n_jobs
from sklearn.base import BaseEstimator
from sklearn.ensemble import ExtraTreesRegressor, RandomForestRegressor
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags
from sklearn.utils.validation import check_is_fitted

from skmerge._parameters import ColumnNames
from skmerge._validation import naming

AVERAGES = RandomForestRegressor, ExtraTreesRegressor  # predict no std; the std of their trees replaces it


@dataclass(frozen=True)
class Part:
    """A model and its properties; ``columns``: numbers of its inputs; ``features``: their names, if it has names."""

    model: object
    names: tuple
    columns: np.ndarray
    features: list | None

    @property
    def title(self):
        return _title(self.names, self.model)

    def predict(self, X):
        """Mean and std of the model, each (n, n_properties) or (n,); std 0 for an exact function."""
        rows = X[:, self.columns]
        if is_function(self.model):
            value = self.model(X.copy())
            return value if isinstance(value, tuple) else (value, np.zeros_like(np.asarray(value, float)))
        if not is_imputer(self.model):
            return _with_std(self.model, framed(rows, self.features))
        known, words = columns_of(self.model), words_of(self.model)  # a table whose properties are missing
        table = {name: np.full(len(X), np.nan) for name in known} | dict(zip(self.features, rows.T, strict=True))
        for name in set(words) & set(self.features):
            table[name] = np.array(words[name], object)[table[name].astype(int)]
        named = hasattr(self.model, "feature_names_in_")
        table = framed(table) if named else np.column_stack(list(table.values()))
        parts = self.model.transform(table, return_std=True)
        parts = [part if hasattr(part, "columns") else dict(zip(known, part.T, strict=True)) for part in parts]
        return tuple(np.column_stack([np.asarray(part[name], float) for name in self.names]) for part in parts)


def is_function(model):
    return not isinstance(model, BaseEstimator) and not hasattr(model, "predict")


def is_imputer(model):
    return hasattr(model, "transform") and not hasattr(model, "predict")


def columns_of(imputer):
    return list(ColumnNames.of(imputer))


def properties_of(imputer):
    """Names of the columns that it learned as properties, if it stores them."""
    known = columns_of(imputer)
    return [known[j] for j in np.sort(getattr(imputer, "properties_", []))]


def words_of(imputer):
    """{column: words in the order of their codes}"""
    return {str(name): list(words) for name, words in (getattr(imputer, "words_", None) or {}).items()}


def levels_of(imputer):
    """{column: codes} of the columns that are categories."""
    levels = getattr(imputer, "columns_", {}).get("levels", [])
    return {name: codes for name, codes in zip(columns_of(imputer), levels, strict=False) if codes is not None}


def source_of(imputer):
    """Name of the column of sources, or None."""
    source = getattr(imputer, "source", None)
    return columns_of(imputer)[ColumnNames.of(imputer).number(source, "source")] if source is not None else None


def unwrapped(model):
    """What searches and pipelines contain: the transformers, one after the other, and the regressor behind them."""
    transformers = []
    while hasattr(model, "best_estimator_") or isinstance(model, Pipeline):
        if isinstance(model, Pipeline):
            transformers += [model[:-1]] if len(model) > 1 else []
            model = model[-1]
        else:
            model = model.best_estimator_
    return transformers, model


def _with_std(model, rows):
    transformers, regressor = unwrapped(model)
    for transformer in transformers:
        rows = transformer.transform(rows)
    if not isinstance(regressor, AVERAGES):
        return regressor.predict(rows, return_std=True)
    rows = rows.to_numpy() if hasattr(rows, "to_numpy") else rows
    each = np.array([tree.predict(rows) for tree in regressor.estimators_])
    return each.mean(axis=0), each.std(axis=0)


def framed(rows, names=None):
    """A data frame of columns, or of rows if the model was fitted with names, without which it would warn."""
    if isinstance(rows, dict):
        names, columns = list(rows), list(rows.values())
    elif names is None:
        return rows
    else:
        columns = rows.T
    for library in ("pandas", "polars"):
        try:
            DataFrame = importlib.import_module(library).DataFrame
        except ImportError:
            continue
        return DataFrame(dict(zip(names, columns, strict=True)))
    return rows


class Models:
    """Models as one function.

    ``model``, ``inputs`` and ``n_jobs`` are those of Designer; ``wanted``: the properties with targets.
    """

    def __init__(self, model, inputs, wanted, n_jobs):
        self.n_jobs = n_jobs
        pairs = _pairs(model)
        if not pairs:
            raise ValueError("model is empty; give at least one fitted model.")
        models, known, width = [], [], None
        for names, part in pairs:
            _check_model(names, part)
            properties = properties_of(part) if is_imputer(part) else []
            names = tuple(properties) if names is None and is_imputer(part) else names
            own = _features(names, part)
            models.append((names, part, own))
            known += [name for name in own if name not in properties] if isinstance(own, list) else []
            width = max(own, width or 0) if isinstance(own, int) else width
        if inputs is None:
            if not known and width is None:
                raise ValueError("inputs=None, but no model stores its inputs; give their names, inputs=[...].")
            inputs = list(dict.fromkeys(known)) or [f"x{j}" for j in range(width)]
        self.inputs = inputs
        self.parts, self.names = [], []
        for names, part, own in models:
            columns = np.arange(len(inputs))
            if isinstance(own, list):
                own = [name for name in own if name in inputs or not is_imputer(part)]
                missing = [name for name in own if name not in inputs]
                if missing:
                    raise ValueError(f"inputs lacks {missing}, which the model of {_title(names, part)} was fitted to.")
                columns = np.array([inputs.index(name) for name in own])
            elif own is not None and own != len(inputs):
                raise ValueError(
                    f"the model of {_title(names, part)} was fitted to {own} features, but there are {len(inputs)} "
                    f"inputs {inputs}; fit it to a data frame with names of inputs, or to all inputs."
                )
            part = Part(part, (), columns, own if isinstance(own, list) else None)
            if names is None:
                names = self._default_names(part, wanted, len(pairs))
            names = names if isinstance(names, tuple) else (names,)
            self.parts.append(replace(part, names=names))
            self.names += names
        if len(set(self.names)) < len(self.names):
            raise ValueError(f"model: properties {self.names} occur more than once; give each its own name.")
        self._read_levels()

    def _read_levels(self):
        """``levels``, ``words``: {input number: codes or words of a category}; ``sources``: numbers of the inputs."""
        self.levels, self.words, self.sources = {}, {}, []
        for part in self.parts:
            if not is_imputer(part.model):
                continue
            codes, words = levels_of(part.model), words_of(part.model)
            wrong = [name for name in part.names if name in codes]
            if wrong:
                raise ValueError(
                    f"model: {wrong} are categories, but properties are numbers; name the others, {{(name,): imputer}}."
                )
            for name in part.features:
                j = self.inputs.index(name)
                if name in codes:
                    own = words.get(name), list(codes[name])
                    if j in self.levels and own != (self.words.get(j), list(self.levels[j])):
                        raise ValueError(f"models have different categories of input {name!r}; fit them to the same.")
                    self.levels[j] = np.asarray(codes[name], float)
                    if name in words:
                        self.words[j] = words[name]
                if name == source_of(part.model):
                    self.sources.append(j)

    def as_text(self, j, value):
        """A value of an input, of a category its word."""
        return str(self.words[j][int(value)]) if j in self.words else f"{value:.4g}"

    def place_of(self, j, given, argument):
        """Number of a level of a category, given as its word or code."""
        known = self.words[j] if j in self.words else self.levels[j].tolist()
        truth = all(isinstance(level, bool) for level in known)
        if given not in known or (isinstance(given, (bool, np.bool_)) and not truth):
            raise ValueError(f"{argument}={given!r} is not a level of {self.inputs[j]!r}; its levels are {known}.")
        return known.index(given)

    def coded(self, X, argument="X"):
        """Rows of the inputs, an array or a data frame with the inputs as columns, as numbers, words as codes."""
        give = f"finite rows of the inputs {self.inputs}"
        if hasattr(X, "columns"):
            missing = [name for name in self.inputs if name not in list(X.columns)]
            if missing:
                raise ValueError(f"{argument} has no column {missing}; give {give}.")
            columns = [np.asarray(X[name]) for name in self.inputs]
        else:
            with naming(argument, give=give):
                X = np.asarray(X, object if self.words else float)
            columns = list(X.T) if X.ndim == 2 else []
        if len(columns) != len(self.inputs):
            raise ValueError(f"{argument} has shape {np.shape(X)}; give {give}.")
        for j in self.words:
            if any(isinstance(cell, str) for cell in columns[j]):
                columns[j] = [self.place_of(j, cell, argument) for cell in columns[j]]
        with naming(argument, give=give):
            return np.column_stack([np.asarray(column, float) for column in columns])

    def places(self, X):
        """Codes of categories as numbers of their levels, as searches see them."""
        X = X.copy()
        for j, codes in self.levels.items():
            unknown = np.setdiff1d(X[:, j], codes)
            if len(unknown):
                name, levels = self.inputs[j], codes.tolist()
                raise ValueError(f"X: {unknown[0]:g} is no level of {name!r}; its codes are {levels}.")
            X[:, j] = np.searchsorted(codes, X[:, j])
        return X

    def codes(self, X):
        """The inverse of ``places``."""
        X = X.copy()
        for j, codes in self.levels.items():
            X[:, j] = codes[X[:, j].astype(int)]
        return X

    def _default_names(self, part, wanted, n_models):
        """Names of the properties of a model without a name: those of its y, that of the only target, or numbers."""
        count = 1
        if hasattr(part.model, "predict"):  # a prediction shows how many
            low, high = self.range_of(part)
            X = np.zeros((1, len(self.inputs)))
            X[0, part.columns] = np.where(np.isfinite(low + high), low / 2 + high / 2, 0.0)
            count = np.asarray(_call(part, X)[0]).size
        known = getattr(part.model, "target_names_in_", None)
        if known is not None and len(known) == count:
            return tuple(map(str, known))
        if count == 1 and n_models == 1 and len(wanted) == 1:
            return tuple(wanted)
        return tuple(range(len(self.names), len(self.names) + count))

    def range_of(self, part):
        """Least and greatest trained inputs of a model, NaN if it does not store them."""
        model = part.model
        if is_imputer(model) and hasattr(model, "table_"):
            known, rows = columns_of(model), model.table_
            rows = rows[:, [known.index(name) for name in part.features]]
            return np.nanmin(rows, axis=0), np.nanmax(rows, axis=0)
        if hasattr(model, "x_min_") and hasattr(model, "x_max_"):
            return np.asarray(model.x_min_, float), np.asarray(model.x_max_, float)
        if hasattr(model, "X_train_"):
            rows = np.asarray(model.X_train_, float)
            return rows.min(axis=0), rows.max(axis=0)
        unknown = np.full(len(part.columns), np.nan)
        return unknown, unknown

    def bounds(self):
        """(low, high) of the inputs: the intersection of the trained ranges, NaN where no model stores one."""
        low, high = np.full((2, len(self.inputs)), np.nan)
        for part in self.parts:
            least, most = self.range_of(part)
            if len(least) == len(part.columns):
                low[part.columns] = np.fmax(low[part.columns], least)
                high[part.columns] = np.fmin(high[part.columns], most)
        for j, codes in self.levels.items():  # searches use the numbers of levels
            low[j], high[j] = 0, len(codes) - 1
        return low, high

    def predict(self, X):
        """Mean and standard deviation of all models, each (n, n_properties)."""
        X = self.codes(X) if self.levels else X
        if effective_n_jobs(self.n_jobs) == 1 or len(self.parts) == 1:
            results = [_call(part, X) for part in self.parts]
        else:
            pool = Parallel(n_jobs=self.n_jobs, require="sharedmem")
            results = pool(delayed(_call)(part, X) for part in self.parts)
        columns = []
        for part, result in zip(self.parts, results, strict=True):
            mean, std = (np.asarray(array, float) for array in result)
            if mean.size != len(X) * len(part.names) or std.size != mean.size or len(mean) != len(X):
                raise ValueError(
                    f"the model of {part.title} returned shapes {mean.shape} and {std.shape} for {len(X)} rows; "
                    f"{len(X)} x {len(part.names)} values and standard deviations are needed."
                )
            mean, std = mean.reshape(len(X), -1), std.reshape(len(X), -1)
            if not (np.isfinite(mean).all() and np.isfinite(std).all() and (std >= 0).all()):
                bad = np.flatnonzero(~(np.isfinite(mean) & np.isfinite(std) & (std >= 0)).all(axis=1))[0]
                row = dict(zip(self.inputs, X[bad].tolist(), strict=True))
                raise ValueError(
                    f"the model of {part.title} returned {mean[bad].tolist()} with std {std[bad].tolist()} for {row}; "
                    "both must be finite and std not negative: narrow the bounds to where the model is defined."
                )
            columns.append((mean, std))
        return np.hstack([mean for mean, _ in columns]), np.hstack([std for _, std in columns])


def _title(names, part):
    names = () if names is None else names if isinstance(names, tuple) else (names,)
    return " and ".join(map(repr, names)) or type(part).__name__


def _call(part, X):
    title = part.title
    try:
        result = part.predict(X)
        if not isinstance(result, tuple) or len(result) != 2:
            raise TypeError("it returned no pair of values and standard deviations")
        return result
    except (TypeError, AttributeError) as error:
        if not is_function(part.model):
            raise TypeError(
                f"the model of {title} failed in predict(X, return_std=True): {error}. Give a regressor with standard "
                "deviations, or a function of X that returns (value, std)."
            ) from error
        raise TypeError(f"the function of {title} failed for X of shape {X.shape}: {error}") from error


def _pairs(model):
    """[(names or None, model)]."""
    if not isinstance(model, dict):
        return [(None, part) for part in (model if isinstance(model, (list, tuple)) else [model])]
    for key in model:
        names = key if isinstance(key, tuple) else (key,)
        if not names or not all(isinstance(name, str) for name in names):
            raise TypeError(f"model has the key {key!r}; give the name of a property or a tuple of names.")
    return list(model.items())


def _check_model(names, model):
    title = _title(names, model)
    if isinstance(model, type) or not (callable(model) or hasattr(model, "predict") or is_imputer(model)):
        raise TypeError(f"the model of {title} is {model!r}; give a fitted regressor or a function of X.")
    if isinstance(model, BaseEstimator):
        try:
            check_is_fitted(model)
            fitted = get_tags(model).requires_fit or any(name.endswith("_") for name in vars(model))
        except NotFittedError:
            fitted = False
        if not fitted:  # also a Gaussian process, which would predict its prior
            raise NotFittedError(f"the model of {title} is not fitted: call its fit(X, y) first.")


def _features(names, model):
    """Names of a model's features, their number, or None if it stores neither; of an imputer all but properties."""
    if is_imputer(model):
        known = columns_of(model)
        own = names if isinstance(names, tuple) else (names,)
        missing = [name for name in own if name not in known]
        if missing:
            raise ValueError(f"model: the imputer has no column {missing}; its columns are {known}.")
        return [name for name in known if name not in own]
    known = getattr(model, "feature_names_in_", None)
    return list(map(str, known)) if known is not None else getattr(model, "n_features_in_", None)


def stores_inputs(model):
    """Whether one of the models stores the number of its inputs."""
    return any(hasattr(part, "n_features_in_") for _, part in _pairs(model))


class Seen:
    """Inputs and their predictions."""

    def __init__(self, models):
        self.models, self._kept = models, []

    def predict(self, X):
        mean, std = self.models.predict(X)
        self._kept.append((X, mean, std))
        return mean, std

    def join(self, other):
        self._kept += other._kept

    def rows(self):
        """(X, mean, std) of all."""
        self._kept = [tuple(np.concatenate(parts) for parts in zip(*self._kept, strict=True))]
        return self._kept[0]
