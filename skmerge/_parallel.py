"""Tasks of a fit and what they share, whether they run in threads of this process or in other ones."""

import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
from joblib import Parallel, delayed, effective_n_jobs
from numpy.typing import NDArray

CHUNK_ROWS = 16_384  # that one thread predicts at a time; bounds the memory


def each(tasks: Iterable[Any], n_jobs: int) -> Iterator[Any]:
    """Results of joblib's tasks in turn: as they come, or all at the end where the backend can no better (Ray's)."""
    try:
        parallel = Parallel(n_jobs=n_jobs, prefer="threads", return_as="generator")
    except ValueError:
        parallel = Parallel(n_jobs=n_jobs, prefer="threads")
    yield from parallel(tasks)


def in_blocks(
    run: Callable[[slice, NDArray[np.int32]], None], n: int, size: int, n_jobs: int | None, reporter: Any, what: str
) -> None:
    """Run blocks of n things of at most ``size`` in threads, reporting progress.

    ``run(part, cancelled)``: ``cancelled``, an int32 array of one number, becomes 1 after Ctrl-C or an error; other
    threads then end at their next step.
    """
    cancelled, done = np.zeros(1, np.int32), 0

    def block(first: int) -> int:
        run(slice(first, min(first + size, n)), cancelled)
        return min(first + size, n)

    try:
        parallel = Parallel(n_jobs=effective_n_jobs(n_jobs), require="sharedmem", return_as="generator")
        for last in parallel(delayed(block)(first) for first in range(0, n, size)):
            reporter.count(last, n, what, done)
            done = last
    finally:
        cancelled[0] = 1


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
