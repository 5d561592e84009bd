"""DICOM attributes, read with tolerance: what cannot be read becomes a caution, never a guess."""

from __future__ import annotations

import math
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from mammolens.core import Caution
from mammolens.errors import NotAnImage

if TYPE_CHECKING:
    from pydicom import Dataset
    from pydicom.tag import BaseTag

__all__ = ["Code", "Tags", "quiet_pydicom"]

Code = tuple[str, str, str]
"""Code Value, Coding Scheme Designator and Code Meaning (PS3.3 table 8.8-1)."""

_warnings_lock = threading.RLock()


@contextmanager
def quiet_pydicom() -> Iterator[list[warnings.WarningMessage]]:
    """Collect what pydicom warns of, here only; `warnings` is process-wide, hence the lock."""
    with _warnings_lock, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield caught


@dataclass
class Tags:
    """A data set under reading: its values, and the cautions that reading them gave."""

    dataset: Dataset
    source: str
    cautions: list[Caution] = field(default_factory=list)

    def caution(self, name: str, message: str) -> None:
        """Note a tolerance, once."""
        note = Caution(name, message)
        if note not in self.cautions:
            self.cautions.append(note)

    def doubt(self, name: str, message: str) -> None:
        """Note something that could change the answer: the exam is never ``low`` then."""
        note = Caution(name, message, doubt=True)
        if note not in self.cautions:
            self.cautions.append(note)

    def texts(self, keyword: str) -> tuple[str, ...]:
        """Give all non-empty values as text."""
        found = (str(value).strip().strip("\x00") for value in self._tolerated(keyword))
        return tuple(text for text in found if text)

    def text(self, keyword: str) -> str | None:
        """Give the first value as text, or ``None`` if absent or empty."""
        return next(iter(self.texts(keyword)), None)

    def code(self, keyword: str) -> str | None:
        """Give the first value in upper case, as CS values are written."""
        text = self.text(keyword)
        return text.upper() if text else None

    def numbers(self, keyword: str) -> tuple[float, ...]:
        """Give all values as finite numbers; an unreadable one empties the attribute."""
        try:
            return self.exact_numbers(keyword)
        except NotAnImage:
            self.caution("unreadable_attribute", f"{keyword} cannot be read and was ignored")
            return ()

    def exact_numbers(self, keyword: str) -> tuple[float, ...]:
        """Give all values as finite numbers.

        Raises
        ------
        NotAnImage
            If one is no finite number: for attributes without which pixels mean nothing.
        """
        try:
            numbers = tuple(float(value) for value in self._values(keyword) if value != "")
        except Exception as error:
            raise self.unusable(keyword, "cannot be read") from error
        if not all(math.isfinite(number) for number in numbers):
            raise self.unusable(keyword, "is not a finite number")
        return numbers

    def integer(self, keyword: str) -> int | None:
        """Give the first value as an integer, or ``None``; unreadable is `NotAnImage`."""
        numbers = self.exact_numbers(keyword)
        return int(numbers[0]) if numbers else None

    def items(self, keyword: str) -> Sequence[Dataset]:
        """Give the items of a sequence, empty if absent or unreadable."""
        from pydicom.sequence import Sequence as DicomSequence

        try:
            value = self._value(keyword)
        except Exception:
            value = ()
            self.caution("unreadable_attribute", f"{keyword} cannot be read and was ignored")
        return list(value) if isinstance(value, DicomSequence) else []

    def inner(self, keyword: str) -> list[Tags]:
        """Give the items of a sequence, each to be read; what they tolerate is noted here."""
        return [Tags(item, self.source, self.cautions) for item in self.items(keyword)]

    def codes(self, keyword: str) -> tuple[Code, ...]:
        """Give the codes of a sequence as (value, scheme, meaning), absent parts as ""."""
        return tuple(_code(item) for item in self.inner(keyword))

    def unusable(self, keyword: str, cause: str) -> NotAnImage:
        """Make the error for an attribute without which pixels mean nothing."""
        return NotAnImage(
            f"{keyword} {cause}",
            source=self.source,
            keyword=keyword,
            remedy="Export the image again",
        )

    def _tolerated(self, keyword: str) -> list[Any]:
        try:
            return self._values(keyword)
        except Exception:
            self.caution("unreadable_attribute", f"{keyword} cannot be read and was ignored")
            return []

    def _values(self, keyword: str) -> list[Any]:
        """All values; pydicom converts on access, and raises whatever its converters raise."""
        from pydicom.multival import MultiValue

        value = self._value(keyword)
        if value is None:
            return []
        return list(value) if isinstance(value, MultiValue | list | tuple) else [value]

    def _value(self, keyword: str) -> Any:
        # By tag: Dataset.get raises and catches an exception for each absent keyword, and most are.
        tag = _tag(keyword)
        return self.dataset[tag].value if tag in self.dataset else None


@cache
def _tag(keyword: str) -> BaseTag:
    from pydicom.datadict import tag_for_keyword
    from pydicom.tag import BaseTag

    number = tag_for_keyword(keyword)
    assert number is not None, keyword
    return BaseTag(number)


def _code(item: Tags) -> Code:
    """One item; a long or URN value (PS3.3 8.1) counts as the value where CodeValue is absent."""
    value = next(filter(None, map(item.text, ("CodeValue", "LongCodeValue", "URNCodeValue"))), "")
    scheme, meaning = item.text("CodingSchemeDesignator"), item.text("CodeMeaning")
    return value, scheme or "", meaning or ""
