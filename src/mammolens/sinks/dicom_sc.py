"""``dicom-sc/``: an RGB Secondary Capture per image, for viewers that cannot show other results.

The picture is that of the sink ``overlay``: the whole source image as it is stored, with outlines
and boxes, and below it a band of text that ends in "research use only". It belongs to the study of
its image. Its modality is OT, so that no program, this one included, reads it as a mammogram.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import SecondaryCaptureImageStorage

from mammolens.core import ImagePrediction, Prediction
from mammolens.errors import UnsupportedImage
from mammolens.render import overlay
from mammolens.sinks import Artefact, RunInfo
from mammolens.sinks._dicom_common import (
    code_item,
    finish,
    identify,
    orientation,
    per_image,
    reference_item,
    sign,
    source_dataset,
    view_item,
)

__all__ = ["captures", "overlay_capture"]

_SINK: Final = "dicom-sc"


def captures(prediction: Prediction, run: RunInfo) -> Iterator[Artefact]:
    """Give a Secondary Capture of each image."""
    return per_image(
        prediction, lambda image, number: overlay_capture(image, prediction, run, number)
    )


def overlay_capture(
    image: ImagePrediction, prediction: Prediction, run: RunInfo, number: int = 1
) -> Dataset:
    """Make the Secondary Capture of one image: the picture with outlines, boxes and text.

    The picture of the source is at the top; its longest side is at most `render.PICTURE_PX`.

    Parameters
    ----------
    number
        Instance number within the series of its side.

    Raises
    ------
    MissingAttribute
        If the image lacks an identifier, and so cannot be referred to.
    UnsupportedImage
        If no picture of the image was kept.

    Source: PS3.3 A.8.1.
    """
    source_dataset(image)  # refuses an image without identifiers
    if image.display is None:
        raise UnsupportedImage(
            "no picture of the image was kept, so there is nothing to draw on",
            source=image.ref.path,
            remedy="Analyse with AnalysisOptions(display=True)",
        )
    picture = np.ascontiguousarray(overlay(image, prediction))
    made = Dataset()
    made.SOPClassUID = SecondaryCaptureImageStorage
    sign(made, identify(_SINK, image.ref, run.model, number, picture.tobytes()))
    made.Modality, made.ConversionType = "OT", "WSD"
    made.ImageType = ["DERIVED", "SECONDARY"]
    made.DerivationDescription = (
        "Outline of a model's evidence on a reduced copy of the source image"
    )
    made.SourceImageSequence = [_source_item(image)]
    made.BurnedInAnnotation = "YES"
    made.PatientOrientation = orientation(image.header)
    _place(made, image, picture.shape[1])
    made.SamplesPerPixel, made.PhotometricInterpretation, made.PlanarConfiguration = 3, "RGB", 0
    made.Rows, made.Columns = picture.shape[:2]
    made.BitsAllocated = made.BitsStored = 8
    made.HighBit, made.PixelRepresentation = 7, 0
    made.PixelData = picture.tobytes() + b"\0" * (picture.size % 2)
    made["PixelData"].VR = "OB"
    return finish(made, _SINK, image.ref, image.header, run.created)


def _source_item(image: ImagePrediction) -> Dataset:
    item = reference_item(image)
    purpose = code_item("121322", "DCM", "Source image for image processing operation")
    item.PurposeOfReferenceCodeSequence = [purpose]
    return item


def _place(made: Dataset, image: ImagePrediction, width: int) -> None:
    """Set side, view and pixel spacing, as far as they are known.

    `width` is that of the picture, whose pixels are square.
    """
    side, view = image.ref.laterality, image.ref.view_position
    made.BodyPartExamined = "BREAST"
    if side is not None:
        made.ImageLaterality = side.value
    if view is not None:
        made.ViewPosition = view.value
    if (item := view_item(view)) is not None:
        made.ViewCodeSequence = [item]
    if image.ref.spacing_mm is not None and image.display is not None:
        shrunk = width / image.display.pixels.shape[1]
        spacing = zip(image.ref.spacing_mm, (shrunk * s for s in image.display.scale), strict=True)
        made.PixelSpacing = [f"{mm / scale:.6g}" for mm, scale in spacing]
