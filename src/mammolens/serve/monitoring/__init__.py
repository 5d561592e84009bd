"""The drift monitor of the node: results and decisions go in, alarms come out.

`watching` keeps what one result or decision adds, in its own transaction, and feeds that to the
state machines of `mammolens.monitor` once each. Analysis and reading wait for none of it; the
room `alarms` shows it to people.
"""

from __future__ import annotations

from mammolens.serve.monitoring.status import (
    MonitorCounts,
    count_monitors,
    past_observations,
    read_monitors,
    state_of,
)
from mammolens.serve.monitoring.watching import (
    enter_decision,
    enter_result,
    monitoring,
    take_in,
)

__all__ = [
    "MonitorCounts",
    "count_monitors",
    "enter_decision",
    "enter_result",
    "monitoring",
    "past_observations",
    "read_monitors",
    "state_of",
    "take_in",
]
