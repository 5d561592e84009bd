"""Texts that all outputs share, so that a table, a page and a picture use the same words."""

from __future__ import annotations

import csv
import io
import unicodedata
from collections.abc import Iterable
from typing import Final

import mammolens
from mammolens.core import (
    ImagePrediction,
    ImageRef,
    Laterality,
    Prediction,
    TriageCategory,
    ViewPosition,
)

__all__ = [
    "CATEGORY_WORDS",
    "DISCLAIMER",
    "Place",
    "estimate",
    "not_validated",
    "percent",
    "printable",
    "table_cell",
    "table_text",
    "view_in_exam",
    "view_name",
]

_FORMULA_SIGNS: Final = frozenset("=+-@|%\N{MINUS SIGN}\N{REPLACEMENT CHARACTER}")
"""First characters that make spreadsheets read a cell as a formula or command, and the replacement
character for control characters. All are in normal width; full-width characters are converted
before they are compared, because some spreadsheets accept them too."""

Place = tuple[Laterality | None, ViewPosition | None]
"""Laterality and view position of a view in an exam; ``None`` is unknown."""

DISCLAIMER: Final = mammolens.DISCLAIMER.removesuffix(".")
CATEGORY_WORDS: Final = {
    TriageCategory.FAILED: "failed: unknown, read it like a high one",
    TriageCategory.HIGH: "high",
    TriageCategory.INTERMEDIATE: "intermediate",
    TriageCategory.LOW: "low",
}


def estimate(
    value: float,
    low: float | None,
    high: float | None,
    digits: int = 3,
    *,
    signed: bool = False,
) -> str:
    """Write a number with its interval, or with the note that it has none.

    Parameters
    ----------
    value, low, high
        The number and the ends of its interval.
    digits
        Digits after the decimal point.
    signed
        Write a plus sign too, for differences.

    Examples
    --------
    >>> estimate(0.7971, 0.733, 0.8644), estimate(1.0, None, None)
    ('0.797 (0.733–0.864)', '1.000 (no interval)')
    >>> estimate(-0.021, -0.05, 0.0, 2), estimate(0.021, -0.01, 0.05, 2, signed=True)
    ('−0.02 (−0.05 to 0.00)', '+0.02 (−0.01 to +0.05)')
    """
    form = f"{'+' if signed else ''}.{digits}f"
    shown = format(value, form)
    if low is None or high is None:
        return f"{shown} (no interval)".replace("-", "−")
    between = " to " if signed or low < 0 else "–"
    return f"{shown} ({low:{form}}{between}{high:{form}})".replace("-", "−")


def not_validated(prediction: Prediction) -> list[str]:
    """Give the messages of cautions ``not_validated`` as sentences."""
    messages = (c.message for c in prediction.cautions if c.name == "not_validated")
    return [f"{text[:1].upper()}{text[1:]}." for text in messages]


def percent(probability: float) -> str:
    """Write a probability in percent; it is never rounded to 0 or 100 percent.

    Examples
    --------
    >>> [percent(p) for p in (0.0, 0.0004, 0.0123, 0.456, 0.9996)]
    ['<0.1%', '<0.1%', '1.2%', '46%', '>99.9%']
    """
    if probability < 0.001:
        return "<0.1%"
    if probability > 0.999:
        return ">99.9%"
    shown = 100 * probability
    return f"{shown:.1f}%" if shown < 9.95 or shown > 99 else f"{shown:.0f}%"


def view_name(ref: ImageRef | Place) -> str:
    """Give the usual name of a view, such as RMLO.

    Examples
    --------
    >>> view_name((Laterality.RIGHT, ViewPosition.MLO)), view_name(ImageRef("a.dcm"))
    ('RMLO', 'unknown view')
    """
    laterality, view = (ref.laterality, ref.view_position) if isinstance(ref, ImageRef) else ref
    if laterality is None and view is None:
        return "unknown view"
    return (laterality.value if laterality else "side? ") + (view.value if view else " view?")


def view_in_exam(image: ImagePrediction, prediction: Prediction) -> str:
    """Give the name of a view within its exam: the second RCC is ``RCC 2``."""
    name = view_name(image.ref)
    alike = [other for other in prediction.images if view_name(other.ref) == name]
    number = next((n for n, other in enumerate(alike, start=1) if other is image), 1)
    return name if number == 1 else f"{name} {number}"


def printable(text: str) -> str:
    """Make text from a file safe to show: replace control and bidirectional characters.

    Characters that could not be decoded are replaced too.

    Examples
    --------
    >>> printable("P1\\x1b[31m\\x00\\udcff\\u202eé")
    'P1\ufffd[31m\ufffd\ufffd\ufffdé'
    """
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def table_text(rows: Iterable[Iterable[object]], end: str = "\n") -> str:
    """Write rows as CSV; text that a spreadsheet would take for a formula is protected."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator=end)
    for row in rows:
        writer.writerow([table_cell(cell) if isinstance(cell, str) else cell for cell in row])
    return text.getvalue()


def table_cell(text: str) -> str:
    """Make text from a file safe in a table, so that no spreadsheet reads it as a formula.

    Text that begins like a formula, also in full width or after spaces, gets an apostrophe before
    it.

    Examples
    --------
    >>> [table_cell(text) for text in ("P1", "=1+1", " \\uff1d1+1", "\\t@x", "")]
    ['P1', "'=1+1", "' \uff1d1+1", "'\ufffd@x", '']
    """
    shown = printable(text)
    first = unicodedata.normalize("NFKC", shown.lstrip()[:1])[:1]
    return f"'{shown}" if first in _FORMULA_SIGNS and first else shown
