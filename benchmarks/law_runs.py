"""One fit of one formula by one program: errors, time, and whether the printed law contains the true one.

Results of peers are read from a CSV file and added to it, so that our own can be repeated alone. Times of results that
were read are those of the machine and the hour at which they were measured.
"""

import csv
import warnings
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from time import process_time

import numpy as np
import symbolic_peers
from figures import nrmse
from formula_tasks import rows
from law_check import contains

from skmerge import MergedNetRegressor

OURS, ADDITIVE, PLAIN = "MergedNet", "additive only", "plain node"
OPTIONS = {
    OURS: {},
    ADDITIVE: {"blend": 1.0},
    PLAIN: {"functions": (), "link": "identity"},
}


@dataclass(frozen=True)
class Result:
    """A line of the CSV; errors in std(y), time in seconds of a processor."""

    task: str
    n: int
    noise: float
    seed: int
    model: str
    NRMSE: float
    NRMSE_ext: float
    fit_s: float
    contains: bool
    law: str

    @property
    def key(self):
        """What was asked for."""
        return self.task, self.n, self.noise, self.seed, self.model


def _check(task, found, names, inside, beyond):
    errors = [np.nan if X is None else nrmse(y, found.predict(X)) for X, y in (inside, beyond)]
    return *errors, found.seconds, contains(found.expression, names, inside, beyond, found.functions)


def ours(model, task, n, noise, seed):
    """Result of one of our models, `OPTIONS` by name."""
    (X, y), inside, beyond = rows(task, n, noise, seed)
    start = process_time()
    net = MergedNetRegressor(random_state=seed, **OPTIONS[model]).fit(X, y)
    seconds = process_time() - start
    names = symbolic_peers.feature_names(X)
    found = symbolic_peers.Found(net.predict, net.formula(names).python, seconds, {})
    law = str(net.formula([variable.name for variable in task.formula.variables]))
    return Result(task.stream, n, noise, seed, model, *_check(task, found, names, inside, beyond), law)


def peers(name, task, n, noise, seed):
    """Results of a peer: Operon has one for each criterion."""
    (X, y), inside, beyond = rows(task, n, noise, seed)
    names = symbolic_peers.feature_names(X)
    return [
        Result(task.stream, n, noise, seed, model, *_check(task, found, names, inside, beyond), found.expression)
        for model, found in symbolic_peers.fit(name, X, y, seed).items()
    ]


class Store:
    """Results of peers in a CSV file, or in memory where no file is given."""

    def __init__(self, path=None):
        self.path = None if path is None else Path(path)
        self.results = {}
        if self.path is not None and self.path.exists():
            with self.path.open(newline="") as file:
                for row in csv.DictReader(file):
                    self._keep(_read(row))

    def _keep(self, result):
        self.results[result.key] = result

    def has(self, name):
        """Whether any result of a program was read."""
        return any(model == name for *_, model in self.results)

    def run(self, name, task, n, noise, seed):
        """Results of a peer, {model: Result}; none where it is neither stored nor installed."""
        models = (symbolic_peers.OPERON, symbolic_peers.OPERON_BIC) if name == symbolic_peers.OPERON else (name,)
        keys = [(task.stream, n, noise, seed, model) for model in models]
        if not all(key in self.results for key in keys):
            if not symbolic_peers.installed(name):
                return {}
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                new = peers(name, task, n, noise, seed)
            for result in new:
                self._keep(result)
            self._append(new)
        return {key[-1]: self.results[key] for key in keys}

    def _append(self, new):
        if self.path is None:
            return
        fresh = not self.path.exists()
        with self.path.open("a", newline="") as file:
            writer = csv.DictWriter(file, [field.name for field in fields(Result)])
            if fresh:
                writer.writeheader()
            writer.writerows(asdict(result) for result in new)


def _read(row):
    numbers = {"n": int, "seed": int, "noise": float, "NRMSE": float, "NRMSE_ext": float, "fit_s": float}
    return Result(
        **row | {name: kind(row[name]) for name, kind in numbers.items()} | {"contains": row["contains"] == "True"}
    )
