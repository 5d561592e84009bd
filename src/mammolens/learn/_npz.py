"""Read and write several arrays in one file, without pickle."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mammolens.files import storage, write_whole

__all__ = ["read_npz", "write_npz"]


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
