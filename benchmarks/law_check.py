"""Does a printed law contain the true one? Its numbers are fitted again, to exact values of y.

A law of the right form then errs by rounding only, whatever noise its numbers came from; one of another form does not.
Terms that are superfluous are allowed: fitted again, they vanish.
"""

import re
import time

import numpy as np
from scipy.optimize import least_squares

INSIDE, BEYOND = 1e-5, 1e-4  # greatest errors in std(y) of a law that contains the true one
N_ROWS = 300  # to which the numbers are fitted; all rows say whether it holds
N_STARTS = 6
MAX_NUMBERS = 60
NUMBER = re.compile(r"(?<![\w.])(\d+\.?\d*(?:[eE][-+]?\d+)?)(?![\w.])")
POWER = re.compile(r"\*\*\s*-?\s*$")


def saturation(u, C):
    """g(u; C), as printed laws call it."""
    return u / (1 + np.abs(u) / C)


class Law:
    """A law as an expression of Python in which `free` numbers are parameters; exponents may be kept as printed."""

    def __init__(self, expression, names, functions=(), keep_exponents=False):
        self.names = names
        self.scope = {"np": np, "g": saturation, "float": float, "__builtins__": {}, **dict(functions)}
        self.start = []

        def parameter(match):
            if keep_exponents and POWER.search(expression[: match.start()]):
                return match.group()
            self.start.append(float(match.group()))
            return f"p[{len(self.start) - 1}]"

        self.code = compile(NUMBER.sub(parameter, expression), "law", "eval")

    def __call__(self, p, X):
        with np.errstate(all="ignore"):
            value = eval(self.code, self.scope, {"p": p, **dict(zip(self.names, X.T, strict=True))})
        return np.nan_to_num(np.broadcast_to(value, len(X)).astype(float), nan=1e6, posinf=1e6, neginf=-1e6)


def contains(expression, names, inside, beyond, functions=(), seconds=20.0):
    """Whether the law, its numbers fitted again, meets exact rows within and beyond the range of the training.

    Parameters
    ----------
    expression : str
        Python, with NumPy as np and the features by their names.
    names : list of str
        The features, in the order of the columns.
    inside, beyond : tuple of (X, y)
        Rows with exact y; beyond the range there may be none, (None, None).
    functions : dict
        Further functions that the expression calls.
    seconds : float
        Processor time after which the answer is no.
    """
    if re.search(r"\b(nan|inf)\b", expression):
        return False
    end = time.process_time() + seconds
    laws = [Law(expression, names, functions, keep_exponents) for keep_exponents in (False, True)]
    if laws[0].start == laws[1].start:
        del laws[1]
    rng = np.random.default_rng(0)
    for start in range(N_STARTS):
        for law in laws:
            p = np.array(law.start)
            if len(p) > MAX_NUMBERS:
                return False
            if start:
                p = p * np.exp(0.3 * rng.normal(size=len(p)))
            try:
                if _meets(law, p, inside, beyond, end):
                    return True
            except TimeoutError:
                return False
            except (ValueError, np.linalg.LinAlgError):
                pass  # another start may do
    return False


def _meets(law, p, inside, beyond, end):
    (X, y), (X_beyond, y_beyond) = inside, beyond
    sd = np.std(y)
    # Near a pole, printed numbers may leave a row without a value: the first fit is to the others.
    rows = np.flatnonzero(np.abs(law(p, X[:N_ROWS]) - y[:N_ROWS]) < 3 * sd)

    def errors(p):
        if time.process_time() > end:
            raise TimeoutError
        return np.clip((law(p, X[rows]) - y[rows]) / sd, -1e6, 1e6)

    def error(X, y):
        return np.sqrt(np.mean(((law(p, X) - y) / np.std(y)) ** 2))

    for _ in range(3):
        if len(p) and len(rows):
            p = least_squares(errors, p, x_scale="jac", xtol=1e-15, ftol=1e-15, gtol=1e-15, max_nfev=200).x
        if error(X, y) < INSIDE:
            return X_beyond is None or error(X_beyond, y_beyond) < BEYOND
        if not len(rows) or np.sqrt(np.mean(errors(p) ** 2)) > 1e-2:
            return False  # far from the true law: another start rather than more steps
        rows = np.arange(min(N_ROWS, len(y)))
    return False
