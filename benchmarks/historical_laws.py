"""Historical laws from their original or redrawn data: found or not, by us and by Operon.

Found means that the predictions are those of the textbook law over the range of the rows and some way beyond: a
product with its exponents, a straight line, or the known curve. Terms that hardly matter there are allowed: read the
laws, too. Our options are those of a user who knows where errors are relative. Operon has no such option, so there it
learns log y; its features are in units of their median size, because it computes in single precision.
"""

import warnings
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import symbolic_peers
from figures import Figure

from skmerge import MergedNetRegressor

RELATIVE = {"noise": "relative", "intercept": False}


def _widened(X):
    """1000 rows of the box of the training, whose upper and lower sides are half as far again, in logarithms."""
    low, high = np.log(X.min(axis=0)), np.log(X.max(axis=0))
    reach = 0.25 * (high - low)
    return np.exp(np.random.default_rng(0).uniform(low - reach, high + reach, (1000, X.shape[1])))


def product(exponents, tolerance):
    """Check that predictions are one product with these exponents."""

    def check(predict, X, y):
        X = _widened(X)
        value = predict(X)
        if not (value > 0).all():
            return False
        Z = np.column_stack([np.ones(len(X)), np.log(X)])
        c = np.linalg.lstsq(Z, np.log(value))[0]
        close = np.abs(Z @ c - np.log(value)).max() < 0.05
        return bool(close and np.abs(c[1:] - exponents).max() <= tolerance)

    return check


def straight_line(predict, X, y):
    """A line whose constant is within two standard errors of zero."""
    Z = np.column_stack([np.ones(len(X)), X])
    c = np.linalg.lstsq(Z, predict(X))[0]
    straight = np.abs(Z @ c - predict(X)).max() < 0.01 * np.std(y)
    noise = np.sum((y - Z @ np.linalg.lstsq(Z, y)[0]) ** 2) / (len(y) - 2)
    return bool(straight and abs(c[0]) < 2 * np.sqrt(noise * np.linalg.inv(Z.T @ Z)[0, 0]))


def bode(predict, X, y):
    """0.4 + 0.3 2^n within a fifth, also between the rows and one beyond them."""
    n = np.append(-1000, np.linspace(0, X.max() + 1, 30))
    Z = np.column_stack([np.ones_like(n), 2.0**n])
    value = predict(n[:, None])
    c = np.linalg.lstsq(Z, value)[0]
    follows = np.abs(Z @ c - value).max() < 0.05 * np.std(y)
    return bool(follows and np.abs(c / [0.4, 0.3] - 1).max() < 0.2)


def planck(predict, X, y):
    """nu^3 / (exp(h nu / (k T)) - 1) up to a factor, within a fifth over the box of the rows where y is normal."""
    X = np.exp(np.random.default_rng(0).uniform(np.log(X.min(axis=0)), np.log(X.max(axis=0)), (1000, 2)))
    ratio = 4.799243e-11 * X[:, 0] / X[:, 1]
    X, ratio = X[ratio < 300], ratio[ratio < 300]
    value = predict(X)
    known = 3 * np.log(X[:, 0]) - np.log(np.expm1(ratio))
    return bool((value > 0).all() and np.ptp(np.log(np.where(value > 0, value, 1.0)) - known) < 0.2)


@dataclass(frozen=True)
class Law:
    """The name of a table, its check, our options, and whether errors are relative."""

    name: str
    check: object
    options: dict = field(default_factory=dict)
    relative: bool = True


LAWS = (
    Law("hubble", straight_line, {"intercept": False}, relative=False),
    Law("tully_fisher", product([2.5], 0.35), {"noise": "auto"}),
    Law("kepler", product([1.5], 0.05), RELATIVE),
    Law("bode", bode, {"noise": "relative"}),
    Law("newton", product([-2, 1, 1], 0.05), RELATIVE),
    Law("ideal_gas", product([1, 1, -1], 0.05), RELATIVE),
    Law("planck", planck, RELATIVE),
)


def _ours(law, X, y, names):
    net = MergedNetRegressor(random_state=0, **law.options).fit(X, y)
    return law.check(net.predict, X, y), str(net.formula(names))


def _operon(law, X, y):
    unit = np.median(np.abs(X), axis=0)
    scale = np.median(np.abs(y))
    target = np.log(y / scale) if law.relative else y / scale
    found = symbolic_peers.fit(symbolic_peers.OPERON, X / unit, target)[symbolic_peers.OPERON]

    def predict(X):
        value = found.predict(X / unit)
        return scale * (np.exp(np.clip(value, -700, 700)) if law.relative else value)

    return law.check(predict, X, y), ("log y = " if law.relative else "y = ") + found.expression


def historical_figures(directory):
    """Number of laws found, and each with what was printed."""
    lines, counts = [], {"ours": [], "Operon": []}
    for law in LAWS:
        path = Path(directory) / f"{law.name}.csv"
        with path.open() as file:
            names = file.readline().strip().split(",")[:-1]
        table = np.genfromtxt(path, delimiter=",", skip_header=1)
        X, y = table[:, :-1], table[:, -1]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            outcomes = {"ours": _ours(law, X, y, names)}
            if symbolic_peers.installed(symbolic_peers.OPERON):
                outcomes["Operon"] = _operon(law, X, y)
        for name, (found, text) in outcomes.items():
            counts[name].append(found)
            lines.append(f"  {law.name:13} {name:7} {'found' if found else 'NOT found':10} {text}")
    beside = f"Operon {sum(counts['Operon'])}" if counts["Operon"] else "Operon not installed"
    yield Figure("laws_history", f"historical laws found, of {len(LAWS)}", sum(counts["ours"]), None, beside)
    yield from lines
