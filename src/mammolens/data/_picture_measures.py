"""Measures of one picture for the checks of a table: each file is decoded once, and only a few
kilobytes are kept."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from mammolens.core import Laterality, Mammogram, ViewPosition
from mammolens.data._same_pictures import Texture, describe_texture
from mammolens.data.manifest import Record
from mammolens.errors import InputError
from mammolens.images import read_image, read_mask
from mammolens.preprocess import BreastRegion, find_breast, looks_inverted, make_thumbnail

__all__ = [
    "BORDER",
    "ORIENTATION",
    "MaskFacts",
    "PictureMeasures",
    "Seen",
    "Unreadable",
    "measure_picture",
]

Float = npt.NDArray[np.float32]

BORDER = ("top", "bottom", "left", "right", "unevenness", "black share", "white share")
"""Brightness (0–1) of the outermost strips of the picture, 2 % wide, and of all four together."""
ORIENTATION = (
    "left against right",
    "top against bottom",
    "lying against upright",
    "edges across against along",
    "slant of edges",
)
"""Differences of mean brightness between halves, and directions of the grey-level gradient."""

_SMALL_PX = 512
"""Longer edge of the small picture that is measured."""
_STRIP = 0.02
"""Width of the strips at the border, as a share of the picture's edge."""
_CLEAR = 0.25
"""Difference (0–1) in the share of breast at the left and right edges from which the chest wall
counts as seen. Chosen by hand."""


@dataclass(frozen=True)
class MaskFacts:
    """Shape of a mask (rows, columns), and the share of its pixels that is marked (0–1)."""

    shape: tuple[int, int]
    share: float


@dataclass(frozen=True)
class Unreadable:
    """The reason why a picture or mask could not be read; `missing` if the file does not exist."""

    reason: str
    missing: bool


@dataclass(frozen=True)
class PictureMeasures:
    """Measures of the upright picture of one row.

    `shape_px` (rows, columns) is that of the stored picture, before it is turned upright. `border`
    and `orientation` have the features that the constants of these names list. `chest_wall` is the
    edge of the picture at which the chest wall is seen, ``None`` where that is not clear.
    `laterality`, `view_position` and `patient_id` are read from the file. `masks` has an entry for
    each lesion of the row, ``None`` for a lesion without a mask.
    """

    shape_px: tuple[int, int]
    digest: str
    form: str
    file_bytes: int
    inverted: bool
    breast_found: bool
    chest_wall: Laterality | None
    laterality: Laterality | None
    view_position: ViewPosition | None
    patient_id: str | None
    manufacturer: str | None
    border: Float
    orientation: Float
    texture: Texture
    masks: tuple[MaskFacts | Unreadable | None, ...]


Seen = tuple[Record, PictureMeasures]
"""A row of the table and the measures of its picture."""


def measure_picture(record: Record) -> PictureMeasures | Unreadable:
    """Read and measure the picture and the masks of one row."""
    try:
        mammogram = read_image(record.path)
        thumbnail = make_thumbnail(mammogram, mammogram.photometric, _SMALL_PX)
    except InputError as error:
        return Unreadable(str(error), missing=not record.path.exists())
    upright = np.rot90(thumbnail, -record.rotation_deg // 90).astype(np.float32) / 255.0
    inverted = looks_inverted(upright)
    grey = np.ascontiguousarray(np.float32(1.0) - upright if inverted else upright)
    region = find_breast(grey)
    ref = mammogram.ref
    return PictureMeasures(
        shape_px=(mammogram.pixels.shape[0], mammogram.pixels.shape[1]),
        digest=ref.digest or "",
        form=_form(record.path, mammogram),
        file_bytes=record.path.stat().st_size,
        inverted=inverted,
        breast_found=region is not None,
        chest_wall=_chest_wall(region),
        laterality=ref.laterality,
        view_position=ref.view_position,
        patient_id=ref.patient_id,
        manufacturer=ref.manufacturer,
        border=_border(upright),
        orientation=_orientation(upright),
        texture=describe_texture(grey, region),
        masks=tuple(
            None if lesion.mask_path is None else _mask_facts(lesion.mask_path)
            for lesion in record.lesions
        ),
    )


def _mask_facts(path: Path) -> MaskFacts | Unreadable:
    try:
        mask = read_mask(path)
    except InputError as error:
        return Unreadable(str(error), missing=not path.exists())
    return MaskFacts((mask.shape[0], mask.shape[1]), float(mask.mean()))


def _form(path: Path, mammogram: Mammogram) -> str:
    syntax = mammogram.header.transfer_syntax_uid
    kind = f"DICOM {syntax}" if syntax else path.suffix.lower().lstrip(".")
    return f"{kind}, {8 * mammogram.pixels.dtype.itemsize} bit, {mammogram.photometric.value}"


def _chest_wall(region: BreastRegion | None) -> Laterality | None:
    """Give the edge of the picture at which the breast is clearly taller than at the other."""
    if region is None or abs(region.lean_to_right) < _CLEAR:
        return None
    return Laterality.RIGHT if region.chest_wall_right else Laterality.LEFT


def _border(grey: Float) -> Float:
    rows, cols = (max(1, round(_STRIP * side)) for side in grey.shape)
    strips = grey[:rows], grey[-rows:], grey[:, :cols], grey[:, -cols:]
    whole = np.concatenate([strip.ravel() for strip in strips])
    means = [float(strip.mean()) for strip in strips]
    shares = float(np.mean(whole < 0.03)), float(np.mean(whole > 0.97))
    return np.array([*means, float(whole.std()), *shares], np.float32)


def _orientation(grey: Float) -> Float:
    height, width = grey.shape
    sideways = float(grey[:, : width // 2].mean() - grey[:, -(width // 2) :].mean())
    upwards = float(grey[: height // 2].mean() - grey[-(height // 2) :].mean())
    smooth = cv2.GaussianBlur(grey, (0, 0), 2.0)
    across = np.asarray(cv2.Sobel(smooth, cv2.CV_32F, 1, 0), np.float64)
    along = np.asarray(cv2.Sobel(smooth, cv2.CV_32F, 0, 1), np.float64)
    xx, yy, xy = (
        float(np.sum(a * b)) for a, b in ((across, across), (along, along), (across, along))
    )
    energy = max(xx + yy, 1e-9)
    lying = abs(upwards) - abs(sideways)
    return np.array([sideways, upwards, lying, (xx - yy) / energy, 2.0 * xy / energy], np.float32)
