"""Subgroups watched over time: does the AI, or do the readers, do worse for some patients?

Each group is set against all other exams, in the order of time, by a test that stays valid at every
look (`mammolens.metrics.comparison`). The allowed chance of a false alarm is shared among axes,
figures and groups, so that it holds for the whole table and for all looks together. Of each patient
the first exam counts, because the test needs independent observations.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from mammolens import DISCLAIMER
from mammolens.errors import ConfigError, InvalidManifest
from mammolens.metrics import clopper_pearson
from mammolens.metrics.comparison import log_evidence, share_sequence
from mammolens.outcomes.audit import AXES, NOT_KNOWN, check_axes
from mammolens.outcomes.editions import DEFAULT, positive_rule
from mammolens.outcomes.figures import FIGURES, Answers, Calls, ai_rule
from mammolens.outcomes.linking import Case

__all__ = [
    "WATCHED",
    "FairnessSettings",
    "alarm_words",
    "fairness_of_both",
    "fairness_over_time",
]

WATCHED: Final = ("sensitivity", "specificity", "recall_rate")
"""The figures that are compared between groups."""
_SCHEMA: Final = "mammolens.outcomes.fairness/1"

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class FairnessSettings:
    """What is watched: the groups, who is judged (``ai`` or ``readers``), and by which rule.

    `alpha` is the chance of any false alarm in the whole table, over all looks.
    """

    by: tuple[str, ...] = ("site", "machine", "density", "age")
    who: str = "ai"
    ai_positive: str = "high"
    edition: str = DEFAULT
    positive: str | None = None
    alpha: float = 0.05

    def __post_init__(self) -> None:
        if self.who not in ("ai", "readers"):
            raise ConfigError(f"{self.who!r} is not judged", keyword="--who", remedy="ai, readers")
        if not 0.0 < self.alpha < 1.0:
            raise ConfigError(f"{self.alpha} is not a chance of a false alarm", keyword="--alpha")


def fairness_of_both(cases: Sequence[Case], settings: FairnessSettings) -> dict[str, Any]:
    """Compare groups for the AI and for the readers; ``None`` for who answered no exam.

    Each of the two has the chance `alpha` of any false alarm.
    """
    found: dict[str, Any] = {}
    for who in ("ai", "readers"):
        try:
            found[who] = fairness_over_time(cases, replace(settings, who=who))
        except InvalidManifest:
            found[who] = None
    return found


def fairness_over_time(cases: Sequence[Case], settings: FairnessSettings) -> dict[str, Any]:
    """Compare each group with all other exams; the answer may be computed again at any time.

    Parameters
    ----------
    cases
        Exams whose truth is known, in any order.

    Returns
    -------
    dict
        JSON. For each axis, group and figure: both shares with n and the 95 % interval of this look
        alone, their difference, the interval of the difference that is valid at every look
        (``always_low``, ``always_high``), and whether and since which day there is an alarm.

    Raises
    ------
    ConfigError
        A group or a rule is not known.
    InvalidManifest
        No exam has a known truth and an answer.
    """
    check_axes(settings.by)
    ordered = sorted(cases, key=lambda case: (case.exam.day, case.exam.study_id))
    if settings.who == "readers":
        rule = positive_rule(settings.edition, settings.positive)
        words, answers = rule.words, Answers.of_readers(ordered, rule)
    else:
        words, is_called = ai_rule(settings.ai_positive)
        answers = Answers.of_ai(ordered, is_called)
    if not answers.known.any():
        raise InvalidManifest(
            f"no exam has a known truth and an answer of the {settings.who}",
            remedy="Give exams with answers, and outcomes that reach a year beyond them",
        )
    calls = Calls.of(ordered)
    days = [case.exam.day for case in ordered]
    share = settings.alpha / (len(settings.by) * len(WATCHED))
    parts = calls.parts(answers.positive)
    rows = []
    for axis in settings.by:
        names = np.array([AXES[axis](case.exam) for case in ordered])
        for figure in WATCHED:
            hits, counted = parts[figure]
            used = _first_of_patients(calls.patients, counted & answers.known)
            groups = [name for name in dict.fromkeys(names[used]) if name != NOT_KNOWN]
            for place, group in enumerate(groups, start=1):
                # The shares 1/2, 1/6, 1/12, … sum to 1, so a group that appears later has its own.
                allowed = share / (place * (place + 1))
                found = _compared(hits[used], names[used] == group, days, used, allowed)
                if found is not None:
                    row = {"axis": axis, "group": str(group), "figure": figure, **found}
                    rows.append(row | {"words": alarm_words(row) if found["alarm"] else ""})
    _add_intervals([one for row in rows for one in (row, row["others"])])
    return {
        "schema": _SCHEMA,
        "notice": DISCLAIMER,
        "who": settings.who,
        "rule": words,
        "alpha": settings.alpha,
        "n_exams": int(answers.known.sum()),
        "n_tests": len(rows),
        "alarms": sum(row["alarm"] for row in rows),
        "figures": rows,
    }


def _first_of_patients(patients: npt.NDArray[np.intp], counted: Bools) -> npt.NDArray[np.intp]:
    places = np.flatnonzero(counted)
    _, first = np.unique(patients[places], return_index=True)
    return places[np.sort(first)]


def _compared(
    hits: Bools,
    members: Bools,
    days: Sequence[date],
    places: npt.NDArray[np.intp],
    allowed: float,
) -> dict[str, Any] | None:
    """Compare a group with the others; ``None`` if one of the two has no exam."""
    if members.all() or not members.any():
        return None
    one, others = _share(hits[members]), _share(hits[~members])
    ranges = [  # Half for each: both hold together with the chance `allowed` of an error.
        share_sequence(int(hits[m].sum()), int(m.sum()), allowed / 2) for m in (members, ~members)
    ]
    reached = np.flatnonzero(log_evidence(hits, members) >= math.log(1.0 / allowed))
    return {
        "n_patients": one["n"],
        **one,
        "others": others,
        "difference": one["value"] - others["value"],
        "always_low": ranges[0][0] - ranges[1][1],
        "always_high": ranges[0][1] - ranges[1][0],
        "alarm": bool(reached.size),
        "alarm_since": days[int(places[reached[0]])].isoformat() if reached.size else None,
    }


def _share(hits: Bools) -> dict[str, Any]:
    return {"n": int(hits.size), "value": float(hits.mean())}


def _add_intervals(shares: Sequence[dict[str, Any]]) -> None:
    """Add the interval of this look to each share."""
    if shares:
        counts = [one["n"] for one in shares]
        low, high = clopper_pearson([round(one["value"] * one["n"]) for one in shares], counts)
        for one, lowest, highest in zip(shares, low.tolist(), high.tolist(), strict=True):
            one |= {"low": lowest, "high": highest}


def alarm_words(row: dict[str, Any]) -> str:
    """Say in one sentence what a row with an alarm means."""
    more = "higher" if row["difference"] > 0 else "lower"
    return (
        f"{FIGURES[row['figure']].name} is {more} for {row['axis']} {row['group']} since"
        f" {row['alarm_since']}: {row['value']:.2f} (n {row['n']}), others"
        f" {row['others']['value']:.2f} (n {row['others']['n']})"
    )
