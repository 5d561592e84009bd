"""What the AI says of an exam, as the viewer draws it: scores, outlines, and the map as a grid.

Ask `may_see_ai` of `mammolens.serve.reading` before any of this is given to a person.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from mammolens._outlines import outline
from mammolens.core import Geometry, ImagePrediction, Prediction, turn_box
from mammolens.sinks.results_json import densities_record, fusion_record

__all__ = ["ai_overlay", "map_grid"]

_VALIDATED: Final = 1.0
"""The level from which a finding counts; lines of the higher level lie inside and are not given."""


def ai_overlay(prediction: Prediction) -> dict[str, Any]:
    """Describe the result of an exam; a failure has a reason and no score."""
    if prediction.scores is None:
        reasons = "; ".join(caution.message for caution in prediction.cautions)
        return {"state": "failed", "reason": reasons or "nothing could be analysed"}
    return {
        "state": "available",
        "model": f"{prediction.model.name} {prediction.model.version}",
        "category": prediction.category.value,
        "malignant": prediction.scores.malignant,
        "prevalence": prediction.prevalence,
        "fusion": fusion_record(prediction.fusion),
        "density": densities_record(prediction),
        "images": [_image_result(image) for image in prediction.images],
    }


def _image_result(image: ImagePrediction) -> dict[str, Any]:
    return {
        "sopInstanceUid": image.ref.sop_instance_uid,
        "malignant": image.scores.malignant,
        "findings": [
            {
                "box": list(finding.box_source_px),
                "score": finding.score,
                "outlines": _outlines_in(image, finding.box_source_px),
            }
            for finding in image.findings
        ],
        "map": map_grid(image.malignancy_map / image.map_level, image.geometry),
    }


def _outlines_in(image: ImagePrediction, box: tuple[float, float, float, float]) -> list[Any]:
    """The lines of the validated level whose middle lies in a finding's box, in source pixels."""
    lines = outline(
        image.malignancy_map / image.map_level, image.geometry, image.geometry.source_shape
    )
    row0, column0, row1, column1 = box
    kept = []
    for level, line in lines:
        x, y = line.mean(axis=0)
        if level == _VALIDATED and column0 <= x <= column1 and row0 <= y <= row1:
            kept.append(np.round(line, 1).tolist())
    return kept


def map_grid(strength: npt.NDArray[np.float32], geometry: Geometry) -> dict[str, Any]:
    """Lay a map as the stored picture lies.

    Parameters
    ----------
    strength
        (h, w) over the prepared frame; 1 is the level from which a finding counts.

    Returns
    -------
    dict
        The values row by row, the `box` in source pixels that the cells cover, and what the model
        has `seen`.
    """
    upright = geometry.upright
    laid = strength[:, ::-1] if geometry.flipped else strength
    laid = np.rot90(laid, geometry.quarter_turns)
    box = turn_box(_frame_box(upright), upright.source_shape, -geometry.quarter_turns)
    return {
        "rows": laid.shape[0],
        "columns": laid.shape[1],
        "box": list(box),
        "seen": list(geometry.crop_source_px),
        "values": [round(float(value), 4) for value in laid.ravel()],
    }


def _frame_box(geometry: Geometry) -> tuple[float, float, float, float]:
    """The whole prepared frame in pixels of the upright source, beyond the picture too."""
    r0, c0, _, _ = geometry.crop_source_px
    (sr, sc), (dr, dc) = geometry.scale, geometry.offset_px
    rows, columns = geometry.prepared_shape
    near, far = -dc, columns - dc  # left and right edge of the frame, in scaled pixels
    if geometry.flipped:
        near, far = geometry.scaled_shape[1] - far, geometry.scaled_shape[1] - near
    return r0 - dr / sr, c0 + near / sc, r0 + (rows - dr) / sr, c0 + far / sc
