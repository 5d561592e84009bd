"""Patient and study attributes of results, checked against the forms of PS3.5 Table 6.2-1.

The attributes that identify patient and study are copied unchanged; if one breaks its form, no
result is written. Every other attribute that breaks its form is left empty, as type 2 allows.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import Final

from pydicom.uid import UID

from mammolens.core import ImageRef, Source, SourceHeader
from mammolens.errors import MissingAttribute

_UID: Final = re.compile(r"[0-9]+(\.[0-9]+)*")
_DATE: Final = re.compile(r"[12]\d{3}(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])")
_TIME: Final = re.compile(r"([01]\d|2[0-3])([0-5]\d([0-5]\d|60)?(\.\d{1,6})?)?")
_LONG, _SHORT = 64, 16  # characters of the VRs LO, PN and UI, and of SH


def carried_back(ref: ImageRef, header: SourceHeader) -> dict[str, str]:
    """Give the patient and study attributes that a result shares with its images.

    Raises
    ------
    MissingAttribute
        If a value that identifies patient or study is too long, or has a control character or a
        backslash (a value with several parts is read with backslashes between them).
    """
    known = {
        "PatientID": (ref.patient_id, _is_text(_LONG)),
        "PatientName": (header.patient_name, _is_name),
        "StudyInstanceUID": (ref.study_instance_uid, is_uid),
    }
    for keyword, (value, fits) in known.items():
        if value and not fits(value):
            raise MissingAttribute(
                f"{keyword} breaks the DICOM standard, so no DICOM result can carry it back",
                source=ref.path,
                keyword=keyword,
                remedy="Correct the header of the images",
            )
    sex = header.patient_sex
    return {keyword: value or "" for keyword, (value, _) in known.items()} | {
        "PatientBirthDate": date(header.patient_birth_date),
        "PatientSex": sex if sex in ("F", "M", "O") else "",
        "StudyID": _fitting(header.study_id, _is_text(_SHORT)),
        "StudyDate": date(header.study_date),
        "StudyTime": time(header.study_time),
        "AccessionNumber": _fitting(header.accession_number, _is_text(_SHORT)),
        "ReferringPhysicianName": _fitting(header.referring_physician_name, _is_name),
    }


def lacking_identifier(source: Source) -> str | None:
    """Name the first identifier of an image that is missing or is not a UID; else ``None``."""
    needed = {
        "SOPClassUID": source.header.sop_class_uid,
        "SOPInstanceUID": source.ref.sop_instance_uid,
        "SeriesInstanceUID": source.ref.series_instance_uid,
        "StudyInstanceUID": source.ref.study_instance_uid,
    }
    return next((keyword for keyword, value in needed.items() if not is_uid(value)), None)


def require_identifiers(source: Source) -> None:
    """Refuse an image that a DICOM result cannot refer to.

    Raises
    ------
    MissingAttribute
        An identifier of the image is missing, or is not a UID.
    """
    keyword = lacking_identifier(source)
    if keyword is not None:
        raise MissingAttribute(
            "the image has no identifier that a DICOM result could refer to",
            source=source.ref.path,
            keyword=keyword,
            remedy="Send the original DICOM image, and do not pseudonymise",
        )


def is_uid(text: str | None) -> bool:
    """Return whether a text is a UID; components with leading zeros are tolerated.

    Examples
    --------
    >>> is_uid("1.2.840"), is_uid("1..2"), is_uid(None)
    (True, False, False)
    """
    return bool(text) and len(text or "") <= _LONG and _UID.fullmatch(text or "") is not None


def is_image_class(uid: str | None) -> bool:
    """Return whether objects of a SOP class are images, so that an IMAGE item may refer to them.

    A private class is not one, and neither is a class that the standard does not call an image:
    readers refuse a structured report that refers to such an object as an image.

    Source: PS3.3 C.18.4 (Image Reference Macro), PS3.4 table B.5-1.

    Examples
    --------
    >>> mammogram, report = "1.2.840.10008.5.1.4.1.1.1.2", "1.2.840.10008.5.1.4.1.1.88.50"
    >>> is_image_class(mammogram), is_image_class(report), is_image_class("1.2.3")
    (True, False, False)
    """
    return is_uid(uid) and "Image Storage" in UID(uid or "").name


def date(text: str | None) -> str:
    """Give a DA value; empty if the text is not one.

    Examples
    --------
    >>> date("20261001"), date("2026-10-01"), date("20260231")
    ('20261001', '', '')
    """
    return _fitting(text, _is_date)


def time(text: str | None) -> str:
    """Give a TM value; empty if the text is not one.

    Examples
    --------
    >>> time("101500.25"), time("10:15")
    ('101500.25', '')
    """
    return _fitting(text, lambda value: _TIME.fullmatch(value) is not None)


def _fitting(text: str | None, fits: Callable[[str], bool]) -> str:
    return text if text and fits(text) else ""


def _is_date(text: str) -> bool:
    if not _DATE.fullmatch(text):
        return False
    try:
        datetime.strptime(text, "%Y%m%d")
    except ValueError:
        return False
    return True


def _is_text(longest: int) -> Callable[[str], bool]:
    return lambda text: len(text) <= longest and _is_plain(text)


def _is_name(text: str) -> bool:
    groups = text.split("=")
    return len(groups) <= 3 and all(len(group) <= _LONG for group in groups) and _is_plain(text)


def _is_plain(text: str) -> bool:
    """Return whether a text has no backslash, no control character, and only encodable letters.

    A backslash separates the values of an attribute.
    """
    return "\\" not in text and not any(
        ord(letter) < 0x20 or 0x7F <= ord(letter) < 0xA0 or 0xD800 <= ord(letter) < 0xE000
        for letter in text
    )
