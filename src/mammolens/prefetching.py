"""Results made ahead: while the caller works on one, threads make the next ones.

Order and content are those of a plain loop, whatever the number of threads, as long as what is made
depends on the step alone. Memory is bounded. Pictures are decoded, exams analysed and batches drawn
this way.
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
    """Give ``make(step)`` for each step, in order, made in the background.

    NumPy and OpenCV let go of the interpreter while they work, so threads are enough; a process
    that is forked after torch has started can hang.

    Parameters
    ----------
    make
        Called in another thread. An error in it is raised at the step where a plain loop would
        raise it. Random draws come from generators of its own, seeded by the step: the global
        ones of NumPy and torch belong to the caller.
    steps
        Taken one by one, `ahead` further than what was given out.
    ahead
        Results that wait or are being made while one is in use: memory is bounded by
        ``ahead + 1`` results. With 0 everything is made in turn, in the caller's thread.
    workers
        Threads.

    Yields
    ------
    What `make` returned. Close the generator (or leave it to be collected) to stop early; the
    results that are being made are finished first.

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
