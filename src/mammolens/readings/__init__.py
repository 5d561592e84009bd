"""Readings: what a person says of an exam, and what it becomes when it is signed. Pure types."""

from __future__ import annotations

from mammolens.readings.answers import (
    DESCRIPTORS,
    RECALLING,
    Addition,
    AiStatement,
    Answer,
    Assessment,
    Assessments,
    Density,
    Descriptors,
    Mark,
    MarkShape,
    Observer,
    SignedReading,
    Words,
    contradictions,
    disagreements,
    missing_fields,
)

__all__ = [
    "DESCRIPTORS",
    "RECALLING",
    "Addition",
    "AiStatement",
    "Answer",
    "Assessment",
    "Assessments",
    "Density",
    "Descriptors",
    "Mark",
    "MarkShape",
    "Observer",
    "SignedReading",
    "Words",
    "contradictions",
    "disagreements",
    "missing_fields",
]
