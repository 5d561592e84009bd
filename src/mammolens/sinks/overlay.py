"""``overlays/``: a folder per exam with a PNG per image, and ``hanging.png``, the exam at a glance.

``overlays/index.csv`` tells which file shows which image; a later run into the same folder removes
the files that it lists, so that no picture of an earlier run passes for one of the new.
"""

from __future__ import annotations

import csv
import io
from pathlib import Path, PurePath, PureWindowsPath
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from mammolens.core import Prediction, Unreadable
from mammolens.render import hanging, overlay
from mammolens.sinks import RunInfo
from mammolens.sinks._worklist import Names
from mammolens.wording import table_cell, view_in_exam

__all__ = ["INDEX_COLUMNS", "open_sink"]

INDEX_COLUMNS: Final = ("file", "patient_id", "study_instance_uid", "view", "path")


def open_sink(out: Path, run: RunInfo) -> Overlays:  # noqa: ARG001
    """Open the folder ``overlays`` in a folder; what a picture says comes with the prediction."""
    return Overlays(out / "overlays")


class Overlays:
    """The folder, and its index that grows with every picture."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._exams = Names()
        folder.mkdir(parents=True, exist_ok=True)
        index = folder / "index.csv"
        _remove_listed(index)
        self._index = index.open("w", encoding="utf-8", newline="", buffering=1)
        self._index.write(_line(INDEX_COLUMNS))
        self._path = index

    def write(self, prediction: Prediction) -> None:
        """Draw one exam."""
        ids = (prediction.patient_id or "", prediction.study_instance_uid or "")
        exam = self._exams.take(ids[0] or ids[1] or "exam")
        names = Names()
        names.take("hanging")
        (self._folder / exam).mkdir(exist_ok=True)
        for image in prediction.images:
            file = f"{exam}/{names.take(_stem(image.ref.path))}.png"
            self._index.write(_line((file, *ids, view_in_exam(image, prediction), image.ref.path)))
            _save(self._folder / file, overlay(image, prediction))
        self._index.write(_line((f"{exam}/hanging.png", *ids, "hanging", "")))
        _save(self._folder / exam / "hanging.png", hanging(prediction))

    def unreadable(self, item: Unreadable) -> None:
        """Leave out what cannot be shown."""

    def close(self) -> list[Path]:
        """Finish the index."""
        self._index.close()
        return [self._folder]

    def discard(self) -> None:
        """Remove the pictures of the unfinished run, and folders that this leaves empty."""
        self._index.close()
        _remove_listed(self._path)


def _save(path: Path, rgb: npt.NDArray[np.uint8]) -> None:
    done, encoded = cv2.imencode(".png", np.ascontiguousarray(rgb[..., ::-1]))
    if not done:
        raise OSError(f"{path}: the picture could not be encoded")
    path.write_bytes(encoded.tobytes())


def _stem(path: str) -> str:
    """The name of a file (or archive member) without folders and its last suffix."""
    return PurePath(PureWindowsPath(path.rpartition("!")[2] or path).name).stem


def _line(cells: tuple[str, ...]) -> str:
    text = io.StringIO(newline="")
    csv.writer(text).writerow([table_cell(cell) for cell in cells])
    return text.getvalue()


def _remove_listed(index: Path) -> None:
    """Delete exactly the pictures that an index lists, none outside its own folder."""
    if not index.is_file():
        return
    home = index.parent.resolve()
    with index.open(encoding="utf-8", newline="") as stream:
        files = [row.get("file") or "" for row in csv.DictReader(stream)]
    for file in files:
        picture = (home / file).resolve()
        if picture.suffix == ".png" and picture.parent.parent == home:
            picture.unlink(missing_ok=True)
            if picture.parent.is_dir() and not any(picture.parent.iterdir()):
                picture.parent.rmdir()
    index.unlink()
