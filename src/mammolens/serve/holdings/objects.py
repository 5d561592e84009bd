"""A received object as its header describes it: its role for the node, and its patient."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import BinaryIO, Final

from mammolens.core import ImageRef, ObjectKind, SourceHeader
from mammolens.errors import MissingAttribute
from mammolens.exams import STANDARD_VIEWS, identity_of, is_placeholder
from mammolens.images.dicom import Described, describe_dicom
from mammolens.images.limits import MAX_BYTES
from mammolens.serve.record import ExamHeader, Role

__all__ = [
    "FILM",
    "FILM_NOT_READ",
    "MAMMOGRAPHY",
    "SOURCE",
    "ReceivedObject",
    "describe_object",
    "exam_header",
]

_STORAGE: Final = "1.2.840.10008.5.1.4.1.1."
MAMMOGRAPHY: Final = frozenset(
    _STORAGE + end for end in ("1.2", "1.2.1", "13.1.3", "13.1.4", "13.1.5")
)
"""SOP classes that are always mammography: 2D, tomosynthesis, projections."""
FILM: Final = frozenset(_STORAGE + end for end in ("1", "7"))
"""SOP classes of digitised film; read only if the settings allow it."""
FILM_NOT_READ: Final = "film_not_read"
OWN: Final = "mammolens"
_UID: Final = re.compile(r"[0-9]+(\.[0-9]+)*")
_LONGEST_UID: Final = 64
SOURCE: Final = "received object"
"""Name of the object in errors: a log must not have the patient, and the sender knows the file."""


@dataclass(frozen=True)
class ReceivedObject:
    """A received object as its header describes it.

    `doubts` are the names of header cautions that could change the result. `sealed` is the removed
    identity, encrypted.
    """

    ref: ImageRef
    header: SourceHeader
    role: Role
    reason: str | None
    digest: str
    size: int
    kind: ObjectKind = ObjectKind.UNKNOWN
    doubts: tuple[str, ...] = ()
    sealed: bytes | None = field(default=None, repr=False)

    @property
    def sop_instance_uid(self) -> str:
        return str(self.ref.sop_instance_uid)

    @property
    def changes_result(self) -> bool:
        """Whether an exam with a result must be analysed again.

        This is also so for an object that is not read but may show a breast: with it, the exam
        cannot be low.
        """
        return self.role is not Role.IGNORED and self.kind.may_show_breast

    @property
    def view(self) -> str | None:
        slot = self.ref.laterality, self.ref.view_position
        if self.role is not Role.INPUT or slot not in STANDARD_VIEWS:
            return None
        return "".join(part.value for part in slot if part)

    @property
    def identity(self) -> str:
        """A hash of the patient's identity in the header (`mammolens.exams.identity_of`)."""
        who = identity_of(self.ref, self.header)
        return hashlib.sha256(repr(who).encode("utf-8", "surrogateescape")).hexdigest()


def exam_header(ref: ImageRef, header: SourceHeader) -> ExamHeader:
    """Give what the header of an object says of its exam, for a worklist.

    A name whose character set is unknown is not given: its signs may be wrong.
    """
    is_known = not is_placeholder(ref.patient_id)
    return ExamHeader(
        ref.patient_id if is_known else None,
        None if "PatientName" in header.undecoded else header.patient_name,
        header.patient_birth_date,
        header.patient_sex,
        ref.age_years,
        header.study_date or ref.acquisition_date,
        header.accession_number,
        ref.manufacturer,
    )


def describe_object(
    stream: BinaryIO,
    digest: str,
    size: int,
    film: bool,
    is_own: Callable[[str], bool],
    most_bytes: int = MAX_BYTES,
) -> ReceivedObject:
    """Describe an object by its header; its pixels are not read.

    Parameters
    ----------
    digest
        SHA-256 of its bytes.
    film
        Whether grey Secondary Capture and Computed Radiography with modality MG are inputs.
    is_own
        Returns whether a SOP Instance UID is that of one of our results.
    most_bytes
        Limit for inflating a deflated object.

    Raises
    ------
    InputError
        It is not a DICOM object, exceeds a limit, or lacks an identifier that results need to refer
        to it.
    """
    found = describe_dicom(stream, SOURCE, None, most_bytes)
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
    role, reason = _role(found, film, own)
    doubts = tuple(dict.fromkeys(caution.name for caution in found.cautions if caution.doubt))
    return ReceivedObject(ref, header, role, reason, digest, size, found.kind, doubts)


def _role(found: Described, film: bool, own: bool) -> tuple[Role, str | None]:
    """Decide by the SOP class, not by the modality, whether an object is an input.

    Film that must not be read is refused, not ignored: it may show more than the other views, so
    the exam cannot be low.
    """
    if (found.ref.manufacturer or "").lower() == OWN or own:
        return Role.IGNORED, "own_result"
    sop_class = found.header.sop_class_uid
    if sop_class in MAMMOGRAPHY or (sop_class in FILM and found.kind is ObjectKind.MAMMOGRAM):
        if found.refusal is not None:
            return Role.REFUSED, type(found.refusal).__name__
        if sop_class in MAMMOGRAPHY or film:
            return Role.INPUT, None
        return Role.REFUSED, FILM_NOT_READ
    return Role.IGNORED, "other_class"
