"""The request of a user as arrays: targets, the set of possible inputs, correlations."""

from numbers import Integral, Real
from typing import NamedTuple

import numpy as np
from scipy.optimize import LinearConstraint
from scipy.special import ndtr
from scipy.stats import rankdata
from sklearn.model_selection import KFold, cross_val_predict

from skmerge._design.feasible import Feasible
from skmerge._design.models import framed, is_imputer, properties_of, unwrapped
from skmerge._parameters import check_number
from skmerge._validation import naming

MIN_COMMON = 10  # rows in which two errors must be known to estimate their correlation
LARGEST_BOUND = 1e15  # bound: the solver of linear constraints takes 1e20 for infinity
FINITE = np.finfo(float).max
REFIT_FOLDS = 5  # in which models without out-of-bag predictions are fitted again
LEAST_EIGENVALUE = 1e-3  # of an estimated correlation
NARROW = 1e-3  # width of a narrow target, relative to its size
LIKELIEST = 1e-3  # a narrow target that is met with a probability below this raises an error
MET = 1e-6  # width of a target of one number, relative to the spread over inputs; searches come within 1e-8 to 1e-6
GOAL_WORDS = {"maximise": 1.0, "maximize": 1.0, "minimise": -1.0, "minimize": -1.0}


class Constraint(NamedTuple):
    """A linear constraint, ``least <= coefficients @ x <= most``, and its name in messages."""

    coefficients: np.ndarray  # (n_inputs,)
    least: float
    most: float
    name: str


def _range(value, argument, otherwise="", finite=False):
    """(low, high), infinite for None."""
    if isinstance(value, (str, bytes)) or not np.iterable(value) or len(value := tuple(value)) != 2:
        raise ValueError(f"{argument}={value!r} is not possible: give (low, high){otherwise}.")
    ends = [default if end is None else end for end, default in zip(value, (-np.inf, np.inf), strict=True)]
    if not all(isinstance(end, Real) for end in ends) or np.isnan(ends).any() or ends[0] > ends[1]:
        raise ValueError(f"{argument}={value!r} is not possible: give two numbers in rising order, or None.")
    if finite and not np.isfinite(ends).all():
        raise ValueError(f"{argument}={value!r} is not possible: give two finite numbers.")
    if finite and np.abs(ends).max() > LARGEST_BOUND:
        raise ValueError(f"{argument}={value!r} is not possible: give numbers up to {LARGEST_BOUND:g}, in other units.")
    if ends == [-np.inf, np.inf] or ends[0] == np.inf or ends[1] == -np.inf:
        raise ValueError(f"{argument}={value!r} excludes nothing or everything: give at least one finite number.")
    return float(ends[0]), float(ends[1])


def input_number(inputs, name, argument):
    if isinstance(name, Integral) and not isinstance(name, bool) and 0 <= name < len(inputs):
        return int(name)
    if name not in inputs:
        raise ValueError(f"{argument} names {name!r}, which is no input; the inputs are {inputs}.")
    return inputs.index(name)


def _input_numbers(inputs, names, argument):
    if isinstance(names, str) or not np.iterable(names):
        raise TypeError(f"{argument}={names!r} is not possible: give a list of inputs.")
    return [input_number(inputs, name, argument) for name in names]


def read_targets(targets, properties):
    """(low, high, goal), each of shape (n_properties,)."""
    m = len(properties)
    low, high, goal = np.full(m, -np.inf), np.full(m, np.inf), np.zeros(m)
    for name, target in targets.items():
        if name not in properties:
            known = all(isinstance(name, str) for name in properties)
            how = "" if known else ", numbered because the model has no names: give them, model={(name, name): model}"
            raise ValueError(f"targets names {name!r}, which no model predicts; there are {properties}{how}.")
        j = properties.index(name)
        if isinstance(target, str) and target in GOAL_WORDS:
            goal[j] = GOAL_WORDS[target]
        else:
            low[j], high[j] = _range(target, f"targets[{name!r}]", ', "maximise" or "minimise"')
    return low, high, goal


def narrow(low, high):
    """Whether the limits of targets are equal or nearly equal, (n_properties,)."""
    at = np.isfinite(low) & np.isfinite(high)
    low, high = np.where(at, low, -1.0), np.where(at, high, 1.0)
    return high - low <= NARROW * np.maximum(np.abs(low), np.abs(high))


def with_width(low, high, mean, std, properties):
    """Targets (m,); narrow ones of exact functions get the width that a search can meet.

    Raise for narrow ones of other properties, whose probability is about 0. ``mean``, ``std`` (n, m): predictions of
    some inputs.
    """
    low, high = low.copy(), high.copy()
    for j in np.flatnonzero(narrow(low, high)):
        if std[:, j].any():
            least = std[std[:, j] > 0, j].min()
            value, most = (low[j] + high[j]) / 2, 2 * ndtr((high[j] - low[j]) / 2 / least) - 1
            if most >= LIKELIEST:
                continue
            target = f"targets[{properties[j]!r}]=({low[j]:.12g}, {high[j]:.12g})"
            what = "has no width, so its probability is 0 everywhere"
            if low[j] < high[j]:
                what = f"is narrow compared with standard deviations of {least:.2g}: its probability is {most:.1g}"
            wide = max(least, 0.05 * abs(value))
            raise ValueError(
                f"{target} {what}; give a width, for instance ({value - wide:.6g}, {value + wide:.6g}), or a "
                "constraint if it is a sum of inputs."
            )
        slack = MET * (mean[:, j].std() or np.abs([low[j], high[j]]).max())
        low[j], high[j] = low[j] - slack, high[j] + slack
    return low, high


def read_space(models, bounds, components, total, max_nonzero, fixed, integer, constraints):
    """The set of possible inputs, categories as numbers of their levels; raise if it is empty."""
    inputs, ranges, levels = models.inputs, models.bounds(), models.levels
    d = len(inputs)
    for j in models.sources:
        if not isinstance(fixed, dict) or (j not in fixed and inputs[j] not in fixed):
            known = models.words.get(j, levels[j].tolist())
            raise ValueError(
                f"input {inputs[j]!r} is the imputer's source, where a row comes from, and no design can choose it; "
                f"give the one to design for, fixed={{{inputs[j]!r}: {known[-1]!r}}}; there are {known}."
            )
    low, high = (end.copy() for end in ranges)
    if bounds is not None:
        if not isinstance(bounds, dict):
            if isinstance(bounds, str) or not np.iterable(bounds):
                raise TypeError(f"bounds={bounds!r} is not possible: give {{input: (low, high)}} or a pair per input.")
            bounds = list(bounds)
            if len(bounds) != d:
                raise ValueError(f"bounds has {len(bounds)} pairs, but there are {d} inputs {inputs}.")
            bounds = dict(enumerate(bounds))
        numbers = {name: input_number(inputs, name, "bounds") for name in bounds}
        bounds = {name: pair for name, pair in bounds.items() if pair is not None}
        for name, pair in bounds.items():
            j = numbers[name]
            if j in levels:
                raise ValueError(
                    f"bounds[{name!r}]={pair!r}: input {inputs[j]!r} is a category and has no range; give None "
                    "instead, or one level of it in fixed."
                )
            low[j], high[j] = _range(pair, f"bounds[{name!r}]", finite=True)
    if not (fixed is None or isinstance(fixed, dict)):
        raise TypeError(f"fixed={fixed!r} is not possible: give {{input: value}}.")
    for name, value in (fixed or {}).items():
        j = input_number(inputs, name, "fixed")
        if j in levels:
            low[j] = high[j] = models.place_of(j, value, f"fixed[{name!r}]")
            continue
        check_number(f"fixed[{name!r}]", value, Real, -FINITE, give="give a finite number")
        if bounds is not None and (name in bounds or j in bounds) and not low[j] <= value <= high[j]:
            raise ValueError(f"fixed[{name!r}]={value:g} contradicts bounds, {low[j]:g} to {high[j]:g}.")
        low[j] = high[j] = value
    unknown = [name for name, a, b in zip(inputs, low, high, strict=True) if not np.isfinite(a + b)]
    if unknown:
        raise ValueError(f"bounds of {unknown} are missing, and no model stores its training range; give them.")
    crossed = [name for name, a, b in zip(inputs, low, high, strict=True) if a > b]
    if crossed:
        raise ValueError(f"bounds of {crossed}: the models were trained on ranges that do not overlap; give them.")
    whole, component = np.zeros(d, bool), np.full(d, components is None)
    whole[_input_numbers(inputs, integer, "integer")] = True
    component[_input_numbers(inputs, () if components is None else components, "components")] = True
    for argument, given in (("components", components or ()), ("integer", integer)):
        wrong = [inputs[j] for j in _input_numbers(inputs, given, argument) if j in levels]
        if wrong:
            raise ValueError(f"{argument}: {wrong} are categories, which have no amounts; leave them out.")
    whole[list(levels)], component[list(levels)] = True, False
    if not component.any():
        raise ValueError("components is empty; name at least one input, or leave it out for all.")
    for j in np.flatnonzero(whole):
        if np.ceil(low[j]) > np.floor(high[j]):
            ends = f"{low[j]:g} to {high[j]:g}"
            raise ValueError(f"integer: the bounds of {inputs[j]!r}, {ends}, contain no whole number; widen them.")
    rows = []
    if total is not None:
        check_number("total", total, Real, -FINITE, give="give a finite number, for instance 1 or 100")
        rows.append(Constraint(component.astype(float), float(total), float(total), f"total={total:g}"))
    if max_nonzero is not None:
        check_number("max_nonzero", max_nonzero, Integral, 1)
        needed = [inputs[j] for j in np.flatnonzero(component & ((low > 0) | (high < 0)))]
        if len(needed) > max_nonzero:
            raise ValueError(
                f"max_nonzero={max_nonzero} contradicts bounds (or the training range) and fixed, which make {needed} "
                "differ from zero; raise max_nonzero or give bounds that include 0."
            )
        max_nonzero = None if max_nonzero >= component.sum() else int(max_nonzero)
    if isinstance(constraints, LinearConstraint) or (
        isinstance(constraints, tuple) and len(constraints) == 2 and isinstance(constraints[0], dict)
    ):
        constraints = [constraints]
    if not np.iterable(constraints):
        raise TypeError(f"constraints={constraints!r} is not possible: give a list.")
    for i, constraint in enumerate(constraints):
        rows += _read_constraint(inputs, constraint, f"constraints[{i}]")
        wrong = [inputs[j] for j in levels if any(row.coefficients[j] for row in rows)]
        if wrong:
            raise ValueError(f"constraints[{i}]: {wrong} are categories, which cannot be added; leave them out.")
    matrix = np.array([row.coefficients for row in rows]).reshape(-1, d)
    least, most = np.array([row.least for row in rows]), np.array([row.most for row in rows])
    space = Feasible(low, high, whole, component, max_nonzero, matrix, least, most, tuple(row.name for row in rows))
    if space.solve() is None:
        blamed = space.contradiction()
        given = ["bounds", *dict.fromkeys(space.words)]
        extra = {f"max_nonzero={max_nonzero}": max_nonzero, "integer": whole.any(), "fixed": fixed}
        given += [words for words, is_given in extra.items() if is_given]
        raise ValueError(
            f"no input satisfies {', '.join(given[:-1])} and {given[-1]} together"
            + _reachable_total(space, total)
            + (f"; without {' or without '.join(blamed)} some inputs do." if blamed else "; loosen the bounds.")
        )
    return space.tightened()


def _reachable_total(space, total):
    if total is None:
        return ""
    low, high = (np.sort(bound[space.component])[::-1] for bound in (space.low, space.high))
    k = len(high) if space.max_nonzero is None else space.max_nonzero
    return f": the sum of components is between {low.sum():g} and {high[:k].sum():g}"


def _read_constraint(inputs, constraint, argument):
    if isinstance(constraint, LinearConstraint):
        A = np.atleast_2d(np.asarray(constraint.A, float))
        if A.shape[1] != len(inputs):
            raise ValueError(f"{argument} is over {A.shape[1]} inputs, but there are {len(inputs)}.")
        ends = [np.broadcast_to(np.asarray(end, float), len(A)) for end in (constraint.lb, constraint.ub)]
    else:
        if not (isinstance(constraint, tuple) and len(constraint) == 2 and isinstance(constraint[0], dict)):
            raise TypeError(
                f"{argument} is {constraint!r}; give ({{input: coefficient}}, (low, high)) or a LinearConstraint."
            )
        A = np.zeros((1, len(inputs)))
        for name, value in constraint[0].items():
            if not isinstance(value, Real):
                raise ValueError(f"{argument}: the coefficient of {name!r} is {value!r}; give a number.")
            A[0, input_number(inputs, name, argument)] = value
        ends = [[end] for end in _range(constraint[1], argument)]
    if not np.isfinite(A).all() or np.isnan(ends).any() or np.greater(*ends).any():
        raise ValueError(f"{argument} needs finite coefficients, and limits in rising order without NaN.")
    return [Constraint(row, low, high, argument) for row, low, high in zip(A, *ends, strict=True)]


def read_correlation(models, correlation, X, y):
    m = len(models.names)
    if correlation is None:
        return _estimated_correlation(models, X, y)
    if isinstance(correlation, dict):
        pairs, correlation = correlation, np.eye(m)
        for pair, value in pairs.items():
            if not (isinstance(pair, tuple) and len(pair) == 2 and set(pair) <= set(models.names)):
                raise ValueError(f"correlation has the key {pair!r}; give a pair of {models.names}.")
            i, j = (models.names.index(name) for name in pair)
            correlation[i, j] = correlation[j, i] = value
    with naming("correlation"):
        R = np.array(correlation, float)
    if R.shape != (m, m) or not np.isfinite(R).all():
        raise ValueError(f"correlation must be {m} x {m} finite numbers, one for each of {models.names}.")
    if not (np.allclose(R, R.T, atol=1e-8) and np.allclose(np.diag(R), 1.0, atol=1e-8)):
        raise ValueError("correlation must be symmetric, with ones on the diagonal.")
    if np.linalg.eigvalsh(R).min() < 1e-10:
        raise ValueError("correlation must be positive definite: some of these correlations contradict others.")
    return R


def _estimated_correlation(models, X, y):
    """From errors of rows left out, if y is given, and from the joint distribution of an imputer."""
    m = len(models.names)
    R = np.eye(m) if y is None else error_correlation(_residuals(models, X, _columns_of_y(models, y)))
    at = 0
    for part in models.parts:
        if is_imputer(part.model) and getattr(part.model, "joints_", None):
            own = properties_of(part.model)
            S = np.asarray(part.model.joints_[-1]["covariance"])
            unit = np.sqrt(np.diag(S))
            for i, one in enumerate(part.names):
                for j, other in enumerate(part.names):
                    if i != j and one in own and other in own:
                        k, l = own.index(one), own.index(other)
                        R[at + i, at + j] = S[k, l] / unit[k] / unit[l]
        at += len(part.names)
    return _nearest_correlation(R)


def _columns_of_y(models, y):
    """(n_samples, n_properties), NaN where unmeasured."""
    if hasattr(y, "columns"):
        known = [name for name in models.names if name in list(y.columns)]
        if not known:
            raise ValueError(f"y has the columns {list(y.columns)}, none of which is a property {models.names}.")
        table = np.full((len(y), len(models.names)), np.nan)
        with naming("y"):
            table[:, [models.names.index(name) for name in known]] = np.array([y[name] for name in known], float).T
        return table
    with naming("y"):
        table = np.asarray(y, float)
    table = table.reshape(len(table), -1) if table.ndim < 3 and table.size else np.empty((0, 0))
    if table.shape[1] != len(models.names):
        raise ValueError(f"y has {table.shape[1]} columns, but the properties are {models.names}.")
    return table


def _residuals(models, X, table):
    """Errors of predictions for rows left out, (n_samples, n_properties), NaN where unknown."""
    residual = np.full(table.shape, np.nan)
    if X is not None:
        X = models.coded(X)
        if X.shape != (len(table), len(models.inputs)):
            raise ValueError(f"X has shape {X.shape}; give {len(table)} rows, as y has, of {models.inputs}.")
    at = 0
    for part in models.parts:
        own = slice(at, at + len(part.names))
        at += len(part.names)
        measured = ~np.isnan(table[:, own])
        seen = getattr(unwrapped(part.model)[1], "oob_prediction_", None)
        if seen is not None and measured.any():
            values = np.asarray(seen, float).reshape(len(seen), -1)
            rows = measured.any(axis=1) if len(values) < len(table) else np.ones(len(table), bool)
            if rows.sum() != len(values):
                raise ValueError(
                    f"y has {len(table)} rows, {rows.sum()} of them measured, but the model of {part.title} was "
                    f"fitted to {len(values)}; give y as it was fitted."
                )
            residual[rows, own] = table[rows, own] - values
        elif X is not None and hasattr(part.model, "predict"):
            rows = np.flatnonzero(measured.all(axis=1) & np.isfinite(X[:, part.columns]).all(axis=1))
            if len(rows) >= MIN_COMMON:
                truth = table[rows, own]
                found = cross_val_predict(
                    part.model,
                    framed(X[rows][:, part.columns], part.features),
                    truth[:, 0] if len(part.names) == 1 else truth,
                    cv=KFold(REFIT_FOLDS, shuffle=True, random_state=0),
                )
                residual[rows, own] = truth - np.reshape(found, truth.shape)
    return residual


def error_correlation(residual):
    """Correlation (m, m) of errors from residuals (n_samples, m) of rows left out, NaN where unknown.

    Rank correlations r, converted to those of normal variables by 2 sin(pi r / 6), so that a few gross errors do not
    dominate; 0 for pairs with fewer than ten common rows; made positive definite.
    """
    m = residual.shape[1]
    correlation = np.eye(m)
    for i in range(m):
        for j in range(i):
            both = residual[~np.isnan(residual[:, [i, j]]).any(axis=1)][:, [i, j]]
            if len(both) >= MIN_COMMON and (np.ptp(both, axis=0) > 0).all():
                r = np.corrcoef(rankdata(both, axis=0), rowvar=False)[0, 1]
                correlation[i, j] = correlation[j, i] = 2 * np.sin(np.pi * r / 6)
    return _nearest_correlation(correlation)


def _nearest_correlation(R):
    """A positive definite matrix: correlations of pairs from different rows may contradict each other."""
    value, vector = np.linalg.eigh(R)
    if value[0] >= LEAST_EIGENVALUE:
        return R
    R = (vector * np.maximum(value, LEAST_EIGENVALUE)) @ vector.T
    unit = np.sqrt(np.diag(R))
    return R / unit / unit[:, None]
