"""DICOM attributes, read with tolerance: what cannot be read becomes a caution, never a guess."""

from __future__ import annotations

import math
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mammolens.core import Caution
from mammolens.errors import NotAnImage

if TYPE_CHECKING:
    from pydicom import Dataset

__all__ = ["Tags", "quiet_pydicom"]

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

    def given(self, keyword: str) -> bool:
        """Say whether the attribute has a value, readable or not."""
        element = self.dataset.get_item(keyword) if keyword in self.dataset else None
        return element is not None and bool(element.value)

    def items(self, keyword: str) -> Sequence[Dataset]:
        """Give the items of a sequence, empty if absent or unreadable."""
        from pydicom.sequence import Sequence as DicomSequence

        try:
            value = self.dataset.get(keyword)
        except Exception:
            value = ()
            self.caution("unreadable_attribute", f"{keyword} cannot be read and was ignored")
        return list(value) if isinstance(value, DicomSequence) else []

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

        value = self.dataset.get(keyword)
        if value is None:
            return []
        return list(value) if isinstance(value, MultiValue | list | tuple) else [value]
