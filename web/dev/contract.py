"""What mammolens knows of an exam → the JSON of `src/viewer/exam.ts`. Pure: reads no file."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt
from pydicom import Dataset

from mammolens._outlines import outline
from mammolens.core import (
    Geometry,
    ImagePrediction,
    Mammogram,
    Prediction,
    VoiLut,
    Window,
    turn_box,
)
from mammolens.preprocess import tone_of

__all__ = ["ai_json", "image_json", "map_json"]

_VALIDATED: Final = 1.0
"""The strength from which a finding counts; the lines of the higher level lie inside."""
_KINDS: Final = {"1.2.840.10008.5.1.4.1.1.13.1.3": "tomosynthesis"}


def image_json(
    header: Dataset, mammogram: Mammogram, result: ImagePrediction | None, urls: dict[str, Any]
) -> dict[str, Any]:
    """Describe one image.

    Parameters
    ----------
    header
        The file's data set; pixel data are not looked at.
    result
        What the analysis found in the same image, ``None`` if it was not analysed.
    urls
        `preview` and `framesUrl`.
    """
    ref = mammogram.ref
    photometric = result.photometric if result else mammogram.photometric
    return {
        "sopInstanceUid": ref.sop_instance_uid,
        "seriesInstanceUid": ref.series_instance_uid,
        "kind": _KINDS.get(str(header.get("SOPClassUID")), "2d"),
        "laterality": ref.laterality and ref.laterality.value,
        "viewPosition": ref.view_position and ref.view_position.value,
        "viewModifiers": [meaning for _, _, meaning in mammogram.header.view_modifiers],
        "date": _date(header.get("AcquisitionDate") or header.get("ContentDate")),
        "time": _time(header.get("AcquisitionTime") or header.get("ContentTime")),
        "labels": [],
        "rows": int(header.Rows),
        "columns": int(header.Columns),
        "frames": int(header.get("NumberOfFrames") or 1),
        "bitsAllocated": int(header.BitsAllocated),
        "bitsStored": int(header.BitsStored),
        "highBit": int(header.HighBit),
        "signed": bool(header.PixelRepresentation),
        "photometric": photometric.value,
        "pixelAspect": ref.pixel_aspect,
        "spacing": _spacing(header),
        "orientation": {
            "patientOrientation": _orientation(header),
            "chestWallEdge": result.geometry.chest_wall_edge if result else None,
        },
        "modality": _modality(mammogram),
        "voi": _voi(mammogram, result),
        "presentationLutShape": header.get("PresentationLUTShape") or None,
        "padding": None,
        "breastBox": list(result.geometry.crop_source_px) if result else None,
        **urls,
    }


def ai_json(prediction: Prediction) -> dict[str, Any]:
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
        "map": map_json(image.malignancy_map / image.map_level, image.geometry),
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


def map_json(strength: npt.NDArray[np.float32], geometry: Geometry) -> dict[str, Any]:
    """Give a map (h, w) over the prepared frame in the orientation of the stored picture, with the
    box in source pixels that its cells cover."""
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
    near, far = -dc, columns - dc
    if geometry.flipped:
        near, far = geometry.scaled_shape[1] - far, geometry.scaled_shape[1] - near
    return r0 - dr / sr, c0 + near / sc, r0 + (rows - dr) / sr, c0 + far / sc


def _spacing(header: Dataset) -> dict[str, Any]:
    calibrated = header.get("PixelSpacingCalibrationType") and header.get("PixelSpacing")
    magnification = header.get("EstimatedRadiographicMagnificationFactor")
    return {
        "imager": _pair(header.get("ImagerPixelSpacing")),
        "magnification": float(magnification) if magnification else None,
        "calibrated": _pair(calibrated),
        "documented": None,
    }


def _pair(value: Any) -> list[float] | None:
    return [float(value[0]), float(value[1])] if value else None


def _orientation(header: Dataset) -> list[str] | None:
    stated = header.get("PatientOrientation")
    many = stated is not None and not isinstance(stated, str) and len(stated) == 2
    return [str(part) for part in stated] if many else None


def _modality(mammogram: Mammogram) -> dict[str, Any]:
    slope, intercept = mammogram.header.rescale or (1.0, 0.0)
    return {"kind": "rescale", "slope": slope, "intercept": intercept}


def _voi(mammogram: Mammogram, result: ImagePrediction | None) -> list[dict[str, Any]]:
    """The header's grey scales, behind mammolens's own curve where the header's do not serve."""
    photometric = result.photometric if result else mammogram.photometric
    tone = tone_of(mammogram, photometric)
    choices: list[dict[str, Any]] = []
    if tone is not None:
        fields = {"black": tone.black, "white": tone.white, "power": tone.power}
        choices.append({"kind": "tone", **fields, "name": None})
    given = [mammogram.voi, *mammogram.other_voi]
    choices += [_one_voi(voi) for voi in given if voi is not None]
    low, high = float(mammogram.pixels.min()), float(mammogram.pixels.max())
    choices.append(
        {
            "kind": "window",
            "center": (low + high) / 2,
            "width": max(high - low, 1.0),
            "function": "LINEAR_EXACT",
            "name": "min–max",
        }
    )
    return choices


def _one_voi(voi: Window | VoiLut) -> dict[str, Any]:
    if isinstance(voi, VoiLut):
        return {"kind": "table", "first": voi.first, "values": voi.values.tolist(), "name": None}
    return {
        "kind": "window",
        "center": voi.center,
        "width": voi.width,
        "function": voi.function.value,
        "name": None,
    }


def _date(text: Any) -> str | None:
    digits = str(text or "")
    return f"{digits[:4]}-{digits[4:6]}-{digits[6:8]}" if len(digits) >= 8 else None


def _time(text: Any) -> str | None:
    digits = str(text or "").split(".")[0]
    return f"{digits[:2]}:{digits[2:4]}:{digits[4:6]}" if len(digits) >= 6 else None
