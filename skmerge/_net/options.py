"""What the user gives MergedNetRegressor, checked, and in the form that the search takes."""

from collections.abc import Mapping
from numbers import Integral, Real

import numpy as np

from skmerge._net.given_units import check_dimensions, dimensions_of
from skmerge._net.links import LINKS
from skmerge._net.objective import MAX_EXPONENT
from skmerge._net.selection import MAX_NODES
from skmerge._parameters import (
    ColumnNames,
    check_flag,
    check_n_jobs,
    check_number,
    check_verbose,
    check_word,
    raise_invalid,
)  # fmt: skip

MAX_ESTIMATORS = 1000
FUNCTIONS = "exp", "log", "cos", "shifted"
RELATIVE = {"absolute": (False,), "relative": (True,), "auto": (False, True)}  # which kinds of errors are tried


def check_parameters(net):
    """Raise an error that names the first parameter that is wrong."""
    check_number("n_nodes", net.n_nodes, Integral, 1, besides=("auto",))
    check_number("blend", net.blend, Real, 0, 1, besides=("learn",))
    check_number("penalty", net.penalty, Real, 0, besides=("auto",))
    check_number("n_estimators", net.n_estimators, Integral, 1, MAX_ESTIMATORS, besides=("auto",))
    if isinstance(net.sign, str):
        check_word("sign", net.sign, "auto", "all", "none")
    elif not isinstance(net.sign, (list, tuple, set, np.ndarray)):
        raise_invalid("sign", net.sign, 'give "auto", "all", "none" or a list of features')
    if not (net.exponents is None or isinstance(net.exponents, dict)):
        raise_invalid("exponents", net.exponents, "give None or a dict {feature: exponent or (low, high)}")
    check_flag("simplify", net.simplify)
    check_flag("intercept", net.intercept)
    check_word("noise", net.noise, *RELATIVE)
    check_word("link", net.link, "auto", *LINKS)
    is_list = np.iterable(net.functions) and not isinstance(net.functions, str)
    if not is_list or any(kind not in FUNCTIONS for kind in net.functions):
        raise_invalid("functions", net.functions, f"give a list of some of {', '.join(FUNCTIONS)}, or ()")
    if not (net.groups is None or isinstance(net.groups, (str, Integral))) or isinstance(net.groups, bool):
        raise_invalid("groups", net.groups, "give the name or number of one column of X, or None")
    if net.groups is not None and (net.n_nodes != "auto" or net.blend != "learn"):
        raise_invalid("groups", net.groups, "a law of groups is a sum of products: leave n_nodes and blend")
    if net.units is not None:
        _check_with_units(net)
    elif net.target_unit is not None or (np.iterable(net.constant_units) and len(net.constant_units)):
        name = "constant_units" if net.target_unit is None else "target_unit"
        raise ValueError(f"{name} needs units: give those of the features, too.")
    if not net.intercept and net.blend not in ("learn", 0):
        raise_invalid("blend", net.blend, 'intercept=False leaves products alone: give "learn" or 0')
    if not net.intercept and net.n_nodes != "auto" and net.n_nodes > MAX_NODES:
        raise_invalid("n_nodes", net.n_nodes, f"intercept=False finds laws alone: give at most {MAX_NODES}")
    check_n_jobs(net.n_jobs)
    check_verbose(net.verbose)


def check_group(net, group, asked, offset_column):
    """Raise ValueError if another parameter names the column of groups, number ``group``."""
    is_signed = not isinstance(net.sign, str) and sign_mask(net, group + 1)[group]
    for name, is_named in (("exponents", group in asked), ("offset", group == offset_column), ("sign", is_signed)):
        if is_named:
            raise ValueError(
                f"{name} names {ColumnNames.of(net)[group]}, the column of groups, which is no quantity; leave it out."
            )


def check_zeros(net, asked, zeros):
    """Raise ValueError if a feature with zeros must have a negative exponent; ``zeros``: which have some, bool (d,)."""
    high = exponent_bounds(net, len(zeros))[1]
    for j in asked:
        if zeros[j] and high[j] < 0:
            raise ValueError(
                f"exponents: {ColumnNames.of(net)[j]} is 0 in some rows, where a negative power is infinite; leave "
                "these rows out, put the least value that can be measured, or allow an exponent of 0 or more."
            )


def _check_with_units(net):
    """Only sums of products have a unit, and exponents follow from it."""
    remedy = "with units the law is a sum of homogeneous products: leave it at its default, or leave units out"
    for name, right in (
        ("n_nodes", net.n_nodes == "auto"),
        ("blend", net.blend in ("learn", 0)),
        ("exponents", not net.exponents),
        ("simplify", net.simplify),
    ):
        if not right:
            raise_invalid(name, getattr(net, name), remedy)


def dimensions(net, scaling, offset, n_outputs, target_names):
    """Dimensions of each output, checked; an empty list without units."""
    if net.units is None:
        return []
    units, names = net.units, ColumnNames.of(net)
    if net.groups is not None and isinstance(units, Mapping):
        units = {net.groups: "", **units}
    given = units, net.target_unit, net.constant_units
    found, bases = dimensions_of(given, names, scaling.slope_variance > 1e-20, n_outputs, target_names)
    for one in found:
        check_dimensions(one, bases, names, np.flatnonzero(scaling.product), offset.column, net.link)
    return found


def exponent_bounds(net, d):
    """Least and greatest exponent of each feature in every product, two arrays (d,)."""
    low, high = np.full(d, -MAX_EXPONENT), np.full(d, MAX_EXPONENT)
    for feature, bound in (net.exponents or {}).items():
        j = ColumnNames.of(net).number(feature, "exponents")
        pair = bound if isinstance(bound, (tuple, list)) else (bound, bound)
        numbers = [b for b in pair if b is not None]
        right = all(isinstance(b, Real) and not isinstance(b, bool) and np.isfinite(b) for b in numbers)
        if len(pair) != 2 or not right:
            raise ValueError(f"exponents[{feature!r}]={bound!r}: give a number or a pair (low, high) of them.")
        low[j] = -MAX_EXPONENT if pair[0] is None else pair[0]
        high[j] = MAX_EXPONENT if pair[1] is None else pair[1]
        if low[j] > high[j] or max(abs(low[j]), abs(high[j])) > MAX_EXPONENT:
            raise ValueError(
                f"exponents[{feature!r}]={bound!r}: give low <= high, both within {MAX_EXPONENT:g} in size."
            )
    return low, high


def links(net):
    """Names of the links that are tried, "functions" among them, whether one is wanted, and kinds of functions."""
    if net.link not in ("auto", "identity"):
        return (net.link,), True, ()
    # What is given holds for y, not for what a link makes of it.
    given = net.n_nodes != "auto" or net.blend != "learn" or net.exponents
    if given:
        return (), False, ()
    kinds = tuple(kind for kind in FUNCTIONS if kind in net.functions)
    return ("identity", *["functions"] * bool(kinds), *tuple(LINKS)[1:] * (net.link == "auto")), False, kinds


def sign_mask(net, d):
    """Features over which the sign of a product runs, bool (d,), or "auto"."""
    if isinstance(net.sign, str):
        return net.sign if net.sign == "auto" else np.full(d, net.sign == "all")
    return np.isin(np.arange(d), [ColumnNames.of(net).number(feature, "sign") for feature in net.sign])
