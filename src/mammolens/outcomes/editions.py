"""What an audit measures against: positive screens by edition, BCSC figures, acceptable ranges."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from mammolens.errors import ConfigError
from mammolens.spelling import did_you_mean

__all__ = [
    "BENCHMARKS",
    "BENCHMARK_SOURCE",
    "CRITERIA",
    "CRITERIA_SOURCE",
    "DEFAULT",
    "EDITIONS",
    "Criterion",
    "Rule",
    "positive_rule",
]

CATEGORIES: Final = frozenset("012345")
"""BI-RADS categories of an audited exam. 6 is a known cancer, and such an exam is left out."""

DEFAULT: Final = "5th"
EDITIONS: Final[Mapping[str, frozenset[str]]] = {
    "4th": frozenset("045"),
    "5th": frozenset("0345"),
}
"""Categories of a positive screen. Older texts name 0, 4 and 5; the definitions of the BCSC
also name 3. With 3, recall rate, sensitivity and detection rate rise or stay, and specificity falls
or stays. If a national edition differs, the user names the categories."""

BENCHMARK_SOURCE: Final = (
    "BCSC 2007–2013, 1,682,504 screening exams: Lehman 2017, doi:10.1148/radiol.2016161174"
)
BENCHMARKS: Final[Mapping[str, float]] = {
    "recall_rate": 0.116,
    "detection_rate": 0.0051,
    "sensitivity": 0.869,
    "specificity": 0.889,
    "false_negative_rate": 0.0008,
    "ppv1": 0.044,
    "ppv2": 0.256,
    "ppv3": 0.286,
    "minimal_cancers": 0.577,
    "node_negative": 0.794,
}
"""Means over the screening exams of the BCSC (`BENCHMARK_SOURCE`), as shares."""

CRITERIA_SOURCE: Final = "Miglioretti 2015, PMC4369798"


@dataclass(frozen=True)
class Rule:
    """What counts as a positive screen: the categories, and the name of the definition."""

    name: str
    positive: frozenset[str]

    @property
    def words(self) -> str:
        """The rule in words, such as ``5th edition: BI-RADS 0, 3, 4 or 5``."""
        shown = sorted(self.positive)
        listed = " or ".join(filter(None, [", ".join(shown[:-1]), shown[-1]]))
        return f"{self.name}: BI-RADS {listed}"


@dataclass(frozen=True)
class Criterion:
    """One combination of ranges in which a reader's figures are acceptable.

    `ranges` maps a figure to its lowest and highest acceptable share. Both are acceptable, except
    for the figures in `below`, whose highest share belongs to the next criterion.
    """

    name: str
    ranges: Mapping[str, tuple[float, float]]
    below: frozenset[str] = frozenset()

    def is_met(self, figures: Mapping[str, float | None]) -> bool | None:
        """Say whether all figures are within the ranges; ``None`` if one is not known."""
        values = [(figures.get(name), name, ends) for name, ends in self.ranges.items()]
        if any(value is None for value, _, _ in values):
            return None
        return all(
            value is not None
            and ends[0] <= value
            and (value < ends[1] if name in self.below else value <= ends[1])
            for value, name, ends in values
        )


CRITERIA: Final[Mapping[str, tuple[Criterion, ...]]] = {
    "Sensitivity and specificity": (
        Criterion(
            "sensitivity ≥ 80 %, specificity ≥ 85 %",
            {"sensitivity": (0.80, 1.0), "specificity": (0.85, 1.0)},
        ),
        Criterion(
            "sensitivity 75–79 %, specificity 88–97 %",
            {"sensitivity": (0.75, 0.80), "specificity": (0.88, 0.97)},
            frozenset({"sensitivity"}),
        ),
    ),
    "Detection rate, recall rate and PPV1": (
        Criterion(
            "detection ≥ 6 per 1,000, recall 3–20 %",
            {"detection_rate": (0.006, 1.0), "recall_rate": (0.03, 0.20)},
        ),
        Criterion(
            "detection 4–6 per 1,000, recall 3–15 %, PPV1 ≥ 3 %",
            {"detection_rate": (0.004, 0.006), "recall_rate": (0.03, 0.15), "ppv1": (0.03, 1.0)},
            frozenset({"detection_rate"}),
        ),
        Criterion(
            "detection 2.5–4 per 1,000, recall 5–12 %, PPV1 3–8 %",
            {"detection_rate": (0.0025, 0.004), "recall_rate": (0.05, 0.12), "ppv1": (0.03, 0.08)},
            frozenset({"detection_rate"}),
        ),
    ),
}
"""Combined criteria of acceptable screening performance (`CRITERIA_SOURCE`): one of each list."""


def positive_rule(edition: str, positive: str | None = None) -> Rule:
    """Give the definition of a positive screen.

    Parameters
    ----------
    edition
        A name of `EDITIONS`.
    positive
        Categories separated by commas, instead of those of the edition.

    Raises
    ------
    ConfigError
        The edition or a category is not known.

    Examples
    --------
    >>> positive_rule("5th").words
    '5th edition: BI-RADS 0, 3, 4 or 5'
    >>> positive_rule("5th", "0,4,5").words
    'own definition: BI-RADS 0, 4 or 5'
    """
    if edition not in EDITIONS:
        raise ConfigError(
            f"the edition {edition!r} is not known",
            keyword="--edition",
            remedy=f"{did_you_mean(edition, EDITIONS)}, or name the categories: --positive 0,4,5",
        )
    if positive is None:
        return Rule(f"{edition} edition", EDITIONS[edition])
    named = [category.strip() for category in positive.split(",")]
    wrong = [category for category in named if category not in CATEGORIES]
    if wrong:
        raise ConfigError(
            f"{wrong[0]!r} is not a category of a screening exam",
            keyword="--positive",
            remedy=f"Use some of {', '.join(sorted(CATEGORIES))}, separated by commas",
        )
    return Rule("own definition", frozenset(named))
