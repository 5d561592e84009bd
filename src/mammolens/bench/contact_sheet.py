"""The contact sheet of a table: some of its images in one picture, each with its label.

Images are taken in turn from every data set and label, in a seeded order. They are turned upright
and otherwise shown as stored. An image that cannot be read gets a panel that says so.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import chain, zip_longest
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from mammolens import DISCLAIMER
from mammolens._lettering import GROUND, QUIET, band, write, write_png
from mammolens.data.manifest import Manifest, Record
from mammolens.data.summary import label_word
from mammolens.errors import InputError
from mammolens.images import read_image
from mammolens.preprocess import make_display
from mammolens.wording import view_name

__all__ = ["draw_sheet", "sample_records", "write_sheet"]

Rgb = npt.NDArray[np.uint8]

_PANEL: Final = (220, 200)
"""Rows and columns of the place of a picture."""
_WORDS: Final = 54
_LETTERS: Final = 15
_COLUMNS: Final = 8


def write_sheet(
    manifest: Manifest,
    path: Path,
    *,
    images: int = 40,
    seed: int = 1,
    on_progress: Callable[[int, int], None] = lambda *_: None,
) -> Path:
    """Draw a sheet of some of a manifest's images and write it as PNG.

    Raises
    ------
    StorageError
        If the file cannot be written.
    """
    sheet = draw_sheet(sample_records(manifest, images, seed), len(manifest.records), on_progress)
    return write_png(path, sheet)


def sample_records(manifest: Manifest, images: int, seed: int) -> tuple[Record, ...]:
    """Choose records: one of each data set and label in turn, in a seeded order.

    Examples
    --------
    >>> records = [Record("d", str(n), "p", Path("x"), tumour=n == 9) for n in range(10)]
    >>> sorted(r.image_id == "9" for r in sample_records(Manifest.of(records), 2, seed=1))
    [False, True]
    """
    groups: dict[tuple[str, str], list[Record]] = defaultdict(list)
    for record in manifest.records:
        groups[record.dataset, label_word(record)].append(record)
    draw = random.Random(seed)
    shuffled = [draw.sample(groups[key], len(groups[key])) for key in sorted(groups)]
    in_turn = (record for record in chain.from_iterable(zip_longest(*shuffled)) if record)
    chosen = [record for record, _ in zip(in_turn, range(images), strict=False)]
    return tuple(sorted(chosen, key=lambda r: (r.dataset, label_word(r), r.image_id)))


def draw_sheet(
    records: Sequence[Record],
    of: int,
    on_progress: Callable[[int, int], None] = lambda *_: None,
) -> Rgb:
    """Draw the records, one or more, each above its data set, label, view and identifier.

    Parameters
    ----------
    of
        Number of images in the table; it is written above the sheet.
    """
    cells: list[Rgb] = []
    for record in records:
        cells.append(_cell(record))
        on_progress(len(cells), len(records))
    columns = min(_COLUMNS, len(cells))
    blank = np.full_like(cells[0], GROUND)
    cells += [blank] * (-len(cells) % columns)
    rows = [np.hstack(cells[n : n + columns]) for n in range(0, len(cells), columns)]
    width = rows[0].shape[1]
    head = band([f"{len(records)} of {of} images", DISCLAIMER], width)
    return np.vstack([head, *rows])


def _cell(record: Record) -> Rgb:
    high, wide = _PANEL
    cell = np.full((high + _WORDS, wide, 3), GROUND, dtype=np.uint8)
    picture = _picture(record)
    if picture is None:
        write(cell, "cannot be read", (12, high // 2), _LETTERS, QUIET)
    else:
        rows, cols = picture.shape
        top, left = (high - rows) // 2, (wide - cols) // 2
        cell[top : top + rows, left : left + cols] = picture[..., None]
    view = view_name((record.laterality, record.view_position))
    lines = (f"{record.dataset}: {label_word(record)}", view, record.image_id[-24:])
    for n, line in enumerate(lines):
        write(cell, line, (4, high + (n + 1) * 16), _LETTERS - 2, QUIET)
    return cell


def _picture(record: Record) -> npt.NDArray[np.uint8] | None:
    """Read a picture (rows, columns), upright and fitted into a panel; ``None`` if unreadable."""
    try:
        mammogram = read_image(record.path)
    except InputError:
        return None
    square = replace(mammogram, ref=replace(mammogram.ref, pixel_aspect=1.0))
    pixels = make_display(square, mammogram.photometric, max_side_px=2 * max(_PANEL)).pixels
    pixels = np.rot90(pixels, -record.rotation_deg // 90)
    own = 1.0 if record.rotation_deg else mammogram.ref.pixel_aspect
    aspect = record.pixel_aspect if record.pixel_aspect != 1.0 else own
    tall, wide = pixels.shape[0] * aspect, pixels.shape[1]
    factor = min((_PANEL[0] - 4) / tall, (_PANEL[1] - 4) / wide)
    size = max(1, round(wide * factor)), max(1, round(tall * factor))
    resized = cv2.resize(np.ascontiguousarray(pixels), size, interpolation=cv2.INTER_AREA)
    return np.asarray(resized, dtype=np.uint8)
