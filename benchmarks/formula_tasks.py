"""Formulae to learn and their rows: the 21 of skmerge.datasets, or those of a JSON file.

The file holds {"formulae": [...]}, each with "name", "set" ("seed" for those of skmerge.datasets, "feynman",
"feynman_bonus"), "expression", "variables" ([{"name", "low", "high", "sampling"}]) and perhaps "holdout". Rows are
drawn from streams seeded by the name, so that they are the same for everyone who follows this recipe.
"""

import ast
import hashlib
import json
from dataclasses import dataclass

import numpy as np

from skmerge.datasets import Formula, Variable, load_formulae

FUNCTIONS = ["exp", "log", "log10", "sqrt", "sin", "cos", "tan", "tanh", "arcsin", "arccos", "arctan", "abs"]
ALLOWED = ast.Expression, ast.BinOp, ast.UnaryOp, ast.operator, ast.unaryop, ast.Call, ast.Name, ast.Load, ast.Constant
DATASETS, FEYNMAN = "datasets", "feynman"
POOL = 4000  # rows from which training rows are taken, the first ones; their spread scales the noise
N_TEST = 2000


class Expression:
    """Arithmetic, NumPy's elementary functions and pi on named arrays; anything else is a ValueError."""

    def __init__(self, text, names):
        self.text, self.names = text, names
        known = {*names, *FUNCTIONS, "pi"}
        for node in ast.walk(ast.parse(text, mode="eval")):
            number = not isinstance(node, ast.Constant) or type(node.value) in (int, float)
            name = not isinstance(node, ast.Name) or node.id in known
            call = not isinstance(node, ast.Call) or (isinstance(node.func, ast.Name) and node.func.id in FUNCTIONS)
            if not (isinstance(node, ALLOWED) and number and name and call):
                raise ValueError(f"{text!r}: only arithmetic, {', '.join(FUNCTIONS)}, pi and {names} are understood.")

    def __call__(self, *columns):
        scope = {name: getattr(np, name) for name in [*FUNCTIONS, "pi"]}
        scope |= dict(zip(self.names, columns, strict=True))
        with np.errstate(all="ignore"):
            y = eval(self.text, {"__builtins__": {}}, scope)
        return np.broadcast_to(np.asarray(y, float), columns[0].shape).copy()


@dataclass(frozen=True)
class Task:
    """A formula, the set it belongs to, the name that seeds its rows and whether it is one product of powers."""

    formula: Formula
    group: str
    stream: str
    product: bool


def load_tasks(path=None):
    """The formulae of skmerge.datasets, or those of a JSON file that are not held out."""
    if path is None:
        return [_task(formula, DATASETS, f"seed_{formula.name}") for formula in load_formulae()]
    with open(path) as file:
        entries = json.load(file)["formulae"]
    tasks = []
    for entry in entries:
        if not entry.get("holdout", False):
            variables = tuple(Variable(v["name"], v["low"], v["high"], v["sampling"]) for v in entry["variables"])
            function = Expression(entry["expression"], [v.name for v in variables])
            formula = Formula(entry["name"], entry["expression"], variables, function)
            tasks.append(_task(formula, DATASETS if entry["set"] == "seed" else entry["set"], entry["name"]))
    return tasks


def _task(formula, group, stream):
    # One product of powers of positive numbers: log|y| is linear in their logarithms.
    X, y = draw(formula, 200, np.random.default_rng(0))
    product = False
    if (X > 0).all() and ((y > 0).all() or (y < 0).all()):
        Z, log = np.column_stack([np.ones(len(X)), np.log(X)]), np.log(np.abs(y))
        product = bool(np.abs(log - Z @ np.linalg.lstsq(Z, log)[0]).max() < 1e-9)
    return Task(formula, group, stream, product)


def _values(variable, n, rng, high):
    if variable.sampling == "loguniform":
        return np.exp(rng.uniform(np.log(variable.low), np.log(high), n))
    if variable.sampling == "int":
        return rng.integers(int(variable.low), int(high) + 1, n).astype(float)
    return rng.uniform(variable.low, high, n)


def draw(formula, n, rng, extrapolate=False):
    """n rows with finite y; extrapolated, at least one variable lies above its training range. None if too rare."""
    tops = [v.top if extrapolate else v.high for v in formula.variables]
    highs = [v.high for v in formula.variables]
    X, y = np.empty((0, len(tops))), np.empty(0)
    for _ in range(60):
        rows = np.column_stack([_values(v, 2 * n, rng, top) for v, top in zip(formula.variables, tops, strict=True)])
        value = formula.function(*rows.T)
        keep = np.isfinite(value) & (np.abs(value) < 1e100)
        if extrapolate:
            keep &= (rows > highs).any(axis=1)
        X, y = np.vstack([X, rows[keep]]), np.append(y, value[keep])
        if len(y) >= n:
            return X[:n], y[:n]
    return None, None


def rows(task, n, noise, seed):
    """Training rows (noise in standard deviations of y), exact test rows and exact rows beyond the training range."""
    name = int(hashlib.sha256(task.stream.encode()).hexdigest()[:8], 16)
    X, y = draw(task.formula, POOL, np.random.default_rng([name, seed, 1]))
    error = noise * np.std(y) * np.random.default_rng([name, seed, 2]).standard_normal(POOL)
    inside = draw(task.formula, N_TEST, np.random.default_rng([name, seed, 3]))
    beyond = draw(task.formula, N_TEST, np.random.default_rng([name, seed, 4]), extrapolate=True)
    return (X[:n], y[:n] + error[:n]), inside, beyond
