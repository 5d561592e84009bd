"""Interleaved timing: contenders take turns, medians are compared, ratios are what is reported."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping

__all__ = ["medians", "report"]


def medians(contenders: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Run every contender once to warm up, then in turns; give the median seconds of each."""
    for contender in contenders.values():
        contender()
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, contender in contenders.items():
            began = time.perf_counter()
            contender()
            seconds[name].append(time.perf_counter() - began)
    return {name: statistics.median(taken) for name, taken in seconds.items()}


def report(what: str, seconds: float, peer: float, target: float) -> None:
    """Print one ratio against its target."""
    ratio = seconds / peer
    verdict = "within" if ratio <= target else "MISSES"
    print(f"{what}: {ratio:.2f} ({seconds:.3f} s / {peer:.3f} s), {verdict} the target of {target}")
