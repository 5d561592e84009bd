"""The augmentation sheet: prepared pictures beside drawn variants of them, with what was drawn.

A run's preprocessing and augmentation flow in, one PNG flows out: a row for each image, the
prepared picture first. It shows what a network is trained on, before anything is trained.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from mammolens import DISCLAIMER
from mammolens._lettering import GROUND, band, write_png
from mammolens.core import PreparedView
from mammolens.errors import ConfigError
from mammolens.learn.augment import Augmentation, apply_augmentation, draw_augmentation
from mammolens.learn.config import RunConfig
from mammolens.learn.sections import AugmentConfig

__all__ = ["caption", "draw_sheet", "write_sheet"]

_GAP = 8
_WIDTH = 256


def write_sheet(
    config: RunConfig, images: Sequence[Path], path: Path, *, variants: int = 7, seed: int = 0
) -> Path:
    """Read and prepare images as a run does, and write the sheet of their variants.

    Parameters
    ----------
    images
        Files of mammograms.
    path
        PNG to write; it appears only when it is whole.
    variants
        Variants of each image.
    seed
        Of the draws; the same seed gives the same sheet.

    Raises
    ------
    InputError
        If an image cannot be read or shows no breast.
    ConfigError
        If there is no image, or the sheet would not be a PNG.
    StorageError
        If the sheet cannot be written.
    """
    from mammolens.images import read_image
    from mammolens.preprocess import RegionConfig, prepare, prepare_crop

    if path.suffix.lower() != ".png":
        raise ConfigError("the sheet is a PNG", source=str(path), remedy="Name it SHEET.png")
    if not images:
        raise ConfigError("there is no image to vary", remedy="Name one or more images")
    settings = config.preprocess
    views = [
        prepare_crop(read_image(image), settings)
        if isinstance(settings, RegionConfig)
        else prepare(read_image(image), settings)
        for image in images
    ]
    sheet = draw_sheet(views, config.augment, variants=variants, seed=seed)
    return write_png(path, sheet)


def draw_sheet(
    views: Sequence[PreparedView], config: AugmentConfig, *, variants: int = 7, seed: int = 0
) -> npt.NDArray[np.uint8]:
    """Draw a row for each prepared picture: itself, then its variants, each with its caption.

    Returns
    -------
    Uint8 RGB.
    """
    rows = []
    for number, view in enumerate(views):
        rng = np.random.default_rng((seed, number))
        changes = [draw_augmentation(rng, config) for _ in range(variants)]
        cells = [_cell(view.pixels, "as prepared")]
        cells += [_cell(apply_augmentation(view.pixels, c), caption(c)) for c in changes]
        rows.append(_beside(cells))
    head = band([f"Augmentation, seed {seed}. {DISCLAIMER}"], rows[0].shape[1])
    return np.vstack([head, *rows])


def caption(change: Augmentation) -> str:
    """Describe the drawn changes in words; changes without effect are left out.

    Examples
    --------
    >>> caption(Augmentation(rotation_deg=-7.25, flip_vertical=True, zoom=1.1))
    'turn -7.2 deg, flip up-down, zoom 1.10'
    >>> caption(Augmentation())
    'unchanged'
    """
    across, down = change.shift
    words = {
        f"turn {change.rotation_deg:+.1f} deg": change.rotation_deg,
        "flip left-right": change.flip_horizontal,
        "flip up-down": change.flip_vertical,
        f"zoom {change.zoom:.2f}": change.zoom != 1,
        f"stretch {change.stretch:.2f}": change.stretch != 1,
        f"shift {across:+.0%} {down:+.0%}": across or down,
        f"bend {change.elastic:.2f}/{change.elastic_cells}": change.elastic,
        f"blur {change.blur_px:.1f} px": change.blur_px,
        f"contrast {change.contrast:.2f}": change.contrast != 1,
        f"brightness {change.brightness:+.2f}": change.brightness,
        f"gamma {change.gamma:.2f}": change.gamma != 1,
        f"noise {change.noise:.1%}": change.noise,
        f"erased {len(change.erased)}": change.erased,
    }
    return ", ".join(word for word, drawn in words.items() if drawn) or "unchanged"


def _cell(picture: npt.NDArray[np.uint8], words: str) -> npt.NDArray[np.uint8]:
    """The picture at a fixed width, framed so that its edge shows, above its caption."""
    height = round(picture.shape[0] * _WIDTH / picture.shape[1])
    small = cv2.resize(picture, (_WIDTH, height), interpolation=cv2.INTER_AREA)
    seen = cv2.cvtColor(small, cv2.COLOR_GRAY2RGB)
    cv2.rectangle(seen, (0, 0), (_WIDTH - 1, height - 1), (92, 98, 104), 1)
    return np.vstack([seen, band([words], _WIDTH)])


def _beside(cells: Sequence[npt.NDArray[np.uint8]]) -> npt.NDArray[np.uint8]:
    height = max(cell.shape[0] for cell in cells) + _GAP
    row = np.full((height, len(cells) * (_WIDTH + _GAP), 3), GROUND, np.uint8)
    for place, cell in enumerate(cells):
        left = place * (_WIDTH + _GAP) + _GAP // 2
        row[: cell.shape[0], left : left + _WIDTH] = cell
    return row
