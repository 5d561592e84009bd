"""Batches made ahead: while the network learns from one, a thread prepares the next.

Order and content are those of a plain loop, whatever the number of threads, because what is made
depends on the step alone. `make` must draw from generators of its own (seeded by the step) and
leave the global ones of NumPy and torch to the caller, who seeds torch before each step, as
dropout draws from it in the caller's thread.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from mammolens.errors import ConfigError

__all__ = ["prefetch"]

Step = TypeVar("Step")
Batch = TypeVar("Batch")


def prefetch(
    make: Callable[[Step], Batch], steps: Iterable[Step], *, ahead: int = 1, workers: int = 1
) -> Generator[Batch]:
    """Give ``make(step)`` for each step, in order, made in the background.

    NumPy and OpenCV let go of the interpreter while they work, so threads are enough; a process
    that is forked after torch has started can hang.

    Parameters
    ----------
    make
        Called in another thread. An error in it is raised at the step where a plain loop would
        raise it.
    steps
        Taken one by one, `ahead` further than what was given out.
    ahead
        Batches that wait or are being made while one is in use: memory is bounded by
        ``ahead + 1`` batches.
    workers
        Threads; more than `ahead` are of no use.

    Yields
    ------
    What `make` returned. Close the generator (or leave it to be collected) to stop early; the
    batch that is being made is finished first.

    Raises
    ------
    ConfigError
        If `ahead` or `workers` is below 1.

    Examples
    --------
    >>> list(prefetch(lambda step: step * step, range(4), ahead=2))
    [0, 1, 4, 9]
    """
    if ahead < 1 or workers < 1:
        raise ConfigError(
            f"{ahead} batches ahead by {workers} threads cannot be made", keyword="ahead"
        )
    return _prefetched(make, steps, ahead, workers)


def _prefetched(
    make: Callable[[Step], Batch], steps: Iterable[Step], ahead: int, workers: int
) -> Generator[Batch]:
    pending: deque[Future[Batch]] = deque()
    with ThreadPoolExecutor(workers, thread_name_prefix="feed") as pool:
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
