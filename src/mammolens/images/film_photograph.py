"""How a photograph of a film on a light box is marked: in DICOM, and as a doubt in results."""

from __future__ import annotations

from typing import Final

from mammolens.core import Caution

__all__ = ["FROM_PHOTOGRAPH", "IMAGE_TYPE"]

IMAGE_TYPE: Final = "FILM_PHOTOGRAPH"
"""Third value of Image Type (0008,0008) in objects that the door for photographs makes."""

FROM_PHOTOGRAPH: Final = Caution(
    "film_photograph",
    "the model was not validated for photographs of films on a light box",
    doubt=True,
)
"""It is a doubt, so an exam with a photograph is never ``low``."""
