"""The words of a report for people, from message files: ``messages/en.json`` and so on.

Keys are flat; a text may hold ``{name}`` for a value. English is complete, and a test holds the
other languages to its keys. `Wording.direction` is ``rtl`` for languages that run from the right.
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
from mammolens.readings import Descriptors

__all__ = ["LANGUAGES", "Wording", "wording"]

LANGUAGES: Final = ("en", "de", "hi", "ar")
_FROM_THE_RIGHT: Final = frozenset({"ar", "fa", "he", "ur"})


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
        """Give a date and time in UTC."""
        return moment.strftime(self("form.moment"))

    def date(self, dicom: str | None) -> str:
        """Give a DICOM date; empty if there is none."""
        try:
            return datetime.strptime(dicom or "", "%Y%m%d").strftime(self("form.date"))
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
