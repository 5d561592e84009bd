"""Read the attributes of a data set with tolerance: an unreadable value becomes a caution."""

from __future__ import annotations

import math
import re
from collections.abc import MutableSequence, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from mammolens.core import Caution
from mammolens.errors import NotAnImage
from mammolens.images.dicom.charsets import TextUse, decode, python_codecs

if TYPE_CHECKING:
    from pydicom import Dataset
    from pydicom.tag import BaseTag

__all__ = ["Code", "Tags"]

Code = tuple[str, str, str]
"""Code Value, Coding Scheme Designator and Code Meaning (PS3.3 table 8.8-1)."""
IDENTIFIERS: Final = frozenset(
    ("PatientID", "OtherPatientIDs", "IssuerOfPatientID", "AccessionNumber", "StudyID")
)
"""Texts that distinguish patients and studies: if one cannot be decoded, its bytes are kept."""

GE_GROUP, GE_CREATOR, GE_CLINICAL_VIEW = 0x0045, "GEMS_SENO_02", 0x1B
"""Private attribute (0045,xx1B) Clinical View of GE's mammography units."""
_TEXT_VRS: Final = frozenset(("PN", "LO", "SH", "UC", "ST", "LT", "UT"))
"""Value representations in the data set's character set (PS3.5 6.1.2.3)."""
_FORMS: Final = {
    "CS": re.compile(r"[A-Z0-9 _]{0,16}"),
    "UI": re.compile(r"[0-9.]{0,64}"),
    "DA": re.compile(r"(\d{8}|\d{4}\.\d\d\.\d\d)? *"),
    "TM": re.compile(r"[0-9.:]* *"),
    "AS": re.compile(r"(\d{3}[DWMY])?"),
    "DS": re.compile(r"[0-9+\-.eE ]{0,16}"),
    "IS": re.compile(r"[0-9+\- ]{0,12}"),
}
"""Value representations in the default character set, and the pattern of their values."""
_ONE_VALUE: Final = frozenset(("ST", "LT", "UT"))


@dataclass
class Tags:
    """A data set whose values are read, with the cautions that reading gave.

    `source` names the file in errors. `undecoded` has the keywords of texts with an unknown
    character set. `outer_charset` is the character set of the enclosing data set, for an item of a
    sequence. Values are read only once: except for its pixels, the data set must not change.
    """

    dataset: Dataset
    source: str
    cautions: list[Caution] = field(default_factory=list)
    undecoded: list[str] = field(default_factory=list)
    outer_charset: tuple[str, ...] = ("",)
    _texts: dict[str, tuple[str, ...]] = field(default_factory=dict, repr=False)
    _inner: dict[str, list[Tags]] = field(default_factory=dict, repr=False)
    _present: frozenset[int] = field(default=frozenset(), repr=False)
    _clinical_view: str | None = field(default=None, repr=False)
    _own_charset: tuple[str, ...] | None = field(default=None, repr=False)

    def caution(self, name: str, message: str) -> None:
        """Add a caution, once."""
        note = Caution(name, message)
        if note not in self.cautions:
            self.cautions.append(note)

    def doubt(self, name: str, message: str) -> None:
        """Add a doubt, once: the problem could change the result, so the exam is never ``low``."""
        note = Caution(name, message, doubt=True)
        if note not in self.cautions:
            self.cautions.append(note)

    def texts(self, keyword: str) -> tuple[str, ...]:
        """Read all non-empty values as text."""
        if keyword not in self._texts:
            found = (str(value).strip().strip("\x00") for value in self._tolerated(keyword))
            self._texts[keyword] = tuple(text for text in found if text)
        return self._texts[keyword]

    def text(self, keyword: str) -> str | None:
        """Read the first value as text; ``None`` if it is missing or empty."""
        return next(iter(self.texts(keyword)), None)

    def code(self, keyword: str) -> str | None:
        """Read the first value in upper case, as CS values are written."""
        text = self.text(keyword)
        return text.upper() if text else None

    def numbers(self, keyword: str) -> tuple[float, ...]:
        """Read all values as finite numbers; if one is unreadable, the result is empty.

        A comma is accepted as decimal point.
        """
        try:
            return self.exact_numbers(keyword)
        except NotAnImage:
            pass
        numbers = self._with_commas(keyword)
        if not numbers:
            self.caution("unreadable_attribute", f"{keyword} cannot be read and was ignored")
        return numbers

    def exact_numbers(self, keyword: str) -> tuple[float, ...]:
        """Read all values of an attribute that the pixels need, as finite numbers.

        Raises
        ------
        NotAnImage
            If one is not a finite number.
        """
        try:
            numbers = tuple(
                _number_of(value) for value in self._values(keyword) if value != "" and value != " "
            )
        except Exception as error:
            raise self.unusable(keyword, "cannot be read") from error
        if not all(math.isfinite(number) for number in numbers):
            raise self.unusable(keyword, "is not a finite number")
        return numbers

    def integer(self, keyword: str) -> int | None:
        """Read the first value as an integer; ``None`` if it is missing.

        Raises
        ------
        NotAnImage
            If it is not a finite number.
        """
        numbers = self.exact_numbers(keyword)
        return int(numbers[0]) if numbers else None

    def items(self, keyword: str) -> Sequence[Dataset]:
        """Give the items of a sequence; empty if it is missing or unreadable."""
        from pydicom.sequence import Sequence as DicomSequence

        try:
            value = self.dataset[_tag(keyword)].value if self._element(keyword) is not None else ()
        except Exception:
            value = ()
            self.caution("unreadable_attribute", f"{keyword} cannot be read and was ignored")
        return list(value) if isinstance(value, DicomSequence) else []

    def inner(self, keyword: str) -> list[Tags]:
        """Give the items of a sequence as `Tags`; their cautions are added to this data set's."""
        if keyword not in self._inner:
            self._inner[keyword] = [
                Tags(item, self.source, self.cautions, self.undecoded, self._charset)
                for item in self.items(keyword)
            ]
        return self._inner[keyword]

    def holds(self, keyword: str) -> bool:
        """Return whether the attribute has a value, readable or not."""
        element = self._element(keyword)
        return element is not None and bool(element.value)

    def clinical_view(self) -> str | None:
        """Read the private view label of GE's units, such as LCC or RMMLO."""
        if self._clinical_view is None:
            self._clinical_view = ""
            if self._has((GE_GROUP << 16) + 0x10):
                try:
                    block = self.dataset.private_block(GE_GROUP, GE_CREATOR)
                    self._clinical_view = str(block[GE_CLINICAL_VIEW].value).strip(" \x00")
                except Exception:
                    # KeyError if it is missing; other exceptions of pydicom if it is damaged.
                    self._clinical_view = ""
        return self._clinical_view or None

    def codes(self, keyword: str) -> tuple[Code, ...]:
        """Read the codes of a sequence as (value, scheme, meaning); missing parts are empty."""
        return tuple(_code(item) for item in self.inner(keyword))

    def unusable(self, keyword: str, cause: str) -> NotAnImage:
        """Make the error for an unusable attribute that the pixels need."""
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
        """Read all values; pydicom converts them, and its converters raise many exceptions."""
        element = self._element(keyword)
        if element is None:
            return []
        vr = _vr(keyword)
        if element.is_raw and vr in _TEXT_VRS:
            return self._decoded(keyword, element.value or b"", vr)
        if element.is_raw and vr in _FORMS:
            values = (element.value or b"").decode("latin-1").rstrip("\x00").split("\\")
            if not all(map(_FORMS[vr].fullmatch, values)):
                self.caution("irregular_header", f"{keyword} breaks the DICOM standard")
            return list(values)
        value = self.dataset[_tag(keyword)].value
        if value is None:
            return []
        return list(value) if isinstance(value, MutableSequence | tuple) else [value]

    def _element(self, keyword: str) -> Any:
        """Give the element, raw if it was not converted yet; ``None`` if it is missing."""
        return self.dataset.get_item(_tag(keyword)) if self._has(_number(keyword)) else None

    def _has(self, number: int) -> bool:
        if not self._present:
            self._present = frozenset(map(int, self.dataset.keys()))
        return number in self._present

    def _decoded(self, keyword: str, raw: bytes, vr: str) -> list[str]:
        """Decode texts; their real character set may differ from the declared one."""
        use = TextUse.NAME if vr == "PN" else TextUse.WORDS
        use = TextUse.IDENTIFIER if keyword in IDENTIFIERS else use
        found = decode(raw.rstrip(b" \x00"), self._charset, use)
        if not found.is_sound:
            self.undecoded.append(keyword)
            self.caution(
                "text_undecoded",
                f"the character set of {keyword} is unknown; its bytes are kept as \\xNN",
            )
        elif found.charset is not None:
            self.caution(
                "text_charset",
                f"{keyword} is not in the declared character set; it was read as {found.charset}",
            )
        text = found.text.rstrip("=") if vr == "PN" else found.text
        return [text] if vr in _ONE_VALUE or not found.is_sound else text.split("\\")

    @property
    def _charset(self) -> tuple[str, ...]:
        if self._own_charset is None:
            declared = tuple(str(value) for value in self._tolerated("SpecificCharacterSet"))
            own = self._element("SpecificCharacterSet") is not None
            self._own_charset = python_codecs(declared) if own else self.outer_charset
        return self._own_charset

    def _with_commas(self, keyword: str) -> tuple[float, ...]:
        try:
            texts = [str(value).replace(",", ".") for value in self._values(keyword)]
            numbers = tuple(float(text) for text in texts)
        except Exception:
            return ()
        return numbers if all(math.isfinite(number) for number in numbers) else ()


def _number_of(value: Any) -> float:
    if isinstance(value, str) and "_" in value:
        raise ValueError(value)  # Python would read 1_000.
    return float(value)


@cache
def _tag(keyword: str) -> BaseTag:
    from pydicom.datadict import tag_for_keyword
    from pydicom.tag import BaseTag

    number = tag_for_keyword(keyword)
    assert number is not None, keyword
    return BaseTag(number)


@cache
def _number(keyword: str) -> int:
    # An int: comparing pydicom's tag objects is slow.
    return int(_tag(keyword))


@cache
def _vr(keyword: str) -> str:
    from pydicom.datadict import dictionary_VR

    return dictionary_VR(_tag(keyword))


def _code(item: Tags) -> Code:
    """Read one item; without CodeValue, its long or URN value is used (PS3.3 8.1)."""
    value = next(filter(None, map(item.text, ("CodeValue", "LongCodeValue", "URNCodeValue"))), "")
    scheme, meaning = item.text("CodingSchemeDesignator"), item.text("CodeMeaning")
    return value, scheme or "", meaning or ""
