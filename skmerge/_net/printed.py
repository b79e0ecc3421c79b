"""The numbers of a formula: terms that are joined, digits, standard errors."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from skmerge._net import uncertainty
from skmerge._net.notation import MOST_DIGITS, power_of_ten, written

RANGE = 250  # decades that the numbers of a formula in raw units may span
MAX_TERMS, MAX_NUMBERS = 12, 200  # of a formula; a longer one str() only describes
# Root mean square of the difference between printed text and prediction, each over hypot(std(y), its distance from the
# mean): 3 % of std(y) for rows at a distance of std(y) from the mean. Three digits change a factor by up to 0.5 %, and,
# of an exponent, a product over three decades by 1 to 3 %.
TEXT_TOLERANCE = 0.02
CONSTANT = 1e-9  # of its size, the scatter of a prediction that is a constant
POINTS = 256  # of each sample with which it is measured; their mean square is then known to 10 %
# What follows a number whose parameter has such a status.
NOTES = {
    uncertainty.SHARED: "(undetermined)",
    uncertainty.UNDETERMINED: "(undetermined)",
    uncertainty.REJECTED: "(fixed as given, the data object)",
    uncertainty.GIVEN: "(fixed as given)",
    uncertainty.BOUND: "(at its bound)",
    uncertainty.OF_UNITS: "(by units)",
}


@dataclass
class PrintedTerm:
    """Half of a node: a product, or a sum that saturates."""

    product: bool
    used: list  # features
    signs: list  # features whose sign multiplies it
    saturates: bool
    nodes: list  # whose halves it joins


class PrintedNet(NamedTuple):
    """A net with its weight among those of its output, and what is printed of it; see Numbers."""

    weight: float
    terms: list
    values: dict


class Numbers:
    """The numbers of one output, in raw units if they are well within the range of float, else in powers of ten.

    A law has a list of terms and a dict of ``values``, the numbers that are printed: (t, "factor"), (t, "shift"),
    (t, "plateau") and, for each feature used, (t, j), the exponent or slope, of term t; ("linear", j), ("constant",).
    """

    def __init__(self, nets, k, names, errors):
        self.nets, self.k, self.names, self.errors = nets, k, names, errors
        self.members = [e for e in range(len(nets.A_)) if nets.estimator_weight_[e, k]]
        x, y = nets.x_scale_, nets.y_scale_[k]
        exponent = np.abs(nets.A_[:, k]).max(axis=(0, 1), initial=1.0)
        self.functions, d = nets.functions, len(x)
        used = [q for q in range(len(self.functions)) if nets.A_[:, k, :, d + q].any()]
        inner = np.abs(self.functions.exponent[used]).max(axis=0, initial=0.0)
        size = np.abs(np.log10(x)) * np.maximum(exponent[:d], inner)
        self.is_doubtful = bool(nets.form_doubtful_[k])
        self.link, self.has_link = nets.link(k), nets.link_[k] != "identity"
        self.raw = bool(size.sum() + abs(np.log10(y)) < RANGE)
        self.x, self.y = (np.ones(len(x)), 1.0) if self.raw else (power_of_ten(x), float(power_of_ten(y)))
        self.laws = [
            PrintedNet(nets.estimator_weight_[e, k], *self._law(nets.parameters(e, k), nets.sign_[e, k]))
            for e in self.members
        ]
        first = self.laws[0]
        self.long = len(self.laws) > 1 or len(first.terms) > MAX_TERMS or len(first.values) > MAX_NUMBERS
        if not self.long:
            self.terms, self.values = first.terms, first.values
            self._merge()
            self.shown = dict(self.values)
            # A constant that is no more than rounding errors is not shown.
            with np.errstate(over="ignore"):
                scale = (abs(nets.D_[self.members[0], k]) + abs(nets.y_mean_[k]) + 1.0) * (y / self.y)
            if abs(self.values["constant",]) <= 1e-14 * scale:
                self.shown["constant",] = 0.0
            self.digits = self._digits()
            if errors:
                self._propagate()

    def _law(self, parameters, sign):
        """Terms and printed numbers of flat parameters; these are complex for the complex-step derivative."""
        nets, y = self.nets, self.nets.y_scale_[self.k] / self.y
        n_functions = len(self.functions)
        ratio = np.append(nets.x_scale_ / self.x, np.ones(n_functions))
        x_mean, product = np.append(nets.x_mean_, np.zeros(n_functions)), np.append(nets.product_, [True] * n_functions)
        d = len(ratio)
        theta, of_functions = np.split(parameters, [len(parameters) - 2 * n_functions])
        constant, terms, values = theta[-1], [], {}
        for q, (factor, phase) in enumerate(of_functions.reshape(-1, 2)):
            if nets.A_[:, self.k, :, d - n_functions + q].any():
                unit = np.exp(self.functions.exponent[q] @ np.log(ratio[: d - n_functions]))
                values["function", q, "factor"], values["function", q, "phase"] = factor / unit, phase
        for i, node in enumerate(theta[:-1].reshape(-1, d + 3)):
            A, B, curvature, a = node[:d], node[d], node[d + 1], node[d + 2]
            used = [int(j) for j in np.flatnonzero(A.real)]
            level = B / (1.0 + B * np.sign(B.real) * curvature)  # of a node without features
            if a.real > 0 and curvature.real == 0:
                for j in used:
                    values["linear", j] = values.get(("linear", j), 0.0) + a * A[j] / ratio[j] * y
                constant = constant + a * (B - A @ x_mean)
            elif a.real > 0 and used:
                t = len(terms)
                terms.append(PrintedTerm(False, used, [], True, [i]))
                values[t, "factor"] = a
                values |= {(t, j): A[j] / ratio[j] * y for j in used}
                values[t, "shift"], values[t, "plateau"] = y * (B - A @ x_mean), y / curvature
            elif a.real > 0:
                constant = constant + a * level
            if a.real < 1 and B.real:
                used = [j for j in used if product[j]]
                signs = [int(j) for j in np.flatnonzero(sign[i]) if product[j]]
                if not used and not signs:
                    constant = constant - (1 - a) * level
                    continue
                t = len(terms)
                terms.append(PrintedTerm(True, used, signs, curvature.real > 0, [i]))
                log_unit = sum((A[j] * np.log(ratio[j]) for j in used), 0.0)
                values[t, "factor"] = -(1 - a) * y * B * np.exp(-log_unit)
                values |= {(t, j): A[j] for j in used}
                if curvature.real > 0:
                    values[t, "plateau"] = (1 - a) * y / curvature
        values["constant",] = constant * y
        return terms, values

    def _value(self, values, X):
        """The printed formula without its offset, at X in printed units."""
        u = self._evaluate(values, X)
        return self.link.value(u * self.y) if self.has_link else u

    def _evaluate(self, values, X):
        """The sum in the printed formula, at X in printed units."""
        f, X = np.full(len(X), values["constant",]), self._completed(values, X)
        for key, value in values.items():
            if key[0] == "linear":
                f = f + value * X[:, key[1]]
        for t, term in enumerate(self.terms):
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

    def _completed(self, values, X):
        """X in printed units with the columns of the functions by their printed numbers."""
        if not len(self.functions):
            return X
        keys = [("function", q, name) for q in range(len(self.functions)) for name in ("factor", "phase")]
        flat = [values.get(key, 0.0) for key in keys]
        return np.column_stack([X, self.functions.with_parameters(flat).columns(X)])

    def _merge(self):
        """Join products of the same powers and leave out powers of about 0, while the text is within TEXT_TOLERANCE."""
        samples = self._samples()
        X, ends = np.concatenate(samples), np.cumsum([len(sample) for sample in samples])
        y, mean = self.nets.y_scale_[self.k] / self.y, self.nets.y_mean_[self.k]
        terms, values = self.terms, self.values
        with np.errstate(all="ignore"):
            exact = self._value(values, X)
            if self.has_link:
                y = exact.std()
                if y <= CONSTANT * abs(exact.mean()):  # a constant, as of a group without terms
                    y = abs(exact.mean())
                mean = exact.mean() / y
            size = np.hypot(y, exact - mean * y)

        def error(values):
            """Root mean square distance of the printed numbers from the prediction; see TEXT_TOLERANCE."""
            with np.errstate(all="ignore"):
                square = ((self._value(values, X) - exact) / size) ** 2
                worst = np.sqrt(max(part.mean() for part in np.split(square, ends[:-1])))
            return worst if np.isfinite(worst) else np.inf

        low, high = self.nets.exponent_bounds

        def attempt(plan):
            before = self.plan, self.terms, self.values
            self.plan = plan
            with np.errstate(all="ignore"):
                self.terms, self.values = self._as_merged(terms, values)
            # The joint exponent of two products that nearly cancel is not between theirs.
            powers = [(key[1], value) for key, value in self.values.items() if self._is_exponent(key)]
            powers = [(j, value) for j, value in powers if j < len(low)]  # not of functions
            allowed = all(low[j] - 1e-9 <= value <= high[j] + 1e-9 for j, value in powers)
            # Half of the tolerance, which includes the rounding of all numbers.
            if not (allowed and error(self.values) <= TEXT_TOLERANCE / 2):
                self.plan, self.terms, self.values = before

        self.plan, self.error_of_text = [([t], term.used) for t, term in enumerate(terms)], error
        products = [(t, term) for t, term in enumerate(terms) if term.product]
        for t, term in products:
            for j in term.used:
                if abs(values[t, j]) < 0.005:
                    attempt([(group, [i for i in used if i != j]) if group == [t] else (group, used)
                             for group, used in self.plan])  # fmt: skip
        for t, term in products:
            for first, used in self.plan:
                other = terms[first[0]]
                if t in first:
                    break
                if (
                    ([t], used) in self.plan
                    and other.product
                    and not (term.saturates or other.saturates)
                    and term.signs == other.signs
                    and all(abs(values[t, j] - values[first[0], j]) < 0.005 for j in used)
                ):
                    rest = [(group, kept) for group, kept in self.plan if group not in (first, [t])]
                    attempt(sorted([([*first, t], used), *rest]))
                    break

    def _as_merged(self, terms, values):
        """The printed terms and numbers from those of the nodes, by ``plan``: (terms, features) of each printed one.

        The joint exponent is the mean weighted by the factors, which is right to first order, as are its derivatives.
        """
        ratio = np.append(self.nets.x_scale_ / self.x, np.ones(len(self.functions)))
        merged = []
        printed = {key: value for key, value in values.items() if key[0] in ("linear", "constant", "function")}
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
            merged.append(PrintedTerm(term.product, used, term.signs, term.saturates, nodes))
            printed |= {(t, key): value for key, value in own.items()}
        return merged, printed

    def _samples(self):
        """Points at which the text is compared with the prediction, a list of arrays in printed units.

        A model does not keep its training rows, so that points are drawn in their box: one array evenly, one evenly in
        the logarithms of features of one sign, because a table may be either. For each sum that saturates there is one
        more, where the sum is steepest: elsewhere a misplaced step would not be noticed.
        """
        low, high = self.nets.x_min_ / self.x, self.nets.x_max_ / self.x
        rng = np.random.default_rng(0)  # not a Sobol sequence, which has fewer features than a table may have
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
        """How many digits beyond the usual each number needs, so that the text is within TEXT_TOLERANCE."""
        error = self.error_of_text
        with np.errstate(all="ignore"):

            def rounded(key):
                return float(self._format(key, self.values[key], digits[key]))

            digits = dict.fromkeys(self.values, 0)
            for key, value in self.values.items():  # a nonzero exponent is not written as zero
                while self._is_exponent(key) and value and not rounded(key) and digits[key] < MOST_DIGITS:
                    digits[key] += 1
            printed = {key: rounded(key) for key in digits}
            alone = {key: error(self.values | {key: printed[key]}) for key in digits}
            while error(printed) > TEXT_TOLERANCE:
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
        """Standard errors of the printed numbers: gradient' Cov gradient of each, by its complex-step derivative."""
        nets, k, e = self.nets, self.k, self.members[0]
        covariance, null, status = nets.covariance_[k], nets.null[k], nets.status[k]
        theta = nets.parameters(e, k)
        constant = len(theta) - 1 - 2 * len(self.functions)
        fixed = status[constant : constant + 1] == uncertainty.FIXED
        if fixed and len(self.values) > 1:  # a constant of zero, not shown, is exact
            covariance = uncertainty.given_zero(covariance, constant)
        if null.shape[1:] != theta.shape or status.shape != theta.shape:
            raise ValueError("standard_errors: the model is damaged; fit it again.")
        moving = np.flatnonzero(covariance.any(axis=0) | null.any(axis=0) | (status == uncertainty.FREE))
        keys = list(self.values)
        gradient = np.zeros((len(keys), len(theta)))
        for q in moving:
            step = 1e-20 * (abs(theta[q]) or 1.0)
            moved = theta.astype(complex)
            moved[q] += 1j * step
            _, values = self._as_merged(*self._law(moved, nets.sign_[e, k]))
            gradient[:, q] = [np.imag(values[key]) / step for key in keys]
        self.fixed = {key for key, slope in zip(keys, gradient, strict=True) if not slope.any()}
        self.error = dict.fromkeys(keys, 0.0)
        reach = np.sqrt((null**2).sum(axis=0))
        with np.errstate(all="ignore"):
            for key, slope in zip(keys, gradient, strict=True):
                if key not in self.fixed:
                    size = np.abs(slope).max()
                    slope = slope / size
                    lost = np.linalg.norm(null @ slope) > 1e-3 * np.linalg.norm(reach * slope)
                    error = np.sqrt(max(slope @ covariance @ slope, 0.0)) * size
                    self.error[key] = np.inf if lost or not np.isfinite(error) else float(error)
        d = len(self.names) + len(self.functions)
        self.status = status[:constant].reshape(-1, d + 3)[:, :d]

    def _note(self, key):
        """What follows a number: its standard error or a word; the errors suppose that the form is right."""
        if not self.errors:
            return ""
        t, j = key[0], key[-1]
        if isinstance(j, int):
            nodes = self._linear_nodes(j) if t == "linear" else self.terms[t].nodes
            for status, note in NOTES.items():
                if (self.status[nodes, j] == status).any():
                    return note
        if self._has_few_rows():
            return "(undetermined)"
        if key in self.fixed:
            of_function = isinstance(j, int) and j >= len(self.names)  # its power is the form of the law
            return "" if of_function else "(fixed)"
        error, size = self.error[key], abs(self.values[key])
        if j in ("factor", "plateau"):
            limit = size
        elif t in ("linear", "constant") or j in ("shift", "phase") or not self.terms[t].product:
            limit = np.inf
        else:
            limit = max(size, 0.5)
        if not error < limit:
            return "(undetermined)"
        return "" if self.is_doubtful else f"(±{error:.2g})"

    def _has_few_rows(self):
        """Whether so few rows chose exponents that the errors of the other numbers would suppose them right."""
        return (self.status == uncertainty.CHOSEN).any()

    def _linear_nodes(self, j):
        nets, e, k = self.nets, self.members[0], self.k
        return np.flatnonzero((nets.blend_[e, k] > 0) & np.isinf(nets.C_[e, k]) & (nets.A_[e, k, :, j] != 0))

    def _remarks(self):
        """What stands behind the formula: doubt about it and, with errors, what the data do not determine."""
        nets, k, remarks = self.nets, self.k, []
        if self.is_doubtful:
            scatter, of_y = nets.noise_std_[k], " of y" if nets.relative_[k] else ""
            missed = f"new rows are missed by {np.hypot(scatter, nets.form_error_[k]):.2g}{of_y}"
            remarks.append(f"form doubtful: {missed}, where those fitted scatter by {scatter:.2g}{of_y}")
        if self.errors:
            together = np.flatnonzero((self.status == uncertainty.SHARED).any(axis=0))
            names = [self.names[j] for j in together]
            constant = [self.names[j] for j in np.flatnonzero(nets.x_min_ == nets.x_max_)]
            remarks += ["undetermined: too few rows for so many numbers"] if self._has_few_rows() else []
            remarks += [f"undetermined between {', '.join(names)}: they vary together"] if len(names) > 1 else []
            remarks += [f"{', '.join(constant)} undetermined: constant"] if constant else []
        return f"  [{'; '.join(remarks)}]" if remarks else ""
