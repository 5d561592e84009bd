"""Pictures that are stored lying on their side: every position stays in stored pixels."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("highdicom")

from mammolens.core import turn_box
from mammolens.sinks.dicom_pr import marks
from mammolens.sinks.dicom_seg import segmentation

UPRIGHT = (384, 300)
BOXES = {"R": (120.0, 200.0, 168.0, 248.0), "L": (216.0, 48.0, 264.0, 96.0)}


@pytest.mark.parametrize("side", ["R", "L"])
@pytest.mark.parametrize("quarters", range(4))
def test_findings_outlines_and_marks_lie_on_stored_pixels(study, side, quarters) -> None:
    planted = turn_box(BOXES[side], UPRIGHT, -quarters)
    image = study.image(side, "CC", planted, quarters)
    assert image.geometry.quarter_turns == quarters
    assert image.geometry.flipped is (side == "R")
    cell = 8 / min(image.geometry.scale)
    assert image.findings[0].box_source_px == pytest.approx(planted, abs=cell)

    mask = segmentation(image, study.bench.run).pixel_array
    assert mask.shape == image.geometry.source_shape
    rows, cols = np.nonzero(mask)
    assert (rows.min(), cols.min(), rows.max() + 1, cols.max() + 1) == pytest.approx(
        planted, abs=cell
    )
    (annotation,) = marks(image, study.exam(image), study.bench.run).GraphicAnnotationSequence
    points = np.array(annotation.GraphicObjectSequence[0].GraphicData).reshape(-1, 2)
    (c0, r0), (c1, r1) = points.min(0), points.max(0)
    assert (r0, c0, r1, c1) == pytest.approx(planted, abs=cell)


@pytest.mark.parametrize("side", ["R", "L"])
@pytest.mark.parametrize("quarters", range(4))
def test_the_words_of_a_turned_picture_stand_away_from_the_chest_wall(
    study, side, quarters
) -> None:
    image = study.image(side, "CC", None, quarters)
    (annotation,) = marks(image, study.exam(image), study.bench.run).GraphicAnnotationSequence
    words = annotation.TextObjectSequence[-1]
    left, top = words.BoundingBoxTopLeftHandCorner
    right, bottom = words.BoundingBoxBottomRightHandCorner
    rows, cols = image.geometry.source_shape
    away = {
        "left": left >= cols / 2,
        "right": right <= cols / 2,
        "top": top >= rows / 2,
        "bottom": bottom <= rows / 2,
    }
    assert away[image.geometry.chest_wall_edge]
    # The picture itself says where the breast is: dark where the words are.
    shown = image.display.pixels
    scale = image.display.scale
    box = shown[round(top * scale[0]) : round(bottom * scale[0])]
    assert np.median(box[:, round(left * scale[1]) : round(right * scale[1])]) < 60
