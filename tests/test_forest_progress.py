"""Progress of a growing forest on the terminal and in scikit-learn's callbacks; stops that they ask for; Ctrl-C."""

import pickle
import re
from collections import Counter

import interrupting
import numpy as np
import pytest
from sklearn.callback import ProgressBar

from skmerge import GradientForestRegressor, forest
from skmerge._forest.tree import Trees
from skmerge._progress import Reporter

RNG = np.random.default_rng(4)
X = RNG.normal(size=(60, 3))
Y = X[:, 0] ** 2 + X[:, 1]


class Recorder:
    """Records the tasks of a fit and asks to stop after so many members."""

    def __init__(self, stop_after=None):
        self.calls, self.stop_after, self.ended = [], stop_after, 0

    def setup(self, estimator, context):
        self.calls.append(("setup", context.task_name))

    def teardown(self, estimator, context):
        self.calls.append(("teardown", context.task_name))

    def on_fit_task_begin(self, estimator, context):
        self.calls.append(("begin", context.task_name))

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        self.calls.append(("end", context.task_name))
        if fitted_estimator is not None:
            self.fitted = fitted_estimator
        self.ended += context.task_name == "member"
        return self.ended == self.stop_after


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_members_are_tasks(n_jobs):
    recorder = Recorder()
    model = GradientForestRegressor(20, random_state=0, n_jobs=n_jobs).set_callbacks(recorder).fit(X, Y)
    assert recorder.calls[:3] == [("setup", "fit"), ("begin", "fit"), ("begin", "members")]
    assert recorder.calls[-3:] == [("end", "members"), ("end", "fit"), ("teardown", "fit")]
    assert Counter(recorder.calls)["end", "member"] == Counter(recorder.calls)["begin", "member"] == 20
    expected = GradientForestRegressor(20, random_state=0).fit(X, Y).predict(X)
    np.testing.assert_array_equal(model.predict(X), expected)
    np.testing.assert_array_equal(recorder.fitted.predict(X), expected)


@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize("parameters", [dict(order=1), dict(), dict(order=1, bootstrap=False), dict(bootstrap=False)])
def test_a_stop_leaves_a_valid_forest(parameters, n_jobs):
    recorder = Recorder(stop_after=8)
    model = GradientForestRegressor(200, random_state=0, n_jobs=n_jobs, **parameters)
    model.set_callbacks(recorder).fit(X, Y)
    assert recorder.ended < 30  # enough for one of each kind
    assert 1 <= sum(len(weight) for weight in model.member_weight_) <= recorder.ended
    predicted, std = model.predict(X, return_std=True)
    assert np.corrcoef(predicted, Y)[0, 1] > 0.5 and (std > 0).all()


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_progress_bar(n_jobs, capsys):
    pytest.importorskip("rich")
    GradientForestRegressor(20, n_jobs=n_jobs).set_callbacks(ProgressBar()).fit(X, Y)
    printed = capsys.readouterr().out
    assert "GradientForestRegressor - members" in printed and "100%" in printed


def test_verbose(capsys):
    silent = GradientForestRegressor(30, random_state=0).fit(X, Y)
    assert capsys.readouterr().out == ""
    model = GradientForestRegressor(30, random_state=0, verbose=1).fit(X, Y)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 10 and lines[-1] == "[GradientForestRegressor] 30 of 30 members"
    assert all(re.fullmatch(r"\[GradientForestRegressor\] \d+ of 30 members", line) for line in lines)
    GradientForestRegressor(30, random_state=0, verbose=2).fit(X, Y)
    assert len(capsys.readouterr().out.splitlines()) == 30
    np.testing.assert_array_equal(model.predict(X), silent.predict(X))


# --- Ctrl-C


def long_calls(parameters, n_jobs):
    """Calls to interrupt, and the text that runs before them."""
    setup = f"""
        import numpy as np
        from skmerge import GradientForestRegressor
        rng = np.random.default_rng(0)
        X = rng.normal(size=(100_000, 20))
        y = X[:, 0] * X[:, 1] + rng.normal(size=len(X))
        fresh = GradientForestRegressor(n_jobs={n_jobs}, random_state=0, {parameters})
        old = GradientForestRegressor(5, random_state=0, {parameters}).fit(X[:50, :2], y[:50])
        before, predicted = set(vars(old)), old.predict(X[:50, :2])
        old.set_params(n_jobs={n_jobs}, n_estimators=100)
    """
    return {"fit": (1.5, "fresh.fit(X, y)"), "refit": (1.5, "old.fit(X, y)")}, setup


@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize("parameters", ["order=0", "order='auto'"])
def test_interrupt_leaves_within_a_second_and_the_old_forest_whole(parameters, n_jobs, tmp_path):
    calls, setup = long_calls(parameters, n_jobs)
    fitted = "[name for name in vars(fresh) if name.endswith('_')]"
    whole = "set(vars(old)) == before and np.array_equal(old.predict(X[:50, :2]), predicted)"
    left, end, rest = interrupting.interrupt(calls, tmp_path, setup, f"[{fitted}, {whole}]")
    assert end == [[], True]
    interrupting.check(left, rest, n_jobs)


def test_every_answer_takes_a_chunk_of_rows_at_a_time(monkeypatch):
    """Compiled code cannot be interrupted: of millions of rows at once, Ctrl-C waited for the last."""
    X = np.random.default_rng(0).normal(size=(40, 2))
    model = GradientForestRegressor(4, random_state=0).fit(X, np.column_stack([X[:, 0] ** 2, X[:, 1]]))
    uses = (model.predict, lambda X: model.predict(X, return_std=True)[1], model.predict_gradient, model.apply)
    whole = [use(X) for use in uses]
    monkeypatch.setattr(forest, "CHUNK_ROWS", 7)
    monkeypatch.setattr(forest, "MIN_CHUNK_ROWS", 1)
    sizes = []

    def counted(method):
        def count(self, X, *args, **kwargs):
            sizes.append(len(X))
            return method(self, X, *args, **kwargs)

        return count

    for name in ("moments", "slopes", "apply"):
        monkeypatch.setattr(Trees, name, counted(getattr(Trees, name)))
    for use, expected in zip(uses, whole, strict=True):
        np.testing.assert_array_equal(use(X), expected)
    assert max(sizes) == 7


def test_the_terminal_hears_of_work_between_the_tenths(capsys, monkeypatch):
    """By a clock of its own: a line at the first part that is done so long after the last line."""
    now = [0.0]
    monkeypatch.setattr("skmerge._progress.QUIET", 5.0)
    monkeypatch.setattr(Reporter, "clock", staticmethod(lambda: now[0]))
    reporter = Reporter("Estimator", 1)
    for seconds in (1.0, 4.0, 5.5, 6.0, 9.0, 10.5, 10.6, 30.0):
        now[0] = seconds
        reporter.beat("trees")
    said = capsys.readouterr().out.splitlines()
    assert said == [f"[Estimator] {n} trees so far" for n in (3, 6, 8)]
    now[0] = 34.0
    reporter.count(5, 10, "members")
    reporter.count(6, 100, "members")
    now[0] = 38.0
    reporter.beat("trees")
    assert capsys.readouterr().out == "[Estimator] 5 of 10 members\n"
    now[0] = 40.0
    pickle.loads(pickle.dumps(reporter)).beat("trees")  # another process prints nothing
    Reporter("Estimator", 0).beat("trees")
    assert not capsys.readouterr().out
    for i in range(1, 31):
        Reporter("Estimator", 1).count(i, 30, "members")
    assert capsys.readouterr().out.count("of 30 members") == 10
    Reporter("Estimator", 2).count(2, 30, "members")
    Reporter("Estimator", 1).count(900, 1000, "grains", 250)
    assert capsys.readouterr().out == "[Estimator] 2 of 30 members\n[Estimator] 900 of 1000 grains\n"


def test_a_long_prediction_tells_how_many_rows_are_done(capsys, monkeypatch):
    """Before, 10^5 rows between levels: 24 s of silence."""
    now = [0.0]

    def clock():
        now[0] += 3.0
        return now[0]

    monkeypatch.setattr(Reporter, "clock", staticmethod(clock))
    monkeypatch.setattr("skmerge._progress.QUIET", 4.0)
    monkeypatch.setattr(forest, "CHUNK_ROWS", 20)
    monkeypatch.setattr(forest, "MIN_CHUNK_ROWS", 1)
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.choice([0.0, 1.0, 2.0], 90), rng.uniform(size=90)])
    model = GradientForestRegressor(5, order=0, random_state=0).fit(X, X.sum(axis=1))
    assert not capsys.readouterr().out
    model.set_params(verbose=1).predict(X[:19] + 0.5, return_std=True)  # at once
    assert not capsys.readouterr().out
    model.predict(X + 0.5, return_std=True)
    said = capsys.readouterr().out.splitlines()
    assert len(said) >= 2 and all(line.endswith("of 90 rows") for line in said)
    assert said[0] == "[GradientForestRegressor] 40 of 90 rows"


def test_every_tree_of_a_sequence_is_a_sign_of_life(capsys, monkeypatch):
    """Before, a member of sixty trees was one step: 17 s of silence on 10^5 rows."""
    monkeypatch.setattr("skmerge._progress.QUIET", 0.0)
    X = np.random.default_rng(0).uniform(size=(60, 2))
    GradientForestRegressor(5, random_state=0, verbose=1).fit(X, X[:, 0])
    said = capsys.readouterr().out
    assert sum("trees so far" in line for line in said.splitlines()) == 103  # 3 + 60 + 40
    GradientForestRegressor(5, random_state=0).fit(X, X[:, 0])
    assert not capsys.readouterr().out
