"""One image of an exam as the viewer has to know it: form, grey scales, size, orientation."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from mammolens.core import (
    Geometry,
    ImageRef,
    Mammogram,
    Photometric,
    PixelOrigin,
    VoiLut,
    Window,
)
from mammolens.errors import InputError
from mammolens.preprocess import tone_of

if TYPE_CHECKING:
    from pydicom import Dataset

    from mammolens.images.dicom import ShownImage

__all__ = ["Found", "banner_of", "image_facts", "refused_facts"]

_TOMOSYNTHESIS: Final = "1.2.840.10008.5.1.4.1.1.13.1.3"
_CONSTRUCTED: Final = "CONSTRUCTED"
_LONGEST_BANNER: Final = 200
_SECONDARY_CAPTURE: Final = "1.2.840.10008.5.1.4.1.1.7"


@dataclass(frozen=True)
class Found:
    """What was found in the picture: how it is to be read, and where the breast lies.

    `padding` is ``None`` where the header's own is not to be believed.
    """

    photometric: Photometric
    geometry: Geometry | None = None
    padding: tuple[float, float] | None = None


def image_facts(shown: ShownImage, found: Found | None) -> dict[str, Any]:
    """Describe one image, without the addresses of its preview and frames.

    Parameters
    ----------
    found
        ``None``: the breast was not looked for, or not found.
    """
    mammogram, form, header = shown.mammogram, shown.form, shown.dataset
    ref = mammogram.ref
    geometry = found.geometry if found else None
    photometric = found.photometric if found else mammogram.photometric
    return {
        "sopInstanceUid": ref.sop_instance_uid,
        "seriesInstanceUid": ref.series_instance_uid,
        "kind": _kind(shown),
        **_place(ref),
        "viewModifiers": [meaning for _, _, meaning in mammogram.header.view_modifiers],
        "date": _date(_first(header, "AcquisitionDate", "ContentDate", "StudyDate")),
        "time": _time(_first(header, "AcquisitionTime", "ContentTime", "StudyTime")),
        "labels": _labels(header),
        "rows": form.rows,
        "columns": form.columns,
        "frames": shown.frames,
        "bitsAllocated": form.bits_allocated,
        "bitsStored": form.bits_stored,
        "highBit": form.high_bit,
        "signed": form.signed,
        "photometric": photometric.value,
        "pixelAspect": ref.pixel_aspect,
        "spacing": _spacing(header, shown.more),
        "orientation": {
            "patientOrientation": _orientation(header),
            "chestWallEdge": geometry.chest_wall_edge if geometry else None,
        },
        "modality": _modality(shown),
        "voi": _voi(mammogram, photometric),
        "presentationLutShape": _shape(shown.more),
        "padding": _padding(header, form.signed) if found and found.padding else None,
        "breastBox": list(geometry.crop_source_px) if geometry else None,
    }


def refused_facts(ref: ImageRef | None, reason: str) -> dict[str, Any]:
    """Describe an object that cannot be shown."""
    uid = ref.sop_instance_uid if ref else None
    place = _place(ref) if ref else {"laterality": None, "viewPosition": None}
    return {"sopInstanceUid": uid, **place, "reason": reason}


def _place(ref: ImageRef) -> dict[str, str | None]:
    side, view = ref.laterality, ref.view_position
    return {"laterality": side and side.value, "viewPosition": view and view.value}


def _kind(shown: ShownImage) -> str:
    if str(shown.dataset.get("SOPClassUID")) == _TOMOSYNTHESIS or shown.frames > 1:
        return "tomosynthesis"
    return "synthetic-2d" if shown.mammogram.ref.origin is PixelOrigin.GENERATED_2D else "2d"


def _labels(header: Dataset) -> list[str]:
    labels = []
    if str(header.get("BreastImplantPresent") or "").upper() == "YES":
        labels.append("implant")
    if str(header.get("SOPClassUID")) == _SECONDARY_CAPTURE:
        labels.append("secondary capture")
    if str(header.get("PresentationIntentType") or "").upper() == "FOR PROCESSING":
        labels.append("for processing")
    return labels


def _spacing(header: Dataset, more: Dataset) -> dict[str, Any]:
    calibrated = more.get("PixelSpacingCalibrationType") and header.get("PixelSpacing")
    return {
        "imager": _pair(header.get("ImagerPixelSpacing")),
        "magnification": _positive(header.get("EstimatedRadiographicMagnificationFactor")),
        "calibrated": _pair(calibrated),
        "documented": _documented(header, more),
    }


def _documented(header: Dataset, more: Dataset) -> dict[str, Any] | None:
    """The spacing that a scanner of films states, if no detector states one."""
    pair = (
        None if header.get("ImagerPixelSpacing") else _pair(more.get("NominalScannedPixelSpacing"))
    )
    if pair is None:
        return None
    maker = "SecondaryCaptureDeviceManufacturer"
    words = (str(more.get(keyword) or "").strip() for keyword in (maker, f"{maker}ModelName"))
    return {"mm": pair, "by": " ".join(word for word in words if word)[:128] or "its scanner"}


def banner_of(header: Dataset) -> str | None:
    """Give what must be visible at all times: that an exam is constructed."""
    text = " ".join(str(header.get("StudyDescription") or "").split())
    return text[:_LONGEST_BANNER] if text.upper().startswith(_CONSTRUCTED) else None


def _positive(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) and number > 0 else None


def _pair(value: Any) -> list[float] | None:
    try:
        pair = [_positive(value[0]), _positive(value[1])]
    except (TypeError, IndexError, KeyError):
        return None
    return [number for number in pair if number is not None] if None not in pair else None


def _orientation(header: Dataset) -> list[str] | None:
    stated = header.get("PatientOrientation")
    many = stated is not None and not isinstance(stated, str) and len(stated) == 2
    return [str(part)[:16] for part in stated] if many else None


def _modality(shown: ShownImage) -> dict[str, Any]:
    modality = shown.modality
    if modality.table is not None:
        values = [round(float(value), 4) for value in modality.table]
        return {"kind": "table", "first": modality.first, "values": values}
    return {"kind": "rescale", "slope": modality.slope, "intercept": modality.intercept}


def _padding(header: Dataset, signed: bool) -> list[int] | None:
    """The stored values that mark what lies outside the picture, as a closed range."""
    try:
        value = int(header["PixelPaddingValue"].value)
        limit = header.get("PixelPaddingRangeLimit")
        ends = sorted((value, value if limit is None else int(limit)))
    except (KeyError, TypeError, ValueError):
        return None
    return [end - (1 << 16) if signed and end >= 1 << 15 else end for end in ends]


def _voi(mammogram: Mammogram, photometric: Photometric) -> list[dict[str, Any]]:
    """The header's grey scales, behind mammolens's own curve where the header's do not serve."""
    choices: list[dict[str, Any]] = []
    try:
        tone = tone_of(mammogram, photometric)
    except InputError:  # a flat picture has no curve
        tone = None
    if tone is not None:
        fields = {"black": tone.black, "white": tone.white, "power": tone.power}
        choices.append({"kind": "tone", **fields, "name": None})
    given = [mammogram.voi, *mammogram.other_voi]
    choices += [_one_voi(voi) for voi in given if voi is not None]
    low, high = float(np.min(mammogram.pixels)), float(np.max(mammogram.pixels))
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


def _shape(more: Dataset) -> str | None:
    shape = str(more.get("PresentationLUTShape") or "")
    return shape if shape in ("IDENTITY", "INVERSE") else None


def _first(header: Dataset, *keywords: str) -> Any:
    return next((header.get(word) for word in keywords if header.get(word)), None)


def _date(text: Any) -> str | None:
    digits = str(text or "").replace(".", "")[:8]
    whole = len(digits) == 8 and digits.isdecimal()
    return f"{digits[:4]}-{digits[4:6]}-{digits[6:]}" if whole else None


def _time(text: Any) -> str | None:
    digits = str(text or "").partition(".")[0].replace(":", "")[:6]
    whole = len(digits) == 6 and digits.isdecimal()
    return f"{digits[:2]}:{digits[2:4]}:{digits[4:]}" if whole else None
