"""The BI-RADS medical audit of screening exams: tables in, one structure of figures out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Final

import numpy as np

from mammolens.errors import ConfigError, InvalidManifest
from mammolens.metrics import Interval
from mammolens.outcomes.editions import (
    BENCHMARK_SOURCE,
    BENCHMARKS,
    CRITERIA,
    CRITERIA_SOURCE,
    DEFAULT,
    positive_rule,
)
from mammolens.outcomes.exams import AiAnswer, Exam
from mammolens.outcomes.figures import FIGURES, Answers, Calls, ai_rule, differences, shares
from mammolens.outcomes.linking import Case, Linked, Reason, link
from mammolens.outcomes.results import Outcome
from mammolens.spelling import did_you_mean

__all__ = [
    "AXES",
    "NOT_KNOWN",
    "SCHEMA",
    "Audit",
    "Settings",
    "audit_exams",
    "check_axes",
    "with_ai",
]

SCHEMA: Final = "mammolens.outcomes/1"
NOT_KNOWN: Final = "not known"
_AGE_EDGES: Final = (40, 50, 60, 70, 80)
_YOUNGEST: Final = f"below {_AGE_EDGES[0]}"


@dataclass(frozen=True)
class Settings:
    """What is asked: edition, own categories, groups, the AI's rule, and the end of follow-up.

    Without `complete_until`, the day of the latest outcome is taken. `since` and `until` are the
    first and last day of the exams in the figures; other exams still tell which were for screening.
    """

    edition: str = DEFAULT
    positive: str | None = None
    by: tuple[str, ...] = ("reader", "site", "machine", "density", "age")
    ai_positive: str = "high"
    complete_until: date | None = None
    draws: int = 2000
    since: date | None = None
    until: date | None = None


@dataclass(frozen=True)
class Audit:
    """The figures as JSON, and the exams and outcomes from which they come.

    `all_cases` are exams with a known truth of all times, also outside the period of the figures.
    """

    figures: dict[str, Any]
    linked: Linked
    all_cases: tuple[Case, ...]


def audit_exams(
    exams: Sequence[Exam],
    outcomes: Sequence[Outcome],
    settings: Settings,
    ai: Mapping[str, AiAnswer] | None = None,
) -> Audit:
    """Audit exams against outcomes.

    Parameters
    ----------
    ai
        Answers of the AI by the identifier of the study, instead of those in `exams`.

    Raises
    ------
    ConfigError
        The edition, a category, a group or the AI's rule is not known.
    InvalidManifest
        No exam is left, no outcome fits a patient, or no answer of the AI fits an exam.
    """
    rule = positive_rule(settings.edition, settings.positive)
    ai_words, is_called = ai_rule(settings.ai_positive)
    check_axes(settings.by)
    if ai is not None:
        exams = with_ai(exams, ai)
    until = settings.complete_until or max(one.day for one in outcomes)
    found = link(exams, outcomes, until, rule.positive)
    linked = _within(found, settings)
    exams = [exam for exam in exams if _is_within(exam, settings)]
    cases = linked.cases
    if not cases:
        raise InvalidManifest(
            f"none of the {len(exams)} exams can be audited; most often: {_commonest(linked)}",
            remedy="Outcomes must reach a year beyond the exams; --complete-until says how far",
        )
    calls, readers = Calls.of(cases), Answers.of_readers(cases, rule)
    machine = Answers.of_ai(cases, is_called)
    figures = {
        "schema": SCHEMA,
        "rule": rule.words,
        "ai_rule": ai_words if machine.known.any() else None,
        "complete_until": until.isoformat(),
        "complete_until_stated": settings.complete_until is not None,
        "counts": _counts(exams, linked, calls, (readers, machine), rule.positive),
        "excluded": _reasons(linked),
        "definitions": {k: {"name": f.name, "of": f.definition} for k, f in FIGURES.items()},
        "per": {key: figure.per for key, figure in FIGURES.items()},
        "benchmarks": {"source": BENCHMARK_SOURCE, **BENCHMARKS},
        "readers": _json(shares(calls, readers)),
        "criteria": _criteria(shares(calls, readers)),
        "comparison": _comparison(calls, readers, machine, settings.draws),
        "groups": {axis: _groups(axis, cases, calls, readers, machine) for axis in settings.by},
        "interval_cancers": [
            _look_back(case, is_called(case.exam.ai))
            for case, called in zip(cases, readers.positive, strict=True)
            if case.cancers and not called
        ],
    }
    return Audit(figures, linked, found.cases)


def _within(linked: Linked, settings: Settings) -> Linked:
    """Keep the exams of the period."""
    cases = tuple(one for one in linked.cases if _is_within(one.exam, settings))
    excluded = tuple(one for one in linked.excluded if _is_within(one[0], settings))
    return replace(linked, cases=cases, excluded=excluded)


def _is_within(exam: Exam, settings: Settings) -> bool:
    return (settings.since or exam.day) <= exam.day <= (settings.until or exam.day)


def check_axes(axes: Sequence[str]) -> None:
    """Refuse an axis by which exams cannot be grouped."""
    for axis in axes:
        if axis not in AXES:
            raise ConfigError(
                f"exams cannot be grouped by {axis!r}",
                keyword="--by",
                remedy=did_you_mean(axis, AXES),
            )


def with_ai(exams: Sequence[Exam], answers: Mapping[str, AiAnswer]) -> list[Exam]:
    """Give each exam its answer of the AI, by the identifier of the study."""
    if not any(exam.study_id in answers for exam in exams):
        raise InvalidManifest(
            "no exam of the AI's worklist is in the table of exams",
            keyword="study_instance_uid",
            remedy="Both tables must have the same study identifiers, pseudonyms or not",
        )
    return [replace(exam, ai=answers.get(exam.study_id)) for exam in exams]


def _commonest(linked: Linked) -> str:
    reasons = _reasons(linked)
    return max(reasons, key=lambda reason: reasons[reason], default="no exam is in the period")


def _reasons(linked: Linked) -> dict[str, int]:
    found = [reason for _, reason in linked.excluded]
    return {reason.value: found.count(reason) for reason in Reason if reason in found}


def _counts(
    exams: Sequence[Exam],
    linked: Linked,
    calls: Calls,
    answers: tuple[Answers, Answers],
    positive: frozenset[str],
) -> dict[str, int]:
    (readers, ai), cases = answers, linked.cases
    found = calls.cancer & readers.positive
    blind = [case.exam.without_ai for case in cases]
    return {
        "exams_in_table": len(exams),
        "exams": len(cases),
        "patients": len({case.exam.patient_id for case in cases}),
        "true_positives": int(found.sum()),
        "false_positives": int((readers.positive & ~calls.cancer).sum()),
        "true_negatives": int((~readers.positive & ~calls.cancer).sum()),
        "false_negatives": int((~readers.positive & calls.cancer).sum()),
        "found_without_size": int((found & ~calls.small_known).sum()),
        "found_in_other_breast": sum(
            _is_other_breast(case, positive) for case, hit in zip(cases, found, strict=True) if hit
        ),
        "without_ai_answer": int((~ai.known).sum()),
        "read_without_ai": sum(said is True for said in blind),
        "read_with_ai": sum(said is False for said in blind),
        "unlinked_outcomes": len(linked.unlinked),
    }


def _is_other_breast(case: Case, positive: frozenset[str]) -> bool:
    """Say whether no breast with a cancer was positive, so that only the other breast was."""
    said = {case.exam.birads.get(side) for side in case.sides}
    return bool(said) and not said & positive


def _comparison(
    calls: Calls, readers: Answers, ai: Answers, draws: int
) -> dict[str, dict[str, Any]] | None:
    """Set the AI beside the readers on the exams that it answered."""
    if not ai.known.any():
        return None
    return {
        "readers": _json(shares(calls, readers, ai.known)),
        "ai": _json(shares(calls, ai)),
        "difference": _json(differences(calls, readers, ai, draws=draws)),
    }


def _groups(
    axis: str, cases: Sequence[Case], calls: Calls, readers: Answers, ai: Answers
) -> list[dict[str, Any]]:
    names = np.array([AXES[axis](case.exam) for case in cases])
    ordered = sorted(set(names.tolist()), key=_place)
    return [
        {
            "group": name,
            "n": int(members.sum()),
            "n_patients": len(set(calls.patients[members].tolist())),
            "readers": _json(readers_figures := shares(calls, readers, members)),
            "criteria": _criteria(readers_figures),
            "ai": _json(shares(calls, ai, members)) if ai.known.any() else None,
        }
        for name in ordered
        for members in [names == name]
    ]


def _place(group: str) -> tuple[bool, bool, str]:
    """Sort groups by name, the youngest first and the unknown last."""
    return group == NOT_KNOWN, group != _YOUNGEST, group


def _criteria(figures: Mapping[str, Interval]) -> dict[str, Any]:
    """Say which combined criterion the figures meet; an empty text is none of them."""
    values = {key: one.value for key, one in figures.items()}
    found: dict[str, Any] = {"source": CRITERIA_SOURCE, "met": {}}
    for name, criteria in CRITERIA.items():
        answers = [(criterion.name, criterion.is_met(values)) for criterion in criteria]
        met = [words for words, answer in answers if answer]
        unknown = any(answer is None for _, answer in answers)
        found["met"][name] = met[0] if met else None if unknown else ""
    return found


def _look_back(case: Case, called: bool | None) -> dict[str, Any]:
    """Give what must be known to open the earlier exam of an interval cancer."""
    exam, first, ai = case.exam, case.cancers[0], case.exam.ai
    score = ai.scores.get(first.side) if ai and first.side else None
    return {
        "patient_id": exam.patient_id,
        "study_id": exam.study_id,
        "exam_date": exam.day.isoformat(),
        "reader": exam.reader,
        "birads": _categories(exam),
        "cancer_date": first.day.isoformat(),
        "days_after": (first.day - exam.day).days,
        "side": first.side.value if first.side else "",
        "outcome": first.finding.value,
        "size_mm": max((c.size_mm for c in case.cancers if c.size_mm is not None), default=None),
        "ai_category": ai.category.value if ai and ai.category else "",
        "ai_score": ai.score if ai else None,
        "ai_score_of_breast": score,
        "ai_called": called,
    }


def _categories(exam: Exam) -> str:
    said = [(side.value if side else "?", category) for side, category in exam.birads.items()]
    return " ".join(f"{side}{category or '?'}" for side, category in sorted(said, reverse=True))


def _age_band(exam: Exam) -> str:
    if exam.age_years is None:
        return NOT_KNOWN
    reached = [edge for edge in _AGE_EDGES if exam.age_years >= edge]
    if not reached:
        return _YOUNGEST
    last = reached[-1]
    return f"{last} or more" if last == _AGE_EDGES[-1] else f"{last}–{last + 9}"


AXES: Final[Mapping[str, Callable[[Exam], str]]] = {
    "reader": lambda exam: exam.reader or NOT_KNOWN,
    "site": lambda exam: exam.site or NOT_KNOWN,
    "machine": lambda exam: exam.machine or NOT_KNOWN,
    "density": lambda exam: exam.density or NOT_KNOWN,
    "age": _age_band,
}
"""By what exams can be grouped, and the group of an exam."""


def _json(found: Mapping[str, Interval | None]) -> dict[str, dict[str, Any] | None]:
    return {
        key: None
        if one is None
        else {
            "value": one.value,
            "low": one.low,
            "high": one.high,
            "n": one.n,
            "n_positive": one.n_positive,
            "n_patients": one.n_groups,
        }
        for key, one in found.items()
    }
