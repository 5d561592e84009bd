"""Which exams to label next: half at random, half where readers and AI disagree or missed a cancer.

On the project's data no strategy was better than random (60 labels, 40 repeats: uncertainty −0.010
AUC on INbreast and −0.008 on MIAS). The random half is therefore also the unbiased sample for an
audit, and every exam keeps the probability with which it was chosen.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mammolens.errors import ConfigError
from mammolens.outcomes.editions import Rule
from mammolens.outcomes.exams import Exam
from mammolens.outcomes.figures import AiRule
from mammolens.outcomes.linking import Case
from mammolens.wording import table_cell

__all__ = ["Choice", "choice_table", "choose"]


@dataclass(frozen=True)
class Choice:
    """A chosen exam, why, and the probability with which it was chosen by either half."""

    exam: Exam
    why: tuple[str, ...]
    probability: float


def choose(
    exams: Sequence[Exam],
    cases: Sequence[Case],
    rule: Rule,
    is_called: AiRule,
    n: int,
    rng: np.random.Generator,
) -> list[Choice]:
    """Choose at most `n` exams; the two halves are drawn independently and may share exams.

    Parameters
    ----------
    exams
        The exams that can be labelled.
    cases
        Those whose truth is known: a cancer after a negative answer is an interval cancer.
    rule, is_called
        When a reader and the AI call an exam.

    Raises
    ------
    ConfigError
        `n` is below 2 or above the number of exams.
    """
    if not 2 <= n <= len(exams):
        raise ConfigError(
            f"{n} of {len(exams)} exams cannot be chosen",
            keyword="--n",
            remedy=f"Give a number from 2 to {len(exams)}",
        )
    missed = {
        case.exam.study_id
        for case in cases
        if case.cancers and not rule.positive & set(case.exam.birads.values())
    }
    reasons = [_reasons(exam, rule, is_called, missed) for exam in exams]
    aimed = [place for place, words in enumerate(reasons) if words]
    n_random = n - n // 2
    n_aimed = min(n // 2, len(aimed))
    random = {int(one) for one in rng.choice(len(exams), n_random, replace=False)}
    targeted = {int(one) for one in rng.choice(aimed, n_aimed, replace=False)} if aimed else set()
    by_chance = n_random / len(exams)
    by_aim = n_aimed / len(aimed) if aimed else 0.0
    chosen = []
    for place in sorted(random | targeted):
        both = 1 - (1 - by_chance) * (1 - (by_aim if reasons[place] else 0.0))
        why = ("random",) * (place in random) + reasons[place] * (place in targeted)
        chosen.append(Choice(exams[place], why, both))
    return chosen


def choice_table(chosen: Sequence[Choice]) -> str:
    """Write the chosen exams as CSV; the weight is 1 divided by the probability."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("study_id", "patient_id", "exam_date", "why", "probability", "weight"))
    for one in chosen:
        cells = (one.exam.study_id, one.exam.patient_id, one.exam.day, "; ".join(one.why))
        numbers = (f"{one.probability:.6f}", f"{1 / one.probability:.3f}")
        writer.writerow([*(table_cell(str(cell)) for cell in cells), *numbers])
    return text.getvalue()


def _reasons(exam: Exam, rule: Rule, is_called: AiRule, missed: set[str]) -> tuple[str, ...]:
    said = bool(rule.positive & set(exam.birads.values()))
    ai = is_called(exam.ai)
    disagree = ("disagreement",) if ai is not None and ai is not said else ()
    return (*disagree, *(("interval cancer",) if exam.study_id in missed else ()))
