"""What presentation states of every kind share: the greys of their image, a layer, its aspect."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from pydicom.dataset import Dataset

from mammolens.core import ImageRef, Photometric, SourceHeader, VoiLut, Window
from mammolens.errors import UnsupportedImage
from mammolens.wording import DISCLAIMER

if TYPE_CHECKING:
    import highdicom

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


def presentation_state(
    source: Dataset,
    ref: ImageRef,
    photometric: Photometric,
    layer_name: str,
    graphics: Sequence[highdicom.pr.GraphicObject],
    texts: Sequence[highdicom.pr.TextObject],
    **more: Any,
) -> Dataset:
    """Make the presentation state of one image, with one layer of graphics and texts.

    Parameters
    ----------
    source
        The data set of the image, with its greys (`take_greys`).
    more
        Identifiers, label and description, as keyword arguments of highdicom.

    Source: PS3.3 A.33.1.
    """
    import highdicom as hd

    layer = hd.pr.GraphicLayer(
        layer_name,
        order=1,
        description=DISCLAIMER,
        display_color=hd.color.CIELabColor(85.0, 0.0, 80.0),
    )
    annotation = hd.pr.GraphicAnnotation(
        referenced_images=[source],
        graphic_layer=layer,
        graphic_objects=graphics or None,
        text_objects=texts,
    )
    inverse = photometric is Photometric.MONOCHROME1
    made: Dataset = hd.pr.GrayscaleSoftcopyPresentationState(
        referenced_images=[source],
        graphic_layers=[layer],
        graphic_annotations=[annotation],
        presentation_lut_transformation=hd.PresentationLUTTransformation(
            presentation_lut_shape="INVERSE" if inverse else "IDENTITY"
        ),
        **more,
    )
    (area,) = made.DisplayedAreaSelectionSequence
    del area.PixelOriginInterpretation
    # Vertical, then horizontal, as whole numbers.
    aspect = ref.pixel_aspect
    area.PresentationPixelAspectRatio = [1, 1] if aspect == 1.0 else [round(aspect * 1000), 1000]
    if ref.laterality is not None:
        made.Laterality = ref.laterality.value
    return made
