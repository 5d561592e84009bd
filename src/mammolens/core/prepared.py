"""Images as models, the input gate and people see them: `Mammogram` → `PreparedView`, `Display`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mammolens.core.images import Caution, ImageRef, Photometric, freeze
from mammolens.errors import ConfigError

__all__ = ["Box", "Display", "Geometry", "Overview", "PreparedView"]

Box = tuple[float, float, float, float]
"""``(row0, col0, row1, col1)``, half-open, in pixels of the frame that the name says."""


@dataclass(frozen=True)
class Geometry:
    """The exact, invertible map between source pixels and prepared pixels.

    Coordinates are continuous with pixel ``i`` covering ``[i, i + 1)``. A source point is
    cropped to `crop_source_px`, scaled by `scale` (rows, columns: prepared per source pixel),
    mirrored left–right within the crop if `flipped`, and shifted by `offset_px` (row, column) into
    an array of `prepared_shape`.
    """

    source_shape: tuple[int, int]
    crop_source_px: tuple[int, int, int, int]
    scaled_shape: tuple[int, int]
    offset_px: tuple[int, int]
    prepared_shape: tuple[int, int]
    flipped: bool

    def __post_init__(self) -> None:
        r0, c0, r1, c1 = self.crop_source_px
        rows, cols = self.source_shape
        if not (0 <= r0 < r1 <= rows and 0 <= c0 < c1 <= cols):
            raise ConfigError(f"crop {self.crop_source_px} does not lie in {self.source_shape}")

    @property
    def scale(self) -> tuple[float, float]:
        """Prepared pixels per source pixel, (rows, columns)."""
        r0, c0, r1, c1 = self.crop_source_px
        return self.scaled_shape[0] / (r1 - r0), self.scaled_shape[1] / (c1 - c0)

    def box_to_prepared(self, box_source_px: Box) -> Box:
        """Carry a box from source to prepared pixels (not clipped)."""
        (sr, sc), (dr, dc) = self.scale, self.offset_px
        r0, c0, _, _ = self.crop_source_px
        rows = [(row - r0) * sr + dr for row in (box_source_px[0], box_source_px[2])]
        cols = [(col - c0) * sc for col in (box_source_px[1], box_source_px[3])]
        if self.flipped:
            cols = [self.scaled_shape[1] - col for col in reversed(cols)]
        return rows[0], cols[0] + dc, rows[1], cols[1] + dc

    def box_to_source(self, box_prepared_px: Box) -> Box:
        """Carry a box from prepared to source pixels, clipped to the source image.

        Examples
        --------
        >>> g = Geometry((100, 80), (10, 20, 90, 80), (40, 30), (0, 2), (40, 32), True)
        >>> g.box_to_source(g.box_to_prepared((20.0, 30.0, 40.0, 50.0)))
        (20.0, 30.0, 40.0, 50.0)
        """
        (sr, sc), (dr, dc) = self.scale, self.offset_px
        r0, c0, _, _ = self.crop_source_px
        rows = [(row - dr) / sr + r0 for row in (box_prepared_px[0], box_prepared_px[2])]
        cols = [col - dc for col in (box_prepared_px[1], box_prepared_px[3])]
        if self.flipped:
            cols = [self.scaled_shape[1] - col for col in reversed(cols)]
        cols = [col / sc + c0 for col in cols]
        height, width = self.source_shape
        return (
            min(max(rows[0], 0.0), height),
            min(max(cols[0], 0.0), width),
            min(max(rows[1], 0.0), height),
            min(max(cols[1], 0.0), width),
        )


@dataclass(frozen=True)
class Overview:
    """The whole picture reduced, in its own orientation: what the input gate looks at.

    `grey` uint8 (rows, columns), VOI and inversion settled, breast bright; `mask` (same shape,
    bool) is the breast as it was found, and `chest_wall_right` on which side it was taken to end.
    """

    grey: npt.NDArray[np.uint8]
    mask: npt.NDArray[np.bool_]
    chest_wall_right: bool

    def __post_init__(self) -> None:
        freeze(self.grey)
        freeze(self.mask)


@dataclass(frozen=True)
class PreparedView:
    """What a model sees: `pixels` uint8 (rows, columns), chest wall at the left, zero outside.

    `mask` (same shape, bool) marks the breast; `photometric` is the interpretation that was
    used, which differs from the header's when an untagged inversion was found; `overview` is the
    whole picture that the breast was found in, ``None`` for a marked region.
    """

    ref: ImageRef
    pixels: npt.NDArray[np.uint8]
    mask: npt.NDArray[np.bool_]
    geometry: Geometry
    photometric: Photometric
    cautions: tuple[Caution, ...] = ()
    overview: Overview | None = None

    def __post_init__(self) -> None:
        freeze(self.pixels)
        freeze(self.mask)


@dataclass(frozen=True)
class Display:
    """A reduced picture of the source for people: `pixels` uint8 (rows, columns), VOI applied,
    breast bright, the source's own orientation; `scale` (rows, columns) is display per source
    pixel (the two differ where source pixels are not square)."""

    pixels: npt.NDArray[np.uint8]
    scale: tuple[float, float]

    def __post_init__(self) -> None:
        freeze(self.pixels)
