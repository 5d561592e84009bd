"""Drift: changes of scores and pictures over many exams, found by detectors with a stated budget.

Pure functions: a state and an exam go in, the next state and alarms come out. `streams` has the
state of one group of exams (a site, a machine, a software version), `detector` the arithmetic,
`measures` what is watched, `exams` how it is taken from results, and `replay` runs over the past.
"""

from __future__ import annotations

from mammolens.monitor.detector import LEAST
from mammolens.monitor.exams import ExamValues, disagreement, exam_values, machine_record
from mammolens.monitor.measures import MEASURES, NAMES, Measure, Partition
from mammolens.monitor.replay import (
    Replay,
    ReplayedAlarm,
    groups_of,
    read_past,
    replay,
    replay_lines,
    seed_of,
)
from mammolens.monitor.streams import (
    Alarm,
    Condition,
    Observation,
    StreamState,
    observe,
    restart,
    threshold,
)

__all__ = [
    "LEAST",
    "MEASURES",
    "NAMES",
    "Alarm",
    "Condition",
    "ExamValues",
    "Measure",
    "Observation",
    "Partition",
    "Replay",
    "ReplayedAlarm",
    "StreamState",
    "disagreement",
    "exam_values",
    "groups_of",
    "machine_record",
    "observe",
    "read_past",
    "replay",
    "replay_lines",
    "restart",
    "seed_of",
    "threshold",
]
