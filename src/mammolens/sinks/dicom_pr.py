"""``dicom-pr/``: a Grayscale Softcopy Presentation State per image, with its marks and words.

A viewer shows it over the source image: a rectangle and the map's strength for each finding. The
corner away from the chest wall has the image's probabilities and "research use only". An image
without findings has only these words, and they do not call it negative. The grey values are those
of the modality and VOI attributes of the source.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import highdicom as hd
import numpy as np
from pydicom.dataset import Dataset

from mammolens.core import Finding, ImagePrediction, Prediction
from mammolens.sinks import Artefact, RunInfo
from mammolens.sinks._dicom_common import (
    finish,
    identify,
    per_image,
    source_dataset,
)
from mammolens.sinks._presentation import presentation_state, take_greys
from mammolens.wording import CATEGORY_WORDS, DISCLAIMER, percent, view_name

__all__ = ["marks", "presentation_states"]

_SINK: Final = "dicom-pr"
_TEXT_ROWS, _TEXT_COLUMNS = 0.12, 0.5
"""Size of the block of words, as shares of the image."""


def presentation_states(prediction: Prediction, run: RunInfo) -> Iterator[Artefact]:
    """Give a presentation state of each image."""
    return per_image(prediction, lambda image, number: marks(image, prediction, run, number))


def marks(image: ImagePrediction, prediction: Prediction, run: RunInfo, number: int = 1) -> Dataset:
    """Make the presentation state of one image.

    Raises
    ------
    MissingAttribute
        If the image lacks an identifier, and so cannot be referred to.
    UnsupportedImage
        If the grey values of the image come from a table that a presentation state cannot have.

    Source: PS3.3 A.33.1; coordinates C.10.5.1.2: (column, row), 0 at the corner of the first pixel.
    """
    source = source_dataset(image)
    take_greys(source, image.header, image.voi, image.ref.path)
    words = _words(image, prediction)
    content = repr((words, [finding.box_source_px for finding in image.findings]))
    made = presentation_state(
        source,
        image.ref,
        image.photometric,
        "AI",
        [_rectangle(finding) for finding in image.findings],
        [*map(_label, image.findings), _block(words, image)],
        content_label="AI_MARKS",
        content_description=DISCLAIMER,
        **identify(_SINK, image.ref, run.model, number, str(image.ref.sop_instance_uid), content),
    )
    return finish(made, _SINK, image.ref, image.header, run.created)


def _rectangle(finding: Finding) -> hd.pr.GraphicObject:
    r0, c0, r1, c1 = finding.box_source_px
    corners = np.array([[c0, r0], [c1, r0], [c1, r1], [c0, r1], [c0, r0]])
    return hd.pr.GraphicObject(
        graphic_type=hd.pr.GraphicTypeValues.POLYLINE,
        graphic_data=corners,
        units=hd.pr.AnnotationUnitsValues.PIXEL,
    )


def _label(finding: Finding) -> hd.pr.TextObject:
    r0, c0, _, _ = finding.box_source_px
    return hd.pr.TextObject(
        f"AI {finding.score:.1f}x",
        units=hd.pr.AnnotationUnitsValues.PIXEL,
        anchor_point=(c0, r0),
        anchor_point_visible=False,
    )


def _block(words: str, image: ImagePrediction) -> hd.pr.TextObject:
    """The words of the whole image, at its foot away from the chest wall."""
    rows, cols = image.geometry.source_shape
    wall = image.geometry.chest_wall_edge
    left = 0.0 if wall == "right" else cols * (1 - _TEXT_COLUMNS)
    down = (0.0, _TEXT_ROWS) if wall == "bottom" else (1 - _TEXT_ROWS, 1.0)
    box = left, rows * down[0], left + cols * _TEXT_COLUMNS, rows * down[1]
    return hd.pr.TextObject(
        words,
        units=hd.pr.AnnotationUnitsValues.PIXEL,
        bounding_box=box,
        text_justification=hd.pr.TextJustificationValues.LEFT,
    )


def _words(image: ImagePrediction, prediction: Prediction) -> str:
    found = len(image.findings)
    lines = [
        f"{view_name(image.ref)} P(malignant) {percent(image.scores.malignant)}"
        f" at a prevalence of {percent(prediction.prevalence)}",
        f"Exam: {CATEGORY_WORDS[prediction.category]}",
        f"{found} marked; x = times the level from which a mark counts"
        if found
        else "Nothing marked; this does not make the image negative",
        f"{prediction.model.name} {prediction.model.version}. {DISCLAIMER}",
    ]
    return "\r\n".join(lines)
