"""``overlays/``: a folder for each exam, with a PNG of each image and ``hanging.png`` of all views.

``overlays/index.csv`` lists which file shows which image.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePath, PureWindowsPath

import numpy as np
import numpy.typing as npt

from mammolens._lettering import encode_rgb
from mammolens.core import Prediction
from mammolens.render import hanging, overlay
from mammolens.sinks import Artefact, RunInfo
from mammolens.sinks._worklist import Names
from mammolens.wording import view_in_exam

__all__ = ["overlays"]


def overlays(prediction: Prediction, run: RunInfo) -> Iterator[Artefact]:  # noqa: ARG001
    """Draw every image of an exam, and then all its views in hanging order."""
    names = Names()
    names.take("hanging")
    for image in prediction.images:
        path = image.ref.path
        shows = view_in_exam(image, prediction), path
        yield _picture(names.take(_stem(path)), overlay(image, prediction), shows)
    yield _picture("hanging", hanging(prediction), ("hanging", ""))


def _picture(name: str, rgb: npt.NDArray[np.uint8], shows: tuple[str, str]) -> Artefact:
    return Artefact(f"{name}.png", "image/png", encode_rgb(rgb), shows=shows)


def _stem(path: str) -> str:
    """The name of a file (or archive member) without folders and its last suffix."""
    return PurePath(PureWindowsPath(path.rpartition("!")[2] or path).name).stem
