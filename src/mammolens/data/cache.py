"""Prepared pictures on disk: decoded and prepared once, shared by training and evaluation.

One folder for each list of images and set of preprocessing parameters: its name is their digest,
so a corrected label, another split or a moved table costs nothing. It is never stale: an image
file of another size or time of change is prepared again, and everything is if a drawn breast no
longer comes out of `prepare` as it did. A process may be killed at any moment, and several may
build one cache at once; the next to come goes on where the last one stopped (see `store`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mammolens.core import (
    ImageRef,
    Laterality,
    Mammogram,
    PreparedView,
    SourceHeader,
    ViewPosition,
)
from mammolens.data.manifest import Manifest, Record, Split
from mammolens.data.regions import region_box
from mammolens.data.store import (
    REFUSED,
    THERE,
    TO_DO,
    Outcome,
    PictureStore,
    file_stamp,
    locked,
    open_store,
)
from mammolens.errors import InputError, InvalidManifest
from mammolens.prefetching import prefetch
from mammolens.preprocess import (
    InputConfig,
    RegionConfig,
    prepare,
    prepare_crop,
    prepare_region,
    turned,
)

__all__ = ["PreparedCache", "build_cache", "build_side", "prepare_record", "read_record"]

_BATCH = 16
"""Images a job prepares between two writes; a killed process loses no more than these."""

_SAME_GREY = 0.25
"""Mean difference in grey values up to which two processors are taken to prepare alike."""


@dataclass(frozen=True)
class PreparedCache:
    """`records` are those whose image could be prepared; ``pictures[rows[i]]`` is the picture of
    ``records[i]``.

    `pictures` is uint8 (n, H, W), read-only, mapped from the disk: memory is taken by the pictures
    in use, and given back by the system. `refused` says of the others why not (image path →
    reason); the folder's ``refused.json`` lists them too.
    """

    records: tuple[Record, ...]
    rows: npt.NDArray[np.intp]
    pictures: npt.NDArray[np.uint8]
    refused: dict[str, str]

    def picture(self, index: int) -> npt.NDArray[np.uint8]:
        """The prepared picture (H, W) of ``records[index]``."""
        picture: npt.NDArray[np.uint8] = self.pictures[self.rows[index]]
        return picture

    def select(self, where: Callable[[Record], bool]) -> PreparedCache:
        """The records for which `where` holds: one cache serves every side of every fold."""
        kept = [index for index, record in enumerate(self.records) if where(record)]
        return replace(
            self, records=tuple(self.records[index] for index in kept), rows=self.rows[kept]
        )

    @property
    def shortfall(self) -> str | None:
        """What must be said to people of refused images; ``None`` if there are none."""
        if not self.refused:
            return None
        path, reason = next(iter(self.refused.items()))
        return (
            f"{len(self.refused)} images cannot be used and are left out, first "
            f"{reason if path in reason else f'{path}: {reason}'}"
        )


def prepare_record(record: Record, config: InputConfig) -> PreparedView:
    """Read and prepare one image of a manifest, or one lesion (see `data.regions`).

    The geometry is that of the picture as `read_record` gives it.

    Raises
    ------
    InputError
        If the image cannot be read or shows no breast.
    """
    mammogram = read_record(record)
    if not isinstance(config, RegionConfig):
        return prepare(mammogram, config)
    box = region_box(record)
    if box is None:
        return prepare_crop(mammogram, config)
    return prepare_region(mammogram, box, config)


def read_record(record: Record) -> Mammogram:
    """Read one image of a manifest, upright.

    The table's word on identity, age, side, view and pixel aspect goes before the file's. A picture
    that the table calls rotated is turned upright.

    Raises
    ------
    InputError
        If the image cannot be read.
    """
    from mammolens.images import read_image

    mammogram = read_image(record.path)
    if record.rotation_deg:
        mammogram = turned(mammogram, record.rotation_deg // 90)
    ref = replace(
        mammogram.ref,
        patient_id=record.patient_id,
        laterality=record.laterality or mammogram.ref.laterality,
        view_position=record.view_position or mammogram.ref.view_position,
        age_years=mammogram.ref.age_years if record.age_years is None else record.age_years,
        pixel_aspect=record.pixel_aspect
        if record.pixel_aspect != 1.0
        else mammogram.ref.pixel_aspect,
    )
    return replace(mammogram, ref=ref)


def build_cache(
    manifest: Manifest,
    config: InputConfig,
    root: Path,
    *,
    jobs: int = 1,
    on_progress: Callable[[int, int], None] = lambda *_: None,
) -> PreparedCache:
    """Prepare every image of a manifest that is not yet in the cache, and open it.

    Images refused before are tried again each time. A picture whose file has been taken away stays.

    Parameters
    ----------
    root
        Folder that holds caches; this one's folder is named after its digest. It takes
        ``n * height * width`` bytes, which are reserved before the work begins.
    jobs
        Images that are decoded side by side, in threads.
    on_progress
        Called with (images done, images in all) after each image.

    Raises
    ------
    StorageError
        If the disk is full or cannot be written; what was prepared is kept.
    InvalidManifest
        If not one of the images can be used.
    """
    records = manifest.records
    folder = root / _key(manifest, config)
    shape = (len(records), config.height, config.width)
    with locked(folder):
        present = np.array([file_stamp(record.path) for record in records], np.int64)
        store = open_store(folder, shape, present)
        _forget_stale(store, present, config)
        refused = _fill(store, records, config, jobs, on_progress)
        store.list_refused(refused)
        rows = np.flatnonzero(store.state == THERE)
        if not len(rows):
            raise InvalidManifest(
                f"none of {len(records)} images can be used, first {next(iter(refused.values()))}",
                keyword="path",
                remedy="Check where the table lies: paths are relative to it",
            )
        return PreparedCache(tuple(records[i] for i in rows), rows, store.pictures(), refused)


def build_side(
    manifest: Manifest, side: Split, config: InputConfig, root: Path, *, jobs: int = 2
) -> PreparedCache:
    """The pictures of one side, out of the one cache of all images of a manifest.

    So the folds of a manifest are decoded once. Parameters and errors are those of `build_cache`.

    Raises
    ------
    InvalidManifest
        If not one of the images of the side can be used.
    """
    whole = build_cache(manifest, config, root, jobs=jobs)
    paths = {str(record.path) for record in manifest.records if record.split is side}
    refused = {path: why for path, why in whole.refused.items() if path in paths}
    chosen = replace(whole.select(lambda record: record.split is side), refused=refused)
    if not chosen.records:
        raise InvalidManifest(
            f"none of {len(paths)} images of the {side.value} side can be used"
            + "".join(f", first {why}" for why in list(refused.values())[:1]),
            keyword="path",
            remedy="Check where the table lies, or take another split",
        )
    return chosen


def _forget_stale(store: PictureStore, present: npt.NDArray[np.int64], config: InputConfig) -> None:
    phantom = _phantom(config)
    if store.phantom is not None and _differ(phantom, store.phantom):
        store.forget(np.arange(len(store.state)))
    else:
        is_here, changed = present[:, 0] >= 0, (store.stamps != present).any(1)
        old = (store.state == THERE) & is_here & changed
        store.forget(np.flatnonzero(old | (store.state == REFUSED)))
    if store.phantom is None or _differ(phantom, store.phantom):
        store.remember(phantom)


def _fill(
    store: PictureStore,
    records: Sequence[Record],
    config: InputConfig,
    jobs: int,
    on_progress: Callable[[int, int], None],
) -> dict[str, str]:
    todo = np.flatnonzero(store.state == TO_DO).tolist()
    if not todo:
        return {}
    store.reserve()
    refused: dict[str, str] = {}
    done = len(records) - len(todo)
    prepare_row = partial(_outcome, records, config)
    with closing(prefetch(prepare_row, todo, ahead=2 * jobs, workers=jobs)) as prepared:
        for _ in range(0, len(todo), _BATCH * jobs):
            outcomes: list[Outcome] = []
            try:
                for outcome in islice(prepared, _BATCH * jobs):
                    outcomes.append(outcome)
                    if isinstance(outcome.picture, str):
                        refused[str(records[outcome.row].path)] = outcome.picture
                    done += 1
                    on_progress(done, len(records))
            finally:
                store.keep(outcomes)
    return refused


def _outcome(records: Sequence[Record], config: InputConfig, row: int) -> Outcome:
    record = records[row]
    stamp = file_stamp(record.path)
    try:
        return Outcome(row, stamp, prepare_record(record, config).pixels)
    except InputError as error:
        return Outcome(row, stamp, str(error))
    except Exception as error:
        error.add_note(f"while preparing {record.path}")
        raise


def _phantom(config: InputConfig) -> npt.NDArray[np.uint8]:
    """A drawn left breast, oblique view, prepared: what tells one preparation from another."""
    row, col = np.mgrid[:320, :240]
    inside = ((row - 160) / 140) ** 2 + (col / 170) ** 2 < 1
    muscle = 1500 * (row / 130 + col / 90 < 1)
    texture = 600 + 4 * row + (37 * row + 91 * col) % 500 + muscle
    pixels = np.where(inside, texture, 0).astype(np.uint16)
    ref = ImageRef("phantom", laterality=Laterality.LEFT, view_position=ViewPosition.MLO)
    mammogram = Mammogram(ref, SourceHeader(), pixels)
    if isinstance(config, RegionConfig):
        return prepare_region(mammogram, (100.0, 20.0, 180.0, 90.0), config).pixels
    return prepare(mammogram, config).pixels


def _differ(first: npt.NDArray[np.uint8], second: npt.NDArray[np.uint8]) -> bool:
    return bool(np.abs(first.astype(np.int16) - second).mean() > _SAME_GREY)


def _key(manifest: Manifest, config: InputConfig) -> str:
    images = [
        (r.dataset, r.image_id, r.laterality, r.view_position, r.pixel_aspect)
        + ((r.rotation_deg,) if r.rotation_deg else ())
        for r in manifest.records
    ]
    text = f"{images} {config.model_dump_json()}"
    return hashlib.sha256(text.encode()).hexdigest()[:24]
