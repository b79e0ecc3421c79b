"""The fitted law in words: as a physicist writes it, as LaTeX, and as Python."""

from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

from skmerge._net import uncertainty
from skmerge._net.notation import (
    MOST_DIGITS,
    Term,
    as_identifiers,
    given_names,
    joined,
    latex_name,
    latex_note,
    latex_number,
    latex_power,
    offset_name,
    power_of_ten,
    written,
)

RANGE = 250  # decades that the numbers of a formula in raw units may span
LONG = 12  # terms above which str() describes rather than prints
MANY = 200  # numbers, likewise
# Root mean square of printed text minus prediction, each over hypot(std(y), its distance from the mean): of rows that
# lie as far from the mean as std(y) says, 3 % of std(y). Three digits of a factor are up to 0.5 %, of an exponent over
# three decades 1 to 3 %.
TOLERANCE = 0.02
POINTS = 256  # at which it is measured, three times: their mean square is known within 10 %


@dataclass(frozen=True)
class Formula:
    """A fitted law.

    Attributes
    ----------
    text : str
        What ``str`` returns; ``g(u; C)`` is ``C u / (|u| + C)``. Two decimals or three significant digits, more where
        the text would otherwise be off the prediction by over 2 % of hypot(std(y), distance from the mean of y),
        root mean square over the box of the training data: 1 % of std(y) of rows like those.
    latex : str
        The same, for a mathematical display.
    python : str or list of str
        Expression of ``python_names`` and ``np`` that evaluates to the prediction; one for each output.
    python_names : dict of str to str
        What each feature is called in ``python``: its name where that is an identifier, else the name with an
        underscore for everything that an identifier may not hold ("T (K)" is T_K, "100%" is _100), and one more
        behind what is a keyword, taken (np, X, the offset's name) or another feature's.
    terms : list of Term, or one for each output
        Kind, text, exponents and their standard errors; empty where the text is too long to read.
    """

    text: str
    latex: str
    python: str | list[str]
    python_names: dict[str, str]
    terms: list = field(compare=False)  # arrays

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
        names = given_names(feature_names, "feature_names", d, f"{d} different names, one for each column of X")
        if len(set(names)) != d:
            raise ValueError(f"feature_names must be {d} different names, got {names}; rename those that repeat.")
        if target_names is None:
            target_names = getattr(net, "target_names_in_", None)
            if target_names is None:
                word = "y"
                while any(name == word or (m > 1 and name.startswith(word)) for name in names):
                    word = "target" if word == "y" else f"{word}_"
                target_names = [word] if m == 1 else [f"{word}{k}" for k in range(m)]
        elif isinstance(target_names, str):
            target_names = [target_names]
        targets = given_names(target_names, "target_names", m, f"{m} names, one for each column of y")
        if not isinstance(standard_errors, (bool, np.bool_)):
            raise TypeError(f"standard_errors={standard_errors!r} is not possible: give True or False.")
        if standard_errors and not net.covariance_:
            raise ValueError("standard_errors: an ensemble or very large net has none; a law does (n_estimators=1).")
        lines, latex, python, terms = [], [], [], []
        identifiers = as_identifiers(names, net)
        for k in range(m):
            writer = _Writer(net, k, names, identifiers, standard_errors)
            lines.append(f"{targets[k]}{writer.unit(written)} = {writer.text()}")
            latex.append(f"{latex_name(targets[k])}{writer.unit(latex_number)} = {writer.latex()}")
            python.append(writer.python())
            terms.append(writer.summary())
        return cls(
            "\n".join(lines), r" \\ ".join(latex), python[0] if m == 1 else python,
            dict(zip(names, identifiers, strict=True)), terms[0] if m == 1 else terms,
        )  # fmt: skip


@dataclass
class _Term:
    """Half of a node: a product, or a sum that saturates."""

    product: bool
    used: list  # features
    signs: list  # features whose sign multiplies it
    saturates: bool
    nodes: list  # that it stands for


class _Writer:
    """One output's formula, in raw units where its numbers lie well within the range of float, else in powers of ten.

    A law is a list of terms and a dict of the numbers that are printed: (t, "factor"), (t, "shift"), (t, "plateau")
    and, for each feature used, (t, j), the exponent or slope, of term t; ("linear", j) and ("constant",).
    """

    def __init__(self, net, k, names, identifiers, errors):
        self.net, self.k, self.names, self.identifiers, self.errors = net, k, names, identifiers, errors
        self.members = [e for e in range(len(net.A_)) if net.estimator_weight_[e, k]]
        x, y = net.x_scale_, net.y_scale_[k]
        exponent = np.abs(net.A_[:, k]).max(axis=(0, 1), initial=1.0)
        size = np.abs(np.log10(x)) * exponent
        self.raw = bool(size.sum() + abs(np.log10(y)) < RANGE)
        self.x, self.y = (np.ones(len(x)), 1.0) if self.raw else (power_of_ten(x), float(power_of_ten(y)))
        self.laws = [(net.estimator_weight_[e, k], *self._law(self._theta(e), net.sign_[e, k])) for e in self.members]
        n_terms = sum(len(terms) for _, terms, _ in self.laws)
        self.long = len(self.laws) > 1 or n_terms > LONG or len(self.laws[0][2]) > MANY
        if not self.long:
            _, self.terms, self.values = self.laws[0]
            self._merge()
            self.shown = dict(self.values)
            # what is left of a constant by rounding
            scale = (abs(net.D_[self.members[0], k]) + abs(net.y_mean_[k]) + 1.0) * y / self.y
            if abs(self.values["constant",]) <= 1e-14 * scale:
                self.shown["constant",] = 0.0
            self.digits = self._digits()
            if errors:
                self._propagate()
        self.offset = ""
        if net.offset_column_ is not None:
            self.offset = names[net.offset_column_]
        elif net.offset is not None:
            self.offset = f"{offset_name(net)}(X)"

    def unit(self, number):
        return "" if self.y == 1.0 else f"/{number(self.y)}"

    def _shown(self, j, name=str, number=None):
        """Feature j, over its unit where the formula has units."""
        if self.x[j] == 1.0:
            plain = name(self.names[j])
            return f"({plain})" if name is str and not plain.isidentifier() else plain
        return f"({name(self.names[j])}/{(number or written)(self.x[j])})"

    def _offset_shown(self, name, number):
        shown = name(self.offset)
        return shown if self.y == 1.0 else f"{shown}/{number(self.y)}"

    # --- numbers

    def _theta(self, e):
        """Flat parameters of member e."""
        net, k = self.net, self.k
        nodes = [net.A_[e, k], net.B_[e, k, :, None], 1.0 / net.C_[e, k, :, None], net.blend_[e, k, :, None]]
        return np.append(np.hstack(nodes).ravel(), net.D_[e, k] + net.blend_[e, k].mean() * net.y_mean_[k])

    def _law(self, theta, sign):
        """Terms and printed numbers of flat parameters, which may have an imaginary part: a step of a derivative."""
        net, y = self.net, self.net.y_scale_[self.k] / self.y
        ratio = net.x_scale_ / self.x
        d = len(ratio)
        constant, terms, values = theta[-1], [], {}
        for i, node in enumerate(theta[:-1].reshape(-1, d + 3)):
            A, B, curvature, a = node[:d], node[d], node[d + 1], node[d + 2]
            used = [int(j) for j in np.flatnonzero(A.real)]
            level = B / (1.0 + B * np.sign(B.real) * curvature)  # of a node without features
            if a.real > 0 and curvature.real == 0:
                for j in used:
                    values["linear", j] = values.get(("linear", j), 0.0) + a * A[j] / ratio[j] * y
                constant = constant + a * (B - A @ net.x_mean_)
            elif a.real > 0 and used:
                t = len(terms)
                terms.append(_Term(False, used, [], True, [i]))
                values[t, "factor"] = a
                values |= {(t, j): A[j] / ratio[j] * y for j in used}
                values[t, "shift"], values[t, "plateau"] = y * (B - A @ net.x_mean_), y / curvature
            elif a.real > 0:
                constant = constant + a * level
            if a.real < 1 and B.real:
                used = [j for j in used if net.product_[j]]
                signs = [int(j) for j in np.flatnonzero(sign[i]) if net.product_[j]]
                if not used and not signs:
                    constant = constant - (1 - a) * level
                    continue
                t = len(terms)
                terms.append(_Term(True, used, signs, curvature.real > 0, [i]))
                log_unit = sum((A[j] * np.log(ratio[j]) for j in used), 0.0)
                values[t, "factor"] = -(1 - a) * y * B * np.exp(-log_unit)
                values |= {(t, j): A[j] for j in used}
                if curvature.real > 0:
                    values[t, "plateau"] = (1 - a) * y / curvature
        values["constant",] = constant * y
        return terms, values

    def _evaluate(self, values, X, terms=None):
        """The printed formula without its offset, at X in printed units."""
        f = np.full(len(X), values["constant",])
        for key, value in values.items():
            if key[0] == "linear":
                f = f + value * X[:, key[1]]
        for t, term in enumerate(self.terms if terms is None else terms):
            if term.product:
                u, lead = values[t, "factor"], 1.0
                for j in term.used:
                    u = u * np.abs(X[:, j]) ** values[t, j]
                for j in term.signs:
                    u = u * np.sign(X[:, j])
            else:
                u, lead = values[t, "shift"], values[t, "factor"]
                for j in term.used:
                    u = u + values[t, j] * X[:, j]
            f = f + (lead * u / (1.0 + np.abs(u) / values[t, "plateau"]) if term.saturates else u)
        return f

    def _merge(self):
        """Join products of the same powers and leave powers of about 0 out, as far as the text can still be right."""
        samples = self._samples()
        X, ends = np.concatenate(samples), np.cumsum([len(sample) for sample in samples])
        y, mean = self.net.y_scale_[self.k] / self.y, self.net.y_mean_[self.k]
        terms, values = self.laws[0][1:]
        with np.errstate(all="ignore"):
            exact = self._evaluate(values, X)
            size = np.hypot(y, exact - mean * y)

        def error(values):
            """Of the printed numbers, the root mean square distance from the prediction; see TOLERANCE."""
            with np.errstate(all="ignore"):
                square = ((self._evaluate(values, X) - exact) / size) ** 2
                worst = np.sqrt(max(part.mean() for part in np.split(square, ends[:-1])))
            return worst if np.isfinite(worst) else np.inf

        # two products that nearly cancel have a joint exponent beyond both
        low, high = self.net._exponent_bounds(len(self.names))

        def attempt(plan):
            before = self.plan, self.terms, self.values
            self.plan = plan
            with np.errstate(all="ignore"):
                self.terms, self.values = self._as_merged(terms, values)
            powers = [(key[1], value) for key, value in self.values.items() if self._is_exponent(key)]
            allowed = all(low[j] - 1e-9 <= value <= high[j] + 1e-9 for j, value in powers)
            # half of what the rounding of all numbers may cost
            if not (allowed and error(self.values) <= TOLERANCE / 2):
                self.plan, self.terms, self.values = before

        self.plan, self.error_of_text = [([t], term.used) for t, term in enumerate(terms)], error
        for t, term in enumerate(terms):
            for j in term.used:
                if term.product and abs(values[t, j]) < 0.005:
                    attempt([(group, [i for i in used if i != j]) if group == [t] else (group, used)
                             for group, used in self.plan])  # fmt: skip
        for t, term in enumerate(terms):
            for first, used in self.plan:
                if t in first:
                    break
                if (
                    ([t], used) in self.plan
                    and term.product
                    and terms[first[0]].product
                    and not (term.saturates or terms[first[0]].saturates)
                    and term.signs == terms[first[0]].signs
                    and all(abs(values[t, j] - values[first[0], j]) < 0.005 for j in used)
                ):
                    rest = [(group, kept) for group, kept in self.plan if group not in (first, [t])]
                    attempt(sorted([([*first, t], used), *rest]))
                    break

    def _as_merged(self, terms, values):
        """The terms and numbers that are printed, of those of the nodes: see ``plan``, (terms, powers) of each.

        The joint exponent is the mean by the factors: right to first order, and so are its derivatives.
        """
        ratio = self.net.x_scale_ / self.x
        merged, printed = [], {key: value for key, value in values.items() if key[0] in ("linear", "constant")}
        for group, used in self.plan:
            term = terms[group[0]]
            t, nodes = len(merged), [node for g in group for node in terms[g].nodes]
            own = {key[1]: value for key, value in values.items() if key[0] == group[0]}
            if term.product:
                factors = {
                    g: values[g, "factor"]
                    * np.exp(sum((values[g, j] * np.log(ratio[j]) for j in terms[g].used if j not in used), 0.0))
                    for g in group
                }
                own["factor"] = sum(factors.values())
                own = {key: value for key, value in own.items() if not isinstance(key, int) or key in used}
                if len(group) > 1:
                    own |= {j: sum(f * values[g, j] for g, f in factors.items()) / own["factor"] for j in used}
            if term.product and not used and not term.signs and not term.saturates:
                printed["constant",] = printed["constant",] + own["factor"]
                continue
            merged.append(_Term(term.product, used, term.signs, term.saturates, nodes))
            printed |= {(t, key): value for key, value in own.items()}
        return merged, printed

    def _samples(self):
        """Points at which the text is compared with the prediction, a list of arrays in printed units.

        The rows that were trained are not kept: one array is even in their box and one, for features of one sign,
        even in logarithms, for a table may be either; and one for each sum that saturates lies where that is
        steepest, for a step that is printed beside a row misses it.
        """
        low, high = self.net.x_min_ / self.x, self.net.x_max_ / self.x
        rng = np.random.default_rng(0)  # a table may have more features than a Sobol sequence
        with np.errstate(all="ignore"):
            U = rng.random((POINTS, len(low)))
            even = low * (1 - U) + high * U
            one_sign = (low > 0) | (high < 0)
            ends = np.log(np.abs(np.stack([low, high])))
            logarithmic = np.where(one_sign, np.sign(low) * np.exp(ends[0] * (1 - U) + ends[1] * U), even)
            samples = [even, logarithmic]
            for t, term in enumerate(self.terms):
                if not term.product:
                    slope = np.zeros(len(low))
                    slope[term.used] = [self.values[t, j] for j in term.used]
                    u = even @ slope + self.values[t, "shift"]
                    step = slope * (high / 2 - low / 2) ** 2
                    middle = even - step * (u / (step @ slope))[:, None]
                    samples.append(middle[((middle >= low) & (middle <= high)).all(axis=1)])
        return [sample for sample in samples if len(sample)]

    def _digits(self):
        """How many digits beyond the usual each number needs for the text to be within TOLERANCE of the prediction."""
        error = self.error_of_text
        with np.errstate(all="ignore"):

            def rounded(key):
                return float(self._format(key, self.values[key], digits[key]))

            digits = dict.fromkeys(self.values, 0)
            for key, value in self.values.items():  # an exponent that is not zero is not written as zero
                while self._is_exponent(key) and value and not rounded(key) and digits[key] < MOST_DIGITS:
                    digits[key] += 1
            printed = {key: rounded(key) for key in digits}
            alone = {key: error(self.values | {key: printed[key]}) for key in digits}
            while error(printed) > TOLERANCE:
                more = [key for key in digits if digits[key] < MOST_DIGITS]
                if not more:
                    break
                key = max(more, key=alone.get)
                digits[key] += 1
                printed[key] = rounded(key)
                alone[key] = error(self.values | {key: printed[key]})
        return digits

    def _is_exponent(self, key):
        return key[0] != "linear" and isinstance(key[-1], int) and self.terms[key[0]].product

    def _format(self, key, value, digits):
        if self._is_exponent(key) and digits < MOST_DIGITS:
            text = f"{value:.{2 + digits}f}"
            return text if float(text) else text.removeprefix("-")
        return written(value, digits)

    # --- standard errors

    def _propagate(self):
        """Standard errors of the printed numbers: of each, by its complex-step derivative, gradient' Cov gradient."""
        net, k, e = self.net, self.k, self.members[0]
        covariance, null, standing = net.covariance_[k], net._null[k], net._standing[k]
        theta = self._theta(e)
        if null.shape[1:] != theta.shape or standing.shape != theta.shape:
            raise ValueError("standard_errors: the model is damaged; fit it again.")
        moving = np.flatnonzero(covariance.any(axis=0) | null.any(axis=0) | (standing == uncertainty.FREE))
        keys = list(self.values)
        gradient = np.zeros((len(keys), len(theta)))
        for q in moving:
            step = 1e-20 * (abs(theta[q]) or 1.0)
            moved = theta.astype(complex)
            moved[q] += 1j * step
            _, values = self._as_merged(*self._law(moved, net.sign_[e, k]))
            gradient[:, q] = [np.imag(values[key]) / step for key in keys]
        self.error = {}
        reach = np.sqrt((null**2).sum(axis=0))
        with np.errstate(all="ignore"):
            for key, slope in zip(keys, gradient, strict=True):
                size = np.abs(slope).max()
                if not size:
                    self.error[key] = 0.0  # fixed
                    continue
                slope = slope / size
                lost = np.linalg.norm(null @ slope) > 1e-3 * np.linalg.norm(reach * slope)
                variance = max(slope @ covariance @ slope, 0.0)
                error = np.sqrt(variance) * size
                self.error[key] = np.inf if lost or not np.isfinite(error) else float(error)
        self.fixed = {key for key, slope in zip(keys, gradient, strict=True) if not slope.any()}
        self.standing = standing[:-1].reshape(-1, len(self.names) + 3)[:, : len(self.names)]

    def _note(self, key):
        """What follows a number: its standard error or a word."""
        if not self.errors:
            return ""
        t, j = key[0], key[-1]
        if isinstance(j, int):
            nodes = self._linear_nodes(j) if t == "linear" else self.terms[t].nodes
            of_nodes = self.standing[nodes, j]
            words = {
                uncertainty.SHARED: "(undetermined)",
                uncertainty.UNDECIDED: "(undetermined)",
                uncertainty.REFUSED: "(fixed as given, the data object)",
                uncertainty.GIVEN: "(fixed as given)",
                uncertainty.BOUND: "(at its bound)",
            }
            for standing, word in words.items():
                if (of_nodes == standing).any():
                    return word
        if key in self.fixed:
            return "(fixed)"
        error, size = self.error[key], abs(self.values[key])
        if j in ("factor", "plateau"):
            enough = size
        elif t in ("linear", "constant") or j == "shift" or not self.terms[t].product:
            enough = np.inf
        else:
            enough = max(size, 0.5)
        return f"(±{error:.2g})" if error < enough else "(undetermined)"

    def _linear_nodes(self, j):
        net, e, k = self.net, self.members[0], self.k
        return np.flatnonzero((net.blend_[e, k] > 0) & np.isinf(net.C_[e, k]) & (net.A_[e, k, :, j] != 0))

    def _remarks(self):
        """What the data cannot decide and the formula does not show."""
        together = np.flatnonzero((self.standing == uncertainty.SHARED).any(axis=0))
        names = [self.names[j] for j in together]
        still = [name for name, low, high in zip(self.names, self.net.x_min_, self.net.x_max_, strict=True)
                 if low == high]  # fmt: skip
        remarks = [f"undetermined between {', '.join(names)}: they vary together"] if len(names) > 1 else []
        remarks += [f"{', '.join(still)} undetermined: constant"] if still else []
        return f"  [{'; '.join(remarks)}]" if remarks else ""

    # --- text

    def text(self):
        if self.long:
            nodes = self.net.A_.shape[2]
            nets = "one net" if len(self.laws) == 1 else f"weighted mean of {len(self.laws)} nets"
            size = f"up to {nodes} nodes" if nodes > 1 else "1 node"
            return f"{nets} of {size} (too long to read; the expression is in .python)"
        parts = [self._offset_shown(str, written)] if self.offset else []
        parts += [self._term_text(t, term) for t, term in enumerate(self.terms)]
        parts += [f"{self._printed(key)} {self._shown(key[1])}" for key in self._slopes()]
        if self.shown["constant",] or not parts:
            parts.append(self._printed(("constant",)))
        return joined(parts) + (self._remarks() if self.errors else "")

    def _slopes(self):
        return sorted(key for key, value in self.values.items() if key[0] == "linear" and value)

    def _printed(self, key):
        return self._format(key, self.shown[key], self.digits[key]) + self._note(key)

    def _term_text(self, t, term):
        plateau = self._printed((t, "plateau")) if term.saturates else ""
        if not term.product:
            inner = [f"{self._printed((t, j))} {self._shown(j)}" for j in term.used]
            inner = joined([*inner, self._printed((t, "shift"))])
            lead = "" if self.values[t, "factor"] == 1 else f"{self._printed((t, 'factor'))} "
            return f"{lead}g({inner}; {plateau})"
        factors = [self._printed((t, "factor"))]
        for j in term.used:
            exponent = self.values[t, j]
            power = f"^{self._printed((t, j))}" if exponent != 1 or self.errors else ""
            factors.append(self._base(j, exponent, term.signs) + power)
        factors += [f"sign({self.names[j]})" for j in term.signs if j not in term.used]
        product = " ".join(factors)
        return f"g({product}; {plateau})" if term.saturates else product

    def _base(self, j, exponent, signs):
        name = self._shown(j)
        if self.net.x_min_[j] >= 0:
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
            for j in term.used if term.product else ():
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
            return rf"\text{{one net of {self.net.A_.shape[2]} nodes}}"
        parts = [self._offset_shown(latex_name, latex_number)] if self.offset else []
        parts += [self._term_latex(t, term) for t, term in enumerate(self.terms)]
        parts += [f"{self._latex(key)}\\,{self._latex_feature(key[1])}" for key in self._slopes()]
        if self.shown["constant",] or not parts:
            parts.append(self._latex(("constant",)))
        return joined(parts)

    def _latex(self, key):
        return latex_power(self._format(key, self.shown[key], self.digits[key])) + latex_note(self._note(key))

    def _latex_feature(self, j):
        return self._shown(j, latex_name, latex_number)

    def _term_latex(self, t, term):
        plateau = self._latex((t, "plateau")) if term.saturates else ""
        if not term.product:
            inner = [f"{self._latex((t, j))}\\,{self._latex_feature(j)}" for j in term.used]
            inner = joined([*inner, self._latex((t, "shift"))])
            lead = "" if self.values[t, "factor"] == 1 else self._latex((t, "factor")) + r"\,"
            return rf"{lead}g\!\left({inner};\,{plateau}\right)"
        factors = [self._latex((t, "factor"))]
        for j in term.used:
            exponent, feature = self.values[t, j], self._latex_feature(j)
            nearest = Fraction(float(exponent)).limit_denominator(3)
            shown = self._latex((t, j))
            if abs(exponent - nearest) < 1e-9:
                shown = f"{nearest}{latex_note(self._note((t, j)))}"
            plain = self.net.x_min_[j] >= 0 or not self._base(j, exponent, term.signs).endswith("|")
            if not plain and j in term.signs:
                factors.append(rf"\operatorname{{sign}}({latex_name(self.names[j])})")
            base = feature if plain else rf"\left|{feature}\right|"
            factors.append(base if exponent == 1 and not self.errors else f"{{{base}}}^{{{shown}}}")
        factors += [rf"\operatorname{{sign}}({latex_name(self.names[j])})" for j in term.signs if j not in term.used]
        product = r"\,".join(factors)
        return rf"g\!\left({product};\,{plateau}\right)" if term.saturates else product

    # --- Python

    def python(self):
        names = self.identifiers
        if not self.raw:
            names = [f"({name} / {float(s)!r})" for name, s in zip(names, self.x, strict=True)]
        members = []
        for weight, terms, values in self.laws:
            number = {key: repr(float(value)) for key, value in values.items()}
            parts = [number["constant",]]
            parts += [f"{number[key]} * {names[key[1]]}" for key in values if key[0] == "linear"]
            for t, term in enumerate(terms):
                if term.product:
                    inner = " * ".join(
                        [number[t, "factor"]]
                        + [f"np.abs({names[j]}) ** {number[t, j]}" for j in term.used]
                        + [f"np.sign({names[j]})" for j in term.signs]
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
        if self.net.offset_column_ is not None:
            total += f" + {self.identifiers[self.net.offset_column_]}"
        elif self.net.offset is not None:
            total += f" + {self.offset}"
        return total
