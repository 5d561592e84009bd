"""Draw a marked lesion (box, circle or mask) into the frame of a prepared picture."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from mammolens.core import Geometry
from mammolens.data.lesions import Lesion
from mammolens.errors import InvalidManifest

__all__ = ["draw_lesion"]


def draw_lesion(lesion: Lesion, geometry: Geometry) -> npt.NDArray[np.uint8]:
    """Draw one lesion in the frame of a prepared picture.

    Returns
    -------
    Uint8 (H, W) of `Geometry.prepared_shape`: 255 on the lesion, 0 elsewhere. A mask that was
    scaled down has values in between at its edge. All zero if the lesion is outside the crop.

    Raises
    ------
    InputError
        If a mask cannot be read.
    InvalidManifest
        If a mask has another size than its image.
    """
    if lesion.mask_path is not None:
        return _to_prepared(_read_mask(lesion.mask_path, geometry), geometry)
    bounds = lesion.bounds_source_px
    assert bounds is not None
    mask = np.zeros(geometry.prepared_shape, np.uint8)
    row0, col0, row1, col1 = geometry.box_to_prepared(bounds)
    if lesion.box_source_px is not None:
        rows = slice(max(0, int(row0)), max(0, int(np.ceil(row1))))
        mask[rows, max(0, int(col0)) : max(0, int(np.ceil(col1)))] = 255
        return mask
    centre = round((col0 + col1) / 2), round((row0 + row1) / 2)
    axes = max(1, round((col1 - col0) / 2)), max(1, round((row1 - row0) / 2))
    cv2.ellipse(mask, centre, axes, 0.0, 0.0, 360.0, (255.0,), cv2.FILLED)
    return mask


def _read_mask(path: Path, geometry: Geometry) -> npt.NDArray[np.uint8]:
    from mammolens.images import read_mask

    pixels = read_mask(path)
    if pixels.shape != geometry.source_shape:
        raise InvalidManifest(
            f"the mask has {pixels.shape} pixels, but its image has {geometry.source_shape}",
            source=str(path),
            keyword="mask_path",
            remedy="Give a mask of the image's size",
        )
    return np.where(pixels, 255, 0).astype(np.uint8)


def _to_prepared(mask: npt.NDArray[np.uint8], geometry: Geometry) -> npt.NDArray[np.uint8]:
    row0, col0, row1, col1 = geometry.crop_source_px
    rows, cols = geometry.scaled_shape
    crop = np.ascontiguousarray(np.rot90(mask[row0:row1, col0:col1], -geometry.quarter_turns))
    scaled = cv2.resize(crop, (cols, rows), interpolation=cv2.INTER_AREA)
    scaled = scaled[:, ::-1] if geometry.flipped else scaled
    placed = np.zeros(geometry.prepared_shape, np.uint8)
    down, right = geometry.offset_px
    placed[down : down + rows, right : right + cols] = scaled
    return placed
