"""What a fit is doing: printed, and reported as a tree of tasks to scikit-learn's callbacks."""

import threading
import time
from collections.abc import Callable
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

import numpy as np

if TYPE_CHECKING:  # scikit-learn's has no types, and what it decorates would have none
    _Method = TypeVar("_Method", bound=Callable)

    def with_callbacks(method: _Method) -> _Method: ...

else:
    from sklearn.callback import with_callbacks

__all__ = ["QUIET", "SILENCE", "Reporter", "Stages", "Task", "fitting", "refine", "rms", "with_callbacks"]

QUIET = 4.0  # seconds after which a line is printed although nothing ended


class Reporter:
    """Prints lines about work that takes long.

    Parameters
    ----------
    name : str
    verbose : int
        0 prints nothing; 1 what is of level 1, every tenth of what is counted, and any line where none was printed for
        QUIET seconds; 2 all.
    """

    @staticmethod
    def clock():
        return time.monotonic()

    def __init__(self, name, verbose):
        self.name, self.verbose = name, verbose
        self.lock, self.parts, self.last = threading.Lock(), 0, self.clock()

    def __reduce__(self):
        return Reporter, ("", 0)  # another process prints nothing

    def say(self, text, level=1):
        if self.verbose >= level or (self.verbose and self.clock() - self.last >= QUIET):
            with self.lock:
                self.last = self.clock()
                print(f"[{self.name}] {text}", flush=True)

    def count(self, done, of, what, before=None):
        """Say how many are done, at level 1 where another tenth is; ``before``: how many were, one less by default."""
        before = done - 1 if before is None else before
        self.say(f"{done} of {of} {what}", 1 if 10 * done // of > 10 * before // of else 2)

    def beat(self, what):
        """One more part is done, of how many is not known."""
        with self.lock:
            self.parts += 1
        self.say(f"{self.parts} {what} so far", np.inf)


class Silence:
    """A task that is not reported."""

    def begin(self, name, max_subtasks=0, index=None, ordered=True, aside=False):
        return self

    def end(self, text=None, level=1, net=None):
        return False

    def iteration(self, count, squares):
        return False


SILENCE = Silence()


def _silence():
    return SILENCE


class Task:
    """A task of a fit; ``begin`` starts a subtask of it. One is reported at a time, whatever threads they run in.

    Parameters
    ----------
    estimator : estimator, whose ``verbose`` says what is printed
    data : dict of X, y and metadata, as scikit-learn's callbacks take them
    context : sklearn.callback.CallbackContext

    Attributes
    ----------
    attributes : callable(Network) or None
        What the estimator would be with that net, for callbacks that ask for one to evaluate.
    """

    def __init__(self, estimator, data, context):
        self.estimator, self.data, self.context = estimator, data, context
        self.reporter = Reporter(type(estimator).__name__, estimator.verbose)
        self.lock = threading.RLock()  # a callback may itself fit
        self.attributes, self.where = None, ""

    def begin(self, name, max_subtasks=0, index=None, ordered=True, aside=False):
        """A subtask.

        ``index``: its number among siblings that may run at once; ``ordered``: its own subtasks run in turn;
        ``aside``: its nets are not what the fit may end with.
        """
        task = object.__new__(Task)
        vars(task).update(vars(self))
        with self.lock:
            task.context = self.context.subcontext(name, index, max_subtasks, ordered)
            task.context.call_on_fit_task_begin(estimator=self.estimator, **self.data)
        if index is not None and max_subtasks != 0:
            task.where = f"{self.where}{name} {index}: "
        if aside:
            task.attributes = None
        return task

    def end(self, text=None, level=1, net=None):
        """End the task: print the text if verbose is that high; whether a callback asks its siblings to stop."""
        with self.lock:
            if text is not None:
                self.say(text, level)
            known = net is not None and self.attributes is not None
            return self.context.call_on_fit_task_end(
                estimator=self.estimator,
                reconstruction_attributes=(lambda: self.attributes(net)) if known else None,
                **self.data,
            )

    def say(self, text, level=1):
        self.reporter.say(f"{self.where}{text}", level)

    def __reduce__(self):
        return _silence, ()  # another process reports nothing

    def iteration(self, count, squares):
        """One iteration of the optimiser: whether a callback asks to end it."""
        return self.begin("iteration").end(f"iteration {count}: {rms(squares)}", level=2)


@contextmanager
def fitting(estimator, data, max_subtasks=None):
    """A fit as a task; one that fails or is interrupted leaves the model as it was before."""
    context = estimator._init_callback_context(task_name="fit", max_subtasks=max_subtasks)
    before = dict(vars(estimator))
    try:
        context.call_on_fit_task_begin(estimator=estimator, **data)
        yield Task(estimator, data, context)
        context.call_on_fit_task_end(estimator=estimator, reconstruction_attributes=lambda: vars(estimator), **data)
    except BaseException:
        vars(estimator).clear()
        vars(estimator).update(before)
        raise


class Stages:
    """Stages of a fit, one after the other: each a subtask, with signs of life where one takes long.

    Parameters
    ----------
    task : Task
    """

    def __init__(self, task):
        self.task, self.stopped = task, False

    def __call__(self, text):
        """End a stage; ``stopped`` from the first one on after which a callback asks to end the fit."""
        self.stopped |= bool(self.task.begin("stage").end(text))

    def still(self, text):
        """Print the text if nothing was printed for QUIET seconds."""
        self.task.say(text, np.inf)


def rms(squares):
    return f"rms residual {np.sqrt(max(squares, 0.0)):.3g} of std(y)"


def refine(parent, name, objective, net, penalty, max_iter, tol, n_threads=1):
    """``objective.fit`` as a subtask: the fitted net, and whether a callback asks for no more of them.

    Iterations are subtasks of it where each takes 0.1 s or more; of shorter ones there are thousands a second.
    """
    slow = objective.is_slow(net)
    task = parent.begin(name, max_iter if slow else 0)
    net = objective.fit(net, penalty, max_iter, tol, task.iteration if slow else None, n_threads)
    return net, task.end(f"{name}: {rms(net.squares)} after {net.n_iter} iterations", level=2, net=net)
