"""Check whether two received objects with the same SOP Instance UID show the same picture."""

from __future__ import annotations

import hashlib
import threading
from typing import Final, NamedTuple

import numpy as np

from mammolens.core import Laterality, ViewPosition
from mammolens.errors import InputError, StorageError
from mammolens.images.dicom import read_dicom
from mammolens.serve.holdings import SOURCE, Store

__all__ = ["show_the_same"]

ROWS_AT_ONCE: Final = 256


def show_the_same(store: Store, first: str, second: str) -> bool:
    """Compare view and pixels of two stored objects, given by their digests.

    Raises
    ------
    StorageError
        One of them cannot be read now.
    """
    with _comparing:
        picture = _picture(store, first)
        return picture is not None and picture == _picture(store, second)


class _Picture(NamedTuple):
    """View and pixels of an image; the pixels as a hash of their values."""

    laterality: Laterality | None
    view_position: ViewPosition | None
    shape: tuple[int, ...]
    values: str


_comparing: Final = threading.Lock()
"""Only one picture is decoded for comparison at a time, because it may take 1 GiB."""


def _picture(store: Store, digest: str) -> _Picture | None:
    """Decode a stored object; ``None`` if its bytes are unchanged but it cannot be read."""
    try:
        content = store.path(digest).read_bytes()
    except OSError as error:
        raise _unread(store, error.strerror or type(error).__name__) from error
    if hashlib.sha256(content).hexdigest() != digest:
        raise _unread(store, "it is not what was received")
    try:
        image = read_dicom(content, SOURCE, None)
    except InputError:
        return None
    values = hashlib.sha256()
    kind = np.float64 if image.pixels.dtype.kind == "f" else np.int32
    for start in range(0, len(image.pixels), ROWS_AT_ONCE):
        # The same values may have another type.
        values.update(image.pixels[start : start + ROWS_AT_ONCE].astype(kind).tobytes())
    ref = image.ref
    return _Picture(ref.laterality, ref.view_position, image.pixels.shape, values.hexdigest())


def _unread(store: Store, why: str) -> StorageError:
    return StorageError(
        f"a received file cannot be compared with one of its UID ({why})",
        source=str(store.folder),
        remedy="Check the disk; the sender must send again",
    )
