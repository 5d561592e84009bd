"""The drift monitor of the node: results and decisions go in, alarms come out.

`entering` keeps what one result or decision adds, in its own transaction. `watching` feeds that to
the state machines of `mammolens.monitor` once each, `overview` shows them to people, and
`decisions` is what people may do about them. Analysis and reading wait for none of it.
"""

from __future__ import annotations

from mammolens.serve.monitoring.decisions import (
    acknowledge_alarm,
    mute_monitor,
    restart_monitor,
)
from mammolens.serve.monitoring.entering import enter_decision, enter_result
from mammolens.serve.monitoring.notes import AlarmNote, MonitorNote
from mammolens.serve.monitoring.overview import (
    Point,
    list_alarms,
    list_monitors,
    measure_points,
    read_monitor,
)
from mammolens.serve.monitoring.status import (
    MonitorCounts,
    count_monitors,
    past_observations,
    read_monitors,
)
from mammolens.serve.monitoring.watching import monitoring, take_in

__all__ = [
    "AlarmNote",
    "MonitorCounts",
    "MonitorNote",
    "Point",
    "acknowledge_alarm",
    "count_monitors",
    "enter_decision",
    "enter_result",
    "list_alarms",
    "list_monitors",
    "measure_points",
    "monitoring",
    "mute_monitor",
    "past_observations",
    "read_monitor",
    "read_monitors",
    "restart_monitor",
    "take_in",
]
