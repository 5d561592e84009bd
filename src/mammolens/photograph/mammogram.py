"""A straight film as a mammogram, with the doubt that it always carries."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

from mammolens.core import ImageRef, Laterality, Mammogram, SourceHeader, ViewPosition
from mammolens.errors import InputError, NotAMammogram
from mammolens.images.film_photograph import FROM_PHOTOGRAPH
from mammolens.photograph.edges import film_outlines, four_corners
from mammolens.photograph.faults import Fault, refusal
from mammolens.photograph.light import fit_light, linear_light
from mammolens.photograph.straightening import Film
from mammolens.preprocess import PreprocessConfig, prepare
from mammolens.quality import admit

__all__ = ["check_view", "film_mammogram", "refuse_photographed"]

_OVERVIEW_PX: Final = 320
_STORAGE: Final = "1.2.840.10008.5.1.4.1.1."
_OTHER_CLASSES: Final = (None, *(_STORAGE + end for end in ("1", "7", "7.2", "7.3", "7.4")))
"""No DICOM, computed radiography, secondary capture."""


def film_mammogram(
    film: Film, source: str, digest: str, laterality: Laterality, view_position: ViewPosition
) -> Mammogram:
    """Make a mammogram of a film; a person gave its side and view."""
    ref = ImageRef(source, laterality=laterality, view_position=view_position, digest=digest)
    return Mammogram(ref, SourceHeader(), film.pixels, cautions=(FROM_PHOTOGRAPH,))


def refuse_photographed(mammogram: Mammogram) -> None:
    """Refuse a picture from the ordinary door that shows a film on a light box.

    A photograph in colour is refused when it is read; this finds a grey copy of one. Objects of
    mammography SOP classes are not looked at: no camera writes them.

    Raises
    ------
    NotAMammogram
        It shows a film with the lit box on all four sides.
    """
    if mammogram.header.sop_class_uid not in _OTHER_CLASSES:
        return
    pixels = mammogram.pixels
    step = max(1, max(pixels.shape) // _OVERVIEW_PX)
    small = np.asarray(pixels[::step, ::step], np.float32)
    grey = np.round(255 * small / max(float(small.max()), 1.0)).clip(0, 255).astype(np.uint8)
    fitted = fit_light(linear_light(np.asarray(cv2.medianBlur(grey, 3), np.uint8)))
    if fitted is None or not any(four_corners(one) is not None for one in film_outlines(fitted[1])):
        return
    raise NotAMammogram(
        "the picture looks like a photograph of a film on a light box",
        source=mammogram.ref.path,
        remedy="Send it as a photograph, with its side and view: --photograph RCC=FILE",
    )


def check_view(mammogram: Mammogram) -> None:
    """Refuse a straight picture that shows no whole breast: a chest film, a document, a wall.

    Raises
    ------
    BadPhotograph
        The input gate would refuse it too, or no breast was found.
    """
    try:
        admit(prepare(mammogram, PreprocessConfig()))
    except InputError as error:
        raise refusal([Fault.NOT_A_FILM], mammogram.ref.path) from error
