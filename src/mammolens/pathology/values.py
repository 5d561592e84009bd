"""The values that are read from a pathology report, and how certain each one is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from types import MappingProxyType
from typing import Final

__all__ = [
    "MALIGNANT",
    "Outcome",
    "Property",
    "SpecimenReading",
    "Statement",
    "TextReading",
    "Tissue",
    "Value",
]

Value = str | int | float | tuple[str, ...]
"""A value of a property; ``tuple`` for a list of histologies."""


class Outcome(str, Enum):
    """The worst diagnosis of a specimen."""

    BENIGN = "benign"
    HIGH_RISK = "high-risk"
    IN_SITU = "in situ"
    INVASIVE = "invasive"
    MALIGNANT = "malignant"
    """Certainly malignant, but neither "invasive" nor "in situ" is stated, such as a bare B5."""
    UNSATISFACTORY = "unsatisfactory"
    NOT_BREAST = "not breast"


MALIGNANT: Final = frozenset((Outcome.IN_SITU, Outcome.INVASIVE, Outcome.MALIGNANT))
"""The outcomes that are a cancer; one of them is `Outcome.MALIGNANT`."""


class Tissue(str, Enum):
    """What was sampled."""

    BREAST = "breast"
    LYMPH_NODE = "lymph node"
    SKIN = "skin"
    OTHER = "other"


class Property(str, Enum):
    """What is read of each specimen; the value is the name in result files."""

    LATERALITY = "laterality"
    OUTCOME = "outcome"
    PROCEDURE = "procedure"
    HISTOLOGY = "histology"
    GRADE = "grade"
    DCIS_GRADE = "dcis_grade"
    SIZE = "size_mm"
    B_CODE = "b_code"
    ER = "er"
    PR = "pr"
    HER2 = "her2"
    KI67 = "ki67_percent"
    NODES_EXAMINED = "nodes_examined"
    NODES_POSITIVE = "nodes_positive"
    CLOCK = "clock"
    DISTANCE = "distance_cm"
    QUADRANT = "quadrant"


@dataclass(frozen=True)
class Statement:
    """What a report states about one property.

    Attributes
    ----------
    value
        The value; ``None`` if the report speaks about the property but its value is unsure.
    confidence
        0 to 1: our own ranking of the evidence, not a calibrated probability.
    evidence
        The sentences that prove it, as in the report except for white space.
    reason
        Why it is unsure, in words of ours without text of the report; "" if it is not.
    """

    value: Value | None
    confidence: float
    evidence: tuple[str, ...] = field(default=(), repr=False)  # Text must not reach logs.
    reason: str = ""

    def __post_init__(self) -> None:
        if not 0 <= self.confidence <= 1:
            raise ValueError(f"confidence {self.confidence} is not within 0 to 1")
        if (self.value is None) == (not self.reason):
            raise ValueError("a statement has a value or a reason why it is unsure")

    @property
    def unsure(self) -> bool:
        """Whether a person must decide."""
        return self.value is None


@dataclass(frozen=True)
class SpecimenReading:
    """What is read of one specimen; `name` is its label in the report, ``None`` without one."""

    name: str | None
    tissue: Tissue
    statements: Mapping[Property, Statement] = field(default_factory=lambda: MappingProxyType({}))

    def value(self, wanted: Property) -> Value | None:
        """Give the value of a property; ``None`` if it is unsure or not stated."""
        stated = self.statements.get(wanted)
        return None if stated is None else stated.value

    def doubted(self, reason: str) -> SpecimenReading:
        """Give the specimen with an unsure outcome; what proved it stays as evidence."""
        stated = self.statements.get(Property.OUTCOME)
        doubt = Statement(None, 0.0, stated.evidence if stated else (), reason)
        return self.stating({Property.OUTCOME: doubt})

    def stating(self, more: Mapping[Property, Statement]) -> SpecimenReading:
        """Give the specimen with further statements, in the order of `Property`."""
        found = {**self.statements, **more}
        ordered = {kind: found[kind] for kind in Property if kind in found}
        return replace(self, statements=MappingProxyType(ordered))

    @property
    def outcome(self) -> Outcome | None:
        """The outcome; ``None`` if it is unsure."""
        value = self.value(Property.OUTCOME)
        return None if value is None else Outcome(value)


@dataclass(frozen=True)
class TextReading:
    """All specimens of a report's text, in its order, and doubts about the report as a whole."""

    specimens: tuple[SpecimenReading, ...]
    doubts: tuple[str, ...] = ()
    """Reasons why a person must look at the report, in words of ours."""
