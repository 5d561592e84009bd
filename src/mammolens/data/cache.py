"""Prepared pictures on disk: decoded and prepared once, shared by training and evaluation.

One folder for each list of images and set of preprocessing parameters (its name is their digest,
so it is never stale, and a corrected label costs nothing): ``pictures.u8`` (n, H, W),
memory-mapped; ``done.u8`` (n): 0 to do, 1 there, 2 refused; ``refused.json`` with the reasons. An
interrupted build goes on where it stopped.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mammolens.core import PreparedView
from mammolens.data.manifest import Manifest, Record
from mammolens.data.regions import region_box
from mammolens.errors import InputError
from mammolens.preprocess import InputConfig, RegionConfig, prepare, prepare_crop, prepare_region

__all__ = ["PreparedCache", "build_cache", "prepare_record"]

_TODO, _THERE, _REFUSED = 0, 1, 2


@dataclass(frozen=True)
class PreparedCache:
    """`pictures` uint8 (n, H, W) in the order of `records`; rows of refused images are absent
    from both, and stand in `refused` (image path → reason)."""

    records: tuple[Record, ...]
    rows: npt.NDArray[np.intp]
    pictures: npt.NDArray[np.uint8]
    refused: dict[str, str]

    def picture(self, index: int) -> npt.NDArray[np.uint8]:
        """The prepared picture (H, W) of ``records[index]``."""
        picture: npt.NDArray[np.uint8] = self.pictures[self.rows[index]]
        return picture


def prepare_record(record: Record, config: InputConfig) -> PreparedView:
    """Read and prepare one image of a manifest, or one lesion (see `data.regions`).

    The table's word on identity, side, view and pixel aspect goes before the file's.

    Raises
    ------
    InputError
        If the image cannot be read or shows no breast.
    """
    from mammolens.images import read_image

    mammogram = read_image(record.path)
    ref = replace(
        mammogram.ref,
        patient_id=record.patient_id,
        laterality=record.laterality or mammogram.ref.laterality,
        view_position=record.view_position or mammogram.ref.view_position,
        pixel_aspect=record.pixel_aspect
        if record.pixel_aspect != 1.0
        else mammogram.ref.pixel_aspect,
    )
    mammogram = replace(mammogram, ref=ref)
    if not isinstance(config, RegionConfig):
        return prepare(mammogram, config)
    box = region_box(record)
    if box is None:
        return prepare_crop(mammogram, config)
    return prepare_region(mammogram, box, config)


def build_cache(
    manifest: Manifest,
    config: InputConfig,
    root: Path,
    *,
    jobs: int = 1,
    on_progress: Callable[[int, int], None] = lambda *_: None,
) -> PreparedCache:
    """Prepare every image of a manifest that is not yet in the cache, and open it.

    Parameters
    ----------
    root
        Folder that holds caches; this one's folder is named after its digest.
    jobs
        Images that are decoded side by side.
    on_progress
        Called with (images done, images in all).
    """
    folder = root / _key(manifest, config)
    folder.mkdir(parents=True, exist_ok=True)
    shape = (len(manifest.records), config.height, config.width)
    pictures = _mapped(folder / "pictures.u8", shape)
    done = _mapped(folder / "done.u8", shape[:1])
    reasons = folder / "refused.json"
    refused: dict[str, str] = json.loads(reasons.read_text()) if reasons.exists() else {}
    todo = np.flatnonzero(done == _TODO)
    with ThreadPoolExecutor(jobs) as pool:
        tasks = [(manifest.records[i], config) for i in todo]
        for index, outcome in zip(todo, pool.map(_prepare_one, tasks), strict=True):
            if isinstance(outcome, str):
                refused[str(manifest.records[index].path)] = outcome
                reasons.write_text(json.dumps(refused, indent=1))
                done[index] = _REFUSED
            else:
                pictures[index] = outcome
                done[index] = _THERE
            on_progress(int(np.count_nonzero(done)), len(done))
    rows = np.flatnonzero(done == _THERE)
    return PreparedCache(tuple(manifest.records[i] for i in rows), rows, pictures, refused)


def _prepare_one(task: tuple[Record, PreprocessConfig]) -> npt.NDArray[np.uint8] | str:
    try:
        return prepare_record(*task).pixels
    except InputError as error:
        return str(error)


def _mapped(path: Path, shape: tuple[int, ...]) -> np.memmap[tuple[int, ...], np.dtype[np.uint8]]:
    return np.memmap(path, np.uint8, mode="r+" if path.exists() else "w+", shape=shape)


def _key(manifest: Manifest, config: InputConfig) -> str:
    images = [
        (r.dataset, r.image_id, r.laterality, r.view_position, r.pixel_aspect)
        for r in manifest.records
    ]
    text = f"{images} {config.model_dump_json()}"
    return hashlib.sha256(text.encode()).hexdigest()[:24]
