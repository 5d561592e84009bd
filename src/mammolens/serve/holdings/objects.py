"""A received object as its header tells of it: what it is to the node, and whose it is."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import BinaryIO, Final

from mammolens.core import ImageRef, SourceHeader
from mammolens.errors import InputError, MissingAttribute
from mammolens.exams import STANDARD_VIEWS
from mammolens.images.dicom import describe_dicom
from mammolens.serve.record import Role

__all__ = ["FILM", "MAMMOGRAPHY", "SOURCE", "ReceivedObject", "describe_object"]

_STORAGE: Final = "1.2.840.10008.5.1.4.1.1."
MAMMOGRAPHY: Final = frozenset(
    _STORAGE + end for end in ("1.2", "1.2.1", "13.1.3", "13.1.4", "13.1.5")
)
"""SOP classes that are mammography whatever else they say: 2D, tomosynthesis, projections."""
FILM: Final = frozenset(_STORAGE + end for end in ("1", "7"))
"""SOP classes that digitised film comes in; read only if the settings say so."""
OWN: Final = "mammolens"
_UID: Final = re.compile(r"[0-9]+(\.[0-9]+)*")
_LONGEST_UID: Final = 64
SOURCE: Final = "received object"
"""What errors call it: its sender knows its path, and a log must not know its patient."""


@dataclass(frozen=True)
class ReceivedObject:
    """A received object as its header tells of it; `sealed` is the identity taken off it."""

    ref: ImageRef
    header: SourceHeader
    role: Role
    reason: str | None
    digest: str
    size: int
    sealed: bytes | None = field(default=None, repr=False)

    @property
    def sop_instance_uid(self) -> str:
        return str(self.ref.sop_instance_uid)

    @property
    def view(self) -> str | None:
        slot = self.ref.laterality, self.ref.view_position
        if self.role is not Role.INPUT or slot not in STANDARD_VIEWS:
            return None
        return "".join(part.value for part in slot if part)

    @property
    def identity(self) -> str:
        """A hash of who the header says the woman is; spelling of capitals does not count."""
        who = self.ref.patient_id, _plain(self.header.patient_name), self.header.patient_birth_date
        return hashlib.sha256(repr(who).encode("utf-8", "surrogateescape")).hexdigest()


def describe_object(
    stream: BinaryIO, digest: str, size: int, film: bool, is_own: Callable[[str], bool]
) -> ReceivedObject:
    """Read what an object is, its pixels unseen.

    Parameters
    ----------
    digest
        SHA-256 of its bytes.
    film
        Whether grey Secondary Capture and Computed Radiography of modality MG are inputs.
    is_own
        Tells whether an SOP instance UID is that of one of our results.

    Raises
    ------
    InputError
        It is no DICOM object, or lacks an identifier without which no result could refer to it.
    """
    found = describe_dicom(stream, SOURCE, None)
    ref, header = found.ref, found.header
    for keyword, uid in (
        ("SOPInstanceUID", ref.sop_instance_uid),
        ("SOPClassUID", header.sop_class_uid),
        ("StudyInstanceUID", ref.study_instance_uid),
    ):
        if not uid or len(uid) > _LONGEST_UID or not _UID.fullmatch(uid):
            raise MissingAttribute(
                "the object has no such identifier, so no result could refer to it",
                source=SOURCE,
                keyword=keyword,
                remedy="Send the original object",
            )
    own = is_own(str(ref.sop_instance_uid))
    role, reason = _kind(ref, header, found.refusal, film, own)
    return ReceivedObject(ref, header, role, reason, digest, size)


def _kind(
    ref: ImageRef,
    header: SourceHeader,
    refusal: InputError | None,
    film: bool,
    own: bool,
) -> tuple[Role, str | None]:
    """Say by its SOP class, not by its modality, whether an object is an input."""
    if (ref.manufacturer or "").lower() == OWN or own:
        return Role.IGNORED, "own_result"
    if header.sop_class_uid in MAMMOGRAPHY:
        return (Role.INPUT, None) if refusal is None else (Role.REFUSED, type(refusal).__name__)
    if film and header.sop_class_uid in FILM and refusal is None:
        return Role.INPUT, None
    return Role.IGNORED, "other_class"


def _plain(name: str | None) -> str:
    """Bring a person name to one spelling: its first representation, small, single blanks."""
    first = unicodedata.normalize("NFKC", name or "").partition("=")[0]
    return " ".join(first.replace("^", " ").casefold().split())
