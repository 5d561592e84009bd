"""The output of a sink: named files with media type, and the identifiers of DICOM objects."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

__all__ = ["Artefact", "DicomIds"]


@dataclass(frozen=True)
class DicomIds:
    """The identifiers by which others refer to a DICOM object."""

    sop_class_uid: str
    sop_instance_uid: str
    series_instance_uid: str
    study_instance_uid: str


@dataclass(frozen=True)
class Artefact:
    """One file of a result.

    Attributes
    ----------
    name
        Name of the file. A function that makes the files of one exam gives a name that is unique
        within the exam, such as ``RCC.dcm``; the run makes it unique among all exams.
    media_type
        Such as ``application/dicom``.
    content
        The bytes, or, for large files, a function that gives them piece by piece.
    dicom
        Identifiers of the object, if the file is a DICOM object.
    exam
        Patient ID and Study Instance UID, for the index of its folder.
    shows
        Further cells of its row in that index (`Sink.index`).
    """

    name: str
    media_type: str
    content: bytes | Callable[[], Iterable[bytes]]
    dicom: DicomIds | None = None
    exam: tuple[str, str] = ("", "")
    shows: tuple[str, ...] = ()

    def pieces(self) -> Iterator[bytes]:
        """Give the content piece by piece."""
        if isinstance(self.content, bytes):
            yield self.content
        else:
            yield from self.content()

    def read(self) -> bytes:
        """Give the whole content.

        Examples
        --------
        >>> Artefact("a.txt", "text/plain", lambda: [b"one ", b"two"]).read()
        b'one two'
        """
        return b"".join(self.pieces())
