"""One route during delivery: its destination, and the recent answers of the destination."""

from __future__ import annotations

import random
import sys
import threading
from dataclasses import dataclass

from mammolens.serve.delivery.transports import Answer, Transport, Verdict
from mammolens.serve.holdings import NodeState
from mammolens.serve.record import Pulse, attempts
from mammolens.serve.settings import JobSettings, RouteSettings

__all__ = ["Route"]


@dataclass
class Route:
    """One route during delivery, and the recent answers of its destination.

    `broken` and `away` count such answers in a row; `asked_s` is the wait that it asked for.
    """

    state: NodeState
    settings: RouteSettings
    transport: Transport
    pulse: Pulse
    stop: threading.Event
    worker: str
    broken: int = 0
    away: int = 0
    asked_s: float = 0.0

    @property
    def max_attempts(self) -> int:
        """Attempts after which a person must look at a delivery."""
        most = self.settings.max_attempts
        return self.state.settings.jobs.max_deliveries if most is None else most or sys.maxsize

    def rules(self) -> JobSettings:
        """Give the waits between attempts, varied at random."""
        jobs, spread = self.state.settings.jobs, random.uniform(0.5, 1.0)
        waits = {
            "backoff_s": jobs.backoff_s * spread,
            "backoff_max_s": jobs.backoff_max_s * spread,
        }
        return jobs.model_copy(update=waits)

    def note(self, answer: Answer) -> Answer:
        """Record an answer of the destination; two broken ones in a row mean that it is away."""
        self.broken = self.broken + 1 if answer.verdict is Verdict.BROKEN else 0
        if self.broken > 1:
            answer = Answer(Verdict.AWAY, answer.said, answer.wait_s)
        self.away = self.away + 1 if answer.verdict is Verdict.AWAY else 0
        self.asked_s = answer.wait_s
        return answer

    def pause_s(self) -> float:
        """Give the seconds to wait before the next file; 0 if the destination answers."""
        if not self.away:
            return 0.0
        longest = self.state.settings.jobs.backoff_max_s
        return min(max(self.asked_s, attempts.wait_after(self.away, self.rules())), longest)
