"""The figures of an audit: shares of the same exams, each with its interval over patients."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from mammolens.core import TriageCategory
from mammolens.errors import ConfigError
from mammolens.metrics import Interval, clustered_shares, patient_bootstraps
from mammolens.outcomes.editions import Rule
from mammolens.outcomes.exams import AiAnswer
from mammolens.outcomes.linking import Case

__all__ = ["FIGURES", "PAIRED", "Answers", "Calls", "Figure", "ai_rule", "differences", "shares"]

Bools = npt.NDArray[np.bool_]
AiRule = Callable[[AiAnswer | None], bool | None]


@dataclass(frozen=True)
class Figure:
    """A figure in words: its name, its definition, and the number of exams it is given per."""

    name: str
    definition: str
    per: int = 100


FIGURES: Final[Mapping[str, Figure]] = {
    "recall_rate": Figure("Recall rate", "positive exams of all exams"),
    "detection_rate": Figure("Cancer detection rate", "true positives of all exams", 1000),
    "sensitivity": Figure("Sensitivity", "true positives of the exams with cancer"),
    "specificity": Figure("Specificity", "true negatives of the exams without cancer"),
    "false_negative_rate": Figure("False negative rate", "false negatives of all exams", 1000),
    "ppv1": Figure("PPV1", "cancers of the positive exams"),
    "ppv2": Figure("PPV2", "cancers of the positive exams with BI-RADS 4 or 5 after the work-up"),
    "ppv3": Figure("PPV3", "cancers of the positive exams after which tissue was taken"),
    "minimal_cancers": Figure(
        "Minimal cancers", "in situ, or invasive and at most 10 mm, of the found cancers"
    ),
    "node_negative": Figure(
        "Node-negative cancers", "without tumour in lymph nodes, of the found invasive cancers"
    ),
}
"""The figures by their keys. Found cancers are true positives whose size or nodes are known."""
PAIRED: Final = ("recall_rate", "detection_rate", "sensitivity", "specificity", "ppv1")
"""The figures in which the AI and the readers are compared. PPV2 and PPV3 depend on the work-up,
which followed the readers alone."""
_WORKED_UP: Final = frozenset({"4", "5"})


@dataclass(frozen=True)
class Calls:
    """Truth and properties of n exams, all (n,) bool, with the patient of each (n,) from 0.

    `recommended` is positive exams with a biopsy recommended after the work-up, `sampled` exams
    with tissue taken in the year after. `small` and `node_free` are true where their `_known` is.
    """

    patients: npt.NDArray[np.intp]
    cancer: Bools
    recommended: Bools
    sampled: Bools
    small: Bools
    small_known: Bools
    node_free: Bools
    nodes_known: Bools

    @classmethod
    def of(cls, cases: Sequence[Case]) -> Calls:
        """Collect the exams of `cases` in their order."""
        numbers: dict[str, int] = {}
        patients = [numbers.setdefault(one.exam.patient_id, len(numbers)) for one in cases]
        return cls(
            np.array(patients, np.intp),
            _bools(bool(one.cancers) for one in cases),
            _bools(bool(_WORKED_UP & set(one.exam.final_birads.values())) for one in cases),
            _bools(bool(one.outcomes) for one in cases),
            _bools(one.minimal is True for one in cases),
            _bools(one.minimal is not None for one in cases),
            _bools(one.node_negative is True for one in cases),
            _bools(one.node_negative is not None for one in cases),
        )

    def parts(self, positive: Bools) -> dict[str, tuple[Bools, Bools]]:
        """Give each figure as (hits, counted exams), both (n,), for the called exams (n,)."""
        found, everyone = self.cancer & positive, np.ones_like(positive)
        recommended, sampled = positive & self.recommended, positive & self.sampled
        sized, staged = found & self.small_known, found & self.nodes_known
        return {
            "recall_rate": (positive, everyone),
            "detection_rate": (found, everyone),
            "sensitivity": (found, self.cancer),
            "specificity": (~positive & ~self.cancer, ~self.cancer),
            "false_negative_rate": (self.cancer & ~positive, everyone),
            "ppv1": (found, positive),
            "ppv2": (found & recommended, recommended),
            "ppv3": (found & sampled, sampled),
            "minimal_cancers": (sized & self.small, sized),
            "node_negative": (staged & self.node_free, staged),
        }


@dataclass(frozen=True)
class Answers:
    """Who called which exams: `positive` (n,) where `known` (n,); the rest is not judged."""

    positive: Bools
    known: Bools

    @classmethod
    def of_readers(cls, cases: Sequence[Case], rule: Rule) -> Answers:
        """Give the readers' answers: an exam is positive if one of its breasts is."""
        called = _bools(bool(rule.positive & set(one.exam.birads.values())) for one in cases)
        return cls(called, np.ones(len(cases), bool))

    @classmethod
    def of_ai(cls, cases: Sequence[Case], rule: AiRule) -> Answers:
        """Give the answers of the AI; an exam without one is not judged."""
        said = [rule(one.exam.ai) for one in cases]
        return cls(_bools(one is True for one in said), _bools(one is not None for one in said))


def ai_rule(words: str) -> tuple[str, AiRule]:
    """Read from which answer on the AI calls an exam, and give the rule in words with its function.

    Parameters
    ----------
    words
        ``high``, ``intermediate`` (that or high), or a threshold of P(malignant) from 0 to 1.

    Raises
    ------
    ConfigError
        It is neither.

    Examples
    --------
    >>> said, is_called = ai_rule("high")
    >>> said, is_called(AiAnswer(TriageCategory.LOW)), is_called(AiAnswer(TriageCategory.FAILED))
    ('category high', False, None)
    """
    if words in ("high", "intermediate"):
        called = {TriageCategory.HIGH} | ({TriageCategory(words)})
        name = "category high" if words == "high" else "category intermediate or high"
        return name, lambda answer: _by_category(answer, called)
    try:
        threshold = float(words)
    except ValueError:
        threshold = -1.0
    if not 0.0 <= threshold <= 1.0:
        raise ConfigError(
            f"{words!r} is not an answer of the AI",
            keyword="--ai-positive",
            remedy="Use high, intermediate, or a probability from 0 to 1",
        )
    return f"P(malignant) ≥ {threshold:g}", lambda answer: _by_score(answer, threshold)


def shares(calls: Calls, answers: Answers, members: Bools | None = None) -> dict[str, Interval]:
    """Give every figure that is defined on the exams `members` (n,), by default on all."""
    own = answers.known if members is None else answers.known & members
    parts = calls.parts(answers.positive)
    hits = np.array([top & own for top, _ in parts.values()])
    counted = np.array([below & own for _, below in parts.values()])
    found = clustered_shares(hits, counted, calls.patients)
    return {key: one for key, one in zip(parts, found, strict=True) if one is not None}


def differences(
    calls: Calls, readers: Answers, ai: Answers, *, draws: int = 2000, seed: int = 0
) -> dict[str, Interval | None]:
    """Give the figures of the AI minus those of the readers, on the exams that both answered.

    The intervals are paired: both are computed in the same resample of patients. A difference that
    is not defined is ``None``.
    """
    both = np.flatnonzero(readers.known & ai.known)
    if not both.size:
        return dict.fromkeys(PAIRED)
    columns = []
    for answers in (readers, ai):
        parts = calls.parts(answers.positive)
        columns += [part[both] for key in PAIRED for part in parts[key]]
    table = np.array(columns, np.float64).T

    def statistics(weights: npt.NDArray[np.float64]) -> dict[str, npt.NDArray[np.float64]]:
        sums = (weights @ table).reshape(len(weights), 2, len(PAIRED), 2)
        with np.errstate(divide="ignore", invalid="ignore"):
            figures = sums[..., 0] / sums[..., 1]
        return {key: figures[:, 1, n] - figures[:, 0, n] for n, key in enumerate(PAIRED)}

    return patient_bootstraps(
        statistics, calls.cancer[both], calls.patients[both], draws=draws, seed=seed
    )


def _by_category(answer: AiAnswer | None, called: set[TriageCategory]) -> bool | None:
    """A failed analysis is not known; it is neither positive nor negative."""
    if answer is None or answer.category in (None, TriageCategory.FAILED):
        return None
    return answer.category in called


def _by_score(answer: AiAnswer | None, threshold: float) -> bool | None:
    if answer is None or answer.score is None or answer.category is TriageCategory.FAILED:
        return None
    return answer.score >= threshold


def _bools(values: Iterable[bool]) -> Bools:
    return np.array(list(values), np.bool_)
