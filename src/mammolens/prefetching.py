"""Compute results ahead: while the caller uses one, threads make the next ones.

Order and content are those of a plain loop for any number of threads, if each result depends only
on its step. Memory is bounded. This is used to decode pictures, analyse exams and draw batches.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from mammolens.errors import ConfigError

__all__ = ["prefetch"]

Step = TypeVar("Step")
Made = TypeVar("Made")


def prefetch(
    make: Callable[[Step], Made], steps: Iterable[Step], *, ahead: int = 1, workers: int = 1
) -> Generator[Made]:
    """Give ``make(step)`` for each step, in order; the results are made in other threads.

    NumPy and OpenCV release the interpreter lock while they work, so threads are enough; a process
    that is forked after torch has started can hang.

    Parameters
    ----------
    make
        Called in another thread. An error in it is raised at the step where a plain loop would
        raise it. It must use its own random generators, seeded by the step: the global ones of
        NumPy and torch belong to the caller.
    steps
        The steps; they are read up to `ahead` steps before the current result.
    ahead
        Number of results that are made before they are needed: at most ``ahead + 1`` results are in
        memory. With 0, each result is made when it is needed, in the thread of the caller.

    Yields
    ------
    The results of `make`. Close the generator to stop early; running calls are finished first.

    Raises
    ------
    ConfigError
        If `ahead` is below 0, or `workers` below 1.

    Examples
    --------
    >>> list(prefetch(lambda step: step * step, range(4), ahead=2))
    [0, 1, 4, 9]
    """
    if ahead < 0 or workers < 1:
        raise ConfigError(
            f"{ahead} results ahead by {workers} threads cannot be made",
            keyword="jobs",
            remedy="Give 1 or more",
        )
    return _prefetched(make, steps, ahead, workers)


def _prefetched(
    make: Callable[[Step], Made], steps: Iterable[Step], ahead: int, workers: int
) -> Generator[Made]:
    if not ahead:
        yield from map(make, steps)
        return
    pending: deque[Future[Made]] = deque()
    with ThreadPoolExecutor(workers, thread_name_prefix="prefetch") as pool:
        try:
            for step in steps:
                pending.append(pool.submit(make, step))
                if len(pending) > ahead:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()
