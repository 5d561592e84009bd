"""One group of exams: `observe` takes its state and an exam, and gives the next state and alarms.

A state is plain JSON between two exams. It has no clock and no file: whoever calls keeps it, and
gives exams their numbers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields, replace
from enum import Enum
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from mammolens.errors import ConfigError
from mammolens.monitor.detector import BETS, LEAST, Evidence, evidence_of, fresh, step
from mammolens.monitor.measures import MEASURES, NAMES, Partition, bins_of

__all__ = ["Alarm", "Condition", "Observation", "StreamState", "observe", "restart", "threshold"]

MONITORS: Final = len(MEASURES) * len(Partition)
"""Monitors that share the budget of alarms. The number of sites or machines does not count: each
exam is in one group of a partition, so their exams together are the exams of the node."""
_OF_MODEL: Final = np.array([measure.of_model for measure in MEASURES])


@dataclass(frozen=True)
class Observation:
    """The measures of one exam (`NAMES`; unknown ones are left out), or what a reading added to it.

    `number` rises from exam to exam; an alarm names it. `model` is the model that scored.
    """

    number: int
    values: Mapping[str, float]
    model: str = ""


class Condition(str, Enum):
    """What is known of one measure of a group."""

    WAITING = "waiting"
    """Not enough exams yet."""
    STABLE = "stable"
    ALARM = "alarm"


@dataclass(frozen=True)
class Alarm:
    """A measure has changed.

    Attributes
    ----------
    direction
        ``lower``, ``higher``, ``wider`` (both ends) or ``narrower``.
    since
        Number of the exam with which the change began, as estimated.
    n_before, n_after, mean_before, mean_after
        Number of exams, and mean, before it and from it on.
    """

    measure: str
    direction: str
    since: int
    n_before: int
    n_after: int
    mean_before: float
    mean_after: float


@dataclass(frozen=True)
class StreamState:
    """The state of one group: a row of `evidence` for each measure, and which have alarmed.

    `seed` and `seen` determine every random number, so a stream can be repeated exactly.
    """

    seed: int
    seen: int
    model: str
    evidence: Evidence
    alarmed: frozenset[str] = frozenset()

    @classmethod
    def begin(cls, seed: int) -> StreamState:
        """Begin a group of which nothing is known."""
        return cls(seed, 0, "", fresh(len(NAMES)))

    def to_json(self) -> dict[str, Any]:
        """Give plain values, ready for JSON."""
        arrays = {f.name: getattr(self.evidence, f.name).tolist() for f in fields(Evidence)}
        return {
            "seed": self.seed,
            "seen": self.seen,
            "model": self.model,
            "alarmed": sorted(self.alarmed),
            "measures": list(NAMES),
            "evidence": arrays,
        }

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> StreamState:
        """Read what `to_json` gave; a measure that was not known then begins with nothing.

        Raises
        ------
        ConfigError
            It is not a state.
        """
        try:
            names = list(kept["measures"])
            known = [names.index(name) if name in names else -1 for name in NAMES]
            old, new = [at for at in known if at >= 0], [i for i, at in enumerate(known) if at >= 0]
            arrays = {}
            for name, empty in vars(fresh(len(NAMES))).items():
                empty[new] = np.asarray(kept["evidence"][name])[old]
                arrays[name] = empty
            alarmed = frozenset(kept["alarmed"]) & frozenset(NAMES)
            return cls(
                int(kept["seed"]), int(kept["seen"]), kept["model"], Evidence(**arrays), alarmed
            )
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise ConfigError(
                "the state of a monitor cannot be read",
                keyword="state",
                remedy="Restart the monitor: it learns its reference again",
            ) from error

    def condition(self, measure: str) -> Condition:
        """Say what is known of a measure."""
        if measure in self.alarmed:
            return Condition.ALARM
        return Condition.STABLE if self.count(measure) >= LEAST else Condition.WAITING

    def count(self, measure: str) -> int:
        """Count the exams with this measure since the group began or was restarted."""
        return int(self.evidence.counts[NAMES.index(measure)].sum())


def threshold(run_length: float) -> float:
    """Give the evidence at which each monitor alarms.

    Parameters
    ----------
    run_length
        Exams of the node for each false alarm, on average at least, over all monitors together.
    """
    return run_length * MONITORS


def observe(
    state: StreamState, observation: Observation, limit: float
) -> tuple[StreamState, tuple[Alarm, ...]]:
    """Take in one exam of a group; give its next state, and the alarms that this exam raises.

    A measure that has alarmed stays as it is until it is restarted. Measures of the model begin
    again with another model: its scores are not those of the one before.

    Parameters
    ----------
    limit
        `threshold` of the node.

    Examples
    --------
    >>> state, alarms = StreamState.begin(seed=1), ()
    >>> for number in range(1, 81):
    ...     grey = 0.4 + 0.01 * (number % 7) if number <= 60 else 0.6
    ...     exam = Observation(number, {"mean_grey": grey})
    ...     state, found = observe(state, exam, threshold(1000))
    ...     alarms += found
    >>> [(alarm.measure, alarm.direction, alarm.since) for alarm in alarms]
    [('mean_grey', 'higher', 61)]
    """
    evidence, alarmed = state.evidence, state.alarmed
    if observation.model and observation.model != state.model:
        evidence = evidence.taking(_OF_MODEL, fresh(len(NAMES)))
        alarmed -= {measure.name for measure in MEASURES if measure.of_model}
    values = np.array([observation.values.get(name, np.nan) for name in NAMES], np.float64)
    values[~np.isfinite(values) | [name in alarmed for name in NAMES]] = np.nan
    ties = _uniform(state.seed, state.seen)
    after = step(evidence, values, bins_of(values), ties, observation.number)
    reached = np.flatnonzero((evidence_of(after) >= limit) & ~np.isnan(values))
    alarms = tuple(_alarm(after, row) for row in reached)
    following = replace(
        state,
        seen=state.seen + 1,
        model=observation.model or state.model,
        evidence=after,
        alarmed=alarmed | {alarm.measure for alarm in alarms},
    )
    return following, alarms


def restart(state: StreamState, measures: Collection[str] = NAMES) -> StreamState:
    """Let measures learn their reference again, after a change that is wanted or a false alarm."""
    rows = np.array([name in measures for name in NAMES])
    evidence = state.evidence.taking(rows, fresh(len(NAMES)))
    return replace(state, evidence=evidence, alarmed=state.alarmed - {*measures})


def _alarm(evidence: Evidence, row: np.intp) -> Alarm:
    bet = int(evidence.wealth[row].argmax())
    n, total = int(evidence.counts[row].sum()), float(evidence.total[row])
    n_after, sum_after = int(evidence.run_count[row, bet]), float(evidence.run_sum[row, bet])
    n_before = n - n_after
    return Alarm(
        measure=NAMES[row],
        direction=BETS[bet],
        since=int(evidence.since[row, bet]),
        n_before=n_before,
        n_after=n_after,
        mean_before=(total - sum_after) / n_before,
        mean_after=sum_after / n_after,
    )


def _uniform(seed: int, seen: int) -> npt.NDArray[np.float64]:
    """Give a number in [0, 1) for each measure, which follows from the seed and the count alone."""
    drawn = hashlib.shake_128(f"{seed}/{seen}".encode()).digest(8 * len(NAMES))
    whole = np.frombuffer(drawn, "<u8") >> np.uint64(11)
    return np.asarray(whole * 2.0**-53, np.float64)
