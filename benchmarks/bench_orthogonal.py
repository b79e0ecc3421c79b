"""The talk's orthogonal parameters: C outside only, y = D + C (Ax + B) / (|Ax + B| + 1), against y = D + g(Ax + B; C).

One or two nodes, fitted by scipy.optimize.least_squares from the same functions: the iterations until the loss is
within 1e-6 (of the sum of squares about the mean) of the best that either form reaches from any start, and the
condition number of the Jacobian at the end, its columns scaled to unit length and as they are.
"""

import numpy as np
from figures import Figure
from scipy.optimize import least_squares

from skmerge.datasets import load_formulae

STARTS = 30
NEVER = 10_000  # iterations of a start that does not arrive
FORMULAE = "parabola", "ohm", "spring_pos", "london", "series_resistors", "product"


class Form:
    """Sum of nodes on x, parameters A_i1..A_id, B_i, C_i of every node and last D; ``inside``: C is inside as well."""

    def __init__(self, x, y, n_nodes, inside):
        self.x, self.y, self.n_nodes, self.inside = x, y, n_nodes, inside

    def residual(self, theta):
        return theta[-1] + sum(node[-1] * self.step(node)[1] for node in self.nodes(theta)) - self.y

    def jacobian(self, theta):
        columns = []
        for node in self.nodes(theta):
            u, q = self.step(node)
            if self.inside:  # q = u / (|u| + C): g = C q, dg/du = (1 - |q|)^2, dg/dC = q |q|
                slope, dC = (1.0 - np.abs(q)) ** 2, q * np.abs(q)
            else:
                slope, dC = node[-1] * (1.0 - np.abs(q)) ** 2, q
            columns += [slope[:, None] * self.x, slope[:, None], dC[:, None]]
        return np.hstack([*columns, np.ones((len(self.y), 1))])

    def nodes(self, theta):
        return theta[:-1].reshape(self.n_nodes, -1)

    def step(self, node):
        u = self.x @ node[:-2] + node[-2]
        return u, u / (np.abs(u) + (node[-1] if self.inside else 1.0))

    def start(self, A, B, C, D):
        """The same function in this form: (C A) x + C B under g(u; C) is A x + B with C outside."""
        factor = C[:, None] if self.inside else 1.0
        return np.append(np.hstack([A * factor, B[:, None] * factor, C[:, None]]).ravel(), D)

    def run(self, theta):
        """Loss after every iteration, and the last parameters."""
        losses = [0.5 * np.sum(self.residual(theta) ** 2)]
        low = np.full(len(theta), -np.inf)
        self.nodes(low)[:, -1] = 1e-8  # C > 0

        def note(intermediate_result):
            losses.append(intermediate_result.cost)

        options = {"jac": self.jacobian, "bounds": (low, np.inf), "x_scale": "jac", "method": "trf"}
        tolerances = dict.fromkeys(("ftol", "xtol", "gtol"), 1e-12)
        end = least_squares(self.residual, theta, **options, **tolerances, max_nfev=500, callback=note)
        return np.array(losses), end.x


def condition(J):
    """Condition numbers of J with columns of unit length and as it is."""
    length = np.linalg.norm(J, axis=0)
    return np.linalg.cond(J / np.maximum(length, 1e-300)), np.linalg.cond(J)


def compare(formula, n_nodes, rng):
    """{inside: (share of the starts that arrive, median iterations, median condition numbers)}."""
    x, y = formula.sample(200, random_state=0)
    x, y = (x - x.mean(axis=0)) / x.std(axis=0), (y - y.mean()) / y.std()
    forms = {inside: Form(x, y, n_nodes, inside) for inside in (False, True)}
    runs = {False: [], True: []}
    for _ in range(STARTS):
        A, B = rng.normal(size=(n_nodes, x.shape[1])), rng.normal(size=n_nodes)
        C, D = np.exp(rng.normal(size=n_nodes)), rng.normal()
        for inside, form in forms.items():
            losses, theta = form.run(form.start(A, B, C, D))
            runs[inside].append((losses, *condition(form.jacobian(theta))))
    best = min(losses.min() for results in runs.values() for losses, *_ in results)
    out = {}
    for inside, results in runs.items():
        near = [np.flatnonzero(losses <= best + 1e-6 * 0.5 * len(y)) for losses, *_ in results]
        count = [where[0] if len(where) else NEVER for where in near]
        arrived = [k for k in count if k < NEVER]
        scaled, raw = np.median([[a, b] for _, a, b in results], axis=0)
        out[inside] = len(arrived) / STARTS, np.median(arrived) if arrived else np.nan, scaled, raw
    return out


def figures():
    """Ratios of the older form to g(u; C): above one, g(u; C) is the better."""
    formulae = {formula.name: formula for formula in load_formulae()}
    rng = np.random.default_rng(0)
    out, ratios = [], []
    for name in FORMULAE:
        for n_nodes in (1, 2):
            found = compare(formulae[name], n_nodes, rng)
            (share, count, scaled, raw), (share_g, count_g, scaled_g, raw_g) = found[False], found[True]
            beside = (
                f"{count:.0f} / {count_g:.0f}; starts that arrive {share:.2f} / {share_g:.2f};"
                f" condition, unit columns {scaled:.3g} / {scaled_g:.3g}, as is {raw:.3g} / {raw_g:.3g}"
            )
            title = f"{name}, {n_nodes} nodes: iterations to 1e-6, C outside / g(u; C)"
            out.append(Figure("orthogonal", title, count / count_g, None, beside))
            ratios.append((count / count_g, scaled / scaled_g, raw / raw_g))
    titles = "iterations to 1e-6", "condition number, unit columns", "condition number as it is"
    for title, ratio in zip(titles, np.nanmedian(ratios, axis=0), strict=True):
        out.append(Figure("orthogonal", f"{title}, C outside / g(u; C): median", ratio, (">=", 1.0)))
    return out
