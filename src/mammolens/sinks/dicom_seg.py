"""``dicom-seg/``: a Segmentation per image that has findings, with a segment for each.

A segment is the part of a finding's box where the map is above 60 % of its peak in the box, in
pixels of the source image. It shows where the model looked; it is not the outline of a lesion.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Final

import highdicom as hd
import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from mammolens.analysis.findings import CORE_SHARE
from mammolens.core import Finding, ImagePrediction, Prediction
from mammolens.render import warp_map
from mammolens.sinks import Artefact, RunInfo
from mammolens.sinks._dicom_common import (
    finish,
    identify,
    orientation,
    per_image,
    result_uid,
    source_dataset,
)

__all__ = ["finding_mask", "segmentation", "segmentations"]

_SINK: Final = "dicom-seg"


def segmentations(prediction: Prediction, run: RunInfo) -> Iterator[Artefact]:
    """Give a Segmentation of each image that has findings."""
    return per_image(prediction, lambda image, number: segmentation(image, run, number))


def segmentation(image: ImagePrediction, run: RunInfo, number: int = 1) -> Dataset | None:
    """Make the Segmentation of one image's findings; ``None`` if it has none.

    Raises
    ------
    MissingAttribute
        If the image lacks an identifier, and so cannot be referred to.

    Source: PS3.3 A.51.
    """
    source = source_dataset(image)
    if not image.findings:
        return None
    strength = warp_map(image.malignancy_map, image.geometry, image.geometry.source_shape)
    masks = np.stack([finding_mask(strength, finding) for finding in image.findings], axis=-1)
    identity = identify(_SINK, image.ref, run.model, number, np.packbits(masks).tobytes())
    made: Dataset = hd.seg.Segmentation(
        source_images=[source],
        pixel_array=masks[None].astype(np.uint8),
        segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=[
            _segment(n, finding, run, identity) for n, finding in enumerate(image.findings, start=1)
        ],
        content_label="AI_REGIONS",
        content_description="Where a model's map is strong, not outlines of lesions",
        **identity,
    )
    made.PatientOrientation = orientation(image.header)
    return finish(made, _SINK, image.ref, image.header, run.created)


def finding_mask(strength: npt.NDArray[np.float32], finding: Finding) -> npt.NDArray[np.bool_]:
    """Mark the pixels of a finding: its box without the parts where the map is weak.

    Parameters
    ----------
    strength
        Map over the source image, (rows, columns); only its ratios count.

    Returns
    -------
    Bool, the same shape, never empty; the whole box if the map is zero there.
    """
    rows, cols = strength.shape
    r0, c0, r1, c1 = finding.box_source_px
    top, left = min(math.floor(r0), rows - 1), min(math.floor(c0), cols - 1)
    bottom, right = max(math.ceil(r1), top + 1), max(math.ceil(c1), left + 1)
    mask = np.zeros(strength.shape, dtype=np.bool_)
    inside = strength[top:bottom, left:right]
    mask[top:bottom, left:right] = inside >= CORE_SHARE * inside.max()
    return mask


def _segment(
    number: int, finding: Finding, run: RunInfo, identity: dict[str, Any]
) -> hd.seg.SegmentDescription:
    return hd.seg.SegmentDescription(
        segment_number=number,
        segment_label=f"region {number}, {finding.score:.1f}x the level",
        segmented_property_category=hd.sr.CodedConcept(
            "49755003", "SCT", "Morphologically Abnormal Structure"
        ),
        segmented_property_type=hd.sr.CodedConcept("52988006", "SCT", "Lesion"),
        algorithm_type=hd.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=hd.AlgorithmIdentificationSequence(
            name=identity["manufacturer_model_name"],
            version=run.model.version,
            family=hd.sr.CodedConcept("123110", "DCM", "Artificial Intelligence"),
        ),
        anatomic_regions=[hd.sr.CodedConcept("76752008", "SCT", "Breast")],
        tracking_id=f"region {number}",
        tracking_uid=result_uid(identity["sop_instance_uid"], str(number)),
    )
