"""Other programs that look for a law as an expression: Operon and gplearn, both optional.

`pip install pyoperon gplearn` brings them (pyoperon 0.6.2 and gplearn 0.4.3, which runs with scikit-learn 1.9).
Others that pip installs were looked at and left out: PySR needs Julia, bingo-nasa 0.5.7 an MPI library ("cannot load
MPI library"), HROCH 1.4.12 calls what scikit-learn 1.9 no longer has (`_validate_data`).

Operon has the settings of its documentation for two objectives, NSGA-II on (r2, length), with a population of 500, five
local iterations and the symbols that the formulae need. Which law of its front is taken decides: here the one with the
minimum description length, the noise being the error of the most accurate law of the front, because Operon's own
pick takes it to be 1 where it is not told. The law with the best Bayesian information criterion is reported beside it.
gplearn has its default settings (population 1000, 20 generations) and more functions. With five times the population,
as in the first example of its documentation, it takes 30 s a formula.
"""

import importlib.util
import re
from time import process_time

import numpy as np

OPERON, OPERON_BIC, GPLEARN = "Operon, description length", "Operon, BIC", "gplearn"
PACKAGES = {OPERON: "pyoperon", GPLEARN: "gplearn"}
FUNCTION_NAMES = ("sqrt", "exp", "log", "sin", "cos")


def installed(name):
    """Whether the package of a peer is there."""
    return importlib.util.find_spec(PACKAGES[name]) is not None


def feature_names(X):
    """Names that no function has."""
    return [f"x{j}" for j in range(X.shape[1])]


def square(u):
    """u^2 as a function, so that its exponent is no number of the law."""
    return u * u


class Found:
    """A law of a peer: how it predicts, its expression in Python, and the processor time that it took."""

    def __init__(self, predict, expression, seconds, functions):
        self.predict, self.expression, self.seconds, self.functions = predict, expression, seconds, functions


def fit(name, X, y, seed=0):
    """{name: Found} of one peer; Operon gives two, by criterion."""
    return (_operon if name == OPERON else _gplearn)(X, y, seed)


def _operon(X, y, seed):
    from pyoperon.sklearn import SymbolicRegressor

    model = SymbolicRegressor(
        allowed_symbols="add,sub,mul,div,sqrt,square,exp,log,sin,cos,constant,variable",
        objectives=["r2", "length"],
        population_size=500,
        optimizer_iterations=5,
        n_threads=1,
        random_state=seed + 1,  # 0 is no seed
    )
    start = process_time()
    model.fit(X, y)
    seconds = process_time() - start
    front = [law for law in model.pareto_front_ if np.isfinite(law["mean_squared_error"])]
    lengths = _description_lengths(model, front, X, y)
    picks = {
        OPERON: np.argmin(lengths),
        OPERON_BIC: np.argmin([law["bayesian_information_criterion"] for law in front]),
    }
    out = {}
    for name, pick in picks.items():
        tree = front[pick]["tree"]
        text = model.get_model_string(tree, 12, feature_names(X))

        def predict(X, tree=tree):
            return model.evaluate_model(tree, X).astype(float)

        out[name] = Found(predict, _python_of_operon(text), seconds, {"square": square})
    return out


def _description_lengths(model, front, X, y):
    """Operon's description length of each law, with the noise from the most accurate of them."""
    import pyoperon

    data = pyoperon.Dataset(np.asfortranarray(np.column_stack([X, y])))
    target = max(data.Variables, key=lambda variable: variable.Index)
    problem = pyoperon.Problem(data)
    problem.TrainingRange = pyoperon.Range(0, data.Rows)
    problem.TestRange = pyoperon.Range(data.Rows - 1, data.Rows)
    problem.Target = target
    problem.InputHashes = list(model.variables_)
    table = pyoperon.DispatchTable()
    evaluator = pyoperon.MinimumDescriptionLengthEvaluator(problem, table, "gauss")
    noise = min(law["mean_squared_error"] for law in front) ** 0.5
    evaluator.Sigma = [max(noise, 1e-6 * float(np.std(y)))]  # Operon computes in single precision
    rng = pyoperon.RandomGenerator(np.uint64(1))
    lengths = []
    for law in front:
        individual = pyoperon.Individual()
        individual.Genotype = law["tree"]
        lengths.append(evaluator(rng, individual)[0])
    return np.nan_to_num(lengths, nan=np.inf)


def _python_of_operon(text):
    """Operon's infix as Python: ( ... ) ^ 2 becomes square( ... ), functions are NumPy's."""
    while (end := text.find(" ^ 2)")) >= 0:
        depth, start = 0, end - 1  # the base: a bracket, or a word with one
        if text[start] == ")":
            while True:
                depth += (text[start] == ")") - (text[start] == "(")
                if depth == 0:
                    break
                start -= 1
            while text[start - 1].isalnum():
                start -= 1
        else:
            while text[start - 1] not in "( ":
                start -= 1
        text = f"{text[:start]}square({text[start:end]}){text[end + 4 :]}"
    return re.sub(rf"\b({'|'.join(FUNCTION_NAMES)})\(", r"np.\1(", text)


def _gplearn(X, y, seed):
    from gplearn.functions import _function_map
    from gplearn.genetic import SymbolicRegressor

    model = SymbolicRegressor(
        function_set=("add", "sub", "mul", "div", "sqrt", "log", "sin", "cos"),
        feature_names=feature_names(X),
        random_state=seed,
    )
    start = process_time()
    model.fit(X, y)
    seconds = process_time() - start
    return {GPLEARN: Found(model.predict, str(model._program), seconds, dict(_function_map))}
