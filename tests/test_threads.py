"""Many threads at once, processes made by fork and spawn, and no state that they could share."""

import ast
import multiprocessing
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import joblib
import numpy as np
import pytest
import stored_models
from sklearn.base import clone

from skmerge import GradientForestRegressor, MergedNetRegressor

PACKAGE = Path(__file__).parents[1] / "skmerge"
MODELS = {path.stem: joblib.load(path) for path in sorted(stored_models.STORED.glob("*.joblib"))}


@pytest.mark.filterwarnings("ignore:1 of 5 grains")
@pytest.mark.parametrize("name", MODELS)
def test_one_model_predicts_in_many_threads(name):
    expected = stored_models.predicted(MODELS[name])
    with ThreadPoolExecutor(8) as pool:
        for found in pool.map(lambda _: stored_models.predicted(MODELS[name]), range(16)):
            np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    "model", [MergedNetRegressor(n_nodes=1, random_state=0), GradientForestRegressor(4, random_state=0, n_jobs=2)]
)
def test_many_threads_fit_as_one_does(model):
    targets = [stored_models.LAW * scale for scale in (1.0, 2.0, 3.0, 4.0)]
    alone = [clone(model).fit(stored_models.X, y).predict(stored_models.X) for y in targets]
    with ThreadPoolExecutor(4) as pool:
        together = pool.map(lambda y: clone(model).fit(stored_models.X, y).predict(stored_models.X), targets)
        for found, expected in zip(together, alone, strict=True):
            np.testing.assert_array_equal(found, expected)


def _in_a_process(name, connection):
    connection.send(stored_models.predicted(MODELS[name]))
    if name in ("law", "forest"):
        connection.send(clone(MODELS[name]).fit(stored_models.X, stored_models.LAW).predict(stored_models.X))


@pytest.mark.filterwarnings("ignore:1 of 5 grains", "ignore:.*multi-threaded.*fork")
@pytest.mark.parametrize("method", [m for m in ("fork", "spawn") if m in multiprocessing.get_all_start_methods()])
def test_a_process_predicts_and_fits_after_threads_were_used(method):
    context = multiprocessing.get_context(method)
    forest = GradientForestRegressor(4, random_state=0, n_jobs=2).fit(stored_models.X, stored_models.LAW)
    forest.predict(stored_models.X)  # threads of this process, which a fork does not have
    for name in MODELS if method == "fork" else ["law"]:  # a spawned process takes seconds to start
        here, there = context.Pipe(duplex=False)
        process = context.Process(target=_in_a_process, args=(name, there))
        process.start()
        assert here.poll(600), f"{name}: no answer"
        np.testing.assert_array_equal(here.recv(), stored_models.predicted(MODELS[name]))
        if name in ("law", "forest"):
            expected = clone(MODELS[name]).fit(stored_models.X, stored_models.LAW).predict(stored_models.X)
            np.testing.assert_array_equal(here.recv(), expected)
        process.join(600)
        assert process.exitcode == 0


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_module_changes_its_own_globals(path):
    for node in ast.walk(ast.parse(path.read_text())):
        assert not isinstance(node, ast.Global), f"line {node.lineno}: a writable global"


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.pyx")), ids=lambda path: path.name)
def test_variables_of_compiled_modules_are_constants(path):
    text = path.read_text()
    declared = re.findall(r"^cdef (?!extern|inline|struct|class|packed|enum|union)[^(\n]+$", text, re.MULTILINE)
    for name in (name for line in declared for name in re.findall(r"(\w+)\s*=", line)):
        assert name.isupper() and len(re.findall(rf"\b{name}\b\s*(?:\[.*\])?\s*[-+*/]?=[^=]", text)) == 1, name
