"""Put a signed reading into sentences of one of four languages, for every form of its report.

They say what was found, what is recommended, and what the AI said and cannot say. The words come
from message files: ``messages/en.json`` and so on. Keys are flat; a text may hold ``{name}`` for a
value. English is complete, and a test holds the other languages to its keys.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from importlib import resources
from typing import Final

from mammolens.core import Laterality, ViewPosition
from mammolens.errors import ConfigError
from mammolens.readings import Answer, Descriptors, Mark, MarkShape, SignedReading

__all__ = [
    "LANGUAGES",
    "Wording",
    "about_marks",
    "advice",
    "ai_sentences",
    "assessments",
    "mark_words",
    "signature",
    "summary",
    "wording",
]

LANGUAGES: Final = ("en", "de", "hi", "ar")
_FROM_THE_RIGHT: Final = frozenset({"ar", "fa", "he", "ur"})
_SIDES: Final = (Laterality.RIGHT, Laterality.LEFT)


@dataclass(frozen=True)
class Wording:
    """The texts of one language."""

    language: str
    texts: Mapping[str, str]

    @property
    def direction(self) -> str:
        """Which way the language runs: ``ltr`` or ``rtl``."""
        return "rtl" if self.language in _FROM_THE_RIGHT else "ltr"

    def __call__(self, key: str, **values: object) -> str:
        """Give a text with its values.

        Examples
        --------
        >>> wording("de")("breast.R")
        'Rechte Brust'
        """
        return self.texts[key].format(**values)

    def breast(self, side: Laterality | None) -> str:
        """Name a breast."""
        return self(f"breast.{side.value}" if side else "breast.unknown")

    def view(self, side: Laterality | None, position: ViewPosition | None) -> str:
        """Name a view, as it stands in the corner of the picture."""
        return f"{side.value if side else '?'} {position.value if position else '?'}"

    def day(self, moment: datetime) -> str:
        """Write a moment, which is in UTC, as the language does."""
        return moment.strftime(self("form.moment"))

    def date(self, dicom_date: str | None) -> str:
        """Give a DICOM date; empty if there is none."""
        try:
            return datetime.strptime(dicom_date or "", "%Y%m%d").strftime(self("form.date"))
        except ValueError:
            return ""

    def described(self, descriptors: Descriptors | None) -> str:
        """Put a finding into BI-RADS words; empty where its kind was not named."""
        if descriptors is None:
            return ""
        kind = self(f"birads.{descriptors.type}")
        answers = [
            f"{self(f'birads.{descriptors.type}.{group}')}: "
            f"{self(f'birads.{descriptors.type}.{group}.{value}')}"
            for group, value in descriptors.answers.items()
        ]
        return f"{kind} ({', '.join(answers)})" if answers else kind


@lru_cache
def wording(language: str) -> Wording:
    """Give the texts of a language.

    Raises
    ------
    ConfigError
        There is no message file of it.
    """
    if language not in LANGUAGES:
        raise ConfigError(
            f"reports are not written in {language!r}",
            keyword="language",
            remedy=f"Choose one of: {', '.join(LANGUAGES)}",
        )
    folder = resources.files("mammolens.sinks.reading") / "messages"
    return Wording(language, json.loads((folder / f"{language}.json").read_text("utf-8")))


def assessments(reading: SignedReading, say: Wording) -> list[tuple[str, str, str, str]]:
    """Give for each breast: its name, category, meaning and density."""
    found: list[tuple[str, str, str, str]] = []
    for side, category, density in reading.answer.breasts():
        meaning = say(f"category.{category or 'none'}")
        words = say(f"density.{density or 'none'}")
        found.append((say.breast(side), category or "–", meaning, words))
    return found


def advice(reading: SignedReading, say: Wording) -> list[str]:
    """Give the recommendation: recall or not, and what each category asks for."""
    answer = reading.answer
    said = [say("advice.recall" if answer.recall else "advice.no_recall")]
    for side in _SIDES:
        category = answer.assessments.of(side)
        if category is not None:
            said.append(f"{say.breast(side)}: {say(f'advice.{category}')}")
    return said


def mark_words(mark: Mark, say: Wording) -> str:
    """Put a mark into words."""
    words = [say.described(mark.descriptors)]
    if mark.descriptors is None and mark.shape is not MarkShape.LENGTH:
        words = [say("mark.text" if mark.shape is MarkShape.TEXT else "mark.point")]
    if mark.shape is MarkShape.LENGTH:
        words.append(_length(mark, say))
    if mark.birads is not None:
        words.append(say("mark.birads", category=mark.birads))
    words.append(mark.text)
    return "; ".join(filter(None, words))


def about_marks(reading: SignedReading, say: Wording) -> list[str]:
    """Say that there are no marks, that another person made them, or whose marks are left out."""
    said = []
    if not reading.answer.findings:
        said.append(say("findings.none"))
    if reading.marked_by is not None:
        said.append(say("findings.marked_by", name=reading.marked_by.name))
    if reading.marks_left_out:
        said.append(say("findings.left_out", names=", ".join(reading.marks_left_out)))
    return said


def ai_sentences(reading: SignedReading, say: Wording) -> list[str]:
    """Say what the AI said, when the reader saw it, what became of it, and what it cannot do."""
    said = []
    if reading.ai is None:
        said.append(say("ai.none"))
    else:
        model = f"{reading.ai.model_name} {reading.ai.model_version}"
        category = say(f"ai.{reading.ai.category.value}")
        said.append(say("ai.category", model=model, category=category))
        if reading.ai.has_doubts:
            said.append(say("ai.doubts"))
    if reading.ai_shown and reading.ai is not None:
        said.append(say("ai.blinded" if reading.blinded else "ai.unblinded"))
    if reading.ai_shown and reading.agreed is True:
        said.append(say("ai.agreed"))
    if reading.ai_shown and reading.agreed is False and reading.first_answer is not None:
        said.append(say("ai.changed", first=summary(reading.first_answer, say)))
    said.append(say("ai.cannot"))
    return said


def signature(reading: SignedReading, say: Wording) -> str:
    """Say who signed, as what, and when."""
    return say(
        "signed_by",
        name=reading.observer.name,
        account=reading.observer.account,
        role=say(f"role.{reading.role}"),
        moment=say.day(reading.signed),
    )


def summary(answer: Answer, say: Wording) -> str:
    """Put an answer into one line."""
    parts = [f"{say.breast(side)}: BI-RADS {answer.assessments.of(side) or '–'}" for side in _SIDES]
    parts.append(say("advice.recall" if answer.recall else "advice.no_recall").rstrip("."))
    return "; ".join(parts)


def _length(mark: Mark, say: Wording) -> str:
    if mark.length_mm is None:
        (x0, y0), (x1, y1) = mark.points_source_px
        pixels = ((x1 - x0) ** 2 + (y1 - y0) ** 2) ** 0.5
        return say("mark.length_px", length=f"{pixels:.0f}")
    source = say(f"spacing.{mark.spacing_source or 'unknown'}")
    return say("mark.length_mm", length=f"{mark.length_mm:.1f}", source=source)
