"""Limit on the audit rows about refusals: the first refusals have a row each, others are counted.

The audit trail is never shortened, so a stranger who is refused a thousand times a minute must not
write a thousand rows. The first refusals of a kind in a minute get a row each. The others of that
minute are counted, and one row for each kind gives their number. The log has every refusal.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

__all__ = ["RefusalKind", "Refusals"]

WINDOW_S: Final = 60.0
ROWS_OF_A_KIND: Final = 10
"""Rows for one kind in a window: enough to recognise a wrong setting."""
ROWS_OF_ALL: Final = 100
MOST_KINDS: Final = 100
"""Kinds that are counted separately in a window; so a window adds at most 200 rows."""
OTHERS: Final = "others"


class RefusalKind(NamedTuple):
    """The refused action, the reason, and the peer: its address if it is known, else its name."""

    action: str
    reason: str
    peer: str


@dataclass
class Refusals:
    """The refusals of this process in the current window; safe for threads."""

    clock: Callable[[], float] = time.monotonic
    _began: float = float("-inf")
    _own: Counter[RefusalKind] = field(default_factory=Counter)
    _counted: Counter[RefusalKind] = field(default_factory=Counter)
    _timer: threading.Timer | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def has_own_row(self, kind: RefusalKind, at_end: Callable[[], None]) -> bool:
        """Whether a refusal gets a row of its own; if not, it is counted.

        Parameters
        ----------
        at_end
            Called once, in a new thread, at the end of a window in which refusals were counted.
        """
        with self._lock:
            now = self.clock()
            if now - self._began >= WINDOW_S:
                self._began = now
                self._own.clear()
            if kind not in self._own and len(self._own) >= MOST_KINDS:
                kind = RefusalKind(kind.action, OTHERS, OTHERS)
            if self._own[kind] < ROWS_OF_A_KIND and self._own.total() < ROWS_OF_ALL:
                self._own[kind] += 1
                return True
            self._own.setdefault(kind, 0)  # It is one of `MOST_KINDS`, also without a row.
            self._counted[kind] += 1
            if self._timer is None:
                self._timer = threading.Timer(max(self._began + WINDOW_S - now, 0.0), at_end)
                self._timer.daemon = True
                self._timer.start()
            return False

    def take_counted(self) -> Counter[RefusalKind]:
        """Give the counts since the last call, and set them to 0."""
        with self._lock:
            counted, self._counted = self._counted, Counter()
            self._stop_timer()
            return counted

    def put_back(self, counted: Counter[RefusalKind]) -> None:
        """Add counts again that could not be written."""
        with self._lock:
            self._counted += counted

    def stop(self) -> None:
        """Cancel the call at the end of the window."""
        with self._lock:
            self._stop_timer()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
