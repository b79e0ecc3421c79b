"""Orthogonal parameters: C outside only, y = D + C (Ax + B) / (|Ax + B| + 1), against y = D + g(Ax + B; C).

One or two nodes, fitted by scipy.optimize.least_squares from the same functions: the iterations until the loss is
within 1e-6 (of the sum of squares about the mean) of the best that either form reaches from any start, and the
condition number of the Jacobian at the end, its columns scaled to unit length and as they are. Starts that end
elsewhere are paid for by the iterations that all starts take for each one that arrives.
"""

import numpy as np
from figures import Figure
from scipy.optimize import least_squares

from skmerge.datasets import load_formulae

STARTS = 30
FORMULAE = "parabola", "ohm", "spring_pos", "london", "series_resistors", "product"
WHAT = "iterations", "iterations an arrival", "condition, unit columns", "condition as is"


class Form:
    """Sum of nodes on x, parameters A_i1..A_id, B_i, C_i of every node and last D; ``inside``: C is inside as well."""

    def __init__(self, x, y, n_nodes, inside):
        self.x, self.y, self.n_nodes, self.inside = x, y, n_nodes, inside

    def residual(self, theta):
        return theta[-1] + sum(node[-1] * self.step(node) for node in self.nodes(theta)) - self.y

    def jacobian(self, theta):
        columns = []
        for node in self.nodes(theta):
            q = self.step(node)
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
        return u / (np.abs(u) + (node[-1] if self.inside else 1.0))

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
    """{inside: (iterations of those that arrive, of all starts for each that does, condition numbers, share)}."""
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
    enough = best + 1e-6 * 0.5 * np.sum((y - y.mean()) ** 2)
    out = {}
    for inside, results in runs.items():
        arrived = [np.argmax(losses <= enough) for losses, *_ in results if losses.min() <= enough]
        spent = sum(arrived) + sum(len(losses) - 1 for losses, *_ in results if losses.min() > enough)
        count = np.median(arrived) if arrived else np.inf
        scaled, raw = np.median([conditions for _, *conditions in results], axis=0)
        effort = spent / len(arrived) if arrived else np.inf
        out[inside] = np.array([count, effort, scaled, raw]), len(arrived) / STARTS
    return out


def figures():
    """Ratios of the older form to g(u; C): above one, g(u; C) is the better."""
    formulae = {formula.name: formula for formula in load_formulae()}
    rng = np.random.default_rng(0)
    out = []
    for n_nodes in (1, 2):
        ratios = []
        for name in FORMULAE:
            found = compare(formulae[name], n_nodes, rng)
            (older, share), (ours, share_g) = found[False], found[True]
            ratios.append(older / ours)
            pairs = zip(WHAT[1:], older[1:], ours[1:], strict=True)
            beside = "; ".join(f"{what} {a:.3g} / {b:.3g}" for what, a, b in pairs)
            title = f"{name}, nodes: {n_nodes}: {WHAT[0]}, C outside / g(u; C)"
            beside = f"{older[0]:.0f} / {ours[0]:.0f}; starts that arrive {share:.2f} / {share_g:.2f}; {beside}"
            out.append(Figure("orthogonal", title, ratios[-1][0], None, beside))
        for what, ratio in zip(WHAT, np.median(ratios, axis=0), strict=True):
            out.append(Figure("orthogonal", f"median, nodes: {n_nodes}: {what}, C outside / g(u; C)", ratio))
    return out
