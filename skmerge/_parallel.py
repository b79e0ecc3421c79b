"""Tasks of a fit and what they share, whether they run in threads of this process or in other ones."""

import threading
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from joblib import Parallel


def each(tasks: Iterable[Any], n_jobs: int) -> Iterator[Any]:
    """Results of joblib's tasks in turn: as they come, or all at the end where the backend can no better (Ray's)."""
    try:
        parallel = Parallel(n_jobs=n_jobs, prefer="threads", return_as="generator")
    except ValueError:
        parallel = Parallel(n_jobs=n_jobs, prefer="threads")
    yield from parallel(tasks)


class Shared:
    """An object of arrays that many tasks read.

    joblib's backends ask for the size: what is large, Dask's sends to a worker once and not with every task.
    """

    def __sizeof__(self) -> int:
        parts = [part for v in vars(self).values() for part in (v if isinstance(v, tuple) else (v,))]
        return object.__sizeof__(self) + sum(part.nbytes for part in parts if isinstance(part, np.ndarray))


class Flag(threading.Event):
    """An event for the threads of one process; another process has its own, never set."""

    def __reduce__(self) -> tuple[type, tuple[()]]:
        return Flag, ()
