"""Monitors and their alarms as people see them: lists and charts, and what they may decide."""

from __future__ import annotations

from mammolens.serve.alarms.notes import (
    AlarmNote,
    MonitorNote,
    acknowledge_alarm,
    mute_monitor,
    restart_monitor,
)
from mammolens.serve.alarms.overview import (
    MeasurePoints,
    list_alarms,
    list_monitors,
    measure_points,
    read_monitor,
)

__all__ = [
    "AlarmNote",
    "MeasurePoints",
    "MonitorNote",
    "acknowledge_alarm",
    "list_alarms",
    "list_monitors",
    "measure_points",
    "mute_monitor",
    "read_monitor",
    "restart_monitor",
]
