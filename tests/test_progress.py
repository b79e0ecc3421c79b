"""Progress of a fit on the terminal and in scikit-learn's callbacks; stops that they ask for; Ctrl-C."""

import itertools
import re
from collections import Counter

import interrupting
import numpy as np
import pytest
from sklearn.callback import ProgressBar, ScoringMonitor
from sklearn.metrics import check_scoring
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmerge import GradientForestRegressor, MergedNetImputer, MergedNetRegressor
from skmerge._progress import Reporter

RNG = np.random.default_rng(4)
X = RNG.uniform(0.5, 4.0, (40, 2))
NOISY = np.sin(2 * X[:, 0]) + 0.3 * RNG.normal(size=40)  # no short law: the search is repeated without each fold
ROUTES = {
    "law": dict(n_nodes=2),
    "chosen": dict(),
    "committee": dict(n_nodes=12, n_estimators=3),
    "single net": dict(n_nodes=12, n_estimators=1),
}


def fit(*callbacks, y=NOISY, **parameters):
    model = MergedNetRegressor(**{"random_state": 0, **parameters})
    return model.set_callbacks(*callbacks).fit(X, y)


def path(context):
    return (*(path(context.parent) if context.parent is not None else ()), (context.task_name, context.task_id))


class Recorder:
    """Records the tasks of a fit and asks to stop after one of that name."""

    def __init__(self, stop_after=None):
        self.calls, self.most, self.fitted, self.stop_after = [], {}, [], stop_after

    def setup(self, estimator, context):
        self.calls.append(("setup", path(context)))

    def teardown(self, estimator, context):
        self.calls.append(("teardown", path(context)))

    def on_fit_task_begin(self, estimator, context):
        self.calls.append(("begin", path(context)))
        self.most[path(context)] = context.max_subtasks

    def on_fit_task_end(self, estimator, context, *, X=None, y=None, fitted_estimator=None):
        self.calls.append(("end", path(context)))
        if fitted_estimator is not None:
            self.fitted.append((context.task_name, fitted_estimator))
        return context.task_name == self.stop_after or self.stop_after == "any"

    def names(self):
        return Counter(tasks[-1][0] for event, tasks in self.calls if event == "end")


@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize("route", ROUTES)
def test_tasks_are_a_tree_and_do_not_matter(route, n_jobs):
    recorder = Recorder()
    y = np.column_stack([NOISY, X[:, 0]])
    model = fit(recorder, y=y, n_jobs=n_jobs, **ROUTES[route])
    first, *calls, last = recorder.calls
    assert first == ("setup", (("fit", 0),)) and last == ("teardown", (("fit", 0),))
    begun = [tasks for event, tasks in calls if event == "begin"]
    assert Counter(begun) == Counter(tasks for event, tasks in calls if event == "end")
    assert len(set(begun)) == len(begun)
    open_ = set()
    for event, tasks in calls:
        assert tasks[:-1] in open_ or len(tasks) == 1
        (open_.add if event == "begin" else open_.remove)(tasks)
    children = Counter(tasks[:-1] for tasks in begun)
    for tasks, most in recorder.most.items():
        assert most is None or children[tasks] <= most, tasks
    np.testing.assert_array_equal(model.predict(X), fit(y=y, **ROUTES[route]).predict(X))


def test_stages_restarts_and_rounds_are_tasks():
    recorder = Recorder()
    # a law that a committee challenges without beating it outright
    fit(recorder, y=X[:, 0] * X[:, 1] + 0.3 * np.random.default_rng(0).normal(size=len(X)))
    names = recorder.names()
    assert names["node 1"] == names["node 2"] and names["candidate"] > 20 and names["trial"] > 20
    assert names["member"] == 20 and names["round of the evidence"] > 100 and names["without fold"] > 0
    assert sum(name == "node 1" for name, _ in recorder.fitted) == 1  # those without a fold are not the fit's


def test_slow_iterations_are_tasks(monkeypatch):
    rng = np.random.default_rng(0)
    table = rng.normal(size=(3000, 10))
    recorder = Recorder()
    model = MergedNetRegressor(40, n_estimators=1, random_state=0).set_callbacks(recorder)
    recorder.stop_after = "iteration"  # each fit ends after one
    model.fit(table, table[:, 0])
    assert 2 <= recorder.names()["iteration"] <= 30
    assert np.isfinite(model.predict(table[:5])).all()


@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize("stop_after", ["any", "candidate", "node 1", "trial", "net", "laws", "member", "without fold"])
def test_a_stop_that_a_callback_asks_for_leaves_a_valid_model(stop_after, n_jobs):
    recorder = Recorder(stop_after)
    model = fit(recorder, n_jobs=n_jobs)
    assert np.isfinite(model.predict(X)).all() and np.isfinite(model.validation_error_).all()
    assert model.predict(X, return_std="measurement")[1].min() > 0
    names = recorder.names()
    if stop_after == "any":
        assert sum(names.values()) < 20 and names["member"] == 0
    if stop_after == "node 1":
        assert names["node 2"] == 0
    if stop_after == "laws":
        assert names["committees"] == 0
    if stop_after == "member":
        assert names["member"] <= 2 * n_jobs


@pytest.mark.parametrize("route", ["committee", "single net"])
def test_a_stopped_committee_knows_its_error(route):
    model = fit(Recorder("member"), **ROUTES[route])
    assert len(model.A_) == 1
    assert 0.05 < model.validation_error_[0] < 3 * NOISY.std()


@pytest.mark.parametrize("route", ROUTES)
def test_progress_bar(route, capsys):
    pytest.importorskip("rich")
    np.testing.assert_array_equal(fit(ProgressBar(), **ROUTES[route]).predict(X), fit(**ROUTES[route]).predict(X))
    printed = capsys.readouterr().out
    assert "MergedNetRegressor - fit" in printed and "100%" in printed


def test_progress_bar_of_a_pipeline(capsys):
    pytest.importorskip("rich")
    pipeline = make_pipeline(StandardScaler(), MergedNetRegressor(2, random_state=0))
    silent = pipeline.fit(X, NOISY).predict(X)
    np.testing.assert_array_equal(pipeline.set_callbacks(ProgressBar()).fit(X, NOISY).predict(X), silent)
    assert "MergedNetRegressor - laws" in capsys.readouterr().out


def test_scores_of_the_stages():
    monitor = ScoringMonitor(scoring="r2")
    fit(monitor, n_nodes=3)
    score = {row["task_name"]: row["r2"] for row in monitor.get_logs().data}
    assert score["node 1"] <= score["node 2"] <= score["node 3"] <= 1
    assert score["fit"] == pytest.approx(fit(n_nodes=3).score(X, NOISY))


def clock_of(monkeypatch, seconds):
    """A clock that moves by so many seconds at each look, whatever the machine does; signs of life every four."""
    monkeypatch.setattr("skmerge._progress.QUIET", 4.0)
    clock = itertools.count(0.0, seconds)
    monkeypatch.setattr(Reporter, "clock", staticmethod(lambda: next(clock)))


@pytest.mark.parametrize(("n_jobs", "most"), [(1, 5.0), (2, 5.0)])
def test_no_part_of_a_fit_without_a_law_is_silent(capsys, monkeypatch, n_jobs, most):
    """Whatever takes long: between two lines are no more than so many looks at the clock, of which each is a second."""
    clock_of(monkeypatch, 1.0)
    spoken = fit(verbose=1, n_jobs=n_jobs)
    lines = capsys.readouterr().out.splitlines()
    looks = Reporter.clock()
    assert len(lines) > looks / (most + 1)
    assert any("trial: rms residual" in line for line in lines) and any("candidate: " in line for line in lines)
    np.testing.assert_array_equal(spoken.predict(X), fit().predict(X))


def test_verbose(capsys, monkeypatch):
    clock_of(monkeypatch, 0.0)
    silent = fit()
    assert capsys.readouterr().out == ""
    model = fit(verbose=1)
    stages = capsys.readouterr().out
    line = r"\[MergedNetRegressor\] output 0: "
    assert re.search(line + r"1 node: best rms residual [\d.e-]+ of std\(y\); 300 drawn, \d+ refined\n", stages)
    assert re.search(line + r"law of \d+ nodes, validation error [\d.]+ std\(y\)\n", stages)
    assert "candidate" not in stages
    fit(verbose=2)
    restarts = capsys.readouterr().out
    assert re.search(line + r"candidate: rms residual [\d.e-]+ of std\(y\) after \d+ iterations\n", restarts)
    assert set(stages.splitlines()) < set(restarts.splitlines())
    np.testing.assert_array_equal(model.predict(X), silent.predict(X))


def test_threads_print_whole_lines(capsys):
    fit(y=np.column_stack([NOISY, NOISY + X[:, 0], X[:, 1]]), n_jobs=2, verbose=2, n_nodes=3)
    lines = capsys.readouterr().out.splitlines()
    assert all(re.fullmatch(r"\[MergedNetRegressor\] output [012]: [^\[]*", line) for line in lines)


# --- Ctrl-C

# seconds of processor time after which the fit is interrupted, number of rows, features, parameters
LONG = {
    "law": (1.5, 4000, 30, dict()),
    "committee": (1.5, 4000, 10, dict(n_nodes=30, n_estimators=10)),
    "L-BFGS": (4.0, 100_000, 50, dict(n_nodes=100, n_estimators=4)),
}


def long_calls(case, n_jobs):
    """Calls to interrupt, and the text that runs before them."""
    seconds, n, d, parameters = LONG[case]
    setup = f"""
        import numpy as np
        from skmerge import MergedNetRegressor
        rng = np.random.default_rng(0)
        X, y = rng.normal(size=({n}, {d})), rng.normal(size={n})
        fresh = MergedNetRegressor(n_jobs={n_jobs}, random_state=0, **{parameters})
        old = MergedNetRegressor(n_nodes=1, random_state=0).fit(X[:20, :2], X[:20, 0])
        before = {{name: np.array(value) for name, value in vars(old).items() if name.endswith("_")}}
        old.set_params(n_jobs={n_jobs}, **({parameters} or dict(n_nodes="auto")))
    """
    return {"fit": (seconds, "fresh.fit(X, y)"), "refit": (seconds, "old.fit(X, y)")}, setup


@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize("case", LONG)
def test_interrupt_leaves_within_a_second_and_the_old_model_whole(case, n_jobs, tmp_path):
    calls, setup = long_calls(case, n_jobs)
    fitted = "[name for name in vars(fresh) if name.endswith('_')]"
    whole = "[name for name in before if np.array_equal(getattr(old, name), before[name])]"
    left, (fitted, whole, before), rest = interrupting.interrupt(
        calls, tmp_path, setup, f"[{fitted}, {whole}, list(before)]"
    )
    assert not fitted and whole == before and len(before) > 10
    interrupting.check(left, rest, n_jobs)


def test_scores_are_monitored_of_every_estimator():
    table = X.copy()
    table[::5, 0] = np.nan
    groups = np.arange(len(X)) % 7
    for model, arguments in (
        (GradientForestRegressor(5), {"groups": groups, "dydx": np.full(X.shape, np.nan)}),
        (MergedNetImputer(n_estimators=0), {"groups": groups}),
    ):
        monitor = ScoringMonitor(scoring={"own": check_scoring(model)})
        model.set_callbacks(monitor).fit(table, NOISY, **arguments)
        assert monitor.get_logs().data
