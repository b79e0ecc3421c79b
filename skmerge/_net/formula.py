"""The fitted law as text in the notation of physics, as LaTeX and as Python."""

from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

from skmerge._net import limits, stored
from skmerge._net.functions import KINDS
from skmerge._net.notation import (
    Term,
    as_identifiers,
    given_names,
    joined,
    latex_name,
    latex_note,
    latex_number,
    latex_power,
    written,
)
from skmerge._net.objective import MAX_CURVATURE
from skmerge._net.printed import Numbers
from skmerge._text import printable

MAX_GROUPS = 12  # whose laws the text shows


@dataclass(frozen=True)
class Formula:
    """A fitted law.

    Attributes
    ----------
    text : str
        What ``str`` returns; ``g(u; C)`` is ``C u / (|u| + C)``. It has two decimals or three significant digits, and
        more where it would otherwise miss the prediction by over 2 % of hypot(std(y), distance from the mean of y),
        root mean square over the box of the training data; for rows like those, that is 1 % of std(y).
    latex : str
        The same, for a mathematical display.
    python : str or list of str
        Expression of ``python_names`` and ``np`` that evaluates to the prediction; one for each output.
    python_names : dict of str to str
        What each feature is called in ``python``: its name where that is an identifier, else the name with an
        underscore for everything that an identifier may not contain ("T (K)" is T_K, "100%" is _100). One more
        underscore follows a keyword, a name in use (np, X, the offset's name) and that of another feature.
    terms : list of Term, or one for each output
        Kind, text, exponents and their standard errors; empty where the text is too long to read. Of a law of groups
        the terms in the first group.
    groups : dict of Formula, or one for each output
        The law of each group; empty where all groups have the same.
    """

    text: str
    latex: str
    python: str | list[str]
    python_names: dict[str, str]
    terms: list = field(compare=False)  # arrays
    groups: dict | list = field(compare=False)

    def __str__(self):
        return self.text

    def __repr__(self):
        return f"<Formula {self.text!r}>"

    def _repr_latex_(self):
        return f"$\\displaystyle {self.latex}$"

    @classmethod
    def of(cls, nets, feature_names, target_names, standard_errors):
        d, m = len(nets.x_scale_), nets.n_outputs
        names = given_names(feature_names, "feature_names", d, f"{d} different names, one for each column of X")
        if len(set(names)) != d:
            raise ValueError(f"feature_names must be {d} different names, got {names}; rename those that repeat.")
        if target_names is None:
            target_names = default_targets(m, names, nets.target_names)
        elif isinstance(target_names, str):
            target_names = [target_names]
        targets = given_names(target_names, "target_names", m, f"{m} names, one for each column of y")
        if not isinstance(standard_errors, (bool, np.bool_)):
            raise TypeError(f"standard_errors={standard_errors!r} is not possible: give True or False.")
        if standard_errors and not nets.covariance_:
            raise ValueError(f"standard_errors: {_why_no_errors(nets)}")
        lines, latex, python, terms, groups = [], [], [], [], []
        identifiers = as_identifiers(names, nets.offset.name)
        for k in range(m):
            writer = _Writer(nets, k, names, identifiers, standard_errors)
            python.append(writer.python())
            groups.append(cls._of_groups(nets, k, names, targets[k], standard_errors))
            if groups[k]:
                some = list(groups[k].items())[:MAX_GROUPS]
                more = len(groups[k]) - len(some)
                rest = f"... and {more} more groups, see .groups"
                lines += [f"{one.text}  [{nets.group_name} = {group}]" for group, one in some] + [rest] * (more > 0)
                latex += [rf"{one.latex}\quad\text{{{nets.group_name} = {group}}}" for group, one in some]
                terms.append(some[0][1].terms)
                continue
            lines.append(printable(f"{targets[k]}{writer.unit(written)} = {writer.text()}"))
            latex.append(f"{latex_name(targets[k])}{writer.unit(latex_number)} = {writer.latex()}")
            terms.append(writer.summary())
        return cls(
            "\n".join(lines), r" \\ ".join(latex), python[0] if m == 1 else python,
            dict(zip(names, identifiers, strict=True)), terms[0] if m == 1 else terms, groups[0] if m == 1 else groups,
        )  # fmt: skip

    @classmethod
    def _of_groups(cls, nets, k, names, target, standard_errors):
        """The law of output k in each group, by its label."""
        which = stored.groups_of(nets, k)
        return {
            stored.label_of(nets, q): cls.of(stored.of_group(nets, k, q), names, [target], standard_errors)
            for q in which
        }


def default_targets(m, names, own=None):
    """What m targets are called, beside features of these names; ``own``: their names, if they have some."""
    word = "y" if own is None else "target"
    while any(name == word or (m > 1 and name.startswith(word)) for name in names):
        word = "target" if word == "y" else f"{word}_"
    if own is None or (m == 1 and own[0] in names):
        return [word] if m == 1 else [f"{word}{k}" for k in range(m)]
    found = []
    for name in own:
        other = f"target_{name}" if name in names else name
        while other != name and (other in names or other in own):
            other += "_"
        found.append(other)
    return found


def _why_no_errors(nets):
    """Why a fit keeps no covariance, and what to do."""
    if len(nets.A_) > 1:
        return f"an ensemble of {len(nets.A_)} nets has none; a law does (n_estimators=1)."
    n_groups = max(len(stored.groups_of(nets, k)) for k in range(nets.n_outputs))
    size = len(nets.parameters(0, 0))
    if n_groups and size > MAX_CURVATURE:
        return (
            f"with constants for each of {n_groups} groups the net has {size} numbers, and the covariance of at most "
            f"{MAX_CURVATURE} is kept; fit some of the groups at a time, or leave standard_errors at False."
        )
    return "a net of so many parameters or rows keeps no covariance; leave standard_errors at False."


def laws_of(nets, k, tried, feature_names):
    """The candidates of output k, as MergedNetRegressor.laws_ describes them."""
    found = []
    target = default_targets(nets.n_outputs, feature_names, nets.target_names)[k]
    for law in tried:
        one = stored.with_net(nets, k, law)
        formula = Formula.of(one, feature_names, [target], False)
        text = {"formula": str(formula), "latex": formula.latex, "python": formula.python}
        found.append(text | {name: law[name] for name in ("n_parameters", "validation_error", "is_chosen")})
        found[-1]["why"] = _why(law, tried) if law["is_chosen"] else ""
    return found


def _why(law, tried):
    """Why a law of the list is the model's."""
    best = min(tried, key=lambda one: one["validation_error"])
    more = best["n_parameters"] - law["n_parameters"]
    if law["validation_error"] <= best["validation_error"]:
        return "least error on rows left out"
    if more > 0:
        ratio = law["validation_error"] / best["validation_error"]
        return f"{more} number(s) fewer than the law of least error, which errs {ratio:.3g} times less"
    return "the law of least error has less simple exponents, a pole, or another link than the one asked for"


class _Writer(Numbers):
    """One output's formula."""

    def __init__(self, nets, k, names, identifiers, errors):
        super().__init__(nets, k, names, errors)
        self.identifiers, offset = identifiers, nets.offset
        self.offset = "" if offset.name is None else f"{offset.name}(X)"
        self.offset = self.offset if offset.column is None else names[offset.column]

    def unit(self, number):
        """What y is divided by on the left; with a link the unit stands within it."""
        return "" if self.y == 1.0 or self.has_link else f"/{number(self.y)}"

    def _shown(self, j, name=str, number=written):
        """Feature j, over its unit where the formula has units, or function j."""
        if j >= len(self.names):
            return self._function(j - len(self.names), name, number)
        plain = name(self.names[j])
        if self.x[j] == 1.0:
            return f"({plain})" if name is str and not plain.isidentifier() else plain
        return f"({plain}/{number(self.x[j])})"

    def _function(self, q, name, number):
        """A function and its argument."""
        functions, kind = self.functions, KINDS[str(self.functions.kind[q])]
        key, phase, is_text = ("function", q, "factor"), ("function", q, "phase"), name is str
        printed, space = (self._printed, " ") if is_text else (self._latex, r"\,")
        parts = [printed(key)] if self.values[key] != 1 or functions.free[q, 0] else []
        for j in np.flatnonzero(functions.exponent[q]):
            e, base = functions.exponent[q, j], self._shown(int(j), name, number)
            shown = written(e) if is_text else str(Fraction(float(e)).limit_denominator(3))
            parts.append(base if e == 1 else f"{base}^{shown}" if is_text else f"{{{base}}}^{{{shown}}}")
        inner = [space.join(parts)] + ([printed(phase)] if self.values[phase] else [])
        return (kind.text if is_text else kind.latex).format(joined(["1"] * kind.is_power + inner))

    def _sum(self, term, printed, feature, space, offset, form, number):
        """Offset, terms, linear part and constant, by functions that write one of each; ``form`` of the link."""
        parts = [offset] if self.offset and not self.has_link else []
        parts += [term(t, one) for t, one in enumerate(self.terms)]
        parts += [f"{printed(key)}{space}{feature(key[1])}" for key in self._slopes()]
        if self.shown["constant",] or not parts:
            parts.append(printed(("constant",)))
        total = joined(parts)
        if not self.has_link:
            return total
        total = form.format(total if self.y == 1.0 else f"{number(self.y)}{space}({total})")
        return joined([offset, total] if self.offset else [total])

    # --- text

    def text(self):
        if self.long:
            nodes = self.nets.A_.shape[2]
            nets = "one net" if len(self.laws) == 1 else f"weighted mean of {len(self.laws)} nets"
            size = f"up to {nodes} nodes" if nodes > 1 else "1 node"
            return f"{nets} of {size} (too long to read; the expression is in .python)"
        total = self._sum(
            self._term_text,
            self._printed,
            self._shown,
            " ",
            f"{self.offset}{self.unit(written)}",
            self.link.text,
            written,
        )
        return total + self._remarks()

    def _slopes(self):
        return sorted(key for key, value in self.values.items() if key[0] == "linear" and value)

    def _printed(self, key):
        return self._format(key, self.shown[key], self.digits[key]) + self._note(key)

    def _term_text(self, t, term):
        if term.product:
            lead, factors = "", [self._printed((t, "factor"))]
            for j in term.used:
                exponent = self.values[t, j]
                is_one = exponent == 1 and (not self.errors or j >= len(self.names))
                power = "" if is_one else f"^{self._printed((t, j))}"
                factors.append(self._base(j, exponent, term.signs) + power)
            factors += [f"sign({self.names[j]})" for j in term.signs if j not in term.used]
            inner = " ".join(factors)
        else:
            lead = "" if self.values[t, "factor"] == 1 else f"{self._printed((t, 'factor'))} "
            inner = [f"{self._printed((t, j))} {self._shown(j)}" for j in term.used]
            inner = joined([*inner, self._printed((t, "shift"))])
        return f"{lead}g({inner}; {self._printed((t, 'plateau'))})" if term.saturates else inner

    def _base(self, j, exponent, signs):
        name = self._shown(j)
        if j >= len(self.names) or self.nets.x_min_[j] >= 0:
            return name
        whole = exponent == round(exponent)
        if whole and (round(exponent) % 2 == 1) == (j in signs):
            return name
        return f"sign({self.names[j]}) |{name}|" if j in signs else f"|{name}|"

    def summary(self):
        """The terms for ``Formula.terms``."""
        if self.long:
            return []
        shape, found = (2, len(self.names)), []
        for t, term in enumerate(self.terms):
            power, error = np.full(shape, np.nan)
            for j in [j for j in term.used if j < len(self.names)] if term.product else ():
                power[j], error[j] = self.values[t, j], self._error((t, j))
            found.append(Term("product" if term.product else "sum", self._term_text(t, term), power, error))
        for key in self._slopes():
            power, error = np.full(shape, np.nan)
            power[key[1]], error[key[1]] = 1.0, 0.0
            found.append(Term("linear", f"{self._printed(key)} {self._shown(key[1])}", power, error))
        return found

    def _error(self, key):
        note = self._note(key)
        return self.error[key] if "±" in note else np.nan if note in ("", "(undetermined)") else 0.0

    # --- LaTeX

    def latex(self):
        if len(self.laws) > 1:
            return rf"\text{{weighted mean of {len(self.laws)} nets}}"
        if self.long:
            return rf"\text{{one net of {self.nets.A_.shape[2]} nodes}}"
        offset = f"{latex_name(self.offset)}{self.unit(latex_number)}"
        how = offset, self.link.latex, latex_number
        return self._sum(self._term_latex, self._latex, self._latex_feature, r"\,", *how)

    def _latex(self, key):
        return latex_power(self._format(key, self.shown[key], self.digits[key])) + latex_note(self._note(key))

    def _latex_feature(self, j):
        return self._shown(j, latex_name, latex_number)

    def _term_latex(self, t, term):
        if term.product:
            lead, factors = "", [self._latex((t, "factor"))]
            features = [j for j in term.signs if j < len(self.names)]
            signs = {j: rf"\operatorname{{sign}}({latex_name(self.names[j])})" for j in features}
            for j in term.used:
                exponent, feature, shown = self.values[t, j], self._latex_feature(j), self._latex((t, j))
                nearest = Fraction(float(exponent)).limit_denominator(3)
                if abs(exponent - nearest) < 1e-9:
                    shown = f"{nearest}{latex_note(self._note((t, j)))}"
                is_function = j >= len(self.names)
                plain = is_function or self.nets.x_min_[j] >= 0 or not self._base(j, exponent, term.signs).endswith("|")
                if not plain and j in signs:
                    factors.append(signs[j])
                base = feature if plain else rf"\left|{feature}\right|"
                is_one = exponent == 1 and (is_function or not self.errors)
                factors.append(base if is_one else f"{{{base}}}^{{{shown}}}")
            factors += [sign for j, sign in signs.items() if j not in term.used]
            inner = r"\,".join(factors)
        else:
            lead = "" if self.values[t, "factor"] == 1 else self._latex((t, "factor")) + r"\,"
            inner = [f"{self._latex((t, j))}\\,{self._latex_feature(j)}" for j in term.used]
            inner = joined([*inner, self._latex((t, "shift"))])
        return rf"{lead}g\!\left({inner};\,{self._latex((t, 'plateau'))}\right)" if term.saturates else inner

    # --- Python

    def _python_factor(self, name, j, exponent, signs):
        if j < len(self.names):
            return f"np.abs({name}) ** {exponent}"
        base = name if j in signs else f"np.abs({name})"  # with its sign the exponent is odd
        return base if float(exponent) == 1 else f"{base} ** {exponent}"

    def _python_functions(self, names):
        values, found = self.laws[0].values, []
        for q, kind in enumerate(self.functions.kind):
            parts = [repr(float(values.get(("function", q, "factor"), 0.0)))]
            for j in np.flatnonzero(self.functions.exponent[q]):
                e = float(self.functions.exponent[q, j])
                base = names[j] if e % 2 == 1 else f"np.abs({names[j]})"
                parts.append(base if e == 1 else f"{base} ** {e!r}")
            inner, phase = " * ".join(parts), float(values.get(("function", q, "phase"), 0.0))
            kind = KINDS[str(kind)]
            found.append(kind.python.format("1.0 + " * kind.is_power + inner + (f" + {phase!r}" if phase else "")))
        return found

    def python(self):
        names, committee = self.identifiers, limits.is_committee(self.nets)[self.k]
        if committee:
            least, greatest = limits.feature_limits(self.nets)
            names = [f"np.maximum({n}, {float(x)!r})" if x > 0 else n for n, x in zip(names, least, strict=True)]
            names = [f"np.minimum({n}, {float(x)!r})" if x < 0 else n for n, x in zip(names, greatest, strict=True)]
        if not self.raw:
            names = [f"({name} / {float(s)!r})" for name, s in zip(names, self.x, strict=True)]
        names = [*names, *self._python_functions(names)]
        members = []
        for weight, terms, values in self.laws:
            number = {key: repr(float(value)) for key, value in values.items()}
            parts = [number["constant",]]
            parts += [f"{number[key]} * {names[key[1]]}" for key in values if key[0] == "linear"]
            for t, term in enumerate(terms):
                if term.product:
                    inner = " * ".join(
                        [number[t, "factor"]]
                        + [self._python_factor(names[j], j, number[t, j], term.signs) for j in term.used]
                        + [f"np.sign({names[j]})" for j in term.signs if j < len(self.names)]
                    )
                    lead = ""
                else:
                    inner = " + ".join([f"{number[t, j]} * {names[j]}" for j in term.used] + [number[t, "shift"]])
                    lead = f"{number[t, 'factor']} * "
                if term.saturates:
                    inner = f"{lead}({inner}) / (1.0 + np.abs({inner}) / {number[t, 'plateau']})"
                parts.append(inner)
            body = " + ".join(parts)
            members.append(body if weight == 1 else f"{float(weight)!r} * ({body})")
        total = " + ".join(members)
        if not self.raw:
            total = f"{self.y!r} * ({total})"
        total = self.link.python.format(total)
        if committee:
            low, high = self.nets.target_range_[:, self.k].tolist()
            total = f"np.clip({total}, {low!r}, {high!r})"
        if self.nets.offset.column is not None:
            total += f" + {self.identifiers[self.nets.offset.column]}"
        elif self.offset:
            total += f" + {self.offset}"
        return total
