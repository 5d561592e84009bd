"""The marks of a signed reading as presentation states: one per image that has marks.

Each mark has a number, which the report names it by; the greys are those of the image's header.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import numpy as np
from pydicom.dataset import Dataset

from mammolens.core import Mammogram, Source
from mammolens.errors import InputError
from mammolens.images.dicom.pydicom_warnings import quiet_pydicom
from mammolens.readings import Mark, MarkShape, SignedReading
from mammolens.sinks import Artefact
from mammolens.sinks._dicom_common import dicom_file, image_dataset
from mammolens.sinks._presentation import presentation_state, take_greys
from mammolens.sinks.reading._common import complete, corners, identifiers, person_name, tip
from mammolens.wording import DISCLAIMER, printable, view_name

if TYPE_CHECKING:
    import highdicom

__all__ = ["marked_images", "presentation_states"]

_POINT_PX: Final = 12.0
"""Radius of the circle around a point, as no viewer shows a single pixel."""


def marked_images(reading: SignedReading) -> list[str]:
    """List the SOP Instance UIDs of the images that have marks, in the order of the images."""
    marked = {mark.image for mark in reading.answer.findings}
    uids = [str(source.ref.sop_instance_uid) for source in reading.images]
    return [uid for uid in uids if uid in marked]


def presentation_states(reading: SignedReading) -> Iterator[Artefact]:
    """Give the presentation state of each image that has marks and was decoded.

    Raises
    ------
    InputError
        The first refusal, after all other objects were given.
    """
    refusals: list[InputError] = []
    for number, uid in enumerate(marked_images(reading), start=1):
        source, picture = reading.source(uid), reading.pictures.get(uid)
        if source is None or picture is None:
            continue
        try:
            with quiet_pydicom():
                made = _state(reading, source, picture, number)
                file = dicom_file(f"{number}-{view_name(source.ref)}", made)
        except InputError as error:
            refusals.append(error)
            continue
        yield file
    if refusals:
        raise refusals[0]


def _state(reading: SignedReading, source: Source, picture: Mammogram, number: int) -> Dataset:
    """Make the presentation state of one image (PS3.3 A.33.1)."""
    rows, columns = picture.pixels.shape
    image = image_dataset(source, (rows, columns), picture.photometric)
    take_greys(image, source.header, picture.voi, picture.ref.path)
    numbered = reading.marks_on(source)
    content = repr([mark.model_dump_json() for _, mark in numbered])
    uid = str(source.ref.sop_instance_uid)
    made = presentation_state(
        image,
        source.ref,
        picture.photometric,
        "READER",
        [shape for _, mark in numbered for shape in _shapes(mark)],
        [_text(place, mark) for place, mark in numbered],
        content_label="READER_MARKS",
        content_description=printable(reading.banner)[:64] or DISCLAIMER,
        content_creator_name=person_name(reading.observer.name) or "unnamed",
        **identifiers("reading-pr", reading, source.ref, number, uid, content),
    )
    return complete(made, "reading-pr", source, reading)


def _shapes(mark: Mark) -> list[highdicom.pr.GraphicObject]:
    """Draw a mark; coordinates are (column, row), 0 at the corner of the first pixel."""
    import highdicom as hd

    left, top, right, bottom = corners(mark)
    x, y = tip(mark)
    kind, points = "CIRCLE", [(x, y), (x + _POINT_PX, y)]
    if mark.shape is MarkShape.TEXT:
        return []
    if mark.shape in (MarkShape.LENGTH, MarkShape.ARROW):
        kind, points = "POLYLINE", list(mark.points_source_px)
    elif mark.shape is MarkShape.ELLIPSE and left < right and top < bottom:
        middle = (left + right) / 2, (top + bottom) / 2
        across, along = [(left, middle[1]), (right, middle[1])], [(middle[0], top)]
        along.append((middle[0], bottom))
        wide = right - left >= bottom - top
        kind, points = "ELLIPSE", across + along if wide else along + across
    return [
        hd.pr.GraphicObject(
            graphic_type=hd.pr.GraphicTypeValues(kind),
            graphic_data=np.array(points, dtype=np.float64),
            units=hd.pr.AnnotationUnitsValues.PIXEL,
        )
    ]


def _text(number: int, mark: Mark) -> highdicom.pr.TextObject:
    import highdicom as hd

    length = f" {mark.length_mm:.1f} mm" if mark.length_mm is not None else ""
    words = f"{number}{length}" + (f" {printable(mark.text)}" if mark.text else "")
    return hd.pr.TextObject(
        words,
        units=hd.pr.AnnotationUnitsValues.PIXEL,
        anchor_point=tip(mark),
        anchor_point_visible=mark.shape is MarkShape.TEXT,
    )
