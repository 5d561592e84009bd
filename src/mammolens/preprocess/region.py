"""`prepare_region`: a marked box of a mammogram becomes the input of a lesion model.

The window is a square around the centre of the box, 1 + `margin` times as large as its longer side.
A window that reaches over the edge of the image is moved inside. It is never mirrored, and it is
turned only if the whole picture is stored lying on its side. `prepare_crop` takes a picture that is
already such a window.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
import numpy.typing as npt

from mammolens.core import Box, Caution, Geometry, ImageRef, Mammogram, PreparedView, turn_box
from mammolens.errors import BadRegion, NotAMammogram
from mammolens.preprocess.config import RegionConfig
from mammolens.preprocess.grey import place, resize, to_grey
from mammolens.preprocess.picture_trust import trusted_picture, usable_voi

__all__ = ["SMALLEST_BOX_PX", "prepare_crop", "prepare_region"]

SMALLEST_BOX_PX = 8
"""Boxes with a shorter side than this are refused: they show too little. Chosen by hand."""

_Crop = tuple[int, int, int, int]


def prepare_region(mammogram: Mammogram, box_source_px: Box, config: RegionConfig) -> PreparedView:
    """Cut a box with its surroundings out of a mammogram and make it a lesion model's input.

    VOI and inversion are decided on the whole picture, as in `prepare`. Then CLAHE is applied to
    the whole picture in 8 bits, with black air and with tiles that divide the whole film. Only then
    is the window cut out and stretched between its percentiles. The crops from which models learn
    were made in the same way.

    Parameters
    ----------
    box_source_px
        (row0, col0, row1, col1), half-open. Parts outside the image are cut off (caution
        `region_clipped`). A window larger than the image is filled up with black (`region_padded`).
        A box of which less than half is on the breast gets the caution `region_off_breast`.

    Returns
    -------
    A view whose `mask` is true where the window shows the image; its geometry maps back to the
    stored pixels.

    Raises
    ------
    BadRegion
        If the box is empty, smaller than `SMALLEST_BOX_PX`, or outside the image.
    NotAMammogram
        If the picture is flat, or flat within the window.

    Source
    ------
    The widely used 256 × 256 mass crops of CBIS-DDSM. The window was measured on their masks. Black
    air has the values 2 and 3 in them: a clip limit of 2 gives these values. There is one smooth
    border between the two values: tiles of the whole film give such a border, tiles of a crop do
    not.
    """
    box, clipped = _inside(box_source_px, mammogram)
    stored = mammogram
    mammogram, thumbnail, stride, region, quarter_turns, cautions = trusted_picture(stored)
    if clipped:
        text = f"the box was cut off at the edge of the image, to {_say(box)}"
        cautions += (Caution("region_clipped", text),)
    box = turn_box(box, stored.pixels.shape, quarter_turns)
    breast = np.zeros(thumbnail.shape, np.bool_) if region is None else region.mask
    if not _on_breast(breast, box, stride):
        text = "less than half of the box is on the breast that was found in the picture"
        cautions += (Caution("region_off_breast", text),)
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
    """Make a stored crop of a lesion a lesion model's input, without a further margin or CLAHE.

    The crop is only stretched between its percentiles: its local contrast was raised when it was
    made. If its aspect differs from the input's, it is filled up with black, not squeezed.

    Raises
    ------
    BadRegion
        If either side is shorter than `SMALLEST_BOX_PX`.
    NotAMammogram
        If every pixel of the crop has the same value.
    """
    rows, cols = mammogram.pixels.shape
    box, _ = _inside((0.0, 0.0, float(rows), float(cols)), mammogram)
    mammogram, cautions = usable_voi(mammogram)
    geometry = _window(box, mammogram, config.model_copy(update={"margin": 0.0}))
    picture = _stretched(_cut(mammogram, geometry), config)
    return _view(mammogram.ref, mammogram, picture, geometry, 0, cautions)


def _inside(box: Box, mammogram: Mammogram) -> tuple[Box, bool]:
    """Give the part of a box within the image, and whether anything was cut off."""
    rows, cols = mammogram.pixels.shape
    r0, c0, r1, c1 = box
    ordered = all(map(math.isfinite, box)) and r0 < r1 and c0 < c1
    inside = max(r0, 0.0), max(c0, 0.0), min(r1, float(rows)), min(c1, float(cols))
    height, width = inside[2] - inside[0], inside[3] - inside[1]
    least = f"{SMALLEST_BOX_PX} × {SMALLEST_BOX_PX}"
    fault = None
    if not ordered:
        fault = f"{_say(box)} is not a box"
    elif height <= 0 or width <= 0:
        fault = f"the box {_say(box)} lies outside the image of {rows} × {cols} pixels"
    elif min(height, width) < SMALLEST_BOX_PX:
        fault = f"the box {_say(inside)} is smaller than {least} pixels"
    if fault is not None:
        raise BadRegion(
            fault,
            source=mammogram.ref.path,
            keyword="region",
            remedy=f"Give row0,col0,row1,col1 in pixels of the stored image: {rows} × {cols}",
        )
    return inside, inside != tuple(box)


def _on_breast(breast: npt.NDArray[np.bool_], box: Box, stride: int) -> bool:
    """Return whether half of the box or more is on the breast's mask (every `stride`-th pixel)."""
    r0, c0, r1, c1 = (int(edge // stride) for edge in box)
    return bool(breast[r0 : max(r1, r0 + 1), c0 : max(c1, c0 + 1)].mean() >= 0.5)


def _equalised(
    mammogram: Mammogram, breast: npt.NDArray[np.bool_], stride: int, box: Box, config: RegionConfig
) -> npt.NDArray[np.uint8]:
    """The whole picture in 8 bits after CLAHE; black outside the breast, except within the box."""
    rows, cols = mammogram.pixels.shape
    values = to_grey(mammogram.pixels, mammogram)
    darkest = float(values.min())
    white = 255.0 / max(float(values.max()) - darkest, 1e-12)
    picture = np.rint((values - darkest) * white).astype(np.uint8)
    visible = breast.repeat(stride, 0).repeat(stride, 1)[:rows, :cols]
    visible[math.floor(box[0]) : math.ceil(box[2]), math.floor(box[1]) : math.ceil(box[3])] = True
    if breast.any():
        picture[~visible] = 0
    equalise = cv2.createCLAHE(config.clahe_clip, (config.clahe_tiles, config.clahe_tiles))
    return np.asarray(equalise.apply(picture), np.uint8)


def _window(box: Box, mammogram: Mammogram, config: RegionConfig) -> Geometry:
    """The window around a box, with the input's aspect in millimetres, moved into the image."""
    rows, cols = mammogram.pixels.shape
    aspect = mammogram.ref.pixel_aspect
    longer = max((box[2] - box[0]) * aspect, box[3] - box[1]) * (1.0 + config.margin)
    per_px = longer / min(config.height, config.width)
    height, width = config.height * per_px / aspect, config.width * per_px
    row0, row1 = _span((box[0] + box[2]) / 2, height, rows)
    col0, col1 = _span((box[1] + box[3]) / 2, width, cols)
    scaled = (
        config.height if height <= rows else max(1, round((row1 - row0) * aspect / per_px)),
        config.width if width <= cols else max(1, round((col1 - col0) / per_px)),
    )
    return Geometry(
        source_shape=(rows, cols),
        crop_source_px=(row0, col0, row1, col1),
        scaled_shape=scaled,
        offset_px=((config.height - scaled[0]) // 2, (config.width - scaled[1]) // 2),
        prepared_shape=(config.height, config.width),
        flipped=False,
    )


def _span(centre: float, length: float, extent: int) -> tuple[int, int]:
    """Start and stop of `length` pixels around `centre`, moved or shortened to fit 0–`extent`."""
    size = min(max(1, round(length)), extent)
    start = min(max(round(centre - size / 2), 0), extent - size)
    return start, start + size


def _cut(mammogram: Mammogram, geometry: Geometry) -> npt.NDArray[np.float32]:
    r0, c0, r1, c1 = geometry.crop_source_px
    small = resize(mammogram.pixels[r0:r1, c0:c1], geometry.scaled_shape)
    return to_grey(small, mammogram)


def _stretched(values: npt.NDArray[np.float32], config: RegionConfig) -> npt.NDArray[np.float32]:
    """Stretch the percentiles to 0–1; a picture with one value becomes zero."""
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
            f"every pixel in the window {_say(geometry.crop_source_px)} has the same value",
            source=ref.path,
            keyword="region",
            remedy="Mark a place on the breast",
        )
    if geometry.scaled_shape != geometry.prepared_shape:
        text = "the window is larger than the image; it was filled up with black"
        cautions += (Caution("region_padded", text),)
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
