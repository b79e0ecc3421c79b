"""What a fit is doing: told to the terminal and, as a tree of tasks, to scikit-learn's callbacks."""

import threading
import time

import numpy as np

QUIET = 4.0  # seconds after which the terminal hears that work goes on


class Silence:
    """A task of which nobody is told."""

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
    """A task of a fit; ``begin`` starts a subtask of it.

    Parameters
    ----------
    told : Told
    context : sklearn.callback.CallbackContext
    where : str
        What the terminal prints before the task's own text.
    aside : bool
    """

    def __init__(self, told, context, where="", aside=False):
        self.told, self.context, self.where, self.aside = told, context, where, aside

    def begin(self, name, max_subtasks=0, index=None, ordered=True, aside=False):
        """A subtask.

        ``index``: its number among siblings that may run at once; ``ordered``: its own subtasks run in turn;
        ``aside``: its nets are not what the fit may end with.
        """
        with self.told.lock:
            context = self.context.subcontext(name, index, max_subtasks, ordered)
            context.call_on_fit_task_begin(estimator=self.told.estimator, **self.told.data)
        where = f"{self.where}{name} {index}: " if index is not None and max_subtasks != 0 else self.where
        return Task(self.told, context, where, self.aside or aside)

    def end(self, text=None, level=1, net=None):
        """End the task: print the text if verbose is that high; whether a callback asks its siblings to stop."""
        told = self.told
        with told.lock:
            if text is not None:
                self.say(text, level)
            known = net is not None and told.attributes is not None and not self.aside
            fitted = (lambda: told.attributes(net)) if known else None
            return self.context.call_on_fit_task_end(
                estimator=told.estimator, reconstruction_attributes=fitted, **told.data
            )

    def say(self, text, level=1):
        """Print the text if verbose is that high, or, of any level, where nothing was said for QUIET seconds."""
        verbose, pulse = self.told.estimator.verbose, self.told.pulse
        if verbose >= level or (verbose and pulse.due()):
            pulse.say(f"{self.where}{text}")

    def __reduce__(self):
        return _silence, ()  # of another process nobody is told

    def iteration(self, count, squares):
        """One iteration of the optimiser: whether a callback asks to end it."""
        return self.begin("iteration").end(f"iteration {count}: {rms(squares)}", level=2)


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
        """Print the text if nothing was said for QUIET seconds."""
        self.task.say(text, level=np.inf)


class Told:
    """Whom the tasks of one fit are told to. One at a time, whatever threads they run in.

    Parameters
    ----------
    estimator : MergedNetRegressor
    data : dict of X, y and metadata, as scikit-learn's callbacks take them.
    attributes : callable(Network) or None
        What the estimator would be with that net, for callbacks that ask for one to evaluate.
    """

    @staticmethod
    def clock():
        return time.monotonic()

    def __init__(self, estimator, data, attributes=None):
        self.estimator, self.data, self.attributes = estimator, data, attributes
        self.lock = threading.RLock()  # a callback may itself fit
        self.pulse = Pulse(type(estimator).__name__, clock=self.clock)


class Pulse:
    """Tells the terminal that work goes on: of parts that are done, at most one line in so many seconds.

    Parameters
    ----------
    name : str, of the estimator; None says nothing.
    quiet : float, of seconds; None for QUIET.
    """

    def __init__(self, name, quiet=None, clock=time.monotonic):
        self.name, self.quiet, self.clock = name, QUIET if quiet is None else quiet, clock
        self.lock, self.count, self.last = threading.Lock(), 0, clock()

    def __reduce__(self):
        return _silent, ()  # of another process nobody is told

    def say(self, text):
        with self.lock:
            self.last = self.clock()
            print(f"[{self.name}] {text}", flush=True)

    def beat(self, parts):
        """One more part is done."""
        if self.name is None:
            return
        with self.lock:
            self.count += 1
        if self.due():
            self.say(f"{self.count} {parts} so far")

    def due(self):
        """Whether nothing was said for so long that the terminal should hear of something."""
        return self.clock() - self.last >= self.quiet


def _silent():
    return SILENT


SILENT = Pulse(None)


def rms(squares):
    return f"rms residual {np.sqrt(max(squares, 0.0)):.3g} of std(y)"


def refine(parent, name, objective, net, penalty, max_iter, tol, n_threads=1):
    """``objective.fit`` told as a subtask: the fitted net, and whether a callback asks for no more of them.

    Iterations are subtasks of it where each takes 0.1 s or more; of shorter ones there are thousands a second.
    """
    slow = objective.is_slow(net)
    task = parent.begin(name, max_iter if slow else 0)
    net = objective.fit(net, penalty, max_iter, tol, task.iteration if slow else None, n_threads)
    return net, task.end(f"{name}: {rms(net.squares)} after {net.n_iter} iterations", level=2, net=net)
