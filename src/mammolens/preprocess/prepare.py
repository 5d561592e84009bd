"""`prepare`: the one path from a mammogram to a model's input, for training and inference."""

from __future__ import annotations

import math
from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt

from mammolens.core import (
    Display,
    Geometry,
    Mammogram,
    Overview,
    Photometric,
    PreparedView,
    ViewPosition,
)
from mammolens.errors import NotAMammogram
from mammolens.preprocess._steps import place, resizable, resize, to_grey, upright, usable_voi
from mammolens.preprocess.breast import BreastRegion, find_breast, pectoral_mask
from mammolens.preprocess.config import Pectoral, PreprocessConfig
from mammolens.preprocess.grey import denoise, enhance_contrast, normalise

__all__ = ["make_display", "prepare"]

_MARGIN = 0.015


def prepare(mammogram: Mammogram, config: PreprocessConfig) -> PreparedView:
    """Turn a mammogram into a model's input.

    Only one pass touches the pixels at full size: the resize of the breast's crop. VOI, which is
    pointwise, is applied to the reduced picture.

    Raises
    ------
    NotAMammogram
        If the picture is flat or nothing in it could be a breast.
    """
    mammogram, thumbnail, stride, cautions = upright(mammogram)
    region = find_breast(thumbnail)
    if region is None:
        raise NotAMammogram(
            "no breast was found in the picture",
            source=mammogram.ref.path,
            remedy="Look at the image: it may be blank, a label, or no mammogram",
        )
    geometry = _geometry(mammogram, region, stride, config)
    pixels, mask = _reduced(mammogram, region, stride, geometry)
    stretched = normalise(pixels, mask, config.low_percentile, config.high_percentile)
    if (
        config.pectoral is Pectoral.SUPPRESS
        and mammogram.ref.view_position is ViewPosition.MLO
        and (muscle := pectoral_mask(stretched, mask)).any()
    ):
        mask &= ~muscle
        stretched = normalise(pixels, mask, config.low_percentile, config.high_percentile)
    clean = denoise(stretched, config.denoise, config.denoise_size_px)
    picture = np.where(mask, enhance_contrast(clean, config.clahe_clip, config.clahe_tiles), 0)
    return PreparedView(
        ref=mammogram.ref,
        pixels=place(picture.astype(np.uint8), geometry),
        mask=place(mask, geometry),
        geometry=geometry,
        photometric=mammogram.photometric,
        cautions=mammogram.cautions + cautions,
        overview=_overview(thumbnail, region),
    )


def make_display(
    mammogram: Mammogram, photometric: Photometric, max_side_px: int = 1280
) -> Display:
    """Reduce a mammogram to a picture for people: VOI applied, breast bright, square pixels.

    `photometric` is the interpretation that `prepare` settled on.
    """
    mammogram, _ = usable_voi(replace(mammogram, photometric=photometric))
    rows, cols = mammogram.pixels.shape
    tall = rows * mammogram.ref.pixel_aspect
    factor = min(1.0, max_side_px / max(tall, cols))
    shape = max(1, round(tall * factor)), max(1, round(cols * factor))
    values = to_grey(resize(resizable(mammogram.pixels), shape), mammogram)
    if mammogram.voi is None:
        low, high = np.percentile(values, (0.5, 99.8))
        values = np.clip((values - low) / max(float(high - low), 1e-6), 0.0, 1.0)
    pixels = np.rint(values * 255.0).astype(np.uint8)
    return Display(pixels, (shape[0] / rows, shape[1] / cols))


def _overview(thumbnail: npt.NDArray[np.float32], region: BreastRegion) -> Overview:
    grey = np.asarray(cv2.convertScaleAbs(thumbnail, alpha=255.0), np.uint8)
    return Overview(grey, region.mask, region.chest_wall_right)


def _geometry(
    mammogram: Mammogram, region: BreastRegion, stride: int, config: PreprocessConfig
) -> Geometry:
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
    """The crop and its mask at the model's scale, chest wall at the left."""
    r0, c0, r1, c1 = geometry.crop_source_px
    small = resize(resizable(mammogram.pixels[r0:r1, c0:c1]), geometry.scaled_shape)
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
    return (start + (np.arange(count) + 0.5) * (stop - start) / count).astype(np.intp)
