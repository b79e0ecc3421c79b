"""Units as the user gives them, mappings, text or units of pint, as rows of exponents of base dimensions."""

import re
from collections.abc import Mapping
from numbers import Real
from typing import Any, Protocol

import numpy as np

from skmerge._net.dimensions import MAX_CONSTANTS, Dimensions
from skmerge._net.links import LINKS
from skmerge._text import listed, shown, warn

# Symbols in mappings, whose dimension is what text in other units of it means, too.
SYMBOLS = {
    **dict.fromkeys(("kg", "g", "mass"), "mass"),
    **dict.fromkeys(("m", "mm", "cm", "km", "length"), "length"),
    **dict.fromkeys(("s", "ms", "time"), "time"),
    **dict.fromkeys(("A", "current"), "current"),
    **dict.fromkeys(("K", "temperature"), "temperature"),
    **dict.fromkeys(("mol", "substance"), "substance"),
    **dict.fromkeys(("cd", "luminosity"), "luminosity"),
}
KNOWN = "kg, g, m, mm, cm, km, s, ms, A, K, mol and cd"
DIMENSIONS = frozenset(SYMBOLS.values())
SHIFTED = "degC", "°C", "degF", "°F", "celsius"
LOGARITHMIC = "dB", "Np", "pH"  # pH, to pint, is a picohenry
# Numbers to a reader of tables; to pint at% is a pressure, and mol% is no number.
SHARE = re.compile(r"(wt|at|mol|vol|mass)[. -]*%|[-–—1]", re.IGNORECASE)
DASH = re.compile("[−–—]")  # to pint m s−1, with the minus sign of typesetters, is m s
POWER = re.compile(r"(?<=[^\W\d_])([+-]?\d+(?:\.\d+)?)(?!\w)")  # the -1 of m s-1
EXAMPLE = '{"kg": 1, "m": 1, "s": -2}'


class PintUnit(Protocol):
    """A Unit of pint, or a Quantity of one."""

    @property
    def dimensionality(self) -> Mapping[str, Any]: ...


def read(value, what):
    """A unit as {base dimension: exponent}; ``what`` names it in an error."""
    if value is None:
        return {}
    if isinstance(value, Mapping):
        return _of_mapping(value, what)
    if isinstance(value, str):
        text = value.strip()
        return _of_text(text, what) if text and not SHARE.fullmatch(text) else {}
    if hasattr(value, "dimensionality"):
        return _of_pint(value, what)
    raise ValueError(
        f'{what} is {shown(value)}, which is no unit; give text such as "m/s^2", a unit of pint, a mapping such as '
        f'{EXAMPLE}, or "" for a number without dimension.'
    )


def _of_mapping(value, what):
    unit = {}
    for base, power in value.items():
        right = isinstance(power, Real) and not isinstance(power, (bool, np.bool_)) and np.isfinite(power)
        if not isinstance(base, str) or not right:
            raise ValueError(
                f"{what} holds {shown(base)}: {shown(power)}; give base dimensions with a number as exponent, such as "
                f"{EXAMPLE}."
            )
        if base in SHIFTED or base in LOGARITHMIC:
            _raise_shifted(what, base, base in LOGARITHMIC)
        name = SYMBOLS.get(base, base)
        unit[name] = unit.get(name, 0.0) + float(power)
    return {name: power for name, power in unit.items() if power}


def _of_text(text, what):
    try:
        import pint
    except ImportError:
        raise ImportError(
            f"{what} is {shown(text)}: text is read by pint, which is not installed. Install it (pip install pint), or "
            f"give the exponents of base dimensions, such as {EXAMPLE}."
        ) from None
    if text in LOGARITHMIC:
        _raise_shifted(what, text, True)
    registry = pint.get_application_registry()
    plain = DASH.sub("-", text)
    try:
        try:
            unit = registry.parse_units(plain)
        except Exception:
            powers = POWER.sub(r"**(\1)", plain)
            if powers == plain:
                raise
            unit = registry.parse_units(powers)
    except Exception as error:  # pint raises AssertionError, TypeError, ... for what it cannot parse
        raise ValueError(
            f"{what} is {shown(text)}, which pint cannot read as a unit ({error or type(error).__name__}); give one as "
            f'in "kg m/s^2", without a number, or the exponents of base dimensions, such as {EXAMPLE}.'
        ) from None
    return _of_pint(unit, what, text)


def _of_pint(value, what, text=None):
    """That of a pint Unit, or of a Quantity of one such unit."""
    unit = getattr(value, "units", value)
    if unit is not value and not (np.ndim(value.magnitude) == 0 and value.magnitude == 1):
        raise ValueError(
            f"{what} is {shown(value)}, a quantity: only its unit counts, and numbers are not converted. Give the unit "
            "alone (its .units)."
        )
    zero = type(1 * unit)(0.0, unit).to_base_units()  # a Quantity of the same registry
    if zero.magnitude != 0.0:
        _raise_shifted(what, text or str(unit), not unit.dimensionality)
    dimensions = ((name.strip("[]"), float(power)) for name, power in unit.dimensionality.items())
    return {name: power for name, power in dimensions if power}


def _raise_shifted(what, unit, is_logarithmic):
    if is_logarithmic:
        raise ValueError(
            f"{what} is {shown(unit)}, a logarithm, so that products of the values have no unit. Convert them to the "
            "quantity itself, such as 10**(L/10) for L in dB, and give its unit."
        )
    raise ValueError(
        f"{what} is {shown(unit)}, a unit with an offset: 0 of it is no zero, so that products of the values have no "
        'unit. Convert them to kelvin (add 273.15 to values in °C) and give "K", or {"K": 1}.'
    )


def dimensions_of(given, names, varied, n_outputs, target_names):
    """Dimensions of each output, a list, and the names of the base dimensions.

    ``given``: the parameters units, target_unit and constant_units; ``names``: ColumnNames; ``varied`` (d,): whether a
    feature varies, because one that does not is a constant, which the fitted factors hold; ``n_outputs``: None if y has
    one dimension.
    """
    units, target_unit, constant_units = given
    features = _of_features(units, names)
    targets = _of_targets(target_unit, n_outputs, target_names)
    if isinstance(constant_units, (str, Mapping)) or not np.iterable(constant_units):
        raise ValueError(f'constant_units={shown(constant_units)} is no list; give one of units, such as ["J/K"].')
    constants = [read(value, f"constant_units[{i}]") for i, value in enumerate(constant_units)]
    if len(constants) > MAX_CONSTANTS:
        raise ValueError(
            f"constant_units has {len(constants)} units, with which almost any product of powers is homogeneous; give "
            f"at most {MAX_CONSTANTS}."
        )
    for unit, varies in zip(features, varied, strict=True):
        if unit and not varies and unit not in constants and len(constants) < MAX_CONSTANTS:
            constants.append(unit)
    _warn_of_words(features, targets, constants, names)
    bases = sorted({base for unit in (*features, *targets, *constants) for base in unit}) or ["number"]

    def rows(several):
        several = list(several)
        return np.array([[unit.get(base, 0.0) for base in bases] for unit in several]).reshape(len(several), len(bases))

    one = Dimensions.of(rows(features), np.zeros(len(bases)), rows(constants))
    return [Dimensions(one.features, row, one.constants) for row in rows(targets)], bases


def _warn_of_words(features, targets, constants, names):
    """Warn of features with a word of their own as dimension, by which they take part in no law: often a slip."""
    elsewhere = [base for unit in (*targets, *constants) for base in unit]
    for j, unit in enumerate(features):
        others = {base for i, other in enumerate(features) if i != j for base in other}.union(elsewhere, DIMENSIONS)
        alone = [base for base in unit if base not in others]
        if alone:
            warn(
                f"units: {names[j]} alone has {listed(alone)}, so that no law can hold {names[j]}. In mappings "
                f"{KNOWN} are known; any other word is a dimension of its own. Write the unit in those, "
                f"such as {EXAMPLE}."
            )


def _of_features(units, names):
    if isinstance(units, Mapping):
        found = {}
        for feature, value in units.items():
            j = names.number(feature, "units")
            if j in found:
                raise ValueError(f"units gives {names[j]} twice, by name and by number; leave one out.")
            found[j] = read(value, f"units[{feature!r}]")
        missing = [name for j, name in enumerate(names) if j not in found]
        if missing:
            raise ValueError(
                f'units: the unit of {", ".join(map(shown, missing))} is missing; give it, "" if it has no dimension.'
            )
        return [found[j] for j in range(len(names))]
    if isinstance(units, str) or not np.iterable(units):
        raise ValueError(f"units={shown(units)} is no dict {{feature: unit}} and no list with a unit for each feature.")
    units = list(units)
    if len(units) != len(names):
        raise ValueError(f"units has {len(units)} entries for {len(names)} features; give one for each.")
    return [read(value, f"units[{j}] ({names[j]})") for j, value in enumerate(units)]


def _of_targets(target_unit, n_outputs, target_names):
    if target_unit is None:
        raise ValueError('target_unit is missing: with units the unit of y is needed; give "" if it has no dimension.')
    if isinstance(target_unit, (str, Mapping)):
        if n_outputs not in (None, 1):
            raise ValueError(
                f"target_unit={shown(target_unit)} is one unit for {n_outputs} outputs; give a list with one for each, "
                'in the order of the columns of y, such as ["N", "J"].'
            )
        return [read(target_unit, "target_unit")]
    if not np.iterable(target_unit):
        return [read(target_unit, "target_unit")]  # which raises
    given = list(target_unit)
    if len(given) != (n_outputs or 1):
        raise ValueError(f"target_unit has {len(given)} entries for {n_outputs or 1} output(s); give one for each.")
    names = range(len(given)) if target_names is None else map(repr, target_names)
    return [read(value, f"target_unit[{name}]") for name, value in zip(names, given, strict=True)]


def written(unit, bases):
    """A unit in words: mass^1 time^-2."""
    return " ".join(f"{base}^{power:g}" for base, power in zip(bases, unit, strict=True) if power) or "no dimension"


def check_dimensions(dimensions, bases, names, usable, offset, link):
    """Raise ValueError if no product of the features ``usable`` is homogeneous, or an offset or a link is not.

    ``offset``: number of the column that is one, or None.
    """
    target = written(dimensions.target, bases)
    if offset is not None and (dimensions.features[offset] != dimensions.target).any():
        unit = written(dimensions.features[offset], bases)
        raise ValueError(f"offset: {names[offset]} has the unit {unit} and y {target}; correct units or target_unit.")
    left = dimensions.missing(usable)
    everywhere = np.vstack([dimensions.features, dimensions.constants]).any(axis=0)
    words = [bases[b] for b in np.flatnonzero(left) if not everywhere[b] and bases[b] not in DIMENSIONS]
    if words:
        raise ValueError(
            f"target_unit holds {listed(words)}, which is in the unit of no feature and of no constant: no law can be "
            f"homogeneous. In mappings {KNOWN} are known; any other word is a dimension of its own. Write "
            f"the unit in those, such as {EXAMPLE} for newton, or as text, which pint reads."
        )
    if left.any():
        raise ValueError(
            f"units: no product of powers of the features has the unit of y, {target}; {written(left, bases)} is "
            "missing. Correct units or target_unit, or give the unit of a constant of the law in constant_units. "
            "(Constant features, and those that are often 0, are no factors.)"
        )
    if link not in ("auto", "identity") and dimensions.through(LINKS[link]) is None:
        raise ValueError(
            f'link="{link}" needs a y without dimension; it has {target}. Leave link at "auto", or give the unit of y '
            "in constant_units, too."
        )
