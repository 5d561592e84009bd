"""`prepare`: a mammogram becomes a model's input. Training and inference both use this function."""

from __future__ import annotations

import math

import cv2
import numpy as np
import numpy.typing as npt

from mammolens.core import Geometry, Mammogram, Overview, PreparedView, ViewPosition
from mammolens.errors import NotAMammogram
from mammolens.preprocess.breast import BreastRegion, pectoral_mask
from mammolens.preprocess.config import Pectoral, PreprocessConfig
from mammolens.preprocess.grey import denoise, enhance_contrast, normalise, place, resize, to_grey
from mammolens.preprocess.muscle import find_muscle
from mammolens.preprocess.picture_trust import trusted_picture

__all__ = ["prepare"]

_MARGIN = 0.015
"""Added to the breast's box at each side, as a share of the picture's longer side, so that the skin
is not cut off. Chosen by hand on the sample exams; not tuned."""


def prepare(mammogram: Mammogram, config: PreprocessConfig) -> PreparedView:
    """Turn a mammogram into a model's input.

    Only one step works on pixels at full size: the resize of the breast's crop. VOI works on single
    pixels, so it is applied to the reduced picture. A picture that is stored lying on its side is
    turned upright; the geometry of the result maps back to the stored pixels.

    Raises
    ------
    NotAMammogram
        If every pixel has the same value, or no breast is found.
    """
    ref = mammogram.ref
    mammogram, thumbnail, stride, region, quarter_turns, cautions = trusted_picture(
        mammogram, config.version
    )
    if region is None:
        raise NotAMammogram(
            "no breast was found in the picture",
            source=ref.path,
            remedy="Look at the image: it may be blank, a label, or not a mammogram",
        )
    geometry = _geometry(mammogram, region, stride, config)
    pixels, mask = _reduced(mammogram, region, stride, geometry)
    stretched = normalise(pixels, mask, config.low_percentile, config.high_percentile)
    if (
        config.pectoral is Pectoral.SUPPRESS
        and mammogram.ref.view_position is ViewPosition.MLO
        and (muscle := _muscle(stretched, mask, config.version)).any()
    ):
        mask &= ~muscle
        stretched = normalise(pixels, mask, config.low_percentile, config.high_percentile)
    clean = denoise(stretched, config.denoise, config.denoise_size_px)
    picture = np.where(mask, enhance_contrast(clean, config.clahe_clip, config.clahe_tiles), 0)
    return PreparedView(
        ref=ref,
        pixels=place(picture.astype(np.uint8), geometry),
        mask=place(mask, geometry),
        geometry=geometry.stored_turned(quarter_turns),
        photometric=mammogram.photometric,
        cautions=mammogram.cautions + cautions,
        voi=mammogram.voi,
        padding=mammogram.padding,
        overview=_overview(thumbnail, region),
    )


def _muscle(
    pixels: npt.NDArray[np.uint16], mask: npt.NDArray[np.bool_], version: int
) -> npt.NDArray[np.bool_]:
    if version == 1:
        return pectoral_mask(pixels, mask)
    edge = find_muscle(pixels.astype(np.float32), mask)
    return np.zeros_like(mask) if edge is None else edge.mask(mask)


def _overview(thumbnail: npt.NDArray[np.float32], region: BreastRegion) -> Overview:
    grey = np.asarray(cv2.convertScaleAbs(thumbnail, alpha=255.0), np.uint8)
    return Overview(grey, region.mask, region.chest_wall_right)


def _geometry(
    mammogram: Mammogram, region: BreastRegion, stride: int, config: PreprocessConfig
) -> Geometry:
    """Crop the breast's box with a margin, scaled to fit the input, at the left and centred."""
    rows, cols = mammogram.pixels.shape
    margin = _MARGIN * max(region.mask.shape)
    row0, col0, row1, col1 = region.box
    crop = (
        max(0, math.floor((row0 - margin) * stride)),
        max(0, math.floor((col0 - margin) * stride)),
        min(rows, math.ceil((row1 + margin) * stride)),
        min(cols, math.ceil((col1 + margin) * stride)),
    )
    tall = (crop[2] - crop[0]) * mammogram.ref.pixel_aspect
    wide = crop[3] - crop[1]
    factor = min(config.height / tall, config.width / wide)
    scaled = (
        min(config.height, max(1, round(tall * factor))),
        min(config.width, max(1, round(wide * factor))),
    )
    return Geometry(
        source_shape=(rows, cols),
        crop_source_px=crop,
        scaled_shape=scaled,
        offset_px=((config.height - scaled[0]) // 2, 0),
        prepared_shape=(config.height, config.width),
        flipped=region.chest_wall_right,
    )


def _reduced(
    mammogram: Mammogram, region: BreastRegion, stride: int, geometry: Geometry
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """Greys (0–1) and mask of the crop, both of `scaled_shape`, chest wall at the left."""
    r0, c0, r1, c1 = geometry.crop_source_px
    small = resize(mammogram.pixels[r0:r1, c0:c1], geometry.scaled_shape)
    values = to_grey(small, mammogram)
    rows = np.minimum(
        _centres(r0, r1, geometry.scaled_shape[0]) // stride, region.mask.shape[0] - 1
    )
    cols = np.minimum(
        _centres(c0, c1, geometry.scaled_shape[1]) // stride, region.mask.shape[1] - 1
    )
    mask = region.mask[np.ix_(rows, cols)]
    if geometry.flipped:
        return np.ascontiguousarray(values[:, ::-1]), np.ascontiguousarray(mask[:, ::-1])
    return values, mask


def _centres(start: int, stop: int, count: int) -> npt.NDArray[np.intp]:
    """Source index of the centre of each of `count` equal parts of [start, stop)."""
    return (start + (np.arange(count) + 0.5) * (stop - start) / count).astype(np.intp)
