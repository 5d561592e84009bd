"""Whether images are of the patient who gave the consent that they came with.

Only what an image states is compared: patient ID, name, year of birth. What is missing, blanked or
written in another script proves nothing. `web/src/app/logic/patient_match.ts` compares in the same
way before anything is sent; tests of both read `web/tests/golden/patients.json`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator
from typing import Final

from mammolens.core import ImageRef, SourceHeader
from mammolens.errors import NotAnImage
from mammolens.exams import is_placeholder
from mammolens.serve.holdings import NodeState, ReceivedObject
from mammolens.serve.uploads.consents import Consent, find_consent

__all__ = [
    "Acceptance",
    "acceptance",
    "contradiction",
    "refuse_other_patient",
]

Acceptance = Callable[[ReceivedObject], None]


def acceptance(state: NodeState, consent_id: str | None) -> Acceptance | None:
    """Give the check that received images are of the patient who agreed; ``None``: no consent.

    Raises
    ------
    StorageError
        Identity is encrypted with another key.
    """
    if consent_id is None:
        return None
    consent = find_consent(state, consent_id)
    return lambda found: refuse_other_patient(consent, found.ref, found.header)


def refuse_other_patient(consent: Consent, ref: ImageRef, header: SourceHeader) -> None:
    """Refuse an image of another patient than the one who agreed.

    Raises
    ------
    NotAnImage
        Patient ID, name or year of birth contradict the consent. The message repeats none of them.
    """
    what = contradiction(consent, ref.patient_id, header.patient_name, header.patient_birth_date)
    if what is not None:
        raise NotAnImage(
            f"the image is not of the patient who agreed: its {what} is another",
            remedy="Choose the images of this patient, or ask the other patient for a consent",
        )


def contradiction(
    consent: Consent, patient_id: str | None, name: str | None, birth_date: str | None
) -> str | None:
    """Name what contradicts a consent: patient ID, name or year of birth; ``None`` if nothing does.

    Parameters
    ----------
    patient_id, name, birth_date
        As in the header of the image: a DICOM person name, a date YYYYMMDD.
    """
    if not is_placeholder(patient_id) and _plain_id(patient_id) != _plain_id(consent.patient_id):
        return "patient ID"
    year = re.match(r"\d{4}", birth_date or "")
    if year is not None and int(year[0]) != consent.birth_year:
        return "year of birth"
    return "name" if _is_other_name(consent.name, name) else None


def _plain_id(text: str | None) -> str:
    """Write an ID without blanks, case and leading zeros, which differ between systems."""
    bare = (text or "").strip().casefold()
    return bare.lstrip("0") or bare[-1:]  # "000" is "0", not empty


def _is_other_name(agreed: str, stated: str | None) -> bool:
    """Whether a name in an image is surely of another person.

    Order, titles, accents and further names are no difference; an initial stands for a name.
    """
    verdicts = [
        _agree(_words(agreed), _words(form))
        for form in (stated or "").split("=")
        if not is_placeholder(form)
        and _UNDECODED.search(form) is None
        and _script(form) == _script(agreed) is not None
    ]
    return bool(verdicts) and not any(verdicts)


def _agree(one: list[str], other: list[str]) -> bool:
    """Whether each word of the shorter name is in the longer one."""
    fewer, more = sorted((one, other), key=len)
    return all(any(_same(word, name) for name in more) for word in fewer)


def _same(one: str, other: str) -> bool:
    if 1 in (len(one), len(other)):
        return one[0] == other[0]
    return one == other


def _words(name: str) -> list[str]:
    bare = _ACCENTS.sub("", unicodedata.normalize("NFKD", name)).casefold()
    return [word for word in _BETWEEN.split(bare) if word]


_ACCENTS: Final = re.compile("[\u0300-\u036f]")
_UNDECODED: Final = re.compile(r"\\x[0-9a-f]{2}", re.IGNORECASE)
"""Bytes whose character set is unknown stand as ``\\xNN``."""
_BETWEEN: Final = re.compile(r"[\s^.,;'’/-]+")


def _script(name: str) -> str | None:
    """The script of the first letter, such as LATIN or DEVANAGARI; ``None`` without a letter."""
    return next(_scripts(name), None)


def _scripts(name: str) -> Iterator[str]:
    return (unicodedata.name(one, "?").split()[0] for one in name if one.isalpha())
