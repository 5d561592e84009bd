"""Functions that all DICOM results of a signed reading share: images, identifiers, times."""

from __future__ import annotations

from typing import Any, Final

from pydicom.dataset import Dataset

from mammolens import __version__
from mammolens.core import ImageRef, ModelId, Source
from mammolens.errors import MissingAttribute
from mammolens.readings import Mark, SignedReading
from mammolens.sinks._dicom_common import finish, identify
from mammolens.sinks._dicom_values import is_image_class, lacking_identifier
from mammolens.sinks._messages import identity_of
from mammolens.wording import printable

_BY_HAND: Final = "Reading by a person"


def referable(reading: SignedReading) -> tuple[Source, ...]:
    """Give the images that a DICOM result can refer to; all are of one patient and study.

    Raises
    ------
    MissingAttribute, UnsupportedImage
        There is none, or they name several patients or studies.
    """
    found = tuple(
        source
        for source in reading.images
        if lacking_identifier(source) is None and is_image_class(source.header.sop_class_uid)
    )
    if not found:
        raise MissingAttribute(
            "no image of the exam has identifiers that a DICOM result could refer to",
            keyword="SOPInstanceUID",
            remedy="Send the original DICOM images",
        )
    identity_of(found, found)  # refuses several patients or studies
    return found


def identifiers(
    kind: str, reading: SignedReading, ref: ImageRef, number: int, *content: str | bytes
) -> dict[str, Any]:
    """Give identifiers and equipment of a result; the same signature gives the same."""
    reader = ModelId(_BY_HAND, __version__, f"reading {reading.id}")
    identity = identify(kind, ref, reader, number, *content, reading.signed.isoformat())
    identity["software_versions"] = identity["software_versions"][:1]  # without that of a model
    return identity


def complete(made: Dataset, kind: str, source: Source, reading: SignedReading) -> Dataset:
    """Set patient, study, times and the series description."""
    return finish(made, kind, source.ref, source.header, reading.signed)


def person_name(text: str) -> str:
    """Make a name of free text fit to be a DICOM person name.

    Examples
    --------
    >>> person_name("Dr. A^B=C")
    'Dr. A B C'
    """
    return "".join(" " if letter in "^=\\" else letter for letter in printable(text))[:64].strip()


def corners(mark: Mark) -> tuple[float, float, float, float]:
    """Give the rectangle around a mark: left, top, right, bottom."""
    columns = [x for x, _ in mark.points_source_px]
    rows = [y for _, y in mark.points_source_px]
    return min(columns), min(rows), max(columns), max(rows)


def tip(mark: Mark) -> tuple[float, float]:
    """Give what a mark points at: its only point, an arrow's tip, or its middle."""
    if mark.shape.value == "arrow":
        return mark.points_source_px[1]
    left, top, right, bottom = corners(mark)
    return (left + right) / 2, (top + bottom) / 2
