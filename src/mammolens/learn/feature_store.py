"""The cache of features of prepared pictures: each picture is computed once, for all tables.

There is one ``.npz`` file for each extractor. A row is found by the digest of its picture, so it
cannot be out of date. The file also has the features of a drawn picture, the phantom: if these
change (another release of a library, other weights, other code), all rows are computed again. Files
are read without unpickling.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from mammolens.data.cache import PreparedCache
from mammolens.data.cache_files import locked
from mammolens.errors import InvalidManifest
from mammolens.learn._npz import read_npz, write_npz

__all__ = ["Extractor", "cached_features", "handcrafted_extractor", "picture_digest"]

Features = npt.NDArray[np.float32]
Picture = npt.NDArray[np.uint8]

_KEPT_EVERY: Final = 256
_TOLERANCE: Final = 1e-3


@dataclass(frozen=True)
class Extractor:
    """A function that computes features of pictures.

    `extract` maps uint8 (n, H, W) to float32 (n, d); d is the length of `names`. `key` is the name
    of its folder, and `batch` the number of pictures that it takes at a time.
    """

    key: str
    names: tuple[str, ...]
    extract: Callable[[Picture], Features]
    batch: int = 1


@dataclass
class _Kept:
    """Rows by the digest of their picture, and the features of the phantom."""

    phantom: Features
    rows: dict[str, Features]


def handcrafted_extractor() -> Extractor:
    """Intensity, shape, GLCM, LBP and HOG of `mammolens.learn.handcrafted_features`."""
    from mammolens.learn.handcrafted_features import feature_names, handcrafted_features

    def extract(pictures: Picture) -> Features:
        return np.stack([handcrafted_features(picture) for picture in pictures])

    return Extractor("handcrafted", feature_names(), extract)


def cached_features(
    cache: PreparedCache,
    extractor: Extractor,
    root: Path,
    on_progress: Callable[[int, int], None] = lambda *_: None,
) -> Features:
    """Give features float32 (n, d) of all pictures; those not yet in the cache are computed.

    Parameters
    ----------
    root
        Folder of features; each extractor has its own folder in it. An interrupted computation
        continues from the rows that were last written.
    on_progress
        Called with (pictures done, number of pictures).

    Raises
    ------
    InvalidManifest
        If a feature is not a finite number; names the image and the feature.
    StorageError
        If the folder cannot be written.
    """
    digests = [picture_digest(cache.picture(row)) for row in range(len(cache.records))]
    folder = root / extractor.key
    path = folder / "features.npz"
    with locked(folder):
        kept = _open(path, extractor)
        todo = [row for row, digest in enumerate(digests) if digest not in kept.rows]
        written = 0
        for start in range(0, len(todo), extractor.batch):
            rows = todo[start : start + extractor.batch]
            made = extractor.extract(np.stack([cache.picture(row) for row in rows]))
            _refuse_unusable(made, [cache.records[row].path for row in rows], extractor)
            kept.rows |= {digests[row]: one for row, one in zip(rows, made, strict=True)}
            done = start + len(rows)
            on_progress(len(digests) - len(todo) + done, len(digests))
            if done - written >= _KEPT_EVERY or done == len(todo):
                _write(path, kept, extractor)
                written = done
    return np.stack([kept.rows[digest] for digest in digests])


def picture_digest(picture: Picture) -> str:
    """128 bits of the pixels and their shape, as text."""
    digest = hashlib.blake2b(repr(picture.shape).encode(), digest_size=16)
    digest.update(np.ascontiguousarray(picture).tobytes())
    return digest.hexdigest()


def _open(path: Path, extractor: Extractor) -> _Kept:
    """Read the rows of the file; none if it is damaged or its phantom has other features."""
    phantom = extractor.extract(_phantom()[None])[0]
    kept = _Kept(phantom, {})
    found = read_npz(path, ("names", "phantom", "digests", "values"))
    if found is None or found["names"].tolist() != list(extractor.names):
        return kept
    digests, values, earlier = found["digests"].tolist(), found["values"], found["phantom"]
    whole = values.shape == (len(digests), len(extractor.names)) and earlier.shape == phantom.shape
    if whole and np.allclose(earlier, phantom, rtol=_TOLERANCE, atol=_TOLERANCE):
        kept.rows |= dict(zip(digests, values.astype(np.float32), strict=True))
    return kept


def _write(path: Path, kept: _Kept, extractor: Extractor) -> None:
    write_npz(
        path,
        names=np.array(extractor.names),
        phantom=kept.phantom,
        digests=np.array(list(kept.rows)),
        values=np.stack(list(kept.rows.values())),
    )


def _refuse_unusable(made: Features, paths: Sequence[Path], extractor: Extractor) -> None:
    for row, path in zip(made, paths, strict=True):
        wrong = np.flatnonzero(~np.isfinite(row))
        if len(wrong):
            raise InvalidManifest(
                f"{len(wrong)} of its features are not finite, first {extractor.names[wrong[0]]}",
                source=str(path),
                remedy="Look at the picture, and leave the row out if it shows no breast",
            )


def _phantom() -> Picture:
    """A drawn breast with some texture."""
    row, col = np.mgrid[:128, :96]
    inside = ((row - 64) / 55) ** 2 + (col / 75) ** 2 < 1
    return np.where(inside, 60 + row // 2 + (37 * row + 91 * col) % 50, 0).astype(np.uint8)
