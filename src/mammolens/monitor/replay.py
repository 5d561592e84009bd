"""Replay of past exams: which alarms the monitor would have raised, and when."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from mammolens.errors import DataError
from mammolens.monitor.detector import LEAST
from mammolens.monitor.exams import UNKNOWN, ExamValues, category_values
from mammolens.monitor.measures import NAMES, Partition
from mammolens.monitor.streams import (
    Alarm,
    Condition,
    Observation,
    StreamState,
    observe,
    restart,
    threshold,
)
from mammolens.tables import read_table

__all__ = ["Replay", "ReplayedAlarm", "groups_of", "read_past", "replay", "replay_lines", "seed_of"]

_OPTIONAL: Final = ("study_instance_uid", "model", "machine", "machine_software", "site")
_REMEDY: Final = "Name a results.json or worklist.csv that mammolens analyze wrote"


@dataclass(frozen=True)
class ReplayedAlarm:
    """An alarm; `since` and `at` are labels of exams: the estimated begin, and the alarm itself."""

    partition: Partition
    group: str
    alarm: Alarm
    since: str
    at: str
    delay: int  # exams from `since` to `at`


@dataclass(frozen=True)
class Replay:
    """Alarms in their order, and how many measures are waiting or stable at the end."""

    exams: int
    alarms: tuple[ReplayedAlarm, ...]
    conditions: dict[str, int]


def groups_of(site: str, exam: ExamValues) -> Iterator[tuple[Partition, str]]:
    """Name the group of an exam in each partition."""
    yield Partition.SITE, site
    yield Partition.MACHINE, exam.machine
    yield Partition.SOFTWARE, exam.software


def seed_of(partition: Partition, *names: object) -> int:
    """Give the seed of a group: the same whenever and wherever it begins."""
    names_json = json.dumps([partition.value, *map(str, names)]).encode()
    return int.from_bytes(hashlib.sha256(names_json).digest()[:6], "big")


def replay(exams: Iterable[ExamValues], run_length: float) -> Replay:
    """Feed exams in their order to the monitors of their site, machine and software.

    After an alarm, its monitor learns its reference again, as if a person had restarted it.

    Parameters
    ----------
    run_length
        Exams for each false alarm, on average at least, over all monitors together.
    """
    limit = threshold(run_length)
    states: dict[tuple[str, Partition, str], StreamState] = {}
    labels: list[str] = []
    alarms: list[ReplayedAlarm] = []
    for number, exam in enumerate(exams, start=1):
        labels.append(exam.label or f"exam {number}")
        for partition, group in groups_of(exam.site, exam):
            key = exam.site, partition, group
            state = states.get(key) or StreamState.begin(seed_of(partition, exam.site, group))
            state, raised = observe(state, Observation(number, exam.values, exam.model), limit)
            for alarm in raised:
                since = labels[alarm.since - 1]
                name = group if partition is Partition.SITE else f"{exam.site} {group}".strip()
                alarms.append(
                    ReplayedAlarm(partition, name, alarm, since, labels[-1], alarm.n_after)
                )
            states[key] = restart(state, {a.measure for a in raised}) if raised else state
    found = [state.condition(name) for state in states.values() for name in NAMES]
    conditions = {kind.value: found.count(kind) for kind in (Condition.WAITING, Condition.STABLE)}
    return Replay(len(labels), tuple(alarms), conditions)


def replay_lines(found: Replay, run_length: float) -> list[str]:
    """Describe a replay as lines of text: one for each alarm, then what the monitors say."""
    lines = [
        f"{one.at}: {one.alarm.measure} of {one.partition.value} {one.group or 'all exams'} is"
        f" {one.alarm.direction} since {one.since} ({one.delay} exams): mean"
        f" {one.alarm.mean_before:.3g} of {one.alarm.n_before} before, {one.alarm.mean_after:.3g}"
        " since"
        for one in found.alarms
    ]
    counts = ", ".join(f"{number} {kind}" for kind, number in found.conditions.items())
    budget = f"at most one false alarm in {run_length:,.0f} exams on average"
    return [
        *lines,
        f"{len(lines)} alarms in {found.exams} exams; {budget}; at the end {counts}"
        f" (waiting: fewer than {LEAST} exams)",
    ]


def read_past(paths: Sequence[Path]) -> Iterator[ExamValues]:
    """Read results of ``mammolens analyze``, file by file: ``results.json`` or tables of exams.

    Raises
    ------
    DataError
        A file cannot be read, or is neither.
    """
    for path in paths:
        if path.is_dir():
            path = path / "results.json"
        yield from _read_json(path) if path.suffix == ".json" else _read_table(path)


def _read_json(path: Path) -> Iterator[ExamValues]:
    try:
        document = json.loads(path.read_text("utf-8"))
        exams, model = document["exams"], document["model"]
    except (OSError, UnicodeDecodeError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"the results cannot be read ({type(error).__name__})",
            source=str(path),
            remedy=_REMEDY,
        ) from error
    for exam in exams:
        values = category_values(exam["category"], exam["malignancy"])
        values |= {k: v for k, v in exam.get("measures", {}).items() if v is not None}
        yield ExamValues(
            values,
            exam.get("machine") or UNKNOWN,
            exam.get("machine_software") or UNKNOWN,
            _model(model, exam.get("prevalence")),
            label=exam.get("study_instance_uid") or "",
        )


def _model(model: dict[str, Any], prevalence: float | None) -> str:
    """Name a model. The prevalence shifts its scores, so that another one is another model."""
    words = f"{model['name']} {model['version']} {model['digest'][:12]}"
    return words if prevalence is None else f"{words} at {prevalence:.6g}"


def _read_table(path: Path) -> Iterator[ExamValues]:
    """Read one exam a row: ``category`` and ``malignancy``, and whichever measures there are."""
    computed = category_values("low", 0.5)  # Only its names matter here.
    measured = [name for name in NAMES if name not in computed]
    table = read_table(path, ("category", "malignancy"), (*_OPTIONAL, *measured), remedy=_REMEDY)
    for row in table.rows:
        values = category_values(row["category"], row.number("malignancy"))
        found = {name: row.number(name) for name in measured}
        values |= {name: value for name, value in found.items() if value is not None}
        yield ExamValues(
            values,
            row["machine"] or UNKNOWN,
            row["machine_software"] or UNKNOWN,
            row["model"],
            row["site"],
            row["study_instance_uid"],
        )
