"""Pictures made from a mammogram: inputs of the model and of its gate, and one for people."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mammolens.core.geometry import Geometry
from mammolens.core.images import Caution, ImageRef, Photometric, VoiLut, Window, freeze

__all__ = ["Display", "Overview", "PreparedView"]


@dataclass(frozen=True)
class Overview:
    """The reduced whole picture, upright and not mirrored: the input of the input gate.

    `grey` is uint8 (rows, columns) after VOI and inversion, breast bright. `mask` (same shape,
    bool) marks the breast that was found. `chest_wall_right` says whether its chest wall is at the
    right.
    """

    grey: npt.NDArray[np.uint8]
    mask: npt.NDArray[np.bool_]
    chest_wall_right: bool

    def __post_init__(self) -> None:
        freeze(self.grey)
        freeze(self.mask)


@dataclass(frozen=True)
class PreparedView:
    """The input of a model: `pixels` uint8 (rows, columns), upright, zero outside the breast.

    The chest wall is at the left. `mask` (same shape, bool) marks the breast. For a marked region,
    the picture is not mirrored and `mask` marks the image. `photometric`, `voi` and `padding` are
    the values that were used; they differ from the header if the picture proves the header wrong.
    `overview` is the whole picture in which the breast was found, or ``None`` for a marked region.
    """

    ref: ImageRef
    pixels: npt.NDArray[np.uint8]
    mask: npt.NDArray[np.bool_]
    geometry: Geometry
    photometric: Photometric
    cautions: tuple[Caution, ...] = ()
    voi: Window | VoiLut | None = None
    padding: tuple[float, float] | None = None
    overview: Overview | None = None

    def __post_init__(self) -> None:
        freeze(self.pixels)
        freeze(self.mask)


@dataclass(frozen=True)
class Display:
    """A picture for people: `pixels` uint8 (rows, columns), breast bright, as it is stored.

    VOI is applied, and pixels are square. `scale` (rows, columns) is display pixels per source
    pixel; the two values differ if source pixels are not square.
    """

    pixels: npt.NDArray[np.uint8]
    scale: tuple[float, float]

    def __post_init__(self) -> None:
        freeze(self.pixels)
