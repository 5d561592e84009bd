"""What presentation states of every kind share: the greys of their image, its aspect."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from pydicom.dataset import Dataset

from mammolens.core import SourceHeader, VoiLut, Window
from mammolens.errors import UnsupportedImage

if TYPE_CHECKING:
    import highdicom

__all__ = ["aspect_ratio", "take_greys"]

_WHITE: Final = 65535


def take_greys(
    source: Dataset, header: SourceHeader, voi: Window | VoiLut | None, path: str
) -> None:
    """Give a source the attributes that turn its stored values into grey.

    Raises
    ------
    UnsupportedImage
        Its table of grey values cannot be taken over.
    """
    rescale = header.rescale
    if rescale is None or (isinstance(voi, VoiLut) and voi.first < 0):
        raise UnsupportedImage(
            "its table of grey values cannot be taken over into a presentation state",
            source=path,
            keyword="ModalityLUTSequence" if rescale is None else "VOILUTSequence",
            remedy="Use the sink dicom-sc",
        )
    if rescale != (1.0, 0.0):
        source.RescaleSlope, source.RescaleIntercept = (f"{value:.10g}" for value in rescale)
        source.RescaleType = "US"
    if isinstance(voi, Window):
        source.WindowCenter, source.WindowWidth = f"{voi.center:.10g}", f"{voi.width:.10g}"
        source.VOILUTFunction = voi.function.value
    elif voi is not None:
        source.VOILUTSequence = [_lut(voi)]


def _lut(voi: VoiLut) -> highdicom.VOILUT:
    import highdicom as hd

    low, high = float(voi.values.min()), float(voi.values.max())
    data = np.rint((voi.values - low) * (_WHITE / max(high - low, 1e-12))).astype(np.uint16)
    return hd.VOILUT(first_mapped_value=voi.first, lut_data=data)


def aspect_ratio(aspect: float) -> list[int]:
    """Pixel aspect ratio as two whole numbers, vertical then horizontal."""
    return [1, 1] if aspect == 1.0 else [round(aspect * 1000), 1000]
