"""Arrays in one file: written in one move, read without unpickling; a damaged one is none."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mammolens.errors import StorageError

__all__ = ["read_npz", "write_npz"]


def read_npz(path: Path, names: Sequence[str]) -> dict[str, npt.NDArray[Any]] | None:
    """Arrays by name; ``None`` if the file is missing, damaged, or lacks one of them."""
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as found:
            return {name: found[name] for name in names}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
        return None


def write_npz(path: Path, **arrays: npt.NDArray[Any]) -> None:
    """Write arrays beside their place and move them there.

    Raises
    ------
    StorageError
        If the folder is full or cannot be written; the file before stays.
    """
    data = io.BytesIO()
    np.savez(data, **arrays)  # type: ignore[arg-type]
    partial = path.with_suffix(".partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(data.getvalue())
        partial.replace(path)
    except OSError as error:
        raise StorageError(
            f"it cannot be written: {error.strerror or error}; the one before is kept",
            source=str(path),
            keyword="--cache",
            remedy="Make room, or name another folder",
        ) from error
