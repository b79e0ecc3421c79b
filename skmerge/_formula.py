"""The fitted law in words: as a physicist writes it, as LaTeX, and as Python."""

import keyword
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

RANGE = 250  # decades that the numbers of a formula in raw units may span
LONG = 12  # nodes above which str() describes rather than prints


@dataclass(frozen=True)
class Formula:
    """A fitted law.

    Attributes
    ----------
    text : str
        What ``str`` returns.
    latex : str
    python : str or list of str
        Expression of the feature names and ``np`` that evaluates to the prediction; one for each output.
    """

    text: str
    latex: str
    python: object

    def __str__(self):
        return self.text

    def __repr__(self):
        return f"<Formula {self.text!r}>"

    def _repr_latex_(self):
        return f"$\\displaystyle {self.latex}$"

    @classmethod
    def of(cls, net, feature_names, target_names, standard_errors):
        d, m = net.n_features_in_, len(net.y_scale_)
        if feature_names is None:
            feature_names = getattr(net, "feature_names_in_", [f"x{j}" for j in range(d)])
        names = [str(name) for name in feature_names]
        if len(names) != d or len(set(names)) != d:
            raise ValueError(f"feature_names must be {d} different names, got {names}.")
        if target_names is None:
            target_names = ["y"] if m == 1 else [f"y{k}" for k in range(m)]
        targets = [target_names] if isinstance(target_names, str) else [str(t) for t in target_names]
        if len(targets) != m:
            raise ValueError(f"target_names must be {m} names, got {targets}.")
        if standard_errors and not net.covariance_:
            raise ValueError("standard_errors: an ensemble or very large net has none; a law does (n_estimators=1).")
        lines, latex, python = [], [], []
        for k in range(m):
            writer = _Writer(net, k, names, standard_errors)
            lines.append(f"{targets[k]}{writer.unit(_number)} = {writer.text()}")
            latex.append(f"{_latex_name(targets[k])}{writer.unit(_latex_number)} = {writer.latex()}")
            python.append(writer.python())
        return cls("\n".join(lines), r" \\ ".join(latex), python[0] if m == 1 else python)


@dataclass
class _Term:
    """factor * [saturation of] product or sum: one node's half, in raw units."""

    factor: float
    exponents: dict  # feature -> exponent, of a product
    signs: frozenset  # features whose sign multiplies it
    slopes: dict  # feature -> slope, of a sum that saturates
    shift: float
    plateau: float  # |value| of the saturating term, inf if none
    factor_error: float
    exponent_errors: dict


class _Writer:
    """One output's formula, in raw units where its numbers lie well within the range of float, else in scaled ones."""

    def __init__(self, net, k, names, errors):
        self.net, self.k, self.names, self.errors = net, k, names, errors
        self.members = [e for e in range(len(net.A_)) if net.estimator_weight_[e, k]]
        x, y = net.x_scale_, net.y_scale_[k]
        exponent = np.abs(net.A_[:, k]).max(axis=(0, 1), initial=1.0)
        size = np.abs(np.log10(x)) * exponent
        self.raw = bool(size.sum() + abs(np.log10(y)) < RANGE)
        self.x, self.y = (x, y) if self.raw else (np.ones(len(x)), 1.0)
        self.per_member = [(net.estimator_weight_[e, k], *self._terms(e)) for e in self.members]
        self.offset = ""
        if net.offset_column_ is not None:
            self.offset = names[net.offset_column_]
        elif net.offset is not None:
            name = getattr(net.offset, "__name__", "offset")
            self.offset = f"{name if name.isidentifier() else 'offset'}(X)"

    def unit(self, number):
        return "" if self.raw else f"/{number(self.net.y_scale_[self.k])}"

    def _shown(self, j, name=str, number=None):
        """Feature j, over its scale where the formula is in scaled units."""
        if self.raw:
            return name(self.names[j])
        return f"({name(self.names[j])}/{(number or _number)(self.net.x_scale_[j])})"

    def _offset_shown(self, name, number):
        shown = name(self.offset)
        return shown if self.raw else f"{shown}/{number(self.net.y_scale_[self.k])}"

    def _terms(self, e):
        """Terms of member e, slopes of its linear part, and its constant."""
        net, k, x, y = self.net, self.k, self.x, self.y
        mean = net.x_mean_
        d, h = len(x), net.A_.shape[2]
        constant = net.D_[e, k] + net.blend_[e, k].mean() * net.y_mean_[k]
        linear = np.zeros(d)
        terms = []
        covariance = net.covariance_[k] if self.errors else None
        for i in range(h):
            A, B, C, a = net.A_[e, k, i], net.B_[e, k, i], net.C_[e, k, i], net.blend_[e, k, i]
            if a > 0 and np.isinf(C):
                linear += a * A / x
                constant += a * (B - A @ mean)
            elif a > 0 and A.any():
                slopes = {int(j): A[j] / x[j] * y for j in np.flatnonzero(A)}
                terms.append(_Term(a, {}, frozenset(), slopes, y * (B - A @ mean), y * C, np.nan, {}))
            elif a > 0:
                constant += a * B / (1.0 + abs(B) / C)
            if a < 1 and B:
                used = [j for j in np.flatnonzero(A) if net.product_[j]]
                signs = frozenset(int(j) for j in np.flatnonzero(net.sign_[e, k, i]) if net.product_[j])
                log_unit = sum(A[j] * np.log(x[j]) for j in used)
                if not used and not signs:
                    constant -= (1 - a) * B / (1.0 + abs(B) / C)
                    continue
                factor_error, exponent_errors = np.nan, {}
                if covariance is not None:
                    first = i * (d + 3)
                    unknown = net._undetermined[k]
                    slope = np.zeros(len(covariance))
                    slope[first + d], slope[first + d + 2] = 1 / B, -1 / (1 - a)
                    for j in used:
                        slope[first + j] = -np.log(x[j])
                        error = np.sqrt(max(covariance[first + j, first + j], 0.0))
                        exponent_errors[int(j)] = np.inf if unknown[first + j] else float(error)
                    factor_error = float(np.sqrt(max(slope @ covariance @ slope, 0.0)))
                    if (unknown & (slope != 0)).any():
                        factor_error = np.inf
                factor = -(1 - a) * y * B * np.exp(-log_unit)
                exponents = {int(j): float(A[j]) for j in used}
                plateau = (1 - a) * y * C
                terms.append(_Term(factor, exponents, signs, {}, 0.0, plateau, factor_error, exponent_errors))
        # what is left of a constant by rounding
        scale = abs(net.D_[e, k]) + abs(net.y_mean_[k]) + 1.0
        shown = constant if abs(constant) > 1e-14 * scale else 0.0
        return terms, linear * y, constant * y, shown * y

    # --- text

    def text(self):
        n_terms = sum(len(terms) for _, terms, *_ in self.per_member)
        if len(self.per_member) > 1 or n_terms > LONG:
            nodes = self.net.A_.shape[2]
            nets = "one net" if len(self.per_member) == 1 else f"weighted mean of {len(self.per_member)} nets"
            return f"{nets} of up to {nodes} nodes (too long to read; the expression is in .python)"
        _, terms, linear, _, constant = self.per_member[0]
        parts = [self._offset_shown(str, _number)] if self.offset else []
        parts += [self._term_text(term) for term in terms]
        parts += [f"{_number(s)} {self._shown(j)}" for j, s in enumerate(linear) if s]
        if constant or not parts:
            parts.append(_number(constant))
        return _joined(parts)

    def _term_text(self, term):
        if term.slopes:
            inner = [f"{_number(s)} {self._shown(j)}" for j, s in term.slopes.items()]
            inner = _joined([*inner, _number(term.shift)])
            lead = "" if term.factor == 1 else f"{_number(term.factor)} "
            return f"{lead}g({inner}; {_number(term.plateau)})"
        factor = _number(term.factor)
        if self.errors:
            relative = term.factor_error
            factor += f"(±{abs(term.factor) * relative:.2g})" if relative < 1 else "(undetermined)"
        factors = [factor]
        for j, exponent in term.exponents.items():
            base = self._base(j, exponent, term.signs)
            power = f"^{exponent:.2f}" if exponent != 1 or self.errors else ""
            if self.errors:
                error = term.exponent_errors[j]
                if error == 0:
                    power += "(fixed)"
                else:
                    power += f"(±{error:.2g})" if error < max(abs(exponent), 0.5) else "(undetermined)"
            factors.append(base + power)
        for j in sorted(term.signs - set(term.exponents)):
            factors.append(f"sign({self.names[j]})")
        product = " ".join(factors)
        return product if np.isinf(term.plateau) else f"g({product}; {_number(term.plateau)})"

    def _base(self, j, exponent, signs):
        name = self._shown(j)
        if self.net.x_min_[j] >= 0:
            return name
        whole = exponent == round(exponent)
        if whole and (round(exponent) % 2 == 1) == (j in signs):
            return name if name.isidentifier() or not self.raw else f"({name})"
        return f"sign({self.names[j]}) |{name}|" if j in signs else f"|{name}|"

    # --- LaTeX

    def latex(self):
        if len(self.per_member) > 1:
            return rf"\text{{weighted mean of {len(self.per_member)} nets}}"
        _, terms, linear, _, constant = self.per_member[0]
        parts = [self._offset_shown(_latex_name, _latex_number)] if self.offset else []
        parts += [self._term_latex(term) for term in terms]
        parts += [f"{_latex_number(s)}\\,{self._latex_feature(j)}" for j, s in enumerate(linear) if s]
        if constant or not parts:
            parts.append(_latex_number(constant))
        return _joined(parts)

    def _latex_feature(self, j):
        return self._shown(j, _latex_name, _latex_number)

    def _term_latex(self, term):
        if term.slopes:
            inner = [f"{_latex_number(s)}\\,{self._latex_feature(j)}" for j, s in term.slopes.items()]
            inner = _joined([*inner, _latex_number(term.shift)])
            lead = "" if term.factor == 1 else _latex_number(term.factor) + r"\,"
            return rf"{lead}g\!\left({inner};\,{_latex_number(term.plateau)}\right)"
        factors = [_latex_number(term.factor)]
        for j, exponent in term.exponents.items():
            feature = self._latex_feature(j)
            nearest = Fraction(exponent).limit_denominator(3)
            shown = str(nearest) if abs(exponent - nearest) < 1e-9 else f"{exponent:.2f}"
            plain = self.net.x_min_[j] >= 0 or not self._base(j, exponent, term.signs).endswith("|")
            if not plain and j in term.signs:
                factors.append(rf"\operatorname{{sign}}({_latex_name(self.names[j])})")
            base = feature if plain else rf"\left|{feature}\right|"
            factors.append(base if exponent == 1 else f"{{{base}}}^{{{shown}}}")
        rest = sorted(term.signs - set(term.exponents))
        factors += [rf"\operatorname{{sign}}({_latex_name(self.names[j])})" for j in rest]
        product = r"\,".join(factors)
        return product if np.isinf(term.plateau) else rf"g\!\left({product};\,{_latex_number(term.plateau)}\right)"

    # --- Python

    def python(self):
        taken = {"np", "X", self.offset.removesuffix("(X)")} if self.net.offset_column_ is None else {"np"}
        good = all(name.isidentifier() and not keyword.iskeyword(name) and name not in taken for name in self.names)
        plain = self.names if good else [f"x{j}" for j in range(len(self.names))]
        scales = self.net.x_scale_
        names = plain if self.raw else [f"({name} / {float(s)!r})" for name, s in zip(plain, scales, strict=True)]
        members = []
        for weight, terms, linear, constant, _ in self.per_member:
            parts = [repr(float(constant))]
            parts += [f"{float(s)!r} * {names[j]}" for j, s in enumerate(linear) if s]
            for term in terms:
                if term.slopes:
                    inner = [f"{float(s)!r} * {names[j]}" for j, s in term.slopes.items()]
                    inner = " + ".join([*inner, repr(float(term.shift))])
                    lead = float(term.factor)
                else:
                    inner = " * ".join(
                        [repr(float(term.factor))]
                        + [f"np.abs({names[j]}) ** {p!r}" for j, p in term.exponents.items()]
                        + [f"np.sign({names[j]})" for j in sorted(term.signs)]
                    )
                    lead = 1.0
                if np.isinf(term.plateau):
                    parts.append(inner)
                else:
                    parts.append(f"{lead!r} * ({inner}) / (1.0 + np.abs({inner}) / {float(term.plateau)!r})")
            body = " + ".join(parts)
            members.append(body if weight == 1 else f"{float(weight)!r} * ({body})")
        total = " + ".join(members)
        if not self.raw:
            total = f"{float(self.net.y_scale_[self.k])!r} * ({total})"
        if self.net.offset_column_ is not None:
            total += f" + {plain[self.net.offset_column_]}"
        elif self.net.offset is not None:
            total += f" + {self.offset}"
        return total


def _joined(parts):
    """Sum of terms; one that begins with a minus is subtracted."""
    text = parts[0]
    for part in parts[1:]:
        text += f" - {part[1:]}" if part.startswith("-") else f" + {part}"
    return text


def _number(value):
    return f"{value:.2f}" if 0.09999 <= abs(value) < 1000 else f"{value:.3g}"


def _latex_number(value):
    text = _number(value)
    if "e" in text:
        mantissa, power = text.split("e")
        return rf"{mantissa} \cdot 10^{{{int(power)}}}"
    return text


def _latex_name(name):
    head, _, tail = name.partition("_")
    if len(name) == 1 and name.isalnum():
        return name
    return rf"\mathrm{{{_escaped(head)}}}" + (rf"_{{\mathrm{{{_escaped(tail)}}}}}" if tail else "")


def _escaped(name):
    special = {"\\": r"\backslash{}", "^": r"\hat{}", "~": r"\sim{}", " ": r"\ "} | {c: "\\" + c for c in "_{}%$&#"}
    return "".join(special.get(c, c) for c in name)
