"""The cache of prepared pictures on disk, shared by training and evaluation.

Each image is decoded and prepared once. There is one folder for each list of images and set of
preprocessing parameters. The folder's name is their digest, so a corrected label, another split or
a moved table needs no new preparation. An image is prepared again if its file has another size or
modification time. All images are prepared again if `prepare` gives another result for a drawn
breast (the phantom). A process may be killed at any moment, and several processes may build the
same cache; the next one continues where the last one stopped (see `cache_files`).
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
from mammolens.data.cache_files import (
    PREPARED,
    REFUSED,
    TO_DO,
    Outcome,
    PictureStore,
    file_stamp,
    locked,
    open_store,
)
from mammolens.data.manifest import Manifest, Record, Split
from mammolens.data.regions import region_box
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
"""Images that a job prepares between two writes; a killed process loses at most these."""

_SAME_GREY = 0.25
"""Mean difference in grey values (0–255) up to which two preparations of the phantom count as the
same. Processors differ by less because of rounding. Chosen by hand."""


@dataclass(frozen=True)
class PreparedCache:
    """The records whose image could be prepared, and their pictures.

    ``pictures[rows[i]]`` is the picture of ``records[i]``. `pictures` is uint8 (n, H, W), read-only
    and mapped from the disk, so that only the pictures in use take memory. `refused` gives the
    reason for each other image (image path → reason), as does ``refused.json`` in the folder.
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
        """Keep the records for which `where` is true. So one cache serves every side and fold."""
        kept = [index for index, record in enumerate(self.records) if where(record)]
        return replace(
            self, records=tuple(self.records[index] for index in kept), rows=self.rows[kept]
        )


def prepare_record(record: Record, config: InputConfig) -> PreparedView:
    """Read and prepare one image of a manifest, or one lesion (see `data.regions`).

    The geometry of the result refers to the picture that `read_record` returns.

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
    """Read one image of a manifest and turn it upright if the table gives a rotation.

    The table's patient identifier, age, laterality, view and pixel aspect replace those of the
    file.

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

    Refused images are tried again each time. If an image file was removed, its picture stays.

    Parameters
    ----------
    root
        Folder of all caches. This cache gets a folder in it that is named after its digest. It
        takes ``n * height * width`` bytes, which are reserved before the work begins.
    jobs
        Number of threads; each decodes one image at a time.

    Raises
    ------
    StorageError
        If the disk is full or cannot be written; the prepared pictures are kept.
    InvalidManifest
        If no image can be used.
    """
    records = manifest.records
    folder = root / _key(manifest, config)
    shape = (len(records), config.height, config.width)
    with locked(folder):
        present = np.array([file_stamp(record.path) for record in records], np.int64)
        store = open_store(folder, shape, present)
        _forget_stale(store, present, config)
        refused = _prepare_missing(store, records, config, jobs, on_progress)
        store.list_refused(refused)
        rows = np.flatnonzero(store.state == PREPARED)
        if not len(rows):
            raise InvalidManifest(
                f"none of {len(records)} images can be used, first {next(iter(refused.values()))}",
                keyword="path",
                remedy="Check the folder of the table: paths are relative to it",
            )
        return PreparedCache(tuple(records[i] for i in rows), rows, store.pictures(), refused)


def build_side(manifest: Manifest, side: Split, config: InputConfig, root: Path) -> PreparedCache:
    """Give the pictures of one side of the split, from the cache of all images of a manifest.

    So the images are decoded once for all folds. Parameters and errors are those of `build_cache`;
    two images are decoded at a time.

    Raises
    ------
    InvalidManifest
        If no image of the side can be used.
    """
    whole = build_cache(manifest, config, root, jobs=2)
    paths = {str(record.path) for record in manifest.records if record.split is side}
    refused = {path: why for path, why in whole.refused.items() if path in paths}
    chosen = replace(whole.select(lambda record: record.split is side), refused=refused)
    if not chosen.records:
        raise InvalidManifest(
            f"none of {len(paths)} images of the {side.value} side can be used"
            + "".join(f", first {why}" for why in list(refused.values())[:1]),
            keyword="path",
            remedy="Check the folder of the table (paths are relative to it), or use another split",
        )
    return chosen


def _forget_stale(store: PictureStore, present: npt.NDArray[np.int64], config: InputConfig) -> None:
    """Forget refused images, images whose file has changed, or all if the phantom has changed."""
    phantom = _phantom(config)
    if store.phantom is not None and _differ(phantom, store.phantom):
        store.forget(np.arange(len(store.state)))
    else:
        is_here, changed = present[:, 0] >= 0, (store.stamps != present).any(1)
        old = (store.state == PREPARED) & is_here & changed
        store.forget(np.flatnonzero(old | (store.state == REFUSED)))
    if store.phantom is None or _differ(phantom, store.phantom):
        store.write_phantom(phantom)


def _prepare_missing(
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
                store.write_outcomes(outcomes)
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
    """Prepare a drawn left breast (MLO): another result shows that the preparation has changed."""
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
    # The rotation is added only where there is one, so that folders of older releases stay valid.
    images = [
        (r.dataset, r.image_id, r.laterality, r.view_position, r.pixel_aspect)
        + ((r.rotation_deg,) if r.rotation_deg else ())
        for r in manifest.records
    ]
    text = f"{images} {config.model_dump_json()}"
    return hashlib.sha256(text.encode()).hexdigest()[:24]
