"""`prepare_region`: a marked box of a mammogram → a lesion model's input, at the scale of training.

The window is 1 + `margin` times as large as the longer side of the box, about its centre, moved
inside the image where it would stand over the edge, and never mirrored; it is turned only with a
whole picture that is stored lying on its side. `prepare_crop`
takes a picture that is such a window already.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
import numpy.typing as npt

from mammolens.core import Box, Caution, Geometry, ImageRef, Mammogram, PreparedView, turn_box
from mammolens.errors import BadRegion, NotAMammogram
from mammolens.preprocess._steps import place, resizable, resize, to_grey
from mammolens.preprocess.config import RegionConfig
from mammolens.preprocess.picture_trust import settle, usable_voi

__all__ = ["SMALLEST_BOX_PX", "prepare_crop", "prepare_region"]

SMALLEST_BOX_PX = 8
"""Boxes with a shorter side than this are refused: there is nothing to see in them."""

_Crop = tuple[int, int, int, int]


def prepare_region(mammogram: Mammogram, box_source_px: Box, config: RegionConfig) -> PreparedView:
    """Cut a box with its surroundings out of a mammogram and make it a lesion model's input.

    VOI and inversion are settled on the whole picture, as `prepare` does. CLAHE goes over the whole
    picture in 8 bits, its tiles shares of the film and the air black, and only then is the window
    cut out and its percentiles stretched: so were the crops made that models learn from.

    Parameters
    ----------
    box_source_px
        (row0, col0, row1, col1), half-open. What lies outside the image is cut off
        (`region_clipped`); a window larger than the image is filled up with black
        (`region_padded`); a box mostly off the breast is doubted (`region_off_breast`).

    Returns
    -------
    `mask` is true where the window shows the image; the geometry leads back to its pixels.

    Raises
    ------
    BadRegion
        If the box is empty, smaller than `SMALLEST_BOX_PX`, or outside the image.
    NotAMammogram
        If the picture is flat, or flat within the window.

    Source
    ------
    The 256 × 256 mass crops of CBIS-DDSM that are in wide use. Window: measured on their masks.
    CLAHE: black air became 2 or 3 in them, which is what a clip limit of 2 makes of it, with one
    smooth border between the two, which tiles of the whole film leave and tiles of a crop do not.
    """
    box, clipped = _inside(box_source_px, mammogram)
    stored = mammogram
    mammogram, thumbnail, stride, found, quarter_turns, cautions = settle(stored)
    if clipped:
        cautions += (
            Caution(
                "region_clipped", f"the box was cut off at the edge of the image, to {_say(box)}"
            ),
        )
    box = turn_box(box, stored.pixels.shape, quarter_turns)
    breast = np.zeros(thumbnail.shape, np.bool_) if found is None else found.mask
    if not _on_breast(breast, box, stride):
        cautions += (
            Caution("region_off_breast", "less than half of the box lies on the breast as found"),
        )
    geometry = _window(box, mammogram, config)
    if config.clahe_clip == 0:
        values = _cut(mammogram, geometry)
    else:
        r0, c0, r1, c1 = geometry.crop_source_px
        whole = _equalised(mammogram, breast, stride, box, config)
        values = resize(whole[r0:r1, c0:c1], geometry.scaled_shape).astype(np.float32)
    picture = _stretched(values, config)
    return _view(stored.ref, mammogram, picture, geometry, quarter_turns, cautions)


def prepare_crop(mammogram: Mammogram, config: RegionConfig) -> PreparedView:
    """Make a stored crop of a lesion, with its margin and contrast as they are, a model's input.

    Only percentiles are stretched: local contrast was raised when the crop was made. A crop of
    another aspect than the input's is not squeezed but filled up with black.

    Raises
    ------
    BadRegion
        If either side is shorter than `SMALLEST_BOX_PX`.
    NotAMammogram
        If the crop is flat.
    """
    rows, cols = mammogram.pixels.shape
    box, _ = _inside((0.0, 0.0, float(rows), float(cols)), mammogram)
    mammogram, cautions = usable_voi(mammogram)
    geometry = _window(box, mammogram, config.model_copy(update={"margin": 0.0}))
    picture = _stretched(_cut(mammogram, geometry), config)
    return _view(mammogram.ref, mammogram, picture, geometry, 0, cautions)


def _inside(box: Box, mammogram: Mammogram) -> tuple[Box, bool]:
    """The part of a box within the image, and whether it is less than the box."""
    rows, cols = mammogram.pixels.shape
    r0, c0, r1, c1 = box
    ordered = all(map(math.isfinite, box)) and r0 < r1 and c0 < c1
    kept = max(r0, 0.0), max(c0, 0.0), min(r1, float(rows)), min(c1, float(cols))
    fault = None
    if not ordered:
        fault = f"{_say(box)} is no box"
    elif kept[0] >= kept[2] or kept[1] >= kept[3]:
        fault = f"the box {_say(box)} lies outside the image of {rows} × {cols} pixels"
    elif min(kept[2] - kept[0], kept[3] - kept[1]) < SMALLEST_BOX_PX:
        fault = f"the box {_say(kept)} is smaller than {SMALLEST_BOX_PX} × {SMALLEST_BOX_PX} pixels"
    if fault is not None:
        raise BadRegion(
            fault,
            source=mammogram.ref.path,
            keyword="region",
            remedy=f"Give row0,col0,row1,col1 in pixels of the stored image: {rows} × {cols}",
        )
    return kept, kept != tuple(box)


def _on_breast(breast: npt.NDArray[np.bool_], box: Box, stride: int) -> bool:
    r0, c0, r1, c1 = (int(edge // stride) for edge in box)
    return bool(breast[r0 : max(r1, r0 + 1), c0 : max(c1, c0 + 1)].mean() >= 0.5)


def _equalised(
    mammogram: Mammogram, breast: npt.NDArray[np.bool_], stride: int, box: Box, config: RegionConfig
) -> npt.NDArray[np.uint8]:
    """The whole picture in 8 bits under CLAHE; black off the breast, but never within the box."""
    rows, cols = mammogram.pixels.shape
    values = to_grey(resizable(mammogram.pixels), mammogram)
    darkest = float(values.min())
    white = 255.0 / max(float(values.max()) - darkest, 1e-12)
    picture = np.rint((values - darkest) * white).astype(np.uint8)
    kept = breast.repeat(stride, 0).repeat(stride, 1)[:rows, :cols]
    kept[math.floor(box[0]) : math.ceil(box[2]), math.floor(box[1]) : math.ceil(box[3])] = True
    if breast.any():
        picture[~kept] = 0
    equalise = cv2.createCLAHE(config.clahe_clip, (config.clahe_tiles, config.clahe_tiles))
    return np.asarray(equalise.apply(picture), np.uint8)


def _window(box: Box, mammogram: Mammogram, config: RegionConfig) -> Geometry:
    """The window about a box that has the input's aspect on the breast, moved into the image."""
    rows, cols = mammogram.pixels.shape
    aspect = mammogram.ref.pixel_aspect
    longer = max((box[2] - box[0]) * aspect, box[3] - box[1]) * (1.0 + config.margin)
    per_px = longer / min(config.height, config.width)
    wanted = config.height * per_px / aspect, config.width * per_px
    row0, row1 = _span((box[0] + box[2]) / 2, wanted[0], rows)
    col0, col1 = _span((box[1] + box[3]) / 2, wanted[1], cols)
    scaled = (
        config.height if wanted[0] <= rows else max(1, round((row1 - row0) * aspect / per_px)),
        config.width if wanted[1] <= cols else max(1, round((col1 - col0) / per_px)),
    )
    return Geometry(
        source_shape=(rows, cols),
        crop_source_px=(row0, col0, row1, col1),
        scaled_shape=scaled,
        offset_px=((config.height - scaled[0]) // 2, (config.width - scaled[1]) // 2),
        prepared_shape=(config.height, config.width),
        flipped=False,
    )


def _span(centre: float, wanted: float, extent: int) -> tuple[int, int]:
    size = min(max(1, round(wanted)), extent)
    start = min(max(round(centre - size / 2), 0), extent - size)
    return start, start + size


def _cut(mammogram: Mammogram, geometry: Geometry) -> npt.NDArray[np.float32]:
    r0, c0, r1, c1 = geometry.crop_source_px
    small = resize(resizable(mammogram.pixels[r0:r1, c0:c1]), geometry.scaled_shape)
    return to_grey(small, mammogram)


def _stretched(values: npt.NDArray[np.float32], config: RegionConfig) -> npt.NDArray[np.float32]:
    """Percentiles to 0–1; a flat picture becomes zero throughout."""
    low, high = np.percentile(values, (config.low_percentile, config.high_percentile))
    scale = 1.0 / (high - low) if high > low else 0.0
    return np.asarray(np.clip((values - low) * scale, 0.0, 1.0), np.float32)


def _view(
    ref: ImageRef,
    mammogram: Mammogram,
    picture: npt.NDArray[np.float32],
    geometry: Geometry,
    quarter_turns: int,
    cautions: tuple[Caution, ...],
) -> PreparedView:
    if np.ptp(picture) == 0:
        raise NotAMammogram(
            f"the window {_say(geometry.crop_source_px)} is flat: there is nothing in it",
            source=ref.path,
            keyword="region",
            remedy="Mark a place on the breast",
        )
    if geometry.scaled_shape != geometry.prepared_shape:
        cautions += (
            Caution("region_padded", "the window reaches over the image: filled up with black"),
        )
    return PreparedView(
        ref=ref,
        pixels=place(np.rint(picture * 255.0).astype(np.uint8), geometry),
        mask=place(np.ones(geometry.scaled_shape, np.bool_), geometry),
        geometry=geometry.stored_turned(quarter_turns),
        photometric=mammogram.photometric,
        cautions=mammogram.cautions + cautions,
        voi=mammogram.voi,
        padding=mammogram.padding,
    )


def _say(box: Box | _Crop) -> str:
    return ",".join(f"{edge:g}" for edge in box)
